"""The business: its sites, partners and ways between them, and what it sells."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from twin.scenario.base import (
    CalendarRef,
    CarrierRef,
    Cost,
    Count,
    DurationMs,
    Id,
    ItemId,
    ItemRef,
    LaneFrom,
    LaneTo,
    Model,
    Percent,
    Period,
    Positive,
    ShareRate,
    SupplierRef,
    TimeOfDay,
    Tuple,
    WarehouseRef,
    Weights,
    at_least_one,
    refuse,
    shorthand,
)
from twin.scenario.distributions import DistributionSpec, PriceTable, quantile_ms
from twin.scenario.policies import CONTINUOUS, Review
from twin.scenario.times import DAYS, Day
from twin.scenario.units import DAY_MS, Share
from twin.streams.distributions import Fixed

__all__ = [
    "Assortment",
    "Carrier",
    "DropShip",
    "Item",
    "Lane",
    "LaneCost",
    "PickTime",
    "Pickup",
    "Stock",
    "Supplier",
    "Warehouse",
]

Report = Literal["picked", "packed", "shipped"]
Milestone = Literal["picked_up", "in_transit", "out_for_delivery", "delivered"]
AbcClass = Literal["A", "B", "C"]


class PickTime(Model):
    """Time one picker takes: for the order, and added for each line and unit."""

    order: DurationMs = 0
    """For each order"""
    line: DurationMs = 0
    """For each line of it"""
    unit: DurationMs = 0
    """For each unit of a line"""
    kind: Literal["fixed", "exponential"] = "fixed"
    """Exponential: the sum is the mean of an exponential draw"""
    drawn: DistributionSpec | None = None
    """Added to the sum, drawn for each order; nothing unless given"""

    @property
    def told_ms(self) -> int:
        """What customers are told for an order of one line, in ms: of what is drawn, the 90% quantile."""
        return self.order + self.line + (0 if self.drawn is None else quantile_ms(self.drawn, 9, 10))


class Pickup(Model):
    """When a carrier's truck leaves the warehouse."""

    carrier: CarrierRef
    """Whose truck"""
    at: Annotated[Tuple[TimeOfDay], AfterValidator(at_least_one)]
    """Times of day in the zone of the warehouse's calendar"""
    days: Annotated[Tuple[Day], AfterValidator(at_least_one)] = DAYS
    """Days on which it comes"""
    capacity: Positive | None = None
    """Parcels that one pickup takes; no limit unless given"""


class Counting(Model):
    """Cycle counts, which tell the engine what is really there."""

    every: Period
    """Time between two counts"""


class Warehouse(Model):
    """A stocking location with its pickers and truck times."""

    id: Id
    """Name that others refer to"""
    calendar: CalendarRef = "always"
    """When picking happens"""
    pickers: Positive | None = None
    """Picks that can go on at once; no limit unless given"""
    pick_time: PickTime = PickTime()
    """Time of one picker for one order"""
    reports: Tuple[Report] = ("shipped",)
    """What the warehouse reports to the engine"""
    cut_off: TimeOfDay | None = None
    """Orders captured before it are promised for the same day"""
    dock_to_stock: DistributionSpec = Fixed(0)
    """From arrival at the dock to being available"""
    counting: Counting | None = None
    """Cycle counts; none unless given"""
    shrink: ShareRate = Share(ppm=0, per_ms=DAY_MS)
    """Share of the units on hand that vanishes unseen"""
    pickups: Tuple[Pickup] = ()
    """Carriers' trucks; a carrier without any takes parcels as they come"""
    latency: DistributionSpec = Fixed(200)
    """Of a message to or from it, each way"""


class DropShip(Model):
    """A supplier ships to the customer itself, from a dock that lanes start at by the supplier's id."""

    handling: DurationMs = 0
    """Working time from an order to its parcel"""
    cut_off: TimeOfDay | None = None
    """What is ordered before it leaves the same day"""
    pickups: Tuple[Pickup] = ()
    """Carriers' trucks; a carrier without any takes parcels as they are ready"""


class Supplier(Model):
    """A source of purchased goods."""

    id: Id
    """Name that others refer to"""
    calendar: CalendarRef = "always"
    """Its working days; lead times count working time"""
    acknowledgement: DistributionSpec | None = None
    """Time until a purchase order is acknowledged (855); never unless given"""
    lead_time: DistributionSpec
    """From purchase order to arrival at the dock"""
    order_cost: Cost | None = None
    """Charged for each purchase order; nothing unless given"""
    minimum_order: Count = 0
    """Units below which an order is not taken"""
    capacity: Positive | None = None
    """Units it ships in one working day; no limit unless given"""
    drop_ship: DropShip | None = None
    """How it ships to customers; not at all unless given"""
    latency: DistributionSpec = Fixed(200)
    """Of a message to or from it, each way"""


