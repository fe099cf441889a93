"""The curve over a stock feed's buffer: what one run gives to it, and how it is told."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from twin.experiment.buffer_curve import CURVES, PAIRED, _run, curve, table
from twin.experiment.statistics import t_interval
from twin.scenario import load


def test_a_buffer_above_all_stock_sells_nothing_and_so_oversells_nothing(root: Path) -> None:
    freeze = {"kind": "outage", "interface": "listing", "from": "9h", "for": "2h"}
    changes = {"run": {"horizon": "1d", "drain": "1d"}, "faults": [freeze]}
    scenario = load(root / "scenarios/stories/stale_feed.yaml", changes)
    key, (over, under, both, rate) = _run((scenario, "market", True, 10_000, 1))
    assert key == (True, 10_000)
    assert (over, rate) == (0, 0)
    assert under == both > 100


def test_the_table_has_a_row_a_point_with_its_intervals() -> None:
    intervals = tuple(t_interval([Fraction(1), Fraction(3)], 950_000) for _ in (*CURVES, PAIRED))
    rows = table({(True, 0): intervals, (False, 4): intervals}).splitlines()
    assert rows[2] == "| yes | 0 | 2.0 ± 12.7 | 2.0 ± 12.7 | 2.0 ± 12.7 | 200.00 ± 1270.62 % | +2.0 ± 12.7 |"
    assert rows[3].startswith("| no | 4 |")


def test_the_difference_to_the_first_buffer_is_taken_seed_by_seed(root: Path) -> None:
    scenario = load(root / "scenarios/stories/stale_feed.yaml", {"run": {"horizon": "1d", "drain": "1d"}, "faults": []})
    points = curve(scenario, "market", [0, 99], 3, 1)
    first, second = points[False, 0], points[False, 99]
    assert (first[-1].mean, first[-1].half_width) == (0, 0)
    both = CURVES.index("sum")
    assert second[-1].mean == second[both].mean - first[both].mean > 0
    alone = [_run((scenario, "market", False, buffer, seed))[1][both] for seed in (1, 2, 3) for buffer in (99, 0)]
    assert second[-1] == t_interval([alone[index] - alone[index + 1] for index in (0, 2, 4)], 950_000)
