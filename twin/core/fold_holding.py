"""Folding events about claims, where the inventory is held outside the engine, into the state."""

from __future__ import annotations

from collections.abc import Sequence

from twin.core.buckets import OPEN, RESERVED
from twin.core.effects import HeldLine
from twin.core.events import (
    Reservation,
    ReservationAsked,
    ReservationConfirmed,
    ReservationGivenUp,
    ReservationRefused,
    ReservationsAsked,
    ReservationsReconciled,
)
from twin.core.fold_stock import supply_changed, touch
from twin.core.holding import slack
from twin.core.refusals import CorruptLog
from twin.core.state import Cell, Claim, ClaimedLine, Order, State
from twin.core.timers import cancel_timer, set_timer

__all__ = ["review_claims", "shipped"]


def reservation_asked(state: State, event: ReservationAsked, now: int) -> None:
    if event.claim in state.claims:
        raise CorruptLog(f"{event.claim} was asked for twice")
    order = state.orders[event.order]
    order.reserves += 1
    order.claims.append(event.claim)
    lines = [ClaimedLine(line.line, line.node, line.sku, line.quantity) for line in event.lines]
    state.claims[event.claim] = Claim(order.id, lines)


def reservation_confirmed(state: State, event: ReservationConfirmed, now: int) -> None:
    claim = state.claims[event.claim]
    claim.stage = "held"
    claim.since = now
    order = state.orders[event.order]
    order.in_doubt = False
    if not order.held:
        # What was confirmed may go.
        set_timer(state.timers, f"source/{order.id}", now)


def open_again(state: State, order: Order, held: Reservation) -> Cell:
    """Units of a reservation are open again on their line, and free in their cell, which is returned."""
    line = order.lines[held.line].buckets
    line[RESERVED] -= held.quantity
    line[OPEN] += held.quantity
    cell = state.stock[held.node][held.sku]
    cell.soft -= held.quantity
    cell.free += held.quantity
    return cell


def reservation_refused(state: State, event: ReservationRefused, now: int) -> None:
    order = state.orders[event.order]
    kept = []
    for held in order.soft:
        if held.claim != event.claim:
            kept.append(held)
            continue
        open_again(state, order, held)
    order.soft = kept
    for node, sku, units in event.withheld:
        cell = state.stock[node][sku]
        cell.free -= units
        cell.elsewhere += units
        touch(state, node, sku, cell)
    for freed in event.lines:
        supply_changed(state, freed.node, freed.sku, state.stock[freed.node][freed.sku])
    _end(state, order, event.claim, now)
    if event.reason == "short":
        order.in_doubt = bool(event.call)
    if not order.soft:
        cancel_timer(state.timers, f"reservation/{order.id}")
    if not order.held and any(line.buckets[OPEN] for line in order.lines.values()):
        key = f"source/{order.id}"
        set_timer(state.timers, key, min(event.retry_at, state.timers.due.get(key, event.retry_at)))


def reservation_given_up(state: State, event: ReservationGivenUp, now: int) -> None:
    _take(state, state.orders[event.order], event.claim, event.lines, now)


def reservations_asked(state: State, event: ReservationsAsked, now: int) -> None:
    state.asking = event.request
    state.asked_at = now
    state.reconciliations += 1
    # What was over before this question was asked cannot excuse a difference in its answer.
    state.settled = {name: at for name, at in state.settled.items() if at >= now}


def reservations_reconciled(state: State, event: ReservationsReconciled, now: int) -> None:
    state.asking = ""
    for node, sku, units in event.elsewhere:
        cell = state.stock[node][sku]
        cell.free += cell.elsewhere - units
        cell.elsewhere = units
        supply_changed(state, node, sku, cell)
        touch(state, node, sku, cell)


def shipped(state: State, order: Order, node: str, lines: Sequence[tuple[int, int]], now: int) -> None:
    """Goods left that claims cover: whoever holds the inventory knows, and the oldest claims come first."""
    for number, units in lines:
        left = units
        for name in list(order.claims):
            for line in list(state.claims[name].lines):
                if line.line != number or line.node != node:
                    continue
                take = min(left, slack(order, name, number, node, line.quantity))
                if take > 0:
                    left -= take
                    _take(state, order, name, (HeldLine(number, line.sku, node, take),), now)
                    break


def review_claims(state: State, order: Order, now: int) -> None:
    """Ask, as a follow-up, that what claims cover and nobody wants any more is given back."""
    if order.claims:
        set_timer(state.timers, f"claim/{order.id}", now)


def _take(state: State, order: Order, name: str, gone: Sequence[HeldLine], now: int) -> None:
    claim = state.claims[name]
    for each in gone:
        for line in claim.lines:
            if line.line == each.line and line.node == each.node:
                line.quantity -= each.quantity
                if line.quantity < 0:
                    raise CorruptLog(f"{name} line {line.line} at {line.node}: {line.quantity} units are claimed")
    claim.lines = [line for line in claim.lines if line.quantity]
    if state.policies.reconcile_ms:
        state.settled[name] = now
    if not claim.lines:
        _end(state, order, name, now)


def _end(state: State, order: Order, name: str, now: int) -> None:
    del state.claims[name]
    order.claims.remove(name)
    if state.policies.reconcile_ms:
        state.settled[name] = now
