"""Master data and policies as the engine knows them; they enter the log as commands, from the first entry on.

Times are UTC milliseconds, money is minor units, quantities are the item's base unit.
"""

from __future__ import annotations

from msgspec import Struct

from twin.core.calendar import Calendar

__all__ = [
    "CRITICALITIES",
    "DEFAULT_DELIVERY",
    "BreakerPolicy",
    "Carrier",
    "Channel",
    "DeliveryPolicy",
    "Departures",
    "Item",
    "Lane",
    "Policies",
    "Pool",
    "Replenishment",
    "Supplier",
    "Warehouse",
    "expires_at",
]

CRITICALITIES = ("A", "B", "C")
"""Business criticality classes, most critical first; their index is the queueing priority."""


class Item(Struct, frozen=True, gc=False, omit_defaults=True):
    """A stock-keeping unit: list price and standard cost of one base unit, in minor units.

    One that is `blocked` is not for sale: orders over it are refused. `recorded_at` is when its system of record wrote
    it down (ms; 0 where that does not say): an older record does not replace a newer one.
    """

    sku: str
    price_minor: int
    cost_minor: int
    description: str = ""
    blocked: bool = False
    recorded_at: int = 0


class Departures(Struct, frozen=True, omit_defaults=True):
    """When one carrier leaves one warehouse: what is ordered before `cut_offs[i]` leaves at `leaves[i]`.

    Both are sorted instants of equal length; empty means that parcels leave as they are packed.
    """

    carrier: str
    cut_offs: tuple[int, ...] = ()
    leaves: tuple[int, ...] = ()


class Warehouse(Struct, frozen=True, omit_defaults=True):
    """A stocking location. `handling_ms` is what a promise allows for picking and packing.

    Where `drop_ship` is set it is a supplier's dock, under the supplier's id: nothing is stocked there, and what is
    bought from it leaves it for the customer.
    """

    id: str
    calendar: Calendar
    departures: tuple[Departures, ...] = ()
    waves: tuple[int, ...] = ()
    handling_ms: int = 0
    counted: bool = False
    drop_ship: bool = False


class Supplier(Struct, frozen=True, omit_defaults=True):
    """A source of purchased goods; `order_cost_minor` is charged for each purchase order, of at least `minimum_order`
    units. `recorded_at` is as an item's."""

    id: str
    calendar: Calendar
    order_cost_minor: int = 0
    minimum_order: int = 0
    recorded_at: int = 0


class Carrier(Struct, frozen=True, omit_defaults=True):
    """Who takes parcels to customers, and when it delivers: a promise falls into these hours."""

    id: str
    calendar: Calendar


class Lane(Struct, frozen=True, gc=False, omit_defaults=True):
    """A carrier's way from a warehouse to a customer region; `promise_ms` is the transit told to customers."""

    node: str
    region: str
    carrier: str
    promise_ms: int
    shipment_cost_minor: int = 0
    unit_cost_minor: int = 0


class Channel(Struct, frozen=True, gc=False, omit_defaults=True):
    """A sales channel and the rules that its orders follow.

    `ship_complete` holds an order until every line is reserved; `reject_shortage` refuses what is short
    instead of backordering it, unless it is bought to order; `safety_stock` units of each item stay hidden from the
    channel. A marketplace is told what it may sell every `feed_ms` (0: never), `feed_offset_ms` since the epoch, less
    `feed_buffer` units of each item; while `feed_closed` it is told that there is nothing.
    """

    id: str
    style: str
    criticality: str
    ship_complete: bool = False
    reject_shortage: bool = False
    safety_stock: int = 0
    feed_ms: int = 0
    feed_offset_ms: int = 0
    feed_buffer: int = 0
    feed_closed: bool = False


