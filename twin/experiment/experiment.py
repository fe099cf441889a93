"""An experiment run to its end, in a folder that it can be taken up from after any interruption.

import twin as tw
results = tw.Experiment.load("scenarios/experiments/pickers.yaml").run("reports/pickers", workers=2)
results.differences()
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path as FilePath
from typing import Any, Final

from twin.experiment.executors import Executing, executing_by, in_any_order
from twin.experiment.plan import Plan, Warm, load_plan
from twin.experiment.results import Store
from twin.experiment.stopping import seeds_needed
from twin.experiment.tables import Results
from twin.experiment.trial import Outcome, Trial, trial_of, try_out
from twin.experiment.warm_start import WarmGroup, cannot_take_over, try_warm
from twin.experiment.workflows import outage_of, stands_still
from twin.measures import MEASURES, of_one_run
from twin.run import Progress
from twin.scenario import Problem, Scenario, ScenarioError, load
from twin.scenario.errors import Path, choices
from twin.scenario.loader import OVERRIDES
from twin.scenario.units import format_duration

__all__ = ["Experiment"]

RUNNING: Final = "running the trials"


class Experiment:
    """A plan with its scenarios read and checked: what `Experiment.load` returns."""

    def __init__(self, plan: Plan) -> None:
        """Raises `ScenarioError` with all problems of all scenarios under all variants."""
        self.plan = plan
        problems = self._wrong_measures()
        try:
            self.scenarios = self._load()
        except ScenarioError as error:
            raise ScenarioError([*problems, *error.problems]) from None
        if problems:
            raise ScenarioError(problems)

    @classmethod
    def load(cls, path: FilePath | str) -> Experiment:
        """The experiment in a YAML file. Raises `ScenarioError` with every problem by file and line."""
        return cls(load_plan(path))

    @classmethod
    def of(cls, plain: Mapping[str, Any], folder: FilePath | str = "") -> Experiment:
        """The experiment of a map as it would stand in a file; scenarios are found from `folder`."""
        return cls(Plan.of(plain, folder))

    def run(
        self,
        out: FilePath | str,
        *,
        executor: str | Executing | None = None,
        workers: int = 1,
        progress: Progress | None = None,
    ) -> Results:
        """Run all that is not yet done in the folder `out`; the results are the same whoever executes the runs.

        `executor` is `here`, `pool` or `dask://host:port`. Raises `ExecutorRefused`, and `RunRefused` where another
        process is at work in the folder.
        """
        executing = executor if isinstance(executor, Executing) else executing_by(executor, workers)
        store = Store(FilePath(out))
        seeds: Sequence[int] = self.plan.seeds
        with store.locked():
            self._keep_scenarios(store.folder)
            while True:
                trials = list(self.trials(seeds))
                self._run_missing(trials, store, executing, progress)
                results = Results(self.plan, store.read(trial.key for trial in trials), store.folder)
                more = seeds_needed(self.plan, results, seeds)
                if not more:
                    break
                seeds = [*seeds, *more]
            store.write_table(results.outcomes)
        return results

    def trials(self, seeds: Iterable[int]) -> Iterator[Trial]:
        """Every run, by scenario, variant and seed."""
        warm = self.plan.warm
        for (scenario_id, variant), scenario in self.scenarios.items():
            for seed in seeds:
                if warm is None:
                    yield trial_of(scenario_id, variant, scenario, seed)
                else:
                    base = self.scenarios[scenario_id, self.plan.base_id]
                    yield trial_of(scenario_id, variant, scenario, seed, warm.label, base)

    def _run_missing(
        self, trials: Sequence[Trial], store: Store, executing: Executing, progress: Progress | None
    ) -> None:
        missing = [trial for trial in trials if not store.has(trial.key)]
        # A seed of every variant first: whoever stops early has pairs.
        missing.sort(key=lambda trial: trial.seed)
        if progress is not None and missing:
            progress(RUNNING, 0, len(missing), 0)
        done = entries = 0
        for outcomes in in_any_order(_try, self._jobs(missing), executing, _name):
            for outcome in outcomes:
                store.add(outcome)
                done += 1
                entries += outcome.entries
            if progress is not None:
                progress(RUNNING, done, len(missing), entries)

    def _jobs(self, trials: Sequence[Trial]) -> list[Trial | WarmGroup]:
        """Each trial by itself, or those that part from one warm state together."""
        warm = self.plan.warm
        if warm is None:
            return list(trials)
        groups: dict[tuple[str, int], list[Trial]] = {}
        for trial in trials:
            groups.setdefault((trial.scenario_id, trial.seed), []).append(trial)
        return [
            WarmGroup(
                self.scenarios[scenario_id, self.plan.base_id],
                seed if warm.from_seed is None else warm.from_seed,
                warm.for_,
                tuple(members),
            )
            for (scenario_id, seed), members in groups.items()
        ]

    def _keep_scenarios(self, folder: FilePath) -> None:
        """Each scenario under each variant as a file of its own: `twin run` on it gives a run's digest again."""
        kept = folder / "scenarios"
        kept.mkdir(exist_ok=True)
        for (scenario_id, variant), scenario in self.scenarios.items():
            text = scenario.to_yaml(kept)
            (kept / f"{scenario_id}--{variant}.yaml").write_text(text, encoding="utf-8")

    def _load(self) -> dict[tuple[str, str], Scenario]:
        loaded: dict[tuple[str, str], Scenario] = {}
        first: dict[tuple[Problem, str], Problem] = {}
        changes = self.plan.changes()
        warm = self.plan.warm
        for entry in self.plan.scenarios:
            for variant in self.plan.all_variants:
                try:
                    scenario = load(self.plan.path_of(entry), changes[variant.id])
                    short = None if warm is None else self._too_short(entry.id, scenario, warm)
                    if short is not None:
                        first.setdefault((short, ""), short)
                        continue
                    loaded[entry.id, variant.id] = scenario if warm is None else _measured_warm(scenario, warm)
                except ScenarioError as error:
                    for problem in error.problems:
                        # What several variants share is told of the first of them; a change in Python is a variant's.
                        own = variant.id if problem.file == OVERRIDES else ""
                        first.setdefault((problem, own), self._of_variant(problem, variant.id))
        problems = [*first.values(), *self._add_workflows(loaded)]
        problems += self._wrong_currencies(loaded) + self._replaced(loaded)
        if problems:
            raise ScenarioError(list(dict.fromkeys(problems)))
        for (scenario_id, variant_id), scenario in loaded.items():
            if warm is None:
                break
            base = loaded[scenario_id, self.plan.base_id]
            wrong = cannot_take_over(base, scenario, warm.for_)
            if scenario.run != base.run:
                wrong.append("another time of the run")
            text = f"variant '{variant_id}' of {scenario_id}: a warm start cannot take over"
            problems += [self.plan.problem(("warm",), f"{text} {what}; run it without warm") for what in wrong]
        if problems:
            raise ScenarioError(problems)
        return loaded

    def _too_short(self, name: str, scenario: Scenario, warm: Warm) -> Problem | None:
        """A run that is over before a warm start has settled."""
        until, horizon = warm.for_ + warm.settle, scenario.run.horizon
        if until < horizon:
            return None
        text = (
            f"warm: for and settle take {format_duration(until)} of the horizon of {format_duration(horizon)} of {name}"
        )
        return self.plan.problem(
            ("warm",), f"{text}, so nothing is left to measure; make them shorter, or the run longer"
        )

    def _of_variant(self, problem: Problem, variant: str) -> Problem:
        """A mistake in a change is the variant's; any other is the file's own."""
        text = f"variant '{variant}': {problem.message}"
        if problem.file == OVERRIDES:
            return Problem("", 0, text)
        return Problem(problem.file, problem.line, text) if self.plan.says(problem) else problem

    def _add_workflows(self, loaded: dict[tuple[str, str], Scenario]) -> list[Problem]:
        """Let every workflow stand still in every scenario that models it."""
        workflows = self.plan.workflows
        problems: list[Problem] = []
        if workflows is None:
            return problems
        for entry in self.plan.scenarios:
            base = loaded.get((entry.id, self.plan.base_id))
            if base is None:
                continue
            for workflow in workflows.serve:
                for start in workflows.starts:
                    faults = outage_of(base, workflow, start, workflows.for_)
                    name = (entry.id, stands_still(workflow.id, start))
                    if name in loaded:
                        text = f"two variants are called '{name[1]}'; call yours otherwise"
                        problems.append(self.plan.problem(("workflows",), text))
                    if faults:
                        try:
                            loaded[name] = base.with_changes({"faults": [*base.plain().get("faults", []), *faults]})
                        except ScenarioError as error:
                            problems += [self._of_variant(problem, name[1]) for problem in error.problems]
        return problems

    def _replaced(self, loaded: Mapping[tuple[str, str], Scenario]) -> list[Problem]:
        """Outages that take the scenario's own troubles away: what is lost by them would be less those."""
        found: dict[Problem, None] = {}
        places = {one.id: ("outages", index) for index, one in enumerate(self.plan.outages)}
        for entry in self.plan.scenarios:
            base = loaded.get((entry.id, self.plan.base_id))
            for case in self.plan.cases if base is not None else ():
                happens = loaded.get((entry.id, case.variant))
                if base is None or happens is None or not case.outage:
                    continue
                for key in ("faults", "disruptions"):
                    if any(own not in getattr(happens, key) for own in getattr(base, key)):
                        text = f"outages: '{case.outage}' replaces the {key} of {entry.id}"
                        text += "; give each of both an id, so that it is added"
                        found[self.plan.problem(places[case.outage], text)] = None
        return list(found)

    def _wrong_currencies(self, loaded: Mapping[tuple[str, str], Scenario]) -> list[Problem]:
        found = []
        for entry in self.plan.scenarios:
            base = loaded.get((entry.id, self.plan.base_id))
            for index, control in enumerate(self.plan.controls) if base is not None else ():
                given = control.cost_per_year.currency
                if base is not None and given != base.currency:
                    text = f"controls: '{control.id}' costs {given}, and {entry.id} counts in {base.currency}"
                    path = ("controls", index, "cost_per_year")
                    found.append(self.plan.problem(path, f"{text}; write its cost in {base.currency}"))
        return found

    def _wrong_measures(self) -> list[Problem]:
        single = of_one_run()
        asked: list[tuple[Path, str]] = [
            (("measures", index), one.name) for index, one in enumerate(self.plan.measures)
        ]
        if self.plan.stop is not None:
            asked.append((("stop", "measure"), self.plan.stop.measure))
        problems = []
        for path, name in asked:
            pattern = name.partition("/")[0]
            if not any(fnmatchcase(name, pattern) for name in single):
                if pattern in MEASURES:
                    text = f"'{pattern}' compares two runs; an experiment compares measures of one"
                else:
                    text = choices("measure", "measures", pattern, single)
                problems.append(self.plan.problem(path, f"{path[0]}: {text}"))
        return problems


def _try(job: Trial | WarmGroup) -> tuple[Outcome, ...]:
    return try_warm(job) if isinstance(job, WarmGroup) else (try_out(job),)


def _name(job: Trial | WarmGroup) -> str:
    return job.trials[0].name if isinstance(job, WarmGroup) else job.name


def _measured_warm(scenario: Scenario, warm: Warm) -> Scenario:
    return scenario.with_changes({"run": {"warmup": format_duration(warm.for_ + warm.settle)}})
