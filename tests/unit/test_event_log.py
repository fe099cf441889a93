"""Logs of foreign businesses: read by a mapping, profiled, measured as far as they go, and refused by name."""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from adapters.event_log import load, reading
from adapters.event_log.mapping import SHIPPED
from twin.cli import main
from twin.cli.profiling import GROUP
from twin.event_log import ACTIVITIES, COLUMNS, EventLog, EventLogError, arrow_schema
from twin.measures import MEASURES
from twin.measures.needs import DELIVERED_UNITS, NEEDS, SENT_UNITS, UNSEEN
from twin.measures.of_event_log import LOG_MEASURES, LogProfile, profile_log

HOUR = 3_600_000
DAY = 24 * HOUR
SAMPLES = Path(__file__).resolve().parents[3] / "shared/data"
OLIST = SAMPLES / "olist/orders_before_2018-05.csv.gz"
SCMS = SAMPLES / "scms/deliveries_before_2013.csv.gz"
needs_olist = pytest.mark.skipif(not OLIST.exists(), reason="the olist sample is not beside the project")
needs_scms = pytest.mark.skipif(not SCMS.exists(), reason="the scms sample is not beside the project")

HEADER = "id,qty,price,promised,placed,shipped,delivered\n"
MAPPING: dict[str, Any] = {
    "title": "A small log",
    "times": {"zone": "Europe/Berlin"},
    "currency": "EUR",
    "fields": {
        "order": "id",
        "quantity": "qty",
        "value": "price",
        "promised": {"column": "promised", "day": "end"},
    },
    "events": {"order_placed": "placed", "handed_to_carrier": "shipped", "delivered": "delivered"},
    "deliveries": "whole",
}
"""One row a case."""

EVENTS: dict[str, Any] = {
    "title": "A small log",
    "times": {"zone": "UTC"},
    "fields": {"order": "order", "line": "line", "quantity": "qty", "value": "value", "requested": "requested"},
    "activity": {
        "column": "what",
        "time": {"column": "at", "recorded": "noted"},
        "names": {"new": "order_placed", "out": "handed_to_carrier", "there": "delivered", "off": "cancelled"},
        "ignore": ["viewed"],
    },
}
"""One row an event."""


def row(order: object, **cells: str) -> str:
    """A line of the small log: placed on the 1st, shipped on the 2nd, delivered on the 4th, by the day promised."""
    held = {
        "qty": "2",
        "price": "9.99",
        "promised": "2024-03-04",
        "placed": "2024-03-01 10:00:00",
        "shipped": "2024-03-02 10:00:00",
        "delivered": "2024-03-04 09:30:00",
    } | cells
    return ",".join([str(order), *held.values()]) + "\n"


def put(folder: Path, content: str | bytes, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path: Path, **changes: Any) -> EventLog:
    return load([path], MAPPING | changes)


def refusal(path: Path, **changes: Any) -> EventLogError:
    with pytest.raises(EventLogError) as caught:
        read(path, **changes)
    return caught.value


def message(path: Path, **changes: Any) -> str:
    """The message of reading `path`, with the folder cut off."""
    return str(refusal(path, **changes)).replace(f"{path.parent}/", "")


def of_events(folder: Path, *lines: str, **changes: Any) -> EventLog:
    text = "order,line,what,at,noted,qty,value,requested\n" + "".join(f"{line}\n" for line in lines)
    return load([put(folder, text)], EVENTS | changes)


def value(profile: LogProfile, name: str) -> Fraction | int | None:
    return profile.measures[name].value


def test_a_row_a_case_becomes_an_event_for_each_time_that_is_filled(tmp_path: Path) -> None:  # RP-02
    log = read(put(tmp_path, HEADER + row("a") + row("b", delivered="")))
    assert log.table.schema == arrow_schema()
    assert log.table["activity"].to_pylist() == [*MAPPING["events"], "order_placed", "handed_to_carrier"]
    first = log.table.to_pylist()[0]
    # 10:00 in Berlin in March is 9:00 UTC; the promised day ends at its midnight there.
    assert first["event_ms"] == 1_709_283_600_000
    assert first["promised_ms"] == 1_709_593_200_000 - 1
    assert (first["value_minor"], first["quantity"], first["record_ms"], first["row"]) == (999, 2, None, 1)


