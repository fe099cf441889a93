"""Numbers, money and times as a reader expects them."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Final

from twin.report.grid import DAY_MS, HOUR_MS

__all__ = ["bare", "count", "digits_of", "duration", "money", "percent", "plural", "rounded"]

_EXPONENTS: Final = {"JPY": 0, "KRW": 0, "BHD": 3, "KWD": 3, "TND": 3}
"""Minor digits of currencies that do not have two (ISO 4217)."""


def rounded(value: Fraction | int, digits: int) -> str:
    """A decimal with thousands separators, ties to even; exact until it is written."""
    scaled = round(Fraction(value) * 10**digits)
    return f"{Decimal(scaled).scaleb(-digits).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN):,}"


def count(value: int) -> str:
    """`12,345`."""
    return f"{value:,}"


def plural(value: int, noun: str, nouns: str = "") -> str:
    """`1 line`, `12,345 lines`."""
    return f"{value:,} {noun if value == 1 else nouns or noun + 's'}"


def percent(numerator: int, denominator: int) -> str:
    """`96.2 %`, or a dash where there is nothing to divide by.

    A little never reads `0.0 %`, nor nearly all `100.0 %`.
    """
    if not denominator:
        return "–"
    share = Fraction(100 * numerator, denominator)
    if 0 < share < Fraction(1, 20):
        return "< 0.1 %"
    if Fraction(1999, 20) < share < 100:
        return "> 99.9 %"
    return f"{rounded(share, 1)} %"


def digits_of(currency: str) -> int:
    """Digits of the currency's minor unit."""
    return _EXPONENTS.get(currency, 2)


def money(minor: Fraction | int, currency: str, *, whole: bool = False) -> str:
    """`1,234.50 GBP`; `whole` leaves the minor units out."""
    digits = digits_of(currency)
    return f"{rounded(Fraction(minor) / 10**digits, 0 if whole else digits)} {currency}".rstrip()


def bare(minor: Fraction | int, currency: str) -> str:
    """`1,234`: whole units of the currency, which is named elsewhere."""
    return money(minor, currency, whole=True).removesuffix(currency).strip()


def duration(ms: int) -> str:
    """`3.2 d`, `5.1 h` or `12 min`, whichever reads best."""
    if abs(ms) >= 2 * DAY_MS:
        return f"{rounded(Fraction(ms, DAY_MS), 1)} d"
    if abs(ms) >= HOUR_MS:
        return f"{rounded(Fraction(ms, HOUR_MS), 1)} h"
    return f"{rounded(Fraction(ms, 60_000), 0)} min"
