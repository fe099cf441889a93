"""What the page draws, folded from the events in one pass beside the books: daily series, channels, sites, exceptions.

It reads events only, so that it draws a production log as it draws a simulated one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from msgspec import Struct

from twin.core import events as ev
from twin.core.commands import CaptureOrder
from twin.core.entry import Entry
from twin.report.grid import HOUR_MS, Grid

__all__ = ["ChannelRow", "Dead", "Held", "Picture", "SiteRow", "Waiting", "collect", "watch"]

_KNOWN_ALREADY: Final = ("duplicate", "order_exists")
"""Refusals of an order that came before: that one is accounted for."""

_WAITING_ROUTES: Final = ("backorder", "replenish")
_WAITING_BUCKETS: Final = ("backordered", "on_order")


class ChannelRow(Struct):
    """One channel's orders: what came in, what fell due in the window, how it ended."""

    orders: int = 0
    lines: int = 0
    units: int = 0
    value_minor: int = 0
    due: int = 0
    on_time: int = 0
    withdrawn: int = 0
    refused: int = 0
    delivered_orders: int = 0
    open_orders: int = 0
    rejected_units: int = 0
    cancelled_units: int = 0


class SiteRow(Struct):
    """One warehouse: its daily series (index: bucket) and what it holds at the end.

    `bounds` are its calendar's opening times (start, end, start, ...); none where it never closes.
    """

    parcels: list[int]
    picked: list[int]
    picked_lines: list[int]
    picked_units: list[int]
    shipped_units: list[int]
    on_hand: list[int]
    value_minor: list[int]
    bounds: tuple[int, ...] = ()
    freight_minor: int = 0
    received_units: int = 0
    purchase_orders: int = 0
    corrections: int = 0
    units: int = 0
    value: int = 0
    waiting: int = 0


class Waiting(Struct):
    """Units of one order line that wait for stock since `since` (ms)."""

    order: str
    line: int
    sku: str
    channel: str
    node: str
    units: int
    value_minor: int
    since: int


class Dead(Struct):
    """A delivery that was given up at `at` (ms) and nobody has sent again."""

    delivery: str
    attempts: int
    reason: str
    at: int


class Held(Struct):
    """An order that is kept from release since `at` (ms)."""

    order: str
    reason: str
    at: int


class _Line(Struct):
    sku: str
    price: int
    left: int
    waiting: int = 0
    since: int = 0
    node: str = ""


class _Order(Struct):
    channel: str
    captured_at: int
    requested_at: int
    lines: dict[int, _Line]
    ordered: int
    left: int
    unshipped: int
    delivered: int = 0
    delivered_at: int = 0
    withdrawn: int = 0


class _Plan(Struct):
    node: str
    lines: int
    units: int
    left: int
    picked: bool = False


class Picture(Struct):
    """Everything that is drawn. Series have one number a bucket of `grid`; levels are those at the bucket's end."""

    grid: Grid
    window_ms: tuple[int, int]
    end_ms: int
    captured: list[int]
    due: list[int]
    shipped: list[int]
    delivered: list[int]
    open_orders: list[int]
    waiting: list[int]
    working: list[int]
    in_transit: list[int]
    channels: dict[str, ChannelRow]
    sites: dict[str, SiteRow]
    cycle_hours: dict[int, int]
    routes: dict[tuple[str, str], list[int]]
    backorders: list[Waiting]
    dead: dict[str, Dead]
    held: dict[str, Held]
    purchase_orders: int = 0
    open_lines: int = 0

    @property
    def orders(self) -> int:
        """Orders that came in."""
        return sum(self.captured)


def collect(entries: Iterable[Entry], grid: Grid, window_ms: tuple[int, int], end_ms: int) -> Picture:
    """The picture of a log. Orders are judged by the requested date where it lies in `window_ms`, [from, to)."""
    picture, watched = watch(entries, grid, window_ms, end_ms)
    for _ in watched:
        pass
    return picture


def watch(
    entries: Iterable[Entry], grid: Grid, window_ms: tuple[int, int], end_ms: int
) -> tuple[Picture, Iterator[Entry]]:
    """The same entries, and the picture that is complete once they have all been read: one decoding for two readers."""
    fold = _Fold(grid, window_ms, end_ms)
    return fold.picture, fold.through(entries)


