"""A parameter as it is told: its estimate, interval, sample and tag."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from twin.replay.estimators import DurationEstimate

__all__ = ["Parameter", "amount", "interval", "spoken"]

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1))


class Parameter(Struct, frozen=True):
    """One estimate, in `unit` (ms, or a plain number of what the name says), with its interval of 95 %.

    `n` cases, of which `censored` were still open. `assumed` ones have no estimate: they are as in the base, and
    `note` says why. A measured one with a note says what it is, or why it does not stand in the file; a modeled one
    goes beyond what was measured.
    """

    name: str
    unit: Literal["ms", "number"]
    estimate: float | None
    low: float | None
    high: float | None
    n: int
    censored: int
    tag: Literal["measured", "modeled", "assumed"]
    note: str = ""


def _unit(value: float) -> tuple[str, int]:
    return next((one for one in _UNITS if value >= 2 * one[1]), _UNITS[-1])


def _digits(value: float) -> str:
    """Three significant digits, or all whole ones."""
    decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def amount(value: float, unit: Literal["ms", "number"] = "ms") -> str:
    """`3.12 d`, or a plain number."""
    if unit == "number":
        return _digits(value)
    name, size = _unit(value)
    return f"{_digits(value / size)} {name}"


def interval(value: float, low: float | None, high: float | None, unit: Literal["ms", "number"] = "ms") -> str:
    """`2.95 to 3.31`, in the unit of the value; a side that is open is left out."""
    size = 1 if unit == "number" else _unit(value)[1]
    if low is None and high is None:
        return ""
    ends = ["" if end is None else _digits(end / size) for end in (low, high)]
    return f"{ends[0]} to {ends[1]}" if ends[1] else f"{ends[0]} or more"


def spoken(found: DurationEstimate) -> str:
    """An estimate in words."""
    parts = [f"always {amount(found.median)}"] if found.fixed and found.median is not None else []
    for word, value, limits in (
        ("median", found.median, found.median_interval),
        ("mean", found.mean, found.mean_interval),
    ):
        if value is not None and limits is not None and not found.fixed:
            parts.append(f"{word} {amount(value)} [{interval(value, *limits)}]")
    text = f"{', '.join(parts)}; n {found.n:,}"
    text += f", {found.censored:,} of them open ({found.censored / found.n:.1%})" if found.censored else ", none open"
    if found.beyond > 1e-4:
        text += f"; the last {found.beyond:.1%} of the table are modeled, an exponential tail"
    return text
