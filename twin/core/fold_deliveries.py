"""Folding events about deliveries into the state."""

from __future__ import annotations

from twin.core.delivery import RETRY, policy_of, retries_left
from twin.core.effects import PostCredit, PostInvoice
from twin.core.events import (
    DeliveryDeadLettered,
    DeliveryFailed,
    DeliveryRedriven,
    DeliveryRetried,
    DeliverySucceeded,
)
from twin.core.fold_orders import settle
from twin.core.stages import DELIVERY, advance
from twin.core.state import State
from twin.core.timers import cancel_timer, set_timer


def delivery_succeeded(state: State, event: DeliverySucceeded, now: int) -> None:
    opened = state.deliveries.pop(event.delivery, None)
    if opened is None:
        opened = state.dead_letters.pop(event.delivery)
    advance(DELIVERY, opened.stage, "succeeded", event.delivery)
    cancel_timer(state.timers, f"delivery/{event.delivery}")
    effect = opened.delivery.effect
    if opened.counted and isinstance(effect, PostInvoice | PostCredit):
        order = state.orders[effect.order]
        order.unposted -= 1
        settle(state, order)


def delivery_failed(state: State, event: DeliveryFailed, now: int) -> None:
    opened = state.deliveries[event.delivery]
    opened.stage = advance(DELIVERY, opened.stage, "failed", event.delivery)
    opened.reason = event.reason
    gateway = opened.delivery.gateway
    policy = policy_of(state, gateway)
    if policy.budget_ppm:
        # Spent as it is decided: retries that wait for their turn are spoken for.
        state.retry_budgets[gateway] = retries_left(state, policy, gateway) - RETRY
    set_timer(state.timers, f"delivery/{event.delivery}", event.retry_at)


def delivery_retried(state: State, event: DeliveryRetried, now: int) -> None:
    opened = state.deliveries[event.delivery]
    opened.stage = advance(DELIVERY, opened.stage, "retried", event.delivery)
    opened.attempt = event.attempt


def delivery_dead_lettered(state: State, event: DeliveryDeadLettered, now: int) -> None:
    opened = state.deliveries.pop(event.delivery)
    opened.stage = advance(DELIVERY, opened.stage, "dead_lettered", event.delivery)
    opened.reason = event.reason
    opened.since = now
    state.dead_letters[event.delivery] = opened
    cancel_timer(state.timers, f"delivery/{event.delivery}")


def delivery_redriven(state: State, event: DeliveryRedriven, now: int) -> None:
    opened = state.dead_letters.pop(event.delivery)
    opened.stage = advance(DELIVERY, opened.stage, "redriven", event.delivery)
    state.deliveries[event.delivery] = opened
