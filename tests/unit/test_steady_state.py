"""Back to the steady state after a fault, or not, and what frees a business that stays down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.world.stage import tiny
from twin.cli.app import main
from twin.experiment.steady_state import CUTS, Recovery, Series, Settings, first_return, recoveries
from twin.scenario import Scenario, load

ROOT = Path(__file__).resolve().parents[2]
METASTABLE = ROOT / "scenarios" / "validation" / "metastable"
SHORT: dict[str, Any] = {
    "run": {"horizon": "50s", "warmup": "40s"},
    "faults": [{"kind": "outage", "interface": "wms", "from": "8s", "for": "5s"}],
    "expect": None,
}


def short(name: str, **changes: Any) -> Scenario:
    return load(METASTABLE / f"{name}.yaml", SHORT | changes)


def only(scenario: Scenario, **settings: int) -> Recovery:
    (found,) = recoveries(scenario, 1, Settings(**settings))
    return found


def test_an_interface_that_drops_what_has_expired_returns_and_clears_its_backlog() -> None:  # RC-15
    found = only(short("expired_dropped"))
    assert (found.partner, found.began_at - found.ended_at) == ("warehouse/site", -5_000)
    assert not found.metastable and found.freed_by is None
    assert found.returned_after is not None and found.returned_after < 10_000
    # Its backlog of five seconds and its repetitions are more than it has without the fault.
    assert found.cleared_after is not None and found.cleared_after > 0
    assert found.overshoot_sent > 0


def test_one_near_its_capacity_stays_down_and_a_large_enough_cut_of_the_load_frees_it() -> None:  # RC-15
    found = only(short("load_200"))
    assert found.metastable
    assert found.returned_after is None and found.cleared_after is None
    assert found.goodput < found.load / 2
    # With one repetition 300 calls a second are no more than 150 orders: less than a quarter off frees nothing.
    assert found.freed_by is not None and found.freed_by in CUTS
    assert found.freed_by >= 25
    assert 0 < found.cut_ms < found.quiet_ms


def test_the_same_seed_finds_the_same() -> None:
    scenario = load(ROOT / "scenarios" / "drills" / "outage_erp.yaml")
    assert recoveries(scenario, 1) == recoveries(scenario, 1)


def test_without_a_difference_it_returns_at_once() -> None:
    calm = {"faults": [{"kind": "outage", "interface": "wms", "from": "8s", "for": "1ms"}], "run": SHORT["run"]}
    found = only(load(METASTABLE / "load_145.yaml", SHORT | calm))
    assert not found.metastable and found.returned_after is not None
    assert found.returned_after <= 1_000


def answered(*windows: int) -> Series:
    """Messages answered in windows of one bin."""
    return Series(good=list(windows))


@pytest.mark.parametrize(
    ("answers", "returned"),
    [
        ((0, 50, 95, 100, 100, 100), 2),
        # What is answered at once after a fault, and then no more, is no return; nor is one that was not there before.
        ((180, 100, 20, 0, 0, 0), None),
        ((100, 100, 100, 100, 100, 60), None),
        ((0, 0, 0, 0, 0, 100), 5),
    ],
)
def test_a_return_holds_up_to_the_end_of_the_quiet_time(answers: tuple[int, ...], returned: int | None) -> None:
    # RC-15
    assert first_return(answered(*answers), answered(*[100] * 6), 0, 6, Settings(6, 1)) == returned


def test_a_window_in_which_nothing_is_answered_without_the_fault_either_shows_no_return() -> None:  # RC-15
    assert first_return(answered(0, 0, 9, 9), answered(0, 0, 9, 9), 0, 4, Settings(4, 1)) == 2
    assert first_return(answered(0, 0, 0, 0), answered(0, 0, 0, 0), 0, 4, Settings(4, 1)) is None
    daily = {"kind": "periodic", "at": "9h", "every": "1d", "item": "mug", "quantity": 1, "region": "home"}
    outage = {"kind": "outage", "interface": "books", "calls": "turned_away"}
    scenario = tiny(
        {
            "run": {"horizon": "5d", "drain": "2d"},
            "channels": [{"id": "web", "demand": {"kind": None, **daily}}],
            "interfaces": [{"id": "books", "to": "erp"}],
            "faults": [outage | {"from": "1d10h", "for": "1h"}, outage | {"from": "4d10h", "for": "5h"}],
        }
    )
    early, late = recoveries(scenario, 1)
    # The next message after the first outage is a day later, and after the other no more comes in.
    assert early.returned_after is not None and early.returned_after > 15 * 3_600_000
    assert early.usual > 0
    assert (late.returned_after, late.usual, late.metastable) == (None, 0, False)


def test_a_cut_of_the_load_frees_one_with_periodic_demand_too() -> None:  # RC-15
    periodic = {"kind": "periodic", "every": "5ms", "item": "unit", "quantity": 1, "region": "home"}
    found = only(short("load_200", channels=[{"id": "customers", "demand": {"kind": None, **periodic}}]))
    assert found.metastable
    assert found.freed_by is not None and 25 <= found.freed_by < 95


def test_a_way_out_begins_a_window_after_the_end_of_its_own_fault() -> None:
    # A window after the end of the first the second is hardly over, and a smaller cut would do from there.
    outages = [
        {"kind": "outage", "interface": "wms", "from": begin, "for": lasts}
        for begin, lasts in (("8s", "100ms"), ("8500ms", "4s"))
    ]
    wide = Settings(200, 30)
    first, second = recoveries(short("load_200", faults=outages), 1, wide)
    assert second.metastable and not first.metastable
    (alone,) = recoveries(short("load_200", faults=outages[1:]), 1, wide)
    assert second.freed_by == alone.freed_by


def test_a_disruption_is_judged_by_all_partners_together() -> None:
    drill = load(ROOT / "scenarios" / "drills" / "warehouse_closed.yaml")
    (found,) = recoveries(drill, 1)
    assert found.partner == "*" and not found.metastable


def test_the_command_tells_of_each_fault(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    drill = str(ROOT / "scenarios" / "drills" / "outage_erp.yaml")
    assert main(["recover", drill, "--quiet", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["partner"] == "erp" and told["metastable"] is False
    stuck = tmp_path / "stuck.yaml"
    stuck.write_text(short("load_200").to_yaml(tmp_path))
    assert main(["recover", str(stuck), "--quiet"]) == 1
    said = capsys.readouterr().out
    assert "it is freed by" in said and "YES" in said
    assert main(["recover", str(ROOT / "scenarios" / "minimal.yaml")]) == 2
    assert "nothing goes wrong in it" in capsys.readouterr().err


@pytest.mark.deep
@pytest.mark.parametrize(
    ("name", "stays"), [("load_145", False), ("load_155", True), ("lifo", False), ("jitter", True)]
)
def test_the_flag_agrees_with_the_table(name: str, stays: bool) -> None:  # RC-15
    scenario = load(METASTABLE / f"{name}.yaml")
    assert only(scenario).metastable is stays


def test_a_fault_that_is_over_while_another_holds_has_no_quiet_time() -> None:  # RC-15
    minutely = {"kind": "periodic", "every": "1m", "item": "mug", "quantity": 1, "region": "home"}
    outage = {"kind": "outage", "interface": "wms", "calls": "turned_away"}
    faults = [{"id": "a", **outage, "from": "1h", "for": "20m"}, {"id": "b", **outage, "from": "70m", "for": "9h"}]

    def found(*chosen: dict[str, Any]) -> list[Recovery]:
        changes = {
            "run": {"horizon": "10h", "drain": "1d"},
            "channels": [{"id": "web", "demand": {"kind": None, **minutely}}],
            "stock": [{"warehouse": "main", "item": "mug", "on_hand": 2_000}],
            "interfaces": [{"id": "wms", "to": "warehouse/main"}],
            "faults": list(chosen),
        }
        return recoveries(tiny(changes), 1)

    (alone,) = found(faults[0])
    assert alone.returned_after is not None and alone.quiet_ms > 0
    overlapped = found(*faults)[0]
    assert (overlapped.fault.partition(" ")[0], overlapped.quiet_ms) == ("a", 0)
    assert overlapped.returned_after is None and not overlapped.metastable


def test_a_wave_between_the_ends_of_two_bins_is_counted() -> None:  # RC-15
    minutely = {"kind": "periodic", "every": "1m", "item": "mug", "quantity": 1, "region": "home"}
    held = {"kind": "outage", "interface": "wms", "calls": "held", "from": "2h", "for": "22m"}
    scenario = tiny(
        {
            "run": {"horizon": "10h", "drain": "1d"},
            "channels": [{"id": "web", "demand": {"kind": None, **minutely}}],
            "stock": [{"warehouse": "main", "item": "mug", "on_hand": 2_000}],
            "interfaces": [{"id": "wms", "to": "warehouse/main"}],
            "faults": [held],
            "policies": {"delivery": {"default": {"timeout": "1h"}}},
        }
    )
    # In steps of half an hour the outage begins and is over, and its queue drained, between two ends.
    (found,) = recoveries(scenario, 1, Settings(20, 2))
    assert found.overshoot_backlog >= 20
    assert found.returned_after is not None and not found.metastable


def test_traffic_is_no_backlog_that_stays() -> None:  # RC-15
    # A spike sells one of two items out: its customers are refused from then on, and nothing waits for anything.
    def asked(item: str, rate: str) -> dict[str, Any]:
        return {"kind": None} | {"kind": "poisson", "rate": rate, "items": {item: 1}, "regions": {"home": 1}}

    shop = {"style": "ecommerce", "on_shortage": "reject", "requested": "2d"}
    scenario = tiny(
        {
            "run": {"horizon": "10d", "drain": "2d"},
            "items": [{"id": id, "price": "4.50 GBP", "cost": "2.00 GBP"} for id in ("mug", "cup")],
            "channels": [
                {"id": "web", "on_shortage": "reject", "demand": asked("mug", "6/h")},
                {"id": "two", **shop, "demand": asked("cup", "6/h")},
            ],
            "stock": [{"warehouse": "main", "item": id, "on_hand": on} for id, on in (("mug", 5_000), ("cup", 1_600))],
            "disruptions": [{"kind": "demand_spike", "channel": "two", "by": "900%", "from": "1d", "for": "1d"}],
        }
    )
    (found,) = recoveries(scenario, 1)
    assert found.returned_after is None and found.cleared_after is not None
    assert not found.metastable
