"""A generated order book's parameters, estimated from a real one.

    python -m adapters.estimate BOOK MAPPING.yaml > demand.yaml

prints a YAML fragment. Each parameter carries a comment that says how it was got. Everything but the
item skew is counted in integers; the skew is rounded far above the noise of the last float digit, so
the fragment is the same on every machine.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from adapters.order_book import load
from twin.order_book import ACCEPTED, BookOrder, OrderBook, OrderBookError

__all__ = ["QuantileTable", "ZipfMandelbrot", "estimate", "fit_zipf_mandelbrot", "main", "quantile_table"]

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
# 1970-01-01 was a Thursday.
_WEEKDAYS = ("thu", "fri", "sat", "sun", "mon", "tue", "wed")
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PPM = 1_000_000
_POINTS = 14
_WEIGHT_SCALE = 100

QuantileTable = tuple[tuple[int, int], ...]
"""(probability in parts per million, value), neither falling, from 0 to 1,000,000; straight between.

Two points of one probability make a jump, two of one value an atom.
"""


class ZipfMandelbrot(msgspec.Struct, frozen=True):
    """P(rank) ∝ 1 / (rank + shift)^exponent over ranks 1 to `items` (Mandelbrot 1953).

    `exponent_hundredths` is the exponent times 100.
    """

    items: int
    exponent_hundredths: int
    shift: int

    def top_share(self, top: int) -> float:
        """Share of all draws that fall on the `top` first ranks."""
        weights = [(rank + self.shift) ** (-self.exponent_hundredths / 100) for rank in range(1, self.items + 1)]
        return math.fsum(weights[:top]) / math.fsum(weights)


def quantile_table(values: Iterable[int], points: int = _POINTS) -> QuantileTable:
    """A table of at most `points` whose linear interpolation lies near the values' quantile function.

    Knots are added one at a time where they take away most of the area between the two curves, the
    measure under which the mean is kept too. Raises `ValueError` without values.
    """
    curve = _quantile_curve(values)
    knots = [0, len(curve) - 1]
    areas = [_area(curve, 0, len(curve) - 1)]
    while len(knots) < points:
        worst = max(range(len(areas)), key=areas.__getitem__)
        if areas[worst] == 0:
            break
        left, right = knots[worst], knots[worst + 1]
        middle = min(
            range(left + 1, right),
            key=lambda i: _area(curve, left, i) + _area(curve, i, right),
        )
        knots.insert(worst + 1, middle)
        areas[worst : worst + 1] = [_area(curve, left, middle), _area(curve, middle, right)]
    return tuple(curve[knot] for knot in knots)


def _quantile_curve(values: Iterable[int]) -> list[tuple[int, int]]:
    """The quantile step function as its corner points."""
    tally: dict[int, int] = {}
    for value in values:
        tally[value] = tally.get(value, 0) + 1
    if not tally:
        raise ValueError("a quantile table needs at least one value")
    total = sum(tally.values())
    curve: list[tuple[int, int]] = []
    passed = 0
    for value in sorted(tally):
        foot = passed * _PPM // total
        passed += tally[value]
        end = passed * _PPM // total
        curve += [(foot, value), (end, value)]
    return curve


def _area(curve: Sequence[tuple[int, int]], left: int, right: int) -> Fraction:
    """Area between the curve and its chord; a little too large where the two cross between corners."""
    (p0, v0), (p1, v1) = curve[left], curve[right]
    if p0 == p1:
        return Fraction(0)  # a jump of the step function itself
    area2 = 0
    previous_p, previous_gap = p0, 0
    for p, v in curve[left + 1 : right + 1]:
        # gaps are kept times (p1 - p0), so that they stay whole
        gap = (v - v0) * (p1 - p0) - (v1 - v0) * (p - p0)
        area2 += (abs(gap) + abs(previous_gap)) * (p - previous_p)
        previous_p, previous_gap = p, gap
    return Fraction(area2, 2 * (p1 - p0))


def table_mean(table: QuantileTable) -> Fraction:
    """Mean of draws from the table by linear interpolation, unrounded."""
    return sum(
        (Fraction((v0 + v1) * (p1 - p0), 2 * _PPM) for (p0, v0), (p1, v1) in pairwise(table)),
        Fraction(0),
    )


def fit_zipf_mandelbrot(counts: Iterable[int]) -> ZipfMandelbrot:
    """Exponent and shift of greatest likelihood for the counts, the largest being rank 1.

    Maximizes -s Σ n_r ln(r + q) - N ln Σ (r + q)^-s over the exponent s in steps of 0.01 and whole
    shifts q (Izsák 2006, Scientometrics 67, gives the likelihood). Ranks are those of the sample, which
    makes the fit a little too steep for items sold a few times. Raises `ValueError` with fewer than two
    items.
    """
    ranked = sorted((count for count in counts if count > 0), reverse=True)
    if len(ranked) < 2:
        raise ValueError("an item skew needs at least two items that were sold")
    total = sum(ranked)

    def at_shift(shift: int) -> tuple[float, int]:
        logs = [math.log(rank + shift) for rank in range(1, len(ranked) + 1)]
        weighted = math.fsum(count * log for count, log in zip(ranked, logs, strict=True))

        def likelihood(hundredths: int) -> float:
            s = hundredths / 100
            return -s * weighted - total * math.log(math.fsum(math.exp(-s * log) for log in logs))

        best = _peak(likelihood, 0, 1_000)
        return likelihood(best), best

    known: dict[int, tuple[float, int]] = {}

    def height(shift: int) -> float:
        if shift not in known:
            known[shift] = at_shift(shift)
        return known[shift][0]

    shift = _peak(height, 0, 4 * len(ranked))
    return ZipfMandelbrot(len(ranked), known[shift][1], shift)


def _peak(height: Callable[[int], float], low: int, high: int) -> int:
    """The whole number with the greatest height, for a height that rises and then falls."""
    while high - low > 2:
        third = (high - low) // 3
        if height(low + third) < height(high - third):
            low += third
        else:
            high -= third
    return max(range(low, high + 1), key=height)


def estimate(book: OrderBook) -> str:
    """The YAML fragment: demand as a whole, then the same for each channel.

    Raises `ValueError` for a book with no accepted order or fewer than two items sold.
    """
    if not book.orders:
        raise ValueError("the book has no accepted order to estimate from")
    span = _Span(book.orders[0].at_ms // _DAY_MS, book.orders[-1].at_ms // _DAY_MS)
    sold = {line.sku: None for order in book.orders for line in order.lines}
    prices = [item.price_minor for item in book.items if item.sku in sold and item.price_minor > 0]

    def major(minor: int) -> str:
        return str(Decimal(minor).scaleb(-book.currency_exponent))

    out = [
        f"# Estimated from {book.source}: {len(book.orders)} accepted orders with {book.lines_of(ACCEPTED)}",
        f"# lines and {book.units_of(ACCEPTED)} units on {span.days} days, from the first to the last",
        "# order's day (UTC), days without orders included. Credits, stock adjustments and codes that",
        "# are no products are left out. Arrivals have the rhythm of the book (for a book of invoices",
        "# that of billing), and only demand that was met is in it.",
        *_demand(book.orders, span, ""),
        f"  # quantiles over {len(prices)} items, each with its most frequent price; major units",
        f"  price: {_table(quantile_table(prices), major)}",
        "  # share of orders; the mapping's rules give an order its channel",
        f"  channels: {_shares([order.channel for order in book.orders])}",
        "channels:",
    ]
    for channel in _distinct(order.channel for order in book.orders):
        own = [order for order in book.orders if order.channel == channel]
        out += [f"  - id: {channel}", *_demand(own, span, "    ")]
    return "\n".join(out) + "\n"


class _Span:
    """Whole days, by number since the epoch."""

    def __init__(self, first: int, last: int) -> None:
        self.days = last - first + 1
        self.by_weekday = dict.fromkeys(_WEEK, 0)
        for day in range(first, last + 1):
            self.by_weekday[_WEEKDAYS[day % 7]] += 1


def _demand(orders: Sequence[BookOrder], span: _Span, indent: str) -> list[str]:
    baskets = [len(order.lines) for order in orders]
    quantities = [line.quantity for order in orders for line in order.lines]
    by_item: dict[str, int] = {}
    for order in orders:
        for line in order.lines:
            by_item[line.sku] = by_item.get(line.sku, 0) + 1
    regions = _distinct(order.region for order in orders)
    weights = {region: sum(order.region == region for order in orders) for region in regions}
    basket_table, quantity_table = quantile_table(baskets), quantile_table(quantities)
    out = [
        "demand:",
        "  kind: generated",
        f"  # {len(orders)} orders in {span.days} days",
        f"  orders: {max(1, _rounded(Fraction(len(orders) * 7, span.days)))}/week",
        f"  # orders per {_WEIGHT_SCALE} such hours, by weekday and hour, UTC",
        "  profile:",
        *_profile(orders, span),
        f"  # {_means(baskets, basket_table)}",
        f"  lines_per_order: {_table(basket_table, str)}",
        f"  # {_means(quantities, quantity_table)}",
        f"  quantity_per_line: {_table(quantity_table, str)}",
    ]
    if len(by_item) > 1:
        skew = fit_zipf_mandelbrot(by_item.values())
        exponent = _decimal(Fraction(skew.exponent_hundredths, 100))
        tops = (skew.items // 100, skew.items // 5)
        ranked = sorted(by_item.values(), reverse=True)
        book_shares = "/".join(f"{_rounded(Fraction(100 * sum(ranked[:top]), len(quantities)))}" for top in tops)
        fit_shares = "/".join(f"{round(100 * skew.top_share(top))}" for top in tops)
        out += [
            "  # lines by item, P(rank) proportional to 1/(rank+shift)^exponent, by maximum likelihood; the",
            f"  # top 1/20 % of items take {book_shares} % of the lines in the book, {fit_shares} % by the fit",
            f"  item_skew: {{items: {skew.items}, exponent: {exponent}, shift: {skew.shift}}}",
        ]
    out += [
        "  # weights: number of orders; a split of one country over regions is assumed in the mapping",
        f"  regions: {{{', '.join(f'{region}: {weight}' for region, weight in weights.items())}}}",
    ]
    return [indent + line for line in out]


def _profile(orders: Sequence[BookOrder], span: _Span) -> list[str]:
    hours = {day: [0] * 24 for day in _WEEK}
    for order in orders:
        day, rest = divmod(order.at_ms, _DAY_MS)
        hours[_WEEKDAYS[day % 7]][rest // _HOUR_MS] += 1
    rows = []
    for weekday, counts in hours.items():
        # a weekday that the span leaves out has no orders either
        often = max(1, span.by_weekday[weekday])
        weights = [_rounded(Fraction(count * _WEIGHT_SCALE, often)) for count in counts]
        rows.append(f"    {weekday}: [{', '.join(map(str, weights))}]")
    return rows


def _distinct(values: Iterable[str]) -> list[str]:
    return sorted(dict.fromkeys(values))


def _means(values: Sequence[int], table: QuantileTable) -> str:
    mean = _decimal(Fraction(sum(values), len(values)))
    by_table = _decimal(table_mean(table))
    return f"quantiles, straight lines between; mean {mean} in the book, {by_table} by the table"


def _rounded(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def _decimal(value: Fraction) -> str:
    hundredths = _rounded(value * 100)
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def _table(table: QuantileTable, shown: Callable[[int], str]) -> str:
    return f"[{', '.join(f'[{_percent(ppm)}, {shown(value)}]' for ppm, value in table)}]"


def _percent(ppm: int) -> str:
    whole, rest = divmod(ppm, 10_000)
    return f"{whole}.{rest:04d}".rstrip("0") + "%" if rest else f"{whole}%"


def _shares(names: Sequence[str]) -> str:
    """Percentages with one decimal that sum to 100.0, by largest remainder (ties: by name)."""
    kinds = _distinct(names)
    counts = {name: names.count(name) for name in kinds}
    shares = {name: counts[name] * 1000 // len(names) for name in kinds}
    left = 1000 - sum(shares.values())
    for name in sorted(kinds, key=lambda name: (-(counts[name] * 1000 % len(names)), name))[:left]:
        shares[name] += 1
    return f"{{{', '.join(f'{name}: {share // 10}.{share % 10}%' for name, share in shares.items())}}}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit code is 2 for a book or mapping that cannot be used."""
    parser = argparse.ArgumentParser(prog="adapters.estimate", description="Estimate a generated order book.")
    parser.add_argument("book", type=Path, help="CSV (plain or gzipped) or Parquet")
    parser.add_argument("mapping", type=Path, help="YAML file with the mapping, see docs/order_book.md")
    given = parser.parse_args(arguments)
    try:
        print(estimate(load(given.book, _read_yaml(given.mapping))), end="")
    except OrderBookError as error:
        print(error, file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"{given.book}: {error}", file=sys.stderr)
        return 2
    return 0


def _read_yaml(path: Path) -> dict[str, object]:
    try:
        found = YAML(typ="safe").load(path)
    except OSError as error:
        raise OrderBookError(str(path), f"cannot be read ({error.strerror})", "check the path") from None
    except (YAMLError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise OrderBookError(str(path), f"is no YAML ({text})", "mend the file") from None
    if not isinstance(found, dict):
        raise OrderBookError(str(path), "holds no mapping", "write one, as docs/order_book.md shows")
    return found


if __name__ == "__main__":
    sys.exit(main())
