"""The production gateway under the contract of every gateway, its counterpart in memory behind a socket's habits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from adapters.clocks import RecordedClock
from adapters.queued_gateway import QueuedGateway, SendFailed
from tests.contracts.gateway_contract import Bench, GatewayContract
from twin.core.commands import AcknowledgePurchaseOrder, External
from twin.core.effects import Delivery


class QueuedBench:
    """A supplier that honors keys, called by a `QueuedGateway` in an event loop of its own."""

    def __init__(self, *, in_flight: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._gateway = QueuedGateway("supplier", self._send, in_flight=in_flight)
        self._acts: list[str] = []
        self._replies: list[External] = []
        self._broken = False
        work = self._gateway.work(self._reply, RecordedClock())
        self._tasks = [self._loop.create_task(one) for one in work]

    async def _send(self, delivery: Delivery) -> Sequence[External]:
        await asyncio.sleep(0)
        if self._broken:
            raise SendFailed("503 from the supplier's portal")
        if delivery.key not in self._acts:
            self._acts.append(delivery.key)
        return [AcknowledgePurchaseOrder(f"{delivery.key}/855", "mill", 0, delivery.key, "accepted", 5)]

    async def _reply(self, command: External) -> None:
        self._replies.append(command)

    def submit(self, delivery: Delivery) -> None:
        self._gateway.submit(delivery)

    def acts(self) -> Sequence[str]:
        return self._acts

    def replies(self) -> Sequence[External]:
        return self._replies

    def settle(self) -> None:
        self._loop.run_until_complete(self._gateway.join())

    def break_down(self) -> None:
        self._broken = True

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()


class TestQueuedGateway(GatewayContract):
    in_flight = 1

    def on_bench(self, check: Callable[[Bench], None]) -> None:
        bench = QueuedBench(in_flight=self.in_flight)
        try:
            check(bench)
        finally:
            bench.close()


class TestQueuedGatewayWithSeveralInFlight(TestQueuedGateway):
    in_flight = 4
