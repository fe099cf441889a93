"""What the engine asks of outside parties, and the delivery that carries the asking."""

from __future__ import annotations

from msgspec import Struct

__all__ = [
    "AskOrderFacts",
    "AskStatus",
    "CreatePurchaseOrder",
    "Delivery",
    "Effect",
    "PickLine",
    "PostCredit",
    "PostInvoice",
    "PurchaseLine",
    "ReleaseToWarehouse",
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


class AskStatus(Struct, frozen=True, gc=False, tag="partner.ask_status", omit_defaults=True):
    """Ask a counterpart of `kind` what has become of an order, a purchase order or a parcel (`subject`).

    It says again what it said of it, and reports that it is at work, done, or knows nothing of it.
    """

    subject: str
    kind: str
    order: str


Effect = ReleaseToWarehouse | CreatePurchaseOrder | PostInvoice | PostCredit | AskOrderFacts | AskStatus


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
