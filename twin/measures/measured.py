"""What a measure answers, exactly, and the register of all measures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, Final, Literal, TypeVar

from msgspec import Struct

__all__ = [
    "MEASURES",
    "Answer",
    "Exact",
    "Kind",
    "Measured",
    "Spec",
    "answer",
    "decimal",
    "mean",
    "measure",
    "of_one_run",
    "percentile",
    "ratio",
]

Exact = int | Fraction

Kind = Literal["L", "T", "P"]
"""From the log alone; with the truth that only the twin has; from a pair of runs on one seed."""

DIGITS: Final = {"ratio": 6, "ms": 0, "minor": 2, "units": 3, "unit_days": 3, "count": 0, "per order": 6}
"""Decimals that a unit is printed with; the last one is rounded half to even."""

_PER: Final = 6


class Answer(Struct, frozen=True):
    """What a measure's function computes. `part` names one slice (`channel=web`) where there are several."""

    value: Exact | None
    numerator: Exact | None = None
    denominator: Exact | None = None
    note: str = ""
    part: str = ""


class Measured(Struct, frozen=True):
    """One measure of one run. `value` is exact, None where nothing fell into the window.

    `numerator` and `denominator` are given for ratios and means; `window` is the rule by which things were counted.
    """

    name: str
    kind: Kind
    value: Exact | None
    unit: str
    numerator: Exact | None
    denominator: Exact | None
    window: str
    note: str = ""

    def text(self) -> str:
        """The value as a decimal with the fixed number of digits of its unit; a dash for none."""
        return "–" if self.value is None else decimal(self.value, DIGITS.get(self.unit, _PER))

    def __repr__(self) -> str:
        """`otif_to_request = 0.905199 ratio (296 of 327), L`: what a notebook shows."""
        parts = "" if self.denominator is None else f" ({_plain(self.numerator)} of {_plain(self.denominator)})"
        note = f"; {self.note}" if self.note else ""
        return f"{self.name} = {self.text()} {self.unit}{parts}, {self.kind}{note}"


def _plain(value: Exact | None) -> str:
    return "–" if value is None else decimal(value, 0 if Fraction(value).denominator == 1 else 3)


class Spec(Struct, frozen=True):
    """A registered measure; `doc` is the first paragraph of its function's docstring."""

    name: str
    kind: Kind
    unit: str
    window: str
    doc: str
    function: Callable[..., Answer | Iterable[Answer]]

    def of(self, *sources: Any) -> list[Measured]:
        """The measure, or its slices, of facts (L), facts and truth (T) or two runs' facts (P)."""
        answers = self.function(*sources)
        if isinstance(answers, Answer):
            answers = (answers,)
        return [
            Measured(
                f"{self.name}/{found.part}" if found.part else self.name,
                self.kind,
                found.value,
                self.unit,
                found.numerator,
                found.denominator,
                self.window,
                found.note,
            )
            for found in answers
        ]


MEASURES: Final[dict[str, Spec]] = {}
"""Every measure by name, in the order of definition."""


def of_one_run() -> list[str]:
    """The measures that one run has: all but those of a pair."""
    return [name for name, spec in MEASURES.items() if spec.kind != "P"]


_Function = TypeVar("_Function", bound=Callable[..., Answer | Iterable[Answer]])


def measure(kind: Kind, unit: str, window: str) -> Callable[[_Function], _Function]:
    """Register a function as the measure of its own name."""

    def register(function: _Function) -> _Function:
        name = function.__name__
        if name in MEASURES:
            raise ValueError(f"two measures are named {name}")
        doc = " ".join((function.__doc__ or "").partition("\n\n")[0].split())
        MEASURES[name] = Spec(name, kind, unit, window, doc, function)
        return function

    return register


def answer(value: Exact | None, note: str = "", part: str = "") -> Answer:
    """A plain number."""
    return Answer(value, None, None, note, part)


def ratio(numerator: Exact, denominator: Exact, note: str = "", part: str = "") -> Answer:
    """An exact quotient; no value where the denominator is 0."""
    return Answer(Fraction(numerator) / denominator if denominator else None, numerator, denominator, note, part)


def mean(values: Sequence[int], note: str = "", part: str = "") -> Answer:
    """The mean of the values, with their sum and their number."""
    return ratio(sum(values), len(values), note, part)


def percentile(ordered: Sequence[int], percent: int) -> int | None:
    """The nearest-rank percentile of sorted values: the smallest that at least `percent` % do not exceed.

    Definition 1 of Hyndman and Fan (1996), "Sample Quantiles in Statistical Packages".
    """
    if not ordered:
        return None
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def decimal(value: Exact, digits: int) -> str:
    """An exact number as a decimal text with `digits` decimals, rounded half to even, never in binary."""
    scaled = round(Fraction(value) * 10**digits)
    sign = "-" if scaled < 0 else ""
    whole, rest = divmod(abs(scaled), 10**digits)
    return f"{sign}{whole}.{rest:0{digits}d}" if digits else f"{sign}{whole}"
