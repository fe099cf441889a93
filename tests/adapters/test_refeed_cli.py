"""`twin refeed`: a run's commands through the production driver, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.world.small import small
from twin.cli.app import app
from twin.run import Run, Twin


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Twin(small({"run": {"horizon": "1d", "drain": "0d"}})).run(out=tmp_path_factory.mktemp("runs") / "run")


def test_a_run_is_repeated_by_the_production_driver_to_the_same_digest(run: Run, tmp_path: Path) -> None:  # IM-12
    done = CliRunner().invoke(app, ["refeed", str(run.folder), "--journal", str(tmp_path / "journal.db")])
    assert done.exit_code == 0, done.output
    assert done.output.count(run.digest) == 2
    assert f"repeated all {run.manifest.entries:,} entries" in done.output


def test_an_unknown_kind_of_journal_is_refused_by_name(run: Run, tmp_path: Path) -> None:
    asked = ["refeed", str(run.folder), "--journal", str(tmp_path / "journal.db"), "--kind", "clay"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code != 0
    assert "no journal of kind 'clay'" in str(done.exception)
    assert "sqlite" in str(done.exception)
    assert not (tmp_path / "journal.db").exists()
