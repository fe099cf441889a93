"""Folding events about orders, shipments and bills into the state."""

from __future__ import annotations

from bisect import bisect_left

from twin.core.buckets import (
    BACKORDERED,
    CANCELLED,
    DELIVERED,
    INDEX,
    ON_ORDER,
    OPEN,
    PICKED,
    RELEASED,
    RESERVED,
    ROUTE_BUCKETS,
    SHIPPED,
    SOURCING,
)
from twin.core.dedupe import credit_key, remember
from twin.core.events import (
    CreditIssued,
    CreditPended,
    CreditReferred,
    CreditRejected,
    GoodsPicked,
    GoodsShipped,
    InvoiceCreated,
    Leg,
    MilestonePended,
    OrderCancelled,
    OrderCaptured,
    OrderClosed,
    OrderHeld,
    OrderHoldReleased,
    PromiseDecided,
    PromiseRequested,
    ReleaseDecided,
    ReleaseRequested,
    ReleaseUnanswered,
    ReleaseWithdrawn,
    Reservation,
    ReservationDecided,
    ReservationExpired,
    ShipmentDelivered,
    ShipmentLoaded,
    ShipmentMilestoneReached,
    SourcingDecided,
    SourcingRequested,
    SourcingUnanswered,
    UnitsShorted,
)
from twin.core.fold_holding import open_again, review_claims, shipped
from twin.core.fold_stock import move, supply_changed, touch, unwait, wait
from twin.core.master import CRITICALITIES
from twin.core.ordering import new_order
from twin.core.refusals import CorruptLog
from twin.core.sending import drop
from twin.core.stages import FULFILLMENT_ORDER, SHIPMENT, advance
from twin.core.state import (
    Backorder,
    FulfillmentOrder,
    Order,
    PendingCredit,
    PendingMilestone,
    Shipment,
    State,
    WaveQueue,
)
from twin.core.supervision import unwatch, watch
from twin.core.timers import cancel_timer, set_timer

DAY_MS = 86_400_000


