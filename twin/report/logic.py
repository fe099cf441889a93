"""Whose logic decided, in words: every page says so."""

from __future__ import annotations

from collections.abc import Sequence

from twin.measures.outside import AskedOutside
from twin.report.words import count, percent
from twin.scenario import Scenario

__all__ = ["decided_by", "is_reference", "who_decided"]

_NAMES = {"sourcing": "sourcing", "promise": "promises", "release": "releases"}


def decided_by(scenario: Scenario | None, found: Sequence[AskedOutside] = ()) -> str:
    """Who sourced, promised and released; the reference logic unless services did.

    `found` are the decisions of a run that services were asked for: where they did not take all of them, their numbers
    stand beside the names.
    """
    asked = _asked(scenario)
    if not asked:
        return "the reference order logic that ships with ordertwin, not by your own system"
    whole = all(row.decided == row.asked for row in found)
    told = []
    for service, decisions in asked.items():
        rows = {row.decision: row for row in found if row.service == service}
        names = [_NAMES[decision] + ("" if whole else _share(rows.get(decision))) for decision in decisions]
        told.append(f"the service '{service}' ({_listed(names)})")
    return f"{_listed(told)}, and all others by the reference order logic that ships with ordertwin"


def who_decided(scenario: Scenario | None, found: Sequence[AskedOutside]) -> str:
    """The same in the few words of a page's stamp."""
    if is_reference(scenario):
        return "reference logic, not yours"
    asked, decided = sum(row.asked for row in found), sum(row.decided for row in found)
    if decided == asked:
        return "decisions by a service outside"
    return f"{percent(decided, asked)} of the decisions asked of a service outside were its own"


def _share(row: AskedOutside | None) -> str:
    return "" if row is None else f": {count(row.decided)} of {count(row.asked)}"


def is_reference(scenario: Scenario | None) -> bool:
    """Whether nothing was decided outside."""
    return not _asked(scenario)


def _asked(scenario: Scenario | None) -> dict[str, list[str]]:
    if scenario is None:
        return {}
    return {one.id: list(scenario.decisions_of(one.id)) for one in scenario.services}


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
