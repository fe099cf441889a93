"""What transits were before parcels waited for a carrier's hours.

A parcel that is there while nobody delivers comes at the next opening. Its transit is known only to have ended while
it was closed; taken as observed, it would be deferred once more when it is simulated, and the mean would be too long.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.stats import CensoredData, ecdf

from twin.core.calendar import Calendar
from twin.replay.facts import Duration

__all__ = ["before_opening"]

ROUNDS: Final = 12
GOLDEN: Final = 0.6180339887498949


def before_opening(cases: Sequence[Duration], calendar: Calendar) -> tuple[list[Duration], int]:
    """The cases with the waits for an opening taken out, and how many had one.

    A transit that ended somewhere in a closed time is placed in it as the others of the lane are spread, which is
    repeated until that spread stays (the self-consistent estimate of Turnbull 1976, one value a case and evenly laid
    out, so that nothing is drawn). What is open at the end of the log was not there by the last closing.
    """
    bounds = calendar.bounds
    if not bounds:
        return list(cases), 0
    times = np.array([case.duration_ms for case in cases], dtype=float)
    still = np.array([case.censored for case in cases], dtype=bool)
    waited, low, high = [], [], []
    for number, case in enumerate(cases):
        ends = case.began_at + case.duration_ms
        index = bisect_left(bounds, ends)
        if case.censored:
            index = bisect_right(bounds, ends)
            if index and index % 2 == 0:
                times[number] = max(0, bounds[index - 1] - case.began_at)
        elif 0 < index < len(bounds) and index % 2 == 0 and bounds[index] == ends:
            waited.append(number)
            low.append(max(0, bounds[index - 1] - case.began_at))
            high.append(case.duration_ms)
    if not waited:
        return [case._replace(duration_ms=int(time)) for case, time in zip(cases, times, strict=True)], 0
    least, most = np.array(low, dtype=float), np.array(high, dtype=float)
    places = np.modf(GOLDEN * np.arange(1, len(waited) + 1))[0]
    times[waited] = least + (most - least) * places
    for _ in range(ROUNDS):
        curve = ecdf(CensoredData(uncensored=times[~still], right=times[still])).cdf
        at = np.concatenate([[0.0], curve.quantiles, [max(most.max(), curve.quantiles[-1]) + 1]])
        share = np.concatenate([[0.0], curve.probabilities, [curve.probabilities[-1]]])
        # A tiny slope, so that a place in a gap has one answer.
        share = share + at / at[-1] * 1e-6
        below, above = np.interp(least, at, share), np.interp(most, at, share)
        times[waited] = np.clip(np.interp(below + (above - below) * places, share, at), least, most)
    return [case._replace(duration_ms=round(time)) for case, time in zip(cases, times, strict=True)], len(waited)
