"""Inventory that is held outside the engine: claims, what comes back, and reconciliations (PL-05)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.core.given import DAY, HOUR, MINUTE, Business, delivery_policies
from twin.core import commands as c
from twin.core.commands import DefinePolicies, ReservedUnits
from twin.core.effects import AskRelease, AskReservations, HeldLine, ReleaseToWarehouse, ReleaseUnits, ReserveUnits
from twin.core.events import (
    DeliveryLapsed,
    ReleaseDecided,
    ReservationConfirmed,
    ReservationGivenUp,
    ReservationRefused,
    SourcingDecided,
)
from twin.core.master import DeliveryPolicy, Policies
from twin.measures import Facts

CLAIM = "o1/reserve/1"
PAUSE = 10 * MINUTE
QUICK = DeliveryPolicy(
    "inventory", timeout_ms=30_000, deadline_ms=5 * MINUTE, retries=1, backoff_ms=5_000, jitter="none"
)


def outside(stock: dict[str, dict[str, int]], **more: Any) -> Business:
    """A business whose inventory a service holds; nothing is waited for at others. Reconciled every six hours."""
    settings = {
        "holder": "inventory",
        "holder_pause_ms": PAUSE,
        "reconcile_ms": 6 * HOUR,
        "delivery": (*delivery_policies(), QUICK),
    }
    return Business(stock, **{**settings, **more})


def answer(
    business: Business, outcome: str = "reserved", claim: str = CLAIM, *available: tuple[str, str, int]
) -> c.AnswerReservation:
    """The holder's answer to a claim."""
    order = claim.partition("/")[0]
    return c.AnswerReservation(business.name(), "inventory", business.at, claim, order, outcome, available)


def report(
    business: Business, *rows: ReservedUnits, others: tuple[tuple[str, str, int], ...] = ()
) -> c.ReportReservations:
    """All that is reserved there, in answer to the last question."""
    request = business.state.asking
    return c.ReportReservations(business.name(), "inventory", business.at, request, rows, others)


def row(claim: str = CLAIM, units: int = 3, line: int = 1, node: str = "north", since: int = 0) -> ReservedUnits:
    return ReservedUnits(claim, claim.partition("/")[0], line, "a", node, units, since)


def try_again(business: Business) -> None:
    """Let time pass until the order whose claim came to nothing last is sourced anew: a pause to two."""
    later = business.events(ReservationRefused)[-1].retry_at - business.at
    assert PAUSE <= later < 2 * PAUSE
    business.wait(later)


def test_what_is_reserved_is_asked_for_and_goes_only_once_it_is_confirmed() -> None:  # PL-05
    business = outside({"north": {"a": 5}})
    business.accept(business.capture([("a", 3)]))
    assert business.asked(ReserveUnits) == [ReserveUnits(CLAIM, "o1", (HeldLine(1, "a", "north", 3),))]
    assert (business.units(), business.cell().soft, business.cell().free) == ({"reserved": 3}, 3, 2)
    assert business.asked(ReleaseToWarehouse) == []
    business.accept(answer(business))
    assert business.units() == {"released": 3}
    assert len(business.asked(ReleaseToWarehouse)) == 1
    business.accept(business.ship())
    assert business.state.claims == {}
    assert business.asked(ReleaseUnits) == []


def test_the_engine_that_holds_the_inventory_asks_nobody() -> None:  # PL-05
    business = Business({"north": {"a": 5}})
    business.accept(business.capture([("a", 3)]))
    assert business.units() == {"released": 3}
    assert business.asked(ReserveUnits) == []
    assert "reconcile/" not in business.state.timers.due


def test_lines_of_several_places_are_one_claim_and_an_order_that_ships_complete_waits_for_all() -> None:  # PL-05
    business = outside({"north": {"a": 2}, "south": {"b": 2}})
    business.accept(business.capture([("a", 2), ("b", 1)], channel="whole"))
    (asked,) = business.asked(ReserveUnits)
    assert [(line.line, line.node) for line in asked.lines] == [(1, "north"), (2, "south")]
    business.accept(answer(business))
    assert {plan.node for event in business.events(ReleaseDecided) for plan in event.fulfillment_orders} == {
        "north",
        "south",
    }


