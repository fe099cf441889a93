"""Deliveries on their way: timeouts, retries with backoff and keyed jitter, dead letters and redrives.

The outcome of an attempt is succeeded, refused (permanent), failed (retryable) or unknown (timed out: it may have
been done). Where the gateway has a send queue, an attempt waits in it first: see `sending`.
"""

from __future__ import annotations

from msgspec.structs import replace

from twin.core.attempts import fail_attempt, policy_of, refuse_attempt, succeed_attempt
from twin.core.commands import AcknowledgeDelivery, RedriveDelivery
from twin.core.compensation import give_up
from twin.core.draft import Draft
from twin.core.effects import Delivery, PostCredit, PostInvoice
from twin.core.events import (
    DeliveryHedged,
    DeliveryQueued,
    DeliveryRedriven,
    DeliveryRetried,
    InvoicePosted,
)
from twin.core.master import DeliveryPolicy
from twin.core.refusals import Refusal
from twin.core.state import State

__all__ = ["acknowledge_delivery", "redrive_delivery", "wake_delivery"]


def _hand_over(policy: DeliveryPolicy, again: Delivery, now: int, draft: Draft) -> None:
    """Send an attempt, or put it into the queue."""
    if policy.queues:
        draft.events.append(DeliveryQueued(again.key, replace(again, expires_at=0)))
    else:
        draft.deliveries.append(replace(again, expires_at=now + policy.timeout_ms))


def acknowledge_delivery(state: State, command: AcknowledgeDelivery, now: int, draft: Draft) -> Refusal | None:
    """Take a gateway's transport answer."""
    opened = state.deliveries.get(command.delivery)
    if command.outcome == "succeeded":
        answered = opened or state.dead_letters.get(command.delivery)
        if answered is None:
            return Refusal("unknown_delivery", f"'{command.delivery}' is not open")
        succeed_attempt(state, answered, now, draft)
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
        refuse_attempt(state, opened, command.reason, now, draft)
        return None
    if command.outcome != "failed":
        return Refusal("outcome", f"'{command.outcome}'; an outcome is succeeded, refused or failed")
    if opened.stage == "in_flight":
        fail_attempt(state, opened, "failed", command.reason, now, draft, command.retry_after_ms)
        return None
    return Refusal("stage", f"no attempt of '{command.delivery}' is under way")


def wake_delivery(state: State, key: str, now: int, draft: Draft) -> None:
    """An attempt timed out or is to be hedged, a retry is due, or one waited in the send queue up to its deadline."""
    opened = state.deliveries[key]
    if opened.stage == "in_flight":
        if now < opened.delivery.expires_at:
            timeout = policy_of(state, opened.delivery.gateway).timeout_ms
            draft.events.append(DeliveryHedged(key, opened.attempt + 1))
            draft.deliveries.append(replace(opened.delivery, attempt=opened.attempt + 1, expires_at=now + timeout))
            return
        fail_attempt(state, opened, "unknown", "no answer in time", now, draft)
        return
    if opened.stage == "queued":
        reason = "deadline passed: it waited to be sent"
        give_up(state, opened, reason, now, draft, outcome="unsent")
        return
    attempt = opened.attempt + 1
    draft.events.append(DeliveryRetried(key, attempt))
    _hand_over(policy_of(state, opened.delivery.gateway), replace(opened.delivery, attempt=attempt), now, draft)


def redrive_delivery(state: State, command: RedriveDelivery, now: int, draft: Draft) -> Refusal | None:
    """Send a dead letter again, same key, with a new deadline."""
    dead = state.dead_letters.get(command.delivery)
    if dead is None:
        return Refusal("unknown_dead_letter", f"'{command.delivery}' is no dead letter")
    if dead.stage == "expired":
        return Refusal("expired_dead_letter", f"'{command.delivery}' has expired; it can no longer be sent")
    policy = policy_of(state, dead.delivery.gateway)
    draft.events.append(DeliveryRedriven(command.delivery, command.actor))
    again = replace(dead.delivery, attempt=dead.attempt + 1, deadline=now + policy.deadline_ms)
    _hand_over(policy, again, now, draft)
    return None
