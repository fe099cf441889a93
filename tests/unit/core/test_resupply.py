"""A supplier that could not be asked: another one is, and what may have been ordered is cancelled first."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.core.given import DAY, HOUR, Business, delivery_policies, rule
from twin.core import commands as c
from twin.core.effects import CancelPurchaseOrder, CreatePurchaseOrder
from twin.core.events import (
    DeliveryDeadLettered,
    PurchaseCancellationRefused,
    PurchaseCancellationRequested,
    PurchaseOrderCreated,
    PurchaseOrderWithdrawn,
)

SETTINGS: dict[str, Any] = {
    "acknowledge": True,
    "timeout_ms": 100,
    "backoff_ms": 0,
    "retries": 0,
    "deadline_ms": HOUR,
    "fallback": True,
}
OTHERS = (("forge", 3 * DAY),)


def short(alternates: tuple[tuple[str, int], ...] = OTHERS, **changes: Any) -> Business:
    """Two units that are bought to order, at the mill first."""
    policies = delivery_policies(**{**SETTINGS, **changes})
    rules = [rule("north", "a", "to_order", lead_time_ms=DAY, alternates=alternates)]
    business = Business({}, rules, delivery=policies)
    business.accept(business.capture([("a", 2)]))
    assert [effect.supplier for effect in business.asked(CreatePurchaseOrder)] == ["mill"]
    return business


def first(business: Business) -> str:
    return business.events(PurchaseOrderCreated)[0].purchase_order


def answered(business: Business, outcome: str) -> c.ConfirmPurchaseCancellation:
    return c.ConfirmPurchaseCancellation(business.name(), "mill", business.at, first(business), outcome)


def test_what_surely_did_not_arrive_goes_to_the_next_supplier_at_once() -> None:  # RC-05
    business = short()
    business.accept(business.acknowledge(first(business), "failed", "503"))
    (withdrawn,) = business.events(PurchaseOrderWithdrawn)
    assert withdrawn.reason == "retries used up: 503"
    assert not business.asked(CancelPurchaseOrder)
    assert [effect.supplier for effect in business.asked(CreatePurchaseOrder)] == ["mill", "forge"]
    ((key, purchase),) = business.state.purchase_orders.items()
    assert key == f"{first(business)}/forge"
    assert (purchase.supplier, purchase.due, purchase.eta) == ("forge", {"a": 2}, business.at + 3 * DAY)
    assert [(peg.order, peg.quantity) for peg in purchase.pegs] == [("o1", 2)]
    assert business.cell().inbound == 2
    assert not business.state.dead_letters
    # Nothing is bought twice, and what comes serves the order.
    business.accept(business.acknowledge(key))
    business.wait(DAY)
    assert len(business.events(PurchaseOrderCreated)) == 2
    business.accept(business.receive(purchase_order=key))
    assert business.units() == {"released": 2}


def test_what_may_have_arrived_is_cancelled_first() -> None:  # RC-04, RC-05
    business = short()
    business.wait(100)
    assert len(business.events(PurchaseCancellationRequested)) == 1
    (cancel,) = business.asked(CancelPurchaseOrder)
    assert (cancel.purchase_order, cancel.supplier) == (first(business), "mill")
    assert {effect.supplier for effect in business.asked(CreatePurchaseOrder)} == {"mill"}
    business.accept(answered(business, "cancelled"))
    assert [effect.supplier for effect in business.asked(CreatePurchaseOrder)] == ["mill", "forge"]
    assert list(business.state.purchase_orders) == [f"{first(business)}/forge"]


def test_too_late_to_cancel_leaves_the_order_where_it_is() -> None:  # RC-04
    business = short()
    business.wait(100)
    business.accept(answered(business, "too_late"))
    assert len(business.events(PurchaseCancellationRefused)) == 1
    assert list(business.state.purchase_orders) == [first(business)]
    # It has the order: nobody has to look at the dead letter any more.
    assert first(business) not in business.state.dead_letters
    business.accept(business.receive(purchase_order=first(business)))
    assert business.units() == {"released": 2}


def test_without_compensation_the_next_one_is_asked_at_once() -> None:
    business = short(compensate=False)
    business.wait(100)
    assert not business.asked(CancelPurchaseOrder)
    assert [effect.supplier for effect in business.asked(CreatePurchaseOrder)] == ["mill", "forge"]


def test_after_the_last_supplier_a_dead_letter_waits_for_somebody() -> None:  # RC-05
    business = short()
    for _ in range(2):
        key = next(iter(business.state.purchase_orders))
        business.accept(business.acknowledge(key, "failed", "503"))
    assert list(business.state.dead_letters) == [f"{first(business)}/forge"]
    assert list(business.state.purchase_orders) == [f"{first(business)}/forge"]
    assert len(business.events(DeliveryDeadLettered)) == 2


@pytest.mark.parametrize("change", [{"fallback": False}, {"alternates": ()}])
def test_without_a_fallback_or_somebody_else_a_dead_letter_waits(change: dict[str, Any]) -> None:
    business = short(**change)
    business.accept(business.acknowledge(first(business), "failed", "503"))
    assert list(business.state.dead_letters) == [first(business)]
    assert not business.events(PurchaseOrderWithdrawn)


def test_a_cancellation_that_fits_nothing_is_refused() -> None:
    business = short()
    assert business.refused(answered(business, "perhaps")) == "outcome"
    business.accept(business.receive(("a", 1), purchase_order=first(business)))
    assert business.refused(answered(business, "cancelled")) == "stage"
    business.accept(business.receive(("a", 1), purchase_order=first(business)))
    assert business.refused(answered(business, "cancelled")) == "unknown_purchase_order"


def test_a_rule_that_asks_nobody_known_is_refused() -> None:
    business = short()
    rules = (rule("north", "b", "to_order", alternates=(("nobody", DAY),)),)
    command = c.DefineReplenishment(business.name(), "test", business.at, rules)
    assert business.refused(command) == "unknown_supplier"
