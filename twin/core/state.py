"""What the engine believes: one tree of structs, written only by `apply`, and the production snapshot as it is."""

from __future__ import annotations

from msgspec import Struct, field

from twin.core.dedupe import Seen
from twin.core.effects import Delivery, PickLine
from twin.core.events import Reservation
from twin.core.master import Carrier, Channel, DeliveryPolicy, Item, Lane, Policies, Replenishment, Supplier, Warehouse
from twin.core.timers import Timers

__all__ = [
    "Backorder",
    "Breaker",
    "Cell",
    "Claim",
    "ClaimedLine",
    "FulfillmentOrder",
    "Line",
    "OpenDelivery",
    "Order",
    "Pegged",
    "PurchaseOrder",
    "Sender",
    "Shipment",
    "State",
    "WaveQueue",
    "withheld",
]


class Line(Struct):
    """An order line: units by bucket (see `buckets.BUCKETS`), and counters that run parallel to them."""

    sku: str
    ordered: int
    price_minor: int
    buckets: list[int]
    billed: int = 0
    credited: int = 0
    promised_at: int = 0


class PendingCredit(Struct):
    """A credit that waits for its units to be billed."""

    credit: str
    line: int
    quantity: int


class PendingMilestone(Struct):
    """A milestone of a shipment that the warehouse has not confirmed yet."""

    shipment: str
    milestone: str
    at: int


class Order(Struct):
    """An open order; it leaves the state when it is closed.

    `asked` is the question to an outside service that its units in `sourcing` wait for, one of `asks` so far, of which
    the last `unanswered` got no decision that could be carried out. `promise_asks` counts the questions for dates.
    `release_asked` is the question to an outside service that its reserved units wait for, one of `release_asks`.
    `claims` are its open ones where the inventory is held, of `reserves` so far; `in_doubt` is whether the last to be
    answered was refused, perhaps for its own reservation.
    """

    id: str
    channel: str
    customer: str
    region: str
    criticality: str
    captured_at: int
    requested_at: int
    lines: dict[int, Line]
    promised_at: int = 0
    held: bool = False
    releases: int = 0
    soft: list[Reservation] = []
    unposted: int = 0
    credits: list[PendingCredit] = []
    closing: bool = False
    early: list[PendingMilestone] = []
    avoid: tuple[str, ...] = ()
    asked: str = ""
    asks: int = 0
    unanswered: int = 0
    promise_asks: int = 0
    release_asked: str = ""
    release_asks: int = 0
    claims: list[str] = []
    reserves: int = 0
    in_doubt: bool = False


class ClaimedLine(Struct):
    """Units of an order line at a node that are reserved under a claim."""

    line: int
    node: str
    sku: str
    quantity: int


class Claim(Struct):
    """What was reserved in one call where the inventory is held; `stage` is asked, or held since `since` (ms). Its
    units are those that are reserved, released or picked here, until they ship or are given up."""

    order: str
    lines: list[ClaimedLine]
    stage: str = "asked"
    since: int = 0


class FulfillmentOrder(Struct):
    """What one warehouse was told to ship; its lines are the hard reservations, `left` their units still to come."""

    order: str
    node: str
    carrier: str
    lines: tuple[PickLine, ...]
    left: int
    stage: str = "released"


class Shipment(Struct):
    """A parcel on its way with a carrier; `lines` are (order line, units)."""

    order: str
    node: str
    carrier: str
    lines: tuple[tuple[int, int], ...]
    stage: str = "shipped"


class Pegged(Struct):
    """Units of a purchase order meant for a waiting order line."""

    order: str
    line: int
    quantity: int


class PurchaseOrder(Struct):
    """Goods ordered and not yet received: units still to come by item, and the supplier's latest word on them."""

    supplier: str
    node: str
    created_at: int
    eta: int
    due: dict[str, int]
    pegs: list[Pegged]
    stage: str = "created"
    revision: int = 0


class Backorder(Struct):
    """A line's units waiting at a node, in `bucket`; served by priority, then by age, order and line."""

    priority: int
    since: int
    order: str
    line: int
    quantity: int
    bucket: int
    pegged: int = 0


class Cell(Struct):
    """Stock of one item at one node. On hand = free + soft + hard + staged + quarantined + elsewhere; `free` may be
    negative. `elsewhere` is what whoever holds the inventory keeps for others.

    `movements` are (sequence, delta) pairs since the last count, kept where the node is counted; `counted_at` is
    the last count's sequence. A continuous rule buys nothing before `review_from` (ms): its supplier refused.
    `seen_at` (ms) is when the stock was last counted or loaded.
    """

    free: int = 0
    soft: int = 0
    hard: int = 0
    staged: int = 0
    quarantined: int = 0
    inbound: int = 0
    backordered: int = 0
    counted_at: int = 0
    movements: list[tuple[int, int]] = []
    waiting: list[Backorder] = []
    review_from: int = 0
    seen_at: int = 0
    elsewhere: int = 0

    @property
    def on_hand(self) -> int:
        """Units believed to be in the building."""
        return self.free + self.soft + self.hard + self.staged + self.quarantined + self.elsewhere

    @property
    def position(self) -> int:
        """The inventory position that replenishment looks at: free + inbound - backordered."""
        return self.free + self.inbound - self.backordered


