"""A gateway for counterparts that are called over a network: a queue, tasks that call, failures as commands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence

from adapters.clocks import Clock
from twin.core.commands import AcknowledgeDelivery, ConfirmInvoice, External, IssueCredit
from twin.core.effects import AskOrderFacts, Delivery

__all__ = ["QueuedGateway", "Reply", "Send", "SendFailed", "SendRefused", "Unacknowledged"]

Send = Callable[[Delivery], Awaitable[Sequence[External]]]
"""Calls the counterpart, passing the delivery's key on; returns its answers, none where it only took the delivery."""

Reply = Callable[[External], Awaitable[None]]
"""Takes an answer as a command to the engine."""


class SendFailed(Exception):
    """The counterpart could not be reached or could not answer: trying again may help."""


class SendRefused(Exception):
    """The counterpart will not take this delivery, however often it is sent."""


class Unacknowledged(ValueError):
    """The business's policies ask for no acknowledgement from a gateway that would lose the delivery in a crash."""


class QueuedGateway:
    """Queues deliveries in memory and sends them in up to `in_flight` tasks; with 1 they keep their order.

    What `send` returns are the replies. After them the delivery is acknowledged, unless one of them settles it: a
    `ConfirmInvoice` or an `AcknowledgeDelivery` that names it, or the answer to its `AskOrderFacts`. `SendFailed`,
    `OSError` and `TimeoutError` become a failed acknowledgement, `SendRefused` a refused one; anything else is a bug
    and stops the driver. Retries, backoff and giving up are the engine's: this tries once.

    The queue does not outlive the process. The engine's timeout sends such a delivery again, so its policy must ask
    for an acknowledgement.
    """

    def __init__(self, name: str, send: Send, *, in_flight: int = 1) -> None:
        self.name = name
        self._send = send
        self._in_flight = in_flight
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self._unfinished = 0

    def submit(self, delivery: Delivery) -> None:
        """Queue a delivery. Raises `Unacknowledged` where nobody would notice its loss."""
        if not delivery.deadline:
            raise Unacknowledged(
                f"gateway '{self.name}' queues in memory: its delivery policy must ask for an acknowledgement "
                f"(delivery '{delivery.key}')"
            )
        self._unfinished += 1
        self._queue.put_nowait(delivery)

    @property
    def busy(self) -> bool:
        """Whether a delivery is queued, being sent, or its replies are not handled yet."""
        return self._unfinished > 0

    async def join(self) -> None:
        """Return when it is not busy."""
        await self._queue.join()

    def work(self, reply: Reply, clock: Clock) -> list[Coroutine[None, None, None]]:
        """The tasks that send, to be run by a driver."""
        return [self._work(reply, clock) for _ in range(self._in_flight)]

    async def _work(self, reply: Reply, clock: Clock) -> None:
        while True:
            delivery = await self._queue.get()
            try:
                for command in await self._attempt(delivery, clock):
                    await reply(command)
            finally:
                self._unfinished -= 1
                self._queue.task_done()

    async def _attempt(self, delivery: Delivery, clock: Clock) -> Sequence[External]:
        try:
            replies = await self._send(delivery)
        except SendRefused as error:
            return [self._answer(delivery, "refused", str(error), clock)]
        except (SendFailed, OSError) as error:
            # TimeoutError is an OSError. It may have been done; the same key makes trying again harmless.
            return [self._answer(delivery, "failed", str(error) or type(error).__name__, clock)]
        if any(_settles(delivery, reply) for reply in replies):
            return replies
        # Last, so that a crash before it has the delivery sent again and the answer is not lost.
        return [*replies, self._answer(delivery, "succeeded", "", clock)]

    def _answer(self, delivery: Delivery, outcome: str, reason: str, clock: Clock) -> AcknowledgeDelivery:
        return AcknowledgeDelivery(
            f"{delivery.key}#{delivery.attempt}/{outcome}",
            f"gateway/{self.name}",
            clock.now(),
            delivery.key,
            outcome,
            reason,
            delivery.criticality,
            delivery.key,
            delivery.attempt,
        )


def _settles(delivery: Delivery, reply: External) -> bool:
    """Whether the engine takes this answer for the end of the delivery's attempt."""
    if isinstance(reply, ConfirmInvoice | AcknowledgeDelivery):
        return reply.delivery == delivery.key
    effect = delivery.effect
    return (
        isinstance(effect, AskOrderFacts)
        and isinstance(reply, IssueCredit)
        and reply.facts is not None
        and reply.credit == effect.credit
    )
