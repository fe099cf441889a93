"""In which hours of the week something happens, read off when it happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from twin.scenario.times import DAYS

__all__ = ["CLOSED_BELOW", "EVENTS_MIN", "OpenHours", "find_open_hours"]

EVENTS_MIN: Final = 100
"""Events below which nothing is said of their hours."""

CLOSED_BELOW: Final = 0.1
"""Share of the busiest weekday's (hour's) events below which a weekday (an hour) is closed."""


class OpenHours(Struct, frozen=True):
    """Weekdays and one range of local hours in `zone` [`begin`, `end`), past midnight where `end` is not above `begin`;
    0 and 24 for whole days. `inside` of `n` events are in it."""

    zone: str
    days: tuple[str, ...]
    begin: int
    end: int
    inside: int
    n: int

    @property
    def always(self) -> bool:
        """Whether it is never closed."""
        return len(self.days) == len(DAYS) and self.whole_days

    @property
    def whole_days(self) -> bool:
        """Whether it is open all day."""
        return (self.begin, self.end) == (0, 24)


def find_open_hours(instants: Sequence[int], zone: str) -> OpenHours | None:
    """The hours in which things happen at these instants (ms), None for fewer than `EVENTS_MIN`.

    A weekday is closed with less than `CLOSED_BELOW` of the busiest one's events; the hours are those around the
    busiest one, up to the first on each side with less than that share of it. Dates without a time of day (all events
    in one hour) say nothing of hours.
    """
    if len(instants) < EVENTS_MIN:
        return None
    local = [datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(zone or "UTC")) for at in instants]
    weekdays = Counter(at.weekday() for at in local)
    hours = Counter(at.hour for at in local)
    days = tuple(day for number, day in enumerate(DAYS) if weekdays[number] >= CLOSED_BELOW * max(weekdays.values()))
    begin, end = 0, 24
    if len(hours) > 1:
        busiest = max(range(24), key=lambda hour: (hours[hour], -hour))
        least = CLOSED_BELOW * hours[busiest]
        before = next((gap for gap in range(1, 24) if hours[(busiest - gap) % 24] < least), 24) - 1
        after = next((gap for gap in range(1, 24) if hours[(busiest + gap) % 24] < least), 24)
        if before + after < 24:
            begin, end = (busiest - before) % 24, (busiest + after - 1) % 24 + 1
    found = OpenHours(zone or "UTC", days, begin, end, 0, len(local))
    return OpenHours(found.zone, days, begin, end, sum(_inside(found, at) for at in local), len(local))


def _inside(hours: OpenHours, at: datetime) -> bool:
    day = at.weekday()
    if hours.begin < hours.end:
        return DAYS[day] in hours.days and hours.begin <= at.hour < hours.end
    # What is left of yesterday's hours after midnight belongs to yesterday.
    if at.hour < hours.end:
        return DAYS[day - 1] in hours.days
    return DAYS[day] in hours.days and at.hour >= hours.begin
