"""The books of a run: every line read, every unit ordered and every unit of stock, accounted for item by item.

Lines and units read = accepted + refused by rule; accepted = delivered + cancelled + rejected + open at the end;
opening stock + received + adjusted + shrunk + shipped = stock at the end, for every item at every node. A parcel leaves
once and arrives when it is due, a receipt is put away once, and counts correct no more than shrink and short picks
explain.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from twin.core.commands import CaptureOrder, IssueCredit
from twin.core.entry import Entry
from twin.core.events import (
    CreditIssued,
    CreditPended,
    CreditReferred,
    GoodsShipped,
    InvoiceCreated,
    OrderCancelled,
    OrderCaptured,
    OrderClosed,
    ShipmentDelivered,
    SourcingDecided,
)
from twin.log import RunError, TruthRow, read_entries, read_truth
from twin.measures.goods import Happened, Told, compare
from twin.order_book import BookRemark, OrderBook, RuleCount

__all__ = ["Accounts", "BookCounts", "Tally", "account", "account_run", "read_book_counts", "write_book_counts"]

BOOK = "book.json"


class BookCounts(Struct, frozen=True):
    """What the order book's adapter read, by rule; `credit_units` are (matched to a purchase, not matched)."""

    source: str
    read_lines: int
    read_units: int
    counts: tuple[RuleCount, ...]
    remarks: tuple[BookRemark, ...]
    orders: int
    credit_units: tuple[int, int]


def write_book_counts(run: Path, book: OrderBook) -> None:
    """Keep the book's counts beside the run's log."""
    matched = sum(credit.quantity for credit in book.credits if credit.order)
    unmatched = sum(credit.quantity for credit in book.credits if not credit.order)
    counts = BookCounts(
        book.source,
        book.read_lines,
        book.read_units,
        book.counts,
        book.remarks,
        len(book.orders),
        (matched, unmatched),
    )
    (run / BOOK).write_bytes(msgspec.json.format(msgspec.json.encode(counts), indent=2) + b"\n")


def read_book_counts(run: Path) -> BookCounts | None:
    """The book's counts, or None for a run without a book. Raises `RunError` where they are damaged."""
    path = run / BOOK
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=BookCounts)
    except msgspec.MsgspecError as error:
        raise RunError(f"{path} cannot be read: {error}; restore it or run it again") from error


class Tally(Struct):
    """Lines and units."""

    lines: int = 0
    units: int = 0

    def add(self, lines: int, units: int) -> None:
        """Count some more."""
        self.lines += lines
        self.units += units


class Accounts(Struct):
    """The run's books. `differences` name every sum that is off; empty means that nothing is lost."""

    captured_orders: int = 0
    captured: Tally = msgspec.field(default_factory=Tally)
    refused_orders: dict[str, int] = {}
    refused: Tally = msgspec.field(default_factory=Tally)
    delivered: Tally = msgspec.field(default_factory=Tally)
    cancelled: Tally = msgspec.field(default_factory=Tally)
    rejected: Tally = msgspec.field(default_factory=Tally)
    open: Tally = msgspec.field(default_factory=Tally)
    credits_issued: Tally = msgspec.field(default_factory=Tally)
    credits_cancelled_units: int = 0
    credits_refused: dict[str, int] = {}
    credits_waiting: int = 0
    credits_waiting_units: int = 0
    items: int = 0
    cells: int = 0
    stock: dict[str, int] = {}
    adjustments_capped: int = 0
    invoiced_minor: int = 0
    ledger_minor: int = 0
    differences: list[str] = []


class _Line(Struct):
    sku: str
    ordered: int
    shipped: int = 0
    delivered: int = 0
    cancelled: int = 0
    rejected: int = 0


