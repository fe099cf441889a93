"""What follows when a supplier could not be asked: another one is, and what may have been ordered is cancelled first.

An order that surely did not arrive is withdrawn at once. One that may have (an attempt was not answered) is cancelled
by a message of its own, and goes to the next supplier when the first says that it will not deliver.
"""

from __future__ import annotations

from twin.core.commands import ConfirmPurchaseCancellation
from twin.core.draft import Draft
from twin.core.effects import CancelPurchaseOrder, CreatePurchaseOrder, PurchaseLine
from twin.core.events import (
    DeliverySucceeded,
    Peg,
    PurchaseCancellationRefused,
    PurchaseCancellationRequested,
    PurchaseOrderCreated,
    PurchaseOrderWithdrawn,
)
from twin.core.refusals import Refusal
from twin.core.stages import PURCHASE_ORDER
from twin.core.state import PurchaseOrder, State
from twin.core.undoing import undo as undo_it

__all__ = ["ask_another", "confirm_purchase_cancellation"]


def _next_supplier(state: State, purchase: PurchaseOrder) -> tuple[str, int] | None:
    """Who is asked after this order's supplier, and the lead time (ms) expected of it; None after the last."""
    (sku,) = purchase.due
    rule = state.replenishment.get(purchase.node, {}).get(sku)
    if rule is None:
        return None
    asked = [rule.supplier, *[supplier for supplier, _ in rule.alternates]]
    if purchase.supplier not in asked:
        return None
    place = asked.index(purchase.supplier)
    return rule.alternates[place] if place < len(rule.alternates) else None


def ask_another(
    state: State, effect: CreatePurchaseOrder, reason: str, criticality: str, now: int, draft: Draft, *, undo: bool
) -> None:
    """Fall back from a supplier that could not be asked; with `undo` it may have been, and is to cancel first."""
    purchase = state.purchase_orders.get(effect.purchase_order)
    if purchase is None or purchase.stage != "created" or len(purchase.due) != 1 or not _next_supplier(state, purchase):
        return
    if undo:
        key, request = f"{effect.purchase_order}/cancel", PurchaseCancellationRequested(effect.purchase_order)
        cancel = CancelPurchaseOrder(effect.purchase_order, effect.supplier, effect.node)
        undo_it(state, key, request, effect.supplier, cancel, effect.purchase_order, criticality, now, draft)
    else:
        _replace(state, effect.purchase_order, purchase, reason, criticality, now, draft)


def _replace(
    state: State, key: str, purchase: PurchaseOrder, reason: str, criticality: str, now: int, draft: Draft
) -> None:
    """Withdraw a purchase order and give its units to the next supplier, meant for whom they were meant."""
    draft.events.append(PurchaseOrderWithdrawn(key, reason))
    following = _next_supplier(state, purchase)
    if following is None:
        return
    name, lead_time_ms = following
    supplier = state.suppliers[name]
    ((sku, units),) = purchase.due.items()
    again = f"{key}/{name}"
    pack = state.replenishment[purchase.node][sku].pack or 1
    lines = (PurchaseLine(sku, -(-max(units, supplier.minimum_order) // pack) * pack),)
    pegs = tuple([Peg(peg.order, peg.line, peg.quantity) for peg in purchase.pegs if peg.quantity])
    draft.events.append(
        PurchaseOrderCreated(
            again,
            name,
            purchase.node,
            now + lead_time_ms,
            lines,
            pegs,
            state.stock[purchase.node][sku].position - units,
            supplier.order_cost_minor,
        )
    )
    effect = CreatePurchaseOrder(again, name, purchase.node, lines)
    correlation = pegs[0].order if state.replenishment[purchase.node][sku].kind == "to_order" and pegs else again
    draft.deliver(state, again, "supplier", name, effect, correlation, criticality, now)


def confirm_purchase_cancellation(
    state: State, command: ConfirmPurchaseCancellation, now: int, draft: Draft
) -> Refusal | None:
    """Take a supplier's word on a purchase order that it was asked to cancel."""
    purchase = state.purchase_orders.get(command.purchase_order)
    if purchase is None:
        return Refusal("unknown_purchase_order", f"purchase order '{command.purchase_order}' is not open")
    if command.outcome not in ("cancelled", "too_late"):
        return Refusal("outcome", f"'{command.outcome}'; a cancellation is cancelled or too_late")
    if command.outcome == "cancelled":
        if (purchase.stage, "withdrawn") not in PURCHASE_ORDER:
            return Refusal("stage", f"purchase order '{command.purchase_order}' is {purchase.stage}")
        reason = "cancelled by the supplier"
        _replace(state, command.purchase_order, purchase, reason, command.criticality, now, draft)
        return None
    draft.events.append(PurchaseCancellationRefused(command.purchase_order))
    if command.purchase_order in state.dead_letters:
        # It has the order after all.
        draft.events.append(DeliverySucceeded(command.purchase_order))
    return None
