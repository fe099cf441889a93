"""Confidence intervals over replications. Sums are exact; only the quantile and the square root are floats."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import sqrt

from msgspec import Struct

from twin.measures.measured import Exact

__all__ = ["Interval", "student_quantile", "t_interval"]


class Interval(Struct, frozen=True):
    """A two-sided interval for a mean, `mean` ± `half_width`, from `count` independent values."""

    mean: Fraction
    half_width: float
    count: int

    @property
    def low(self) -> float:
        """Lower end."""
        return float(self.mean) - self.half_width

    @property
    def high(self) -> float:
        """Upper end."""
        return float(self.mean) + self.half_width

    def holds(self, value: Exact) -> bool:
        """Whether the value lies inside, the ends included."""
        return abs(Fraction(value) - self.mean) <= Fraction(self.half_width)


def student_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t with `freedom` degrees of freedom at `probability`."""
    from scipy.special import stdtrit  # its import takes longer than a small run

    return float(stdtrit(freedom, probability))


def t_interval(values: Sequence[Exact], confidence_ppm: int) -> Interval:
    """The interval of the mean of independent values (Student 1908), at `confidence_ppm` millionths.

    Raises `ValueError` for fewer than two values: one run says nothing of its own spread.
    """
    count = len(values)
    if count < 2:
        raise ValueError(f"an interval needs at least 2 values, here {'is 1' if count else 'are none'}")
    center = sum((Fraction(value) for value in values), Fraction(0)) / count
    variance = sum(((Fraction(value) - center) ** 2 for value in values), Fraction(0)) / (count - 1)
    quantile = student_quantile(0.5 + confidence_ppm / 2_000_000, count - 1)
    return Interval(center, quantile * sqrt(variance / count), count)
