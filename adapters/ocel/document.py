"""OCEL 2.0 in JSON, of any origin: events, objects and the relations between them, looked at whole before use.

Berti et al. 2024, "OCEL (Object-Centric Event Log) 2.0 Specification", is the source of what is looked for.
"""

from __future__ import annotations

import gzip
import mmap
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct, field

from adapters.ocel.problems import OcelError, Problems

__all__ = ["Document", "OcelEvent", "OcelObject", "Relation", "Survey", "instant_ms", "open_document"]

_GZIP: Final = b"\x1f\x8b"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_AGAIN: Final = "export it again"


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


class _Declared(Struct, frozen=True):
    name: str


class _Top(Struct, frozen=True):
    object_types: tuple[_Declared, ...] = field(name="objectTypes")
    event_types: tuple[_Declared, ...] = field(name="eventTypes")
    objects: list[Raw]
    events: list[Raw]


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


_TOP: Final = msgspec.json.Decoder(_Top)
_EVENT: Final = msgspec.json.Decoder(OcelEvent)
_OBJECT: Final = msgspec.json.Decoder(OcelObject)


def open_document(path: Path) -> Document:
    """The file, taken apart into its events and objects. Raises `OcelError` where it is no OCEL 2.0 in JSON."""
    try:
        data = _content(path)
    except FileNotFoundError:
        raise OcelError(f"{path}: there is no such file; check the path") from None
    except IsADirectoryError:
        raise OcelError(f"{path}: is a folder, not a file; give a JSON file of OCEL 2.0") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OcelError(f"{path}: the gzip stream is cut off or damaged ({error}); fetch it again") from None
    start = bytes(data[:64]).lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise OcelError(f"{path}: is empty; {_AGAIN}")
    for mark, kind in ((b"<", "XML"), (b"SQLite format 3", "SQLite"), (b"PAR1", "Parquet")):
        if start.startswith(mark):
            raise OcelError(f"{path}: is {kind}, and OCEL 2.0 is read from JSON here; convert it to JSON first")
    try:
        return Document(path, _TOP.decode(data))
    except UnicodeDecodeError:
        raise OcelError(f"{path}: is not UTF-8; save it as UTF-8") from None
    except msgspec.ValidationError as error:
        raise OcelError(_no_ocel(path, data, error)) from None
    except msgspec.DecodeError as error:
        text = str(error)
        if "truncated" in text:
            place = f"{path}:{_lines(data, len(data))}"
            raise OcelError(f"{place}: is cut off here: the JSON does not end; fetch it again, or {_AGAIN}") from None
        byte = int(text.rpartition("byte ")[2].rstrip(")")) if "byte " in text else 0
        raise OcelError(f"{path}:{_lines(data, byte)}: is no JSON: {text}; {_AGAIN}") from None


class Document:
    """A file that has the four lists of OCEL 2.0; what stands in these is looked at by `survey`."""

    def __init__(self, path: Path, top: _Top) -> None:
        self.path = path
        self._top = top

    def objects(self) -> Iterator[OcelObject]:
        """The objects in their order. Only after a survey without problems."""
        yield from map(_OBJECT.decode, self._top.objects)

    def events(self) -> Iterator[OcelEvent]:
        """The events in their order. Only after a survey without problems."""
        yield from map(_EVENT.decode, self._top.events)

    def survey(self, problems: Problems) -> Survey:
        """Look at every event, object and relation; `problems` takes what is wrong."""
        types = {one.name: 0 for one in self._top.object_types}
        known: set[str] = set()
        # Objects may name others that stand after them.
        ahead: dict[str, None] = {}
        related = 0
        for number, raw in enumerate(self._top.objects):
            one = self._decoded(_OBJECT, raw, "objects", number, problems)
            if one is None:
                continue
            place = _place("objects", number, one.id)
            if one.id in known:
                problems.add(place, "the id was there before", "give each object an id of its own")
            known.add(one.id)
            _count(types, one.type, place, "objectTypes", problems)
            related += len(one.relationships)
            ahead |= {relation.object: None for relation in one.relationships if relation.object not in known}
            for attribute in one.attributes:
                if not attribute.time or instant_ms(attribute.time) is None:
                    problems.add(place, f"attribute '{attribute.name}' {_no_time(attribute.time)}", _TIME)
        dangling = 0
        if any(name not in known for name in ahead):
            dangling = self._dangling_of_objects(known, problems)
        event_types, event_related, event_dangling = self._survey_events(known, problems)
        return Survey(event_types, types, event_related, related, dangling + event_dangling)

    def _dangling_of_objects(self, known: set[str], problems: Problems) -> int:
        count = 0
        for number, raw in enumerate(self._top.objects):
            one = self._decoded(_OBJECT, raw, "objects", number, None)
            if one is not None:
                count += _dangling(_place("objects", number, one.id), one.relationships, known, problems)
        return count

    def _survey_events(self, known: set[str], problems: Problems) -> tuple[dict[str, int], int, int]:
        types = {one.name: 0 for one in self._top.event_types}
        ids: set[str] = set()
        related = dangling = 0
        for number, raw in enumerate(self._top.events):
            one = self._decoded(_EVENT, raw, "events", number, problems)
            if one is None:
                continue
            place = _place("events", number, one.id)
            if one.id in ids:
                problems.add(place, "the id was there before", "give each event an id of its own")
            ids.add(one.id)
            _count(types, one.type, place, "eventTypes", problems)
            if not one.time or instant_ms(one.time) is None:
                problems.add(place, _no_time(one.time), _TIME)
            related += len(one.relationships)
            dangling += _dangling(place, one.relationships, known, problems)
        return types, related, dangling

    def _decoded(
        self, decoder: msgspec.json.Decoder[Any], raw: Raw, kind: str, number: int, problems: Problems | None
    ) -> Any | None:
        try:
            return decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            if problems is not None:
                problems.add(_place(kind, number, ""), f"is not as OCEL 2.0 has it: {error}", _AGAIN)
            return None


_TIME: Final = "give it ISO 8601 with its zone, as 2025-11-17T08:30:00.000Z"


def instant_ms(text: str) -> int | None:
    """An ISO 8601 time with a zone as ms since 1970; None for any other text."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo is None else (found - _EPOCH) // _MS


def _no_time(text: str | None) -> str:
    if not text:
        return "has no time"
    try:
        datetime.fromisoformat(text)
    except ValueError:
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


def _place(kind: str, number: int, id: str) -> str:
    return f"{kind}[{number}] '{id}'" if id else f"{kind}[{number}]"


def _content(path: Path) -> bytes | mmap.mmap:
    with path.open("rb") as file:
        if file.read(2) == _GZIP:
            with gzip.open(path) as unpacked:
                return unpacked.read()
        file.seek(0, 2)
        # The file is mapped and not read: its events are looked at one by one.
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if file.tell() else b""


def _no_ocel(path: Path, data: bytes | mmap.mmap, error: msgspec.ValidationError) -> str:
    if b'"ocel:' in bytes(data[:4096]):
        return f"{path}: is OCEL 1.0, its names begin with 'ocel:'; convert it to OCEL 2.0 first"
    return (
        f"{path}: is no OCEL 2.0: {error}; such a file is a JSON object with the lists objectTypes, eventTypes, "
        "objects and events"
    )


def _lines(data: bytes | mmap.mmap, end: int) -> int:
    step = 1 << 20
    return 1 + sum(bytes(data[begin : min(begin + step, end)]).count(b"\n") for begin in range(0, end, step))
