"""The process that the crash test kills: feeds a slice of a log to the driver and dies at the n-th line of its loop.

Run as a program it is a nursery: it reads jobs as JSON lines, forks a child for each, and answers with the child's
exit code, -9 for one that was killed. Nothing in the production code knows of this: the points are the line events
of the driver's and the journal's own frames.
"""

from __future__ import annotations

import asyncio
import json
import linecache
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from adapters import async_driver, sqlite_journal
from adapters.async_driver import AsyncDriver
from adapters.clocks import RecordedClock
from adapters.sqlite_journal import SQLiteJournal
from tests.adapters.recorded import GATEWAYS, externals, record
from twin import driver as driver_module
from twin.codec import decode_entry, encode_state
from twin.core.commands import Command, External, Wake
from twin.core.effects import Delivery
from twin.core.entry import Entry
from twin.driver import Driver

__all__ = ["SLICE", "FileGateway", "Job", "slice_of_a_log"]

SLICE = 300
WINDOW = 5
"""Commands sent together in batch mode."""


class Job(msgspec.Struct):
    """One life of the process: `kill_at` is the point it dies at, 0 for never; `count` writes the points it passes."""

    folder: str
    mode: str
    kill_at: int = 0
    count: bool = False
    driver: str = "Driver"


class FileGateway:
    """A counterpart that notes every submission in a file at once, one JSON line each."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def submit(self, delivery: Delivery) -> None:
        os.write(self._file, msgspec.json.encode(delivery) + b"\n")


class MarksBeforeSubmit(Driver):
    """Planted: the outbox mark runs ahead of the submissions."""

    def _step(self, command: Command, now: int) -> Entry:
        engine = self.engine
        now = max(now, engine.state.now)
        outcome = engine.decide(command, now)
        entry = Entry(engine.state.position + 1, now, command, outcome.events, outcome.deliveries, outcome.refusal)
        self.journal.append((entry,), entry.position - 1)
        engine.apply(entry)
        self.journal.mark_submitted(entry.position)
        for delivery in entry.deliveries:
            self._submit(delivery)
        return entry


class SubmitsBeforeAppend(Driver):
    """Planted: something is asked of the outside before it is on record."""

    def _step(self, command: Command, now: int) -> Entry:
        engine = self.engine
        now = max(now, engine.state.now)
        outcome = engine.decide(command, now)
        entry = Entry(engine.state.position + 1, now, command, outcome.events, outcome.deliveries, outcome.refusal)
        for delivery in entry.deliveries:
            self._submit(delivery)
        self.journal.append((entry,), entry.position - 1)
        engine.apply(entry)
        self.journal.mark_submitted(entry.position)
        return entry


class SubmitsBatchBeforeAppend(Driver):
    """Planted: the same, where commands are handled together."""

    def _store(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            for delivery in entry.deliveries:
                self._submit(delivery)
        super()._store(entries)


class ForgetsTheOutbox(Driver):
    """Planted: recovery folds the log and hands nothing over again."""

    def recover(self) -> int:
        for entry in self.journal.read(self.engine.state.position):
            self.engine.apply(entry)
            if isinstance(entry.command, Wake):
                self._woken_at = entry.now
        self.journal.mark_submitted(self.engine.state.position)
        return 0


DRIVERS = {
    kind.__name__: kind
    for kind in (Driver, MarksBeforeSubmit, SubmitsBeforeAppend, SubmitsBatchBeforeAppend, ForgetsTheOutbox)
}

_TRACED = {
    driver_module.__file__: "driver",
    sqlite_journal.__file__: "journal",
    async_driver.__file__: "async",
    __file__: "child",
}
_CHILD_FUNCTIONS = ("feed_one_by_one", "feed_together", "_step", "_store")


def gap(module: str, function: str, text: str, frame: FrameType) -> str:
    """The name of the gap between two statements of the loop in which the line `text` is about to run."""
    if module == "journal":
        return f"inside the journal's {function}"
    if module == "async":
        return "in the asyncio driver"
    if function.startswith("feed"):
        return "in the feeder"
    if function == "recover":
        return "recover"
    if "wake" in function:
        return "wake"
    if text.startswith("outcome ="):
        return "before decide"
    if text.startswith(("entry = Entry", "self.journal.append", "entries.append")) or function == "_store":
        return "decide | append"
    if text.startswith(("engine.apply", "self.engine.apply")):
        return "append | apply" if function == "_step" else "decide | append"
    if text.startswith("self._submit"):
        first = frame.f_locals["entry"].deliveries[0] is frame.f_locals["delivery"]
        return "apply | submit" if first else "submit | submit"
    if function == "_submit":
        return "inside submit"
    if text.startswith(("mark = entry", "if mark", "self.journal.mark_submitted")):
        return "submit | mark"
    if text.startswith("return entr"):
        return "mark | return"
    return "elsewhere in the loop"


class Points:
    """Counts the line events of the loop, and ends the process at one of them."""

    def __init__(self, job: Job) -> None:
        self.kill_at = job.kill_at
        self.kills = os.open(Path(job.folder) / "kills", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.passed: list[tuple[str, str]] | None = [] if job.count else None
        self.count = 0

    def on_call(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        code = frame.f_code
        module = _TRACED.get(code.co_filename)
        if module is None or (module == "child" and code.co_name not in _CHILD_FUNCTIONS):
            return None
        return self.on_line

    def on_line(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        if event == "line":
            self.count += 1
            if self.passed is not None:
                self.passed.append(self.named(frame))
            if self.count == self.kill_at:
                os.write(self.kills, (json.dumps(self.named(frame)) + "\n").encode())
                os.kill(os.getpid(), signal.SIGKILL)
        return self.on_line

    def named(self, frame: FrameType) -> tuple[str, str]:
        """The point as (gap, line)."""
        code = frame.f_code
        module = _TRACED[code.co_filename]
        text = linecache.getline(code.co_filename, frame.f_lineno).strip()
        return gap(module, code.co_name, text, frame), f"{module}.{code.co_name}: {text}"


def slice_of_a_log() -> list[Entry]:
    """The first entries of a log, the same ones in every process: a hand-made one unless `CRASH_LOG` names a file."""
    named = os.environ.get("CRASH_LOG")
    if named is None:
        return record(40)[:SLICE]
    return [decode_entry(line) for line in Path(named).read_bytes().splitlines()][:SLICE]


def live(job: Job, commands: list[tuple[External, int]]) -> None:
    """One life: recover, feed what was not acknowledged yet, write the engine's state at the end."""
    folder = Path(job.folder)
    points = Points(job)
    sys.settrace(points.on_call)
    with SQLiteJournal(folder / "journal.db") as journal:
        driver = DRIVERS[job.driver](journal, dict.fromkeys(GATEWAYS, FileGateway(folder / "submitted")))
        if job.mode == "single":
            feed_one_by_one(driver, commands, folder / "cursor")
        else:
            asyncio.run(feed_together(AsyncDriver(driver, RecordedClock(), batch=WINDOW), commands, folder / "cursor"))
    sys.settrace(None)
    (folder / "state").write_bytes(encode_state(driver.engine.state))
    if points.passed is not None:
        (folder / "points").write_text(json.dumps(points.passed), encoding="utf-8")


