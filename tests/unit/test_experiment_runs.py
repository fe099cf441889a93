"""Running an experiment: the same bytes whoever executes it, and nothing lost or doubled whatever is killed."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from twin.cli.app import main
from twin.experiment.executors import executing_by, in_any_order
from twin.experiment.experiment import Experiment
from twin.experiment.plan import Plan
from twin.experiment.results import RESULTS, Store
from twin.experiment.trial import COLD, code_digest, try_out
from twin.log.folder import RunRefused
from twin.run import load
from twin.streams import Series

ROOT = Path(__file__).resolve().parents[2]
MINIMAL = ROOT / "scenarios" / "minimal.yaml"
SLOWER = {"warehouses": [{"id": "main", "pick_time": {"order": "25m"}}]}
VARIANTS = [{"id": "base"}, {"id": "again"}, {"id": "slower", "change": SLOWER}]
MEASURES = ["order_to_ship", "otif_to_promise"]


def experiment(**more: Any) -> Experiment:
    plain = {"experiment": 1, "title": "A case", "scenarios": [str(MINIMAL)], "variants": VARIANTS}
    return Experiment(Plan.of(plain | {"seeds": 3, "measures": MEASURES} | more))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an experiment run in this process."""
    folder = tmp_path_factory.mktemp("here")
    experiment().run(folder)
    return folder


# --- results


def test_on_the_same_seeds_a_policy_and_itself_differ_by_exactly_nothing_in_every_measure(tmp_path: Path) -> None:
    results = experiment(measures=["*"]).run(tmp_path)
    same = [one for one in results.differences() if one.variant == "again"]
    assert len(same) > 80
    assert {one.mean for one in same if one.count} == {0}
    assert not any(one.differs for one in same)


def test_luck_that_hangs_on_what_was_drawn_before_shows_as_a_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Planted: one sequence for all runs, as a generator of the module would be.
    shared = Series(1, "shared")
    monkeypatch.setattr(Series, "_step", lambda self: shared_step(shared))
    results = experiment(measures=["order_to_ship"], seeds=2).run(tmp_path)
    (same,) = [one for one in results.differences() if one.variant == "again"]
    assert same.mean != 0


shared_step = Series._step


def test_a_planted_difference_is_found(tmp_path: Path) -> None:  # KP-02
    results = experiment(seeds=8).run(tmp_path)
    (slower,) = [one for one in results.differences() if (one.variant, one.measure) == ("slower", "order_to_ship")]
    assert slower.differs and slower.interval is not None
    assert slower.interval.low > 0
    assert slower.count == 8


def test_a_row_leads_back_to_a_run_that_has_its_digest(here: Path, tmp_path: Path) -> None:  # EX-05
    row = next(row for row in pq.read_table(here / RESULTS).to_pylist() if row["variant"] == "slower")
    run = load(here / "scenarios" / "minimal--slower.yaml").run(row["seed"], tmp_path / "run")
    assert (run.digest, run.manifest.scenario_digest) == (row["digest"], row["scenario_digest"])
    measured = run.measures[row["measure"]]
    assert (row["value"], row["exact"], row["start"]) == (
        None if measured.value is None else float(measured.value),
        None if measured.value is None else str(measured.value),
        COLD,
    )


def test_a_run_has_a_row_a_measure_and_no_wall_clock(here: Path) -> None:
    table = pq.read_table(here / RESULTS)
    assert "seconds" not in table.column_names
    assert table.schema.metadata[b"code"].decode() == code_digest()
    keys = [(row["variant"], row["seed"], row["measure"]) for row in table.to_pylist()]
    assert len(dict.fromkeys(keys)) == len(keys)
    assert len(dict.fromkeys((variant, seed) for variant, seed, _ in keys)) == 9
    (run, *_) = (here / "runs").glob("*.parquet")
    assert pq.read_table(run).column("seconds")[0].as_py() > 0


def test_the_results_are_queried_with_duckdb(here: Path) -> None:
    import duckdb

    query = "select variant, count(*), avg(value) from read_parquet(?) where measure = 'order_to_ship' group by variant"
    rows = {row[0]: row[1:] for row in duckdb.execute(query, [str(here / "runs" / "*.parquet")]).fetchall()}
    assert rows["base"] == rows["again"]
    assert rows["base"][0] == 3 and rows["slower"][1] > rows["base"][1]


