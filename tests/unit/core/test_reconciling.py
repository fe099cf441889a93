"""Reconciliations with whoever holds the inventory: orphans, what is missing, and what is left to the next (PL-05)."""

from __future__ import annotations

import pytest
from msgspec import structs

from tests.unit.core.given import HOUR, Business, delivery_policies
from tests.unit.core.test_holding import CLAIM, QUICK, answer, outside, report, row
from twin.core import commands as c
from twin.core.effects import AskReservations, HeldLine, ReleaseUnits, ReserveUnits
from twin.core.events import DeliveryLapsed, ReservationRefused, ReservationsReconciled
from twin.measures import Facts


def test_what_is_reserved_there_and_wanted_by_nobody_is_found_and_given_back() -> None:  # PL-05
    business = outside({"north": {"a": 9}})
    business.accept(business.capture([("a", 3)], hold=True))
    business.accept(answer(business))
    business.wait(6 * HOUR)
    unknown = row("o7/reserve/1", 2, since=5)
    business.accept(report(business, row(), unknown))
    (found,) = business.events(ReservationsReconciled)
    assert (found.orphans, found.missing) == ((unknown,), ())
    assert business.asked(ReleaseUnits) == [ReleaseUnits("o7/reserve/1", "o7", ())]


def test_units_beyond_those_of_a_claim_are_orphans_too() -> None:  # PL-05
    business = outside({"north": {"a": 9}})
    business.accept(business.capture([("a", 3)], hold=True))
    business.accept(answer(business))
    business.wait(6 * HOUR)
    # Reserved twice: the holder did not know the second attempt again.
    business.accept(report(business, row(), row(since=7)))
    (found,) = business.events(ReservationsReconciled)
    assert found.orphans == (row(since=7),)
    assert business.asked(ReleaseUnits) == [ReleaseUnits(CLAIM, "o1", (HeldLine(1, "a", "north", 3),))]


def test_a_claim_under_way_is_no_orphan_and_what_changed_since_the_question_is_left_alone() -> None:  # PL-05
    business = outside({"north": {"a": 9}})
    business.accept(business.capture([("a", 3)], hold=True))
    business.accept(answer(business))
    business.wait(6 * HOUR)
    business.accept(business.cancel())
    business.accept(business.capture([("a", 1)], order="o2"))
    business.accept(report(business, row(), row("o2/reserve/1", 1)))
    (found,) = business.events(ReservationsReconciled)
    assert (found.orphans, found.missing) == ((), ())
    # The next time it has no excuse.
    business.wait(6 * HOUR)
    business.accept(report(business, row()))
    assert [orphan.claim for orphan in business.events(ReservationsReconciled)[-1].orphans] == [CLAIM]


def test_a_confirmed_claim_that_is_not_there_is_opened_and_claimed_anew() -> None:  # PL-05
    business = outside({"north": {"a": 9, "b": 0}})
    business.accept(business.capture([("a", 2), ("b", 1)], channel="whole"))
    business.accept(answer(business))
    business.wait(6 * HOUR)
    business.accept(report(business))
    (found,) = business.events(ReservationsReconciled)
    assert found.missing == (CLAIM,)
    assert [event.reason for event in business.events(ReservationRefused)] == ["missing"]
    assert business.asked(ReserveUnits)[-1].claim == "o1/reserve/2"


def test_what_is_left_there_of_a_claim_that_is_missing_is_given_back() -> None:  # PL-05
    business = outside({"north": {"a": 9}})
    business.accept(business.capture([("a", 3)], hold=True))
    business.accept(answer(business))
    business.wait(6 * HOUR)
    business.accept(report(business, row(units=1)))
    assert business.events(ReservationsReconciled)[0].missing == (CLAIM,)
    assert [event.call for event in business.events(ReservationRefused)] == [f"{CLAIM}/keep/0/1"]
    assert business.asked(ReleaseUnits) == [ReleaseUnits(CLAIM, "o1", ())]


def test_what_shipped_after_the_question_is_no_orphan_though_an_old_report_has_it() -> None:  # PL-05
    business = outside({"north": {"a": 9}})
    business.accept(business.capture([("a", 3)]))
    business.accept(answer(business))
    business.wait(6 * HOUR)
    business.accept(business.ship())
    business.accept(report(business, row()))
    assert business.events(ReservationsReconciled)[0].orphans == ()
    assert business.asked(ReleaseUnits) == []


