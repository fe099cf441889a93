"""Reading an experiment: what it may say, and what is told of a mistake in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from twin.cli.app import main
from twin.experiment.experiment import Experiment
from twin.experiment.plan import Plan, load_plan, reference_page
from twin.scenario import ScenarioError, load

ROOT = Path(__file__).resolve().parents[2]
MINIMAL = ROOT / "scenarios" / "minimal.yaml"
SHIPPED = sorted((ROOT / "scenarios" / "experiments").glob("*.yaml"))

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes an experiment on the least scenario with these further lines."""

    def written(more: str) -> Path:
        path = tmp_path / "plan.yaml"
        path.write_text(f"experiment: 1\ntitle: A case\nscenarios: [{MINIMAL}]\n{more}", encoding="utf-8")
        return path

    return written


def plan(**more: Any) -> Plan:
    plain = {"experiment": 1, "title": "A case", "scenarios": [str(MINIMAL)], "variants": [{"id": "base"}]}
    return Plan.of(plain | more)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_experiment_can_be_run(path: Path) -> None:
    assert list(Experiment.load(path).trials([1]))


def test_a_number_of_seeds_means_one_to_that_many() -> None:
    assert plan(seeds=3).seeds == (1, 2, 3)
    assert plan(seeds=[7, 2]).seeds == (7, 2)
    assert len(plan().seeds) == 10


def test_the_first_variant_is_the_base_unless_another_is_named() -> None:
    variants = [{"id": "a"}, {"id": "b"}]
    assert plan(variants=variants).base_id == "a"
    assert plan(variants=variants, base="b").base_id == "b"


def test_a_null_in_a_change_removes_what_the_scenario_says(write: Write) -> None:
    path = write("variants:\n  - {id: base}\n  - {id: none, change: {expect: null}}\n")
    base, none = (trial.scenario for trial in Experiment.load(path).trials([1]))
    assert base.expect and not none.expect


