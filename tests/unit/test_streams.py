"""Random streams: what decides a draw, and that nothing else does."""

import pickle
import subprocess
import sys
from hashlib import blake2b

import msgspec
import pytest

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

ALL: tuple[Distribution, ...] = (
    Fixed(7),
    Fixed(1000, per=300),
    Uniform(-5, 90),
    Exponential(1000, per=300),
    Normal(500, 200),
    LogNormal(median=86_400_000, sigma_milli=400),
    LogNormal(mean=1200, sigma_milli=900),
    Triangular(1, 3, 40),
    Weibull(5000, 1500),
    Empirical(((0, 1), (250_000, 4), (900_000, 30), (1_000_000, 300))),
    Poisson(4500),
    Poisson(900_000),
)


def fingerprint() -> str:
    """One digest over draws of every kind: changes when any bit of any of them does."""
    streams, digest = Streams(42), blake2b(digest_size=8)
    for number, distribution in enumerate(ALL):
        series = streams.series(f"demand/{number}")
        for i in range(400):
            digest.update(f"{streams.draw(distribution, 'leg', number, i)} ".encode())
            digest.update(f"{series.draw(distribution)} {series.uniform().hex()} {series.bits()} ".encode())
    return digest.hexdigest()


GOLDEN_FINGERPRINT = "a2585b8d44741940"


def test_bits_are_the_ones_first_written_down() -> None:
    streams = Streams(42)
    assert streams.bits("transit", "ord-1/1/1") == 10516289308794591866
    assert streams.bits("transit", 1) == 9098165787765325658
    assert Streams(43).bits("transit", 1) == 8332528762843671180
    series = streams.series("demand/web/sku-7")
    assert [series.bits() for _ in range(3)] == [
        14906667916652726081,
        15587305386167325038,
        9733053091418707596,
    ]


def test_draws_are_the_same_in_every_process_and_under_every_hash_seed() -> None:
    assert fingerprint() == GOLDEN_FINGERPRINT
    code = "from tests.unit.test_streams import fingerprint; print(fingerprint())"
    for hash_seed in ("0", "4711"):
        result = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(path for path in sys.path if path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stdout.strip() == GOLDEN_FINGERPRINT


def test_keys_that_read_alike_when_joined_are_different_keys() -> None:
    keys: list[tuple[str | int, ...]] = [
        ("ab", "c"),
        ("a", "bc"),
        ("abc",),
        ("c", "ab"),
        ("2:ab", "c"),
        ("2:ab1:c",),
        (1,),
        ("1",),
        ("1;",),
        (1, 2),
        (12,),
        (1, "2"),
        ("1", 2),
        (-1,),
        ("",),
        ("", ""),
        ("é",),
        ("e\u0301",),
    ]
    bits = [Streams(7).bits(*key) for key in keys]
    assert len(set(bits)) == len(keys)


def test_a_draw_depends_on_its_key_only_and_not_on_draws_before() -> None:
    fresh, used = Streams(7), Streams(7)
    for i in range(50):
        used.uniform("other", i)
    assert fresh.draw(Exponential(5000), "leg", "a") == used.draw(Exponential(5000), "leg", "a")
    assert fresh.uniform("leg", "a") == used.uniform("leg", "a")


def test_one_key_has_one_luck_under_every_distribution() -> None:
    streams = Streams(7)
    short = [streams.draw(Exponential(10_000), "leg", i) for i in range(200)]
    long = [streams.draw(Exponential(20_000), "leg", i) for i in range(200)]
    assert all(abs(2 * a - b) <= 2 for a, b in zip(short, long, strict=True))


@pytest.mark.parametrize("part", [1.0, True, None, b"x", ("a",)])
def test_a_key_part_of_another_type_is_refused(part: object) -> None:
    with pytest.raises(TypeError, match="strings and integers"):
        Streams(1).bits("a", part)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [True, 1.5, "1", 2**64, None])
def test_a_seed_that_is_no_64_bit_integer_is_refused(seed: object) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        Streams(seed)  # type: ignore[arg-type]


def test_another_series_leaves_every_series_as_it_was() -> None:
    alone = Streams(3).series("web")
    first, other = Streams(3).series("web"), Streams(3).series("shop")
    expected = [alone.bits() for _ in range(300)]
    mixed = []
    for i in range(300):
        mixed.append(first.bits())
        if i % 3:
            other.bits()
    assert mixed == expected
    assert [Streams(3).series("web2").bits() for _ in range(2)] != expected[:2]


@pytest.mark.parametrize("place", [0, 1, 127, 128, 129, 300])
def test_a_series_pickled_in_the_middle_goes_on_where_it_was(place: int) -> None:
    series = Streams(3).series("web")
    for _ in range(place):
        series.draw(Exponential(50))
    copy = pickle.loads(pickle.dumps(series))
    assert len(pickle.dumps(series)) < 200
    assert [copy.bits() for _ in range(200)] == [series.bits() for _ in range(200)]


def test_every_kind_of_draw_is_one_step_of_a_series() -> None:
    a, b = Series(1, "x"), Series(1, "x")
    a.draw(Fixed(3))
    a.draw(Poisson(2000))
    a.uniform()
    for _ in range(3):
        b.bits()
    assert a.bits() == b.bits()


