"""Whether an order book fits the business it is to be replayed in: what does not would be lost in silence."""

from __future__ import annotations

from typing import Final

from twin.order_book import BookOrder, OrderBook, OrderBookError
from twin.scenario import Scenario
from twin.scenario.demand import BookDemand
from twin.scenario.errors import choices
from twin.scenario.units import format_instant

__all__ = ["check_fit"]

NUMBER_MAX: Final = 10**12
"""Of units and of minor units on one line; the log stores 64 bits, and sums need room."""


def check_fit(scenario: Scenario, book: OrderBook) -> None:
    """Raises `OrderBookError` naming the first order that has no channel or region here, an item with '/' in its
    id, or numbers beyond what is taken.

    A book whose orders all lie outside the time of the run is refused too.
    """
    place = str(scenario.order_book.file) if scenario.order_book is not None else book.source
    channels = [channel.id for channel in scenario.channels if isinstance(channel.demand, BookDemand)]
    in_time = 0
    for order in book.orders:
        at = f"{place}:{order.lines[0].row}"
        if order.channel not in channels:
            what = choices("channel", "channels with demand {kind: book}", order.channel, channels)
            raise OrderBookError(at, f"order {order.order}: {what}", "correct `channels` in the mapping")
        if order.region not in scenario.regions:
            what = choices("region", "regions", order.region, scenario.regions)
            raise OrderBookError(at, f"order {order.order}: {what}", "correct `regions` in the mapping")
        for line in order.lines:
            if "/" in line.sku:
                what = f"order {order.order}: item '{line.sku}' has a '/', which ids of things made of it are parted by"
                raise OrderBookError(f"{place}:{line.row}", what, "write the item's id without it")
            if max(line.quantity, line.price_minor) > NUMBER_MAX:
                what = f"order {order.order}: {line.quantity} units at {line.price_minor} minor units"
                raise OrderBookError(f"{place}:{line.row}", what, f"correct the line; at most {NUMBER_MAX} is taken")
        in_time += scenario.run.start <= order.at_ms < scenario.run.demand_end
    if book.orders and not in_time:
        raise OrderBookError(place, _outside(scenario, book.orders), "change run.start or run.horizon of the scenario")


def _outside(scenario: Scenario, orders: tuple[BookOrder, ...]) -> str:
    first, last = format_instant(orders[0].at_ms), format_instant(orders[-1].at_ms)
    start, end = format_instant(scenario.run.start), format_instant(scenario.run.demand_end)
    return f"no order lies in the time of the run, {start} to {end}; the book has orders from {first} to {last}"
