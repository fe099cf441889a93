"""One warmed-up business for all variants of a seed: the base runs once, is forked, and each fork takes a change over.

A fork takes over what a business under way can: new rules come as commands, as in production; what partners, customers
and interfaces are like is set anew; faults, disruptions and interventions are added and begin there. What these look at
of the time before, the base remembers from its first instant on, which changes nothing else of it. Anything else that a
variant changes has left its traces in the warm state and is refused, before anything runs.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from msgspec import Struct, structs

from twin.core.commands import DefineItems, DefineNetwork, DefineReplenishment, External, LoadStock
from twin.core.refusals import EngineError
from twin.experiment.trial import Outcome, Trial, failed, outcome_of
from twin.experiment.warm_rules import only_what_differs
from twin.run import RunRefused, Simulation
from twin.scenario import Scenario
from twin.streams import Series, Streams
from twin.world.build import Build, build
from twin.world.business import Business
from twin.world.channel import Channel
from twin.world.disruptions import DisruptionClock
from twin.world.faults import FaultClock
from twin.world.kernel import Actor
from twin.world.operations import Operations
from twin.world.party import Link
from twin.world.recent import Recent

__all__ = ["WarmGroup", "cannot_take_over", "change_of", "remember", "take_over", "try_warm"]

SET_ANEW: Final = (
    "answering",
    "fixed_latency_ms",
    "gap",
    "hourly_micro",
    "levels",
    "items",
    "lines_distribution",
    "link",
    "posting",
    "posting_fixed",
    "quantity",
    "regions",
    "wide_open",
)
"""Attributes of actors that say what they are like, and that nothing changes in a run."""

OF_CONFIG: Final = {
    "CarrierConfig": ("transits", "working"),
    "ChannelConfig": ("criticality", "prices", "requested_ms"),
    "InterfaceConfig": ("bound", "discipline", "drops_expired", "limit", "service", "triggers", "workers"),
    "SupplierConfig": ("acknowledgement", "lead_time", "lead_times", "minimum_order", "unit_ms"),
    "WarehouseConfig": ("dock_to_stock", "drawn", "exponential", "line_ms", "order_ms", "pickers", "unit_ms"),
}
"""The same of what is called their config: no clock was set by these."""

ADDED: Final = ("disruption/", "fault/", "intervention/")
"""Actors that can come later: they begin by their own `start`."""

REMEMBERED: Final = ("acted", "standstill", "standstills")
"""Memories of actors that only a fault or disruption looks at; nothing where there is none."""

CHANGES_MAX: Final = 256
"""Changes kept in a process."""

COUNTED: Final = ("free_pickers",)
"""Counts of what there is, less what is in use: a fork has as many more as its variant begins with."""


class WarmGroup(Struct, frozen=True):
    """Trials that part from one warm state: the base under `seed`, `warm_ms` after its start."""

    base: Scenario
    seed: int
    warm_ms: int
    trials: tuple[Trial, ...]


class _Change(Struct):
    """What a variant does to a business under way, and what it does that one cannot take over. `commands` have what the
    base said in their place, if anything."""

    commands: list[tuple[External | None, External]] = []
    settings: list[tuple[str, str, Any, Any]] = []
    remembered: list[tuple[str, str, Any]] = []
    tenants: bool = False
    added: list[Actor] = []
    refused: list[str] = []


def cannot_take_over(base: Scenario, variant: Scenario, warm_ms: int) -> list[str]:
    """What of a variant a warm start of `warm_ms` cannot take over; nothing where it can all be."""
    change, forked_at = change_of(base, variant), base.run.start + warm_ms
    early = [f"{actor.id}, which is over before its variants part" for actor in change.added if _over(actor, forked_at)]
    return change.refused + early


def _over(actor: Actor, now: int) -> bool:
    """Whether something added would never begin, since its time has passed."""
    if isinstance(actor, DisruptionClock):
        return actor.disruption.begins_at < actor.disruption.ends_at <= now
    if isinstance(actor, FaultClock):
        windows = actor.fault.windows
        return bool(windows) and all(begin < end <= now for begin, end in windows)
    if isinstance(actor, Operations):
        return 0 <= actor.plan.trigger.at < now
    return False


def try_warm(group: WarmGroup) -> tuple[Outcome, ...]:
    """Run the base once and each trial from there; an engine that stops in a fork is that trial's outcome."""
    began = time.perf_counter()
    try:
        with TemporaryDirectory(prefix="twin-warm-") as kept:
            warm = Simulation.begin(group.base, group.seed, Path(kept) / "warm")
            for trial in group.trials:
                remember(warm.world, change_of(group.base, trial.scenario))
            warm.advance(group.base.run.start + group.warm_ms)
            shared = (time.perf_counter() - began) / len(group.trials)
            return tuple(
                _forked(group, trial, warm, Path(kept) / str(number), shared)
                for number, trial in enumerate(group.trials)
            )
    except EngineError as error:
        return tuple(failed(trial, error) for trial in group.trials)
    except Exception as error:
        error.add_note(f"while warming up {group.trials[0].scenario_id} with seed {group.seed}")
        raise


