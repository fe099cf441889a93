"""Inventory that is held outside the engine: what became of the calls that reserve it, and what they left behind.

Of runs in which the ERP or a service holds the inventory only; others have none of these measures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from twin.core import events as ev
from twin.measures.measured import Answer, answer, measure, ratio

if TYPE_CHECKING:
    from twin.measures.against_truth import Truth
    from twin.measures.facts import Facts

__all__ = [
    "HOLDING",
    "HoldingFacts",
    "orphan_reservations",
    "orphan_unit_days",
    "orphans_left",
    "oversold_reservations",
    "reservation_calls",
    "reservation_wait",
]

HOLDING: Final = ("reservation.taken", "reservation.left")
"""Rows of the truth about what is reserved where the inventory is held."""

DAY_MS: Final = 86_400_000


class HoldingFacts:
    """What the log tells of claims: how they ended, how long answers took, and what reconciliations found."""

    __slots__ = ("asked_at", "calls", "claimed", "orphan_area", "orphan_units", "orphans", "wait_ms", "waits")

    def __init__(self) -> None:
        self.asked_at: dict[str, int] = {}
        self.calls: dict[str, int] = {}
        # Units that claims cover, by order, line and node.
        self.claimed: dict[tuple[str, int, str], int] = {}
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


# --- folds


def reservation_asked(facts: Facts, event: ev.ReservationAsked, now: int) -> None:
    facts.holding.cover(event.order, [(line.line, line.node, line.quantity) for line in event.lines], 1)
    if now >= facts.begin:
        facts.holding.asked_at[event.claim] = now


def reservation_confirmed(facts: Facts, event: ev.ReservationConfirmed, now: int) -> None:
    facts.holding.answered(event.claim, "confirmed", now, waited=True)


def reservation_refused(facts: Facts, event: ev.ReservationRefused, now: int) -> None:
    how = event.reason.partition(":")[0]
    facts.holding.cover(event.order, [(line.line, line.node, line.quantity) for line in event.lines], -1)
    if how != "missing" or now >= facts.begin:
        facts.holding.answered(event.claim, how, now, waited=how == "short")
    for line in event.lines:
        facts.shift(facts.cell(line.node, line.sku, now), now, line.quantity, 0)
    for node, sku, units in event.withheld:
        facts.shift(facts.cell(node, sku, now), now, -units, 0)
        place = (node, sku)
        facts.elsewhere[place] = facts.elsewhere.get(place, 0) + units


def reservation_given_up(facts: Facts, event: ev.ReservationGivenUp, now: int) -> None:
    facts.holding.cover(event.order, [(line.line, line.node, line.quantity) for line in event.lines], -1)


def reservations_reconciled(facts: Facts, event: ev.ReservationsReconciled, now: int) -> None:
    if now >= facts.begin:
        for orphan in event.orphans:
            facts.holding.orphans += 1
            facts.holding.orphan_units += orphan.quantity
            facts.holding.orphan_area += orphan.quantity * (now - orphan.since)
    for node, sku, units in event.elsewhere:
        before = facts.elsewhere.get((node, sku), 0)
        facts.shift(facts.cell(node, sku, now), now, before - units, 0)
        facts.elsewhere[node, sku] = units


# --- measures


@measure("L", "count", "calls asked in the window")
def reservation_calls(facts: Facts) -> Iterable[Answer]:
    """Calls to reserve where the inventory is held, by what became of them: confirmed, short (another had taken it),
    unanswered, given_up (or not answered at the end), and missing, which were confirmed and then not found there."""
    holding = facts.holding
    calls = dict(holding.calls)
    if holding.asked_at:
        calls["given_up"] = len(holding.asked_at)
    for how in sorted(calls):
        yield answer(calls[how], part=f"outcome={how}")


@measure("L", "ms", "calls asked in the window and answered")
def reservation_wait(facts: Facts) -> Iterable[Answer]:
    """Mean time from asking for a reservation to the answer, over all attempts of the call."""
    if facts.holding.waits:
        yield ratio(facts.holding.wait_ms, facts.holding.waits)


@measure("L", "units", "reconciliations in the window")
def orphan_reservations(facts: Facts) -> Iterable[Answer]:
    """Units that reconciliations found reserved where the inventory is held, and wanted by nobody here."""
    if facts.holding.calls:
        yield answer(facts.holding.orphan_units)


@measure("L", "unit_days", "reconciliations in the window")
def orphan_unit_days(facts: Facts) -> Iterable[Answer]:
    """Time for which orphans kept units from being sold: from their reservation to the reconciliation that found it."""
    if facts.holding.calls:
        yield answer(Fraction(facts.holding.orphan_area, DAY_MS))


@measure("T", "units", "at the end")
def orphans_left(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """Units reserved where the inventory is held beyond what the engine's claims cover; 0 right after a reconciliation
    whose calls were heard."""
    if not facts.holding.calls:
        return
    left: dict[tuple[str, int, str], int] = {}
    for row in truth.holding:
        if row.type == "reservation.left":
            order, _, line = row.detail.rpartition("/")
            place = (order, int(line), row.node)
            left[place] = left.get(place, 0) + row.quantity
    yield answer(sum(max(0, units - facts.holding.claimed.get(place, 0)) for place, units in left.items()))


@measure("T", "units", "the window")
def oversold_reservations(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """Units reserved where the inventory is held beyond what was in the building and not reserved just then."""
    if facts.holding.calls:
        rows = [row for row in truth.holding if row.type == "reservation.taken" and facts.begin <= row.at <= facts.end]
        yield answer(sum(max(0, row.quantity - max(0, int(row.detail))) for row in rows))
