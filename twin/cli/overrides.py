"""`--set key.path=value`: changes of a scenario on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from twin.cli.failures import InputError
from twin.scenario.errors import join_some, suggestion

__all__ = ["parse_overrides"]

_STEP: Final = re.compile(r"([A-Za-z_][\w-]*)(?:\[([^\]=]+)\])?")
_TAG: Final = "tag:yaml.org,2002:"


def parse_overrides(settings: Iterable[str], base: Mapping[str, object]) -> dict[str, object]:
    """Nested maps of `key.path=value` settings, to be merged over a scenario by the rules of `extends`.

    A value is written as in a scenario's file (`8`, `50%`, `[web, shop]`, `null` to remove), and
    `warehouses[north].pickers` names the entry of a list by its id. `base` is what the scenario
    says, as plain maps and lists: only entries that are there can be named. Raises `InputError`.
    """
    found: dict[str, object] = {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: there is no '='; write --set run.horizon=5d")
        _put(found, base, path.strip(), _value(setting, text), setting)
    return found


def _put(found: dict[str, object], base: object, path: str, value: object, setting: str) -> None:
    steps = _steps(path, setting)
    here = found
    for index, (key, id) in enumerate(steps):
        last = index == len(steps) - 1
        if id:
            if last:
                raise InputError(f"--set {setting}: say which key of '{path}' is meant, as in {path}.pickers=8")
            here, base = _entry(here, base, key, id, setting)
        elif last:
            here[key] = value
        else:
            inner = here.setdefault(key, {})
            if not isinstance(inner, dict):
                raise InputError(f"--set {setting}: '{key}' has a value by another --set already; give one of them")
            here, base = inner, base.get(key) if isinstance(base, Mapping) else None


def _entry(
    here: dict[str, object], base: object, key: str, id: str, setting: str
) -> tuple[dict[str, object], Mapping[str, object]]:
    """The entry of a list with this id among the settings, and what the scenario says of it."""
    entries = here.setdefault(key, [])
    if not isinstance(entries, list):
        raise InputError(f"--set {setting}: '{key}' has a value by another --set already; give one of them")
    said = base.get(key) if isinstance(base, Mapping) else None
    known = {str(entry["id"]): entry for entry in _maps(said) if "id" in entry}
    for entry in entries:
        if isinstance(entry, dict) and entry.get("id") == id:
            return entry, known.get(id, {})
    if id not in known:
        raise InputError(f"--set {setting}: {_unknown(base, said, key, id, list(known))}")
    entry = {"id": id}
    entries.append(entry)
    return entry, known[id]


def _unknown(base: object, said: object, key: str, id: str, ids: list[str]) -> str:
    if ids:
        noun = key.removesuffix("ies") + "y" if key.endswith("ies") else key.removesuffix("s")
        return f"no {noun} '{id}'; there: {join_some(ids)}{suggestion(id, ids)}"
    if isinstance(said, list) and said:
        return f"the entries of '{key}' have no ids; replace the whole list, as in {key}=[...]"
    if said:
        return f"'{key}' is no list; write {key}, or {key}.KEY, without [{id}]"
    near = suggestion(key, base) if isinstance(base, Mapping) else ""
    return f"the scenario has no list '{key}'{near}; give the whole list, as in {key}=[...]"


def _maps(said: object) -> list[Mapping[str, object]]:
    return [entry for entry in said if isinstance(entry, Mapping)] if isinstance(said, list) else []


def _steps(path: str, setting: str) -> list[tuple[str, str]]:
    steps: list[tuple[str, str]] = []
    position = 0
    while match := _STEP.match(path, position):
        steps.append((match[1], match[2] or ""))
        position = match.end()
        if position == len(path):
            return steps
        if path[position] != ".":
            break
        position += 1
    raise InputError(
        f"--set {setting}: '{path}' is no path of keys; write run.horizon, or "
        "warehouses[north].pickers for an entry of a list"
    )


def _value(setting: str, text: str) -> object:
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except YAMLError as error:
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"--set {setting}: the value is no YAML: {problem}; put it in quotes") from None
    return None if node is None else _plain(node)


def _plain(node: Any) -> object:
    """Plain values; a decimal stays what was written, where a float would be another number."""
    if isinstance(node, MappingNode):
        return {str(key.value): _plain(value) for key, value in node.value}
    if isinstance(node, SequenceNode):
        return [_plain(item) for item in node.value]
    tag, text = str(node.tag).removeprefix(_TAG), str(node.value)
    if tag == "null" and isinstance(node, ScalarNode):
        return None
    if tag == "bool":
        return text.lower() == "true"
    number = text.replace("_", "")
    if tag == "int" and number.lstrip("+-").isdecimal():
        return int(number)
    if tag == "float" and re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", number):
        return Decimal(number)
    return text
