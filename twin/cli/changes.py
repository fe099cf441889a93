"""A file of named changes of a scenario, each with what it costs: the fixes of `exposure`, the options of `brief`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.cli.failures import InputError

if TYPE_CHECKING:
    from twin.scenario import Scenario

__all__ = ["named_changes"]


def named_changes(path: Path, scenario: Scenario, noun: str, cost: str) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Each change by its name, with its cost (minor units) under the key `cost`, 0 unless given.

    All are tried on the scenario, so that what one says wrong is told before anything runs. Raises `InputError`, or
    `ScenarioError` for what is no map.
    """
    from twin.scenario import ScenarioError
    from twin.scenario.merging import plain_of
    from twin.scenario.reading import read
    from twin.scenario.units import parse_money
    from twin.world.sites import minor

    expected = f"names, each with a change and a {cost}"
    root, problems = read(path, str(path), f"give it {expected}", expected)
    if problems:
        raise ScenarioError(problems)
    # A null takes something away, and is not nothing said.
    named: dict[str, Any] = plain_of(root, nulls=True)
    for name, row in named.items():
        if not isinstance(row, dict) or not isinstance(row.get("change"), dict) or set(row) - {cost, "change"}:
            raise InputError(f"{path}: {name}: {noun} has a change, a map as in a scenario, and may have a {cost}")
        change: dict[str, Any] = row["change"]
        if "run" in change:
            raise InputError(f"{path}: {name}: {noun} cannot change the run; the pairs would have nothing in common")
        try:
            scenario.with_changes(change)
        except ScenarioError as error:
            told = "; ".join(problem.message for problem in error.problems)
            raise InputError(f"{path}: {name}: {told}") from None
        try:
            money = parse_money(row[cost]) if cost in row else None
        except ValueError as error:
            raise InputError(f"{path}: {name}: {cost}: {error}") from None
        if money is not None and money.currency != scenario.currency:
            given = f"{cost}: it is in {money.currency}, and the scenario counts in {scenario.currency}"
            raise InputError(f"{path}: {name}: {given}; write it in {scenario.currency}")
        yield str(name), change, minor(money)
