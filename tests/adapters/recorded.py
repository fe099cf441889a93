"""A small business, and a log of it made by the synchronous driver in memory: what the production side is fed.

The counterparts are a script, not the world: a keyed hash of each attempt says whether it is answered, fails, is lost
on its way, or is done without an answer. The answers come as commands at later instants.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from heapq import heappop, heappush

from twin.codec import GENESIS, encode_entry, link
from twin.core.calendar import Calendar
from twin.core.commands import (
    AcknowledgeDelivery,
    CancelOrder,
    CaptureOrder,
    ConfirmInvoice,
    ConfirmShipment,
    DefineItems,
    DefineNetwork,
    DefinePolicies,
    DefineReplenishment,
    External,
    LoadStock,
    OrderLine,
    PublishMilestone,
    ReceiveGoods,
    StockLine,
    Wake,
)
from twin.core.effects import CreatePurchaseOrder, Delivery, PostInvoice, ReleaseToWarehouse
from twin.core.entry import Entry
from twin.core.master import Channel, DeliveryPolicy, Item, Lane, Policies, Replenishment, Supplier, Warehouse
from twin.driver import Driver
from twin.ports import JournalConflict, Position

__all__ = ["BEGIN", "GATEWAYS", "MemoryLog", "business", "chained", "externals", "keyed", "record"]

# Four hours before midnight: orders are closed at the end of a day, and a short log is to have that too.
BEGIN = 1_700_078_400_000
HOUR = 3_600_000
DAY = 24 * HOUR
GATEWAYS = ("warehouse", "supplier", "erp")


class MemoryLog:
    """A journal in memory, for a log to feed from and to compare with."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.mark = 0

    def append(self, entries: Sequence[Entry], expected: Position) -> Position:
        if expected != len(self.entries):
            raise JournalConflict(f"{len(self.entries)} entries, not {expected}")
        self.entries.extend(entries)
        return len(self.entries)

    def read(self, after: Position) -> Iterator[Entry]:
        return iter(self.entries[after:])

    def submitted(self) -> Position:
        return self.mark

    def mark_submitted(self, position: Position) -> None:
        self.mark = position


def keyed(key: str, below: int) -> int:
    """A number from 0 to `below` - 1 that depends on `key` alone."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") % below


def business(*, acknowledge: bool = True, timeout_ms: int = 30_000, backoff_ms: int = 5_000) -> list[External]:
    """The master data of two warehouses, one supplier and two items, as the log's first commands."""
    always = Calendar("always")
    return [
        DefineNetwork(
            "network",
            "setup",
            BEGIN,
            "EUR",
            (Warehouse("north", always), Warehouse("south", always)),
            (Supplier("mill", always, 100),),
            (Lane("north", "home", "van", DAY, 300), Lane("south", "home", "van", 2 * DAY, 200)),
            (Channel("web", "ecommerce", "B"),),
        ),
        DefineItems("items", "setup", BEGIN, (Item("apple", 500, 300), Item("berry", 700, 400))),
        DefinePolicies(
            "policies",
            "setup",
            BEGIN,
            Policies(
                delivery=tuple(
                    DeliveryPolicy(kind, timeout_ms, acknowledge=acknowledge, retries=3, backoff_ms=backoff_ms)
                    for kind in GATEWAYS
                )
            ),
        ),
        LoadStock("north", "setup", BEGIN, "north", (StockLine("apple", 40), StockLine("berry", 40))),
        LoadStock("south", "setup", BEGIN, "south", (StockLine("apple", 40),)),
        DefineReplenishment(
            "rules",
            "setup",
            BEGIN,
            tuple(
                Replenishment(node, sku, "mill", "min_max", 20, 60)
                for node in ("north", "south")
                for sku in ("apple", "berry")
            ),
        ),
    ]