def test_a_row_an_event_keeps_event_time_and_record_time_apart(tmp_path: Path) -> None:  # OB-06
    log = of_events(
        tmp_path,
        "1,1,new,2024-01-01T08:00Z,2024-01-01T08:05Z,5,10.00,2024-01-04",
        "1,1,viewed,2024-01-01T09:00Z,,5,10.00,",
        "1,1,there,2024-01-03T08:00:00+02:00,2024-01-03T09:00Z,5,10.00,2024-01-04",
    )
    assert log.table["activity"].to_pylist() == ["order_placed", "delivered"]
    assert log.table["event_ms"].to_pylist() == [1_704_096_000_000, 1_704_261_600_000]
    assert log.table["record_ms"].to_pylist() == [1_704_096_300_000, 1_704_272_400_000]
    assert value(profile_log(log), "record_lag") == 3 * HOUR


def test_rows_keep_their_order_and_their_times_over_many_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_BLOCK", 1 << 14)
    lines = []
    for order in range(4_000):
        for step, name in enumerate(("new", "out", "there", "off", "viewed")):
            lines.append(f"{order},1,{name},2024-01-{1 + order % 28:02d}T{10 + step}:{order % 60:02d}Z,,1,1,")
    log = of_events(tmp_path, *lines)
    rows = log.table.to_pylist()
    assert len(rows) == 16_000
    assert all(one["row"] < other["row"] for one, other in pairwise(rows))
    for one in rows:
        order, step = divmod(one["row"] - 1, 5)
        assert one["order"] == str(order)
        start = 1_704_067_200_000 + (order % 28) * DAY
        assert one["event_ms"] == start + (10 + step) * HOUR + (order % 60) * 60_000


def test_the_files_of_one_export_are_joined_by_their_keys(tmp_path: Path) -> None:
    orders = put(
        tmp_path,
        "order_id,customer_id,bought,arrived\no1,c1,2024-01-01 10:00,2024-01-05 10:00\no2,c9,2024-01-02 10:00,\n",
        "orders_dataset.csv",
    )
    items = put(
        tmp_path, "order_id,item,seller_id,price\no1,1,s1,5.00\no1,2,s2,7.50\no2,1,s1,1.00\n", "items_dataset.csv"
    )
    sellers = put(tmp_path, "seller_id,state\ns1,SP\ns2,RJ\n", "sellers_dataset.csv")
    customers = put(tmp_path, "customer_id,state\nc1,MG\n", "customers_dataset.csv")
    mapping = {
        "title": "An export of four files",
        "times": {"zone": "America/Sao_Paulo"},
        "files": {
            "orders": {"file": "orders_*"},
            "items": {"file": "items_*", "join": {"order_id": "orders.order_id"}, "many": True},
            "sellers": {"file": "sellers_*", "join": {"seller_id": "items.seller_id"}},
            "customers": {"file": "customers_*", "join": {"customer_id": "orders.customer_id"}},
        },
        "fields": {
            "order": "order_id",
            "line": "items.item",
            "value": "items.price",
            "supplier": "items.seller_id",
            "origin": "sellers.state",
            "region": "customers.state",
        },
        "events": {"order_placed": "bought", "delivered": "arrived"},
    }
    log = load([customers, items, orders, sellers], mapping)
    held = [(one["case_id"], one["activity"], one["origin"], one["region"]) for one in log.table.to_pylist()]
    assert held == [
        ("o1/1", "order_placed", "SP", "MG"),
        ("o1/1", "delivered", "SP", "MG"),
        ("o1/2", "order_placed", "RJ", "MG"),
        ("o1/2", "delivered", "RJ", "MG"),
        ("o2/1", "order_placed", "SP", None),
    ]
    (lost,) = log.remarks
    assert (lost.remark, lost.count) == (
        "rows of orders_dataset.csv without a partner in customers_dataset.csv",
        1,
    )
    put(tmp_path, "seller_id,state\ns1,SP\ns2,RJ\ns2,RS\n", "sellers_dataset.csv")
    with pytest.raises(EventLogError, match="1 of the rows repeats a key"):
        load([customers, items, orders, sellers], mapping)


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    text = HEADER + row("a") + row("b")
    plain = read(put(tmp_path, text))
    columns = {
        name: [line.split(",")[at] for line in text.splitlines()[1:]]
        for at, name in enumerate(HEADER.strip().split(","))
    }
    table = pa.table(columns)
    table = table.set_column(1, "qty", table["qty"].cast(pa.float64()))
    table = table.set_column(4, "placed", table["placed"].cast(pa.timestamp("ns")))
    pq.write_table(table, tmp_path / "log.parquet")
    assert read(tmp_path / "log.parquet").table == plain.table
    shipped = pa.array([1_709_370_000_000] * 2, pa.timestamp("ms", "Asia/Tokyo"))
    table = table.set_column(5, "shipped", shipped)
    table = table.set_column(1, "qty", pa.array([2.0, float("nan")]))
    pq.write_table(table, tmp_path / "log.parquet")
    again = read(tmp_path / "log.parquet").table
    assert again["event_ms"] == plain.table["event_ms"]
    assert again["quantity"].to_pylist() == [2, 2, 2, None, None, None]
    assert read(put(tmp_path, gzip.compress(text.encode()), "log.csv.gz")).table == plain.table


