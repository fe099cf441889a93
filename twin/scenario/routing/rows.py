"""What became of each field of a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from twin.scenario.errors import Problem
from twin.scenario.routing.document import Document

__all__ = ["ALWAYS", "LEFT_OUT", "Found", "RuleRow", "check_whole"]

ALWAYS: Final = "always"
LEFT_OUT: Final = "none"
"""Written for a name that has no counterpart in the twin."""


class RuleRow(Struct, frozen=True):
    """One field of a rule: what it says, where, and what becomes of it. `rule` is empty for what always holds."""

    rule: str
    field: str
    value: str
    said: str
    """`line 12`, or `always`"""
    settings: Mapping[str, object] = {}
    """Keys below `policies.sourcing`, and their values; none where the field has no effect"""
    note: str = ""
    """What differs in meaning"""

    @property
    def becomes(self) -> str:
        """`rules[0]: minimize_splits`, or a dash."""
        return ", ".join(f"{key}: {_shown(value)}" for key, value in self.settings.items()) or "–"


class Found(Struct):
    """What one system's rules became; `rules` and `ranking` are pairs of a value and where it came from."""

    split: str
    """Why a line may come from several warehouses"""
    rows: list[RuleRow] = []
    rules: list[tuple[str, str]] = []
    ranking: list[tuple[str, str]] = []
    remarks: list[str] = []


def check_whole(document: Document, said: object, key: str, line: int, problems: list[Problem]) -> None:
    """Tell where a file says that there are more rules than it holds."""
    held = len(document.entries)
    if isinstance(said, bool) or not isinstance(said, int):
        problems.append(Problem(document.file, line, f"{key}: expected a whole number; give the number of entries"))
    elif said != held:
        text = f"{key}: the file holds {held} of {said} entries; fetch all of them in one page"
        problems.append(Problem(document.file, line, text))


def _shown(value: object) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
