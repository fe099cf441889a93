"""The warehouse: pickers and shifts, priority, trucks, goods in, and what its WMS tells of the shelf."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.world.stage import DAY, HOUR, MINUTE, SECOND, Stage, tiny
from twin.core.calendar import Calendar, working_between
from twin.core.commands import ConfirmPick, ConfirmShipment, ReceiveGoods
from twin.core.events import (
    GoodsPicked,
    GoodsReceived,
    GoodsShipped,
    PromiseDecided,
    SourcingDecided,
    StockCounted,
    UnitsShorted,
)
from twin.world.business import Business
from twin.world.kernel import Phase
from twin.world.warehouse import Job, Warehouse

SHIFT = {"id": "day", "days": ["mon", "tue", "wed", "thu", "fri"], "hours": ["06:00-14:00"]}
MILL = {"suppliers": [{"id": "mill", "lead_time": "2d", "latency": "1ms"}]}


def site(**changes: Any) -> dict[str, Any]:
    """The tiny business with a warehouse that is set up otherwise."""
    return {"warehouses": [{"id": "main", **changes}]}


def min_max(s: int, S: int, node: str = "main") -> dict[str, Any]:
    rule = {"warehouse": node, "item": "mug", "supplier": "mill", "kind": "min_max", "s": s, "S": S}
    return {"policies": {"replenishment": [rule]}}


def told_at(stage: Stage, kind: type[Any] = ConfirmShipment) -> list[int]:
    """When the WMS sent its messages of a type, counted from the start."""
    return [stage.since_start(command.time) for command in stage.commands(kind)]


def shipped_orders(stage: Stage) -> list[str]:
    return [event.order for _, event in stage.events(GoodsShipped)]


# --- picking


@pytest.mark.parametrize("pickers", [1, 2, 3, 5])
def test_throughput_is_exactly_pickers_over_pick_time(pickers: int) -> None:
    stage = Stage(tiny(site(pickers=pickers, pick_time={"order": "5m"})))
    for number in range(12):
        stage.order(f"o{number}")
    stage.run(3 * HOUR)
    # Instructions arrive after 1 ms; each picker takes one job after the other.
    assert told_at(stage) == [1 + 5 * MINUTE * (number // pickers + 1) for number in range(12)]


def test_without_a_number_of_pickers_nothing_waits_for_one() -> None:
    stage = Stage(tiny(site(pick_time={"order": "5m"})))
    for number in range(12):
        stage.order(f"o{number}")
    stage.run(HOUR)
    assert told_at(stage) == [1 + 5 * MINUTE] * 12
    # The tiny business as it is takes no time at all for picking.
    at_once = Stage(tiny())
    at_once.order("o1")
    at_once.run(HOUR)
    assert told_at(at_once) == [1]


def test_pick_time_adds_up_for_the_order_its_lines_and_its_units() -> None:
    more = {
        "items": [{"id": "cup", "price": "1 GBP", "cost": "1 GBP"}],
        "stock": [{"warehouse": "main", "item": item, "on_hand": 50} for item in ("mug", "cup")],
    }
    stage = Stage(tiny({**more, **site(pickers=1, pick_time={"order": "60s", "line": "10s", "unit": "1s"})}))
    stage.order("o1", {"mug": 7, "cup": 5})
    stage.order("o2", {"mug": 1}, at=HOUR)
    stage.run(2 * HOUR)
    assert told_at(stage) == [1 + (60 + 2 * 10 + 12) * SECOND, HOUR + 1 + (60 + 10 + 1) * SECOND]


def test_exponential_pick_times_keep_their_mean_and_belong_to_the_job() -> None:
    def durations(pickers: int) -> list[int]:
        stage = Stage(tiny(site(pickers=pickers, pick_time={"order": "5m", "kind": "exponential"})))
        for number in range(150):
            stage.order(f"o{number}", at=number * 2 * HOUR)
        stage.run(15 * DAY)
        sent = dict(zip([command.order for command in stage.commands(ConfirmShipment)], told_at(stage), strict=True))
        return [sent[f"o{number}"] - number * 2 * HOUR - 1 for number in range(150)]

    one = durations(1)
    assert sum(one) / 150 == pytest.approx(5 * MINUTE, rel=0.25)
    assert max(one) > 3 * min(one)
    # With another picker the same job takes as long: its luck hangs on nothing else.
    assert durations(2) == one


def test_the_most_critical_is_picked_first_and_what_is_equal_in_order_of_arrival() -> None:  # OL-14
    stage = Stage(tiny(site(pickers=1, pick_time={"order": "5m"})))
    stage.order("being-picked", criticality="C")
    for number, criticality in enumerate(["C", "B", "A", "C", "A", "B"]):
        stage.order(f"{criticality}{number}", at=number + 10, criticality=criticality)
    stage.run(HOUR)
    assert shipped_orders(stage) == ["being-picked", "A2", "A4", "B1", "B5", "C0", "C3"]


def test_work_rests_while_the_shift_is_over_and_goes_on_in_the_next() -> None:
    stage = Stage(tiny({"calendars": [SHIFT], **site(pickers=1, calendar="day", pick_time={"order": "30m"})}))
    stage.order("a", at=13 * HOUR + 50 * MINUTE)
    stage.order("b", at=20 * HOUR)
    stage.order("weekend", at=5 * DAY + 9 * HOUR)
    stage.run(8 * DAY)
    six = 6 * HOUR
    assert told_at(stage) == [
        DAY + six + 20 * MINUTE + 1,  # ten minutes on Monday less the message's way, the rest on Tuesday
        DAY + six + 50 * MINUTE + 1,
        7 * DAY + six + 30 * MINUTE,
    ]


def test_nothing_is_picked_while_the_warehouse_is_closed() -> None:
    stage = Stage(tiny({"calendars": [SHIFT], **site(pickers=2, calendar="day", pick_time={"order": "17m"})}))
    for number in range(120):
        stage.order(f"o{number}", at=number * 37 * MINUTE)
    stage.run(10 * DAY)
    times = told_at(stage)
    assert len(times) == 120
    for at in times:
        assert at // DAY % 7 < 5
        assert 6 * HOUR < at % DAY <= 14 * HOUR


def test_at_the_borders_of_a_shift_work_begins_at_the_opening_and_never_at_the_close() -> None:
    stage = Stage(tiny({"calendars": [SHIFT], **site(pickers=9, calendar="day", pick_time={"order": "30m"})}))
    stage.order("at-the-opening", at=6 * HOUR - 1)  # the instruction takes 1 ms
    stage.order("fills-the-shift", at=13 * HOUR + 30 * MINUTE - 1)
    stage.order("at-the-close", at=14 * HOUR - 1)
    stage.run(3 * DAY)
    assert told_at(stage) == [6 * HOUR + 30 * MINUTE, 14 * HOUR, DAY + 6 * HOUR + 30 * MINUTE]


def test_a_shift_begins_with_the_most_critical_of_the_night() -> None:
    stage = Stage(tiny({"calendars": [SHIFT], **site(pickers=1, calendar="day", pick_time={"order": "30m"})}))
    for number, criticality in enumerate(["C", "B", "A"]):
        stage.order(criticality, at=15 * HOUR + number, criticality=criticality)
    stage.run(2 * DAY)
    assert shipped_orders(stage) == ["A", "B", "C"]


# --- queue and utilization, exactly


class Watch:
    """Follows a warehouse from outside, step by step: queue length and busy pickers over time."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.site = stage.warehouse()
        self.queue_time = 0
        self.busy_time = 0
        self.most_busy = 0

    def run(self, until: int) -> None:
        world, site = self.stage.world, self.site
        end = self.stage.scenario.run.start + until
        calendar = site.config.calendar
        while world.peek() < end:
            before, waiting, busy = world.now, len(site.queue), site.config.pickers - site.free_pickers
            world.step()
            self.queue_time += waiting * (world.now - before)
            self.busy_time += busy * working_between(calendar, before, world.now)
            self.most_busy = max(self.most_busy, busy)
            assert 0 <= site.free_pickers <= site.config.pickers


