"""What must hold between any two entries: conservation of units, stock identities, and that nothing waits unseen.

`violations` reads a state and says what is broken. It knows nothing of the log; the auditor of the tests recomputes
the same truths from the events, and neither shares code with the other.
"""

from __future__ import annotations

from collections.abc import Iterator

from twin.core import buckets
from twin.core.effects import PostCredit, PostInvoice
from twin.core.holding import wanted_units
from twin.core.sending import NEVER, due_at
from twin.core.state import Cell, Order, State, withheld

__all__ = ["violations"]

_TIMERS = (
    "review",
    "serve",
    "delivery",
    "dead",
    "send",
    "watch",
    "close",
    "source",
    "credit",
    "reservation",
    "wave",
    "feed",
    "claim",
    "reconcile",
)

Count = dict[tuple[str, ...], int]


def violations(state: State) -> list[str]:
    """Every broken invariant as one sentence, in a stable order; empty where all hold. Reads the state only."""
    return [
        *_orders(state),
        *_reserved(state),
        *_released(state),
        *_claims(state),
        *_shipped(state),
        *_queues(state),
        *_purchases(state),
        *_closing(state),
        *_senders(state),
        *_timers(state),
        *_stuck(state),
    ]


def _add(count: Count, key: tuple[str, ...], units: int) -> None:
    count[key] = count.get(key, 0) + units


def _differ(what: str, left: Count, right: Count, left_name: str, right_name: str) -> Iterator[str]:
    """Say where two tallies disagree; a missing key counts as 0."""
    for key in dict.fromkeys([*left, *right]):
        if left.get(key, 0) != right.get(key, 0):
            place = " ".join(key)
            yield f"{what} {place}: {left_name} {left.get(key, 0)}, {right_name} {right.get(key, 0)}"


def _cells(state: State) -> Iterator[tuple[str, str, Cell]]:
    for node, cells in state.stock.items():
        for sku, cell in cells.items():
            yield node, sku, cell


def _held_in(state: State, *which: int) -> Count:
    count: Count = {}
    for order in state.orders.values():
        for number, line in order.lines.items():
            _add(count, (order.id, str(number)), sum([line.buckets[bucket] for bucket in which]))
    return count


def _orders(state: State) -> Iterator[str]:
    for order in state.orders.values():
        for number, line in order.lines.items():
            place = f"{order.id} line {number}"
            if sum(line.buckets) != line.ordered:
                yield f"{place}: {sum(line.buckets)} units in all, {line.ordered} were ordered"
            if min(line.buckets) < 0:
                yield f"{place}: {min(line.buckets)} units in {buckets.BUCKETS[line.buckets.index(min(line.buckets))]}"
            if line.buckets[buckets.IN_TRANSFER]:
                yield f"{place}: units were left behind in transfer"
            if line.buckets[buckets.SOURCING] and order.asked not in state.deliveries:
                yield f"{place}: units were left behind in sourcing, and nobody is asked"
            gone = sum(line.buckets[buckets.SHIPPED : buckets.REJECTED])
            if not 0 <= line.credited <= line.billed:
                yield f"{place}: {line.credited} units credited, {line.billed} billed"
            if line.billed != gone:
                yield f"{place}: {line.billed} units billed, {gone} shipped"
        if order.asked and not any(line.buckets[buckets.SOURCING] for line in order.lines.values()):
            yield f"{order.id}: '{order.asked}' is asked, and nothing waits for it"
        for pending in order.credits:
            if pending.quantity <= 0 or pending.line not in order.lines:
                yield f"{order.id}: credit {pending.credit} waits for {pending.quantity} units of line {pending.line}"
    asked: Count = {}
    for opened in [*state.deliveries.values(), *state.dead_letters.values()]:
        effect = opened.delivery.effect
        if isinstance(effect, PostInvoice | PostCredit) and opened.counted:
            _add(asked, (effect.order,), 1)
    counted: Count = {(order.id,): order.unposted for order in state.orders.values()}
    yield from _differ("unposted documents of", counted, asked, "counted", "open")


def _reserved(state: State) -> Iterator[str]:
    soft: Count = {}
    owned: Count = {}
    for order in state.orders.values():
        for held in order.soft:
            if held.quantity <= 0:
                yield f"{order.id} line {held.line}: a reservation of {held.quantity} units"
            _add(soft, (held.node, held.sku), held.quantity)
            _add(owned, (order.id, str(held.line)), held.quantity)
    cells: Count = {(node, sku): cell.soft for node, sku, cell in _cells(state)}
    yield from _differ("soft stock", cells, soft, "believed", "reserved")
    yield from _differ("reserved units", _held_in(state, buckets.RESERVED), owned, "in the bucket", "reserved")


