"""The seams between the engine and what is around it: gateways outward, the journal inward."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from twin.core.effects import Delivery
from twin.core.entry import Entry

__all__ = ["Gateway", "Journal", "JournalConflict", "Position"]

Position = int
"""The number of the last entry, counted from 1; 0 before the first."""


class JournalConflict(Exception):
    """Somebody else appended meanwhile; the driver discards its engine and folds again."""


class Gateway(Protocol):
    """One outside system, simulated or real.

    `submit` promises: it never blocks; the same key twice causes one act, as far as the counterpart honors it;
    replies arrive as commands: none, one or many, in any order; a counterpart's failure is a command, never an
    exception; no reply arrives before `submit` returns.
    """

    def submit(self, delivery: Delivery) -> None:
        """Send a delivery on its way."""
        ...


class Journal(Protocol):
    """The durable log of entries, and how far its deliveries were handed to the gateways (the outbox mark)."""

    def append(self, entries: Sequence[Entry], expected: Position) -> Position:
        """Store entries after `expected`, all or none; returns the new last position. Raises `JournalConflict`."""
        ...

    def read(self, after: Position) -> Iterator[Entry]:
        """Entries after a position, in order."""
        ...

    def submitted(self) -> Position:
        """The last position whose deliveries were all handed over."""
        ...

    def mark_submitted(self, position: Position) -> None:
        """Note that deliveries up to `position` were handed over."""
        ...
