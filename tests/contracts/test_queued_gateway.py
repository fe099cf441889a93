"""The production gateway under the contract of every gateway, its counterpart in memory behind a socket's habits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from adapters.clocks import RecordedClock
from adapters.queued_gateway import QueuedGateway, SendFailed
from tests.contracts.gateway_contract import Bench, GatewayContract
from twin.core.commands import (
    AcknowledgeDelivery,
    AcknowledgePurchaseOrder,
    ConfirmInvoice,
    External,
    IssueCredit,
    OrderFacts,
)
from twin.core.effects import AskOrderFacts, Delivery, Effect, PostInvoice


def accepted(delivery: Delivery) -> Sequence[External]:
    """What a supplier says to a purchase order."""
    return [AcknowledgePurchaseOrder(f"{delivery.key}/855", "mill", 0, delivery.key, "accepted", 5)]


class QueuedBench:
    """A counterpart that honors keys, called by a `QueuedGateway` in an event loop of its own."""

    def __init__(self, *, in_flight: int, answer: Callable[[Delivery], Sequence[External]] = accepted) -> None:
        self._answer = answer
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
        return self._answer(delivery)

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


INVOICE = PostInvoice("inv-1", "o1", "s1", "ann", ((1, 5, 450),), 2_250)
QUESTION = AskOrderFacts("c1", "o1", 1, 2)
CONFIRMED = ConfirmInvoice("erp/1", "erp", 0, "inv-1", "o1", "inv-1")
ANSWERED = IssueCredit("erp/2", "erp", 0, "c1", "o1", 1, 2, OrderFacts(5, 0, 450))


@pytest.mark.parametrize(
    ("effect", "key", "answer", "settles"),
    [
        (INVOICE, "inv-1", CONFIRMED, True),
        (INVOICE, "inv-2", CONFIRMED, False),
        (QUESTION, "c1/facts", ANSWERED, True),
        (QUESTION, "c1/facts", IssueCredit("desk/1", "desk", 0, "c1", "o1", 1, 2), False),
        (QUESTION, "c2/facts", IssueCredit("erp/3", "erp", 0, "c2", "o1", 1, 2, OrderFacts(5, 0, 450)), False),
        (INVOICE, "inv-1", AcknowledgeDelivery("erp/4", "erp", 0, "inv-1", "failed"), True),
        (INVOICE, "inv-1", AcknowledgeDelivery("erp/5", "erp", 0, "inv-9", "succeeded"), False),
    ],
)
def test_an_acknowledgement_follows_where_no_answer_settles_that_very_delivery(
    effect: Effect, key: str, answer: External, settles: bool
) -> None:
    bench = QueuedBench(in_flight=1, answer=lambda _: (answer,))
    try:
        bench.submit(Delivery(key, "erp", effect, "o1", "B", 1, 1_000_000))
        bench.settle()
        first, *others = bench.replies()
    finally:
        bench.close()
    assert first == answer
    assert [(type(other), getattr(other, "delivery", None)) for other in others] == (
        [] if settles else [(AcknowledgeDelivery, key)]
    )
