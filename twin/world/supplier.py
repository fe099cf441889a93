"""The supplier: takes purchase orders, acknowledges them, and sends goods after its lead time."""

from __future__ import annotations

from msgspec import Struct

from twin.core.calendar import Calendar, add_working, next_open
from twin.core.commands import AcknowledgePurchaseOrder
from twin.core.effects import CreatePurchaseOrder, Delivery
from twin.streams import Distribution
from twin.world.kernel import Phase
from twin.world.party import Link, Party
from twin.world.warehouse import Arrival

__all__ = ["Supplier", "SupplierConfig"]


class SupplierConfig(Struct, frozen=True):
    """`lead_time` (or the item's own in `lead_times`) runs in working time from the order to the dock.

    `acknowledgement` is the working time until the 855; None never sends one. `unit_ms` is the working time that the
    plant needs for one unit, one after the other; 0 has no limit.
    """

    calendar: Calendar
    lead_time: Distribution
    lead_times: dict[str, Distribution] = {}
    acknowledgement: Distribution | None = None
    unit_ms: int = 0
    minimum_order: int = 0


class Supplier(Party):
    """One supplier."""

    def __init__(self, id: str, link: Link, config: SupplierConfig) -> None:
        super().__init__(id, link)
        self.config = config
        self.busy_until = 0

    def receive(self, message: Delivery) -> None:
        """Take a purchase order; its goods arrive after the lead time drawn for it."""
        effect = message.effect
        if not self.accept(message) or not isinstance(effect, CreatePurchaseOrder):
            return
        config, world, now = self.config, self.world, self.world.now
        calendar = config.calendar
        units = sum(line.quantity for line in effect.lines)
        if units < config.minimum_order:
            self._answer(effect.purchase_order, "rejected", now)
            return
        begin = next_open(calendar, now)
        if config.unit_ms:
            begin = max(begin, self.busy_until)
            begin = self.busy_until = add_working(calendar, begin, units * config.unit_ms)
        arrival_at = begin
        for line in effect.lines:
            distribution = config.lead_times.get(line.sku, config.lead_time)
            lead = max(0, world.streams.draw(distribution, "lead_time", effect.purchase_order, line.sku))
            arrival_at = max(arrival_at, add_working(calendar, begin, lead))
        # Goods are at the dock earlier in an instant than an order can be read in it.
        arrival_at = max(arrival_at, now + 1)
        arrival = Arrival(effect.purchase_order, f"{effect.purchase_order}/1", effect.lines)
        world.truth.record(now, "purchase.lead_time", effect.purchase_order, effect.node, "", arrival_at - now)
        world.post(world.warehouse(effect.node).arrive, arrival, arrival_at - now, Phase.GOODS)
        if config.acknowledgement is not None:
            delay = max(0, world.streams.draw(config.acknowledgement, "acknowledgement", effect.purchase_order))
            answered_at = max(add_working(calendar, next_open(calendar, now), delay), now + 1)
            if answered_at < arrival_at:
                world.post(self.answer, (effect.purchase_order, arrival_at), answered_at - now, Phase.GOODS)

    def answer(self, message: tuple[str, int]) -> None:
        """Send the 855 with the date of arrival."""
        self._answer(message[0], "accepted", message[1])

    def _answer(self, purchase_order: str, code: str, eta: int) -> None:
        key = f"{purchase_order}/855"
        self.tell(AcknowledgePurchaseOrder(key, self.id, self.world.now, purchase_order, code, eta, purchase_order))
