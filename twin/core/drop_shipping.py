"""Drop shipping: a supplier sends goods straight to the customer, from a dock of its own that stocks nothing.

To the books the goods come in at that dock and leave it in one step, when the supplier's ship notice says so.
"""

from __future__ import annotations

from twin.core.commands import ConfirmDropShipment, StockLine
from twin.core.compensation import done_after_all
from twin.core.draft import Draft
from twin.core.effects import CreatePurchaseOrder, PickLine, PurchaseLine
from twin.core.events import (
    FulfillmentPlan,
    GoodsReceived,
    GoodsShipped,
    Peg,
    PurchaseOrderCreated,
    ReleaseDecided,
    ReleaseRequested,
    Reservation,
    ReservationDecided,
    ReservationRequested,
)
from twin.core.ordering import ready_to_ship, release
from twin.core.refusals import Refusal
from twin.core.shipping import bill, left_before
from twin.core.state import State

__all__ = ["confirm_drop_shipment", "drop_ship"]


def drop_ship(state: State, node: str, sku: str, now: int, draft: Draft) -> None:
    """Order what waits for an item at a supplier's dock: one purchase order a line, with the customer's address."""
    rule = state.replenishment[node][sku]
    supplier = state.suppliers[rule.supplier]
    cell = state.stock[node][sku]
    position = cell.position
    ordered = 0
    made: dict[str, None] = {}
    for waiting in cell.waiting:
        quantity = waiting.quantity - waiting.pegged
        order = state.orders[waiting.order]
        if quantity <= 0 or order.held:
            continue
        if ordered == state.policies.batch:
            break
        ordered += 1
        purchase_order = _free(state, made, f"PO/{node}/{order.id}/{waiting.line}/{now}")
        made[purchase_order] = None
        lines = (PurchaseLine(sku, quantity),)
        draft.events.append(
            PurchaseOrderCreated(
                purchase_order,
                rule.supplier,
                node,
                max(now, order.lines[waiting.line].promised_at - state.lanes[order.region][node].promise_ms),
                lines,
                (Peg(order.id, waiting.line, quantity),),
                position,
                supplier.order_cost_minor,
            )
        )
        position += quantity
        effect = CreatePurchaseOrder(
            purchase_order,
            rule.supplier,
            node,
            lines,
            order.id,
            waiting.line,
            order.customer,
            order.region,
            state.lanes[order.region][node].carrier,
        )
        draft.deliver(state, purchase_order, "supplier", rule.supplier, effect, order.id, order.criticality, now)


def _free(state: State, made: dict[str, None], key: str) -> str:
    """The key, numbered where a purchase order has it already: a line may be short a second time at one instant."""
    name, again = key, 1
    while name in state.purchase_orders or name in made:
        again += 1
        name = f"{key}/{again}"
    return name


def confirm_drop_shipment(state: State, command: ConfirmDropShipment, now: int, draft: Draft) -> Refusal | None:
    """Take a supplier's ship notice (X12 856): goods that came in and went out at its dock, and the bill for them."""
    purchase = state.purchase_orders.get(command.purchase_order)
    if purchase is None:
        return Refusal("unknown_purchase_order", f"purchase order '{command.purchase_order}' is not open")
    order = state.orders.get(command.order)
    known = state.warehouses.get(purchase.node)
    if known is None or not known.drop_ship or order is None:
        return Refusal("no_drop_ship", f"purchase order '{command.purchase_order}' is not shipped to a customer")
    pegged = {peg.line: peg.quantity for peg in purchase.pegs if peg.order == command.order}
    if pegged.get(command.line, 0) != command.quantity or command.quantity < 1:
        told = pegged.get(command.line, 0)
        return Refusal("quantity", f"{command.quantity} units of line {command.line} shipped, {told} ordered for it")
    if left_before(state, command.shipment):
        return Refusal("shipment_exists", f"shipment '{command.shipment}' left already")
    node, sku, units = purchase.node, order.lines[command.line].sku, command.quantity
    done_after_all(state, command.purchase_order, draft)
    lane = state.lanes[order.region][node]
    fulfillment = f"{order.id}/{node}/{order.releases + 1}"
    picks = (PickLine(command.line, sku, units),)
    shipped = ((command.line, units),)
    freight = lane.shipment_cost_minor + lane.unit_cost_minor * units
    draft.events += [
        GoodsReceived(command.purchase_order, command.shipment, node, (StockLine(sku, units),)),
        ReservationRequested(order.id),
        ReservationDecided(order.id, (Reservation(command.line, node, sku, units, "soft", 0),), "on_order"),
        ReleaseRequested(order.id),
        ReleaseDecided(order.id, (FulfillmentPlan(fulfillment, node, lane.carrier, picks),)),
        GoodsShipped(order.id, command.shipment, fulfillment, node, shipped, freight),
    ]
    bill(state, order, command.shipment, shipped, now, draft)
    kept = ready_to_ship(state, order, units)
    if kept:
        release(state, order, kept, now, draft)
    return None
