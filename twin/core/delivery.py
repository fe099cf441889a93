"""Deliveries on their way: timeouts, retries with backoff and keyed jitter, dead letters and redrives.

The outcome of an attempt is succeeded, refused (permanent), failed (retryable) or unknown (timed out: it may have
been done). Where the gateway has a send queue, an attempt waits in it first: see `sending`.
"""

from __future__ import annotations

from msgspec.structs import replace

from twin.core.attempts import acted_on, fail_attempt, hedge, policy_of, refuse_attempt, succeed_attempt
from twin.core.commands import AcknowledgeDelivery, RedriveDelivery
from twin.core.compensation import give_up
from twin.core.draft import Draft
from twin.core.effects import AskReservations, PostCredit, PostInvoice, ReserveUnits
from twin.core.events import DeliveryRetried, InvoicePosted
from twin.core.refusals import Refusal
from twin.core.sending import LATE
from twin.core.state import State
from twin.core.undoing import hand_over, send_again

__all__ = ["acknowledge_delivery", "redrive_delivery", "wake_delivery"]


def acknowledge_delivery(state: State, command: AcknowledgeDelivery, now: int, draft: Draft) -> Refusal | None:
    """Take a gateway's transport answer."""
    opened = state.deliveries.get(command.delivery)
    if command.outcome == "succeeded":
        answered = opened or state.dead_letters.get(command.delivery)
        if answered is None:
            return Refusal("unknown_delivery", f"'{command.delivery}' is not open")
        effect = answered.delivery.effect
        if isinstance(effect, ReserveUnits | AskReservations):
            return Refusal("no_answer", f"that '{command.delivery}' was taken does not say what came of it")
        succeed_attempt(state, answered, now, draft)
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
            hedge(state, opened, now, draft)
            return
        fail_attempt(state, opened, "unknown", "no answer in time", now, draft)
        return
    if opened.stage == "queued":
        if acted_on(state, opened.delivery):
            succeed_attempt(state, opened, now, draft)
            return
        give_up(state, opened, LATE, now, draft, outcome="unsent")
        return
    if acted_on(state, opened.delivery):
        # Its counterpart has done it, whatever became of the answer to that.
        succeed_attempt(state, opened, now, draft)
        return
    attempt = opened.attempt + 1
    draft.events.append(DeliveryRetried(key, attempt))
    hand_over(policy_of(state, opened.delivery.gateway), replace(opened.delivery, attempt=attempt), now, draft)


def redrive_delivery(state: State, command: RedriveDelivery, now: int, draft: Draft) -> Refusal | None:
    """Send a dead letter again, same key, with a new deadline."""
    dead = state.dead_letters.get(command.delivery)
    if dead is None:
        return Refusal("unknown_dead_letter", f"'{command.delivery}' is no dead letter")
    if dead.stage == "expired":
        return Refusal("expired_dead_letter", f"'{command.delivery}' has expired; it can no longer be sent")
    send_again(state, dead, command.actor, now, draft)
    return None
