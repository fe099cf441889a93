"""Killed with SIGKILL between any two statements and started again, the driver loses nothing and does nothing twice.

The source is an at-least-once one: after a restart it sends again what was not acknowledged. Commands that the log
holds already are refused as duplicates, so the logs differ by such refusals and the states by their position only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from adapters.sqlite_journal import SQLiteJournal
from tests.adapters.crash_child import SLICE, Job, slice_of_a_log
from tests.adapters.recorded import keyed
from tests.conftest import ROOT
from tests.world.small import small
from twin.codec import decode_state, encode_entry, encode_state
from twin.core.effects import Delivery
from twin.core.engine import Engine
from twin.core.entry import Entry
from twin.core.state import State
from twin.run import Twin

MODES = ("single", "batch")
# Each is a gap between two statements of the loop; the slice passes every one of them.
GAPS = {
    "single": {
        "before decide",
        "decide | append",
        "append | apply",
        "apply | submit",
        "submit | submit",
        "inside submit",
        "submit | mark",
        "mark | return",
        "wake",
        "in the feeder",
        "inside the journal's append",
        "inside the journal's mark_submitted",
        "inside the journal's _open",
    },
    "batch": {
        "before decide",
        "decide | append",
        "apply | submit",
        "submit | submit",
        "inside submit",
        "submit | mark",
        "mark | return",
        "wake",
        "in the feeder",
        "in the asyncio driver",
        "inside the journal's append",
        "inside the journal's mark_submitted",
        "inside the journal's _open",
    },
}

Live = Callable[[Job], int]


@contextmanager
def nursery(log: Path | None = None) -> Iterator[Live]:
    """Runs one life of the driver's process at a time, on this log or the hand-made one, and gives its exit code."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.adapters.crash_child"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **({} if log is None else {"CRASH_LOG": str(log)})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None and process.stdout is not None

        def run(job: Job) -> int:
            process.stdin.write(msgspec.json.encode(job).decode() + "\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield run
        process.stdin.close()


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with nursery() as run:
        yield run


class Uninterrupted:
    """What a run that nobody kills does: its log, its submissions, its end state and the points it passes."""

    def __init__(self, live: Live, folder: Path, mode: str, driver: str) -> None:
        folder.mkdir()
        assert live(Job(str(folder), mode, count=True, driver=driver)) == 0
        self.entries = stored(folder)
        self.submissions = submissions(folder)
        self.state = state_bytes(decode_state((folder / "state").read_bytes()))
        self.points: list[tuple[str, str]] = [tuple(point) for point in json.loads((folder / "points").read_text())]


def stored(folder: Path) -> list[Entry]:
    """The journal's entries; reading them checks that they are contiguous and that the digest chain holds."""
    with SQLiteJournal(folder / "journal.db") as journal:
        return list(journal.read(0))


def submissions(folder: Path) -> list[Delivery]:
    """Every submission, repeated ones too."""
    file = folder / "submitted"
    lines = file.read_bytes().splitlines() if file.exists() else []
    return [msgspec.json.decode(line, type=Delivery) for line in lines]


def state_bytes(state: State) -> bytes:
    """The state without its position, which also counts refused duplicates."""
    state.position = 0
    return encode_state(state)


def faults_after_kill(folder: Path) -> list[str]:
    """What must hold at any instant: what was submitted is on record, and what is marked was submitted."""
    with SQLiteJournal(folder / "journal.db") as journal:
        mark = journal.submitted()
        entries = list(journal.read(0))
    sent = {(delivery.key, delivery.attempt) for delivery in submissions(folder)}
    known = {(delivery.key, delivery.attempt) for entry in entries for delivery in entry.deliveries}
    marked = {
        (delivery.key, delivery.attempt) for entry in entries if entry.position <= mark for delivery in entry.deliveries
    }
    return [f"submitted and not on record: {key}" for key in sorted(sent - known)] + [
        f"marked and never submitted: {key}" for key in sorted(marked - sent)
    ]


def faults_at_end(folder: Path, whole: Uninterrupted) -> list[str]:
    """How a run that was killed and completed differs from one that was not."""
    faults = faults_after_kill(folder)
    entries = stored(folder)
    accepted = [substance(entry) for entry in entries if entry.refusal is None]
    if accepted != [substance(entry) for entry in whole.entries if entry.refusal is None]:
        faults.append("other commands were accepted, or they led to something else")
    refused = len(entries) - len(accepted)
    if refused < len([entry for entry in whole.entries if entry.refusal is not None]):
        faults.append("a refused command is missing in the log")
    sent = submissions(folder)
    if {attempt(delivery) for delivery in sent} != {attempt(delivery) for delivery in whole.submissions}:
        faults.append("other deliveries were submitted")
    acts: dict[str, Delivery] = {}
    for delivery in sent:
        if acts.setdefault(delivery.key, delivery).effect != delivery.effect:
            faults.append(f"one key, two acts: {delivery.key}")
    if len(acts) != len({delivery.key for delivery in whole.submissions}):
        faults.append("a counterpart that honors the keys would act another number of times")
    engine = Engine()
    for entry in entries:
        engine.apply(entry)
    if state_bytes(engine.state) != whole.state:
        faults.append("the log folds to another state")
    if state_bytes(decode_state((folder / "state").read_bytes())) != whole.state:
        faults.append("the engine ended in another state")
    return faults


def attempt(delivery: Delivery) -> tuple[str, int]:
    return delivery.key, delivery.attempt


def substance(entry: Entry) -> Entry:
    """The entry wherever it stands in the log."""
    return msgspec.structs.replace(entry, position=0)


def spread(points: list[tuple[str, str]], count: int, by: int, salt: str) -> list[int]:
    """Numbers (from 1) of `count` points, taken in turn from each kind (`by` 0: gap, 1: line), by keyed hash."""
    kinds: dict[str, list[int]] = {}
    for number, point in enumerate(points, start=1):
        kinds.setdefault(point[by], []).append(number)
    chosen: list[int] = []
    turn = 0
    while len(chosen) < count:
        for kind, numbers in kinds.items():
            if len(chosen) < count:
                chosen.append(numbers[keyed(f"{salt}/{kind}/{turn}", len(numbers))])
        turn += 1
    return chosen


def kill_and_complete(
    live: Live, folder: Path, whole: Uninterrupted, mode: str, numbers: list[int], driver: str = "Driver"
) -> tuple[list[str], list[tuple[str, str]]]:
    """Kill one run at each of these points, every third one again while it recovers; all faults, all points hit."""
    faults: list[str] = []
    hit: list[tuple[str, str]] = []
    for sample, number in enumerate(numbers):
        place = folder / f"{sample}"
        place.mkdir()
        deaths = [number] + ([1 + keyed(f"again/{sample}", 150)] if sample % 3 == 0 else [])
        for death in deaths:
            code = live(Job(str(place), mode, kill_at=death, driver=driver))
            assert code == -9, f"the process was to be killed at point {death} and left with {code}"
            faults += [f"killed at {death}: {fault}" for fault in faults_after_kill(place)]
        assert live(Job(str(place), mode, driver=driver)) == 0
        faults += [f"killed at {deaths}: {fault}" for fault in faults_at_end(place, whole)]
        kills = [tuple(json.loads(line)) for line in (place / "kills").read_text(encoding="utf-8").splitlines()]
        assert len(kills) == len(deaths)
        hit += kills
    return faults, hit


def test_the_slice_has_what_a_crash_can_hurt() -> None:
    entries = slice_of_a_log()
    assert len(entries) == SLICE
    names = {type(event).__name__ for entry in entries for event in entry.events}
    assert {"PurchaseOrderCreated", "DeliveryRetried", "OrderClosed", "InvoicePosted"} <= names
    assert any(len(entry.deliveries) > 1 for entry in entries)
    assert any(entry.refusal is not None for entry in entries)


@pytest.mark.parametrize("mode", MODES)
def test_an_uninterrupted_run_makes_the_recorded_log(live: Live, tmp_path: Path, mode: str) -> None:
    whole = Uninterrupted(live, tmp_path / "whole", mode, "Driver")
    assert whole.entries == slice_of_a_log()[: len(whole.entries)]
    assert len(whole.entries) >= SLICE - 10
    assert GAPS[mode] <= {name for name, _ in whole.points}


@pytest.mark.parametrize("mode", MODES)
def test_a_driver_killed_between_any_two_statements_loses_nothing_and_doubles_nothing(
    live: Live, tmp_path: Path, mode: str
) -> None:
    # RC-06
    whole = Uninterrupted(live, tmp_path / "whole", mode, "Driver")
    loop = [point if point[0] in GAPS[mode] else ("", "") for point in whole.points]
    numbers = [number for number in spread(loop, 28, 0, mode) if loop[number - 1] != ("", "")][:24]
    faults, hit = kill_and_complete(live, tmp_path, whole, mode, numbers)
    assert not faults, "\n".join(faults)
    assert GAPS[mode] | {"recover"} <= {name for name, _ in hit}


@pytest.mark.deep
@pytest.mark.parametrize("mode", MODES)
def test_a_driver_killed_at_each_line_of_its_loop_loses_nothing_and_doubles_nothing(
    live: Live, tmp_path: Path, mode: str
) -> None:
    # RC-06
    whole = Uninterrupted(live, tmp_path / "whole", mode, "Driver")
    lines = {line for _, line in whole.points}
    numbers = spread(whole.points, len(lines), 1, mode)
    numbers += spread(whole.points, max(40, 200 - len(lines)), 0, mode)
    faults, hit = kill_and_complete(live, tmp_path, whole, mode, numbers)
    assert not faults, "\n".join(faults)
    assert lines <= {line for _, line in hit}
    assert GAPS[mode] | {"recover"} <= {name for name, _ in hit}


@pytest.mark.deep
@pytest.mark.parametrize("mode", MODES)
def test_a_driver_killed_at_200_random_points_of_a_twins_run_loses_nothing(tmp_path: Path, mode: str) -> None:
    # RC-06: the first entries of a real run, its master data and its first day, as recorded by the twin.
    log = tmp_path / "run.jsonl"
    entries = islice(Twin(small()).run(seed=11, out=tmp_path / "run").entries(), SLICE)
    log.write_bytes(b"\n".join(encode_entry(entry) for entry in entries))
    with nursery(log) as live:
        whole = Uninterrupted(live, tmp_path / "whole", mode, "Driver")
        assert {type(event).__name__ for entry in whole.entries for event in entry.events} >= {
            "OrderCaptured",
            "ReleaseDecided",
            "DeliverySucceeded",
        }
        numbers = [1 + keyed(f"run/{mode}/{sample}", len(whole.points)) for sample in range(200)]
        faults, hit = kill_and_complete(live, tmp_path, whole, mode, numbers)
    assert not faults, "\n".join(faults)
    assert len(hit) >= 200


@pytest.mark.parametrize(
    ("planted", "mode", "fault"),
    [
        ("MarksBeforeSubmit", "single", "marked and never submitted"),
        ("SubmitsBeforeAppend", "single", "submitted and not on record"),
        ("SubmitsBatchBeforeAppend", "batch", "submitted and not on record"),
        ("ForgetsTheOutbox", "single", "other deliveries were submitted"),
        ("ForgetsTheOutbox", "batch", "other deliveries were submitted"),
    ],
)
def test_a_driver_with_its_statements_in_another_order_is_caught(
    live: Live, tmp_path: Path, planted: str, mode: str, fault: str
) -> None:
    whole = Uninterrupted(live, tmp_path / "whole", mode, planted)
    steps = [number for number, (_, line) in enumerate(whole.points, start=1) if line.startswith("child._st")]
    if not steps:
        # What is planted is in the recovery: die where something is left to recover.
        steps = [number for number, (name, _) in enumerate(whole.points, start=1) if name == "apply | submit"]
    numbers = [steps[keyed(f"{planted}/{sample}", len(steps))] for sample in range(12)]
    faults, _ = kill_and_complete(live, tmp_path, whole, mode, numbers, planted)
    assert any(fault in found for found in faults), faults
