"""Hours and weekdays that are read off events: a crowd at one time does not close the others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.unit.foreign_logs import DAY, HOUR, START, log_of
from twin.core.calendar import next_open
from twin.event_log import EventLog
from twin.replay.foreign import calibrate_log
from twin.replay.open_hours import CLOSED_MAX, find_open_hours
from twin.run import load
from twin.scenario.calendars import compile_calendar
from twin.scenario.times import DAYS, CalendarSpec

WEEKDAYS = DAYS[:5]


def instants(hours: dict[int, int], days: dict[int, int] | None = None) -> list[int]:
    """So many events in each hour of the day, and so many times that on each weekday (0 is Monday)."""
    base = datetime(2018, 1, 1, tzinfo=UTC)
    stamps = [
        base + timedelta(days=day, hours=hour, minutes=number % 60)
        for day, times in (days or dict.fromkeys(range(5), 1)).items()
        for hour, count in hours.items()
        for number in range(count * times)
    ]
    return [round(stamp.timestamp()) * 1000 for stamp in stamps]


@pytest.mark.parametrize("crowd", [200, 400, 2000])
def test_a_crowd_after_the_opening_does_not_close_the_day(crowd: int) -> None:
    """RP-03: the hours after it have less than a tenth of its events each, and hold a third of all."""
    found = find_open_hours(instants({8: crowd} | dict.fromkeys(range(9, 18), 20)), "UTC")
    assert found is not None and found.days == WEEKDAYS
    if crowd == 2000:
        # Then those hours hold 8 % of all.
        assert CLOSED_MAX < 180 / 2_180
    assert (found.begin, found.end, found.inside) == (8, 18, found.n)


def test_hours_that_hold_hardly_anything_stay_closed() -> None:
    """RP-03: less than a tenth of the busiest hour's, and less than a twentieth of all."""
    found = find_open_hours(instants({3: 2, 8: 100} | dict.fromkeys(range(9, 18), 60) | {22: 5}), "UTC")
    assert found is not None and (found.begin, found.end) == (8, 18)
    assert found.inside == found.n - 7 * 5


def test_a_break_at_noon_does_not_close_the_afternoon() -> None:
    """RP-03: the hours stay one range, whose closed end is the longest time in which little happens."""
    hours = dict.fromkeys([8, 9, 10, 11], 50) | {12: 1} | dict.fromkeys([13, 14, 15, 16], 50)
    found = find_open_hours(instants(hours), "UTC")
    assert found is not None and (found.begin, found.end, found.inside) == (8, 17, found.n)


def test_a_busy_weekday_does_not_close_the_others() -> None:
    """RP-03: a weekday with a twentieth of Monday's events is open where all such days hold a sixth of all."""
    found = find_open_hours(instants({9: 6, 10: 6}, {0: 20} | dict.fromkeys(range(1, 5), 1)), "UTC")
    assert found is not None and found.days == WEEKDAYS and found.inside == found.n
    rare = find_open_hours(instants({9: 6, 10: 6}, dict.fromkeys(range(5), 20) | {6: 1}), "UTC")
    assert rare is not None and rare.days == WEEKDAYS and rare.n - rare.inside == 12


@pytest.mark.parametrize("seed", range(20))
def test_hours_never_close_more_than_a_few_events(seed: int) -> None:
    """RP-03: whatever the hours are, a twentieth of the events is the most that closed hours hold, and of weekdays."""
    luck = np.random.default_rng(seed)
    hours = {hour: min(500, int(luck.pareto(0.8) * 3)) for hour in range(24)} | {int(luck.integers(24)): 100}
    days = {day: min(9, int(luck.pareto(1.0))) for day in range(7)} | {int(luck.integers(7)): 3}
    found = find_open_hours(instants(hours, days), "UTC")
    assert found is not None and found.inside >= (1 - 2 * CLOSED_MAX) * found.n


def test_hours_after_midnight_belong_to_the_day_on_which_they_began() -> None:
    """RP-03: nights from Monday on are no hours of a Saturday."""
    nights = [at for at in instants({20: 50, 21: 50, 22: 50, 23: 50}) for at in (at, at + 4 * HOUR)]
    found = find_open_hours(nights, "UTC")
    assert found is not None and found.days == WEEKDAYS
    assert (found.begin, found.end, found.inside) == (20, 4, found.n)


def crowded_log(seed: int) -> EventLog:
    """Half a year of orders without promises: what waits at night leaves, and comes, in the first hour of the day."""
    luck = np.random.default_rng(seed)
    week = {"timezone": "UTC", "days": ["mon", "tue", "wed", "thu", "fri", "sat"]}
    specs = [CalendarSpec.model_validate({"id": "x", **week, "hours": [one]}) for one in ("08:00-18:00", "07:00-19:00")]
    calendars = [compile_calendar(spec, START - DAY, START + 1_000 * DAY) for spec in specs]
    rows = []
    for number in range(1_000):
        at = START + int(luck.integers(182 * DAY) // DAY) * DAY + int(luck.uniform(8, 18) * HOUR)
        steps, now = [("order_placed", at)], at
        for activity, spent, calendar in zip(
            ("handed_to_carrier", "delivered"),
            (1 + luck.exponential(20), max(1.0, luck.normal(24, 5))),
            calendars,
            strict=True,
        ):
            due = now + round(spent * HOUR)
            now = next_open(calendar, due)
            now += 0 if now == due else int(luck.integers(HOUR))
            steps.append((activity, now))
        fields = {"case_id": f"o{number}", "order": f"o{number}", "origin": "North", "region": "Near", "quantity": 1}
        rows += [
            {**fields, "value_minor": 500, "row": 3 * number + place + 1, "activity": activity, "event_ms": when}
            for place, (activity, when) in enumerate(steps)
        ]
    return log_of(rows)


def test_a_crowded_log_gives_its_hours_and_a_promise_that_is_kept(tmp_path: Path) -> None:
    """RP-03: hours, transits and a run's share of kept promises are the log's, though two thirds come in one hour."""
    made = calibrate_log(crowded_log(1), START + 150 * DAY)
    assert 'hours: ["08:00-18:00"]' in made.text and 'hours: ["07:00-19:00"]' in made.text
    shares = [one.estimate for one in made.parameters if one.name.endswith("share inside")]
    assert shares == [1.0, 1.0]
    file = tmp_path / "made.yaml"
    file.write_text(made.text, encoding="utf-8")
    run = load(file).run(1, tmp_path / "run")
    assert 0.8 < run.measures["otif_to_promise"].value < 0.97
