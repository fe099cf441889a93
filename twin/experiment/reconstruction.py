"""The third replay: what a log tells of the world outside drives the actors, and the engine decides everything afresh.

What is exogenous is taken from the log: which orders came, for what and when; how long parcels, purchases and picks
took, as quantiles of what a calibration on the log's first part says; and when carriers stood still. Everything that
the business decided itself, where from, with whom, when to release and what to buy, is decided again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from twin.event_log import EventLog, EventLogError
from twin.experiment.reconstruction_statement import (
    AS_IT_WAS,
    CHANGED,
    Telling,
    placed_rows,
    replayed,
    tested_part,
)
from twin.log.folder import RunRefused
from twin.replay.calibrate import Calibration, calibrate_facts
from twin.replay.calibrated_file import flow
from twin.replay.facts import CalibrationRefused, Facts
from twin.replay.fidelity import Fidelity, fidelity
from twin.replay.log_time import end_of
from twin.replay.neutral import event_log_of_run
from twin.replay.neutral_table import events_of_log
from twin.replay.residuals_of import Residuals, residuals_of
from twin.replay.statement import Statement, markdown, period
from twin.residuals import write_residuals
from twin.run import Progress, Run, Simulation
from twin.scenario import Scenario, ScenarioError, load
from twin.scenario.units import format_duration, format_instant
from twin.world.assortment import compile_catalog
from twin.world.build import load_book
from twin.world.sites import Sites

__all__ = ["Reconstruction", "check_folder", "reconstruct"]


class Reconstruction(msgspec.Struct, frozen=True):
    """The folder, what was estimated, the runs by side and seed, and the statement."""

    folder: Path
    calibration: Calibration
    residuals: Residuals
    runs: dict[str, tuple[Path, ...]]
    statement: Statement
    distances: Fidelity | None
    tables: tuple[pa.Table, pa.Table] | None


def check_folder(out: Path, logs: Sequence[Path] = ()) -> None:
    """Whether a reconstruction may be made there, which can be asked before a log is read: not in a folder of `logs`.

    Raises `RunRefused`.
    """
    there = out.resolve()
    for log in logs:
        if log.is_dir() and log.resolve() in (there, *there.parents):
            raise RunRefused(f"{out} is the folder of the log, or lies in it; give a folder apart from it")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunRefused(f"{out} is not an empty folder; give a folder that does not exist yet")


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
    `EventLogError` for a period without orders, orders without a channel or region, and another currency than the
    base's, `CalibrationRefused` for a base that does not know what was ordered, and what calibrating, a scenario and a
    run raise.
    """
    end = end_of(log)
    log = replace(log, as_of_ms=end)
    if not start < fit_until < end:
        raise EventLogError(
            log.title,
            f"{format_instant(fit_until)} does not lie within the log, {period((start, end))}",
            "fit on a first part of it, and test on the rest",
        )
    check_folder(out)
    if log.currency and log.currency != base.currency:
        raise EventLogError(
            log.title,
            f"its values are in {log.currency}, and {base_file} is in {base.currency}",
            "give a base in the log's currency; nothing is converted",
        )
    fixed = next((key for key in _FROM_LOG if key in (changes or {})), None)
    if fixed is not None:
        raise CalibrationRefused(
            f"{fixed}: it is the log's in both runs of a reconstruction ({', '.join(_FROM_LOG)} are); change what the "
            "business decides"
        )
    _check_frame(base, base_file, (start, end))
    _check_orders(log, base, base_file, start)
    _check_tested(log, (fit_until, end))
    missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        return _Work(log, base, base_file, out, (start, fit_until, end), seeds, progress).reconstruct(
            facts, changes, distances
        )
    except BaseException:
        # Whole or not at all: a folder without a statement says nothing.
        shutil.rmtree(out, ignore_errors=True)
        for folder in missing:
            # Only what was made, and only as long as nobody else has put anything there.
            with suppress(OSError):
                folder.rmdir()
        if out not in missing:
            out.mkdir(exist_ok=True)
        raise


_FROM_LOG: Final = ("run", "order_book", "residuals")
"""Keys of a scenario that a reconstruction takes from its log."""


def _frame(span: tuple[int, int]) -> dict[str, str]:
    """The section `run` of a scenario that lasts as long as the log, from when it begins."""
    start, end = span
    lasts = format_duration(end - start)
    return {"start": format_instant(start), "horizon": lasts, "warmup": "0d", "drain": "0d"}


