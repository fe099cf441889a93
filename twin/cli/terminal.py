"""Where output goes: tables on stdout, wide enough to be read when it is piped."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["line", "show", "table", "width"]

PIPED_WIDTH: Final = 140


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


def show(what: Table) -> None:
    """Print a table below its title, which may be longer than the table is wide."""
    console = _console()
    if what.title:
        title, what.title = str(what.title), None
        console.print(title, style="bold", soft_wrap=True)
    console.print(what)


def line(text: str = "") -> None:
    """Print one line as it is, however long."""
    sys.stdout.write(f"{text}\n")


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
