"""What an entry is about, read by one lookup of its command's type."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from types import UnionType
from typing import Any, Final

import msgspec

from twin.core.commands import Command
from twin.core.entry import Entry
from twin.core.events import DeliveryQueued, Event

__all__ = ["COMMANDS", "from_outcome"]

Getter = Callable[[Any], str]


def _nothing(_: Any) -> str:
    return ""


def _getter(type_: type, fields: tuple[str, ...]) -> Getter | None:
    for field in fields:
        if field in type_.__struct_fields__:  # type: ignore[attr-defined]
            return attrgetter(field)
    return None


def _tag(type_: type) -> str:
    tag = msgspec.inspect.type_info(type_).tag  # type: ignore[attr-defined]
    return str(tag)


def _members(union: UnionType) -> tuple[type, ...]:
    return union.__args__


COMMANDS: Final[dict[type, tuple[str, Getter, Getter | None]]] = {
    type_: (
        _tag(type_),
        # The fields and their order are those of `commands.subject`.
        _getter(type_, ("order", "purchase_order", "delivery", "node", "key")) or _nothing,
        _getter(type_, ("order", "purchase_order")),
    )
    for type_ in _members(Command)
}
"""Command type -> its stored name, the getter of its subject, and of its correlation id where the command has one."""

_ORDER: Final = {type_: _getter(type_, ("order",)) for type_ in _members(Event)}
_PURCHASE_ORDER: Final = {type_: _getter(type_, ("purchase_order",)) for type_ in _members(Event)}


def from_outcome(entry: Entry) -> str:
    """The order, else the purchase order, of a step whose command names neither (a timer, a transport answer).

    It is the first one that an event names, else that of the first delivery, else empty.
    """
    for table in (_ORDER, _PURCHASE_ORDER):
        for event in entry.events:
            getter = table[type(event)]
            if getter is not None:
                return getter(event)
    for sent in entry.deliveries:
        return sent.correlation
    for event in entry.events:
        if isinstance(event, DeliveryQueued):
            return event.queued.correlation
    return ""
