"""How far single runs lie from their mean: quantiles and the mean of the bad tail, each with a bootstrap interval.

An interval of the mean says nothing of a bad week. The intervals here are percentile intervals of the bootstrap over
replications (Efron 1979). They are too narrow for quantiles that only a few runs lie beyond, so there are none with
fewer runs than one beyond the quantile.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct

from twin.measures.measured import Exact

if TYPE_CHECKING:
    from numpy import ndarray

__all__ = ["Estimate", "Spread", "cvar", "quantile", "spread_of", "spread_of_clusters"]

QUANTILES: Final = (5, 50, 95)
"""In percent."""

TAIL: Final = 95
"""The CVaR is the mean of the worst 100 − 95 percent."""

RESAMPLES: Final = 2_000


class Estimate(Struct, frozen=True):
    """A figure with its bootstrap interval; `value` is None where there are too few runs, and `note` says how many."""

    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""


class Spread(Struct, frozen=True):
    """The quantiles by percent, and the CVaR; that is None for a measure without a direction."""

    count: int
    quantiles: dict[int, Estimate]
    cvar: Estimate | None


def quantile(values: Sequence[float] | ndarray[Any, Any], percent: int, axis: int = -1) -> Any:
    """The nearest-rank quantile: the smallest value that at least `percent` % do not exceed."""
    import numpy

    return numpy.quantile(values, percent / 100, method="inverted_cdf", axis=axis)


def cvar(losses: Sequence[float] | ndarray[Any, Any], percent: int = TAIL, axis: int = -1) -> Any:
    """The mean of the worst 100 − `percent` % of losses: min over x of x + E[(L − x)+] / (1 − a).

    Rockafellar and Uryasev (2002), equation 25, for the empirical distribution. The minimum is at the quantile.
    """
    import numpy

    array = numpy.asarray(losses, dtype=float)
    at = numpy.expand_dims(quantile(array, percent, axis), axis)
    over = numpy.maximum(array - at, 0.0).mean(axis=axis)
    return numpy.squeeze(at, axis) + over * 100 / (100 - percent)


def spread_of(
    values: Sequence[Exact], better: Literal["high", "low"] | None, confidence_ppm: int, seed: int = 1
) -> Spread:
    """The spread of a measure over replications; what is bad is the tail away from `better`."""
    floats = [float(value) for value in values]
    quantiles = {}
    for percent in QUANTILES:
        beyond = min(percent, 100 - percent)
        quantiles[percent] = _estimate(floats, quantile, percent, ceil(100 / beyond), confidence_ppm, seed)
    tail = None
    if better is not None:
        # As a loss: what is too little of a good thing is one with its sign turned.
        sign = 1.0 if better == "low" else -1.0
        turned = _estimate(
            [sign * value for value in floats], cvar, TAIL, ceil(100 / (100 - TAIL)), confidence_ppm, seed
        )
        tail = turned if sign > 0 or turned.value is None else _turned(turned)
    return Spread(len(floats), quantiles, tail)


def spread_of_clusters(rows: Sequence[Sequence[Exact]], confidence_ppm: int, seed: int = 1) -> Spread:
    """The spread of losses, of which those of a row belong together, such as those of one seed; rows are of one length.

    The bootstrap draws whole rows (Davison and Hinkley 1997, section 3.8): taken one by one, the values of a row would
    look like more replications than there are.
    """
    import numpy

    losses = numpy.array([[float(value) for value in row] for row in rows])

    def of(figure: Any, percent: int, least: int) -> Estimate:
        def drawn(sample: Any, percent: int, axis: int = -1) -> Any:
            picked = losses[sample.astype(int)]
            return figure(picked.reshape(*picked.shape[:-2], -1), percent, axis)

        if losses.size < least or len(losses) < 2:
            return Estimate(None, note=f"n too small: {least} runs are needed")
        if (losses == losses[0, 0]).all():
            same = float(losses[0, 0])
            return Estimate(same, same, same)
        return _estimate(list(range(len(losses))), drawn, percent, 2, confidence_ppm, seed)

    quantiles = {percent: of(quantile, percent, ceil(100 / min(percent, 100 - percent))) for percent in QUANTILES}
    return Spread(int(losses.size), quantiles, of(cvar, TAIL, ceil(100 / (100 - TAIL))))


def _turned(found: Estimate) -> Estimate:
    low, high = found.low, found.high
    return Estimate(
        None if found.value is None else -found.value, None if high is None else -high, None if low is None else -low
    )


def _estimate(
    values: Sequence[float], figure: Any, percent: int, least: int, confidence_ppm: int, seed: int
) -> Estimate:
    if len(values) < least:
        return Estimate(None, note=f"n too small: {least} runs are needed")
    import numpy
    from scipy.stats import bootstrap  # its import takes longer than a small run

    array = numpy.asarray(values)
    if (array == array[0]).all():
        return Estimate(float(array[0]), float(array[0]), float(array[0]))
    found = bootstrap(
        (array,),
        lambda sample, axis: figure(sample, percent, axis),
        n_resamples=RESAMPLES,
        confidence_level=confidence_ppm / 1_000_000,
        method="percentile",
        vectorized=True,
        rng=numpy.random.default_rng(seed),
    )
    low, high = found.confidence_interval
    return Estimate(float(figure(array, percent)), float(low), float(high))