def test_pickled_streams_draw_as_before() -> None:
    streams = Streams(9)
    streams.bits("warm")
    copy = pickle.loads(pickle.dumps(streams))
    assert len(pickle.dumps(streams)) < 100
    assert copy.bits("a", 1) == streams.bits("a", 1)


def test_uniform_numbers_lie_strictly_inside_their_ends() -> None:
    class Extreme(Streams):
        digest = b""

        def _digest(self, key: tuple[str | int, ...]) -> bytes:
            return self.digest

    streams = Extreme(1)
    streams.digest = b"\x00" * 16
    assert streams.uniform("x") > 0.0
    least = [streams.draw(distribution, "x") for distribution in ALL]
    streams.digest = b"\xff" * 16
    assert streams.uniform("x") < 1.0
    most = [streams.draw(distribution, "x") for distribution in ALL]
    # No error at either end. Equal values may differ by one: the spare bits round one up and the other down.
    assert all(low <= high + 1 for low, high in zip(least, most, strict=True))


def test_whole_values_are_never_rounded_away() -> None:
    streams = Streams(5)
    for value in (0, 1, -3, 10**12, 1_763_337_600_000):
        assert [streams.draw(Fixed(value), "v", i) for i in range(300)] == [value] * 300


def test_values_are_below_zero_only_where_the_distribution_reaches_there() -> None:
    streams = Streams(5)
    assert min(streams.draw(Normal(10, 100), "n", i) for i in range(500)) == 0
    assert min(streams.draw(Normal(10, 100, minimum=None), "n", i) for i in range(500)) < 0
    assert min(streams.draw(Uniform(-4, 4), "n", i) for i in range(500)) == -4
    assert min(streams.draw(Exponential(1), "n", i) for i in range(500)) == 0


@pytest.mark.parametrize("distribution", ALL, ids=repr)
def test_a_distribution_grows_with_its_luck(distribution: Distribution) -> None:
    values = [distribution.inverse((k + 0.5) / 2000) for k in range(2000)]
    assert values == sorted(values)


@pytest.mark.parametrize("distribution", ALL, ids=repr)
def test_a_distribution_is_read_back_by_its_kind(distribution: Distribution) -> None:
    text = msgspec.json.encode(distribution)
    assert msgspec.json.decode(text, type=Distribution) == distribution


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Exponential(3.5), "must be an integer"),  # type: ignore[arg-type]
        (lambda: Exponential(True), "must be an integer"),
        (lambda: Exponential(-1), "0 or more"),
        (lambda: Fixed(5, per=0), "1 or more"),
        (lambda: Uniform(5, 4), "low"),
        (lambda: Normal(5, -1), "sd"),
        (lambda: LogNormal(sigma_milli=500), "either"),
        (lambda: LogNormal(sigma_milli=500, mean=1, median=1), "either"),
        (lambda: LogNormal(sigma_milli=50_000, mean=1), "sigma_milli"),
        (lambda: Triangular(1, 0, 3), "order"),
        (lambda: Weibull(1, 0), "shape_milli"),
        (lambda: Poisson(-1), "mean_milli"),
        (lambda: Empirical(()), "two rows"),
        (lambda: Empirical(((0, 1), (900_000, 2))), "last probability"),
        (lambda: Empirical(((1, 1), (1_000_000, 2))), "first probability"),
        (lambda: Empirical(((0, 1), (500_000, 0), (1_000_000, 2))), "values must not fall"),
        (lambda: Empirical(((0, 1), (600, 2), (500, 2), (1_000_000, 2))), "probabilities must not fall"),
        (lambda: Empirical(((0, 1.5), (1_000_000, 2))), "pairs of integers"),  # type: ignore[arg-type]
    ],
)
def test_parameters_that_make_no_distribution_are_refused(make, says) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=says):
        make()


# --- what may still come


@pytest.mark.parametrize("distribution", ALL, ids=lambda one: type(one).__name__)
def test_a_draw_beyond_a_floor_is_above_it_or_there_is_none(distribution: Distribution) -> None:  # RP-01
    streams = Streams(5)
    middle = round(distribution.inverse(0.5))
    for number in range(200):
        found = streams.draw_beyond(distribution, middle, "lead_time", number)
        if found is None:
            assert isinstance(distribution, Fixed)
        else:
            assert middle < found <= distribution.inverse(1 - 2**-53) + 1
    assert streams.draw_beyond(Uniform(-5, 90), 90, "lead_time") is None


def test_what_is_left_of_a_memoryless_time_is_as_long_as_a_new_one() -> None:
    streams = Streams(1)
    waiting = Exponential(100_000)
    left = [(streams.draw_beyond(waiting, 250_000, "x", number) or 0) - 250_000 for number in range(4000)]
    # Four standard errors of the mean.
    assert abs(sum(left) / len(left) - 100_000) < 4 * 100_000 / 4000**0.5


def test_a_draw_beyond_keeps_the_luck_of_its_key() -> None:
    streams = Streams(1)
    draws = [streams.draw_beyond(Exponential(100_000), floor, "x") or 0 for floor in (0, 50_000, 200_000)]
    assert draws[0] < draws[1] < draws[2]
    # The remaining time of a memoryless one hangs on the key alone.
    assert (
        max(draws[1] - 50_000, draws[2] - 200_000, draws[0]) - min(draws[1] - 50_000, draws[2] - 200_000, draws[0]) < 5
    )
