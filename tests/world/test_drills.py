"""The drill library: every drill holds with its controls on, and fails without the one that it needs.

The first days of a drill are its safety phase, in which faults strike while demand comes in; the drain is its liveness
phase: faults are over, demand has stopped, and nothing may be left over at its end.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.world.befalling import befalling, expected_to_befall
from twin.experiment import check
from twin.scenario import Scenario, load
from twin.scenario.disruptions import Disruption
from twin.scenario.expect import Invariants, Settled
from twin.scenario.faults import Fault

FOLDER = Path(__file__).resolve().parents[2] / "scenarios" / "drills"
DRILLS = sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem != "base")
SAMPLE = DRILLS[::4]
"""One in four; `make deep` and `twin check scenarios/drills/*.yaml` hold all of them."""


def drill(name: str) -> Scenario:
    return load(FOLDER / f"{name}.yaml")


HIT = [name for name in DRILLS if re.search("^(faults|disruptions):", (FOLDER / f"{name}.yaml").read_text(), re.M)]
"""Drills that something befalls; the others are about what is set up otherwise, such as a rollout."""


def forgetful(kept: str) -> dict[str, Any]:
    """Counterparts that recognize what they have done for so long."""
    return {"interfaces": [{"id": each.id, "dedupe": kept} for each in drill("base").interfaces]}


def default(**change: Any) -> dict[str, Any]:
    return {"policies": {"delivery": {"default": change}}}


WITHOUT: list[tuple[str, str, str, dict[str, Any]]] = [
    ("errors", "retry", "dead_letters", default(retries={"max": 0})),
    ("reply_lost", "idempotency", "invariants", forgetful("off")),
    ("reply_lost", "a dedupe retention longer than the retries", "invariants", forgetful("1m")),
    ("redrive_storm", "idempotency, in a redrive storm", "invariants", forgetful("off")),
    ("poison", "the order-preserving dead-letter queue", "leapfrogs", default(queue={"in_order": False})),
    (
        "warehouse_gone",
        "compensation",
        "invariants",
        {"policies": {"delivery": {"warehouse": {"fallback": {"compensate": False}}}}},
    ),
    (
        "portal_gone",
        "an alternate supplier",
        "dead_letters",
        {
            "policies": {
                "delivery": {"supplier": {"fallback": None}},
                "replenishment": [
                    {"warehouse": node, "item": "*", "kind": "min_max", "s": 30, "S": 80}
                    for node in ("hamburg", "munich")
                ],
            }
        },
    ),
    ("answers_lost", "supervision", "settled", default(supervise=None)),
    ("overload", "breaker", "goodput", {"policies": {"delivery": {"warehouse": {"breaker": None}}}}),
    (
        "records_lost",
        "a sync of all records",
        "master_data_mismatches/at_end",
        {"master_data": {"sync": {"sends": "changes"}}},
    ),
    (
        "rollout_tolerant",
        "tolerant readers",
        "incompatible_messages",
        {"interfaces": [{"id": "erp", "rollout": {"reads": "own"}}]},
    ),
    (
        "rollout_tolerant",
        "a rollout of the readers before the senders",
        "incompatible_messages",
        {"interfaces": [{"id": "wms.hamburg", "rollout": {"reader": {"from": "30h"}}}]},
    ),
    (
        "stale_counts",
        "counts that tell their place among the movements",
        "invariants",
        {"faults": [{"kind": "stale_snapshot", "interface": "wms.hamburg", "from": "9h", "for": "20h"}]},
    ),
    ("bad_addresses", "people who send dead letters again", "dead_letters", {"interventions": []}),
    ("rollout_strict", "people who send dead letters again, after a rollout", "dead_letters", {"interventions": []}),
]
"""A drill, the control that it needs, what fails without it, and the change that takes it away."""


def kinds_of(union: Any) -> set[str]:
    """The kinds that a union of the schema tells apart."""
    members = get_args(get_args(union)[0])
    return {kind for member in members for kind in get_args(member.model_fields["kind"].annotation)}


def test_there_are_drills_over_every_kind_of_fault_and_disruption_and_each_has_both_phases() -> None:
    # IM-02, RC-08
    faults, disruptions = set[str](), set[str]()
    for name in DRILLS:
        scenario = drill(name)
        faults |= {fault.kind for fault in scenario.faults}
        disruptions |= {one.kind for one in scenario.disruptions}
        wanted = {type(expected) for expected in scenario.expect}
        assert {Invariants, Settled} <= wanted, name
        assert scenario.run.drain >= scenario.run.horizon, name
        assert all(fault.for_ is not None for fault in scenario.faults), name
        over = [fault.from_ + fault.for_ for fault in scenario.faults if fault.for_ is not None and not fault.when]
        over += [one.from_ + one.for_ for one in scenario.disruptions]
        assert all(end <= scenario.run.horizon for end in over), name
    assert kinds_of(Fault) - faults == set()
    assert kinds_of(Disruption) - disruptions == set()


def test_every_drill_expects_that_each_of_its_faults_and_disruptions_hits_something() -> None:
    # RC-08
    for name in DRILLS:
        scenario = drill(name)
        assert set(befalling(scenario)) <= expected_to_befall(scenario), name
        assert bool(befalling(scenario)) == (name in HIT), name


@pytest.mark.parametrize("name", SAMPLE)
def test_a_drill_holds(name: str) -> None:
    # RC-02, RC-06, RC-08, RC-16, GV-03, GV-04
    failed = [(one.expectation, one.found) for one in check([FOLDER / f"{name}.yaml"]) if not one.holds]
    assert not failed


@pytest.mark.deep
@pytest.mark.parametrize("name", DRILLS)
def test_every_drill_holds(name: str) -> None:
    # RC-02, RC-06, RC-08, RC-16, GV-03, GV-04
    failed = [(one.expectation, one.found) for one in check([FOLDER / f"{name}.yaml"]) if not one.holds]
    assert not failed


@pytest.mark.parametrize(("name", "control", "fails", "change"), WITHOUT, ids=[row[1] for row in WITHOUT])
def test_a_drill_fails_without_the_control_that_it_needs(
    name: str, control: str, fails: str, change: dict[str, Any], tmp_path: Path
) -> None:
    # RC-01, RC-03, RC-06, RC-09, MD-01, MD-02, GV-01
    path = tmp_path / f"{name}.yaml"
    path.write_text(drill(name).with_changes(change).to_yaml(tmp_path))
    verdicts = {one.expectation: one.holds for one in check([path])}
    assert verdicts[fails] is False, f"{name} holds without {control}"


def refused_without(name: str, tmp_path: Path) -> tuple[set[str], set[str]]:
    """What a drill expects to be hit, and of that what does not hold once nothing befalls it."""
    scenario = drill(name)
    path = tmp_path / f"{name}.yaml"
    path.write_text(scenario.with_changes({"faults": [], "disruptions": []}).to_yaml(tmp_path))
    failed = {one.expectation for one in check([path]) if not one.holds}
    wanted = set(befalling(scenario))
    return wanted, wanted & failed


@pytest.mark.parametrize("name", HIT[::6])
def test_a_drill_fails_without_its_faults(name: str, tmp_path: Path) -> None:
    # RC-08
    wanted, failed = refused_without(name, tmp_path)
    assert failed == wanted


@pytest.mark.deep
@pytest.mark.parametrize("name", HIT)
def test_every_drill_fails_without_its_faults(name: str, tmp_path: Path) -> None:
    # RC-08
    wanted, failed = refused_without(name, tmp_path)
    assert failed == wanted
