"""Interventions and disruptions that could have no effect in their scenario."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from twin.scenario.demand import GeneratedDemand, PoissonDemand
from twin.scenario.disruptions import CapacityCut, CarrierClosed, DemandSpike, LaneClosed
from twin.scenario.errors import Path, choices
from twin.scenario.interventions import PauseBatch, Redrive, ShiftCarrier, ShiftVolume, ZeroFeed
from twin.scenario.units import format_duration
from twin.streams.distributions import Fixed

if TYPE_CHECKING:
    from twin.scenario.model import Scenario

__all__ = ["idle_hands", "partners_of", "undisturbed"]


def idle_hands(scenario: Scenario) -> list[tuple[Path, str]]:
    """Interventions that could have no effect."""
    problems: list[tuple[Path, str]] = []
    lasts = scenario.run.end - scenario.run.start
    fed = [channel.id for channel in scenario.channels if channel.feed is not None]
    batches = [interface.id for interface in scenario.interfaces if interface.batch is not None]
    partners = partners_of(scenario)
    for index, one in enumerate(scenario.interventions):
        path: Path = ("interventions", index)
        patterns: list[tuple[Path, str]] = [(("gateway",), one.gateway)] if isinstance(one, Redrive) else []
        patterns += [(("when", "gateway"), one.when.gateway)] if one.when is not None else []
        for key, pattern in patterns:
            if not any(fnmatchcase(partner, pattern) for partner in partners):
                text = f"gateway: {choices('partner', 'partners', pattern, partners)}"
                problems.append(((*path, *key), text))
        delay = one.delay.value if isinstance(one.delay, Fixed) else 0
        if one.at is not None and one.at + delay >= lasts:
            done = f" and done {format_duration(delay)} later" if delay else ""
            text = f"at: it is decided at {format_duration(one.at)}{done}, and the run is over at "
            text += format_duration(lasts)
            problems.append(((*path, "at"), f"{text}; let it begin earlier"))
        if isinstance(one, ZeroFeed) and one.channel not in fed:
            problems.append(((*path, "channel"), f"channel: '{one.channel}' has no stock feed; give it one"))
        if isinstance(one, PauseBatch) and one.interface not in batches:
            text = f"interface: '{one.interface}' sends no files; give one of style batch"
            problems.append(((*path, "interface"), text))
        if isinstance(one, ShiftVolume) and "preferred_node" not in scenario.policies.sourcing.rules:
            text = "preferred: no sourcing rule looks at preferred warehouses; add preferred_node"
            problems.append(((*path, "preferred"), text))
        if isinstance(one, ShiftCarrier) and one.carrier == one.to:
            problems.append(((*path, "to"), f"to: '{one.to}' is the carrier that parcels go with; name another"))
        elif isinstance(one, ShiftCarrier) and not _ways(scenario, one.carrier) & _ways(scenario, one.to):
            text = f"to: no lane of '{one.to}' serves a way of '{one.carrier}'; add one"
            problems.append(((*path, "to"), text))
    return problems


def _ways(scenario: Scenario, carrier: str) -> set[tuple[str, str]]:
    return {(lane.from_, lane.to) for lane in scenario.lanes if lane.carrier == carrier}


def undisturbed(scenario: Scenario) -> list[tuple[Path, str]]:
    """Disruptions that could have no effect."""
    problems: list[tuple[Path, str]] = []
    lasts = scenario.run.end - scenario.run.start
    pickers = {warehouse.id: warehouse.pickers for warehouse in scenario.warehouses}
    lanes = {(lane.from_, lane.to) for lane in scenario.lanes}
    carriers = {lane.carrier for lane in scenario.lanes}
    for index, one in enumerate(scenario.disruptions):
        path: Path = ("disruptions", index)
        if one.from_ >= lasts:
            text = f"the {one.kind} begins at {format_duration(one.from_)}, and the run is over at "
            problems.append(((*path, "from"), f"from: {text}{format_duration(lasts)}; let it begin earlier"))
        if isinstance(one, CapacityCut) and pickers[one.warehouse] is None:
            text = f"to: warehouse '{one.warehouse}' has pickers without limit, and a share of them is no less"
            problems.append(((*path, "to"), f"{text}; give it pickers"))
        if isinstance(one, LaneClosed) and (one.lane_from, one.lane_to) not in lanes:
            text = f"no lane leads from '{one.lane_from}' to '{one.lane_to}'"
            problems.append(((*path, "lane_to"), text))
        if isinstance(one, CarrierClosed) and one.carrier not in carriers:
            problems.append(
                ((*path, "carrier"), f"carrier: '{one.carrier}' serves no lane, so nothing would stand still")
            )
        if isinstance(one, DemandSpike):
            demand = next(channel.demand for channel in scenario.channels if channel.id == one.channel)
            if not isinstance(demand, PoissonDemand | GeneratedDemand):
                text = f"channel: the demand of '{one.channel}' is {demand.kind}; a spike needs poisson or generated"
                problems.append(((*path, "channel"), text))
    return problems


def partners_of(scenario: Scenario) -> list[str]:
    """All that messages may go to."""
    partners = [f"warehouse/{site.id}" for site in scenario.warehouses]
    partners += [f"supplier/{supplier.id}" for supplier in scenario.suppliers]
    partners += [f"carrier/{carrier.id}" for carrier in scenario.carriers] + ["erp"]
    partners += [f"marketplace/{channel.id}" for channel in scenario.channels if channel.feed is not None]
    if scenario.inventory is not None and scenario.inventory.held_by == "service":
        partners.append("inventory")
    return partners + [f"decision/{service.id}" for service in scenario.services]
