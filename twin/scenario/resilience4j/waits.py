"""The waits between attempts, as Resilience4j makes them and as the engine can."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from msgspec import Struct

from twin.scenario.limits import RUN_MS_MAX

__all__ = ["Jittered", "doubled", "jittered", "waits_of"]

LOOKED_AT: Final = 64
"""So many waits are compared: one that doubles from a millisecond is longer than any run by then."""


def waits_of(first_ms: int, multiplier: float, longest_ms: int | None, attempts: int) -> list[int]:
    """Resilience4j's waits after the attempts 1, 2, ... in ms, before they are randomized; one at least.

    It multiplies a double and cuts it to whole milliseconds, each wait from the one before (`IntervalFunction`); so
    does this, or 1000 ms by 1.001 would be another wait here than there.
    """
    waits = [first_ms]
    while len(waits) < min(attempts - 1, LOOKED_AT):
        waits.append(min(int(waits[-1] * multiplier), RUN_MS_MAX))
    return waits if longest_ms is None else [min(wait, longest_ms) for wait in waits]


def doubled(waits: list[int]) -> list[int]:
    """What the engine makes of the first and the longest of these waits: it doubles, up to a cap."""
    return [min(max(waits), waits[0] << index) for index in range(len(waits))]


class Jittered(Struct, frozen=True):
    """A jitter of the engine, and by what a wait is multiplied so that its mean stays."""

    kind: str
    scale: Fraction
    low: Fraction
    """The shortest wait, as a share of the one that was written"""
    high: Fraction
    """The longest"""


def jittered(factor: Fraction) -> Jittered:
    """The jitter for a `randomizedWaitFactor`: Resilience4j draws evenly from 1 - factor to 1 + factor.

    `equal` draws from the upper half of a ceiling, `full` from all of it. With the ceiling at 4/3 and at 2 of the wait
    both have its mean, and are what the factors 1/3 and 1 would be. The nearer one is taken; a small factor is not
    rounded to none, or all that failed at one instant would come back at one instant.
    """
    if not factor:
        return Jittered("none", Fraction(1), Fraction(1), Fraction(1))
    if factor <= Fraction(2, 3):
        return Jittered("equal", Fraction(4, 3), Fraction(2, 3), Fraction(4, 3))
    return Jittered("full", Fraction(2), Fraction(0), Fraction(2))
