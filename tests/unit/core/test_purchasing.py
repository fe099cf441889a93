"""Buying: how much by each rule, when, for whom, and what suppliers and docks answer."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.unit.core.given import DAY, HOUR, Business, rule
from twin.core.calendar import ALWAYS_OPEN
from twin.core.commands import DefineNetwork, DefinePolicies, DefineReplenishment
from twin.core.effects import CreatePurchaseOrder
from twin.core.events import PurchaseOrderCreated
from twin.core.master import Policies, Replenishment, Supplier
from twin.core.purchasing import order_quantity


@pytest.mark.parametrize(
    ("kind", "settings", "position", "quantity"),
    [
        ("min_max", {"minimum": 3, "maximum": 10}, 4, 0),
        ("min_max", {"minimum": 3, "maximum": 10}, 3, 7),
        ("min_max", {"minimum": 3, "maximum": 10}, -2, 12),
        ("min_max", {"minimum": -2, "maximum": 0}, -1, 0),
        ("min_max", {"minimum": -2, "maximum": 0}, -2, 2),
        ("reorder_point", {"minimum": 3, "quantity": 5}, 4, 0),
        ("reorder_point", {"minimum": 3, "quantity": 5}, 3, 5),
        ("reorder_point", {"minimum": 3, "quantity": 5}, -1, 5),
        ("reorder_point", {"minimum": 3, "quantity": 5}, -2, 10),
        ("reorder_point", {"minimum": -4, "quantity": 5}, -3, 0),
        ("reorder_point", {"minimum": -4, "quantity": 5}, -4, 5),
        ("reorder_point", {"minimum": -4, "quantity": 5}, -9, 10),
        ("base_stock", {"maximum": 10}, 10, 0),
        ("base_stock", {"maximum": 10}, 9, 1),
        ("base_stock", {"maximum": 10}, 12, 0),
        ("to_order", {}, 0, 0),
        ("to_order", {}, 3, 0),
        ("to_order", {}, -3, 3),
    ],
)
def test_each_rule_buys_what_its_formula_says(  # PU-09
    kind: str, settings: dict[str, int], position: int, quantity: int
) -> None:
    assert order_quantity(rule("north", "a", kind, **settings), position) == quantity


def bought(business: Business) -> list[int]:
    return [created.lines[0].quantity for created in business.events(PurchaseOrderCreated)]


def test_a_continuous_review_buys_at_the_demand_that_crosses_the_level() -> None:
    business = Business({"north": {"a": 8}}, [rule("north", "a", "min_max", minimum=3, maximum=10)])
    business.accept(business.capture([("a", 4)]))
    assert bought(business) == []
    business.accept(business.capture([("a", 1)], order="o2"))
    assert bought(business) == [7]
    assert business.cell().position == 10


def test_what_is_on_its_way_is_not_bought_again() -> None:
    business = Business({"north": {"a": 3}}, [rule("north", "a", "min_max", minimum=3, maximum=10)])
    business.accept(business.capture([("a", 3)]))
    assert bought(business) == [7]
    business.wait(9 * DAY)
    assert bought(business) == [7]


def test_a_negative_reorder_point_waits_for_enough_backorders() -> None:
    business = Business({}, [rule("north", "a", "reorder_point", minimum=-4, quantity=5)])
    business.accept(business.capture([("a", 3)]))
    assert bought(business) == []
    business.accept(business.capture([("a", 1)], order="o2"))
    assert bought(business) == [5]


def test_a_base_stock_rule_replaces_each_unit_as_it_is_promised() -> None:
    business = Business({"north": {"a": 10}}, [rule("north", "a", "base_stock", maximum=10)])
    business.accept(business.capture([("a", 2)]))
    business.accept(business.capture([("a", 3)], order="o2"))
    assert bought(business) == [2, 3]


def test_a_periodic_review_buys_at_its_instants_only() -> None:
    periodic = rule("north", "a", "base_stock", maximum=10, review_ms=DAY, review_offset_ms=6 * HOUR)
    business = Business({"north": {"a": 10}}, [periodic])
    business.accept(business.capture([("a", 2)]))
    business.wait(6 * HOUR - 1)
    assert bought(business) == []
    business.wait(1)
    assert bought(business) == [2]
    business.accept(business.capture([("a", 3)], order="o2"))
    business.wait(DAY - 2)
    assert bought(business) == [2]
    business.wait(1)
    assert bought(business) == [2, 3]
    assert [created.eta for created in business.events(PurchaseOrderCreated)] == [6 * HOUR, DAY + 6 * HOUR]


def test_a_review_at_its_own_instant_is_not_missed() -> None:
    business = Business({"north": {"a": 1}})
    business.wait(3 * DAY)
    periodic = rule("north", "a", "base_stock", maximum=4, review_ms=DAY)
    business.accept(DefineReplenishment("late rules", "test", business.at, (periodic,)))
    assert bought(business) == [3]


def test_a_shortage_is_bought_at_once_and_pegged_to_the_order() -> None:  # PU-01 OL-04
    business = Business({}, [rule("north", "a", "to_order", lead_time_ms=DAY)])
    business.accept(business.capture([("a", 3)], channel="desk"))
    created = business.events(PurchaseOrderCreated)[0]
    assert [(peg.order, peg.line, peg.quantity) for peg in created.pegs] == [("o1", 1, 3)]
    assert (created.eta, created.position, created.cost_minor) == (DAY, -3, 100)
    asked = business.outbox.sent[-1]
    assert isinstance(asked.effect, CreatePurchaseOrder)
    assert (asked.gateway, asked.correlation, asked.criticality) == ("supplier/mill", "o1", "A")


def test_goods_go_to_who_they_were_bought_for_even_past_a_more_urgent_order() -> None:
    business = Business({}, [rule("north", "a", "to_order")])
    business.accept(business.capture([("a", 3)]))
    business.accept(business.capture([("a", 2)], order="o2", channel="desk"))
    first = next(iter(business.state.purchase_orders))
    business.accept(business.receive(purchase_order=first))
    assert business.units("o1") == {"released": 3}
    assert business.units("o2") == {"on_order": 2}


def test_goods_bought_for_nobody_go_to_the_most_urgent_who_waits() -> None:
    business = Business({}, [rule("north", "a", "reorder_point", minimum=-9, quantity=3)])
    business.accept(business.capture([("a", 5)]))
    business.wait(1)
    business.accept(business.capture([("a", 4)], order="o2", channel="desk"))
    assert [(peg.order, peg.quantity) for peg in business.events(PurchaseOrderCreated)[0].pegs] == [("o2", 3)]
    business.accept(business.receive())
    assert business.units("o2") == {"backordered": 1, "released": 3}


def test_a_partial_receipt_serves_part_and_keeps_the_rest_due() -> None:
    business = Business({}, [rule("north", "a", "to_order")])
    business.accept(business.capture([("a", 5)]))
    business.accept(business.receive(("a", 2)))
    assert business.units() == {"on_order": 3, "released": 2}
    order = next(iter(business.state.purchase_orders.values()))
    assert (order.stage, order.due, [peg.quantity for peg in order.pegs]) == ("partly_received", {"a": 3}, [3])
    business.accept(business.receive())
    assert business.units() == {"released": 5}
    assert business.state.purchase_orders == {}


def test_a_partial_receipt_of_a_second_purchase_leaves_the_first_one_s_pegs() -> None:
    business = Business({}, [rule("north", "a", "reorder_point", minimum=-3, quantity=2)])
    business.accept(business.capture([("a", 4)]))
    business.accept(business.capture([("a", 1)], order="o2"))
    assert business.cell().waiting[0].pegged == 4
    first, second = business.state.purchase_orders
    business.accept(business.receive(("a", 1), purchase_order=second))
    pegs = {key: [peg.quantity for peg in order.pegs] for key, order in business.state.purchase_orders.items()}
    assert pegs == {first: [2], second: [1]}


def test_more_than_was_bought_is_refused() -> None:
    business = Business({}, [rule("north", "a", "to_order")])
    business.accept(business.capture([("a", 5)]))
    assert business.refused(business.receive(("a", 6))) == "over_receipt"
    assert business.refused(business.receive(("b", 1))) == "over_receipt"
    assert business.refused(business.receive(("a", 0))) == "over_receipt"
    assert business.refused(business.receive(("a", 3), ("a", 3))) == "line_repeated"
    assert business.refused(business.receive(purchase_order="nothing")) == "unknown_purchase_order"
    assert business.refused(business.receive(("a", 1), node="south")) == "node"


def test_a_receipt_of_nothing_is_refused() -> None:
    business = Business({}, [rule("north", "a", "to_order")])
    business.accept(business.capture([("a", 5)]))
    command = business.receive(("a", 5))
    assert business.refused(replace(command, lines=())) == "no_lines"


def test_a_missing_supply_of_a_negative_belief_is_made_good_first() -> None:
    business = Business({"north": {"a": 0}}, [rule("north", "a", "to_order")])
    business.accept(business.capture([("a", 5)]))
    business.accept(business.adjust(-2))
    first = next(iter(business.state.purchase_orders))
    business.accept(business.receive(purchase_order=first))
    assert business.units() == {"on_order": 2, "released": 3}
    assert business.cell().free == 0


def test_the_supplier_s_date_replaces_the_expected_one() -> None:
    business = Business({}, [rule("north", "a", "to_order", lead_time_ms=DAY)])
    business.accept(business.capture())
    business.accept(business.answer(eta=6 * DAY))
    order = next(iter(business.state.purchase_orders.values()))
    assert (order.stage, order.eta) == ("acknowledged", 6 * DAY)


def test_an_older_answer_overwrites_no_newer_one() -> None:  # RC-08
    business = Business({}, [rule("north", "a", "to_order", lead_time_ms=DAY)])
    business.accept(business.capture())
    business.accept(replace(business.answer(eta=6 * DAY), revision=1))
    business.accept(replace(business.answer(eta=9 * DAY), revision=3))
    for older in (business.answer(eta=5 * DAY), business.answer(eta=7 * DAY), business.answer("rejected")):
        assert business.refused(replace(older, revision=2)) == "outdated"
    order = next(iter(business.state.purchase_orders.values()))
    assert (order.stage, order.eta, order.revision) == ("acknowledged", 9 * DAY, 3)
    business.accept(replace(business.answer("rejected"), revision=4))
    assert not business.state.purchase_orders


def test_a_refused_purchase_is_unpegged_and_bought_again_after_a_while() -> None:
    business = Business({}, [rule("north", "a", "to_order")])
    business.accept(business.capture([("a", 5)]))
    business.accept(business.answer("rejected"))
    assert business.units() == {"on_order": 5}
    assert (business.cell().waiting[0].pegged, business.cell().inbound) == (0, 0)
    assert business.state.purchase_orders == {}
    business.wait(DAY - 1)
    assert bought(business) == [5]
    business.wait(1)
    assert bought(business) == [5, 5]
    assert business.cell().waiting[0].pegged == 5


@pytest.mark.parametrize(
    "chosen", [rule("north", "a", "to_order"), rule("north", "a", "min_max", minimum=-1, maximum=0)]
)
def test_a_supplier_that_refuses_is_asked_no_more_often_for_new_demand(chosen: Replenishment) -> None:
    business = Business({}, [chosen], rejection_wait_ms=12 * HOUR)
    business.accept(business.capture([("a", 5)]))
    business.accept(business.answer("rejected"))
    for number in range(2, 6):
        business.wait(HOUR)
        business.accept(business.capture([("a", 1)], order=f"o{number}"))
    assert bought(business) == [5]
    business.wait(8 * HOUR)
    assert bought(business) == [5, 9]


def test_the_wait_after_a_refusal_is_a_policy() -> None:
    business = Business({}, [rule("north", "a", "to_order")], rejection_wait_ms=HOUR)
    business.accept(business.capture([("a", 5)]))
    business.accept(business.answer("rejected"))
    business.wait(HOUR)
    assert bought(business) == [5, 5]


def test_a_refusal_leaves_a_periodic_review_where_it_is() -> None:
    business = Business({}, [rule("north", "a", "base_stock", maximum=4, review_ms=6 * HOUR)])
    business.wait(HOUR)
    business.accept(business.answer("rejected"))
    business.wait(5 * HOUR)
    orders = business.state.purchase_orders.values()
    assert [order.created_at for order in orders] == [6 * HOUR]


@pytest.mark.parametrize("policies", [Policies(rejection_wait_ms=0), Policies(close_batch=0)])
def test_policies_that_would_never_let_a_step_end_are_refused(policies: Policies) -> None:
    code = "rejection_wait" if not policies.rejection_wait_ms else "batch"
    assert Business().refused(DefinePolicies("x", "t", 0, policies)) == code


def test_another_supplier_need_not_wait_for_the_one_that_refused() -> None:
    business = Business({}, [rule("north", "a", "to_order")])
    business.accept(business.capture([("a", 5)]))
    second = Supplier("forge", ALWAYS_OPEN, 100)
    business.accept(DefineNetwork("forge", "test", business.at, "EUR", (), (second,), (), ()))
    refused = business.answer("rejected")
    changed = replace(rule("north", "a", "to_order"), supplier="forge")
    business.accept(DefineReplenishment("changed", "test", business.at, (changed,)))
    business.accept(refused)
    assert [event.supplier for event in business.events(PurchaseOrderCreated)] == ["mill", "forge"]
    business.accept(business.answer("rejected"))
    back = rule("north", "a", "to_order")
    business.accept(DefineReplenishment("back", "test", business.at, (back,)))
    assert [event.supplier for event in business.events(PurchaseOrderCreated)] == ["mill", "forge", "mill"]


def test_an_answer_to_nothing_or_in_no_known_words_is_refused() -> None:
    business = Business({}, [rule("north", "a", "to_order")])
    business.accept(business.capture([("a", 5)]))
    assert business.refused(business.answer(purchase_order="nothing")) == "unknown_purchase_order"
    assert business.refused(business.answer("perhaps")) == "code"
    business.accept(business.receive(("a", 2)))
    assert business.refused(business.answer("rejected")) == "stage"


def test_two_shortages_of_one_instant_make_two_purchases_with_two_names() -> None:
    business = Business({"north": {"a": 6}}, [rule("north", "a", "to_order")])
    business.accept(business.capture([("a", 3)]))
    business.accept(business.capture([("a", 3)], order="o2"))
    business.accept(business.adjust(-1))
    business.accept(business.receive())
    business.wait(HOUR)
    for key in list(business.state.fulfillment_orders):
        # Two messages of one instant, both before the follow-ups of either.
        business.driver.handle(business.ship(key, []), business.at)
    business.wait(0)
    assert bought(business) == [1, 3, 3]
    assert list(business.state.purchase_orders) == [f"PO/north/a/{business.at}", f"PO/north/a/{business.at}/2"]


def test_an_item_whose_kind_of_buying_changed_is_served_to_both_kinds_of_waiting() -> None:
    business = Business({}, [rule("north", "a", "to_order")])
    business.accept(business.capture([("a", 3)], hold=True))
    changed = rule("north", "a", "min_max", minimum=0, maximum=4)
    business.accept(DefineReplenishment("changed", "test", business.at, (changed,)))
    business.accept(business.capture([("a", 2)], order="o2"))
    while business.state.purchase_orders:
        business.accept(business.receive())
    assert business.units("o1") == {"reserved": 3}
    assert business.units("o2") == {"released": 2}
