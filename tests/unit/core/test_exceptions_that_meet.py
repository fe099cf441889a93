"""What happens when fallbacks, redrives, expiries, limits and changes of the rules meet each other."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from tests.unit.core.given import DAY, HOUR, MINUTE, Business, delivery_policies, rule
from twin.core import commands as c
from twin.core.effects import AskStatus
from twin.core.events import (
    DeliveryDeadLettered,
    DeliveryFailed,
    DeliveryHedged,
    DeliveryRedriven,
    PurchaseOrderCreated,
    StatusAsked,
    TicketOpened,
)
from twin.core.master import BreakerPolicy, DeliveryPolicy, Policies, Pool

SETTINGS: dict[str, Any] = {
    "acknowledge": True,
    "timeout_ms": 100,
    "backoff_ms": 0,
    "retries": 1,
    "deadline_ms": HOUR,
}
KEY = "o1/north/1"


def policies(**changes: Any) -> tuple[DeliveryPolicy, ...]:
    return delivery_policies(**{**SETTINGS, **changes})


def released(**changes: Any) -> Business:
    """Two units that the north was told to ship, where the south has them too."""
    business = Business({"north": {"a": 9}, "south": {"a": 9}}, delivery=policies(**changes))
    business.accept(business.capture([("a", 2)]))
    return business


def bought(**changes: Any) -> tuple[Business, str]:
    """Two units that are bought at the mill, or else at the forge."""
    rules = [rule("north", "b", "to_order", lead_time_ms=HOUR, alternates=(("forge", HOUR),))]
    business = Business({}, rules, delivery=policies(**changes))
    business.accept(business.capture([("b", 2)]))
    (key,) = business.state.purchase_orders
    return business, key


def many(count: int, **changes: Any) -> Business:
    business = Business({"north": {"a": 900}}, delivery=policies(**changes))
    for number in range(count):
        business.accept(business.capture([("a", 1)], order=f"o{number}"))
    return business


def sent(business: Business) -> list[tuple[int, str]]:
    return [(entry.now, each.key) for entry in business.journal.read(0) for each in entry.deliveries]


# --- cancellations


@pytest.mark.parametrize("limits", [{}, {"bulkhead": 5, "backoff_ms": 10 * MINUTE, "cap_ms": 10 * MINUTE}])
def test_a_cancellation_is_asked_once_and_again_where_it_was_given_up(limits: dict[str, Any]) -> None:  # RC-04
    business = released(fallback=True, **limits)
    business.wait(HOUR)
    business.accept(business.redrive(KEY))
    business.wait(HOUR)
    if limits:
        assert f"{KEY}/cancel" in {**business.state.deliveries, **business.state.dead_letters}
    else:
        actors = [event.actor for event in business.events(DeliveryRedriven) if event.delivery.endswith("/cancel")]
        assert actors == ["orchestration"]


def test_a_purchases_cancellation_is_asked_once_and_again_where_it_was_given_up() -> None:  # RC-04
    business, key = bought(fallback=True)
    business.wait(HOUR)
    business.accept(business.redrive(key))
    business.wait(HOUR)
    assert list(business.state.dead_letters) == [key, f"{key}/cancel"]


def test_what_was_withdrawn_is_sent_no_more_though_somebody_sent_it_again() -> None:  # RC-05
    business = released(fallback=True, retries=3)
    business.wait(400)
    business.accept(business.redrive(KEY))
    business.accept(c.ConfirmCancellation(business.name(), "wms", business.at, KEY, "o1", "north", "cancelled"))
    assert KEY not in business.state.deliveries
    before = len(sent(business))
    business.wait(HOUR)
    assert KEY not in [key for _, key in sent(business)[before:]]
    assert KEY not in business.state.dead_letters


def test_a_purchase_that_was_withdrawn_is_sent_no_more_though_somebody_sent_it_again() -> None:  # RC-05
    business, key = bought(fallback=True)
    business.wait(200)
    business.accept(business.redrive(key))
    business.accept(c.ConfirmPurchaseCancellation(business.name(), "mill", business.at, key, "cancelled"))
    before = len(sent(business))
    business.wait(HOUR)
    assert key not in [each for _, each in sent(business)[before:]]
    assert next(iter(business.state.purchase_orders)) == f"{key}/forge"


def test_a_supplier_may_cancel_what_it_has_confirmed() -> None:
    business, key = bought(fallback=True)
    business.wait(100)
    business.accept(business.answer(eta=DAY))
    business.accept(c.ConfirmPurchaseCancellation(business.name(), "mill", business.at, key, "cancelled"))
    assert list(business.state.purchase_orders) == [f"{key}/forge"]


def test_alternates_that_reject_in_turn_are_not_asked_without_end() -> None:
    business, _ = bought(fallback=True)
    for _ in range(3):
        for key, purchase in list(business.state.purchase_orders.items()):
            if purchase.supplier == "mill":
                business.accept(business.acknowledge(key, "refused", "no"))
            else:
                business.accept(business.answer("rejected", key))
    assert len(business.events(PurchaseOrderCreated)) == 2


# --- what was done though nobody said so


def test_what_was_done_is_not_repeated_and_no_dead_letter() -> None:  # RC-06
    business = released(retries=5)
    business.accept(business.ship(KEY))
    business.wait(HOUR)
    assert [key for _, key in sent(business)].count(KEY) == 1
    assert KEY not in {**business.state.dead_letters, **business.state.deliveries}


def test_a_cancellation_of_what_was_shipped_is_over() -> None:
    business = released(fallback=True)
    business.wait(200)
    assert f"{KEY}/cancel" in business.state.deliveries
    business.accept(business.ship(KEY))
    business.wait(HOUR)
    assert f"{KEY}/cancel" not in {**business.state.dead_letters, **business.state.deliveries}


def test_a_counterpart_that_is_at_work_on_a_dead_letter_has_it() -> None:
    business = released(chase_ms=DAY)
    business.wait(HOUR)
    assert KEY in business.state.dead_letters
    business.accept(c.ReportStatus(business.name(), "north", business.at, KEY, "warehouse", "o1", "working"))
    assert KEY not in business.state.dead_letters


def test_what_expired_goes_again_when_its_counterpart_knows_nothing_of_it() -> None:  # RC-03
    business = released(dead_ms=HOUR)
    business.wait(DAY)
    assert business.state.dead_letters[KEY].stage == "expired"
    business.accept(c.ReportStatus(business.name(), "north", business.at, KEY, "warehouse", "o1", "unknown"))
    assert business.state.deliveries[KEY].stage == "in_flight"


# --- keys


def test_a_line_that_is_short_twice_at_one_instant_makes_two_drop_ship_orders() -> None:
    business = Business({"north": {"e": 2}}, dock=True, reservation_expiry_ms=HOUR)
    business.accept(business.capture([("e", 5)], hold=True))
    business.wait(HOUR)
    business.accept(business.adjust(-2, sku="e"))
    business.accept(business.release_hold())
    assert business.units() == {"on_order": 5}
    assert len(business.state.purchase_orders) == 2


def test_a_ship_notice_with_the_name_of_a_parcel_whose_invoice_is_open_is_refused() -> None:
    business = Business(dock=True, delivery=policies(timeout_ms=HOUR, deadline_ms=DAY))
    business.accept(business.capture([("e", 1)]))
    business.accept(business.capture([("e", 3)], order="o2"))
    first, second = list(business.state.purchase_orders)
    business.accept(replace(business.drop_ship(first), shipment="s"))
    business.accept(business.milestone("delivered", "s"))
    assert business.refused(replace(business.drop_ship(second), shipment="s")) == "shipment_exists"


@pytest.mark.parametrize(
    ("kind", "node", "sku", "alternates"),
    [
        ("to_order", "north", "b", ("forge", "mill")),
        ("to_order", "north", "b", ("forge", "forge")),
        ("drop_ship", "mill", "e", ("forge",)),
    ],
)
def test_alternates_that_make_no_sense_are_refused(kind: str, node: str, sku: str, alternates: tuple[str, ...]) -> None:
    business = Business({}, [rule("north", "a", "to_order", alternates=(("forge", DAY),))], dock=True)
    wrong = rule(node, sku, kind, alternates=tuple((name, DAY) for name in alternates))
    command = c.DefineReplenishment(business.name(), "test", business.at, (wrong,))
    assert business.refused(command) == "alternates"


# --- order


def in_order(**changes: Any) -> tuple[DeliveryPolicy, ...]:
    return policies(in_order=True, retries=0, timeout_ms=MINUTE, deadline_ms=10 * HOUR, **changes)


def test_a_change_of_policies_keeps_the_order_of_messages() -> None:  # RC-03
    business = Business({"north": {"a": 5}, "south": {"a": 5}}, delivery=in_order())
    business.accept(business.capture([("a", 7)]))
    first, second = list(business.state.fulfillment_orders)
    for key in (first, second):
        business.accept(business.acknowledge(key))
    business.accept(business.ship(first, shipment="first"))
    business.wait(10)
    business.accept(business.ship(second, shipment="second"))
    business.wait(MINUTE)
    business.accept(business.redrive("INV/first"))
    business.set_policies(delivery=in_order(bulkhead=9))
    business.wait(5)
    assert business.state.senders["erp"].order == {"o1": ["INV/first", "INV/second"]}
    assert "INV/second" not in [key for _, key in sent(business)]


def test_messages_of_one_step_keep_their_order_through_a_change_of_policies() -> None:  # RC-03
    business = Business({"north": {"a": 5}}, delivery=in_order())
    business.accept(business.capture([("a", 2)]))
    business.accept(business.acknowledge(KEY))
    business.accept(business.credit(1, credit="A1"))
    business.accept(business.ship(KEY))
    business.set_policies(delivery=in_order(bulkhead=9))
    business.wait(1)
    assert "A1" not in [key for _, key in sent(business)]


def test_what_waited_behind_a_withdrawn_release_goes_on() -> None:
    stock = {"north": {"a": 9}, "south": {"a": 9}}
    rules = [rule("north", "b", "to_order", lead_time_ms=HOUR)]
    slow = {"timeout_ms": 2 * HOUR, "deadline_ms": 10 * HOUR, "retries": 0}
    business = Business(stock, rules, delivery=policies(in_order=True, fallback=True, **slow))
    business.accept(business.capture([("a", 1), ("b", 1)]))
    (purchase,) = business.state.purchase_orders
    business.accept(business.acknowledge(purchase))
    business.accept(business.receive())
    assert business.state.deliveries["o1/north/2"].stage == "queued"
    business.accept(business.acknowledge(KEY, "refused", "no"))
    business.wait(0)
    assert business.state.deliveries["o1/north/2"].stage == "in_flight"


# --- silence


def asked(business: Business, kind: str) -> list[AskStatus]:
    return [
        each.effect
        for each in business.outbox.sent
        if isinstance(each.effect, AskStatus) and each.gateway.startswith(kind)
    ]


def test_a_supplier_is_asked_on_and_reported_where_its_warehouse_is_not_asked() -> None:
    watched = DeliveryPolicy("supplier", acknowledge=False, chase_ms=HOUR)
    quiet = [DeliveryPolicy(kind, acknowledge=False) for kind in ("warehouse", "erp")]
    business = Business({}, [rule("north", "b", "to_order", lead_time_ms=5 * HOUR)], delivery=(watched, *quiet))
    business.accept(business.capture([("b", 1)]))
    business.accept(business.answer(eta=5 * HOUR))
    business.wait(10 * HOUR)
    assert len(asked(business, "supplier")) == 5
    assert business.state.tickets


def test_a_warehouse_that_knows_nothing_of_a_purchase_is_no_word_of_its_supplier() -> None:
    rules = [rule("north", "b", "to_order", lead_time_ms=5 * HOUR)]
    business = Business({}, rules, delivery=delivery_policies(chase_ms=HOUR))
    business.accept(business.capture([("b", 1)]))
    (key,) = business.state.purchase_orders
    business.accept(business.answer(eta=5 * HOUR))
    for _ in range(12):
        before = len(asked(business, "warehouse"))
        business.wait(HOUR)
        if len(asked(business, "warehouse")) > before:
            business.accept(c.ReportStatus(business.name(), "north", business.at, key, "warehouse", key, "unknown"))
    assert business.events(TicketOpened)


def test_done_of_which_nothing_comes_is_reported_too() -> None:
    business = Business({"north": {"a": 9}}, delivery=delivery_policies(chase_ms=HOUR))
    business.accept(business.capture([("a", 1)]))
    for _ in range(5):
        business.wait(HOUR)
        business.accept(c.ReportStatus(business.name(), "north", business.at, KEY, "warehouse", "o1", "done"))
    assert business.events(TicketOpened)


def test_policies_that_are_set_again_and_again_start_no_watch_anew() -> None:
    watched = delivery_policies(chase_ms=DAY)
    business = Business({"north": {"a": 9}}, delivery=watched)
    business.accept(business.capture([("a", 1)]))
    for _ in range(8):
        business.wait(12 * HOUR)
        business.set_policies(delivery=watched)
    assert len(business.events(StatusAsked)) == 4


# --- limits

BREAKER = BreakerPolicy(window=2, minimum=2, open_ms=10_000, trials=3, holds=True)


def test_a_half_open_breaker_whose_trials_become_fewer_begins_them_anew() -> None:  # RC-09
    rules = {"retries": 0, "timeout_ms": 5_000, "deadline_ms": 100 * HOUR}
    business = many(0, breaker=BREAKER, **rules)
    for number in range(4):
        business.accept(business.capture([("a", 1)], order=f"o{number}"))
        if number == 2:
            business.wait(10_000)
        outcome = "failed" if number < 2 else "succeeded"
        if f"o{number}/north/1" in [key for _, key in sent(business)]:
            business.accept(business.acknowledge(f"o{number}/north/1", outcome))
    assert business.state.senders["warehouse/north"].breaker.stage == "half_open"
    business.set_policies(delivery=policies(breaker=replace(BREAKER, trials=1), **rules))
    business.accept(business.capture([("a", 1)], order="o9"))
    business.wait(0)
    assert business.state.deliveries["o9/north/1"].stage == "in_flight"


def test_no_step_spends_more_of_a_retry_budget_than_it_holds() -> None:  # RC-01
    rules = BreakerPolicy(window=1, minimum=1, open_ms=HOUR, trials=1)
    limits = {"bulkhead": 1, "budget_ppm": 1, "budget_reserve": 2, "retries": 5, "timeout_ms": 5_000}
    business = many(20, breaker=rules, **limits)
    business.accept(business.acknowledge("o0/north/1", "failed"))
    business.wait(0)
    assert len(business.events(DeliveryFailed)) == 2
    assert business.state.retry_budgets["warehouse/north"] >= 0


def test_hedges_that_are_due_together_spend_no_more_than_the_budget_holds() -> None:  # RC-09, RC-01
    business = many(20, hedge_ms=50, budget_ppm=1, budget_reserve=1, retries=5)
    business.wait(60)
    assert len(business.events(DeliveryHedged)) == 1
    business.wait(40)
    assert not business.state.deliveries or business.events(DeliveryFailed) or business.state.dead_letters


def test_a_bound_sheds_only_what_cannot_go_at_once() -> None:  # RC-09
    business = Business(
        {"north": {"a": 900}}, wave_times={"north": (HOUR,)}, waves=True, delivery=policies(bound=3, bulkhead=5)
    )
    for number in range(10):
        business.accept(business.capture([("a", 1)], order=f"o{number}"))
    business.wait(HOUR - business.at)
    assert len(sent(business)) == 5
    assert len(business.events(DeliveryDeadLettered)) == 2
    assert [opened.stage for opened in business.state.deliveries.values()].count("queued") == 3


def test_a_drain_limit_holds_for_attempts_that_failed_while_the_breaker_was_open() -> None:  # PU-07
    rules = replace(BREAKER, trials=1, holds=False)
    waits = {"backoff_ms": MINUTE, "cap_ms": MINUTE, "timeout_ms": 5_000, "deadline_ms": 100 * HOUR, "retries": 30}
    business = many(0, breaker=rules, drain_us=1_000_000, **waits)
    for number in range(12):
        business.accept(business.capture([("a", 1)], order=f"o{number}"))
        if number < 2:
            business.accept(business.acknowledge(f"o{number}/north/1", "failed"))
    before = len(sent(business))
    for _ in range(1_500):
        business.wait(250)
        for key, opened in list(business.state.deliveries.items()):
            if opened.stage == "in_flight":
                business.accept(business.acknowledge(key))
    times = [at for at, _ in sent(business)[before:]]
    assert len(times) == 12
    assert min(late - early for early, late in pairwise(times)) >= 1_000


def test_the_most_critical_goes_first_in_a_pool_though_one_gateway_is_first_in_first_out() -> None:  # RC-11
    slow = {"acknowledge": True, "timeout_ms": HOUR, "pool": "senders"}
    both = (DeliveryPolicy("warehouse", **slow), DeliveryPolicy("erp", fifo=True, **slow))
    quiet = DeliveryPolicy("supplier", acknowledge=False)
    business = Business({"north": {"a": 9}}, delivery=(*both, quiet), pools=(Pool("senders", 1),))
    business.accept(business.capture([("a", 1)], order="early"))
    business.accept(business.acknowledge("early/north/1"))
    business.accept(business.capture([("a", 1)], order="busy"))
    business.accept(business.ship("early/north/1"))
    business.accept(business.capture([("a", 1)], order="urgent", channel="desk"))
    business.accept(business.acknowledge("busy/north/1"))
    assert sent(business)[-1][1] == "urgent/north/1"


def test_a_faster_limit_owes_nothing_for_a_slower_one() -> None:  # RC-09
    slow = {"interval_us": 60_000_000, "burst": 100, "deadline_ms": 100 * HOUR, "timeout_ms": DAY}
    business = many(100, **slow)
    business.set_policies(delivery=policies(interval_us=1_000_000, deadline_ms=100 * HOUR))
    business.accept(business.capture([("a", 1)], order="next"))
    business.wait(2_000)
    assert "next/north/1" in [key for _, key in sent(business)]


def test_a_redrive_has_its_retries_anew() -> None:  # RC-03
    business = released(retries=3)
    business.wait(1_000)
    assert len(sent(business)) == 4
    business.accept(business.redrive(KEY))
    business.wait(1_000)
    assert len(sent(business)) == 8


@pytest.mark.parametrize(
    "change",
    [
        {"hedge_ms": -5},
        {"hedges": 0, "hedge_ms": 5},
        {"chase_ms": -5},
        {"chases": 0},
        {"dead_ms": -1},
        {"jitter": "fulll"},
        {"retries": -1},
        {"deadline_ms": 0},
        {"timeout_ms": 0},
        {"backoff_ms": -1},
        {"acknowledge": False, "fallback": True},
        {"hedge_ms": 10, "timeout_ms": 5},
        {"hedge_ms": 10, "bulkhead": 1},
        {"hedge_ms": 10, "acknowledge": False},
        {"breaker": BreakerPolicy(failures_ppm=0)},
        {"breaker": BreakerPolicy(slow_ms=-5)},
    ],
    ids=lambda change: " ".join(change),
)
def test_a_policy_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    business = Business()
    policy = replace(DeliveryPolicy("erp"), **change)
    command = c.DefinePolicies(business.name(), "test", business.at, Policies(delivery=(policy,)))
    assert business.refused(command) == "send_queue"


def test_a_pool_is_defined_once() -> None:
    business = Business()
    twice = Policies(pools=(Pool("senders", 1), Pool("senders", 9)))
    command = c.DefinePolicies(business.name(), "test", business.at, twice)
    assert business.refused(command) == "send_queue"
