"""An order book from the neutral log of a foreign system: its orders as they came, and what of them was given up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from twin.event_log import line_of
from twin.order_book import (
    BookCancellation,
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
Key = tuple[str, str | None, str | None]
"""An order and a line of it, by its number or its item."""
KEYS: Final = ("channel", "region", "currency_exponent")


def load(path: Path, mapping: Mapping[str, Any], progress: Progress | None = None) -> OrderBook:
    """The orders of `events.parquet`, as `twin profile --out` or `twin reconstruct` writes it.

    `mapping` may name the `channel` and the `region` of orders for which the log has none, and the `currency_exponent`
    (2). A line's price is its value by its quantity, rounded half up; lines without item or quantity are refused and
    counted. What is `cancelled` at a known time is given up by the customer then. Raises `OrderBookError`.
    """
    strange = [key for key in mapping if key not in KEYS]
    if strange:
        raise OrderBookError("mapping", f"unknown key '{strange[0]}'", f"keys here: {', '.join(KEYS)}")
    exponent = mapping.get("currency_exponent", 2)
    if type(exponent) is not int or not 0 <= exponent <= 4:
        raise OrderBookError("mapping.currency_exponent", f"{exponent!r} is no number of decimals", "give 0 to 4")
    rows, cancelled = _rows(path)
    accepted, refused = Counter[str](), Counter[str]()
    lines: dict[str, list[BookLine]] = {}
    heads: dict[str, dict[str, Any]] = {}
    named: dict[str, Counter[int]] = {}
    numbers: dict[Key, list[int]] = {}
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
        # As a cancellation may name it.
        for key in {(order, row["line"], None), (order, None, row["item"])}:
            numbers.setdefault(key, []).append(len(held))
        named.setdefault(row["item"], Counter())[price] += 1
        accepted["lines"] += 1
        accepted["units"] += quantity
    gone, left_out = _cancellations(cancelled, heads, numbers)
    orders = [
        BookOrder(
            order,
            head["customer"] or f"guest/{order}",
            head["region"] or mapping.get("region", ""),
            head["channel"] or mapping.get("channel", ""),
            head["event_ms"],
            tuple(lines[order]),
            head["requested_ms"] or 0,
            tuple(gone.get(order, ())),
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
        remarks=(
            BookRemark("prices rounded to the minor unit", rounded),
            *([BookRemark("cancellations without a time or an accepted line, left out", left_out)] if left_out else []),
        ),
    )
    check_accounts(book)
    if progress is not None:
        progress(len(rows), len(rows))
    return book


def _cancellations(
    rows: list[dict[str, Any]],
    heads: Mapping[str, Mapping[str, Any]],
    numbers: Mapping[Key, list[int]],
) -> tuple[dict[str, list[BookCancellation]], int]:
    """By order, in the order of their times, and how many have no time, or a line that was not accepted.

    What was given up before its order came is given up when it comes. Of orders that are not in the book none is known.
    """
    found: dict[str, list[BookCancellation]] = {}
    left_out = 0
    for row in rows:
        order = row["order"]
        if order not in heads:
            continue
        named = line_of(row)
        lines = numbers.get((order, row["line"], None if row["line"] else row["item"]), []) if named else []
        if row["event_ms"] is None or (named and not lines):
            left_out += 1
            continue
        at = max(row["event_ms"], heads[order]["event_ms"])
        found.setdefault(order, []).append(BookCancellation(at, tuple(lines)))
    for several in found.values():
        several.sort(key=lambda one: (one.at_ms, one.lines))
    return found, left_out


def _rows(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of `order_placed`, and those of `cancelled`, in the log's order."""
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
    placed, cancelled = (
        table.filter(pc.equal(table["activity"], name)).select(list(COLUMNS)).to_pylist()
        for name in ("order_placed", "cancelled")
    )
    if not placed:
        raise OrderBookError(str(path), "no order was placed in it", "give a log with the activity order_placed")
    return placed, cancelled
