"""The books of a run as tables: what came in, what became of it, and what stock moved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twin.cli.terminal import line, show, table
from twin.cli.texts import count

if TYPE_CHECKING:
    from rich.table import Table

    from twin.measures.accounts import Accounts, BookCounts, Tally

__all__ = ["show_books", "show_books_in_short"]

_NUMBERS = ("Lines", "Units")


def show_books_in_short(books: Accounts) -> None:
    """Lines and units in and out, and whether anything is missing."""
    show(_ends(books))
    _show_differences(books)


def show_books(run: Path, books: Accounts) -> None:
    """All of it: the order book by rule, orders, credits, stock by kind of movement, differences."""
    from twin.measures.accounts import read_book_counts

    counts = read_book_counts(run)
    if counts is not None:
        _show_read(counts, books)
    show(_ends(books))
    _show_refused(books)
    _show_credits(counts, books)
    moved = table("Stock: units moved, as it physically happened", "Movement", "Units", right=("Units",))
    for kind, units in books.stock.items():
        if kind != "stock.closing":
            moved.add_row(kind.removeprefix("stock."), count(units))
    moved.add_section()
    moved.add_row("adds up to", count(sum(units for kind, units in books.stock.items() if kind != "stock.closing")))
    moved.add_row("there at the end", count(books.stock.get("stock.closing", 0)))
    show(moved)
    if books.adjustments_capped:
        line(
            f"{count(books.adjustments_capped)} units were to be adjusted and were not: there was no stock left for it"
        )
    line(f"{count(books.items)} items were added up one by one, in {count(books.cells)} places of stock.")
    _show_differences(books)


def _show_read(counts: BookCounts, books: Accounts) -> None:
    read = table(f"Order book {counts.source}: every line under one rule", "Rule", "Became", *_NUMBERS, right=_NUMBERS)
    for rule in counts.counts:
        read.add_row(rule.rule, rule.treatment, count(rule.lines), count(rule.units))
    read.add_section()
    read.add_row("read", "", count(counts.read_lines), count(counts.read_units))
    show(read)
    for remark in counts.remarks:
        if remark.count:
            line(f"  {count(remark.count)} x {remark.remark}")
    accepted = [rule for rule in counts.counts if rule.treatment == "accepted"]
    lines = sum(rule.lines for rule in accepted) - books.captured.lines - books.refused.lines
    units = sum(rule.units for rule in accepted) - books.captured.units - books.refused.units
    if lines > 0 or units > 0:
        line(f"  {count(lines)} accepted lines with {count(units)} units lie outside the time of the run")


def _ends(books: Accounts) -> Table:
    ends = table("Order lines: what came in and what became of it", "", *_NUMBERS, right=_NUMBERS)
    ends.add_row(f"captured ({count(books.captured_orders)} orders)", *_tally(books.captured))
    ends.add_section()
    for name, tally in (
        ("delivered", books.delivered),
        ("cancelled", books.cancelled),
        ("rejected", books.rejected),
        ("open at the end", books.open),
    ):
        ends.add_row(name, *_tally(tally))
    return ends


def _tally(tally: Tally) -> tuple[str, str]:
    return count(tally.lines), count(tally.units)


def _show_refused(books: Accounts) -> None:
    for code, orders in books.refused_orders.items():
        line(f"{count(orders)} orders were refused by the engine: {code}")
    if books.refused.lines:
        line(f"in these orders: {count(books.refused.lines)} lines, {count(books.refused.units)} units")


def _show_credits(counts: BookCounts | None, books: Accounts) -> None:
    read = (0, 0) if counts is None else counts.credit_units
    if not (any(read) or books.credits_issued.lines or books.credits_refused or books.credits_waiting):
        return
    credits = table("Credits", "", "Credits", "Units", right=("Credits", "Units"))
    if counts is not None:
        credits.add_row("read, matched to an earlier purchase", "", count(counts.credit_units[0]))
        credits.add_row("read, not matched: listed", "", count(counts.credit_units[1]))
        credits.add_section()
    credits.add_row("issued", *_tally(books.credits_issued))
    credits.add_row("took back units that were still open", "", count(books.credits_cancelled_units))
    credits.add_row("waiting for the ERP's answer at the end", count(books.credits_waiting), "")
    for code, refused in books.credits_refused.items():
        credits.add_row(f"refused by the engine: {code}", count(refused), "")
    show(credits)


def _show_differences(books: Accounts) -> None:
    if not books.differences:
        line("Nothing is lost: no differences.")
        return
    line(f"{count(len(books.differences))} differences:")
    for difference in books.differences:
        line(f"  {difference}")
