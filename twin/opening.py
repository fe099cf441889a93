"""An opening: what a business had under way at an instant, as neutral records, and what is inconsistent in them.

Adapters read tables into these records and the world takes them over; neither knows the other. Times are integer
milliseconds since the Unix epoch (0: not known), prices integer minor units of the scenario's currency for one unit,
quantities integer base units, signed as read. `file` and `row` are where a record came from (CSV: the physical line
where the record starts, the header being 1), and `as_of` is the instant at which it was true.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import msgspec

__all__ = [
    "KEPT",
    "LEFT_OUT",
    "PARTLY",
    "TABLES",
    "Amount",
    "Finding",
    "OpenLine",
    "OpenOrder",
    "OpenParcel",
    "OpenPurchase",
    "OpeningError",
    "OpeningReport",
    "OpeningSource",
    "OpeningTables",
    "StockRow",
    "TableReport",
]

TABLES: Final = ("stock", "orders", "purchase_orders", "shipments")
"""The tables by name; all but stock may be absent."""

LEFT_OUT: Final = "left out"
KEPT: Final = "taken over"
PARTLY: Final = "taken over without it"


class OpeningError(ValueError):
    """An opening that cannot be used: `place: problem; remedy`. `place` is `file:line` where a line is to blame."""

    def __init__(self, place: str, problem: str, remedy: str) -> None:
        # The three parts are kept as args: a pickled error must survive a process pool.
        super().__init__(place, problem, remedy)
        self.place = place
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}; {self.remedy}"


class StockRow(msgspec.Struct, frozen=True, gc=False):
    """Units of an item in a warehouse; `status` is free or quarantined. `reserved` are those of the free units that
    are kept for orders, None where the table does not say."""

    warehouse: str
    item: str
    status: str
    quantity: int
    as_of: int
    file: str
    row: int
    reserved: int | None = None


class OpenLine(msgspec.Struct, frozen=True, gc=False):
    """A line of an open order: units ordered, and of them those still to ship.

    `shipped` is None where the table does not say.
    """

    line: int
    item: str
    ordered: int
    open: int
    price_minor: int
    row: int
    shipped: int | None = None


class OpenOrder(msgspec.Struct, frozen=True):
    """An order that is not done. `promised_at` is what the customer was told. `unlike` names the columns in which rows
    of this order say different things: then nobody knows which is right. It was released `releases` times before."""

    order: str
    channel: str
    customer: str
    region: str
    criticality: str
    captured_at: int
    requested_at: int
    promised_at: int
    lines: tuple[OpenLine, ...]
    as_of: int
    file: str
    row: int
    unlike: tuple[str, ...] = ()
    releases: int = 0


class OpenPurchase(msgspec.Struct, frozen=True, gc=False):
    """Units of an item that a supplier still owes a warehouse; `eta` is the supplier's word."""

    purchase_order: str
    supplier: str
    warehouse: str
    item: str
    due: int
    created_at: int
    eta: int
    as_of: int
    file: str
    row: int


class OpenParcel(msgspec.Struct, frozen=True, gc=False):
    """Units of an order line in a parcel that has left the warehouse and has not arrived."""

    shipment: str
    order: str
    line: int
    quantity: int
    warehouse: str
    carrier: str
    shipped_at: int
    eta: int
    as_of: int
    file: str
    row: int


class OpeningTables(msgspec.Struct, frozen=True):
    """All tables of an opening, as read; `rows` are the data rows of each table that was there."""

    source: str
    stock: tuple[StockRow, ...]
    orders: tuple[OpenOrder, ...] = ()
    purchases: tuple[OpenPurchase, ...] = ()
    parcels: tuple[OpenParcel, ...] = ()
    rows: dict[str, int] = {}


class Finding(msgspec.Struct, frozen=True):
    """Something inconsistent, one for each kind and table: how many rows, their units, the first five, and what was
    done with them: left out, taken over as they are, or taken over without what is wrong."""

    kind: str
    table: str
    treatment: str
    text: str
    count: int
    units: int
    first: tuple[str, ...]


class Amount(msgspec.Struct, frozen=True, gc=False):
    """Rows of a table, their units, and what these are worth in minor units."""

    rows: int = 0
    units: int = 0
    value_minor: int = 0


class TableReport(msgspec.Struct, frozen=True):
    """What became of one table; stock and purchases are valued at cost, orders and parcels at price.

    `as_of` are the first and the last instant (ms) at which its rows were true.
    """

    table: str
    read: Amount
    taken_over: Amount
    left_out: Amount
    as_of: tuple[int, int]


class OpeningReport(msgspec.Struct, frozen=True):
    """What an opening held and what became of it: read = taken over + left out, for every table."""

    source: str
    currency: str
    start: int
    tables: tuple[TableReport, ...]
    findings: tuple[Finding, ...]

    @property
    def count(self) -> int:
        """Rows with something inconsistent; one row may be counted under several kinds."""
        return sum(finding.count for finding in self.findings)


class OpeningSource(Protocol):
    """What an entry point of group `ordertwin.openings` provides.

    `timezone` is the zone of instants without one, empty where there is none; `columns` are by table and field the
    columns that are named otherwise; prices have `exponent` decimals. Raises `OpeningError`.
    """

    def __call__(
        self, path: Path, timezone: str, columns: Mapping[str, Mapping[str, str]], exponent: int
    ) -> OpeningTables: ...