def _released(state: State) -> Iterator[str]:
    stock: Count = {}
    units: Count = {}
    for key, fulfillment in state.fulfillment_orders.items():
        hard = fulfillment.stage == "released"
        if fulfillment.order not in state.orders:
            yield f"fulfillment order {key}: its order {fulfillment.order} is not open"
        if fulfillment.left != sum([pick.quantity for pick in fulfillment.lines]):
            yield f"fulfillment order {key}: {fulfillment.left} units left of its lines"
        for pick in fulfillment.lines:
            _add(stock, (fulfillment.node, pick.sku, "hard" if hard else "staged"), pick.quantity)
            _add(units, (fulfillment.order, str(pick.line), "released" if hard else "picked"), pick.quantity)
    cells: Count = {}
    for node, sku, cell in _cells(state):
        cells[(node, sku, "hard")] = cell.hard
        cells[(node, sku, "staged")] = cell.staged
    yield from _differ("stock", cells, stock, "believed", "in fulfillment orders")
    held: Count = {}
    for bucket in (buckets.RELEASED, buckets.PICKED):
        for key_of, quantity in _held_in(state, bucket).items():
            held[(*key_of, buckets.BUCKETS[bucket])] = quantity
    yield from _differ("units", held, units, "in the bucket", "in fulfillment orders")


def _claims(state: State) -> Iterator[str]:
    """Where the inventory is held outside: nothing goes unconfirmed, and claims cover what is reserved, no more."""
    named: Count = {}
    for order in state.orders.values():
        if order.claims:
            yield from _claimed(state, order)
        for name in order.claims:
            _add(named, (name,), 1)
        for held in order.soft:
            if held.claim and held.claim not in order.claims:
                yield f"{order.id} line {held.line}: reserved under '{held.claim}', which is no open claim"
    yield from _differ("claim", named, {(name,): 1 for name in state.claims}, "of its order", "open")
    for name, claim in state.claims.items():
        if claim.stage == "asked" and name not in state.deliveries:
            yield f"claim {name}: it waits for an answer, and nobody is asked"
    if state.policies.reconcile_ms and "reconcile/" not in state.timers.due:
        yield "no reconciliation is due"


def _claimed(state: State, order: Order) -> Iterator[str]:
    claimed: Count = {}
    for name in order.claims:
        claim = state.claims[name]
        for line in claim.lines:
            if line.quantity <= 0:
                yield f"claim {name}: {line.quantity} units of line {line.line}"
            _add(claimed, (order.id, str(line.line), line.node), line.quantity)
            soft = sum(
                [
                    held.quantity
                    for held in order.soft
                    if (held.claim, held.line, held.node) == (name, line.line, line.node)
                ]
            )
            if claim.stage == "asked" and soft != line.quantity and f"claim/{order.id}" not in state.timers.due:
                yield f"claim {name}: {line.quantity} units of line {line.line} are asked for, {soft} are reserved"
    wanted: Count = {
        (order.id, str(number), node): units for (number, node), units in wanted_units(state, order).items()
    }
    if f"claim/{order.id}" not in state.timers.due:
        yield from _differ("claims for", claimed, wanted, "claimed", "reserved or released")


def _shipped(state: State) -> Iterator[str]:
    units: Count = {}
    for key, shipment in state.shipments.items():
        if shipment.order not in state.orders:
            yield f"shipment {key}: its order {shipment.order} is not open"
        for number, quantity in shipment.lines:
            _add(units, (shipment.order, str(number)), quantity)
    yield from _differ("shipped units", _held_in(state, buckets.SHIPPED), units, "in the bucket", "in shipments")


def _queues(state: State) -> Iterator[str]:
    units: Count = {}
    for node, sku, cell in _cells(state):
        place = f"{sku} at {node}"
        if node not in state.nodes_of.get(sku, ()):
            yield f"{place}: the node is no candidate for the item"
        counts = (cell.soft, cell.hard, cell.staged, cell.quarantined, cell.inbound, cell.backordered, cell.elsewhere)
        if min(counts) < 0:
            yield f"{place}: a count of units below zero"
        if cell.backordered != sum([waiting.quantity for waiting in cell.waiting]):
            yield f"{place}: {cell.backordered} units backordered, the queue holds another number"
        ranks = [(waiting.priority, waiting.since, waiting.order, waiting.line) for waiting in cell.waiting]
        if ranks != sorted(ranks):
            yield f"{place}: the queue is out of order"
        for waiting in cell.waiting:
            if waiting.quantity <= 0 or not 0 <= waiting.pegged <= waiting.quantity:
                yield f"{place}: {waiting.order} waits for {waiting.quantity} units, {waiting.pegged} of them pegged"
            _add(units, (waiting.order, str(waiting.line), buckets.BUCKETS[waiting.bucket]), waiting.quantity)
    held: Count = {}
    for bucket in (buckets.BACKORDERED, buckets.ON_ORDER):
        for key, quantity in _held_in(state, bucket).items():
            held[(*key, buckets.BUCKETS[bucket])] = quantity
    yield from _differ("waiting units", held, units, "in the bucket", "in queues")


