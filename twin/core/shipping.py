"""What warehouses and carriers report: picks, shipments, milestones, delivery; and the bill that a shipment makes."""

from __future__ import annotations

from collections.abc import Mapping

from twin.core import buckets
from twin.core.commands import ConfirmPick, ConfirmShipment, PublishMilestone
from twin.core.compensation import done_after_all
from twin.core.draft import Draft
from twin.core.effects import PostCredit, PostInvoice
from twin.core.events import (
    CreditIssued,
    CreditRejected,
    GoodsPicked,
    GoodsShipped,
    InvoiceCreated,
    MilestonePended,
    ShipmentDelivered,
    ShipmentMilestoneReached,
    StockAdjusted,
    UnitsShorted,
)
from twin.core.refusals import Refusal
from twin.core.stages import FULFILLMENT_ORDER, SHIPMENT
from twin.core.state import FulfillmentOrder, Order, State

__all__ = ["bill", "confirm_pick", "confirm_shipment", "credit_waiting", "publish_milestone"]


def confirm_pick(state: State, command: ConfirmPick, now: int, draft: Draft) -> Refusal | None:
    """Record that a fulfillment order was picked or packed."""
    fulfillment = state.fulfillment_orders.get(command.fulfillment_order)
    if fulfillment is None:
        return Refusal("unknown_fulfillment_order", f"'{command.fulfillment_order}' is not open")
    mixed_up = _mixed_up(fulfillment, command)
    if mixed_up is not None:
        return mixed_up
    if (fulfillment.stage, command.stage) not in FULFILLMENT_ORDER or command.stage not in (
        "picked",
        "packed",
    ):
        return Refusal("stage", f"'{command.fulfillment_order}' is {fulfillment.stage}: it cannot be {command.stage}")
    done_after_all(state, command.fulfillment_order, draft)
    draft.events.append(GoodsPicked(fulfillment.order, command.fulfillment_order, command.stage))
    return None


def _mixed_up(fulfillment: FulfillmentOrder, command: ConfirmPick | ConfirmShipment) -> Refusal | None:
    """The refusal of a report whose fulfillment order is another order's or another warehouse's."""
    name = command.fulfillment_order
    if command.order != fulfillment.order:
        return Refusal("order", f"'{name}' is for order '{fulfillment.order}', not '{command.order}'")
    if command.node != fulfillment.node:
        return Refusal("node", f"'{name}' is for {fulfillment.node}, not {command.node}")
    return None


def confirm_shipment(state: State, command: ConfirmShipment, now: int, draft: Draft) -> Refusal | None:
    """Record what left, give back what was short, bill what left, and credit what waited to be billed."""
    fulfillment = state.fulfillment_orders.get(command.fulfillment_order)
    if fulfillment is None:
        return Refusal("unknown_fulfillment_order", f"'{command.fulfillment_order}' is not open")
    mixed_up = _mixed_up(fulfillment, command)
    if mixed_up is not None:
        return mixed_up
    if left_before(state, command.shipment):
        return Refusal("shipment_exists", f"shipment '{command.shipment}' left already")
    shipped = dict(command.lines)
    if len(shipped) != len(command.lines):
        return Refusal("line_repeated", "a shipment names each line once")
    wanted = {pick.line: 0 for pick in fulfillment.lines}
    for pick in fulfillment.lines:
        wanted[pick.line] += pick.quantity
    for number, units in command.lines:
        if units <= 0 or units > wanted.get(number, 0):
            return Refusal("over_shipment", f"line {number}: {units} units shipped, {wanted.get(number, 0)} instructed")
    short = tuple(
        [(number, units - shipped.get(number, 0)) for number, units in wanted.items() if shipped.get(number, 0) < units]
    )
    done_after_all(state, command.fulfillment_order, draft)
    if short:
        draft.events.append(UnitsShorted(fulfillment.order, command.fulfillment_order, short))
        _found_before(state, fulfillment, short, draft)
    if not command.lines:
        return None
    order = state.orders[fulfillment.order]
    lane = state.lanes[order.region][fulfillment.node]
    units = sum([quantity for _, quantity in command.lines])
    draft.events.append(
        GoodsShipped(
            order.id,
            command.shipment,
            command.fulfillment_order,
            fulfillment.node,
            command.lines,
            lane.shipment_cost_minor + lane.unit_cost_minor * units,
            command.sequence,
        )
    )
    bill(state, order, command.shipment, command.lines, now, draft)
    if order.early:
        _catch_up(order, command.shipment, draft)
    return None


def _found_before(
    state: State, fulfillment: FulfillmentOrder, short: tuple[tuple[int, int], ...], draft: Draft
) -> None:
    """Take back the part of a shortage that a count found out first.

    A belief below zero says already that reserved units are not there: to correct it again would hide real units.
    """
    lines = state.orders[fulfillment.order].lines
    missing: dict[str, int] = {}
    for number, units in short:
        missing[lines[number].sku] = missing.get(lines[number].sku, 0) + units
    for sku, units in missing.items():
        known = min(units, -state.stock[fulfillment.node][sku].free)
        if known > 0:
            draft.events.append(StockAdjusted(fulfillment.node, sku, known, "short pick of what a count had found"))


