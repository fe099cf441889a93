"""What a scenario's outcome is held against: that makes a scenario a regression test."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from twin.scenario.base import Model, Percent, ToleranceValue, Value, refuse
from twin.scenario.units import format_decimal

__all__ = ["Expectation", "Invariants", "MeasureBound", "Reference", "Replications", "Settled"]


class MeasureBound(Model):
    """A measure lies within bounds, or near a value.

    Values are in the measure's unit: `93%` is 0.93 of 1, `2h` is milliseconds, `12.50 GBP` minor units.
    """

    kind: Literal["measure"]
    """A measure of one run"""
    name: str
    """Name of the measure"""
    at_least: Value | None = None
    """Lower bound"""
    at_most: Value | None = None
    """Upper bound"""
    equals: Value | None = None
    """Expected value; needs `within`"""
    within: ToleranceValue | None = None
    """How far off it may be: `0.5%` of the value, or `0.01` itself"""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        bounded = self.at_least is not None or self.at_most is not None
        if (self.equals is None) != (self.within is None):
            raise refuse("equals and within go together; give both or neither")
        if bounded == (self.equals is not None):
            raise refuse("give at_least, at_most or both, or equals with within")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise refuse(
                f"at_least {format_decimal(self.at_least)} is above at_most {format_decimal(self.at_most)}; "
                "nothing could pass"
            )
        return self


class Replications(Model):
    """Seeds 1 to n: a sample for every day, all of them for a full check."""

    sample: Annotated[int, Field(ge=2)] = 4
    """Seeds of the quick check"""
    full: Annotated[int, Field(ge=2)] = 30
    """Seeds of the full check"""


class Reference(Model):
    """A known result: it lies inside the confidence interval of the measure's mean over seeds 1 to n."""

    kind: Literal["reference"]
    """A measure over many seeds"""
    name: str
    """Name of the measure"""
    value: Value
    """The known result"""
    half_width: Percent = 10_000
    """The interval's half-width is at most this share of the value"""
    confidence: Percent = 999_000
    """Of the interval"""
    replications: Replications = Replications()
    """Seeds"""

    @model_validator(mode="after")
    def _level(self) -> Self:
        if not 0 < self.confidence < 1_000_000:
            raise refuse("confidence must be above 0% and below 100%")
        return self


class Invariants(Model):
    """Nothing lost, nothing doubled, nothing left over."""

    kind: Literal["invariants"]
    """The invariants of the log"""
    which: Literal["all"] = "all"
    """All of them"""


class Settled(Model):
    """At the end nothing is left over: every order is done or in a visible exception, and no reservation, timer or
    delivery is left. Give the run a `drain` that is long enough: this is a drill's liveness phase."""

    kind: Literal["settled"]
    """What is left at the end"""


Expectation = Annotated[MeasureBound | Reference | Invariants | Settled, Field(discriminator="kind")]
