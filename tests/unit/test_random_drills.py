"""Random schedules of faults: drawn alike everywhere, and failing where a control that they need is off."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import get_args

import pytest

from twin.cli.app import main
from twin.experiment.random_faults import DISRUPTIONS, KINDS, plan, random_drills, with_faults
from twin.scenario import Scenario, faults, load

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "scenarios" / "drills" / "base.yaml"
SAMPLE, FULL = 12, 500


@pytest.fixture(scope="module")
def base() -> Scenario:
    return load(BASE)


def seed_of_the_commit() -> int:
    """A new seed with every commit; 1 where there is no repository."""
    told = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return int(told.stdout[:8], 16) if told.returncode == 0 else 1


def test_a_schedule_hangs_on_its_seed_and_number_alone(base: Scenario) -> None:
    assert plan(base, 7, 3) == plan(base, 7, 3)
    assert plan(base, 7, 3).faults != plan(base, 7, 4).faults
    assert plan(base, 7, 3).faults != plan(base, 8, 3).faults
    plans = [plan(base, 7, number) for number in range(150)]
    # Records are mapped wrongly only where there are any.
    assert {fault["kind"] for one in plans for fault in one.faults} == set(KINDS) - {"bad_master_data"}
    assert {disruption["kind"] for one in plans for disruption in one.disruptions} == set(DISRUPTIONS)
    for number in range(20):
        one = plan(base, 7, number)
        assert 1 <= len(one.faults) + len(one.disruptions) <= 4
        struck = with_faults(base, one)
        assert (len(struck.faults), len(struck.disruptions)) == (len(one.faults), len(one.disruptions))


def test_no_two_schedules_share_the_seed_of_their_runs(base: Scenario) -> None:
    # A thousand schedules on, one seed had the luck of the next.
    drawn = [plan(base, seed, number).seed for seed in (1, 2, 3) for number in (0, 1, 2, 1_000, 2_000)]
    assert len(drawn) == len(dict.fromkeys(drawn))


def test_every_kind_of_fault_is_drawn_or_left_out_for_a_reason() -> None:
    ends_as_a_dead_letter = {"poison"}
    of_files_and_counts = {"late_file", "partial_file", "doubled_file", "stale_snapshot"}
    union, _ = get_args(faults.Fault)
    kinds = {get_args(kind.model_fields["kind"].annotation)[0] for kind in get_args(union)}
    assert kinds == set(KINDS) | ends_as_a_dead_letter | of_files_and_counts


def test_records_and_addresses_that_are_bad_come_to_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    # MD-02, RC-16
    for kind in [kind for kind in KINDS if kind not in ("bad_master_data", "bad_address")]:
        monkeypatch.delitem(KINDS, kind)
    records = load(BASE.with_name("records_lost.yaml")).with_changes({"faults": None})
    runs = random_drills(records, 8, 1)
    drawn = [fault for run in runs for fault in run.plan.faults]
    assert {fault["kind"] for fault in drawn} == {"bad_master_data", "bad_address"}
    assert not [run for run in runs if run.found]


def test_a_sample_of_random_schedules_breaks_nothing(base: Scenario) -> None:
    # RC-08, RC-16
    seed = seed_of_the_commit()
    print(f"random drills of seed {seed}")
    failed = [(run.plan, run.found[:3]) for run in random_drills(base, SAMPLE, seed) if run.found]
    assert not failed, f"twin fuzz scenarios/drills/base.yaml --seed {seed}"


@pytest.mark.deep
def test_five_hundred_random_schedules_break_nothing(base: Scenario) -> None:
    # RC-08, RC-16
    seed = seed_of_the_commit()
    print(f"random drills of seed {seed}")
    failed = [(run.plan, run.found[:3]) for run in random_drills(base, FULL, seed, workers=2) if run.found]
    assert not failed, f"twin fuzz scenarios/drills/base.yaml --seed {seed} --count {FULL}"


def test_a_counterpart_without_a_memory_is_found_out(base: Scenario) -> None:
    # RC-06
    interfaces = [{"id": interface.id, "dedupe": "off"} for interface in base.interfaces]
    forgetful = base.with_changes({"interfaces": interfaces})
    failed = [run for run in random_drills(forgetful, 12, 1) if run.found]
    assert failed
    assert not [run for run in random_drills(base, 12, 1) if run.found]


def test_the_command_tells_what_struck_and_what_failed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["fuzz", str(BASE), "--count", "3", "--seed", "4", "--quiet"]) == 0
    assert "all 3 schedules come to rest" in capsys.readouterr().out
    assert main(["fuzz", str(BASE), "--only", "2", "--seed", "4", "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "schedule 2 of seed 4: comes to rest" in told
    for fault in plan(load(BASE), 4, 2).faults:
        assert f"kind: {fault['kind']}" in told
    forgetful = tmp_path / "forgetful.yaml"
    dedupe = "".join(f"  - {{id: {interface.id}, dedupe: off}}\n" for interface in load(BASE).interfaces)
    forgetful.write_text(f"extends: {BASE}\ntitle: Forgetful\ninterfaces:\n{dedupe}")
    assert main(["fuzz", str(forgetful), "--count", "12", "--quiet"]) == 1
    told = capsys.readouterr().out
    assert "schedules fail" in told and f"twin fuzz {forgetful} --seed 1 --only" in told
    assert main(["fuzz", str(tmp_path / "none.yaml")]) == 2
