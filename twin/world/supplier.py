"""The supplier: takes purchase orders, acknowledges them, and sends goods after its lead time."""

from __future__ import annotations

from bisect import bisect_left

from msgspec import Struct

from twin.core.calendar import Calendar, add_working, next_open
from twin.core.commands import AcknowledgePurchaseOrder, ConfirmDropShipment, ConfirmPurchaseCancellation
from twin.core.dedupe import remember
from twin.core.effects import CancelPurchaseOrder, CreatePurchaseOrder, Delivery, PurchaseLine
from twin.core.master import Departures
from twin.streams import Distribution
from twin.world.disruptions import Closure, Disruption, Standstill
from twin.world.kernel import Phase
from twin.world.party import Link, Party
from twin.world.recent import Recent
from twin.world.warehouse import Arrival

__all__ = ["Dock", "DropShipment", "Supplier", "SupplierConfig"]


class Dock(Struct, frozen=True):
    """Where a supplier ships from to customers: working time from order to parcel (ms), and the carriers' trucks."""

    handling_ms: int
    departures: tuple[Departures, ...] = ()


class DropShipment(Struct, frozen=True):
    """A parcel for a customer that is being made ready."""

    order: CreatePurchaseOrder
    criticality: str


class Goods(Struct, frozen=True):
    """What is being made for a warehouse (`node`) or a customer, to be there or to leave at `due_at` (ms).

    The plant had stood still for `lost_ms` when it began, and its date was changed `revision` times.
    """

    what: Arrival | DropShipment
    node: str
    lost_ms: int
    due_at: int
    revision: int = 0

    @property
    def order(self) -> str:
        """The purchase order that they are made for."""
        what = self.what
        return what.order.purchase_order if isinstance(what, DropShipment) else what.purchase_order


class SupplierConfig(Struct, frozen=True):
    """`lead_time` (or the item's own in `lead_times`) runs in working time from the order to the dock.

    `acknowledgement` is the working time until the 855; None never sends one. `unit_ms` is the working time that the
    plant needs for one unit, one after the other; 0 has no limit. `dock` is where drop-ship orders leave from.
    """

    calendar: Calendar
    lead_time: Distribution
    lead_times: dict[str, Distribution] = {}
    acknowledgement: Distribution | None = None
    unit_ms: int = 0
    minimum_order: int = 0
    dock: Dock | None = None


