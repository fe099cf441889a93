"""What went between the engine and the outside: who sent it, what it is about, what was tried again or given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twin.core import commands as cm
from twin.core import effects as ef
from twin.core import events as ev
from twin.core.dedupe import Seen, remember, was_seen
from twin.core.effects import Delivery
from twin.core.entry import Entry
from twin.core.master import DEFAULT_DELIVERY
from twin.core.stages import DELIVERY
from twin.log.correlation import COMMANDS

if TYPE_CHECKING:
    from twin.measures.facts import Facts

__all__ = ["ASK_FACTS", "CREDIT", "INVOICE", "KNOWN_ALREADY", "PURCHASE", "RELEASE", "DeliveryFacts", "Messages"]


def _tag(effect: type) -> str:
    return str(effect.__struct_config__.tag)  # type: ignore[attr-defined]


RELEASE, PURCHASE = _tag(ef.ReleaseToWarehouse), _tag(ef.CreatePurchaseOrder)
CANCEL, CANCEL_ORDER = _tag(ef.CancelRelease), _tag(ef.CancelPurchaseOrder)
ASK_STATUS, REPEATED = _tag(ef.AskStatus), "sent again"
AVAILABILITY, REFUSAL = _tag(ef.PublishAvailability), _tag(ef.RefuseOrderUnits)
RESERVE, FREE, ASK_RESERVED = _tag(ef.ReserveUnits), _tag(ef.ReleaseUnits), _tag(ef.AskReservations)
INVOICE, CREDIT, ASK_FACTS = _tag(ef.PostInvoice), _tag(ef.PostCredit), _tag(ef.AskOrderFacts)
ASK_SOURCING, ASK_PROMISE, ASK_RELEASE = _tag(ef.AskSourcing), _tag(ef.AskPromise), _tag(ef.AskRelease)
"""Stored names of the effects that events oblige the engine to."""

_REPLIES: Final[dict[type, None]] = dict.fromkeys(
    (
        cm.ConfirmPick,
        cm.ConfirmShipment,
        cm.PublishMilestone,
        cm.AcknowledgePurchaseOrder,
        cm.ConfirmDropShipment,
        cm.ReportStatus,
        cm.ConfirmCancellation,
        cm.ConfirmPurchaseCancellation,
        cm.ReceiveGoods,
        cm.ConfirmInvoice,
        cm.AcknowledgeDelivery,
        cm.AnswerReservation,
    )
)
"""Commands that answer what the engine asked for: they must name what caused them."""

NOBODY: Final = -1

SETTLED_MS: Final = 86_400_000
"""How long after its end a message is known: it may be answered again."""

TOOL: Final = "a tool"
"""What the name of an actor begins with who is no person."""

UNSUPPORTED: Final = "unsupported version"
"""What a counterpart's refusal says of a message in a version that it does not understand."""

KNOWN_ALREADY: Final = ("duplicate", "order_exists")
"""Refusals of an order that is in the books all the same."""


class DeliveryFacts:
    """A delivery that is not settled, or a dead letter `since` an instant (ms)."""

    __slots__ = ("attempt", "correlation", "failed", "first", "gateway", "redriven", "since", "stage")

    def __init__(self, delivery: Delivery, since: int) -> None:
        self.correlation = delivery.correlation
        self.gateway = delivery.gateway
        self.since = since
        self.redriven = False
        self.failed = False
        self.stage = "in_flight"
        self.attempt = 1
        # Where attempts were sent beside it: the first that an answer is awaited of.
        self.first = 1


