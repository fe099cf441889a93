"""What every `ports.Gateway` promises. Subclass `GatewayContract` with a `Bench`, as `TestQueuedGateway` does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

from twin.core.commands import AcknowledgeDelivery, External
from twin.core.effects import CreatePurchaseOrder, Delivery, PurchaseLine

__all__ = ["Bench", "GatewayContract", "sample_delivery"]


def sample_delivery(number: int = 1, attempt: int = 1) -> Delivery:
    """A purchase order for the gateway `supplier`."""
    effect = CreatePurchaseOrder(f"po-{number}", "mill", "north", (PurchaseLine("apple", 5),))
    return Delivery(f"po-{number}", "supplier", effect, f"po-{number}", "B", attempt, 1_000_000)


class Bench(Protocol):
    """A gateway with its counterpart in sight."""

    def submit(self, delivery: Delivery) -> None:
        """The gateway's own `submit`."""
        ...

    def acts(self) -> Sequence[str]:
        """The keys that the counterpart acted on, each as often as it acted."""
        ...

    def replies(self) -> Sequence[External]:
        """The commands that came back so far."""
        ...

    def settle(self) -> None:
        """Let everything happen that is on its way."""
        ...

    def break_down(self) -> None:
        """From here on the counterpart answers every call with a failure."""
        ...


class GatewayContract(ABC):
    """The abstract suite; `on_bench` runs a check against a fresh gateway, in whatever loop that needs."""

    @abstractmethod
    def on_bench(self, check: Callable[[Bench], None]) -> None:
        """Call `check` with a bench."""

    def test_a_delivery_is_acted_on_once_and_answered(self) -> None:
        def check(bench: Bench) -> None:
            bench.submit(sample_delivery())
            bench.settle()
            assert list(bench.acts()) == ["po-1"]
            assert bench.replies()
            answers = [reply for reply in bench.replies() if isinstance(reply, AcknowledgeDelivery)]
            assert [answer.attempt for answer in answers] == [1]

        self.on_bench(check)

    def test_an_answer_in_the_business_leaves_no_delivery_unsettled(self) -> None:
        # A supplier's yes to an order is no end of the delivery: it would be sent until its retries are used up.
        def check(bench: Bench) -> None:
            bench.submit(sample_delivery())
            bench.settle()
            replies = bench.replies()
            settled = [(reply.delivery, reply.outcome) for reply in replies if isinstance(reply, AcknowledgeDelivery)]
            assert settled == [("po-1", "succeeded")]

        self.on_bench(check)

    def test_the_same_key_twice_causes_one_act(self) -> None:
        # RC-06
        def check(bench: Bench) -> None:
            bench.submit(sample_delivery())
            bench.submit(sample_delivery())
            bench.settle()
            bench.submit(sample_delivery(attempt=2))
            bench.settle()
            assert list(bench.acts()) == ["po-1"]

        self.on_bench(check)

    def test_no_reply_arrives_before_submit_returns(self) -> None:
        def check(bench: Bench) -> None:
            for number in range(20):
                bench.submit(sample_delivery(number))
                assert not bench.replies()
                assert not bench.acts()
            bench.settle()
            assert len(bench.acts()) == 20

        self.on_bench(check)

    def test_a_counterparts_failure_is_a_command_and_no_exception(self) -> None:
        def check(bench: Bench) -> None:
            bench.break_down()
            bench.submit(sample_delivery())
            bench.settle()
            (reply,) = bench.replies()
            assert isinstance(reply, AcknowledgeDelivery)
            assert (reply.delivery, reply.outcome) == ("po-1", "failed")
            assert not bench.acts()

        self.on_bench(check)

    def test_replies_to_two_attempts_are_two_messages(self) -> None:
        # An answer whose id were that of an earlier attempt would be refused as a duplicate.
        def check(bench: Bench) -> None:
            bench.break_down()
            bench.submit(sample_delivery(attempt=1))
            bench.settle()
            bench.submit(sample_delivery(attempt=2))
            bench.settle()
            first, second = bench.replies()
            assert (first.source, first.id) != (second.source, second.id)
            # Nor may a late failure of the first attempt end the second.
            assert isinstance(first, AcknowledgeDelivery) and isinstance(second, AcknowledgeDelivery)
            assert (first.attempt, second.attempt) == (1, 2)

        self.on_bench(check)
