"""Inventory that is held outside the engine: what became of the calls that reserve it, and what they left behind.

Of runs in which the ERP or a service holds the inventory only; others have none of these measures.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from twin.measures.measured import Answer, answer, measure, ratio

if TYPE_CHECKING:
    from twin.measures.against_truth import Truth
    from twin.measures.facts import Facts

__all__ = [
    "orphan_reservations",
    "orphan_unit_days",
    "orphans_left",
    "oversold_reservations",
    "reservation_calls",
    "reservation_wait",
]

DAY_MS: Final = 86_400_000


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
