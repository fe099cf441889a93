"""The time axis of a report: buckets of one width, few enough to be drawn and read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

__all__ = ["DAY_MS", "HOUR_MS", "Grid", "date_text", "grid_over", "instant_text"]

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

_WIDTHS: Final = (
    (HOUR_MS, "hour", 72),
    (DAY_MS, "day", 120),
    (7 * DAY_MS, "week", 120),
    (28 * DAY_MS, "4 weeks", 120),
    (364 * DAY_MS, "52 weeks", 1 << 62),
)
"""Width in ms, its name, and how many of them may stand side by side before the next width is taken."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Grid(Struct, frozen=True):
    """`count` buckets of `width_ms` from `start_ms`; `name` says what one bucket is (day, week, ...)."""

    start_ms: int
    width_ms: int
    count: int
    name: str

    def bucket(self, at: int) -> int:
        """The bucket that holds the instant; one outside is counted to the first or the last."""
        return min(max((at - self.start_ms) // self.width_ms, 0), self.count - 1)

    def start_of(self, bucket: int) -> int:
        """Where the bucket begins, in ms since the epoch."""
        return self.start_ms + bucket * self.width_ms


def grid_over(start_ms: int, end_ms: int) -> Grid:
    """Hours for a run of up to three days, else days, weeks or longer, so that about 120 buckets are not exceeded.

    The first bucket begins at the UTC midnight (or full hour) at or before the start.
    """
    for width, name, most in _WIDTHS:
        first = start_ms - start_ms % min(width, DAY_MS)
        count = max(1, -((first - end_ms) // width))
        if count <= most:
            return Grid(first, width, count, name)
    raise AssertionError("the last width takes any number of buckets")


def _utc(at: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at)


def date_text(at: int, *, year: bool = False) -> str:
    """`1 Mar`, with the year where asked for; UTC."""
    when = _utc(at)
    text = f"{when.day} {_MONTHS[when.month - 1]}"
    return f"{text} {when.year}" if year else text


def instant_text(at: int) -> str:
    """`2010-03-01 09:30` in UTC."""
    return _utc(at).strftime("%Y-%m-%d %H:%M")


def weekday(at: int) -> int:
    """0 for Monday; UTC."""
    return _utc(at).weekday()
