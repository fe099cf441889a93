"""Remembering message keys for a declared retention, in bounded memory.

Two generations of keys: a key is looked up in both, and the older generation is dropped once everything in it is
past the retention. Times are kept, so that the retention is exact and not rounded to a generation. Messages stamped
ahead of the clock are kept apart: they are new for longer. A retention that changes doubles nothing: a shorter one
drops no key within it, and since a longer one does not bring back what was dropped, `forgotten` says up to when.
"""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Seen", "command_key", "credit_key", "remember", "was_seen"]


class Seen(Struct):
    """Keys with the instant (ms) at which each was first accepted; in `ahead` with the later one it is stamped.

    Of messages up to the instant `forgotten` some may be unknown though they were accepted.
    """

    young: dict[str, int] = {}
    old: dict[str, int] = {}
    turned_at: int = 0
    ahead: dict[str, int] = {}
    forgotten: int = -1


def command_key(source: str, id: str) -> str:
    """The key of a message. The length keeps `a|b` from `c` apart from `b` from `c|a`, and all from credits' keys."""
    return f"{len(source)}|{source}|{id}"


def credit_key(credit: str) -> str:
    """The key of a credit note's own id: the same credit in another message is a duplicate too."""
    return f"|credit|{credit}"


def was_seen(seen: Seen, key: str, now: int, retention_ms: int) -> bool:
    """Whether `key` was remembered less than `retention_ms` ago."""
    at = seen.young.get(key)
    if at is None:
        at = seen.old.get(key)
    if at is not None and now - at < retention_ms:
        return True
    if not seen.ahead:
        return False
    at = seen.ahead.get(key)
    return at is not None and now - at < retention_ms


def remember(seen: Seen, key: str, now: int, retention_ms: int, stamped: int = 0) -> None:
    """Remember `key` from now on, or from the instant that it is `stamped` if later; forgets in bulk what is past.

    A message stamped ahead of the clock is too old only a retention after its stamp, and must be known until then.
    """
    if now - seen.turned_at >= retention_ms:
        if seen.old or seen.young or seen.ahead:
            seen.forgotten = max(seen.forgotten, now - retention_ms)
        seen.old = seen.young
        if now - seen.turned_at >= 2 * retention_ms:
            seen.old = {other: at for other, at in seen.old.items() if now - at < retention_ms}
        seen.young = {}
        seen.turned_at = now
        if seen.ahead:
            seen.ahead = {other: at for other, at in seen.ahead.items() if now - at < retention_ms}
    if stamped > now:
        seen.ahead[key] = stamped
    else:
        seen.young[key] = now
