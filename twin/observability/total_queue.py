"""Jepsen's total-queue checker on the messages of a log: what goes in must come out, and nothing else.

After `jepsen.checker/total-queue` (Kingsbury, Jepsen): an enqueue is attempted when the engine asks for an act, and
acknowledged when the counterpart says that it has the message (or at once, where nobody waits for an answer); a
dequeue is the act of the counterpart. Sets and multisets are over delivery keys, which stand for one act each, however
often they are sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec import Struct

from twin.core.commands import AcknowledgeDelivery, ConfirmShipment, Wake
from twin.core.effects import AskReservations, AskStatus, CreatePurchaseOrder, Effect, ReleaseToWarehouse, ReleaseUnits
from twin.core.entry import Entry
from twin.core.events import PurchaseOrderWithdrawn, ReleaseWithdrawn
from twin.log import TruthRow
from twin.observability.calls import ACTED, Calls, Step, note_dead

__all__ = ["QueueFold", "TotalQueue", "total_queue"]

SETTLE_MS: Final = 7 * 86_400_000
"""How long before the end a message may have been acknowledged and still be at work, by default."""


class TotalQueue(Struct):
    """What became of the messages. The lists are delivery keys, in the order in which they were asked for.

    `lost` were acknowledged and never done; `unexpected` were done and never asked for; `duplicated` were done more
    than once (a key for each time beyond the first); `recovered` were done though no acknowledgement was ever taken;
    `pending` were acknowledged so shortly before the end that they may still be at work; `untraced` went to a
    counterpart that answers nothing and whose acts are recorded nowhere, or were questions whose answer got lost: those
    ask for no act, and are asked again; `withdrawn` were taken back on the engine's own request before they were done.
    `ok` counts what was asked for and done. `dead` were given up and still wait for somebody at the end, whichever of
    the others they are.
    """

    attempted: int = 0
    acknowledged: int = 0
    ok: int = 0
    lost: list[str] = []
    unexpected: list[str] = []
    duplicated: list[str] = []
    recovered: list[str] = []
    pending: list[str] = []
    untraced: list[str] = []
    withdrawn: list[str] = []
    dead: list[str] = []

    @property
    def valid(self) -> bool:
        """Nothing lost, nothing unexpected (that is Jepsen's verdict), and, beyond it, nothing done twice."""
        return not (self.lost or self.unexpected or self.duplicated)


class _Asked:
    """One key: units that a task asks for, when it was acknowledged (-1: never), and what its counterpart told.

    `traced`: the truth records the act. `told`: an acknowledgement was taken. `replied`: an answer tells of the act.
    `question`: no act is asked for, only an answer; or there may be nothing to do, and what is left is asked for again.
    """

    __slots__ = ("acknowledged_at", "question", "replied", "told", "traced", "units")

    def __init__(self, effect: Effect) -> None:
        self.units = sum(line.quantity for line in effect.lines) if isinstance(effect, ReleaseToWarehouse) else 0
        self.traced = isinstance(effect, ReleaseToWarehouse | CreatePurchaseOrder)
        self.question = isinstance(effect, AskStatus | AskReservations | ReleaseUnits)
        self.acknowledged_at = -1
        self.told = False
        self.replied = False


class QueueFold:
    """The side of the log. Every key is kept, as it is in Jepsen: an act may come late, and twice."""

    def __init__(self) -> None:
        self._calls = Calls()
        self.asked: dict[str, _Asked] = {}
        self.dead: dict[str, str] = {}
        """What was given up and still waits for somebody, with the reason."""
        self.withdrawn: dict[str, None] = {}
        """What the engine had taken back."""
        self.task_of: dict[str, str] = {}
        """Parcel -> the task that it came from."""
        self.unasked: dict[str, None] = {}
        """What counterparts answered and nobody had asked for."""

    def over(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Pass entries on, folding them."""
        for entry in entries:
            self.fold(entry)
            yield entry

    def fold(self, entry: Entry) -> None:
        """Take one more entry."""
        self._command(entry.command)
        for event in entry.events:
            if isinstance(event, ReleaseWithdrawn):
                self.withdrawn[event.fulfillment_order] = None
            elif isinstance(event, PurchaseOrderWithdrawn):
                self.withdrawn[event.purchase_order] = None
        for step in self._calls.fold(entry):
            self._step(step)

    def _step(self, step: Step) -> None:
        """Take what became of a message."""
        delivery = step.message.delivery
        if step.kind == "asked":
            self.asked[delivery.key] = _Asked(delivery.effect)
        elif step.kind in ("succeeded", "unusable", "late"):
            self.asked[delivery.key].told = True
        elif step.kind == "settled" and step.reason != ACTED:
            self.asked[delivery.key].acknowledged_at = step.at
        note_dead(self.dead, step)

    def _command(self, command: Any) -> None:
        """Take what came in: a counterpart that answers in its own words has done what it was asked for."""
        kind = type(command)
        if kind is Wake or kind is AcknowledgeDelivery:
            return
        key = getattr(command, "causation", "")
        if not key:
            return
        asked = self.asked.get(key)
        if asked is not None:
            asked.replied = True
        if kind is ConfirmShipment:
            self.task_of[command.shipment] = command.fulfillment_order
            if asked is None:
                self.unasked[key] = None

    def judge(self, truth: Iterable[TruthRow], end: int, settle_ms: int = SETTLE_MS) -> TotalQueue:
        """Hold the log against the acts in the truth, at `end` (ms)."""
        acts = _Acts(self)
        for row in truth:
            acts.take(row)
        found = TotalQueue(attempted=len(self.asked), dead=list(self.dead))
        for key, asked in self.asked.items():
            done = max(acts.of(key, asked.units), int(asked.replied))
            acknowledged = asked.acknowledged_at >= 0
            found.acknowledged += acknowledged
            if done:
                found.ok += 1
                found.duplicated += [key] * (done - 1)
                if not acknowledged:
                    found.recovered.append(key)
            elif key in self.withdrawn:
                found.withdrawn.append(key)
            elif acknowledged:
                if asked.acknowledged_at > end - settle_ms:
                    found.pending.append(key)
                else:
                    wanted = not asked.question and (asked.traced or asked.told)
                    (found.lost if wanted else found.untraced).append(key)
        unexpected = (key for key in (*acts.keys, *self.unasked) if key not in self.asked)
        found.unexpected = list(dict.fromkeys(unexpected))
        return found


class _Acts:
    """What counterparts really did, by key: parcels by their instants and units, purchase orders by their number."""

    def __init__(self, fold: QueueFold) -> None:
        self._fold = fold
        self.keys: dict[str, list[int]] = {}
        self._last: dict[str, int] = {}

    def take(self, row: TruthRow) -> None:
        if row.type == "stock.shipped":
            # A parcel that the engine never heard of is named after its task.
            key = self._fold.task_of.get(row.subject) or row.subject.rpartition("/")[0] or row.subject
            counts = self.keys.setdefault(key, [0, 0])
            counts[0] += self._last.get(key) != row.at
            counts[1] -= row.quantity
            self._last[key] = row.at
        elif row.type == "purchase.lead_time":
            self.keys.setdefault(row.subject, [0, 0])[0] += 1

    def of(self, key: str, units: int) -> int:
        """How often a key was acted on; two parcels at one instant show by their units."""
        times, shipped = self.keys.get(key, (0, 0))
        return max(times, -(-shipped // units)) if units else times


def total_queue(
    entries: Iterable[Entry], truth: Iterable[TruthRow], end: int | None = None, settle_ms: int = SETTLE_MS
) -> TotalQueue:
    """The verdict on a run up to `end` (ms; the last entry's instant unless given).

    Without truth the counterparts' own replies tell of their acts: then nothing done twice can be seen.
    """
    fold, now = QueueFold(), 0
    for entry in fold.over(entries):
        now = entry.now
    return fold.judge(truth, now if end is None else end, settle_ms)
