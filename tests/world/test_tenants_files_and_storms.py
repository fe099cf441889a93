"""Faults of one tenant, files that end before their end, redrive storms, and people who stop a batch job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.world.faulty import fault, faulty, hits, story
from tests.world.stage import DAY, HOUR, MINUTE, SECOND, Stage
from tests.world.test_interface_styles import shipped, wms
from twin.codec import encode_entry
from twin.core.events import DeliveryDeadLettered, DeliveryRedriven, InterventionBegan
from twin.run import RunRefused, Simulation, load, resume
from twin.scenario import Scenario, ScenarioError
from twin.scenario import load as load_scenario

DRILLS = Path(__file__).resolve().parents[2] / "scenarios" / "drills"


def drill(name: str, **changes: Any) -> Scenario:
    return load_scenario(DRILLS / f"{name}.yaml").with_changes(changes)


def run(scenario: Scenario, days: int = 14) -> Stage:
    stage = Stage(scenario)
    stage.run(days * DAY)
    return stage


def entries(stage: Stage) -> list[bytes]:
    return [encode_entry(entry) for entry in stage.log.entries]


# --- one tenant


def test_a_fault_of_one_tenant_hits_its_orders_and_no_others() -> None:  # IM-09
    stage = run(drill("one_tenant"))
    about = [key.split("/")[1 if key.startswith("INV/") else 0].split("-")[0] for key, _, _ in hits(stage)]
    assert set(about) == {"web"}
    assert len(about) > 50


@pytest.mark.parametrize("kind", ["loss", "duplicate"])
def test_replies_about_one_tenants_orders_are_hit_whoever_sends_them(kind: str) -> None:
    where = [{"id": "van.status", "to": "carrier/van"}]
    spec = {"kind": kind, "interface": "van.status", "direction": "reply", "tenant": "desk", "for": "2d"}
    stage = run(drill("calls_lost", interfaces=where, faults=[spec]))
    touched = {key.split("/")[0].split("-")[0] for key, _, detail in hits(stage) if "van.status" in detail}
    assert touched == {"desk"}


def test_a_fault_of_a_tenant_without_orders_leaves_the_entries_byte_identical_and_one_with_orders_does_not() -> None:
    # IM-09
    fair = {"id": "fair", "style": "ecommerce", "requested": "2d", "demand": {"kind": "none"}}
    plain = drill("base", channels=[fair])
    quiet = entries(run(plain))
    spec = {"kind": "error", "interface": "*", "from": "8h", "for": "1d"}
    assert entries(run(plain.with_changes({"faults": [{**spec, "tenant": "fair"}]}))) == quiet
    assert entries(run(plain.with_changes({"faults": [{**spec, "tenant": "web"}]}))) != quiet


# --- files that end before their end


def test_what_stands_behind_the_cut_of_a_file_is_missing() -> None:  # IM-07
    spec = fault("partial_file", interface="wms", lasts="20m", probability="100%", missing="tail")
    stage = Stage(wms(spec, style="batch", batch={"every": "15m"}))
    for number in range(20):
        stage.order(f"o{number:02}", at=SECOND + number)
    stage.run(16 * MINUTE)
    came = [name for name, _ in shipped(stage)]
    missing = [key.split("/")[0] for key, _, _ in hits(stage)]
    assert 0 < len(missing) < 20
    assert came + missing == [f"o{number:02}" for number in range(20)]
    stage.run(DAY)
    assert len(shipped(stage)) == 20
    stage.check_books()


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"missing": "tail", "endpoint": "warehouse.*"}, "leave endpoint out"),
        ({"missing": "tail", "tenant": "web"}, "leave tenant out"),
        ({"missing": "head"}, "some"),
        ({"tenant": "shop"}, "unknown channel 'shop'"),
    ],
)
def test_a_cut_that_makes_no_sense_is_refused(more: dict[str, Any], text: str) -> None:
    with pytest.raises((ScenarioError, ValueError), match=text):
        wms(fault("partial_file", interface="wms", **more), style="batch", batch={"every": "15m"})


# --- storms


def test_a_storm_sends_dead_letters_again_until_it_is_over_or_they_are_done() -> None:  # RC-03
    outage = {"kind": "outage", "interface": "erp", "calls": "turned_away", "from": "6h", "for": "6h"}
    storm = {"kind": "redrive_storm", "interface": "erp", "every": "10m", "from": "8h", "for": "5h"}
    lone = {"delivery": {"default": {"retries": {"max": 0}, "breaker": "none", "drain": "none"}}}
    calm, stormy = [run(drill("base", policies=lone, faults=faults), days=1) for faults in ([outage], [outage, storm])]
    dead = [event.delivery for _, event in calm.events(DeliveryDeadLettered)]
    assert set(calm.state.dead_letters) == set(dead)
    assert len(dead) > 20
    again = stormy.events(DeliveryRedriven)
    assert {event.actor for _, event in again} == {"a tool that redrives"}
    assert min(at for at, _ in again) >= 8 * HOUR
    assert max(at for at, _ in again) <= 13 * HOUR
    # Four hours of rounds in vain for what failed before the storm, then one that goes well.
    rounds = [event.delivery for _, event in again].count(dead[0])
    assert rounds == 25
    assert not stormy.state.dead_letters
    assert {key for key, _, detail in hits(stormy) if "storm" in detail} == {event.delivery for _, event in again}


def test_a_storm_that_comes_and_goes_has_one_round_at_a_time() -> None:  # RC-03
    def rounds(every: str) -> tuple[list[int], list[int]]:
        poison = {"kind": "poison", "interface": "ledger", "probability": "100%"}
        storm = {"kind": "redrive_storm", "interface": "ledger", "every": every, "from": "8h", "for": "2h"}
        turns = {"markov": {"up": "5s", "down": "20s"}}
        lone = {"delivery": {"erp": {"retries": {"max": 0}}}}
        stage = story(faulty(poison, storm | turns, policies=lone))
        stage.run(12 * HOUR)
        began = [stage.since_start(row.at) for row in stage.rows("fault.began") if "storm" in row.detail]
        return began, sorted({at for at, _ in stage.events(DeliveryRedriven)})

    began, sent = rounds("60s")
    assert began == [8 * HOUR + 5 * SECOND + number * 25 * SECOND for number in range(288)]
    # Each time it is over before its second round.
    assert sent == [at + 1 for at in began]
    # How often it sends moves nothing of when it comes.
    again, more = rounds("10s")
    assert again == began
    assert sent == more[::2]
    assert len(more) == 2 * len(sent)


@pytest.mark.parametrize("size", [{"probability": "0%"}, {"for": "0s"}, {"endpoint": "supplier.*", "interface": "*"}])
def test_a_storm_of_size_zero_leaves_the_entries_byte_identical(size: dict[str, Any]) -> None:
    outage = {"kind": "outage", "interface": "erp", "calls": "turned_away", "from": "6h", "for": "6h"}
    storm = {"kind": "redrive_storm", "interface": "erp", "from": "8h", "for": "5h", **size}
    lone = {"delivery": {"default": {"retries": {"max": 0}, "breaker": "none", "drain": "none"}}}
    calm, stormy = [run(drill("base", policies=lone, faults=faults), days=1) for faults in ([outage], [outage, storm])]
    assert calm.state.dead_letters
    assert entries(calm) == entries(stormy)


def test_a_storm_where_nobody_waits_for_answers_is_refused() -> None:
    silent = {"delivery": {"erp": {"acknowledge": False}, "default": {"pool": "none"}}}
    storm = {"kind": "redrive_storm", "interface": "ledger", "for": "5h"}
    with pytest.raises((ScenarioError, ValueError), match="without answers there are no dead letters"):
        load_scenario(DRILLS.parent / "minimal.yaml").with_changes(
            {"policies": silent, "interfaces": [{"id": "ledger", "to": "erp"}], "faults": [storm]}
        )


# --- people


def test_a_batch_job_that_somebody_stopped_sends_nothing_and_later_all_of_it() -> None:  # RC-18
    pause = {"id": "stop", "kind": "pause_batch", "interface": "wms", "at": "10m", "for": "40m"}
    scenario = wms(style="batch", batch={"every": "15m"}).with_changes({"interventions": [pause]})
    stage = Stage(scenario)
    for minute in (1, 16, 31, 46, 61):
        stage.order(f"o{minute}", at=minute * MINUTE)
    stage.run(DAY)
    assert shipped(stage) == [(f"o{m}", (75 if m == 61 else 60) * MINUTE) for m in (1, 16, 31, 46, 61)]
    assert [event.kind for _, event in stage.events(InterventionBegan)] == ["pause_batch"]
    stage.check_books()


def test_only_an_interface_that_sends_files_can_have_its_job_stopped() -> None:
    pause = {"kind": "pause_batch", "interface": "erp", "at": "10m"}
    with pytest.raises((ScenarioError, ValueError), match="'erp' sends no files; give one of style batch"):
        drill("base", interventions=[pause])


RESCUE = {"id": "rescue", "kind": "redrive", "by_hand": True, "actor": "ann", "cost": "80.00 EUR"}

STOP = {"id": "stop", "kind": "stop_ship", "at": "20h", "for": "1h"}


def by_hand(tmp_path: Path, asked: bool) -> str:
    scenario = drill("base", interventions=[RESCUE])
    simulation = Simulation.begin(scenario, 1, tmp_path / f"run-{asked}")
    simulation.advance(scenario.run.start + 12 * HOUR)
    if asked:
        simulation.intervene("rescue", "the carrier called")
    simulation.advance(scenario.run.start + DAY)
    log = simulation.log
    digest = log.digest.hex()
    simulation.close()
    return digest


def test_an_intervention_by_hand_begins_when_somebody_asks_and_says_why(tmp_path: Path) -> None:  # RC-18
    assert by_hand(tmp_path, asked=False) != by_hand(tmp_path, asked=True)
    from twin.log import read_entries

    told = [
        (entry.now - 1_763_337_600_000, event.actor, event.cause, event.cost_minor)
        for entry in read_entries(tmp_path / "run-True")
        for event in entry.events
        if isinstance(event, InterventionBegan)
    ]
    assert [(actor, cause, cost) for _, actor, cause, cost in told] == [("ann", "the carrier called", 8_000)]
    assert 12 * HOUR < told[0][0] <= 12 * HOUR + 10


def test_a_run_goes_on_from_a_snapshot_with_an_intervention_by_hand(tmp_path: Path) -> None:  # RC-18
    path = tmp_path / "by_hand.yaml"
    path.write_text(drill("base", interventions=[RESCUE, STOP], run={"drain": "3d"}).to_yaml(tmp_path))
    saved = tmp_path / "at-noon.snapshot"
    load(path).run(1, tmp_path / "first", until_ms=12 * HOUR, snapshot=saved)
    with pytest.raises(RunRefused, match=r"unknown intervention 'resuce'.*did you mean 'rescue'"):
        resume(saved, tmp_path / "wrong", interventions=[("resuce", "a slip of the pen")])
    with pytest.raises(RunRefused, match=r"'stop' begins by itself; give it by_hand: true"):
        resume(saved, tmp_path / "wrong", interventions=[("stop", "asked for in vain")])
    assert not (tmp_path / "wrong").exists()
    rest = resume(saved, tmp_path / "rest", interventions=[("rescue", "a call")])
    assert rest.measures["intervention_cost"].value == 8_000


@pytest.mark.parametrize("begins", [{}, {"at": "1h", "by_hand": True}, {"at": "1h", "when": {"tickets_above": 1}}])
def test_an_intervention_begins_in_one_way(begins: dict[str, Any]) -> None:
    with pytest.raises((ScenarioError, ValueError), match="give at, when or by_hand"):
        drill("base", interventions=[{"kind": "redrive", **begins}])


def test_none_lifts_nothing_in_the_default_and_says_what_silence_says() -> None:
    none = {"delivery": {"default": {"breaker": "none", "drain": "none", "hedge": "none"}}}
    minimal = load_scenario(DRILLS.parent / "minimal.yaml")
    assert minimal.with_changes({"policies": none}) == minimal
