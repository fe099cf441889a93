"""The asyncio driver: one writer, many senders, timers by a clock, gateways in tasks, and the log of the twin."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from adapters.async_driver import AsyncDriver, DriverStopped
from adapters.clocks import RecordedClock, SystemClock
from adapters.queued_gateway import QueuedGateway, SendFailed, SendRefused, Unacknowledged
from adapters.refeed import Diverged, Swallow, refeed, refeed_run
from adapters.sqlite_journal import SQLiteJournal
from tests.adapters.recorded import BEGIN, DAY, GATEWAYS, MemoryLog, business, chained, externals, record
from twin.codec import encode_state
from twin.core.commands import (
    CaptureOrder,
    ConfirmInvoice,
    ConfirmPick,
    External,
    LoadStock,
    OrderLine,
    StockLine,
    Wake,
)
from twin.core.effects import Delivery, PostInvoice, ReleaseToWarehouse
from twin.core.engine import Engine
from twin.core.entry import Entry
from twin.driver import Driver
from twin.ports import Gateway, JournalConflict, Position


class HandClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = BEGIN
        self._bells: list[tuple[int, Callable[[], None]]] = []

    def now(self) -> int:
        return self.at

    def ring(self, at: int, bell: Callable[[], None]) -> Callable[[], None]:
        waiting = (at, bell)
        self._bells.append(waiting)
        return lambda: self._bells.remove(waiting) if waiting in self._bells else None

    async def advance(self, by: int) -> None:
        """Let time pass and what is due then happen."""
        self.at += by
        due = [waiting for waiting in self._bells if waiting[0] <= self.at]
        for waiting in due:
            self._bells.remove(waiting)
            waiting[1]()
        for _ in range(50):
            await asyncio.sleep(0)


def order(number: int, at: int = BEGIN) -> CaptureOrder:
    name = f"order-{number}"
    return CaptureOrder(name, "web", at, name, "web", "someone", "home", at + DAY, (OrderLine(1, "apple", 1, 500),))


def swallowing(journal: MemoryLog) -> Driver:
    return Driver(journal, dict.fromkeys(GATEWAYS, Swallow()))


def run(work: Awaitable[None]) -> None:
    async def whole() -> None:
        await asyncio.wait_for(work, timeout=30)

    asyncio.run(whole())


async def set_up(driver: AsyncDriver) -> None:
    await driver.start()
    for command in business():
        assert (await driver.submit(command)).refusal is None


def names(journal: MemoryLog) -> set[str]:
    return {type(event).__name__ for entry in journal.entries for event in entry.events}


def timeouts(journal: MemoryLog) -> list[Entry]:
    """The wakes for the delivery of the first order's release."""
    return [entry for entry in journal.entries if entry.command == Wake("delivery/order-1/north/1")]


# --- the same log as the synchronous driver's


@pytest.fixture(scope="module")
def log() -> list[Entry]:
    return record(300)


def test_the_recorded_log_has_retries_dead_letters_and_replenishment(log: list[Entry]) -> None:
    happened = {type(event).__name__ for entry in log for event in entry.events}
    assert {"DeliveryFailed", "DeliveryRetried", "DeliveryDeadLettered", "GoodsReceived", "OrderClosed"} <= happened
    # Commands and timers at one instant are what a re-run could get in the wrong order.
    assert any(before.now == after.now and isinstance(after.command, Wake) for before, after in pairwise(log))


@pytest.mark.parametrize("batch", [1, 7, 50])
def test_a_recorded_log_fed_again_gives_the_same_digest_and_state(log: list[Entry], tmp_path: Path, batch: int) -> None:
    path = tmp_path / "journal.db"
    assert refeed_run(log, path, batch=batch) == chained(log)
    engine, recorded = Engine(), Engine()
    with SQLiteJournal(path) as journal:
        for entry in journal.read(0):
            engine.apply(entry)
    for entry in log:
        recorded.apply(entry)
    assert encode_state(engine.state) == encode_state(recorded.state)