@pytest.mark.parametrize("shift", [False, True])
def test_the_pick_queue_obeys_littles_law_to_the_millisecond(shift: bool) -> None:
    spec = site(pickers=2, pick_time={"order": "9m", "line": "1m"}, **({"calendar": "day"} if shift else {}))
    stage = Stage(tiny({"calendars": [SHIFT], **spec}))
    for number in range(150):
        stage.order(f"o{number}", at=number * number % 97 * 31 * MINUTE, criticality="ABC"[number % 3])
    watch = Watch(stage)
    watch.run(20 * DAY)
    assert not stage.state.fulfillment_orders
    # The sojourns from the messages alone: from the instruction's arrival to the start of the work.
    arrived = {delivery.key: entry.now + 1 for entry, delivery in stage.deliveries() if "warehouse" in delivery.gateway}
    calendar: Calendar = stage.warehouse().config.calendar
    sojourns = 0
    for command in stage.commands(ConfirmShipment):
        sojourns += _began(calendar, command.time, 10 * MINUTE) - arrived[command.fulfillment_order]
    assert len(arrived) == 150
    assert sojourns > 0
    assert watch.queue_time == sojourns


def _began(calendar: Calendar, done: int, duration: int) -> int:
    """When work began that was done at `done` after `duration` ms of open time; the earliest such instant."""
    if not calendar.bounds:
        return done - duration
    left = duration
    for start, end in reversed(list(zip(calendar.bounds[::2], calendar.bounds[1::2], strict=True))):
        if start >= done:
            continue
        open_here = min(end, done) - start
        if left <= open_here:
            return min(end, done) - left
        left -= open_here
    raise AssertionError("the work began before the calendar")


