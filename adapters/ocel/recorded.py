"""A run that `twin export --ocel` wrote, read back: the entries as they were, and what the run was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from adapters.ocel.object_log import ObjectLog, OcelEvent, Survey, instant_ms
from adapters.ocel.opening import open_object_log
from adapters.ocel.problems import OcelError, Problems
from twin.codec import CodecError, decode_entry
from twin.core.entry import Entry

__all__ = ["FORMAT", "RecordedRun", "read_recorded"]

FORMAT: Final = 1
"""Version of the attributes that lead back to the entries."""

_RUN: Final = "run"
_ORDER: Final = {"command": 0, "event": 1, "delivery": 2}
_NOT_OURS: Final = "only a file that `twin export --ocel` wrote becomes a run again"


class RecordedRun(Struct, frozen=True):
    """`manifest` is that of the run, as JSON text; `scenario` its YAML, or empty; `survey` what is in the file."""

    document: ObjectLog
    survey: Survey
    manifest: str
    scenario: str

    def entries(self) -> Iterator[Entry]:
        """The entries in their order, rebuilt from their parts. Raises `OcelError` where a part is missing or odd."""
        path = self.document.path
        parts: list[_Part] = []
        last = 0
        for number, event in enumerate(self.document.events()):
            part = _part(event, number, path)
            if parts and part.position != parts[0].position:
                yield _entry(parts, path)
                last = parts[0].position
                parts = []
            if last and not parts and part.position != last + 1:
                raise OcelError(
                    f"{path}: {part.place}: belongs to entry {part.position}, and the one before it is {last}; the "
                    "events must stand in the order of the log, and none may be left out: export the run again"
                )
            parts.append(part)
        if parts:
            yield _entry(parts, path)


class _Part(Struct, frozen=True):
    place: str
    position: int
    kind: str
    number: int
    type: str
    time: str
    values: dict[str, Any]


def read_recorded(path: Path) -> RecordedRun:
    """The run in an OCEL 2.0 file that this project wrote.

    The whole file is looked at first. Raises `OcelError` that tells the first five problems and counts all, and for a
    file of another origin, with what is in it.
    """
    document = open_object_log(path)
    problems = Problems(path)
    survey = document.survey(problems)
    problems.check()
    run = next((one for one in document.objects() if one.type == _RUN), None)
    told = {} if run is None else {attribute.name: attribute.value for attribute in run.attributes}
    if run is None or not isinstance(told.get("manifest"), str):
        raise OcelError(
            f"{path}: has no object of type '{_RUN}' with the run's manifest, but {survey.text}; {_NOT_OURS}"
        )
    if told.get("format") != FORMAT:
        raise OcelError(
            f"{path}: {run.id}: has format {told.get('format')}, this version reads {FORMAT}; export it again"
        )
    return RecordedRun(document, survey, told["manifest"], str(told.get("scenario", "")))


def _part(event: OcelEvent, number: int, path: Path) -> _Part:
    place = f"events[{number}] '{event.id}'"
    values = {attribute.name: attribute.value for attribute in event.attributes}
    position, kind, at = values.get("entry_position"), values.get("entry_part"), values.get("entry_place")
    if type(position) is not int or kind not in _ORDER or type(at) is not int:
        raise OcelError(f"{path}: {place}: does not say which part of which entry it is; {_NOT_OURS}")
    for name in ("entry_payload", "entry_command", "entry_refusal"):
        if not isinstance(values.get(name, ""), str):
            raise OcelError(f"{path}: {place}: attribute '{name}' is no text; export the run again")
    return _Part(place, position, kind, at, event.type, event.time or "", values)


def _entry(parts: list[_Part], path: Path) -> Entry:
    """The entry that these parts make; its text is put together as it was stored."""
    first = parts[0]
    now = instant_ms(first.time)
    texts: dict[str, list[str]] = {kind: [] for kind in _ORDER}
    reached = 0
    for part in parts:
        if part.time != first.time:
            raise _odd(path, part, f"is not at the time of the entry's first part, {first.time}")
        if _ORDER[part.kind] < reached or part.number != len(texts[part.kind]):
            raise _odd(path, part, f"is {part.kind} {part.number} of it, which is out of order or not the only one")
        reached = _ORDER[part.kind]
        texts[part.kind].append(part.values.get("entry_payload", ""))
    command = first.values.get("entry_command")
    if command is None:
        raise _odd(path, first, "has no command; an event before it may have been left out")
    text = f'{{"position":{first.position},"now":{now},"command":{command}'
    if texts["event"]:
        text += f',"events":[{",".join(texts["event"])}]'
    if texts["delivery"]:
        text += f',"deliveries":[{",".join(texts["delivery"])}]'
    if "entry_refusal" in first.values:
        text += f',"refusal":{first.values["entry_refusal"]}'
    try:
        entry = decode_entry(text + "}")
    except CodecError as error:
        raise _odd(path, first, f"gives {error}") from None
    named = [str(event.__struct_config__.tag) for event in entry.events]
    named += [str(sent.effect.__struct_config__.tag) for sent in entry.deliveries]
    if len(named) != len(texts["event"]) + len(texts["delivery"]):
        told = f"holds {len(named)} events and messages in {len(texts['event']) + len(texts['delivery'])} payloads"
        raise _odd(path, first, told)
    for part, tag in zip(parts[-len(named) :] if named else (), named, strict=True):
        if part.type != tag:
            raise _odd(path, part, f"is of type '{part.type}', its payload of type '{tag}'")
    return entry


def _odd(path: Path, part: _Part, problem: str) -> OcelError:
    return OcelError(f"{path}: {part.place}: entry {part.position}: {problem}; export the run again")
