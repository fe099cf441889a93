"""What follows when a warehouse could not be told to ship: the order is sourced elsewhere, and what may have been done
is undone first.

A release that was surely not done is withdrawn at once. One that may have been done (an attempt of it was not
answered) is cancelled by a message of its own, sent, repeated and given up like any other, and withdrawn when the
warehouse says that it will not ship.
"""

from __future__ import annotations

from twin.core.commands import ConfirmCancellation
from twin.core.draft import Draft
from twin.core.effects import (
    AskPromise,
    AskRelease,
    AskReservations,
    AskSourcing,
    AskStatus,
    CancelRelease,
    CreatePurchaseOrder,
    ReleaseToWarehouse,
    ReleaseUnits,
    ReserveUnits,
)
from twin.core.events import (
    CancellationRefused,
    CancellationRequested,
    DeliveryDeadLettered,
    DeliveryLapsed,
    DeliverySucceeded,
    ReleaseWithdrawn,
    SourcingUnanswered,
)
from twin.core.holding import not_reserved
from twin.core.master import DEFAULT_DELIVERY
from twin.core.ordering import not_answered, not_promised
from twin.core.refusals import Refusal
from twin.core.resupply import ask_another
from twin.core.state import FulfillmentOrder, OpenDelivery, State
from twin.core.undoing import undo as undo_it

__all__ = ["confirm_cancellation", "done_after_all", "give_up"]


def give_up(
    state: State,
    opened: OpenDelivery,
    reason: str,
    now: int,
    draft: Draft,
    *,
    outcome: str = "",
    doubtful: bool = False,
) -> None:
    """Make a delivery a dead letter, and fall back where its policy says so; a question lapses.

    `doubtful` is whether its last attempt may have been done.
    """
    delivery = opened.delivery
    effect = delivery.effect
    if isinstance(effect, AskStatus | AskSourcing | AskPromise | AskRelease):
        draft.events.append(DeliveryLapsed(delivery.key, opened.attempt, reason, outcome))
        order = state.orders.get(effect.order)
        if isinstance(effect, AskPromise) and order is not None:
            not_promised(order, effect, delivery.key, reason, draft)
        if isinstance(effect, AskRelease) and order is not None and order.release_asked == delivery.key:
            not_answered(state, order, effect, delivery.key, reason, now, draft)
        if isinstance(effect, AskSourcing) and order is not None and order.asked == delivery.key:
            draft.events.append(SourcingUnanswered(effect.order, delivery.key, reason))
        return
    if isinstance(effect, ReserveUnits | ReleaseUnits | AskReservations):
        # Nobody can send it again usefully: what is left behind is for the reconciliation to find.
        draft.events.append(DeliveryLapsed(delivery.key, opened.attempt, reason, outcome))
        if isinstance(effect, ReserveUnits):
            not_reserved(state, effect.claim, reason, now, draft, doubtful=doubtful or opened.doubtful)
        return
    draft.events.append(DeliveryDeadLettered(delivery.key, opened.attempt, reason, outcome))
    policy = state.gateways.get(delivery.gateway.partition("/")[0], DEFAULT_DELIVERY)
    undo = (doubtful or opened.doubtful) and policy.compensate
    if policy.fallback and isinstance(effect, CreatePurchaseOrder):
        ask_another(state, effect, reason, delivery.criticality, now, draft, undo=undo)
    if not policy.fallback or not isinstance(effect, ReleaseToWarehouse):
        return
    fulfillment = state.fulfillment_orders.get(effect.fulfillment_order)
    if fulfillment is None or fulfillment.stage != "released" or not _elsewhere(state, fulfillment):
        return
    if undo:
        key = f"{effect.fulfillment_order}/cancel"
        request = CancellationRequested(effect.order, effect.fulfillment_order)
        cancel = CancelRelease(effect.fulfillment_order, effect.order, effect.node)
        undo_it(state, key, request, effect.node, cancel, effect.order, delivery.criticality, now, draft)
    else:
        draft.events.append(ReleaseWithdrawn(effect.order, effect.fulfillment_order, effect.node, reason))


def _elsewhere(state: State, fulfillment: FulfillmentOrder) -> bool:
    """Whether another place that holds them could serve all the units."""
    order = state.orders[fulfillment.order]
    lanes = state.lanes[order.region]
    tried = (*order.avoid, fulfillment.node)
    return all(
        any(node in lanes and node not in tried for node in state.nodes_of.get(pick.sku, ()))
        for pick in fulfillment.lines
    )


def done_after_all(state: State, key: str, draft: Draft) -> None:
    """A counterpart acts on what is a dead letter here: it was taken, and nobody has to look at it any more."""
    if key in state.dead_letters:
        draft.events.append(DeliverySucceeded(key))


def confirm_cancellation(state: State, command: ConfirmCancellation, now: int, draft: Draft) -> Refusal | None:
    """Take a warehouse's word on a release that it was asked to cancel."""
    fulfillment = state.fulfillment_orders.get(command.fulfillment_order)
    if fulfillment is None:
        return Refusal("unknown_fulfillment_order", f"'{command.fulfillment_order}' is not open")
    if command.outcome not in ("cancelled", "too_late"):
        return Refusal("outcome", f"'{command.outcome}'; a cancellation is cancelled or too_late")
    if command.outcome == "cancelled":
        if fulfillment.stage != "released":
            return Refusal("stage", f"'{command.fulfillment_order}' is {fulfillment.stage}")
        reason = "cancelled by the warehouse"
        draft.events.append(ReleaseWithdrawn(fulfillment.order, command.fulfillment_order, fulfillment.node, reason))
        return None
    draft.events.append(CancellationRefused(fulfillment.order, command.fulfillment_order))
    done_after_all(state, command.fulfillment_order, draft)
    return None
