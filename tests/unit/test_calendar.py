"""Calendars against a naive stepper that walks minute by minute."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hours import working_between
from twin.core.calendar import (
    ALWAYS_OPEN,
    Calendar,
    CalendarExhausted,
    add_working,
    calendar_of,
    is_open,
    next_open,
)

HOUR = 3_600_000
DAYS = calendar_of("picking", [(day * 24 * HOUR + 8 * HOUR, day * 24 * HOUR + 16 * HOUR) for day in range(5)])
LAST = DAYS.bounds[-1]

# Small times, so that the naive stepper can walk one unit at a time and boundaries are hit often.
calendars = st.lists(st.integers(0, 60), min_size=2, max_size=12, unique=True).map(
    lambda cuts: Calendar("c", tuple(sorted(cuts)[: len(cuts) // 2 * 2]))
)


def naive_open(calendar: Calendar, at: int) -> bool:
    bounds = calendar.bounds
    return any(bounds[i] <= at < bounds[i + 1] for i in range(0, len(bounds), 2))


@given(calendars, st.integers(-5, 59))
def test_open_and_next_open_agree_with_stepping(calendar: Calendar, at: int) -> None:
    last = calendar.bounds[-1]
    if at >= last:
        with pytest.raises(CalendarExhausted):
            is_open(calendar, at)
        with pytest.raises(CalendarExhausted):
            next_open(calendar, at)
        return
    assert is_open(calendar, at) is naive_open(calendar, at)
    step = at
    while not naive_open(calendar, step):
        step += 1
    assert next_open(calendar, at) == step


@given(calendars, st.integers(-5, 61), st.integers(0, 40))
def test_adding_work_agrees_with_stepping(calendar: Calendar, start: int, duration: int) -> None:
    last = calendar.bounds[-1]
    step = start
    while step < last and not naive_open(calendar, step):
        step += 1
    left = duration
    while left and step < last:
        left -= naive_open(calendar, step)
        step += 1
    if left or start >= last:
        with pytest.raises(CalendarExhausted):
            add_working(calendar, start, duration)
    else:
        assert add_working(calendar, start, duration) == step


@given(calendars, st.integers(-5, 59), st.integers(1, 40))
def test_work_added_is_the_work_found_between(calendar: Calendar, start: int, duration: int) -> None:
    try:
        end = add_working(calendar, start, duration)
    except CalendarExhausted:
        return
    assert working_between(calendar, start, end) == duration


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), min_size=1, max_size=9))
def test_a_calendar_of_loose_intervals_is_open_where_any_of_them_is(pairs: list[tuple[int, int]]) -> None:
    intervals = [(start, start + length) for start, length in pairs]
    calendar = calendar_of("loose", intervals)
    for at in range(calendar.bounds[-1]):
        assert is_open(calendar, at) is any(start <= at < end for start, end in intervals)


def test_work_begun_in_the_afternoon_is_done_next_morning() -> None:  # WH-04
    assert add_working(DAYS, 15 * HOUR, 2 * HOUR) == 24 * HOUR + 9 * HOUR


def test_work_that_fills_the_shift_is_done_at_its_end() -> None:  # WH-04
    assert add_working(DAYS, 8 * HOUR, 8 * HOUR) == 16 * HOUR


def test_work_that_fits_exactly_into_the_last_shift_is_done_at_the_last_instant() -> None:
    assert add_working(DAYS, LAST - HOUR, HOUR) == LAST
    with pytest.raises(CalendarExhausted):
        add_working(DAYS, LAST - HOUR, HOUR + 1)


def test_a_calendar_says_its_name_and_end_when_asked_past_it() -> None:
    with pytest.raises(CalendarExhausted, match=rf"'picking'.*{LAST} ms") as caught:
        is_open(DAYS, LAST)
    assert (caught.value.name, caught.value.last_ms) == ("picking", LAST)


def test_a_calendar_without_intervals_is_always_open() -> None:
    assert is_open(ALWAYS_OPEN, 10**15)
    assert next_open(ALWAYS_OPEN, 7) == 7
    assert add_working(ALWAYS_OPEN, 7, 5) == 12


@pytest.mark.parametrize("bounds", [(1,), (2, 2), (3, 2), (1, 5, 4, 6), (4, 6, 1, 2)])
def test_malformed_bounds_are_refused(bounds: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="calendar 'bad'"):
        Calendar("bad", bounds)


def test_an_empty_list_of_shifts_does_not_become_always_open() -> None:
    with pytest.raises(ValueError, match="no interval"):
        calendar_of("night", [])


def test_work_of_less_than_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 ms"):
        add_working(DAYS, 0, -1)


def test_what_is_precomputed_is_not_written_out() -> None:
    before = msgspec.json.encode(DAYS)
    assert add_working(DAYS, 0, 40 * HOUR) == LAST
    assert msgspec.json.encode(DAYS) == before
    assert msgspec.json.decode(before, type=Calendar) == DAYS
