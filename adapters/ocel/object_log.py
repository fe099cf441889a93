"""An object-centric event log of any form: events, objects and the relations between them, looked at whole before use.

Berti et al. 2024, "OCEL (Object-Centric Event Log) 2.0 Specification", is the source of what is looked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field

from adapters.ocel.problems import Problems

__all__ = [
    "EventAttribute",
    "ObjectAttribute",
    "ObjectLog",
    "OcelEvent",
    "OcelObject",
    "Relation",
    "Survey",
    "has_zone",
    "instant_ms",
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_TIME: Final = "give it ISO 8601 with its zone, as 2025-11-17T08:30:00.000Z"


class Relation(Struct, frozen=True, gc=False):
    """What an event or an object has to do with an object."""

    object: str = field(name="objectId")
    qualifier: str = ""


class EventAttribute(Struct, frozen=True):
    """A value that came with an event."""

    name: str
    value: Any


class ObjectAttribute(Struct, frozen=True):
    """A value that an attribute of an object has from `time` on."""

    name: str
    value: Any
    time: str = ""


class OcelEvent(Struct, frozen=True):
    """An event as it is written; `time` is ISO 8601."""

    id: str
    type: str
    time: str | None = None
    attributes: tuple[EventAttribute, ...] = ()
    relationships: tuple[Relation, ...] = ()


class OcelObject(Struct, frozen=True):
    """An object as it is written."""

    id: str
    type: str
    attributes: tuple[ObjectAttribute, ...] = ()
    relationships: tuple[Relation, ...] = ()


class Survey(Struct, frozen=True):
    """What is in a file: how many events and objects by type, relations, and those of them to an object not there."""

    events: dict[str, int]
    objects: dict[str, int]
    event_relations: int
    object_relations: int
    dangling: int

    @property
    def text(self) -> str:
        """In one line."""
        return (
            f"{sum(self.events.values()):,} events of {len(self.events)} types, "
            f"{sum(self.objects.values()):,} objects of {len(self.objects)} types, "
            f"{self.event_relations + self.object_relations:,} relations, {self.dangling:,} of them dangling"
        )


class ObjectLog(ABC):
    """A file of events and objects; what stands in it is looked at by `survey`.

    `object_types` and `event_types` are the declared types with the names of their attributes.
    """

    def __init__(
        self, path: Path, object_types: dict[str, tuple[str, ...]], event_types: dict[str, tuple[str, ...]]
    ) -> None:
        self.path = path
        self.object_types = object_types
        self.event_types = event_types

    @abstractmethod
    def placed_objects(self, problems: Problems | None) -> Iterator[tuple[str, OcelObject]]:
        """Each object with its place; `problems` takes those that cannot be read, which are left out."""

    @abstractmethod
    def placed_events(self, problems: Problems | None) -> Iterator[tuple[str, OcelEvent]]:
        """Each event with its place; `problems` takes those that cannot be read, which are left out."""

    def objects(self) -> Iterator[OcelObject]:
        """The objects in their order. Only after a survey without problems."""
        for _, one in self.placed_objects(None):
            yield one

    def events(self) -> Iterator[OcelEvent]:
        """The events in their order. Only after a survey without problems."""
        for _, one in self.placed_events(None):
            yield one

    def survey(
        self,
        problems: Problems,
        *,
        zoned: bool = True,
        each_object: Callable[[OcelObject], None] = lambda _: None,
        each_event: Callable[[OcelEvent], None] = lambda _: None,
    ) -> Survey:
        """Look at every event, object and relation; `problems` takes what is wrong.

        `each_object` and `each_event` are called with all of them, wrong ones too, the objects first. Times without a
        zone are no problem where they need not be `zoned`.
        """
        types = dict.fromkeys(self.object_types, 0)
        known: set[str] = set()
        # Objects may name others that stand after them.
        ahead: dict[str, None] = {}
        related = 0
        for place, one in self.placed_objects(problems):
            if one.id in known:
                problems.add(place, "the id was there before", "give each object an id of its own")
            known.add(one.id)
            _count(types, one.type, place, "objectTypes", problems)
            related += len(one.relationships)
            ahead |= {relation.object: None for relation in one.relationships if relation.object not in known}
            for attribute in one.attributes:
                if not _usable(attribute.time, zoned):
                    problems.add(place, f"attribute '{attribute.name}' {_no_time(attribute.time)}", _TIME)
            each_object(one)
        dangling = 0
        if any(name not in known for name in ahead):
            for place, one in self.placed_objects(None):
                dangling += _dangling(place, one.relationships, known, problems)
        event_types = dict.fromkeys(self.event_types, 0)
        ids: set[str] = set()
        event_related = 0
        for place, event in self.placed_events(problems):
            if event.id in ids:
                problems.add(place, "the id was there before", "give each event an id of its own")
            ids.add(event.id)
            _count(event_types, event.type, place, "eventTypes", problems)
            if not _usable(event.time, zoned):
                problems.add(place, _no_time(event.time), _TIME)
            event_related += len(event.relationships)
            dangling += _dangling(place, event.relationships, known, problems)
            each_event(event)
        return Survey(event_types, types, event_related, related, dangling)


def instant_ms(text: str) -> int | None:
    """An ISO 8601 time with a zone as ms since 1970; None for any other text."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo is None else (found - _EPOCH) // _MS


def has_zone(text: str) -> bool | None:
    """Whether an ISO 8601 time has a zone; None for a text that is no time."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return None


def _usable(text: str | None, zoned: bool) -> bool:
    zone = has_zone(text) if text else None
    return zone is True or (zone is False and not zoned)


def _no_time(text: str | None) -> str:
    if not text:
        return "has no time"
    if has_zone(text) is None:
        return f"has the time '{text}', which is not ISO 8601"
    return f"has the time '{text}' without a zone"


def _dangling(place: str, relations: tuple[Relation, ...], known: set[str], problems: Problems) -> int:
    lost = [relation.object for relation in relations if relation.object not in known]
    for name in lost:
        problem = f"is related to the object '{name}', which is not in the file"
        problems.add(place, problem, "add the object, or take the relation out")
    return len(lost)


def _count(types: dict[str, int], name: str, place: str, where: str, problems: Problems) -> None:
    if name not in types:
        problems.add(place, f"is of type '{name}', which {where} does not declare", "declare it there")
    types[name] = types.get(name, 0) + 1
