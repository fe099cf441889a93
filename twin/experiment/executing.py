"""Many runs for checks, one after the other or in processes of their own, with the same observations whichever."""

from __future__ import annotations

from collections.abc import Sequence

from twin.experiment.executors import executing_by, in_any_order
from twin.experiment.observing import Job, Observation, observe
from twin.run import Progress

__all__ = ["observe_all"]


def observe_all(
    jobs: Sequence[Job], workers: int = 1, what: str = "running", progress: Progress | None = None
) -> list[Observation]:
    """The observations of all jobs in their order, by so many processes; `what` is how the progress calls it."""
    if len(jobs) == 1:
        # A single run tells of itself; of many, how many are done says more.
        return [observe(jobs[0], progress)]
    found: dict[int, Observation] = {}
    entries = 0
    executing = executing_by(None, min(workers, max(1, len(jobs))))
    for index, one in in_any_order(_observe, list(enumerate(jobs)), executing, _named):
        found[index] = one
        entries += one.entries
        if progress is not None:
            progress(what, len(found), len(jobs), entries)
    return [found[index] for index in range(len(jobs))]


def _observe(numbered: tuple[int, Job]) -> tuple[int, Observation]:
    index, job = numbered
    return index, observe(job)


def _named(numbered: tuple[int, Job]) -> str:
    return str(numbered[1])
