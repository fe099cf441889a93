"""One step of the log, and the outcome of one decision."""

from __future__ import annotations

from msgspec import Struct

from twin.core.commands import Command
from twin.core.effects import Delivery
from twin.core.events import Event
from twin.core.refusals import Refusal

__all__ = ["Entry", "Outcome"]


class Outcome(Struct, frozen=True, gc=False):
    """What `Engine.decide` answers: events and deliveries, or a refusal and neither of them."""

    events: tuple[Event, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    refusal: Refusal | None = None


class Entry(Struct, frozen=True, gc=False, omit_defaults=True):
    """One step in the log: at `position` (from 1) and `now` (ms) this command led to these events and deliveries."""

    position: int
    now: int
    command: Command
    events: tuple[Event, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    refusal: Refusal | None = None
