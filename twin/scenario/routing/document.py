"""A file with an order system's sourcing rules: which system's it is, and its entries with their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Final, Literal

from msgspec import Struct

from twin.scenario.errors import Problem, ScenarioError, choices
from twin.scenario.merging import Node
from twin.scenario.reading import check_kind, read
from twin.scenario.resilience4j.spring import loose

__all__ = ["Document", "Fields", "System", "read_document"]

System = Literal["spree", "adobe"]

_LISTS: Final[Mapping[str, System]] = {"data": "spree", "links": "adobe", "items": "adobe"}
"""The key of the list of entries, by which a system's file is known"""
_BESIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "data": ("meta",),
    "links": (),
    "items": ("search_criteria", "total_count"),
}
"""What a file may hold beside its list"""


class Document(Struct, frozen=True):
    """The entries of a file, and what stands beside them."""

    file: str
    system: System
    key: str
    line: int
    entries: Sequence[Node]
    beside: Mapping[str, Node]


def read_document(path: str | FilePath) -> Document | None:
    """The sourcing rules in a JSON or YAML file; none where it holds no list of a known system.

    Raises `ScenarioError` for a file that cannot be read, or holds more than one such list or keys that are not known.
    """
    name = str(path)
    check_kind(FilePath(path), name)
    begins = "settings of Resilience4j, or sourcing rules of Spree (data) or Adobe Commerce (links, items)"
    root, problems = read(FilePath(path), name, f"give {begins}", "keys such as resilience4j, data, links or items")
    top = root.value if isinstance(root.value, dict) else {}
    found = [key for key in top if key in _LISTS]
    # An application's settings may have such a key beside those of Resilience4j.
    if not found or any(loose(key.partition(".")[0]) == "resilience4j" for key in top):
        return None
    key, *more = found
    for other in more:
        text = f"'{other}' stands beside '{key}', and each holds rules; give a file with one of them"
        problems.append(Problem(name, top[other].line, text))
    for other, node in top.items():
        if other not in _LISTS and other not in _BESIDE[key]:
            problems.append(Problem(name, node.line, choices("key", "keys", other, [key, *_BESIDE[key]])))
    entries = top[key].value
    if not isinstance(entries, list):
        problems.append(Problem(name, top[key].line, f"{key}: expected a list of rules, got {_kind(entries)}"))
    elif not entries and key != "data":
        problems.append(Problem(name, top[key].line, f"{key}: the list is empty; give at least one entry"))
    if problems or not isinstance(entries, list):
        raise ScenarioError(sorted(problems, key=lambda problem: problem.line))
    beside = {other: node for other, node in top.items() if other != key}
    return Document(name, _LISTS[key], key, top[key].line, entries, beside)


class Fields:
    """Reads the fields of one entry; adds to `problems` what is wrong with them."""

    def __init__(self, node: Node, where: str, known: Sequence[str], problems: list[Problem]) -> None:
        self.file = node.file
        self.line = node.line
        self.where = where
        self.problems = problems
        self.found: Mapping[str, Node] = {}
        self.is_map = isinstance(node.value, dict)
        if not isinstance(node.value, dict):
            self.refuse("", f"expected fields such as {', '.join(known[:3])}, got {_kind(node.value)}")
            return
        self.found = node.value
        for key in node.value:
            if key not in known:
                self.refuse(key, choices("field", "fields", key, known), key_first=False)

    def refuse(self, field: str, text: str, *, key_first: bool = True) -> None:
        """Tell what is wrong with a field, at its line; with none, at the entry's."""
        line = self.found[field].line if field in self.found else self.line
        name = f"{self.where}.{field}" if field and key_first else self.where
        self.problems.append(Problem(self.file, line, f"{name}: {text}"))

    def line_of(self, field: str) -> int:
        """Where a field stands, or the entry where it does not."""
        return self.found[field].line if field in self.found else self.line

    def whole(self, field: str) -> int | None:
        """A whole number; none where it is missing or is none, which is told."""
        value = self._given(field, "a whole number")
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        self.refuse(field, f"expected a whole number, got {_kind(value)}")
        return None

    def text(self, field: str) -> str | None:
        """A text; none where it is missing or is none, which is told."""
        value = self._given(field, "a text")
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        self.refuse(field, f"expected a text, got {_kind(value)}")
        return None

    def flag(self, field: str) -> bool | None:
        """True or false; none where it is missing or is neither, which is told."""
        value = self._given(field, "true or false")
        if value is None or isinstance(value, bool):
            return value
        self.refuse(field, f"expected true or false, got {_kind(value)}")
        return None

    def empty(self, field: str) -> bool:
        """Whether nothing stands there."""
        return field not in self.found or self.found[field].value in (None, "", [], {})

    def _given(self, field: str, expected: str) -> object:
        if field in self.found and self.found[field].value is not None:
            return self.found[field].value
        # What is no map at all is told already.
        if self.is_map:
            self.refuse(field, f"it is missing; give {expected}")
        return None


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else str(value)
