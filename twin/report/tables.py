"""The tables of the report, as text that is ready to be put on the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Final, NamedTuple, TypeVar

from twin.measures.accounts import Accounts, BookCounts, Tally
from twin.measures.measured import Exact, Measured
from twin.report.grid import DAY_MS, HOUR_MS, date_text, instant_text
from twin.report.picture import ChannelRow, Picture
from twin.report.words import count, duration, money, percent, plural, rounded

__all__ = [
    "Head",
    "Row",
    "Table",
    "book_tables",
    "by_bucket",
    "by_channel",
    "by_site",
    "exception_tables",
    "measure_tables",
    "sourcing_tables",
    "value_text",
]

_Row = TypeVar("_Row")

FIRST: Final = 8
"""Exceptions of each kind that are listed."""


class Head(NamedTuple):
    """A column; `style` n is for numbers, wrap for prose, id for identifiers."""

    text: str
    style: str = ""


class Row(NamedTuple):
    """Cells of one row; `kind` is empty, total or group (one cell over the whole width)."""

    cells: tuple[str, ...]
    kind: str = ""


class Table(NamedTuple):
    """A table with its heading and a note below it."""

    title: str
    head: tuple[Head, ...]
    rows: list[Row]
    note: str = ""


def _head(text: str, *numbers: str) -> tuple[Head, ...]:
    return (Head(text), *(Head(number, "n") for number in numbers))


# --- measures

GROUPS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "Service",
        (
            "otif_to_request",
            "otif_to_request/class=A",
            "otif_to_request/class=B",
            "otif_to_request/class=C",
            "otif_to_promise",
            "delivered_in_full",
            "order_fill_rate",
            "line_fill_rate",
            "unit_fill_rate",
            "cycle_service_level",
            "ready_rate",
        ),
    ),
    (
        "Time",
        (
            "order_cycle_time",
            "order_cycle_time/p50",
            "order_cycle_time/p90",
            "order_cycle_time/segment=capture_to_release",
            "order_cycle_time/segment=release_to_ship",
            "order_cycle_time/segment=ship_to_deliver",
            "promise_lead_time",
            "promise_accuracy",
            "supplier_response_time",
        ),
    ),
    (
        "Shortage",
        (
            "backordered_units",
            "backorder_age/max",
            "backorder_unit_days",
            "reservation_expired_units",
            "time_shortage_to_purchase_order",
            "oversell_rate",
        ),
    ),
    (
        "Integrity",
        (
            "touchless_rate",
            "order_fallout",
            "dead_letters",
            "retry_amplification",
            "duplicate_effect_count",
            "lost_effect_count",
            "illegal_transition_count",
            "invoices_before_ship",
            "double_billed_value",
            "inventory_record_accuracy",
            "mean_master_data_mismatches",
            "orders_hit_by_master_data",
        ),
    ),
    ("Money", ("revenue", "cost_of_goods", "freight", "holding", "ordering", "penalty", "margin")),
)
"""The key measures by heading; one that a run does not have is left out."""

_TIME_WEIGHTED: Final = (
    "ready_rate",
    "divergence_time_share",
    "mean_on_hand",
    "mean_available",
    "mean_backordered",
    "mean_master_data_mismatches",
)
"""Means over time: numerator and denominator are integrals in ms, shown in days."""

_WHOLE_RATIOS: Final = ("bullwhip_ratio", "retry_amplification", "collateral_delay_ratio")
"""Ratios that are factors, not shares."""


def measure_tables(measures: Mapping[str, Measured], currency: str) -> tuple[Table, Table]:
    """The key measures by heading, and all others."""
    head = (
        Head("Measure"),
        Head("Value", "n"),
        Head("Numerator", "n"),
        Head("Denominator", "n"),
        Head("Kind"),
        Head("Counted by", "wrap"),
    )
    key: list[Row] = []
    shown: dict[str, None] = {}
    for heading, names in GROUPS:
        found = [measures[name] for name in names if name in measures]
        if found:
            key.append(Row((heading,), "group"))
        for measured in found:
            shown[measured.name] = None
            key.append(_measure_row(measured, currency))
    rest = [_measure_row(measured, currency) for name, measured in measures.items() if name not in shown]
    note = (
        "Kind L is computed from the log alone, as it would be from a production log; T needs the truth that only the "
        "twin has; P compares a pair of runs."
    )
    return Table("Measures", head, key, note), Table("", head, rest)


def _measure_row(measured: Measured, currency: str) -> Row:
    name, _, part = measured.name.partition("/")
    label = ", ".join([name, *part.split(",")] if part else [name]).replace("=", " ").replace("_", " ")
    window = measured.window + (f" ({measured.note})" if measured.note else "")
    numerator, denominator = (
        "" if sum_ is None else _sum_text(sum_, name, unit, currency)
        for sum_, unit in ((measured.numerator, measured.unit), (measured.denominator, ""))
    )
    return Row((label, value_text(measured, currency), numerator, denominator, measured.kind, window))


def _sum_text(value: Exact, name: str, unit: str, currency: str) -> str:
    if name in _TIME_WEIGHTED:
        return duration(round(value))
    return _amount(value, unit if unit in ("ms", "minor") else "", currency)


def value_text(measured: Measured, currency: str) -> str:
    """The value with its unit, as people write it; shares in percent, times in days or hours."""
    value = measured.value
    if value is None:
        return "–"
    if measured.unit == "ratio" and measured.name.partition("/")[0] not in _WHOLE_RATIOS:
        share = Fraction(value) * 100
        if 0 < share < Fraction(1, 200):
            return "< 0.01 %"
        return f"{rounded(share, 2)} %"
    text = _amount(value, measured.unit, currency)
    plain = measured.unit in ("ratio", "count", "ms", "minor", "")
    return text if plain else f"{text} {measured.unit.replace('_', ' ')}"


def _amount(value: Exact, unit: str, currency: str) -> str:
    if unit == "ms":
        return duration(round(value))
    if unit == "minor":
        return money(value, currency)
    if Fraction(value).denominator == 1:
        return rounded(value, 0)
    return rounded(value, 3 if abs(Fraction(value)) < 1000 else 1)


# --- the business


def by_channel(picture: Picture, currency: str) -> Table:
    """What came in through each channel and how it was served."""
    rows = [Row((name, *_channel(row, currency))) for name, row in picture.channels.items()]
    total = ChannelRow()
    for row in picture.channels.values():
        for field in ChannelRow.__struct_fields__:
            setattr(total, field, getattr(total, field) + getattr(row, field))
    if len(rows) > 1:
        rows.append(Row(("all", *_channel(total, currency)), "total"))
    head = _head(
        "Channel",
        "orders",
        "lines",
        "units",
        f"ordered, {currency}",
        "due",
        "in full, on time",
        "withdrawn",
        "refused",
        "open",
        "units rejected",
        "units canceled",
    )
    note = (
        "Due: the requested date lies in the measured window; orders that never shipped or were refused fail, those "
        "that the customer withdrew in time are not among them. Withdrawn, refused and open are orders."
    )
    return Table("By channel", head, rows, note)


def _channel(row: ChannelRow, currency: str) -> tuple[str, ...]:
    return (
        count(row.orders),
        count(row.lines),
        count(row.units),
        money(row.value_minor, currency, whole=True).removesuffix(currency).strip(),
        count(row.due),
        percent(row.on_time, row.due),
        count(row.withdrawn),
        count(row.refused),
        count(row.open_orders),
        count(row.rejected_units),
        count(row.cancelled_units),
    )


def by_site(picture: Picture, currency: str) -> Table:
    """What each warehouse shipped, received and holds."""

    def cells(values: Sequence[int], freight: int, value: int) -> tuple[str, ...]:
        texts = [count(number) for number in values]
        amounts = [money(minor, currency, whole=True).removesuffix(currency).strip() for minor in (freight, value)]
        return (*texts[:2], amounts[0], *texts[2:6], amounts[1], texts[6])

    rows: list[Row] = []
    totals = [0] * 9
    for node, site in picture.sites.items():
        numbers = [
            sum(site.parcels),
            sum(site.shipped_units),
            site.purchase_orders,
            site.received_units,
            site.corrections,
            site.units,
            site.waiting,
        ]
        rows.append(Row((node, *cells(numbers, site.freight_minor, site.value))))
        totals = [
            total + number for total, number in zip(totals, [*numbers, site.freight_minor, site.value], strict=True)
        ]
    if len(rows) > 1:
        rows.append(Row(("all", *cells(totals[:7], totals[7], totals[8])), "total"))
    head = _head(
        "Warehouse",
        "parcels",
        "units shipped",
        f"freight, {currency}",
        "purchase orders",
        "units received",
        "corrections",
        "on hand at end",
        f"worth, {currency}",
        "units awaited",
    )
    return Table(
        "By warehouse",
        head,
        rows,
        "Corrections: units that counts and adjustments added or took away, with their sign.",
    )


def sourcing_tables(picture: Picture, measures: Mapping[str, Measured]) -> list[Table]:
    """Which way lines went, and which rule decided it."""
    mixed = [(name.partition("=")[2], found) for name, found in measures.items() if name.startswith("path_mix/path=")]
    paths = [
        Row(
            (
                path,
                _amount(found.numerator or 0, "", ""),
                percent(int(found.numerator or 0), int(found.denominator or 0)),
            )
        )
        for path, found in sorted(mixed, key=lambda row: (-int(row[1].numerator or 0), row[0]))
    ]
    all_legs = sum(legs for legs, _ in picture.routes.values())
    rules = [
        Row((route, rule.replace("_", " ").replace(":", ", by "), count(legs), percent(legs, all_legs), count(units)))
        for (route, rule), (legs, units) in sorted(picture.routes.items(), key=lambda row: (-row[1][0], row[0]))
    ]
    return [
        Table(
            "Which way lines went",
            _head("Path", "lines", "share"),
            paths,
            "Order lines by the first decision about them; a line may go several ways at once.",
        ),
        Table(
            "What decided it",
            (Head("Route"), Head("Rule"), Head("decisions", "n"), Head("share", "n"), Head("units", "n")),
            rules,
            "One decision a line and node, by the first rule that told the candidates apart; after "
            "“short” comes what chose the place to wait at.",
        ),
    ]


# --- the books


def book_tables(accounts: Accounts, book: BookCounts | None) -> tuple[list[Table], list[str]]:
    """Lines and units, stock, and the order book by rule; with them what does not agree."""
    differences = list(accounts.differences)
    tables: list[Table] = []
    if book is not None:
        tables.append(_read_table(book))
    tables.append(_ended_table(accounts, book))
    if accounts.stock:
        tables.append(_stock_table(accounts))
    return tables, differences


def _tally(label: str, tally: Tally, kind: str = "") -> Row:
    return Row((label, count(tally.lines), count(tally.units)), kind)


def _read_table(book: BookCounts) -> Table:
    rows: list[Row] = []
    for counted in sorted(
        book.counts, key=lambda row: ("accepted", "credited", "listed", "stock", "refused").index(row.treatment)
    ):
        if counted.lines:
            label = f"{counted.rule.replace('_', ' ')}: {counted.treatment}"
            rows.append(_tally(label, Tally(counted.lines, counted.units)))
    rows.append(_tally("read", Tally(book.read_lines, book.read_units), "total"))
    remarks = "; ".join(f"{remark.remark}: {count(remark.count)}" for remark in book.remarks)
    return Table(
        f"Lines of {book.source}, by rule",
        _head("Rule: what became of it", "lines", "units"),
        rows,
        remarks and f"{remarks}.",
    )


def _ended_table(accounts: Accounts, book: BookCounts | None) -> Table:
    rows: list[Row] = []
    if book is not None:
        accepted = Tally()
        for counted in book.counts:
            if counted.treatment == "accepted":
                accepted.add(counted.lines, counted.units)
        rows.append(_tally("accepted from the book", accepted))
        for label, part in (
            ("− outside the time of the run", book.outside),
            ("− after the run was stopped", book.inside - book.due),
            ("− on the way to the engine at the end", book.under_way),
        ):
            if part.lines:
                rows.append(_tally(label, Tally(part.lines, part.units)))
    if accounts.refused.lines:
        why = ", ".join(f"{code} {count(orders)}" for code, orders in accounts.refused_orders.items())
        rows.append(_tally(f"refused by the engine ({why} orders)", accounts.refused))
    rows.append(_tally("captured", accounts.captured, "total"))
    rows.append(_tally("= delivered", accounts.delivered))
    rows.append(_tally("+ canceled", accounts.cancelled))
    rows.append(_tally("+ rejected", accounts.rejected))
    rows.append(_tally("+ open at the end", accounts.open))
    credits = [
        f"{plural(accounts.credits_issued.lines, 'credit')} of {plural(accounts.credits_issued.units, 'unit')} issued"
    ]
    if accounts.credits_cancelled_units:
        credits.append(f"{plural(accounts.credits_cancelled_units, 'unit')} canceled by a credit before they shipped")
    if accounts.credits_rejected.lines:
        credits.append(f"{plural(accounts.credits_rejected.units, 'unit')} rejected: nothing of it was billed")
    if accounts.credits_remainder.lines:
        credits.append(f"{plural(accounts.credits_remainder.units, 'unit')} asked for beyond what was billed")
    if accounts.credits_refused:
        credits.append("refused: " + ", ".join(f"{code} {count(n)}" for code, n in accounts.credits_refused.items()))
    if accounts.credits_waiting:
        credits.append(f"{count(accounts.credits_waiting)} waiting")
    return Table(
        "Order lines and units",
        _head("", "lines", "units"),
        rows,
        "; ".join(credits) + "." if accounts.credits_issued.lines or len(credits) > 1 else "",
    )


def _stock_table(accounts: Accounts) -> Table:
    names = (
        ("stock.opening", "opening stock"),
        ("stock.received", "+ received"),
        ("stock.adjusted", "+ adjusted"),
        ("stock.shrunk", "+ shrunk"),
        ("stock.shipped", "+ shipped"),
    )
    rows = [Row((label, count(accounts.stock.get(name, 0)))) for name, label in names]
    rows.append(Row(("= in the buildings at the end", count(accounts.stock.get("stock.closing", 0))), "total"))
    places = f"{plural(accounts.items, 'item')}, {plural(accounts.cells, 'shelf', 'shelves')}"
    note = f"Physical units, checked item by item: {places}."
    return Table("Stock", _head("", "units"), rows, note)


# --- exceptions and series


def exception_tables(picture: Picture, currency: str) -> list[Table]:
    """The first few of what waits for somebody: dead letters, held orders, the oldest backorders."""
    end = picture.end_ms
    tables: list[Table] = []
    head: tuple[Head, ...]
    if picture.dead:
        rows = [
            Row((dead.delivery, count(dead.attempts), dead.reason, instant_text(dead.at), duration(end - dead.at)))
            for dead in _first(picture.dead.values())
        ]
        head = (
            Head("Delivery", "id"),
            Head("attempts", "n"),
            Head("reason"),
            Head("given up, UTC"),
            Head("age at end", "n"),
        )
        tables.append(Table(_of(len(rows), len(picture.dead), "dead letter", "dead letters"), head, rows))
    if picture.held:
        rows = [
            Row((held.order, held.reason, instant_text(held.at), duration(end - held.at)))
            for held in _first(picture.held.values())
        ]
        head = (Head("Order", "id"), Head("reason"), Head("held, UTC"), Head("age at end", "n"))
        tables.append(Table(_of(len(rows), len(picture.held), "held order", "held orders"), head, rows))
    if picture.backorders:
        rows = [
            Row(
                (
                    wait.order,
                    count(wait.line),
                    wait.sku,
                    wait.channel,
                    wait.node,
                    count(wait.units),
                    money(wait.value_minor, currency),
                    date_text(wait.since),
                    duration(end - wait.since),
                )
            )
            for wait in _first(picture.backorders)
        ]
        head = (
            Head("Order", "id"),
            Head("line", "n"),
            Head("item", "id"),
            Head("channel"),
            Head("waits at"),
            Head("units", "n"),
            Head("worth", "n"),
            Head("since", "n"),
            Head("age at end", "n"),
        )
        title = _of(len(rows), len(picture.backorders), "backordered line", "backordered lines", "oldest")
        note = (
            "The command twin explain RUN ORDER tells the whole story of one order, with the reason for each decision."
        )
        tables.append(Table(title, head, rows, note))
    return tables


def _first(rows: Iterable[_Row]) -> list[_Row]:
    return list(rows)[:FIRST]


def _of(shown: int, there: int, noun: str, nouns: str, which: str = "first") -> str:
    if shown < there:
        return f"The {which} {shown} of {count(there)} {nouns}"
    return plural(there, noun, nouns)


def by_bucket(picture: Picture) -> Table:
    """The series of the charts, one row a bucket."""
    grid = picture.grid
    rows: list[Row] = []
    for bucket in range(grid.count):
        at = grid.start_of(bucket)
        when = instant_text(at) if grid.width_ms == HOUR_MS else date_text(at, year=True)
        numbers = (
            picture.captured,
            picture.due,
            picture.shipped,
            picture.delivered,
            picture.open_orders,
            picture.waiting,
            picture.working,
            picture.in_transit,
        )
        on_hand = sum(site.on_hand[bucket] for site in picture.sites.values())
        parcels = sum(site.parcels[bucket] for site in picture.sites.values())
        rows.append(Row((when, *(count(series[bucket]) for series in numbers), count(parcels), count(on_hand))))
    head = _head(
        f"{grid.name} from, UTC" if grid.width_ms != DAY_MS else "Day, UTC",
        "orders captured",
        "due",
        "shipped",
        "delivered",
        "open orders",
        "units waiting for stock",
        "in the works",
        "on the way",
        "parcels",
        "units on hand",
    )
    return Table(grid.name, head, rows, "Flows are sums over the row's time, levels are those at its end.")
