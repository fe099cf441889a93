"""Serving what waits: backordered units get supply in the order of priority, then age."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from twin.core import buckets
from twin.core.calendar import CalendarExhausted
from twin.core.draft import Draft
from twin.core.events import Leg, Reservation, ReservationDecided, ReservationRequested
from twin.core.holding import ask_holder, claim_name
from twin.core.ordering import release, repromise
from twin.core.state import Backorder, Order, State, withheld

__all__ = ["serve", "serve_waiting"]


def serve_waiting(state: State, node: str, sku: str, now: int, draft: Draft) -> None:
    """Serve a cell's queue from its free stock, a bounded number of backorders a step."""
    cell = state.stock[node][sku]
    units = cell.free
    served: list[tuple[Backorder, int]] = []
    for waiting in cell.waiting:
        if units <= 0 or len(served) == state.policies.batch:
            break
        # What is withheld from a channel is withheld from its backorders too.
        take = min(units - withheld(state, waiting), waiting.quantity)
        if take > 0:
            served.append((waiting, take))
            units -= take
    serve(state, node, sku, served, now, draft)


def serve(state: State, node: str, sku: str, served: Sequence[tuple[Backorder, int]], now: int, draft: Draft) -> None:
    """Reserve units for backorders, re-promise where a date gets later, and release what may go."""
    by_order: dict[str, list[tuple[Backorder, int]]] = {}
    for waiting, units in served:
        by_order.setdefault(waiting.order, []).append((waiting, units))
    for order_id, parts in by_order.items():
        order = state.orders[order_id]
        deferred = order.held or state.policies.waves
        expiry = state.policies.reservation_expiry_ms
        expires_at = now + expiry if deferred and expiry else 0
        reserved: list[Reservation] = []
        claim = claim_name(state, order, draft)
        draft.events.append(ReservationRequested(order_id))
        for bucket in (buckets.BACKORDERED, buckets.ON_ORDER):
            batch = tuple(
                Reservation(waiting.line, node, sku, units, "soft", expires_at, claim)
                for waiting, units in parts
                if waiting.bucket == bucket
            )
            if batch:
                draft.events.append(ReservationDecided(order_id, batch, buckets.BUCKETS[bucket]))
                reserved.extend(batch)
        if claim:
            ask_holder(state, order, claim, reserved, now, draft)
        legs = tuple(Leg(held.line, "stock", node, held.quantity, "served") for held in reserved)
        # The goods go all the same where the known calendar ends: a date past it cannot be told.
        with suppress(CalendarExhausted):
            repromise(state, order, legs, now, draft)
        _release(state, order, reserved, now, draft)


def _release(state: State, order: Order, reserved: list[Reservation], now: int, draft: Draft) -> None:
    if order.held or state.policies.waves:
        return
    if state.channels[order.channel].ship_complete:
        waiting = sum(sum(line.buckets[buckets.OPEN : buckets.RESERVED]) for line in order.lines.values())
        if waiting > sum(held.quantity for held in reserved):
            return
    release(state, order, [*order.soft, *reserved], now, draft)
