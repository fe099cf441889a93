"""How near scenarios made from real logs come to what those businesses did next.

Each log is cut at an instant. From what was known before it a scenario is calibrated; it is run over the time after
it, under several seeds; both are held against each other by the distances of `twin distance`, with the noise that
chance makes. Periods, origins, seeds and thresholds stand here and in `twin.replay`; none was changed after a look at
what came out.

    python -m benchmarks.real_logs [--only olist] [--seeds 5] [--out reports/real_logs] [--data ../shared/data]

prints JSON lines, and draws a picture of each log into the folder.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from adapters.event_log import load as load_tables
from benchmarks import order_management
from benchmarks.real_logs_plot import draw
from twin.event_log import EventLog
from twin.measures.of_event_log import profile_log
from twin.replay.distances import measure, parcel_times
from twin.replay.fidelity import SPLITS, halves, noise_floor, sample
from twin.replay.foreign import ForeignCalibration, calibrate_log
from twin.replay.foreign_table import Seen, as_seen, seen_by, table_of_log
from twin.replay.log_time import end_of

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared/data"
DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
LANES = 8
"""So many lanes are told, the largest."""
SEEDS = 5


class RealLog(Struct, frozen=True):
    """A log, and what was settled before it was looked at: the fit period, the test period, what an origin is."""

    name: str
    file: str
    load: Callable[[Path], EventLog]
    since: str
    until: str
    ends: str
    origin: tuple[str, ...] = ()


LOGS = (
    # 2016 has a gap of two months, so the fit begins with 2017.
    RealLog(
        "olist",
        "olist/orders_before_2018-05.csv.gz",
        lambda path: load_tables([path], Path("olist")),
        "2017-01-01",
        "2018-01-01",
        "2018-05-01",
    ),
    # The same way within the fit period, over two months before Black Friday: what the model misses of a calm time.
    RealLog(
        "olist_calm",
        "olist/orders_before_2018-05.csv.gz",
        lambda path: load_tables([path], Path("olist")),
        "2017-01-01",
        "2017-09-01",
        "2017-11-01",
    ),
    # Few purchase orders of the years before have a date.
    RealLog(
        "scms",
        "scms/deliveries_before_2013.csv.gz",
        lambda path: load_tables([path], Path("scms")),
        "2008-01-01",
        "2011-01-01",
        "2013-01-01",
        ("supplier", "carrier"),
    ),
    # Orders end in March 2024; the last weeks are left out, since deliveries may be cut off there.
    RealLog(
        "order_management",
        "ocel/order-management.json.gz",
        order_management.load,
        "2023-04-03",
        "2023-12-01",
        "2024-03-01",
    ),
)


class Evaluated(Struct, frozen=True):
    """A log held against runs of the scenario made from what came before."""

    name: str
    made: ForeignCalibration
    seen: Seen
    since: int
    until: int
    real: pa.Table
    runs: tuple[pa.Table, ...]
    rows: tuple[dict[str, Any], ...]


def instant(day: str) -> int:
    """Midnight (UTC) of a date, in ms."""
    return round(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000


def evaluate(one: RealLog, log: EventLog, seeds: int, folder: Path, *, cases: int | None = None) -> Evaluated:
    """Calibrate, run and compare; scenario and runs are kept in `folder`."""
    from twin.run import load

    since, until = instant(one.until), instant(one.ends)
    made = calibrate_log(log, since, instant(one.since), origin=one.origin, horizon=until - since)
    file = folder / f"{one.name}.yaml"
    file.write_text(made.text, encoding="utf-8")
    scenario = load(file)
    seen = seen_by(made.cases, log.zone, end_of(log) - 1)
    found = table_of_log(made.cases.cases, made.places, since, until, seen)
    runs = []
    for seed in range(1, seeds + 1):
        out = folder / f"{one.name}-{seed}"
        scenario.run(seed, out)
        runs.append(as_seen(out, seen))
    real = found.table
    rows: list[dict[str, Any]] = [
        {
            "kind": "size",
            "cases": found.cases,
            "unplaced": found.unplaced,
            "fit_cases": made.rhythm.n,
            "simulated": [len(table["case"].unique()) for table in runs],
            "parameters": len(made.parameters),
        }
    ]
    if cases is not None:
        real, runs = sample(real, cases), [sample(table, cases) for table in runs]
    shift = -(-(until - since) // WEEK_MS) * WEEK_MS
    before = table_of_log(made.cases.cases, made.places, since - shift, until - shift, seen).table
    rows += distance_rows(real, runs, _later(before, shift))
    rows += lane_rows(real, runs)
    rows += month_rows(real, runs)
    return Evaluated(one.name, made, seen, since, until, real, tuple(runs), tuple(rows))


def _later(table: pa.Table, by_ms: int) -> pa.Table:
    place = table.column_names.index("at")
    return table.set_column(place, table.schema.field(place), pc.add(table["at"], by_ms))


def distance_rows(real: pa.Table, runs: Sequence[pa.Table], before: pa.Table) -> list[dict[str, Any]]:
    """Each distance: the mean over the runs, the least and the most, and its floors.

    `halves` is the floor of the real log, `seeds` that of the runs against the first; `before` is how far the real log
    of as long a time just before, set later by whole weeks, is from the real log of the test period.
    """
    found = [{row.name: row for row in measure(real, run)} for run in runs]
    floors = noise_floor(real)
    apart = [{row.name: row.value for row in measure(runs[0], run)} for run in runs[1:]]
    earlier = {row.name: row.value for row in measure(real, before)}
    rows = []
    for name, first in found[0].items():
        values = [one[name].value for one in found if one[name].value is not None]
        if not values:
            continue
        seeds = [one[name] for one in apart if one[name] is not None]
        halves = floors[name].halves
        rows.append(
            {
                "kind": "distance",
                "distance": name,
                "unit": first.unit,
                "value": round(fmean(values), 4),
                "range": [round(min(values), 4), round(max(values), 4)],
                "floor_halves": _rounded(halves),
                "floor_seeds": _rounded(fmean(seeds) if seeds else None),
                "multiple_halves": _multiple(fmean(values), halves),
                "multiple_seeds": _multiple(fmean(values), fmean(seeds) if seeds else None),
                "before": _rounded(earlier[name]),
                "before_multiple_halves": _multiple(earlier[name], halves),
            }
        )
    return rows


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _multiple(value: float | None, floor: float | None) -> float | None:
    return round(value / floor, 2) if value is not None and floor else None


def transits(table: pa.Table) -> dict[str, list[int]]:
    """How long each case took to its customer, by lane, in ms: from its hand-over, or from its placing."""
    begin = "shipped" if pc.any(pc.equal(table["activity"], "shipped")).as_py() else "captured"
    return parcel_times(table, begin, "delivered", "lane")


def lane_rows(real: pa.Table, runs: Sequence[pa.Table]) -> list[dict[str, Any]]:
    """The largest lanes: transits in days, real and simulated, and their distance over that of two halves."""
    from scipy.stats import wasserstein_distance

    own, simulated = transits(real), [transits(run) for run in runs]
    split = [tuple(map(transits, halves(real, key))) for key in range(SPLITS)]
    rows = []
    for lane in sorted(own, key=lambda lane: (-len(own[lane]), lane))[:LANES]:
        there = [one[lane] for one in simulated if lane in one]
        if not there:
            continue
        apart = fmean(wasserstein_distance(own[lane], one) for one in there)
        floor = [wasserstein_distance(a[lane], b[lane]) for a, b in split if lane in a and lane in b]
        rows.append(
            {
                "kind": "lane",
                "lane": lane,
                "n": len(own[lane]),
                "real_median_d": _days(median(own[lane])),
                "simulated_median_d": _days(fmean(map(median, there))),
                "real_mean_d": _days(fmean(own[lane])),
                "simulated_mean_d": _days(fmean(map(fmean, there))),
                "distance_d": _days(apart),
                "multiple_halves": _multiple(apart, fmean(floor) if floor else None),
            }
        )
    return rows


def _days(at_ms: float) -> float:
    return round(at_ms / DAY_MS, 2)


def month_rows(real: pa.Table, runs: Sequence[pa.Table]) -> list[dict[str, Any]]:
    """By the month in which cases were placed: how many, and days from hand-over (placing) to delivery, on average."""
    own, simulated = _by_month(real), [_by_month(run) for run in runs]
    rows = []
    for month in sorted(own):
        there = [one.get(month, (0, None, None)) for one in simulated]
        counts = [count for count, _, _ in there]
        means = [mean for _, mean, _ in there if mean is not None]
        medians = [middle for _, _, middle in there if middle is not None]
        rows.append(
            {
                "kind": "month",
                "month": month,
                "placed": own[month][0],
                "simulated_placed": [min(counts), max(counts)],
                "transit_mean_d": own[month][1],
                "simulated_transit_mean_d": [min(means), max(means)] if means else None,
                "transit_median_d": own[month][2],
                "simulated_transit_median_d": [min(medians), max(medians)] if medians else None,
            }
        )
    return rows


def _by_month(table: pa.Table) -> dict[str, tuple[int, float | None, float | None]]:
    begin = "shipped" if pc.any(pc.equal(table["activity"], "shipped")).as_py() else "captured"
    placed, began, spans = {}, {}, {}
    for case, activity, at in zip(*(table[name].to_pylist() for name in ("case", "activity", "at")), strict=True):
        if activity == "captured":
            placed[case] = datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m")
        if activity == begin:
            began[case] = at
        elif activity == "delivered" and case in began:
            spans[case] = at - began[case]
    found: dict[str, list[list[int]]] = {}
    for case, month in placed.items():
        found.setdefault(month, [[], []])[0].append(1)
        if case in spans:
            found[month][1].append(spans[case])
    return {
        month: (len(ones), _days(fmean(times)) if times else None, _days(median(times)) if times else None)
        for month, (ones, times) in found.items()
    }


def profile_row(log: EventLog) -> dict[str, Any]:
    """What is in the log: cases, activities and fields with their shares."""
    coverage = profile_log(log).coverage
    return {
        "kind": "profile",
        "title": log.title,
        "cases": coverage.cases,
        "orders": coverage.orders,
        "complete": coverage.complete,
        "open": coverage.open,
        "headless": coverage.headless,
        "activities": {one.name: _share(one.of_cases) for one in coverage.activities if one.events},
        "fields": {one.name: _share(one.of_cases) for one in coverage.fields if one.cases},
    }


def _share(share: Any) -> float | None:
    return None if share is None else round(float(share), 3)


def lines(one: RealLog, data: Path, seeds: int, out: Path, cases: int | None = None) -> Iterator[dict[str, Any]]:
    """The figures of a log, and its picture in `out`; one that says why, where the file is absent."""
    path = data / one.file
    head = {"benchmark": "real_logs", "log": one.name}
    if not path.exists():
        yield head | {"skipped": f"{one.file} is not beside the project; name the folder with --data"}
        return
    began = perf_counter()
    log = one.load(path)
    yield head | profile_row(log)
    with TemporaryDirectory(prefix="real-logs-") as folder:
        found = evaluate(one, log, seeds, Path(folder), cases=cases)
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{one.name}.yaml").write_text(found.made.text, encoding="utf-8")
    for row in found.rows:
        yield head | row
    draw(found, out / f"{one.name}.png")
    yield head | {"kind": "time", "seconds": round(perf_counter() - began, 1), "seeds": seeds}


def main(arguments: Sequence[str] = ()) -> int:
    """Print the figures of all logs, or of those asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_logs", description=__doc__)
    parser.add_argument("--only", choices=[one.name for one in LOGS], action="append", help="this log, several times")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="runs of each scenario")
    parser.add_argument("--cases", type=int, help="compare so many cases of each log, chosen by a hash")
    parser.add_argument("--out", type=Path, default=ROOT / "reports/real_logs", help="folder for pictures, scenarios")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the samples")
    asked = parser.parse_args(arguments)
    for one in LOGS:
        if asked.only is None or one.name in asked.only:
            for row in lines(one, asked.data, asked.seeds, asked.out, asked.cases):
                print(json.dumps(row, ensure_ascii=False), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
