"""Supervision of silent counterparts: who has taken an order and says nothing is asked, and after a while reported.

Watched are purchase orders, fulfillment orders and shipments, each from the moment it is somebody else's turn. A
counterpart that is asked says again what it said last of it, which may have been lost; one that knows nothing of it
gets it again, under the same key. A ticket makes visible that asking has not helped so far; asking goes on.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from twin.core.commands import ReportStatus
from twin.core.compensation import done_after_all
from twin.core.draft import Draft
from twin.core.effects import AskStatus, CreatePurchaseOrder, Effect, PurchaseLine, ReleaseToWarehouse
from twin.core.events import OrderRepeated, StatusAsked, StatusReported, TicketOpened
from twin.core.master import DEFAULT_DELIVERY
from twin.core.refusals import Refusal
from twin.core.state import PurchaseOrder, State
from twin.core.timers import cancel_timer, set_timer
from twin.core.undoing import ITSELF, send_again

__all__ = ["rearm_watch", "report_status", "rewatch", "unwatch", "wake_watch", "watch"]


class _Watched(Struct, frozen=True):
    """Who is asked about something, for whom, and how the asking is classed."""

    kind: str
    party: str
    order: str
    criticality: str


def _watched(state: State, subject: str, times: int) -> _Watched | None:
    """Who is asked about `subject` the n-th time; None where it is over."""
    purchase = state.purchase_orders.get(subject)
    if purchase is not None:
        order = state.orders.get(purchase.pegs[0].order) if purchase.pegs else None
        criticality = order.criticality if order is not None else ""
        about = order.id if order is not None and state.warehouses[purchase.node].drop_ship else subject
        # Its supplier may have shipped it: then the warehouse knows whether it came.
        docked = purchase.stage != "created" and not state.warehouses[purchase.node].drop_ship
        at_the_dock = docked and times % 2 == 1 and _chase_ms(state, "warehouse") > 0
        kind, party = ("warehouse", purchase.node) if at_the_dock else ("supplier", purchase.supplier)
        return _Watched(kind, party, about, criticality)
    fulfillment = state.fulfillment_orders.get(subject)
    if fulfillment is not None:
        order = state.orders[fulfillment.order]
        return _Watched("warehouse", fulfillment.node, order.id, order.criticality)
    shipment = state.shipments.get(subject)
    if shipment is not None:
        order = state.orders[shipment.order]
        return _Watched("carrier", shipment.carrier, order.id, order.criticality)
    return None


def _chase_ms(state: State, kind: str) -> int:
    return state.gateways.get(kind, DEFAULT_DELIVERY).chase_ms


# --- deciding


def wake_watch(state: State, subject: str, now: int, draft: Draft) -> None:
    """A counterpart has been silent: ask it, and open a ticket where asking has not helped so far."""
    asked, heard = state.chases.get(subject, (0, 0))
    watched = _watched(state, subject, asked)
    if watched is None:
        return
    key = f"{subject}/status/{asked}"
    if key in state.deliveries or subject in state.deliveries:
        # It has not been told yet, or not been asked yet: what keeps it from that shows elsewhere.
        return
    policy = state.gateways.get(watched.kind, DEFAULT_DELIVERY)
    if not policy.chase_ms:
        return
    if asked - heard >= policy.chases and subject not in state.tickets:
        reason = f"{watched.kind} {watched.party} is silent: asked {asked - heard} times"
        draft.events.append(TicketOpened(subject, watched.order, reason))
    draft.events.append(StatusAsked(subject, watched.order, asked + 1))
    effect = AskStatus(subject, watched.kind, watched.order)
    draft.deliver(
        state,
        f"{subject}/status/{asked + 1}",
        watched.kind,
        watched.party,
        effect,
        watched.order,
        watched.criticality,
        now,
    )


def report_status(state: State, command: ReportStatus, now: int, draft: Draft) -> Refusal | None:
    """Take a counterpart's word; what it knows nothing of is sent again, unless it is on its way anyhow."""
    if command.status not in ("working", "done", "unknown"):
        return Refusal("status", f"'{command.status}'; a status is working, done or unknown")
    watched = _watched(state, command.subject, 0)
    if watched is None:
        return Refusal("settled", f"'{command.subject}' is over, or was never begun")
    draft.events.append(StatusReported(command.subject, watched.order, command.status))
    if command.kind == watched.kind and command.status != "unknown":
        # It has it: that is as good as the answer to the message.
        done_after_all(state, command.subject, draft)
    dead = state.dead_letters.get(command.subject)
    if dead is not None and dead.stage == "expired" and command.status == "unknown" and command.kind == watched.kind:
        send_again(state, dead, ITSELF, now, draft)
        return None
    under_way = command.subject in state.deliveries or dead is not None
    if command.status != "unknown" or command.kind != watched.kind or under_way:
        return None
    effect = _effect(state, command.subject)
    if effect is not None:
        draft.events.append(OrderRepeated(command.subject, watched.order))
        draft.deliver(
            state,
            command.subject,
            watched.kind,
            watched.party,
            effect,
            watched.order,
            watched.criticality,
            now,
        )
    return None


