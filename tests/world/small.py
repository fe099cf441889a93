"""A small business for tests: the demo with fewer items and days."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twin.scenario import Scenario, load

ROOT = Path(__file__).resolve().parents[2]
SMALL: dict[str, Any] = {"run": {"horizon": "4d", "drain": "2d"}, "assortment": {"count": 250}}


def small(changes: dict[str, Any] | None = None) -> Scenario:
    """The demo's business with 250 items over four days and two more to drain."""
    scenario = load(ROOT / "scenarios/demo.yaml", SMALL)
    return scenario if changes is None else scenario.with_changes(changes)
