"""Distributions of durations and counts from samples, in which some durations are only known to be longer.

Durations are ms. Nothing here draws random numbers: the same sample gives the same estimate. What goes into a scenario
is rounded far above the noise of the last float digit.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import exp, log, sqrt
from typing import Any, Final

import numpy as np
from msgspec import Struct
from scipy.stats import CensoredData, ecdf

__all__ = [
    "EVENTS_MIN",
    "TAIL_MAX",
    "DurationEstimate",
    "MeanEstimate",
    "Z",
    "estimate_counts",
    "estimate_durations",
    "quantile_table",
    "rounded_duration",
    "table_mean",
]

EVENTS_MIN: Final = 8
"""Finished cases below which nothing is estimated: with fewer, an interval for the median is no interval."""

TAIL_MAX: Final = 0.2
"""Most probability beyond the longest observation with which a mean is still told: past it, it is mostly a model."""

Z: Final = 1.959963984540054
"""Quantile of the standard normal for intervals of 95 %."""

POINTS: Final = (14, 20, 28, 40)
"""Rows of a table: more only where the mean would not be kept."""

MEAN_WITHIN: Final = 0.01
STEPS: Final = 180
ENDS: Final = 40
_PPM: Final = 1_000_000

Floats = np.ndarray[Any, Any]
Flags = np.ndarray[Any, Any]

Table = tuple[tuple[int, int], ...]
"""(probability in parts per million, value), neither falling, from 0 to 1,000,000; straight between."""


class MeanEstimate(Struct, frozen=True):
    """A mean with its interval of 95 %, from `n` values."""

    n: int
    mean: float
    low: float
    high: float


class DurationEstimate(Struct, frozen=True):
    """Median and mean of a duration in ms with intervals of 95 %, and its quantiles as a scenario has them.

    `n` cases, of which `censored` were still open. `beyond` is the probability beyond the longest observation, where
    the log says nothing: the table goes on there with a modeled tail. None where the log cannot tell; an interval that
    is open above ends in None.
    """

    n: int
    censored: int
    median: float | None
    median_interval: tuple[float, float | None]
    mean: float | None
    mean_interval: tuple[float, float] | None
    beyond: float
    table: Table

    @property
    def told(self) -> bool:
        """Whether the log tells enough for a distribution: at least half of it."""
        return self.median is not None

    @property
    def fixed(self) -> bool:
        """Whether all took the same time, as far as they are told apart."""
        return self.table[0][1] == self.table[-1][1]


def estimate_durations(durations: Sequence[float], censored: Sequence[bool]) -> DurationEstimate | None:
    """Kaplan and Meier's estimate (1958); None where fewer than `EVENTS_MIN` cases are finished.

    The median's interval is that of Brookmeyer and Crowley (1982) with the log-log transformation; that of the mean
    comes from Greenwood's variance of the area under the curve (Klein and Moeschberger 2003, equation 4.5.3), on the
    logarithm. Beyond the longest observation the curve goes on exponentially (Brown, Hollander and Korwar 1974), for
    the limits of the mean from the limits of the curve's end: they are rather too wide where much is still open.
    Assumes that what is still open is no other than what is finished: censored by the end of the log, not by its luck.
    """
    times, still = np.asarray(durations, dtype=float), np.asarray(censored, dtype=bool)
    events = int((~still).sum())
    if events < EVENTS_MIN:
        return None
    curve = ecdf(CensoredData(uncensored=times[~still], right=times[still])).sf
    # Where nobody has finished yet, or all have, the transformed interval does not exist: it is a point there.
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        band = curve.confidence_interval(confidence_level=0.95, method="log-log")
    at, alive = np.asarray(curve.quantiles, dtype=float), np.asarray(curve.probabilities, dtype=float)
    low = np.where(np.isnan(band.low.probabilities), alive, band.low.probabilities)
    high = np.where(np.isnan(band.high.probabilities), alive, band.high.probabilities)
    median = _first(at, alive)
    lowest, highest = _first(at, low), _first(at, high)
    interval = (lowest if lowest is not None else float(at[0]), highest)

    finished, happened = np.unique(times[~still], return_counts=True)
    at_risk = len(times) - np.searchsorted(np.sort(times), finished, side="left")
    survival = np.cumprod(1 - happened / at_risk)
    end = float(times.max())
    beyond = float(survival[-1])
    # Area to the right of each finished case, up to the longest observation.
    widths = np.diff(np.append(finished, end))
    right = np.cumsum((survival * widths)[::-1])[::-1]
    restricted = float(finished[0] + right[0])
    terms = np.where(at_risk > happened, right**2 * happened / (at_risk * np.maximum(1, at_risk - happened)), 0.0)
    spread = sqrt(float(terms.sum()) * events / max(1, events - 1))
    tail = tail_low = tail_high = 0.0
    if events < len(times) and (alive > 1e-12).any():
        # Where the last of all is finished, the limits are those before it: that one says little of what lies beyond.
        last = int(np.flatnonzero(alive > 1e-12)[-1])
        tail, tail_low, tail_high = (
            _tail(share, end) for share in (beyond, min(beyond, float(low[last])), float(high[last]))
        )
    mean = restricted + tail
    known = beyond <= TAIL_MAX
    factor = exp(Z * spread / restricted) if restricted > 0 else 1.0
    limits = (restricted / factor + tail_low, restricted * factor + tail_high)
    weights = -np.diff(np.append(1.0, survival))
    return DurationEstimate(
        len(times),
        len(times) - events,
        median,
        interval,
        mean if known else None,
        limits if known else None,
        beyond,
        _rounded_table(_table(finished, weights, happened > 1, end, tail)),
    )


def _tail(beyond: float, end: float) -> float:
    """Mean time beyond `end` with an exponential tail through the curve's end (Brown, Hollander and Korwar 1974)."""
    return -beyond * end / log(beyond) if 1e-9 < beyond < 1 else 0.0


