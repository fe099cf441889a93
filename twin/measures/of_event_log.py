"""Measures of a foreign log, by the project's own definitions where it has them.

A log has no commands, so an order is placed where the project's is captured, and what was cancelled is left out of
the service ratios whoever gave it up: a foreign log does not say who. The window is from the log's first event to
its as-of; what was due in it and never came has failed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from msgspec import Struct

from twin.event_log import EventLog, EventLogError
from twin.measures.coverage import Coverage, coverage_of
from twin.measures.log_tables import LogFacts
from twin.measures.measured import MEASURES, Answer, Measured, Spec, answer, mean, percentile, ratio
from twin.measures.needs import NEEDS, missing

__all__ = ["LOG_MEASURES", "LogProfile", "Refused", "profile_log"]

DUE: Final = "orders whose requested date lies in the log; cancelled ones are left out, others that never came fail"
PROMISED: Final = "orders whose first promised date lies in the log; never promised ones fail when requested"
PLACED: Final = "orders placed in the log"
DELIVERED: Final = "orders of which every line that was not cancelled was delivered"

LOG_MEASURES: Final[dict[str, Spec]] = {}
"""The measures that a foreign log can support, by name."""

_LEAD_TIMES: Final = (
    ("purchase_order_created", "purchase_order_received"),
    ("purchase_order_created", "handed_to_carrier"),
    ("purchase_order_created", "delivered"),
    ("order_placed", "handed_to_carrier"),
)
"""From what to what a supplier's lead time runs: the first of these that the log has is used throughout."""


class Refused(Struct, frozen=True):
    """A measure that the log cannot support: what it lacks, or why whoever wrote the mapping rules it out."""

    name: str
    missing: tuple[str, ...]
    reason: str = ""


class LogProfile(Struct, frozen=True):
    """What a log holds, what it says, and what it cannot say."""

    coverage: Coverage
    measures: dict[str, Measured]
    refused: dict[str, Refused]


_Function = Callable[[LogFacts], Answer | Iterator[Answer]]


def _of_log(unit: str, window: str) -> Callable[[_Function], _Function]:
    def register(function: _Function) -> _Function:
        name = function.__name__
        doc = " ".join((function.__doc__ or "").partition("\n\n")[0].split())
        LOG_MEASURES[name] = Spec(name, "L", unit, window, doc, function)
        return function

    return register


def profile_log(log: EventLog) -> LogProfile:
    """The profile of a log, every measure of kind L that it supports, and every other one with what it lacks.

    Raises `EventLogError` where the mapping rules out a measure that there is not.
    """
    import duckdb

    import twin.measures.compute  # noqa: F401  (defining the project's measures registers them)

    with duckdb.connect() as con:
        con.register("log", log.table)
        coverage = coverage_of(log, con)
        facts = LogFacts(con, log, coverage)
        names = [name for name, spec in MEASURES.items() if spec.kind == "L"]
        names += [name for name in LOG_MEASURES if name not in MEASURES]
        for name in log.refused:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                guess = f" (did you mean {near[0]!r}?)" if near else ""
                raise EventLogError(f"mapping.refuse.{name}", "is no measure", f"docs/measures.md lists them{guess}")
        measures: dict[str, Measured] = {}
        refused: dict[str, Refused] = {}
        for name in names:
            lacking = missing(name, coverage, whole=log.whole) if name in NEEDS else ("a definition for logs",)
            if lacking or name in log.refused:
                refused[name] = Refused(name, lacking, "" if lacking else log.refused[name])
                continue
            measures |= {found.name: found for found in LOG_MEASURES[name].of(facts)}
    return LogProfile(coverage, measures, refused)


def _durations(
    facts: LogFacts, expression: str, source: str, where: str, left: int = 0, short: int = 0
) -> Iterator[Answer]:
    held = sorted(facts.values(expression, source, where))
    yield mean(held, _left_out(held, left, short))
    for percent in (50, 90):
        yield answer(percentile(held, percent), part=f"p{percent}")


def _left_out(held: Sequence[int], left: int = 0, short: int = 0) -> str:
    below = sum(1 for one in held if one < 0)
    notes = [f"{below} below zero"] if below else []
    notes += [f"{left} have not ended and are not in it"] if left else []
    notes += [f"{short} were not supplied whole and are not in it"] if short else []
    return "; ".join(notes)


@_of_log("count", PLACED)
def orders_captured(facts: LogFacts) -> Iterator[Answer]:
    """Orders, in all and by channel."""
    yield from _captured(facts, "count(distinct subject)")


@_of_log("count", PLACED)
def lines_captured(facts: LogFacts) -> Iterator[Answer]:
    """Order lines, in all and by channel."""
    yield from _captured(facts, "count(*)")


