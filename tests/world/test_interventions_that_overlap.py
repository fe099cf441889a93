"""Interventions that overlap, begin at one instant, or are asked for again: each keeps what it did for as long as it
lasts, and nothing of it afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.world.stage import DAY, HOUR, MINUTE, SECOND, Stage, tiny
from tests.world.test_interventions import BUSY, OUTAGE, began, staged
from tests.world.test_marketplace import market, of
from twin.core.commands import (
    BeginIntervention,
    ConfirmInvoice,
    DefineNetwork,
    DefinePolicies,
    HoldOrder,
    RedriveDelivery,
    ReleaseHold,
)
from twin.core.events import InterventionEnded, PromiseDecided, ReleaseDecided
from twin.measures.left_over import left_over
from twin.streams import Exponential

WAVES = {"release": {"kind": "waves", "at": ["02:00", "14:00"]}}


def shift(id: str, at: str, lasts: str, node: str = "side") -> dict[str, Any]:
    return {"id": id, "kind": "shift_volume", "preferred": {"home": node}, "at": at, "for": lasts}


def preferred_at(stage: Stage, *hours: int) -> list[str]:
    """The region's warehouse a minute after each of these hours."""
    seen = []
    for hour in hours:
        stage.run(hour * HOUR + MINUTE)
        seen.append(dict(stage.state.policies.preferred).get("home", ""))
    return seen


def refused(stage: Stage) -> list[tuple[str, str]]:
    """What was refused of people's commands."""
    return [
        (entry.command.id, entry.refusal.code)
        for entry in stage.log.entries
        if entry.refusal is not None and entry.command.source.startswith("operations/")
    ]


def test_two_that_begin_at_one_instant_both_take_effect() -> None:  # RC-18
    longer = {"kind": "extend_promises", "by": "2d", "at": "1d", "for": "2d"}
    stage = staged(longer, shift("side", "1d", "2d"))
    leads = [(at, event.promised_at - stage.scenario.run.start - at) for at, event in stage.events(PromiseDecided)]
    usual = [lead for at, lead in leads if at < DAY]
    extended = [lead for at, lead in leads if DAY + MINUTE < at < 3 * DAY]
    assert extended and min(extended) >= max(usual) + DAY
    nodes = [plan.node for at, event in stage.events(ReleaseDecided) for plan in event.fulfillment_orders]
    assert nodes.count("side") == len(extended)
    policies = stage.state.policies
    assert (policies.promise_extra_ms, policies.preferred) == (0, (("home", "main"),))
    assert refused(stage) == []


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # The first ends first, inside of the other, and with another warehouse; each last one gives the usual back.
        (("1d", "1d", "side"), ("36h", "1d", "side"), ["side", "side", "side", "main"]),
        (("1d", "36h", "side"), ("36h", "6h", "side"), ["side", "side", "side", "main"]),
        (("1d", "1d", "side"), ("36h", "1d", "third"), ["side", "third", "third", "main"]),
        (("1d", "36h", "side"), ("36h", "12h", "third"), ["side", "third", "side", "main"]),
    ],
)
def test_the_last_shift_of_volume_rules_and_only_the_last_to_end_gives_back(
    first: tuple[str, str, str], second: tuple[str, str, str], expected: list[str]
) -> None:  # RC-18
    third: dict[str, Any] = {"warehouses": [{"id": "side"}, {"id": "third"}]}
    lane = {"from": "third", "to": "home", "carrier": "van", "transit": "9h"}
    changes = BUSY | third | {"lanes": [*BUSY["lanes"], lane]}
    shifts = [shift("a", *first), shift("b", *second)]
    stage = Stage(tiny(changes | {"interventions": shifts}))
    assert preferred_at(stage, 25, 37, 49, 61) == expected


def test_a_rule_that_somebody_else_changed_meanwhile_stays_as_they_left_it() -> None:
    stage = Stage(tiny(BUSY | {"interventions": [shift("a", "1d", "1d")]}))
    stage.run(30 * HOUR)
    other = replace(stage.state.policies, preferred=())
    stage.send(DefinePolicies("other", "test", stage.world.now, other), 31 * HOUR)
    assert preferred_at(stage, 32, 49) == ["", ""]


@pytest.mark.parametrize("lasts", ["6h", "40h"])
def test_an_order_that_two_stops_of_shipping_hold_waits_for_both(lasts: str) -> None:  # RC-18
    first = {"id": "a", "kind": "stop_ship", "at": "24h", "for": lasts}
    second = {"id": "b", "kind": "stop_ship", "at": "25h", "for": "30h"}
    stage = staged(first, second, policies=BUSY["policies"] | WAVES)
    both = [command.order for command in stage.commands(HoldOrder) if command.id.startswith("a/")]
    over = {"6h": 55 * HOUR, "40h": 64 * HOUR}[lasts]
    released = {event.order: at for at, event in stage.events(ReleaseDecided) if event.order in both}
    assert len(released) == len(both) > 5
    assert all(over < at < over + DAY for at in released.values())
    assert refused(stage) == [] and left_over(stage.state) == []


