"""Services outside that decide in the engine's place."""

from __future__ import annotations

from typing import Literal

from twin.scenario.base import Id, Model, Positive, ServiceRef
from twin.scenario.distributions import DistributionSpec
from twin.streams.distributions import Fixed

__all__ = ["DecidedOutside", "PromisedOutside", "ReleasedOutside", "Service"]


class Service(Model):
    """A service that is asked for decisions; simulated time stands still while the real one thinks."""

    id: Id
    """Name that policies refer to; interfaces and faults know it as `decision/` and the name"""
    address: str = ""
    """Where the real one is, as `http://127.0.0.1:8080` or `stdio:COMMAND`; the command line may say it instead"""
    latency: DistributionSpec = Fixed(20)
    """Of a question or an answer, each way"""
    thinking: DistributionSpec = Fixed(0)
    """Simulated time from question to answer"""


class DecidedOutside(Model):
    """Which service decides, and what holds where it gives no decision that can be carried out."""

    service: ServiceRef
    """Who is asked"""
    attempts: Positive = 2
    """Questions about an order in a row; each waits as `policies.delivery.decision` says"""
    otherwise: Literal["rules", "reject", "hold"] = "rules"
    """Then: the rules decide, the units are rejected, or the order is held until somebody releases it"""


class PromisedOutside(Model):
    """Which service promises. An order goes on while it is asked."""

    service: ServiceRef
    """Who is asked"""


class ReleasedOutside(Model):
    """Which service says whether an order may go to its warehouses; one that may not is held."""

    service: ServiceRef
    """Who is asked"""
    otherwise: Literal["release", "hold"] = "release"
    """Where it gives no answer: the order goes, or is held until somebody releases it"""
