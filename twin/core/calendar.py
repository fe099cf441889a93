"""Working time as intervals: half-open, in UTC milliseconds, known up to a last instant.

Time zones, holidays and shifts are resolved before they get here. Past its last interval a calendar knows
nothing, so every question about that time raises `CalendarExhausted`: neither "open" nor "closed" would be
true, and either would quietly change lead times at the end of a run.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from functools import cached_property
from itertools import accumulate, pairwise

from msgspec import Struct

__all__ = [
    "ALWAYS_OPEN",
    "Calendar",
    "CalendarExhausted",
    "add_working",
    "calendar_of",
    "is_open",
    "next_open",
]


class CalendarExhausted(Exception):
    """A time was asked for that lies past the last one known.

    `name` is the calendar's, `last_ms` the last instant it knows (None when it knows none).
    """

    def __init__(self, text: str, *, name: str = "", last_ms: int | None = None) -> None:
        super().__init__(text)
        self.name = name
        self.last_ms = last_ms


class Calendar(Struct, frozen=True, dict=True):
    """Opening times: `bounds` is (start, end, start, end, ...), rising; none at all means always open.

    An interval may touch the next. Raises `ValueError` for an odd number of bounds, an empty interval, or
    intervals that overlap or are out of order.
    """

    name: str
    bounds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        bounds = self.bounds
        if len(bounds) % 2:
            raise ValueError(f"calendar {self.name!r}: {len(bounds)} bounds; every start needs an end")
        for index, (earlier, later) in enumerate(pairwise(bounds)):
            if later < earlier or (later == earlier and index % 2 == 0):
                what = "an interval has no length" if index % 2 == 0 else "intervals overlap"
                raise ValueError(f"calendar {self.name!r}: {what} at {earlier} and {later} ms")

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Starts of the intervals, rising, in ms."""
        return self.bounds[::2]

    @cached_property
    def worked(self) -> tuple[int, ...]:
        """Working ms before each interval, and of all of them last: one longer than `starts`."""
        lengths = (end - start for start, end in zip(self.bounds[::2], self.bounds[1::2], strict=True))
        return tuple(accumulate(lengths, initial=0))


ALWAYS_OPEN = Calendar("always open")


def calendar_of(name: str, intervals: Iterable[tuple[int, int]]) -> Calendar:
    """A calendar of (start, end) pairs in any order; those that overlap or touch become one.

    No pair at all is refused with `ValueError`: it would mean always open, where the caller's list of shifts
    just came out empty.
    """
    bounds: list[int] = []
    for start, end in sorted(intervals):
        if end <= start:
            raise ValueError(f"calendar {name!r}: interval {start} to {end} ms has no length")
        if bounds and start <= bounds[-1]:
            bounds[-1] = max(bounds[-1], end)
        else:
            bounds += (start, end)
    if not bounds:
        raise ValueError(f"calendar {name!r}: no interval; use ALWAYS_OPEN where no closing time is meant")
    return Calendar(name, tuple(bounds))


def is_open(calendar: Calendar, at: int) -> bool:
    """Whether `at` lies in an interval, its start included and its end not. Raises `CalendarExhausted`."""
    bounds = calendar.bounds
    if not bounds:
        return True
    index = bisect_right(bounds, at)
    if index == len(bounds):
        raise _exhausted(calendar, at)
    return index % 2 == 1


def next_open(calendar: Calendar, at: int) -> int:
    """The first open instant at or after `at`, in ms. Raises `CalendarExhausted`."""
    bounds = calendar.bounds
    if not bounds:
        return at
    index = bisect_right(bounds, at)
    if index == len(bounds):
        raise _exhausted(calendar, at)
    return at if index % 2 else bounds[index]


def add_working(calendar: Calendar, start: int, duration: int) -> int:
    """When work of `duration` ms is done that begins at the first open instant from `start` on.

    It rests while closed. Work that fills an interval to its end is done at that end, not at the next
    opening; work of no duration is done when it could begin. Raises `CalendarExhausted` when the known
    intervals do not hold it, `ValueError` for a negative duration.
    """
    if duration < 0:
        raise ValueError(f"calendar {calendar.name!r}: a duration of {duration} ms; it must be 0 or more")
    bounds = calendar.bounds
    if not bounds:
        return start + duration
    begins = next_open(calendar, start)
    if duration == 0:
        return begins
    done = _worked_until(calendar, begins) + duration
    worked = calendar.worked
    if done > worked[-1]:
        raise _exhausted(calendar, start, f"for {duration} ms of work from {start} ms")
    # The interval whose share of work, its end included, covers `done`.
    index = bisect_left(worked, done) - 1
    return bounds[2 * index] + done - worked[index]


def _worked_until(calendar: Calendar, at: int) -> int:
    """Working ms before `at`, for an `at` up to the last bound."""
    index = bisect_right(calendar.starts, at) - 1
    if index < 0:
        return 0
    worked = calendar.worked
    return min(worked[index] + at - calendar.bounds[2 * index], worked[index + 1])


def _exhausted(calendar: Calendar, at: int, wanted: str = "") -> CalendarExhausted:
    last = calendar.bounds[-1]
    return CalendarExhausted(
        f"calendar {calendar.name!r} is known up to {last} ms only, asked {wanted or f'about {at} ms'}; "
        "make it longer than the run with its lead times",
        name=calendar.name,
        last_ms=last,
    )
