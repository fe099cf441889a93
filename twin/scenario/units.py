"""Values with units, read into exact integers and written back in one canonical form.

Nothing here is a float: a number is read as a fraction and must come out whole in the stored unit.
Every reader raises `ValueError` with a text that names the remedy; `format_x(parse_x(text))` reads as the
same value.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import gcd

from msgspec import Struct

__all__ = [
    "CURRENCY_EXPONENTS",
    "DAY_MS",
    "YEAR_MS",
    "Charge",
    "Money",
    "Number",
    "Rate",
    "Share",
    "Tolerance",
    "format_charge",
    "format_decimal",
    "format_duration",
    "format_instant",
    "format_money",
    "format_percent",
    "format_rate",
    "format_share",
    "format_time_of_day",
    "format_tolerance",
    "parse_charge",
    "parse_duration",
    "parse_instant",
    "parse_milli",
    "parse_money",
    "parse_number",
    "parse_percent",
    "parse_rate",
    "parse_share",
    "parse_time_of_day",
    "parse_tolerance",
]

DAY_MS = 86_400_000
YEAR_MS = 365 * DAY_MS

DURATION_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS, "w": 7 * DAY_MS}
# What may stand after the slash of a rate. A year is 365 days.
PERIOD_MS = {
    **DURATION_MS,
    "second": 1_000,
    "min": 60_000,
    "minute": 60_000,
    "hour": 3_600_000,
    "day": DAY_MS,
    "week": 7 * DAY_MS,
    "year": YEAR_MS,
}

CURRENCY_EXPONENTS = {"EUR": 2, "GBP": 2, "JPY": 0, "USD": 2}
"""Decimal places of the currencies that are known (ISO 4217)."""

MICRO = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = r"\d{1,18}(?:\.\d{1,12})?"
_DURATION_PART = re.compile(rf"({_NUMBER})(ms|s|m|h|d|w)", re.ASCII)
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?(Z|[+-][01]\d:[0-5]\d)?", re.ASCII
)
_TIME_OF_DAY = re.compile(r"(\d\d):(\d\d)(?::(\d\d))?", re.ASCII)


class Money(Struct, frozen=True):
    """An amount in minor units of an ISO 4217 currency."""

    minor: int
    currency: str


class Rate(Struct, frozen=True):
    """`count` occurrences each `per_ms` milliseconds, in lowest terms."""

    count: int
    per_ms: int


class Share(Struct, frozen=True):
    """A share in parts per million, each `per_ms` milliseconds: `0.01%/d`, `20%/year`."""

    ppm: int
    per_ms: int


class Charge(Struct, frozen=True):
    """Money for one unit each `per_ms` milliseconds, in millionths of a minor unit (`0.225 GBP/unit/year`)."""

    micro_minor: int
    currency: str
    per_ms: int


class Tolerance(Struct, frozen=True):
    """How far a value may lie from what is expected: `value` itself, or that share of the expected one."""

    value: Decimal
    relative: bool


Number = Decimal


def _text(value: object, what: str, example: str) -> str:
    """The value as text; a bare number, a truth value or a container is refused with what to write."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(f"expected {what} like {example}, got {_kind(value)}")
    return str(value).strip()


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list | tuple):
        return "a list"
    return repr(value)


def _is_number(text: str) -> bool:
    return re.fullmatch(rf"-?{_NUMBER}", text, re.ASCII) is not None


def _whole(value: Fraction, text: str, unit: str) -> int:
    if value.denominator != 1:
        raise ValueError(f"{text} is finer than {unit}")
    return value.numerator


