"""Stock feeds: what a marketplace may sell, told every period in parts of bounded length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twin.core.draft import Draft
from twin.core.effects import AvailableUnits, PublishAvailability, RefuseOrderUnits
from twin.core.events import AvailabilityPublished, Leg, MarketplaceUnitsRefused
from twin.core.master import Channel
from twin.core.state import Order, State

__all__ = ["PART", "available", "publish", "refuse_units"]

PART: Final = 500
"""Items in one message of a feed."""


def available(state: State, channel: Channel, sku: str) -> int:
    """Units of an item that a channel may be told of: free beyond its safety stock at all nodes, less the buffer.

    A feed has no region: units count wherever they are, though sourcing gives a customer only those of nodes with a
    lane to them.
    """
    if channel.feed_closed:
        return 0
    stock = state.stock
    units = 0
    for node in state.nodes_of.get(sku, ()):
        cell = stock[node][sku]
        units += max(0, cell.free - cell.backordered - channel.safety_stock)
    return max(0, units - channel.feed_buffer)


def publish(state: State, channel_id: str, now: int, draft: Draft) -> None:
    """Tell a marketplace the whole of what it may sell, as of the last entry of the log."""
    channel = state.channels[channel_id]
    lines = [AvailableUnits(sku, available(state, channel, sku)) for sku in state.items]
    draft.events.append(AvailabilityPublished(channel_id, state.position, len(lines), -(-len(lines) // PART)))
    for number, first in enumerate(range(0, len(lines), PART), start=1):
        effect = PublishAvailability(channel_id, state.position, tuple(lines[first : first + PART]))
        key = f"FEED/{channel_id}/{state.position}/{number}"
        draft.deliver(state, key, "marketplace", channel_id, effect, key, channel.criticality, now)


def refuse_units(state: State, order: Order, legs: Sequence[Leg], now: int, draft: Draft) -> None:
    """Tell the marketplace of an order what the seller cancels of it; nothing where nothing is rejected."""
    lines = tuple([(leg.line, leg.quantity) for leg in legs if leg.route == "reject"])
    if lines:
        effect = RefuseOrderUnits(order.channel, order.id, lines)
        key = f"{order.id}/refusal/{state.position}"
        draft.events.append(MarketplaceUnitsRefused(order.id, key, sum([units for _, units in lines])))
        draft.deliver(state, key, "marketplace", order.channel, effect, order.id, order.criticality, now)
