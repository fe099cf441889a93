"""Tables of what was under way: read into neutral records, or refused with place, problem and remedy (RP-01)."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest

from adapters.opening import load
from twin.opening import OpeningError, OpeningTables

STOCK = "warehouse,item,status,quantity,reserved,as_of\nmain,mug,free,40,3,2025-11-17T06:00Z\n"
ORDERS = (
    "order,line,channel,region,captured_at,requested_at,promised_at,item,ordered,open,price,as_of\n"
    "S1,1,web,home,2025-11-14T10:00Z,2025-11-17T10:00Z,2025-11-18T10:00Z,mug,5,3,4.50,2025-11-17T06:00Z\n"
    "S1,2,web,home,2025-11-14T10:00Z,2025-11-17T10:00Z,2025-11-18T10:00Z,bowl,2,2,7,2025-11-17T06:00Z\n"
)
PURCHASES = (
    "purchase_order,supplier,warehouse,item,due,created_at,eta,as_of\n"
    "P1,mill,main,mug,50,2025-11-12T10:00Z,,2025-11-17T06:00Z\n"
)
SHIPMENTS = (
    "shipment,order,line,quantity,warehouse,carrier,shipped_at,eta,as_of\n"
    "V1,S1,1,2,main,van,2025-11-16T16:00Z,2025-11-18T12:00Z,2025-11-17T06:00Z\n"
)
SIX = 1_763_359_200_000
"""2025-11-17T06:00Z."""


def put(folder: Path, **tables: str | bytes) -> Path:
    for name, text in {"stock": STOCK, **tables}.items():
        (folder / f"{name}.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def read(
    folder: Path, timezone: str = "", columns: Mapping[str, Mapping[str, str]] | None = None, exponent: int = 2
) -> OpeningTables:
    return load(folder, timezone, columns or {}, exponent)


def message(folder: Path, timezone: str = "", columns: Mapping[str, Mapping[str, str]] | None = None) -> str:
    """What is said of the opening in `folder`, with the folder cut off."""
    with pytest.raises(OpeningError) as caught:
        read(folder, timezone, columns)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    return str(caught.value).replace(f"{folder}/", "").replace(f"{folder}: ", "")


def test_every_row_becomes_a_record_that_knows_its_file_and_row(tmp_path: Path) -> None:  # RP-01
    told = read(put(tmp_path, orders=ORDERS, purchase_orders=PURCHASES, shipments=SHIPMENTS))
    (stock,), (order,), (bought,), (parcel,) = told.stock, told.orders, told.purchases, told.parcels
    assert (stock.warehouse, stock.item, stock.status, stock.quantity, stock.reserved) == ("main", "mug", "free", 40, 3)
    assert (stock.file, stock.row, stock.as_of) == ("stock.csv", 2, SIX)
    assert (order.order, order.channel, order.customer, order.promised_at) == (
        "S1",
        "web",
        "guest/S1",
        SIX + 100_800_000,
    )
    assert [(line.line, line.item, line.ordered, line.open, line.price_minor, line.row) for line in order.lines] == [
        (1, "mug", 5, 3, 450, 2),
        (2, "bowl", 2, 2, 700, 3),
    ]
    assert (bought.due, bought.eta, bought.file, bought.row) == (50, 0, "purchase_orders.csv", 2)
    assert (parcel.shipment, parcel.quantity, parcel.carrier, parcel.row) == ("V1", 2, "van", 2)
    assert told.rows == {"stock": 1, "orders": 2, "purchase_orders": 1, "shipments": 1}


def test_all_tables_but_stock_may_be_absent(tmp_path: Path) -> None:
    told = read(put(tmp_path))
    assert (told.orders, told.purchases, told.parcels, told.rows) == ((), (), (), {"stock": 1})


def test_rows_of_one_order_that_differ_are_kept_as_such(tmp_path: Path) -> None:
    (order,) = read(put(tmp_path, orders=ORDERS.replace("S1,2,web,home", "S1,2,shop,away"))).orders
    assert order.unlike == ("channel", "region")


def test_columns_may_be_named_otherwise_and_instants_be_local_to_a_stated_zone(tmp_path: Path) -> None:
    put(tmp_path, stock="Werk;x,item,quantity,as_of\nmain,mug,4,2025-11-17 07:00\n")
    (row,) = read(tmp_path, "Europe/Berlin", {"stock": {"warehouse": "Werk;x"}}).stock
    assert (row.warehouse, row.status, row.as_of) == ("main", "free", SIX)


def test_prices_are_decimals_of_the_scenarios_currency(tmp_path: Path) -> None:
    put(tmp_path, orders=ORDERS.replace(",4.50,", ",450,").replace(",7,", ",7.000,"))
    assert [line.price_minor for line in read(tmp_path, exponent=0).orders[0].lines] == [450, 7]
    put(tmp_path, orders=ORDERS.replace(",4.50,", ",4.505,"))
    assert message(tmp_path) == (
        "orders.csv:2: price '4.505' has too many decimals; the scenario's currency has 2; round it where it came from"
    )


@pytest.mark.parametrize(
    ("table", "text", "said"),
    [
        (
            "stock",
            STOCK.replace("quantity", "quantty"),
            "stock.csv:1: no column 'quantity'; columns found: warehouse, item, status, quantty, reserved, as_of "
            "(did you mean 'quantty'?)",
        ),
        (
            "stock",
            STOCK.replace(",", ";"),
            "stock.csv:1: no column 'warehouse'; columns found: warehouse;item;status;quantity;reserved;as_of"
            "; the lines seem to be split by ';': split them by commas",
        ),
        (
            "stock",
            STOCK.replace("status", "item"),
            "stock.csv:1: column 'item' appears 2 times; rename the one not meant",
        ),
        (
            "stock",
            STOCK.replace("06:00Z", "06:00"),
            "stock.csv:2: as_of '2025-11-17T06:00' has no zone; write it such as 2025-11-17T08:00Z, or give the "
            "opening a `timezone`",
        ),
        (
            "stock",
            STOCK.replace("2025-11-17T06:00Z", "17.11.2025 06:00"),
            "stock.csv:2: as_of '17.11.2025 06:00' is no instant in ISO 8601; write it such as 2025-11-17T08:00Z",
        ),
        (
            "stock",
            STOCK.replace("2025-11-17T06:00Z", "2025-02-30T06:00Z"),
            "stock.csv:2: as_of '2025-02-30T06:00Z': day is out of range for month; correct it",
        ),
        (
            "stock",
            STOCK.replace("2025-11-17T06:00Z", "9999-12-31T23:00-05:00"),
            "stock.csv:2: as_of '9999-12-31T23:00-05:00' is of no time of business; write a year between 1971 and 2199",
        ),
        (
            "stock",
            STOCK.replace("40", "4.5"),
            "stock.csv:2: quantity '4.5' is no whole number of units; write it such as 12",
        ),
        ("stock", STOCK.replace("main", " "), "stock.csv:2: warehouse is blank; every row needs one"),
        (
            "stock",
            STOCK + "main,bowl\n",
            "stock.csv:3: has 2 cells, the header has 6; quote cells that hold a comma, and write the table again",
        ),
        (
            "stock",
            STOCK + 'main,"bowl\n',
            "stock.csv:3: is no CSV here (unexpected end of data); write the table again",
        ),
        ("stock", "", "stock.csv: is empty; write at least the header; leave out a table that there is none of"),
        ("stock", b"PK\x03\x04\n\0\0", "stock.csv:2: is binary, not a CSV table; export the table as CSV in UTF-8"),
        ("stock", STOCK.encode("utf-16"), "stock.csv:1: is UTF-16; save the file as UTF-8"),
        ("stock", STOCK.encode() + b"K\xf6ln\n", "stock.csv:3: byte 0xf6 is not UTF-8; save the file as UTF-8"),
        (
            "orders",
            ORDERS.replace("4.50", "4,50"),
            "orders.csv:2: has 13 cells, the header has 12; quote cells that hold a comma, and write the table again",
        ),
        (
            "orders",
            ORDERS.replace("4.50", '"4,50"'),
            "orders.csv:2: price '4,50' is no number; write major units, such as 2.95",
        ),
        (
            "orders",
            ORDERS.replace("S1,2,web,home,2025-11-14T10:00Z", "S1,2,web,home,2025-11-14T10:00"),
            "orders.csv:3: captured_at '2025-11-14T10:00' has no zone, row 2 has one; write all of them alike",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_row_and_a_remedy(  # RP-01
    tmp_path: Path, table: str, text: str | bytes, said: str
) -> None:
    assert message(put(tmp_path, **{table: text})) == said


@pytest.mark.parametrize(
    ("instant", "said"),
    [
        ("2026-03-29 02:30", "does not exist in Europe/Berlin"),
        ("2025-10-26 02:30", "comes twice in Europe/Berlin"),
    ],
)
def test_local_times_that_are_none_or_two_instants_are_refused(tmp_path: Path, instant: str, said: str) -> None:
    put(tmp_path, stock=STOCK.replace("2025-11-17T06:00Z", instant))
    assert message(tmp_path, "Europe/Berlin") == f"stock.csv:2: as_of '{instant}' {said}; write its offset from UTC"


def test_a_folder_that_is_none_and_options_that_name_nothing_are_refused(tmp_path: Path) -> None:
    assert message(tmp_path / "gone") == "there is no such folder; check the path of the opening"
    assert message(tmp_path) == "has no stock.csv; an opening has at least that; here are: no files"
    put(tmp_path)
    assert message(tmp_path / "stock.csv") == "is a file, not a folder; name the folder that holds stock.csv"
    assert message(tmp_path, "Mars/Base") == "timezone: 'Mars/Base' is none; name one such as Europe/London or UTC"
    tables = "stock, orders, purchase_orders, shipments"
    assert message(tmp_path, columns={"order": {}}) == f"columns: no table is called 'order'; tables are {tables}"
    fields = "warehouse, item, quantity, as_of, status, reserved"
    assert message(tmp_path, columns={"stock": {"sku": "x"}}) == (
        f"columns.stock: there is no field 'sku'; fields are {fields}"
    )
    found = "columns found: warehouse, item, status, quantity, reserved, as_of"
    assert message(tmp_path, columns={"stock": {"item": "Artikel"}}) == (
        f"stock.csv:1: no column 'Artikel', which `columns.stock` names for 'item'; {found}"
    )


@pytest.mark.parametrize("name", ["Orders.csv", "order.csv", "orders.csv.gz", "orders.txt", "purchase-orders.csv"])
def test_a_table_under_nearly_its_name_is_not_taken_for_none(tmp_path: Path, name: str) -> None:  # RP-01
    put(tmp_path)
    (tmp_path / name).write_text(ORDERS)
    meant = "purchase_orders" if name.startswith("purchase") else "orders"
    assert message(tmp_path) == (
        f"{name}: is not read, and there is no {meant}.csv; make it {meant}.csv, as plain CSV; or take it out of the "
        "folder if it is something else"
    )


def test_what_else_lies_in_the_folder_is_left_alone(tmp_path: Path) -> None:  # RP-01
    put(tmp_path, orders=ORDERS)
    for name in ("README.md", "customers.csv", "orders.csv.bak", "order.xlsx"):
        (tmp_path / name).write_text("anything")
    assert len(read(tmp_path).orders) == 1
