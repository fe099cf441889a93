"""One attempt of a delivery: which policy it follows, and what becomes of the delivery when the attempt fails.

The core draws nothing: jitter is a hash of the delivery's key and attempt.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from twin.core.breaker import FAILED, SLOW, WELL, verdict
from twin.core.compensation import give_up
from twin.core.draft import Draft
from twin.core.effects import (
    AskPromise,
    AskRelease,
    AskReservations,
    AskSourcing,
    CancelPurchaseOrder,
    CancelRelease,
    CreatePurchaseOrder,
    Delivery,
    ReleaseToWarehouse,
    ReserveUnits,
)
from twin.core.events import DeliveryFailed, DeliveryHedged, DeliverySucceeded
from twin.core.keyed import share
from twin.core.master import DEFAULT_DELIVERY, DeliveryPolicy, expires_at
from twin.core.state import OpenDelivery, State

__all__ = [
    "RETRY",
    "acted_on",
    "backoff",
    "fail_attempt",
    "hedge",
    "outcome_kind",
    "policy_of",
    "refuse_attempt",
    "retries_left",
    "succeed_attempt",
]

RETRY: Final = 1_000_000
"""One retry, in the unit of the retry budgets."""


def policy_of(state: State, gateway: str) -> DeliveryPolicy:
    """The policy of a gateway `kind/party`, by its kind."""
    return state.gateways.get(gateway.partition("/")[0], DEFAULT_DELIVERY)


def retries_left(state: State, policy: DeliveryPolicy, gateway: str) -> int:
    """What a gateway's retry budget holds, in millionths of a retry; full before its first attempt."""
    full = policy.budget_reserve * RETRY
    return min(state.retry_budgets.get(gateway, full), full)


def acted_on(state: State, delivery: Delivery) -> bool:
    """Whether a counterpart has done what it was asked for, or it is over anyhow, whatever it answered."""
    effect = delivery.effect
    if isinstance(effect, ReleaseToWarehouse):
        fulfillment = state.fulfillment_orders.get(effect.fulfillment_order)
        return fulfillment is None or fulfillment.stage != "released"
    if isinstance(effect, CreatePurchaseOrder):
        purchase = state.purchase_orders.get(effect.purchase_order)
        return purchase is None or purchase.stage != "created"
    if isinstance(effect, CancelRelease):
        return effect.fulfillment_order not in state.fulfillment_orders
    if isinstance(effect, CancelPurchaseOrder):
        return effect.purchase_order not in state.purchase_orders
    if isinstance(effect, AskRelease):
        order = state.orders.get(effect.order)
        return order is None or order.release_asked != delivery.key
    if isinstance(effect, ReserveUnits):
        claim = state.claims.get(effect.claim)
        return claim is None or claim.stage != "asked"
    if isinstance(effect, AskReservations):
        return state.asking != effect.request
    if isinstance(effect, AskPromise):
        return effect.order not in state.orders
    if isinstance(effect, AskSourcing):
        order = state.orders.get(effect.order)
        return order is None or order.asked != delivery.key
    return False


def _left(state: State, policy: DeliveryPolicy, gateway: str, draft: Draft) -> int:
    """What a retry budget holds after what this step has spent of it already."""
    spent = [
        event
        for event in draft.events
        if isinstance(event, DeliveryFailed | DeliveryHedged)
        and state.deliveries[event.delivery].delivery.gateway == gateway
    ]
    return retries_left(state, policy, gateway) - len(spent) * RETRY


def hedge(state: State, opened: OpenDelivery, now: int, draft: Draft) -> None:
    """Send an attempt a second time beside the one that waits for its answer, if the retry budget still allows it."""
    gateway = opened.delivery.gateway
    policy = policy_of(state, gateway)
    if policy.budget_ppm and _left(state, policy, gateway, draft) < RETRY:
        return
    attempt = opened.attempt + 1
    draft.events.append(DeliveryHedged(opened.delivery.key, attempt))
    ends = expires_at(policy, now, opened.delivery.deadline)
    draft.deliveries.append(replace(opened.delivery, attempt=attempt, expires_at=ends))


