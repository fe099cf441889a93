"""Demand from the arrivals of one channel: how many when, in which baskets, of which items.

What is fitted is what `demand: {kind: generated}` of a scenario can say: a weekly rhythm, quantiles of baskets, and the
item of rank k wanted in proportion to 1/(k + shift)^exponent. Trends and holidays are no part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any, Final, Literal

import numpy as np
from msgspec import Struct
from scipy.optimize import brentq, minimize_scalar
from scipy.special import gammaln
from scipy.stats import chi2

from twin.replay.facts import Arrival

__all__ = ["Rhythm", "Skew", "fit_rhythm", "fit_skew", "poisson_interval"]

HOUR_MS: Final = 3_600_000
WEEK_HOURS: Final = 168
DAY_MS: Final = 24 * HOUR_MS

Shape = Literal["even", "as in the base", "days and hours", "hours of the week"]


class Rhythm(Struct, frozen=True):
    """Orders a week with their interval of 95 %, and the rate an hour for each hour of the week from Monday 00:00 UTC.

    `counts` are the orders seen in each hour of the week, `hours` for how many such hours, `intervals` those of the
    rates. `shape` is what tells the counts best: even, a factor for each day and one for each hour, or each hour by
    itself; as in the base where the log holds no whole week. `dispersion` is the variance of days around it over that
    of Poisson arrivals: 1, and more where the interval is too narrow; None for too few days.
    """

    n: int
    per_week: float
    interval: tuple[float, float]
    shape: Shape
    rates: tuple[float, ...]
    counts: tuple[int, ...]
    hours: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    dispersion: float | None


class Skew(Struct, frozen=True):
    """Exponent (with its interval of 95 %) and shift of the item skew over `items` ranks, from `n` lines."""

    n: int
    items: int
    exponent: float
    low: float
    high: float
    shift: int


def poisson_interval(count: int) -> tuple[float, float]:
    """The exact interval of 95 % for the mean of a Poisson count (Garwood 1936)."""
    low = float(chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    return low, float(chi2.ppf(0.975, 2 * count + 2)) / 2


def fit_rhythm(instants: Sequence[int], since: int, until: int, known: Sequence[int] = ()) -> Rhythm:
    """The weekly rhythm of orders at these instants in [since, until) ms.

    The shape is chosen by Schwarz's criterion over the hours that were seen (1978), so that a short log does not
    become a rhythm of chance. Where a part of the week was never seen, the rhythm is that of the `known` weights of
    hours, even where there are none.
    """
    counts, hours = np.zeros(WEEK_HOURS), np.zeros(WEEK_HOURS)
    for instant in instants:
        counts[_hour_of_week(instant)] += 1
    at = since
    while at < until:
        ends = min(until, (at // HOUR_MS + 1) * HOUR_MS)
        hours[_hour_of_week(at)] += (ends - at) / HOUR_MS
        at = ends
    total = float(counts.sum())
    weights = np.array(known, dtype=float)
    if hours.min() > 0 or not known or not (weights * hours).sum():
        weights = np.ones(WEEK_HOURS)
    base: Shape = "even" if hours.min() > 0 or not known else "as in the base"
    rates = weights * total / (weights * hours).sum()
    shapes: list[tuple[Shape, np.ndarray[Any, Any], int]] = [(base, rates, 1)]
    if hours.min() > 0 and total:
        shapes += [
            ("days and hours", _by_days_and_hours(counts, hours), 30),
            ("hours of the week", counts / hours, 168),
        ]
    size = log(max(2.0, float(hours.sum())))
    shape, rates, _ = min(shapes, key=lambda one: one[2] * size / 2 - _likelihood(counts, hours * one[1]))
    exposure = total / float(rates.sum()) if total else float(hours.sum()) / WEEK_HOURS
    low, high = poisson_interval(int(total))
    limits = [poisson_interval(int(count)) for count in counts]
    return Rhythm(
        int(total),
        float(rates.sum()),
        (low / exposure, high / exposure),
        shape,
        tuple(map(float, rates)),
        tuple(map(int, counts)),
        tuple(map(float, hours)),
        tuple(
            (float(one / seen), float(two / seen)) if seen else (0.0, 0.0)
            for (one, two), seen in zip(limits, hours, strict=True)
        ),
        _dispersion(instants, rates, since, until, 1 if shape in ("even", "as in the base") else 7),
    )


def _hour_of_week(at: int) -> int:
    # 1970-01-01 was a Thursday: hour 72 of a week that begins on Monday.
    return (at // HOUR_MS + 72) % WEEK_HOURS


def _likelihood(counts: np.ndarray[Any, Any], means: np.ndarray[Any, Any]) -> float:
    """Logarithm of the Poisson likelihood."""
    seen = counts > 0
    if (means[seen] <= 0).any():
        return -np.inf
    return float((counts[seen] * np.log(means[seen])).sum() - means.sum() - gammaln(counts + 1).sum())


def _by_days_and_hours(counts: np.ndarray[Any, Any], hours: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Rates that are a factor of the day times one of the hour, of greatest likelihood (proportional fitting)."""
    seen, open_ = counts.reshape(7, 24), hours.reshape(7, 24)
    days, hourly = np.ones(7), np.ones(24)
    for _ in range(50):
        days = seen.sum(axis=1) / np.maximum(1e-300, (open_ * hourly).sum(axis=1))
        hourly = seen.sum(axis=0) / np.maximum(1e-300, (open_ * days[:, None]).sum(axis=0))
    return np.outer(days, hourly).reshape(WEEK_HOURS)


