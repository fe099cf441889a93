"""What the sample data says about two of the base businesses.

    python -m scenarios.base.estimate [DATA]

prints a value as it stands in the base business, where it stands, how many observations it is from, and a 95 %
interval: of a rate from the spread of its weeks (Student's t), of a share by Wilson, of a table around its median by
order statistics. DATA is the folder that holds `online_retail` and `olist`, ../shared/data unless given. Both samples
have caveats, and the comments in the businesses repeat those that matter: invoices for online_retail, no promises for
olist.
"""

from __future__ import annotations

import csv
import gzip
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple
from zoneinfo import ZoneInfo

from adapters.estimate import fit_zipf_mandelbrot, quantile_table
from adapters.order_book import load as load_book
from twin.experiment.statistics import student_quantile
from twin.order_book import BookOrder, OrderBook
from twin.scenario import load

__all__ = ["DATA", "Estimate", "main", "olist", "online_retail"]

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"

_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MS = 86_400_000
_WEEK_MS = 7 * _DAY_MS
_MONDAY_MS = 4 * _DAY_MS
"""The first Monday after 1970-01-01, a Thursday."""
_POINTS = 7
_Z = 1.959964

_SELLERS = {"seller_sp": ("SP",), "seller_pr": ("PR",)}
_REGIONS = {
    "sao_paulo": ("SP",),
    "southeast": ("RJ", "MG", "ES"),
    "south": ("PR", "SC", "RS"),
}
_FAR = "far"


class Estimate(NamedTuple):
    """One value of a base business: where it stands, as it stands there, from how many, between what."""

    where: str
    value: str
    n: int
    interval: str
    what: str


def online_retail(folder: Path = DATA) -> Iterator[Estimate]:
    """What `national_wholesale.yaml` takes from the Online Retail sample, by the mapping of `online_retail.yaml`."""
    mapping = load(ROOT / "scenarios" / "online_retail.yaml").order_book
    assert mapping is not None
    book = load_book(folder / "online_retail" / "orders_2010-03_2010-04.csv.gz", mapping.mapping)
    for channel, source in (("trade", "inside_sales"), ("web", "web"), ("export", "marketplace")):
        orders = [order for order in book.orders if order.channel == source]
        yield from _channel(f"channels.{channel}.demand", orders)
        if channel == "export":
            for region in ("eu", "overseas"):
                hits = sum(order.region == region for order in orders)
                where = f"channels.{channel}.demand.regions.{region}"
                yield Estimate(where, str(hits), len(orders), _wilson(hits, len(orders)), "orders to there")
    prices = _prices(book)
    yield _table("assortment.price", prices, _pounds, "list prices of the items sold")
    yield Estimate("assortment.count", str(len(prices)), len(book.orders), "a count", "items sold at a price")


def _channel(where: str, orders: Sequence[BookOrder]) -> Iterator[Estimate]:
    at = [order.at_ms for order in orders]
    yield _per_week(f"{where}.orders", at)
    yield from _profile(where, at)
    lines = [len(order.lines) for order in orders]
    units = [line.quantity for order in orders for line in order.lines]
    yield _table(f"{where}.lines_per_order", lines, str, "lines of an order")
    yield _table(f"{where}.quantity_per_line", units, str, "units of a line")
    by_item: dict[str, int] = {}
    for order in orders:
        for line in order.lines:
            by_item[line.sku] = by_item.get(line.sku, 0) + 1
    skew = fit_zipf_mandelbrot(by_item.values())
    exponent = f"{skew.exponent_hundredths / 100:.2f}"
    top = skew.items // 5
    found = sum(sorted(by_item.values(), reverse=True)[:top]) / len(units)
    fit = f"top fifth {100 * found:.0f} % of the lines, {100 * skew.top_share(top):.0f} % by the fit"
    yield Estimate(f"{where}.item_skew.exponent", exponent, len(units), fit, "by maximum likelihood")
    yield Estimate(f"{where}.item_skew.shift", str(skew.shift), len(units), "as above", "by maximum likelihood")
    yield Estimate(f"{where}.item_skew.items", str(skew.items), len(units), "a count", "items ordered here")


def _prices(book: OrderBook) -> list[int]:
    sold = {line.sku for order in book.orders for line in order.lines}
    return [item.price_minor for item in book.items if item.sku in sold and item.price_minor > 0]


