"""A foreign log's cases and orders as tables, for the measures that are taken of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twin.event_log import EventLog
from twin.measures.coverage import (
    GIVEN_UP,
    LINE_WANTED,
    NOT_WANTED,
    NOTHING_LEFT,
    NOTHING_TO_SEND,
    REFUSED,
    Coverage,
)

if TYPE_CHECKING:
    import duckdb

__all__ = ["LogFacts"]

_SLICE_MIN: Final = 5
"""A supplier, carrier or lane with fewer cases has no slice of its own."""


class LogFacts:
    """A log's cases and orders as tables in DuckDB, and what was counted over them."""

    def __init__(self, con: duckdb.DuckDBPyConnection, log: EventLog, coverage: Coverage) -> None:
        self.con = con
        self.log = log
        self.coverage = coverage
        self.start = coverage.first_ms
        self.end = log.as_of_ms
        firsts = {
            "placed": "order_placed",
            "ordered_at": "purchase_order_created",
            "answered": "purchase_order_acknowledged",
            "released": "released",
        }
        lasts = {
            "shipped": "handed_to_carrier",
            "arrived": "delivered",
            "received": "purchase_order_received",
        }
        times = [f"min(event_ms) filter (activity = '{activity}') as {name}" for name, activity in firsts.items()]
        times += [f"max(event_ms) filter (activity = '{activity}') as {name}" for name, activity in lasts.items()]
        texts = ("supplier", "origin", "region", "carrier", "channel")
        con.execute(
            "create or replace temp table cases as select case_id, "
            'any_value(coalesce("order", purchase_order)) as subject, '
            f"{', '.join(f'any_value({name}) as {name}' for name in texts)}, {', '.join(times)}, "
            f"{LINE_WANTED} as wanted, {NOT_WANTED} as not_wanted, {GIVEN_UP} as given_up, {REFUSED} as refused, "
            f"{NOTHING_LEFT} as ended, {NOTHING_TO_SEND} as sent, "
            "sum(quantity) filter (activity = 'delivered') as got, "
            "min_by(promised_ms, coalesce(event_ms, 0)) filter (promised_ms is not null) as promised, "
            "min_by(requested_ms, coalesce(event_ms, 0)) filter (requested_ms is not null) as requested "
            "from log group by case_id"
        )
        # Units that the business refused are missing from the line; those that were taken off it are not.
        full = "not given_up and not refused and arrived is not null and coalesce(got >= wanted - not_wanted, true)"
        con.execute(
            "create or replace temp table orders as select subject, min(placed) as placed, max(arrived) as arrived, "
            "max(shipped) as shipped, bool_and(sent) and max(shipped) is not null as all_shipped, "
            "min(released) as released, max(promised) as promised, max(requested) as requested, "
            "bool_and(given_up) as given_up, bool_and(ended) as ended, "
            f"bool_and(given_up or ({full})) and not bool_and(given_up) as whole "
            "from cases group by subject"
        )

    def values(self, expression: str, source: str, where: str) -> list[int]:
        """A column of whole numbers."""
        found = self.con.execute(f"select ({expression})::bigint as held from {source} where {where}").fetchnumpy()
        held: list[int] = found["held"].tolist()
        return held

    def count(self, source: str, where: str) -> int:
        """Rows for which it holds."""
        row: Any = self.con.execute(f"select count(*) from {source} where {where}").fetchall()[0]
        return int(row[0])

    def slices(self, expression: str, by: str, where: str) -> list[tuple[str, int, int]]:
        """(slice, sum, number) of the cases, the largest slice first."""
        found = self.con.execute(
            f"select {by}, sum({expression}), count(*) from cases where {where} and {by} is not null "
            f"group by 1 having count(*) >= {_SLICE_MIN} order by 3 desc, 1"
        ).fetchall()
        return [(str(name), int(total), int(number)) for name, total, number in found]