def test_a_run_whose_engine_stops_is_a_result_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from twin.core.refusals import CorruptLog
    from twin.run import Simulation

    whole = Simulation.advance

    def stops(self: Simulation, until: int, progress: Any = None) -> None:
        if self.seed == 2:
            raise CorruptLog("planted")
        whole(self, until, progress)

    monkeypatch.setattr(Simulation, "advance", stops)
    path = tmp_path / "plan.yaml"
    path.write_text(f"experiment: 1\ntitle: t\nscenarios: [{MINIMAL}]\nvariants: [{{id: base}}, {{id: b}}]\nseeds: 3\n")
    assert main(["experiment", str(path), "--out", str(tmp_path / "out"), "--quiet"]) == 1
    said = capsys.readouterr().out
    assert "minimal, variant b, seed 2 FAILS: CorruptLog: planted" in said
    assert "1 of 3 seeds have no value on one side" in " ".join(said.split())


# --- executors


def test_a_trial_gives_the_same_log_wherever_it_was_sent(here: Path) -> None:
    # The log leaves out a default that is the very same object; what comes out of a pickle never is.
    (trial, *_) = experiment().trials([1])
    sent = try_out(pickle.loads(pickle.dumps(trial)))
    assert sent.digest == try_out(trial).digest == Store(here).read([trial.key])[0].digest


def test_a_pool_gives_the_same_bytes(here: Path, tmp_path: Path) -> None:
    experiment().run(tmp_path, workers=2)
    assert (tmp_path / RESULTS).read_bytes() == (here / RESULTS).read_bytes()


def test_a_dask_cluster_gives_the_same_bytes(here: Path, tmp_path: Path, fresh_python: Callable[..., str]) -> None:
    pytest.importorskip("distributed")
    program = tmp_path / "cluster.py"
    program.write_text(
        "import sys\n"
        "from distributed import LocalCluster\n"
        "from tests.unit.test_experiment_runs import experiment\n"
        "if __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:\n"
        "        address = cluster.scheduler_address.removeprefix('tcp://')\n"
        "        experiment().run(sys.argv[1], executor=f'dask://{address}')\n"
    )
    fresh_python(f"import runpy; runpy.run_path({str(program)!r})")  # it can be imported, as its workers will
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "out")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / RESULTS).read_bytes() == (here / RESULTS).read_bytes()


