"""Decisions on orders: capture, hold, cancel, source, reserve, promise and release.

Sourcing, reserving, promising and releasing are each a `…Requested` and then a `…Decided` event: here the built-in
rule answers in the same entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twin.core import buckets
from twin.core.calendar import CalendarExhausted
from twin.core.commands import CancelOrder, CaptureOrder, HoldOrder, LoadOrder, ReleaseHold
from twin.core.draft import Draft
from twin.core.effects import (
    AskedCandidate,
    AskedDate,
    AskedLine,
    AskPromise,
    AskRelease,
    AskSourcing,
    HeldLine,
    PickLine,
    ReleaseToWarehouse,
)
from twin.core.events import (
    CancelledUnits,
    FulfillmentPlan,
    Leg,
    OrderCancelled,
    OrderCaptured,
    OrderHeld,
    OrderHoldReleased,
    PromiseDecided,
    PromiseRequested,
    PromiseUnanswered,
    ReleaseDecided,
    ReleaseRequested,
    ReleaseUnanswered,
    Reservation,
    ReservationDecided,
    ReservationExpired,
    ReservationRequested,
    SourcingDecided,
    SourcingRequested,
)
from twin.core.feeds import refuse_units
from twin.core.holding import ask_holder, claim_name, confirmed
from twin.core.master import CRITICALITIES
from twin.core.promising import date_from, promise_lines
from twin.core.refusals import Refusal
from twin.core.sourcing import Candidate, Plan, SourcingContext, SourcingLine, source
from twin.core.state import Line, Order, State

__all__ = [
    "cancel_order",
    "capture_order",
    "carry_out",
    "context_of",
    "expire_reservations",
    "hold_order",
    "invalid_order",
    "new_order",
    "not_answered",
    "not_promised",
    "promise",
    "ready_to_ship",
    "release",
    "release_asked_for",
    "release_hold",
    "release_wave",
    "repromise",
    "resource_order",
    "source_units",
    "sourcing_asked",
    "wave_step",
]

_NO_BUCKETS = [0] * (len(buckets.BUCKETS) - 1)


def new_order(captured: OrderCaptured, now: int, held: bool = False) -> Order:
    """The order as it stands right after its capture: every unit open."""
    lines = {
        line.line: Line(line.sku, line.quantity, line.price_minor, [line.quantity, *_NO_BUCKETS])
        for line in captured.lines
    }
    return Order(
        captured.order,
        captured.channel,
        captured.customer,
        captured.region,
        captured.criticality,
        captured.captured_at or now,
        captured.requested_at,
        lines,
        0,
        held,
        releases=captured.releases,
    )


def capture_order(state: State, command: CaptureOrder, now: int, draft: Draft) -> Refusal | None:
    """Accept an order, or refuse it whole and say why."""
    channel = state.channels.get(command.channel)
    refusal = invalid_order(state, command)
    if refusal is not None or channel is None:
        return refusal
    captured = OrderCaptured(
        command.order,
        command.channel,
        command.customer,
        command.region,
        command.criticality or channel.criticality,
        command.requested_at,
        command.lines,
    )
    order = new_order(captured, now, command.hold)
    draft.events.append(captured)
    if command.hold:
        draft.events.append(OrderHeld(command.order, "captured on hold"))
    try:
        source_units(state, order, [(line.line, line.sku, line.quantity) for line in command.lines], now, draft)
    except CalendarExhausted as exhausted:
        draft.events.clear()
        draft.deliveries.clear()
        return Refusal("calendar_exhausted", str(exhausted))
    return None


def invalid_order(state: State, command: CaptureOrder | LoadOrder) -> Refusal | None:
    """Why an order cannot be taken; None where it can."""
    if command.order in state.orders:
        return Refusal("order_exists", f"order '{command.order}' is open already")
    if command.channel not in state.channels:
        return Refusal("unknown_channel", f"'{command.channel}'; channels here: {_names(state.channels)}")
    if command.region not in state.lanes:
        return Refusal("unknown_region", f"no lane leads to '{command.region}'; regions here: {_names(state.lanes)}")
    if command.criticality and command.criticality not in CRITICALITIES:
        return Refusal("criticality", f"'{command.criticality}'; classes here: {', '.join(CRITICALITIES)}")
    if not command.lines:
        return Refusal("no_lines", "an order needs at least one line")
    numbers = [line.line for line in command.lines]
    if len(dict.fromkeys(numbers)) != len(numbers):
        return Refusal("line_repeated", "line numbers must be distinct")
    for line in command.lines:
        if line.quantity <= 0:
            return Refusal("quantity", f"line {line.line}: {line.quantity} units; it takes at least 1")
        if line.price_minor < 0:
            return Refusal("price", f"line {line.line}: a price below zero")
        if line.sku not in state.items:
            return Refusal("unknown_item", f"line {line.line}: '{line.sku}' is not in the catalog")
        if state.items[line.sku].blocked:
            return Refusal("blocked_item", f"line {line.line}: '{line.sku}' is blocked for sale")
    return None


def _names(known: Iterable[str], most: int = 8) -> str:
    names = sorted(known)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def resource_order(state: State, order: Order, now: int, draft: Draft) -> None:
    """Source again what is open: after a short pick, an expired reservation or a released hold."""
    wanted = [
        (number, line.sku, line.buckets[buckets.OPEN])
        for number, line in order.lines.items()
        if line.buckets[buckets.OPEN] > 0
    ]
    if wanted:
        # What is open once a question has its answer is sourced then.
        if not order.asked:
            source_units(state, order, wanted, now, draft)
    elif order.soft and not order.held:
        _release_or_wait(state, order, order.soft, now, draft)


def source_units(state: State, order: Order, wanted: Sequence[tuple[int, str, int]], now: int, draft: Draft) -> None:
    """Decide where units come from, or ask who decides it."""
    policies = state.policies
    numbers = () if len(wanted) == len(order.lines) else tuple([number for number, _, _ in wanted])
    if policies.decider:
        if order.unanswered < policies.decider_attempts:
            _ask(state, order, wanted, numbers, now, draft)
            return
        if policies.decider_otherwise == "hold":
            draft.events.append(OrderHeld(order.id, f"{policies.decider} gave no decision that can be carried out"))
            return
    context = context_of(state, order, wanted, now)
    draft.events.append(SourcingRequested(order.id, numbers))
    if policies.decider and policies.decider_otherwise == "reject":
        plan = Plan(tuple([Leg(number, "reject", "", units, "no_decision") for number, _, units in wanted]), ())
    else:
        plan = source(context, policies.sourcing)
    carry_out(state, order, wanted, plan, now, draft)


def _ask(
    state: State,
    order: Order,
    wanted: Sequence[tuple[int, str, int]],
    numbers: tuple[int, ...],
    now: int,
    draft: Draft,
) -> None:
    """Ask the outside service that decides; its answer is a command."""
    key = f"{order.id}/source/{order.asks + 1}"
    draft.events.append(SourcingRequested(order.id, numbers, key))
    effect = sourcing_asked(state, order, wanted, now)
    draft.deliver(state, key, "decision", state.policies.decider, effect, order.id, order.criticality, now)


def sourcing_asked(state: State, order: Order, wanted: Sequence[tuple[int, str, int]], now: int) -> AskSourcing:
    """What an outside service is asked about these units, as (line, sku, quantity)."""
    context = context_of(state, order, wanted, now)
    lines = tuple(
        [
            AskedLine(
                line.line,
                line.sku,
                line.quantity,
                order.lines[line.line].price_minor,
                tuple([_asked(state, order, line.sku, candidate, now) for candidate in line.candidates]),
            )
            for line in context.lines
        ]
    )
    return AskSourcing(
        order.id,
        order.channel,
        order.customer,
        order.region,
        order.requested_at,
        lines,
        context.preferred,
        context.split_lines,
        context.reject_shortage,
    )


def _asked(state: State, order: Order, sku: str, candidate: Candidate, now: int) -> AskedCandidate:
    node = candidate.node
    party = f"supplier/{node}" if state.warehouses[node].drop_ship else f"warehouse/{node}"
    sender = state.senders.get(party)
    return AskedCandidate(
        node,
        candidate.available,
        state.stock[node][sku].seen_at,
        candidate.transit_ms,
        candidate.cost_minor,
        date_from(state, state.lanes[order.region][node], now),
        candidate.to_order,
        "closed" if sender is None else sender.breaker.stage,
    )


def carry_out(
    state: State,
    order: Order,
    wanted: Sequence[tuple[int, str, int]],
    plan: Plan,
    now: int,
    draft: Draft,
    *,
    decided_by: str = "",
) -> None:
    """Reserve, promise and release as a sourcing decision says."""
    policies = state.policies
    channel = state.channels[order.channel]
    events = draft.events
    events.append(SourcingDecided(order.id, plan.legs, plan.considered, decided_by))
    if channel.feed_ms:
        refuse_units(state, order, plan.legs, now, draft)
    lines = order.lines
    deferred = order.held or policies.waves
    expires_at = now + policies.reservation_expiry_ms if deferred and policies.reservation_expiry_ms else 0
    claim = claim_name(state, order, draft) if policies.holder else ""
    reservations = tuple(
        [
            Reservation(leg.line, leg.node, lines[leg.line].sku, leg.quantity, "soft", expires_at, claim)
            for leg in plan.legs
            if leg.route == "stock"
        ]
    )
    if reservations:
        events.append(ReservationRequested(order.id))
        events.append(ReservationDecided(order.id, reservations))
        if claim:
            ask_holder(state, order, claim, reservations, now, draft)
    try:
        repromise(state, order, plan.legs, now, draft)
    except CalendarExhausted:
        # A new order is refused; the units of an accepted one go all the same, with the date they were told.
        if order.id not in state.orders:
            raise
    waiting = sum([leg.quantity for leg in plan.legs if leg.route in ("backorder", "replenish")])
    if not deferred and not (channel.ship_complete and waiting + _unreserved(order, wanted)):
        kept = [*order.soft, *reservations] if order.soft else reservations
        if kept:
            release(state, order, kept, now, draft)


def context_of(state: State, order: Order, wanted: Sequence[tuple[int, str, int]], now: int) -> SourcingContext:
    """Everything that a decision on these units, as (line, sku, quantity), may look at."""
    channel = state.channels[order.channel]
    withheld = channel.safety_stock
    lanes = state.lanes[order.region]
    stock = state.stock
    replenishment = state.replenishment
    lines = []
    for number, sku, quantity in wanted:
        candidates = []
        for node in state.nodes_of.get(sku, ()):
            lane = lanes.get(node)
            if lane is None or (order.avoid and node in order.avoid):
                continue
            cell = stock[node][sku]
            rules = replenishment.get(node)
            rule = rules.get(sku) if rules is not None else None
            candidates.append(
                Candidate(
                    node,
                    cell.free - cell.backordered - withheld,
                    lane.promise_ms,
                    lane.shipment_cost_minor + lane.unit_cost_minor * quantity,
                    rule is not None and rule.kind in ("to_order", "drop_ship"),
                )
            )
        lines.append(SourcingLine(number, sku, quantity, tuple(candidates)))
    return SourcingContext(
        now,
        order.id,
        order.region,
        tuple(lines),
        state.preferred.get(order.region, ""),
        state.policies.split_lines,
        channel.reject_shortage,
        ranking=state.policies.ranking,
    )


def _unreserved(order: Order, wanted: Sequence[tuple[int, str, int]]) -> int:
    """Units of the order that wait for supply, apart from those just sourced."""
    units = 0
    for line in order.lines.values():
        units += sum(line.buckets[buckets.OPEN : buckets.RESERVED])
    return units - sum(quantity for _, _, quantity in wanted)


def promise(order: Order, promises: tuple[tuple[int, int], ...], draft: Draft) -> None:
    """Promise, or re-promise where a date moved."""
    moved = tuple([(number, at) for number, at in promises if order.lines[number].promised_at != at])
    if not moved:
        return
    promised_at = max([at for _, at in promises])
    if order.promised_at > promised_at:
        now_told = dict(promises)
        promised_at = max(now_told.get(number, line.promised_at) for number, line in order.lines.items())
    draft.events.append(PromiseDecided(order.id, promised_at, moved))


def repromise(state: State, order: Order, legs: tuple[Leg, ...], now: int, draft: Draft) -> None:
    """Tell the customer where a line now comes later than was promised; an earlier date is not announced.

    Raises `CalendarExhausted` where the known calendar ends before the goods leave.
    """
    promises = promise_lines(state, order, legs, now)
    later = tuple([(number, at) for number, at in promises if at > order.lines[number].promised_at])
    if later and state.policies.promiser:
        _ask_for_dates(state, order, legs, later, now, draft)
    elif later:
        draft.events.append(PromiseRequested(order.id))
        promise(order, later, draft)


def _ask_for_dates(
    state: State, order: Order, legs: tuple[Leg, ...], dates: tuple[tuple[int, int], ...], now: int, draft: Draft
) -> None:
    """Ask the outside service that promises; its answer is a command."""
    lines = tuple(
        [
            AskedDate(
                number,
                order.lines[number].sku,
                tuple([(leg.route, leg.node, leg.quantity) for leg in legs if leg.line == number]),
                at,
                order.lines[number].promised_at,
            )
            for number, at in dates
        ]
    )
    key = f"{order.id}/promise/{order.promise_asks + 1}"
    draft.events.append(PromiseRequested(order.id, key))
    effect = AskPromise(order.id, order.channel, order.customer, order.region, order.requested_at, lines)
    draft.deliver(state, key, "decision", state.policies.promiser, effect, order.id, order.criticality, now)


def not_promised(order: Order, asked: AskPromise, request: str, reason: str, draft: Draft) -> None:
    """An outside service gave no date that makes sense: what the calendars allowed when it was asked holds."""
    draft.events.append(PromiseUnanswered(order.id, request, reason))
    promise(order, tuple([(line.line, line.earliest_at) for line in asked.lines]), draft)


def _release_or_wait(state: State, order: Order, reservations: Sequence[Reservation], now: int, draft: Draft) -> None:
    channel = state.channels[order.channel]
    if state.policies.waves or order.held:
        return
    if channel.ship_complete and _unreserved(order, ()):
        return
    release(state, order, reservations, now, draft)


def ready_to_ship(state: State, order: Order, arriving: int) -> Sequence[Reservation]:
    """What a ship-complete order may let go once `arriving` of its units are no longer waited for."""
    if order.held or state.policies.waves or not state.channels[order.channel].ship_complete:
        return ()
    return order.soft if _unreserved(order, ()) == arriving else ()


def release(state: State, order: Order, reservations: Sequence[Reservation], now: int, draft: Draft) -> None:
    """Release reserved units, or ask the outside service that decides whether they may go.

    What nobody has confirmed where the inventory is held stays.
    """
    if state.policies.holder:
        reservations = confirmed(state, order, reservations)
        if not reservations:
            return
    releaser = state.policies.releaser
    if not releaser:
        _release_now(state, order, reservations, now, draft)
        return
    if order.release_asked:
        return
    key = f"{order.id}/release/{order.release_asks + 1}"
    promised = [event.promised_at for event in draft.events if isinstance(event, PromiseDecided)]
    effect = AskRelease(
        order.id,
        order.channel,
        order.customer,
        order.region,
        order.requested_at,
        promised[-1] if promised else order.promised_at,
        tuple([HeldLine(held.line, held.sku, held.node, held.quantity) for held in reservations]),
    )
    draft.events.append(ReleaseRequested(order.id, key))
    draft.deliver(state, key, "decision", releaser, effect, order.id, order.criticality, now)


def release_asked_for(state: State, order: Order, asked: AskRelease, request: str, now: int, draft: Draft) -> None:
    """Release what an outside service was asked about, as far as it is still reserved and may go."""
    places = [(line.line, line.node) for line in asked.lines]
    kept: Sequence[Reservation] = [held for held in order.soft if (held.line, held.node) in places]
    if state.policies.holder:
        kept = confirmed(state, order, kept)
    incomplete = state.channels[order.channel].ship_complete and _unreserved(order, ())
    if kept and not incomplete:
        _release_now(state, order, kept, now, draft, request)
    else:
        why = "the order is to ship complete, and is not any more" if kept else "nothing of it is reserved any more"
        draft.events.append(ReleaseUnanswered(order.id, request, why))


def not_answered(
    state: State, order: Order, asked: AskRelease, request: str, reason: str, now: int, draft: Draft
) -> None:
    """An outside service did not say whether an order may go: the policy decides."""
    if state.policies.releaser_otherwise == "hold" and order.soft:
        draft.events.append(ReleaseUnanswered(order.id, request, reason))
        draft.events.append(OrderHeld(order.id, f"{state.policies.releaser or 'nobody'} did not release it: {reason}"))
    else:
        release_asked_for(state, order, asked, request, now, draft)


def _release_now(
    state: State,
    order: Order,
    reservations: Sequence[Reservation],
    now: int,
    draft: Draft,
    request: str = "",
) -> None:
    """Turn reservations into fulfillment orders, one a node, and instruct the warehouses."""
    by_node: dict[str, list[PickLine]] = {}
    for held in reservations:
        by_node.setdefault(held.node, []).append(PickLine(held.line, held.sku, held.quantity))
    lanes = state.lanes[order.region]
    plans = []
    for node, picks in by_node.items():
        plans.append(
            FulfillmentPlan(f"{order.id}/{node}/{order.releases + 1}", node, lanes[node].carrier, tuple(picks))
        )
    if not request:
        draft.events.append(ReleaseRequested(order.id))
    draft.events.append(ReleaseDecided(order.id, tuple(plans), request))
    for plan in plans:
        effect = ReleaseToWarehouse(plan.id, order.id, plan.node, plan.carrier, order.region, plan.lines)
        draft.deliver(state, plan.id, "warehouse", plan.node, effect, order.id, order.criticality, now)


def release_wave(state: State, node: str, now: int, draft: Draft) -> None:
    """Release what waits for a wave at one node, a bounded number of orders a step."""
    for order_id in state.waves[node].orders[: wave_step(state, node)]:
        order = state.orders[order_id]
        if order.held or (state.channels[order.channel].ship_complete and _unreserved(order, ())):
            continue
        here = [held for held in order.soft if held.node == node]
        if here:
            release(state, order, here, now, draft)


def wave_step(state: State, node: str) -> int:
    """How many waiting orders the present step of a node's wave looks at."""
    queue = state.waves[node]
    return min(state.policies.batch, queue.left or len(queue.orders))


