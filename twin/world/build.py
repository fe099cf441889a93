"""From a scenario to a world that is ready to run: the parties, and the commands that tell the engine its business."""

from __future__ import annotations

from importlib.metadata import entry_points
from sys import intern
from typing import Any

from msgspec import structs

from twin.core.commands import (
    DefineItems,
    DefineNetwork,
    DefinePolicies,
    DefineReplenishment,
    External,
    LoadStock,
    StockLine,
)
from twin.core.master import BreakerPolicy, DeliveryPolicy, Policies, Pool
from twin.core.master import Carrier as CarrierHours
from twin.core.master import Channel as ChannelRules
from twin.core.master import Supplier as SupplierTerms
from twin.order_book import OrderBook, OrderBookError, OrderBookSource, Progress
from twin.ports import Gateway
from twin.residuals import read_residuals
from twin.scenario import Scenario
from twin.scenario.business import Supplier as SupplierSpec
from twin.scenario.delivery import GATEWAYS, Breaker, GatewayKind
from twin.scenario.delivery import DeliveryPolicy as DeliverySpec
from twin.scenario.demand import (
    BookDemand,
    BookFile,
    GeneratedDemand,
    PeriodicDemand,
    PoissonDemand,
)
from twin.scenario.demand import Channel as ChannelSpec
from twin.scenario.disruptions import DemandSpike
from twin.scenario.errors import Problem, ScenarioError
from twin.scenario.inventory import Inventory, nothing_to_take
from twin.scenario.policies import Waves
from twin.scenario.units import Rate
from twin.streams import Distribution, Fixed, Series
from twin.world.assortment import Catalog, compile_catalog, hourly_micro
from twin.world.business import Business
from twin.world.carrier import Carrier, CarrierConfig
from twin.world.channel import (
    BookChannel,
    BookFeed,
    Channel,
    ChannelConfig,
    GeneratedChannel,
    PeriodicChannel,
    PoissonChannel,
    Weighted,
    zipf_mandelbrot,
)
from twin.world.decision_service import DecisionService
from twin.world.erp import Erp
from twin.world.holder import Holder, InventoryService, Others
from twin.world.interfaces import add_interfaces
from twin.world.marketplace import Limits, Marketplace
from twin.world.opening import Opening, read_opening
from twin.world.orchestration import Orchestration
from twin.world.party import ENGINE, Link, Party, SimulatedGateway
from twin.world.recorded_luck import RecordedLuck
from twin.world.sites import Sites, docks, minor
from twin.world.supplier import Dock, Supplier, SupplierConfig
from twin.world.troubles import add_disruptions, add_interventions, add_master_data, disruption_names
from twin.world.warehouse import Warehouse, WarehouseConfig

__all__ = ["Build", "build", "gateways", "load_book", "policies_of"]

BATCH = 1000
"""Items, rules and stock lines in one command."""


_HOLDERS = {"erp": "erp", "service": "inventory"}
"""The gateway behind which the inventory is held, where that is outside the engine."""


class Build:
    """A world before its first instant: the parties, the commands that define the business, and the book and what was
    under way at the start if any."""

    def __init__(
        self,
        world: Business,
        genesis: list[External],
        catalog: Catalog,
        book: OrderBook | None,
        opening: Opening | None = None,
    ) -> None:
        self.world = world
        self.genesis = genesis
        self.catalog = catalog
        self.book = book
        self.opening = opening


def load_book(spec: BookFile, progress: Progress | None = None) -> OrderBook:
    """The order book that a scenario names, read by the adapter of its source.

    Raises `OrderBookError` for a source that is not installed, a file or a mapping that cannot be used.
    """
    found = {point.name: point for point in entry_points(group="ordertwin.order_books")}
    if spec.source not in found:
        known = ", ".join(sorted(found)) or "none"
        raise OrderBookError(
            str(spec.file), f"no adapter reads the source '{spec.source}'", f"installed sources: {known}"
        )
    read: OrderBookSource = found[spec.source].load()
    return read(spec.file, spec.mapping, progress)


