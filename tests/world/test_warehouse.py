"""The warehouse: pickers and shifts, priority, cut-offs, trucks, and goods in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.hours import working_between
from tests.world.stage import DAY, HOUR, MILL, MINUTE, SECOND, Stage, min_max, shipped_orders, site, tiny, told_at
from twin.core.calendar import Calendar
from twin.core.commands import ConfirmShipment, ReceiveGoods
from twin.core.events import GoodsShipped, PromiseDecided
from twin.world.business import Business
from twin.world.warehouse import Job, Warehouse

SHIFT = {"id": "day", "days": ["mon", "tue", "wed", "thu", "fri"], "hours": ["06:00-14:00"]}

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


def test_what_is_drawn_is_added_and_belongs_to_the_job() -> None:
    """RP-03: handling by a table of quantiles, in the shift's time, the same for an order whatever else goes on."""
    table = [["0%", "1h"], ["50%", "2h"], ["100%", "9h"]]

    def durations(numbers: range) -> dict[str, int]:
        stage = Stage(tiny(site(pick_time={"order": "10m", "drawn": table})))
        for number in numbers:
            stage.order(f"o{number}")
        stage.run(DAY)
        told = zip(shipped_orders(stage), told_at(stage), strict=True)
        return {order: at - 1 - 10 * MINUTE for order, at in told}

    many = durations(range(150))
    assert all(HOUR <= took <= 9 * HOUR for took in many.values())
    assert sum(took <= 2 * HOUR for took in many.values()) == pytest.approx(75, abs=20)
    some = durations(range(40, 60))
    assert some == {order: many[order] for order in some}


def test_an_order_that_is_never_finished_holds_nobody_up() -> None:
    """RP-03: handling beyond the known shifts stays open; without a limit of pickers all others go on."""
    never = [["0%", "1h"], ["50%", "1h"], ["50%", "4000d"], ["100%", "4000d"]]
    stage = Stage(tiny({"calendars": [SHIFT], **site(calendar="day", pick_time={"drawn": never})}))
    for number in range(60):
        stage.order(f"o{number}", at=8 * HOUR + number * MINUTE)
    stage.run(9 * DAY)
    assert len(told_at(stage)) == pytest.approx(30, abs=10)
    assert max(told_at(stage)) <= 10 * HOUR + 1


def test_what_is_drawn_is_promised_at_its_nine_tenths() -> None:
    """RP-03: as lanes do that promise nothing of their own."""
    stage = Stage(tiny(site(pick_time={"order": "10m", "drawn": [["0%", "0h"], ["100%", "10h"]]})))
    stage.order("o1")
    stage.run(DAY)
    ((_, promise),) = stage.events(PromiseDecided)
    assert stage.since_start(promise.promised_at) == 10 * MINUTE + 9 * HOUR + 4 * HOUR


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


# --- what comes in and goes out
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
