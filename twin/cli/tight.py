"""Tables of many rows that stay tables on a terminal of 80 columns: what rows have in common is said once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from twin.cli.terminal import finds_room, line, show, table

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["NONE", "show_tight"]

NONE: Final = "–"
COMMON: Final = ("Scenario", "Of", "n", "Note")
"""Columns that say what rows are about: where all say the same, it stands once above them."""
PART: Final = "Measure"
"""The column by which a table is parted where it does not find room."""
NOTE: Final = "Note"
MARKS: Final = "abcdefghijklmnopqrstuvwxyz"

Rows = Sequence[Sequence[str]]


def show_tight(title: str, columns: Sequence[str], rows: Rows) -> None:
    """Print a table without columns in which no row says anything, and what all rows say or several note once.

    Where it does not find room, it is parted by measure; where that is not enough, texts are folded.
    """
    kept = [at for at in range(len(columns)) if any(row[at] not in ("", NONE) for row in rows)]
    common = {at for at in kept if columns[at] in COMMON and len(rows) > 1 and len({row[at] for row in rows}) == 1}
    told = [f"{columns[at]} {rows[0][at]}" if columns[at] != NOTE else rows[0][at] for at in kept if at in common]
    left = [at for at in kept if at not in common]
    heads = [columns[at] for at in left]
    body, legend = _marked(heads, [[row[at] for at in left] for row in rows])
    titled = ", ".join([title, *told])
    whole = _table(titled, heads, body)
    if finds_room(whole) or PART not in heads:
        show(whole)
    else:
        _show_parts(titled, heads, body)
    for text in legend:
        line(text)
    if legend:
        line()


def _show_parts(title: str, heads: Sequence[str], body: Rows) -> None:
    at = heads.index(PART)
    line(title)
    others = [*heads[:at], *heads[at + 1 :]]
    for part in dict.fromkeys(row[at] for row in body):
        rows = [[*row[:at], *row[at + 1 :]] for row in body if row[at] == part]
        # A dash stays: elsewhere in the table there is a value in its column.
        kept = [column for column in range(len(others)) if any(row[column] for row in rows)]
        show(_table(part, [others[column] for column in kept], [[row[column] for column in kept] for row in rows]))


def _marked(heads: Sequence[str], rows: Rows) -> tuple[Rows, list[str]]:
    """The rows with a mark for each note that several of them have, and what the marks stand for."""
    if NOTE not in heads:
        return rows, []
    at = heads.index(NOTE)
    notes = [row[at] for row in rows]
    many = [note for note in dict.fromkeys(notes) if note and notes.count(note) > 1][: len(MARKS)]
    marks = dict(zip(many, MARKS, strict=False))
    body = [[*row[:at], marks.get(row[at], row[at]), *row[at + 1 :]] for row in rows]
    return body, [f"{mark}: {note}" for note, mark in marks.items()]


def _table(title: str, heads: Sequence[str], rows: Rows) -> Table:
    made = table(title, *heads)
    made.padding = (0, 1, 0, 0)
    for row in rows:
        made.add_row(*row)
    return made
