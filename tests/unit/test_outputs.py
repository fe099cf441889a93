"""Files that a command writes: whole or not at all, and only where a file belongs."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from twin.cli.calibrating import _check_out, _write_rest
from twin.cli.failures import InputError
from twin.cli.outputs import check_output, write_output


def test_what_a_link_leads_to_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    kept = tmp_path / "kept.html"
    kept.write_text("<!doctype html>old", encoding="utf-8")
    link = tmp_path / "link.html"
    link.symlink_to(kept)
    write_output("--out", link, "a page", "<!doctype html>new")
    assert link.is_symlink()
    assert kept.read_text(encoding="utf-8") == "<!doctype html>new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.html", "link.html"]


def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.html")
    with pytest.raises(InputError, match=r"--out .*pipe\.html: it is no file but a device or a pipe; give a file"):
        write_output("--out", tmp_path / "pipe.html", "a page", "<!doctype html>")
    with pytest.raises(InputError, match="it is no file but a device"):
        check_output("--out", Path(os.devnull), "a page")


def test_a_calibrated_scenario_and_its_rest_go_where_a_file_belongs_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(InputError, match=r"pipe\.yaml: it is no file but a device or a pipe; give a file"):
        _check_out(tmp_path / "pipe.yaml", "# Calibrated", [])
    (tmp_path / "kept.parquet").write_bytes(b"PAR1")
    (tmp_path / "link.parquet").symlink_to(tmp_path / "kept.parquet")
    _write_rest(pa.table({"at": [1]}), tmp_path / "link.parquet")
    assert (tmp_path / "link.parquet").is_symlink()
    assert (tmp_path / "kept.parquet").stat().st_size > 4
