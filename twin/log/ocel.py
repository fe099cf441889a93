"""A run as an object-centric event log: OCEL 2.0 in JSON (Berti et al. 2024, "OCEL 2.0 Specification").

One vocabulary: an event is named by its stored type, a message by the effect that it asks for, and a command that led
to no event by its own type. Each carries its part of the entry as text, so that the entries can be had back.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from twin.codec import CodecError, decode_entry
from twin.core.commands import Wake
from twin.core.entry import Entry
from twin.log.business_objects import OBJECTS, Attribute, BusinessObjects, Link, Thing, plain_fields
from twin.log.instants import iso
from twin.log.manifest import Manifest, read_manifest
from twin.log.outputs import new_file
from twin.log.reading import read_rows

__all__ = ["RUN", "OcelCounts", "write_ocel"]

RUN: Final = "run"
"""Type and id of the object that stands for the whole run."""

FORMAT: Final = 1
"""Version of the attributes that lead back to the entries."""

_RUN_ATTRIBUTES: Final = {"format": "integer", "manifest": "string", "scenario": "string"}

_ENTRY_ATTRIBUTES: Final = {
    "entry_position": "integer",
    "entry_part": "string",
    "entry_place": "integer",
    "cause_id": "string",
    "cause_type": "string",
    "entry_payload": "string",
    "entry_command": "string",
    "entry_refusal": "string",
}
"""Attributes of every event. Command and refusal stand at the first part of an entry; a part is an `event`, a
`delivery`, or the `command` itself where it led to no event; its place is counted from 0 among its like."""

_SCHEMA: Final = """
create table facts (object integer, is_relation integer, text text);
"""

_encode: Final = msgspec.json.Encoder().encode


class OcelCounts(NamedTuple):
    """What was written."""

    events: int
    objects: int
    entries: int


class _Texts(Struct):
    """The parts of an entry, each as the JSON that is stored."""

    command: Raw
    events: list[Raw] = []
    deliveries: list[Raw] = []
    refusal: Raw = Raw()


_TEXTS: Final = msgspec.json.Decoder(_Texts)


def write_ocel(run: Path, file: Path) -> OcelCounts:
    """Write a finished run to a new OCEL 2.0 file, whole or not at all; returns how much it was.

    Events are streamed; what is known of objects waits in a file beside. In memory are only the objects' ids. The
    truth is not written, it is no part of the log. Raises `RunError` for a run that is cut off or damaged, and where
    the file is there already or cannot be made.
    """
    manifest = read_manifest(run)
    with new_file(file) as folder, closing(_Spool(folder / "objects")) as spool:
        _describe_run(spool, run, manifest)
        events = folder / "events"
        with events.open("wb") as out:
            written, entries, types = _write_events(out, run, spool)
        with (folder / file.name).open("wb") as out, events.open("rb") as body:
            # Objects stand before the events that name them, so that a reader can look while it reads.
            out.write(b'{"objectTypes":[\n')
            out.write(b",\n".join(_declared(spool.types())))
            out.write(b'\n],\n"eventTypes":[\n')
            out.write(b",\n".join(_declared(sorted(types.items()))))
            out.write(b'\n],\n"objects":[\n')
            for number, text in enumerate(spool.objects()):
                out.write(text if number == 0 else b",\n" + text)
            out.write(b'\n],\n"events":[\n')
            shutil.copyfileobj(body, out, 1 << 20)
            out.write(b"\n]}\n")
    return OcelCounts(written, len(spool), entries)


def _describe_run(spool: _Spool, run: Path, manifest: Manifest) -> None:
    thing = Thing(RUN, RUN)
    spool.meet(thing)
    about: list[Attribute] = [("format", FORMAT)]
    # The parts are those of the folder; the digest holds their content.
    about.append(("manifest", _encode(msgspec.structs.replace(manifest, parts=())).decode()))
    scenario = run / "scenario.yaml"
    if scenario.exists():
        about.append(("scenario", scenario.read_text(encoding="utf-8")))
    spool.learn(thing, manifest.start_ms, about)


def _write_events(out: IO[bytes], run: Path, spool: _Spool) -> tuple[int, int, dict[str, dict[str, str]]]:
    business = BusinessObjects(spool)
    types: dict[str, dict[str, str]] = {}
    written = entries = 0
    for row in read_rows(run):
        entry = decode_entry(row.payload)
        try:
            texts = _TEXTS.decode(row.payload)
        except msgspec.MsgspecError as error:
            raise CodecError(f"an entry that cannot be read: {error}") from error
        entries += 1
        for part in _parts(entry, texts, row.type):
            if part.type not in types:
                types[part.type] = _ENTRY_ATTRIBUTES | dict(plain_fields(type(part.about)))
            links = business.take(part.whole, entry.now) or [Link(Thing(RUN, RUN), RUN)]
            out.write(b"" if written == 0 else b",\n")
            out.write(_event(part, entry, links))
            written += 1
        spool.flush()
    return written, entries, types


class _Part(NamedTuple):
    """One part of an entry: what it is in whole, the struct with its plain fields, and the attributes that it bears."""

    id: str
    type: str
    whole: Any
    about: Any
    attributes: list[dict[str, Any]]


def _parts(entry: Entry, texts: _Texts, command_type: str) -> Iterator[_Part]:
    command = entry.command
    cause = command.key if isinstance(command, Wake) else command.id
    first = [_named("entry_command", _text(texts.command))]
    if entry.refusal is not None:
        first.append(_named("entry_refusal", _text(texts.refusal)))

    def part(kind: str, place: int, type_: str, whole: Any, about: Any, payload: Raw | None) -> _Part:
        attributes = [
            _named("entry_position", entry.position),
            _named("entry_part", kind),
            _named("entry_place", place),
            _named("cause_id", cause),
            _named("cause_type", command_type),
        ]
        if payload is not None:
            attributes.append(_named("entry_payload", _text(payload)))
        attributes += first
        first.clear()
        return _Part(f"{entry.position}.{_MARKS[kind]}{place}", type_, whole, about, attributes)

    if not entry.events:
        yield part("command", 0, command_type, command, command, None)
    for place, (event, text) in enumerate(zip(entry.events, texts.events, strict=True)):
        yield part("event", place, _tag(event), event, event, text)
    for place, (message, text) in enumerate(zip(entry.deliveries, texts.deliveries, strict=True)):
        yield part("delivery", place, _tag(message.effect), message, message.effect, text)


_MARKS: Final = {"event": "", "delivery": "d", "command": "c"}
"""What tells the ids of an entry's parts apart; those of events are the ones under which they are published."""


