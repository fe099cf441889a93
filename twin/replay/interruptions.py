"""Times at which calls to a partner failed, or a carrier delivered nothing although it was due.

Both rules look for a run of misfortunes that luck would hardly give. They miss what is short, partial or slow; the
docstrings say what.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, floor, inf, log
from typing import Any, Final

import numpy as np
from msgspec import Struct, structs

from twin.core.calendar import Calendar, next_open
from twin.replay.estimators import EVENTS_MIN
from twin.replay.facts import Attempt, Duration
from twin.replay.working_time import worked

__all__ = ["LUCK", "Closure", "Outage", "find_closures", "find_outages", "without_closures"]

Floats = np.ndarray[Any, Any]

LUCK: Final = 0.001
"""Chance that luck alone gives one of these runs, over all calls to a gateway or all deliveries of a carrier."""

CALLS_MIN: Final = 3

STANDSTILL_MIN_MS: Final = 4 * 3_600_000
"""Opening hours below which nothing is called a closure, and within which what came due before an opening comes:
deliveries come in bunches."""

WEEK_MS: Final = 7 * 86_400_000

CLOCKS_MS: Final = 3_600_000
"""By how much clocks are set at most."""

SETTLED_MS: Final = 15 * 60_000
"""To which time the ends of a closure are told apart that lie where nobody delivers."""


class Outage(Struct, frozen=True):
    """A gateway that answered no call from `began_at` to `ended_at` (ms), each known to within its interval.

    `calls` failed in a row, where fewer than `threshold` may be luck. `silent`: most were not answered at all.
    """

    gateway: str
    began_at: int
    ended_at: int
    began_within: tuple[int, int]
    ended_within: tuple[int, int]
    calls: int
    threshold: int
    silent: bool


class Closure(Struct, frozen=True):
    """A carrier that stood still from `began_at` to `ended_at` (ms); `open` where it still did at the end of the log.

    So many deliveries were `expected` meanwhile, of the parcels on their way and in such hours of the week, and none
    came, where fewer than `threshold` may be luck.
    """

    carrier: str
    began_at: int
    ended_at: int
    expected: float
    threshold: float
    open: bool


def find_outages(attempts: Sequence[Attempt], until: int) -> list[Outage]:
    """Runs of failed calls that are too long for luck, by gateway and time.

    With p the chance that a call fails after one that did not, a run counts from the least length k with
    n p^k < `LUCK` for n calls, and from `CALLS_MIN`. Ends lie in the middle between the calls around them. Missed are
    outages with fewer calls in them, those in which some calls succeed, and those that only make answers slow.
    """
    found: list[Outage] = []
    for gateway in sorted({one.gateway for one in attempts}):
        calls = sorted((one for one in attempts if one.gateway == gateway), key=lambda one: (one.sent_at, one.ended_at))
        good = [one.outcome == "succeeded" for one in calls]
        falls = sum(before and not after for before, after in pairwise(good))
        chance = min(0.5, (falls + 1) / (sum(good) + 2))
        threshold = max(CALLS_MIN, ceil(log(LUCK / len(calls)) / log(chance)))
        first = 0
        while first < len(calls):
            last = first
            while last < len(calls) and good[last] == good[first]:
                last += 1
            if not good[first] and last - first >= threshold:
                run = calls[first:last]
                before = calls[first - 1].sent_at if first else run[0].sent_at
                after = calls[last].sent_at if last < len(calls) else until
                found.append(
                    Outage(
                        gateway,
                        (before + run[0].sent_at) // 2,
                        (run[-1].sent_at + after) // 2,
                        (before, run[0].sent_at),
                        (run[-1].sent_at, after),
                        len(run),
                        threshold,
                        2 * sum(one.outcome == "unknown" for one in run) > len(run),
                    )
                )
            first = last
    return found


def find_closures(transit: Sequence[Duration], calendars: Mapping[str, Calendar], until: int) -> list[Closure]:
    """Times without a delivery in which too many were expected for luck, by carrier and time.

    Expected of the parcels on their way is what they give at their ages, by the cumulative hazard of their lane (Nelson
    1972, Aalen 1978), one delivery each at most. Ages know nothing of hours: since much comes after an opening and
    little in the evening, no more is expected than came on average at the same time of the other weeks, and what came
    due while the carrier was closed may come in the first `STANDSTILL_MIN_MS` of its opening hours. With E expected,
    luck gives none with exp(-E) at most. A time counts from E = ln(m / `LUCK`) for m times between deliveries. It
    begins when the first delivery is more likely than not, and not before the carrier opens; from then on it has
    `STANDSTILL_MIN_MS` of opening hours at least. Missed are closures of single lanes, shorter ones, those in which
    hardly a parcel is due, and those that hold back most parcels of the log, which then look as if they were usual.
    """
    found: list[Closure] = []
    while True:
        usual = without_closures(transit, found)
        # Those held up by one that is known are not looked for again: they come when they come.
        new = _closures(transit, usual, usual, calendars, until)
        new = [
            one for one in new if all((one.carrier, one.ended_at) != (other.carrier, other.ended_at) for other in found)
        ]
        if not new:
            break
        # The clearest first: beside a long one, what is usual looks like a short one.
        found.append(max(new, key=lambda one: one.expected / one.threshold))
    kept: list[Closure] = []
    for one in sorted(found, key=lambda one: (one.carrier, one.began_at)):
        # Once more, by what is usual without any of them.
        due = without_closures(transit, [other for other in found if other is not one])
        again = _closures(transit, due, usual, calendars, until)
        same = [other for other in again if (other.carrier, other.ended_at) == (one.carrier, one.ended_at)]
        kept += [_settled(other, transit, calendars[other.carrier]) for other in same]
    return kept


def _settled(closure: Closure, transit: Sequence[Duration], calendar: Calendar) -> Closure:
    """The closure as much earlier as its parcels say: seen is only from an opening to an opening.

    Without the time that it took, a parcel would have come while the carrier delivers. Of the times by which both ends
    may lie before, between the closing and the opening, the middle of those is taken with which the fewest would not.
    """
    latest = min(closure.began_at - _closed_since(calendar, closure.began_at), closure.ended_at - closure.began_at)
    latest = min(latest, closure.ended_at - _closed_since(calendar, closure.ended_at))
    held = [
        (one.began_at, one.began_at + one.duration_ms)
        for one in transit
        if one.key.split("/")[1] == closure.carrier
        and not one.censored
        and closure.began_at < one.began_at < closure.ended_at <= one.began_at + one.duration_ms
    ]
    if latest < SETTLED_MS or not held:
        return closure
    wrong = []
    for sooner in range(0, latest + 1, SETTLED_MS):
        ended = closure.ended_at - sooner
        dues = [came - max(0, ended - shipped) for shipped, came in held]
        wrong.append(sum(next_open(calendar, due) != due for due in dues))
    best = [number for number, count in enumerate(wrong) if count == min(wrong)]
    sooner = SETTLED_MS * best[len(best) // 2]
    return structs.replace(closure, began_at=closure.began_at - sooner, ended_at=closure.ended_at - sooner)


def without_closures(transit: Sequence[Duration], closures: Sequence[Closure]) -> list[Duration]:
    """The same parcels as far as they were not held up.

    Those on their way when their carrier was closed are only known to take longer than up to then, and those shipped
    while it was are left out: to the hour nobody knows for how long they stood.
    """
    cleaned: list[Duration] = []
    for parcel in transit:
        carrier, ends = parcel.key.split("/")[1], parcel.began_at + parcel.duration_ms
        held = [
            one for one in closures if one.carrier == carrier and one.began_at < ends and parcel.began_at < one.ended_at
        ]
        begins = min([one.began_at for one in held], default=ends)
        if not held:
            cleaned.append(parcel)
        elif begins > parcel.began_at:
            cleaned.append(parcel._replace(duration_ms=begins - parcel.began_at, censored=True))
    return cleaned


class _Hazard:
    """The cumulative hazard of a lane by age (ms)."""

    def __init__(self, parcels: Sequence[Duration]) -> None:
        ages = np.array([one.duration_ms for one in parcels], dtype=float)
        done = np.array([not one.censored for one in parcels])
        self.at, times = np.unique(ages[done], return_counts=True)
        at_risk = len(ages) - np.searchsorted(np.sort(ages), self.at, side="left")
        self.sums = np.append(0.0, np.cumsum(times / at_risk))

    def between(self, young: Floats, old: Floats) -> Floats:
        """What each parcel gives from one age, itself left out, to another: none is delivered with exp(-sum)."""
        ends, begins = (self.sums[np.searchsorted(self.at, ages, side="right")] for ages in (old, young))
        return np.asarray(ends - begins)


class _Fleet:
    """What is on its way with one carrier, by lane: when it was shipped and when it came, or the end of the log."""

    def __init__(self, seen: Sequence[Duration], usual: Sequence[Duration]) -> None:
        self.lanes: list[tuple[_Hazard, Floats, Floats]] = []
        for key in sorted({one.key for one in seen}):
            same = [one for one in usual if one.key == key]
            if sum(not one.censored for one in same) >= EVENTS_MIN:
                own = [one for one in seen if one.key == key]
                shipped = np.array([one.began_at for one in own], dtype=float)
                self.lanes.append((_Hazard(same), shipped, shipped + np.array([one.duration_ms for one in own])))

    def hazards(self, begin: float, end: float) -> Floats:
        """What each parcel that was on its way and did not come before gives in (begin, end]."""
        parts = [np.zeros(0)]
        for hazard, shipped, came in self.lanes:
            there = (shipped < end) & (came > begin)
            left, arrived = shipped[there], np.minimum(came[there], end)
            parts.append(hazard.between(np.maximum(begin, left) - left, arrived - left))
        return np.concatenate(parts)

    def expected(self, begin: float, end: float) -> float:
        """Deliveries expected in (begin, end] of what was on its way and did not come before."""
        return float(-np.expm1(-self.hazards(begin, end)).sum())

    def first_after(self, begin: int, end: int) -> int:
        """When a delivery after `begin` is more likely than not."""
        low, high = begin, end
        while high - low > 60_000:
            middle = (low + high) // 2
            low, high = (low, middle) if self.hazards(begin, middle).sum() >= log(2) else (middle, high)
        return high


def _closures(
    seen: Sequence[Duration],
    due: Sequence[Duration],
    usual: Sequence[Duration],
    calendars: Mapping[str, Calendar],
    until: int,
) -> list[Closure]:
    """Parcels come as they were `seen`, of those that were `due` as is `usual` for them."""
    found: list[Closure] = []
    for carrier in sorted({one.key.split("/")[1] for one in seen}):
        calendar = calendars[carrier]
        own, there, like = ([one for one in cases if one.key.split("/")[1] == carrier] for cases in (seen, due, usual))
        delivered = sorted({one.began_at + one.duration_ms for one in own if not one.censored})
        if not delivered:
            continue
        fleet = _Fleet(there, like)
        rhythm = _Rhythm([one.began_at + one.duration_ms for one in like if not one.censored], calendar, until)
        threshold = log(len(delivered) / LUCK)
        for before, after in pairwise([*delivered, until]):
            if worked(calendar, before, after) < STANDSTILL_MIN_MS:
                continue
            ends = _still_to_come(calendar, before, after)
            expected = min(fleet.expected(before, ends), rhythm.usual(before, ends))
            if expected >= threshold:
                # While it is closed nothing is missed: what began there is felt, and ends, at an opening.
                begins = next_open(calendar, fleet.first_after(before, ends))
                # Where nothing was due in opening hours before the next delivery came, nothing stood still.
                if begins < after and worked(calendar, begins, after) >= STANDSTILL_MIN_MS:
                    found.append(Closure(carrier, begins, after, expected, threshold, after == until))
    return found


class _Rhythm:
    """How many deliveries of a carrier (ms, some of the log's before `until`) come at a time of the week."""

    def __init__(self, delivered: Sequence[int], calendar: Calendar, until: int) -> None:
        self.delivered = np.sort(np.array(delivered, dtype=float))
        self.openings = np.array(calendar.bounds[::2], dtype=float)
        self.until = until

    def usual(self, begin: int, end: int) -> float:
        """Deliveries between two instants, both left out, on average over the other weeks; no limit without one."""
        if not len(self.delivered):
            return inf
        first, last = self.delivered[0], float(self.until)
        counts = []
        for week in range(ceil((first - end) / WEEK_MS), floor((last - begin) / WEEK_MS) + 1):
            by = self._shift(begin, week * WEEK_MS)
            if abs(by) >= end - begin and begin + by >= first and end + by <= last:
                low = np.searchsorted(self.delivered, begin + by, side="right")
                counts.append(max(0, int(np.searchsorted(self.delivered, end + by, side="left") - low)))
        return sum(counts) / len(counts) if counts else inf

    def _shift(self, begin: int, by: int) -> float:
        """From an opening to an opening, where clocks were set between them."""
        place = int(np.searchsorted(self.openings, begin, side="right")) - 1
        if place < 0:
            return by
        there = self.openings[place] + by
        near = self.openings[np.abs(self.openings - there).argmin()]
        return float(near - self.openings[place]) if abs(near - there) <= CLOCKS_MS else by


def _still_to_come(calendar: Calendar, before: int, after: int) -> int:
    """Up to when what came due after `before` should have come by `after`: what came due while the carrier was closed
    may come in the first opening hours."""
    found, index = after, bisect_right(calendar.bounds, after)
    # Openings have even numbers, and there is a closing before each but the first.
    for opening in range((index - 1) // 2 * 2, 1, -2):
        if calendar.bounds[opening - 1] <= before or worked(calendar, calendar.bounds[opening], after) >= (
            STANDSTILL_MIN_MS
        ):
            break
        found = calendar.bounds[opening - 1]
    return found


def _closed_since(calendar: Calendar, at: int) -> int:
    """The closing time before an opening, at which all is brought that came due meanwhile; else `at` itself."""
    index = bisect_left(calendar.bounds, at)
    opening = index < len(calendar.bounds) and calendar.bounds[index] == at and index % 2 == 0
    return calendar.bounds[index - 1] if opening and index else at
