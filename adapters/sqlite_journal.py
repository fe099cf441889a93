"""The durable log of entries in one SQLite file, with its digest chain and the outbox mark."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike, fspath
from typing import Final, Self

from twin.codec import FORMAT, GENESIS, CodecError, decode_entry, encode_entry, link
from twin.core.entry import Entry
from twin.ports import JournalConflict, Position

__all__ = ["JournalError", "SQLiteJournal"]

# "OrdT", written to the file's header, so that a database of something else is never taken for a journal.
APPLICATION_ID: Final = 0x4F726454
PAGE: Final = 1_000
"""Entries read in one go; no read transaction stays open between two pages."""

_SCHEMA: Final = (
    "CREATE TABLE entries (position INTEGER PRIMARY KEY, payload BLOB NOT NULL, digest BLOB NOT NULL)",
    "CREATE TABLE mark (one INTEGER PRIMARY KEY CHECK (one = 1), submitted INTEGER NOT NULL)",
    "INSERT INTO mark VALUES (1, 0)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT}",
)


class JournalError(Exception):
    """The journal's file cannot be used; the text names the file, what is wrong and what would help."""


class SQLiteJournal:
    """A `Journal` in one SQLite file in WAL mode; makes the file where there is none.

    `append` has reached the disk when it returns (`synchronous = FULL`), so it outlives SIGKILL and a power cut. The
    outbox mark outlives SIGKILL; a power cut may take it back to an older one, never past an entry, which submits
    some deliveries again under their old keys. One process writes; others may read meanwhile, and a second writer's
    append is a `JournalConflict`. Use it in the thread that made it. Raises `JournalError` where the file is no
    journal, is of another version, is damaged, or stays locked for longer than `patience_ms`.
    """

    def __init__(self, path: str | PathLike[str], *, patience_ms: int = 5_000) -> None:
        self.path = fspath(path)
        with self._explained():
            self._connection = sqlite3.connect(self.path, timeout=patience_ms / 1000, isolation_level=None)
        try:
            self._open()
        except BaseException:
            self._connection.close()
            raise

    def append(self, entries: Sequence[Entry], expected: Position) -> Position:
        """Store entries after `expected` in one transaction; returns the new last position.

        Raises `JournalConflict` where the journal's last position is another one or the entries are not numbered
        from `expected` + 1 on; nothing is stored then.
        """
        connection = self._connection
        with self._explained():
            connection.execute("BEGIN IMMEDIATE")
            try:
                position, digest = self._last()
                if position != expected:
                    raise JournalConflict(f"{self.path}: entry {position} is the last one, not {expected}")
                rows = []
                for entry in entries:
                    position += 1
                    if entry.position != position:
                        raise JournalConflict(f"{self.path}: entry {entry.position} cannot be stored as {position}")
                    payload = encode_entry(entry)
                    digest = link(digest, payload)
                    rows.append((position, payload, digest))
                connection.executemany("INSERT INTO entries VALUES (?, ?, ?)", rows)
                connection.execute("COMMIT")
            except BaseException:
                # A COMMIT that failed may have ended the transaction itself.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        return position

    def read(self, after: Position) -> Iterator[Entry]:
        """Entries after a position, in order, with what is appended meanwhile.

        Raises `JournalError` at the first entry that is missing, unreadable or breaks the digest chain.
        """
        digest = self.digest_at(after)
        position = after
        while True:
            with self._explained():
                rows = self._connection.execute(
                    "SELECT position, CAST(payload AS BLOB), digest FROM entries WHERE position > ? "
                    "ORDER BY position LIMIT ?",
                    (position, PAGE),
                ).fetchall()
            for number, payload, stored in rows:
                position += 1
                if number != position:
                    raise self._damaged(position, "it is missing")
                digest = link(digest, payload)
                if digest != stored:
                    raise self._damaged(position, "the digest chain breaks there")
                try:
                    entry = decode_entry(payload)
                except CodecError as error:
                    raise self._damaged(position, str(error)) from error
                if entry.position != position:
                    raise self._damaged(position, f"it says that it is entry {entry.position}")
                yield entry
            if len(rows) < PAGE:
                return

    def submitted(self) -> Position:
        """The last position whose deliveries were all handed over; 0 before the first."""
        with self._explained():
            row = self._connection.execute("SELECT submitted FROM mark").fetchone()
        if row is None:
            raise JournalError(f"{self.path}: the outbox mark is missing; restore the file from a backup")
        return int(row[0])

    def mark_submitted(self, position: Position) -> None:
        """Note that deliveries up to `position` were handed over; the mark never runs back."""
        with self._explained():
            # A lost mark costs repetitions only, so it is not worth a disk flush of its own. The write-ahead log is
            # one sequence: whatever is appended later and flushed brings the mark with it.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            try:
                self._connection.execute("UPDATE mark SET submitted = ? WHERE submitted < ?", (position, position))
            finally:
                self._connection.execute("PRAGMA synchronous = FULL")

    @property
    def position(self) -> Position:
        """The last entry's position; 0 before the first."""
        with self._explained():
            return self._last()[0]

    @property
    def digest(self) -> bytes:
        """The digest chain's last link, as the twin computes it; `codec.GENESIS` before the first entry."""
        with self._explained():
            return self._last()[1]

    def digest_at(self, position: Position) -> bytes:
        """The digest chain's link at a position. Raises `JournalError` where there is no such entry."""
        if position == 0:
            return GENESIS
        with self._explained():
            row = self._connection.execute("SELECT digest FROM entries WHERE position = ?", (position,)).fetchone()
        if row is None:
            raise self._damaged(position, "it is missing")
        return bytes(row[0])

    def close(self) -> None:
        """Flush the write-ahead log into the file and let go of it; closing twice is harmless."""
        with self._explained():
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _last(self) -> tuple[Position, bytes]:
        row = self._connection.execute("SELECT position, digest FROM entries ORDER BY position DESC LIMIT 1").fetchone()
        return (0, GENESIS) if row is None else (int(row[0]), bytes(row[1]))

    def _open(self) -> None:
        with self._explained():
            connection = self._connection
            if not self._made():
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("BEGIN IMMEDIATE")
                # Somebody else may have made it between the two looks.
                if not self._made():
                    for statement in _SCHEMA:
                        connection.execute(statement)
                connection.execute("COMMIT")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("SELECT submitted FROM mark").fetchone()
            self._last()

    def _made(self) -> bool:
        """Whether the file is a journal already; False where it is empty. Raises `JournalError` otherwise."""
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application == 0 and tables == 0:
            return False
        if application != APPLICATION_ID:
            raise JournalError(f"{self.path}: a SQLite database of something else; give the journal a file of its own")
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version != FORMAT:
            raise JournalError(
                f"{self.path}: a journal of format {version}, this version reads and writes format {FORMAT}; "
                "open it with the version that wrote it"
            )
        return True

    def _damaged(self, position: Position, what: str) -> JournalError:
        return JournalError(f"{self.path}: entry {position} is damaged: {what}; restore the file from a backup")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """SQLite's errors as `JournalError`s that say what to do."""
        try:
            yield
        except sqlite3.Error as error:
            text = str(error)
            if "locked" in text:
                remedy = "another process is writing to it; a journal has one writer"
            elif "not a database" in text:
                remedy = "this is no journal; name another file"
            elif "unable to open" in text:
                remedy = "the folder must exist and be writable"
            elif "full" in text:
                remedy = "free some space and start again; nothing that was acknowledged is lost"
            elif "closed" in text:
                remedy = "open it again"
            else:
                remedy = "check the disk, or restore the file from a backup"
            raise JournalError(f"{self.path}: {text}: {remedy}") from error
