"""A warehouse that could not be told: the order is sourced elsewhere, and what may have been done is undone first."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.unit.core.given import HOUR, Business, delivery_policies
from twin.core import commands as c
from twin.core.effects import CancelRelease, ReleaseToWarehouse
from twin.core.events import CancellationRefused, CancellationRequested, DeliveryDeadLettered, ReleaseWithdrawn

SETTINGS: dict[str, Any] = {
    "acknowledge": True,
    "timeout_ms": 100,
    "backoff_ms": 0,
    "retries": 1,
    "deadline_ms": HOUR,
    "fallback": True,
}
KEY = "o1/north/1"


def released(**changes: Any) -> Business:
    """Two warehouses have the item; the nearer one is told to ship two of it."""
    policies = delivery_policies(**{**SETTINGS, **changes})
    business = Business({"north": {"a": 9}, "south": {"a": 9}}, delivery=policies)
    business.accept(business.capture([("a", 2)]))
    assert [effect.node for effect in business.asked(ReleaseToWarehouse)] == ["north"]
    return business


def answered(business: Business, outcome: str) -> c.ConfirmCancellation:
    return c.ConfirmCancellation(business.name(), "wms", business.at, KEY, "o1", "north", outcome)


def test_a_release_that_was_surely_not_done_is_withdrawn_and_sourced_elsewhere_at_once() -> None:  # RC-05
    business = released()
    business.accept(business.acknowledge(KEY, "failed", "503"))
    business.wait(0)
    business.accept(business.acknowledge(KEY, "failed", "503"))
    assert len(business.events(ReleaseWithdrawn)) == 1
    assert not business.asked(CancelRelease)
    assert [effect.node for effect in business.asked(ReleaseToWarehouse)] == ["north", "north", "south"]
    cell = business.cell("north")
    assert (cell.free, cell.hard, cell.soft) == (9, 0, 0)
    assert business.units() == {"released": 2}
    assert not business.state.dead_letters and KEY not in business.state.fulfillment_orders


def test_one_that_may_have_been_done_is_cancelled_first() -> None:  # RC-04
    business = released()
    business.wait(200)
    assert len(business.events(CancellationRequested)) == 1
    (cancel,) = business.asked(CancelRelease)
    assert (cancel.fulfillment_order, cancel.node) == (KEY, "north")
    # Nothing goes elsewhere before the warehouse has said that it will not ship.
    assert {effect.node for effect in business.asked(ReleaseToWarehouse)} == {"north"}
    assert KEY in business.state.dead_letters
    business.accept(business.acknowledge(f"{KEY}/cancel"))
    business.accept(answered(business, "cancelled"))
    assert business.asked(ReleaseToWarehouse)[-1].node == "south"
    assert not business.state.dead_letters


def test_the_cancellation_is_repeated_and_given_up_like_any_message() -> None:  # RC-04
    business = released()
    business.wait(HOUR)
    assert len([sent for sent in business.outbox.sent if sent.key == f"{KEY}/cancel"]) == 2
    assert list(business.state.dead_letters) == [KEY, f"{KEY}/cancel"]
    business.accept(business.redrive(f"{KEY}/cancel"))
    business.accept(answered(business, "cancelled"))
    assert business.asked(ReleaseToWarehouse)[-1].node == "south"


def test_too_late_leaves_the_release_as_it_was() -> None:  # RC-04
    business = released()
    business.wait(200)
    business.accept(answered(business, "too_late"))
    assert len(business.events(CancellationRefused)) == 1
    assert KEY not in business.state.dead_letters
    business.accept(business.ship(KEY))
    assert business.units() == {"shipped": 2}
    assert {effect.node for effect in business.asked(ReleaseToWarehouse)} == {"north"}


def test_without_compensation_two_warehouses_may_be_told() -> None:
    business = released(compensate=False)
    business.wait(200)
    assert not business.asked(CancelRelease)
    assert business.asked(ReleaseToWarehouse)[-1].node == "south"


def test_without_a_fallback_the_dead_letter_waits_for_somebody() -> None:  # RC-03
    business = released(fallback=False)
    business.wait(HOUR)
    assert list(business.state.dead_letters) == [KEY]
    assert not business.events(ReleaseWithdrawn)


def test_an_order_that_can_go_nowhere_else_waits_visibly() -> None:
    business = Business({"north": {"a": 9}}, delivery=delivery_policies(**SETTINGS))
    business.accept(business.capture([("a", 2)]))
    business.accept(business.acknowledge(KEY, "refused", "no such carrier"))
    assert business.units() == {"released": 2}
    assert [dead.delivery for dead in business.events(DeliveryDeadLettered)] == list(business.state.dead_letters)


@pytest.mark.parametrize("fallback", [False, True])
def test_a_warehouse_that_acts_on_a_dead_letter_settles_it(fallback: bool) -> None:  # RC-04
    business = released(fallback=fallback)
    business.wait(200)
    assert KEY in business.state.dead_letters
    business.accept(business.ship(KEY))
    assert KEY not in business.state.dead_letters
    assert business.units() == {"shipped": 2}
    assert {effect.node for effect in business.asked(ReleaseToWarehouse)} == {"north"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"fulfillment_order": "o9"}, "unknown_fulfillment_order"), ({"outcome": "perhaps"}, "outcome")],
)
def test_an_answer_that_does_not_fit_is_refused(changes: dict[str, Any], code: str) -> None:
    business = released()
    business.wait(200)
    assert business.refused(replace(answered(business, "cancelled"), **changes)) == code


def test_what_is_picked_can_no_longer_be_withdrawn() -> None:
    business = released()
    business.wait(200)
    business.accept(business.pick("picked", KEY))
    assert business.refused(answered(business, "cancelled")) == "stage"
