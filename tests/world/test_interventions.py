"""Interventions: who does what, when and why, at which cost; all of it by commands in the log."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world.stage import DAY, HOUR, MINUTE, Stage, tiny
from twin.core.commands import DefineNetwork, HoldOrder, RedriveDelivery, ReleaseHold
from twin.core.events import InterventionBegan, InterventionEnded, PromiseDecided, ReleaseDecided
from twin.core.invariants import violations
from twin.measures.left_over import left_over
from twin.scenario import ScenarioError

DEMAND = {"kind": "poisson", "rate": "24/d", "regions": {"home": 1}}
BUSY: dict[str, Any] = {
    "run": {"horizon": "3d", "drain": "27d"},
    "warehouses": [{"id": "side"}],
    "lanes": [
        {"from": "main", "to": "home", "carrier": "van", "transit": "4h"},
        {"from": "side", "to": "home", "carrier": "van", "transit": "9h"},
    ],
    "stock": [{"warehouse": site, "item": "mug", "on_hand": 300} for site in ("main", "side")],
    "channels": [{"id": "web", "demand": DEMAND}],
    "policies": {
        "sourcing": {"preferred": {"home": "main"}},
        "returns": {"window": "1d"},
        "delivery": {"erp": {"timeout": "10s", "retries": {"max": 1, "backoff": "1s"}, "deadline": "1h"}},
    },
    "interfaces": [{"id": "books", "to": "erp"}],
}


def staged(*interventions: dict[str, Any], **changes: Any) -> Stage:
    stage = Stage(tiny(BUSY | {"interventions": list(interventions)} | changes))
    stage.run(30 * DAY)
    assert violations(stage.state) == []
    return stage


def began(stage: Stage) -> list[tuple[int, InterventionBegan]]:
    return stage.events(InterventionBegan)


OUTAGE = {"kind": "outage", "interface": "books", "from": "6h", "for": "10h", "calls": "turned_away"}


def test_dead_letters_are_redriven_once_somebody_sees_them_and_has_the_time() -> None:  # RC-18, RC-13
    rescue = {
        "id": "rescue",
        "kind": "redrive",
        "gateway": "erp",
        "when": {"dead_letters_above": 3, "gateway": "erp", "look": "30m"},
        "actor": "ann",
        "delay": "11h",
        "cost": "80.00 GBP",
    }
    stage = staged(rescue, faults=[OUTAGE])
    ((at, event),) = began(stage)
    assert (event.actor, event.kind, event.cost_minor) == ("ann", "redrive", 8_000)
    assert event.cause.endswith("dead letters, more than 3")
    # Seen at a look, and done eleven hours later.
    assert (at - 11 * HOUR) % (30 * MINUTE) <= 3
    redriven = stage.commands(RedriveDelivery)
    assert len(redriven) > 3
    assert {command.source for command in redriven} == {"operations/ann"}
    assert len(stage.events(InterventionEnded)) == 1
    assert not stage.state.dead_letters and left_over(stage.state) == []
    without = staged(faults=[OUTAGE])
    assert without.state.dead_letters


def test_a_stop_of_shipping_holds_what_is_open_and_lets_it_go_again() -> None:  # RC-18
    stop = {"kind": "stop_ship", "channel": "web", "at": "1d", "for": "6h"}
    waves = {"release": {"kind": "waves", "at": ["02:00", "14:00"]}}
    stage = staged(stop, policies=BUSY["policies"] | waves)
    held = stage.commands(HoldOrder)
    assert held and {command.source for command in held} == {"operations/operations"}
    assert len(stage.commands(ReleaseHold)) == len(held)
    begin, end = DAY, DAY + 6 * HOUR
    for order in {command.order for command in held}:
        released = [at for at, event in stage.events(ReleaseDecided) if event.order == order]
        assert released and not [at for at in released if begin < at < end]
    assert left_over(stage.state) == []


def test_a_shift_of_volume_prefers_another_warehouse_for_a_while() -> None:  # RC-18
    shift = {"kind": "shift_volume", "preferred": {"home": "side"}, "at": "1d", "for": "1d"}
    stage = staged(shift)
    nodes = [(at, plan.node) for at, event in stage.events(ReleaseDecided) for plan in event.fulfillment_orders]
    usual = {node for at, node in nodes if not DAY < at < 2 * DAY + MINUTE}
    shifted = {node for at, node in nodes if DAY + MINUTE < at < 2 * DAY}
    assert (usual, shifted) == ({"main"}, {"side"})
    assert stage.state.policies.preferred == (("home", "main"),)


RAIL = {"id": "rail", "latency": "1s"}


WINDOWS = ((0, 12), (13, 24), (25, 36), (37, 60), (61, 72))


def by_rail(*shifts: dict[str, Any]) -> Stage:
    """The way from main may go by rail too, which is dearer."""
    lane = {"from": "main", "to": "home", "carrier": "rail", "transit": "5h", "cost": {"shipment": "9.00 GBP"}}
    return staged(*shifts, carriers=[RAIL], lanes=[*BUSY["lanes"], lane])


def carriers_by_hour(stage: Stage) -> list[tuple[int, str]]:
    return [(at, plan.carrier) for at, event in stage.events(ReleaseDecided) for plan in event.fulfillment_orders]


def test_a_shift_of_carrier_ships_with_another_for_a_while() -> None:  # RC-18
    stage = by_rail({"kind": "shift_carrier", "carrier": "van", "to": "rail", "at": "1d", "for": "1d"})
    released = carriers_by_hour(stage)
    usual = {carrier for at, carrier in released if not DAY < at < 2 * DAY + MINUTE}
    shifted = {carrier for at, carrier in released if DAY + MINUTE < at < 2 * DAY}
    assert (usual, shifted) == ({"van"}, {"rail"})
    assert stage.state.lanes["home"]["main"].carrier == "van"
    assert left_over(stage.state) == []


def test_only_the_last_shift_of_carrier_to_end_gives_the_usual_one_back() -> None:  # RC-18
    one = {"id": "a", "kind": "shift_carrier", "carrier": "van", "to": "rail", "at": "1d", "for": "1d"}
    stage = by_rail(one, one | {"id": "b", "at": "36h"})
    released = carriers_by_hour(stage)
    # The second, up to 60 h, finds on the rail what the first shifted: it stays there with the end of the first.
    assert {carrier for at, carrier in released if DAY + MINUTE < at < 60 * HOUR} == {"rail"}
    assert {carrier for at, carrier in released if at > 60 * HOUR + MINUTE} == {"van"}
    told = [lane.carrier for command in stage.commands(DefineNetwork) for lane in command.lanes]
    # Only what changes is told: the network at first, on the rail once, and back by van once.
    assert told[-2:] == ["rail", "van"] and len(told) == 4


def test_a_shift_of_carrier_back_takes_what_the_other_shifted() -> None:  # RC-18
    there = {"id": "a", "kind": "shift_carrier", "carrier": "van", "to": "rail", "at": "12h", "for": "2d"}
    back = {"id": "b", "kind": "shift_carrier", "carrier": "rail", "to": "van", "at": "24h", "for": "12h"}
    released = carriers_by_hour(by_rail(there, back))
    seen = [{carrier for at, carrier in released if first * HOUR < at < last * HOUR} for first, last in WINDOWS]
    assert seen == [{"van"}, {"rail"}, {"van"}, {"rail"}, {"van"}]


def test_promises_are_extended_for_a_while_and_no_longer() -> None:  # RC-18
    stage = staged({"kind": "extend_promises", "by": "2d", "at": "1d", "for": "1d"})
    leads = [(at, event.promised_at - stage.scenario.run.start - at) for at, event in stage.events(PromiseDecided)]
    usual = [lead for at, lead in leads if not DAY < at < 2 * DAY + MINUTE]
    longer = [lead for at, lead in leads if DAY + MINUTE < at < 2 * DAY]
    assert min(longer) >= max(usual) + DAY
    assert stage.state.policies.promise_extra_ms == 0


def test_one_that_never_begins_changes_nothing() -> None:
    rescue = {"kind": "redrive", "when": {"dead_letters_above": 5}}
    assert staged(rescue).log.entries == staged().log.entries


def test_a_fork_before_an_intervention_goes_on_as_the_whole() -> None:
    stage = Stage(tiny(BUSY | {"interventions": [{"kind": "extend_promises", "by": "2d", "at": "1d", "for": "1d"}]}))
    stage.run(20 * HOUR)
    fork = stage.fork()
    for one in (stage, fork):
        one.run(30 * DAY)
    assert fork.log.entries[-1] == stage.log.entries[-1]
    assert fork.events(InterventionEnded)


def test_a_carrier_without_a_lane_on_the_same_way_is_no_other_carrier() -> None:
    shift = {"kind": "shift_carrier", "carrier": "van", "to": "rail", "at": "1d"}
    with pytest.raises(ScenarioError, match="no lane of 'rail' serves a way of 'van'; add one"):
        tiny(BUSY | {"carriers": [RAIL], "interventions": [shift]})


@pytest.mark.parametrize(
    ("intervention", "told"),
    [
        ({"kind": "redrive"}, "give at, when or by_hand"),
        ({"kind": "redrive", "at": "1d", "when": {"tickets_above": 1}}, "give at, when or by_hand"),
        ({"kind": "redrive", "when": {}}, "needs one of dead_letters_above"),
        ({"kind": "redrive", "when": {"tickets_above": 1, "look": "0s"}}, "every 0s is too often .* write 1s or more"),
        (
            {"kind": "redrive", "when": {"tickets_above": 1, "look": "1ms"}},
            "every 1ms is too often .* write 1s or more",
        ),
        (
            {"kind": "redrive", "at": "26d", "delay": "5d"},
            "decided at 26d and done 5d later, and the run is over at 30d",
        ),
        ({"kind": "redrive", "at": "31d"}, "it is decided at 31d, and the run is over at 30d"),
        ({"kind": "zero_feed", "channel": "web", "at": "1d"}, "'web' has no stock feed"),
        ({"kind": "shift_carrier", "carrier": "van", "to": "von", "at": "1d"}, "unknown carrier 'von'"),
        ({"kind": "shift_carrier", "carrier": "van", "to": "van", "at": "1d"}, "'van' is the carrier that parcels go"),
        ({"kind": "stop_ship", "channel": "wob", "at": "1d"}, "unknown channel 'wob'"),
        ({"kind": "redrive", "gateway": "epr", "at": "1d"}, "unknown partner 'epr'; partners here: "),
        ({"kind": "redrive", "when": {"dead_letters_above": 3, "gateway": "sup/*"}}, "unknown partner 'sup/[*]'"),
        ({"kind": "redrive", "actor": "", "at": "1d"}, "actor: "),
    ],
)
def test_one_that_makes_no_sense_is_refused(intervention: dict[str, Any], told: str) -> None:
    with pytest.raises(ScenarioError, match=told):
        tiny(BUSY | {"interventions": [intervention]})
