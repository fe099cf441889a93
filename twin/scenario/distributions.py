"""How distributions are written in a scenario, and the `twin.streams` structs they become.

A bare value is fixed: `lead_time: 2d`, `lines: 3`. Anything else names its kind. A field holds the struct; a
dump writes it as it would stand in a file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, Field, GetCoreSchemaHandler, PlainSerializer
from pydantic_core import CoreSchema, core_schema

from twin.scenario import limits, units
from twin.scenario.base import Cost, Count, DurationMs, Milli, Model, Percent, Positive, Tuple, WrittenAs, refuse
from twin.streams import distributions as streams
from twin.streams.distributions import Distribution

__all__ = ["CountSpec", "CountTable", "DistributionSpec", "PriceTable", "quantile_ms"]

V = TypeVar("V")


def _mean(milli: int) -> int:
    if milli > limits.UNITS_MAX * 1_000:
        raise refuse(f"{_number(milli)} is too large; write {limits.UNITS_MAX} or less")
    return milli


class FixedSpec(Model, Generic[V]):
    """Always `value`."""

    kind: Literal["fixed"]
    value: V


class UniformSpec(Model, Generic[V]):
    """Anything between `low` and `high` with equal chance."""

    kind: Literal["uniform"]
    low: V
    high: V


class ExponentialSpec(Model):
    """Exponential with this mean; `{mean: 1s, per: 300}` is the time of one of 300 a second."""

    kind: Literal["exponential"]
    mean: DurationMs
    per: Positive = 1


class NormalSpec(Model, Generic[V]):
    """Normal; a draw below zero becomes zero."""

    kind: Literal["normal"]
    mean: V
    sd: V


class LogNormalSpec(Model):
    """Its logarithm is normal with standard deviation `sigma`; half of the draws are below `median`."""

    kind: Literal["lognormal"]
    median: DurationMs
    sigma: Milli


class TriangularSpec(Model):
    """A triangle from `low` over its peak at `mode` to `high`."""

    kind: Literal["triangular"]
    low: DurationMs
    mode: DurationMs
    high: DurationMs


class WeibullSpec(Model):
    """Weibull of `scale` with `shape` (below 1: mostly short with a long tail)."""

    kind: Literal["weibull"]
    scale: DurationMs
    shape: Milli


class PoissonSpec(Model):
    """Poisson counts with this mean."""

    kind: Literal["poisson"]
    mean: Annotated[Milli, AfterValidator(_mean)]


class EmpiricalSpec(Model, Generic[V]):
    """Quantiles as pairs of probability and value from 0% to 100%, straight lines between."""

    kind: Literal["empirical"]
    table: Tuple[Annotated[tuple[Percent, V], Field(strict=False)]]


DurationUnion = Annotated[
    FixedSpec[DurationMs]
    | UniformSpec[DurationMs]
    | ExponentialSpec
    | NormalSpec[DurationMs]
    | LogNormalSpec
    | TriangularSpec
    | WeibullSpec
    | EmpiricalSpec[DurationMs],
    Field(discriminator="kind"),
]
CountUnion = Annotated[
    FixedSpec[Count] | UniformSpec[Count] | NormalSpec[Count] | PoissonSpec | EmpiricalSpec[Count],
    Field(discriminator="kind"),
]

_STRUCTS: dict[str, type[Distribution]] = {
    "fixed": streams.Fixed,
    "uniform": streams.Uniform,
    "exponential": streams.Exponential,
    "normal": streams.Normal,
    "lognormal": streams.LogNormal,
    "triangular": streams.Triangular,
    "weibull": streams.Weibull,
    "empirical": streams.Empirical,
    "poisson": streams.Poisson,
}
_KINDS = {struct: kind for kind, struct in _STRUCTS.items()}
_PARAMETERS = {"sigma": "sigma_milli", "shape": "shape_milli"}


def _to_struct(spec: BaseModel) -> Distribution:
    """The drawn distribution of a validated spec; its own checks (low above high) become ours."""
    values: dict[str, Any] = {name: getattr(spec, name) for name in type(spec).model_fields}
    kind = values.pop("kind")
    names = {**_PARAMETERS, "mean": "mean_milli" if kind == "poisson" else "mean"}
    try:
        return _STRUCTS[kind](**{names.get(name, name): value for name, value in values.items()})
    except ValueError as error:
        # The struct's text begins with its own representation, which says nothing to a reader of a file.
        raise refuse(f"{kind}: {str(error).rpartition('): ')[2]}") from None


def _written(distribution: Distribution, value: Callable[[int], Any]) -> Any:
    """The distribution as it stands in a file: the bare value where it is fixed."""
    if isinstance(distribution, streams.Fixed):
        return value(distribution.value)
    written: dict[str, Any] = {"kind": _KINDS[type(distribution)]}
    for name in distribution.__struct_fields__:
        number = getattr(distribution, name)
        if name == "table":
            written[name] = [[units.format_percent(ppm), value(at)] for ppm, at in number]
        elif name.endswith("_milli"):
            written[name.removesuffix("_milli")] = _number(number)
        elif name == "per":
            # A number of equal parts, not a value of the distribution's unit.
            written |= {} if number == 1 else {name: number}
        elif name == "minimum" or number is None:
            continue
        else:
            written[name] = value(number)
    return written


def _number(milli: int) -> str:
    return units.format_decimal(units.Number(milli) / 1000)


class Written:
    """Validates as the spec models in `union`, and yields a `twin.streams` distribution.

    `write` gives the text of a distribution as it stands in a file.
    """

    def __init__(self, union: Any, write: Callable[[Distribution], Any], *, table_only: bool = False) -> None:
        self.union = union
        self.write = write
        self.table_only = table_only

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = handler.generate_schema(self.union)

        def read(value: Any, validate: Callable[[Any], Any]) -> Distribution:
            if not isinstance(value, Distribution):
                return _to_struct(validate(self.long_form(value)))
            again = _to_struct(validate(self.long_form(self.write(value))))
            if again != value:
                raise refuse(f"{value!r} cannot be written in a scenario file")
            return value

        return core_schema.no_info_wrap_validator_function(read, schema=inner)

    def long_form(self, value: Any) -> Any:
        """A bare value or table as the map with its kind; a map stays as it is."""
        if isinstance(value, dict):
            return value
        if isinstance(value, list | tuple):
            return {"kind": "empirical", "table": value}
        if self.table_only:
            raise refuse("expected a table of pairs like [[0%, 1], [100%, 5]]")
        return {"kind": "fixed", "value": value}


def _plain_duration(distribution: Distribution) -> Any:
    return _written(distribution, units.format_duration)


def _plain_count(distribution: Distribution) -> Any:
    return _written(distribution, int)


DistributionSpec = Annotated[
    Distribution,
    Written(DurationUnion, _plain_duration),
    WrittenAs("[duration distribution](#distributions)"),
    PlainSerializer(_plain_duration),
]
"""A distribution of durations in ms."""
CountSpec = Annotated[
    Distribution,
    Written(CountUnion, _plain_count),
    WrittenAs("[count distribution](#distributions)"),
    PlainSerializer(_plain_count),
]
"""A distribution of whole quantities."""
CountTable = Annotated[
    Distribution,
    Written(EmpiricalSpec[Count], _plain_count, table_only=True),
    WrittenAs("quantiles `[[0%, 1], [100%, 9]]`"),
    PlainSerializer(_plain_count),
]
"""Quantiles of whole quantities: `[[0%, 1], [50%, 4], [100%, 30]]`."""


def _rising(table: tuple[tuple[int, units.Money], ...]) -> tuple[tuple[int, units.Money], ...]:
    """Prices checked as a quantile table is; they stay amounts of money."""
    try:
        streams.Empirical(tuple((ppm, money.minor) for ppm, money in table))
    except ValueError as error:
        raise refuse(str(error).rpartition("): ")[2]) from None
    return table


PriceTable = Annotated[
    Tuple[Annotated[tuple[Percent, Cost], Field(strict=False)]],
    AfterValidator(_rising),
    WrittenAs("quantiles `[[0%, 0.08 GBP], [100%, 9.00 GBP]]`"),
]
"""Quantiles of prices: `[[0%, 0.08 GBP], [50%, 2.10 GBP], [100%, 125.00 GBP]]`."""


def quantile_ms(distribution: Distribution, numerator: int, denominator: int) -> int:
    """The quantile at `numerator / denominator` of a distribution of durations, rounded up to whole ms."""
    at = distribution.inverse(numerator / denominator)
    whole = int(at)
    return whole if whole >= at else whole + 1