def _dies_once(job: tuple[Path, int]) -> int:
    marks, number = job
    if number == 3 and not (marks / "died").exists():
        (marks / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    with (marks / "begun").open("a") as file:
        file.write(f"{number}\n")
    return number


def _always_dies(job: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return job


def _fails(job: int) -> int:
    raise ValueError(f"job {job}")


def test_what_a_killed_worker_was_at_is_run_again_and_nothing_comes_twice(tmp_path: Path) -> None:
    jobs = [(tmp_path, number) for number in range(8)]
    assert sorted(in_any_order(_dies_once, jobs, executing_by("pool", 2))) == list(range(8))
    assert (tmp_path / "died").exists()


def test_workers_that_die_without_end_are_given_up() -> None:
    with pytest.raises(BrokenProcessPool) as caught:
        list(in_any_order(_always_dies, [1, 2], executing_by("pool", 1)))
    assert "workers died 4 times and no run was finished in between; 2 are left: 1, ..." in caught.value.__notes__


@pytest.mark.parametrize("name", ["here", "pool"])
def test_an_error_of_a_run_comes_through_as_it_was(name: str) -> None:
    with pytest.raises(ValueError, match="job 7"):
        list(in_any_order(_fails, [7], executing_by(name, 1)))


AT_WORK = """
import sys, time
from pathlib import Path

from twin.experiment.executors import executing_by, in_any_order

def work(job):
    Path(sys.argv[1], str(job)).touch()
    time.sleep(120)

if __name__ == "__main__":
    try:
        list(in_any_order(work, [1, 2, 3], executing_by("pool", 2)))
    except KeyboardInterrupt:
        sys.exit(130)
"""


def test_an_interrupt_at_the_keyboard_ends_parent_and_workers_without_a_word(tmp_path: Path) -> None:
    """A terminal sends it to all of them; one worker is at work by then, the other maybe still at its imports."""
    (tmp_path / "at_work.py").write_text(AT_WORK, encoding="utf-8")
    (tmp_path / "begun").mkdir()
    running = subprocess.Popen(
        [sys.executable, str(tmp_path / "at_work.py"), str(tmp_path / "begun")],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "begun").iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (130, "")


# --- killed and taken up again


def test_an_experiment_goes_on_where_it_was(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment(seeds=2).run(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()}
    told: list[tuple[int, int]] = []
    experiment().run(tmp_path, progress=lambda what, done, total, entries: told.append((done, total)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (tmp_path / RESULTS).read_bytes() == (here / RESULTS).read_bytes()


def test_another_change_or_another_code_is_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = {trial.key for trial in experiment().trials([1])}
    other = [*VARIANTS[:2], {"id": "slower", "change": {"warehouses": [{"id": "main", "pick_time": {"order": "26m"}}]}}]
    assert len(old & {trial.key for trial in experiment(variants=other).trials([1])}) == 2
    assert old == {trial.key for trial in experiment(title="Another").trials([1])}
    monkeypatch.setattr("twin.experiment.trial.code_digest", lambda: "another")
    assert not old & {trial.key for trial in experiment().trials([1])}


def test_two_processes_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with Store(tmp_path).locked(), pytest.raises(RunRefused, match="another process is at work"):
        experiment().run(tmp_path)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RunRefused, match="something else than an experiment"):
        experiment().run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(
        f"experiment: 1\ntitle: A case\nscenarios: [{MINIMAL}]\nseeds: 30\nmeasures: [order_to_ship]\n"
        "variants:\n  - {id: base}\n  - {id: slower, change: {warehouses: [{id: main, pick_time: {order: 25m}}]}}\n"
    )
    return path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The table of `plan_file` where nothing is killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    experiment(variants=[VARIANTS[0], VARIANTS[2]], seeds=30, measures=["order_to_ship"]).run(folder)
    return (folder / RESULTS).read_bytes()


def begin(plan_file: Path, out: Path) -> subprocess.Popen[str]:
    """The command in a process of its own, with two workers."""
    return subprocess.Popen(
        [sys.executable, "-m", "twin", "experiment", str(plan_file), "--out", str(out), "--workers", "2", "--quiet"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def workers_of(process: int) -> list[int]:
    """The pool's processes, not the one that tracks resources."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def until(what: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.005)


def done_in(out: Path) -> Iterator[Path]:
    return (out / "runs").glob("*.parquet")


linux = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="it looks into /proc")


@linux
def test_a_worker_killed_mid_way_costs_nothing(plan_file: Path, tmp_path: Path, undisturbed: bytes) -> None:
    out = tmp_path / "out"
    process = begin(plan_file, out)
    until(lambda: len(list(done_in(out))) >= 4)
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    said, wrong = process.communicate(timeout=60)
    assert process.returncode == 0, wrong
    assert "60 runs" in said
    assert (out / RESULTS).read_bytes() == undisturbed


@linux
def test_the_main_process_killed_mid_way_goes_on_when_it_is_started_again(
    plan_file: Path, tmp_path: Path, undisturbed: bytes
) -> None:
    out = tmp_path / "out"
    process = begin(plan_file, out)
    until(lambda: len(list(done_in(out))) >= 4)
    workers = workers_of(process.pid)
    process.kill()
    process.communicate()
    before = {path: path.stat().st_mtime_ns for path in done_in(out)}
    assert 4 <= len(before) < 60 and not (out / RESULTS).exists()
    # Workers whose parent is gone do not wait for it for ever.
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    said, wrong = begin(plan_file, out).communicate(timeout=60)
    assert "60 runs" in said, wrong
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list(done_in(out))) == 60
    assert (out / RESULTS).read_bytes() == undisturbed


# --- sequential


def test_seeds_are_added_until_the_half_width_is_reached(tmp_path: Path) -> None:
    stop = {"measure": "order_to_ship", "half_width": "10m", "seeds_max": 60, "look_ahead": 4}
    results = experiment(seeds=3, stop=stop).run(tmp_path)
    (slower,) = [one for one in results.differences() if (one.variant, one.measure) == ("slower", "order_to_ship")]
    assert slower.interval is not None
    assert slower.interval.half_width <= 10 * 60_000
    assert 7 < slower.count < 60


def test_seeds_are_added_up_to_the_limit_only(tmp_path: Path) -> None:
    stop = {"measure": "order_to_ship", "half_width": "1ms", "seeds_max": 8, "look_ahead": 3}
    assert len(experiment(seeds=3, stop=stop).run(tmp_path).outcomes) == 3 * 8


def test_seeds_are_not_added_for_a_measure_that_there_is_not(tmp_path: Path) -> None:
    stop = {"measure": "revenue/channel=none", "half_width": 1, "seeds_max": 50}
    results = experiment(seeds=2, stop=stop).run(tmp_path)
    assert len(results.outcomes) == 3 * 2
    assert results.unknown == ["revenue/channel=none"]
