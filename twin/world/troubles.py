"""From the disruptions, interventions and changes of master data of a scenario to the actors that play them."""

from __future__ import annotations

from twin.core.master import Supplier as SupplierTerms
from twin.scenario import Scenario
from twin.scenario.disruptions import (
    CapacityCut,
    CarrierClosed,
    DemandSpike,
    Disruption,
    LaneClosed,
    SupplierClosed,
    WarehouseClosed,
)
from twin.scenario.interventions import (
    ExtendPromises,
    Intervention,
    PauseBatch,
    Redrive,
    ShiftCarrier,
    ShiftVolume,
    StopShip,
    ZeroFeed,
)
from twin.scenario.master_data import MasterChange
from twin.world import disruptions
from twin.world.assortment import Catalog
from twin.world.business import Business
from twin.world.carrier import Carrier
from twin.world.disruptions import DisruptionClock, Standstill
from twin.world.master_data import Change, Key, MasterData, Record, Sync
from twin.world.operations import Operations, Plan, Trigger
from twin.world.sites import Sites, minor
from twin.world.supplier import Supplier

__all__ = ["add_disruptions", "add_interventions", "add_master_data", "disruption_names", "intervention_names"]


def disruption_names(scenario: Scenario) -> list[tuple[str, Disruption]]:
    """Each disruption with its name: its id, or its kind and what it hits, numbered from the second of its like on."""
    taken: dict[str, int] = {}
    named = []
    for one in scenario.disruptions:
        name = one.id or f"{one.kind}:{_place(one)}"
        taken[name] = taken.get(name, 0) + 1
        named.append((name if taken[name] == 1 else f"{name}:{taken[name]}", one))
    return named


def _place(one: Disruption) -> str:
    match one:
        case WarehouseClosed() | CapacityCut():
            return one.warehouse
        case SupplierClosed():
            return one.supplier
        case CarrierClosed():
            return one.carrier
        case LaneClosed():
            return f"{one.lane_from}-{one.lane_to}"
        case DemandSpike():
            return one.channel


def _hits(scenario: Scenario, one: Disruption) -> list[str]:
    """The actors that it happens to."""
    match one:
        case WarehouseClosed() | CapacityCut():
            return [f"warehouse/{one.warehouse}"]
        case SupplierClosed():
            return [f"supplier/{one.supplier}"]
        case CarrierClosed():
            return [f"carrier/{one.carrier}"]
        case LaneClosed():
            serving = [lane.carrier for lane in scenario.lanes if (lane.from_, lane.to) == (one.lane_from, one.lane_to)]
            return [f"carrier/{carrier}" for carrier in dict.fromkeys(serving)]
        case DemandSpike():
            return [f"channel/{one.channel}"]


def add_disruptions(scenario: Scenario, world: Business) -> None:
    """Put a clock into the world for every disruption, and what it needs into the actors that it happens to."""
    start = scenario.run.start
    for name, one in disruption_names(scenario):
        for hits in _hits(scenario, one):
            if hits not in world.actors or (isinstance(one, DemandSpike) and not one.by):
                continue
            lane = (one.lane_from, one.lane_to) if isinstance(one, LaneClosed) else ("", "")
            left = one.to if isinstance(one, CapacityCut) else 1_000_000
            id = name if len(_hits(scenario, one)) == 1 else f"{name}@{hits}"
            begins_at = start + one.from_
            what = disruptions.Disruption(id, one.kind, hits, begins_at, begins_at + one.for_, lane, left)
            actor = world.actors[hits]
            if isinstance(actor, Supplier) and actor.standstill is None:
                actor.standstill = Standstill()
            if isinstance(actor, Carrier):
                actor.standstills.setdefault(lane, Standstill())
            world.add(DisruptionClock(what))


def add_interventions(scenario: Scenario, world: Business) -> None:
    """Put somebody into the world for every intervention."""
    for name, one in intervention_names(scenario):
        world.add(Operations(_plan(scenario, one, name)))


def add_master_data(
    scenario: Scenario, sites: Sites, catalog: Catalog, terms: tuple[SupplierTerms, ...], world: Business
) -> None:
    """Put the packs of the items into their suppliers, and the ERP's records into the world where they change."""
    for rule in catalog.rules:
        for name in (rule.supplier, *[other for other, _ in rule.alternates]) if rule.pack else ():
            actor = world.actors[f"supplier/{name}"]
            if isinstance(actor, Supplier):
                actor.packs[rule.sku] = rule.pack
    spec = scenario.master_data
    if spec is None:
        return
    sync = Sync(spec.sync.every or 0, spec.sync.offset, spec.sync.sends == "all")
    changes = [_change(scenario, sites, catalog, one, number) for number, one in enumerate(spec.changes)]
    records: tuple[Record, ...] = (*catalog.items, *catalog.rules, *terms)
    world.master_data = world.add(MasterData(sync, tuple(changes), records, scenario.currency))


def _change(scenario: Scenario, sites: Sites, catalog: Catalog, one: MasterChange, number: int) -> Change:
    rules = [rule for rule in catalog.rules if one.item in ("*", rule.sku) and rule.kind != "drop_ship"]
    values: list[tuple[Key, int]]
    if one.lead_time is not None:
        lead_times = [sites.lead_ms(rule.supplier, one.lead_time) for rule in rules]
        values = [((rule.node, rule.sku), lead_ms) for rule, lead_ms in zip(rules, lead_times, strict=True)]
    elif one.pack is not None:
        values = [((rule.node, rule.sku), one.pack) for rule in rules]
    elif one.minimum_order is not None:
        values = [((one.supplier or "", ""), one.minimum_order)]
    else:
        blocked = int(one.status == "blocked")
        values = [(("", item.sku), blocked) for item in catalog.items if one.item in ("*", item.sku)]
    at = scenario.run.start + one.at
    return Change(number, one.field, at, one.known, tuple(values), one.lead_time, one.mistake)


def intervention_names(scenario: Scenario) -> list[tuple[str, Intervention]]:
    """Each intervention with its name: its id, or its kind, numbered from the second of its like on."""
    taken: dict[str, int] = {}
    named = []
    for one in scenario.interventions:
        name = one.id or one.kind
        taken[name] = taken.get(name, 0) + 1
        named.append((name if taken[name] == 1 else f"{name}:{taken[name]}", one))
    return named


def _plan(scenario: Scenario, one: Intervention, name: str) -> Plan:
    lasts = -1 if isinstance(one, Redrive) or one.for_ is None else one.for_
    return Plan(
        name,
        one.kind,
        one.actor,
        _trigger(scenario, one),
        one.delay,
        lasts,
        minor(one.cost),
        one.gateway if isinstance(one, Redrive) else "*",
        (one.channel or "") if isinstance(one, StopShip | ZeroFeed) else "",
        tuple(one.preferred.items()) if isinstance(one, ShiftVolume) else (),
        one.by if isinstance(one, ExtendPromises) else 0,
        one.interface if isinstance(one, PauseBatch) else "",
        one.carrier if isinstance(one, ShiftCarrier) else "",
        Sites.of(scenario).lanes_of(one.to) if isinstance(one, ShiftCarrier) else (),
    )


def _trigger(scenario: Scenario, one: Intervention) -> Trigger:
    if one.by_hand:
        return Trigger()
    if one.when is None:
        return Trigger(scenario.run.start + (one.at or 0))
    seen = one.when
    for what in ("dead_letters", "open_deliveries", "tickets"):
        above = getattr(seen, f"{what}_above")
        if above is not None:
            return Trigger(-1, what, above, seen.gateway, seen.look)
    raise ValueError("a condition without a number")
