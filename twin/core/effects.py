"""What the engine asks of outside parties, and the delivery that carries the asking."""

from __future__ import annotations

from msgspec import Struct

__all__ = [
    "AskOrderFacts",
    "AskPromise",
    "AskRelease",
    "AskReservations",
    "AskSourcing",
    "AskStatus",
    "AskedCandidate",
    "AskedDate",
    "AskedLine",
    "AvailableUnits",
    "CancelPurchaseOrder",
    "CancelRelease",
    "CreatePurchaseOrder",
    "Delivery",
    "Effect",
    "HeldLine",
    "PickLine",
    "PostCredit",
    "PostInvoice",
    "PublishAvailability",
    "PurchaseLine",
    "RefuseOrderUnits",
    "ReleaseToWarehouse",
    "ReleaseUnits",
    "ReserveUnits",
]


class PickLine(Struct, frozen=True, gc=False):
    """One line of a warehouse instruction: which order line, which item, how many units."""

    line: int
    sku: str
    quantity: int


class ReleaseToWarehouse(Struct, frozen=True, gc=False, tag="warehouse.release", omit_defaults=True):
    """Pick, pack and ship (X12 940). Carries no price, cost, margin or credit data."""

    fulfillment_order: str
    order: str
    node: str
    carrier: str
    region: str
    lines: tuple[PickLine, ...]


class PurchaseLine(Struct, frozen=True, gc=False):
    """One line of a purchase order."""

    sku: str
    quantity: int


class CreatePurchaseOrder(Struct, frozen=True, gc=False, tag="supplier.purchase_order", omit_defaults=True):
    """Buy goods from a supplier, to be received at `node` (X12 850).

    A drop-ship order names the order line it is for, and who brings it to which customer in which region; it carries
    no price that the customer pays.
    """

    purchase_order: str
    supplier: str
    node: str
    lines: tuple[PurchaseLine, ...]
    order: str = ""
    line: int = 0
    customer: str = ""
    region: str = ""
    carrier: str = ""


class PostInvoice(Struct, frozen=True, gc=False, tag="erp.invoice", omit_defaults=True):
    """Post one shipment's invoice in the ERP; `lines` are (order line, quantity, unit price in minor units)."""

    invoice: str
    order: str
    shipment: str
    customer: str
    lines: tuple[tuple[int, int, int], ...]
    amount_minor: int


class PostCredit(Struct, frozen=True, gc=False, tag="erp.credit", omit_defaults=True):
    """Post a credit note in the ERP against an order line that was invoiced."""

    credit: str
    order: str
    line: int
    quantity: int
    amount_minor: int


class AskOrderFacts(Struct, frozen=True, gc=False, tag="erp.order_facts", omit_defaults=True):
    """Ask the ERP what was billed on a line of an order that has left the engine's memory."""

    credit: str
    order: str
    line: int
    quantity: int


class CancelRelease(Struct, frozen=True, gc=False, tag="warehouse.cancel_release"):
    """Do not ship a fulfillment order that may have been released (X12 940, cancellation)."""

    fulfillment_order: str
    order: str
    node: str


class CancelPurchaseOrder(Struct, frozen=True, gc=False, tag="supplier.cancel_order"):
    """Do not deliver a purchase order that may have arrived (X12 860, cancellation)."""

    purchase_order: str
    supplier: str
    node: str


class AskStatus(Struct, frozen=True, gc=False, tag="partner.ask_status", omit_defaults=True):
    """Ask a counterpart of `kind` what has become of an order, a purchase order or a parcel (`subject`).

    It says again what it said of it, and reports that it is at work, done, or knows nothing of it.
    """

    subject: str
    kind: str
    order: str


class AvailableUnits(Struct, frozen=True, gc=False):
    """What a marketplace may sell of one item."""

    sku: str
    units: int


class PublishAvailability(Struct, frozen=True, gc=False, tag="marketplace.availability", omit_defaults=True):
    """One part of a stock feed (X12 846). `snapshot` is the log position it was taken at: a receiver keeps, of each
    item, what has the highest, so that a part that comes late changes nothing."""

    channel: str
    snapshot: int
    lines: tuple[AvailableUnits, ...]


class RefuseOrderUnits(Struct, frozen=True, gc=False, tag="marketplace.refusal", omit_defaults=True):
    """Tell a marketplace which units of a sold order the seller cancels for want of stock; `lines` are (order line,
    units)."""

    channel: str
    order: str
    lines: tuple[tuple[int, int], ...]


