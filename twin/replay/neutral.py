"""A run of this engine as the neutral log that foreign businesses are read into: a case an order line.

Event time is when the party that told of it says that it happened, and else when the engine decided it; record time is
when it entered the log. Purchase orders are cases of their own. A parcel goes by its fulfillment order from its release
on, as by a delivery note. A promise carries what the decision before it saw: the units at the chosen site, and the
sites that could have served. So whatever reads foreign logs reads a run too, and a run thinned to what real logs have
is a log whose truth is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from twin.core import events as ev
from twin.core.entry import Entry
from twin.event_log import COLUMNS, EventLog, SourceFile, arrow_schema
from twin.log import RunError, read_entries, read_manifest
from twin.log.instants import happened_at
from twin.scenario.units import CURRENCY_EXPONENTS

__all__ = ["event_log_of_run"]

_BATCH: Final = 1 << 16
_CAVEATS: Final = (
    "A case is an order line, or a whole purchase order. A line is cancelled when every unit of it was given up, a "
    "purchase order when its supplier rejected it or it was withdrawn.",
    "Approved is what was held and then let go; what was never held has no approval.",
)


def event_log_of_run(folder: Path) -> EventLog:
    """The events of a finished run in the vocabulary of foreign logs; `row` is the position of the entry.

    Raises `RunError` for a folder that is no finished run, and for a run without an order or purchase order.
    """
    manifest = read_manifest(folder)
    rows = _Rows()
    for entry in read_entries(folder):
        rows.follow(entry)
    table = rows.table()
    if not table.num_rows:
        raise RunError(f"{folder}: the run has neither an order nor a purchase order; there is nothing to profile")
    size = sum(path.stat().st_size for path in sorted((folder / "entries").iterdir()))
    return EventLog(
        title=manifest.title,
        files=(SourceFile(folder.name, manifest.entries, size, "entries of a run of this engine"),),
        table=table,
        zone="UTC",
        currency=manifest.currency,
        currency_exponent=CURRENCY_EXPONENTS.get(manifest.currency, 2),
        as_of_ms=manifest.end_ms,
        as_of_stated=True,
        whole=False,
        left_out_rows=0,
        remarks=(),
        caveats=_CAVEATS,
        refused={},
    )


class _Rows:
    """The columns as they grow, and what an event does not say itself: its line, its parcel, its purchase."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._batches: list[Any] = []
        self._schema = arrow_schema()
        # What is known of each line; and of it, the units that were not given up.
        self._lines: dict[tuple[str, int], dict[str, Any]] = {}
        self._left: dict[tuple[str, int], int] = {}
        self._numbers: dict[str, tuple[int, ...]] = {}
        self._plans: dict[str, ev.FulfillmentPlan] = {}
        self._parcels: dict[str, tuple[tuple[tuple[int, int], ...], dict[str, Any]]] = {}
        self._bought: dict[str, dict[str, Any]] = {}
        # Of each line, the units seen at the chosen site and the sites there were.
        self._seen: dict[tuple[str, int], dict[str, Any]] = {}

    def follow(self, entry: Entry) -> None:
        """The rows of one more entry."""
        happened = happened_at(entry)
        for event in entry.events:
            told = _TOLD.get(type(event))
            if told is not None:
                told(self, event, entry, happened)

    def table(self) -> Any:
        """All rows as a `pyarrow.Table`."""
        import pyarrow as pa

        self._flush()
        return pa.Table.from_batches(self._batches, schema=self._schema)

    def _add(self, entry: Entry, activity: str, at: int, known: dict[str, Any]) -> None:
        held = known | {"activity": activity, "event_ms": at, "record_ms": entry.now, "row": entry.position}
        subject = held.get("order") or held.get("purchase_order")
        line = held.get("line")
        held["case_id"] = f"{subject}/{line}" if line is not None else subject
        self._rows.append(tuple(held.get(name) for name in COLUMNS))
        if len(self._rows) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        import pyarrow as pa

        arrays = [
            pa.array(column, field.type)
            for column, field in zip(zip(*self._rows, strict=True), self._schema, strict=True)
        ]
        self._batches.append(pa.record_batch(arrays, schema=self._schema))
        self._rows = []

    def _of_lines(
        self, entry: Entry, activity: str, at: int, order: str, lines: Iterable[tuple[int, int | None]], **more: Any
    ) -> None:
        """A row for each (line, units)."""
        for line, units in lines:
            known = self._lines.get((order, line), {"order": order, "line": str(line)})
            self._add(entry, activity, at, known | more | {"quantity": units})

    # --- one method an event

    def _captured(self, event: ev.OrderCaptured, entry: Entry, at: int) -> None:
        self._numbers[event.order] = tuple(line.line for line in event.lines)
        for line in event.lines:
            key = (event.order, line.line)
            self._left[key] = line.quantity
            self._lines[key] = {
                "order": event.order,
                "line": str(line.line),
                "item": line.sku,
                "value_minor": line.quantity * line.price_minor,
                "customer": event.customer,
                "channel": event.channel,
                "region": event.region,
                "requested_ms": event.requested_at or None,
            }
        said = event.captured_at or at
        self._of_lines(entry, "order_placed", said, event.order, ((one.line, one.quantity) for one in event.lines))

    def _approved(self, event: ev.OrderHoldReleased, entry: Entry, at: int) -> None:
        lines = self._numbers.get(event.order, ())
        self._of_lines(entry, "order_approved", at, event.order, ((line, None) for line in lines))

    def _sourced(self, event: ev.SourcingDecided, entry: Entry, at: int) -> None:
        for leg in event.legs:
            seen = [one for one in event.considered if one.line == leg.line]
            view = next((one.available for one in seen if one.node == leg.node), None)
            sites = ", ".join(one.node for one in seen) or None
            self._seen[event.order, leg.line] = {"stock_view": view, "candidates": sites}

    def _promised(self, event: ev.PromiseDecided, entry: Entry, at: int) -> None:
        for line, date in event.lines:
            seen = self._seen.get((event.order, line), {})
            self._of_lines(entry, "promised", entry.now, event.order, ((line, None),), promised_ms=date, **seen)

    def _released(self, event: ev.ReleaseDecided, entry: Entry, at: int) -> None:
        for plan in event.fulfillment_orders:
            self._plans[plan.id] = plan
            lines = ((one.line, one.quantity) for one in plan.lines)
            self._of_lines(entry, "released", entry.now, event.order, lines, **_consignment(plan))

    def _picked(self, event: ev.GoodsPicked, entry: Entry, at: int) -> None:
        plan = self._plans.get(event.fulfillment_order)
        if plan is not None and event.stage in ("picked", "packed"):
            lines = ((one.line, one.quantity) for one in plan.lines)
            self._of_lines(entry, event.stage, at, event.order, lines, **_consignment(plan))

    def _shipped(self, event: ev.GoodsShipped, entry: Entry, at: int) -> None:
        plan = self._plans.get(event.fulfillment_order)
        known = {"shipment": event.fulfillment_order or event.shipment, "site": event.node, "origin": event.node}
        if plan is not None:
            known = _consignment(plan)
        self._parcels[event.shipment] = event.lines, known
        self._of_lines(entry, "handed_to_carrier", at, event.order, event.lines, **known)

    def _loaded(self, event: ev.ShipmentLoaded, entry: Entry, at: int) -> None:
        known = {"shipment": event.shipment, "site": event.node, "origin": event.node, "carrier": event.carrier or None}
        self._parcels[event.shipment] = event.lines, known
        self._of_lines(entry, "handed_to_carrier", event.shipped_at, event.order, event.lines, **known)

    def _delivered(self, event: ev.ShipmentDelivered, entry: Entry, at: int) -> None:
        lines, known = self._parcels.pop(event.shipment, ((), {}))
        self._of_lines(entry, "delivered", event.at, event.order, lines, **known)

    def _invoiced(self, event: ev.InvoiceCreated, entry: Entry, at: int) -> None:
        lines = ((line, units) for line, units, _ in event.lines)
        parcel = self._parcels.get(event.shipment)
        note = event.shipment if parcel is None else parcel[1]["shipment"]
        self._of_lines(entry, "invoiced", entry.now, event.order, lines, shipment=note)

    def _cancelled(self, event: ev.OrderCancelled, entry: Entry, at: int) -> None:
        for one in event.units:
            key = (event.order, one.line)
            left = self._left.get(key, 0)
            self._left[key] = left - one.quantity
            if 0 < left <= one.quantity:
                self._of_lines(entry, "cancelled", at, event.order, ((one.line, None),))

    def _ordered(self, event: ev.PurchaseOrderCreated, entry: Entry, at: int) -> None:
        known = {
            "purchase_order": event.purchase_order,
            "supplier": event.supplier,
            "site": event.node,
            "item": event.lines[0].sku if len(event.lines) == 1 else None,
        }
        self._bought[event.purchase_order] = known
        units = sum(line.quantity for line in event.lines)
        said = event.created_at or entry.now
        # Its cost and its ETA are no value of an order line and no promise to a customer.
        self._add(entry, "purchase_order_created", said, known | {"quantity": units})

    def _acknowledged(self, event: ev.PurchaseOrderAcknowledged, entry: Entry, at: int) -> None:
        known = self._bought.get(event.purchase_order, {"purchase_order": event.purchase_order})
        self._add(entry, "purchase_order_acknowledged", at, known)

    def _given_up(self, event: ev.PurchaseOrderRejected | ev.PurchaseOrderWithdrawn, entry: Entry, at: int) -> None:
        known = self._bought.get(event.purchase_order, {"purchase_order": event.purchase_order})
        self._add(entry, "cancelled", at, known)

    def _received(self, event: ev.GoodsReceived, entry: Entry, at: int) -> None:
        if not event.purchase_order:
            return
        known = self._bought.get(event.purchase_order, {"purchase_order": event.purchase_order})
        units = sum(line.quantity for line in event.lines)
        self._add(entry, "purchase_order_received", at, known | {"quantity": units})

    def _closed(self, event: ev.OrderClosed, entry: Entry, at: int) -> None:
        # Nothing follows on it but documents, whose lines are known by their number.
        for line in self._numbers.pop(event.order, ()):
            self._lines.pop((event.order, line), None)
            self._left.pop((event.order, line), None)
            self._seen.pop((event.order, line), None)