def _first(at: Floats, alive: Floats) -> float | None:
    """The first time at which no more than half are still open."""
    found = np.flatnonzero(alive <= 0.5 + 1e-12)
    return float(at[found[0]]) if len(found) else None


def _table(values: Floats, weights: Floats, atoms: Flags, end: float, tail: float) -> list[tuple[int, float]]:
    """A few quantiles that keep the mean; what is left over goes on from `end`, on average as far as the tail.

    An atom is a value that comes again and again: it keeps its probability. Between others the quantiles rise evenly.
    """
    values, weights, atoms = _thinned(values, weights, atoms)
    passed = np.minimum(np.cumsum(weights), 1.0)
    left = max(0.0, 1.0 - float(passed[-1]))
    corners = [(0.0, float(values[0]))]
    for value, before, after, atom in zip(values, np.append(0.0, passed[:-1]), passed, atoms, strict=True):
        shares = (before, after) if atom else ((before + after) / 2,)
        corners += [(float(share), float(value)) for share in shares]
    corners.append((float(passed[-1]), float(values[-1])))
    mean = float((values * weights).sum())
    for points in POINTS:
        knots = _knots(np.array(corners), points - (2 if left > 1e-4 else 0))
        table = [(_ppm(share), value) for share, value in knots]
        if abs(_area_below(table) - mean) <= MEAN_WITHIN * mean:
            break
    if left > 1e-4:
        table += [(table[-1][0], max(end, table[-1][1])), (_PPM, max(end, table[-1][1]) + 2 * tail / left)]
    else:
        table[-1] = (_PPM, table[-1][1])
    table[0] = (0, table[0][1])
    return table


def _area_below(table: Sequence[tuple[int, float]]) -> float:
    return sum((p1 - p0) * (v0 + v1) for (p0, v0), (p1, v1) in pairwise(table)) / (2 * _PPM)


def _ppm(share: float) -> int:
    """To a hundredth of a percent, and near the ends, where a heavy tail begins, to a part per million."""
    return min(_PPM, round(share * 10_000) * 100 if 0.01 <= share <= 0.99 else round(share * _PPM))


