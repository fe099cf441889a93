"""Decisions that services outside were asked for: how many they took, and what became of the others.

Of runs in which a service decides only; others have none of these measures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from twin.measures.measured import Answer, Measured, answer, measure, ratio

if TYPE_CHECKING:
    from twin.measures.facts import Facts

__all__ = ["AskedOutside", "Otherwise", "asked_outside", "decided_outside", "undecided_outside"]

RUN: Final = "the whole run, warm-up included"
DECISIONS: Final = ("sourcing", "promise", "release")

_BECAME: Final = {
    "rules": "by the rules",
    "calendars": "by the calendars",
    "released": "released all the same",
    "rejected": "rejected",
    "held": "held",
    "moot": "with nothing left to decide",
}
_WHY: Final = {
    "unusable": "answered with what cannot be carried out",
    "refused": "refused, or answered with what is no answer",
    "failed": "failed",
    "no_answer": "not answered in time",
}


@measure("L", "ratio", RUN)
def decided_outside(facts: Facts) -> Iterator[Answer]:
    """Decisions that services outside took, of those that they were asked for and that are not open at the end. What is
    asked anew about the same order is one decision.
    """
    outside = facts.outside
    if not outside.asked:
        return
    ended = {asked: outside.decided.get(asked, 0) for asked in outside.asked}
    for (service, decision, _, _), (times, _) in outside.undecided.items():
        ended[service, decision] = ended.get((service, decision), 0) + times
    yield ratio(sum(outside.decided.values()), sum(ended.values()), f"{outside.open} open at the end")
    for service, decision in sorted(ended, key=lambda asked: (asked[0], DECISIONS.index(asked[1]))):
        taken = outside.decided.get((service, decision), 0)
        yield ratio(taken, ended[service, decision], part=f"service={service},decision={decision}")


@measure("L", "count", RUN)
def undecided_outside(facts: Facts) -> Iterator[Answer]:
    """Decisions that a service was asked for and did not take, by what became of them (`rules`, `calendars`,
    `released`: the engine decided; `rejected`, `held`; `moot`: cancelled or gone by then) and by what the service did
    at last (`unusable`: an answer that cannot be carried out; `refused`, also for what is no answer; `failed`;
    `no_answer` in time).
    """
    outside = facts.outside
    if not outside.asked:
        return
    yield answer(sum(times for times, _ in outside.undecided.values()))
    for service, decision, became, why in sorted(outside.undecided):
        times, first = outside.undecided[service, decision, became, why]
        yield answer(times, first, f"service={service},decision={decision},became={became},why={why}")


class Otherwise(Struct, frozen=True):
    """So many decisions of a kind became something else, and why; `first` is the log's reason of the first."""

    number: int
    became: str
    why: str
    first: str

    @property
    def words(self) -> str:
        """`9 by the rules: answered with what cannot be carried out (the first: line 1: 'mars' is no candidate)`."""
        first = f" (the first: {self.first})" if self.first else ""
        why = f": {_WHY[self.why]}{first}" if self.why in _WHY else first
        return f"{self.number:,} {_BECAME[self.became]}{why}"


class AskedOutside(Struct, frozen=True):
    """What one service was asked to decide: decisions in all, those it took, and what became of the others."""

    service: str
    decision: str
    asked: int
    decided: int
    others: tuple[Otherwise, ...]


def asked_outside(measures: Mapping[str, Measured]) -> list[AskedOutside]:
    """What a run's measures tell of services outside, one row for each and what it was asked for; empty without any."""
    others: dict[tuple[str, str], list[Otherwise]] = {}
    found: list[AskedOutside] = []
    for name, one in measures.items():
        kind, _, part = name.partition("/")
        if part and kind == "undecided_outside":
            told = dict(cell.split("=", 1) for cell in part.split(","))
            row = Otherwise(int(one.value or 0), told["became"], told["why"], one.note)
            others.setdefault((told["service"], told["decision"]), []).append(row)
    for name, one in measures.items():
        kind, _, part = name.partition("/")
        if part and kind == "decided_outside":
            told = dict(cell.split("=", 1) for cell in part.split(","))
            asked = (told["service"], told["decision"])
            rest = tuple(sorted(others.get(asked, ()), key=lambda row: (-row.number, row.became, row.why)))
            found.append(AskedOutside(*asked, int(one.denominator or 0), int(one.numerator or 0), rest))
    return found