class Replenishment(Struct, frozen=True, gc=False, omit_defaults=True):
    """How one item is bought for one warehouse.

    `kind` is `min_max` ((s,S): order up to `maximum` at or below `minimum`), `reorder_point` ((r,Q): order
    multiples of `quantity` at or below `minimum`), `base_stock` (order up to `maximum` at each review),
    `to_order` (not stocked: buy exactly what is short) or `drop_ship` (to order, one purchase order an order line, and
    the supplier ships to the customer). `review_ms` 0 reviews continuously, otherwise every
    `review_ms` starting at `review_offset_ms` since the epoch. What is bought is rounded up to whole packs of `pack`
    units; 0 buys single units. `alternates` are asked in turn where the supplier before could not be, each with the
    lead time (ms) that is expected of it. `recorded_at` is as an item's.
    """

    node: str
    sku: str
    supplier: str
    kind: str
    minimum: int = 0
    maximum: int = 0
    quantity: int = 0
    review_ms: int = 0
    review_offset_ms: int = 0
    lead_time_ms: int = 0
    alternates: tuple[tuple[str, int], ...] = ()
    pack: int = 0
    recorded_at: int = 0


class BreakerPolicy(Struct, frozen=True, gc=False, omit_defaults=True):
    """When the breaker of a counterpart opens, and how it closes again (terms and rules of Resilience4j).

    Looked at are the last `window` attempts, or those of the last `window_ms` where that is not 0, once there are
    `minimum` of them. The breaker opens where at least `failures_ppm` of them failed or got no answer, or at least
    `slow_ppm` took longer than `slow_ms` (0: not looked at). It stays open for `open_ms`; `holds` keeps what is to be
    sent in the queue meanwhile, otherwise attempts fail at once. Then `trials` attempts are let through, and their
    outcomes decide.
    """

    window: int = 100
    window_ms: int = 0
    minimum: int = 100
    failures_ppm: int = 500_000
    slow_ms: int = 0
    slow_ppm: int = 1_000_000
    open_ms: int = 60_000
    trials: int = 10
    holds: bool = False


class Pool(Struct, frozen=True, gc=False):
    """Senders that several gateways share: at most `size` of their attempts are under way at once."""

    name: str
    size: int


class DeliveryPolicy(Struct, frozen=True, gc=False, omit_defaults=True):
    """How deliveries to one kind of gateway are sent, timed out and retried; what is counted is counted by counterpart.

    Without `acknowledge` the delivery is settled once submitted (a durable queue stands between). `jitter` is
    `none`, `equal`, `full` or `decorrelated` (Brooker 2015, "Exponential Backoff and Jitter"). `budget_ppm` bounds the
    retries to one counterpart, in parts per million of its first attempts, beyond a reserve of `budget_reserve`
    retries; 0 sets no bound ("Site Reliability Engineering", Beyer et al. 2016, chapter 21, per-client retry budget).
    Reasons that begin with one of `permanent` are not tried again. `retry_after` is whether a counterpart's wish for
    a later retry (HTTP Retry-After) is granted.

    The rest makes a send queue: `bulkhead` attempts may be under way to one counterpart (0: any number), and those of
    all gateways in `pool` together as many as the pool has; attempts are `interval_us` apart, or `burst` at once;
    after an outage that opened the `breaker` they are `drain_us` apart until the queue is empty. It is served by
    criticality, then in the order of coming, or in that order alone (`fifo`). Past `bound` waiting deliveries the last
    are shed. `in_order` sends those about one order or purchase order one after the other, and none past a dead letter.

    A counterpart that says nothing of an order for `chase_ms` (0: nobody minds) is asked, and after `chases` questions
    in vain a ticket is opened. A dead letter waits for `owner` and expires after `dead_ms` (0: never): then it can no
    longer be sent again, and holds up nothing behind it. An attempt without an answer for `hedge_ms` (0: never) is sent
    a second time beside the first, up to `hedges` times, and the first answer counts (Dean and Barroso 2013, "The Tail
    at Scale"). `fallback` sources an order elsewhere when its warehouse could not be told to ship, and asks another
    supplier where one could not be asked; with `compensate` what may have been done all the same is cancelled first.
    """

    gateway: str
    timeout_ms: int = 30_000
    deadline_ms: int = 21_600_000
    acknowledge: bool = True
    retries: int = 5
    backoff_ms: int = 5_000
    cap_ms: int = 600_000
    jitter: str = "full"
    budget_ppm: int = 0
    budget_reserve: int = 10
    permanent: tuple[str, ...] = ()
    retry_after: bool = True
    bulkhead: int = 0
    pool: str = ""
    interval_us: int = 0
    burst: int = 1
    drain_us: int = 0
    bound: int = 0
    fifo: bool = False
    in_order: bool = False
    breaker: BreakerPolicy | None = None
    chase_ms: int = 0
    chases: int = 2
    fallback: bool = False
    compensate: bool = True
    owner: str = ""
    dead_ms: int = 0
    hedge_ms: int = 0
    hedges: int = 1

    @property
    def queues(self) -> bool:
        """Whether deliveries pass a send queue on their way."""
        return bool(
            self.breaker
            or self.bulkhead
            or self.pool
            or self.interval_us
            or self.drain_us
            or self.bound
            or self.in_order
        )


