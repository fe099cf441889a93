"""Working time between two instants, as lead times and picking count it, and when one of few hands began."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from heapq import heappop, heappush, heapreplace

from twin.core.calendar import Calendar, next_open
from twin.replay.facts import Duration

__all__ = ["after_the_queue", "worked"]


def worked(calendar: Calendar, begin: int, end: int) -> int:
    """Milliseconds from `begin` to `end` in which the calendar is open, for instants that it knows."""
    return end - begin if not calendar.bounds else _before(calendar, end) - _before(calendar, begin)


def after_the_queue(cases: Sequence[Duration], hands: int, calendar: Calendar, until: int) -> list[Duration] | None:
    """The same cases from when one of so many hands took them up; those that nobody had taken up are left out.

    A hand that is free takes, while the calendar is open, what is most critical (the key's last part, A before B), then
    what came first. Since it is known when each case ended, so is when each began. None where more than one in a
    hundred ends before it could have begun: then the work was not done in this way.
    """
    coming = sorted(cases, key=lambda one: one.began_at)
    waiting: list[tuple[str, int, Duration]] = []
    # When each hand is free.
    free = [0] * hands
    found: list[Duration] = []
    wrong = arrived = now = 0
    while waiting or arrived < len(coming):
        # A hand may have been idle since before what waits came in.
        first = max(free[0], now if waiting else coming[arrived].began_at)
        begins = now = next_open(calendar, first)
        while arrived < len(coming) and coming[arrived].began_at <= begins:
            case = coming[arrived]
            heappush(waiting, (case.key.rpartition("/")[2] or "~", arrived, case))
            arrived += 1
        _, _, case = heappop(waiting)
        ends = case.began_at + case.duration_ms
        wrong += ends < begins and not case.censored
        if begins < until and not (case.censored and begins >= ends):
            found.append(case._replace(began_at=begins, duration_ms=max(0, ends - begins)))
        heapreplace(free, max(begins, ends))

    return None if 100 * wrong > len(cases) else found


def _before(calendar: Calendar, at: int) -> int:
    index = bisect_right(calendar.starts, at) - 1
    if index < 0:
        return 0
    return min(calendar.worked[index] + at - calendar.bounds[2 * index], calendar.worked[index + 1])
