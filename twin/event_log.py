"""The log of a foreign business, as neutral events in columns.

Adapters read files into an `EventLog` and the measures read it; neither knows the other. Such a log has no
commands: it says what happened, as far as somebody wrote it down. The vocabulary is closed, so that a
measure can say by name what it lacks.

Times are integer milliseconds since the Unix epoch, values integer minor units, quantities integer base
units. A column that was not mapped is null throughout. `row` is the record of the first file that an event
came from, counted from 1 after the header.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

__all__ = [
    "ACTIVITIES",
    "BEGINNINGS",
    "COLUMNS",
    "ENDINGS",
    "EventLog",
    "EventLogError",
    "EventLogSource",
    "Remark",
    "SourceFile",
    "arrow_schema",
    "line_of",
]

ACTIVITIES: Final[dict[str, str]] = {
    "order_placed": "the customer's order was captured",
    "order_approved": "credit, payment or a person let it pass",
    "promised": "a date was told to the customer, again where it was changed",
    "purchase_order_created": "a purchase order went to a supplier",
    "purchase_order_acknowledged": "the supplier answered it",
    "purchase_order_received": "its goods came in",
    "released": "a site was told to ship",
    "picked": "the goods were taken from their places",
    "packed": "the parcel was closed",
    "handed_to_carrier": "the goods left the site",
    "delivered": "the customer has them",
    "invoiced": "the customer was billed",
    "cancelled": "the order, the line or the purchase order was given up",
    "rejected": "the business refused to supply a line, or units of it",
    "reduced": "units were taken off a line, the rest of which goes on",
    "returned": "goods came back",
}
"""What can happen, in the order in which it usually does."""

BEGINNINGS: Final = ("order_placed", "purchase_order_created")
ENDINGS: Final = ("delivered", "purchase_order_received", "cancelled", "rejected")
"""A case is complete that has one of each and no unit left; a cancellation may be known without its time."""

COLUMNS: Final[dict[str, tuple[str, str]]] = {
    "case_id": ("string", "what is followed: the order or purchase order, and the line where lines are named"),
    "activity": ("string", "one of the closed vocabulary"),
    "event_ms": ("int64", "when it happened; null where only that it happened is known"),
    "record_ms": ("int64", "when it was written down"),
    "order": ("string", "the customer's order"),
    "line": ("string", "the line within it"),
    "purchase_order": ("string", "the order to a supplier"),
    "shipment": ("string", "the consignment or delivery note"),
    "item": ("string", "what was ordered"),
    "quantity": ("int64", "base units; those ordered where the event is about a whole line"),
    "value_minor": ("int64", "value of the order line"),
    "customer": ("string", "who ordered"),
    "channel": ("string", "through what"),
    "region": ("string", "where it goes to"),
    "site": ("string", "the warehouse that serves it"),
    "supplier": ("string", "who supplies it"),
    "origin": ("string", "the place or region it is sent from"),
    "carrier": ("string", "who carries it, or the mode of transport"),
    "requested_ms": ("int64", "the date the customer asked for"),
    "promised_ms": ("int64", "the date promised; the first one where there are several"),
    "stock_view": ("int64", "units that whoever decided saw available"),
    "candidates": ("string", "the sites that could have served, as the log names them"),
    "row": ("int64", "record of the first file"),
}
"""The columns of a log: type and meaning."""

_SHOWN: Final = 5


class EventLogError(ValueError):
    """A log or its mapping that cannot be used: `place: problem; remedy`, and the first offending rows.

    `rows` are (record, what stands there), at most five; `count` says how many there are.
    """

    def __init__(
        self, place: str, problem: str, remedy: str, rows: Sequence[tuple[int, str]] = (), count: int = 0
    ) -> None:
        # All parts are kept as args: a pickled error must survive a process pool.
        super().__init__(place, problem, remedy, tuple(rows), count)
        self.place = place
        self.problem = problem
        self.remedy = remedy
        self.rows = tuple(rows)[:_SHOWN]
        self.count = count or len(self.rows)

    def __str__(self) -> str:
        told = f"{self.place}: {self.problem}; {self.remedy}"
        if self.rows:
            which = f"; {'rows' if self.count > 1 else 'row'} "
            which = f"{which if self.count <= _SHOWN else '; first rows '}"
            told += which + ", ".join(f"{row} ({text})" if text else str(row) for row, text in self.rows)
        return told


class Remark(msgspec.Struct, frozen=True):
    """Something about the log that a reader must know and that was not repaired: how often, and where first."""

    remark: str
    count: int
    rows: tuple[tuple[int, str], ...] = ()


class SourceFile(msgspec.Struct, frozen=True, gc=False):
    """A file as read; `rows` without the header. `holds` says in words what is in one that is more than a table."""

    name: str
    rows: int
    bytes: int
    holds: str = ""


class EventLog(msgspec.Struct, frozen=True):
    """A whole log. `table` is a `pyarrow.Table` of `arrow_schema()`, in the order of the files' rows.

    `as_of_ms` is when it was taken: as the mapping states it, else the last event (`as_of_stated`).
    `whole` says that a delivery is taken for that of the whole line, since the log has no delivered quantity.
    `refused` are measures that whoever wrote the mapping rules out, with the reason.
    """

    title: str
    files: tuple[SourceFile, ...]
    table: Any
    zone: str
    currency: str
    currency_exponent: int
    as_of_ms: int
    as_of_stated: bool
    whole: bool
    left_out_rows: int
    remarks: tuple[Remark, ...]
    caveats: tuple[str, ...]
    refused: dict[str, str]


class EventLogSource(Protocol):
    """What an entry point of group `ordertwin.event_logs` provides.

    `mapping` is the path of a YAML file, or the name of a shipped one. Raises `EventLogError`.
    """

    def __call__(self, paths: Sequence[Path], mapping: Path) -> EventLog: ...


def line_of(row: Mapping[str, Any]) -> str:
    """By what a row of the neutral log names its line: its number, else its item; empty for an order as a whole."""
    return row["line"] or row["item"] or ""


def arrow_schema() -> Any:
    """The `pyarrow.Schema` of a log's table."""
    import pyarrow as pa  # half a second, which `twin --help` does not owe

    kinds = {"string": pa.string(), "int64": pa.int64()}
    return pa.schema([(name, kinds[kind]) for name, (kind, _) in COLUMNS.items()])
