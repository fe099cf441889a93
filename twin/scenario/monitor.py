"""The monitor: which alerts are raised from the log, how late they are known, and when nobody sees anything."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from twin.scenario.base import (
    KNOWN,
    DurationMs,
    Id,
    Model,
    Percent,
    Period,
    Positive,
    Tuple,
    WrittenAs,
    at_least_one,
    refuse,
)
from twin.scenario.errors import choices
from twin.scenario.limits import UNITS_MAX

__all__ = ["Alert", "Blind", "Monitor"]


def _glob(value: str) -> str:
    known = KNOWN.get()
    if known is None or "partner" not in known.ids:
        return value
    partners = known.ids["partner"]
    if not any(fnmatchcase(partner, value) for partner in partners):
        raise refuse(choices("partner", "partners", value, partners), bare=True)
    return value


GatewayGlob = Annotated[str, AfterValidator(_glob), WrittenAs("pattern of partners")]
"""`warehouse/*`, `supplier/acme`, `erp` or `*`."""
Number = Annotated[int, Field(ge=0, le=UNITS_MAX)]


def _above_zero(value: int) -> int:
    if value < 1:
        raise refuse("give more than 0s")
    return value


def _share(value: int) -> int:
    if value >= 1_000_000:
        raise refuse("no share is above 100%; the alert would never be raised")
    return value


class _Rule(Model):
    id: Id
    """Name of the alert"""
    gateway: GatewayGlob = "*"
    """Partners that are watched, each by itself: `warehouse/*`, `supplier/acme`, `erp`"""
    lasting: DurationMs = 0
    """The signal must have been above for so long"""
    delay: DurationMs = 0
    """From the look that sees it to the alert"""


class DeadLetters(_Rule):
    """Messages that were given up and are not sent again yet."""

    kind: Literal["dead_letters"]
    """Dead letters"""
    above: Number = 0
    """Raised above so many"""


class OpenDeliveries(_Rule):
    """Messages that are not settled: on their way, waiting, or to be repeated."""

    kind: Literal["open_deliveries"]
    """Messages not settled"""
    above: Number
    """Raised above so many"""


class QueueAge(_Rule):
    """Age of the oldest message that is not settled."""

    kind: Literal["queue_age"]
    """Age of the oldest one"""
    above: DurationMs
    """Raised above it"""


class ErrorRate(_Rule):
    """Share of the attempts that ended lately without success: refused, failed, or not answered in time."""

    kind: Literal["error_rate"]
    """Share of attempts without success"""
    above: Annotated[Percent, AfterValidator(_share)]
    """Raised above it"""
    over: Annotated[DurationMs, AfterValidator(_above_zero)]
    """Attempts that ended in this time"""
    calls: Positive = 1
    """Not raised on fewer attempts than these"""


Alert = Annotated[DeadLetters | OpenDeliveries | QueueAge | ErrorRate, Field(discriminator="kind")]


class Blind(Model):
    """Telemetry does not arrive. What came and went in this time is never seen; the monitor goes on after it."""

    from_: Annotated[DurationMs, Field(alias="from")]
    """Beginning, counted from the start of the run"""
    for_: Annotated[DurationMs, Field(alias="for"), AfterValidator(_above_zero)]
    """Length"""


class Monitor(Model):
    """Who watches the log. It changes nothing in the run."""

    every: Period = 60_000
    """Time between two looks"""
    alerts: Annotated[Tuple[Alert], AfterValidator(at_least_one)]
    """What is alerted"""
    blind: Tuple[Blind] = ()
    """When the monitor sees nothing"""
