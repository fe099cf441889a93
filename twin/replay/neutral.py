"""A run's log in the vocabulary of foreign logs: what our own engine wrote down, as another system would export it.

So whatever reads foreign logs reads a run too, and a run thinned to what real logs have is a log whose truth is known.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twin.core import events as ev
from twin.core.commands import OrderLine, Wake
from twin.core.entry import Entry
from twin.event_log import COLUMNS, EventLog, SourceFile, arrow_schema
from twin.log import read_entries, read_manifest
from twin.log.parts import ENTRIES
from twin.scenario.units import CURRENCY_EXPONENTS

__all__ = ["event_log_of_run"]


def event_log_of_run(run: Path) -> EventLog:
    """The neutral log of a finished run. Raises `RunError` for a folder that is none.

    One row an order line and event; a purchase order is a case of its own. Event time is when it happened as the
    partner says, record time when the engine took it in. A fulfillment order is the `shipment`, as a delivery note. A
    promise carries what the decision before it saw: the units at the chosen site, and the sites that could have served.
    What was under way before the log begins has no beginning here. A line is cancelled when its last unit is given up.
    """
    manifest = read_manifest(run)
    rows = _Rows()
    for entry in read_entries(run):
        for event in entry.events:
            follow = _FOLLOW.get(type(event))
            if follow is not None:
                follow(rows, event, entry)
    import pyarrow as pa

    table = pa.table(rows.columns, schema=arrow_schema())
    return EventLog(
        title=manifest.title,
        files=(SourceFile(run.name, manifest.entries, _bytes(run), "entries of a run of this engine"),),
        table=table,
        zone="UTC",
        currency=rows.currency,
        currency_exponent=CURRENCY_EXPONENTS.get(rows.currency, 2),
        as_of_ms=manifest.end_ms,
        as_of_stated=True,
        whole=False,
        left_out_rows=0,
        remarks=(),
        caveats=(),
        refused={},
    )


def _bytes(run: Path) -> int:
    return sum(part.stat().st_size for part in sorted((run / ENTRIES).glob("*.parquet")))


def _happened(entry: Entry) -> int:
    command = entry.command
    return entry.now if isinstance(command, Wake) or not command.time else min(entry.now, command.time)


class _Order:
    """What later events of an order do not say again."""

    def __init__(self, event: ev.OrderCaptured) -> None:
        self.lines: dict[int, OrderLine] = {line.line: line for line in event.lines}
        self.said = {
            "order": event.order,
            "customer": event.customer,
            "channel": event.channel,
            "region": event.region,
            "requested_ms": event.requested_at,
        }
        self.sourced: dict[int, tuple[int | None, str | None]] = {}
        self.wanted = {line.line: line.quantity for line in event.lines}


class _Rows:
    """The columns as they grow, and what is open."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        self.currency = ""
        self.orders: dict[str, _Order] = {}
        self.plans: dict[str, ev.FulfillmentPlan] = {}
        # Fulfillment order and lines of each parcel under way.
        self.parcels: dict[str, tuple[str, tuple[tuple[int, int], ...]]] = {}
        self.bought: dict[str, ev.PurchaseOrderCreated] = {}
        # Fulfillment order of each parcel: an invoice names the parcel alone.
        self.notes: dict[str, str] = {}

    def add(self, case: str, activity: str, event_ms: int, record_ms: int, **said: Any) -> None:
        said |= {"case_id": case, "activity": activity, "event_ms": event_ms, "record_ms": record_ms}
        said["row"] = len(self.columns["row"]) + 1
        for name, column in self.columns.items():
            column.append(said.get(name))

    def line(
        self, order: _Order, number: int, activity: str, at: int, entry: Entry, quantity: int | None = None, **said: Any
    ) -> None:
        """A row about a line; without a quantity it is about the whole line."""
        line = order.lines.get(number)
        if line is None:
            return
        units = line.quantity if quantity is None else quantity
        said |= order.said | {"line": str(number), "item": line.sku, "quantity": units}
        said["value_minor"] = line.quantity * line.price_minor
        self.add(f"{order.said['order']}/{number}", activity, at, entry.now, **said)

    # --- one each event

    def network(self, event: ev.NetworkDefined, entry: Entry) -> None:
        self.currency = event.currency

    def captured(self, event: ev.OrderCaptured, entry: Entry) -> None:
        if event.captured_at:
            return
        order = self.orders[event.order] = _Order(event)
        for number in order.lines:
            self.line(order, number, "order_placed", _happened(entry), entry)

    def sourced(self, event: ev.SourcingDecided, entry: Entry) -> None:
        order = self.orders.get(event.order)
        if order is None:
            return
        for leg in event.legs:
            seen = [one for one in event.considered if one.line == leg.line]
            views = [one.available for one in seen if one.node == leg.node]
            sites = ", ".join(one.node for one in seen)
            order.sourced[leg.line] = (views[0] if views else None, sites or None)

    def promised(self, event: ev.PromiseDecided, entry: Entry) -> None:
        order = self.orders.get(event.order)
        if order is None:
            return
        for number, at in event.lines:
            view, sites = order.sourced.get(number, (None, None))
            self.line(order, number, "promised", entry.now, entry, promised_ms=at, stock_view=view, candidates=sites)

    def released(self, event: ev.ReleaseDecided, entry: Entry) -> None:
        for plan in event.fulfillment_orders:
            self.plans[plan.id] = plan
            self._plan(event.order, plan, "released", entry.now, entry)

    def picked(self, event: ev.GoodsPicked, entry: Entry) -> None:
        plan = self.plans.get(event.fulfillment_order)
        if plan is not None:
            self._plan(event.order, plan, event.stage, _happened(entry), entry)

    def _plan(self, order_id: str, plan: ev.FulfillmentPlan, activity: str, at: int, entry: Entry) -> None:
        order = self.orders.get(order_id)
        if order is not None:
            said = _consignment(plan.id, plan.node, plan.carrier)
            for pick in plan.lines:
                self.line(order, pick.line, activity, at, entry, pick.quantity, **said)

    def shipped(self, event: ev.GoodsShipped, entry: Entry) -> None:
        self.notes[event.shipment] = event.fulfillment_order
        self.parcels[event.shipment] = (event.fulfillment_order, event.lines)
        self._parcel(event.order, event.fulfillment_order, event.lines, "handed_to_carrier", _happened(entry), entry)

    def delivered(self, event: ev.ShipmentDelivered, entry: Entry) -> None:
        note, lines = self.parcels.pop(event.shipment, ("", ()))
        self._parcel(event.order, note, lines, "delivered", event.at, entry)
        self.plans.pop(note, None)

    def _parcel(
        self, order_id: str, note: str, lines: tuple[tuple[int, int], ...], activity: str, at: int, entry: Entry
    ) -> None:
        order, plan = self.orders.get(order_id), self.plans.get(note)
        if order is not None:
            said = _consignment(note, plan.node, plan.carrier) if plan is not None else {"shipment": note}
            for number, units in lines:
                self.line(order, number, activity, at, entry, units, **said)

    def cancelled(self, event: ev.OrderCancelled, entry: Entry) -> None:
        order = self.orders.get(event.order)
        if order is not None:
            for units in event.units:
                wanted = order.wanted.get(units.line, 0)
                order.wanted[units.line] = wanted - units.quantity
                if 0 < wanted <= units.quantity:
                    self.line(order, units.line, "cancelled", _happened(entry), entry, units.quantity)

    def approved(self, event: ev.OrderHoldReleased, entry: Entry) -> None:
        order = self.orders.get(event.order)
        if order is not None:
            for number in order.lines:
                self.line(order, number, "order_approved", _happened(entry), entry)

    def invoiced(self, event: ev.InvoiceCreated, entry: Entry) -> None:
        order = self.orders.get(event.order)
        note = self.notes.get(event.shipment, "")
        if order is not None:
            for number, units, _ in event.lines:
                self.line(order, number, "invoiced", entry.now, entry, units, shipment=note or None)

    def closed(self, event: ev.OrderClosed, entry: Entry) -> None:
        self.orders.pop(event.order, None)

    def bought_(self, event: ev.PurchaseOrderCreated, entry: Entry) -> None:
        if not event.created_at:
            self.bought[event.purchase_order] = event
            self._purchase(event, "purchase_order_created", entry.now, entry)

    def acknowledged(self, event: ev.PurchaseOrderAcknowledged, entry: Entry) -> None:
        bought = self.bought.get(event.purchase_order)
        if bought is not None:
            self._purchase(bought, "purchase_order_acknowledged", _happened(entry), entry)

    def received(self, event: ev.GoodsReceived, entry: Entry) -> None:
        bought = self.bought.get(event.purchase_order)
        if bought is not None:
            for line in event.lines:
                said = {"supplier": bought.supplier, "item": line.sku, "quantity": line.quantity}
                self.add(
                    event.purchase_order,
                    "purchase_order_received",
                    _happened(entry),
                    entry.now,
                    purchase_order=event.purchase_order,
                    site=event.node,
                    **said,
                )

    def _purchase(self, event: ev.PurchaseOrderCreated, activity: str, at: int, entry: Entry) -> None:
        said = {"purchase_order": event.purchase_order, "supplier": event.supplier, "site": event.node}
        for line in event.lines:
            self.add(event.purchase_order, activity, at, entry.now, item=line.sku, quantity=line.quantity, **said)


def _consignment(note: str, site: str, carrier: str) -> dict[str, Any]:
    return {"shipment": note, "site": site, "origin": site, "carrier": carrier}


_FOLLOW: Final[dict[type, Callable[[_Rows, Any, Entry], None]]] = {
    ev.NetworkDefined: _Rows.network,
    ev.OrderCaptured: _Rows.captured,
    ev.SourcingDecided: _Rows.sourced,
    ev.PromiseDecided: _Rows.promised,
    ev.ReleaseDecided: _Rows.released,
    ev.GoodsPicked: _Rows.picked,
    ev.GoodsShipped: _Rows.shipped,
    ev.ShipmentDelivered: _Rows.delivered,
    ev.InvoiceCreated: _Rows.invoiced,
    ev.OrderHoldReleased: _Rows.approved,
    ev.OrderCancelled: _Rows.cancelled,
    ev.OrderClosed: _Rows.closed,
    ev.PurchaseOrderCreated: _Rows.bought_,
    ev.PurchaseOrderAcknowledged: _Rows.acknowledged,
    ev.GoodsReceived: _Rows.received,
}
