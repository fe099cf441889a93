"""Disruptions of the world itself, switched on and off in the first phase of an instant. No policy is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from twin.world.kernel import Actor, Phase

if TYPE_CHECKING:
    from twin.world.business import Business

__all__ = ["Closure", "Disruption", "DisruptionClock", "Standstill"]


class Disruption(Struct, frozen=True):
    """From `begins_at` to `ends_at` (ms) something of the kind happens to the actor `hits`; `lane` and `share` (parts
    per million that are left) where the kind needs them."""

    id: str
    kind: str
    hits: str
    begins_at: int
    ends_at: int
    lane: tuple[str, str] = ("", "")
    left_ppm: int = 1_000_000


class Closure(Actor):
    """An actor that disruptions happen to."""

    def disrupted(self, disruption: Disruption, begins: bool) -> None:
        """A disruption begins, or ends."""
        raise TypeError(f"{self.id} knows no {disruption.kind}")


class DisruptionClock(Actor):
    """Switches one disruption on and off."""

    world: Business

    def __init__(self, disruption: Disruption) -> None:
        super().__init__(f"disruption/{disruption.id}")
        self.disruption = disruption

    def start(self) -> None:
        """Set it on the clock; one of no length never happens."""
        what, now = self.disruption, self.world.now
        if what.ends_at > max(what.begins_at, now):
            self.world.post(self.receive, True, max(what.begins_at, now) - now, Phase.FAULT)
            self.world.post(self.receive, False, what.ends_at - now, Phase.FAULT)

    def receive(self, message: bool) -> None:
        """It begins (true) or ends."""
        what, world = self.disruption, self.world
        word = "began" if message else "ended"
        world.truth.record(world.now, f"fault.{word}", what.hits, detail=f"{what.id} {what.kind}")
        hit = world.actors[what.hits]
        if isinstance(hit, Closure):
            hit.disrupted(what, message)


class Standstill(Struct):
    """For how long something has stood still so far: closures may overlap, and count once."""

    closures: int = 0
    since: int = 0
    lost_ms: int = 0

    def change(self, begins: bool, now: int) -> bool:
        """One more closure, or one less; whether it moves again now."""
        if begins:
            self.closures += 1
            if self.closures == 1:
                self.since = now
            return False
        self.closures -= 1
        if self.closures:
            return False
        self.lost_ms += now - self.since
        return True

    def at(self, now: int) -> int:
        """The time lost up to now, in ms."""
        return self.lost_ms + (now - self.since if self.closures else 0)
