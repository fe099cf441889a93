"""Which dependency hurts first: how long the business lives without each, against how long each takes to come back.

After Simchi-Levi and others (2015, Interfaces 45(5):375-390). Time to survive is the longest outage of a warehouse, a
supplier, a carrier, a lane or an interface for which the main measure stays within a tolerance of the same seeds
without it, found by bisection. Time to recover is an input. A dependency is exposed where it survives for less than it
takes to recover; the performance impact is what an outage of that length loses, and the risk exposure index that over
the greatest of all.

All brackets are narrowed in step, so that one batch of runs serves every dependency, within a budget of runs. A
dependency that survives the longest outage is looked at no more. The bracket is where a grid of lengths first fails:
where a longer one holds again, that is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from fractions import Fraction
from itertools import chain
from statistics import median_low
from typing import Any, Final

from msgspec import Struct, structs

from twin.experiment.observing import Job, Observation
from twin.experiment.regression import MAIN, observed
from twin.experiment.statistics import Interval, t_interval
from twin.run import Progress
from twin.scenario import Scenario
from twin.scenario.disruptions import CarrierClosed, LaneClosed, SupplierClosed, WarehouseClosed
from twin.scenario.faults import Outage
from twin.scenario.units import format_duration

__all__ = [
    "BudgetTooSmall",
    "Exposure",
    "Fix",
    "Impact",
    "Looked",
    "NothingToLose",
    "Question",
    "dependencies",
    "exposures",
]

GRID: Final = (8, 4, 2)
"""Parts of the longest outage at which the bracket is looked for."""
STEPS: Final = 64
"""The longest outage has so many steps of the finest bracket."""
CONFIDENCE: Final = 950_000
MARGIN: Final = "margin"


class BudgetTooSmall(ValueError):
    """The budget of runs does not allow the first look at every dependency."""


class NothingToLose(ValueError):
    """Without any outage the business has no value of the measure, so none can be lost."""


class Fix(Struct, frozen=True):
    """An option that may help: its changes to the scenario, and what it costs (minor units)."""

    name: str
    change: Mapping[str, Any]
    cost_minor: int = 0


class Question(Struct, frozen=True):
    """When outages begin (ms after the start), the longest looked at, and what may be lost of the measure.

    `recover` gives the time to recover (ms) by pattern over dependencies, the first that fits; `runs` is the budget.
    """

    starts: tuple[int, ...]
    longest_ms: int
    seeds: tuple[int, ...] = (1, 2, 3)
    tolerance: Fraction = Fraction(1, 200)
    recover: tuple[tuple[str, int], ...] = ()
    fixes: tuple[Fix, ...] = ()
    runs: int = 1_000
    measure: str = MAIN

    def recovery_of(self, dependency: str) -> int | None:
        """Time to recover (ms); None where nobody said."""
        return next((ms for pattern, ms in self.recover if fnmatchcase(dependency, pattern)), None)


class Impact(Struct, frozen=True):
    """What an outage as long as the time to recover loses at the worst start; intervals are over the seeds."""

    measure: Interval
    margin_minor: Interval


class Looked(Struct, frozen=True):
    """What an outage of one length (ms) from one start (ms) loses, in the mean over the seeds."""

    start_ms: int
    length_ms: int
    measure: Fraction
    margin_minor: Fraction


class Exposure(Struct, frozen=True):
    """One dependency. Times to survive (ms) are the lower ends of brackets that are `within_ms` wide.

    `exposed` is None where the budget was too small to tell. `survives` is whether the longest outage did no harm
    at any start, `wavers` whether a longer outage of the grid did none where a shorter one did. `rei` is None
    without a time to recover. `looked` are the lengths of the grid that were run: only the longest where that did
    no harm.
    """

    dependency: str
    worst_ms: int
    median_ms: int
    within_ms: int
    worst_start: int
    survives: bool
    wavers: bool
    recover_ms: int | None
    exposed: bool | None
    impact: Impact | None
    rei: float | None
    fix: str = ""
    fix_cost_minor: int = 0
    looked: tuple[Looked, ...] = ()


def dependencies(scenario: Scenario) -> list[str]:
    """All that an outage can hit: `warehouse/`, `supplier/`, `carrier/` and `interface/` with an id, `lane/FROM-TO`.

    Interfaces of carriers are none, since no calls go there; a dependency without which nothing can run is one.
    """
    found = [f"warehouse/{one.id}" for one in scenario.warehouses]
    found += [f"supplier/{one.id}" for one in scenario.suppliers]
    found += [f"carrier/{one.id}" for one in scenario.carriers]
    found += [f"lane/{one.from_}-{one.to}" for one in scenario.lanes]
    found += [f"interface/{one.id}" for one in scenario.interfaces if not one.to.startswith("carrier/")]
    return list(dict.fromkeys(found))


def _hit(scenario: Scenario, dependency: str, begin: int, length: int) -> Scenario:
    """The scenario with an outage of one dependency."""
    kind, _, name = dependency.partition("/")
    when: dict[str, Any] = {"from": format_duration(begin), "for": format_duration(length), "id": f"without-{kind}"}
    disruption: WarehouseClosed | SupplierClosed | CarrierClosed | LaneClosed
    if kind == "interface":
        outage = Outage.model_validate({"kind": "outage", "interface": name, **when})
        return scenario.model_copy(update={"faults": (*scenario.faults, outage)})
    if kind == "warehouse":
        disruption = WarehouseClosed.model_validate({"kind": "warehouse_closed", "warehouse": name, **when})
    elif kind == "supplier":
        disruption = SupplierClosed.model_validate({"kind": "supplier_closed", "supplier": name, **when})
    elif kind == "carrier":
        disruption = CarrierClosed.model_validate({"kind": "carrier_closed", "carrier": name, **when})
    else:
        lane = next(one for one in scenario.lanes if f"{one.from_}-{one.to}" == name)
        ends = {"lane_from": lane.from_, "lane_to": lane.to}
        disruption = LaneClosed.model_validate({"kind": "lane_closed", **ends, **when})
    return scenario.model_copy(update={"disruptions": (*scenario.disruptions, disruption)})


class _Bracket:
    """The time to survive of one dependency from one start: between `low` and `high` ms."""

    def __init__(self, dependency: str, start: int, longest: int) -> None:
        self.dependency = dependency
        self.start = start
        self.low = 0
        self.high = longest
        self.survives = False
        self.wavers = False
        self.looked: list[Looked] = []


class _Runs:
    """Runs scenarios under all seeds, and counts them against the budget."""

    def __init__(self, question: Question, workers: int, progress: Progress | None) -> None:
        self.question = question
        self.workers = workers
        self.progress = progress
        self.left = question.runs

    def affords(self, scenarios: int) -> bool:
        """Whether the budget has so many scenarios left, under all seeds."""
        return scenarios * len(self.question.seeds) <= self.left

    def of(self, scenarios: Sequence[Scenario], what: str) -> list[dict[int, Observation]]:
        """What each gave, by seed."""
        seeds, measures = self.question.seeds, (self.question.measure, MARGIN)
        self.left -= len(scenarios) * len(seeds)
        jobs = [Job(number, what, one, seed, measures, False) for number, one in enumerate(scenarios) for seed in seeds]
        found: list[dict[int, Observation]] = [{} for _ in scenarios]
        for job, one in observed(jobs, self.workers, what, self.progress):
            if one.failure:
                raise ValueError(f"{what}, seed {job.seed}: {one.failure}")
            found[job.case][job.seed] = one
        return found


def exposures(
    scenario: Scenario, question: Question, *, workers: int = 1, progress: Progress | None = None
) -> list[Exposure]:
    """Every dependency of a scenario, those that are exposed first, then by the time to survive.

    Raises `BudgetTooSmall` and `NothingToLose`.
    """
    runs = _Runs(question, workers, progress)
    names = dependencies(scenario)
    brackets = [_Bracket(name, start, question.longest_ms) for name in names for start in question.starts]
    if not runs.affords(1 + len(brackets)):
        needed = (1 + len(brackets)) * len(question.seeds)
        raise BudgetTooSmall(f"{question.runs} is too few: the first look at each dependency takes {needed}")
    base = runs.of([scenario], "without an outage")[0]
    if all(one.values.get(question.measure) is None for one in base.values()):
        raise NothingToLose(
            f"{question.measure} has no value in '{scenario.title}' even without an outage; take a horizon in which "
            "orders are served"
        )
    lost = _loser(question.measure, base)
    margin = _loser(MARGIN, base)
    for bracket, hit in zip(
        brackets, runs.of(_scenarios(scenario, brackets, None), "the longest outages"), strict=True
    ):
        bracket.survives = lost(hit) <= question.tolerance
        bracket.looked.append(Looked(bracket.start, bracket.high, lost(hit), margin(hit)))
    active = [bracket for bracket in brackets if not bracket.survives]
    _look_at_the_grid(scenario, active, question, runs, lost, margin)
    _bisect(scenario, active, question, runs, lost)
    found = [_exposure(name, [one for one in brackets if one.dependency == name], question) for name in names]
    return _ranked(_with_impacts(scenario, found, base, question, runs))


def _scenarios(scenario: Scenario, brackets: Sequence[_Bracket], length: int | None) -> list[Scenario]:
    return [_hit(scenario, one.dependency, one.start, one.high if length is None else length) for one in brackets]


def _loser(measure: str, base: Mapping[int, Observation]) -> Callable[[Mapping[int, Observation]], Fraction]:
    """What is lost of the measure, in the mean over the seeds."""

    def lost(hit: Mapping[int, Observation]) -> Fraction:
        losses = list(_losses(measure, base, hit))
        return sum(losses, Fraction(0)) / len(losses) if losses else Fraction(0)

    return lost


def _losses(measure: str, base: Mapping[int, Observation], hit: Mapping[int, Observation]) -> Iterator[Fraction]:
    """By seed; where the outage leaves nothing of the measure, as where the engine stops, all of it is lost."""
    for seed, one in hit.items():
        before = base[seed].values.get(measure)
        if before is not None:
            yield Fraction(before) - Fraction(one.values.get(measure) or 0)


Loser = Callable[[Mapping[int, Observation]], Fraction]


def _look_at_the_grid(
    scenario: Scenario, active: Sequence[_Bracket], question: Question, runs: _Runs, lost: Loser, margin: Loser
) -> None:
    lengths = [question.longest_ms // part for part in GRID]
    if not runs.affords(len(active) * len(lengths)):
        return
    looked: dict[int, list[bool]] = {}
    for length in lengths:
        hits = runs.of(_scenarios(scenario, active, length), f"outages of {format_duration(length)}")
        for index, hit in enumerate(hits):
            looked.setdefault(index, []).append(lost(hit) <= question.tolerance)
            bracket = active[index]
            bracket.looked.append(Looked(bracket.start, length, lost(hit), margin(hit)))
    for index, holds in looked.items():
        bracket = active[index]
        first = holds.index(False) if False in holds else len(lengths)
        bracket.wavers = True in holds[first:]
        bracket.low = lengths[first - 1] if first else 0
        bracket.high = lengths[first] if first < len(lengths) else question.longest_ms


def _bisect(scenario: Scenario, active: Sequence[_Bracket], question: Question, runs: _Runs, lost: Loser) -> None:
    finest = max(1, question.longest_ms // STEPS)
    while wide := [one for one in active if one.high - one.low > finest]:
        if not runs.affords(len(wide)):
            return
        middles = [(one.low + one.high) // 2 for one in wide]
        tried = [_hit(scenario, one.dependency, one.start, at) for one, at in zip(wide, middles, strict=True)]
        for one, at, hit in zip(wide, middles, runs.of(tried, "narrowing"), strict=True):
            if lost(hit) <= question.tolerance:
                one.low = at
            else:
                one.high = at


def _exposure(name: str, brackets: Sequence[_Bracket], question: Question) -> Exposure:
    lived = [question.longest_ms if one.survives else one.low for one in brackets]
    worst = min(brackets, key=lambda one: (question.longest_ms if one.survives else one.low, one.start))
    recover = question.recovery_of(name)
    return Exposure(
        name,
        min(lived),
        median_low(lived),
        max([one.high - one.low for one in brackets if not one.survives], default=0),
        worst.start,
        all(one.survives for one in brackets),
        any(one.wavers for one in brackets),
        recover,
        _exposed(brackets, recover, question.longest_ms),
        None,
        None,
        looked=tuple(sorted(chain.from_iterable(one.looked for one in brackets), key=_by_start_and_length)),
    )


def _exposed(brackets: Sequence[_Bracket], recover: int | None, longest: int) -> bool | None:
    """Whether harm is done before it is back, from some start; None where that was not looked at closely enough."""
    if recover is None:
        return False
    if any(one.high <= recover for one in brackets if not one.survives):
        return True
    return False if all((longest if one.survives else one.low) >= recover for one in brackets) else None


def _by_start_and_length(looked: Looked) -> tuple[int, int]:
    return looked.start_ms, looked.length_ms


def _with_impacts(
    scenario: Scenario,
    found: Sequence[Exposure],
    base: Mapping[int, Observation],
    question: Question,
    runs: _Runs,
) -> list[Exposure]:
    """What each loses in its time to recover, and the cheapest fix of those that are exposed."""
    asked = [one for one in found if one.recover_ms]
    if not asked or len(question.seeds) < 2 or not runs.affords(len(asked)):
        return list(found)
    hits = runs.of(
        [_hit(scenario, one.dependency, one.worst_start, one.recover_ms or 0) for one in asked], "until it is back"
    )
    impacts = {
        one.dependency: Impact(
            t_interval(list(_losses(question.measure, base, hit)), CONFIDENCE),
            t_interval(list(_losses(MARGIN, base, hit)), CONFIDENCE),
        )
        for one, hit in zip(asked, hits, strict=True)
    }
    most = max([impact.margin_minor.mean for impact in impacts.values()], default=Fraction(0))
    made = []
    for one in found:
        impact = impacts.get(one.dependency)
        rei = None if impact is None or most <= 0 else max(0.0, float(impact.margin_minor.mean / most))
        exposed = one.exposed
        if exposed is None and impact is not None:
            exposed = impact.measure.mean > question.tolerance
        fix = _cheapest(scenario, one, question, runs) if exposed else None
        named = ("", 0) if fix is None else (fix.name, fix.cost_minor)
        made.append(
            structs.replace(one, exposed=exposed, impact=impact, rei=rei, fix=named[0], fix_cost_minor=named[1])
        )
    return made


def _cheapest(scenario: Scenario, one: Exposure, question: Question, runs: _Runs) -> Fix | None:
    """The first fix, by cost and name, with which the business outlives the time to recover."""
    for fix in sorted(question.fixes, key=lambda each: (each.cost_minor, each.name)):
        if not runs.affords(2):
            return None
        fixed = scenario.with_changes(fix.change)
        hit = _hit(fixed, one.dependency, one.worst_start, one.recover_ms or 0)
        without, with_it = runs.of([fixed, hit], f"{fix.name} against {one.dependency}")
        if _loser(question.measure, without)(with_it) <= question.tolerance:
            return fix
    return None


def _ranked(found: Sequence[Exposure]) -> list[Exposure]:
    return sorted(found, key=lambda one: (not one.exposed, -(one.rei or 0.0), one.worst_ms, one.dependency))