def test_the_profile_says_what_is_there_for_how_many_cases_and_how_much_value(tmp_path: Path) -> None:  # RP-02
    text = HEADER + row("a", price="30") + row("b", price="10", delivered="") + row("c", price="", promised="")
    coverage = profile_log(read(put(tmp_path, text))).coverage
    assert (coverage.cases, coverage.complete, coverage.open, coverage.value_minor) == (3, 2, 1, 4_000)
    delivered = next(one for one in coverage.activities if one.name == "delivered")
    assert (delivered.of_cases, delivered.of_value) == (Fraction(2, 3), Fraction(3, 4))
    held = {one.name: one for one in coverage.fields}
    assert (held["promised_ms"].of_cases, held["promised_ms"].of_value) == (Fraction(2, 3), Fraction(1))
    assert held["stock_view"].cases == held["candidates"].cases == 0


def test_measures_of_a_log_follow_the_projects_own_definitions(tmp_path: Path) -> None:  # OB-06
    log = of_events(
        tmp_path,
        # whole and on time
        "1,1,new,2024-01-01T00:00Z,,5,10.00,2024-01-04T00:00Z",
        "1,1,out,2024-01-02T00:00Z,,5,10.00,2024-01-04T00:00Z",
        "1,1,there,2024-01-03T00:00Z,,5,10.00,2024-01-04T00:00Z",
        # half of it came: not in full, though in time
        "2,1,new,2024-01-01T00:00Z,,4,10.00,2024-01-04T00:00Z",
        "2,1,there,2024-01-03T00:00Z,,2,10.00,2024-01-04T00:00Z",
        # the rest of it came late
        "3,1,new,2024-01-01T00:00Z,,4,10.00,2024-01-04T00:00Z",
        "3,1,there,2024-01-03T00:00Z,,2,10.00,2024-01-04T00:00Z",
        "3,1,there,2024-01-05T00:00Z,,2,10.00,2024-01-04T00:00Z",
        # given up
        "4,1,new,2024-01-01T00:00Z,,1,10.00,2024-01-04T00:00Z",
        "4,1,off,2024-01-02T00:00Z,,1,10.00,2024-01-04T00:00Z",
        # one line of two given up; the other came
        "5,1,new,2024-01-01T00:00Z,,1,10.00,2024-01-04T00:00Z",
        "5,2,new,2024-01-01T00:00Z,,1,10.00,2024-01-04T00:00Z",
        "5,1,off,2024-01-02T00:00Z,,1,10.00,2024-01-04T00:00Z",
        "5,2,there,2024-01-02T00:00Z,,1,10.00,2024-01-04T00:00Z",
        # not due by the as-of
        "6,1,new,2024-01-05T00:00Z,,1,10.00,2024-01-09T00:00Z",
        as_of="2024-01-06T00:00Z",
    )
    profile = profile_log(log)
    assert value(profile, "otif_to_request") == Fraction(2, 4)
    assert value(profile, "delivered_in_full") == Fraction(3, 4)
    assert value(profile, "orders_withdrawn") == 1
    assert value(profile, "cancel_rate") == Fraction(1, 6)
    assert value(profile, "open_orders") == 2
    assert value(profile, "order_cycle_time") == Fraction(2 + 4 + 1, 3) * DAY
    assert value(profile, "order_cycle_time/p90") == 4 * DAY
    assert value(profile, "transit_time") == DAY
    assert profile.measures["order_cycle_time"].note == "2 have not ended and are not in it"
    assert profile.measures["otif_to_request"].window.startswith("orders whose requested date lies in the log")