def _consignment(plan: ev.FulfillmentPlan) -> dict[str, Any]:
    return {"shipment": plan.id, "site": plan.node, "origin": plan.node, "carrier": plan.carrier or None}


_TOLD: Final[dict[type, Callable[[_Rows, Any, Entry, int], None]]] = {
    ev.OrderCaptured: _Rows._captured,
    ev.OrderHoldReleased: _Rows._approved,
    ev.SourcingDecided: _Rows._sourced,
    ev.PromiseDecided: _Rows._promised,
    ev.ReleaseDecided: _Rows._released,
    ev.GoodsPicked: _Rows._picked,
    ev.GoodsShipped: _Rows._shipped,
    ev.ShipmentLoaded: _Rows._loaded,
    ev.ShipmentDelivered: _Rows._delivered,
    ev.InvoiceCreated: _Rows._invoiced,
    ev.OrderCancelled: _Rows._cancelled,
    ev.PurchaseOrderCreated: _Rows._ordered,
    ev.PurchaseOrderAcknowledged: _Rows._acknowledged,
    ev.PurchaseOrderRejected: _Rows._given_up,
    ev.PurchaseOrderWithdrawn: _Rows._given_up,
    ev.GoodsReceived: _Rows._received,
    ev.OrderClosed: _Rows._closed,
}
