"""Which things of the business an event, a message or a command is about, and what becomes known of them.

The types are those of an object-centric log; ids are the business's own. All of it is read off the log's entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from twin.core import events as ev
from twin.core.effects import Delivery
from twin.core.master import Carrier, Channel, Supplier, Warehouse

__all__ = ["OBJECTS", "BusinessObjects", "Link", "Sink", "Thing", "fields_in_the_payload", "plain_fields"]

OBJECTS: Final[dict[str, dict[str, str]]] = {
    "order": {
        "channel": "string",
        "region": "string",
        "criticality": "string",
        "requested_at": "time",
        "promised_at": "time",
    },
    "order_line": {"sku": "string", "quantity": "integer", "price_minor": "integer"},
    "item": {"description": "string", "price_minor": "integer", "cost_minor": "integer", "blocked": "boolean"},
    "fulfillment_order": {"stage": "string"},
    "shipment": {"freight_minor": "integer", "milestone": "string"},
    "purchase_order": {"eta": "time", "cost_minor": "integer"},
    "invoice": {"amount_minor": "integer"},
    "credit": {"quantity": "integer", "amount_minor": "integer"},
    "warehouse": {"handling_ms": "integer"},
    "supplier": {"order_cost_minor": "integer", "minimum_order": "integer"},
    "carrier": {},
    "customer": {},
    "channel": {"style": "string", "criticality": "string"},
    "intervention": {"kind": "string", "actor": "string", "cause": "string", "cost_minor": "integer"},
    "gateway": {},
    "delivery": {"criticality": "string"},
}
"""Types of objects, with their attributes and the types of these in the words of OCEL 2.0."""

TIMES: Final = ("at", "eta", "promised_at", "requested_at", "retry_at", "since", "time", "until")
"""Fields that hold an instant (ms); 0 stands for none."""

_FIELDS: Final[dict[str, str]] = {
    "carrier": "carrier",
    "call": "delivery",
    "channel": "channel",
    "claim": "delivery",
    "credit": "credit",
    "customer": "customer",
    "delivery": "delivery",
    "document": "document",
    "fulfillment_order": "fulfillment_order",
    "gateway": "gateway",
    "intervention": "intervention",
    "invoice": "invoice",
    "line": "order_line",
    "node": "site",
    "order": "order",
    "purchase_order": "purchase_order",
    "request": "delivery",
    "shipment": "shipment",
    "sku": "item",
    "subject": "subject",
    "supplier": "supplier",
}
"""Field -> the type of what it names. A site, a document and a subject are told apart by what is known of their id."""

_NESTED: Final[dict[str, str]] = {
    "carriers": "defined",
    "channels": "defined",
    "candidates": "considered",
    "considered": "considered",
    "fulfillment_orders": "released",
    "items": "defined",
    "legs": "sourced",
    "lines": "line",
    "orphans": "orphaned",
    "pegs": "pegged",
    "quarantined": "quarantined",
    "reservations": "reserved",
    "rules": "defined",
    "suppliers": "defined",
    "units": "cancelled",
    "warehouses": "defined",
}
"""Field that holds parts -> the qualifier of what the parts name."""

_OWN: Final[dict[type, str]] = {
    Carrier: "carrier",
    Channel: "channel",
    ev.FulfillmentPlan: "fulfillment_order",
    Supplier: "supplier",
    Warehouse: "site",
}
"""What the field `id` of a part names."""

_ONE_OF: Final = {
    "correlation": ("order", "purchase_order"),
    "document": ("invoice", "credit"),
    "subject": ("fulfillment_order", "purchase_order", "shipment", "order"),
}
"""Types that an id may be of; it is the first one under which the log has named it before."""


class Thing(NamedTuple):
    """One thing of the business, by its type and its own id; a line's id is `order/number`."""

    type: str
    id: str


class Link(NamedTuple):
    """Something is about `thing`, in the role that `qualifier` names."""

    thing: Thing
    qualifier: str


Attribute = tuple[str, str | int | bool]
"""A name and a value."""


