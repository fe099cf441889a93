"""What a real log and runs of the scenario made from it look like beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from benchmarks.real_logs import Evaluated

DAY_MS = 86_400_000
REAL, SIMULATED = "#1b6ca8", "#d1742f"


def draw(found: Evaluated, path: Path) -> None:
    """Four panels to a .png: what came in and went out, cycle times, transit by week of hand-over, multiples."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.5), layout="constrained")
    flow, cycle, weeks, bars = (axes for row in figure.subplots(2, 2) for axes in row)
    _flow(flow, found)
    _cycles(cycle, found)
    _weeks(weeks, found)
    _multiples(bars, found)
    for axes in (flow, cycle, weeks):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    for axes in (flow, cycle, weeks, bars):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{found.name}: the real test period against {len(found.runs)} runs", fontsize=12)
    figure.savefig(path, dpi=100)


def _instants(table: pa.Table, activity: str) -> Any:
    return np.sort(table.filter(pc.equal(table["activity"], activity))["at"].to_numpy())


def _flow(axes: Any, found: Evaluated) -> None:
    """Cumulative placings and deliveries by day."""
    last = max(int(pc.max(table["at"]).as_py()) for table in (found.real, *found.runs))
    days = np.arange(found.since, min(last, found.until + 90 * DAY_MS) + DAY_MS, DAY_MS)
    for activity, style in (("captured", "-"), ("delivered", "--")):
        counts = np.array([np.searchsorted(_instants(run, activity), days) for run in found.runs])
        x = (days - found.since) / DAY_MS
        axes.fill_between(x, counts.min(axis=0), counts.max(axis=0), color=SIMULATED, alpha=0.3, lw=0)
        axes.plot(x, counts.mean(axis=0), style, color=SIMULATED, lw=1, label=f"{activity}, runs (mean, range)")
        real = np.searchsorted(_instants(found.real, activity), days)
        axes.plot(x, real, style, color=REAL, lw=1.5, label=f"{activity}, real")
    axes.set(xlabel="days since the fit period ended", ylabel="cases", ylim=(0, None))
    axes.set_title("Placed and delivered, cumulated", loc="left", fontsize=10)


def _spans(table: pa.Table, begin: str) -> Any:
    ends = {}
    columns = [table[name].to_pylist() for name in ("case", "activity", "at")]
    starts = {case: at for case, activity, at in zip(*columns, strict=True) if activity == begin}
    for case, activity, at in zip(*columns, strict=True):
        if activity == "delivered" and case in starts:
            ends[case] = at - starts[case]
    return np.array([starts[case] for case in ends]), np.array(list(ends.values())) / DAY_MS


def _cycles(axes: Any, found: Evaluated) -> None:
    """From placing to delivery: shares of what was delivered."""
    top = 0.0
    for table, color, label in (*((run, SIMULATED, "run") for run in found.runs), (found.real, REAL, "real")):
        _, spans = _spans(table, "captured")
        spans = np.sort(spans)
        top = max(top, float(np.quantile(spans, 0.99)))
        first = label == "real" or table is found.runs[0]
        axes.plot(
            spans,
            np.arange(1, len(spans) + 1) / len(spans),
            color=color,
            lw=1.6 if label == "real" else 0.8,
            label={"real": "real", "run": "runs"}[label] if first else None,
        )
    axes.set(xlabel="days from placed to delivered", ylabel="share of the delivered", xlim=(0, top), ylim=(0, 1))
    axes.set_title("Cycle time", loc="left", fontsize=10)


def _weeks(axes: Any, found: Evaluated) -> None:
    """Mean transit by week of its beginning."""
    begin = "shipped" if pc.any(pc.equal(found.real["activity"], "shipped")).as_py() else "captured"
    step = 7 * DAY_MS if found.until - found.since < 250 * DAY_MS else 28 * DAY_MS
    count = -(-(found.until - found.since) // step)

    def means(table: pa.Table) -> Any:
        starts, spans = _spans(table, begin)
        number = (starts - found.since) // step
        return np.array(
            [spans[number == week].mean() if (number == week).sum() >= 5 else np.nan for week in range(count)]
        )

    x = (np.arange(count) + 0.5) * step / DAY_MS
    runs = np.array([means(run) for run in found.runs])
    # A last part in which hardly anything was seen to arrive has no mean.
    told = ~np.isnan(runs).any(axis=0)
    x, runs, own = x[told], runs[:, told], means(found.real)[told]
    axes.fill_between(x, runs.min(axis=0), runs.max(axis=0), color=SIMULATED, alpha=0.3, lw=0)
    axes.plot(x, runs.mean(axis=0), color=SIMULATED, lw=1, label="runs (mean, range)")
    axes.plot(x, own, color=REAL, lw=1.5, marker="o", ms=3, label="real")
    what = "handed over" if begin == "shipped" else "placed"
    axes.set(xlabel=f"days since the fit period ended, by when {what}", ylabel="days to delivery", ylim=(0, None))
    title = f"Mean time from {what} to delivered, by {step // DAY_MS} days"
    axes.set_title(title, loc="left", fontsize=10)


def _multiples(axes: Any, found: Evaluated) -> None:
    rows = [row for row in found.rows if row["kind"] == "distance" and row["multiple_halves"] is not None][::-1]
    y = np.arange(len(rows))
    axes.barh(y + 0.2, [row["multiple_halves"] for row in rows], 0.38, color=SIMULATED, label="runs")
    axes.barh(
        y - 0.2, [row["before_multiple_halves"] or 0 for row in rows], 0.38, color="#8aa", label="the time just before"
    )
    axes.axvline(1, color="black", lw=0.8)
    axes.set_yticks(y, [row["distance"] for row in rows], fontsize=8)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    axes.set_xlabel("multiple of the noise floor (halves of the real log)")
    axes.set_title("Distances to the real test period", loc="left", fontsize=10)