def _thinned(values: Floats, weights: Floats, atoms: Flags) -> tuple[Floats, Floats, Flags]:
    """At most `STEPS` values; neighbors become their mean, so that the whole mean stays. The ends stay as they are."""
    if len(values) <= STEPS:
        return values, weights, atoms
    inner = slice(ENDS, len(values) - ENDS)
    passed = np.cumsum(weights[inner])
    bins = np.minimum((passed / passed[-1] * (STEPS - 2 * ENDS)).astype(int), STEPS - 2 * ENDS - 1)
    mass, sums = np.bincount(bins, weights[inner]), np.bincount(bins, weights[inner] * values[inner])
    kept = mass > 0
    return (
        np.concatenate([values[:ENDS], sums[kept] / mass[kept], values[-ENDS:]]),
        np.concatenate([weights[:ENDS], mass[kept], weights[-ENDS:]]),
        np.concatenate([atoms[:ENDS], mass[kept] > 2 * weights.sum() / STEPS, atoms[-ENDS:]]),
    )


def _knots(corners: Floats, points: int) -> list[tuple[float, float]]:
    """Corners of a quantile function, one at a time where they take away most of the area to it."""
    knots = [0, len(corners) - 1]
    areas = [_area(corners, 0, len(corners) - 1)]
    while len(knots) < points:
        worst = int(np.argmax(areas))
        left, right = knots[worst], knots[worst + 1]
        if areas[worst] <= 1e-12 or right - left < 2:
            break
        halves = [(_area(corners, left, i), _area(corners, i, right), i) for i in range(left + 1, right)]
        first, second, middle = min(halves, key=lambda half: half[0] + half[1])
        knots.insert(worst + 1, middle)
        areas[worst : worst + 1] = [first, second]
    return [(float(corners[knot][0]), float(corners[knot][1])) for knot in knots]


def _area(corners: Floats, left: int, right: int) -> float:
    """Area between the quantile function and its chord; a little too large where they cross between corners."""
    share, value = corners[left : right + 1, 0], corners[left : right + 1, 1]
    width = share[-1] - share[0]
    if width <= 0:
        return 0.0
    gaps = np.abs(value - value[0] - (value[-1] - value[0]) * (share - share[0]) / width)
    return float(((gaps[1:] + gaps[:-1]) * np.diff(share)).sum() / 2)


def rounded_duration(duration_ms: float) -> int:
    """To a unit that people would use, within half a percent."""
    for unit in (3_600_000, 900_000, 300_000, 60_000, 10_000, 1_000, 100, 10):
        if duration_ms >= 100 * unit:
            return round(duration_ms / unit) * unit
    return round(duration_ms)


def _rounded_table(table: Iterable[tuple[int, float]]) -> Table:
    rounded: list[tuple[int, int]] = []
    for share, value in table:
        at = rounded_duration(max(0.0, value))
        # Units differ along the table: rounding must not let it fall.
        rounded.append((share, max(at, rounded[-1][1]) if rounded else at))
    return tuple(dict.fromkeys(rounded))


def table_mean(table: Table) -> float:
    """Mean of draws from the table."""
    return _area_below(table)


def quantile_table(counts: Sequence[int]) -> Table:
    """A few quantiles of whole numbers that keep the mean."""
    values, times = np.unique(np.asarray(counts, dtype=float), return_counts=True)
    table = [
        (share, round(value)) for share, value in _table(values, times / times.sum(), times > 0, float(values[-1]), 0.0)
    ]
    rows = tuple(dict.fromkeys(table))
    return rows if len(rows) > 1 else ((0, rows[0][1]), (_PPM, rows[0][1]))


def estimate_counts(counts: Sequence[int]) -> MeanEstimate:
    """The mean of independent values by the central limit theorem. Raises `ValueError` without values."""
    if not counts:
        raise ValueError("a mean needs at least one value")
    values = np.asarray(counts, dtype=float)
    mean = float(values.mean())
    half = Z * float(values.std(ddof=1)) / sqrt(len(values)) if len(values) > 1 else 0.0
    return MeanEstimate(len(values), mean, mean - half, mean + half)
