"""What a log gives up of its orders: lines by their number, else by their item, or an order as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import duckdb

from twin.event_log import BEGINNINGS, EventLog

__all__ = ["GivenUp", "given_up_rows", "view_given_up"]

_BEGINS: Final = f"activity in {BEGINNINGS}"
_AT_ONCE: Final = "(activity = 'cancelled' or activity = 'rejected' and quantity is null)"
_TAKES: Final = "activity in ('rejected', 'reduced') and quantity > 0"
_VIEW: Final = f"""
    create or replace temp view given_up as
    with cases as (
        select case_id, bool_or({_BEGINS}) as known, count(distinct item) filter ({_BEGINS}) as items,
            sum(quantity) filter ({_BEGINS}) as whole
        from events group by case_id
    ),
    parted as (
        select events.*, whole,
            case when line is null and (items > 1 or not known) then coalesce(item, '') else '' end as part
        from events join cases using (case_id)
    ),
    parts as (
        select case_id, part, max("order") as "order", max(line) as line, max(purchase_order) as purchase_order,
            bool_or({_BEGINS}) as begun,
            case when max(line) is not null then any_value(item) end as of_line,
            case when max(line) is not null then max(quantity) filter ({_BEGINS})
                when max(part) = '' then any_value(whole)
                else sum(quantity) filter ({_BEGINS}) end as wanted,
            bool_or({_AT_ONCE}) as at_once,
            bool_or({_AT_ONCE} and event_ms is null) as undated,
            min(event_ms) filter ({_AT_ONCE}) as at_once_ms
        from parted group by case_id, part
    ),
    taken as (
        select case_id, part, event_ms, sum(quantity) over (
            partition by case_id, part order by event_ms nulls first rows unbounded preceding
        ) as units
        from parted where {_TAKES}
    ),
    used_up as (
        select case_id, part, min(event_ms) as taken_ms
        from parts join taken using (case_id, part) where units >= wanted group by all
    )
    select case_id, part, "order", line, purchase_order, coalesce(of_line, nullif(part, '')) as item, begun,
        at_once or used_up.part is not null as gone,
        case when undated then null
            when at_once_ms < taken_ms or taken_ms is null then at_once_ms
            else taken_ms end as gone_ms
    from parts left join used_up using (case_id, part)
"""


def view_given_up(con: duckdb.DuckDBPyConnection) -> None:
    """Lay a view `given_up` over the neutral `events` of a connection: of each case, and of each of its items where it
    has no line and not just one item, whether it was `gone` and since when (`gone_ms`, null where that was written down
    without a time). Gone is what was cancelled, refused, or taken off by as many units as were begun. `part` is the
    item, or empty: for what names none."""
    con.execute(_VIEW)


def given_up_rows(log: EventLog, until: int) -> list[dict[str, Any]]:
    """What was cancelled, refused or taken off whole before `until` (ms), or at a time that nobody wrote down, as a
    status does not: rows with `order`, `line`, `purchase_order` and `item`, None where it names none."""
    with duckdb.connect() as con:
        con.register("every", log.table)
        con.execute(f"create view events as select * from every where event_ms is null or event_ms < {until:d}")
        view_given_up(con)
        found: Any = con.sql('select "order", line, purchase_order, item from given_up where gone').to_arrow_table()
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


class GivenUp:
    """Made of what a log gives up: rows with `order`, `line` and `item`, None where it names none."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._gone = {(row["order"], row["line"], None if row["line"] else row["item"]) for row in rows}

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether the line that a row is about was given up, by its number, its item, or with its whole order."""
        order = row["order"]
        named = {(order, None, None)}
        if row["line"] is not None:
            named.add((order, row["line"], None))
        if row["item"] is not None:
            named.add((order, None, row["item"]))
        return not self._gone.isdisjoint(named)
