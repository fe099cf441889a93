"""Inventory that is held outside the engine: reserving and releasing are calls, which time out, race and get lost.

What is reserved here is a claim there until it is confirmed, and nothing of it goes to a warehouse before. A claim that
is refused, or of which nobody said what became, opens its units again. What may be reserved there and is not wanted
here is given back by a call that may be lost too; a reconciliation on a cadence finds what was left behind.
"""

from __future__ import annotations

from collections.abc import Sequence

from twin.core.draft import Draft
from twin.core.effects import AskReservations, HeldLine, ReleaseUnits, ReserveUnits
from twin.core.events import (
    Reservation,
    ReservationAsked,
    ReservationGivenUp,
    ReservationRefused,
    ReservationsAsked,
)
from twin.core.keyed import share
from twin.core.state import Claim, Order, State

__all__ = [
    "ask_holder",
    "ask_reservations",
    "claim_name",
    "confirmed",
    "give_back",
    "not_reserved",
    "order_of",
    "refused_claim",
    "slack",
    "still_reserved",
    "tell_what_is_left",
    "try_again_at",
    "wanted_units",
]


def claim_name(state: State, order: Order, draft: Draft) -> str:
    """What the next reservation of an order is called where the inventory is held; empty where that is here."""
    if not state.policies.holder:
        return ""
    asked = [event for event in draft.events if isinstance(event, ReservationAsked) and event.order == order.id]
    return f"{order.id}/reserve/{order.reserves + len(asked) + 1}"


def order_of(claim: str) -> str:
    """The order of a claim, by the claim's name."""
    return claim.rpartition("/reserve/")[0]


def ask_holder(
    state: State, order: Order, claim: str, reservations: Sequence[Reservation], now: int, draft: Draft
) -> None:
    """Ask whoever holds the inventory to reserve what was reserved here; its answer is a command."""
    units: dict[tuple[int, str, str], int] = {}
    for held in reservations:
        place = (held.line, held.sku, held.node)
        units[place] = units.get(place, 0) + held.quantity
    lines = tuple([HeldLine(line, sku, node, quantity) for (line, sku, node), quantity in units.items()])
    draft.events.append(ReservationAsked(order.id, claim, lines))
    effect = ReserveUnits(claim, order.id, lines)
    draft.deliver(state, claim, state.policies.holder, "", effect, order.id, order.criticality, now)


def confirmed(state: State, order: Order, reservations: Sequence[Reservation]) -> Sequence[Reservation]:
    """Those of the reservations that may go: all but what nobody has confirmed where the inventory is held, and none
    of an order that is to ship complete while that is so of any."""
    sure = [held for held in reservations if _sure(state, held)]
    whole = len(sure) == len(reservations) and all(_sure(state, held) for held in order.soft)
    return sure if whole or not state.channels[order.channel].ship_complete else ()


def _sure(state: State, held: Reservation) -> bool:
    claim = state.claims.get(held.claim)
    return not held.claim or (claim is not None and claim.stage == "held")


def refused_claim(
    state: State,
    name: str,
    claim: Claim,
    reason: str,
    retry_at: int,
    withheld: tuple[tuple[str, str, int], ...] = (),
    call: str = "",
) -> ReservationRefused:
    """That a claim came to nothing: all that is still reserved under it is open again from `retry_at` (ms) on."""
    return ReservationRefused(claim.order, name, reason, still_reserved(state, name), retry_at, withheld, call)


def still_reserved(state: State, name: str) -> tuple[HeldLine, ...]:
    """What is reserved under a claim now. The claim itself may still cover units that were cancelled or have expired
    in this very millisecond."""
    units: dict[tuple[int, str, str], int] = {}
    for held in state.orders[state.claims[name].order].soft:
        if held.claim == name:
            place = (held.line, held.sku, held.node)
            units[place] = units.get(place, 0) + held.quantity
    return tuple([HeldLine(line, sku, node, quantity) for (line, sku, node), quantity in units.items()])