def test_a_claim_that_was_confirmed_after_the_question_is_not_missing_from_its_answer() -> None:  # PL-05
    business = outside({"north": {"a": 9}})
    business.wait(6 * HOUR - 10_000)
    business.accept(business.capture([("a", 3)], hold=True))
    business.wait(10_000)
    business.accept(answer(business))
    business.accept(report(business))
    assert business.events(ReservationsReconciled)[0].missing == ()
    assert business.units() == {"reserved": 3}


def test_a_claim_of_which_units_were_given_up_after_the_question_is_not_missing_yet() -> None:  # PL-05
    business = outside({"north": {"a": 9}})
    business.accept(business.capture([("a", 3), ("a", 2)], hold=True))
    business.accept(answer(business))
    business.wait(6 * HOUR)
    business.accept(business.cancel(2))
    business.accept(report(business))
    assert business.events(ReservationsReconciled)[0].missing == ()
    business.wait(6 * HOUR)
    business.accept(report(business))
    assert business.events(ReservationsReconciled)[-1].missing == (CLAIM,)


def test_a_claim_whose_goods_are_being_picked_may_have_been_used_up_already() -> None:  # PL-05
    business = outside({"north": {"a": 9}})
    business.accept(business.capture([("a", 3)]))
    business.accept(answer(business))
    business.wait(6 * HOUR)
    business.accept(report(business))
    assert business.events(ReservationsReconciled)[0].missing == ()
    assert business.units() == {"released": 3}


def test_an_orphan_that_is_being_released_already_is_not_told_twice() -> None:  # PL-05
    business = outside({"north": {"a": 3}})
    business.accept(business.capture([("a", 3)], hold=True))
    business.accept(answer(business))
    business.wait(6 * HOUR - 10_000)
    business.accept(business.cancel())
    business.wait(10_000)
    business.accept(report(business, row()))
    assert business.events(ReservationsReconciled)[0].orphans == ()
    assert len(business.asked(ReleaseUnits)) == 1


def two_claims(*, releasing: bool) -> Business:
    """An order line of five under two claims, of three and of two; the second was confirmed first, and goes."""
    business = outside({"north": {"a": 3}})
    business.accept(business.capture([("a", 5)]))
    business.load("north", {"a": 2})
    business.accept(answer(business, "reserved", "o1/reserve/2"))
    assert business.units() == {"reserved": 3, "released": 2}
    if not releasing:
        business.accept(business.hold())
    business.accept(answer(business))
    return business


def test_what_ships_under_one_claim_here_and_under_another_there_is_no_orphan() -> None:  # PL-05
    business = two_claims(releasing=True)
    assert business.units() == {"released": 5}
    business.accept(business.ship())
    assert {name: claim.lines[0].quantity for name, claim in business.state.claims.items()} == {
        CLAIM: 1,
        "o1/reserve/2": 2,
    }
    business.wait(6 * HOUR)
    # There the calls came the other way round, and the older reservation was used up first.
    business.accept(report(business, row(units=3)))
    (found,) = business.events(ReservationsReconciled)
    assert (found.orphans, found.missing) == ((), ())
    assert business.asked(ReleaseUnits) == []


def test_of_what_is_there_under_claims_of_one_line_only_what_is_too_much_in_all_is_given_back() -> None:  # PL-05
    business = two_claims(releasing=True)
    business.accept(business.ship())
    business.wait(6 * HOUR)
    # The engine's claims cover one and two. What nobody knows of is what is too much.
    business.accept(report(business, row(units=3), row("o1/reserve/0", 2)))
    orphans = business.events(ReservationsReconciled)[-1].orphans
    assert [(one.claim, one.quantity) for one in orphans] == [("o1/reserve/0", 2)]
    assert business.asked(ReleaseUnits) == [ReleaseUnits("o1/reserve/0", "o1", ())]
    business.accept(business.acknowledge("o1/reserve/0/keep/0/1"))
    business.wait(6 * HOUR)
    business.accept(report(business, row(units=4)))
    orphans = business.events(ReservationsReconciled)[-1].orphans
    assert [(one.claim, one.quantity) for one in orphans] == [(CLAIM, 1)]
    assert business.asked(ReleaseUnits)[1:] == [ReleaseUnits(CLAIM, "o1", (HeldLine(1, "a", "north", 3),))]


