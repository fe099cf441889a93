"""Which dependency hurts first: options, the ranking as a table, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from twin.cli.changes import named_changes
from twin.cli.failures import InputError
from twin.cli.outputs import check_output
from twin.cli.terminal import line, show, table
from twin.cli.texts import in_unit, money

if TYPE_CHECKING:
    from twin.experiment.exposure import Exposure, Fix, Question
    from twin.experiment.statistics import Interval
    from twin.scenario import Scenario

__all__ = ["check_map", "draw_map", "print_exposures", "question_of", "show_exposures"]


def question_of(
    scenario: Scenario,
    starts: Sequence[str],
    longest: str,
    seeds: int,
    tolerance: str,
    recover: Sequence[str],
    fixes: Path | None,
    runs: int,
) -> Question:
    """The options as one question. Raises `InputError`."""
    from twin.experiment.exposure import Question, dependencies
    from twin.scenario.units import parse_percent

    length = scenario.run.demand_end - scenario.run.start
    begins = tuple(_duration("--start", text) for text in starts or ("0s",))
    longest_ms = _duration("--longest", longest)
    if longest_ms < 8:
        raise InputError(f"--longest {longest}: an outage so short is none; give one such as 7d")
    for begin, text in zip(begins, starts or ("0s",), strict=True):
        if begin >= length:
            raise InputError(f"--start {text}: demand is over by then; let outages begin earlier")
    pairs = []
    for text in recover:
        pattern, equals, time = text.partition("=")
        if not equals:
            raise InputError(f"--recover {text}: give DEPENDENCY=TIME, as in 'interface/*=8h'")
        pairs.append((pattern, _duration("--recover", time)))
    names = dependencies(scenario)
    from fnmatch import fnmatchcase

    for pattern, _ in pairs:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise InputError(f"--recover {pattern}: no dependency is named so; there are {', '.join(names)}")
    try:
        bearable = Fraction(parse_percent(tolerance), 1_000_000)
    except ValueError as error:
        raise InputError(f"--tolerance {tolerance}: {error}") from None
    loaded = () if fixes is None else _fixes(fixes, scenario)
    return Question(begins, longest_ms, tuple(range(1, seeds + 1)), bearable, tuple(pairs), loaded, runs)


def _duration(option: str, text: str) -> int:
    from twin.scenario.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise InputError(f"{option} {text}: {error}") from None


def _fixes(path: Path, scenario: Scenario) -> tuple[Fix, ...]:
    """A map of names to `cost` and `change`."""
    from twin.experiment.exposure import Fix

    return tuple(Fix(*named) for named in named_changes(path, scenario, "a fix", "cost"))


def show_exposures(title: str, found: Sequence[Exposure], currency: str, measure: str) -> None:
    """A row a dependency, in the order of the ranking: how long it is lived without, and what its loss costs."""
    right = ("Worst", "Median", "Back after", "Exposed")
    lives = table(f"{title}: how long it survives without", "Dependency", *right, "Cheapest fix", right=right)
    for one in found:
        lives.add_row(
            one.dependency + (" ~" if one.wavers else ""),
            _lived(one.worst_ms, one),
            _lived(one.median_ms, one),
            "–" if one.recover_ms is None else in_unit(one.recover_ms, "ms", ""),
            "?" if one.exposed is None else "YES" if one.exposed else "no",
            f"{one.fix}, {money(one.fix_cost_minor, currency)}" if one.fix else "none" if one.exposed else "",
        )
    show(lives)
    line("Worst, median: the longest outage within the tolerance, by start; > where none did harm.")
    if any(one.exposed is None for one in found):
        line("?: the budget of runs was too small to tell, and times are at least those shown; give more --runs.")
    line("~: a longer outage did no harm where a shorter one did.")
    line()
    numbers = (measure, "Margin", "REI")
    loses = table("What is lost until it is back, from the worst start", "Dependency", *numbers, right=numbers)
    for one in found:
        if one.impact is not None:
            rei = "–" if one.rei is None else f"{one.rei:.2f}"
            loses.add_row(one.dependency, _points(one.impact.measure), _money(one.impact.margin_minor, currency), rei)
    if loses.row_count:
        show(loses)
        line("With 95 % intervals over the seeds.")
        line("REI: risk exposure index, the margin lost over the most that any loses.")


def _lived(ms: int, one: Exposure) -> str:
    return ("> " if one.survives else "") + (in_unit(ms, "ms", "") or "0 s")


def _points(interval: Interval) -> str:
    return f"{100 * float(interval.mean):.2f} ± {100 * interval.half_width:.2f} %"


def _money(interval: Interval, currency: str) -> str:
    return f"{money(interval.mean, currency)} ± {money(Fraction(interval.half_width), currency)}"


def print_exposures(found: Sequence[Exposure]) -> None:
    """A JSON list; times are ms, money minor units, losses shares of the measure."""
    rows = []
    for one in found:
        impact = one.impact
        rows.append(
            {
                "dependency": one.dependency,
                "survives_worst_ms": one.worst_ms,
                "survives_median_ms": one.median_ms,
                "within_ms": one.within_ms,
                "worst_start_ms": one.worst_start,
                "survives_longest": one.survives,
                "wavers": one.wavers,
                "recover_ms": one.recover_ms,
                "exposed": one.exposed,
                "loss": None if impact is None else [float(impact.measure.mean), impact.measure.half_width],
                "margin_minor": None
                if impact is None
                else [float(impact.margin_minor.mean), impact.margin_minor.half_width],
                "rei": one.rei,
                "fix": one.fix or None,
                "fix_cost_minor": one.fix_cost_minor if one.fix else None,
                "looked": [
                    {
                        "start_ms": each.start_ms,
                        "length_ms": each.length_ms,
                        "loss": float(each.measure),
                        "margin_minor": float(each.margin_minor),
                    }
                    for each in one.looked
                ],
            }
        )
    line(json.dumps(rows, indent=2))


def check_map(path: Path) -> None:
    """Whether a map can be drawn there, before hours of runs. Raises `InputError`."""
    if path.suffix not in (".svg", ".png"):
        raise InputError(f"--map {path}: a map is an .svg or a .png file")
    check_output("--map", path, "a map")


def draw_map(path: Path, title: str, found: Sequence[Exposure], currency: str) -> None:
    """Draw the losses by dependency and length."""
    from twin.report.risk_map import draw_risk_map

    draw_risk_map(path, title, found, currency)
