"""What only the twin can measure: the engine's belief beside the truth. Facts must be collected with `trace`."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

from twin.log import TruthRow
from twin.measures.facts import Facts
from twin.measures.fold_holding import HOLDING
from twin.measures.measured import Answer, Exact, answer, measure, ratio
from twin.measures.records import CellFacts
from twin.observability.detection import FAULT_ROWS, Faults

__all__ = ["Shelf", "Truth"]

MOVEMENTS: Final = ("stock.opening", "stock.shipped", "stock.received", "stock.adjusted", "stock.shrunk")
"""Rows of the truth that move stock, by a signed quantity."""

MARKET: Final = (
    "market.sold",
    "market.lost",
    "market.undersold",
    "market.cancelled",
    "market.late",
    "market.delisted",
)
"""Rows of the truth that a marketplace with a stock feed writes; `node` is its channel."""

FACE: Final = "interface/"
"""Begins the id of what a fault is at."""


class Shelf:
    """What was really in the building: levels after each movement, by time (ms)."""

    __slots__ = ("at", "level")

    def __init__(self) -> None:
        self.at = array("q")
        self.level = array("q")

    def move(self, now: int, quantity: int) -> None:
        """Add a movement; they come in order of time."""
        self.level.append((self.level[-1] if self.level else 0) + quantity)
        self.at.append(now)

    def units(self, now: int) -> int:
        """Units there after everything that happened up to and at `now`."""
        index = bisect_right(self.at, now)
        return self.level[index - 1] if index else 0


class Truth:
    """The shelves of a run, when faults began and ended and how often each hit something, what marketplaces did and
    what became of master data, from the rows of its truth."""

    def __init__(self, rows: Iterable[TruthRow]) -> None:
        self.shelves: dict[tuple[str, str], Shelf] = {}
        self.faults = Faults()
        self.hits: dict[str, int] = {}
        self.market: list[TruthRow] = []
        self.holding: list[TruthRow] = []
        self.master: list[TruthRow] = []
        self.unread: list[TruthRow] = []
        for row in rows:
            if row.type in FAULT_ROWS:
                self.faults.take(row)
                # A fault is at an interface and hits messages; a disruption hits the actor that it befalls.
                befell = row.type == "fault.began" and not row.subject.startswith(FACE)
                self._hit(row, befell or row.type == "fault.hit")
            elif row.type in MOVEMENTS:
                key = (row.node, row.sku)
                shelf = self.shelves.get(key)
                if shelf is None:
                    shelf = self.shelves[key] = Shelf()
                shelf.move(row.at, row.quantity)
            elif row.type in HOLDING:
                self.holding.append(row)
            elif row.type in MARKET:
                self.market.append(row)
            elif row.type == "message.unread":
                self.unread.append(row)
            elif row.type.startswith("master."):
                self.master.append(row)

    def _hit(self, row: TruthRow, hit: bool) -> None:
        id = row.detail.rpartition(" ")[0]
        self.hits[id] = self.hits.get(id, 0) + hit

    def pairs(self, facts: Facts) -> list[tuple[CellFacts, Shelf]]:
        """Every cell that the engine believes in or that has a shelf, with both; an absent one is empty.

        A drop-shipper's dock holds no stock of ours, neither believed nor there.
        """
        if not facts.trace:
            raise ValueError("facts without a trace: collect them with trace=True to compare them with the truth")
        nobody = Shelf()
        known = [
            (cell, self.shelves.get((node, cell.sku), nobody))
            for node, cell in facts.all_cells()
            if node not in facts.drop_ship_nodes
        ]
        unknown = [
            (CellFacts(sku, facts.begin), shelf)
            for (node, sku), shelf in self.shelves.items()
            if sku not in facts.cells.get(node, {})
        ]
        return known + unknown


@measure("T", "ratio", "items at nodes, at the end")
def inventory_record_accuracy(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """Items at nodes whose recorded units on hand are what is there, of all; and by value at standard cost.

    The value form is 1 - sum |difference| · cost / sum true units · cost. A message on its way counts as a difference.
    """
    pairs = truth.pairs(facts)
    right = value = wrong = 0
    for cell, shelf in pairs:
        there = shelf.units(facts.end)
        cost = facts.costs.get(cell.sku, 0)
        right += cell.on_hand == there
        wrong += abs(cell.on_hand - there) * cost
        value += there * cost
    yield ratio(right, len(pairs))
    yield ratio(value - wrong, value, part="value")


def _spans(facts: Facts, cell: CellFacts, shelf: Shelf) -> tuple[int, int, int]:
    """Of a cell over the window: integral of |difference|, time off, and when the last difference began (-1: none)."""
    begin, end = facts.begin, facts.end
    levels = cell.levels
    moves = [(levels[index], 0, levels[index + 1]) for index in range(0, len(levels), 2)]
    moves += [(at, 1, level) for at, level in zip(shelf.at, shelf.level, strict=True)]
    moves.sort(key=lambda move: move[0])
    believed = there = area = off = 0
    since = -1
    last = begin
    index = 0
    while index <= len(moves):
        at = min(moves[index][0], end) if index < len(moves) else end
        span = max(0, at - last)
        difference = abs(believed - there)
        area += difference * span
        off += span if difference else 0
        last = max(last, at)
        # All movements of one instant take effect together: a difference within an instant is none.
        while index < len(moves) and moves[index][0] == at:
            _, kind, level = moves[index]
            if kind:
                there = level
            else:
                believed = level
            index += 1
        if believed == there:
            since = -1
        elif since < 0:
            since = at
        if at >= end or index >= len(moves):
            break
    if last < end:
        difference = abs(believed - there)
        area += difference * (end - last)
        off += end - last if difference else 0
    return area, off, since


@measure("T", "ms", "items at nodes whose record is off at the end")
def divergence_age(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """Mean and largest time since the record of an item at a node began to be off, of those off now."""
    ages = []
    for cell, shelf in truth.pairs(facts):
        _, _, since = _spans(facts, cell, shelf)
        if since >= 0:
            ages.append(facts.end - since)
    yield ratio(sum(ages), len(ages))
    yield answer(max(ages, default=None), part="max")


@measure("T", "ratio", "items at nodes, over the window")
def divergence_time_share(facts: Facts, truth: Truth) -> Answer:
    """Share of the time in which the record was off, over all items at nodes."""
    pairs = truth.pairs(facts)
    return ratio(sum(_spans(facts, cell, shelf)[1] for cell, shelf in pairs), len(pairs) * facts.window_ms)


@measure("T", "ratio", "candidates looked at by sourcing in the window, where there was a choice or a shortage")
def atp_accuracy(facts: Facts, truth: Truth) -> Answer:
    """1 - sum |available told - truly available| / sum truly available, over sourcing's candidates.

    Truly available is what was told, less the units on hand that were believed and were not there.
    """
    told_wrong: Exact = 0
    there: Exact = 0
    for cell, shelf in truth.pairs(facts):
        looks = cell.looks
        for index in range(0, len(looks), 3):
            at, on_hand, available = looks[index : index + 3]
            true = max(0, available - (on_hand - shelf.units(at)))
            told_wrong += abs(max(0, available) - true)
            there += true
    return ratio(there - told_wrong, there)


@measure("T", "count", "reports that were sent in the window; where there were any")
def unread_reports(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """Reports of partners that met a reader who did not know their version; and how often that was."""
    refused = [row for row in truth.unread if row.at >= facts.begin]
    if truth.unread:
        yield answer(len(dict.fromkeys([(row.node, row.subject) for row in refused])))
        yield answer(len(refused), part="attempts")


@measure("T", "ratio", "units reserved from stock in the window")
def oversell_rate(facts: Facts, truth: Truth) -> Answer:
    """Units reserved from stock that was not there, of all units reserved from stock."""
    missing = reserved = 0
    for cell, shelf in truth.pairs(facts):
        grabs = cell.grabs
        for index in range(0, len(grabs), 4):
            at, on_hand, free, units = grabs[index : index + 4]
            there = max(0, free - (on_hand - shelf.units(at)))
            missing += max(0, units - there)
            reserved += units
    return ratio(missing, reserved)


@measure("T", "ratio", "units captured in the window; those refused for want of stock")
def undersell_rate(facts: Facts, truth: Truth) -> Answer:
    """Units refused for want of stock though they were there and free of other demand, of all units ordered.

    Units withheld from a channel count: holding them back is what makes the sale fail. To be read beside
    `oversell_rate`, since a buffer moves units from the one to the other.
    """
    if not facts.trace:
        raise ValueError("facts without a trace: collect them with trace=True to compare them with the truth")
    refused = 0
    for at, sku, units, taken, believed in facts.turned_away:
        there = 0
        for node, on_hand, free in believed:
            shelf = truth.shelves.get((node, sku))
            there += max(0, free - (on_hand - (shelf.units(at) if shelf is not None else 0)))
        refused += min(units, max(0, there - taken))
    return ratio(refused, facts.captured_units)
