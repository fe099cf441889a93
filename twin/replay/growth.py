"""Whether a business grows: a trend of its weekly orders, where it is more than luck."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from typing import Any, Final, Literal

import numpy as np
from msgspec import Struct
from scipy.optimize import minimize
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

__all__ = ["ALPHA", "WEEKS_MIN", "Growth", "find_growth"]

WEEK_MS: Final = 7 * 86_400_000
WEEKS_MIN: Final = 12
"""Whole weeks below which no trend is looked for."""

ALPHA: Final = 0.05
"""A trend counts that luck gives in fewer cases than this."""

Floats = np.ndarray[Any, Any]
_Fit = tuple[Floats, float, float, float]
"""Expected counts, slope, value at the end, variance of the slope at dispersion 1."""


class Growth(Struct, frozen=True):
    """Weekly orders over `weeks` whole weeks before `until` (ms): their mean, and the trend that they have.

    `kind` is `level` where none is significant, else what tells the weeks better: a straight line or a constant rate.
    `slope` is orders a week more each week (linear), or the logarithm of the weekly factor (exponential), with its
    interval of 95 %. `dispersion` is the variance around it over that of Poisson counts; `p` what luck gives.
    """

    kind: Literal["level", "linear", "exponential"]
    weeks: int
    mean: float
    at_end: float
    slope: float
    interval: tuple[float, float]
    dispersion: float
    p: float

    def rate(self, after_weeks: float) -> float:
        """Orders a week so many weeks after the period; a trend ends at a hundredth or a hundred times the mean."""
        after = self.bound_after()
        if after is None:
            return self.mean
        if after_weeks >= after:
            return self._bound
        return (
            self.at_end + self.slope * after_weeks
            if self.kind == "linear"
            else self.at_end * exp(self.slope * after_weeks)
        )

    def bound_after(self) -> float | None:
        """Weeks after the period from which the rate falls or rises no further; None where it has no trend."""
        if self.slope == 0:
            return None
        beyond = self.at_end <= self._bound if self.slope < 0 else self.at_end >= self._bound
        if beyond:
            return 0.0
        way = self._bound - self.at_end if self.kind == "linear" else log(self._bound / self.at_end)
        return way / self.slope

    @property
    def _bound(self) -> float:
        return (0.01 if self.slope < 0 else 100) * self.mean


def find_growth(instants: Sequence[int], since: int, until: int) -> Growth | None:
    """The trend of what happened at these instants in [`since`, `until`) ms; None for too few whole weeks.

    Poisson regressions with a free dispersion (McCullagh and Nelder 1989, chapter 9), with the identity and with the
    logarithm as link; the better of the two is held against no trend by an F test. Neighboring weeks that resemble each
    other make the test too lenient.
    """
    weeks = (until - since) // WEEK_MS
    if weeks < WEEKS_MIN:
        return None
    counts = np.zeros(weeks)
    for at in instants:
        # Weeks are counted back from the end, so that the last one is whole.
        back = (until - 1 - at) // WEEK_MS
        if 0 <= back < weeks:
            counts[weeks - 1 - back] += 1
    if not counts.sum():
        return None
    # The middle of each week, in weeks before the end.
    x = np.arange(weeks) + 0.5 - weeks
    mean = float(counts.mean())
    null = _deviance(counts, np.full(weeks, mean))
    linear, exponential = _linear(counts, x), _exponential(counts, x)
    straight = _deviance(counts, linear[0]) <= _deviance(counts, exponential[0])
    fit, slope, at_end, variance = linear if straight else exponential
    freedom = weeks - 2
    dispersion = float(((counts - fit) ** 2 / np.maximum(fit, 1e-9)).sum() / freedom)
    statistic = max(0.0, null - _deviance(counts, fit)) / max(dispersion, 1.0)
    p = float(f_distribution.sf(statistic, 1, freedom))
    half = float(t_distribution.ppf(0.975, freedom)) * float(np.sqrt(max(dispersion, 1.0) * variance))
    limits = (slope - half, slope + half)
    if p >= ALPHA:
        spread = float(((counts - mean) ** 2).sum() / mean / (weeks - 1))
        return Growth("level", weeks, mean, mean, 0.0, limits, spread, p)
    return Growth("linear" if straight else "exponential", weeks, mean, at_end, slope, limits, dispersion, p)


def _deviance(counts: Floats, fit: Floats) -> float:
    fit = np.maximum(fit, 1e-9)
    logs = np.where(counts > 0, counts * np.log(np.maximum(counts, 1e-9) / fit), 0.0)
    return float(2 * (logs - (counts - fit)).sum())


def _linear(counts: Floats, x: Floats) -> _Fit:
    """A straight line of greatest Poisson likelihood, never below (nearly) nothing at either end."""
    share = (x - x[0]) / (x[-1] - x[0])
    least = 1e-3 * float(counts.mean())

    def loss(ends: Floats) -> tuple[float, Floats]:
        fit = ends[0] * (1 - share) + ends[1] * share
        slope = 1 - counts / fit
        return float((fit - counts * np.log(fit)).sum()), np.array([(slope * (1 - share)).sum(), (slope * share).sum()])

    start = np.full(2, counts.mean())
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(least, None)] * 2, options={"ftol": 1e-14})
    first, last = map(float, found.x)
    slope = (last - first) / float(x[-1] - x[0])
    fit = first * (1 - share) + last * share
    return fit, slope, max(0.0, last - slope * float(x[-1])), _variance(x, 1 / fit)


def _exponential(counts: Floats, x: Floats) -> _Fit:
    """A constant weekly factor of greatest Poisson likelihood."""
    width = float(x[-1] - x[0])
    share = (x - x[0]) / width - 0.5

    def loss(beta: Floats) -> tuple[float, Floats]:
        logs = np.clip(beta[0] + beta[1] * share, -30, 30)
        gap = np.exp(logs) - counts
        return float((np.exp(logs) - counts * logs).sum()), np.array([gap.sum(), (gap * share).sum()])

    start = np.array([np.log(counts.mean()), 0.0])
    middle, rise = map(float, minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-6}).x)
    slope = rise / width
    fit = np.exp(middle + rise * share)
    return fit, slope, float(np.exp(middle - slope * (float(x[0]) + 0.5 * width))), _variance(x, fit)


def _variance(x: Floats, weights: Floats) -> float:
    """Of a slope at dispersion 1: the inverse of Fisher's information."""
    center = float((weights * x).sum() / weights.sum())
    return 1 / float((weights * (x - center) ** 2).sum())
