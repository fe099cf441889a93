"""Every entry point that the project declares is looked up by name in `twin`, and leads to something."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path

import pytest


def declared(root: Path) -> dict[str, dict[str, str]]:
    """The project's entry points by group and name, but for that of pytest, which pytest looks up."""
    groups: dict[str, dict[str, str]] = tomllib.loads((root / "pyproject.toml").read_text())["project"]["entry-points"]
    assert groups.pop("pytest11") == {"ordertwin": "twin.pytest_plugin"}
    assert groups
    return groups


def test_every_group_of_entry_points_is_looked_up_somewhere(root: Path) -> None:
    sources = "\n".join(path.read_text() for path in sorted((root / "twin").rglob("*.py")))
    assert [group for group in declared(root) if f'"{group}"' not in sources] == []


def test_every_entry_point_leads_to_something_callable(root: Path) -> None:
    for points in declared(root).values():
        for target in points.values():
            module, _, name = target.partition(":")
            assert callable(getattr(import_module(module), name)), target


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_the_pages_speak_of_the_groups_that_there_are(root: Path, page: str) -> None:
    text = (root / page).read_text()
    kinds = {
        "ordertwin.order_books": "order-book sources",
        "ordertwin.openings": "sources of openings",
        "ordertwin.decisions": "clients of decision services",
        "ordertwin.event_logs": "logs of foreign businesses",
        "ordertwin.refeeds": "refeeds",
        "ordertwin.run_imports": "exported runs",
    }
    assert list(declared(root)) == list(kinds)
    assert "ordertwin.journals" not in text
    assert all(group in text or words in text for group, words in kinds.items())