def test_two_stops_of_shipping_at_one_instant_hold_each_order_once() -> None:
    stop = {"kind": "stop_ship", "at": "24h", "for": "6h"}
    stage = staged(stop, {**stop, "for": "30h"}, policies=BUSY["policies"] | WAVES)
    held = [command.order for command in stage.commands(HoldOrder)]
    assert held and len(held) == len(dict.fromkeys(held))
    assert min(at for at, event in stage.events(ReleaseDecided) if event.order in held) > 54 * HOUR
    assert refused(stage) == []


def test_an_order_that_somebody_else_holds_first_is_not_let_go() -> None:
    stop = {"kind": "stop_ship", "at": "1d", "for": "6h"}
    stage = Stage(tiny({"policies": WAVES, "interventions": [stop]}))
    for order in ("stopped", "checked"):
        stage.order(order, at=20 * HOUR)
    # The person at the desk is faster by milliseconds: the stop has seen the order as free, and not yet held it.
    stage.hold("checked", at=DAY + 2)
    stage.run(2 * DAY)
    assert {id: order.held for id, order in stage.state.orders.items()} == {"stopped": False, "checked": True}
    assert [command.order for command in stage.commands(ReleaseHold)] == ["stopped"]
    assert refused(stage) == []


def test_two_stops_at_one_instant_do_not_let_go_what_somebody_else_held_just_before() -> None:  # RC-18
    stops = [{"id": id, "kind": "stop_ship", "at": "1d", "for": "6h"} for id in ("a", "b")]
    stage = Stage(tiny({"policies": WAVES, "interventions": stops}))
    for order in ("stopped", "checked"):
        stage.order(order, at=20 * HOUR)
    stage.hold("checked", at=DAY + 2)
    stage.run(2 * DAY)
    assert {id: order.held for id, order in stage.state.orders.items()} == {"stopped": False, "checked": True}
    assert refused(stage) == []


def test_a_batch_job_that_two_have_stopped_goes_on_after_both() -> None:  # RC-18
    pause = {"kind": "pause_batch", "interface": "ledger"}
    stage = Stage(
        tiny(
            {
                "interfaces": [{"id": "ledger", "to": "erp", "style": "batch", "batch": {"every": "1h"}}],
                "policies": {"delivery": {"erp": {"timeout": "3d", "deadline": "6d"}}},
                "interventions": [
                    {**pause, "id": "a", "at": "1h", "for": "4h"},
                    {**pause, "id": "b", "at": "2h", "for": "20h"},
                ],
            }
        )
    )
    stage.order("held", at=2 * HOUR)
    stage.run(30 * HOUR)
    (told,) = [entry.now for entry in stage.log.entries if isinstance(entry.command, ConfirmInvoice)]
    assert 22 * HOUR < stage.since_start(told) < 23 * HOUR + MINUTE


def test_a_feed_that_two_have_closed_is_open_again_after_both() -> None:  # RC-18
    close = {"kind": "zero_feed", "channel": "market"}
    plans = [{**close, "id": "a", "at": "1h", "for": "2h"}, {**close, "id": "b", "at": "2h", "for": "10h"}]
    stage = Stage(market(interventions=plans))
    stage.run(6 * HOUR)
    assert of(stage).listing["mug"].units == 0
    stage.run(14 * HOUR)
    assert of(stage).listing["mug"].units > 0


@pytest.mark.parametrize(
    ("closed", "hour", "after"), [(True, 0, True), (False, 4, False)], ids=["closed before", "opened meanwhile"]
)
def test_a_feed_stays_as_somebody_else_left_it(closed: bool, hour: int, after: bool) -> None:  # RC-18
    close = {"kind": "zero_feed", "channel": "market"}
    plans = [{**close, "id": "a", "at": "1h", "for": "8h"}, {**close, "id": "b", "at": "2h", "for": "10h"}]
    stage = Stage(market(interventions=plans))
    stage.run(hour * HOUR + MINUTE)
    other = replace(stage.state.channels["market"], feed_closed=closed)
    command = DefineNetwork("other", "test", stage.world.now, stage.state.currency, channels=(other,))
    stage.send(command, hour * HOUR + 2 * MINUTE)
    stage.run(14 * HOUR)
    assert stage.state.channels["market"].feed_closed is after


