"""Folding events about claims, where the inventory is held outside the engine, into the facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from twin.core import events as ev
from twin.measures.messages import ASK_RESERVED, FREE, RESERVE

if TYPE_CHECKING:
    from twin.measures.facts import Facts

__all__ = ["HOLDING", "HoldingFacts"]

HOLDING: Final = ("reservation.taken", "reservation.left")
"""Rows of the truth about what is reserved where the inventory is held."""


class HoldingFacts:
    """What the log tells of claims: how they ended, how long answers took, and what reconciliations found."""

    __slots__ = (
        "asked_at",
        "calls",
        "claimed",
        "orphan_area",
        "orphan_units",
        "orphans",
        "pending",
        "wait_ms",
        "waits",
    )

    def __init__(self) -> None:
        self.asked_at: dict[str, int] = {}
        self.calls: dict[str, int] = {}
        # Units that claims cover, by order, line and node.
        self.claimed: dict[tuple[str, int, str], int] = {}
        # What each claim without an answer covers: nothing of it ships, and all of it goes where it comes to nothing.
        self.pending: dict[str, list[tuple[int, str, int]]] = {}
        self.wait_ms = 0
        self.waits = 0
        self.orphans = 0
        self.orphan_units = 0
        self.orphan_area = 0

    def cover(self, order: str, lines: Iterable[tuple[int, str, int]], sign: int) -> None:
        """Claims cover more or fewer units of an order's (line, node, units)."""
        for number, node, units in lines:
            place = (order, number, node)
            self.claimed[place] = self.claimed.get(place, 0) + sign * units
            if not self.claimed[place]:
                del self.claimed[place]

    def shipped(self, order: str, node: str, lines: Sequence[tuple[int, int]]) -> None:
        """Goods left that claims covered."""
        for number, units in lines:
            known = self.claimed.get((order, number, node), 0)
            self.cover(order, [(number, node, min(units, known))], -1)

    def answered(self, claim: str, how: str, now: int, *, waited: bool) -> None:
        """A claim was asked for and came to this; `waited` is whether an answer came."""
        asked_at = self.asked_at.pop(claim, None)
        if asked_at is None and how != "missing":
            return
        self.calls[how] = self.calls.get(how, 0) + 1
        if waited and asked_at is not None:
            self.wait_ms += now - asked_at
            self.waits += 1


def reservation_asked(facts: Facts, event: ev.ReservationAsked, now: int) -> None:
    lines = [(line.line, line.node, line.quantity) for line in event.lines]
    facts.holding.cover(event.order, lines, 1)
    facts.holding.pending[event.claim] = lines
    facts.messages.due.append((RESERVE, event.claim))
    if now >= facts.begin:
        facts.holding.asked_at[event.claim] = now


def reservation_confirmed(facts: Facts, event: ev.ReservationConfirmed, now: int) -> None:
    facts.holding.pending.pop(event.claim, None)
    facts.holding.answered(event.claim, "confirmed", now, waited=True)


def reservation_refused(facts: Facts, event: ev.ReservationRefused, now: int) -> None:
    how = event.reason.partition(":")[0]
    if event.call:
        facts.messages.due.append((FREE, event.call))
    lines = facts.holding.pending.pop(event.claim, None)
    if lines is None:
        lines = [(line.line, line.node, line.quantity) for line in event.lines]
    facts.holding.cover(event.order, lines, -1)
    if how != "missing" or now >= facts.begin:
        facts.holding.answered(event.claim, how, now, waited=how == "short")
    for line in event.lines:
        facts.shift(facts.cell(line.node, line.sku, now), now, line.quantity, 0)
    for node, sku, units in event.withheld:
        facts.shift(facts.cell(node, sku, now), now, -units, 0)
        place = (node, sku)
        facts.elsewhere[place] = facts.elsewhere.get(place, 0) + units


def reservation_given_up(facts: Facts, event: ev.ReservationGivenUp, now: int) -> None:
    facts.messages.due.append((FREE, event.call))
    lines = [(line.line, line.node, line.quantity) for line in event.lines]
    facts.holding.cover(event.order, lines, -1)
    if event.claim in facts.holding.pending:
        facts.holding.pending[event.claim] += [(line, node, -units) for line, node, units in lines]


def reservations_asked(facts: Facts, event: ev.ReservationsAsked, now: int) -> None:
    facts.messages.due.append((ASK_RESERVED, event.request))


def reservations_reconciled(facts: Facts, event: ev.ReservationsReconciled, now: int) -> None:
    facts.messages.due += [(FREE, key) for key in event.calls]
    if now >= facts.begin:
        for orphan in event.orphans:
            facts.holding.orphans += 1
            facts.holding.orphan_units += orphan.quantity
            facts.holding.orphan_area += orphan.quantity * max(0, now - orphan.since)
    for node, sku, units in event.elsewhere:
        before = facts.elsewhere.get((node, sku), 0)
        facts.shift(facts.cell(node, sku, now), now, before - units, 0)
        facts.elsewhere[node, sku] = units