def test_lead_times_by_supplier_and_transit_by_lane_and_carrier_are_slices(tmp_path: Path) -> None:
    lines = [f"{n},s{n % 2},N,S,fast,2024-01-01,2024-01-{2 + n % 2:02d},2024-01-05\n" for n in range(12)]
    path = put(tmp_path, "id,seller,from,to,by,a,b,c\n" + "".join(lines))
    fields = {"order": "id", "supplier": "seller", "origin": "from", "region": "to", "carrier": "by"}
    events = {"order_placed": "a", "handed_to_carrier": "b", "delivered": "c"}
    profile = profile_log(read(path, fields=fields, events=events))
    assert value(profile, "supplier_lead_time/supplier=s0") == DAY
    assert value(profile, "supplier_lead_time/supplier=s1") == 2 * DAY
    assert value(profile, "transit_time/lane=N > S") == value(profile, "transit_time/carrier=fast") == 5 * DAY / 2
    assert profile.measures["supplier_lead_time"].note == "from order_placed to handed_to_carrier"


def test_what_was_delivered_of_a_line_is_not_made_up(tmp_path: Path) -> None:  # RP-02
    log = read(put(tmp_path, HEADER + row("a")), deliveries="by_quantity")
    assert log.table["quantity"].to_pylist() == [2, None, None]
    profile = profile_log(log)
    whole = ("otif_to_promise", "delivery_performance_to_commit", "promise_accuracy", "order_cycle_time", "open_orders")
    assert {name: profile.refused[name].missing for name in whole} == dict.fromkeys(whole, ("delivered units",))
    assert profile.refused["order_to_ship"].missing == ("handed-over units",)
    # It came, and whether all of it came nobody can say.
    assert (profile.coverage.complete, profile.coverage.open) == (None, None)
    assert value(profile, "promise_lead_time") > 0


def test_every_measure_of_the_log_is_computed_or_needs_what_no_foreign_log_holds() -> None:  # RP-02
    ours = [name for name, spec in MEASURES.items() if spec.kind == "L"]
    assert [name for name in ours if name not in NEEDS] == []
    unseen = [name for name in NEEDS if any(need in UNSEEN for need in NEEDS[name])]
    assert sorted([*unseen, *LOG_MEASURES]) == sorted(NEEDS)
    assert [name for name in NEEDS if name not in ours and name not in LOG_MEASURES] == []
    # One name is one thing: what both have is counted in one unit.
    assert [name for name, spec in LOG_MEASURES.items() if name in MEASURES and MEASURES[name].unit != spec.unit] == []
    spoken = {*UNSEEN, *ACTIVITIES, *COLUMNS, DELIVERED_UNITS, SENT_UNITS}
    assert [need for needs in NEEDS.values() for need in needs if need not in spoken] == []


BAD_FILES: list[tuple[str, str | bytes, str]] = [
    ("log.csv", HEADER.replace("delivered", "deliverd") + row(1), "no column 'delivered', which the mapping names as"),
    ("log.csv", HEADER.replace(",", ";") + row(1), "the lines seem to be split by ';': set `delimiter`"),
    ("log.csv", "", "is empty"),
    ("log.csv.gz", gzip.compress(b"", mtime=0), "is empty"),
    ("log.csv", HEADER, "holds a header and no row"),
    ("log.csv", bytes(range(256)) * 9, "is binary, not a table"),
    ("log.csv", b"PK\x03\x04rest", "is a zip archive or a workbook"),
    ("log.csv", (HEADER + row("é")).encode("latin-1"), "byte 0xe9 is not UTF-8"),
    ("log.csv", HEADER + row(1) + "1,2\n" + row(2), "; row 2 (2 fields)"),
    ("log.csv.gz", HEADER + row(1), "is named .gz but is not gzipped"),
    ("log.parquet", HEADER + row(1), "is named as Parquet but is none"),
    ("log.csv", HEADER + row(1, delivered=""), "holds no complete case: of 1 cases 1 begin"),
    ("log.csv", HEADER + row(1) + row(1), "3 events repeat others in every respect"),
    ("log.csv", HEADER + row(1, qty="1.5"), "1 of the cells of column 'qty' are no whole numbers"),
    ("log.csv", HEADER + row(1, price="ten"), "1 of the cells of column 'price' are no amounts"),
    ("log.csv", HEADER + row(1, price="1e25"), "1 of the cells of column 'price' are no amounts"),
    ("log.csv", HEADER + row(1) + row(2, shipped="9999-12-31"), "lie before 1900 or after 2199"),
    ("log.csv", HEADER + row(""), "1 of the rows names neither an order nor a purchase order in 'id'"),
]


@pytest.mark.parametrize(("name", "content", "told"), BAD_FILES)
def test_a_file_that_cannot_be_used_is_told_in_one_message(
    tmp_path: Path, name: str, content: str | bytes, told: str
) -> None:
    text = message(put(tmp_path, content, name))
    assert text.startswith(f"{name}:")
    assert told in text
    assert "; " in text


