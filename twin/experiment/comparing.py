"""Paired differences between two variants on the same seeds, each with its interval, and many of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import sqrt
from typing import Final

from msgspec import Struct, structs

from twin.experiment.statistics import Interval, t_interval
from twin.measures.measured import Exact

__all__ = ["FEW", "Difference", "compared", "holm", "paired_p", "variance_ratio", "with_holm"]

FEW: Final = "n too small"
"""What stands in place of an interval of fewer than two pairs."""


class Difference(Struct, frozen=True):
    """A variant less the base in one measure, over `count` pairs; `lost` seeds have no value on one side or the other.

    `interval` and `p` are None for fewer than two pairs. `p` is that of the paired t test of no difference, `p_holm`
    the same after Holm's rule over all comparisons of the experiment, `differs` whether it stands after that.
    `variance_ratio` is the variance of the difference of independent runs over that of the pairs: what common random
    numbers are worth in runs.
    """

    scenario: str
    variant: str
    measure: str
    unit: str
    count: int
    lost: int
    base_mean: Fraction | None
    mean: Fraction | None
    interval: Interval | None
    p: float | None
    variance_ratio: float | None
    p_holm: float | None = None
    differs: bool = False
    note: str = ""


def compared(
    scenario: str,
    variant: str,
    measure: str,
    unit: str,
    pairs: Sequence[tuple[int, Exact, Exact]],
    seeds: int,
    confidence_ppm: int,
) -> Difference:
    """The difference over pairs of seed, base and variant; `seeds` is how many were run."""
    before = [Fraction(value) for _, value, _ in pairs]
    after = [Fraction(value) for _, _, value in pairs]
    differences = [late - early for early, late in zip(before, after, strict=True)]
    count, lost = len(pairs), seeds - len(pairs)
    notes = []
    if count < 2:
        notes.append(FEW)
    elif len(dict.fromkeys(differences)) == 1:
        notes.append("the same under every seed")
    if lost:
        notes.append(f"{lost} of {seeds} seeds have no value on one side")
    return Difference(
        scenario,
        variant,
        measure,
        unit,
        count,
        lost,
        sum(before, Fraction(0)) / count if count else None,
        sum(differences, Fraction(0)) / count if count else None,
        t_interval(differences, confidence_ppm) if count > 1 else None,
        paired_p(differences) if count > 1 else None,
        variance_ratio(before, after),
        note="; ".join(notes),
    )


def paired_p(differences: Sequence[Exact]) -> float:
    """The two-sided p of Student's t for a mean difference of 0; 1 where all are 0, 0 where all are the same else."""
    count = len(differences)
    if count < 2:
        raise ValueError(f"a test needs at least 2 pairs, here {'is 1' if count else 'are none'}")
    mean, variance = _moments(differences)
    if not variance:
        return 0.0 if mean else 1.0
    from scipy.special import stdtr  # its import takes longer than a small run

    return float(2 * stdtr(count - 1, -abs(float(mean)) / sqrt(variance / count)))


def holm(ps: Sequence[float]) -> list[float]:
    """The p values after Holm's rule (1979), in their order: one below the level stands at that family-wise level."""
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = highest
    return adjusted


def with_holm(differences: Sequence[Difference], confidence_ppm: int) -> list[Difference]:
    """The differences with Holm's rule over all of them that have a p."""
    tested = [index for index, one in enumerate(differences) if one.p is not None]
    found = list(differences)
    level = 1 - confidence_ppm / 1_000_000
    for index, p in zip(tested, holm([found[index].p or 0.0 for index in tested]), strict=True):
        found[index] = structs.replace(found[index], p_holm=p, differs=p <= level)
    return found


def variance_ratio(before: Sequence[Exact], after: Sequence[Exact]) -> float | None:
    """(Var X + Var Y) / Var (Y − X); None where there are no two pairs, or the difference does not vary."""
    if len(before) < 2:
        return None
    paired = _moments([late - early for early, late in zip(before, after, strict=True)])[1]
    return float((_moments(before)[1] + _moments(after)[1]) / paired) if paired else None


def _moments(values: Sequence[Exact]) -> tuple[Fraction, Fraction]:
    """Mean and sample variance."""
    mean = sum((Fraction(value) for value in values), Fraction(0)) / len(values)
    return mean, sum(((Fraction(value) - mean) ** 2 for value in values), Fraction(0)) / (len(values) - 1)
