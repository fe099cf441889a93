"""The drawings of the report: one picture in, SVG elements out."""

from __future__ import annotations

from itertools import accumulate
from typing import Final, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from twin.report.grid import HOUR_MS, Grid
from twin.report.picture import Picture
from twin.report.svg import FAINT, INK, MUTED, SERIES, axes_of, bars, drawn, mark_window, number_axis, time_axis
from twin.report.words import count, digits_of, money, percent

__all__ = ["Chart", "Cost", "backlog", "costs", "cycle_time", "label_ends", "orders", "sites", "stock"]

WIDE: Final = 11.2
HALF: Final = 5.5
DASHES: Final = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (3, 1)), (0, (8, 3)))
"""With the colors, so that a line is told from another without them."""


class Chart(NamedTuple):
    """A drawing with its heading and the sentence below it; `wide` takes the whole width of the page."""

    name: str
    title: str
    note: str
    svg: str
    wide: bool = True


class Cost(NamedTuple):
    """One step of the cost ledger in minor units, signed as it changes the margin."""

    label: str
    minor: int


def orders(picture: Picture) -> Chart:
    """Orders in and out: cumulative above, by bucket below."""
    grid = picture.grid
    series = (
        ("captured", picture.captured),
        ("due", picture.due),
        ("shipped", picture.shipped),
        ("delivered", picture.delivered),
    )

    def draw(figure: Figure) -> None:
        above, below = axes_of(figure, 2, (1.5, 1))
        ends = []
        for index, (label, values) in enumerate(series):
            total = list(accumulate(values, initial=0))
            above.plot(_ends(grid, -1), total, color=SERIES[index], linestyle=DASHES[index])
            ends.append((float(total[-1]), f"{label} {count(total[-1])}", SERIES[index]))
        above.set_ylim(bottom=0)
        number_axis(above)
        above.set_title("Orders, cumulative")
        mark_window(above, grid, picture.window_ms[0])
        label_ends(above, grid, ends)
        bars(below, picture.captured, width=0.8, color=SERIES[0], alpha=0.35)
        below.plot(range(grid.count), picture.delivered, color=SERIES[3], linestyle="-", drawstyle="steps-mid")
        below.set_ylim(0, 1.08 * max(*picture.captured, *picture.delivered, 1))
        number_axis(below)
        below.set_title(f"Orders per {grid.name}")
        label_ends(
            below,
            grid,
            [(_last(picture.captured), "captured (bars)", SERIES[0]), (0.0, "delivered", SERIES[3])],
            free=True,
        )
        time_axis(below, grid, most=8, room=0.2)

    alt = (
        f"{count(picture.orders)} orders captured, {count(sum(picture.due))} due, {count(sum(picture.shipped))} "
        f"shipped and {count(sum(picture.delivered))} delivered by the end of the run."
    )
    note = (
        "An order counts as shipped or delivered with its last unit, less what was rejected or canceled; one of which "
        "nothing is left to deliver never counts."
    )
    return Chart("orders", "Orders in and out", note, drawn("orders", alt, (WIDE, 4.6), draw))


def backlog(picture: Picture) -> Chart:
    """Open orders and open units by what they wait for, at the end of each bucket."""
    grid = picture.grid

    def draw(figure: Figure) -> None:
        above, below = axes_of(figure, 2, (1, 1.5))
        above.plot(_ends(grid), picture.open_orders, color=SERIES[0])
        above.set_ylim(bottom=0)
        number_axis(above)
        above.set_title("Open orders")
        mark_window(above, grid, picture.window_ms[0])
        label_ends(above, grid, [(float(picture.open_orders[-1]), count(picture.open_orders[-1]), SERIES[0])])
        parts = (picture.waiting, picture.working, picture.in_transit)
        labels = ("waiting for stock", "in the works", "on the way")
        colors = (SERIES[1], SERIES[0], SERIES[2])
        floor = [0] * grid.count
        ends = []
        for values, label, color in zip(parts, labels, colors, strict=True):
            top = [low + value for low, value in zip(floor, values, strict=True)]
            below.fill_between(_ends(grid), floor, top, color=color, alpha=0.55, linewidth=0)
            ends.append(((floor[-1] + top[-1]) / 2, f"{label} {count(values[-1])}", color))
            floor = top
        below.set_ylim(bottom=0)
        number_axis(below)
        below.set_title("Open units, by what they wait for")
        label_ends(below, grid, ends)
        time_axis(below, grid, most=8, room=0.2)

    alt = (
        f"At the end {count(picture.open_orders[-1])} orders are open: {count(picture.waiting[-1])} units wait for "
        f"stock, {count(picture.working[-1])} are in the works and {count(picture.in_transit[-1])} on the way."
    )
    note = f"Levels at the end of each {grid.name}. Waiting for stock: backordered, or bought for the order."
    return Chart("backlog", "Backlog", note, drawn("backlog", alt, (WIDE, 4.2), draw))