def test_utilization_is_never_above_one_and_is_one_under_more_work_than_can_be_done() -> None:
    spec = site(pickers=3, calendar="day", pick_time={"order": "30m"})
    stage = Stage(tiny({"calendars": [SHIFT], **spec}))
    for number in range(180):
        stage.order(f"o{number}", at=number)
    watch = Watch(stage)
    # Three pickers need 180 * 30 min / 3 = 30 h: all of three shifts and six hours of the fourth.
    watch.run(3 * DAY + 12 * HOUR + 1)
    assert watch.most_busy == 3
    assert watch.busy_time == 3 * 30 * HOUR == 180 * 30 * MINUTE
    watch.run(5 * DAY)
    assert watch.busy_time == 180 * 30 * MINUTE
    assert len(stage.commands(ConfirmShipment)) == 180


# --- cut-off, trucks and promises

TRUCKS = {"pickups": [{"carrier": "van", "at": ["16:00"]}], "cut_off": "12:00", "pick_time": {"order": "20m"}}


def promises(stage: Stage) -> dict[str, int]:
    found: dict[str, int] = {}
    for _, event in stage.events(PromiseDecided):
        found.setdefault(event.order, stage.since_start(event.promised_at))
    return found


@pytest.mark.parametrize(
    ("captured", "leaves"),
    [
        (8 * HOUR, 16 * HOUR),
        (12 * HOUR, 16 * HOUR),  # at the cut-off itself
        (12 * HOUR + 1, DAY + 16 * HOUR),
        (23 * HOUR, DAY + 16 * HOUR),
    ],
)
def test_the_cut_off_decides_the_promise_and_the_truck_keeps_it(captured: int, leaves: int) -> None:
    stage = Stage(
        tiny({**site(**TRUCKS), "lanes": [{"from": "main", "to": "home", "carrier": "van", "transit": "4h"}]})
    )
    stage.order("o1", at=captured)
    stage.run(4 * DAY)
    assert promises(stage) == {"o1": leaves + 4 * HOUR}
    delivered = stage.since_start(stage.rows("shipment.delivered")[0].at)
    assert delivered <= promises(stage)["o1"]
    # What is picked before the truck is loaded goes with it, even past the cut-off: late capture can be early delivery.
    actual = 16 * HOUR if captured + 20 * MINUTE < 16 * HOUR else DAY + 16 * HOUR
    assert told_at(stage) == [actual]