def _delivers(milestones: tuple[Milestone, ...]) -> tuple[Milestone, ...]:
    if "delivered" not in milestones:
        raise refuse("'delivered' is missing; without it no order would ever end")
    return milestones


class Carrier(Model):
    """Takes parcels from warehouses to regions."""

    id: Id
    """Name that others refer to"""
    calendar: CalendarRef = "always"
    """Hours in which it delivers"""
    transit_counts: Literal["elapsed", "working_time"] = "elapsed"
    """Whether a transit goes on while the carrier is closed; working time stands still then"""
    milestones: Annotated[Tuple[Milestone], AfterValidator(_delivers)] = ("picked_up", "delivered")
    """What it reports to the engine"""
    latency: DistributionSpec = Fixed(200)
    """Of a message to or from it, each way"""


class LaneCost(Model):
    """Freight."""

    shipment: Cost | None = None
    """For each shipment"""
    unit: Cost | None = None
    """For each unit in it"""


class Lane(Model):
    """A carrier's way from a warehouse to a region."""

    from_: Annotated[LaneFrom, Field(alias="from")]
    """Warehouse it begins at, or supplier that ships to customers"""
    to: LaneTo
    """Region it serves"""
    carrier: CarrierRef
    """Who drives"""
    transit: DistributionSpec
    """From leaving the warehouse to the customer"""
    promise: DurationMs | None = None
    """Transit that customers are told; the 90% quantile of `transit` unless given"""
    cost: LaneCost = LaneCost()
    """Freight"""

    @property
    def promise_ms(self) -> int:
        """Transit that customers are told, in ms."""
        return quantile_ms(self.transit, 9, 10) if self.promise is None else self.promise


class Item(Model):
    """A stock-keeping unit."""

    id: ItemId
    """Any text without '/'"""
    description: str = ""
    """What it is"""
    price: Cost
    """List price of one unit"""
    cost: Cost
    """Standard cost of one unit"""
    supplier: SupplierRef | None = None
    """Who it is bought from unless a replenishment rule says otherwise"""
    lead_time: DistributionSpec | None = None
    """Instead of the supplier's"""
    drop_ship: SupplierRef | None = None
    """Supplier that sends it straight to the customer; rules for all items leave it out"""
    pack: Positive | None = None
    """Units in a pack: it is bought in whole packs only. Single units unless given"""


class Stock(Model):
    """Opening stock of one item in one warehouse."""

    warehouse: WarehouseRef
    """Where"""
    item: ItemRef
    """What"""
    on_hand: Count
    """Units at the start"""


def _placement() -> dict[AbcClass, int]:
    return {"A": 3, "B": 2, "C": 1}


def _service() -> dict[AbcClass, int]:
    return {"A": 950_000, "B": 950_000, "C": 950_000}


def _each_class(value: object) -> object:
    return value if isinstance(value, dict) else {"A": value, "B": value, "C": value}


class ClassBorders(Model):
    """Where the classes end in the cumulative share of order lines; the rest is C."""

    A: Percent = 800_000
    """The best items with this share of the lines are A"""
    B: Percent = 950_000
    """Up to this share they are B"""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.A <= self.B <= 1_000_000:
            raise refuse("class borders must rise from A to B and end at 100% at most")
        return self


class Assortment(Model):
    """Rules by which items, their suppliers, stock and replenishment are derived instead of listed."""

    kind: Literal["derived"]
    """The only kind"""
    count: Positive | None = None
    """Items of generated demand; a book brings its own"""
    price: PriceTable | None = None
    """Quantiles of list prices; the order book's prices unless given"""
    cost: Percent = 550_000
    """Standard cost as a share of the price"""
    suppliers: Weights[SupplierRef]
    """Share of the items that each supplier makes"""
    classes: ClassBorders = ClassBorders()
    """Borders of the ABC classes"""
    warehouses: Tuple[WarehouseRef] = ()
    """Warehouses that stock these items; all unless given"""
    placement: dict[AbcClass, Positive] = Field(default_factory=_placement)
    """Number of warehouses that stock an item of the class"""
    service: Annotated[dict[AbcClass, Percent], shorthand(_each_class)] = Field(default_factory=_service)
    """Wanted cycle service, for all classes or by class"""
    review: Review = CONTINUOUS
    """When stock is reviewed"""
    cover: DurationMs = 30 * DAY_MS
    """Demand that an order brings stock up to, beyond its lead time"""
    opening: DurationMs = 45 * DAY_MS
    """Demand that the opening stock covers"""

    @model_validator(mode="after")
    def _all_classes(self) -> Self:
        for name in ("placement", "service"):
            missing = [letter for letter in ("A", "B", "C") if letter not in getattr(self, name)]
            if missing:
                raise refuse(f"{name} says nothing about class {' and '.join(missing)}")
        return self
