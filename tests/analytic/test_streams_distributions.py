"""Elementary functions against the C library, distributions against closed forms.

Seeds are fixed, so a test passes always or never; the bounds are what a fresh seed would break once in about
100,000 (4.4 standard errors, Kolmogorov's 1 % to 0.001 %).
"""

import math

import pytest
from scipy import special, stats

from twin.streams import (
    Distribution,
    Empirical,
    Exponential,
    Fixed,
    LogNormal,
    Normal,
    Poisson,
    Series,
    Streams,
    Triangular,
    Uniform,
    Weibull,
)
from twin.streams.elementary import exp, gamma, ln, normal_cdf, normal_density, normal_quantile

N = 40_000
SIGMA = 0.5


def relative(a: float, b: float) -> float:
    return abs(a - b) / abs(b) if b else abs(a)


def test_ln_agrees_with_the_library_over_all_exponents() -> None:
    series = Series(1, "ln")
    worst = 0.0
    for i in range(60_000):
        exponent = (i % 2080) - 1060 if i % 2 else (i % 7) - 3
        x = math.ldexp(0.5 + series.uniform() / 2, exponent)
        if x > 0.0 and x != 1.0:
            worst = max(worst, relative(ln(x), math.log(x)))
    assert ln(1.0) == 0.0
    assert worst <= 5e-16


def test_exp_agrees_with_the_library_where_it_is_normal() -> None:
    series = Series(1, "exp")
    worst = 0.0
    for i in range(60_000):
        x = (-708.0, -2.0, -40.0)[i % 3] + (1417.0, 4.0, 80.0)[i % 3] * series.uniform()
        worst = max(worst, relative(exp(x), math.exp(x)))
    assert exp(0.0) == 1.0
    assert worst <= 5e-16


def test_functions_refuse_what_has_no_value() -> None:
    for x in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="ln"):
            ln(x)
    for p in (0.0, 1.0, -0.5, 1.5, math.nan):
        with pytest.raises(ValueError, match="quantile"):
            normal_quantile(p)
    with pytest.raises(OverflowError):
        exp(710.0)
    with pytest.raises(ValueError, match="NaN"):
        exp(math.nan)
    with pytest.raises(ValueError, match="gamma"):
        gamma(0.5)
    assert exp(-800.0) == 0.0


def test_normal_quantile_and_probability_agree_with_scipy() -> None:
    series = Series(1, "normal")
    worst_quantile = worst_probability = 0.0
    for i in range(30_000):
        u = series.uniform()
        p = (u, 2.0 ** (-52 * u), 1.0 - 2.0 ** (-50 * u))[i % 3]
        if 0.0 < p < 1.0:
            worst_quantile = max(
                worst_quantile, abs(normal_quantile(p) - special.ndtri(p)) / (1e-3 + abs(special.ndtri(p)))
            )
        x = 80.0 * u - 40.0 if i % 2 else 18.0 * u - 9.0
        worst_probability = max(worst_probability, abs(normal_cdf(x) - special.ndtr(x)))
    assert worst_quantile <= 2e-15
    assert worst_probability <= 1e-15
    assert relative(normal_density(1.3), stats.norm.pdf(1.3)) <= 1e-15


def test_gamma_agrees_with_the_library() -> None:
    assert max(relative(gamma(1 + i * 0.37), math.gamma(1 + i * 0.37)) for i in range(370)) <= 1e-12


CASES = [
    (Uniform(100, 9_000), stats.uniform(100, 8_900)),
    (Exponential(5_000), stats.expon(scale=5_000)),
    (Normal(100_000, 9_000), stats.norm(100_000, 9_000)),
    (LogNormal(median=9_000, sigma_milli=500), stats.lognorm(SIGMA, scale=9_000)),
    (LogNormal(mean=9_000, sigma_milli=500), stats.lognorm(SIGMA, scale=9_000 * math.exp(-(SIGMA**2) / 2))),
    (Triangular(1_000, 3_000, 40_000), stats.triang(2 / 39, 1_000, 39_000)),
    (Weibull(5_000, 1_500), stats.weibull_min(1.5, scale=5_000)),
    (Weibull(5_000, 700), stats.weibull_min(0.7, scale=5_000)),
]


