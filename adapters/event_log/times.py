"""Columns of times into milliseconds: read in DuckDB, put into their zone with the standard library's rules.

DuckDB's own zones come with an extension that not every build carries, and skip over what a zone cannot say.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import duckdb
import numpy as np

from adapters.event_log.mapping import Stamp, Times
from twin.event_log import EventLogError

__all__ = ["parse_one", "read_times"]

_EPOCH: Final = datetime(1970, 1, 1)
_DAY_MS: Final = 86_400_000
_EARLIEST_MS: Final = -2_208_988_800_000
_LATEST_MS: Final = 7_258_118_400_000
_ISO: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?)?"
_OFFSET: Final = r"[0-9]:[0-9]{2}(?::[0-9]{2}(?:[.][0-9]+)?)? ?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)$"
_WHOLE: Final = "^(-?[0-9]{1,15})([.]0*)?$"
_EPOCHS: Final = {"epoch_ms": 1, "epoch_s": 1_000}
"""Formats that count from 1970-01-01T00:00Z, and the milliseconds of one."""
_OTHERS: Final = (
    "%d/%m/%Y",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%y",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d-%b-%y",
    "%Y%m%d",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
)
"""Formats that exports are full of: a stamp that does not fit the mapping's is tried against them, to tell."""


class TimesRead:
    """Milliseconds of one column, masked where it is blank, and the rows whose local time never was."""

    def __init__(self, ms: Any, skipped: list[tuple[int, str]], count: int) -> None:
        self.ms = ms
        self.skipped = skipped
        self.skipped_count = count


def read_times(
    con: duckdb.DuckDBPyConnection,
    table: str,
    column: str,
    kind: str,
    said: tuple[str, str],
    stamp: Stamp,
    times: Times,
) -> TimesRead:
    """One column of `table` (which has `seq` and `row`), in the order of the table.

    `kind` is its DuckDB type, `said` the file and the column as the mapping names it. Raises `EventLogError`.
    """
    wanted = stamp.format or times.format
    place, name = said
    quoted = f'"{column}"'
    if kind.startswith(("TIMESTAMP", "DATE")):
        local = f"epoch_ms({quoted}::{'TIMESTAMPTZ' if 'TIME ZONE' in kind else 'TIMESTAMP'})"
        offset = "0" if "TIME ZONE" in kind else "null"
    elif wanted in _EPOCHS:
        digits = f"regexp_extract({quoted}::varchar, '{_WHOLE}', 1)"
        local, offset = f"try_cast({digits} as bigint) * {_EPOCHS[wanted]}", "0"
    elif wanted == "iso":
        mark = f"regexp_extract({quoted}, '{_OFFSET}', 1)"
        bare = f"rtrim(left({quoted}, length({quoted}) - length({mark})))"
        local = f"case when regexp_full_match({bare}, '{_ISO}') then epoch_ms(try_cast({bare} as timestamp)) end"
        digits = f"replace(substr({mark}, 2), ':', '')"
        offset = (
            f"case when {mark} = '' then null when {mark} = 'Z' then 0 else "
            f"(case {mark}[1] when '-' then -1 else 1 end) * (60 * left({digits}, 2)::int "
            f"+ coalesce(try_cast(substr({digits}, 3, 2) as int), 0)) end"
        )
    else:
        text = wanted.replace("'", "''")
        local, offset = f"epoch_ms(try_strptime({quoted}, '{text}'))", "0" if "%z" in wanted else "null"
    try:
        got = con.execute(f"select seq, row, {quoted} is null, {local}, {offset} from {table}").fetchnumpy()
    except duckdb.Error as error:
        text = str(error).splitlines()[0]
        raise EventLogError(place, f"the format {wanted!r} of {name!r} cannot be used ({text})", "correct it") from None
    seq, row, blank, local_ms, minutes = (np.ma.asarray(values) for values in got.values())
    empty = blank.filled(True).astype(bool)
    bad = np.ma.getmaskarray(local_ms) & ~empty
    if bad.any():
        raise _unread(con, table, quoted, said, wanted, row[bad].filled(0))
    ms = local_ms.filled(0).astype(np.int64)
    strange = ((ms < _EARLIEST_MS) | (ms >= _LATEST_MS)) & ~empty
    if strange.any():
        count = int(strange.sum())
        raise EventLogError(
            place,
            f"{count:,} of the times in column {name!r} lie before 1900 or after 2199",
            "correct them; or list in `blanks` what stands for no time",
            _first(con, table, quoted, row[strange].filled(0)),
            count,
        )
    bare_rows = np.ma.getmaskarray(minutes) & ~empty
    ms -= minutes.filled(0).astype(np.int64) * 60_000
    skipped: Any = np.zeros(len(ms), dtype=bool)
    if bare_rows.any():
        if times.zone is None:
            raise EventLogError(
                place,
                f"{int(bare_rows.sum()):,} of the times in column {name!r} have no zone, and the mapping states none",
                "set `times.zone`, as in `times: {zone: Europe/London}`",
                _first(con, table, quoted, row[bare_rows].filled(0)),
                int(bare_rows.sum()),
            )
        held = ms[bare_rows]
        if stamp.day == "end":
            held = held - held % _DAY_MS + _DAY_MS - 1
        ms[bare_rows], skipped[bare_rows] = _in_zone(held, ZoneInfo(times.zone))
    # In the order of the table, whatever that of the query was.
    place_of = seq.filled(0)
    ordered, blanks = np.empty_like(ms), np.empty_like(empty)
    ordered[place_of], blanks[place_of] = ms, empty
    return TimesRead(
        np.ma.masked_array(ordered, mask=blanks),
        _first(con, table, quoted, row[skipped].filled(0)) if skipped.any() else [],
        int(skipped.sum()),
    )


