"""The gate: verdicts on a change, with their intervals, and what keeps luck from passing or failing it."""

from __future__ import annotations

import json
import math
import sys
import time
from fractions import Fraction
from pathlib import Path
from random import Random
from shlex import quote
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.commands import Told
from twin.cli import main
from twin.experiment.baselines import Baseline, BaselineError, Kept, read_baseline, write_baseline
from twin.experiment.observing import Observation
from twin.experiment.regression import (
    FAIL,
    INCONCLUSIVE,
    MARGIN,
    PASS,
    Case,
    Comparison,
    _compared,
    _foreseen,
    _nothing_in,
    cases_of,
    compare_with,
    foresee,
    judge,
    need_values,
    overall,
)

ROOT = Path(__file__).resolve().parents[2]
DRILL = ROOT / "scenarios/drills/outage_portal.yaml"
CASE = Case(0, "one.yaml", None)  # type: ignore[arg-type]


def compared(differences: list[float], name: str = "one.yaml") -> Comparison:
    """A scenario whose runs lost so much, judged alone later."""
    found = {
        seed: (Kept(Fraction(9, 10), "a"), Observation(0, seed, {"m": Fraction(9, 10) + Fraction(change)}, digest="b"))
        for seed, change in enumerate(differences, start=1)
    }
    return _compared(Case(0, name, None), found, "m", MARGIN, ())  # type: ignore[arg-type]


def verdict(differences: list[float]) -> str:
    return judge([compared(differences)], MARGIN)[0].verdict


def around(mean: float, spread: float, count: int, seed: int = 1) -> list[float]:
    luck = Random(seed)
    return [mean + luck.gauss(0, spread) for _ in range(count)]


def test_the_lower_end_above_the_margin_passes_the_upper_below_it_fails_and_between_nothing_is_certain() -> None:
    assert verdict(around(0.0, 0.002, 30)) == PASS
    assert verdict(around(-0.02, 0.002, 30)) == FAIL
    assert verdict(around(-0.005, 0.01, 30)) == INCONCLUSIVE
    assert verdict(around(-0.003, 0.0001, 30)) == PASS
    assert verdict(around(-0.007, 0.0001, 30)) == FAIL


def test_no_difference_at_all_passes_and_one_seed_says_nothing() -> None:
    assert verdict([0.0, 0.0, 0.0]) == PASS
    assert verdict([0.0]) == INCONCLUSIVE
    assert "n too small" in compared([0.0]).note


def test_a_run_that_breaks_down_fails_and_names_its_seed() -> None:
    found = {
        1: (Kept(Fraction(1), "a"), Observation(0, 1, {"m": Fraction(1)})),
        2: (Kept(Fraction(1), "a"), Observation(0, 2, {}, failure="CorruptLog: a hole")),
    }
    one = _compared(CASE, found, "m", MARGIN, ())
    assert judge([one], MARGIN)[0].verdict == FAIL
    assert "--seed 2" in one.reproduce
    assert "a hole" in one.note


def test_of_many_scenarios_a_slight_failure_must_stand_after_holms_rule() -> None:
    # Its own upper end is just below the margin: alone it fails, among forty it may be luck.
    slight = next(
        values
        for seed in range(1, 500)
        if (values := around(-0.0085, 0.008, 20, seed)) and 0.005 < (compared(values).p_fail or 1) < 0.02
    )
    assert judge([compared(slight)], MARGIN)[0].verdict == FAIL
    others = [compared(around(0.0, 0.0005, 20, number), f"{number}.yaml") for number in range(39)]
    judged = judge([compared(slight), *others], MARGIN)
    assert judged[0].verdict == INCONCLUSIVE
    assert {one.verdict for one in judged[1:]} == {PASS}
    assert overall(judged) == INCONCLUSIVE
    # A gross one stands among any number.
    assert judge([compared(around(-0.05, 0.008, 20)), *others], MARGIN)[0].verdict == FAIL


def test_a_change_passes_when_all_scenarios_do_and_fails_when_one_does() -> None:
    good, bad, unsure = (compared(around(mean, 0.001, 20)) for mean in (0.0, -0.05, -0.005))
    assert overall(judge([good, good], MARGIN)) == PASS
    assert overall(judge([good, unsure], MARGIN)) == INCONCLUSIVE
    assert overall(judge([good, unsure, bad], MARGIN)) == FAIL


