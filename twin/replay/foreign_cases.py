"""A foreign log as cases: what one order wants from one origin, when it was placed, handed over and delivered.

The records are made from a neutral log alone. Origins and regions that are seen too seldom are taken together, by a
rule that looks at the time before `until` only.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import duckdb
from msgspec import Struct

from twin.event_log import COLUMNS, EventLog
from twin.replay.facts import CalibrationRefused
from twin.replay.given_up import view_given_up

__all__ = [
    "CASES_MIN",
    "ORIGINS",
    "OTHER",
    "SHARE_MIN",
    "Case",
    "Cases",
    "Places",
    "cases_of",
    "group_places",
    "known_before",
    "origin_expression",
]

ORIGINS: Final = ("origin", "site", "supplier")
"""Fields that say where goods come from; the first that a log has is taken unless one is named."""

CASES_MIN: Final = 40
"""Cases below which an origin or a region is none of its own."""

SHARE_MIN: Final = 0.02
"""Share of all cases below which it is none either."""

OTHER: Final = "other"
ALL: Final = "all"


class Line(NamedTuple):
    """A line of an order of which some are given up; instants in ms, None for what has not happened or is not known."""

    handed_at: int | None
    delivered_at: int | None
    given_up: bool
    given_up_at: int | None


class Case(NamedTuple):
    """What one order wants from one origin for one region; instants in ms, None for what has not happened or is not
    known. It is handed over and delivered when the last of its lines is that was not given up. `lines` are all of them
    where any was cancelled, refused or taken off whole, and none otherwise. `units` are those of
    its lines, one where the log has no quantity; `value_minor` is that of all units."""

    order: str
    origin: str
    region: str
    carrier: str
    began_at: int
    handed_at: int | None
    delivered_at: int | None
    promised_at: int | None
    units: int
    value_minor: int | None
    lines: tuple[Line, ...] = ()

    @property
    def given_up(self) -> bool:
        """Whether all of it was."""
        return bool(self.lines) and all(line.given_up for line in self.lines)

    @property
    def partly_given_up(self) -> bool:
        """Whether some of it was, and not all."""
        return not self.given_up and any(line.given_up for line in self.lines)

    @property
    def given_up_at(self) -> int | None:
        """When the last of what was given up was; None where nothing was, or the log does not say when."""
        instants = [line.given_up_at for line in self.lines if line.given_up]
        return max((at for at in instants if at is not None), default=None) if None not in instants else None


class Cases(Struct, frozen=True):
    """The cases of a log, in the order of their beginnings, and what was left out: parts of orders `headless` (no
    beginning) and `backwards` (delivered or handed over before they began, or delivered before they were handed over).

    `fields` make the origin, `hands_over` says whether the log knows that goods left, `delivered_only` that it holds
    nothing that was not delivered in the end, `begins` is the activity that begins a case."""

    cases: tuple[Case, ...]
    headless: int
    backwards: int
    fields: tuple[str, ...]
    hands_over: bool
    delivered_only: bool
    begins: str


class Places(Struct, frozen=True):
    """Ids of a scenario by the log's own names, `other` for those that are seen too seldom."""

    sites: dict[str, str]
    regions: dict[str, str]

    def site(self, case: Case) -> str | None:
        """The site of a case; None where neither it nor `other` is one."""
        return _found(self.sites, case.origin)

    def region(self, case: Case) -> str | None:
        """The same for its region."""
        return _found(self.regions, case.region)


def _found(ids: Mapping[str, str], name: str) -> str | None:
    return ids.get(name) or (OTHER if OTHER in ids.values() else None)


def cases_of(log: EventLog, origin: Sequence[str] = ()) -> Cases:
    """The cases of a log; `origin` are fields that say together where goods come from, such as supplier and carrier.

    Raises `CalibrationRefused` for a field that the log does not have, and for a log in which nothing begins or
    nothing is delivered.
    """
    texts = [name for name, (kind, _) in COLUMNS.items() if kind == "string" and name not in ("case_id", "activity")]
    wrong = [name for name in origin if name not in texts]
    if wrong:
        raise CalibrationRefused(f"origin: '{wrong[0]}' is no field of a log; fields are {', '.join(texts)}")
    events = log.table
    with duckdb.connect() as con:
        con.register("events", events)
        view_given_up(con)
        held = _held(con)
        missing = [name for name in origin if not held[name]]
        if missing:
            there = ", ".join(name for name in texts if held[name])
            raise CalibrationRefused(f"origin: this log says nothing of '{missing[0]}'; it has {there}")
        fields = tuple(origin) or next(((name,) for name in ORIGINS if held[name]), ())
        begins = "order_placed" if held["order_placed"] else "purchase_order_created"
        rows = con.execute(_query(fields, begins)).fetchall()
    found, headless, backwards, complete = [], 0, 0, True
    for *said, units, value, lines in rows:
        made = tuple([Line(*line.values()) for line in lines or ()])
        case = _settled(Case._make([*said, max(1, units or 1), value, made]))
        if case.began_at is None:
            headless += 1
            continue
        if _backwards(case):
            backwards += 1
            continue
        complete = complete and case.delivered_at is not None and not case.lines
        found.append(case)
    if not any(case.delivered_at is not None for case in found):
        raise CalibrationRefused(
            f"{log.title}: no case of it has a beginning (order_placed or purchase_order_created) and a delivery; "
            "map these activities to columns or names of the log"
        )
    hands_over = any(case.handed_at is not None for case in found)
    return Cases(tuple(found), headless, backwards, fields, hands_over, complete, begins)


