"""Silent counterparts: they are asked, they say again what they said, and a ticket is opened where it does not help."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from tests.unit.core.given import DAY, HOUR, MINUTE, Business, delivery_policies, rule
from twin.core import commands as c
from twin.core.effects import AskStatus, CreatePurchaseOrder, ReleaseToWarehouse
from twin.core.events import OrderRepeated, StatusAsked, TicketOpened
from twin.core.master import DeliveryPolicy

KEY = "o1/north/1"


def watched(**changes: Any) -> Business:
    """A warehouse, a supplier and a carrier that are asked after an hour of silence, twice before a ticket."""
    policies = (
        *delivery_policies(chase_ms=HOUR, **changes),
        DeliveryPolicy("carrier", acknowledge=False, chase_ms=HOUR),
    )
    business = Business({"north": {"a": 9}}, [rule("north", "b", "to_order", lead_time_ms=5 * HOUR)], delivery=policies)
    business.driver.gateways = {**business.driver.gateways, "carrier": business.outbox}
    return business


def report(business: Business, subject: str, kind: str, status: str) -> c.ReportStatus:
    return c.ReportStatus(business.name(), kind, business.at, subject, kind, "o1", status)


def asked(business: Business) -> list[tuple[int, str]]:
    return [
        (entry.now, event.subject)
        for entry in business.journal.read(0)
        for event in entry.events
        if isinstance(event, StatusAsked)
    ]


def test_a_warehouse_that_says_nothing_is_asked_and_then_reported() -> None:
    business = watched()
    business.accept(business.capture([("a", 1)]))
    business.wait(4 * HOUR)
    assert asked(business) == [(HOUR, KEY), (2 * HOUR, KEY), (3 * HOUR, KEY), (4 * HOUR, KEY)]
    assert [ticket.reason for ticket in business.events(TicketOpened)] == ["warehouse north is silent: asked 2 times"]
    assert business.state.tickets == {KEY: "o1"}
    assert len({sent.key for sent in business.outbox.sent if isinstance(sent.effect, AskStatus)}) == 4


def test_an_answer_closes_the_ticket_and_gives_it_time() -> None:
    business = watched()
    business.accept(business.capture([("a", 1)]))
    business.wait(3 * HOUR + MINUTE)
    business.accept(report(business, KEY, "warehouse", "working"))
    assert not business.state.tickets
    business.wait(HOUR - MINUTE)
    assert len(asked(business)) == 3
    business.wait(2 * MINUTE)
    assert len(asked(business)) == 4 and not business.state.tickets


def test_a_parcel_from_before_the_log_is_asked_about_when_its_date_has_passed() -> None:  # RP-01
    business = watched()
    business.wait(DAY)
    order = ("o1", "web", "ann", "near", HOUR, 2 * DAY, (c.OrderLine(1, "a", 1, 500),), ((1, DAY + 3 * HOUR),))
    parcel = c.LoadedParcel("v1", "north", "van", 2 * HOUR, ((1, 1),))
    business.accept(c.LoadOrder(business.name(), "opening", business.at, *order, parcels=(parcel,)))
    business.wait(5 * HOUR)
    assert asked(business) == [(DAY + 4 * HOUR, "v1"), (DAY + 5 * HOUR, "v1")]


def test_what_the_counterpart_knows_nothing_of_is_sent_again_with_its_key() -> None:  # RC-06
    business = watched()
    business.accept(business.capture([("a", 1)]))
    business.wait(HOUR)
    business.accept(report(business, KEY, "warehouse", "unknown"))
    assert len(business.events(OrderRepeated)) == 1
    first, second = [sent for sent in business.outbox.sent if isinstance(sent.effect, ReleaseToWarehouse)]
    assert first.key == second.key and first.effect == second.effect
    business.accept(business.ship(KEY))
    business.wait(10 * HOUR)
    assert len(asked(business)) == 1


def test_nothing_is_repeated_that_is_still_on_its_way() -> None:
    business = watched(acknowledge=True, timeout_ms=10 * HOUR)
    business.accept(business.capture([("a", 1)]))
    business.wait(2 * HOUR)
    # It was not taken yet: asking about it would be too early, and so would be a repetition.
    assert not asked(business)
    business.accept(report(business, KEY, "warehouse", "unknown"))
    assert not business.events(OrderRepeated)


def test_a_purchase_order_has_time_up_to_its_date_and_then_both_sides_are_asked_in_turn() -> None:
    business = watched()
    business.accept(business.capture([("b", 1)]))
    (key,) = business.state.purchase_orders
    business.accept(business.answer("accepted", eta=5 * HOUR))
    business.wait(5 * HOUR)
    assert not asked(business)
    business.wait(3 * HOUR)
    gateways = [sent.gateway for sent in business.outbox.sent if isinstance(sent.effect, AskStatus)]
    assert gateways == ["supplier/mill", "warehouse/north", "supplier/mill"]
    # That the warehouse has not seen the goods is no reason to buy them again; that the supplier knows nothing is.
    business.accept(report(business, key, "warehouse", "unknown"))
    assert len(business.asked(CreatePurchaseOrder)) == 1
    business.accept(report(business, key, "supplier", "unknown"))
    assert len(business.asked(CreatePurchaseOrder)) == 2


def test_a_parcel_is_asked_for_after_its_promise() -> None:
    business = watched()
    business.accept(business.capture([("a", 1)]))
    business.accept(business.ship(KEY))
    promised = business.order().promised_at
    business.wait(promised - business.at + HOUR - 1)
    assert not asked(business)
    business.wait(1)
    (question,) = [sent for sent in business.outbox.sent if isinstance(sent.effect, AskStatus)]
    assert (question.gateway, question.effect.kind) == ("carrier/van", "carrier")
    business.accept(business.milestone())
    business.wait(5 * HOUR)
    assert len(asked(business)) == 1


def test_the_carrier_that_has_the_parcel_is_asked_whoever_has_the_lane_today() -> None:
    business = watched()
    business.accept(business.capture([("a", 1)]))
    business.accept(business.ship(KEY))
    lane = replace(business.state.lanes["near"]["north"], carrier="truck")
    business.accept(c.DefineNetwork(business.name(), "test", business.at, "EUR", lanes=(lane,)))
    business.wait(business.order().promised_at - business.at + HOUR)
    (question,) = [sent for sent in business.outbox.sent if isinstance(sent.effect, AskStatus)]
    assert question.gateway == "carrier/van"


def test_supervision_can_be_turned_off_and_on_in_the_middle() -> None:
    business = watched()
    business.accept(business.capture([("a", 1)]))
    business.wait(3 * HOUR)
    assert business.state.tickets
    business.set_policies()
    assert not business.state.tickets
    business.wait(5 * HOUR)
    assert len(asked(business)) == 3
    business.set_policies(delivery=delivery_policies(chase_ms=HOUR))
    business.wait(HOUR)
    assert len(asked(business)) == 4
    business.set_policies()
    business.accept(business.ship(KEY))
    assert not business.state.chases
    business.wait(5 * HOUR)
    assert len(asked(business)) == 4


def test_a_report_about_nothing_or_in_no_known_words_is_refused() -> None:
    business = watched()
    business.accept(business.capture([("a", 1)]))
    assert business.refused(report(business, "o9", "warehouse", "done")) == "settled"
    assert business.refused(report(business, KEY, "warehouse", "hm")) == "status"