def test_a_release_of_one_line_keeps_what_is_there_for_others_of_the_order() -> None:  # PL-05
    business = outside({"north": {"a": 20}})
    business.accept(business.capture([("a", 3), ("a", 3)], hold=True))
    business.accept(answer(business))
    business.wait(6 * HOUR)
    # Of the second line as many are there as are wanted, two of them under a name that is not known here.
    unknown = "o1/reserve/0"
    business.accept(report(business, row(), row(units=1, line=2), row(unknown), row(unknown, 2, line=2)))
    (found,) = business.events(ReservationsReconciled)
    assert found.orphans == (row(unknown),)
    assert business.asked(ReleaseUnits) == [ReleaseUnits(unknown, "o1", (HeldLine(2, "a", "north", 2),))]
    business.accept(business.acknowledge("o1/reserve/0/keep/2/1"))
    # The same under a known name: more than it covers of one line, and one too many of the other.
    business.wait(6 * HOUR)
    business.accept(report(business, row(units=4), row(units=3, line=2)))
    assert business.asked(ReleaseUnits)[1:] == [
        ReleaseUnits(CLAIM, "o1", (HeldLine(1, "a", "north", 3), HeldLine(2, "a", "north", 3)))
    ]


def test_a_claim_that_units_of_another_were_taken_from_is_not_missing() -> None:  # PL-05
    business = two_claims(releasing=False)
    assert business.units() == {"reserved": 3, "released": 2}
    business.wait(6 * HOUR)
    # The two that go have left, and were taken from the other claim; the warehouse's word is on its way.
    business.accept(report(business, row(units=1), row("o1/reserve/2", 2)))
    (found,) = business.events(ReservationsReconciled)
    assert (found.orphans, found.missing) == ((), ())
    # One unit less than is reserved here, and it is.
    business.wait(6 * HOUR)
    business.accept(report(business, row("o1/reserve/2", 2)))
    assert business.events(ReservationsReconciled)[-1].missing == (CLAIM,)


def test_what_went_while_the_rest_of_its_line_was_held_is_no_orphan_either() -> None:  # PL-05
    business = two_claims(releasing=False)
    business.accept(business.ship())
    assert list(business.state.claims) == [CLAIM]
    business.wait(6 * HOUR)
    business.accept(report(business, row(units=1), row("o1/reserve/2", 2)))
    (found,) = business.events(ReservationsReconciled)
    assert (found.orphans, found.missing) == ((), ())
    # The rest leaves after the next question: its answer is old, whatever the units are called in it.
    business.accept(business.release_hold())
    business.wait(6 * HOUR)
    business.accept(business.ship())
    business.accept(report(business, row(units=1), row("o1/reserve/2", 2)))
    assert business.events(ReservationsReconciled)[-1].orphans == ()
    business.wait(6 * HOUR)
    business.accept(report(business, row(units=1)))
    assert [(one.claim, one.quantity) for one in business.events(ReservationsReconciled)[-1].orphans] == [(CLAIM, 1)]


def test_one_of_two_claims_of_a_line_that_is_not_there_is_missing() -> None:  # PL-05
    business = outside({"north": {"a": 3}})
    business.accept(business.capture([("a", 5)], hold=True))
    business.load("north", {"a": 2})
    business.accept(answer(business))
    business.accept(answer(business, "reserved", "o1/reserve/2"))
    business.wait(6 * HOUR)
    business.accept(report(business, row()))
    assert business.events(ReservationsReconciled)[0].missing == ("o1/reserve/2",)


def test_a_claim_confirmed_after_the_question_makes_no_other_of_its_line_missing() -> None:  # PL-05
    business = outside({"north": {"a": 3}})
    business.accept(business.capture([("a", 5)], hold=True))
    business.accept(answer(business))
    business.wait(6 * HOUR - 10_000)
    business.load("north", {"a": 2})
    business.wait(10_000)
    business.accept(answer(business, "reserved", "o1/reserve/2"))
    # Three are there, by another name.
    business.accept(report(business, row("o1/reserve/0", 3)))
    assert business.events(ReservationsReconciled)[0].missing == ()


def test_measures_take_what_shipped_off_a_claim_that_is_missing_later_only_once() -> None:  # PL-05
    times = {"north": (HOUR,), "south": (20 * HOUR,)}
    business = outside({"north": {"a": 3}, "south": {"b": 2}}, waves=True, wave_times=times)
    business.accept(business.capture([("a", 3), ("b", 2)]))
    business.accept(answer(business))
    business.wait(HOUR)
    business.accept(business.ship())
    assert (business.units(line=1), business.units(line=2)) == ({"shipped": 3}, {"reserved": 2})
    business.wait(5 * HOUR)
    business.accept(report(business))
    assert business.events(ReservationsReconciled)[0].missing == (CLAIM,)
    facts = Facts.collect(iter(business.journal.read(0)), 0, business.at, 0, None)
    assert facts.holding.claimed == {("o1", 2, "south"): 2}


