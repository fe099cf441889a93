"""The same scenario, seed and version give the same digest, however it is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.world.small import small
from twin.run import Run, SnapshotError, Twin, resume

DAY_MS = 86_400_000

IN_A_FRESH_PROCESS = """
import sys
from tests.world.small import small
from twin.run import Twin
run = Twin(small()).run(seed=7)
print(run.digest, run.manifest.truth_digest)
"""

RESUMED = """
import sys
from pathlib import Path
from twin.run import resume
run = resume(Path(sys.argv[1]), Path(sys.argv[2]))
print(run.digest, run.manifest.truth_digest)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Twin(small()).run(seed=7, out=tmp_path_factory.mktemp("runs") / "whole")


def test_two_runs_in_one_process_have_the_same_digests(whole: Run, tmp_path: Path) -> None:
    again = Twin(small()).run(seed=7, out=tmp_path / "again")
    assert (again.digest, again.manifest.truth_digest) == (whole.digest, whole.manifest.truth_digest)
    assert whole.manifest.entries > 3000


@pytest.mark.parametrize("hash_seed", [0, 4242])
def test_a_fresh_process_under_another_hash_seed_has_the_same_digests(
    whole: Run, fresh_python: Callable[..., str], hash_seed: int
) -> None:
    printed = fresh_python(IN_A_FRESH_PROCESS, hash_seed=hash_seed).split()
    assert printed == [whole.digest, whole.manifest.truth_digest]


def test_another_seed_has_another_digest(whole: Run, tmp_path: Path) -> None:
    other = Twin(small()).run(seed=8, out=tmp_path / "other")
    assert other.digest != whole.digest


def test_the_size_of_the_parts_changes_no_digest(whole: Run, tmp_path: Path) -> None:
    parted = Twin(small({"run": {"part_rows": 500}})).run(seed=7, out=tmp_path / "parted")
    assert len(parted.manifest.parts) > len(whole.manifest.parts)
    assert parted.digest == whole.digest


def test_a_run_resumed_from_a_snapshot_in_a_new_process_ends_as_the_whole_run(  # RC-07
    whole: Run, tmp_path: Path, fresh_python: Callable[..., str]
) -> None:
    snapshot = tmp_path / "day-2.snapshot"
    Twin(small()).run(seed=7, out=tmp_path / "first", until_ms=2 * DAY_MS, snapshot=snapshot)
    printed = fresh_python(RESUMED, str(snapshot), str(tmp_path / "second"), hash_seed=99).split()
    assert printed == [whole.digest, whole.manifest.truth_digest]
    resumed = Run(tmp_path / "second")
    assert resumed.manifest.position > 0
    assert [entry.position for entry in resumed.entries()] == [entry.position for entry in whole.entries()]


def test_a_snapshot_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    snapshot = tmp_path / "day-1.snapshot"
    Twin(small()).run(seed=7, out=tmp_path / "first", until_ms=DAY_MS, snapshot=snapshot)
    snapshot.write_bytes(snapshot.read_bytes()[:-100])
    with pytest.raises(SnapshotError, match="damaged or cut off"):
        resume(snapshot, tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_the_commands_of_a_run_give_the_same_digest_in_the_production_driver(whole: Run, tmp_path: Path) -> None:
    # IM-12: the same engine, fed from outside on a SQLite journal; its timers must come by themselves.
    from adapters.refeed import refeed_run

    digest = refeed_run(whole.entries(), tmp_path / "journal.db")
    assert digest.hex() == whole.digest
