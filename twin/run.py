"""A run: scenario times seed, written to a folder with its log, truth, measures and manifest.

import twin as tw
tw.load("scenarios/demo.yaml").run(seed=1).measures
"""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from twin import __version__
from twin.codec import FORMAT, decode_state, encode_state
from twin.core.commands import External
from twin.core.engine import Engine
from twin.core.entry import Entry
from twin.core.events import GoodsShipped, ShipmentDelivered, ShipmentLoaded
from twin.decisions import Decider, ServiceRefused
from twin.driver import Driver
from twin.log import (
    AlertRule,
    CostRates,
    Manifest,
    MemoryLog,
    MemoryTruth,
    Monitoring,
    Objective,
    RunLog,
    TruthLog,
    manifest_of,
    read_entries,
    read_manifest,
    write_manifest,
)
from twin.log.decisions import DECISIONS, Recorded, Recorder
from twin.log.folder import RunRefused, check_apart, check_file, check_way, make_way
from twin.log.instants import happened_at
from twin.log.openings import OPENING, write_opening_report
from twin.log.parts import Part, find_parts
from twin.measures import Measured, compute, write_measures
from twin.measures.book_counts import BOOK, count_book, part_of, read_book_counts, under_way, write_book_counts
from twin.opening import OpeningReport
from twin.order_book import OrderBook
from twin.scenario import Scenario
from twin.scenario import load as load_scenario
from twin.scenario.demand import BookDemand
from twin.scenario.errors import choices
from twin.scenario.monitor import ErrorRate
from twin.scenario.units import DAY_MS, YEAR_MS, Share, format_duration, format_instant
from twin.world.book_fit import check_fit
from twin.world.build import build, gateways, load_book
from twin.world.business import Business
from twin.world.decision_service import open_service
from twin.world.opening_tables import write_tables
from twin.world.recorded_luck import RecordedLuck
from twin.world.troubles import intervention_names

__all__ = ["Run", "RunRefused", "Simulation", "SnapshotError", "Twin", "load", "resume"]

Progress = Callable[[str, int, int, int], None]
"""Called with what is being done, how much of it is done, how much there is, and the entries written so far."""

LUCK: Final = "luck.json"
"""Of a run with recorded luck: how often each kind was measured, carried over or modeled."""

SLICES: Final = 200
"""How often a run reports its progress."""

_SNAPSHOT_MARK: Final = b"ordertwin.snapshot "
_SNAPSHOT_HEAD: Final = _SNAPSHOT_MARK + b"1\n"


class SnapshotError(ValueError):
    """A snapshot cannot be used: damaged, or made by another version."""


class _Snapshot(msgspec.Struct):
    """What a run needs to go on: the world, the engine's state, and where the two logs stand."""

    version: str
    scenario: bytes
    seed: int
    at: int
    position: int
    digest: bytes
    truth_position: int
    truth_digest: bytes
    parent: str
    state: bytes
    world: bytes


