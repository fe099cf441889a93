"""Taking units back: cancelling in every state, credits before, while and after billing, and for orders long gone."""

from __future__ import annotations

import pytest

from tests.unit.core.given import DAY, HOUR, Business, delivery_policies, rule
from twin.core.commands import OrderFacts
from twin.core.effects import AskOrderFacts, PostCredit
from twin.core.events import CreditIssued, CreditRejected, OrderCancelled, OrderClosed


def test_a_cancelled_backorder_leaves_the_queue_and_its_purchase() -> None:
    business = Business({}, [rule("north", "a", "to_order")])
    business.accept(business.capture([("a", 3)]))
    assert business.cell().waiting[0].pegged == 3
    business.accept(business.cancel())
    assert business.units() == {"cancelled": 3}
    assert business.cell().waiting == []
    assert next(iter(business.state.purchase_orders.values())).pegs[0].quantity == 0


def test_cancelled_reservations_give_their_stock_back() -> None:
    business = Business({"north": {"a": 5}})
    business.accept(business.capture([("a", 3)], hold=True))
    business.accept(business.cancel(by="company"))
    assert business.units() == {"cancelled": 3}
    assert (business.cell().free, business.cell().soft) == (5, 0)


def test_stock_given_back_serves_who_waits() -> None:
    business = Business({"north": {"a": 3}})
    business.accept(business.capture([("a", 3)], hold=True))
    business.accept(business.capture([("a", 3)], order="o2"))
    business.accept(business.cancel())
    assert business.units("o2") == {"released": 3}


def test_open_units_of_a_held_order_can_be_cancelled() -> None:
    business = Business({"north": {"a": 3}}, reservation_expiry_ms=HOUR)
    business.accept(business.capture([("a", 3)], hold=True))
    business.wait(2 * HOUR)
    business.accept(business.cancel())
    assert business.units() == {"cancelled": 3}


def test_only_what_is_not_released_is_cancelled() -> None:
    business = Business({"north": {"a": 2}})
    business.accept(business.capture([("a", 5)]))
    business.accept(business.cancel())
    assert business.units() == {"released": 2, "cancelled": 3}


@pytest.mark.parametrize("so_far", ["released", "picked", "shipped", "delivered", "cancelled"])
def test_it_is_too_late_once_everything_is_released_or_done(so_far: str) -> None:
    business = Business({"north": {"a": 2}})
    business.accept(business.capture([("a", 2)], hold=so_far == "cancelled"))
    if so_far == "picked":
        business.accept(business.pick())
    if so_far in ("shipped", "delivered"):
        business.accept(business.ship())
    if so_far == "delivered":
        business.accept(business.milestone())
    if so_far == "cancelled":
        business.accept(business.cancel())
    assert business.units() == {so_far: 2}
    assert business.refused(business.cancel()) == "too_late"


def test_a_line_named_twice_is_cancelled_once() -> None:
    business = Business()
    business.load("north", {"a": 0})
    business.accept(business.capture([("a", 2), ("a", 2)]))
    business.accept(business.cancel(1, 1))
    assert business.units(line=1) == {"cancelled": 2}
    assert business.units(line=2) == {"backordered": 2}


def test_a_cancellation_names_who_why_and_which_lines_or_is_refused() -> None:
    business = Business({"north": {"a": 0}})
    business.accept(business.capture([("a", 2)]))
    assert business.refused(business.cancel(order="nothing")) == "unknown_order"
    assert business.refused(business.cancel(7)) == "unknown_line"
    assert business.refused(business.cancel(by="nobody")) == "by"


def test_orders_are_closed_in_steps_of_the_policy_s_batch() -> None:
    business = Business({"north": {"a": 5}}, close_batch=2)
    for number in range(5):
        business.accept(business.capture(order=f"o{number}", hold=True))
        business.accept(business.cancel(order=f"o{number}"))
    business.wait(DAY)
    steps = [entry.events for entry in business.journal.read(0) if entry.now == DAY]
    closings = [OrderClosed(f"o{number}") for number in range(5)]
    assert steps == [tuple(closings[:2]), tuple(closings[2:4]), tuple(closings[4:])]


