"""How far a long command has come: a bar on a terminal, a line every few seconds elsewhere, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from twin.cli.interrupting import raise_if_swallowed
from twin.cli.texts import count

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

__all__ = ["Reporter", "reporting"]

EVERY_S: Final = 5.0
"""Between two lines where there is no terminal."""

RUNS_MIN: Final = 3
"""Runs after the first one that is told, from which on it is said how long the rest will take: runs differ."""

SIMULATED: Final = "running the business"


DAY_MS: Final = 86_400_000


class Reporter:
    """Called with what is being done, how much of it is done, how much there is, and the entries so far.

    While the business runs, done and total are simulated milliseconds since the start.
    """

    def __call__(self, what: str, done: int, total: int, entries: int) -> None:
        """Nothing is shown. Raises `KeyboardInterrupt` where one came and was swallowed."""
        raise_if_swallowed()


def _details(what: str, done: int, total: int, entries: int) -> str:
    """Simulated time and entries, where there are some."""
    told = [f"day {min(done, total - 1) // DAY_MS + 1} of {-(-total // DAY_MS)}"] if what == SIMULATED else []
    if entries:
        told.append(f"{count(entries)} entries")
    return ", ".join(told)


def _enough(what: str, done: int) -> bool:
    """Whether so much is done since the first report that the time left can be told from it."""
    return done >= (1 if what == SIMULATED else RUNS_MIN)


class _Lines(Reporter):
    def __init__(self) -> None:
        self._what = ""
        self._first = 0
        self._began = self._told = time.monotonic()

    def __call__(self, what: str, done: int, total: int, entries: int) -> None:
        super().__call__(what, done, total, entries)
        now = time.monotonic()
        if what != self._what:
            # Counted from this report: it may come when a run is done, and nobody saw that one begin.
            self._what, self._began, self._first = what, now, done
        if now - self._told < EVERY_S:
            return
        self._told = now
        told = [f"{100 * done // total} %" if total > 1 else "", _details(what, done, total, entries)]
        since = done - self._first
        if done < total and _enough(what, since):
            told.append(f"about {round((now - self._began) * (total - done) / since)} s left")
        sys.stderr.write(f"{what}: {', '.join(part for part in told if part)}\n")
        sys.stderr.flush()


class _Bars(Reporter):
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._first: dict[str, int] = {}

    def __call__(self, what: str, done: int, total: int, entries: int) -> None:
        super().__call__(what, done, total, entries)
        if what not in self._tasks:
            for task in self._bars.tasks:
                self._bars.update(task.id, completed=task.total or 0)
            self._tasks[what] = self._bars.add_task(what, total=total, details="", enough=False)
            self._first[what] = done
        details = _details(what, done, total, entries)
        enough = _enough(what, done - self._first[what])
        self._bars.update(self._tasks[what], completed=done, total=total, details=details, enough=enough)


@contextmanager
def reporting(*, quiet: bool = False) -> Iterator[Reporter]:
    """A reporter for as long as the work takes."""
    if quiet:
        yield Reporter()
        return
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Remaining(TimeRemainingColumn):
        """None before there is enough to tell it from."""

        def render(self, task: Task) -> Text:
            return super().render(task) if task.finished or task.fields["enough"] else Text("-:--:--")

    columns = (
        TextColumn("{task.description:<21}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        Remaining(elapsed_when_finished=True),
        TextColumn("{task.fields[details]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield _Bars(bars)
        for task in bars.tasks:
            bars.update(task.id, completed=task.total or 0)
