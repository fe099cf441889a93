"""Bugs planted in the world one at a time: the books must tell them, or an order must stay visibly open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.world.stage import DAY, HOUR, Stage, tiny
from twin.core.invariants import violations
from twin.world.carrier import Carrier
from twin.world.erp import Erp
from twin.world.kernel import Phase
from twin.world.supplier import Supplier
from twin.world.warehouse import Arrival, Job, Warehouse

Patch = pytest.MonkeyPatch

BUSINESS: dict[str, Any] = {
    "run": {"horizon": "20d"},
    "warehouses": [
        {
            "id": "main",
            "pickers": 2,
            "pick_time": {"order": "10m"},
            "pickups": [{"carrier": "van", "at": ["16:00"]}],
            "counting": {"every": "13h"},
            "reports": ["picked", "shipped"],
        }
    ],
    "suppliers": [{"id": "mill", "lead_time": "2d"}],
    "stock": [{"warehouse": "main", "item": "mug", "on_hand": 30}],
    "policies": {
        "replenishment": [
            {"warehouse": "main", "item": "mug", "supplier": "mill", "kind": "min_max", "s": 15, "S": 40}
        ],
        "returns": {"window": "1d"},
    },
}


def story() -> Stage:
    """Sixty mugs in twenty orders over ten days, counted every thirteen hours, and ten more days to end it all."""
    stage = Stage(tiny(BUSINESS))
    for number in range(20):
        stage.order(f"o{number}", {"mug": 3}, at=number * 12 * HOUR)
    stage.run(20 * DAY)
    return stage


def found(stage: Stage) -> list[str]:
    """What the books and the invariants say."""
    return stage.account().differences + violations(stage.state)


def test_without_a_planted_bug_the_books_are_whole_and_every_order_ends() -> None:
    stage = story()
    assert found(stage) == []
    assert stage.account().delivered.units == 60
    assert stage.state.orders == {}
    assert len(stage.rows("stock.received")) >= 2


# --- the plants


def ship_twice(patch: Patch) -> None:
    original = Warehouse._hand_over

    def hand_over(site: Warehouse, job: Job) -> None:
        original(site, job)
        original(site, job)

    patch.setattr(Warehouse, "_hand_over", hand_over)


def ship_again_days_later(patch: Patch) -> None:
    original = Warehouse._hand_over

    def hand_over(site: Warehouse, job: Job) -> None:
        original(site, job)
        if job.arrived == 1:
            site.world.post(lambda again: original(site, again), job, 3 * DAY, Phase.SHIP)

    patch.setattr(Warehouse, "_hand_over", hand_over)


def lose_a_parcel_on_the_way(patch: Patch) -> None:
    original = Carrier.deliver

    def deliver(carrier: Carrier, parcel: Any) -> None:
        if not parcel.shipment.startswith("o7/"):
            original(carrier, parcel)

    patch.setattr(Carrier, "deliver", deliver)


def lose_a_parcel_between_dock_and_truck(patch: Patch) -> None:
    original = Carrier.collect

    def collect(carrier: Carrier, shipment: str, order: str, *rest: str) -> None:
        if order != "o7":
            original(carrier, shipment, order, *rest)

    patch.setattr(Carrier, "collect", collect)


def deliver_twice(patch: Patch) -> None:
    original = Carrier.deliver

    def deliver(carrier: Carrier, parcel: Any) -> None:
        original(carrier, parcel)
        original(carrier, parcel)

    patch.setattr(Carrier, "deliver", deliver)


def put_away_twice(patch: Patch) -> None:
    original = Warehouse.put_away

    def put_away(site: Warehouse, arrival: Arrival) -> None:
        original(site, arrival)
        original(site, arrival)

    patch.setattr(Warehouse, "put_away", put_away)


def put_away_without_a_trace(patch: Patch) -> None:
    original = Warehouse.put_away

    def put_away(site: Warehouse, arrival: Arrival) -> None:
        original(site, arrival)
        for line in arrival.lines:
            site.shelf[line.sku] += line.quantity

    patch.setattr(Warehouse, "put_away", put_away)


def tell_of_goods_that_never_came(patch: Patch) -> None:
    original = Warehouse.put_away

    def put_away(site: Warehouse, arrival: Arrival) -> None:
        truth, shelf = site.world.truth, dict(site.shelf)
        site.world.truth = type("Deaf", (), {"record": lambda *row, **more: None})()
        original(site, arrival)
        site.world.truth, site.shelf = truth, shelf

    patch.setattr(Warehouse, "put_away", put_away)


def count_staged_goods_twice(patch: Patch) -> None:
    original = Warehouse.count

    def count(site: Warehouse, message: None) -> None:
        staged = dict(site.staged)
        site.staged = {sku: 2 * units for sku, units in staged.items()}
        original(site, message)
        site.staged = staged

    patch.setattr(Warehouse, "count", count)


def count_only_the_shelf(patch: Patch) -> None:
    original = Warehouse.count

    def count(site: Warehouse, message: None) -> None:
        staged, site.staged = site.staged, {}
        original(site, message)
        site.staged = staged

    patch.setattr(Warehouse, "count", count)


def leave_picked_goods_on_the_shelf(patch: Patch) -> None:
    original = Warehouse._pick

    def pick(site: Warehouse, job: Job) -> None:
        shelf = dict(site.shelf)
        original(site, job)
        site.shelf = shelf

    patch.setattr(Warehouse, "_pick", pick)


def post_invoices_twice(patch: Patch) -> None:
    original = Erp._post_invoice

    def post(erp: Erp, *rest: Any) -> None:
        original(erp, *rest)
        original(erp, *rest)

    patch.setattr(Erp, "_post_invoice", post)


CAUGHT_BY_THE_BOOKS: list[tuple[Callable[[Patch], None], str]] = [
    (ship_twice, "left the dock twice"),
    (ship_again_days_later, "left the dock twice"),
    (lose_a_parcel_on_the_way, "parcel o7/main/1/s: was due"),
    (lose_a_parcel_between_dock_and_truck, "parcel o7/main/1/s: left the dock, and no carrier has it"),
    (deliver_twice, "delivered, but it was not on its way"),
    (put_away_twice, "mug was put away twice at main"),
    (put_away_without_a_trace, "mug at main: movements add up to"),
    (tell_of_goods_that_never_came, "units came in by the log, 0 did"),
    (count_staged_goods_twice, "mug at main: counts found"),
    (count_only_the_shelf, "mug at main: counts missed"),
    (leave_picked_goods_on_the_shelf, "mug at main: movements add up to"),
    (post_invoices_twice, "the ERP's ledger has"),
]


@pytest.mark.parametrize(("plant", "said"), CAUGHT_BY_THE_BOOKS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_bug_stands_in_the_books(
    plant: Callable[[Patch], None], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    assert any(said in sentence for sentence in found(story()))


def drop_a_picked_job(patch: Patch) -> None:
    original = Warehouse.finish

    def finish(site: Warehouse, job: Job) -> None:
        if job.effect.order != "o7":
            original(site, job)
        else:
            site.free_pickers += 1

    patch.setattr(Warehouse, "finish", finish)


def swallow_a_purchase_order(patch: Patch) -> None:
    def receive(supplier: Supplier, message: Any) -> None:
        supplier.accept(message)

    patch.setattr(Supplier, "receive", receive)


@pytest.mark.parametrize("plant", [drop_a_picked_job, swallow_a_purchase_order], ids=lambda plant: plant.__name__)
def test_work_that_is_silently_dropped_leaves_its_order_open(
    plant: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # No unit is lost or made by it: what tells it is that something is still waiting when nothing is left to wait for.
    plant(monkeypatch)
    stage = story()
    assert found(stage) == []
    assert stage.state.orders
    assert stage.account().open.units > 0
