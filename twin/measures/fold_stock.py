"""Folding events about stock, purchasing and the business's definitions into the facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.core import events as ev
from twin.core.stages import PURCHASE_ORDER
from twin.measures.messages import AVAILABILITY, CANCEL_ORDER, PURCHASE
from twin.measures.records import Purchase, PurchaseFacts

if TYPE_CHECKING:
    from twin.measures.facts import Facts

__all__ = [
    "counted_before",
    "found_again",
    "goods_received",
    "items_defined",
    "network_defined",
    "policies_defined",
    "purchase_order_acknowledged",
    "purchase_order_created",
    "purchase_order_rejected",
    "replenishment_defined",
    "step",
    "stock_adjusted",
    "stock_counted",
    "stock_loaded",
]


def step(facts: Facts, table: dict[tuple[str, str], str], stage: str, event: str) -> str:
    """The stage after `event`; one that the table does not allow is counted and changes nothing."""
    after = table.get((stage, event))
    if after is None:
        facts.illegal_transitions += 1
        return stage
    return after


def counted_before(facts: Facts, node: str, counted_at: int, sequence: int) -> bool:
    """Whether a count already saw this movement: it must not change the units on hand a second time."""
    return sequence > 0 and sequence <= counted_at and facts.counted_nodes.get(node, False)


def network_defined(facts: Facts, event: ev.NetworkDefined, now: int) -> None:
    for warehouse in event.warehouses:
        facts.counted_nodes[warehouse.id] = warehouse.counted
        if warehouse.drop_ship:
            facts.drop_ship_nodes[warehouse.id] = None
    if facts.trace and now > facts.start:
        facts.recorded += [(now, "minimum_order", each.id, "", each.minimum_order) for each in event.suppliers]


def items_defined(facts: Facts, event: ev.ItemsDefined, now: int) -> None:
    for item in event.items:
        if facts.trace and now > facts.start:
            facts.recorded.append((now, "status", "", item.sku, int(item.blocked)))
        before = facts.costs.get(item.sku)
        facts.costs[item.sku] = item.cost_minor
        if before is None or before == item.cost_minor:
            continue
        for cells in facts.cells.values():
            cell = cells.get(item.sku)
            if cell is not None:
                cell.settle(now)
                cell.revalue(before)
                facts.on_hand_value += max(0, cell.on_hand) * (item.cost_minor - before)


def policies_defined(facts: Facts, event: ev.PoliciesDefined, now: int) -> None:
    facts.messages.acknowledged = {policy.gateway: policy.acknowledge for policy in event.policies.delivery}
    facts.messages.retries = {policy.gateway: policy.retries for policy in event.policies.delivery}


def replenishment_defined(facts: Facts, event: ev.ReplenishmentDefined, now: int) -> None:
    for rule in event.rules:
        facts.cell(rule.node, rule.sku, now).stocked = rule.kind != "to_order"
        if facts.trace and now > facts.start:
            facts.recorded.append((now, "lead_time", rule.node, rule.sku, rule.lead_time_ms))
            facts.recorded.append((now, "pack", rule.node, rule.sku, rule.pack))


def stock_loaded(facts: Facts, event: ev.StockLoaded, now: int) -> None:
    for line in event.lines:
        facts.shift(facts.cell(event.node, line.sku, now), now, line.quantity, line.quantity)
    for line in event.quarantined:
        facts.shift(facts.cell(event.node, line.sku, now), now, 0, line.quantity)


def stock_adjusted(facts: Facts, event: ev.StockAdjusted, now: int) -> None:
    cell = facts.cell(event.node, event.sku, now)
    if not counted_before(facts, event.node, cell.counted_at, event.sequence):
        facts.shift(cell, now, event.quantity, event.quantity)
        if event.elsewhere:
            not_kept(facts, event.node, event.sku, event.elsewhere, now)
        found_again(facts, event.sku, event.quantity, now)


def stock_counted(facts: Facts, event: ev.StockCounted, now: int) -> None:
    for sku, _, correction in event.lines:
        cell = facts.cell(event.node, sku, now)
        facts.stale_overwrites += event.sequence < cell.counted_at
        cell.counted_at = event.sequence
        # The entry's command carries the instant of the count; `Messages.take` saw it before.
        cell.counted_time = facts.messages.counted_time
        if correction:
            facts.shift(cell, now, correction, correction)
            found_again(facts, sku, correction, now)
    for sku, units in event.elsewhere:
        not_kept(facts, event.node, sku, units, now)


def not_kept(facts: Facts, node: str, sku: str, units: int, now: int) -> None:
    """Units that are gone were not free: they were known to be kept for others."""
    facts.shift(facts.cell(node, sku, now), now, units, 0)
    facts.elsewhere[node, sku] = facts.elsewhere.get((node, sku), 0) - units


def found_again(facts: Facts, sku: str, units: int, now: int) -> None:
    """Units that a record got though nothing came in, or a count's loss was explained; fewer than 0 are written off."""
    if now >= facts.begin:
        facts.written_off -= units * facts.costs.get(sku, 0)


