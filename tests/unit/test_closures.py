"""Closures of carriers are told from deliveries that crowd: what came due at night comes in the hours after an opening.

Logs without a closure, many seeds of each kind, must give none; closures that are in a log must be found.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from twin.core.calendar import Calendar, next_open
from twin.replay.facts import Duration
from twin.replay.interruptions import STANDSTILL_MIN_MS, find_closures
from twin.replay.working_time import worked
from twin.scenario.calendars import compile_calendar
from twin.scenario.times import CalendarSpec

HOUR, DAY = 3_600_000, 86_400_000
START = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 1_000
ROUNDS = CalendarSpec.model_validate(
    {"id": "rounds", "timezone": "Europe/Berlin", "days": ["mon", "tue", "wed", "thu", "fri", "sat"]}
    | {"hours": ["07:00-19:00"]}
)
SEEDS = 40
SIZES = [(8, 182), (20, 90), (60, 60)]
"""Parcels a day and days; the longest log has a summer time in it."""


def crowded(
    seed: int, a_day: int, days: int, *, crowd: float, daily: bool = False, closed: tuple[int, int] = (0, 0)
) -> tuple[list[Duration], Calendar, int]:
    """Parcels of a near and a far lane, a day and two on their way give or take, the carrier's hours, and the end.

    What comes due while the carrier is closed comes within so many hours (`crowd`) of the opening; `daily`: all does.
    """
    calendar = compile_calendar(ROUNDS, START - 7 * DAY, START + 2 * days * DAY)
    openings = calendar.bounds[::2]
    rng, end, found = np.random.default_rng(seed), START + days * DAY, []
    for lane, mean in (("main/van/near", 24), ("main/van/far", 48)):
        for _ in range(rng.poisson(a_day * days / 2)):
            begins = next_open(calendar, START + int(rng.uniform(0, days * DAY)))
            due = begins + int(max(0, rng.normal(mean, 5)) * HOUR)
            if begins < closed[1] and due > closed[0]:
                due += closed[1] - max(begins, closed[0])
            came = next(at for at in openings if at >= due) if daily else next_open(calendar, due)
            came += int(rng.uniform(0, crowd) * HOUR) if daily or came != due else 0
            if begins < end:
                found.append(Duration(lane, begins, min(came, end) - begins, came >= end))
    return found, calendar, end


@pytest.mark.parametrize(("a_day", "days"), SIZES)
@pytest.mark.parametrize(("crowd", "daily"), [(0.0, False), (1.0, False), (3.0, False), (1.0, True)])
def test_deliveries_that_crowd_after_the_opening_are_no_closures(  # RP-03
    a_day: int, days: int, crowd: float, daily: bool
) -> None:
    """Forty logs of each of twelve kinds, none with a closure."""
    logs = (crowded(seed, a_day, days, crowd=crowd, daily=daily) for seed in range(SEEDS))
    assert [find_closures(parcels, {"van": hours}, end) for parcels, hours, end in logs] == [[]] * SEEDS


@pytest.mark.parametrize(("a_day", "days", "lasts"), [(8, 182, 4), (20, 90, 2), (60, 60, 2)])
def test_a_closure_is_found_in_a_crowd(a_day: int, days: int, lasts: int) -> None:  # RP-03
    """From each of the weekdays on; its ends are known to the hours in which little is due."""
    for seed in range(12):
        began = START + (days // 14 * 7 + seed % 6) * DAY + 10 * HOUR
        ended = began + lasts * DAY
        parcels, hours, end = crowded(seed, a_day, days, crowd=1.0, closed=(began, ended))
        (found,) = find_closures(parcels, {"van": hours}, end)
        assert found.ended_at >= ended
        for told, true in ((found.began_at, began), (found.ended_at, ended)):
            assert worked(hours, min(told, true), max(told, true)) <= 9 * HOUR
        on_the_way = sum(
            one.began_at < found.ended_at and one.began_at + one.duration_ms >= found.began_at for one in parcels
        )
        assert found.threshold <= found.expected <= on_the_way


@pytest.mark.parametrize("hours_closed", [2, 3])
def test_what_is_closed_for_fewer_than_four_opening_hours_is_no_closure(hours_closed: int) -> None:  # RP-03
    """However much was due: the end of a Saturday and the beginning of a Monday."""
    for seed in range(10):
        # A Saturday, up to the Monday's first hour.
        ended = START + 28 * DAY + 7 * HOUR
        began = START + 26 * DAY + (18 - hours_closed + 1) * HOUR
        parcels, hours, end = crowded(seed, 150, 45, crowd=1.0, closed=(began, ended))
        assert worked(hours, began, ended) < STANDSTILL_MIN_MS
        assert find_closures(parcels, {"van": hours}, end) == []


def test_a_short_closure_after_hours_in_which_nothing_was_due_is_none() -> None:  # RP-03
    """Nothing was shipped that would have come from ten to one; what was due from one to four came at four."""
    found = []
    for minute in range(0, 21 * 24 * 60, 3):
        due = START + minute * 60_000
        day, hour = (due - START) // DAY, (due - START) % DAY / HOUR
        if day != 14 or not 10 <= hour < 13:
            came = START + 14 * DAY + 16 * HOUR if day == 14 and 13 <= hour < 16 else due
            # A quarter of an hour more or less.
            found.append(Duration("main/van/near", due - DAY - minute % 16 * 60_000, came - due + DAY, False))
    found = [one._replace(duration_ms=one.duration_ms + (one.began_at // 60_000 % 16) * 60_000) for one in found]
    assert find_closures(found, {"van": Calendar("always")}, START + 21 * DAY) == []


def test_no_more_is_expected_than_was_on_its_way() -> None:  # RP-03
    """In a log too short for another week to say what is usual: a parcel counts once, however long it is overdue."""
    began, ended = START + 5 * DAY + 10 * HOUR, START + 7 * DAY + 10 * HOUR
    parcels, hours, end = crowded(1, 60, 9, crowd=0.0, closed=(began, ended))
    (found,) = find_closures(parcels, {"van": hours}, end)
    on_the_way = sum(
        one.began_at < found.ended_at and one.began_at + one.duration_ms >= found.began_at for one in parcels
    )
    assert found.threshold <= found.expected <= on_the_way


def test_hours_stay_what_they_are_when_clocks_are_set() -> None:  # RP-03
    """A van comes from seven to eight, by the clock of the place, on both sides of the end of March."""
    for seed in range(3):
        parcels, hours, end = crowded(seed, 60, 112, crowd=1.0, daily=True)
        assert find_closures(parcels, {"van": hours}, end) == []
