"""Where output goes: tables on stdout, wide enough to be read when it is piped."""

from __future__ import annotations

import os
import sys
from textwrap import fill
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["finds_room", "line", "prose", "show", "table", "width"]

PIPED_WIDTH: Final = 140

WORD_MAX: Final = 16
"""Characters of a word that stay on one line; a longer one, such as the name of a measure, may be folded."""

SENTENCE_MIN: Final = 24
"""Characters that a column of sentences has at least: with fewer, each would be a word high."""

INDENT: Final = "  "
EVERYTHING: Final = 100_000
"""Characters of a terminal on which every table finds room."""


def _console() -> Console:
    from rich.console import Console

    class Plain(Console):
        """Rich would end the program with exit code 1 where the reader of a pipe has had enough."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
    # Ids and messages hold brackets and colons that are neither markup nor emoji.
    return Plain(width=width, markup=False, highlight=False, emoji=False)


def width() -> int:
    """Characters of a line."""
    return _console().width


def show(what: Table, *, sentences: tuple[str, ...] = ()) -> None:
    """Print a table below its title, which may be longer than the table is wide.

    Where the terminal is narrow, text is folded between its words; where that is not enough, every row becomes a
    paragraph with a line for each column. No number is cut. A column of `sentences` has room for some words.
    """
    console = _console()
    if what.title:
        title, what.title = str(what.title), None
        console.print(_folded(title, console.width), style="bold", soft_wrap=True)
    if _fit(what, console, sentences):
        console.print(what)
    else:
        _show_rows(what, console.width)


def finds_room(what: Table) -> bool:
    """Whether every text of the table stays on one line."""
    console = _console()
    wanted, _, around = _widths(what, console, ())
    return sum(wanted) <= console.width - around


def _fit(what: Table, console: Console, sentences: tuple[str, ...]) -> bool:
    """Share the terminal's width out to the columns; returns whether there is enough of it."""
    wanted, least, around = _widths(what, console, sentences)
    room = console.width - around
    if sum(wanted) <= room:
        return True
    if sum(least) > room:
        return False
    # As wide as they want up to one limit for all: what is short stays whole.
    limit = max(most for most in range(1, room + 1) if sum(_within(wanted, least, most)) <= room or most == 1)
    for column, given in zip(what.columns, _within(wanted, least, limit), strict=True):
        column.width = given
    return True


def _widths(what: Table, console: Console, sentences: tuple[str, ...]) -> tuple[list[int], list[int], int]:
    """Characters that each column wants and that it needs at least, and those between and around them."""
    from rich.cells import cell_len
    from rich.measure import Measurement

    wanted, least = [], []
    for column in what.columns:
        texts = [str(column.header), *map(str, column.cells)]
        whole = max(map(cell_len, texts))
        words = max((cell_len(word) for text in texts for word in text.split()), default=0)
        wanted.append(whole)
        folded = min(words, column.min_width or WORD_MAX)
        if column.header in sentences:
            folded = max(folded, min(whole, SENTENCE_MIN))
        least.append(whole if column.no_wrap else folded)
    around = Measurement.get(console, console.options.update(max_width=EVERYTHING), what).maximum - sum(wanted)
    return wanted, least, around


def _within(wanted: list[int], least: list[int], limit: int) -> list[int]:
    return [max(low, min(most, limit)) for most, low in zip(wanted, least, strict=True)]


def _show_rows(what: Table, across: int) -> None:
    names = [str(column.header) for column in what.columns]
    indent = max(map(len, names[1:]), default=0) + 2 * len(INDENT)
    for cells in zip(*(column.cells for column in what.columns), strict=True):
        first, *rest = map(str, cells)
        line()
        line(_folded(first, across))
        for name, text in zip(names[1:], rest, strict=True):
            if text:
                told = f"{INDENT}{name}".ljust(indent)
                line(_folded(text, across, told, " " * indent))
    line()


def _folded(text: str, across: int, first: str = "", rest: str = "") -> str:
    """Folded between words only: a number on two lines would be two numbers."""
    return fill(
        text, across, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False, break_long_words=False
    )


def line(text: str = "") -> None:
    """Print one line as it is, however long."""
    sys.stdout.write(f"{text}\n")


def prose(text: str) -> None:
    """Print a sentence, folded between its words where the line is too short for it."""
    line(_folded(text, width()))


def table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table; columns named in `right` are aligned to the right."""
    from rich import box
    from rich.table import Table

    made = Table(title=title or None, box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        if name in right:
            made.add_column(name, justify="right", no_wrap=True)
        else:
            made.add_column(name, overflow="fold")
    return made
