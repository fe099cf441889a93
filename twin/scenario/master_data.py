"""Master data of items and suppliers that changes in the middle of a run, and how the ERP tells the engine."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from twin.scenario.base import AnyItemRef, Count, DurationMs, Model, Positive, SupplierRef, Tuple, refuse
from twin.scenario.distributions import DistributionSpec

__all__ = ["MasterChange", "MasterData", "MasterSync"]


class MasterSync(Model):
    """When the ERP sends its records to the engine, in messages that pass its interface."""

    every: DurationMs | None = None
    """From one time to the next; what changes is sent as it changes unless given"""
    offset: DurationMs = 0
    """The first time, counted from the start of the run; one period after it unless given"""
    sends: Literal["changes", "all"] = "changes"
    """What has changed since, or every record, so that what was lost or mapped wrongly is put right"""

    @model_validator(mode="after")
    def _timed(self) -> Self:
        if self.every is None and (self.offset or self.sends == "all"):
            raise refuse("offset and sends are about a sync that has its times; give every")
        if self.every is not None and self.every < 1_000:
            raise refuse("every: a sync comes a second after another at least; write a duration such as 4h")
        return self


class MasterChange(Model):
    """One value is otherwise from some time on: in reality at once, in the ERP when it hears of it, in the engine's
    copy when that is told."""

    at: DurationMs
    """When, counted from the start of the run"""
    item: AnyItemRef | None = None
    """Which item, for lead_time, pack and status; `*` for all that are listed or derived"""
    supplier: SupplierRef | None = None
    """Which supplier, for minimum_order"""
    lead_time: DistributionSpec | None = None
    """Of its supplier, from now on"""
    pack: Positive | None = None
    """Units in a pack: its supplier refuses an order over broken packs"""
    status: Literal["active", "blocked"] | None = None
    """Whether it is sold and made: its supplier refuses an order over a blocked item"""
    minimum_order: Count | None = None
    """Units in a purchase order at least: the supplier refuses a smaller one"""
    known: DurationMs = 0
    """How much later the ERP hears of it"""
    mistake: bool = False
    """It is no change at all: somebody enters a wrong value into the ERP, and reality stays as it is"""

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = {
            "lead_time": self.lead_time,
            "pack": self.pack,
            "status": self.status,
            "minimum_order": self.minimum_order,
        }
        if sum(value is not None for value in given.values()) != 1:
            raise refuse("a change is of one of lead_time, pack, status and minimum_order; give one")
        of_item, of_supplier = self.item is not None, self.supplier is not None
        if of_item == of_supplier or of_supplier != (self.minimum_order is not None):
            raise refuse("minimum_order is of a supplier, and anything else of an item; give that one")
        if self.mistake and self.known:
            raise refuse("a mistake is known to nobody but the ERP, when it is made; leave known out")
        return self

    @property
    def field(self) -> str:
        """What becomes otherwise."""
        given = {"lead_time": self.lead_time, "pack": self.pack, "status": self.status}
        return next((name for name, value in given.items() if value is not None), "minimum_order")


class MasterData(Model):
    """Records of items and suppliers in several systems: the ERP's are the master, and the engine decides by a copy."""

    sync: MasterSync = MasterSync()
    """How the copy follows"""
    changes: Tuple[MasterChange] = ()
    """What becomes otherwise"""