def test_an_order_cancelled_whole_is_closed_at_the_next_midnight() -> None:
    business = Business({"north": {"a": 0}})
    business.wait(5)
    business.accept(business.capture([("a", 2)]))
    business.accept(business.cancel())
    business.wait(DAY - 6)
    assert business.status() == "cancelled"
    business.wait(1)
    assert business.state.orders == {}


# --- credits


def shipped(units: int = 5, acknowledge: bool = False) -> Business:
    business = Business({"north": {"a": units}}, delivery=delivery_policies(acknowledge=acknowledge))
    business.accept(business.capture([("a", units)]))
    business.accept(business.ship())
    return business


def test_a_credit_before_release_cancels_and_bills_nothing() -> None:
    business = Business({"north": {"a": 0}})
    business.accept(business.capture([("a", 4)]))
    business.accept(business.credit(3))
    assert business.units() == {"backordered": 1, "cancelled": 3}
    assert business.events(OrderCancelled)[0].reason == "c1"
    assert business.asked(PostCredit) == []


def test_a_credit_between_release_and_billing_waits_and_is_issued_with_the_bill() -> None:
    business = Business({"north": {"a": 4}})
    business.accept(business.capture([("a", 4)]))
    business.accept(business.credit(3))
    assert business.asked(PostCredit) == []
    business.accept(business.ship())
    assert [(note.quantity, note.amount_minor) for note in business.asked(PostCredit)] == [(3, 1500)]
    assert business.order().lines[1].credited == 3


def test_a_credit_takes_back_what_waits_before_it_touches_what_is_on_its_way() -> None:
    business = Business({"north": {"a": 2}})
    business.accept(business.capture([("a", 5)]))
    business.accept(business.credit(4))
    assert business.units() == {"cancelled": 3, "released": 2}
    business.accept(business.ship())
    assert [note.quantity for note in business.asked(PostCredit)] == [1]


def test_billed_units_are_credited_at_once_at_the_order_s_price() -> None:
    business = shipped()
    business.accept(business.credit(2))
    note = business.asked(PostCredit)[0]
    assert (note.credit, note.order, note.line, note.quantity, note.amount_minor) == ("c1", "o1", 1, 2, 1000)


def test_no_more_is_credited_than_was_ordered_less_what_is_gone() -> None:  # FI-02
    business = shipped()
    business.accept(business.credit(3))
    assert business.refused(business.credit(3, credit="c2")) == "over_credit"
    business.accept(business.credit(2, credit="c2"))
    assert business.refused(business.credit(1, credit="c3")) == "over_credit"
    assert business.order().lines[1].credited == 5


def test_a_credit_that_waits_counts_against_the_next() -> None:
    business = Business({"north": {"a": 4}})
    business.accept(business.capture([("a", 4)]))
    business.accept(business.credit(3))
    assert business.refused(business.credit(2, credit="c2")) == "over_credit"


def test_the_same_credit_in_another_message_is_refused() -> None:  # RC-06
    business = shipped(acknowledge=True)
    business.accept(business.credit(1))
    assert business.refused(business.credit(1)) == "credit_exists"
    business.accept(business.acknowledge("c1"))
    assert business.refused(business.credit(1)) == "credit_exists"


def test_the_same_credit_does_not_cancel_twice() -> None:  # RC-06
    business = Business({"north": {"a": 0}})
    business.accept(business.capture([("a", 4)]))
    business.accept(business.credit(1))
    assert business.refused(business.credit(1)) == "credit_exists"
    assert business.units() == {"backordered": 3, "cancelled": 1}


def test_a_credit_that_waits_longer_than_the_retention_is_still_known() -> None:
    business = Business({"north": {"a": 4}}, retention_ms=HOUR)
    business.accept(business.capture([("a", 4)]))
    business.accept(business.credit(1))
    business.wait(3 * HOUR)
    assert business.refused(business.credit(1)) == "credit_exists"


def test_the_same_credit_is_refused_while_it_waits_for_its_bill() -> None:
    business = Business({"north": {"a": 4}})
    business.accept(business.capture([("a", 4)]))
    business.accept(business.credit(1))
    assert business.refused(business.credit(1)) == "credit_exists"