def hold_order(state: State, command: HoldOrder, now: int, draft: Draft) -> Refusal | None:
    """Stop the release of an order's unreleased units."""
    order = state.orders.get(command.order)
    if order is None:
        return Refusal("unknown_order", f"order '{command.order}' is not open")
    if order.held:
        return Refusal("held_already", f"order '{command.order}' is held already")
    # What a warehouse was told to ship may still come back short and be released anew.
    if not any(any(line.buckets[: buckets.SHIPPED]) for line in order.lines.values()):
        return Refusal("too_late", f"nothing of order '{order.id}' can be held: it is shipped or done")
    draft.events.append(OrderHeld(order.id, command.reason))
    return None


def release_hold(state: State, command: ReleaseHold, now: int, draft: Draft) -> Refusal | None:
    """Let a held order go on; a follow-up sources and releases it."""
    order = state.orders.get(command.order)
    if order is None:
        return Refusal("unknown_order", f"order '{command.order}' is not open")
    if not order.held:
        return Refusal("not_held", f"order '{command.order}' is not held")
    draft.events.append(OrderHoldReleased(order.id))
    return None


def cancel_order(state: State, command: CancelOrder, now: int, draft: Draft) -> Refusal | None:
    """Cancel the units that are not yet released to a warehouse."""
    order = state.orders.get(command.order)
    if order is None:
        return Refusal("unknown_order", f"order '{command.order}' is not open")
    if command.by not in ("customer", "company"):
        return Refusal("by", f"'{command.by}'; who cancels is customer or company")
    numbers = tuple(dict.fromkeys(command.lines)) or tuple(order.lines)
    unknown = [number for number in numbers if number not in order.lines]
    if unknown:
        return Refusal("unknown_line", f"order '{order.id}' has no line {unknown[0]}")
    units: list[CancelledUnits] = []
    for number in numbers:
        units.extend(cancellable(state, order, number, order.lines[number].ordered))
    if not units:
        return Refusal("too_late", f"nothing of order '{order.id}' can be cancelled: it is released or done")
    draft.events.append(OrderCancelled(order.id, command.by, command.reason, tuple(units)))
    return None


