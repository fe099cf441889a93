"""What happened, past tense, stored and versioned: the glossary of the business.

Every quantity is in base units, every instant in UTC milliseconds, every amount in minor units.
"""

from __future__ import annotations

from msgspec import Struct

from twin.core.commands import OrderLine, ReservedUnits, StockLine
from twin.core.effects import Delivery, HeldLine, PickLine, PurchaseLine
from twin.core.master import Carrier, Channel, Item, Lane, Policies, Replenishment, Supplier, Warehouse

__all__ = [
    "AvailabilityPublished",
    "BreakerClosed",
    "BreakerHalfOpened",
    "BreakerOpened",
    "CancellationRefused",
    "CancellationRequested",
    "CancelledUnits",
    "Considered",
    "CreditIssued",
    "CreditPended",
    "CreditReferred",
    "CreditRejected",
    "DeliveryDeadLettered",
    "DeliveryDispatched",
    "DeliveryExpired",
    "DeliveryFailed",
    "DeliveryHedged",
    "DeliveryLapsed",
    "DeliveryQueued",
    "DeliveryRedriven",
    "DeliveryRetried",
    "DeliverySucceeded",
    "Event",
    "FulfillmentPlan",
    "GoodsPicked",
    "GoodsReceived",
    "GoodsShipped",
    "InterventionBegan",
    "InterventionEnded",
    "InvoiceCreated",
    "InvoicePosted",
    "ItemsDefined",
    "Leg",
    "MarketplaceUnitsRefused",
    "MilestonePended",
    "NetworkDefined",
    "OrderCancelled",
    "OrderCaptured",
    "OrderClosed",
    "OrderHeld",
    "OrderHoldReleased",
    "OrderRepeated",
    "Peg",
    "PoliciesDefined",
    "PromiseDecided",
    "PromiseRequested",
    "PromiseUnanswered",
    "PurchaseCancellationRefused",
    "PurchaseCancellationRequested",
    "PurchaseOrderAcknowledged",
    "PurchaseOrderCreated",
    "PurchaseOrderRejected",
    "PurchaseOrderWithdrawn",
    "ReleaseDecided",
    "ReleaseRequested",
    "ReleaseUnanswered",
    "ReleaseWithdrawn",
    "ReplenishmentDefined",
    "Reservation",
    "ReservationAsked",
    "ReservationConfirmed",
    "ReservationDecided",
    "ReservationExpired",
    "ReservationGivenUp",
    "ReservationRefused",
    "ReservationRequested",
    "ReservationsAsked",
    "ReservationsReconciled",
    "ShipmentDelivered",
    "ShipmentLoaded",
    "ShipmentMilestoneReached",
    "SourcingDecided",
    "SourcingRequested",
    "SourcingUnanswered",
    "StatusAsked",
    "StatusReported",
    "StockAdjusted",
    "StockCounted",
    "StockLoaded",
    "TicketOpened",
    "UnitsShorted",
]


# --- the business itself


class NetworkDefined(Struct, frozen=True, gc=False, tag="network.defined", omit_defaults=True):
    """Warehouses, suppliers, lanes, channels and carriers were added or replaced."""

    currency: str
    warehouses: tuple[Warehouse, ...] = ()
    suppliers: tuple[Supplier, ...] = ()
    lanes: tuple[Lane, ...] = ()
    channels: tuple[Channel, ...] = ()
    carriers: tuple[Carrier, ...] = ()


class ItemsDefined(Struct, frozen=True, gc=False, tag="items.defined"):
    """Items were added to the catalog or replaced."""

    items: tuple[Item, ...]


class AvailabilityPublished(Struct, frozen=True, gc=False, tag="availability.published"):
    """A marketplace was told what it may sell of `items` items, in `parts` messages, as of position `snapshot`."""

    channel: str
    snapshot: int
    items: int
    parts: int


class MarketplaceUnitsRefused(Struct, frozen=True, gc=False, tag="marketplace.units_refused"):
    """The seller cancels units that a marketplace has sold; `refusal` is the id of the message that says so."""

    order: str
    refusal: str
    units: int


class PoliciesDefined(Struct, frozen=True, gc=False, tag="policies.defined"):
    """The business's rules changed."""

    policies: Policies


class ReplenishmentDefined(Struct, frozen=True, gc=False, tag="replenishment.defined"):
    """Replenishment rules were added or replaced."""

    rules: tuple[Replenishment, ...]


