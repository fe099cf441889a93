"""A fixed story of two hundred orders, told by hand: everything that an order can meet, with no luck in it."""

from __future__ import annotations

import sys

from tests.properties.auditor import audit
from tests.properties.harness import digest
from tests.unit.core.given import DAY, HOUR, MINUTE, Business, delivery_policies, rule
from twin.core.effects import PostCredit, PostInvoice
from twin.core.invariants import violations

CHANNELS = ("web", "desk", "market", "whole", "careful")
SKUS = "abcd"


def tell(orders: int = 200, checked: bool = False) -> Business:
    """The business after the story."""
    business = Business(
        {node: dict.fromkeys(SKUS, 25) for node in ("east", "north", "south")},
        [
            rule("north", "a", "min_max", minimum=5, maximum=30, lead_time_ms=DAY),
            rule("north", "b", "reorder_point", minimum=4, quantity=9, lead_time_ms=DAY),
            rule("south", "c", "base_stock", maximum=25, review_ms=6 * HOUR),
            rule("east", "d", "to_order", lead_time_ms=2 * DAY),
        ],
        counted=True,
        checked=checked,
        delivery=delivery_policies(acknowledge=True, jitter="full", retries=2, timeout_ms=20 * MINUTE),
        reservation_expiry_ms=5 * HOUR,
    )
    sequences = dict.fromkeys(("east", "north", "south"), 0)
    for number in range(orders):
        lines = [(SKUS[(number + 3 * line) % 4], 1 + (number * 7 + line) % 4) for line in range(1 + number % 3)]
        name = f"o{number}"
        business.tell(business.capture(lines, name, CHANNELS[number % 5], hold=number % 11 == 10))
        _answer(business, number)
        _work(business, number, sequences)
        if number % 13 == 5:
            business.tell(business.cancel(order=name))
        if number % 9 == 4:
            business.tell(business.credit(1, f"o{number // 2}", 1, f"c{number}"))
        if number % 11 == 3 and number > 11:
            business.tell(business.release_hold(f"o{number - number % 11 - 1}"))
        if number % 17 == 8:
            business.tell(business.adjust((number % 5) - 2, "north", SKUS[number % 4]))
        if number % 23 == 9:
            business.tell(business.count(("a", number % 20), sequence=sequences["north"], node="north"))
        business.wait(17 * MINUTE)
    business.wait(3 * DAY)
    return business


def _answer(business: Business, number: int) -> None:
    """Gateways answer most deliveries, fail some, and leave others without a word."""
    for place, key in enumerate(list(business.state.deliveries)):
        mood = (number + place) % 7
        effect = business.state.deliveries[key].delivery.effect
        if mood == 0:
            continue
        if mood == 1:
            business.tell(business.acknowledge(key, "failed", "busy"))
        elif isinstance(effect, PostInvoice | PostCredit):
            business.tell(business.confirm(key, effect.order))
        else:
            business.tell(business.acknowledge(key))
    for key in list(business.state.dead_letters)[:1]:
        business.tell(business.redrive(key))


def _work(business: Business, number: int, sequences: dict[str, int]) -> None:
    """Warehouses ship what they have, some of it short; carriers deliver; docks receive."""
    for place, (key, plan) in enumerate(list(business.state.fulfillment_orders.items())):
        if (number + place) % 3:
            sequences[plan.node] += 1
            lines = list(business.ship(key).lines)
            if (number + place) % 8 == 1 and lines[-1][1] > 1:
                lines[-1] = (lines[-1][0], lines[-1][1] - 1)
            business.tell(business.ship(key, lines, sequence=sequences[plan.node]))
    for place, key in enumerate(list(business.state.shipments)):
        if (number + place) % 2:
            business.tell(business.milestone("delivered" if place % 3 else "in_transit", key))
    for place, key in enumerate(list(business.state.purchase_orders)):
        if (number + place) % 12 == 6:
            business.tell(business.answer("rejected" if number % 5 == 0 else "accepted", key, business.at + DAY))
        elif (number + place) % 12 == 9:
            business.tell(business.receive(purchase_order=key))


if __name__ == "__main__":
    told = tell(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
    found = violations(told.state) + audit(told.journal.read(0), told.state)
    print(digest(told.journal), len(told.journal.lines), *found)
