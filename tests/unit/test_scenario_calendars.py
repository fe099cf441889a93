"""Calendars in local time become intervals in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.core.calendar import is_open, next_open
from twin.scenario import calendar_named, compile_calendar, compile_instants
from twin.scenario.times import CalendarSpec
from twin.scenario.units import DAY_MS, format_instant, parse_instant

HOUR_MS = 3_600_000


def calendar(**values: Any) -> CalendarSpec:
    return CalendarSpec.model_validate({"id": "test", **values})


def test_hours_follow_the_local_clock_over_its_change() -> None:
    # The clock in London goes forward at 01:00 UTC on 2010-03-28, a Sunday.
    works = calendar(timezone="Europe/London", days=["fri", "mon"], hours=["09:00-17:00"])
    compiled = compile_calendar(works, parse_instant("2010-03-26T00:00Z"), parse_instant("2010-03-30T00:00Z"))
    assert [format_instant(bound) for bound in compiled.bounds[:4]] == [
        "2010-03-26T09:00:00Z",
        "2010-03-26T17:00:00Z",
        "2010-03-29T08:00:00Z",
        "2010-03-29T16:00:00Z",
    ]


def test_touching_shifts_become_one_interval_and_a_night_shift_runs_past_midnight() -> None:
    start = parse_instant("2025-11-17T00:00Z")
    shifts = compile_calendar(calendar(hours=["06:00-14:00", "14:00-22:00"]), start, start + DAY_MS)
    assert shifts.bounds[:2] == (start + 6 * HOUR_MS, start + 22 * HOUR_MS)
    night = compile_calendar(calendar(days=["sun"], hours=["22:00-06:00"]), start, start + DAY_MS)
    assert night.bounds[:2] == (start - 2 * HOUR_MS, start + 6 * HOUR_MS)
    whole = compile_calendar(calendar(), start, start + DAY_MS)
    assert len(whole.bounds) == 2


def test_closed_dates_have_no_hours() -> None:
    start = parse_instant("2010-04-01T00:00Z")
    open_days = calendar(hours=["09:00-17:00"], closed=["2010-04-02", "2010-04-03"])
    compiled = compile_calendar(open_days, start, start + 3 * DAY_MS)
    assert next_open(compiled, start + DAY_MS) == start + 3 * DAY_MS + 9 * HOUR_MS


def test_always_is_predefined_and_always_open() -> None:
    compiled = compile_calendar(calendar_named([], "always"), 0, DAY_MS)
    assert compiled.bounds == ()
    assert is_open(compiled, 10**15)
    with pytest.raises(KeyError):
        calendar_named([], "never")


def test_the_next_opening_after_the_end_is_known() -> None:
    start = parse_instant("2025-11-17T00:00Z")
    mondays = calendar(days=["mon"], hours=["09:00-10:00"])
    end = start + 2 * DAY_MS
    assert next_open(compile_calendar(mondays, start, end), end) == start + 7 * DAY_MS + 9 * HOUR_MS


def test_pickups_come_at_local_times_on_their_days() -> None:
    start = parse_instant("2010-03-26T00:00Z")
    local = calendar(timezone="Europe/London", closed=["2010-03-29"])
    at = (17 * HOUR_MS + 1_800_000, 12 * HOUR_MS)
    instants = compile_instants(local, at, ("fri", "mon", "tue"), start, start + 5 * DAY_MS)
    assert [format_instant(instant) for instant in instants] == [
        "2010-03-26T12:00:00Z",
        "2010-03-26T17:30:00Z",
        "2010-03-30T11:00:00Z",
        "2010-03-30T16:30:00Z",
    ]


@given(
    st.integers(0, 365 * 24 * 2).map(lambda half_hours: parse_instant("2025-01-01T00:00Z") + half_hours * 1_800_000),
    st.sampled_from(["Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_a_calendar_is_open_when_the_local_clock_says_so(at: int, zone: str) -> None:
    works = calendar(timezone=zone, days=["mon", "tue", "wed"], hours=["08:00-16:00"], closed=["2025-03-31"])
    compiled = compile_calendar(works, at, at + DAY_MS)
    local = datetime.fromtimestamp(at // 1_000, UTC).astimezone(ZoneInfo(zone))
    expected = local.weekday() < 3 and 8 <= local.hour < 16 and local.date().isoformat() != "2025-03-31"
    assert is_open(compiled, at) == expected
