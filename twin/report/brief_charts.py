"""The drawings of a brief: due and shipped with and without the trouble, and what it cost by cause. Each twice: for a
wide window and for a narrow one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Final, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from twin.core import events as ev
from twin.experiment.harm import Pair
from twin.experiment.leakage import Waterfall
from twin.log import read_entries
from twin.observability import FaultTime
from twin.report.charts import label_ends
from twin.report.grid import DAY_MS, HOUR_MS, Grid, date_text
from twin.report.picture import collect
from twin.report.svg import FAINT, INK, MUTED, SERIES, axes_of, drawn, number_axis, time_axis
from twin.report.words import bare, count, money

__all__ = ["Drawing", "Timeline", "loss_by_cause", "shipped_and_due", "timeline_of"]

WIDE: Final = 11.2
NARROW: Final = 4.4
POINTS_MAX: Final = 200
"""Points of a line: the buckets are hours, or as many hours as it takes."""
SITES_MAX: Final = 4
"""Sites whose cut-offs are ticked."""
LEAD_MS: Final = 6 * HOUR_MS
"""What is shown before the trouble, at least, and after its last trace."""
TAIL_MS: Final = 14 * DAY_MS
"""What is shown after the trouble, at most."""


class Drawing(NamedTuple):
    """One chart with its heading and note, as it is drawn for a wide and for a narrow window."""

    title: str
    note: str
    wide: str
    narrow: str


class Timeline(NamedTuple):
    """Orders by bucket of `grid`, each counted with its last unit; cut-offs (ms) by site; the troubles in view."""

    grid: Grid
    due: list[int]
    calm: list[int]
    hurt: list[int]
    cut_offs: dict[str, list[int]]
    troubles: list[FaultTime]
    run_end: int

    @property
    def behind(self) -> list[int]:
        """Orders fewer shipped with the trouble than without, by the end of each bucket."""
        return [one - other for one, other in zip(accumulate(self.calm), accumulate(self.hurt), strict=True)]


def timeline_of(pair: Pair, until_ms: int | None = None) -> Timeline:
    """Due and shipped from the day of the first trouble to the day on which its last trace is gone.

    `until_ms` is an instant that has to be in view.
    """
    manifest = pair.hurt.manifest
    start, end = manifest.start_ms, manifest.end_ms
    first = start - start % DAY_MS
    hourly = Grid(first, HOUR_MS, max(1, -((first - end) // HOUR_MS)), "hour")
    calm, hurt = (collect(read_entries(run.folder), hourly, (start, end), end) for run in (pair.calm, pair.hurt))
    began = min([one.began_at for one in pair.troubles], default=start)
    ended = max([end if one.ended_at < 0 else one.ended_at for one in pair.troubles], default=end)
    behind = [one - other for one, other in zip(accumulate(calm.shipped), accumulate(hurt.shipped), strict=True)]
    apart = max([hourly.start_of(hour + 1) for hour, gap in enumerate(behind) if gap], default=ended)
    last = min(max(ended, min(apart, ended + TAIL_MS), until_ms or 0) + LEAD_MS, end)
    low = max(began - LEAD_MS, start) // DAY_MS * DAY_MS
    low = max(low, first)
    hours = (-(-last // DAY_MS) * DAY_MS - low) // HOUR_MS
    step = next((step for step in (1, 2, 3, 4, 6, 12) if hours / step <= POINTS_MAX), 24)
    grid = Grid(low, step * HOUR_MS, -(-hours // step), "hour" if step == 1 else f"{step} hours")
    skip = (low - first) // HOUR_MS
    due, before, after = (_by(values, skip, step, grid.count) for values in (hurt.due, calm.shipped, hurt.shipped))
    seen = [one for one in pair.troubles if one.began_at < grid.start_of(grid.count)]
    return Timeline(grid, due, before, after, _cut_offs(pair, grid), seen, end)


def _by(values: list[int], skip: int, step: int, buckets: int) -> list[int]:
    return [sum(values[skip + step * bucket : skip + step * (bucket + 1)]) for bucket in range(buckets)]


def _cut_offs(pair: Pair, grid: Grid) -> dict[str, list[int]]:
    """When each site's day's last orders are taken, in view: those of sites in trouble first."""
    found: dict[str, list[int]] = {}
    for entry in read_entries(pair.hurt.folder):
        for event in entry.events:
            if isinstance(event, ev.NetworkDefined):
                for site in event.warehouses:
                    instants = sorted(at for one in site.departures for at in one.cut_offs)
                    seen = [at for at in dict.fromkeys(instants) if grid.start_ms <= at < grid.start_of(grid.count)]
                    if seen:
                        found[site.id] = seen
            elif isinstance(event, ev.OrderCaptured):
                hit = {one.gateway.rpartition("/")[2]: None for one in pair.troubles}
                chosen = sorted(found, key=lambda site: (site not in hit, site))[:SITES_MAX]
                return {site: found[site] for site in chosen}
    return found


def shipped_and_due(timeline: Timeline) -> Drawing:
    """Cumulative orders above, how far the disturbed business is behind below it, and the cut-offs at the foot."""
    grid = timeline.grid
    due, calm, hurt = (list(accumulate(values)) for values in (timeline.due, timeline.calm, timeline.hurt))
    behind = timeline.behind
    since = f"{date_text(grid.start_ms)}"

    def draw(figure: Figure, narrow: bool) -> None:
        sites = len(timeline.cut_offs)
        heights = (3.2, 1.2, 0.16 + 0.16 * sites) if sites else (3.2, 1.2)
        panels = axes_of(figure, len(heights), heights)
        above, gap = panels[0], panels[1]
        x = [-0.5, *(bucket + 0.5 for bucket in range(grid.count))]
        above.plot(x, [0, *due], color=SERIES[4], linestyle=(0, (1.5, 1.5)), linewidth=1.4)
        above.plot(x, [0, *calm], color=SERIES[0], linestyle=(0, (5, 2)))
        above.plot(x, [0, *hurt], color=SERIES[1], linestyle="-", linewidth=2.0)
        above.set_ylim(bottom=0)
        number_axis(above)
        above.set_title(f"Orders since {since}, cumulative")
        _shade(panels, timeline)
        ends = [
            (float(due[-1]), f"due {count(due[-1])}", SERIES[4]),
            (
                float(calm[-1]),
                f"shipped without {count(calm[-1])}" if not narrow else f"without {count(calm[-1])}",
                SERIES[0],
            ),
            (
                float(hurt[-1]),
                f"shipped with it {count(hurt[-1])}" if not narrow else f"with {count(hurt[-1])}",
                SERIES[1],
            ),
        ]
        label_ends(above, grid, ends)
        top = max([*behind, 1])
        gap.fill_between(x, [0] * len(x), [0, *behind], color=SERIES[1], alpha=0.45, linewidth=0)
        gap.set_ylim(min([*behind, 0]) * 1.05, top * 1.1)
        number_axis(gap)
        gap.set_title("Orders not shipped that would have been")
        if max(behind) > 0:
            label_ends(gap, grid, [(top * 0.6, f"at most {count(max(behind))}", SERIES[1])])
        if sites:
            _tick(panels[2], timeline)
        time_axis(panels[-1], grid, most=2 if narrow else 8, room=0.36 if narrow else 0.2)

    alt = (
        f"From {since}: {count(due[-1])} orders fell due; {count(calm[-1])} were shipped without the trouble and "
        f"{count(hurt[-1])} with it; at most {count(max([*behind, 0]))} were behind at a time."
    )
    note = (
        "Shaded: the trouble lasts. An order counts as shipped with its last unit; due by the date its customer asked "
        "for. With and without the trouble the same customers order the same goods."
    )
    if timeline.cut_offs:
        note += " Ticks at the foot: until then an order still leaves with that day's truck."
    rows = 0.3 * len(timeline.cut_offs)
    return _both("shipped", "Due and shipped", note, alt, (WIDE, 4.6 + rows), (NARROW, 4.8 + rows), draw)


def _shade(panels: list[Axes], timeline: Timeline) -> None:
    """While anything lasts; what overlaps is shaded once."""
    grid = timeline.grid
    spans: list[list[float]] = []
    for one in timeline.troubles:
        ended = timeline.run_end if one.ended_at < 0 else one.ended_at
        begin, end = ((at - grid.start_ms) / grid.width_ms - 0.5 for at in (one.began_at, ended))
        begin, end = max(begin, -0.5), min(end, grid.count - 0.5)
        if spans and begin <= spans[-1][1]:
            spans[-1][1] = max(end, spans[-1][1])
        elif begin < end:
            spans.append([begin, end])
    for begin, end in spans:
        for axes in panels:
            axes.axvspan(begin, end, color=SERIES[1], alpha=0.14, linewidth=0)


def _tick(axes: Axes, timeline: Timeline) -> None:
    """One row of ticks a site, its name at the right."""
    grid = timeline.grid
    sites = list(timeline.cut_offs.items())
    for row, (site, instants) in enumerate(sites):
        x = [(at - grid.start_ms) / grid.width_ms - 0.5 for at in instants]
        axes.vlines(x, row - 0.32, row + 0.32, color=INK, linewidth=1.2)
        axes.text(grid.count - 0.5 + grid.count * 0.012, row, f"cut-off {site}", color=MUTED, va="center", fontsize=9)
    axes.set_ylim(len(sites) - 0.4, -0.6)
    axes.set_yticks([])
    axes.tick_params(axis="x", length=3.0)


def loss_by_cause(fall: Waterfall, currency: str) -> Drawing | None:
    """What each cause took from the result, one on top of the other; None where nothing in the ledger moved."""
    steps = [(step.title, -step.amount_minor) for step in fall.steps if step.amount_minor]
    if not steps:
        return None

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        edges = [0]
        for _, amount in steps:
            edges.append(edges[-1] + amount)
        span = (max(edges) - min(edges)) or 1
        for row, (_, amount) in enumerate(steps):
            low, high = sorted(edges[row : row + 2])
            axes.barh(
                row, high - low, left=low, height=0.62, color=SERIES[1 if amount > 0 else 2], alpha=0.6, linewidth=0
            )
            axes.text(high + span * 0.015, row, bare(amount, currency), va="center", ha="left", fontsize=10)
            axes.plot([edges[row + 1]] * 2, [row - 0.31, row + 1.31], color=MUTED, linewidth=0.6)
        low, high = sorted((0, edges[-1]))
        axes.barh(len(steps), high - low, left=low, height=0.62, color=SERIES[0], alpha=0.6, linewidth=0)
        axes.text(high + span * 0.015, len(steps), bare(edges[-1], currency), va="center", ha="left", fontsize=10)
        axes.set_yticks(range(len(steps) + 1), [*(title for title, _ in steps), "in all"])
        axes.invert_yaxis()
        axes.axvline(0, color=FAINT, linewidth=0.8)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="y", labelcolor=INK, labelsize=9 if narrow else 11)
        axes.margins(x=0.22 if narrow else 0.14)
        axes.set_title(f"{currency}, mean of {count(fall.count)} seeds" if fall.count > 1 else currency)

    told = ", ".join(f"{title} {money(amount, currency, whole=True)}" for title, amount in steps)
    alt = f"Cost in all {money(fall.lost_minor, currency, whole=True)}: {told}."
    note = (
        "The margin, less invoices that the ERP never posted and stock written off, without the trouble, less the same "
        "with it. What brings money in again points back."
    )
    height = 1.0 + 0.36 * (len(steps) + 1)
    return _both("loss", "What it cost, by cause", note, alt, (WIDE, height), (NARROW, height), draw)


def _both(
    name: str,
    title: str,
    note: str,
    alt: str,
    wide: tuple[float, float],
    narrow: tuple[float, float],
    draw: Callable[[Figure, bool], None],
) -> Drawing:
    return Drawing(
        title,
        note,
        drawn(name, alt, wide, lambda figure: draw(figure, False)),
        drawn(f"{name}-narrow", alt, narrow, lambda figure: draw(figure, True)),
    )
