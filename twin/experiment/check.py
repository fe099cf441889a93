"""Scenarios held against what they expect: that makes them regression tests.

A bound is held against one run with the scenario's own seed. A reference is held against the mean over seeds 1 to n,
which are never chosen. A scenario that expects nothing is held to the invariants.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from shlex import quote
from typing import Final

from msgspec import Struct

from twin.experiment.executing import observe_all
from twin.experiment.observing import Job, Observation
from twin.experiment.statistics import Interval, t_interval
from twin.measures import MEASURES
from twin.measures.measured import DIGITS, Exact, decimal
from twin.run import Progress
from twin.scenario import Scenario, ScenarioError, load
from twin.scenario.errors import Problem
from twin.scenario.expect import Expectation, Invariants, MeasureBound, Reference, Settled
from twin.scenario.loader import OVERRIDES
from twin.scenario.units import format_decimal, format_duration, format_percent

__all__ = ["Verdict", "check", "read_all"]

SHOWN_MAX: Final = 3
"""Broken invariants in `found`; `details` has all."""


class Verdict(Struct, frozen=True):
    """One expectation of one scenario, and what was found.

    `expected`, `found` and `interval` are texts in the measure's unit; `interval` is empty where there is none.
    `reproduce` is the command that finds the same again. `mean` and `half_width` are given for a reference.
    """

    scenario: str
    expectation: str
    expected: str
    found: str
    interval: str
    holds: bool
    seeds: tuple[int, ...]
    reproduce: str
    note: str = ""
    details: tuple[str, ...] = ()
    mean: Fraction | None = None
    half_width: float | None = None


class _Case(Struct, frozen=True):
    number: int
    name: str
    scenario: Scenario
    expectations: tuple[Expectation, ...]
    full: bool
    seeds: int | None
    settings: tuple[str, ...]

    def replications(self, reference: Reference) -> range:
        """Seeds 1 to n."""
        asked = reference.replications.full if self.full else reference.replications.sample
        return range(1, (asked if self.seeds is None else self.seeds) + 1)

    def jobs(self) -> Iterator[Job]:
        """Every run that some expectation needs, once, by seed."""
        own = self.scenario.run.seed
        wanted: dict[int, dict[str, None]] = {}
        invariants = False
        for expected in self.expectations:
            if isinstance(expected, Invariants | Settled):
                invariants = invariants or isinstance(expected, Invariants)
                wanted.setdefault(own, {})
            else:
                for seed in self.replications(expected) if isinstance(expected, Reference) else (own,):
                    wanted.setdefault(seed, {})[expected.name] = None
        for seed in sorted(wanted):
            yield Job(self.number, self.name, self.scenario, seed, tuple(wanted[seed]), invariants and seed == own)


def check(
    paths: Iterable[str | Path],
    *,
    full: bool = False,
    seeds: int | None = None,
    workers: int = 1,
    overrides: Mapping[str, Mapping[str, object]] | None = None,
    settings: Mapping[str, Sequence[str]] | None = None,
    progress: Progress | None = None,
) -> list[Verdict]:
    """Run scenarios and hold each expectation against what they gave; one verdict each, in the order of the files.

    A reference holds in `full` when it lies inside the confidence interval and the interval is narrow enough. In a
    sample the width is told but not asked for, since a handful of seeds cannot be that sure. `seeds` runs that many
    instead of the scenario's number. With more than one of `workers`, runs go to processes of their own; the verdicts
    are the same. `overrides` are changes of a scenario by its path, and `settings` the same as `--set` writes them, for
    the command that shows a verdict again. Raises `ScenarioError` with all problems of all
    files, before anything runs.
    """
    if seeds is not None and seeds < 2:
        raise ValueError(f"{seeds} seeds; an interval needs at least 2")
    if workers < 1:
        raise ValueError(f"{workers} workers; give at least 1")
    cases = _cases(paths, full, seeds, overrides or {}, settings or {})
    jobs = [job for case in cases for job in case.jobs()]
    observed: dict[int, dict[int, Observation]] = {case.number: {} for case in cases}
    for one in observe_all(jobs, workers, "checking runs", progress):
        observed[one.case][one.seed] = one
    return [_verdict(case, expected, observed[case.number]) for case in cases for expected in case.expectations]


# --- reading


def _cases(
    paths: Iterable[str | Path],
    full: bool,
    seeds: int | None,
    overrides: Mapping[str, Mapping[str, object]],
    settings: Mapping[str, Sequence[str]],
) -> list[_Case]:
    cases: list[_Case] = []
    for name, scenario in read_all(paths, overrides):
        expectations = scenario.expect or (Invariants(kind="invariants"),)
        told = tuple(settings.get(name, ()))
        cases.append(_Case(len(cases), name, scenario, expectations, full, seeds, told))
    return cases


def read_all(paths: Iterable[str | Path], overrides: Mapping[str, Mapping[str, object]]) -> list[tuple[str, Scenario]]:
    """The scenarios by their names, with the overrides of each. Raises `ScenarioError` with all problems of all files;
    one of overrides names the file that they were laid over.
    """
    found: list[tuple[str, Scenario]] = []
    problems: list[Problem] = []
    for path in paths:
        name = str(path)
        try:
            found.append((name, load(path, overrides.get(name))))
        except ScenarioError as error:
            problems += [Problem(name, 0, str(one)) if one.file == OVERRIDES else one for one in error.problems]
    if problems:
        raise ScenarioError(problems)
    return found


# --- judging


def _verdict(case: _Case, expected: Expectation, observed: dict[int, Observation]) -> Verdict:
    if isinstance(expected, Reference):
        return _referred(case, expected, observed)
    one = observed[case.scenario.run.seed]
    if isinstance(expected, Invariants):
        return _nothing_but(case, one, "invariants", "all hold", one.broken)
    if isinstance(expected, Settled):
        return _nothing_but(case, one, "settled", "nothing is left over", one.left)
    return _bounded(case, expected, one)


def _nothing_but(case: _Case, one: Observation, name: str, good: str, bad: tuple[str, ...]) -> Verdict:
    """The verdict on something of which nothing may be found."""
    broken = [one.failure] if one.failure else list(bad)
    found = good
    if broken:
        more = len(broken) - SHOWN_MAX
        found = "; ".join(broken[:SHOWN_MAX]) + (f"; and {more} more" if more > 0 else "")
    return Verdict(case.name, name, good, found, "", not broken, (one.seed,), _one_run(case), details=tuple(broken))


def _bounded(case: _Case, bound: MeasureBound, one: Observation) -> Verdict:
    value = one.values.get(bound.name)
    expected, holds = _held(bound, value)
    found = one.failure or _nothing(one, bound.name) or _text(bound.name, value)
    return Verdict(case.name, bound.name, expected, found, "", holds, (one.seed,), _one_run(case))


def _held(bound: MeasureBound, value: Exact | None) -> tuple[str, bool]:
    """The bound as a text, and whether the value keeps it."""
    name = bound.name
    if bound.equals is not None and bound.within is not None:
        wanted, room = Fraction(bound.equals), Fraction(bound.within.value)
        room = room * abs(wanted) if bound.within.relative else room
        share = format_percent(int(bound.within.value * 1_000_000)) if bound.within.relative else ""
        text = f"{_stated(name, bound.equals)} ± {share or _stated(name, bound.within.value)}"
        return text, value is not None and abs(value - wanted) <= room
    texts, holds = [], value is not None
    if bound.at_least is not None:
        texts.append(f"at least {_stated(name, bound.at_least)}")
        holds = holds and value is not None and value >= Fraction(bound.at_least)
    if bound.at_most is not None:
        texts.append(f"at most {_stated(name, bound.at_most)}")
        holds = holds and value is not None and value <= Fraction(bound.at_most)
    return " and ".join(texts), holds


def _referred(case: _Case, reference: Reference, observed: dict[int, Observation]) -> Verdict:
    seeds = tuple(case.replications(reference))
    name = reference.name
    expected = f"{_stated(name, reference.value)} in the {format_percent(reference.confidence)} interval"
    if case.full:
        expected += f" of half-width {format_percent(reference.half_width)} at most"
    options = (" --full" if case.full else "") + (f" --seeds {case.seeds}" if case.seeds is not None else "")
    command = f"{_one_run(case)}{options}"
    missing = [one.failure or _nothing(one, name) for one in (observed[seed] for seed in seeds)]
    lost = next(((seed, text) for seed, text in zip(seeds, missing, strict=True) if text), None)
    if lost is not None:
        return Verdict(case.name, name, expected, f"seed {lost[0]}: {lost[1]}", "", False, seeds, command)
    values = [value for value in (observed[seed].values[name] for seed in seeds) if value is not None]
    interval = t_interval(values, reference.confidence)
    narrow = _narrow(interval, reference)
    inside = interval.holds(Fraction(reference.value))
    low, high = _text(name, Fraction(interval.low)), _text(name, Fraction(interval.high))
    note = "" if case.full else "sample: the width is not held against anything"
    if case.full and not narrow:
        note = "the interval is too wide: more seeds or a longer run are needed"
    return Verdict(
        case.name,
        name,
        expected,
        _text(name, interval.mean),
        f"{low} to {high}, {_width(interval, reference)}",
        inside and (narrow or not case.full),
        seeds,
        command,
        note,
        mean=interval.mean,
        half_width=interval.half_width,
    )


def _narrow(interval: Interval, reference: Reference) -> bool:
    return Fraction(interval.half_width) <= abs(Fraction(reference.value)) * reference.half_width / 1_000_000


def _width(interval: Interval, reference: Reference) -> str:
    """The half-width as the share of the reference that it is held against."""
    if not reference.value:
        return f"± {interval.half_width:.3g}"
    return f"± {100 * interval.half_width / abs(float(reference.value)):.2f} %"


def _nothing(one: Observation, name: str) -> str:
    if name not in one.values:
        return f"the run has no '{name}'"
    return "nothing fell into the window" if one.values[name] is None else ""


def _text(name: str, value: Exact | Decimal | None) -> str:
    """A value of the measure in its unit; a duration in days, hours and so on."""
    if value is None:
        return "none"
    exact = Fraction(value)
    unit = MEASURES[name.partition("/")[0]].unit
    if unit == "ms":
        whole = round(exact)
        return f"{'-' if whole < 0 else ''}{format_duration(abs(whole))}"
    return decimal(exact, 0 if exact.denominator == 1 else max(DIGITS.get(unit, 6), 4))


def _stated(name: str, value: Decimal) -> str:
    """A value as the scenario states it, with all its digits."""
    return _text(name, value) if MEASURES[name.partition("/")[0]].unit == "ms" else format_decimal(value)


def _one_run(case: _Case) -> str:
    changes = "".join(f" --set {quote(setting)}" for setting in case.settings)
    return f"twin check {quote(case.name)}{changes}"
