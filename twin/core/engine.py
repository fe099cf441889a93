"""The engine: `decide` reads the state and answers, `apply` folds an entry; nothing else writes the state.

One deterministic state machine over one ordered log. The same object runs in the twin and in production; only the
driver and the gateways around it differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twin.core import (
    billing,
    commands,
    compensation,
    deciding,
    delivery,
    drop_shipping,
    events,
    feeds,
    fold_deliveries,
    fold_holding,
    fold_orders,
    fold_stock,
    holding,
    intervening,
    inventory,
    opening,
    ordering,
    purchasing,
    reconciling,
    resupply,
    sending,
    shipping,
    supervision,
)
from twin.core.backorders import serve_waiting
from twin.core.commands import Command, Wake
from twin.core.dedupe import command_key, remember, was_seen
from twin.core.draft import Draft
from twin.core.entry import Entry, Outcome
from twin.core.events import OrderClosed
from twin.core.refusals import CorruptLog, Refusal
from twin.core.state import State
from twin.core.timers import cancel_timer, next_due, set_timer

__all__ = ["Engine"]

# Every decider takes (state, command, now, draft); the tables below dispatch on the exact type.
_DECIDERS: Final[dict[type, Callable[[State, Any, int, Draft], Refusal | None]]] = {
    commands.CaptureOrder: ordering.capture_order,
    commands.HoldOrder: ordering.hold_order,
    commands.ReleaseHold: ordering.release_hold,
    commands.CancelOrder: ordering.cancel_order,
    commands.IssueCredit: billing.issue_credit,
    commands.ConfirmInvoice: billing.confirm_invoice,
    commands.ConfirmPick: shipping.confirm_pick,
    commands.ConfirmShipment: shipping.confirm_shipment,
    commands.PublishMilestone: shipping.publish_milestone,
    commands.AcknowledgePurchaseOrder: purchasing.acknowledge_purchase_order,
    commands.ConfirmDropShipment: drop_shipping.confirm_drop_shipment,
    commands.ReceiveGoods: purchasing.receive_goods,
    commands.AdjustStock: inventory.adjust_stock,
    commands.CountStock: inventory.count_stock,
    commands.LoadStock: inventory.load_stock,
    commands.LoadOrder: opening.load_order,
    commands.LoadPurchaseOrder: opening.load_purchase_order,
    commands.DefineNetwork: inventory.define_network,
    commands.DefineItems: inventory.define_items,
    commands.DefinePolicies: inventory.define_policies,
    commands.DefineReplenishment: inventory.define_replenishment,
    commands.AcknowledgeDelivery: delivery.acknowledge_delivery,
    commands.RedriveDelivery: delivery.redrive_delivery,
    commands.ConfirmCancellation: compensation.confirm_cancellation,
    commands.ConfirmPurchaseCancellation: resupply.confirm_purchase_cancellation,
    commands.DecideSourcing: deciding.decide_sourcing,
    commands.DecidePromise: deciding.decide_promise,
    commands.DecideRelease: deciding.decide_release,
    commands.AnswerReservation: reconciling.answer_reservation,
    commands.ReportReservations: reconciling.report_reservations,
    commands.BeginIntervention: intervening.begin_intervention,
    commands.EndIntervention: intervening.end_intervention,
    commands.ReportStatus: supervision.report_status,
}


def _nothing(state: State, event: Any, now: int) -> None:
    """An event that changes nothing itself: a request, whose decision follows, or an echo of a settled delivery."""


_FOLDS: Final[dict[type, Callable[[State, Any, int], None]]] = {
    events.AvailabilityPublished: _nothing,
    events.MarketplaceUnitsRefused: _nothing,
    events.NetworkDefined: fold_stock.network_defined,
    events.ItemsDefined: fold_stock.items_defined,
    events.PoliciesDefined: fold_stock.policies_defined,
    events.ReplenishmentDefined: fold_stock.replenishment_defined,
    events.StockLoaded: fold_stock.stock_loaded,
    events.StockAdjusted: fold_stock.stock_adjusted,
    events.StockCounted: fold_stock.stock_counted,
    events.PurchaseOrderCreated: fold_stock.purchase_order_created,
    events.PurchaseOrderAcknowledged: fold_stock.purchase_order_acknowledged,
    events.PurchaseOrderRejected: fold_stock.purchase_order_rejected,
    events.GoodsReceived: fold_stock.goods_received,
    events.OrderCaptured: fold_orders.order_captured,
    events.OrderHeld: fold_orders.order_held,
    events.OrderHoldReleased: fold_orders.order_hold_released,
    events.SourcingRequested: fold_orders.sourcing_requested,
    events.SourcingUnanswered: fold_orders.sourcing_unanswered,
    events.SourcingDecided: fold_orders.sourcing_decided,
    events.ReservationRequested: _nothing,
    events.ReservationDecided: fold_orders.reservation_decided,
    events.ReservationExpired: fold_orders.reservation_expired,
    events.ReservationAsked: fold_holding.reservation_asked,
    events.ReservationConfirmed: fold_holding.reservation_confirmed,
    events.ReservationRefused: fold_holding.reservation_refused,
    events.ReservationGivenUp: fold_holding.reservation_given_up,
    events.ReservationsAsked: fold_holding.reservations_asked,
    events.ReservationsReconciled: fold_holding.reservations_reconciled,
    events.PromiseRequested: fold_orders.promise_requested,
    events.PromiseUnanswered: _nothing,
    events.PromiseDecided: fold_orders.promise_decided,
    events.ReleaseRequested: fold_orders.release_requested,
    events.ReleaseUnanswered: fold_orders.release_unanswered,
    events.ReleaseDecided: fold_orders.release_decided,
    events.GoodsPicked: fold_orders.goods_picked,
    events.UnitsShorted: fold_orders.units_shorted,
    events.GoodsShipped: fold_orders.goods_shipped,
    events.ShipmentLoaded: fold_orders.shipment_loaded,
    events.ShipmentMilestoneReached: fold_orders.milestone_reached,
    events.MilestonePended: fold_orders.milestone_pended,
    events.ShipmentDelivered: fold_orders.shipment_delivered,
    events.InvoiceCreated: fold_orders.invoice_created,
    events.InvoicePosted: _nothing,
    events.CreditPended: fold_orders.credit_pended,
    events.CreditReferred: fold_orders.credit_referred,
    events.CreditRejected: fold_orders.credit_rejected,
    events.CreditIssued: fold_orders.credit_issued,
    events.OrderCancelled: fold_orders.order_cancelled,
    events.OrderClosed: fold_orders.order_closed,
    events.DeliveryQueued: fold_deliveries.delivery_queued,
    events.DeliveryDispatched: fold_deliveries.delivery_dispatched,
    events.DeliverySucceeded: fold_deliveries.delivery_succeeded,
    events.DeliveryFailed: fold_deliveries.delivery_failed,
    events.DeliveryRetried: fold_deliveries.delivery_retried,
    events.DeliveryDeadLettered: fold_deliveries.delivery_dead_lettered,
    events.DeliveryRedriven: fold_deliveries.delivery_redriven,
    events.DeliveryExpired: fold_deliveries.delivery_expired,
    events.DeliveryHedged: fold_deliveries.delivery_hedged,
    events.DeliveryLapsed: fold_deliveries.delivery_lapsed,
    events.BreakerOpened: fold_deliveries.breaker_opened,
    events.BreakerHalfOpened: fold_deliveries.breaker_half_opened,
    events.BreakerClosed: fold_deliveries.breaker_closed,
    events.InterventionBegan: intervening.intervention_began,
    events.InterventionEnded: intervening.intervention_ended,
    events.ReleaseWithdrawn: fold_orders.release_withdrawn,
    events.CancellationRequested: _nothing,
    events.CancellationRefused: _nothing,
    events.PurchaseOrderWithdrawn: fold_stock.purchase_order_withdrawn,
    events.PurchaseCancellationRequested: _nothing,
    events.PurchaseCancellationRefused: _nothing,
    events.StatusAsked: supervision.status_asked,
    events.StatusReported: supervision.status_reported,
    events.OrderRepeated: _nothing,
    events.TicketOpened: supervision.ticket_opened,
}


class Engine:
    """The orchestration of one business. Feed it commands in order; ask `next_due` when to feed it a `Wake`."""

    __slots__ = ("state",)

    def __init__(self, state: State | None = None) -> None:
        self.state = State() if state is None else state

    def next_due(self) -> tuple[int, str] | None:
        """The earliest timer as (instant in ms, key), or None. Feed `Wake(key)` at or after that instant."""
        return next_due(self.state.timers)

    def decide(self, command: Command, now: int) -> Outcome:
        """What the command leads to at `now` (ms). Reads the state only.

        A command that was accepted before, within the retention, is refused as a duplicate; one that is older than
        the retention, or than what an earlier and shorter one has left, is refused as expired. Raises `CorruptLog`
        only where the state itself is broken.
        """
        state = self.state
        if now < state.now:
            return Outcome(refusal=Refusal("time_runs_back", f"{now} is before {state.now}"))
        if isinstance(command, Wake):
            return self._wake(command.key, now)
        retention = state.policies.retention_ms
        if was_seen(state.seen, command_key(command.source, command.id), now, retention):
            return Outcome(refusal=Refusal("duplicate", f"'{command.id}' from '{command.source}' was accepted before"))
        if now - command.time >= retention:
            return Outcome(refusal=Refusal("expired", f"it is {now - command.time} ms old; kept are {retention} ms"))
        if command.time <= state.seen.forgotten:
            age = now - state.seen.forgotten
            return Outcome(refusal=Refusal("expired", f"it is {now - command.time} ms old; known are {age} ms"))
        draft = Draft()
        refusal = _DECIDERS[type(command)](state, command, now, draft)
        if refusal is not None:
            return Outcome(refusal=refusal)
        return Outcome(tuple(draft.events), tuple(draft.deliveries))

    def _wake(self, key: str, now: int) -> Outcome:
        state = self.state
        due = state.timers.due.get(key)
        if due is None or due > now:
            return Outcome(refusal=Refusal("not_due", f"no timer '{key}' is due"))
        draft = Draft()
        kind, _, rest = key.partition("/")
        if kind == "review":
            node, _, sku = rest.partition("/")
            purchasing.review(state, node, sku, now, draft)
        elif kind == "serve":
            node, _, sku = rest.partition("/")
            serve_waiting(state, node, sku, now, draft)
        elif kind == "delivery":
            delivery.wake_delivery(state, rest, now, draft)
        elif kind == "dead":
            draft.events.append(events.DeliveryExpired(rest))
        elif kind == "send":
            sending.dispatch(state, rest, now, draft)
        elif kind == "watch":
            supervision.wake_watch(state, rest, now, draft)
        elif kind == "close":
            for order_id in state.closing[rest][: state.policies.close_batch]:
                order = state.orders[order_id]
                if not order.unposted and not order.credits:
                    draft.events.append(OrderClosed(order_id))
        elif kind == "source":
            order = state.orders[rest]
            if not order.held:
                ordering.resource_order(state, order, now, draft)
        elif kind == "credit":
            shipping.credit_waiting(state, state.orders[rest], {}, now, draft)
        elif kind == "reservation":
            ordering.expire_reservations(state.orders[rest], now, draft)
        elif kind == "claim":
            holding.give_back(state, state.orders[rest], now, draft)
        elif kind == "reconcile":
            holding.ask_reservations(state, now, draft)
        elif kind == "feed":
            feeds.publish(state, rest, now, draft)
        elif kind == "wave":
            ordering.release_wave(state, rest, now, draft)
        else:
            raise CorruptLog(f"a timer of no known kind: '{key}'")
        return Outcome(tuple(draft.events), tuple(draft.deliveries))

    def apply(self, entry: Entry) -> None:
        """Fold one entry. Raises `CorruptLog` where it does not follow the state."""
        state = self.state
        if entry.position != state.position + 1 or entry.now < state.now:
            raise CorruptLog(
                f"entry {entry.position} at {entry.now} cannot follow entry {state.position} at {state.now}"
            )
        now = state.now = entry.now
        state.position = entry.position
        if entry.refusal is not None:
            return
        command = entry.command
        if isinstance(command, Wake):
            cancel_timer(state.timers, command.key)
            for event in entry.events:
                _FOLDS[type(event)](state, event, now)
            self._rearm(command.key)
        else:
            key = command_key(command.source, command.id)
            remember(state.seen, key, now, state.policies.retention_ms, command.time)
            for event in entry.events:
                _FOLDS[type(event)](state, event, now)
        for sent in entry.deliveries:
            # Settled once submitted, unless it has a deadline or is open already: the usual case by far.
            if sent.deadline or sent.key in state.deliveries:
                fold_deliveries.delivery_sent(state, sent, now)

    def _rearm(self, key: str) -> None:
        """Set the timer again where its work goes on: the next period, the next wave, the next bounded step."""
        state = self.state
        kind, _, rest = key.partition("/")
        if kind == "review":
            node, _, sku = rest.partition("/")
            rule = state.replenishment[node][sku]
            if rule.review_ms:
                periods = (state.now - rule.review_offset_ms) // rule.review_ms + 1
                set_timer(state.timers, key, rule.review_offset_ms + periods * rule.review_ms)
        elif kind == "serve":
            node, _, sku = rest.partition("/")
            fold_stock.supply_changed(state, node, sku, state.stock[node][sku])
        elif kind == "source":
            # What may go, but goes in waves, waits for the next one.
            order = state.orders[rest]
            if not order.held:
                fold_orders.join_waves(state, order)
        elif kind == "close":
            self._close(rest, key)
        elif kind == "reservation":
            order = state.orders[rest]
            expiries = [held.expires_at for held in order.soft if held.expires_at]
            if expiries:
                set_timer(state.timers, key, min(expiries))
        elif kind == "reconcile":
            fold_stock.next_reconciliation(state, state.now)
        elif kind == "feed":
            fold_stock.next_feed(state, state.channels[rest], state.now + 1)
        elif kind == "wave":
            self._next_wave(rest, key)
        elif kind == "send":
            sending.rearm_desk(state, rest, state.now)
        elif kind == "watch":
            supervision.rearm_watch(state, rest)
        elif kind == "delivery":
            waiting = state.deliveries.get(rest)
            if waiting is not None and key not in state.timers.due:
                # A hedge for which the budget had nothing left.
                set_timer(state.timers, key, waiting.delivery.expires_at)

    def _close(self, due: str, key: str) -> None:
        state = self.state
        waiting = state.closing[due]
        step = state.policies.close_batch
        for order_id in waiting[:step]:
            order = state.orders.get(order_id)
            if order is not None:
                order.closing = False
        if len(waiting) > step:
            state.closing[due] = waiting[step:]
            set_timer(state.timers, key, state.now)
        else:
            del state.closing[due]

    def _next_wave(self, node: str, key: str) -> None:
        state = self.state
        queue = state.waves[node]
        step = ordering.wave_step(state, node)
        left = (queue.left or len(queue.orders)) - step
        skipped = []
        for order_id in queue.orders[:step]:
            if any(held.node == node for held in state.orders[order_id].soft):
                skipped.append(order_id)
        queue.orders = queue.orders[step:] + skipped
        queue.left = left
        if left:
            set_timer(state.timers, key, state.now)
        elif queue.orders:
            following = fold_orders.next_wave(state, node)
            # Past the last wave known, those left behind join again once they may go: no wave comes for them.
            if following > state.now:
                set_timer(state.timers, key, following)
