"""Requests to the engine; each may be refused.

All but `Wake` come from outside and carry the CloudEvents attributes `id`, `source` and `time` (when it happened
at the source, ms); `causation` is the id of the message that led to it, `criticality` the business class of the
order it is about. `(source, id)` is what duplicates are recognized by.
"""

from __future__ import annotations

from msgspec import Struct

from twin.core.master import Carrier, Channel, Item, Lane, Policies, Replenishment, Supplier, Warehouse

__all__ = [
    "AcknowledgeDelivery",
    "AcknowledgePurchaseOrder",
    "AdjustStock",
    "AnswerReservation",
    "BeginIntervention",
    "CancelOrder",
    "CaptureOrder",
    "Command",
    "ConfirmCancellation",
    "ConfirmDropShipment",
    "ConfirmInvoice",
    "ConfirmPick",
    "ConfirmPurchaseCancellation",
    "ConfirmShipment",
    "CountStock",
    "DecidePromise",
    "DecideRelease",
    "DecideSourcing",
    "DecidedLeg",
    "DefineItems",
    "DefineNetwork",
    "DefinePolicies",
    "DefineReplenishment",
    "EndIntervention",
    "HoldOrder",
    "IssueCredit",
    "LoadOrder",
    "LoadPurchaseOrder",
    "LoadStock",
    "LoadedParcel",
    "OrderFacts",
    "OrderLine",
    "PublishMilestone",
    "ReceiveGoods",
    "RedriveDelivery",
    "ReleaseHold",
    "ReportReservations",
    "ReportStatus",
    "ReservedUnits",
    "StockLine",
    "Wake",
    "subject",
]


class _Envelope(Struct, frozen=True, gc=False, omit_defaults=True):
    id: str
    source: str
    time: int


class OrderLine(Struct, frozen=True, gc=False):
    """A wanted item: line number, quantity in base units, unit price in minor units."""

    line: int
    sku: str
    quantity: int
    price_minor: int


class StockLine(Struct, frozen=True, gc=False):
    """An item and a number of units."""

    sku: str
    quantity: int


class DefineNetwork(_Envelope, frozen=True, tag="network.define"):
    """Warehouses, suppliers, lanes, channels and carriers; replaces those with the same id."""

    currency: str
    warehouses: tuple[Warehouse, ...] = ()
    suppliers: tuple[Supplier, ...] = ()
    lanes: tuple[Lane, ...] = ()
    channels: tuple[Channel, ...] = ()
    carriers: tuple[Carrier, ...] = ()


class DefineItems(_Envelope, frozen=True, tag="items.define"):
    """Adds items to the catalog or replaces them."""

    items: tuple[Item, ...]


class DefinePolicies(_Envelope, frozen=True, tag="policies.define"):
    """Sets the business's rules from now on."""

    policies: Policies


class DefineReplenishment(_Envelope, frozen=True, tag="replenishment.define"):
    """Sets how items are bought for warehouses; replaces the rules of the same (node, sku)."""

    rules: tuple[Replenishment, ...]


class LoadStock(_Envelope, frozen=True, tag="stock.load"):
    """Opening stock of one warehouse, added to what the engine believes is there; `quarantined` is not for sale."""

    node: str
    lines: tuple[StockLine, ...]
    quarantined: tuple[StockLine, ...] = ()


class LoadedParcel(Struct, frozen=True, gc=False):
    """A parcel that left `node` at `shipped_at` (ms) and has not arrived; `lines` are (order line, units)."""

    shipment: str
    node: str
    carrier: str
    shipped_at: int
    lines: tuple[tuple[int, int], ...]


class LoadOrder(_Envelope, frozen=True, tag="order.load"):
    """An order that was open before the log begins: captured at `captured_at` (ms), with the units still to deliver.

    Those of them that are in `parcels` are shipped and billed already, the others are sourced.

    `promised` are (line, instant) as the customer was told before; a line without one was told nothing. It was
    released `releases` times: a warehouse knows fulfillment orders by their number, and would take one for another.
    """

    order: str
    channel: str
    customer: str
    region: str
    captured_at: int
    requested_at: int
    lines: tuple[OrderLine, ...]
    promised: tuple[tuple[int, int], ...] = ()
    criticality: str = ""
    parcels: tuple[LoadedParcel, ...] = ()
    releases: int = 0


class LoadPurchaseOrder(_Envelope, frozen=True, tag="purchase_order.load"):
    """A purchase order that was open before the log begins: created at `created_at` (ms), with the units still due.

    `eta` (ms) is the supplier's word; 0 where there was none. The supplier is told nothing: it has the order.
    """

    purchase_order: str
    supplier: str
    node: str
    created_at: int
    lines: tuple[StockLine, ...]
    eta: int = 0


class CaptureOrder(_Envelope, frozen=True, tag="order.capture"):
    """A customer's order. `requested_at` (ms) is the date the customer asked for; `hold` keeps it from release."""

    order: str
    channel: str
    customer: str
    region: str
    requested_at: int
    lines: tuple[OrderLine, ...]
    criticality: str = ""
    hold: bool = False
    causation: str = ""


