"""Which factor of a Latin hypercube moves a measure, by SALib's methods for given data (the extra `analysis`)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

__all__ = ["POINTS_MIN", "AnalysisMissing", "Influence", "influences"]

POINTS_MIN: Final = 40
"""With fewer, the correction of its bias, 2M/N for M = 10 harmonics, would be more than half."""


class AnalysisMissing(RuntimeError):
    """SALib is not installed; the text says how it is."""


class Influence(Struct, frozen=True):
    """The share of a measure's variance that one factor alone explains, and the half-width of its interval."""

    factor: str
    first_order: float
    half_width: float


def influences(
    factors: Sequence[str],
    points: Sequence[Sequence[float]],
    answers: Sequence[float],
    confidence_ppm: int,
    seed: int = 1,
) -> list[Influence]:
    """First-order Sobol' indices by random balance designs (Tarantola, Gatelli and Mara 2006), the greatest first.

    `points` has a row for each answer. Raises `AnalysisMissing`, and `ValueError` for too few points.
    """
    if len(points) < POINTS_MIN:
        raise ValueError(f"n too small: {len(points)} points; {POINTS_MIN} are needed")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from SALib.analyze import rbd_fast
    except ImportError:
        raise AnalysisMissing("sensitivity needs the package SALib; pip install 'ordertwin[analysis]'") from None
    import numpy

    array = numpy.asarray(points, dtype=float)
    problem = {
        "num_vars": len(factors),
        "names": list(factors),
        "bounds": [[float(low), float(high)] for low, high in zip(array.min(axis=0), array.max(axis=0), strict=True)],
    }
    found = rbd_fast.analyze(
        problem, array, numpy.asarray(answers, dtype=float), conf_level=confidence_ppm / 1_000_000, seed=seed
    )
    rows = [
        Influence(name, float(share), float(half))
        for name, share, half in zip(factors, found["S1"], found["S1_conf"], strict=True)
    ]
    return sorted(rows, key=lambda row: -row.first_order)
