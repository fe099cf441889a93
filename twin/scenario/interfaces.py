"""Interfaces between the engine and its partners, and what goes wrong in them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from twin.scenario.base import DurationMs, Id, InterfaceRef, Model, PartnerRef, Positive
from twin.scenario.distributions import DistributionSpec

__all__ = ["Interface", "Outage", "Queue"]


class Queue(Model):
    """How calls wait for a worker."""

    discipline: Literal["fifo", "lifo", "criticality"] = "fifo"
    """First come first served, last come first served, or most critical first"""
    bound: Positive | None = None
    """Most calls that may wait; one more is turned away and counts as failed. No bound unless given"""
    expired: Literal["served", "dropped"] = "served"
    """What becomes of a call whose sender has given it up while it waited"""


class Interface(Model):
    """What stands between the engine and a partner and serves its calls; without one they reach it unhindered."""

    id: Id
    """Name that faults refer to"""
    to: PartnerRef
    """Partner behind it: `warehouse/...`, `supplier/...`, `erp` or `marketplace/...`"""
    workers: Positive
    """Calls that are worked on at once"""
    service: DistributionSpec
    """Time that a call takes a worker"""
    queue: Queue = Queue()
    """How calls wait"""


class Outage(Model):
    """An interface begins no call for a while; what it is working on it finishes."""

    kind: Literal["outage"]
    """The only kind"""
    interface: InterfaceRef
    """Where"""
    from_: Annotated[DurationMs, Field(alias="from")]
    """Beginning, counted from the start of the run"""
    for_: Annotated[DurationMs, Field(alias="for")]
    """Length"""
    calls: Literal["held", "turned_away"] = "held"
    """Whether calls wait in the queue meanwhile, or fail at once"""
