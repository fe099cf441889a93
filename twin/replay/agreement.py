"""How far decisions agree with recorded ones: a share with its interval, by class, and weighted by value."""

from __future__ import annotations

from math import sqrt

from msgspec import Struct

from twin.replay.estimators import Z

__all__ = ["Agreement", "agreement_of", "wilson"]


class Agreement(Struct, frozen=True):
    """Recorded sourcing decisions of one class (empty: all) that come out identical.

    `low` and `high` are Wilson's interval of the share at 95 %; values are minor units of the lines decided about.
    """

    criticality: str
    decisions: int
    same: int
    value_minor: int
    same_value_minor: int
    low: float
    high: float


def agreement_of(criticality: str, decisions: int, same: int, value_minor: int, same_value_minor: int) -> Agreement:
    """The agreement of one class from its counts."""
    return Agreement(criticality, decisions, same, value_minor, same_value_minor, *wilson(same, decisions))


def wilson(same: int, of: int) -> tuple[float, float]:
    """Wilson's interval of a share at 95 % (Wilson 1927)."""
    if not of:
        return 0.0, 1.0
    share, square = same / of, Z * Z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = Z * sqrt(share * (1 - share) / of + square / (4 * of * of)) / (1 + square / of)
    return max(0.0, middle - half), min(1.0, middle + half)
