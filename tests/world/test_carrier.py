"""The carrier: delivery hours, milestones in their order, and transits that belong to the parcel."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world.stage import DAY, HOUR, MINUTE, Stage, tiny
from twin.core.commands import PublishMilestone
from twin.core.effects import CreatePurchaseOrder, Delivery
from twin.core.events import PromiseDecided, ShipmentDelivered

ALL = ["picked_up", "in_transit", "out_for_delivery", "delivered"]
HOURS = {"id": "rounds", "days": ["mon", "tue", "wed", "thu", "fri"], "hours": ["09:00-17:00"]}


def van(transit: Any = "4h", **changes: Any) -> dict[str, Any]:
    """The tiny business with another van."""
    return {
        "calendars": [HOURS],
        "carriers": [{"id": "van", **changes}],
        "lanes": [{"from": "main", "to": "home", "carrier": "van", "transit": transit}],
    }


def told(stage: Stage) -> list[tuple[str, int]]:
    """Milestones with their instants, counted from the start."""
    return [(command.milestone, stage.since_start(command.time)) for command in stage.commands(PublishMilestone)]


def test_milestones_come_in_their_order_at_their_share_of_the_way() -> None:
    stage = Stage(tiny(van("10h", milestones=ALL)))
    stage.order("o1", at=HOUR - 1)
    stage.run(DAY)
    assert told(stage) == [
        ("picked_up", HOUR),
        ("in_transit", HOUR + 150 * MINUTE),
        ("out_for_delivery", HOUR + 9 * HOUR),
        ("delivered", 11 * HOUR),
    ]


@pytest.mark.parametrize("reported", [["delivered"], ["delivered", "picked_up"], ["out_for_delivery", "delivered"]])
def test_only_what_the_carrier_reports_is_told_in_the_order_of_the_way(reported: list[str]) -> None:
    stage = Stage(tiny(van("10h", milestones=reported)))
    stage.order("o1")
    stage.run(DAY)
    assert [milestone for milestone, _ in told(stage)] == [name for name in ALL if name in reported]


def test_milestones_stay_in_order_and_none_is_refused_under_many_transits() -> None:
    stage = Stage(tiny(van({"kind": "exponential", "mean": "6h"}, milestones=ALL)))
    for number in range(100):
        stage.order(f"o{number}", at=number * HOUR)
    stage.run(20 * DAY)
    by_parcel: dict[str, list[str]] = {}
    for command in stage.commands(PublishMilestone):
        by_parcel.setdefault(command.shipment, []).append(command.milestone)
    assert list(by_parcel.values()) == [ALL] * 100
    assert not [entry for entry in stage.log.entries if entry.refusal is not None]


@pytest.mark.parametrize(
    ("leaves", "arrives"),
    [
        (10 * HOUR, 14 * HOUR),
        (15 * HOUR, DAY + 9 * HOUR),  # 19:00 is after hours
        (13 * HOUR, DAY + 9 * HOUR),  # 17:00 is the close itself
        (5 * HOUR, 9 * HOUR),  # the opening itself
        (4 * DAY + 14 * HOUR, 7 * DAY + 9 * HOUR),  # Friday evening waits for Monday
    ],
)
def test_parcels_are_delivered_in_the_carriers_hours(leaves: int, arrives: int) -> None:
    stage = Stage(tiny(van("4h", calendar="rounds")))
    stage.order("o1", at=leaves - 1)
    stage.run(9 * DAY)
    ((_, delivered),) = stage.events(ShipmentDelivered)
    assert stage.since_start(delivered.at) == arrives


@pytest.mark.parametrize(
    ("leaves", "arrives"),
    [
        (10 * HOUR, 14 * HOUR),
        (15 * HOUR, DAY + 11 * HOUR),  # two hours before the close, two after the next opening
        (5 * HOUR, 13 * HOUR),  # it begins to move at nine
        (13 * HOUR, DAY + 9 * HOUR),  # done at the close, brought at the opening
        (4 * DAY + 16 * HOUR, 7 * DAY + 12 * HOUR),  # Friday afternoon goes on on Monday
    ],
)
def test_a_transit_of_working_time_stands_still_while_the_carrier_is_closed(leaves: int, arrives: int) -> None:
    """RP-03: what a log shows of a carrier that rests."""
    changes = van("4h", calendar="rounds", transit_counts="working_time")
    changes["lanes"][0]["promise"] = "2d"
    stage = Stage(tiny(changes))
    stage.order("o1", at=leaves - 1)
    stage.run(9 * DAY)
    ((_, delivered),) = stage.events(ShipmentDelivered)
    assert stage.since_start(delivered.at) == arrives


def test_a_parcel_that_takes_longer_than_the_hours_are_known_for_is_on_its_way_at_the_end() -> None:
    """RP-03: what never comes is no defect."""
    changes = van("4000d", calendar="rounds", transit_counts="working_time")
    changes["lanes"][0]["promise"] = "2d"
    stage = Stage(tiny(changes))
    stage.order("o1", at=10 * HOUR)
    stage.run(59 * DAY)
    assert stage.events(ShipmentDelivered) == []
    assert len(stage.rows("shipment.collected")) == 1


def test_the_promise_falls_into_the_carriers_hours_too() -> None:
    stage = Stage(tiny(van("4h", calendar="rounds")))
    stage.order("o1", at=15 * HOUR)
    stage.run(3 * DAY)
    ((_, promise),) = stage.events(PromiseDecided)
    assert stage.since_start(promise.promised_at) == DAY + 9 * HOUR
    assert stage.rows("shipment.delivered")[0].at == promise.promised_at


def transits(numbers: list[int], **changes: Any) -> dict[str, int]:
    stage = Stage(tiny({**van({"kind": "exponential", "mean": "20h"}), **changes}), seed=4)
    for number in numbers:
        stage.order(f"o{number}", at=number * HOUR)
    stage.run(40 * DAY)
    return {row.subject: row.quantity for row in stage.rows("shipment.collected")}


def test_a_transit_belongs_to_its_parcel_whatever_else_is_on_the_way() -> None:
    all_of_them, some = transits(list(range(30))), transits([7, 11])
    assert len(dict.fromkeys(all_of_them.values())) == 30
    assert some == {parcel: all_of_them[parcel] for parcel in some}
    assert sum(all_of_them.values()) / 30 == pytest.approx(20 * HOUR, rel=0.5)


def test_every_parcel_collected_is_delivered_once_at_its_time() -> None:
    stage = Stage(tiny(van({"kind": "exponential", "mean": "20h"}, calendar="rounds")))
    for number in range(50):
        stage.order(f"o{number}", at=number * 3 * HOUR)
    stage.run(40 * DAY)
    due = {row.subject: row.at + row.quantity for row in stage.rows("shipment.collected")}
    assert {row.subject: row.at for row in stage.rows("shipment.delivered")} == due
    assert len(due) == len(stage.rows("shipment.delivered")) == 50
    stage.check_books()


def test_a_carrier_that_is_asked_what_it_cannot_do_says_so() -> None:
    stage = Stage(tiny())
    effect = CreatePurchaseOrder("po1", "van", "main", ())
    stage.driver.gateways["carrier/van"].submit(Delivery("po1", "carrier/van", effect, "po1"))
    with pytest.raises(TypeError, match="carrier/van was sent CreatePurchaseOrder"):
        stage.run(HOUR)
