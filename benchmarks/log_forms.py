"""The log of the event-log benchmark in other forms: XES, OCEL 2.0 in JSON, XML and SQLite, CloudEvents.

Each holds what the CSV holds, as far as the form has a place for it, and has a mapping beside it. They are made from
the same numbers, so that they are the same on every machine.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

STEPS = ("placed", "approved", "packed", "shipped", "delivered")
NAMES = {
    "placed": "order_placed",
    "approved": "order_approved",
    "packed": "packed",
    "shipped": "handed_to_carrier",
    "delivered": "delivered",
}
FIELDS = ("quantity", "value", "region", "supplier", "carrier", "promised")


class Order(NamedTuple):
    """An order: its id, what is known of it, and the times of its five steps."""

    id: str
    about: dict[str, str]
    times: tuple[str, ...]


def orders(number: int) -> Iterator[Order]:
    """So many orders, by hashes of their numbers."""
    start = datetime(2023, 1, 2, 8, tzinfo=UTC)
    for order in range(number):
        at = start + timedelta(seconds=order * 100)
        mixed = order * 2_654_435_761 % 2**32
        about = {
            "quantity": str(1 + mixed % 9),
            "value": f"{mixed % 30_000 / 100:.2f}",
            "region": f"region-{mixed % 27}",
            "supplier": f"supplier-{mixed % 997}",
            "carrier": f"carrier-{mixed % 7}",
            "promised": (at + timedelta(days=5)).isoformat(),
        }
        times = tuple((at + timedelta(hours=place * (5 + mixed % 40))).isoformat() for place in range(len(STEPS)))
        yield Order(f"order-{order:07d}", about, times)


def _mapping(order: str, prefix: str, step: str, at: str, **more: str) -> dict[str, Any]:
    return {
        "title": "A log of the benchmark",
        "fields": {"order": order} | {name: f"{prefix}{name}" for name in FIELDS},
        "activity": {"column": step, "time": at, "names": NAMES},
    } | more


def write_xes(path: Path, number: int) -> dict[str, Any]:
    """A trace an order."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        file.write('<log xes.version="2.0" xmlns="http://www.xes-standard.org/">\n')
        for order in orders(number):
            file.write(f'<trace><string key="concept:name" value="{order.id}"/>')
            file.writelines(f'<string key="{name}" value="{value}"/>' for name, value in order.about.items())
            for step, at in zip(STEPS, order.times, strict=True):
                file.write(f'\n<event><string key="concept:name" value="{step}"/>')
                file.write(f'<date key="time:timestamp" value="{at}"/></event>')
            file.write("</trace>\n")
        file.write("</log>\n")
    return _mapping("case:concept:name", "case:", "concept:name", "time:timestamp")


OBJECTS = _mapping("order", "order.", "event.type", "event.time", case="order")
SINCE = "1970-01-01T00:00:00+00:00"


