"""Books and mappings that cannot be used: one message each, with place, problem and remedy."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.order_book import load
from tests.adapters.order_book_samples import HEADER, REAL, documented_mapping, line, needs_real_book, text_of, write
from twin.order_book import OrderBookError


def message(path: Path, **changes: object) -> str:
    """The message of loading `path`, with the folder cut off."""
    with pytest.raises(OrderBookError) as caught:
        load(path, documented_mapping() | changes)
    return str(caught.value).replace(f"{path.parent}/", "")


def put(folder: Path, content: str | bytes, name: str = "book.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_missing_column_is_named_with_those_found(tmp_path: Path) -> None:
    path = put(tmp_path, text_of(line("1")).replace("Quantity", "Quantty"))
    assert message(path) == (
        "book.csv:1: no column 'Quantity', which the mapping names as 'quantity'; columns found: Invoice, "
        "StockCode, Description, Quantty, InvoiceDate, Price, Customer ID, Country (did you mean 'Quantty'?)"
    )


def test_a_wrong_delimiter_is_guessed(tmp_path: Path) -> None:
    path = put(tmp_path, text_of(line("1")).replace(",", ";"))
    assert message(path).endswith("; the lines seem to be split by ';': set `delimiter`")
    assert load(path, documented_mapping() | {"delimiter": ";"}).read_lines == 1


def test_a_column_that_appears_twice_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, text_of(line("1")).replace("Country", "Price"))
    assert message(path, country=None) == (
        "book.csv:1: column 'Price' appears 2 times; rename the column that is not meant"
    )


def test_a_cut_gzip_says_where_it_ends(tmp_path: Path) -> None:
    text = text_of(*[line(f"{n}", f"SKU{n * 7919 % 1000}") for n in range(2000)])
    whole = gzip.compress(text.encode())
    for cut in (len(whole) // 2, len(whole) - 4):
        path = put(tmp_path, whole[:cut], "book.csv.gz")
        text = message(path)
        assert text.startswith("book.csv.gz:")
        assert text.endswith(": the gzip stream ends here, cut off; fetch or compress the file again")


def test_a_damaged_gzip_is_refused(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(text_of(*[line(f"{n}") for n in range(500)]).encode()))
    whole[len(whole) - 6] ^= 0xFF
    assert "the gzip stream is damaged" in message(put(tmp_path, bytes(whole), "book.csv.gz"))


def test_a_plain_file_named_gz_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, text_of(line("1")), "book.csv.gz")
    assert message(path) == "book.csv.gz: is named .gz but is not gzipped; name it .csv or compress it"


def test_a_line_in_another_encoding_is_named(tmp_path: Path) -> None:
    good, bad = line("1", description="CAFÉ"), line("1", description="£5 VOUCHER")
    rows = [text_of(good).encode(), text_of(bad).split("\n")[1].encode("cp1252") + b"\n"]
    path = put(tmp_path, b"".join(rows))
    assert message(path) == (
        "book.csv:3: byte 9 of the line, 0xa3, is not UTF-8; in cp1252 it would be '£': save the whole file as "
        "UTF-8, or set `encoding: cp1252` if every line is in it"
    )


def test_a_utf_16_file_is_told_apart(tmp_path: Path) -> None:
    path = put(tmp_path, text_of(line("1")).encode("utf-16"))
    assert message(path) == "book.csv:1: is UTF-16; save the file as UTF-8"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            line("1", at="2010-02-30 08:00:00"),
            "time '2010-02-30 08:00:00' is no date; expected ISO 8601, such as 2010-03-01 08:38:00; "
            "else set `at.format` in the mapping",
        ),
        (
            line("1", at=""),
            "time (blank) is no date; expected ISO 8601, such as 2010-03-01 08:38:00; "
            "else set `at.format` in the mapping",
        ),
        (
            line("1", at="2010-03-28 01:30:00"),
            "time '2010-03-28 01:30:00' does not exist in Europe/London: clocks go forward over it; "
            "check `at.timezone` in the mapping",
        ),
        (line("1", quantity="1.5"), "quantity '1.5' is no whole number; write base units, such as 12"),
        (line("1", quantity="1_000"), "quantity '1_000' is no whole number; write base units, such as 12"),
        (line("1", quantity=""), "quantity (blank) is no whole number; write base units, such as 12"),
        (line("1", price="free"), "price 'free' is no number; write major units, such as 2.95"),
        (line("1", price="NaN"), "price 'NaN' is no number; write major units, such as 2.95"),
        (
            line("1", price="2,95"),
            "price '2,95' is no number; write major units, such as 2.95, with a decimal point and no other mark",
        ),
        (line("1", price="1e99"), "price '1e99' is out of range; write major units"),
        (line("  "), "order is blank in column 'Invoice'; every line needs one"),
        (line("1", sku=""), "sku is blank in column 'StockCode'; every line needs one"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named_with_its_line(tmp_path: Path, row: list[str], expected: str) -> None:
    assert message(write(tmp_path, line("0"), row)) == f"book.csv:3: {expected}"


def test_the_line_counted_is_that_of_the_file_even_after_a_line_break_in_quotes(tmp_path: Path) -> None:
    path = write(tmp_path, line("0", description="two\nlines"), line("1", quantity="x"))
    assert message(path).startswith("book.csv:4: quantity 'x'")


def test_a_line_with_fields_missing_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, text_of(line("1")) + "2,22423,CAKE")
    assert message(path) == (
        "book.csv:3: has 3 fields, the header has 8; "
        "quote fields that hold the delimiter, and check that the file is whole"
    )


def test_a_quote_that_is_never_closed_is_refused_where_it_opens(tmp_path: Path) -> None:
    path = put(tmp_path, text_of(line("1")) + '2,22423,"CAKE,1,2010-03-01 08:00:00,1,1,France\n' * 3)
    assert message(path).startswith("book.csv:3: is no CSV record (")


_DUPLICATE = (
    "; give each order its own id, or remove the second one "
    "(`same_order_within` and `order_lines` in the mapping say what counts as one order)"
)


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (line("1", customer="99"), "for customer '99' here and '17850' there"),
        (line("1", customer=""), "for customer '(none)' here and '17850' there"),
        (line("1", country="France"), "for country 'France' here and 'United Kingdom' there"),
        (line("1", at="2010-03-01 08:44:00"), "stamped 360 s apart"),
        (line("1"), "after lines of another time, so it was written twice"),
    ],
)
def test_a_duplicate_order_id_names_both_lines(tmp_path: Path, second: list[str], why: str) -> None:
    path = write(tmp_path, line("1"), line("2", at="2010-03-02 09:00:00"), second)
    assert message(path) == f"book.csv:4: duplicate order id '1', first on line 2: {why}{_DUPLICATE}"


@needs_real_book
def test_an_order_appended_to_the_real_book_once_more_is_a_duplicate(tmp_path: Path) -> None:
    text = gzip.decompress(REAL.read_bytes()).decode()
    path = put(tmp_path, text + "".join(f"{row}\n" for row in text.splitlines()[1:4]))
    assert "duplicate order id '499510', first on line 2: " in message(path)


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        ("", "book.csv", "book.csv: is empty; export the book again, with a header and its lines"),
        (
            # Without the time of its making: it is part of the test's name.
            gzip.compress(b"", mtime=0),
            "book.csv.gz",
            "book.csv.gz:1: there is no header; the first line must name the columns",
        ),
        ("\n", "book.csv", "book.csv:1: there is no header; the first line must name the columns"),
        (HEADER, "book.csv", "book.csv: has a header and no line; export the book again, with its lines"),
        (
            "order,quantity\n",
            "book.parquet",
            "book.parquet: is named as Parquet but is none; name it .csv, or write it as Parquet again",
        ),
        ("", "book.parquet", "book.parquet: is empty; export the book again, with a header and its lines"),
        ("PAR1", "b.parquet", "b.parquet: is no readable Parquet file ("),
    ],
)
def test_a_file_without_a_book_is_refused(tmp_path: Path, content: str | bytes, name: str, expected: str) -> None:
    assert message(put(tmp_path, content, name)).startswith(expected)


def test_a_cut_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "book.parquet"
    pq.write_table(pa.table({"Invoice": ["1"] * 1000}), path)
    put(tmp_path, path.read_bytes()[:-30], "book.parquet")
    assert message(path) == "book.parquet: is cut off: the Parquet footer is missing; fetch it again"


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, b"PAR1" + bytes(100) + b"PAR1", "book.parquet")
    assert message(path).startswith("book.parquet: is no readable Parquet file (")


def test_a_parquet_column_of_lists_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "book.parquet"
    columns: dict[str, Any] = {name: ["1"] for name in HEADER.split(",")}
    pq.write_table(pa.table(columns | {"Price": [["1"]]}), path)
    assert "column 'Price' holds list" in message(path)


def test_a_parquet_file_without_a_column_lists_those_found(tmp_path: Path) -> None:
    path = tmp_path / "book.parquet"
    pq.write_table(pa.table({"invoice": ["1"]}), path)
    assert message(path) == (
        "book.parquet: no column 'Invoice', which the mapping names as 'order'; columns found: invoice "
        "(did you mean 'invoice'?)"
    )


def test_a_folder_and_an_absent_file_are_refused(tmp_path: Path) -> None:
    assert message(tmp_path).endswith("is a folder, not a file; name one CSV or Parquet file inside it")
    absent = tmp_path / "none.csv"
    assert message(absent) == "none.csv: there is no such file; check the path of the book"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"quantty": "Q"}, "mapping.quantty: unknown key; keys here: at, cancel_prefix, "),
        ({"at": {"column": "InvoiceDate", "zone": "UTC"}}, "mapping.at.zone: unknown key; keys here: column, "),
        (
            {"at": {"column": "InvoiceDate", "timezone": "Europe/Londn"}},
            "mapping.at: timezone 'Europe/Londn' is unknown; write an IANA name such as Europe/London",
        ),
        ({"currency_exponent": 9}, "mapping.currency_exponent: 9 is not usable; "),
        ({"same_order_within": 5}, "mapping.same_order_within: 5 has no unit; write 30s, 5m, 2h or 1d"),
        ({"same_order_within": "5min"}, "mapping.same_order_within: '5min' is no duration; write 30s, "),
        (
            {"channels": [{"channel": "web", "customer": "missing"}]},
            "mapping: channels: the last rule has a condition; end with one that has only `channel`",
        ),
        ({"regions": {"France": "eu"}}, "mapping: regions: no `default`; add the region of countries"),
        ({"regions": {"France": {"split": {"eu": 0}}, "default": "x"}}, "mapping.regions.France.split.eu: 0 is"),
        ({"non_products": {"POST": "order_line"}}, "mapping: non_products.POST: 'order_line' is a rule of the "),
        ({"encoding": "latin-99"}, "mapping: encoding: 'latin-99' is unknown; write utf-8 or cp1252"),
    ],
)
def test_a_wrong_mapping_names_its_key(tmp_path: Path, changes: dict[str, object], expected: str) -> None:
    assert message(write(tmp_path, line("1")), **changes).startswith(expected)


def test_a_misspelled_key_is_guessed_and_a_missing_one_named(tmp_path: Path) -> None:
    path = write(tmp_path, line("1"))
    mapping = documented_mapping()
    mapping["quantitty"] = mapping.pop("quantity")
    with pytest.raises(OrderBookError, match=r"mapping\.quantitty: unknown key; .*did you mean 'quantity'\?"):
        load(path, mapping)
    del mapping["quantitty"]
    with pytest.raises(OrderBookError, match=r"mapping\.quantity: key is missing; state it"):
        load(path, mapping)


def test_an_error_survives_a_process_pool() -> None:
    error = OrderBookError("book.csv:3", "is wrong", "mend it")
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == "book.csv:3: is wrong; mend it"
