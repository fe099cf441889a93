"""What goes wrong with messages at interfaces, by kind and by the time at which it does.

Kinds have the names of Toxiproxy, Chaos Mesh or Jepsen where these have one; each docstring says which.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from twin.scenario.base import (
    ChannelRef,
    Count,
    DurationMs,
    Id,
    InterfaceGlob,
    Model,
    Percent,
    Period,
    Positive,
    SomeRate,
    refuse,
)
from twin.scenario.distributions import DistributionSpec
from twin.streams.distributions import Fixed

__all__ = [
    "Auth",
    "BadAddress",
    "BadMasterData",
    "ClockSkew",
    "ConsumerCrash",
    "DoubledFile",
    "Duplicate",
    "Error",
    "Fault",
    "FaultBase",
    "Freeze",
    "LateFile",
    "Latency",
    "Loss",
    "Markov",
    "Outage",
    "PartialFile",
    "Poison",
    "RateLimited",
    "RedriveStorm",
    "Reorder",
    "ReplyLate",
    "ReplyLost",
    "SchemaDrift",
    "StaleSnapshot",
    "When",
    "WrongAnswer",
]


def _probability(ppm: int) -> int:
    if ppm > 1_000_000:
        raise refuse("a probability is 100% at most")
    return ppm


Probability = Annotated[Percent, AfterValidator(_probability)]
Direction = Literal["call", "reply"]


class Markov(Model):
    """The fault comes and goes: up and down by turns, each for a time drawn anew (Gilbert 1960)."""

    up: DistributionSpec
    """Time without the fault; a run begins with it"""
    down: DistributionSpec
    """Time with the fault"""

    @model_validator(mode="after")
    def _slow(self) -> Self:
        if self.up.expected() < 1_000:
            raise refuse("up is less than a second on average; let the fault come less often")
        return self


class When(Model):
    """The fault begins by what happens; `for` says how long it takes."""

    backlog_above: Positive | None = None
    """More calls than this wait at the interface: a millisecond later, once"""
    at_cut_off: DurationMs | None = None
    """So long before each truck of the warehouse, or each file's cut-off, that is behind the interface"""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.backlog_above is None) == (self.at_cut_off is None):
            raise refuse("when needs one of backlog_above and at_cut_off")
        return self


class FaultBase(Model):
    """Where, when and how often; without a word about time, always."""

    id: Id | None = None
    """Name in the truth and in its draws; the kind and the interface unless given"""
    interface: InterfaceGlob
    """Where: an id, or a pattern such as `supplier.*` or `*`"""
    endpoint: str = "*"
    """Messages it is about, a pattern over types such as `supplier.purchase_order`"""
    tenant: ChannelRef | None = None
    """Only messages about orders of this channel; of all unless given"""
    probability: Probability = 1_000_000
    """Chance of each attempt to be hit"""
    from_: Annotated[DurationMs, Field(alias="from")] = 0
    """Beginning, counted from the start of the run"""
    for_: Annotated[DurationMs | None, Field(alias="for")] = None
    """Length; to the end of the run unless given"""
    markov: Markov | None = None
    """Comes and goes in that time"""
    when: When | None = None
    """Begins by what happens, not by the clock"""
    ramp: DurationMs = 0
    """Time in which the probability grows from 0 to its value"""

    @model_validator(mode="after")
    def _timing(self) -> Self:
        if self.when is not None and self.markov is not None:
            raise refuse("when and markov both say when the fault begins; give one")
        if self.when is not None and self.for_ is None:
            raise refuse("a fault that begins by when needs its length; give for")
        if self.when is not None and self.from_:
            raise refuse("when says when the fault begins; leave from out")
        return self


class _Ends(FaultBase):
    """A fault that has an end: nothing would move any more without one."""

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.for_ is None and self.markov is None:
            raise refuse(f"this {self.kind} would never end; give for, or markov")  # type: ignore[attr-defined]
        return self


class Outage(_Ends):
    """No call is begun for a while; what is being worked on is finished (Toxiproxy `down`, Chaos Mesh `partition`)."""

    kind: Literal["outage"]
    """The interface is down"""
    direction: Direction = "call"
    """Which way; replies wait at the partner until it is over"""
    calls: Literal["held", "turned_away"] = "held"
    """Whether calls wait in the queue meanwhile, or fail at once"""

    @model_validator(mode="after")
    def _turned(self) -> Self:
        if self.direction == "reply" and self.calls == "turned_away":
            raise refuse("replies are not turned away; leave calls out, or lose them by a fault of kind loss")
        return self


class Latency(FaultBase):
    """Messages take longer (Toxiproxy `latency`, Chaos Mesh `delay`); a heavy tail comes by the distribution."""

    kind: Literal["latency"]
    """The network is slow"""
    direction: Direction = "call"
    """Which way"""
    delay: DistributionSpec
    """Added to the interface's latency"""


