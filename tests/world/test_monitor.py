"""The monitor on runs with outages: what a scenario says of it, the measures, and that it changes nothing."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.world.stage import HOUR, MINUTE, Stage, tiny
from tests.world.test_interface_figures import CHANGES
from tests.world.test_marketplace import market
from twin.log import read_entries, read_manifest
from twin.measures import Facts, compute, compute_facts
from twin.observability import alerts_of
from twin.run import Run, Twin
from twin.scenario import Scenario, ScenarioError
from twin.scenario.merging import merge_plain

MONITOR: dict[str, Any] = {
    "every": "1m",
    "alerts": [
        {"id": "errors", "kind": "error_rate", "above": "50%", "over": "5m", "calls": 3, "delay": "2m"},
        {"id": "stuck", "kind": "queue_age", "gateway": "warehouse/*", "above": "4m"},
    ],
}

# Without an outage hardly a call takes so long that it is given up.
QUIET = merge_plain(CHANGES, {"interfaces": [{"id": "wms", "service": "5s"}]})


def watched(**monitor: Any) -> Scenario:
    return tiny(merge_plain(QUIET, {"monitor": {**MONITOR, **monitor}}))


def began_at(run: Run) -> list[int]:
    """When the two outages began."""
    start = run.manifest.start_ms
    return [start + 180 * MINUTE, start + 360 * MINUTE]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Twin(watched()).run(out=tmp_path_factory.mktemp("monitor") / "run")


def found(run: Run) -> list[tuple[str, str, int]]:
    """Rule, gateway, and minutes after the beginning of its outage."""
    manifest = run.manifest
    assert manifest.monitoring is not None
    alerts = alerts_of(read_entries(run.folder), manifest.monitoring, manifest.start_ms, manifest.end_ms)
    begins = dict(zip(("warehouse/main", "erp"), began_at(run), strict=True))
    return [(one.rule, one.gateway, (one.raised_at - begins[one.gateway]) // MINUTE) for one in alerts]


def test_both_outages_are_alerted_on_their_gateway(run: Run) -> None:  # OB-05
    alerts = found(run)
    assert {gateway for _, gateway, _ in alerts} == {"warehouse/main", "erp"}
    assert all(0 < minutes < 40 for _, _, minutes in alerts)


def test_the_measures_say_how_soon_and_what_was_missed(run: Run) -> None:
    measures = run.measures
    first: dict[str, int] = {}
    for _, gateway, minutes in found(run):
        first.setdefault(gateway, minutes * MINUTE)
    assert measures["time_to_detect"].value == Fraction(sum(first.values()), 2)
    assert measures["time_to_detect/max"].value == max(first.values())
    assert measures["missed_faults"].value == measures["false_alarms"].value == 0
    assert measures["missed_faults"].note == "of 2"
    assert measures["alerts"].value == len(found(run))
    assert measures["alerts/alert=stuck"].value == sum(rule == "stuck" for rule, _, _ in found(run))


def test_a_monitor_that_is_blind_detects_later_or_not_at_all(tmp_path: Path, run: Run) -> None:  # OB-05
    late = Twin(watched(blind=[{"from": "2h", "for": "75m"}])).run(out=tmp_path / "late")
    never = Twin(watched(blind=[{"from": "2h", "for": "20h"}])).run(out=tmp_path / "never")
    assert late.measures["time_to_detect/max"].value > run.measures["time_to_detect/max"].value
    assert late.measures["missed_faults"].value == 0
    assert never.measures["missed_faults"].value == 2
    assert never.measures["time_to_detect"].value is None


def test_what_hits_nothing_is_not_missed(tmp_path: Path) -> None:  # OB-07
    nothing = {"kind": "loss", "interface": "wms", "probability": "0%", "from": "1h", "for": "1h"}
    spike = {"kind": "demand_spike", "channel": "web", "by": "5%", "from": "1h", "for": "1h"}
    scenario = watched()
    struck = scenario.with_changes({"faults": [*scenario.plain()["faults"], nothing], "disruptions": [spike]})
    measures = Twin(struck).run(out=tmp_path / "nothing").measures
    assert (measures["missed_faults"].value, measures["missed_faults"].note) == (0, "of 2")


def test_rules_that_look_at_noise_raise_false_alarms(tmp_path: Path) -> None:  # OB-07
    noisy = Twin(watched(alerts=[{"id": "busy", "kind": "open_deliveries", "above": 0}])).run(out=tmp_path / "noisy")
    measures = noisy.measures
    assert measures["false_alarms"].value > 10
    assert measures["false_alarms/per_day"].value == measures["false_alarms"].value
    assert measures["missed_faults"].value == 0


def test_watching_changes_nothing_in_the_run(run: Run, tmp_path: Path) -> None:
    alone = Twin(tiny(QUIET)).run(out=tmp_path / "alone")
    assert (alone.digest, alone.manifest.truth_digest) == (run.digest, run.manifest.truth_digest)
    assert alone.manifest.monitoring is None
    assert not [name for name in alone.measures if "alert" in name or "detect" in name or "missed" in name]
    # What was watched is in the manifest: the folder alone gives the same again.
    assert compute(run.folder) == run.measures
    assert read_manifest(run.folder).monitoring == run.manifest.monitoring


def test_an_alert_on_a_partner_whose_answer_nobody_awaits_is_refused() -> None:
    changes = {"monitor": MONITOR, "policies": {"delivery": {"warehouse": {"acknowledge": False}}}}
    with pytest.raises(ScenarioError, match="nobody waits for an answer of warehouse"):
        tiny(changes)


@pytest.mark.parametrize(
    ("monitor", "message"),
    [
        ({"alerts": []}, "monitor.alerts: the list is empty"),
        ({"alerts": [{"id": "a", "kind": "dead_letters", "gateway": "depot/*"}]}, "unknown partner 'depot/*'"),
        ({"alerts": [{"id": "a", "kind": "mood", "above": 1}]}, "mood"),
        ({"alerts": [{"id": "a", "kind": "error_rate", "above": "100%", "over": "1m"}]}, "no share is above 100%"),
        ({"alerts": [{"id": "a", "kind": "error_rate", "above": "1%", "over": "0s"}]}, "more than 0s"),
        ({"alerts": [{"id": "a", "kind": "dead_letters"}, {"id": "a", "kind": "dead_letters"}]}, "duplicate id 'a'"),
        ({"every": "0s"}, "every 0s is too often"),
        ({"blind": [{"from": "2d", "for": "1h"}]}, "it would have no effect"),
    ],
)
def test_a_monitor_that_makes_no_sense_is_refused(monitor: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        watched(**monitor)
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("delivery", [{}, {"carrier": {"supervise": {"after": "1h"}, "acknowledge": False}}])
def test_an_alert_on_a_carrier_that_can_never_be_raised_is_refused(delivery: dict[str, Any]) -> None:
    alert = {"id": "van", "kind": "open_deliveries", "gateway": "carrier/van", "above": 1}
    with pytest.raises(ScenarioError, match="so nothing is ever open or fails there"):
        tiny({"monitor": {"alerts": [alert]}, "policies": {"delivery": delivery}})


def test_carriers_that_are_supervised_and_marketplaces_are_watched() -> None:
    # OB-05
    alert = {"id": "slow", "kind": "open_deliveries", "above": 1}
    supervised = {"delivery": {"carrier": {"supervise": {"after": "1h"}}}}
    watched = tiny({"monitor": {"alerts": [{**alert, "gateway": "carrier/van"}]}, "policies": supervised})
    assert watched.monitor is not None
    assert market(monitor={"alerts": [{**alert, "gateway": "marketplace/market"}]}).monitor is not None


def test_what_faults_and_disruptions_hit_is_counted_by_id_and_a_fault_that_hit_nothing_counts_none() -> None:
    # RC-08, OB-07
    down = {"kind": "outage", "interface": "wms", "from": "0s", "for": "3m"}
    closed = {"id": "flood", "kind": "warehouse_closed", "warehouse": "main", "from": "1h", "for": "2h"}
    faults = [down, {**down, "id": "spared", "from": "5h"}]
    stage = Stage(tiny({"interfaces": CHANGES["interfaces"][:1], "faults": faults, "disruptions": [closed]}))
    for number in range(3):
        stage.order(f"o{number}", at=MINUTE)
    stage.run(6 * HOUR)
    start = stage.scenario.run.start
    found = compute_facts(Facts.collect(stage.log.entries, start, start + 6 * HOUR, trace=True), stage.truth.rows)
    hit = sum(row.type == "fault.hit" for row in stage.truth.rows)
    assert hit >= 3
    counted = {name: one.value for name, one in found.items() if name.startswith("faults_hit")}
    assert counted == {
        "faults_hit": hit + 1,
        "faults_hit/fault=outage:wms": hit,
        "faults_hit/fault=spared": 0,
        "faults_hit/fault=flood": 1,
    }


def test_where_nothing_befell_anything_there_is_no_count_of_it() -> None:
    stage = Stage(tiny({"interfaces": CHANGES["interfaces"][:1]}))
    stage.order("o")
    stage.run(HOUR)
    start = stage.scenario.run.start
    found = compute_facts(Facts.collect(stage.log.entries, start, start + HOUR, trace=True), stage.truth.rows)
    assert not [name for name in found if name.startswith("faults_hit")]