def build(scenario: Scenario, seed: int, progress: Progress | None = None, *, shuffle: Series | None = None) -> Build:
    """The world of a scenario under a seed, with nothing posted yet and no driver attached.

    `shuffle` permutes ties: a run with it shows how far results hang on their order.
    """
    book = load_book(scenario.order_book, progress) if scenario.order_book is not None else None
    sites = Sites.of(scenario)
    catalog = compile_catalog(scenario, sites, book)
    opening = None
    if scenario.opening is not None:
        opening = Opening(scenario, catalog, read_opening(scenario.opening, scenario.currency))
        catalog = structs.replace(catalog, opening=opening.opening)
    world = Business(scenario.run.start, seed, shuffle=shuffle)
    if scenario.residuals is not None:
        world.streams = RecordedLuck(seed, read_residuals(scenario.residuals.file))
    world.orchestration = world.add(Orchestration(ENGINE))
    _add_parties(scenario, sites, catalog, world)
    for node, units in opening.quarantined.items() if opening is not None else ():
        world.warehouses[node].quarantined = units
    _add_marketplaces(scenario, world)
    _add_inventory(scenario, catalog, world)
    for service in scenario.services:
        link = _link(scenario, service.latency, "decision")
        world.add(
            DecisionService(
                f"decision/{service.id}",
                link,
                service.id,
                service.address,
                scenario.decisions_of(service.id),
                service.thinking,
            )
        )
    add_interfaces(scenario, sites, world)
    _add_channels(scenario, catalog, world, book)
    add_disruptions(scenario, world)
    add_interventions(scenario, world)
    add_master_data(scenario, sites, catalog, _terms(scenario, sites), world)
    _add_spikes(scenario, catalog, world)
    if opening is not None:
        opening.number_on([actor for actor in world.actors.values() if isinstance(actor, Channel)])
    return Build(world, _genesis(scenario, sites, catalog, opening), catalog, book, opening)


def gateways(world: Business) -> dict[str, Gateway]:
    """A gateway for every simulated party, by its id."""
    return {id: SimulatedGateway(actor) for id, actor in world.actors.items() if isinstance(actor, Party)}


def _link(scenario: Scenario, latency: Distribution, kind: GatewayKind) -> Link:
    policy = scenario.policies.delivery.of(kind)
    return Link(latency, policy.acknowledge, policy.supervise is not None, policy.fallback is not None)


def _add_parties(scenario: Scenario, sites: Sites, catalog: Catalog, world: Business) -> None:
    for spec in scenario.warehouses:
        pick = spec.pick_time
        config = WarehouseConfig(
            sites.calendars[spec.calendar],
            spec.pickers or 0,
            pick.order,
            pick.line,
            pick.unit,
            pick.kind == "exponential",
            spec.reports,
            spec.dock_to_stock,
            sites.pickups[spec.id],
            spec.shrink.ppm * 86_400_000 // spec.shrink.per_ms,
            spec.counting.every if spec.counting is not None else 0,
            pick.drawn,
        )
        link = _link(scenario, spec.latency, "warehouse")
        warehouse = Warehouse(f"warehouse/{spec.id}", spec.id, link, config, catalog.opening[spec.id])
        world.warehouses[spec.id] = world.add(warehouse)
    for source in scenario.suppliers:
        calendar = sites.calendars[source.calendar]
        config_ = SupplierConfig(
            calendar,
            source.lead_time,
            catalog.lead_times.get(source.id, {}),
            source.acknowledgement,
            _unit_ms(calendar.bounds, source.capacity),
            source.minimum_order,
            _dock(source, sites) if source.drop_ship is not None else None,
        )
        world.add(Supplier(f"supplier/{source.id}", _link(scenario, source.latency, "supplier"), config_))
    for carrier in scenario.carriers:
        transits = {(lane.from_, lane.to): lane.transit for lane in scenario.lanes if lane.carrier == carrier.id}
        working = carrier.transit_counts == "working_time"
        config__ = CarrierConfig(sites.calendars[carrier.calendar], carrier.milestones, transits, working)
        link = _link(scenario, carrier.latency, "carrier")
        world.carriers[carrier.id] = world.add(Carrier(f"carrier/{carrier.id}", link, config__))
    world.erp = world.add(Erp("erp", _link(scenario, scenario.erp.latency, "erp"), scenario.erp.posting))