def _effect(state: State, subject: str) -> Effect | None:
    """What was asked of the counterpart, from what the state holds; None for a parcel, which nobody can repeat."""
    fulfillment = state.fulfillment_orders.get(subject)
    if fulfillment is not None:
        order = state.orders[fulfillment.order]
        return ReleaseToWarehouse(
            subject, order.id, fulfillment.node, fulfillment.carrier, order.region, fulfillment.lines
        )
    purchase = state.purchase_orders.get(subject)
    return None if purchase is None else _purchase(state, subject, purchase)


def _purchase(state: State, subject: str, purchase: PurchaseOrder) -> CreatePurchaseOrder:
    lines = tuple([PurchaseLine(sku, units) for sku, units in purchase.due.items() if units])
    if not state.warehouses[purchase.node].drop_ship or not purchase.pegs:
        return CreatePurchaseOrder(subject, purchase.supplier, purchase.node, lines)
    peg = purchase.pegs[0]
    order = state.orders[peg.order]
    carrier = state.lanes[order.region][purchase.node].carrier
    return CreatePurchaseOrder(
        subject, purchase.supplier, purchase.node, lines, order.id, peg.line, order.customer, order.region, carrier
    )


# --- folding


def watch(state: State, kind: str, subject: str, since: int) -> None:
    """From `since` (ms) on it is the counterpart's turn."""
    after = _chase_ms(state, kind)
    if after:
        set_timer(state.timers, f"watch/{subject}", since + after)


def unwatch(state: State, subject: str) -> None:
    """It is over."""
    cancel_timer(state.timers, f"watch/{subject}")
    state.chases.pop(subject, None)
    state.tickets.pop(subject, None)


def rewatch(state: State, before: Mapping[str, int], now: int) -> None:
    """Watch anew, after a change of the policies, whatever is asked of a kind of counterpart after another time than
    `before`."""
    if not any(policy.chase_ms for policy in state.gateways.values()):
        state.tickets.clear()
    subjects: list[tuple[str, str, int]] = []
    for key, purchase in state.purchase_orders.items():
        subjects.append(("supplier", key, now if purchase.stage == "created" else max(now, purchase.eta)))
    subjects += [("warehouse", key, now) for key in state.fulfillment_orders]
    for key, shipment in state.shipments.items():
        subjects.append(("carrier", key, max(now, state.orders[shipment.order].promised_at)))
    for kind, key, since in subjects:
        if _chase_ms(state, kind) != before.get(kind, 0):
            cancel_timer(state.timers, f"watch/{key}")
            watch(state, kind, key, since)


def rearm_watch(state: State, subject: str) -> None:
    """Ask again after a while."""
    watched = _watched(state, subject, 0)
    if watched is not None:
        watch(state, watched.kind, subject, state.now)


def status_asked(state: State, event: StatusAsked, now: int) -> None:
    """Count the question."""
    state.chases[event.subject] = (event.times, state.chases.get(event.subject, (0, 0))[1])


def status_reported(state: State, event: StatusReported, now: int) -> None:
    """A counterpart that is at work has time again, for a purchase order up to its date; one that knows nothing, or
    says that it is done when nothing came of it, has not helped."""
    if event.status == "working":
        state.tickets.pop(event.subject, None)
        asked = state.chases.get(event.subject, (0, 0))[0]
        state.chases[event.subject] = (asked, asked)
    watched = _watched(state, event.subject, 0)
    if watched is not None:
        purchase = state.purchase_orders.get(event.subject)
        due = purchase.eta if purchase is not None and event.status == "working" else now
        watch(state, watched.kind, event.subject, max(now, due))


def ticket_opened(state: State, event: TicketOpened, now: int) -> None:
    """Somebody has to look."""
    state.tickets[event.subject] = event.order
