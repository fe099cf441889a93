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

__all__ = ["DeliveryFacts", "Messages"]

_REPLIES: Final = (
    cm.ConfirmPick,
    cm.ConfirmShipment,
    cm.PublishMilestone,
    cm.AcknowledgePurchaseOrder,
    cm.ReceiveGoods,
    cm.ConfirmInvoice,
    cm.AcknowledgeDelivery,
)
"""Commands that answer what the engine asked for: they must name what caused them."""

_KNOWN_ALREADY: Final = ("duplicate", "order_exists")
"""Refusals of an order that is in the books all the same."""


class DeliveryFacts:
    """A delivery that is not settled, or a dead letter `since` an instant (ms)."""

    __slots__ = ("attempts", "correlation", "since", "stage")

    def __init__(self, correlation: str, since: int) -> None:
        self.correlation = correlation
        self.since = since
        self.stage = "in_flight"
        self.attempts = 1


class Messages:
    """Counts of commands and deliveries; deliveries that are open, and dead letters."""

    def __init__(self) -> None:
        self.open: dict[str, DeliveryFacts] = {}
        self.dead: dict[str, DeliveryFacts] = {}
        # Kind of gateway -> whether its deliveries wait for an acknowledgement (the engine's default: yes).
        self.acknowledged: dict[str, bool] = {}
        self.calls = 0
        self.operations = 0
        self.dead_lettered = 0
        self.required = 0
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
        counts = facts.counts(entry.now)
        if isinstance(command, cm.Wake):
            if counts:
                self.audited += len(entry.events)
            return refusal is None
        reply = isinstance(command, _REPLIES)
        if counts:
            self._trace(facts, command, reply)
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
        if isinstance(command, cm.CountStock):
            self.counted_time = command.time
        touched = _TOUCHES.get(type(command))
        if touched is not None:
            order = facts.orders.get(touched(self, command))
            if order is not None:
                order.touches += 1
        return True

    def _trace(self, facts: Facts, command: cm.External, reply: bool) -> None:
        if not reply:
            return
        self.messages += 1
        _, _, correlation = COMMANDS[type(command)]
        if isinstance(command, cm.AcknowledgeDelivery):
            about = self._correlation(command.delivery)
            known = bool(about)
        else:
            about = correlation(command) if correlation is not None else ""
            known = bool(about)
        if known and command.causation:  # type: ignore[union-attr]
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
        deliveries = entry.deliveries
        counts = facts.counts(entry.now)
        first = 0
        for delivery in deliveries:
            kind = delivery.gateway.partition("/")[0]
            correlation = delivery.correlation
            if delivery.attempt == 1:
                first += 1
                if delivery.key in self.open or delivery.key in self.dead:
                    facts.duplicate(str(delivery.effect.__struct_config__.tag))
                if self.acknowledged.get(kind, True):
                    self.open[delivery.key] = DeliveryFacts(correlation, entry.now)
            if counts:
                self.calls += 1
                self.operations += delivery.attempt == 1
                self.messages += 1
                self.traced += correlation != ""
                if correlation in facts.orders:
                    self.about_orders += 1
                    self.with_criticality += delivery.criticality != ""
        if entry.events:
            self._require(facts, entry, first)

    def _require(self, facts: Facts, entry: Entry, first: int) -> None:
        """What the events oblige the engine to send must be sent in the same entry, once."""
        required: list[tuple[str, str]] = []
        for event in entry.events:
            need = _NEEDS.get(type(event))
            if need is not None:
                required += need(event)
        self.required += len(required)
        sent = [delivery.key for delivery in entry.deliveries if delivery.attempt == 1]
        if len(required) == first and all(key in sent for _, key in required):
            return
        for effect, key in required:
            if key in sent:
                sent.remove(key)
            else:
                self.lost[effect] = self.lost.get(effect, 0) + 1
        for key in sent:
            facts.duplicate(f"delivery of {key}")

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
        found.stage = stage
        if name == "succeeded":
            self.open.pop(key, None)
            self.dead.pop(key, None)
        elif name == "dead_lettered":
            del self.open[key]
            self.dead[key] = found
            found.since = now
            if facts.counts(now):
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


def _tag(effect: type) -> str:
    return str(effect.__struct_config__.tag)  # type: ignore[attr-defined]


_RELEASE, _PURCHASE = _tag(ef.ReleaseToWarehouse), _tag(ef.CreatePurchaseOrder)
_INVOICE, _CREDIT, _FACTS = _tag(ef.PostInvoice), _tag(ef.PostCredit), _tag(ef.AskOrderFacts)

_NEEDS: Final[dict[type, Callable[[Any], list[tuple[str, str]]]]] = {
    ev.ReleaseDecided: lambda event: [(_RELEASE, plan.id) for plan in event.fulfillment_orders],
    ev.PurchaseOrderCreated: lambda event: [(_PURCHASE, event.purchase_order)],
    ev.InvoiceCreated: lambda event: [(_INVOICE, event.invoice)],
    ev.CreditIssued: lambda event: [(_CREDIT, event.credit)],
    ev.CreditReferred: lambda event: [(_FACTS, f"{event.credit}/facts")],
}
"""Event -> the effects, and the delivery keys, that it obliges the engine to."""