def _add_inventory(scenario: Scenario, catalog: Catalog, world: Business) -> None:
    """Who holds the inventory outside the engine, and who else takes from it."""
    spec = scenario.inventory
    if spec is None:
        return
    if spec.held_by != "engine" or spec.others:
        world.holder = world.add(Holder("holder"))
    if spec.held_by == "service":
        link = _link(scenario, Fixed(20) if spec.latency is None else spec.latency, "inventory")
        world.add(InventoryService("inventory", link, Fixed(0) if spec.answering is None else spec.answering))
    for number, other in enumerate(spec.others, start=1):
        weights = dict(other.items) if other.items is not None else dict.fromkeys(catalog.opening[other.warehouse], 1)
        if not weights:
            raise ScenarioError([Problem("", 0, f"inventory.others[{number - 1}].warehouse: {nothing_to_take(other)}")])
        gap_us = other.rate.per_ms * 1000 // other.rate.count
        name = f"others/{number}/{other.warehouse}"
        items, ends_at = Weighted.of(weights), scenario.run.demand_end
        world.add(Others(name, other.warehouse, gap_us, items, other.quantity, other.collected, ends_at))


def _dock(source: SupplierSpec, sites: Sites) -> Dock:
    known = next(dock for dock in docks(sites.scenario) if dock.id == source.id)
    return Dock(known.pick_time.order, sites.node(known).departures)


def _add_marketplaces(scenario: Scenario, world: Business) -> None:
    for spec in scenario.channels:
        if spec.feed is None:
            continue
        held = spec.limits
        limits = None
        if held is not None:
            shares = [-1 if share is None else share for share in (held.cancellations, held.late)]
            limits = Limits(shares[0], held.window, held.orders, held.suspension, shares[1], held.ship_within or 0)
        link = _link(scenario, spec.latency, "marketplace")
        marketplace = world.add(Marketplace(f"marketplace/{spec.id}", link, spec.id, limits))
        world.marketplaces[spec.id] = marketplace
        for warehouse in world.warehouses.values():
            if warehouse.claimed is None:
                warehouse.claimed = {}


def _channel_rules(scenario: Scenario, channel: ChannelSpec) -> ChannelRules:
    feed = channel.feed
    return ChannelRules(
        channel.id,
        channel.style,
        channel.criticality,
        channel.fulfillment == "complete",
        channel.on_shortage == "reject",
        channel.safety_stock,
        0 if feed is None else feed.every,
        0 if feed is None else scenario.run.start + feed.offset,
        0 if feed is None else feed.buffer,
    )


