"""An order book: what was ordered, credited and written off, as neutral records.

Adapters read files into these records and the world's channels replay them; neither knows the
other. Times are integer milliseconds since the Unix epoch, prices integer minor units of the
scenario's currency for one unit, quantities integer base units. `row` is always the line of the
file a record came from (CSV: the physical line where the record starts, the header being 1;
Parquet: the row, counted from 1), so that any order can be traced back to its source.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

__all__ = [
    "BookAdjustment",
    "BookCancellation",
    "BookCredit",
    "BookItem",
    "BookLine",
    "BookOrder",
    "BookRemark",
    "OrderBook",
    "OrderBookError",
    "OrderBookSource",
    "Progress",
    "RuleCount",
    "Unaccounted",
    "check_accounts",
]

Progress = Callable[[int, int], None]
"""Called with (done, total) while a book is read: bytes for CSV, rows for Parquet."""

ACCEPTED = "accepted"
CREDITED = "credited"
LISTED = "listed"
STOCKED = "stock"
REFUSED = "refused"


class OrderBookError(ValueError):
    """An order book or its mapping that cannot be used: `place: problem; remedy`.

    `place` is `file:line` where a line is to blame, else the file or the mapping's key.
    """

    def __init__(self, place: str, problem: str, remedy: str) -> None:
        # The three parts are kept as args: a pickled error must survive a process pool.
        super().__init__(place, problem, remedy)
        self.place = place
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}; {self.remedy}"


class Unaccounted(RuntimeError):
    """A read line fell under no rule or under two: a defect of the adapter, never of the input."""


class BookLine(msgspec.Struct, frozen=True, gc=False):
    """One accepted line; `line` counts from 1 within its order, in file order."""

    line: int
    sku: str
    quantity: int
    price_minor: int
    row: int


class BookCancellation(msgspec.Struct, frozen=True, gc=False):
    """The customer gives up these lines of an order at `at_ms`; all of them where none is named."""

    at_ms: int
    lines: tuple[int, ...] = ()


class BookOrder(msgspec.Struct, frozen=True):
    """One order with at least one accepted line; `customer` is `guest/<order>` where none is named.

    `requested_ms` is when the customer wants it; 0 where the book does not say, and the channel's rule holds.
    `cancellations` are sorted by time, and none is before the order.
    """

    order: str
    customer: str
    region: str
    channel: str
    at_ms: int
    lines: tuple[BookLine, ...]
    requested_ms: int = 0
    cancellations: tuple[BookCancellation, ...] = ()


class BookCredit(msgspec.Struct, frozen=True, gc=False):
    """Units of one credit line given back against one purchase line.

    `quantity` is positive. A credit line that spans several purchases gives several records with the
    same `credit` and `line`; units without a purchase have `order == ""` and `order_line == 0`.
    """

    credit: str
    line: int
    at_ms: int
    customer: str
    sku: str
    quantity: int
    price_minor: int
    order: str
    order_line: int
    row: int


class BookAdjustment(msgspec.Struct, frozen=True, gc=False):
    """A signed correction of stock; `reason` is the description as read, `blank` where it is empty."""

    at_ms: int
    sku: str
    quantity: int
    reason: str
    row: int


class BookItem(msgspec.Struct, frozen=True, gc=False):
    """An item named by an order line, a credit or an adjustment.

    `description` and `price_minor` are the most frequent among its order lines (ties: the first
    read), else among its credits, else empty and 0.
    """

    sku: str
    description: str
    price_minor: int


class RuleCount(msgspec.Struct, frozen=True, gc=False):
    """How many lines and units (signed as read) fell under one rule, and what was done with them.

    `treatment`: `accepted` became order lines, `credited` credits of a purchase, `listed` credits without
    one, `stock` adjustments, `refused` nothing.
    """

    rule: str
    treatment: str
    lines: int
    units: int


class BookRemark(msgspec.Struct, frozen=True, gc=False):
    """Something the adapter evened out while reading, and how often."""

    remark: str
    count: int


class OrderBook(msgspec.Struct, frozen=True):
    """A whole book; orders, credits and adjustments are sorted by time, then by id.

    `source` is the file's name without its folder, so that a book does not depend on where it lay.
    """

    source: str
    encoding: str
    currency_exponent: int
    read_lines: int
    read_units: int
    orders: tuple[BookOrder, ...]
    credits: tuple[BookCredit, ...]
    adjustments: tuple[BookAdjustment, ...]
    items: tuple[BookItem, ...]
    counts: tuple[RuleCount, ...]
    remarks: tuple[BookRemark, ...]

    def lines_of(self, treatment: str) -> int:
        """Lines read that got this treatment."""
        return sum(count.lines for count in self.counts if count.treatment == treatment)

    def units_of(self, treatment: str) -> int:
        """Units read, signed, that got this treatment."""
        return sum(count.units for count in self.counts if count.treatment == treatment)


class OrderBookSource(Protocol):
    """What an entry point of group `ordertwin.order_books` provides.

    Raises `OrderBookError` for a file or a mapping that cannot be used.
    """

    def __call__(self, path: Path, mapping: dict[str, Any], progress: Progress | None = None) -> OrderBook: ...


def check_accounts(book: OrderBook) -> None:
    """Every read line stands under exactly one rule, and every unit is in the records.

    Raises `Unaccounted` naming the first sum that is off.
    """
    order_lines = [line for order in book.orders for line in order.lines]
    credited = book.units_of(CREDITED) + book.units_of(LISTED)
    sums = (
        ("lines over all rules", sum(count.lines for count in book.counts), book.read_lines),
        ("units over all rules", sum(count.units for count in book.counts), book.read_units),
        ("accepted lines", len(order_lines), book.lines_of(ACCEPTED)),
        ("accepted units", sum(line.quantity for line in order_lines), book.units_of(ACCEPTED)),
        ("credited units", -sum(credit.quantity for credit in book.credits), credited),
        ("adjustment lines", len(book.adjustments), book.lines_of(STOCKED)),
        ("adjusted units", sum(item.quantity for item in book.adjustments), book.units_of(STOCKED)),
    )
    for name, found, wanted in sums:
        if found != wanted:
            raise Unaccounted(f"{book.source}: {name} are {found}, should be {wanted}")
