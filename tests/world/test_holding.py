"""Inventory that is held outside the engine: time-outs, lost answers, races, orphans and what reconciliation finds.

A mix of faults follows from its number alone; `pytest tests/world/test_holding.py -k mix-17` runs one again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.world.deciders import between_two
from tests.world.holders import OTHERS, at_rest, claimed, held, held_by, mixed, orphans, oversold
from tests.world.openings import NOW, opened, tables
from tests.world.stage import DAY, HOUR, MINUTE, SECOND, Stage, shipped_orders
from twin.core.commands import CancelOrder
from twin.core.events import (
    DeliveryRetried,
    OrderCaptured,
    ReleaseDecided,
    ReservationAsked,
    ReservationConfirmed,
    ReservationRefused,
    ReservationsReconciled,
    SourcingDecided,
    UnitsShorted,
)
from twin.log import MemoryTruth
from twin.measures import Facts, compute_facts
from twin.measures.left_over import left_over
from twin.observability.total_queue import total_queue
from twin.scenario import Scenario, ScenarioError, load

ROOT = Path(__file__).resolve().parents[2]
SLOW = [{"id": "main", "latency": "10s"}, {"id": "far", "latency": "10s"}]
"""Warehouses whose word takes its time: the engine believes for so long what is not so any more."""
BOTH = pytest.mark.parametrize("who", ["erp", "service"])


def found(stage: Stage) -> list[tuple[str, int]]:
    """Claim and units of every orphan that reconciliations found."""
    return [(one.claim, one.quantity) for _, event in stage.events(ReservationsReconciled) for one in event.orphans]


def reasons(stage: Stage) -> list[str]:
    """Why claims came to nothing, in a word."""
    return [event.reason.partition(":")[0] for _, event in stage.events(ReservationRefused)]


# --- the plain way


@BOTH
def test_what_is_reserved_by_call_ships_and_leaves_nothing_behind(who: str) -> None:  # PL-05
    stage = Stage(held_by(who, run={"horizon": "1d", "drain": "9d"}))
    at_rest(stage, 6 * DAY)
    orders = len(stage.events(OrderCaptured))
    assert orders > 200
    assert len(stage.events(ReservationConfirmed)) == len(stage.events(ReservationAsked)) >= orders
    assert len(dict.fromkeys(shipped_orders(stage))) == orders
    assert found(stage) == []
    assert held(stage) == {}
    assert not stage.rows("reservation.refused")


def test_the_erp_and_a_service_decide_alike_and_the_service_takes_its_own_time() -> None:  # PL-05
    stages = [Stage(held_by(who)) for who in ("erp", "service")]
    slow = Stage(held_by("service", inventory={"latency": "3s", "answering": "5s"}))
    for stage in (*stages, slow):
        stage.run(DAY)
    legs = [[event.legs for _, event in stage.events(SourcingDecided)] for stage in stages]
    assert legs[0] == legs[1]
    asked = {event.claim: at for at, event in slow.events(ReservationAsked)}
    waits = [at - asked[event.claim] for at, event in slow.events(ReservationConfirmed)]
    assert set(waits) == {11 * SECOND}


def test_where_the_engine_holds_the_inventory_the_key_changes_nothing_of_a_run() -> None:  # PL-05
    # Somebody who buys nothing before the run ends: with such a key the log is what it is without.
    never = {"inventory": {"others": [{"warehouse": "main", "rate": "1/1000000d"}]}}
    plain, keyed = Stage(between_two(busy=True)), Stage(between_two(busy=True).with_changes(never))
    for stage in (plain, keyed):
        stage.run(3 * DAY)
    assert (keyed.log.digest, keyed.truth.digest) == (plain.log.digest, plain.truth.digest)
    assert not plain.events(ReservationAsked)


# --- time-outs and lost answers


@BOTH
def test_lost_answers_leave_orphans_and_reconciliation_finds_them_all(who: str) -> None:  # PL-05
    # Neither the answer to a reservation nor that to a release gets through for five hours, and many calls are lost.
    lost = [
        {"kind": "reply_lost", "probability": "70%", "from": "1h", "for": "5h"},
        {"kind": "loss", "direction": "call", "probability": "40%", "from": "1h", "for": "5h"},
    ]
    stage = Stage(held_by(who, *lost))
    stage.run(6 * HOUR - MINUTE)
    left = orphans(stage)
    assert sum(left.values()) > 3
    assert stage.events(DeliveryRetried)
    at_rest(stage, 11 * DAY)
    assert "unanswered" in reasons(stage)
    known = dict(found(stage))
    assert all(known.get(claim) for claim, _, _ in left)
    # Each was there until it was found, and is gone.
    assert oversold(stage) == 0


def test_an_answer_that_is_lost_is_given_again_and_reserves_once() -> None:  # PL-05
    lost = {"kind": "reply_lost", "probability": "100%", "from": "0s", "for": "20s"}
    stage = Stage(held_by("service", lost, busy=False))
    stage.order("o1", {"mug": 3}, at=SECOND)
    stage.run(10 * SECOND)
    assert (sum(held(stage).values()), stage.events(ReservationConfirmed)) == (3, [])
    stage.run(2 * MINUTE)
    assert len(stage.events(ReservationConfirmed)) == 1
    assert len(stage.rows("reservation.taken")) == 1
    assert [row.type for row in stage.rows("delivery.repeated")] == ["delivery.repeated"]


def test_a_holder_without_a_memory_reserves_twice_and_reconciliation_gives_one_back() -> None:  # PL-05
    lost = {"kind": "reply_lost", "probability": "100%", "from": "0s", "for": "20s"}
    stage = Stage(held_by("service", lost, busy=False, desk={"dedupe": "off"}))
    stage.order("o1", {"mug": 3}, at=SECOND)
    stage.hold("o1", at=2 * SECOND)
    stage.run(5 * HOUR)
    assert sum(held(stage).values()) == 6
    stage.run(6 * HOUR + MINUTE)
    assert (sum(held(stage).values()), found(stage)) == (3, [("o1/reserve/1", 3)])
    stage.release_hold("o1", at=7 * HOUR)
    at_rest(stage, 9 * DAY)
    assert shipped_orders(stage) == ["o1"]


@pytest.mark.parametrize("how", ["no memory", "crash"])
def test_a_call_that_is_refused_for_its_own_reservation_leaves_no_orphan(how: str) -> None:  # PL-05
    # Of forty mugs the first attempt takes 25, unheard; the second finds 15 and is refused. Nobody reconciles.
    lost: dict[str, Any] = {"kind": "reply_lost"}
    if how == "crash":
        lost = {"kind": "consumer_crash", "at": "after_commit", "forgets": True}
    desk = {"dedupe": "off"} if how == "no memory" else {}
    fault = {**lost, "probability": "100%", "from": "0s", "for": "20s"}
    stage = Stage(held_by("service", fault, busy=False, desk=desk, inventory={"reconcile": "0s"}))
    stage.order("o1", {"mug": 25}, at=SECOND)
    stage.run(HOUR)
    assert reasons(stage) == ["short"]
    assert orphans(stage) == {}
    plans = [plan for _, event in stage.events(ReleaseDecided) for plan in event.fulfillment_orders]
    assert [(plan.node, [pick.quantity for pick in plan.lines]) for plan in plans] == [("main", [25])]
    stage.run(9 * DAY)
    holder = stage.world.holder
    assert holder is not None
    assert (held(stage), stage.cell("main").elsewhere) == ({}, 0)
    assert stage.cell("main").free == holder.available("main", "mug")
    stage.check_books()


def test_a_release_that_overtakes_its_reservation_leaves_an_orphan_for_the_reconciliation() -> None:  # PL-05
    # The call waits at the interface for longer than anybody waits for it; what gives it back does not.
    slow = {"kind": "latency", "endpoint": "inventory.reserve", "delay": "2h", "from": "0s", "for": "1m"}
    stage = Stage(held_by("service", slow, busy=False))
    stage.order("o1", {"mug": 3}, at=SECOND)
    time = stage.scenario.run.start + MINUTE // 2
    stage.send(CancelOrder("c1", "web", time, "o1", "customer"), MINUTE // 2)
    stage.run(HOUR)
    assert (held(stage), stage.state.claims) == ({}, {})
    stage.run(5 * HOUR)
    assert orphans(stage) == {("o1/reserve/1", 1, "main"): 3}
    stage.run(6 * HOUR + MINUTE)
    assert (orphans(stage), found(stage)) == ({}, [("o1/reserve/1", 3)])


def test_without_a_reconciliation_orphans_stay() -> None:  # PL-05
    slow = {"kind": "latency", "endpoint": "inventory.reserve", "delay": "2h", "from": "0s", "for": "1m"}
    stage = Stage(held_by("service", slow, busy=False, inventory={"reconcile": "0s"}))
    stage.order("o1", {"mug": 3}, at=SECOND)
    time = stage.scenario.run.start + MINUTE // 2
    stage.send(CancelOrder("c1", "web", time, "o1", "customer"), MINUTE // 2)
    stage.run(9 * DAY)
    assert orphans(stage) == {("o1/reserve/1", 1, "main"): 3}
    stage.check_books()


def test_while_the_holder_is_away_orders_wait_and_go_when_it_is_back() -> None:  # PL-05
    away = {"kind": "outage", "calls": "turned_away", "from": "0s", "for": "3h"}
    breaker = {"breaker": {"calls": 4, "minimum": 2, "open": "2m"}}
    stage = Stage(held_by("service", away, busy=False, policies={"delivery": {"inventory": breaker}}))
    stage.order("o1", {"mug": 3}, at=SECOND)
    stage.run(3 * HOUR)
    assert stage.state.orders["o1"].lines[1].buckets[5] + stage.state.orders["o1"].lines[1].buckets[0] == 3
    assert set(reasons(stage)) == {"unanswered"}
    # It tries again after the pause, and not at once: no storm of entries.
    assert 3 <= len(reasons(stage)) <= 10
    at_rest(stage, 9 * DAY)
    assert shipped_orders(stage) == ["o1"]


# --- races


@BOTH
def test_others_take_what_was_believed_free_and_the_order_goes_elsewhere(who: str) -> None:  # PL-05
    stage = Stage(held_by(who, busy=False, warehouses=SLOW))
    holder = stage.world.holder
    assert holder is not None
    # Thirty-nine of forty are sold at the counter a moment before; the warehouse's word of it is still under way.
    stage.order("o1", {"mug": 3}, at=HOUR)
    stage.run(HOUR + 1)
    holder.take(("counter/1", "main", "mug", 39, 0))
    stage.run(HOUR + 2 * SECOND)
    (refused,) = [event for _, event in stage.events(ReservationRefused)]
    assert (refused.reason, refused.withheld) == ("short", (("main", "mug", 39),))
    assert (stage.cell("main").free, stage.cell("main").elsewhere) == (0, 39)
    stage.run(HOUR + MINUTE)
    nodes = [plan.node for _, event in stage.events(ReleaseDecided) for plan in event.fulfillment_orders]
    assert "far" in nodes
    at_rest(stage, 9 * DAY)
    assert shipped_orders(stage)[-1] == "o1"
    assert stage.cell("main").elsewhere == 0


@BOTH
def test_in_a_crowd_nothing_is_oversold_and_no_pick_comes_back_short(who: str) -> None:  # PL-05
    crowd = {"others": OTHERS}
    late = [{**site, "latency": "20m"} for site in SLOW]
    day = {"warehouses": late, "run": {"horizon": "2d", "drain": "9d"}}
    outside = Stage(held_by(who, inventory=crowd, **day))
    inside = Stage(between_two(busy=True).with_changes({"inventory": crowd, **day}))
    at_rest(outside, 7 * DAY)
    inside.run(7 * DAY)
    assert reasons(outside).count("short") > 3
    assert inside.events(UnitsShorted)
    assert outside.events(UnitsShorted) == []
    assert len(outside.rows("others.sold")) > 20
    inside.check_books()


def test_a_buyer_who_collects_later_keeps_the_units_from_others_until_then() -> None:  # PL-05
    stage = Stage(held_by("service", busy=False))
    holder = stage.world.holder
    assert holder is not None
    stage.run(HOUR)
    holder.take(("counter/1", "main", "mug", 38, 12 * HOUR))
    assert (holder.available("main", "mug"), stage.physical("main")) == (2, 40)
    stage.run(7 * HOUR)
    # The reconciliation told of it.
    assert (stage.cell("main").elsewhere, stage.cell("main").free) == (38, 2)
    stage.run(19 * HOUR)
    assert (stage.cell("main").elsewhere, stage.physical("main")) == (0, stage.cell("main").on_hand)
    holder.take(("counter/2", "main", "mug", 99_999, 0))
    assert [row.subject for row in stage.rows("others.turned_away")] == ["counter/2"]


def test_what_was_sold_past_the_engine_is_taken_off_once_though_nobody_reconciles() -> None:  # PL-05
    # Thirty-nine of forty are sold at the counter while a call is under way: the refusal tells it, then the warehouse.
    inventory = {"reconcile": "0s"}
    stage = Stage(held_by("service", busy=False, warehouses=SLOW, inventory=inventory))
    stage.order("o1", {"mug": 3}, at=HOUR)
    stage.run(HOUR + 1)
    holder = stage.world.holder
    assert holder is not None
    holder.take(("counter/1", "main", "mug", 39, 0))
    stage.run(HOUR + 5 * SECOND)
    assert (reasons(stage), stage.cell("main").elsewhere) == (["short"], 39)
    stage.run(60 * HOUR)
    cell = stage.cell("main")
    assert (cell.elsewhere, cell.free) == (0, holder.available("main", "mug"))
    stage.check_books()


# --- the story


def test_the_story_of_reserving_by_call_is_as_it_is_told() -> None:  # PL-05
    stage = Stage(load(ROOT / "scenarios" / "stories" / "inventory_by_call.yaml"))
    at_rest(stage, 13 * DAY)
    assert sum(units for _, units in found(stage)) == 2
    assert reasons(stage).count("unanswered") == 18
    assert left_over(stage.state) == []
    told = measured(stage)
    assert (told["lost_effect_count"], told["duplicate_effect_count"], told["illegal_transition_count"]) == (0, 0, 0)
    assert total_queue(stage.log.entries, stage.truth.rows).valid


# --- what the holder lost


def test_reservations_that_the_holder_lost_are_found_and_made_anew() -> None:  # PL-05
    stage = Stage(held_by("service", busy=False, inventory={"reconcile": "2h"}))
    for number in range(5):
        stage.order(f"o{number}", {"mug": 2}, at=MINUTE * (number + 1))
        stage.hold(f"o{number}", at=MINUTE * (number + 1) + 5)
    stage.run(HOUR)
    holder = stage.world.holder
    assert holder is not None and sum(held(stage).values()) == 10
    # Restored from a backup of the night before.
    holder.holds.clear()
    holder.reserved.clear()
    stage.run(3 * HOUR)
    assert [event.missing for _, event in stage.events(ReservationsReconciled) if event.missing]
    assert set(reasons(stage)) == {"missing"}
    for number in range(5):
        stage.release_hold(f"o{number}", at=4 * HOUR)
    at_rest(stage, 9 * DAY)
    assert len(shipped_orders(stage)) == 5


# --- whatever happens


@pytest.mark.parametrize("number", (4, 9, 12, 13, 14, 23), ids=lambda number: f"mix-{number}")
def test_whatever_goes_wrong_reconciliation_leaves_no_orphan_and_nothing_is_oversold(number: int) -> None:  # PL-05
    # Six mixes of the sixty that the deep check below runs.
    at_rest(mixed(number), 4 * DAY)


@pytest.mark.deep
@pytest.mark.parametrize("number", range(60), ids=lambda number: f"mix-{number}")
def test_whatever_goes_wrong_deep(number: int) -> None:  # PL-05
    at_rest(mixed(number), 4 * DAY)


def test_the_mixes_leave_orphans_to_find_and_races_to_lose() -> None:  # PL-05
    # Without that the check above would be one that cannot fail.
    stage = mixed(10)
    at_rest(stage, 4 * DAY)
    assert len(found(stage)) > 5
    assert {"unanswered", "short"} <= set(reasons(stage))


def test_a_fork_goes_on_as_the_whole_does() -> None:  # PL-05, RC-07
    stage = mixed(3)
    stage.run(DAY)
    fork = stage.fork()
    for one in (stage, fork):
        one.run(2 * DAY)
    assert (fork.log.digest, fork.truth.digest) == (stage.log.digest, stage.truth.digest)
    assert held(fork) == held(stage) and claimed(fork.state) == claimed(stage.state)


PROGRAM = """
from tests.world.holders import mixed
from tests.world.stage import DAY
stage = mixed(1)
stage.run(DAY)
print(stage.log.digest.hex(), stage.truth.digest.hex())
"""


def test_a_run_has_the_same_digests_under_any_hash_seed(fresh_python: Callable[..., str]) -> None:  # PL-05, RC-07
    stage = mixed(1)
    stage.run(DAY)
    own = [stage.log.digest.hex(), stage.truth.digest.hex()]
    assert [fresh_python(PROGRAM, hash_seed=seed).split() for seed in (0, 4242)] == [own, own]


# --- measures


def measured(stage: Stage) -> dict[str, Any]:
    """The measures of a run up to now."""
    truth = MemoryTruth()
    stage.world.truth = truth
    assert stage.world.holder is not None
    stage.world.holder.close_books()
    stage.world.truth = stage.truth
    start, rows = stage.scenario.run.start, [*stage.truth.rows, *truth.rows]
    facts = Facts.collect(iter(stage.log.entries), start, stage.world.now, 0, None, trace=True)
    return {name: one.value for name, one in compute_facts(facts, rows).items()}


def test_measures_count_calls_orphans_and_what_they_cost() -> None:  # PL-05
    slow = {"kind": "latency", "endpoint": "inventory.reserve", "delay": "2h", "from": "0s", "for": "1m"}
    stage = Stage(held_by("service", slow, busy=False))
    stage.order("o1", {"mug": 3}, at=SECOND)
    time = stage.scenario.run.start + MINUTE // 2
    stage.send(CancelOrder("c1", "web", time, "o1", "customer"), MINUTE // 2)
    stage.order("o2", {"mug": 2}, at=HOUR)
    stage.run(5 * HOUR)
    before = measured(stage)
    assert before["reservation_calls/outcome=confirmed"] == 1
    assert before["reservation_calls/outcome=given_up"] == 1
    assert before["orphans_left"] == 3
    # Twenty milliseconds each way.
    assert before["reservation_wait"] == 40
    stage.run(7 * HOUR)
    after = measured(stage)
    assert (after["orphans_left"], after["orphan_reservations"], after["oversold_reservations"]) == (0, 3, 0)
    # Three units from their late reservation, two hours after the call, to the reconciliation at six o'clock.
    assert 3 * 3.9 / 24 < after["orphan_unit_days"] < 3 * 4.1 / 24


def test_where_the_engine_holds_the_inventory_there_are_no_such_measures() -> None:  # PL-05
    stage = Stage(between_two(busy=True).with_changes({"inventory": {"others": OTHERS}}))
    stage.run(DAY)
    assert not [name for name in measured(stage) if name.startswith(("reservation_calls", "orphan", "oversold_res"))]


# --- settings


@pytest.mark.parametrize(
    ("inventory", "text"),
    [
        ({"held_by": "warehouse"}, "held_by: unknown value 'warehouse'; write one of engine, erp, service"),
        (
            {"held_by": "erp", "latency": "1s"},
            "latency can have no effect: only a service has its own, and erp holds the inventory",
        ),
        ({"held_by": "engine", "reconcile": "1d"}, "reconcile can have no effect: the engine holds the inventory"),
        ({"held_by": "engine"}, "the engine holds the inventory without this key"),
        ({"held_by": "service", "reconcile": "20s"}, "is never answered; give more than policies.delivery.inventory"),
        ({"held_by": "service", "pause": "0s"}, "pause"),
        ({"held_by": "erp", "others": [{"warehouse": "mian", "rate": "1/h"}]}, "did you mean 'main'?"),
    ],
)
def test_settings_that_make_no_sense_are_told(inventory: dict[str, Any], text: str) -> None:  # PL-05
    with pytest.raises(ScenarioError) as told:
        between_two().with_changes({"inventory": inventory})
    assert text in str(told.value)
    assert "inventory" in str(told.value)


def test_others_who_take_what_a_warehouse_opens_with_where_that_is_nothing_are_told(tmp_path: Path) -> None:  # PL-05
    other = {"warehouse": "far", "rate": "1/h"}
    empty: dict[str, Any] = {"stock": [{"warehouse": "main", "item": "mug", "on_hand": 40}]}
    empty["inventory"] = {"held_by": "erp", "others": [{**other, "warehouse": "main"}, other]}
    with pytest.raises(ScenarioError) as told:
        between_two().with_changes(empty)
    assert "inventory.others[1].warehouse" in str(told.value)
    assert "'far' opens empty" in str(told.value) and "give items, or stock there" in str(told.value)
    # With items they wait for goods to come.
    empty["inventory"]["others"] = [{**other, "items": {"mug": 1}}]
    assert Stage(between_two().with_changes(empty)).world.actors["others/1/far"]
    # What a file opens a warehouse with is known when it is read.
    second = {"warehouses": [{"id": "main"}, {"id": "far"}], "inventory": {"held_by": "erp", "others": [other]}}
    with pytest.raises(ScenarioError) as told:
        Stage(opened(tables(tmp_path), second))
    assert str(told.value).startswith("inventory.others[0].warehouse: 'far' opens empty")
    Stage(opened(tables(tmp_path, stock=[f"far,mug,free,9,,{NOW}"]), second))


def test_a_holder_whose_answers_nobody_waits_for_is_told() -> None:  # PL-05
    silent = {"inventory": {"held_by": "erp"}, "policies": {"delivery": {"erp": {"acknowledge": False}}}}
    with pytest.raises(ScenarioError) as told:
        between_two().with_changes(silent)
    assert "policies.delivery.erp waits for none; set acknowledge: true there" in str(told.value)


@pytest.mark.parametrize("style", ["event", "edi"])
def test_an_interface_that_answers_for_the_holder_is_told(style: str) -> None:  # PL-05
    edi = {"edi": {"translation": "5s", "acknowledgement": "20s"}} if style == "edi" else {}
    with pytest.raises(ScenarioError) as told:
        held_by("erp", desk={"style": style, **edi})
    assert f"style: {style} answers for its partner" in str(told.value)
    assert "give another style" in str(told.value)


def test_an_interface_of_a_service_that_holds_nothing_is_told() -> None:  # PL-05
    with pytest.raises(ScenarioError) as told:
        between_two().with_changes({"interfaces": [{"id": "desk", "to": "inventory"}]})
    assert "unknown partner 'inventory'" in str(told.value)


def test_a_scenario_with_a_holder_is_read_as_it_was_written() -> None:  # PL-05
    scenario = held_by("service", inventory={"others": OTHERS, "latency": "2s"})
    assert Scenario.model_validate(scenario.plain()).digest == scenario.digest
