"""Each line read falls under exactly one named rule; credits find the purchase they give back.

The order of the rules decides: no product, then the cancel prefix, then sign and price. What the
rules rest on is told in docs/order_book.md.
"""

from __future__ import annotations

from adapters.order_book.documents import Document, Line, Reading
from adapters.order_book.mapping import OrderBookMapping
from twin.order_book import (
    ACCEPTED,
    CREDITED,
    LISTED,
    REFUSED,
    STOCKED,
    BookAdjustment,
    BookCredit,
    BookItem,
    BookLine,
    BookOrder,
    BookRemark,
    OrderBook,
    RuleCount,
)

__all__ = ["build_book"]

_TREATMENTS = {
    "order_line": ACCEPTED,
    "missing_customer": ACCEPTED,
    "free_of_charge": ACCEPTED,
    "credit_matched": CREDITED,
    "credit_partly_matched": CREDITED,
    "credit_unmatched": LISTED,
    "stock_adjustment": STOCKED,
    "positive_credit": REFUSED,
    "zero_quantity": REFUSED,
    "negative_price": REFUSED,
}


class _Tally:
    """Lines and units by rule; rules of the adapter first, then those of the mapping by name."""

    def __init__(self) -> None:
        self._sums: dict[str, list[int]] = {rule: [0, 0] for rule in _TREATMENTS}

    def add(self, rule: str, units: int) -> None:
        sums = self._sums.setdefault(rule, [0, 0])
        sums[0] += 1
        sums[1] += units

    def counts(self) -> tuple[RuleCount, ...]:
        own = [rule for rule in self._sums if rule in _TREATMENTS]
        named = sorted(rule for rule in self._sums if rule not in _TREATMENTS)
        return tuple(RuleCount(rule, _TREATMENTS.get(rule, REFUSED), *self._sums[rule]) for rule in [*own, *named])


class _Names:
    """Most frequent description and price of each item, from the best witness there is."""

    def __init__(self) -> None:
        self._skus: dict[str, None] = {}
        self._seen: dict[str, dict[str, tuple[dict[str, int], dict[int, int]]]] = {"order": {}, "credit": {}}

    def add(self, line: Line, witness: str) -> None:
        self._skus.setdefault(line.sku)
        if witness in self._seen:
            texts, prices = self._seen[witness].setdefault(line.sku, ({}, {}))
            if line.description:
                texts[line.description] = texts.get(line.description, 0) + 1
            prices[line.price_minor] = prices.get(line.price_minor, 0) + 1

    def items(self) -> tuple[BookItem, ...]:
        found = []
        for sku in sorted(self._skus):
            texts, prices = self._seen["order"].get(sku) or self._seen["credit"].get(sku, ({}, {}))
            # max keeps the first of equals, and dicts keep the order of reading
            description = max(texts, key=texts.__getitem__) if texts else ""
            found.append(BookItem(sku, description, max(prices, key=prices.__getitem__) if prices else 0))
        return tuple(found)