def _held(con: duckdb.DuckDBPyConnection) -> dict[str, bool]:
    """Which text fields hold something, and whether orders are placed at a known time."""
    names = [name for name, (kind, _) in COLUMNS.items() if kind == "string"]
    counts = ", ".join(f'count("{name}") > 0' for name in names)
    placed = "count(*) filter (activity = 'order_placed' and event_ms is not null) > 0"
    row = con.execute(f"select {counts}, {placed} from events").fetchall()[0]
    return dict(zip([*names, "order_placed"], map(bool, row), strict=True))


def origin_expression(fields: Sequence[str]) -> str:
    """Where the goods of a case come from, in SQL over its events; blanks at either end are to be trimmed."""
    return " || ' ' || ".join(f"coalesce(max(\"{name}\"), '')" for name in fields) or "''"


def _query(fields: Sequence[str], begins: str) -> str:
    origin = origin_expression(fields)
    return f"""
        with gone as (
            select case_id,
                coalesce(bool_or(gone) filter (part = ''), false)
                    or coalesce(bool_and(gone) filter (begun), false) as gone,
                coalesce(
                    min(gone_ms) filter (gone and part = ''),
                    case when bool_and(gone_ms is not null) filter (begun) then max(gone_ms) filter (begun) end
                ) as gone_at
            from given_up group by case_id
        ),
        lines as (
            select case_id,
                coalesce(max("order"), max(purchase_order), case_id) as ordered,
                max(line) as line,
                trim({origin}) as origin,
                coalesce(max(region), '') as region,
                coalesce(max(carrier), '') as carrier,
                min(event_ms) filter (activity = '{begins}') as began,
                max(event_ms) filter (activity = 'handed_to_carrier') as handed,
                max(event_ms) filter (activity in ('delivered', 'purchase_order_received')) as delivered,
                min(promised_ms) as promised,
                max(quantity) as quantity,
                max(value_minor) as value
            from events group by case_id
        )
        select ordered, origin, region, max(carrier), min(began),
            case when count(handed) = count(*) then max(handed) end,
            case when count(delivered) = count(*) then max(delivered) end,
            max(promised),
            sum(case when line is null then quantity else coalesce(quantity, 1) end)::bigint,
            sum(value)::bigint,
            case when bool_or(gone) then list(struct_pack(handed, delivered, gone, gone_at) order by case_id) end
        from lines join gone using (case_id) group by ordered, origin, region
        order by min(began), ordered, origin, region
    """


def _settled(case: Case) -> Case:
    """The case with the instants of those lines that were not given up; of all of them where all were."""
    if not case.lines:
        return case
    rest = [line for line in case.lines if not line.given_up] or case.lines
    handed = [line.handed_at for line in rest]
    delivered = [line.delivered_at for line in rest]
    return case._replace(handed_at=_last(handed), delivered_at=_last(delivered))


def _last(instants: Sequence[int | None]) -> int | None:
    """The last of them, None where one is missing."""
    known = [at for at in instants if at is not None]
    return max(known) if len(known) == len(instants) else None


def _backwards(case: Case) -> bool:
    known = [at for at in (case.began_at, case.handed_at, case.delivered_at) if at is not None]
    return known != sorted(known)


def known_before(cases: Iterable[Case], since: int, until: int) -> list[Case]:
    """The cases that began in [`since`, `until`) ms, with what happened before `until` only.

    What was given up at a time that the log does not say counts as given up before."""
    return [_known(case, until) for case in cases if since <= case.began_at < until]


def _known(case: Case, until: int) -> Case:
    if not case.lines:
        return case._replace(handed_at=_before(case.handed_at, until), delivered_at=_before(case.delivered_at, until))
    lines = [_line_before(line, until) for line in case.lines]
    known = case._replace(lines=tuple(lines))
    return _settled(known) if any(line.given_up for line in lines) else _settled(known)._replace(lines=())


def _line_before(line: Line, until: int) -> Line:
    later = line.given_up_at is not None and line.given_up_at >= until
    return Line(
        _before(line.handed_at, until),
        _before(line.delivered_at, until),
        line.given_up and not later,
        None if later else line.given_up_at,
    )


def _before(at: int | None, until: int) -> int | None:
    return at if at is not None and at < until else None


def group_places(cases: Sequence[Case]) -> Places:
    """An id for each origin and region with at least `CASES_MIN` cases and `SHARE_MIN` of all; `other` for the rest."""
    return Places(_grouped(case.origin for case in cases), _grouped(case.region for case in cases))


def _grouped(names: Iterable[str]) -> dict[str, str]:
    counts = Counter(names)
    total = sum(counts.values())
    if list(counts) == [""]:
        return {"": ALL}
    ids: dict[str, str] = {}
    # The commonest first, names of one count by their own order.
    for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
        small = not name or count < CASES_MIN or count < SHARE_MIN * total
        ids[name] = OTHER if small else _free_id(name, ids)
    return ids


def _free_id(name: str, taken: Mapping[str, str]) -> str:
    """Small letters, digits and underscores: a hyphen would end the node in a lane of an event table."""
    bare = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9]+", "_", bare.replace("'", "")).strip("_")[:32].strip("_") or "place"
    ids = {*taken.values(), OTHER, "always"}
    number, found = 2, plain
    while found in ids:
        found, number = f"{plain}_{number}", number + 1
    return found