class OpenDelivery(Struct):
    """A delivery that is not settled; `stage` as in `stages.DELIVERY`.

    `counted` is whether it is a document that an order in memory waits for, see `Order.unposted`. The present attempt
    was sent at `sent_at` (ms), after it had entered the send queue at `queued_at`;
    `doubtful` is whether an attempt may have been done though nobody answered, `hedged` how many attempts were sent
    beside it. Attempts up to `redriven_at` were before somebody sent it again.
    """

    delivery: Delivery
    attempt: int
    stage: str = "in_flight"
    reason: str = ""
    since: int = 0
    counted: bool = False
    sent_at: int = 0
    queued_at: int = 0
    doubtful: bool = False
    hedged: int = 0
    redriven_at: int = 0


class Breaker(Struct):
    """The breaker of one gateway; `stage` as in `stages.BREAKER`.

    `outcomes` are (instant, kind as in `breaker`): those of the window while it is closed, those of the trials while
    it is half open. It is open until `until` (ms); `trials` are the keys let through since.
    """

    stage: str = "closed"
    outcomes: list[tuple[int, int]] = []
    until: int = 0
    trials: list[str] = []


class Sender(Struct):
    """What sends to one gateway: its attempts `in_flight`, and the deliveries that wait their turn.

    `queue` is in the order of sending: (rank of the criticality, queued at, key). The next attempt has its slot at
    `next_us` (microseconds since the epoch). `draining` is what is left of an outage. `order` has, where deliveries
    keep their order, the unsettled keys by what they are about, the oldest first; one that must wait for another is
    not in the queue yet.
    """

    in_flight: int = 0
    queue: list[tuple[int, int, str]] = []
    next_us: int = 0
    draining: bool = False
    breaker: Breaker = field(default_factory=Breaker)
    order: dict[str, list[str]] = {}


class WaveQueue(Struct):
    """Orders that wait for a node's next wave; `left` of them are still to be looked at in the present one."""

    orders: list[str] = []
    left: int = 0


class State(Struct):
    """Everything the engine knows.

    `retry_budgets` holds millionths of a retry left, by gateway; `pools` the gateways that share senders, by pool.
    `supervised` is whether any counterpart is watched. `chases` has, by what is watched, the questions asked and how
    many of them came before the last answer; `tickets` the order of what is reported because questions did not help.
    `interventions` are those under way, with who began them. `claims` are the open ones where the inventory is held;
    `asking` is the last of `reconciliations` questions for all of them, asked at `asked_at` (ms), and `settled` has
    claims of which units have shipped or were given up since, with when (ms).
    """

    now: int = 0
    position: int = 0
    currency: str = ""
    warehouses: dict[str, Warehouse] = {}
    suppliers: dict[str, Supplier] = {}
    channels: dict[str, Channel] = {}
    carriers: dict[str, Carrier] = {}
    lanes: dict[str, dict[str, Lane]] = {}
    items: dict[str, Item] = {}
    policies: Policies = Policies()
    preferred: dict[str, str] = {}
    gateways: dict[str, DeliveryPolicy] = {}
    replenishment: dict[str, dict[str, Replenishment]] = {}
    nodes_of: dict[str, list[str]] = {}
    stock: dict[str, dict[str, Cell]] = {}
    orders: dict[str, Order] = {}
    fulfillment_orders: dict[str, FulfillmentOrder] = {}
    shipments: dict[str, Shipment] = {}
    purchase_orders: dict[str, PurchaseOrder] = {}
    inbound: dict[str, dict[str, list[str]]] = {}
    deliveries: dict[str, OpenDelivery] = {}
    dead_letters: dict[str, OpenDelivery] = {}
    retry_budgets: dict[str, int] = {}
    senders: dict[str, Sender] = {}
    supervised: bool = False
    chases: dict[str, tuple[int, int]] = {}
    tickets: dict[str, str] = {}
    interventions: dict[str, str] = {}
    pools: dict[str, list[str]] = {}
    referred: dict[str, int] = {}
    claims: dict[str, Claim] = {}
    asking: str = ""
    asked_at: int = 0
    reconciliations: int = 0
    settled: dict[str, int] = {}
    closing: dict[str, list[str]] = {}
    waves: dict[str, WaveQueue] = {}
    timers: Timers = field(default_factory=Timers)
    seen: Seen = field(default_factory=Seen)


def withheld(state: State, waiting: Backorder) -> int:
    """Units of each item that stay hidden from the channel of an order that waits."""
    return state.channels[state.orders[waiting.order].channel].safety_stock
