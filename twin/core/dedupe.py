"""Remembering message keys for a declared retention, in bounded memory.

Two generations of keys: a key is looked up in both, and the older generation is dropped once everything in it is
past the retention. Times are kept, so that the retention is exact and not rounded to a generation.
"""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Seen", "credit_key", "remember", "was_seen"]


class Seen(Struct):
    """Keys with the instant (ms) at which each was first accepted."""

    young: dict[str, int] = {}
    old: dict[str, int] = {}
    turned_at: int = 0


def credit_key(credit: str) -> str:
    """The key of a credit note's own id: the same credit in another message is a duplicate too."""
    return f"|credit|{credit}"


def was_seen(seen: Seen, key: str, now: int, retention_ms: int) -> bool:
    """Whether `key` was remembered less than `retention_ms` ago."""
    at = seen.young.get(key)
    if at is None:
        at = seen.old.get(key)
    return at is not None and now - at < retention_ms


def remember(seen: Seen, key: str, now: int, retention_ms: int) -> None:
    """Remember `key` from now on; forgets in bulk what is past the retention."""
    if now - seen.turned_at >= retention_ms:
        seen.old = seen.young if now - seen.turned_at < 2 * retention_ms else {}
        seen.young = {}
        seen.turned_at = now
    seen.young[key] = now
