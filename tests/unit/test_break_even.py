"""From how many outages a year on a control pays, against closed forms."""

from __future__ import annotations

from fractions import Fraction
from math import inf
from random import Random

import pytest

from twin.experiment.break_even import YEAR_MS, break_even, yearly
from twin.experiment.statistics import t_interval

DAY = 86_400_000
LEVEL = 950_000


def test_a_control_pays_above_its_yearly_cost_over_what_an_outage_costs() -> None:  # KP-05
    found = break_even([12_000] * 3, [2_900, 3_000, 3_100])
    assert (found.outages, found.verdict) == (4, "pays above")
    assert found.net_minor(4) == 0
    assert (found.net_minor(5), found.net_minor(3)) == (3_000, -3_000)


def test_with_a_cost_that_is_known_the_interval_is_the_cost_over_that_of_the_loss() -> None:
    found = break_even([12_000] * 4, [2_000, 3_000, 4_000, 3_500])
    loss = t_interval([2_000, 3_000, 4_000, 3_500], LEVEL)
    assert found.low == pytest.approx(12_000 / loss.high)
    assert found.high == pytest.approx(12_000 / loss.low)
    assert found.low < float(found.outages or 0) < found.high


def test_the_interval_of_two_means_is_where_students_t_refutes_no_quotient() -> None:
    costs, gains = [90, 110, 105, 97, 98], [31, 44, 39, 35, 33]
    found = break_even(costs, gains)
    for end in (found.low, found.high):
        away = t_interval([Fraction(c) - Fraction(end) * g for c, g in zip(costs, gains, strict=True)], LEVEL)
        assert abs(float(away.mean)) == pytest.approx(away.half_width, rel=1e-9)


def test_the_interval_holds_the_true_number_as_often_as_it_says() -> None:
    random = Random(20)
    held = 0
    for _ in range(1_000):
        shared = [random.gauss(0, 20) for _ in range(6)]
        costs = [round(1_000 + random.gauss(0, 60) + common) for common in shared]
        gains = [round(250 + random.gauss(0, 40) - common) for common in shared]
        found = break_even(costs, gains)
        held += found.low <= 4 <= found.high
    assert 930 <= held <= 970


def test_where_the_loss_avoided_may_be_none_no_number_of_outages_is_enough() -> None:
    found = break_even([1_000] * 3, [-50, 100, 20])
    assert (found.verdict, found.high) == ("cannot tell", inf)
    assert 0 < found.low < float(found.outages or 0)


def test_a_control_that_helps_nothing_never_pays() -> None:
    for gains in ([0, 0, 0], [-5, -6, -7]):
        found = break_even([1_000] * 3, gains)
        assert (found.verdict, found.outages, found.high) == ("never pays", None, inf)


def test_a_control_that_costs_nothing_pays_from_the_first_outage_on() -> None:
    found = break_even([0, 0, 0], [10, 11, 12])
    assert (found.verdict, found.outages, found.low, found.high) == ("always pays", 0, 0, 0)
    saves = break_even([-100, -110, -90], [10, 11, 12])
    assert (saves.verdict, saves.outages) == ("always pays", 0)


def test_a_control_that_saves_in_quiet_times_and_hurts_in_an_outage_pays_below_a_number() -> None:
    found = break_even([-100, -110, -90], [-10, -11, -9])
    assert (found.verdict, found.outages) == ("pays below", 10)
    assert (found.net_minor(5), found.net_minor(15)) == (50, -50)


def test_a_cost_of_a_window_is_scaled_to_a_year() -> None:
    assert yearly([30, Fraction(1, 2)], 73 * DAY) == [150, Fraction(5, 2)]
    assert YEAR_MS == 365 * DAY
    with pytest.raises(ValueError, match="cannot be made a year"):
        yearly([1], 0)


def test_a_single_seed_and_lists_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        break_even([1], [1])
    with pytest.raises(ValueError, match="one of each for every seed"):
        break_even([1, 2], [1])
