"""A log made into a scenario, a run's or a foreign one: the file, and a table of what was estimated."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twin.cli.blast import parse_moment
from twin.cli.failures import InputError
from twin.cli.terminal import line, show, table, width
from twin.cli.texts import clock, count

if TYPE_CHECKING:
    from pyarrow import Table

    from twin.event_log import EventLog
    from twin.replay.calibrate import Calibration
    from twin.replay.demand_fit import Rhythm
    from twin.replay.foreign import ForeignCalibration
    from twin.replay.parameters import Parameter

__all__ = ["calibrate_exported", "calibrate_foreign", "calibrate_run", "check_kind"]

WIDTH: Final = 80
HORIZON_MAX_MS: Final = 50 * 365 * 86_400_000
"""Longer runs of a scenario leave no time for what is under way at their end."""
NAME_MIN: Final = 12
"""Characters of a name that stay on one line at least."""


def calibrate_run(run: Path, base: Path, until: str, since: str | None, out: Path, *, as_json: bool) -> None:
    """Write the calibrated scenario, whole or not at all, and show its parameters."""
    from twin.log import read_manifest
    from twin.replay.calibrate import HEAD, calibrate
    from twin.scenario import load

    manifest = read_manifest(run)
    ends = parse_moment("--until", until, manifest.start_ms)
    begins = manifest.start_ms if since is None else parse_moment("--since", since, manifest.start_ms)
    scenario = load(base)
    _check_out(out, HEAD, [base, *scenario.sources])
    made = calibrate(run, scenario, base, begins, ends, out.parent)
    _tell_based(made, f"{manifest.title}, seed {manifest.seed}", run, base, (begins, ends), out, as_json=as_json)


def calibrate_exported(log: EventLog, base: Path, until: str, since: str | None, out: Path, *, as_json: bool) -> None:
    """Write a base with what a foreign log tells of its business, whole or not at all, and show its parameters."""
    from twin.cli.profiling import first_day
    from twin.replay.calibrate import HEAD, calibrate_facts
    from twin.replay.log_facts import facts_of_log
    from twin.replay.log_time import end_of
    from twin.replay.log_words import in_words_of
    from twin.scenario import load

    start = first_day(log)
    ends = parse_moment("--until", until, start)
    begins = start if since is None else parse_moment("--since", since, start)
    last = end_of(log)
    if not start <= begins < ends <= last:
        lasts = f"{clock(start)} to {clock(last)}"
        raise InputError(f"the log goes from {lasts}; {clock(begins)} to {clock(ends)} is no period in it")
    scenario = load(base)
    _check_out(out, HEAD, [base, *scenario.sources])
    classes = {channel.id: channel.criticality for channel in scenario.channels}
    facts = facts_of_log(in_words_of(log, scenario, base), begins, ends, classes)
    words = "" if scenario.log_names is None else ", in the words of the base's log_names"
    made = calibrate_facts(facts, log.title, f"the log '{log.title}'{words}", scenario, base, out.parent)
    name = Path(log.files[0].name)
    _tell_based(made, log.title, name, base, (begins, ends), out, as_json=as_json, export=log)


def _tell_based(
    made: Calibration,
    title: str,
    log: Path,
    base: Path,
    span: tuple[int, int],
    out: Path,
    *,
    as_json: bool,
    export: EventLog | None = None,
) -> None:
    from twin.cli.profiling import plain_remarks, show_remarks

    begins, ends = span
    _write(out, made)
    if as_json:
        head: dict[str, Any] = {"run": str(log), "base": str(base), "since": begins, "until": ends, "file": str(out)}
        if export is not None:
            head["remarks"] = plain_remarks(export)
        _print(head, made.parameters, made.rhythms)
    else:
        _show(f"{title}: {clock(begins)} to {clock(ends)} UTC", made.parameters)
        if export is not None:
            show_remarks(export)
        assumed = sum(one.tag == "assumed" for one in made.parameters)
        line(
            f"{count(assumed)} {'stays' if assumed == 1 else 'stay'} as in the base; "
            "the file says why, and what each value is from"
        )
        line(f"scenario: {out}")


def calibrate_foreign(
    log: EventLog,
    until: str,
    since: str | None,
    out: Path,
    *,
    origin: str | None,
    horizon: str,
    rest: Path | None,
    as_json: bool,
) -> None:
    """Write a scenario of what a foreign log shows, whole or not at all, and show its parameters.

    `rest` is where the event table of what came from `until` on is written, seen at the scenario's places.
    """
    from twin.cli.outputs import check_output
    from twin.cli.profiling import plain_remarks, show_remarks
    from twin.replay.calibrate import HEAD
    from twin.replay.foreign import calibrate_log
    from twin.replay.foreign_cases import cases_of
    from twin.scenario.units import format_duration, parse_duration

    fields = tuple(name.strip() for name in origin.split(",")) if origin else ()
    first = cases_of(log, fields).cases[0].began_at
    ends = parse_moment("--until", until, first)
    begins = None if since is None else parse_moment("--since", since, first)
    try:
        lasts = parse_duration(horizon)
    except ValueError as error:
        raise InputError(f"--horizon: {error}") from None
    if lasts <= 0:
        raise InputError("--horizon: 0s is no time at all; write more, such as 28d")
    if lasts > HORIZON_MAX_MS:
        raise InputError(
            f"--horizon: {horizon} is longer than {format_duration(HORIZON_MAX_MS)}; write less, such as 28d"
        )
    _check_out(out, HEAD, [])
    if rest is not None:
        check_output("--rest", rest, "a table of events")
    made = calibrate_log(log, ends, begins, origin=fields, horizon=lasts)
    later = None if rest is None else _later(log, made)
    _write(out, made)
    if rest is not None and later is not None:
        _write_rest(later, rest)
    if as_json:
        files = [file.name for file in log.files]
        head = {"log": log.title, "files": files, "since": made.since, "until": made.until, "file": str(out)}
        head["remarks"] = plain_remarks(log)
        _print(head, made.parameters, {"orders": made.rhythm})
        return
    _show(f"{log.title}: {clock(made.since)} to {clock(made.until)} UTC", made.parameters)
    show_remarks(log)
    if any(one.name.startswith("calendars ") for one in made.parameters):
        line("handling and transit are counted in the hours of the calendars")
    assumed = sum(one.tag == "assumed" for one in made.parameters)
    line(f"{count(assumed)} {'is' if assumed == 1 else 'are'} assumed; the file says why, and what each value is from")
    line(f"scenario: {out}")
    if rest is not None:
        line(f"what came after: {rest}")


def _later(log: EventLog, made: ForeignCalibration) -> Table:
    """The event table of what began from the end of the period on."""
    from twin.replay.foreign_table import seen_by, table_of_log, with_seen
    from twin.replay.log_time import end_of

    end = end_of(log)
    seen = seen_by(made.cases, log.zone, end - 1)
    later = table_of_log(made.cases.cases, made.places, made.until, end, seen).table
    return with_seen(later, seen)


def _write_rest(later: Table, rest: Path) -> None:
    import pyarrow.parquet as pq

    # What a link leads to is replaced, not the link.
    rest = rest.resolve()
    unfinished = rest.with_name(f".{rest.name}.unfinished")
    try:
        pq.write_table(later, unfinished)
        unfinished.replace(rest)
    finally:
        unfinished.unlink(missing_ok=True)


def _write(out: Path, made: Calibration | ForeignCalibration) -> None:
    from twin.scenario import load

    out = out.resolve()
    unfinished = out.with_name(f".{out.name}.unfinished")
    try:
        unfinished.write_text(made.text, encoding="utf-8")
        load(unfinished)
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)


def check_kind(log: Sequence[Path], base: Path | None, mapping: Path | None, of_exports: Mapping[str, Any]) -> None:
    """Whether it is clear what the log is: a run's folder with its base, or an export with a mapping."""
    if mapping is None and base is None:
        raise InputError(
            "give --base SCENARIO for the log of a run, or --mapping MAP for the files of another system's export"
        )
    given = next((name for name, value in of_exports.items() if value is not None), None)
    if mapping is not None and base is not None and given is not None:
        raise InputError(f"{given} is of a scenario that stands alone, and --base is given too; leave one out")
    if mapping is None:
        if len(log) > 1:
            raise InputError(f"a run has one folder, {len(log)} are given; leave the others out")
        if given is not None:
            raise InputError(f"{given} is of an export; give --mapping, or leave it out")


