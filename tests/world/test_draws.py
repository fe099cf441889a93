"""What is drawn for demand and transit belongs to the order and the shipment, and nothing else moves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.world.small import small
from twin.core.commands import CaptureOrder
from twin.log import read_truth
from twin.run import Run, Twin

UNRELATED: dict[str, Any] = {
    "regions": ["uk_north", "uk_midlands", "uk_south", "eu", "overseas", "island"],
    "warehouses": [{"id": "remote", "calendar": "weekdays"}],
    "items": [{"id": "anvil", "price": "9.00 GBP", "cost": "4.00 GBP", "supplier": "northfield"}],
    "stock": [{"warehouse": "remote", "item": "anvil", "on_hand": 50}],
    "assortment": {"warehouses": ["north", "midlands", "south"]},
}


def demand(run: Run) -> list[CaptureOrder]:
    """Every order as its channel sent it."""
    return [entry.command for entry in run.entries() if isinstance(entry.command, CaptureOrder)]


def transits(run: Run) -> dict[str, int]:
    """Transit in ms by shipment."""
    return {row.subject: row.quantity for row in read_truth(run.folder) if row.type == "shipment.collected"}


def lead_times(run: Run) -> dict[str, int]:
    """Lead time in ms by purchase order."""
    return {row.subject: row.quantity for row in read_truth(run.folder) if row.type == "purchase.lead_time"}


def test_an_unrelated_warehouse_and_item_leave_every_demand_and_transit_draw_as_it_was(tmp_path: Path) -> None:
    base = Twin(small()).run(seed=3, out=tmp_path / "base")
    scenario = small()
    lanes = [*scenario.plain()["lanes"], {"from": "remote", "to": "island", "carrier": "air_link", "transit": "2d"}]
    grown = Twin(small({**UNRELATED, "lanes": lanes})).run(seed=3, out=tmp_path / "grown")
    assert len(demand(base)) > 100
    assert demand(grown) == demand(base)
    assert len(transits(base)) > 100
    assert transits(grown) == transits(base)
    assert lead_times(grown) == lead_times(base)


def test_a_rerouted_order_changes_no_other_draw(tmp_path: Path) -> None:
    # Another sourcing rule sends parcels from other sites: demand is untouched, and so is every shipment in both.
    base = Twin(small()).run(seed=3, out=tmp_path / "base")
    rules = {"policies": {"sourcing": {"rules": ["most_stock"]}}}
    other = Twin(small(rules)).run(seed=3, out=tmp_path / "other")
    assert demand(other) == demand(base)
    before, after = transits(base), transits(other)
    both = [shipment for shipment in before if shipment in after]
    assert len(both) > 20
    assert len(after) != len(before)


def test_a_spiking_channel_leaves_the_demand_of_the_others_as_it_was(tmp_path: Path) -> None:
    base = Twin(small()).run(seed=3, out=tmp_path / "base")
    more = small({"channels": [{"id": "web", "demand": {"orders": "300/week"}}]})
    spiked = Twin(more).run(seed=3, out=tmp_path / "spiked")

    def others(run: Run) -> list[tuple[str, int, Any]]:
        return [(order.order, order.time, order.lines) for order in demand(run) if order.channel != "web"]

    assert len(demand(spiked)) > len(demand(base)) + 50
    assert others(spiked) == others(base)
