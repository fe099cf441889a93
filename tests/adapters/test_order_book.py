"""What becomes of each line of an order book."""

from __future__ import annotations

import csv
import gzip
import io
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.order_book import load
from tests.adapters.order_book_samples import (
    REAL,
    documented_mapping,
    line,
    needs_real_book,
    text_of,
    write,
)
from twin.order_book import OrderBook, Unaccounted, check_accounts


def read(folder: Path, *rows: list[str], **changes: object) -> OrderBook:
    return load(write(folder, *rows), documented_mapping() | changes)


def counts(book: OrderBook) -> dict[str, tuple[int, int]]:
    return {count.rule: (count.lines, count.units) for count in book.counts if count.lines}


def test_an_order_keeps_its_lines_in_file_order_with_their_rows(tmp_path: Path) -> None:
    book = read(tmp_path, line("1", "A1", 6, "2.95"), line("1", "B2", 2, "0.85"), line("1", "A1", 1, "2.95"))
    (order,) = book.orders
    assert [(x.line, x.sku, x.quantity, x.price_minor, x.row) for x in order.lines] == [
        (1, "A1", 6, 295, 2),
        (2, "B2", 2, 85, 3),
        (3, "A1", 1, 295, 4),
    ]
    assert order.customer == "17850"
    assert order.channel == "inside_sales"
    assert counts(book) == {"order_line": (3, 9)}


def test_orders_are_sorted_by_time_then_id(tmp_path: Path) -> None:
    late, early = "2010-03-02 09:00:00", "2010-03-01 09:00:00"
    book = read(tmp_path, line("7", at=late), line("9", at=early), line("8", at=early))
    assert [order.order for order in book.orders] == ["8", "9", "7"]


@pytest.mark.parametrize(
    ("local", "instant"),
    [
        ("2010-03-01 08:38:00", datetime(2010, 3, 1, 8, 38, tzinfo=UTC)),
        ("2010-04-01 08:38:00", datetime(2010, 4, 1, 7, 38, tzinfo=UTC)),
        ("2010-04-01T08:38:00+00:00", datetime(2010, 4, 1, 8, 38, tzinfo=UTC)),
        ("2010-10-31 01:30:00", datetime(2010, 10, 31, 0, 30, tzinfo=UTC)),
    ],
)
def test_a_stamp_is_local_to_the_mappings_zone_unless_it_says_otherwise(
    tmp_path: Path, local: str, instant: datetime
) -> None:
    (order,) = read(tmp_path, line("1", at=local)).orders
    assert order.at_ms == int(instant.timestamp()) * 1000


def test_another_stamp_format_is_named_by_the_mapping(tmp_path: Path) -> None:
    at = {"column": "InvoiceDate", "format": "%d/%m/%Y %H:%M"}
    (order,) = read(tmp_path, line("1", at="02/03/2010 08:38"), at=at).orders
    assert order.at_ms == int(datetime(2010, 3, 2, 8, 38, tzinfo=UTC).timestamp()) * 1000


def test_a_line_without_customer_is_accepted_for_a_guest_of_its_own(tmp_path: Path) -> None:
    book = read(tmp_path, line("1", customer=""), line("2", customer=""))
    assert [order.customer for order in book.orders] == ["guest/1", "guest/2"]
    assert [order.channel for order in book.orders] == ["web", "web"]
    assert counts(book) == {"missing_customer": (2, 12)}


def test_channels_follow_the_first_rule_that_fits(tmp_path: Path) -> None:
    rows = [line("1"), line("2", country="France"), line("3", country="France", customer="")]
    book = read(tmp_path, *rows)
    assert [order.channel for order in book.orders] == ["inside_sales", "marketplace", "web"]


def test_regions_follow_the_country_and_a_customer_keeps_theirs(tmp_path: Path) -> None:
    rows = [line(f"{n}", customer=f"{n % 40}", at=f"2010-03-01 08:{n % 60:02d}:00") for n in range(200)]
    book = read(tmp_path, *rows, line("F", country="France"), line("J", country="Japan"))
    by_customer: dict[str, set[str]] = {}
    for order in book.orders:
        if order.order.isdigit():
            by_customer.setdefault(order.customer, set()).add(order.region)
    assert all(len(regions) == 1 for regions in by_customer.values())
    spread = Counter(next(iter(regions)) for regions in by_customer.values())
    assert set(spread) == {"uk_north", "uk_midlands", "uk_south"}
    assert {o.order: o.region for o in book.orders if not o.order.isdigit()} == {"F": "eu", "J": "overseas"}


