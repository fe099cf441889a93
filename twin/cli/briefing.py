"""A scenario's one page from the command line: its options, and what can be wrong with them before anything runs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.cli.failures import InputError

if TYPE_CHECKING:
    from twin.experiment.brief import Option
    from twin.scenario import Scenario

__all__ = ["check_page", "command_of", "options_of", "seeds_from", "share_of"]


def check_page(path: Path) -> None:
    """Raises `InputError` where no page can be written."""
    if path.is_dir():
        raise InputError(f"--out {path}: it is a folder; give a file such as {path / 'page.html'}")
    if not path.parent.is_dir():
        raise InputError(f"--out {path}: there is no folder {path.parent}")


def share_of(text: str) -> int:
    """By how much inputs are varied, in ppm. Raises `InputError`."""
    from twin.scenario.units import parse_percent

    try:
        share = parse_percent(text)
    except ValueError as error:
        raise InputError(f"--vary {text}: {error}") from None
    if share >= 1_000_000:
        raise InputError(f"--vary {text}: nothing would be left of an input; give less than 100%, or 0% for none")
    return share


def options_of(path: Path, scenario: Scenario) -> tuple[Option, ...]:
    """A map of names to `change` and `cost_per_year`. Raises `InputError`, or `ScenarioError` for what is no map."""
    from twin.experiment.brief import Option
    from twin.scenario import ScenarioError
    from twin.scenario.merging import plain_of
    from twin.scenario.reading import read
    from twin.scenario.units import parse_money
    from twin.world.sites import minor

    root, problems = read(path, str(path))
    if problems:
        raise ScenarioError(problems)
    # A null takes something away, and is not nothing said.
    named: dict[str, Any] = plain_of(root, nulls=True)
    made = []
    for name, row in named.items():
        if (
            not isinstance(row, dict)
            or not isinstance(row.get("change"), dict)
            or set(row) - {"cost_per_year", "change"}
        ):
            raise InputError(
                f"{path}: {name}: an option has a change, a map as in a scenario, and may have a cost_per_year"
            )
        change: dict[str, Any] = row["change"]
        if "run" in change:
            raise InputError(f"{path}: {name}: an option cannot change the run; the pairs would have nothing in common")
        try:
            scenario.with_changes(change)  # what it says wrong is told now, not in the middle of the runs
        except ScenarioError as error:
            told = "; ".join(problem.message for problem in error.problems)
            raise InputError(f"{path}: {name}: {told}") from None
        try:
            cost = minor(parse_money(row["cost_per_year"])) if "cost_per_year" in row else 0
        except ValueError as error:
            raise InputError(f"{path}: {name}: cost_per_year: {error}") from None
        made.append(Option(str(name), change, cost))
    return tuple(made)


def seeds_from(first: int, number: int, most: int) -> Sequence[int]:
    """So many seeds from the first on. Raises `InputError` where there are not so many."""
    if first > most - number + 1:
        raise InputError(f"--seed {first}: there are not {number} seeds from it on; give a smaller one")
    return range(first, first + number)


def command_of(
    scenario: Path, seeds: Sequence[int], options: Path | None, vary: str, settings: Sequence[str], out: Path
) -> str:
    """What makes the same page again."""
    words = ["twin", "brief", str(scenario), "--seed", str(seeds[0]), "--seeds", str(len(seeds))]
    words += [] if options is None else ["--options", str(options)]
    words += [word for setting in settings for word in ("--set", setting)]
    return shlex.join([*words, "--vary", vary, "--out", out.name])