class Messages:
    """Counts of commands and deliveries; deliveries that are open, and dead letters."""

    def __init__(self) -> None:
        self.open: dict[str, DeliveryFacts] = {}
        self.dead: dict[str, DeliveryFacts] = {}
        # Kind of gateway -> whether its deliveries wait for an acknowledgement (the engine's default: yes).
        self.acknowledged: dict[str, bool] = {}
        self.retries: dict[str, int] = {}
        self.calls = 0
        self.operations = 0
        self.awaited = 0
        self.in_time = 0
        self.failed = 0
        # The attempt that the entry's command answers; 0 where it does not say, `NOBODY` where it answers none.
        self.answered = 0
        self.dead_lettered = 0
        # Of these, messages in a version that was not understood, by gateway.
        self.unsupported: dict[str, int] = {}
        self.required = 0
        # What the entry's events oblige the engine to send with them: (effect, delivery key).
        self.due: list[tuple[str, str]] = []
        # What the entry put into a send queue for the first time, and the attempts that it took out of one.
        self.queued: list[str] = []
        self.dispatched: dict[str, int] = {}
        self.hedged: dict[str, None] = {}
        self.lost: dict[str, int] = {}
        # What is unsettled, by gateway and by what it is about, in the order in which it was asked for.
        self.lines: dict[tuple[str, str], dict[str, None]] = {}
        self.leapfrogs = 0
        self.fallbacks = 0
        self.other_suppliers = 0
        self.chases = 0
        self.tickets = 0
        self.about_orders = 0
        self.with_criticality = 0
        self.messages = 0
        self.traced = 0
        self.resolved = 0
        # Messages that were settled lately and may be answered again.
        self.settled = Seen()
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
            self.answered = NOBODY
            if counts:
                self.audited += len(entry.events)
            return refusal is None
        reply = kind in _REPLIES
        if counts and reply:
            self._trace(facts, command, entry.now)
        if refusal is not None:
            if counts:
                self.refused[refusal.code] = self.refused.get(refusal.code, 0) + 1
            if isinstance(command, cm.CaptureOrder) and refusal.code not in KNOWN_ALREADY:
                facts.refused_captures[command.order] = (command.requested_at, command.criticality)
                if facts.trace and refusal.code == "blocked_item":
                    wanted = tuple(dict.fromkeys([line.sku for line in command.lines]))
                    facts.blocked.append((entry.now, command.order, wanted))
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

    def _trace(self, facts: Facts, command: Any, now: int) -> None:
        self.messages += 1
        correlation = COMMANDS[type(command)][2]
        about = self._correlation(command.delivery) if correlation is None else correlation(command)
        # A late answer to what is settled leads to it, though what that was about is forgotten.
        settled = correlation is None and not about and was_seen(self.settled, command.delivery, now, SETTLED_MS)
        if (about or settled) and command.causation:
            self.traced += 1
        self.resolved += settled or _is_known(facts, about)
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
            first = self.dispatched.get(delivery.key) != delivery.attempt and delivery.attempt == 1
            if first:
                if delivery.key in self.open or delivery.key in self.dead:
                    facts.duplicate(str(delivery.effect.__struct_config__.tag))
                if self.acknowledged.get(delivery.gateway.partition("/")[0], True):
                    self.open[delivery.key] = self._asked(delivery, entry.now)
                    self.awaited += counts
            else:
                known = self.open.get(delivery.key)
                if known is not None:
                    known.attempt = delivery.attempt
                    if delivery.key not in self.hedged:
                        known.first = delivery.attempt
                self._check_retry(facts, entry, delivery)
            waiting = self.lines.get((delivery.gateway, correlation))
            if waiting and next(iter(waiting)) != delivery.key and not _undoes(delivery):
                self.leapfrogs += 1
            if counts:
                self.calls += 1
                self.operations += first
                self.messages += 1
                self.traced += correlation != ""
                self.resolved += _is_known(facts, correlation)
                if correlation in facts.orders:
                    self.about_orders += 1
                    self.with_criticality += delivery.criticality != ""
        self.hedged.clear()
        if self.due or entry.deliveries or self.queued or self.dispatched:
            self._settle_due(facts, entry)

    def _asked(self, delivery: Delivery, now: int) -> DeliveryFacts:
        """A delivery that waits for an answer, behind those about the same to the same partner."""
        if not _undoes(delivery):
            self.lines.setdefault((delivery.gateway, delivery.correlation), {})[delivery.key] = None
        return DeliveryFacts(delivery, now)

    def _answered(self, key: str, found: DeliveryFacts) -> None:
        about = (found.gateway, found.correlation)
        waiting = self.lines.get(about, {})
        if key in waiting:
            del waiting[key]
            if not waiting:
                del self.lines[about]

    def _check_retry(self, facts: Facts, entry: Entry, delivery: Delivery) -> None:
        """A retry keeps its policy's number and its deadline; what a person sends again has both anew."""
        known = self.open.get(delivery.key)
        if isinstance(entry.command, cm.RedriveDelivery) or (known is not None and known.redriven):
            return
        if 0 < delivery.deadline <= entry.now:
            facts.breach("retry_after_deadline", entry.now)
        if delivery.attempt > self.retries.get(delivery.gateway.partition("/")[0], DEFAULT_DELIVERY.retries) + 1:
            facts.breach("retry_beyond_limit", entry.now)

    def withdraw(self, key: str) -> None:
        """What a message asks for is no longer wanted."""
        found = self.dead.pop(key, None) or self.open.pop(key, None)
        if found is not None:
            self._answered(key, found)

    def _settle_due(self, facts: Facts, entry: Entry) -> None:
        """What the events oblige the engine to send must be sent in the same entry, once."""
        due = self.due
        self.required += len(due)
        sent = self.queued
        for delivery in entry.deliveries:
            if self.dispatched.pop(delivery.key, 0) != delivery.attempt and delivery.attempt == 1:
                sent.append(delivery.key)
        for effect, key in due:
            if key in sent:
                sent.remove(key)
            else:
                self.lost[effect] = self.lost.get(effect, 0) + 1
        for _ in sent:
            facts.duplicate("delivery that nothing asked for")
        for _ in self.dispatched:
            self.lost["taken from the queue"] = self.lost.get("taken from the queue", 0) + 1
        due.clear()
        sent.clear()
        self.dispatched.clear()

    def fold(self, facts: Facts, event: Any, now: int) -> None:
        """Fold an event about a delivery."""
        key = event.delivery
        found = self.open.get(key) or self.dead.get(key)
        name = _STEPS[type(event)]
        if found is None and name == "queued":
            found = self.open[key] = self._asked(event.queued, now)
            self.queued.append(key)
            self.awaited += now >= facts.begin
            self.operations += now >= facts.begin
        if found is None:
            facts.illegal_transitions += 1
            return
        stage = DELIVERY.get((found.stage, name))
        if stage is None:
            facts.illegal_transitions += 1
            return
        if name in ("failed", "dead_lettered", "lapsed") and self.answered not in (NOBODY, 0, found.attempt):
            # News of an attempt that was given up before has put an end to the present one.
            facts.stale_overwrites += 1
        if name == "succeeded" and found.stage == "in_flight" and (not self.answered or self.answered >= found.first):
            self.in_time += now >= facts.begin
        found.stage = stage
        if name in _FAILS and not found.failed:
            found.failed = True
            self.failed += now >= facts.begin
        if name == "dispatched":
            found.attempt = found.first = self.dispatched[key] = event.attempt
        elif name == "hedged":
            self.hedged[key] = None
        if name == "succeeded":
            self.open.pop(key, None)
            self.dead.pop(key, None)
            self._answered(key, found)
            remember(self.settled, key, now, SETTLED_MS)
        elif name == "lapsed":
            del self.open[key]
            self._answered(key, found)
        elif name == "dead_lettered":
            del self.open[key]
            self.dead[key] = found
            found.since = now
            if now >= facts.begin:
                self.dead_lettered += 1
                if UNSUPPORTED in event.reason:
                    self.unsupported[found.gateway] = self.unsupported.get(found.gateway, 0) + 1
            order = facts.orders.get(found.correlation)
            if order is not None:
                order.fallout = True
        elif name == "redriven":
            del self.dead[key]
            self.open[key] = found
            found.redriven = True


