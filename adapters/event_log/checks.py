"""What is wrong between the events of a log: doubled, ahead of its time, out of order, without a whole case."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from adapters.event_log.mapping import EventLogMapping
from twin.event_log import ACTIVITIES, BEGINNINGS, COLUMNS, ENDINGS, EventLogError, Remark

__all__ = ["check_events"]

_UNORDERED = ("promised", "invoiced", "cancelled", "rejected", "reduced", "returned")
"""What may come at any time."""

_FEW = 100
"""One event in so many, one at least, may be far from all others."""
_EVENTS_MIN = 20
"""Fewer events tell nothing of what is usual."""
_GAP_MIN_MS, _GAP_MAX_MS = 30 * 86_400_000, 365 * 86_400_000
"""Half of the time that all others span, within these bounds, is a gap after which events are far."""


def check_events(
    con: duckdb.DuckDBPyConnection,
    table: Any,
    place: str,
    mapping: EventLogMapping,
    as_of_ms: int | None,
    remarks: list[Remark],
) -> Any:
    """See that `events`, which is `table`, can be used; what is no reason to refuse it is remarked.

    Returns the table, without its duplicates where the mapping says so. Raises `EventLogError`.
    """
    table = _check_duplicates(con, table, place, mapping, remarks)
    if as_of_ms is not None:
        _check_future(con, place, as_of_ms, str(mapping.as_of))
    _check_cases(con, place)
    _tell_placed_again(con, remarks)
    _tell_disorder(con, remarks)
    _tell_far(con, remarks)
    late = con.execute(
        "select row, activity, count(*) over () from events where record_ms < event_ms order by row limit 5"
    ).fetchall()
    _remark(remarks, "events written down before they happened", late)
    negative = con.execute(
        "select row, activity || ' of ' || quantity, count(*) over () from events "
        "where quantity < 0 and activity != 'returned' order by row limit 5"
    ).fetchall()
    _remark(remarks, "events with a quantity below zero that are no returns", negative)
    return table


def _check_duplicates(
    con: duckdb.DuckDBPyConnection, table: Any, place: str, mapping: EventLogMapping, remarks: list[Remark]
) -> Any:
    if mapping.duplicates == "keep":
        return table
    names = ", ".join(f'"{name}"' for name in COLUMNS if name != "row")
    count, distinct = _row(con, f"select count(*), count(distinct hash({names})) from events")
    if count == distinct:
        return table
    doubled = con.execute(
        f"select max(row), any_value(case_id) || ' ' || any_value(activity), sum(count(*)) over () - count(*) over () "
        f"from events group by {names} having count(*) > 1 order by 1 limit 5"
    ).fetchall()
    if not doubled:
        return table
    extra = int(doubled[0][2])
    if mapping.duplicates == "refuse":
        raise EventLogError(
            place,
            f"{extra:,} {'events repeat others' if extra > 1 else 'event repeats another'} in every respect",
            "map `line` if they are lines of their own; else set `duplicates` to drop or keep",
            [(row, text) for row, text, _ in doubled],
            extra,
        )
    _remark(remarks, "events that repeat others in every respect, dropped", doubled)
    first = f"qualify row_number() over (partition by {names} order by seq) = 1"
    con.register("numbered", table.append_column("seq", pa.array(np.arange(table.num_rows))))
    single = con.sql(f"select * from numbered {first} order by seq").to_arrow_table()
    table = single.drop_columns("seq").cast(table.schema)
    con.unregister("numbered")
    con.unregister("events")
    con.register("events", table)
    return table


def _check_future(con: duckdb.DuckDBPyConnection, place: str, as_of_ms: int, said: str) -> None:
    ahead = con.execute(
        "select row, activity || ' ' || strftime(make_timestamp(late * 1000), '%Y-%m-%dT%H:%MZ'), count(*) over () "
        "from (select *, greatest(event_ms, record_ms) as late from events) where late > ? order by row limit 5",
        [as_of_ms],
    ).fetchall()
    if ahead:
        count = int(ahead[0][2])
        raise EventLogError(
            place,
            f"{count:,} {'events lie' if count > 1 else 'event lies'} after the mapping's as_of {said}",
            "correct `as_of`, or the rows",
            [(row, text) for row, text, _ in ahead],
            count,
        )


def _check_cases(con: duckdb.DuckDBPyConnection, place: str) -> None:
    cases, begun, ended, whole = _row(
        con,
        "select count(*), count(*) filter (b), count(*) filter (e), count(*) filter (b and e) from "
        f"(select bool_or(activity in {BEGINNINGS}) as b, bool_or(activity in {ENDINGS}) as e from events "
        "group by case_id)",
    )
    if whole == 0:
        raise EventLogError(
            place,
            f"holds no complete case: of {cases:,} cases {begun:,} begin ({' or '.join(BEGINNINGS)}) and "
            f"{ended:,} end ({', '.join(ENDINGS)}), none does both",
            "map the column of the one that is missing, or correct the ids that lead from one to the other",
        )


def _tell_placed_again(con: duckdb.DuckDBPyConnection, remarks: list[Remark]) -> None:
    """What one case is said to consist of several times: of these only the largest counts."""
    again = con.execute(
        "select row, case_id, count(*) over () from (select row, case_id, row_number() over "
        "(partition by case_id order by row) as nth from events where activity = 'order_placed' and "
        "(quantity is not null or value_minor is not null)) where nth > 1 order by row limit 5"
    ).fetchall()
    _remark(remarks, "further order_placed of a case, whose quantity and value are not added; lines need `line`", again)


def _tell_disorder(con: duckdb.DuckDBPyConnection, remarks: list[Remark]) -> None:
    used = {row[0] for row in con.execute("select distinct activity from events").fetchall()}
    order = [name for name in ACTIVITIES if name in used and name not in _UNORDERED]
    firsts = ", ".join(f"min(event_ms) filter (activity = '{name}') as {name}" for name in order)
    # Each is held against the last one before it that the case has.
    before = {name: f"coalesce({', '.join(reversed(order[:at]))})" for at, name in enumerate(order) if at}
    wrong = " or ".join(f"{name} < {last}" for name, last in before.items())
    if not wrong:
        return
    con.execute(
        f"create temp table disorder as select * from (select case_id, {firsts} from events group by case_id) "
        f"where {wrong}"
    )
    found = []
    for at, name in enumerate(order):
        for other in order[:at]:
            between = " and ".join(f"{one} is null" for one in order[order.index(other) + 1 : at]) or "true"
            rows = con.execute(
                f"select min(row), case_id, count(*) over () from events join disorder using (case_id) "
                f"where activity = '{name}' and {name} < {other} and {between} group by case_id order by 1 limit 5"
            ).fetchall()
            if rows:
                found.append(Remark(f"cases {name} before {other}", int(rows[0][2]), tuple(row[:2] for row in rows)))
    remarks.extend(sorted(found, key=lambda remark: -remark.count))
    con.execute("drop table disorder")


def _tell_far(con: duckdb.DuckDBPyConnection, remarks: list[Remark]) -> None:
    """Remark the few events that lie far before or after all others: a wrong century, or a default date.

    They may be right. But the first and the last event bound what is measured, and a log that states no `as_of` is
    taken to be as old as its last one.
    """
    times = np.sort(con.execute("select event_ms from events where event_ms is not null").fetchnumpy()["event_ms"])
    few = max(1, len(times) // _FEW)
    if len(times) < _EVENTS_MIN:
        return
    middle = int(times[-1 - few] - times[few])
    gap = min(max(middle // 2, _GAP_MIN_MS), _GAP_MAX_MS)
    steps = np.diff(times)
    # The innermost wide step among the few at either end.
    ends = np.flatnonzero(steps[:few] > gap), np.flatnonzero(steps[-few:] > gap)
    for word, found in zip(("before", "after"), ends, strict=True):
        if not len(found):
            continue
        at = int(found[-1]) if word == "before" else len(steps) - few + int(found[0])
        bound = int(times[at] if word == "before" else times[at + 1])
        rows = con.execute(
            "select row, activity || ' ' || strftime(make_timestamp(event_ms * 1000), '%Y-%m-%dT%H:%MZ'), "
            f"count(*) over () from events where event_ms {'<=' if word == 'before' else '>='} ? order by row limit 5",
            [bound],
        ).fetchall()
        days = int(steps[at]) // 86_400_000
        _remark(remarks, f"events {days:,} days or more {word} all others; are their dates right?", rows)


def _remark(remarks: list[Remark], text: str, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        remarks.append(Remark(text, int(rows[0][2]), tuple((row, str(said)) for row, said, _ in rows)))


def _row(con: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    row: Any = con.execute(query).fetchall()[0]
    return tuple(int(value) for value in row)
