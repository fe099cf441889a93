"""What a reconstruction says of itself: how near it came, what went in, what came out, and what not to conclude."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from twin.event_log import EventLog, line_of
from twin.experiment.statistics import t_interval
from twin.log import read_manifest
from twin.measures.measured import Measured
from twin.measures.of_event_log import profile_log
from twin.replay.agreement import Agreement, agreement_of
from twin.replay.calibrate import Calibration
from twin.replay.fidelity import Compared, Fidelity
from twin.replay.given_up import GivenUp
from twin.replay.residuals_of import Residuals
from twin.replay.statement import NOT_YOURS, Figure, Input, Near, Statement
from twin.run import LUCK
from twin.scenario import Scenario
from twin.scenario.units import format_duration, format_instant

__all__ = ["AS_IT_WAS", "CHANGED", "MEASURES", "Telling", "placed_rows", "replayed", "tested_part"]

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

OF_PROMISES: Final = ("otif_to_promise", "delivery_performance_to_commit")

PROMISED_MIN: Final = 0.95
"""Share of orders with a promise below which service to it is not told: what has none would count as late."""

FAR: Final = 3.0
"""Multiples of the noise floor above which a distance is called far."""


class Telling:
    """The statement of one reconstruction: of `log`, with `base`, from a start over a border to an end (ms)."""

    def __init__(self, log: EventLog, base: Scenario, base_file: Path, span: tuple[int, int, int]) -> None:
        self.log = log
        self.base = base
        self.base_file = base_file
        self.start, self.fit_until, self.end = span
        self.numbers = _numbers(log, self.start)
        placed = placed_rows(log)
        self.placed = {(row["order"], line_of(row)) for row in placed}
        self.cancelled, self.refused, self.reduced = (
            _lines_with(log, name, placed) for name in ("cancelled", "rejected", "reduced")
        )
        # Of the orders of the tested period, those that the log has a promise of, whatever row tells it.
        tested = tested_part(log, self.fit_until).table
        orders = set(tested.filter(pc.equal(tested["activity"], "order_placed"))["order"].to_pylist())
        promised = set(tested.filter(pc.is_valid(tested["promised_ms"]))["order"].to_pylist())
        self.promised = len(orders & promised) / len(orders) if orders else 0.0

    def statement(
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
        seed = read_manifest(runs[AS_IT_WAS][0]).seed
        given_up = self._given_up(logs[AS_IT_WAS][0])
        logic = f"the engine here, under the policies of {self.base_file.name}"
        logic += f"; {NOT_YOURS}" if share is None else ""
        return Statement(
            "reconstruct",
            self.log.title,
            logic,
            (self.start, self.fit_until),
            (self.fit_until, self.end),
            agreement,
            f"order lines that ship first from the site that the log names, seed {seed}",
            distances,
            f"noise floor: two halves of the tested log, by its cases; replay: seed {seed}",
            self._inputs(calibration, residuals, runs[AS_IT_WAS], given_up),
            self._figures(logs),
            self._never(distances, agreement, changes, given_up),
            self._sources(runs),
        )

    def _sources(self, runs: Mapping[str, Sequence[Path]]) -> tuple[tuple[str, str], ...]:
        """What the numbers hang on: the log's files, and of each run the scenario, seed, digest and version."""
        rows = [("log", ", ".join(f"{file.name} ({file.rows:,} rows)" for file in self.log.files))]
        for side, folders in runs.items():
            for folder in folders:
                found = read_manifest(folder)
                told = f"seed {found.seed}, scenario {found.scenario_digest}, log {found.digest}"
                rows.append((f"{side.replace('_', ' ')}, {folder.name}", told))
            rows.append(("versions", ", ".join(f"{name} {version}" for name, version in found.versions.items())))
        return tuple(dict.fromkeys(rows))

    def _agreement(self, simulated: EventLog) -> tuple[Agreement, ...]:
        """By class, and of all: a line that the log ships and the replay does not, does not agree."""
        classes = {channel.id: channel.criticality for channel in self.base.channels}
        now = _sites(simulated, self.start)
        counts: dict[str, list[int]] = {}
        for (order, line), (site, channel, value) in _sites(self.log, self.fit_until).items():
            number = self.numbers.get((order, line))
            if number is None:
                continue
            there = now.get((order, str(number)))
            same = there is not None and there[0] == site
            for name in dict.fromkeys(("", classes.get(channel, ""))):
                tally = counts.setdefault(name, [0, 0, 0, 0])
                for index, count in enumerate((1, same, value, value * same)):
                    tally[index] += count
        return tuple(agreement_of(name, *counts[name]) for name in sorted(counts))

    def _given_up(self, simulated: EventLog) -> int:
        """Lines that the log cancels and the replay gave up, whole or as far as they were not released."""
        activities = pa.array(["cancelled", "reduced"])
        table = simulated.table.filter(pc.is_in(simulated.table["activity"], value_set=activities))
        there = set(zip(table["order"].to_pylist(), table["line"].to_pylist(), strict=True))
        return sum((order, str(self.numbers.get((order, line)))) in there for order, line in self.cancelled)

    def _inputs(
        self, calibration: Calibration, residuals: Residuals, runs: Sequence[Path], given_up: int
    ) -> tuple[Input, ...]:
        orders = {row["order"] for row in placed_rows(self.log)}
        replayed = {order for order, _ in self.numbers}
        told = f"{len(orders):,} orders of the log"
        if len(replayed) < len(orders):
            told = f"{len(replayed):,} of the {told}; the others came before, or have no item or quantity in it"
        rows = [Input("orders: when, where from, for what", "measured", len(replayed) / len(orders), told)]
        if self.cancelled:
            told = f"{given_up:,} of {len(self.cancelled):,} lines that the log cancels"
            rows.append(Input("cancellations: when", "measured", given_up / len(self.cancelled), told))
        luck: dict[str, Counter[str]] = {}
        for run in runs:
            for kind, counts in msgspec.json.decode((run / LUCK).read_bytes()).items():
                luck.setdefault(kind, Counter()).update(counts)
        words = {
            "transit": "transits",
            "lead_time": "supplier lead times",
            "dock_to_stock": "times from dock to shelf",
            "pick": "pick times",
            "handling": "handling times",
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
                rows.append(Input(f"{name}, drawn", "modeled", counts["modeled"] / total, told))
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
        recorded = self._measures(self.log)
        sides = {side: [self._measures(one) for one in found] for side, found in logs.items()}
        figures: list[Figure] = []
        for name in MEASURES:
            if name in OF_PROMISES and self.promised < PROMISED_MIN:
                continue
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

    def _measures(self, log: EventLog) -> dict[str, Measured]:
        tested = tested_part(log, self.fit_until)
        # An order of the log's last instants may reach the engine after the end.
        return profile_log(tested).measures if tested.table.num_rows else {}

    def _never(
        self,
        distances: Sequence[Near],
        agreement: Sequence[Agreement],
        changes: Mapping[str, object] | None,
        given_up: int,
    ) -> tuple[str, ...]:
        said = [
            "That customers would have ordered the same: the orders are those that came under the recorded policies; "
            "what was turned away or never tried is in no log.",
            "That the intervals hold all doubt: they are over the luck that had to be modeled, not over the model, "
            "its assumed parts, or the estimates.",
            "That it would have been foreseen: the tested period's orders, luck and closures are the log's own, so a "
            "small distance or a high agreement tells that the replay repeats the log, not that it predicts one.",
        ]
        timed = _timed(self.base)
        if timed and self.base.run.start != self.start:
            apart = format_duration(abs(self.start - self.base.run.start))
            later = "later" if self.start > self.base.run.start else "earlier"
            said.append(
                f"That what the base has planned came when the base says: its times ({', '.join(timed)}) are counted "
                f"from the start of the log, {format_instant(self.start)}, {apart} {later} than the base's own."
            )
        if self.cancelled:
            said.append(
                f"That the same would have been cancelled: the log cancels {len(self.cancelled):,} of its "
                f"{len(self.placed):,} order lines, and the replay gives up what is not yet released of "
                f"{given_up:,} of them, at the recorded time and as if the customer had. The others were released to a "
                "site by then, or the log has no time or line for them."
            )
        if self.refused or self.reduced:
            does = {"refuses": len(self.refused), "takes units off": len(self.reduced)}
            told = " and ".join(f"{what} {count:,}" for what, count in does.items() if count)
            said.append(
                f"Anything about what was not supplied: the log {told} of its {len(self.placed):,} order lines, and "
                "the replay knows nothing of it: the engine decides afresh."
            )
        if changes:
            said.append(
                "That a parcel sent another way would have had this very luck: it has the recorded quantile, on the "
                "other carrier's or site's distribution, as if good and bad luck were the parcel's own. No distance "
                "tells whether these distributions are right: on its own way a parcel takes the recorded time whatever "
                "they are. The intervals in calibrated.yaml do."
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
        if self.promised < PROMISED_MIN:
            said.append(
                f"Service to the date that was promised: the log has a promise for {self.promised:.1%} of its orders, "
                "and what it lacks counts in the n-grams and the distances of events too."
            )
        if self.base.log_names is not None and self.base.log_names.items:
            said.append(
                "Anything about sourcing, stock or assortment: a line stands for the item of the site that the log "
                "names, which is there only and never runs short, so that lines ship from the recorded site is no "
                "decision."
            )
        if not agreement:
            said.append(f"What your own system would have decided: this is {NOT_YOURS}.")
        elif agreement[0].decisions and agreement[0].same < agreement[0].decisions:
            said.append(
                f"That each order went as it did: {agreement[0].same:,} of {agreement[0].decisions:,} order lines ship "
                "from the recorded site; what is true of the sum may not be true of one of them."
            )
        return tuple(said)


def _timed(base: Scenario) -> list[str]:
    """What of a scenario comes at a time that is counted from the start of its run, in its own words."""
    has = {
        "disruptions": bool(base.disruptions),
        "faults": bool(base.faults),
        "interventions": any(one.at is not None for one in base.interventions),
        "changes of master data": base.master_data is not None and bool(base.master_data.changes),
        "rollouts": any(one.rollout is not None for one in base.interfaces),
    }
    return [name for name, there in has.items() if there]


def tested_part(log: EventLog, since: int) -> EventLog:
    """The cases that began from `since` (ms) on."""
    table = log.table
    firsts = table.group_by("case_id", use_threads=False).aggregate([("event_ms", "min")])
    late = firsts.filter(pc.greater_equal(firsts["event_ms_min"], since))["case_id"]
    return replace(log, table=table.filter(pc.is_in(table["case_id"], value_set=late.combine_chunks())))


def placed_rows(log: EventLog) -> list[dict[str, Any]]:
    """The order lines that were placed, in the log's order, as far as they name an order."""
    table = log.table.filter(pc.equal(log.table["activity"], "order_placed"))
    names = ["order", "line", "event_ms", "item", "quantity", "channel", "region"]
    return [row for row in table.select(names).to_pylist() if row["order"]]


def replayed(row: Mapping[str, Any]) -> bool:
    """Whether an order line that was placed says enough to be placed again."""
    return bool(row["item"]) and (row["quantity"] or 0) > 0


def _numbers(log: EventLog, start: int) -> dict[tuple[str, str], int]:
    """The number that each line of the log has in the replay: orders are read as the order book `events` reads them.

    A log calls its lines what it likes, or nothing; the book counts those that it accepts, from 1 in each order.
    """
    counted: Counter[str] = Counter()
    found: dict[tuple[str, str], int] = {}
    for row in placed_rows(log):
        if (row["event_ms"] or -1) >= start and replayed(row):
            counted[row["order"]] += 1
            found.setdefault((row["order"], line_of(row)), counted[row["order"]])
    return found


def _lines_with(log: EventLog, activity: str, placed: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """The lines that were placed and that the log tells this of."""
    table = log.table.filter(pc.equal(log.table["activity"], activity)).select(["order", "line", "item"])
    gone = GivenUp(table.to_pylist())
    return {(row["order"], line_of(row)) for row in placed if gone.holds(row)}


def _sites(log: EventLog, since: int) -> dict[tuple[str, str], tuple[str, str, int]]:
    """Where each order line that was placed from `since` (ms) on shipped from first, with its channel and value."""
    table = log.table.select(["activity", "order", "line", "item", "event_ms", "site", "channel", "value_minor", "row"])
    table = table.take(pc.sort_indices(table, [("event_ms", "ascending"), ("row", "ascending")]))
    placed: dict[tuple[str, str], tuple[str, int]] = {}
    found: dict[tuple[str, str], tuple[str, str, int]] = {}
    for row in table.to_pylist():
        if row["order"] is None or row["event_ms"] is None:
            continue
        line = (row["order"], line_of(row))
        if row["activity"] == "order_placed" and row["event_ms"] >= since:
            placed.setdefault(line, (row["channel"] or "", row["value_minor"] or 0))
        elif row["activity"] == "handed_to_carrier" and line in placed and row["site"]:
            found.setdefault(line, (row["site"], *placed[line]))
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