class _Fold:
    def __init__(self, grid: Grid, window_ms: tuple[int, int], end_ms: int) -> None:
        self.grid = grid
        captured, due, shipped, delivered, open_orders, waiting, working, in_transit = (
            [0] * grid.count for _ in range(8)
        )
        self.picture = Picture(
            grid=grid,
            window_ms=window_ms,
            end_ms=end_ms,
            captured=captured,
            due=due,
            shipped=shipped,
            delivered=delivered,
            open_orders=open_orders,
            waiting=waiting,
            working=working,
            in_transit=in_transit,
            channels={},
            sites={},
            cycle_hours={},
            routes={},
            backorders=[],
            dead={},
            held={},
        )
        self._orders: dict[str, _Order] = {}
        self._shipments: dict[str, tuple[tuple[int, int], ...]] = {}
        self._plans: dict[str, _Plan] = {}
        self._refused: dict[str, CaptureOrder] = {}
        self._counted_at: dict[tuple[str, str], int] = {}
        self._costs: dict[str, int] = {}
        self._open_orders = 0
        self._waiting = 0
        self._working = 0
        self._in_transit = 0
        self._bucket = 0
        self._next = grid.start_of(1)
        self._fold: dict[type, Callable[[Any, int], None]] = {
            ev.NetworkDefined: self._network,
            ev.ItemsDefined: self._items,
            ev.OrderCaptured: self._captured,
            ev.OrderHeld: self._held,
            ev.OrderHoldReleased: self._hold_released,
            ev.SourcingDecided: self._sourced,
            ev.ReservationDecided: self._reserved,
            ev.ReleaseDecided: self._released,
            ev.GoodsPicked: self._picked,
            ev.UnitsShorted: self._shorted,
            ev.GoodsShipped: self._shipped,
            ev.ShipmentLoaded: self._under_way,
            ev.ShipmentDelivered: self._delivered,
            ev.OrderCancelled: self._cancelled,
            ev.StockLoaded: self._loaded,
            ev.StockAdjusted: self._adjusted,
            ev.StockCounted: self._counted,
            ev.GoodsReceived: self._received,
            ev.PurchaseOrderCreated: self._bought,
            ev.DeliveryDeadLettered: self._dead,
            ev.DeliveryRedriven: self._redriven,
        }

    def through(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        fold = self._fold
        for entry in entries:
            now = entry.now
            if now >= self._next:
                self._turn(now)
            if entry.refusal is not None:
                self._refuse(entry)
            for event in entry.events:
                step = fold.get(type(event))
                if step is not None:
                    step(event, now)
            yield entry
        self._finish()

    def _refuse(self, entry: Entry) -> None:
        command = entry.command
        if isinstance(command, CaptureOrder) and entry.refusal is not None and entry.refusal.code not in _KNOWN_ALREADY:
            self._refused[command.order] = command

    def _turn(self, now: int) -> None:
        """Note the levels at the end of every bucket that is over."""
        last = self.grid.count - 1
        while now >= self._next and self._bucket < last:
            self._level(self._bucket)
            self._bucket += 1
            self._next += self.grid.width_ms
        if self._bucket == last:
            self._next = 1 << 62

    def _level(self, bucket: int) -> None:
        picture = self.picture
        picture.open_orders[bucket] = self._open_orders
        picture.waiting[bucket] = self._waiting
        picture.working[bucket] = self._working
        picture.in_transit[bucket] = self._in_transit
        for site in picture.sites.values():
            site.on_hand[bucket] = site.units
            site.value_minor[bucket] = site.value

    def _finish(self) -> None:
        picture, grid = self.picture, self.grid
        for bucket in range(self._bucket, grid.count):
            self._level(bucket)
        for capture in self._refused.values():
            # Refused and never sent again: it fell due all the same.
            channel = picture.channels.setdefault(capture.channel, ChannelRow())
            channel.refused += 1
            channel.due += self._is_due(capture.requested_at)
        for name, order in self._orders.items():
            channel = picture.channels[order.channel]
            channel.open_orders += 1
            channel.due += self._is_due(order.requested_at)
            for number, line in order.lines.items():
                picture.open_lines += line.left > 0
                if line.waiting:
                    picture.sites[line.node].waiting += line.waiting
                    picture.backorders.append(
                        Waiting(
                            name,
                            number,
                            line.sku,
                            order.channel,
                            line.node,
                            line.waiting,
                            line.waiting * line.price,
                            line.since,
                        )
                    )
        picture.backorders.sort(key=lambda wait: (wait.since, -wait.value_minor, wait.order, wait.line))

    def _site(self, node: str) -> SiteRow:
        site = self.picture.sites.get(node)
        if site is None:
            parcels, picked, lines, units, shipped, on_hand, value = ([0] * self.grid.count for _ in range(7))
            site = self.picture.sites[node] = SiteRow(parcels, picked, lines, units, shipped, on_hand, value)
        return site

    def _is_due(self, requested_at: int) -> bool:
        start, end = self.picture.window_ms
        return start <= requested_at < end

    # --- the business

    def _network(self, event: ev.NetworkDefined, now: int) -> None:
        for warehouse in event.warehouses:
            self._site(warehouse.id).bounds = warehouse.calendar.bounds
        for channel in event.channels:
            self.picture.channels.setdefault(channel.id, ChannelRow())

    def _items(self, event: ev.ItemsDefined, now: int) -> None:
        for item in event.items:
            self._costs[item.sku] = item.cost_minor

    # --- orders

    def _captured(self, event: ev.OrderCaptured, now: int) -> None:
        picture = self.picture
        self._refused.pop(event.order, None)
        lines = {line.line: _Line(line.sku, line.price_minor, line.quantity) for line in event.lines}
        units = sum([line.quantity for line in event.lines])
        self._orders[event.order] = _Order(
            event.channel, event.captured_at or now, event.requested_at, lines, units, units, units
        )
        channel = picture.channels.setdefault(event.channel, ChannelRow())
        channel.orders += 1
        channel.lines += len(lines)
        channel.units += units
        channel.value_minor += sum([line.quantity * line.price_minor for line in event.lines])
        if not event.captured_at:
            picture.captured[self.grid.bucket(now)] += 1
        if self.grid.start_ms <= event.requested_at < picture.end_ms:
            picture.due[self.grid.bucket(event.requested_at)] += 1
        self._open_orders += 1
        self._working += units

    def _held(self, event: ev.OrderHeld, now: int) -> None:
        self.picture.held[event.order] = Held(event.order, event.reason, now)

    def _hold_released(self, event: ev.OrderHoldReleased, now: int) -> None:
        self.picture.held.pop(event.order, None)

    def _sourced(self, event: ev.SourcingDecided, now: int) -> None:
        routes = self.picture.routes
        order = self._orders[event.order]
        rejected = 0
        for leg in event.legs:
            key = (leg.route, leg.rule)
            count = routes.get(key)
            if count is None:
                routes[key] = [1, leg.quantity]
            else:
                count[0] += 1
                count[1] += leg.quantity
            if leg.route in _WAITING_ROUTES:
                line = order.lines[leg.line]
                if not line.waiting:
                    line.since = now
                line.waiting += leg.quantity
                line.node = leg.node
                self._working -= leg.quantity
                self._waiting += leg.quantity
            elif leg.route == "reject":
                order.lines[leg.line].left -= leg.quantity
                self._working -= leg.quantity
                rejected += leg.quantity
        if rejected:
            self.picture.channels[order.channel].rejected_units += rejected
            self._end_units(event.order, order, rejected, now)

    def _reserved(self, event: ev.ReservationDecided, now: int) -> None:
        if event.source not in _WAITING_BUCKETS:
            return
        lines = self._orders[event.order].lines
        for held in event.reservations:
            self._served(lines[held.line], held.quantity)
            self._working += held.quantity

    def _served(self, line: _Line, units: int) -> None:
        line.waiting -= units
        self._waiting -= units

    def _released(self, event: ev.ReleaseDecided, now: int) -> None:
        for plan in event.fulfillment_orders:
            units = sum([line.quantity for line in plan.lines])
            self._plans[plan.id] = _Plan(plan.node, len(plan.lines), units, units)

    def _picked(self, event: ev.GoodsPicked, now: int) -> None:
        self._pick(self._plans[event.fulfillment_order], now)

    def _pick(self, plan: _Plan, now: int) -> None:
        """Count a pick once: when it is first reported, or with the shipment where picks are not reported."""
        if not plan.picked:
            plan.picked = True
            site, bucket = self._site(plan.node), self.grid.bucket(now)
            site.picked[bucket] += 1
            site.picked_lines[bucket] += plan.lines
            site.picked_units[bucket] += plan.units

    def _shorted(self, event: ev.UnitsShorted, now: int) -> None:
        plan = self._plans[event.fulfillment_order]
        site, lines = self._site(plan.node), self._orders[event.order].lines
        for number, units in event.lines:
            self._stock(site, lines[number].sku, -units)
            plan.left -= units
        if not plan.left:
            del self._plans[event.fulfillment_order]

    def _shipped(self, event: ev.GoodsShipped, now: int) -> None:
        self._pick(self._plans.pop(event.fulfillment_order), now)
        order = self._orders[event.order]
        bucket = self.grid.bucket(now)
        site = self._site(event.node)
        units = 0
        for number, quantity in event.lines:
            self._stock(site, order.lines[number].sku, -quantity, event.node, event.sequence)
            units += quantity
        self._shipments[event.shipment] = event.lines
        site.parcels[bucket] += 1
        site.shipped_units[bucket] += units
        site.freight_minor += event.freight_minor
        self._working -= units
        self._in_transit += units
        order.unshipped -= units
        if not order.unshipped:
            self.picture.shipped[bucket] += 1

    def _under_way(self, event: ev.ShipmentLoaded, now: int) -> None:
        units = sum([quantity for _, quantity in event.lines])
        self._shipments[event.shipment] = event.lines
        self._working -= units
        self._in_transit += units
        self._orders[event.order].unshipped -= units

    def _delivered(self, event: ev.ShipmentDelivered, now: int) -> None:
        order = self._orders[event.order]
        units = 0
        for number, quantity in self._shipments.pop(event.shipment):
            order.lines[number].left -= quantity
            units += quantity
        self._in_transit -= units
        order.delivered += units
        order.delivered_at = max(order.delivered_at, event.at)
        order.left -= units
        if not order.left:
            self._end(event.order, order)

    def _cancelled(self, event: ev.OrderCancelled, now: int) -> None:
        order = self._orders[event.order]
        units = 0
        for taken in event.units:
            line = order.lines[taken.line]
            if taken.bucket in _WAITING_BUCKETS:
                self._served(line, taken.quantity)
            else:
                self._working -= taken.quantity
            line.left -= taken.quantity
            units += taken.quantity
        self.picture.channels[order.channel].cancelled_units += units
        if event.by == "customer" and now <= order.requested_at:
            order.withdrawn += units
        self._end_units(event.order, order, units, now)

    def _end_units(self, name: str, order: _Order, units: int, now: int) -> None:
        """Units that will never ship: the order may be whole, or over, without them."""
        order.left -= units
        order.unshipped -= units
        if not order.left:
            self._end(name, order)
        elif not order.unshipped:
            self.picture.shipped[self.grid.bucket(now)] += 1

    def _end(self, name: str, order: _Order) -> None:
        del self._orders[name]
        self._open_orders -= 1
        self.picture.held.pop(name, None)
        channel = self.picture.channels[order.channel]
        wanted = order.ordered - order.withdrawn
        in_full = order.delivered == wanted
        if order.delivered:
            channel.delivered_orders += 1
            self.picture.delivered[self.grid.bucket(order.delivered_at)] += 1
            if in_full and order.delivered_at >= self.picture.window_ms[0]:
                hours = (order.delivered_at - order.captured_at) // HOUR_MS
                self.picture.cycle_hours[hours] = self.picture.cycle_hours.get(hours, 0) + 1
        if not self._is_due(order.requested_at):
            return
        if not wanted:
            channel.withdrawn += 1
            return
        channel.due += 1
        channel.on_time += in_full and order.delivered_at <= order.requested_at

    # --- stock and purchasing

    def _stock(self, site: SiteRow, sku: str, units: int, node: str = "", sequence: int = 0) -> None:
        """Change the units on hand, except by a movement that an earlier count has already included."""
        if sequence and sequence <= self._counted_at.get((node, sku), 0):
            return
        site.units += units
        site.value += units * self._costs.get(sku, 0)

    def _loaded(self, event: ev.StockLoaded, now: int) -> None:
        site = self._site(event.node)
        for line in (*event.lines, *event.quarantined):
            self._stock(site, line.sku, line.quantity)

    def _adjusted(self, event: ev.StockAdjusted, now: int) -> None:
        site = self._site(event.node)
        self._stock(site, event.sku, event.quantity, event.node, event.sequence)
        site.corrections += event.quantity

    def _counted(self, event: ev.StockCounted, now: int) -> None:
        site = self._site(event.node)
        for sku, _, correction in event.lines:
            self._counted_at[event.node, sku] = event.sequence
            self._stock(site, sku, correction)
            site.corrections += correction

    def _received(self, event: ev.GoodsReceived, now: int) -> None:
        site = self._site(event.node)
        for line in event.lines:
            self._stock(site, line.sku, line.quantity, event.node, event.sequence)
            site.received_units += line.quantity

    def _bought(self, event: ev.PurchaseOrderCreated, now: int) -> None:
        if event.created_at:
            return
        self.picture.purchase_orders += 1
        self._site(event.node).purchase_orders += 1

    # --- deliveries

    def _dead(self, event: ev.DeliveryDeadLettered, now: int) -> None:
        self.picture.dead[event.delivery] = Dead(event.delivery, event.attempts, event.reason, now)

    def _redriven(self, event: ev.DeliveryRedriven, now: int) -> None:
        self.picture.dead.pop(event.delivery, None)