def test_a_refeed_that_was_cut_off_goes_on_where_it_stopped(log: list[Entry], tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for end in (100, 101, 1_234, len(log), len(log)):
        assert refeed_run(log[:end], path) == chained(log[:end])


def test_a_refeed_names_the_first_entry_that_differs(log: list[Entry], tmp_path: Path) -> None:
    number, entry = next(
        (number, entry) for number, entry in enumerate(log) if isinstance(entry.command, CaptureOrder) and number > 50
    )
    changed = [*log]
    changed[number] = Entry(entry.position, entry.now, entry.command)
    with pytest.raises(Diverged, match=rf"entry {entry.position}: events was recorded as \(\)"):
        refeed_run(changed, tmp_path / "journal.db")


def test_a_refeed_of_a_log_whose_wakes_do_not_come_is_refused(tmp_path: Path) -> None:
    log = record(1)
    made_up = Entry(len(log) + 1, log[-1].now + DAY, Wake("close/never"))
    with pytest.raises(Diverged, match="ends at entry"):
        refeed_run([*log, made_up], tmp_path / "journal.db")


def test_handling_many_at_once_makes_the_entries_of_handling_one_by_one(log: list[Entry]) -> None:
    commands = externals(log)
    journal = MemoryLog()
    driver = swallowing(journal)
    for start in range(0, len(commands), 40):
        driver.handle_many(commands[start : start + 40])
    driver.wake_many(log[-1].now)
    assert journal.entries == log
    assert journal.mark == max(entry.position for entry in log if entry.deliveries)


# --- one writer, many senders


def test_commands_from_many_tasks_are_handled_in_their_order_of_arrival_and_each_gets_its_entry() -> None:
    async def scene() -> None:
        journal = MemoryLog()
        driver = AsyncDriver(swallowing(journal), HandClock(), batch=8)
        await set_up(driver)
        orders = [order(number) for number in range(100)]
        entries = await asyncio.gather(*[driver.submit(command) for command in orders])
        assert [entry.command for entry in entries] == orders
        positions = [entry.position for entry in entries]
        assert positions == sorted(positions)
        await driver.stop()

    run(scene())


def test_commands_that_wait_share_an_append_and_submit_after_it() -> None:
    class Noting(MemoryLog):
        def __init__(self) -> None:
            super().__init__()
            self.story: list[str] = []

        def append(self, entries: Sequence[Entry], expected: Position) -> Position:
            self.story.append("append")
            return super().append(entries, expected)

        def submit(self, delivery: Delivery) -> None:
            self.story.append("submit")

    async def scene() -> None:
        journal = Noting()
        driver = AsyncDriver(Driver(journal, dict.fromkeys(GATEWAYS, journal)), HandClock(), batch=10)
        await set_up(driver)
        journal.story.clear()
        await asyncio.gather(*[driver.submit(order(number)) for number in range(10)])
        assert journal.story[0] == "append"
        assert journal.story.count("append") <= 3
        assert journal.story.count("submit") == 10
        await driver.stop()

    run(scene())


def test_a_sender_waits_while_the_backlog_is_full() -> None:
    async def scene() -> None:
        driver = AsyncDriver(swallowing(MemoryLog()), HandClock(), batch=2, backlog=3)
        await set_up(driver)
        entries = await asyncio.gather(*[driver.submit(order(number)) for number in range(30)])
        assert len({entry.position for entry in entries}) == 30
        await driver.stop()

    run(scene())


def test_a_command_whose_sender_gave_up_is_handled_all_the_same() -> None:
    async def scene() -> None:
        driver = AsyncDriver(swallowing(MemoryLog()), HandClock())
        await set_up(driver)
        sender = asyncio.create_task(driver.submit(order(1)))
        await asyncio.sleep(0)
        sender.cancel()
        await driver.submit(order(2))
        assert list(driver.driver.engine.state.orders) == ["order-1", "order-2"]
        await driver.stop()

    run(scene())


def test_a_duplicate_is_answered_by_its_refusal() -> None:
    # RC-06
    async def scene() -> None:
        driver = AsyncDriver(swallowing(MemoryLog()), HandClock())
        await set_up(driver)
        first, second = await asyncio.gather(driver.submit(order(1)), driver.submit(order(1)))
        assert first.refusal is None
        assert second.refusal is not None and second.refusal.code == "duplicate"
        await driver.stop()

    run(scene())


# --- time


def test_timers_are_fed_when_the_clock_reaches_them_and_not_before() -> None:
    async def scene() -> None:
        journal, clock = MemoryLog(), HandClock()
        driver = AsyncDriver(swallowing(journal), clock)
        await set_up(driver)
        await driver.submit(order(1))
        await clock.advance(29_999)
        assert not timeouts(journal)
        await clock.advance(1)
        assert [entry.now for entry in timeouts(journal)] == [BEGIN + 30_000]
        await driver.stop()

    run(scene())


def test_a_command_comes_after_the_timers_that_were_due_before_it_each_at_its_own_instant() -> None:
    async def scene() -> None:
        journal, clock = MemoryLog(), HandClock()
        driver = AsyncDriver(swallowing(journal), clock)
        await set_up(driver)
        await driver.submit(order(1))
        # The bell has not rung yet when the command comes.
        clock.at += 40_000
        late = await driver.submit(order(2, clock.at))
        timed_out, retried = timeouts(journal)
        assert timed_out.now == BEGIN + 30_000
        assert BEGIN + 30_000 < retried.now < BEGIN + 40_000
        assert retried.position < late.position
        assert late.now == BEGIN + 40_000
        await driver.stop()

    run(scene())


def test_a_clock_that_is_set_back_does_not_take_the_log_back() -> None:
    async def scene() -> None:
        clock = HandClock()
        driver = AsyncDriver(swallowing(MemoryLog()), clock)
        await set_up(driver)
        clock.at -= 1_000
        entry = await driver.submit(order(1))
        assert (entry.refusal, entry.now) == (None, BEGIN)
        await driver.stop()

    run(scene())


class ShiftedClock(SystemClock):
    """The machine's clock, set to the business's time."""

    def __init__(self) -> None:
        self.shift = 0
        self.shift = BEGIN - self.now()

    def now(self) -> int:
        return super().now() + self.shift


def test_a_log_made_in_real_time_is_the_same_fed_again(tmp_path: Path) -> None:
    journal = MemoryLog()

    async def send(delivery: Delivery) -> Sequence[External]:
        await asyncio.sleep(0.03 if delivery.key.endswith("3/north/1") and delivery.attempt == 1 else 0.001)
        if delivery.attempt == 1:
            raise SendFailed("not yet")
        return answer(delivery)

    async def scene() -> None:
        gateway = QueuedGateway("all", send, in_flight=3)
        driver = AsyncDriver(Driver(journal, dict.fromkeys(GATEWAYS, gateway)), ShiftedClock(), batch=4)
        await driver.start()
        for command in business(timeout_ms=20, backoff_ms=8):
            await driver.submit(command)
        for number in range(0, 40, 4):
            await asyncio.gather(*[driver.submit(order(one)) for one in range(number, number + 4)])
            await asyncio.sleep(0.005)
        # However slow the machine: until retries were sent and answered, or the whole scene's time is over.
        while not {"DeliveryRetried", "DeliverySucceeded"} <= names(journal):
            await asyncio.sleep(0.01)
        await driver.stop()

    run(scene())
    assert refeed_run(journal.entries, tmp_path / "journal.db") == chained(journal.entries)


# --- gateways


def answer(delivery: Delivery) -> Sequence[External]:
    effect = delivery.effect
    if isinstance(effect, PostInvoice):
        return [ConfirmInvoice(effect.invoice, "erp", BEGIN, effect.invoice, effect.order, delivery.key)]
    return ()


def outcome_of(send: Callable[[Delivery], Awaitable[Sequence[External]]]) -> list[str]:
    """The names of the delivery events that follow from one order whose release is sent by `send`."""
    journal = MemoryLog()

    async def scene() -> None:
        gateways: dict[str, Gateway] = {
            "warehouse": QueuedGateway("warehouse", send),
            "supplier": Swallow(),
            "erp": Swallow(),
        }
        driver = AsyncDriver(Driver(journal, gateways), HandClock())
        await set_up(driver)
        await driver.submit(order(1))
        await driver.stop()

    run(scene())
    return [
        type(event).__name__
        for entry in journal.entries
        for event in entry.events
        if type(event).__name__.startswith("Delivery")
    ]


def test_a_send_without_an_answer_of_its_own_acknowledges_the_delivery() -> None:
    async def send(delivery: Delivery) -> Sequence[External]:
        return ()

    assert outcome_of(send) == ["DeliverySucceeded"]


def test_a_send_with_an_answer_in_the_business_only_settles_the_delivery_too() -> None:
    async def send(delivery: Delivery) -> Sequence[External]:
        assert isinstance(delivery.effect, ReleaseToWarehouse)
        return [ConfirmPick("pick-1", "wms", BEGIN, delivery.key, "order-1", "north", "picked")]

    assert outcome_of(send) == ["DeliverySucceeded"]


@pytest.mark.parametrize("error", [SendFailed("503"), ConnectionResetError("reset"), TimeoutError()])
def test_a_send_that_fails_becomes_a_command_and_is_retried_by_the_engine(error: Exception) -> None:
    async def send(delivery: Delivery) -> Sequence[External]:
        raise error

    assert outcome_of(send) == ["DeliveryFailed"]


def test_a_send_that_is_refused_becomes_a_dead_letter() -> None:
    async def send(delivery: Delivery) -> Sequence[External]:
        raise SendRefused("422 no such item")

    assert outcome_of(send) == ["DeliveryDeadLettered"]


def test_stopping_waits_for_sends_on_their_way_and_for_their_replies() -> None:
    async def send(delivery: Delivery) -> Sequence[External]:
        await asyncio.sleep(0.05)
        return ()

    assert outcome_of(send) == ["DeliverySucceeded"]


def test_a_bug_in_a_send_stops_the_driver_and_is_raised() -> None:
    async def send(delivery: Delivery) -> Sequence[External]:
        raise KeyError("no such column")

    with pytest.raises(KeyError, match="no such column"):
        outcome_of(send)


def test_a_delivery_that_nobody_would_miss_is_not_queued_in_memory() -> None:
    async def send(delivery: Delivery) -> Sequence[External]:
        return ()

    async def scene() -> None:
        gateway = QueuedGateway("all", send)
        driver = AsyncDriver(Driver(MemoryLog(), dict.fromkeys(GATEWAYS, gateway)), HandClock())
        await driver.start()
        for command in business(acknowledge=False):
            await driver.submit(command)
        with pytest.raises(DriverStopped, match="must ask for an acknowledgement"):
            await driver.submit(order(1))
        with pytest.raises(Unacknowledged):
            await driver.stop()

    run(scene())


# --- failures


class Failing(MemoryLog):
    """Fails at the appends that a test names."""

    def __init__(self) -> None:
        super().__init__()
        self.fail: list[Callable[[], None]] = []

    def append(self, entries: Sequence[Entry], expected: Position) -> Position:
        if self.fail:
            self.fail.pop()()
        return super().append(entries, expected)


def test_where_somebody_else_wrote_the_log_is_folded_again_and_the_batch_decided_anew() -> None:
    async def scene() -> None:
        journal = Failing()
        driver = AsyncDriver(swallowing(journal), HandClock())
        await set_up(driver)

        def intrude() -> None:
            stranger = swallowing(MemoryLog())
            stranger.journal = MemoryLog()
            stranger.journal.entries = journal.entries
            stranger.recover()
            stranger.handle(order(1), BEGIN)

        journal.fail = [intrude]
        own, doubled = await asyncio.gather(driver.submit(order(2)), driver.submit(order(1)))
        assert own.refusal is None
        assert doubled.refusal is not None and doubled.refusal.code == "duplicate"
        assert [entry.position for entry in journal.entries] == list(range(1, len(journal.entries) + 1))
        await driver.stop()

    run(scene())


def test_an_append_that_fails_stops_the_driver_and_leaves_nothing_half_done() -> None:
    def full() -> None:
        raise OSError("no space left on device")

    async def scene() -> None:
        journal = Failing()
        driver = AsyncDriver(swallowing(journal), HandClock(), batch=5, backlog=5)
        await set_up(driver)
        stored = len(journal.entries)
        journal.fail = [full]
        answers = await asyncio.gather(*[driver.submit(order(number)) for number in range(20)], return_exceptions=True)
        assert all(isinstance(given, DriverStopped) for given in answers)
        assert len(journal.entries) == stored
        assert journal.mark <= stored
        with pytest.raises(DriverStopped):
            await driver.submit(order(99))
        with pytest.raises(OSError, match="no space left"):
            await driver.stop()

    run(scene())


def test_conflicts_without_end_stop_the_driver() -> None:
    def conflict() -> None:
        raise JournalConflict("again")

    async def scene() -> None:
        journal = Failing()
        driver = AsyncDriver(swallowing(journal), HandClock())
        await set_up(driver)
        journal.fail = [conflict] * 10
        with pytest.raises(DriverStopped):
            await driver.submit(order(1))
        with pytest.raises(JournalConflict):
            await driver.stop()

    run(scene())


def test_a_batch_that_could_not_be_stored_leaves_an_engine_that_can_store_nothing() -> None:
    journal = Failing()
    driver = swallowing(journal)
    driver.handle_many([(command, BEGIN) for command in business()])

    def full() -> None:
        raise OSError("no space left on device")

    journal.fail = [full]
    with pytest.raises(OSError, match="no space"):
        driver.handle_many([(order(1), BEGIN)])
    with pytest.raises(JournalConflict):
        driver.handle(order(1), BEGIN)
    driver.recover()
    assert driver.handle(order(1), BEGIN).refusal is None


def test_a_driver_that_is_not_running_takes_no_command() -> None:
    async def scene() -> None:
        driver = AsyncDriver(swallowing(MemoryLog()), HandClock())
        with pytest.raises(DriverStopped):
            await driver.submit(order(1))
        await driver.start()
        with pytest.raises(DriverStopped, match="starts once"):
            await driver.start()
        await driver.stop()
        with pytest.raises(DriverStopped):
            await driver.submit(order(1))

    run(scene())


def test_starting_hands_over_again_what_was_stored_and_not_marked() -> None:
    class Collecting(Swallow):
        def __init__(self) -> None:
            self.keys: list[str] = []

        def submit(self, delivery: Delivery) -> None:
            self.keys.append(delivery.key)

    async def scene() -> None:
        journal = MemoryLog()
        first = swallowing(journal)
        for command in business():
            first.handle(command, BEGIN)
        first.handle(order(1), BEGIN)
        journal.mark = len(journal.entries) - 1
        gateway = Collecting()
        driver = AsyncDriver(Driver(journal, dict.fromkeys(GATEWAYS, gateway)), RecordedClock())
        assert await driver.start() == 1
        assert gateway.keys == ["order-1/north/1"]
        assert journal.mark == len(journal.entries)
        await driver.handle(LoadStock("more", "setup", BEGIN, "north", (StockLine("apple", 1),)), BEGIN + 5)
        assert await refeed((), driver) == len(journal.entries)
        await driver.stop()

    run(scene())