def _purchases(state: State) -> Iterator[str]:
    due: Count = {}
    pegs: Count = {}
    listed: Count = {}
    expected: Count = {}
    for key, order in state.purchase_orders.items():
        if not any(order.due.values()):
            yield f"purchase order {key}: nothing is due, but it is open"
        if sum([peg.quantity for peg in order.pegs]) > sum(order.due.values()):
            yield f"purchase order {key}: more units pegged than due"
        for sku, units in order.due.items():
            _add(due, (order.node, sku), units)
            if units:
                _add(expected, (order.node, sku, key), 1)
            for peg in order.pegs:
                _add(pegs, (order.node, sku, peg.order, str(peg.line)), peg.quantity)
    for node, skus in state.inbound.items():
        for sku, keys in skus.items():
            for key in keys:
                _add(listed, (node, sku, key), 1)
    cells: Count = {}
    pegged: Count = {}
    for node, sku, cell in _cells(state):
        cells[(node, sku)] = cell.inbound
        for waiting in cell.waiting:
            _add(pegged, (node, sku, waiting.order, str(waiting.line)), waiting.pegged)
    yield from _differ("inbound units", cells, due, "believed", "due")
    yield from _differ("inbound index", listed, expected, "listed", "open")
    yield from _differ("pegs", pegged, pegs, "in the queue", "in purchase orders")


def _closing(state: State) -> Iterator[str]:
    listed: Count = {}
    for due, orders in state.closing.items():
        if f"close/{due}" not in state.timers.due:
            yield f"closing {due}: no timer"
        for order_id in orders:
            _add(listed, (order_id,), 1)
    flagged: Count = {(order.id,): 1 for order in state.orders.values() if order.closing}
    yield from _differ("closing", flagged, listed, "flagged", "listed")


def _senders(state: State) -> Iterator[str]:
    """The send queues hold just what waits to be sent, in order, and count what is under way."""
    waiting: Count = {}
    under_way: Count = {}
    behind: Count = {}
    for key, opened in state.deliveries.items():
        gateway = opened.delivery.gateway
        policy = state.gateways.get(gateway.partition("/")[0])
        if opened.stage == "queued":
            _add(waiting, (gateway, key), 1)
        if opened.stage == "in_flight" and policy is not None and policy.queues:
            _add(under_way, (gateway,), 1)
    counted: Count = {}
    queued: Count = {}
    for gateway, sender in state.senders.items():
        _add(counted, (gateway,), sender.in_flight)
        if sender.queue != sorted(sender.queue):
            yield f"send queue of {gateway}: out of order"
        for _, _, key in sender.queue:
            _add(queued, (gateway, key), 1)
        for about, keys in sender.order.items():
            if keys[0] not in state.deliveries and keys[0] not in state.dead_letters:
                yield f"send queue of {gateway}: {about} waits for {keys[0]}, which is settled"
            for key in keys[1:]:
                _add(behind, (gateway, key), 1)
    for place in behind:
        if place in waiting:
            _add(queued, place, 1)
        due = due_at(state, gateway, state.now)
        if due != NEVER and not _desk_is_set(state, gateway):
            yield f"send queue of {gateway}: something may be sent, and nothing sends it"
        yield from _shut(state, gateway)
    for gateway, left in state.retry_budgets.items():
        if left < 0:
            yield f"retry budget of {gateway}: {left} left"
    yield from _differ("send queue", waiting, queued, "open", "queued")
    yield from _differ("attempts under way to", counted, under_way, "counted", "open")


def _desk_is_set(state: State, gateway: str) -> bool:
    policy = state.gateways.get(gateway.partition("/")[0])
    desk = f"pool/{policy.pool}" if policy is not None and policy.pool else gateway
    return f"send/{desk}" in state.timers.due


def _shut(state: State, gateway: str) -> Iterator[str]:
    """A half-open breaker waits for trials that are under way."""
    policy = state.gateways.get(gateway.partition("/")[0])
    breaker = state.senders[gateway].breaker
    if policy is None or policy.breaker is None or breaker.stage != "half_open":
        return
    under_way = [
        key for key in breaker.trials if key in state.deliveries and state.deliveries[key].stage == "in_flight"
    ]
    if len(breaker.trials) >= policy.breaker.trials and not under_way:
        yield f"breaker of {gateway}: half open, and no trial is under way"


