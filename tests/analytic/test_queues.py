"""Little's law, exactly, on the queues of a warehouse: every run, any load, whatever the discipline.

The integral of the number waiting is taken from the lengths of the queues, the sojourn times from the identities of
what waits: neither knows of the other.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.world.small import small
from twin.run import Simulation
from twin.world.warehouse import Warehouse

Waiting = Callable[[Warehouse], list[str]]


def _at_the_pickers(site: Warehouse) -> list[str]:
    return [row[2] for row in site.queue]


def _at_the_dock(site: Warehouse) -> list[str]:
    return [row[2] for waiting in site.dock.values() for row in waiting]


class Watch:
    """Looks at one queue of one warehouse whenever something was done there, within a window."""

    def __init__(self, waiting: Waiting, begin: int, end: int) -> None:
        self.waiting = waiting
        self.begin = begin
        self.end = end
        self.length = 0
        self.since = begin
        self.area = 0
        self.entered: dict[str, int] = {}
        self.sojourns = 0
        self.passed = 0

    def _clip(self, at: int) -> int:
        return min(max(at, self.begin), self.end)

    def look(self, site: Warehouse, now: int) -> None:
        """Note who came and who went."""
        self.area += self.length * (self._clip(now) - self.since)
        self.since = self._clip(now)
        there = self.waiting(site)
        self.length = len(there)
        for key in there:
            self.entered.setdefault(key, now)
        for key in [key for key in self.entered if key not in there]:
            self.sojourns += self._clip(now) - self._clip(self.entered.pop(key))
            self.passed += 1

    def close(self) -> tuple[int, int]:
        """The integral of the number waiting and the sum of sojourns, both clipped to the window, in ms."""
        self.area += self.length * (self.end - self.since)
        self.sojourns += sum(self.end - self._clip(at) for at in self.entered.values())
        return self.area, self.sojourns


@pytest.mark.parametrize(("waiting", "name"), [(_at_the_pickers, "pickers"), (_at_the_dock, "dock")])
def test_the_number_waiting_integrates_to_the_sum_of_sojourns_clipped_to_the_window(
    waiting: Waiting, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # WH-01
    few = [{"id": site.id, "pickers": 1, "pick_time": {"order": "12m"}} for site in small().warehouses]
    scenario = small({"warehouses": few})
    begin, end = scenario.run.start + 30 * 3_600_000, scenario.run.start + 80 * 3_600_000
    watches = {site.id: Watch(waiting, begin, end) for site in scenario.warehouses}

    def watched(method: str) -> None:
        plain = getattr(Warehouse, method)

        def call(site: Warehouse, message: Any) -> None:
            plain(site, message)
            watches[site.node].look(site, site.world.now)

        monkeypatch.setattr(Warehouse, method, call)

    # Everything that moves a job from one place to another is done in one of these.
    for method in ("receive", "open", "finish", "load"):
        watched(method)
    simulation = Simulation.begin(scenario, 1, tmp_path / "run")
    simulation.advance(end)
    sums = {node: watch.close() for node, watch in watches.items()}
    assert all(area == sojourns for area, sojourns in sums.values()), sums
    assert max(area for area, _ in sums.values()) > 0
    assert sum(watch.passed for watch in watches.values()) > 50
    assert any(watch.entered for watch in watches.values()), "nobody is left at the end: nothing is clipped"
