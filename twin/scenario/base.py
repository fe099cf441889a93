"""What all scenario models share: the strict base, the unit types, references by id.

A type here reads the text of a scenario file (`2h`, `12.50 GBP`) and writes it back in canonical form, so that
a model's dump is again a scenario.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextvars import ContextVar
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Annotated, Any, TypeVar

from msgspec import Struct
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from twin.scenario import limits, units
from twin.scenario.errors import choices

__all__ = [
    "KNOWN",
    "CalendarRef",
    "ChannelRef",
    "ChargeRate",
    "Cost",
    "Count",
    "DurationMs",
    "EventRate",
    "Id",
    "Instant",
    "InterfaceGlob",
    "InterfaceRef",
    "ItemId",
    "ItemRef",
    "Known",
    "LaneFrom",
    "LaneTo",
    "Level",
    "Milli",
    "Model",
    "PartnerRef",
    "Percent",
    "Period",
    "Positive",
    "PositiveMs",
    "RegionRef",
    "ServiceRef",
    "ShareRate",
    "SomeRate",
    "SupplierRef",
    "TimeOfDay",
    "ToleranceValue",
    "Tuple",
    "Value",
    "WarehouseRef",
    "Weights",
    "priced",
    "refuse",
]

T = TypeVar("T")


class Model(BaseModel):
    """A frozen part of a scenario: unknown keys are refused, and nothing is converted but text with units."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


class Known(Struct, frozen=True):
    """The ids that a scenario defines, gathered before it is validated; `items` is None if not listed in it."""

    ids: Mapping[str, tuple[str, ...]]
    currency: str


KNOWN: ContextVar[Known | None] = ContextVar("known_scenario_ids", default=None)
"""Set while a whole scenario is validated; a part that is built alone has its references unchecked."""


class WrittenAs(Struct, frozen=True):
    """What the reference page calls a value, and links or shows as its form."""

    name: str


def refuse(text: str, *, bare: bool = False) -> PydanticCustomError:
    """An error with this text; a bare one is told without the name of its key in front."""
    # The text goes in as a value: a brace in it is no template.
    return PydanticCustomError("reference" if bare else "refused", "{text}", {"text": text})


def _a_second(value: int) -> int:
    if value < 1_000:
        raise refuse(f"every {units.format_duration(value)} is too often for a run to get on; write 1s or more")
    return value


def _some_time(value: int) -> int:
    if not value:
        raise refuse("0s is no time at all; write more")
    return value


def _unit(
    parse: Callable[[object], Any], write: Callable[[Any], str], pattern: str
) -> tuple[PlainValidator, PlainSerializer, WrittenAs]:
    def read(value: object) -> Any:
        try:
            return parse(value)
        except ValueError as error:
            raise refuse(str(error)) from None

    return (
        PlainValidator(read),
        PlainSerializer(write, return_type=str),
        WrittenAs(pattern),
    )


def _own_currency(currency: str) -> None:
    known = KNOWN.get()
    if known is not None and known.currency and currency != known.currency:
        raise refuse(f"the amount is in {currency}, this scenario counts in {known.currency}")


def _money(value: units.Money) -> units.Money:
    _own_currency(value.currency)
    if value.minor > limits.MINOR_MAX:
        most = units.format_money(units.Money(limits.MINOR_MAX, value.currency))
        raise refuse(f"{units.format_money(value)} is too large; write at most {most}")
    return value


def priced(value: units.Charge) -> units.Charge:
    """Refuses a charge of more money than a scenario may give."""
    if value.micro_minor > limits.MINOR_MAX * units.MICRO:
        most = units.format_money(units.Money(limits.MINOR_MAX, value.currency))
        raise refuse(f"{units.format_charge(value)} is too large; write at most {most} per unit and period")
    return value


def _charge(value: units.Charge) -> units.Charge:
    _own_currency(value.currency)
    return priced(value)


def _start(value: int) -> int:
    if not limits.START_MS_MIN <= value <= limits.START_MS_MAX:
        # An instant far outside has no text of its own.
        raise refuse("the instant is out of range; write one from 1970-01-01 to 2199-12-31 (UTC)")
    return value


