"""A scenario's one page from the command line: its options, and what can be wrong with them before anything runs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from twin.cli.changes import named_changes
from twin.cli.failures import InputError

if TYPE_CHECKING:
    from twin.experiment.brief import Option
    from twin.scenario import Scenario

__all__ = ["command_of", "options_of", "seeds_from", "share_of"]


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

    return tuple(Option(*named) for named in named_changes(path, scenario, "an option", "cost_per_year"))


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
