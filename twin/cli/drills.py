"""What random drills gave: which kinds of faults struck how often, and what did not come to rest."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

from twin.cli.terminal import line, show, table

if TYPE_CHECKING:
    from twin.experiment.random_faults import DrillRun

__all__ = ["show_drills"]

SHOWN_MAX: Final = 5
"""Sentences shown of one drill that failed."""


def show_drills(scenario: str, seed: int, runs: Sequence[DrillRun], *, in_full: bool) -> bool:
    """A table of the kinds, then each drill that failed with its faults; returns whether all came to rest."""
    shown = table("What struck", "Kind", "Schedules with it", "of them failed")
    kinds = sorted({one["kind"] for run in runs for one in happened(run)})
    for kind in kinds:
        having = [run for run in runs if any(one["kind"] == kind for one in happened(run))]
        shown.add_row(kind, str(len(having)), str(sum([bool(run.found) for run in having])))
    show(shown)
    failed = [run for run in runs if run.found]
    for run in runs if in_full else failed:
        line(f"schedule {run.plan.number} of seed {seed}: " + ("FAILS" if run.found else "comes to rest"))
        for one in happened(run):
            line(f"  - {_flow(one)}")
        for sentence in run.found if in_full else run.found[:SHOWN_MAX]:
            line(f"    {sentence}")
        if not in_full:
            more = len(run.found) - SHOWN_MAX
            line(f"    and {more} more" if more > 0 else "")
            line(f"  to see it again: twin fuzz {quote(scenario)} --seed {seed} --only {run.plan.number}")
    entries = sum([run.entries for run in runs])
    told = f"{len(failed)} of {len(runs)} schedules fail" if failed else f"all {len(runs)} schedules come to rest"
    line(f"{told}, nothing lost and nothing doubled; {entries:,} entries" if not failed else told)
    return not failed


def happened(run: DrillRun) -> list[dict[str, Any]]:
    """The faults and disruptions of a drill."""
    return [*run.plan.faults, *run.plan.disruptions]


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    return str(value) if value != "*" else "'*'"
