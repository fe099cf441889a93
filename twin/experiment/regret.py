"""Which variant, when nobody knows which scenario comes: the regret of each in each, and who may be the best.

Regret is how much worse a variant's mean is than the best variant's in that scenario. A variant may be the best where
no other is better beyond what chance explains (screening by paired differences, Nelson, Swann, Goldsman and Song 2001,
with Bonferroni's share of the error for each comparison): the best one is kept at the confidence asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Literal

from msgspec import Struct

from twin.experiment.statistics import t_interval
from twin.measures.measured import Exact

__all__ = ["Regret", "regret_of"]


class Regret(Struct, frozen=True):
    """Regrets of one measure by scenario and variant, in its unit.

    `worst` is the greatest of each variant over the scenarios, `least` the variant of the least such; `may_be_best` has
    the variants that may be the best of a scenario, all of them where there are too few seeds to tell.
    """

    measure: str
    regrets: dict[str, dict[str, Fraction]]
    worst: dict[str, Fraction]
    least: str
    may_be_best: dict[str, tuple[str, ...]]
    count: int


def regret_of(
    measure: str,
    values: Mapping[str, Mapping[str, Mapping[int, Exact]]],
    better: Literal["high", "low"],
    confidence_ppm: int,
) -> Regret:
    """The regrets of values by scenario, variant and seed, over the seeds that all variants of a scenario have.

    Raises `ValueError` for a scenario where there is no such seed.
    """
    sign = 1 if better == "high" else -1
    regrets: dict[str, dict[str, Fraction]] = {}
    best: dict[str, tuple[str, ...]] = {}
    counts = []
    for scenario, by_variant in values.items():
        first = next(iter(by_variant.values()))
        seeds = [seed for seed in first if all(seed in by_seed for by_seed in by_variant.values())]
        if not seeds:
            raise ValueError(f"{measure}: no seed of {scenario} has a value under every variant")
        good = {name: [sign * Fraction(found[seed]) for seed in seeds] for name, found in by_variant.items()}
        means = {name: sum(row, Fraction(0)) / len(row) for name, row in good.items()}
        top = max(means.values())
        regrets[scenario] = {name: top - mean for name, mean in means.items()}
        best[scenario] = tuple(name for name in good if _may_be_best(name, good, confidence_ppm))
        counts.append(len(seeds))
    variants = next(iter(regrets.values()))
    worst = {name: max(row[name] for row in regrets.values()) for name in variants}
    return Regret(measure, regrets, worst, min(worst, key=worst.__getitem__), best, min(counts))


def _may_be_best(name: str, good: Mapping[str, Sequence[Fraction]], confidence_ppm: int) -> bool:
    own = good[name]
    if len(own) < 2:
        return True
    # One-sided, at the share of the error that each of the other variants has: a two-sided interval of twice that.
    error = 2 * (1_000_000 - confidence_ppm) // max(1, len(good) - 1)
    for other, row in good.items():
        if other != name:
            ahead = t_interval([theirs - mine for theirs, mine in zip(row, own, strict=True)], 1_000_000 - error)
            if ahead.mean > 0 and ahead.low > 0:
                return False
    return True
