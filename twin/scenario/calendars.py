"""Calendars as intervals in UTC: time zones, weekdays and dates resolved before the clock starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from twin.core.calendar import Calendar, calendar_of
from twin.scenario.times import DAYS, CalendarSpec, Day
from twin.scenario.units import DAY_MS

__all__ = ["ALWAYS", "calendar_named", "compile_calendar", "compile_instants"]

ALWAYS = CalendarSpec(id="always", always=True)
"""The predefined calendar."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def calendar_named(calendars: Sequence[CalendarSpec], name: str) -> CalendarSpec:
    """The calendar with this id, `always` included. Raises `KeyError` for one that is not there."""
    for calendar in (*calendars, ALWAYS):
        if calendar.id == name:
            return calendar
    raise KeyError(name)


def compile_calendar(calendar: CalendarSpec, start: int, end: int) -> Calendar:
    """Opening times that cover [start, end] (ms since the epoch) and at least the next opening after it.

    A local time that a change of the clock skips means the same wall time before the change; of one that
    occurs twice the first is meant. Raises `ValueError` where the calendar never opens in the time asked for
    and the 400 days after it.
    """
    if calendar.always:
        return Calendar(calendar.id)
    zone = ZoneInfo(calendar.timezone)
    intervals: list[tuple[int, int]] = []
    for day in _open_days(calendar, calendar.days, start, end + 400 * DAY_MS):
        for hours in calendar.hours:
            later = 1 if hours.end <= hours.start else 0
            opens = _instant(day, hours.start, zone)
            closes = _instant(day + timedelta(days=later), hours.end, zone)
            # A range can vanish in the hour that a change of the clock skips.
            if opens < closes and closes > start:
                intervals.append((opens, closes))
        if intervals and intervals[-1][0] > end:
            break
    if not intervals:
        raise ValueError(f"calendar {calendar.id!r} never opens; check its closed dates")
    return calendar_of(calendar.id, intervals)


def compile_instants(
    calendar: CalendarSpec, at: Sequence[int], days: Sequence[Day], start: int, end: int
) -> tuple[int, ...]:
    """The instants in [start, end] (ms since the epoch, rising) of the times of day `at` on these weekdays.

    Times are in the calendar's zone; its closed dates have none, its hours do not matter.
    """
    zone = ZoneInfo(calendar.timezone)
    found = [_instant(day, time_ms, zone) for day in _open_days(calendar, days, start, end) for time_ms in at]
    return tuple(dict.fromkeys(sorted(instant for instant in found if start <= instant <= end)))


def _open_days(calendar: CalendarSpec, days: Sequence[Day], start: int, end: int) -> Iterator[date]:
    """Local dates that can touch [start, end], closed dates left out."""
    day = (_EPOCH + timedelta(milliseconds=start)).date() - timedelta(days=2)
    last = (_EPOCH + timedelta(milliseconds=end)).date() + timedelta(days=2)
    while day <= last:
        if DAYS[day.weekday()] in days and day not in calendar.closed:
            yield day
        day += timedelta(days=1)


def _instant(day: date, time_ms: int, zone: ZoneInfo) -> int:
    whole_days, rest_ms = divmod(time_ms, DAY_MS)
    seconds, milliseconds = divmod(rest_ms, 1_000)
    hour, rest = divmod(seconds, 3_600)
    local = datetime.combine(day + timedelta(days=whole_days), time(hour, rest // 60, rest % 60), tzinfo=zone)
    since = local.astimezone(UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000 + milliseconds
