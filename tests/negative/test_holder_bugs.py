"""Bugs planted in who holds the inventory, in the engine's claims and in the reconciliation: each must be seen (PL-05)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.properties.harness import Caught
from tests.unit.core.test_holding import CLAIM, answer, outside
from tests.world.holders import at_rest, claimed, held, held_by, mixed, orphans, oversold
from tests.world.stage import DAY, HOUR, MINUTE, SECOND, Stage
from twin.core import engine, fold_orders, holding, reconciling
from twin.core.commands import ReportReservations
from twin.core.draft import Draft
from twin.core.effects import ReleaseUnits, ReserveUnits
from twin.core.events import ReservationsReconciled
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


def test_a_holder_that_reserves_what_it_has_not_is_told_oversold(monkeypatch: Patch) -> None:
    def reserve(self: Holder, effect: ReserveUnits) -> Any:
        short = [line for line in effect.lines if self.available(line.node, line.sku) < line.quantity]
        before = dict(self.reserved)
        for line in short:
            # As if there were plenty, for the check alone.
            self.reserved[line.node, line.sku] = -1_000_000
        done = honest(self, effect)
        for line in short:
            place = (line.node, line.sku)
            self.reserved[place] = before.get(place, 0) + line.quantity
        return done

    honest = Holder._reserve
    stage = Stage(held_by("service", busy=False, warehouses=[{"id": "main", "latency": "10s"}, {"id": "far"}]))
    holder = stage.world.holder
    assert holder is not None
    stage.order("o1", {"mug": 3}, at=HOUR)
    stage.run(HOUR + 1)
    holder.take(("counter/1", "main", "mug", 39, 0))
    fork = stage.fork()
    stage.run(2 * HOUR)
    assert oversold(stage) == 0
    monkeypatch.setattr(Holder, "_reserve", reserve)
    monkeypatch.setattr(Holder, "available", lambda self, node, sku: _shelf(self, node, sku))
    fork.run(2 * HOUR)
    # It writes down what there was, and what it gave away.
    assert [row for row in fork.rows("reservation.taken") if int(row.detail) < row.quantity] or fork.rows(
        "reservation.refused"
    )


def _shelf(holder: Holder, node: str, sku: str) -> int:
    warehouse = holder.world.warehouses[node]
    return warehouse.shelf.get(sku, 0) + warehouse.staged.get(sku, 0) - holder.reserved.get((node, sku), 0)


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
    state.claims.clear()
    assert any("which is no open claim" in text or "of its order 1, open 0" in text for text in violations(state))