def test_a_part_that_is_confirmed_of_an_order_that_ships_complete_stays() -> None:  # PL-05
    business = outside({"north": {"a": 2, "b": 0}})
    business.accept(business.capture([("a", 2), ("b", 1)], channel="whole"))
    business.accept(answer(business))
    assert business.units() == {"reserved": 2}
    business.load("north", {"b": 1})
    assert business.asked(ReserveUnits)[-1].claim == "o1/reserve/2"
    # The first claim is held, the second is only asked for.
    assert business.events(ReleaseDecided) == []
    business.accept(answer(business, "reserved", "o1/reserve/2"))
    assert business.units() == {"released": 2}


def test_who_comes_too_late_is_refused_and_the_order_is_sourced_elsewhere() -> None:  # PL-05
    business = outside({"north": {"a": 5}, "south": {"a": 5}})
    business.accept(business.capture([("a", 3)]))
    business.accept(answer(business, "refused", CLAIM, ("north", "a", 1)))
    (refused,) = business.events(ReservationRefused)
    assert (refused.reason, refused.withheld) == ("short", (("north", "a", 4),))
    assert (business.cell().free, business.cell().elsewhere, business.cell().on_hand) == (1, 4, 5)
    assert business.asked(ReserveUnits)[-1].claim == "o1/reserve/2"
    legs = [(leg.node, leg.quantity) for leg in business.events(SourcingDecided)[-1].legs]
    assert legs == [("south", 3)]
    assert business.asked(ReleaseUnits) == []


def test_where_nothing_is_left_it_waits_for_supply_and_is_served_when_others_give_back() -> None:  # PL-05
    business = outside({"north": {"a": 3}})
    business.accept(business.capture([("a", 3)]))
    business.accept(answer(business, "refused", CLAIM, ("north", "a", 0)))
    assert business.units() == {"backordered": 3}
    business.wait(6 * HOUR)
    assert [sent.request for sent in business.asked(AskReservations)] == ["RECONCILE/1"]
    business.accept(report(business, others=(("north", "a", 1),)))
    assert (business.cell().elsewhere, business.units()) == (1, {"backordered": 1, "reserved": 2})
    assert business.asked(ReserveUnits)[-1].lines == (HeldLine(1, "a", "north", 2),)


def books(business: Business) -> tuple[int, int, int]:
    """Free, kept for others and on hand at the north, as the engine and as the measures have them."""
    cell = business.cell()
    facts = Facts.collect(iter(business.journal.read(0)), 0, business.at, 0, None)
    told = facts.cells["north"]["a"]
    assert (told.free, facts.elsewhere.get(("north", "a"), 0), told.on_hand) == (
        cell.free,
        cell.elsewhere,
        cell.on_hand,
    )
    return cell.free, cell.elsewhere, cell.on_hand


def sold_out(**more: Any) -> Business:
    """All forty were sold past the engine, which heard it by a refusal, before the warehouse's own word."""
    business = outside({"north": {"a": 40}}, reconcile_ms=0, **more)
    business.accept(business.capture([("a", 3)]))
    business.accept(answer(business, "refused", CLAIM, ("north", "a", 0)))
    assert books(business) == (0, 40, 40)
    return business


def test_the_warehouse_s_word_of_a_sale_that_a_refusal_told_takes_nothing_twice() -> None:  # PL-05
    business = sold_out()
    business.accept(business.adjust(-38))
    assert books(business) == (0, 2, 2)
    business.accept(business.adjust(-5))
    # Two of the five were known to be kept; of the other three nobody had heard.
    assert books(business) == (-3, 0, -3)
    business.load("north", {"a": 43})
    assert (business.units(), business.cell().free) == ({"reserved": 3}, 37)


