"""One cell at a time into text, a whole number, minor units or milliseconds: never through a float."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from twin.opening import OpeningError

__all__ = ["NUMBER_MAX", "Cells", "zone_named"]

NUMBER_MAX: Final = 10**12
"""Of units and of minor units on one line; the log stores 64 bits, and sums need room."""

YEARS: Final = (1971, 2199)

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?[0-9]{1,18}(\.([0-9]{1,9}))?", re.ASCII)
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?", re.ASCII)
_OFFSET = re.compile(r"(Z|[+-][0-9]{2}:?[0-9]{2})$", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def zone_named(name: str, place: str) -> ZoneInfo | None:
    """The time zone, None for no name. Raises `OpeningError` for one that there is not."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise OpeningError(place, f"timezone: '{name}' is none", "name one such as Europe/London or UTC") from None


class Cells:
    """Converters for one table."""

    def __init__(self, path: Path, zone: ZoneInfo | None, exponent: int) -> None:
        self._path = path
        self._zone = zone
        self._exponent = exponent
        # Of the first instant: whether it had an offset, and where it stood.
        self._zoned: bool | None = None
        self._first = 0

    def name(self, row: int, cell: str, field: str) -> str:
        """Text that must not be blank."""
        if not cell:
            raise self._error(row, f"{field} is blank", "every row needs one")
        return cell

    def units(self, row: int, cell: str, field: str) -> int:
        """A whole number, signed."""
        if not _WHOLE.fullmatch(cell) or abs(int(cell)) > NUMBER_MAX:
            raise self._error(row, f"{field} {_shown(cell)} is no whole number of units", "write it such as 12")
        return int(cell)

    def price_minor(self, row: int, cell: str) -> int:
        """Minor units of one unit's price."""
        found = _DECIMAL.fullmatch(cell)
        if found is None:
            raise self._error(row, f"price {_shown(cell)} is no number", "write major units, such as 2.95")
        if len((found[2] or "").rstrip("0")) > self._exponent:
            told = f"the scenario's currency has {self._exponent}"
            raise self._error(row, f"price {_shown(cell)} has too many decimals; {told}", "round it where it came from")
        minor = int(Decimal(cell) * 10**self._exponent)
        if abs(minor) > NUMBER_MAX:
            raise self._error(row, f"price {_shown(cell)} is out of range", "write major units, such as 2.95")
        return minor

    def instant(self, row: int, cell: str, field: str) -> int:
        """Milliseconds since the epoch; an instant without an offset is local to the stated zone."""
        if not cell:
            raise self._error(row, f"{field} is blank", "write an instant such as 2025-11-17T08:00Z")
        offset = _OFFSET.search(cell) if len(cell) > 10 else None
        plain = cell[: offset.start()] if offset is not None else cell
        if not _INSTANT.fullmatch(plain.strip()):
            raise self._error(
                row, f"{field} {_shown(cell)} is no instant in ISO 8601", "write it such as 2025-11-17T08:00Z"
            )
        self._one_format(row, cell, field, offset is not None)
        try:
            local = datetime.fromisoformat(plain.strip() + (offset[0] if offset is not None else ""))
        except ValueError as error:
            raise self._error(row, f"{field} {_shown(cell)}: {error}", "correct it") from None
        if not YEARS[0] <= local.year <= YEARS[1]:
            years = f"{YEARS[0]} and {YEARS[1]}"
            raise self._error(row, f"{field} {_shown(cell)} is of no time of business", f"write a year between {years}")
        if local.tzinfo is not None:
            return (local - _EPOCH) // _MS
        zone = self._zone
        if zone is None:
            raise self._error(
                row,
                f"{field} {_shown(cell)} has no zone",
                "write it such as 2025-11-17T08:00Z, or give the opening a `timezone`",
            )
        # An hour that clocks skip does not come back as it was, and one that they repeat is two instants.
        there = local.replace(tzinfo=zone)
        if there.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
            raise self._error(row, f"{field} {_shown(cell)} does not exist in {zone.key}", "write its offset from UTC")
        if there.utcoffset() != there.replace(fold=1).utcoffset():
            raise self._error(row, f"{field} {_shown(cell)} comes twice in {zone.key}", "write its offset from UTC")
        return (there.astimezone(UTC) - _EPOCH) // _MS

    def maybe(self, row: int, cell: str, field: str) -> int:
        """An instant, or 0 where the cell is blank."""
        return self.instant(row, cell, field) if cell else 0

    def _one_format(self, row: int, cell: str, field: str, zoned: bool) -> None:
        if self._zoned is None:
            self._zoned, self._first = zoned, row
        elif self._zoned != zoned:
            with_, without = ("a zone", "none") if zoned else ("no zone", "one")
            raise self._error(
                row, f"{field} {_shown(cell)} has {with_}, row {self._first} has {without}", "write all of them alike"
            )

    def _error(self, row: int, problem: str, remedy: str) -> OpeningError:
        return OpeningError(f"{self._path}:{row}", problem, remedy)


def _shown(cell: str) -> str:
    if not cell:
        return "(blank)"
    return f"'{cell}'" if len(cell) <= 60 else f"'{cell[:57]}...'"
