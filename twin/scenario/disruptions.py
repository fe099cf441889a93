"""What goes wrong with the world itself: places that close, people who are missing, customers who come all at once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from twin.scenario.base import (
    CarrierRef,
    ChannelRef,
    DurationMs,
    Id,
    LaneFrom,
    LaneTo,
    Model,
    Percent,
    SupplierRef,
    WarehouseRef,
    refuse,
)

__all__ = [
    "CapacityCut",
    "CarrierClosed",
    "DemandSpike",
    "Disruption",
    "LaneClosed",
    "SupplierClosed",
    "WarehouseClosed",
]


def _less(ppm: int) -> int:
    if ppm > 1_000_000:
        raise refuse("a cut leaves 100% at most; write the share that is left")
    return ppm


def _thousandfold(ppm: int) -> int:
    if ppm > 1_000_000_000:
        raise refuse("more than a thousand customers for one are too many; write 100000% at most")
    return ppm


More = Annotated[Percent, AfterValidator(_thousandfold)]
Left = Annotated[Percent, AfterValidator(_less)]


class _Disruption(Model):
    """When, counted from the start of the run."""

    id: Id | None = None
    """Name in the truth; the kind and what is hit unless given"""
    from_: Annotated[DurationMs, Field(alias="from")]
    """Beginning, counted from the start of the run"""
    for_: Annotated[DurationMs, Field(alias="for")]
    """Length"""


class WarehouseClosed(_Disruption):
    """Nothing is picked, loaded or put away; picks under way are finished, and their parcels and goods at the dock
    wait."""

    kind: Literal["warehouse_closed"]
    """A site is closed"""
    warehouse: WarehouseRef
    """Which"""


class SupplierClosed(_Disruption):
    """The plant stands still: what is not shipped yet comes later by as long as that; orders are still taken."""

    kind: Literal["supplier_closed"]
    """A plant is closed"""
    supplier: SupplierRef
    """Which"""


class CarrierClosed(_Disruption):
    """A carrier's network stands still: parcels in its hands, and those it still collects, go on by as much later."""

    kind: Literal["carrier_closed"]
    """A carrier is on strike"""
    carrier: CarrierRef
    """Which"""


class LaneClosed(_Disruption):
    """The way from one place to one region is closed: parcels on it go on by as much later."""

    kind: Literal["lane_closed"]
    """A way is closed"""
    lane_from: Annotated[LaneFrom, Field(alias="lane_from")]
    """Where it begins"""
    lane_to: Annotated[LaneTo, Field(alias="lane_to")]
    """Where it ends"""


class CapacityCut(_Disruption):
    """Pickers are missing: those at work finish what they are at. Of several cuts the deepest counts."""

    kind: Literal["capacity_cut"]
    """Fewer people"""
    warehouse: WarehouseRef
    """Where"""
    to: Left
    """Share of the pickers that is left, rounded down"""


class DemandSpike(_Disruption):
    """More customers come than otherwise, in a stream of their own: the others order what they would have ordered."""

    kind: Literal["demand_spike"]
    """Everybody orders at once"""
    channel: ChannelRef
    """Where"""
    by: More
    """Further orders as a share of the usual ones: `200%` makes three of one"""


Disruption = Annotated[
    WarehouseClosed | SupplierClosed | CarrierClosed | LaneClosed | CapacityCut | DemandSpike,
    Field(discriminator="kind"),
]