def test_a_feed_that_somebody_opened_between_two_is_open_after_both() -> None:  # RC-18
    close = {"kind": "zero_feed", "channel": "market"}
    plans = [{**close, "id": "a", "at": "2h", "for": "6h"}, {**close, "id": "b", "at": "5h", "for": "5h"}]
    stage = Stage(market(interventions=plans))
    for hour, closed in ((1, True), (3, False)):
        stage.run(hour * HOUR)
        other = replace(stage.state.channels["market"], feed_closed=closed)
        told = DefineNetwork(f"at {hour}", "test", stage.world.now, stage.state.currency, channels=(other,))
        stage.send(told, hour * HOUR + MINUTE)
    seen = []
    for hour in (4, 7, 9, 14):
        stage.run(hour * HOUR)
        seen.append(stage.state.channels["market"].feed_closed)
    assert seen == [False, True, True, False]


@pytest.mark.parametrize(("days", "after"), [(5, [5, 5]), (0, [0, 0]), (3, [2, 0])])
def test_an_extension_that_somebody_else_has_set_anew_stays_as_they_left_it(days: int, after: list[int]) -> None:
    # RC-18; three days is what both come to: nothing tells that somebody else meant them.
    one = {"kind": "extend_promises", "by": "1d", "at": "1d", "for": "1d"}
    stage = Stage(tiny(BUSY | {"interventions": [one, {**one, "by": "2d", "at": "36h"}]}))
    stage.run(40 * HOUR)
    other = replace(stage.state.policies, promise_extra_ms=days * DAY)
    stage.send(DefinePolicies("other", "test", stage.world.now, other), 41 * HOUR)
    extra = []
    for hour in (49, 61):
        stage.run(hour * HOUR)
        extra.append(stage.state.policies.promise_extra_ms // DAY)
    assert extra == after


def test_promises_are_extended_by_the_sum_of_those_under_way() -> None:  # RC-18
    one = {"kind": "extend_promises", "by": "1d", "at": "1d", "for": "1d"}
    stage = Stage(tiny(BUSY | {"interventions": [one, {**one, "by": "2d", "at": "36h"}]}))
    extra = []
    for hour in (25, 37, 49, 61):
        stage.run(hour * HOUR)
        extra.append(stage.state.policies.promise_extra_ms // DAY)
    assert extra == [1, 3, 2, 0]


# --- by hand

RESCUE = {"id": "rescue", "kind": "redrive", "gateway": "erp", "by_hand": True}


def ask(stage: Stage, id: str, at: int, cause: str) -> None:
    """Somebody asks for an intervention by hand."""
    stage.run(at)
    stage.world.actors[f"intervention/{id}"].receive(cause)


def test_one_by_hand_works_each_time_that_it_is_asked_for() -> None:  # RC-18
    stage = Stage(tiny(BUSY | {"interventions": [RESCUE], "faults": [OUTAGE, {**OUTAGE, "from": "40h"}]}))
    for at, cause in ((20 * HOUR, "the ERP is back"), (56 * HOUR, "and again")):
        ask(stage, "rescue", at, cause)
        dead = len(stage.state.dead_letters)
        stage.run(at + HOUR)
        assert dead > 3 and not stage.state.dead_letters
    assert [event.cause for _, event in began(stage)] == ["the ERP is back", "and again"]
    ids = [command.id for command in stage.commands(RedriveDelivery)]
    assert ids[0] == "rescue/2" and ids[-1].startswith("rescue/2/")
    assert len(ids) == len(dict.fromkeys(ids)) and refused(stage) == []


def test_each_turn_of_one_takes_its_own_time() -> None:
    by_hand = {"id": "rescue", "kind": "redrive", "by_hand": True, "delay": {"kind": "exponential", "mean": "30m"}}
    stage = Stage(tiny(BUSY | {"interventions": [by_hand]}))
    for day in (1, 2):
        ask(stage, "rescue", day * DAY, "asked")
    stage.run(3 * DAY)
    delays = [at % DAY - 2 for at, _ in began(stage)]
    streams, mean = stage.world.streams, Exponential(30 * MINUTE)
    assert delays == [
        streams.draw(mean, "intervention", "rescue"),
        streams.draw(mean, "intervention", "rescue", 2),
    ]


def test_one_that_is_under_way_is_not_begun_again_and_ends_as_planned() -> None:
    by_hand = {"id": "side", "kind": "shift_volume", "preferred": {"home": "side"}, "by_hand": True, "for": "10h"}
    stage = Stage(tiny(BUSY | {"interventions": [by_hand]}))
    ask(stage, "side", DAY, "once")
    ask(stage, "side", DAY + 5 * HOUR, "twice")
    assert preferred_at(stage, 30, 35) == ["side", "main"]
    assert len(stage.commands(BeginIntervention)) == 2
    assert refused(stage) == [("side/2/1", "under_way")]
    ((ended, _),) = stage.events(InterventionEnded)
    assert DAY + 10 * HOUR <= ended < DAY + 10 * HOUR + SECOND
    ask(stage, "side", 36 * HOUR, "later")
    assert preferred_at(stage, 37, 47) == ["side", "main"]