def expires_at(policy: DeliveryPolicy, now: int, deadline: int) -> int:
    """The instant (ms) at which an attempt sent now is given up: its timeout, or the deadline of all attempts."""
    return min(now + policy.timeout_ms, deadline) if deadline else now + policy.timeout_ms


DEFAULT_DELIVERY = DeliveryPolicy("")
"""What holds for a kind of gateway that no policy names."""


class Policies(Struct, frozen=True, omit_defaults=True):
    """The business's rules as data; a change in the middle of a run is one more command.

    `preferred` maps a region to its preferred warehouse as pairs; `ranking` holds warehouses, best first, for all
    regions. `return_window_ms` is how long an invoiced
    order stays open for credits after its delivery. `batch` bounds the steps of backorder and wave runs,
    `close_batch` the orders closed in one step. `rejection_wait_ms` is how long a supplier that refused a purchase is
    not asked for the item again by a continuous rule; a periodic one waits for its next review. `pools` are the
    senders that gateways share. Promises are `promise_extra_ms` later than what the calendars allow. Where `decider`
    is not empty that outside service is asked where orders come from; after `decider_attempts` questions about an order
    in a row without a decision that can be carried out, `decider_otherwise` holds: `rules` (`sourcing` decides),
    `reject` or `hold`. Where `promiser` is not empty that outside service is asked for the dates that customers are
    told; where it gives none the calendars decide. Where `releaser` is not empty that outside service is asked before
    an order goes to its warehouses; without an answer `releaser_otherwise` holds: `release` or `hold`.

    Where `holder` is not empty it is the kind of gateway behind which the inventory is held: what is reserved here is
    asked for there, and nothing goes before it is confirmed. Units of a call without an answer are sourced anew after
    `holder_pause_ms` and before twice that; every `reconcile_ms` (0: never) the reservations there are held against
    those here.
    """

    sourcing: tuple[str, ...] = ("preferred_node", "minimize_splits", "nearest")
    preferred: tuple[tuple[str, str], ...] = ()
    split_lines: bool = True
    waves: bool = False
    reservation_expiry_ms: int = 0
    retention_ms: int = 604_800_000
    return_window_ms: int = 0
    batch: int = 50
    delivery: tuple[DeliveryPolicy, ...] = ()
    close_batch: int = 200
    rejection_wait_ms: int = 86_400_000
    pools: tuple[Pool, ...] = ()
    promise_extra_ms: int = 0
    ranking: tuple[str, ...] = ()
    decider: str = ""
    decider_attempts: int = 2
    decider_otherwise: str = "rules"
    promiser: str = ""
    releaser: str = ""
    releaser_otherwise: str = "release"
    holder: str = ""
    holder_pause_ms: int = 900_000
    reconcile_ms: int = 0
