"""How long an answer is waited for, in real time, as an address says it."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from twin.decisions import ServiceRefused

__all__ = ["TIMEOUT_S", "timeout_of"]

TIMEOUT_S: Final = 10.0
"""Real seconds from a question to the end of its answer, unless the address says `?timeout=SECONDS`."""


def timeout_of(address: str, query: str) -> float:
    """Seconds, from what stands after the ? of an address. Raises `ServiceRefused` for anything else there."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    text = given.pop("timeout", str(TIMEOUT_S))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if given or not 0 < seconds <= 3_600:
        raise ServiceRefused(f"'{address}': after the ? only timeout=SECONDS is known, more than 0 and at most 3600")
    return seconds
