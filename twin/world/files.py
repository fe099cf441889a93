"""Batch files: what goes one way at an interface is collected, and goes together when its file is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from twin.world.faults import Copy, Delay, Lose, Touched, Truncate
from twin.world.kernel import Actor, Phase

if TYPE_CHECKING:
    from twin.world.business import Business
    from twin.world.door import Door

__all__ = ["Batch", "Files", "Row"]


class Batch(Struct, frozen=True):
    """A file every `every_ms`, with what came earlier than `cut_off_ms` before, `size` at most (0: any number).

    It carries calls, reports, which are what the party sends, or both.
    """

    every_ms: int
    cut_off_ms: int
    size: int = 0
    calls: bool = True
    reports: bool = False


class Row(Struct, frozen=True):
    """A message in a file: what faults look at, and what is taken out in the end."""

    touched: Touched
    content: Any


class Files(Actor):
    """The files of one `way` at one interface: `calls` or `reports`. Its message is a row for the next file."""

    world: Business

    def __init__(self, interface: str, way: str, batch: Batch) -> None:
        super().__init__(f"{way}/{interface.removeprefix('interface/')}")
        self.interface = interface
        self.way = way
        self.batch = batch
        self.open: dict[int, list[Row]] = {}
        self.begun_at = 0
        # Somebody has stopped the job that makes them.
        self.paused = False

    def start(self) -> None:
        """Files are counted from the beginning of the run."""
        self.begun_at = self.world.now

    def receive(self, message: Row) -> None:
        """It goes with the first file before whose cut-off it comes; at the very instant of one it is too late."""
        batch = self.batch
        number = (self.world.now - self.begun_at + batch.cut_off_ms) // batch.every_ms + 1
        self._file(self.begun_at + number * batch.every_ms).append(message)

    def _file(self, at: int) -> list[Row]:
        if at not in self.open:
            self.open[at] = []
            self.world.post(self.close, at, at - self.world.now, Phase.RELEASE)
        return self.open[at]

    def close(self, at: int) -> None:
        """A file is due; what is too much for it goes first with the next one."""
        door: Door = self.world.actors[self.interface]  # type: ignore[assignment]
        rows, size = self.open.pop(at), self.batch.size
        if self.paused:
            self._file(at + self.batch.every_ms)[:0] = rows
            return
        if size and len(rows) > size:
            self._file(at + self.batch.every_ms)[:0] = rows[size:]
            rows = rows[:size]
        delay, copies = 0, []
        file = Touched((), self.interface, at, "")
        for fault in door.met.get(self.way, ()):
            what = fault.what
            if isinstance(what, Lose):
                missing = [row for row in rows if door.is_hit(fault, row.touched)]
                rows = [row for row in rows if row not in missing]
                hit = missing
            elif not fault.hits(self.world, door.since[fault.id], file):
                continue
            else:
                hit = rows
                if isinstance(what, Delay):
                    drawn = door.fault_ms(what.by, fault, file)
                    delay += drawn
                    hit = rows if drawn else []
                elif isinstance(what, Truncate):
                    left = self.world.streams.bits("fault", fault.id, "cut", self.interface, at) * len(rows) >> 64
                    hit, rows = rows[left:], rows[:left]
                elif isinstance(what, Copy):
                    copies.append(door.fault_ms(what.after, fault, file))
            for row in hit:
                door.note(fault, row.touched)
        for after in [0, *copies]:
            if delay + after:
                self.world.post(self.hand_over, rows, delay + after, Phase.RELEASE)
            else:
                self.hand_over(rows)

    def hand_over(self, rows: list[Row]) -> None:
        """A file is there."""
        door: Door = self.world.actors[self.interface]  # type: ignore[assignment]
        take = door.admit if self.way == "calls" else door.take_report
        for row in rows:
            take(row.content)
