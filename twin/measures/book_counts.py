"""What an order book holds and how much of it a run is to see: counted from the book itself, not from what was told.

`book.json` stands beside the log. It is written when the run begins and completed when it ends, so that what the
channels lose on the way to the engine shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from twin.core.commands import CaptureOrder, IssueCredit
from twin.log import RunError
from twin.order_book import BookRemark, OrderBook, RuleCount

__all__ = [
    "BOOK",
    "BookCounts",
    "BookPart",
    "count_book",
    "part_of",
    "read_book_counts",
    "under_way",
    "write_book_counts",
]

BOOK = "book.json"


class BookPart(Struct, frozen=True):
    """Orders with their lines and units, credits matched to a purchase, stock adjustments (units signed)."""

    orders: int = 0
    lines: int = 0
    units: int = 0
    credits: int = 0
    credit_units: int = 0
    adjustments: int = 0
    adjusted_units: int = 0

    def __sub__(self, other: BookPart) -> BookPart:
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return BookPart(*[mine - others for mine, others in pairs])


class BookCounts(Struct, frozen=True):
    """What the order book's adapter read, by rule, and how it lies in time.

    `credit_units` are (matched to a purchase, not matched). `channels` are those that replay the book. `inside` lies
    in the time of the run's demand, `outside` does not; `due` is the part of `inside` before the end of the run, and
    `under_way` the part of it that was sent and not received when the run ended.
    """

    source: str
    read_lines: int
    read_units: int
    counts: tuple[RuleCount, ...]
    remarks: tuple[BookRemark, ...]
    orders: int
    credit_units: tuple[int, int]
    channels: tuple[str, ...]
    inside: BookPart
    outside: BookPart
    due: BookPart
    under_way: BookPart = BookPart()


def part_of(
    book: OrderBook,
    first: int | None = None,
    last: int | None = None,
    *,
    credits: bool = True,
    adjustments: bool = True,
) -> BookPart:
    """What of a book is stamped in [`first`, `last`) ms; without credits or adjustments where they are not replayed."""

    def within(at: int) -> bool:
        return (first is None or at >= first) and (last is None or at < last)

    orders = [order for order in book.orders if within(order.at_ms)]
    lines = [line for order in orders for line in order.lines]
    given_back = [credit for credit in book.credits if credits and credit.order and within(credit.at_ms)]
    adjusted = [adjustment for adjustment in book.adjustments if adjustments and within(adjustment.at_ms)]
    return BookPart(
        len(orders),
        len(lines),
        sum([line.quantity for line in lines]),
        len(given_back),
        sum([credit.quantity for credit in given_back]),
        len(adjusted),
        sum([adjustment.quantity for adjustment in adjusted]),
    )


def count_book(
    book: OrderBook, channels: Iterable[str], first: int, last: int, *, credits: bool, adjustments: bool
) -> BookCounts:
    """The counts of a book whose demand is replayed in [`first`, `last`) ms."""
    matched = sum(credit.quantity for credit in book.credits if credit.order)
    unmatched = sum(credit.quantity for credit in book.credits if not credit.order)
    inside = part_of(book, first, last, credits=credits, adjustments=adjustments)
    return BookCounts(
        book.source,
        book.read_lines,
        book.read_units,
        book.counts,
        book.remarks,
        len(book.orders),
        (matched, unmatched),
        tuple(channels),
        inside,
        part_of(book, credits=credits, adjustments=adjustments) - inside,
        inside,
    )


def under_way(messages: Iterable[object], channels: Iterable[str]) -> BookPart:
    """The orders of these channels and the credits among commands that were sent and not received."""
    names = tuple(channels)
    orders = lines = units = credits = credit_units = 0
    for message in messages:
        if isinstance(message, CaptureOrder) and message.channel in names:
            orders += 1
            lines += len(message.lines)
            units += sum([line.quantity for line in message.lines])
        elif isinstance(message, IssueCredit) and message.facts is None:
            credits += 1
            credit_units += message.quantity
    return BookPart(orders, lines, units, credits, credit_units)


def write_book_counts(run: Path, counts: BookCounts) -> None:
    """Keep the book's counts beside the run's log."""
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
