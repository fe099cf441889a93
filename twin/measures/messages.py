"""What went between the engine and the outside: who sent it, what it is about, what was tried again or given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twin.core import commands as cm
from twin.core import effects as ef
from twin.core import events as ev
from twin.core.entry import Entry
from twin.core.stages import DELIVERY
from twin.log.correlation import COMMANDS

if TYPE_CHECKING:
    from twin.measures.facts import Facts

__all__ = ["ASK_FACTS", "CREDIT", "INVOICE", "PURCHASE", "RELEASE", "DeliveryFacts", "Messages"]


def _tag(effect: type) -> str:
    return str(effect.__struct_config__.tag)  # type: ignore[attr-defined]


RELEASE, PURCHASE = _tag(ef.ReleaseToWarehouse), _tag(ef.CreatePurchaseOrder)
AVAILABILITY, REFUSAL = _tag(ef.PublishAvailability), _tag(ef.RefuseOrderUnits)
INVOICE, CREDIT, ASK_FACTS = _tag(ef.PostInvoice), _tag(ef.PostCredit), _tag(ef.AskOrderFacts)
"""Stored names of the effects that events oblige the engine to."""

_REPLIES: Final[dict[type, None]] = dict.fromkeys(
    (
        cm.ConfirmPick,
        cm.ConfirmShipment,
        cm.PublishMilestone,
        cm.AcknowledgePurchaseOrder,
        cm.ReceiveGoods,
        cm.ConfirmInvoice,
        cm.AcknowledgeDelivery,
    )
)
"""Commands that answer what the engine asked for: they must name what caused them."""

_KNOWN_ALREADY: Final = ("duplicate", "order_exists")
"""Refusals of an order that is in the books all the same."""


class DeliveryFacts:
    """A delivery that is not settled, or a dead letter `since` an instant (ms)."""

    __slots__ = ("attempt", "correlation", "since", "stage")

    def __init__(self, correlation: str, since: int) -> None:
        self.correlation = correlation
        self.since = since
        self.stage = "in_flight"
        self.attempt = 1


class Messages:
    """Counts of commands and deliveries; deliveries that are open, and dead letters."""

    def __init__(self) -> None:
        self.open: dict[str, DeliveryFacts] = {}
        self.dead: dict[str, DeliveryFacts] = {}
        # Kind of gateway -> whether its deliveries wait for an acknowledgement (the engine's default: yes).
        self.acknowledged: dict[str, bool] = {}
        self.calls = 0
        self.operations = 0
        self.awaited = 0
        self.in_time = 0
        # The attempt that the entry's command answers; 0 where it does not say.
        self.answered = 0
        self.dead_lettered = 0
        self.required = 0
        # What the entry's events oblige the engine to send with them: (effect, delivery key).
        self.due: list[tuple[str, str]] = []
        self.lost: dict[str, int] = {}
        self.about_orders = 0
        self.with_criticality = 0
        self.messages = 0
        self.traced = 0
        self.audited = 0
        self.gaps = 0
        self.refused: dict[str, int] = {}
        # The instant of the count that is being folded.
        self.counted_time = 0

    def take(self, facts: Facts, entry: Entry) -> bool:
        """Look at an entry's command; False where it was refused."""
        command = entry.command
        refusal = entry.refusal
        counts = entry.now >= facts.begin
        kind = type(command)
        if kind is cm.Wake:
            if counts:
                self.audited += len(entry.events)
            return refusal is None
        reply = kind in _REPLIES
        if counts and reply:
            self._trace(facts, command)
        if refusal is not None:
            if counts:
                self.refused[refusal.code] = self.refused.get(refusal.code, 0) + 1
            if isinstance(command, cm.CaptureOrder) and refusal.code not in _KNOWN_ALREADY:
                facts.refused_captures[command.order] = (command.requested_at, command.criticality)
            return False
        if counts:
            events = len(entry.events)
            self.audited += events
            # Actor, cause and time: the sender and its message's id, the message answered, the instant.
            if not command.source or not command.id or (reply and not command.causation):  # type: ignore[union-attr]
                self.gaps += events
        if kind in _TOUCHES:
            order = facts.orders.get(_TOUCHES[kind](self, command))
            if order is not None:
                order.touches += 1
        elif isinstance(command, cm.CountStock):
            self.counted_time = command.time
        self.answered = command.attempt if isinstance(command, cm.AcknowledgeDelivery) else 0
        return True

    def _trace(self, facts: Facts, command: Any) -> None:
        self.messages += 1
        correlation = COMMANDS[type(command)][2]
        about = self._correlation(command.delivery) if correlation is None else correlation(command)
        if about and command.causation:
            self.traced += 1
        if about in facts.orders:
            self.about_orders += 1
            if getattr(command, "criticality", ""):
                self.with_criticality += 1

    def _correlation(self, delivery: str) -> str:
        known = self.open.get(delivery) or self.dead.get(delivery)
        return known.correlation if known is not None else ""

    def send(self, facts: Facts, entry: Entry) -> None:
        """Look at an entry's deliveries, after its events were folded, and at what should have been among them."""
        counts = entry.now >= facts.begin
        for delivery in entry.deliveries:
            correlation = delivery.correlation
            first = delivery.attempt == 1
            if first:
                if delivery.key in self.open or delivery.key in self.dead:
                    facts.duplicate(str(delivery.effect.__struct_config__.tag))
                if self.acknowledged.get(delivery.gateway.partition("/")[0], True):
                    self.open[delivery.key] = DeliveryFacts(correlation, entry.now)
                    self.awaited += counts
            elif delivery.key in self.open:
                self.open[delivery.key].attempt = delivery.attempt
            if counts:
                self.calls += 1
                self.operations += first
                self.messages += 1
                self.traced += correlation != ""
                if correlation in facts.orders:
                    self.about_orders += 1
                    self.with_criticality += delivery.criticality != ""
        if self.due or entry.deliveries:
            self._settle_due(facts, entry)

    def _settle_due(self, facts: Facts, entry: Entry) -> None:
        """What the events oblige the engine to send must be sent in the same entry, once."""
        due = self.due
        self.required += len(due)
        sent = [delivery.key for delivery in entry.deliveries if delivery.attempt == 1]
        for effect, key in due:
            if key in sent:
                sent.remove(key)
            else:
                self.lost[effect] = self.lost.get(effect, 0) + 1
        for _ in sent:
            facts.duplicate("delivery that nothing asked for")
        due.clear()

    def fold(self, facts: Facts, event: Any, now: int) -> None:
        """Fold an event about a delivery."""
        key = event.delivery
        found = self.open.get(key) or self.dead.get(key)
        name = _STEPS[type(event)]
        if found is None:
            facts.illegal_transitions += 1
            return
        stage = DELIVERY.get((found.stage, name))
        if stage is None:
            facts.illegal_transitions += 1
            return
        if name == "succeeded" and found.stage == "in_flight" and self.answered in (0, found.attempt):
            self.in_time += now >= facts.begin
        found.stage = stage
        if name == "succeeded":
            self.open.pop(key, None)
            self.dead.pop(key, None)
        elif name == "dead_lettered":
            del self.open[key]
            self.dead[key] = found
            found.since = now
            if now >= facts.begin:
                self.dead_lettered += 1
            order = facts.orders.get(found.correlation)
            if order is not None:
                order.fallout = True
        elif name == "redriven":
            del self.dead[key]
            self.open[key] = found


_STEPS: Final[dict[type, str]] = {
    ev.DeliverySucceeded: "succeeded",
    ev.DeliveryFailed: "failed",
    ev.DeliveryRetried: "retried",
    ev.DeliveryDeadLettered: "dead_lettered",
    ev.DeliveryRedriven: "redriven",
}


def _ordered(messages: Messages, command: Any) -> str:
    return str(command.order)


def _cancelled(messages: Messages, command: Any) -> str:
    """A customer who cancels is no touch of ours."""
    return command.order if command.by == "company" else ""


def _redriven(messages: Messages, command: Any) -> str:
    return messages._correlation(command.delivery)


_TOUCHES: Final[dict[type, Callable[[Messages, Any], str]]] = {
    cm.HoldOrder: _ordered,
    cm.ReleaseHold: _ordered,
    cm.CancelOrder: _cancelled,
    cm.RedriveDelivery: _redriven,
}
"""Commands that a person gives, and the order that they are about."""
