"""The rules of the business as data, and what its stock and shortages cost."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, model_serializer, model_validator

from twin.scenario import units
from twin.scenario.base import (
    AnyItemRef,
    ChargeRate,
    Cost,
    DurationMs,
    Level,
    Model,
    Percent,
    Positive,
    RegionRef,
    SortedKeys,
    SupplierRef,
    TimeOfDay,
    Tuple,
    WarehouseRef,
    WrittenAs,
    at_least_one,
    priced,
    refuse,
    shorthand,
)
from twin.scenario.delivery import DeliveryPolicies
from twin.scenario.services import DecidedOutside, PromisedOutside, ReleasedOutside

__all__ = [
    "CONTINUOUS",
    "BaseStock",
    "Costs",
    "HoldingCharge",
    "MinMax",
    "Policies",
    "ReorderPoint",
    "Replenishment",
    "Review",
    "ReviewSpec",
    "Sourcing",
    "ToOrder",
]

SourcingRule = Literal["preferred_node", "ranked_nodes", "minimize_splits", "nearest", "cheapest", "most_stock"]


def _unless_continuous(value: Any) -> Any:
    """`continuous` as the map it stands for."""
    if value == "continuous":
        return {}
    if isinstance(value, str):
        raise refuse(f"unknown value '{value}'; write continuous or a map with a period")
    return value


# --- replenishment


class ReviewSpec(Model):
    """When stock is looked at: at every change, or every so often."""

    every: DurationMs | None = None
    """Period; at every change of the stock unless given"""
    offset: DurationMs = 0
    """First review, counted from the start of the run"""

    @property
    def continuous(self) -> bool:
        """Whether stock is reviewed at every change."""
        return self.every is None

    @model_serializer
    def _written(self) -> Any:
        if self.every is None:
            return "continuous"
        return {"every": units.format_duration(self.every), "offset": units.format_duration(self.offset)}

    @model_validator(mode="after")
    def _period(self) -> Self:
        if self.every == 0:
            raise refuse("a review every 0s never moves on; write continuous or a period such as 1d")
        if self.every is None and self.offset:
            raise refuse("an offset needs a period; write {every: 1d, offset: 6h}")
        return self


Review = Annotated[ReviewSpec, shorthand(_unless_continuous), WrittenAs("`continuous` or `{every: 1d, offset: 0s}`")]
"""`continuous`, or `{every: 1d, offset: 0s}`."""
CONTINUOUS = ReviewSpec()


class _Rule(Model):
    warehouse: WarehouseRef
    """Where the stock is"""
    item: AnyItemRef
    """What is bought; '*' for all items without a rule of their own"""
    supplier: SupplierRef | None = None
    """Who it is bought from; the item's supplier unless given"""
    alternates: Tuple[SupplierRef] = ()
    """Who is asked in turn where the one before could not be; with policies.delivery.supplier.fallback"""


class MinMax(_Rule):
    """(s,S): at or below `s` in position, order up to `S`."""

    kind: Literal["min_max"]
    """(s,S)"""
    s: Level
    """Order at or below this position"""
    S: Level
    """Order up to this position"""
    review: Review = CONTINUOUS
    """When the position is looked at"""

    @model_validator(mode="after")
    def _up(self) -> Self:
        if self.s >= self.S:
            raise refuse(f"S is {self.S} and s is {self.s}; S must be above s")
        return self


class ReorderPoint(_Rule):
    """(r,Q): at or below `r` in position, order multiples of `Q`."""

    kind: Literal["reorder_point"]
    """(r,Q)"""
    r: Level
    """Order at or below this position"""
    Q: Positive
    """Order multiples of this quantity"""
    review: Review = CONTINUOUS
    """When the position is looked at"""


class BaseStock(_Rule):
    """At each review, order up to `S`."""

    kind: Literal["base_stock"]
    """Order-up-to"""
    S: Level
    """Order up to this position"""
    review: Review = CONTINUOUS
    """When the position is looked at"""


class ToOrder(_Rule):
    """Not stocked: each shortage buys exactly what is short."""

    kind: Literal["to_order"]
    """Buy to order"""


Replenishment = Annotated[MinMax | ReorderPoint | BaseStock | ToOrder, Field(discriminator="kind")]


# --- orders


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise refuse(f"'{name}' stands twice in it; keep its better place")
    return names


class Sourcing(Model):
    """Which warehouse serves an order."""

    rules: Annotated[Tuple[SourcingRule], AfterValidator(at_least_one)] = (
        "preferred_node",
        "minimize_splits",
        "nearest",
    )
    """Ranked rules; the first that does not tie decides"""
    preferred: Annotated[dict[RegionRef, WarehouseRef], SortedKeys] = Field(default_factory=dict)
    """Preferred warehouse of a region"""
    ranking: Annotated[Tuple[WarehouseRef], AfterValidator(_once)] = ()
    """Warehouses for `ranked_nodes`, best first, in all regions; those left out come after, all alike"""
    split_lines: bool = True
    """Whether one line may come from several warehouses"""
    outside: DecidedOutside | None = None
    """A service that decides instead of the rules; none unless given"""

    @model_validator(mode="after")
    def _ranked(self) -> Self:
        if "ranked_nodes" in self.rules and not self.ranking:
            raise refuse("ranked_nodes goes by the ranking, and there is none; give ranking: [best, next, ...]")
        return self