def test_codes_that_are_no_products_are_refused_by_the_rule_that_names_them(tmp_path: Path) -> None:
    rows = [line("1", code) for code in ("POST", "m", "gift_0001_10", "TEST001", "BANK CHARGES")]
    book = read(tmp_path, *rows, line("1", "PADS"), line("1", "DCGS0058"))
    assert counts(book) == {
        "order_line": (2, 12),
        "postage": (1, 6),
        "manual": (1, 6),
        "voucher": (1, 6),
        "test": (1, 6),
        "bank_charges": (1, 6),
    }
    assert [x.sku for x in book.orders[0].lines] == ["PADS", "DCGS0058"]


def test_an_order_of_nothing_but_postage_is_no_order(tmp_path: Path) -> None:
    book = read(tmp_path, line("1", "POST"), line("2"))
    assert [order.order for order in book.orders] == ["2"]


def test_capitals_do_not_make_another_item_where_the_mapping_says_so(tmp_path: Path) -> None:
    rows = [line("1", "85232b"), line("1", "85232B")]
    assert [item.sku for item in read(tmp_path, *rows).items] == ["85232B"]
    assert [item.sku for item in read(tmp_path, *rows, sku_case="keep").items] == ["85232B", "85232b"]


def test_a_credit_goes_against_the_latest_earlier_purchases_first(tmp_path: Path) -> None:
    book = read(
        tmp_path,
        line("1", quantity=4, at="2010-03-01 09:00:00"),
        line("2", quantity=3, at="2010-03-02 09:00:00"),
        line("C3", quantity=-5, at="2010-03-03 09:00:00"),
        line("4", quantity=9, at="2010-03-04 09:00:00"),
    )
    assert [(c.order, c.order_line, c.quantity, c.line) for c in book.credits] == [("2", 1, 3, 1), ("1", 1, 2, 1)]
    assert counts(book)["credit_matched"] == (1, -5)


def test_the_latest_purchase_is_so_by_time_and_not_by_place_in_the_file(tmp_path: Path) -> None:
    late, early = line("2", at="2010-03-02 09:00:00"), line("1", at="2010-03-01 09:00:00")
    book = read(tmp_path, late, early, line("C3", quantity=-1, at="2010-03-03 09:00:00"))
    assert [credit.order for credit in book.credits] == ["2"]


def test_no_unit_is_given_back_twice(tmp_path: Path) -> None:
    book = read(
        tmp_path,
        line("1", quantity=4, at="2010-03-01 09:00:00"),
        line("C2", quantity=-3, at="2010-03-02 09:00:00"),
        line("C3", quantity=-3, at="2010-03-03 09:00:00"),
        line("C4", quantity=-3, at="2010-03-04 09:00:00"),
    )
    assert [(c.credit, c.order, c.quantity) for c in book.credits] == [
        ("C2", "1", 3),
        ("C3", "1", 1),
        ("C3", "", 2),
        ("C4", "", 3),
    ]
    found = counts(book)
    assert found["credit_matched"] == (1, -3)
    assert found["credit_partly_matched"] == (1, -3)
    assert found["credit_unmatched"] == (1, -3)


@pytest.mark.parametrize(
    "credit",
    [
        line("C2", quantity=-1, customer="99", at="2010-03-02 09:00:00"),
        line("C2", "OTHER", quantity=-1, at="2010-03-02 09:00:00"),
        line("C2", quantity=-1, customer="", at="2010-03-02 09:00:00"),
        line("C2", quantity=-1, at="2010-02-28 09:00:00"),
    ],
    ids=["another customer", "another item", "no customer", "before the purchase"],
)
def test_a_credit_without_its_purchase_is_listed_as_unmatched(tmp_path: Path, credit: list[str]) -> None:
    book = read(tmp_path, line("1", at="2010-03-01 09:00:00"), credit)
    assert [(c.order, c.order_line, c.quantity) for c in book.credits] == [("", 0, 1)]
    assert counts(book)["credit_unmatched"] == (1, -1)


def test_at_equal_times_the_file_says_which_came_first(tmp_path: Path) -> None:
    assert read(tmp_path, line("1"), line("C2", quantity=-1)).credits[0].order == "1"
    assert read(tmp_path, line("C2", quantity=-1), line("1")).credits[0].order == ""


def test_negative_lines_that_are_no_credit_go_to_stock(tmp_path: Path) -> None:
    book = read(
        tmp_path, line("1", "A", -355, "0.0", "", description="damages"), line("2", "BB", -1, "0.0", "", description="")
    )
    assert [(a.sku, a.quantity, a.reason) for a in book.adjustments] == [("A", -355, "damages"), ("BB", -1, "blank")]
    assert counts(book) == {"stock_adjustment": (2, -356)}
    assert book.orders == ()


