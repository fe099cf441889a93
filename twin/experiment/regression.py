"""Whether a change made a business more fragile: scenarios after it, held against a baseline from before it.

Both sides run on the same seeds, and each scenario is judged by itself on its paired differences. It passes when even
the lower end of the difference's 95 % interval is above the margin, fails when even the upper end is below it, and is
inconclusive else. Of many scenarios some would fall below by luck: a failure stands only after Holm's rule (1979) over
all of them. A change passes when all scenarios do, so passing needs no such rule (intersection-union, Berger 1982).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil, sqrt
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from twin.experiment.check import read_all
from twin.experiment.comparing import holm
from twin.experiment.executors import executing_by, in_any_order
from twin.experiment.observing import Job, Observation, observe
from twin.experiment.statistics import Interval, student_quantile, t_interval
from twin.run import Progress
from twin.scenario import Scenario
from twin.scenario.units import format_duration

if TYPE_CHECKING:
    from twin.experiment.baselines import Baseline, Kept

__all__ = [
    "CONFIDENCE",
    "FAIL",
    "INCONCLUSIVE",
    "MAIN",
    "MARGIN",
    "PASS",
    "Case",
    "Comparison",
    "Foresight",
    "NothingCompared",
    "cases_of",
    "compare_with",
    "foresee",
    "judge",
    "need_values",
    "observed",
    "overall",
]

MAIN: Final = "otif_to_request"
"""Orders on time and in full by the date that the customer asked for; refused and cancelled ones count as failed."""
_NO_TIME: Final = "no time was left for it; give a larger --budget"
_UNKNOWN: Final = "not in the baseline; store it anew"
_VALUE: Final = (
    "it has one where orders are due within the run: give a longer run.horizon or a shorter requested, and store the "
    "baseline anew, or leave the scenario out"
)
MARGIN: Final = Fraction(-1, 200)
"""Half a point less of the main measure is borne with."""
CONFIDENCE: Final = 950_000
POWER: Final = 0.8
"""With which probability the smallest change that can be detected is."""

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"


class NothingCompared(ValueError):
    """A scenario has no seed with a value of the measure on both sides; the text says on which it has none, and why."""


class Case(Struct, frozen=True):
    """A scenario by its file's name, with the changes laid over it."""

    number: int
    name: str
    scenario: Scenario

    def job(self, seed: int, measure: str) -> Job:
        """One run of it."""
        return Job(self.number, self.name, self.scenario, seed, (measure,), False)


class Comparison(Struct, frozen=True):
    """One scenario after the change less before it, over `count` seeds; the interval is None for fewer than two.

    `same` seeds gave the very same log. `p_fail` is the one-sided p that the difference is not below the margin, after
    Holm's rule. `worst` is the seed that broke down, lost its value or lost most, which `reproduce` shows; None, and an
    empty text, where no seed did.
    """

    scenario: str
    verdict: str
    count: int
    same: int
    base: Fraction | None
    interval: Interval | None
    p_fail: float | None
    worst: int | None
    reproduce: str
    note: str = ""


class Foresight(Struct, frozen=True):
    """What the budget is good for in one scenario: so many seeds, and the smallest loss that is then found.

    `at_worst` is as if both sides were independent and no other scenario failed; on the same seeds it is less, by how
    much the change leaves alone. `note` says why there are fewer than two seeds, and what would give two.
    """

    scenario: str
    seeds: int
    seconds: float
    at_worst: float | None
    note: str = ""


# --- running


def cases_of(paths: Iterable[str | Path], overrides: Mapping[str, Mapping[str, object]]) -> list[Case]:
    """The scenarios, with the overrides of each by its name. Raises `ScenarioError` with all problems of all files."""
    return [Case(number, name, scenario) for number, (name, scenario) in enumerate(read_all(paths, overrides))]


def observed(
    jobs: Sequence[Job], workers: int, what: str, progress: Progress | None, until: float | None = None
) -> Iterator[tuple[Job, Observation]]:
    """Jobs with what they gave, as they are done; none is begun once `time.monotonic` has passed `until`."""
    by_place = {(job.case, job.seed): job for job in jobs}
    entries = 0
    for done, one in enumerate(in_any_order(observe, jobs, executing_by(None, workers), until=until), start=1):
        entries += one.entries
        if progress is not None:
            progress(what, done, len(jobs), entries)
        yield by_place[one.case, one.seed], one


def need_values(cases: Iterable[Case], baseline: Baseline, seeds: int | None = None) -> None:
    """Raises `NothingCompared` for scenarios whose baseline, in its first `seeds`, has no value of the measure."""
    blank = []
    for case in cases:
        kept = baseline.runs.get(case.name, {})
        if kept and all(kept[seed].value is None for seed in sorted(kept)[:seeds]):
            blank.append(f"{case.name}: the baseline has no value of {baseline.measure} under any seed; {_VALUE}")
    if blank:
        raise NothingCompared("\n".join(blank))