class HoldOrder(_Envelope, frozen=True, tag="order.hold"):
    """Stop the release of what is not yet released."""

    order: str
    reason: str
    criticality: str = ""
    causation: str = ""


class ReleaseHold(_Envelope, frozen=True, tag="order.release_hold"):
    """Let a held order go on."""

    order: str
    criticality: str = ""
    causation: str = ""


class CancelOrder(_Envelope, frozen=True, tag="order.cancel"):
    """Cancel what is not yet released to a warehouse; `lines` empty means all lines. `by` is customer or company."""

    order: str
    by: str
    reason: str = ""
    lines: tuple[int, ...] = ()
    criticality: str = ""
    causation: str = ""


class OrderFacts(Struct, frozen=True, gc=False):
    """What the ERP knows of a billed line: units billed and credited so far, unit price in minor units."""

    billed: int
    credited: int
    price_minor: int


class IssueCredit(_Envelope, frozen=True, tag="credit.issue"):
    """Credit `quantity` units of an order line. `facts` come from the ERP when the order has left memory."""

    credit: str
    order: str
    line: int
    quantity: int
    facts: OrderFacts | None = None
    criticality: str = ""
    causation: str = ""


class ConfirmPick(_Envelope, frozen=True, tag="warehouse.confirm_pick"):
    """The warehouse has picked (`stage` picked) or packed (`stage` packed) a fulfillment order."""

    fulfillment_order: str
    order: str
    node: str
    stage: str
    criticality: str = ""
    causation: str = ""


class ConfirmShipment(_Envelope, frozen=True, tag="warehouse.confirm_shipment"):
    """Goods have left the warehouse (X12 945); `lines` are (order line, units), fewer than asked when short.

    `sequence` numbers the warehouse's stock movements, so that counts can be reconciled with what is on its way.
    """

    shipment: str
    fulfillment_order: str
    order: str
    node: str
    lines: tuple[tuple[int, int], ...]
    sequence: int = 0
    criticality: str = ""
    causation: str = ""


class PublishMilestone(_Envelope, frozen=True, tag="carrier.milestone"):
    """A shipment's milestone (X12 214): picked_up, in_transit, delayed, out_for_delivery, delivered, exception."""

    shipment: str
    order: str
    milestone: str
    criticality: str = ""
    causation: str = ""


class AcknowledgePurchaseOrder(_Envelope, frozen=True, tag="supplier.acknowledge"):
    """A supplier's answer (X12 855): `code` is accepted or rejected, `eta` the instant (ms) at the warehouse.

    `revision` counts the changes (X12 865) since the first answer, which is 0.
    """

    purchase_order: str
    code: str
    eta: int
    causation: str = ""
    revision: int = 0


class ReceiveGoods(_Envelope, frozen=True, tag="warehouse.receive"):
    """Purchased goods were put away (X12 944)."""

    receipt: str
    purchase_order: str
    node: str
    lines: tuple[StockLine, ...]
    sequence: int = 0
    causation: str = ""


class AdjustStock(_Envelope, frozen=True, tag="stock.adjust"):
    """A warehouse corrected its stock by a signed quantity, with its reason (X12 947)."""

    node: str
    sku: str
    quantity: int
    reason: str
    sequence: int = 0
    causation: str = ""


class CountStock(_Envelope, frozen=True, tag="stock.count"):
    """Physical units on hand as counted when the warehouse's movement `sequence` was the last one (X12 846)."""

    node: str
    lines: tuple[StockLine, ...]
    sequence: int


class ConfirmDropShipment(_Envelope, frozen=True, tag="supplier.ship_notice"):
    """A supplier sent goods of a drop-ship order to the customer (X12 856): `quantity` units of an order's line."""

    shipment: str
    purchase_order: str
    order: str
    line: int
    quantity: int
    criticality: str = ""
    causation: str = ""


class ConfirmInvoice(_Envelope, frozen=True, tag="erp.confirm_invoice"):
    """The ERP posted an invoice or a credit note; `document` is its id, `delivery` the key that asked for it."""

    document: str
    order: str
    delivery: str
    criticality: str = ""
    causation: str = ""


class AcknowledgeDelivery(_Envelope, frozen=True, tag="delivery.acknowledge"):
    """A gateway's transport answer: `outcome` is succeeded, refused (permanent) or failed (retryable).

    `attempt` is the one that it answers, from 1; 0 stands for the present one. A failed one should not be repeated
    before `retry_after_ms` have passed (HTTP Retry-After).
    """

    delivery: str
    outcome: str
    reason: str = ""
    criticality: str = ""
    causation: str = ""
    attempt: int = 0
    retry_after_ms: int = 0


