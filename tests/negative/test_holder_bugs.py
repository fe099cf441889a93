"""Bugs planted in who holds the inventory, in claims and in the reconciliation: each must be seen (PL-05)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.properties.harness import Caught
from tests.unit.core.test_holding import CLAIM, answer, outside
from tests.world.holders import at_rest, claimed, held, held_by, mixed, orphans, oversold
from tests.world.stage import DAY, HOUR, MINUTE, SECOND, Stage
from twin.core import engine, fold_orders, holding, inventory, reconciling
from twin.core.commands import ReportReservations
from twin.core.draft import Draft
from twin.core.effects import ReleaseUnits
from twin.core.events import ReservationsReconciled, UnitsShorted
from twin.core.invariants import violations
from twin.core.state import State
from twin.world.holder import Holder, InventoryService
from twin.world.party import Party

Patch = pytest.MonkeyPatch

LOST = {"kind": "reply_lost", "probability": "100%", "from": "0s", "for": "20s"}


def one_held_order(**inventory: Any) -> Stage:
    """An order over three mugs whose first answer is lost, held until the fourth hour."""
    stage = Stage(held_by("service", LOST, busy=False, inventory=inventory))
    stage.order("o1", {"mug": 3}, at=SECOND)
    stage.hold("o1", at=2 * SECOND)
    return stage


def reserve_twice(patch: Patch) -> None:
    """A service that acts on a call as often as it comes, whatever it remembers."""

    def accept(self: Party, delivery: Any) -> bool:
        return True

    patch.setattr(InventoryService, "accept", accept)


def skip(state: State, command: ReportReservations, now: int, draft: Draft) -> None:
    """A reconciliation that looks at nothing."""
    draft.events.append(ReservationsReconciled(command.request))


def test_a_holder_that_reserves_twice_for_a_key_is_found_by_the_reconciliation(monkeypatch: Patch) -> None:
    reserve_twice(monkeypatch)
    stage = one_held_order()
    stage.run(5 * HOUR)
    assert orphans(stage) == {(CLAIM, 1, "main"): 3}
    stage.run(6 * HOUR + MINUTE)
    assert [event.orphans[0].quantity for _, event in stage.events(ReservationsReconciled)] == [3]
    assert orphans(stage) == {}


def test_a_reconciliation_that_skips_leaves_what_the_check_at_rest_sees(monkeypatch: Patch) -> None:
    monkeypatch.setitem(engine._DECIDERS, ReportReservations, skip)
    with pytest.raises(AssertionError):
        at_rest(mixed(10), 4 * DAY)


def test_a_reconciliation_that_forgets_to_give_back_leaves_what_the_check_at_rest_sees(monkeypatch: Patch) -> None:
    monkeypatch.setattr(reconciling, "tell_what_is_left", lambda *arguments: None)
    with pytest.raises(AssertionError):
        at_rest(mixed(10), 4 * DAY)


def race() -> Stage:
    """Thirty-nine of forty mugs are sold at the counter while a call for three is under way."""
    stage = Stage(held_by("service", busy=False, warehouses=[{"id": "main", "latency": "10s"}, {"id": "far"}]))
    stage.order("o1", {"mug": 3}, at=HOUR)
    stage.run(HOUR + 1)
    holder = stage.world.holder
    assert holder is not None
    holder.take(("counter/1", "main", "mug", 39, 0))
    stage.run(2 * HOUR)
    return stage


def test_a_holder_that_reserves_what_it_has_not_is_told_oversold(monkeypatch: Patch) -> None:
    honest = race()
    assert (oversold(honest), honest.events(UnitsShorted)) == (0, [])
    monkeypatch.setattr(Holder, "_enough", lambda self, effect: True)
    stage = race()
    # One was there. The shelf tells the same.
    assert oversold(stage) == 2
    assert [event.lines for _, event in stage.events(UnitsShorted)] == [((1, 2),)]


def test_a_holder_that_gives_back_more_than_it_was_told_is_found_missing(monkeypatch: Patch) -> None:
    honest = Holder._release

    def release(self: Holder, effect: ReleaseUnits) -> None:
        honest(self, ReleaseUnits(effect.claim, effect.order))

    monkeypatch.setattr(Holder, "_release", release)
    reserve_twice(monkeypatch)
    stage = one_held_order()
    stage.run(6 * HOUR + MINUTE)
    # One of two was to go, and both went.
    assert (held(stage), claimed(stage.state)) == ({}, {(CLAIM, 1, "main"): 3})
    stage.run(12 * HOUR + MINUTE)
    assert stage.events(ReservationsReconciled)[-1][1].missing == (CLAIM,)


def test_an_engine_that_releases_what_nobody_confirmed_is_caught(monkeypatch: Patch) -> None:
    monkeypatch.setattr(holding, "_sure", lambda state, held: True)
    monkeypatch.setattr(fold_orders, "_unconfirmed", lambda state, held: False)
    business = outside({"north": {"a": 5}})
    with pytest.raises(Caught, match=r"are asked for, 0 are reserved"):
        business.accept(business.capture([("a", 3)]))


def test_an_engine_that_keeps_claims_to_what_was_cancelled_is_caught(monkeypatch: Patch) -> None:
    monkeypatch.setattr(fold_orders, "review_claims", lambda state, order, now: None)
    business = outside({"north": {"a": 5}})
    business.accept(business.capture([("a", 3)], hold=True))
    business.accept(answer(business))
    with pytest.raises(Caught, match=r"claimed 3, reserved or released 0"):
        business.accept(business.cancel())


def test_an_engine_that_forgets_whom_it_asked_is_caught() -> None:
    business = outside({"north": {"a": 5}})
    business.accept(business.capture([("a", 3)]))
    state = business.state
    del state.deliveries[CLAIM]
    assert any("it waits for an answer, and nobody is asked" in text for text in violations(state))
    state.orders["o1"].claims.clear()
    assert any("which is no open claim" in text for text in violations(state))
    assert any("of its order 0, open 1" in text for text in violations(state))


def test_a_correction_that_uses_up_more_than_is_kept_for_others_is_caught(monkeypatch: Patch) -> None:
    monkeypatch.setattr(inventory, "_known_before", lambda cell, correction: max(0, -correction))
    business = outside({"north": {"a": 5}})
    business.accept(business.capture([("a", 3)], hold=True))
    business.accept(answer(business, "refused", CLAIM, ("north", "a", 4)))
    with pytest.raises(Caught, match="a at north: a count of units below zero"):
        business.accept(business.adjust(-2))
