"""Who was hit while an interface failed: the messages touched in a window, and the business behind them, with values.

From the log alone. A message to the interface is touched when, in the window,

- an attempt of it was in flight and then failed, was refused, or was not answered in time,
- an attempt of it was in flight and was answered later than any that was answered before the window; where none was,
  later than four times the median of those after it; where there is none either, however soon,
- it was answered again, though it was settled: it, or its answer, was doubled, or
- it waited for its retry, or in the send queue.

An attempt that was answered as soon as ever is not touched: the interface did its work in spite of the fault.
The truth scores it: which messages the fault really hit. What its sender held back all the time never came so far.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any, Final

from msgspec import Struct

from twin.core import events as ev
from twin.core.effects import (
    AskReservations,
    CancelPurchaseOrder,
    CreatePurchaseOrder,
    PostCredit,
    PostInvoice,
    PublishAvailability,
    ReleaseToWarehouse,
)
from twin.core.entry import Entry
from twin.log import TruthRow
from twin.observability.calls import Calls, Message, Step
from twin.observability.interfaces import Histogram
from twin.observability.values import Values

__all__ = [
    "KINDS",
    "BlastRadius",
    "Score",
    "ScoredBlast",
    "Touched",
    "blast_radius",
    "hits_of",
    "score",
    "scored_blast_radius",
]

_Kind = tuple[str, str]

FACTOR: Final = 4
"""An answer that takes so many times the median is slow, where no answer before the window tells what is usual."""

KINDS: Final = ("orders", "purchase_orders", "tasks", "shipments", "documents")
"""What a blast radius holds, by id and value."""


class Touched(Struct, frozen=True):
    """A message that was touched; `how`: failed, refused, unknown, slow, repeated, waiting or open (no answer yet)."""

    key: str
    gateway: str
    correlation: str
    how: str


class BlastRadius(Struct):
    """What was hit; each map goes from an id to its value in minor units.

    Orders and purchase orders at what was ordered; warehouse tasks, shipments at the prices of their units; documents
    (invoices and credits) at their sums. Behind a task stand its parcels and their invoices, whenever they came.
    `messages` are in the order in which they were found to be touched. `gateways` are all that were asked anything, and
    whether they are among those that failed.
    """

    messages: dict[str, Touched] = {}
    orders: dict[str, int] = {}
    purchase_orders: dict[str, int] = {}
    tasks: dict[str, int] = {}
    shipments: dict[str, int] = {}
    documents: dict[str, int] = {}
    gateways: dict[str, bool] = {}

    def value(self, kind: str) -> int:
        """The sum of one of `KINDS`, in minor units."""
        return sum(getattr(self, kind).values())


class Score(Struct, frozen=True):
    """What was found against what is true: how many of both, and how many they share."""

    found: int
    true: int
    shared: int

    @property
    def precision(self) -> Fraction | None:
        """Share of what was found that is true; None where nothing was found."""
        return Fraction(self.shared, self.found) if self.found else None

    @property
    def recall(self) -> Fraction | None:
        """Share of what is true that was found; None where nothing is true."""
        return Fraction(self.shared, self.true) if self.true else None


def score(found: Iterable[str], true: Iterable[str]) -> Score:
    """Two collections of ids, held against each other."""
    first, second = dict.fromkeys(found), dict.fromkeys(true)
    return Score(len(first), len(second), sum(1 for id in first if id in second))


def hits_of(truth: Iterable[TruthRow], begin: int, end: int) -> dict[str, None]:
    """The keys of messages that the truth says were hit from `begin` to before `end` (ms), in order.

    Those that a fault touched (`fault.hit`), and those that an interface turned away (`call.turned_away`).
    """
    return {row.subject: None for row in truth if row.type in _HITS and begin <= row.at < end}


_HITS: Final = ("fault.hit", "call.turned_away")


def blast_radius(entries: Iterable[Entry], glob: str, begin: int, end: int) -> BlastRadius:
    """What was hit at the gateways that match `glob` while they failed, from `begin` up to before `end` (ms)."""
    return scored_blast_radius(entries, glob, begin, end, {}).found


class ScoredBlast(Struct):
    """The blast radius by the log (`found`), the one of messages truly hit (`true`), and what these are scored by.

    `reached` is `found` without the messages that their sender held back: no fault can hit what was not sent.
    """

    found: BlastRadius
    reached: BlastRadius
    true: BlastRadius

    def score(self, kind: str) -> Score:
        """Precision and recall of `messages` or of one of `KINDS`."""
        return score(getattr(self.reached, kind), getattr(self.true, kind))


def scored_blast_radius(entries: Iterable[Entry], glob: str, begin: int, end: int, hits: Iterable[str]) -> ScoredBlast:
    """The blast radius by the log, beside the one of the messages that were truly hit (their keys are `hits`)."""
    blast = _Blast(glob, begin, end, dict.fromkeys(hits))
    for entry in entries:
        blast.fold(entry)
    return blast.finish()


class _Blast:
    def __init__(self, glob: str, begin: int, end: int, hits: dict[str, None]) -> None:
        self.glob = glob
        self.begin = begin
        self.end = end
        self.hits = hits
        self.found = BlastRadius()
        self.reached = BlastRadius()
        self.true = BlastRadius()
        self._calls = Calls()
        self._values = Values()
        self._matches = self.found.gateways
        # Slowest answer before the window, by gateway and effect; where there is none, all answers after it.
        self._usual: dict[_Kind, int] = {}
        self._after: dict[_Kind, Histogram] = {}
        # Answers in the window of which it is not known yet whether they were slow: how long, and what is behind them.
        self._unjudged: dict[str, tuple[_Kind, int, BlastRadius]] = {}
        # Since when a message waits for its retry, or is not sent yet.
        self._waiting: dict[str, int] = {}
        # Messages that were settled in the window.
        self._settled: dict[str, Message] = {}
        # Message -> parcels and invoices that came of it while it was not settled: (kind, id, value).
        self._behind: dict[str, list[tuple[str, str, int]]] = {}
        # Parcel -> the message that it came from, where that one was touched or may still be.
        self._parcels: dict[str, str] = {}
        # Purchase order -> the orders that are pegged to it; while it is open.
        self._pegs: dict[str, tuple[str, ...]] = {}

    def fold(self, entry: Entry) -> None:
        self._values.fold(entry)
        for event in entry.events:
            kind = type(event)
            if kind is ev.PurchaseOrderCreated:
                self._pegs[event.purchase_order] = tuple(dict.fromkeys(peg.order for peg in event.pegs))  # type: ignore[union-attr]
            elif kind in (ev.GoodsReceived, ev.PurchaseOrderRejected, ev.PurchaseOrderWithdrawn):
                self._pegs.pop(event.purchase_order, None)  # type: ignore[union-attr]
            elif kind is ev.GoodsShipped:
                self._shipped(event, entry)
            elif kind is ev.InvoiceCreated:
                self._invoiced(event)
        if entry.refusal is not None and entry.refusal.code in _AGAIN:
            self._answered_again(entry.command, entry.now)
        for step in self._calls.fold(entry):
            gateway = step.message.delivery.gateway
            matches = self._matches.get(gateway)
            if matches is None:
                matches = self._matches[gateway] = fnmatchcase(gateway, self.glob)
            if matches:
                _STEPS[step.kind](self, step)

    def finish(self) -> ScoredBlast:
        for message in self._calls.open.values():
            if self._matches.get(message.delivery.gateway):
                if message.stage == "in_flight" and self._inside(message.sent[message.attempt], self.end):
                    self._touch(message, "open")
                self._waited(message, self.end)
        self._judge()
        return ScoredBlast(self.found, self.reached, self.true)

    def _inside(self, since: int, until: int) -> bool:
        """Whether what lasted from `since` to `until` overlaps the window."""
        return since < self.end and until >= self.begin

    # --- what becomes of a message

    def nothing(self, step: Step) -> None:
        """This step says nothing about the window."""

    def asked(self, step: Step) -> None:
        self._waiting[step.message.delivery.key] = step.at
        if step.message.delivery.key in self.hits:
            self._add(self.true, step.message, "hit")

    def sent(self, step: Step) -> None:
        self._waited(step.message, step.at)

    def succeeded(self, step: Step) -> None:
        message = step.message
        sent = message.sent[step.attempt]
        took, kind = step.at - sent, (message.delivery.gateway, message.effect)
        if step.at < self.begin:
            self._usual[kind] = max(took, self._usual.get(kind, 0))
        elif kind in self._usual:
            if self._inside(sent, step.at) and took > self._usual[kind]:
                self._touch(message, "slow")
        elif self._inside(sent, step.at):
            behind = BlastRadius()
            self._add(behind, message, "slow")
            self._unjudged[message.delivery.key] = (kind, took, behind)
        else:
            self._after.setdefault(kind, Histogram()).add(took)

    def ended(self, step: Step) -> None:
        if self._inside(step.message.sent[step.attempt], step.at):
            self._touch(step.message, step.kind)
        self._waiting[step.message.delivery.key] = step.at

    def dead(self, step: Step) -> None:
        self._waited(step.message, step.at)

    def settled(self, step: Step) -> None:
        self._waited(step.message, step.at)
        if self.begin <= step.at < self.end:
            self._settled[step.message.delivery.key] = step.message
        key = step.message.delivery.key
        behind = self._behind.pop(key, ())
        if key not in self.found.messages and key not in self.true.messages and key not in self._unjudged:
            for _, parcel, _ in behind:
                self._parcels.pop(parcel, None)

    def _answered_again(self, command: Any, now: int) -> None:
        message = self._settled.get(getattr(command, "delivery", "") or getattr(command, "causation", ""))
        if message is not None and now < self.end:
            self._touch(message, "repeated")

    def _waited(self, message: Message, until: int) -> None:
        since = self._waiting.pop(message.delivery.key, None)
        if since is not None and since < until and self._inside(since, until):
            self._touch(message, "waiting")

    def _judge(self) -> None:
        """Say of the answers in the window which were slow, where none before it tells what is usual."""
        for key, (kind, took, behind) in self._unjudged.items():
            after = self._after.get(kind)
            usual = 0 if after is None else FACTOR * (after.percentile(50) or 0)
            if took <= usual or key in self.reached.messages:
                continue
            for blast in (self.found, self.reached):
                for what in ("messages", *KINDS):
                    getattr(blast, what).update(getattr(behind, what))

    # --- what stands behind it

    def _touch(self, message: Message, how: str) -> None:
        key = message.delivery.key
        if key not in self.found.messages or (how != "waiting" and key not in self.reached.messages):
            self._add(self.found, message, how)
        if how != "waiting" and key not in self.reached.messages:
            self._add(self.reached, message, how)

    def _add(self, blast: BlastRadius, message: Message, how: str) -> None:
        delivery = message.delivery
        blast.messages[delivery.key] = Touched(delivery.key, delivery.gateway, delivery.correlation, how)
        effect, value = delivery.effect, self._values.of(delivery)
        for kind, id, worth in self._behind.get(delivery.key, ()):
            getattr(blast, kind)[id] = worth
        if isinstance(effect, CreatePurchaseOrder | CancelPurchaseOrder):
            blast.purchase_orders[effect.purchase_order] = value
            for order in self._pegs.get(effect.purchase_order, ()):
                blast.orders[order] = self._values.order(order)
            return
        if isinstance(effect, PublishAvailability | AskReservations):
            # A feed is about no order, and a reconciliation about all.
            return
        blast.orders[effect.order] = self._values.order(effect.order)
        if isinstance(effect, ReleaseToWarehouse):
            blast.tasks[effect.fulfillment_order] = value
        elif isinstance(effect, PostInvoice):
            blast.documents[effect.invoice] = value
        elif isinstance(effect, PostCredit):
            blast.documents[effect.credit] = value

    def _shipped(self, event: Any, entry: Entry) -> None:
        """Goods left: they came of a warehouse's task, or of a purchase order whose supplier sends them itself."""
        lines = self._values.orders.get(event.order, {})
        value = sum(units * lines[line][1] for line, units in event.lines if line in lines)
        bought = getattr(entry.command, "purchase_order", "")
        self._follow(bought or event.fulfillment_order, "shipments", event.shipment, value)

    def _invoiced(self, event: Any) -> None:
        key = self._parcels.get(event.shipment)
        if key is not None:
            self._follow(key, "documents", event.invoice, event.amount_minor)

    def _follow(self, key: str, kind: str, id: str, value: int) -> None:
        """Something came of a message: note it where that was touched, and where it may yet turn out to be."""
        unjudged = (self._unjudged[key][2],) if key in self._unjudged else ()
        for blast in (self.found, self.reached, self.true, *unjudged):
            if key in blast.messages:
                getattr(blast, kind)[id] = value
                self._parcels[id] = key
        if key in self._calls.open:
            self._behind.setdefault(key, []).append((kind, id, value))
            self._parcels[id] = key


_AGAIN: Final = ("duplicate", "unknown_delivery")
"""Refusals of an answer that was taken before, or that answers what is settled."""

_STEPS: Final[dict[str, Any]] = {
    "asked": _Blast.asked,
    "sent": _Blast.sent,
    "succeeded": _Blast.succeeded,
    "unusable": _Blast.succeeded,
    "late": _Blast.nothing,
    "failed": _Blast.ended,
    "unknown": _Blast.ended,
    "refused": _Blast.ended,
    "dead": _Blast.dead,
    "redriven": _Blast.asked,
    "expired": _Blast.nothing,
    "lapsed": _Blast.settled,
    "settled": _Blast.settled,
}
