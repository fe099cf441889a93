"""A recorded log through the production driver: commands from outside are fed again, wakes must come by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from os import PathLike
from typing import Final

from adapters.async_driver import AsyncDriver
from adapters.clocks import RecordedClock
from adapters.sqlite_journal import SQLiteJournal
from twin.core.commands import External, Wake
from twin.core.effects import Delivery
from twin.core.entry import Entry
from twin.driver import Driver
from twin.ports import Gateway

__all__ = ["Diverged", "Swallow", "refeed", "refeed_run"]

WINDOW: Final = 500
"""Commands handed over before their entries are awaited and compared."""


class Diverged(Exception):
    """The log came out otherwise than it was recorded; the text names the first entry that differs."""


class Swallow:
    """A gateway for every kind: what the counterparts answered is in the recorded log already."""

    def submit(self, delivery: Delivery) -> None:
        """Nothing is sent."""


async def refeed(entries: Iterable[Entry], driver: AsyncDriver) -> int:
    """Feed the commands from outside of a recorded log, at their recorded instants, to a started driver.

    `driver` runs on a `RecordedClock`; entries that its journal holds already are skipped, so a refeed that was
    cut off goes on where it stopped. Returns the last position. Raises `Diverged` at the first command that gets
    another position, instant or outcome than recorded, or where the recorded wakes do not come by themselves.
    """
    window: list[tuple[Entry, External]] = []
    last: Entry | None = None
    done = driver.driver.engine.state.position
    for entry in entries:
        last = entry
        command = entry.command
        if entry.position > done and not isinstance(command, Wake):
            window.append((entry, command))
            if len(window) == WINDOW:
                await _feed(window, driver)
                window = []
    await _feed(window, driver)
    if last is None:
        return done
    position = driver.driver.engine.state.position
    if position < last.position:
        await driver.wake(last.now, last.position - position)
        position = driver.driver.engine.state.position
    if position != last.position:
        raise Diverged(f"the recorded log ends at entry {last.position}, this one at entry {position}")
    return position


def refeed_run(entries: Iterable[Entry], journal_path: str | PathLike[str], *, batch: int = 50) -> bytes:
    """Feed a recorded log to the production driver on a `SQLiteJournal`; returns the journal's digest.

    Raises `Diverged`, and `JournalError` where the file cannot be used.
    """

    async def run(journal: SQLiteJournal) -> bytes:
        driver = AsyncDriver(Driver(journal, _Everyone()), RecordedClock(), batch=batch)
        await driver.start()
        try:
            await refeed(entries, driver)
        finally:
            await driver.stop()
        return journal.digest

    with SQLiteJournal(journal_path) as journal:
        return asyncio.run(run(journal))


async def _feed(window: list[tuple[Entry, External]], driver: AsyncDriver) -> None:
    # Tasks start in the order they are made, so the commands arrive in theirs.
    fed = await asyncio.gather(*[driver.handle(command, recorded.now) for recorded, command in window])
    for (recorded, _), entry in zip(window, fed, strict=True):
        if entry != recorded:
            raise Diverged(_difference(recorded, entry))


def _difference(recorded: Entry, entry: Entry) -> str:
    for field in Entry.__struct_fields__:
        was, is_now = getattr(recorded, field), getattr(entry, field)
        if was != is_now:
            return f"entry {recorded.position}: {field} was recorded as {was!r} and is {is_now!r}"
    return f"entry {recorded.position}"


class _Everyone(dict[str, Gateway]):
    """Every gateway there could be, swallowing."""

    def __missing__(self, kind: str) -> Gateway:
        return self.setdefault(kind, Swallow())

    def get(self, kind: str, default: object = None) -> Gateway:
        """The gateway of that name."""
        return self[kind]