def left_before(state: State, shipment: str) -> bool:
    """Whether a parcel of that name is on its way, or its invoice is not posted yet."""
    invoice = f"INV/{shipment}"
    return shipment in state.shipments or invoice in state.deliveries or invoice in state.dead_letters


def bill(
    state: State, order: Order, shipment: str, shipped: tuple[tuple[int, int], ...], now: int, draft: Draft
) -> None:
    """Bill what a shipment holds, and credit what waited to be billed."""
    invoice = f"INV/{shipment}"
    lines = tuple([(number, units, order.lines[number].price_minor) for number, units in shipped])
    amount = sum([units * price for _, units, price in lines])
    draft.events.append(InvoiceCreated(order.id, invoice, shipment, lines, amount))
    effect = PostInvoice(invoice, order.id, shipment, order.customer, lines, amount)
    draft.deliver(state, invoice, "erp", "", effect, order.id, order.criticality, now)
    credit_waiting(state, order, dict(shipped), now, draft)


def credit_waiting(state: State, order: Order, shipped: Mapping[int, int], now: int, draft: Draft) -> None:
    """Issue the credits whose units are billed, those `shipped` just now (line -> units) among them.

    Where nothing of the line can be billed any more, a credit gets what is left of it, or is rejected.
    """
    taken: dict[int, int] = {}
    for pending in order.credits:
        number = pending.line
        line = order.lines[number]
        new = shipped.get(number, 0)
        billed = line.billed + new - line.credited - taken.get(number, 0)
        coming = sum(line.buckets[: buckets.SHIPPED]) - new
        if pending.quantity > billed and coming:
            continue
        units = min(pending.quantity, billed)
        if units:
            taken[number] = taken.get(number, 0) + units
            credit(state, order, pending.credit, number, units, now, draft, pending.quantity - units)
        else:
            reason = f"nothing of line {number} is left to credit: it was cancelled or rejected"
            draft.events.append(CreditRejected(order.id, pending.credit, reason))


def credit(
    state: State, order: Order, document: str, number: int, units: int, now: int, draft: Draft, remainder: int = 0
) -> None:
    """Issue a credit note over billed units of an order line; `remainder` units more were asked for in vain."""
    amount = units * order.lines[number].price_minor
    draft.events.append(CreditIssued(order.id, document, number, units, amount, remainder))
    effect = PostCredit(document, order.id, number, units, amount)
    draft.deliver(state, document, "erp", "", effect, order.id, order.criticality, now)


def _pend_milestone(state: State, command: PublishMilestone, draft: Draft) -> Refusal | None:
    """Keep a milestone that overtook the warehouse's confirmation; one of no shipment to come is refused."""
    order = state.orders.get(command.order)
    to_come = order is not None and any(
        line.buckets[buckets.RELEASED] + line.buckets[buckets.PICKED] for line in order.lines.values()
    )
    if order is None or not to_come or ("shipped", command.milestone) not in SHIPMENT:
        return Refusal("unknown_shipment", f"shipment '{command.shipment}' is not on its way")
    if any(kept.shipment == command.shipment and kept.milestone == command.milestone for kept in order.early):
        return Refusal("stage", f"'{command.milestone}' of shipment '{command.shipment}' waits already")
    draft.events.append(MilestonePended(order.id, command.shipment, command.milestone, command.time))
    return None


def _catch_up(order: Order, shipment: str, draft: Draft) -> None:
    """Tell the milestones that came before the shipment's confirmation, as far as the stages allow."""
    stage = "shipped"
    for kept in order.early:
        after = SHIPMENT.get((stage, kept.milestone)) if kept.shipment == shipment else None
        if after is None:
            continue
        stage = after
        if kept.milestone == "delivered":
            draft.events.append(ShipmentDelivered(order.id, shipment, kept.at))
        else:
            draft.events.append(ShipmentMilestoneReached(order.id, shipment, kept.milestone, kept.at))


def publish_milestone(state: State, command: PublishMilestone, now: int, draft: Draft) -> Refusal | None:
    """Record a shipment's milestone; one that comes late or out of order changes nothing."""
    shipment = state.shipments.get(command.shipment)
    if shipment is None:
        return _pend_milestone(state, command, draft)
    if (shipment.stage, command.milestone) not in SHIPMENT:
        return Refusal(
            "stage",
            f"shipment '{command.shipment}' is {shipment.stage}: '{command.milestone}' comes too late",
        )
    if command.milestone == "delivered":
        draft.events.append(ShipmentDelivered(shipment.order, command.shipment, command.time))
    else:
        draft.events.append(ShipmentMilestoneReached(shipment.order, command.shipment, command.milestone, command.time))
    return None
