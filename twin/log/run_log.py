"""The log of a run: a journal that streams entries into Parquet parts, and one that keeps them in memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from twin.codec import GENESIS, decode_entry, encode_entry, link
from twin.core.entry import Entry
from twin.log.correlation import COMMANDS, from_outcome
from twin.log.errors import RunError
from twin.log.parts import ENTRIES, Part, Texts, columns_of, find_parts, write_part
from twin.ports import JournalConflict, Position

__all__ = ["MemoryLog", "RunLog"]

PART_BYTES: Final = 1 << 25
"""A part is closed beyond this much JSON, whatever its rows: offsets in it are 32 bits wide."""


class MemoryLog:
    """A journal in memory, for tests and forks. `position` and `digest` (16 bytes) are those of the last entry.

    A fork starts at the `position` and `digest` of its parent and holds only its own entries.
    """

    def __init__(self, position: int = 0, digest: bytes = GENESIS) -> None:
        self.position = position
        self.digest = digest
        self.entries: list[Entry] = []
        self._start = position
        self._submitted = position

    def append(self, entries: Sequence[Entry], expected: Position) -> Position:
        """Store entries after `expected`, all or none. Raises `JournalConflict`."""
        encoded = _encoded(entries, expected, self.position)
        for data in encoded:
            self.digest = link(self.digest, data)
        self.entries.extend(entries)
        self.position += len(encoded)
        return self.position

    def read(self, after: Position) -> Iterator[Entry]:
        """Entries after a position, in order. Raises `LookupError` for positions before the fork."""
        if after < self._start:
            raise LookupError(f"this log begins after position {self._start}; earlier entries are in its parent")
        return iter(self.entries[after - self._start :])

    def submitted(self) -> Position:
        """The last position whose deliveries were all handed over."""
        return self._submitted

    def mark_submitted(self, position: Position) -> None:
        """Note that deliveries up to `position` were handed over."""
        self._submitted = position


class RunLog:
    """A journal that streams entries into `folder/entries/part-NNNNN.parquet`.

    Columns: position and at (ms) int64; type, subject, correlation and payload (the entry's JSON) text. `position`
    and `digest` (16 bytes) are those of the last entry; the digest is a chain over the entries' JSON and does not
    depend on `part_rows`. To go on from a snapshot, give its `position` and `digest`. The mark of what was submitted
    is kept in memory only: a run that breaks is run again. Raises `RunError` where the folder holds other entries.
    """

    def __init__(self, folder: Path, part_rows: int = 65536, position: int = 0, digest: bytes = GENESIS) -> None:
        self.folder = folder / ENTRIES
        self.part_rows = part_rows
        self.position = position
        self.digest = digest
        self._start = position
        self._submitted = position
        self._parts = find_parts(self.folder)
        if self._parts:
            before = self._parts[-1]
            if before.last != position or before.digest != digest:
                raise RunError(
                    f"{folder} holds entries up to {before.last} of a run already; this one goes on after {position}. "
                    "Choose an empty folder"
                )
            self._start = self._parts[0].first - 1
        self._clear()

    def append(self, entries: Sequence[Entry], expected: Position) -> Position:
        """Store entries after `expected`, all or none. Raises `JournalConflict`."""
        # The usual case by far is one entry; the checks are the same.
        if len(entries) == 1 and expected == self.position and entries[0].position == expected + 1:
            self._store(entries[0], encode_entry(entries[0]))
        else:
            for entry, data in zip(entries, _encoded(entries, expected, self.position), strict=True):
                self._store(entry, data)
        if len(self._at) >= self.part_rows or len(self._payload) > PART_BYTES:
            self.close_part()
        return self.position

    def _store(self, entry: Entry, data: bytes) -> None:
        self.digest = link(self.digest, data)
        self.position = entry.position
        command = entry.command
        tag, subject, correlation = COMMANDS[type(command)]
        payload = self._payload
        payload += data
        self._ends.append(len(payload))
        # Lists of scalars: a tuple a row is one more object that the collector looks at until the part is written.
        self._at.append(entry.now)
        self._types.append(tag)
        self._subjects.append(subject(command))
        self._correlations.append(from_outcome(entry) if correlation is None else correlation(command))

    def read(self, after: Position) -> Iterator[Entry]:
        """Entries after a position, in order. Raises `LookupError` for positions before the fork."""
        if after < self._start:
            raise LookupError(f"this log begins after position {self._start}; earlier entries are in its parent")
        for part in self._parts:
            if part.last > after:
                for batch in columns_of(part, ("payload",), after):
                    for text in batch["payload"]:
                        yield decode_entry(text)
        ends = self._ends
        rows = len(self._at)
        for index in range(max(0, after - self.position + rows), rows):
            yield decode_entry(bytes(self._payload[ends[index] : ends[index + 1]]))

    def submitted(self) -> Position:
        """The last position whose deliveries were all handed over."""
        return self._submitted

    def mark_submitted(self, position: Position) -> None:
        """Note that deliveries up to `position` were handed over."""
        self._submitted = position

    @property
    def parts(self) -> list[Part]:
        """The finished parts so far."""
        return list(self._parts)

    def close_part(self) -> None:
        """Write what is buffered as a part, as a snapshot does; nothing where nothing is buffered."""
        rows = len(self._at)
        if not rows:
            return
        first = self.position - rows + 1
        self._parts.append(
            write_part(
                self.folder,
                self._parts[-1].number + 1 if self._parts else 0,
                (
                    ("position", range(first, self.position + 1)),
                    ("at", self._at),
                    ("type", self._types),
                    ("subject", self._subjects),
                    ("correlation", self._correlations),
                    ("payload", Texts(self._payload, self._ends)),
                ),
                first=first,
                last=self.position,
                digest=self.digest,
            )
        )
        self._clear()

    def close(self) -> None:
        """Write the last part. The log can still be read."""
        self.close_part()

    def _clear(self) -> None:
        self._at: list[int] = []
        self._types: list[str] = []
        self._subjects: list[str] = []
        self._correlations: list[str] = []
        # One buffer that Parquet takes as it is: half a microsecond an entry instead of several.
        self._payload = bytearray()
        self._ends = array("i", (0,))


def _encoded(entries: Sequence[Entry], expected: Position, position: Position) -> list[bytes]:
    """The entries' JSON, all before anything is stored; raises `JournalConflict` where they do not follow."""
    if expected != position:
        raise JournalConflict(f"the log is at {position}, not at {expected}")
    follows = expected
    for entry in entries:
        follows += 1
        if entry.position != follows:
            raise JournalConflict(f"entry {entry.position} cannot be stored as entry {follows}")
    return [encode_entry(entry) for entry in entries]
