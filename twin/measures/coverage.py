"""What a foreign log holds: which times, ids, dates and views are there, and for how much of it.

A share is of cases (order lines, where lines are named) and of their value. The profile comes before any measure,
since a measure of what was seldom written down is one of the writing.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from twin.event_log import ACTIVITIES, BEGINNINGS, COLUMNS, EventLog

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "GIVEN_UP",
    "LINE_WANTED",
    "NOTHING_LEFT",
    "NOTHING_TO_SEND",
    "NOT_WANTED",
    "REFUSED",
    "ActivityCoverage",
    "Coverage",
    "FieldCoverage",
    "coverage_of",
]

LINE_WANTED: Final = "coalesce(max(quantity) filter (activity = 'order_placed'), max(quantity))"
"""SQL over the events of a case: the units that were ordered."""

GIVEN_UP: Final = "bool_or(activity = 'cancelled')"
"""Whether the whole of it was given up."""

REFUSED: Final = "bool_or(activity = 'rejected' and quantity is null)"
"""Whether the whole of it was refused."""

NOT_WANTED: Final = "coalesce(sum(quantity) filter (activity = 'reduced'), 0)"
"""The units that were taken off it."""

_TAKEN: Final = "coalesce(sum(quantity) filter (activity in ('rejected', 'reduced')), 0)"

NOTHING_LEFT: Final = (
    f"({GIVEN_UP} or {REFUSED} or coalesce({_TAKEN} >= {LINE_WANTED}, false) or bool_or(activity = 'delivered') "
    f"and coalesce(sum(quantity) filter (activity = 'delivered') + {_TAKEN} >= {LINE_WANTED}, true))"
)
"""Whether no unit of it is left: all were delivered, refused, taken off or given up.

Where deliveries have no units a line that was delivered at all is taken for whole; what needs units is refused.
"""

NOTHING_TO_SEND: Final = NOTHING_LEFT.replace("'delivered'", "'handed_to_carrier'")
"""Whether no unit of it is still to leave."""

_NO_FIELDS: Final = ("case_id", "activity", "event_ms", "record_ms", "row")


class FieldCoverage(Struct, frozen=True):
    """Cases with this field, and the share of all cases and of all value (None where no values are known)."""

    name: str
    cases: int
    of_cases: Fraction
    of_value: Fraction | None


class ActivityCoverage(Struct, frozen=True):
    """Events of one activity; `timed` of them have an event time, `recorded` a record time, `counted` a quantity."""

    name: str
    events: int
    timed: int
    recorded: int
    counted: int
    cases: int
    of_cases: Fraction
    of_value: Fraction | None


class Coverage(Struct, frozen=True):
    """A log's profile.

    Of the cases, `complete` have a beginning and an end, `open` a beginning only, `headless` no beginning; `cancelled`
    of them were given up, and of these `cancelled_purchases` are purchase orders and no orders. A line has its end when
    no unit of it is left; where the log does not say how many came, `complete` and `open` are None. `orders` are
    customers' orders, `purchase_orders` those that are for none of these. `value_minor` is None where no values are
    known. The period is that of event times.
    """

    events: int
    cases: int
    orders: int
    purchase_orders: int
    complete: int | None
    open: int | None
    headless: int
    cancelled: int
    cancelled_purchases: int
    value_minor: int | None
    first_ms: int
    last_ms: int
    activities: tuple[ActivityCoverage, ...]
    fields: tuple[FieldCoverage, ...]

    def has(self, name: str) -> bool:
        """Whether there is any of an activity (with its time) or of a field."""
        timed = any(one.name == name and one.timed for one in self.activities)
        return timed or any(one.name == name and one.cases for one in self.fields)


def coverage_of(log: EventLog, con: duckdb.DuckDBPyConnection) -> Coverage:
    """The profile of a log whose table is registered in `con` as `log`."""
    con.execute(
        "create or replace temp table case_values as select case_id, max(value_minor) as value, "
        f"bool_or(activity in {BEGINNINGS}) as begun, "
        f"{NOTHING_LEFT} or bool_or(activity = 'purchase_order_received') as ended, "
        "bool_or(activity = 'cancelled') as given_up, "
        "not bool_or(\"order\" is not null or activity = 'order_placed') as bought from log group by case_id"
    )
    events, orders, purchase_orders, first, last = _row(
        con,
        'select count(*), count(distinct "order"), count(distinct purchase_order) filter ("order" is null), '
        "min(event_ms), max(event_ms) from log",
    )
    cases, value, complete, still_open, headless, cancelled, cancelled_purchases = _row(
        con,
        "select count(*), sum(value), count(*) filter (begun and ended), count(*) filter (begun and not ended), "
        "count(*) filter (not begun), count(*) filter (given_up), count(*) filter (given_up and bought) "
        "from case_values",
    )
    found = {}
    for name, *rest in con.execute(
        "select activity, sum(events), sum(timed), sum(recorded), sum(counted), count(*), sum(value) from "
        "(select activity, case_id, count(*) as events, count(event_ms) as timed, count(record_ms) as recorded, "
        "count(quantity) as counted from log group by activity, case_id) join case_values using (case_id) "
        "group by activity"
    ).fetchall():
        found[name] = rest
    activities = []
    for name in ACTIVITIES:
        counts = found.get(name, [0, 0, 0, 0, 0, 0])
        events_of, timed, recorded, counted_of, cases_of = (int(one) for one in counts[:5])
        shares = _shares(cases_of, counts[5], cases, value)
        activities.append(ActivityCoverage(name, events_of, timed, recorded, counted_of, cases_of, *shares))
    names = [name for name in COLUMNS if name not in _NO_FIELDS]
    columns = ", ".join(f'count("{name}") as "{name}"' for name in names)
    counted = ", ".join(f'count(*) filter ("{name}" > 0), sum(value) filter ("{name}" > 0)' for name in names)
    row: Any = con.execute(
        f"select {counted} from (select case_id, {columns} from log group by case_id) join case_values using (case_id)"
    ).fetchall()[0]
    fields = [
        FieldCoverage(name, int(row[2 * at]), *_shares(int(row[2 * at]), row[2 * at + 1], cases, value))
        for at, name in enumerate(names)
    ]
    units_told = log.whole or not found.get("delivered") or found["delivered"][3] > 0
    return Coverage(
        events,
        cases,
        orders,
        purchase_orders,
        complete if units_told else None,
        still_open if units_told else None,
        headless,
        cancelled,
        cancelled_purchases,
        value,
        first,
        last,
        tuple(activities),
        tuple(fields),
    )


def _shares(held: int, value_held: int | None, cases: int, value: int | None) -> tuple[Fraction, Fraction | None]:
    return Fraction(held, cases), Fraction(int(value_held or 0), value) if value else None


def _row(con: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row: Any = con.execute(query).fetchall()[0]
    return tuple(None if value is None else int(value) for value in row)
