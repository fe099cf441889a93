"""Deliveries on their way: timeouts, retries with backoff and keyed jitter, dead letters and redrives.

The outcome of an attempt is succeeded, refused (permanent), failed (retryable) or unknown (timed out: it may have
been done). Where the gateway has a send queue, an attempt waits in it first: see `sending`.
"""

from __future__ import annotations

from msgspec.structs import replace

from twin.core.attempts import fail_attempt, policy_of
from twin.core.breaker import FAILED, SLOW, WELL, verdict
from twin.core.commands import AcknowledgeDelivery, RedriveDelivery
from twin.core.draft import Draft
from twin.core.effects import Delivery, PostCredit, PostInvoice
from twin.core.events import (
    DeliveryDeadLettered,
    DeliveryQueued,
    DeliveryRedriven,
    DeliveryRetried,
    DeliverySucceeded,
    InvoicePosted,
)
from twin.core.master import DeliveryPolicy
from twin.core.refusals import Refusal
from twin.core.state import OpenDelivery, State

__all__ = ["acknowledge_delivery", "outcome_kind", "redrive_delivery", "wake_delivery"]


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
        draft.events.append(DeliverySucceeded(command.delivery))
        _judge(state, answered, "succeeded", now, draft)
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
        reason = f"refused: {command.reason}"
        draft.events.append(DeliveryDeadLettered(command.delivery, opened.attempt, reason, "refused"))
        _judge(state, opened, "refused", now, draft)
        return None
    if command.outcome != "failed":
        return Refusal("outcome", f"'{command.outcome}'; an outcome is succeeded, refused or failed")
    if opened.stage == "in_flight":
        fail_attempt(state, opened, "failed", command.reason, now, draft, command.retry_after_ms)
        _judge(state, opened, "failed", now, draft)
        return None
    return Refusal("stage", f"no attempt of '{command.delivery}' is under way")


def wake_delivery(state: State, key: str, now: int, draft: Draft) -> None:
    """An attempt timed out, a retry is due, or a delivery has waited in the send queue up to its deadline."""
    opened = state.deliveries[key]
    if opened.stage == "in_flight":
        fail_attempt(state, opened, "unknown", "no answer in time", now, draft)
        _judge(state, opened, "unknown", now, draft)
        return
    if opened.stage == "queued":
        reason = "deadline passed: it waited to be sent"
        draft.events.append(DeliveryDeadLettered(key, opened.attempt, reason, "unsent"))
        return
    attempt = opened.attempt + 1
    draft.events.append(DeliveryRetried(key, attempt))
    _hand_over(policy_of(state, opened.delivery.gateway), replace(opened.delivery, attempt=attempt), now, draft)


def redrive_delivery(state: State, command: RedriveDelivery, now: int, draft: Draft) -> Refusal | None:
    """Send a dead letter again, same key, with a new deadline."""
    dead = state.dead_letters.get(command.delivery)
    if dead is None:
        return Refusal("unknown_dead_letter", f"'{command.delivery}' is no dead letter")
    policy = policy_of(state, dead.delivery.gateway)
    draft.events.append(DeliveryRedriven(command.delivery, command.actor))
    again = replace(dead.delivery, attempt=dead.attempt + 1, deadline=now + policy.deadline_ms)
    _hand_over(policy, again, now, draft)
    return None