def olist(folder: Path = DATA) -> Iterator[Estimate]:
    """What `marketplace_dropship.yaml` takes from the olist sample: durations and rhythm, no promises."""
    with gzip.open(folder / "olist" / "orders_before_2018-05.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    recent = [_ms(row["purchased_at"]) for row in rows if "2018-01-01" <= row["purchased_at"] < "2018-04-30"]
    yield _per_week("channels.market.demand.orders", recent)
    yield from _profile("channels.market.demand", recent)
    door = sorted(_hours(rows, "purchased_at", "delivered_at", longest=0))
    days = -(-door[len(door) * 9 // 10] // 24)
    in_time = sum(hours <= 24 * days for hours in door)
    yield Estimate(
        "channels.market.requested",
        f"{days}d",
        len(door),
        _wilson(in_time, len(door)),
        "whole days in which nine in ten are delivered",
    )
    items = [int(float(row["n_items"])) for row in rows if row["n_items"]]
    yield _table("channels.market.demand.lines_per_order", items, str, "items of an order")
    for region in (*_REGIONS, _FAR):
        hits = sum(_region(row["customer_state"]) == region for row in rows)
        where = f"channels.market.demand.regions.{region}"
        yield Estimate(where, str(hits), len(rows), _wilson(hits, len(rows)), "orders to these states")
    for seller, states in _SELLERS.items():
        own = [row for row in rows if row["seller_state"] in states]
        handling = sorted(_hours(own, "approved_at", "handed_to_carrier_at"))
        yield Estimate(
            f"suppliers.{seller}.drop_ship.handling",
            f"{handling[len(handling) // 2]}h",
            len(handling),
            _of_median(handling, "{}h".format),
            "median, from approval to the carrier",
        )
        for region in (*_REGIONS, _FAR):
            there = [row for row in own if _region(row["customer_state"]) == region]
            transit = _hours(there, "handed_to_carrier_at", "delivered_at")
            yield _table(f"lanes.{seller}/{region}.transit", transit, "{}h".format, "from the carrier to the customer")
            freight = sorted(round(100 * float(row["freight"])) for row in there if row["freight"])
            yield Estimate(
                f"lanes.{seller}/{region}.cost.shipment",
                f"{freight[len(freight) // 2] / 100:.2f} USD",
                len(freight),
                _of_median(freight, lambda minor: f"{minor / 100:.2f}"),
                "median freight, reais taken for dollars",
            )


def _region(state: str) -> str:
    return next((region for region, states in _REGIONS.items() if state in states), _FAR)


def _ms(text: str) -> int:
    """A time of the sample as UTC; it is written in the time of São Paulo."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("America/Sao_Paulo")).timestamp() * 1000)


def _hours(rows: Iterable[dict[str, str]], begin: str, end: str, longest: int = 3) -> list[int]:
    """Whole hours, rounded up, without those that end before they begin and the per cent that takes longest."""
    found = sorted(math.ceil((_ms(row[end]) - _ms(row[begin])) / 3_600_000) for row in rows if row[begin] and row[end])
    found = [hours for hours in found if hours > 0]
    return found[: len(found) - longest * len(found) // 100]


def _per_week(where: str, at: Sequence[int]) -> Estimate:
    """Orders of a week; the interval is of the mean of whole weeks from Monday."""
    by_week: dict[int, int] = {}
    for one in at:
        week = (one - _MONDAY_MS) // _WEEK_MS
        by_week[week] = by_week.get(week, 0) + 1
    days = max(at) // _DAY_MS - min(at) // _DAY_MS + 1
    first, last = min(by_week), max(by_week)
    whole = [by_week.get(week, 0) for week in range(first + 1, last)]
    half = student_quantile(0.975, len(whole) - 1) * stdev(whole) / math.sqrt(len(whole))
    mean = fmean(whole)
    interval = f"{mean - half:.0f} to {mean + half:.0f} in {len(whole)} whole weeks"
    return Estimate(where, f"{round(len(at) * 7 / days)}/week", len(at), interval, "orders a week")


def _profile(where: str, at: Sequence[int]) -> Iterator[Estimate]:
    hours = {day: [0] * 24 for day in _WEEK}
    for one in at:
        day, rest = divmod(one - _MONDAY_MS, _DAY_MS)
        hours[_WEEK[day % 7]][rest // 3_600_000] += 1
    for weekday, counts in hours.items():
        n = sum(counts)
        yield Estimate(f"{where}.profile.{weekday}", f"{counts}", n, _wilson(n, len(at)), "orders by hour, UTC")


def _table(where: str, values: Sequence[int], shown: Callable[[int], str], what: str) -> Estimate:
    knots = quantile_table(values, _POINTS)
    text = ", ".join(f"[{_percent(ppm)}, {shown(value)}]" for ppm, value in knots)
    return Estimate(where, f"[{text}]", len(values), _of_median(sorted(values), shown), f"{what}, quantiles")


def _percent(ppm: int) -> str:
    return f"{ppm / 10_000:.4f}".rstrip("0").rstrip(".") + "%"


def _pounds(minor: int) -> str:
    return f"{minor / 100:.2f} GBP"


def _of_median(ranked: Sequence[int], shown: Callable[[int], str]) -> str:
    half = _Z * math.sqrt(len(ranked)) / 2
    low, high = max(0, math.floor(len(ranked) / 2 - half)), min(len(ranked) - 1, math.ceil(len(ranked) / 2 + half))
    return f"median {shown(ranked[len(ranked) // 2])}, {shown(ranked[low])} to {shown(ranked[high])}"


def _wilson(hits: int, n: int) -> str:
    share, z2 = hits / n, _Z * _Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return f"{100 * (middle - half):.1f} to {100 * (middle + half):.1f} % of {n}"


def main(arguments: Sequence[str]) -> int:
    """Print all estimates; 2 without the data."""
    folder = Path(arguments[0]) if arguments else DATA
    for name, business, estimates in (
        ("online_retail", "national_wholesale", online_retail),
        ("olist", "marketplace_dropship", olist),
    ):
        if not (folder / name).is_dir():
            print(f"{folder / name} is not there; name the folder that holds {name}", file=sys.stderr)
            return 2
        print(f"# {business}.yaml, from {name}")
        for one in estimates(folder):
            print(f"{one.where}: {one.value}    # n={one.n}; {one.interval}; {one.what}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