@pytest.mark.parametrize(("distribution", "law"), CASES, ids=lambda value: type(value).__name__)
def test_draws_follow_their_law(distribution: Distribution, law: stats.rv_continuous) -> None:
    streams, series = Streams(2024), Series(2024, "law")
    keyed = [streams.draw(distribution, "law", i) for i in range(N)]
    sequential = [series.draw(distribution) for _ in range(N)]
    for draws in (keyed, sequential):
        mean = sum(draws) / N
        assert abs(mean - law.mean()) < 4.4 * law.std() / math.sqrt(N)
        variance = sum((x - mean) ** 2 for x in draws) / (N - 1)
        spread = math.sqrt((law.stats("k") + 2) / N)
        assert abs(variance / law.var() - 1) < 4.4 * spread
        # Kolmogorov's distance passes 2.6 / sqrt(n) once in 400,000; whole numbers add at most half a step.
        distance = stats.kstest(
            [x + u for x, u in zip(draws, (streams.uniform("jitter", i) - 0.5 for i in range(N)), strict=True)],
            law.cdf,
        )
        assert distance.statistic < 2.6 / math.sqrt(N) + 0.0005


@pytest.mark.parametrize(
    "distribution",
    [
        *(case[0] for case in CASES),
        Fixed(1000, per=300),
        Normal(3, 50),
        Normal(-9, 4, minimum=-8),
        Poisson(4_500),
        Poisson(350_000),
        Empirical(((0, 1), (250_000, 4), (900_000, 30), (1_000_000, 300))),
    ],
    ids=repr,
)
def test_the_expected_value_is_the_mean_of_the_quantiles(distribution: Distribution) -> None:
    steps = 100_000
    # The midpoint rule leaves out part of a heavy tail: hence a tenth of a percent.
    total = math.fsum(distribution.inverse((k + 0.5) / steps) for k in range(steps)) / steps
    assert total == pytest.approx(distribution.expected(), rel=1e-3)


@pytest.mark.parametrize("mean_milli", [1, 300, 1_000, 4_500, 60_000, 199_999, 200_001, 1_000_000, 50_000_000])
def test_poisson_counts_are_the_exact_quantiles(mean_milli: int) -> None:
    law = stats.poisson(mean_milli / 1000)
    distribution = Poisson(mean_milli)
    for u in (2.0**-53, 1e-9, 0.0007, 0.0301, 0.25, 0.4999, 0.731, 0.95, 0.99983, 1 - 1e-7):
        assert distribution.inverse(u) == law.ppf(u)
    # So near to 1 the sum's own rounding decides; it must end, and far out.
    assert distribution.inverse(1 - 2.0**-53) >= law.ppf(1 - 1e-9)


def test_a_rate_of_300_a_second_stays_300_a_second() -> None:
    series, streams = Series(11, "gaps"), Streams(11)
    arrivals = [series.draw(Exponential(1000, per=300)) for _ in range(N)]
    assert abs(sum(arrivals) / N - 10 / 3) < 4.4 * (10 / 3) / math.sqrt(N)
    picks = [streams.draw(Fixed(1000, per=300), "pick", i) for i in range(N)]
    assert set(picks) == {3, 4}
    assert abs(sum(picks) / N - 10 / 3) < 4.4 * math.sqrt(2) / 3 / math.sqrt(N)


def test_rounding_keeps_the_mean_of_fractions_near_nothing_and_near_one() -> None:
    streams = Streams(12)
    for numerator in (1, 99):
        draws = [streams.draw(Fixed(numerator, per=100), "round", i) for i in range(N)]
        assert abs(sum(draws) / N - numerator / 100) < 4.4 * math.sqrt(0.0099 / N)


def test_luck_and_rounding_of_one_draw_are_independent() -> None:
    # Were the same bits used for both, a uniform over whole steps would lose the values in between.
    streams = Streams(13)
    draws = [streams.draw(Uniform(0, 3), "both", i) for i in range(N)]
    shares = [draws.count(value) / N for value in range(4)]
    for share, expected in zip(shares, (1 / 6, 1 / 3, 1 / 3, 1 / 6), strict=True):
        assert abs(share - expected) < 4.4 * math.sqrt(expected * (1 - expected) / N)


def test_neighboring_keys_and_streams_are_uncorrelated() -> None:
    streams, other = Streams(1), Streams(2)
    a = [streams.uniform("leg", i) for i in range(N)]
    for b in (
        a[1:],
        [other.uniform("leg", i) for i in range(N)],
        [streams.uniform("gel", i) for i in range(N)],
    ):
        n = len(b)
        covariance = sum((x - 0.5) * (y - 0.5) for x, y in zip(a, b, strict=False)) / n
        assert abs(12 * covariance) < 4.4 / math.sqrt(n)


def test_an_empirical_table_jumps_where_told() -> None:
    table = Empirical(((0, 1), (250_000, 1), (250_000, 6), (1_000_000, 6)))
    streams = Streams(14)
    draws = [streams.draw(table, "jump", i) for i in range(N)]
    assert set(draws) == {1, 6}
    assert abs(draws.count(1) / N - 0.25) < 4.4 * math.sqrt(0.1875 / N)
