"""Short logs made by hand, whose measures are known by counting on one's fingers."""

from __future__ import annotations

from fractions import Fraction

from twin.core import commands as cm
from twin.core import events as ev
from twin.core.calendar import Calendar
from twin.core.effects import Delivery, PickLine, PurchaseLine
from twin.core.entry import Entry
from twin.core.master import Item, Warehouse
from twin.core.refusals import Refusal
from twin.log import CostRates, TruthRow
from twin.measures import Facts, Measured, compute_facts

HOUR = 3_600_000
DAY = 24 * HOUR


class Tale:
    """Entries in order; `at` adds one. Items bolt (cost 300) and nut (cost 400) are in the catalog."""

    def __init__(self, *, counted: bool = False) -> None:
        self.entries: list[Entry] = []
        always = Calendar("always")
        self.at(
            0,
            ev.NetworkDefined("EUR", (Warehouse("north", always, counted=counted), Warehouse("south", always))),
            ev.ItemsDefined((Item("bolt", 500, 300), Item("nut", 700, 400))),
        )

    def at(
        self,
        now: int,
        *events: ev.Event,
        command: cm.Command | None = None,
        deliveries: tuple[Delivery, ...] = (),
        refusal: Refusal | None = None,
    ) -> None:
        """Add an entry; a timer's unless a command is given."""
        told = cm.Wake("serve/north/bolt") if command is None else command
        self.entries.append(Entry(len(self.entries) + 1, now, told, events, deliveries, refusal))

    def order(
        self,
        order: str,
        now: int,
        due: int,
        *lines: tuple[str, int],
        promise: int = 0,
        short: int = 0,
        channel: str = "web",
        criticality: str = "B",
        node: str = "north",
    ) -> None:
        """Capture an order of (item, units), serve all from stock but the last `short` units, and release it."""
        wanted = lines or (("bolt", 5),)
        goods = tuple(cm.OrderLine(number, sku, units, 500) for number, (sku, units) in enumerate(wanted, 1))
        events: list[ev.Event] = [ev.OrderCaptured(order, channel, "c", "uk", criticality, due, goods)]
        legs, held, picks = [], [], []
        for line in goods:
            missing = short if line.line == len(goods) else 0
            served = line.quantity - missing
            if served:
                legs.append(ev.Leg(line.line, "stock", node, served, "nearest"))
                held.append(ev.Reservation(line.line, node, line.sku, served))
                picks.append(PickLine(line.line, line.sku, served))
            if missing:
                legs.append(ev.Leg(line.line, "backorder", node, missing, "short:nearest"))
        events.append(ev.SourcingDecided(order, tuple(legs)))
        if held:
            events.append(ev.ReservationDecided(order, tuple(held)))
        if promise:
            events.append(ev.PromiseDecided(order, promise, tuple((line.line, promise) for line in goods)))
        self.at(now, *events)
        if picks:
            self.release(order, now, node, *picks)

    def release(self, order: str, now: int, node: str, *picks: PickLine, serial: int = 1) -> None:
        """Release picks as fulfillment order `order/serial`, with the delivery that it obliges to."""
        key = f"{order}/{serial}"
        plan = ev.FulfillmentPlan(key, node, "van", picks)
        self.at(now, ev.ReleaseDecided(order, (plan,)), deliveries=(sent(key, order),))

    def ship(
        self,
        order: str,
        now: int,
        *lines: tuple[int, int],
        serial: int = 1,
        node: str = "north",
        freight: int = 40,
    ) -> None:
        """Ship (line, units) of a fulfillment order for `freight` and bill it at 500 a unit."""
        key = f"{order}/{serial}"
        self.at(
            now,
            ev.GoodsShipped(order, f"S/{key}", key, node, lines, freight),
            self.bill(order, *lines, serial=serial),
            deliveries=(sent(f"I/{key}", order, "erp"),),
        )

    @staticmethod
    def bill(order: str, *lines: tuple[int, int], serial: int = 1) -> ev.InvoiceCreated:
        """The invoice of a shipment."""
        priced = tuple((line, units, 500) for line, units in lines)
        amount = 500 * sum(units for _, units in lines)
        return ev.InvoiceCreated(order, f"I/{order}/{serial}", f"S/{order}/{serial}", priced, amount)

    def deliver(self, order: str, now: int, serial: int = 1, at: int = 0) -> None:
        """Deliver a shipment, told `now` and happened `at` (now unless given)."""
        self.at(now, ev.ShipmentDelivered(order, f"S/{order}/{serial}", at or now))

    def whole(self, order: str, now: int, due: int, delivered: int, units: int = 5, promise: int = 0) -> None:
        """An order of one line from capture to delivery, shipped halfway."""
        self.order(order, now, due, ("bolt", units), promise=promise)
        self.ship(order, (now + delivered) // 2, (1, units))
        self.deliver(order, delivered)

    def purchase(self, name: str, now: int, units: int, *pegs: ev.Peg, sku: str = "bolt") -> None:
        """Buy units for north at a fixed cost of 1000."""
        self.at(
            now,
            ev.PurchaseOrderCreated(name, "mill", "north", 0, (PurchaseLine(sku, units),), pegs, 0, 1000),
            deliveries=(sent(name, name, "supplier"),),
        )

    def receive(self, name: str, now: int, units: int, *then: ev.Event, sku: str = "bolt") -> None:
        """Receive units of a purchase order at north."""
        self.at(now, ev.GoodsReceived(name, f"R/{name}/{now}", "north", (cm.StockLine(sku, units),)), *then)

    def load(self, now: int, units: int, sku: str = "bolt", node: str = "north") -> None:
        """Opening stock."""
        self.at(now, ev.StockLoaded(node, (cm.StockLine(sku, units),)))

    def facts(
        self, end: int, warmup: int = 0, rates: CostRates | None = None, *, trace: bool = False, start: int = 0
    ) -> Facts:
        """The facts of the tale."""
        return Facts.collect(self.entries, start, end, warmup, rates, trace=trace)

    def measures(self, end: int, warmup: int = 0, rates: CostRates | None = None) -> dict[str, Measured]:
        """All L measures of the tale from 0 to `end`."""
        return compute_facts(self.facts(end, warmup, rates))

    def value(self, name: str, end: int, warmup: int = 0, rates: CostRates | None = None) -> int | Fraction | None:
        """One measure's value."""
        return self.measures(end, warmup, rates)[name].value

    def against(self, truth: list[TruthRow], end: int, warmup: int = 0) -> dict[str, Measured]:
        """All L and T measures."""
        return compute_facts(self.facts(end, warmup, trace=True), truth)


def sent(key: str, correlation: str, kind: str = "warehouse", *, attempt: int = 1, criticality: str = "B") -> Delivery:
    """A delivery; what it asks does not matter here."""
    from twin.core.effects import AskOrderFacts

    return Delivery(key, kind, AskOrderFacts("c", "o", 1, 1), correlation, criticality, attempt)