def cancellable(state: State, order: Order, number: int, most: int) -> list[CancelledUnits]:
    """Up to `most` units of a line that can still be taken back, by bucket: waiting ones first, reserved ones last."""
    line = order.lines[number]
    units: list[CancelledUnits] = []
    left = most
    for bucket in (buckets.OPEN, buckets.SOURCING):
        if line.buckets[bucket] > 0 and left > 0:
            take = min(left, line.buckets[bucket])
            units.append(CancelledUnits(number, buckets.BUCKETS[bucket], take))
            left -= take
    if line.buckets[buckets.BACKORDERED] + line.buckets[buckets.ON_ORDER] > 0:
        for node in state.nodes_of.get(line.sku, ()):
            # What a supplier was told to send to the customer is as good as released.
            drop_ship = state.warehouses[node].drop_ship
            for waiting in state.stock[node][line.sku].waiting:
                if waiting.order == order.id and waiting.line == number and left > 0:
                    take = min(left, waiting.quantity - waiting.pegged if drop_ship else waiting.quantity)
                    if take > 0:
                        units.append(CancelledUnits(number, buckets.BUCKETS[waiting.bucket], take, node))
                        left -= take
    for held in order.soft:
        if held.line == number and left > 0:
            take = min(left, held.quantity)
            units.append(CancelledUnits(number, "reserved", take, held.node))
            left -= take
    return units


def expire_reservations(order: Order, now: int, draft: Draft) -> None:
    """Give back what was reserved too long; a follow-up sources the units again unless the order is held."""
    expired = tuple([held for held in order.soft if held.expires_at and held.expires_at <= now])
    if expired:
        draft.events.append(ReservationExpired(order.id, expired))