def _event_rate(value: units.Rate) -> units.Rate:
    if value.count * 1_000 > limits.EVENTS_PER_SECOND_MAX * value.per_ms:
        raise refuse(f"{units.format_rate(value)} is too many; write at most {limits.EVENTS_PER_SECOND_MAX}/s")
    return value


def _some_rate(value: units.Rate) -> units.Rate:
    if not value.count:
        raise refuse("a rate of 0 lets nothing through at all; write more, or an outage")
    return value


_duration = _unit(units.parse_duration, units.format_duration, "duration `2h`")
_instant = _unit(units.parse_instant, units.format_instant, "instant `2025-11-17T00:00Z`")
_time = _unit(units.parse_time_of_day, units.format_time_of_day, "time `16:00`")
_percent = _unit(units.parse_percent, units.format_percent, "percentage `93%`")
_rate = _unit(units.parse_rate, units.format_rate, "rate `40/h`")
_share = _unit(units.parse_share, units.format_share, "share `0.01%/d`")
_milli = _unit(units.parse_milli, lambda milli: units.format_decimal(Decimal(milli) / 1000), "number")
_cost = _unit(units.parse_money, units.format_money, "money `12.50 GBP`")
_per_unit = _unit(units.parse_charge, units.format_charge, "charge `0.70 GBP/unit/day`")
_number = _unit(units.parse_number, units.format_decimal, "value `68.41`, `93%`, `2h`, `12.50 GBP`")
_tolerance = _unit(units.parse_tolerance, units.format_tolerance, "tolerance `0.5%`")

DurationMs = Annotated[int, *_duration]
"""Milliseconds, written `30s`, `5m`, `2h`, `1d`, `1d12h`."""
PositiveMs = Annotated[int, *_duration, AfterValidator(_some_time)]
"""The same, and some time at least."""
Period = Annotated[int, *_duration, AfterValidator(_a_second)]
"""Time between two looks or rounds. A run whose people look every millisecond would not come to an end."""
Instant = Annotated[int, *_instant, AfterValidator(_start)]
"""Milliseconds since the Unix epoch, written `2025-11-17T00:00Z`."""
TimeOfDay = Annotated[int, *_time]
"""Milliseconds after local midnight, written `16:00`."""
Percent = Annotated[int, *_percent]
"""Parts per million, written `93%`."""
EventRate = Annotated[units.Rate, *_rate, AfterValidator(_event_rate)]
"""Exact pair of count and milliseconds, written `40/h`."""
SomeRate = Annotated[units.Rate, *_rate, AfterValidator(_event_rate), AfterValidator(_some_rate)]
"""Exact pair of count and milliseconds, with a count of one at least."""
ShareRate = Annotated[units.Share, *_share]
"""Parts per million each period, written `0.01%/d`."""
Milli = Annotated[int, *_milli]
"""Thousandths of a plain number, written `0.5`."""
Cost = Annotated[units.Money, *_cost, AfterValidator(_money)]
"""Minor units with their currency, written `12.50 GBP`."""
ChargeRate = Annotated[units.Charge, *_per_unit, AfterValidator(_charge)]
"""Money for one unit and period, written `0.70 GBP/unit/day`."""
Value = Annotated[Decimal, *_number]
"""An exact number to compare a measure with: `68.41`, `93%`, `2h`, `12.50 GBP`."""
ToleranceValue = Annotated[units.Tolerance, *_tolerance]
"""`0.5%` of the expected value, or `0.01` itself."""

Count = Annotated[int, Field(ge=0, le=limits.UNITS_MAX)]
"""A whole number, none included."""
Positive = Annotated[int, Field(ge=1, le=limits.UNITS_MAX)]
"""A whole number, at least one."""
Level = Annotated[int, Field(ge=-limits.UNITS_MAX, le=limits.UNITS_MAX)]
"""A position of the stock; backorders make it negative."""

Tuple = Annotated[tuple[T, ...], Field(strict=False)]
"""A list in the file, a tuple in Python."""