def test_a_question_that_nobody_answers_lapses_and_the_next_one_is_asked_at_its_time() -> None:  # PL-05
    business = outside({"north": {"a": 3}})
    business.wait(12 * HOUR)
    assert list(dict.fromkeys(sent.request for sent in business.asked(AskReservations))) == [
        "RECONCILE/1",
        "RECONCILE/2",
    ]
    assert [event.delivery for event in business.events(DeliveryLapsed)] == ["RECONCILE/1"]
    old = c.ReportReservations("late", "inventory", business.at, "RECONCILE/1", ())
    assert business.refused(old) == "not_asked"
    business.accept(report(business))
    assert business.refused(c.ReportReservations("x", "inventory", business.at, "", ())) == "not_asked"


def test_a_report_of_fewer_units_than_none_is_refused() -> None:  # PL-05
    business = outside({"north": {"a": 3}})
    business.wait(6 * HOUR)
    assert business.refused(report(business, row(units=-1))) == "quantity"
    assert business.refused(report(business, others=(("north", "a", -1),))) == "quantity"
    # What is kept of items or places that nobody here knows is no news.
    business.accept(report(business, others=(("west", "a", 1), ("north", "z", 1))))
    assert business.events(ReservationsReconciled)[0].elsewhere == ()


def test_a_report_that_contradicts_itself_or_the_clock_is_refused() -> None:  # PL-05
    business = outside({"north": {"a": 9}})
    business.wait(6 * HOUR)
    others = (("north", "a", 1), ("north", "b", 2), ("north", "a", 4))
    assert business.refused(report(business, others=others)) == "repeated"
    assert business.refused(report(business, row("o7/reserve/1", since=business.at + 1))) == "since"
    # Nothing of it was taken: the question is open, and a report that makes sense is heard.
    business.accept(report(business, row("o7/reserve/1", since=business.at), others=others[:2]))
    assert business.cell().elsewhere == 1


def test_a_holder_whose_clock_is_ahead_makes_no_orphan_older_than_its_reservation() -> None:  # PL-05
    business = outside({"north": {"a": 9}})
    business.accept(business.capture([("a", 1)]))
    business.wait(6 * HOUR)
    ahead = report(business, row("o7/reserve/1", since=business.at + 9))
    # Its own time is what it may not be after.
    assert business.driver.handle(structs.replace(ahead, time=business.at + 9), business.at).refusal is None
    facts = Facts.collect(iter(business.journal.read(0)), 0, business.state.now, 0, None)
    assert (facts.holding.orphan_units, facts.holding.orphan_area) == (3, 0)


@pytest.mark.parametrize("holder", ["", "erp"])
def test_an_answer_of_who_holds_the_inventory_no_more_is_refused(holder: str) -> None:  # PL-05
    business = outside({"north": {"a": 9}})
    business.wait(6 * HOUR)
    late = report(business, row("o7/reserve/1"))
    assert late.request == "RECONCILE/1"
    settings = {"holder": holder, "reconcile_ms": 6 * HOUR} if holder else {}
    business.set_policies(**settings, delivery=(*delivery_policies(acknowledge=True), QUICK))
    assert business.refused(late) == "not_asked"
    assert business.asked(ReleaseUnits) == []
    if holder:
        # The new one is asked at its time.
        business.wait(6 * HOUR)
        business.accept(report(business, row("o7/reserve/1", since=business.at)))
        assert business.asked(ReleaseUnits) == [ReleaseUnits("o7/reserve/1", "o7", ())]
        assert business.sent("o7/reserve/1/keep/0/2")[0].gateway == "erp"


def test_a_change_of_other_rules_leaves_the_question_open() -> None:  # PL-05
    business = outside({"north": {"a": 9}})
    business.wait(6 * HOUR)
    business.set_policies(holder="inventory", reconcile_ms=6 * HOUR, batch=7, delivery=(*delivery_policies(), QUICK))
    business.accept(report(business, row("o7/reserve/1", since=5)))
    assert len(business.events(ReservationsReconciled)[0].orphans) == 1