def test_the_seed_that_lost_most_is_named() -> None:
    assert "--seed 3" in compared([0.0, -0.01, -0.2, 0.1]).reproduce


def test_no_seed_is_named_where_none_lost_anything() -> None:
    """GV-06: a passing scenario whose logs are the same, or one without runs, has no seed that lost most."""
    for one in (compared([0.0, 0.0]), compared([0.0, 0.25]), compared([])):
        assert (one.worst, one.reproduce) == (None, "")
    # One that lost its value is the one to look at, before any that only lost a little.
    kept = Kept(Fraction(9, 10), "a")
    found = {1: (kept, Observation(0, 1, {"m": Fraction(8, 10)})), 2: (kept, Observation(0, 2, {"m": None}))}
    assert "--seed 2" in _compared(CASE, found, "m", MARGIN, ()).reproduce


def test_the_verdict_errs_as_seldom_as_its_interval_says() -> None:
    # A true loss of exactly the margin may neither pass nor fail in more than 2.5 % of the gates, each way.
    verdicts = [verdict(around(-0.005, 0.004, 12, seed)) for seed in range(1_000)]
    bound = 1_000 * 0.025 + 4 * math.sqrt(1_000 * 0.025 * 0.975)
    assert verdicts.count(PASS) < bound
    assert verdicts.count(FAIL) < bound


# --- with real runs


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gate") / "baseline.jsonl"
    assert main(["check", str(DRILL), "--store", str(path), "--seeds", "4", "--quiet"]) == 0
    return path