def test_units_that_are_found_are_free_whatever_is_kept_for_others() -> None:  # PL-05
    business = outside({"north": {"a": 40}}, reconcile_ms=0)
    business.accept(business.capture([("a", 3)], hold=True))
    business.accept(answer(business, "refused", CLAIM, ("north", "a", 2)))
    business.accept(business.adjust(2))
    assert books(business) == (4, 38, 42)


def test_a_count_that_finds_what_a_refusal_told_takes_nothing_twice() -> None:  # PL-05
    business = sold_out(counted=True)
    business.accept(business.count(("a", 1), sequence=7))
    assert books(business) == (0, 1, 1)
    # The sales behind it come late, and the count had them.
    business.accept(business.adjust(-39, sequence=7))
    assert books(business) == (0, 1, 1)
    business.accept(business.adjust(-1, sequence=8))
    assert books(business) == (0, 0, 0)
    business.accept(business.count(("a", 40), sequence=9))
    assert business.units() == {"reserved": 3}


def test_a_refusal_that_names_no_shortage_is_not_answered_at_once() -> None:  # PL-05
    business = outside({"north": {"a": 5}})
    business.accept(business.capture([("a", 3)]))
    business.accept(answer(business, "refused", CLAIM, ("north", "a", 9)))
    assert len(business.asked(ReserveUnits)) == 1
    try_again(business)
    assert business.asked(ReserveUnits)[-1].claim == "o1/reserve/2"


def test_a_call_without_an_answer_is_repeated_given_up_and_undone_and_the_order_tries_again() -> None:  # PL-05
    business = outside({"north": {"a": 5}})
    business.accept(business.capture([("a", 3)]))
    business.wait(30_000 + 5_000)
    # The same call, by the same key.
    assert [sent.attempt for sent in business.sent(CLAIM)] == [1, 2]
    business.wait(30_000)
    assert [event.delivery for event in business.events(DeliveryLapsed)] == [CLAIM]
    (refused,) = business.events(ReservationRefused)
    assert refused.reason.startswith("unanswered: ")
    assert business.asked(ReleaseUnits) == [ReleaseUnits(CLAIM, "o1", ())]
    assert business.units() == {"open": 3}
    assert business.refused(answer(business)) == "not_asked"
    try_again(business)
    assert business.asked(ReserveUnits)[-1].claim == "o1/reserve/2"
    assert business.units() == {"reserved": 3}