def write_ocel_json(path: Path, number: int) -> dict[str, Any]:
    """An object an order."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        attributes = [{"name": name, "type": "string"} for name in FIELDS]
        file.write(f'{{"objectTypes":[{json.dumps({"name": "order", "attributes": attributes})}],\n"eventTypes":')
        file.write(json.dumps([{"name": step, "attributes": []} for step in STEPS]))
        file.write(',\n"objects":[')
        for at, order in enumerate(orders(number)):
            held = [{"name": name, "value": value, "time": SINCE} for name, value in order.about.items()]
            one = {"id": order.id, "type": "order", "attributes": held, "relationships": []}
            file.write(f"{',' if at else ''}\n{json.dumps(one)}")
        file.write('],\n"events":[')
        for at, order in enumerate(orders(number)):
            for place, (step, time) in enumerate(zip(STEPS, order.times, strict=True)):
                related = [{"objectId": order.id, "qualifier": "order"}]
                event = {
                    "id": f"{order.id}.{place}",
                    "type": step,
                    "time": time,
                    "attributes": [],
                    "relationships": related,
                }
                file.write(f"{',' if at or place else ''}\n{json.dumps(event)}")
        file.write("]}\n")
    return OBJECTS


def write_ocel_xml(path: Path, number: int) -> dict[str, Any]:
    """The same in XML."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<log><object-types><object-type name="order"><attributes>')
        file.writelines(f'<attribute name="{name}" type="string"/>' for name in FIELDS)
        file.write("</attributes></object-type></object-types>\n<event-types>")
        file.writelines(f'<event-type name="{step}"><attributes/></event-type>' for step in STEPS)
        file.write("</event-types>\n<objects>\n")
        for order in orders(number):
            file.write(f'<object id="{order.id}" type="order"><attributes>')
            file.writelines(
                f'<attribute name="{name}" time="{SINCE}">{value}</attribute>' for name, value in order.about.items()
            )
            file.write("</attributes></object>\n")
        file.write("</objects>\n<events>\n")
        for order in orders(number):
            for place, (step, time) in enumerate(zip(STEPS, order.times, strict=True)):
                file.write(f'<event id="{order.id}.{place}" type="{step}" time="{time}"><attributes/><objects>')
                file.write(f'<relationship object-id="{order.id}" qualifier="order"/></objects></event>\n')
        file.write("</events></log>\n")
    return OBJECTS


def write_ocel_sqlite(path: Path, number: int) -> dict[str, Any]:
    """The same in SQLite, with the keys that the standard's tables have."""
    with closing(sqlite3.connect(path)) as con, con:
        con.execute("pragma synchronous = off")
        for kind in ("event", "object"):
            con.execute(f"create table {kind}_map_type (ocel_type text primary key, ocel_type_map text)")
            con.execute(f"create table {kind} (ocel_id text primary key, ocel_type text)")
        con.execute("create table event_object (ocel_event_id text, ocel_object_id text, ocel_qualifier text)")
        con.execute("create table object_object (ocel_source_id text, ocel_target_id text, ocel_qualifier text)")
        con.execute("insert into object_map_type values ('order', 'order')")
        listed = ", ".join(FIELDS)
        con.execute(f"create table object_order (ocel_id text, ocel_time text, ocel_changed_field text, {listed})")
        for step in STEPS:
            con.execute("insert into event_map_type values (?, ?)", [step, step])
            con.execute(f"create table event_{step} (ocel_id text primary key, ocel_time text)")
        for order in orders(number):
            con.execute("insert into object values (?, 'order')", [order.id])
            con.execute(
                "insert into object_order values (?, ?, null, ?, ?, ?, ?, ?, ?)",
                [order.id, SINCE, *order.about.values()],
            )
            for place, (step, time) in enumerate(zip(STEPS, order.times, strict=True)):
                id = f"{order.id}.{place}"
                con.execute("insert into event values (?, ?)", [id, step])
                con.execute(f"insert into event_{step} values (?, ?)", [id, time])
                con.execute("insert into event_object values (?, ?, 'order')", [id, order.id])
        con.execute("create index object_order_id on object_order (ocel_id)")
    return OBJECTS


def write_cloud_events(path: Path, number: int) -> dict[str, Any]:
    """A line an event."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for order in orders(number):
            for place, (step, time) in enumerate(zip(STEPS, order.times, strict=True)):
                event = {
                    "specversion": "1.0",
                    "id": f"{order.id}.{place}",
                    "source": "benchmark",
                    "type": step,
                    "subject": order.id,
                    "time": time,
                    "data": order.about,
                }
                file.write(f"{json.dumps(event)}\n")
    return _mapping("subject", "data.", "type", "time")


WRITERS = {
    "log.xes": write_xes,
    "log.ocel.json": write_ocel_json,
    "log.ocel.xml": write_ocel_xml,
    "log.ocel.sqlite": write_ocel_sqlite,
    "log.cloudevents.jsonl": write_cloud_events,
}
PEERS = {"log.xes": "EventLog", "log.ocel.json": "OCEL", "log.ocel.xml": "OCEL", "log.ocel.sqlite": "OCEL"}
"""What r4pm, the peer, calls these forms."""