def test_a_cut_archive_says_that_it_is_cut_off(tmp_path: Path) -> None:
    lines = HEADER + "".join(row(n * 7919 % 5000) for n in range(5000))
    whole = gzip.compress(lines.encode())
    for cut in (len(whole) // 2, len(whole) - 4):
        assert "the gzip stream ends here, cut off" in message(put(tmp_path, whole[:cut], "log.csv.gz"))
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "log.parquet")
    held = (tmp_path / "log.parquet").read_bytes()
    assert "is cut off: the Parquet footer is missing" in message(put(tmp_path, held[:-9], "log.parquet"))


def test_a_folder_and_an_absent_file_are_told(tmp_path: Path) -> None:
    assert "is a folder, not a file" in str(refusal(tmp_path))
    assert "there is no such file" in message(tmp_path / "nowhere.csv")


def test_times_without_a_zone_are_refused_where_none_is_stated(tmp_path: Path) -> None:
    found = refusal(put(tmp_path, HEADER + "".join(row(n) for n in range(8))), times={})
    assert found.problem == "8 of the times in column 'placed' have no zone, and the mapping states none"
    assert (found.count, [at for at, _ in found.rows]) == (8, [1, 2, 3, 4, 5])
    zoned = dict.fromkeys(("promised", "placed", "shipped", "delivered"), "2024-03-01T10:00Z")
    assert read(put(tmp_path, HEADER + row(1, **zoned)), times={}).zone == ""


def test_times_in_two_formats_are_counted_and_the_other_format_is_named(tmp_path: Path) -> None:
    other = "".join(row(n, placed="01/03/2024 10:00") for n in range(2, 9))
    text = message(put(tmp_path, HEADER + row(1) + other + row(10)))
    assert "7 of the times in column 'placed' are not ISO 8601" in text
    assert "7 of them fit '%d/%m/%Y %H:%M'" in text
    assert text.endswith("; first rows " + ", ".join(f"{n} ('01/03/2024 10:00')" for n in range(2, 7)))


def test_a_time_that_clocks_skip_is_told_and_one_that_occurs_twice_is_the_first(tmp_path: Path) -> None:
    text = HEADER + row(1, placed="2023-03-26 02:30:00") + row(2, placed="2023-10-29 02:30:00")
    log = read(put(tmp_path, text))
    (skipped,) = log.remarks
    assert (skipped.count, skipped.rows) == (1, ((1, "'2023-03-26 02:30:00'"),))
    placed = [one["event_ms"] for one in log.table.to_pylist() if one["activity"] == "order_placed"]
    assert placed == [1_679_794_200_000, 1_698_539_400_000]


def test_events_after_the_stated_as_of_are_refused(tmp_path: Path) -> None:
    found = refusal(put(tmp_path, HEADER + row(1)), as_of="2024-03-03")
    assert found.problem == "1 event lies after the mapping's as_of 2024-03-03"
    assert found.rows == ((1, "delivered 2024-03-04T08:30Z"),)
    assert read(put(tmp_path, HEADER + row(1)), as_of="2024-03-04").as_of_stated


def test_events_out_of_order_are_told_and_not_repaired(tmp_path: Path) -> None:  # RP-02
    text = HEADER + row(1) + "".join(row(n, delivered="2024-03-01 12:00:00") for n in range(2, 9))
    log = read(put(tmp_path, text))
    (remark,) = log.remarks
    assert (remark.remark, remark.count) == ("cases delivered before handed_to_carrier", 7)
    assert [at for at, _ in remark.rows] == [2, 3, 4, 5, 6]
    assert profile_log(log).measures["transit_time"].note == "7 below zero"


def test_quantities_below_zero_are_told_but_of_returns(tmp_path: Path) -> None:  # RP-02
    names = EVENTS["activity"]["names"] | {"back": "returned"}
    log = of_events(
        tmp_path,
        "A,1,new,2024-03-01 10:00:00,,2,9.99,",
        "A,1,out,2024-03-02 10:00:00,,-2,9.99,",
        "A,1,there,2024-03-03 10:00:00,,2,9.99,",
        "A,1,back,2024-03-04 10:00:00,,-1,9.99,",
        activity=EVENTS["activity"] | {"names": names},
    )
    (remark,) = log.remarks
    assert (remark.remark, remark.count) == ("events with a quantity below zero that are no returns", 1)
    assert remark.rows == ((2, "handed_to_carrier of -2"),)


