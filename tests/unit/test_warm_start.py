"""Warm starts: a fork that takes a change over goes on as a business would that had it from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from twin.experiment.experiment import Experiment
from twin.experiment.plan import Plan
from twin.experiment.tables import Results
from twin.experiment.trial import try_out
from twin.run import load
from twin.scenario import load as load_scenario

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "scenarios" / "drills" / "base.yaml"
MINIMAL = ROOT / "scenarios" / "minimal.yaml"
OUTAGE = {"faults": [{"kind": "outage", "interface": "wms.hamburg", "from": "1d9h", "for": "4h"}]}
CLOSED = {"disruptions": [{"kind": "warehouse_closed", "warehouse": "munich", "from": "1d6h", "for": "5h"}]}
SPIKE = {"disruptions": [{"kind": "demand_spike", "channel": "web", "by": "200%", "from": "1d6h", "for": "5h"}]}
TENANT = {"faults": [{**OUTAGE["faults"][0], "tenant": "web"}]}
STANDING = {
    "plant": {"kind": "supplier_closed", "supplier": "mill"},
    "carrier": {"kind": "carrier_closed", "carrier": "van"},
    "lane": {"kind": "lane_closed", "lane_from": "hamburg", "lane_to": "north"},
}
STRUCK = {
    "outage": OUTAGE,
    "closed": CLOSED,
    "spike": SPIKE,
    "tenant": TENANT,
    **{name: {"disruptions": [one | {"from": "1d2h", "for": "9h"}]} for name, one in STANDING.items()},
}
PICKERS = {"warehouses": [{"id": "main", "pickers": 3}]}


def experiment(scenario: Path, variants: dict[str, Any], **more: Any) -> Experiment:
    plain = {
        "experiment": 1,
        "title": "Warm",
        "scenarios": [str(scenario)],
        "variants": [{"id": name, "change": change} for name, change in variants.items()],
        "seeds": 2,
        "measures": ["order_to_ship"],
        "warm": {"for": "1d", "settle": "3h"},
    }
    return Experiment(Plan.of(plain | more))


@pytest.fixture(scope="module")
def drills(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, Results]:
    planned = experiment(BASE, {"base": {}, "again": {}, **STRUCK})
    return planned, planned.run(tmp_path_factory.mktemp("warm"))


def test_a_fork_goes_on_as_a_run_from_the_start_does(drills: tuple[Experiment, Results]) -> None:
    # Nothing of these variants comes before the fork, so that a cold run has the same history: calls and goods that
    # are under way then, and orders that are a tenant's.
    planned, results = drills
    cold = {(trial.variant, trial.seed): try_out(trial) for trial in planned.trials([1, 2])}
    assert len(results.outcomes) == len(cold) == 2 * (2 + len(STRUCK))
    for warm in results.outcomes:
        alone = cold[warm.variant, warm.seed]
        assert warm.digest == alone.digest, warm.variant
        assert warm.rows == tuple(
            type(row)(row.measure, row.kind, row.unit, *map(_stored, (row.numerator, row.denominator)), row.value)
            for row in alone.rows
        )
        assert warm.start == "warm 1d, settled 3h"


def _stored(value: Any) -> Any:
    return None if value is None else float(value)


def test_each_change_that_was_taken_over_has_an_effect(drills: tuple[Experiment, Results]) -> None:
    _, results = drills
    digests = {one.variant: one.digest for one in results.outcomes if one.seed == 1}
    assert digests["again"] == digests["base"]
    assert len(dict.fromkeys(digests.values())) == 1 + len(STRUCK)


def test_measures_begin_when_the_business_has_settled(drills: tuple[Experiment, Results], tmp_path: Path) -> None:
    _, results = drills
    later = load(BASE, {"run": {"warmup": "1d3h"}}).run(1, tmp_path / "run").measures["orders_captured"]
    whole = load(BASE).run(1, tmp_path / "whole").measures["orders_captured"]
    assert results.values("base", "base", "orders_captured")[1] == later.value
    assert later.value is not None and whole.value is not None and later.value < whole.value


def test_a_rule_is_changed_by_a_command_as_in_production(tmp_path: Path) -> None:
    change = {"policies": {"delivery": {"erp": {"timeout": "7s"}}}}
    planned = experiment(BASE, {"base": {}, "timeout": change}, seeds=1)
    base, changed = planned.run(tmp_path).outcomes
    assert changed.digest != base.digest
    assert changed.entries >= base.entries + 1


def test_supervision_that_is_switched_on_hears_of_what_was_said_before(tmp_path: Path) -> None:
    lost = {"kind": "loss", "interface": "wms.*", "direction": "reply", "endpoint": "*.confirm_shipment"}
    unasked = {"policies": {"delivery": {"default": {"supervise": None}}}, "expect": None}
    silent = load_scenario(BASE).with_changes(unasked | {"faults": [lost | {"probability": "40%", "for": "20h"}]})
    scenario = tmp_path / "silent.yaml"
    scenario.write_text(silent.to_yaml(tmp_path))
    asking = {"policies": {"delivery": {"default": {"supervise": {"after": "6h", "chases": 3}}}}}
    planned = experiment(scenario, {"base": {}, "asking": asking}, measures=["open_orders"], seeds=1)
    results = planned.run(tmp_path / "out")
    assert results.values("silent", "base", "open_orders")[1]
    assert results.values("silent", "asking", "open_orders")[1] == 0


def test_what_a_site_is_like_is_set_anew(tmp_path: Path) -> None:
    slow = {"warehouses": [{"id": "main", "pick_time": {"order": "25m"}}]}
    planned = experiment(
        MINIMAL, {"slow": slow, "more": {"warehouses": [slow["warehouses"][0] | PICKERS["warehouses"][0]]}}
    )
    results = planned.run(tmp_path)
    (found,) = results.differences()
    assert found.mean is not None and found.mean < -5 * 60_000


def test_forks_with_another_seed_from_one_state_are_called_conditional(tmp_path: Path) -> None:
    warm = {"for": "1d", "settle": "3h", "from_seed": 9}
    planned = experiment(MINIMAL, {"base": {}, "again": {}, "more": PICKERS}, warm=warm, seeds=3)
    results = planned.run(tmp_path)
    assert {one.start for one in results.outcomes} == {"conditional on seed 9, warm 1d, settled 3h"}
    assert len({one.digest for one in results.outcomes if one.variant == "base"}) == 3
    same = [one for one in results.differences() if one.variant == "again"]
    assert {one.mean for one in same} == {0}
    # With the state's own seed it is no other future.
    (own,) = experiment(MINIMAL, {"base": {}}, warm=warm, seeds=[9]).run(tmp_path / "own").outcomes
    (plain,) = experiment(MINIMAL, {"base": {}}, seeds=[9]).run(tmp_path / "plain").outcomes
    assert own.digest == plain.digest


def test_executors_agree_on_warm_starts(drills: tuple[Experiment, Results], tmp_path: Path) -> None:
    planned, results = drills
    planned.run(tmp_path, workers=2)
    assert (tmp_path / "results.parquet").read_bytes() == (results.folder / "results.parquet").read_bytes()


def test_a_fork_that_is_missing_is_made_again_by_itself(drills: tuple[Experiment, Results], tmp_path: Path) -> None:
    planned, results = drills
    planned.run(tmp_path)
    lost = next(one for one in results.outcomes if (one.variant, one.seed) == ("outage", 2))
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir() if path.stem != lost.key}
    (tmp_path / "runs" / f"{lost.key}.parquet").unlink()
    planned.run(tmp_path)
    assert (tmp_path / "results.parquet").read_bytes() == (results.folder / "results.parquet").read_bytes()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
