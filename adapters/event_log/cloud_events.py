"""CloudEvents 1.0 in JSON lines as a table: a row an event.

An attribute has the column of its name, what stands in the data `data.NAME` (and `data.NAME.NAME` in a map of it).
A list has no column, but for the one that the mapping names in `each`: an event makes a row for every element of it,
whose columns are `LIST.NAME`, or `LIST` where the elements are no maps. An event without it, or with an empty one,
makes one row. An event that comes again, by its source and id, is dropped and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec

from adapters.cloud_events import Lines
from adapters.event_log.columns import RecordFile, TextColumns, text_of, wanted_columns
from adapters.event_log.mapping import EventLogMapping
from twin.event_log import EventLogError, Remark

__all__ = ["CloudEventsFile"]

_SHOWN: Final = 5
_DEPTH_MAX: Final = 5
_sorted: Final = msgspec.json.Encoder(order="sorted").encode


class CloudEventsFile(RecordFile):
    """One file of events, plain or gzipped. Raises `EventLogError` where lines are no events or the file is cut off."""

    def __init__(self, path: Path, mapping: EventLogMapping) -> None:
        super().__init__(path)
        self.lists: dict[str, None] = {}
        self.each = mapping.each
        wanted = wanted_columns(mapping)
        made = TextColumns(wanted)
        each = _Each(mapping.each, wanted)
        paths = [_path(name) for name in wanted]
        names: dict[str, None] = {}
        seen: dict[bytes, bytes] = {}
        again: list[tuple[int, str]] = []
        other: list[tuple[int, str]] = []
        again_count = other_count = 0
        for number, event in Lines(path):
            self.rows += 1
            key = _digest(f"{event['source']}\0{event['id']}".encode())
            content = _digest(_sorted(event))
            before = seen.setdefault(key, content)
            if before is not content:
                shown = again if before == content else other
                if len(shown) < _SHOWN:
                    shown.append((number, event["id"]))
                again_count += before == content
                other_count += before != content
                continue
            _collect(event, "", names, self.lists)
            cells = [_cell(event, steps) for steps in paths]
            if mapping.each is None:
                made.add(number, cells)
                continue
            for row in each.rows(number, event, cells, names):
                made.add(number, row)
        if other_count:
            some = "events have" if other_count > 1 else "event has"
            raise EventLogError(
                str(path),
                f"{other_count:,} {some} source and id of another one and say something else",
                "give each event of a source an id of its own",
                other,
                other_count,
            )
        if again_count:
            self.remarks.append(Remark("events that came again, by source and id, dropped", again_count, tuple(again)))
        each.check(self)
        self.columns = list(names)
        self.holds = f"{self.rows - again_count:,} different events"
        self._table, self.records = made.close()

    def hint(self, column: str) -> str:
        """Why a column may not be found: it is a list, or of a list, and lists have rows, not columns."""
        for name in self.lists:
            if name == self.each:
                continue
            if column == name or column.startswith(f"{name}."):
                return f"; {name!r} is a list: `each: {name}` makes a row of each of its elements"
        return ""


class _Each:
    """The elements of one list of an event, a row each."""

    def __init__(self, name: str | None, wanted: Sequence[str]) -> None:
        self._name = name or ""
        self._steps = _path(self._name)
        inside = f"{self._name}."
        self._of = [
            (at, column.removeprefix(inside).split("."))
            for at, column in enumerate(wanted)
            if name is not None and column.startswith(inside)
        ]
        self._own = [at for at, column in enumerate(wanted) if column == name]
        self._met = False
        self._strange: list[tuple[int, str]] = []
        self._strange_count = 0
        self._no_list: list[tuple[int, str]] = []
        self._no_list_count = 0

    def rows(
        self, number: int, event: Mapping[str, Any], cells: list[str | None], names: dict[str, None]
    ) -> Iterator[list[str | None]]:
        """The event's cells, once for each element; `names` grows by the columns that an element has."""
        held = _held(event, self._steps)
        if not isinstance(held, list):
            if held is not None:
                self._no_list_count += 1
                if len(self._no_list) < _SHOWN:
                    self._no_list.append((number, msgspec.json.encode(held).decode()))
            yield cells
            return
        if not held:
            yield cells
            return
        self._met = True
        for element in held:
            row = cells.copy()
            if isinstance(element, dict):
                _collect(element, f"{self._name}.", names, {})
                for at, steps in self._of:
                    row[at] = text_of(_held(element, steps))
            elif isinstance(element, list):
                self._strange_count += 1
                if len(self._strange) < _SHOWN:
                    self._strange.append((number, msgspec.json.encode(element).decode()))
            else:
                names.setdefault(self._name)
                for at in self._own:
                    row[at] = text_of(element)
            yield row

    def check(self, file: CloudEventsFile) -> None:
        """See that there is such a list, and that its elements have columns. Raises `EventLogError`."""
        if not self._name:
            return
        if self._strange_count:
            raise EventLogError(
                str(file.path),
                f"{self._strange_count:,} elements of the list {self._name!r} are lists, which have no columns",
                "give `each` a list of maps or of ids",
                self._strange,
                self._strange_count,
            )
        if self._no_list_count and (self._met or self._name in file.lists):
            some = "events have" if self._no_list_count > 1 else "event has"
            raise EventLogError(
                str(file.path),
                f"{self._no_list_count:,} {some} something else than a list as {self._name!r}",
                "export them again with a list, empty where there is nothing",
                self._no_list,
                self._no_list_count,
            )
        if not self._met:
            if self._name in file.lists:
                raise EventLogError(
                    "mapping.each",
                    f"all lists {self._name!r} of {file.path} are empty",
                    "leave it out, or follow another",
                )
            there = ", ".join(file.lists) or "none"
            raise EventLogError(
                "mapping.each", f"no event of {file.path} has a list {self._name!r}", f"lists there: {there}"
            )


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=12).digest()


def _path(name: str) -> tuple[str, ...]:
    return tuple(name.split(".")) if name.startswith("data.") else (name,)


def _cell(event: Mapping[str, Any], steps: Sequence[str]) -> str | None:
    return text_of(_held(event, steps))


def _held(event: Mapping[str, Any], steps: Sequence[str]) -> Any:
    held: Any = event
    for step in steps:
        if not isinstance(held, dict):
            return None
        held = held.get(step)
    return held


def _collect(
    held: Mapping[str, Any], prefix: str, names: dict[str, None], lists: dict[str, None], depth: int = 0
) -> None:
    for name, value in held.items():
        if isinstance(value, dict):
            if depth < _DEPTH_MAX and (prefix or name == "data"):
                _collect(value, f"{prefix}{name}.", names, lists, depth + 1)
        elif isinstance(value, list):
            lists.setdefault(f"{prefix}{name}")
        else:
            names.setdefault(f"{prefix}{name}")
