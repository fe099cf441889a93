"""How a call gets into an interface: over the network, translated or in a file, past limits and credentials.

Styles of interfaces differ in what stands before the queue, and in when a call is answered.
"""

from __future__ import annotations

from abc import abstractmethod

from msgspec import Struct

from twin.core.calendar import Calendar
from twin.core.commands import External
from twin.core.effects import Delivery
from twin.streams import Distribution, Fixed
from twin.world.exposed import Exposed
from twin.world.faults import Answer, Copy, Delay, Down, Lose, Throttle, TokenBucket
from twin.world.files import Batch, Row
from twin.world.kernel import Phase
from twin.world.versions import Rollout

__all__ = ["Door", "Edi", "InterfaceConfig", "Redelivery"]


class Edi(Struct, frozen=True):
    """A call is translated first; the 997 that acknowledges it, or the 999 that rejects it, comes later."""

    translation: Distribution
    acknowledgement: Distribution


class Redelivery(Struct, frozen=True):
    """A broker delivers an event that was not finished again, `after_ms` later and `times` times at most."""

    after_ms: int
    times: int


class InterfaceConfig(Struct, frozen=True):
    """`workers` (0: any number) serve calls of `service` ms each, in the order of `discipline`: fifo, lifo or
    criticality, in the hours of `calendar`.

    `bound` is how many may wait (0: any number), `drops_expired` whether a call is dropped unread once its sender has
    given it up. `limit` bounds the calls let in, credentials are good for `token_ms` (0: none are wanted) and take
    `renewal_ms` to renew. `triggers` are the backlogs that set a fault off, with the id of its clock. With
    `asynchronous` a call is answered when it is taken in, not when it was worked on.
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
    asynchronous: bool = False
    batch: Batch | None = None
    edi: Edi | None = None
    redelivery: Redelivery | None = None
    calendar: Calendar = Calendar("always")
    rollout: Rollout | None = None


class Door(Exposed):
    """The part of an interface before its queue."""

    def __init__(self, id: str, party: str, config: InterfaceConfig) -> None:
        super().__init__(id, party, asynchronous=config.asynchronous)
        self.config = config
        self.token_from = 0
        self.token_until = 0
        plain = config.limit is None and not config.token_ms and config.batch is None and config.edi is None
        self.wide_open = plain and config.rollout is None

    def start(self) -> None:
        """Credentials are fresh when the run begins."""
        self.token_until = self.world.now + self.config.token_ms
        self.wide_open = self.wide_open and self.world.tenants is None

    @abstractmethod
    def admit(self, call: Delivery) -> None:
        """A call is let in."""

    def receive(self, message: Delivery) -> None:
        """A call is on its way to the door."""
        if self.wide_open and not self.met:
            self.admit(message)  # the usual case
            return
        if self.world.tenants is not None:
            self.orders[message.key] = message.correlation
        delay, copies, lost, seen = 0, [], False, self.as_call(message)
        for fault in self.meets("way", seen):
            what = fault.what
            if isinstance(what, Delay):
                drawn = self.fault_ms(what.by, fault, seen)
                if not drawn:
                    continue
                delay += drawn
            self.note(fault, seen)
            if isinstance(what, Lose):
                lost = True
            elif isinstance(what, Copy):
                copies.append(self.fault_ms(what.after, fault, seen))
        edi = self.config.edi
        if edi is not None:
            drawn = self.world.streams.draw(edi.translation, "translation", self.id, message.key, message.attempt)
            delay += max(0, drawn)
        for after in [] if lost else [0, *copies]:
            if delay + after:
                self.world.post(self.enter, message, delay + after, Phase.RELEASE)
            else:
                self.enter(message)

    def enter(self, call: Delivery) -> None:
        """A call is at the door: it is let in, or turned away."""
        config = self.config
        if self.met and self._stopped(call):
            return
        rollout = config.rollout
        if rollout is not None and not rollout.again_ms and self._unreadable(call, rollout):
            return
        if config.limit is not None:
            wait = self._bucket("", config.limit).take(self.world.now)
            if wait:
                self._turn_away(call, "429 too many requests", wait)
                return
        if config.token_ms and not self._token_good():
            self._turn_away(call, "401 unauthorized")
        elif config.batch is not None and config.batch.calls:
            self.world.actors[f"calls/{self.id.removeprefix('interface/')}"].receive(Row(self.as_call(call), call))
        else:
            self.admit(call)

    def _stopped(self, call: Delivery) -> bool:
        """Whether a fault at the door turns the call away."""
        seen = self.as_call(call)
        for fault in self.meets("queue", seen):
            if isinstance(fault.what, Down) and fault.what.turns_away:
                self.note(fault, seen)
                self._turn_away(call, "unavailable")
                return True
        for fault in self.meets("door", seen):
            what = fault.what
            if isinstance(what, Answer) and what.put_right and call.key in self.world.looked_at:
                continue
            if isinstance(what, Throttle):
                wait = self._bucket(fault.id, what).take(self.world.now)
                if not wait:
                    continue
                self.note(fault, seen)
                self._turn_away(call, "429 too many requests", wait)
            elif isinstance(what, Answer):
                self.note(fault, seen)
                self._turn_away(call, what.reason, outcome=what.outcome)
            return True
        return False

    def _unreadable(self, call: Delivery, rollout: Rollout) -> bool:
        """Whether nobody here understands the version that the call is written in: then it is refused for good."""
        between = self._between(rollout, call.key, call.attempt)
        if not between:
            return False
        code = "999 AK5 R:" if self.config.edi is not None else "415"
        self._turn_away(call, f"{code} unsupported version {between}", outcome="refused")
        return True

    def _between(self, rollout: Rollout, message: str, attempt: int) -> str:
        """The versions of a message and of a reader that does not understand it; nothing where all is well."""
        world = self.world
        if not rollout.begun(world.now):
            return ""
        written, reader = rollout.versions(world.streams, self.id, message, attempt, world.now)
        between = f"{rollout.name(written)} read by {rollout.name(reader)}"
        world.truth.record(world.now, "message.version", message, self.id, "", attempt, between)
        return "" if rollout.readable(written, reader) else between

    def resend(self, message: tuple[External, Phase, int]) -> None:
        """The partner sends a report, perhaps again; one that nobody could read it keeps, and sends later."""
        command, phase, attempt = message
        rollout = self.config.rollout
        if rollout is not None:
            between = self._between(rollout, command.id, attempt)
            if between:
                world = self.world
                world.truth.record(world.now, "message.unread", command.id, self.id, "", attempt, between)
                world.post(self.resend, (command, phase, attempt + 1), rollout.again_ms, Phase.GOODS)
                return
        self._pass(command, phase, None)

    def pass_on(self, command: External, phase: Phase, call: Delivery | None) -> None:
        """A message of the party is written in its version, and translated or put into a file where the style is so."""
        rollout = self.config.rollout
        if rollout is not None and rollout.again_ms and call is None:
            self.resend((command, phase, 1))
        else:
            self._pass(command, phase, call)

    def _pass(self, command: External, phase: Phase, call: Delivery | None) -> None:
        batch, edi = self.config.batch, self.config.edi
        if batch is not None and batch.reports:
            row = Row(self.as_reply(command, call), (command, phase, call))
            self.world.actors[f"reports/{self.id.removeprefix('interface/')}"].receive(row)
        elif edi is not None:
            drawn = self.world.streams.draw(edi.translation, "translation", self.id, "reply", command.id)
            self.send_back(command, phase, call, max(0, drawn))
        else:
            self.send_back(command, phase, call)

    def take_report(self, content: tuple[External, Phase, Delivery | None]) -> None:
        """A message of the party has come with its file."""
        self.send_back(*content)

    def _bucket(self, id: str, limit: Throttle) -> TokenBucket:
        bucket = self.buckets.get(id)
        if bucket is None:
            bucket = self.buckets[id] = TokenBucket(limit.count, limit.per_ms, limit.burst)
        return bucket

    def _token_good(self) -> bool:
        """Whether the credentials are good now; the call that finds them expired is turned away, and renews them."""
        now, config = self.world.now, self.config
        if now >= self.token_until:
            self.token_from = now + config.renewal_ms
            self.token_until = self.token_from + config.token_ms
            return False
        return now >= self.token_from

    def _turn_away(self, call: Delivery, reason: str, retry_after_ms: int = 0, outcome: str = "failed") -> None:
        self.world.truth.record(self.world.now, "call.turned_away", call.key, self.id, "", call.attempt, reason)
        self._answer(call, outcome, reason, retry_after_ms)

    def _answer(self, call: Delivery, outcome: str, reason: str, retry_after_ms: int = 0) -> None:
        answer, edi = (call, outcome, reason, retry_after_ms), self.config.edi
        if edi is None:
            self.acknowledge(answer)
        else:
            drawn = self.world.streams.draw(edi.acknowledgement, "997", self.id, call.key, call.attempt)
            self.world.post(self.acknowledge, answer, max(0, drawn), Phase.RELEASE)

    def acknowledge(self, answer: tuple[Delivery, str, str, int]) -> None:
        """The interface itself answers a call; nobody hears where no answer is waited for."""
        call, outcome, reason, retry_after_ms = answer
        behind = self.behind
        if behind.link.acknowledge:
            self.send_back(behind.transport(call, outcome, reason, retry_after_ms), Phase.GOODS, call)
