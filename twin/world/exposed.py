"""What faults may befall: an actor that knows which of them hold at it, and through which its party's messages pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from twin.core.commands import (
    AcknowledgeDelivery,
    CountStock,
    DefineItems,
    DefineNetwork,
    DefineReplenishment,
    External,
)
from twin.core.effects import Delivery
from twin.streams import Distribution
from twin.world.faults import BadRecord, Copy, Delay, Falsify, Fault, Lose, Shift, Stale, TokenBucket, Touched
from twin.world.kernel import Actor, Phase
from twin.world.master_data import corrupted
from twin.world.recent import Recent

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
        # Attempts of which every answer is lost, by delivery, and the last count that was not stale.
        self.muted: dict[str, int] = Recent()
        self.counted: CountStock | None = None
        # Where one tenant's messages are hit: the order behind each call.
        self.orders: dict[str, str] = Recent()
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

    def as_call(self, call: Delivery) -> Touched:
        """A call as faults see it."""
        again = self.again.get((call.key, call.attempt), 0) if self.again else 0
        return Touched((type_of(call.effect),), call.key, call.attempt, call.key, again, call.correlation)

    def as_reply(self, command: External, call: Delivery | None) -> Touched:
        """What the party sends as faults see it, in answer to a call or of its own."""
        if call is not None:
            types = (type_of(command), type_of(call.effect))
            return Touched(types, call.key, call.attempt, call.key, 0, call.correlation)
        # Its luck is its own: a delivery may lead to several messages.
        about = getattr(command, "causation", "") or command.id
        order = getattr(command, "order", "") or self.orders.get(about, "")
        return Touched((type_of(command),), command.id, 0, about, 0, order)

    def meets(self, stage: str, message: Touched) -> Iterator[Fault]:
        """The faults that a message is hit by at a stage."""
        for fault in self.met.get(stage, ()):
            if self.is_hit(fault, message):
                yield fault

    def is_hit(self, fault: Fault, message: Touched) -> bool:
        """Whether a message is hit by a fault."""
        return fault.about(self.world, message) and fault.hits(self.world, self.since[fault.id], message)

    def noted(self, stage: str, message: Touched) -> list[Fault]:
        """The faults that a message is hit by at a stage, noted in the truth."""
        found = list(self.meets(stage, message))
        for fault in found:
            self.note(fault, message)
        return found

    def note(self, fault: Fault, message: Touched) -> None:
        """Write into the truth that a fault touched a message."""
        detail = f"{fault.id} {fault.kind}"
        self.world.truth.record(self.world.now, "fault.hit", message.subject, self.id, "", message.attempt, detail)
        if fault.kind == "bad_address":
            self.world.truth.record(self.world.now, "master.misaddressed", message.order, self.id)

    def fault_ms(self, distribution: Distribution, fault: Fault, message: Touched) -> int:
        """A time of a fault for one message."""
        return max(0, self.world.streams.draw(distribution, "fault", fault.id, "ms", message.key, message.attempt))

    # --- the way back

    def reply(self, command: External, phase: Phase, call: Delivery | None) -> None:
        """The party sends a message: an answer to a `call`, or something of its own."""
        if call is not None:
            if self.muted and self.muted.get(call.key) == call.attempt:
                return
            if self.asynchronous and type(command) is AcknowledgeDelivery:
                return
        self.pass_on(command, phase, call)

    def pass_on(self, command: External, phase: Phase, call: Delivery | None) -> None:
        """Let a message of the party on its way."""
        self.send_back(command, phase, call)

    def send_back(self, command: External, phase: Phase, call: Delivery | None, delay: int = 0) -> None:
        """Put a message on the link to the engine, `delay` ms later than otherwise, through the faults of replies."""
        behind: Party = self.world.actors[self.party]  # type: ignore[assignment]
        if not self.met:
            if type(command) is CountStock:
                self.counted = command
            behind.send(command, phase, delay)
            return
        seen = self.as_reply(command, call)
        for fault in self.meets("back", seen):
            self.note(fault, seen)
            self.kept.append((command, phase, call, delay))
            return
        copies, lost, stale, sent = list[int](), False, False, command
        for fault in self.met.get("reply", ()):
            changes = self._changes(fault, sent)
            if (fault.answers_only and call is None) or changes == {} or not self.is_hit(fault, seen):
                continue
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
        if isinstance(what, BadRecord):
            records = self.world.master_data
            if records is None or not isinstance(command, DefineItems | DefineReplenishment | DefineNetwork):
                return {}
            return corrupted(command, what, records.earlier)
        return None
