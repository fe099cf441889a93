"""Distributions as frozen data: integer parameters, one inverse CDF each.

A value has the unit of its parameters: milliseconds for times, base units for quantities.
Shape-like parameters are integers in thousandths (`_milli`), probabilities in millionths (`_ppm`), so a
distribution can stand in a log that holds no float. `inverse(u)` wants 0 < u < 1, grows with u (common random
numbers stay ordered: a late parcel is late under every policy), and is the same on every machine.
"""

from bisect import bisect_right
from itertools import pairwise
from math import floor, sqrt

from msgspec import Struct

from twin.streams.elementary import exp, gamma, ln, normal_cdf, normal_density, normal_quantile

__all__ = [
    "Distribution",
    "Empirical",
    "Exponential",
    "Fixed",
    "LogNormal",
    "Normal",
    "Poisson",
    "Triangular",
    "Uniform",
    "Weibull",
]

_MILLION = 1_000_000


class _Base(Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True):
    """What all distributions share: the check of their parameters."""

    def _integers(self) -> None:
        for field in self.__struct_fields__:
            value = getattr(self, field)
            if type(value) is not int and value is not None:
                raise ValueError(f"{type(self).__name__}.{field} must be an integer, got {value!r}")

    def _require(self, *rules: tuple[bool, str]) -> None:
        for holds, rule in rules:
            if not holds:
                raise ValueError(f"{self!r}: {rule}")


class Fixed(_Base, frozen=True, tag="fixed"):
    """Always `value / per`. 300 picks a second are `Fixed(1000, per=300)`: 3 1/3 ms apart."""

    value: int
    per: int = 1

    def __post_init__(self) -> None:
        self._integers()
        self._require((self.per >= 1, "per must be 1 or more"))

    def inverse(self, u: float) -> float:
        return self.value / self.per

    def expected(self) -> float:
        return self.value / self.per


class Uniform(_Base, frozen=True, tag="uniform"):
    """Continuous between `low` and `high`: as whole numbers, the two ends get half the weight of the rest."""

    low: int
    high: int

    def __post_init__(self) -> None:
        self._integers()
        self._require((self.low <= self.high, "low must not be above high"))

    def inverse(self, u: float) -> float:
        return self.low + (self.high - self.low) * u

    def expected(self) -> float:
        return (self.low + self.high) / 2


class Exponential(_Base, frozen=True, tag="exponential"):
    """Mean `mean / per`: gaps of a Poisson stream of 300/s are `Exponential(1000, per=300)`."""

    mean: int
    per: int = 1

    def __post_init__(self) -> None:
        self._integers()
        self._require((self.mean >= 0, "mean must be 0 or more"), (self.per >= 1, "per must be 1 or more"))

    def inverse(self, u: float) -> float:
        return -ln(1.0 - u) * self.mean / self.per

    def expected(self) -> float:
        return self.mean / self.per


class Normal(_Base, frozen=True, tag="normal"):
    """Normal with every value under `minimum` set to it (censored, not redrawn).

    `minimum` is 0 unless told otherwise, since most things drawn here are durations; None lets it go below.
    `expected` counts the censoring in.
    """

    mean: int
    sd: int
    minimum: int | None = 0

    def __post_init__(self) -> None:
        self._integers()
        self._require((self.sd >= 0, "sd must be 0 or more"))

    def inverse(self, u: float) -> float:
        x = self.mean + self.sd * normal_quantile(u)
        return x if self.minimum is None or x >= self.minimum else float(self.minimum)

    def expected(self) -> float:
        if self.minimum is None:
            return float(self.mean)
        if self.sd == 0:
            return float(max(self.mean, self.minimum))
        above = self.mean - self.minimum
        z = above / self.sd
        return self.minimum + above * normal_cdf(z) + self.sd * normal_density(z)


class LogNormal(_Base, frozen=True, tag="log_normal", kw_only=True):
    """The logarithm is normal with standard deviation `sigma_milli / 1000`; give `median` or `mean`."""

    sigma_milli: int
    median: int | None = None
    mean: int | None = None

    def __post_init__(self) -> None:
        self._integers()
        self._require(
            ((self.median is None) != (self.mean is None), "give either median or mean"),
            ((self.median or 0) >= 0 and (self.mean or 0) >= 0, "median and mean must be 0 or more"),
            (0 <= self.sigma_milli <= 10_000, "sigma_milli must be 0 to 10000"),
        )

    def inverse(self, u: float) -> float:
        sigma = self.sigma_milli / 1000
        if self.median is not None:
            return self.median * exp(sigma * normal_quantile(u))
        return (self.mean or 0) * exp(sigma * normal_quantile(u) - sigma * sigma / 2)

    def expected(self) -> float:
        if self.mean is not None:
            return float(self.mean)
        sigma = self.sigma_milli / 1000
        return (self.median or 0) * exp(sigma * sigma / 2)