def _check_frame(base: Scenario, base_file: Path, span: tuple[int, int]) -> None:
    """Refuse a base of which something would begin after the log's end: its times are counted from the start."""
    try:
        base.with_changes({"run": _frame(span)})
    except ScenarioError as error:
        more = f"; and {len(error.problems) - 1} more" if len(error.problems) > 1 else ""
        problem = error.problems[0].message
        remedy = "its times are counted from the log's start: give a base without what comes after the log's end"
        if problem.startswith("run"):
            remedy = "see that the log's first and last dates are right"
        raise CalibrationRefused(
            f"{base_file}: it cannot run for the time of the log, {period(span)}: {problem}{more}; {remedy}"
        ) from None


def _check_orders(log: EventLog, base: Scenario, base_file: Path, start: int) -> None:
    """Refuse orders that the base cannot take: also those after the time that is fitted, which no estimate looks at."""
    book = load_book(base.order_book) if base.order_book is not None else None
    known = {
        "channel": {channel.id for channel in base.channels},
        "region": set(base.regions),
        "item": {*compile_catalog(base, Sites.of(base), book).ranked, *(item.id for item in base.items)},
    }
    rows = [row for row in placed_rows(log) if (row["event_ms"] or -1) >= start]
    if not rows:
        raise EventLogError(
            log.title, f"no order was placed from {format_instant(start)} on", "give a log with order_placed"
        )
    for name in ("channel", "region"):
        missing = [row["order"] for row in rows if not row[name]]
        if missing:
            raise EventLogError(
                log.title,
                f"{len(dict.fromkeys(missing)):,} orders have no {name}, the first is {missing[0]}",
                "name its column under `fields` in the mapping; what all rows say stands under `constants`",
            )
    strange = [
        f"{name} '{value}'"
        for name, values in known.items()
        for value in sorted({row[name] for row in rows if row[name]} - values)
    ]
    if strange:
        more = f", and {len(strange) - 5} more" if len(strange) > 5 else ""
        raise CalibrationRefused(
            f"{base_file}: it does not fit the log of {log.title}, which has {', '.join(strange[:5])}{more}; "
            "give the scenario of the business that wrote the log, or translate its names by `values` in its mapping"
        )


def _check_tested(log: EventLog, span: tuple[int, int]) -> None:
    """Refuse a period without an order that can be replayed: there is nothing to hold a replay against."""
    rows = placed_rows(tested_part(log, span[0]))
    if not any(replayed(row) for row in rows):
        what = "no order was placed" if not rows else "no order with an item and a quantity was placed"
        raise EventLogError(
            log.title,
            f"{what} in the part to test on, {period(span)}",
            "fit on a shorter first part, so that orders are left to test on",
        )


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
            frame=_frame((self.start, self.end)),
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
        # An order of the log's last instants may reach the engine after the end: then there is nothing to compare.
        if distances and placed_rows(tested_part(logs[AS_IT_WAS][0], self.fit_until)):
            real, simulated = self._table(self.log), self._table(logs[AS_IT_WAS][0])
            found, tables = fidelity(real, simulated), (real, simulated)
        telling = Telling(self.log, self.base, self.base_file, (self.start, self.fit_until, self.end))
        statement = telling.statement(calibration, residuals, runs, logs, found, changes)
        (self.out / "statement.json").write_bytes(msgspec.json.format(msgspec.json.encode(statement), indent=2) + b"\n")
        (self.out / "statement.md").write_text(markdown(statement), encoding="utf-8")
        return Reconstruction(self.out, calibration, residuals, runs, statement, found, tables)

    def _write_events(self, path: Path) -> None:
        import pyarrow.parquet as pq

        activities = pa.array(["order_placed", "cancelled"])
        table = self.log.table.filter(pc.is_in(self.log.table["activity"], value_set=activities))
        table = table.filter(pc.greater_equal(table["event_ms"], self.start))
        pq.write_table(table, path, compression="zstd")

    def _scenario(self, *, residuals: bool) -> str:
        base = self.base
        # How the base's own book is to be read says nothing of this one.
        read: dict[str, object] = dict.fromkeys(base.order_book.mapping) if base.order_book is not None else {}
        book = {
            "source": "events",
            "path": "events.parquet",
            "mapping": read | {"currency_exponent": self.log.currency_exponent},
        }
        lines = [
            "# Reconstructed: the orders of a log and the luck that its parcels, purchases and picks had; run it again",
            "# with other policies, and they meet the same.",
            "schema: 1",
            "extends: calibrated.yaml",
            f"title: {flow(f'{base.title}, reconstructed')}",
            f"order_book: {flow(book)}",
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
        """The orders that came in the tested period, as distances want them."""
        return events_of_log(tested_part(log, self.fit_until))[0]