def test_scenarios_are_found_from_the_experiments_own_folder(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    (tmp_path / "Case.yaml").write_text(f"extends: {MINIMAL}\n", encoding="utf-8")
    path = folder / "plan.yaml"
    path.write_text("experiment: 1\ntitle: t\nscenarios: [../Case.yaml]\nvariants: [{id: base}]\n", encoding="utf-8")
    (trial,) = Experiment.load(path).trials([1])
    assert trial.scenario_id == "case"


@pytest.mark.parametrize(
    ("more", "place", "told"),
    [
        ("variants: [{id: base}]\nseed: 3\n", "5", "unknown key 'seed'"),
        ("variants:\n  - {id: base}\n  - {id: base}\n", "6", "two variants are called 'base'"),
        ("seeds: 3\n", "", "there are no variants"),
        ("variants: [{id: a}]\nbase: b\n", "5", "there is no variant 'b'; variants here: a"),
        ("variants: [{id: a}]\nconfidence: 200%\n", "5", "above 0% and below 100%"),
        ("variants: [{id: a}]\nseeds: [1, 1]\n", "5", "a seed stands twice"),
        ("variants: [{id: a}]\nseeds: 0\n", "5", "seeds: 0 runs nothing; give 1 or more (2 for an interval)"),
        ("variants: [{id: a}]\nseeds: -4\n", "5", "seeds: -4 runs nothing; give 1 or more (2 for an interval)"),
        ("variants: [{id: a}]\nmeasures: [otiff]\n", "5", "unknown measure 'otiff'"),
        ("variants: [{id: a}]\nmeasures: [lost_margin]\n", "5", "'lost_margin' compares two runs"),
        ("variants: [{id: a, change: {erpp: {}}}]\n", "4", "variant 'a': unknown key 'erpp'"),
        (
            "variants: [{id: a}]\nwarm: {for: 1d, settle: 1d}\n",
            "5",
            "warm: for and settle take 2d of the horizon of 2d",
        ),
        ("variants: [{id: a}]\nstop: {measure: margin, half_width: 1, seeds_max: 3}\n", "5", "seeds_max is below"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_nothing_is_run(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: str, place: str, told: str
) -> None:
    path = write(more)
    assert main(["experiment", str(path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert told in said
    if place:
        assert f"{path}:{place}: " in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_all_mistakes_are_told_at_once_each_by_its_line(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """EX-05: a value that is wrong by itself does not hide what does not fit together."""
    text = "variants:\n  - {id: a}\n  - {id: a}\nbase: nobody\nseeds: 0\nconfidence: 200%\n"
    path = write(text)
    assert main(["experiment", str(path), "--out", "none"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [row.removeprefix(f"{path}:").partition(": ")[0] for row in said] == ["6", "7", "8", "9"]
    # Where names themselves are wrong, none is told to be missing.
    path = write("variants:\n  - {id: A}\nbase: nobody\nseeds: 0\n")
    assert main(["experiment", str(path), "--out", "none"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and "nobody" not in "".join(said)
    # Measures, and scenarios under their variants, are told together.
    path = write("variants:\n  - {id: a, change: {erpp: {}}}\nmeasures: [otiff]\nwarm: {for: 1h, settle: 1h}\n")
    assert main(["experiment", str(path), "--out", "none"]) == 2
    said = "".join(capsys.readouterr().err)
    assert "unknown measure 'otiff'" in said and "unknown key 'erpp'" in said
    # A scenario and a variant may have one name, each twice.
    with pytest.raises(ScenarioError) as found:
        plan(scenarios=[{"id": "a", "path": "x"}] * 2, variants=[{"id": "a"}] * 2)
    assert [one.message.partition(": ")[0] for one in found.value.problems] == ["scenarios.1.id", "variants.1.id"]


@pytest.mark.parametrize("path", [MINIMAL, ROOT / "scenarios/drills/poison.yaml"], ids=lambda path: path.stem)
def test_a_scenario_that_is_given_as_an_experiment_is_one_message(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """EX-05"""
    assert main(["experiment", str(path), "--out", str(tmp_path / "out")]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert f"{path}:" in said and "this is a scenario, not an experiment" in said


@pytest.mark.parametrize("command", ["check", "validate"])
def test_an_experiment_that_is_given_as_a_scenario_is_one_message(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """EX-05"""
    path = SHIPPED[0]
    assert main([command, str(path)]) == 2
    said = capsys.readouterr().err
    assert said.count(str(path)) == 1 and "this is an experiment, not a scenario" in said
    # A file that claims to be a scenario is read as one, and told of the key that is none.
    with pytest.raises(ScenarioError, match="unknown key 'experiment'"):
        load(MINIMAL, {"experiment": 1})


def test_a_mistake_that_many_variants_share_is_told_once_by_the_line_that_makes_it(write: Write) -> None:  # EX-05
    path = write(
        "outages:\n"
        "  - id: erp\n"
        "    starts: [1h, 2h]\n"
        "    change: {faults: [{kind: outage, id: erp, interface: erp, from: $start, for: 1h}]}\n"
        "controls:\n"
        "  - id: more\n"
        "    cost_per_year: 1.00 USD\n"
        "    change:\n"
        "      warehouses:\n"
        "        - {id: main, pickrs: 2}\n"
    )
    with pytest.raises(ScenarioError) as caught:
        Experiment.load(path)
    assert [str(one).partition("; ")[0] for one in caught.value.problems] == [
        f"{path}:13: variant 'more': unknown key 'pickrs'",
        f"{path}:7: variant 'erp-1h': unknown interface 'erp'",
        f"{path}:10: controls: 'more' costs USD, and minimal counts in GBP",
    ]


def test_a_mistake_in_a_plan_built_in_python_is_told_with_its_path() -> None:
    with pytest.raises(ScenarioError, match="seeds: "):
        plan(seeds=0)


def test_what_a_warm_business_cannot_take_over_is_refused_before_anything_runs(write: Write) -> None:
    more = "warm: {for: 12h, settle: 1h}\nvariants:\n  - {id: base}\n  - {id: other, change: {%s}}\n"
    for change, told in (
        ("stock: [{warehouse: main, item: mug, on_hand: 9}]", "another opening stock of main"),
        ("warehouses: [{id: main, counting: {every: 1d}}]", "count_ms of warehouse/main"),
        ("run: {horizon: 3d}", "another time of the run"),
        ("carriers: [{id: van}, {id: bike}]", "the new carrier/bike"),
    ):
        with pytest.raises(ScenarioError, match=f"variant 'other' of minimal: .*{told}"):
            Experiment.load(write(more % change))


def test_an_executor_that_is_none_is_refused(write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("variants: [{id: base}]\n")
    assert load_plan(path).title == "A case"
    assert main(["experiment", str(path), "--out", str(tmp_path / "out"), "--executor", "ray"]) == 2
    assert "no executor 'ray'; give here, pool, or dask://HOST:PORT" in capsys.readouterr().err


def test_the_reference_page_of_experiments_is_the_one_the_models_make() -> None:
    page = (ROOT / "docs" / "experiment_file.md").read_text(encoding="utf-8")
    assert page == reference_page(), "run: python -m twin.experiment > docs/experiment_file.md"