def feed_one_by_one(driver: Driver, commands: list[tuple[External, int]], cursor: Path) -> None:
    """An at-least-once source: it notes how far it is only after the command was handled."""
    driver.recover()
    for number in range(acknowledged(cursor), len(commands)):
        command, now = commands[number]
        driver.wake_before(now)
        driver.handle(command, now)
        acknowledge(cursor, number + 1)


async def feed_together(driver: AsyncDriver, commands: list[tuple[External, int]], cursor: Path) -> None:
    """The same source, sending some commands at a time."""
    await driver.start()
    for number in range(acknowledged(cursor), len(commands), WINDOW):
        sent = commands[number : number + WINDOW]
        await asyncio.gather(*[driver.handle(command, now) for command, now in sent])
        acknowledge(cursor, number + len(sent))
    await driver.stop()


def acknowledged(cursor: Path) -> int:
    """How many commands the source knows to be handled."""
    return int(cursor.read_text(encoding="utf-8")) if cursor.exists() else 0


def acknowledge(cursor: Path, count: int) -> None:
    """Note it in one step, so that a kill leaves the old number or the new one."""
    fresh = cursor.with_suffix(".new")
    fresh.write_text(str(count), encoding="utf-8")
    fresh.replace(cursor)


def main() -> None:
    """The nursery."""
    commands = externals(slice_of_a_log())
    for line in sys.stdin:
        job = msgspec.json.decode(line, type=Job)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                live(job, commands)
                code = 0
            finally:
                # Whatever was raised is printed first; the fork must not fall back into the parent's loop.
                if code:
                    sys.excepthook(*sys.exc_info())
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