# --- an order's way


class OrderCaptured(Struct, frozen=True, gc=False, tag="order.captured", omit_defaults=True):
    """An order was accepted: from here on nothing of it may be lost.

    `captured_at` (ms) is set where that was before the log begins; its lines are what was still to deliver then, and
    it had been released `releases` times.
    """

    order: str
    channel: str
    customer: str
    region: str
    criticality: str
    requested_at: int
    lines: tuple[OrderLine, ...]
    captured_at: int = 0
    releases: int = 0


class OrderHeld(Struct, frozen=True, gc=False, tag="order.held"):
    """Release of the order is stopped."""

    order: str
    reason: str


class OrderHoldReleased(Struct, frozen=True, gc=False, tag="order.hold_released"):
    """The order may be released again."""

    order: str


class SourcingRequested(Struct, frozen=True, gc=False, tag="sourcing.requested", omit_defaults=True):
    """The open units of these lines (empty: all) need a source. `request` is the key of the delivery that asks an
    outside service; without one the built-in rules decide in the same entry."""

    order: str
    lines: tuple[int, ...] = ()
    request: str = ""


class SourcingUnanswered(Struct, frozen=True, gc=False, tag="sourcing.unanswered"):
    """An outside service gave no decision on `request` that could be carried out; the units are open again."""

    order: str
    request: str
    reason: str


class Leg(Struct, frozen=True, gc=False, omit_defaults=True):
    """One line's quantity on one route (stock, backorder, replenish, reject) at one node.

    `rule` is what decided for `node` and `runner_up` what came second; a shortage says why in `rule`.
    """

    line: int
    route: str
    node: str
    quantity: int
    rule: str
    runner_up: str = ""


class Considered(Struct, frozen=True, gc=False):
    """A candidate as it looked at the decision: units available to this order at the node."""

    line: int
    node: str
    available: int


class SourcingDecided(Struct, frozen=True, gc=False, tag="sourcing.decided", omit_defaults=True):
    """Where each line comes from, why, and what else was considered (kept where there was a choice or a shortage).

    `decided_by` is the outside service that decided; what it considered is in the delivery that asked it.
    """

    order: str
    legs: tuple[Leg, ...]
    considered: tuple[Considered, ...] = ()
    decided_by: str = ""


class ReservationRequested(Struct, frozen=True, gc=False, tag="reservation.requested"):
    """Stock is to be reserved for the order's stock legs."""

    order: str


class Reservation(Struct, frozen=True, gc=False, omit_defaults=True):
    """Units held for an order line at a node; `expires_at` 0 never expires. `kind` is soft until released. `claim` is
    what they are called where the inventory is held, if that is not here."""

    line: int
    node: str
    sku: str
    quantity: int
    kind: str = "soft"
    expires_at: int = 0
    claim: str = ""


class ReservationDecided(Struct, frozen=True, gc=False, tag="reservation.decided", omit_defaults=True):
    """Units were reserved; `source` is the bucket they came from: sourcing, backordered or on_order."""

    order: str
    reservations: tuple[Reservation, ...]
    source: str = "sourcing"


class ReservationExpired(Struct, frozen=True, gc=False, tag="reservation.expired"):
    """Soft reservations ran out; their units are open again and their stock is free."""

    order: str
    reservations: tuple[Reservation, ...]


class ReservationAsked(Struct, frozen=True, gc=False, tag="reservation.asked"):
    """Whoever holds the inventory is asked to reserve what the order reserved here; nothing of it goes before."""

    order: str
    claim: str
    lines: tuple[HeldLine, ...]


class ReservationConfirmed(Struct, frozen=True, gc=False, tag="reservation.confirmed"):
    """Whoever holds the inventory has reserved a claim."""

    order: str
    claim: str


class ReservationRefused(Struct, frozen=True, gc=False, tag="reservation.refused", omit_defaults=True):
    """A claim came to nothing: what was still reserved under it (`lines`) is open again, and sourced anew from
    `retry_at` (ms) on.

    `reason` is `short` where the inventory had not enough, `unanswered: …` where nobody said what became of the call,
    `missing` where what was reserved is there no more. `withheld` are (node, item, units) that are now known to be
    kept for others. `call` is the key of the one that gives back what may be reserved all the same, if there is one.
    """

    order: str
    claim: str
    reason: str
    lines: tuple[HeldLine, ...]
    retry_at: int
    withheld: tuple[tuple[str, str, int], ...] = ()
    call: str = ""


