"""When what an entry tells of happened, and instants as text: ISO 8601 (RFC 3339) in UTC, with milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from twin.core.commands import Wake
from twin.core.entry import Entry

__all__ = ["happened_at", "iso"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def happened_at(entry: Entry) -> int:
    """When (ms) what an entry tells of happened at its source, which is earlier than the engine heard of it."""
    command = entry.command
    return entry.now if isinstance(command, Wake) or not command.time else min(entry.now, command.time)


def iso(ms: int) -> str:
    """An instant in ms since 1970 as `2025-11-17T00:00:00.000Z`; exact, since no float is on the way."""
    return f"{(EPOCH + timedelta(milliseconds=ms)).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
