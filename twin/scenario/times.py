"""How long a scenario runs, and when things are open."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, model_validator

from twin.scenario import limits, units
from twin.scenario.base import DurationMs, Id, Instant, Model, Positive, Tuple, WrittenAs, at_least_one, refuse
from twin.scenario.errors import suggestion

__all__ = ["DAYS", "CalendarSpec", "Day", "Hours", "RunSpec"]

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
"""Weekdays, Monday first."""


class RunSpec(Model):
    """When the run begins and how long it takes."""

    start: Instant
    """First instant of the run"""
    horizon: DurationMs
    """How long demand comes in, warm-up included"""
    warmup: DurationMs = 0
    """Time at the start that measures leave out"""
    drain: DurationMs = 0
    """Time after the horizon in which demand has stopped but the clock runs on"""
    seed: Annotated[int, Field(ge=0, le=limits.SEED_MAX)] = 1
    """Seed of every random draw"""
    part_rows: Positive = 65_536
    """Entries in one part of the log"""

    @property
    def demand_end(self) -> int:
        """When demand stops, in ms since the epoch."""
        return self.start + self.horizon

    @property
    def end(self) -> int:
        """When the clock stops, in ms since the epoch."""
        return self.start + self.horizon + self.drain

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.horizon <= 0:
            raise refuse("the horizon is 0s; give the run some time, such as 21d")
        if self.horizon + self.drain > limits.RUN_MS_MAX:
            raise refuse(
                f"horizon and drain take {units.format_duration(self.horizon + self.drain)}; "
                f"a run takes at most 100 years ({units.format_duration(limits.RUN_MS_MAX)})"
            )
        if self.warmup >= self.horizon:
            raise refuse(
                f"the warm-up of {units.format_duration(self.warmup)} leaves nothing of the horizon of "
                f"{units.format_duration(self.horizon)} to measure"
            )
        return self


class Hours(NamedTuple):
    """Opening hours in ms after local midnight; an end at or before the start lies on the next day."""

    start: int
    end: int


def _hours(value: object) -> Hours:
    if isinstance(value, Hours):
        return value
    if not isinstance(value, str) or value.count("-") != 1:
        raise refuse(f"{value!r} is no opening time; write a range like 06:00-14:00")
    start, _, end = value.partition("-")
    try:
        return Hours(units.parse_time_of_day(start), units.parse_time_of_day(end))
    except ValueError as error:
        raise refuse(str(error)) from None


def _hours_text(hours: Hours) -> str:
    return f"{units.format_time_of_day(hours.start)}-{units.format_time_of_day(hours.end)}"


def _date(value: object) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise refuse(f"'{value}' is no date; write year, month and day like 2010-04-02") from None


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        names = sorted(available_timezones())
        raise refuse(
            f"unknown time zone '{value}'; write an IANA name such as Europe/London{suggestion(value, names)}"
        ) from None
    return value


HoursRange = Annotated[
    Hours,
    PlainValidator(_hours),
    PlainSerializer(_hours_text, return_type=str),
    WrittenAs("range `06:00-14:00`"),
]
Date = Annotated[
    date,
    PlainValidator(_date),
    PlainSerializer(date.isoformat, return_type=str),
    WrittenAs("date `2010-04-02`"),
]
Zone = Annotated[str, AfterValidator(_zone)]


class CalendarSpec(Model):
    """Opening times by weekday in a time zone. `always` is predefined."""

    id: Id
    """Name that others refer to"""
    always: bool = False
    """Open at all times; then nothing else may be given"""
    timezone: Zone = "UTC"
    """IANA name of the zone in which hours, days and dates are meant"""
    days: Annotated[Tuple[Day], AfterValidator(at_least_one)] = DAYS
    """Days on which it opens"""
    hours: Annotated[Tuple[HoursRange], AfterValidator(at_least_one)] = (Hours(0, units.DAY_MS),)
    """Opening hours of each such day; a range may run past midnight"""
    closed: Tuple[Date] = ()
    """Dates on which it does not open"""

    @model_validator(mode="before")
    @classmethod
    def _always_alone(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("always") is True:
            others = [key for key in ("days", "hours", "closed") if key in value]
            if others:
                raise refuse(f"a calendar that is always open cannot have {' or '.join(others)}")
        return value
