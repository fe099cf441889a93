"""Runs made by the real engine and by hand-held gateways, for tests of the log and of what is read from it."""

from __future__ import annotations

from twin.core.calendar import Calendar
from twin.core.commands import (
    AcknowledgeDelivery,
    AdjustStock,
    CancelOrder,
    CaptureOrder,
    ConfirmInvoice,
    ConfirmPick,
    ConfirmShipment,
    CountStock,
    DefineItems,
    DefineNetwork,
    DefinePolicies,
    DefineReplenishment,
    External,
    IssueCredit,
    LoadStock,
    OrderLine,
    PublishMilestone,
    ReceiveGoods,
    RedriveDelivery,
    StockLine,
)
from twin.core.effects import CreatePurchaseOrder, Delivery, PostCredit, PostInvoice, ReleaseToWarehouse
from twin.core.entry import Entry
from twin.core.master import Channel, DeliveryPolicy, Item, Lane, Policies, Replenishment, Supplier, Warehouse
from twin.driver import Driver
from twin.log import MemoryLog, RunLog

HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_700_006_400_000
"""A UTC midnight."""


class Outbox:
    """A gateway that keeps what it is given."""

    def __init__(self) -> None:
        self.waiting: list[Delivery] = []

    def submit(self, delivery: Delivery) -> None:
        self.waiting.append(delivery)


class Business:
    """Two warehouses, one supplier, two channels and two items, driven command by command."""

    def __init__(self, log: MemoryLog | RunLog | None = None, *, acknowledge: bool = False) -> None:
        self.log = MemoryLog() if log is None else log
        self.out = Outbox()
        gateways = {"warehouse": self.out, "supplier": self.out, "erp": self.out}
        self.driver = Driver(self.log, gateways)
        self.now = START
        self._serial = 0
        self._movements = {"north": 0, "south": 0}
        always = Calendar("always")
        policy = [DeliveryPolicy(kind, acknowledge=acknowledge, retries=1) for kind in ("warehouse", "supplier", "erp")]
        self.do(
            DefineNetwork(
                *self.head(),
                "EUR",
                (Warehouse("north", always, counted=True), Warehouse("south", always)),
                (Supplier("mill", always, 1000),),
                (Lane("north", "uk", "van", DAY, 300, 10), Lane("south", "uk", "van", 2 * DAY, 200)),
                (Channel("web", "ecommerce", "B"), Channel("desk", "inside_sales", "A")),
            ),
            DefineItems(*self.head(), (Item("bolt", 500, 300), Item("nut", 700, 400))),
            DefinePolicies(*self.head(), Policies(delivery=tuple(policy))),
            LoadStock(*self.head(), "north", (StockLine("bolt", 20), StockLine("nut", 10))),
            LoadStock(*self.head(), "south", (StockLine("bolt", 5),)),
            DefineReplenishment(
                *self.head(),
                (
                    Replenishment("north", "bolt", "mill", "min_max", 5, 25, lead_time_ms=3 * DAY),
                    Replenishment("north", "nut", "mill", "min_max", 2, 12, lead_time_ms=3 * DAY),
                ),
            ),
        )

    def head(self) -> tuple[str, str, int]:
        """A fresh (id, source, time) of a command."""
        self._serial += 1
        return (f"m{self._serial}", "test", self.now)

    def movement(self, node: str) -> int:
        """The number of a warehouse's next stock movement."""
        self._movements[node] += 1
        return self._movements[node]

    def counted(self, node: str) -> int:
        """The number of a warehouse's last stock movement, as a count names it."""
        return self._movements[node]

    def do(self, *commands: External) -> Entry:
        """Feed commands at the present instant; none may be refused. Returns the last entry."""
        for command in commands:
            entry = self.driver.handle(command, self.now)
            assert entry.refusal is None, entry.refusal
        return entry

    def wait(self, duration: int) -> None:
        """Let time pass; timers are fed at their instants."""
        self.now += duration
        self.driver.wake(self.now)
        self.now += 1

    def order(self, order: str, *lines: tuple[str, int], channel: str = "web", due: int = 4 * DAY) -> Entry:
        """Capture an order of (item, units) at 5.00 each."""
        return self.do(
            CaptureOrder(
                *self.head(),
                order,
                channel,
                "someone",
                "uk",
                self.now + due,
                tuple(OrderLine(number, sku, units, 500) for number, (sku, units) in enumerate(lines, start=1)),
            )
        )

    def take(self, *kinds: type) -> list[Delivery]:
        """Deliveries of these effects that wait in the outbox, removed from it."""
        taken = [delivery for delivery in self.out.waiting if isinstance(delivery.effect, kinds)]
        self.out.waiting = [delivery for delivery in self.out.waiting if delivery not in taken]
        return taken

    def acknowledge(self, delivery: Delivery) -> None:
        """Answer a delivery that waits for it."""
        if delivery.key in self.driver.engine.state.deliveries:
            self.do(AcknowledgeDelivery(*self.head(), delivery.key, "succeeded"))

    def ship(self, *, pick: bool = False) -> None:
        """Ship what the warehouses were told to."""
        for delivery in self.take(ReleaseToWarehouse):
            effect = delivery.effect
            assert isinstance(effect, ReleaseToWarehouse)
            self.acknowledge(delivery)
            if pick:
                self.do(ConfirmPick(*self.head(), effect.fulfillment_order, effect.order, effect.node, "picked"))
            lines: dict[int, int] = {}
            for line in effect.lines:
                lines[line.line] = lines.get(line.line, 0) + line.quantity
            self.do(
                ConfirmShipment(
                    *self.head(),
                    f"S/{effect.fulfillment_order}",
                    effect.fulfillment_order,
                    effect.order,
                    effect.node,
                    tuple(lines.items()),
                    self.movement(effect.node),
                )
            )

    def milestone(self, milestone: str = "delivered") -> None:
        """Report a milestone of every shipment on its way."""
        for shipment, facts in list(self.driver.engine.state.shipments.items()):
            self.do(PublishMilestone(*self.head(), shipment, facts.order, milestone))

    def receive(self) -> None:
        """Receive every purchase order that was sent, whole."""
        for delivery in self.take(CreatePurchaseOrder):
            effect = delivery.effect
            assert isinstance(effect, CreatePurchaseOrder)
            self.acknowledge(delivery)
            goods = tuple(StockLine(line.sku, line.quantity) for line in effect.lines)
            self.do(ReceiveGoods(*self.head(), f"R/{effect.purchase_order}", effect.purchase_order, effect.node, goods))

    def post(self) -> None:
        """Let the ERP confirm what it was sent."""
        for delivery in self.take(PostInvoice, PostCredit):
            effect = delivery.effect
            document = effect.invoice if isinstance(effect, PostInvoice) else delivery.key
            self.do(ConfirmInvoice(*self.head(), document, delivery.correlation, delivery.key))


