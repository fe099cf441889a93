"""A small business to tell the engine's tests with: given events, when a command, then an outcome."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, TypeVar

from tests.properties.harness import MemoryJournal, Outbox, checked_driver
from twin.core import commands as c
from twin.core.buckets import BUCKETS, status
from twin.core.calendar import ALWAYS_OPEN
from twin.core.effects import Delivery
from twin.core.entry import Entry
from twin.core.master import (
    Channel,
    DeliveryPolicy,
    Departures,
    Item,
    Lane,
    Policies,
    Replenishment,
    Supplier,
    Warehouse,
)
from twin.core.state import Cell, Order, Pegged, State

__all__ = ["DAY", "HOUR", "MINUTE", "Business", "delivery_policies", "rule"]

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

Kind = TypeVar("Kind")
Lines = Sequence[tuple[str, int]]

CHANNELS = (
    Channel("web", "ecommerce", "B"),
    Channel("desk", "inside_sales", "A"),
    Channel("market", "marketplace", "C", reject_shortage=True),
    Channel("whole", "inside_sales", "B", ship_complete=True),
    Channel("careful", "ecommerce", "B", safety_stock=3),
)
LANES = (
    Lane("north", "near", "van", DAY, 300, 10),
    Lane("south", "near", "truck", 2 * DAY, 200, 5),
    Lane("east", "near", "truck", 2 * DAY, 200, 5),
    Lane("south", "far", "truck", 3 * DAY, 400, 5),
)
DOCK_LANES = (Lane("mill", "near", "van", DAY, 900, 0), Lane("mill", "far", "van", 2 * DAY, 900, 0))
SOFA = Item("e", 20_000, 12_000)
"""What the mill sends to customers itself."""
ITEMS = (Item("a", 500, 300), Item("b", 700, 400), Item("c", 900, 500), Item("d", 100, 50))


def delivery_policies(**changes: Any) -> tuple[DeliveryPolicy, ...]:
    """One policy for each kind of gateway; nothing is acknowledged unless told otherwise."""
    settings = {"acknowledge": False, "jitter": "none", **changes}
    return tuple(DeliveryPolicy(kind, **settings) for kind in ("warehouse", "supplier", "erp"))


def rule(node: str, sku: str, kind: str, **settings: Any) -> Replenishment:
    """How `node` buys `sku` from the one supplier."""
    return Replenishment(node, sku, "mill", kind, **settings)


class Business:
    """Three warehouses, four items, five channels, one supplier; `at` is the clock, every step is checked.

    `tell` feeds the timers that are due before, then the command, then the follow-ups that are due now.
    """

    def __init__(
        self,
        stock: dict[str, dict[str, int]] | None = None,
        rules: Sequence[Replenishment] = (),
        *,
        counted: bool = False,
        wave_times: dict[str, tuple[int, ...]] | None = None,
        departures: dict[str, tuple[Departures, ...]] | None = None,
        handling_ms: int = 0,
        checked: bool = True,
        dock: bool = False,
        **policies: Any,
    ) -> None:
        self.at = 0
        self.outbox = Outbox()
        self.driver, self.journal = checked_driver(
            dict.fromkeys(("warehouse", "supplier", "erp", "inventory", "decision"), self.outbox), checked=checked
        )
        self._numbers = count(1)
        self.entries: list[Entry] = []
        warehouses = tuple(
            Warehouse(
                node,
                ALWAYS_OPEN,
                (departures or {}).get(node, ()),
                (wave_times or {}).get(node, ()),
                handling_ms,
                counted,
            )
            for node in ("east", "north", "south")
        )
        mill = Supplier("mill", ALWAYS_OPEN, 100)
        lanes = (*LANES, *DOCK_LANES) if dock else LANES
        if dock:
            warehouses += (Warehouse("mill", ALWAYS_OPEN, (departures or {}).get("mill", ()), drop_ship=True),)
        forge = [Supplier("forge", ALWAYS_OPEN, 200)] if any(each.alternates for each in rules or ()) else []
        self.tell(c.DefineNetwork("network", "test", 0, "EUR", warehouses, (mill, *forge), lanes, CHANNELS))
        self.tell(c.DefineItems("items", "test", 0, (*ITEMS, SOFA) if dock else ITEMS))
        self.set_policies(**policies)
        for node, units in (stock or {}).items():
            self.load(node, units)
        if dock:
            rules = [*rules, rule("mill", "e", "drop_ship")]
        if rules:
            self.tell(c.DefineReplenishment("rules", "test", 0, tuple(rules)))

    # --- reading

    @property
    def state(self) -> State:
        return self.driver.engine.state

    @property
    def log(self) -> MemoryJournal:
        return self.journal

    def order(self, order: str = "o1") -> Order:
        return self.state.orders[order]

    def units(self, order: str = "o1", line: int = 1) -> dict[str, int]:
        """The line's units by bucket, without the empty ones."""
        held = self.order(order).lines[line].buckets
        return {name: units for name, units in zip(BUCKETS, held, strict=True) if units}

    def status(self, order: str = "o1") -> str:
        known = self.order(order)
        return status([line.buckets for line in known.lines.values()], known.held)

    def cell(self, node: str = "north", sku: str = "a") -> Cell:
        return self.state.stock[node][sku]

    def events(self, kind: type[Kind]) -> list[Kind]:
        """Every event of a kind so far."""
        return [event for entry in self.journal.read(0) for event in entry.events if isinstance(event, kind)]

    def asked(self, kind: type[Kind]) -> list[Kind]:
        """Every effect of a kind asked of the outside so far, repetitions included."""
        return [sent.effect for sent in self.outbox.sent if isinstance(sent.effect, kind)]

    def asked_order(self, delivery: str) -> str:
        """The order that a delivery is about; any order where there is no such delivery."""
        return next((sent.correlation for sent in self.outbox.sent if sent.key == delivery), "o1")

    def sent(self, key: str) -> list[Delivery]:
        return [delivery for delivery in self.outbox.sent if delivery.key == key]

    # --- telling

    def name(self) -> str:
        return f"m{next(self._numbers)}"

    def tell(self, command: Any) -> Entry:
        """Hand a command in at the clock, which never stands before its time."""
        self.at = max(self.at, command.time, self.driver.engine.state.now)
        self.driver.wake_before(self.at)
        entry = self.driver.handle(command, self.at)
        self.at = max(self.at, entry.now)
        self.driver.wake(self.at)
        return entry

    def refused(self, command: Any) -> str:
        """The code of the refusal that a command meets; it has a text and changes nothing."""
        entry = self.tell(command)
        assert entry.refusal is not None, f"accepted: {entry.events}"
        assert entry.refusal.text
        assert not entry.events and not entry.deliveries
        return entry.refusal.code

    def accept(self, command: Any) -> Entry:
        entry = self.tell(command)
        assert entry.refusal is None, entry.refusal
        return entry

    def wait(self, ms: int) -> None:
        """Let time pass; every timer is fed at its own instant."""
        self.at += ms
        self.driver.wake(self.at)

    def set_policies(self, **changes: Any) -> None:
        settings = {"delivery": delivery_policies(), **changes}
        self.accept(c.DefinePolicies(self.name(), "test", self.at, Policies(**settings)))

    def load(self, node: str, units: dict[str, int]) -> None:
        lines = tuple(c.StockLine(sku, quantity) for sku, quantity in units.items())
        self.accept(c.LoadStock(self.name(), "test", self.at, node, lines))

    # --- commands, with the envelope filled in

    def capture(
        self, lines: Lines = (("a", 1),), order: str = "o1", channel: str = "web", region: str = "near", **more: Any
    ) -> c.CaptureOrder:
        prices = {item.sku: item.price_minor for item in (*ITEMS, SOFA)}
        wanted = tuple(
            c.OrderLine(number, sku, units, prices.get(sku, 1)) for number, (sku, units) in enumerate(lines, start=1)
        )
        return c.CaptureOrder(
            self.name(), "shop", self.at, order, channel, "ann", region, self.at + 3 * DAY, wanted, **more
        )

    def ship(
        self,
        fulfillment: str | None = None,
        lines: Sequence[tuple[int, int]] | None = None,
        shipment: str = "",
        sequence: int = 0,
    ) -> c.ConfirmShipment:
        """Ship a fulfillment order (the oldest open one unless named), whole unless lines are given."""
        key = fulfillment if fulfillment is not None else next(iter(self.state.fulfillment_orders))
        known = self.state.fulfillment_orders.get(key)
        if lines is None:
            whole: dict[int, int] = {}
            for pick in known.lines if known else ():
                whole[pick.line] = whole.get(pick.line, 0) + pick.quantity
            lines = tuple(whole.items())
        return c.ConfirmShipment(
            self.name(),
            "wms",
            self.at,
            shipment or f"{key}/parcel",
            key,
            known.order if known else "o1",
            known.node if known else "north",
            tuple(lines),
            sequence,
        )

    def pick(self, stage: str = "picked", fulfillment: str | None = None) -> c.ConfirmPick:
        key = fulfillment if fulfillment is not None else next(iter(self.state.fulfillment_orders))
        known = self.state.fulfillment_orders.get(key)
        return c.ConfirmPick(
            self.name(), "wms", self.at, key, known.order if known else "o1", known.node if known else "north", stage
        )

    def milestone(self, milestone: str = "delivered", shipment: str | None = None) -> c.PublishMilestone:
        key = shipment if shipment is not None else next(iter(self.state.shipments))
        known = self.state.shipments.get(key)
        return c.PublishMilestone(self.name(), "carrier", self.at, key, known.order if known else "o1", milestone)

    def hold(self, order: str = "o1") -> c.HoldOrder:
        return c.HoldOrder(self.name(), "desk", self.at, order, "looks odd")

    def release_hold(self, order: str = "o1") -> c.ReleaseHold:
        return c.ReleaseHold(self.name(), "desk", self.at, order)

    def cancel(self, *lines: int, order: str = "o1", by: str = "customer") -> c.CancelOrder:
        return c.CancelOrder(self.name(), "shop", self.at, order, by, "changed my mind", lines)

    def credit(
        self, quantity: int, order: str = "o1", line: int = 1, credit: str = "c1", facts: c.OrderFacts | None = None
    ) -> c.IssueCredit:
        causation = f"{credit}/facts" if facts is not None else ""
        return c.IssueCredit(self.name(), "crm", self.at, credit, order, line, quantity, facts, causation=causation)

    def drop_ship(self, purchase_order: str | None = None, quantity: int = 0) -> c.ConfirmDropShipment:
        """The mill's ship notice for a drop-ship order (the oldest open one unless named), whole unless told."""
        bought = [key for key, order in self.state.purchase_orders.items() if order.node == "mill"]
        key = purchase_order if purchase_order is not None else next(iter(bought))
        known = self.state.purchase_orders.get(key)
        peg = known.pegs[0] if known and known.pegs else Pegged("o1", 1, 1)
        units = quantity or peg.quantity
        return c.ConfirmDropShipment(self.name(), "mill", self.at, f"{key}/s", key, peg.order, peg.line, units)

    def receive(
        self, *lines: tuple[str, int], purchase_order: str | None = None, node: str | None = None, sequence: int = 0
    ) -> c.ReceiveGoods:
        """Receive a purchase order (the oldest open one unless named), whole unless lines are given."""
        key = purchase_order if purchase_order is not None else next(iter(self.state.purchase_orders))
        known = self.state.purchase_orders.get(key)
        whole = tuple((sku, units) for sku, units in known.due.items() if units) if known else ()
        received = tuple(c.StockLine(sku, units) for sku, units in lines or whole)
        place = node or (known.node if known else "north")
        return c.ReceiveGoods(self.name(), "wms", self.at, f"r{self.at}", key, place, received, sequence)

    def answer(
        self, code: str = "accepted", purchase_order: str | None = None, eta: int = 0
    ) -> c.AcknowledgePurchaseOrder:
        key = purchase_order if purchase_order is not None else next(iter(self.state.purchase_orders))
        return c.AcknowledgePurchaseOrder(self.name(), "mill", self.at, key, code, eta)

    def acknowledge(self, delivery: str, outcome: str = "succeeded", reason: str = "") -> c.AcknowledgeDelivery:
        return c.AcknowledgeDelivery(self.name(), "gateway", self.at, delivery, outcome, reason)

    def redrive(self, delivery: str) -> c.RedriveDelivery:
        return c.RedriveDelivery(self.name(), "desk", self.at, delivery, "ann of the desk")

    def confirm(self, delivery: str, order: str = "o1") -> c.ConfirmInvoice:
        return c.ConfirmInvoice(self.name(), "erp", self.at, f"doc/{delivery}", order, delivery)

    def adjust(self, quantity: int, node: str = "north", sku: str = "a", sequence: int = 0) -> c.AdjustStock:
        return c.AdjustStock(self.name(), "wms", self.at, node, sku, quantity, "found", sequence)

    def count(self, *lines: tuple[str, int], sequence: int, node: str = "north") -> c.CountStock:
        counted = tuple(c.StockLine(sku, units) for sku, units in lines)
        return c.CountStock(self.name(), "wms", self.at, node, counted, sequence)
