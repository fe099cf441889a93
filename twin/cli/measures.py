"""Measures as a table or as JSON, alone or beside those of another run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from twin.cli.failures import InputError
from twin.cli.terminal import line, show, table, width
from twin.cli.texts import in_unit, rounded

if TYPE_CHECKING:
    from twin.measures.measured import Measured

__all__ = ["KEY_MEASURES", "chosen", "need_truth", "print_json", "show_measures"]

KEY_MEASURES: Final[tuple[str, ...]] = (
    "otif_to_request",
    "otif_to_promise",
    "delivered_in_full",
    "unit_fill_rate",
    "order_fill_rate",
    "order_cycle_time/p50",
    "order_cycle_time/p90",
    "backorder_unit_days",
    "touchless_rate",
    "inventory_record_accuracy",
    "duplicate_effect_count",
    "lost_effect_count",
    "revenue",
    "cost_of_goods",
    "freight",
    "holding",
    "ordering",
    "penalty",
    "margin",
)
"""What a run shows at its end, where it has them."""

WIDE: Final = 110
"""Characters from which on a terminal has room for notes."""

UNREADABLE: Final = 10**10
"""From here on a numerator is a sum of milliseconds over things, which no reader divides in the head."""


def chosen(
    measures: Mapping[str, Measured], globs: Sequence[str], kind: str | None, *, with_truth: bool = True
) -> dict[str, Measured]:
    """The measures whose names match one of `globs` (all without any) and that are of `kind`.

    A run without the truth, such as an imported one, has no measure of kind T: what is asked for is named. Raises
    `InputError` for a pattern that leaves none.
    """
    if kind is not None and kind not in ("L", "T", "P"):
        raise InputError(f"--kind {kind}: give L (from the log), T (needs the truth) or P (a pair of runs)")
    kept = [_chosen(measures, pattern, kind, with_truth=with_truth) for pattern in globs or ("*",)]
    return {name: one for name, one in measures.items() if any(name in found for found in kept)}


def _chosen(
    measures: Mapping[str, Measured], pattern: str, kind: str | None, *, with_truth: bool
) -> dict[str, Measured]:
    from twin.scenario.errors import suggestion

    named = {name: one for name, one in measures.items() if _matches(name, pattern)}
    found = {name: one for name, one in named.items() if kind in (None, one.kind)}
    lost = [] if with_truth else need_truth([pattern])
    if not found and lost and kind in (None, "T"):
        raise InputError(f"no truth is kept of this run, which these measures need: {', '.join(lost)}")
    if not named:
        near = suggestion(pattern, measures)
        raise InputError(f"--name {pattern}: no measure is named so{near}; `twin measures RUN` lists all")
    if not found:
        wanted = " P needs --base RUN" if kind == "P" else f" they are {', '.join(_kinds(named.values()))}"
        raise InputError(f"--kind {kind}: none of these measures is of this kind;{wanted}")
    return found


def need_truth(globs: Sequence[str]) -> list[str]:
    """The measures of kind T whose names match one of some patterns, or all without any."""
    from twin.measures import MEASURES

    asked = [glob.partition("/")[0] for glob in globs or ("*",)]
    return [name for name, spec in MEASURES.items() if spec.kind == "T" and any(_matches(name, one) for one in asked)]


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}/*")


def _kinds(measures: Iterable[Measured]) -> list[str]:
    return sorted(dict.fromkeys(one.kind for one in measures))


def show_measures(
    title: str, measures: Mapping[str, Measured], currency: str, base: Mapping[str, Measured] | None = None
) -> None:
    """A table of name, value, what it is a ratio of, and kind; with `base`, its values and the differences instead.

    Notes stand there where there is room for them.
    """
    notes = width() >= WIDE and any(one.note for one in measures.values())
    columns = ["Measure", "Value", *(["Of"] if base is None else ["Base", "Change"]), "Kind"]
    shown = table(title, *columns, *(["Note"] if notes else []), right=("Value", "Base", "Change"))
    # Where a line is too short, the name gives way, never a number.
    for column in shown.columns[1 : len(columns)]:
        column.no_wrap = True
    for name, one in measures.items():
        row = [name, in_unit(one.value, one.unit, currency)]
        if base is None:
            row.append(_parts(one))
        else:
            other = base.get(name)
            row.append("–" if other is None else in_unit(other.value, one.unit, currency))
            row.append(_change(one, other, currency))
        shown.add_row(*row, one.kind, *([one.note] if notes else []))
    show(shown)


def _change(one: Measured, other: Measured | None, currency: str) -> str:
    if other is None or one.value is None or other.value is None:
        return "–"
    change = one.value - other.value
    text = in_unit(change, one.unit, currency)
    if one.unit == "ratio":
        text = text.replace(" %", " points")
    return f"+{text}" if change > 0 else text if change else "0"


def _parts(one: Measured) -> str:
    """What it is a ratio or a mean of, where that says something to a reader."""
    if one.numerator is None or one.denominator is None:
        return ""
    if one.unit in ("ms", "minor", "unit_days"):
        return f"mean of {rounded(one.denominator, 0)}"
    if -UNREADABLE < one.numerator < UNREADABLE and one.denominator < UNREADABLE:
        return f"{rounded(one.numerator, 0)} / {rounded(one.denominator, 0)}"
    return ""


def print_json(measures: Mapping[str, Measured]) -> None:
    """One JSON map by name: value, numerator and denominator are decimals in quotes, exact ones as `a/b`."""
    plain = {
        name: {
            "kind": one.kind,
            "value": None if one.value is None else one.text(),
            "unit": one.unit,
            "numerator": None if one.numerator is None else str(one.numerator),
            "denominator": None if one.denominator is None else str(one.denominator),
            "window": one.window,
            "note": one.note,
        }
        for name, one in measures.items()
    }
    line(json.dumps(plain, indent=2, ensure_ascii=False))
