"""The books of the goods: what the log tells of them against what physically happened.

A parcel leaves the dock once and arrives when it is due, a receipt is put away once, every unit in a building has
come in and not gone out, and counts correct no more than shrink and short picks explain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from twin.core.commands import Command, ConfirmShipment
from twin.core.dedupe import Seen, remember, was_seen
from twin.core.events import (
    Event,
    GoodsReceived,
    GoodsShipped,
    OrderCaptured,
    OrderClosed,
    ShipmentDelivered,
    StockAdjusted,
    StockCounted,
    UnitsShorted,
)
from twin.log import TruthRow

__all__ = ["Happened", "Told", "compare"]

KEPT_MS: Final = 30 * 86_400_000
"""How long the id of a parcel or a receipt is kept to tell that it comes twice: the books stay small in a long run."""

Cell = tuple[str, str]
"""Node and item."""


def _add(count: dict[Cell, int], cell: Cell, units: int) -> None:
    count[cell] = count.get(cell, 0) + units


class Told(Struct):
    """What the log says of goods, in units by cell.

    `found` is the sum of count corrections; `highest` is the most that it was above what short picks explain, and
    `lowest` the least that it was. A movement that a count had seen before the log knew of it takes its part back.
    """

    skus: dict[str, dict[int, str]] = {}
    came: dict[Cell, int] = {}
    went: dict[Cell, int] = {}
    delivered: int = 0
    shorted: dict[Cell, int] = {}
    counted_at: dict[Cell, int] = {}
    found: dict[Cell, int] = {}
    highest: dict[Cell, int] = {}
    lowest: dict[Cell, int] = {}

    def follow(self, event: Event, command: Command) -> None:
        """Take one event, in its order."""
        if isinstance(event, OrderCaptured):
            self.skus[event.order] = {line.line: line.sku for line in event.lines}
        elif isinstance(event, OrderClosed):
            del self.skus[event.order]
        elif isinstance(event, GoodsShipped):
            for number, units in event.lines:
                self._move((event.node, self.skus[event.order][number]), -units, event.sequence)
        elif isinstance(event, GoodsReceived):
            for line in event.lines:
                self._move((event.node, line.sku), line.quantity, event.sequence)
        elif isinstance(event, StockAdjusted) and isinstance(command, ConfirmShipment):
            # The engine takes back the part of a shortage that a count had found.
            _add(self.shorted, (event.node, event.sku), -event.quantity)
        elif isinstance(event, StockAdjusted):
            self._move((event.node, event.sku), event.quantity, event.sequence)
        elif isinstance(event, ShipmentDelivered):
            self.delivered += 1
        elif isinstance(event, UnitsShorted) and isinstance(command, ConfirmShipment):
            for number, units in event.lines:
                _add(self.shorted, (command.node, self.skus[event.order][number]), units)
        elif isinstance(event, StockCounted):
            for sku, _, correction in event.lines:
                cell = (event.node, sku)
                self.counted_at[cell] = event.sequence
                if correction:
                    _add(self.found, cell, correction)
                    found = self.found[cell]
                    self.highest[cell] = max(self.highest.get(cell, 0), found - self.shorted.get(cell, 0))
                    self.lowest[cell] = min(self.lowest.get(cell, 0), found)

    def _move(self, cell: Cell, units: int, sequence: int) -> None:
        _add(self.came if units > 0 else self.went, cell, abs(units))
        if 0 < sequence <= self.counted_at.get(cell, -1):
            _add(self.found, cell, -units)
            _add(self.highest if units > 0 else self.lowest, cell, -units)


class Happened(Struct):
    """What the truth says: units by cell, by kind of movement, and every parcel from the dock to the customer.

    `at_dock` are the parcels that left and were not collected, `due` those on their way with the instant (ms) at
    which they arrive. `wrong` are the sentences about what cannot be, whatever the log says.
    """

    stock: dict[str, int] = {}
    balance: dict[Cell, int] = {}
    closing: dict[Cell, int] = {}
    came: dict[Cell, int] = {}
    went: dict[Cell, int] = {}
    shrunk: dict[Cell, int] = {}
    capped: int = 0
    ledger_minor: int = 0
    ledger_credited_minor: int = 0
    ledger_closed: bool = False
    at_dock: dict[str, int] = {}
    due: dict[str, int] = {}
    delivered: int = 0
    end: int = 0
    seen: Seen = msgspec.field(default_factory=Seen)
    wrong: list[str] = []

    def follow(self, row: TruthRow) -> None:
        """Take one row, in its order."""
        self.end = row.at
        if row.type == "ledger.invoiced":
            self.ledger_minor = row.quantity
            self.ledger_closed = True
        elif row.type == "ledger.credited":
            self.ledger_credited_minor = row.quantity
        elif row.type == "shipment.collected":
            self._collected(row)
        elif row.type == "shipment.taken_over":
            self.due[row.subject] = row.at + row.quantity
        elif row.type == "shipment.delivered":
            self.delivered += 1
            if self.due.pop(row.subject, None) is None:
                self.wrong.append(f"parcel {row.subject}: delivered, but it was not on its way")
        elif row.type == "stock.adjustment_capped":
            # Units that were to be written off and were not there: no movement, but part of what the book said.
            self.capped += row.quantity
        elif row.type.startswith("stock."):
            self._moved(row)

    def _collected(self, row: TruthRow) -> None:
        parcel = row.subject
        if self.at_dock.pop(parcel, None) is None:
            self.wrong.append(f"parcel {parcel}: collected, but no goods left the dock for it")
        if self._again(parcel, row.at):
            self.wrong.append(f"parcel {parcel}: left the dock twice")
        self.due[parcel] = row.at + row.quantity

    def _moved(self, row: TruthRow) -> None:
        self.stock[row.type] = self.stock.get(row.type, 0) + row.quantity
        cell = (row.node, row.sku)
        if row.type == "stock.closing":
            self.closing[cell] = row.quantity
            return
        _add(self.balance, cell, row.quantity)
        if row.type == "stock.shrunk":
            _add(self.shrunk, cell, -row.quantity)
        elif row.type != "stock.opening":
            _add(self.came if row.quantity > 0 else self.went, cell, abs(row.quantity))
        if row.type == "stock.shipped":
            self.at_dock[row.subject] = row.at
        elif row.type == "stock.received" and self._again(f"{row.subject}|{row.node}|{row.sku}", row.at):
            self.wrong.append(f"receipt {row.subject}: {row.sku} was put away twice at {row.node}")

    def _again(self, key: str, at: int) -> bool:
        again = was_seen(self.seen, key, at, KEPT_MS)
        remember(self.seen, key, at, KEPT_MS)
        return again


def compare(told: Told, happened: Happened) -> Iterator[str]:
    """Every difference as one sentence, in a stable order. What is still open is only said once a run is closed."""
    yield from happened.wrong
    if happened.closing:
        yield from _closed(happened)
    cells = sorted({**told.came, **told.went, **told.found})
    for cell in cells:
        place = f"{cell[1]} at {cell[0]}"
        came, went = happened.came.get(cell, 0), happened.went.get(cell, 0)
        # The engine hears of a movement after it has happened: the building may be ahead, never behind.
        coming, going = came - told.came.get(cell, 0), went - told.went.get(cell, 0)
        if going < 0:
            yield f"{place}: {told.went[cell]} units went out by the log, {went} did"
        if coming < 0:
            yield f"{place}: {told.came[cell]} units came in by the log, {came} did"
        # Each short pick lowers the belief, and nothing else makes it too low: no count may find more than that.
        more = told.highest.get(cell, 0) - max(0, coming)
        if more > 0:
            yield f"{place}: counts found {more} units that neither short picks nor goods on their way explain"
        less = -told.lowest.get(cell, 0) - max(0, going)
        if less > happened.shrunk.get(cell, 0):
            yield f"{place}: counts missed {less} units, {happened.shrunk.get(cell, 0)} vanished"
    if told.delivered > happened.delivered:
        yield f"{told.delivered} parcels delivered by the log, {happened.delivered} by the carriers"


def _closed(happened: Happened) -> Iterator[str]:
    """What must be true at the end of a run, when the buildings were looked at."""
    for cell in sorted({**happened.balance, **happened.closing}):
        there = happened.closing.get(cell, 0)
        moved = happened.balance.get(cell, 0)
        if moved != there:
            yield f"{cell[1]} at {cell[0]}: movements add up to {moved}, {there} units are there"
        if there < 0:
            yield f"{cell[1]} at {cell[0]}: {there} units are there"
    for parcel in happened.at_dock:
        yield f"parcel {parcel}: left the dock, and no carrier has it"
    for parcel, at in happened.due.items():
        if at < happened.end:
            yield f"parcel {parcel}: was due at {at} and is lost"
