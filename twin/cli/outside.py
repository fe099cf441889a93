"""What services outside were asked to decide in a run, and who decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from twin.cli.terminal import show, table
from twin.cli.texts import count

if TYPE_CHECKING:
    from twin.measures.measured import Measured

__all__ = ["show_asked"]


def show_asked(measures: Mapping[str, Measured]) -> None:
    """How many decisions each service took of those it was asked for, and what became of the others, with the reason.

    Nothing where no service was asked.
    """
    from twin.measures.outside import asked_outside

    rows = asked_outside(measures)
    if not rows:
        return
    numbers = ("Of", "Decided")
    made = table("Asked of services outside", "Service", "For", *numbers, "Otherwise", right=numbers)
    for row in rows:
        for index, other in enumerate(row.others or (None,)):
            head = (row.service, row.decision, count(row.asked), count(row.decided)) if not index else ("",) * 4
            made.add_row(*head, "" if other is None else other.words)
    show(made)
