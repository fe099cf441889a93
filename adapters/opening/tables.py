"""A folder of tables into the neutral records of an opening."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from adapters.opening.cells import Cells, zone_named
from adapters.opening.reading import COLUMNS, Row, read_table
from twin.opening import (
    TABLES,
    OpeningError,
    OpeningTables,
    OpenLine,
    OpenOrder,
    OpenParcel,
    OpenPurchase,
    StockRow,
)

__all__ = ["load"]

_OF_ORDER: Final = (
    *("channel", "customer", "region", "criticality"),
    *("captured_at", "requested_at", "promised_at", "releases"),
)
"""What all rows of an order say alike."""


def load(path: Path, timezone: str, columns: Mapping[str, Mapping[str, str]], exponent: int) -> OpeningTables:
    """The tables in the folder `path`, each row of them one record or part of one.

    Raises `OpeningError` (place, problem, remedy) for a folder, a table or a cell that cannot be used; nothing is
    returned of an opening that cannot be read anywhere.
    """
    path = Path(path)
    _check(path, columns)
    zone = zone_named(timezone, str(path))
    rows: dict[str, int] = {}

    def table(name: str) -> Iterator[tuple[Cells, str, Row]]:
        file = path / f"{name}.csv"
        if not file.exists() and name != "stock":
            return
        cells = Cells(file, zone, exponent)
        rows[name] = 0
        for row in read_table(file, name, columns.get(name, {})):
            rows[name] += 1
            yield cells, file.name, row

    stock = tuple([_stock(*row) for row in table("stock")])
    orders = _orders(table("orders"))
    purchases = tuple([_purchase(*row) for row in table("purchase_orders")])
    parcels = tuple([_parcel(*row) for row in table("shipments")])
    return OpeningTables(path.name, stock, orders, purchases, parcels, rows)


def _check(path: Path, columns: Mapping[str, Mapping[str, str]]) -> None:
    if not path.exists():
        raise OpeningError(str(path), "there is no such folder", "check the path of the opening")
    if not path.is_dir():
        raise OpeningError(str(path), "is a file, not a folder", "name the folder that holds stock.csv")
    if not (path / "stock.csv").exists():
        there = sorted(file.name for file in path.iterdir())[:8]
        raise OpeningError(
            str(path), "has no stock.csv", f"an opening has at least that; here are: {', '.join(there) or 'no files'}"
        )
    _check_names(path)
    for table, named in columns.items():
        if table not in TABLES:
            raise OpeningError(str(path), f"columns: no table is called '{table}'", f"tables are {', '.join(TABLES)}")
        fields = [field for part in COLUMNS[table] for field in part]
        for field in named:
            if field not in fields:
                raise OpeningError(
                    str(path), f"columns.{table}: there is no field '{field}'", f"fields are {', '.join(fields)}"
                )


def _check_names(path: Path) -> None:
    """A table under nearly its name (`Orders.csv`, `orders.csv.gz`) would be taken for one that there is none of."""
    for file in sorted(path.iterdir()):
        stem = file.name.partition(".")[0].lower().replace("-", "_").replace(" ", "_")
        close = get_close_matches(stem, TABLES, n=1, cutoff=0.8)
        if close and not (path / f"{close[0]}.csv").exists():
            raise OpeningError(
                str(file),
                f"is not read, and there is no {close[0]}.csv",
                f"make it {close[0]}.csv, as plain CSV; or take it out of the folder if it is something else",
            )


def _stock(cells: Cells, file: str, at: Row) -> StockRow:
    row, cell = at
    return StockRow(
        cells.name(row, cell["warehouse"], "warehouse"),
        cells.name(row, cell["item"], "item"),
        cell.get("status", "") or "free",
        cells.units(row, cell["quantity"], "quantity"),
        cells.instant(row, cell["as_of"], "as_of"),
        file,
        row,
        cells.units(row, cell["reserved"], "reserved") if cell.get("reserved") else None,
    )


def _orders(rows: Iterator[tuple[Cells, str, Row]]) -> tuple[OpenOrder, ...]:
    """Rows of one order become one record, wherever they stand; what they say differently is kept in `unlike`."""
    heads: dict[str, dict[str, Any]] = {}
    lines: dict[str, list[OpenLine]] = {}
    for cells, file, (row, cell) in rows:
        order = cells.name(row, cell["order"], "order")
        told = {
            "channel": cells.name(row, cell["channel"], "channel"),
            "customer": cell.get("customer", ""),
            "region": cells.name(row, cell["region"], "region"),
            "criticality": cell.get("criticality", ""),
            "captured_at": cells.instant(row, cell["captured_at"], "captured_at"),
            "requested_at": cells.instant(row, cell["requested_at"], "requested_at"),
            "promised_at": cells.maybe(row, cell.get("promised_at", ""), "promised_at"),
            "as_of": cells.instant(row, cell["as_of"], "as_of"),
            "releases": cells.units(row, cell["releases"], "releases") if cell.get("releases") else 0,
        }
        line = OpenLine(
            cells.units(row, cell["line"], "line"),
            cells.name(row, cell["item"], "item"),
            cells.units(row, cell["ordered"], "ordered"),
            cells.units(row, cell["open"], "open"),
            cells.price_minor(row, cell["price"]),
            row,
            cells.units(row, cell["shipped"], "shipped") if cell.get("shipped") else None,
        )
        head = heads.setdefault(order, {**told, "file": file, "row": row, "unlike": {}})
        for name in _OF_ORDER:
            if head[name] != told[name]:
                head["unlike"][name] = None
        head["as_of"] = max(head["as_of"], told["as_of"])
        lines.setdefault(order, []).append(line)
    return tuple(
        [
            OpenOrder(
                order,
                head["channel"],
                head["customer"] or f"guest/{order}",
                head["region"],
                head["criticality"],
                head["captured_at"],
                head["requested_at"],
                head["promised_at"],
                tuple(lines[order]),
                head["as_of"],
                head["file"],
                head["row"],
                tuple(head["unlike"]),
                head["releases"],
            )
            for order, head in heads.items()
        ]
    )


def _purchase(cells: Cells, file: str, at: Row) -> OpenPurchase:
    row, cell = at
    return OpenPurchase(
        cells.name(row, cell["purchase_order"], "purchase_order"),
        cells.name(row, cell["supplier"], "supplier"),
        cells.name(row, cell["warehouse"], "warehouse"),
        cells.name(row, cell["item"], "item"),
        cells.units(row, cell["due"], "due"),
        cells.instant(row, cell["created_at"], "created_at"),
        cells.maybe(row, cell.get("eta", ""), "eta"),
        cells.instant(row, cell["as_of"], "as_of"),
        file,
        row,
    )


def _parcel(cells: Cells, file: str, at: Row) -> OpenParcel:
    row, cell = at
    return OpenParcel(
        cells.name(row, cell["shipment"], "shipment"),
        cells.name(row, cell["order"], "order"),
        cells.units(row, cell["line"], "line"),
        cells.units(row, cell["quantity"], "quantity"),
        cells.name(row, cell["warehouse"], "warehouse"),
        cells.name(row, cell["carrier"], "carrier"),
        cells.instant(row, cell["shipped_at"], "shipped_at"),
        cells.maybe(row, cell.get("eta", ""), "eta"),
        cells.instant(row, cell["as_of"], "as_of"),
        file,
        row,
    )