def _forked(group: WarmGroup, trial: Trial, warm: Simulation, folder: Path, shared: float) -> Outcome:
    began = time.perf_counter()
    try:
        fork = warm.fork(folder)
        fork.scenario = trial.scenario
        if trial.seed != group.seed:
            _reseed(fork, trial.seed)
        take_over(fork, change_of(group.base, trial.scenario))
        fork.advance(trial.scenario.run.end)
        position, digest = warm.log.position, warm.log.digest.hex()
        done = outcome_of(trial, fork.finish(parent=digest, position=position))
    except EngineError as error:
        done = failed(trial, error)
    except Exception as error:
        error.add_note(f"while running {trial.name}")
        raise
    return structs.replace(done, seconds=round(shared + time.perf_counter() - began, 3))


def _reseed(fork: Simulation, seed: int) -> None:
    """From here on the fork has another seed's luck; what is on its way already comes as it would have."""
    fork.seed = seed
    fork.world.streams = Streams(seed)
    for actor in fork.world.actors.values():
        for name, value in list(actor.__dict__.items()):
            if isinstance(value, Series):
                setattr(actor, name, Series(seed, value.name))


def remember(world: Business, change: _Change) -> None:
    """Have a business that begins keep what a variant's faults, disruptions and supervision look at."""
    for id, name, value in change.remembered:
        actor = world.actors[id]
        kept = getattr(actor, name)
        if isinstance(kept, Link):
            told, cancellable = kept.supervised or value.supervised, kept.cancellable or value.cancellable
            setattr(actor, name, structs.replace(kept, supervised=told, cancellable=cancellable))
        elif isinstance(kept, dict):
            setattr(actor, name, value | kept)
        elif kept is None:
            setattr(actor, name, value)
    if change.tenants and world.tenants is None:
        world.tenants = Recent()
        _close_doors(world)


def _close_doors(world: Business) -> None:
    """Where tenants are told apart no call goes by unseen."""
    for interface in world.interfaces.values():
        interface.wide_open = False


def take_over(fork: Simulation, change: _Change) -> None:
    """Have a business under way go by a variant from now on. Raises `RunRefused` for what it cannot take over."""
    if change.refused:
        raise RunRefused(f"a warm start cannot take over {change.refused[0]}")
    world = fork.world
    for id, name, before, after in change.settings:
        actor = world.actors[id]
        setattr(actor, name, getattr(actor, name) + after - before if name in COUNTED else after)
    if world.tenants is not None:
        _close_doors(world)
    for added in change.added:
        world.add(added).start()  # type: ignore[attr-defined]
    for warehouse in world.warehouses.values():
        warehouse.recount()
    for old, new in change.commands:
        command = only_what_differs(fork.driver.engine.state, old, new)
        if command is None:
            continue
        entry = fork.driver.handle(structs.replace(command, time=world.now), world.now)
        if entry.refusal is not None:
            raise RunRefused(f"the engine refuses {command.id}: {entry.refusal.code}: {entry.refusal.text}")
    world.orchestration.arm()


_CHANGES: Final[dict[tuple[str, str], bytes]] = {}
"""Changes by the digests of base and variant, pickled since a fork makes the added actors its own. They hold for every
seed: what a business is like before its first instant is not drawn."""


