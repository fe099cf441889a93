"""Interfaces between the engine and its partners: what serves calls, how they wait, and who answers for it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PlainSerializer, PlainValidator, model_validator

from twin.scenario import units
from twin.scenario.base import (
    CalendarRef,
    DurationMs,
    Id,
    Model,
    PartnerRef,
    Percent,
    Positive,
    PositiveMs,
    SomeRate,
    WrittenAs,
    refuse,
)
from twin.scenario.distributions import DistributionSpec
from twin.streams.distributions import Fixed

__all__ = [
    "Batch",
    "Edi",
    "Interface",
    "Objective",
    "Queue",
    "RateLimit",
    "Redelivery",
    "Rollout",
    "RolloutStep",
    "Token",
]


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

    rate: SomeRate
    """Calls in the long run"""
    burst: Positive = 1
    """Calls at once"""


class Token(Model):
    """The sender's credentials expire; the first call after that is answered 401 and has them renewed."""

    lifetime: PositiveMs
    """How long they are good for"""
    renewal: DurationMs
    """Time until new ones are there; the call that finds them expired, and those meanwhile, are answered 401"""


class Batch(Model):
    """Messages are collected and go in files, counted from the start of the run."""

    every: PositiveMs
    """From file to file"""
    cut_off: DurationMs = 0
    """What does not come earlier than this before a file goes with the next"""
    carries: Literal["calls", "reports", "both"] = "calls"
    """What goes in files: calls, what the partner sends, or both; the rest goes at once"""
    size: Positive | None = None
    """Most messages in a file; what is too much goes first with the next. Any number unless given"""


class Edi(Model):
    """Messages are translated, and calls acknowledged by their translator (X12 997), or rejected (999)."""

    translation: DistributionSpec
    """Of a message, either way"""
    acknowledgement: DistributionSpec
    """From a call's translation to its 997 or 999"""


class Redelivery(Model):
    """The broker delivers an event again whose consumer failed at it: at least once, where it is at most once else."""

    after: DurationMs = 30_000
    """How much later"""
    times: Positive = 5
    """Most times; then the broker gives it up"""


class RolloutStep(Model):
    """One side goes over to the new version, instance by instance."""

    from_: Annotated[DurationMs, Field(alias="from")]
    """When the first does, counted from the start of the run"""
    for_: Annotated[DurationMs, Field(alias="for")] = 0
    """Time until all have: the share of those that have grows evenly"""


class Rollout(Model):
    """A new version of the contract; meanwhile messages are written, and read, in the one or the other."""

    to: str
    """The version after `version`"""
    of: Literal["calls", "reports"] = "calls"
    """Of the engine's calls, or of what the partner sends of its own; answers to calls are read in any version"""
    sender: RolloutStep
    """The side that writes: the engine's for calls, the partner's for reports"""
    reader: RolloutStep
    """The side that reads"""
    reads: Literal["own", "older", "any"] = "own"
    """What the reader's instances can read: their own version, what is older too once they are new, or any version (a
    tolerant reader). A call that cannot be read is refused for good"""
    again: PositiveMs | None = None
    """How much later the partner sends a report again that could not be read, 5m unless given; for reports"""

    @model_validator(mode="after")
    def _sent_again(self) -> Self:
        if self.again is not None and (self.of == "calls" or self.reads == "any"):
            raise refuse("again is about reports that cannot be read, and here there are none; leave it out")
        return self


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
    """Partner behind it: `warehouse/...`, `supplier/...`, `carrier/...`, `erp` or `marketplace/...`"""
    style: Literal["api", "event", "batch", "edi", "manual"] = "api"
    """`api` is answered when it was worked on, and so is a `batch` file; `event` when it is taken in, `edi` by a 997;
    `manual` is an api of people in their hours"""
    batch: Batch | None = None
    """Schedule of the files; for style batch"""
    edi: Edi | None = None
    """Translation and acknowledgement; for style edi"""
    redelivery: Redelivery | None = None
    """Delivers events again that were not finished; for style event. None unless given"""
    calendar: CalendarRef | None = None
    """Hours in which people work; for style manual"""
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
    rollout: Rollout | None = None
    """A new version that comes in the middle of the run"""
    contract: str = ""
    """Where that contract stands"""

    @model_validator(mode="after")
    def _styled(self) -> Self:
        for style, key in (("batch", "batch"), ("edi", "edi"), ("manual", "calendar")):
            if (self.style == style) != (getattr(self, key) is not None):
                what = "needs" if self.style == style else "has no use for"
                raise refuse(f"style {self.style} {what} {key}")
        if self.redelivery is not None and self.style != "event":
            raise refuse(f"style {self.style} has no use for redelivery")
        if self.rollout is not None and self.rollout.to == self.version:
            raise refuse(f"rollout: it leads from version '{self.version}' to itself; give another version")
        if self.rollout is not None and not (self.version and self.rollout.to):
            raise refuse("rollout: it leads from one version to another; give the interface its version, and to")
        if self.style == "manual" and self.workers is None:
            raise refuse("style manual needs workers")
        return self
