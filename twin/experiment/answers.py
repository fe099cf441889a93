"""What an experiment says in money: measures side by side, leakage by cause, value at risk, break-even, workflows.

Seeds are sampled, and starts are chosen: a figure of an outage is first taken over its starts, seed by seed, and
intervals are over the seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Final

from msgspec import Struct

from twin.experiment.break_even import BreakEven, break_even, quiet_cost
from twin.experiment.comparing import Difference, compared, holm, paired_p, with_holm
from twin.experiment.leakage import ACCOUNTS, Waterfall, result, waterfall
from twin.experiment.plan import Plan
from twin.experiment.spread import Spread, spread_of_clusters
from twin.experiment.statistics import Interval, t_interval
from twin.experiment.tables import Results
from twin.experiment.workflows import interfaces_of, stands_still
from twin.measures.measured import Exact
from twin.scenario import Scenario
from twin.scenario.errors import Path

__all__ = ["KPIS", "Answers", "Group", "Pays", "Risk", "TooFew", "WorkflowLoss"]

KPIS: Final = (
    "manual_touches_per_order",
    "order_fallout",
    "order_to_ship",
    "inventory_record_accuracy",
    "integration_failure_rate",
    "support_cost",
    "supplier_response_time",
    "reporting_consistency",
    "otif_to_request",
    "late_penalty",
    "margin",
)
"""The measures of operations and integration that are compared, and the service and the margin beside them."""


class TooFew(ValueError):
    """There are not enough runs for an answer; the text says what is missing, `path` where the plan would say it."""

    def __init__(self, text: str, path: Path = ("seeds",)) -> None:
        super().__init__(text)
        self.path = path


class Group(Struct, frozen=True):
    """Variants that are one to a reader: an outage from all its starts, under a control or none; or a control alone."""

    name: str
    variants: tuple[str, ...]
    outage: str = ""
    control: str = ""


class Risk(Struct, frozen=True):
    """What an outage loses of the result, in minor units: its mean, and the spread over seeds and starts."""

    outage: str
    starts: int
    mean: Interval
    spread: Spread


class Pays(Struct, frozen=True):
    """From how many outages a year a control pays; `own_minor` is its declared cost of a year."""

    control: str
    outage: str
    own_minor: int
    found: BreakEven


class WorkflowLoss(Struct, frozen=True):
    """What a workflow that stands still loses, in minor units.

    `interfaces` are those it stands still at; with none it is not modeled, and has no loss. `p_holm` is that of the
    paired test against the workflow behind it, after Holm's rule over these; `stands` whether it is worth more after
    that.
    """

    workflow: str
    interfaces: tuple[str, ...]
    loss: Interval | None
    p_holm: float | None = None
    stands: bool = False


class Answers:
    """The answers for one scenario of an experiment; a run whose engine stopped takes its seed out of all of them."""

    def __init__(self, results: Results, scenario_id: str, base: Scenario) -> None:
        """Raises `TooFew` for an experiment without outages or workflows, or with fewer than two whole seeds."""
        plan = results.plan
        self.check(plan)
        self.results = results
        self.scenario_id = scenario_id
        self.base = base
        self.confidence = plan.confidence
        failed = dict.fromkeys(one.seed for one in results.failed if one.scenario_id == scenario_id)
        self.seeds = [seed for seed in dict.fromkeys(one.seed for one in results.outcomes) if seed not in failed]
        if len(self.seeds) < 2:
            raise TooFew(f"{scenario_id}: {len(self.seeds)} whole seeds; an interval needs at least 2, give more seeds")

    @staticmethod
    def check(plan: Plan) -> None:
        """Raises `TooFew` for an experiment that could not answer anything, before it is run."""
        if not plan.outages and plan.workflows is None:
            raise TooFew("the experiment has no outages and no workflows; give it some, or use `twin experiment`", ())
        if len(plan.seeds) < 2:
            raise TooFew("one seed has no interval; give at least 2 seeds")

    @property
    def groups(self) -> list[Group]:
        """What is compared with the undisturbed business: listed variants, controls, outages without and with each."""
        plan = self.results.plan
        made = dict.fromkeys(case.variant for case in plan.cases)
        found = [Group(one.id, (one.id,)) for one in plan.all_variants if one.id not in made and one.id != plan.base_id]
        by_name: dict[tuple[str, str], list[str]] = {}
        for case in plan.cases:
            by_name.setdefault((case.outage, case.control), []).append(case.variant)
        for (outage, control), variants in by_name.items():
            name = " with ".join(part for part in (outage, control) if part)
            found.append(Group(name, tuple(variants), outage, control))
        return found

    def kpis(self) -> dict[str, list[Difference]]:
        """The measures of `KPIS` of each group less those of the undisturbed business, with Holm's rule over all."""
        groups = self.groups
        found: list[Difference] = []
        for group in groups:
            for name in KPIS:
                if name in self.results.units:
                    found.append(self._difference(group, name))
        tested = iter(with_holm(found, self.confidence))
        known = [name for name in KPIS if name in self.results.units]
        return {group.name: [next(tested) for _ in known] for group in groups}

    def leakage(self) -> dict[str, Waterfall]:
        """The waterfall of each outage, without a control and with each."""
        found = {}
        for group in self.groups:
            if group.outage:
                pairs = [
                    (self._accounts((self._undisturbed,), seed), self._accounts(group.variants, seed))
                    for seed in self.seeds
                ]
                found[group.name] = waterfall(pairs, self.confidence)
        return found

    def risks(self) -> list[Risk]:
        """The loss of each outage, without a control and with each, over seeds and starts."""
        found = []
        for group in self.groups:
            if group.outage:
                rows = [[self._loss(variant, seed) for variant in group.variants] for seed in self.seeds]
                means = [sum(row, Fraction(0)) / len(row) for row in rows]
                spread = spread_of_clusters(rows, self.confidence)
                found.append(Risk(group.name, len(group.variants), t_interval(means, self.confidence), spread))
        return found

    def pays(self) -> list[Pays]:
        """Every control against every outage."""
        groups = {(group.outage, group.control): group for group in self.groups}
        found = []
        for control in self.results.plan.controls:
            own = control.cost_per_year.minor
            costs = [own + self._quiet_cost(groups["", control.id], seed) for seed in self.seeds]
            for outage in self.results.plan.outages:
                without, under = groups[outage.id, ""], groups[outage.id, control.id]
                avoided = [
                    self._mean_loss(without.variants, self._undisturbed, seed)
                    - self._mean_loss(under.variants, control.id, seed)
                    for seed in self.seeds
                ]
                found.append(Pays(control.id, outage.id, own, break_even(costs, avoided, self.confidence)))
        return found

    def ranking(self) -> list[WorkflowLoss]:
        """The workflows by what their standing still loses, the dearest first; those that are not modeled last."""
        workflows = self.results.plan.workflows
        if workflows is None:
            return []
        losses: dict[str, list[Fraction]] = {}
        places: dict[str, tuple[str, ...]] = {}
        for one in workflows.serve:
            ids = [name for messages in one.messages for name in interfaces_of(self.base, messages)]
            places[one.id] = tuple(dict.fromkeys(ids))
            if ids:
                variants = tuple(stands_still(one.id, start) for start in workflows.starts)
                losses[one.id] = [self._mean_loss(variants, self._undisturbed, seed) for seed in self.seeds]
        ranked = sorted(losses, key=lambda name: (-sum(losses[name], Fraction(0)), name))
        behind = [
            paired_p([more - less for more, less in zip(losses[one], losses[other], strict=True)])
            for one, other in pairwise(ranked)
        ]
        adjusted: list[float | None] = [*holm(behind), None]
        level = 1 - self.confidence / 1_000_000
        found = [
            WorkflowLoss(name, places[name], t_interval(losses[name], self.confidence), p, p is not None and p <= level)
            for name, p in zip(ranked, adjusted, strict=False)
        ]
        return found + [WorkflowLoss(name, (), None) for name in places if name not in losses]

    @property
    def _undisturbed(self) -> str:
        return self.results.plan.base_id

    def _difference(self, group: Group, measure: str) -> Difference:
        base = self.results.values(self.scenario_id, self._undisturbed, measure)
        others = [self.results.values(self.scenario_id, variant, measure) for variant in group.variants]
        pairs = [
            (seed, base[seed], _mean([other[seed] for other in others]))
            for seed in self.seeds
            if seed in base and all(seed in other for other in others)
        ]
        named = (self.scenario_id, group.name, measure, self.results.units[measure])
        return compared(*named, pairs, len(self.seeds), self.confidence)

    def _accounts(self, variants: Iterable[str], seed: int) -> Mapping[str, Exact]:
        """The accounts of a seed, as their mean over the variants."""
        return {
            name: _mean([self.results.values(self.scenario_id, variant, name)[seed] for variant in variants])
            for name in ACCOUNTS
        }

    def _loss(self, variant: str, seed: int, base: str = "") -> Fraction:
        return result(self._accounts((base or self._undisturbed,), seed)) - result(self._accounts((variant,), seed))

    def _mean_loss(self, variants: Sequence[str], base: str, seed: int) -> Fraction:
        return _mean([self._loss(variant, seed, base) for variant in variants])

    def _quiet_cost(self, group: Group, seed: int) -> Fraction:
        before, after = self._accounts((self._undisturbed,), seed), self._accounts(group.variants, seed)
        return quiet_cost(self.base.run, before, after)


def _mean(values: Sequence[Exact]) -> Fraction:
    return sum((Fraction(value) for value in values), Fraction(0)) / len(values)