class Promise(Model):
    """Which date a customer is told."""

    outside: PromisedOutside | None = None
    """A service that promises instead of the calendars, whose date holds where it gives none; none unless given"""


class Immediate(Model):
    """Release each order as soon as it is reserved."""

    kind: Literal["immediate"]
    """At once"""
    outside: ReleasedOutside | None = None
    """A service that is asked first whether an order may go; none unless given"""


class Waves(Model):
    """Collect orders and release them at fixed times."""

    kind: Literal["waves"]
    """In waves"""
    at: Annotated[Tuple[TimeOfDay], AfterValidator(at_least_one)]
    """Times of day in the zone of the warehouse's calendar"""
    outside: ReleasedOutside | None = None
    """A service that is asked first whether an order may go; none unless given"""


Release = Annotated[Immediate | Waves, Field(discriminator="kind")]


class Reservation(Model):
    """Stock held for an order that is not released yet."""

    expiry: DurationMs = 72 * 3_600_000
    """How long it is held"""


class Idempotency(Model):
    """How long repeated commands are recognized."""

    retention: DurationMs = 7 * units.DAY_MS
    """A command older than this is refused as expired"""


class Returns(Model):
    """When orders close."""

    window: DurationMs = 28 * units.DAY_MS
    """An invoiced order closes this long after delivery"""


class Backorder(Model):
    """How backorders are served."""

    batch: Positive = 50
    """Order lines handled in one step"""


class Policies(Model):
    """The rules of the business."""

    sourcing: Sourcing = Sourcing()
    """Which warehouse serves an order"""
    promise: Promise = Promise()
    """Which date a customer is told"""
    replenishment: Tuple[Replenishment] = ()
    """When and how much is bought"""
    release: Release = Immediate(kind="immediate")
    """When orders go to the warehouse"""
    reservation: Reservation = Reservation()
    """Stock held for orders"""
    delivery: DeliveryPolicies = DeliveryPolicies()
    """Messages to partners"""
    idempotency: Idempotency = Idempotency()
    """Repeated commands"""
    returns: Returns = Returns()
    """When orders close"""
    backorder: Backorder = Backorder()
    """How backorders are served"""


# --- costs


def _holding(value: object) -> units.Share | units.Charge:
    if isinstance(value, units.Share | units.Charge):
        return value
    try:
        if isinstance(value, str) and "%" in value:
            return units.parse_share(value)
        if isinstance(value, str) and "/unit" in value:
            return priced(units.parse_charge(value))
    except ValueError as error:
        raise refuse(str(error)) from None
    raise refuse(f"{value!r} is no holding cost; write 20%/year of the item's cost or 0.225 GBP/unit/year")


def _holding_text(value: units.Share | units.Charge) -> str:
    return units.format_share(value) if isinstance(value, units.Share) else units.format_charge(value)


Holding = Annotated[
    units.Share | units.Charge,
    PlainValidator(_holding),
    PlainSerializer(_holding_text, return_type=str),
    WrittenAs("`20%/year` or `0.225 GBP/unit/year`"),
]
"""A share of the item's cost each period, or money for each unit and period."""


class HoldingCharge(Model):
    """Whether stock and backorders are charged for at every moment, or as they stand at the end of a period."""

    end_of_period: DurationMs | None = None
    """Period, counted from the start of the run; continuous unless given"""

    @model_serializer
    def _written(self) -> Any:
        if self.end_of_period is None:
            return "continuous"
        return {"end_of_period": units.format_duration(self.end_of_period)}


class Penalty(Model):
    """What unserved demand costs."""

    per_unit_period: ChargeRate
    """For each backordered unit and period"""


class Costs(Model):
    """What stock and shortages cost."""

    holding: Holding = units.Share(ppm=0, per_ms=units.YEAR_MS)
    """Of stock: `20%/year` of the item's cost, or `0.225 GBP/unit/year`"""
    holding_charge: Annotated[
        HoldingCharge, shorthand(_unless_continuous), WrittenAs("`continuous` or `{end_of_period: 1d}`")
    ] = HoldingCharge()
    """`continuous`, or `{end_of_period: 1d}`; holds for the penalty too"""
    penalty: Penalty | None = None
    """Of backordered units; none unless given"""
    late: Percent | None = None
    """Share of an order's value that is forfeited when it is not delivered whole by the date asked for"""
    touch: Cost | None = None
    """Of each command that a person gives about an order, and of each ticket; none unless given"""
