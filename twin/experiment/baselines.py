"""What scenarios gave before a change: one value a seed, kept in a text file beside the scenarios.

JSON lines, sorted, so that a baseline in version control shows what has moved.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Final

from msgspec import Struct

from twin.experiment.observing import Job, Observation
from twin.experiment.regression import MAIN, cases_of, observed
from twin.run import Progress, versions

__all__ = ["Baseline", "BaselineError", "Kept", "measure_baseline", "read_baseline", "write_baseline"]

FORMAT: Final = 1

NEEDS_ORDERS: Final = (
    "let orders be due within the run (a longer run.horizon, a shorter requested), or leave the scenario out"
)


class BaselineError(ValueError):
    """A baseline cannot be used; the text says where, and what would be right."""


class Kept(Struct, frozen=True):
    """What one run gave: the measure (None: nothing fell into its window) and the digest of its log."""

    value: Fraction | None
    digest: str


class Baseline(Struct, frozen=True):
    """Runs by scenario (as it was named) and seed, for one measure."""

    measure: str
    runs: Mapping[str, Mapping[int, Kept]]


def measure_baseline(
    paths: Iterable[str | Path],
    seeds: int,
    measure: str = MAIN,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> Baseline:
    """Run every scenario under seeds 1 to n.

    Raises `ScenarioError`, and `BaselineError` where a run breaks down or no seed of a scenario has a value of the
    measure: no change could ever fail against that.
    """
    if seeds < 2:
        raise ValueError(f"{seeds} seeds; an interval needs at least 2")
    cases = cases_of(paths, {})
    jobs = [case.job(seed, measure) for seed in range(1, seeds + 1) for case in cases]
    runs: dict[str, dict[int, Kept]] = {case.name: {} for case in cases}
    for job, one in observed(jobs, workers, "measuring the baseline", progress):
        runs[job.name][job.seed] = _kept(job, one, measure)
    blank = [name for name, kept in runs.items() if all(one.value is None for one in kept.values())]
    if blank:
        why = f"no value of {measure} under any of {seeds} seeds, so no change could fail against it; {NEEDS_ORDERS}"
        raise BaselineError("\n".join(f"{name}: {why}" for name in blank))
    return Baseline(measure, runs)


def _kept(job: Job, one: Observation, measure: str) -> Kept:
    if one.failure:
        raise BaselineError(f"{job.name}, seed {job.seed}: {one.failure}; a baseline needs scenarios that run")
    value = one.values.get(measure)
    return Kept(None if value is None else Fraction(value), one.digest)


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write it whole or not at all."""
    head = {"format": FORMAT, "measure": baseline.measure, "versions": versions()}
    lines = [json.dumps(head, sort_keys=True)]
    for scenario in sorted(baseline.runs):
        for seed, kept in sorted(baseline.runs[scenario].items()):
            value = None if kept.value is None else str(kept.value)
            lines.append(json.dumps({"scenario": scenario, "seed": seed, "value": value, "digest": kept.digest}))
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text("\n".join(lines) + "\n", encoding="utf-8")
    unfinished.replace(path)


def read_baseline(path: Path) -> Baseline:
    """Raises `BaselineError` for a file that is none, by line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no text"
        raise BaselineError(f"{path}: {why}; make one with `twin check SCENARIO... --store {path}`") from error
    runs: dict[str, dict[int, Kept]] = {}
    measure = ""
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            if number == 1:
                if row["format"] != FORMAT:
                    raise BaselineError(f"{path}:1: format {row['format']}, this program reads {FORMAT}; make it again")
                measure = str(row["measure"])
                continue
            value = None if row["value"] is None else Fraction(row["value"])
            runs.setdefault(str(row["scenario"]), {})[int(row["seed"])] = Kept(value, str(row["digest"]))
        except BaselineError:
            raise
        except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
            text = f"{path}:{number}: not a line of a baseline ({type(error).__name__}: {error})"
            raise BaselineError(f"{text}; make it again with --store") from error
    if not runs:
        raise BaselineError(f"{path}: a baseline without runs; make one with `twin check SCENARIO... --store {path}`")
    return Baseline(measure, runs)
