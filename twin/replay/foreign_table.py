"""Event tables of a foreign log and of runs of the scenario made from it, so that one can be held against the other.

Both have a case's placing, its hand-over and its delivery, under the names that a run's table has, at the scenario's
places. A run is seen as the log was: nothing after the day on which the log was taken, days where the log has days, and
only what was delivered where the log holds nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct

from twin.replay.event_table import checked_table, events_of_run
from twin.replay.foreign_cases import Case, Cases, Places
from twin.replay.log_time import only_dates

__all__ = ["Seen", "TableOfLog", "as_seen", "read_seen", "seen_by", "table_of_log", "with_seen"]

SEEN: Final = b"ordertwin.seen"
"""Under this name a Parquet file of a log says how the log saw things."""

ACTIVITIES: Final = {"captured": "began_at", "shipped": "handed_at", "delivered": "delivered_at"}
"""The names that a run's events have, and what they are in a case."""

_SCHEMA: Final = pa.schema(
    [
        ("case", pa.string()),
        ("activity", pa.string()),
        ("at", pa.int64()),
        ("lane", pa.string()),
        ("node", pa.string()),
        ("carrier", pa.string()),
        ("parcel", pa.string()),
    ]
)


class Seen(Struct, frozen=True):
    """How a log sees what happens: until `as_of` (ms), in `zone`; `daily` activities are dates; `delivered_only` where
    it holds nothing that was not delivered; `activities` are those that it knows."""

    as_of: int
    zone: str
    daily: tuple[str, ...]
    delivered_only: bool
    activities: tuple[str, ...]


class TableOfLog(Struct, frozen=True):
    """An event table of `cases` cases; `unplaced` were left out, since their origin or region is none of the
    scenario's."""

    table: pa.Table
    cases: int
    unplaced: int


def seen_by(cases: Cases, zone: str, as_of: int) -> Seen:
    """How the log of these cases sees things."""
    named = {name: [getattr(case, field) for case in cases.cases] for name, field in ACTIVITIES.items()}
    known = {name: [at for at in instants if at is not None] for name, instants in named.items()}
    daily = tuple(name for name, instants in known.items() if only_dates(instants, zone))
    return Seen(as_of, zone, daily, cases.delivered_only, tuple(name for name, instants in known.items() if instants))


def _midnight(at: int, zone: str) -> int:
    """The local midnight before an instant, in ms."""
    local = datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(zone or "UTC"))
    return round(local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()) * 1000


def table_of_log(cases: Sequence[Case], places: Places, since: int, until: int, seen: Seen) -> TableOfLog:
    """The event table of what began in [`since`, `until`) ms, followed until the log was taken.

    What was given up is in it as far as it got. Raises `EventTableError` where nothing is left.
    """
    rows: dict[str, list[Any]] = {field.name: [] for field in _SCHEMA}
    count = unplaced = 0
    for case in cases:
        if not since <= case.began_at < until:
            continue
        site, region = places.site(case), places.region(case)
        if site is None or region is None:
            unplaced += 1
            continue
        count += 1
        name = f"{case.order}/{site}/{case.origin}/{case.region}"
        for activity, field in ACTIVITIES.items():
            at = getattr(case, field)
            if at is None or at > seen.as_of:
                continue
            for column, value in zip(
                rows.values(), (name, activity, at, f"{site}-{region}", site, None, None), strict=True
            ):
                column.append(value)
    return TableOfLog(checked_table(pa.table(rows, schema=_SCHEMA), "the log"), count, unplaced)


def with_seen(table: pa.Table, seen: Seen) -> pa.Table:
    """The table with how its log saw things, for a Parquet file of it."""
    return table.replace_schema_metadata({SEEN: msgspec.json.encode(seen)})


def read_seen(file: Path) -> Seen | None:
    """How the log saw things whose events are in a Parquet file; None for any other."""
    try:
        said = (pq.read_schema(file).metadata or {}).get(SEEN) if file.is_file() else None
        return None if said is None else msgspec.json.decode(said, type=Seen)
    except (pa.ArrowException, OSError, msgspec.MsgspecError):
        return None


def as_seen(run: Path, seen: Seen) -> pa.Table:
    """The event table of a run as the log would have seen it. Raises `RunError`, and `EventTableError` where nothing
    is left."""
    table = events_of_run(run)
    table = table.filter(pc.is_in(table["activity"], value_set=pa.array(seen.activities)))
    table = table.filter(pc.less_equal(table["at"], seen.as_of))
    if seen.delivered_only:
        ended = table.filter(pc.equal(table["activity"], "delivered"))["case"]
        table = table.filter(pc.is_in(table["case"], value_set=ended.combine_chunks()))
    table = _one_parcel_a_case(table)
    if seen.daily:
        daily = frozenset(seen.daily)
        at = [
            _midnight(at, seen.zone) if activity in daily else at
            for activity, at in zip(table["activity"].to_pylist(), table["at"].to_pylist(), strict=True)
        ]
        place = table.column_names.index("at")
        table = table.set_column(place, table.schema.field(place), pa.array(at, table.schema.field(place).type))
    return checked_table(table, str(run))


def _one_parcel_a_case(table: pa.Table) -> pa.Table:
    """The table with each case's lane and node at all of its events, and no parcels: there is one a case."""
    found: dict[str, tuple[str, str | None]] = {}
    rows = zip(*(table[name].to_pylist() for name in ("case", "lane", "node")), strict=True)
    for case, lane, node in rows:
        if lane is not None:
            found[case] = lane, node
    places = [found.get(case, (None, None)) for case in table["case"].to_pylist()]
    columns = {name: table[name] for name in table.column_names}
    columns["lane"] = pa.array([lane for lane, _ in places], pa.string())
    columns["node"] = pa.array([node for _, node in places], pa.string())
    columns["parcel"] = pa.nulls(table.num_rows, pa.string())
    return pa.table(columns, schema=table.schema)
