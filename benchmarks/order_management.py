"""The order-management log (OCEL 2.0, Knopp and van der Aalst) as a neutral log: a case is an item of an order.

A package holds items of several orders, so what happens to it happens to each item in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from adapters.ocel.document import open_document
from adapters.ocel.object_log import instant_ms
from twin.event_log import EventLog, SourceFile, arrow_schema

NAMES = {
    "place order": "order_placed",
    "confirm order": "order_approved",
    "pick item": "picked",
    "create package": "packed",
    "send package": "handed_to_carrier",
    "package delivered": "delivered",
}
"""What its events mean; the others (payments, stock, failed attempts) have no word in the neutral vocabulary."""


def load(path: Path) -> EventLog:
    """The neutral log of this file. Raises `OcelError` for one that is no OCEL."""
    document = open_document(path)
    objects = {one.id: one for one in document.objects()}
    of_order = {
        related.object: one.id
        for one in objects.values()
        if one.type == "orders"
        for related in one.relationships
        if related.qualifier == "comprises"
    }
    rows: list[dict[str, Any]] = []
    for number, event in enumerate(document.events(), start=1):
        activity = NAMES.get(event.type)
        if activity is None or event.time is None:
            continue
        related = [objects[one.object] for one in event.relationships]
        package = next((one.id for one in related if one.type == "packages"), None)
        for item in (one for one in related if one.type == "items"):
            price = next(value.value for value in item.attributes if value.name == "price")
            rows.append(
                {
                    "case_id": item.id,
                    "activity": activity,
                    "event_ms": instant_ms(event.time),
                    "order": of_order[item.id],
                    "line": item.id,
                    "shipment": package,
                    "quantity": 1,
                    "value_minor": round(float(price) * 100),
                    "row": number,
                }
            )
    table = pa.Table.from_pylist(rows, schema=arrow_schema())
    return EventLog(
        title="Order management (simulated by its authors)",
        files=(SourceFile(path.name, len(rows), path.stat().st_size),),
        table=table,
        zone="Europe/Berlin",
        currency="EUR",
        currency_exponent=2,
        as_of_ms=max(row["event_ms"] for row in rows),
        as_of_stated=False,
        whole=True,
        left_out_rows=0,
        remarks=(),
        caveats=("It was simulated by its authors: it says whether the way works, and nothing of reality.",),
        refused={},
    )
