"""The business answers of an experiment: from runs whose accounts are made up, and from real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from twin.cli.app import main
from twin.experiment.answers import Answers, TooFew
from twin.experiment.experiment import Experiment
from twin.experiment.leakage import ACCOUNTS
from twin.experiment.plan import Plan
from twin.experiment.spread import cvar, quantile, spread_of, spread_of_clusters
from twin.experiment.statistics import t_interval
from twin.experiment.tables import Results
from twin.experiment.trial import Outcome, Row
from twin.experiment.workflows import WORKFLOWS, interfaces_of, outage_of
from twin.scenario import Scenario, ScenarioError, load

ROOT = Path(__file__).resolve().parents[2]
MINIMAL = ROOT / "scenarios" / "minimal.yaml"
REGIONAL = ROOT / "scenarios" / "base" / "regional_b2b.yaml"
DAY = 86_400_000
LEVEL = 950_000

INTERFACES = [{"id": "wms", "to": "warehouse/main"}, {"id": "erp", "to": "erp"}]
CLOSED = {"disruptions": [{"kind": "warehouse_closed", "warehouse": "main", "from": "$start", "for": "4h"}]}
PLAIN: dict[str, Any] = {
    "experiment": 1,
    "title": "A case",
    "scenarios": [str(MINIMAL)],
    "variants": [{"id": "base", "change": {"interfaces": INTERFACES}}],
    "outages": [{"id": "closed", "starts": ["1h", "2h"], "change": CLOSED}],
    "controls": [
        {"id": "hands", "cost_per_year": "730.00 GBP", "change": {"warehouses": [{"id": "main", "pickers": 2}]}}
    ],
    "workflows": {"for": "4h", "starts": ["1h", "2h"]},
    "seeds": 3,
}


def answers(lost: Callable[[str, int], int], **more: Any) -> Answers:
    """The answers where a run's penalty is what `lost` says of its variant and seed, and nothing else differs."""
    experiment = Experiment.of(PLAIN | more)
    outcomes = []
    for (scenario, variant), _ in experiment.scenarios.items():
        for seed in experiment.plan.seeds:
            books = dict.fromkeys(ACCOUNTS, 0)
            books["revenue"] = books["billed_value"] = books["shipped_value"] = 1_000_000 + seed
            books["penalty"] = lost(variant, seed)
            books["margin"] = books["revenue"] - books["penalty"]
            rows = tuple(Row(name, "L", "minor", None, None, value) for name, value in books.items())
            outcomes.append(Outcome("", scenario, variant, seed, "", "", 1, rows, 0.0, "cold"))
    base = experiment.scenarios["minimal", "base"]
    return Answers(Results(experiment.plan, outcomes, Path()), "minimal", base)


# --- what is run


def test_outages_and_controls_make_a_variant_for_every_start_with_and_without_each_control() -> None:
    plan = Plan.of(PLAIN)
    assert [one.id for one in plan.all_variants] == [
        *("base", "hands", "closed-1h", "closed-1h-hands", "closed-2h", "closed-2h-hands")
    ]
    both = Experiment(plan).scenarios["minimal", "closed-2h-hands"]
    assert both.warehouses[0].pickers == 2
    assert [one.from_ for one in both.disruptions] == [DAY // 12]
    assert [one.id for one in both.interfaces] == ["wms", "erp"], "what the base changes holds in every case"


def test_an_experiment_of_outages_alone_has_the_scenario_itself_as_its_base() -> None:
    plan = Plan.of(PLAIN | {"variants": [], "controls": [], "workflows": None})
    assert (plan.base_id, plan.all_variants[0].change) == ("undisturbed", {})


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"outages": [PLAIN["outages"][0] | {"change": {"run": {"drain": "5d"}}}]}, "the change has no \\$start"),
        ({"outages": [PLAIN["outages"][0] | {"starts": ["1h", "60m"]}]}, "starts: 1h stands twice"),
        (
            {"controls": [PLAIN["controls"][0] | {"cost_per_year": "9.00 EUR"}]},
            "'hands' costs EUR, and minimal",
        ),
        ({"outages": [], "workflows": None}, "controls: there is nothing to do anything about"),
        ({"workflows": {"for": "0s", "starts": ["1h"]}}, "nothing stands still for 0s"),
        ({"workflows": {"for": "1h", "starts": []}}, "workflows.starts"),
        ({"variants": [{"id": "base"}, {"id": "closed-1h"}]}, "two variants are called 'closed-1h'"),
        ({"controls": [PLAIN["controls"][0] | {"id": "closed"}]}, "variants are called 'closed'"),
        (
            {"controls": [PLAIN["controls"][0] | {"change": {"run": {"horizon": "1d"}}}]},
            "'hands' cannot change the run",
        ),
    ],
)
def test_what_could_not_be_answered_is_refused_before_it_is_run(more: dict[str, Any], told: str) -> None:
    with pytest.raises(ScenarioError, match=told):
        Experiment.of(PLAIN | more)


