"""Who holds the inventory: the engine, or a system outside where others may take from it, too."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from twin.scenario.base import DurationMs, ItemRef, Model, PositiveMs, SomeRate, Tuple, WarehouseRef, Weights, refuse
from twin.scenario.distributions import CountSpec, DistributionSpec
from twin.scenario.units import DAY_MS
from twin.streams.distributions import Fixed

__all__ = ["Inventory", "OtherDemand"]


class OtherDemand(Model):
    """Who takes goods past the engine, such as a counter: at random, evenly over time, if the holder has them."""

    warehouse: WarehouseRef
    """Where"""
    rate: SomeRate
    """Mean number of sales"""
    items: Weights[ItemRef] | None = None
    """Weights of the items; all that the warehouse opens with, alike, unless given"""
    quantity: CountSpec = Fixed(1)
    """Units of a sale"""
    collected: DurationMs = 0
    """After so long what is sold leaves the building; it is reserved meanwhile"""


class Inventory(Model):
    """Who says what is reserved. Outside the engine, reserving and releasing are calls."""

    held_by: Literal["engine", "erp", "service"] = "engine"
    """Who: the engine itself, the ERP, or a service of its own, which interfaces know as `inventory`"""
    latency: DistributionSpec | None = None
    """Of a message to or from the service, each way; 20ms unless given"""
    answering: DistributionSpec | None = None
    """Time the service takes over a call; none unless given. The ERP takes as long as over an invoice"""
    pause: PositiveMs = 900_000
    """After so long an order is sourced anew when nobody said what became of its call"""
    reconcile: DurationMs = DAY_MS
    """How often the reservations there are held against those of the engine, counted from the epoch; 0s for never"""
    others: Tuple[OtherDemand] = ()
    """Who else takes goods"""

    @model_validator(mode="after")
    def _held_outside(self) -> Self:
        given = [name for name in ("latency", "answering") if getattr(self, name) is not None]
        if given and self.held_by != "service":
            raise refuse(
                f"{' and '.join(given)} can have no effect: only a service has its own, and {self.held_by} holds the "
                "inventory; write held_by: service, or leave it out"
            )
        if self.held_by == "engine":
            named = [name for name in ("pause", "reconcile") if name in self.model_fields_set]
            if named:
                raise refuse(
                    f"{' and '.join(named)} can have no effect: the engine holds the inventory; write held_by: erp "
                    "or service, or leave it out"
                )
        return self
