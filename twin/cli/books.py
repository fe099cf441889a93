"""The books of a run as tables: what came in, what became of it, and what stock moved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from twin.cli.terminal import line, show, table
from twin.cli.texts import count

if TYPE_CHECKING:
    from rich.table import Table

    from twin.measures.accounts import Accounts, BookCounts, Tally

__all__ = ["print_books", "show_books", "show_books_in_short"]

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
        _show_read(counts)
    show(_ends(books))
    _show_refused(books)
    _show_credits(counts, books)
    if books.stock:
        _show_stock(books)
    else:
        line("No truth is kept of this run: stock, parcels and ledger are held against nothing that happened.")
    _show_differences(books)


def print_books(run: Path, books: Accounts) -> None:
    """One JSON map: `order_book`, as its adapter read it (null without one), and `books`. Amounts are minor units."""
    from twin.measures.accounts import read_book_counts

    told = {"order_book": read_book_counts(run), "books": books}
    line(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())


def _show_stock(books: Accounts) -> None:
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


def _show_read(counts: BookCounts) -> None:
    read = table(f"Order book {counts.source}: every line under one rule", "Rule", "Became", *_NUMBERS, right=_NUMBERS)
    for rule in counts.counts:
        read.add_row(rule.rule, rule.treatment, count(rule.lines), count(rule.units))
    read.add_section()
    read.add_row("read", "", count(counts.read_lines), count(counts.read_units))
    show(read)
    for remark in counts.remarks:
        if remark.count:
            line(f"  {count(remark.count)} x {remark.remark}")
    parts = ("Orders", *_NUMBERS, "Credit units", "Adjustments")
    time = table("Order book: how it lies in the time of the run", "", *parts, right=parts)
    for name, part in (
        ("outside the time of the run", counts.outside),
        ("after the run was stopped", counts.inside - counts.due),
        ("due in the run", counts.due),
        ("of these on the way to the engine at the end", counts.under_way),
    ):
        numbers = (part.orders, part.lines, part.units, part.credit_units, part.adjustments)
        if any(numbers) or part is counts.due:
            time.add_row(name, *[count(number) for number in numbers])
    show(time)


def _ends(books: Accounts) -> Table:
    ends = table("Order lines: what came in and what became of it", "", *_NUMBERS, right=_NUMBERS)
    ends.add_row(f"captured ({count(books.captured_orders)} orders)", *_tally(books.captured))
    if books.taken_over_orders:
        ends.add_row(f"of these before the run ({count(books.taken_over_orders)} orders)", *_tally(books.taken_over))
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
    asked = books.credits_issued.lines + books.credits_rejected.lines + books.credits_waiting
    if not (any(read) or asked or books.credits_refused):
        return
    credits = table("Credits", "", "Credits", "Units", right=("Credits", "Units"))
    if counts is not None:
        credits.add_row("read, matched to an earlier purchase", "", count(counts.credit_units[0]))
        credits.add_row("read, not matched: listed", "", count(counts.credit_units[1]))
        credits.add_section()
    credits.add_row("issued", *_tally(books.credits_issued))
    credits.add_row("took back units that were still open", "", count(books.credits_cancelled_units))
    credits.add_row("rejected: nothing of it was billed", *_tally(books.credits_rejected))
    credits.add_row("asked beyond what was billed", *_tally(books.credits_remainder))
    credits.add_row("waiting at the end", count(books.credits_waiting), count(books.credits_waiting_units))
    for code, refused in books.credits_refused.items():
        credits.add_row(f"refused by the engine: {code}", count(refused), "")
    if books.credits_refused:
        credits.add_row("refused by the engine, in all", "", count(books.credits_refused_units))
    show(credits)


def _show_differences(books: Accounts) -> None:
    if not books.differences:
        line("Nothing is lost: no differences.")
        return
    line(f"{count(len(books.differences))} differences:")
    for difference in books.differences:
        line(f"  {difference}")