def parse_one(text: str, times: Times, place: str, key: str) -> int:
    """One time of the mapping itself, ISO 8601; a day alone means its end."""
    try:
        stamp = datetime.fromisoformat(text)
    except ValueError:
        raise EventLogError(place, f"{key} {text!r} is no time", "write ISO 8601, such as 2018-05-01T00:00Z") from None
    if len(text.strip()) <= 10:
        stamp += timedelta(days=1) - timedelta(milliseconds=1)
    if stamp.tzinfo is None:
        if times.zone is None:
            raise EventLogError(place, f"{key} {text!r} has no zone, and the mapping states none", "set `times.zone`")
        stamp = stamp.replace(tzinfo=ZoneInfo(times.zone))
    return (stamp.astimezone(UTC).replace(tzinfo=None) - _EPOCH) // timedelta(milliseconds=1)


def _in_zone(local_ms: Any, zone: ZoneInfo) -> tuple[Any, Any]:
    """UTC of local times, and which of them never were (clocks went forward over them).

    Of a time that occurs twice the first is meant. A day whose offset is the same at both ends is done at once.
    """
    days, place = np.unique(local_ms // _DAY_MS, return_inverse=True)
    offsets = np.zeros(len(days), dtype=np.int64)
    even = np.zeros(len(days), dtype=bool)
    for at, day in enumerate(days.tolist()):
        start = _EPOCH + timedelta(days=day)
        before, after = _offset_ms(start, zone), _offset_ms(start + timedelta(days=1), zone)
        # A gap that begins at midnight belongs to this day, though its end has the offset of its start.
        even[at] = before == after and _offset_ms(start - timedelta(milliseconds=1), zone) == before
        offsets[at] = before
    result = local_ms - offsets[place]
    skipped = np.zeros(len(local_ms), dtype=bool)
    for index in np.flatnonzero(~even[place]).tolist():
        stamp = _EPOCH + timedelta(milliseconds=int(local_ms[index]))
        instant = int(local_ms[index]) - _offset_ms(stamp, zone)
        result[index] = instant
        back = datetime.fromtimestamp(instant // 1_000, UTC).astimezone(zone).replace(tzinfo=None)
        skipped[index] = back != stamp.replace(microsecond=0)
    return result, skipped


def _offset_ms(local: datetime, zone: ZoneInfo) -> int:
    offset = local.replace(tzinfo=zone).utcoffset()
    return 0 if offset is None else offset // timedelta(milliseconds=1)


def _unread(
    con: duckdb.DuckDBPyConnection, table: str, quoted: str, said: tuple[str, str], wanted: str, rows: Any
) -> EventLogError:
    place, name = said
    con.execute("create or replace temp table unread as select unnest(?) as row", [rows.tolist()])
    from_bad = f"from {table} join unread using (row)"
    form = "ISO 8601, such as 2010-03-01 08:38:00" if wanted == "iso" else repr(wanted)
    if wanted in _EPOCHS:
        form = f"whole {'milliseconds' if wanted == 'epoch_ms' else 'seconds'} since 1970"
    other, fits = "", 0
    for one in _OTHERS:
        if one == wanted:
            continue
        found = con.execute(f"select count(try_strptime({quoted}::varchar, '{one}')) {from_bad}").fetchall()[0]
        if found[0] > fits:
            other, fits = one, found[0]
    read = con.execute(f"select count({quoted}) from {table}").fetchall()[0]
    two = f", {fits:,} of them fit {other!r}" if fits else ""
    count = len(rows)
    some = read[0] > count
    return EventLogError(
        place,
        f"{count:,} of the times in column {name!r} are not {form}{two}",
        "a column has one format: correct these rows, or state it as `format` of the column"
        if some
        else "state it as `times.format`, or as `format` of the column",
        _first(con, table, quoted, rows),
        count,
    )


def _first(con: duckdb.DuckDBPyConnection, table: str, quoted: str, rows: Any) -> list[tuple[int, str]]:
    some = sorted(set(rows.tolist()))[:5]
    found = con.execute(
        f"select row, any_value({quoted}::varchar) from {table} where row in (select unnest(?)) "
        "group by row order by row",
        [some],
    ).fetchall()
    return [(row, repr(text)) for row, text in found]
