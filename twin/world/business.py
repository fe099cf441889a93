"""The simulated business: the world's clock with its parties, its luck and its truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from twin.streams import Series, Streams
from twin.world.kernel import World
from twin.world.recent import Recent

if TYPE_CHECKING:
    from twin.decisions import Decider
    from twin.world.carrier import Carrier
    from twin.world.erp import Erp
    from twin.world.holder import Holder
    from twin.world.interface import Interface
    from twin.world.marketplace import Marketplace
    from twin.world.master_data import MasterData
    from twin.world.orchestration import Orchestration
    from twin.world.warehouse import Warehouse

__all__ = ["Business", "Truth"]


class Truth(Protocol):
    """Where what physically happens is written down; no policy reads it."""

    def record(
        self,
        at: int,
        type: str,
        subject: str,
        node: str = "",
        sku: str = "",
        quantity: int = 0,
        detail: str = "",
    ) -> None:
        """Note one physical happening."""
        ...


class Business(World):
    """A world of one business. `truth` and `deciders`, the services outside by their id, are attached from outside and
    are no part of a snapshot.

    `shuffle` permutes ties, see `World`. `tenants` maps an order to the channel that it came by, and is kept only where
    a fault hits one tenant's messages. `misaddressed` are shipments whose label is wrong, with the time that putting it
    right takes (ms).
    """

    truth: Truth

    def __init__(self, start_ms: int, seed: int, *, shuffle: Series | None = None) -> None:
        super().__init__(start_ms, shuffle=shuffle)
        self.streams: Streams = Streams(seed)
        self.carriers: dict[str, Carrier] = {}
        self.warehouses: dict[str, Warehouse] = {}
        self.interfaces: dict[str, Interface] = {}
        self.marketplaces: dict[str, Marketplace] = {}
        self.tenants: dict[str, str] | None = None
        self.misaddressed: dict[str, int] = Recent()
        self.looked_at: dict[str, None] = Recent()
        self.master_data: MasterData | None = None
        self.deciders: dict[str, Decider] = {}
        self.holder: Holder | None = None
        self.erp: Erp
        self.orchestration: Orchestration

    def carrier(self, id: str) -> Carrier:
        """The carrier of that id."""
        return self.carriers[id]

    def warehouse(self, node: str) -> Warehouse:
        """The warehouse of that node."""
        return self.warehouses[node]

    def __getstate__(self) -> Any:
        actors, contents, queue, rest = super().__getstate__()
        rest.pop("truth", None)
        rest["deciders"] = {}
        return actors, contents, queue, rest