class Triangular(_Base, frozen=True, tag="triangular"):
    """Triangle from `low` over its peak at `mode` to `high`."""

    low: int
    mode: int
    high: int

    def __post_init__(self) -> None:
        self._integers()
        self._require((self.low <= self.mode <= self.high, "low, mode and high must be in that order"))

    def inverse(self, u: float) -> float:
        low, mode, high = self.low, self.mode, self.high
        if u * (high - low) < mode - low:
            return low + sqrt(u * (high - low) * (mode - low))
        return high - sqrt((1.0 - u) * (high - low) * (high - mode))

    def expected(self) -> float:
        return (self.low + self.mode + self.high) / 3


class Weibull(_Base, frozen=True, tag="weibull"):
    """Weibull of `scale` with shape `shape_milli / 1000` (below 1000: failures early; above: wearing out)."""

    scale: int
    shape_milli: int

    def __post_init__(self) -> None:
        self._integers()
        self._require(
            (self.scale >= 0, "scale must be 0 or more"),
            (100 <= self.shape_milli <= 1_000_000, "shape_milli must be 100 to 1000000"),
        )

    def inverse(self, u: float) -> float:
        return self.scale * exp(ln(-ln(1.0 - u)) * 1000 / self.shape_milli)

    def expected(self) -> float:
        return self.scale * gamma(1.0 + 1000 / self.shape_milli)


class Empirical(_Base, frozen=True, tag="empirical"):
    """Quantile table: (probability in millionths, value) rows from 0 to 1000000, straight lines between.

    Both columns never fall. Two rows of one probability make a jump, two of one value an atom, so
    `((0, 1), (250000, 1), (250000, 6), (1000000, 6))` is 1 in a quarter of the cases and else 6.
    """

    table: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        rows = self.table
        if any([type(part) for part in row] != [int, int] for row in rows):
            raise ValueError("Empirical.table must hold pairs of integers (probability_ppm, value)")
        pairs = list(pairwise(rows))
        self._require(
            (len(rows) >= 2, "the table needs two rows or more"),
            (rows[:1] != () and rows[0][0] == 0, "the first probability must be 0"),
            (rows[:1] != () and rows[-1][0] == _MILLION, "the last probability must be 1000000"),
            (all(a[0] <= b[0] for a, b in pairs), "probabilities must not fall"),
            (all(a[1] <= b[1] for a, b in pairs), "values must not fall"),
        )

    def inverse(self, u: float) -> float:
        ppm = u * _MILLION
        i = bisect_right(self.table, (ppm, -1.0), 1)
        below, value = self.table[i - 1]
        above, next_value = self.table[i]
        if above == below:
            return float(value)
        return value + (next_value - value) * (ppm - below) / (above - below)

    def expected(self) -> float:
        return sum((b[0] - a[0]) * (a[1] + b[1]) for a, b in pairwise(self.table)) / (2 * _MILLION)


class Poisson(_Base, frozen=True, tag="poisson"):
    """Counts with mean `mean_milli / 1000`, by summing probabilities from the lower tail.

    Takes about `mean` steps, 20 times its root for means above 200. Means up to a million.
    """

    mean_milli: int

    def __post_init__(self) -> None:
        self._integers()
        self._require((0 <= self.mean_milli <= 1_000_000_000, "mean_milli must be 0 to 1000000000"))

    def inverse(self, u: float) -> float:
        rate = self.mean_milli / 1000
        if rate == 0.0:
            return 0.0
        if rate <= 200.0:
            k, p = 0.0, exp(-rate)
        else:
            # Whatever lies 9 roots below the mean has less weight than the smallest u.
            k = float(floor(rate - 9.0 * sqrt(rate)))
            p = exp(k * ln(rate / k) + (k - rate) - _stirling_rest(k))
        below = p
        # Rounding may leave the sum short of a u next to 1: stop where nothing is left to add.
        while below < u and (k < rate or p > 1e-19):
            k += 1.0
            p *= rate / k
            below += p
        return k

    def expected(self) -> float:
        return self.mean_milli / 1000


def _stirling_rest(k: float) -> float:
    """ln k! less (k ln k - k), for k of 70 or more (Stirling's series to the fourth term)."""
    square = k * k
    series = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * square)) / square) / square) / k
    return 0.5 * ln(6.283185307179586 * k) + series


Distribution = Fixed | Uniform | Exponential | Normal | LogNormal | Triangular | Weibull | Empirical | Poisson
"""Any of them, told apart by `kind` when read."""
