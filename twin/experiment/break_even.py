"""From how many outages a year on a control pays, without a guess at how often they come.

A control costs a sum a year whether anything happens or not: what it is said to cost, and what it takes from the
undisturbed business (stock held, latency, people). Each outage gives some of that back. It pays above n outages a year,
n = yearly cost / loss avoided by an outage; both are means over the same seeds, so the interval of their quotient is
Fieller's (1954).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import inf, sqrt
from typing import Final, Literal

from msgspec import Struct

from twin.experiment.leakage import result
from twin.experiment.statistics import Interval, student_quantile, t_interval
from twin.measures.measured import Exact
from twin.scenario.times import RunSpec

__all__ = ["YEAR_MS", "BreakEven", "break_even", "quiet_cost", "yearly"]

YEAR_MS: Final = 365 * 86_400_000

Verdict = Literal["pays above", "pays below", "always pays", "never pays", "cannot tell"]


class BreakEven(Struct, frozen=True):
    """Outages a year above which a control pays: `outages`, and between `low` and `high` with confidence.

    `verdict` says what of it stands at the confidence. `pays above`: it avoids a loss, and does so for its cost from
    `outages` on. `always pays`: it costs nothing, or less, and makes no outage worse. `never pays`: it saves nothing,
    neither in an outage nor without. `pays below`: it saves without outages, and makes each worse. `cannot tell`: the
    seeds do not say whether it avoids a loss. `outages` is None where the means have no such number; `high` is
    infinite where none is high enough for sure. Costs and losses are in minor units.
    """

    yearly_cost: Interval
    avoided: Interval
    outages: Fraction | None
    low: float
    high: float
    verdict: Verdict

    def net_minor(self, outages_a_year: Exact) -> Fraction:
        """What the control brings in a year with so many outages, its cost charged; negative: it does not pay."""
        return Fraction(outages_a_year) * self.avoided.mean - self.yearly_cost.mean


def yearly(amounts: Sequence[Exact], window_ms: int) -> list[Fraction]:
    """Amounts of a window as amounts of a year of 365 days.

    Raises `ValueError` for a window without a length.
    """
    if window_ms <= 0:
        raise ValueError(f"a window of {window_ms} ms cannot be made a year of")
    return [Fraction(amount) * YEAR_MS / window_ms for amount in amounts]


def quiet_cost(run: RunSpec, before: Mapping[str, Exact], after: Mapping[str, Exact]) -> Fraction:
    """What a control takes from the result in a year in which nothing happens, by the accounts without and with it.

    Holding goes on as long as the run, everything else as long as customers order.
    """
    begin = run.start + run.warmup
    holding = Fraction(after["holding"]) - Fraction(before["holding"])
    rest = result(before) - result(after) - holding
    return yearly([holding], run.end - begin)[0] + yearly([rest], run.demand_end - begin)[0]


def break_even(yearly_costs: Sequence[Exact], avoided: Sequence[Exact], confidence_ppm: int = 950_000) -> BreakEven:
    """The break-even frequency from pairs by seed: what the control costs a year, and the loss that it avoids by one
    outage.

    Raises `ValueError` for fewer than two seeds, or lists of different lengths.
    """
    if len(yearly_costs) != len(avoided):
        raise ValueError(f"{len(yearly_costs)} costs and {len(avoided)} losses; give one of each for every seed")
    costs, gains = t_interval(yearly_costs, confidence_ppm), t_interval(avoided, confidence_ppm)
    outages = _quotient(costs.mean, gains.mean)
    low, high = _fieller(yearly_costs, avoided, confidence_ppm)
    return BreakEven(costs, gains, outages, low, high, _verdict(costs, gains))


def _quotient(cost: Fraction, gain: Fraction) -> Fraction | None:
    if cost <= 0 <= gain:
        return Fraction(0)
    return cost / gain if cost * gain > 0 else None


def _verdict(costs: Interval, gains: Interval) -> Verdict:
    if costs.high <= 0 and gains.low >= 0:
        return "always pays"
    if gains.low > 0:
        return "pays above"
    if gains.high <= 0:
        return "pays below" if costs.high < 0 else "never pays" if costs.low >= 0 else "cannot tell"
    return "cannot tell"


def _fieller(costs: Sequence[Exact], gains: Sequence[Exact], confidence_ppm: int) -> tuple[float, float]:
    """The least and the greatest n ≥ 0 for which it is not refuted that cost − n · gain is 0 in the mean.

    Where the gain may be nothing there is no greatest one; both are infinite where no n ≥ 0 will do.
    """
    count = len(costs)
    cost = sum((Fraction(value) for value in costs), Fraction(0)) / count
    gain = sum((Fraction(value) for value in gains), Fraction(0)) / count
    away = [(Fraction(one) - cost, Fraction(other) - gain) for one, other in zip(costs, gains, strict=True)]
    share = Fraction(student_quantile(0.5 + confidence_ppm / 2_000_000, count - 1)) ** 2 / (count * (count - 1))
    # (cost − n gain)² ≤ t² · variance / count is a n² − 2 b n + c ≤ 0.
    a = gain**2 - share * sum(g * g for _, g in away)
    b = cost * gain - share * sum(c * g for c, g in away)
    c = cost**2 - share * sum(c * c for c, _ in away)
    under = b * b - a * c
    if a == 0 or (a < 0 and under <= 0):
        return 0.0, inf
    roots = sorted((float(b) + sign * sqrt(max(Fraction(0), under))) / float(a) for sign in (-1, 1))
    if a > 0:
        if roots[1] < 0:
            return (0.0, 0.0) if gain > 0 else (inf, inf)
        return max(0.0, roots[0]), roots[1]
    # Outside the roots.
    return (0.0, inf) if roots[0] >= 0 else (max(0.0, roots[1]), inf)
