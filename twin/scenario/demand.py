"""Sales channels and where their orders come from."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, model_validator

from twin.scenario.base import (
    Count,
    DurationMs,
    EventRate,
    Id,
    ItemRef,
    Milli,
    Model,
    Percent,
    Period,
    Positive,
    RegionRef,
    Tuple,
    Weights,
    refuse,
)
from twin.scenario.distributions import CountSpec, CountTable, DistributionSpec
from twin.scenario.times import DAYS, Day
from twin.scenario.units import DAY_MS, format_percent
from twin.streams.distributions import Fixed

__all__ = [
    "BookDemand",
    "BookFile",
    "Channel",
    "Demand",
    "Feed",
    "GeneratedDemand",
    "ItemSkew",
    "MarketplaceLimits",
    "NoDemand",
    "OpeningFiles",
    "PeriodicDemand",
    "PoissonDemand",
]

HourWeights = Annotated[tuple[Count, ...], Field(strict=False)]


class NoDemand(Model):
    """No orders."""

    kind: Literal["none"]
    """No orders"""


class PoissonDemand(Model):
    """Orders at random, evenly over time."""

    kind: Literal["poisson"]
    """Poisson arrivals"""
    rate: EventRate
    """Mean number of orders"""
    items: Weights[ItemRef] | None = None
    """Weights of the items; all alike unless given"""
    lines: CountSpec = Fixed(1)
    """Lines of an order"""
    quantity: CountSpec = Fixed(1)
    """Units of a line"""
    distinct: bool = False
    """Whether each line of an order is of another item; an order then has as many lines as there are items at most"""
    regions: Weights[RegionRef]
    """Weights of the customers' regions"""


class PeriodicDemand(Model):
    """One order of one item each period; a draw of zero gives no order."""

    kind: Literal["periodic"]
    """One order each period"""
    every: DurationMs
    """Period"""
    at: DurationMs = 0
    """First order, counted from the start of the run"""
    quantity: CountSpec
    """Units of the order"""
    item: ItemRef
    """What is ordered"""
    region: RegionRef
    """Where to"""

    @model_validator(mode="after")
    def _moves_on(self) -> Self:
        if self.every == 0:
            raise refuse("an order every 0s never moves on; give a period such as 1d")
        return self


class ItemSkew(Model):
    """Zipf-Mandelbrot: the item of rank k is ordered in proportion to 1/(k + shift)^exponent."""

    exponent: Milli
    """How steep, in thousandths once read"""
    shift: Count = 0
    """How flat among the first"""
    items: Positive | None = None
    """Items this channel orders; all unless given"""


LEVEL_PPM_MAX: Final = 100_000_000
LevelAt = Annotated[tuple[DurationMs, Percent], Field(strict=False)]


