"""The production driver: asyncio around the one step loop, one writer, commands in their order of arrival."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Final

from adapters.clocks import Clock, SystemClock
from adapters.queued_gateway import QueuedGateway
from twin.core.commands import External, Wake
from twin.core.entry import Entry
from twin.driver import Driver
from twin.ports import JournalConflict

__all__ = ["AsyncDriver", "DriverStopped"]

CONFLICTS_MAX: Final = 3
"""How often in a row a batch is decided anew because somebody else wrote to the journal."""


class DriverStopped(RuntimeError):
    """The driver takes no commands: it was not started, is stopping, or failed (then that is the cause)."""


class _Item:
    """A command on its way to the writer; `now` None means the clock's time when its turn comes."""

    __slots__ = ("answer", "command", "now")

    def __init__(self, command: External, now: int | None, answer: asyncio.Future[Entry]) -> None:
        self.command = command
        self.now = now
        self.answer = answer


class AsyncDriver:
    """Feeds a `Driver` from many tasks: up to `batch` waiting commands share one durable append.

    A command is answered after its entry is stored and its deliveries are handed over. `submit` waits while
    `backlog` commands are queued. On a `JournalConflict` the log is folded again and the batch decided anew; any
    other failure of the journal, the engine or a gateway's task stops the driver, since starting again is the one
    way to recover: whoever waits gets the failure, and `stop` raises it.
    """

    def __init__(self, driver: Driver, clock: Clock | None = None, *, batch: int = 50, backlog: int = 10_000) -> None:
        self.driver = driver
        self.clock: Clock = SystemClock() if clock is None else clock
        self.batch = batch
        self._queue: asyncio.Queue[_Item | None] = asyncio.Queue(backlog)
        self._gateways = _queued(driver)
        self._tasks: list[asyncio.Task[None]] = []
        self._open = False
        self._failure: BaseException | None = None
        self._failed = asyncio.Event()
        self._call_off: Callable[[], None] | None = None

    async def start(self) -> int:
        """Fold the journal, hand over what was not, and begin; returns the deliveries handed over again."""
        if self._tasks:
            raise DriverStopped("a driver starts once; make another one")
        again = self.driver.recover()
        self._begin(self._write())
        for gateway in self._gateways:
            for work in gateway.work(self._reply, self.clock):
                self._begin(work)
        self._open = True
        self._arm()
        return again

    async def submit(self, command: External) -> Entry:
        """Handle a command at the clock's time; returns its entry, refused or not. Raises `DriverStopped`."""
        return await self._asked(command, None)

    async def handle(self, command: External, now: int) -> Entry:
        """Handle a command at `now` (ms), after every timer that is due before; returns its entry, refused or not.

        Raises `DriverStopped`.
        """
        return await self._asked(command, now)

    async def wake(self, now: int, limit: int | None = None) -> int:
        """Feed the timers due at `now` (ms), at most `limit`, once the waiting commands are handled; returns how many.

        Raises `DriverStopped`.
        """
        await self._idle()
        self._check()
        return await self._wake(now, limit)

    async def stop(self) -> None:
        """Take no more commands, finish those that wait and the gateways' sends and replies, then end.

        Raises what made the driver fail, if it did. The journal stays open: whoever made it closes it.
        """
        self._open = False
        await self._idle()
        if self._call_off is not None:
            self._call_off()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failure is not None:
            raise self._failure

    async def _asked(self, command: External, now: int | None) -> Entry:
        if not self._open:
            raise DriverStopped("the driver is not running") from self._failure
        return await self._enqueue(command, now)

    async def _reply(self, command: External) -> None:
        """A gateway's reply; taken while the driver drains, too."""
        await self._enqueue(command, None)

    async def _enqueue(self, command: External, now: int | None) -> Entry:
        self._check()
        item = _Item(command, now, asyncio.get_running_loop().create_future())
        await self._queue.put(item)
        return await item.answer

    def _check(self) -> None:
        if self._failure is not None:
            raise DriverStopped(f"the driver failed: {self._failure}") from self._failure

    async def _write(self) -> None:
        queue = self._queue
        while True:
            taken = [await queue.get()]
            while len(taken) < self.batch and not queue.empty():
                taken.append(queue.get_nowait())
            items = [item for item in taken if item is not None]
            try:
                await self._step(items)
            except BaseException as error:
                for item in items:
                    if not item.answer.done():
                        item.answer.set_exception(_stopped(error))
                raise
            finally:
                for _ in taken:
                    queue.task_done()
            self._arm()

    async def _step(self, items: Sequence[_Item]) -> None:
        now = self.clock.now()
        steps = [(item.command, now if item.now is None else item.now) for item in items]
        # After a long silence many timers are due: feed them in pieces, so that the loop is not held up.
        await self._wake(steps[0][1] - 1 if steps else now)
        if not steps:
            return
        entries = self._again(partial(self.driver.handle_many, steps))
        answers = [entry for entry in entries if not isinstance(entry.command, Wake)]
        for item, entry in zip(items, answers, strict=True):
            # Whoever gave up waiting has its command handled all the same.
            if not item.answer.done():
                item.answer.set_result(entry)

    async def _wake(self, now: int, limit: int | None = None) -> int:
        fed = 0
        while fed != limit and (due := self.driver.engine.next_due()) is not None and due[0] <= now:
            piece = self.batch if limit is None else min(self.batch, limit - fed)
            fed += len(self._again(partial(self.driver.wake_many, now, piece)))
            await asyncio.sleep(0)
        return fed

    def _again(self, step: Callable[[], list[Entry]]) -> list[Entry]:
        """Take a step, anew on the folded log where somebody else wrote meanwhile."""
        for _ in range(CONFLICTS_MAX):
            try:
                return step()
            except JournalConflict:
                self.driver.recover()
        return step()

    def _arm(self) -> None:
        """Have the clock ring for the earliest timer."""
        if self._call_off is not None:
            self._call_off()
            self._call_off = None
        due = self.driver.engine.next_due()
        if due is not None:
            self._call_off = self.clock.ring(due[0], self._rung)

    def _rung(self) -> None:
        # A full queue needs no bell: the writer looks at the timers with every batch.
        if not self._queue.full():
            self._queue.put_nowait(None)

    async def _idle(self) -> None:
        """Until no command waits and no queued gateway has work, or the driver failed."""
        failed = asyncio.create_task(self._failed.wait())
        quiet = asyncio.create_task(self._quiet())
        await asyncio.wait((failed, quiet), return_when=asyncio.FIRST_COMPLETED)
        for task in (failed, quiet):
            task.cancel()
        await asyncio.gather(failed, quiet, return_exceptions=True)

    async def _quiet(self) -> None:
        while True:
            await self._queue.join()
            for gateway in self._gateways:
                await gateway.join()
            # Replies may have become commands, and those deliveries again.
            if self._queue.empty() and not any(gateway.busy for gateway in self._gateways):
                return

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        failure = None if task.cancelled() else task.exception()
        if failure is None or self._failure is not None:
            return
        self._failure = failure
        self._open = False
        self._failed.set()
        for other in self._tasks:
            other.cancel()
        self._tasks.append(asyncio.create_task(self._refuse(failure)))

    async def _refuse(self, failure: BaseException) -> None:
        """Answer whoever still waits, for room or for an entry, once the writer is gone."""
        while True:
            item = await self._queue.get()
            if item is not None and not item.answer.done():
                item.answer.set_exception(_stopped(failure))


def _stopped(failure: BaseException) -> DriverStopped:
    stopped = DriverStopped(f"the driver failed: {failure}")
    stopped.__cause__ = failure
    return stopped


def _queued(driver: Driver) -> list[QueuedGateway]:
    """The gateways that work in tasks of their own, each once, though it may be there under several names."""
    found: list[QueuedGateway] = []
    for gateway in driver.gateways.values():
        if isinstance(gateway, QueuedGateway) and not any(gateway is known for known in found):
            found.append(gateway)
    return found
