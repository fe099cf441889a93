"""One raw cell at a time into text, a whole number, minor units or milliseconds: never through a float."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from adapters.order_book.mapping import OrderBookMapping
from twin.order_book import OrderBookError

__all__ = ["Cells"]

_WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]{1,3})?", re.ASCII | re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{3})*,[0-9]+", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


class Cells:
    """Converters for one book. Books repeat themselves, so each distinct cell is converted once."""

    def __init__(self, path: Path, mapping: OrderBookMapping) -> None:
        self._path = path
        self._mapping = mapping
        self._zone = ZoneInfo(mapping.at.timezone)
        self._factor = Decimal(10) ** mapping.currency_exponent
        self._texts: dict[str, str] = {}
        self._quantities: dict[Any, int] = {}
        self._prices: dict[Any, int] = {}
        self._stamps: dict[Any, int] = {}
        self._rounded: set[Any] = set()
        self.rounded_prices = 0

    def text(self, cell: Any) -> str:
        """Trimmed text; a whole number kept as a float by a table (14798.0) loses its `.0`."""
        if cell is None:
            return ""
        if isinstance(cell, float):
            cell = "" if cell != cell else str(int(cell)) if cell.is_integer() else repr(cell)
        stripped = str(cell).strip()
        return self._texts.setdefault(stripped, stripped)

    def name(self, row: int, cell: Any, field: str, column: str) -> str:
        """Text that must not be blank."""
        text = self.text(cell)
        if not text:
            raise self._error(row, f"{field} is blank in column {column!r}", "every line needs one")
        return text

    def quantity(self, row: int, cell: Any) -> int:
        """Base units, signed."""
        known = self._quantities.get(cell)
        if known is not None:
            return known
        whole: int | None = None
        if isinstance(cell, int):
            whole = cell
        elif isinstance(cell, float | Decimal):
            whole = int(cell) if cell == cell and cell % 1 == 0 else None
        elif isinstance(cell, str) and _WHOLE.fullmatch(cell.strip()):
            whole = int(cell)
        if whole is None:
            raise self._error(row, f"quantity {_shown(cell)} is no whole number", "write base units, such as 12")
        self._quantities[cell] = whole
        return whole

    def price_minor(self, row: int, cell: Any) -> int:
        """Minor units of one unit's price; halves go to the even neighbor, and each rounding is counted."""
        minor = self._prices.get(cell)
        if minor is None:
            minor = self._prices[cell] = self._read_price(row, cell)
        if cell in self._rounded:
            self.rounded_prices += 1
        return minor

    def _read_price(self, row: int, cell: Any) -> int:
        # repr gives the shortest text that means this float, which is what the exporter had in mind
        text = repr(cell) if isinstance(cell, float) else "" if cell is None else str(cell).strip()
        if not _NUMBER.fullmatch(text):
            remedy = "write major units, such as 2.95"
            if _DECIMAL_COMMA.fullmatch(text):
                remedy += ", with a decimal point and no other mark"
            raise self._error(row, f"price {_shown(cell)} is no number", remedy)
        try:
            exact = Decimal(text) * self._factor
            minor = exact.quantize(Decimal(1))
        except InvalidOperation:
            raise self._error(row, f"price {_shown(cell)} is out of range", "write major units") from None
        if minor != exact:
            self._rounded.add(cell)
        return int(minor)

    def at_ms(self, row: int, cell: Any) -> int:
        """Milliseconds since the epoch; a stamp without an offset is local to the mapping's zone."""
        known = self._stamps.get(cell)
        if known is None:
            known = self._stamps[cell] = self._read_stamp(row, cell)
        return known

    def _read_stamp(self, row: int, cell: Any) -> int:
        stamp = self._parsed(row, cell)
        if stamp.tzinfo is None:
            local = stamp.replace(tzinfo=self._zone)
            instant = local.astimezone(UTC)
            if instant.astimezone(self._zone).replace(tzinfo=None) != stamp:
                raise self._error(
                    row,
                    f"time {_shown(cell)} does not exist in {self._zone.key}: clocks go forward over it",
                    "check `at.timezone` in the mapping",
                )
        else:
            instant = stamp.astimezone(UTC)
        return (instant - _EPOCH) // _MS

    def _parsed(self, row: int, cell: Any) -> datetime:
        if isinstance(cell, datetime):
            return cell
        if isinstance(cell, date):
            return datetime(cell.year, cell.month, cell.day)
        wanted = self._mapping.at.format
        if isinstance(cell, str):
            text = cell.strip()
            try:
                return datetime.fromisoformat(text) if wanted == "iso" else datetime.strptime(text, wanted)
            except ValueError:
                pass
        form = "ISO 8601, such as 2010-03-01 08:38:00" if wanted == "iso" else repr(wanted)
        raise self._error(
            row, f"time {_shown(cell)} is no date", f"expected {form}; else set `at.format` in the mapping"
        )

    def _error(self, row: int, problem: str, remedy: str) -> OrderBookError:
        return OrderBookError(f"{self._path}:{row}", problem, remedy)


def _shown(cell: Any) -> str:
    if cell is None or cell == "":
        return "(blank)"
    text = repr(cell)
    return text if len(text) <= 60 else f"{text[:57]}..."
