"""Interfaces between the engine and its partners: what serves calls, how they wait, and who answers for it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import PlainSerializer, PlainValidator

from twin.scenario import units
from twin.scenario.base import DurationMs, EventRate, Id, Model, PartnerRef, Percent, Positive, WrittenAs, refuse
from twin.scenario.distributions import DistributionSpec
from twin.streams.distributions import Fixed

__all__ = ["Interface", "Objective", "Queue", "RateLimit", "Token"]


class Queue(Model):
    """How calls wait for a worker."""

    discipline: Literal["fifo", "lifo", "criticality"] = "fifo"
    """First come first served, last come first served, or most critical first"""
    bound: Positive | None = None
    """Most calls that may wait; one more is turned away and counts as failed. No bound unless given"""
    expired: Literal["served", "dropped"] = "served"
    """What becomes of a call whose sender has given it up while it waited"""


class RateLimit(Model):
    """Calls beyond it are answered 429 with the time after which to try again."""

    rate: EventRate
    """Calls in the long run"""
    burst: Positive = 1
    """Calls at once"""


class Token(Model):
    """The sender's credentials expire; the first call after that is answered 401 and has them renewed."""

    lifetime: DurationMs
    """How long they are good for"""
    renewal: DurationMs
    """Time until new ones are there; calls meanwhile are answered 401"""


class Objective(Model):
    """What the owner of an interface has promised of it."""

    latency: DurationMs
    """From call to answer"""
    share: Percent
    """Of all calls"""


def _dedupe(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if value == "off":
        return 0
    try:
        return units.parse_duration(value)
    except ValueError as error:
        raise refuse(f"{error}, or off") from None


def _dedupe_text(value: int) -> str:
    return units.format_duration(value) if value else "off"


Dedupe = Annotated[
    int,
    PlainValidator(_dedupe),
    PlainSerializer(_dedupe_text, return_type=str),
    WrittenAs("duration `30d` or `off`"),
]
"""Milliseconds; 0 is off."""


class Interface(Model):
    """What stands between the engine and a partner; without one, and without faults, calls reach it unhindered."""

    id: Id
    """Name that faults refer to"""
    to: PartnerRef
    """Partner behind it: `warehouse/...`, `supplier/...` or `erp`"""
    workers: Positive | None = None
    """Calls that are worked on at once; any number unless given"""
    service: DistributionSpec = Fixed(0)
    """Time that a call takes a worker"""
    queue: Queue = Queue()
    """How calls wait"""
    rate_limit: RateLimit | None = None
    """Calls that it lets through; any number unless given"""
    token: Token | None = None
    """Credentials that it wants; none unless given"""
    dedupe: Dedupe = 30 * units.DAY_MS
    """How long the partner recognizes a delivery that it has acted on"""
    owner: str = ""
    """Who answers for it"""
    criticality: Literal["A", "B", "C", ""] = ""
    """Business class of the interface itself"""
    slo: Objective | None = None
    """What its owner promises"""
    version: str = ""
    """Of the contract that it speaks"""
    contract: str = ""
    """Where that contract stands"""
