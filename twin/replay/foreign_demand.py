"""The channel of a scenario from a foreign log: when orders come, whether more each week, from where and to where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from twin.replay.calibrated_file import comment, in_block, quantiles
from twin.replay.demand_fit import Rhythm, fit_rhythm
from twin.replay.demand_rows import profile_lines
from twin.replay.estimators import estimate_counts, quantile_table
from twin.replay.foreign_cases import Case, Places
from twin.replay.growth import ALPHA, WEEKS_MIN, Growth, find_growth
from twin.replay.parameters import Parameter, amount, interval
from twin.scenario.units import format_duration, format_percent

__all__ = ["channel_lines"]

HOUR_MS: Final = 3_600_000
WEEK_MS: Final = 7 * 86_400_000
INDENT: Final = "      "


def channel_lines(
    known: Sequence[Case], places: Places, since: int, until: int, horizon: int, requested: int
) -> tuple[list[Parameter], list[str], Rhythm, Growth | None]:
    """The parameters of demand, the lines of its channel, the weekly rhythm and the trend.

    `requested` (ms) is when customers want it, which a log does not say."""
    instants = [case.began_at for case in known]
    rhythm = fit_rhythm(instants, since, until)
    growth = find_growth(instants, since, until)
    rows = [Parameter("orders a week", "number", rhythm.per_week, *rhythm.interval, rhythm.n, 0, "measured")]
    per_week = rhythm.per_week
    levels: list[list[str]] = []
    if growth is None:
        trend = f"fewer than {WEEKS_MIN} whole weeks tell no trend"
    else:
        trend, per_week, levels = _trend(growth, rhythm.per_week, horizon, rows)
    units = [case.units for case in known]
    size = estimate_counts(units)
    rows.append(Parameter("units an order, mean", "number", size.mean, size.low, size.high, size.n, 0, "measured"))
    spread = "" if rhythm.dispersion is None else f"; days vary {rhythm.dispersion:.1f} times as much as Poisson counts"
    table = quantiles(quantile_table(units), int)
    lines = [
        "  - id: orders",
        "    style: ecommerce",
        *comment("assumed: as long as nine in ten took", "    "),
        f"    requested: {format_duration(requested)}",
        "    demand:",
        "      kind: generated",
        *comment(
            f"{rhythm.n:,} cases, {amount(rhythm.per_week, 'number')} a week "
            f"[{interval(rhythm.per_week, *rhythm.interval, 'number')}] if they are Poisson{spread}",
            INDENT,
        ),
        *comment(trend, INDENT),
        f"{INDENT}orders: {per_week:.3f}/week",
        *(in_block("levels", levels, INDENT) if levels else []),
        *profile_lines(rhythm),
        f"{INDENT}lines_per_order: [[0%, 1], [100%, 1]]",
        *comment(
            f"units of a case: mean {amount(size.mean, 'number')}, n {size.n:,}; a line without a quantity is one",
            INDENT,
        ),
        *in_block("quantity_per_line", table if isinstance(table, list) else [["0%", table], ["100%", table]], INDENT),
        *_origins(known, places),
    ]
    return rows, lines, rhythm, growth


def _trend(growth: Growth, average: float, horizon: int, rows: list[Parameter]) -> tuple[str, float, list[list[str]]]:
    """What is said of the trend, the rate at the start of the run, and its levels over the run."""
    text = f"{growth.weeks} weeks, which vary {growth.dispersion:.1f} times as much as Poisson counts"
    if growth.kind == "level":
        rows.append(
            Parameter("trend", "number", 0.0, *growth.interval, growth.weeks, 0, "measured", f"p = {growth.p:.2g}")
        )
        return f"no trend: {text}; p = {growth.p:.2g}, {ALPHA} is asked for", average, []
    linear = growth.kind == "linear"
    name = "trend, orders a week more each week" if linear else "trend, logarithm of the weekly factor"
    rows.append(
        Parameter(name, "number", growth.slope, *growth.interval, growth.weeks, 0, "measured", f"p = {growth.p:.2g}")
    )
    rows.append(
        Parameter(
            "orders a week at the start",
            "number",
            growth.rate(0),
            None,
            None,
            growth.weeks,
            0,
            "modeled",
            "the trend goes on",
        )
    )
    start = growth.rate(0)
    marks, bound = _marks(growth, horizon)
    levels = [
        [format_duration(mark), format_percent(round(growth.rate(mark / WEEK_MS) / start * 1000) * 1000)]
        for mark in marks
    ]
    told = (
        f"a {'straight' if linear else 'constant'} trend: "
        f"{growth.slope:.3g} [{growth.interval[0]:.3g} to {growth.interval[1]:.3g}] "
        f"{'orders a week more each week' if linear else 'is the logarithm of the weekly factor'}, {text}; that "
        "it goes on is modeled"
    )
    if bound is not None:
        to = "down to a hundredth of" if growth.slope < 0 else "up to a hundred times"
        told += f", {to} the weekly mean, {format_duration(bound)} after the start"
    return told, start, levels


def _marks(growth: Growth, horizon: int) -> tuple[list[int], int | None]:
    """When levels are given, in ms from the start to the end of the run, and which of them is where the trend ends
    (None where that is not in the run); between two marks demand goes on straight."""
    end = -(-horizon // WEEK_MS) * WEEK_MS
    # A constant rate bends: marks are so near that chords are no more than 2 % above it, or a week apart.
    bends = growth.kind == "exponential"
    step = max(1, min(4, int(0.4 / abs(growth.slope)))) * WEEK_MS if bends and growth.slope else end
    after = growth.bound_after()
    bound = None if after is None or after * WEEK_MS >= end else -(-round(after * WEEK_MS) // HOUR_MS) * HOUR_MS
    kept = [mark for mark in range(0, end, step) if bound is None or mark < bound]
    return [*kept, *([bound] if bound is not None else []), *([end] if bound != end else [])], bound


def _origins(known: Sequence[Case], places: Places) -> list[str]:
    regions = Counter(places.regions[case.region] for case in known)
    pairs = Counter((places.regions[case.region], places.sites[case.origin]) for case in known)
    items = {
        region: {f"of_{site}": pairs[region, site] for site in sorted({*places.sites.values()}) if pairs[region, site]}
        for region in sorted(regions)
    }
    return [
        *comment("cases by region and origin", INDENT),
        *in_block("items", items, INDENT),
        *in_block("regions", {region: regions[region] for region in sorted(regions)}, INDENT),
    ]
