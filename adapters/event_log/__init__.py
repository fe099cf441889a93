"""Logs of foreign businesses from CSV (plain or gzipped) and Parquet, by a mapping file.

    log = load([Path("orders.csv.gz")], Path("map.yaml"))

docs/event_log.md has a whole mapping and what can be wrong with a log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from adapters.event_log.checks import check_events
from adapters.event_log.events import make_events
from adapters.event_log.joining import widen
from adapters.event_log.mapping import EventLogMapping, read_mapping
from adapters.event_log.times import parse_one
from twin.event_log import EventLog, EventLogError, Remark

__all__ = ["EventLog", "EventLogError", "EventLogMapping", "load", "read_mapping"]


def load(paths: Sequence[Path], mapping: Path | EventLogMapping | Mapping[str, Any]) -> EventLog:
    """The log in the files of one export, every event in the neutral vocabulary.

    `mapping` is a YAML file, the name of a shipped mapping, or a plain map. Raises `EventLogError` (place, problem,
    remedy, first rows) for files or a mapping that cannot be used; nothing is returned of a log that is wrong.
    """
    checked = read_mapping(mapping)
    if not paths:
        raise EventLogError("log", "no file is given", "name the files of the export")
    paths = [Path(path) for path in paths]
    place = str(paths[0])
    named = str(mapping) if isinstance(mapping, Path) else "mapping"
    as_of = None if checked.as_of is None else parse_one(checked.as_of, checked.times, named, "as_of")
    remarks: list[Remark] = []
    with duckdb.connect() as con:
        wide, files, left_out = widen(con, paths, checked, remarks)
        table = make_events(con, wide, checked, remarks)
        con.register("events", table)
        table = check_events(con, table, place, checked, as_of, remarks)
        last: Any = con.execute("select max(event_ms) from events").fetchall()[0]
    return EventLog(
        title=checked.title,
        files=files,
        table=table,
        zone=checked.times.zone or "",
        currency=checked.currency,
        currency_exponent=checked.currency_exponent,
        as_of_ms=int(last[0]) if as_of is None else as_of,
        as_of_stated=as_of is not None,
        whole=checked.deliveries == "whole",
        left_out_rows=left_out,
        remarks=tuple(remarks),
        caveats=checked.caveats,
        refused=dict(checked.refuse),
    )
