"""Where lines come from: each rule alone, ties and abstentions, splits, shortages, and what channels may have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tests.unit.core.given import DAY, Business, rule
from twin.core.events import Leg, SourcingDecided
from twin.core.sourcing import RULES, Candidate, SourcingContext, SourcingLine, source


def a_line(*candidates: Candidate, quantity: int = 5, line: int = 1, sku: str = "a") -> SourcingLine:
    return SourcingLine(line, sku, quantity, candidates)


def a_context(*lines: SourcingLine, preferred: str = "", split: bool = True, reject: bool = False) -> SourcingContext:
    return SourcingContext(0, "o1", "near", lines, preferred, split, reject)


def legs(context: SourcingContext, *rules: str) -> list[tuple[int, str, str, int, str]]:
    return [(leg.line, leg.route, leg.node, leg.quantity, leg.rule) for leg in source(context, rules).legs]


NEAR_AND_DEAR = Candidate("m", 9, 10, 900)
FAR_AND_CHEAP = Candidate("k", 7, 50, 100)


def test_the_preferred_node_of_the_region_wins() -> None:
    context = a_context(a_line(NEAR_AND_DEAR, FAR_AND_CHEAP), preferred="k")
    assert legs(context, "preferred_node", "nearest") == [(1, "stock", "k", 5, "preferred_node")]


def test_the_preferred_node_rule_abstains_where_the_region_prefers_none() -> None:
    context = a_context(a_line(NEAR_AND_DEAR, FAR_AND_CHEAP))
    assert RULES["preferred_node"](context, context.lines[0], context.lines[0].candidates) is None
    assert legs(context, "preferred_node", "nearest") == [(1, "stock", "m", 5, "nearest")]


def test_the_ranking_goes_before_what_does_not_stand_in_it() -> None:
    """What the ranking leaves out ties, so that the next rule decides there; the line goes down the ranking."""
    other, unranked, last = (Candidate(node, 2, way, 100) for node, way in (("a", 60), ("b", 40), ("c", 30)))
    lines = a_line(other, unranked, last, FAR_AND_CHEAP, quantity=12)
    ranked = structs.replace(a_context(lines), ranking=("k", "a"))
    assert legs(ranked, "ranked_nodes", "nearest") == [
        (1, "stock", "k", 7, "ranked_nodes"),
        (1, "stock", "a", 2, "split_line"),
        (1, "stock", "c", 2, "split_line"),
        (1, "stock", "b", 1, "split_line"),
    ]


def test_the_ranked_nodes_rule_abstains_where_there_is_no_ranking() -> None:
    context = a_context(a_line(NEAR_AND_DEAR, FAR_AND_CHEAP))
    assert RULES["ranked_nodes"](context, context.lines[0], context.lines[0].candidates) is None
    assert legs(context, "ranked_nodes", "nearest") == [(1, "stock", "m", 5, "nearest")]


@pytest.mark.parametrize(("rule_name", "node"), [("nearest", "m"), ("cheapest", "k"), ("most_stock", "m")])
def test_a_rule_alone_ranks_by_what_it_is_named_for(rule_name: str, node: str) -> None:
    assert legs(a_context(a_line(FAR_AND_CHEAP, NEAR_AND_DEAR)), rule_name) == [(1, "stock", node, 5, rule_name)]


def test_most_stock_prefers_the_other_node_once_it_has_more() -> None:
    fuller = Candidate("k", 12, 50, 100)
    assert legs(a_context(a_line(NEAR_AND_DEAR, fuller)), "most_stock") == [(1, "stock", "k", 5, "most_stock")]


def test_a_tie_falls_to_the_next_rule_and_names_that_one() -> None:
    same_way = Candidate("z", 9, 10, 100)
    context = a_context(a_line(NEAR_AND_DEAR, same_way))
    assert legs(context, "nearest", "cheapest") == [(1, "stock", "z", 5, "cheapest")]


def test_the_last_tie_break_is_the_node_id() -> None:
    twins = [Candidate(node, 9, 10, 100) for node in ("q", "b", "x")]
    plan = source(a_context(a_line(*twins)), ("nearest", "cheapest"))
    assert [(leg.node, leg.rule, leg.runner_up) for leg in plan.legs] == [("b", "node_id", "q")]


def test_with_no_rule_at_all_the_node_id_decides() -> None:
    assert legs(a_context(a_line(NEAR_AND_DEAR, FAR_AND_CHEAP))) == [(1, "stock", "k", 5, "node_id")]


def test_minimize_splits_prefers_a_node_that_fills_the_line_whole() -> None:
    near_but_short = Candidate("m", 4, 10, 100)
    context = a_context(a_line(near_but_short, FAR_AND_CHEAP))
    assert legs(context, "minimize_splits", "nearest") == [(1, "stock", "k", 5, "minimize_splits")]


def test_minimize_splits_prefers_the_node_that_fills_most_lines_of_the_order() -> None:
    here, there = Candidate("m", 9, 10, 100), Candidate("k", 9, 50, 100)
    context = a_context(a_line(here, there), a_line(there, line=2, sku="b"))
    assert [leg[2] for leg in legs(context, "minimize_splits", "nearest")] == ["k", "k"]


def test_a_line_is_split_over_nodes_best_first_where_none_holds_it_whole() -> None:
    context = a_context(
        a_line(Candidate("m", 2, 10, 1), Candidate("k", 2, 20, 1), Candidate("j", 9, 30, 1), quantity=12)
    )
    assert legs(context, "nearest") == [
        (1, "stock", "m", 2, "nearest"),
        (1, "stock", "k", 2, "split_line"),
        (1, "stock", "j", 8, "split_line"),
    ]


def test_each_leg_of_a_split_names_who_came_second_to_it() -> None:
    context = a_context(
        a_line(Candidate("m", 2, 10, 1), Candidate("k", 2, 20, 1), Candidate("j", 9, 30, 1), quantity=12)
    )
    assert [leg.runner_up for leg in source(context, ("nearest",)).legs] == ["k", "j", ""]


def test_an_unsplittable_line_goes_to_the_best_node_that_holds_it_whole() -> None:
    context = a_context(a_line(Candidate("m", 2, 10, 1), Candidate("j", 9, 30, 1)), split=False)
    assert legs(context, "nearest") == [(1, "stock", "j", 5, "whole_line")]


def test_an_unsplittable_line_that_no_node_holds_waits_whole() -> None:
    context = a_context(a_line(Candidate("m", 4, 10, 1), Candidate("j", 4, 30, 1)), split=False)
    assert legs(context, "nearest") == [(1, "backorder", "m", 5, "short:nearest")]


def test_one_item_on_two_lines_is_not_promised_twice() -> None:
    both = [a_line(Candidate("m", 6, 10, 1), line=line) for line in (1, 2)]
    assert legs(a_context(*both), "nearest") == [
        (1, "stock", "m", 5, "only_candidate"),
        (2, "stock", "m", 1, "only_candidate"),
        (2, "backorder", "m", 4, "short:only_candidate"),
    ]


def test_a_node_that_buys_to_order_gets_the_shortage_as_a_purchase() -> None:
    context = a_context(a_line(Candidate("m", 2, 10, 1, to_order=True)))
    assert [leg[1:4] for leg in legs(context, "nearest")] == [("stock", "m", 2), ("replenish", "m", 3)]


def test_a_channel_that_takes_no_backorders_has_its_shortage_rejected() -> None:
    context = a_context(a_line(Candidate("m", 2, 10, 1)), reject=True)
    assert [leg[1:] for leg in legs(context, "nearest")] == [
        ("stock", "m", 2, "only_candidate"),
        ("reject", "", 3, "short"),
    ]


def test_what_is_bought_to_order_is_never_short_on_a_channel_that_takes_no_backorders() -> None:
    dock, site = Candidate("dock", 0, 50, 1, to_order=True), Candidate("m", 2, 10, 1)
    alone, both = [a_context(a_line(*candidates), reject=True) for candidates in ([dock], [site, dock])]
    assert legs(alone, "nearest") == [(1, "replenish", "dock", 5, "short:only_candidate")]
    # The nearest place would get the shortage, did it buy to order.
    assert [leg[1:4] for leg in legs(both, "nearest")] == [("stock", "m", 2), ("replenish", "dock", 3)]


def test_an_item_that_nobody_holds_is_rejected() -> None:
    assert legs(a_context(a_line())) == [(1, "reject", "", 5, "no_source")]


@given(
    wanted=st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 9)), min_size=1, max_size=5),
    stock=st.lists(
        st.tuples(st.sampled_from("klm"), st.integers(-2, 8), st.integers(0, 3), st.booleans()),
        max_size=3,
        unique_by=lambda candidate: candidate[0],
    ),
    rules=st.permutations(sorted(RULES)),
    preferred=st.sampled_from(["", "k", "m"]),
    split=st.booleans(),
    reject=st.booleans(),
)
def test_any_plan_covers_every_line_exactly_and_takes_no_unit_twice(
    wanted: list[tuple[str, int]],
    stock: list[tuple[str, int, int, bool]],
    rules: list[str],
    preferred: str,
    split: bool,
    reject: bool,
) -> None:
    candidates = tuple(Candidate(node, units, way, way * 7 % 3, to_order) for node, units, way, to_order in stock)
    lines = tuple(SourcingLine(number, sku, units, candidates) for number, (sku, units) in enumerate(wanted))
    plan = source(a_context(*lines, preferred=preferred, split=split, reject=reject), rules)
    for line in lines:
        assert sum(leg.quantity for leg in plan.legs if leg.line == line.line) == line.quantity
        assert all(leg.quantity > 0 for leg in plan.legs)
        if not split:
            assert len([leg for leg in plan.legs if leg.line == line.line and leg.route == "stock"]) <= 1
    for candidate in candidates:
        for sku in "ab":
            of_item = [line.line for line in lines if line.sku == sku]
            taken = [leg for leg in plan.legs if leg.route == "stock" and leg.node == candidate.node]
            assert sum(leg.quantity for leg in taken if leg.line in of_item) <= max(0, candidate.available)
    if reject:
        to_order = [candidate.node for candidate in candidates if candidate.to_order]
        short = [leg for leg in plan.legs if leg.route != "stock"]
        assert all(leg.node in to_order if leg.route == "replenish" else leg.route == "reject" for leg in short)
        assert not to_order or all(leg.route == "replenish" for leg in short)


# --- in the engine


def decided(business: Business) -> list[Leg]:
    return list(business.events(SourcingDecided)[-1].legs)


def test_an_order_split_over_warehouses_keeps_one_identity() -> None:  # OL-04
    business = Business({"north": {"a": 2}, "south": {"b": 1}}, [rule("east", "c", "to_order")])
    business.accept(business.capture([("a", 2), ("b", 1), ("c", 4)]))
    assert [(leg.line, leg.route, leg.node) for leg in decided(business)] == [
        (1, "stock", "north"),
        (2, "stock", "south"),
        (3, "replenish", "east"),
    ]
    assert business.units(line=3) == {"on_order": 4}
    assert sorted(plan.node for plan in business.state.fulfillment_orders.values()) == ["north", "south"]
    assert [plan.order for plan in business.state.fulfillment_orders.values()] == ["o1", "o1"]


def test_only_nodes_with_a_lane_to_the_region_are_candidates() -> None:
    business = Business({"north": {"a": 9}, "south": {"a": 1}})
    business.accept(business.capture([("a", 3)], region="far"))
    assert [(leg.route, leg.node, leg.quantity) for leg in decided(business)] == [
        ("stock", "south", 1),
        ("backorder", "south", 2),
    ]


def test_the_decision_keeps_what_it_looked_at_where_there_was_a_choice() -> None:
    business = Business({"north": {"a": 9}, "south": {"a": 4}})
    business.accept(business.capture([("a", 3)]))
    looked_at = business.events(SourcingDecided)[-1].considered
    assert [(seen.node, seen.available) for seen in looked_at] == [("north", 9), ("south", 4)]


def test_stock_that_waiting_orders_will_get_is_not_available() -> None:
    business = Business({"north": {"a": 4}}, split_lines=False)
    business.accept(business.capture([("a", 6)]))
    business.accept(business.capture([("a", 1)], order="o2"))
    assert business.units("o1") == {"backordered": 2, "released": 4}
    assert business.units("o2") == {"backordered": 1}


@pytest.mark.parametrize(("channel", "released"), [("web", 5), ("careful", 2)])
def test_safety_stock_is_hidden_from_its_channel_only(channel: str, released: int) -> None:
    business = Business({"north": {"a": 5}})
    business.accept(business.capture([("a", 5)], channel=channel))
    assert business.units().get("released") == released
    assert business.units().get("backordered", 0) == 5 - released


def test_a_backorder_does_not_get_the_stock_that_its_channel_must_not_touch() -> None:
    business = Business({"north": {"a": 3}})
    business.accept(business.capture([("a", 2)], channel="careful"))
    business.accept(business.adjust(1))
    assert business.units() == {"backordered": 1, "released": 1}
    business.accept(business.capture([("a", 2)], order="o2", channel="desk"))
    assert business.units("o2") == {"released": 2}


def test_an_urgent_order_that_must_wait_is_served_from_what_is_free_before_others() -> None:
    business = Business({"north": {"a": 4}})
    business.accept(business.capture([("a", 2)], channel="careful"))
    business.accept(business.capture([("a", 3)], order="o2", channel="desk"))
    assert business.units("o2") == {"released": 3}
    assert business.units("o1") == {"released": 1, "backordered": 1}


def test_a_shortage_on_a_marketplace_is_rejected_and_the_order_still_ends() -> None:
    business = Business({"north": {"a": 1}})
    business.accept(business.capture([("a", 3)], channel="market"))
    assert business.units() == {"rejected": 2, "released": 1}
    business.accept(business.ship())
    business.accept(business.milestone())
    business.wait(2 * DAY)
    assert business.state.orders == {}


def test_a_ship_complete_order_is_released_only_once_every_line_is_reserved() -> None:
    business = Business({"north": {"a": 2}, "south": {"b": 1}})
    business.accept(business.capture([("a", 2), ("b", 3)], channel="whole"))
    assert business.state.fulfillment_orders == {}
    assert business.status() == "backordered"
    business.load("south", {"b": 2})
    assert business.status() == "released"
    assert [plan.node for plan in business.state.fulfillment_orders.values()] == ["north", "south"]


def test_a_ship_complete_order_goes_once_what_it_waited_for_is_cancelled() -> None:
    business = Business({"north": {"a": 2}})
    business.accept(business.capture([("a", 2), ("a", 3)], channel="whole"))
    business.accept(business.cancel(2))
    assert business.units(line=1) == {"released": 2}


def test_a_ship_complete_order_goes_once_what_it_waited_for_is_credited() -> None:
    business = Business({"north": {"a": 2}})
    business.accept(business.capture([("a", 2), ("a", 3)], channel="whole"))
    business.accept(business.credit(3, line=2))
    assert business.units(line=1) == {"released": 2}
