"""Why a command changed nothing: a value, never an exception. Exceptions here mean a broken engine or log."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["CorruptLog", "EngineError", "Refusal"]


class Refusal(Struct, frozen=True, gc=False, omit_defaults=True):
    """`code` is stable and meant for programs; `text` says what was wrong and what would have been right."""

    code: str
    text: str = ""


class EngineError(Exception):
    """Base of what must never happen; the driver stops and prints the seed and the position."""


class CorruptLog(EngineError):
    """An event does not fit the state that it is folded into."""