def _dispersion(
    instants: Sequence[int], rates: np.ndarray[Any, Any], since: int, until: int, fitted: int
) -> float | None:
    """Pearson's statistic of whole days over its degrees of freedom."""
    first, last = -(-since // DAY_MS), until // DAY_MS
    seen = np.zeros(max(0, last - first))
    for instant in instants:
        if first <= instant // DAY_MS < last:
            seen[instant // DAY_MS - first] += 1
    daily = rates.reshape(7, 24).sum(axis=1)
    wanted = np.array([daily[(day + 3) % 7] for day in range(first, last)])
    used = wanted > 0
    freedom = int(used.sum()) - min(fitted, int((daily > 0).sum()))
    return float(((seen[used] - wanted[used]) ** 2 / wanted[used]).sum() / freedom) if freedom > 0 else None


def fit_skew(arrivals: Sequence[Arrival], ranked: Sequence[str]) -> Skew | None:
    """Exponent and shift of greatest likelihood for items ranked beforehand; None where fewer than two were sold.

    An order's items are drawn one after the other without coming twice, as the simulated customers do, so the
    likelihood is that of Plackett (1975): each item's weight over those of the items not yet in the basket. Counting
    lines alone would make the skew too flat, since a popular item fits into a basket once only. The interval is that
    of the profile likelihood over the shift.
    """
    place = {sku: rank for rank, sku in enumerate(ranked)}
    ranks: list[int] = []
    starts: list[int] = []
    for arrival in arrivals:
        basket = dict.fromkeys(place[sku] for sku, _ in arrival.lines if sku in place)
        starts += [len(ranks)] * len(basket)
        ranks += basket
    if len(set(ranks)) < 2:
        return None
    lines, begins = np.array(ranks), np.array(starts)
    steps = np.arange(1.0, len(ranked) + 1)

    def height(exponent: float, shift: int) -> float:
        logs = -exponent * np.log((steps + shift) / (1.0 + shift))
        weights = np.exp(logs)
        before = np.append(0.0, np.cumsum(weights[lines]))
        left = weights.sum() - (before[:-1] - before[begins])
        return float((logs[lines] - np.log(np.maximum(left, weights[lines]))).sum())

    def best(shift: int) -> tuple[float, float]:
        found = minimize_scalar(lambda s: -height(s, shift), bounds=(0.0, EXPONENT_MAX), method="bounded")
        return -float(found.fun), float(found.x)

    known = {shift: best(shift) for shift in _SHIFTS if shift <= 2 * len(ranked)}
    for _ in range(3):
        top = max(known, key=lambda shift: known[shift][0])
        below = max((shift for shift in known if shift < top), default=top)
        above = min((shift for shift in known if shift > top), default=top)
        for shift in ((below + top) // 2, (above + top + 1) // 2):
            if shift not in known:
                known[shift] = best(shift)
    top = max(known, key=lambda shift: known[shift][0])
    peak, exponent = known[top]
    floor = peak - float(chi2.ppf(0.95, 1)) / 2
    low, high = exponent, exponent
    for shift, (value, at) in known.items():
        if value >= floor:
            low = min(low, _edge(lambda s, q=shift: height(s, q) - floor, at, 0.0))
            high = max(high, _edge(lambda s, q=shift: height(s, q) - floor, at, EXPONENT_MAX))
    return Skew(len(ranks), len(ranked), exponent, low, high, top)


EXPONENT_MAX: Final = 10.0
_SHIFTS: Final = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1_597, 2_584)


def _edge(above: Any, inside: float, outside: float) -> float:
    """Where a likelihood falls through its floor."""
    return float(outside) if above(outside) >= 0 else float(brentq(above, inside, outside, xtol=1e-4))