def compare_with(
    cases: Sequence[Case],
    baseline: Baseline,
    *,
    margin: Fraction = MARGIN,
    seeds: int | None = None,
    budget_s: float | None = None,
    workers: int = 1,
    settings: Mapping[str, Sequence[str]] | None = None,
    progress: Progress | None = None,
) -> list[Comparison]:
    """Run the scenarios on the baseline's seeds, `seeds` of them at most, and judge each.

    Within a budget the seeds go round all scenarios in turn until the time is over, whatever they show: when to stop
    does not depend on what was found, so the intervals mean what they say. What is under way then is finished, slow or
    not. A scenario that is not in the baseline is inconclusive. `settings` are its changes as `--set` writes them, for
    the command that shows a verdict again. Raises `NothingCompared` where runs were made and no seed has a value on
    both sides: nothing is certain of it however many there are.
    """
    need_values(cases, baseline, seeds)
    ends = None if budget_s is None else time.monotonic() + budget_s
    found: dict[int, dict[int, tuple[Kept, Observation]]] = {case.number: {} for case in cases}
    before = {case.number: baseline.runs.get(case.name, {}) for case in cases}
    turns: list[tuple[int, Job]] = []
    for case in cases:
        known = sorted(before[case.number])[:seeds]
        turns += [(turn, case.job(seed, baseline.measure)) for turn, seed in enumerate(known)]
    jobs = [job for _, job in sorted(turns, key=lambda pair: (pair[0], pair[1].case))]
    for job, one in observed(jobs, workers, "comparing", progress, ends):
        found[job.case][job.seed] = (before[job.case][job.seed], one)
    told = settings or {}
    made = []
    blank = [text for case in cases if (text := _nothing_in(case.name, found[case.number], baseline.measure))]
    if blank:
        raise NothingCompared("\n".join(blank))
    for case in cases:
        compared = _compared(case, found[case.number], baseline.measure, margin, told.get(case.name, ()))
        if not found[case.number]:
            compared = structs.replace(compared, note=_NO_TIME if before[case.number] else _UNKNOWN)
        made.append(compared)
    return judge(made, margin)


def _nothing_in(name: str, found: Mapping[int, tuple[Kept, Observation]], measure: str) -> str:
    """Why no seed of a scenario that was run has a value on both sides; empty where one has, or where one broke."""
    if not found or any(one.failure for _, one in found.values()):
        return ""
    before = {seed for seed, (kept, _) in found.items() if kept.value is not None}
    after = {seed for seed, (_, one) in found.items() if one.values.get(measure) is not None}
    if before & after:
        return ""
    if not after:
        why = "no order is due within the run any more; give the change a longer run.horizon, or leave it out"
        return f"{name}: no seed has a value of {measure} after the change: {why}"
    where = "in the baseline" if not before else "on both sides at once"
    return f"{name}: no seed that was run has a value of {measure} {where}; {_VALUE}"


def _compared(
    case: Case,
    found: Mapping[int, tuple[Kept, Observation]],
    measure: str,
    margin: Fraction,
    settings: Sequence[str],
) -> Comparison:
    differences: dict[int, Fraction] = {}
    base: list[Fraction] = []
    notes: list[str] = []
    broken = [(seed, one.failure) for seed, (_, one) in sorted(found.items()) if one.failure]
    for seed, (kept, one) in sorted(found.items()):
        value = one.values.get(measure)
        if value is not None and kept.value is not None:
            base.append(kept.value)
            differences[seed] = Fraction(value) - kept.value
    lost = len(found) - len(differences)
    # To lose the measure is no reason to be left out: such seeds may be the bad ones.
    gone = [seed for seed, (kept, one) in sorted(found.items()) if kept.value is not None and seed not in differences]
    if lost:
        notes.append(f"{lost} of {len(found)} seeds have no value on one side")
    losing = [seed for seed, change in differences.items() if change < 0]
    worst = gone[0] if gone else min(losing, key=lambda seed: (differences[seed], seed), default=None)
    verdict, interval = INCONCLUSIVE, None
    if broken:
        worst, verdict = broken[0][0], FAIL
        notes = [f"seed {broken[0][0]}: {broken[0][1]}"]
    elif len(differences) >= 2 and not gone:
        interval = t_interval(list(differences.values()), CONFIDENCE)
    elif len(differences) == 1:
        notes.append("n too small")
    words = ["twin", "run", quote(case.name), "--seed", str(worst)]
    words += [word for setting in settings for word in ("--set", quote(setting))]
    words += ["--out", "DIR"]
    return Comparison(
        case.name,
        verdict,
        len(differences),
        sum(1 for kept, one in found.values() if kept.digest == one.digest and not one.failure),
        sum(base, Fraction(0)) / len(base) if base else None,
        interval,
        None if interval is None else _p_below(list(differences.values()), margin),
        worst,
        "" if worst is None else " ".join(words),
        "; ".join(notes),
    )


