"""The modeled interface in front of a party: what serves its calls, in which order, and when it is down.

A call waits for a free worker, is worked on for the service time, and only then reaches the party. An attempt that
its sender has given up waits and is served all the same (dead work), unless the interface drops what has expired.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from msgspec import Struct

from twin.core.effects import Delivery
from twin.core.master import CRITICALITIES
from twin.streams import Distribution
from twin.world.kernel import Actor, Phase

if TYPE_CHECKING:
    from twin.world.business import Business
    from twin.world.party import Party

__all__ = ["Interface", "InterfaceConfig", "Outage"]


class Outage(Struct, frozen=True):
    """From `begins_at` to `ends_at` (ms) no call is begun; what comes in is held in the queue, or turned away."""

    begins_at: int
    ends_at: int
    turns_away: bool


class InterfaceConfig(Struct, frozen=True):
    """`workers` serve calls of `service` ms each, in the order of `discipline`: fifo, lifo or criticality.

    `bound` is how many may wait (0: any number), `drops_expired` whether a call is dropped unread once its sender has
    given it up.
    """

    workers: int
    service: Distribution
    discipline: str = "fifo"
    bound: int = 0
    drops_expired: bool = False
    outages: tuple[Outage, ...] = ()


class Interface(Actor):
    """One interface; `party` is the id of who is behind it."""

    world: Business

    def __init__(self, id: str, party: str, config: InterfaceConfig) -> None:
        super().__init__(id)
        self.party = party
        self.config = config
        self.queue: list[tuple[int, int, Delivery]] = []
        self.arrived = 0
        self.busy = 0
        # Outages under way, and those of them that turn calls away: they may overlap.
        self.down = 0
        self.away = 0

    def start(self) -> None:
        """Set the outages on the clock."""
        world = self.world
        for outage in self.config.outages:
            if outage.ends_at > max(outage.begins_at, world.now):
                world.post(self.fail, outage, max(0, outage.begins_at - world.now), Phase.FAULT)
                world.post(self.heal, outage, outage.ends_at - world.now, Phase.FAULT)

    def fail(self, outage: Outage) -> None:
        """An outage begins: what is being worked on is finished, nothing new is begun."""
        self.down += 1
        self.away += outage.turns_away
        self.world.truth.record(self.world.now, "fault.began", self.id, detail="outage")

    def heal(self, outage: Outage) -> None:
        """An outage ends; calls are begun once every change of this instant is known, so none slips through a gap
        between two outages that touch."""
        self.down -= 1
        self.away -= outage.turns_away
        world = self.world
        world.truth.record(world.now, "fault.ended", self.id, detail="outage")
        world.post(self.resume, None, 0, Phase.GOODS)

    def resume(self, message: None) -> None:
        """Begin what waited for the end of an outage."""
        self._dispatch()

    def receive(self, message: Delivery) -> None:
        """A call comes in: it waits its turn, or is turned away."""
        config = self.config
        if self.away:
            self._turn_away(message, "unavailable")
            return
        if config.bound and len(self.queue) >= config.bound:
            self._turn_away(message, "queue full")
            return
        self.arrived += 1
        rank = 0
        if config.discipline == "criticality":
            known = message.criticality in CRITICALITIES
            rank = CRITICALITIES.index(message.criticality) if known else len(CRITICALITIES)
        place = -self.arrived if config.discipline == "lifo" else self.arrived
        heappush(self.queue, (rank, place, message))
        self._dispatch()

    def _turn_away(self, message: Delivery, reason: str) -> None:
        self.world.truth.record(self.world.now, "call.turned_away", message.key, self.id, "", message.attempt, reason)
        behind: Party = self.world.actors[self.party]  # type: ignore[assignment]
        behind.answer_transport(message, "failed", reason)

    def _dispatch(self) -> None:
        config, world, queue = self.config, self.world, self.queue
        while queue and self.busy < config.workers and not self.down:
            call = heappop(queue)[2]
            if config.drops_expired and call.expires_at and call.expires_at <= world.now:
                world.truth.record(world.now, "call.expired", call.key, self.id, "", call.attempt)
                continue
            self.begin(call)

    def begin(self, call: Delivery) -> None:
        """A worker takes a call."""
        world = self.world
        self.busy += 1
        duration = max(0, world.streams.draw(self.config.service, "service", self.id, call.key, call.attempt))
        world.post(self.finish, call, duration, Phase.RELEASE)

    def finish(self, call: Delivery) -> None:
        """A worker is done with a call: the party has it."""
        self.busy -= 1
        self.world.actors[self.party].receive(call)
        self._dispatch()
