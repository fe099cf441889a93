"""The modules, instances and shared configurations of a Resilience4j file, and who inherits from whom.

Inheritance is that of Resilience4j 2: an instance takes what it leaves unsaid from its `baseConfig`, that one from its
own, and the last from `configs.default`. Only the circuit breaker differs: a shared configuration of it does not go on
to `configs.default`, and an instance without `baseConfig` prefers a configuration of its own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Final

from msgspec import Struct

from twin.scenario.errors import Problem, ScenarioError, choices, suggestion
from twin.scenario.merging import Node
from twin.scenario.reading import check_kind, read
from twin.scenario.resilience4j.fields import FIELDS, REFUSED_KEYS, REFUSED_MODULES, SILENT_KEYS, SILENT_MODULES
from twin.scenario.resilience4j.spring import loose, spread

__all__ = ["Configuration", "Instance", "Level", "read_configuration"]

DEFAULT: Final = "default"
BASE: Final = "baseConfig"
_OTHERS: Final = "sourcing rules stand under data (Spree), or links or items (Adobe Commerce)"


class Level(Struct, frozen=True):
    """What one place says: an instance (`place` is empty) or a shared configuration (`configs.shared`)."""

    place: str
    file: str
    line: int
    fields: Mapping[str, Node]
    """By the field's name as Resilience4j documents it"""
    late_default: bool = False
    """Whether it is `configs.default` below a `baseConfig` that does not name it: older versions do not look there"""


class Instance(Struct, frozen=True):
    """One instance in one module, with all that it inherits from, nearest first."""

    name: str
    module: str
    levels: tuple[Level, ...]

    @property
    def line(self) -> int:
        """Where it stands."""
        return self.levels[0].line

    def find(self, field: str, begin: int = 0, end: int | None = None) -> tuple[Node, Level] | None:
        """What is said of a field at the nearest of these levels that says anything."""
        for level in self.levels[begin:end]:
            if field in level.fields:
                return level.fields[field], level
        return None


class Configuration(Struct, frozen=True):
    """All instances of a file: by name, then by module."""

    file: str
    instances: Mapping[str, Mapping[str, Node]]
    configs: Mapping[str, Mapping[str, Node]]
    """Shared configurations: by module, then by name"""

    def instance(self, name: str, module: str, problems: list[Problem]) -> Instance:
        """An instance with its levels; adds to `problems` what is wrong with its keys and those it inherits."""
        node = self.instances[name][module]
        configs = self.configs.get(module, {})
        levels = [_level(module, "", node, problems)]
        seen: list[str] = []
        following, late = self._next(module, name, levels[0], configs, seen, problems)
        while following:
            seen.append(following)
            levels.append(_level(module, f"configs.{following}", configs[following], problems, late=late))
            following, late = self._next(module, following, levels[-1], configs, seen, problems)
        return Instance(name, module, tuple(levels))

    def _next(
        self,
        module: str,
        name: str,
        level: Level,
        configs: Mapping[str, Node],
        seen: list[str],
        problems: list[Problem],
    ) -> tuple[str, bool]:
        """The configuration that a level inherits from (empty: none), and whether only newer versions look there."""
        base = level.fields.get(BASE)
        if base is not None and base.value not in (None, ""):
            named = str(base.value)
            if named in configs and named not in seen:
                return named, False
            if named in configs:
                way = " -> ".join([*seen[seen.index(named) :], named])
                text = f"{module}.{BASE} goes in a circle: {way}; let the last one stand alone"
            else:
                text = f"{module}.{BASE}: " + choices(
                    "configuration", f"configurations of {module}", named, list(configs)
                )
            problems.append(Problem(base.file, base.line, text))
            return "", False
        if module == "circuitbreaker":
            if level.place:
                return "", False
            if name in configs:
                return name, False
        if DEFAULT in configs and DEFAULT not in seen:
            return DEFAULT, bool(level.place)
        return "", False


