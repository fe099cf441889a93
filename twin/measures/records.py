"""What is remembered of things while they are open; closed ones leave only their sums."""

from __future__ import annotations

from array import array
from typing import NamedTuple

__all__ = [
    "CellFacts",
    "ChannelFacts",
    "ClassFacts",
    "LineFacts",
    "OrderFacts",
    "OrderRecord",
    "Purchase",
    "PurchaseFacts",
    "ReleaseFacts",
    "ShipmentFacts",
]


class LineFacts:
    """An order line: units by what happened to them; instants in ms, 0 for never."""

    __slots__ = (
        "billed",
        "cancelled",
        "delivered",
        "first_pass",
        "first_promised",
        "ordered",
        "path",
        "price_minor",
        "promised_at",
        "rejected",
        "released",
        "reserved",
        "shipped",
        "short_since",
        "sku",
        "waiting",
        "withdrawn",
    )

    def __init__(self, sku: str, ordered: int, price_minor: int) -> None:
        self.sku = sku
        self.ordered = ordered
        self.price_minor = price_minor
        self.first_pass = 0
        self.path = ""
        self.reserved = 0
        self.released = 0
        self.shipped = 0
        self.delivered = 0
        self.billed = 0
        self.rejected = 0
        self.cancelled = 0
        # Of the cancelled ones, those that the customer withdrew before the requested date.
        self.withdrawn = 0
        self.waiting = 0
        self.short_since = 0
        self.first_promised = 0
        self.promised_at = 0


class OrderFacts:
    """An open order. `counted`: captured within the window. `loaded`: captured before the log begins. `left`: units
    that are neither delivered nor given up."""

    __slots__ = (
        "captured_at",
        "channel",
        "counted",
        "criticality",
        "delivered_at",
        "fallout",
        "freight_minor",
        "held",
        "id",
        "left",
        "lines",
        "loaded",
        "nodes",
        "promised_at",
        "released_at",
        "requested_at",
        "shipments",
        "shipped_at",
        "sourced",
        "to_ship",
        "touches",
    )

    def __init__(
        self, order: str, channel: str, criticality: str, captured_at: int, requested_at: int, counted: bool
    ) -> None:
        self.id = order
        self.channel = channel
        self.criticality = criticality
        self.captured_at = captured_at
        self.requested_at = requested_at
        self.counted = counted
        self.loaded = False
        self.lines: dict[int, LineFacts] = {}
        self.left = 0
        self.to_ship = 0
        self.sourced = False
        self.promised_at = 0
        self.released_at = -1
        self.shipped_at = 0
        self.delivered_at = 0
        self.touches = 0
        self.fallout = False
        self.freight_minor = 0
        self.held = False
        self.shipments: dict[str, ShipmentFacts] = {}
        self.nodes: list[str] = []


class ShipmentFacts:
    """A parcel of an open order."""

    __slots__ = ("invoices", "lines", "picked_up", "shipped_at", "stage")

    def __init__(self, shipped_at: int, lines: tuple[tuple[int, int], ...]) -> None:
        self.shipped_at = shipped_at
        self.lines = lines
        self.stage = "shipped"
        self.invoices = 0
        self.picked_up = False


class ReleaseFacts:
    """A fulfillment order: units still to come; `lines` are (order line, units) as released."""

    __slots__ = ("left", "lines", "node", "order", "stage")

    def __init__(self, order: str, node: str, left: int, lines: tuple[tuple[int, int], ...] = ()) -> None:
        self.lines = lines
        self.order = order
        self.node = node
        self.left = left
        self.stage = "released"


class PurchaseFacts:
    """An open purchase order: when it was made, its stage, units still to come by item, and how often its date was
    changed."""

    __slots__ = ("acknowledged", "created_at", "due", "revision", "stage")

    def __init__(self, created_at: int, due: dict[str, int]) -> None:
        self.created_at = created_at
        self.due = due
        self.stage = "created"
        self.acknowledged = False
        self.revision = 0