class Supplier(Party, Closure):
    """One supplier."""

    def __init__(self, id: str, link: Link, config: SupplierConfig) -> None:
        super().__init__(id, link)
        self.config = config
        self.busy_until = 0
        # Only where its plant may stand still: what is on its way then comes later.
        self.standstill: Standstill | None = None
        self.held: list[Goods] = []
        # Purchase orders that were taken, and those that will not be; kept only where one may be cancelled.
        self.taken: dict[str, None] = Recent()
        self.cancelled: dict[str, None] = Recent()
        # What is really so, and may change in the middle of the run: see `twin.world.master_data`.
        self.minimum_order = config.minimum_order
        self.changed: dict[str, Distribution] = {}
        self.packs: dict[str, int] = {}
        self.discontinued: dict[str, None] = {}

    def receive(self, message: Delivery) -> None:
        """Take a purchase order; its goods arrive after the lead time drawn for it."""
        if self.link.supervised and self.answered_status(message):
            return
        new, effect = self.accept(message), message.effect
        if isinstance(effect, CancelPurchaseOrder):
            # Answered however often it comes: the first answer may have been lost.
            self._cancel(message, effect)
        if not new:
            return
        if not isinstance(effect, CreatePurchaseOrder) or effect.purchase_order in self.cancelled:
            return
        config, world, now = self.config, self.world, self.world.now
        calendar = config.calendar
        units = sum(line.quantity for line in effect.lines)
        why, sku = self._misordered(effect, units)
        if why:
            world.truth.record(now, "master.refused", effect.purchase_order, effect.node, sku, units, why)
            self._answer(effect.purchase_order, "rejected", now)
            return
        if self.link.cancellable:
            self.taken[effect.purchase_order] = None
        begin = next_open(calendar, now)
        if config.unit_ms:
            begin = max(begin, self.busy_until)
            begin = self.busy_until = add_working(calendar, begin, units * config.unit_ms)
        if effect.order:
            leaves_at = self._departure(effect, begin)
            parcel = DropShipment(effect, message.criticality)
            self._send(Goods(parcel, effect.node, self._lost(), leaves_at), leaves_at - now)
            self._acknowledge(effect, now, leaves_at)
            return
        arrival_at = begin
        for line in effect.lines:
            distribution = self.changed.get(line.sku) or config.lead_times.get(line.sku, config.lead_time)
            lead = max(0, world.streams.draw(distribution, "lead_time", effect.purchase_order, line.sku))
            arrival_at = max(arrival_at, add_working(calendar, begin, lead))
        # Goods are at the dock earlier in an instant than an order can be read in it.
        arrival_at = max(arrival_at, now + 1)
        arrival = Arrival(effect.purchase_order, f"{effect.purchase_order}/1", effect.lines)
        world.truth.record(now, "purchase.lead_time", effect.purchase_order, effect.node, "", arrival_at - now)
        self._send(Goods(arrival, effect.node, self._lost(), arrival_at), arrival_at - now)
        self._acknowledge(effect, now, arrival_at)

    def expect(self, purchase_order: str, node: str, items: tuple[tuple[str, int, int, int], ...]) -> list[str]:
        """Owe goods that were ordered before the run: `items` are (item, units, eta in ms, working ms since the order).

        They arrive at their eta. Where that is past or not known (0), they arrive after a lead time drawn under the
        condition that it is longer than what has passed already. Returns the items for which no lead time is: theirs
        is drawn anew from now.
        """
        config, world, now = self.config, self.world, self.world.now
        if self.dedupe_ms:
            # It has the order, and says so when it is asked.
            remember(self.done, purchase_order, now, self.dedupe_ms)
        if self.link.cancellable:
            self.taken[purchase_order] = None
        overdue = []
        arrivals: dict[int, list[PurchaseLine]] = {}
        for sku, units, eta, elapsed in items:
            at = eta
            if eta <= now:
                distribution = self.changed.get(sku) or config.lead_times.get(sku, config.lead_time)
                key = ("lead_time", purchase_order, sku)
                lead = world.streams.draw_beyond(distribution, elapsed, *key)
                if lead is None:
                    overdue.append(sku)
                    lead = elapsed + max(0, world.streams.draw(distribution, *key))
                begin = next_open(config.calendar, now)
                at = max(add_working(config.calendar, begin, lead - elapsed), now + 1)
            arrivals.setdefault(at, []).append(PurchaseLine(sku, units))
        for number, (at, lines) in enumerate(sorted(arrivals.items()), 1):
            arrival = Arrival(purchase_order, f"{purchase_order}/{number}", tuple(lines))
            world.truth.record(now, "purchase.taken_over", purchase_order, node, "", at - now)
            self._send(Goods(arrival, node, self._lost(), at), at - now)
        return overdue

    def _cancel(self, message: Delivery, effect: CancelPurchaseOrder) -> None:
        """What was taken is being made; what was never told will not be begun when it comes."""
        key = effect.purchase_order
        outcome = "too_late" if key in self.taken else "cancelled"
        if outcome == "cancelled":
            self.cancelled[key] = None
        self.respond(
            message,
            ConfirmPurchaseCancellation(
                f"{message.key}/answer", self.id, self.world.now, key, outcome, message.criticality, message.key
            ),
        )

    def _misordered(self, effect: CreatePurchaseOrder, units: int) -> tuple[str, str]:
        """What of the master data an order goes against, and for which item; nothing where all is well.

        Its buyer did not know that the minimum is higher, that packs are other ones, or that an item is not made.
        """
        if units < self.minimum_order and not effect.order:
            return "minimum_order", ""
        if self.packs or self.discontinued:
            for line in effect.lines:
                if line.sku in self.discontinued:
                    return "status", line.sku
                if not effect.order and line.quantity % self.packs.get(line.sku, 1):
                    return "pack", line.sku
        return "", ""

    def go_by(self, field: str, sku: str, value: int, lead_time: Distribution | None) -> None:
        """A value of the master data is otherwise from now on."""
        if lead_time is not None:
            self.changed[sku] = lead_time
        elif field == "minimum_order":
            self.minimum_order = value
        elif field == "pack":
            self.packs[sku] = value
        elif value:
            self.discontinued[sku] = None
        else:
            self.discontinued.pop(sku, None)

    def _lost(self) -> int:
        return 0 if self.standstill is None else self.standstill.at(self.world.now)

    def _send(self, goods: Goods, delay: int) -> None:
        """Goods for a warehouse or a customer will be there, or leave, in so many ms."""
        phase = Phase.SHIP if isinstance(goods.what, DropShipment) else Phase.GOODS
        if self.standstill is not None:
            self.world.post(self.come, goods, delay, phase)
        elif isinstance(goods.what, DropShipment):
            self.world.post(self.ship, goods.what, delay, phase)
        else:
            self.world.post(self.world.warehouse(goods.node).arrive, goods.what, delay, phase)

    def come(self, goods: Goods) -> None:
        """Goods would be there by now, were it not for the time in which the plant stood still."""
        standstill = self.standstill
        if standstill is None or standstill.closures:
            self.held.append(goods)
            return
        later = goods.due_at + standstill.lost_ms - goods.lost_ms - self.world.now
        if later > 0:
            lost = standstill.lost_ms
            again = Goods(goods.what, goods.node, lost, self.world.now + later, goods.revision + 1)
            self._send(again, later)
            if self.config.acknowledgement is not None:
                self._answer(goods.order, "accepted", again.due_at, again.revision)
        elif isinstance(goods.what, DropShipment):
            self.ship(goods.what)
        else:
            self.world.warehouse(goods.node).arrive(goods.what)

    def disrupted(self, disruption: Disruption, begins: bool) -> None:
        """The plant stands still, or works again."""
        if self.standstill is not None and self.standstill.change(begins, self.world.now):
            held, self.held = self.held, []
            for goods in held:
                # In the goods' own phase: by then a closure that begins in this instant is known.
                self._send(goods, 0)

    def _acknowledge(self, effect: CreatePurchaseOrder, now: int, ready_at: int) -> None:
        """See to it that the 855 goes out, unless the goods are faster."""
        config, world = self.config, self.world
        if config.acknowledgement is not None:
            delay = max(0, world.streams.draw(config.acknowledgement, "acknowledgement", effect.purchase_order))
            answered_at = max(add_working(config.calendar, next_open(config.calendar, now), delay), now + 1)
            if answered_at < ready_at:
                world.post(self.answer, (effect.purchase_order, ready_at), answered_at - now, Phase.GOODS)

    def _departure(self, effect: CreatePurchaseOrder, begin: int) -> int:
        """When the parcel of a drop-ship order leaves: with the first truck for which it was ordered in time."""
        dock, now = self.config.dock, self.world.now
        if dock is None:
            raise TypeError(f"{self.id} was sent a drop-ship order and has no dock")
        ready = max(add_working(self.config.calendar, begin, dock.handling_ms), now + 1)
        for trucks in dock.departures:
            if trucks.carrier == effect.carrier:
                index = max(bisect_left(trucks.cut_offs, now), bisect_left(trucks.leaves, ready))
                # Past the last truck that is known it goes as it is ready.
                return trucks.leaves[index] if index < len(trucks.leaves) else ready
        return ready

    def ship(self, message: DropShipment) -> None:
        """A parcel leaves for the customer: the truth moves, the engine is told, the carrier has it."""
        effect, world = message.order, self.world
        shipment = f"{effect.purchase_order}/s"
        for line in effect.lines:
            world.truth.record(world.now, "stock.received", shipment, effect.node, line.sku, line.quantity)
            world.truth.record(world.now, "stock.shipped", shipment, effect.node, line.sku, -line.quantity)
        self.tell(
            ConfirmDropShipment(
                f"{effect.purchase_order}/856",
                self.id,
                world.now,
                shipment,
                effect.purchase_order,
                effect.order,
                effect.line,
                sum([line.quantity for line in effect.lines]),
                message.criticality,
                effect.purchase_order,
            )
        )
        world.carrier(effect.carrier).collect(shipment, effect.order, effect.node, effect.region, message.criticality)

    def answer(self, message: tuple[str, int]) -> None:
        """Send the 855 with the date of arrival."""
        self._answer(message[0], "accepted", message[1])

    def _answer(self, purchase_order: str, code: str, eta: int, revision: int = 0) -> None:
        """Send the 855, or the 865 that changes it."""
        key = f"{purchase_order}/865/{revision}" if revision else f"{purchase_order}/855"
        now = self.world.now
        self.tell(AcknowledgePurchaseOrder(key, self.id, now, purchase_order, code, eta, purchase_order, revision))