def build_book(source: str, reading: Reading, mapping: OrderBookMapping) -> OrderBook:
    """The book, every line under its rule."""
    tally, names = _Tally(), _Names()
    orders: list[BookOrder] = []
    adjustments: list[BookAdjustment] = []
    to_credit: list[tuple[Document, int, Line]] = []
    no_product: dict[str, str | None] = {}
    for document in reading.documents.values():
        accepted: list[BookLine] = []
        cancels = mapping.cancel_prefix is not None and document.id.startswith(mapping.cancel_prefix)
        for number, line in enumerate(document.lines, start=1):
            if line.sku not in no_product:
                no_product[line.sku] = mapping.non_product_rule(line.sku)
            rule = no_product[line.sku] or _rule(document, line, cancels)
            if rule == "credit":
                to_credit.append((document, number, line))
                names.add(line, "credit")
                continue  # counted once it is known whether it matches
            tally.add(rule, line.quantity)
            treatment = _TREATMENTS.get(rule, REFUSED)
            if treatment == ACCEPTED:
                names.add(line, "order")
                accepted.append(BookLine(len(accepted) + 1, line.sku, line.quantity, line.price_minor, line.row))
            elif treatment == STOCKED:
                names.add(line, "adjustment")
                adjustments.append(
                    BookAdjustment(document.at_ms, line.sku, line.quantity, line.description or "blank", line.row)
                )
        if accepted:
            customer = _customer(document)
            orders.append(
                BookOrder(
                    order=document.id,
                    customer=customer,
                    region=mapping.region_of(customer, document.country),
                    channel=mapping.channel_of(document.customer, document.country),
                    at_ms=document.at_ms,
                    lines=tuple(accepted),
                )
            )
    orders.sort(key=lambda order: (order.at_ms, order.order))
    adjustments.sort(key=lambda adjustment: (adjustment.at_ms, adjustment.row))
    return OrderBook(
        source=source,
        encoding=mapping.encoding,
        currency_exponent=mapping.currency_exponent,
        read_lines=reading.lines,
        read_units=reading.units,
        orders=tuple(orders),
        credits=_match(orders, to_credit, tally),
        adjustments=tuple(adjustments),
        items=names.items(),
        counts=tally.counts(),
        remarks=(
            BookRemark("orders with several stamps, of which the earliest holds", reading.restamped),
            BookRemark("blocks of lines that resume an order after another order's lines", reading.resumed),
            BookRemark("item codes put into capitals", reading.recased),
            BookRemark("prices rounded to the minor unit", reading.rounded_prices),
        ),
    )


def _customer(document: Document) -> str:
    return document.customer or f"guest/{document.id}"


def _rule(document: Document, line: Line, cancels: bool) -> str:
    if line.quantity == 0:
        return "zero_quantity"
    if line.price_minor < 0:
        return "negative_price"
    if cancels:
        return "credit" if line.quantity < 0 else "positive_credit"
    if line.quantity < 0:
        return "stock_adjustment"
    if line.price_minor == 0:
        # Stock that is found again is posted as a document of one free line for nobody. Free lines
        # among others, or for a named customer, are goods that leave the house.
        alone = not document.customer and len(document.lines) == 1
        return "stock_adjustment" if alone else "free_of_charge"
    return "order_line" if document.customer else "missing_customer"


def _match(
    orders: list[BookOrder], to_credit: list[tuple[Document, int, Line]], tally: _Tally
) -> tuple[BookCredit, ...]:
    """Credits against the latest purchases first: a customer sends back what came last.

    A purchase counts as earlier by time, and by row where the times are equal. No unit is given back twice.
    """
    bought: dict[tuple[str, str], list[list[int]]] = {}
    purchases = sorted(
        ((order.at_ms, line.row, index, line) for index, order in enumerate(orders) for line in order.lines),
        key=lambda purchase: purchase[:2],
    )
    to_credit.sort(key=lambda item: (item[0].at_ms, item[2].row))
    credits: list[BookCredit] = []
    upcoming = 0
    for document, number, line in to_credit:
        while upcoming < len(purchases) and purchases[upcoming][:2] < (document.at_ms, line.row):
            _, _, index, purchase = purchases[upcoming]
            stack = bought.setdefault((orders[index].customer, purchase.sku), [])
            stack.append([index, purchase.line, purchase.quantity])
            upcoming += 1
        left = -line.quantity
        stack = bought.get((_customer(document), line.sku), [])
        while left and stack:
            latest = stack[-1]
            units = min(left, latest[2])
            credits.append(_credit(document, number, line, units, orders[latest[0]].order, latest[1]))
            left -= units
            latest[2] -= units
            if not latest[2]:
                stack.pop()
        if not left:
            rule = "credit_matched"
        else:
            rule = "credit_unmatched" if left == -line.quantity else "credit_partly_matched"
            credits.append(_credit(document, number, line, left, "", 0))
        tally.add(rule, line.quantity)
    credits.sort(key=lambda credit: (credit.at_ms, credit.credit, credit.line))
    return tuple(credits)


def _credit(document: Document, number: int, line: Line, units: int, order: str, order_line: int) -> BookCredit:
    return BookCredit(
        credit=document.id,
        line=number,
        at_ms=document.at_ms,
        customer=_customer(document),
        sku=line.sku,
        quantity=units,
        price_minor=line.price_minor,
        order=order,
        order_line=order_line,
        row=line.row,
    )
