"""Measures of flow, integrity and money, of tales whose answers are known."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from tests.unit.measure_tales import DAY, HOUR, Tale, sent
from twin.core import commands as cm
from twin.core import events as ev
from twin.core.effects import PickLine, PurchaseLine
from twin.core.master import DeliveryPolicy, Item, Policies
from twin.log import CostRates

END = 10 * DAY


# OL-01
def test_orders_lines_and_units_are_counted_by_channel() -> None:
    tale = Tale()
    tale.order("o1", 0, DAY, ("bolt", 5), ("nut", 2), channel="web")
    tale.order("o2", 0, DAY, ("bolt", 1), channel="desk")
    tale.order("o3", 0, DAY, ("bolt", 1), channel="desk")
    measured = tale.measures(END)
    assert [measured[name].value for name in ("orders_captured", "lines_captured", "units_captured")] == [3, 4, 9]
    assert measured["orders_captured/channel=desk"].value == 2
    assert measured["lines_captured/channel=web"].value == 2
    assert measured["units_captured/channel=web"].value == 7


# OL-04, OL-05
def test_paths_are_counted_by_line_and_decisions_by_rule() -> None:
    tale = Tale()
    tale.order("o1", 0, DAY, ("bolt", 5))
    tale.order("o2", 0, DAY, ("bolt", 5), short=5)
    tale.order("o3", 0, DAY, ("bolt", 5), short=1)
    legs = (ev.Leg(1, "stock", "north", 1, "cheapest"), ev.Leg(1, "stock", "south", 1, "split_line"))
    tale.at(
        0,
        ev.OrderCaptured("o4", "web", "c", "uk", "B", DAY, (cm.OrderLine(1, "nut", 2, 500),)),
        ev.SourcingDecided("o4", legs),
    )
    measured = tale.measures(END)
    for path in ("stock", "backorder", "stock+backorder", "split"):
        assert measured[f"path_mix/path={path}"].value == Fraction(1, 4), path
    assert measured["sourcing_decisions"].value == 6
    assert measured["sourcing_decisions/route=stock,rule=nearest"].value == 2
    assert measured["sourcing_decisions/route=backorder,rule=short:nearest"].value == 2
    assert measured["sourcing_decisions/route=stock,rule=split_line"].value == 1


# OL-06
def test_units_whose_reservation_ran_out_are_counted_and_free_again() -> None:
    tale = Tale()
    tale.load(0, 10)
    tale.order("o", 0, DAY, ("bolt", 4))
    tale.at(HOUR, ev.ReservationExpired("o", (ev.Reservation(1, "north", "bolt", 4),)))
    assert tale.value("reservation_expired_units", END) == 4
    facts = tale.facts(END)
    assert facts.cells["north"]["bolt"].free == 10


def test_touches_are_commands_by_people_and_not_the_customers_cancellation() -> None:
    tale = Tale()
    for order in ("held", "dead", "dropped", "left", "plain"):
        tale.order(order, 0, DAY)
    tale.at(1, ev.OrderHeld("held", "credit"), command=cm.HoldOrder("m1", "desk", 1, "held", "credit"))
    tale.at(2, ev.OrderHoldReleased("held"), command=cm.ReleaseHold("m2", "desk", 2, "held"))
    tale.at(3, ev.DeliveryDeadLettered("dead/1", 5, "retries used up"))
    tale.at(4, ev.DeliveryRedriven("dead/1", "amy"), command=cm.RedriveDelivery("m3", "desk", 4, "dead/1", "amy"))
    tale.at(5, command=cm.CancelOrder("m4", "desk", 5, "dropped", "company"))
    tale.at(6, command=cm.CancelOrder("m5", "web", 6, "left", "customer"))
    measured = tale.measures(END)
    assert measured["touchless_rate"].value == Fraction(2, 5)
    assert measured["manual_touches_per_order"].value == Fraction(4, 5)
    assert measured["order_fallout"].value == Fraction(3, 5)


def test_a_dead_letter_that_a_tool_sends_again_was_touched_by_nobody() -> None:
    tale = Tale()
    for order, actor in (("tool", "a tool that redrives"), ("ann", "ann")):
        tale.order(order, 0, DAY)
        tale.at(3, ev.DeliveryDeadLettered(f"{order}/1", 5, "retries used up"))
        redrive = cm.RedriveDelivery(f"m/{order}", "ops", 4, f"{order}/1", actor)
        tale.at(4, ev.DeliveryRedriven(f"{order}/1", actor), command=redrive)
    measured = tale.measures(END)
    assert measured["touchless_rate"].value == Fraction(1, 2)
    assert measured["manual_touches_per_order"].value == Fraction(1, 2)
    # Both had left straight-through processing all the same.
    assert measured["order_fallout"].value == 1


def test_a_dead_letter_is_fallout_even_where_nobody_touched_it() -> None:
    tale = Tale()
    tale.order("o", 0, DAY)
    tale.at(3 * DAY, ev.DeliveryDeadLettered("o/1", 5, "retries used up"))
    measured = tale.measures(END)
    assert measured["order_fallout"].value == 1
    assert measured["touchless_rate"].value == 1
    assert measured["dead_letters"].value == 1
    assert measured["dead_letters_oldest_age"].value == 7 * DAY
    assert measured["dead_letters_value"].value == 2500


def test_a_settled_dead_letter_is_none() -> None:
    tale = Tale()
    tale.order("o", 0, DAY)
    tale.at(1, ev.DeliveryDeadLettered("o/1", 5, "retries used up"))
    tale.at(2, ev.DeliverySucceeded("o/1"))
    measured = tale.measures(END)
    assert measured["dead_letters"].value == 0
    assert measured["dead_letters/inflow"].value == 1


def test_bullwhip_is_the_ratio_of_variances_over_whole_periods() -> None:
    tale = Tale()
    for day, (demand, placed) in enumerate(((2, 0), (4, 12), (6, 0), (4, 4))):
        tale.order(f"o{day}", day * DAY, END, ("bolt", demand))
        if placed:
            tale.purchase(f"P{day}", day * DAY, placed)
    # Demand 2 4 6 4: variance 2. Orders 0 12 0 4: mean 4, variance 24.
    assert tale.value("bullwhip_ratio", 4 * DAY) == 12
    # A period that is not whole is left out; so are those before the warm-up.
    assert tale.value("bullwhip_ratio", 4 * DAY + HOUR) == 12
    assert tale.value("bullwhip_ratio", 4 * DAY, warmup=2 * DAY) == 4
    assert tale.value("bullwhip_ratio", 2 * DAY - 1) is None


# PU-01
def test_the_time_from_shortage_to_its_purchase_order_is_measured_by_the_peg() -> None:
    tale = Tale()
    tale.order("o", 0, DAY, ("bolt", 5), short=2)
    tale.purchase("P1", 2 * HOUR, 2, ev.Peg("o", 1, 2))
    tale.purchase("P2", 3 * HOUR, 9)
    tale.at(8 * HOUR, ev.PurchaseOrderAcknowledged("P1", DAY))
    tale.at(9 * HOUR, ev.PurchaseOrderAcknowledged("P1", DAY))
    tale.at(7 * HOUR + 2 * HOUR, ev.PurchaseOrderRejected("P2", "no"))
    measured = tale.measures(END)
    assert measured["time_shortage_to_purchase_order"].value == 2 * HOUR
    assert measured["unpegged_purchase_orders"].value == 1
    assert measured["purchase_orders"].value == 2
    assert measured["supplier_response_time"].value == 6 * HOUR


# TR-04
def test_a_shipment_is_told_of_completely_when_it_was_picked_up_before_it_was_delivered() -> None:
    tale = Tale()
    tale.order("o1", 0, DAY)
    tale.ship("o1", HOUR, (1, 5))
    tale.at(2 * HOUR, ev.ShipmentMilestoneReached("o1", "S/o1/1", "picked_up", HOUR))
    tale.deliver("o1", 4 * HOUR, at=3 * HOUR)
    tale.order("o2", 5 * HOUR, DAY)
    tale.ship("o2", 6 * HOUR, (1, 5))
    tale.deliver("o2", 7 * HOUR)
    measured = tale.measures(END)
    assert measured["milestone_completeness"].value == Fraction(1, 2)
    assert measured["milestone_lag"].value == Fraction(2 * HOUR, 3)
    assert measured["illegal_transition_count"].value == 0


def test_staleness_is_the_age_of_the_count_that_a_decision_relied_on() -> None:
    tale = Tale(counted=True)
    tale.load(0, 50)
    tale.order("o0", HOUR, END)  # Not yet counted: it says nothing.
    lines = (cm.StockLine("bolt", 45),)
    tale.at(
        5 * HOUR,
        ev.StockCounted("north", 1, (("bolt", 45, 0),)),
        command=cm.CountStock("m", "w", 2 * HOUR, "north", lines, 1),
    )
    tale.order("o1", 6 * HOUR, END)
    tale.order("o2", 8 * HOUR, END)
    assert tale.value("feed_staleness", END) == 5 * HOUR


def test_a_movement_that_a_count_saw_does_not_change_the_stock_twice() -> None:
    tale = Tale(counted=True)
    tale.load(0, 10)
    tale.order("o", 0, END, ("bolt", 4))
    # The count was taken after movement 1, the shipment, which is told of later.
    tale.at(HOUR, ev.StockCounted("north", 1, (("bolt", 6, -4),)))
    tale.at(2 * HOUR, ev.GoodsShipped("o", "S", "o/1", "north", ((1, 4),), 0, 1))
    cell = tale.facts(END).cells["north"]["bolt"]
    assert (cell.on_hand, cell.free) == (6, 6)


def test_calls_per_operation_count_retries_and_redrives() -> None:
    tale = Tale()
    tale.order("o", 0, DAY)
    tale.at(1, ev.DeliveryFailed("o/1", 1, "unknown", "no answer", 9))
    tale.at(9, ev.DeliveryRetried("o/1", 2), deliveries=(sent("o/1", "o", attempt=2),))
    tale.order("p", 10, DAY)
    assert tale.value("retry_amplification", END) == Fraction(3, 2)
    assert tale.value("duplicate_effect_count", END) == 0


def test_goodput_counts_what_is_answered_within_the_timeout_of_its_attempt() -> None:
    tale = Tale()
    for order in ("in_time", "late", "second", "never"):
        tale.order(order, 0, DAY)
    succeeded = ev.DeliverySucceeded
    tale.at(5, succeeded("in_time/1"), command=answer("in_time/1", 1))
    for order in ("late", "second"):
        tale.at(10, ev.DeliveryFailed(f"{order}/1", 1, "unknown", "no answer", 11))
        tale.at(11, ev.DeliveryRetried(f"{order}/1", 2), deliveries=(sent(f"{order}/1", order, attempt=2),))
    tale.at(12, succeeded("late/1"), command=answer("late/1", 1))
    tale.at(12, succeeded("second/1"), command=answer("second/1", 2))
    assert tale.value("goodput", END) == Fraction(2, 4)


def answer(delivery: str, attempt: int) -> cm.AcknowledgeDelivery:
    return cm.AcknowledgeDelivery(f"{delivery}/ack/{attempt}", "wms", 0, delivery, "succeeded", attempt=attempt)


def breakages() -> dict[str, tuple[Any, str, int | Fraction]]:
    """A planted fault, the measure that must tell, and its value."""

    def ship_again(tale: Tale) -> None:
        tale.at(5, ev.GoodsShipped("o", "S/o/1", "o/1", "north", ((1, 5),), 40))

    def ship_other_units(tale: Tale) -> None:
        tale.release("o", 5, "north", PickLine(1, "bolt", 5), serial=2)
        tale.ship("o", 6, (1, 5), serial=2)

    def bill_again(tale: Tale) -> None:
        tale.at(5, tale.bill("o", (1, 5)), deliveries=(sent("I/o/1", "o", "erp"),))

    def bill_nothing(tale: Tale) -> None:
        tale.order("p", 5, DAY)
        tale.at(6, ev.GoodsShipped("p", "S/p", "p/1", "north", ((1, 5),), 40))

    def capture_again(tale: Tale) -> None:
        tale.at(5, ev.OrderClosed("o"))
        tale.order("o", 6, DAY)

    def credit_again(tale: Tale) -> None:
        tale.at(5, ev.CreditIssued("o", "C", 1, 1, 500), deliveries=(sent("C", "o", "erp"),))
        tale.at(6, ev.CreditIssued("o", "C", 1, 1, 500))

    def forget_release(tale: Tale) -> None:
        plan = ev.FulfillmentPlan("p/1", "north", "van", (PickLine(1, "bolt", 5),))
        tale.order("p", 5, DAY, short=5)
        tale.at(6, ev.ReleaseDecided("p", (plan,)))

    def forget_purchase(tale: Tale) -> None:
        tale.at(5, ev.PurchaseOrderCreated("P", "mill", "north", 0, (PurchaseLine("bolt", 1),), (), 0, 0))

    def buy_again(tale: Tale) -> None:
        tale.purchase("P", 5, 1)
        tale.receive("P", 6, 1)
        tale.purchase("P", 7, 1)

    def receive_again(tale: Tale) -> None:
        tale.purchase("P", 5, 1)
        tale.receive("P", 6, 1)
        tale.receive("P", 7, 1)

    def deliver_again(tale: Tale) -> None:
        tale.deliver("o", 5)
        tale.deliver("o", 6)

    def bill_before(tale: Tale) -> None:
        tale.order("p", 5, DAY)
        tale.at(6, tale.bill("p", (1, 5)), deliveries=(sent("I/p/1", "p", "erp"),))

    def ask_for_nothing(tale: Tale) -> None:
        tale.at(5, deliveries=(sent("stray", "o"),))

    def forget_question(tale: Tale) -> None:
        tale.at(5, ev.SourcingRequested("o", (), "o/source/1"))

    def ask_twice(tale: Tale) -> None:
        asked = (sent("o/release/1", "o", "decision"), sent("o/release/2", "o", "decision"))
        tale.at(5, ev.ReleaseRequested("o", "o/release/1"), deliveries=asked)

    def unreserved(tale: Tale) -> None:
        tale.at(5, ev.OrderCaptured("p", "web", "c", "uk", "B", DAY, (cm.OrderLine(1, "bolt", 5, 500),)))
        tale.release("p", 6, "north", PickLine(1, "bolt", 5))
        tale.ship("p", 7, (1, 5))

    return {
        "a shipment told twice": (ship_again, "duplicate_effect_count/effect=shipment.shipped", 1),
        "units beyond the order": (ship_other_units, "duplicate_effect_count/effect=units beyond the order", 1),
        "an invoice twice": (bill_again, "double_billed_value", 2500),
        "an invoice twice, counted": (bill_again, "duplicate_effect_count/effect=invoice.created", 1),
        "a shipment not billed": (bill_nothing, "unbilled_shipped_value", 2500),
        "an order twice": (capture_again, "duplicate_effect_count/effect=order.captured", 1),
        "a credit twice": (credit_again, "duplicate_effect_count/effect=credit.issued", 1),
        "a credit not posted": (credit_again, "lost_effect_count/effect=erp.credit", 1),
        "a release not sent": (forget_release, "lost_effect_count/effect=warehouse.release", 1),
        "a purchase order not sent": (forget_purchase, "lost_effect_count/effect=supplier.purchase_order", 1),
        "a purchase order twice": (buy_again, "duplicate_effect_count/effect=purchase_order.created", 1),
        "a receipt twice": (receive_again, "duplicate_effect_count/effect=purchase_order.received", 1),
        "a delivery twice": (deliver_again, "illegal_transition_count", 1),
        "a bill before shipment": (bill_before, "invoices_before_ship", 1),
        "a delivery nobody asked for": (ask_for_nothing, "duplicate_effect_count", 1),
        "a question not sent": (forget_question, "lost_effect_count/effect=decision.source", 1),
        "a question nobody needs": (ask_twice, "duplicate_effect_count", 1),
        "units never reserved": (unreserved, "event_completeness", Fraction(1, 2)),
    }


ZERO = (
    "duplicate_effect_count",
    "lost_effect_count",
    "illegal_transition_count",
    "invoices_before_ship",
    "unbilled_shipped_value",
    "double_billed_value",
    "dead_letters",
)


# FI-01, FI-02, RC-06
@pytest.mark.parametrize("name", list(breakages()))
def test_a_planted_fault_is_told_by_its_measure(name: str) -> None:
    plant, measure, value = breakages()[name]
    tale = Tale()
    tale.order("o", 0, DAY)
    tale.ship("o", 1, (1, 5))
    sound = tale.measures(END)
    assert [sound[zero].value for zero in ZERO] == [0] * len(ZERO)
    assert sound["event_completeness"].value == 1
    plant(tale)
    assert tale.measures(END)[measure].value == value


# OL-14
def test_messages_about_an_order_must_carry_its_class() -> None:
    tale = Tale()
    tale.order("o", 0, DAY)
    tale.at(1, command=cm.ConfirmPick("m1", "w", 1, "o/1", "o", "north", "picked", "B", "o/1"))
    assert tale.value("message_criticality_coverage", END) == 1
    tale.at(2, command=cm.ConfirmPick("m2", "w", 1, "o/1", "o", "north", "packed", "", "o/1"))
    tale.at(3, command=cm.AcknowledgeDelivery("m3", "w", 1, "o/1", "succeeded", "", "B", "o/1"))
    assert tale.value("message_criticality_coverage", END) == Fraction(3, 4)


# OB-01, GV-07
def test_an_answer_must_name_what_caused_it() -> None:
    tale = Tale()
    tale.order("o", 0, DAY)
    picked = ev.GoodsPicked("o", "o/1", "picked")
    tale.at(1, picked, command=cm.ConfirmPick("m1", "w", 1, "o/1", "o", "north", "picked", "B", "o/1"))
    assert tale.value("trace_completeness", END) == 1
    assert tale.value("audit_gaps", END) == 0
    packed = ev.GoodsPicked("o", "o/1", "packed")
    tale.at(2, packed, command=cm.ConfirmPick("m2", "w", 1, "o/1", "o", "north", "packed", "B"))
    assert tale.value("trace_completeness", END) == Fraction(2, 3)
    assert tale.value("audit_gaps", END) == 1
    tale.at(3, ev.OrderHeld("o", ""), command=cm.HoldOrder("m3", "", 1, "o", ""))
    assert tale.value("audit_gaps", END) == 2


def test_deliveries_that_want_no_acknowledgement_are_not_kept_open() -> None:
    tale = Tale()
    policy = Policies(delivery=(DeliveryPolicy("warehouse", acknowledge=False),))
    tale.at(0, ev.PoliciesDefined(policy))
    tale.order("o", 0, DAY)
    assert tale.facts(END).messages.open == {}


def test_the_ledger_sums_what_moved_in_the_window() -> None:
    tale = Tale()
    tale.load(0, 100)
    tale.whole("old", 0, DAY, HOUR)
    tale.order("o1", 2 * DAY, END, ("bolt", 5), ("nut", 3))
    tale.ship("o1", 3 * DAY, (1, 5), (2, 3))
    tale.order("o2", 2 * DAY, END, ("nut", 2), channel="desk")
    tale.ship("o2", 3 * DAY, (1, 2))
    tale.at(4 * DAY, ev.CreditIssued("o1", "C", 1, 1, 500), deliveries=(sent("C", "o1", "erp"),))
    tale.purchase("P", 4 * DAY, 7)
    measured = tale.measures(END, warmup=2 * DAY)
    assert measured["revenue"].value == 8 * 500 + 2 * 500 - 500
    assert measured["revenue/channel=web"].value == 3500
    assert measured["revenue/channel=web,per_line"].value == 1750
    assert measured["revenue/per_order"].value == 2250
    assert measured["cost_of_goods"].value == 5 * 300 + 5 * 400
    assert measured["cost_of_goods/channel=desk"].value == 800
    assert measured["freight"].value == 80
    assert measured["ordering"].value == 1000
    assert measured["holding"].value == 0
    assert measured["margin"].value == 4500 - 3500 - 80 - 1000


def test_a_credit_after_the_order_was_closed_lowers_the_revenue_of_no_channel() -> None:
    tale = Tale()
    tale.whole("o", 0, DAY, HOUR)
    tale.at(2 * DAY, ev.OrderClosed("o"))
    tale.at(3 * DAY, ev.CreditIssued("o", "C", 1, 1, 500), deliveries=(sent("C", "o", "erp"),))
    measured = tale.measures(END)
    assert measured["revenue"].value == 2000
    assert measured["revenue/channel=web"].value == 2500
    assert "credits of 500" in measured["revenue"].note


def stocked() -> Tale:
    """10 units for 4 days, then 4; 3 backordered from day 4 to day 6."""
    tale = Tale()
    tale.load(0, 10)
    tale.order("o", 4 * DAY, END, ("bolt", 9), short=3)
    tale.ship("o", 4 * DAY, (1, 6))
    tale.at(6 * DAY, ev.OrderCancelled("o", "company", "", (ev.CancelledUnits(1, "backordered", 3, "north"),)))
    return tale


def test_holding_and_penalty_are_charged_over_time() -> None:
    rates = CostRates(holding=(2, 3), penalty=(5, 1))
    measured = stocked().measures(END, rates=rates)
    assert measured["holding"].value == Fraction(2, 3) * (10 * 4 + 4 * 6)
    assert measured["penalty"].value == 5 * 3 * 2
    assert measured["holding_and_penalty_cost_per_period"].value == (Fraction(128, 3) + 30) / 10
    weekly = CostRates(period_ms=7 * DAY, holding=(2, 3))
    assert stocked().value("holding", END, rates=weekly) == Fraction(128, 21)


def test_holding_can_be_a_share_of_the_cost_a_year() -> None:
    rates = CostRates(holding_ppm_per_year=365_000)
    # 36.5 % a year is a thousandth a day of 300 a unit.
    assert stocked().value("holding", END, rates=rates) == Fraction(3, 10) * 64


def test_a_cost_that_changes_is_charged_from_then_on() -> None:
    tale = stocked()
    tale.at(8 * DAY, ev.ItemsDefined((Item("bolt", 500, 600),)))
    rates = CostRates(holding_ppm_per_year=365_000)
    assert tale.value("holding", END, rates=rates) == Fraction(3, 10) * (40 + 16) + Fraction(6, 10) * 8
    ends = CostRates(holding_ppm_per_year=365_000, charge="period_end")
    # Ends of days 1 to 4 with 10 units, 5 to 8 with 4 at 300, 9 and 10 with 4 at 600.
    assert tale.value("holding", END, rates=ends) == Fraction(3, 10) * (40 + 16) + Fraction(6, 10) * 8


def test_a_charge_at_the_ends_of_periods_sees_only_what_is_there_then() -> None:
    rates = CostRates(holding=(1, 1), penalty=(10, 1), charge="period_end")
    tale = Tale()
    tale.load(0, 10)
    tale.order("o", DAY // 2, END, ("bolt", 12), short=2)
    tale.ship("o", DAY // 2, (1, 10))
    # At the very end of the second day: it belongs to the third.
    tale.receive("P", 2 * DAY, 5)
    measured = tale.measures(3 * DAY, rates=rates)
    assert measured["holding"].value == 0 + 0 + 5
    assert measured["penalty"].value == 3 * 2 * 10
    assert measured["holding_and_penalty_cost_per_period"].value == Fraction(65, 3)
    assert tale.measures(3 * DAY, warmup=2 * DAY, rates=rates)["holding"].value == 5


def test_the_total_per_period_has_the_ordering_cost() -> None:
    tale = stocked()
    tale.purchase("P", 9 * DAY, 1)
    rates = CostRates(holding=(1, 1))
    assert tale.value("total_cost_per_period", END, rates=rates) == Fraction(64 + 1000, 10)


def test_the_days_of_the_run_are_a_series() -> None:
    tale = Tale()
    tale.load(0, 10)
    tale.order("o1", HOUR, 2 * DAY, ("bolt", 4))
    tale.order("o2", DAY, 2 * DAY, ("bolt", 9), short=3)
    tale.ship("o1", DAY + HOUR, (1, 4))
    tale.deliver("o1", 2 * DAY)
    series = tale.facts(4 * DAY - 1).series
    assert series.captured == [1, 1, 0, 0]
    assert series.shipped == [0, 1, 0, 0]
    assert series.delivered == [0, 0, 1, 0]
    assert series.backlog == [4, 13, 9, 9]
    assert series.on_hand == [10, 6, 6, 6]
    assert series.value == [3000, 1800, 1800, 1800]
    assert series.backordered == [0, 3, 3, 3]
    assert series.due == [0, 0, 2, 0]
    assert series.on_time == [0, 0, 1, 0]
