"""The lineage of one thing, from the log alone: its order, all documents that came of it, and what caused each message.

Any id will do: of an order, purchase order, fulfillment order, shipment, invoice, credit, receipt or message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from twin.codec import decode_entry, encode_entry
from twin.core import events as ev
from twin.core.commands import AcknowledgeDelivery, Wake
from twin.core.entry import Entry
from twin.log import Row, RunError, read_rows
from twin.log.correlation import COMMANDS

__all__ = ["Link", "Owner", "lineage", "lineage_of_entries"]


class Owner(NamedTuple):
    """What an id leads to: `kind` is order or purchase_order."""

    kind: str
    id: str


class Link(NamedTuple):
    """At `at` (ms) a document or a message came to be; `cause` is the id of what led to it, empty for the first.

    `kind` is a document (order, purchase_order, fulfillment_order, shipment, invoice, credit, receipt), or the stored
    name of a message, which came `in` or went `out` as `way` says.
    """

    at: int
    kind: str
    id: str
    cause: str
    way: str = ""


def lineage(run: Path, id: str) -> tuple[Owner, list[Link]]:
    """What an id leads to, and all documents and messages of that, in order of the log.

    Only payloads that mention them are decoded. Raises `RunError` where nothing in the log has this id.
    """
    return _traced(id, lambda: read_rows(run), str(run))


def lineage_of_entries(entries: Iterable[Entry], id: str) -> tuple[Owner, list[Link]]:
    """The same from entries in memory."""
    rows = [Row(entry.position, entry.now, "", "", "", encode_entry(entry).decode()) for entry in entries]
    return _traced(id, lambda: iter(rows), "the log")


def _traced(id: str, rows: Callable[[], Iterator[Row]], where: str) -> tuple[Owner, list[Link]]:
    found = _look_for(id, rows())
    if isinstance(found, str):
        # A transport answer names its message only.
        found = _look_for(found, rows())
    if not isinstance(found, Owner):
        raise RunError(f"{where}: nothing in it has the id '{id}'; ids are case-sensitive")
    tree = _Tree(found)
    for row in rows():
        if tree.mentions(row.payload):
            tree.take(decode_entry(row.payload))
    return found, tree.links


def _look_for(id: str, rows: Iterable[Row]) -> Owner | str | None:
    """What the id leads to; the key of a message, where it is an answer to that; None where nothing has it."""
    token = _escaped(id)
    for row in rows:
        if token in row.payload:
            found = _owner_in(decode_entry(row.payload), id)
            if found is not None:
                return found
    return None


_IDS: Final = ("order", "purchase_order", "fulfillment_order", "shipment", "invoice", "credit", "receipt", "document")


def _owner_in(entry: Entry, id: str) -> Owner | str | None:
    for delivery in entry.deliveries:
        if id == delivery.key:
            return _owner_of(delivery.effect)
    command = entry.command
    for part in (*entry.events, command):
        named = [getattr(part, field, "") for field in _IDS]
        named += [plan.id for plan in getattr(part, "fulfillment_orders", ())]
        if id in named or id == getattr(part, "id", ""):
            about = _owner_of(part)
            if about is not None:
                return about
    return command.delivery if isinstance(command, AcknowledgeDelivery) and id == command.id else None


def _owner_of(part: Any) -> Owner | None:
    order = getattr(part, "order", "")
    if order:
        return Owner("order", order)
    purchase_order = getattr(part, "purchase_order", "")
    return Owner("purchase_order", purchase_order) if purchase_order else None


def _escaped(text: str) -> str:
    return msgspec.json.encode(text).decode()[1:-1]


class _Tree:
    """Documents and messages of one owner. An order brings the purchase orders that are pegged to it."""

    def __init__(self, owner: Owner) -> None:
        self.links: list[Link] = []
        self._order = owner.id if owner.kind == "order" else ""
        self._purchase_orders: dict[str, None] = {} if self._order else {owner.id: None}
        self._keys: dict[str, None] = {}
        self._tokens = [_escaped(owner.id)]

    def mentions(self, payload: str) -> bool:
        return any(token in payload for token in self._tokens)

    def _follow(self, id: str) -> None:
        text = _escaped(id)
        if not any(known in text for known in self._tokens):
            self._tokens.append(text)

    def take(self, entry: Entry) -> None:
        command = entry.command
        cause = command.key if isinstance(command, Wake) else command.id
        if not isinstance(command, Wake) and self._is_ours(command):
            name = COMMANDS[type(command)][0]
            self.links.append(Link(entry.now, name, command.id, getattr(command, "causation", ""), "in"))
        for event in entry.events:
            self._document(entry.now, event, cause)
        for delivery in entry.deliveries:
            if self._is_ours(delivery.effect):
                self._keys[delivery.key] = None
                self._follow(delivery.key)
                name = str(delivery.effect.__struct_config__.tag)
                self.links.append(Link(entry.now, name, delivery.key, cause, "out"))

    def _is_ours(self, part: Any) -> bool:
        order = getattr(part, "order", "")
        if order:
            return bool(order == self._order)
        if getattr(part, "delivery", "") in self._keys:
            return True
        return getattr(part, "purchase_order", "") in self._purchase_orders

    def _document(self, now: int, event: Any, cause: str) -> None:
        if isinstance(event, ev.PurchaseOrderCreated) and any(peg.order == self._order for peg in event.pegs):
            self._purchase_orders[event.purchase_order] = None
            self._follow(event.purchase_order)
        if not self._is_ours(event):
            return
        documents = _DOCUMENTS.get(type(event))
        if documents is None:
            return
        for kind, id, parent in documents(event):
            self.links.append(Link(now, kind, id, parent or ("" if kind == "order" else cause)))


def _released(event: ev.ReleaseDecided) -> list[tuple[str, str, str]]:
    return [("fulfillment_order", plan.id, event.order) for plan in event.fulfillment_orders]


_DOCUMENTS: Final[dict[type, Callable[[Any], list[tuple[str, str, str]]]]] = {
    ev.OrderCaptured: lambda event: [("order", event.order, "")],
    ev.PurchaseOrderCreated: lambda event: [
        ("purchase_order", event.purchase_order, ", ".join(dict.fromkeys(peg.order for peg in event.pegs)))
    ],
    ev.ReleaseDecided: _released,
    ev.ShipmentLoaded: lambda event: [("shipment", event.shipment, event.order)],
    ev.GoodsShipped: lambda event: [("shipment", event.shipment, event.fulfillment_order)],
    ev.InvoiceCreated: lambda event: [("invoice", event.invoice, event.shipment)],
    ev.CreditIssued: lambda event: [("credit", event.credit, event.order)],
    ev.GoodsReceived: lambda event: [("receipt", event.receipt, event.purchase_order)],
}
