"""How far results hang on the order of what happens at one instant: ties within a phase are permuted."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.world.small import small
from tests.world.stage import DAY, HOUR, MINUTE, Stage, tiny
from twin.core.commands import CaptureOrder
from twin.core.events import GoodsShipped
from twin.core.invariants import violations
from twin.streams import Series

SHUFFLES = (1, 2, 3)

# Everything at full hours: bursts of orders, picks of five minutes, trucks that are too small, goods that come as the
# shelf is empty. No business is like that; none could hang on ties more.
CROWDED: dict[str, Any] = {
    "run": {"horizon": "40d"},
    "warehouses": [
        {
            "id": "main",
            "pickers": 3,
            "pick_time": {"order": "20m"},
            "pickups": [{"carrier": "van", "at": ["10:00", "16:00"], "capacity": 12}],
            "counting": {"every": "1d"},
        }
    ],
    "suppliers": [{"id": "mill", "lead_time": "1d", "latency": "1ms"}],
    "carriers": [{"id": "van", "milestones": ["picked_up", "in_transit", "out_for_delivery", "delivered"]}],
    "stock": [{"warehouse": "main", "item": "mug", "on_hand": 60}],
    "policies": {
        "replenishment": [{"warehouse": "main", "item": "mug", "supplier": "mill", "kind": "min_max", "s": 40, "S": 80}]
    },
}


@cache
def crowded(shuffle: int | None) -> Stage:
    """Ten days of it; nobody changes what comes back."""
    stage = Stage(tiny(CROWDED), shuffle=_ties(shuffle))
    for number in range(240):
        order, at = f"o{number}", number // 8 * 8 * HOUR
        stage.order(order, {"mug": 1 + number % 5}, at=at, criticality="ABC"[number % 3])
    stage.run_checked(10 * DAY)
    return stage


@cache
def shipped_small(shuffle: int | None) -> Stage:
    """The small business, drained; nobody changes what comes back."""
    stage = Stage(small(), seed=7, shuffle=_ties(shuffle))
    stage.run_checked(6 * DAY, every=200)
    return stage


def _ties(shuffle: int | None) -> Series | None:
    return None if shuffle is None else Series(shuffle, "ties")


def figures(stage: Stage) -> dict[str, int]:
    """What an owner would look at: units and money, and the mean time to the customer in minutes."""
    books = stage.account()
    ordered = {command.id: command.time for command in stage.commands(CaptureOrder)}
    delivered = {row.subject: row.at for row in stage.rows("shipment.delivered")}
    waits = [
        delivered[event.shipment] - ordered[event.order]
        for _, event in stage.events(GoodsShipped)
        if event.shipment in delivered
    ]
    return {
        "captured": books.captured.units,
        "delivered": books.delivered.units,
        "invoiced": books.invoiced_minor,
        "entries": stage.log.position,
        "wait_minutes": sum(waits) // len(waits) // MINUTE,
    }


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_whatever_the_order_of_ties_nothing_is_lost(shuffle: int) -> None:
    for business in (crowded, shipped_small):
        stage, plain = business(shuffle), business(None)
        assert stage.account().differences == []
        assert violations(stage.state) == []
        # Another order of the same things, and not the same order again.
        assert stage.log.digest != plain.log.digest
        assert stage.account().captured == plain.account().captured


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_the_shipped_business_does_not_hang_on_ties(shuffle: int) -> None:
    assert figures(shipped_small(shuffle)) == figures(shipped_small(None))


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_a_business_made_of_ties_moves_by_a_few_in_a_hundred(shuffle: int) -> None:
    shuffled, straight = figures(crowded(shuffle)), figures(crowded(None))
    assert shuffled["delivered"] == pytest.approx(straight["delivered"], rel=0.03)
    assert shuffled["invoiced"] == pytest.approx(straight["invoiced"], rel=0.03)
    assert shuffled["wait_minutes"] == pytest.approx(straight["wait_minutes"], rel=0.08)


def test_the_same_shuffle_is_the_same_run() -> None:
    assert crowded.__wrapped__(2).log.digest == crowded(2).log.digest
