"""How wrong a counterfactual is whose truth is known: `python -m benchmarks.known_truth [--worlds N]`.

Each world is a seed of `scenarios/replay/two_carriers.yaml`: 60 days with a strike, once as it was and once with
parcels shifted to the other carrier. The first log alone is looked at, in full and thinned to what real logs have:
without stock views, candidates, record times and half of the promises, as CSV with a mapping. From each, 30 days are
fitted and the whole is reconstructed under the other policy. Its error against what really would have happened is told
by measure, beside that of a run of the calibrated scenario without the log's luck and orders.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from adapters.event_log import load as load_log
from twin.event_log import ACTIVITIES, EventLog
from twin.experiment.reconstruction import reconstruct
from twin.experiment.reconstruction_statement import AS_IT_WAS, CHANGED, MEASURES, tested_part
from twin.experiment.statistics import t_interval
from twin.measures.of_event_log import profile_log
from twin.replay.facts import Facts, facts_of
from twin.replay.log_facts import facts_of_log
from twin.replay.neutral import event_log_of_run
from twin.run import Simulation
from twin.scenario import Scenario, load
from twin.scenario.units import format_duration

ROOT = Path(__file__).parents[1]
TRUTH = ROOT / "scenarios" / "replay" / "two_carriers.yaml"
BASE = ROOT / "scenarios" / "replay" / "two_carriers_assumed.yaml"
FIT_DAYS = 30
DAY_MS = 86_400_000
ANSWER: dict[str, object] = {
    "interventions": [
        {"id": "answer", "kind": "shift_carrier", "carrier": "swift", "to": "steady", "at": "42d12h", "for": "108h"}
    ]
}
FIELDS = (
    "order",
    "line",
    "purchase_order",
    "shipment",
    "item",
    "quantity",
    "customer",
    "channel",
    "region",
    "site",
    "supplier",
    "origin",
    "carrier",
)


def run(scenario: Scenario, seed: int, folder: Path) -> Path:
    """A run in a folder."""
    simulation = Simulation.begin(scenario, seed, folder)
    simulation.advance(scenario.run.end)
    return simulation.finish().folder


def thinned(log: EventLog, folder: Path) -> EventLog:
    """The log as another system would export it, written as CSV and imported by a mapping.

    Left out are stock views, candidates, record times, and every promise of half of the orders, those of even length.
    """
    table = log.table
    kept = pc.or_(
        pc.not_equal(table["activity"], "promised"), pc.equal(pc.bit_wise_and(pc.utf8_length(table["order"]), 1), 1)
    )
    table = table.filter(pc.fill_null(kept, True))
    columns: dict[str, Any] = {name: table[name] for name in FIELDS}
    columns["activity"] = table["activity"]
    for name in ("event_ms", "requested_ms", "promised_ms"):
        columns[name] = pc.strftime(table[name].cast(pa.timestamp("ms", "UTC")), format="%Y-%m-%dT%H:%M:%SZ")
    columns["value"] = pc.divide(table["value_minor"].cast(pa.float64()), 100.0)
    pcsv.write_csv(pa.table(columns), folder / "export.csv")
    return load_log([folder / "export.csv"], export_mapping(log))


def export_mapping(log: EventLog) -> dict[str, Any]:
    """How the columns of a thinned log are to be read."""
    return {
        "title": "An export without stock views, candidates, record times and half of the promises",
        "times": {"zone": "UTC", "format": "iso"},
        "currency": log.currency,
        "as_of": pc.strftime(pa.scalar(log.as_of_ms, pa.timestamp("ms", "UTC")), format="%Y-%m-%dT%H:%M:%SZ").as_py(),
        "duplicates": "keep",
        "fields": {name: name for name in FIELDS}
        | {"value": "value", "requested": "requested_ms", "promised": "promised_ms"},
        "activity": {"column": "activity", "time": "event_ms", "names": {name: name for name in ACTIVITIES}},
    }


def values(log: EventLog, since: int) -> dict[str, Fraction]:
    """The measures of the orders that came from `since` (ms) on."""
    found = profile_log(tested_part(log, since)).measures
    return {name: Fraction(one.value) for name in MEASURES if (one := found.get(name)) and one.value is not None}


def world(seed: int, folder: Path, *, full: bool = True, drawn: bool = True) -> Iterator[dict[str, Any]]:
    """The errors of one world: a row a way to predict and a measure, values in ms or as shares."""
    truth, base = load(TRUTH), load(BASE)
    start = truth.run.start
    fit_until = start + FIT_DAYS * DAY_MS
    was = run(truth, seed, folder / "was")
    would_be = event_log_of_run(run(truth.with_changes(ANSWER), seed, folder / "would_be"))
    log = event_log_of_run(was)
    real, true = values(log, fit_until), values(would_be, fit_until)
    classes = {channel.id: channel.criticality for channel in base.channels}
    thin = thinned(log, folder)
    logs: dict[str, tuple[EventLog, Callable[[int, int], Facts]]] = {
        "thinned": (thin, lambda since, until: facts_of_log(thin, since, until, classes))
    }
    if full:
        logs["full"] = (log, lambda since, until: facts_of(was, since, until))
    for name, (given, facts) in logs.items():
        began = perf_counter()
        made = reconstruct(
            given,
            base,
            BASE,
            folder / name,
            start=start,
            fit_until=fit_until,
            facts=facts,
            changes=ANSWER,
            seeds=(1,),
            distances=False,
        )
        seconds = perf_counter() - began
        sides = {side: values(event_log_of_run(made.runs[side][0]), fit_until) for side in (AS_IT_WAS, CHANGED)}
        yield from rows(seed, f"reconstructed, {name} log", real, true, sides, seconds)
    if drawn:
        began = perf_counter()
        # The calibrated file runs for the log's time, which ends with its last event: here for that of the truth, whose
        # last orders are followed until they are there.
        span = {"horizon": format_duration(truth.run.horizon), "drain": format_duration(truth.run.drain)}
        calibrated = load(folder / "thinned" / "calibrated.yaml").with_changes({"run": span})
        runs = {
            AS_IT_WAS: run(calibrated, 10_000 + seed, folder / "drawn"),
            CHANGED: run(calibrated.with_changes(ANSWER), 10_000 + seed, folder / "drawn_changed"),
        }
        sides = {side: values(event_log_of_run(path), fit_until) for side, path in runs.items()}
        yield from rows(seed, "drawn anew, thinned log", real, true, sides, perf_counter() - began)


def rows(
    seed: int,
    way: str,
    real: dict[str, Fraction],
    true: dict[str, Fraction],
    sides: dict[str, dict[str, Fraction]],
    seconds: float,
) -> Iterator[dict[str, Any]]:
    """What was true and what was predicted, a row a measure."""
    for name in MEASURES:
        if any(name not in one for one in (real, true, *sides.values())):
            continue
        yield {
            "benchmark": "known_truth",
            "world": seed,
            "way": way,
            "measure": name,
            "recorded": float(real[name]),
            "true": float(true[name]),
            "predicted": float(sides[CHANGED][name]),
            "error": float(sides[CHANGED][name] - true[name]),
            "true_effect": float(true[name] - real[name]),
            "predicted_effect": float(sides[CHANGED][name] - sides[AS_IT_WAS][name]),
            "seconds": round(seconds, 2),
        }


def summary(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Over the worlds: the mean error and the mean size of it, with the error's interval of 95 %."""
    for way in dict.fromkeys(row["way"] for row in found):
        for name in MEASURES:
            own = [row for row in found if row["way"] == way and row["measure"] == name]
            if len(own) < 2:
                continue
            errors = [Fraction(row["error"]) for row in own]
            interval = t_interval(errors, 950_000)
            effects = [row["predicted_effect"] - row["true_effect"] for row in own]
            yield {
                "benchmark": "known_truth",
                "way": way,
                "measure": name,
                "worlds": len(own),
                "true": sum(row["true"] for row in own) / len(own),
                "true_effect": sum(row["true_effect"] for row in own) / len(own),
                "error": float(interval.mean),
                "error_low": interval.low,
                "error_high": interval.high,
                "error_size": float(sum(abs(error) for error in errors)) / len(own),
                "effect_error_size": sum(abs(effect) for effect in effects) / len(own),
                "seconds": round(sum(row["seconds"] for row in own) / len(own), 2),
            }


def main(worlds: int = 4) -> None:
    """A line a world, way and measure, then a line a way and measure over all worlds."""
    found: list[dict[str, Any]] = []
    for seed in range(1, worlds + 1):
        with TemporaryDirectory() as parent:
            for row in world(seed, Path(parent)):
                found.append(row)
                print(json.dumps(row), flush=True)
    for row in summary(found):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.known_truth")
    parser.add_argument("--worlds", type=int, default=4)
    main(parser.parse_args().worlds)