class Simulation:
    """A scenario in motion: the world, the driver and the logs. `Run` is what remains of it on disk."""

    def __init__(
        self, scenario: Scenario, seed: int, world: Business, driver: Driver, log: RunLog, truth: TruthLog
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.world = world
        self.driver = driver
        self.log = log
        self.truth = truth
        self.book: OrderBook | None = None
        self.recorder: Recorder | None = None

    @classmethod
    def begin(
        cls,
        scenario: Scenario,
        seed: int,
        folder: Path,
        progress: Progress | None = None,
        *,
        force: bool = False,
        services: Mapping[str, Decider] | None = None,
    ) -> Simulation:
        """Build the world, define the business to the engine, and open the logs in `folder`.

        `services` decide in the engine's place, by their id; those not given are asked at the scenario's address.
        Raises `RunRefused` where `folder` is taken and not `force`d; an earlier run in it goes once the input is read.
        Raises `ServiceRefused` for a service that cannot be asked.
        """
        reading = None
        if progress is not None:
            told = progress

            def reading(done: int, total: int) -> None:
                told("reading the order book", done, total, 0)

        # Everything that can be wrong with the input is wrong here, before the folder exists.
        built = build(scenario, seed, reading)
        if built.book is not None:
            check_fit(scenario, built.book)
        deciders = _opened(scenario, services or {})
        make_way(folder, force)
        log = RunLog(folder, scenario.run.part_rows)
        truth = TruthLog(folder, scenario.run.part_rows)
        world = built.world
        world.truth = truth
        driver = Driver(log, gateways(world))
        world.orchestration.attach(driver)
        for command in built.genesis:
            entry = driver.handle(command, world.now)
            if entry.refusal is not None:
                shutil.rmtree(folder)
                raise RunRefused(f"the engine refuses {command.id}: {entry.refusal.code}: {entry.refusal.text}")
        report = built.opening.take_over(driver, world) if built.opening is not None else None
        world.orchestration.arm()
        for actor in list(world.actors.values()):
            start = getattr(actor, "start", None)
            if start is not None:
                start()
        simulation = cls(scenario, seed, world, driver, log, truth)
        simulation.keep_scenario()
        if report is not None:
            write_opening_report(folder, report)
        simulation._record(deciders)
        for decider in deciders.values():
            decider.reset(seed)
        if built.book is not None:
            simulation._open_book(built.book)
        return simulation

    def keep_scenario(self) -> None:
        """Write the scenario first: a run that is killed before its first part can still be told for one."""
        folder = self.log.folder.parent
        # A folder with entries is a run's, whenever it is cut off; one with a scenario alone may be anybody's.
        self.log.folder.mkdir(parents=True, exist_ok=True)
        (folder / "scenario.yaml").write_text(self.scenario.to_yaml(folder), encoding="utf-8")

    def _record(self, deciders: Mapping[str, Decider]) -> None:
        """Keep what outside services decide, beside the log."""
        if deciders:
            self.recorder = Recorder(self.log.folder.parent, deciders)
            self.world.deciders.update(self.recorder.deciders)

    def _open_book(self, book: OrderBook) -> None:
        """Count what is to come before anything of it does."""
        self.book = book
        run, spec = self.scenario.run, self.scenario.order_book
        channels = [channel.id for channel in self.scenario.channels if isinstance(channel.demand, BookDemand)]
        counts = count_book(
            book,
            channels,
            run.start,
            run.demand_end,
            credits=spec is not None and spec.credits,
            adjustments=spec is not None and spec.adjustments,
        )
        write_book_counts(self.log.folder.parent, counts)

    def _close_book(self) -> None:
        """Add how much of the book was due by now, and what of it is on its way to the engine."""
        folder, run, spec = self.log.folder.parent, self.scenario.run, self.scenario.order_book
        counts = read_book_counts(folder)
        if counts is None or spec is None:
            return
        due, now = counts.inside, self.world.now
        if now < run.demand_end:
            book = load_book(spec) if self.book is None else self.book
            due = part_of(book, run.start, now, credits=spec.credits, adjustments=spec.adjustments)
        sent: list[External] = self.world.posted(self.world.orchestration.receive)
        write_book_counts(folder, msgspec.structs.replace(counts, due=due, under_way=under_way(sent, counts.channels)))

    def advance(self, until: int, progress: Progress | None = None) -> None:
        """Run the clock to `until` (ms), telling the progress in slices.

        An error leaves with a note of the seed and the position at which it happened.
        """
        world = self.world
        first = world.now
        for index in range(1, SLICES + 1):
            at = first + (until - first) * index // SLICES
            if at > world.now:
                try:
                    world.run(at)
                except Exception as error:
                    place = f"seed {self.seed}, after entry {self.log.position}, at {format_instant(world.now)}"
                    error.add_note(f"{place} of the simulated time")
                    raise
            if progress is not None:
                start = self.scenario.run.start
                progress("running the business", world.now - start, until - start, self.log.position)

    def intervene(self, intervention: str, cause: str) -> None:
        """Have somebody begin an intervention of the scenario now, by its id; `cause` is what the log says of it.

        Raises `RunRefused` where there is no such intervention.
        """
        _check_interventions(self.scenario, [intervention])
        self.world.actors[f"intervention/{intervention}"].receive(cause)

    def snapshot(self, parent: str) -> bytes:
        """Everything needed to go on from here, closing the logs' parts. `parent` names the run's folder."""
        body = msgspec.msgpack.encode(self._saved(parent))
        return _SNAPSHOT_HEAD + blake2b(body, digest_size=16).digest() + body

    def fork(self, folder: Path) -> Simulation:
        """A copy that goes on by itself in `folder`, with the log so far, closing the logs' parts."""
        parent = self.log.folder.parent
        saved = self._saved(str(parent))
        _take_over(_parts_before(parent, saved), parent, folder)
        return Simulation.restore(saved, folder, {} if self.recorder is None else self.recorder.asked)

    def _saved(self, parent: str) -> _Snapshot:
        self.log.close_part()
        self.truth.close_part()
        if self.recorder is not None:
            self.recorder.flush()
        return _Snapshot(
            __version__,
            pickle.dumps(self.scenario, protocol=5),
            self.seed,
            self.world.now,
            self.log.position,
            self.log.digest,
            self.truth.position,
            self.truth.digest,
            parent,
            encode_state(self.driver.engine.state),
            self.world.snapshot(),
        )

    @classmethod
    def restore(cls, saved: _Snapshot, folder: Path, services: Mapping[str, Decider] | None = None) -> Simulation:
        """Go on from a snapshot, with the logs in `folder`, which holds the parts so far or none of them.

        `services` are as in `begin`, and are not reset.
        """
        scenario: Scenario = pickle.loads(saved.scenario)
        world = Business.restore(saved.world)
        log = RunLog(folder, scenario.run.part_rows, saved.position, saved.digest)
        truth = TruthLog(folder, scenario.run.part_rows, saved.truth_position, saved.truth_digest)
        world.truth = truth
        driver = Driver(log, gateways(world), Engine(decode_state(saved.state)))
        world.orchestration.attach(driver)
        simulation = cls(scenario, saved.seed, world, driver, log, truth)
        simulation.keep_scenario()
        simulation._record(_opened(scenario, services or {}))
        return simulation

    def close(self, *, parent: str = "", position: int = 0) -> Manifest:
        """Close the logs and write the manifest, last of all: from here on the folder is a run."""
        manifest = self._sum_up(parent, position)
        write_manifest(self.log.folder.parent, manifest)
        return manifest

    def finish(self, *, parent: str = "", position: int = 0, progress: Progress | None = None) -> Run:
        """Close the logs, compute the measures, write them and the manifest, last of all."""
        if progress is not None:
            progress("measuring", 0, 1, self.log.position)
        manifest = self._sum_up(parent, position)
        folder = self.log.folder.parent
        measured = write_measures(folder, manifest)
        self._tell_luck(folder)
        write_manifest(folder, manifest)
        run = Run(folder)
        run.measures = measured
        return run

    def _tell_luck(self, folder: Path) -> None:
        """How much of the run's luck is that of a log."""
        streams = self.world.streams
        if isinstance(streams, RecordedLuck):
            told = {kind: dict(sorted(counts.items())) for kind, counts in sorted(streams.used.items())}
            (folder / LUCK).write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")

    def _sum_up(self, parent: str, position: int) -> Manifest:
        scenario = self.scenario
        if self.recorder is not None:
            self.recorder.flush()
        for warehouse in self.world.warehouses.values():
            warehouse.take_stock()
        self.world.erp.close_books()
        if self.world.holder is not None:
            self.world.holder.close_books()
        self._close_book()
        return manifest_of(
            self.log,
            self.truth,
            title=scenario.title,
            scenario_digest=scenario.digest,
            seed=self.seed,
            versions=versions(),
            start_ms=scenario.run.start,
            end_ms=self.world.now,
            warmup_ms=scenario.run.warmup,
            currency=scenario.currency,
            rates=cost_rates(scenario),
            monitoring=monitoring_of(scenario),
            objectives=objectives_of(scenario),
            parent=parent,
            position=position,
        )


class Run:
    """A finished run in its folder. Raises `RunError` for a folder that is none or is cut off."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        self._kept: TemporaryDirectory[str] | None = None

    @property
    def digest(self) -> str:
        """The digest chain over all entries, in hexadecimal."""
        return self.manifest.digest

    @cached_property
    def measures(self) -> dict[str, Measured]:
        """Every measure by name, computed from the log and the truth."""
        return compute(self.folder)

    def entries(self) -> Iterator[Entry]:
        """The log, entry by entry."""
        return read_entries(self.folder)

    def write_opening(self, folder: Path) -> None:
        """Write what was under way at the end as tables that another run can start from, see docs/opening.md."""
        engine = Engine()
        left_at: dict[str, int] = {}
        for entry in self.entries():
            engine.apply(entry)
            for event in entry.events:
                if isinstance(event, GoodsShipped):
                    left_at[event.shipment] = happened_at(entry)
                elif isinstance(event, ShipmentLoaded):
                    left_at[event.shipment] = event.shipped_at
                elif isinstance(event, ShipmentDelivered):
                    left_at.pop(event.shipment, None)
        write_tables(engine.state, folder, self.manifest.end_ms, left_at)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, seed={self.manifest.seed}, digest={self.digest!r})"


class Twin:
    """A scenario that can be run: what `twin.load` returns."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario

    def run(
        self,
        seed: int | None = None,
        out: Path | str | None = None,
        *,
        force: bool = False,
        until_ms: int | None = None,
        snapshot: Path | None = None,
        progress: Progress | None = None,
        services: Mapping[str, str | Decider] | None = None,
    ) -> Run:
        """Run the scenario under a seed (the scenario's own unless given) into the folder `out`, or a temporary one.

        `until_ms` stops early, that long after the start; `snapshot` writes a file from which `resume` goes on.
        `services` says where those are that decide, by their id: an address, `recorded:RUN` for the answers of an
        earlier run, or an object. Raises `ServiceRefused` for one that cannot be asked.
        Raises `RunRefused` where `out` or `snapshot` is taken and not `force`d, `OrderBookError` for a wrong book.
        """
        kept = TemporaryDirectory(prefix="twin-") if out is None else None
        folder = Path(out) if out is not None else Path(kept.name if kept is not None else "") / "run"
        check_way(folder, force)
        run_spec = self.scenario.run
        end = run_spec.end if until_ms is None else run_spec.start + until_ms
        if not run_spec.start < end <= run_spec.end:
            lasts, asked = format_duration(run_spec.end - run_spec.start), format_duration(end - run_spec.start)
            raise RunRefused(f"the run lasts {lasts}, it cannot stop after {asked}; give more than 0s, at most {lasts}")
        if snapshot is not None:
            check_file(snapshot, folder, _SNAPSHOT_MARK, force)
        seed = run_spec.seed if seed is None else seed
        with _asking(self.scenario, services or {}) as deciders:
            simulation = Simulation.begin(self.scenario, seed, folder, progress, force=force, services=deciders)
            simulation.advance(end, progress)
            if snapshot is not None:
                _write_whole(snapshot, simulation.snapshot(str(folder)))
            run = simulation.finish(progress=progress)
        run._kept = kept
        return run

    def opening(self, seed: int | None = None) -> OpeningReport | None:
        """What the scenario's opening holds and what of it is taken over; None without one. Nothing is run or written.

        Raises `OpeningError` for tables that cannot be read, `OrderBookError` for a wrong book.
        """
        if self.scenario.opening is None:
            return None
        built = build(self.scenario, self.scenario.run.seed if seed is None else seed)
        world = built.world
        world.truth = MemoryTruth()
        driver = Driver(MemoryLog(), gateways(world))
        for command in built.genesis:
            driver.handle(command, world.now)
        return None if built.opening is None else built.opening.take_over(driver, world)

    def __repr__(self) -> str:
        return f"Twin({self.scenario.title!r})"


def load(path: str | Path, overrides: Mapping[str, object] | None = None) -> Twin:
    """The scenario in a YAML file, ready to run. Raises `ScenarioError` with every problem by file and line."""
    return Twin(load_scenario(path, overrides))


def resume(
    snapshot: Path,
    out: Path,
    *,
    parent: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
    interventions: Sequence[tuple[str, str]] = (),
    services: Mapping[str, str | Decider] | None = None,
) -> Run:
    """Go on from a snapshot to the scenario's end, in a new folder that takes over the parts of the parent's log.

    `interventions` (id and cause) are begun by hand at once. `parent` is the folder that the snapshot was taken in, as
    it was named then unless given; `services` are as in `Twin.run`. Raises `SnapshotError` for a file that is no
    snapshot of this version and `RunRefused` where the parent's parts, or an intervention, are not there.
    """
    saved = _read_snapshot(snapshot)
    before = Path(saved.parent) if parent is None else parent
    scenario: Scenario = pickle.loads(saved.scenario)
    _check_interventions(scenario, [name for name, _ in interventions])
    check_way(out, force)
    check_apart(before, out)
    parts = _parts_before(before, saved)
    make_way(out, force)
    with _asking(scenario, services or {}) as deciders:
        _take_over(parts, before, out)
        simulation = Simulation.restore(saved, out, deciders)
        for intervention, cause in interventions:
            simulation.intervene(intervention, cause)
        simulation.advance(simulation.scenario.run.end, progress)
        return simulation.finish(parent=saved.digest.hex(), position=saved.position, progress=progress)


RECORDED: Final = "recorded:"
"""An address that stands for the answers of an earlier run, whose folder follows."""


@contextmanager
def _asking(scenario: Scenario, services: Mapping[str, str | Decider]) -> Iterator[dict[str, Decider]]:
    """The services that a scenario asks, opened where only their address is known, and those closed afterwards.

    One run may ask a live-only service: it is recorded, so it can be repeated.
    """
    known = [service.id for service in scenario.services]
    for name in services:
        if name not in known:
            raise ServiceRefused(choices("service", "services", name, known))
    asked: dict[str, Decider] = {}
    with ExitStack() as opened:
        for service in scenario.services:
            given = services.get(service.id, service.address)
            if not isinstance(given, str):
                asked[service.id] = given
                continue
            if given.startswith(RECORDED):
                asked[service.id] = Recorded(service.id, Path(given.removeprefix(RECORDED)))
            else:
                asked[service.id] = open_service(service.id, given, scenario.decisions_of(service.id), live_only=True)
            opened.callback(asked[service.id].close)
        yield asked


def _opened(scenario: Scenario, given: Mapping[str, Decider]) -> dict[str, Decider]:
    """The services of a scenario; those not given are asked at its address, which must do for repetitions."""
    return {
        service.id: given[service.id]
        if service.id in given
        else open_service(service.id, service.address, scenario.decisions_of(service.id), live_only=False)
        for service in scenario.services
    }


def _check_interventions(scenario: Scenario, asked: Sequence[str]) -> None:
    known = dict(intervention_names(scenario))
    for name in asked:
        if name not in known:
            raise RunRefused(choices("intervention", "interventions", name, list(known)))
        if not known[name].by_hand:
            raise RunRefused(f"intervention '{name}' begins by itself; give it by_hand: true instead of its at or when")


def versions() -> dict[str, str]:
    """What the result depends on, by name."""
    return {"ordertwin": __version__, "format": str(FORMAT)}


def cost_rates(scenario: Scenario) -> CostRates:
    """The scenario's costs as exact rates for the measures."""
    costs = scenario.costs
    period = costs.holding_charge.end_of_period
    charge = "continuous" if period is None else "period_end"
    period = period or DAY_MS
    ppm, holding = 0, (0, 1)
    if isinstance(costs.holding, Share):
        ppm = costs.holding.ppm * YEAR_MS // costs.holding.per_ms
    else:
        holding = (costs.holding.micro_minor * period, 1_000_000 * costs.holding.per_ms)
    penalty = (0, 1)
    if costs.penalty is not None:
        rate = costs.penalty.per_unit_period
        penalty = (rate.micro_minor * period, 1_000_000 * rate.per_ms)
    return CostRates(
        period_ms=period,
        holding_ppm_per_year=ppm,
        holding=holding,
        penalty=penalty,
        charge=charge,
        late_ppm=costs.late or 0,
        touch_minor=0 if costs.touch is None else costs.touch.minor,
    )


def monitoring_of(scenario: Scenario) -> Monitoring | None:
    """What the scenario has watched, with the instants that its times stand for; None where it has no monitor."""
    monitor, start = scenario.monitor, scenario.run.start
    if monitor is None:
        return None
    return Monitoring(
        rules=tuple(
            AlertRule(
                id=alert.id,
                signal=alert.kind,
                above=alert.above,
                gateway=alert.gateway,
                window_ms=alert.over if isinstance(alert, ErrorRate) else 0,
                calls=alert.calls if isinstance(alert, ErrorRate) else 1,
                lasting_ms=alert.lasting,
                delay_ms=alert.delay,
            )
            for alert in monitor.alerts
        ),
        every_ms=monitor.every,
        blind=tuple((start + blind.from_, start + blind.from_ + blind.for_) for blind in monitor.blind),
        interfaces={f"interface/{interface.id}": interface.to for interface in scenario.interfaces},
    )


def objectives_of(scenario: Scenario) -> tuple[Objective, ...]:
    """What the owners of the scenario's interfaces promise."""
    return tuple(
        Objective(interface.to, interface.slo.latency, interface.slo.share, interface.owner)
        for interface in scenario.interfaces
        if interface.slo is not None
    )


def _parts_before(parent: Path, saved: _Snapshot) -> list[Part]:
    """The parts of both logs up to the snapshot. Raises `RunRefused` where they are not those of its run."""
    found: list[Part] = []
    for name, last, digest in (
        ("entries", saved.position, saved.digest),
        ("truth", saved.truth_position, saved.truth_digest),
    ):
        parts = [part for part in find_parts(parent / name) if part.last <= last]
        if last and (not parts or parts[-1].last != last or parts[-1].digest != digest):
            raise RunRefused(
                f"{parent / name} does not hold the {last} rows before the snapshot; name the run's folder by --parent"
            )
        found += parts
    return found


def _take_over(parts: list[Part], parent: Path, folder: Path) -> None:
    """Copy the log so far, and what was counted at the start, to the folder of a run that goes on from there."""
    for part in parts:
        (folder / part.path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy2(part.path, folder / part.path.parent.name / part.path.name)
    for name in (BOOK, DECISIONS, OPENING):
        if (parent / name).exists():
            shutil.copy2(parent / name, folder / name)


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(data)
    unfinished.replace(path)


def _read_snapshot(path: Path) -> _Snapshot:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SnapshotError(f"{path}: {error.strerror}; give a file that `twin run --snapshot` wrote") from error
    head = len(_SNAPSHOT_HEAD)
    if not data.startswith(_SNAPSHOT_HEAD):
        raise SnapshotError(f"{path} is no snapshot of this version; make it again with `twin run --snapshot`")
    body = data[head + 16 :]
    if blake2b(body, digest_size=16).digest() != data[head : head + 16]:
        raise SnapshotError(f"{path} is damaged or cut off; make it again with `twin run --snapshot`")
    try:
        saved = msgspec.msgpack.decode(body, type=_Snapshot)
    except msgspec.MsgspecError as error:
        raise SnapshotError(f"{path} cannot be read: {error}; make it again") from error
    if saved.version != __version__:
        raise SnapshotError(f"{path} is of version {saved.version}, this is {__version__}; make it again")
    return saved
