"""An experiment's answers: differences from the base with their intervals, as tables, CSV and Markdown."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from twin.cli.terminal import line, show, table

if TYPE_CHECKING:
    from twin.experiment.comparing import Difference
    from twin.experiment.tables import Results

__all__ = ["show_experiment"]

CSV: Final = "differences.csv"
MARKDOWN: Final = "differences.md"

COLUMNS: Final = (
    "Scenario",
    "Variant",
    "Measure",
    "Base",
    "Difference",
    "Interval",
    "n",
    "p (Holm)",
    "Finding",
    "Note",
)
RIGHT: Final = ("Base", "Difference", "n", "p (Holm)")


def show_experiment(results: Results) -> bool:
    """The tables, in the terminal and in the folder; returns whether every run came to its end."""
    differences = results.differences()
    rows = [_row(one) for one in differences]
    if rows:
        plan = results.plan
        shown = table(f"{plan.title}: each variant less {plan.base_id}, on the same seeds", *COLUMNS, right=RIGHT)
        for row in rows:
            shown.add_row(*row)
        show(shown)
    _write(results, differences, rows)
    for one in results.failed:
        line(f"{one.scenario_id}, variant {one.variant}, seed {one.seed} FAILS: {one.failure}")
    line(f"{len(results.outcomes):,} runs: {results.folder / 'results.parquet'}")
    return not results.failed


def _write(results: Results, differences: Sequence[Difference], rows: Sequence[Sequence[str]]) -> None:
    folder = results.folder
    with (folder / CSV).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["scenario", "variant", "measure", "unit", "n", "base", "difference", "low", "high", "p", "p_holm", "note"]
        )
        for one in differences:
            ends = ("", "") if one.interval is None else (one.interval.low, one.interval.high)
            figures = [None if value is None else float(value) for value in (one.base_mean, one.mean)]
            row = [one.scenario, one.variant, one.measure, one.unit, one.count, *figures, *ends]
            writer.writerow([*row, one.p, one.p_holm, one.note])
    lines = [f"# {results.plan.title}", "", f"Each variant less {results.plan.base_id}, on the same seeds.", ""]
    lines += [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    (folder / MARKDOWN).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _row(one: Difference) -> tuple[str, ...]:
    interval = "–"
    if one.interval is not None:
        interval = f"{_figure(one.interval.low, one.unit)} to {_figure(one.interval.high, one.unit)}"
    finding = "–" if one.p is None else "differs" if one.differs else "not told apart"
    return (
        one.scenario,
        one.variant,
        one.measure,
        _figure(one.base_mean, one.unit),
        _figure(one.mean, one.unit, signed=True),
        interval,
        str(one.count),
        "–" if one.p_holm is None else f"{one.p_holm:.4f}",
        finding,
        one.note,
    )


def _figure(value: Fraction | float | None, unit: str, *, signed: bool = False) -> str:
    """A value in its measure's unit: money in whole units, times in hours."""
    from twin.measures.measured import DIGITS, decimal

    if value is None:
        return "–"
    exact = Fraction(value)
    suffix = ""
    if unit == "ms":
        exact, digits, suffix = exact / 3_600_000, 3, " h"
    elif unit == "minor":
        exact, digits = exact / 100, 2
    else:
        digits = max(DIGITS.get(unit, 6), 3) if exact.denominator > 1 else DIGITS.get(unit, 6)
    plus = "+" if signed and exact > 0 else ""
    return f"{plus}{decimal(exact, min(digits, 4))}{suffix}"
