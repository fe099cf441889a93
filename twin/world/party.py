"""What every outside party of the twin has in common: its link to the engine, and its memory of what it did.

A party holds truth; it knows others by id, and keeps no handle on a post.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from twin.core.commands import AcknowledgeDelivery, External, ReportStatus
from twin.core.dedupe import Seen, remember, was_seen
from twin.core.effects import AskStatus, Delivery
from twin.streams import Distribution, Fixed
from twin.world.kernel import Actor, Phase

if TYPE_CHECKING:
    from twin.world.business import Business

__all__ = ["ENGINE", "SAID_MAX", "Link", "Party", "SimulatedGateway"]

ENGINE: Final = "engine"
"""The id under which the orchestration is reached."""

MEMORY_MS: Final = 30 * 86_400_000
"""How long a counterpart recognizes a delivery that it already acted on, unless its interface says otherwise."""

SAID_MAX: Final = 20_000
"""Orders, purchase orders or parcels of which a party remembers what it said; the oldest are forgotten first."""

AUDITED_MS: Final = 400 * 86_400_000
"""How long the truth recognizes it, where the counterpart may not."""


class Link(Struct, frozen=True):
    """The interface between a party and the engine: its latency each way, and whether deliveries are acknowledged.

    A party that is `supervised` remembers what it said, since it may be asked; one whose work is `cancellable` what it
    has begun.
    """

    latency: Distribution = Fixed(200)
    acknowledge: bool = True
    supervised: bool = False
    cancellable: bool = False


class Party(Actor):
    """An outside system behind a simulated gateway."""

    world: Business

    def __init__(self, id: str, link: Link) -> None:
        super().__init__(id)
        self.link = link
        latency = link.latency
        # The usual case draws nothing; the least latency of 1 ms keeps a reply after the step that it answers.
        self.fixed_latency_ms = max(1, latency.value) if isinstance(latency, Fixed) else 0
        self.done = Seen()
        self.dedupe_ms = MEMORY_MS
        # Only where what is in `done` may be too little: what was acted on, for the truth to tell a second time.
        self.acted: Seen | None = None
        # Whether an interface is modeled in front of it.
        self.faced = False
        # What it said of each order, purchase order or parcel, the last ones; only where it may be asked.
        self.said: dict[str, list[External]] = {}

    def latency_ms(self, key: str, way: str) -> int:
        """How long the message `key` takes, at least 1 ms."""
        return self.fixed_latency_ms or max(1, self.world.streams.draw(self.link.latency, "latency", self.id, way, key))

    def tell(self, command: External, phase: Phase = Phase.GOODS) -> None:
        """Send a command to the engine, past the interface if there is one."""
        if not self.faced and not self.link.supervised:
            # The usual case by far.
            world = self.world
            delay = self.fixed_latency_ms or self.latency_ms(command.id, "in")
            world.post(world.orchestration.receive, command, delay, phase)
            return
        if self.link.supervised:
            self._remember(command)
        if self.faced:
            self.world.interfaces[self.id].reply(command, phase, None)
        else:
            self.send(command, phase, 0)

    def _remember(self, command: External) -> None:
        subject = _subject(command)
        if subject:
            said = self.said.setdefault(subject, [])
            if all(before.id != command.id for before in said):
                said.append(command)
            if len(self.said) > SAID_MAX:
                del self.said[next(iter(self.said))]

    def answered_status(self, message: Delivery) -> bool:
        """Answer a question about what has become of something; False for any other message.

        What was said of it is said again: the engine recognizes what it heard already.
        """
        effect = message.effect
        if not isinstance(effect, AskStatus):
            return False
        if not self.accept(message):
            return True
        told = tuple(self.said.get(effect.subject, ()))
        known = was_seen(self.done, effect.subject, self.world.now, self.dedupe_ms) if self.dedupe_ms else False
        status = "done" if told else "working" if known or effect.kind == "carrier" else "unknown"
        for command in told:
            # Said anew: the engine knows it by its id, and takes nothing that is too old.
            self.respond(message, replace(command, time=self.world.now))
        report = ReportStatus(
            f"{message.key}/report",
            self.id,
            self.world.now,
            effect.subject,
            effect.kind,
            effect.order,
            status,
            message.criticality,
            message.key,
        )
        self.respond(message, report)
        return True

    def respond(self, call: Delivery, command: External) -> None:
        """Send a command that answers a delivery to the engine, past the interface if there is one."""
        if self.faced:
            self.world.interfaces[self.id].reply(command, Phase.GOODS, call)
        else:
            self.tell(command)

    def send(self, command: External, phase: Phase, extra_ms: int) -> None:
        """Put a command on the link to the engine, `extra_ms` later than its latency says."""
        world = self.world
        world.post(world.orchestration.receive, command, self.latency_ms(command.id, "in") + extra_ms, phase)

    def accept(self, delivery: Delivery) -> bool:
        """Acknowledge a delivery, and say whether it is to be acted on: not if its key was acted on before."""
        now = self.world.now
        if self.link.acknowledge:
            self.acknowledge(delivery)
        kept = self.dedupe_ms
        if kept:
            if was_seen(self.done, delivery.key, now, kept):
                self.world.truth.record(now, "delivery.repeated", delivery.key, self.id)
                return False
            remember(self.done, delivery.key, now, kept)
        if self.acted is not None:
            if was_seen(self.acted, delivery.key, now, AUDITED_MS):
                self.world.truth.record(now, "delivery.doubled", delivery.key, self.id, "", delivery.attempt)
            remember(self.acted, delivery.key, now, AUDITED_MS)
        return True

    def forget(self) -> None:
        """Lose the memory of what was acted on."""
        self.done = Seen()

    def acknowledge(self, delivery: Delivery) -> None:
        """Answer on the transport level that the delivery was taken."""
        self.answer_transport(delivery, "succeeded")

    def answer_transport(self, delivery: Delivery, outcome: str, reason: str = "", retry_after_ms: int = 0) -> None:
        """Answer an attempt on the transport level: succeeded, refused or failed."""
        self.respond(delivery, self.transport(delivery, outcome, reason, retry_after_ms))

    def transport(self, delivery: Delivery, outcome: str, reason: str, retry_after_ms: int) -> AcknowledgeDelivery:
        """The answer to an attempt on the transport level."""
        return AcknowledgeDelivery(
            f"{delivery.key}/ack/{delivery.attempt}",
            self.id,
            self.world.now,
            delivery.key,
            outcome,
            reason,
            delivery.criticality,
            delivery.key,
            delivery.attempt,
            retry_after_ms,
        )


def _subject(command: External) -> str:
    """What a message is about, as supervision names it."""
    for name in ("fulfillment_order", "purchase_order", "shipment"):
        value = getattr(command, name, "")
        if value:
            return str(value)
    return ""


class SimulatedGateway:
    """The gateway to a simulated party: a delivery becomes a post at the interface's latency.

    It reaches the party itself, or the interface modeled in front of it.
    """

    __slots__ = ("_party", "_reach")

    def __init__(self, party: Party) -> None:
        self._party = party
        interface = party.world.interfaces.get(party.id)
        self._reach: Callable[[Delivery], None] = party.receive if interface is None else interface.receive

    def submit(self, delivery: Delivery) -> None:
        """Send a delivery on its way; the party gets it at its interface's latency."""
        party = self._party
        delay = party.fixed_latency_ms or party.latency_ms(f"{delivery.key}#{delivery.attempt}", "out")
        party.world.post(self._reach, delivery, delay, Phase.RELEASE)
