"""The modeled interface in front of a party: what serves its calls, in which order, and what goes wrong on the way.

A call passes the network, the door (which may turn it away), the queue and a worker, and only then reaches the party.
What the party sends passes the interface on its way back. An attempt that its sender has given up waits and is served
all the same (dead work), unless the interface drops what has expired.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from twin.core.commands import External
from twin.core.effects import Delivery
from twin.core.master import CRITICALITIES
from twin.streams import Distribution, Fixed
from twin.world.faults import Answer, Copy, Crash, Delay, Down, Fault, Lose, Shift, Throttle, TokenBucket
from twin.world.kernel import Actor, Phase

if TYPE_CHECKING:
    from twin.world.business import Business
    from twin.world.party import Party

__all__ = ["Interface", "InterfaceConfig"]


class InterfaceConfig(Struct, frozen=True):
    """`workers` (0: any number) serve calls of `service` ms each, in the order of `discipline`: fifo, lifo or
    criticality.

    `bound` is how many may wait (0: any number), `drops_expired` whether a call is dropped unread once its sender has
    given it up. `limit` bounds the calls let in, credentials are good for `token_ms` (0: none are wanted) and take
    `renewal_ms` to renew. `triggers` are the backlogs that set a fault off, with the id of its clock.
    """

    workers: int = 0
    service: Distribution = Fixed(0)
    discipline: str = "fifo"
    bound: int = 0
    drops_expired: bool = False
    limit: Throttle | None = None
    token_ms: int = 0
    renewal_ms: int = 0
    triggers: tuple[tuple[int, str], ...] = ()


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
        # Faults under way since when, those that close the whole interface, and all of them by where they are met.
        self.since: dict[str, int] = {}
        self.closed = 0
        self.met: dict[str, tuple[Fault, ...]] = {}
        # Calls that an outage of their endpoint holds, that hang in a worker, and whose answers are to be lost.
        self.aside: list[tuple[int, int, Delivery]] = []
        self.hanging: list[Delivery] = []
        self.muted: dict[tuple[str, int], None] = {}
        self.buckets: dict[str, TokenBucket] = {}
        self.token_from = 0
        self.token_until = 0

    def start(self) -> None:
        """Credentials are fresh when the run begins."""
        self.token_until = self.world.now + self.config.token_ms

    # --- faults

    def fail(self, fault: Fault) -> None:
        """A fault begins. What is being worked on is finished, unless the fault is that it is not."""
        world = self.world
        self.since[fault.id] = world.now
        self.met[fault.stage] = (*self.met.get(fault.stage, ()), fault)
        world.truth.record(world.now, "fault.began", self.id, detail=f"{fault.id} {fault.kind}")
        if isinstance(fault.what, Down) and fault.whole:
            self.closed += 1
            for _, _, call in sorted(self.queue, key=lambda row: row[:2]):
                self._note(fault, call.key, call.attempt)

    def heal(self, fault: Fault) -> None:
        """A fault ends; calls go on once every change of this instant is known, so that none slips through a gap
        between two faults that touch."""
        world = self.world
        del self.since[fault.id]
        left = tuple(other for other in self.met[fault.stage] if other.id != fault.id)
        if left:
            self.met[fault.stage] = left
        else:
            del self.met[fault.stage]
        self.buckets.pop(fault.id, None)
        world.truth.record(world.now, "fault.ended", self.id, detail=f"{fault.id} {fault.kind}")
        if isinstance(fault.what, Down):
            self.closed -= fault.whole
            world.post(self.resume, None, 0, Phase.GOODS)
        elif fault.stage == "finish":
            world.post(self.thaw, None, 0, Phase.RELEASE)

    def resume(self, message: None) -> None:
        """Begin what waited for the end of an outage."""
        for row in self.aside:
            heappush(self.queue, row)
        self.aside = []
        self._dispatch()

    def thaw(self, message: None) -> None:
        """Workers go on with what they hung at."""
        hung, self.hanging = self.hanging, []
        for call in hung:
            self.finish(call)

    def _meets(self, stage: str, call: Delivery, *, turned_away: bool = False) -> Iterator[Fault]:
        """The faults that this attempt is hit by at a stage, each noted in the truth; on demand those outages only
        that turn calls away."""
        for fault in self.met.get(stage, ()):
            if turned_away and not (isinstance(fault.what, Down) and fault.what.turns_away):
                continue
            if fault.about(_type(call.effect)) and fault.hits(self.world, self.since[fault.id], call.key, call.attempt):
                self._note(fault, call.key, call.attempt)
                yield fault

    def _note(self, fault: Fault, key: str, attempt: int) -> None:
        self.world.truth.record(self.world.now, "fault.hit", key, self.id, "", attempt, f"{fault.id} {fault.kind}")

    def _fault_ms(self, distribution: Distribution, fault: Fault, key: str, attempt: int) -> int:
        return max(0, self.world.streams.draw(distribution, "fault", fault.id, "ms", key, attempt))

    # --- calls

    def receive(self, message: Delivery) -> None:
        """A call is on its way to the door."""
        if "way" not in self.met:
            self.enter(message)
            return
        delay, copies, lost = 0, [], False
        for fault in self._meets("way", message):
            what = fault.what
            if isinstance(what, Lose):
                lost = True
            elif isinstance(what, Delay):
                delay += self._fault_ms(what.by, fault, message.key, message.attempt)
            elif isinstance(what, Copy):
                copies.append(self._fault_ms(what.after, fault, message.key, message.attempt))
        if lost:
            return
        for after in [0, *copies]:
            if delay + after:
                self.world.post(self.enter, message, delay + after, Phase.RELEASE)
            else:
                self.enter(message)

    def enter(self, call: Delivery) -> None:
        """A call is at the door: it is let in, or turned away."""
        config, now = self.config, self.world.now
        for _ in self._meets("queue", call, turned_away=True):
            self._turn_away(call, "unavailable")
            return
        for fault in self._meets("door", call):
            what = fault.what
            if isinstance(what, Throttle):
                bucket = self.buckets.get(fault.id)
                if bucket is None:
                    bucket = self.buckets[fault.id] = TokenBucket(what.count, what.per_ms, what.burst)
                wait = bucket.take(now)
                if not wait:
                    continue
                self._turn_away(call, "429 too many requests", wait)
            elif isinstance(what, Answer):
                self._turn_away(call, what.reason, outcome=what.outcome)
            return
        if config.limit is not None:
            limit = config.limit
            wait = self.buckets.setdefault("", TokenBucket(limit.count, limit.per_ms, limit.burst)).take(now)
            if wait:
                self._turn_away(call, "429 too many requests", wait)
                return
        if config.token_ms and not self._token_good():
            self._turn_away(call, "401 unauthorized")
            return
        self.admit(call)

    def _token_good(self) -> bool:
        """Whether the credentials are good now; the first call after they are not has them renewed."""
        now, config = self.world.now, self.config
        if now >= self.token_until:
            self.token_from = now + config.renewal_ms
            self.token_until = self.token_from + config.token_ms
        return now >= self.token_from

    def admit(self, call: Delivery) -> None:
        """A call waits its turn, if there is room."""
        config = self.config
        held = [fault for fault in self._meets("queue", call) if not fault.whole]
        if config.bound and len(self.queue) + len(self.aside) >= config.bound:
            self._turn_away(call, "queue full")
            return
        self.arrived += 1
        rank = 0
        if config.discipline == "criticality":
            known = call.criticality in CRITICALITIES
            rank = CRITICALITIES.index(call.criticality) if known else len(CRITICALITIES)
        place = -self.arrived if config.discipline == "lifo" else self.arrived
        if held:
            self.aside.append((rank, place, call))
        else:
            heappush(self.queue, (rank, place, call))
            self._dispatch()
        for backlog, clock in config.triggers:
            if len(self.queue) + len(self.aside) > backlog:
                self.world.actors[clock].receive(None)

    def _turn_away(self, call: Delivery, reason: str, retry_after_ms: int = 0, outcome: str = "failed") -> None:
        self.world.truth.record(self.world.now, "call.turned_away", call.key, self.id, "", call.attempt, reason)
        self._answer(call, outcome, reason, retry_after_ms)

    def _answer(self, call: Delivery, outcome: str, reason: str, retry_after_ms: int = 0) -> None:
        behind: Party = self.world.actors[self.party]  # type: ignore[assignment]
        self._send_back(behind.transport(call, outcome, reason, retry_after_ms), Phase.GOODS, call)

    def _dispatch(self) -> None:
        config, world, queue = self.config, self.world, self.queue
        while queue and not self.closed and (not config.workers or self.busy < config.workers):
            row = heappop(queue)
            call = row[2]
            if config.drops_expired and call.expires_at and call.expires_at <= world.now:
                world.truth.record(world.now, "call.expired", call.key, self.id, "", call.attempt)
                continue
            if "queue" in self.met and list(self._meets("queue", call)):
                self.aside.append(row)
                continue
            self.begin(call)

    def begin(self, call: Delivery) -> None:
        """A worker takes a call."""
        config, world = self.config, self.world
        self.busy += 1
        duration = max(0, world.streams.draw(config.service, "service", self.id, call.key, call.attempt))
        if duration or config.workers:
            world.post(self.finish, call, duration, Phase.RELEASE)
        else:
            self._complete(call)

    def finish(self, call: Delivery) -> None:
        """A worker is done with a call, and free for the next."""
        self._complete(call)
        self._dispatch()

    def _complete(self, call: Delivery) -> None:
        """The party has a call that was worked on, unless the worker hangs or something went wrong with it."""
        if list(self._meets("finish", call)):
            self.hanging.append(call)
            return
        self.busy -= 1
        behind: Party = self.world.actors[self.party]  # type: ignore[assignment]
        for fault in self._meets("work", call):
            what = fault.what
            if isinstance(what, Answer):
                if what.outcome:
                    self._answer(call, what.outcome, what.reason)
                return
            if isinstance(what, Crash):
                if what.after_commit:
                    if behind.link.acknowledge:
                        self.muted[call.key, call.attempt] = None
                    behind.receive(call)
                if what.forgets:
                    behind.forget()
                return
        behind.receive(call)

    # --- replies

    def reply(self, command: External, phase: Phase, call: Delivery | None) -> None:
        """The party sends a message: an answer to a `call`, or something of its own."""
        if call is not None and self.muted and (call.key, call.attempt) in self.muted:
            del self.muted[call.key, call.attempt]
            return
        self._send_back(command, phase, call)

    def _send_back(self, command: External, phase: Phase, call: Delivery | None) -> None:
        behind: Party = self.world.actors[self.party]  # type: ignore[assignment]
        if "reply" not in self.met:
            behind.send(command, phase, 0)
            return
        types = [_type(command)]
        if call is not None:
            key, attempt, draw_key = call.key, call.attempt, call.key
            types.append(_type(call.effect))
        else:
            # The message's own id: a delivery may lead to several, each with its own luck.
            key, attempt, draw_key = getattr(command, "causation", "") or command.id, 0, command.id
        delay, copies, lost = 0, [], False
        for fault in self.met["reply"]:
            what = fault.what
            fields: dict[str, int] = {}
            if isinstance(what, Shift):
                fields = {name: getattr(command, name, 0) for name in what.fields}
                fields = {name: max(0, at + what.by_ms) for name, at in fields.items() if at}
                if not fields or not what.by_ms:
                    continue
            if (fault.answers_only and call is None) or not fault.about(*types):
                continue
            if not fault.hits(self.world, self.since[fault.id], draw_key, attempt):
                continue
            self._note(fault, key, attempt)
            if isinstance(what, Lose):
                lost = True
            elif isinstance(what, Delay):
                delay += self._fault_ms(what.by, fault, draw_key, attempt)
            elif isinstance(what, Copy):
                copies.append(self._fault_ms(what.after, fault, draw_key, attempt))
            else:
                command = structs.replace(command, **fields)
        for after in [] if lost else [0, *copies]:
            behind.send(command, phase, delay + after)


def _type(message: Struct) -> str:
    """What a message is called in the log: `supplier.purchase_order`."""
    return str(message.__struct_config__.tag)
