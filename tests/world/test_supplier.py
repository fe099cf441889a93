"""The supplier: working days, lead time, capacity, minimum order, and the date that its answer names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world.stage import DAY, HOUR, MINUTE, Stage, tiny
from twin.core.commands import AcknowledgePurchaseOrder, ReceiveGoods
from twin.core.effects import CreatePurchaseOrder, Delivery, PurchaseLine
from twin.core.events import PurchaseOrderAcknowledged, PurchaseOrderCreated, PurchaseOrderRejected

OFFICE = {"id": "office", "days": ["mon", "tue", "wed", "thu", "fri"], "hours": ["08:00-16:00"]}
CUP = {"id": "cup", "price": "1 GBP", "cost": "1 GBP"}


def mill(**changes: Any) -> dict[str, Any]:
    """The tiny business with a supplier `mill`."""
    spec = {"id": "mill", "lead_time": "2d", "latency": "1ms", **changes}
    return {"calendars": [OFFICE], "suppliers": [spec], "items": [CUP]}


def purchase(number: int, *lines: tuple[str, int]) -> Delivery:
    """A purchase order straight to the supplier, which need not be one that the engine would make."""
    bought = tuple(PurchaseLine(sku, units) for sku, units in lines or (("mug", 10),))
    effect = CreatePurchaseOrder(f"po{number}", "mill", "main", bought)
    return Delivery(f"po{number}", "supplier/mill", effect, f"po{number}")


def submit(stage: Stage, delivery: Delivery, at: int) -> None:
    """The order is at the supplier at `at`, counted from the start."""
    stage.run(at - 1) if at > 1 else None
    stage.driver.gateways["supplier/mill"].submit(delivery)


def arrivals(stage: Stage) -> list[int]:
    """When goods were put away, counted from the start; the dock takes no time here."""
    return [stage.since_start(row.at) for row in stage.rows("stock.received")]


def answers(stage: Stage) -> list[AcknowledgePurchaseOrder]:
    return stage.commands(AcknowledgePurchaseOrder)


@pytest.mark.parametrize(
    ("ordered", "arrives"),
    [
        (4 * DAY + 15 * HOUR, 8 * DAY + 11 * HOUR),  # Friday at three: 1 h, 8 h on Monday, 3 h on Tuesday
        (5 * DAY + 12 * HOUR, 8 * DAY + 12 * HOUR),  # Saturday: begins on Monday at eight
        (8 * HOUR, DAY + 12 * HOUR),  # at the opening
        (4 * DAY + 16 * HOUR, 8 * DAY + 12 * HOUR),  # at the close
    ],
)
def test_lead_time_counts_working_time_only(ordered: int, arrives: int) -> None:
    stage = Stage(tiny(mill(calendar="office", lead_time="12h")))
    submit(stage, purchase(1), ordered)
    stage.run(12 * DAY)
    assert arrivals(stage) == [arrives]


def test_an_item_may_have_its_own_lead_time_and_an_order_waits_for_its_slowest_line() -> None:
    cup = {**CUP, "supplier": "mill", "lead_time": "5d"}
    stage = Stage(tiny({**mill(), "items": [cup]}))
    submit(stage, purchase(1, ("mug", 5)), HOUR)
    stage.driver.gateways["supplier/mill"].submit(purchase(2, ("cup", 5)))
    stage.driver.gateways["supplier/mill"].submit(purchase(3, ("mug", 5), ("cup", 5)))
    stage.run(10 * DAY)
    when = {row.subject: stage.since_start(row.at) for row in stage.rows("stock.received")}
    assert when == {"po1/1": HOUR + 2 * DAY, "po2/1": HOUR + 5 * DAY, "po3/1": HOUR + 5 * DAY}


def test_orders_queue_for_the_plants_capacity_in_working_time() -> None:
    # 80 units in a working day of eight hours: six minutes each.
    stage = Stage(tiny(mill(calendar="office", lead_time="0s", capacity=80)))
    for number, units in enumerate((60, 40, 10)):
        submit(stage, purchase(number, ("mug", units)), 8 * HOUR + number)
    stage.run(5 * DAY)
    assert arrivals(stage) == [14 * HOUR, DAY + 10 * HOUR, DAY + 11 * HOUR]


def test_capacity_that_lay_idle_is_not_saved_up() -> None:
    stage = Stage(tiny(mill(lead_time="0s", capacity=24)))
    submit(stage, purchase(1, ("mug", 2)), HOUR)
    submit(stage, purchase(2, ("mug", 2)), 2 * DAY)
    stage.run(5 * DAY)
    assert arrivals(stage) == [3 * HOUR, 2 * DAY + 2 * HOUR]


def test_too_small_an_order_is_rejected_and_nothing_comes() -> None:
    stage = Stage(tiny(mill(minimum_order=10)))
    submit(stage, purchase(1, ("mug", 9)), HOUR)
    submit(stage, purchase(2, ("mug", 6), ("cup", 4)), 2 * HOUR)
    stage.run(5 * DAY)
    assert [(answer.purchase_order, answer.code) for answer in answers(stage)] == [("po1", "rejected")]
    assert [row.subject for row in stage.rows("stock.received")] == ["po2/1", "po2/1"]


def replenished(**changes: Any) -> Stage:
    rule = {"warehouse": "main", "item": "mug", "supplier": "mill", "kind": "min_max", "s": 150, "S": 160}
    return Stage(tiny({**mill(**changes), "policies": {"replenishment": [rule]}}))


def test_the_engine_orders_no_less_than_the_supplier_takes() -> None:  # PU-01
    stage = replenished(minimum_order=75)
    stage.order("o1", {"mug": 55}, at=HOUR)
    stage.run(5 * DAY)
    ((_, created),) = stage.events(PurchaseOrderCreated)
    assert created.lines == (PurchaseLine("mug", 75),)
    assert stage.events(PurchaseOrderRejected) == []
    assert stage.physical() == 220
    stage.check_books()


def test_the_answer_names_the_true_day_of_arrival() -> None:
    stage = replenished(
        calendar="office", lead_time={"kind": "uniform", "low": "4h", "high": "20h"}, acknowledgement="1h", capacity=80
    )
    for number in range(6):
        stage.order(f"o{number}", {"mug": 30}, at=number * DAY + 9 * HOUR)
    stage.run(30 * DAY)
    etas = {event.purchase_order: event.eta for _, event in stage.events(PurchaseOrderAcknowledged)}
    received = {command.purchase_order: command.time for command in stage.commands(ReceiveGoods)}
    assert len(etas) >= 3
    assert {order: received[order] for order in etas} == etas
    stage.check_books()


def test_the_answer_takes_working_time_and_comes_only_where_it_is_given() -> None:
    stage = Stage(tiny(mill(calendar="office", lead_time="12h", acknowledgement="3h")))
    submit(stage, purchase(1), 4 * DAY + 15 * HOUR)
    stage.run(12 * DAY)
    assert [stage.since_start(answer.time) for answer in answers(stage)] == [7 * DAY + 10 * HOUR]
    silent = Stage(tiny(mill(calendar="office", lead_time="12h")))
    submit(silent, purchase(1), 4 * DAY + 15 * HOUR)
    silent.run(12 * DAY)
    assert answers(silent) == []
    assert len(arrivals(silent)) == 1


def test_an_answer_that_would_come_after_the_goods_is_not_sent() -> None:
    stage = Stage(tiny(mill(lead_time="1h", acknowledgement="2h")))
    submit(stage, purchase(1), HOUR)
    stage.run(DAY)
    assert answers(stage) == []
    assert arrivals(stage) == [2 * HOUR]


def test_an_order_that_comes_twice_is_delivered_once() -> None:  # RC-06
    stage = Stage(tiny(mill(lead_time="1h")))
    for minute in (1, 2, 300):
        submit(stage, purchase(1), minute * MINUTE)
    stage.run(DAY)
    assert len(arrivals(stage)) == 1
    assert len(stage.rows("delivery.repeated")) == 2


def test_a_lead_time_belongs_to_its_order_and_not_to_the_order_of_events() -> None:
    def lead(*numbers: int) -> dict[str, int]:
        stage = Stage(tiny(mill(lead_time={"kind": "exponential", "mean": "2d"})))
        for number in numbers:
            submit(stage, purchase(number), number * HOUR)
        stage.run(50 * DAY)
        return {row.subject: row.quantity for row in stage.rows("purchase.lead_time")}

    alone, together = lead(5), lead(1, 2, 3, 4, 5, 6)
    assert together["po5"] == alone["po5"]
    assert len(dict.fromkeys(together.values())) == 6


def test_goods_without_a_lead_time_come_after_the_order_and_never_with_it() -> None:
    stage = replenished(lead_time="0s", acknowledgement="0s")
    stage.order("o1", {"mug": 60}, at=HOUR)
    stage.run(2 * HOUR)
    created = stage.events(PurchaseOrderCreated)[0][0]
    assert arrivals(stage)[0] > created
    assert stage.cell().on_hand == stage.physical() == 160
    stage.check_books()
