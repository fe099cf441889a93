"""In which hours of the week something happens, read off when it happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from twin.scenario.times import DAYS

__all__ = ["CLOSED_BELOW", "CLOSED_MAX", "EVENTS_MIN", "OpenHours", "find_open_hours"]

EVENTS_MIN: Final = 100
"""Events below which nothing is said of their hours."""

CLOSED_BELOW: Final = 0.1
"""Share of the busiest weekday's (hour's) events below which a weekday (an hour) is closed."""

CLOSED_MAX: Final = 0.05
"""Share of all events that closed weekdays (hours) hold at most."""


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

    A weekday is closed with less than `CLOSED_BELOW` of the busiest one's events. The hours are those around the
    busiest one, up to the first on each side with less than that share of it; else all but the longest time of such
    hours. Where what is closed would hold more than `CLOSED_MAX` of all events, the busiest one says little of the
    others: deliveries crowd after an opening. Then the next busiest one takes its place, and so on. Dates without a
    time of day (all events in one hour) say nothing of hours.
    """
    if len(instants) < EVENTS_MIN:
        return None
    local = [datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(zone or "UTC")) for at in instants]
    hours = Counter(at.hour for at in local)
    begin, length = 0, 24
    if len(hours) > 1:
        ranges = ((begin, length) for least in _least(hours) for begin, length in _ranges(hours, least))
        begin, length = next(one for one in ranges if _holds(hours, [(one[0] + n) % 24 for n in range(one[1])]))
    end = (begin + length - 1) % 24 + 1
    weekdays = Counter(_weekday(begin, end, at) for at in local)
    choices = ([day for day in range(7) if weekdays[day] >= least] for least in _least(weekdays))
    days = tuple(DAYS[day] for day in next(one for one in choices if _holds(weekdays, one)))
    found = OpenHours(zone or "UTC", days, begin, end, 0, len(local))
    return OpenHours(found.zone, days, begin, end, sum(_inside(found, at) for at in local), len(local))


def _least(counts: Counter[int]) -> Iterator[float]:
    """The share below which something is closed, of the busiest, the next busiest, and so on; at last of nothing."""
    yield from (CLOSED_BELOW * count for count in sorted(counts.values(), reverse=True))
    yield 0.0


def _holds(counts: Counter[int], open: Sequence[int]) -> bool:
    """Whether nearly all events are in what is open."""
    return sum(counts[one] for one in open) >= (1 - CLOSED_MAX) * counts.total()


def _ranges(hours: Counter[int], least: float) -> Iterator[tuple[int, int]]:
    """Hours that may be open, as the first one and how many: those around the busiest, all but the longest gap."""
    busiest = max(range(24), key=lambda hour: (hours[hour], -hour))
    before = next((gap for gap in range(1, 24) if hours[(busiest - gap) % 24] < least), 24) - 1
    after = next((gap for gap in range(1, 24) if hours[(busiest + gap) % 24] < least), 24)
    if before + after >= 24:
        yield 0, 24
        return
    yield (busiest - before) % 24, before + after
    gaps = [next(n for n in range(24) if hours[(first + n) % 24] >= least) for first in range(24)]
    first = max(range(24), key=lambda hour: (gaps[hour], -hour))
    yield (first + gaps[first]) % 24, 24 - gaps[first]


def _weekday(begin: int, end: int, at: datetime) -> int:
    """The weekday to whose hours an instant belongs: what is left of yesterday's after midnight is yesterday's."""
    return (at.weekday() - (end <= begin and at.hour < end)) % 7


def _inside(hours: OpenHours, at: datetime) -> bool:
    within = (at.hour - hours.begin) % 24 < ((hours.end - hours.begin) % 24 or 24)
    return within and DAYS[_weekday(hours.begin, hours.end, at)] in hours.days
