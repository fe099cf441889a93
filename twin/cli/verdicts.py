"""What scenarios were held against: a table for each, and the command that shows a failure again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from twin.cli.terminal import line, show, table

if TYPE_CHECKING:
    from twin.experiment.check import Verdict

__all__ = ["show_verdicts"]

DETAILS: Final = 20
"""Of what breaks an expectation, the first ones that are listed."""


def show_verdicts(verdicts: Sequence[Verdict], *, summed_up: bool = True) -> bool:
    """A table for each scenario, and how many hold unless that is said elsewhere; returns whether everything holds."""
    scenarios = list(dict.fromkeys(verdict.scenario for verdict in verdicts))
    for scenario in scenarios:
        shown = table(str(scenario), "Expectation", "Expected", "Found", "Interval", "Seeds", "Verdict", "Note")
        for verdict in verdicts:
            if verdict.scenario == scenario:
                told = "holds" if verdict.holds else "FAILS"
                shown.add_row(
                    verdict.expectation,
                    verdict.expected,
                    verdict.found,
                    verdict.interval,
                    _seeds(verdict.seeds),
                    told,
                    verdict.note,
                )
        show(shown)
    failed = [verdict for verdict in verdicts if not verdict.holds]
    for verdict in failed:
        line(f"{verdict.scenario}: {verdict.expectation} fails")
        for detail in verdict.details[:DETAILS]:
            line(f"  {detail}")
        if len(verdict.details) > DETAILS:
            line(f"  and {len(verdict.details) - DETAILS} more")
        line(f"  to see it again: {verdict.reproduce}")
    if not summed_up:
        return not failed
    line(
        f"{len(failed)} of {len(verdicts)} expectations fail"
        if failed
        else f"all {len(verdicts)} expectations of {len(scenarios)} scenarios hold"
    )
    return not failed


def _seeds(seeds: Sequence[int]) -> str:
    return str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}" if seeds else ""
