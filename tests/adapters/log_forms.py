"""One small log in every form that is read: two orders, one delivered, one open."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

EVENTS: list[dict[str, str]] = [
    {"order": "a", "what": "placed", "at": "2024-03-01T10:00:00Z", "noted": "2024-03-01T10:05:00Z"},
    {"order": "a", "what": "viewed", "at": "2024-03-01T12:00:00Z", "noted": "2024-03-01T12:00:00Z"},
    {"order": "b", "what": "placed", "at": "2024-03-02T10:00:00+01:00", "noted": "2024-03-02T10:00:00Z"},
    {"order": "a", "what": "sent", "at": "2024-03-02T15:00:00Z", "noted": "2024-03-02T15:00:00Z"},
    {"order": "a", "what": "there", "at": "2024-03-04T09:30:00Z", "noted": "2024-03-04T18:00:00Z"},
]
ORDERS: dict[str, dict[str, str]] = {"a": {"region": "north", "value": "19.90"}, "b": {"region": "süd", "value": "5"}}
NAMES = {"placed": "order_placed", "sent": "handed_to_carrier", "there": "delivered"}


def _mapping(columns: dict[str, str], activity: str, at: str, noted: str, **more: Any) -> dict[str, Any]:
    return {
        "title": "A small log",
        "currency": "EUR",
        "fields": columns,
        "activity": {"column": activity, "time": {"column": at, "recorded": noted}, "names": NAMES, "ignore": ["*"]},
        "deliveries": "whole",
    } | more


TABLE = _mapping({"order": "order", "region": "region", "value": "value"}, "what", "at", "noted")
TRACES = _mapping(
    {"order": "case:concept:name", "region": "case:region", "value": "case:value"},
    "concept:name",
    "time:timestamp",
    "noted",
)
OBJECTS = _mapping(
    {"order": "order", "region": "order.region", "value": "order.value"},
    "event.type",
    "event.time",
    "event.noted",
    case="order",
)
CLOUD = _mapping(
    {"order": "subject", "region": "data.region", "value": "data.sum.value"}, "type", "time", "recordedtime"
)


def as_csv() -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, [*EVENTS[0], *ORDERS["a"]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(event | ORDERS[event["order"]] for event in EVENTS)
    return out.getvalue().encode()


def as_xes() -> bytes:
    parts = ['<?xml version="1.0" encoding="UTF-8"?>\n<log xes.version="2.0" xmlns="http://www.xes-standard.org/">\n']
    parts.append('<global scope="event"><string key="concept:name" value="none"/></global>\n')
    parts.append('<string key="concept:name" value="the whole log"/>\n')
    for order, about in ORDERS.items():
        parts.append(f'<trace>\n<string key="concept:name" value="{order}"/>\n')
        parts.append(f'<string key="region" value={quoteattr(about["region"])}/>')
        parts.append(f'<float key="value" value="{about["value"]}"/>\n')
        for event in EVENTS:
            if event["order"] == order:
                parts.append(
                    f'<event><string key="concept:name" value="{event["what"]}">'
                    '<string key="noted" value="no"/></string>'
                    f'<date key="time:timestamp" value="{event["at"]}"/><date key="noted" value="{event["noted"]}"/>'
                    '<list key="tags"><values><string key="noted" value="no"/></values></list></event>\n'
                )
        parts.append("</trace>\n")
    return "".join([*parts, "</log>\n"]).encode()


def document() -> dict[str, Any]:
    """OCEL 2.0 as a JSON value."""
    names = list(dict.fromkeys(event["what"] for event in EVENTS))
    start = "1970-01-01T00:00:00Z"
    return {
        "objectTypes": [
            {"name": "order", "attributes": [{"name": name, "type": "string"} for name in ORDERS["a"]]},
            {"name": "clerk", "attributes": []},
        ],
        "eventTypes": [{"name": name, "attributes": [{"name": "noted", "type": "time"}]} for name in names],
        "objects": [
            {
                "id": order,
                "type": "order",
                "attributes": [{"name": name, "value": value, "time": start} for name, value in about.items()],
                "relationships": [{"objectId": "kim", "qualifier": "taken by"}],
            }
            for order, about in ORDERS.items()
        ]
        + [{"id": "kim", "type": "clerk", "attributes": [], "relationships": []}],
        "events": [
            {
                "id": f"e{number}",
                "type": event["what"],
                "time": event["at"],
                "attributes": [{"name": "noted", "value": event["noted"]}],
                "relationships": [{"objectId": event["order"], "qualifier": "about"}],
            }
            for number, event in enumerate(EVENTS)
        ],
    }


def as_json() -> bytes:
    return json.dumps(document(), ensure_ascii=False).encode()


def as_xml(log: dict[str, Any] | None = None) -> bytes:
    held = document() if log is None else log
    parts = ['<?xml version="1.0" encoding="UTF-8"?>\n<log>\n']
    for section, item in (("object-types", "objectTypes"), ("event-types", "eventTypes")):
        parts.append(f"<{section}>\n")
        for one in held[item]:
            parts.append(f'<{section[:-1]} name="{one["name"]}"><attributes>')
            parts += [f'<attribute name="{own["name"]}" type="{own["type"]}"/>' for own in one["attributes"]]
            parts.append(f"</attributes></{section[:-1]}>\n")
        parts.append(f"</{section}>\n")
    for section in ("objects", "events"):
        parts.append(f"<{section}>\n")
        for one in held[section]:
            time = f' time="{one["time"]}"' if "time" in one else ""
            parts.append(f'<{section[:-1]} id="{one["id"]}" type="{one["type"]}"{time}><attributes>')
            for own in one["attributes"]:
                since = f' time="{own["time"]}"' if "time" in own else ""
                parts.append(f'<attribute name="{own["name"]}"{since}>{own["value"]}</attribute>')
            parts.append("</attributes><objects>")
            parts += [
                f'<relationship object-id="{own["objectId"]}" qualifier="{own["qualifier"]}"/>'
                for own in one["relationships"]
            ]
            parts.append(f"</objects></{section[:-1]}>\n")
        parts.append(f"</{section}>\n")
    return "".join([*parts, "</log>\n"]).encode()


def write_sqlite(path: Path) -> None:
    """OCEL 2.0 in SQLite."""
    log = document()
    with closing(sqlite3.connect(path)) as con, con:
        for kind in ("event", "object"):
            con.execute(f"create table {kind}_map_type (ocel_type text, ocel_type_map text)")
            con.execute(f"create table {kind} (ocel_id text primary key, ocel_type text)")
        con.execute("create table event_object (ocel_event_id text, ocel_object_id text, ocel_qualifier text)")
        con.execute("create table object_object (ocel_source_id text, ocel_target_id text, ocel_qualifier text)")
        for kind, fixed in (("object", "ocel_id, ocel_time, ocel_changed_field"), ("event", "ocel_id, ocel_time")):
            for at, one in enumerate(log[f"{kind}Types"]):
                con.execute(f"insert into {kind}_map_type values (?, ?)", [one["name"], f"t{at}"])
                names = "".join(f', "{own["name"]}"' for own in one["attributes"])
                con.execute(f"create table {kind}_t{at} ({fixed}{names})")
                for thing in log[f"{kind}s"]:
                    if thing["type"] != one["name"]:
                        continue
                    con.execute(f"insert into {kind} values (?, ?)", [thing["id"], one["name"]])
                    values = [own["value"] for own in thing["attributes"]]
                    head = [thing["id"], thing.get("time", "1970-01-01T00:00:00Z")]
                    head += [None] if kind == "object" else []
                    marks = ", ".join("?" * len(head + values))
                    con.execute(f"insert into {kind}_t{at} values ({marks})", head + values)
        for table, things in (("event_object", log["events"]), ("object_object", log["objects"])):
            for thing in things:
                for own in thing["relationships"]:
                    con.execute(
                        f"insert into {table} values (?, ?, ?)", [thing["id"], own["objectId"], own["qualifier"]]
                    )


def as_cloud_events(*more: dict[str, Any]) -> bytes:
    """CloudEvents, and what is given beside them."""
    lines = [
        {
            "specversion": "1.0",
            "id": str(number),
            "source": "shop",
            "type": event["what"],
            "subject": event["order"],
            "time": event["at"],
            "recordedtime": event["noted"],
            "data": {"region": ORDERS[event["order"]]["region"], "sum": {"value": ORDERS[event["order"]]["value"]}},
        }
        for number, event in enumerate(EVENTS)
    ]
    return b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in [*lines, *more])


def write_forms(folder: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Every form in a file: name -> path and mapping."""
    made: dict[str, tuple[Path, dict[str, Any]]] = {}
    for name, data, mapping in (
        ("log.csv", as_csv(), TABLE),
        ("log.xes", as_xes(), TRACES),
        ("log.json", as_json(), OBJECTS),
        ("log.xml", as_xml(), OBJECTS),
        ("log.jsonl", as_cloud_events(), CLOUD),
    ):
        for path, content in ((folder / name, data), (folder / f"{name}.gz", gzip.compress(data))):
            path.write_bytes(content)
            made[path.name] = path, mapping
    write_sqlite(folder / "log.sqlite")
    made["log.sqlite"] = folder / "log.sqlite", OBJECTS
    return made
