"""Rows gathered into documents, and what makes two blocks of rows one document or a duplicate."""

from __future__ import annotations

from pathlib import Path

import msgspec

from adapters.order_book.cells import Cells
from adapters.order_book.mapping import OrderBookMapping
from adapters.order_book.reading import read_rows
from twin.order_book import OrderBookError, Progress

__all__ = ["Document", "Line", "Reading", "read_documents"]


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line as read; `price_minor` is that of one unit."""

    row: int
    sku: str
    description: str
    quantity: int
    price_minor: int


class Document(msgspec.Struct):
    """All lines under one id: an order, a credit note or an adjustment; `at_ms` is the earliest stamp."""

    id: str
    customer: str
    country: str
    at_ms: int
    lines: list[Line]
    restamped: bool = False


class Reading(msgspec.Struct, frozen=True):
    """Everything read, in the file's order of first appearance, and what was evened out on the way."""

    documents: dict[str, Document]
    lines: int
    units: int
    restamped: int
    recased: int
    rounded_prices: int
    resumed: int


def read_documents(path: Path, mapping: OrderBookMapping, progress: Progress | None) -> Reading:
    """The book's documents.

    Rows under one id are one document when customer, country and (within `same_order_within`) stamp
    agree. Blocks may interleave, as billing clerks working side by side leave them, as long as the rows
    in between are as close in time; otherwise the id was given twice. Raises `OrderBookError`.
    """
    cells = Cells(path, mapping)
    fields = list(mapping.columns)
    at = {field: index for index, field in enumerate(fields)}
    i_order, i_sku, i_quantity, i_at, i_price = (at[field] for field in ("order", "sku", "quantity", "at", "price"))
    i_description, i_customer, i_country = (at.get(field) for field in ("description", "customer", "country"))
    upper = mapping.sku_case == "upper"
    documents: dict[str, Document] = {}
    lines = units = recased = resumed = 0
    previous: Document | None = None
    previous_ms = 0
    for row, values in read_rows(path, mapping, progress):
        order = cells.name(row, values[i_order], "order", mapping.order)
        sku = cells.name(row, values[i_sku], "sku", mapping.sku)
        if upper and sku != sku.upper():
            recased += 1
            sku = cells.text(sku.upper())
        line = Line(
            row=row,
            sku=sku,
            description="" if i_description is None else cells.text(values[i_description]),
            quantity=cells.quantity(row, values[i_quantity]),
            price_minor=cells.price_minor(row, values[i_price]),
        )
        at_ms = cells.at_ms(row, values[i_at])
        customer = "" if i_customer is None else cells.text(values[i_customer])
        country = "" if i_country is None else cells.text(values[i_country])
        document = documents.get(order)
        if document is None:
            document = documents[order] = Document(order, customer, country, at_ms, [])
        else:
            between = None if document is previous else previous_ms
            _same_document(path, mapping, document, row, customer, country, at_ms, between)
            resumed += document is not previous
            if at_ms != document.at_ms:
                document.restamped = True
                document.at_ms = min(document.at_ms, at_ms)
        document.lines.append(line)
        lines += 1
        units += line.quantity
        previous, previous_ms = document, at_ms
    if not lines:
        raise OrderBookError(str(path), "has a header and no line", "export the book again, with its lines")
    restamped = sum(document.restamped for document in documents.values())
    return Reading(documents, lines, units, restamped, recased, cells.rounded_prices, resumed)


def _same_document(
    path: Path,
    mapping: OrderBookMapping,
    document: Document,
    row: int,
    customer: str,
    country: str,
    at_ms: int,
    between_ms: int | None,
) -> None:
    window = mapping.same_order_within
    if customer != document.customer:
        what = f"for customer {customer or '(none)'!r} here and {document.customer or '(none)'!r} there"
    elif country != document.country:
        what = f"for country {country!r} here and {document.country!r} there"
    elif abs(at_ms - document.at_ms) > window:
        what = f"stamped {abs(at_ms - document.at_ms) // 1000} s apart"
    elif mapping.order_lines == "together" and between_ms is not None and abs(between_ms - document.at_ms) > window:
        what = "after lines of another time, so it was written twice"
    else:
        return
    raise OrderBookError(
        f"{path}:{row}",
        f"duplicate order id {document.id!r}, first on line {document.lines[0].row}: {what}",
        "give each order its own id, or remove the second one (`same_order_within` and `order_lines` "
        "in the mapping say what counts as one order)",
    )