def test_a_variant_with_the_name_of_a_workflow_is_refused() -> None:
    outage = PLAIN["outages"][0] | {"id": "invoice_status"}
    with pytest.raises(ScenarioError, match="two variants are called 'invoice_status-1h'"):
        Experiment.of(PLAIN | {"outages": [outage]})


def test_an_outage_that_takes_the_scenarios_own_troubles_away_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    closed = "{kind: warehouse_closed, warehouse: main, from: 3h, for: 1h}"
    own.write_text(f"extends: {ROOT / 'scenarios/minimal.yaml'}\ndisruptions: [{closed}]\n")
    with pytest.raises(ScenarioError, match="'closed' replaces the disruptions of own; give each of both an id"):
        Experiment.of(PLAIN | {"scenarios": [str(own)], "workflows": None})


def served(scenario: Scenario) -> dict[str, list[str]]:
    return {
        one.id: [name for messages in one.messages for name in interfaces_of(scenario, messages)] for one in WORKFLOWS
    }


def test_each_of_the_five_workflows_stands_still_at_the_interfaces_that_serve_it() -> None:  # EX-01
    carriers = {"interfaces": [{"id": "tms", "to": "carrier/fleet"}]}
    found = served(load(REGIONAL, carriers))
    wms = ["wms.central", "wms.harbour"]
    suppliers = ["portal.boltworks", "edi.toolmaker", "portal.tradehouse"]
    assert found == {
        "order_promising": wms,
        "replenishment": [*suppliers, *suppliers, *wms],
        "warehouse_release": [*wms, *wms],
        "shipment_visibility": ["tms"],
        "invoice_status": ["erp", "erp"],
    }
    assert served(load(REGIONAL))["shipment_visibility"] == []


def test_the_faults_of_every_workflow_are_accepted_by_the_scenario_they_are_made_for() -> None:
    scenario = load(REGIONAL, {"interfaces": [{"id": "tms", "to": "carrier/fleet"}]})
    for workflow in WORKFLOWS:
        faults = outage_of(scenario, workflow, DAY, DAY)
        assert len(scenario.with_changes({"faults": faults}).faults) == len(faults) > 0


def test_a_workflow_adds_its_faults_to_those_that_are_there() -> None:
    fault = {"kind": "latency", "interface": "erp", "delay": {"kind": "fixed", "value": "1s"}}
    variants = [{"id": "base", "change": {"interfaces": INTERFACES, "faults": [fault]}}]
    scenario = Experiment.of(PLAIN | {"variants": variants}).scenarios["minimal", "invoice_status-1h"]
    assert [one.kind for one in scenario.faults] == ["latency", "outage", "outage"]


# --- what is answered


