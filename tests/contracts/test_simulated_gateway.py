"""The simulated gateway under the contract of every gateway, a simulated supplier behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.contracts.gateway_contract import Bench, GatewayContract
from tests.world.stage import DAY, MONDAY, Stage, tiny
from twin.core.commands import AcknowledgeDelivery, External
from twin.core.effects import Delivery
from twin.world.business import Business
from twin.world.orchestration import Orchestration
from twin.world.party import ENGINE, Link, SimulatedGateway
from twin.world.supplier import Supplier

SETTLE_MS = DAY


class Inbox(Orchestration):
    """In the engine's place: keeps what comes back."""

    def __init__(self) -> None:
        super().__init__(ENGINE)
        self.replies: list[External] = []

    def receive(self, message: External) -> None:
        self.replies.append(message)


class Portal(Supplier):
    """A supplier whose system can be down: then it answers every call with a failure and acts on none."""

    down = False

    def receive(self, message: Delivery) -> None:
        if not self.down:
            super().receive(message)
            return
        failed = AcknowledgeDelivery(
            f"{message.key}/nack/{message.attempt}",
            self.id,
            self.world.now,
            message.key,
            "failed",
            "503",
            attempt=message.attempt,
        )
        self.tell(failed)


class SimulatedBench:
    """A world of one supplier, `mill`, and whoever listens in the engine's place."""

    def __init__(self, latency: str) -> None:
        changes = {"items": [{"id": "apple", "price": "1 GBP", "cost": "1 GBP"}], "suppliers": [_mill(latency)]}
        stage = Stage(tiny(changes))
        self._world: Business = stage.world
        self._truth = stage.truth
        supplier = stage.world.actors.pop("supplier/mill")
        assert isinstance(supplier, Supplier)
        self._portal = stage.world.add(Portal("supplier/mill", Link(supplier.link.latency), supplier.config))
        stage.world.actors.pop(ENGINE)
        self._inbox = stage.world.orchestration = stage.world.add(Inbox())
        self._world.warehouses["north"] = self._world.warehouses["main"]
        self._gateway = SimulatedGateway(self._portal)

    def submit(self, delivery: Delivery) -> None:
        self._gateway.submit(delivery)

    def acts(self) -> Sequence[str]:
        return [row.subject for row in self._truth.rows if row.type == "purchase.lead_time"]

    def replies(self) -> Sequence[External]:
        return self._inbox.replies

    def settle(self) -> None:
        self._world.run(max(self._world.now, MONDAY) + SETTLE_MS)

    def break_down(self) -> None:
        self._portal.down = True


def _mill(latency: str) -> dict[str, object]:
    return {"id": "mill", "lead_time": "2d", "latency": {"kind": "exponential", "mean": latency}}


class TestSimulatedGateway(GatewayContract):
    latency = "200ms"

    def on_bench(self, check: Callable[[Bench], None]) -> None:
        check(SimulatedBench(self.latency))


class TestSimulatedGatewayOverASlowLink(TestSimulatedGateway):
    latency = "20m"
