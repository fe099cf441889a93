"""The life of every message to the outside, folded from the log: asked, sent, answered, tried again, given up.

The one place where events about deliveries are turned into steps; figures, blast radius, alerts and the queue checker
are folds over these. Memory is bounded by the messages that are not settled.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

from twin.core import events as ev
from twin.core.commands import AcknowledgeDelivery, ConfirmInvoice, DecidePromise, DecideSourcing, IssueCredit, Wake
from twin.core.effects import Delivery
from twin.core.entry import Entry
from twin.core.master import DEFAULT_DELIVERY, DeliveryPolicy

__all__ = ["ACTED", "Calls", "Message", "Step", "StepKind", "note_dead"]

ACTED: Final = "the counterpart acted on it"
"""Reason of a message that is settled by what its counterpart did, and was never answered."""

StepKind = Literal[
    "asked",
    "sent",
    "succeeded",
    "unusable",
    "late",
    "failed",
    "unknown",
    "refused",
    "dead",
    "redriven",
    "expired",
    "lapsed",
    "settled",
]
"""What can become of a message.

`asked`: the engine wants it done. `sent`: an attempt left. `succeeded`, `failed`, `unknown` (no answer in time) and
`refused` (for good) are the outcomes of an attempt, and `unusable`: a service outside answered in time with what cannot
be carried out. `late`: a success came for a message whose attempt had been given
up. `dead`: it became a dead letter; `redriven`: somebody sent that again; `expired`: nobody did in its time.
`lapsed`: it was dropped: a question that could not be asked in its time, or what is no longer wanted.
`settled`: it needs nothing more.
"""


class Message:
    """A message that is not settled: the delivery, its stage, and when (ms) it was asked for and each attempt was sent.

    `stage` is queued, in_flight, hedged, waiting, dead or expired, `since` when it was asked for or given up. Attempts
    from `first` on are awaited: more than one where some were sent beside it.
    """

    __slots__ = ("asked_at", "attempt", "delivery", "effect", "first", "sent", "since", "stage")

    def __init__(self, delivery: Delivery, now: int) -> None:
        self.asked_at = now
        self.delivery = delivery
        self.effect = str(delivery.effect.__struct_config__.tag)
        self.attempt = delivery.attempt
        self.first = delivery.attempt
        self.sent: dict[int, int] = {}
        self.since = now
        self.stage = "queued"


class Step(NamedTuple):
    """At `at` (ms), `kind` happened to `message`; `attempt` is the one that it is about, `reason` the log's word."""

    at: int
    kind: StepKind
    message: Message
    attempt: int
    reason: str = ""


def note_dead(dead: dict[str, str], step: Step) -> None:
    """Keep the dead letters that wait for somebody, by key with their reasons, after one more step.

    One that was sent again, settled or withdrawn waits no more.
    """
    if step.kind == "dead":
        dead[step.message.delivery.key] = step.reason
    elif step.kind in ("redriven", "settled", "lapsed"):
        dead.pop(step.message.delivery.key, None)


