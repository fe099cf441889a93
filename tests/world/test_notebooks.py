"""The notebooks run as they are shown, and give the digest that the command line gives."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks/first_steps.ipynb"

SAME_RUN = """
import sys
sys.argv = ["twin", "run", "scenarios/demo.yaml", "--out", sys.argv[1], "--seed", "1", "--quiet", "--no-report",
            "--set", "run.horizon=7d", "--set", "run.drain=5d"]
from runpy import run_module
run_module("twin", run_name="__main__")
"""


def printed(notebook: dict) -> str:
    """Everything that the notebook's code cells printed."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    streams = [output for cell in cells for output in cell["outputs"] if output["output_type"] == "stream"]
    return "".join("".join(output["text"]) for output in streams)


def digest_in(notebook: dict) -> str:
    """The digest that the notebook prints last."""
    found = re.search(r"digest: ([0-9a-f]{32})", printed(notebook))
    assert found is not None
    return found[1]


# The kernel's own messaging warns about its transport and leaves sockets to the collector.
@pytest.mark.filterwarnings("ignore")
def test_the_notebook_runs_and_prints_the_digest_of_the_command_line(
    tmp_path: Path, fresh_python: Callable[..., str]
) -> None:
    import jupytext
    from nbclient import NotebookClient

    shown = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    notebook = jupytext.read(NOTEBOOK)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    digest = digest_in(notebook)
    assert digest == digest_in(shown), "the notebook shows an older result: execute it anew"
    fresh = SAME_RUN.replace("sys.argv[1]", repr(str(tmp_path / "run")), 1)
    try:
        fresh_python(fresh, hash_seed=5)
    except AssertionError as left:
        # The command leaves through SystemExit(0) or returns; anything else is a failure.
        pytest.fail(str(left))
    assert json.loads((tmp_path / "run/manifest.json").read_text())["digest"] == digest
