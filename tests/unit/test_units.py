"""Values with units: exact in, exact out, and a remedy in every refusal."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.scenario import units
from twin.scenario.units import Charge, Money, Rate, Share, Tolerance


@pytest.mark.parametrize(
    ("text", "duration_ms"),
    [
        ("250ms", 250),
        ("30s", 30_000),
        ("5m", 300_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("2w", 1_209_600_000),
        ("1d12h", 129_600_000),
        ("1.5h", 5_400_000),
        ("0.001s", 1),
        ("0s", 0),
    ],
)
def test_a_duration_is_read_in_milliseconds(text: str, duration_ms: int) -> None:
    assert units.parse_duration(text) == duration_ms


@pytest.mark.parametrize(
    ("text", "instant_ms"),
    [
        ("2025-11-17T00:00Z", 1_763_337_600_000),
        ("2025-11-17T01:00+01:00", 1_763_337_600_000),
        ("2025-11-16T19:00-05:00", 1_763_337_600_000),
        ("2025-11-17 00:00:01.25Z", 1_763_337_601_250),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_an_instant_is_read_with_its_zone(text: str, instant_ms: int) -> None:
    assert units.parse_instant(text) == instant_ms


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("40/h", Rate(1, 90_000)),
        ("475/week", Rate(19, 24_192_000)),
        ("0.5/s", Rate(1, 2_000)),
        ("3/2h", Rate(1, 2_400_000)),
        ("0/h", Rate(0, 1)),
        ("300/s", Rate(3, 10)),
    ],
)
def test_a_rate_is_an_exact_pair_in_lowest_terms(text: str, rate: Rate) -> None:
    assert units.parse_rate(text) == rate


def test_money_counts_minor_units_of_its_currency() -> None:
    assert units.parse_money("12.50 GBP") == Money(1_250, "GBP")
    assert units.parse_money("0.01 EUR") == Money(1, "EUR")
    assert units.parse_money("1200 JPY") == Money(1_200, "JPY")


def test_shares_charges_and_tolerances_are_exact() -> None:
    assert units.parse_percent("93%") == 930_000
    assert units.parse_percent("0.5%") == 5_000
    assert units.parse_percent("0.0001%") == 1
    assert units.parse_share("0.01%/d") == Share(100, units.DAY_MS)
    assert units.parse_share("20%/year") == Share(200_000, units.YEAR_MS)
    assert units.parse_charge("0.225 GBP/unit/year") == Charge(22_500_000, "GBP", units.YEAR_MS)
    assert units.parse_tolerance("0.5%") == Tolerance(Decimal("0.005"), True)
    assert units.parse_tolerance("0.01") == Tolerance(Decimal("0.01"), False)


def test_an_expected_value_is_read_in_the_unit_of_its_measure() -> None:
    assert units.parse_number("93%") == Decimal("0.93")
    assert units.parse_number("8.034112") == Decimal("8.034112")
    assert units.parse_number("2h") == Decimal(7_200_000)
    assert units.parse_number("12.50 GBP") == Decimal(1_250)
    assert units.parse_number("-3") == Decimal(-3)


REFUSED: list[tuple[Callable[[object], Any], object, str]] = [
    (units.parse_duration, 30, "30 has no unit; write 30s, 5m, 2h or 1d"),
    (units.parse_duration, Decimal("1.5"), "1.5 has no unit; write 1.5s, 5m, 2h or 1d"),
    (units.parse_duration, "0", "0 has no unit; write 0s, 5m, 2h or 1d"),
    (units.parse_duration, "-5m", "-5m is negative; a duration is 0s or more"),
    (
        units.parse_duration,
        "5 minutes",
        "'5 minutes' is no duration; write 250ms, 30s, 5m, 2h, 1d, 2w or a sum like 1d12h",
    ),
    (units.parse_duration, "", "'' is no duration; write 250ms, 30s, 5m, 2h, 1d, 2w or a sum like 1d12h"),
    (units.parse_duration, "1h2h", "1h2h says h twice; write one number for each unit"),
    (units.parse_duration, "0.5ms", "0.5ms is finer than a millisecond"),
    (units.parse_duration, True, "expected a duration like 30s, 5m, 2h or 1d, got true"),
    (units.parse_duration, [1], "expected a duration like 30s, 5m, 2h or 1d, got a list"),
    (units.parse_duration, None, "expected a duration like 30s, 5m, 2h or 1d, got None"),
    (
        units.parse_instant,
        "2025-11-17T00:00",
        "2025-11-17T00:00 has no zone; write 2025-11-17T00:00Z for UTC, or an offset like 2025-11-17T00:00+01:00",
    ),
    (units.parse_instant, "17.11.2025", "'17.11.2025' is no instant; write date, time and zone like 2025-11-17T00:00Z"),
    (units.parse_instant, "2025-02-30T00:00Z", "2025-02-30T00:00Z does not exist: day is out of range for month"),
    (units.parse_time_of_day, "4pm", "'4pm' is no time of day; write hours and minutes like 16:00"),
    (units.parse_time_of_day, "25:00", "25:00 is no time of day; times go from 00:00 to 24:00"),
    (units.parse_time_of_day, "24:01", "24:01 is no time of day; times go from 00:00 to 24:00"),
    (units.parse_percent, 93, "93 has no unit; write 93%"),
    (units.parse_percent, 0, "0 has no unit; write 0%"),
    (units.parse_percent, 0.5, "0.5 has no unit; write 50% for a share of 0.5, or 0.5%"),
    (units.parse_percent, Decimal("0.125"), "0.125 has no unit; write 12.5% for a share of 0.125, or 0.125%"),
    (units.parse_percent, 1, "1 has no unit; write 100% for a share of 1, or 1%"),
    (units.parse_percent, float("nan"), "'NaN' is no percentage; write a number and a percent sign like 93% or 0.5%"),
    (units.parse_percent, "many%", "'many%' is no percentage; write a number and a percent sign like 93% or 0.5%"),
    (units.parse_percent, "-1%", "-1% is negative; a percentage is 0% or more"),
    (units.parse_percent, "0.00001%", "0.00001% is finer than a part per million (0.0001%)"),
    (units.parse_rate, 40, "40 has no unit; write 40/h, 40/d or 40/week"),
    (units.parse_rate, "fast", "'fast' is no rate; write a number and a period like 40/h or 475/week"),
    (units.parse_rate, "-1/h", "-1/h is negative; a rate is 0/h or more"),
    (
        units.parse_rate,
        "4/fortnight",
        "'4/fortnight' has no known period; after the slash write s, min, h, d, week or year",
    ),
    (units.parse_rate, "4/0s", "'4/0s' has no known period; after the slash write s, min, h, d, week or year"),
    (units.parse_share, "20%", "20% has no period; write 20%/d or 20%/year"),
    (units.parse_money, Decimal("12.50"), "12.50 has no currency; write 12.50 GBP"),
    (units.parse_money, "12.505 GBP", "12.505 GBP has more decimal places than GBP has (2)"),
    (units.parse_money, "1.5 JPY", "1.5 JPY has more decimal places than JPY has (0)"),
    (units.parse_money, "5 XYZ", "unknown currency 'XYZ'; currencies known: EUR, GBP, JPY, USD"),
    (units.parse_money, "-1 GBP", "-1 GBP is negative; an amount is 0 or more"),
    (units.parse_money, "£5", "'£5' is no amount of money; write a number and a currency like 12.50 GBP"),
    (units.parse_charge, Decimal("0.7"), "0.7 has no unit; write 0.7 GBP/unit/day or 0.7 GBP/unit/year"),
    (
        units.parse_charge,
        "0.70 GBP/day",
        "'0.70 GBP/day' is no charge; write money per unit and period like 0.70 GBP/unit/day",
    ),
    (units.parse_milli, "0.0005", "0.0005 is finer than a thousandth"),
    (units.parse_number, "some", "'some' is no number; write 68.41, 93%, 2h or 12.50 GBP"),
]


@pytest.mark.parametrize(("parse", "value", "message"), REFUSED)
def test_a_refused_value_names_its_remedy(parse: Callable[[object], Any], value: object, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse(value)
    assert str(refused.value) == message


@given(st.integers(0, 10**15))
def test_a_duration_is_written_as_it_is_read(duration_ms: int) -> None:
    assert units.parse_duration(units.format_duration(duration_ms)) == duration_ms


@given(st.integers(-(10**13), 10**14))
def test_an_instant_is_written_as_it_is_read(instant_ms: int) -> None:
    assert units.parse_instant(units.format_instant(instant_ms)) == instant_ms


@given(st.integers(0, 86_400).map(lambda seconds: seconds * 1_000))
def test_a_time_of_day_is_written_as_it_is_read(time_ms: int) -> None:
    assert units.parse_time_of_day(units.format_time_of_day(time_ms)) == time_ms


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_rate_is_written_as_it_is_read(count: int, per_ms: int) -> None:
    rate = units.parse_rate(f"{count}/{units.format_duration(per_ms)}")
    assert rate.count * per_ms == count * rate.per_ms
    assert units.parse_rate(units.format_rate(rate)) == rate


@given(st.integers(0, 10**9), st.sampled_from(sorted(units.CURRENCY_EXPONENTS)))
def test_money_and_charges_are_written_as_they_are_read(amount: int, currency: str) -> None:
    money = Money(amount, currency)
    assert units.parse_money(units.format_money(money)) == money
    charge = Charge(amount, currency, units.DAY_MS)
    assert units.parse_charge(units.format_charge(charge)) == charge


@given(st.integers(0, 10**9))
def test_shares_are_written_as_they_are_read(ppm: int) -> None:
    assert units.parse_percent(units.format_percent(ppm)) == ppm
    share = Share(ppm, units.YEAR_MS)
    assert units.parse_share(units.format_share(share)) == share


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_and_never_fails_otherwise(text: str) -> None:
    for parse in (
        units.parse_duration,
        units.parse_instant,
        units.parse_time_of_day,
        units.parse_percent,
        units.parse_rate,
        units.parse_share,
        units.parse_money,
        units.parse_charge,
        units.parse_milli,
        units.parse_number,
        units.parse_tolerance,
    ):
        try:
            parse(text)
        except ValueError as refused:
            assert str(refused)
