"""The real engine and world against textbook results, through the scenarios under scenarios/validation.

Each reference stands in a scenario file; here it is computed anew, so that a wrong one cannot be met by a wrong twin.
"""

from __future__ import annotations

from math import erf, exp, pi, sqrt
from pathlib import Path

import pytest

from twin.experiment import Verdict, check
from twin.scenario import load
from twin.scenario.expect import MeasureBound, Reference

FOLDER = Path(__file__).resolve().parents[2] / "scenarios" / "validation"
CASES = sorted(path.name for path in FOLDER.glob("*.yaml"))
HOUR_MS = 3_600_000


def _failed(verdicts: list[Verdict]) -> list[str]:
    return [
        f"{one.expectation}: expected {one.expected}, found {one.found} [{one.interval}]; {one.reproduce}"
        for one in verdicts
        if not one.holds
    ]


@pytest.mark.parametrize("name", CASES)
def test_a_sample_of_the_seeds_agrees_with_the_textbook(name: str) -> None:
    # PU-09, WH-01
    verdicts = check([FOLDER / name])
    assert verdicts
    assert not _failed(verdicts)


@pytest.mark.deep
@pytest.mark.parametrize("name", CASES)
def test_all_seeds_agree_with_the_textbook_in_a_narrow_interval(name: str) -> None:
    # PU-09, WH-01
    assert not _failed(check([FOLDER / name], full=True, workers=2))


# --- the references, computed again


def _poisson(mean: float, terms: int = 400) -> list[float]:
    chances = [exp(-mean)]
    for count in range(1, terms):
        chances.append(chances[-1] * mean / count)
    return chances


def _newsvendor(target: float, mean: float, deviation: float, holding: float, penalty: float) -> float:
    """Expected cost of a base stock under normal demand (Snyder and Shen, equation 4.6)."""
    z = (target - mean) / deviation
    short = deviation * (exp(-z * z / 2) / sqrt(2 * pi) - z * (1 - (1 + erf(z / sqrt(2))) / 2))
    return holding * (target - mean + short) + penalty * short


def _r_q(r: int, q: int, rate: float, lead: float, holding: float, penalty: float, order: float) -> float:
    """Cost rate of (r,Q): the position is uniform on r + 1 to r + Q (Hadley and Whitin 1963)."""
    demand = _poisson(rate * lead)
    cost = 0.0
    for position in range(r + 1, r + q + 1):
        for units, chance in enumerate(demand):
            cost += chance * (holding * max(0, position - units) + penalty * max(0, units - position))
    return (order * rate + cost) / q


def _s_s(low: int, up: int, mean: float, holding: float, penalty: float, order: float) -> float:
    """Cost a period of (s,S) by the renewal argument (Veinott and Wagner 1965).

    A cycle begins at S after an order; m(j) is how often a period begins j units below S in it.
    """
    demand = _poisson(mean)
    visits: list[float] = []
    for below in range(up - low):
        known = sum(visits[before] * demand[below - before] for before in range(below))
        visits.append(((1.0 if below == 0 else 0.0) + known) / (1 - demand[0]))
    cost = order
    for below, times in enumerate(visits):
        start = up - below
        for units, chance in enumerate(demand):
            cost += times * chance * (holding * max(0, start - units) + penalty * max(0, units - start))
    return cost / sum(visits)


def _erlang_c(rate: float, servers: int) -> float:
    """Mean wait before service of M/M/c with a service rate of 1 (Erlang 1917)."""
    term, total = 1.0, 1.0
    for busy in range(1, servers):
        term *= rate / busy
        total += term
    last = term * rate / servers / (1 - rate / servers)
    return last / (total + last) / (servers - rate)


def _short_share(r: int, q: int, mean: float) -> float:
    demand = _poisson(mean)
    below = [sum(demand[position:]) for position in range(r + 1, r + q + 1)]
    return sum(below) / q


def _mean_on_hand(r: int, q: int, mean: float) -> float:
    return _r_q(r, q, mean, 1.0, 1.0, 0.0, 0.0)


REFERENCES = [
    ("eoq.yaml", "total_cost_per_period", 100 * sqrt(2 * 8 * 1300 * 0.225) / 365),
    ("eoq.yaml", "mean_on_hand", 1000 * sqrt(2 * 8 * 1300 / 0.225) / 2),
    ("eoq_backorders.yaml", "total_cost_per_period", 100 * sqrt(2 * 8 * 1300 * 0.225 * 5 / 5.225) / 365),
    ("newsvendor_lead0.yaml", "holding_and_penalty_cost_per_period", 100 * _newsvendor(56.604, 50, 8, 0.18, 0.7)),
    (
        "newsvendor_lead4.yaml",
        "holding_and_penalty_cost_per_period",
        100 * _newsvendor(264.7669, 250, 8 * sqrt(5), 0.18, 0.7),
    ),
    ("s_s_poisson6.yaml", "total_cost_per_period", 100 * _s_s(4, 10, 6, 1, 4, 5)),
    ("r_q_3_5.yaml", "total_cost_per_period", 100 * _r_q(3, 5, 1.5, 2, 20, 150, 100)),
    ("r_q_60_50.yaml", "unfilled_share", _short_share(60, 50, 50)),
    ("r_q_60_50.yaml", "mean_on_hand", _mean_on_hand(60, 50, 50)),
    ("queue_mm1.yaml", "order_to_ship", (_erlang_c(0.75, 1) + 1) * HOUR_MS),
    ("queue_mm3.yaml", "order_to_ship", (_erlang_c(2, 3) + 1) * HOUR_MS),
    ("interface_mm1.yaml", "order_to_ship", (_erlang_c(0.75, 1) + 1) * HOUR_MS),
    ("interface_mm3.yaml", "order_to_ship", (_erlang_c(2, 3) + 1) * HOUR_MS),
    ("interface_mm5.yaml", "order_to_ship", (_erlang_c(4, 5) + 1) * HOUR_MS),
]


@pytest.mark.parametrize(("name", "measure", "value"), REFERENCES)
def test_the_reference_in_the_file_is_what_the_formula_gives(name: str, measure: str, value: float) -> None:
    expected = next(
        one for one in load(FOLDER / name).expect if isinstance(one, MeasureBound | Reference) and one.name == measure
    )
    stated = expected.value if isinstance(expected, Reference) else expected.equals
    assert stated is not None
    assert float(stated) == pytest.approx(value, rel=1e-4)


def test_every_reference_of_every_case_is_computed_again() -> None:
    stated = {
        (name, one.name)
        for name in CASES
        for one in load(FOLDER / name).expect
        if isinstance(one, Reference) or (isinstance(one, MeasureBound) and one.name != "purchase_orders")
    }
    assert stated == {(name, measure) for name, measure, _ in REFERENCES}


def test_ordering_only_below_the_level_would_cost_visibly_more_than_the_references_allow() -> None:
    assert _s_s(3, 10, 6, 1, 4, 5) == pytest.approx(8.16192, rel=1e-5)
    assert _r_q(2, 5, 1.5, 2, 20, 150, 100) == pytest.approx(110.595999, rel=1e-6)
    assert _short_share(59, 50, 50) == pytest.approx(0.007518, rel=1e-4)
