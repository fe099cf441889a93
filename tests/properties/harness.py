"""A driver whose every step is checked: `decide` is pure, the fold is the state, the invariants and the books hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from tests.properties.auditor import Auditor
from twin.codec import GENESIS, decode_entry, encode_entry, encode_state, link
from twin.core.commands import Command, Wake
from twin.core.effects import Delivery
from twin.core.engine import Engine
from twin.core.entry import Entry, Outcome
from twin.core.invariants import violations
from twin.driver import Driver
from twin.ports import Gateway, JournalConflict

__all__ = ["Caught", "CheckedEngine", "MemoryJournal", "Outbox", "checked_driver", "digest", "fold"]


class Caught(AssertionError):
    """A checker found the engine wrong; `by` is which of them: purity, fold, invariants, auditor, liveness."""

    def __init__(self, by: str, found: Sequence[str]) -> None:
        super().__init__(f"{by}: " + "; ".join(found))
        self.by = by


class MemoryJournal:
    """The log in memory, as the bytes that a file would hold."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.mark = 0

    def append(self, entries: Sequence[Entry], expected: int) -> int:
        if expected != len(self.lines):
            raise JournalConflict(f"after {expected}, where {len(self.lines)} entries are")
        self.lines.extend(encode_entry(entry) for entry in entries)
        return len(self.lines)

    def read(self, after: int) -> Iterator[Entry]:
        return (decode_entry(line) for line in self.lines[after:])

    def submitted(self) -> int:
        return self.mark

    def mark_submitted(self, position: int) -> None:
        self.mark = position


class Outbox:
    """A gateway that keeps what it was handed."""

    def __init__(self) -> None:
        self.sent: list[Delivery] = []

    def submit(self, delivery: Delivery) -> None:
        self.sent.append(delivery)


class CheckedEngine(Engine):
    """An engine that raises `Caught` at the first step after which something does not hold.

    `checks` are the checkers at work; the negative tests let one work alone.
    """

    checks: tuple[str, ...] = ("purity", "fold", "invariants", "auditor", "liveness")

    __slots__ = ("auditor", "shadow", "wakes_now")

    def __init__(self) -> None:
        super().__init__()
        self.shadow = Engine()
        self.wakes_now = 0
        self.auditor = Auditor()

    def decide(self, command: Command, now: int) -> Outcome:
        self.wakes_now = self.wakes_now + 1 if isinstance(command, Wake) and now == self.state.now else 0
        if self.wakes_now > 500 and "liveness" in self.checks:
            raise Caught("liveness", [f"timers at {now} without end, now {command}"])
        before = encode_state(self.state)
        outcome = super().decide(command, now)
        if "purity" not in self.checks:
            return outcome
        if encode_state(self.state) != before:
            raise Caught("purity", ["decide changed the state"])
        if super().decide(command, now) != outcome:
            raise Caught("purity", ["decided again, the same command comes out differently"])
        return outcome

    def apply(self, entry: Entry) -> None:
        as_it_was = encode_state(replace(self.state, now=entry.now, position=entry.position))
        super().apply(entry)
        if "purity" in self.checks and entry.refusal is not None and encode_state(self.state) != as_it_was:
            raise Caught("purity", ["a refused command changed the state"])
        self.shadow.apply(decode_entry(encode_entry(entry)))
        if "fold" in self.checks and encode_state(self.shadow.state) != encode_state(self.state):
            raise Caught("fold", ["the log folds to another state"])
        if "invariants" in self.checks and (broken := violations(self.state)):
            raise Caught("invariants", broken)
        if "auditor" not in self.checks:
            return
        self.auditor.read(entry)
        self.auditor.compare(self.state)
        if self.auditor.found:
            raise Caught("auditor", self.auditor.found)


def checked_driver(gateways: Mapping[str, Gateway], *, checked: bool = True) -> tuple[Driver, MemoryJournal]:
    """A driver over a new memory journal, every step checked unless told otherwise."""
    journal = MemoryJournal()
    return Driver(journal, gateways, CheckedEngine() if checked else Engine()), journal


def fold(journal: MemoryJournal) -> Engine:
    """An engine folded from the log alone."""
    engine = Engine()
    for entry in journal.read(0):
        engine.apply(entry)
    return engine


def digest(journal: MemoryJournal) -> str:
    """The chained digest of the whole log."""
    chained = GENESIS
    for line in journal.lines:
        chained = link(chained, line)
    return chained.hex()