def account(entries: Iterable[Entry], truth: Iterable[TruthRow]) -> Accounts:
    """Add up a run's log and truth."""
    books = Accounts()
    orders: dict[str, dict[int, _Line]] = {}
    shipments: dict[str, tuple[tuple[int, int], ...]] = {}
    told = Told()
    waiting: dict[str, int] = {}
    for entry in entries:
        command = entry.command
        if entry.refusal is not None:
            if isinstance(command, CaptureOrder):
                code = entry.refusal.code
                books.refused_orders[code] = books.refused_orders.get(code, 0) + 1
                books.refused.add(len(command.lines), sum(line.quantity for line in command.lines))
            elif isinstance(command, IssueCredit):
                code = entry.refusal.code
                books.credits_refused[code] = books.credits_refused.get(code, 0) + 1
            continue
        for event in entry.events:
            told.follow(event, command)
            if isinstance(event, OrderCaptured):
                books.captured_orders += 1
                books.captured.add(len(event.lines), sum(line.quantity for line in event.lines))
                orders[event.order] = {line.line: _Line(line.sku, line.quantity) for line in event.lines}
            elif isinstance(event, SourcingDecided):
                for leg in event.legs:
                    if leg.route == "reject":
                        orders[event.order][leg.line].rejected += leg.quantity
            elif isinstance(event, OrderCancelled):
                for taken in event.units:
                    orders[event.order][taken.line].cancelled += taken.quantity
                if isinstance(command, IssueCredit):
                    books.credits_cancelled_units += sum(taken.quantity for taken in event.units)
            elif isinstance(event, GoodsShipped):
                shipments[event.shipment] = event.lines
                for number, units in event.lines:
                    orders[event.order][number].shipped += units
            elif isinstance(event, InvoiceCreated):
                books.invoiced_minor += event.amount_minor
            elif isinstance(event, ShipmentDelivered):
                for number, units in shipments.pop(event.shipment):
                    orders[event.order][number].delivered += units
            elif isinstance(event, CreditIssued):
                waiting.pop(event.credit, None)
                books.credits_issued.add(1, event.quantity)
            elif isinstance(event, CreditPended | CreditReferred):
                waiting[event.credit] = event.quantity
            elif isinstance(event, OrderClosed):
                _close(books, event.order, orders.pop(event.order), closed=True)
    for order, lines in orders.items():
        _close(books, order, lines, closed=False)
    books.credits_waiting = len(waiting)
    books.credits_waiting_units = sum(waiting.values())
    ended = [books.delivered, books.cancelled, books.rejected, books.open]
    if sum(tally.lines for tally in ended) != books.captured.lines:
        books.differences.append("lines captured are not delivered + cancelled + rejected + open")
    if sum(tally.units for tally in ended) != books.captured.units:
        books.differences.append("units captured are not delivered + cancelled + rejected + open")
    happened = Happened()
    for row in truth:
        happened.follow(row)
    books.stock = happened.stock
    books.adjustments_capped = happened.capped
    books.ledger_minor = happened.ledger_minor
    books.cells = len(happened.closing)
    books.items = len(dict.fromkeys(sku for _, sku in happened.closing))
    if books.ledger_minor > books.invoiced_minor:
        books.differences.append(
            f"the ERP's ledger has {books.ledger_minor} invoiced, the log {books.invoiced_minor} (minor units)"
        )
    books.differences += compare(told, happened)
    return books


def _close(books: Accounts, order: str, lines: dict[int, _Line], *, closed: bool) -> None:
    for number, line in lines.items():
        left = line.ordered - line.delivered - line.cancelled - line.rejected
        if left < 0 or line.delivered > line.shipped:
            books.differences.append(f"{order} line {number}: more units ended than were ordered or shipped")
        if closed and left:
            books.differences.append(f"{order} line {number}: closed with {left} units open")
        books.delivered.units += line.delivered
        books.cancelled.units += line.cancelled
        books.rejected.units += line.rejected
        books.open.units += left
        if left:
            books.open.lines += 1
        elif line.delivered:
            books.delivered.lines += 1
        elif line.rejected:
            books.rejected.lines += 1
        else:
            books.cancelled.lines += 1


def account_run(run: Path) -> Accounts:
    """The books of a run folder, the order book's lines included. Raises `RunError` for one that is cut off."""
    books = account(read_entries(run), read_truth(run))
    counts = read_book_counts(run)
    if counts is not None:
        accepted = [count for count in counts.counts if count.treatment == "accepted"]
        for name, read, got in (
            ("lines", sum(count.lines for count in accepted), books.captured.lines + books.refused.lines),
            ("units", sum(count.units for count in accepted), books.captured.units + books.refused.units),
        ):
            if got > read:
                books.differences.append(f"{name}: {read} accepted from the book, {got} came to the engine")
        if sum(count.lines for count in counts.counts) != counts.read_lines:
            books.differences.append("lines read are not the sum over the rules")
    return books