class ReservationGivenUp(Struct, frozen=True, gc=False, tag="reservation.given_up"):
    """Units of a claim are not wanted any more (`lines`); whoever holds the inventory is told what is left of it, by
    the delivery `call`."""

    order: str
    claim: str
    lines: tuple[HeldLine, ...]
    call: str


class ReservationsAsked(Struct, frozen=True, gc=False, tag="reservations.asked"):
    """Whoever holds the inventory is asked for all that is reserved there, to be held against what is reserved here."""

    request: str


class ReservationsReconciled(Struct, frozen=True, gc=False, tag="reservations.reconciled", omit_defaults=True):
    """The reservations of whoever holds the inventory were held against those here.

    `orphans` are reserved there and wanted by nobody here, and are given back; `missing` are claims that are not
    there though they were confirmed. `elsewhere` are (node, item, units kept for others) where that is news. `calls`
    are the keys of those that give orphans back.
    """

    request: str
    orphans: tuple[ReservedUnits, ...] = ()
    missing: tuple[str, ...] = ()
    elsewhere: tuple[tuple[str, str, int], ...] = ()
    calls: tuple[str, ...] = ()


class PromiseRequested(Struct, frozen=True, gc=False, tag="promise.requested", omit_defaults=True):
    """The order needs a promise date. `request` is the key of the delivery that asks an outside service for it."""

    order: str
    request: str = ""


class PromiseUnanswered(Struct, frozen=True, gc=False, tag="promise.unanswered"):
    """An outside service gave no date in answer to `request`; the one that the calendars allow holds."""

    order: str
    request: str
    reason: str


class PromiseDecided(Struct, frozen=True, gc=False, tag="promise.decided"):
    """The delivery date told to the customer: first promise or re-promise; `lines` are (line, instant)."""

    order: str
    promised_at: int
    lines: tuple[tuple[int, int], ...]


class ReleaseRequested(Struct, frozen=True, gc=False, tag="release.requested", omit_defaults=True):
    """The order's reserved units are to be released. `request` is the key of the delivery that asks an outside service
    whether they may."""

    order: str
    request: str = ""


class ReleaseUnanswered(Struct, frozen=True, gc=False, tag="release.unanswered"):
    """An outside service gave no answer to `request`, or none that there is anything left to do about."""

    order: str
    request: str
    reason: str


class FulfillmentPlan(Struct, frozen=True, gc=False):
    """What one warehouse is to ship for an order in one parcel; the reservation of its lines is now hard."""

    id: str
    node: str
    carrier: str
    lines: tuple[PickLine, ...]


class ReleaseDecided(Struct, frozen=True, gc=False, tag="release.decided", omit_defaults=True):
    """Fulfillment orders were created and instructed, as an outside service allowed in answer to `request` if any."""

    order: str
    fulfillment_orders: tuple[FulfillmentPlan, ...]
    request: str = ""


class GoodsPicked(Struct, frozen=True, gc=False, tag="fulfillment.picked"):
    """The warehouse picked (`stage` picked) or packed (`stage` packed) a fulfillment order."""

    order: str
    fulfillment_order: str
    stage: str


class UnitsShorted(Struct, frozen=True, gc=False, tag="fulfillment.shorted"):
    """The warehouse could not find these units: (order line, units). They are open again, the belief is corrected."""

    order: str
    fulfillment_order: str
    lines: tuple[tuple[int, int], ...]


class GoodsShipped(Struct, frozen=True, gc=False, tag="shipment.shipped", omit_defaults=True):
    """A parcel left the warehouse; `lines` are (order line, units), `freight_minor` what the carrier charges."""

    order: str
    shipment: str
    fulfillment_order: str
    node: str
    lines: tuple[tuple[int, int], ...]
    freight_minor: int
    sequence: int = 0


class ShipmentLoaded(Struct, frozen=True, gc=False, tag="shipment.loaded"):
    """A parcel that left, and was billed, before the log begins is on its way; `lines` are (order line, units)."""

    order: str
    shipment: str
    node: str
    carrier: str
    shipped_at: int
    lines: tuple[tuple[int, int], ...]


