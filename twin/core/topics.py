"""Which events are published to the outside, and under which topic: the shared event model of the business.

Subscribers get what they subscribed to and nothing else; the payload is the event itself, in a CloudEvents envelope.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec import Struct

from twin.core import events
from twin.core.entry import Entry

__all__ = ["TOPICS", "CloudEvent", "published"]

TOPICS: Final[dict[type, str]] = {
    events.OrderCaptured: "order.created",
    events.ReleaseDecided: "order.released",
    events.OrderCancelled: "order.cancelled",
    events.OrderClosed: "order.closed",
    events.ReservationDecided: "stock.allocated",
    events.PromiseDecided: "order.promised",
    events.PurchaseOrderCreated: "purchase_order.created",
    events.PurchaseOrderAcknowledged: "purchase_order.acknowledged",
    events.GoodsReceived: "purchase_order.received",
    events.GoodsShipped: "shipment.shipped",
    events.ShipmentDelivered: "delivery.completed",
    events.InvoiceCreated: "invoice.created",
    events.CreditIssued: "credit.issued",
    events.DeliveryDeadLettered: "exception.raised",
    events.DeliveryExpired: "exception.raised",
}
"""Event type -> topic. A milestone's topic is its name: see `topic_of`."""


class CloudEvent(Struct, frozen=True, gc=False):
    """An event on its topic, with the CloudEvents attributes; `time` is the instant (ms) at which it was recorded."""

    id: str
    source: str
    type: str
    subject: str
    time: int
    correlationid: str
    causationid: str
    data: Any


def topic_of(event: events.Event) -> str | None:
    """The topic that an event is published under, or None for one that stays inside."""
    if isinstance(event, events.ShipmentMilestoneReached):
        return f"shipment.{event.milestone}"
    return TOPICS.get(type(event))


def published(entry: Entry, topics: Iterable[str] = ()) -> Iterator[CloudEvent]:
    """What an entry publishes, in order, to a subscriber of these topics (all where none are named).

    The id is the entry's position and the event's place in it, so that a repetition is recognized.
    """
    wanted = tuple(topics)
    cause = getattr(entry.command, "id", getattr(entry.command, "key", ""))
    for ordinal, event in enumerate(entry.events):
        topic = topic_of(event)
        if topic is None or (wanted and topic not in wanted):
            continue
        subject = getattr(event, "order", None) or getattr(event, "purchase_order", None) or ""
        yield CloudEvent(
            f"{entry.position}.{ordinal}",
            "orchestration",
            topic,
            str(subject),
            entry.now,
            str(subject),
            str(cause),
            event,
        )
