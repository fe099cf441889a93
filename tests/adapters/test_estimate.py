"""Parameters of a generated book, estimated from a real one."""

from __future__ import annotations

import bisect
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from adapters.estimate import ZipfMandelbrot, estimate, fit_zipf_mandelbrot, main, quantile_table, table_mean
from adapters.order_book import load
from tests.adapters.order_book_samples import REAL, ROOT, documented_mapping, line, needs_real_book, write


def small_book(folder: Path) -> Path:
    # Monday to Sunday: two orders on Monday at 9, one on Tuesday at 14, one on Sunday at 10
    return write(
        folder,
        line("1", "A", 1, "1.00", at="2010-03-01 09:10:00"),
        line("1", "BB", 3, "2.00", at="2010-03-01 09:10:00"),
        line("2", "A", 1, "1.00", at="2010-03-01 09:50:00", customer=""),
        line("3", "A", 5, "1.00", at="2010-03-02 14:00:00"),
        line("4", "A", 1, "1.00", at="2010-03-07 10:00:00", country="Japan"),
        line("C5", "A", -1, "1.00", at="2010-03-07 10:01:00"),
    )


def test_a_small_book_gives_what_can_be_counted_by_hand(tmp_path: Path) -> None:
    fragment = YAML(typ="safe").load(estimate(load(small_book(tmp_path), documented_mapping())))
    demand = fragment["demand"]
    assert demand["orders"] == "4/week"
    assert demand["profile"]["mon"] == [0] * 9 + [200] + [0] * 14
    assert demand["profile"]["tue"] == [0] * 14 + [100] + [0] * 9
    assert demand["profile"]["sat"] == [0] * 24
    assert demand["lines_per_order"] == [["0%", 1], ["75%", 1], ["75%", 2], ["100%", 2]]
    assert demand["quantity_per_line"] == [["0%", 1], ["60%", 1], ["60%", 3], ["80%", 3], ["80%", 5], ["100%", 5]]
    assert demand["price"] == [["0%", 1.00], ["50%", 1.00], ["50%", 2.00], ["100%", 2.00]]
    assert demand["channels"] == {"inside_sales": "50.0%", "marketplace": "25.0%", "web": "25.0%"}
    assert demand["regions"]["overseas"] == 1
    assert sum(demand["regions"].values()) == 4
    assert {channel["id"]: channel["demand"]["orders"] for channel in fragment["channels"]} == {
        "inside_sales": "2/week",
        "marketplace": "1/week",
        "web": "1/week",
    }


def test_the_profile_is_a_mean_over_the_weekdays_in_the_span(tmp_path: Path) -> None:
    # two Mondays and one Tuesday, with three orders on Mondays at 9
    stamps = ["2010-03-01 09:00:00", "2010-03-01 09:30:00", "2010-03-02 09:00:00", "2010-03-08 09:59:00"]
    rows = [line(f"{n}", sku, at=at) for n, at in enumerate(stamps) for sku in ("X", "Y")]
    fragment = YAML(typ="safe").load(estimate(load(write(tmp_path, *rows), documented_mapping())))
    profile = fragment["demand"]["profile"]
    assert (profile["mon"][9], profile["tue"][9]) == (150, 100)


@given(values=st.lists(st.integers(1, 500), min_size=1, max_size=200))
def test_a_quantile_table_is_rising_spans_the_values_and_keeps_the_mean_near(values: list[int]) -> None:
    table = quantile_table(values)
    assert len(table) <= 14
    assert (table[0], table[-1]) == ((0, min(values)), (1_000_000, max(values)))
    assert list(table) == sorted(table)
    assert all(lower[1] <= upper[1] for lower, upper in pairwise(table))
    mean = sum(values) / len(values)
    assert abs(float(table_mean(table)) - mean) <= 0.15 * max(values)


def test_a_table_with_points_enough_is_exact() -> None:
    values = [1, 1, 1, 4, 4, 10]
    assert table_mean(quantile_table(values)) == pytest.approx(sum(values) / 6, rel=1e-5)
    assert quantile_table([7, 7]) == ((0, 7), (1_000_000, 7))


def test_the_skew_of_counts_drawn_from_a_known_law_is_found() -> None:
    law = ZipfMandelbrot(items=500, exponent_hundredths=120, shift=10)
    cumulated, total = [], 0.0
    for rank in range(1, law.items + 1):
        total += (rank + law.shift) ** -1.2
        cumulated.append(total)
    draws = random.Random(1)
    counts = [0] * law.items
    for _ in range(200_000):
        counts[bisect.bisect_left(cumulated, draws.random() * total)] += 1
    found = fit_zipf_mandelbrot(counts)
    # The likelihood is a ridge along which exponent and shift trade; the shares are what is identified.
    assert abs(found.exponent_hundredths - 120) <= 10
    assert abs(found.shift - 10) <= 4
    for top in (1, 10, 100):
        assert found.top_share(top) == pytest.approx(law.top_share(top), rel=0.05)


def test_equal_counts_have_no_skew() -> None:
    assert fit_zipf_mandelbrot([5] * 50).exponent_hundredths == 0


def test_a_skew_needs_two_items() -> None:
    with pytest.raises(ValueError, match="at least two items"):
        fit_zipf_mandelbrot([3, 0])


def test_the_command_prints_the_fragment_and_leaves_with_2_for_a_bad_book(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping = tmp_path / "mapping.yaml"
    YAML(typ="safe").dump(documented_mapping(), mapping)
    assert main([str(small_book(tmp_path)), str(mapping)]) == 0
    assert "item_skew: {items: 2, exponent: " in capsys.readouterr().out
    assert main([str(tmp_path / "none.csv"), str(mapping)]) == 2
    assert capsys.readouterr().err.endswith("none.csv: there is no such file; check the path of the book\n")
    mapping.write_text("a: [", encoding="utf-8")
    assert main([str(small_book(tmp_path)), str(mapping)]) == 2
    assert "is no YAML" in capsys.readouterr().err
    only_credits = write(tmp_path, line("C1", quantity=-1))
    YAML(typ="safe").dump(documented_mapping(), mapping)
    assert main([str(only_credits), str(mapping)]) == 2
    assert "no accepted order to estimate from" in capsys.readouterr().err


@needs_real_book
def test_the_real_books_estimate_is_the_same_under_any_hash_seed(fresh_python: Callable[..., str]) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from adapters.estimate import estimate; from adapters.order_book import load\n"
        "from tests.adapters.order_book_samples import documented_mapping\n"
        "print(estimate(load(Path(sys.argv[1]), documented_mapping())))"
    )
    first = fresh_python(program, str(REAL), hash_seed=1, cwd=ROOT)
    assert first == fresh_python(program, str(REAL), hash_seed=2, cwd=ROOT)
    demand = YAML(typ="safe").load(first)["demand"]
    assert demand["orders"] == "354/week"
    assert demand["item_skew"]["items"] == 3047