@_of_log("units", PLACED)
def units_captured(facts: LogFacts) -> Iterator[Answer]:
    """Units, in all and by channel."""
    yield from _captured(facts, "coalesce(sum(wanted), 0)")


def _captured(facts: LogFacts, what: str) -> Iterator[Answer]:
    total: Any = facts.con.execute(f"select {what} from cases where placed is not null").fetchall()[0]
    yield answer(int(total[0]))
    for name, number in facts.con.execute(
        f"select channel, {what} from cases where placed is not null and channel is not null group by 1 order by 1"
    ).fetchall():
        yield answer(int(number), part=f"channel={name}")


@_of_log("ratio", PLACED)
def cancel_rate(facts: LogFacts) -> Answer:
    """Orders given up whole, by whomever, of orders placed."""
    placed = facts.count("orders", "placed is not null")
    return ratio(facts.count("orders", "placed is not null and given_up"), placed)


@_of_log("count", "at the as-of")
def open_orders(facts: LogFacts) -> Answer:
    """Orders placed with units that are neither delivered nor refused nor given up."""
    return answer(facts.count("orders", "placed is not null and not ended"))


@_of_log("ms", DELIVERED)
def order_cycle_time(facts: LogFacts) -> Iterator[Answer]:
    """Order placed to the delivery of the last unit (SCOR RS.1.1): mean, P50, P90 and the segments' means.

    A segment is from the first release, and to and from the last hand-over.
    """
    left = facts.count("orders", "placed is not null and not ended")
    short = facts.count("orders", "placed is not null and ended and not given_up and not whole")
    yield from _durations(facts, "arrived - placed", "orders", "whole and placed is not null", left, short)
    for name, begin, end in (
        ("capture_to_release", "placed", "released"),
        ("release_to_ship", "released", "shipped"),
        ("ship_to_deliver", "shipped", "arrived"),
    ):
        known = f"whole and placed is not null and {begin} is not null and {end} is not null"
        held = facts.values(f"{end} - {begin}", "orders", known)
        if held:
            yield mean(held, part=f"segment={name}")


@_of_log("ms", "orders of which every unit that was wanted and not refused was handed over")
def order_to_ship(facts: LogFacts) -> Iterator[Answer]:
    """Order placed to the shipment of the last unit: mean, P50, P90."""
    shipped = "placed is not null and all_shipped"
    left = facts.count("orders", "placed is not null and not ended and not all_shipped")
    yield from _durations(facts, "shipped - placed", "orders", shipped, left)


def _due(facts: LogFacts, date: str, hit: str) -> Answer:
    due = f"{date} >= {facts.start} and {date} < {facts.end}"
    cancelled = facts.count("orders", f"{due} and given_up")
    note = f"{cancelled} cancelled ones are left out" if cancelled else ""
    return ratio(
        facts.count("orders", f"{due} and not given_up and {hit}"),
        facts.count("orders", f"{due} and not given_up"),
        note,
    )


@_of_log("ratio", DUE)
def otif_to_request(facts: LogFacts) -> Answer:
    """Orders delivered whole by the date the customer asked for, of those due; early is on time."""
    return _due(facts, "requested", "whole and arrived <= requested")


@_of_log("ratio", PROMISED)
def otif_to_promise(facts: LogFacts) -> Answer:
    """Orders delivered whole by the date first promised, of those then due."""
    return _due(facts, "coalesce(promised, requested)", "whole and coalesce(arrived <= promised, false)")


@_of_log("ratio", DELIVERED)
def delivery_performance_to_commit(facts: LogFacts) -> Answer:
    """Orders delivered by the original commit date, of those delivered (SCOR RL.2.2)."""
    known = "whole and promised is not null"
    note = "by definition blind to what was never delivered"
    return ratio(facts.count("orders", f"{known} and arrived <= promised"), facts.count("orders", known), note)


@_of_log("ratio", DUE)
def delivered_in_full(facts: LogFacts) -> Answer:
    """Orders delivered whole by the as-of, of those due (SCOR RL.2.1, over all that were due)."""
    return _due(facts, "requested", "whole")


@_of_log("ratio", PROMISED)
def delivered_in_full_to_promise(facts: LogFacts) -> Answer:
    """Orders delivered whole by the as-of, of those whose promise fell due: where no log knows what was requested."""
    return _due(facts, "coalesce(promised, requested)", "whole")


@_of_log("count", DUE)
def orders_withdrawn(facts: LogFacts) -> Answer:
    """Orders that were cancelled whole; they are in no service ratio."""
    return answer(facts.count("orders", f"requested >= {facts.start} and requested < {facts.end} and given_up"))


@_of_log("ms", PLACED)
def promise_lead_time(facts: LogFacts) -> Answer:
    """Mean time from the order to the date first promised."""
    return mean(facts.values("promised - placed", "orders", "promised is not null and placed is not null"))


