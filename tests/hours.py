"""Working time counted off a calendar's intervals one by one: what faster code is held to."""

from __future__ import annotations

from twin.core.calendar import Calendar

__all__ = ["working_between"]


def working_between(calendar: Calendar, start: int, end: int) -> int:
    """Open ms in [start, end), for an `end` up to the calendar's last bound."""
    bounds = calendar.bounds
    if not bounds:
        return end - start
    intervals = zip(bounds[::2], bounds[1::2], strict=True)
    return sum(max(0, min(end, closes) - max(start, opens)) for opens, closes in intervals)