class AskedCandidate(Struct, frozen=True, gc=False, omit_defaults=True):
    """A node that could serve a line, as the engine sees it: units available to this order there, known since a count
    or a load at `seen_at` (ms; 0: never) and kept up by what was reported since; promised transit (ms), freight of the
    line shipped alone (minor units), the date (ms) that could be promised if it is in stock (0: past what the calendars
    know), whether the node buys the item to order, and the stage of the breaker before it."""

    node: str
    available: int
    seen_at: int
    transit_ms: int
    cost_minor: int
    promise_at: int
    to_order: bool = False
    health: str = "closed"


class AskedLine(Struct, frozen=True, omit_defaults=True):
    """Units of an order line that need a source, and all nodes that could be one."""

    line: int
    sku: str
    quantity: int
    price_minor: int
    candidates: tuple[AskedCandidate, ...]


class AskSourcing(Struct, frozen=True, tag="decision.source", omit_defaults=True):
    """Ask an outside service where an order's lines come from; times are ms, money is minor units."""

    order: str
    channel: str
    customer: str
    region: str
    requested_at: int
    lines: tuple[AskedLine, ...]
    preferred: str = ""
    split_lines: bool = True
    reject_shortage: bool = False


class AskedDate(Struct, frozen=True, omit_defaults=True):
    """A line that needs a date: where its units come from as (route, node, units), the date (ms) that the calendars
    allow, and the one that the customer was told before (0: none)."""

    line: int
    sku: str
    sources: tuple[tuple[str, str, int], ...]
    earliest_at: int
    promised_at: int = 0


class AskPromise(Struct, frozen=True, tag="decision.promise", omit_defaults=True):
    """Ask an outside service for which dates an order's lines are promised; times are ms."""

    order: str
    channel: str
    customer: str
    region: str
    requested_at: int
    lines: tuple[AskedDate, ...]


class HeldLine(Struct, frozen=True, gc=False):
    """Units of an order line that are reserved at a node."""

    line: int
    sku: str
    node: str
    quantity: int


class AskRelease(Struct, frozen=True, tag="decision.release", omit_defaults=True):
    """Ask an outside service whether an order's reserved units may go to their warehouses; times are ms (0: none)."""

    order: str
    channel: str
    customer: str
    region: str
    requested_at: int
    promised_at: int
    lines: tuple[HeldLine, ...]


class ReserveUnits(Struct, frozen=True, tag="inventory.reserve", omit_defaults=True):
    """Ask whoever holds the inventory to reserve units for an order: all of them or none. `claim` names what is
    reserved, and is the key of the call."""

    claim: str
    order: str
    lines: tuple[HeldLine, ...]


class ReleaseUnits(Struct, frozen=True, tag="inventory.release", omit_defaults=True):
    """Tell whoever holds the inventory what of a claim is still wanted (`lines`, none: nothing). It says what is to be
    left, not what is to go, so that it may come twice, or late, and frees nothing twice."""

    claim: str
    order: str
    lines: tuple[HeldLine, ...] = ()


class AskReservations(Struct, frozen=True, tag="inventory.ask_reservations", omit_defaults=True):
    """Ask whoever holds the inventory for all that is reserved there; `request` is the key of the question."""

    request: str


Effect = (
    ReleaseToWarehouse
    | CreatePurchaseOrder
    | PostInvoice
    | PostCredit
    | AskOrderFacts
    | AskStatus
    | CancelRelease
    | CancelPurchaseOrder
    | PublishAvailability
    | RefuseOrderUnits
    | AskSourcing
    | AskPromise
    | AskRelease
    | ReserveUnits
    | ReleaseUnits
    | AskReservations
)


class Delivery(Struct, frozen=True, gc=False, omit_defaults=True):
    """One effect on its way to one gateway.

    The same `key` twice must cause one act. `correlation` is the order (or purchase order) it is about,
    `criticality` its business class, `deadline` the instant (ms) after which the answer is of no use, `expires_at`
    the one (ms) at which this attempt is given up: a counterpart may drop it then, unread (CloudEvents `expirytime`).
    """

    key: str
    gateway: str
    effect: Effect
    correlation: str
    criticality: str = ""
    attempt: int = 1
    deadline: int = 0
    expires_at: int = 0