def test_duplicates_are_dropped_or_kept_where_the_mapping_says_so(tmp_path: Path) -> None:
    path = put(tmp_path, HEADER + row(1) + row(2) + row(1))
    assert read(path, duplicates="keep").table.num_rows == 9
    log = read(path, duplicates="drop")
    assert log.table["row"].to_pylist() == [1, 1, 1, 2, 2, 2]
    assert (log.remarks[0].remark, log.remarks[0].count) == (
        "events that repeat others in every respect, dropped",
        3,
    )


BAD_MAPPINGS: list[tuple[dict[str, Any], str]] = [
    ({"currencey": "EUR"}, "mapping.currencey: unknown key; keys here: "),
    ({"currencey": "EUR"}, "(did you mean 'currency'?)"),
    ({"fields": {"order": "id", "quantty": "qty"}}, "(did you mean 'quantity'?)"),
    ({"events": {"deliverd": "delivered"}}, "(did you mean 'delivered'?)"),
    ({"events": {"delivered": {"column": "delivered", "formt": "iso"}}}, "(did you mean 'format'?)"),
    ({"times": {"zone": "Europe/Berlim"}}, "zone 'Europe/Berlim' is unknown"),
    ({"fields": {"line": "id"}}, "neither `order` nor `purchase_order`"),
    ({"events": MAPPING["events"] | {"reduced": "placed"}}, "how many units were taken off is not told; give it a"),
    ({"events": {}}, "give one of the two"),
    ({"as_of": "soon"}, "as_of 'soon' is no time"),
    ({"where": {"id": "1"}}, "mapping.where.id: '1' is not usable; input should be a list"),
    ({"fields": None}, "mapping.fields: None is not usable; input should be a map"),
    ({"events": {"delivered": {"column": "delivered", "quantity": "shipped"}}}, "are no whole numbers"),
    ({"where": {"id": ["none"]}}, "`where` leaves no row of it"),
    ({"times": {"zone": "UTC", "format": "%q"}}, "the format '%q' of 'placed' cannot be used"),
]