def test_orders_that_got_no_answer_together_do_not_come_back_together() -> None:  # PL-05
    business = outside({"north": {"a": 99}})
    orders = [f"o{number}" for number in range(1, 21)]
    for order in orders:
        business.accept(business.capture([("a", 1)], order=order))
    asked = len(business.asked(ReserveUnits))
    business.wait(70_000)
    retries = [event.retry_at - PAUSE for event in business.events(ReservationRefused)]
    given_up = 65_000
    assert asked == len(retries) == 20
    assert all(given_up <= at < given_up + PAUSE + 100 for at in retries)
    # Spread over the pause, and not in a bunch.
    assert len({(at - given_up) * 4 // PAUSE for at in retries}) == 4
    business.wait(2 * PAUSE)
    assert {business.order(order).reserves for order in orders} == {2}


def test_a_call_that_surely_was_not_done_is_not_undone() -> None:  # PL-05
    business = outside({"north": {"a": 5}})
    business.accept(business.capture([("a", 3)]))
    business.accept(business.acknowledge(CLAIM, "refused", "422 unprocessable"))
    assert business.asked(ReleaseUnits) == []
    assert [event.reason for event in business.events(ReservationRefused)] == ["unanswered: refused: 422 unprocessable"]


def test_a_claim_that_may_be_refused_for_its_own_reservation_is_given_back_and_made_anew() -> None:  # PL-05
    business = outside({"north": {"a": 40}, "south": {"a": 40}}, reconcile_ms=0)
    business.accept(business.capture([("a", 25)]))
    # The first attempt was done and its answer lost; the holder does not know the second again.
    business.wait(40_000)
    assert [sent.attempt for sent in business.sent(CLAIM)] == [1, 2]
    business.accept(answer(business, "refused", CLAIM, ("north", "a", 15)))
    (refused,) = business.events(ReservationRefused)
    assert (refused.reason, refused.withheld, refused.call) == ("short", (), f"{CLAIM}/keep/0")
    assert business.asked(ReleaseUnits) == [ReleaseUnits(CLAIM, "o1", ())]
    assert (business.units(), books(business)) == ({"open": 25}, (40, 0, 40))
    try_again(business)
    assert business.asked(ReserveUnits)[-1].lines == (HeldLine(1, "a", "north", 25),)


def test_a_second_refusal_in_doubt_is_believed_so_that_a_slow_holder_is_heard() -> None:  # PL-05
    business = outside({"north": {"a": 40}, "south": {"a": 40}}, reconcile_ms=0)
    business.accept(business.capture([("a", 25)]))
    for number in (1, 2):
        business.wait(40_000)
        business.accept(answer(business, "refused", f"o1/reserve/{number}", ("north", "a", 15)))
        if number == 1:
            try_again(business)
    assert [event.withheld for event in business.events(ReservationRefused)] == [(), (("north", "a", 25),)]
    # Either may have been done all the same.
    released = dict.fromkeys([release.claim for release in business.asked(ReleaseUnits)])
    assert list(released) == [CLAIM, "o1/reserve/2"]
    lines = business.asked(ReserveUnits)[-1].lines
    assert (business.order().reserves, [(line.node, line.quantity) for line in lines]) == (3, [("south", 25)])
    business.accept(answer(business, "reserved", "o1/reserve/3"))
    assert not business.order().in_doubt


def test_what_is_short_beyond_a_claim_s_own_units_is_kept_for_others() -> None:  # PL-05
    business = outside({"north": {"a": 40}}, reconcile_ms=0)
    business.accept(business.capture([("a", 25)]))
    business.wait(40_000)
    business.accept(answer(business, "refused", CLAIM, ("north", "a", 5)))
    assert business.events(ReservationRefused)[0].withheld == (("north", "a", 10),)
    assert (business.units(), books(business)) == ({"open": 25}, (30, 10, 40))


def test_what_is_cancelled_is_given_back_whether_it_was_confirmed_or_not() -> None:  # PL-05
    business = outside({"north": {"a": 9}})
    business.accept(business.capture([("a", 3), ("a", 2)]))
    business.accept(business.cancel(2))
    assert business.asked(ReleaseUnits) == [ReleaseUnits(CLAIM, "o1", (HeldLine(1, "a", "north", 3),))]
    business.accept(answer(business))
    assert business.units() == {"released": 3}
    held = outside({"north": {"a": 9}})
    held.accept(held.capture([("a", 3)], hold=True))
    held.accept(answer(held))
    held.accept(held.cancel())
    assert held.asked(ReleaseUnits) == [ReleaseUnits(CLAIM, "o1", ())]
    assert held.state.claims == {}


def together(business: Business, *commands: Any) -> None:
    """Commands of one batch: all at one instant, before any timer that they set."""
    for command in commands:
        assert business.driver.handle(command, business.at).refusal is None
    business.driver.wake(business.at)


@pytest.mark.parametrize("first", ["cancellation", "refusal"])
def test_a_cancellation_and_a_refusal_at_one_instant_open_only_what_was_left(first: str) -> None:  # PL-05
    business = outside({"north": {"a": 10}})
    business.accept(business.capture([("a", 3), ("a", 3)], hold=True))
    business.wait(1)
    told = [business.cancel(2), answer(business, "refused", CLAIM, ("north", "a", 10))]
    together(business, *(told if first == "cancellation" else reversed(told)))
    (refused,) = business.events(ReservationRefused)
    opened = {line.line: line.quantity for line in refused.lines}
    assert opened == ({1: 3} if first == "cancellation" else {1: 3, 2: 3})
    assert (business.units(line=1), business.units(line=2)) == ({"open": 3}, {"cancelled": 3})
    # All ten are there, as the answer says: nothing is kept for others.
    assert (business.cell().free, business.cell().soft, business.cell().elsewhere) == (10, 0, 0)
    facts = Facts.collect(iter(business.journal.read(0)), 0, business.at, 0, None)
    assert (facts.cells["north"]["a"].free, facts.elsewhere, facts.holding.claimed) == (10, {}, {})


def test_a_refusal_of_what_is_all_cancelled_at_that_instant_still_tells_what_there_is() -> None:  # PL-05
    business = outside({"north": {"a": 10}})
    business.accept(business.capture([("a", 3)], hold=True))
    business.wait(1)
    together(business, business.cancel(), answer(business, "refused", CLAIM, ("north", "a", 2)))
    (refused,) = business.events(ReservationRefused)
    assert (refused.lines, refused.withheld) == ((), (("north", "a", 8),))
    assert (business.cell().free, business.cell().elsewhere, business.state.claims) == (2, 8, {})
    facts = Facts.collect(iter(business.journal.read(0)), 0, business.at, 0, None)
    assert (facts.cells["north"]["a"].free, facts.holding.claimed) == (2, {})


def test_what_is_cancelled_while_its_call_gets_no_answer_is_counted_once() -> None:  # PL-05
    business = outside({"north": {"a": 10}})
    business.accept(business.capture([("a", 3), ("a", 2)], hold=True))
    business.accept(business.cancel(2))
    business.wait(70_000)
    (refused,) = business.events(ReservationRefused)
    assert {line.line: line.quantity for line in refused.lines} == {1: 3}
    facts = Facts.collect(iter(business.journal.read(0)), 0, business.at, 0, None)
    assert (facts.cells["north"]["a"].free, facts.holding.claimed) == (10, {})


def test_units_that_the_warehouse_does_not_find_are_given_back_and_claimed_anew() -> None:  # PL-05
    business = outside({"north": {"a": 3}, "south": {"a": 3}})
    business.accept(business.capture([("a", 3)]))
    business.accept(answer(business))
    business.accept(business.ship(lines=[(1, 1)]))
    (gone,) = business.events(ReservationGivenUp)
    assert gone.lines == (HeldLine(1, "a", "north", 2),)
    assert business.asked(ReleaseUnits) == [ReleaseUnits(CLAIM, "o1", ())]
    assert business.asked(ReserveUnits)[-1].lines == (HeldLine(1, "a", "south", 2),)


def test_a_reservation_that_expires_is_given_back() -> None:  # PL-05, OL-06
    business = outside({"north": {"a": 3}}, reservation_expiry_ms=2 * HOUR)
    business.accept(business.capture([("a", 3)], hold=True))
    business.accept(answer(business))
    business.wait(2 * HOUR)
    assert business.asked(ReleaseUnits) == [ReleaseUnits(CLAIM, "o1", ())]
    assert business.units() == {"open": 3}


def test_that_a_call_was_taken_is_no_answer_to_it() -> None:  # PL-05
    business = outside({"north": {"a": 3}})
    business.accept(business.capture([("a", 3)]))
    assert business.refused(business.acknowledge(CLAIM)) == "no_answer"
    assert business.units() == {"reserved": 3}
    business.accept(answer(business))
    assert business.units() == {"released": 3}


def test_what_nobody_confirmed_stays_when_what_was_confirmed_goes_from_the_same_place() -> None:  # PL-05
    business = outside({"north": {"a": 3}})
    business.accept(business.capture([("a", 5)]))
    business.load("north", {"a": 2})
    business.accept(answer(business))
    assert business.units() == {"reserved": 2, "released": 3}
    assert [(held.claim, held.quantity) for held in business.order().soft] == [("o1/reserve/2", 2)]
    business.accept(answer(business, "reserved", "o1/reserve/2"))
    assert business.units() == {"released": 5}


def test_what_is_left_of_a_reservation_after_a_credit_stays_under_its_claim() -> None:  # PL-05, OL-11
    business = outside({"north": {"a": 9}})
    business.accept(business.capture([("a", 3)], hold=True))
    business.accept(answer(business))
    business.accept(business.credit(1))
    assert [(held.claim, held.quantity) for held in business.order().soft] == [(CLAIM, 2)]
    assert business.asked(ReleaseUnits) == [ReleaseUnits(CLAIM, "o1", (HeldLine(1, "a", "north", 2),))]
    business.accept(business.release_hold())
    assert business.units() == {"released": 2, "cancelled": 1}


def may_go(business: Business) -> c.DecideRelease:
    """The word of the service that decides on releases, on the last that it was asked."""
    return c.DecideRelease(business.name(), "gate", business.at, business.order().release_asked, "o1", True)


def test_a_service_that_lets_an_order_go_lets_nothing_go_that_nobody_confirmed() -> None:  # PL-05
    business = outside({"north": {"a": 3}}, releaser="gate")
    business.accept(business.capture([("a", 5)]))
    assert business.asked(AskRelease) == []
    business.accept(answer(business))
    assert [asked.lines for asked in business.asked(AskRelease)] == [(HeldLine(1, "a", "north", 3),)]
    # Two more of the line are reserved at the same place while the question is open.
    business.load("north", {"a": 2})
    business.accept(may_go(business))
    assert business.units() == {"reserved": 2, "released": 3}
    assert [(held.claim, held.quantity) for held in business.order().soft] == [("o1/reserve/2", 2)]
    business.accept(answer(business, "reserved", "o1/reserve/2"))
    assert business.asked(AskRelease)[-1].lines == (HeldLine(1, "a", "north", 2),)
    business.accept(may_go(business))
    assert business.units() == {"released": 5}


@pytest.mark.parametrize("outcome", ["reserved", "refused"])
def test_an_answer_that_contradicts_itself_is_refused(outcome: str) -> None:  # PL-05
    business = outside({"north": {"a": 9}})
    business.accept(business.capture([("a", 3)]))
    assert business.refused(answer(business, outcome, CLAIM, ("north", "a", 1), ("north", "a", 4))) == "repeated"
    assert business.units() == {"reserved": 3}
    business.accept(answer(business, outcome, CLAIM, ("north", "a", 1), ("south", "a", 4)))


def test_an_answer_of_an_unknown_kind_or_about_another_order_is_refused() -> None:  # PL-05
    business = outside({"north": {"a": 3}})
    business.accept(business.capture([("a", 3)]))
    assert business.refused(answer(business, "perhaps")) == "outcome"
    other = c.AnswerReservation("y", "inventory", business.at, CLAIM, "o2", "reserved")
    assert business.refused(other) == "not_asked"
    business.accept(answer(business))
    assert business.refused(answer(business)) == "not_asked"
    assert len(business.events(ReservationConfirmed)) == 1


@pytest.mark.parametrize(
    "policies",
    [
        Policies(holder="somebody"),
        Policies(holder="erp", holder_pause_ms=0),
        Policies(holder="erp", reconcile_ms=-1),
        Policies(reconcile_ms=DAY),
        Policies(holder="erp", delivery=(DeliveryPolicy("erp", acknowledge=False),)),
    ],
)
def test_a_holder_that_makes_no_sense_is_refused(policies: Policies) -> None:  # PL-05
    business = Business({"north": {"a": 3}})
    assert business.refused(DefinePolicies("p", "test", business.at, policies)) == "holder"


def test_who_holds_the_inventory_does_not_change_while_orders_are_open() -> None:  # PL-05
    business = Business({"north": {"a": 3}})
    business.accept(business.capture([("a", 3)]))
    moved = DefinePolicies("p", "test", business.at, Policies(holder="erp"))
    assert business.refused(moved) == "holder"