class ConfirmCancellation(_Envelope, frozen=True, tag="warehouse.confirm_cancellation"):
    """A warehouse will not ship a fulfillment order (`cancelled`), or has shipped or picked it (`too_late`)."""

    fulfillment_order: str
    order: str
    node: str
    outcome: str
    criticality: str = ""
    causation: str = ""


class ConfirmPurchaseCancellation(_Envelope, frozen=True, tag="supplier.confirm_cancellation"):
    """A supplier will not deliver a purchase order (`cancelled`), or is at work on it (`too_late`)."""

    purchase_order: str
    outcome: str
    criticality: str = ""
    causation: str = ""


class DecidedLeg(Struct, frozen=True, gc=False, omit_defaults=True):
    """Units of a line on one route (stock, backorder, replenish, reject) at one node, and why there."""

    line: int
    route: str
    node: str
    quantity: int
    reason: str = ""
    runner_up: str = ""


class DecideSourcing(_Envelope, frozen=True, tag="decision.sourcing"):
    """An outside service's answer to `request`, the key of the delivery that asked where an order's lines come from."""

    request: str
    order: str
    legs: tuple[DecidedLeg, ...]
    criticality: str = ""
    causation: str = ""


class DecidePromise(_Envelope, frozen=True, tag="decision.promised"):
    """An outside service's dates for an order's lines, as (line, instant in ms), in answer to `request`."""

    request: str
    order: str
    lines: tuple[tuple[int, int], ...]
    criticality: str = ""
    causation: str = ""


class DecideRelease(_Envelope, frozen=True, tag="decision.released"):
    """An outside service's word on whether an order may go, in answer to `request`; one that may not is held."""

    request: str
    order: str
    release: bool
    reason: str = ""
    criticality: str = ""
    causation: str = ""


class AnswerReservation(_Envelope, frozen=True, tag="inventory.answer"):
    """The answer of whoever holds the inventory to the call `claim`: `outcome` is reserved, or refused for want of
    stock; `available` are (node, item, units that could be reserved just then)."""

    claim: str
    order: str
    outcome: str
    available: tuple[tuple[str, str, int], ...] = ()
    criticality: str = ""
    causation: str = ""


class ReservedUnits(Struct, frozen=True, gc=False, omit_defaults=True):
    """Units reserved under a claim where the inventory is held, since an instant (ms)."""

    claim: str
    order: str
    line: int
    sku: str
    node: str
    quantity: int
    since: int


class ReportReservations(_Envelope, frozen=True, tag="inventory.report"):
    """All that is reserved where the inventory is held, in answer to `request`: under the engine's claims, and for
    others as (node, item, units)."""

    request: str
    lines: tuple[ReservedUnits, ...]
    others: tuple[tuple[str, str, int], ...] = ()
    causation: str = ""


class BeginIntervention(_Envelope, frozen=True, tag="intervention.begin"):
    """Somebody intervenes: `actor` does `kind` because of `cause`, at a cost; the commands that it takes follow."""

    intervention: str
    kind: str
    actor: str
    cause: str
    cost_minor: int = 0


class EndIntervention(_Envelope, frozen=True, tag="intervention.end"):
    """An intervention is over; the commands that undo it follow."""

    intervention: str


class ReportStatus(_Envelope, frozen=True, tag="partner.report_status"):
    """What a counterpart of `kind` says of an order, purchase order or parcel: working, done or unknown."""

    subject: str
    kind: str
    order: str
    status: str
    criticality: str = ""
    causation: str = ""


class RedriveDelivery(_Envelope, frozen=True, tag="delivery.redrive"):
    """Send a dead letter again; `actor` is who decided it."""

    delivery: str
    actor: str
    causation: str = ""


class Wake(Struct, frozen=True, gc=False, tag="wake"):
    """The engine's own timer `key` is due; the driver feeds it and it is never accepted from outside."""

    key: str


External = (
    DefineNetwork
    | DefineItems
    | DefinePolicies
    | DefineReplenishment
    | LoadStock
    | LoadOrder
    | LoadPurchaseOrder
    | CaptureOrder
    | HoldOrder
    | ReleaseHold
    | CancelOrder
    | IssueCredit
    | ConfirmPick
    | ConfirmShipment
    | PublishMilestone
    | AcknowledgePurchaseOrder
    | ConfirmDropShipment
    | ReceiveGoods
    | AdjustStock
    | CountStock
    | ConfirmInvoice
    | AcknowledgeDelivery
    | RedriveDelivery
    | ReportStatus
    | ConfirmCancellation
    | ConfirmPurchaseCancellation
    | DecideSourcing
    | DecidePromise
    | DecideRelease
    | AnswerReservation
    | ReportReservations
    | BeginIntervention
    | EndIntervention
)
"""Every command that may come from outside."""

Command = External | Wake


def subject(command: Command) -> str:
    """The id of what the command is about: an order, a purchase order, a delivery, a node or a timer."""
    for field in ("order", "purchase_order", "delivery", "node", "key"):
        value = getattr(command, field, None)
        if value is not None:
            return str(value)
    return ""
