"""Lines of orders: as a list in one event, and in logs that tell some things of an order and others of its lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.event_log import load
from twin.cli import main
from twin.event_log import EventLog
from twin.measures.of_event_log import profile_log
from twin.replay.log_facts import parcels_of

DAY = 86_400_000
SHOP: dict[str, Any] = {
    "title": "A shop",
    "each": "data.lines",
    "currency": "EUR",
    "fields": {
        "order": "subject",
        "line": "data.lines.no",
        "item": "data.lines.sku",
        "quantity": "data.lines.qty",
        "value": "data.lines.price",
        "region": "data.address.region",
    },
    "activity": {
        "column": "type",
        "time": "time",
        "names": {"created": "order_placed", "approved": "order_approved", "delivered": "delivered"},
    },
}
LINES: list[dict[str, Any]] = [
    {"no": 1, "sku": "A", "qty": 2, "price": 5.0},
    {"no": 2, "sku": "B", "qty": 1, "price": 2.5},
]
TABLE: dict[str, Any] = {
    "title": "Orders and lines in one table",
    "fields": {"order": "order", "line": "line", "quantity": "qty", "value": "value", "purchase_order": "po"},
    "activity": {
        "column": "what",
        "time": "at",
        "names": {"new": "order_placed", "ok": "order_approved", "there": "delivered", "po": "purchase_order_created"},
    },
    "deliveries": "whole",
}
ROWS = """order,line,qty,value,po,what,at
1,b,2,3.00,,new,2024-01-01T10:00:00Z
1,a,1,4.00,,new,2024-01-01T10:00:00Z
1,,3,7.00,,ok,2024-01-01T11:00:00Z
1,,,,,there,2024-01-03T10:00:00Z
2,,5,9.00,,new,2024-01-02T10:00:00Z
2,,,,,there,2024-01-04T10:00:00Z
,,,,P7,po,2024-01-02T12:00:00Z
"""


def events(*told: tuple[str, str, str, dict[str, Any]]) -> bytes:
    """CloudEvents of (order, type, time, data)."""
    lines = [
        {"specversion": "1.0", "id": str(at), "source": "shop", "type": type_, "subject": order, "time": time}
        | {"data": data}
        for at, (order, type_, time, data) in enumerate(told)
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def whole_shop() -> bytes:
    """An order of two lines that come on two days, and one without any."""
    return events(
        ("1", "created", "2024-01-01T10:00:00Z", {"address": {"region": "N"}, "lines": LINES}),
        ("1", "approved", "2024-01-01T11:00:00Z", {"total": 7.5}),
        ("1", "delivered", "2024-01-02T10:00:00Z", {"lines": [{"no": 1, "qty": 2}]}),
        ("1", "delivered", "2024-01-04T10:00:00Z", {"lines": [{"no": 2, "qty": 1}]}),
        ("2", "created", "2024-01-04T10:00:00Z", {"lines": []}),
    )


def read(folder: Path, data: bytes, name: str, mapping: dict[str, Any]) -> EventLog:
    """The log in a file of these bytes."""
    (folder / name).write_bytes(data)
    return load([folder / name], mapping)


def columns(log: EventLog, *names: str) -> list[tuple[Any, ...]]:
    """These columns, a tuple a row."""
    return list(zip(*(log.table[name].to_pylist() for name in names), strict=True))


def test_an_event_makes_a_row_for_every_element_of_the_list(tmp_path: Path) -> None:  # RP-02
    log = read(tmp_path, whole_shop(), "log.jsonl", SHOP)
    assert columns(log, "row", "case_id", "activity", "item", "quantity", "value_minor", "region") == [
        (1, "1/1", "order_placed", "A", 2, 500, "N"),
        (1, "1/2", "order_placed", "B", 1, 250, "N"),
        (2, "1/1", "order_approved", None, None, None, None),
        (2, "1/2", "order_approved", None, None, None, None),
        (3, "1/1", "delivered", None, 2, None, None),
        (4, "1/2", "delivered", None, 1, None, None),
        (5, "2", "order_placed", None, None, None, None),
    ]
    assert [(one.remark, one.count, one.rows) for one in log.remarks] == [
        ("events of an order without a line, taken for all its lines", 1, ((2, "order_approved"),))
    ]
    assert log.files[0].rows == 5
    measures = profile_log(log).measures
    # The order is whole with its second parcel: three days, not one.
    assert measures["order_cycle_time/p50"].value == 3 * DAY
    assert measures["lines_captured"].value == 3


def test_elements_may_be_ids(tmp_path: Path) -> None:
    mapping = SHOP | {"each": "data.skus", "fields": {"order": "subject", "line": "data.skus"}}
    data = events(
        ("1", "created", "2024-01-01T10:00:00Z", {"skus": ["A", "B"]}),
        ("1", "delivered", "2024-01-02T10:00:00Z", {}),
    )
    log = read(tmp_path, data, "log.jsonl", mapping)
    assert columns(log, "case_id", "activity") == [
        ("1/A", "order_placed"),
        ("1/B", "order_placed"),
        ("1/A", "delivered"),
        ("1/B", "delivered"),
    ]


def test_what_is_told_of_an_order_is_told_of_each_of_its_lines(tmp_path: Path) -> None:  # RP-02
    log = read(tmp_path, ROWS.encode(), "log.csv", TABLE)
    assert columns(log, "row", "case_id", "line", "activity", "quantity", "value_minor") == [
        (1, "1/b", "b", "order_placed", 2, 300),
        (2, "1/a", "a", "order_placed", 1, 400),
        (3, "1/b", "b", "order_approved", None, None),
        (3, "1/a", "a", "order_approved", None, None),
        (4, "1/b", "b", "delivered", None, None),
        (4, "1/a", "a", "delivered", None, None),
        (5, "2", None, "order_placed", 5, 900),
        (6, "2", None, "delivered", None, None),
        (7, "P7", None, "purchase_order_created", None, None),
    ]
    assert [(one.remark, one.count, one.rows) for one in log.remarks] == [
        (
            "events of an order without a line, taken for all its lines",
            2,
            ((3, "order_approved"), (4, "delivered")),
        ),
        ("quantities and values of such events, left out", 1, ((3, "order_approved"),)),
    ]


def test_a_parcel_of_several_orders_holds_the_lines_of_each(tmp_path: Path) -> None:
    """Two orders whose lines have the same numbers: what the handling of the parcel is estimated from."""
    rows = """order,line,qty,note,what,at