class _Script:
    """The counterparts, and the order in which commands come."""

    def __init__(self) -> None:
        self.queue: list[tuple[int, int, External]] = []
        self.now = BEGIN
        self.posted = 0
        self.done: dict[str, bool] = {}

    def post(self, at: int, command: External) -> None:
        self.posted += 1
        heappush(self.queue, (at, self.posted, command))

    def submit(self, delivery: Delivery) -> None:
        fate = keyed(f"{delivery.key}#{delivery.attempt}", 10)
        now = self.now
        if fate == 0:
            return
        if fate == 1:
            self._answer(delivery, now + 40, "failed")
            return
        self._act(delivery, now)
        # At 2 it is done and the answer is lost; at 3 the answer comes after the timeout.
        if fate > 2:
            at = now + (45_000 if fate == 3 else 200)
            effect = delivery.effect
            if isinstance(effect, PostInvoice):
                self.post(at, ConfirmInvoice(effect.invoice, "erp", at, effect.invoice, effect.order, delivery.key))
            else:
                self._answer(delivery, at, "succeeded")

    def _answer(self, delivery: Delivery, at: int, outcome: str) -> None:
        answer = f"{delivery.key}#{delivery.attempt}/{outcome}"
        self.post(at, AcknowledgeDelivery(answer, delivery.gateway, at, delivery.key, outcome))

    def _act(self, delivery: Delivery, now: int) -> None:
        if delivery.key in self.done:
            return
        self.done[delivery.key] = True
        effect = delivery.effect
        if isinstance(effect, ReleaseToWarehouse):
            shipment = f"{effect.fulfillment_order}/parcel"
            at = now + HOUR // 3
            lines = tuple((line.line, line.quantity) for line in effect.lines)
            shipped = ConfirmShipment(
                shipment, effect.node, at, shipment, effect.fulfillment_order, effect.order, effect.node, lines
            )
            self.post(at, shipped)
            at += 2 * HOUR
            self.post(at, PublishMilestone(f"{shipment}/delivered", "van", at, shipment, effect.order, "delivered"))
        elif isinstance(effect, CreatePurchaseOrder):
            at = now + 5 * HOUR
            goods = tuple(StockLine(line.sku, line.quantity) for line in effect.lines)
            receipt = f"{effect.purchase_order}/receipt"
            self.post(at, ReceiveGoods(receipt, effect.node, at, receipt, effect.purchase_order, effect.node, goods))


def record(orders: int, *, acknowledge: bool = True) -> list[Entry]:
    """The whole log of so many orders, some of them cancelled or sent twice, until nothing is left to happen."""
    script = _Script()
    log = MemoryLog()
    driver = Driver(log, dict.fromkeys(GATEWAYS, script))
    for command in business(acknowledge=acknowledge):
        script.post(BEGIN, command)
    for number in range(orders):
        order = f"order-{number}"
        at = BEGIN + HOUR + 10 * 60_000 * number
        sku = "berry" if keyed(order, 3) == 0 else "apple"
        lines = (OrderLine(1, sku, 1 + keyed(f"{order}/1", 5), 500), OrderLine(2, "apple", 2, 500))
        capture = CaptureOrder(order, "web", at, order, "web", f"customer-{number % 7}", "home", at + 3 * DAY, lines)
        script.post(at, capture)
        if number % 9 == 0:
            script.post(at + 1_000, capture)
        if number % 11 == 0:
            script.post(at + 2_000, CancelOrder(f"{order}/cancel", "web", at, order, "customer"))
    while script.queue or driver.engine.next_due() is not None:
        due = driver.engine.next_due()
        if script.queue and (due is None or script.queue[0][0] <= due[0]):
            at, _, command = heappop(script.queue)
            script.now = max(at, script.now)
            driver.wake_before(at)
            driver.handle(command, at)
        elif due is not None:
            script.now = max(due[0], script.now)
            driver.wake(due[0])
    return log.entries


def externals(entries: Sequence[Entry]) -> list[tuple[External, int]]:
    """The commands from outside with their instants."""
    return [(entry.command, entry.now) for entry in entries if not isinstance(entry.command, Wake)]


def chained(entries: Sequence[Entry]) -> bytes:
    """The digest of a log."""
    digest = GENESIS
    for entry in entries:
        digest = link(digest, encode_entry(entry))
    return digest
