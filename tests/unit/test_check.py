"""Holding scenarios against what they expect: bounds, references, invariants, and what is told of a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from twin.core.refusals import CorruptLog
from twin.experiment import Verdict, check, executors
from twin.experiment.observing import Job, observe
from twin.experiment.statistics import student_quantile, t_interval
from twin.run import Simulation
from twin.scenario import ScenarioError, load
from twin.world.warehouse import Job as PickJob
from twin.world.warehouse import Warehouse

MINIMAL = Path(__file__).resolve().parents[2] / "scenarios" / "minimal.yaml"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a scenario that extends the least one, with these expectations."""

    def written(*expect: str, name: str = "case.yaml", more: str = "") -> Path:
        path = tmp_path / name
        lines = "".join(f"  - {one}\n" for one in expect)
        head = f"extends: {MINIMAL}\ntitle: A case\n{more}\n"
        path.write_text(head + ("expect:\n" + lines if expect else "expect: null\n"), encoding="utf-8")
        return path

    return written


def _one(path: Path, **options: int) -> Verdict:
    (verdict,) = check([path], **options)
    return verdict


# --- intervals


def test_the_interval_of_five_values_is_that_of_students_t() -> None:
    interval = t_interval([2, 4, 4, 4, 6], 950_000)
    # s = sqrt(2), t(0.975; 4) = 2.776445 (Student 1908; any table).
    assert interval.mean == 4
    assert interval.half_width == pytest.approx(2.776445 * (2 / 5) ** 0.5, rel=1e-6)
    assert interval.holds(5)
    assert not interval.holds(6)


def test_the_quantile_of_students_t_is_that_of_the_tables() -> None:
    assert student_quantile(0.9995, 29) == pytest.approx(3.659, abs=5e-4)
    assert student_quantile(0.975, 1) == pytest.approx(12.706, abs=5e-4)


def test_one_value_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least 2 values, here is 1"):
        t_interval([Fraction(1)], 950_000)


def test_equal_values_have_an_interval_of_no_width_that_holds_only_them() -> None:
    interval = t_interval([Fraction(1, 3)] * 4, 999_000)
    assert interval.holds(Fraction(1, 3))
    assert not interval.holds(Fraction(33, 100))


# --- bounds


def test_a_measure_within_its_bounds_holds_and_is_told_with_seed_and_command(write: Write) -> None:
    path = write("{kind: measure, name: unit_fill_rate, at_least: 50%, at_most: 100%}")
    verdict = _one(path)
    assert verdict.holds
    assert verdict.expected == "at least 0.5 and at most 1"
    assert verdict.found == "1"
    assert verdict.seeds == (1,)
    assert verdict.reproduce == f"twin check {path}"


def test_durations_are_told_as_durations(write: Write) -> None:
    verdict = _one(write("{kind: measure, name: order_to_ship, at_least: 5m, at_most: 1h30m}"))
    assert verdict.holds
    assert verdict.expected == "at least 5m and at most 1h30m"
    assert verdict.found.startswith("5m")


def test_a_measure_beyond_a_bound_fails(write: Write) -> None:
    assert not _one(write("{kind: measure, name: unit_fill_rate, at_most: 99%}")).holds
    assert not _one(write("{kind: measure, name: orders_captured, at_least: 100000}")).holds


def test_a_value_is_held_within_a_share_of_what_is_expected_or_within_itself(write: Write) -> None:
    captured = Fraction(_one(write("{kind: measure, name: orders_captured, at_least: 1}")).found)
    near = captured * 100 / 101
    for within, holds in (("2%", True), ("0.5%", False), ("2", True), ("0.1", False)):
        verdict = _one(write(f"{{kind: measure, name: orders_captured, equals: {float(near):.6f}, within: {within}}}"))
        assert verdict.holds is holds, within


def test_a_measure_without_a_value_fails_and_says_so(write: Write) -> None:
    verdict = _one(write("{kind: measure, name: supplier_response_time, at_most: 1d}"))
    assert not verdict.holds
    assert verdict.found == "nothing fell into the window"


def test_a_slice_that_the_run_does_not_have_fails_and_says_so(write: Write) -> None:
    verdict = _one(write("{kind: measure, name: revenue/channel=moon, at_least: 0}"))
    assert not verdict.holds
    assert verdict.found == "the run has no 'revenue/channel=moon'"


# --- references


def test_a_reference_inside_a_wide_interval_holds_in_the_sample_and_fails_in_full(write: Write) -> None:
    expect = (
        "{kind: reference, name: orders_captured, value: 96, half_width: 0.01%, replications: {sample: 4, full: 5}}"
    )
    path = write(expect)
    sample = _one(path)
    assert sample.holds
    assert sample.seeds == (1, 2, 3, 4)
    assert "sample" in sample.note
    full = _one(path, full=True)
    assert not full.holds
    assert full.seeds == (1, 2, 3, 4, 5)
    assert "too wide" in full.note
    assert full.reproduce == f"twin check {path} --full"


def test_a_reference_outside_the_interval_fails(write: Write) -> None:
    verdict = _one(write("{kind: reference, name: orders_captured, value: 500}"))
    assert not verdict.holds
    assert verdict.mean is not None and 80 < verdict.mean < 115


def test_other_seeds_may_be_asked_for(write: Write) -> None:
    verdict = _one(write("{kind: reference, name: orders_captured, value: 96}"), seeds=2)
    assert verdict.seeds == (1, 2)
    assert verdict.reproduce.endswith("--seeds 2")


