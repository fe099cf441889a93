"""The neutral log of another business as the event table that distances are taken of."""

from __future__ import annotations

from typing import Final

import duckdb
import pyarrow as pa

from twin.event_log import EventLog
from twin.replay.event_table import EventTableError, checked_table

__all__ = ["events_of_log"]

_NAMES: Final = {"order_placed": "captured", "handed_to_carrier": "shipped"}
"""Activities that a run calls otherwise; what a run has no word for keeps its own and is left out as such."""

_OF_PARCELS: Final = ("released", "picked", "packed", "handed_to_carrier", "delivered", "invoiced")
"""What is done to a parcel; the rest is done to an order, of which a log with lines says it for each."""


def events_of_log(log: EventLog) -> tuple[pa.Table, int]:
    """The event table of a neutral log, a case an order, and how many of its events have no time and are not in it.

    Lines of an order that did the same at one time in one parcel are one event, as a run has it; a parcel is a
    shipment, and what comes before it is of that shipment where its case has only one. Purchase orders are no cases of
    a run, and are not in it. Raises `EventTableError` for a log without an order's event.
    """
    names = " ".join(f"when '{name}' then '{ours}'" for name, ours in _NAMES.items())

    def of_parcel(column: str) -> str:
        return f"case when activity in {_OF_PARCELS} then {column} end"

    with duckdb.connect() as con:
        con.register("log", log.table)
        timeless = con.execute('select count(*) from log where "order" is not null and event_ms is null').fetchall()[0][
            0
        ]
        # Of what happened at one instant, the order of the log is kept.
        table = con.sql(
            f"""
            with one as (
                select case_id, min(shipment) as parcel from log group by case_id having count(distinct shipment) = 1
            )
            select "order" as "case", case activity {names} else activity end as activity, event_ms as "at",
                {of_parcel("coalesce(site, origin) || '-' || region")} as lane,
                {of_parcel("coalesce(site, origin)")} as node, {of_parcel("carrier")} as carrier,
                {of_parcel("coalesce(shipment, one.parcel)")} as parcel, min("row") as first
            from log left join one using (case_id)
            where "order" is not null and event_ms is not null
            group by all
            order by "at", first, "case", activity, parcel, lane, carrier
            """
        ).to_arrow_table()
    if not table.num_rows:
        raise EventTableError(f"{log.title} holds no event of an order with a time; there is nothing to compare")
    return checked_table(table.drop_columns("first"), log.title), int(timeless)