class Freeze(_Ends):
    """Workers hang: what they are at is finished when the fault is over at the earliest (Jepsen `pause`)."""

    kind: Literal["freeze"]
    """The counterpart's process stands still"""


class Error(FaultBase):
    """A call that was worked on fails and nothing was done (Chaos Mesh HTTP `abort`, Toxiproxy `reset_peer`)."""

    kind: Literal["error"]
    """The counterpart fails"""
    class_: Annotated[Literal["retryable", "permanent", "unknown"], Field(alias="class")] = "retryable"
    """Answered as failed, as refused, or not at all"""


class ReplyLost(FaultBase):
    """What was asked is done, and the answer to the call is lost (Jepsen's indeterminate `info`)."""

    kind: Literal["reply_lost"]
    """Done, but nobody hears"""


class ReplyLate(FaultBase):
    """What was asked is done, and the answer to the call comes late, past the timeout it may be."""

    kind: Literal["reply_late"]
    """Done, but heard too late"""
    delay: DistributionSpec
    """Added to the answer's latency"""


class Duplicate(FaultBase):
    """A message arrives twice (Chaos Mesh `duplicate`)."""

    kind: Literal["duplicate"]
    """A second copy"""
    direction: Direction = "call"
    """Which way"""
    after: DistributionSpec = Fixed(0)
    """How much later the copy comes"""


class Loss(FaultBase):
    """A message never arrives (Chaos Mesh `loss`)."""

    kind: Literal["loss"]
    """The network loses it"""
    direction: Direction = "call"
    """Which way; a reply may be any message of the partner, such as `supplier.acknowledge`"""


class Reorder(FaultBase):
    """Some messages are held up, so that later ones overtake them (Chaos Mesh `reorder`)."""

    kind: Literal["reorder"]
    """Later messages come first"""
    direction: Direction = "call"
    """Which way"""
    probability: Probability = 250_000
    """Chance of each attempt to be held up"""
    delay: DistributionSpec
    """How long"""


class Poison(FaultBase):
    """A message that the counterpart cannot digest: every attempt of it fails, after it was worked on."""

    kind: Literal["poison"]
    """Fails however often it is sent"""
    probability: Probability = 10_000
    """Share of messages that are poison; the same draw at every attempt"""


class SchemaDrift(FaultBase):
    """The counterpart reads or writes another version: it refuses calls as malformed, or its dates are misread."""

    kind: Literal["schema_drift"]
    """Versions that do not fit"""
    misread_by: DurationMs | None = None
    """Shift of the date in an 855, which passes for right; calls are refused unless given"""


class RateLimited(FaultBase):
    """The counterpart takes fewer calls than it did, and answers 429 to the rest."""

    kind: Literal["rate_limit"]
    """Too many requests"""
    rate: SomeRate
    """Calls that are let through"""
    burst: Positive = 1
    """Calls that are let through at once"""


class Auth(FaultBase):
    """The credentials are not accepted: every call is answered 401 and counts as failed."""

    kind: Literal["auth"]
    """Unauthorized"""


class ClockSkew(FaultBase):
    """The counterpart's clock is off (Chaos Mesh `TimeChaos`, Jepsen `clock-skew`): by 1h for daylight saving."""

    kind: Literal["clock_skew"]
    """Times in its messages are shifted"""
    offset: DurationMs
    """By how much"""
    clock: Literal["ahead", "behind"] = "ahead"
    """Which way"""


class WrongAnswer(FaultBase):
    """The 855 is valid and wrong: the goods come, and come when they come, whatever it says."""

    kind: Literal["wrong_answer"]
    """Wrong, and nobody can tell"""
    says: Literal["early", "late", "rejected"] = "early"
    """That the goods come too early or too late, or that the order is not taken"""
    shift: DurationMs | None = None
    """By how much the date is off; for early and late"""

    @model_validator(mode="after")
    def _shifted(self) -> Self:
        if (self.shift is None) != (self.says == "rejected"):
            raise refuse("shift is by how much the date is off; give it for early and late, and only there")
        return self


class ConsumerCrash(FaultBase):
    """The counterpart's process dies over a call and is back at once (Jepsen `kill`)."""

    kind: Literal["consumer_crash"]
    """Dies at the worst moment"""
    at: Literal["before_commit", "after_commit"] = "before_commit"
    """Before what was asked is done, or after it and before the answer"""
    forgets: bool = False
    """Whether its memory of what it did is lost, so that a repetition is done again"""


class LateFile(FaultBase):
    """A batch file comes late."""

    kind: Literal["late_file"]
    """The file is late"""
    file: Literal["calls", "reports"] = "calls"
    """Which files: with calls, or with what the partner sends"""
    probability: Probability = 1_000_000
    """Chance of each file"""
    delay: DistributionSpec
    """By how much"""


