"""Where the money went: from the result of the undisturbed business to that of the disturbed one, cause by cause.

The result is the margin less the invoices that never reached the ERP and the stock that was written off. Each cause is
a sum of the ledger's accounts, and the end is what the disturbed run itself reports: a cause that is forgotten, counted
twice or has the wrong sign leaves a gap, and that is an error (`Unbalanced`), never a rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final

from msgspec import Struct

from twin.experiment.statistics import Interval, t_interval
from twin.measures.measured import Exact

__all__ = ["ACCOUNTS", "CAUSES", "Cause", "Step", "Unbalanced", "Waterfall", "losses_by_cause", "result", "waterfall"]


class Unbalanced(ArithmeticError):
    """The steps of a waterfall do not lead from its start to its end."""


class Cause(Struct, frozen=True):
    """One step: what it is called, and how much a unit of each account adds to the result (1 or −1)."""

    id: str
    title: str
    accounts: Mapping[str, int]


CAUSES: Final = (
    Cause("lost", "Goods not sold, less their cost", {"shipped_value": 1, "cost_of_goods": -1}),
    Cause("unbilled", "Shipped and not billed", {"billed_value": 1, "shipped_value": -1, "unposted_value": -1}),
    Cause("mispriced", "Billed at another price", {"revenue": 1, "credited_value": 1, "billed_value": -1}),
    Cause("credited", "Credits", {"credited_value": -1}),
    Cause("late", "Late: penalties", {"late_penalty": -1, "penalty": -1}),
    Cause("expedited", "Dearer freight", {"freight": -1}),
    Cause("handled", "Work of people", {"support_cost": -1, "intervention_cost": -1}),
    Cause("bought", "More purchase orders", {"ordering": -1}),
    Cause("held", "More stock held", {"holding": -1}),
    Cause("written_off", "Stock written off", {"written_off": -1}),
)
"""Every cause, in the order of the steps. Their accounts add up to `RESULT`."""

RESULT: Final = {"margin": 1, "unposted_value": -1, "written_off": -1}
"""What the waterfall starts from and ends at, as the runs themselves report it."""

ACCOUNTS: Final = tuple(dict.fromkeys([name for cause in CAUSES for name in cause.accounts] + list(RESULT)))
"""The measures that a waterfall needs of each run."""


class Step(Struct, frozen=True):
    """What a cause adds to the result, in whole minor units: a loss is negative.

    `interval` is that of the mean over the pairs, exact; None for a single pair.
    """

    cause: str
    title: str
    amount_minor: int
    interval: Interval | None


class Waterfall(Struct, frozen=True):
    """From `start_minor` to `end_minor` by `steps`, all in whole minor units, means of `count` pairs of runs."""

    start_minor: int
    steps: tuple[Step, ...]
    end_minor: int
    count: int

    @property
    def lost_minor(self) -> int:
        """What the disturbance cost in all."""
        return self.start_minor - self.end_minor

    def check(self) -> None:
        """Raises `Unbalanced` unless the steps lead from the start to the end, to the last minor unit."""
        reached = self.start_minor + sum(step.amount_minor for step in self.steps)
        if reached != self.end_minor:
            told = ", ".join(f"{step.cause} {step.amount_minor}" for step in self.steps)
            gap = reached - self.end_minor
            raise Unbalanced(
                f"from {self.start_minor} the steps lead to {reached}, not {self.end_minor}: {gap} ({told})"
            )


def result(accounts: Mapping[str, Exact]) -> Fraction:
    """The result of a run by its own margin, exactly, in minor units."""
    return _sum(accounts, RESULT)


def losses_by_cause(
    base: Mapping[str, Exact], hurt: Mapping[str, Exact], causes: Sequence[Cause] = CAUSES
) -> dict[str, Fraction]:
    """What each cause took from the result of `hurt` beside that of `base`, exactly: a loss is positive.

    Both map the names in `ACCOUNTS` to their values. Raises `Unbalanced` where the causes do not explain the difference
    of the results to the last bit, and `KeyError` for an account that is missing.
    """
    found = {cause.id: _sum(base, cause.accounts) - _sum(hurt, cause.accounts) for cause in causes}
    lost = result(base) - result(hurt)
    explained = sum(found.values(), Fraction(0))
    if explained != lost:
        raise Unbalanced(f"the causes explain {explained} of {lost} minor units: {explained - lost}")
    return found


def waterfall(
    pairs: Sequence[tuple[Mapping[str, Exact], Mapping[str, Exact]]],
    confidence_ppm: int = 950_000,
    causes: Sequence[Cause] = CAUSES,
) -> Waterfall:
    """The mean waterfall of pairs of runs on one seed, the undisturbed one first in each.

    Every level is rounded to a whole minor unit, and a step is the difference of two levels: so the steps add up, and
    none is further than a minor unit from its exact mean. Raises `Unbalanced`, and `ValueError` without a pair.
    """
    if not pairs:
        raise ValueError("a waterfall needs a pair of runs")
    losses = [losses_by_cause(base, hurt, causes) for base, hurt in pairs]
    level = _mean([result(base) for base, _ in pairs])
    reached = round(level)
    start = reached
    steps = []
    for cause in causes:
        gains = [-lost[cause.id] for lost in losses]
        level += _mean(gains)
        interval = t_interval(gains, confidence_ppm) if len(gains) > 1 else None
        steps.append(Step(cause.id, cause.title, round(level) - reached, interval))
        reached = round(level)
    # The end is what the disturbed runs report, and not where the steps have led to.
    end = round(_mean([result(hurt) for _, hurt in pairs]))
    made = Waterfall(start, tuple(steps), end, len(pairs))
    made.check()
    return made


def _sum(accounts: Mapping[str, Exact], signs: Mapping[str, int]) -> Fraction:
    return sum((sign * Fraction(accounts[name]) for name, sign in signs.items()), Fraction(0))


def _mean(values: Sequence[Fraction]) -> Fraction:
    return sum(values, Fraction(0)) / len(values)
