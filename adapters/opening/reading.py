"""Rows of one CSV table, by field: what can be wrong with a file as a file is found here."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from twin.opening import OpeningError

__all__ = ["COLUMNS", "read_table"]

COLUMNS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "stock": (("warehouse", "item", "quantity", "as_of"), ("status", "reserved")),
    "orders": (
        (
            *("order", "line", "channel", "region", "captured_at", "requested_at"),
            *("item", "ordered", "open", "price", "as_of"),
        ),
        ("customer", "criticality", "promised_at", "shipped", "releases"),
    ),
    "purchase_orders": (
        ("purchase_order", "supplier", "warehouse", "item", "due", "created_at", "as_of"),
        ("eta",),
    ),
    "shipments": (
        ("shipment", "order", "line", "quantity", "warehouse", "carrier", "shipped_at", "as_of"),
        ("eta",),
    ),
}
"""The fields of each table: those that must have a column, and those that may."""

Row = tuple[int, dict[str, str]]
"""The physical line where a row starts, and its cells by field."""


def read_table(path: Path, table: str, named: Mapping[str, str]) -> Iterator[Row]:
    """The rows of a table; `named` has the column of each field that is named otherwise. Raises `OpeningError`."""
    text = _text(path)
    # Strict: an unclosed quote would swallow the rest of the file in silence.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        at = _positions(path, table, [cell.strip() for cell in header], named)
        before = reader.line_num
        for cells in reader:
            row, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise OpeningError(
                    f"{path}:{row}",
                    f"has {len(cells)} cells, the header has {len(header)}",
                    "quote cells that hold a comma, and write the table again",
                )
            yield row, {field: cells[index].strip() for field, index in at.items()}
    except csv.Error as error:
        raise OpeningError(f"{path}:{reader.line_num}", f"is no CSV here ({error})", "write the table again") from None


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except IsADirectoryError:
        raise OpeningError(str(path), "is a folder, not a file", "put the table's file there") from None
    except OSError as error:
        raise OpeningError(str(path), f"cannot be read ({error.strerror})", "check its rights") from None
    if not data.strip():
        raise OpeningError(str(path), "is empty", "write at least the header; leave out a table that there is none of")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise OpeningError(f"{path}:1", "is UTF-16", "save the file as UTF-8")
    if b"\0" in data:
        row = data[: data.index(b"\0")].count(b"\n") + 1
        raise OpeningError(f"{path}:{row}", "is binary, not a CSV table", "export the table as CSV in UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise OpeningError(
            f"{path}:{row}", f"byte 0x{data[error.start]:02x} is not UTF-8", "save the file as UTF-8"
        ) from None


def _positions(path: Path, table: str, header: list[str], named: Mapping[str, str]) -> dict[str, int]:
    needed, optional = COLUMNS[table]
    found: dict[str, int] = {}
    for field in (*needed, *optional):
        column = named.get(field, field)
        times = header.count(column)
        if times > 1:
            raise OpeningError(f"{path}:1", f"column '{column}' appears {times} times", "rename the one not meant")
        if times:
            found[field] = header.index(column)
        elif field in needed or field in named:
            close = difflib.get_close_matches(column, header, n=1, cutoff=0.5)
            guess = f" (did you mean '{close[0]}'?)" if close else ""
            other = next((mark for mark in (";", "\t", "|") if len(header) == 1 and mark in header[0]), None)
            hint = f"; the lines seem to be split by {other!r}: split them by commas" if other else ""
            called = f", which `columns.{table}` names for '{field}'" if field in named else ""
            raise OpeningError(
                f"{path}:1", f"no column '{column}'{called}", f"columns found: {', '.join(header)}{guess}{hint}"
            )
    return found