class ShipmentMilestoneReached(Struct, frozen=True, gc=False, tag="shipment.milestone"):
    """The carrier reported a milestone short of delivery, which happened `at`."""

    order: str
    shipment: str
    milestone: str
    at: int


class MilestonePended(Struct, frozen=True, gc=False, tag="shipment.milestone_pended"):
    """A carrier was faster than the warehouse's message: the milestone waits for the shipment's confirmation."""

    order: str
    shipment: str
    milestone: str
    at: int


class ShipmentDelivered(Struct, frozen=True, gc=False, tag="shipment.delivered"):
    """The customer has the parcel, since `at`."""

    order: str
    shipment: str
    at: int


class InvoiceCreated(Struct, frozen=True, gc=False, tag="invoice.created"):
    """A shipment was billed; `lines` are (order line, units, unit price)."""

    order: str
    invoice: str
    shipment: str
    lines: tuple[tuple[int, int, int], ...]
    amount_minor: int


class InvoicePosted(Struct, frozen=True, gc=False, tag="invoice.posted"):
    """The ERP confirmed an invoice or a credit note."""

    order: str
    document: str


class CreditPended(Struct, frozen=True, gc=False, tag="credit.pended"):
    """A credit waits until the units that it is about are billed."""

    order: str
    credit: str
    line: int
    quantity: int


class CreditReferred(Struct, frozen=True, gc=False, tag="credit.referred"):
    """A credit for an order that left memory: the ERP was asked for its facts."""

    order: str
    credit: str
    line: int
    quantity: int


class CreditIssued(Struct, frozen=True, gc=False, tag="credit.issued", omit_defaults=True):
    """Billed units were credited, once. `remainder` are units asked for that will never be billed: not credited."""

    order: str
    credit: str
    line: int
    quantity: int
    amount_minor: int
    remainder: int = 0


class CancelledUnits(Struct, frozen=True, gc=False, omit_defaults=True):
    """Units of a line taken out of a bucket; `node` where they were reserved or backordered."""

    line: int
    bucket: str
    quantity: int
    node: str = ""


class CreditRejected(Struct, frozen=True, gc=False, tag="credit.rejected"):
    """The ERP's facts do not cover a credit that was referred to it."""

    order: str
    credit: str
    reason: str


class OrderCancelled(Struct, frozen=True, gc=False, tag="order.cancelled", omit_defaults=True):
    """Units were cancelled, by the customer or by the company; `credit` is the credit that took them back, if any."""

    order: str
    by: str
    reason: str
    units: tuple[CancelledUnits, ...]
    credit: str = ""


class OrderClosed(Struct, frozen=True, gc=False, tag="order.closed"):
    """Every unit is terminal and billed, the return window is over: the order leaves memory."""

    order: str


# --- stock and purchasing


class StockLoaded(Struct, frozen=True, gc=False, tag="stock.loaded", omit_defaults=True):
    """Opening stock of a warehouse; `quarantined` is in the building and not for sale."""

    node: str
    lines: tuple[StockLine, ...]
    quarantined: tuple[StockLine, ...] = ()


class StockAdjusted(Struct, frozen=True, gc=False, tag="stock.adjusted", omit_defaults=True):
    """The belief about a warehouse's stock was corrected by a signed quantity. `elsewhere` are units of it that whoever
    holds the inventory had told of before: they were kept for others, and are gone now."""

    node: str
    sku: str
    quantity: int
    reason: str
    sequence: int = 0
    elsewhere: int = 0


class StockCounted(Struct, frozen=True, gc=False, tag="stock.counted", omit_defaults=True):
    """A count was taken at the warehouse's movement `sequence`; `lines` are (item, counted, correction). `elsewhere`
    are (item, units) of what is missing, as in `StockAdjusted`."""

    node: str
    sequence: int
    lines: tuple[tuple[str, int, int], ...]
    elsewhere: tuple[tuple[str, int], ...] = ()


class Peg(Struct, frozen=True, gc=False):
    """Units of a purchase order line that are meant for a backordered order line."""

    order: str
    line: int
    quantity: int


class PurchaseOrderCreated(Struct, frozen=True, gc=False, tag="purchase_order.created", omit_defaults=True):
    """Goods were ordered from a supplier; `position` is the inventory position seen, `eta` the expected instant.

    `created_at` (ms) is set where that was before the log begins; its lines are what was still due then.
    """

    purchase_order: str
    supplier: str
    node: str
    eta: int
    lines: tuple[PurchaseLine, ...]
    pegs: tuple[Peg, ...]
    position: int
    cost_minor: int
    created_at: int = 0


