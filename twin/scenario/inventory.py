"""Who holds the inventory: the engine, or a system outside where others may take from it, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from twin.scenario.base import DurationMs, ItemRef, Model, PositiveMs, SomeRate, Tuple, WarehouseRef, Weights, refuse
from twin.scenario.delivery import GatewayKind
from twin.scenario.distributions import CountSpec, DistributionSpec
from twin.scenario.errors import Path
from twin.scenario.units import DAY_MS
from twin.streams.distributions import Fixed

if TYPE_CHECKING:
    from twin.scenario.model import Scenario

__all__ = ["Inventory", "OtherDemand", "inventory_misfits", "nothing_to_take"]


class OtherDemand(Model):
    """Who takes goods past the engine, such as a counter: at random, evenly over time, if the holder has them."""

    warehouse: WarehouseRef
    """Where"""
    rate: SomeRate
    """Mean number of sales"""
    items: Weights[ItemRef] | None = None
    """Weights of the items; all that the warehouse opens with, alike, unless given"""
    quantity: CountSpec = Fixed(1)
    """Units of a sale"""
    collected: DurationMs = 0
    """After so long what is sold leaves the building; it is reserved meanwhile"""


class Inventory(Model):
    """Who says what is reserved. Outside the engine, reserving and releasing are calls."""

    held_by: Literal["engine", "erp", "service"] = "engine"
    """Who: the engine itself, the ERP, or a service of its own, which interfaces know as `inventory`"""
    latency: DistributionSpec | None = None
    """Of a message to or from the service, each way; 20ms unless given"""
    answering: DistributionSpec | None = None
    """Time the service takes over a call; none unless given. The ERP takes as long as over an invoice"""
    pause: PositiveMs = 900_000
    """After so long, and before twice that, an order is sourced anew when nobody said what became of its call"""
    reconcile: DurationMs = DAY_MS
    """How often the reservations there are held against those of the engine, counted from the epoch; 0s for never"""
    others: Tuple[OtherDemand] = ()
    """Who else takes goods"""

    @model_validator(mode="after")
    def _held_outside(self) -> Self:
        given = [name for name in ("latency", "answering") if getattr(self, name) is not None]
        if given and self.held_by != "service":
            raise refuse(
                f"{' and '.join(given)} can have no effect: only a service has its own, and {self.held_by} holds the "
                "inventory; write held_by: service, or leave it out"
            )
        if self.held_by == "engine":
            named = [name for name in ("pause", "reconcile") if name in self.model_fields_set]
            if named:
                raise refuse(
                    f"{' and '.join(named)} can have no effect: the engine holds the inventory; write held_by: erp "
                    "or service, or leave it out"
                )
        return self


def inventory_misfits(scenario: Scenario) -> list[tuple[Path, str]]:
    """What does not fit to who holds the inventory: nobody waits for the answers, or nobody takes what others would."""
    inventory = scenario.inventory
    if inventory is None:
        return []
    problems: list[tuple[Path, str]] = []
    kind: GatewayKind = "erp" if inventory.held_by == "erp" else "inventory"
    if inventory.held_by != "engine" and not scenario.policies.delivery.of(kind).acknowledge:
        text = f"held_by: a reservation is an answer, and policies.delivery.{kind} waits for none"
        problems.append((("inventory", "held_by"), f"{text}; set acknowledge: true there"))
    every = inventory.reconcile
    if inventory.held_by != "engine" and every and every <= scenario.policies.delivery.of(kind).timeout:
        text = "reconcile: a question that is asked anew before its answer is late is never answered"
        problems.append((("inventory", "reconcile"), f"{text}; give more than policies.delivery.{kind}.timeout"))
    party = "inventory" if inventory.held_by == "service" else inventory.held_by
    for index, interface in enumerate(scenario.interfaces):
        if interface.to == party and interface.style in ("event", "edi"):
            text = f"style: {interface.style} answers for its partner, and who holds the inventory answers itself"
            problems.append((("interfaces", index, "style"), f"{text}; give another style"))
    if inventory.held_by == "engine" and not inventory.others:
        text = "held_by: the engine holds the inventory without this key; write erp or service, or leave inventory out"
        problems.append((("inventory", "held_by"), text))
    for index, other in enumerate(inventory.others):
        if other.items is None and _opens_empty(scenario, other.warehouse):
            problems.append((("inventory", "others", index, "warehouse"), f"warehouse: {nothing_to_take(other)}"))
    return problems


def nothing_to_take(other: OtherDemand) -> str:
    """That nobody knows what somebody takes where nothing is in stock at first, and what to do about it."""
    return f"'{other.warehouse}' opens empty, and what they take is all that it opens with; give items, or stock there"


def _opens_empty(scenario: Scenario, warehouse: str) -> bool:
    """Whether a warehouse surely opens without stock; what an assortment or a file gives it, reading tells."""
    derived = scenario.assortment is not None and warehouse in (scenario.assortment.warehouses or [warehouse])
    listed = any(stock.warehouse == warehouse for stock in scenario.stock)
    return not derived and not listed and scenario.opening is None
