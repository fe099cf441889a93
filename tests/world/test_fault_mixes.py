"""Faults in random mixes at interfaces of every style: whatever they do, nothing breaks that must hold.

The mix follows from its number alone. `python -m pytest "tests/world/test_fault_mixes.py" -k "mix-17"` runs one again;
the deep check runs 300.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.world.faulty import FACED, KINDS, fault, faulty, hits, story
from tests.world.stage import DAY, Stage, min_max
from twin.core.invariants import violations
from twin.scenario import Scenario
from twin.scenario.merging import merge_plain
from twin.streams import Series

OFFICE = {"id": "office", "days": ["mon", "tue", "wed", "thu", "fri"], "hours": ["00:00-00:30", "08:00-16:00"]}
STYLES: dict[str, dict[str, Any]] = {
    "api": {},
    "event": {"redelivery": {"after": "30s", "times": 2}},
    "batch": {"batch": {"every": "10m", "cut_off": "2m", "size": 5, "carries": "both"}},
    "edi": {"edi": {"translation": "5s", "acknowledgement": "20s"}},
    "manual": {"calendar": "office", "workers": 2},
}
FILES = ("late_file", "partial_file", "doubled_file")
OF_ONE = {"bad_address": "wms", "wrong_answer": "supplier.mill", "stale_snapshot": "wms", **dict.fromkeys(FILES, "wms")}


class Dice:
    """Choices in turn, the same for the same number."""

    def __init__(self, number: int) -> None:
        self.series = Series(number, "mix")

    def of(self, *choices: Any) -> Any:
        """One of them."""
        return choices[self.series.bits() % len(choices)]

    def chance(self, percent: int) -> bool:
        """Whether something is so."""
        return self.series.bits() % 100 < percent


def interface(dice: Dice) -> dict[str, Any]:
    style = dice.of(*STYLES)
    spec = {"id": "wms", "style": style, "service": dice.of("0s", "2s", "20s"), **STYLES[style]}
    spec["dedupe"] = dice.of("30d", "30d", "1m", "off")
    if dice.chance(50):
        spec["workers"] = dice.of(1, 2)
    if dice.chance(30):
        expired = "served" if style in ("event", "edi") else dice.of("served", "dropped")
        discipline = dice.of("fifo", "lifo", "criticality")
        spec["queue"] = {"discipline": discipline, "bound": dice.of(3, 20), "expired": expired}
    if dice.chance(30):
        spec["token"] = {"lifetime": "10m", "renewal": "30s"}
    if dice.chance(30):
        spec["rate_limit"] = {"rate": "5/m", "burst": 3}
    return spec


def some_fault(dice: Dice, at: dict[str, Any]) -> dict[str, Any]:
    kind = dice.of(*KINDS, "redrive_storm", *(FILES if at["style"] == "batch" else ()))
    where = OF_ONE.get(kind) or dice.of("*", "wms", "supplier.*", "[lv]*")
    more: dict[str, Any] = {"interface": where, "probability": dice.of("10%", "50%", "100%")}
    if kind in ("outage", "freeze", "redrive_storm") or dice.chance(50):
        more |= {"begins": dice.of("0s", "5m", "17m"), "lasts": dice.of("0s", "3m", "40m", "5h")}
    if dice.chance(25):
        more["markov"] = {"up": "7m", "down": "3m"}
    elif dice.chance(25):
        more |= {"when": {"backlog_above": 2}, "begins": "0s", "lasts": "9m"}
    if dice.chance(20):
        more["ramp"] = "20m"
    if kind in FILES:
        more |= {"missing": dice.of("some", "tail")} if kind == "partial_file" else {}
        more |= {"file": dice.of("calls", "reports")} | ({"delay": "15m"} if kind == "late_file" else {})
    elif kind == "error":
        more["class"] = dice.of("retryable", "permanent", "unknown")
    elif kind == "outage":
        more |= dice.of({"calls": "held"}, {"calls": "turned_away"}, {"direction": "reply"})
    elif kind == "consumer_crash":
        more["at"] = dice.of("before_commit", "after_commit")
        if at["dedupe"] != "off" and dice.chance(50):
            more |= {"interface": "wms", "forgets": True}
    elif kind in ("latency", "loss", "duplicate", "reorder"):
        more["direction"] = dice.of("call", "reply")
    return fault(kind, **more)


def mixed(number: int) -> Scenario:
    """The business with one to five random faults at a random interface."""
    dice = Dice(number)
    at = interface(dice)
    faults = [some_fault(dice, at) for _ in range(dice.of(1, 2, 3, 4, 5))]
    policies = merge_plain({"policies": FACED["policies"]}, min_max(180, 240))["policies"]
    others = [
        {"id": "van.status", "to": "carrier/van"},
        {"id": "supplier.mill", "dedupe": dice.of("30d", "30d", "off"), "service": dice.of("0s", "20s")},
        {"id": "ledger", "dedupe": dice.of("30d", "30d", "off"), "style": dice.of("api", "api", "event")},
    ]
    return faulty(*faults, interfaces=[at, *others], calendars=[OFFICE], policies=policies, run={"horizon": "5d"})


def check(number: int) -> int:
    """Run a mix, hold it to what must be so, and say how many attempts were hit."""
    stage = story(mixed(number), shuffle=Dice(number).of(None, 1, 2))
    stage.run_checked(2 * DAY, every=20)
    fork = stage.fork()
    for one in (stage, fork):
        one.run(4 * DAY)
    assert violations(stage.state) == []
    assert (fork.log.digest, fork.truth.digest) == (stage.log.digest, stage.truth.digest)
    assert units_there(stage) == stage.physical()
    explained = stage.rows("delivery.doubled") + [
        row for row in stage.rows("call.given_up") if row.detail == "not done"
    ]
    explained += [row for row in stage.rows("fault.hit") if row.detail.endswith(" stale_snapshot")]
    differences = stage.account().differences
    assert explained or not differences, differences
    return len(hits(stage))


def units_there(stage: Stage) -> int:
    """Units that the truth's movements leave in the building."""
    moves = ("stock.opening", "stock.shipped", "stock.received")
    return sum(row.quantity for row in stage.truth.rows if row.type in moves)


@pytest.mark.parametrize("number", range(12), ids=lambda number: f"mix-{number}")
def test_a_mix_of_faults_breaks_nothing(number: int) -> None:  # RC-16
    """The books differ only where the truth says that something was done twice, or was answered and never done, or that
    an old count was taken for new."""
    check(number)


def test_the_sample_of_mixes_hits_something() -> None:
    assert sum(check(number) > 0 for number in range(12)) > 8


@pytest.mark.deep
@pytest.mark.parametrize("number", range(12, 300), ids=lambda number: f"mix-{number}")
def test_many_mixes_of_faults_break_nothing(number: int) -> None:  # RC-16
    check(number)
