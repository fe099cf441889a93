"""Buying: reviews of the inventory position, purchase orders with their pegs, acknowledgements and receipts."""

from __future__ import annotations

from twin.core.backorders import serve
from twin.core.commands import AcknowledgePurchaseOrder, ReceiveGoods
from twin.core.compensation import done_after_all
from twin.core.draft import Draft
from twin.core.drop_shipping import drop_ship
from twin.core.effects import CreatePurchaseOrder, PurchaseLine
from twin.core.events import (
    GoodsReceived,
    Peg,
    PurchaseOrderAcknowledged,
    PurchaseOrderCreated,
    PurchaseOrderRejected,
)
from twin.core.master import Replenishment
from twin.core.refusals import Refusal
from twin.core.stages import PURCHASE_ORDER
from twin.core.state import Backorder, Cell, Pegged, State

__all__ = ["acknowledge_purchase_order", "order_quantity", "receive_goods", "review"]


def order_quantity(rule: Replenishment, position: int) -> int:
    """Units to buy at this inventory position; 0 for none. The rule orders at or below its reorder level.

    (s,S), (r,Q) and base stock as in Snyder and Shen, Fundamentals of Supply Chain Theory; (r,Q) orders the
    smallest multiple of Q that lifts the position above r.
    """
    if rule.kind in ("to_order", "drop_ship"):
        return max(0, -position)
    if rule.kind == "base_stock":
        return max(0, rule.maximum - position)
    if position > rule.minimum:
        return 0
    if rule.kind == "min_max":
        return rule.maximum - position
    return rule.quantity * ((rule.minimum - position) // rule.quantity + 1)


def review(state: State, node: str, sku: str, now: int, draft: Draft) -> None:
    """Review one item at one node and buy what its rule says, pegged to the demand that waits for it."""
    rule = state.replenishment[node][sku]
    cell = state.stock[node][sku]
    quantity = order_quantity(rule, cell.position)
    if quantity <= 0:
        return
    if rule.kind == "drop_ship":
        drop_ship(state, node, sku, now, draft)
        return
    supplier = state.suppliers[rule.supplier]
    quantity = max(quantity, supplier.minimum_order)
    if rule.pack:
        quantity = -(-quantity // rule.pack) * rule.pack
    purchase_order = f"PO/{node}/{sku}/{now}"
    again = 1
    while purchase_order in state.purchase_orders:
        # A second shortage at the same instant, after the first was bought for.
        again += 1
        purchase_order = f"PO/{node}/{sku}/{now}/{again}"
    lines = (PurchaseLine(sku, quantity),)
    pegs = _peg(cell, quantity)
    draft.events.append(
        PurchaseOrderCreated(
            purchase_order,
            rule.supplier,
            node,
            now + rule.lead_time_ms,
            lines,
            pegs,
            cell.position,
            supplier.order_cost_minor,
        )
    )
    effect = CreatePurchaseOrder(purchase_order, rule.supplier, node, lines)
    correlation = pegs[0].order if rule.kind == "to_order" and pegs else purchase_order
    pegged = state.orders.get(correlation)
    criticality = pegged.criticality if pegged is not None else ""
    draft.deliver(state, purchase_order, "supplier", rule.supplier, effect, correlation, criticality, now)


def _peg(cell: Cell, quantity: int) -> tuple[Peg, ...]:
    """Peg the coming units to the queue's units that no other purchase order is meant for."""
    pegs: list[Peg] = []
    left = quantity
    for waiting in cell.waiting:
        free = waiting.quantity - waiting.pegged
        if left <= 0:
            break
        if free > 0:
            take = min(left, free)
            pegs.append(Peg(waiting.order, waiting.line, take))
            left -= take
    return tuple(pegs)


def acknowledge_purchase_order(
    state: State, command: AcknowledgePurchaseOrder, now: int, draft: Draft
) -> Refusal | None:
    """Take the supplier's answer: its date, or its refusal."""
    order = state.purchase_orders.get(command.purchase_order)
    if order is None:
        return Refusal("unknown_purchase_order", f"purchase order '{command.purchase_order}' is not open")
    event = {"accepted": "acknowledged", "rejected": "rejected"}.get(command.code)
    if event is None:
        return Refusal("code", f"'{command.code}'; a supplier's code is accepted or rejected")
    if (order.stage, event) not in PURCHASE_ORDER:
        return Refusal("stage", f"purchase order '{command.purchase_order}' is {order.stage}")
    if command.revision < order.revision:
        # An answer that a later one has overtaken.
        return Refusal("outdated", f"revision {command.revision}, and revision {order.revision} is known already")
    done_after_all(state, command.purchase_order, draft)
    if event == "rejected":
        draft.events.append(PurchaseOrderRejected(command.purchase_order, "rejected by the supplier"))
    else:
        draft.events.append(PurchaseOrderAcknowledged(command.purchase_order, command.eta, command.revision))
    return None


def receive_goods(state: State, command: ReceiveGoods, now: int, draft: Draft) -> Refusal | None:
    """Book purchased goods in; what they were bought for is served at once, the rest of the queue by a follow-up."""
    order = state.purchase_orders.get(command.purchase_order)
    if order is None:
        return Refusal("unknown_purchase_order", f"purchase order '{command.purchase_order}' is not open")
    if state.warehouses[order.node].drop_ship:
        return Refusal("drop_ship", f"purchase order '{command.purchase_order}' is shipped to the customer")
    if order.node != command.node:
        return Refusal("node", f"purchase order '{command.purchase_order}' is for {order.node}, not {command.node}")
    if not command.lines:
        return Refusal("no_lines", "a receipt needs at least one line")
    if len(dict.fromkeys([line.sku for line in command.lines])) != len(command.lines):
        return Refusal("line_repeated", "a receipt names each item once")
    for line in command.lines:
        due = order.due.get(line.sku, 0)
        if line.quantity <= 0 or line.quantity > due:
            return Refusal("over_receipt", f"{line.quantity} of '{line.sku}' received, {due} still due")
    done_after_all(state, command.purchase_order, draft)
    draft.events.append(
        GoodsReceived(command.purchase_order, command.receipt, command.node, command.lines, command.sequence)
    )
    for line in command.lines:
        cell = state.stock[command.node][line.sku]
        # A count may have found the goods before their receipt was reported: then they are in `free` already.
        counted = state.warehouses[command.node].counted and 0 < command.sequence <= cell.counted_at
        served = _pegged(cell, order.pegs, line.quantity, 0 if counted else line.quantity)
        if served:
            serve(state, command.node, line.sku, served, now, draft)
    return None


def _pegged(cell: Cell, pegs: list[Pegged], units: int, new: int) -> list[tuple[Backorder, int]]:
    """Which waiting units the received goods were bought for; `new` of the units are not yet in the free stock."""
    # A belief below zero means that fewer units are there than are reserved: those come first.
    left = min(units, new + cell.free)
    served: list[tuple[Backorder, int]] = []
    meant = [peg.quantity for peg in pegs]
    for waiting in cell.waiting:
        take = 0
        for index, peg in enumerate(pegs):
            if waiting.order == peg.order and waiting.line == peg.line:
                more = max(0, min(left, meant[index], waiting.quantity - take))
                meant[index] -= more
                left -= more
                take += more
        if take:
            served.append((waiting, take))
    return served
