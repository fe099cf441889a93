"""Inventory that is held outside the engine: who reserved what, and who else takes from it.

It knows at once what stands in the buildings; what is reserved is what calls told it. The engine's view of it may be
late or wrong, and what the engine does not know of is an orphan here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from twin.core.commands import AnswerReservation, ReportReservations, ReservedUnits
from twin.core.effects import AskReservations, Delivery, ReleaseUnits, ReserveUnits
from twin.streams import Distribution, Exponential
from twin.world.business import Business
from twin.world.channel import Weighted
from twin.world.kernel import Actor, Phase
from twin.world.party import Link, Party
from twin.world.recent import Recent

__all__ = ["HELD", "Hold", "Holder", "InventoryService", "Others"]

HELD: Final = (ReserveUnits, ReleaseUnits, AskReservations)
"""What whoever holds the inventory is asked."""


class Hold(Struct):
    """Units of an order line that are reserved under a claim, since an instant (ms)."""

    claim: str
    line: int
    node: str
    sku: str
    quantity: int
    since: int


class Holder(Actor):
    """The ledger of reservations, behind the ERP or a service of its own."""

    world: Business

    def __init__(self, id: str) -> None:
        super().__init__(id)
        # By order, the oldest first.
        self.holds: dict[str, list[Hold]] = {}
        self.reserved: dict[tuple[str, str], int] = {}
        self.others: dict[tuple[str, str], int] = {}
        self.answers: Recent[tuple[str, tuple[tuple[str, str, int], ...]]] = Recent()

    def available(self, node: str, sku: str) -> int:
        """Units in the building that nobody has reserved."""
        warehouse = self.world.warehouses[node]
        taken = self.reserved.get((node, sku), 0) + self.others.get((node, sku), 0)
        return warehouse.shelf.get(sku, 0) + warehouse.staged.get(sku, 0) - taken

    def receive(self, message: Delivery) -> None:
        """Do what a call asks for; `answer` says what came of it."""
        effect = message.effect
        if isinstance(effect, ReserveUnits):
            self.answers[message.key] = self._reserve(effect)
        elif isinstance(effect, ReleaseUnits):
            self._release(effect)

    def answer(self, party: Party, message: Delivery) -> None:
        """Answer a call by way of the party that it reached, as often as it comes."""
        effect, now = message.effect, self.world.now
        head = (f"{message.key}/answer/{message.attempt}", party.id, now)
        if isinstance(effect, ReserveUnits):
            outcome, there = self.answers.get(message.key) or ("refused", self._told(effect))
            said = AnswerReservation(
                *head, effect.claim, effect.order, outcome, there, message.criticality, message.key
            )
            party.respond(message, said)
        elif isinstance(effect, AskReservations):
            lines = tuple(
                [
                    ReservedUnits(hold.claim, order, hold.line, hold.sku, hold.node, hold.quantity, hold.since)
                    for order, holds in self.holds.items()
                    for hold in holds
                ]
            )
            others = tuple([(node, sku, units) for (node, sku), units in self.others.items()])
            party.respond(message, ReportReservations(*head, message.key, lines, others, message.key))
        else:
            party.answer_transport(message, "succeeded")

    def _reserve(self, effect: ReserveUnits) -> tuple[str, tuple[tuple[str, str, int], ...]]:
        """All of a claim, or nothing."""
        if not self._enough(effect):
            return "refused", self._told(effect)
        record, now = self.world.truth.record, self.world.now
        for line in effect.lines:
            place = (line.node, line.sku)
            # What was there before is written down beside it: nobody need trust the check above.
            left = str(self.available(*place))
            record(now, "reservation.taken", effect.claim, *place, line.quantity, left)
            self.reserved[place] = self.reserved.get(place, 0) + line.quantity
            hold = Hold(effect.claim, line.line, line.node, line.sku, line.quantity, now)
            self.holds.setdefault(effect.order, []).append(hold)
        return "reserved", ()

    def _enough(self, effect: ReserveUnits) -> bool:
        wanted: dict[tuple[str, str], int] = {}
        for line in effect.lines:
            wanted[line.node, line.sku] = wanted.get((line.node, line.sku), 0) + line.quantity
        for (node, sku), units in wanted.items():
            left = self.available(node, sku)
            if left < units:
                now = self.world.now
                self.world.truth.record(now, "reservation.refused", effect.claim, node, sku, units, str(left))
                return False
        return True

    def _told(self, effect: ReserveUnits) -> tuple[tuple[str, str, int], ...]:
        places = dict.fromkeys([(line.node, line.sku) for line in effect.lines])
        return tuple([(node, sku, self.available(node, sku)) for node, sku in places])

    def _release(self, effect: ReleaseUnits) -> None:
        """Keep of a claim what is still wanted; what is not there any more does not come back."""
        keep: dict[tuple[int, str], int] = {}
        for line in effect.lines:
            keep[line.line, line.node] = keep.get((line.line, line.node), 0) + line.quantity
        for hold in self.holds.get(effect.order, ()):
            if hold.claim == effect.claim:
                kept = min(hold.quantity, keep.get((hold.line, hold.node), 0))
                keep[hold.line, hold.node] = keep.get((hold.line, hold.node), 0) - kept
                self._free(hold, hold.quantity - kept, "released")
        self._tidy(effect.order)

    def shipped(self, order: str, node: str, picked: Sequence[tuple[int, str, int]]) -> None:
        """Goods left a building, as (line, item, units): what was reserved for them is used up, the oldest first."""
        for number, _, units in picked:
            left = units
            for hold in self.holds.get(order, ()):
                if hold.line == number and hold.node == node and left:
                    take = min(left, hold.quantity)
                    left -= take
                    self._free(hold, take, "shipped")
        self._tidy(order)

    def _free(self, hold: Hold, units: int, why: str) -> None:
        if units:
            hold.quantity -= units
            self.reserved[hold.node, hold.sku] -= units
            self.world.truth.record(self.world.now, "reservation.freed", hold.claim, hold.node, hold.sku, units, why)

    def _tidy(self, order: str) -> None:
        left = [hold for hold in self.holds.get(order, ()) if hold.quantity]
        if left:
            self.holds[order] = left
        else:
            self.holds.pop(order, None)

    # --- others

    def take(self, sale: tuple[str, str, str, int, int]) -> None:
        """Somebody buys past the engine, as (id, node, item, units, time until they are collected in ms)."""
        name, node, sku, units, later = sale
        there = min(self.available(node, sku), self.world.warehouses[node].shelf.get(sku, 0))
        if there < units:
            self.world.truth.record(self.world.now, "others.turned_away", name, node, sku, units)
            return
        self.world.truth.record(self.world.now, "others.sold", name, node, sku, units)
        self.others[node, sku] = self.others.get((node, sku), 0) + units
        if later:
            self.world.post(self.collect, sale, later, Phase.GOODS)
        else:
            self.collect(sale)

    def collect(self, sale: tuple[str, str, str, int, int]) -> None:
        """What was sold leaves the building, and the warehouse tells so."""
        name, node, sku, units, _ = sale
        self.others[node, sku] -= units
        if not self.others[node, sku]:
            del self.others[node, sku]
        self.world.warehouses[node].adjust((name, sku, -units, "sold past the engine"))

    def close_books(self) -> None:
        """Write down what is reserved at the end of the run, for the measures."""
        world = self.world
        for order, holds in self.holds.items():
            for hold in holds:
                detail = f"{order}/{hold.line}"
                world.truth.record(
                    world.now, "reservation.left", hold.claim, hold.node, hold.sku, hold.quantity, detail
                )


class InventoryService(Party):
    """A service of its own that holds the inventory."""

    def __init__(self, id: str, link: Link, answering: Distribution) -> None:
        super().__init__(id, link)
        self.answering = answering
        # Keys of calls that it is at work on.
        self.at_work: dict[str, None] = {}

    def receive(self, message: Delivery) -> None:
        """Take a call; one that was acted on before is answered as it was then."""
        if not self.accept(message):
            if message.key not in self.at_work:
                self._holder().answer(self, message)
            return
        self.at_work[message.key] = None
        delay = max(0, self.world.streams.draw(self.answering, "answering", message.key))
        if delay:
            self.world.post(self.work, message, delay, Phase.RELEASE)
        else:
            self.work(message)

    def acknowledge(self, delivery: Delivery) -> None:
        """Nothing on the transport level: the answer settles a call."""

    def work(self, message: Delivery) -> None:
        """Act, and answer."""
        self.at_work.pop(message.key, None)
        self._holder().receive(message)
        self._holder().answer(self, message)

    def _holder(self) -> Holder:
        holder = self.world.holder
        if holder is None:
            raise TypeError(f"{self.id} was asked for reservations, and holds no inventory")
        return holder


class Others(Actor):
    """Who takes goods past the engine: Poisson arrivals up to `ends_at` (ms), a mean of `gap_us` apart."""

    world: Business

    def __init__(
        self, id: str, node: str, gap_us: int, items: Weighted, quantity: Distribution, later_ms: int, ends_at: int
    ) -> None:
        super().__init__(id)
        self.node = node
        self.gap = Exponential(gap_us)
        self.items = items
        self.quantity = quantity
        self.later_ms = later_ms
        self.ends_at = ends_at
        self.clock_us = -1
        self.sales = 0

    def start(self) -> None:
        """Open its own streams and wait for the first customer."""
        self.gaps = self.world.streams.series(f"{self.id}/gaps")
        self.baskets = self.world.streams.series(f"{self.id}/baskets")
        self.clock_us = self.world.now * 1000
        self._await()

    def _await(self) -> None:
        self.clock_us += self.gaps.draw(self.gap)
        at = max(self.clock_us // 1000, self.world.now)
        if at < self.ends_at:
            self.world.post(self.receive, None, at - self.world.now, Phase.COMMAND)

    def receive(self, message: None) -> None:
        """A customer takes what there is of one item, if it is enough."""
        self.sales += 1
        names = self.items.names
        sku = names[0] if len(names) == 1 else self.items.pick(self.baskets.bits())
        units = self.baskets.draw(self.quantity)
        holder = self.world.holder
        if units > 0 and holder is not None:
            holder.take((f"{self.id}/{self.sales}", self.node, sku, units, self.later_ms))
        self._await()
