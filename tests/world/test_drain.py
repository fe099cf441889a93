"""Safety, then liveness: a business under load keeps its invariants; demand stops, and everything comes to an end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world.small import small
from tests.world.stage import DAY, HOUR, Stage, tiny
from twin.core.buckets import BUCKETS
from twin.core.events import DeliveryDeadLettered, OrderCaptured, OrderClosed, PurchaseOrderCreated, UnitsShorted

ENDED = [BUCKETS.index(name) for name in ("delivered", "returned", "lost", "rejected", "cancelled") if name in BUCKETS]


def unfinished(stage: Stage) -> list[str]:
    """What still goes on, as sentences. Only closings of ended orders may, and purchases that are not yet due: they
    come for the shelf, and a ship takes two months."""
    state, now = stage.state, stage.world.now
    found = [
        f"order {order.id} is open: {_units(order.lines.values())}" for order in state.orders.values() if _open(order)
    ]
    found += [f"fulfillment order {key} is open" for key in state.fulfillment_orders]
    found += [f"shipment {key} is on its way" for key in state.shipments]
    found += [f"delivery {key} is open" for key in state.deliveries]
    found += [
        f"purchase order {key} is late" for key, bought in state.purchase_orders.items() if bought.eta + DAY < now
    ]
    found += [f"{order.id} holds a reservation" for order in state.orders.values() if order.soft]
    found += [f"timer {key} is set" for key in state.timers.due if not key.startswith("close/")]
    for node, cells in state.stock.items():
        found += [
            f"{sku} at {node} is reserved" for sku, cell in cells.items() if cell.soft or cell.hard or cell.staged
        ]
        found += [f"{sku} at {node} is waited for" for sku, cell in cells.items() if cell.waiting]
    for site in stage.world.warehouses.values():
        found += [f"{len(site.queue)} jobs wait in {site.id}"] if site.queue else []
        found += [f"parcels of {carrier} wait in {site.id}" for carrier, jobs in site.dock.items() if jobs]
        found += [f"{sku} is staged in {site.id}" for sku, units in site.staged.items() if units]
    return found


def _open(order: Any) -> bool:
    return any(sum(line.buckets) != sum(line.buckets[bucket] for bucket in ENDED) for line in order.lines.values())


def _units(lines: Any) -> str:
    return ", ".join(f"{name} {sum(line.buckets[index] for line in lines)}" for index, name in enumerate(BUCKETS))


# --- the shipped business


@pytest.fixture(scope="module")
def loaded() -> Stage:
    """Four days of the small business, checked at every fiftieth entry."""
    stage = Stage(small({"run": {"drain": "100d"}}), seed=7)
    assert stage.run_checked(4 * DAY) > 40
    return stage


def test_under_load_the_invariants_hold_and_work_is_going_on(loaded: Stage) -> None:
    assert unfinished(loaded)
    assert len(loaded.events(OrderCaptured)) > 100


def test_when_demand_stops_every_order_ends_and_nothing_is_left_behind(loaded: Stage) -> None:
    stage = loaded.fork()
    stage.run_checked(90 * DAY)
    assert unfinished(stage) == []
    assert stage.state.orders == {}
    assert stage.state.timers.due == {}
    assert stage.state.dead_letters == {}
    # The books want the whole log, and the fork's begins with the fork.
    whole = Stage(small({"run": {"drain": "100d"}}), seed=7)
    whole.run(90 * DAY)
    assert len(whole.events(OrderClosed)) == len(whole.events(OrderCaptured)) > 100
    whole.check_books()
    books = whole.account()
    assert books.open.units == 0
    assert books.delivered.units + books.cancelled.units + books.rejected.units == books.captured.units


def test_before_the_return_window_is_over_only_closings_are_left(loaded: Stage) -> None:
    stage = loaded.fork()
    stage.run(30 * DAY)
    assert unfinished(stage) == []
    assert stage.state.orders
    assert stage.state.timers.due
    assert all(key.startswith("close/") for key in stage.state.timers.due)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_luck_ends_as_well(seed: int) -> None:
    stage = Stage(small({"run": {"horizon": "2d", "drain": "100d"}}), seed)
    stage.run_checked(80 * DAY, every=200)
    assert unfinished(stage) == []
    stage.check_books()


# --- businesses in trouble

MILL = {"id": "mill", "lead_time": {"kind": "exponential", "mean": "2d"}}
RULE = {"warehouse": "main", "item": "mug", "supplier": "mill", "kind": "min_max", "s": 30, "S": 90}

TROUBLE: dict[str, dict[str, Any]] = {
    "shrink and rare counts": {
        "warehouses": [{"id": "main", "shrink": "8%/day", "counting": {"every": "6d"}}],
        "stock": [{"warehouse": "main", "item": "mug", "on_hand": 60}],
    },
    "messages that overtake each other": {
        "warehouses": [
            {
                "id": "main",
                "latency": {"kind": "exponential", "mean": "10m"},
                "reports": ["picked", "packed", "shipped"],
                "counting": {"every": "11h"},
            }
        ],
        "policies": {"delivery": {"default": {"timeout": "12h", "deadline": "10d"}}},
    },
    "timeouts shorter than the way": {
        "warehouses": [{"id": "main", "latency": "40s"}],
        "policies": {"delivery": {"default": {"timeout": "30s"}}},
    },
    "too few pickers and small trucks": {
        "warehouses": [
            {
                "id": "main",
                "pickers": 1,
                "pick_time": {"order": "70m"},
                "pickups": [{"carrier": "van", "at": ["16:00"], "capacity": 18}],
            }
        ],
    },
    "waves and complete orders": {
        "channels": [{"id": "web", "fulfillment": "complete"}],
        "policies": {"release": {"kind": "waves", "at": ["09:00"]}, "reservation": {"expiry": "12h"}},
    },
    "no answers are awaited": {"policies": {"delivery": {"default": {"acknowledge": False}}}},
}


@pytest.mark.parametrize("changes", TROUBLE.values(), ids=TROUBLE.keys())
def test_a_business_in_trouble_drains_too(changes: dict[str, Any]) -> None:  # RC-06, RC-16
    rules = {"replenishment": [RULE], "returns": {"window": "1d"}}
    policies = {**changes.get("policies", {}), **rules}
    scenario = tiny({"run": {"horizon": "90d"}, "suppliers": [MILL], **changes, "policies": policies})
    stage = Stage(scenario, seed=2)
    for number in range(120):
        stage.order(f"o{number}", {"mug": 1 + number * number % 5}, at=number * 2 * HOUR, criticality="ABC"[number % 3])
    stage.run_checked(10 * DAY)
    stage.run_checked(85 * DAY)
    assert len(stage.events(PurchaseOrderCreated)) >= 2
    left = unfinished(stage)
    if "shrink" in changes.get("warehouses", [{}])[0]:
        # Shrink goes on, so that buying does: a purchase may be under way at any time.
        left = [sentence for sentence in left if not sentence.startswith("purchase order")]
    assert left == []
    assert stage.account().delivered.units == stage.account().captured.units
    stage.check_books()


def test_what_cannot_end_is_seen_as_waiting_and_not_lost() -> None:
    stage = Stage(tiny())
    stage.order("o1", {"mug": 230}, at=HOUR)
    stage.run(50 * DAY)
    assert unfinished(stage) == [
        "order o1 is open: " + _units(stage.state.orders["o1"].lines.values()),
        "mug at main is waited for",
    ]
    assert stage.account().open.units == 30
    stage.check_books()


def test_short_picks_of_stock_that_is_not_there_come_to_an_end() -> None:
    stage = Stage(tiny())
    stage.steal("main", "mug", 195)
    for number in range(10):
        stage.order(f"o{number}", {"mug": 3}, at=number * HOUR)
    stage.run(20 * DAY)
    assert len(stage.events(UnitsShorted)) >= 1
    books = stage.account()
    assert (books.delivered.units, books.open.units) == (5, 25)
    assert stage.cell().on_hand == stage.physical() == 0
    stage.check_books()


class Deaf:
    """A gateway whose counterpart never hears."""

    def submit(self, delivery: object) -> None:
        """Swallow it."""


def test_a_warehouse_that_never_answers_leaves_dead_letters_in_sight() -> None:
    policy = {"delivery": {"warehouse": {"deadline": "2h", "retries": {"max": 3}}}}
    stage = Stage(tiny({"policies": policy}))
    stage.driver.gateways = {**stage.driver.gateways, "warehouse/main": Deaf()}
    for number in range(5):
        stage.order(f"o{number}", at=number * HOUR)
    stage.run(30 * DAY)
    assert len(stage.events(DeliveryDeadLettered)) == 5
    assert list(stage.state.dead_letters) == [f"o{number}/main/1" for number in range(5)]
    # Five orders stand open, each with the letter that explains it; no timer turns over them any more.
    assert stage.state.timers.due == {}
    assert stage.state.deliveries == {}
    stage.check_books()
