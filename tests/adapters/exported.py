"""Runs for the tests of what is exported and read back."""

from __future__ import annotations

from pathlib import Path

from tests.unit.log_samples import DAY, START, busy_week
from twin.log import RunLog, manifest_of, write_manifest


def busy_run(folder: Path) -> Path:
    """A week with some of everything, without the truth, as production would have it."""
    log = RunLog(folder, part_rows=50)
    busy_week(log)
    manifest = manifest_of(
        log,
        title="A busy week",
        scenario_digest="",
        seed=1,
        versions={"ordertwin": "test"},
        start_ms=START,
        end_ms=START + 7 * DAY,
        currency="EUR",
    )
    write_manifest(folder, manifest)
    return folder