1,1,2,P,new,2024-01-01T10:00:00Z
1,2,3,P,new,2024-01-01T10:00:00Z
2,1,4,P,new,2024-01-01T11:00:00Z
1,1,2,P,out,2024-01-02T10:00:00Z
1,2,3,P,out,2024-01-02T10:00:00Z
2,1,4,P,out,2024-01-02T10:00:00Z
1,,,P,there,2024-01-03T10:00:00Z
2,,,P,there,2024-01-03T10:00:00Z
"""
    mapping = {
        "title": "Parcels of several orders",
        "fields": {"order": "order", "line": "line", "quantity": "qty", "shipment": "note"},
        "activity": {
            "column": "what",
            "time": "at",
            "names": {"new": "order_placed", "out": "handed_to_carrier", "there": "delivered"},
        },
        "deliveries": "whole",
    }
    log = read(tmp_path, rows.encode(), "log.csv", mapping)
    assert [(one.note, one.orders, one.lines, one.units) for one in parcels_of(log, log.as_of_ms + 1)] == [
        ("P", ("1", "2"), 3, 9)
    ]


def test_a_parcel_is_given_up_with_all_that_it_holds_by_line_or_by_item(tmp_path: Path) -> None:
    """A log without line numbers tells its lines by their items; one of two that is cancelled leaves the other."""
    rows = """order,item,qty,what,at
