"""`twin check`: expectations, a baseline to keep or to compare with, and what is written of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from twin.cli.failures import InputError
from twin.cli.gating import (
    exit_code,
    expanded,
    parse_margin,
    show_comparisons,
    show_foresight,
    write_junit,
    write_markdown,
)
from twin.cli.outputs import check_output
from twin.cli.overrides import parse_overrides
from twin.cli.terminal import line
from twin.cli.verdicts import show_verdicts
from twin.scenario.errors import join_some

if TYPE_CHECKING:
    from twin.experiment.check import Verdict
    from twin.experiment.regression import Comparison
    from twin.run import Progress

__all__ = ["Request", "run_check"]

STORED: Final = 30
"""Seeds of a baseline unless asked otherwise."""


class Request(Struct, frozen=True):
    """What was asked for on the command line; `budget_s` in seconds."""

    scenarios: tuple[Path, ...]
    full: bool = False
    seeds: int | None = None
    workers: int = 1
    settings: tuple[str, ...] = ()
    against: Path | None = None
    store: Path | None = None
    margin: str = "-0.5%"
    budget_s: float | None = None
    plan: bool = False
    junit: Path | None = None
    markdown: Path | None = None
    inconclusive: int = 3


def run_check(asked: Request, progress: Progress) -> Callable[[], int]:
    """Do it; returns what shows the results and gives the exit code. Raises `InputError` and errors of the input."""
    began = time.monotonic()
    margin = parse_margin(asked.margin)
    _sensible(asked)
    paths = expanded(asked.scenarios)
    if asked.store is not None:
        return _store(asked, paths, progress)
    fitting = _fitting(paths, asked.settings)
    overrides = _overrides(paths, fitting)
    if asked.plan:
        return _plan(asked, paths, overrides, margin)
    from twin.experiment.check import check as hold

    baseline = None
    if asked.against is not None:
        from twin.experiment.baselines import read_baseline
        from twin.experiment.regression import cases_of, need_values

        baseline = read_baseline(asked.against)
        need_values(cases_of(paths, overrides), baseline, asked.seeds)
    # With a baseline the seeds are those of the comparison.
    seeds = asked.seeds if baseline is None else None
    verdicts = hold(
        paths,
        full=asked.full,
        seeds=seeds,
        workers=asked.workers,
        overrides=overrides,
        settings=fitting,
        progress=progress,
    )
    if baseline is None:
        return _told(asked, lambda: show_verdicts(verdicts), verdicts, [], "", margin)
    from twin.experiment.regression import cases_of, compare_with, overall

    made = compare_with(
        cases_of(paths, overrides),
        baseline,
        margin=margin,
        seeds=asked.seeds,
        # What the expectations took is gone.
        budget_s=None if asked.budget_s is None else asked.budget_s - (time.monotonic() - began),
        workers=asked.workers,
        settings=fitting,
        progress=progress,
    )

    def tell() -> None:
        show_verdicts([one for one in verdicts if not one.holds], summed_up=False)
        show_comparisons(made, baseline.measure, margin)
        line(f"{sum(one.holds for one in verdicts)} of {len(verdicts)} expectations hold; the change: {overall(made)}")

    return _told(asked, tell, verdicts, made, baseline.measure, margin)


def _sensible(asked: Request) -> None:
    if asked.plan and (asked.against is None or asked.budget_s is None):
        raise InputError("--plan needs --against and --budget: what can be found, compared with what, in which time")
    if asked.budget_s is not None and asked.against is None:
        raise InputError("--budget is the time of a comparison; give --against")
    if asked.budget_s is not None and asked.budget_s <= 0:
        raise InputError("--budget 0s leaves no time for anything; give one such as 4m")
    if asked.store is not None and (asked.against is not None or asked.settings):
        raise InputError("--store keeps what the scenarios give as they are; leave --against and --set out")
    outputs = (
        ("--junit", asked.junit, "JUnit XML"),
        ("--markdown", asked.markdown, "Markdown"),
        ("--store", asked.store, "a baseline"),
    )
    for option, path, kind in outputs:
        if path is not None:
            check_output(option, path, kind)


def _fitting(paths: Sequence[Path], settings: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The settings that fit each scenario; one that fits none of them is refused.

    One about an entry that a scenario does not have leaves it alone, and so does one about a section that it does not
    have where others have it.
    """
    from twin.scenario import load_plain

    found: dict[str, tuple[str, ...]] = {str(path): () for path in paths}
    plain = {path: load_plain(path) for path in paths} if settings else {}
    for setting in settings:
        section = setting.partition("=")[0].partition(".")[0].partition("[")[0].strip()
        having = [path for path in paths if section in plain[path]]
        fits = 0
        why: dict[str, list[str]] = {}
        for path in having or paths:
            try:
                parse_overrides([*found[str(path)], setting], plain[path])
            except InputError as error:
                why.setdefault(str(error).removeprefix(f"--set {setting}: "), []).append(str(path))
            else:
                found[str(path)] += (setting,)
                fits += 1
        if not fits:
            reasons = "".join(f"\n{join_some(names)}: {reason}" for reason, names in why.items())
            raise InputError(f"--set {setting} fits no scenario:{reasons}")
    return found


def _overrides(paths: Sequence[Path], fitting: Mapping[str, Sequence[str]]) -> dict[str, Mapping[str, object]]:
    """What the settings change in each scenario."""
    from twin.scenario import load_plain

    return {str(path): parse_overrides(fitting[str(path)], load_plain(path)) for path in paths if fitting[str(path)]}


def _store(asked: Request, paths: Sequence[Path], progress: Progress) -> Callable[[], int]:
    from twin.experiment.baselines import measure_baseline, write_baseline

    seeds = asked.seeds or STORED
    baseline = measure_baseline(paths, seeds, workers=asked.workers, progress=progress)
    path = asked.store
    if path is not None:
        write_baseline(path, baseline)

    def tell() -> int:
        line(f"{path}: {baseline.measure} of {len(baseline.runs)} scenarios under seeds 1 to {seeds}")
        for name, kept in baseline.runs.items():
            blank = sum(one.value is None for one in kept.values())
            if blank:
                line(f"{name}: {blank} of {seeds} seeds have no value, and can never be compared")
        return 0

    return tell


def _plan(
    asked: Request, paths: Sequence[Path], overrides: Mapping[str, Mapping[str, object]], margin: Fraction
) -> Callable[[], int]:
    from twin.experiment.baselines import read_baseline
    from twin.experiment.regression import cases_of, foresee, need_values

    if asked.against is None or asked.budget_s is None:
        raise AssertionError("checked before")
    baseline = read_baseline(asked.against)
    cases = cases_of(paths, overrides)
    need_values(cases, baseline)
    planned = foresee(cases, baseline, asked.budget_s, asked.workers, margin)

    def tell() -> int:
        show_foresight(planned, baseline.measure)
        return 0

    return tell


def _told(
    asked: Request,
    shown: Callable[[], object],
    verdicts: Sequence[Verdict],
    made: Sequence[Comparison],
    measure: str,
    margin: Fraction,
) -> Callable[[], int]:
    """Write the files that were asked for; returns what shows the rest and gives the exit code."""
    from twin.experiment.regression import overall

    if asked.junit is not None:
        write_junit(asked.junit, verdicts, made, measure)
    if asked.markdown is not None:
        write_markdown(asked.markdown, verdicts, made, measure, margin)

    def tell() -> int:
        shown()
        return exit_code(verdicts, overall(made) if made else "pass", inconclusive=asked.inconclusive)

    return tell
