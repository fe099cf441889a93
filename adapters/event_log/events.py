"""Rows of the wide table as neutral events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from adapters.event_log.joining import Wide
from adapters.event_log.mapping import ActivityColumn, EventLogMapping, Stamp
from adapters.event_log.meanings import constants, number, quoted, translated
from adapters.event_log.reading import first_rows
from adapters.event_log.times import read_times
from adapters.event_log.whole_orders import tell_lines
from twin.event_log import ACTIVITIES, BEGINNINGS, COLUMNS, EventLogError, Remark, arrow_schema

__all__ = ["make_events"]

_NUMBERS = ("quantity", "stock_view")


def make_events(con: duckdb.DuckDBPyConnection, wide: Wide, mapping: EventLogMapping, remarks: list[Remark]) -> Any:
    """The neutral table, in the order of rows and within a row in that of the vocabulary.

    Raises `EventLogError` for what cannot be read as what the mapping says that it is.
    """
    times = _times(con, wide, mapping, remarks)
    lines = _lines(con, wide, mapping, times, remarks)
    listed = ", ".join(f'"{name}"' for name in COLUMNS)
    if mapping.activity is not None:
        made = _by_activity(con, wide, mapping.activity, times, lines)
        query = f"select {listed}, seq from ({made}) where activity is not null"
    else:
        rank = " ".join(f"when '{name}' then {at}" for at, name in enumerate(ACTIVITIES))
        selects = " union all ".join(_by_case(con, wide, mapping, times, lines))
        query = f"select {listed}, seq from ({selects}) order by seq, case activity {rank} end"
    table = con.sql(query).to_arrow_table()
    wide.close()
    if mapping.activity is not None and (np.diff(table["seq"].to_numpy()) < 0).any():
        table = table.sort_by("seq")
    table = table.drop_columns("seq").cast(arrow_schema())
    return table if mapping.fields.line is None else tell_lines(con, table, remarks)


def _times(
    con: duckdb.DuckDBPyConnection, wide: Wide, mapping: EventLogMapping, remarks: list[Remark]
) -> dict[tuple[str, str], str]:
    """Read every column of times once; (column, use) -> its name in `wide`, in milliseconds."""
    stamps: dict[str, Stamp] = {f"events.{name}": stamp for name, stamp in mapping.events.items()}
    if mapping.activity is not None:
        stamps["activity.time"] = mapping.activity.time
    for name in ("requested", "promised"):
        held = getattr(mapping.fields, name)
        if held is not None:
            stamps[f"fields.{name}"] = held
    names: dict[tuple[str, str], str] = {}
    arrays: dict[str, Any] = {}
    for key, stamp in stamps.items():
        for use, said in (("column", stamp.column), ("otherwise", stamp.otherwise), ("recorded", stamp.recorded)):
            if said is None:
                continue
            read = read_times(con, "wide", wide.column(said), wide.kind(said), wide.place(said), stamp, mapping.times)
            if read.skipped_count:
                remarks.append(
                    Remark(
                        f"times in {said!r} that clocks in {mapping.times.zone} skip; read by the offset before",
                        read.skipped_count,
                        tuple(read.skipped),
                    )
                )
            array = pa.array(read.ms.data, pa.int64(), mask=read.ms.mask)
            if use == "otherwise" and (key, "column") in names:
                first = names[key, "column"]
                arrays[first] = pc.coalesce(arrays[first], array)
                continue
            name = names[key, use] = f"ms{len(arrays)}"
            arrays[name] = array
    if arrays:
        wide.add(arrays)
    return names


def _lines(
    con: duckdb.DuckDBPyConnection,
    wide: Wide,
    mapping: EventLogMapping,
    times: dict[tuple[str, str], str],
    remarks: list[Remark],
) -> dict[str, str]:
    """What each neutral column is in `wide`, but for the activity and its times."""
    held: dict[str, str] = {
        name: f"null::{'bigint' if kind == 'int64' else 'varchar'}" for name, (kind, _) in COLUMNS.items()
    }
    held["row"] = "row"
    fields = mapping.fields
    for name, said in fields:
        if said is None or isinstance(said, Stamp):
            continue
        if name in _NUMBERS:
            held[name] = _whole(con, wide, said, mapping)
        elif name == "value":
            held["value_minor"] = _minor(con, wide, said, mapping)
        else:
            held[name] = translated(con, wide, name, mapping, remarks)
    held |= constants(mapping)
    for name in ("requested", "promised"):
        if (f"fields.{name}", "column") in times:
            held[f"{name}_ms"] = times[f"fields.{name}", "column"]
    subject = f"coalesce({held['order']}, {held['purchase_order']})"
    held["case_id"] = f"{subject} || coalesce('/' || {held['line']}, '')"
    meant = "true"
    if mapping.activity is not None and mapping.activity.ignore:
        listed = mapping.activity.names if mapping.activity.ignores_rest else mapping.activity.ignore
        among = f"coalesce({wide.column(mapping.activity.column)}::varchar, '') in ({', '.join(map(quoted, listed))})"
        meant = among if mapping.activity.ignores_rest else f"not {among}"
    nameless = con.execute(
        f"select row, null, count(*) over () from wide where {subject} is null and {meant} order by row limit 5"
    ).fetchall()
    if nameless:
        said = fields.order or fields.purchase_order or ""
        number = int(nameless[0][2])
        raise EventLogError(
            wide.place(said)[0],
            f"{number:,} of the rows name{'s' * (number == 1)} neither an order nor a purchase order in {said!r}",
            "every row needs one; leave such rows out by `where`, or name another column",
            first_rows([row[:2] for row in nameless]),
            number,
        )
    return held


def _whole(con: duckdb.DuckDBPyConnection, wide: Wide, said: str, mapping: EventLogMapping) -> str:
    return f"{number(con, wide, said, mapping, whole=True)}::bigint"


def _minor(con: duckdb.DuckDBPyConnection, wide: Wide, said: str, mapping: EventLogMapping) -> str:
    return f"round({number(con, wide, said, mapping, whole=False)} * {10**mapping.currency_exponent})::bigint"


def _by_case(
    con: duckdb.DuckDBPyConnection,
    wide: Wide,
    mapping: EventLogMapping,
    times: dict[tuple[str, str], str],
    lines: dict[str, str],
) -> Iterator[str]:
    """One row a case: an event for each column of times that is filled."""
    for name, stamp in mapping.events.items():
        at = times.get((f"events.{name}", "column"), "null::bigint")
        recorded = times.get((f"events.{name}", "recorded"), "null::bigint")
        happened = [f"{at} is not null"] if stamp.column is not None else []
        for said, values in (stamp.when or {}).items():
            listed = ", ".join(quoted(value) for value in values)
            happened.append(f"{wide.column(said)}::varchar in ({listed})")
        own = dict(lines, activity=f"'{name}'", event_ms=at, record_ms=recorded)
        if stamp.quantity is not None:
            own["quantity"] = _whole(con, wide, stamp.quantity, mapping)
        elif name not in BEGINNINGS and mapping.deliveries != "whole":
            # What was ordered is known; what was picked or delivered of it is not, and is not made up.
            own["quantity"] = "null::bigint"
        yield f"select {_selected(own)} from wide where {' and '.join(happened)}"


def _by_activity(
    con: duckdb.DuckDBPyConnection,
    wide: Wide,
    spec: ActivityColumn,
    times: dict[tuple[str, str], str],
    lines: dict[str, str],
) -> str:
    """One row an event."""
    column = wide.column(spec.column)
    at = times["activity.time", "column"]
    known = [*spec.names, *spec.ignore]
    con.execute("create temp table known as select unnest(?) as name", [known])
    strange = con.execute(
        f"select min(row), {column}, sum(count(*)) over () from wide where coalesce({column}, '') "
        f"not in (select name from known) group by {column} order by 1 limit 5"
    ).fetchall()
    if strange and not spec.ignores_rest:
        place, said = wide.place(spec.column)
        number = int(strange[0][2])
        raise EventLogError(
            place,
            f"{number:,} of the rows {'has' if number == 1 else 'have'} an activity in {said!r} that the mapping does "
            "not translate",
            "translate it in `activity.names`, or list it in `activity.ignore`",
            first_rows([row[:2] for row in strange]),
            number,
        )
    cases = " ".join(f"when {quoted(name)} then '{meant}'" for name, meant in spec.names.items())
    timeless = con.execute(
        f"select row, {column}, count(*) over () from wide where {at} is null and {column} in (select unnest(?)) "
        "order by row limit 5",
        [list(spec.names)],
    ).fetchall()
    if timeless:
        place, said = wide.place(spec.time.column or "")
        count = int(timeless[0][2])
        raise EventLogError(
            place,
            f"{count:,} of the events have no time in {said!r}",
            "every event needs one",
            first_rows([row[:2] for row in timeless]),
            count,
        )
    own = dict(lines, activity=f"case {column} {cases} end", event_ms=at)
    own["record_ms"] = times.get(("activity.time", "recorded"), "null::bigint")
    return f"select {_selected(own)} from wide"


def _selected(own: dict[str, str]) -> str:
    return ", ".join([*(f'{own[name]} as "{name}"' for name in COLUMNS), "seq"])
