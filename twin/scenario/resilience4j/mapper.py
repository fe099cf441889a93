"""Reads the fields of one instance, and keeps what became of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from msgspec import Struct

from twin.scenario.errors import Problem
from twin.scenario.resilience4j.configuration import Instance, Level
from twin.scenario.resilience4j.fields import FIELDS, NO_EFFECT, REFUSED

__all__ = ["Mapper", "Row"]

T = TypeVar("T")

LATE: Final = "only newer versions look below a baseConfig for configs.default"


class Row(Struct, frozen=True):
    """One field of an instance: what it says, where, and what becomes of it."""

    instance: str
    gateway: str
    field: str
    """With its module: `retry.maxAttempts`; the module alone for what follows from having it"""
    value: str
    said: str
    """`line 12`, `line 4 (configs.shared)`, `default`, or `always`"""
    settings: tuple[tuple[tuple[str, ...], object], ...] = ()
    """Keys below the gateway's policy, and their values; none where the field has no effect"""
    note: str = ""
    """What differs in meaning"""

    @property
    def becomes(self) -> str:
        """`retries.max: 2`, or a dash."""
        # A null beside a setting only makes room for it.
        shown = [pair for pair in self.settings if pair[1] is not None] or self.settings
        return ", ".join(f"{'.'.join(path)}: {_shown(value)}" for path, value in shown) or "–"


def _shown(value: object) -> str:
    if value is None:
        return "null"
    return "[]" if value == () else _text(value)


class Mapper:
    """Reads the fields of one instance, and collects its rows and what is wrong."""

    def __init__(self, instance: Instance, gateway: str, problems: list[Problem]) -> None:
        self.instance = instance
        self.gateway = gateway
        self.problems = problems
        self.rows: list[Row] = []

    def read(self, field: str, parse: Callable[[object], T], begin: int = 0, end: int | None = None) -> T:
        """The field's value at the nearest level that says it, else its default."""
        found = self.instance.find(field, begin, end)
        default = parse(FIELDS[self.instance.module][field])
        if found is None:
            return default
        try:
            return parse(found[0].value)
        except ValueError as error:
            self.refuse(field, str(error))
            return default

    def row(
        self, field: str, settings: Mapping[str, object] | None = None, note: str = "", value: str | None = None
    ) -> None:
        """Add a row: what the field becomes, by dotted keys."""
        found = self.instance.find(field)
        given = tuple((tuple(key.split(".")), item) for key, item in (settings or {}).items())
        default = FIELDS[self.instance.module].get(field, "")
        shown = value if value is not None else default if found is None else _text(found[0].value)
        if found is not None and found[1].late_default:
            note = f"{note}; {LATE}" if note else LATE
        said = "default" if found is None else _place(found[1], found[0].line)
        name = f"{self.instance.module}.{field}"
        self.rows.append(Row(self.instance.name, self.gateway, name, shown or "none", said, given, note))

    def always(self, key: str, value: object, note: str) -> None:
        """Add a row for what follows from having the module at all."""
        given = ((tuple(key.split(".")), value),)
        self.rows.append(Row(self.instance.name, self.gateway, self.instance.module, "–", "always", given, note))

    def refuse(self, field: str, text: str, at: str = "") -> None:
        """Tell what is wrong with a field, where it (or `at`) stands; told once, however many inherit it."""
        found = self.instance.find(at or field) or self.instance.find(field)
        level = self.instance.levels[0]
        line = level.line if found is None else found[0].line
        problem = Problem(level.file, line, f"{self.instance.module}.{field}: {text}")
        if problem not in self.problems:
            self.problems.append(problem)

    def rest(self) -> None:
        """Refuse what has no counterpart, and list what has no effect."""
        module = self.instance.module
        for field in FIELDS[module]:
            found = self.instance.find(field)
            if found is None or found[0].value in ("", []):
                continue
            if field in REFUSED[module]:
                self.refuse(field, f"it is not imported: {REFUSED[module][field]}")
            elif field in NO_EFFECT:
                self.row(field, note=NO_EFFECT[field])


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _place(level: Level, line: int) -> str:
    return f"line {line} ({level.place})" if level.place else f"line {line}"
