"""Folding events about stock, purchasing and the business's definitions into the state."""

from __future__ import annotations

from bisect import insort

from twin.core.attempts import policy_of
from twin.core.events import (
    GoodsReceived,
    ItemsDefined,
    NetworkDefined,
    PoliciesDefined,
    PurchaseOrderAcknowledged,
    PurchaseOrderCreated,
    PurchaseOrderRejected,
    PurchaseOrderWithdrawn,
    ReplenishmentDefined,
    StockAdjusted,
    StockCounted,
    StockLoaded,
)
from twin.core.master import Channel
from twin.core.refusals import CorruptLog
from twin.core.sending import drop, rebuild
from twin.core.stages import PURCHASE_ORDER, advance
from twin.core.state import Backorder, Cell, Pegged, PurchaseOrder, State, withheld
from twin.core.supervision import rewatch, unwatch, watch
from twin.core.timers import cancel_timer, set_timer

__all__ = ["cell_at", "move", "next_feed", "next_reconciliation", "supply_changed", "touch", "unwait", "wait"]


def cell_at(state: State, node: str, sku: str) -> Cell:
    """The stock cell of an item at a node; made on first use, which also makes the node a candidate for the item."""
    cells = state.stock.setdefault(node, {})
    cell = cells.get(sku)
    if cell is None:
        cell = cells[sku] = Cell()
        insort(state.nodes_of.setdefault(sku, []), node)
    return cell


def touch(state: State, node: str, sku: str, cell: Cell) -> None:
    """Ask for a review, as a follow-up, where a continuously reviewed position has come down to its trigger."""
    rules = state.replenishment.get(node)
    rule = rules.get(sku) if rules is not None else None
    if rule is None or rule.review_ms:
        return
    position = cell.free + cell.inbound - cell.backordered
    if position <= (
        rule.minimum
        if rule.kind == "min_max" or rule.kind == "reorder_point"
        else rule.maximum - 1
        if rule.kind == "base_stock"
        else -1
    ):
        set_timer(state.timers, f"review/{node}/{sku}", max(state.now, cell.review_from))


def supply_changed(state: State, node: str, sku: str, cell: Cell, taken: int = 0) -> None:
    """Ask, as a follow-up, that what waits is served from free stock, less the units `taken` in this entry."""
    units = cell.free - taken
    if units > 0 and any(units > withheld(state, waiting) for waiting in cell.waiting):
        set_timer(state.timers, f"serve/{node}/{sku}", state.now)


def move(state: State, node: str, cell: Cell, sequence: int, delta: int) -> None:
    """Note a warehouse's stock movement for the reconciliation of counts.

    One that a count already included must not change the units on hand a second time.
    """
    if not sequence or not state.warehouses[node].counted:
        return
    if sequence <= cell.counted_at:
        cell.free -= delta
    else:
        cell.movements.append((sequence, delta))


def wait(state: State, node: str, sku: str, waiting: Backorder) -> None:
    """Queue units that are short, by priority, age, order and line."""
    cell = cell_at(state, node, sku)
    cell.backordered += waiting.quantity
    insort(cell.waiting, waiting, key=_rank)
    touch(state, node, sku, cell)


def _rank(waiting: Backorder) -> tuple[int, int, str, int]:
    return (waiting.priority, waiting.since, waiting.order, waiting.line)


def unwait(state: State, node: str, sku: str, order: str, line: int, bucket: int, units: int) -> None:
    """Take units of an order line out of a cell's queue, and off the pegs of purchase orders."""
    cell = state.stock[node][sku]
    left = units
    kept = []
    for waiting in cell.waiting:
        if left and waiting.order == order and waiting.line == line and waiting.bucket == bucket:
            take = min(left, waiting.quantity)
            waiting.quantity -= take
            left -= take
            over = waiting.pegged - waiting.quantity
            if over > 0:
                waiting.pegged -= over
                _unpeg(state, node, sku, order, line, over)
        if waiting.quantity:
            kept.append(waiting)
    if left:
        raise CorruptLog(f"{order} line {line}: {left} units do not wait for {sku} at {node}")
    cell.waiting = kept
    cell.backordered -= units


def _unpeg(state: State, node: str, sku: str, order: str, line: int, units: int) -> None:
    for purchase_order in state.inbound.get(node, {}).get(sku, ()):
        for peg in state.purchase_orders[purchase_order].pegs:
            if units and peg.order == order and peg.line == line:
                take = min(units, peg.quantity)
                peg.quantity -= take
                units -= take