def in_euro(variant: str, seed: int) -> int:
    """Cents: an outage loses 30 euro and the seed at one start and 10 at the other; hands avoid 20 and cost 2."""
    loss = {"closed-1h": 3_000 + 100 * seed, "closed-2h": 1_000}
    loss |= {"hands": 200, "closed-1h-hands": 1_200 + 100 * seed, "closed-2h-hands": -800}
    loss |= {"warehouse_release-1h": 5_000, "warehouse_release-2h": 5_000 + seed}
    loss |= {"invoice_status-1h": 40 * seed, "invoice_status-2h": 0}
    return loss.get(variant, 0)


def test_the_loss_of_an_outage_is_taken_over_its_starts_and_its_interval_over_the_seeds() -> None:  # KP-05
    first, second = answers(in_euro).risks()
    assert (first.outage, second.outage) == ("closed", "closed with hands")
    assert first.mean == t_interval([2_050, 2_100, 2_150], LEVEL)
    assert (first.starts, first.spread.count, first.spread.quantiles[95].value) == (2, 6, None)
    many = answers(in_euro, seeds=10).risks()[0]
    assert (many.spread.quantiles[50].value, many.spread.quantiles[95].value) == (1_000, 3_900)


def test_the_waterfall_of_an_outage_leads_to_what_its_runs_report() -> None:  # KP-03
    found = answers(in_euro).leakage()["closed"]
    assert (found.start_minor, found.end_minor, found.lost_minor) == (1_000_002, 997_902, 2_100)
    assert {step.cause: step.amount_minor for step in found.steps if step.amount_minor} == {"late": -2_100}


def test_a_control_is_charged_with_its_own_cost_and_with_what_it_takes_from_the_undisturbed_business() -> None:  # KP-04
    asked = answers(in_euro)
    (found,) = asked.pays()
    run = asked.base.run
    quiet = Fraction(200) * 365 * DAY / (run.demand_end - run.start - run.warmup)
    assert found.own_minor == 73_000
    assert found.found.yearly_cost.mean == 73_000 + quiet
    # An outage loses 1,000 to 3,300 without it; 1,800 less with it, and it costs 200 in every run, outage or not.
    assert found.found.avoided.mean == 1_800 + 200
    assert found.found.outages == (73_000 + quiet) / 2_000


def test_workflows_are_ranked_by_what_their_standing_still_loses() -> None:  # EX-01
    first, second, *rest = answers(in_euro).ranking()
    assert (first.workflow, first.loss) == ("warehouse_release", t_interval([5_000.5, 5_001, 5_001.5], LEVEL))
    assert (second.workflow, second.loss) == ("invoice_status", t_interval([20, 40, 60], LEVEL))
    assert first.stands and first.interfaces == ("wms",)
    assert [one.workflow for one in rest] == ["order_promising", "replenishment", "shipment_visibility"]
    assert [one.loss for one in rest[2:]] == [None], "no carrier has an interface here"


def test_an_outage_that_changes_nothing_costs_exactly_nothing() -> None:
    asked = answers(lambda variant, seed: 7 * seed)
    assert [one.mean.mean for one in asked.risks()] == [0, 0]
    assert {step.lost_minor for step in asked.leakage().values()} == {0}
    assert asked.pays()[0].found.verdict == "never pays"
    assert not any(one.stands for one in asked.ranking())
    assert not any(one.differs for found in asked.kpis().values() for one in found)


def test_two_outages_of_the_same_loss_are_not_told_apart() -> None:
    same = answers(lambda variant, seed: 10 * seed if "_" in variant else 0).ranking()
    assert [one.stands for one in same if one.loss is not None][:-1] == [False, False, False]


def test_a_seed_whose_engine_stopped_under_a_variant_is_in_no_answer() -> None:
    asked = answers(in_euro)
    outcomes = list(asked.results.outcomes)
    last = outcomes[-1]
    named = (last.key, last.scenario_id, last.variant, last.seed)
    outcomes[-1] = Outcome(*named, "", "", 0, (), 0.0, "cold", "the engine stopped")
    broken = Answers(Results(asked.results.plan, outcomes, Path()), "minimal", asked.base)
    assert broken.seeds == [1, 2]
    assert broken.risks()[0].mean == t_interval([2_050, 2_100], LEVEL)