def _rising(values: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    if any(later <= earlier for (earlier, _), (later, _) in pairwise(values)):
        raise refuse("levels must be in the order of their times, each later than the one before")
    if any(level > LEVEL_PPM_MAX for _, level in values):
        raise refuse(f"a level is at most {format_percent(LEVEL_PPM_MAX)}; raise `orders` instead")
    return values


class GeneratedDemand(Model):
    """Orders with the rhythm, baskets and item skew of a real book."""

    kind: Literal["generated"]
    """Generated order book"""
    orders: EventRate
    """Mean number of orders"""
    profile: dict[Day, HourWeights] = Field(default_factory=dict)
    """24 weights for each weekday, by hour in UTC; a day left out has no orders; even unless given"""
    lines_per_order: CountTable
    """Quantiles"""
    quantity_per_line: CountTable
    """Quantiles"""
    item_skew: ItemSkew | None = None
    """How demand falls from the best item to the last"""
    items: dict[RegionRef, Weights[ItemRef]] = Field(default_factory=dict)
    """Weights of the items that the customers of each region order, in place of `item_skew`"""
    levels: Annotated[Tuple[LevelAt], AfterValidator(_rising)] = ()
    """Pairs of a time after the start and a share of `orders`, straight between and even outside of them"""
    regions: Weights[RegionRef]
    """Weights of the customers' regions"""

    @model_validator(mode="after")
    def _says_of_what(self) -> Self:
        if (self.item_skew is None) == (not self.items):
            raise refuse("give item_skew or items, one of them: which items customers order")
        missing = [region for region, weight in self.regions.items() if weight and region not in self.items]
        if self.items and missing:
            raise refuse(f"items says nothing of region {missing[0]}; give the weights of its items")
        return self

    @model_validator(mode="after")
    def _whole_days(self) -> Self:
        for day in DAYS:
            weights = self.profile.get(day)
            if weights is not None and len(weights) != 24:
                raise refuse(f"profile of {day} has {len(weights)} weights; a day has 24 hours")
        if self.profile and not any(sum(weights) for weights in self.profile.values()):
            raise refuse("the profile's weights are all zero; give at least one that is not")
        return self


def _plain(value: object) -> object:
    """The mapping's values as an adapter reads them: exact text where the file has a fraction."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


class BookFile(Model):
    """A real order book: its file and how to read it."""

    source: str
    """Entry point of the group ordertwin.order_books, such as csv or parquet"""
    path: str
    """File, relative to the scenario file that names it"""
    mapping: Annotated[dict[str, Any], BeforeValidator(_plain)] = Field(default_factory=dict)
    """What its columns mean; checked by the adapter"""
    credits: bool = True
    """Whether its credits are replayed"""
    adjustments: bool = True
    """Whether its stock adjustments are replayed"""

    _folder: Path | None = PrivateAttr(default=None)

    @property
    def file(self) -> Path:
        """The path from the working folder; relative to the naming file where there is one."""
        return Path(self.path) if self._folder is None else self._folder / self.path


class OpeningFiles(Model):
    """What the business had under way when the run starts: tables of stock, orders, purchase orders and parcels."""

    source: str
    """Entry point of the group ordertwin.openings, such as csv"""
    path: str
    """Folder, relative to the scenario file that names it"""
    timezone: str = ""
    """Zone of instants that are written without one"""
    columns: dict[str, dict[str, str]] = Field(default_factory=dict)
    """By table and field, the columns that are named otherwise"""

    _folder: Path | None = PrivateAttr(default=None)

    @property
    def folder(self) -> Path:
        """The path from the working folder; relative to the naming file where there is one."""
        return Path(self.path) if self._folder is None else self._folder / self.path


class ResidualFile(Model):
    """The luck that parcels, purchases and picks had in a log, as `twin reconstruct` writes it."""

    path: str
    """File, relative to the scenario file that names it"""

    _folder: Path | None = PrivateAttr(default=None)

    @property
    def file(self) -> Path:
        """The path from the working folder; relative to the naming file where there is one."""
        return Path(self.path) if self._folder is None else self._folder / self.path


class BookDemand(Model):
    """The orders that the mapping of the scenario's `order_book` assigns to this channel."""

    kind: Literal["book"]
    """From the scenario's order book"""


Demand = Annotated[
    NoDemand | PoissonDemand | PeriodicDemand | GeneratedDemand | BookDemand,
    Field(discriminator="kind"),
]


class Feed(Model):
    """What a marketplace is told of the stock, and when."""

    every: Period
    """Period"""
    offset: DurationMs = 0
    """First feed, counted from the start of the run"""
    buffer: Count = 0
    """Units of each item that it is not told of"""


class MarketplaceLimits(Model):
    """What a marketplace bears with before it takes a seller off."""

    cancellations: Percent | None = None
    """Share of the window's orders that the seller may cancel; any unless given"""
    late: Percent | None = None
    """Share of the window's orders that may be late: no parcel was scanned `ship_within`; any unless given"""
    ship_within: DurationMs | None = None
    """Time from the order to the carrier's first scan; for late"""
    window: DurationMs = 7 * DAY_MS
    """How far back orders count, from their sale on"""
    orders: Positive = 20
    """Orders in the window below which nobody is taken off"""
    suspension: DurationMs = DAY_MS
    """How long nothing is sold then"""

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if self.cancellations is None and self.late is None:
            raise refuse("limits hold nobody to anything; give cancellations or late")
        if (self.late is None) != (self.ship_within is None):
            raise refuse("late and ship_within belong together: which share may be late, and when an order is")
        if self.ship_within is not None and self.ship_within >= self.window:
            raise refuse("an order is out of the window before it can be late; make window longer than ship_within")
        return self


class Channel(Model):
    """A way in which customers order, and the rules that its orders follow."""

    id: Id
    """Name that others refer to"""
    style: Literal["inside_sales", "ecommerce", "marketplace"]
    """How orders come in"""
    criticality: Literal["A", "B", "C"] = "B"
    """Which orders go first, A before B before C"""
    requested: DurationMs
    """The customer wants the goods this long after ordering"""
    fulfillment: Literal["partial", "complete"] = "partial"
    """Ship what is there, or hold the order until it is complete"""
    on_shortage: Literal["backorder", "reject"] = "backorder"
    """What happens to units that are short; what is bought to order or drop-shipped never is"""
    latency: DistributionSpec = Fixed(200)
    """From the customer's click to the engine"""
    safety_stock: Count = 0
    """Units of each item that this channel does not see"""
    feed: Feed | None = None
    """Stock feed of a marketplace; one without it sells whatever customers want"""
    limits: MarketplaceLimits | None = None
    """Past which a marketplace with a feed sells nothing for a while; none unless given"""
    demand: Demand
    """Where its orders come from"""

    @model_validator(mode="after")
    def _marketplace(self) -> Self:
        if self.feed is not None and self.style != "marketplace":
            raise refuse(f"feed: a channel of style {self.style} is sent none; make it a marketplace")
        if self.feed is not None and self.on_shortage != "reject":
            raise refuse("feed: a marketplace order is shipped or cancelled; set on_shortage: reject")
        if self.limits is not None and self.feed is None:
            raise refuse("limits: they are held by a marketplace with a feed; give it a feed such as {every: 15m}")
        return self
