"""Inputs that a scenario assumes, each of which can be varied by itself: how long, how many, how fast."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from fractions import Fraction
from typing import Any, Final

from msgspec import Struct

from twin.scenario import Scenario, ScenarioError
from twin.scenario.units import Money, format_decimal, format_duration, format_money, parse_duration, parse_money

__all__ = ["INPUTS", "Assumption", "assumptions"]

INPUTS: Final[Mapping[str, tuple[str, ...]]] = {
    "length of the trouble": ("faults.*.for", "disruptions.*.for"),
    "demand": ("channels.*.demand.orders", "channels.*.demand.rate"),
    "lead times of suppliers": ("suppliers.*.lead_time", "items.*.lead_time"),
    "transit times": ("lanes.*.transit",),
    "picking times": ("warehouses.*.pick_time",),
    "handling by drop-shippers": ("suppliers.*.drop_ship.handling",),
    "service times of interfaces": ("interfaces.*.service",),
    "time that customers allow": ("channels.*.requested",),
    "freight": ("lanes.*.cost",),
    "penalties and handling costs": ("costs.late", "costs.penalty", "costs.touch"),
    "opening stock and reorder levels": ("stock.*.on_hand", "policies.replenishment.*.s", "policies.replenishment.*.S"),
}
"""What is varied together, by the places in a scenario that hold it."""

_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
_SOME: Final = re.compile(r"[1-9]")


class Assumption(Struct, frozen=True):
    """One input, and the scenario with it lower and higher."""

    name: str
    lower: Scenario
    higher: Scenario


def assumptions(scenario: Scenario, share_ppm: int) -> tuple[list[Assumption], list[str]]:
    """Every one of `INPUTS` that the scenario has, varied both ways by so many parts per million.

    All values of an input are multiplied by 1 − share and by 1 + share; whole numbers and amounts of money are rounded.
    The names are of those that the scenario has, and that it does not accept so, or that rounding leaves as they are.
    """
    found, unvaried = [], []
    plain = scenario.plain()
    for name, places in INPUTS.items():
        changed = [
            _scaled(scenario, plain, places, Fraction(1_000_000 + sign * share_ppm, 1_000_000)) for sign in (-1, 1)
        ]
        lower, higher = changed
        if lower is not None and higher is not None:
            found.append(Assumption(name, lower, higher))
        elif _has(plain, places):
            unvaried.append(name)
    return found, unvaried


def _has(plain: Mapping[str, Any], places: tuple[str, ...]) -> bool:
    """Whether one of those places holds a number other than 0."""
    values: list[Any] = []
    for place in places:
        _walk(deepcopy(dict(plain)), place.split("."), values.append)
    return any(_SOME.search(str(value)) for value in values)


def _scaled(scenario: Scenario, plain: Mapping[str, Any], places: tuple[str, ...], by: Fraction) -> Scenario | None:
    """The scenario with those places multiplied; None where there are none, or where it cannot be so."""
    changed = deepcopy(dict(plain))
    if not sum([_walk(changed, place.split("."), lambda value: _times(value, by)) for place in places]):
        return None
    try:
        return scenario.with_changes(
            {key: changed[key] for key in dict.fromkeys(place.split(".")[0] for place in places)}
        )
    except ScenarioError:
        return None


def _walk(node: Any, path: list[str], change: Callable[[Any], Any]) -> int:
    """Change what is at the path, `*` for every entry of a list; returns how many places were changed."""
    key, rest = path[0], path[1:]
    if key == "*":
        return sum([_walk(entry, rest, change) for entry in node]) if isinstance(node, list) else 0
    if not isinstance(node, dict) or node.get(key) is None:
        return 0
    if rest:
        return _walk(node[key], rest, change)
    before = node[key]
    node[key] = change(before)
    return int(node[key] != before)


def _times(value: Any, by: Fraction) -> Any:
    """A value, or all of a map's or a table's, multiplied; words and what is no quantity stay."""
    if isinstance(value, dict):
        return {
            key: inner if key in ("kind", "shape", "sigma", "per") else _times(inner, by)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        # The shares of a table are its probabilities.
        return [inner if str(inner).endswith("%") else _times(inner, by) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return round(value * by)
    if not isinstance(value, str):
        return value
    try:
        return format_duration(round(parse_duration(value) * by))
    except ValueError:
        pass
    try:
        money = parse_money(value)
        return format_money(Money(minor=round(money.minor * by), currency=money.currency))
    except ValueError:
        return _NUMBER.sub(lambda found: format_decimal(round(Fraction(found[0]) * by, 6)), value, count=1)