def backoff(policy: DeliveryPolicy, key: str, attempt: int) -> int:
    """Milliseconds to wait after a failed `attempt` (from 1): exponential, capped, with keyed jitter."""
    if policy.jitter == "decorrelated":
        wait = policy.backoff_ms
        for number in range(1, attempt + 1):
            # Each wait is drawn between the base and three times the one before.
            wait = min(policy.cap_ms, policy.backoff_ms + share(3 * wait - policy.backoff_ms, key, number))
        return wait
    ceiling = min(policy.cap_ms, policy.backoff_ms << min(attempt - 1, 40))
    if policy.jitter == "none":
        return ceiling
    drawn = share(ceiling, key, attempt)
    return drawn if policy.jitter == "full" else ceiling // 2 + drawn // 2


def outcome_kind(policy: DeliveryPolicy, opened: OpenDelivery, outcome: str, now: int) -> int:
    """How an attempt under way ended, for its gateway's breaker: well, slowly or failed."""
    if outcome in ("failed", "unknown"):
        return FAILED
    rules = policy.breaker
    return SLOW if rules is not None and rules.slow_ms and now - opened.sent_at > rules.slow_ms else WELL


def _judge(state: State, opened: OpenDelivery, outcome: str, now: int, draft: Draft) -> None:
    """Open or close the gateway's breaker where the end of an attempt under way is a reason to."""
    gateway = opened.delivery.gateway
    policy = policy_of(state, gateway)
    sender = state.senders.get(gateway)
    if policy.breaker is None or sender is None or opened.stage != "in_flight":
        return
    kind = outcome_kind(policy, opened, outcome, now)
    change = verdict(sender.breaker, policy.breaker, gateway, opened.delivery.key, kind, now)
    if change is not None:
        draft.events.append(change)


def succeed_attempt(state: State, opened: OpenDelivery, now: int, draft: Draft) -> None:
    """What was asked for was done, whichever message says so."""
    draft.events.append(DeliverySucceeded(opened.delivery.key))
    _judge(state, opened, "succeeded", now, draft)


def refuse_attempt(state: State, opened: OpenDelivery, reason: str, now: int, draft: Draft) -> None:
    """The counterpart will not do it: the delivery is given up."""
    give_up(state, opened, f"refused: {reason}", now, draft, outcome="refused")
    _judge(state, opened, "refused", now, draft)


def fail_attempt(
    state: State, opened: OpenDelivery, outcome: str, reason: str, now: int, draft: Draft, retry_after_ms: int = 0
) -> None:
    """Try a delivery again later, or give it up where its policy allows no further attempt.

    `outcome` is failed, unknown, or unsent where the attempt never left the engine.
    """
    delivery = opened.delivery
    if acted_on(state, delivery):
        succeed_attempt(state, opened, now, draft)
        return
    policy = policy_of(state, delivery.gateway)
    retry_at = now + backoff(policy, delivery.key, opened.attempt)
    if policy.retry_after:
        retry_at = max(retry_at, now + retry_after_ms)
    if policy.permanent and reason.startswith(policy.permanent):
        why = "not to be repeated"
    elif opened.attempt - opened.redriven_at > policy.retries:
        why = "retries used up"
    elif retry_at >= delivery.deadline:
        why = "deadline passed"
    elif policy.budget_ppm and _left(state, policy, delivery.gateway, draft) < RETRY:
        why = "retry budget used up"
    else:
        draft.events.append(DeliveryFailed(delivery.key, opened.attempt, outcome, reason, retry_at))
        _judge(state, opened, outcome, now, draft)
        return
    left = "unsent" if outcome == "unsent" else ""
    give_up(state, opened, f"{why}: {reason}", now, draft, outcome=left, doubtful=outcome == "unknown")
    _judge(state, opened, outcome, now, draft)