@pytest.mark.parametrize(("seeds", "workers"), [(1, 1), (2, 0)])
def test_too_few_seeds_or_workers_are_refused(write: Write, seeds: int, workers: int) -> None:
    with pytest.raises(ValueError, match="at least"):
        check([write("{kind: invariants}")], seeds=seeds, workers=workers)


def test_several_processes_come_to_the_same_verdicts_as_one(write: Write) -> None:
    paths = [
        write("{kind: reference, name: order_to_ship, value: 8m}", "{kind: invariants}", name="a.yaml"),
        write("{kind: measure, name: orders_captured, at_least: 1}", name="b.yaml", more="run: {seed: 9}"),
    ]
    told: list[tuple[str, int, int]] = []
    alone = check(paths)
    together = check(paths, workers=2, progress=lambda what, done, total, entries: told.append((what, done, total)))
    assert together == alone
    assert [verdict.scenario for verdict in alone] == [str(paths[0])] * 2 + [str(paths[1])]
    assert told == [("checking runs", done, 5) for done in range(1, 6)]


def test_runs_lost_with_a_killed_process_are_run_again(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = executors._by_one
    broken: list[int] = []

    def by_one(function: Any, left: dict[int, Any], executing: Any, until: float | None) -> Iterator[tuple[int, Any]]:
        if not broken:
            broken.append(len(left))
            yield 0, function(left[0])
            raise BrokenProcessPool("a process was killed")
        assert len(left) == broken[0] - 1
        yield from whole(function, left, executing, until)

    path = write("{kind: reference, name: orders_captured, value: 96, replications: {sample: 3}}")
    alone = check([path])
    monkeypatch.setattr(executors, "_by_one", by_one)
    assert check([path], workers=2) == alone
    assert broken == [3]


def test_processes_that_are_killed_again_and_again_end_the_check_with_the_seed(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_one(function: Any, left: dict[int, Any], executing: Any, until: float | None) -> Iterator[tuple[int, Any]]:
        raise BrokenProcessPool("a process was killed")
        yield

    monkeypatch.setattr(executors, "_by_one", by_one)
    path = write("{kind: reference, name: orders_captured, value: 96}")
    with pytest.raises(BrokenProcessPool) as caught:
        check([path], workers=2)
    assert any(f"{path} with seed 1" in note for note in caught.value.__notes__)


# --- invariants


def test_a_scenario_that_expects_nothing_is_held_to_the_invariants(write: Write) -> None:
    verdict = _one(write())
    assert verdict.expectation == "invariants"
    assert verdict.holds


def test_units_that_vanish_unseen_break_the_invariants(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    pick = Warehouse._pick

    def losing(site: Warehouse, job: PickJob) -> None:
        pick(site, job)
        site.shelf["mug"] -= site.arrived == 20

    monkeypatch.setattr(Warehouse, "_pick", losing)
    verdict = _one(write("{kind: invariants}"))
    assert not verdict.holds
    assert "mug at main: movements add up to" in verdict.found
    assert verdict.details


def test_an_engine_that_stops_fails_every_expectation_and_tells_seed_and_place(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(site: Warehouse, job: PickJob) -> None:
        raise CorruptLog("planted")

    monkeypatch.setattr(Warehouse, "_pick", stop)
    expect = ("{kind: invariants}", "{kind: measure, name: orders_captured, at_least: 1}")
    path = write(*expect, "{kind: reference, name: orders_captured, value: 96}")
    verdicts = check([path])
    assert [verdict.holds for verdict in verdicts] == [False, False, False]
    assert all("CorruptLog: planted" in verdict.found for verdict in verdicts)
    assert all("seed 1, after entry" in verdict.found for verdict in verdicts)


def test_any_other_error_of_a_run_leaves_with_the_scenario_and_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(simulation: Simulation, until: int, progress: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(Simulation, "advance", stop)
    with pytest.raises(RuntimeError) as caught:
        observe(Job(0, "some.yaml", load(MINIMAL), 7, (), False))
    assert "while checking some.yaml with seed 7" in caught.value.__notes__


# --- input


def test_mistakes_in_all_files_are_told_before_anything_runs(write: Write, tmp_path: Path) -> None:
    unknown = write("{kind: measure, name: unit_fill_rte, at_least: 1}", name="unknown.yaml")
    pair = write("{kind: reference, name: lost_margin, value: 1}", name="pair.yaml")
    absent = tmp_path / "absent.yaml"
    with pytest.raises(ScenarioError) as caught:
        check([unknown, pair, absent])
    text = str(caught.value)
    assert f"{unknown}:5: unknown measure 'unit_fill_rte'" in text
    assert "did you mean 'unit_fill_rate'?" in text
    assert "'lost_margin' compares two runs" in text
    assert str(absent) in text


# --- what is left over


def test_what_is_left_at_the_end_fails_a_scenario_that_expects_to_be_settled(write: Write) -> None:
    # RC-16
    cut = _one(write("{kind: settled}", more="run: {horizon: 3d, drain: 0d}"))
    assert not cut.holds
    assert any("not done and in no visible exception" in detail for detail in cut.details)
    drained = _one(write("{kind: settled}", more="run: {horizon: 3d, drain: 30d}"))
    assert drained.holds, drained.details
