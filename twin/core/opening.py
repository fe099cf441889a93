"""What was under way before the log begins: open orders and purchase orders, told to the engine as they stand.

They become the events of their own kind, with the instant at which they really came to be, so that everything after
them is as it would be had the engine seen it. What went on before, such as units long delivered, is not of this log.
"""

from __future__ import annotations

from twin.core import buckets
from twin.core.calendar import CalendarExhausted
from twin.core.commands import LoadOrder, LoadPurchaseOrder
from twin.core.draft import Draft
from twin.core.effects import PurchaseLine
from twin.core.events import (
    OrderCaptured,
    PromiseDecided,
    PromiseRequested,
    PurchaseOrderAcknowledged,
    PurchaseOrderCreated,
    ShipmentLoaded,
)
from twin.core.ordering import invalid_order, new_order, source_units
from twin.core.refusals import Refusal
from twin.core.state import State

__all__ = ["load_order", "load_purchase_order"]


def load_order(state: State, command: LoadOrder, now: int, draft: Draft) -> Refusal | None:
    """Take over an open order with the date that its customer was told, and source it as a capture does."""
    channel = state.channels.get(command.channel)
    refusal = invalid_order(state, command)
    if refusal is not None or channel is None:
        return refusal
    if not 0 < command.captured_at <= now:
        return Refusal("captured_at", f"captured at {command.captured_at}; an order is loaded once it was captured")
    if command.releases < 0:
        return Refusal("releases", f"released {command.releases} times")
    numbers = [number for number, _ in command.promised]
    if len(dict.fromkeys(numbers)) != len(numbers):
        return Refusal("line_repeated", "a line was promised one date")
    for number, at in command.promised:
        if all(line.line != number for line in command.lines):
            return Refusal("unknown_line", f"line {number} was promised and is not in the order")
        if at < command.captured_at:
            return Refusal("promise", f"line {number} was promised for {at}, before the order was captured")
    refusal = _parcels(state, command, now)
    if refusal is not None:
        return refusal
    captured = OrderCaptured(
        command.order,
        command.channel,
        command.customer,
        command.region,
        command.criticality or channel.criticality,
        command.requested_at,
        command.lines,
        command.captured_at,
        command.releases,
    )
    order = new_order(captured, now)
    draft.events.append(captured)
    if command.promised:
        told = PromiseDecided(order.id, max([at for _, at in command.promised]), command.promised)
        draft.events.append(PromiseRequested(order.id))
        draft.events.append(told)
        order.promised_at = told.promised_at
        for number, at in command.promised:
            order.lines[number].promised_at = at
    for parcel in command.parcels:
        draft.events.append(
            ShipmentLoaded(order.id, parcel.shipment, parcel.node, parcel.carrier, parcel.shipped_at, parcel.lines)
        )
        for number, units in parcel.lines:
            held = order.lines[number].buckets
            held[buckets.OPEN] -= units
            held[buckets.SHIPPED] += units
    wanted = [
        (number, line.sku, line.buckets[buckets.OPEN])
        for number, line in order.lines.items()
        if line.buckets[buckets.OPEN]
    ]
    try:
        if wanted:
            source_units(state, order, wanted, now, draft)
    except CalendarExhausted as exhausted:
        return Refusal("calendar_exhausted", str(exhausted))
    return None


def _parcels(state: State, command: LoadOrder, now: int) -> Refusal | None:
    left = {line.line: line.quantity for line in command.lines}
    ids = [parcel.shipment for parcel in command.parcels]
    if len(dict.fromkeys(ids)) != len(ids) or any(id in state.shipments for id in ids):
        return Refusal("shipment_exists", "a parcel is on its way once")
    for parcel in command.parcels:
        if parcel.node not in state.warehouses:
            return Refusal("unknown_node", f"parcel '{parcel.shipment}': '{parcel.node}' is no warehouse")
        if not parcel.lines:
            return Refusal("no_lines", f"parcel '{parcel.shipment}' holds nothing")
        if not 0 < parcel.shipped_at <= now:
            return Refusal(
                "shipped_at", f"parcel '{parcel.shipment}' left at {parcel.shipped_at}; it is on its way once it has"
            )
        for number, units in parcel.lines:
            if units <= 0 or units > left.get(number, 0):
                return Refusal("quantity", f"parcel '{parcel.shipment}' line {number}: {units} units")
            left[number] -= units
    return None


def load_purchase_order(state: State, command: LoadPurchaseOrder, now: int, draft: Draft) -> Refusal | None:
    """Take over an open purchase order, with the supplier's date where it gave one; nothing is sent.

    What it was bought for is not known: its goods serve whoever waits first.
    """
    node = command.node
    if command.purchase_order in state.purchase_orders:
        return Refusal("purchase_order_exists", f"purchase order '{command.purchase_order}' is open already")
    if command.supplier not in state.suppliers:
        return Refusal("unknown_supplier", f"no supplier '{command.supplier}'")
    if node not in state.warehouses:
        return Refusal("unknown_node", f"'{node}' is no warehouse")
    if state.warehouses[node].drop_ship:
        return Refusal("drop_ship", f"'{node}' is a supplier's dock: what is ordered there is a customer's order")
    if not command.lines:
        return Refusal("no_lines", "a purchase order needs at least one line")
    if len(dict.fromkeys([line.sku for line in command.lines])) != len(command.lines):
        return Refusal("line_repeated", "a purchase order names each item once")
    for line in command.lines:
        if line.sku not in state.items:
            return Refusal("unknown_item", f"'{line.sku}' is not in the catalog")
        if line.quantity <= 0:
            return Refusal("quantity", f"'{line.sku}': {line.quantity} units due; it takes at least 1")
    if not 0 < command.created_at <= now:
        return Refusal("created_at", f"created at {command.created_at}; it is loaded once it was created")
    if command.eta and command.eta < command.created_at:
        return Refusal("eta", f"expected at {command.eta}, before it was created")
    first = command.lines[0].sku
    cell = state.stock.get(node, {}).get(first)
    rule = state.replenishment.get(node, {}).get(first)
    expected = command.eta or command.created_at + (rule.lead_time_ms if rule is not None else 0)
    lines = tuple([PurchaseLine(line.sku, line.quantity) for line in command.lines])
    position = cell.position if cell is not None else 0
    draft.events.append(
        PurchaseOrderCreated(
            command.purchase_order,
            command.supplier,
            node,
            expected,
            lines,
            (),
            position,
            # It was paid for, or not, before the log begins.
            0,
            command.created_at,
        )
    )
    if command.eta:
        draft.events.append(PurchaseOrderAcknowledged(command.purchase_order, command.eta))
    return None
