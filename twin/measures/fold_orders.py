"""Folding events about orders, shipments and bills into the facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twin.core import events as ev
from twin.core.stages import FULFILLMENT_ORDER, SHIPMENT
from twin.measures.fold_stock import counted_before, found_again, step
from twin.measures.messages import ASK_FACTS, ASK_STATUS, CANCEL, CREDIT, INVOICE, REFUSAL, RELEASE, REPEATED
from twin.measures.records import ChannelFacts, LineFacts, OrderFacts, ReleaseFacts, ShipmentFacts

if TYPE_CHECKING:
    from twin.measures.facts import Facts

__all__ = [
    "credit_issued",
    "credit_referred",
    "goods_picked",
    "goods_shipped",
    "invoice_created",
    "milestone_reached",
    "order_cancelled",
    "order_captured",
    "order_closed",
    "promise_decided",
    "release_decided",
    "reservation_decided",
    "reservation_expired",
    "shipment_delivered",
    "shipment_loaded",
    "sourcing_decided",
    "units_shorted",
]

_WAITING: Final = ("backordered", "on_order")


def _channel(facts: Facts, channel: str) -> ChannelFacts:
    found = facts.channels.get(channel)
    if found is None:
        found = facts.channels[channel] = ChannelFacts()
    return found


def order_captured(facts: Facts, event: ev.OrderCaptured, now: int) -> None:
    key = event.order
    if key in facts.orders or facts.was_closed(key):
        facts.duplicate("order.captured")
        if key in facts.orders:
            facts.illegal_transitions += 1
            return
    if facts.refused_captures:
        facts.refused_captures.pop(key, None)
    # One from before the log begins shapes the state and is not counted, as those of a warm-up are not.
    before = event.captured_at
    counted = now >= facts.begin and not before
    order = facts.orders[key] = OrderFacts(
        key, event.channel, event.criticality, before or now, event.requested_at, counted
    )
    order.loaded = before > 0
    lines = order.lines
    units = 0
    for wanted in event.lines:
        quantity = wanted.quantity
        units += quantity
        lines[wanted.line] = LineFacts(wanted.sku, quantity, wanted.price_minor)
    order.left = order.to_ship = units
    facts.open_units += units
    if before:
        return
    facts.series.captured[facts.today] += 1
    period = (now - facts.start) // facts.rates.period_ms
    facts.demand[period] = facts.demand.get(period, 0) + units
    if counted:
        facts.captured_orders += 1
        facts.captured_lines += len(lines)
        facts.captured_units += units
        channel = _channel(facts, event.channel)
        channel.orders += 1
        channel.lines += len(lines)
        channel.units += units


def sourcing_decided(facts: Facts, event: ev.SourcingDecided, now: int) -> None:
    order = facts.orders.get(event.order)
    if order is None:
        facts.illegal_transitions += 1
        return
    counts = now >= facts.begin
    first = not order.sourced
    order.sourced = True
    decisions = facts.decisions
    for leg in event.legs:
        line = order.lines[leg.line]
        route, quantity = leg.route, leg.quantity
        if counts:
            name = f"{route}:{leg.rule}"
            decisions[name] = decisions.get(name, 0) + 1
        if route == "stock":
            if first:
                line.first_pass += quantity
                line.path = "stock" if not line.path else "split" if line.path == "stock" else line.path
            if facts.trace:
                order.nodes.append(leg.node)
            if counts and facts.counted_nodes.get(leg.node):
                cell = facts.cell(leg.node, line.sku, now)
                if cell.counted_time >= 0:
                    facts.feed_ages.append(now - cell.counted_time)
            continue
        if first:
            line.path = f"{line.path}+{route}" if line.path else route
        if route == "reject":
            line.rejected += quantity
            _give_up(facts, order, quantity, now)
            for look in event.considered:
                if look.line == leg.line:
                    facts.cell(look.node, line.sku, now).cycle_short = True
            if facts.trace and counts:
                _turn_away(facts, event, leg, line.sku, now)
        else:
            cell = facts.cell(leg.node, line.sku, now)
            cell.cycle_short = True
            facts.wait(cell, now, quantity)
            if not line.waiting:
                line.short_since = now
            line.waiting += quantity
            if facts.trace:
                order.nodes.append(leg.node)
                facts.waited.append((now, leg.node, line.sku, order.id))
    if facts.trace:
        for look in event.considered:
            cell = facts.cell(look.node, order.lines[look.line].sku, now)
            if counts:
                cell.looks.extend((now, cell.on_hand, look.available))


def _turn_away(facts: Facts, event: ev.SourcingDecided, leg: ev.Leg, sku: str, now: int) -> None:
    """Keep what was believed of the candidates of a refused line, to ask the truth what was really there."""
    taken = sum(other.quantity for other in event.legs if other.line == leg.line and other.route == "stock")
    cells = [(look.node, facts.cell(look.node, sku, now)) for look in event.considered if look.line == leg.line]
    believed = tuple((node, cell.on_hand, cell.free - cell.backordered) for node, cell in cells)
    facts.turned_away.append((now, sku, leg.quantity, taken, believed))


def _give_up(facts: Facts, order: OrderFacts, units: int, now: int) -> None:
    """Units that will not be delivered."""
    facts.open_units -= units
    order.left -= units
    order.to_ship -= units
    if 0 < order.shipped_at >= facts.begin:
        _all_shipped(facts, order, now)
    _whole(facts, order)


def _all_shipped(facts: Facts, order: OrderFacts, now: int) -> None:
    """Count an order as wholly shipped when its last unit has left, or the last one that had not was given up."""
    if order.to_ship == 0:
        facts.series.shipped[facts.today] += 1
        if now >= facts.begin:
            facts.order_to_ship.append(order.shipped_at - order.captured_at)


def _whole(facts: Facts, order: OrderFacts) -> None:
    """Count an order as wholly delivered when its last open unit is gone."""
    if order.left == 0 and order.delivered_at:
        facts.series.delivered[facts.today] += 1


def reservation_decided(facts: Facts, event: ev.ReservationDecided, now: int) -> None:
    order = facts.orders.get(event.order)
    if order is None:
        facts.illegal_transitions += 1
        return
    waited = event.source in _WAITING
    trace = facts.trace and now >= facts.begin
    for held in event.reservations:
        cell = facts.cell(held.node, held.sku, now)
        quantity = held.quantity
        if trace:
            cell.grabs.extend((now, cell.on_hand, cell.free, quantity))
        facts.shift(cell, now, -quantity, 0)
        line = order.lines[held.line]
        line.reserved += quantity
        if waited:
            facts.wait(cell, now, -quantity)
            line.waiting -= quantity


def reservation_expired(facts: Facts, event: ev.ReservationExpired, now: int) -> None:
    for held in event.reservations:
        facts.shift(facts.cell(held.node, held.sku, now), now, held.quantity, 0)
        if now >= facts.begin:
            facts.expired_units += held.quantity


def order_held(facts: Facts, event: ev.OrderHeld, now: int) -> None:
    order = facts.orders.get(event.order)
    if order is not None:
        order.held = True


def order_hold_released(facts: Facts, event: ev.OrderHoldReleased, now: int) -> None:
    order = facts.orders.get(event.order)
    if order is not None:
        order.held = False


def promise_decided(facts: Facts, event: ev.PromiseDecided, now: int) -> None:
    order = facts.orders.get(event.order)
    if order is None:
        facts.illegal_transitions += 1
        return
    counts = now >= facts.begin
    if order.loaded and not order.sourced:
        # What the customer was told before the log begins: no decision of this run.
        order.promised_at = event.promised_at
        for number, at in event.lines:
            order.lines[number].first_promised = order.lines[number].promised_at = at
        return
    if not order.promised_at:
        order.promised_at = event.promised_at
        if event.promised_at > order.requested_at:
            facts.breach("promise_after_request", now)
        if order.counted:
            facts.promise_lead.append(event.promised_at - order.captured_at)
    for number, at in event.lines:
        line = order.lines[number]
        before = line.promised_at
        line.promised_at = at
        if not before:
            line.first_promised = at
            if counts:
                facts.promised_lines += 1
        elif counts and before != at:
            facts.promise_changes += 1
            facts.promise_moved_ms += abs(at - before)


def release_decided(facts: Facts, event: ev.ReleaseDecided, now: int) -> None:
    order = facts.orders.get(event.order)
    if order is None:
        facts.illegal_transitions += 1
        return
    if order.held:
        facts.breach("release_while_held", now)
    if 0 < order.promised_at < now:
        facts.breach("release_after_promise", now)
    if order.released_at < 0:
        order.released_at = now
    for plan in event.fulfillment_orders:
        if plan.id in facts.releases:
            facts.duplicate("release.decided")
        units = 0
        for pick in plan.lines:
            units += pick.quantity
            order.lines[pick.line].released += pick.quantity
        if plan.node not in facts.drop_ship_nodes:
            facts.messages.due.append((RELEASE, plan.id))
        facts.releases[plan.id] = ReleaseFacts(
            event.order, plan.node, units, tuple([(pick.line, pick.quantity) for pick in plan.lines])
        )


def intervention_began(facts: Facts, event: ev.InterventionBegan, now: int) -> None:
    if now >= facts.begin:
        facts.interventions += 1
        facts.intervention_cost += event.cost_minor


def release_withdrawn(facts: Facts, event: ev.ReleaseWithdrawn, now: int) -> None:
    release = facts.releases.pop(event.fulfillment_order, None)
    order = facts.orders.get(event.order)
    if release is None or order is None:
        facts.illegal_transitions += 1
        return
    step(facts, FULFILLMENT_ORDER, release.stage, "withdrawn")
    for number, units in release.lines:
        line = order.lines[number]
        line.released -= units
        line.reserved -= units
        facts.shift(facts.cell(release.node, line.sku, now), now, units, 0)
    facts.messages.withdraw(event.fulfillment_order)
    facts.messages.fallbacks += now >= facts.begin


def cancellation_requested(facts: Facts, event: ev.CancellationRequested, now: int) -> None:
    facts.messages.due.append((CANCEL, f"{event.fulfillment_order}/cancel"))


def status_asked(facts: Facts, event: ev.StatusAsked, now: int) -> None:
    facts.messages.due.append((ASK_STATUS, f"{event.subject}/status/{event.times}"))
    facts.messages.chases += now >= facts.begin


def order_repeated(facts: Facts, event: ev.OrderRepeated, now: int) -> None:
    facts.messages.due.append((REPEATED, event.subject))


def ticket_opened(facts: Facts, event: ev.TicketOpened, now: int) -> None:
    facts.messages.tickets += now >= facts.begin
    order = facts.orders.get(event.order)
    if order is not None:
        order.fallout = True


def goods_picked(facts: Facts, event: ev.GoodsPicked, now: int) -> None:
    release = facts.releases.get(event.fulfillment_order)
    if release is None:
        facts.illegal_transitions += 1
    else:
        release.stage = step(facts, FULFILLMENT_ORDER, release.stage, event.stage)


def units_shorted(facts: Facts, event: ev.UnitsShorted, now: int) -> None:
    order = facts.orders.get(event.order)
    release = facts.releases.get(event.fulfillment_order)
    if order is None or release is None:
        facts.illegal_transitions += 1
        return
    step(facts, FULFILLMENT_ORDER, release.stage, "shorted")
    for number, units in event.lines:
        facts.shift(facts.cell(release.node, order.lines[number].sku, now), now, 0, -units)
        release.left -= units
    if release.left <= 0:
        del facts.releases[event.fulfillment_order]


def goods_shipped(facts: Facts, event: ev.GoodsShipped, now: int) -> None:
    order = facts.orders.get(event.order)
    if order is None:
        facts.illegal_transitions += 1
        facts.duplicate("shipment.shipped")
        return
    release = facts.releases.pop(event.fulfillment_order, None)
    if release is None or event.shipment in order.shipments:
        facts.duplicate("shipment.shipped")
        facts.illegal_transitions += 1
    else:
        step(facts, FULFILLMENT_ORDER, release.stage, "shipped")
    order.shipments[event.shipment] = ShipmentFacts(now, event.lines)
    if facts.holding.claimed:
        facts.holding.shipped(event.order, event.node, event.lines)
    counts = now >= facts.begin
    costs = facts.costs
    cost = value = 0
    for number, units in event.lines:
        line = order.lines[number]
        cell = facts.cell(event.node, line.sku, now)
        if counted_before(facts, event.node, cell.counted_at, event.sequence):
            facts.shift(cell, now, units, 0)
            found_again(facts, line.sku, units, now)
        else:
            facts.shift(cell, now, 0, -units)
        line.shipped += units
        order.to_ship -= units
        if line.shipped > line.ordered - line.cancelled - line.rejected:
            facts.duplicate("units beyond the order")
        cost += units * costs.get(line.sku, 0)
        value += units * line.price_minor
    order.shipped_at = now
    order.freight_minor += event.freight_minor
    _all_shipped(facts, order, now)
    if counts:
        facts.cost_of_goods += cost
        facts.shipped_value += value
        facts.shipped_by_day[facts.today] = facts.shipped_by_day.get(facts.today, 0) + value
        facts.freight += event.freight_minor
        channel = _channel(facts, order.channel)
        channel.cost_of_goods += cost
        channel.freight += event.freight_minor


def shipment_loaded(facts: Facts, event: ev.ShipmentLoaded, now: int) -> None:
    """A parcel from before the log begins: nothing of it was shipped, charged or billed in this run."""
    order = facts.orders[event.order]
    order.shipments[event.shipment] = ShipmentFacts(event.shipped_at, event.lines)
    for number, units in event.lines:
        order.lines[number].shipped += units
        order.to_ship -= units
    order.shipped_at = event.shipped_at


def milestone_reached(facts: Facts, event: ev.ShipmentMilestoneReached, now: int) -> None:
    order = facts.orders.get(event.order)
    shipment = order.shipments.get(event.shipment) if order is not None else None
    if shipment is None:
        facts.illegal_transitions += 1
        return
    shipment.stage = step(facts, SHIPMENT, shipment.stage, event.milestone)
    shipment.picked_up = shipment.picked_up or event.milestone in ("picked_up", "in_transit")
    if now >= facts.begin:
        facts.milestone_lag.append(now - event.at)


def shipment_delivered(facts: Facts, event: ev.ShipmentDelivered, now: int) -> None:
    order = facts.orders.get(event.order)
    shipment = order.shipments.get(event.shipment) if order is not None else None
    if order is None or shipment is None:
        facts.illegal_transitions += 1
        return
    before = facts.illegal_transitions
    shipment.stage = step(facts, SHIPMENT, shipment.stage, "delivered")
    if facts.illegal_transitions > before:
        return
    if now >= facts.begin:
        facts.milestone_lag.append(now - event.at)
        facts.shipments_delivered += 1
        facts.shipments_picked_up += shipment.picked_up
    for number, units in shipment.lines:
        order.lines[number].delivered += units
        order.left -= units
        facts.open_units -= units
    order.delivered_at = max(order.delivered_at, event.at)
    _whole(facts, order)


def order_cancelled(facts: Facts, event: ev.OrderCancelled, now: int) -> None:
    order = facts.orders.get(event.order)
    if order is None:
        facts.illegal_transitions += 1
        return
    in_time = event.by == "customer" and now <= order.requested_at
    for taken in event.units:
        line = order.lines[taken.line]
        units = taken.quantity
        line.cancelled += units
        if in_time:
            line.withdrawn += units
        if taken.bucket == "reserved":
            facts.shift(facts.cell(taken.node, line.sku, now), now, units, 0)
        elif taken.bucket in _WAITING:
            facts.wait(facts.cell(taken.node, line.sku, now), now, -units)
            line.waiting -= units
        _give_up(facts, order, units, now)


def order_closed(facts: Facts, event: ev.OrderClosed, now: int) -> None:
    order = facts.orders.pop(event.order, None)
    if order is None:
        facts.illegal_transitions += 1
        return
    facts.close_order(order)
    facts.close(event.order)


def invoice_created(facts: Facts, event: ev.InvoiceCreated, now: int) -> None:
    order = facts.orders.get(event.order)
    shipment = order.shipments.get(event.shipment) if order is not None else None
    counts = now >= facts.begin
    early = shipment is None
    value = 0
    if shipment is not None:
        shipment.invoices += 1
        if shipment.invoices > 1:
            facts.duplicate("invoice.created")
        if counts:
            facts.invoice_lag_sum += now - shipment.shipped_at
            facts.invoice_count += 1
    if order is not None:
        for number, units, _ in event.lines:
            line = order.lines[number]
            line.billed += units
            value += units * line.price_minor
            early = early or line.billed > line.shipped
    facts.invoices_before_ship += early
    facts.messages.due.append((INVOICE, event.invoice))
    if counts:
        facts.unposted[event.invoice] = event.amount_minor
        facts.revenue += event.amount_minor
        facts.billed_value += value
        if order is not None:
            _channel(facts, order.channel).revenue += event.amount_minor


def invoice_posted(facts: Facts, event: ev.InvoicePosted, now: int) -> None:
    amount = facts.unposted.pop(event.document, 0)
    if now >= facts.begin:
        facts.posted_by_day[facts.today] = facts.posted_by_day.get(facts.today, 0) + amount


def credit_issued(facts: Facts, event: ev.CreditIssued, now: int) -> None:
    key = f"credit {event.credit}"
    facts.messages.due.append((CREDIT, event.credit))
    if facts.was_closed(key):
        facts.duplicate("credit.issued")
    facts.close(key)
    if now < facts.begin:
        return
    facts.revenue -= event.amount_minor
    facts.credited += event.amount_minor
    order = facts.orders.get(event.order)
    if order is not None:
        _channel(facts, order.channel).revenue -= event.amount_minor
    else:
        facts.late_credits += event.amount_minor


def credit_referred(facts: Facts, event: ev.CreditReferred, now: int) -> None:
    facts.messages.due.append((ASK_FACTS, f"{event.credit}/facts"))


def marketplace_units_refused(facts: Facts, event: ev.MarketplaceUnitsRefused, now: int) -> None:
    facts.messages.due.append((REFUSAL, event.refusal))
