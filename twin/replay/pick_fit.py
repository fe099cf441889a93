"""Time of one picker for an order, and for each line and unit of it, from what picks took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from scipy.optimize import nnls
from scipy.stats import t

from twin.replay.facts import Duration

__all__ = ["PARTS", "PickFit", "fit_pick"]

LN2: Final = 0.6931471805599453
PARTS: Final = ("order", "line", "unit")


class PickFit(Struct, frozen=True):
    """Milliseconds by part (order, line, unit) with intervals of 95 %, from `n` picks that were finished.

    `shape` is the median over the mean of what a pick took over what the parts say: 1 where they say it exactly, ln 2
    where it is exponential.
    """

    n: int
    parts: dict[str, tuple[float, float, float]]
    shape: float

    def longer(self, factor: float) -> PickFit:
        """The same with every part so many times as long."""
        parts = {part: (one * factor, low * factor, high * factor) for part, (one, low, high) in self.parts.items()}
        return PickFit(self.n, parts, self.shape)

    @property
    def exponential(self) -> bool:
        """Whether that is nearer to exponential than to fixed."""
        return abs(self.shape - LN2) < abs(self.shape - 1)


def fit_pick(cases: Sequence[Duration], wanted: Sequence[str]) -> PickFit | None:
    """The wanted parts by least squares that are not negative, weighted by the expected time (its spread grows so).

    Picks that are still under way are left out. None where too few are finished, or where
    their sizes do not tell the parts apart.
    """
    done = [case for case in cases if not case.censored]
    columns = {"order": [1.0] * len(done), "line": [case.lines for case in done], "unit": [case.units for case in done]}
    sizes = np.array([columns[part] for part in wanted], dtype=float).T
    spent = np.array([case.duration_ms for case in done], dtype=float)
    if len(done) <= len(wanted) or np.linalg.matrix_rank(sizes) < len(wanted) or not spent.sum():
        return None
    weights = np.ones(len(done))
    for _ in range(3):
        found, _ = nnls(sizes * weights[:, None], spent * weights)
        expected = sizes @ found
        weights = 1 / np.maximum(expected, expected.mean() / 100)
    ratio = spent * weights
    freedom = len(done) - len(wanted)
    variance = float(((ratio - expected * weights) ** 2).sum()) / freedom
    spread = np.sqrt(np.diag(np.linalg.inv((sizes * weights[:, None]).T @ (sizes * weights[:, None]))) * variance)
    half = spread * float(t.ppf(0.975, freedom))
    parts = {
        part: (float(value), max(0.0, float(value - wide)), float(value + wide))
        for part, value, wide in zip(wanted, found, half, strict=True)
    }
    return PickFit(len(done), parts, float(np.median(ratio) / ratio.mean()))
