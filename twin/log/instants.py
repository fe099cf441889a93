"""Instants as text: ISO 8601 (RFC 3339) in UTC, with milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["iso"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def iso(ms: int) -> str:
    """An instant in ms since 1970 as `2025-11-17T00:00:00.000Z`; exact, since no float is on the way."""
    return f"{(EPOCH + timedelta(milliseconds=ms)).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
