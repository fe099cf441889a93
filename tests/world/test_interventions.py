"""Interventions: who does what, when and why, at which cost; all of it by commands in the log."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world.stage import DAY, HOUR, MINUTE, Stage, tiny
from twin.core.commands import HoldOrder, RedriveDelivery, ReleaseHold
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
        ({"kind": "stop_ship", "channel": "wob", "at": "1d"}, "unknown channel 'wob'"),
        ({"kind": "redrive", "gateway": "epr", "at": "1d"}, "unknown partner 'epr'; partners here: "),
        ({"kind": "redrive", "when": {"dead_letters_above": 3, "gateway": "sup/*"}}, "unknown partner 'sup/[*]'"),
        ({"kind": "redrive", "actor": "", "at": "1d"}, "actor: "),
    ],
)
def test_one_that_makes_no_sense_is_refused(intervention: dict[str, Any], told: str) -> None:
    with pytest.raises(ScenarioError, match=told):
        tiny(BUSY | {"interventions": [intervention]})
