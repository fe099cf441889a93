"""Which fold each event has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twin.core import events as ev
from twin.measures import fold_asking, fold_holding, fold_orders, fold_stock

if TYPE_CHECKING:
    from twin.measures.facts import Facts

__all__ = ["FOLDS"]


def _delivery(facts: Facts, event: Any, now: int) -> None:
    facts.messages.fold(facts, event, now)


FOLDS: Final[dict[type, Callable[[Any, Any, int], None] | None]] = {
    ev.NetworkDefined: fold_stock.network_defined,
    ev.ItemsDefined: fold_stock.items_defined,
    ev.PoliciesDefined: fold_stock.policies_defined,
    ev.ReplenishmentDefined: fold_stock.replenishment_defined,
    ev.AvailabilityPublished: fold_stock.availability_published,
    ev.MarketplaceUnitsRefused: fold_orders.marketplace_units_refused,
    ev.OrderCaptured: fold_orders.order_captured,
    ev.OrderHeld: fold_orders.order_held,
    ev.OrderHoldReleased: fold_orders.order_hold_released,
    ev.SourcingRequested: fold_asking.decision_requested,
    ev.SourcingUnanswered: None,
    ev.SourcingDecided: fold_orders.sourcing_decided,
    ev.ReservationRequested: None,
    ev.ReservationDecided: fold_orders.reservation_decided,
    ev.ReservationExpired: fold_orders.reservation_expired,
    ev.ReservationAsked: fold_holding.reservation_asked,
    ev.ReservationConfirmed: fold_holding.reservation_confirmed,
    ev.ReservationRefused: fold_holding.reservation_refused,
    ev.ReservationGivenUp: fold_holding.reservation_given_up,
    ev.ReservationsAsked: fold_holding.reservations_asked,
    ev.ReservationsReconciled: fold_holding.reservations_reconciled,
    ev.PromiseRequested: fold_asking.decision_requested,
    ev.PromiseUnanswered: None,
    ev.PromiseDecided: fold_orders.promise_decided,
    ev.ReleaseRequested: fold_asking.decision_requested,
    ev.ReleaseUnanswered: None,
    ev.ReleaseDecided: fold_orders.release_decided,
    ev.GoodsPicked: fold_orders.goods_picked,
    ev.UnitsShorted: fold_orders.units_shorted,
    ev.GoodsShipped: fold_orders.goods_shipped,
    ev.ShipmentLoaded: fold_orders.shipment_loaded,
    ev.ShipmentMilestoneReached: fold_orders.milestone_reached,
    ev.MilestonePended: None,
    ev.ShipmentDelivered: fold_orders.shipment_delivered,
    ev.InvoiceCreated: fold_orders.invoice_created,
    ev.InvoicePosted: fold_orders.invoice_posted,
    ev.CreditPended: None,
    ev.CreditReferred: fold_orders.credit_referred,
    ev.CreditIssued: fold_orders.credit_issued,
    ev.CreditRejected: None,
    ev.OrderCancelled: fold_orders.order_cancelled,
    ev.OrderClosed: fold_orders.order_closed,
    ev.StockLoaded: fold_stock.stock_loaded,
    ev.StockAdjusted: fold_stock.stock_adjusted,
    ev.StockCounted: fold_stock.stock_counted,
    ev.PurchaseOrderCreated: fold_stock.purchase_order_created,
    ev.PurchaseOrderAcknowledged: fold_stock.purchase_order_acknowledged,
    ev.PurchaseOrderRejected: fold_stock.purchase_order_rejected,
    ev.GoodsReceived: fold_stock.goods_received,
    ev.DeliveryQueued: _delivery,
    ev.DeliveryDispatched: _delivery,
    ev.DeliverySucceeded: _delivery,
    ev.DeliveryFailed: _delivery,
    ev.DeliveryRetried: _delivery,
    ev.DeliveryDeadLettered: _delivery,
    ev.DeliveryRedriven: _delivery,
    ev.DeliveryExpired: _delivery,
    ev.DeliveryHedged: _delivery,
    ev.DeliveryLapsed: _delivery,
    ev.BreakerOpened: None,
    ev.BreakerHalfOpened: None,
    ev.BreakerClosed: None,
    ev.InterventionBegan: fold_orders.intervention_began,
    ev.InterventionEnded: None,
    ev.ReleaseWithdrawn: fold_orders.release_withdrawn,
    ev.CancellationRequested: fold_orders.cancellation_requested,
    ev.CancellationRefused: None,
    ev.PurchaseOrderWithdrawn: fold_stock.purchase_order_withdrawn,
    ev.PurchaseCancellationRequested: fold_stock.purchase_cancellation_requested,
    ev.PurchaseCancellationRefused: None,
    ev.StatusAsked: fold_orders.status_asked,
    ev.StatusReported: None,
    ev.OrderRepeated: fold_orders.order_repeated,
    ev.TicketOpened: fold_orders.ticket_opened,
}
"""Event type -> its fold; None for a request, or a note that no measure is made of. Every event is listed."""
