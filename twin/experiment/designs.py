"""Designs of experiments: variants that a few factors make, each value put into a change of the scenario."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import product
from string import Template
from typing import Annotated, Any, Final, Literal, Self

from msgspec import Struct
from pydantic import AfterValidator, Field, model_validator

from twin.scenario.base import Id, Model, Positive, Tuple, Value, at_least_one, refuse
from twin.scenario.limits import SEED_MAX
from twin.scenario.merging import merge_plain

__all__ = ["Factorial", "LatinHypercube", "LevelFactor", "Point", "RangeFactor", "filled"]

VARIANTS_MAX: Final = 4_096


class Point(Struct, frozen=True):
    """One point of a design: the variant that it makes, and the value of each factor."""

    id: str
    change: dict[str, Any]
    values: dict[str, Any]


class LevelFactor(Model):
    """A factor with a few levels."""

    id: Id
    """What the results call it"""
    levels: Annotated[Tuple[Any], AfterValidator(at_least_one)]
    """Its values"""
    change: dict[str, Any]
    """The change of the scenario; `$value` in it is the value"""


class RangeFactor(Model):
    """A factor with a range."""

    id: Id
    """What the results call it"""
    low: Value
    """Its least value"""
    high: Value
    """Its greatest value"""
    whole: bool = False
    """Whole numbers only"""
    change: dict[str, Any]
    """The change of the scenario; `$value` in it is the value"""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.low >= self.high:
            raise refuse(f"low {self.low} is not below high {self.high}; nothing would vary")
        return self

    def at(self, share: float) -> int | Decimal:
        """The value at a share of 0 to below 1 of the range, to six decimals or whole."""
        if self.whole:
            low, high = int(self.low), int(self.high)
            return low + int(share * (high - low + 1))
        exact = Fraction(self.low) + Fraction(share) * (Fraction(self.high) - Fraction(self.low))
        return Decimal(round(exact * 1_000_000)) / 1_000_000


class Factorial(Model):
    """Every combination of the factors' levels."""

    kind: Literal["factorial"]
    """Full factorial"""
    factors: Annotated[Tuple[LevelFactor], AfterValidator(at_least_one)]
    """What is varied"""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        count = 1
        for factor in self.factors:
            count *= len(factor.levels)
        if count > VARIANTS_MAX:
            raise refuse(f"the factors make {count} variants; at most {VARIANTS_MAX} are run")
        return self

    def points_of(self) -> list[Point]:
        """The points, the last factor changing fastest."""
        return [_point(self.factors, levels) for levels in product(*(factor.levels for factor in self.factors))]


class LatinHypercube(Model):
    """Points that fill the space of the factors, each factor's range cut into as many slices as there are points."""

    kind: Literal["latin_hypercube"]
    """McKay, Beckman and Conover (1979)"""
    points: Annotated[Positive, Field(le=VARIANTS_MAX)]
    """How many"""
    seed: Annotated[int, Field(ge=0, le=SEED_MAX)] = 1
    """They are drawn from it"""
    factors: Annotated[Tuple[RangeFactor], AfterValidator(at_least_one)]
    """What is varied"""

    def points_of(self) -> list[Point]:
        """The points, numbered."""
        from scipy.stats.qmc import LatinHypercube as Sampler  # its import takes longer than a small run

        sample = Sampler(d=len(self.factors), rng=self.seed).random(self.points)
        rows = [[factor.at(float(share)) for factor, share in zip(self.factors, row, strict=True)] for row in sample]
        return [_point(self.factors, row, f"p{number + 1:04d}") for number, row in enumerate(rows)]


def _point(factors: Sequence[LevelFactor | RangeFactor], values: Sequence[Any], id: str = "") -> Point:
    change: dict[str, Any] = {}
    for factor, value in zip(factors, values, strict=True):
        change = merge_plain(change, filled(factor.change, "value", value), nulls=True)
    named = {factor.id: value for factor, value in zip(factors, values, strict=True)}
    return Point(id or "-".join(_id(f"{name}.{value}") for name, value in named.items()), change, named)


def _id(text: str) -> str:
    return "".join(c if c.isalnum() or c in "_.-" else "_" for c in text.lower())


def filled(change: Any, name: str, value: Any) -> Any:
    """The change with the value in place of `$name`; where that is all the text, with the value's own type."""
    if isinstance(change, dict):
        return {key: filled(item, name, value) for key, item in change.items()}
    if isinstance(change, list):
        return [filled(item, name, value) for item in change]
    if change == f"${name}":
        return value
    return Template(change).safe_substitute({name: value}) if isinstance(change, str) else change