def change_of(base: Scenario, variant: Scenario) -> _Change:
    """What a variant changes in a business of the base."""
    pair = (base.digest, variant.digest)
    if pair not in _CHANGES:
        if len(_CHANGES) >= CHANGES_MAX:
            _CHANGES.clear()
        seed = base.run.seed
        change = _change(build(base, seed), build(variant, seed))
        for actor in change.added:
            del actor.__dict__["world"]
        _CHANGES[pair] = pickle.dumps(change, protocol=5)
    found: _Change = pickle.loads(_CHANGES[pair])
    return found


def _change(base: Build, variant: Build) -> _Change:
    found = _Change()
    _compare_commands(base.genesis, variant.genesis, found)
    openings = [None if one.opening is None else one.opening.tables for one in (base, variant)]
    if openings[0] != openings[1]:
        found.refused.append("another opening")
    found.tenants = variant.world.tenants is not None
    before, after = base.world.actors, variant.world.actors
    found.refused += [f"that there is no {id}" for id in before if id not in after]
    for id, actor in after.items():
        if id in before:
            for what in _compare_actors(before[id], actor, found):
                found.refused.append(f"{what} of {id}")
        elif id.startswith(ADDED) or (isinstance(actor, Channel) and actor.config.spike):
            found.added.append(actor)
        else:
            found.refused.append(f"the new {id}")
    return found


def _compare_actors(before: Actor, after: Actor, found: _Change) -> Iterator[str]:
    for name, value in after.__dict__.items():
        old = before.__dict__.get(name)
        if name == "world" or _same(old, value):
            continue
        if name in REMEMBERED:
            if value:
                found.remembered.append((after.id, name, value))
            continue
        if isinstance(value, Link) and (value.supervised or value.cancellable):
            found.remembered.append((after.id, name, value))
        if name in SET_ANEW or name in COUNTED:
            found.settings.append((after.id, name, old, value))
        elif name == "config" and old is not None and type(old) is type(value):
            allowed = OF_CONFIG.get(type(value).__name__, ())
            wrong = [key for key in value.__struct_fields__ if key not in allowed and not _same_in(key, old, value)]
            yield from wrong
            if not wrong:
                found.settings.append((after.id, name, old, value))
        else:
            yield name


def _same_in(key: str, old: Any, new: Any) -> bool:
    return _same(getattr(old, key), getattr(new, key))


def _same(old: Any, new: Any) -> bool:
    return bool(old == new) or pickle.dumps(old) == pickle.dumps(new)


def _compare_commands(before: Sequence[External], after: Sequence[External], found: _Change) -> None:
    olds = {command.id: command for command in before}
    for command in after:
        old = olds.pop(command.id, None)
        if old == command:
            continue
        if isinstance(command, LoadStock):
            found.refused.append(f"another opening stock of {command.node}")
            continue
        told = command.id.replace("genesis/", "variant/", 1)
        found.commands.append((old, structs.replace(command, id=told)))
    gone = _names(before).keys() - _names(after).keys()
    found.refused += [f"that there is no {name}" for name in sorted(gone)]


_NAMES: Final[dict[type, Callable[[Any], list[str]]]] = {
    DefineItems: lambda told: [f"item {item.sku}" for item in told.items],
    DefineReplenishment: lambda told: [f"rule for {rule.sku} at {rule.node}" for rule in told.rules],
    DefineNetwork: lambda told: [
        *(f"lane from {lane.node} to {lane.region} by {lane.carrier}" for lane in told.lanes),
        *(f"channel {channel.id}" for channel in told.channels),
        *(f"supplier {supplier.id}" for supplier in told.suppliers),
        *(f"warehouse {warehouse.id}" for warehouse in told.warehouses),
    ],
    LoadStock: lambda told: [f"stock of {line.sku} at {told.node}" for line in told.lines],
}


def _names(commands: Sequence[External]) -> dict[str, None]:
    """All that is defined, since a later definition adds and replaces, but takes nothing away."""
    return dict.fromkeys(name for told in commands if type(told) in _NAMES for name in _NAMES[type(told)](told))
