"""Promise dates: what is available to promise plus handling, the next departure and the promised transit."""

from __future__ import annotations

from bisect import bisect_left

from twin.core.calendar import CalendarExhausted, next_open
from twin.core.events import Leg
from twin.core.master import Carrier, Lane, Warehouse
from twin.core.state import Order, State

__all__ = ["date_from", "delivery_date", "expected_supply", "promise_lines"]


def delivery_date(warehouse: Warehouse, lane: Lane, carrier: Carrier | None, ready_at: int) -> int:
    """When goods that are available at `ready_at` reach the customer, in ms.

    The parcel leaves with the first departure whose cut-off is not before `ready_at`, and is delivered in the
    carrier's hours. Raises `CalendarExhausted` past the last departure, or the last of the carrier's hours, known.
    """
    leaves = ready_at + warehouse.handling_ms
    for departures in warehouse.departures:
        if departures.carrier == lane.carrier:
            cut_offs = departures.cut_offs
            index = bisect_left(cut_offs, ready_at)
            if index == len(cut_offs):
                raise CalendarExhausted(
                    f"{warehouse.id}: no departure of {lane.carrier} is known after {ready_at}; "
                    f"the last cut-off is {cut_offs[-1] if cut_offs else 'none'}"
                )
            leaves = departures.leaves[index]
            break
    arrives = leaves + lane.promise_ms
    return arrives if carrier is None else next_open(carrier.calendar, arrives)


def expected_supply(state: State, node: str, sku: str, now: int) -> int:
    """When a shortage at (node, sku) can be served: the first open purchase order's date, else a lead time from now.

    What is bought for one customer alone waits for no other purchase order.
    """
    if state.warehouses[node].drop_ship:
        return now
    for purchase_order in state.inbound.get(node, {}).get(sku, ()):
        return max(now, state.purchase_orders[purchase_order].eta)
    rule = state.replenishment.get(node, {}).get(sku)
    return now + (rule.lead_time_ms if rule is not None else 0)


def promise_lines(state: State, order: Order, legs: tuple[Leg, ...], now: int) -> tuple[tuple[int, int], ...]:
    """(line, instant) for every line that will be delivered: its latest leg decides.

    Raises `CalendarExhausted` where the known calendar ends before the goods leave.
    """
    lanes = state.lanes[order.region]
    dates: dict[int, int] = {}
    at_node: dict[str, int] = {}
    for leg in legs:
        if leg.route == "reject":
            continue
        node = leg.node
        if leg.route == "stock":
            at = at_node.get(node, -1)
            if at < 0:
                at = at_node[node] = _date(state, lanes[node], now)
        else:
            supply = expected_supply(state, node, order.lines[leg.line].sku, now)
            at = _date(state, lanes[node], supply)
        if at > dates.get(leg.line, -1):
            dates[leg.line] = at
    return tuple(dates.items())


def date_from(state: State, lane: Lane, now: int) -> int:
    """When goods that are in stock now would reach the customer, in ms; 0 where the known calendar ends before."""
    try:
        return _date(state, lane, now)
    except CalendarExhausted:
        return 0


def _date(state: State, lane: Lane, ready_at: int) -> int:
    date = delivery_date(state.warehouses[lane.node], lane, state.carriers.get(lane.carrier), ready_at)
    return date + state.policies.promise_extra_ms
