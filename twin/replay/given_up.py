"""What a log gives up of its orders: lines by their number, else by their item, or an order as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from twin.event_log import EventLog
from twin.measures.coverage import LINE_WANTED, REFUSED, TAKEN

__all__ = ["GivenUp", "given_up_rows"]


def given_up_rows(log: EventLog, until: int) -> list[dict[str, Any]]:
    """What was cancelled, refused or taken off whole before `until` (ms), or at a time that nobody wrote down, as a
    status does not: rows with `order`, `line`, `purchase_order` and `item`."""
    with duckdb.connect() as con:
        con.register("every", log.table)
        con.execute(f"create view events as select * from every where event_ms is null or event_ms < {until:d}")
        found: Any = con.sql(
            f"""
            select "order", line, purchase_order, item from events where activity = 'cancelled'
            union all
            select max("order"), max(line), max(purchase_order),
                case when min(item) filter ({_TAKES}) = max(item) filter ({_TAKES}) then max(item) filter ({_TAKES}) end
            from events group by case_id
            having {REFUSED} or coalesce({TAKEN} > 0 and {TAKEN} >= {LINE_WANTED}, false)
            """
        ).to_arrow_table()
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


_TAKES = "activity in ('rejected', 'reduced')"


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
