"""What an experiment says of its own certainty, against textbook cases whose answer is known.

The runs are short, so that there can be many: what counts here is how often an interval is right, not how narrow it is.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from twin.experiment.comparing import compared, holm
from twin.experiment.executors import executing_by, in_any_order
from twin.experiment.statistics import t_interval
from twin.experiment.trial import trial_of, try_out
from twin.measures.measured import Exact
from twin.scenario import load

FOLDER = Path(__file__).resolve().parents[2] / "scenarios" / "validation"
LEVEL = 950_000
SEEDS = 10
CASES = [
    ("newsvendor_lead0", "holding_and_penalty_cost_per_period", Fraction("199.7605")),
    ("s_s_poisson6", "total_cost_per_period", Fraction("803.4112")),
]


def values_of(name: str, measure: str, runs: int, workers: int) -> list[Exact]:
    """The measure under seeds 1 to `runs`, over fifty days after ten of warm-up."""
    scenario = load(FOLDER / f"{name}.yaml", {"run": {"horizon": "60d", "warmup": "10d"}, "expect": None})
    trials = [trial_of(name, "base", scenario, seed) for seed in range(1, runs + 1)]
    found: dict[int, Exact] = {}
    for one in in_any_order(try_out, trials, executing_by(None, workers)):
        (value,) = [row.value for row in one.rows if row.measure == measure]
        assert value is not None
        found[one.seed] = value
    return [found[seed] for seed in range(1, runs + 1)]


def covering(values: list[Exact], answer: Fraction) -> int:
    """How many of the experiments of ten seeds have an interval that holds the answer."""
    cut = [values[first : first + SEEDS] for first in range(0, len(values), SEEDS)]
    return sum([t_interval(part, LEVEL).holds(answer) for part in cut])


def flagged(values: list[Exact]) -> tuple[int, int, int]:
    """Comparisons of the policy with itself on other seeds: their number, those with p ≤ 5 %, and those after Holm."""
    cut = [values[first : first + SEEDS] for first in range(0, len(values), SEEDS)]
    ps = []
    for before, after in zip(cut[::2], cut[1::2], strict=True):
        pairs = list(zip(range(SEEDS), before, after, strict=True))
        found = compared("s", "again", "m", "minor", pairs, SEEDS, LEVEL)
        assert found.p is not None
        ps.append(found.p)
    return len(ps), sum([p <= 0.05 for p in ps]), sum([p <= 0.05 for p in holm(ps)])


@pytest.mark.parametrize(("name", "measure", "answer"), CASES)
def test_a_sample_of_intervals_covers_the_textbooks_answer(name: str, measure: str, answer: Fraction) -> None:
    # 20 experiments: 19 expected, and fewer than 16 in 0.3 % of such tests.
    values = values_of(name, measure, 20 * SEEDS, 1)
    assert covering(values, answer) >= 16
    # A wrong answer is not covered: the check can fail.
    assert covering(values, answer * Fraction(11, 10)) < 16


@pytest.mark.deep
@pytest.mark.parametrize(("name", "measure", "answer"), CASES)
def test_intervals_cover_the_textbooks_answer_as_often_as_they_say(name: str, measure: str, answer: Fraction) -> None:
    # KP-02
    values = values_of(name, measure, 1_000 * SEEDS, 2)
    covered = covering(values, answer)
    comparisons, before, after = flagged(values[: 400 * SEEDS])
    print(f"{name}: {covered} of 1000 cover; {before} of {comparisons} flagged, {after} after Holm")
    assert 930 <= covered <= 970
    assert comparisons == 200
    assert before <= 21
    assert after <= 1
