"""The books of a run: every line read, every unit ordered and every unit of stock, accounted for item by item.

Lines and units in the time of the run = captured + refused + under way; captured = delivered + cancelled + rejected +
open at the end, where what is open is read off an engine that the log is folded into, and the rest off the events;
opening stock + received + adjusted + shrunk + shipped = stock at the end, for every item at every node. A parcel leaves
once and arrives when it is due, a receipt is put away once, and counts correct no more than shrink and short picks
explain.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from twin.core import buckets
from twin.core.commands import CaptureOrder, ConfirmShipment, IssueCredit, LoadOrder, PublishMilestone
from twin.core.effects import PostCredit, PostInvoice
from twin.core.engine import Engine
from twin.core.entry import Entry
from twin.core.events import (
    CreditIssued,
    CreditPended,
    CreditReferred,
    CreditRejected,
    Event,
    GoodsShipped,
    InvoiceCreated,
    OrderCancelled,
    OrderCaptured,
    OrderClosed,
    ShipmentDelivered,
    ShipmentLoaded,
    SourcingDecided,
)
from twin.core.refusals import CorruptLog
from twin.core.state import Order
from twin.log import TruthRow, read_entries, read_truth
from twin.measures.book_counts import BookCounts, read_book_counts
from twin.measures.goods import Happened, Told, compare

__all__ = ["Accounts", "BookCounts", "Came", "Tally", "account", "account_run", "compare_book", "read_book_counts"]


class Tally(Struct):
    """Lines and units."""

    lines: int = 0
    units: int = 0

    def add(self, lines: int, units: int) -> None:
        """Count some more."""
        self.lines += lines
        self.units += units


class Came(Struct):
    """The orders of a channel that came to the engine, captured or refused, with their lines and units."""

    orders: int = 0
    lines: int = 0
    units: int = 0


class Accounts(Struct):
    """The run's books. `differences` name every sum that is off; empty means that nothing is lost.

    Credits asked for = issued + cancelled + rejected (nothing of it was ever billed) + the remainder of those issued
    for less than asked + refused + waiting, in units. The ERP's answers to questions about credits are not counted.
    Of what was captured, `taken_over` was before the run; it came to the engine through no channel of the run.
    """

    captured_orders: int = 0
    captured: Tally = msgspec.field(default_factory=Tally)
    taken_over_orders: int = 0
    taken_over: Tally = msgspec.field(default_factory=Tally)
    came: dict[str, Came] = {}
    refused_orders: dict[str, int] = {}
    refused: Tally = msgspec.field(default_factory=Tally)
    delivered: Tally = msgspec.field(default_factory=Tally)
    cancelled: Tally = msgspec.field(default_factory=Tally)
    rejected: Tally = msgspec.field(default_factory=Tally)
    open: Tally = msgspec.field(default_factory=Tally)
    credits_issued: Tally = msgspec.field(default_factory=Tally)
    credits_cancelled_units: int = 0
    credits_rejected: Tally = msgspec.field(default_factory=Tally)
    credits_remainder: Tally = msgspec.field(default_factory=Tally)
    credits_refused: dict[str, int] = {}
    credits_refused_units: int = 0
    credits_waiting: int = 0
    credits_waiting_units: int = 0
    items: int = 0
    cells: int = 0
    stock: dict[str, int] = {}
    adjustments_capped: int = 0
    invoiced_minor: int = 0
    ledger_minor: int = 0
    credited_minor: int = 0
    ledger_credited_minor: int = 0
    differences: list[str] = []


class _Line(Struct):
    sku: str
    ordered: int
    shipped: int = 0
    delivered: int = 0
    cancelled: int = 0
    rejected: int = 0


class _Reader:
    """The books while a log is read: sums over the events on one side, an engine with the log folded in on the other.

    `broken` is set at the first entry that the engine cannot fold; what comes after it is not added up.
    """

    def __init__(self, books: Accounts) -> None:
        self.books = books
        self.engine = Engine()
        self.told = Told()
        self.orders: dict[str, dict[int, _Line]] = {}
        self.shipments: dict[str, tuple[tuple[int, int], ...]] = {}
        self.waiting: dict[str, int] = {}
        self.untracked = False
        self.broken = False

    def take(self, entry: Entry) -> None:
        """Take one entry, in its order."""
        kept = self.engine.state.orders
        closing = {event.order: kept.get(event.order) for event in entry.events if isinstance(event, OrderClosed)}
        try:
            self.engine.apply(entry)
        except (CorruptLog, LookupError) as error:
            self.books.differences.append(f"entry {entry.position} does not follow from those before it: {error!r}")
            self.broken = True
            return
        if entry.refusal is not None:
            self._refused(entry, entry.refusal.code)
            return
        missing = _unheard(entry)
        if missing:
            self.books.differences.append(f"entry {entry.position}: {missing}")
        for event in entry.events:
            self.told.follow(event, entry.command)
            if isinstance(event, OrderClosed):
                self._end(event.order, self.orders.pop(event.order), closing[event.order], closed=True)
            else:
                self._order(event)
                self._credit(event)
        opened = self.engine.state.deliveries
        for sent in entry.deliveries:
            if isinstance(sent.effect, PostInvoice | PostCredit) and sent.key not in opened:
                self.untracked = True

    def finish(self) -> None:
        """Compare what is open at the end."""
        books, state = self.books, self.engine.state
        for order, lines in self.orders.items():
            self._end(order, lines, state.orders.get(order), closed=False)
        for order in state.orders:
            if order not in self.orders:
                books.differences.append(f"{order}: open in the engine, and the events know nothing of it")
        books.credits_waiting = len(self.waiting)
        books.credits_waiting_units = sum(self.waiting.values())
        kept = dict(state.referred)
        kept.update((waits.credit, waits.quantity) for order in state.orders.values() for waits in order.credits)
        if kept != self.waiting:
            books.differences.append(
                f"{books.credits_waiting_units} units of credits wait by the events, {sum(kept.values())} in the engine"
            )
        ended = (books.delivered, books.cancelled, books.rejected, books.open)
        if sum(tally.lines for tally in ended) != books.captured.lines:
            books.differences.append("lines captured are not delivered + cancelled + rejected + open")
        if sum(tally.units for tally in ended) != books.captured.units:
            books.differences.append("units captured are not delivered + cancelled + rejected + open")

    def settled(self) -> bool:
        """Whether the ERP has answered every document, so that its ledger must agree to the last minor unit."""
        state = self.engine.state
        unsettled = [*state.deliveries.values(), *state.dead_letters.values()]
        return not self.untracked and not any(
            isinstance(opened.delivery.effect, PostInvoice | PostCredit) for opened in unsettled
        )

    def _came(self, channel: str, lines: int, units: int) -> None:
        came = self.books.came.setdefault(channel, Came())
        came.orders += 1
        came.lines += lines
        came.units += units

    def _refused(self, entry: Entry, code: str) -> None:
        books, command = self.books, entry.command
        if isinstance(command, CaptureOrder | LoadOrder):
            units = sum([line.quantity for line in command.lines])
            books.refused_orders[code] = books.refused_orders.get(code, 0) + 1
            books.refused.add(len(command.lines), units)
            if isinstance(command, CaptureOrder):
                self._came(command.channel, len(command.lines), units)
        elif isinstance(command, IssueCredit) and command.facts is None:
            books.credits_refused[code] = books.credits_refused.get(code, 0) + 1
            books.credits_refused_units += command.quantity
        elif isinstance(command, ConfirmShipment) and command.lines and code == "unknown_fulfillment_order":
            # The same message a second time is refused as a duplicate: this one is about goods nobody wanted shipped.
            books.differences.append(f"parcel {command.shipment}: it left, and nothing was to be shipped")

    def _order(self, event: Event) -> None:
        books, orders = self.books, self.orders
        if isinstance(event, OrderCaptured):
            units = sum([line.quantity for line in event.lines])
            books.captured_orders += 1
            books.captured.add(len(event.lines), units)
            if event.captured_at:
                books.taken_over_orders += 1
                books.taken_over.add(len(event.lines), units)
            else:
                self._came(event.channel, len(event.lines), units)
            orders[event.order] = {line.line: _Line(line.sku, line.quantity) for line in event.lines}
        elif isinstance(event, SourcingDecided):
            for leg in event.legs:
                if leg.route == "reject":
                    orders[event.order][leg.line].rejected += leg.quantity
        elif isinstance(event, OrderCancelled):
            for taken in event.units:
                orders[event.order][taken.line].cancelled += taken.quantity
        elif isinstance(event, GoodsShipped | ShipmentLoaded):
            self.shipments[event.shipment] = event.lines
            for number, units in event.lines:
                orders[event.order][number].shipped += units
        elif isinstance(event, InvoiceCreated):
            books.invoiced_minor += event.amount_minor
        elif isinstance(event, ShipmentDelivered):
            for number, units in self.shipments.pop(event.shipment):
                orders[event.order][number].delivered += units

    def _credit(self, event: Event) -> None:
        books = self.books
        if isinstance(event, OrderCancelled):
            if event.credit:
                books.credits_cancelled_units += sum([taken.quantity for taken in event.units])
        elif isinstance(event, CreditPended | CreditReferred):
            self.waiting[event.credit] = event.quantity
        elif isinstance(event, CreditIssued):
            books.credits_issued.add(1, event.quantity)
            books.credited_minor += event.amount_minor
            if event.remainder:
                books.credits_remainder.add(1, event.remainder)
            asked = self.waiting.pop(event.credit, event.quantity + event.remainder)
            if asked != event.quantity + event.remainder:
                books.differences.append(
                    f"credit {event.credit}: {asked} units waited, {event.quantity} were issued, {event.remainder} not"
                )
        elif isinstance(event, CreditRejected):
            books.credits_rejected.add(1, self.waiting.pop(event.credit, 0))

    def _end(self, order: str, lines: dict[int, _Line], kept: Order | None, *, closed: bool) -> None:
        """Hold what the events say of an order against the engine's buckets, line by line, and count it."""
        books = self.books
        for number, line in lines.items():
            place = f"{order} line {number}"
            held = kept.lines.get(number) if kept is not None else None
            if held is None:
                books.differences.append(f"{place}: captured and not closed, and the engine knows nothing of it")
                continue
            units = held.buckets
            for name, told, has in (
                ("ordered", line.ordered, held.ordered),
                ("on the way", line.shipped - line.delivered, units[buckets.SHIPPED]),
                ("delivered", line.delivered, units[buckets.DELIVERED]),
                ("cancelled", line.cancelled, units[buckets.CANCELLED]),
                ("rejected", line.rejected, units[buckets.REJECTED]),
            ):
                if told != has:
                    books.differences.append(f"{place}: {told} units {name} by the events, {has} in the engine")
            left = sum(units[: buckets.DELIVERED])
            ended = line.delivered + line.cancelled + line.rejected
            if ended + left != line.ordered or min(units) < 0:
                books.differences.append(f"{place}: {line.ordered} units ordered, {ended} ended and {left} open")
            if closed and left:
                books.differences.append(f"{place}: closed with {left} units open")
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
            elif line.cancelled:
                books.cancelled.lines += 1


