"""Sending something again, and asking a counterpart to undo what it may have begun."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from twin.core.draft import Draft
from twin.core.effects import CancelPurchaseOrder, CancelRelease, Delivery
from twin.core.events import DeliveryQueued, DeliveryRedriven, Event
from twin.core.master import DEFAULT_DELIVERY, DeliveryPolicy, expires_at
from twin.core.state import OpenDelivery, State

__all__ = ["ITSELF", "hand_over", "send_again", "undo"]

ITSELF: Final = "orchestration"
"""Who sends a cancellation again that is still wanted."""


def hand_over(policy: DeliveryPolicy, again: Delivery, now: int, draft: Draft) -> None:
    """Send an attempt, or put it into the queue."""
    if policy.queues:
        draft.events.append(DeliveryQueued(again.key, replace(again, expires_at=0)))
    else:
        draft.deliveries.append(replace(again, expires_at=expires_at(policy, now, again.deadline)))


def send_again(state: State, dead: OpenDelivery, actor: str, now: int, draft: Draft) -> None:
    """Send a dead letter again, same key, with a new deadline and its retries anew."""
    delivery = dead.delivery
    policy = state.gateways.get(delivery.gateway.partition("/")[0], DEFAULT_DELIVERY)
    draft.events.append(DeliveryRedriven(delivery.key, actor))
    hand_over(policy, replace(delivery, attempt=dead.attempt + 1, deadline=now + policy.deadline_ms), now, draft)


def undo(
    state: State,
    key: str,
    request: Event,
    party: str,
    effect: CancelRelease | CancelPurchaseOrder,
    correlation: str,
    criticality: str,
    now: int,
    draft: Draft,
) -> None:
    """Ask `party` to undo something by a message of its own, once: one that was given up is sent again."""
    if key in state.deliveries:
        return
    dead = state.dead_letters.get(key)
    if dead is not None:
        send_again(state, dead, ITSELF, now, draft)
        return
    draft.events.append(request)
    kind = "warehouse" if isinstance(effect, CancelRelease) else "supplier"
    draft.deliver(state, key, kind, party, effect, correlation, criticality, now)