@pytest.mark.parametrize(("changes", "told"), BAD_MAPPINGS)
def test_a_mapping_that_cannot_be_used_is_told_with_what_would_be_right(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    assert told in message(put(tmp_path, HEADER + row(1)), **changes)


def test_a_measure_that_there_is_not_cannot_be_ruled_out(tmp_path: Path) -> None:
    log = read(put(tmp_path, HEADER + row(1)), refuse={"cancel_rat": "a guess"})
    with pytest.raises(EventLogError, match="did you mean 'cancel_rate'"):
        profile_log(log)


def test_an_activity_without_a_translation_is_refused_with_its_rows(tmp_path: Path) -> None:
    with pytest.raises(EventLogError, match="1 of the rows has an activity in 'what' that the mapping does not"):
        of_events(tmp_path, "1,1,new,2024-01-01T08:00Z,,5,1,", "1,1,lost,2024-01-01T08:00Z,,5,1,")


def test_an_error_survives_a_process_pool() -> None:
    error = EventLogError("a.csv", "is wrong", "put it right", [(3, "'x'")], 7)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert (again.rows, again.count) == (((3, "'x'"),), 7)


Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Told:
    """A function that runs a command on 80 columns and returns its exit code, stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    """A small log and its mapping, as files."""
    mapping = tmp_path / "map.yaml"
    mapping.write_text(json.dumps(MAPPING), encoding="utf-8")
    return put(tmp_path, HEADER + row(1) + row(2, delivered="")), mapping


def test_the_command_prints_profile_measures_and_refusals(told: Told, small: tuple[Path, Path]) -> None:  # RP-02
    code, out, err = told("profile", small[0], "--mapping", small[1])
    assert (code, err) == (0, "")
    assert "5 events of 2 cases (2 orders)" in out
    assert "cases: 1 complete, 1 open, 0 without a beginning; 0 cancelled" in out
    assert "Measures that this log cannot support, by what it lacks" in out
    assert max(map(len, out.splitlines())) <= 80


def test_several_patterns_choose_what_any_of_them_names(told: Told, small: tuple[Path, Path]) -> None:  # RP-02
    asked = [word for name in ("order_cycle_time", "open_orders", "order_*") for word in ("--name", name)]
    said = json.loads(told("profile", small[0], "--mapping", small[1], *asked, "--json")[1])["measures"]
    assert {"order_cycle_time", "order_to_ship", "open_orders"} <= set(said)
    assert "cancel_rate" not in said
    two = told("profile", small[0], "--mapping", small[1], *asked[:4], "--json")[1]
    assert {name.partition("/")[0] for name in json.loads(two)["measures"]} == {"order_cycle_time", "open_orders"}
    # Each has to name something that can be had.
    code, _, err = told("profile", small[0], "--mapping", small[1], *asked, "--name", "otif_to_request")
    assert (code, "otif_to_request: this log cannot support it" in err) == (2, True)


def test_a_folder_that_is_no_log_is_no_file_of_an_export(told: Told, small: tuple[Path, Path]) -> None:
    code, out, err = told("profile", small[0].parent, "--mapping", small[1])
    assert (code, out) == (2, "")
    assert (
        err == f"twin: {small[0].parent}: is a folder, but none of a log; name the files in it that --mapping is of\n"
    )


def test_a_refused_measure_is_named_with_what_is_missing_when_it_is_asked_for(
    told: Told, small: tuple[Path, Path], tmp_path: Path
) -> None:  # RP-02
    code, out, err = told(
        "profile", *small[:1], "--mapping", small[1], "--name", "otif_to_request", "--out", tmp_path / "n"
    )
    assert (code, out) == (2, "")
    assert err == "twin: --name otif_to_request: this log cannot support it: it lacks requested_ms\n"
    assert not (tmp_path / "n").exists()
    code, _, err = told("profile", small[0], "--mapping", small[1], "--name", "otif_to_promis")
    assert code == 2
    assert "did you mean 'otif_to_promise'?" in err
    code, out, _ = told("profile", small[0], "--mapping", small[1], "--name", "otif*", "--json")
    found = json.loads(out)
    assert (list(found["measures"]), list(found["refused"])) == (["otif_to_promise"], ["otif_to_request"])


def test_the_neutral_log_is_written_with_its_manifest_or_not_at_all(
    told: Told, small: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "neutral"
    code, out, _ = told("profile", small[0], "--mapping", small[1], "--out", folder)
    assert code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["events.parquet", "manifest.json"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["kind"], manifest["events"], f"digest: {manifest['digest']}\n" in out) == ("event_log", 5, True)
    assert pq.read_table(folder / "events.parquet").schema == arrow_schema()
    code, _, err = told("profile", small[0], "--mapping", small[1], "--out", folder)
    assert (code, "is not empty; give another folder" in err) == (2, True)
    put(tmp_path, HEADER + row(1, placed="yesterday"))
    code, _, err = told("profile", small[0], "--mapping", small[1], "--out", tmp_path / "other")
    assert (code, "first rows" in err or "; row 1 ('yesterday')" in err) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "map.yaml", "neutral"]


def test_a_mapping_file_that_is_none_is_told(told: Told, small: tuple[Path, Path], tmp_path: Path) -> None:
    endless = ("title: &a [*a]\n", "nested without an end")
    for text, what in (
        endless,
        ("- a\n", "is no map of keys"),
        ("title: [\n", "is no YAML"),
        ("", "is no map of keys"),
    ):
        small[1].write_text(text)
        code, _, err = told("profile", small[0], "--mapping", small[1])
        assert (code, what in err) == (2, True), err
    small[1].write_text("title: A log\nas_of: 2024-03-03\nfields: {order: id}\nevents: {order_placed: placed}\n")
    code, _, err = told("profile", small[0], "--mapping", small[1])
    assert (code, err.startswith(f"twin: {small[1]}: as_of '2024-03-03' has no zone")) == (2, True), err
    code, _, err = told("profile", small[0], "--mapping", "olst")
    assert (code, "give a YAML file, or the name of a shipped one: olist, order_management" in err) == (2, True)
    code, _, err = told("profile", small[0], "--mapping", small[1], "--source", "xes")
    assert (code, "--source xes: no adapter for logs is named so" in err) == (2, True)
    assert GROUP == "ordertwin.event_logs"


def test_every_shipped_mapping_can_be_read() -> None:
    from adapters.event_log import read_mapping

    names = sorted(path.stem for path in SHIPPED.glob("*.yaml"))
    assert names == ["olist", "order_management", "ordertwin", "ordertwin_events", "scms"]
    for name in names:
        assert read_mapping(Path(name)).title


def test_the_mappings_of_the_page_can_be_read() -> None:
    from adapters.event_log import read_mapping

    page = (Path(__file__).resolve().parents[2] / "docs/event_log.md").read_text(encoding="utf-8")
    blocks = [block.partition("```")[0] for block in page.split("```yaml\n")[1:]]
    titles = [read_mapping(YAML(typ="safe", pure=True).load(block)).title for block in blocks]
    assert titles == ["A marketplace's export", "Events of an order system", "Order management", "Events of a shop"]


def test_a_log_of_our_own_run_gives_the_measures_that_the_run_gives(tmp_path: Path) -> None:  # OB-06
    """Written down as another system would, and read back: KPI(log) = KPI(internal)."""
    from twin.core import events as ev
    from twin.log import read_entries, read_manifest
    from twin.measures import compute
    from twin.run import load as load_run

    scenario = Path(__file__).resolve().parents[2] / "scenarios/minimal.yaml"
    web = {"id": "web", "requested": "10h", "demand": {"kind": "poisson", "rate": "9/h", "regions": {"home": 1}}}
    run = load_run(scenario, {"run": {"horizon": "3d"}, "channels": [web]}).run(1, out=tmp_path / "run")
    requested: dict[str, int] = {}
    promised: dict[str, int] = {}
    parcels: dict[str, tuple[tuple[int, int], ...]] = {}
    told: list[tuple[str, int, str, int, int]] = []
    for entry in read_entries(run.folder):
        for event in entry.events:
            if isinstance(event, ev.OrderCaptured):
                requested[event.order] = event.requested_at
                told += [(event.order, line.line, "new", entry.now, line.quantity) for line in event.lines]
            elif isinstance(event, ev.PromiseDecided):
                promised.setdefault(event.order, event.promised_at)
            elif isinstance(event, ev.GoodsShipped):
                parcels[event.shipment] = event.lines
                told += [(event.order, line, "out", entry.now, units) for line, units in event.lines]
            elif isinstance(event, ev.ShipmentDelivered):
                told += [(event.order, line, "there", event.at, units) for line, units in parcels[event.shipment]]

    def stamp(at_ms: int | None) -> str:
        moment = "" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
        return moment

    lines = [
        f"{order},{line},{what},{stamp(at)},{units},{stamp(requested[order])},{stamp(promised.get(order))}\n"
        for order, line, what, at, units in told
    ]
    path = put(tmp_path, "order,line,what,at,qty,requested,promised\n" + "".join(lines))
    fields = {name: name for name in ("order", "line", "requested", "promised")} | {"quantity": "qty"}
    log = load(
        [path],
        {
            "title": "Our own run",
            "as_of": stamp(read_manifest(run.folder).end_ms),
            "fields": fields,
            "activity": {
                "column": "what",
                "time": "at",
                "names": {"new": "order_placed", "out": "handed_to_carrier", "there": "delivered"},
            },
        },
    )
    own, foreign = compute(run.folder), profile_log(log).measures
    names = [name for name in LOG_MEASURES if name in own and name in foreign]
    assert {"otif_to_request", "otif_to_promise", "delivered_in_full", "order_cycle_time", "promise_accuracy"} <= {
        *names
    }
    differ = {name: (own[name].value, foreign[name].value) for name in names if own[name].value != foreign[name].value}
    assert differ == {}
    assert 0 < (own["otif_to_request"].value or 0) < 1


@needs_olist
def test_the_olist_sample_is_profiled() -> None:  # RP-02, OB-06
    log = load([OLIST], Path("olist"))
    profile = profile_log(log)
    coverage = profile.coverage
    assert (coverage.events, coverage.cases, coverage.complete, coverage.open, coverage.cancelled) == (
        67_575,
        16_994,
        16_802,
        192,
        136,
    )
    assert [(one.remark, one.count) for one in log.remarks] == [
        ("cases handed_to_carrier before order_approved", 112),
        ("cases delivered before handed_to_carrier", 3),
    ]
    assert profile.measures["delivery_performance_to_commit"].value == Fraction(15_419, 16_666)
    assert profile.refused["otif_to_request"].missing == ("requested_ms",)
    assert "beyond those of all statuses" in profile.refused["cancel_rate"].reason


@needs_scms
def test_the_scms_sample_is_profiled() -> None:  # RP-02, OB-06
    log = load([SCMS], Path("scms"))
    profile = profile_log(log)
    coverage = profile.coverage
    assert (coverage.events, coverage.cases, coverage.orders) == (9_011, 6_514, 4_226)
    assert (coverage.complete, coverage.headless) == (2_497, 4_017)
    assert [(one.remark, one.count) for one in log.remarks] == [("cases delivered before purchase_order_created", 2)]
    assert value(profile, "supplier_lead_time/p50") == 87 * DAY
    assert profile.refused["order_cycle_time"].missing == ("order_placed",)
