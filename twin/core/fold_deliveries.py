"""Folding events about deliveries into the state."""

from __future__ import annotations

from twin.core import breaker
from twin.core.attempts import RETRY, policy_of, retries_left
from twin.core.effects import Delivery, PostCredit, PostInvoice
from twin.core.events import (
    BreakerClosed,
    BreakerHalfOpened,
    BreakerOpened,
    DeliveryDeadLettered,
    DeliveryDispatched,
    DeliveryExpired,
    DeliveryFailed,
    DeliveryHedged,
    DeliveryLapsed,
    DeliveryQueued,
    DeliveryRedriven,
    DeliveryRetried,
    DeliverySucceeded,
)
from twin.core.fold_orders import settle
from twin.core.master import DeliveryPolicy, expires_at
from twin.core.sending import joined, move, reschedule, sender_of, settled, took_slot
from twin.core.stages import DELIVERY, advance
from twin.core.state import OpenDelivery, State
from twin.core.timers import cancel_timer, set_timer

__all__ = ["delivery_sent"]


def delivery_sent(state: State, sent: Delivery, now: int) -> None:
    """An attempt was handed over: keep it with its timeout, where an acknowledgement is wanted."""
    opened = state.deliveries.get(sent.key)
    policy = policy_of(state, sent.gateway)
    if opened is None:
        if not policy.acknowledge:
            return
        opened = _open(state, policy, sent, now)
    opened.delivery = sent
    opened.attempt = sent.attempt
    opened.sent_at = now
    ends = expires_at(policy, now, sent.deadline)
    if policy.hedge_ms and opened.hedged < policy.hedges and sent.attempt - opened.redriven_at <= policy.retries:
        ends = min(ends, now + policy.hedge_ms)
    set_timer(state.timers, f"delivery/{sent.key}", ends)


def _open(state: State, policy: DeliveryPolicy, delivery: Delivery, now: int) -> OpenDelivery:
    opened = state.deliveries[delivery.key] = OpenDelivery(delivery, delivery.attempt, "in_flight", "", now)
    if policy.budget_ppm:
        # Each first attempt earns its share of a retry, up to the reserve.
        left = retries_left(state, policy, delivery.gateway) + policy.budget_ppm
        state.retry_budgets[delivery.gateway] = min(left, policy.budget_reserve * RETRY)
    if isinstance(delivery.effect, PostInvoice | PostCredit):
        order = state.orders.get(delivery.effect.order)
        if order is not None:
            order.unposted += 1
            opened.counted = True
    return opened


def delivery_queued(state: State, event: DeliveryQueued, now: int) -> None:
    delivery = event.queued
    opened = state.deliveries.get(event.delivery)
    if opened is None:
        opened = _open(state, policy_of(state, delivery.gateway), delivery, now)
    opened.stage = advance(DELIVERY, opened.stage, "queued", event.delivery)
    opened.delivery = delivery
    opened.attempt = delivery.attempt
    # An attempt queues behind what is there, a repeated one too: what fails again and again holds up nothing else.
    opened.queued_at = now
    joined(state, opened)
    set_timer(state.timers, f"delivery/{event.delivery}", max(delivery.deadline, now))
    reschedule(state, delivery.gateway, now)


def delivery_dispatched(state: State, event: DeliveryDispatched, now: int) -> None:
    opened = state.deliveries[event.delivery]
    move(state, opened, "dispatched", now)
    took_slot(state, opened.delivery.gateway, event.delivery, now)
    reschedule(state, opened.delivery.gateway, now)


def delivery_succeeded(state: State, event: DeliverySucceeded, now: int) -> None:
    opened = state.deliveries.pop(event.delivery, None)
    if opened is None:
        opened = state.dead_letters.pop(event.delivery)
        cancel_timer(state.timers, f"dead/{event.delivery}")
    move(state, opened, "succeeded", now, "succeeded")
    cancel_timer(state.timers, f"delivery/{event.delivery}")
    effect = opened.delivery.effect
    if opened.counted and isinstance(effect, PostInvoice | PostCredit):
        order = state.orders[effect.order]
        order.unposted -= 1
        settle(state, order)


def delivery_failed(state: State, event: DeliveryFailed, now: int) -> None:
    opened = state.deliveries[event.delivery]
    move(state, opened, "failed", now, event.outcome)
    opened.reason = event.reason
    opened.doubtful = opened.doubtful or event.outcome == "unknown"
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
    opened.hedged = 0


def delivery_hedged(state: State, event: DeliveryHedged, now: int) -> None:
    opened = state.deliveries[event.delivery]
    opened.stage = advance(DELIVERY, opened.stage, "hedged", event.delivery)
    opened.hedged += 1
    opened.doubtful = True  # nobody will tell what became of the attempt before
    gateway = opened.delivery.gateway
    policy = policy_of(state, gateway)
    if policy.budget_ppm:
        state.retry_budgets[gateway] = retries_left(state, policy, gateway) - RETRY


def delivery_dead_lettered(state: State, event: DeliveryDeadLettered, now: int) -> None:
    opened = state.deliveries.pop(event.delivery)
    move(state, opened, "dead_lettered", now, event.outcome or "failed")
    opened.reason = event.reason
    opened.since = now
    state.dead_letters[event.delivery] = opened
    cancel_timer(state.timers, f"delivery/{event.delivery}")
    expires_after = policy_of(state, opened.delivery.gateway).dead_ms
    if expires_after:
        set_timer(state.timers, f"dead/{event.delivery}", now + expires_after)


def delivery_lapsed(state: State, event: DeliveryLapsed, now: int) -> None:
    opened = state.deliveries.pop(event.delivery)
    move(state, opened, "lapsed", now, event.outcome or "failed")
    cancel_timer(state.timers, f"delivery/{event.delivery}")


def delivery_expired(state: State, event: DeliveryExpired, now: int) -> None:
    opened = state.dead_letters[event.delivery]
    opened.stage = advance(DELIVERY, opened.stage, "expired", event.delivery)
    settled(state, opened)


def delivery_redriven(state: State, event: DeliveryRedriven, now: int) -> None:
    opened = state.dead_letters.pop(event.delivery)
    opened.stage = advance(DELIVERY, opened.stage, "redriven", event.delivery)
    opened.hedged = 0
    opened.redriven_at = opened.attempt
    cancel_timer(state.timers, f"dead/{event.delivery}")
    state.deliveries[event.delivery] = opened


def breaker_opened(state: State, event: BreakerOpened, now: int) -> None:
    sender = sender_of(state, event.gateway)
    breaker.opened(sender.breaker, event)
    sender.draining = policy_of(state, event.gateway).drain_us > 0
    reschedule(state, event.gateway, now)


def breaker_half_opened(state: State, event: BreakerHalfOpened, now: int) -> None:
    breaker.half_opened(sender_of(state, event.gateway).breaker, event)
    reschedule(state, event.gateway, now)


def breaker_closed(state: State, event: BreakerClosed, now: int) -> None:
    breaker.closed(sender_of(state, event.gateway).breaker, event)
    reschedule(state, event.gateway, now)
