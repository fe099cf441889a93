"""What a run starts from: by table what was read, taken over and left out, and what is inconsistent in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cli.terminal import line, show, table
from twin.cli.texts import clock, count, money

if TYPE_CHECKING:
    from twin.opening import OpeningReport

__all__ = ["print_opening", "show_opening", "show_opening_in_short"]

_NUMBERS = ("Rows", "Units", "Value")


def show_opening_in_short(report: OpeningReport) -> None:
    """What became of each table, and how many rows have something inconsistent."""
    _show_tables(report)
    if report.findings:
        line(
            f"{count(report.count)} findings of {count(len(report.findings))} kinds, in opening.json; "
            "`twin opening SCENARIO` shows them."
        )
        line()


def show_opening(report: OpeningReport) -> None:
    """All of it, with the first rows of each kind of finding."""
    _show_tables(report)
    if not report.findings:
        line("Nothing is inconsistent.")
    for found in report.findings:
        where = f"{found.table}: " if found.table else ""
        line(f"{where}{found.kind} ({found.treatment}): {found.text}")
        more = found.count - len(found.first)
        line(
            f"  {count(found.count)} x, {count(found.units)} units" if found.table else f"  {count(found.count)} tables"
        )
        for place in found.first:
            line(f"    {place}")
        if more > 0:
            line(f"    and {count(more)} more")


def print_opening(report: OpeningReport) -> None:
    """As JSON, as opening.json has it."""
    import msgspec

    line(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())


def _show_tables(report: OpeningReport) -> None:
    title = f"Opening '{report.source}': what was under way, taken over at {clock(report.start)}"
    made = table(title, "Table", "", "As of", *_NUMBERS, right=_NUMBERS)
    for one in report.tables:
        first, last = one.as_of
        as_of = "" if not last else clock(first) if first == last else f"{clock(first)} to {clock(last)}"
        for name, amount in (("read", one.read), ("taken over", one.taken_over), ("left out", one.left_out)):
            made.add_row(
                one.table if name == "read" else "",
                name,
                as_of if name == "read" else "",
                *(count(amount.rows), count(amount.units), money(amount.value_minor, report.currency)),
            )
        made.add_section()
    show(made)
