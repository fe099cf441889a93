"""What a decision has come to so far: events and deliveries collected before they become an `Outcome`."""

from __future__ import annotations

from twin.core.effects import Delivery, Effect
from twin.core.events import DeliveryQueued, Event
from twin.core.master import DEFAULT_DELIVERY, expires_at
from twin.core.state import State

__all__ = ["Draft"]


class Draft:
    """Collects events and deliveries in order. It never touches the state."""

    __slots__ = ("deliveries", "events")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.deliveries: list[Delivery] = []

    def deliver(
        self,
        state: State,
        key: str,
        kind: str,
        party: str,
        effect: Effect,
        correlation: str,
        criticality: str,
        now: int,
    ) -> None:
        """Ask `effect` of the party behind the gateway `kind/party` (or `kind` alone where there is only one)."""
        policy = state.gateways.get(kind, DEFAULT_DELIVERY)
        gateway = f"{kind}/{party}" if party else kind
        if policy.acknowledge:
            deadline = now + policy.deadline_ms
            if policy.queues:
                queued = Delivery(key, gateway, effect, correlation, criticality, 1, deadline)
                self.events.append(DeliveryQueued(key, queued))
                return
            ends = expires_at(policy, now, deadline)
            self.deliveries.append(Delivery(key, gateway, effect, correlation, criticality, 1, deadline, ends))
        else:
            self.deliveries.append(Delivery(key, gateway, effect, correlation, criticality))
