"""The fragment of a scenario that a person can read: every setting with the field that it came from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from twin.scenario.resilience4j.mapper import Row
from twin.scenario.resilience4j.mapping import Imported

__all__ = ["FRAGMENT_BEGINS", "fragment_text", "one_line", "scalar_text"]

FRAGMENT_BEGINS: Final = "# Delivery policies read from Resilience4j's settings"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./%-]*")


def fragment_text(imported: Imported, extends: str = "") -> str:
    """YAML of the policies; with `extends` it is laid over that scenario."""
    lines = [
        f"{FRAGMENT_BEGINS} in {one_line(imported.file)} by `twin policies`.",
        "# A scenario can extend this file, or take the part below `policies` over.",
    ]
    if extends:
        lines.append(f"extends: {json.dumps(extends, ensure_ascii=False)}")
    origins = {(row.gateway, *path): _origin(row, value) for row in imported.rows for path, value in row.settings}
    lines += _lines(imported.policies, (), origins)
    return "\n".join(lines) + "\n"


def _origin(row: Row, value: object) -> str:
    if row.said == "always":
        return f"{row.field}: {row.note}"
    if value is None:
        return "removes what a base says"
    return f"{row.field} {row.value}" + (" (default)" if row.said == "default" else "")


def _lines(node: Mapping[str, Any], path: tuple[str, ...], origins: Mapping[tuple[str, ...], str]) -> list[str]:
    lines = []
    indent = "  " * len(path)
    for key, value in node.items():
        here = (*path, key)
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", *_lines(value, here, origins)]
            continue
        origin = one_line(origins[here[2:]])
        lines.append(f"{indent}{key}: {scalar_text(value)}  # {origin}")
    return lines


def scalar_text(value: object) -> str:
    """A scalar or a list as YAML has it."""
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def one_line(text: str) -> str:
    """The text without what would end a comment."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
