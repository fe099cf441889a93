"""The statistics of experiments, against tables, closed forms and simulated data whose answer is known."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest

from twin.experiment.comparing import FEW, compared, holm, paired_p, variance_ratio, with_holm
from twin.experiment.designs import Factorial, LatinHypercube
from twin.experiment.regret import regret_of
from twin.experiment.sensitivity import influences
from twin.experiment.spread import cvar, quantile, spread_of
from twin.experiment.statistics import t_interval
from twin.experiment.stopping import enough_at
from twin.experiment.warm_up import mser

LEVEL = 950_000


def pairs(*rows: tuple[int, int]) -> list[tuple[int, int, int]]:
    return [(seed, before, after) for seed, (before, after) in enumerate(rows, start=1)]


# --- paired differences


def test_the_p_of_a_paired_difference_is_that_of_students_t() -> None:  # KP-02
    # Student's own sleep data (1908): mean 1.58, t = 4.062 with 9 degrees of freedom, p = 0.002833 (R, t.test).
    sleep = [Fraction(tenths, 10) for tenths in (12, 24, 13, 13, 0, 10, 18, 8, 46, 14)]
    assert paired_p(sleep) == pytest.approx(0.002833, abs=5e-7)
    interval = t_interval(sleep, LEVEL)
    assert (interval.low, interval.high) == (pytest.approx(0.7001, abs=1e-4), pytest.approx(2.4599, abs=1e-4))


def test_a_difference_is_the_variant_less_the_base_and_not_the_other_way_round() -> None:
    found = compared("s", "v", "m", "count", pairs((10, 13), (20, 24), (30, 32)), 3, LEVEL)
    assert (found.base_mean, found.mean, found.count) == (20, 3, 3)
    assert found.interval is not None and found.interval.low > 0


def test_one_pair_has_a_difference_but_neither_interval_nor_finding() -> None:
    (found,) = with_holm([compared("s", "v", "m", "count", pairs((1, 5)), 1, LEVEL)], LEVEL)
    assert (found.mean, found.interval, found.p, found.p_holm, found.differs) == (4, None, None, None, False)
    assert found.note == FEW


def test_no_pair_at_all_is_told_with_the_seeds_that_were_lost() -> None:
    found = compared("s", "v", "m", "count", [], 4, LEVEL)
    assert (found.mean, found.count, found.lost) == (None, 0, 4)
    assert found.note == f"{FEW}; 4 of 4 seeds have no value on one side"


def test_differences_that_never_vary_are_told_as_such() -> None:
    none = compared("s", "v", "m", "count", pairs((1, 1), (7, 7)), 2, LEVEL)
    assert (none.mean, none.p, none.note) == (0, 1.0, "the same under every seed")
    always = compared("s", "v", "m", "count", pairs((1, 2), (7, 8)), 2, LEVEL)
    assert (always.mean, always.p) == (1, 0.0)


def test_holms_rule_gives_the_worked_example_of_his_paper() -> None:
    # p.adjust(c(.01, .04, .03, .005), "holm") in R: .03 .06 .06 .02
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_of_many_comparisons_of_nothing_holms_rule_lets_few_families_have_a_false_finding() -> None:
    # 200 families of 10 true null hypotheses at 5 %: 10 expected, and more than 20 in 0.2 % of such tests. Without the
    # rule it would be 80.
    random = Random(20)
    families, alarms, without = 200, 0, 0
    for _ in range(families):
        ps = [paired_p([Fraction(random.gauss(0, 1)) for _ in range(12)]) for _ in range(10)]
        alarms += min(holm(ps)) <= 0.05
        without += min(ps) <= 0.05
    assert alarms <= 20
    assert without > 50


def test_common_luck_shows_in_the_variance_ratio() -> None:
    random = Random(3)
    luck = [random.gauss(0, 10) for _ in range(200)]
    before = [Fraction(value) for value in luck]
    common = [Fraction(value + random.gauss(1, 1)) for value in luck]
    apart = [Fraction(random.gauss(1, 10)) for _ in luck]
    together = variance_ratio(before, common)
    assert together is not None and together > 100
    assert variance_ratio(before, apart) == pytest.approx(1, abs=0.3)
    assert variance_ratio(before, before) is None


# --- single runs


def test_the_cvar_is_the_mean_of_the_worst_part() -> None:
    losses = [float(loss) for loss in range(1, 101)]
    assert quantile(losses, 95) == 95
    assert cvar(losses) == pytest.approx(98)  # of 96 to 100
    # Half a run falls into the worst 5 % of ten.
    assert cvar([float(loss) for loss in range(1, 11)]) == pytest.approx(10)


def test_the_bad_tail_of_what_is_better_high_is_the_low_one() -> None:  # KP-05
    values = list(range(1, 101))
    high, low = spread_of(values, "high", LEVEL), spread_of(values, "low", LEVEL)
    assert high.cvar is not None and low.cvar is not None
    assert (high.cvar.value, low.cvar.value) == (pytest.approx(3), pytest.approx(98))
    assert high.cvar.low is not None and high.cvar.high is not None
    assert high.cvar.low < 3 < high.cvar.high
    assert spread_of(values, None, LEVEL).cvar is None


def test_a_tail_of_less_than_one_run_is_not_estimated() -> None:
    found = spread_of(list(range(19)), "low", LEVEL)
    assert found.quantiles[50].value == 9
    for estimate in (found.quantiles[5], found.quantiles[95], found.cvar):
        assert estimate is not None
        assert (estimate.value, estimate.note) == (None, "n too small: 20 runs are needed")
    assert spread_of(list(range(20)), "low", LEVEL).quantiles[95].value == 18


def test_the_bootstrap_covers_a_median_about_as_often_as_it_says() -> None:
    random = Random(5)
    hits = 0
    for number in range(100):
        found = spread_of([Fraction(random.expovariate(1)) for _ in range(40)], None, LEVEL, seed=number).quantiles[50]
        assert found.low is not None and found.high is not None
        hits += found.low <= 0.6931 <= found.high
    assert 88 <= hits <= 100  # 95 expected; fewer than 88 in 0.1 % of such tests


# --- warm-up and stopping


def test_mser_leaves_out_a_transient_and_little_else() -> None:
    random = Random(1)
    noise = [Fraction(random.gauss(0, 1)) for _ in range(400)]
    rising = [value - 20 * Fraction(max(0, 60 - index), 60) for index, value in enumerate(noise)]
    out = mser(rising)
    assert out is not None and 45 <= out <= 100
    assert out % 5 == 0
    calm = mser(noise)
    assert calm is not None and calm <= 100


def test_mser_finds_no_end_of_a_transient_that_fills_the_run() -> None:
    assert mser([index * index for index in range(200)]) is None
    assert mser([1, 2, 3]) is None


def test_stopping_waits_until_the_half_width_is_kept() -> None:
    wide = [0, 10, 0, 10, 0, 10]
    assert enough_at(wide, 1, 2, LEVEL) is None
    # Three equal values look certain by luck; the fourth and fifth show that they are not.
    assert enough_at([5, 5, 5, 50, -40], 1, 2, LEVEL) is None
    assert enough_at([5, 5, 5, 5, 5], 1, 2, LEVEL) == 3
    assert enough_at([5, 5, 5, 5], 1, 2, LEVEL) is None


# --- designs


def test_a_factorial_has_every_combination_with_its_values_in_place() -> None:
    design = Factorial.model_validate(
        {
            "kind": "factorial",
            "factors": [
                {"id": "pickers", "levels": [1, 2], "change": {"warehouses": [{"id": "main", "pickers": "$value"}]}},
                {
                    "id": "rate",
                    "levels": ["1", "9"],
                    "change": {"warehouses": [{"id": "main", "latency": "${value}s"}]},
                },
            ],
        }
    )
    points = design.points_of()
    assert [point.id for point in points] == [
        f"pickers.{pickers}-rate.{rate}" for pickers in (1, 2) for rate in ("1", "9")
    ]
    assert points[3].change == {"warehouses": [{"id": "main", "pickers": 2, "latency": "9s"}]}


def test_a_latin_hypercube_has_one_point_in_each_slice_of_each_factor() -> None:
    factors = [
        {"id": name, "low": 0, "high": 10, "change": {"title": "$value"}, "whole": whole}
        for name, whole in (("a", False), ("b", True))
    ]
    design = LatinHypercube.model_validate({"kind": "latin_hypercube", "points": 10, "seed": 3, "factors": factors})
    points = design.points_of()
    assert sorted(int(point.values["a"]) for point in points) == list(range(10))
    assert all(type(point.values["b"]) is int and 0 <= point.values["b"] <= 10 for point in points)
    assert points == design.points_of()
    assert [point.id for point in points[:2]] == ["p0001", "p0002"]


def test_influence_finds_the_shares_of_a_linear_model() -> None:
    pytest.importorskip("SALib")
    from scipy.stats.qmc import LatinHypercube as Sampler

    points = Sampler(d=3, rng=1).random(2_000).tolist()
    # Var = (16 + 4) / 12: shares 0.8, 0.2 and 0.
    found = influences(["big", "small", "none"], points, [4 * x + 2 * y for x, y, _ in points], LEVEL)
    assert [one.factor for one in found] == ["big", "small", "none"]
    assert [one.first_order for one in found] == pytest.approx([0.8, 0.2, 0.0], abs=0.03)
    with pytest.raises(ValueError, match="n too small: 39 points"):
        influences(["big", "small", "none"], points[:39], [0.0] * 39, LEVEL)


# --- regret


def test_regret_is_the_distance_to_the_best_of_each_scenario_and_the_least_worst_one_wins() -> None:  # EX-04
    values = {
        "calm": {"lean": {1: 10, 2: 11, 3: 12}, "safe": {1: 8, 2: 9, 3: 10}},
        "storm": {"lean": {1: 1, 2: 2, 3: 3}, "safe": {1: 7, 2: 8, 3: 9}},
    }
    found = regret_of("margin", values, "high", LEVEL)
    assert found.regrets == {"calm": {"lean": 0, "safe": 2}, "storm": {"lean": 6, "safe": 0}}
    assert (found.worst, found.least, found.count) == ({"lean": 6, "safe": 2}, "safe", 3)
    assert found.may_be_best == {"calm": ("lean",), "storm": ("safe",)}
    turned = regret_of("cost", values, "low", LEVEL)
    assert turned.regrets["calm"] == {"lean": 2, "safe": 0}


def test_variants_that_chance_explains_all_may_be_the_best() -> None:
    values = {"s": {"a": {1: 10, 2: 20, 3: 30}, "b": {1: 12, 2: 17, 3: 33}, "bad": {1: 0, 2: 1, 3: 2}}}
    found = regret_of("m", values, "high", LEVEL)
    assert found.may_be_best["s"][:2] == ("a", "b")
    one_seed = {"s": {name: {1: by_seed[1]} for name, by_seed in values["s"].items()}}
    assert regret_of("m", one_seed, "high", LEVEL).may_be_best["s"] == ("a", "b", "bad")
    with pytest.raises(ValueError, match="no seed of s"):
        regret_of("m", {"s": {"a": {1: 1}, "b": {2: 1}}}, "high", LEVEL)
