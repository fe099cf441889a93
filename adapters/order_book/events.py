"""An order book from the neutral log of a foreign system: the orders that it placed, as they came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from twin.order_book import (
    BookItem,
    BookLine,
    BookOrder,
    BookRemark,
    OrderBook,
    OrderBookError,
    Progress,
    RuleCount,
    check_accounts,
)

__all__ = ["load"]

COLUMNS: Final = (
    "order",
    "line",
    "item",
    "quantity",
    "value_minor",
    "customer",
    "channel",
    "region",
    "event_ms",
    "requested_ms",
    "row",
)
SIGNED: Final = (("quantity", "quantity"), ("value_minor", "value"))
KEYS: Final = ("channel", "region", "currency_exponent")


def load(path: Path, mapping: Mapping[str, Any], progress: Progress | None = None) -> OrderBook:
    """The orders of `events.parquet`, as `twin profile --out` or `twin reconstruct` writes it.

    `mapping` may name the `channel` and the `region` of orders for which the log has none, and the `currency_exponent`
    (2). A line's price is its value by its quantity, rounded half up; lines without item or quantity are refused and
    counted. Raises `OrderBookError`.
    """
    strange = [key for key in mapping if key not in KEYS]
    if strange:
        raise OrderBookError("mapping", f"unknown key '{strange[0]}'", f"keys here: {', '.join(KEYS)}")
    exponent = mapping.get("currency_exponent", 2)
    if type(exponent) is not int or not 0 <= exponent <= 4:
        raise OrderBookError("mapping.currency_exponent", f"{exponent!r} is no number of decimals", "give 0 to 4")
    rows = _rows(path)
    accepted, refused = Counter[str](), Counter[str]()
    lines: dict[str, list[BookLine]] = {}
    heads: dict[str, dict[str, Any]] = {}
    named: dict[str, Counter[int]] = {}
    rounded = 0
    for number, row in enumerate(rows, start=1):
        quantity = row["quantity"] or 0
        rule = next((f"no {name}" for name in ("order", "item", "quantity", "event_ms") if not row[name]), "")
        rule = rule or next((f"{said} below zero" for name, said in SIGNED if (row[name] or 0) < 0), "")
        if rule:
            refused[f"{rule}/lines"] += 1
            refused[f"{rule}/units"] += quantity
            continue
        order = row["order"]
        head = heads.setdefault(order, row)
        if row["event_ms"] < head["event_ms"]:
            heads[order] = head | {"event_ms": row["event_ms"]}
        value = row["value_minor"] or 0
        price = (2 * value + quantity) // (2 * quantity)
        rounded += price * quantity != value
        held = lines.setdefault(order, [])
        held.append(BookLine(len(held) + 1, row["item"], quantity, price, row["row"] or number))
        named.setdefault(row["item"], Counter())[price] += 1
        accepted["lines"] += 1
        accepted["units"] += quantity
    orders = [
        BookOrder(
            order,
            head["customer"] or f"guest/{order}",
            head["region"] or mapping.get("region", ""),
            head["channel"] or mapping.get("channel", ""),
            head["event_ms"],
            tuple(lines[order]),
            head["requested_ms"] or 0,
        )
        for order, head in heads.items()
    ]
    orders.sort(key=lambda order: (order.at_ms, order.order))
    rules = sorted({name.rpartition("/")[0] for name in refused})
    book = OrderBook(
        source=path.name,
        encoding="parquet",
        currency_exponent=exponent,
        read_lines=len(rows),
        read_units=accepted["units"] + sum(refused[f"{rule}/units"] for rule in rules),
        orders=tuple(orders),
        credits=(),
        adjustments=(),
        items=tuple([BookItem(item, "", prices.most_common(1)[0][0]) for item, prices in named.items()]),
        counts=(
            RuleCount("order line", "accepted", accepted["lines"], accepted["units"]),
            *[RuleCount(rule, "refused", refused[f"{rule}/lines"], refused[f"{rule}/units"]) for rule in rules],
        ),
        remarks=(BookRemark("prices rounded to the minor unit", rounded),),
    )
    check_accounts(book)
    if progress is not None:
        progress(len(rows), len(rows))
    return book


def _rows(path: Path) -> list[dict[str, Any]]:
    """The rows of `order_placed`, in the log's order."""
    if not path.is_file():
        raise OrderBookError(str(path), "there is no such file", "give the events.parquet of a neutral log")
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise OrderBookError(
            str(path), f"it cannot be read as Parquet: {error}", "write the neutral log again"
        ) from None
    missing = [name for name in (*COLUMNS, "activity") if name not in table.column_names]
    if missing:
        raise OrderBookError(
            str(path),
            f"it has no column '{missing[0]}'",
            "give the events.parquet of a neutral log (twin profile --out)",
        )
    found: list[dict[str, Any]] = (
        table.filter(pc.equal(table["activity"], "order_placed")).select(list(COLUMNS)).to_pylist()
    )
    if not found:
        raise OrderBookError(str(path), "no order was placed in it", "give a log with the activity order_placed")
    return found
