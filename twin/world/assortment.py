"""Which items there are, where they are stocked and how they are bought: listed in the scenario, or derived by rules.

The rules of a derived assortment, in order; luck comes from hashes of the item's id and never from the run's seed:

1. *Items*: a book's items, or `count` items named by rank with prices at evenly spread quantiles of the price table.
2. *Cost*: a fixed share of the price. *Supplier*: by weight.
3. *Class*: items by falling number of order lines; A up to the first border of cumulated lines, B up to the second.
4. *Placement*: an item of a class is stocked at so many warehouses, those with the lowest hash of item and warehouse
   (rendezvous hashing: one warehouse more moves only the items that it wins).
5. *Demand of a site*: each region's share goes to its preferred warehouse, else to the one promised fastest, among
   those that stock the item.
   A book's demand is that of the run's own time: levels are set with the demand in view that is then replayed
   (perfect foresight of its mean and spread, not of its days), so service from a book is an upper bound.
6. *Levels*: demand over the lead time plus z standard deviations of compound Poisson demand give s (Silver, Pyke
   and Thomas, Inventory and Production Management in Supply Chains, section 6.7); S adds the cover; the opening
   stock is the opening cover, and at least s + 1. What a book writes off an item was there to be written off: the
   item's home, the first site that stocks it, opens with as much more.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, sqrt

from msgspec import Struct, structs

from twin.core.master import Item, Replenishment
from twin.order_book import OrderBook
from twin.scenario import Scenario
from twin.scenario.business import AbcClass, Assortment
from twin.scenario.demand import GeneratedDemand
from twin.scenario.policies import BaseStock, MinMax, ReorderPoint
from twin.scenario.times import DAYS
from twin.streams import Distribution, Streams
from twin.streams.elementary import normal_quantile
from twin.world.channel import WEEK_HOURS, Weighted, zipf_mandelbrot
from twin.world.sites import Sites, minor

__all__ = ["Catalog", "compile_catalog", "hourly_micro"]

HASHED = Streams(0)
"""Luck that belongs to an item's id, the same under every seed."""


class Catalog(Struct, frozen=True):
    """Items, opening stock by node and item, replenishment rules, and the home of each item.

    `ranked` are the items that generated demand is for, most wanted first: the derived ones where there are any.
    `lead_times` are those of items that have their own.
    """

    items: tuple[Item, ...]
    ranked: tuple[str, ...]
    opening: dict[str, dict[str, int]]
    rules: tuple[Replenishment, ...]
    homes: dict[str, str]
    lead_times: dict[str, dict[str, Distribution]]


class _Demand(Struct):
    """An item's demand: lines and units a ms, and the sum of squared line quantities a ms, all as floats.

    These decide stock levels before the run and never enter the log.
    """

    lines: float = 0.0
    units: float = 0.0
    squares: float = 0.0


def compile_catalog(scenario: Scenario, sites: Sites, book: OrderBook | None) -> Catalog:
    """Items, opening stock and replenishment of the scenario."""
    start = scenario.run.start
    items: list[Item] = []
    supplier_of: dict[str, str] = {}
    lead_times: dict[str, dict[str, Distribution]] = {}
    rules: dict[tuple[str, str], Replenishment] = {}
    opening: dict[str, dict[str, int]] = {warehouse.id: {} for warehouse in scenario.warehouses}
    packs = {item.id: item.pack for item in scenario.items if item.pack is not None}
    for item in scenario.items:
        items.append(Item(item.id, minor(item.price), minor(item.cost), item.description))
        if item.drop_ship is not None:
            rules[item.drop_ship, item.id] = Replenishment(item.drop_ship, item.id, item.drop_ship, "drop_ship")
        if item.supplier is not None:
            supplier_of[item.id] = item.supplier
            if item.lead_time is not None:
                lead_times.setdefault(item.supplier, {})[item.id] = item.lead_time
    listed = len(items)
    if scenario.assortment is not None:
        _derive(scenario, scenario.assortment, sites, book, items, supplier_of, rules, opening)
    for stock in scenario.stock:
        opening[stock.warehouse][stock.item] = stock.on_hand
    dropped = {item.id: None for item in scenario.items if item.drop_ship is not None}
    for rule in sorted(scenario.policies.replenishment, key=lambda rule: rule.item != "*"):
        skus = [item.sku for item in items if item.sku not in dropped] if rule.item == "*" else [rule.item]
        for sku in skus:
            supplier = rule.supplier or supplier_of.get(sku) or scenario.suppliers[0].id
            lead = lead_times.get(supplier, {}).get(sku)
            common = (rule.warehouse, sku, supplier, rule.kind)
            alternates = tuple(
                [(other, sites.lead_ms(other, lead_times.get(other, {}).get(sku))) for other in rule.alternates]
            )
            lead_ms = sites.lead_ms(supplier, lead)
            if isinstance(rule, MinMax):
                made = Replenishment(
                    *common, rule.s, rule.S, 0, rule.review.every or 0, start + rule.review.offset, lead_ms
                )
            elif isinstance(rule, ReorderPoint):
                made = Replenishment(
                    *common, rule.r, 0, rule.Q, rule.review.every or 0, start + rule.review.offset, lead_ms
                )
            elif isinstance(rule, BaseStock):
                made = Replenishment(*common, 0, rule.S, 0, rule.review.every or 0, start + rule.review.offset, lead_ms)
            else:
                made = Replenishment(*common, lead_time_ms=lead_ms)
            made = structs.replace(made, alternates=alternates) if alternates else made
            rules[rule.warehouse, sku] = structs.replace(made, pack=packs[sku]) if sku in packs else made
    homes: dict[str, str] = {}
    for node in opening:
        for sku in opening[node]:
            homes.setdefault(sku, node)
    for node, sku in rules:
        homes.setdefault(sku, node)
    for item_ in items:
        homes.setdefault(item_.sku, scenario.warehouses[0].id)
    ranked = tuple(item.sku for item in (items[listed:] or items))
    return Catalog(tuple(items), ranked, opening, tuple(rules.values()), homes, lead_times)


