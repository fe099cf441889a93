"""OCEL 2.0 in XML, plain or gzipped: read from front to end, an element at a time."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from adapters.ocel.object_log import EventAttribute, ObjectAttribute, ObjectLog, OcelEvent, OcelObject, Relation
from adapters.ocel.problems import OcelError, Problems
from adapters.xml_stream import new_parser, pieces

__all__ = ["XmlFile", "open_xml"]

_AGAIN: Final = "export it again"
_RELATIONS: Final = ("relationship", "relobj")
"""Elements that relate an object; the second is that of the standard's first exports."""
_NUMBERS: Final = {
    "integer": re.compile(r"[+-]?[0-9]{1,18}"),
    "float": re.compile(r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"),
}
"""How XML Schema writes the numbers that a log can use: NaN and INF are none."""
_TYPES: Final = {"object-types": "object-type", "event-types": "event-type"}


def open_xml(path: Path) -> XmlFile:
    """The file, with its types read. Raises `OcelError` where it is no OCEL 2.0 in XML."""
    head = _Head(path)
    for _ in pieces(path, head.parser, head.fail):
        if head.ended == set(_TYPES):
            break
    for name in _TYPES:
        if name not in head.types:
            raise head.fail(
                None,
                f"is no OCEL 2.0 in XML: has no element {name}",
                "such a file has object-types, event-types, objects and events in its log",
            )
    return XmlFile(path, head.types["object-types"], head.types["event-types"])


class XmlFile(ObjectLog):
    """A file with the four lists of OCEL 2.0 in XML; every pass reads it anew."""

    def __init__(self, path: Path, objects: dict[str, dict[str, str]], events: dict[str, dict[str, str]]) -> None:
        super().__init__(
            path,
            {name: tuple(attributes) for name, attributes in objects.items()},
            {name: tuple(attributes) for name, attributes in events.items()},
        )
        self._kinds = {"objects": objects, "events": events}

    def placed_objects(self, problems: Problems | None) -> Iterator[tuple[str, OcelObject]]:
        """Each object with its line; the file is read no further than to the end of their list."""
        items = _Items(self.path, "objects", self._kinds["objects"], problems)
        for _ in pieces(self.path, items.parser, items.fail):
            yield from items.take()
            if items.ended:
                break

    def placed_events(self, problems: Problems | None) -> Iterator[tuple[str, OcelEvent]]:
        """Each event with its line."""
        items = _Items(self.path, "events", self._kinds["events"], problems)
        for _ in pieces(self.path, items.parser, items.fail):
            yield from items.take()


class _Reader(ABC):
    def __init__(self, path: Path) -> None:
        self._path = path
        self.parser = new_parser(self.fail)
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self._depth = 0

    def fail(self, line: int | None, problem: str, remedy: str) -> OcelError:
        place = self._path if line is None else f"{self._path}:{line}"
        return OcelError(f"{place}: {problem}; {remedy}")

    @abstractmethod
    def _start(self, name: str, attributes: dict[str, str]) -> None: ...

    @abstractmethod
    def _end(self, name: str) -> None: ...


class _Head(_Reader):
    """The declared types: section -> type -> attribute -> kind."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.types: dict[str, dict[str, dict[str, str]]] = {}
        self.ended: set[str] = set()
        self._section = ""
        self._type: dict[str, str] = {}

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and name != "log":
            raise self.fail(
                self.parser.CurrentLineNumber, f"is no OCEL 2.0 in XML: it begins with {name}, not log", _AGAIN
            )
        if self._depth == 2:
            self._section = name
            if name in _TYPES:
                self.types[name] = {}
            elif name == "trace":
                raise self.fail(self.parser.CurrentLineNumber, "is XES, not OCEL 2.0", "read it by `twin profile`")
        elif self._section in _TYPES:
            if self._depth == 3 and name == _TYPES[self._section]:
                self._type = self.types[self._section].setdefault(attributes.get("name", ""), {})
            elif name == "attribute":
                self._type[attributes.get("name", "")] = attributes.get("type", "string")

    def _end(self, name: str) -> None:
        if self._depth == 2 and name in _TYPES:
            self.ended.add(name)
        self._depth -= 1


class _Items(_Reader):
    """The objects or the events as they are read."""

    def __init__(self, path: Path, section: str, kinds: dict[str, dict[str, str]], problems: Problems | None) -> None:
        super().__init__(path)
        self.ended = False
        self._wanted = section
        self._item = section[:-1]
        self._kinds = kinds
        self._problems = problems
        self._inside = False
        self._made: list[tuple[str, Any]] = []
        self._line = 0
        self._own: dict[str, str] = {}
        self._named: dict[str, str] = {}
        self._text: list[str] = []
        self._attributes: list[Any] = []
        self._relations: list[Relation] = []

    def take(self) -> list[tuple[str, Any]]:
        """What has been read since the last time."""
        made, self._made = self._made, []
        return made

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if not self._inside:
            self._inside = self._depth == 2 and name == self._wanted
        elif self._depth == 3:
            self._line = self.parser.CurrentLineNumber
            self._own = attributes if name == self._item else {}
            self._attributes = []
            self._relations = []
        elif name in _RELATIONS:
            self._relations.append(Relation(attributes.get("object-id", ""), attributes.get("qualifier", "")))
        elif name == "attribute":
            self._named = attributes
            self._text = []
            self.parser.CharacterDataHandler = self._text.append

    def _end(self, name: str) -> None:
        depth = self._depth
        self._depth = depth - 1
        if not self._inside:
            return
        if name == "attribute":
            self.parser.CharacterDataHandler = None
            self._attribute("".join(self._text))
        elif depth == 3:
            self._finish(name)
        elif depth == 2:
            self._inside = False
            self.ended = True

    def _attribute(self, text: str) -> None:
        name = self._named.get("name", "")
        value: Any = text
        kind = self._kinds.get(self._own.get("type", ""), {}).get(name, "string")
        written = _NUMBERS.get(kind)
        if written is not None:
            # A float stays the text that it is written as: an amount is read from it as a decimal.
            value = None if not written.fullmatch(text.strip()) else int(text) if kind == "integer" else text
            if value is None and text.strip():
                self._add(self._place(), f"attribute '{name}' is '{text}', which is no {kind}", "correct it")
        if self._wanted == "objects":
            self._attributes.append(ObjectAttribute(name, value, self._named.get("time", "")))
        else:
            self._attributes.append(EventAttribute(name, value))

    def _finish(self, name: str) -> None:
        own, place = self._own, self._place()
        for needed in ("id", "type"):
            if not own.get(needed):
                self._add(place, f"a {name} without {needed}", _AGAIN)
                return
        made: OcelObject | OcelEvent
        if self._wanted == "objects":
            made = OcelObject(own["id"], own["type"], tuple(self._attributes), tuple(self._relations))
        else:
            made = OcelEvent(own["id"], own["type"], own.get("time"), tuple(self._attributes), tuple(self._relations))
        self._made.append((place, made))

    def _place(self) -> str:
        named = self._own.get("id")
        return f"line {self._line}: {self._item} '{named}'" if named else f"line {self._line}"

    def _add(self, place: str, problem: str, remedy: str) -> None:
        if self._problems is not None:
            self._problems.add(place, problem, remedy)
