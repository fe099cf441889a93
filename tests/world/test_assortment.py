"""A derived assortment: items, classes, placement and stock levels by stated rules, and by no luck of the run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hours import working_between
from tests.world.small import small
from tests.world.stage import DAY
from twin.core.calendar import ALWAYS_OPEN, Calendar
from twin.order_book import BookAdjustment, BookItem, BookLine, BookOrder, OrderBook
from twin.scenario import Scenario
from twin.scenario.demand import GeneratedDemand
from twin.scenario.merging import merge_plain
from twin.world.assortment import Catalog, compile_catalog, hourly_micro
from twin.world.build import build
from twin.world.sites import Sites

WEEK_ORDERS = 700


ONE_SITE: dict[str, Any] = {"suppliers": {"mill": 1, "works": None}, "placement": {"A": 1, "B": 1, "C": 1}}


def derived(nodes: tuple[str, ...] = ("w1", "w2", "w3", "w4"), **changes: Any) -> Scenario:
    """A region, warehouses of which the first is nearest, one generated channel, 200 derived items; `changes` too."""
    demand = {
        "kind": "generated",
        "orders": f"{WEEK_ORDERS}/week",
        "lines_per_order": [["0%", 2], ["100%", 2]],
        "quantity_per_line": [["0%", 3], ["100%", 3]],
        "item_skew": {"exponent": 1},
        "regions": {"home": 1},
    }
    business = {
        "schema": 1,
        "title": "A derived assortment",
        "run": {"start": "2025-11-17T00:00Z", "horizon": "60d"},
        "currency": "GBP",
        "regions": ["home"],
        "carriers": [{"id": "van"}],
        "warehouses": [{"id": node} for node in nodes],
        "lanes": [
            {"from": node, "to": "home", "carrier": "van", "transit": f"{4 + number}h"}
            for number, node in enumerate(nodes)
        ],
        "suppliers": [{"id": "mill", "lead_time": "7d"}, {"id": "works", "lead_time": "20d"}],
        "channels": [{"id": "web", "style": "ecommerce", "requested": "2d", "demand": demand}],
        "assortment": {
            "kind": "derived",
            "count": 200,
            "price": [["0%", "1.00 GBP"], ["100%", "9.00 GBP"]],
            "cost": "40%",
            "suppliers": {"mill": 3, "works": 1},
            "placement": {"A": 3, "B": 2, "C": 1},
            "cover": "14d",
            "opening": "30d",
        },
    }
    return Scenario.model_validate(merge_plain(business, changes))


def catalog(scenario: Scenario, book: OrderBook | None = None) -> Catalog:
    return compile_catalog(scenario, Sites.of(scenario), book)


def placed(found: Catalog) -> dict[str, list[str]]:
    """The warehouses that stock each item."""
    nodes: dict[str, list[str]] = {}
    for rule in found.rules:
        nodes.setdefault(rule.sku, []).append(rule.node)
    return {sku: sorted(places) for sku, places in nodes.items()}


@pytest.fixture(scope="module")
def plain() -> Catalog:
    return catalog(derived())


def test_items_are_named_by_rank_and_priced_at_even_quantiles_of_the_table(plain: Catalog) -> None:
    assert [item.sku for item in plain.items][:2] == ["item-001", "item-002"]
    assert list(plain.ranked) == [item.sku for item in plain.items]
    prices = [item.price_minor for item in plain.items]
    # 200 slices between 1 and 9: the middles of the slices, every one once.
    assert sorted(prices) == [100 + 2 + 4 * index for index in range(200)]
    # Rank and price are unrelated: neither half is the dear one.
    assert sum(prices[:100]) == pytest.approx(sum(prices[100:]), rel=0.15)
    assert prices != sorted(prices)


def test_cost_is_its_share_of_the_price_to_the_nearest_minor_unit(plain: Catalog) -> None:
    for item in plain.items:
        assert abs(10 * item.cost_minor - 4 * item.price_minor) <= 5


def test_suppliers_get_their_share_of_the_items(plain: Catalog) -> None:
    suppliers = [rule.supplier for rule in {rule.sku: rule for rule in plain.rules}.values()]
    assert suppliers.count("mill") == pytest.approx(150, abs=20)
    assert suppliers.count("mill") + suppliers.count("works") == 200


def test_the_best_items_are_stocked_widely_and_the_rest_at_one_site(plain: Catalog) -> None:
    counts = [len(places) for places in placed(plain).values()]
    # By rank, since demand falls with it: A, then B, then C.
    assert counts == sorted(counts, reverse=True)
    assert sorted(dict.fromkeys(counts)) == [1, 2, 3]
    weights = [1 / rank for rank in range(1, 201)]
    share = sum(weights[: counts.count(3)]) / sum(weights)
    assert share == pytest.approx(0.8, abs=0.01)
    share = sum(weights[: counts.count(3) + counts.count(2)]) / sum(weights)
    assert share == pytest.approx(0.95, abs=0.01)


def test_one_warehouse_more_moves_only_the_items_that_it_wins(plain: Catalog) -> None:
    grown = placed(catalog(derived(("w1", "w2", "w3", "w4", "w5"))))
    won = 0
    for sku, before in placed(plain).items():
        after = grown[sku]
        if "w5" in after:
            won += 1
            assert len([node for node in before if node not in after]) == 1
            assert [node for node in after if node != "w5"] == [node for node in before if node in after]
        else:
            assert after == before
    assert 0 < won < 120


def test_levels_follow_the_demand_of_the_site() -> None:
    # One site and one line of three units each: everything is known by hand.
    one = catalog(derived(("w1",), assortment={**ONE_SITE, "service": "97.725%"}))
    weights = [1 / rank for rank in range(1, 201)]
    for rank in (1, 10, 150):
        rule = next(rule for rule in one.rules if rule.sku == f"item-{rank:03d}")
        lines_a_day = WEEK_ORDERS / 7 * 2 * weights[rank - 1] / sum(weights)
        lead = 7
        # Compound Poisson: mean 3 lambda L, variance 9 lambda L; this service is z = 2.
        level = 3 * lines_a_day * lead + 2 * (9 * lines_a_day * lead) ** 0.5
        assert rule.minimum == pytest.approx(level, abs=1.01)
        assert rule.maximum - rule.minimum == pytest.approx(3 * lines_a_day * 14, abs=1.01)
        assert abs(one.opening["w1"][rule.sku] - max(rule.minimum + 1, 3 * lines_a_day * 30)) <= 1.01


def test_a_site_without_demand_still_opens_above_its_level(plain: Catalog) -> None:
    for rule in plain.rules:
        assert rule.maximum > rule.minimum >= 0
        assert plain.opening[rule.node][rule.sku] >= rule.minimum + 1
    # Nearest is w1: a region without a preferred warehouse gives its demand to the fastest that stocks the item.
    best = {rule.node: rule.minimum for rule in plain.rules if rule.sku == "item-001"}
    nearest = min(best)
    assert best[nearest] > 0
    assert all(level == 0 for node, level in best.items() if node != nearest)


def test_the_preferred_warehouse_gets_the_demand_of_its_region(plain: Catalog) -> None:
    places = placed(plain)["item-001"]
    wanted = places[-1]
    preferring = catalog(derived(policies={"sourcing": {"preferred": {"home": wanted}}}))
    levels = {rule.node: rule.minimum for rule in preferring.rules if rule.sku == "item-001"}
    assert [node for node, level in levels.items() if level] == [wanted]


def test_lead_times_count_the_suppliers_working_time() -> None:
    week = {"id": "office", "days": ["mon", "tue", "wed", "thu", "fri"], "hours": ["08:00-16:00"]}
    spec = {"id": "mill", "lead_time": "40h", "calendar": "office"}
    scenario = derived(("w1",), calendars=[week], suppliers=[spec], assortment=ONE_SITE)
    rule = catalog(scenario).rules[0]
    calendar: Calendar = Sites.of(scenario).calendars["office"]
    assert working_between(calendar, scenario.run.start, scenario.run.start + rule.lead_time_ms) == 40 * 3_600_000
    assert rule.lead_time_ms > 4 * DAY
    assert Sites.of(scenario).calendars["always"].bounds == ALWAYS_OPEN.bounds


def test_no_luck_of_the_run_is_in_the_assortment() -> None:
    scenario = small()
    assert build(scenario, 1).catalog == build(scenario, 2).catalog


def test_what_is_listed_goes_before_what_is_derived() -> None:
    scenario = derived(
        stock=[{"warehouse": "w2", "item": "item-007", "on_hand": 5}],
        policies={
            "replenishment": [
                {"warehouse": "w2", "item": "item-007", "supplier": "works", "kind": "min_max", "s": 1, "S": 2}
            ]
        },
    )
    found = catalog(scenario)
    assert found.opening["w2"]["item-007"] == 5
    (rule,) = [rule for rule in found.rules if (rule.node, rule.sku) == ("w2", "item-007")]
    assert (rule.minimum, rule.maximum, rule.supplier) == (1, 2, "works")


def book(*adjusted: int) -> OrderBook:
    orders = tuple(
        BookOrder(f"b{n}", "ann", "home", "web", derived().run.start + n, (BookLine(1, sku, 4, 300, n),))
        for n, sku in enumerate(["mug"] * 30 + ["jug"])
    )
    adjustments = tuple(
        BookAdjustment(derived().run.start + n, "mug", units, "x", n) for n, units in enumerate(adjusted)
    )
    items = (BookItem("mug", "A mug", 300), BookItem("jug", "A jug", 500))
    return OrderBook("book.csv", "utf-8", 2, 31, 124, orders, (), adjustments, items, (), ())


def test_a_books_items_are_taken_over_and_open_with_what_the_book_writes_off() -> None:
    scenario = derived()
    without, written = catalog(scenario, book()), catalog(scenario, book(-50, 20, -7))
    assert [(item.sku, item.price_minor, item.cost_minor) for item in without.items] == [
        ("mug", 300, 120),
        ("jug", 500, 200),
    ]
    home = written.homes["mug"]
    assert home in placed(written)["mug"]
    assert written.opening[home]["mug"] == without.opening[home]["mug"] + 57
    rest = {node: stock for node, stock in written.opening.items() if node != home}
    assert rest == {node: stock for node, stock in without.opening.items() if node != home}


def test_the_hours_of_a_week_share_its_orders() -> None:
    demand = derived().channels[0].demand
    assert isinstance(demand, GeneratedDemand)
    hours = hourly_micro(demand)
    assert len(hours) == 168
    assert sum(hours) == pytest.approx(WEEK_ORDERS * 1_000_000, rel=1e-6)
    assert len(dict.fromkeys(hours)) == 1


def test_the_levels_of_a_book_do_not_grow_when_the_run_is_shorter_than_the_book() -> None:
    whole = derived()
    half = whole.with_changes({"run": {"horizon": "30d"}})
    steady = tuple(
        BookOrder(f"o{day}", "c", "home", "web", whole.run.start + day * DAY, (BookLine(1, "mug", 4, 300, day),))
        for day in range(60)
    )
    items = (BookItem("mug", "A mug", 300),)
    long_book = OrderBook("book.csv", "utf-8", 2, 60, 240, steady, (), (), items, (), ())
    levels = {
        scenario.run.horizon: sum(rule.minimum for rule in catalog(scenario, long_book).rules)
        for scenario in (whole, half)
    }
    assert levels[whole.run.horizon] > 0
    assert levels[half.run.horizon] == levels[whole.run.horizon]
