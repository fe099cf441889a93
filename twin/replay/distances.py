"""How far apart two event tables are: six distances of log-distance-measures, two of parcels' times of our own.

The six are those of Chapela-Campa, Benchekroun, Baron, Dumas, Krass and Senderovich (2023, "Can I trust my simulation
model?"); what each is taken with stands in `Distance.parameters`. Ours need no library. All times are in hours.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import repeat
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from twin.replay.event_table import EventTableError

__all__ = [
    "Distance",
    "DistancesMissing",
    "LeftOut",
    "common_activities",
    "distances",
    "library",
    "measure",
    "parcel_distances",
    "parcel_times",
]

GRAM: Final = 3
HOUR_MS: Final = 3_600_000
BIN: Final = datetime.timedelta(hours=1)
CAPTURED: Final = "captured"
HANDLING: Final = ("released", "shipped", "node")
TRANSIT: Final = ("shipped", "delivered", "lane")


class DistancesMissing(RuntimeError):
    """log-distance-measures is not installed; the text says how it is."""


class Distance(Struct, frozen=True):
    """`value` in `unit`, None where nothing of it is in both logs; `n` are the `of` that each log gave.

    `parts` are the distances by warehouse or lane that `value` is the weighted mean of; `left_out` counts the parcels
    of those that only one log has.
    """

    name: str
    unit: str
    value: float | None
    n: tuple[int, int]
    of: str
    parameters: str
    parts: dict[str, float] = {}
    left_out: int = 0


class LeftOut(Struct, frozen=True):
    """An activity that only one of two logs knows: its events are in no distance. `log` counts from 0."""

    log: int
    activity: str
    events: int


def distances(a: pa.Table, b: pa.Table) -> list[Distance]:
    """All eight between two event tables, of the activities that both know.

    Raises `DistancesMissing`, and `EventTableError` where the tables have no activity in common.
    """
    first, second, _ = common_activities(a, b)
    return measure(first, second)


def common_activities(*tables: pa.Table) -> tuple[Any, ...]:
    """The tables without the events of activities that not all of them know, and last the list of what was left out.

    Raises `EventTableError` where nothing is left.
    """
    counts = [{row["values"]: row["counts"] for row in pc.value_counts(one["activity"]).to_pylist()} for one in tables]
    shared = [activity for activity in counts[0] if all(activity in count for count in counts)]
    if not shared:
        knows = "; ".join(", ".join(sorted(count)) for count in counts)
        raise EventTableError(f"the logs have no activity in common: {knows}; name them alike")
    wanted = pa.array(shared, pa.string())
    left = [
        LeftOut(log, activity, count[activity])
        for log, count in enumerate(counts)
        for activity in sorted(count)
        if activity not in shared
    ]
    return (*(one.filter(pc.is_in(one["activity"], wanted)) for one in tables), left)


def measure(a: pa.Table, b: pa.Table) -> list[Distance]:
    """All eight between two event tables as they are: an activity that one of them lacks counts as a difference."""
    found = library()
    ids = found.EventLogIDs(case="case", activity="activity", start_time="at", end_time="at")
    start = found.AbsoluteTimestampType.START
    events, cases = (a.num_rows, b.num_rows), (_cases(a), _cases(b))
    hourly = {"discretize_type": start, "discretize_event": found.discretize_to_hour}
    asked: Sequence[tuple[str, str, Callable[..., float], dict[str, Any], tuple[int, int], str, str]] = (
        ("n_gram", "share", found.n_gram, {"n": GRAM}, events, "events", f"n = {GRAM}, over all n-grams of both"),
        ("absolute_events", "h", found.absolute, hourly, events, "events", "Wasserstein-1, bins of 1 h"),
        ("relative_events", "h", found.relative, hourly, events, "events", "Wasserstein-1, bins of 1 h since capture"),
        (
            "circadian_events",
            "h",
            found.circadian,
            {"discretize_type": start},
            events,
            "events",
            "Wasserstein-1 of the hour (UTC) by weekday, mean of seven; 23 h for a weekday of one log only",
        ),
        (
            "case_arrivals",
            "h",
            found.arrivals,
            {"discretize_event": found.discretize_to_hour},
            cases,
            "cases",
            "Wasserstein-1, bins of 1 h",
        ),
        ("cycle_times", "h", found.cycle_time, {"bin_size": BIN}, cases, "cases", "Wasserstein-1, bins of 1 h"),
    )
    one, other = found.frame(a), found.frame(b)
    rows = []
    with warnings.catch_warnings():
        # What pandas finds to say about the library's code is of no use here.
        warnings.simplefilter("ignore")
        for name, unit, function, options, n, of, parameters in asked:
            value = float(function(one, ids, other, ids, **options))
            rows.append(Distance(name, unit, value, n, of, parameters))
    return rows + parcel_distances(a, b)


def _cases(table: pa.Table) -> int:
    return int(pc.count_distinct(table["case"]).as_py())


def parcel_distances(a: pa.Table, b: pa.Table) -> list[Distance]:
    """Release to ship by warehouse and ship to deliver by lane, in h: Wasserstein-1, the mean weighted by parcels.

    Where neither log knows of releases (of shipping), handling (transit) goes from an order's capture. Where one of the
    logs names no place at all, all parcels are taken together, and `parameters` says so.
    """
    found = []
    for name, by, (begin, end, place) in (("handling", "warehouse", HANDLING), ("transit", "lane", TRANSIT)):
        if not any(pc.any(pc.equal(table["activity"], begin)).as_py() for table in (a, b)):
            begin = CAPTURED
        found.append(_by_group(name, by, parcel_times(a, begin, end, place), parcel_times(b, begin, end, place)))
    return found


def _by_group(name: str, by: str, a: Mapping[str, Sequence[int]], b: Mapping[str, Sequence[int]]) -> Distance:
    from scipy.stats import wasserstein_distance

    parameters = f"Wasserstein-1 by {by}, weighted by parcels"
    if list(a) == [""] or list(b) == [""]:
        # One log says no place at all: what can be compared is the whole.
        a, b = ({"": [time for times in log.values() for time in times]} if log else {} for log in (a, b))
        parameters = f"Wasserstein-1 of all parcels, as a log names no {by}"
    shared = sorted(group for group in a if group in b)
    parts = {group: float(wasserstein_distance(a[group], b[group])) / HOUR_MS for group in shared}
    weights = {group: len(a[group]) + len(b[group]) for group in shared}
    weight = sum(weights.values())
    value = sum(weights[group] * parts[group] for group in shared) / weight if weight else None
    n = sum(len(a[group]) for group in shared), sum(len(b[group]) for group in shared)
    left = sum(len(times) for one, other in ((a, b), (b, a)) for group, times in one.items() if group not in other)
    return Distance(name, "h", value, n, "parcels", parameters, parts, left)


def parcel_times(table: pa.Table, start: str, end: str, by: str) -> dict[str, list[int]]:
    """How long each parcel took from `start` to `end`, in ms, by its `node` or `lane`.

    Events of one order are matched by their parcel; where the log has no parcels, the first end on a lane belongs to
    the first start on it, and so on. A capture that names neither is that of all of the order's parcels. What has no
    end yet is left out; what has no place is under an empty one.
    """
    begun: dict[tuple[str, str], list[int]] = {}
    ended: dict[tuple[str, str], list[tuple[int, str]]] = {}
    wanted = table.filter(pc.is_in(table["activity"], pa.array([start, end], pa.string())))
    columns = (wanted[name].to_pylist() for name in ("case", "activity", "at", "lane", "node", "parcel"))
    for case, activity, at, lane, node, parcel in zip(*columns, strict=True):
        if activity == start:
            begun.setdefault((case, parcel or lane or ""), []).append(at)
        else:
            group = lane if by == "lane" else node or (lane or "").partition("-")[0]
            ended.setdefault((case, parcel or lane or ""), []).append((at, group or ""))
    times: dict[str, list[int]] = {}
    for key, ends in ended.items():
        starts: Iterable[int] = begun.get(key, ())
        if not starts and start == CAPTURED:
            # An order is captured before anybody knows its parcels.
            starts = repeat(begun[key[0], ""][0], len(ends)) if (key[0], "") in begun else ()
        # Not strict: a parcel may be under way still.
        for since, (at, group) in zip(starts, ends, strict=False):
            times.setdefault(group, []).append(at - since)
    return times


class _Library(Struct, frozen=True):
    """What is used of log-distance-measures, and how it wants a log."""

    EventLogIDs: Any
    AbsoluteTimestampType: Any
    discretize_to_hour: Any
    n_gram: Callable[..., float]
    absolute: Callable[..., float]
    relative: Callable[..., float]
    circadian: Callable[..., float]
    arrivals: Callable[..., float]
    cycle_time: Callable[..., float]
    frame: Callable[[pa.Table], Any]


@cache
def library() -> _Library:
    """The library, imported when it is first needed, which takes seconds. Raises `DistancesMissing`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pandas
            from log_distance_measures import config
            from log_distance_measures.absolute_event_distribution import absolute_event_distribution_distance
            from log_distance_measures.case_arrival_distribution import case_arrival_distribution_distance
            from log_distance_measures.circadian_event_distribution import circadian_event_distribution_distance
            from log_distance_measures.cycle_time_distribution import cycle_time_distribution_distance
            from log_distance_measures.n_gram_distribution import n_gram_distribution_distance
            from log_distance_measures.relative_event_distribution import relative_event_distribution_distance
    except ImportError:
        raise DistancesMissing(
            "distances need the package log-distance-measures, which wants Python 3.11 or 3.12 and pandas < 3; "
            "pip install 'ordertwin[fidelity]'"
        ) from None

    def frame(table: pa.Table) -> Any:
        # Numbers for names: grouping by them is faster, and the library only tells them apart.
        cases = pc.dictionary_encode(table["case"].combine_chunks()).indices.to_numpy()
        at = pandas.to_datetime(table["at"].to_numpy(), unit="ms", utc=True)
        return pandas.DataFrame({"case": cases, "activity": table["activity"].to_pylist(), "at": at})

    return _Library(
        config.EventLogIDs,
        config.AbsoluteTimestampType,
        config.discretize_to_hour,
        n_gram_distribution_distance,
        absolute_event_distribution_distance,
        relative_event_distribution_distance,
        circadian_event_distribution_distance,
        case_arrival_distribution_distance,
        cycle_time_distribution_distance,
        frame,
    )
