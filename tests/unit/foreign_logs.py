"""A foreign log made by a model whose parameters are known: for tests of what is estimated from such logs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from twin.core.calendar import add_working
from twin.event_log import EventLog, SourceFile, arrow_schema
from twin.scenario.calendars import compile_calendar
from twin.scenario.times import CalendarSpec

__all__ = ["DAY", "START", "UNTIL", "WEEKS", "known_log", "log_of", "truths"]

HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_514_764_800_000
"""2018-01-01, a Monday, 00:00 UTC."""

WEEKS = 52
UNTIL = START + WEEKS * 7 * DAY
FIRST, LAST = 60.0, 120.0
"""Orders a week at the beginning and at the end of the period, on a straight line that goes on after it."""

HANDLING = {"North": 12.0, "South": 20.0}
"""Mean working hours of an exponential; small origins are as fast as North."""

TRANSIT = {"Near": (6.0, 14.0), "Far Away": (10.0, 30.0)}
"""Least and mean of what is above it, in working hours of the carrier."""


def truths() -> dict[str, float]:
    """The true value of each parameter that the model has, by the name that calibration gives it."""
    found = {
        "units an order, mean": 1.5,
        "trend, orders a week more each week": (LAST - FIRST) / WEEKS,
        "warehouses north handling, mean": 12.0 * HOUR,
        "warehouses north handling, median": 12.0 * HOUR * float(np.log(2)),
        "warehouses south handling, mean": 20.0 * HOUR,
        "warehouses other handling, mean": 12.0 * HOUR,
    }
    for site in ("north", "south"):
        for region, (least, more) in (("near", TRANSIT["Near"]), ("far_away", TRANSIT["Far Away"])):
            found[f"lanes {site}-{region} transit, mean"] = (least + more) * HOUR
    return found


def known_log(seed: int, weeks: int = WEEKS + 13, *, cut_at: int | None = None, cancelled: float = 0.0) -> EventLog:
    """The log of so many weeks; with `cut_at` (ms) what happened from then on is not in it."""
    luck = np.random.default_rng(seed)
    spans = START - 7 * DAY, START + (weeks + 60) * 7 * DAY
    hours = {"timezone": "UTC", "hours": ["08:00-18:00"]}
    week = ["mon", "tue", "wed", "thu", "fri"]
    hands = compile_calendar(CalendarSpec.model_validate({"id": "hands", "days": week, **hours}), *spans)
    brings = compile_calendar(CalendarSpec.model_validate({"id": "brings", "days": [*week, "sat"], **hours}), *spans)
    rows: list[dict[str, Any]] = []
    for number in range(weeks):
        mean = FIRST + (LAST - FIRST) * (number + 0.5) / WEEKS
        placed = np.sort(luck.integers(START + number * 7 * DAY, START + (number + 1) * 7 * DAY, luck.poisson(mean)))
        for place, at in enumerate(placed.tolist()):
            draw = luck.random()
            origin = "North" if draw < 0.6 else "South" if draw < 0.9 else f"Tiny {int(luck.integers(10))}"
            region = "Near" if luck.random() < 0.7 else "Far Away"
            worked = luck.exponential(HANDLING.get(origin, 12.0))
            handed = add_working(hands, at, round(worked * HOUR))
            least, more = TRANSIT[region]
            delivered = add_working(brings, handed, round((least + luck.exponential(more)) * HOUR))
            units = 1 + int(luck.poisson(0.5))
            fields = {
                "case_id": f"o{number}-{place}",
                "order": f"o{number}-{place}",
                "origin": origin,
                "region": region,
                "quantity": units,
                "value_minor": 500 * units,
                "promised_ms": at + 10 * DAY,
                "row": len(rows) + 1,
            }
            steps = [("order_placed", at), ("handed_to_carrier", handed), ("delivered", delivered)]
            if luck.random() < cancelled:
                steps = [("order_placed", at), ("cancelled", None)]
            rows += [{**fields, "activity": activity, "event_ms": when} for activity, when in steps]
    kept = [row for row in rows if cut_at is None or row["event_ms"] is None or row["event_ms"] < cut_at]
    return log_of(kept, cut_at)


def log_of(rows: list[dict[str, Any]], as_of: int | None = None) -> EventLog:
    """A neutral log of these events; the last of them is its as-of unless given."""
    return EventLog(
        title="A known business",
        files=(SourceFile("known.csv", len(rows), 1),),
        table=pa.Table.from_pylist(rows, schema=arrow_schema()),
        zone="UTC",
        currency="EUR",
        currency_exponent=2,
        as_of_ms=max(row["event_ms"] or 0 for row in rows) if as_of is None else as_of,
        as_of_stated=as_of is not None,
        whole=True,
        left_out_rows=0,
        remarks=(),
        caveats=(),
        refused={},
    )
