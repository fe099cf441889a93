"""The rules of OCEL 2.0 in JSON, written down anew: a check of what is exported that shares no code with the reader."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
KINDS: dict[str, type] = {"string": str, "integer": int, "float": float, "boolean": bool}


def violations(log: Any) -> list[str]:
    """Every rule that a decoded file breaks (Berti et al. 2024, definition 1 and the JSON schema of the standard)."""
    missing = [name for name in ("objectTypes", "eventTypes", "objects", "events") if type(log.get(name)) is not list]
    if missing:
        return [f"no list {name}" for name in missing]
    return [*_types(log), *_elements(log, "object"), *_elements(log, "event")]


def _types(log: Any) -> Iterator[str]:
    for kind in ("objectTypes", "eventTypes"):
        names = [one["name"] for one in log[kind]]
        if len(dict.fromkeys(names)) != len(names):
            yield f"{kind}: a name is there twice"
        for one in log[kind]:
            attributes = [attribute["name"] for attribute in one["attributes"]]
            if len(dict.fromkeys(attributes)) != len(attributes):
                yield f"{kind}: {one['name']} declares an attribute twice"
            for attribute in one["attributes"]:
                if attribute["type"] not in (*KINDS, "time"):
                    yield f"{kind}: {one['name']}.{attribute['name']} is of no type of OCEL 2.0"


def _elements(log: Any, what: str) -> Iterator[str]:
    declared = {one["name"]: {a["name"]: a["type"] for a in one["attributes"]} for one in log[f"{what}Types"]}
    objects = {one["id"]: None for one in log["objects"]}
    ids: dict[str, None] = {}
    for one in log[f"{what}s"]:
        place = f"{what} {one.get('id')!r}"
        if type(one.get("id")) is not str or one["id"] in ids:
            yield f"{place}: no id of its own"
        ids[one["id"]] = None
        if one["type"] not in declared:
            yield f"{place}: type {one['type']!r} is not declared"
            continue
        if what == "event":
            yield from _instant(place, one.get("time"))
            names = [attribute["name"] for attribute in one.get("attributes", [])]
            if len(dict.fromkeys(names)) != len(names):
                yield f"{place}: an attribute has two values"
        for attribute in one.get("attributes", []):
            kind = declared[one["type"]].get(attribute["name"])
            if kind is None:
                yield f"{place}: attribute {attribute['name']!r} is not declared"
            elif kind == "time":
                yield from _instant(place, attribute["value"])
            elif type(attribute["value"]) is not KINDS[kind]:
                yield f"{place}: attribute {attribute['name']!r} is no {kind}"
            if what == "object":
                yield from _instant(place, attribute.get("time"))
        related = [(one["objectId"], one["qualifier"]) for one in one.get("relationships", [])]
        if len(dict.fromkeys(related)) != len(related):
            yield f"{place}: a relation is there twice"
        for name, qualifier in related:
            if name not in objects:
                yield f"{place}: is related to {name!r}, which is not there"
            if type(qualifier) is not str:
                yield f"{place}: a qualifier is no text"


def _instant(place: str, text: Any) -> Iterator[str]:
    if type(text) is not str or not INSTANT.fullmatch(text):
        yield f"{place}: {text!r} is no instant of ISO 8601 with its zone"
