"""One YAML file as a tree of nodes: text in, places kept, nothing interpreted beyond YAML's plain scalars."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from twin.scenario.errors import Problem, ScenarioError
from twin.scenario.merging import Node

__all__ = ["check_kind", "read"]

_TAG = "tag:yaml.org,2002:"


def read(
    path: FilePath,
    name: str,
    begins: str = "a scenario begins with schema: 1",
    keys: str = "keys such as schema, title and run",
) -> tuple[Node, list[Problem]]:
    """The file's tree, and mistakes that do not keep it from being used further (keys that stand twice).

    `name` is what the file is called in messages, `begins` and `keys` are what they expect in it. Raises
    `ScenarioError` for a file that is missing, empty, not UTF-8 or no YAML map.
    """
    text = _text(path, name)
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        if FilePath(path).suffix.lower() == ".json":
            _check_json(text, name)
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise _wrong(name, mark.line + 1 if mark else 0, f"not valid YAML: {what}") from None
    except YAMLError as error:
        line, character = _bad_character(text)
        what = f"the character {character} is not allowed" if line else str(error).splitlines()[0]
        raise _wrong(name, line, f"not valid YAML: {what}") from None
    except RecursionError:
        raise _wrong(name, 0, "not usable: maps and lists are nested too deeply") from None
    if root is None or (isinstance(root, ScalarNode) and str(root.tag) == _TAG + "null"):
        raise _wrong(name, 0, f"the file is empty; {begins}")
    if not isinstance(root, MappingNode):
        what = "a list" if isinstance(root, SequenceNode) else "one value"
        line = root.start_mark.line + 1
        raise _wrong(name, line, f"expected {keys}, got {what}")
    reader = _Reader(name)
    return reader.node(root, root.start_mark.line + 1, ()), reader.problems


def check_kind(path: FilePath, name: str) -> None:
    """Raises `ScenarioError` for a folder, and for Java properties, which are settings in another form."""
    if path.is_dir():
        raise _wrong(name, 0, "this is a folder; name the YAML file in it")
    if path.suffix.lower() == ".properties":
        raise _wrong(
            name,
            0,
            "Java properties are not read; give the same as YAML, where resilience4j.retry.instances.a.max-attempts=3 "
            "is the line `resilience4j.retry.instances.a.max-attempts: 3` of a .yml file",
        )


def _check_json(text: str, name: str) -> None:
    """Say of a file that is called JSON, and is no YAML, what is wrong with it as JSON."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        what = f"not valid JSON: {error.msg} (column {error.colno})"
        raise _wrong(name, error.lineno, f"{what}; is the file cut off?" if cut else what) from None
    except RecursionError:
        return


def _wrong(name: str, line: int, message: str) -> ScenarioError:
    return ScenarioError([Problem(name, line, message)])


def _text(path: FilePath, name: str) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise _wrong(name, 0, "no such file") from None
    except IsADirectoryError:
        raise _wrong(name, 0, "this is a folder; name a scenario file in it") from None
    except OSError as error:
        raise _wrong(name, 0, f"cannot be read: {error.strerror}") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _wrong(name, line, f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8") from None
    return text


def _bad_character(text: str) -> tuple[int, str]:
    """Line and code of the first control character, or 0 where there is none."""
    for line, content in enumerate(text.split("\n"), 1):
        for character in content:
            if not character.isprintable() and character not in "\t\r\x85\xa0\ufeff":
                return line, f"U+{ord(character):04X}"
    return 0, ""


class _Reader:
    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []

    def node(self, yaml: Any, line: int, above: tuple[int, ...]) -> Node:
        """The node, standing at `line`; `above` holds the start of each node it lies in, to find a loop."""
        start = yaml.start_mark.index
        if start in above and not isinstance(yaml, ScalarNode):
            raise _wrong(self.name, line, "an alias leads back into itself; write the value out")
        if isinstance(yaml, MappingNode):
            return Node(self._map(yaml, (*above, start)), self.name, line)
        if isinstance(yaml, SequenceNode):
            self._tag(yaml, "seq", line)
            items = [self.node(item, item.start_mark.line + 1, (*above, start)) for item in yaml.value]
            return Node(items, self.name, line)
        return Node(self._scalar(yaml, line), self.name, line)

    def _map(self, yaml: Any, above: tuple[int, ...]) -> dict[str, Node]:
        self._tag(yaml, "map", yaml.start_mark.line + 1)
        found: dict[str, Node] = {}
        for key, value in yaml.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                self._add(line, "a key must be text, not a map or a list")
                continue
            if str(key.tag) == _TAG + "merge":
                self._add(line, "'<<' is not known here; use extends, or write the keys out")
                continue
            if key.value in found:
                self._add(line, f"the key '{key.value}' stands twice; first in line {found[key.value].line}")
            found[key.value] = self.node(value, line, above)
        return found

    def _scalar(self, yaml: Any, line: int) -> str | int | bool | Decimal | None:
        tag, text = str(yaml.tag).removeprefix(_TAG), str(yaml.value)
        if tag == "null":
            return None
        if tag == "bool":
            return text.lower() == "true"
        if tag == "int":
            return _whole(text)
        if tag == "float":
            try:
                # Exactly as written: a float would be another number.
                return Decimal(text.replace("_", ""))
            except InvalidOperation:
                return text
        if tag not in ("str", "timestamp", "value", "merge"):
            self._add(line, f"the tag '{yaml.tag}' is not known here; write a plain value")
        return text

    def _tag(self, yaml: Any, expected: str, line: int) -> None:
        if str(yaml.tag) != _TAG + expected:
            self._add(line, f"the tag '{yaml.tag}' is not known here; write a plain value")

    def _add(self, line: int, message: str) -> None:
        self.problems.append(Problem(self.name, line, message))


def _whole(text: str) -> int | str:
    digits = text.replace("_", "")
    try:
        return int(digits, 0) if digits.lstrip("+-").lower().startswith(("0x", "0o", "0b")) else int(digits)
    except ValueError:
        return text
