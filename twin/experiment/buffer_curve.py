"""Which buffer a marketplace's stock feed needs: oversell and undersell over the buffer, with and without faults.

`python -m twin.experiment.buffer_curve scenarios/stories/stale_feed.yaml --channel market` writes a table and a
picture into the folder `reports`. Every point is the mean over seeds 1 to n with its 95 % interval; the same seeds
bring the same customers at every buffer.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from twin.experiment.statistics import Interval, t_interval
from twin.run import Twin
from twin.scenario import Scenario, load

__all__ = ["CURVES", "curve", "main", "table"]

CURVES: Final = ("oversold units", "undersold units", "sum", "seller cancel rate")
PAIRED: Final = "sum, less that of the first buffer"
"""The difference under the same seed: its customers are the same, so its interval is narrower than theirs."""
CONFIDENCE_PPM: Final = 950_000
Key = tuple[bool, int]


def _run(job: tuple[Scenario, str, bool, int, int]) -> tuple[Key, tuple[Fraction, ...]]:
    """One run's values of `CURVES`, under the key of its point: whether faults happen, and the buffer."""
    scenario, channel, faults, buffer, seed = job
    changes: dict[str, Any] = {"channels": [{"id": channel, "feed": {"buffer": buffer}}]}
    if not faults:
        changes["faults"] = []
    with TemporaryDirectory(prefix="twin-curve-") as kept:
        measures = Twin(scenario.with_changes(changes)).run(seed, Path(kept) / "run").measures
    over = Fraction(measures[f"marketplace_oversell_rate/channel={channel}"].numerator or 0)
    under = Fraction(measures[f"marketplace_undersell_rate/channel={channel}"].numerator or 0)
    rate = Fraction(measures[f"seller_cancel_rate/channel={channel}"].value or 0)
    # With the Fraction's own type, a value crosses to another process exactly.
    return (faults, buffer), (over, under, over + under, rate)


def curve(
    scenario: Scenario, channel: str, buffers: Sequence[int], seeds: int, workers: int
) -> dict[Key, tuple[Interval, ...]]:
    """The interval of each of `CURVES`, and of `PAIRED`, by point, over seeds 1 to `seeds`."""
    jobs = [
        (scenario, channel, faults, buffer, seed)
        for faults in (True, False)
        for buffer in buffers
        for seed in range(1, seeds + 1)
    ]
    points: dict[Key, list[tuple[Fraction, ...]]] = {}
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for key, values in pool.map(_run, jobs):
            points.setdefault(key, []).append(values)
    both = CURVES.index("sum")
    first = {faults: points[faults, buffers[0]] for faults in (True, False)}
    paired = {
        key: [(*row, row[both] - usual[both]) for row, usual in zip(rows, first[key[0]], strict=True)]
        for key, rows in points.items()
    }
    return {
        key: tuple(t_interval(values, CONFIDENCE_PPM) for values in zip(*rows, strict=True))
        for key, rows in paired.items()
    }


def table(points: dict[Key, tuple[Interval, ...]]) -> str:
    """The curve as a Markdown table."""
    titles = (*CURVES, PAIRED)
    rows = [f"| faults | buffer | {' | '.join(titles)} |", "|---|---|" + "---|" * len(titles)]
    for (faults, buffer), intervals in points.items():
        *units, rate, paired = intervals
        cells = [f"{float(found.mean):.1f} ± {found.half_width:.1f}" for found in units]
        cells.append(f"{float(rate.mean) * 100:.2f} ± {rate.half_width * 100:.2f} %")
        cells.append(f"{float(paired.mean):+.1f} ± {paired.half_width:.1f}")
        rows.append(f"| {'yes' if faults else 'no'} | {buffer} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _draw(points: dict[Key, tuple[Interval, ...]], path: Path) -> None:
    from matplotlib.figure import Figure  # its import takes longer than a small run

    figure = Figure(figsize=(9, 4), layout="constrained")
    shared = None
    for place, faults in enumerate((True, False), start=1):
        axes = shared = figure.add_subplot(1, 2, place, sharey=shared)
        buffers = [buffer for with_faults, buffer in points if with_faults == faults]
        for index, name in enumerate(CURVES[:-1]):
            found = [points[faults, buffer][index] for buffer in buffers]
            means = [float(interval.mean) for interval in found]
            axes.errorbar(
                buffers, means, [interval.half_width for interval in found], marker="o", capsize=3, label=name
            )
        axes.set_title("with the scenario's faults" if faults else "without faults")
        axes.set_xlabel("buffer (units of each item)")
        axes.set_ylabel("units a run")
        axes.set_ylim(bottom=0)
        axes.legend()
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the curve and write `<scenario>_curve.md` and `.png`."""
    parser = argparse.ArgumentParser(description="Oversell and undersell over the buffer of a stock feed.")
    parser.add_argument("scenario", type=Path)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--buffers", type=int, nargs="+", default=[0, 1, 2, 4, 8])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("reports"))
    given = parser.parse_args(arguments)
    points = curve(load(given.scenario), given.channel, given.buffers, given.seeds, given.workers)
    stem = f"{given.scenario.stem}_curve"
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / f"{stem}.md").write_text(table(points), encoding="utf-8")
    _draw(points, given.out / f"{stem}.png")


if __name__ == "__main__":
    main()
