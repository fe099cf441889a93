"""YAML as a tree that remembers file and line of every key and list item, and how two such trees merge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from twin.scenario.errors import Path

__all__ = ["Node", "merge", "merge_plain", "node_of", "plain_of"]

Scalar = str | int | bool | Decimal | None


class Node(Struct, frozen=True):
    """A value and where it stands: `value` is a map or a list of nodes, or a scalar."""

    value: dict[str, Node] | list[Node] | Scalar | object
    file: str
    line: int

    def at(self, path: Path) -> Node:
        """The node at `path`, or the deepest one on the way to it."""
        node = self
        for part in path:
            inner: Node | None = None
            if isinstance(node.value, dict):
                inner = node.value.get(str(part))
            elif isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
                inner = node.value[part]
            if inner is None:
                return node
            node = inner
        return node


def merge(base: Node, over: Node) -> Node:
    """`over` laid on `base`: maps merge, lists of maps with `id` merge by id, anything else is replaced.

    A list keeps the base's order, then what is new. A map whose `kind` changes is replaced as a whole, since
    the keys of the old kind mean nothing to the new one. A null stays in the tree until `plain_of` drops it,
    so that it removes what the base says. The result stands where `over` stands.
    """
    if isinstance(base.value, dict) and isinstance(over.value, dict):
        old, new = base.value.get("kind"), over.value.get("kind")
        if old is not None and new is not None and old.value != new.value:
            return over
        merged = dict(base.value)
        for key, node in over.value.items():
            merged[key] = merge(merged[key], node) if key in merged else node
        return Node(merged, over.file, over.line)
    if isinstance(base.value, list) and isinstance(over.value, list):
        old_ids, new_ids = _ids(base.value), _ids(over.value)
        if old_ids and new_ids:
            return Node(_merge_by_id(base.value, old_ids, over.value, new_ids), over.file, over.line)
    return over


def _ids(nodes: list[Node]) -> list[str]:
    """The ids of a list of maps that all have one, else nothing."""
    ids: list[str] = []
    for node in nodes:
        found = node.value.get("id") if isinstance(node.value, dict) else None
        if found is None or not isinstance(found.value, str):
            return []
        ids.append(found.value)
    return ids


def _merge_by_id(base: list[Node], base_ids: list[str], over: list[Node], over_ids: list[str]) -> list[Node]:
    merged = list(base)
    place = {name: index for index, name in enumerate(base_ids)}
    for name, node in zip(over_ids, over, strict=True):
        # Once only: a second entry with the id stays beside the first, and is told as a duplicate.
        index = place.pop(name, None)
        if index is None:
            merged.append(node)
        else:
            merged[index] = merge(merged[index], node)
    return merged


def node_of(value: object, file: str = "", line: int = 0) -> Node:
    """The tree of plain maps and lists, all of it at one place."""
    if isinstance(value, Mapping):
        return Node({str(key): node_of(item, file, line) for key, item in value.items()}, file, line)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return Node([node_of(item, file, line) for item in value], file, line)
    return Node(value, file, line)


def plain_of(node: Node, *, nulls: bool = False) -> Any:
    """Plain maps, lists and scalars, without the keys that are null; `nulls` keeps those, for a later merge."""
    if isinstance(node.value, dict):
        kept = {key: item for key, item in node.value.items() if nulls or item.value is not None}
        return {key: plain_of(item, nulls=nulls) for key, item in kept.items()}
    if isinstance(node.value, list):
        return [plain_of(item, nulls=nulls) for item in node.value]
    return node.value


def merge_plain(base: Mapping[str, object], over: Mapping[str, object], *, nulls: bool = False) -> dict[str, Any]:
    """The same rules for plain maps."""
    merged: dict[str, Any] = plain_of(merge(node_of(base), node_of(over)), nulls=nulls)
    return merged
