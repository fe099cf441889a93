"""Orders that are worse off with a fault than without it, and decisions that broke a rule."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.unit.measure_tales import DAY, HOUR, Tale, sent
from twin.core import commands as cm
from twin.core import events as ev
from twin.core.effects import AskOrderFacts, Delivery, PurchaseLine
from twin.core.master import DeliveryPolicy, Policies
from twin.core.refusals import Refusal
from twin.measures import compare, harmed
from twin.measures.pairs import HarmedOrder

END = 10 * DAY


def sold(tale: Tale, order: str, delivered: int, units: int = 5, freight: int = 100) -> None:
    """An order of five bolts at 500, of which so many reach the customer at `delivered`."""
    tale.order(order, 0, END)
    tale.ship(order, HOUR, (1, units), freight=freight)
    tale.deliver(order, delivered)


def test_orders_are_harmed_that_are_later_fewer_or_dearer() -> None:
    base, hurt = Tale(), Tale()
    for order in ("same", "late", "short", "dear", "never", "soon"):
        sold(base, order, 2 * DAY)
    sold(hurt, "same", 2 * DAY)
    sold(hurt, "late", 3 * DAY, freight=130)
    sold(hurt, "short", 2 * DAY, units=2, freight=300)
    sold(hurt, "dear", 2 * DAY, freight=150)
    sold(hurt, "soon", DAY, freight=90)
    both = base.facts(END, trace=True), hurt.facts(END, trace=True)
    assert harmed(*both) == {
        "late": HarmedOrder(2500, late_ms=DAY, dearer_minor=30),
        "short": HarmedOrder(2500, late_ms=8 * DAY, fewer_units=3, fewer_minor=1500),
        "dear": HarmedOrder(2500, dearer_minor=50),
        "never": HarmedOrder(2500, fewer_units=5, fewer_minor=2500),
    }
    measured = compare(*both)
    assert measured["harmed_orders"].value == 4
    assert measured["harmed_orders"].note == "of 6"
    assert [measured[f"harmed_orders/{how}"].value for how in ("later", "fewer", "dearer")] == [2, 2, 2]
    assert measured["harmed_value"].value == 4 * 2500
    assert measured["harmed_value/fewer"].value == 1500 + 2500
    assert measured["harmed_value/dearer"].value == 80
    assert measured["harmed_delay"].value == Fraction(9 * DAY, 2)
    assert measured["harmed_delay/max"].value == 8 * DAY


def test_a_run_is_not_harmed_against_itself() -> None:
    tale = Tale()
    sold(tale, "whole", 2 * DAY)
    sold(tale, "short", 2 * DAY, units=2)
    tale.order("open", 0, END)
    facts = tale.facts(END, trace=True)
    assert harmed(facts, facts) == {}
    assert compare(facts, facts)["harmed_orders"].value == 0
    with pytest.raises(ValueError, match="trace=True"):
        harmed(facts, tale.facts(END))


def test_a_promise_later_than_asked_for_breaks_a_rule() -> None:  # OB-08
    tale = Tale()
    tale.order("kept", 0, 2 * DAY, promise=2 * DAY)
    tale.order("late", 0, 2 * DAY, promise=2 * DAY + 1)
    measured = tale.measures(END)
    assert measured["policy_breaches"].value == measured["policy_breaches/rule=promise_after_request"].value == 1


def release(tale: Tale, order: str, now: int) -> None:
    tale.at(now, ev.ReleaseDecided(order, ()))


def test_a_release_of_a_held_order_or_after_its_promise_breaks_a_rule() -> None:  # OB-08
    tale = Tale()
    for order in ("held", "freed", "late"):
        tale.order(order, 0, 2 * DAY, promise=2 * DAY)
    tale.at(HOUR, ev.OrderHeld("held", "credit"), ev.OrderHeld("freed", "credit"))
    tale.at(2 * HOUR, ev.OrderHoldReleased("freed"))
    release(tale, "held", 3 * HOUR)
    release(tale, "freed", 3 * HOUR)
    release(tale, "late", 3 * DAY)
    measured = tale.measures(END)
    assert measured["policy_breaches/rule=release_while_held"].value == 1
    assert measured["policy_breaches/rule=release_after_promise"].value == 1


def test_retries_past_the_deadline_or_beyond_the_limit_break_a_rule() -> None:  # OB-08, RC-01, RC-02
    tale = Tale()
    policies = Policies(delivery=(DeliveryPolicy("erp", retries=2),))
    tale.at(0, ev.PoliciesDefined(policies), command=cm.DefinePolicies("p", "s", 0, policies))

    def send(now: int, attempt: int, key: str, deadline: int, command: cm.Command | None = None) -> None:
        tale.at(
            now,
            command=command,
            deliveries=(Delivery(key, "erp", AskOrderFacts(key, "o", 1, 1), "o", "", attempt, deadline),),
        )

    send(1, 1, "a", HOUR)
    send(2, 2, "a", HOUR)
    send(HOUR, 3, "a", HOUR)
    send(1, 1, "b", DAY)
    send(2, 3, "b", DAY)
    send(3, 4, "b", DAY)
    send(4, 5, "b", DAY, cm.RedriveDelivery("r", "desk", 4, "b", "ann"))
    measured = tale.measures(END)
    assert measured["policy_breaches/rule=retry_after_deadline"].value == 1
    assert measured["policy_breaches/rule=retry_beyond_limit"].value == 1
    assert measured["policy_breaches"].value == 2


def test_older_news_that_overwrites_newer_is_counted() -> None:  # RC-08
    tale = Tale(counted=True)
    tale.load(0, 10)
    tale.at(HOUR, ev.StockCounted("north", 5, (("bolt", 9, -1),)))
    tale.at(2 * HOUR, ev.StockCounted("north", 6, (("bolt", 9, 0),)))
    assert tale.value("stale_overwrites", END) == 0
    tale.at(3 * HOUR, ev.StockCounted("north", 5, (("bolt", 9, 0),)))
    assert tale.value("stale_overwrites", END) == 1
    tale.at(4 * HOUR, deliveries=(sent("m", "o", "erp"),))
    tale.at(5 * HOUR, ev.DeliveryFailed("m", 1, "unknown", "no answer in time", 6 * HOUR))
    tale.at(6 * HOUR, ev.DeliveryRetried("m", 2), deliveries=(sent("m", "o", "erp", attempt=2),))
    assert tale.value("stale_overwrites", END) == 1
    # The answer to the first attempt, taken for one to the second.
    late = cm.AcknowledgeDelivery("a", "erp", 6 * HOUR, "m", "failed", attempt=1)
    tale.at(7 * HOUR, ev.DeliveryFailed("m", 2, "failed", "", 8 * HOUR), command=late)
    assert tale.value("stale_overwrites", END) == 2
    # A timeout answers no attempt, whatever came before it.
    tale.at(8 * HOUR, ev.DeliveryRetried("m", 3), deliveries=(sent("m", "o", "erp", attempt=3),))
    tale.at(9 * HOUR, ev.DeliveryFailed("m", 3, "unknown", "no answer in time", 10 * HOUR))
    assert tale.value("stale_overwrites", END) == 2


def test_an_older_date_of_a_supplier_that_overwrites_a_newer_one_is_counted() -> None:  # RC-08
    tale = Tale()
    lines = (PurchaseLine("bolt", 4),)
    tale.at(HOUR, ev.PurchaseOrderCreated("po", "mill", "north", DAY, lines, (), 0, 0))
    for revision in (0, 1, 1, 2):
        tale.at(2 * HOUR, ev.PurchaseOrderAcknowledged("po", DAY, revision))
    assert tale.value("stale_overwrites", END) == 0
    tale.at(3 * HOUR, ev.PurchaseOrderAcknowledged("po", DAY, 1))
    assert tale.value("stale_overwrites", END) == 1


def test_a_late_answer_to_what_is_settled_leads_to_it() -> None:  # OB-01
    tale = Tale()
    tale.order("o", 0, END)
    tale.at(HOUR, deliveries=(sent("m", "o", "erp"),))

    def answer(now: int, key: str, id: str, *events: ev.Event) -> None:
        told = cm.AcknowledgeDelivery(id, "erp", now, key, "succeeded", causation=key)
        tale.at(now, *events, command=told, refusal=None if events else Refusal("unknown_delivery", ""))

    answer(2 * HOUR, "m", "a1", ev.DeliverySucceeded("m"))
    answer(3 * HOUR, "m", "a2")
    assert tale.value("correlation_completeness", END) == tale.value("trace_completeness", END) == 1
    answer(4 * HOUR, "nobody", "a3")
    # Two messages out, three answers in.
    assert tale.value("correlation_completeness", END) == Fraction(4, 5)
