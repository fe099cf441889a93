"""Metastable failure through the engine's delivery layer and an interface of the world (after Bronson et al. 2021).

Every scenario under scenarios/validation/metastable expects that the system recovers from its outage, or that it does
not. In full each runs under seeds 1 to 5, never chosen; the sample is one case of either outcome under seed 1.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from twin.run import load
from twin.scenario.expect import MeasureBound

FOLDER = Path(__file__).resolve().parents[2] / "scenarios" / "validation" / "metastable"
CASES = sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem != "base")
RECOVER = ["bound_200", "breaker", "budget_200", "expired_dropped", "lifo", "load_145", "outage_1s"]
STAY_DOWN = ["bound_400", "budget_280", "jitter", "load_155", "load_200", "outage_2s"]
SEEDS = range(1, 6)


def recovers(name: str, seed: int, folder: Path) -> bool:
    """Whether 95 % of the load is answered in time at the end."""
    measured = load(FOLDER / f"{name}.yaml").run(seed, folder / f"{name}-{seed}").measures["goodput"]
    assert measured.denominator, "nothing was asked for at the end"
    return measured.value > 0.95


def test_the_scenarios_expect_what_the_table_says() -> None:
    for name in CASES:
        bounds = [one for one in load(FOLDER / f"{name}.yaml").scenario.expect if isinstance(one, MeasureBound)]
        assert [one.name for one in bounds] == ["goodput"]
        assert (bounds[0].at_least is not None) == (name in RECOVER)
        assert (bounds[0].at_most is not None) == (name in STAY_DOWN)
    assert sorted(RECOVER + STAY_DOWN) == CASES


@pytest.mark.parametrize(("name", "expected"), [("expired_dropped", True), ("bound_400", False)])
def test_a_sample_of_the_table_under_one_seed(name: str, expected: bool, tmp_path: Path) -> None:
    # RC-01, RC-09
    assert recovers(name, 1, tmp_path) is expected


@pytest.mark.deep
@pytest.mark.parametrize("name", CASES)
def test_every_seed_recovers_or_none_does(name: str, tmp_path: Path) -> None:
    # RC-01, RC-02, RC-09
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(recovers, [name] * len(SEEDS), SEEDS, [tmp_path] * len(SEEDS)))
    assert found == [name in RECOVER] * len(SEEDS)
