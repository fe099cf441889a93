"""An experiment's answers as tables: in the terminal, as CSV a table, and all of them in one Markdown page."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from twin.cli.failures import InputError
from twin.cli.terminal import line, show, table
from twin.cli.tight import NONE, show_tight

if TYPE_CHECKING:
    from pathlib import Path

    from twin.experiment.comparing import Difference
    from twin.experiment.plan import Plan
    from twin.experiment.spread import Estimate, Spread
    from twin.experiment.tables import Results
    from twin.experiment.warm_up import WarmUp

__all__ = ["check_experiment", "show_experiment", "show_warm_ups"]

PAGE: Final = "answers.md"

DIFFERENCE: Final = (
    *("scenario", "variant", "measure", "unit", "n", "base", "difference", "low", "high"),
    *("p", "p_holm", "differs", "variance_ratio", "note"),
)
SPREAD: Final = (
    *("scenario", "variant", "measure", "unit", "of", "n"),
    *(f"{name}{end}" for name in ("p5", "p50", "p95", "cvar") for end in ("", "_low", "_high")),
)


class _Table(Struct):
    """One table: `words` are the texts shown, `figures` the rows of the CSV file `name`."""

    name: str
    title: str
    columns: tuple[str, ...]
    heads: tuple[str, ...]
    words: list[Sequence[str]] = []
    figures: list[Sequence[Any]] = []


def check_experiment(plan: Plan, out: Path, *, influence: bool) -> None:
    """Whether what is asked for can be given, before anything runs. Raises `InputError`."""
    from twin.experiment.designs import LatinHypercube

    file = next((one for one in (out, *out.parents) if one.exists() and not one.is_dir()), None)
    if file is not None:
        raise InputError(f"--out {out}: {file} is a file; give a folder, which is made")
    if influence and not isinstance(plan.design, LatinHypercube):
        text = "--influence: there is no Latin hypercube in the plan, so there are no points to tell factors from"
        raise InputError(f"{text}; give it a design of kind latin_hypercube, or leave --influence out")


def show_experiment(results: Results, *, spread: bool, regret: bool, influence: bool) -> bool:
    """The tables asked for, in the terminal and in the folder; returns whether every run came to its end."""
    tables = [_differences(results)]
    tables += [_spreads(results)] if spread else []
    tables += list(_regrets(results)) if regret else []
    tables += [_influences(results)] if influence else []
    page = [f"# {results.plan.title}"]
    for one in tables:
        if one.words:
            show_tight(one.title, one.columns, one.words)
        rows = [one.columns, ["---"] * len(one.columns), *one.words]
        page += ["", f"## {one.title}", "", *(f"| {' | '.join(row)} |" for row in rows)]
        with (results.folder / f"{one.name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([one.heads, *one.figures])
    (results.folder / PAGE).write_text("\n".join(page) + "\n", encoding="utf-8")
    for name in results.unknown:
        line(f"no run has a measure '{name}'")
    for failed in results.failed:
        line(f"{failed.scenario_id}, variant {failed.variant}, seed {failed.seed} FAILS: {failed.failure}")
    line(f"{len(results.outcomes):,} runs, {_start(results)}: {results.folder / 'results.parquet'}")
    return not results.failed


def show_warm_ups(title: str, found: Sequence[WarmUp]) -> None:
    """After how long each level of a business is as usual."""
    from twin.scenario.units import format_duration

    shown = table(title, "Level", "As usual after")
    for one in found:
        told = "the run is too short to tell" if one.after_ms is None else format_duration(one.after_ms)
        shown.add_row(one.level, told)
    show(shown)
    known = [one.after_ms for one in found if one.after_ms is not None]
    if known and len(known) == len(found):
        line(f"run: {{warmup: {format_duration(max(known))}}}")


def _start(results: Results) -> str:
    return ", ".join(dict.fromkeys(one.start for one in results.outcomes))


def _differences(results: Results) -> _Table:
    made = _Table(
        "differences",
        f"Each variant less {results.plan.base_id}, on the same seeds, {_start(results)}",
        ("Scenario", "Variant", "Measure", "Base", "Difference", "Interval", "n", "p (Holm)", "Finding", "Note"),
        DIFFERENCE,
    )
    for one in results.differences():
        made.words.append(_difference(one))
        low, high = (None, None) if one.interval is None else (one.interval.low, one.interval.high)
        means = [None if value is None else float(value) for value in (one.base_mean, one.mean)]
        row = [one.scenario, one.variant, one.measure, one.unit, one.count, *means, low, high]
        made.figures.append([*row, one.p, one.p_holm, one.differs, one.variance_ratio, one.note])
    return made


def _difference(one: Difference) -> Sequence[str]:
    interval = NONE if one.interval is None else _range(one.interval.low, one.interval.high, one.unit)
    finding = NONE if one.p is None else "differs" if one.differs else "not told apart"
    return (
        one.scenario,
        one.variant,
        one.measure,
        _figure(one.base_mean, one.unit),
        _figure(one.mean, one.unit, signed=True),
        interval,
        str(one.count),
        NONE if one.p_holm is None else f"{one.p_holm:.4f}",
        finding,
        one.note,
    )


def _spreads(results: Results) -> _Table:
    made = _Table(
        "spread",
        "Single runs: quantiles, and the mean of the worst 5 % (CVaR)",
        ("Scenario", "Variant", "Measure", "Of", "n", "5 %", "50 %", "95 %", "CVaR", "Note"),
        SPREAD,
    )
    for scenario, variant in results.cells:
        for measure in results.measures:
            named = (scenario, variant, measure)
            _add_spread(made, named, "runs", results.units[measure], results.spread(*named))
            if variant != results.plan.base_id:
                _add_spread(made, named, "differences", results.units[measure], results.spread_of_difference(*named))
    return made


def _add_spread(made: _Table, named: Sequence[str], of: str, unit: str, found: Spread) -> None:
    estimates: list[Estimate | None] = [*found.quantiles.values(), found.cvar]
    notes = dict.fromkeys(one.note for one in estimates if one is not None and one.note)
    if found.cvar is None:
        notes["no CVaR: say which way is better"] = None
    told = [NONE if one is None or one.value is None else _estimate(one, unit) for one in estimates]
    made.words.append((*named, of, str(found.count), *told, "; ".join(notes)))
    figures = [(None,) * 3 if one is None else (one.value, one.low, one.high) for one in estimates]
    made.figures.append([*named, unit, of, found.count, *(value for row in figures for value in row)])


def _estimate(one: Estimate, unit: str) -> str:
    if one.value is None or one.low is None or one.high is None:
        return NONE
    return f"{_figure(one.value, unit)} ({_range(one.low, one.high, unit)})"


def _regrets(results: Results) -> Iterator[_Table]:
    for measure, better in results.measures.items():
        if better is None:
            continue
        try:
            found = results.regret(measure)
        except ValueError as error:
            line(f"no regret: {error}")
            continue
        unit = results.units[measure]
        scenarios = tuple(found.regrets)
        made = _Table(
            f"regret-{measure.replace('/', '-')}",
            f"Regret in {measure} ({better} is better), mean of {found.count} seeds; * may be the best at "
            f"{results.plan.confidence / 10_000:g} %"
            + ("" if found.count > 1 else ", n too small to tell who is best"),
            ("Variant", *scenarios, "Worst", "Note"),
            ("variant", *scenarios, "worst", "may_be_best_in"),
        )
        for variant, worst in found.worst.items():
            best_in = [scenario for scenario in scenarios if variant in found.may_be_best[scenario]]
            cells = [
                _figure(found.regrets[scenario][variant], unit) + (" *" if scenario in best_in else "")
                for scenario in scenarios
            ]
            note = "least worst regret" if variant == found.least else ""
            made.words.append((variant, *cells, _figure(worst, unit), note))
            exact = [float(found.regrets[scenario][variant]) for scenario in scenarios]
            made.figures.append([variant, *exact, float(worst), " ".join(best_in)])
        yield made


def _influences(results: Results) -> _Table:
    made = _Table(
        "influence",
        "Share of the variance between the points that each factor alone explains",
        ("Scenario", "Measure", "Factor", "First-order index", "±"),
        ("scenario", "measure", "factor", "first_order", "half_width"),
    )
    for scenario in dict.fromkeys(scenario for scenario, _ in results.cells):
        for measure in results.measures:
            try:
                found = results.influences(scenario, measure)
            except ValueError as error:
                line(f"no influence of factors on {measure} in {scenario}: {error}")
                continue
            for one in found:
                made.words.append((scenario, measure, one.factor, f"{one.first_order:.3f}", f"{one.half_width:.3f}"))
                made.figures.append([scenario, measure, one.factor, one.first_order, one.half_width])
    return made


def _range(low: float, high: float, unit: str) -> str:
    """Both ends, with their unit said once."""
    suffix = _SCALES[unit](Fraction(0))[2] if unit in _SCALES else ""
    return f"{_figure(low, unit).removesuffix(suffix)} to {_figure(high, unit)}"


def _figure(value: Fraction | float | None, unit: str, *, signed: bool = False) -> str:
    """A value in a reader's unit: money in whole units, times in hours."""
    if value is None:
        return NONE
    from twin.measures.measured import decimal

    scale: Callable[[Fraction], tuple[Fraction, int, str]] = _SCALES.get(unit, lambda exact: (exact, 4, ""))
    exact, digits, suffix = scale(Fraction(value))
    return f"{'+' if signed and exact > 0 else ''}{decimal(exact, digits)}{suffix}"


_SCALES: Final[dict[str, Callable[[Fraction], tuple[Fraction, int, str]]]] = {
    "ms": lambda exact: (exact / 3_600_000, 3, " h"),
    "minor": lambda exact: (exact / 100, 2, ""),
    "count": lambda exact: (exact, 0 if exact.denominator == 1 else 2, ""),
}