def purchase_order_created(facts: Facts, event: ev.PurchaseOrderCreated, now: int) -> None:
    key = event.purchase_order
    if key in facts.purchases or facts.was_closed(key):
        facts.duplicate("purchase_order.created")
    if event.created_at:
        # Sent, answered and paid for before the log begins: only what comes of it is of this run.
        purchase = facts.purchases[key] = PurchaseFacts(event.created_at, {e.sku: e.quantity for e in event.lines})
        purchase.acknowledged = True
        return
    facts.messages.due.append((PURCHASE, key))
    if facts.trace:
        orders = tuple(dict.fromkeys([peg.order for peg in event.pegs]))
        facts.bought[key] = Purchase(now, event.supplier, event.node, tuple([line.sku for line in event.lines]), orders)
    facts.purchases[key] = PurchaseFacts(now, {line.sku: line.quantity for line in event.lines})
    period = (now - facts.start) // facts.rates.period_ms
    facts.ordered[period] = facts.ordered.get(period, 0) + sum([line.quantity for line in event.lines])
    if now < facts.begin:
        return
    facts.purchase_orders += 1
    facts.unpegged_purchase_orders += not event.pegs
    facts.ordering += event.cost_minor
    for peg in event.pegs:
        order = facts.orders.get(peg.order)
        if order is not None:
            facts.shortage_to_purchase.append(now - order.lines[peg.line].short_since)


def purchase_order_acknowledged(facts: Facts, event: ev.PurchaseOrderAcknowledged, now: int) -> None:
    purchase = facts.purchases.get(event.purchase_order)
    if purchase is None:
        facts.illegal_transitions += 1
        return
    purchase.stage = step(facts, PURCHASE_ORDER, purchase.stage, "acknowledged")
    facts.stale_overwrites += event.revision < purchase.revision
    purchase.revision = event.revision
    _answered(facts, purchase, now)


def _answered(facts: Facts, purchase: PurchaseFacts, now: int) -> None:
    if not purchase.acknowledged and now >= facts.begin:
        facts.supplier_response.append(now - purchase.created_at)
    purchase.acknowledged = True


def purchase_order_rejected(facts: Facts, event: ev.PurchaseOrderRejected, now: int) -> None:
    purchase = facts.purchases.pop(event.purchase_order, None)
    if purchase is None:
        facts.illegal_transitions += 1
        return
    step(facts, PURCHASE_ORDER, purchase.stage, "rejected")
    _answered(facts, purchase, now)
    facts.close(event.purchase_order)


def purchase_order_withdrawn(facts: Facts, event: ev.PurchaseOrderWithdrawn, now: int) -> None:
    purchase = facts.purchases.pop(event.purchase_order, None)
    if purchase is None:
        facts.illegal_transitions += 1
        return
    step(facts, PURCHASE_ORDER, purchase.stage, "withdrawn")
    facts.close(event.purchase_order)
    facts.messages.withdraw(event.purchase_order)
    facts.messages.other_suppliers += now >= facts.begin


def purchase_cancellation_requested(facts: Facts, event: ev.PurchaseCancellationRequested, now: int) -> None:
    facts.messages.due.append((CANCEL_ORDER, f"{event.purchase_order}/cancel"))


def goods_received(facts: Facts, event: ev.GoodsReceived, now: int) -> None:
    purchase = facts.purchases.get(event.purchase_order)
    if purchase is None:
        facts.duplicate("purchase_order.received")
        facts.illegal_transitions += 1
    for line in event.lines:
        sku, units = line.sku, line.quantity
        cell = facts.cell(event.node, sku, now)
        if now >= facts.begin:
            facts.cycles += 1
            facts.cycles_served += not (cell.cycle_short or cell.backordered)
        cell.cycle_short = False
        if counted_before(facts, event.node, cell.counted_at, event.sequence):
            found_again(facts, sku, -units, now)
        else:
            facts.shift(cell, now, units, units)
        if purchase is not None:
            purchase.due[sku] = purchase.due.get(sku, 0) - units
            if purchase.due[sku] < 0:
                facts.duplicate("units beyond the purchase order")
    if purchase is not None:
        done = not any(units > 0 for units in purchase.due.values())
        purchase.stage = step(facts, PURCHASE_ORDER, purchase.stage, "received" if done else "partly_received")
        if done:
            del facts.purchases[event.purchase_order]
            facts.close(event.purchase_order)


def availability_published(facts: Facts, event: ev.AvailabilityPublished, now: int) -> None:
    for number in range(1, event.parts + 1):
        facts.messages.due.append((AVAILABILITY, f"FEED/{event.channel}/{event.snapshot}/{number}"))