class PurchaseOrderAcknowledged(Struct, frozen=True, gc=False, tag="purchase_order.acknowledged", omit_defaults=True):
    """The supplier confirmed, with its own date, or changed it for the `revision`-th time."""

    purchase_order: str
    eta: int
    revision: int = 0


class PurchaseOrderRejected(Struct, frozen=True, gc=False, tag="purchase_order.rejected"):
    """The supplier will not deliver; pegged demand is unpegged and waits in the backorder queue."""

    purchase_order: str
    reason: str


class GoodsReceived(Struct, frozen=True, gc=False, tag="purchase_order.received", omit_defaults=True):
    """Purchased goods are on the shelf."""

    purchase_order: str
    receipt: str
    node: str
    lines: tuple[StockLine, ...]
    sequence: int = 0


# --- deliveries


class DeliveryQueued(Struct, frozen=True, gc=False, tag="delivery.queued"):
    """The delivery waits in its gateway's send queue; it is sent by a later step."""

    delivery: str
    queued: Delivery


class DeliveryDispatched(Struct, frozen=True, gc=False, tag="delivery.dispatched"):
    """Attempt `attempt` of a delivery left the send queue; this step hands it over."""

    delivery: str
    attempt: int


class BreakerOpened(Struct, frozen=True, gc=False, tag="breaker.opened"):
    """A gateway's breaker opened until `until` (ms): of `attempts` looked at, `failed` failed and `slow` were slow."""

    gateway: str
    until: int
    attempts: int
    failed: int
    slow: int


class BreakerHalfOpened(Struct, frozen=True, gc=False, tag="breaker.half_opened"):
    """A gateway's breaker lets trials through."""

    gateway: str


class BreakerClosed(Struct, frozen=True, gc=False, tag="breaker.closed"):
    """The trials went well; a gateway's breaker is closed again."""

    gateway: str


class DeliverySucceeded(Struct, frozen=True, gc=False, tag="delivery.succeeded"):
    """The counterpart took the delivery."""

    delivery: str


class DeliveryFailed(Struct, frozen=True, gc=False, tag="delivery.failed"):
    """An attempt failed or its outcome is unknown; it is tried again at `retry_at`."""

    delivery: str
    attempt: int
    outcome: str
    reason: str
    retry_at: int


class DeliveryRetried(Struct, frozen=True, gc=False, tag="delivery.retried"):
    """The delivery was sent again, same key, as attempt `attempt`."""

    delivery: str
    attempt: int


class DeliveryDeadLettered(Struct, frozen=True, gc=False, tag="delivery.dead_lettered", omit_defaults=True):
    """The delivery was given up and waits, visibly, for somebody to decide.

    `outcome` is `refused` where the counterpart answered so, `unsent` where the last attempt never left.
    """

    delivery: str
    attempts: int
    reason: str
    outcome: str = ""


class DeliveryRedriven(Struct, frozen=True, gc=False, tag="delivery.redriven"):
    """A dead letter was sent again on somebody's decision."""

    delivery: str
    actor: str


class DeliveryExpired(Struct, frozen=True, gc=False, tag="delivery.expired"):
    """Nobody sent a dead letter again in its time: it can no longer be, and stays visible as what was never done."""

    delivery: str


class DeliveryLapsed(Struct, frozen=True, gc=False, tag="delivery.lapsed", omit_defaults=True):
    """A question that could not be asked in its time is dropped: the next one asks anew, and nobody need look at it.

    `outcome` is `refused` where the counterpart answered so, `unsent` where the last attempt never left.
    """

    delivery: str
    attempts: int
    reason: str
    outcome: str = ""


class DeliveryHedged(Struct, frozen=True, gc=False, tag="delivery.hedged"):
    """No answer yet: attempt `attempt` was sent beside the one that waits for it."""

    delivery: str
    attempt: int


class ReleaseWithdrawn(Struct, frozen=True, gc=False, tag="release.withdrawn"):
    """A warehouse will not ship a fulfillment order: its units are to be sourced again, elsewhere."""

    order: str
    fulfillment_order: str
    node: str
    reason: str


