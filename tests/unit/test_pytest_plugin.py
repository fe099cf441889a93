"""The pytest plugin: scenario files are tests, and a fixture runs scenarios."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRILL = ROOT / "scenarios/drills/outage_portal.yaml"

pytest_plugins = ["pytester"]


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with a scenario that holds, one that does not, one that is wrong, and a file that is none."""
    pytester.makeini("[pytest]\ntwin_scenarios = scenarios/*.yaml\n")
    folder = pytester.mkdir("scenarios")
    head = f"extends: {DRILL}\n"
    (folder / "good.yaml").write_text(head)
    bound = "expect:\n  - {kind: measure, name: otif_to_request, at_most: 0}\n"
    (folder / "bad.yaml").write_text(head + bound)
    (folder / "wrong.yaml").write_text(head + "titel: x\n")
    (pytester.path / "other.yaml").write_text("no: scenario\n")
    return pytester


def run(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    # Installed anew or not: the plugin is taken by its module, not as the entry point that it is.
    plugins = ("no:ordertwin", "twin.pytest_plugin", "no:cacheprovider")
    named = [word for plugin in plugins for word in ("-p", plugin)]
    # SciPy cannot be loaded a second time in one process, and pytester forgets what was loaded in a run.
    return project.runpytest_subprocess(*named, *options)


def test_each_scenario_file_is_a_test_that_says_what_does_not_hold(project: pytest.Pytester) -> None:
    result = run(project)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*otif_to_request: expected at most 0, found *", "*titel*"])
    assert "Traceback" not in result.stdout.str()


def test_the_marker_selects_scenarios(project: pytest.Pytester) -> None:
    project.makepyfile("def test_nothing(): pass")
    run(project, "-m", "not scenario").assert_outcomes(passed=1, deselected=3)
    run(project, "-m", "scenario", "scenarios/good.yaml").assert_outcomes(passed=1)


def test_a_scenario_is_compared_with_a_baseline(project: pytest.Pytester) -> None:
    from twin.experiment.baselines import Baseline, Kept, measure_baseline, write_baseline

    made = measure_baseline(["scenarios/good.yaml"], 3)
    write_baseline(project.path / "same.jsonl", made)
    better = {seed: Kept((one.value or 0) + 1, "") for seed, one in made.runs["scenarios/good.yaml"].items()}
    write_baseline(project.path / "better.jsonl", Baseline(made.measure, {"scenarios/good.yaml": better}))
    only = "scenarios/good.yaml"
    run(project, "--twin-against", "same.jsonl", only).assert_outcomes(passed=1)
    lost = run(project, "--twin-against", "better.jsonl", only)
    lost.assert_outcomes(failed=1)
    lost.stdout.fnmatch_lines(["*lost more than is borne with*", "*twin run scenarios/good.yaml --seed*"])


def test_the_fixture_runs_a_scenario_with_changes(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        def test_longer(twin):
            short = twin("scenarios/good.yaml", seed=3, run={"horizon": "1d"})
            long = twin("scenarios/good.yaml", seed=3, run={"horizon": "2d"})
            assert short.manifest.seed == long.manifest.seed == 3
            assert short.manifest.end_ms < long.manifest.end_ms
            assert long.measures["otif_to_request"].value is not None
        """
    )
    run(project, "-m", "not scenario").assert_outcomes(passed=1, deselected=3)


def test_a_baseline_that_says_nothing_of_a_scenario_fails_it_without_a_traceback(project: pytest.Pytester) -> None:
    """GV-06: it is not skipped as inconclusive."""
    from twin.experiment.baselines import Baseline, Kept, write_baseline

    blank = {"scenarios/good.yaml": {1: Kept(None, ""), 2: Kept(None, "")}}
    write_baseline(project.path / "blank.jsonl", Baseline("otif_to_request", blank))
    result = run(project, "--twin-against", "blank.jsonl", "scenarios/good.yaml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the baseline has no value of otif_to_request*"])
    assert "Traceback" not in result.stdout.str()
