"""What people do in the middle of a run: when, who, how long it takes them to begin, and what it costs."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from twin.scenario.base import (
    CarrierRef,
    ChannelRef,
    Cost,
    Count,
    DurationMs,
    Id,
    InterfaceRef,
    Model,
    Period,
    RegionRef,
    SortedKeys,
    WarehouseRef,
    at_least_one,
    refuse,
)
from twin.scenario.distributions import DistributionSpec
from twin.streams.distributions import Fixed

__all__ = [
    "Condition",
    "ExtendPromises",
    "Intervention",
    "PauseBatch",
    "Redrive",
    "ShiftCarrier",
    "ShiftVolume",
    "StopShip",
    "ZeroFeed",
]


class Condition(Model):
    """What somebody looks at; the intervention begins once, when it is so."""

    dead_letters_above: Count | None = None
    """More dead letters than these"""
    open_deliveries_above: Count | None = None
    """More messages that are not settled than these"""
    tickets_above: Count | None = None
    """More tickets about silent partners than these"""
    gateway: str = "*"
    """Partners that messages are counted of: a pattern such as `supplier/*`"""
    look: Period = 600_000
    """How often somebody looks"""

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = (self.dead_letters_above, self.open_deliveries_above, self.tickets_above)
        if sum(value is not None for value in given) != 1:
            raise refuse("when needs one of dead_letters_above, open_deliveries_above and tickets_above")
        if self.tickets_above is not None and self.gateway != "*":
            raise refuse("gateway: tickets are counted of all partners; leave gateway out")
        return self


class _Intervention(Model):
    id: Id | None = None
    """Name in the log; its kind unless given"""
    at: DurationMs | None = None
    """When it is decided, counted from the start of the run"""
    when: Condition | None = None
    """Or what must be so"""
    by_hand: bool = False
    """Or whenever somebody asks for it: `Simulation.intervene`, or `twin resume --intervene`"""
    actor: Annotated[str, Field(min_length=1)] = "operations"
    """Who does it"""
    delay: DistributionSpec = Fixed(0)
    """From the decision to the doing"""
    cost: Cost | None = None
    """What it costs; nothing unless given"""

    @model_validator(mode="after")
    def _begins(self) -> Self:
        if (self.at is not None) + (self.when is not None) + self.by_hand != 1:
            raise refuse("an intervention begins at a time, when something is so, or by hand; give at, when or by_hand")
        return self


class _Lasting(_Intervention):
    for_: Annotated[DurationMs | None, Field(alias="for")] = None
    """How long, from the doing; to the end of the run unless given"""


class Redrive(_Intervention):
    """Dead letters are sent again, with their keys."""

    kind: Literal["redrive"]
    """Restart what was given up"""
    gateway: str = "*"
    """Of which partners: a pattern such as `erp` or `supplier/*`"""


class StopShip(_Lasting):
    """Open orders are held: what is not released yet stays where it is until the end of it."""

    kind: Literal["stop_ship"]
    """Hold orders"""
    channel: ChannelRef | None = None
    """Of one channel; of all unless given"""


class ZeroFeed(_Lasting):
    """A marketplace is told that there is nothing to sell."""

    kind: Literal["zero_feed"]
    """Take everything off a marketplace"""
    channel: ChannelRef
    """Which"""


class ShiftVolume(_Lasting):
    """Orders of regions go to other warehouses first; what is released already stays."""

    kind: Literal["shift_volume"]
    """Prefer another warehouse"""
    preferred: Annotated[dict[RegionRef, WarehouseRef], SortedKeys, AfterValidator(at_least_one)]
    """Preferred warehouse by region; it holds where `preferred_node` is among the sourcing rules"""


class ShiftCarrier(_Lasting):
    """Parcels that would go with one carrier go with another, where a lane of it serves the same way; what is released
    already stays."""

    kind: Literal["shift_carrier"]
    """Ship with another carrier"""
    carrier: CarrierRef
    """Instead of which"""
    to: CarrierRef
    """With which"""


class PauseBatch(_Lasting):
    """The job that makes an interface's batch files is stopped: what is to go waits for the first file after it."""

    kind: Literal["pause_batch"]
    """Stop a batch job"""
    interface: InterfaceRef
    """Of which interface, of style batch"""


class ExtendPromises(_Lasting):
    """New promises are later than otherwise; those given are kept."""

    kind: Literal["extend_promises"]
    """Promise later"""
    by: DurationMs
    """By how much"""


Intervention = Annotated[
    Redrive | StopShip | ZeroFeed | ShiftVolume | ShiftCarrier | ExtendPromises | PauseBatch,
    Field(discriminator="kind"),
]
