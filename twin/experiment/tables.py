"""The results of an experiment, looked at: values by seed, pairs, differences."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Literal

from twin.experiment.comparing import Difference, compared, with_holm
from twin.experiment.designs import LatinHypercube
from twin.experiment.plan import Plan
from twin.experiment.regret import Regret, regret_of
from twin.experiment.sensitivity import Influence, influences
from twin.experiment.spread import Spread, spread_of
from twin.experiment.trial import Outcome
from twin.measures.measured import Exact

__all__ = ["Results"]

Pair = tuple[int, Exact, Exact]
"""A seed, the base's value and the variant's."""


class Results:
    """What all runs of a plan gave; `outcomes` are by scenario, variant and seed."""

    def __init__(self, plan: Plan, outcomes: Sequence[Outcome], folder: Path) -> None:
        self.plan = plan
        self.outcomes = tuple(outcomes)
        self.folder = folder

    @cached_property
    def cells(self) -> list[tuple[str, str]]:
        """Scenario and variant, in the plan's order."""
        return list(dict.fromkeys((one.scenario_id, one.variant) for one in self.outcomes))

    @cached_property
    def failed(self) -> list[Outcome]:
        """Runs whose engine stopped: they have no measures, and no comparison has them."""
        return [one for one in self.outcomes if one.failure]

    @cached_property
    def _values(self) -> dict[tuple[str, str], dict[str, dict[int, Exact]]]:
        found: dict[tuple[str, str], dict[str, dict[int, Exact]]] = {}
        for one in self.outcomes:
            of_cell = found.setdefault((one.scenario_id, one.variant), {})
            for row in one.rows:
                of_measure = of_cell.setdefault(row.measure, {})
                if row.value is not None:
                    of_measure[one.seed] = row.value
        return found

    @cached_property
    def units(self) -> dict[str, str]:
        """The unit of each measure that some run had."""
        return {row.measure: row.unit for one in self.outcomes for row in one.rows}

    @cached_property
    def measures(self) -> dict[str, Literal["high", "low"] | None]:
        """The measures asked for, by full name in the order asked, and which way is good."""
        found: dict[str, Literal["high", "low"] | None] = {}
        for asked in self.plan.measures:
            for name in self.units:
                if fnmatchcase(name, asked.name):
                    found.setdefault(name, asked.better)
        return found

    @cached_property
    def unknown(self) -> list[str]:
        """Measures asked for that no run has, such as a slice that there is not."""
        asked = [one.name for one in self.plan.measures]
        asked += [self.plan.stop.measure] if self.plan.stop is not None else []
        return [name for name in dict.fromkeys(asked) if not any(fnmatchcase(known, name) for known in self.units)]

    def values(self, scenario: str, variant: str, measure: str) -> dict[int, Exact]:
        """A measure by seed; seeds where nothing fell into its window are left out."""
        return self._values.get((scenario, variant), {}).get(measure, {})

    def pairs(self, scenario: str, variant: str, measure: str) -> list[Pair]:
        """The measure under the base and under the variant, for each seed that has both."""
        base, other = self.values(scenario, self.plan.base_id, measure), self.values(scenario, variant, measure)
        seeds = [one.seed for one in self.outcomes if (one.scenario_id, one.variant) == (scenario, variant)]
        return [(seed, base[seed], other[seed]) for seed in seeds if seed in base and seed in other]

    def spread(self, scenario: str, variant: str, measure: str) -> Spread:
        """How far the runs of a variant lie from their mean."""
        values = list(self.values(scenario, variant, measure).values())
        return spread_of(values, self.measures[measure], self.plan.confidence)

    def spread_of_difference(self, scenario: str, variant: str, measure: str) -> Spread:
        """The same of a variant less the base, seed by seed: what it may cost, not only what it does on the mean."""
        values = [after - before for _, before, after in self.pairs(scenario, variant, measure)]
        return spread_of(values, self.measures[measure], self.plan.confidence)

    def regret(self, measure: str) -> Regret:
        """Who is how much worse than the best in which scenario. Raises `ValueError` for a measure without a direction,
        and where no seed has it under every variant."""
        better = self.measures[measure]
        if better is None:
            raise ValueError(f"{measure}: say which way is better, high or low")
        found: dict[str, dict[str, dict[int, Exact]]] = {}
        for scenario, variant in self.cells:
            found.setdefault(scenario, {})[variant] = self.values(scenario, variant, measure)
        return regret_of(measure, found, better, self.plan.confidence)

    def influences(self, scenario: str, measure: str) -> list[Influence]:
        """Which factor of the Latin hypercube moves the mean of a measure. Raises `ValueError` where there is none, or
        too few points, and `AnalysisMissing`."""
        design = self.plan.design
        if not isinstance(design, LatinHypercube):
            raise ValueError("there is no Latin hypercube in the plan, so there are no points to tell factors from")
        points, answers = [], []
        for point in design.points_of():
            values = list(self.values(scenario, point.id, measure).values())
            if values:
                points.append([float(value) for value in point.values.values()])
                answers.append(float(sum(values, Fraction(0)) / len(values)))
        return influences([factor.id for factor in design.factors], points, answers, self.plan.confidence)

    def differences(self) -> list[Difference]:
        """Every variant less the base, in every scenario and measure asked for, with Holm's rule over all of them."""
        found = []
        seeds = len(dict.fromkeys(one.seed for one in self.outcomes))
        for scenario, variant in self.cells:
            if variant == self.plan.base_id:
                continue
            for measure in self.measures:
                pairs = self.pairs(scenario, variant, measure)
                found.append(
                    compared(scenario, variant, measure, self.units[measure], pairs, seeds, self.plan.confidence)
                )
        return with_holm(found, self.plan.confidence)