def read_configuration(path: str | FilePath) -> Configuration:
    """The Resilience4j part of a YAML file. Raises `ScenarioError` where there is none, or it is not understood."""
    name = str(path)
    check_kind(FilePath(path), name)
    begins = "Resilience4j's settings stand under the key resilience4j"
    root, problems = read(FilePath(path), name, begins, "keys such as resilience4j")
    top = root.value if isinstance(root.value, dict) else {}
    ours = {key: node for key, node in top.items() if loose(key.partition(".")[0]) == "resilience4j"}
    if not ours:
        known = f"; the keys here are {', '.join(list(top)[:8])}" if top else ""
        raise ScenarioError([*problems, Problem(name, 0, f"there is no key resilience4j{known}; {_OTHERS}")])
    instances: dict[str, dict[str, Node]] = {}
    configs: dict[str, dict[str, Node]] = {}
    for section in _map(spread(Node(ours, name, 1), problems), "resilience4j", problems).values():
        for key, node in _map(section, "keys such as retry and circuitbreaker", problems).items():
            module = loose(key)
            if module in SILENT_MODULES:
                continue
            if module not in FIELDS:
                problems.append(Problem(name, node.line, _unknown_module(key, module)))
                continue
            for kind, named in _parts(module, node, problems):
                for id, inner in named.items():
                    there = configs.setdefault(module, {}) if kind == "configs" else instances.setdefault(id, {})
                    at = id if kind == "configs" else module
                    if at in there:
                        text = f"{module}.{kind}.{id} stands twice; first in line {there[at].line}"
                        problems.append(Problem(name, inner.line, text))
                    there[at] = inner
    if not instances and not problems:
        problems.append(Problem(name, 0, "there is no instance; write some under resilience4j.retry.instances"))
    if problems:
        raise ScenarioError(sorted(problems, key=lambda problem: problem.line))
    return Configuration(name, instances, configs)


def _parts(module: str, node: Node, problems: list[Problem]) -> list[tuple[str, dict[str, Node]]]:
    """The instances and configurations of a module, as pairs of `instances` or `configs` and what stands there."""
    found = []
    for key, inner in _map(node, "keys such as instances and configs", problems).items():
        kind = loose(key)
        if kind in ("instances", "configs"):
            found.append((kind, _map(inner, f"names of {kind}", problems)))
        elif kind not in SILENT_KEYS:
            remedy = (
                "write its instances under instances" if kind in ("backends", "limiters") else REFUSED_KEYS.get(kind)
            )
            text = f"{module}.{key} is not imported: {remedy}" if remedy else _unknown_key(module, key)
            problems.append(Problem(inner.file, inner.line, text))
    return found


def _unknown_key(module: str, key: str) -> str:
    known = ("instances", "configs")
    return f"unknown key '{module}.{key}'; keys here: {', '.join(known)}{suggestion(key, known)}"


def _unknown_module(key: str, module: str) -> str:
    if module in REFUSED_MODULES:
        return f"resilience4j.{key} is not imported: {REFUSED_MODULES[module]}"
    return choices("module", "modules", key, list(FIELDS))


def _map(node: Node, expected: str, problems: list[Problem]) -> dict[str, Node]:
    """The keys of a map; none where nothing stands there."""
    if isinstance(node.value, dict):
        return node.value
    if node.value is not None and node.value != "":
        problems.append(Problem(node.file, node.line, f"expected {expected}, got one value or a list"))
    return {}


def _level(module: str, place: str, node: Node, problems: list[Problem], *, late: bool = False) -> Level:
    """The fields of an instance or configuration by their documented names; unknown ones are told."""
    known = {loose(field): field for field in (*FIELDS[module], BASE)}
    fields: dict[str, Node] = {}
    for key, inner in _map(node, "fields", problems).items():
        field = known.get(loose(key))
        if field is None:
            what = choices("field", f"fields of {module}", key, [name for name in known.values() if name != BASE])
            problems.append(Problem(inner.file, inner.line, what))
        elif field in fields:
            text = f"{module}.{field} stands twice, in two spellings; first in line {fields[field].line}"
            problems.append(Problem(inner.file, inner.line, text))
        elif inner.value is not None:
            fields[field] = inner
    return Level(place, node.file, node.line, fields, late)