def test_a_waiting_credit_shrinks_to_what_is_billed_once_the_rest_is_cancelled() -> None:
    business = Business({"north": {"a": 5}})
    business.accept(business.capture([("a", 5)]))
    business.accept(business.credit(5))
    business.accept(business.adjust(-9, sequence=1))
    business.accept(business.ship(lines=[(1, 3)]))
    assert business.units() == {"backordered": 2, "shipped": 3}
    assert business.asked(PostCredit) == []
    business.accept(business.cancel())
    assert [note.quantity for note in business.asked(PostCredit)] == [3]
    assert [(issued.quantity, issued.remainder) for issued in business.events(CreditIssued)] == [(3, 2)]
    business.accept(business.milestone())
    business.wait(2 * DAY)
    assert business.state.orders == {}


def test_a_waiting_credit_is_rejected_where_nothing_of_it_is_ever_billed() -> None:
    business = Business({"north": {"a": 2}})
    business.accept(business.capture([("a", 2)], channel="market"))
    business.accept(business.credit(2))
    business.accept(business.adjust(-9))
    business.accept(business.ship(lines=[]))
    assert business.units() == {"rejected": 2}
    assert [rejected.credit for rejected in business.events(CreditRejected)] == ["c1"]
    business.wait(2 * DAY)
    assert business.state.orders == {}


def test_a_waiting_credit_gets_what_the_last_parcel_bills() -> None:
    business = Business({"north": {"a": 3}})
    business.accept(business.capture([("a", 3)]))
    business.accept(business.credit(3))
    business.accept(business.hold())
    business.accept(business.ship(lines=[(1, 2)]))
    business.accept(business.cancel())
    assert [note.quantity for note in business.asked(PostCredit)] == [2]


def test_a_credit_of_nothing_or_of_an_unknown_line_is_refused() -> None:
    business = shipped()
    assert business.refused(business.credit(0)) == "quantity"
    assert business.refused(business.credit(1, line=9)) == "unknown_line"


def closed() -> Business:
    business = shipped()
    business.accept(business.milestone())
    business.wait(2 * DAY)
    assert business.state.orders == {}
    return business


def test_a_credit_for_a_closed_order_asks_the_erp_for_the_facts() -> None:  # IM-01
    business = closed()
    business.accept(business.credit(2))
    assert business.asked(AskOrderFacts) == [AskOrderFacts("c1", "o1", 1, 2)]
    assert business.refused(business.credit(2)) == "credit_exists"


@pytest.mark.parametrize(("billed", "credited", "issued"), [(5, 3, 1), (5, 4, 0), (0, 0, 0)])
def test_the_erp_s_facts_decide_a_credit_for_a_closed_order(billed: int, credited: int, issued: int) -> None:
    business = closed()
    business.accept(business.credit(2))
    business.accept(business.credit(2, facts=OrderFacts(billed, credited, 450)))
    assert [note.amount_minor for note in business.asked(PostCredit)] == [900] * issued
    assert len(business.events(CreditIssued)) == issued
    assert len(business.events(CreditRejected)) == 1 - issued
    assert business.state.referred == {}


def test_facts_that_nobody_asked_for_are_refused() -> None:
    business = closed()
    assert business.refused(business.credit(2, facts=OrderFacts(5, 0, 450))) == "not_referred"


def test_the_facts_answer_the_question_even_once_it_is_a_dead_letter() -> None:
    business = closed()
    business.set_policies(delivery=delivery_policies(acknowledge=True, retries=0, timeout_ms=5))
    business.accept(business.credit(2))
    business.wait(5)
    assert list(business.state.dead_letters) == ["c1/facts"]
    business.accept(business.credit(2, facts=OrderFacts(5, 0, 450)))
    assert business.state.dead_letters == {}
    assert list(business.state.deliveries) == ["c1"]


def test_facts_for_an_order_that_came_after_the_question_reject_the_credit() -> None:
    business = Business({"north": {"a": 5}})
    business.accept(business.credit(1))
    business.accept(business.capture([("a", 1)]))
    business.accept(business.credit(1, facts=OrderFacts(1, 0, 500)))
    assert len(business.events(CreditRejected)) == 1
    assert business.state.referred == {}
    assert business.order().lines[1].credited == 0
