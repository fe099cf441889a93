"""Disruptions: what stops, what is on its way, what happens after; and that nobody is told of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world.stage import DAY, HOUR, MINUTE, Stage, min_max, tiny
from twin.core.commands import CaptureOrder, ConfirmShipment, PublishMilestone, ReceiveGoods
from twin.core.entry import Entry
from twin.core.events import PurchaseOrderAcknowledged as Acknowledged
from twin.measures.left_over import left_over
from twin.scenario import ScenarioError
from twin.streams import Series

DEMAND = {"kind": "poisson", "rate": "24/d", "regions": {"home": 1}}
BUSY: dict[str, Any] = {
    "run": {"horizon": "3d", "drain": "27d"},
    "warehouses": [{"id": "main", "pickers": 2, "pick_time": {"order": "10m"}}],
    "suppliers": [{"id": "mill", "lead_time": "1d"}],
    "items": [{"id": "mug", "supplier": "mill"}],
    "stock": [{"warehouse": "main", "item": "mug", "on_hand": 30}],
    "channels": [{"id": "web", "demand": DEMAND}],
    "policies": {**min_max(20, 60)["policies"], "returns": {"window": "1d"}},
}
KINDS: list[dict[str, Any]] = [
    {"kind": "warehouse_closed", "warehouse": "main"},
    {"kind": "supplier_closed", "supplier": "mill"},
    {"kind": "carrier_closed", "carrier": "van"},
    {"kind": "lane_closed", "lane_from": "main", "lane_to": "home"},
    {"kind": "capacity_cut", "warehouse": "main", "to": "0%"},
    {"kind": "demand_spike", "channel": "web", "by": "300%"},
]
IDS = [str(kind["kind"]) for kind in KINDS]


def staged(*disruptions: dict[str, Any], **options: Any) -> Stage:
    return Stage(tiny(BUSY | {"disruptions": list(disruptions)}), **options)


def over(*disruptions: dict[str, Any]) -> Stage:
    """The business with disruptions, run to its end: everything came to rest, and the books are right."""
    stage = staged(*disruptions)
    stage.run_checked(30 * DAY)
    assert left_over(stage.state) == []
    stage.check_books()
    return stage


def told(stage: Stage, kind: type) -> list[int]:
    """When such messages came, counted from the start."""
    start = stage.scenario.run.start
    return [entry.now - start for entry in stage.log.entries if isinstance(entry.command, kind)]


def between(times: list[int], begin: int, end: int) -> int:
    return sum(begin < at < end for at in times)


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
@pytest.mark.parametrize("change", [{"from": "1d", "for": "0s"}])
def test_one_of_no_length_changes_nothing(kind: dict[str, Any], change: dict[str, Any]) -> None:
    assert over(kind | change).log.entries == over().log.entries


@pytest.mark.parametrize(
    "kind",
    [{"kind": "capacity_cut", "warehouse": "main", "to": "100%"}, {**KINDS[5], "by": "0%"}],
    ids=["cut", "spike"],
)
def test_one_of_no_size_changes_nothing(kind: dict[str, Any]) -> None:
    assert over(kind | {"from": "1d", "for": "1d"}).log.entries == over().log.entries


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_each_changes_something_is_noted_and_leaves_nothing_over(kind: dict[str, Any]) -> None:  # RC-16
    stage = over(kind | {"from": "20h", "for": "18h"})
    assert stage.log.entries != over().log.entries
    noted = [(row.type, row.detail.split()[1]) for row in stage.truth.rows if row.type.startswith("fault.")]
    assert noted == [("fault.began", kind["kind"]), ("fault.ended", kind["kind"])]


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_a_fork_in_the_middle_of_one_goes_on_as_the_whole(kind: dict[str, Any]) -> None:
    stage = staged(kind | {"from": "20h", "for": "18h"})
    stage.run(30 * HOUR)
    fork = stage.fork()
    for one in (stage, fork):
        one.run(30 * DAY)
    assert fork.log.entries[-1] == stage.log.entries[-1]


def test_a_closed_warehouse_ships_and_receives_nothing_and_then_everything() -> None:
    begin, end = 20 * HOUR, 44 * HOUR
    stage = over({"kind": "warehouse_closed", "warehouse": "main", "from": "20h", "for": "24h"})
    usual = over()
    # Picks under way are finished.
    assert between(told(stage, ConfirmShipment), begin + HOUR // 2, end) == 0
    assert between(told(stage, ReceiveGoods), begin, end) == 0
    assert between(told(usual, ConfirmShipment), begin + HOUR // 2, end) > 10
    assert len(told(stage, ConfirmShipment)) == len(told(usual, ConfirmShipment))


def test_goods_whose_putting_away_a_closure_interrupts_are_on_the_shelf_later_by_as_long_as_it_lasted() -> None:
    slow = {"warehouses": [{"id": "main", "pickers": 2, "pick_time": {"order": "10m"}, "dock_to_stock": "8h"}]}

    def first(*disruptions: dict[str, Any]) -> int:
        stage = Stage(tiny(BUSY | slow | {"disruptions": list(disruptions)}))
        stage.run(30 * DAY)
        stage.check_books()
        return told(stage, ReceiveGoods)[0]

    usual = first()
    closed = {"kind": "warehouse_closed", "warehouse": "main"}
    # They came to the dock before it, and work was half done.
    assert first(closed | {"from": f"{usual - 4 * HOUR}ms", "for": "24h"}) == usual + 24 * HOUR
    # They came in the middle of it; the message takes 1 ms.
    assert first(closed | {"from": f"{usual - 10 * HOUR}ms", "for": "24h"}) == usual + (24 - 10 + 8) * HOUR + 1


def test_a_parcel_packed_in_a_closed_warehouse_leaves_when_it_opens() -> None:
    long = {"warehouses": [{"id": "main", "pickers": 2, "pick_time": {"order": "5h"}}]}
    closed = {"kind": "warehouse_closed", "warehouse": "main", "from": "20h", "for": "24h"}
    usual, stage = [Stage(tiny(BUSY | long | {"disruptions": list(one)})) for one in ((), (closed,))]
    for one in (usual, stage):
        one.run(30 * DAY)
        one.check_books()
    under_way = between(told(usual, ConfirmShipment), 20 * HOUR, 25 * HOUR)
    assert under_way
    assert between(told(stage, ConfirmShipment), 20 * HOUR + MINUTE, 44 * HOUR) == 0
    assert between(told(stage, ConfirmShipment), 44 * HOUR - MINUTE, 44 * HOUR + MINUTE) == under_way


def test_a_closed_plant_delivers_later_by_as_long_as_it_stood_still() -> None:
    arrivals = told(over(), ReceiveGoods)
    first = arrivals[0]
    closure = {"kind": "supplier_closed", "supplier": "mill", "from": f"{first // HOUR - 3}h", "for": "10h"}
    assert told(over(closure), ReceiveGoods)[0] == first + 10 * HOUR


def test_a_closed_plant_tells_its_new_dates_and_an_old_one_that_comes_late_changes_nothing() -> None:  # RC-08
    supplier = {"id": "mill", "lead_time": "48h", "latency": "1ms", "acknowledgement": "1h"}
    closures = [
        {"kind": "supplier_closed", "supplier": "mill", "from": "30h", "for": "20h"},
        {"kind": "supplier_closed", "supplier": "mill", "from": "55h", "for": "70h"},
    ]
    where = {"suppliers": [supplier], "interfaces": [{"id": "portal", "to": "supplier/mill"}]}
    held_up = {"kind": "latency", "interface": "portal", "direction": "reply", "endpoint": "supplier.acknowledge"}
    late = {**held_up, "delay": {"kind": "uniform", "low": "0h", "high": "90h"}}
    punctual, delayed = [
        Stage(tiny(BUSY | where | {"disruptions": closures, "faults": faults})) for faults in ([], [late])
    ]
    for stage in (punctual, delayed):
        stage.run(30 * DAY)
        assert left_over(stage.state) == []
    dates = [(event.purchase_order, event.revision, event.eta) for _, event in punctual.events(Acknowledged)]
    changed = {order for order, revision, _ in dates if revision}
    assert changed
    arrived = {command.purchase_order: command.time for command in punctual.commands(ReceiveGoods)}
    for order in changed:
        # The last date that it gave is that of the goods.
        assert max(dates, key=lambda row: (row[0] == order, row[1]))[2] == arrived[order]
    assert not [entry for entry in punctual.log.entries if entry.refusal and entry.refusal.code == "outdated"]
    # Held up, some first dates came after second ones.
    assert [entry for entry in delayed.log.entries if entry.refusal and entry.refusal.code == "outdated"]
    known: dict[str, int] = {}
    for _, event in delayed.events(Acknowledged):
        assert event.revision >= known.get(event.purchase_order, 0)
        known[event.purchase_order] = event.revision


def test_parcels_of_a_closed_carrier_come_later_by_as_long_as_it_stood_still() -> None:
    def delivered(stage: Stage) -> dict[str, int]:
        return {
            command.shipment: command.time - stage.scenario.run.start
            for command in stage.commands(PublishMilestone)
            if command.milestone == "delivered"
        }

    usual = delivered(over())
    strike = delivered(over({"kind": "carrier_closed", "carrier": "van", "from": "20h", "for": "10h"}))
    assert not [at for at in strike.values() if 20 * HOUR < at < 30 * HOUR]
    on_the_way = [parcel for parcel, at in usual.items() if 20 * HOUR < at < 24 * HOUR]
    assert on_the_way
    assert all(strike[parcel] == usual[parcel] + 10 * HOUR for parcel in on_the_way)
    assert all(strike[parcel] == at for parcel, at in usual.items() if at < 20 * HOUR)


def test_a_spike_adds_orders_and_leaves_the_others_as_they_were() -> None:  # EX-02
    def orders(stage: Stage) -> dict[str, CaptureOrder]:
        return {command.order: command for command in stage.commands(CaptureOrder)}

    usual, spike = orders(over()), orders(over({**KINDS[5], "from": "1d", "for": "12h"}))
    assert {order: command for order, command in spike.items() if order in usual} == usual
    more = [command.time for order, command in spike.items() if order not in usual]
    # Three times the usual 12 orders of half a day.
    assert 18 <= len(more) <= 56
    assert all(DAY < at - 1_763_337_600_000 < DAY + 13 * HOUR for at in more)


@pytest.mark.parametrize("kind", KINDS[:5], ids=IDS[:5])
def test_overlapping_closures_count_once_and_adjacent_ones_do_not_leak(kind: dict[str, Any]) -> None:
    # The plant tells new dates, and one too many if it were at work between two closures.
    told = {"suppliers": [{"id": "mill", "lead_time": "1d", "latency": "1ms", "acknowledgement": "1h"}]}

    def entries(*disruptions: dict[str, Any]) -> list[Entry]:
        stage = Stage(tiny(BUSY | told | {"disruptions": list(disruptions)}))
        stage.run(30 * DAY)
        assert left_over(stage.state) == []
        return stage.log.entries

    one = entries(kind | {"from": "20h", "for": "48h"})
    parts = (kind | {"from": "20h", "for": "30h"}, kind | {"from": "30h", "for": "38h"})
    adjacent = (kind | {"from": "44h", "for": "24h"}, kind | {"from": "20h", "for": "24h"})
    assert entries(*parts) == one
    # Whichever the clock knows first: the end of one, or the beginning of the other.
    assert entries(*adjacent) == one
    assert entries(*reversed(adjacent)) == one


def test_closures_that_touch_leave_nothing_over_in_any_order_of_ties() -> None:
    adjacent = (KINDS[2] | {"from": "26h", "for": "6h"}, KINDS[2] | {"from": "20h", "for": "6h"})
    shuffled = staged(*adjacent, shuffle=Series(7, "ties"))
    shuffled.run(30 * DAY)
    assert left_over(shuffled.state) == []


@pytest.mark.parametrize(
    ("disruption", "told"),
    [
        ({**KINDS[0], "from": "31d", "for": "1d"}, "begins at 31d, and the run is over at 30d"),
        ({"kind": "lane_closed", "lane_from": "main", "lane_to": "far", "from": "1d", "for": "1d"}, "unknown region"),
        ({**KINDS[4], "to": "120%", "from": "1d", "for": "1d"}, "100% at most"),
    ],
)
def test_one_that_could_have_no_effect_is_refused(disruption: dict[str, Any], told: str) -> None:
    with pytest.raises(ScenarioError, match=told):
        tiny(BUSY | {"disruptions": [disruption]})


def test_a_share_of_pickers_without_limit_is_refused() -> None:
    with pytest.raises(ScenarioError, match="pickers without limit"):
        tiny({"disruptions": [{**KINDS[4], "from": "1d", "for": "1d"}]})


def test_of_two_cuts_at_once_the_one_that_leaves_the_fewest_pickers_counts() -> None:
    crew = {"warehouses": [{"id": "main", "pickers": 10, "pick_time": {"order": "2h"}}]}
    half = {"kind": "capacity_cut", "warehouse": "main", "to": "50%", "from": "0h", "for": "20h"}
    fifth = {"kind": "capacity_cut", "warehouse": "main", "to": "20%", "from": "0h", "for": "10h"}

    def picked_by(hour: int) -> int:
        stage = Stage(tiny(crew | {"disruptions": [half, fifth]}))
        for number in range(100):
            stage.order(f"o{number}", at=MINUTE)
        stage.run(hour * HOUR)
        return len(told(stage, ConfirmShipment))

    # Two of ten pickers, five once the first cut is over, and all of them at last.
    assert [picked_by(3), picked_by(9), picked_by(13), picked_by(23)] == [2, 8, 15, 45]


def test_a_lane_and_its_carrier_that_are_closed_at_once_are_closed_once() -> None:
    lane = {"id": "l", "kind": "lane_closed", "lane_from": "main", "lane_to": "home", "from": "2h", "for": "10h"}
    carrier = {"id": "c", "kind": "carrier_closed", "carrier": "van", "from": "4h", "for": "10h"}

    def delivered(*disruptions: dict[str, Any]) -> int:
        stage = Stage(tiny({"disruptions": list(disruptions)}))
        stage.order("o1", at=HOUR)
        stage.run(40 * HOUR)
        (row,) = stage.rows("shipment.delivered")
        return stage.since_start(row.at)

    usual = delivered()
    assert delivered(lane) == delivered(carrier) == usual + 10 * HOUR
    assert delivered(lane, carrier) == usual + 12 * HOUR


def test_a_fault_and_a_disruption_of_one_id_are_refused() -> None:
    fault = {"id": "x", "kind": "latency", "interface": "wms", "delay": "1m"}
    closed = {"id": "x", "kind": "warehouse_closed", "warehouse": "main", "from": "3h", "for": "1h"}
    with pytest.raises(ScenarioError, match="a fault has the id 'x' too"):
        tiny({"interfaces": [{"id": "wms", "to": "warehouse/main"}], "faults": [fault], "disruptions": [closed]})
