"""Where an order line's units are: buckets whose sum is always what was ordered, and the moves between them.

There is no stored status: `status` reads it off the buckets.
"""

from __future__ import annotations

from typing import Final

__all__ = ["BUCKETS", "MOVES", "status"]

BUCKETS: Final = (
    "open",
    "sourcing",
    "on_order",
    "in_transfer",
    "backordered",
    "reserved",
    "released",
    "picked",
    "shipped",
    "delivered",
    "returned",
    "lost",
    "rejected",
    "cancelled",
)

OPEN: Final = 0
SOURCING: Final = 1
ON_ORDER: Final = 2
IN_TRANSFER: Final = 3
BACKORDERED: Final = 4
RESERVED: Final = 5
RELEASED: Final = 6
PICKED: Final = 7
SHIPPED: Final = 8
DELIVERED: Final = 9
RETURNED: Final = 10
LOST: Final = 11
REJECTED: Final = 12
CANCELLED: Final = 13

INDEX: Final = {name: index for index, name in enumerate(BUCKETS)}

MOVES: Final[dict[str, tuple[tuple[int, int], ...]]] = {
    "sourcing.requested": ((OPEN, SOURCING),),
    "sourcing.unanswered": ((SOURCING, OPEN),),
    "sourcing.decided": ((SOURCING, BACKORDERED), (SOURCING, ON_ORDER), (SOURCING, REJECTED)),
    "reservation.decided": ((SOURCING, RESERVED), (BACKORDERED, RESERVED), (ON_ORDER, RESERVED)),
    "reservation.expired": ((RESERVED, OPEN),),
    "reservation.refused": ((RESERVED, OPEN),),
    "release.decided": ((RESERVED, RELEASED),),
    "release.withdrawn": ((RELEASED, OPEN),),
    "fulfillment.picked": ((RELEASED, PICKED),),
    "fulfillment.shorted": ((RELEASED, OPEN), (PICKED, OPEN)),
    "shipment.shipped": ((RELEASED, SHIPPED), (PICKED, SHIPPED)),
    "shipment.loaded": ((OPEN, SHIPPED),),
    "shipment.delivered": ((SHIPPED, DELIVERED),),
    "order.cancelled": (
        (OPEN, CANCELLED),
        (SOURCING, CANCELLED),
        (ON_ORDER, CANCELLED),
        (BACKORDERED, CANCELLED),
        (RESERVED, CANCELLED),
    ),
}
"""Which moves of units each event may make; `apply` makes no other."""

ROUTE_BUCKETS: Final = {"backorder": BACKORDERED, "replenish": ON_ORDER, "reject": REJECTED}
"""Where the units of a sourcing leg go; the units of a stock leg stay in sourcing until they are reserved."""


def status(lines: list[list[int]], held: bool = False) -> str:
    """The order's state in one word, from its lines' buckets: the least advanced open stage, or how it ended.

    Order of precedence: held, backordered (also on order), captured (open), sourced, reserved, released,
    picked, shipped, then the terminal ones delivered, returned, lost, rejected, cancelled.
    """
    total = [sum(column) for column in zip(*lines, strict=True)]
    if held and any(total[OPEN : RESERVED + 1]):
        return "held"
    if total[BACKORDERED] or total[ON_ORDER] or total[IN_TRANSFER]:
        return "backordered"
    for index, word in (
        (OPEN, "captured"),
        (SOURCING, "sourced"),
        (RESERVED, "reserved"),
        (RELEASED, "released"),
        (PICKED, "picked"),
        (SHIPPED, "shipped"),
        (DELIVERED, "delivered"),
        (RETURNED, "returned"),
        (LOST, "lost"),
        (REJECTED, "rejected"),
    ):
        if total[index]:
            return word
    return "cancelled"
