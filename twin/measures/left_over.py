"""What is left over once faults have cleared and demand has stopped: anything that neither ended nor is seen by anyone.

After a drill's liveness phase every order is done or in a visible exception, and no reservation, timer or delivery is
left. A visible exception is a held order, a ticket, or a dead letter about the order or one of its purchase orders.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from twin.core import buckets
from twin.core.state import Order, State

__all__ = ["left_over"]

STANDING: Final = ("review", "close", "feed", "wave", "watch", "dead", "reconcile")
"""Timers that a business at rest has: periodic work, orders that wait for the end of their return window, and dead
letters that wait for somebody."""


def left_over(state: State) -> list[str]:
    """One sentence for each thing that is left over, in a stable order; empty where the business has come to rest."""
    return [*_orders(state), *_stock(state), *_messages(state), *_timers(state)]


def _excepted(state: State) -> dict[str, None]:
    """Orders and purchase orders that a dead letter is about."""
    about: dict[str, None] = dict.fromkeys([*state.tickets, *state.tickets.values()])
    for opened in state.dead_letters.values():
        about[opened.delivery.correlation] = None
        purchase = state.purchase_orders.get(opened.delivery.key)
        for peg in purchase.pegs if purchase is not None else ():
            about[peg.order] = None
    return about


def _unfinished(order: Order) -> int:
    return sum([sum(line.buckets[: buckets.DELIVERED]) for line in order.lines.values()])


def _orders(state: State) -> Iterator[str]:
    excepted = _excepted(state)
    for order in state.orders.values():
        seen = order.held or order.id in excepted
        if _unfinished(order) and not seen:
            where = {
                name: units
                for line in order.lines.values()
                for name, units in zip(buckets.BUCKETS, line.buckets, strict=True)
                if units
            }
            told = ", ".join(f"{units} {name}" for name, units in where.items())
            yield f"{order.id}: not done and in no visible exception ({told})"
        elif order.unposted and not seen:
            yield f"{order.id}: {order.unposted} documents that are not posted"
    for key, purchase in state.purchase_orders.items():
        if key not in state.dead_letters and key not in state.tickets:
            yield f"{key}: {sum(purchase.due.values())} units of a purchase order that never came"


def _stock(state: State) -> Iterator[str]:
    excepted = _excepted(state)
    waiting = {
        (held.node, held.sku)
        for order in state.orders.values()
        if order.held or order.id in excepted
        for held in order.soft
    }
    for node, cells in state.stock.items():
        for sku, cell in cells.items():
            if cell.soft and (node, sku) not in waiting:
                yield f"{sku} at {node}: {cell.soft} units reserved for nobody who is seen"
    for key, fulfillment in state.fulfillment_orders.items():
        if fulfillment.order not in excepted:
            yield f"{key}: {fulfillment.left} units released and never shipped"


def _messages(state: State) -> Iterator[str]:
    for key, opened in state.deliveries.items():
        yield f"delivery {key} to {opened.delivery.gateway}: still {opened.stage.replace('_', ' ')}"


def _timers(state: State) -> Iterator[str]:
    for key in state.timers.due:
        if key.partition("/")[0] not in STANDING:
            yield f"timer {key}: still set"
