"""The account of an opening: every row with its units and value, which rows are left out, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from twin.opening import KEPT, LEFT_OUT, TABLES, Amount, Finding, OpeningReport, OpeningTables, TableReport
from twin.scenario.units import format_duration, format_instant

__all__ = ["Ledger", "note_instants", "spans_of"]

FIRST: Final = 5

APART_MS: Final = 3_600_000
"""Tables whose instants lie further apart were not true at once."""


class _Found:
    """The rows of one finding."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.count = 0
        self.units = 0
        self.first: list[str] = []


class Ledger:
    """Rows by table and number as (units, value), which of them are `dropped`, and the findings.

    `names` are the things that the business has, by what they are.
    """

    def __init__(self, names: Mapping[str, Mapping[str, None]]) -> None:
        self.names = names
        self.rows: dict[str, dict[int, tuple[int, int]]] = {name: {} for name in TABLES}
        self.dropped: dict[str, dict[int, None]] = {name: {} for name in TABLES}
        self._found: dict[tuple[str, str, str], _Found] = {}

    def say(self, table: str, kind: str, treatment: str, text: str, row: int, what: str) -> None:
        """A row of a table has something inconsistent; one that is left out is so from here on."""
        found = self._found.setdefault((table, kind, treatment), _Found(text))
        found.count += 1
        found.units += self.rows[table].get(row, (0, 0))[0]
        if len(found.first) < FIRST:
            found.first.append(f"{table}.csv:{row}: {what}")
        if treatment == LEFT_OUT:
            self.dropped[table][row] = None

    def unknown(self, table: str, row: int, **named: str) -> bool:
        """Whether the business does not have one of the things named, by what they are; the first one is said."""
        for noun, name in named.items():
            if name not in self.names[noun]:
                text = f"{noun}s that the scenario does not have"
                self.say(table, f"unknown_{noun}", LEFT_OUT, text, row, f"'{name}'")
                return True
        return False

    def note(self, kind: str, text: str, shown: Iterable[str]) -> None:
        """Tables as wholes have something inconsistent."""
        found = self._found["", kind, KEPT] = _Found(text)
        found.first = list(shown)
        found.count = len(found.first)

    def report(self, tables: OpeningTables, currency: str, start: int) -> OpeningReport:
        """Rows, units and value by table, and every finding, those that left something out first."""
        spans = spans_of(tables)
        reports = []
        for name in TABLES:
            if name not in tables.rows:
                continue
            rows, dropped = self.rows[name], self.dropped[name]
            read = _sums(rows.values())
            kept = _sums([rows[row] for row in rows if row not in dropped])
            left = _sums([rows[row] for row in rows if row in dropped])
            reports.append(TableReport(name, read, kept, left, spans.get(name, (0, 0))))
        findings = [
            Finding(kind, table, treatment, found.text, found.count, found.units, tuple(found.first))
            for (table, kind, treatment), found in self._found.items()
        ]
        findings.sort(key=lambda one: (one.treatment != LEFT_OUT, one.table, one.kind))
        return OpeningReport(tables.source, currency, start, tuple(reports), tuple(findings))


def spans_of(tables: OpeningTables) -> dict[str, tuple[int, int]]:
    """The first and the last instant (ms) at which the rows of each table were true."""
    told: dict[str, list[int]] = {
        "stock": [row.as_of for row in tables.stock],
        "orders": [order.as_of for order in tables.orders],
        "purchase_orders": [row.as_of for row in tables.purchases],
        "shipments": [row.as_of for row in tables.parcels],
    }
    return {name: (min(instants), max(instants)) for name, instants in told.items() if instants}


def note_instants(ledger: Ledger, tables: OpeningTables, start: int) -> None:
    """Note tables that were not true at once, or not at the `start` of the run (ms)."""
    spans = spans_of(tables)
    if not spans:
        return
    first, last = min(span[0] for span in spans.values()), max(span[1] for span in spans.values())
    shown = [
        f"{name}: {format_instant(low)}" + (f" to {format_instant(high)}" if low != high else "")
        for name, (low, high) in spans.items()
    ]
    if last - first > APART_MS:
        ledger.note("as_of_apart", f"tables that were true up to {format_duration(last - first)} apart", shown)
    off = max(abs(start - first), abs(start - last))
    if off > APART_MS:
        text = f"tables that were true up to {format_duration(off)} from the start of the run, {format_instant(start)}"
        ledger.note("as_of_not_start", text, shown)


def _sums(rows: Iterable[tuple[int, int]]) -> Amount:
    kept = list(rows)
    return Amount(len(kept), sum([units for units, _ in kept]), sum([value for _, value in kept]))
