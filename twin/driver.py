"""The one step loop around the engine: decide, append, apply, submit. Simulated or real, drivers only feed it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from twin.core.commands import Command, External, Wake
from twin.core.effects import Delivery
from twin.core.engine import Engine
from twin.core.entry import Entry
from twin.ports import Gateway, Journal

__all__ = ["Driver", "NoGateway"]


class NoGateway(LookupError):
    """The engine asks something of a party that nobody plays."""


class Driver:
    """Steps the engine over a journal and hands its deliveries to gateways.

    Gateways are looked up by the delivery's full gateway name (`warehouse/north`), then by its kind (`warehouse`).
    `now` is clamped so that it never runs back, and a command from outside never shares its instant with a timer
    that was already fed at it: that keeps a re-run, which feeds commands from outside only, in the same order.

    Where a step fails after its entry was stored, as by a gateway that raises, the engine is discarded: going on
    would move the outbox mark past deliveries that were not handed over. Every later step is a `JournalConflict`
    then, until `recover` has folded the log again and handed them over.
    """

    __slots__ = ("_woken_at", "engine", "gateways", "journal")

    def __init__(self, journal: Journal, gateways: Mapping[str, Gateway], engine: Engine | None = None) -> None:
        self.journal = journal
        self.gateways = gateways
        self.engine = Engine() if engine is None else engine
        self._woken_at = -1

    def handle(self, command: External, now: int) -> Entry:
        """Decide, store, fold and submit one command from outside; returns its entry, refused or not."""
        if now <= self._woken_at:
            now = self._woken_at + 1
        return self._step(command, now)

    def wake(self, now: int) -> int:
        """Feed every timer that is due at `now`; returns how many."""
        fed = 0
        while (due := self.engine.next_due()) is not None and due[0] <= now:
            at = max(due[0], self.engine.state.now)
            self._woken_at = at
            self._step(Wake(due[1]), at)
            fed += 1
        return fed

    def wake_before(self, now: int) -> int:
        """Feed every timer that is due before `now`, each at its own instant; returns how many."""
        return self.wake(now - 1)

    def handle_many(self, commands: Iterable[tuple[External, int]]) -> list[Entry]:
        """Decide and fold commands `(command, now)` in turn, store all entries at once, then submit; returns them all.

        They are the entries that `wake_before` and `handle` would have made one by one, those of the timers among
        them. On any failure up to the storing nothing is stored and nothing submitted. On any failure at all the
        engine is discarded: call `recover` to fold it again.
        """
        entries: list[Entry] = []
        with self._discarding():
            for command, now in commands:
                now = max(now, self.engine.state.now, self._woken_at + 1)
                self._wake_ahead(now - 1, None, entries)
                self._step_ahead(command, now, entries)
            self._store(entries)
            self._hand_over(entries)
        return entries

    def wake_many(self, now: int, limit: int | None = None) -> list[Entry]:
        """Feed up to `limit` of the timers that are due at `now` like `wake`, stored at once like `handle_many`."""
        entries: list[Entry] = []
        with self._discarding():
            self._wake_ahead(now, limit, entries)
            self._store(entries)
            self._hand_over(entries)
        return entries

    def recover(self) -> int:
        """Fold what the journal holds after the engine's position and submit what was not handed over.

        Returns the number of deliveries submitted again; their keys make a repetition harmless. On any failure the
        engine is discarded: call it again.
        """
        with self._discarding():
            journal = self.journal
            mark = journal.submitted()
            position = self.engine.state.position
            again: list[Delivery] = []
            for entry in journal.read(min(mark, position)):
                if entry.position > position:
                    self.engine.apply(entry)
                    if isinstance(entry.command, Wake):
                        self._woken_at = entry.now
                if entry.position > mark:
                    again.extend(entry.deliveries)
            for delivery in again:
                self._submit(delivery)
            if self.engine.state.position > mark:
                journal.mark_submitted(self.engine.state.position)
            return len(again)

    def _step(self, command: Command, now: int) -> Entry:
        engine = self.engine
        state = engine.state
        if now < state.now:
            now = state.now
        outcome = engine.decide(command, now)
        entry = Entry(state.position + 1, now, command, outcome.events, outcome.deliveries, outcome.refusal)
        self.journal.append((entry,), state.position)
        try:
            engine.apply(entry)
            if entry.deliveries:
                for delivery in entry.deliveries:
                    self._submit(delivery)
                self.journal.mark_submitted(entry.position)
        except BaseException:
            self._discard()
            raise
        return entry

    @contextmanager
    def _discarding(self) -> Iterator[None]:
        """Where this fails, the engine is ahead of the journal or of its gateways and must not be used any more."""
        try:
            yield
        except BaseException:
            self._discard()
            raise

    def _discard(self) -> None:
        self.engine = Engine()
        self._woken_at = -1

    def _wake_ahead(self, now: int, limit: int | None, entries: list[Entry]) -> None:
        fed = 0
        while fed != limit and (due := self.engine.next_due()) is not None and due[0] <= now:
            at = max(due[0], self.engine.state.now)
            self._woken_at = at
            self._step_ahead(Wake(due[1]), at, entries)
            fed += 1

    def _step_ahead(self, command: Command, now: int, entries: list[Entry]) -> None:
        outcome = self.engine.decide(command, now)
        position = self.engine.state.position + 1
        entry = Entry(position, now, command, outcome.events, outcome.deliveries, outcome.refusal)
        self.engine.apply(entry)
        entries.append(entry)

    def _store(self, entries: Sequence[Entry]) -> None:
        if entries:
            self.journal.append(entries, entries[0].position - 1)

    def _hand_over(self, entries: Sequence[Entry]) -> None:
        mark = 0
        for entry in entries:
            for delivery in entry.deliveries:
                self._submit(delivery)
                mark = entry.position
        if mark:
            self.journal.mark_submitted(mark)

    def _submit(self, delivery: Delivery) -> None:
        gateway = self.gateways.get(delivery.gateway) or self.gateways.get(delivery.gateway.partition("/")[0])
        if gateway is None:
            raise NoGateway(f"no gateway for '{delivery.gateway}' (delivery '{delivery.key}')")
        gateway.submit(delivery)