def test_a_parcel_waits_for_its_truck_and_one_without_a_truck_leaves_as_packed() -> None:
    lanes = [
        {"from": "main", "to": "home", "carrier": "van", "transit": "4h"},
        {"from": "main", "to": "away", "carrier": "post", "transit": "1d"},
    ]
    stage = Stage(
        tiny(
            {**site(**TRUCKS), "regions": ["home", "away"], "carriers": [{"id": "van"}, {"id": "post"}], "lanes": lanes}
        )
    )
    stage.order("by-van", at=HOUR)
    stage.order("by-post", at=2 * HOUR, region="away")
    stage.run(DAY)
    assert dict(zip(shipped_orders(stage), told_at(stage), strict=True)) == {
        "by-post": 2 * HOUR + 20 * MINUTE + 1,
        "by-van": 16 * HOUR,
    }


def test_trucks_come_at_each_of_their_times_on_their_days_only() -> None:
    trucks = {"pickups": [{"carrier": "van", "at": ["09:00", "17:00"], "days": ["mon", "wed"]}]}
    stage = Stage(tiny(site(**trucks)))
    for number in range(10):
        stage.order(f"o{number}", at=number * 8 * HOUR)
    stage.run(8 * DAY)
    two_days = 2 * DAY
    assert sorted(dict.fromkeys(told_at(stage))) == [
        9 * HOUR,
        17 * HOUR,
        two_days + 9 * HOUR,
        two_days + 17 * HOUR,
        7 * DAY + 9 * HOUR,
    ]