def _undoes(delivery: Delivery) -> bool:
    """Whether it undoes a dead letter: it cannot wait for that one, and nothing waits for it."""
    return isinstance(delivery.effect, ef.CancelRelease | ef.CancelPurchaseOrder)


def _is_known(facts: Facts, about: str) -> bool:
    """Whether an id is that of an order or a purchase order in the log."""
    return about in facts.orders or about in facts.purchases or (about != "" and facts.was_closed(about))


_STEPS: Final[dict[type, str]] = {
    ev.DeliveryQueued: "queued",
    ev.DeliveryDispatched: "dispatched",
    ev.DeliverySucceeded: "succeeded",
    ev.DeliveryFailed: "failed",
    ev.DeliveryRetried: "retried",
    ev.DeliveryDeadLettered: "dead_lettered",
    ev.DeliveryRedriven: "redriven",
    ev.DeliveryExpired: "expired",
    ev.DeliveryHedged: "hedged",
    ev.DeliveryLapsed: "lapsed",
}


_FAILS: Final = ("failed", "expired", "dead_lettered")
"""Steps of a message that went wrong at least once."""


def _ordered(messages: Messages, command: Any) -> str:
    return str(command.order)


def _cancelled(messages: Messages, command: Any) -> str:
    """A customer who cancels is no touch of ours."""
    return command.order if command.by == "company" else ""


def _redriven(messages: Messages, command: Any) -> str:
    """A tool that sends dead letters again touches no order by hand."""
    return "" if command.actor.startswith(TOOL) else messages._correlation(command.delivery)


_TOUCHES: Final[dict[type, Callable[[Messages, Any], str]]] = {
    cm.HoldOrder: _ordered,
    cm.ReleaseHold: _ordered,
    cm.CancelOrder: _cancelled,
    cm.RedriveDelivery: _redriven,
}
"""Commands that a person gives, and the order that they are about."""