class Purchase(NamedTuple):
    """A purchase order as it was made: when (ms), from whom and for where, its items, and the orders pegged to it."""

    at: int
    supplier: str
    node: str
    skus: tuple[str, ...]
    orders: tuple[str, ...]


class OrderRecord:
    """An order as pairs of runs compare it. `delivered_at` 0: not whole by the end.

    `value_minor` is what was ordered, `delivered_minor` what of it was delivered, at its prices.
    """

    __slots__ = (
        "captured_at",
        "delivered_at",
        "delivered_minor",
        "delivered_units",
        "freight_minor",
        "nodes",
        "requested_at",
        "value_minor",
    )

    def __init__(
        self,
        captured_at: int,
        requested_at: int,
        delivered_at: int,
        nodes: tuple[str, ...],
        value_minor: int = 0,
        delivered_minor: int = 0,
        delivered_units: int = 0,
        freight_minor: int = 0,
    ) -> None:
        self.captured_at = captured_at
        self.requested_at = requested_at
        self.delivered_at = delivered_at
        self.nodes = nodes
        self.value_minor = value_minor
        self.delivered_minor = delivered_minor
        self.delivered_units = delivered_units
        self.freight_minor = freight_minor


class ClassFacts:
    """Orders that fell due in the window, of one criticality class."""

    __slots__ = ("due", "full", "on_time", "withdrawn")

    def __init__(self) -> None:
        self.due = 0
        self.full = 0
        self.on_time = 0
        self.withdrawn = 0


class ChannelFacts:
    """One channel: what was captured in the window, and the money that moved in it (minor units)."""

    __slots__ = ("cost_of_goods", "freight", "lines", "orders", "revenue", "units")

    def __init__(self) -> None:
        self.orders = 0
        self.lines = 0
        self.units = 0
        self.revenue = 0
        self.cost_of_goods = 0
        self.freight = 0


class CellFacts:
    """Stock of one item at one node as the engine believed it, and its integrals over the window (unit · ms).

    On hand is free + soft + hard + staged + quarantined. The arrays are kept where the truth is to be compared:
    `levels` (at, on hand), `looks` (at, on hand, available told), `grabs` (at, on hand, free before, units reserved).
    """

    __slots__ = (
        "backordered",
        "backordered_area",
        "counted_at",
        "counted_time",
        "cycle_short",
        "free",
        "free_area",
        "grabs",
        "last",
        "levels",
        "looks",
        "on_hand",
        "on_hand_area",
        "ready_ms",
        "since",
        "sku",
        "stocked",
        "value_area",
        "valued_to",
    )

    def __init__(self, sku: str, since: int) -> None:
        self.sku = sku
        self.free = 0
        self.on_hand = 0
        self.backordered = 0
        # Settled up to `last`; begins at the start of the window or when the cell appears.
        self.last = since
        self.since = since
        self.on_hand_area = 0
        self.free_area = 0
        self.backordered_area = 0
        self.ready_ms = 0
        self.value_area = 0
        # The part of `on_hand_area` that `value_area` holds already, at the item's former costs.
        self.valued_to = 0
        self.stocked = True
        self.cycle_short = False
        self.counted_at = 0
        self.counted_time = -1
        self.levels = array("q")
        self.looks = array("q")
        self.grabs = array("q")

    def settle(self, now: int) -> None:
        """Bring the integrals up to `now`; to be called before any level changes."""
        span = now - self.last
        if span > 0:
            if self.on_hand > 0:
                self.on_hand_area += self.on_hand * span
            free = self.free
            waiting = self.backordered
            if free > 0:
                self.free_area += free * span
            if waiting:
                self.backordered_area += waiting * span
            if free > waiting:
                self.ready_ms += span
            self.last = now

    def revalue(self, cost_minor: int) -> None:
        """Close the value integral (minor · ms) at the cost that held so far."""
        self.value_area += (self.on_hand_area - self.valued_to) * cost_minor
        self.valued_to = self.on_hand_area
