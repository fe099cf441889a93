"""The architecture page shows the stage tables as they are, and names every module of the core."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin.core.stages import AGGREGATES, diagram

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", list(AGGREGATES))
def test_the_architecture_page_shows_the_stages_of_each_aggregate(name: str) -> None:
    assert f"```mermaid\n{diagram(name)}\n```" in (ROOT / "ARCHITECTURE.md").read_text()


def test_the_architecture_page_names_the_modules_that_decide_and_fold() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    modules = [path.name for path in sorted((ROOT / "twin/core").glob("*.py")) if path.name != "__init__.py"]
    supporting = {"draft.py", "entry.py", "master.py", "refusals.py"}
    assert [name for name in modules if f"`{name}`" not in page and name not in supporting] == []