def try_again_at(state: State, name: str, now: int) -> int:
    """When (ms) an order tries again whose claim came to nothing for no reason that anybody knows: after the pause, and
    before twice the pause. Orders that were given up together must not come back together: what was too much for the
    holder once would be so each time."""
    return now + state.policies.holder_pause_ms + share(state.policies.holder_pause_ms, name, 0)


def not_reserved(state: State, name: str, reason: str, now: int, draft: Draft, *, doubtful: bool) -> None:
    """Nobody said what became of a claim: its units are open again, and what may be reserved is given back."""
    claim = state.claims.get(name)
    if claim is None or claim.stage != "asked":
        return
    retry_at = try_again_at(state, name, now)
    release = f"{name}/keep/0" if doubtful else ""
    draft.events.append(refused_claim(state, name, claim, f"unanswered: {reason}", retry_at, call=release))
    if release:
        tell_what_is_left(state, name, claim.order, (), release, now, draft)


def tell_what_is_left(
    state: State, name: str, order_id: str, keep: tuple[HeldLine, ...], key: str, now: int, draft: Draft
) -> None:
    """Tell the holder what of a claim is still wanted."""
    order = state.orders.get(order_id)
    criticality = "" if order is None else order.criticality
    effect = ReleaseUnits(name, order_id, keep)
    draft.deliver(state, key, state.policies.holder, "", effect, order_id, criticality, now)


def wanted_units(state: State, order: Order) -> dict[tuple[int, str], int]:
    """Units of an order's lines by node that a claim is to cover: reserved under one, released or picked."""
    wanted: dict[tuple[int, str], int] = {}
    nodes: dict[str, None] = {}
    for name in order.claims:
        nodes.update({line.node: None for line in state.claims[name].lines})
    for held in order.soft:
        if held.claim:
            nodes[held.node] = None
            wanted[held.line, held.node] = wanted.get((held.line, held.node), 0) + held.quantity
    for node in nodes:
        for number in range(1, order.releases + 1):
            fulfillment = state.fulfillment_orders.get(f"{order.id}/{node}/{number}")
            for pick in fulfillment.lines if fulfillment is not None else ():
                wanted[pick.line, node] = wanted.get((pick.line, node), 0) + pick.quantity
    return wanted


def slack(order: Order, name: str, line: int, node: str, quantity: int) -> int:
    """Units of a claim's line at a node that are not reserved under it any more: released, shipped or given up."""
    soft = [held.quantity for held in order.soft if held.claim == name and held.line == line and held.node == node]
    return quantity - sum(soft)


def give_back(state: State, order: Order, now: int, draft: Draft) -> None:
    """Tell the holder of units that claims cover and nobody wants any more: cancelled, expired, short, withdrawn."""
    wanted = wanted_units(state, order)
    over: dict[tuple[int, str], int] = {}
    for name in order.claims:
        for line in state.claims[name].lines:
            place = (line.line, line.node)
            over[place] = over.get(place, -wanted.get(place, 0)) + line.quantity
    for name in reversed(order.claims):
        keep, gone = [], []
        for line in state.claims[name].lines:
            place = (line.line, line.node)
            take = min(over[place], slack(order, name, line.line, line.node, line.quantity))
            if take > 0:
                over[place] -= take
                gone.append(HeldLine(line.line, line.sku, line.node, take))
            if line.quantity > max(0, take):
                keep.append(HeldLine(line.line, line.sku, line.node, line.quantity - max(0, take)))
        if gone:
            release = f"{name}/keep/{sum([line.quantity for line in keep])}"
            draft.events.append(ReservationGivenUp(order.id, name, tuple(gone), release))
            tell_what_is_left(state, name, order.id, tuple(keep), release, now, draft)


def ask_reservations(state: State, now: int, draft: Draft) -> None:
    """Ask the holder for all that is reserved there, unless the question before is still open."""
    if state.asking in state.deliveries or not state.policies.holder:
        return
    request = f"RECONCILE/{state.reconciliations + 1}"
    draft.events.append(ReservationsAsked(request))
    draft.deliver(state, request, state.policies.holder, "", AskReservations(request), request, "", now)