def test_a_free_line_for_nobody_goes_to_stock_alone_and_leaves_the_house_among_others(tmp_path: Path) -> None:
    alone = line("1", "A", 36, "0.0", "", description="found")
    among = [line("2", "A", 3, "0.0", ""), line("2", "BB", 1, "4.25", "")]
    book = read(tmp_path, alone, *among)
    assert [(a.sku, a.quantity) for a in book.adjustments] == [("A", 36)]
    assert [(x.sku, x.price_minor) for x in book.orders[0].lines] == [("A", 0), ("BB", 425)]
    assert counts(book) == {"stock_adjustment": (1, 36), "free_of_charge": (1, 3), "missing_customer": (1, 1)}


def test_a_free_line_for_a_customer_is_accepted_at_price_zero(tmp_path: Path) -> None:
    book = read(tmp_path, line("1", price="0.0"), line("2", price="0.001"))
    assert counts(book) == {"free_of_charge": (2, 12)}
    assert {remark.remark: remark.count for remark in book.remarks}["prices rounded to the minor unit"] == 1


def test_lines_with_an_odd_sign_are_refused_each_by_name(tmp_path: Path) -> None:
    book = read(
        tmp_path, line("1", quantity=0), line("1", "BB", price="-1.50"), line("C2", quantity=2), line("1", "DD")
    )
    assert counts(book) == {
        "order_line": (1, 6),
        "positive_credit": (1, 2),
        "zero_quantity": (1, 0),
        "negative_price": (1, 6),
    }


def test_an_order_with_two_close_stamps_keeps_the_earlier(tmp_path: Path) -> None:
    book = read(tmp_path, line("1", at="2010-03-01 09:01:00"), line("1", "BB", at="2010-03-01 09:00:00"))
    (order,) = book.orders
    assert order.at_ms == int(datetime(2010, 3, 1, 9, tzinfo=UTC).timestamp()) * 1000
    assert book.remarks[0].count == 1


def test_orders_may_interleave_at_one_time(tmp_path: Path) -> None:
    book = read(tmp_path, line("1", "A"), line("2", "BB", customer="5"), line("1", "C"))
    assert [(o.order, len(o.lines)) for o in book.orders] == [("1", 2), ("2", 1)]


def test_a_file_sorted_by_item_is_read_when_the_mapping_says_so(tmp_path: Path) -> None:
    rows = [line("1", "A"), line("2", "A", at="2010-03-05 09:00:00"), line("1", "BB")]
    book = read(tmp_path, *rows, order_lines="anywhere")
    assert [(o.order, len(o.lines)) for o in book.orders] == [("1", 2), ("2", 1)]


def test_an_item_has_its_most_frequent_description_and_price(tmp_path: Path) -> None:
    rows = [
        line("1", description="", price="1.00"),
        line("1", description="CAKE STAND", price="2.00"),
        line("1", description="CAKE STAND", price="2.00"),
        line("1", description="cake", price="3.00"),
        line("2", "FOUND", 5, "0", "", description="found"),
    ]
    items = read(tmp_path, *rows).items
    assert [(i.sku, i.description, i.price_minor) for i in items] == [("22423", "CAKE STAND", 200), ("FOUND", "", 0)]


def as_parquet(text: str, path: Path, types: dict[str, Callable[[str], Any]]) -> Path:
    rows = list(csv.DictReader(io.StringIO(text)))
    columns = {name: [types.get(name, str)(row[name]) for row in rows] for name in rows[0]}
    pq.write_table(pa.table(columns), path)
    return path


def test_csv_gzip_and_parquet_of_any_column_type_give_the_same_book(tmp_path: Path) -> None:
    text = text_of(line("1", quantity=5, price="0.29"), line("2", customer=""), line("C3", quantity=-2))
    plain = write(tmp_path)
    plain.write_text(text, encoding="utf-8")
    zipped = tmp_path / "book.csv.gz"
    zipped.write_bytes(gzip.compress(text.encode()))
    marked = tmp_path / "marked.csv"
    marked.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    texts = as_parquet(text, tmp_path / "texts.parquet", {})
    typed = as_parquet(
        text,
        tmp_path / "typed.parquet",
        {
            "Quantity": int,
            "Price": float,
            "InvoiceDate": datetime.fromisoformat,
            "Customer ID": lambda cell: float(cell) if cell else None,
        },
    )
    exact = as_parquet(text, tmp_path / "exact.parquet", {"Price": Decimal, "Quantity": float})

    def without_source(path: Path) -> list[object]:
        book = load(path, documented_mapping())
        return [book.counts, book.items, book.orders, book.credits]

    expected = without_source(plain)
    assert without_source(zipped) == without_source(marked) == expected

    # Parquet has no header line, so its rows count from 1.
    book = load(texts, documented_mapping())
    assert [o.lines[0].row for o in book.orders] == [1, 2]
    assert without_source(typed) == without_source(exact) == without_source(texts)
    assert book.counts == expected[0]
    assert book.orders[0].lines[0].price_minor == 29


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    path = write(tmp_path, *[line(str(n)) for n in range(25_000)])
    seen: list[tuple[int, int]] = []
    load(path, documented_mapping(), lambda done, total: seen.append((done, total)))
    assert len(seen) >= 3
    assert seen == sorted(seen)
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)