def busy_week(log: MemoryLog | RunLog | None = None) -> Business:
    """Some of everything: shortage, backorder, purchase, cancellation, hold, credit, count, retry, dead letter."""
    business = Business(log, acknowledge=True)
    # An answer is due within half a minute: all is answered at once, but where said.
    business.order("o1", ("bolt", 4), ("nut", 3))
    business.ship(pick=True)
    business.post()
    business.wait(6 * HOUR)
    business.milestone("in_transit")
    business.order("o2", ("bolt", 18))
    business.ship()
    business.post()
    business.order("o3", ("bolt", 10), ("nut", 5), channel="desk", due=2 * DAY)
    business.order("o4", ("bolt", 2))
    business.ship()
    business.post()
    business.wait(0)
    business.milestone("delivered")
    business.do(CancelOrder(*business.head(), "o4", "customer", "too late"))
    business.receive()
    business.wait(0)
    business.ship()
    business.post()
    business.milestone("delivered")
    business.order("o5", ("bolt", 1))
    business.wait(HOUR)  # The release of o5 times out, is retried, times out again and is a dead letter.
    business.take(ReleaseToWarehouse)
    business.do(RedriveDelivery(*business.head(), "o5/north/1", "amy"))
    business.ship()
    business.post()
    business.milestone("delivered")
    business.order("o6", ("bolt", 1), ("nut", 1))
    business.do(IssueCredit(*business.head(), "C1", "o2", 1, 2))
    business.post()
    business.do(
        AdjustStock(*business.head(), "north", "bolt", -1, "damaged", business.movement("north")),
        CountStock(*business.head(), "north", (StockLine("bolt", 14),), business.counted("north")),
    )
    business.ship()
    business.post()
    business.wait(2 * DAY)
    business.order("o7", ("nut", 1))
    return business
