"""The third replay: what a log tells of the world outside drives the actors, and the engine decides everything afresh.

What is exogenous is taken from the log: which orders came, for what and when; how long parcels, purchases and picks
took, as quantiles of what a calibration on the log's first part says; and when carriers stood still. Everything that
the business decided itself, where from, with whom, when to release and what to buy, is decided again.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from twin.event_log import EventLog, EventLogError
from twin.experiment.statistics import t_interval
from twin.log.folder import RunRefused
from twin.measures.measured import Measured
from twin.measures.of_event_log import profile_log
from twin.replay.agreement import Agreement, agreement_of
from twin.replay.calibrate import Calibration, calibrate_facts
from twin.replay.calibrated_file import flow
from twin.replay.facts import Facts
from twin.replay.fidelity import Compared, Fidelity, fidelity
from twin.replay.neutral import event_log_of_run
from twin.replay.neutral_table import events_of_log
from twin.replay.residuals_of import Residuals, residuals_of
from twin.replay.statement import NOT_YOURS, Figure, Input, Near, Statement, markdown, period
from twin.residuals import write_residuals
from twin.run import LUCK, Progress, Run, Simulation
from twin.scenario import Scenario, load
from twin.scenario.units import format_duration, format_instant

__all__ = ["AS_IT_WAS", "CHANGED", "MEASURES", "Reconstruction", "reconstruct", "tested_part"]

AS_IT_WAS: Final = "as_it_was"
CHANGED: Final = "changed"

MEASURES: Final = (
    "otif_to_request",
    "otif_to_promise",
    "delivery_performance_to_commit",
    "order_cycle_time",
    "order_cycle_time/p90",
    "order_to_ship",
    "transit_time",
)
"""Measures that a neutral log supports and that the statement tells, in this order."""

FAR: Final = 3.0
"""Multiples of the noise floor above which a distance is called far."""

PPM: Final = 1_000_000


class Reconstruction(msgspec.Struct, frozen=True):
    """The folder, what was estimated, the runs by side and seed, and the statement."""

    folder: Path
    calibration: Calibration
    residuals: Residuals
    runs: dict[str, tuple[Path, ...]]
    statement: Statement
    distances: Fidelity | None
    tables: tuple[pa.Table, pa.Table] | None


def reconstruct(
    log: EventLog,
    base: Scenario,
    base_file: Path,
    out: Path,
    *,
    start: int,
    fit_until: int,
    facts: Callable[[int, int], Facts],
    changes: Mapping[str, object] | None = None,
    seeds: Sequence[int] = (1, 2, 3),
    distances: bool = True,
    progress: Progress | None = None,
) -> Reconstruction:
    """Reconstruct a log from `start` (ms) to its end in the folder `out`, which is made.

    The base is calibrated on [`start`, `fit_until`) by what `facts(since, until)` tells. With `changes` it runs a
    second time under them, on the same seeds. In `out` are the calibrated file, the log's events, the residuals, a
    `scenario.yaml` that can be run again, the runs, and the statement as JSON and as a page. Raises `RunRefused`,
    `EventLogError` for a period without orders, and what calibrating, a scenario and a run raise.
    """
    end = log.as_of_ms
    if not start < fit_until < end:
        raise EventLogError(
            log.title,
            f"{format_instant(fit_until)} does not lie within the log, {period((start, end))}",
            "fit on a first part of it, and test on the rest",
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunRefused(f"{out} is not an empty folder; give a folder that does not exist yet")
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        return _Work(log, base, base_file, out, (start, fit_until, end), seeds, progress).reconstruct(
            facts, changes, distances
        )
    except BaseException:
        # Whole or not at all: a folder without a statement says nothing.
        shutil.rmtree(out, ignore_errors=True)
        if not made:
            out.mkdir(exist_ok=True)
        raise


class _Work:
    """One reconstruction on its way."""

    def __init__(
        self,
        log: EventLog,
        base: Scenario,
        base_file: Path,
        out: Path,
        span: tuple[int, int, int],
        seeds: Sequence[int],
        progress: Progress | None,
    ) -> None:
        self.log = log
        self.base = base
        self.base_file = base_file
        self.out = out
        self.start, self.fit_until, self.end = span
        self.seeds = tuple(seeds)
        self.progress = progress

    def reconstruct(
        self, facts: Callable[[int, int], Facts], changes: Mapping[str, object] | None, distances: bool
    ) -> Reconstruction:
        calibration = calibrate_facts(
            facts(self.start, self.fit_until),
            self.log.title,
            f"the log '{self.log.title}'",
            self.base,
            self.base_file,
            self.out,
            interruptions=facts(self.start, self.end),
        )
        (self.out / "calibrated.yaml").write_text(calibration.text, encoding="utf-8")
        events = self.out / "events.parquet"
        self._write_events(events)
        load(self.out / "calibrated.yaml")
        (self.out / "scenario.yaml").write_text(self._scenario(residuals=False), encoding="utf-8")
        residuals = residuals_of(self.log, load(self.out / "scenario.yaml"), self.end)
        write_residuals(self.out / "residuals.parquet", residuals.rows)
        (self.out / "scenario.yaml").write_text(self._scenario(residuals=True), encoding="utf-8")
        scenario = load(self.out / "scenario.yaml")
        sides = {AS_IT_WAS: scenario}
        if changes:
            sides[CHANGED] = scenario.with_changes(changes)
        runs = {side: tuple(self._run(one, side, seed) for seed in self.seeds) for side, one in sides.items()}
        logs = {side: [event_log_of_run(folder) for folder in folders] for side, folders in runs.items()}
        found, tables = None, None
        if distances:
            real, simulated = self._table(self.log), self._table(logs[AS_IT_WAS][0])
            found, tables = fidelity(real, simulated), (real, simulated)
        statement = self._statement(calibration, residuals, runs, logs, found, changes)
        (self.out / "statement.json").write_bytes(msgspec.json.format(msgspec.json.encode(statement), indent=2) + b"\n")
        (self.out / "statement.md").write_text(markdown(statement), encoding="utf-8")
        return Reconstruction(self.out, calibration, residuals, runs, statement, found, tables)

    def _write_events(self, path: Path) -> None:
        import pyarrow.parquet as pq

        table = self.log.table.filter(pc.equal(self.log.table["activity"], "order_placed"))
        table = table.filter(pc.greater_equal(table["event_ms"], self.start))
        if not table.num_rows:
            raise EventLogError(self.log.title, "no order was placed in it", "give a log with order_placed")
        pq.write_table(table, path, compression="zstd")

    def _scenario(self, *, residuals: bool) -> str:
        base = self.base
        exponent = self.log.currency_exponent
        lines = [
            "# Reconstructed: the orders of a log and the luck that its parcels, purchases and picks had; run it again",
            "# with other policies, and they meet the same.",
            "schema: 1",
            "extends: calibrated.yaml",
            f"title: {flow(f'{base.title}, reconstructed')}",
            f"run: {{start: {format_instant(self.start)}, horizon: {format_duration(self.end - self.start)}, "
            "warmup: 0d, drain: 0d}",
            f"order_book: {{source: events, path: events.parquet, mapping: {{currency_exponent: {exponent}}}}}",
        ]
        if residuals:
            lines.append("residuals: {path: residuals.parquet}")
        lines.append("channels:")
        lines += [f"  - {{id: {flow(channel.id)}, demand: {{kind: book}}}}" for channel in base.channels]
        return "\n".join(lines) + "\n"

    def _run(self, scenario: Scenario, side: str, seed: int) -> Path:
        folder = self.out / side / str(seed)
        simulation = Simulation.begin(scenario, seed, folder, self.progress)
        simulation.advance(scenario.run.end, self.progress)
        run: Run = simulation.finish(progress=self.progress)
        return run.folder

    # --- what is told

    def _table(self, log: EventLog) -> pa.Table:
        """The orders that came in the tested period, as distances want them; nothing after the log's end."""
        tested = tested_part(log, self.fit_until)
        kept = pc.fill_null(pc.less(tested.table["event_ms"], self.end), False)
        return events_of_log(replace(tested, table=tested.table.filter(kept)))[0]

    def _statement(
        self,
        calibration: Calibration,
        residuals: Residuals,
        runs: Mapping[str, Sequence[Path]],
        logs: Mapping[str, Sequence[EventLog]],
        found: Fidelity | None,
        changes: Mapping[str, object] | None,
    ) -> Statement:
        agreement = self._agreement(logs[AS_IT_WAS][0])
        distances = tuple([_near(one) for one in found.rows]) if found is not None else ()
        share = agreement[0].same / agreement[0].decisions if agreement and agreement[0].decisions else None
        logic = f"the engine here, under the policies of {self.base_file.name}"
        logic += f"; {NOT_YOURS}" if share is None else ""
        return Statement(
            "reconstruct",
            self.log.title,
            logic,
            (self.start, self.fit_until),
            (self.fit_until, self.end),
            agreement,
            "order lines that ship first from the site that the log names",
            distances,
            "noise floor: two halves of the tested log, by its cases",
            self._inputs(calibration, residuals, runs[AS_IT_WAS]),
            self._figures(logs),
            self._never(distances, agreement, changes),
        )

    def _agreement(self, simulated: EventLog) -> tuple[Agreement, ...]:
        classes = {channel.id: channel.criticality for channel in self.base.channels}
        was, now = _sites(self.log, self.fit_until), _sites(simulated, self.fit_until)
        counts: dict[str, list[int]] = {}
        for line, (site, channel, value) in was.items():
            if line not in now:
                continue
            same = now[line][0] == site
            for name in ("", classes.get(channel, "")):
                tally = counts.setdefault(name, [0, 0, 0, 0])
                for index, number in enumerate((1, same, value, value * same)):
                    tally[index] += number
        if set(counts) == {""}:
            # No class is known: "all" was counted twice.
            counts[""] = [number // 2 for number in counts[""]]
        return tuple(agreement_of(name, *counts[name]) for name in sorted(counts))

    def _inputs(self, calibration: Calibration, residuals: Residuals, runs: Sequence[Path]) -> tuple[Input, ...]:
        orders = len(
            set(self.log.table.filter(pc.equal(self.log.table["activity"], "order_placed"))["order"].to_pylist())
        )
        rows = [Input("orders: when, where from, for what", "measured", 1.0, f"{orders:,} orders of the log")]
        luck: dict[str, Counter[str]] = {}
        for run in runs:
            for kind, counts in msgspec.json.decode((run / LUCK).read_bytes()).items():
                luck.setdefault(kind, Counter()).update(counts)
        words = {
            "transit": "transits",
            "lead_time": "supplier lead times",
            "dock_to_stock": "times from dock to shelf",
            "pick": "pick times",
        }
        for kind, counts in luck.items():
            total = counts.total()
            name = words.get(kind, kind)
            if counts["measured"]:
                told = f"the quantile of its recorded duration, {counts['measured']:,} of {total:,} draws"
                rows.append(Input(name, "measured", counts["measured"] / total, told))
            if counts["carried over"]:
                told = f"the quantile of another of the same order or item, {counts['carried over']:,} draws"
                rows.append(Input(f"{name}, carried over", "modeled", counts["carried over"] / total, told))
            if counts["modeled"]:
                told = f"drawn from the calibrated distribution, {counts['modeled']:,} draws"
                rows.append(Input(name, "modeled", counts["modeled"] / total, told))
        rows.append(
            Input(
                "messages, acknowledgements, postings and what else has luck of its own",
                "modeled",
                None,
                "drawn anew for each seed",
            )
        )
        for parameter in calibration.parameters:
            told = f"n {parameter.n:,}" if parameter.tag == "measured" else parameter.note
            rows.append(Input(parameter.name, parameter.tag, None, told))
        rows += [
            Input("records without a residual", "modeled", None, f"{n:,} {why}") for why, n in residuals.without.items()
        ]
        rows.append(
            Input(
                "stock at the start, calendars, prices, costs, policies",
                "assumed",
                None,
                f"as in {self.base_file.name}",
            )
        )
        return tuple(rows)

    def _figures(self, logs: Mapping[str, Sequence[EventLog]]) -> tuple[Figure, ...]:
        recorded = profile_log(tested_part(self.log, self.fit_until)).measures
        sides = {
            side: [profile_log(tested_part(one, self.fit_until)).measures for one in found]
            for side, found in logs.items()
        }
        figures: list[Figure] = []
        for name in MEASURES:
            if name in recorded and recorded[name].value is not None:
                one = recorded[name]
                figures.append(Figure(name, "recorded", _float(one), None, None, one.unit, "measured"))
            held: dict[str, list[Fraction | None]] = {}
            for side, found in sides.items():
                held[side] = [_value(measures, name) for measures in found]
                unit = next((measures[name].unit for measures in found if name in measures), "")
                if unit:
                    figures.append(_figure(name, side.replace("_", " "), held[side], unit))
            if CHANGED in held and unit:
                pairs = zip(held[CHANGED], held[AS_IT_WAS], strict=True)
                apart = [None if a is None or b is None else a - b for a, b in pairs]
                figures.append(_figure(name, "difference", apart, unit))
        return tuple(figures)

    def _never(
        self, distances: Sequence[Near], agreement: Sequence[Agreement], changes: Mapping[str, object] | None
    ) -> tuple[str, ...]:
        said = [
            "That customers would have ordered the same: the orders are those that came under the recorded policies; "
            "what was turned away or never tried is in no log.",
            "That the intervals hold all doubt: they are over the luck that had to be modeled, not over the model, "
            "its assumed parts, or the estimates.",
        ]
        if changes:
            said.append(
                "That a parcel sent another way would have had this very luck: it has the recorded quantile, on the "
                "other carrier's or site's distribution, as if good and bad luck were the parcel's own."
            )
        far = [one for one in distances if one.multiple is not None and one.multiple > FAR]
        if far:
            told = ", ".join(
                f"{one.distance} ({'without end' if one.multiple == inf else f'{one.multiple:.1f} times'})"
                for one in far
            )
            said.append(
                f"Anything that hangs on {told} the noise floor: there the replay is not the business that wrote it."
            )
        if not agreement:
            said.append(f"What your own system would have decided: this is {NOT_YOURS}.")
        elif agreement[0].decisions and agreement[0].same < agreement[0].decisions:
            said.append(
                f"That each order went as it did: {agreement[0].same:,} of {agreement[0].decisions:,} order lines ship "
                "from the recorded site; what is true of the sum may not be true of one of them."
            )
        return tuple(said)


def tested_part(log: EventLog, since: int) -> EventLog:
    """The cases that began from `since` (ms) on."""
    table = log.table
    firsts = table.group_by("case_id", use_threads=False).aggregate([("event_ms", "min")])
    late = firsts.filter(pc.greater_equal(firsts["event_ms_min"], since))["case_id"]
    return replace(log, table=table.filter(pc.is_in(table["case_id"], value_set=late.combine_chunks())))


def _sites(log: EventLog, since: int) -> dict[tuple[str, str], tuple[str, str, int]]:
    """Where each order line that was placed from `since` (ms) on shipped from first, with its channel and value."""
    table = log.table.select(["activity", "order", "line", "event_ms", "site", "channel", "value_minor", "row"])
    table = table.take(pc.sort_indices(table, [("event_ms", "ascending"), ("row", "ascending")]))
    placed: set[str] = set()
    found: dict[tuple[str, str], tuple[str, str, int]] = {}
    for row in table.to_pylist():
        if row["order"] is None or row["event_ms"] is None:
            continue
        if row["activity"] == "order_placed" and row["event_ms"] >= since:
            placed.add(row["order"])
        elif row["activity"] == "handed_to_carrier" and row["order"] in placed and row["site"]:
            line = (row["order"], row["line"] or "")
            found.setdefault(line, (row["site"], row["channel"] or "", row["value_minor"] or 0))
    return found


def _near(one: Compared) -> Near:
    distance = one.distance
    return Near(distance.name, distance.value, distance.unit, one.floor.value, one.multiple)


def _value(measures: Mapping[str, Measured], name: str) -> Fraction | None:
    found = measures.get(name)
    return None if found is None or found.value is None else Fraction(found.value)


def _float(one: Measured) -> float | None:
    return None if one.value is None else float(one.value)


def _figure(measure: str, of: str, values: Sequence[Fraction | None], unit: str) -> Figure:
    known = [value for value in values if value is not None]
    if not known:
        return Figure(measure, of, None, None, None, unit, "modeled")
    mean = sum(known, Fraction()) / len(known)
    if len(known) < 2:
        return Figure(measure, of, float(mean), None, None, unit, "modeled")
    interval = t_interval(known, 950_000)
    return Figure(measure, of, float(mean), float(interval.low), float(interval.high), unit, "modeled")