1,A,2,new,2024-01-01T10:00:00Z
1,B,3,new,2024-01-01T10:00:00Z
1,A,2,go,2024-01-01T11:00:00Z
1,B,3,go,2024-01-01T11:00:00Z
1,A,2,off,2024-01-01T12:00:00Z
2,A,1,new,2024-01-01T10:00:00Z
2,A,1,go,2024-01-01T11:00:00Z
2,A,1,off,2024-01-01T12:00:00Z
3,A,1,new,2024-01-01T10:00:00Z
3,A,1,go,2024-01-01T11:00:00Z
3,,,off,2024-01-01T12:00:00Z
4,A,1,new,2024-01-01T10:00:00Z
4,A,1,there,2024-01-02T10:00:00Z
"""
    names = {"new": "order_placed", "go": "released", "off": "cancelled", "there": "delivered"}
    mapping = {
        "title": "Lines by their items",
        "fields": {"order": "order", "item": "item", "quantity": "qty"},
        "activity": {"column": "what", "time": "at", "names": names},
        "deliveries": "whole",
    }
    log = read(tmp_path, rows.encode(), "log.csv", mapping)
    parcels = parcels_of(log, log.as_of_ms + 1)
    assert sorted((one.order, one.lines, one.units) for one in parcels) == [("1", 2, 5), ("4", 1, 1)]


@pytest.mark.parametrize(
    ("data", "mapping", "said"),
    [
        pytest.param(
            whole_shop(),
            {name: held for name, held in SHOP.items() if name != "each"},
            "no column 'data.lines.no', which the mapping names as 'fields.line'; columns found: specversion, id, "
            "source, type, subject, time, data.address.region, data.total (did you mean 'data.address.region'?); "
            "'data.lines' is a list: `each: data.lines` makes a row of each of its elements",
            id="no each",
        ),
        pytest.param(
            whole_shop(),
            SHOP | {"each": "data.items"},
            "mapping.each: no event of log.jsonl has a list 'data.items'; lists there: data.lines",
            id="no such list",
        ),
        pytest.param(
            events(("1", "created", "2024-01-01T10:00:00Z", {"lines": [], "no": 1})),
            SHOP | {"fields": {"order": "subject"}},
            "mapping.each: all lists 'data.lines' of log.jsonl are empty; leave it out, or follow another",
            id="empty lists",
        ),
        pytest.param(
            whole_shop(),
            SHOP | {"fields": SHOP["fields"] | {"item": "data.lines.skuu"}},
            "(did you mean 'data.lines.sku'?)\n",
            id="misspelt in the list",
        ),
        pytest.param(
            events(("1", "created", "2024-01-01T10:00:00Z", {"lines": [[1, "A"], {"no": 2}, [3, "B"]]})),
            SHOP,
            "log.jsonl: 2 elements of the list 'data.lines' are lists, which have no columns; give `each` a list of "
            'maps or of ids; rows 1 ([1,"A"]), 1 ([3,"B"])',
            id="lists in the list",
        ),
        pytest.param(
            events(
                ("1", "created", "2024-01-01T10:00:00Z", {"lines": [{"no": 1}]}),
                ("2", "created", "2024-01-01T10:00:00Z", {"lines": "oops"}),
            ),
            SHOP | {"fields": {"order": "subject"}},
            "log.jsonl: 1 event has something else than a list as 'data.lines'; export them again with a list, empty "
            'where there is nothing; row 2 ("oops")',
            id="no list",
        ),
        pytest.param(
            ROWS.encode(),
            TABLE | {"each": "data.lines"},
            "mapping.each: follows a list of CloudEvents, and log.jsonl holds none; leave it out, or give CloudEvents",
            id="a table",
        ),
    ],
)
def test_a_list_that_is_not_there_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    data: bytes,
    mapping: dict[str, Any],
    said: str,
) -> None:  # RP-02
    monkeypatch.chdir(tmp_path)
    Path("log.jsonl").write_bytes(data)
    Path("map.yaml").write_text(json.dumps(mapping), encoding="utf-8")
    assert main(["profile", "log.jsonl", "--mapping", "map.yaml", "--out", "neutral"]) == 2
    err = capsys.readouterr().err
    assert said in (err if said.endswith("\n") else " ".join(err.split()))
    assert not Path("neutral").exists()
