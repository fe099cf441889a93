"""What a log gives up of its orders: lines by their number, else by their item, or an order as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["GivenUp", "line_of"]


def line_of(row: Mapping[str, Any]) -> str:
    """By what a row of the neutral log names its line: its number, else its item; empty for an order as a whole."""
    return row["line"] or row["item"] or ""


class GivenUp:
    """Made of the cancellations of a log: rows with `order`, `line` and `item`, None where it names none."""

    def __init__(self, cancellations: Iterable[Mapping[str, Any]]) -> None:
        self._gone = {(row["order"], row["line"], None if row["line"] else row["item"]) for row in cancellations}

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether the line that a row is about was given up, by its number, its item, or with its whole order."""
        order = row["order"]
        named = {(order, None, None)}
        if row["line"] is not None:
            named.add((order, row["line"], None))
        if row["item"] is not None:
            named.add((order, None, row["item"]))
        return not self._gone.isdisjoint(named)
