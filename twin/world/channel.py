"""Sales channels: customers order whether or not the business keeps up (open-loop demand).

Every channel draws from streams of its own name, and every basket by the order's id, so that nothing else in the
business moves its demand.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from msgspec import Struct

from twin.core.commands import CancelOrder, CaptureOrder, IssueCredit, OrderLine
from twin.core.effects import Delivery
from twin.order_book import BookAdjustment, BookCredit, BookOrder
from twin.streams import Distribution, Exponential, Fixed
from twin.streams.elementary import exp, ln
from twin.world.kernel import Phase
from twin.world.party import Link, Party

__all__ = [
    "BookChannel",
    "BookFeed",
    "Channel",
    "ChannelConfig",
    "GeneratedChannel",
    "PeriodicChannel",
    "PoissonChannel",
    "Weighted",
]

HOUR_MS = 3_600_000
WEEK_HOURS = 168
MICRO = 1_000_000


class Weighted(Struct, frozen=True):
    """Names to choose from by integer weights, held as running sums."""

    names: tuple[str, ...]
    sums: tuple[int, ...]

    @classmethod
    def of(cls, weights: dict[str, int]) -> Weighted:
        """From weights by name, in the order given."""
        return cls(tuple(weights), tuple(accumulate(weights.values())))

    def pick(self, bits: int) -> str:
        """The name that 64 random bits fall on."""
        if len(self.names) == 1:
            return self.names[0]
        return self.names[bisect_right(self.sums, (bits * self.sums[-1]) >> 64)]


def zipf_mandelbrot(names: Sequence[str], exponent_milli: int, shift: int) -> Weighted:
    """Weights 1/(rank + shift)^exponent over the names in their order of rank (Mandelbrot 1953)."""
    exponent = exponent_milli / 1000
    first = ln(1.0 + shift)
    weights = [int(exp(exponent * (first - ln(1.0 + rank + shift))) * (1 << 40)) for rank in range(len(names))]
    return Weighted(tuple(names), tuple(accumulate(max(1, weight) for weight in weights)))


def level_ppm(levels: Sequence[tuple[int, int]], at: int) -> int:
    """The level at an instant (ms) in parts per million: straight between the pairs given, even outside of them."""
    after = bisect_right(levels, at, key=lambda pair: pair[0])
    if not after:
        return levels[0][1]
    if after == len(levels):
        return levels[-1][1]
    (begin, low), (end, high) = levels[after - 1], levels[after]
    return low + (high - low) * (at - begin) // (end - begin)


class ChannelConfig(Struct, frozen=True):
    """What every channel has: its engine id, how long after ordering goods are wanted, list prices, and when demand
    begins and ends (ms). `spike` names a stream of further customers."""

    channel: str
    criticality: str
    requested_ms: int
    prices: dict[str, int]
    ends_at: int
    begins_at: int = 0
    spike: str = ""

    @property
    def name(self) -> str:
        """What its series and its orders are named after: a spike of demand is a stream of its own."""
        return f"{self.channel}+{self.spike}" if self.spike else self.channel


class Channel(Party):
    """A channel whose orders come one after the other; subclasses say when and what."""

    def __init__(self, id: str, link: Link, config: ChannelConfig) -> None:
        super().__init__(id, link)
        self.config = config
        self.orders = 0
        # Share of the usual customers that come, in parts per million; less in a fork that looks for a way out.
        self.left_ppm = MICRO

    def start(self) -> None:
        """Wait for the first order."""
        self._await_next()

    def receive(self, message: Delivery) -> None:
        """Nothing is asked of a channel by message."""
        raise TypeError(f"{self.id} was sent {type(message.effect).__name__}, which no channel understands")

    @abstractmethod
    def _next_at(self) -> int:
        """When the next customer orders, in ms; at or past the end of demand for none."""

    def _await_next(self) -> None:
        at = self._next_at()
        if at < self.config.ends_at:
            self.world.post(self.arrive, None, at - self.world.now, Phase.COMMAND)

    @abstractmethod
    def arrive(self, message: None) -> None:
        """A customer orders."""

    def _stays_away(self, order: str) -> bool:
        """Whether the customer of an order stays away; with a smaller share of those that come these do and more."""
        return self.world.streams.bits("stays away", order) * MICRO >= self.left_ppm << 64

    def _capture(
        self, order: str, customer: str, region: str, lines: tuple[OrderLine, ...], requested_ms: int = 0
    ) -> bool:
        """Send an order, and say whether it was: customers may stay away, and a marketplace may not sell it."""
        if self.left_ppm < MICRO and self._stays_away(order):
            return False
        config, now = self.config, self.world.now
        marketplace = self.world.marketplaces.get(config.channel)
        if marketplace is not None and not marketplace.sell(order, lines):
            return False
        if self.world.tenants is not None:
            self.world.tenants[order] = config.channel
        self.tell(
            CaptureOrder(
                order,
                self.id,
                now,
                order,
                config.channel,
                customer,
                region,
                requested_ms or now + config.requested_ms,
                lines,
                config.criticality,
            ),
            Phase.COMMAND,
        )
        return True


class DrawnChannel(Channel):
    """A channel whose orders are drawn, one by one as they come."""

    @abstractmethod
    def _lines(self, order: str) -> tuple[OrderLine, ...]:
        """What the customer orders; empty for nothing."""

    @abstractmethod
    def _region(self, order: str) -> str:
        """Where the customer is."""

    def arrive(self, message: None) -> None:
        """A customer orders."""
        config = self.config
        self.orders += 1
        order = f"{config.name}-{self.orders}"
        lines = self._lines(order)
        if lines:
            self._capture(order, f"{order}/customer", self._region(order), lines)
        self._await_next()


class PoissonChannel(DrawnChannel):
    """Poisson arrivals at one rate. The clock of arrivals runs in microseconds, so that high rates keep their mean."""

    def __init__(
        self,
        id: str,
        link: Link,
        config: ChannelConfig,
        gap_us: int,
        items: Weighted,
        regions: Weighted,
        lines: Distribution,
        quantity: Distribution,
        distinct: bool = False,
    ) -> None:
        super().__init__(id, link, config)
        self.distinct = distinct
        self.gap = Exponential(gap_us)
        self.items = items
        self.regions = regions
        self.lines_distribution = lines
        self.quantity = quantity
        self.clock_us = -1

    def start(self) -> None:
        """Open the channel's own streams and wait for the first customer."""
        streams, name = self.world.streams, self.config.name
        self.gaps = streams.series(f"demand/{name}/gaps")
        self.baskets = streams.series(f"demand/{name}/baskets")
        self.clock_us = max(self.world.now, self.config.begins_at) * 1000
        super().start()

    def _next_at(self) -> int:
        self.clock_us += self.gaps.draw(self.gap)
        return max(self.clock_us // 1000, self.world.now)

    def _lines(self, order: str) -> tuple[OrderLine, ...]:
        baskets, items, prices = self.baskets, self.items, self.config.prices
        wanted = self.lines_distribution
        count = max(1, wanted.value if isinstance(wanted, Fixed) else baskets.draw(wanted))
        if self.distinct:
            count = min(count, len(items.names))
        lines: list[OrderLine] = []
        for number in range(1, count + 1):
            sku = items.names[0] if len(items.names) == 1 else items.pick(baskets.bits())
            while self.distinct and any(line.sku == sku for line in lines):
                sku = items.pick(baskets.bits())
            quantity = baskets.draw(self.quantity)
            if quantity > 0:
                lines.append(OrderLine(number, sku, quantity, prices[sku]))
        return tuple(lines)

    def _region(self, order: str) -> str:
        regions = self.regions
        return regions.names[0] if len(regions.names) == 1 else regions.pick(self.baskets.bits())


class PeriodicChannel(DrawnChannel):
    """One order of one item each period; a draw of zero or less is no order."""

    def __init__(
        self,
        id: str,
        link: Link,
        config: ChannelConfig,
        first_at: int,
        every_ms: int,
        item: str,
        region: str,
        quantity: Distribution,
    ) -> None:
        super().__init__(id, link, config)
        self.at = first_at - every_ms
        self.every_ms = every_ms
        self.item = item
        self.region = region
        self.quantity = quantity

    def start(self) -> None:
        """Open the channel's own stream and wait for the first period."""
        self.baskets = self.world.streams.series(f"demand/{self.config.channel}/baskets")
        super().start()

    def _next_at(self) -> int:
        self.at += self.every_ms
        return self.at

    def _lines(self, order: str) -> tuple[OrderLine, ...]:
        quantity = self.baskets.draw(self.quantity)
        return (OrderLine(1, self.item, quantity, self.config.prices[self.item]),) if quantity > 0 else ()

    def _region(self, order: str) -> str:
        return self.region


class GeneratedChannel(DrawnChannel):
    """Orders in the weekly rhythm of a real book: arrivals by hour of the week, baskets by quantile tables."""

    def __init__(
        self,
        id: str,
        link: Link,
        config: ChannelConfig,
        hourly_micro: tuple[int, ...],
        items: Weighted | dict[str, Weighted],
        regions: Weighted,
        lines: Distribution,
        quantity: Distribution,
        levels: tuple[tuple[int, int], ...] = (),
    ) -> None:
        super().__init__(id, link, config)
        self.hourly_micro = hourly_micro
        # The same for all customers, or by region.
        self.items = items
        # Instants (ms) and parts per million of the rate, straight between.
        self.levels = levels
        self.regions = regions
        self.lines_distribution = lines
        self.quantity = quantity
        self.clock_ms = -1

    def start(self) -> None:
        """Open the channel's own stream and wait for the first customer."""
        self.gaps = self.world.streams.series(f"demand/{self.config.name}/gaps")
        self.clock_ms = max(self.world.now, self.config.begins_at)
        super().start()

    def _next_at(self) -> int:
        """Time rescaling: an exponential amount of expected orders, laid along the week's rates (Cinlar 1975)."""
        left = self.gaps.draw(Exponential(MICRO))
        at = self.clock_ms
        ends_at = self.config.ends_at
        while at < ends_at:
            # 1970-01-01 was a Thursday: hour 72 of a week that begins on Monday.
            rate = self.hourly_micro[(at // HOUR_MS + 72) % WEEK_HOURS]
            if self.levels:
                rate = rate * level_ppm(self.levels, at // HOUR_MS * HOUR_MS) // MICRO
            rest = HOUR_MS - at % HOUR_MS
            there = rate * rest // HOUR_MS
            if left < there:
                at += left * HOUR_MS // rate
                break
            left -= there
            at += rest
        self.clock_ms = at
        return at

    def _lines(self, order: str) -> tuple[OrderLine, ...]:
        streams = self.world.streams
        items = self.items if isinstance(self.items, Weighted) else self.items[self._region(order)]
        wanted = max(1, streams.draw(self.lines_distribution, "lines", order))
        prices = self.config.prices
        chosen: dict[str, None] = {}
        attempt = 0
        # Popular items come up twice in a large basket; a bound keeps a basket of everything from drawing forever.
        while len(chosen) < wanted and attempt < 4 * wanted + 16:
            chosen[items.pick(streams.bits("item", order, attempt))] = None
            attempt += 1
        return tuple(
            [
                OrderLine(number, sku, max(1, streams.draw(self.quantity, "quantity", order, sku)), prices[sku])
                for number, sku in enumerate(chosen, start=1)
            ]
        )

    def _region(self, order: str) -> str:
        return self.regions.pick(self.world.streams.bits("region", order))


class BookChannel(Channel):
    """A channel's part of a real order book, replayed at its own stamps."""

    def __init__(self, id: str, link: Link, config: ChannelConfig, book: tuple[BookOrder, ...]) -> None:
        super().__init__(id, link, config)
        self.book = book
        self.index = 0

    def start(self) -> None:
        """Skip what lies before the run and wait for the first order."""
        while self.index < len(self.book) and self.book[self.index].at_ms < self.world.now:
            self.index += 1
        super().start()

    def _next_at(self) -> int:
        return self.book[self.index].at_ms if self.index < len(self.book) else self.config.ends_at

    def arrive(self, message: None) -> None:
        """The book's next order comes in."""
        order = self.book[self.index]
        self.index += 1
        lines = tuple([OrderLine(line.line, line.sku, line.quantity, line.price_minor) for line in order.lines])
        if self._capture(order.order, order.customer, order.region, lines, order.requested_ms):
            for number, gone in enumerate(order.cancellations, start=1):
                given_up = (order.order, number, gone.lines)
                self.world.post(self.cancel, given_up, gone.at_ms - self.world.now, Phase.COMMAND)
        self._await_next()

    def cancel(self, given_up: tuple[str, int, tuple[int, ...]]) -> None:
        """A customer gives up lines of an order, for the first or another time."""
        order, number, lines = given_up
        key, criticality = f"{order}/cancel/{number}", self.config.criticality
        self.tell(CancelOrder(key, self.id, self.world.now, order, "customer", "", lines, criticality), Phase.COMMAND)


class BookFeed(Party):
    """What else a book holds: credits, which go to the engine, and stock adjustments, which go to a warehouse.

    `homes` is the warehouse of each item, `classes` the criticality of each order that is credited.
    """

    def __init__(
        self,
        id: str,
        link: Link,
        credits: tuple[BookCredit, ...],
        adjustments: tuple[BookAdjustment, ...],
        homes: dict[str, str],
        classes: dict[str, str],
        ends_at: int,
    ) -> None:
        super().__init__(id, link)
        self.credits = credits
        self.adjustments = adjustments
        self.homes = homes
        self.classes = classes
        self.ends_at = ends_at

    def start(self) -> None:
        """Post everything that falls into the run."""
        world = self.world
        for index, credit in enumerate(self.credits):
            if world.now <= credit.at_ms < self.ends_at and credit.order:
                world.post(self.credit, index, credit.at_ms - world.now, Phase.COMMAND)
        for index, adjustment in enumerate(self.adjustments):
            if world.now <= adjustment.at_ms < self.ends_at:
                world.post(self.adjust, index, adjustment.at_ms - world.now, Phase.GOODS)

    def receive(self, message: Delivery) -> None:
        """Nothing is asked of a book by message."""
        raise TypeError(f"{self.id} was sent {type(message.effect).__name__}, which no book understands")

    def credit(self, index: int) -> None:
        """A customer is credited."""
        credit = self.credits[index]
        key = f"{credit.credit}/{credit.line}/{credit.order}/{credit.order_line}"
        self.tell(
            IssueCredit(
                key,
                self.id,
                self.world.now,
                key,
                credit.order,
                credit.order_line,
                credit.quantity,
                criticality=self.classes.get(credit.order, ""),
            ),
            Phase.COMMAND,
        )

    def adjust(self, index: int) -> None:
        """A warehouse corrects its stock."""
        adjustment = self.adjustments[index]
        key = f"adjustment/{adjustment.row}"
        self.world.warehouse(self.homes[adjustment.sku]).adjust(
            (key, adjustment.sku, adjustment.quantity, adjustment.reason)
        )
