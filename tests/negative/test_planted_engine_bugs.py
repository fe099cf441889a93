"""Bugs planted one at a time: a checker that lets one of them through is no checker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from tests.golden.engine_story import tell
from tests.properties.harness import Caught, CheckedEngine
from tests.unit.core.given import DAY, HOUR, Business, delivery_policies, rule
from twin.core import engine, fold_orders, fold_stock, ordering, shipping, sourcing
from twin.core import events as e
from twin.core.commands import HoldOrder
from twin.core.delivery import wake_delivery
from twin.core.draft import Draft
from twin.core.effects import PickLine
from twin.core.entry import Entry
from twin.core.events import Reservation
from twin.core.refusals import EngineError, Refusal
from twin.core.sourcing import Candidate
from twin.core.state import Backorder, Order, State

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]


def story() -> None:
    """A short way through everything that the planted bugs touch; the same for all of them."""
    business = Business(
        {"north": {"a": 6}},
        [rule("north", "b", "to_order"), rule("north", "c", "min_max", minimum=1, maximum=4)],
        reservation_expiry_ms=HOUR,
        delivery=delivery_policies(acknowledge=True, timeout_ms=DAY, retries=9, deadline_ms=90 * DAY),
    )
    found = business.adjust(1)
    business.accept(found)
    business.tell(found)
    business.accept(business.capture([("a", 3)]))
    business.accept(business.hold())
    business.accept(business.pick())
    business.accept(business.ship(lines=[(1, 2)], shipment="s1"))
    business.accept(business.milestone())
    business.accept(business.release_hold())
    business.accept(business.capture([("a", 2)], order="o2", hold=True))
    business.accept(business.cancel(order="o2"))
    business.accept(business.capture([("a", 2)], order="o3", hold=True))
    business.wait(2 * HOUR)
    business.accept(business.capture([("b", 4)], order="o4"))
    business.accept(business.capture([("b", 1)], order="o5", channel="desk"))
    business.accept(business.cancel(order="o5"))
    bought = next(key for key in business.state.purchase_orders if "/b/" in key)
    business.accept(business.receive(("b", 2), purchase_order=bought))
    business.accept(business.credit(1))
    business.wait(2 * DAY)


def by(checker: str, run: Callable[[], Any], patch: Patch) -> bool:
    """Whether `checker` alone finds something wrong, as `Caught` or as an event that cannot be folded."""
    patch.setattr(CheckedEngine, "checks", (checker,))
    try:
        run()
    except Caught as caught:
        return caught.by == checker
    return False


CHECKERS = ("purity", "fold", "invariants", "auditor")


def test_without_a_planted_bug_no_checker_complains() -> None:
    story()


# --- the plants


def ignore_the_dedupe_key(patch: Patch) -> None:
    patch.setattr(engine, "was_seen", lambda seen, key, now, retention_ms: False)


def keep_expired_stock_reserved(patch: Patch) -> None:
    original = fold_orders.reservation_expired

    def fold(state: State, event: e.ReservationExpired, now: int) -> None:
        original(state, event, now)
        for held in event.reservations:
            cell = state.stock[held.node][held.sku]
            cell.free -= held.quantity
            cell.soft += held.quantity

    patch.setitem(engine._FOLDS, e.ReservationExpired, fold)


def cancel_without_giving_stock_back(patch: Patch) -> None:
    def drop(state: State, order: Order, number: int, node: str, units: int) -> None:
        order.soft = [held for held in order.soft if held.line != number]

    patch.setattr(fold_orders, "_give_back", drop)


def count_shipped_units_twice(patch: Patch) -> None:
    original = fold_orders.goods_shipped

    def fold(state: State, event: e.GoodsShipped, now: int) -> None:
        original(state, event, now)
        for number, units in event.lines:
            state.orders[event.order].lines[number].buckets[fold_orders.SHIPPED] += units

    patch.setitem(engine._FOLDS, e.GoodsShipped, fold)


def take_shipped_units_off_the_shelf_twice(patch: Patch) -> None:
    original = fold_orders.goods_shipped

    def fold(state: State, event: e.GoodsShipped, now: int) -> None:
        original(state, event, now)
        for number, units in event.lines:
            state.stock[event.node][state.orders[event.order].lines[number].sku].free -= units

    patch.setitem(engine._FOLDS, e.GoodsShipped, fold)


def bill_a_shipment_a_cent_too_high(patch: Patch) -> None:
    original = shipping.bill

    def bill(state: State, order: Order, shipment: str, lines: Any, now: int, draft: Draft) -> None:
        original(state, order, shipment, lines, now, draft)
        draft.events[-1] = replace(draft.events[-1], amount_minor=draft.events[-1].amount_minor + 1)

    patch.setattr(shipping, "bill", bill)


def forget_to_bill(patch: Patch) -> None:
    patch.setattr(shipping, "bill", lambda *arguments: None)


def forget_to_unpeg(patch: Patch) -> None:
    patch.setattr(fold_stock, "_unpeg", lambda *arguments: None)


def drop_a_backorder_from_the_queue(patch: Patch) -> None:
    def wait(state: State, node: str, sku: str, waiting: Backorder) -> None:
        cell = fold_stock.cell_at(state, node, sku)
        cell.backordered += waiting.quantity
        fold_stock.touch(state, node, sku, cell)

    patch.setattr(fold_orders, "wait", wait)


def forget_a_backorder_altogether(patch: Patch) -> None:
    patch.setattr(fold_orders, "wait", lambda *arguments: None)


def change_the_state_while_deciding(patch: Patch) -> None:
    def hold(state: State, command: HoldOrder, now: int, draft: Draft) -> Refusal | None:
        state.orders[command.order].held = True
        draft.events.append(e.OrderHeld(command.order, command.reason))
        return None

    patch.setitem(engine._DECIDERS, HoldOrder, hold)


def forget_to_fold_an_adjustment(patch: Patch) -> None:
    patch.setitem(engine._FOLDS, e.StockAdjusted, lambda state, event, now: fold_stock.cell_at(state, "north", "a"))


def lose_the_last_event_of_an_entry(patch: Patch) -> None:
    """Only the running engine skips it; what the log folds to is right."""
    original = engine.Engine.apply

    def apply(self: engine.Engine, entry: Entry) -> None:
        if isinstance(self, CheckedEngine) and len(entry.events) > 3:
            entry = replace(entry, events=entry.events[:-1])
        original(self, entry)

    patch.setattr(engine.Engine, "apply", apply)


def forget_the_follow_up_of_a_short_pick(patch: Patch) -> None:
    original = fold_orders.order_hold_released

    def fold(state: State, event: e.OrderHoldReleased, now: int) -> None:
        original(state, event, now)
        engine.cancel_timer(state.timers, f"source/{event.order}")

    patch.setitem(engine._FOLDS, e.OrderHoldReleased, fold)


def tell_the_warehouse_too_much(patch: Patch) -> None:
    original = ordering.release

    def release(state: State, order: Order, reservations: Sequence[Reservation], now: int, draft: Draft) -> None:
        original(state, order, reservations, now, draft)
        sent: Any = draft.deliveries[-1]
        more = tuple(PickLine(line.line, line.sku, line.quantity + 1) for line in sent.effect.lines)
        draft.deliveries[-1] = replace(sent, effect=replace(sent.effect, lines=more))

    patch.setattr(ordering, "release", release)


def retry_under_a_new_key(patch: Patch) -> None:
    def wake(state: State, key: str, now: int, draft: Draft) -> None:
        wake_delivery(state, key, now, draft)
        draft.deliveries[:] = [replace(sent, key=f"{sent.key}#{sent.attempt}") for sent in draft.deliveries]

    patch.setattr(engine.delivery, "wake_delivery", wake)


def close_an_order_that_is_not_done(patch: Patch) -> None:
    original = fold_orders.settle

    def settle(state: State, order: Order) -> None:
        if order.id == "o4" and not order.closing:
            order.closing = True
            state.closing.setdefault(str(DAY), []).append(order.id)
            fold_orders.set_timer(state.timers, f"close/{DAY}", DAY)
        else:
            original(state, order)

    patch.setattr(fold_orders, "settle", settle)
    held = fold_orders.reservation_decided

    def fold(state: State, event: e.ReservationDecided, now: int) -> None:
        held(state, event, now)
        settle(state, state.orders[event.order])

    patch.setitem(engine._FOLDS, e.ReservationDecided, fold)


def credit_twice(patch: Patch) -> None:
    original = fold_orders.credit_issued

    def fold(state: State, event: e.CreditIssued, now: int) -> None:
        original(state, event, now)
        order = state.orders.get(event.order)
        if order is not None:
            order.lines[event.line].credited += event.quantity

    patch.setitem(engine._FOLDS, e.CreditIssued, fold)


CAUGHT: list[tuple[Plant, tuple[str, ...]]] = [
    (ignore_the_dedupe_key, ("auditor",)),
    (keep_expired_stock_reserved, ("invariants", "auditor")),
    (cancel_without_giving_stock_back, ("invariants", "auditor")),
    (count_shipped_units_twice, ("invariants", "auditor")),
    (take_shipped_units_off_the_shelf_twice, ("auditor",)),
    (bill_a_shipment_a_cent_too_high, ("auditor",)),
    (forget_to_bill, ("invariants", "auditor")),
    (forget_to_unpeg, ("invariants",)),
    (drop_a_backorder_from_the_queue, ("invariants", "auditor")),
    (forget_a_backorder_altogether, ("invariants", "auditor")),
    (change_the_state_while_deciding, ("purity",)),
    (forget_to_fold_an_adjustment, ("auditor",)),
    (lose_the_last_event_of_an_entry, ("fold", "auditor")),
    (forget_the_follow_up_of_a_short_pick, ("invariants",)),
    (tell_the_warehouse_too_much, ("auditor",)),
    (retry_under_a_new_key, ("auditor",)),
    (close_an_order_that_is_not_done, ("auditor",)),
    (credit_twice, ("auditor",)),
]


@pytest.mark.parametrize(("plant", "checker"), [(plant, checker) for plant, checkers in CAUGHT for checker in checkers])
def test_each_checker_alone_catches_the_bugs_it_is_there_for(plant: Plant, checker: str, monkeypatch: Patch) -> None:
    plant(monkeypatch)
    assert by(checker, story, monkeypatch)


@pytest.mark.parametrize("plant", [plant for plant, _ in CAUGHT])
def test_all_checkers_together_let_no_planted_bug_through(plant: Plant, monkeypatch: Patch) -> None:
    plant(monkeypatch)
    with pytest.raises((Caught, EngineError)):
        story()


def bill_twice(patch: Patch) -> None:
    original = shipping.bill

    def bill(*arguments: Any) -> None:
        original(*arguments)
        original(*arguments)

    patch.setattr(shipping, "bill", bill)


def test_a_shipment_billed_twice_stops_the_fold(monkeypatch: Patch) -> None:
    bill_twice(monkeypatch)
    with pytest.raises(EngineError, match="billed beyond"):
        story()


def test_a_timer_that_is_set_again_without_end_is_caught(monkeypatch: Patch) -> None:
    original = engine.Engine._rearm

    def rearm(self: engine.Engine, key: str) -> None:
        original(self, key)
        if key.startswith("source/"):
            engine.set_timer(self.state.timers, key, self.state.now)

    monkeypatch.setattr(engine.Engine, "_rearm", rearm)
    with pytest.raises(Caught, match="without end"):
        story()


PLANTED_HASH = """
from twin.core import sourcing
from tests.golden.engine_story import tell
from tests.properties.harness import digest

