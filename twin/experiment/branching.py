"""A business in memory that can be forked at any instant: nothing is written, entries are folded as they happen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from twin.codec import decode_state, encode_state
from twin.core.engine import Engine
from twin.core.entry import Entry
from twin.driver import Driver
from twin.scenario import Scenario
from twin.world.build import build, gateways
from twin.world.business import Business

__all__ = ["Branch", "FaultRow", "Watcher"]

Watcher = Callable[[Entry], None]
"""Takes every entry, in order."""

FaultRow = tuple[int, str, str, str]
"""Instant (ms), `fault.began` or `fault.ended`, the subject, and the detail."""

_FAULTS: Final = ("fault.began", "fault.ended")


class _Passing:
    """A journal that hands entries on and keeps none."""

    def __init__(self, watcher: Watcher, position: int) -> None:
        self.watcher = watcher
        self.position = position

    def append(self, entries: Sequence[Entry], expected: int) -> int:
        for entry in entries:
            self.watcher(entry)
        self.position += len(entries)
        return self.position

    def read(self, after: int) -> Iterator[Entry]:
        return iter(())

    def submitted(self) -> int:
        return self.position

    def mark_submitted(self, position: int) -> None:
        """Nothing is handed over twice: a branch is never recovered."""


class _FaultsOnly:
    """The truth about faults; the rest of it is not wanted."""

    def __init__(self) -> None:
        self.rows: list[FaultRow] = []

    def record(
        self, at: int, type: str, subject: str, node: str = "", sku: str = "", quantity: int = 0, detail: str = ""
    ) -> None:
        if type in _FAULTS:
            self.rows.append((at, type, subject, detail))


class Branch:
    """A business under way; `watcher` sees its entries, `faults` has what began and ended."""

    def __init__(self, world: Business, engine: Engine, watcher: Watcher) -> None:
        self.world = world
        self.truth = _FaultsOnly()
        world.truth = self.truth
        self.driver = Driver(_Passing(watcher, engine.state.position), gateways(world), engine)
        world.orchestration.attach(self.driver)

    @classmethod
    def begin(cls, scenario: Scenario, seed: int, watcher: Watcher) -> Branch:
        """A scenario's business before its first instant."""
        built = build(scenario, seed)
        branch = cls(built.world, Engine(), watcher)
        for command in built.genesis:
            entry = branch.driver.handle(command, built.world.now)
            if entry.refusal is not None:
                raise ValueError(f"the engine refuses {command.id}: {entry.refusal.code}: {entry.refusal.text}")
        if built.opening is not None:
            built.opening.take_over(branch.driver, built.world)
        built.world.orchestration.arm()
        for actor in list(built.world.actors.values()):
            start = getattr(actor, "start", None)
            if start is not None:
                start()
        return branch

    @property
    def faults(self) -> list[FaultRow]:
        """What began and ended so far."""
        return self.truth.rows

    def run(self, until: int) -> None:
        """Run to an instant (ms), if that is still to come."""
        if until > self.world.now:
            self.world.run(until)

    def fork(self, watcher: Watcher) -> Branch:
        """A copy that goes on by itself."""
        engine = Engine(decode_state(encode_state(self.driver.engine.state)))
        return Branch(self.world.fork(), engine, watcher)
