"""What a variant's rules change in a business under way is what it changes of the base, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.world.stage import DAY, HOUR, tiny
from tests.world.test_marketplace import market
from tests.world.test_master_data import business
from twin.experiment import warm_start
from twin.experiment.warm_start import cannot_take_over
from twin.run import Simulation
from twin.scenario import Scenario

RUN = {"start": "2025-11-17T00:00Z", "horizon": "10d", "drain": "2d", "seed": 1}
HOURLY = {"kind": "periodic", "every": "6h", "item": "mug", "quantity": 1, "region": "home"}


def both(base: Scenario, change: dict[str, Any], folder: Path) -> tuple[Simulation, Simulation]:
    """The variant from a warm base of a day, and from its own start, at the instant of the fork."""
    variant = base.with_changes(change)
    told = warm_start.change_of(base, variant)
    warm = Simulation.begin(base, 1, folder / "warm")
    warm_start.remember(warm.world, told)
    warm.advance(base.run.start + DAY)
    fork = warm.fork(folder / "fork")
    fork.scenario = variant
    warm_start.take_over(fork, warm_start.change_of(base, variant))
    cold = Simulation.begin(variant, 1, folder / "cold")
    cold.advance(base.run.start + DAY)
    return fork, cold


def extended(simulation: Simulation) -> int:
    return simulation.driver.engine.state.policies.promise_extra_ms


def minimum(simulation: Simulation) -> int:
    return simulation.driver.engine.state.suppliers["mill"].minimum_order


def feed(simulation: Simulation) -> tuple[bool, int]:
    state = simulation.driver.engine.state
    return state.channels["market"].feed_closed, simulation.world.marketplaces["market"].listing["mug"].units


EXTENDED = tiny(
    {
        "run": {"horizon": "10d", "drain": "2d"},
        "channels": [{"id": "web", "demand": {"kind": None, **HOURLY}}],
        "interventions": [{"id": "e", "kind": "extend_promises", "by": "3d", "at": "1h", "for": "5d"}],
    }
)
ZEROED = {"id": "z", "kind": "zero_feed", "channel": "market", "at": "1h", "for": "4d"}


@pytest.mark.parametrize(
    ("base", "change", "look", "now"),
    [
        (EXTENDED, {"policies": {"delivery": {"erp": {"timeout": "7s"}}}}, extended, 3 * DAY),
        (
            business({"at": "1h", "supplier": "mill", "minimum_order": 50}, run={"horizon": "10d", "drain": "2d"}),
            {"channels": [{"id": "web", "safety_stock": 5}]},
            minimum,
            50,
        ),
        (market(interventions=[ZEROED], run=RUN), {"channels": [{"id": "market", "safety_stock": 5}]}, feed, (True, 0)),
    ],
    ids=["a promise extended by somebody", "a record from the ERP", "a feed that somebody closed"],
)
def test_what_has_changed_since_the_base_began_stays(
    base: Scenario, change: dict[str, Any], look: Callable[[Simulation], object], now: object, tmp_path: Path
) -> None:
    fork, cold = both(base, change, tmp_path)
    assert look(fork) == look(cold) == now
    for simulation in (fork, cold):
        simulation.advance(base.run.start + 6 * DAY)
    assert look(fork) == look(cold)


def test_a_cut_of_the_pickers_is_one_of_those_that_the_variant_has(tmp_path: Path) -> None:
    cut = {"kind": "capacity_cut", "warehouse": "main", "to": "50%", "from": "20h", "for": "40h"}
    site = {"id": "main", "pickers": 4, "pick_time": {"order": "20m"}}
    base = tiny({"run": {"horizon": "5d", "drain": "2d"}, "warehouses": [site], "disruptions": [cut]})
    fork, cold = both(base, {"warehouses": [{"id": "main", "pickers": 20}]}, tmp_path)
    assert [each.world.warehouses["main"].free_pickers for each in (fork, cold)] == [10, 10]
    for simulation in (fork, cold):
        simulation.advance(base.run.start + 3 * DAY)
    assert [each.world.warehouses["main"].free_pickers for each in (fork, cold)] == [20, 20]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"faults": [{"kind": "outage", "interface": "wms", "from": "9h", "for": "2h"}]}, "fault/outage:wms/wms"),
        (
            {"disruptions": [{"kind": "warehouse_closed", "warehouse": "main", "from": "9h", "for": "2h"}]},
            "disruption/warehouse_closed:main",
        ),
        ({"interventions": [{"kind": "stop_ship", "at": "9h"}]}, "intervention/stop_ship"),
    ],
)
def test_what_is_over_before_the_fork_is_refused_and_not_left_out_in_silence(change: dict[str, Any], what: str) -> None:
    base = tiny(
        {
            "run": {"horizon": "5d", "drain": "2d"},
            "channels": [{"id": "web", "demand": {"kind": None, **HOURLY}}],
            "interfaces": [{"id": "wms", "to": "warehouse/main"}],
        }
    )
    variant = base.with_changes(change)
    assert cannot_take_over(base, variant, DAY) == [f"{what}, which is over before its variants part"]
    assert cannot_take_over(base, variant, 8 * HOUR) == []
