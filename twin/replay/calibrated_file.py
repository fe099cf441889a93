"""The text of a calibrated scenario: what was estimated, each value below a comment that says where it comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any, Final

from twin.scenario.units import format_percent

__all__ = ["comment", "flow", "in_block", "quantiles"]

WIDTH: Final = 110
_PLAIN: Final = re.compile(
    r"(\.\.?/)*[A-Za-z_][A-Za-z0-9_./+-]*|[0-9]+(\.[0-9]+)?[A-Za-z%/][A-Za-z0-9%./]*|[0-9]+\.[0-9]+ [A-Z]{3}"
)
_NUMBER: Final = re.compile(r"[0-9.]+[eE][0-9]+|0[xob].*|\.(inf|nan)", re.IGNORECASE)
_WORDS: Final = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
_GLUE: Final = "\u00a0"
"""Stands for a space at which no line is broken."""


def flow(value: Any) -> str:
    """A value as it stands in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(str(key))}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if plain and not _NUMBER.fullmatch(value) else json.dumps(value, ensure_ascii=False)
    return "null" if value is None else str(value)


def in_block(key: str, value: Any, indent: str) -> list[str]:
    """`key: value`, with tables and maps that are too long for a line folded between their parts."""
    if isinstance(value, Mapping) and len(flow(value)) + len(indent) + len(key) + 2 > WIDTH:
        return [
            f"{indent}{key}:",
            *(line for name, item in value.items() for line in in_block(flow(str(name)), item, indent + "  ")),
        ]
    if isinstance(value, list | tuple) and value and isinstance(value[0], list | tuple):
        text = "[" + ", ".join(flow(part).replace(" ", _GLUE) for part in value) + "]"
    else:
        text = flow(value)
    lines = wrap(
        f"{key}: {text}",
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_GLUE, " ") for line in lines]


def comment(text: str, indent: str) -> list[str]:
    """A comment, folded."""
    return wrap(
        text,
        WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def quantiles(table: Sequence[tuple[int, int]], value: Any) -> Any:
    """A quantile table as a scenario has it, `value` writing its values; the bare value where there is one only."""
    if table[0][1] == table[-1][1]:
        return value(table[0][1])
    return [[format_percent(share), value(at)] for share, at in table]