def settle(state: State, order: Order) -> None:
    """Send a finished order to its closing, at the first UTC midnight after the return window."""
    if order.closing or order.unposted or order.credits:
        return
    for line in order.lines.values():
        held = line.buckets
        if any(held[:DELIVERED]):
            return
    order.closing = True
    due = ((state.now + state.policies.return_window_ms) // DAY_MS + 1) * DAY_MS
    state.closing.setdefault(str(due), []).append(order.id)
    set_timer(state.timers, f"close/{due}", due)


def review_credits(state: State, order: Order) -> None:
    """Ask, as a follow-up, what becomes of credits that wait: units were given up that they may have waited for."""
    if order.credits:
        set_timer(state.timers, f"credit/{order.id}", state.now)


def order_captured(state: State, event: OrderCaptured, now: int) -> None:
    if event.order in state.orders:
        raise CorruptLog(f"order {event.order} was captured twice")
    state.orders[event.order] = new_order(event, now)


def order_held(state: State, event: OrderHeld, now: int) -> None:
    order = state.orders[event.order]
    order.held = True
    # Whoever is asked whether it may go has been overtaken.
    order.release_asked = ""


def order_hold_released(state: State, event: OrderHoldReleased, now: int) -> None:
    order = state.orders[event.order]
    order.held = False
    order.unanswered = 0
    set_timer(state.timers, f"source/{event.order}", now)
    for line in order.lines.values():
        for node in state.nodes_of.get(line.sku, ()) if line.buckets[ON_ORDER] else ():
            if state.warehouses[node].drop_ship:
                # Nothing was ordered of the supplier as long as the order was held.
                touch(state, node, line.sku, state.stock[node][line.sku])


def sourcing_requested(state: State, event: SourcingRequested, now: int) -> None:
    order = state.orders[event.order]
    if event.request:
        order.asked = event.request
        order.asks += 1
    for number in event.lines or order.lines:
        held = order.lines[number].buckets
        held[SOURCING] += held[OPEN]
        held[OPEN] = 0


def sourcing_unanswered(state: State, event: SourcingUnanswered, now: int) -> None:
    order = state.orders[event.order]
    order.asked = ""
    order.unanswered += 1
    for line in order.lines.values():
        line.buckets[OPEN] += line.buckets[SOURCING]
        line.buckets[SOURCING] = 0
    if not order.held:
        set_timer(state.timers, f"source/{order.id}", now)


def sourcing_decided(state: State, event: SourcingDecided, now: int) -> None:
    order = state.orders[event.order]
    if event.decided_by:
        order.asked = ""
        order.unanswered = 0
        if not order.held and any(line.buckets[OPEN] for line in order.lines.values()):
            # It came open while the question was: after a short pick, say.
            set_timer(state.timers, f"source/{order.id}", now)
    rejected = False
    for leg in event.legs:
        if leg.route == "stock":
            continue
        line = order.lines[leg.line]
        bucket = ROUTE_BUCKETS[leg.route]
        line.buckets[SOURCING] -= leg.quantity
        line.buckets[bucket] += leg.quantity
        if leg.route == "reject":
            rejected = True
        else:
            priority = CRITICALITIES.index(order.criticality)
            wait(
                state,
                leg.node,
                line.sku,
                Backorder(priority, order.captured_at, order.id, leg.line, leg.quantity, bucket),
            )
            # Free stock may be left for it: what is ahead in the queue was too large, or is not for that channel.
            taken = sum([other.quantity for other in event.legs if _takes(order, other, leg.node, line.sku)])
            supply_changed(state, leg.node, line.sku, state.stock[leg.node][line.sku], taken)
    if rejected:
        review_credits(state, order)
        settle(state, order)


def _takes(order: Order, leg: Leg, node: str, sku: str) -> bool:
    return leg.route == "stock" and leg.node == node and order.lines[leg.line].sku == sku


def reservation_decided(state: State, event: ReservationDecided, now: int) -> None:
    order = state.orders[event.order]
    source = INDEX[event.source]
    expires_at = 0
    for reserved in event.reservations:
        quantity = reserved.quantity
        held = order.lines[reserved.line].buckets
        held[source] -= quantity
        held[RESERVED] += quantity
        cell = state.stock[reserved.node][reserved.sku]
        cell.free -= quantity
        cell.soft += quantity
        if source != SOURCING:
            unwait(state, reserved.node, reserved.sku, order.id, reserved.line, source, quantity)
        else:
            touch(state, reserved.node, reserved.sku, cell)
        if reserved.expires_at:
            expires_at = reserved.expires_at
        order.soft.append(reserved)
    if expires_at:
        key = f"reservation/{order.id}"
        set_timer(state.timers, key, min(expires_at, state.timers.due.get(key, expires_at)))
    join_waves(state, order)


def join_waves(state: State, order: Order) -> None:
    """Queue an order at every node where it has reserved units: what it waited for elsewhere may have come."""
    if not state.policies.waves:
        return
    for node in dict.fromkeys([reserved.node for reserved in order.soft]):
        queue = state.waves.get(node)
        if queue is None:
            queue = state.waves[node] = WaveQueue()
        if order.id not in queue.orders:
            queue.orders.append(order.id)
        if f"wave/{node}" not in state.timers.due:
            set_timer(state.timers, f"wave/{node}", next_wave(state, node))


def _leave_waves(state: State, order: str) -> None:
    for node, queue in state.waves.items():
        if order not in queue.orders:
            continue
        index = queue.orders.index(order)
        del queue.orders[index]
        key = f"wave/{node}"
        if not queue.orders:
            queue.left = 0
            cancel_timer(state.timers, key)
        elif index < queue.left:
            queue.left -= 1
            if not queue.left:
                # It was the last one that the present wave had to look at.
                set_timer(state.timers, key, next_wave(state, node))


def next_wave(state: State, node: str) -> int:
    """The next wave of a node after now; past the last one known, now: goods must not wait for a missing calendar."""
    waves = state.warehouses[node].waves
    index = bisect_left(waves, state.now + 1)
    return waves[index] if index < len(waves) else state.now


def reservation_expired(state: State, event: ReservationExpired, now: int) -> None:
    order = state.orders[event.order]
    for reserved in event.reservations:
        order.soft.remove(reserved)
        cell = open_again(state, order, reserved)
        supply_changed(state, reserved.node, reserved.sku, cell)
    review_claims(state, order, now)
    if not order.held:
        set_timer(state.timers, f"source/{order.id}", now)


def promise_requested(state: State, event: PromiseRequested, now: int) -> None:
    if event.request:
        state.orders[event.order].promise_asks += 1


def promise_decided(state: State, event: PromiseDecided, now: int) -> None:
    order = state.orders[event.order]
    order.promised_at = event.promised_at
    for number, at in event.lines:
        order.lines[number].promised_at = at


def release_requested(state: State, event: ReleaseRequested, now: int) -> None:
    if event.request:
        order = state.orders[event.order]
        order.release_asked = event.request
        order.release_asks += 1


def release_unanswered(state: State, event: ReleaseUnanswered, now: int) -> None:
    order = state.orders[event.order]
    order.release_asked = ""
    if order.soft and not order.held:
        set_timer(state.timers, f"source/{order.id}", now)


def release_decided(state: State, event: ReleaseDecided, now: int) -> None:
    order = state.orders[event.order]
    order.releases += 1
    nodes = []
    for plan in event.fulfillment_orders:
        node = plan.node
        nodes.append(node)
        units = 0
        cells = state.stock[node]
        for pick in plan.lines:
            quantity = pick.quantity
            units += quantity
            held = order.lines[pick.line].buckets
            held[RESERVED] -= quantity
            held[RELEASED] += quantity
            cell = cells[pick.sku]
            cell.soft -= quantity
            cell.hard += quantity
        state.fulfillment_orders[plan.id] = FulfillmentOrder(order.id, node, plan.carrier, plan.lines, units)
        if state.supervised and not state.warehouses[node].drop_ship:
            watch(state, "warehouse", plan.id, now)
    if event.request:
        order.release_asked = ""
        released = [(pick.line, plan.node) for plan in event.fulfillment_orders for pick in plan.lines]
        order.soft = [
            reserved
            for reserved in order.soft
            if (reserved.line, reserved.node) not in released or _unconfirmed(state, reserved)
        ]
        if order.soft:
            # It was reserved while the question was open.
            set_timer(state.timers, f"source/{order.id}", now)
    else:
        order.soft = [
            reserved for reserved in order.soft if reserved.node not in nodes or _unconfirmed(state, reserved)
        ]
    if not order.soft:
        cancel_timer(state.timers, f"reservation/{order.id}")


def _unconfirmed(state: State, reserved: Reservation) -> bool:
    """Whether whoever holds the inventory has not said yet that it reserved these units: they stay."""
    return bool(reserved.claim) and state.claims[reserved.claim].stage == "asked"


def release_withdrawn(state: State, event: ReleaseWithdrawn, now: int) -> None:
    fulfillment = state.fulfillment_orders.pop(event.fulfillment_order)
    advance(FULFILLMENT_ORDER, fulfillment.stage, "withdrawn", event.fulfillment_order)
    order = state.orders[event.order]
    for pick in fulfillment.lines:
        held = order.lines[pick.line].buckets
        held[RELEASED] -= pick.quantity
        held[OPEN] += pick.quantity
        cell = state.stock[event.node][pick.sku]
        cell.hard -= pick.quantity
        cell.free += pick.quantity
        supply_changed(state, event.node, pick.sku, cell)
    if event.node not in order.avoid:
        order.avoid = (*order.avoid, event.node)
    drop(state, event.fulfillment_order, now)
    review_claims(state, order, now)
    if state.supervised:
        unwatch(state, event.fulfillment_order)
    if not order.held:
        set_timer(state.timers, f"source/{order.id}", now)


def goods_picked(state: State, event: GoodsPicked, now: int) -> None:
    fulfillment = state.fulfillment_orders[event.fulfillment_order]
    if fulfillment.stage == "released":
        order = state.orders[fulfillment.order]
        for pick in fulfillment.lines:
            held = order.lines[pick.line].buckets
            held[RELEASED] -= pick.quantity
            held[PICKED] += pick.quantity
            cell = state.stock[fulfillment.node][pick.sku]
            cell.hard -= pick.quantity
            cell.staged += pick.quantity
    fulfillment.stage = advance(FULFILLMENT_ORDER, fulfillment.stage, event.stage, event.fulfillment_order)


def units_shorted(state: State, event: UnitsShorted, now: int) -> None:
    fulfillment = state.fulfillment_orders[event.fulfillment_order]
    advance(FULFILLMENT_ORDER, fulfillment.stage, "shorted", event.fulfillment_order)
    order = state.orders[event.order]
    for number, units in event.lines:
        line = order.lines[number]
        cell = state.stock[fulfillment.node][line.sku]
        if fulfillment.stage == "released":
            line.buckets[RELEASED] -= units
            cell.hard -= units
        else:
            line.buckets[PICKED] -= units
            cell.staged -= units
        line.buckets[OPEN] += units
        fulfillment.left -= units
        touch(state, fulfillment.node, line.sku, cell)
    if not fulfillment.left:
        del state.fulfillment_orders[event.fulfillment_order]
        if state.supervised:
            unwatch(state, event.fulfillment_order)
    review_claims(state, order, now)
    if not order.held:
        set_timer(state.timers, f"source/{order.id}", now)


def goods_shipped(state: State, event: GoodsShipped, now: int) -> None:
    fulfillment = state.fulfillment_orders.pop(event.fulfillment_order)
    advance(FULFILLMENT_ORDER, fulfillment.stage, "shipped", event.fulfillment_order)
    order = state.orders[event.order]
    node = event.node
    cells = state.stock[node]
    released = fulfillment.stage == "released"
    for number, units in event.lines:
        line = order.lines[number]
        cell = cells[line.sku]
        if released:
            line.buckets[RELEASED] -= units
            cell.hard -= units
        else:
            line.buckets[PICKED] -= units
            cell.staged -= units
        line.buckets[SHIPPED] += units
        if event.sequence:
            move(state, node, cell, event.sequence, -units)
        fulfillment.left -= units
    if order.claims:
        shipped(state, order, node, event.lines, now)
    if fulfillment.left:
        raise CorruptLog(f"{event.fulfillment_order}: {fulfillment.left} units neither shipped nor short")
    state.shipments[event.shipment] = Shipment(order.id, node, fulfillment.carrier, event.lines)
    if state.supervised:
        unwatch(state, event.fulfillment_order)
        watch(state, "carrier", event.shipment, max(now, order.promised_at))
    if order.early:
        order.early = [kept for kept in order.early if kept.shipment != event.shipment]


def shipment_loaded(state: State, event: ShipmentLoaded, now: int) -> None:
    if event.shipment in state.shipments:
        raise CorruptLog(f"shipment {event.shipment} was loaded twice")
    order = state.orders[event.order]
    for number, units in event.lines:
        line = order.lines[number]
        line.buckets[OPEN] -= units
        line.buckets[SHIPPED] += units
        line.billed += units
    state.shipments[event.shipment] = Shipment(order.id, event.node, event.carrier, event.lines)
    if state.supervised:
        watch(state, "carrier", event.shipment, max(now, order.promised_at))


def milestone_pended(state: State, event: MilestonePended, now: int) -> None:
    state.orders[event.order].early.append(PendingMilestone(event.shipment, event.milestone, event.at))


def milestone_reached(state: State, event: ShipmentMilestoneReached, now: int) -> None:
    shipment = state.shipments[event.shipment]
    shipment.stage = advance(SHIPMENT, shipment.stage, event.milestone, event.shipment)


def shipment_delivered(state: State, event: ShipmentDelivered, now: int) -> None:
    shipment = state.shipments.pop(event.shipment)
    if state.supervised:
        unwatch(state, event.shipment)
    advance(SHIPMENT, shipment.stage, "delivered", event.shipment)
    order = state.orders[shipment.order]
    for number, units in shipment.lines:
        held = order.lines[number].buckets
        held[SHIPPED] -= units
        held[DELIVERED] += units
    settle(state, order)


def invoice_created(state: State, event: InvoiceCreated, now: int) -> None:
    order = state.orders[event.order]
    for number, units, _ in event.lines:
        line = order.lines[number]
        line.billed += units
        # Shipped and beyond; what was cancelled or rejected before never shipped.
        if line.billed > line.buckets[SHIPPED] + line.buckets[DELIVERED] + sum(
            line.buckets[DELIVERED + 1 : DELIVERED + 3]
        ):
            raise CorruptLog(f"{event.invoice}: line {number} is billed beyond what was shipped")


def credit_pended(state: State, event: CreditPended, now: int) -> None:
    _remember_credit(state, event.credit)
    state.orders[event.order].credits.append(PendingCredit(event.credit, event.line, event.quantity))


def credit_referred(state: State, event: CreditReferred, now: int) -> None:
    _remember_credit(state, event.credit)
    state.referred[event.credit] = event.quantity


def _remember_credit(state: State, credit: str) -> None:
    remember(state.seen, credit_key(credit), state.now, state.policies.retention_ms)


def credit_rejected(state: State, event: CreditRejected, now: int) -> None:
    state.referred.pop(event.credit, None)
    order = state.orders.get(event.order)
    if order is not None:
        order.credits = [pending for pending in order.credits if pending.credit != event.credit]
        settle(state, order)


def credit_issued(state: State, event: CreditIssued, now: int) -> None:
    _remember_credit(state, event.credit)
    state.referred.pop(event.credit, None)
    order = state.orders.get(event.order)
    if order is None:
        return
    line = order.lines[event.line]
    line.credited += event.quantity
    if line.credited > line.billed:
        raise CorruptLog(f"{event.credit}: line {event.line} is credited beyond what was billed")
    order.credits = [pending for pending in order.credits if pending.credit != event.credit]
    settle(state, order)


def order_cancelled(state: State, event: OrderCancelled, now: int) -> None:
    order = state.orders[event.order]
    if event.credit:
        _remember_credit(state, event.credit)
    for taken in event.units:
        line = order.lines[taken.line]
        bucket = INDEX[taken.bucket]
        line.buckets[bucket] -= taken.quantity
        line.buckets[CANCELLED] += taken.quantity
        if bucket == RESERVED:
            _give_back(state, order, taken.line, taken.node, taken.quantity)
        elif bucket >= 2 and bucket <= BACKORDERED:
            unwait(state, taken.node, line.sku, order.id, taken.line, bucket, taken.quantity)
            supply_changed(state, taken.node, line.sku, state.stock[taken.node][line.sku])
    if order.asked and not any(line.buckets[SOURCING] for line in order.lines.values()):
        order.asked = ""
    if order.soft and not order.held:
        # What the rest of the order waited for may be what was cancelled.
        set_timer(state.timers, f"source/{order.id}", now)
    review_claims(state, order, now)
    review_credits(state, order)
    settle(state, order)


def _give_back(state: State, order: Order, number: int, node: str, units: int) -> None:
    """Return reserved units of a line to the free stock of the node."""
    kept = []
    left = units
    for reserved in order.soft:
        take = min(left, reserved.quantity) if reserved.line == number and reserved.node == node else 0
        left -= take
        if reserved.quantity > take:
            kept.append(
                reserved
                if not take
                else type(reserved)(
                    reserved.line,
                    reserved.node,
                    reserved.sku,
                    reserved.quantity - take,
                    reserved.kind,
                    reserved.expires_at,
                    reserved.claim,
                )
            )
    if left:
        raise CorruptLog(f"{order.id} line {number}: {left} units are not reserved at {node}")
    order.soft = kept
    sku = order.lines[number].sku
    cell = state.stock[node][sku]
    cell.soft -= units
    cell.free += units
    supply_changed(state, node, sku, cell)
    if not order.soft:
        cancel_timer(state.timers, f"reservation/{order.id}")


def order_closed(state: State, event: OrderClosed, now: int) -> None:
    # A timer that is due with the closing comes after it: it must not find the order gone.
    for kind in ("source", "credit", "reservation", "claim"):
        cancel_timer(state.timers, f"{kind}/{event.order}")
    _leave_waves(state, event.order)
    del state.orders[event.order]
