"""A business in memory for tests: started as a run starts it, with its log, truth and clock at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from twin.codec import decode_state, encode_state
from twin.core.commands import CaptureOrder, ConfirmShipment, External, HoldOrder, OrderLine, ReleaseHold
from twin.core.effects import Delivery
from twin.core.engine import Engine
from twin.core.entry import Entry
from twin.core.events import Event, GoodsShipped
from twin.core.invariants import violations
from twin.core.state import Cell, State
from twin.driver import Driver
from twin.log import MemoryLog, MemoryTruth, TruthRow
from twin.measures.accounts import Accounts, account
from twin.scenario import Scenario
from twin.scenario.merging import merge_plain
from twin.streams import Series
from twin.world.build import build, gateways
from twin.world.business import Business
from twin.world.kernel import Phase
from twin.world.warehouse import Warehouse

__all__ = [
    "DAY",
    "HOUR",
    "MILL",
    "MINUTE",
    "MONDAY",
    "SECOND",
    "Stage",
    "min_max",
    "shipped_orders",
    "site",
    "tiny",
    "told_at",
]

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MONDAY = 1_763_337_600_000
"""2025-11-17T00:00Z, when tiny businesses begin."""

E = TypeVar("E")

TINY: dict[str, Any] = {
    "schema": 1,
    "title": "A tiny business",
    "run": {"start": "2025-11-17T00:00Z", "horizon": "60d", "seed": 1},
    "currency": "GBP",
    "regions": ["home"],
    "warehouses": [{"id": "main", "latency": "1ms"}],
    "carriers": [{"id": "van", "latency": "1ms"}],
    "lanes": [{"from": "main", "to": "home", "carrier": "van", "transit": "4h"}],
    "channels": [{"id": "web", "style": "ecommerce", "requested": "2d", "demand": {"kind": "none"}}],
    "items": [{"id": "mug", "price": "4.50 GBP", "cost": "2.00 GBP"}],
    "stock": [{"warehouse": "main", "item": "mug", "on_hand": 200}],
}


def tiny(changes: Mapping[str, Any] | None = None) -> Scenario:
    """One warehouse with 200 mugs, one van of four hours, one channel without demand of its own; `changes` on top.

    Messages take 1 ms, parcels leave as they are packed.
    """
    return Scenario.model_validate(merge_plain(TINY, changes or {}))


class Stage:
    """A scenario in motion. `at` in its methods counts from the start of the run, in ms."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int = 1,
        *,
        shuffle: Series | None = None,
        prepare: Callable[[Business], None] | None = None,
    ) -> None:
        built = build(scenario, seed, shuffle=shuffle)
        self.scenario = scenario
        self.world = built.world
        self.log = MemoryLog()
        self.truth = MemoryTruth()
        self.world.truth = self.truth
        self.driver = Driver(self.log, gateways(self.world))
        self.world.orchestration.attach(self.driver)
        for command in built.genesis:
            entry = self.driver.handle(command, self.world.now)
            assert entry.refusal is None, entry.refusal
        self.opening = built.opening.take_over(self.driver, self.world) if built.opening is not None else None
        self.world.orchestration.arm()
        if prepare is not None:
            prepare(self.world)
        for actor in list(self.world.actors.values()):
            start = getattr(actor, "start", None)
            if start is not None:
                start()

    # --- what comes in

    def send(self, command: External, at: int = 0) -> None:
        """A command reaches the engine."""
        delay = self.scenario.run.start + at - self.world.now
        self.world.post(self.world.orchestration.receive, command, delay, Phase.COMMAND)

    def order(
        self,
        order: str,
        wanted: Mapping[str, int] | None = None,
        *,
        at: int = 0,
        channel: str = "web",
        region: str = "home",
        criticality: str = "",
        hold: bool = False,
    ) -> None:
        """An order over `wanted` units by item (one mug unless given) reaches the engine."""
        lines = tuple(
            OrderLine(number, sku, units, 450) for number, (sku, units) in enumerate((wanted or {"mug": 1}).items(), 1)
        )
        time = self.scenario.run.start + at
        self.send(
            CaptureOrder(order, "test", time, order, channel, "ann", region, time + DAY, lines, criticality, hold), at
        )

    def hold(self, order: str, *, at: int) -> None:
        """A hold on an order reaches the engine."""
        self.send(HoldOrder(f"{order}/hold", "test", self.scenario.run.start + at, order, "credit check"), at)

    def release_hold(self, order: str, *, at: int) -> None:
        """The end of a hold reaches the engine."""
        self.send(ReleaseHold(f"{order}/free", "test", self.scenario.run.start + at, order), at)

    def steal(self, node: str, sku: str, units: int) -> None:
        """Units vanish from the shelf, unseen."""
        self.warehouse(node).shelf[sku] -= units
        self.truth.record(self.world.now, "stock.shrunk", "", node, sku, -units)

    # --- the clock

    def run(self, until: int) -> None:
        """Run up to `until`, counted from the start."""
        self.world.run(self.scenario.run.start + until)

    def run_checked(self, until: int, every: int = 50) -> int:
        """Run and hold the state to its invariants after every so many entries; returns how often that was."""
        end, checks, mark = self.scenario.run.start + until, 0, self.log.position // every
        while self.world.peek() < end:
            self.world.step()
            if self.log.position // every > mark:
                mark = self.log.position // every
                checks += 1
                broken = violations(self.state)
                assert not broken, f"after entry {self.log.position}: {broken}"
        self.world.run(end)
        return checks

    def fork(self) -> Stage:
        """A copy of the running business, world and engine, with a log and a truth that begin here."""
        copy = object.__new__(type(self))
        copy.scenario = self.scenario
        copy.world = self.world.fork()
        copy.log = MemoryLog(self.log.position, self.log.digest)
        copy.truth = MemoryTruth(self.truth.position, self.truth.digest)
        copy.world.truth = copy.truth
        copy.driver = Driver(copy.log, gateways(copy.world), Engine(decode_state(encode_state(self.state))))
        copy.world.orchestration.attach(copy.driver)
        return copy

    # --- what came of it

    @property
    def state(self) -> State:
        """What the engine believes."""
        return self.driver.engine.state

    def warehouse(self, node: str = "main") -> Warehouse:
        """The warehouse itself."""
        return self.world.warehouses[node]

    def cell(self, node: str = "main", sku: str = "mug") -> Cell:
        """The engine's belief about an item at a node."""
        return self.state.stock[node][sku]

    def physical(self, node: str = "main", sku: str = "mug") -> int:
        """Units that are really in the building."""
        warehouse = self.warehouse(node)
        return warehouse.shelf.get(sku, 0) + warehouse.staged.get(sku, 0)

    def events(self, kind: type[E]) -> list[tuple[int, E]]:
        """Every event of a type with its instant, counted from the start."""
        return [(at, event) for at, event in self._all() if isinstance(event, kind)]

    def commands(self, kind: type[E]) -> list[E]:
        """Every command of a type that reached the engine, refused or not."""
        return [entry.command for entry in self.log.entries if isinstance(entry.command, kind)]

    def deliveries(self) -> Iterator[tuple[Entry, Delivery]]:
        """Everything that the engine sent, with the entry that sent it."""
        return ((entry, delivery) for entry in self.log.entries for delivery in entry.deliveries)

    def rows(self, kind: str) -> list[TruthRow]:
        """The truth's rows of a type."""
        return [row for row in self.truth.rows if row.type == kind]

    def since_start(self, instant: int) -> int:
        """An instant counted from the start."""
        return instant - self.scenario.run.start

    def account(self) -> Accounts:
        """The books as they stand, the buildings looked at."""
        truth = MemoryTruth()
        truth.rows = list(self.truth.rows)
        self.world.truth = truth
        for warehouse in self.world.warehouses.values():
            warehouse.take_stock()
        self.world.erp.close_books()
        self.world.truth = self.truth
        return account(self.log.entries, truth.rows)

    def check_books(self) -> None:
        """The books have no difference and the state breaks no invariant."""
        assert self.account().differences == []
        assert violations(self.state) == []

    def _all(self) -> Iterator[tuple[int, Event]]:
        for entry in self.log.entries:
            for event in entry.events:
                yield self.since_start(entry.now), event


# --- ways to change the tiny business

MILL = {"suppliers": [{"id": "mill", "lead_time": "2d", "latency": "1ms"}]}


def site(**changes: Any) -> dict[str, Any]:
    """The tiny business with a warehouse that is set up otherwise."""
    return {"warehouses": [{"id": "main", **changes}]}


def min_max(s: int, S: int, node: str = "main") -> dict[str, Any]:
    """The mill refills mugs by (s,S)."""
    rule = {"warehouse": node, "item": "mug", "supplier": "mill", "kind": "min_max", "s": s, "S": S}
    return {"policies": {"replenishment": [rule]}}


def told_at(stage: Stage, kind: type[Any] = ConfirmShipment) -> list[int]:
    """When the WMS sent its messages of a type, counted from the start."""
    return [stage.since_start(command.time) for command in stage.commands(kind)]


def shipped_orders(stage: Stage) -> list[str]:
    """Orders in the order in which the engine heard of their parcels."""
    return [event.order for _, event in stage.events(GoodsShipped)]
