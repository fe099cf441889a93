"""Master data of items that change in the middle of a run, and how the engine hears of it from the ERP."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from twin.scenario.base import AnyItemRef, DurationMs, Model, Positive, Tuple, refuse
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
    item: AnyItemRef
    """Which item; `*` for all that are listed or derived"""
    lead_time: DistributionSpec | None = None
    """Of its supplier, from now on"""
    pack: Positive | None = None
    """Units in a pack: its supplier refuses an order over broken packs"""
    status: Literal["active", "blocked"] | None = None
    """Whether it is sold and made: its supplier refuses an order over a blocked item"""
    known: DurationMs = 0
    """How much later the ERP hears of it"""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.lead_time, self.pack, self.status)) != 1:
            raise refuse("a change is of one of lead_time, pack and status; give one")
        return self


class MasterData(Model):
    """Records of items in several systems: the ERP's are the master, and the engine decides by a copy of them."""

    sync: MasterSync = MasterSync()
    """How the copy follows"""
    changes: Tuple[MasterChange] = ()
    """What becomes otherwise"""
