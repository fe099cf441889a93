"""Many runs, one after the other or in processes of their own, with the same observations whichever."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Final

from twin.experiment.observing import Job, Observation, observe
from twin.run import Progress

__all__ = ["observe_all"]

RESTARTS_MAX: Final = 3
"""How often lost workers are replaced before giving up."""


def observe_all(
    jobs: Sequence[Job], workers: int = 1, what: str = "running", progress: Progress | None = None
) -> list[Observation]:
    """The observations of all jobs in their order, by so many processes; `what` is how the progress calls it."""
    told = _Told(what, progress, len(jobs))
    return list(_in_turn(jobs, told)) if workers == 1 or len(jobs) == 1 else _in_processes(jobs, workers, told)


class _Told:
    """Passes on how many runs are done."""

    def __init__(self, what: str, progress: Progress | None, total: int) -> None:
        self.what = what
        self.progress = progress
        self.total = total
        self.done = 0
        self.entries = 0

    def finished(self, one: Observation) -> None:
        """A run is over."""
        self.done += 1
        self.entries += one.entries
        if self.progress is not None:
            self.progress(self.what, self.done, self.total, self.entries)


def _in_turn(jobs: Sequence[Job], told: _Told) -> Iterator[Observation]:
    for job in jobs:
        # A single run tells of itself; of many, how many are done says more.
        one = observe(job, told.progress if len(jobs) == 1 else None)
        if len(jobs) > 1:
            told.finished(one)
        yield one


def _in_processes(jobs: Sequence[Job], workers: int, told: _Told) -> list[Observation]:
    """All observations in the order of the jobs. A killed process loses only what it was at, which is run again."""
    done: dict[int, Observation] = {}
    restarts = 0
    while len(done) < len(jobs):
        left = [index for index in range(len(jobs)) if index not in done]
        try:
            _run_pool(jobs, left, min(workers, len(left)), done, told)
        except BrokenProcessPool as error:
            restarts += 1
            if restarts > RESTARTS_MAX:
                lost = jobs[next(index for index in left if index not in done)]
                error.add_note(f"workers were killed {restarts} times; unfinished: {lost.name} with seed {lost.seed}")
                raise
    return [done[index] for index in range(len(jobs))]


def _run_pool(
    jobs: Sequence[Job], left: Sequence[int], workers: int, done: dict[int, Observation], told: _Told
) -> None:
    # A forked child would inherit the locks of whatever thread shows the progress.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures: dict[Future[Observation], int] = {pool.submit(observe, jobs[index]): index for index in left}
        waiting = set(futures)
        try:
            while waiting:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                # Ordered, so that of two failures the same one is told each time.
                for future in sorted(finished, key=futures.__getitem__):
                    one = done[futures[future]] = future.result()
                    told.finished(one)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
