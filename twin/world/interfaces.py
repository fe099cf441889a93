"""From the interfaces and faults of a scenario to the actors that play them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

from twin.core.dedupe import Seen
from twin.scenario import Scenario
from twin.scenario import faults as specs
from twin.scenario.interfaces import Batch as BatchSpec
from twin.scenario.interfaces import Interface as InterfaceSpec
from twin.scenario.units import DAY_MS
from twin.world.business import Business
from twin.world.door import Edi, InterfaceConfig, Redelivery
from twin.world.faults import (
    Answer,
    BadRecord,
    Copy,
    Crash,
    Delay,
    Down,
    Falsify,
    Fault,
    FaultClock,
    Freeze,
    Lose,
    Mechanism,
    Misaddress,
    Shift,
    Stale,
    Storm,
    Throttle,
    Truncate,
)
from twin.world.files import Batch, Files
from twin.world.interface import Interface
from twin.world.party import MEMORY_MS, Party
from twin.world.recent import Recent
from twin.world.sites import Sites
from twin.world.versions import Rollout, Turn
from twin.world.warehouse import Warehouse

__all__ = ["add_interfaces", "fault_ids"]

RESENT_MS: Final = 300_000
"""After which time a partner sends a report again that nobody could read, unless its interface says otherwise."""

_ERRORS = {
    "retryable": Answer("failed", "503 service unavailable"),
    "permanent": Answer("refused", "422 unprocessable"),
    "unknown": Answer("", ""),
}


def fault_ids(faults: tuple[specs.Fault, ...]) -> list[str]:
    """The name of each fault: its id, or its kind and interface, numbered from the second of its like on."""
    taken: dict[str, int] = {}
    names = []
    for fault in faults:
        name = fault.id or f"{fault.kind}:{fault.interface}"
        taken[name] = taken.get(name, 0) + 1
        names.append(name if taken[name] == 1 else f"{name}:{taken[name]}")
    return names


def add_interfaces(scenario: Scenario, sites: Sites, world: Business) -> None:
    """Put every interface of the scenario before its party, and beside it a clock for each fault."""
    names = fault_ids(scenario.faults)
    if any(fault.tenant is not None for fault in scenario.faults):
        world.tenants = Recent()
    for spec in scenario.interfaces:
        id = f"interface/{spec.id}"
        faults = [
            _fault(scenario, spec, world, fault, name, rank)
            for rank, (fault, name) in enumerate(zip(scenario.faults, names, strict=True))
            if fnmatchcase(spec.id, fault.interface)
        ]
        clocks = [FaultClock(id, fault) for fault in faults]
        triggers = tuple((clock.fault.backlog, clock.id) for clock in clocks if clock.fault.backlog)
        config = _config(spec, sites, triggers)
        world.interfaces[spec.to] = world.add(Interface(id, spec.to, config))
        if config.batch is not None:
            for way, carried in (("calls", config.batch.calls), ("reports", config.batch.reports)):
                if carried:
                    world.add(Files(id, way, config.batch))
        for clock in clocks:
            world.add(clock)
        _face(spec, world, faults)


def _config(spec: InterfaceSpec, sites: Sites, triggers: tuple[tuple[int, str], ...]) -> InterfaceConfig:
    queue, limit, token, batch, edi = spec.queue, spec.rate_limit, spec.token, spec.batch, spec.edi
    again = spec.redelivery
    return InterfaceConfig(
        spec.workers or 0,
        spec.service,
        queue.discipline,
        queue.bound or 0,
        queue.expired == "dropped",
        Throttle(limit.rate.count, limit.rate.per_ms, limit.burst) if limit is not None else None,
        token.lifetime if token is not None else 0,
        token.renewal if token is not None else 0,
        triggers,
        spec.style in ("event", "edi"),
        _batch(batch) if batch is not None else None,
        Edi(edi.translation, edi.acknowledgement) if edi is not None else None,
        Redelivery(again.after, again.times) if again is not None else None,
        sites.calendars[spec.calendar or "always"],
        _rollout(spec, sites.scenario.run.start),
    )


def _rollout(spec: InterfaceSpec, start: int) -> Rollout | None:
    planned = spec.rollout
    if planned is None:
        return None
    sender = Turn(start + planned.sender.from_, planned.sender.for_)
    reader = Turn(start + planned.reader.from_, planned.reader.for_)
    again = 0 if planned.of == "calls" else planned.again or RESENT_MS
    return Rollout(spec.version, planned.to, sender, reader, planned.reads, again)


def _batch(spec: BatchSpec) -> Batch:
    return Batch(spec.every, spec.cut_off, spec.size or 0, spec.carries != "reports", spec.carries != "calls")


def _face(spec: InterfaceSpec, world: Business, faults: list[Fault]) -> None:
    """Tell the party that an interface stands before it, and how long it remembers what it did."""
    party = world.actors[spec.to]
    if isinstance(party, Party):
        party.faced = True
        party.dedupe_ms = spec.dedupe
        forgets = any(isinstance(fault.what, Crash) and fault.what.forgets for fault in faults)
        if spec.dedupe < MEMORY_MS or forgets:
            party.acted = Seen()


def _fault(scenario: Scenario, at: InterfaceSpec, world: Business, spec: specs.Fault, name: str, rank: int) -> Fault:
    stage, what = _mechanism(spec, at)
    backlog = (spec.when.backlog_above or 0) if spec.when is not None else 0
    return Fault(
        name,
        spec.kind,
        stage,
        what,
        rank,
        "warehouse.release" if isinstance(spec, specs.BadAddress) else spec.endpoint,
        spec.probability,
        () if backlog else _windows(scenario, at, world, spec),
        spec.markov.up if spec.markov is not None else None,
        spec.markov.down if spec.markov is not None else None,
        backlog,
        (spec.for_ or 0) if backlog else 0,
        spec.ramp,
        isinstance(spec, specs.Poison | specs.BadAddress),
        isinstance(spec, specs.ReplyLost | specs.ReplyLate),
        spec.tenant or "",
    )


def _windows(scenario: Scenario, at: InterfaceSpec, world: Business, spec: specs.Fault) -> tuple[tuple[int, int], ...]:
    """When a fault holds at an interface, by the clock; what touches is one."""
    start, end = scenario.run.start, scenario.run.end
    if spec.when is None or spec.when.at_cut_off is None:
        begin = start + spec.from_
        return ((begin, end if spec.for_ is None else begin + spec.for_),)
    windows: list[tuple[int, int]] = []
    for cut_off in _cut_offs(at, world, start, end):
        begin = max(start, cut_off - spec.when.at_cut_off)
        over = cut_off - spec.when.at_cut_off + (spec.for_ or 0)
        if windows and begin <= windows[-1][1]:
            windows[-1] = (windows[-1][0], max(over, windows[-1][1]))
        elif begin < end:
            windows.append((begin, over))
    return tuple(windows)


def _cut_offs(at: InterfaceSpec, world: Business, start: int, end: int) -> list[int]:
    """The instants by which a call must be there to go with a file, or with a truck of the warehouse."""
    if at.batch is not None:
        return [due - at.batch.cut_off for due in range(start + at.batch.every, end, at.batch.every)]
    site = world.actors[at.to]
    trucks = site.config.pickups if isinstance(site, Warehouse) else ()
    return sorted({instant: None for pickups in trucks for instant in pickups.instants if start <= instant < end})


def _mechanism(spec: specs.Fault, at: InterfaceSpec) -> tuple[str, Mechanism]:
    """Where a message meets the fault, and what it does to it."""
    match spec:
        case specs.Outage():
            return "queue" if spec.direction == "call" else "back", Down(spec.calls == "turned_away")
        case specs.Freeze():
            return "finish", Freeze()
        case specs.Latency() | specs.Reorder():
            return _way(spec.direction), Delay(spec.delay)
        case specs.Loss():
            return _way(spec.direction), Lose()
        case specs.Duplicate():
            return _way(spec.direction), Copy(spec.after)
        case specs.ReplyLost():
            return "reply", Lose()
        case specs.ReplyLate():
            return "reply", Delay(spec.delay)
        case specs.Error():
            return "work", _ERRORS[spec.class_]
        case specs.Poison():
            return "work", Answer("failed", "poison message")
        case specs.SchemaDrift():
            if spec.misread_by is None:
                return "door", Answer("refused", "999 AK5 R: malformed" if at.style == "edi" else "400 malformed")
            return "reply", Shift(spec.misread_by, ("eta",))
        case specs.RateLimited():
            return "door", Throttle(spec.rate.count, spec.rate.per_ms, spec.burst)
        case specs.Auth():
            return "door", Answer("failed", "401 unauthorized")
        case specs.ClockSkew():
            return "reply", Shift(spec.offset if spec.clock == "ahead" else -spec.offset, ("time", "eta"))
        case specs.WrongAnswer():
            if spec.shift is None:
                return "reply", Falsify("code", "rejected")
            return "reply", Shift(-spec.shift if spec.says == "early" else spec.shift, ("eta",))
        case specs.ConsumerCrash():
            return "work", Crash(spec.at == "after_commit", spec.forgets)
        case specs.LateFile():
            return spec.file, Delay(spec.delay)
        case specs.PartialFile():
            return spec.file, Truncate() if spec.missing == "tail" else Lose()
        case specs.DoubledFile():
            return spec.file, Copy(spec.after)
        case specs.StaleSnapshot():
            return "reply", Stale(spec.stamped == "anew")
        case specs.BadMasterData():
            return "reply", BadRecord(spec.about, spec.record, spec.wrong, spec.defect == "duplicate")
        case specs.BadAddress():
            if spec.defect == "missing":
                return "door", Answer("refused", "422 address missing", put_right=True)
            return "work", Misaddress(DAY_MS if spec.corrected is None else spec.corrected)
        case specs.RedriveStorm():
            return "storm", Storm(spec.every)


def _way(direction: str) -> str:
    return "way" if direction == "call" else "reply"