def _id(value: str) -> str:
    if not value or any(c not in "abcdefghijklmnopqrstuvwxyz0123456789_.-" for c in value):
        raise refuse(f"'{value}' is no id; write small letters, digits, '_', '.' and '-' only")
    return value


def _item_id(value: str) -> str:
    if not value.strip() or "/" in value:
        raise refuse(f"'{value}' is no item; write any text without '/'")
    return value


Id = Annotated[str, AfterValidator(_id), WrittenAs("id")]
"""Small letters, digits, `_`, `.` and `-`."""
ItemId = Annotated[str, StringConstraints(strict=True), AfterValidator(_item_id), WrittenAs("item id")]
"""Any text without `/`."""


class _Ref:
    """Marks the id of something that the scenario must define."""

    def __init__(self, noun: str, plural: str, *, also: str = "", lead: str = "", beside: str = "") -> None:
        self.noun = noun
        self.beside = beside
        self.plural = plural
        self.also = also
        self.lead = lead

    def __call__(self, value: str) -> str:
        known = KNOWN.get()
        if known is None or self.noun not in known.ids or (self.also and value == self.also):
            return value
        names = (*known.ids[self.noun], *known.ids.get(self.beside, ()))
        if value not in names:
            raise refuse(self.lead + choices(self.noun, self.plural, value, names), bare=True)
        return value


class _Glob(_Ref):
    """Marks a pattern that must meet the id of something that the scenario defines."""

    def __call__(self, value: str) -> str:
        known = KNOWN.get()
        if known is not None and any(fnmatchcase(name, value) for name in known.ids.get(self.noun, ())):
            return value
        return super().__call__(value)


CalendarRef = Annotated[str, AfterValidator(_Ref("calendar", "calendars"))]
WarehouseRef = Annotated[str, AfterValidator(_Ref("warehouse", "warehouses"))]
SupplierRef = Annotated[str, AfterValidator(_Ref("supplier", "suppliers"))]
CarrierRef = Annotated[str, AfterValidator(_Ref("carrier", "carriers"))]
RegionRef = Annotated[str, AfterValidator(_Ref("region", "regions"))]
ItemRef = Annotated[str, AfterValidator(_Ref("item", "items"))]
AnyItemRef = Annotated[str, AfterValidator(_Ref("item", "items", also="*"))]
ChannelRef = Annotated[str, AfterValidator(_Ref("channel", "channels"))]
PartnerRef = Annotated[str, AfterValidator(_Ref("partner", "partners")), WrittenAs("partner")]
"""`warehouse/`, `supplier/` or `carrier/` with an id of the scenario, `erp`, or `marketplace/` or
`decision/` with a channel that has a feed, or a service; `inventory` where a service holds it."""
ServiceRef = Annotated[str, AfterValidator(_Ref("service", "services"))]
InterfaceRef = Annotated[str, AfterValidator(_Ref("interface", "interfaces"))]
InterfaceGlob = Annotated[str, AfterValidator(_Glob("interface", "interfaces")), WrittenAs("pattern of interface ids")]
LaneFrom = Annotated[str, AfterValidator(_Ref("warehouse", "warehouses", lead="lane from nowhere: ", beside="dock"))]
LaneTo = Annotated[str, AfterValidator(_Ref("region", "regions", lead="lane to nowhere: "))]


def _weights(value: dict[str, int]) -> dict[str, int]:
    if not sum(value.values()):
        raise refuse("the weights are all zero; give at least one that is not")
    # The order of keys in a file means nothing, and so must not reach a draw.
    return dict(sorted(value.items()))


def _sorted_keys(value: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(value.items()))


K = TypeVar("K", bound=Hashable)

Weights = Annotated[dict[K, Count], AfterValidator(_weights)]
"""Whole-number weights by id, in the order of their ids."""

SortedKeys = AfterValidator(_sorted_keys)


def shorthand(expand: Callable[[Any], Any]) -> BeforeValidator:
    """Turns the short way of writing a value into the long one, before it is validated."""
    return BeforeValidator(expand)


def at_least_one(values: Sequence[T]) -> Sequence[T]:
    """Refuses an empty list."""
    if not values:
        raise refuse("the list is empty; give at least one entry")
    return values