def _derive(
    scenario: Scenario,
    assortment: Assortment,
    sites: Sites,
    book: OrderBook | None,
    items: list[Item],
    supplier_of: dict[str, str],
    rules: dict[tuple[str, str], Replenishment],
    opening: dict[str, dict[str, int]],
) -> None:
    demands: dict[str, dict[str, _Demand]] = {}
    if book is not None:
        derived = [
            Item(item.sku, item.price_minor, _share(item.price_minor, assortment.cost), item.description)
            for item in book.items
        ]
        _book_demand(scenario, book, demands)
    else:
        derived = _priced(assortment)
    _generated_demand(scenario, [item.sku for item in derived], demands)
    run = scenario.run
    written_off: dict[str, int] = {}
    for adjustment in book.adjustments if book is not None else ():
        if adjustment.quantity < 0 and run.start <= adjustment.at_ms < run.demand_end:
            written_off[adjustment.sku] = written_off.get(adjustment.sku, 0) - adjustment.quantity
    suppliers = Weighted.of(dict(assortment.suppliers))
    nodes = list(assortment.warehouses) or [warehouse.id for warehouse in scenario.warehouses]
    classes = _classes(assortment, [item.sku for item in derived], demands)
    for item in derived:
        sku = item.sku
        items.append(item)
        supplier = supplier_of[sku] = suppliers.pick(HASHED.bits("supplier", sku))
        count = min(assortment.placement[classes[sku]], len(nodes))
        placed = sorted(nodes, key=lambda node: HASHED.bits("placement", sku, node))[:count]
        z = normal_quantile(assortment.service[classes[sku]] / 1_000_000)
        lead_ms = sites.lead_ms(supplier, None)
        at_node = _by_node(scenario, sites, placed, demands.get(sku, {}))
        for node in placed:
            demand = at_node[node]
            lead = lead_ms + (assortment.review.every or 0)
            level = ceil(demand.units * lead + z * sqrt(demand.squares * lead))
            maximum = level + max(1, ceil(demand.units * assortment.cover))
            rules[node, sku] = Replenishment(
                node,
                sku,
                supplier,
                "min_max",
                level,
                maximum,
                0,
                assortment.review.every or 0,
                scenario.run.start + assortment.review.offset,
                lead_ms,
            )
            opening[node][sku] = max(level + 1, ceil(demand.units * assortment.opening))
        home = next(node for node in opening if node in placed)
        opening[home][sku] += written_off.get(sku, 0)


def _share(amount: int, ppm: int) -> int:
    return (amount * ppm + 500_000) // 1_000_000


def _priced(assortment: Assortment) -> list[Item]:
    """Items named by rank; prices are spread over the ranks by a hash, so that rank and price are unrelated."""
    count = assortment.count or 1
    table = assortment.price
    if table is None:
        raise ValueError("a derived assortment without an order book needs a table of prices")
    prices = []
    for index in range(count):
        u = (2 * index + 1) / (2 * count)
        prices.append(_interpolated([(share, money.minor) for share, money in table], u))
    order = sorted(range(count), key=lambda rank: (HASHED.bits("price", rank), rank))
    priced = dict(zip(order, prices, strict=True))
    width = len(str(count))
    return [
        Item(f"item-{rank + 1:0{width}d}", priced[rank], _share(priced[rank], assortment.cost)) for rank in range(count)
    ]


