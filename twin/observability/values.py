"""What messages are worth, from the log: the orders, purchase orders, tasks and documents behind them."""

from __future__ import annotations

from typing import Any, Final

from twin.core import events as ev
from twin.core.effects import (
    CancelPurchaseOrder,
    CreatePurchaseOrder,
    Delivery,
    PostCredit,
    PostInvoice,
    ReleaseToWarehouse,
)
from twin.core.entry import Entry

__all__ = ["Values"]


class Values:
    """Prices of the lines of open orders, and costs of open purchase orders; closed ones are forgotten."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[int, tuple[int, int]]] = {}
        """Order -> line -> (units ordered, unit price)."""
        self.purchases: dict[str, int] = {}
        """Purchase order -> standard cost of its goods, and what ordering them costs."""
        self.costs: dict[str, int] = {}
        """Item -> standard cost of a unit."""

    def fold(self, entry: Entry) -> None:
        """Take one more entry."""
        for event in entry.events:
            fold = _FOLDS.get(type(event))
            if fold is not None:
                fold(self, event)

    def order(self, order: str) -> int:
        """Value of an order as ordered; 0 where it is not open."""
        return sum(units * price for units, price in self.orders.get(order, {}).values())

    def of(self, delivery: Delivery) -> int:
        """Value of what a message asks for: goods at their prices, a document's sum, a purchase at its cost."""
        effect = delivery.effect
        if isinstance(effect, ReleaseToWarehouse):
            lines = self.orders.get(effect.order, {})
            return sum(pick.quantity * lines[pick.line][1] for pick in effect.lines if pick.line in lines)
        if isinstance(effect, CreatePurchaseOrder | CancelPurchaseOrder):
            return self.purchases.get(effect.purchase_order, 0)
        if isinstance(effect, PostInvoice | PostCredit):
            return effect.amount_minor
        return 0


def _captured(values: Values, event: ev.OrderCaptured) -> None:
    values.orders[event.order] = {line.line: (line.quantity, line.price_minor) for line in event.lines}


def _items(values: Values, event: ev.ItemsDefined) -> None:
    values.costs.update((item.sku, item.cost_minor) for item in event.items)


def _closed(values: Values, event: ev.OrderClosed) -> None:
    values.orders.pop(event.order, None)


def _created(values: Values, event: ev.PurchaseOrderCreated) -> None:
    goods = sum(line.quantity * values.costs.get(line.sku, 0) for line in event.lines)
    values.purchases[event.purchase_order] = event.cost_minor + goods


def _received(values: Values, event: ev.GoodsReceived | ev.PurchaseOrderRejected | ev.PurchaseOrderWithdrawn) -> None:
    values.purchases.pop(event.purchase_order, None)


_FOLDS: Final[dict[type, Any]] = {
    ev.ItemsDefined: _items,
    ev.OrderCaptured: _captured,
    ev.OrderClosed: _closed,
    ev.PurchaseOrderCreated: _created,
    ev.GoodsReceived: _received,
    ev.PurchaseOrderRejected: _received,
    ev.PurchaseOrderWithdrawn: _received,
}