def test_an_experiment_without_outages_is_refused() -> None:
    with pytest.raises(TooFew, match="no outages and no workflows"):
        Answers.check(Plan.of(PLAIN | {"outages": [], "controls": [], "workflows": None}))
    with pytest.raises(TooFew, match="at least 2 seeds"):
        Answers.check(Plan.of(PLAIN | {"seeds": 1}))


# --- the spread of losses that belong together


def test_the_quantiles_of_clusters_are_those_of_all_their_values() -> None:
    rows = [[10 * seed + start for start in range(4)] for seed in range(10)]
    flat = [float(value) for row in rows for value in row]
    found = spread_of_clusters(rows, LEVEL)
    assert found.count == 40
    assert found.quantiles[95].value == quantile(flat, 95)
    assert found.cvar is not None and found.cvar.value == cvar(flat)


def test_values_that_move_together_are_no_more_replications_than_there_are_rows() -> None:
    seeds = [[value] * 10 for value in (1, 5, 2, 9, 4, 7, 3, 8)]
    rows = spread_of_clusters(seeds, LEVEL).quantiles[50]
    alone = spread_of([value for row in seeds for value in row], "low", LEVEL).quantiles[50]
    assert rows.low is not None and rows.high is not None and alone.low is not None and alone.high is not None
    assert rows.high - rows.low > 1.5 * (alone.high - alone.low)


# --- the command


def test_the_command_shows_every_answer_in_80_columns_and_the_same_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        f"""\
experiment: 1
title: A case
scenarios: [{MINIMAL}]
variants:
  - {{id: base, change: {{costs: {{late: 5%}}, interfaces: {json.dumps(INTERFACES)}}}}}
outages: [{{id: closed, starts: [9h], change: {json.dumps(CLOSED)}}}]
controls:
  - {{id: hands, cost_per_year: 730.00 GBP, change: {{warehouses: [{{id: main, pickers: 2}}]}}}}
workflows: {{for: 1d, starts: [9h]}}
seeds: 2
""",
        encoding="utf-8",
    )
    command = ["answers", str(plan), "--out", str(tmp_path / "out"), "--quiet"]
    assert main([*command, "--all"]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    for title in ("closed, less the", "where the money goes", "CVaR 95 %", "a year on it pays", "by avoidable loss"):
        assert title in said
    assert main([*command, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["scenarios"]
    for steps in found["leakage"].values():
        assert (
            steps["undisturbed_minor"] + sum(step["amount_minor"] for step in steps["steps"])
            == (steps["disturbed_minor"])
        )
    assert [one["control"] for one in found["break_even"]] == ["hands"]
    assert len(found["workflows"]) == len(WORKFLOWS)
    assert {one["measure"] for one in found["measures"]["closed"]} >= {"order_fallout", "reporting_consistency"}


def test_the_command_refuses_an_experiment_that_answers_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = ROOT / "scenarios" / "experiments" / "pickers.yaml"
    assert main(["answers", str(plan), "--out", str(tmp_path / "out")]) == 2
    assert f"{plan}:3: the experiment has no outages and no workflows" in capsys.readouterr().err
    one = tmp_path / "one.yaml"
    one.write_text(
        f"experiment: 1\ntitle: One\nscenarios: [{MINIMAL}]\nseeds: 1\nworkflows: {{for: 1d, starts: [9h]}}\n"
    )
    assert main(["answers", str(one), "--out", str(tmp_path / "out")]) == 2
    assert f"{one}:4: one seed has no interval" in capsys.readouterr().err


def test_a_mistake_that_two_variants_make_in_python_is_told_of_both() -> None:
    variants = [{"id": "base"}, *({"id": name, "change": {"nonsense": 1}} for name in ("a", "b"))]
    with pytest.raises(ScenarioError) as caught:
        Experiment.of(PLAIN | {"variants": variants})
    told = str(caught.value)
    assert "variant 'a': nonsense: unknown key" in told
    assert "variant 'b': nonsense: unknown key" in told