def _check_out(out: Path, head: str, bases: list[Path]) -> None:
    if out.is_dir():
        raise InputError(f"--out {out}: it is a folder; give a file")
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}")
    if not os.access(out.parent, os.W_OK):
        raise InputError(f"--out {out}: no permission to write in {out.parent}")
    if not out.exists():
        return
    if not out.is_file():
        raise InputError(f"--out {out}: it is no file but a device or a pipe; give a file")
    if out.resolve() in [base.resolve() for base in bases]:
        raise InputError(f"--out {out}: the base is made of this file; give another name")
    if not out.read_bytes().startswith(head.encode()):
        raise InputError(
            f"--out {out}: there is a file that is no calibrated scenario; remove it, or give another name"
        )


def _show(title: str, parameters: Sequence[Parameter]) -> None:
    from twin.replay.parameters import amount, interval

    columns = ("Estimate", "95 % interval", "n", "Open")
    shown = table(title, "Parameter", *columns, "Tag", right=columns)
    before = ""
    for one in parameters:
        name = "  mean" if width() >= WIDTH and one.name == before.replace(", median", ", mean") != before else one.name
        before = one.name
        if one.estimate is None:
            told = ("–" if one.tag == "measured" else "", "")
        else:
            told = (amount(one.estimate, one.unit), interval(one.estimate, one.low, one.high, one.unit))
        shown.add_row(name, *told, count(one.n) if one.n else "", count(one.censored) if one.censored else "", one.tag)
    if width() >= WIDTH:
        # No wider than that, however wide the terminal is: 17 characters are space, and names take what is left.
        rest = sum(max(len(str(column.header)), *map(len, map(str, column.cells))) for column in shown.columns[1:])
        shown.columns[0].width = max(NAME_MIN, WIDTH - 17 - rest)
    show(shown)


def _print(head: Mapping[str, Any], parameters: Sequence[Parameter], rhythms: Mapping[str, Rhythm]) -> None:
    """One JSON map: `parameters`, durations in ms, and `hours`: arrivals by hour of the week from Monday 00:00 UTC."""
    told: dict[str, Any] = dict(head)
    told["parameters"] = [
        {
            "name": one.name,
            "unit": one.unit,
            "estimate": one.estimate,
            "low": one.low,
            "high": one.high,
            "n": one.n,
            "censored": one.censored,
            "tag": one.tag,
            "note": one.note,
        }
        for one in parameters
    ]
    told["hours"] = {
        channel: [
            {"hour": hour, "orders": rhythm.counts[hour], "seen": rhythm.hours[hour], "rate": rhythm.rates[hour]}
            | {"low": rhythm.intervals[hour][0], "high": rhythm.intervals[hour][1]}
            for hour in range(len(rhythm.rates))
        ]
        for channel, rhythm in rhythms.items()
    }
    line(json.dumps(told, indent=2, ensure_ascii=False))