class Sink(Protocol):
    """Takes what becomes known of things, in order of the log."""

    def meet(self, thing: Thing) -> bool:
        """The log names a thing; returns whether for the first time."""

    def knows(self, thing: Thing) -> bool:
        """Whether the log has named it before."""

    def learn(self, thing: Thing, at: int, attributes: Iterable[Attribute]) -> None:
        """Values that attributes of a thing have since `at` (ms); an instant of 0 is none."""

    def relate(self, thing: Thing, other: Thing, qualifier: str) -> None:
        """A thing has to do with another one, in that role."""


class BusinessObjects:
    """Tells a `Sink` what the parts of entries say, and which things each part is about."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        # Docks of suppliers that ship to customers bear the supplier's id.
        self._docks: dict[str, None] = {}

    def take(self, part: Any, now: int) -> list[Link]:
        """What an event, a delivery or a command at `now` (ms) is about, each thing once, in its first role."""
        if isinstance(part, ev.NetworkDefined):
            self._docks |= {site.id: None for site in part.warehouses if site.drop_ship}
        found: dict[Thing, str] = {}
        message = part if isinstance(part, Delivery) else getattr(part, "queued", None)
        if message is not None:
            found[Thing("delivery", message.key)] = "message"
            found[Thing("gateway", message.gateway)] = "to"
            self._walk(message.effect, "", "", found)
        else:
            self._walk(part, "", "", found)
        # A message that waited in a queue is sent by a later step: what is said of it is said once.
        fresh = {thing: None for thing in found if self._sink.meet(thing)}
        if message is not None and Thing("delivery", message.key) in fresh:
            self._message(message, now)
        learn = _LEARN.get(type(part))
        if learn is not None:
            learn(self, part, now)
        return [Link(thing, qualifier) for thing, qualifier in found.items()]

    def site(self, node: str) -> Thing:
        """A warehouse, or the supplier whose dock the node is."""
        return Thing("supplier" if node in self._docks else "warehouse", node)

    def _named(self, type_: str, id: str) -> Thing | None:
        if type_ == "site":
            return self.site(id)
        if type_ in _ONE_OF:
            return next((one for kind in _ONE_OF[type_] if self._sink.knows(one := Thing(kind, id))), None)
        return Thing(type_, id)

    def _walk(self, part: Any, order: str, role: str, found: dict[Thing, str]) -> None:
        order = getattr(part, "order", "") or order
        links, nested = _links_of(type(part))
        for field, type_ in links:
            value = getattr(part, field)
            if not value:
                continue
            if type_ == "order_line":
                # A purchase for stock names no line of an order.
                thing = Thing(type_, f"{order}/{value}") if order else None
            else:
                thing = self._named(type_, value)
            if thing is not None:
                found.setdefault(thing, role or field)
        for field in nested:
            for inner in getattr(part, field):
                self._inside(inner, order, role or _NESTED[field], found)

    def _inside(self, inner: Any, order: str, role: str, found: dict[Thing, str]) -> None:
        if isinstance(inner, tuple):
            # Rows of numbers: the first one is the line, or the item where nothing was ordered.
            inner = inner[0]
        if isinstance(inner, int):
            found.setdefault(Thing("order_line", f"{order}/{inner}"), role)
        elif isinstance(inner, str):
            found.setdefault(Thing("item", inner), role)
        else:
            self._walk(inner, order, role, found)

    # --- what single events add

    def _network(self, event: ev.NetworkDefined, now: int) -> None:
        learn = self._sink.learn
        for site in event.warehouses:
            if not site.drop_ship:
                learn(Thing("warehouse", site.id), now, (("handling_ms", site.handling_ms),))
        for one in event.suppliers:
            values = (("order_cost_minor", one.order_cost_minor), ("minimum_order", one.minimum_order))
            learn(Thing("supplier", one.id), now, values)
        for channel in event.channels:
            learn(
                Thing("channel", channel.id),
                now,
                (("style", channel.style), ("criticality", channel.criticality)),
            )

    def _items(self, event: ev.ItemsDefined, now: int) -> None:
        for item in event.items:
            values: list[Attribute] = [("price_minor", item.price_minor), ("cost_minor", item.cost_minor)]
            values += [("description", item.description)] if item.description else []
            values.append(("blocked", item.blocked))
            self._sink.learn(Thing("item", item.sku), now, values)

    def _captured(self, event: ev.OrderCaptured, now: int) -> None:
        order = Thing("order", event.order)
        values: list[Attribute] = [("channel", event.channel), ("region", event.region)]
        values += [("criticality", event.criticality), ("requested_at", event.requested_at)]
        self._sink.learn(order, now, values)
        self._sink.relate(order, Thing("customer", event.customer), "placed by")
        self._sink.relate(order, Thing("channel", event.channel), "came by")
        for line in event.lines:
            thing = Thing("order_line", f"{event.order}/{line.line}")
            self._sink.learn(
                thing, now, (("sku", line.sku), ("quantity", line.quantity), ("price_minor", line.price_minor))
            )
            self._sink.relate(order, thing, "has")
            self._sink.relate(thing, Thing("item", line.sku), "asks for")

    def _promised(self, event: ev.PromiseDecided, now: int) -> None:
        self._sink.learn(Thing("order", event.order), now, (("promised_at", event.promised_at),))

    def _released(self, event: ev.ReleaseDecided, now: int) -> None:
        for plan in event.fulfillment_orders:
            thing = Thing("fulfillment_order", plan.id)
            self._sink.learn(thing, now, (("stage", "released"),))
            self._sink.relate(thing, Thing("order", event.order), "fulfills")
            self._sink.relate(thing, self.site(plan.node), "ships from")
            if plan.carrier:
                self._sink.relate(thing, Thing("carrier", plan.carrier), "ships with")
            for line in plan.lines:
                self._sink.relate(thing, Thing("order_line", f"{event.order}/{line.line}"), "has")

    def _stage(self, fulfillment_order: str, stage: str, now: int) -> None:
        self._sink.learn(Thing("fulfillment_order", fulfillment_order), now, (("stage", stage),))

    def _picked(self, event: ev.GoodsPicked, now: int) -> None:
        self._stage(event.fulfillment_order, event.stage, now)

    def _withdrawn(self, event: ev.ReleaseWithdrawn, now: int) -> None:
        self._stage(event.fulfillment_order, "withdrawn", now)

    def _shipped(self, event: ev.GoodsShipped, now: int) -> None:
        thing = Thing("shipment", event.shipment)
        values = (("freight_minor", event.freight_minor), ("milestone", "shipped"))
        self._sink.learn(thing, now, values)
        self._sink.relate(thing, Thing("order", event.order), "carries")
        self._stage(event.fulfillment_order, "shipped", now)
        self._sink.relate(thing, Thing("fulfillment_order", event.fulfillment_order), "ships")

    def _milestone(self, event: ev.ShipmentMilestoneReached, now: int) -> None:
        self._sink.learn(Thing("shipment", event.shipment), now, (("milestone", event.milestone),))

    def _delivered(self, event: ev.ShipmentDelivered, now: int) -> None:
        self._sink.learn(Thing("shipment", event.shipment), now, (("milestone", "delivered"),))

    def _bought(self, event: ev.PurchaseOrderCreated, now: int) -> None:
        thing = Thing("purchase_order", event.purchase_order)
        self._sink.learn(thing, now, (("eta", event.eta), ("cost_minor", event.cost_minor)))
        self._sink.relate(thing, Thing("supplier", event.supplier), "bought from")
        self._sink.relate(thing, self.site(event.node), "goes to")
        for peg in event.pegs:
            self._sink.relate(thing, Thing("order_line", f"{peg.order}/{peg.line}"), "pegged to")

    def _acknowledged(self, event: ev.PurchaseOrderAcknowledged, now: int) -> None:
        self._sink.learn(Thing("purchase_order", event.purchase_order), now, (("eta", event.eta),))

    def _invoiced(self, event: ev.InvoiceCreated, now: int) -> None:
        thing = Thing("invoice", event.invoice)
        self._sink.learn(thing, now, (("amount_minor", event.amount_minor),))
        self._sink.relate(thing, Thing("shipment", event.shipment), "bills")
        self._sink.relate(thing, Thing("order", event.order), "bills")

    def _credited(self, event: ev.CreditIssued, now: int) -> None:
        thing = Thing("credit", event.credit)
        self._sink.learn(thing, now, (("quantity", event.quantity), ("amount_minor", event.amount_minor)))
        self._sink.relate(thing, Thing("order_line", f"{event.order}/{event.line}"), "credits")

    def _began(self, event: ev.InterventionBegan, now: int) -> None:
        values: tuple[Attribute, ...] = (("kind", event.kind), ("actor", event.actor))
        values += (("cause", event.cause), ("cost_minor", event.cost_minor))
        self._sink.learn(Thing("intervention", event.intervention), now, values)

    def _message(self, message: Delivery, now: int) -> None:
        thing = Thing("delivery", message.key)
        if message.criticality:
            self._sink.learn(thing, now, (("criticality", message.criticality),))
        self._sink.relate(thing, Thing("gateway", message.gateway), "to")
        about = self._named("correlation", message.correlation)
        if about is not None:
            self._sink.relate(thing, about, "about")


_LEARN: Final[dict[type, Callable[[BusinessObjects, Any, int], None]]] = {
    ev.NetworkDefined: BusinessObjects._network,
    ev.ItemsDefined: BusinessObjects._items,
    ev.OrderCaptured: BusinessObjects._captured,
    ev.PromiseDecided: BusinessObjects._promised,
    ev.ReleaseDecided: BusinessObjects._released,
    ev.GoodsPicked: BusinessObjects._picked,
    ev.ReleaseWithdrawn: BusinessObjects._withdrawn,
    ev.GoodsShipped: BusinessObjects._shipped,
    ev.ShipmentMilestoneReached: BusinessObjects._milestone,
    ev.ShipmentDelivered: BusinessObjects._delivered,
    ev.PurchaseOrderCreated: BusinessObjects._bought,
    ev.PurchaseOrderAcknowledged: BusinessObjects._acknowledged,
    ev.InvoiceCreated: BusinessObjects._invoiced,
    ev.CreditIssued: BusinessObjects._credited,
    ev.InterventionBegan: BusinessObjects._began,
}


def plain_fields(type_: type) -> tuple[tuple[str, str], ...]:
    """Fields of a command, an event or an effect that hold one number, text or truth value and name no thing.

    Each with its type in the words of OCEL 2.0.
    """
    found = _PLAIN.get(type_)
    if found is None:
        found = _PLAIN[type_] = tuple(
            (field.name, "time" if field.name in TIMES else _KINDS[field.type])
            for field in msgspec.structs.fields(type_)
            if field.type in _KINDS and field.name not in _FIELDS and field.name != "id"
        )
    return found


def fields_in_the_payload(type_: type) -> list[str]:
    """Fields of a command, an event or an effect that name no thing and are no attribute."""
    links, nested = _links_of(type_)
    told = [*(name for name, _ in links), *nested, *(name for name, _ in plain_fields(type_))]
    return [field.name for field in msgspec.structs.fields(type_) if field.name not in told]


def _links_of(type_: type) -> _Links:
    """Fields of a struct that name things, with their types, and fields that hold parts which do."""
    found = _LINKS.get(type_)
    if found is None:
        fields = msgspec.structs.fields(type_)
        own = (("id", _OWN[type_]),) if type_ in _OWN else ()
        links = own + tuple((field.name, _FIELDS[field.name]) for field in fields if field.name in _FIELDS)
        # Where only their number is told, `items` and `units` are plain.
        nested = tuple(field.name for field in fields if field.name in _NESTED and field.type not in _KINDS)
        found = _LINKS[type_] = links, nested
    return found


_KINDS: Final[dict[Any, str]] = {int: "integer", str: "string", bool: "boolean"}
_Links = tuple[tuple[tuple[str, str], ...], tuple[str, ...]]

# Read off the structs once for each type: every part of every entry asks.
_PLAIN: Final[dict[type, tuple[tuple[str, str], ...]]] = {}
_LINKS: Final[dict[type, _Links]] = {}
