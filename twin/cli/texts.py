"""Numbers, times and amounts as a reader of a terminal wants them. Nothing here goes into a file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final

__all__ = ["clock", "count", "day", "duration", "in_unit", "money", "rounded"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STEPS: Final = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000))


def count(number: int) -> str:
    """`30,485`."""
    return f"{number:,}"


def day(at_ms: int) -> str:
    """`2010-03-01`, in UTC."""
    return f"{_EPOCH + timedelta(milliseconds=at_ms):%Y-%m-%d}"


def clock(at_ms: int) -> str:
    """`2010-03-01 09:15:02`, in UTC."""
    return f"{_EPOCH + timedelta(milliseconds=at_ms):%Y-%m-%d %H:%M:%S}"


def rounded(value: Fraction | int, digits: int) -> str:
    """The value with so many decimals: `1,234.57`."""
    # Measures come with the log and Parquet, which `twin --help` need not load.
    from twin.measures.measured import decimal

    whole, point, part = decimal(-value if value < 0 else value, digits).partition(".")
    negative = value < 0 and (whole.strip("0") or part.strip("0"))
    return f"{'-' if negative else ''}{int(whole):,}{point}{part}"


def money(minor: Fraction | int, currency: str) -> str:
    """`1,234.50 GBP` of an amount in minor units."""
    # A scenario's models take a while to load, and not every command shows money.
    from twin.scenario.units import CURRENCY_EXPONENTS

    digits = CURRENCY_EXPONENTS.get(currency, 2)
    return f"{rounded(Fraction(minor) / 10**digits, digits)} {currency}".rstrip()


def duration(span_ms: Fraction | int) -> str:
    """The two largest units of a duration: `2 d 4 h`, `35 s`, `0 s`."""
    rest = round(Fraction(span_ms))
    if rest < 0:
        return f"-{duration(-rest)}"
    if 0 < rest < 1_000:
        return f"{rest} ms"
    told: list[str] = []
    for index, (unit, size) in enumerate(_STEPS):
        number, rest = divmod(rest, size)
        if number:
            told.append(f"{number} {unit}")
            if index + 1 < len(_STEPS):
                unit, size = _STEPS[index + 1]
                if rest // size:
                    told.append(f"{rest // size} {unit}")
            break
    return " ".join(told) or "0 s"


def in_unit(value: Fraction | int | None, unit: str, currency: str) -> str:
    """A measure's value in its unit, as people say it; a dash for none."""
    if value is None:
        return "–"
    if unit == "ratio":
        return f"{rounded(Fraction(value) * 100, 1)} %"
    if unit == "ms":
        return duration(value)
    if unit == "minor":
        return money(value, currency)
    if unit in ("count", "units") and Fraction(value).denominator == 1:
        return rounded(value, 0)
    words = {"unit_days": "unit days", "count": "", "units": "units"}.get(unit, unit)
    return f"{rounded(value, 2)} {words}".rstrip()