def _event(part: _Part, entry: Entry, links: Iterable[Link]) -> bytes:
    attributes = part.attributes
    for name, type_ in plain_fields(type(part.about)):
        value = getattr(part.about, name)
        if value == "" or (type_ == "time" and not value):
            continue
        attributes.append(_named(name, iso(value) if type_ == "time" else value))
    return _encode(
        {
            "id": part.id,
            "type": part.type,
            "time": iso(entry.now),
            "attributes": attributes,
            "relationships": [{"objectId": _id(link.thing), "qualifier": link.qualifier} for link in links],
        }
    )


def _declared(types: Iterable[tuple[str, dict[str, str]]]) -> Iterator[bytes]:
    for name, attributes in types:
        declared = [{"name": attribute, "type": kind} for attribute, kind in attributes.items()]
        yield _encode({"name": name, "attributes": declared})


def _named(name: str, value: Any) -> dict[str, Any]:
    return {"name": name, "value": value}


def _text(raw: Raw) -> str:
    return bytes(raw).decode()


def _tag(struct: Struct) -> str:
    return str(struct.__struct_config__.tag)


def _id(thing: Thing) -> str:
    # An order and a customer may bear the same id.
    return thing.id if thing.type == RUN else f"{thing.type}/{thing.id}"


class _Spool:
    """What becomes known of objects, in a file until all is known of each; in memory only their ids."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path)
        self._database.executescript(f"pragma journal_mode = off; pragma synchronous = off; {_SCHEMA}")
        self._numbers: dict[Thing, int] = {}
        self._types: dict[str, None] = {}
        self._facts: list[tuple[int, int, str]] = []

    def __len__(self) -> int:
        return len(self._numbers)

    def meet(self, thing: Thing) -> bool:
        known = len(self._numbers)
        if self._numbers.setdefault(thing, known) != known:
            return False
        self._types[thing.type] = None
        return True

    def knows(self, thing: Thing) -> bool:
        return thing in self._numbers

    def learn(self, thing: Thing, at: int, attributes: Iterable[Attribute]) -> None:
        self.meet(thing)
        number, since = self._numbers[thing], iso(at)
        kinds = _RUN_ATTRIBUTES if thing.type == RUN else OBJECTS[thing.type]
        for name, value in attributes:
            if kinds[name] == "time" and not value:
                continue
            told = iso(int(value)) if kinds[name] == "time" else value
            text = _encode({"name": name, "value": told, "time": since}).decode()
            self._facts.append((number, 0, text))

    def relate(self, thing: Thing, other: Thing, qualifier: str) -> None:
        self.meet(thing)
        self.meet(other)
        text = _encode({"objectId": _id(other), "qualifier": qualifier}).decode()
        self._facts.append((self._numbers[thing], 1, text))

    def flush(self, rows: int = 10_000) -> None:
        """Put on disk what has come together."""
        if len(self._facts) >= rows:
            self._database.executemany("insert into facts values (?, ?, ?)", self._facts)
            self._facts.clear()

    def types(self) -> Iterator[tuple[str, dict[str, str]]]:
        """The types of the objects there are, with their attributes."""
        for name in self._types:
            yield name, _RUN_ATTRIBUTES if name == RUN else OBJECTS[name]

    def objects(self) -> Iterator[bytes]:
        """Every object as JSON, in the order of their first mention."""
        self.flush(0)
        facts = iter(self._database.execute("select object, is_relation, text from facts order by object, rowid"))
        ahead = next(facts, None)
        for thing, number in self._numbers.items():
            told: tuple[dict[str, None], dict[str, None]] = ({}, {})
            while ahead is not None and ahead[0] == number:
                # What is said again, such as a definition that changed nothing of it, is one fact.
                told[ahead[1]][ahead[2]] = None
                ahead = next(facts, None)
            head = _encode({"id": _id(thing), "type": thing.type}).decode()
            attributes, relations = (",".join(texts) for texts in told)
            yield f'{head[:-1]},"attributes":[{attributes}],"relationships":[{relations}]}}'.encode()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
