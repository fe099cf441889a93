"""What is wrong between the events of a log: doubled, ahead of its time, out of order, without a whole case."""

from __future__ import annotations

from typing import Any

import duckdb

from adapters.event_log.mapping import EventLogMapping
from twin.event_log import ACTIVITIES, BEGINNINGS, COLUMNS, ENDINGS, EventLogError, Remark

__all__ = ["check_events"]

_UNORDERED = ("promised", "invoiced", "cancelled", "returned")
"""What may come at any time."""


def check_events(
    con: duckdb.DuckDBPyConnection, place: str, mapping: EventLogMapping, as_of_ms: int | None, remarks: list[Remark]
) -> None:
    """See that `events` can be used; what a reader must know and that is no reason to refuse it is remarked.

    Raises `EventLogError`.
    """
    _check_duplicates(con, place, mapping, remarks)
    if as_of_ms is not None:
        _check_future(con, place, as_of_ms, str(mapping.as_of))
    _check_cases(con, place)
    _tell_disorder(con, remarks)
    late = con.execute(
        "select row, activity, count(*) over () from events where record_ms < event_ms order by row limit 5"
    ).fetchall()
    _remark(remarks, "events written down before they happened", late)


def _check_duplicates(
    con: duckdb.DuckDBPyConnection, place: str, mapping: EventLogMapping, remarks: list[Remark]
) -> None:
    if mapping.duplicates == "keep":
        return
    names = ", ".join(f'"{name}"' for name in COLUMNS if name != "row")
    count, distinct = _row(con, f"select count(*), count(distinct hash({names})) from events")
    if count == distinct:
        return
    doubled = con.execute(
        f"select max(row), any_value(case_id) || ' ' || any_value(activity), sum(count(*)) over () - count(*) over () "
        f"from events group by {names} having count(*) > 1 order by 1 limit 5"
    ).fetchall()
    if not doubled:
        return
    extra = int(doubled[0][2])
    if mapping.duplicates == "refuse":
        raise EventLogError(
            place,
            f"{extra:,} {'events repeat others' if extra > 1 else 'event repeats another'} in every respect",
            "map `line` if they are lines of their own; else set `duplicates` to drop or keep",
            [(row, text) for row, text, _ in doubled],
            extra,
        )
    con.execute(
        "create temp table single as select * from events "
        f"qualify row_number() over (partition by {names} order by row) = 1"
    )
    con.execute("drop table events; create temp table events as select * from single order by row")
    _remark(remarks, "events that repeat others in every respect, dropped", doubled)


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


def _tell_disorder(con: duckdb.DuckDBPyConnection, remarks: list[Remark]) -> None:
    order = [name for name in ACTIVITIES if name not in _UNORDERED]
    rank = " ".join(f"when '{name}' then {at}" for at, name in enumerate(order))
    con.execute(
        "create temp table firsts as select case_id, activity, min(event_ms) as first_ms, min(row) as row, "
        f"case activity {rank} end as rank from events where event_ms is not null and activity in {tuple(order)} "
        "group by case_id, activity"
    )
    con.execute(
        "create temp table disorder as select * from (select row, case_id, activity, first_ms, "
        "lag(activity) over steps as before, lag(first_ms) over steps as before_ms from firsts "
        "window steps as (partition by case_id order by rank)) where first_ms < before_ms"
    )
    pairs = con.execute("select activity, before, count(*) from disorder group by all order by 3 desc, 1, 2").fetchall()
    for activity, before, count in pairs:
        rows = con.execute(
            "select row, case_id from disorder where activity = ? and before = ? order by row limit 5",
            [activity, before],
        ).fetchall()
        remarks.append(Remark(f"cases {activity} before {before}", int(count), tuple(rows)))
    con.execute("drop table firsts; drop table disorder")


def _remark(remarks: list[Remark], text: str, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        remarks.append(Remark(text, int(rows[0][2]), tuple((row, str(said)) for row, said, _ in rows)))


def _row(con: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    row: Any = con.execute(query).fetchone()
    return tuple(int(value) for value in row)