def _interpolated(table: Sequence[tuple[int, int]], u: float) -> int:
    wanted = u * 1_000_000
    for (low, below), (high, above) in pairwise(table):
        if wanted <= high:
            return round(below + (above - below) * ((wanted - low) / (high - low))) if high > low else above
    return table[-1][1]


def _book_demand(scenario: Scenario, book: OrderBook, demands: dict[str, dict[str, _Demand]]) -> None:
    run = scenario.run
    span = float(run.horizon)
    for order in book.orders:
        if not run.start <= order.at_ms < run.demand_end:
            continue
        for line in order.lines:
            demand = demands.setdefault(line.sku, {}).setdefault(order.region, _Demand())
            demand.lines += 1 / span
            demand.units += line.quantity / span
            demand.squares += line.quantity * line.quantity / span


def _generated_demand(scenario: Scenario, skus: Sequence[str], demands: dict[str, dict[str, _Demand]]) -> None:
    for channel in scenario.channels:
        spec = channel.demand
        if not isinstance(spec, GeneratedDemand):
            continue
        quantity, square = _moments(spec.quantity_per_line)
        lines, _ = _moments(spec.lines_per_order)
        rate = spec.orders.count / spec.orders.per_ms * lines
        regions = sum(spec.regions.values())
        shares = _item_shares(spec, skus)
        for region, weight in spec.regions.items():
            for sku, share in shares.get(region, {}).items():
                demand = demands.setdefault(sku, {}).setdefault(region, _Demand())
                part = rate * share * weight / regions
                demand.lines += part
                demand.units += part * quantity
                demand.squares += part * square


def _item_shares(spec: GeneratedDemand, skus: Sequence[str]) -> dict[str, dict[str, float]]:
    """By region, the share of each item in its lines."""
    if spec.item_skew is None:
        return {
            region: {sku: weight / sum(of.values()) for sku, weight in of.items()} for region, of in spec.items.items()
        }
    weights = zipf_mandelbrot(skus[: spec.item_skew.items or len(skus)], spec.item_skew.exponent, spec.item_skew.shift)
    before, of_all = 0, {}
    for sku, running in zip(weights.names, weights.sums, strict=True):
        of_all[sku] = (running - before) / weights.sums[-1]
        before = running
    return dict.fromkeys(spec.regions, of_all)


def _moments(distribution: Distribution) -> tuple[float, float]:
    """Mean and mean square, by the midpoints of a thousand slices."""
    values = [distribution.inverse((index + 0.5) / 1000) for index in range(1000)]
    return sum(values) / 1000, sum(value * value for value in values) / 1000


def _classes(
    assortment: Assortment, skus: Sequence[str], demands: dict[str, dict[str, _Demand]]
) -> dict[str, AbcClass]:
    lines = {sku: sum(demand.lines for demand in demands.get(sku, {}).values()) for sku in skus}
    total = sum(lines.values()) or 1.0
    classes: dict[str, AbcClass] = {}
    running = 0.0
    for sku in sorted(skus, key=lambda sku: (-lines[sku], sku)):
        share = running / total * 1_000_000
        classes[sku] = "A" if share < assortment.classes.A else "B" if share < assortment.classes.B else "C"
        running += lines[sku]
    return classes


def _by_node(scenario: Scenario, sites: Sites, placed: Sequence[str], demand: dict[str, _Demand]) -> dict[str, _Demand]:
    at_node = {node: _Demand() for node in placed}
    preferred = scenario.policies.sourcing.preferred
    for region in sorted(demand):
        choice = preferred.get(region)
        if choice not in at_node:
            reachable = [node for node in placed if (node, region) in sites.promises]
            if not reachable:
                continue
            choice = min(reachable, key=lambda node: (sites.promises[node, region], node))
        here = at_node[choice]
        there = demand[region]
        here.lines += there.lines
        here.units += there.units
        here.squares += there.squares
    return at_node


def hourly_micro(spec: GeneratedDemand) -> tuple[int, ...]:
    """Expected orders in each hour of the week from Monday 00:00 UTC, in millionths."""
    weights = [
        weight for day in DAYS for weight in (spec.profile.get(day) or ((0,) * 24 if spec.profile else (1,) * 24))
    ]
    total = sum(weights)
    week_ms = WEEK_HOURS * 3_600_000
    return tuple(weight * spec.orders.count * week_ms * 1_000_000 // (spec.orders.per_ms * total) for weight in weights)