def test_what_a_full_truck_leaves_waits_for_the_next_and_the_most_critical_go_first() -> None:  # TR-04
    trucks = {"pickups": [{"carrier": "van", "at": ["16:00"], "capacity": 2}]}
    stage = Stage(tiny(site(**trucks)))
    for number, criticality in enumerate(["C", "C", "B", "A", "B"]):
        stage.order(f"{criticality}{number}", at=number * HOUR, criticality=criticality)
    stage.order("A9", at=20 * HOUR, criticality="A")
    stage.run(4 * DAY)
    trucks_took = [(at // DAY, event.order) for at, event in stage.events(GoodsShipped)]
    assert trucks_took == [(0, "A3"), (0, "B2"), (1, "A9"), (1, "B4"), (2, "C0"), (2, "C1")]
    stage.check_books()


# --- goods in


def test_goods_are_invisible_from_the_dock_until_they_are_put_away() -> None:
    stage = Stage(tiny({**MILL, **site(dock_to_stock="6h"), **min_max(195, 300)}))
    stage.order("o1", {"mug": 10}, at=HOUR)
    stage.run(4 * DAY)
    arrives = HOUR + 1 + 2 * DAY
    assert told_at(stage, ReceiveGoods) == [arrives + 6 * HOUR]
    received = stage.rows("stock.received")
    assert [(stage.since_start(row.at), row.quantity) for row in received] == [(arrives + 6 * HOUR, 110)]
    before = Stage(tiny({**MILL, **site(dock_to_stock="6h"), **min_max(195, 300)}))
    before.order("o1", {"mug": 10}, at=HOUR)
    before.run(arrives + 6 * HOUR)
    assert (before.physical(), before.cell().on_hand) == (190, 190)
    before.run(arrives + 7 * HOUR)
    assert (before.physical(), before.cell().on_hand) == (300, 300)


def test_an_order_is_not_served_from_goods_at_the_dock() -> None:
    stage = Stage(tiny({**MILL, **site(dock_to_stock="1d"), **min_max(0, 50)}))
    stage.order("first", {"mug": 200})
    stage.order("waits", {"mug": 5}, at=HOUR)
    stage.run(5 * DAY)
    put_away = told_at(stage, ReceiveGoods)[0]
    assert put_away >= 3 * DAY
    assert told_at(stage)[1] > put_away
    stage.check_books()


# --- short picks: the belief is above the truth


def two_sites(**changes: Any) -> dict[str, Any]:
    return {
        "warehouses": [{"id": "main", "latency": "1ms"}, {"id": "other", "latency": "1ms"}],
        "lanes": [
            {"from": "main", "to": "home", "carrier": "van", "transit": "4h"},
            {"from": "other", "to": "home", "carrier": "van", "transit": "30h"},
        ],
        "stock": [{"warehouse": node, "item": "mug", "on_hand": 10} for node in ("main", "other")],
        "policies": {"sourcing": {"rules": ["nearest"]}},
        **changes,
    }


def test_what_a_picker_does_not_find_is_sourced_again_elsewhere_and_never_lost() -> None:  # WH-04, WH-05
    stage = Stage(tiny(two_sites()))
    stage.steal("main", "mug", 6)
    stage.order("o1", {"mug": 10}, at=HOUR)
    stage.run(3 * DAY)
    assert [event.lines for _, event in stage.events(UnitsShorted)] == [((1, 6),)]
    assert [(event.node, event.lines) for _, event in stage.events(GoodsShipped)] == [
        ("main", ((1, 4),)),
        ("other", ((1, 6),)),
    ]
    books = stage.account()
    assert (books.delivered.units, books.open.units) == (10, 0)
    # The short pick is a count for free: what was not there is not believed any more.
    assert (stage.cell("main").on_hand, stage.physical("main")) == (0, 0)
    stage.check_books()


def test_what_nobody_has_is_backordered_and_served_when_it_comes() -> None:  # WH-05
    rule = min_max(1, 30)["policies"]
    stage = Stage(tiny({**MILL, "stock": [{"warehouse": "main", "item": "mug", "on_hand": 10}], "policies": rule}))
    stage.steal("main", "mug", 10)
    stage.order("o1", {"mug": 8}, at=HOUR)
    stage.run(HOUR + MINUTE)
    assert stage.events(SourcingDecided)[-1][1].legs[-1].route == "backorder"
    assert (stage.cell().backordered, stage.cell().on_hand, stage.physical()) == (8, 0, 0)
    stage.run(9 * DAY)
    assert stage.account().delivered.units == 8
    assert not stage.state.fulfillment_orders
    stage.check_books()


def test_a_picker_who_finds_nothing_at_all_makes_no_parcel() -> None:
    stage = Stage(tiny(two_sites()))
    stage.steal("main", "mug", 10)
    stage.order("o1", {"mug": 10}, at=HOUR)
    stage.run(3 * DAY)
    assert [command.lines for command in stage.commands(ConfirmShipment)] == [(), ((1, 10),)]
    assert [row.node for row in stage.rows("shipment.collected")] == ["other"]
    assert stage.account().delivered.units == 10
    stage.check_books()


def test_many_short_picks_conserve_every_unit() -> None:
    stage = Stage(tiny({**MILL, **two_sites(**min_max(8, 40))}))
    for number in range(60):
        stage.order(f"o{number}", {"mug": 1 + number % 4}, at=number * 5 * HOUR)
    for number in range(20):
        stage.run((number + 1) * 15 * HOUR)
        stage.steal("main", "mug", min(3, stage.warehouse("main").shelf["mug"]))
    stage.run(40 * DAY)
    assert len(stage.events(UnitsShorted)) >= 2
    books = stage.account()
    assert books.captured.units == books.delivered.units + books.open.units
    stage.check_books()


# --- reports


def test_picked_packed_and_shipped_are_told_in_this_order_each_once() -> None:  # WH-04
    stage = Stage(tiny(site(pickers=1, pick_time={"order": "5m"}, reports=["picked", "packed", "shipped"], **PICKUP)))
    stage.order("o1")
    stage.run(8 * HOUR)
    # Picked and packed stand at the dock: the engine believes the unit staged, not gone.
    assert [event.stage for _, event in stage.events(GoodsPicked)] == ["picked", "packed"]
    assert (stage.cell().hard, stage.cell().staged, stage.cell().on_hand) == (0, 1, 200)
    stage.run(DAY)
    assert [command.stage for command in stage.commands(ConfirmPick)] == ["picked", "packed"]
    assert len(stage.commands(ConfirmShipment)) == 1
    assert stage.cell().on_hand == 199


PICKUP: dict[str, Any] = {"pickups": [{"carrier": "van", "at": ["16:00"]}]}


def test_nothing_found_is_reported_as_short_and_not_as_picked() -> None:
    stock = [{"warehouse": "main", "item": "mug", "on_hand": 4}]
    stage = Stage(tiny({"stock": stock, **site(reports=["picked", "shipped"])}))
    stage.steal("main", "mug", 4)
    stage.order("o1", {"mug": 4})
    stage.run(DAY)
    assert stage.commands(ConfirmPick) == []
    assert len(stage.events(UnitsShorted)) == 1


# --- shrink, counts, adjustments


def test_shrink_lowers_the_truth_and_nobody_is_told() -> None:
    stage = Stage(tiny(site(shrink="2%/day")))
    stage.run(11 * DAY)
    gone = -sum(row.quantity for row in stage.rows("stock.shrunk"))
    # 200 * (1 - 0.98^10) = 36.6 are expected in ten days.
    assert 25 <= gone <= 48
    assert stage.physical() == 200 - gone
    assert stage.cell().on_hand == 200
    stage.check_books()


@pytest.mark.parametrize(("units", "share", "low", "high"), [(1, "10%/day", 20, 60), (3, "1%/day", 2, 25)])
def test_shrink_keeps_its_mean_for_few_units_too(units: int, share: str, low: int, high: int) -> None:
    # 400 items with one day each: rounding to whole units must not swallow a small share.
    items = [{"id": f"i{number}", "price": "1 GBP", "cost": "1 GBP"} for number in range(400)]
    stock = [{"warehouse": "main", "item": item["id"], "on_hand": units} for item in items]
    stage = Stage(tiny({"items": items, "stock": stock, **site(shrink=share)}))
    stage.run(DAY + 1)
    gone = -sum(row.quantity for row in stage.rows("stock.shrunk"))
    assert low <= gone <= high
    assert all(row.quantity >= -units for row in stage.rows("stock.shrunk"))


def divergence(stage: Stage) -> int:
    return stage.cell().on_hand - stage.physical()


def test_a_count_corrects_the_belief_and_bounds_the_age_of_a_divergence() -> None:  # WH-05
    stage = Stage(tiny(site(shrink="2%/day", counting={"every": "2d"})))
    ages: list[int] = []
    diverged_at = -1
    for hour in range(1, 20 * 24):
        stage.run(hour * HOUR + MINUTE)
        if divergence(stage) and diverged_at < 0:
            diverged_at = hour
        elif not divergence(stage) and diverged_at >= 0:
            ages.append(hour - diverged_at)
            diverged_at = -1
    assert len(ages) >= 5
    assert max(ages) <= 48
    assert any(event.lines[0][2] < 0 for _, event in stage.events(StockCounted))
    stage.check_books()


def test_between_counts_the_belief_is_above_the_truth_and_never_below() -> None:
    stage = Stage(tiny({**MILL, **site(shrink="3%/day", counting={"every": "5d"}), **min_max(60, 120)}))
    for number in range(100):
        stage.order(f"o{number}", at=number * 4 * HOUR)
    for hour in range(1, 400):
        stage.run(hour * HOUR)
        assert divergence(stage) >= 0
    stage.check_books()


def test_a_count_in_the_middle_of_things_counts_no_unit_twice_and_misses_none() -> None:
    # Messages overtake each other, goods are staged, received and counted all at once: without shrink, whatever a
    # count corrects for a moment is taken back, and in the end belief and truth are one.
    busy = site(
        latency={"kind": "exponential", "mean": "3h"},
        pickers=2,
        pick_time={"order": "20m"},
        counting={"every": "5h"},
        reports=["picked", "packed", "shipped"],
        **PICKUP,
    )
    busy["warehouses"][0]["pickups"] = [{"carrier": "van", "at": ["08:00", "16:00"]}]
    patient = {"delivery": {"default": {"timeout": "2d", "deadline": "20d"}}}
    stage = Stage(tiny({**MILL, **busy, "policies": {**min_max(150, 220)["policies"], **patient}}))
    for number in range(150):
        stage.order(f"o{number}", {"mug": 1 + number % 3}, at=number * 2 * HOUR)
    stage.run(16 * DAY)
    assert any(correction for _, event in stage.events(StockCounted) for _, _, correction in event.lines)
    assert len(stage.events(GoodsReceived)) >= 2
    assert stage.account().differences == []
    stage.run(59 * DAY)
    assert divergence(stage) == 0
    stage.check_books()


def test_an_adjustment_takes_no_more_than_is_on_the_shelf_and_what_it_could_not_take_is_noted() -> None:
    stage = Stage(tiny())
    stage.world.post(stage.warehouse().adjust, ("a1", "mug", -150, "damaged"), HOUR, Phase.GOODS)
    stage.world.post(stage.warehouse().adjust, ("a2", "mug", -80, "damaged"), 2 * HOUR, Phase.GOODS)
    stage.world.post(stage.warehouse().adjust, ("a3", "mug", -5, "damaged"), 3 * HOUR, Phase.GOODS)
    stage.world.post(stage.warehouse().adjust, ("a4", "mug", 30, "found"), 4 * HOUR, Phase.GOODS)
    stage.run(DAY)
    assert [row.quantity for row in stage.rows("stock.adjusted")] == [-150, -50, 30]
    assert [row.quantity for row in stage.rows("stock.adjustment_capped")] == [-30, -5]
    assert (stage.physical(), stage.cell().on_hand) == (30, 30)
    books = stage.account()
    assert books.adjustments_capped == -35
    stage.check_books()


def test_an_adjustment_may_take_what_was_reserved_and_the_order_is_kept_open() -> None:
    stage = Stage(tiny(site(pickers=1, pick_time={"order": "2h"})))
    stage.order("o1", {"mug": 150})
    stage.world.post(stage.warehouse().adjust, ("a1", "mug", -100, "flood"), HOUR, Phase.GOODS)
    stage.run(2 * DAY)
    books = stage.account()
    assert (books.delivered.units, books.open.units) == (100, 50)
    stage.check_books()


# --- the rules of the channel, through the world


def test_a_channel_that_ships_complete_waits_for_its_last_line() -> None:  # OL-06
    more = {
        "items": [{"id": "cup", "price": "1 GBP", "cost": "1 GBP"}],
        "stock": [{"warehouse": "main", "item": "mug", "on_hand": 20}],
        "channels": [{"id": "web", "fulfillment": "complete"}],
    }
    rule = {"warehouse": "main", "item": "cup", "supplier": "mill", "kind": "to_order"}
    stage = Stage(tiny({**MILL, **more, "policies": {"replenishment": [rule]}}))
    stage.order("o1", {"mug": 2, "cup": 3}, at=HOUR)
    stage.run(6 * DAY)
    ((_, shipped),) = stage.events(GoodsShipped)
    assert shipped.lines == ((1, 2), (2, 3))
    assert told_at(stage)[0] > 2 * DAY
    partial = Stage(tiny({**MILL, **more, "channels": [{"id": "web"}], "policies": {"replenishment": [rule]}}))
    partial.order("o1", {"mug": 2, "cup": 3}, at=HOUR)
    partial.run(6 * DAY)
    assert [event.lines for _, event in partial.events(GoodsShipped)] == [((1, 2),), ((2, 3),)]


def test_safety_stock_is_hidden_from_its_channel_and_open_to_another() -> None:
    channels = [
        {"id": "web", "safety_stock": 190},
        {"id": "shop", "style": "inside_sales", "requested": "2d", "demand": {"kind": "none"}},
    ]
    stage = Stage(tiny({"channels": channels}))
    stage.order("hidden", {"mug": 11}, at=HOUR)
    stage.run(DAY)
    assert [(event.order, event.lines) for _, event in stage.events(GoodsShipped)] == [("hidden", ((1, 10),))]
    stage.order("seen", {"mug": 190}, at=DAY, channel="shop")
    stage.run(2 * DAY)
    assert sum(event.lines[0][1] for _, event in stage.events(GoodsShipped) if event.order == "seen") == 190
    assert (stage.physical(), stage.account().open.units) == (0, 1)


def test_waves_release_at_their_times_and_not_between() -> None:
    waves = {"release": {"kind": "waves", "at": ["08:00", "15:00"]}}
    stage = Stage(tiny({"policies": waves}))
    for number in range(24):
        stage.order(f"o{number}", at=number * HOUR + 30 * MINUTE)
    stage.run(2 * DAY)
    times = told_at(stage)
    assert len(times) == 24
    assert sorted(dict.fromkeys(times)) == [8 * HOUR + 1, 15 * HOUR + 1, DAY + 8 * HOUR + 1]
    assert [times.count(at) for at in sorted(dict.fromkeys(times))] == [8, 7, 9]


def test_the_reservation_of_a_held_order_expires_and_its_stock_serves_another() -> None:
    stock = [{"warehouse": "main", "item": "mug", "on_hand": 5}]
    stage = Stage(tiny({"stock": stock, "policies": {"reservation": {"expiry": "24h"}}}))
    stage.order("held", {"mug": 5}, at=0, hold=True)
    stage.order("early", {"mug": 5}, at=HOUR)
    stage.run(DAY - HOUR)
    assert stage.events(GoodsShipped) == []
    stage.run(2 * DAY)
    assert shipped_orders(stage) == ["early"]
    stage.release_hold("held", at=3 * DAY)
    stage.run(5 * DAY)
    # Too late: its units wait, and can be seen waiting.
    assert stage.account().open.units == 5
    assert stage.cell().backordered == 5
    stage.check_books()


def test_a_hold_before_the_wave_keeps_an_order_from_the_floor() -> None:
    stage = Stage(tiny({"policies": {"release": {"kind": "waves", "at": ["08:00"]}}}))
    stage.order("goes")
    stage.order("stays")
    stage.hold("stays", at=HOUR)
    stage.run(DAY)
    assert shipped_orders(stage) == ["goes"]
    stage.release_hold("stays", at=DAY + HOUR)
    stage.run(2 * DAY)
    assert shipped_orders(stage) == ["goes", "stays"]
    stage.check_books()


def test_an_instruction_that_comes_twice_is_worked_once() -> None:  # RC-06
    stage = Stage(tiny(site(pickers=1, pick_time={"order": "5m"})))
    stage.order("o1")
    stage.run(1)
    ((_, delivery),) = [pair for pair in stage.deliveries() if pair[1].gateway == "warehouse/main"]
    stage.driver.gateways["warehouse/main"].submit(delivery)
    stage.run(DAY)
    assert len(stage.commands(ConfirmShipment)) == 1
    assert [row.subject for row in stage.rows("delivery.repeated")] == [delivery.key]
    assert stage.physical() == 199


def test_a_warehouse_never_hands_out_more_than_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    lowest: list[int] = []
    pick: Callable[[Warehouse, Job], None] = Warehouse._pick

    def watched(site: Warehouse, job: Job) -> None:
        pick(site, job)
        lowest.append(min(site.shelf.values()))

    monkeypatch.setattr(Warehouse, "_pick", watched)

    def half_gone(world: Business) -> None:
        world.warehouses["main"].shelf["mug"] -= 100

    stage = Stage(tiny(), prepare=half_gone)
    for number in range(40):
        stage.order(f"o{number}", {"mug": 5}, at=number * HOUR)
    stage.run(4 * DAY)
    assert len(lowest) == 40
    assert min(lowest) == 0
