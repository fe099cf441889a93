"""Whose logic decided, in words: every page says so."""

from __future__ import annotations

from twin.scenario import Scenario

__all__ = ["decided_by", "is_reference"]


def decided_by(scenario: Scenario | None) -> str:
    """Who sourced, promised and released; the reference logic unless services did."""
    asked = _asked(scenario)
    if not asked:
        return "the reference order logic that ships with ordertwin, not by your own system"
    told = [f"the service '{service}' ({_listed(decisions)})" for service, decisions in asked.items()]
    return f"{_listed(told)}, and all others by the reference order logic that ships with ordertwin"


def is_reference(scenario: Scenario | None) -> bool:
    """Whether nothing was decided outside."""
    return not _asked(scenario)


def _asked(scenario: Scenario | None) -> dict[str, list[str]]:
    if scenario is None:
        return {}
    names = {"sourcing": "sourcing", "promise": "promises", "release": "releases"}
    return {one.id: [names[decision] for decision in scenario.decisions_of(one.id)] for one in scenario.services}


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