@_of_log("ms", DELIVERED)
def promise_accuracy(facts: LogFacts) -> Iterator[Answer]:
    """Mean distance of the delivery from the date first promised, and the mean deviation (later is positive)."""
    errors = facts.values("arrived - promised", "orders", "whole and promised is not null")
    yield mean([abs(error) for error in errors])
    yield mean(errors, part="bias")


_MOVES: Final = (
    "(select promised_ms - lag(promised_ms) over (partition by case_id order by event_ms, row) as moved "
    "from log where activity = 'promised' and promised_ms is not null)"
)


@_of_log("per line", "promises in the log")
def promise_volatility(facts: LogFacts) -> Answer:
    """Changes of a promised date per promised line."""
    return ratio(facts.count(_MOVES, "moved != 0"), facts.count("cases", "promised is not null"))


@_of_log("ms", "promises in the log")
def promise_drift(facts: LogFacts) -> Answer:
    """Distance that promised dates were moved, per promised line."""
    moved = sum(facts.values("abs(moved)", _MOVES, "moved is not null"))
    return ratio(moved, facts.count("cases", "promised is not null"))


@_of_log("count", "purchase orders in the log")
def purchase_orders(facts: LogFacts) -> Answer:
    """Purchase orders; where they have no ids of their own, orders that one was made for."""
    row: Any = facts.con.execute(
        "select count(distinct coalesce(purchase_order, \"order\")) from log where activity = 'purchase_order_created'"
    ).fetchall()[0]
    return answer(int(row[0]))


@_of_log("ms", "purchase orders answered in the log")
def supplier_response_time(facts: LogFacts) -> Answer:
    """Mean time from a purchase order to its first acknowledgement."""
    return mean(facts.values("answered - ordered_at", "cases", "answered is not null and ordered_at is not null"))


@_of_log("ms", "lines of which both are known; slices have at least five")
def supplier_lead_time(facts: LogFacts) -> Iterator[Answer]:
    """Time from a supplier's order to its goods: mean, P50, P90, and the mean by supplier.

    It runs from the purchase order to its receipt, or to what comes nearest in the log; the note says what.
    """
    columns = {
        "purchase_order_created": "ordered_at",
        "order_placed": "placed",
        "purchase_order_received": "received",
        "handed_to_carrier": "shipped",
        "delivered": "arrived",
    }
    for first, last in _LEAD_TIMES:
        begin, end = columns[first], columns[last]
        known = f"supplier is not null and {begin} is not null and {end} is not null"
        held = sorted(facts.values(f"{end} - {begin}", "cases", known))
        if held:
            break
    else:
        yield Answer(None, note="no supplier's goods have both ends")
        return
    left = facts.count("cases", f"supplier is not null and {begin} is not null and {end} is null and not given_up")
    notes = [f"from {first} to {last}", _left_out(held, left)]
    yield mean(held, "; ".join(note for note in notes if note))
    for percent in (50, 90):
        yield answer(percentile(held, percent), part=f"p{percent}")
    for name, total, number in facts.slices(f"{end} - {begin}", "supplier", known):
        yield ratio(total, number, part=f"supplier={name}")


@_of_log("ms", "lines handed over and delivered; slices have at least five")
def transit_time(facts: LogFacts) -> Iterator[Answer]:
    """Time from the carrier's taking over to delivery: mean, P50, P90, and the mean by carrier and by lane."""
    known = "shipped is not null and arrived is not null"
    left = facts.count("cases", "shipped is not null and arrived is null and not given_up")
    yield from _durations(facts, "arrived - shipped", "cases", known, left)
    for part, by in (("carrier", "carrier"), ("lane", "origin || ' > ' || region")):
        for name, total, number in facts.slices("arrived - shipped", by, known):
            yield ratio(total, number, part=f"{part}={name}")


@_of_log("ms", "deliveries with both times")
def record_lag(facts: LogFacts) -> Iterator[Answer]:
    """Time from a delivery to its record: mean, P50, P90."""
    yield from _durations(
        facts,
        "record_ms - event_ms",
        "log",
        "activity = 'delivered' and record_ms is not null and event_ms is not null",
    )


_BILLED: Final = (
    "(select min(event_ms) filter (activity = 'handed_to_carrier') as shipped, "
    "min(event_ms) filter (activity = 'invoiced') as billed "
    'from log where shipment is not null group by "order", shipment)'
)


@_of_log("ms", "shipments billed in the log")
def ship_to_invoice_lag(facts: LogFacts) -> Answer:
    """Mean time from a shipment to its invoice."""
    held = facts.values("billed - shipped", _BILLED, "billed is not null and shipped is not null")
    return mean(held, _left_out(held))