def test_a_book_that_lost_a_line_is_caught(tmp_path: Path) -> None:
    book = read(tmp_path, line("1"), line("1", "BB"), line("C2", quantity=-1))
    check_accounts(book)
    short = msgspec.structs.replace(book.orders[0], lines=book.orders[0].lines[:1])
    for broken in (
        msgspec.structs.replace(book, read_lines=book.read_lines + 1),
        msgspec.structs.replace(book, orders=(short,)),
        msgspec.structs.replace(book, credits=()),
    ):
        with pytest.raises(Unaccounted):
            check_accounts(broken)


_rows = st.lists(
    st.builds(
        lambda order, cancel, sku, quantity, price, minute: [
            f"{'C' if cancel else ''}{order}",
            sku,
            "",
            str(quantity),
            f"2010-03-{1 + order:02d} 09:0{minute}:00",
            price,
            "" if order == 0 else str(order % 2),
            "France",
        ],
        order=st.integers(0, 5),
        cancel=st.booleans(),
        sku=st.sampled_from(["A", "BB", "POST"]),
        quantity=st.integers(-4, 9),
        price=st.sampled_from(["0", "1.25", "-1"]),
        minute=st.integers(0, 3),
    ),
    min_size=1,
    max_size=30,
)


@given(rows=_rows)
def test_units_of_each_item_are_conserved_whatever_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    rows.sort(key=lambda row: row[4])  # interleaving is judged by the clock
    book = load(write(tmp_path_factory.mktemp("book"), *rows), documented_mapping())
    audit: Counter[str] = Counter()
    for order in book.orders:
        for x in order.lines:
            audit[x.sku] += x.quantity
    for credit in book.credits:
        audit[credit.sku] -= credit.quantity
    for adjustment in book.adjustments:
        audit[adjustment.sku] += adjustment.quantity
    refused = sum(count.units for count in book.counts if count.treatment == "refused")
    assert sum(audit.values()) + refused == sum(int(row[3]) for row in rows)
    bought = {(o.order, x.line): (o, x) for o in book.orders for x in o.lines}
    given_back: Counter[tuple[str, int]] = Counter()
    for credit in book.credits:
        if credit.order:
            order, x = bought[credit.order, credit.order_line]
            assert (order.customer, x.sku) == (credit.customer, credit.sku)
            assert order.at_ms <= credit.at_ms
            given_back[credit.order, credit.order_line] += credit.quantity
    assert all(units <= bought[key][1].quantity for key, units in given_back.items())


@needs_real_book
def test_every_line_of_the_real_book_is_accounted_for() -> None:
    started = time.process_time()
    book = load(REAL, documented_mapping())
    seconds = time.process_time() - started
    assert counts(book) == {
        "order_line": (59285, 854067),
        "missing_customer": (13918, 39851),
        "free_of_charge": (64, 5108),
        "credit_matched": (926, -8084),
        "credit_partly_matched": (3, -41),
        "credit_unmatched": (413, -2147),
        "stock_adjustment": (402, -48391),
        "bad_debt_adjustment": (1, 1),
        "bank_charges": (18, -22),
        "carriage": (16, 14),
        "discount": (9, -35),
        "manual": (219, 512),
        "postage": (264, 510),
        "sample": (20, -18),
        "test": (1, 5),
        "voucher": (9, 11),
    }
    assert (book.read_lines, book.read_units) == (75568, 841341)
    assert (len(book.orders), len(book.adjustments), len(book.items)) == (3084, 402, 3081)
    assert seconds < 5, "reading 75 thousand lines takes about 1 s of processor time"


@needs_real_book
def test_the_real_book_is_the_same_under_any_hash_seed(fresh_python: Callable[..., str]) -> None:
    program = (
        "import hashlib, msgspec, sys; from pathlib import Path\n"
        "from adapters.order_book import load\n"
        "from tests.adapters.order_book_samples import documented_mapping\n"
        "book = load(Path(sys.argv[1]), documented_mapping())\n"
        "print(hashlib.blake2b(msgspec.msgpack.encode(book)).hexdigest())"
    )
    assert fresh_python(program, str(REAL), hash_seed=1) == fresh_python(program, str(REAL), hash_seed=2)
