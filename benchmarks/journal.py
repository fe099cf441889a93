"""Entries per second into the durable journal, and folded out of it again, as JSON lines.

The log is that of a small business with acknowledged deliveries, timeouts and retries. `append` is the journal
alone, `driver` the whole production loop around it: decide, append, apply, submit, mark. One line is the
alternative that was turned down (docs/adr); it is left out where its package is not installed. Wall-clock time,
since waiting for the disk is what is measured. Run as `python -m benchmarks.journal`.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from uuid import UUID

from adapters.refeed import refeed_run
from adapters.sqlite_journal import SQLiteJournal
from tests.adapters.recorded import record
from twin.codec import GENESIS, encode_entry, link
from twin.core.engine import Engine
from twin.core.entry import Entry

ORDERS = 600
BATCHES = (1, 50)
REPEATS = 3
"""Each figure is the median of so many."""

Append = Callable[[Sequence[Entry], int], object]


def batches(entries: Sequence[Entry], size: int) -> list[Sequence[Entry]]:
    return [entries[start : start + size] for start in range(0, len(entries), size)]


def per_second(entries: Sequence[Entry], append: Append, size: int) -> float:
    start = perf_counter()
    position = 0
    for batch in batches(entries, size):
        append(batch, position)
        position += len(batch)
    return len(entries) / (perf_counter() - start)


def ours(folder: Path, entries: Sequence[Entry], size: int) -> float:
    with SQLiteJournal(folder / "journal.db") as journal:

        def append(batch: Sequence[Entry], position: int) -> None:
            journal.append(batch, position)
            journal.mark_submitted(position + len(batch))

        return per_second(entries, append, size)


def recorder(folder: Path, entries: Sequence[Entry], size: int, synchronous: str) -> float:
    """The process recorder of the package eventsourcing, storing the same bytes, links and marks."""
    from eventsourcing.persistence import StoredEvent, Tracking
    from eventsourcing.sqlite import SQLiteDatastore, SQLiteProcessRecorder

    store = SQLiteDatastore(str(folder / "events.db"))
    with store.get_connection(commit=True) as connection:
        connection.cursor().execute(f"PRAGMA synchronous = {synchronous}")
    recorder = SQLiteProcessRecorder(store)
    recorder.create_table()
    business = UUID(int=1)
    chain = [GENESIS]

    def append(batch: Sequence[Entry], position: int) -> None:
        events = []
        for entry in batch:
            payload = encode_entry(entry)
            chain[0] = link(chain[0], payload)
            events.append(StoredEvent(business, entry.position, "entry", chain[0] + payload))
        recorder.insert_events(events)
        recorder.insert_tracking(Tracking("outbox", position + len(batch)))

    speed = per_second(entries, append, size)
    store.close()
    return speed


def driver(folder: Path, entries: Sequence[Entry], size: int) -> float:
    start = perf_counter()
    refeed_run(entries, folder / "journal.db", batch=size)
    return len(entries) / (perf_counter() - start)


def fold(folder: Path, entries: Sequence[Entry]) -> float:
    with SQLiteJournal(folder / "journal.db") as journal:
        journal.append(entries, 0)
        start = perf_counter()
        engine = Engine()
        for entry in journal.read(0):
            engine.apply(entry)
        return len(entries) / (perf_counter() - start)


def median(measure: Callable[[Path], float]) -> float:
    figures = []
    for _ in range(REPEATS):
        with TemporaryDirectory() as folder:
            figures.append(measure(Path(folder)))
    return sorted(figures)[REPEATS // 2]


def say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def main() -> None:
    entries = record(ORDERS)
    bytes_each = sum(len(encode_entry(entry)) for entry in entries) // len(entries)
    say(
        benchmark="journal",
        machine=platform.machine(),
        python=sys.version.split()[0],
        sqlite=sqlite3.sqlite_version,
        entries=len(entries),
        bytes_per_entry=bytes_each,
    )
    for size in BATCHES:
        speed = median(lambda folder, size=size: ours(folder, entries, size))
        say(benchmark="journal.append", journal="SQLiteJournal", batch=size, entries_per_second=round(speed))
    if importlib.util.find_spec("eventsourcing") is not None:
        for synchronous in ("FULL", "NORMAL"):
            for size in BATCHES:
                speed = median(lambda folder, size=size, sync=synchronous: recorder(folder, entries, size, sync))
                say(
                    benchmark="journal.append",
                    journal="eventsourcing",
                    synchronous=synchronous,
                    batch=size,
                    entries_per_second=round(speed),
                )
    for size in BATCHES:
        speed = median(lambda folder, size=size: driver(folder, entries, size))
        say(benchmark="journal.driver", journal="SQLiteJournal", batch=size, entries_per_second=round(speed))
    say(benchmark="journal.fold", entries_per_second=round(median(lambda folder: fold(folder, entries))))


if __name__ == "__main__":
    main()
