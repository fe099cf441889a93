"""How Spring Boot writes settings: keys in loose spelling, keys with dots, durations, numbers and truth values.

Each reader of a value raises `ValueError` with a text that names the remedy.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from twin.scenario.errors import Problem
from twin.scenario.limits import RUN_MS_MAX
from twin.scenario.merging import Node

__all__ = [
    "MS_NS",
    "loose",
    "parse_duration_ms",
    "parse_duration_ns",
    "parse_flag",
    "parse_number",
    "parse_whole",
    "spread",
]

MS_NS: Final = 1_000_000
"""Nanoseconds of a millisecond."""

_UNIT_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": MS_NS,
    "s": 1_000 * MS_NS,
    "m": 60_000 * MS_NS,
    "h": 3_600_000 * MS_NS,
    "d": 86_400_000 * MS_NS,
}
_SIMPLE: Final = re.compile(r"([+-]?)(\d{1,18})([a-z]{0,2})", re.ASCII | re.IGNORECASE)
_ISO: Final = re.compile(
    r"P(?:(\d{1,9})D)?(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,18})(?:\.(\d{1,9}))?S)?)?",
    re.ASCII | re.IGNORECASE,
)
_STEP: Final = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")


# --- keys


def loose(name: str) -> str:
    """A key without case and signs: `maxAttempts`, `max-attempts` and `MAX_ATTEMPTS` are one to Spring Boot."""
    return "".join(character for character in name.lower() if character.isalnum())


def spread(node: Node, problems: list[Problem]) -> Node:
    """The tree with keys such as `resilience4j.retry` taken apart, and merged with those that are written in full."""
    if not isinstance(node.value, dict):
        return node
    found: dict[str, Node] = {}
    for key, inner in node.value.items():
        first, *rest = _steps(key)
        deeper = spread(inner, problems)
        for step in reversed(rest):
            deeper = Node({step: deeper}, inner.file, inner.line)
        _put(found, first, deeper, problems)
    return Node(found, node.file, node.line)


def _steps(key: str) -> list[str]:
    """The parts of a key with dots; what stands in brackets is one part."""
    return [match[1] if match[1] is not None else match[2] for match in _STEP.finditer(key)] or [key]


def _put(found: dict[str, Node], key: str, node: Node, problems: list[Problem]) -> None:
    there = found.get(key)
    if there is None:
        found[key] = node
    elif isinstance(there.value, dict) and isinstance(node.value, dict):
        merged = dict(there.value)
        for name, inner in node.value.items():
            _put(merged, name, inner, problems)
        found[key] = Node(merged, there.file, there.line)
    else:
        problems.append(Problem(node.file, node.line, f"the key '{key}' stands twice; first in line {there.line}"))


# --- values


def _text(value: object, expected: str) -> str:
    if isinstance(value, dict | list) or value is None:
        raise ValueError(f"expected {expected}, got {'nothing' if value is None else 'a map or a list'}")
    text = str(value).lower() if isinstance(value, bool) else str(value).strip()
    if "${" in text:
        raise ValueError(f"'{text}' stands for a value that this file does not hold; write the value itself")
    return text


def parse_duration_ns(value: object) -> int:
    """Nanoseconds of a duration as Spring Boot reads it: `500ms`, `PT0.5S`, or a plain number of milliseconds."""
    text = _text(value, "a duration like 500ms")
    simple = None if isinstance(value, bool) else _SIMPLE.fullmatch(text)
    if simple is not None and simple[1] == "-" and int(simple[2]):
        raise ValueError(f"{text} is negative; a duration is 0ms or more")
    if simple is not None and (simple[3].lower() or "ms") in _UNIT_NS:
        return int(simple[2]) * _UNIT_NS[simple[3].lower() or "ms"]
    iso = _ISO.fullmatch(text)
    if iso is None or not any(iso.groups()):
        raise ValueError(
            f"'{text}' is no duration of Spring Boot; write one whole number with ns, us, ms, s, m, h or d (500ms), "
            "ISO 8601 (PT0.5S), or plain milliseconds (500)"
        )
    days, hours, minutes, seconds, fraction = (part or "0" for part in iso.groups())
    whole_s = int(days) * 86_400 + int(hours) * 3_600 + int(minutes) * 60 + int(seconds)
    return whole_s * _UNIT_NS["s"] + int(fraction.ljust(9, "0"))


def parse_duration_ms(value: object) -> int:
    """Whole milliseconds of a duration; a scenario holds nothing finer."""
    found_ns = parse_duration_ns(value)
    if found_ns % MS_NS:
        raise ValueError(f"{_text(value, 'a duration')} is finer than a millisecond; write whole milliseconds")
    if found_ns > RUN_MS_MAX * MS_NS:
        raise ValueError(f"{_text(value, 'a duration')} is longer than any run; write at most 36525d")
    return found_ns // MS_NS


def parse_number(value: object) -> Fraction:
    """The exact number that is written."""
    text = _text(value, "a number")
    if not re.fullmatch(r"[+-]?\d{1,12}(\.\d{1,12})?", text, re.ASCII):
        raise ValueError(f"'{text}' is no number; write digits like 50 or 1.5, without a unit")
    return Fraction(text)


def parse_whole(value: object) -> int:
    """The whole number, one at least."""
    text = _text(value, "a whole number")
    if not re.fullmatch(r"[+-]?\d{1,10}", text, re.ASCII):
        raise ValueError(f"'{text}' is no whole number; write digits like 10")
    if not 1 <= int(text) < 2**31:
        raise ValueError(f"{text} is out of range; write 1 or more, less than 2^31")
    return int(text)


def parse_flag(value: object) -> bool:
    """Spring Boot's truth values."""
    text = _text(value, "true or false").lower()
    if text in ("true", "on", "yes", "1"):
        return True
    if text in ("false", "off", "no", "0"):
        return False
    raise ValueError(f"'{text}' is neither true nor false; write one of them")
