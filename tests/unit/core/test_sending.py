"""The send queue: bulkhead, pool, rate, breaker, drain limit, bound and order, and what waits in it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.unit.core.given import HOUR, MINUTE, Business, delivery_policies
from twin.core import commands as c
from twin.core.commands import Wake
from twin.core.events import (
    BreakerClosed,
    BreakerHalfOpened,
    BreakerOpened,
    DeliveryDeadLettered,
    DeliveryFailed,
    DeliveryQueued,
)
from twin.core.master import BreakerPolicy, DeliveryPolicy, Policies, Pool
from twin.core.refusals import CorruptLog
from twin.core.stages import BREAKER, advance

SETTINGS: dict[str, Any] = {
    "acknowledge": True,
    "timeout_ms": 1_000,
    "backoff_ms": 0,
    "retries": 0,
    "deadline_ms": HOUR,
}


def queued(pools: tuple[Pool, ...] = (), **changes: Any) -> Business:
    """A business whose warehouse `north` has plenty of `a`, and every gateway the same policy."""
    policies = delivery_policies(**{**SETTINGS, **changes})
    return Business({"north": {"a": 900}}, delivery=policies, pools=pools)


def order(business: Business, number: int, channel: str = "web") -> str:
    """Capture an order for one unit; returns the key of its release."""
    business.accept(business.capture([("a", 1)], order=f"o{number}", channel=channel))
    return f"o{number}/north/1"


def sent(business: Business) -> list[tuple[int, str]]:
    """(instant, key) of every attempt."""
    return [(entry.now, each.key) for entry in business.journal.read(0) for each in entry.deliveries]


def keys(business: Business) -> list[str]:
    return [key for _, key in sent(business)]


def test_a_bulkhead_bounds_what_is_under_way_and_the_next_goes_when_one_is_done() -> None:  # RC-09
    business = queued(bulkhead=2)
    first, second, third = (order(business, number) for number in (1, 2, 3))
    assert keys(business) == [first, second]
    assert business.state.deliveries[third].stage == "queued"
    business.accept(business.acknowledge(second))
    assert keys(business) == [first, second, third]
    assert business.state.senders["warehouse/north"].in_flight == 2


def test_a_timeout_frees_its_place_too() -> None:
    business = queued(bulkhead=1)
    first, second = order(business, 1), order(business, 2)
    business.wait(MINUTE)
    assert sent(business) == [(0, first), (1_000, second)]


def test_the_queue_is_served_by_criticality_and_then_by_age_or_by_age_alone() -> None:  # RC-11
    for fifo, wanted in ((False, [1, 4, 3, 5, 2]), (True, [1, 2, 3, 4, 5])):
        business = queued(bulkhead=1, fifo=fifo)
        # Class C is the market's, B the web's, A the desk's.
        for number, channel in enumerate(("web", "market", "web", "desk", "web"), start=1):
            order(business, number, channel)
        for _ in range(5):
            business.accept(business.acknowledge(keys(business)[-1]))
        assert keys(business) == [f"o{number}/north/1" for number in wanted]


@pytest.mark.parametrize("bulkhead", [0, 1])
def test_gateways_of_a_pool_starve_each_other_unless_a_bulkhead_keeps_some_of_it_free(bulkhead: int) -> None:  # RC-10
    policies = tuple(
        replace(policy, bulkhead=bulkhead) if policy.gateway == "warehouse" else policy
        for policy in delivery_policies(**SETTINGS, pool="workers")
    )
    business = Business({"north": {"a": 900}}, delivery=policies, pools=(Pool("workers", 2),))
    business.accept(business.acknowledge(order(business, 1)))
    # The warehouse no longer answers: orders 2 and 3 take all the senders that they may.
    order(business, 2)
    order(business, 3)
    business.accept(business.ship("o1/north/1"))
    waiting = [each.delivery.gateway for each in business.state.deliveries.values() if each.stage == "queued"]
    assert waiting == (["warehouse/north"] if bulkhead else ["erp"])


def test_a_client_rate_limit_spaces_attempts_after_its_burst() -> None:  # RC-09
    business = queued(interval_us=1_500_000, burst=2)
    for number in range(1, 6):
        order(business, number)
    business.wait(MINUTE)
    # A message that follows a timer is taken in the next millisecond.
    assert [at for at, _ in sent(business)] == [0, 1, 1_500, 3_000, 4_500]


BREAKER_POLICY = BreakerPolicy(window=4, minimum=4, failures_ppm=500_000, open_ms=10_000, trials=2)


def test_a_breaker_opens_at_its_failure_rate_fails_at_once_tries_and_closes() -> None:  # RC-09
    business = queued(breaker=BREAKER_POLICY)
    outcomes = ("succeeded", "failed", "succeeded", "failed")
    for number, outcome in enumerate(outcomes, start=1):
        business.accept(business.acknowledge(order(business, number), outcome))
    opened = business.events(BreakerOpened)
    assert opened == [BreakerOpened("warehouse/north", business.at + 10_000, 4, 2, 0)]
    order(business, 5)
    dead = business.events(DeliveryDeadLettered)[-1]
    assert (dead.delivery, dead.reason, dead.outcome) == ("o5/north/1", "retries used up: breaker open", "unsent")
    assert len(sent(business)) == 4
    business.wait(10_000)
    assert not business.events(BreakerHalfOpened)
    trials = [order(business, 6), order(business, 7)]
    assert len(business.events(BreakerHalfOpened)) == 1
    order(business, 8)
    assert keys(business)[4:] == trials
    assert business.events(DeliveryDeadLettered)[-1].delivery == "o8/north/1"
    for key in trials:
        business.accept(business.acknowledge(key))
    assert len(business.events(BreakerClosed)) == 1
    assert order(business, 9) == keys(business)[-1]


def test_failing_trials_open_the_breaker_again() -> None:
    business = queued(breaker=BREAKER_POLICY)
    for number in range(1, 5):
        business.accept(business.acknowledge(order(business, number), "failed"))
    business.wait(10_000)
    for number in (6, 7):
        business.accept(business.acknowledge(order(business, number), "failed"))
    first, second = business.events(BreakerOpened)
    assert second.until == business.at + 10_000 > first.until


def test_a_breaker_that_holds_keeps_the_queue_and_tries_by_itself() -> None:  # PU-06
    business = queued(breaker=replace(BREAKER_POLICY, holds=True))
    for number in range(1, 5):
        business.accept(business.acknowledge(order(business, number), "failed"))
    for number in range(5, 9):
        order(business, number)
    assert len(sent(business)) == 4
    business.wait(10_000)
    until = business.events(BreakerOpened)[0].until
    assert sent(business)[4:] == [(until, "o5/north/1"), (until, "o6/north/1")]
    business.accept(business.acknowledge("o5/north/1"))
    assert len(sent(business)) == 6
    business.accept(business.acknowledge("o6/north/1"))
    assert keys(business)[6:] == ["o7/north/1", "o8/north/1"]
    # The four that failed before it opened are dead letters; none that was held was lost.
    assert len(business.state.dead_letters) == 4


def test_a_breaker_opens_for_slow_answers_and_by_a_window_of_time() -> None:
    slow = replace(BREAKER_POLICY, slow_ms=100, slow_ppm=750_000)
    business = queued(breaker=slow)
    for number in range(1, 5):
        key = order(business, number)
        business.wait(101 if number > 1 else 100)
        business.accept(business.acknowledge(key))
    opened = business.events(BreakerOpened)
    assert [(each.attempts, each.failed, each.slow) for each in opened] == [(4, 0, 3)]
    timed = replace(BREAKER_POLICY, window_ms=5_000, minimum=3)
    business = queued(breaker=timed)
    for number, wait in enumerate((3_000, 3_000, 1_000), start=1):
        business.accept(business.acknowledge(order(business, number), "failed"))
        business.wait(wait)
    # The first at 0 s is out of the window of 5 s at 6 s; at 7 s there are three again.
    assert not business.events(BreakerOpened)
    business.accept(business.acknowledge(order(business, 9), "failed"))
    assert [opened.attempts for opened in business.events(BreakerOpened)] == [3]


def test_a_refusal_for_good_counts_as_a_good_answer() -> None:  # GV-04
    business = queued(breaker=BREAKER_POLICY)
    for number in range(1, 9):
        business.accept(business.acknowledge(order(business, number), "refused", "no such item"))
    assert not business.events(BreakerOpened)


def test_a_posting_that_the_erp_confirms_closes_its_breaker() -> None:
    business = queued(breaker=replace(BREAKER_POLICY, window=1, minimum=1, trials=1, holds=True))
    business.accept(business.acknowledge(order(business, 1)))
    business.accept(business.ship("o1/north/1"))
    (bill,) = business.state.deliveries
    business.wait(1_000)
    assert business.state.senders["erp"].breaker.stage == "open"
    business.accept(business.redrive(bill))
    business.wait(10_000)
    business.accept(business.confirm(bill))
    assert business.state.senders["erp"].breaker.stage == "closed"


def test_an_attempt_from_before_the_outage_is_no_trial() -> None:
    business = queued(breaker=replace(BREAKER_POLICY, trials=1), timeout_ms=MINUTE)
    old = order(business, 10)
    for number in range(1, 5):
        business.accept(business.acknowledge(order(business, number), "failed"))
    business.wait(10_000)
    trial = order(business, 5)
    business.accept(business.acknowledge(old, "failed"))
    assert len(business.events(BreakerOpened)) == 1 and not business.events(BreakerClosed)
    business.accept(business.acknowledge(trial))
    assert len(business.events(BreakerClosed)) == 1


def test_after_an_outage_the_queue_is_drained_at_its_limit_and_then_no_longer() -> None:  # PU-07
    business = queued(breaker=replace(BREAKER_POLICY, holds=True, trials=1), drain_us=500_000)
    for number in range(1, 5):
        business.accept(business.acknowledge(order(business, number), "failed"))
    for number in range(5, 9):
        order(business, number)
    until = business.events(BreakerOpened)[0].until
    for _ in range(4):
        business.wait(10_000 if len(sent(business)) == 4 else 500)
        business.accept(business.acknowledge(keys(business)[-1]))
    assert [at - until for at, _ in sent(business)[4:]] == [0, 500, 1_000, 1_500]
    assert not business.state.senders["warehouse/north"].draining
    order(business, 20)
    order(business, 21)
    assert keys(business)[-1] == "o21/north/1"


def test_past_its_bound_the_queue_sheds_the_least_critical_and_youngest() -> None:  # RC-09, RC-11, RC-16
    business = queued(bulkhead=1, bound=2)
    for number, channel in enumerate(("web", "market", "web", "market", "desk"), start=1):
        order(business, number, channel)
    shed = business.events(DeliveryDeadLettered)
    assert [each.delivery for each in shed] == ["o4/north/1", "o2/north/1"]
    assert {each.reason for each in shed} == {"shed: 2 wait already"}
    assert sorted(business.state.dead_letters) == ["o2/north/1", "o4/north/1"]


def test_a_delivery_that_waited_up_to_its_deadline_is_a_dead_letter_that_never_left() -> None:  # RC-02
    business = queued(interval_us=600_000, deadline_ms=500)
    order(business, 1)
    waits = order(business, 2)
    business.wait(550)
    dead = business.state.dead_letters[waits]
    assert dead.reason == "deadline passed: it waited to be sent"
    assert waits not in keys(business)
    business.accept(business.redrive(waits))
    business.wait(100)
    assert keys(business)[-1] == waits


def test_no_attempt_goes_on_past_the_deadline_of_all() -> None:  # RC-02
    business = queued(bulkhead=1, deadline_ms=500)
    first = order(business, 1)
    business.wait(100)
    second = order(business, 2)
    expires = {each.key: each.expires_at for entry in business.journal.read(0) for each in entry.deliveries}
    assert expires == {first: 500}
    business.wait(400)
    # The first one's end lets the second go, for what is left of its time.
    assert sent(business)[-1] == (500, second)
    business.wait(99)
    assert second in business.state.deliveries
    business.wait(1)
    assert second in business.state.dead_letters


def test_a_late_success_settles_a_delivery_whose_retry_waits_in_the_queue() -> None:
    business = queued(bulkhead=1, retries=2)
    first = order(business, 1)
    order(business, 2, "desk")
    business.wait(1_000)
    assert business.state.deliveries[first].stage == "queued"
    assert business.refused(business.acknowledge(first, "failed")) == "stage"
    business.accept(business.acknowledge(first))
    assert first not in business.state.deliveries
    business.wait(HOUR)
    assert keys(business).count(first) == 1


def test_deliveries_about_one_order_keep_their_order_and_none_passes_a_dead_letter() -> None:  # RC-03
    for in_order, wanted in ((True, ["held"]), (False, ["held", "next"])):
        policies = delivery_policies(**{**SETTINGS, "in_order": in_order, "retries": 0})
        business = Business({"north": {"a": 5}, "south": {"a": 5}}, delivery=policies)
        business.accept(business.capture([("a", 7)]))
        for key in list(business.state.fulfillment_orders):
            business.accept(business.acknowledge(key))
        # Two parcels, so two invoices of one order to one ERP.
        first, second = list(business.state.fulfillment_orders)
        business.accept(business.ship(first))
        (held,) = business.state.deliveries
        business.accept(business.acknowledge(held, "refused", "no such customer"))
        business.accept(business.ship(second))
        invoices = [key for _, key in sent(business) if "invoice" in key or key not in (first, second)]
        assert len(invoices) == len(wanted)
        if not in_order:
            continue
        (following,) = business.state.deliveries
        assert business.state.deliveries[following].stage == "queued"
        business.accept(business.redrive(held))
        business.accept(business.acknowledge(held))
        assert keys(business)[-2:] == [held, following]


def test_a_wish_for_a_later_retry_is_granted_unless_the_policy_says_no() -> None:  # GV-03
    for honors, at in ((True, 7_000), (False, 100)):
        business = queued(bulkhead=5, retries=1, backoff_ms=100, retry_after=honors)
        answer = business.acknowledge(order(business, 1), "failed", "429 too many requests")
        answered = business.accept(replace(answer, retry_after_ms=7_000)).now
        business.wait(MINUTE)
        assert [when - answered for when, _ in sent(business)][1:] == [at]


def test_reasons_that_are_permanent_are_not_tried_again() -> None:  # GV-04, RC-01
    business = queued(retries=5, permanent=("404", "unknown"))
    business.accept(business.acknowledge(order(business, 1), "failed", "404 no such order"))
    business.accept(business.acknowledge(order(business, 2), "failed", "503"))
    assert [dead.reason for dead in business.events(DeliveryDeadLettered)] == ["not to be repeated: 404 no such order"]
    assert [failed.delivery for failed in business.events(DeliveryFailed)] == ["o2/north/1"]


def test_a_change_of_policy_keeps_what_waits_and_what_is_under_way() -> None:
    business = queued(bulkhead=1)
    for number in range(1, 5):
        order(business, number)
    business.set_policies(delivery=delivery_policies(**SETTINGS, bulkhead=3))
    business.wait(0)
    assert len(sent(business)) == 3
    business.set_policies(delivery=delivery_policies(**SETTINGS))
    business.wait(0)
    assert len(sent(business)) == 4
    business.wait(HOUR)
    assert not business.state.deliveries
    assert len(business.state.dead_letters) == 4


def test_a_budget_is_cut_by_its_reserve_and_begins_anew_when_it_comes_back() -> None:
    def told(business: Business, **settings: Any) -> None:
        business.set_policies(delivery=delivery_policies(**{**SETTINGS, "retries": 9, **settings}))

    business = queued(retries=9, budget_ppm=1, budget_reserve=50)
    order(business, 1)
    told(business, budget_ppm=1, budget_reserve=2)
    for _ in range(3):
        business.accept(business.acknowledge("o1/north/1", "failed"))
        business.wait(0)
    assert business.state.dead_letters["o1/north/1"].reason.startswith("retry budget used up")
    told(business)
    assert not business.state.retry_budgets
    told(business, budget_ppm=1, budget_reserve=1)
    order(business, 2)
    business.accept(business.acknowledge("o2/north/1", "failed"))
    assert "o2/north/1" in business.state.deliveries


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"bulkhead": -1}, "below zero"),
        ({"burst": 0, "interval_us": 5}, "below 1"),
        ({"pool": "workers"}, "no pool"),
        ({"drain_us": 5}, "there is none"),
        ({"bulkhead": 1, "acknowledge": False}, "unacknowledged"),
        ({"breaker": BreakerPolicy(trials=0)}, "1 trial"),
        ({"breaker": BreakerPolicy(window=5, minimum=6)}, "never sees 6"),
    ],
)
def test_a_send_queue_that_makes_no_sense_is_refused(changes: dict[str, Any], told: str) -> None:
    business = Business()
    policy = replace(DeliveryPolicy("erp"), **changes)
    command = c.DefinePolicies("queue", "test", 0, Policies(delivery=(policy,)))
    assert business.refused(command) == "send_queue"
    refusal = business.driver.engine.decide(replace(command, id="again"), business.at).refusal
    assert refusal is not None and told in refusal.text


def test_a_pool_without_a_sender_is_refused() -> None:
    command = c.DefinePolicies("queue", "test", 0, Policies(pools=(Pool("workers", 0),)))
    assert Business().refused(command) == "send_queue"


def test_the_breaker_goes_where_its_table_says_or_the_log_is_corrupt() -> None:
    for stage in ("closed", "open", "half_open"):
        for event in ("opened", "half_opened", "closed"):
            if (stage, event) in BREAKER:
                assert advance(BREAKER, stage, event, "erp") == BREAKER[(stage, event)]
            else:
                with pytest.raises(CorruptLog, match="erp: no transition"):
                    advance(BREAKER, stage, event, "erp")


def test_without_a_queue_nothing_is_queued() -> None:
    business = Business({"north": {"a": 9}}, delivery=delivery_policies(**SETTINGS))
    order(business, 1)
    assert not business.events(DeliveryQueued) and not business.state.senders
    assert business.driver.engine.decide(Wake("send/erp"), business.at).refusal is not None
