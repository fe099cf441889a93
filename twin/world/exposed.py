"""What faults may befall: an actor that knows which of them hold at it, and through which its party's messages pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from twin.core.commands import AcknowledgeDelivery, CountStock, External
from twin.core.effects import Delivery
from twin.streams import Distribution
from twin.world.faults import Copy, Delay, Falsify, Fault, Lose, Shift, Stale, TokenBucket
from twin.world.kernel import Actor, Phase

if TYPE_CHECKING:
    from twin.world.business import Business
    from twin.world.party import Party

__all__ = ["Exposed", "type_of"]


def type_of(message: Struct) -> str:
    """What a message is called in the log: `supplier.purchase_order`."""
    return str(message.__struct_config__.tag)


class Exposed(Actor):
    """Stands before `party`, by its id. With `asynchronous` the party's own transport answers go no further."""

    world: Business

    def __init__(self, id: str, party: str, *, asynchronous: bool) -> None:
        super().__init__(id)
        self.party = party
        self.asynchronous = asynchronous
        # Faults under way since when, and by where a message meets them.
        self.since: dict[str, int] = {}
        self.met: dict[str, tuple[Fault, ...]] = {}
        self.buckets: dict[str, TokenBucket] = {}
        # Calls that a broker delivers again, and for which time.
        self.again: dict[tuple[str, int], int] = {}
        # Calls whose answers are to be lost, and the last count that was not stale.
        self.muted: dict[tuple[str, int], None] = {}
        self.counted: CountStock | None = None
        # Messages of the party that wait for the way back to be open again.
        self.kept: list[tuple[External, Phase, Delivery | None, int]] = []

    @property
    def behind(self) -> Party:
        """The party itself."""
        return self.world.actors[self.party]  # type: ignore[return-value]

    # --- which faults hold

    def fail(self, fault: Fault) -> None:
        """A fault begins."""
        world = self.world
        self.since[fault.id] = world.now
        # In the order of the scenario, whichever of two began first.
        self.met[fault.stage] = tuple(sorted((*self.met.get(fault.stage, ()), fault), key=lambda other: other.rank))
        world.truth.record(world.now, "fault.began", self.id, detail=f"{fault.id} {fault.kind}")

    def heal(self, fault: Fault) -> None:
        """A fault ends."""
        world = self.world
        del self.since[fault.id]
        left = tuple(other for other in self.met[fault.stage] if other.id != fault.id)
        if left:
            self.met[fault.stage] = left
        else:
            del self.met[fault.stage]
        self.buckets.pop(fault.id, None)
        world.truth.record(world.now, "fault.ended", self.id, detail=f"{fault.id} {fault.kind}")
        if fault.stage == "back":
            world.post(self.send_kept, None, 0, Phase.GOODS)

    def meets(self, stage: str, call: Delivery) -> Iterator[Fault]:
        """The faults that this attempt is hit by at a stage."""
        for fault in self.met.get(stage, ()):
            if self.is_hit(fault, call):
                yield fault

    def is_hit(self, fault: Fault, call: Delivery) -> bool:
        """Whether this attempt is hit by a fault."""
        return fault.about(type_of(call.effect)) and fault.hits(
            self.world, self.since[fault.id], call.key, call.attempt, self.again.get((call.key, call.attempt), 0)
        )

    def delayed(self, fault: Fault, what: Delay, calls: Sequence[Delivery], key: str, attempt: int) -> int:
        """How long a fault holds `calls` up, drawn once for all of them and noted if it is any time at all."""
        delay = self.fault_ms(what.by, fault, key, attempt)
        for call in calls if delay else ():
            self.note(fault, call.key, call.attempt)
        return delay

    def noted(self, stage: str, call: Delivery) -> list[Fault]:
        """The faults that this attempt is hit by at a stage, noted in the truth."""
        found = list(self.meets(stage, call))
        for fault in found:
            self.note(fault, call.key, call.attempt)
        return found

    def note(self, fault: Fault, key: str, attempt: int) -> None:
        """Write into the truth that a fault touched an attempt."""
        self.world.truth.record(self.world.now, "fault.hit", key, self.id, "", attempt, f"{fault.id} {fault.kind}")

    def fault_ms(self, distribution: Distribution, fault: Fault, key: str, attempt: int) -> int:
        """A time of a fault for one attempt."""
        return max(0, self.world.streams.draw(distribution, "fault", fault.id, "ms", key, attempt))

    # --- the way back

    def reply(self, command: External, phase: Phase, call: Delivery | None) -> None:
        """The party sends a message: an answer to a `call`, or something of its own."""
        if call is not None:
            if (call.key, call.attempt) in self.muted:
                del self.muted[call.key, call.attempt]
                return
            if self.asynchronous and type(command) is AcknowledgeDelivery:
                return
        self.send_back(command, phase, call, self.way_back_ms(command))

    def way_back_ms(self, command: External) -> int:
        """How much longer than the link's latency a message of the party takes."""
        return 0

    def send_back(self, command: External, phase: Phase, call: Delivery | None, delay: int = 0) -> None:
        """Put a message on the link to the engine, `delay` ms later than otherwise, through the faults of replies."""
        behind: Party = self.world.actors[self.party]  # type: ignore[assignment]
        if not self.met:
            if type(command) is CountStock:
                self.counted = command
            behind.send(command, phase, delay)
            return
        if call is not None:
            types, draw_key, attempt = [type_of(command), type_of(call.effect)], call.key, call.attempt
        else:
            # A message's own id: a delivery may lead to several, each with its own luck.
            types, draw_key, attempt = [type_of(command)], command.id, 0
        subject = call.key if call is not None else getattr(command, "causation", "") or command.id
        for fault in self.met.get("back", ()):
            if fault.about(*types) and fault.hits(self.world, self.since[fault.id], draw_key, attempt):
                self.note(fault, subject, attempt)
                self.kept.append((command, phase, call, delay))
                return
        copies, lost, stale, sent = list[int](), False, False, command
        for fault in self.met.get("reply", ()):
            if (fault.answers_only and call is None) or not fault.about(*types):
                continue
            changes = self._changes(fault, sent)
            if changes == {} or not fault.hits(self.world, self.since[fault.id], draw_key, attempt):
                continue
            what = fault.what
            if isinstance(what, Delay):
                drawn = self.fault_ms(what.by, fault, draw_key, attempt)
                if not drawn:
                    continue
                delay += drawn
            self.note(fault, subject, attempt)
            if isinstance(what, Lose):
                lost = True
            elif isinstance(what, Copy):
                copies.append(self.fault_ms(what.after, fault, draw_key, attempt))
            elif changes:
                sent = structs.replace(sent, **changes)
                stale = stale or isinstance(what, Stale)
        if type(command) is CountStock and not stale and not lost:
            self.counted = command
        for after in [] if lost else [0, *copies]:
            behind.send(sent, phase, delay + after)

    def send_kept(self, message: None) -> None:
        """The way back is open again."""
        kept, self.kept = self.kept, []
        for command, phase, call, delay in kept:
            self.send_back(command, phase, call, delay)

    def _changes(self, fault: Fault, command: External) -> dict[str, object] | None:
        """What a fault that changes messages would change in this one; None for a fault that changes none."""
        what = fault.what
        if isinstance(what, Shift):
            at = {name: getattr(command, name, 0) for name in what.fields}
            return {name: max(0, value + what.by_ms) for name, value in at.items() if value} if what.by_ms else {}
        if isinstance(what, Falsify):
            value = getattr(command, what.field, None)
            return {} if value in (None, what.value) else {what.field: what.value}
        if isinstance(what, Stale):
            before = self.counted
            if type(command) is not CountStock or before is None:
                return {}
            return {"lines": before.lines} | ({} if what.stamped_anew else {"sequence": before.sequence})
        return None