# --- judging


def _p_below(differences: Sequence[Fraction], margin: Fraction) -> float:
    """The one-sided p of Student's t that the mean difference is at or above the margin."""
    from scipy.special import stdtr

    count = len(differences)
    mean = sum(differences, Fraction(0)) / count
    variance = sum(((value - mean) ** 2 for value in differences), Fraction(0)) / (count - 1)
    if not variance:
        return 0.0 if mean < margin else 1.0
    return float(stdtr(count - 1, float(mean - margin) / sqrt(variance / count)))


def judge(made: Sequence[Comparison], margin: Fraction) -> list[Comparison]:
    """The comparisons with their verdicts; a failure is held against Holm's rule over all that have an interval."""
    tested = [index for index, one in enumerate(made) if one.interval is not None]
    adjusted = dict(zip(tested, holm([made[index].p_fail or 0.0 for index in tested]), strict=True))
    level = (1 - CONFIDENCE / 1_000_000) / 2
    judged = []
    for index, one in enumerate(made):
        if one.interval is None:
            judged.append(one)
        elif one.interval.low > margin:
            judged.append(structs.replace(one, verdict=PASS, p_fail=adjusted[index]))
        elif adjusted[index] <= level:
            judged.append(structs.replace(one, verdict=FAIL, p_fail=adjusted[index]))
        else:
            judged.append(structs.replace(one, verdict=INCONCLUSIVE, p_fail=adjusted[index]))
    return judged


def overall(made: Sequence[Comparison]) -> str:
    """The verdict on a change: failed if one scenario fails, passed if all pass."""
    verdicts = [one.verdict for one in made]
    if FAIL in verdicts:
        return FAIL
    return PASS if all(verdict == PASS for verdict in verdicts) else INCONCLUSIVE


# --- planning


def foresee(
    cases: Sequence[Case], baseline: Baseline, budget_s: float, workers: int = 1, margin: Fraction = MARGIN
) -> list[Foresight]:
    """How many seeds the budget is good for, and what can be detected with them.

    From two runs of each scenario: one as the comparison makes them, and one with the invariants, as the expectations
    are held against before it.
    """
    plain = [case.job(1, baseline.measure) for case in cases]
    jobs = [*plain, *[structs.replace(job, invariants=True) for job in plain]]
    seconds = {
        (job.case, job.invariants): took for job, took in in_any_order(_timed, jobs, executing_by(None, workers))
    }
    held, one_turn = (sum(seconds[case.number, with_all] for case in cases) / workers for with_all in (True, False))
    turns = max(0, int((budget_s - held) / one_turn))
    tests = len([case for case in cases if baseline.runs.get(case.name)])
    # Rounded up, so that to do as it says is enough.
    enough = format_duration(1000 * ceil(held + 2 * one_turn))
    planned = []
    for case in cases:
        one = _foreseen(case, baseline, turns, seconds[case.number, False], tests, margin)
        if turns < 2 and not one.note:
            one = structs.replace(one, note=f"too little time for 2 seeds of each; they take about --budget {enough}")
        planned.append(one)
    return planned


def _timed(job: Job) -> tuple[Job, float]:
    """How long a run takes, in seconds."""
    began = time.monotonic()
    observe(job)
    return job, time.monotonic() - began


def _foreseen(case: Case, baseline: Baseline, turns: int, seconds: float, tests: int, margin: Fraction) -> Foresight:
    kept = [one.value for one in baseline.runs.get(case.name, {}).values() if one.value is not None]
    count = min(turns, len(kept))
    if count < 2:
        few = f"the baseline has {len(kept)} of the 2 values that an interval takes; store it anew"
        note = few if len(kept) < 2 else ""
        return Foresight(case.name, count, round(seconds, 2), None, note if case.name in baseline.runs else _UNKNOWN)
    if len(dict.fromkeys(kept)) == 1:
        return Foresight(case.name, count, round(seconds, 2), -float(margin))
    mean = sum(kept, Fraction(0)) / len(kept)
    variance = float(sum(((value - mean) ** 2 for value in kept), Fraction(0)) / (len(kept) - 1))
    # One that fails alone among all of them has to stand Holm's first step.
    level = (1 - CONFIDENCE / 1_000_000) / 2 / tests
    high = student_quantile(1 - level, count - 1) + student_quantile(POWER, count - 1)
    return Foresight(case.name, count, round(seconds, 2), high * sqrt(2 * variance / count) - float(margin))
