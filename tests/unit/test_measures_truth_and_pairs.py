"""Measures that need the truth, and those of a pair of runs, of tales whose answers are known."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.unit.measure_tales import DAY, HOUR, Tale
from twin.core import commands as cm
from twin.core import events as ev
from twin.log import TruthRow
from twin.measures import collateral_delay, compare, compute_facts

END = 10 * DAY


def moved(now: int, quantity: int, kind: str = "shipped", node: str = "north", sku: str = "bolt") -> TruthRow:
    return TruthRow(0, now, f"stock.{kind}", "", node, sku, quantity, "")


def test_a_record_is_right_where_it_says_what_is_there() -> None:
    tale = Tale()
    tale.load(0, 10)
    tale.load(0, 10, sku="nut")
    truth = [moved(0, 10, "opening"), moved(0, 10, "opening", sku="nut"), moved(4 * DAY, -1, "shrunk")]
    measured = tale.against(truth, END)
    assert measured["inventory_record_accuracy"].value == Fraction(1, 2)
    # 1 of 9 bolts at 300, none of 10 nuts at 400.
    assert measured["inventory_record_accuracy/value"].value == Fraction(6700 - 300, 6700)
    assert measured["divergence_age"].value == 6 * DAY
    assert measured["divergence_age/max"].value == 6 * DAY
    assert measured["divergence_time_share"].value == Fraction(6, 20)


def test_a_difference_that_was_put_right_has_no_age() -> None:
    tale = Tale()
    tale.load(0, 10)
    truth = [moved(0, 10, "opening"), moved(2 * DAY, -3, "shrunk"), moved(5 * DAY, -1, "shrunk")]
    tale.at(4 * DAY, ev.StockAdjusted("north", "bolt", -3, "count"))
    tale.at(5 * DAY, ev.StockAdjusted("north", "bolt", -1, "count"))
    measured = tale.against(truth, END)
    assert measured["inventory_record_accuracy"].value == 1
    assert measured["divergence_age"].value is None
    # Only from day 2 to day 4: what happens and is told at one instant is no difference.
    assert measured["divergence_time_share"].value == Fraction(2, 10)


def test_a_difference_keeps_its_age_while_it_changes() -> None:
    tale = Tale()
    tale.load(0, 10)
    tale.at(8 * DAY, ev.StockAdjusted("north", "bolt", -1, "guess"))
    truth = [moved(0, 10, "opening"), moved(2 * DAY, -3, "shrunk"), moved(5 * DAY, -1, "shrunk")]
    assert tale.against(truth, END)["divergence_age"].value == 8 * DAY


def test_a_shelf_that_the_engine_does_not_know_of_is_a_wrong_record() -> None:
    tale = Tale()
    tale.load(0, 10)
    truth = [moved(0, 10, "opening"), moved(0, 5, "opening", node="south")]
    measured = tale.against(truth, END)
    assert measured["inventory_record_accuracy"].value == Fraction(1, 2)
    assert measured["divergence_age/max"].value == END


def test_rows_that_move_no_stock_are_not_stock() -> None:
    tale = Tale()
    tale.load(0, 10)
    truth = [moved(0, 10, "opening"), moved(DAY, 10, "closing"), moved(DAY, 7, "adjustment_capped")]
    assert tale.against(truth, END)["inventory_record_accuracy"].value == 1


def test_what_was_told_to_be_available_is_compared_with_what_was() -> None:
    tale = Tale()
    tale.load(0, 10)
    tale.order("o", HOUR, END, ("bolt", 4))
    captured = tale.entries[-2]
    plan = captured.events[1]
    assert isinstance(plan, ev.SourcingDecided)
    seen = ev.SourcingDecided("o", plan.legs, (ev.Considered(1, "north", 10), ev.Considered(1, "south", 0)))
    events = (captured.events[0], seen, *captured.events[2:])
    tale.entries[-2] = type(captured)(captured.position, captured.now, captured.command, events)
    truth = [moved(0, 10, "opening"), moved(1, -2, "shrunk")]
    # 10 told and 8 there at north, nothing told and nothing there at south.
    assert tale.against(truth, END)["atp_accuracy"].value == Fraction(6, 8)


def test_units_reserved_from_stock_that_is_not_there_are_oversold() -> None:
    tale = Tale()
    tale.load(0, 10)
    tale.order("o1", HOUR, END, ("bolt", 6))
    tale.order("o2", HOUR, END, ("bolt", 4))
    truth = [moved(0, 10, "opening"), moved(1, -3, "shrunk")]
    # 7 are there: the first order's 6 exist, of the second's 4 only 1 does.
    assert tale.against(truth, END)["oversell_rate"].value == Fraction(3, 10)


def test_facts_without_a_trace_are_not_compared_with_the_truth() -> None:
    with pytest.raises(ValueError, match="trace=True"):
        compute_facts(Tale().facts(END), [])


def test_the_lost_margin_is_a_paired_difference() -> None:
    base, hurt = Tale(), Tale()
    base.whole("o1", 0, DAY, HOUR)
    base.whole("o2", 0, DAY, HOUR)
    hurt.whole("o1", 0, DAY, HOUR)
    hurt.order("o2", 0, DAY)
    margin = 5 * (500 - 300) - 40
    assert compare(base.facts(END, trace=True), hurt.facts(END, trace=True))["lost_margin"].value == margin


def test_resilience_is_the_mean_of_daily_quality_against_the_run_without_the_fault() -> None:
    base, hurt = Tale(), Tale()
    for day in range(4):
        for number in range(2):
            name, due = f"o{day}-{number}", (day + 1) * DAY
            base.whole(name, day * DAY, due, due)
            # On the third day one of two orders is late, and both orders of the last never leave.
            if day < 3:
                hurt.whole(name, day * DAY, due, due + (day == 2 and number == 1))
            else:
                hurt.order(name, day * DAY, due)
    both = base.facts(END, trace=True), hurt.facts(END, trace=True)
    assert compare(*both)["normalized_resilience"].value == Fraction(1 + 1, 4) + Fraction(1, 8)


def test_collateral_delay_looks_at_orders_that_did_not_need_what_failed() -> None:
    base, hurt = Tale(), Tale()
    for tale, slow in ((base, 1), (hurt, 3)):
        tale.order("south", 0, END, node="south")
        tale.ship("south", HOUR, (1, 5), node="south")
        tale.deliver("south", DAY * slow)
        tale.order("north", 0, END)
        if tale is base:
            tale.ship("north", 3 * DAY, (1, 5))
            tale.deliver("north", 4 * DAY)
    both = base.facts(END, trace=True), hurt.facts(END, trace=True)
    assert collateral_delay(*both, "north").value == 3
    # The order from the north never came: it is as old as the run.
    assert collateral_delay(*both, "south").value == Fraction(10, 4)
    assert compare(*both)["collateral_delay_ratio"].value == Fraction(13, 5)
    with pytest.raises(ValueError, match="trace=True"):
        collateral_delay(base.facts(END), both[1], "north")


def refused(tale: Tale, order: str, now: int, units: int, taken: int, told: int) -> None:
    """An order of `units` bolts of which `taken` come from stock; the rest is refused, `told` were available."""
    goods = (cm.OrderLine(1, "bolt", units, 500),)
    legs = [ev.Leg(1, "stock", "north", taken, "nearest")] if taken else []
    legs.append(ev.Leg(1, "reject", "", units - taken, "short"))
    tale.at(
        now,
        ev.OrderCaptured(order, "web", "c", "uk", "B", now + DAY, goods),
        ev.SourcingDecided(order, tuple(legs), (ev.Considered(1, "north", told),)),
        *([ev.ReservationDecided(order, (ev.Reservation(1, "north", "bolt", taken),))] if taken else []),
    )


def test_units_refused_though_they_were_there_are_undersold() -> None:
    tale = Tale()
    tale.load(0, 10)
    # Two are withheld from the channel and eight taken: of four refused, two were there.
    refused(tale, "o1", HOUR, 12, 8, 8)
    # Then two are left by belief, and one more on the shelf that nobody knows of: of three refused, three were there.
    refused(tale, "o2", 2 * HOUR, 3, 0, 0)
    truth = [moved(0, 10, "opening"), moved(90 * 60_000, 1, "adjusted")]
    measured = tale.against(truth, END)
    assert measured["undersell_rate"].value == Fraction(2 + 3, 15)


def test_units_refused_for_an_empty_shelf_are_not_undersold() -> None:
    tale = Tale()
    tale.load(0, 5)
    refused(tale, "o1", HOUR, 7, 5, 5)
    # The belief says two are left of a later receipt, the shelf was robbed of them.
    truth = [moved(0, 5, "opening"), moved(1, -2, "shrunk")]
    assert tale.against(truth, END)["undersell_rate"].value == 0