def _timers(state: State) -> Iterator[str]:
    timers = state.timers
    if timers.heap and timers.due.get(timers.heap[0][1]) != timers.heap[0][0]:
        yield f"timer {timers.heap[0][1]}: a settled timer is next"
    queued: Count = {}
    for due, key in timers.heap:
        queued[(key, str(due))] = 1
    for key, due in timers.due.items():
        kind, _, rest = key.partition("/")
        if (key, str(due)) not in queued:
            yield f"timer {key}: it is never due"
        if kind not in _TIMERS:
            yield f"timer {key}: of no known kind"
        if kind in ("source", "credit", "reservation", "claim") and rest not in state.orders:
            yield f"timer {key}: its order is not open"
        if kind == "delivery" and rest not in state.deliveries:
            yield f"timer {key}: its delivery is not open"
        if kind == "dead" and (rest not in state.dead_letters or state.dead_letters[rest].stage != "dead"):
            yield f"timer {key}: it is no dead letter that waits"
        if kind == "watch" and not (
            rest in state.purchase_orders or rest in state.fulfillment_orders or rest in state.shipments
        ):
            yield f"timer {key}: what is watched is over"
        if kind == "close" and rest not in state.closing:
            yield f"timer {key}: nothing closes then"
    for key in state.deliveries:
        if f"delivery/{key}" not in timers.due:
            yield f"delivery {key}: open without a timeout or a retry"
        if key in state.dead_letters:
            yield f"delivery {key}: open and a dead letter at once"


def _stuck(state: State) -> Iterator[str]:
    """What could go on, or must be bought, with no timer that will see to it."""
    timers = state.timers.due
    for order in state.orders.values():
        unplaced = sum([line.buckets[buckets.OPEN] for line in order.lines.values()])
        if unplaced and not order.held and not order.asked and f"source/{order.id}" not in timers:
            yield f"{order.id}: {unplaced} open units that nothing sources"
        if any(held.expires_at for held in order.soft) and f"reservation/{order.id}" not in timers:
            yield f"{order.id}: reservations that never expire though they should"
        asked = order.release_asked in state.deliveries
        if order.release_asked and not asked:
            yield f"{order.id}: nobody is asked '{order.release_asked}', which its release waits for"
        claimed = any(state.claims[name].stage == "asked" for name in order.claims if name in state.claims)
        if order.soft and not order.held and not asked and not claimed and not _waits_for_the_rest(state, order):
            for node in dict.fromkeys([held.node for held in order.soft]):
                queue = state.waves.get(node)
                in_wave = queue is not None and order.id in queue.orders and f"wave/{node}" in timers
                if not in_wave and f"source/{order.id}" not in timers:
                    yield f"{order.id}: reserved at {node}, and nothing releases it"
        moving = any(any(line.buckets[: buckets.DELIVERED]) for line in order.lines.values())
        if not moving and not order.unposted and not order.credits and not order.closing:
            yield f"{order.id}: finished, and nothing closes it"
        for pending in order.credits:
            coming = sum(order.lines[pending.line].buckets[: buckets.SHIPPED])
            if not coming and f"credit/{order.id}" not in timers:
                yield f"{order.id}: credit {pending.credit} waits for units that never come"
    for node, sku, cell in _cells(state):
        if cell.waiting and f"serve/{node}/{sku}" not in timers:
            first = cell.waiting[0]
            if first.order in state.orders and first.quantity <= cell.free - withheld(state, first):
                yield f"{sku} at {node}: {first.order} waits for units that are free, and nothing serves it"
    for channel in state.channels.values():
        if channel.feed_ms and f"feed/{channel.id}" not in timers:
            yield f"channel {channel.id}: no feed is due"
    for node, rules in state.replenishment.items():
        for sku, rule in rules.items():
            if f"review/{node}/{sku}" in timers:
                continue
            level = {"base_stock": rule.maximum - 1, "to_order": -1, "drop_ship": -1}.get(rule.kind, rule.minimum)
            position = state.stock[node][sku].position
            if rule.kind == "drop_ship":
                # What a held order waits for is not ordered of the supplier yet.
                held = [waits for waits in state.stock[node][sku].waiting if state.orders[waits.order].held]
                position += sum([waits.quantity - waits.pegged for waits in held])
            if rule.review_ms:
                yield f"{sku} at {node}: no review is due"
            elif position <= level:
                yield f"{sku} at {node}: position {position} at or below {level}, and nothing reviews it"


def _waits_for_the_rest(state: State, order: Order) -> bool:
    if not state.channels[order.channel].ship_complete:
        return False
    return any(any(line.buckets[: buckets.RESERVED]) for line in order.lines.values())
