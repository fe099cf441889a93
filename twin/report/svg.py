"""Matplotlib figures as small inline SVG that takes its colors and its font from the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape
from io import StringIO
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MaxNLocator

from twin.report.grid import DAY_MS, Grid, date_text, instant_text, weekday

__all__ = ["FAINT", "INK", "MUTED", "SERIES", "axes_of", "bars", "drawn", "mark_window", "number_axis", "time_axis"]

INK: Final = "#0a0a01"
MUTED: Final = "#0a0a02"
FAINT: Final = "#0a0a03"
SERIES: Final = ("#0a0a11", "#0a0a12", "#0a0a13", "#0a0a14", "#0a0a15", "#0a0a16")
"""Stand-ins for colors: each becomes a variable of the page's style sheet, so that one drawing is light and dark."""

_VARIABLES: Final = {INK: "--ink", MUTED: "--muted", FAINT: "--line"} | {
    color: f"--s{index + 1}" for index, color in enumerate(SERIES)
}
_RC: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "font.size": 11.0,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def drawn(name: str, alt: str, size: tuple[float, float], draw: Callable[[Figure], None]) -> str:
    """Let `draw` fill a figure of `size` (inches; 96 px each on the page) and return its SVG element.

    `name` keeps the ids of the page's drawings apart, `alt` is what a screen reader says.
    """
    with rc_context({**_RC, "svg.hashsalt": name}):
        figure = Figure(figsize=size, dpi=72, layout="constrained")
        draw(figure)
        text = StringIO()
        FigureCanvasSVG(figure)
        bare = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(text, format="svg", metadata=bare)
    return _inline(text.getvalue(), name, alt)


def axes_of(figure: Figure, rows: int, heights: Sequence[float] | None = None) -> list[Axes]:
    """Axes one above another with a common x-axis."""
    spec = {"height_ratios": list(heights)} if heights else None
    grid = figure.subplots(rows, 1, sharex=True, squeeze=False, gridspec_kw=spec)
    return [row[0] for row in grid]


def bars(axes: Axes, heights: Sequence[float], *, width: float, color: str, alpha: float, first: float = 0.0) -> None:
    """Upright bars at first, first + 1, ... as one path: a patch for each takes ten times as long to lay out."""
    corners: list[tuple[float, float]] = []
    codes: list[int] = []
    for index, height in enumerate(heights):
        if height:
            left, right = first + index - width / 2, first + index + width / 2
            corners += [(left, 0.0), (left, height), (right, height), (right, 0.0), (left, 0.0)]
            codes += [int(Path.MOVETO), *[int(Path.LINETO)] * 3, int(Path.CLOSEPOLY)]
    if corners:
        axes.add_patch(PathPatch(Path(corners, codes), facecolor=color, alpha=alpha, linewidth=0))


def number_axis(axes: Axes, *, scale: int = 1) -> None:
    """Whole numbers with thousands separators, few of them, and a light grid; values are divided by `scale`."""
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=scale == 1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value / scale)))
    axes.grid(visible=True, axis="y")
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", length=0)


def _short(value: float) -> str:
    if value and abs(value) >= 10_000 and value % 1_000 == 0:
        return f"{value / 1_000:,.0f}k"
    return f"{value:,.0f}" if value % 1 == 0 else f"{value:,.1f}"


def time_axis(axes: Axes, grid: Grid, *, most: int, room: float = 0.0) -> None:
    """At most `most` dates below a series whose x is the bucket's index.

    `room` is left free at the right, as a share of the width.
    """
    axes.set_xlim(-0.5, (grid.count - 0.5) * (1 + room) + 0.5 * room)
    ticks = _ticks(grid, most)
    axes.set_xticks([float(tick) - 0.5 for tick in ticks], [_tick_text(grid, tick) for tick in ticks])
    axes.tick_params(axis="x", length=3.0)


def mark_window(axes: Axes, grid: Grid, from_ms: int) -> None:
    """A line where the warm-up ends; none where there is no warm-up."""
    if from_ms > grid.start_ms + grid.width_ms:
        at = (from_ms - grid.start_ms) / grid.width_ms - 0.5
        axes.axvline(at, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
        axes.annotate(
            "measured from here",
            (at, 0.97),
            (4, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            va="top",
            fontsize=9,
            color=MUTED,
        )


def _ticks(grid: Grid, most: int) -> list[int]:
    """Buckets with a date below them: Mondays where buckets are days, full parts of a day where they are hours."""
    if grid.width_ms == DAY_MS and grid.count > 10:
        among = [bucket for bucket in range(grid.count) if weekday(grid.start_of(bucket)) == 0]
    elif grid.width_ms < DAY_MS:
        step = next(step for step in (1, 3, 6, 12, 24) if step == 24 or grid.count / step <= most)
        among = [bucket for bucket in range(grid.count) if grid.start_of(bucket) % (step * grid.width_ms) == 0]
    else:
        among = list(range(grid.count))
    return among[:: max(1, -(-len(among) // most))]


def _tick_text(grid: Grid, bucket: int) -> str:
    at = grid.start_of(bucket)
    if grid.width_ms < DAY_MS:
        return f"{date_text(at)} {instant_text(at)[-5:]}" if at % DAY_MS == 0 else instant_text(at)[-5:]
    text = date_text(at, year=grid.width_ms > 7 * DAY_MS)
    return text if grid.width_ms <= 7 * DAY_MS else text.partition(" ")[2]


def _inline(document: str, name: str, alt: str) -> str:
    """The drawing without its prolog, with own ids, variables for colors, and two decimals."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>|<!--.*?-->", "", svg, flags=re.DOTALL)
    used = dict.fromkeys(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg))
    svg = re.sub(r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", svg)
    svg = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{name}-", svg)
    svg = re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), svg)
    svg = re.sub(r" ?font-family: [^;\"]*;?", "", svg)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, f"var({variable})")
    view = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if view is None:
        raise ValueError("the drawing has no viewBox")
    body = svg[svg.index(">") + 1 :]
    body = re.sub(r"\n\s*", "\n", body).replace("\n<", "<")
    body = re.sub(r'<path d="[^"]*" style="fill: none"/>| transform="rotate\(-?0 [^"]*"', "", body)
    while "<g></g>" in body or "<g/>" in body:
        body = body.replace("<g></g>", "").replace("<g/>", "")
    return (
        f'<svg class="chart" role="img" viewBox="0 0 {view[1]} {view[2]}" aria-label="{escape(alt, quote=True)}" '
        f'preserveAspectRatio="xMidYMid meet" xmlns:xlink="http://www.w3.org/1999/xlink">{body.strip()}'
    )
