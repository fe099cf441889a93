"""A marketplace: it sells from the listing that the stock feed leaves it, and takes off a seller who cancels too much
or ships too late.

Customers are those of the channel's demand; nothing here draws, so a buffer or a frozen feed moves no customer.
"""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct

from twin.core.commands import OrderLine
from twin.core.effects import AvailableUnits, Delivery, PublishAvailability, RefuseOrderUnits
from twin.world.kernel import Phase
from twin.world.party import Link, Party

__all__ = ["Limits", "Listed", "Marketplace"]


class Limits(Struct, frozen=True):
    """Of at least `orders` orders sold in the last `window_ms` the seller cancelled more than `cancellations_ppm`, or
    more than `late_ppm` had no carrier's scan `ship_within_ms` after they were sold: it is taken off for
    `suspension_ms`. A share of -1 holds nobody to anything.
    """

    cancellations_ppm: int
    window_ms: int
    orders: int
    suspension_ms: int
    late_ppm: int = -1
    ship_within_ms: int = 0


class Listed(Struct):
    """Units of an item on sale, and the snapshot that they come from."""

    units: int
    snapshot: int


class Marketplace(Party):
    """One marketplace as a seller's channel."""

    def __init__(self, id: str, link: Link, channel: str, limits: Limits | None = None) -> None:
        super().__init__(id, link)
        self.channel = channel
        self.limits = limits
        self.listing: dict[str, Listed] = {}
        # What the seller is judged by: orders of the window with the instant of their sale, and which went wrong.
        self.sold: OrderedDict[str, int] = OrderedDict()
        self.cancelled: dict[str, None] = {}
        self.late: dict[str, None] = {}
        # Orders that no carrier has scanned a parcel of, where somebody asks.
        self.unshipped: dict[str, None] = {}
        self.off_until = 0

    def receive(self, message: Delivery) -> None:
        """Take a part of the stock feed, or the seller's cancellation."""
        if not self.accept(message):
            return
        effect = message.effect
        if isinstance(effect, PublishAvailability):
            for line in effect.lines:
                self._list(line, effect.snapshot)
        elif isinstance(effect, RefuseOrderUnits):
            self._cancelled(effect)

    def _list(self, line: AvailableUnits, snapshot: int) -> None:
        """Put an item on sale as the feed says, unless it says so of an older snapshot than the last."""
        before = self.listing.get(line.sku)
        if before is not None and snapshot < before.snapshot:
            now = self.world.now
            self.world.truth.record(now, "market.outdated", "", self.channel, line.sku, line.units)
            return
        self.listing[line.sku] = Listed(line.units, snapshot)

    def sell(self, order: str, lines: tuple[OrderLine, ...]) -> bool:
        """Whether a customer gets the order: only where the seller is on, and every line is listed with enough units.

        A lost one is written down, with what of it was on the warehouses' shelves and not claimed by an instruction.
        """
        world, now = self.world, self.world.now
        suspended = now < self.off_until
        wanted: dict[str, int] = {}
        for line in lines:
            wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
        listing = self.listing
        listed = all(sku in listing and listing[sku].units >= units for sku, units in wanted.items())
        if listed and not suspended:
            limits = self.limits
            due = str(now + limits.ship_within_ms) if limits is not None and limits.late_ppm >= 0 else ""
            for sku, units in wanted.items():
                listing[sku].units -= units
                world.truth.record(now, "market.sold", order, self.channel, sku, units, due)
            if limits is not None:
                self._forget(limits)
                self.sold[order] = now
                if due:
                    self.unshipped[order] = None
                    world.post(self.check_shipped, order, limits.ship_within_ms, Phase.TELEMETRY)
            return True
        reason = "delisted" if suspended else "not listed"
        for sku, units in wanted.items():
            there = sum(warehouse.unclaimed(sku) for warehouse in world.warehouses.values())
            world.truth.record(now, "market.lost", order, self.channel, sku, units, reason)
            if there > 0:
                world.truth.record(now, "market.undersold", order, self.channel, sku, min(units, there), reason)
        return False

    def _cancelled(self, effect: RefuseOrderUnits) -> None:
        world, now = self.world, self.world.now
        units = sum(quantity for _, quantity in effect.lines)
        world.truth.record(now, "market.cancelled", effect.order, self.channel, "", units)
        self.unshipped.pop(effect.order, None)
        self._judge(effect.order, self.cancelled)

    def scanned(self, order: str) -> None:
        """A carrier has scanned a parcel of an order, this marketplace's or another's."""
        self.unshipped.pop(order, None)

    def check_shipped(self, order: str) -> None:
        """An order should have been shipped by now."""
        if order in self.unshipped:
            del self.unshipped[order]
            self.world.truth.record(self.world.now, "market.late", order, self.channel)
            self._judge(order, self.late)

    def _forget(self, limits: Limits) -> None:
        """Leave out what was sold before the window."""
        begin = self.world.now - limits.window_ms
        while self.sold:
            order = next(iter(self.sold))
            if self.sold[order] > begin:
                return
            del self.sold[order]
            self.cancelled.pop(order, None)
            self.late.pop(order, None)

    def _judge(self, order: str, wrong: dict[str, None]) -> None:
        """An order went `wrong`; take the seller off where a limit is passed."""
        limits, world, now = self.limits, self.world, self.world.now
        if limits is None:
            return
        self._forget(limits)
        if order not in self.sold:
            return
        wrong[order] = None
        if len(self.sold) < limits.orders:
            return
        held = ((limits.cancellations_ppm, self.cancelled), (limits.late_ppm, self.late))
        if any(ppm >= 0 and len(orders) * 1_000_000 > ppm * len(self.sold) for ppm, orders in held):
            self.off_until = now + limits.suspension_ms
            world.truth.record(now, "market.delisted", "", self.channel, "", limits.suspension_ms)
            # A seller that comes back begins anew: nothing that was sold before counts any more.
            self.sold.clear()
            self.cancelled.clear()
            self.late.clear()