class Calls:
    """Messages that are not settled, by key; `fold` gives the steps that an entry is for them."""

    def __init__(self) -> None:
        self.open: dict[str, Message] = {}
        self.policies: dict[str, DeliveryPolicy] = {}

    def policy(self, gateway: str) -> DeliveryPolicy:
        """The policy of a gateway `kind/party` as the log holds it."""
        return self.policies.get(gateway.partition("/")[0], DEFAULT_DELIVERY)

    def fold(self, entry: Entry) -> Iterator[Step]:
        """The steps of one entry, in order. To be exhausted: the fold is done as it goes."""
        for event in entry.events:
            fold = _FOLDS.get(type(event))
            if fold is not None:
                yield from fold(self, event, entry)
        for delivery in entry.deliveries:
            yield from self._deliver(delivery, entry.now)

    def _deliver(self, delivery: Delivery, now: int) -> Iterator[Step]:
        message = self.open.get(delivery.key)
        if message is None:
            message = self.open[delivery.key] = Message(delivery, now)
            yield Step(now, "asked", message, delivery.attempt)
        if message.stage != "hedged":
            message.first = delivery.attempt
        message.attempt = delivery.attempt
        message.delivery = delivery
        message.sent[delivery.attempt] = now
        message.stage = "in_flight"
        yield Step(now, "sent", message, delivery.attempt)
        if not self.policy(delivery.gateway).acknowledge:
            del self.open[delivery.key]
            yield Step(now, "settled", message, delivery.attempt)

    # --- one fold an event

    def _policies(self, event: ev.PoliciesDefined, entry: Entry) -> Iterator[Step]:
        self.policies = {policy.gateway: policy for policy in event.policies.delivery}
        return iter(())

    def _queued(self, event: ev.DeliveryQueued, entry: Entry) -> Iterator[Step]:
        message = self.open.get(event.delivery)
        if message is None:
            message = self.open[event.delivery] = Message(event.queued, entry.now)
            yield Step(entry.now, "asked", message, event.queued.attempt)
        message.attempt, message.stage = event.queued.attempt, "queued"

    def _succeeded(self, event: ev.DeliverySucceeded, entry: Entry) -> Iterator[Step]:
        message = self.open.pop(event.delivery, None)
        if message is None:
            return
        command = entry.command
        if isinstance(command, Wake):
            # Its counterpart has done it, and its answer to the attempt never came.
            yield from self._ended(message, entry, "no answer in time")
            yield Step(entry.now, "settled", message, message.attempt, ACTED)
            return
        answered = command.attempt if isinstance(command, AcknowledgeDelivery) and command.attempt else message.attempt
        in_time = message.stage == "in_flight" and answered >= message.first
        unusable = _unusable(entry, event.delivery) if in_time else ""
        kind: StepKind = "unusable" if unusable else "succeeded" if in_time else "late"
        yield Step(entry.now, kind, message, answered, unusable)
        # A counterpart that acts on a dead letter settles it without ever having answered it.
        answers = isinstance(command, AcknowledgeDelivery | ConfirmInvoice | IssueCredit)
        yield Step(entry.now, "settled", message, answered, "" if answers else ACTED)

    def _failed(self, event: ev.DeliveryFailed, entry: Entry) -> Iterator[Step]:
        message = self.open.get(event.delivery)
        if message is not None:
            yield from self._ended(message, entry, event.reason)
            message.stage = "waiting"

    def _dead_lettered(self, event: ev.DeliveryDeadLettered, entry: Entry) -> Iterator[Step]:
        message = self.open.get(event.delivery)
        if message is not None:
            yield from self._ended(message, entry, event.reason)
            message.stage, message.since = "dead", entry.now
            yield Step(entry.now, "dead", message, message.attempt, event.reason)

    def _redriven(self, event: ev.DeliveryRedriven, entry: Entry) -> Iterator[Step]:
        message = self.open.get(event.delivery)
        if message is not None:
            message.stage, message.since = "queued", entry.now
            yield Step(entry.now, "redriven", message, message.attempt)

    def _expired(self, event: ev.DeliveryExpired, entry: Entry) -> Iterator[Step]:
        message = self.open.get(event.delivery)
        if message is not None:
            message.stage = "expired"
            yield Step(entry.now, "expired", message, message.attempt)

    def _lapsed(self, event: ev.DeliveryLapsed, entry: Entry) -> Iterator[Step]:
        message = self.open.pop(event.delivery, None)
        if message is not None:
            yield from self._ended(message, entry, event.reason)
            yield Step(entry.now, "lapsed", message, message.attempt, event.reason)

    def _withdrawn(self, event: Any, entry: Entry) -> Iterator[Step]:
        """What a message asks for is no longer wanted."""
        message = self.open.pop(getattr(event, "fulfillment_order", "") or event.purchase_order, None)
        if message is not None:
            yield Step(entry.now, "lapsed", message, message.attempt)

    def _hedged(self, event: ev.DeliveryHedged, entry: Entry) -> Iterator[Step]:
        message = self.open.get(event.delivery)
        if message is not None:
            message.stage = "hedged"
        return iter(())

    def _ended(self, message: Message, entry: Entry, reason: str) -> Iterator[Step]:
        """The attempt in flight has ended without success; one that waits or is queued has none in flight."""
        if message.stage != "in_flight":
            return
        command = entry.command
        kind: StepKind = "unknown"
        if not isinstance(command, Wake):
            kind = "refused" if getattr(command, "outcome", "") == "refused" else "failed"
        yield Step(entry.now, kind, message, message.attempt, reason)


def _unusable(entry: Entry, question: str) -> str:
    """Why an answer to a question cannot be carried out; empty where it can, or where the message is no question."""
    if not isinstance(entry.command, DecideSourcing | DecidePromise):
        return ""
    for event in entry.events:
        if isinstance(event, ev.SourcingUnanswered | ev.PromiseUnanswered) and event.request == question:
            return event.reason
    return ""


_FOLDS: Final[dict[type, Any]] = {
    ev.PoliciesDefined: Calls._policies,
    ev.DeliveryQueued: Calls._queued,
    ev.DeliverySucceeded: Calls._succeeded,
    ev.DeliveryFailed: Calls._failed,
    ev.DeliveryDeadLettered: Calls._dead_lettered,
    ev.DeliveryRedriven: Calls._redriven,
    ev.DeliveryExpired: Calls._expired,
    ev.DeliveryHedged: Calls._hedged,
    ev.DeliveryLapsed: Calls._lapsed,
    ev.ReleaseWithdrawn: Calls._withdrawn,
    ev.PurchaseOrderWithdrawn: Calls._withdrawn,
}
"""Event type -> its fold; what hands an attempt over needs none, since its delivery stands in the same entry."""
