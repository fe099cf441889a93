"""What the log of another system calls the places of a scenario that was made from it."""

from __future__ import annotations

from pydantic import Field

from twin.scenario.base import CarrierRef, ChannelRef, ItemRef, Model, RegionRef, Tuple, WarehouseRef

__all__ = ["LogNames"]


class LogNames(Model):
    """What a foreign log calls the places here, as `twin calibrate` writes it: by it such a log is read where this
    scenario is a base. What is not listed is the place `other`, where there is one."""

    origin: Tuple[str] = ()
    """Fields of the log that say together, parted by spaces, where goods come from"""
    sites: dict[str, WarehouseRef] = Field(default_factory=dict)
    """Warehouses by the log's origins"""
    regions: dict[str, RegionRef] = Field(default_factory=dict)
    """Regions by the log's regions"""
    carriers: dict[WarehouseRef, CarrierRef] = Field(default_factory=dict)
    """Who takes the parcels of a warehouse, whatever the log calls its carriers"""
    items: dict[WarehouseRef, ItemRef] = Field(default_factory=dict)
    """The item that stands for whatever customers order from a warehouse"""
    channel: ChannelRef | None = None
    """The channel of all orders, whatever the log calls its channels"""
    currency: str | None = None
    """The log's currency where it is none of a scenario's: its amounts stand here digit by digit"""
