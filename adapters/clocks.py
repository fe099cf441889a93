"""Where a driver's `now` comes from: the wall clock, or each command when a recorded log is fed again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import time_ns
from typing import Final, Protocol

__all__ = ["Clock", "RecordedClock", "SystemClock"]

LONGEST_SLEEP_MS: Final = 60_000
"""The event loop's clock does not follow when the wall clock is set: look at it again at least this often."""


class Clock(Protocol):
    """The time, and something that rings."""

    def now(self) -> int:
        """Milliseconds since the Unix epoch; may run back, which the driver evens out."""
        ...

    def ring(self, at: int, bell: Callable[[], None]) -> Callable[[], None]:
        """Call `bell` once, at or before the instant `at`, in the running event loop; returns what calls it off."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Milliseconds since the Unix epoch."""
        return time_ns() // 1_000_000

    def ring(self, at: int, bell: Callable[[], None]) -> Callable[[], None]:
        """Call `bell` at `at`, or after a minute if that is sooner; returns what calls it off."""
        wait_ms = min(max(at - self.now(), 0), LONGEST_SLEEP_MS)
        return asyncio.get_running_loop().call_later(wait_ms / 1000, bell).cancel


class RecordedClock:
    """Time that only commands carry. It never rings: timers are fed as later commands pass them."""

    def now(self) -> int:
        """0: no time of its own, so the driver stays where the last command brought it."""
        return 0

    def ring(self, at: int, bell: Callable[[], None]) -> Callable[[], None]:
        """Nothing rings, and there is nothing to call off."""
        return _nothing


def _nothing() -> None:
    return None
