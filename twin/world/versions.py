"""Versions of an interface's contract while a new one is rolled out: which one a message is in, and who reads it.

Instances on either side go over one by one, so that messages in both versions meet readers of both for a while.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from twin.streams import Streams

__all__ = ["Rollout", "Turn"]

WORD: Final = 64
"""Bits of a draw."""


class Turn(Struct, frozen=True):
    """One side goes over from `from_ms` on, all of it `lasts_ms` later."""

    from_ms: int
    lasts_ms: int

    def over(self, now: int, bits: int) -> bool:
        """Whether the instance that a message meets has gone over; `bits` are its luck."""
        elapsed = now - self.from_ms
        return elapsed >= 0 and (elapsed >= self.lasts_ms or bits * self.lasts_ms < elapsed << WORD)


class Rollout(Struct, frozen=True):
    """From version `old` to `new` of calls, or of reports, which are sent again `again_ms` later where nobody could
    read them (0: calls). Readers read their `own` version, `older` ones too, or `any`.
    """

    old: str
    new: str
    sender: Turn
    reader: Turn
    reads: str
    again_ms: int = 0

    def versions(self, streams: Streams, interface: str, message: str, attempt: int, now: int) -> tuple[bool, bool]:
        """Whether a message that comes now is written in the new version, and whether its reader is new.

        An attempt meets an instance of its own on either side.
        """
        key = (interface, message, attempt)
        written = self.sender.over(now, streams.bits("version", "sender", *key))
        return written, self.reader.over(now, streams.bits("version", "reader", *key))

    def begun(self, now: int) -> bool:
        """Whether any side has begun to go over."""
        return now >= min(self.sender.from_ms, self.reader.from_ms)

    def name(self, is_new: bool) -> str:
        """The version."""
        return self.new if is_new else self.old

    def readable(self, written: bool, reader: bool) -> bool:
        """Whether a reader, new or not, understands a message that is written in the new version or not."""
        return written == reader or self.reads == "any" or (self.reads == "older" and reader)
