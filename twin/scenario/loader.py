"""A scenario from its file and the files that it extends, with all mistakes told at once, by file and line."""

from __future__ import annotations

from collections.abc import Mapping
from os.path import dirname, join, normpath
from pathlib import Path as FilePath
from typing import Any, Final

from twin.scenario.errors import Path, Problem, ScenarioError, dotted
from twin.scenario.merging import Node, merge, node_of, plain_of
from twin.scenario.model import SCHEMA, Scenario, checked
from twin.scenario.reading import read

__all__ = ["OVERRIDES", "load", "load_plain", "placed"]

OVERRIDES: Final = "overrides"
"""What messages call overrides, where others name a file."""


def load(path: str | FilePath, overrides: Mapping[str, object] | Node | None = None) -> Scenario:
    """The scenario in the file at `path`, with `overrides` merged over it by the rules of `extends`.

    Overrides that come as a tree are told by their own file and line. Raises `ScenarioError` with every problem that
    was found. Messages call files by the path given here, and files that are extended by their path from the same
    place.
    """
    root, names, problems = _chain(str(path), ())
    if overrides:
        root = merge(root, overrides if isinstance(overrides, Node) else node_of(overrides, OVERRIDES))
    plain = plain_of(root)
    if "schema" not in plain:
        problems.append(Problem(root.file, 0, f"missing key 'schema'; write schema: {SCHEMA}"))
        # Told already; whatever else is wrong is told with it.
        plain["schema"] = SCHEMA
    scenario, found = checked(plain)
    problems += [placed(root, path, text) for path, text in found]
    if scenario is None or problems:
        order = {name: index for index, name in enumerate((*names, OVERRIDES))}
        raise ScenarioError(sorted(problems, key=lambda problem: (order.get(problem.file, -1), problem.line)))
    scenario._sources = tuple(FilePath(name) for name in names)
    said = root.at(("order_book", "path")).file
    if scenario.order_book is not None:
        # A path in overrides leads from where the command was given.
        scenario.order_book._folder = FilePath(dirname(said) if said in names else "")
    if scenario.opening is not None:
        said = root.at(("opening", "path")).file
        scenario.opening._folder = FilePath(dirname(said) if said in names else "")
    if scenario.residuals is not None:
        said = root.at(("residuals", "path")).file
        scenario.residuals._folder = FilePath(dirname(said) if said in names else "")
    return scenario


def load_plain(path: str | FilePath) -> dict[str, Any]:
    """What the file at `path` and those it extends say, unchecked. Raises `ScenarioError` where it is no YAML."""
    plain: dict[str, Any] = plain_of(_chain(str(path), ())[0])
    return plain


def placed(root: Node, path: Path, text: str) -> Problem:
    """The problem with the value at `path`, by the file and line that say it."""
    node = root.at(path)
    if not node.line and path:
        return Problem(node.file, 0, f"{dotted(path)}: {text}")
    return Problem(node.file, node.line, text)


def _chain(name: str, above: tuple[str, ...]) -> tuple[Node, list[str], list[Problem]]:
    """The merged tree of a file and all it extends, the files read (base first), and problems so far."""
    root, problems = read(FilePath(name), name)
    keys = root.value
    if not isinstance(keys, dict):
        raise ScenarioError([Problem(name, 1, "expected keys such as schema, title and run")])
    if "experiment" in keys and not {"schema", "extends"} & keys.keys():
        text = "this is an experiment, not a scenario; give it to `twin experiment`, or name one of its scenarios here"
        raise ScenarioError([Problem(name, keys["experiment"].line, text)])
    _check_schema(keys.get("schema"))
    extends = keys.pop("extends", None)
    if extends is None or extends.value is None:
        return root, [name], problems
    if not isinstance(extends.value, str) or not extends.value:
        text = "extends: expected the path of another scenario file"
        raise ScenarioError([*problems, Problem(name, extends.line, text)])
    base = normpath(join(dirname(name), extends.value))
    seen = (*above, name)
    known = {normpath(other): index for index, other in enumerate(seen)}
    if base in known:
        way = " -> ".join([*seen[known[base] :], base])
        raise ScenarioError([*problems, Problem(name, extends.line, f"extends goes in a circle: {way}")])
    if not FilePath(base).is_file():
        what = "is a folder" if FilePath(base).is_dir() else "no such file"
        text = f"extends: {what}: {base}; the path is read from this file's folder"
        raise ScenarioError([*problems, Problem(name, extends.line, text)])
    below, names, more = _chain(base, seen)
    return merge(below, root), [*names, name], more + problems


def _check_schema(schema: Node | None) -> None:
    """Refuses a file written for another schema at once: nothing else in it can be judged."""
    # True equals 1, and is no version.
    if schema is None or (type(schema.value) is int and schema.value == SCHEMA):
        return
    shown = f"'{schema.value}'" if isinstance(schema.value, str) else schema.value
    text = f"schema: {shown} is not known; this version reads schema {SCHEMA}"
    raise ScenarioError([Problem(schema.file, schema.line, text)])
