"""Deliveries on their way: timeouts, retries with backoff and keyed jitter, dead letters and redrives.

The outcome of an attempt is succeeded, refused (permanent), failed (retryable) or unknown (timed out: it may have
been done). The core draws nothing: jitter is a hash of the delivery's key and attempt.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from msgspec.structs import replace

from twin.core.commands import AcknowledgeDelivery, RedriveDelivery
from twin.core.draft import Draft
from twin.core.effects import PostCredit, PostInvoice
from twin.core.events import (
    DeliveryDeadLettered,
    DeliveryFailed,
    DeliveryRedriven,
    DeliveryRetried,
    DeliverySucceeded,
    InvoicePosted,
)
from twin.core.master import DEFAULT_DELIVERY, DeliveryPolicy
from twin.core.refusals import Refusal
from twin.core.state import OpenDelivery, State

__all__ = [
    "RETRY",
    "acknowledge_delivery",
    "backoff",
    "policy_of",
    "redrive_delivery",
    "retries_left",
    "wake_delivery",
]

RETRY: Final = 1_000_000
"""One retry, in the unit of the retry budgets."""


def policy_of(state: State, gateway: str) -> DeliveryPolicy:
    """The policy of a gateway `kind/party`, by its kind."""
    return state.gateways.get(gateway.partition("/")[0], DEFAULT_DELIVERY)


def retries_left(state: State, policy: DeliveryPolicy, gateway: str) -> int:
    """What a gateway's retry budget holds, in millionths of a retry; full before its first attempt."""
    return state.retry_budgets.get(gateway, policy.budget_reserve * RETRY)


def backoff(policy: DeliveryPolicy, key: str, attempt: int) -> int:
    """Milliseconds to wait after a failed `attempt` (from 1): exponential, capped, with keyed jitter."""
    ceiling = min(policy.cap_ms, policy.backoff_ms << min(attempt - 1, 40))
    if policy.jitter == "none":
        return ceiling
    digest = blake2b(f"{key}#{attempt}".encode(), digest_size=8).digest()
    drawn = (ceiling * int.from_bytes(digest, "big")) >> 64
    return drawn if policy.jitter == "full" else ceiling // 2 + drawn // 2


def acknowledge_delivery(state: State, command: AcknowledgeDelivery, now: int, draft: Draft) -> Refusal | None:
    """Take a gateway's transport answer."""
    opened = state.deliveries.get(command.delivery)
    if command.outcome == "succeeded":
        answered = opened or state.dead_letters.get(command.delivery)
        if answered is None:
            return Refusal("unknown_delivery", f"'{command.delivery}' is not open")
        draft.events.append(DeliverySucceeded(command.delivery))
        effect = answered.delivery.effect
        if isinstance(effect, PostInvoice | PostCredit):
            # The ERP's transport answers for the document: nothing else will, once the delivery is settled.
            draft.events.append(InvoicePosted(effect.order, command.delivery))
        return None
    if opened is None:
        return Refusal("unknown_delivery", f"'{command.delivery}' is not open")
    if command.attempt and command.attempt != opened.attempt:
        # The present attempt may still succeed; that an earlier one did not is old news.
        return Refusal("attempt", f"'{command.delivery}' is at attempt {opened.attempt}, not {command.attempt}")
    if command.outcome == "refused":
        draft.events.append(DeliveryDeadLettered(command.delivery, opened.attempt, f"refused: {command.reason}"))
        return None
    if command.outcome != "failed":
        return Refusal("outcome", f"'{command.outcome}'; an outcome is succeeded, refused or failed")
    if opened.stage == "in_flight":
        _fail(state, opened, "failed", command.reason, now, draft)
        return None
    return Refusal("stage", f"'{command.delivery}' waits for its retry already")


def wake_delivery(state: State, key: str, now: int, draft: Draft) -> None:
    """An attempt timed out, or a retry is due."""
    opened = state.deliveries[key]
    if opened.stage == "in_flight":
        _fail(state, opened, "unknown", "no answer in time", now, draft)
        return
    attempt = opened.attempt + 1
    draft.events.append(DeliveryRetried(key, attempt))
    expires_at = now + policy_of(state, opened.delivery.gateway).timeout_ms
    draft.deliveries.append(replace(opened.delivery, attempt=attempt, expires_at=expires_at))


def _fail(state: State, opened: OpenDelivery, outcome: str, reason: str, now: int, draft: Draft) -> None:
    delivery = opened.delivery
    policy = policy_of(state, delivery.gateway)
    retry_at = now + backoff(policy, delivery.key, opened.attempt)
    if opened.attempt > policy.retries:
        draft.events.append(DeliveryDeadLettered(delivery.key, opened.attempt, f"retries used up: {reason}"))
    elif retry_at >= delivery.deadline:
        draft.events.append(DeliveryDeadLettered(delivery.key, opened.attempt, f"deadline passed: {reason}"))
    elif policy.budget_ppm and retries_left(state, policy, delivery.gateway) < RETRY:
        draft.events.append(DeliveryDeadLettered(delivery.key, opened.attempt, f"retry budget used up: {reason}"))
    else:
        draft.events.append(DeliveryFailed(delivery.key, opened.attempt, outcome, reason, retry_at))


def redrive_delivery(state: State, command: RedriveDelivery, now: int, draft: Draft) -> Refusal | None:
    """Send a dead letter again, same key, with a new deadline."""
    dead = state.dead_letters.get(command.delivery)
    if dead is None:
        return Refusal("unknown_dead_letter", f"'{command.delivery}' is no dead letter")
    policy = policy_of(state, dead.delivery.gateway)
    draft.events.append(DeliveryRedriven(command.delivery, command.actor))
    deadline, expires_at = now + policy.deadline_ms, now + policy.timeout_ms
    again = replace(dead.delivery, attempt=dead.attempt + 1, deadline=deadline, expires_at=expires_at)
    draft.deliveries.append(again)
    return None
