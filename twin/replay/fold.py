"""Fold: the recorded events are trusted, and the state is rebuilt from them; from there a run can go on.

The world is no part of a log. It is run again beside the folding, and every entry that it leads to is held against the
recorded one, byte for byte, up to the position at which the folded engine takes over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from twin.codec import encode_entry
from twin.core.commands import Command
from twin.core.engine import Engine
from twin.core.entry import Entry
from twin.core.refusals import CorruptLog
from twin.driver import Driver
from twin.log import Manifest, RunError, read_entries, read_manifest
from twin.log.decisions import DECISIONS, Recorded
from twin.ports import Gateway, Journal, Position
from twin.run import Progress, Run, RunRefused, Simulation
from twin.scenario import Scenario
from twin.scenario import load as load_scenario
from twin.scenario.units import format_instant

__all__ = ["Diverged", "Recording", "begin_again", "difference", "fold", "go_on", "position_at", "recorded_scenario"]


class Diverged(ValueError):
    """A run that is run again leads to another entry than the recorded one; the text names it."""


def fold(run: Path, position: Position | None = None) -> Engine:
    """The engine as it stood after an entry of a recorded run, the last one unless given.

    Raises `RunError` for a folder without entries, a position that is not there, or an entry that does not follow.
    """
    engine = Engine()
    for entry in read_entries(run):
        if position is not None and entry.position > position:
            break
        try:
            engine.apply(entry)
        except (CorruptLog, LookupError) as error:
            raise RunError(f"{run}: entry {entry.position} does not follow the ones before it: {error}") from error
    if position is not None and not 0 <= position == engine.state.position:
        raise RunError(f"{run} has entries 1 to {engine.state.position}; there is no entry {position}")
    return engine


def position_at(run: Path, at: int) -> Position:
    """The last entry at or before an instant (ms), 0 where there is none."""
    position = 0
    for entry in read_entries(run):
        if entry.now > at:
            break
        position = entry.position
    return position


def begin_again(
    run: Path, out: Path, *, force: bool = False, takes_over: Position | None = None
) -> tuple[Simulation, Recording]:
    """A recorded run from its beginning, in `out`, and what every entry of it is held against.

    With `takes_over` the engine that is folded from the recorded log replaces the one that ran so far at that position.
    What services decided is played back. Raises `RunRefused` for a run that cannot be run again, and while it runs
    `Diverged`.
    """
    scenario, manifest = recorded_scenario(run)
    services = {one.id: Recorded(one.id, run) for one in scenario.services} if (run / DECISIONS).exists() else {}
    simulation = Simulation.begin(scenario, manifest.seed, out, force=force, services=services)
    before = simulation.driver
    recorded = Recording(run)
    for entry in simulation.log.read(0):
        recorded.check(entry)
    folded = None if takes_over is None else fold(run, takes_over)
    driver = _Handover(_Watched(before.journal, recorded), before.gateways, before.engine, takes_over, folded)
    simulation.driver = driver
    simulation.world.orchestration.attach(driver)
    return simulation, recorded


def go_on(run: Path, position: Position, out: Path, *, force: bool = False, progress: Progress | None = None) -> Run:
    """Fold a recorded run to a position and go on from there to its end, in `out`: a fork without a change.

    The rest equals the recorded run byte for byte, or `Diverged` says where it does not.
    """
    manifest = read_manifest(run)
    if not 0 <= position <= manifest.entries:
        raise RunRefused(f"{run} has entries 1 to {manifest.entries}; there is no entry {position}")
    simulation, recorded = begin_again(run, out, force=force, takes_over=position)
    simulation.advance(manifest.end_ms, progress)
    recorded.end()
    return simulation.finish(progress=progress)


def recorded_scenario(run: Path) -> tuple[Scenario, Manifest]:
    """The scenario of a recorded run, as it was run, and its manifest. Raises `RunRefused` where that is not there."""
    manifest = read_manifest(run)
    if manifest.parent:
        raise RunRefused(f"{run} went on from a snapshot, so its beginning is in another folder; give that run")
    path = run / "scenario.yaml"
    if not path.exists():
        raise RunRefused(f"{run} has no scenario.yaml, so it cannot be run again; give the folder of a whole run")
    scenario = load_scenario(path)
    if scenario.digest != manifest.scenario_digest:
        raise RunRefused(f"{path} is not what was run: its digest is another than the manifest's; restore it")
    return scenario, manifest


class Recording:
    """The recorded entries of a run, each to be met in turn."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._entries: Iterator[Entry] | None = read_entries(run)

    def stop(self) -> None:
        """From here on anything may happen."""
        self._entries = None

    def end(self) -> None:
        """No entry comes any more. Raises `Diverged` where one was recorded."""
        was = None if self._entries is None else next(self._entries, None)
        if was is not None:
            raise Diverged(
                f"{self._run}: entry {was.position} was recorded at {format_instant(was.now)}, and nothing comes "
                "there; run it again with the version that made it"
            )

    def check(self, entry: Entry) -> None:
        """Hold an entry against the recorded one. Raises `Diverged`."""
        if self._entries is None:
            return
        was = next(self._entries, None)
        if was is None:
            raise Diverged(
                f"{self._run} ends before entry {entry.position}, which comes at {format_instant(entry.now)}"
            )
        if encode_entry(was) != encode_entry(entry):
            raise Diverged(f"{self._run}: {difference(was, entry)}; run it again with the version that made it")


def difference(was: Entry, entry: Entry) -> str:
    """Where two entries differ first."""
    for name in Entry.__struct_fields__:
        before, after = getattr(was, name), getattr(entry, name)
        if before != after:
            return f"entry {was.position}: {name} was recorded as {_short(before)} and is {_short(after)}"
    return f"entry {was.position} differs"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"


class _Handover(Driver):
    """A driver that steps another engine from one position on."""

    __slots__ = ("_folded", "_position")

    def __init__(
        self,
        journal: Journal,
        gateways: Mapping[str, Gateway],
        engine: Engine,
        position: Position | None,
        folded: Engine | None,
    ) -> None:
        super().__init__(journal, gateways, engine)
        self._position = position
        self._folded = folded

    def _step(self, command: Command, now: int) -> Entry:
        if self._folded is not None and self.engine.state.position == self._position:
            self.engine, self._folded = self._folded, None
        return super()._step(command, now)


class _Watched:
    """A journal whose entries are held against a recording before they are stored."""

    def __init__(self, journal: Journal, recorded: Recording) -> None:
        self._journal = journal
        self._recorded = recorded

    def append(self, entries: Sequence[Entry], expected: Position) -> Position:
        for entry in entries:
            self._recorded.check(entry)
        return self._journal.append(entries, expected)

    def read(self, after: Position) -> Iterator[Entry]:
        return self._journal.read(after)

    def submitted(self) -> Position:
        return self._journal.submitted()

    def mark_submitted(self, position: Position) -> None:
        self._journal.mark_submitted(position)
