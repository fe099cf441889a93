"""One order's whole story, told from the log alone: what happened to it, why, and what was asked of whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from twin.codec import decode_entry
from twin.core import events as ev
from twin.core.commands import AcknowledgeDelivery, External, Wake
from twin.core.effects import Delivery, HeldLine
from twin.core.entry import Entry
from twin.log.correlation import COMMANDS
from twin.log.errors import RunError
from twin.log.reading import read_rows

__all__ = ["StoryRow", "explain", "explain_entries"]


class StoryRow(NamedTuple):
    """At `at` (ms), `what` happened (an event's stored name, `delivery.sent`, or `refused`), in words."""

    at: int
    what: str
    detail: str


def explain(run: Path, order: str) -> list[StoryRow]:
    """Everything in a run that is about an order, in order of the log, with its purchase orders and deliveries.

    Only payloads that mention it are decoded. Raises `RunError` where the run has no such order.
    """
    story = _Story(order)
    for row in read_rows(run):
        if story.mentions(row.payload):
            story.tell(decode_entry(row.payload))
    if not story.rows:
        raise RunError(f"{run}: no order '{order}' in it; order ids are case-sensitive")
    return story.rows


def explain_entries(entries: Iterable[Entry], order: str) -> list[StoryRow]:
    """The same from entries in memory; empty where none is about the order."""
    story = _Story(order)
    for entry in entries:
        story.tell(entry)
    return story.rows


class _Story:
    def __init__(self, order: str) -> None:
        self.order = order
        self.rows: list[StoryRow] = []
        self._keys: dict[str, str] = {}
        self._purchase_orders: dict[str, None] = {}
        self._tokens = [_escaped(order)]

    def mentions(self, payload: str) -> bool:
        return any(token in payload for token in self._tokens)

    def _follow(self, token: str) -> None:
        text = _escaped(token)
        if not any(known in text for known in self._tokens):
            self._tokens.append(text)

    def tell(self, entry: Entry) -> None:
        at, command = entry.now, entry.command
        if entry.refusal is not None:
            if self._is_about(command):
                refusal = entry.refusal
                cause = f"{COMMANDS[type(command)][0]}{_sender(command)}"
                self._add(at, "refused", f"{cause}: {refusal.code}: {refusal.text}")
            return
        for event in entry.events:
            if isinstance(event, ev.DeliveryQueued):
                self._know(event.queued)
            for detail in self._details(event):
                self._add(at, _tag(event), detail)
        for delivery in entry.deliveries:
            if self._know(delivery):
                self._add(at, "delivery.sent", _sent(delivery))

    def _know(self, delivery: Delivery) -> bool:
        """Remember a delivery that is about the order; False for any other."""
        about = delivery.correlation == self.order or delivery.key in self._purchase_orders
        if about:
            self._keys[delivery.key] = delivery.gateway
            self._follow(delivery.key)
        return about

    def _add(self, at: int, what: str, detail: str) -> None:
        self.rows.append(StoryRow(at, what, detail))

    def _is_about(self, command: External | Wake) -> bool:
        if isinstance(command, Wake):
            return False
        if isinstance(command, AcknowledgeDelivery) and command.delivery in self._keys:
            return True
        return (
            getattr(command, "order", None) == self.order
            or getattr(command, "purchase_order", None) in self._purchase_orders
        )

    def _details(self, event: ev.Event) -> Iterator[str]:
        if isinstance(event, ev.PurchaseOrderCreated):
            pegged = [f"{peg.quantity} for line {peg.line}" for peg in event.pegs if peg.order == self.order]
            if pegged:
                self._purchase_orders[event.purchase_order] = None
                self._follow(event.purchase_order)
                goods = ", ".join(f"{line.quantity} {line.sku}" for line in event.lines)
                yield (
                    f"{event.purchase_order}: {goods} from {event.supplier} to {event.node}, of which "
                    f"{', '.join(pegged)}; expected at {event.eta}"
                )
            return
        about = getattr(event, "order", None)
        if about is None:
            if getattr(event, "purchase_order", None) in self._purchase_orders or (
                getattr(event, "delivery", None) in self._keys
            ):
                yield _TELL.get(type(event), _plain)(event)
        elif about == self.order:
            if isinstance(event, ev.SourcingDecided):
                yield from _sourcing(event)
            else:
                yield _TELL.get(type(event), _plain)(event)


def _escaped(text: str) -> str:
    return msgspec.json.encode(text).decode()[1:-1]


def _tag(event: ev.Event) -> str:
    return str(event.__struct_config__.tag)


def _sender(command: External | Wake) -> str:
    return "" if isinstance(command, Wake) else f" '{command.id}' from {command.source}"


def _sent(delivery: Delivery) -> str:
    until = f", answer due by {delivery.deadline}" if delivery.deadline else ""
    effect = delivery.effect.__struct_config__.tag
    return f"{effect} '{delivery.key}' to {delivery.gateway}, attempt {delivery.attempt}{until}"


def _sourcing(event: ev.SourcingDecided) -> Iterator[str]:
    """One row a leg: what it takes, the rule that chose it, what came second, and what was looked at."""
    for leg in event.legs:
        place = f" at {leg.node}" if leg.node else ""
        second = f", before {leg.runner_up}" if leg.runner_up else ""
        seen = ", ".join(f"{look.node} {look.available}" for look in event.considered if look.line == leg.line)
        looked_at = f"; available to it: {seen}" if seen else ""
        who = f"{event.decided_by}: {leg.rule}" if event.decided_by else leg.rule
        yield f"line {leg.line}: {leg.quantity} by {leg.route}{place}, decided by {who}{second}{looked_at}"


def _plain(event: ev.Event) -> str:
    """Fields that a reader does not know already."""
    skipped = ("order", "delivery")
    told = [
        f"{name} {getattr(event, name)}"
        for name in event.__struct_fields__
        if name not in skipped and not isinstance(getattr(event, name), tuple)
    ]
    head = getattr(event, "delivery", "")
    return " ".join(filter(None, (head, ", ".join(told))))


def _captured(event: ev.OrderCaptured) -> str:
    lines = ", ".join(f"line {line.line}: {line.quantity} {line.sku} at {line.price_minor}" for line in event.lines)
    before = f"captured at {event.captured_at}, " if event.captured_at else ""
    return (
        f"{before}{event.channel}, customer {event.customer}, region {event.region}, class {event.criticality}, "
        f"wanted at {event.requested_at}: {lines}"
    )


def _reserved(event: ev.ReservationDecided | ev.ReservationExpired) -> str:
    source = f", from {event.source}" if isinstance(event, ev.ReservationDecided) else ""
    return (
        "; ".join(
            f"line {held.line}: {held.quantity} {held.sku} at {held.node}"
            + (f" until {held.expires_at}" if held.expires_at else "")
            for held in event.reservations
        )
        + source
    )


def _held(lines: Iterable[HeldLine]) -> str:
    return "; ".join(f"line {held.line}: {held.quantity} {held.sku} at {held.node}" for held in lines)


def _claimed(event: ev.ReservationAsked | ev.ReservationGivenUp) -> str:
    return f"{event.claim}: {_held(event.lines)}"


def _not_reserved(event: ev.ReservationRefused) -> str:
    kept = "; ".join(f"{units} {sku} at {node} for others" for node, sku, units in event.withheld)
    told = f"{event.claim}, {event.reason}: {_held(event.lines)}; again from {event.retry_at}"
    return f"{told}; kept: {kept}" if kept else told


def _promised(event: ev.PromiseDecided) -> str:
    lines = ", ".join(f"line {line} at {at}" for line, at in event.lines)
    return f"whole order at {event.promised_at}: {lines}"


def _released(event: ev.ReleaseDecided) -> str:
    return "; ".join(
        f"{plan.id} at {plan.node} by {plan.carrier}: "
        + ", ".join(f"line {pick.line}: {pick.quantity} {pick.sku}" for pick in plan.lines)
        for plan in event.fulfillment_orders
    )


def _units(lines: Iterable[tuple[int, int]]) -> str:
    return ", ".join(f"line {line}: {units}" for line, units in lines)


def _shipped(event: ev.GoodsShipped) -> str:
    return f"{event.shipment} from {event.node}: {_units(event.lines)}; freight {event.freight_minor}"


def _under_way(event: ev.ShipmentLoaded) -> str:
    return f"{event.shipment} left {event.node} at {event.shipped_at} by {event.carrier}: {_units(event.lines)}"


def _shorted(event: ev.UnitsShorted) -> str:
    return f"{event.fulfillment_order}: {_units(event.lines)} not found"


def _invoiced(event: ev.InvoiceCreated) -> str:
    lines = ", ".join(f"line {line}: {units} at {price}" for line, units, price in event.lines)
    return f"{event.invoice} for {event.shipment}: {lines}; sum {event.amount_minor}"


def _cancelled(event: ev.OrderCancelled) -> str:
    units = ", ".join(f"line {taken.line}: {taken.quantity} {taken.bucket}" for taken in event.units)
    return f"by {event.by} ({event.reason}): {units}"


def _queued(event: ev.DeliveryQueued) -> str:
    return f"{event.delivery} to {event.queued.gateway}, attempt {event.queued.attempt}"


def _received(event: ev.GoodsReceived) -> str:
    goods = ", ".join(f"{line.quantity} {line.sku}" for line in event.lines)
    return f"{event.purchase_order}: {goods} at {event.node}"


_TELL: Final[dict[type, Callable[[Any], str]]] = {
    ev.OrderCaptured: _captured,
    ev.ReservationDecided: _reserved,
    ev.ReservationExpired: _reserved,
    ev.ReservationAsked: _claimed,
    ev.ReservationGivenUp: _claimed,
    ev.ReservationRefused: _not_reserved,
    ev.PromiseDecided: _promised,
    ev.ReleaseDecided: _released,
    ev.GoodsShipped: _shipped,
    ev.ShipmentLoaded: _under_way,
    ev.UnitsShorted: _shorted,
    ev.InvoiceCreated: _invoiced,
    ev.OrderCancelled: _cancelled,
    ev.GoodsReceived: _received,
    ev.DeliveryQueued: _queued,
}