def network_defined(state: State, event: NetworkDefined, now: int) -> None:
    state.currency = event.currency
    for warehouse in event.warehouses:
        state.warehouses[warehouse.id] = warehouse
        state.stock.setdefault(warehouse.id, {})
    for supplier in event.suppliers:
        state.suppliers[supplier.id] = supplier
    for lane in event.lanes:
        state.lanes.setdefault(lane.region, {})[lane.node] = lane
    for channel in event.channels:
        state.channels[channel.id] = channel
        next_feed(state, channel, now)
    for carrier in event.carriers:
        state.carriers[carrier.id] = carrier


def next_feed(state: State, channel: Channel, earliest: int) -> None:
    """Set the timer of a channel's stock feed to its first instant at or after `earliest`; none without a feed."""
    key = f"feed/{channel.id}"
    if channel.feed_ms:
        periods = max(0, -((channel.feed_offset_ms - earliest) // channel.feed_ms))
        set_timer(state.timers, key, channel.feed_offset_ms + periods * channel.feed_ms)
    else:
        cancel_timer(state.timers, key)


def items_defined(state: State, event: ItemsDefined, now: int) -> None:
    for item in event.items:
        state.items[item.sku] = item


def policies_defined(state: State, event: PoliciesDefined, now: int) -> None:
    if event.policies.holder != state.policies.holder:
        # Whoever was asked for its reservations holds nothing any more.
        state.asking = ""
    state.policies = event.policies
    state.preferred = dict(event.policies.preferred)
    chased = {kind: policy.chase_ms for kind, policy in state.gateways.items()}
    state.gateways = {policy.gateway: policy for policy in event.policies.delivery}
    for gateway in [each for each in state.retry_budgets if not policy_of(state, each).budget_ppm]:
        # A budget that comes back later begins full, as any does.
        del state.retry_budgets[gateway]
    before = state.supervised
    # Questions that were asked stay numbered until what they were about is over.
    state.supervised = any(policy.chase_ms for policy in event.policies.delivery) or bool(state.chases)
    if before or state.supervised:
        rewatch(state, chased, now)
    rebuild(state, now)
    next_reconciliation(state, now)


def next_reconciliation(state: State, now: int) -> None:
    """Set the timer of the next reconciliation with whoever holds the inventory, after now; none where that is here."""
    every = state.policies.reconcile_ms
    if every:
        set_timer(state.timers, "reconcile/", (now // every + 1) * every)
    else:
        cancel_timer(state.timers, "reconcile/")


def replenishment_defined(state: State, event: ReplenishmentDefined, now: int) -> None:
    for rule in event.rules:
        rules = state.replenishment.setdefault(rule.node, {})
        before = rules.get(rule.sku)
        rules[rule.sku] = rule
        cell = cell_at(state, rule.node, rule.sku)
        if before is not None and before.supplier != rule.supplier:
            # It was the other supplier that refused.
            cell.review_from = 0
        if rule.review_ms:
            periods = -((rule.review_offset_ms - now) // rule.review_ms)
            due = rule.review_offset_ms + max(0, periods) * rule.review_ms
            set_timer(state.timers, f"review/{rule.node}/{rule.sku}", due)
        else:
            touch(state, rule.node, rule.sku, cell)


def stock_loaded(state: State, event: StockLoaded, now: int) -> None:
    for line in event.lines:
        cell = cell_at(state, event.node, line.sku)
        cell.free += line.quantity
        cell.seen_at = now
        supply_changed(state, event.node, line.sku, cell)
        touch(state, event.node, line.sku, cell)
    for line in event.quarantined:
        cell = cell_at(state, event.node, line.sku)
        cell.quarantined += line.quantity
        cell.seen_at = now


def stock_adjusted(state: State, event: StockAdjusted, now: int) -> None:
    cell = cell_at(state, event.node, event.sku)
    cell.free += event.quantity + event.elsewhere
    cell.elsewhere -= event.elsewhere
    move(state, event.node, cell, event.sequence, event.quantity)
    supply_changed(state, event.node, event.sku, cell)
    touch(state, event.node, event.sku, cell)


def stock_counted(state: State, event: StockCounted, now: int) -> None:
    for sku, units in event.elsewhere:
        cell = state.stock[event.node][sku]
        cell.free += units
        cell.elsewhere -= units
    for sku, _, correction in event.lines:
        cell = state.stock[event.node][sku]
        cell.free += correction
        cell.counted_at = event.sequence
        cell.seen_at = now
        cell.movements = [movement for movement in cell.movements if movement[0] > event.sequence]
        if correction:
            supply_changed(state, event.node, sku, cell)
            touch(state, event.node, sku, cell)


def purchase_order_created(state: State, event: PurchaseOrderCreated, now: int) -> None:
    if event.purchase_order in state.purchase_orders:
        raise CorruptLog(f"purchase order {event.purchase_order} was created twice")
    state.purchase_orders[event.purchase_order] = PurchaseOrder(
        event.supplier,
        event.node,
        event.created_at or now,
        event.eta,
        {line.sku: line.quantity for line in event.lines},
        [Pegged(peg.order, peg.line, peg.quantity) for peg in event.pegs],
    )
    for line in event.lines:
        cell = cell_at(state, event.node, line.sku)
        cell.inbound += line.quantity
        state.inbound.setdefault(event.node, {}).setdefault(line.sku, []).append(event.purchase_order)
        _peg_waiting(cell, event)
        if state.supervised:
            watch(state, "supplier", event.purchase_order, now)
        if state.warehouses[event.node].drop_ship:
            # One purchase order a line: others may be left to order.
            touch(state, event.node, line.sku, cell)


def _peg_waiting(cell: Cell, event: PurchaseOrderCreated) -> None:
    for peg in event.pegs:
        left = peg.quantity
        for waiting in cell.waiting:
            if left and waiting.order == peg.order and waiting.line == peg.line:
                take = min(left, waiting.quantity - waiting.pegged)
                waiting.pegged += take
                left -= take


def purchase_order_acknowledged(state: State, event: PurchaseOrderAcknowledged, now: int) -> None:
    order = state.purchase_orders[event.purchase_order]
    order.stage = advance(PURCHASE_ORDER, order.stage, "acknowledged", event.purchase_order)
    order.eta = event.eta
    order.revision = event.revision
    if state.supervised:
        watch(state, "supplier", event.purchase_order, max(now, event.eta))


def purchase_order_rejected(state: State, event: PurchaseOrderRejected, now: int) -> None:
    order = _gone(state, event.purchase_order, "rejected")
    for sku in order.due:
        cell = state.stock[order.node][sku]
        rule = state.replenishment.get(order.node, {}).get(sku)
        if rule is not None and order.supplier in (rule.supplier, *[supplier for supplier, _ in rule.alternates]):
            # Asked again at once, a supplier that refuses would be asked without end.
            cell.review_from = now + state.policies.rejection_wait_ms
        touch(state, order.node, sku, cell)


def purchase_order_withdrawn(state: State, event: PurchaseOrderWithdrawn, now: int) -> None:
    order = _gone(state, event.purchase_order, "withdrawn")
    drop(state, event.purchase_order, now)
    for sku in order.due:
        touch(state, order.node, sku, state.stock[order.node][sku])


def _gone(state: State, purchase_order: str, step: str) -> PurchaseOrder:
    """Nothing comes of a purchase order any more; what it was meant for waits for other supply."""
    order = state.purchase_orders.pop(purchase_order)
    advance(PURCHASE_ORDER, order.stage, step, purchase_order)
    if state.supervised:
        unwatch(state, purchase_order)
    for sku, units in order.due.items():
        cell = state.stock[order.node][sku]
        cell.inbound -= units
        state.inbound[order.node][sku].remove(purchase_order)
        _release_pegs(cell, order, 0)
    return order


def _release_pegs(cell: Cell, order: PurchaseOrder, due: int) -> None:
    """Only what is still due can be meant for anybody: the first pegs were served, or wait for any supply now."""
    over = sum([peg.quantity for peg in order.pegs]) - due
    for peg in order.pegs:
        left = min(over, peg.quantity)
        if left <= 0:
            continue
        over -= left
        peg.quantity -= left
        for waiting in cell.waiting:
            if left and waiting.order == peg.order and waiting.line == peg.line:
                take = min(left, waiting.pegged)
                waiting.pegged -= take
                left -= take


def goods_received(state: State, event: GoodsReceived, now: int) -> None:
    order = state.purchase_orders[event.purchase_order]
    for line in event.lines:
        cell = state.stock[event.node][line.sku]
        if order.due[line.sku] < line.quantity:
            raise CorruptLog(f"{event.purchase_order}: more of {line.sku} received than ordered")
        order.due[line.sku] -= line.quantity
        cell.inbound -= line.quantity
        cell.free += line.quantity
        move(state, event.node, cell, event.sequence, line.quantity)
        supply_changed(state, event.node, line.sku, cell)
        touch(state, event.node, line.sku, cell)
        if not order.due[line.sku]:
            state.inbound[event.node][line.sku].remove(event.purchase_order)
        _release_pegs(cell, order, order.due[line.sku])
    done = not any(order.due.values())
    order.stage = advance(PURCHASE_ORDER, order.stage, "received" if done else "partly_received", event.purchase_order)
    if done:
        del state.purchase_orders[event.purchase_order]
        if state.supervised:
            unwatch(state, event.purchase_order)
