"""Service measures of tales whose answers are known."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.unit.measure_tales import DAY, HOUR, Tale
from twin.core import commands as cm
from twin.core import events as ev
from twin.core.effects import PickLine
from twin.core.refusals import Refusal

END = 10 * DAY


def test_an_order_is_on_time_in_full_when_its_last_unit_is_there_by_the_requested_date() -> None:
    tale = Tale()
    tale.whole("early", 0, 2 * DAY, DAY)
    tale.whole("punctual", 0, 2 * DAY, 2 * DAY)
    tale.whole("late", 0, 2 * DAY, 2 * DAY + 1)
    measured = tale.measures(END)["otif_to_request"]
    assert (measured.numerator, measured.denominator, measured.value) == (2, 3, Fraction(2, 3))
    assert tale.value("delivered_in_full", END) == 1


def test_it_counts_when_the_customer_had_the_goods_not_when_the_message_came() -> None:
    tale = Tale()
    tale.order("o", 0, 2 * DAY)
    tale.ship("o", DAY, (1, 5))
    tale.deliver("o", 3 * DAY, at=2 * DAY)
    assert tale.value("otif_to_request", END) == 1
    assert tale.value("milestone_lag", END) == DAY


def test_an_order_that_never_left_is_in_the_denominator() -> None:
    tale = Tale()
    tale.whole("good", 0, 2 * DAY, DAY)
    tale.order("stuck", 0, 2 * DAY)
    tale.order("not_due_yet", 0, END)
    assert tale.value("otif_to_request", END) == Fraction(1, 2)
    assert tale.value("delivered_in_full", END) == Fraction(1, 2)
    # SCOR's own definition does not see it, and says so.
    commit = tale.measures(END)["delivery_performance_to_commit"]
    assert "blind" in commit.note


def test_a_partly_delivered_order_is_not_in_full() -> None:
    tale = Tale()
    tale.order("o", 0, 2 * DAY, ("bolt", 5), ("nut", 3), short=1)
    tale.ship("o", DAY, (1, 5), (2, 2))
    tale.deliver("o", DAY + HOUR)
    assert tale.value("otif_to_request", END) == 0
    assert tale.value("delivered_in_full", END) == 0


def cancelled(order: str, now: int, tale: Tale, by: str, units: int = 5) -> None:
    tale.at(now, ev.OrderCancelled(order, by, "", (ev.CancelledUnits(1, "reserved", units, "north"),)))


def reserved(tale: Tale, order: str, due: int, units: int = 5) -> None:
    """An order that is reserved and not released."""
    lines = (cm.OrderLine(1, "bolt", units, 500),)
    tale.at(
        0,
        ev.OrderCaptured(order, "web", "c", "uk", "B", due, lines),
        ev.SourcingDecided(order, (ev.Leg(1, "stock", "north", units, "nearest"),)),
        ev.ReservationDecided(order, (ev.Reservation(1, "north", "bolt", units),)),
    )


@pytest.mark.parametrize(
    ("by", "at", "due", "apart"),
    [("customer", DAY, 1, 1), ("customer", 3 * DAY, 2, 0), ("company", DAY, 2, 0)],
)
def test_only_what_the_customer_cancels_before_it_is_due_is_shown_apart(by: str, at: int, due: int, apart: int) -> None:
    tale = Tale()
    tale.whole("good", 0, 2 * DAY, DAY)
    reserved(tale, "gone", 2 * DAY)
    cancelled("gone", at, tale, by)
    measured = tale.measures(END)
    assert measured["otif_to_request"].denominator == due
    assert measured["otif_to_request"].value == Fraction(1, due)
    assert measured["orders_withdrawn"].value == apart


def test_an_order_whose_rest_was_cancelled_in_time_by_the_customer_is_whole_without_it() -> None:
    tale = Tale()
    reserved(tale, "o", 3 * DAY)
    cancelled("o", HOUR, tale, "customer", units=2)
    tale.release("o", HOUR, "north", PickLine(1, "bolt", 3))
    tale.ship("o", DAY, (1, 3))
    tale.deliver("o", 2 * DAY)
    assert tale.value("otif_to_request", END) == 1


def test_a_rejected_order_and_a_refused_one_fail_when_they_were_due() -> None:
    tale = Tale()
    line = (cm.OrderLine(1, "bolt", 5, 500),)
    tale.at(
        0,
        ev.OrderCaptured("rejected", "web", "c", "uk", "B", 2 * DAY, line),
        ev.SourcingDecided("rejected", (ev.Leg(1, "reject", "", 5, "short"),)),
    )
    capture = cm.CaptureOrder("m", "web", 0, "refused", "web", "c", "uk", 2 * DAY, line)
    tale.at(0, command=capture, refusal=Refusal("unknown_item"))
    tale.at(1, command=capture, refusal=Refusal("duplicate"))
    measured = tale.measures(END)
    assert (measured["otif_to_request"].numerator, measured["otif_to_request"].denominator) == (0, 2)
    assert measured["otif_to_promise"].denominator == 2
    assert measured["orders_refused"].value == 1
    assert measured["commands_refused"].value == 2
    assert measured["commands_refused/code=unknown_item"].value == 1


def test_an_order_that_was_refused_and_came_again_counts_once() -> None:
    tale = Tale()
    line = (cm.OrderLine(1, "bolt", 5, 500),)
    tale.at(
        0, command=cm.CaptureOrder("m", "web", 0, "o", "web", "c", "uk", 2 * DAY, line), refusal=Refusal("unknown_item")
    )
    tale.whole("o", 0, 2 * DAY, DAY)
    assert tale.measures(END)["otif_to_request"].denominator == 1
    assert tale.value("otif_to_request", END) == 1


def test_the_window_is_of_due_dates_after_the_warm_up() -> None:
    tale = Tale()
    tale.whole("before", 0, DAY, 2 * DAY)
    tale.whole("first", 0, 2 * DAY, 2 * DAY)
    tale.whole("last", 0, END - 1, 3 * DAY)
    tale.whole("after", 0, END, 3 * DAY)
    measured = tale.measures(END, warmup=2 * DAY)["otif_to_request"]
    assert (measured.numerator, measured.denominator) == (2, 2)


def test_what_comes_after_the_end_is_not_seen() -> None:
    tale = Tale()
    tale.whole("o", 0, 2 * DAY, 2 * DAY)
    assert tale.value("delivered_in_full", 2 * DAY + 1) == 1
    late = Tale()
    late.order("o", 0, 2 * DAY)
    late.ship("o", DAY, (1, 5))
    late.deliver("o", 4 * DAY, at=2 * DAY)
    assert late.value("delivered_in_full", 3 * DAY) == 0


def test_classes_are_measured_apart() -> None:
    tale = Tale()
    tale.order("a1", 0, DAY, criticality="A")
    tale.whole("b1", 0, DAY, HOUR)
    assert tale.value("otif_to_request/class=A", END) == 0
    assert tale.value("otif_to_request/class=B", END) == 1


def test_the_first_promise_is_what_counts_and_its_changes_are_counted() -> None:
    tale = Tale()
    tale.order("o", 0, 5 * DAY, ("bolt", 5), promise=2 * DAY)
    tale.at(HOUR, ev.PromiseDecided("o", 4 * DAY, ((1, 4 * DAY),)))
    tale.ship("o", DAY, (1, 5))
    tale.deliver("o", 3 * DAY)
    measured = tale.measures(END)
    assert measured["otif_to_request"].value == 1
    assert measured["otif_to_promise"].value == 0
    assert measured["delivery_performance_to_commit"].value == 0
    assert measured["promise_lead_time"].value == 2 * DAY
    assert measured["promise_accuracy"].value == DAY
    assert measured["promise_accuracy/bias"].value == DAY
    assert measured["promise_volatility"].value == 1
    assert measured["promise_drift"].value == 2 * DAY


def test_fill_rates_count_units_lines_and_orders_served_at_the_first_sourcing() -> None:
    tale = Tale()
    tale.order("o1", 0, 2 * DAY, ("bolt", 5), ("nut", 5), short=2)
    tale.order("o2", 0, 2 * DAY, ("bolt", 10))
    # Sourced again later from stock: that is no first pass.
    tale.at(
        HOUR,
        ev.ReservationDecided("o1", (ev.Reservation(2, "north", "nut", 2),), "backordered"),
    )
    measured = tale.measures(END)
    assert measured["unit_fill_rate"].value == Fraction(18, 20)
    assert measured["unfilled_share"].value == Fraction(2, 20)
    assert measured["line_fill_rate"].value == Fraction(2, 3)
    assert measured["order_fill_rate"].value == Fraction(1, 2)


def test_cycle_times_have_segments_that_add_up() -> None:
    tale = Tale()
    for number, days in enumerate((2, 4, 6)):
        tale.whole(f"o{number}", 0, 9 * DAY, days * DAY)
    tale.order("open", 0, 9 * DAY)
    measured = tale.measures(END)
    assert measured["order_cycle_time"].value == 4 * DAY
    assert measured["order_cycle_time/p50"].value == 4 * DAY
    assert measured["order_cycle_time/p90"].value == 6 * DAY
    segments = [
        measured[f"order_cycle_time/segment={name}"].value
        for name in ("capture_to_release", "release_to_ship", "ship_to_deliver")
    ]
    assert segments == [0, 2 * DAY, 2 * DAY]
    assert "1 orders" in measured["order_cycle_time"].note
    assert measured["order_to_ship"].value == 2 * DAY
    assert measured["open_orders"].value == 1


def test_an_order_is_shipped_when_its_last_unit_has_left_or_the_rest_is_cancelled() -> None:  # OB-06
    tale = Tale()
    for order in ("part", "none"):
        tale.order(order, 0, END, ("bolt", 5), short=2 if order == "part" else 5)
    tale.ship("part", DAY, (1, 3))
    assert tale.value("order_to_ship", END) is None
    for order, units in (("part", 2), ("none", 5)):
        taken = (ev.CancelledUnits(1, "backordered", units, "north"),)
        tale.at(3 * DAY, ev.OrderCancelled(order, "customer", "", taken))
    measured = tale.measures(END)
    assert (measured["order_to_ship"].value, measured["order_to_ship"].denominator) == (DAY, 1)
    # What left in the warm-up was shipped before the window.
    assert tale.value("order_to_ship", END, warmup=2 * DAY) is None


def test_backorders_are_aged_by_unit_since_their_first_promise() -> None:
    tale = Tale()
    tale.order("old", 0, DAY, ("bolt", 10), promise=DAY, short=9)
    tale.order("new", 0, 8 * DAY, ("bolt", 1), promise=8 * DAY, short=1)
    tale.at(5 * DAY, ev.PromiseDecided("old", 7 * DAY, ((1, 7 * DAY),)))
    measured = tale.measures(END)
    assert measured["backorder_age/p50"].value == 9 * DAY
    assert measured["backorder_age/p90"].value == 9 * DAY
    assert measured["backorder_age/max"].value == 9 * DAY
    assert measured["backordered_units"].value == 10
    assert measured["backorder_unit_days"].value == 100
    assert measured["mean_backordered"].value == 10


def test_backordered_units_stop_counting_when_they_are_reserved_or_cancelled() -> None:
    tale = Tale()
    tale.order("o", 0, DAY, ("bolt", 10), short=6)
    tale.at(2 * DAY, ev.ReservationDecided("o", (ev.Reservation(1, "north", "bolt", 4),), "backordered"))
    tale.at(5 * DAY, ev.OrderCancelled("o", "company", "", (ev.CancelledUnits(1, "backordered", 2, "north"),)))
    assert tale.value("backorder_unit_days", END) == 4 * 2 + 2 * 5
    assert tale.value("backordered_units", END) == 0


def test_a_cycle_without_shortage_is_served() -> None:
    tale = Tale()
    tale.load(0, 10)
    tale.purchase("P1", 0, 5)
    tale.receive("P1", DAY, 5)
    tale.order("o", 2 * DAY, 5 * DAY, ("bolt", 20), short=5)
    tale.purchase("P2", 2 * DAY, 3)
    tale.receive("P2", 3 * DAY, 3)
    # Still backordered at the next receipt: that cycle was short as well.
    tale.purchase("P3", 3 * DAY, 3)
    tale.receive("P3", 4 * DAY, 3)
    measured = tale.measures(END)["cycle_service_level"]
    assert (measured.numerator, measured.denominator) == (1, 3)


def test_readiness_is_the_share_of_time_with_net_stock() -> None:
    tale = Tale()
    tale.load(0, 5)
    tale.order("o", 4 * DAY, 5 * DAY, ("bolt", 5))
    assert tale.value("ready_rate", END) == Fraction(4, 10)
    # What is bought to order is not stocked.
    from twin.core.master import Replenishment

    tale.at(5 * DAY, ev.ReplenishmentDefined((Replenishment("north", "nut", "mill", "to_order"),)))
    assert tale.value("ready_rate", END) == Fraction(4, 10)


def test_mean_stock_is_an_exact_integral_over_the_window() -> None:
    tale = Tale()
    tale.load(0, 12)
    tale.order("o", DAY, 5 * DAY, ("bolt", 5))  # Reserved: still on hand.
    tale.ship("o", 4 * DAY, (1, 5))
    tale.at(7 * DAY, ev.StockAdjusted("north", "bolt", -1, "lost"))
    measured = tale.measures(END)
    assert measured["mean_on_hand"].value == Fraction(12 * 4 + 7 * 3 + 6 * 3, 10)
    assert measured["mean_available"].value == Fraction(12 + 7 * 6 + 6 * 3, 10)
    assert tale.measures(END, warmup=5 * DAY)["mean_on_hand"].value == Fraction(7 * 2 + 6 * 3, 5)


def test_nothing_in_the_window_is_no_value_and_no_error() -> None:
    measured = Tale().measures(END)
    assert measured["otif_to_request"].value is None
    assert measured["otif_to_request"].text() == "–"
    assert measured["order_cycle_time"].value is None
    assert measured["order_cycle_time/p50"].value is None