def format_decimal(value: Fraction | Decimal) -> str:
    """Plain digits without an exponent or trailing zeros; the fraction must end (denominator of 2s and 5s)."""
    if isinstance(value, Decimal):
        value = Fraction(value)
    scale = 0
    rest = value.denominator
    while 10**scale % rest:
        scale += 1
        if scale > 60:
            raise ValueError(f"{value} has no finite decimal form")
    digits = str(abs(value.numerator) * (10**scale // rest)).rjust(scale + 1, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}" if scale else f"{sign}{digits}"


# --- durations and instants


def parse_duration(value: object) -> int:
    """Milliseconds of `250ms`, `30s`, `5m`, `2h`, `1d`, `2w`, or a sum of them (`1d12h`)."""
    text = _text(value, "a duration", "30s, 5m, 2h or 1d")
    if _is_number(text):
        raise ValueError(f"{text} has no unit; write {text.lstrip('-')}s, 5m, 2h or 1d")
    if text.startswith("-"):
        raise ValueError(f"{text} is negative; a duration is 0s or more")
    total, position, seen = Fraction(0), 0, ""
    while match := _DURATION_PART.match(text, position):
        number, unit = match.groups()
        if f" {unit} " in seen:
            raise ValueError(f"{text} says {unit} twice; write one number for each unit")
        seen += f" {unit} "
        total += Fraction(number) * DURATION_MS[unit]
        position = match.end()
    if not text or position != len(text):
        raise ValueError(f"'{text}' is no duration; write 250ms, 30s, 5m, 2h, 1d, 2w or a sum like 1d12h")
    return _whole(total, text, "a millisecond")


def format_duration(duration_ms: int) -> str:
    """The duration in days, hours, minutes, seconds and milliseconds: `1d12h`, `0s`."""
    text, rest = "", duration_ms
    for unit in ("d", "h", "m", "s", "ms"):
        number, rest = divmod(rest, DURATION_MS[unit])
        if number:
            text += f"{number}{unit}"
    return text or "0s"


def parse_instant(value: object) -> int:
    """Milliseconds since the Unix epoch of an ISO 8601 instant with its zone: `2025-11-17T00:00Z`."""
    text = _text(value, "an instant", "2025-11-17T00:00Z")
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is no instant; write date, time and zone like 2025-11-17T00:00Z")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if zone is None:
        raise ValueError(f"{text} has no zone; write {text}Z for UTC, or an offset like {text}+01:00")
    offset = timedelta()
    if zone != "Z":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6])) * (-1 if zone[0] == "-" else 1)
    try:
        local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"{text} does not exist: {error}") from None
    # In this order: an instant in year 1 less an offset has no datetime.
    since = local - _EPOCH - offset
    return (since.days * 86_400 + since.seconds) * 1_000 + int((fraction or "0").ljust(3, "0"))


def format_instant(at_ms: int) -> str:
    """The instant in UTC: `2025-11-17T00:00:00Z`, with milliseconds only where there are some."""
    seconds, milliseconds = divmod(at_ms, 1_000)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{milliseconds:03d}Z" if milliseconds else f"{text}Z"


def parse_time_of_day(value: object) -> int:
    """Milliseconds after local midnight of `16:00` or `16:00:30`; `24:00` ends a day."""
    text = _text(value, "a time of day", "16:00")
    match = _TIME_OF_DAY.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is no time of day; write hours and minutes like 16:00")
    hour, minute, second = (int(part or 0) for part in match.groups())
    total_ms = (hour * 3_600 + minute * 60 + second) * 1_000
    if minute > 59 or second > 59 or total_ms > DAY_MS:
        raise ValueError(f"{text} is no time of day; times go from 00:00 to 24:00")
    return total_ms