def test_a_baseline_is_the_same_file_whenever_and_however_it_is_made(baseline: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.jsonl"
    assert main(["check", str(DRILL), "--store", str(again), "--seeds", "4", "--quiet", "--workers", "2"]) == 0
    assert again.read_bytes() == baseline.read_bytes()
    assert sorted(read_baseline(again).runs[str(DRILL)]) == [1, 2, 3, 4]


def test_no_change_passes_with_the_same_logs(told: Told, baseline: Path, tmp_path: Path) -> None:
    summary, junit = tmp_path / "summary.md", tmp_path / "junit.xml"
    code, out, _ = told("check", DRILL, "--against", baseline, "--quiet", "--markdown", summary, "--junit", junit)
    assert code == 0
    assert "the change: pass" in out
    assert "4 of 4 expectations hold; " in out and "0 expectations" not in out and out.count("expectations") == 1
    assert "lost most" not in out and "| – |" in summary.read_text() and "twin run" not in summary.read_text()
    (one,) = compare_with(cases_of([DRILL], {}), read_baseline(baseline))
    assert (one.verdict, one.count, one.same) == (PASS, 4, 4)
    assert one.interval is not None
    assert (one.interval.mean, one.interval.half_width) == (0, 0)
    assert "| passes |" in summary.read_text()
    suites = ElementTree.parse(junit).getroot()
    cases = suites.findall("testsuite/testcase")
    assert [case.get("name") for case in cases][-1] == "otif_to_request against baseline"
    assert not suites.findall("testsuite/testcase/failure")


def test_a_gross_change_fails_and_tells_how_it_is_seen_again(told: Told, baseline: Path, tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    change = "policies.replenishment=null"
    code, out, _ = told("check", DRILL, "--against", baseline, "--quiet", "--set", change, "--junit", junit)
    assert code == 1
    assert "the change: fail" in out
    # How many hold is said once, of all of them.
    (sum_row,) = [row for row in out.splitlines() if " expectations " in row]
    assert " of 4 expectations hold; the change: fail" in sum_row
    (row,) = [row for row in out.splitlines() if "the seed that lost most" in row]
    assert f"--set {change}" in row
    assert ElementTree.parse(junit).getroot().findall("testsuite/testcase/failure")


def test_what_is_not_certain_is_inconclusive_and_may_be_let_through(told: Told, baseline: Path, tmp_path: Path) -> None:
    # Before, one seed of the four was two points better.
    before = read_baseline(baseline)
    runs = dict(before.runs[str(DRILL)])
    runs[1] = Kept((runs[1].value or 0) + Fraction(1, 50), "")
    write_baseline(tmp_path / "better.jsonl", Baseline(before.measure, {str(DRILL): runs}))
    asked = ["check", DRILL, "--against", tmp_path / "better.jsonl", "--quiet"]
    code, out, _ = told(*asked)
    assert code == 3
    assert "the change: inconclusive" in out
    assert told(*asked, "--inconclusive", 0)[0] == 0
    assert told(*asked, "--margin", "-10%")[0] == 0


def test_a_budget_begins_no_run_too_late_finishes_those_begun_and_takes_turns(
    baseline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = read_baseline(baseline)
    other = ROOT / "scenarios/drills/outage_erp.yaml"
    both = Baseline(known.measure, {name: known.runs[str(DRILL)] for name in (str(DRILL), str(other))})
    # The clock goes on by a second with each look at it, and it is looked at before each run: each has its turn.
    for budget_s, counts in ((2.5, (1, 0)), (3.5, (1, 1)), (4.5, (2, 1)), (5.5, (2, 2))):
        ticks = iter(range(1_000))
        monkeypatch.setattr("time.monotonic", lambda ticks=ticks: float(next(ticks)))
        first, second = compare_with(cases_of([DRILL, other], {}), both, budget_s=budget_s)
        assert (first.count, second.count) == counts
    (none,) = compare_with(cases_of([DRILL], {}), known, budget_s=-1)
    assert (none.count, none.verdict) == (0, INCONCLUSIVE)
    assert none.note == "no time was left for it; give a larger --budget"


def test_seeds_that_lose_the_measure_are_not_left_out_of_a_verdict() -> None:
    kept = Kept(Fraction(9, 10), "a")
    found = {seed: (kept, Observation(0, seed, {"m": Fraction(9, 10)}, digest="b")) for seed in (1, 2, 3)}
    assert judge([_compared(CASE, found, "m", MARGIN, ())], MARGIN)[0].verdict == PASS
    found[4] = (kept, Observation(0, 4, {"m": None}, digest="b"))
    (one,) = judge([_compared(CASE, found, "m", MARGIN, ())], MARGIN)
    assert (one.verdict, one.note) == (INCONCLUSIVE, "1 of 4 seeds have no value on one side")


def test_the_budget_of_the_command_has_the_expectations_in_it(
    told: Told, baseline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GV-06
    from twin.experiment import check as held

    clock = {"late": 0.0}
    usual = time.monotonic

    def slow(*args: Any, **options: Any) -> Any:
        clock["late"] += 100
        return held(*args, **options)

    monkeypatch.setattr(sys.modules["twin.experiment.check"], "check", slow)
    monkeypatch.setattr("time.monotonic", lambda: usual() + clock["late"])
    junit = tmp_path / "j.xml"
    code, out, _ = told("check", DRILL, "--against", baseline, "--budget", "50s", "--quiet", "--junit", junit)
    assert code == 3 and "no time was left for it" in out
    assert "lost most" not in out and "again:" not in junit.read_text()
    clock["late"] = 0.0
    assert told("check", DRILL, "--against", baseline, "--budget", "500s", "--quiet")[0] == 0


def test_a_scenario_that_is_not_in_the_baseline_is_inconclusive(baseline: Path) -> None:
    other = ROOT / "scenarios/drills/poison.yaml"
    (one,) = compare_with(cases_of([other], {}), read_baseline(baseline))
    assert one.verdict == INCONCLUSIVE
    assert "not in the baseline" in one.note


def test_a_baseline_without_a_value_is_not_stored(told: Told, tmp_path: Path) -> None:
    """GV-06: the least scenario's orders are due when it ends, so no change could fail against it."""
    path, minimal = tmp_path / "b.jsonl", ROOT / "scenarios/minimal.yaml"
    code, out, err = told("check", minimal, "--store", path, "--seeds", "2", "--quiet")
    assert (code, out) == (2, "")
    assert f"{minimal}: no value of otif_to_request under any of 2 seeds" in err and "run.horizon" in err
    assert not path.exists()


def test_a_baseline_of_which_some_seeds_have_no_value_says_so(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GV-06"""
    kept = {1: Kept(Fraction(1), "a"), 2: Kept(None, "b"), 3: Kept(Fraction(1), "c")}
    made = Baseline("otif_to_request", {"some.yaml": kept, "all.yaml": {1: kept[1], 2: kept[3], 3: kept[3]}})
    monkeypatch.setattr("twin.experiment.baselines.measure_baseline", lambda *args, **options: made)
    code, out, _ = told("check", DRILL, "--store", tmp_path / "b.jsonl", "--seeds", "3", "--quiet")
    assert code == 0
    assert "some.yaml: 1 of 3 seeds have no value, and can never be compared" in out
    assert "all.yaml: " not in out


def test_a_comparison_in_which_nothing_was_compared_is_an_error_whatever_inconclusive_is(
    told: Told, tmp_path: Path
) -> None:
    """GV-06: one side without any value is wrong input, not an uncertain answer that may be let through."""
    path, minimal = tmp_path / "b.jsonl", ROOT / "scenarios/minimal.yaml"
    write_baseline(path, Baseline("otif_to_request", {str(minimal): {1: Kept(None, "a"), 2: Kept(None, "b")}}))
    asked = ["check", minimal, "--against", path, "--inconclusive", "0", "--quiet"]
    for more in (["--set", "channels[web].requested=3h"], ["--budget", "1m", "--plan"]):
        code, out, err = told(*asked, *more)
        assert (code, out) == (2, "")
        assert f"{minimal}: the baseline has no value of otif_to_request" in err and "store the baseline anew" in err
    write_baseline(path, Baseline("otif_to_request", {str(minimal): {1: Kept(Fraction(1), "a"), 2: Kept(None, "b")}}))
    code, out, err = told(*asked)
    assert (code, out) == (2, "")
    assert "no seed has a value of otif_to_request after the change" in err


def test_one_seed_with_a_value_on_both_sides_is_still_compared() -> None:
    kept = {1: Kept(Fraction(9, 10), "a"), 2: Kept(None, "b")}
    need_values([CASE], Baseline("m", {CASE.name: kept}))
    found = {seed: (one, Observation(0, seed, {"m": Fraction(9, 10)}, digest="c")) for seed, one in kept.items()}
    assert _nothing_in("one.yaml", found, "m") == ""
    found[1] = (kept[1], Observation(0, 1, {"m": None}, digest="c"))
    assert "on both sides at once" in _nothing_in("one.yaml", found, "m")
    # One that broke down fails, and is not explained away.
    found[1] = (kept[1], Observation(0, 1, {}, failure="CorruptLog: a hole"))
    assert _nothing_in("one.yaml", found, "m") == ""


def test_the_plan_says_how_many_seeds_there_will_be_and_what_they_find() -> None:
    spread = {seed: Kept(Fraction(seed, 100), "") for seed in range(1, 11)}
    cases, before = cases_of([DRILL], {}), Baseline("otif_to_request", {str(DRILL): spread})
    (one,) = foresee(cases, before, 3_600)
    assert one.seeds == 10
    # Among five, one has to stand t(0.995; 9) = 3.250.
    five = cases_of([DRILL, *sorted((ROOT / "scenarios/drills").glob("outage_*.yaml"))[:4]], {})
    many = Baseline("otif_to_request", {case.name: spread for case in five})
    assert _foreseen(five[0], many, 10, 1.0, 5, MARGIN).at_worst == pytest.approx(
        0.005 + (3.250 + 0.883) * 0.030277 * (0.2**0.5), rel=1e-3
    )
    # The expectations come first, and take more than a run of the comparison.
    assert foresee(cases, before, one.seconds)[0].seeds == 0
    # The margin, and s = 0.0303, t(0.975; 9) + t(0.8; 9) = 2.262 + 0.883, sqrt(2/10).
    assert one.at_worst == pytest.approx(0.005 + (2.262 + 0.883) * 0.030277 * (0.2**0.5), rel=1e-3)


def test_a_plan_with_too_little_time_says_how_much_is_enough(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GV-06: no seeds, and none found, is no answer without what would give one."""
    # A run takes ten seconds, with the invariants fifteen.
    monkeypatch.setattr("twin.experiment.regression._timed", lambda job: (job, 15.0 if job.invariants else 10.0))
    path, other = tmp_path / "b.jsonl", ROOT / "scenarios/drills/outage_erp.yaml"
    two = {seed: Kept(Fraction(seed, 10), "") for seed in (1, 2)}
    write_baseline(path, Baseline("otif_to_request", {str(DRILL): two}))
    asked = ["check", DRILL, "--against", path, "--plan", "--quiet"]
    code, out, _ = told(*asked, "--budget", "34s")
    assert code == 0
    assert f"{DRILL}: too little time for 2 seeds of each; they take about --budget 35s" in out
    code, out, _ = told(*asked, "--budget", "35s")
    assert "too little time" not in out
    # More time does not help where the baseline has nothing.
    one, unknown = foresee(cases_of([DRILL, other], {}), read_baseline(path), 1)
    assert one.note.endswith("they take about --budget 1m10s")
    assert unknown.note == "not in the baseline; store it anew"
    write_baseline(path, Baseline("otif_to_request", {str(DRILL): {1: Kept(Fraction(1), "")}}))
    (one,) = foresee(cases_of([DRILL], {}), read_baseline(path), 1)
    assert one.note.startswith("the baseline has 1 of the 2 values")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "a baseline without runs"),
        ("{}\n", ":1: not a line of a baseline"),
        ('{"format": 9, "measure": "m"}\n', "format 9, this program reads 1"),
        ('{"format": 1, "measure": "m"}\nnothing\n', ":2: not a line of a baseline"),
        ('{"format": 1, "measure": "m"}\n{"scenario": "a", "seed": 1, "value": "1/0", "digest": ""}\n', ":2: not a"),
        ('{"format": 1, "measure": "m"}\n{"scenario": "a", "seed": 1}\n', ":2: not a line of a baseline"),
    ],
)
def test_a_file_that_is_no_baseline_is_told_by_line(told: Told, tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "b.jsonl"
    path.write_text(text)
    with pytest.raises(BaselineError, match=why):
        read_baseline(path)
    code, out, err = told("check", DRILL, "--against", path, "--quiet")
    assert (code, out) == (2, "")
    assert why in err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--plan"], "--plan needs --against and --budget"),
        (["--budget", "4m"], "give --against"),
        (["--against", "b.jsonl", "--margin", "1%"], "a margin is a loss"),
        (["--against", "b.jsonl", "--margin", "much"], "such as -0.5%"),
        (["--against", "nowhere.jsonl"], "--store nowhere.jsonl"),
        (["--store", "b.jsonl", "--set", "run.seed=2"], "leave --against and --set out"),
        (["--junit", "nowhere/j.xml"], "there is no folder nowhere"),
        (["--set", "warehouses[moon].pickers=2"], "moon"),
    ],
)
def test_options_that_make_no_sense_are_refused(told: Told, options: list[str], why: str) -> None:
    code, out, err = told("check", DRILL, "--quiet", *options)
    assert (code, out) == (2, "")
    assert why in err


def test_each_scenario_takes_the_changes_that_fit_it_and_its_command_names_those_only(
    told: Told, tmp_path: Path
) -> None:
    expected = "{kind: measure, name: otif_to_request, at_most: 0%}"
    small = f"extends: {ROOT / 'scenarios/minimal.yaml'}\nexpect: [{expected}]\n"
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(small)
    alert = "{id: much, kind: open_deliveries, above: 9}"
    two.write_text(f"{small}warehouses: [{{id: other}}]\nmonitor: {{alerts: [{alert}]}}\n")
    settings = ["warehouses[main].pickers=2", "warehouses[other].pickers=3", "monitor.every=2m"]
    code, out, _ = told("check", one, two, "--quiet", *(word for one in settings for word in ("--set", one)))
    assert code == 1
    again = [" ".join(row.split()) for row in out.splitlines() if "to see it again" in row]
    assert again == [
        f"to see it again: twin check {one} --set 'warehouses[main].pickers=2'",
        f"to see it again: twin check {two} " + " ".join(f"--set {quote(setting)}" for setting in settings),
    ]


def test_a_setting_that_fits_no_scenario_is_told_with_the_files_that_were_looked_at(
    told: Told, tmp_path: Path
) -> None:  # EX-05
    minimal = ROOT / "scenarios/minimal.yaml"
    same = tmp_path / "same.yaml"
    same.write_text(f"extends: {minimal}\n")
    code, _, err = told("check", minimal, same, DRILL, "--quiet", "--set", "warehouses[moon].pickers=2")
    assert code == 2
    first, *reasons = err.splitlines()
    assert first == "--set warehouses[moon].pickers=2 fits no scenario:"
    assert reasons[0] == f"{minimal}, {same}: no warehouse 'moon'; there: main"
    assert len(reasons) == 2
    assert reasons[1].startswith(f"{DRILL}: no warehouse 'moon'; there: ")
    for options in ([], ["--against", ROOT / "scenarios/baseline.jsonl", "--budget", "1s", "--plan"]):
        code, _, err = told("check", minimal, same, "--quiet", "--set", "run.horizn=2d", *options)
        assert code == 2
        assert [row.partition(" run.horizn: unknown")[0] for row in err.splitlines()] == [
            f"{minimal}: overrides:",
            f"{same}: overrides:",
        ]


def test_a_setting_may_be_about_an_entry_that_an_earlier_one_brings(told: Told) -> None:
    fault = "{id: a, kind: outage, interface: erp, from: 9h, for: 1h}"
    settings = ["--set", f"faults=[{fault}]", "--set", "faults[a].for=2h", "--set", "expect=[{kind: invariants}]"]
    base = ROOT / "scenarios/drills/base.yaml"
    assert told("check", base, "--quiet", *settings)[0] == 0
    code, _, err = told("check", base, DRILL, "--quiet", "--set", "faults[outage_er].for=2h")
    assert code == 2
    assert "no fault 'outage_er'" in err or "have no ids" in err


def test_a_run_is_told_by_its_scenario_and_its_seed() -> None:
    assert str(CASE.job(7, "m")) == f"{CASE.name} with seed 7"


def test_a_folder_stands_for_the_scenarios_in_it(told: Told, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "one.yaml").write_text(f"extends: {ROOT}/scenarios/minimal.yaml\n")
    (tmp_path / "notes.yaml").write_text("anything: else\n")
    code, out, _ = told("check", tmp_path, "--quiet")
    assert code == 0
    assert "of 1 scenarios hold" in out
    (tmp_path / "empty").mkdir()
    code, _, err = told("check", tmp_path / "empty", "--quiet")
    assert code == 2
    assert "no scenario in this folder" in err


def test_a_written_baseline_is_read_back_whole(tmp_path: Path) -> None:
    made = Baseline(
        "m", {"b.yaml": {2: Kept(Fraction(1, 3), "x"), 1: Kept(None, "y")}, "a.yaml": {1: Kept(Fraction(0), "z")}}
    )
    write_baseline(tmp_path / "b.jsonl", made)
    assert read_baseline(tmp_path / "b.jsonl") == made
    rows = [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert [(row["scenario"], row["seed"]) for row in rows[1:]] == [("a.yaml", 1), ("b.yaml", 1), ("b.yaml", 2)]


def test_a_baseline_of_another_version_is_read_as_long_as_its_format_is_known(tmp_path: Path) -> None:
    """GV-06: docs/guide/gate.md says so; what the version does otherwise counts as change."""
    made, path = Baseline("m", {"a.yaml": {1: Kept(Fraction(1, 2), "x")}}), tmp_path / "b.jsonl"
    write_baseline(path, made)
    head, *rows = path.read_text().splitlines()
    other = json.loads(head) | {"versions": {"ordertwin": "99.0", "format": "7"}}
    path.write_text("\n".join([json.dumps(other), *rows]) + "\n")
    assert read_baseline(path) == made
    path.write_text("\n".join([json.dumps(other | {"format": 2}), *rows]) + "\n")
    with pytest.raises(BaselineError, match="format 2, this program reads 1; make it again"):
        read_baseline(path)


def test_every_drill_is_in_the_projects_baseline() -> None:  # GV-06
    baseline = read_baseline(ROOT / "scenarios/baseline.jsonl")
    drills = sorted(f"scenarios/drills/{path.name}" for path in (ROOT / "scenarios/drills").glob("*.yaml"))
    assert sorted(baseline.runs) == drills
    assert {len(runs) for runs in baseline.runs.values()} == {6}


@pytest.mark.parametrize("option", ["--junit", "--markdown", "--store"])
def test_a_file_of_another_kind_is_not_written_over(told: Told, tmp_path: Path, option: str) -> None:
    mine = tmp_path / "own.yaml"
    mine.write_text("title: mine\n")
    code, out, err = told("check", DRILL, "--quiet", option, mine)
    assert (code, out) == (2, "")
    assert "remove it, or give another name" in err
    assert mine.read_text() == "title: mine\n"
