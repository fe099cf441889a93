"""What distances are made of, to be looked at: cycle times, arrivals by hour of the week, multiples of the floor."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy
import pyarrow as pa

from twin.replay.fidelity import Fidelity

__all__ = ["draw_fidelity"]

HOUR_MS: Final = 3_600_000
WEEK_HOURS: Final = 168
EPOCH_HOUR: Final = 72
"""The epoch was a Thursday: so many hours after a Monday's midnight."""

COLORS: Final = ("#1b6ca8", "#d1742f")
WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def draw_fidelity(path: Path, names: tuple[str, str], tables: tuple[pa.Table, pa.Table], found: Fidelity) -> None:
    """Draw three panels to a .png or .svg file; the first name and table are the real ones."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "fidelity", "svg.fonttype": "none"}):
        figure = Figure(figsize=(10, 7), layout="constrained")
        cells = figure.add_gridspec(2, 2)
        cycles, arrivals, bars = (figure.add_subplot(cell) for cell in (cells[0, 0], cells[1, :], cells[0, 1]))
        for name, table, color, style in zip(names, tables, COLORS, ("-", "--"), strict=True):
            first, last = _ends(table)
            _cycle_times(cycles, last - first, name, color, style)
            _arrivals(arrivals, first, name, color, style)
        cycles.set(xlabel="cycle time, hours", ylabel="share of cases", ylim=(0, 1))
        arrivals.set(ylabel="share of cases", xlim=(0, WEEK_HOURS), ylim=(0, None))
        arrivals.set_title("Arrivals by hour of the week (UTC)", loc="left", fontsize=11)
        arrivals.set_xticks(range(0, WEEK_HOURS, 24), WEEKDAYS, ha="left")
        _multiples(bars, found)
        for axes in (cycles, arrivals):
            axes.grid(alpha=0.3)
        for axes in (cycles, arrivals, bars):
            axes.spines[["top", "right"]].set_visible(False)
        cycles.set_title("Cycle times", loc="left", fontsize=11)
        figure.legend(*cycles.get_legend_handles_labels(), loc="outside upper left", ncols=1, frameon=False)
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)


def _ends(table: pa.Table) -> tuple[Any, Any]:
    """When each case began and ended, in ms."""
    cases = table.select(["case", "at"]).group_by("case", use_threads=False).aggregate([("at", "min"), ("at", "max")])
    return cases["at_min"].to_numpy(), cases["at_max"].to_numpy()


def _cycle_times(axes: Any, spans: Any, name: str, color: str, style: str) -> None:
    hours = numpy.sort(spans) / HOUR_MS
    axes.step(hours, numpy.arange(1, len(hours) + 1) / len(hours), style, where="post", color=color, label=name)


def _arrivals(axes: Any, at: Any, name: str, color: str, style: str) -> None:
    counts = numpy.bincount((at // HOUR_MS + EPOCH_HOUR) % WEEK_HOURS, minlength=WEEK_HOURS)
    axes.stairs(counts / len(at), color=color, linestyle=style, label=name)


def _multiples(axes: Any, found: Fidelity) -> None:
    shown = [(one.distance.name.replace("_", " "), one.multiple) for one in found.rows if one.multiple is not None]
    shown.reverse()
    finite = [multiple for _, multiple in shown if math.isfinite(multiple)]
    most = max([1.0, *finite])
    lengths = [multiple if math.isfinite(multiple) else most for _, multiple in shown]
    axes.barh([name for name, _ in shown], lengths, color="#6b7785")
    for place, (_, multiple) in enumerate(shown):
        text = f"{multiple:.1f}" if math.isfinite(multiple) else "∞"
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.annotate(
            text, (lengths[place], place), (4, 0), textcoords="offset points", va="center", fontsize=9, bbox=behind
        )
    axes.axvline(1, color="#444444", linestyle=":", linewidth=1)
    axes.set_xlim(0, most * 1.15)
    axes.set_title("Distance as a multiple of the noise floor (dotted: 1)", loc="left", fontsize=11)
    axes.tick_params(axis="y", length=0)
