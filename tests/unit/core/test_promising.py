"""Dates: what is requested, promised, re-promised and actual are kept apart."""

from __future__ import annotations

from tests.unit.core.given import DAY, HOUR, Business, rule
from twin.core.events import OrderCaptured, PromiseDecided, ShipmentDelivered
from twin.core.master import Departures


def promises(business: Business) -> list[int]:
    return [decided.promised_at for decided in business.events(PromiseDecided)]


def test_stock_is_promised_after_handling_and_the_lane_s_transit() -> None:  # OL-11
    business = Business({"north": {"a": 5}}, handling_ms=2 * HOUR)
    business.wait(7)
    business.accept(business.capture())
    assert business.order().promised_at == 7 + 2 * HOUR + DAY


def test_the_requested_date_is_kept_beside_the_promise() -> None:  # OL-11
    business = Business({"south": {"a": 5}})
    business.accept(business.capture())
    business.accept(business.ship())
    business.wait(5 * HOUR)
    business.accept(business.milestone())
    assert business.events(OrderCaptured)[0].requested_at == 3 * DAY
    assert promises(business) == [2 * DAY]
    assert business.events(ShipmentDelivered)[0].at == 5 * HOUR


def departures() -> dict[str, tuple[Departures, ...]]:
    return {"north": (Departures("van", (16 * HOUR, DAY + 16 * HOUR), (18 * HOUR, DAY + 18 * HOUR)),)}


def test_an_order_at_the_cut_off_leaves_the_same_day_and_one_after_it_the_next() -> None:
    business = Business({"north": {"a": 5}}, departures=departures())
    business.wait(16 * HOUR)
    business.accept(business.capture())
    business.wait(1)
    business.accept(business.capture(order="o2"))
    assert business.order("o1").promised_at == 18 * HOUR + DAY
    assert business.order("o2").promised_at == DAY + 18 * HOUR + DAY


def test_an_order_past_the_last_known_departure_is_refused_and_says_why() -> None:
    business = Business({"north": {"a": 5}}, departures=departures())
    business.wait(DAY + 16 * HOUR + 1)
    assert business.refused(business.capture()) == "calendar_exhausted"
    assert business.state.orders == {}
    assert business.cell().free == 5


def test_an_accepted_order_is_sourced_again_even_past_the_last_known_departure() -> None:
    business = Business({"north": {"a": 5}}, departures=departures())
    business.accept(business.capture([("a", 2)]))
    business.wait(3 * DAY)
    business.accept(business.ship(lines=[(1, 1)]))
    assert business.units() == {"released": 1, "shipped": 1}
    assert promises(business) == [18 * HOUR + DAY]


def test_a_shortage_is_promised_by_the_lead_time_where_nothing_is_bought_yet() -> None:
    business = Business({}, [rule("north", "a", "to_order", lead_time_ms=5 * DAY)])
    business.accept(business.capture())
    assert business.order().promised_at == 5 * DAY + DAY


def test_a_shortage_is_promised_by_the_supplier_s_date_where_goods_are_on_their_way() -> None:
    business = Business({}, [rule("north", "a", "min_max", minimum=2, maximum=9, lead_time_ms=5 * DAY)])
    business.wait(1)
    business.accept(business.answer(eta=7 * DAY))
    business.accept(business.capture())
    assert business.order().promised_at == 7 * DAY + DAY


def test_goods_that_come_late_are_promised_anew_and_the_first_promise_stays_in_the_log() -> None:  # OL-11
    business = Business({}, [rule("north", "a", "to_order", lead_time_ms=DAY)])
    business.accept(business.capture())
    business.wait(4 * DAY)
    business.accept(business.receive())
    assert promises(business) == [2 * DAY, 5 * DAY]
    assert business.order().promised_at == business.order().lines[1].promised_at == 5 * DAY


def test_goods_that_come_early_are_not_announced() -> None:
    business = Business({}, [rule("north", "a", "to_order", lead_time_ms=5 * DAY)])
    business.accept(business.capture())
    business.accept(business.receive())
    assert promises(business) == [6 * DAY]


def test_units_sourced_again_do_not_bring_a_line_s_promise_forward() -> None:
    business = Business({"north": {"a": 2}}, [rule("north", "a", "to_order", lead_time_ms=9 * DAY)])
    business.accept(business.capture([("a", 4)]))
    assert business.order().promised_at == 10 * DAY
    business.load("south", {"a": 5})
    business.accept(business.ship(lines=[(1, 1)]))
    assert business.order().promised_at == 10 * DAY


def test_the_order_s_promise_is_the_latest_of_its_lines() -> None:
    business = Business({"north": {"a": 5}, "south": {"b": 5}})
    business.accept(business.capture([("a", 1), ("b", 1)]))
    assert [line.promised_at for line in business.order().lines.values()] == [DAY, 2 * DAY]
    assert business.order().promised_at == 2 * DAY


def test_a_rejected_line_has_no_promise() -> None:
    business = Business({"north": {"a": 5}})
    business.accept(business.capture([("a", 1), ("d", 1)]))
    assert business.order().lines[2].promised_at == 0
