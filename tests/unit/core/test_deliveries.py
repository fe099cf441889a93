"""Deliveries: timeouts, retries with the same key, dead letters, redrives, and answers that come late or twice."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.unit.core.given import DAY, HOUR, Business, delivery_policies
from twin.core import commands as c
from twin.core.attempts import backoff
from twin.core.effects import PostInvoice
from twin.core.events import (
    DeliveryDeadLettered,
    DeliveryExpired,
    DeliveryFailed,
    DeliveryHedged,
    DeliveryRetried,
    DeliverySucceeded,
    InvoicePosted,
)
from twin.core.master import DeliveryPolicy, Policies

KEY = "o1/north/1"
SETTINGS: dict[str, Any] = {
    "acknowledge": True,
    "timeout_ms": 100,
    "backoff_ms": 1_000,
    "cap_ms": 3_000,
    "retries": 3,
    "deadline_ms": HOUR,
}


def sent(**changes: Any) -> Business:
    business = Business({"north": {"a": 4}}, delivery=delivery_policies(**{**SETTINGS, **changes}))
    business.accept(business.capture([("a", 4)]))
    return business


def attempts(business: Business) -> list[tuple[int, int]]:
    """(instant, attempt) of every sending of the delivery."""
    return [
        (entry.now, delivery.attempt)
        for entry in business.journal.read(0)
        for delivery in entry.deliveries
        if delivery.key == KEY
    ]


def test_no_answer_in_time_sends_the_same_key_again_later_and_later() -> None:  # RC-06
    business = sent()
    business.wait(HOUR)
    assert attempts(business) == [(0, 1), (1_100, 2), (3_200, 3), (6_300, 4)]
    assert [failed.outcome for failed in business.events(DeliveryFailed)] == ["unknown"] * 3
    assert len({delivery.key for delivery in business.outbox.sent}) == 1


@pytest.mark.parametrize("outcome", ["failed", "refused"])
def test_a_late_answer_to_an_earlier_attempt_ends_no_later_one(outcome: str) -> None:
    business = sent()
    business.wait(1_100)
    assert attempts(business) == [(0, 1), (1_100, 2)]
    late = business.acknowledge(KEY, outcome, "no route")
    assert business.refused(replace(late, attempt=1)) == "attempt"
    assert (business.state.deliveries[KEY].stage, business.state.deliveries[KEY].attempt) == ("in_flight", 2)
    business.accept(replace(late, attempt=2))
    opened = business.state.deliveries.get(KEY) or business.state.dead_letters[KEY]
    assert opened.stage == ("waiting" if outcome == "failed" else "dead")


def test_a_late_success_of_any_attempt_settles_the_delivery() -> None:
    business = sent()
    business.wait(1_100)
    business.accept(replace(business.acknowledge(KEY), attempt=1))
    assert business.state.deliveries == {}


def test_a_delivery_that_used_up_its_retries_is_a_visible_dead_letter() -> None:  # RC-16
    business = sent()
    business.wait(HOUR)
    dead = business.state.dead_letters[KEY]
    assert (dead.stage, dead.attempt, dead.since) == ("dead", 4, 6_400)
    assert "retries used up" in dead.reason
    assert business.state.deliveries == {}
    assert business.driver.engine.next_due() is None


def test_a_delivery_is_given_up_rather_than_sent_past_its_deadline() -> None:
    business = sent(deadline_ms=3_000)
    business.wait(HOUR)
    assert attempts(business) == [(0, 1), (1_100, 2)]
    assert "deadline passed" in business.events(DeliveryDeadLettered)[0].reason


def test_a_refusal_for_good_is_not_tried_again() -> None:
    business = sent()
    business.accept(business.acknowledge(KEY, "refused", "no such carrier"))
    business.wait(HOUR)
    assert attempts(business) == [(0, 1)]
    assert business.state.dead_letters[KEY].reason == "refused: no such carrier"


def test_a_failure_is_tried_again_after_its_backoff() -> None:
    business = sent()
    business.wait(50)
    business.accept(business.acknowledge(KEY, "failed", "busy"))
    business.wait(1_000)
    assert attempts(business) == [(0, 1), (1_050, 2)]
    assert business.events(DeliveryRetried)[0].attempt == 2


def test_an_answer_settles_the_delivery_and_its_timer() -> None:
    business = sent()
    business.accept(business.acknowledge(KEY))
    assert business.state.deliveries == {}
    business.wait(HOUR)
    assert attempts(business) == [(0, 1)]


@pytest.mark.parametrize("wait", [500, 1_150, HOUR])
def test_a_late_answer_counts_while_waiting_in_flight_again_or_dead(wait: int) -> None:
    business = sent()
    business.wait(wait)
    business.accept(business.acknowledge(KEY))
    assert business.state.deliveries == business.state.dead_letters == {}
    so_far = attempts(business)
    business.wait(HOUR)
    assert attempts(business) == so_far


def test_every_attempt_tells_when_it_is_given_up() -> None:  # RC-02
    business = sent()
    business.wait(HOUR)
    assert [(delivery.attempt, delivery.expires_at) for delivery in business.sent(KEY)] == [
        (1, 100),
        (2, 1_200),
        (3, 3_300),
        (4, 6_400),
    ]
    business.accept(business.redrive(KEY))
    again = business.sent(KEY)[-1]
    assert (again.attempt, again.expires_at) == (5, business.at + 100)


def dead_letters_of(orders: int, **changes: Any) -> list[str]:
    """Reasons of the dead letters of that many orders that nobody answers, one a second."""
    business = Business({"north": {"a": 100}}, delivery=delivery_policies(**{**SETTINGS, "retries": 1, **changes}))
    for number in range(orders):
        business.accept(business.capture([("a", 1)], order=f"o{number}"))
        business.wait(1_000)
    business.wait(HOUR)
    return [event.reason.partition(":")[0] for event in business.events(DeliveryDeadLettered)]


def test_a_retry_budget_allows_its_reserve_and_then_its_share_of_the_first_attempts() -> None:  # RC-01
    # A reserve of 2, and a fifth of a retry for each first attempt.
    reasons = dead_letters_of(20, budget_ppm=200_000, budget_reserve=2)
    assert len(reasons) == 20
    # The first attempt finds the budget full; the 19 others earn 3.8 retries.
    assert reasons.count("retries used up") == 5
    assert dead_letters_of(20).count("retries used up") == 20


def test_a_retry_budget_is_each_counterparts_own() -> None:
    business = Business(
        {"north": {"a": 10}, "south": {"b": 10}},
        delivery=delivery_policies(**{**SETTINGS, "budget_ppm": 1, "budget_reserve": 1}),
    )
    business.accept(business.capture([("a", 1), ("b", 1)]))
    business.wait(200)
    assert len(business.events(DeliveryFailed)) == 2
    business.wait(HOUR)
    assert sorted(business.state.retry_budgets) == ["warehouse/north", "warehouse/south"]


@pytest.mark.parametrize("changes", [{"budget_ppm": -1}, {"budget_ppm": 1, "budget_reserve": 0}])
def test_a_budget_that_allows_nothing_is_refused(changes: dict[str, int]) -> None:
    business = Business()
    policies = Policies(delivery=(DeliveryPolicy("erp", **changes),))
    assert business.refused(c.DefinePolicies("budget", "test", 0, policies)) == "retry_budget"


def test_an_answer_at_the_timeout_counts() -> None:
    business = sent()
    business.wait(99)
    business.accept(business.acknowledge(KEY))
    assert business.events(DeliveryFailed) == []


def test_a_second_answer_is_refused() -> None:
    business = sent()
    business.accept(business.acknowledge(KEY))
    assert business.refused(business.acknowledge(KEY)) == "unknown_delivery"
    assert business.refused(business.acknowledge(KEY, "failed")) == "unknown_delivery"


def test_a_failure_told_twice_counts_once() -> None:
    business = sent()
    business.accept(business.acknowledge(KEY, "failed"))
    assert business.refused(business.acknowledge(KEY, "failed")) == "stage"


def test_an_answer_in_no_known_words_is_refused() -> None:
    assert sent().refused(sent().acknowledge(KEY, "perhaps")) == "outcome"


def test_a_dead_letter_is_sent_again_with_its_key_on_somebody_s_decision() -> None:
    business = sent()
    business.wait(HOUR)
    at = business.at
    business.accept(business.redrive(KEY))
    assert attempts(business)[-1] == (at, 5)
    assert business.sent(KEY)[-1].deadline == at + HOUR
    assert business.state.dead_letters == {}
    business.accept(business.acknowledge(KEY))
    assert business.state.deliveries == {}


def test_only_a_dead_letter_can_be_redriven() -> None:
    business = sent()
    assert business.refused(business.redrive(KEY)) == "unknown_dead_letter"
    assert business.refused(business.redrive("nothing")) == "unknown_dead_letter"


def test_a_delivery_that_nobody_acknowledges_is_settled_once_it_is_handed_over() -> None:
    business = sent(acknowledge=False)
    assert business.state.deliveries == {}
    assert business.sent(KEY)[0].deadline == 0


def test_a_gateway_that_no_policy_names_gets_the_default_one_and_its_deadline() -> None:
    business = Business({"north": {"a": 4}}, delivery=())
    business.accept(business.capture([("a", 4)]))
    assert business.sent(KEY)[0].deadline == DeliveryPolicy("").deadline_ms
    business.wait(DeliveryPolicy("").timeout_ms)
    assert business.state.deliveries[KEY].stage == "waiting"


def test_a_delivery_under_way_is_seen_through_when_its_policy_stops_acknowledging() -> None:
    business = sent()
    business.set_policies(delivery=delivery_policies(**{**SETTINGS, "acknowledge": False}))
    business.wait(DAY)
    assert list(business.state.dead_letters) == [KEY]


def billed() -> Business:
    business = sent()
    business.accept(business.acknowledge(KEY))
    business.accept(business.ship(shipment="s1"))
    business.accept(business.milestone())
    return business


@pytest.mark.parametrize("answer", ["posted", "acknowledged"])
def test_either_answer_of_the_erp_settles_the_bill_so_that_the_order_can_close(answer: str) -> None:
    business = billed()
    business.accept(business.confirm("INV/s1") if answer == "posted" else business.acknowledge("INV/s1"))
    assert len(business.events(InvoicePosted)) == 1
    business.wait(2 * DAY)
    assert business.state.orders == {}


def test_an_order_whose_bill_is_a_dead_letter_stays_and_closes_once_it_is_posted() -> None:  # RC-16
    business = billed()
    business.wait(3 * DAY)
    assert list(business.state.dead_letters) == ["INV/s1"]
    assert business.status() == "delivered"
    business.accept(business.confirm("INV/s1"))
    business.wait(2 * DAY)
    assert business.state.orders == {}


def test_a_bill_is_sent_again_with_the_same_key_and_amount() -> None:  # FI-02
    business = billed()
    business.wait(2_000)
    bills = [delivery for delivery in business.outbox.sent if isinstance(delivery.effect, PostInvoice)]
    assert len(bills) == 2
    assert bills[0].key == bills[1].key and bills[0].effect == bills[1].effect


def test_a_posting_that_answers_no_bill_or_another_order_s_is_refused() -> None:
    business = billed()
    assert business.refused(business.confirm("nothing")) == "unknown_delivery"
    assert business.refused(business.confirm("INV/s1", order="o2")) == "order"
    business.load("north", {"a": 1})
    business.accept(business.capture([("a", 1)], order="o2"))
    assert business.refused(business.confirm("o2/north/1", order="o2")) == "no_document"


# --- backoff


@pytest.mark.parametrize(("attempt", "wait"), [(1, 1_000), (2, 2_000), (3, 3_000), (90, 3_000)])
def test_backoff_doubles_up_to_its_cap(attempt: int, wait: int) -> None:
    assert backoff(DeliveryPolicy("erp", backoff_ms=1_000, cap_ms=3_000, jitter="none"), "k", attempt) == wait


@pytest.mark.parametrize(("jitter", "low"), [("full", 0), ("equal", 500)])
def test_jitter_spreads_evenly_between_its_bounds_and_depends_on_the_key_alone(jitter: str, low: int) -> None:
    policy = DeliveryPolicy("erp", backoff_ms=1_000, jitter=jitter)
    drawn = [backoff(policy, f"key {number}", 1) for number in range(400)]
    assert drawn == [backoff(policy, f"key {number}", 1) for number in range(400)]
    assert low <= min(drawn) and max(drawn) <= 1_000
    middle = (low + 1_000) // 2
    assert abs(sum(drawn) - 400 * middle) < 400 * 60
    assert backoff(policy, "key 1", 1) != backoff(policy, "key 2", 1)


def test_the_default_policies_acknowledge_nothing_they_were_not_told_of() -> None:
    assert Policies().delivery == ()


# --- dead letters expire


def test_a_dead_letter_expires_when_nobody_sends_it_again_in_time() -> None:  # RC-03
    business = sent(retries=0, dead_ms=2 * HOUR)
    business.wait(2 * HOUR)
    assert business.state.dead_letters[KEY].stage == "dead"
    business.wait(100)
    assert [event.delivery for event in business.events(DeliveryExpired)] == [KEY]
    assert business.state.dead_letters[KEY].stage == "expired"
    assert business.refused(business.redrive(KEY)) == "expired_dead_letter"
    assert business.driver.engine.next_due() is None


def test_a_dead_letter_that_is_sent_again_expires_no_more() -> None:  # RC-03
    business = sent(retries=0, dead_ms=2 * HOUR)
    business.wait(HOUR)
    business.accept(business.redrive(KEY))
    business.accept(business.acknowledge(KEY))
    business.wait(DAY)
    assert not business.events(DeliveryExpired)


def test_an_answer_to_an_expired_dead_letter_settles_it() -> None:  # RC-03
    business = sent(retries=0, dead_ms=2 * HOUR)
    business.wait(3 * HOUR)
    assert business.state.dead_letters[KEY].stage == "expired"
    business.accept(replace(business.acknowledge(KEY), attempt=1))
    assert business.state.dead_letters == {}
    assert business.events(DeliverySucceeded)


def test_what_expires_holds_up_nothing_behind_it() -> None:  # RC-03
    business = sent(retries=0, dead_ms=2 * HOUR, in_order=True)
    business.wait(HOUR)
    waiting = business.state.senders["warehouse/north"].order
    assert list(waiting.values()) == [[KEY]]
    business.wait(2 * HOUR)
    assert waiting == {}


def test_a_change_of_policies_gives_dead_letters_their_expiry_and_takes_it() -> None:  # RC-03
    business = sent(retries=0)
    business.wait(HOUR)
    for dead_ms, due in ((4 * HOUR, {f"dead/{KEY}": 100 + 4 * HOUR}), (0, {})):
        policy = DeliveryPolicy("warehouse", **{**SETTINGS, "retries": 0, "dead_ms": dead_ms})
        business.set_policies(delivery=(policy,))
        timers = business.state.timers.due
        assert {key: at for key, at in timers.items() if key.startswith("dead/")} == due


# --- hedging


def test_an_attempt_without_an_answer_is_sent_beside_the_first() -> None:  # RC-09
    business = sent(hedge_ms=40)
    business.wait(40)
    assert attempts(business) == [(0, 1), (40, 2)]
    assert [event.attempt for event in business.events(DeliveryHedged)] == [2]
    # The first answer counts, whichever attempt it is to.
    business.accept(replace(business.acknowledge(KEY), attempt=1))
    assert business.state.deliveries == {}
    business.wait(HOUR)
    assert attempts(business) == [(0, 1), (40, 2)]


def test_a_hedge_times_out_as_any_attempt_and_each_try_has_its_own() -> None:  # RC-09
    business = sent(hedge_ms=40, retries=4)
    business.wait(HOUR)
    # 1 and its hedge 2, given up 100 ms after it; 3 and its hedge; 5, after which no retry is left for a hedge.
    numbers = [number for _, number in attempts(business)]
    hedges = [event.attempt for event in business.events(DeliveryHedged)]
    assert (numbers, hedges) == ([1, 2, 3, 4, 5], [2, 4])
    sent_at = {number: at for at, number in attempts(business)}
    failed = {
        event.attempt: entry.now
        for entry in business.journal.read(0)
        for event in entry.events
        if isinstance(event, DeliveryFailed)
    }
    assert failed == {2: sent_at[2] + 100, 4: sent_at[4] + 100}
    assert business.state.dead_letters[KEY].doubtful


def test_a_hedge_spends_the_retry_budget() -> None:  # RC-09, RC-01
    business = sent(hedge_ms=40, budget_ppm=1, budget_reserve=1)
    business.wait(HOUR)
    assert attempts(business) == [(0, 1), (40, 2)]
    assert "retry budget used up" in business.state.dead_letters[KEY].reason


def test_a_failure_of_the_first_attempt_leaves_its_hedge_alone() -> None:  # RC-09
    business = sent(hedge_ms=40)
    business.wait(40)
    first = replace(business.acknowledge(KEY, "failed", "busy"), attempt=1)
    assert business.refused(first) == "attempt"
    assert business.state.deliveries[KEY].stage == "in_flight"