def _unit_ms(bounds: tuple[int, ...], capacity: int | None) -> int:
    """Working time for one unit, from the units of a working day: the mean length of the calendar's days."""
    if capacity is None:
        return 0
    if not bounds:
        return max(1, 86_400_000 // capacity)
    days = {start // 86_400_000: None for start in bounds[::2]}
    worked = sum(end - start for start, end in zip(bounds[::2], bounds[1::2], strict=True))
    return max(1, worked // len(days) // capacity)


def _add_channels(scenario: Scenario, catalog: Catalog, world: Business, book: OrderBook | None) -> None:
    prices = {item.sku: item.price_minor for item in catalog.items}
    ends_at = scenario.run.demand_end
    for spec in scenario.channels:
        config = ChannelConfig(spec.id, spec.criticality, spec.requested, prices, ends_at)
        channel = _channel(scenario, spec, config, catalog, book)
        if channel is not None:
            world.add(channel)
    if book is not None and scenario.order_book is not None:
        credits = book.credits if scenario.order_book.credits else ()
        adjustments = book.adjustments if scenario.order_book.adjustments else ()
        credited = dict.fromkeys(credit.order for credit in credits)
        by_channel: dict[str, str] = {spec.id: spec.criticality for spec in scenario.channels}
        classes = {order.order: by_channel.get(order.channel, "") for order in book.orders if order.order in credited}
        world.add(BookFeed("book", Link(), credits, adjustments, catalog.homes, classes, ends_at))


def _add_spikes(scenario: Scenario, catalog: Catalog, world: Business) -> None:
    prices = {item.sku: item.price_minor for item in catalog.items}
    start = scenario.run.start
    for name, one in disruption_names(scenario):
        if not isinstance(one, DemandSpike) or not one.by or not one.for_:
            continue
        spec = next(channel for channel in scenario.channels if channel.id == one.channel)
        begins_at = start + one.from_
        ends_at = min(begins_at + one.for_, scenario.run.demand_end)
        config = ChannelConfig(spec.id, spec.criticality, spec.requested, prices, ends_at, begins_at, name)
        demand = spec.demand
        if isinstance(demand, PoissonDemand):
            rate = Rate(demand.rate.count * one.by, demand.rate.per_ms * 1_000_000)
            spec = spec.model_copy(update={"demand": demand.model_copy(update={"rate": rate})})
        elif isinstance(demand, GeneratedDemand):
            orders = Rate(demand.orders.count * one.by, demand.orders.per_ms * 1_000_000)
            spec = spec.model_copy(update={"demand": demand.model_copy(update={"orders": orders})})
        channel = _channel(scenario, spec, config, catalog, None)
        if channel is not None:
            world.add(channel)


def _channel(
    scenario: Scenario,
    spec: ChannelSpec,
    config: ChannelConfig,
    catalog: Catalog,
    book: OrderBook | None,
) -> Channel | None:
    demand = spec.demand
    id = f"channel/{config.name}"
    link = Link(spec.latency)
    if isinstance(demand, PoissonDemand):
        chances = dict(demand.items) if demand.items is not None else {item.sku: 1 for item in catalog.items}
        if demand.distinct:
            # What is never drawn can be no further line.
            chances = {sku: weight for sku, weight in chances.items() if weight}
        items = Weighted.of(chances)
        if not demand.rate.count:
            return None
        gap_us = demand.rate.per_ms * 1000 // demand.rate.count
        regions = Weighted.of(dict(demand.regions))
        return PoissonChannel(id, link, config, gap_us, items, regions, demand.lines, demand.quantity, demand.distinct)
    if isinstance(demand, PeriodicDemand):
        first_at = scenario.run.start + demand.at
        return PeriodicChannel(id, link, config, first_at, demand.every, demand.item, demand.region, demand.quantity)
    if isinstance(demand, GeneratedDemand):
        skew = demand.item_skew
        chosen: Weighted | dict[str, Weighted] = (
            {region: Weighted.of(dict(of_region)) for region, of_region in demand.items.items()}
            if skew is None
            else zipf_mandelbrot(catalog.ranked[: skew.items], skew.exponent, skew.shift)
        )
        regions = Weighted.of(dict(demand.regions))
        return GeneratedChannel(
            id,
            link,
            config,
            hourly_micro(demand),
            chosen,
            regions,
            demand.lines_per_order,
            demand.quantity_per_line,
            tuple([(scenario.run.start + after, level) for after, level in demand.levels]),
        )
    if isinstance(demand, BookDemand) and book is not None:
        return BookChannel(id, link, config, tuple([order for order in book.orders if order.channel == spec.id]))
    return None


def _genesis(scenario: Scenario, sites: Sites, catalog: Catalog, opening: Opening | None) -> list[External]:
    """The business as commands: everything that a decision depends on is in the log."""
    now = scenario.run.start
    commands: list[External] = [
        DefineNetwork(
            "genesis/network",
            "scenario",
            now,
            scenario.currency,
            tuple(sites.node(warehouse) for warehouse in [*scenario.warehouses, *docks(scenario)]),
            _terms(scenario, sites),
            sites.lanes(),
            tuple(_channel_rules(scenario, channel) for channel in scenario.channels),
            tuple(CarrierHours(carrier.id, sites.calendars[carrier.calendar]) for carrier in scenario.carriers),
        )
    ]
    for number, items in enumerate(_chunks(catalog.items)):
        commands.append(DefineItems(f"genesis/items/{number}", "scenario", now, items))
    commands.append(DefinePolicies("genesis/policies", "scenario", now, policies_of(scenario)))
    if opening is not None:
        commands += opening.stock_commands()
    for node, stock in catalog.opening.items() if opening is None else ():
        lines = tuple(StockLine(sku, units) for sku, units in stock.items())
        for number, part in enumerate(_chunks(lines)):
            commands.append(LoadStock(f"genesis/stock/{node}/{number}", "scenario", now, node, part))
    for number, rules in enumerate(_chunks(catalog.rules)):
        commands.append(DefineReplenishment(f"genesis/replenishment/{number}", "scenario", now, rules))
    return commands


def _terms(scenario: Scenario, sites: Sites) -> tuple[SupplierTerms, ...]:
    return tuple(
        [
            SupplierTerms(source.id, sites.calendars[source.calendar], minor(source.order_cost), source.minimum_order)
            for source in scenario.suppliers
        ]
    )


def _chunks(rows: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return [rows[first : first + BATCH] for first in range(0, len(rows), BATCH)]


def policies_of(scenario: Scenario) -> Policies:
    """The rules of a scenario as the engine has them."""
    rules, inventory = scenario.policies, scenario.inventory
    unused = {
        "marketplace": all(channel.feed is None for channel in scenario.channels),
        "decision": not scenario.services,
        "inventory": inventory is None or inventory.held_by != "service",
    }
    kinds = [kind for kind in GATEWAYS if not unused.get(kind)]
    outside, release = rules.sourcing.outside, rules.release.outside
    delivery = [_delivery(kind, rules.delivery.of(kind)) for kind in kinds]
    return Policies(
        rules.sourcing.rules,
        tuple(rules.sourcing.preferred.items()),
        rules.sourcing.split_lines,
        isinstance(rules.release, Waves),
        rules.reservation.expiry,
        rules.idempotency.retention,
        rules.returns.window,
        rules.backorder.batch,
        tuple(delivery),
        pools=tuple([Pool(name, size) for name, size in rules.delivery.pools.items()]),
        ranking=rules.sourcing.ranking,
        decider=outside.service if outside is not None else "",
        promiser=rules.promise.outside.service if rules.promise.outside is not None else "",
        releaser=release.service if release is not None else "",
        releaser_otherwise=intern(release.otherwise) if release is not None else "release",
        decider_attempts=outside.attempts if outside is not None else 2,
        # As with jitter: the very same text.
        decider_otherwise=intern(outside.otherwise) if outside is not None else "rules",
        **_holding(inventory),
    )


def _holding(inventory: Inventory | None) -> dict[str, Any]:
    """Who holds the inventory; what is not given stays out of the log, and its digest what it was."""
    if inventory is None or inventory.held_by == "engine":
        return {}
    return {
        "holder": _HOLDERS[inventory.held_by],
        "holder_pause_ms": inventory.pause,
        "reconcile_ms": inventory.reconcile,
    }


def _delivery(kind: GatewayKind, policy: DeliverySpec) -> DeliveryPolicy:
    retries, queue = policy.retries, policy.queue
    return DeliveryPolicy(
        kind,
        policy.timeout,
        policy.deadline,
        policy.acknowledge,
        retries.max,
        retries.backoff,
        retries.cap,
        # A default is left out of the log when it is the very same text, which one from a pickle is not.
        intern(retries.jitter),
        retries.budget or 0,
        retries.reserve or 10,
        retries.permanent,
        retries.retry_after,
        policy.bulkhead or 0,
        policy.pool or "",
        _interval_us(policy.rate),
        policy.burst or 1,
        _interval_us(policy.drain),
        queue.bound or 0,
        queue.discipline == "fifo",
        bool(queue.in_order),
        _breaker(policy.breaker),
        policy.supervise.after if policy.supervise is not None else 0,
        policy.supervise.chases if policy.supervise is not None else 2,
        policy.fallback is not None,
        policy.fallback.compensate if policy.fallback is not None else True,
        policy.dead_letters.owner if policy.dead_letters is not None else "",
        (policy.dead_letters.expire or 0) if policy.dead_letters is not None else 0,
        policy.hedge.after if policy.hedge is not None else 0,
        policy.hedge.max if policy.hedge is not None else 1,
    )


def _interval_us(rate: Rate | None) -> int:
    return 0 if rate is None else max(1, rate.per_ms * 1000 // rate.count)


def _breaker(spec: Breaker | None) -> BreakerPolicy | None:
    if spec is None:
        return None
    slow = spec.slow
    return BreakerPolicy(
        spec.looked_at,
        spec.window or 0,
        spec.attempts_needed,
        spec.failures,
        slow.over if slow is not None else 0,
        slow.share if slow is not None else 1_000_000,
        spec.open,
        spec.trials,
        spec.calls_meanwhile == "held",
    )