class CancellationRequested(Struct, frozen=True, gc=False, tag="release.cancellation_requested"):
    """A warehouse that may have been told to ship is asked not to."""

    order: str
    fulfillment_order: str


class CancellationRefused(Struct, frozen=True, gc=False, tag="release.cancellation_refused"):
    """It is too late: the warehouse ships."""

    order: str
    fulfillment_order: str


class PurchaseOrderWithdrawn(Struct, frozen=True, gc=False, tag="purchase_order.withdrawn"):
    """A supplier will not deliver a purchase order: what it was meant for is unpegged, and bought elsewhere."""

    purchase_order: str
    reason: str


class PurchaseCancellationRequested(Struct, frozen=True, gc=False, tag="purchase_order.cancellation_requested"):
    """A supplier that may have a purchase order is asked not to deliver it."""

    purchase_order: str


class PurchaseCancellationRefused(Struct, frozen=True, gc=False, tag="purchase_order.cancellation_refused"):
    """It is too late: the supplier delivers."""

    purchase_order: str


class InterventionBegan(Struct, frozen=True, gc=False, tag="intervention.began"):
    """Somebody intervened, for a reason and at a cost."""

    intervention: str
    kind: str
    actor: str
    cause: str
    cost_minor: int


class InterventionEnded(Struct, frozen=True, gc=False, tag="intervention.ended"):
    """An intervention is over."""

    intervention: str


class StatusAsked(Struct, frozen=True, gc=False, tag="status.asked"):
    """A silent counterpart is asked, for the `times`-th time, what has become of `subject`."""

    subject: str
    order: str
    times: int


class StatusReported(Struct, frozen=True, gc=False, tag="status.reported"):
    """A counterpart said what has become of `subject`: working, done or unknown."""

    subject: str
    order: str
    status: str


class OrderRepeated(Struct, frozen=True, gc=False, tag="status.repeated"):
    """The counterpart knew nothing of `subject`: it is sent again, with the same key."""

    subject: str
    order: str


class TicketOpened(Struct, frozen=True, gc=False, tag="ticket.opened"):
    """A counterpart stays silent about `subject`: somebody has to look."""

    subject: str
    order: str
    reason: str


Event = (
    NetworkDefined
    | SourcingUnanswered
    | AvailabilityPublished
    | MarketplaceUnitsRefused
    | ItemsDefined
    | PoliciesDefined
    | ReplenishmentDefined
    | OrderCaptured
    | OrderHeld
    | OrderHoldReleased
    | SourcingRequested
    | SourcingDecided
    | ReservationRequested
    | ReservationDecided
    | ReservationExpired
    | ReservationAsked
    | ReservationConfirmed
    | ReservationRefused
    | ReservationGivenUp
    | ReservationsAsked
    | ReservationsReconciled
    | PromiseRequested
    | PromiseUnanswered
    | PromiseDecided
    | ReleaseRequested
    | ReleaseUnanswered
    | ReleaseDecided
    | GoodsPicked
    | UnitsShorted
    | GoodsShipped
    | ShipmentLoaded
    | ShipmentMilestoneReached
    | MilestonePended
    | ShipmentDelivered
    | InvoiceCreated
    | InvoicePosted
    | CreditPended
    | CreditReferred
    | CreditIssued
    | CreditRejected
    | OrderCancelled
    | OrderClosed
    | StockLoaded
    | StockAdjusted
    | StockCounted
    | PurchaseOrderCreated
    | PurchaseOrderAcknowledged
    | PurchaseOrderRejected
    | GoodsReceived
    | DeliveryQueued
    | DeliveryDispatched
    | DeliverySucceeded
    | DeliveryFailed
    | DeliveryRetried
    | DeliveryDeadLettered
    | DeliveryRedriven
    | DeliveryExpired
    | DeliveryHedged
    | DeliveryLapsed
    | BreakerOpened
    | BreakerHalfOpened
    | BreakerClosed
    | InterventionBegan
    | InterventionEnded
    | ReleaseWithdrawn
    | CancellationRequested
    | CancellationRefused
    | PurchaseOrderWithdrawn
    | PurchaseCancellationRequested
    | PurchaseCancellationRefused
    | StatusAsked
    | StatusReported
    | OrderRepeated
    | TicketOpened
)
"""Everything that can happen, by stored type name."""