class PartialFile(FaultBase):
    """A batch file is truncated, or holed: some of its messages never arrive."""

    kind: Literal["partial_file"]
    """Messages are missing"""
    file: Literal["calls", "reports"] = "calls"
    """Which files: with calls, or with what the partner sends"""
    probability: Probability = 100_000
    """Share of the messages that are missing; with `missing: tail` the chance of each file"""
    missing: Literal["some", "tail"] = "some"
    """Whether messages here and there are missing, or all from some place in the file on"""


class DoubledFile(FaultBase):
    """A batch file is handed over twice."""

    kind: Literal["doubled_file"]
    """The file comes again"""
    file: Literal["calls", "reports"] = "calls"
    """Which files: with calls, or with what the partner sends"""
    probability: Probability = 1_000_000
    """Chance of each file"""
    after: DistributionSpec = Fixed(0)
    """How much later"""


class StaleSnapshot(FaultBase):
    """A stock count says what the last good one said: a feed that goes on with old content."""

    kind: Literal["stale_snapshot"]
    """Old numbers"""
    stamped: Literal["anew", "as_taken"] = "anew"
    """Whether it claims to be new, or tells after which movement it was taken"""


class RedriveStorm(_Ends):
    """A tool sends all dead letters of the interface again and again, without looking how it is doing."""

    kind: Literal["redrive_storm"]
    """Dead letters come back all at once"""
    every: Period = 60_000
    """Time between two rounds"""


class BadMasterData(FaultBase):
    """Records of items and suppliers are mapped wrongly on their way from the ERP, and the engine decides by them until
    they come again; what is physically so stays as it is."""

    kind: Literal["bad_master_data"]
    """A wrong copy"""
    defect: Literal["wrong", "missing", "duplicate"] = "wrong"
    """Another value, none, or an older record that comes behind the good one and replaces it"""
    record: str = "*"
    """Which ones, a pattern over the ids of items, or of suppliers for minimum_order"""
    lead_time: DurationMs | None = None
    """The wrong value; for wrong"""
    pack: Count | None = None
    """The wrong value; for wrong"""
    status: Literal["active", "blocked"] | None = None
    """The wrong value; for wrong"""
    minimum_order: Count | None = None
    """The wrong value; for wrong"""
    field: Literal["lead_time", "pack", "status", "minimum_order"] | None = None
    """What is missing or old; for missing and duplicate"""

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        given = sum(value is not None for value in self._values().values())
        if self.defect == "wrong" and (given != 1 or self.field is not None):
            raise refuse(f"a wrong record has one wrong value; give one of {', '.join(self._values())}, and no field")
        if self.defect != "wrong" and (given or self.field is None):
            raise refuse(f"give the field that is {'missing' if self.defect == 'missing' else 'old'}, and no value")
        return self

    @property
    def about(self) -> str:
        """The field that is bad."""
        return self.field or next(name for name, value in self._values().items() if value is not None)

    @property
    def wrong(self) -> int:
        """The wrong value: ms, units, or 1 for blocked; 0 for none."""
        return self.lead_time or self.pack or self.minimum_order or int(self.status == "blocked")

    def _values(self) -> dict[str, object]:
        return {
            "lead_time": self.lead_time,
            "pack": self.pack,
            "status": self.status,
            "minimum_order": self.minimum_order,
        }


class BadAddress(FaultBase):
    """The customer's address is bad in the master data: a parcel goes astray, or the warehouse refuses the order."""

    kind: Literal["bad_address"]
    """Where is it to go?"""
    defect: Literal["wrong", "missing"] = "wrong"
    """The carrier cannot deliver, reports an exception and tries again when the address is put right; or there is none,
    and the warehouse refuses the order until somebody who looks at it sends it again"""
    corrected: DurationMs | None = None
    """Time from the carrier's exception until the address is put right, 1d unless given; for wrong"""

    @model_validator(mode="after")
    def _parcels(self) -> Self:
        if self.endpoint != "*":
            raise refuse("an address is on an order to ship, and on nothing else; leave endpoint out")
        if self.corrected is not None and self.defect == "missing":
            raise refuse("a missing address is put right by whoever sends the dead letter again; leave corrected out")
        return self


Fault = Annotated[
    Outage
    | Latency
    | Freeze
    | Error
    | ReplyLost
    | ReplyLate
    | Duplicate
    | Loss
    | Reorder
    | Poison
    | SchemaDrift
    | RateLimited
    | Auth
    | ClockSkew
    | WrongAnswer
    | ConsumerCrash
    | LateFile
    | PartialFile
    | DoubledFile
    | StaleSnapshot
    | RedriveStorm
    | BadMasterData
    | BadAddress,
    Field(discriminator="kind"),
]