def by_hash(context, line, candidates):
    return [hash(candidate.node) for candidate in candidates]

sourcing.RULES["preferred_node"] = by_hash
print(digest(tell(60).journal))
"""

PLANTED_SET = """
from twin.core import sourcing
from tests.golden.engine_story import tell
from tests.properties.harness import digest

def by_set(context, line, candidates):
    order = list({candidate.node for candidate in candidates})
    return [order.index(candidate.node) for candidate in candidates]

sourcing.RULES["preferred_node"] = by_set
print(digest(tell(60).journal))
"""


@pytest.mark.parametrize("program", [PLANTED_HASH, PLANTED_SET], ids=["hash", "set"])
def test_a_choice_that_depends_on_the_hash_seed_changes_the_digest(
    program: str, fresh_python: Callable[..., str]
) -> None:
    assert len({fresh_python(program, hash_seed=seed) for seed in (0, 1, 2, 12_345)}) > 1


def test_another_decision_changes_the_digest(monkeypatch: Patch) -> None:
    honest = tell(30).journal.lines

    def by_name(context: Any, line: Any, candidates: Sequence[Candidate]) -> list[int]:
        return [-ord(candidate.node[0]) for candidate in candidates]

    monkeypatch.setitem(sourcing.RULES, "preferred_node", by_name)
    assert tell(30).journal.lines != honest
