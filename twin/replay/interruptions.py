"""Times at which calls to a partner failed, or a carrier delivered nothing although it was due.

Both rules look for a run of misfortunes that luck would hardly give. They miss what is short, partial or slow; the
docstrings say what.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, log
from statistics import median
from typing import Final

from msgspec import Struct

from twin.core.calendar import Calendar, next_open
from twin.replay.estimators import quantile
from twin.replay.facts import Attempt, Duration

__all__ = ["DUE", "LUCK", "Closure", "Outage", "find_closures", "find_outages", "without_closures"]

LUCK: Final = 0.01
"""Chance, over all of a log, that luck alone gives one of these runs."""

DUE: Final = 0.75
"""A parcel is due when this share of the parcels of its lane are there."""

CALLS_MIN: Final = 3
PARCELS_MIN: Final = 5


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

    `parcels` came due meanwhile, where fewer than `threshold` may be luck.
    """

    carrier: str
    began_at: int
    ended_at: int
    parcels: int
    threshold: int
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
    """Times without a delivery in which too many parcels came due for luck, by carrier and time.

    A parcel comes due when `DUE` of its lane's parcels are there, at the carrier's next opening. Each is late with a
    chance of 1 - `DUE`, so a time without deliveries counts from the least number k with m (1 - DUE)^k < `LUCK` for m
    such times, and from `PARCELS_MIN`. From its length the carrier's usual time between deliveries is taken off.
    Missed are closures of single lanes, those too short for so many parcels to come due, those of carriers with few
    parcels, and one that holds back more than a quarter of all parcels of a lane.
    """
    found = _closures(transit, calendars, until)
    # Once more with the first ones taken out: they made parcels seem to be due later than they are.
    return _closures(without_closures(transit, found), calendars, until, transit) if found else found


def without_closures(transit: Sequence[Duration], closures: Sequence[Closure]) -> list[Duration]:
    """The same parcels without the time for which their carrier stood still."""
    cleaned: list[Duration] = []
    for parcel in transit:
        carrier, ends = parcel.key.split("/")[1], parcel.began_at + parcel.duration_ms
        lost = sum(
            max(0, min(ends, one.ended_at) - max(parcel.began_at, one.began_at))
            for one in closures
            if one.carrier == carrier
        )
        cleaned.append(parcel._replace(duration_ms=parcel.duration_ms - lost))
    return cleaned


def _closures(
    transit: Sequence[Duration],
    calendars: Mapping[str, Calendar],
    until: int,
    seen: Sequence[Duration] | None = None,
) -> list[Closure]:
    """Parcels come due by `transit`, and are delivered as they were `seen`."""
    usual: dict[str, float | None] = {}
    by_lane: dict[str, list[Duration]] = {}
    for parcel in transit:
        by_lane.setdefault(parcel.key, []).append(parcel)
    for key, parcels in by_lane.items():
        usual[key] = quantile([one.duration_ms for one in parcels], [one.censored for one in parcels], DUE)
    found: list[Closure] = []
    for carrier in sorted({key.split("/")[1] for key in usual}):
        own = [one for one in seen or transit if one.key.split("/")[1] == carrier]
        delivered = sorted({one.began_at + one.duration_ms for one in own if not one.censored})
        late: list[int] = []
        for parcel in own:
            limit = usual[parcel.key]
            if limit is not None:
                due = next_open(calendars[carrier], parcel.began_at + round(limit))
                if due < parcel.began_at + parcel.duration_ms:
                    late.append(due)
        late.sort()
        if len(delivered) < 2:
            continue
        gap = round(median(after - before for before, after in pairwise(delivered)))
        threshold = max(PARCELS_MIN, ceil(log(LUCK / len(delivered)) / log(1 - DUE)))
        for before, after in pairwise([*delivered, until]):
            parcels_due = bisect_left(late, after) - bisect_right(late, before)
            if parcels_due >= threshold and after - before > gap:
                ends, still = (until, True) if after == until else (after, False)
                found.append(Closure(carrier, before + gap, ends, parcels_due, threshold, still))
    return found
