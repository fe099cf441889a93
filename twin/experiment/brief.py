"""The answers behind a scenario's one page: what its trouble costs over seeds, and what each option would change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from msgspec import Struct

from twin.experiment.assumptions import Assumption, assumptions
from twin.experiment.break_even import BreakEven, break_even, quiet_cost
from twin.experiment.executors import executing_by, in_any_order
from twin.experiment.harm import Harm, Pair, Trial, harm_of, run_pair
from twin.experiment.leakage import Waterfall, waterfall
from twin.experiment.statistics import Interval, t_interval
from twin.experiment.steady_state import Recovery, recoveries
from twin.run import Progress
from twin.scenario import Scenario

__all__ = ["CONFIDENCE_PPM", "Answer", "Brief", "Influence", "Option", "brief"]

CONFIDENCE_PPM: Final = 950_000
INFLUENCE_SEEDS: Final = 2
"""Seeds on which the inputs are varied, at most: what is asked is their order, not a figure."""


class Option(Struct, frozen=True):
    """A control: a change of the scenario, and what it costs a year, in minor units."""

    id: str
    change: Mapping[str, Any]
    cost_minor: int = 0


class Answer(Struct, frozen=True):
    """What an option changes, paired by seed; intervals are None for a single seed.

    `saved` is the loss that it avoids when the trouble comes, `spared` how many orders fewer are harmed, `running` what
    it takes from the undisturbed business in a year, without its own cost; all in minor units.
    """

    option: Option
    saved_minor: Fraction
    saved: Interval | None
    spared_orders: Fraction
    spared: Interval | None
    running_minor: Fraction
    break_even: BreakEven | None


class Influence(Struct, frozen=True):
    """How far cost (minor units) and harmed orders move with one input alone: means over the seeds.

    Each with the input lower, as assumed, and higher.
    """

    assumption: Assumption
    costs: tuple[Fraction, Fraction, Fraction]
    harmed: tuple[Fraction, Fraction, Fraction]

    @property
    def swing_minor(self) -> Fraction:
        """Distance between the lowest and the highest cost."""
        return max(self.costs) - min(self.costs)

    @property
    def swing_harmed(self) -> Fraction:
        """The same in orders harmed."""
        return max(self.harmed) - min(self.harmed)


class Brief(Struct):
    """All that stands on the page. `harms` are by seed, the first that of `pair`; `unvaried` names inputs that could
    not be varied."""

    scenario: Scenario
    pair: Pair
    harms: list[Harm]
    recoveries: list[Recovery]
    waterfall: Waterfall
    answers: list[Answer]
    influences: list[Influence]
    influence_seeds: int
    unvaried: list[str]

    @property
    def loss(self) -> Interval | None:
        """What the trouble costs, over the seeds."""
        return interval_of([harm.lost_minor for harm in self.harms])


def interval_of(values: Sequence[Fraction]) -> Interval | None:
    """The interval of the mean; None for a single value."""
    return t_interval(values, CONFIDENCE_PPM) if len(values) > 1 else None


def brief(
    scenario: Scenario,
    seeds: Sequence[int],
    options: Sequence[Option] = (),
    *,
    vary_ppm: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> Brief:
    """Run the scenario with and without its trouble on every seed, the first of them in full, and so each option.

    With `vary_ppm`, inputs that the scenario assumes are also varied by that share, one at a time.
    """
    pair = run_pair(Trial("the scenario", scenario, seeds[0]), progress)
    try:
        return _answered(scenario, pair, seeds, options, vary_ppm, workers, progress)
    except BaseException:
        pair.kept.cleanup()
        raise


def _answered(
    scenario: Scenario,
    pair: Pair,
    seeds: Sequence[int],
    options: Sequence[Option],
    vary_ppm: int,
    workers: int,
    progress: Progress | None,
) -> Brief:
    returned = recoveries(scenario, seeds[0], progress=progress)
    few = seeds[:INFLUENCE_SEEDS]
    inputs, unvaried = assumptions(scenario, vary_ppm) if vary_ppm else ([], [])
    trials = [Trial("the scenario", scenario, seed) for seed in seeds[1:]]
    for option in options:
        changed = scenario.with_changes(option.change)
        trials += [Trial(option.id, changed, seed, lean=True) for seed in seeds]
    for one in inputs:
        for changed, way in ((one.lower, "lower"), (one.higher, "higher")):
            trials += [Trial(f"{way} {one.name}", changed, seed, lean=True) for seed in few]
    found = iter(_harms(trials, workers, progress))
    harms = [pair.harm, *(next(found) for _ in seeds[1:])]
    answers = [_answer(scenario, option, harms, [next(found) for _ in seeds]) for option in options]
    assumed = harms[: len(few)]
    influences = [_influence(one, [next(found) for _ in few], assumed, [next(found) for _ in few]) for one in inputs]
    influences.sort(key=lambda one: (-one.swing_minor, -one.swing_harmed, one.assumption.name))
    fall = waterfall([(harm.calm, harm.hurt) for harm in harms], CONFIDENCE_PPM)
    return Brief(scenario, pair, harms, returned, fall, answers, influences, len(few), unvaried)


def _harms(trials: Sequence[Trial], workers: int, progress: Progress | None) -> list[Harm]:
    found: dict[int, Harm] = {}
    executing = executing_by(None, min(workers, max(1, len(trials))))
    for index, harm in in_any_order(_numbered, list(enumerate(trials)), executing, _named):
        found[index] = harm
        if progress is not None:
            progress("running the pairs", len(found), len(trials), 0)
    return [found[index] for index in range(len(trials))]


def _numbered(job: tuple[int, Trial]) -> tuple[int, Harm]:
    index, trial = job
    return index, harm_of(trial)


def _named(job: tuple[int, Trial]) -> str:
    return f"{job[1].name} with seed {job[1].seed}"


def _answer(scenario: Scenario, option: Option, harms: Sequence[Harm], with_it: Sequence[Harm]) -> Answer:
    saved = [before.lost_minor - after.lost_minor for before, after in zip(harms, with_it, strict=True)]
    spared = [_harmed(before) - _harmed(after) for before, after in zip(harms, with_it, strict=True)]
    running = [quiet_cost(scenario.run, before.calm, after.calm) for before, after in zip(harms, with_it, strict=True)]
    costs = [option.cost_minor + amount for amount in running]
    return Answer(
        option,
        _mean(saved),
        interval_of(saved),
        _mean(spared),
        interval_of(spared),
        _mean(running),
        break_even(costs, saved, CONFIDENCE_PPM) if len(harms) > 1 else None,
    )


def _influence(one: Assumption, lower: Sequence[Harm], assumed: Sequence[Harm], higher: Sequence[Harm]) -> Influence:
    low, mid, high = (
        (_mean([harm.lost_minor for harm in harms]), _mean([_harmed(harm) for harm in harms]))
        for harms in (lower, assumed, higher)
    )
    return Influence(one, (low[0], mid[0], high[0]), (low[1], mid[1], high[1]))


def _harmed(harm: Harm) -> Fraction:
    return Fraction(harm.pair["harmed_orders"] or 0)


def _mean(values: Sequence[Fraction]) -> Fraction:
    return sum(values, Fraction(0)) / len(values)