def stock(picture: Picture, currency: str) -> Chart:
    """Units on hand and their value, by warehouse."""
    grid = picture.grid
    unit = 10 ** digits_of(currency)
    names, which = _busiest(picture, len(SERIES))

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        for axes, title in ((left, "Units on hand"), (right, f"Value at standard cost, {currency}")):
            ends = []
            for index, node in enumerate(names):
                site = picture.sites[node]
                color = SERIES[index % len(SERIES)]
                values = site.on_hand if axes is left else [minor // unit for minor in site.value_minor]
                axes.plot(_ends(grid), values, color=color, linestyle=DASHES[index % len(DASHES)])
                ends.append((float(values[-1]), node, color))
            axes.set_ylim(bottom=0)
            number_axis(axes)
            axes.set_title(title)
            label_ends(axes, grid, ends)
            time_axis(axes, grid, most=5, room=0.25)

    total = sum(site.units for site in picture.sites.values())
    value = sum(site.value for site in picture.sites.values())
    alt = f"{count(total)} units worth {money(value, currency, whole=True)} are on hand at the end."
    note = f"What the order engine believes is in the buildings, at the end of each {grid.name}.{which}"
    return Chart("stock", "Stock", note, drawn("stock", alt, (WIDE, 2.6), draw))


def sites(picture: Picture, capacity: dict[str, list[tuple[float, float]]]) -> Chart:
    """Parcels that leave each warehouse; with `capacity`, (needed, available) picker hours by bucket, below them."""
    grid = picture.grid
    names, which = _busiest(picture, 4)
    tallest = 1.05 * max(max(site.parcels) for site in picture.sites.values()) or 1.0
    rows = 2 if capacity else 1
    most = 1.05 * max([max(pair) for hours in capacity.values() for pair in hours], default=1.0) or 1.0

    def draw(figure: Figure) -> None:
        table = figure.subplots(rows, len(names), sharex=True, sharey="row", squeeze=False)
        for column, node in enumerate(names):
            site = picture.sites[node]
            axes: Axes = table[0][column]
            bars(axes, site.parcels, width=0.8, color=SERIES[0], alpha=0.6)
            axes.set_ylim(0, tallest)
            number_axis(axes)
            axes.set_title(f"{node}: {count(sum(site.parcels))} parcels")
            if capacity:
                axes = table[1][column]
                hours = capacity.get(node, [(0.0, 0.0)] * grid.count)
                needed, available = [pair[0] for pair in hours], [pair[1] for pair in hours]
                bars(axes, available, width=1.0, color=FAINT, alpha=0.7)
                bars(axes, needed, width=0.8, color=SERIES[2], alpha=0.8)
                axes.set_ylim(0, most)
                number_axis(axes)
                whole = sum(available)
                share = percent(round(sum(needed) * 1000), round(whole * 1000)) if whole else "no limit"
                axes.set_title(f"picking: {share} of the hours", fontweight="normal")
            for shown in table[:, column]:
                time_axis(shown, grid, most=max(8 // len(names), 2))

    shipped = ", ".join(f"{node} {count(sum(picture.sites[node].parcels))}" for node in names)
    note = f"Parcels that left per {grid.name}.{which}"
    if capacity:
        note += " Below: hours of picking (bars) out of the hours that the pickers are on shift (gray)."
    size = (WIDE, 3.4 if capacity else 2.2)
    return Chart("sites", "Warehouses", note, drawn("sites", f"Parcels shipped: {shipped}.", size, draw))


def cycle_time(picture: Picture, marks_ms: dict[int, int]) -> Chart | None:
    """How long orders took from capture to delivery in full; None where none was.

    `marks_ms` are percentiles to be marked, as the measures have them: percent -> ms.
    """
    hours = picture.cycle_hours
    total = sum(hours.values())
    if not total or not marks_ms:
        return None
    marks = {share: at / HOUR_MS for share, at in marks_ms.items()}
    last = max(-(-2 * max(marks_ms.values()) // HOUR_MS), 24)
    width = next(width for width in (1, 2, 4, 6, 12, 24, 48, 96, 168, 336, 1 << 40) if last / width <= 40)
    bins = -(-last // width)
    heights = [0] * (bins + 1)
    for hour, orders in hours.items():
        heights[min(hour // width, bins)] += orders
    over = heights.pop()
    unit, scale = ("hours", 1) if last <= 72 else ("days", 24)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        starts = [index * width / scale for index in range(bins)]
        axes.bar(starts, heights, width=width / scale * 0.9, align="edge", color=SERIES[0], alpha=0.6, linewidth=0)
        top = max(heights) * 1.16
        for share, hour in marks.items():
            at = hour / scale
            axes.axvline(at, color=INK, linewidth=1.0, linestyle=(0, (4, 2)), ymax=0.92)
            axes.annotate(
                f"{share} % within {at:.1f} {unit}",
                (at, top),
                (5, 0),
                textcoords="offset points",
                va="top",
                fontsize=10,
            )
            top *= 0.9
        axes.set_ylim(0, max(heights) * 1.2)
        axes.set_xlim(0, bins * width / scale)
        number_axis(axes)
        axes.set_xlabel(f"{unit} from capture to delivery in full")
        axes.set_title(f"Orders, by {unit} taken")
        axes.tick_params(axis="x", length=3.0)

    within = ", ".join(f"{share} % within {hour:.1f} hours" for share, hour in marks.items())
    alt = f"{count(total)} orders were delivered in full: {within}."
    beyond = f"; {count(over)} took longer than the axis shows" if over else ""
    note = f"{count(total)} orders delivered in full{beyond}. What is still open or short is not in it."
    return Chart("cycle", "Order cycle time", note, drawn("cycle", alt, (HALF, 2.9), draw), wide=False)


def costs(steps: list[Cost], currency: str) -> Chart:
    """From revenue to margin, step by step; the last one is drawn from zero."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        level = 0
        reach = max(abs(step.minor) for step in steps) or 1
        for row, step in enumerate(steps):
            closing = row == len(steps) - 1
            low = 0 if closing else min(level, level + step.minor)
            high = step.minor if closing else max(level, level + step.minor)
            color = SERIES[0] if row == 0 or closing else (SERIES[1] if step.minor < 0 else SERIES[2])
            axes.barh(row, (high - low), left=low, height=0.62, color=color, alpha=0.6, linewidth=0)
            edge = max(low, high, 0)
            text = money(step.minor, currency, whole=True).removesuffix(currency).strip()
            axes.text(edge + reach * 0.015, row, text, va="center", ha="left", fontsize=10)
            if not closing:
                level += step.minor
                axes.plot([level] * 2, [row - 0.31, row + 1.31], color=MUTED, linewidth=0.6)
        axes.set_yticks(range(len(steps)), [step.label for step in steps])
        axes.invert_yaxis()
        axes.axvline(0, color=FAINT, linewidth=0.8)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="y", labelcolor=INK)
        axes.margins(x=0.16)
        axes.set_title(f"{currency}")

    alt = ", ".join(f"{step.label} {money(step.minor, currency, whole=True)}" for step in steps)
    note = "Revenue is what was invoiced less credits; stock and waiting are charged at the scenario's rates."
    return Chart("costs", "From revenue to margin", note, drawn("costs", alt, (HALF, 2.9), draw), wide=False)


def label_ends(axes: Axes, grid: Grid, ends: list[tuple[float, str, str]], *, free: bool = False) -> None:
    """Name each line at its right end, pushed apart where they would overlap; `free` spreads them evenly."""
    bottom, top = axes.get_ylim()
    box = axes.get_position()
    figure = axes.figure
    inches = figure.get_size_inches()[1] if isinstance(figure, Figure) else 3.0
    gap = (top - bottom) * 0.19 / max(box.height * inches, 0.4)
    placed: list[list[float]] = []
    for value, index in sorted((value, index) for index, (value, _, _) in enumerate(ends)):
        at = value if not free else top * (0.25 + 0.45 * index)
        placed.append([max(at, placed[-1][0] + gap) if placed else max(at, bottom + gap * 0.7), index])
    over = placed[-1][0] - (top - gap / 2)
    if over > 0:
        placed[-1][0] -= over
        for row in range(len(placed) - 2, -1, -1):
            placed[row][0] = min(placed[row][0], placed[row + 1][0] - gap)
    for at, which in placed:
        _, label, color = ends[int(which)]
        axes.text(grid.count - 0.5 + grid.count * 0.012, at, label, color=color, va="center", ha="left", fontsize=10)


def _busiest(picture: Picture, most: int) -> tuple[list[str], str]:
    """The warehouses with the most parcels, in the order of the network, and a sentence where there are others."""
    ranked = sorted(picture.sites, key=lambda node: (-sum(picture.sites[node].parcels), node))[:most]
    others = len(picture.sites) - len(ranked)
    said = f" The {len(ranked)} busiest of {len(picture.sites)}; the table below has all." if others else ""
    return [node for node in picture.sites if node in ranked], said


def _ends(grid: Grid, first: int = 0) -> list[float]:
    """Where the buckets end, from bucket `first` on: the place of what holds at that instant."""
    return [bucket + 0.5 for bucket in range(first, grid.count)]


def _last(values: list[int]) -> float:
    return float(values[-1])
