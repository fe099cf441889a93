"""How values and settings are written and read on the command line."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from twin.cli.failures import InputError
from twin.cli.overrides import parse_overrides
from twin.cli.texts import clock, duration, in_unit, money, rounded


@pytest.mark.parametrize(
    ("span_ms", "text"),
    [
        (0, "0 s"),
        (250, "250 ms"),
        (35_000, "35 s"),
        (3_600_000, "1 h"),
        (90_061_000, "1 d 1 h"),
        (86_460_000, "1 d"),
        (-7_200_000, "-2 h"),
        (Fraction(3_599_499_999, 1000), "59 min 59 s"),
    ],
)
def test_a_duration_is_told_by_its_largest_units(span_ms: int | Fraction, text: str) -> None:
    assert duration(span_ms) == text


def test_money_has_the_decimals_of_its_currency() -> None:
    assert money(123_450, "GBP") == "1,234.50 GBP"
    assert money(-5, "GBP") == "-0.05 GBP"
    assert money(1_234, "JPY") == "1,234 JPY"


def test_what_rounds_to_nothing_has_no_sign() -> None:
    assert rounded(Fraction(-1, 1000), 2) == "0.00"
    assert rounded(Fraction(-1, 100), 2) == "-0.01"


def test_a_value_is_told_in_its_unit_and_none_as_a_dash() -> None:
    assert in_unit(Fraction(962, 1000), "ratio", "GBP") == "96.2 %"
    assert in_unit(None, "ratio", "GBP") == "–"
    assert in_unit(1_234, "count", "GBP") == "1,234"
    assert in_unit(Fraction(5, 2), "unit_days", "GBP") == "2.50 unit days"


def test_an_instant_is_told_in_utc() -> None:
    assert clock(1_267_401_600_000) == "2010-03-01 00:00:00"


BASE: dict[str, object] = {
    "warehouses": [{"id": "north", "zones": [{"id": "cold"}]}, {"id": "south"}],
    "channels": [{"id": "web"}],
    "lanes": [{"from": "north", "to": "home"}],
    "run": {"seed": 1},
}


def test_settings_nest_and_address_entries_of_lists_by_id() -> None:
    settings = (
        "run.horizon=5d",
        "run.seed=7",
        "warehouses[north].pickers=8",
        "warehouses[north].shrink=0.5",
        "erp=null",
    )
    assert parse_overrides(settings, BASE) == {
        "run": {"horizon": "5d", "seed": 7},
        "warehouses": [{"id": "north", "pickers": 8, "shrink": Decimal("0.5")}],
        "erp": None,
    }


def test_a_value_may_be_a_list_or_a_map_in_yaml() -> None:
    assert parse_overrides(["regions=[a, b]"], BASE) == {"regions": ["a", "b"]}
    assert parse_overrides(["channels[web].demand={kind: poisson, rate: 2/h}"], BASE) == {
        "channels": [{"id": "web", "demand": {"kind": "poisson", "rate": "2/h"}}]
    }


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (["run.horizon"], "there is no '='"),
        (["run..horizon=1"], "is no path of keys"),
        (["=1"], "is no path of keys"),
        (["warehouses[north]=1"], "say which key"),
        (["run=1", "run.seed=2"], "has a value by another --set already"),
        (["title=[x"], "the value is no YAML"),
        (["warehouses[nrth].pickers=8"], "no warehouse 'nrth'; there: north, south (did you mean 'north'?)"),
        (["warehouses[0].pickers=8"], "no warehouse '0'; there: north, south"),
        (["warehouses[north].zones[cool].x=8"], "no zone 'cool'; there: cold (did you mean 'cold'?)"),
        (["lanes[0].transit=1h"], "the entries of 'lanes' have no ids; replace the whole list, as in lanes=[...]"),
        (["warehouse[north].pickers=8"], "no list 'warehouse' (did you mean 'warehouses'?); give the whole list"),
        (["run[a].seed=8"], "'run' is no list; write run, or run.KEY, without [a]"),
        (["warehouses=1", "warehouses[a].pickers=2"], "has a value by another --set already"),
    ],
)
def test_a_setting_that_cannot_be_used_says_why(settings: list[str], problem: str) -> None:
    with pytest.raises(InputError, match="--set ") as caught:
        parse_overrides(settings, BASE)
    assert problem in str(caught.value)