def _unheard(entry: Entry) -> str:
    """What an accepted command said and no event repeats: something that was lost in the engine."""
    command = entry.command
    if isinstance(command, CaptureOrder | LoadOrder):
        asked = [(line.line, line.sku, line.quantity) for line in command.lines]
        for event in entry.events:
            if isinstance(event, OrderCaptured):
                if [(line.line, line.sku, line.quantity) for line in event.lines] != asked:
                    return f"{command.order} was captured with other lines than were ordered"
                return ""
        return f"{command.order} was ordered, not refused, and not captured"
    if isinstance(command, ConfirmShipment) and command.lines:
        shipped = [event.lines for event in entry.events if isinstance(event, GoodsShipped)]
        return "" if shipped == [command.lines] else f"parcel {command.shipment} left with other units than were booked"
    if isinstance(command, PublishMilestone) and command.milestone == "delivered":
        # It may be kept until the warehouse's message comes, which is an event of its own.
        return "" if entry.events else f"parcel {command.shipment} was delivered, and that was not booked"
    return ""


def account(entries: Iterable[Entry], truth: Iterable[TruthRow]) -> Accounts:
    """Add up a run's log, from its first entry on, and its truth; without any, the log is held against itself only."""
    books = Accounts()
    reader = _Reader(books)
    for entry in entries:
        reader.take(entry)
        if reader.broken:
            break
    happened, known = Happened(), False
    for row in truth:
        known = True
        happened.follow(row)
    books.stock = happened.stock
    books.adjustments_capped = happened.capped
    books.ledger_minor = happened.ledger_minor
    books.ledger_credited_minor = happened.ledger_credited_minor
    books.cells = len(happened.closing)
    books.items = len(dict.fromkeys(sku for _, sku in happened.closing))
    if not reader.broken:
        reader.finish()
        # A log that was imported comes without the truth.
        if known:
            _compare_ledger(books, equal=happened.ledger_closed and reader.settled())
            books.differences += compare(reader.told, happened)
    return books


