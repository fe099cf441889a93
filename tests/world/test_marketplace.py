"""A marketplace: what it lists, sells and loses, when it takes a seller off, and what a frozen feed does (OL-15)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world.stage import HOUR, MINUTE, Stage, tiny
from twin.codec import encode_entry
from twin.core.commands import CaptureOrder, OrderLine
from twin.core.effects import AvailableUnits, Delivery, PublishAvailability, RefuseOrderUnits
from twin.measures import Facts, compute_facts
from twin.scenario import Scenario, ScenarioError
from twin.world.marketplace import Listed, Marketplace

FREEZE = {
    "interfaces": [{"id": "listing", "to": "marketplace/market", "workers": 1, "service": "1s"}],
    "faults": [{"kind": "outage", "interface": "listing", "from": "1h", "for": "2h"}],
}


def market(channel: dict[str, Any] | None = None, **changes: Any) -> Scenario:
    """The tiny business with a marketplace beside the web shop, told the stock every 15 minutes; no demand."""
    told = {
        "id": "market",
        "style": "marketplace",
        "requested": "2d",
        "on_shortage": "reject",
        "latency": "1ms",
        "feed": {"every": "15m"},
        "demand": {"kind": "none"},
        **(channel or {}),
    }
    return tiny({"channels": [told], **changes})


def of(stage: Stage) -> Marketplace:
    return stage.world.marketplaces["market"]


def buy(stage: Stage, order: str, units: int) -> bool:
    """A customer of the marketplace wants mugs now; what is sold reaches the engine at once."""
    lines = (OrderLine(1, "mug", units, 450),)
    sold = of(stage).sell(order, lines)
    if sold:
        now = stage.world.now
        order_ = CaptureOrder(order, "market", now, order, "market", "ann", "home", now + HOUR, lines)
        stage.send(order_, now - stage.scenario.run.start)
    return sold


def cancel(stage: Stage, order: str) -> None:
    """The seller cancels an order."""
    refused = RefuseOrderUnits("market", order, ((1, 1),))
    key = f"cancel/{order}/{stage.log.position}/{len(stage.truth.rows)}"
    of(stage).receive(Delivery(key, "marketplace/market", refused, order))


def drawn(buffer: int, **changes: Any) -> Scenario:
    demand = {"kind": "poisson", "rate": "40/h", "regions": {"home": 1}}
    return market({"feed": {"every": "15m", "buffer": buffer}, "demand": demand}, **changes)


def test_it_sells_what_it_was_told_and_nothing_before() -> None:
    stage = Stage(market({"feed": {"every": "15m", "offset": "15m", "buffer": 190}}))
    stage.run(10 * MINUTE)
    assert not buy(stage, "early", 1)
    stage.run(20 * MINUTE)
    assert not buy(stage, "too-many", 11)
    assert buy(stage, "o1", 4)
    assert of(stage).listing["mug"].units == 6
    lost = [(row.subject, row.quantity) for row in stage.rows("market.lost")]
    assert lost == [("early", 1), ("too-many", 11)]
    # All 200 were on the shelf.
    assert [row.quantity for row in stage.rows("market.undersold")] == [1, 11]


def test_a_lost_sale_of_what_is_not_there_is_no_undersell() -> None:
    stage = Stage(market(stock=[{"warehouse": "main", "item": "mug", "on_hand": 0}]))
    stage.run(20 * MINUTE)
    assert not buy(stage, "o1", 1)
    assert (len(stage.rows("market.lost")), len(stage.rows("market.undersold"))) == (1, 0)


def test_a_frozen_feed_oversells_and_the_seller_cancels() -> None:
    for changes, cancelled in ((FREEZE, [30]), ({}, [])):
        stage = Stage(market(**changes))
        stage.order("web", {"mug": 170}, at=HOUR + 10 * MINUTE)
        stage.run(2 * HOUR)
        assert buy(stage, "o1", 60) == bool(changes)
        stage.run(4 * HOUR)
        assert [row.quantity for row in stage.rows("market.cancelled")] == cancelled
        assert of(stage).listing["mug"].units == (0 if changes else 30)


def outdated(stage: Stage) -> bool:
    """Whether an older snapshot that comes late changes what is listed."""
    stage.run(HOUR)
    before = of(stage).listing["mug"]
    late = PublishAvailability("market", before.snapshot - 1, (AvailableUnits("mug", 999),))
    of(stage).receive(Delivery("late", "marketplace/market", late, "late"))
    return of(stage).listing["mug"] != before


class Forgetful(Marketplace):
    """Takes whatever comes last."""

    def _list(self, line: AvailableUnits, snapshot: int) -> None:
        self.listing[line.sku] = Listed(line.units, snapshot)


def test_an_older_snapshot_changes_nothing_and_one_that_ignores_the_version_is_caught() -> None:  # RC-08
    stage = Stage(market())
    assert not outdated(stage)
    assert [row.quantity for row in stage.rows("market.outdated")] == [999]
    planted = Stage(market())
    of(planted).__class__ = Forgetful
    assert outdated(planted)


def test_too_many_cancellations_take_the_seller_off_for_a_while() -> None:
    limits = {"cancellations": "10%", "orders": 2, "suspension": "1h"}
    stage = Stage(market({"limits": limits}))
    stage.run(MINUTE)
    assert buy(stage, "o1", 1)
    stage.order("web", {"mug": 199}, at=MINUTE)
    stage.run(2 * MINUTE)
    assert buy(stage, "o2", 1)
    stage.run(3 * MINUTE)
    assert len(stage.rows("market.delisted")) == 1
    assert not buy(stage, "o3", 1)
    assert [row.detail for row in stage.rows("market.lost")] == ["delisted"]
    stage.run(2 * HOUR)
    of(stage).listing["mug"].units = 1
    assert buy(stage, "o4", 1)


@pytest.mark.parametrize(("late", "off"), [("10%", True), ("50%", False)])
def test_too_many_late_shipments_take_the_seller_off_for_a_while(late: str, off: bool) -> None:
    limits = {"late": late, "ship_within": "3h", "orders": 2, "suspension": "1h"}
    closed = {"kind": "warehouse_closed", "warehouse": "main", "from": "25m", "for": "24h"}
    stage = Stage(market({"limits": limits}, disruptions=[closed]))
    stage.run(20 * MINUTE)
    assert buy(stage, "punctual", 1)
    stage.run(30 * MINUTE)
    for order in ("held", "cancelled"):
        assert buy(stage, order, 1)
    stage.run(31 * MINUTE)
    refused = RefuseOrderUnits("market", "cancelled", ((1, 1),))
    of(stage).receive(Delivery("c", "marketplace/market", refused, "cancelled"))
    stage.run(210 * MINUTE - 1)
    assert not stage.rows("market.late")
    stage.run(210 * MINUTE + 1)
    # The order that left in time is none, and neither is the one that was cancelled.
    assert [(row.subject, stage.since_start(row.at)) for row in stage.rows("market.late")] == [("held", 210 * MINUTE)]
    assert bool(stage.rows("market.delisted")) is off
    assert buy(stage, "next", 1) is not off
    stage.run(271 * MINUTE)
    assert buy(stage, "later", 1)


def test_a_seller_that_comes_back_is_not_held_to_what_it_sold_before() -> None:
    limits = {"cancellations": "10%", "late": "30%", "ship_within": "3h", "orders": 2, "suspension": "1h"}
    closed = {"kind": "warehouse_closed", "warehouse": "main", "from": "1m", "for": "4h"}
    stage = Stage(market({"limits": limits}, disruptions=[closed]))
    stage.run(30 * MINUTE)
    assert all(buy(stage, f"first{number}", 1) for number in range(2))
    stage.run(50 * MINUTE)
    assert all(buy(stage, f"second{number}", 1) for number in range(4))
    # The first ones are late and take the seller off; the second ones are late while it is, and one is cancelled.
    stage.run(5 * HOUR)
    assert len(stage.rows("market.late")) == 6
    assert len(stage.rows("market.delisted")) == 1
    for number in range(6):
        stage.run(5 * HOUR + number * MINUTE + 1)
        assert buy(stage, f"new{number}", 1)
    for order in ("second0", "second1", "second1"):
        cancel(stage, order)
    assert len(stage.rows("market.delisted")) == 1
    # One of six new ones is too many.
    cancel(stage, "new0")
    assert len(stage.rows("market.delisted")) == 2


def test_an_order_counts_in_the_window_of_its_sale_and_is_then_forgotten() -> None:
    limits = {"cancellations": "40%", "orders": 2, "window": "1h"}
    stage = Stage(market({"limits": limits}))
    for number in range(100):
        stage.run((number + 1) * MINUTE)
        assert buy(stage, f"o{number}", 1)
    assert list(of(stage).sold) == [f"o{number}" for number in range(40, 100)]
    # However many old ones are cancelled: sold are sixty, and of these too few.
    for number in range(40 + 24):
        cancel(stage, f"o{number}")
    assert (len(of(stage).cancelled), len(stage.rows("market.delisted"))) == (24, 0)
    cancel(stage, "o64")
    assert len(stage.rows("market.delisted")) == 1


def test_the_rate_of_late_shipments_is_of_orders_sold_in_the_window_that_could_be_judged_in_it() -> None:
    limits = {"late": "99%", "ship_within": "3h", "orders": 50, "suspension": "1h"}
    closed = {"kind": "warehouse_closed", "warehouse": "main", "from": "1m", "for": "24h"}
    stage = Stage(market({"limits": limits}, disruptions=[closed]))
    for minute, orders in ((30, 5), (80, 2), (120, 1)):
        stage.run(minute * MINUTE)
        assert all(buy(stage, f"{minute}/{number}", 1) for number in range(orders))
    stage.run(81 * MINUTE + HOUR)
    cancel(stage, "80/1")
    stage.run(6 * HOUR)

    def late(begin: int, end: int) -> tuple[Any, Any]:
        start = stage.scenario.run.start
        facts = Facts.collect(stage.log.entries, start, start + end, begin, trace=True)
        found = compute_facts(facts, stage.truth.rows)["late_shipment_rate/channel=market"]
        return found.numerator, found.denominator

    # The first five were sold before the window, and the last one is not due in it.
    assert late(HOUR, 5 * HOUR) == (1, 2)
    assert late(0, 6 * HOUR) == (7, 8)


def test_a_buffer_moves_no_customer() -> None:
    def wanted(buffer: int) -> list[tuple[int, str, int]]:
        stage = Stage(drawn(buffer, **FREEZE))
        stage.run(8 * HOUR)
        rows = stage.rows("market.sold") + stage.rows("market.lost")
        return sorted((row.at, row.subject, row.quantity) for row in rows)

    assert wanted(0) == wanted(150)
    stage = Stage(drawn(150))
    stage.run(8 * HOUR)
    assert stage.rows("market.lost")


def test_a_run_repeats_and_a_fork_goes_on_alike() -> None:
    stage, again = Stage(drawn(0, **FREEZE)), Stage(drawn(0, **FREEZE))
    assert stage.run_checked(2 * HOUR) > 0
    again.run(2 * HOUR)
    assert stage.log.digest == again.log.digest
    fork = stage.fork()
    fork.run(8 * HOUR)
    stage.run(8 * HOUR)
    assert (fork.log.digest, fork.truth.digest) == (stage.log.digest, stage.truth.digest)
    assert encode_entry(fork.log.entries[-1]) == encode_entry(stage.log.entries[-1])


@pytest.mark.parametrize(
    ("channel", "text"),
    [
        ({"style": "ecommerce"}, "make it a marketplace"),
        ({"on_shortage": "backorder"}, "set on_shortage: reject"),
        ({"feed": {"every": "500ms"}}, "every: every 500ms is too often"),
        ({"feed": None, "limits": {"cancellations": "1%"}}, "give it a feed"),
        ({"limits": {"late": "4%"}}, "late and ship_within belong together"),
        ({"limits": {"ship_within": "2d", "cancellations": "1%"}}, "late and ship_within belong together"),
        ({"limits": {"late": "4%", "ship_within": "7d"}}, "make window longer than ship_within"),
        ({"limits": {"orders": 5}}, "limits hold nobody to anything"),
        ({"feed": {"every": "15m", "buffer": -1}}, "buffer"),
    ],
)
def test_a_feed_that_cannot_be_is_refused(channel: dict[str, Any], text: str) -> None:
    with pytest.raises(ScenarioError, match=text):
        market(channel)


def test_only_a_marketplace_with_a_feed_has_an_interface() -> None:
    with pytest.raises(ScenarioError, match="marketplace/market"):
        market({"feed": None}, **FREEZE)
