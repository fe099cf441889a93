"""Every cell of every transition table, and every pair that is missing from it."""  # OL-03

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.properties.harness import fold
from tests.unit.core.given import DAY, Business, delivery_policies, rule
from twin.core import buckets, stages
from twin.core import events as e
from twin.core.commands import StockLine, Wake
from twin.core.entry import Entry
from twin.core.refusals import CorruptLog


def pairs(table: stages.Table, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Every stage that can be left, with every event."""
    return [(stage, event) for stage in dict.fromkeys(stage for stage, _ in table) for event in names]


def corrupt(business: Business, *events: Any) -> None:
    """A log that goes on with these events is found to be corrupt."""
    engine = fold(business.journal)
    with pytest.raises(CorruptLog):
        engine.apply(Entry(engine.state.position + 1, engine.state.now, Wake("nothing"), events))


# --- shipments

MILESTONES = ("picked_up", "in_transit", "delayed", "out_for_delivery", "delivered", "exception")
WAY_TO = {"shipped": None, "in_transit": "in_transit"} | {
    name: name for name in ("delayed", "out_for_delivery", "exception")
}


def shipped(stage: str) -> Business:
    business = Business({"north": {"a": 2}})
    business.accept(business.capture([("a", 2)]))
    business.accept(business.ship(shipment="s1"))
    milestone = WAY_TO[stage]
    if milestone is not None:
        business.accept(business.milestone(milestone))
    assert business.state.shipments["s1"].stage == stage
    return business


@pytest.mark.parametrize(("stage", "milestone"), pairs(stages.SHIPMENT, MILESTONES))
def test_a_shipment_goes_where_its_table_says_or_nowhere(stage: str, milestone: str) -> None:
    business = shipped(stage)
    after = stages.SHIPMENT.get((stage, milestone))
    if after is None:
        assert business.refused(business.milestone(milestone)) == "stage"
        corrupt(business, e.ShipmentMilestoneReached("o1", "s1", milestone, 0))
    else:
        business.accept(business.milestone(milestone))
        known = business.state.shipments.get("s1")
        assert (known.stage if known else "delivered") == after


# --- fulfillment orders


def instructed(stage: str) -> Business:
    business = Business({"north": {"a": 2}})
    business.accept(business.capture([("a", 2)]))
    if stage != "released":
        business.accept(business.pick(stage))
    return business


@pytest.mark.parametrize(
    ("stage", "event"), pairs(stages.FULFILLMENT_ORDER, ("released", "picked", "packed", "shipped", "shorted"))
)
def test_a_fulfillment_order_goes_where_its_table_says_or_nowhere(stage: str, event: str) -> None:
    business = instructed(stage)
    after = stages.FULFILLMENT_ORDER.get((stage, event))
    if event == "shipped":
        business.accept(business.ship())
        assert after == "shipped"
        assert business.state.fulfillment_orders == {}
    elif event == "shorted":
        business.accept(business.ship(lines=[]))
        assert after == "shorted"
        assert business.units() == {"backordered": 2}
    elif after is None:
        assert business.refused(business.pick(event)) == "stage"
        corrupt(business, e.GoodsPicked("o1", "o1/north/1", event))
    else:
        business.accept(business.pick(event))
        assert business.state.fulfillment_orders["o1/north/1"].stage == after


# --- purchase orders


def purchased(stage: str) -> Business:
    business = Business({}, [rule("north", "a", "to_order")])
    business.accept(business.capture([("a", 4)]))
    if stage == "acknowledged":
        business.accept(business.answer(eta=9))
    if stage == "partly_received":
        business.accept(business.receive(("a", 1)))
    assert next(iter(business.state.purchase_orders.values())).stage == stage
    return business


@pytest.mark.parametrize(
    ("stage", "event"),
    pairs(stages.PURCHASE_ORDER, ("acknowledged", "rejected", "partly_received", "received")),
)
def test_a_purchase_order_goes_where_its_table_says_or_nowhere(stage: str, event: str) -> None:
    business = purchased(stage)
    key = next(iter(business.state.purchase_orders))
    after = stages.PURCHASE_ORDER.get((stage, event))
    commands: dict[str, Callable[[], Any]] = {
        "acknowledged": lambda: business.answer("accepted", eta=5),
        "rejected": lambda: business.answer("rejected"),
        "partly_received": lambda: business.receive(("a", 1)),
        "received": lambda: business.receive(),
    }
    if after is None:
        assert business.refused(commands[event]()) == "stage"
        corrupt(business, e.PurchaseOrderRejected(key, "no"))
    else:
        business.accept(commands[event]())
        known = business.state.purchase_orders.get(key)
        assert (known.stage if known else event) == after


# --- deliveries

KEY = "o1/north/1"


def delivered(stage: str) -> Business:
    settings = {"acknowledge": True, "retries": 9, "timeout_ms": DAY, "deadline_ms": 90 * DAY}
    policies = delivery_policies(**settings, dead_ms=DAY if stage == "expired" else 0)
    business = Business({"north": {"a": 2}}, delivery=policies)
    business.accept(business.capture([("a", 2)]))
    if stage == "waiting":
        business.accept(business.acknowledge(KEY, "failed"))
    if stage in ("dead", "expired"):
        business.accept(business.acknowledge(KEY, "refused"))
    if stage == "expired":
        business.wait(DAY)
    opened = business.state.deliveries.get(KEY) or business.state.dead_letters[KEY]
    assert opened.stage == stage
    return business


DIRECT = {
    pair: after
    for pair, after in stages.DELIVERY.items()
    if "queued" not in pair and pair[1] not in ("lapsed", "withdrawn") and pair != ("expired", "redriven")
}
"""Without a send queue and questions; `test_sending` and `test_supervision` have the rest."""


@pytest.mark.parametrize(
    ("stage", "event"), pairs(DIRECT, ("succeeded", "failed", "retried", "dead_lettered", "redriven"))
)
def test_a_delivery_goes_where_its_table_says_or_nowhere(stage: str, event: str) -> None:
    business = delivered(stage)
    after = DIRECT.get((stage, event))
    told: dict[str, Callable[[], Any]] = {
        "succeeded": lambda: business.acknowledge(KEY),
        "failed": lambda: business.acknowledge(KEY, "failed"),
        "dead_lettered": lambda: business.acknowledge(KEY, "refused"),
        "redriven": lambda: business.redrive(KEY),
    }
    if event == "retried":
        if after is not None:
            business.wait(DAY // 2)
            assert business.state.deliveries[KEY].stage == after
        elif stage == "in_flight":
            corrupt(business, e.DeliveryRetried(KEY, 2))
        else:
            assert business.driver.engine.decide(Wake(f"delivery/{KEY}"), business.at).refusal is not None
    elif after is None:
        assert business.refused(told[event]()) in (
            "stage",
            "unknown_delivery",
            "unknown_dead_letter",
            "expired_dead_letter",
        )
        if stage == "waiting" and event == "failed":
            corrupt(business, e.DeliveryFailed(KEY, 2, "failed", "", 5))
    else:
        business.accept(told[event]())
        opened = business.state.deliveries.get(KEY) or business.state.dead_letters.get(KEY)
        assert (opened.stage if opened else "succeeded") == after


@pytest.mark.parametrize("name", list(stages.AGGREGATES))
def test_advance_follows_the_table_and_finds_every_missing_pair_corrupt(name: str) -> None:
    first, table = stages.AGGREGATES[name]
    every_stage = dict.fromkeys([first, *(stage for stage, _ in table), *table.values()])
    every_event = dict.fromkeys(event for _, event in table)
    for stage in every_stage:
        for event in every_event:
            if (stage, event) in table:
                assert stages.advance(table, stage, event, "it") == table[(stage, event)]
            else:
                with pytest.raises(CorruptLog, match="no transition"):
                    stages.advance(table, stage, event, "it")


@pytest.mark.parametrize("name", list(stages.AGGREGATES))
def test_every_stage_can_be_reached_and_the_diagram_shows_every_transition(name: str) -> None:
    first, table = stages.AGGREGATES[name]
    reached = [first]
    for stage in reached:
        reached += [after for (source, _), after in table.items() if source == stage and after not in reached]
    assert sorted(dict.fromkeys(reached)) == sorted({first, *table.values(), *(stage for stage, _ in table)})
    drawn = stages.diagram(name)
    assert all(f"{source} --> {after}: {event}" in drawn for (source, event), after in table.items())
    assert f"[*] --> {first}" in drawn


# --- the buckets of a line, and a log that cannot be


def test_the_moves_name_known_buckets_and_end_in_terminal_ones() -> None:
    for moves in buckets.MOVES.values():
        for source, target in moves:
            assert source < buckets.DELIVERED and source != target
            assert 0 <= target < len(buckets.BUCKETS)


@pytest.mark.parametrize(
    ("held", "units", "word"),
    [
        (False, {"open": 1}, "captured"),
        (True, {"open": 1}, "held"),
        (True, {"delivered": 1}, "delivered"),
        (False, {"reserved": 1, "backordered": 1}, "backordered"),
        (False, {"released": 1, "on_order": 1}, "backordered"),
        (False, {"released": 1, "reserved": 1}, "reserved"),
        (False, {"released": 1, "delivered": 1}, "released"),
        (False, {"picked": 1, "shipped": 1}, "picked"),
        (False, {"shipped": 1, "cancelled": 1}, "shipped"),
        (False, {"delivered": 1, "cancelled": 1}, "delivered"),
        (False, {"rejected": 1, "cancelled": 1}, "rejected"),
        (False, {"cancelled": 1}, "cancelled"),
    ],
)
def test_the_status_is_read_off_the_buckets(held: bool, units: dict[str, int], word: str) -> None:
    assert buckets.status([[units.get(name, 0) for name in buckets.BUCKETS]], held) == word


@pytest.mark.parametrize(
    "event",
    [
        e.OrderCaptured("o1", "web", "ann", "near", "B", 0, ()),
        e.CreditIssued("o1", "c9", 1, 1, 500),
        e.InvoiceCreated("o1", "i9", "s9", ((1, 1, 500),), 500),
        e.OrderCancelled("o1", "customer", "", (e.CancelledUnits(1, "reserved", 1, "north"),)),
        e.OrderCancelled("o1", "customer", "", (e.CancelledUnits(1, "backordered", 1, "north"),)),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_that_does_not_fit_the_state_is_a_corrupt_log(event: Any) -> None:
    business = Business({"north": {"a": 2}})
    business.accept(business.capture([("a", 2)]))
    corrupt(business, event)


def test_more_received_than_due_and_a_purchase_made_twice_are_a_corrupt_log() -> None:
    business = purchased("created")
    key = next(iter(business.state.purchase_orders))
    corrupt(business, e.GoodsReceived(key, "r", "north", (StockLine("a", 5),)))
    corrupt(business, e.PurchaseOrderCreated(key, "mill", "north", 0, (), (), 0, 0))


@pytest.mark.parametrize(("position", "now"), [(1, 99), (99, 99), (7, -1)])
def test_an_entry_out_of_order_is_a_corrupt_log(position: int, now: int) -> None:
    business = Business({"north": {"a": 2}})
    engine = fold(business.journal)
    at = engine.state.position + 1 if position == 7 else position
    with pytest.raises(CorruptLog, match="cannot follow"):
        engine.apply(Entry(at, now, Wake("nothing")))


def test_a_timer_of_no_known_kind_is_a_corrupt_log() -> None:
    business = Business()
    business.state.timers.due["nonsense/1"] = 0
    with pytest.raises(CorruptLog, match="no known kind"):
        business.driver.engine.decide(Wake("nonsense/1"), 0)