def _compare_ledger(books: Accounts, *, equal: bool) -> None:
    for what, log, ledger in (
        ("invoiced", books.invoiced_minor, books.ledger_minor),
        ("credited", books.credited_minor, books.ledger_credited_minor),
    ):
        # Documents on their way are in the log and not yet in the ledger.
        if ledger > log or (equal and ledger != log):
            books.differences.append(f"the ERP's ledger has {ledger} {what}, the log {log} (minor units)")


def compare_book(books: Accounts, counts: BookCounts) -> None:
    """Add what does not agree between an order book and what came to the engine of it to the differences."""
    came = [books.came.get(channel, Came()) for channel in counts.channels]
    due, under_way = counts.due, counts.under_way
    credits = (
        books.credits_issued.units
        + books.credits_cancelled_units
        + books.credits_rejected.units
        + books.credits_remainder.units
        + books.credits_refused_units
        + books.credits_waiting_units
    )
    adjusted = books.stock.get("stock.adjusted", 0) + books.adjustments_capped
    for name, read, got in (
        ("orders", due.orders, sum(one.orders for one in came) + under_way.orders),
        ("lines", due.lines, sum(one.lines for one in came) + under_way.lines),
        ("units", due.units, sum(one.units for one in came) + under_way.units),
        ("units of credits", due.credit_units, credits + under_way.credit_units),
        ("units of adjustments", due.adjusted_units, adjusted),
    ):
        if read != got:
            books.differences.append(f"{name}: the book has {read} in the time of the run, {got} are accounted for")
    if sum(count.lines for count in counts.counts) != counts.read_lines:
        books.differences.append("lines read are not the sum over the rules")
    if sum(count.units for count in counts.counts) != counts.read_units:
        books.differences.append("units read are not the sum over the rules")
    accepted = [count for count in counts.counts if count.treatment == "accepted"]
    if sum(count.lines for count in accepted) != counts.inside.lines + counts.outside.lines:
        books.differences.append("lines accepted from the book are not those in and outside the time of the run")
    if sum(count.units for count in accepted) != counts.inside.units + counts.outside.units:
        books.differences.append("units accepted from the book are not those in and outside the time of the run")


def account_run(run: Path) -> Accounts:
    """The books of a run folder, the order book's included. Raises `RunError` for one that is cut off."""
    books = account(read_entries(run), read_truth(run))
    counts = read_book_counts(run)
    if counts is not None:
        compare_book(books, counts)
    return books
