"""Channels: when customers order and what, by rate, by period, in the rhythm of a week, and from a book."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.world.stage import DAY, HOUR, MINUTE, MONDAY, Stage, tiny
from twin.core.commands import CancelOrder, CaptureOrder, IssueCredit
from twin.core.events import CreditIssued, OrderCancelled
from twin.order_book import BookAdjustment, BookCancellation, BookCredit, BookLine, BookOrder
from twin.world.business import Business
from twin.world.channel import BookChannel, BookFeed, Channel, ChannelConfig, Weighted, zipf_mandelbrot
from twin.world.party import Link

ITEMS = [{"id": name, "price": "1 GBP", "cost": "1 GBP"} for name in ("cup", "jug")]
PLENTY = [{"warehouse": "main", "item": item, "on_hand": 100_000} for item in ("mug", "cup", "jug")]


def business(demand: dict[str, Any], days: int, seed: int = 1, **changes: Any) -> Stage:
    """The tiny business with three items in plenty and one channel, run for `days` and a day more."""
    run = {"horizon": f"{days}d", "drain": "1d", "seed": seed}
    channels = [{"id": "web", "demand": {"kind": None, **demand}, **changes}]
    stage = Stage(tiny({"run": run, "items": ITEMS, "stock": PLENTY, "channels": channels}), seed)
    stage.run((days + 1) * DAY)
    return stage


def captured(stage: Stage) -> list[CaptureOrder]:
    return stage.commands(CaptureOrder)


def times(stage: Stage) -> list[int]:
    """When customers ordered, counted from the start."""
    return [stage.since_start(order.time) for order in captured(stage)]


POISSON = {"kind": "poisson", "rate": "10/h", "regions": {"home": 1}}


def test_poisson_demand_has_its_rate_and_its_scatter() -> None:
    at = times(business(POISSON, 20))
    assert len(at) == pytest.approx(4800, rel=0.05)
    gaps = [later - earlier for earlier, later in pairwise(at)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    # Of an exponential gap the standard deviation is the mean.
    assert variance**0.5 == pytest.approx(mean, rel=0.07)


def test_demand_ends_with_the_horizon_and_begins_with_the_run() -> None:
    at = times(business({**POISSON, "rate": "60/h"}, 2))
    assert 0 <= at[0] < 10 * MINUTE
    assert 2 * DAY - 10 * MINUTE < at[-1] < 2 * DAY


def test_no_rate_is_no_demand() -> None:
    assert times(business({**POISSON, "rate": "0/h"}, 2)) == []


def test_baskets_follow_their_weights() -> None:
    demand = {**POISSON, "items": {"mug": 6, "cup": 3, "jug": 1}, "lines": {"kind": "uniform", "low": 1, "high": 3}}
    stage = business(demand, 10)
    skus = [line.sku for order in captured(stage) for line in order.lines]
    for sku, share in (("mug", 0.6), ("cup", 0.3), ("jug", 0.1)):
        assert skus.count(sku) / len(skus) == pytest.approx(share, abs=0.03)
    assert [line.line for line in captured(stage)[0].lines] == list(range(1, len(captured(stage)[0].lines) + 1))


def test_a_basket_of_distinct_items_names_none_twice_and_no_more_than_there_are() -> None:
    weights = {"mug": 1, "cup": 5, "jug": 0}
    demand = {"kind": "poisson", "rate": "40/d", "regions": {"home": 1}, "lines": 3, "items": weights, "distinct": True}
    baskets = [[line.sku for line in order.lines] for order in captured(business(demand, 5))]
    assert len(baskets) > 100
    assert all(sorted(basket) == ["cup", "mug"] for basket in baskets)
    # The heavier item comes first more often.
    assert sum(basket[0] == "cup" for basket in baskets) > 2 * len(baskets) / 3


def test_every_order_carries_what_its_channel_says() -> None:
    stage = business(POISSON, 1, style="marketplace", criticality="A", requested="36h")
    for order in captured(stage):
        assert (order.channel, order.criticality, order.region) == ("web", "A", "home")
        assert order.requested_at == order.time + 36 * HOUR
        assert all(line.price_minor == {"mug": 450}.get(line.sku, 100) for line in order.lines)


def test_a_periodic_channel_orders_at_its_instants_and_a_draw_of_nothing_is_no_order() -> None:
    demand = {"kind": "periodic", "every": "6h", "at": "2h", "item": "mug", "region": "home"}
    assert times(business({**demand, "quantity": 5}, 2)) == [2 * HOUR + number * 6 * HOUR for number in range(8)]
    seldom = business({**demand, "quantity": {"kind": "poisson", "mean": "0.5"}}, 50)
    # One in exp(-0.5) = 61 % of 200 periods has none.
    assert len(times(seldom)) == pytest.approx(79, abs=21)
    assert all(order.lines[0].quantity > 0 for order in captured(seldom))


GENERATED: dict[str, Any] = {
    "kind": "generated",
    "orders": "700/week",
    "lines_per_order": [["0%", 1], ["100%", 5]],
    "quantity_per_line": [["0%", 1], ["100%", 20]],
    "item_skew": {"exponent": 1},
    "regions": {"home": 1},
}


def test_generated_demand_follows_the_week() -> None:
    office = [0] * 9 + [1] * 8 + [0] * 7
    profile = {"mon": office, "wed": [2 * weight for weight in office]}
    at = times(business({**GENERATED, "profile": profile}, 28))
    assert len(at) == pytest.approx(2800, rel=0.06)
    assert {at_ // DAY % 7 for at_ in at} == {0, 2}
    assert all(9 * HOUR <= at_ % DAY < 17 * HOUR for at_ in at)
    mondays = sum(1 for at_ in at if at_ // DAY % 7 == 0)
    assert mondays / len(at) == pytest.approx(1 / 3, abs=0.03)


def test_levels_change_the_rate_in_straight_lines() -> None:
    """RP-03: a trend; before the first and after the last level it is even."""
    levels = [["7d", "50%"], ["21d", "150%"]]
    at = times(business({**GENERATED, "levels": levels}, 28))
    weeks = [sum(at_ // (7 * DAY) == week for at_ in at) for week in range(4)]
    # Expected: 350, 525, 875, 1050.
    for found, expected in zip(weeks, (350, 525, 875, 1050), strict=True):
        assert found == pytest.approx(expected, rel=0.15)
    plain = times(business(GENERATED, 28))
    assert times(business({**GENERATED, "levels": [["0d", "100%"], ["9d", "100%"]]}, 28)) == plain


def test_customers_of_a_region_order_its_items() -> None:
    """RP-03: where goods come from depends on where they go."""
    demand = {**GENERATED, "regions": {"home": 1, "away": 1}, "lines_per_order": [["0%", 1], ["100%", 1]]}
    del demand["item_skew"]
    demand["items"] = {"home": {"cup": 3, "jug": 1}, "away": {"mug": 1}}
    channels = [{"id": "web", "demand": {"kind": None, **demand}}]
    lanes = [{"from": "main", "to": to, "carrier": "van", "transit": "4h"} for to in ("home", "away")]
    run = {"horizon": "14d", "drain": "1d", "seed": 1}
    changes = {"run": run, "items": ITEMS, "stock": PLENTY, "channels": channels, "lanes": lanes}
    stage = Stage(tiny(changes | {"regions": ["home", "away"]}), 1)
    stage.run(15 * DAY)
    sold: dict[tuple[str, str], int] = {}
    for order in captured(stage):
        key = order.region, order.lines[0].sku
        sold[key] = sold.get(key, 0) + 1
    assert set(sold) == {("home", "cup"), ("home", "jug"), ("away", "mug")}
    assert sold["home", "cup"] / (sold["home", "cup"] + sold["home", "jug"]) == pytest.approx(0.75, abs=0.06)


def test_a_generated_basket_names_each_item_once_and_has_units() -> None:
    stage = business(GENERATED, 14)
    for order in captured(stage):
        skus = [line.sku for line in order.lines]
        assert 1 <= len(skus) == len(dict.fromkeys(skus)) <= 3
        assert all(1 <= line.quantity <= 20 for line in order.lines)


def test_a_generated_basket_belongs_to_its_order() -> None:
    # Twice the demand: other times, the same baskets in the same order.
    few, many = business(GENERATED, 14), business({**GENERATED, "orders": "1400/week"}, 14)
    baskets = {order.order: order.lines for order in captured(many)}
    assert len(captured(few)) > 1000
    assert [order.lines for order in captured(few)] == [baskets[order.order] for order in captured(few)]


def test_zipf_mandelbrot_falls_as_its_formula_says() -> None:
    weights = zipf_mandelbrot(("a", "b", "c"), 2000, 1)
    first, second, third = (weights.sums[0], weights.sums[1] - weights.sums[0], weights.sums[2] - weights.sums[1])
    assert first / second == pytest.approx(9 / 4)
    assert first / third == pytest.approx(16 / 4)


def test_a_weight_of_nothing_is_never_picked() -> None:
    weighted = Weighted.of({"never": 0, "always": 5, "neither": 0})
    assert [weighted.pick(bits) for bits in (0, 1 << 63, (1 << 64) - 1)] == ["always"] * 3


# --- a book

BOOK = tuple(
    BookOrder(f"b{number}", "ann", "home", "web", MONDAY + at, (BookLine(1, "mug", 2, 400, number),))
    for number, at in enumerate((-HOUR, 0, 3 * HOUR, 3 * HOUR, 59 * DAY, 61 * DAY))
)


def config(ends_at: int) -> ChannelConfig:
    return ChannelConfig("web", "B", DAY, {}, ends_at)


def test_a_book_is_replayed_at_its_own_stamps_within_the_run() -> None:
    def with_book(world: Business) -> None:
        world.add(BookChannel("channel/book", Link(), config(MONDAY + 60 * DAY), BOOK))

    stage = Stage(tiny(), prepare=with_book)
    stage.run(60 * DAY)
    assert [(order.order, stage.since_start(order.time)) for order in captured(stage)] == [
        ("b1", 0),
        ("b2", 3 * HOUR),
        ("b3", 3 * HOUR),
        ("b4", 59 * DAY),
    ]
    assert all(order.lines[0].price_minor == 400 for order in captured(stage))


@pytest.mark.parametrize("left_ppm", [1_000_000, 0])
def test_what_the_customer_of_a_book_gives_up_is_cancelled_then(left_ppm: int) -> None:  # RP-05
    """One line of three, then all that is left; who stays away has nothing to cancel."""
    lines = tuple(BookLine(number, "mug", quantity, 400, number) for number, quantity in ((1, 500), (2, 1), (3, 500)))
    gone = (BookCancellation(MONDAY + HOUR, (2,)), BookCancellation(MONDAY + 2 * HOUR))

    def with_book(world: Business) -> None:
        book = (BookOrder("b1", "ann", "home", "web", MONDAY, lines, cancellations=gone),)
        channel = world.add(BookChannel("channel/book", Link(), config(MONDAY + 60 * DAY), book))
        channel.left_ppm = left_ppm

    stage = Stage(tiny(), prepare=with_book)
    stage.run(60 * DAY)
    asked = [entry for entry in stage.log.entries if isinstance(entry.command, CancelOrder)]
    if not left_ppm:
        assert (captured(stage), asked) == ([], [])
        return
    assert [(stage.since_start(entry.command.time), entry.command.id) for entry in asked] == [
        (HOUR, "b1/cancel/1"),
        (2 * HOUR, "b1/cancel/2"),
    ]
    given_up = [event for entry in asked for event in entry.events if isinstance(event, OrderCancelled)]
    assert [{one.line for one in event.units} for event in given_up] == [{2}, {1, 3}]
    assert {event.by for event in given_up} == {"customer"}


def thinned(left_ppm: int, demand: dict[str, Any] | None) -> list[CaptureOrder]:
    """What comes in five days where only a share of the customers does; without a demand those of a book."""

    def with_share(world: Business) -> None:
        if demand is None:
            line = (BookLine(1, "mug", 1, 450, 1),)
            at = [MONDAY + number * 10 * MINUTE for number in range(5 * 144)]
            book = [BookOrder(f"o{instant}", "ann", "home", "web", instant, line) for instant in at]
            world.add(BookChannel("channel/book", Link(), config(MONDAY + 6 * DAY), tuple(book)))
        for actor in world.actors.values():
            if isinstance(actor, Channel):
                actor.left_ppm = left_ppm

    channels = [{"id": "web", "demand": {"kind": None, **(demand or {"kind": "none"})}}]
    stage = Stage(
        tiny({"run": {"horizon": "5d", "drain": "1d"}, "items": ITEMS, "stock": PLENTY, "channels": channels}),
        prepare=with_share,
    )
    stage.run(6 * DAY)
    return captured(stage)


@pytest.mark.parametrize(
    "demand",
    [
        POISSON,
        GENERATED,
        {"kind": "periodic", "every": "10m", "item": "mug", "quantity": 1, "region": "home"},
        None,
    ],
)
def test_where_only_a_share_of_the_customers_comes_the_others_are_as_they_were(demand: dict[str, Any] | None) -> None:
    # RC-15
    whole, most, few = (thinned(left_ppm, demand) for left_ppm in (1_000_000, 800_000, 300_000))
    assert len(whole) > 300
    assert len(most) == pytest.approx(0.8 * len(whole), rel=0.15)
    assert len(few) == pytest.approx(0.3 * len(whole), rel=0.25)
    # Who comes though few do comes as well where most do, with the same basket at the same time.
    assert all(order in most for order in few) and all(order in whole for order in most)


def feed(*credits: BookCredit, adjustments: tuple[BookAdjustment, ...] = ()) -> Stage:
    def with_feed(world: Business) -> None:
        homes, classes = {"mug": "main"}, {"b1": "A"}
        world.add(BookFeed("book", Link(), credits, adjustments, homes, classes, MONDAY + 60 * DAY))
        world.add(BookChannel("channel/book", Link(), config(MONDAY + 60 * DAY), BOOK))

    stage = Stage(tiny(), prepare=with_feed)
    stage.run(60 * DAY)
    return stage


def credit(at: int, order: str, units: int = 1) -> BookCredit:
    return BookCredit("c1", 1, MONDAY + at, "ann", "mug", units, 400, order, 1 if order else 0, 9)


@pytest.mark.parametrize("at", [DAY, 45 * DAY])  # from memory, and after the order has left it
def test_a_credit_of_the_book_is_issued_once_with_the_class_of_its_order(at: int) -> None:  # OL-14
    stage = feed(credit(at, "b1"), credit(at, ""))
    ((_, issued),) = stage.events(CreditIssued)
    assert (issued.order, issued.quantity, issued.amount_minor) == ("b1", 1, 400)
    assert all(command.criticality for command in stage.commands(IssueCredit))
    about = [delivery for _, delivery in stage.deliveries() if delivery.correlation == "b1"]
    assert all(delivery.criticality for delivery in about)
    assert stage.world.erp.credited_minor == 400
    stage.check_books()


def test_an_adjustment_of_the_book_goes_to_the_items_home() -> None:
    stage = feed(adjustments=(BookAdjustment(MONDAY + HOUR, "mug", -30, "broken", 5),))
    (row,) = stage.rows("stock.adjusted")
    assert (row.node, row.quantity, row.detail, stage.since_start(row.at)) == ("main", -30, "broken", HOUR)
    assert stage.cell().on_hand == stage.physical()
    stage.check_books()


def test_what_lies_outside_the_run_is_left_out() -> None:
    stage = feed(
        credit(-DAY, "b1"),
        credit(61 * DAY, "b1"),
        adjustments=(BookAdjustment(MONDAY - 1, "mug", -30, "before", 5),),
    )
    assert stage.commands(IssueCredit) == []
    assert stage.rows("stock.adjusted") == []