def format_time_of_day(time_ms: int) -> str:
    """`16:00`, with seconds only where there are some."""
    minutes, seconds = divmod(time_ms // 1_000, 60)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{text}:{seconds:02d}" if seconds else text


# --- numbers, shares, rates


def parse_percent(value: object) -> int:
    """Parts per million of `93%` or `0.5%`."""
    # A float is what Python code gives for a share; files have decimals.
    text = _text(Decimal(str(value)) if isinstance(value, float) else value, "a percentage", "93%")
    if _is_number(text):
        share = Fraction(text)
        meant = f"{format_percent(share * 1_000_000)} for a share of {text}, or " if 0 < share <= 1 else ""
        raise ValueError(f"{text} has no unit; write {meant}{text}%")
    if not text.endswith("%") or not _is_number(text[:-1].strip()):
        raise ValueError(f"'{text}' is no percentage; write a number and a percent sign like 93% or 0.5%")
    ppm = _whole(Fraction(text[:-1].strip()) * 10_000, text, "a part per million (0.0001%)")
    if ppm < 0:
        raise ValueError(f"{text} is negative; a percentage is 0% or more")
    return ppm


def format_percent(ppm: Fraction | int) -> str:
    """`93%`, `0.5%`."""
    return format_decimal(Fraction(ppm) / 10_000) + "%"


def _parse_period(text: str, whole: str) -> int:
    if text in PERIOD_MS:
        return PERIOD_MS[text]
    if _DURATION_PART.match(text):
        period_ms = parse_duration(text)
        if period_ms:
            return period_ms
    raise ValueError(f"'{whole}' has no known period; after the slash write s, min, h, d, week or year")


def _format_period(period_ms: int) -> str:
    for name in ("s", "min", "h", "d", "week", "year"):
        if PERIOD_MS[name] == period_ms:
            return name
    return format_duration(period_ms)


def parse_rate(value: object) -> Rate:
    """A rate of `40/h`, `475/week` or `3/2h`, exactly."""
    text = _text(value, "a rate", "40/h or 475/week")
    if _is_number(text):
        raise ValueError(f"{text} has no unit; write {text}/h, {text}/d or {text}/week")
    number, slash, period = text.partition("/")
    if not slash or not _is_number(number.strip()):
        raise ValueError(f"'{text}' is no rate; write a number and a period like 40/h or 475/week")
    count = Fraction(number.strip())
    if count < 0:
        raise ValueError(f"{text} is negative; a rate is 0/h or more")
    per_ms = _parse_period(period.strip(), text) * count.denominator
    common = gcd(count.numerator, per_ms)
    return Rate(count=count.numerator // common, per_ms=per_ms // common)


def format_rate(rate: Rate) -> str:
    """The rate for the shortest usual period in which it counts whole, else in lowest terms."""
    for name in ("s", "min", "h", "d", "week"):
        count = Fraction(rate.count * PERIOD_MS[name], rate.per_ms)
        if count.denominator == 1:
            return f"{count.numerator}/{name}"
    return f"{rate.count}/{format_duration(rate.per_ms)}"


def parse_share(value: object) -> Share:
    """A share for each period: `0.01%/d`, `20%/year`; `0%` alone needs no period."""
    text = _text(value, "a share of each period", "0.01%/d")
    number, slash, period = text.partition("/")
    ppm = parse_percent(number)
    if not slash:
        if ppm:
            raise ValueError(f"{text} has no period; write {text}/d or {text}/year")
        return Share(ppm=0, per_ms=DAY_MS)
    return Share(ppm=ppm, per_ms=_parse_period(period.strip(), text))


def format_share(share: Share) -> str:
    """`0.01%/d`, `20%/year`."""
    return f"{format_percent(share.ppm)}/{_format_period(share.per_ms)}"


def parse_milli(value: object) -> int:
    """Thousandths of a plain number such as `0.5` or `12`, for shape-like parameters."""
    text = _text(value, "a number", "0.5")
    if not _is_number(text):
        raise ValueError(f"'{text}' is no number; write digits like 0.5 or 12")
    return _whole(Fraction(text) * 1_000, text, "a thousandth")


def parse_number(value: object) -> Decimal:
    """The value a measure is compared with, exactly.

    A plain number stays itself, a percentage becomes a share of 1, a duration milliseconds, an amount of
    money minor units: the units in which measures are given.
    """
    text = _text(value, "a number", "68.41 or 93%")
    if _is_number(text):
        return Decimal(format_decimal(Fraction(text)))
    if text.endswith("%") and _is_number(text[:-1].strip()):
        return Decimal(format_decimal(Fraction(text[:-1].strip()) / 100))
    if _DURATION_PART.match(text):
        return Decimal(parse_duration(text))
    if text[-3:].isupper():
        return Decimal(parse_money(text).minor)
    raise ValueError(f"'{text}' is no number; write 68.41, 93%, 2h or 12.50 GBP")


def parse_tolerance(value: object) -> Tolerance:
    """`0.5%` of the expected value, or `0.01` itself."""
    text = _text(value, "a tolerance", "0.5%")
    number = parse_number(text)
    if number < 0:
        raise ValueError(f"{text} is negative; a tolerance is 0 or more")
    return Tolerance(value=number, relative=text.endswith("%"))


def format_tolerance(tolerance: Tolerance) -> str:
    """`0.5%` when relative, plain digits otherwise."""
    if tolerance.relative:
        return format_decimal(Fraction(tolerance.value) * 100) + "%"
    return format_decimal(tolerance.value)


# --- money


def _currency(text: str) -> str:
    if text not in CURRENCY_EXPONENTS:
        raise ValueError(f"unknown currency '{text}'; currencies known: {', '.join(CURRENCY_EXPONENTS)}")
    return text


def parse_money(value: object) -> Money:
    """Minor units of `12.50 GBP`."""
    text = _text(value, "an amount of money", "12.50 GBP")
    if _is_number(text):
        raise ValueError(f"{text} has no currency; write {text} GBP")
    number, _, currency = text.partition(" ")
    currency = currency.strip()
    if not _is_number(number) or not currency:
        raise ValueError(f"'{text}' is no amount of money; write a number and a currency like 12.50 GBP")
    exponent = CURRENCY_EXPONENTS[_currency(currency)]
    minor = Fraction(number) * 10**exponent
    if minor.denominator != 1:
        raise ValueError(f"{text} has more decimal places than {currency} has ({exponent})")
    if minor < 0:
        raise ValueError(f"{text} is negative; an amount is 0 or more")
    return Money(minor=minor.numerator, currency=currency)


def format_money(money: Money) -> str:
    """`12.50 GBP`, always with the currency's decimal places."""
    exponent = CURRENCY_EXPONENTS[money.currency]
    digits = str(money.minor).rjust(exponent + 1, "0")
    number = f"{digits[:-exponent]}.{digits[-exponent:]}" if exponent else digits
    return f"{number} {money.currency}"


def parse_charge(value: object) -> Charge:
    """Money for one unit and period: `0.70 GBP/unit/day`, `0.225 GBP/unit/year`."""
    text = _text(value, "a charge", "0.70 GBP/unit/day")
    if _is_number(text):
        raise ValueError(f"{text} has no unit; write {text} GBP/unit/day or {text} GBP/unit/year")
    amount, _, rest = text.partition("/")
    unit, slash, period = rest.partition("/")
    number, _, currency = amount.strip().partition(" ")
    currency = currency.strip()
    if not _is_number(number) or not currency or unit.strip() != "unit" or not slash:
        raise ValueError(f"'{text}' is no charge; write money per unit and period like 0.70 GBP/unit/day")
    minor = Fraction(number) * 10 ** CURRENCY_EXPONENTS[_currency(currency)]
    if minor < 0:
        raise ValueError(f"{text} is negative; a charge is 0 or more")
    micro = _whole(minor * MICRO, text, "a millionth of a minor unit")
    return Charge(micro_minor=micro, currency=currency, per_ms=_parse_period(period.strip(), text))


def format_charge(charge: Charge) -> str:
    """`0.7 GBP/unit/d`."""
    scale = 10 ** CURRENCY_EXPONENTS[charge.currency]
    amount = format_decimal(Fraction(charge.micro_minor, MICRO * scale))
    return f"{amount} {charge.currency}/unit/{_format_period(charge.per_ms)}"
