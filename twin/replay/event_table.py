"""The neutral log that distances are taken of: one row an event, whoever wrote it.

`case` (the order's id), `activity` and `at` (UTC ms) are always there. A row about a parcel may say its `lane`
(`FROM-TO`), `node` (the warehouse; without it, what stands in `lane` before the first hyphen), `carrier`, and which
`parcel` of the order it is about.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from twin.core.entry import Entry
from twin.core.events import (
    Event,
    GoodsPicked,
    GoodsShipped,
    NetworkDefined,
    OrderCancelled,
    OrderCaptured,
    OrderClosed,
    OrderHeld,
    PromiseDecided,
    ReleaseDecided,
    ReleaseWithdrawn,
    ShipmentDelivered,
    UnitsShorted,
)
from twin.log import read_entries, read_manifest
from twin.log.instants import happened_at

__all__ = ["OPTIONAL", "REQUIRED", "EventTableError", "checked_table", "events_of_run", "read_event_table"]

REQUIRED: Final = ("case", "activity", "at")
OPTIONAL: Final = ("lane", "node", "carrier", "parcel")

FAR_MS: Final = 9_000_000_000_000
"""The year 2255: pandas, which the library counts in, ends soon after."""

_SCHEMA: Final = pa.schema(
    [pa.field(name, pa.int64() if name == "at" else pa.string(), name not in REQUIRED) for name in REQUIRED + OPTIONAL]
)


class EventTableError(ValueError):
    """A table that cannot be compared; the text says which, what is wrong with it and what would be right."""


def read_event_table(source: Path) -> pa.Table:
    """The event table of a run folder or of a Parquet file with these columns.

    Raises `RunError` for a folder that is no finished run, and `EventTableError` for a file that is no such table.
    """
    if source.is_dir():
        return events_of_run(source)
    if not source.exists():
        raise EventTableError(f"{source}: no such folder or file; give a run's folder or a Parquet file of events")
    try:
        # Not `read_table`: it would take a folder of that name for a data set.
        table = pq.ParquetFile(source).read()
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise EventTableError(
            f"{source} cannot be read as Parquet: {reason}; give a run's folder or a Parquet file of events, "
            "or say by --mapping what another log's columns mean"
        ) from None
    return checked_table(table, str(source))


def checked_table(table: pa.Table, name: str) -> pa.Table:
    """The table with its columns in their types, in the order of time; other columns are dropped.

    `at` may be an integer (UTC ms) or a timestamp with a zone. Raises `EventTableError`, which calls it `name`.
    """
    missing = [column for column in REQUIRED if column not in table.column_names]
    if missing:
        raise EventTableError(
            f"{name} has no column {_quoted(missing)}; it has {_quoted(table.column_names)}; an event table has "
            f"{_quoted(REQUIRED)}, and may have {_quoted(OPTIONAL)}; for another log give --mapping"
        )
    twice = [column for column in _SCHEMA.names if table.column_names.count(column) > 1]
    if twice:
        raise EventTableError(f"{name} has more than one column {_quoted(twice)}; an event has one of each")
    if not table.num_rows:
        raise EventTableError(f"{name} holds no event; there is nothing to compare")
    columns = []
    for field in _SCHEMA:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table[field.name]
        if column.null_count and not field.nullable:
            rows = pc.indices_nonzero(pc.is_null(column)).to_pylist()
            raise EventTableError(
                f"{name}: {column.null_count} rows have no '{field.name}', first in rows "
                f"{', '.join(str(row + 1) for row in rows[:5])}; every event has one"
            )
        columns.append(_instants(column, name) if field.name == "at" else _texts(column, field.name, name))
    made = pa.table(columns, schema=_SCHEMA)
    # Stable: what happened at one instant stays in the order in which it was written.
    return made.take(pc.sort_indices(made["at"]))


def _instants(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type):
        if column.type.tz is None:
            raise EventTableError(f"{name}: 'at' is a timestamp without a zone; give UTC milliseconds, or a zone")
        column = column.cast(pa.timestamp("ms", column.type.tz), safe=False).cast(pa.int64())
    elif not pa.types.is_integer(column.type):
        raise EventTableError(f"{name}: 'at' is {column.type}; give UTC milliseconds as an integer, or a timestamp")
    bounds = pc.min_max(column).as_py()
    for at in bounds.values():
        if abs(at) > FAR_MS:
            raise EventTableError(
                f"{name}: an 'at' is {at}, which is no time in UTC milliseconds; is it in other units?"
            )
    return column.cast(pa.int64())


def _texts(column: pa.ChunkedArray, title: str, name: str) -> pa.ChunkedArray:
    try:
        return column.cast(pa.string())
    except pa.ArrowException:
        raise EventTableError(f"{name}: '{title}' is {column.type}; give text") from None


def _quoted(names: Any) -> str:
    return ", ".join(f"'{name}'" for name in names)


def events_of_run(folder: Path) -> pa.Table:
    """The event table of a finished run: captured, held, promised, released, picked, packed, shorted, withdrawn,
    shipped, delivered and cancelled. Raises `RunError`.

    Invoices and the closing of orders are left out: a return window would end every case. An instant is when it
    happened where the party says so, otherwise when the engine decided it.
    """
    read_manifest(folder)
    rows = _Rows()
    for entry in read_entries(folder):
        for event in entry.events:
            rows.follow(event, entry)
    return checked_table(pa.table(rows.columns, schema=_SCHEMA), str(folder))


class _Rows:
    """The columns as they grow, and what an event does not say itself: an order's region, a parcel's lane."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {field.name: [] for field in _SCHEMA}
        self._regions: dict[str, str] = {}
        self._carriers: dict[tuple[str, str], str] = {}
        self._parcels: dict[str, tuple[str, str | None]] = {}
        """Fulfillment order -> node and carrier."""
        self._shipments: dict[str, str] = {}
        """Shipment -> fulfillment order."""

    def follow(self, event: Event, entry: Entry) -> None:
        said = happened_at(entry)
        if isinstance(event, OrderCaptured):
            self._regions[event.order] = event.region
            self._add(event.order, "captured", event.captured_at or said)
        elif isinstance(event, OrderHeld):
            self._add(event.order, "held", entry.now)
        elif isinstance(event, PromiseDecided):
            self._add(event.order, "promised", entry.now)
        elif isinstance(event, ReleaseDecided):
            for plan in event.fulfillment_orders:
                self._parcels[plan.id] = plan.node, plan.carrier
                self._add(event.order, "released", entry.now, plan.id)
        elif isinstance(event, GoodsPicked):
            self._add(event.order, event.stage, said, event.fulfillment_order)
        elif isinstance(event, UnitsShorted):
            self._add(event.order, "shorted", said, event.fulfillment_order)
        elif isinstance(event, ReleaseWithdrawn):
            self._add(event.order, "withdrawn", said, event.fulfillment_order)
        elif isinstance(event, GoodsShipped):
            self._shipments[event.shipment] = event.fulfillment_order
            self._add(event.order, "shipped", said, event.fulfillment_order, event.node)
        elif isinstance(event, ShipmentDelivered):
            parcel = self._shipments.pop(event.shipment, None)
            self._add(event.order, "delivered", event.at, parcel)
            self._parcels.pop(parcel or "", None)
        elif isinstance(event, OrderCancelled):
            self._add(event.order, "cancelled", said)
        elif isinstance(event, OrderClosed):
            self._regions.pop(event.order, None)
        elif isinstance(event, NetworkDefined):
            self._carriers |= {(lane.node, lane.region): lane.carrier for lane in event.lanes}

    def _add(self, case: str, activity: str, at: int, parcel: str | None = None, at_node: str | None = None) -> None:
        node, carrier = self._parcels.get(parcel or "", (at_node, None))
        region = self._regions.get(case)
        known = node is not None and region is not None
        if known and carrier is None:
            carrier = self._carriers.get((str(node), str(region)))
        values = (case, activity, at, f"{node}-{region}" if known else None, node, carrier, parcel)
        for column, value in zip(self.columns.values(), values, strict=True):
            column.append(value)
