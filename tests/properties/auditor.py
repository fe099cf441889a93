"""A naive auditor: recomputes the books from the whole log with plain dicts, and says where the engine's differ.

It shares nothing with the engine but the records of the log: no fold, no table of moves, no index. Being slow and
obvious is what it is for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from twin.core.buckets import BUCKETS
from twin.core.commands import Wake
from twin.core.effects import PostCredit, PostInvoice, ReleaseToWarehouse
from twin.core.entry import Entry
from twin.core.events import DeliveryDispatched, DeliveryQueued, OrderRepeated
from twin.core.state import State

__all__ = ["Auditor", "audit"]

AFTER_CLOSING = ("CreditReferred", "CreditIssued", "CreditRejected", "InvoicePosted")


def audit(entries: Iterable[Entry], state: State) -> list[str]:
    """What the log and the state disagree on, one sentence each; empty where the books are right."""
    auditor = Auditor()
    for entry in entries:
        auditor.read(entry)
    auditor.compare(state)
    return auditor.found


class Auditor:
    """Books made by reading a log from its start. `found` is what was wrong so far."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.position = 0
        self.now = 0
        self.retention = 604_800_000
        self.counted: dict[str, bool] = {}
        self.accepted: dict[tuple[str, str], int] = {}
        # (order, line) -> item, units ordered, price; its units by bucket; units billed and credited.
        self.lines: dict[tuple[str, int], tuple[str, int, int]] = {}
        self.units: dict[tuple[str, int], Counter[str]] = {}
        self.billed: Counter[tuple[str, int]] = Counter()
        self.credited: Counter[tuple[str, int]] = Counter()
        self.closed: dict[str, int] = {}
        # (node, item) -> units; on hand by what physically moved, the rest by what was promised away.
        self.on_hand: Counter[tuple[str, str]] = Counter()
        self.soft: Counter[tuple[str, str]] = Counter()
        self.hard: Counter[tuple[str, str]] = Counter()
        self.staged: Counter[tuple[str, str]] = Counter()
        self.inbound: Counter[tuple[str, str]] = Counter()
        self.queued: Counter[tuple[str, str]] = Counter()
        self.moved: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self.count_at: Counter[tuple[str, str]] = Counter()
        self.parcels: dict[str, tuple[str, str, Counter[int]]] = {}
        self.staged_parcels: dict[str, bool] = {}
        self.on_the_way: dict[str, tuple[str, tuple[tuple[int, int], ...]]] = {}
        self.shipped: dict[str, tuple[tuple[int, int], ...]] = {}
        self.invoices: dict[str, int] = {}
        self.bills: Counter[str] = Counter()
        self.invoiced_minor = 0
        self.billed_minor = 0
        self.purchases: dict[str, tuple[str, Counter[str]]] = {}
        self.sent: dict[str, int] = {}
        self.first_sent: dict[str, int] = {}
        self.drop_ship: dict[str, bool] = {}
        self.in_queue: dict[str, int] = {}
        self.dead: dict[str, bool] = {}

    def say(self, complaint: str) -> None:
        self.found.append(f"entry {self.position}: {complaint}")

    def read(self, entry: Entry) -> None:
        """Book one entry."""
        if entry.position != self.position + 1:
            self.say(f"entry {entry.position} follows")
        if entry.now < self.now:
            self.say(f"time ran back to {entry.now}")
        self.position, self.now = entry.position, entry.now
        if entry.refusal is not None:
            if entry.events or entry.deliveries:
                self.say("a refused command had effects")
            if not entry.refusal.code or not entry.refusal.text:
                self.say("a refusal without a code or a text")
            return
        command = entry.command
        if not isinstance(command, Wake):
            key = (command.source, command.id)
            if key in self.accepted and entry.now - self.accepted[key] <= self.retention:
                self.say(f"{key} was accepted twice")
            self.accepted[key] = entry.now
        resent: Counter[str] = Counter()
        for event in entry.events:
            name = type(event).__name__
            order = getattr(event, "order", None)
            if order in self.closed and name not in AFTER_CLOSING:
                self.say(f"{name} after order {order} was closed")
            if name in ("DeliveryRetried", "DeliveryRedriven", "DeliveryHedged"):
                resent[event.delivery] += 1
            reader: Callable[[Any], None] | None = getattr(self, f"_{name}", None)
            if reader is not None:
                reader(event)
        self._deliveries(entry, resent)

    def _deliveries(self, entry: Entry, resent: Counter[str]) -> None:
        plans = {
            plan.id: plan
            for event in entry.events
            if type(event).__name__ == "ReleaseDecided"
            for plan in event.fulfillment_orders  # type: ignore[union-attr]
            if not self.drop_ship[plan.node]
        }
        repeated = {event.subject: None for event in entry.events if isinstance(event, OrderRepeated)}
        for key in repeated:
            # The counterpart knew nothing of it: it counts as never sent.
            self.sent.pop(key, None)
            self.first_sent.pop(key, None)
        leaving = {event.delivery: event.attempt for event in entry.events if isinstance(event, DeliveryDispatched)}
        for event in entry.events:
            if isinstance(event, DeliveryQueued) and isinstance(event.queued.effect, ReleaseToWarehouse):
                if event.delivery in repeated:
                    continue
                self._told(plans, event.queued.effect, event.queued.attempt)
        for delivery in entry.deliveries:
            if delivery.attempt == 1 and entry.now - self.first_sent.get(delivery.key, entry.now) >= self.retention:
                # A credit's id used again after it was forgotten: from there on the ERP's own key protects.
                del self.sent[delivery.key], self.first_sent[delivery.key]
            self.first_sent.setdefault(delivery.key, entry.now)
            queued = delivery.key in self.in_queue
            if delivery.key in self.sent and not resent[delivery.key] and not queued:
                self.say(f"delivery {delivery.key} was sent a second time")
            before = self.sent.get(delivery.key, 0)
            if delivery.attempt != before + 1:
                self.say(f"delivery {delivery.key}: attempt {delivery.attempt} follows {before}")
            self.sent[delivery.key] = delivery.attempt
            effect = delivery.effect
            first = delivery.attempt == 1 and not queued and delivery.key not in repeated
            if isinstance(effect, ReleaseToWarehouse) and first:
                self._told(plans, effect, 1)
            if queued and self.in_queue.pop(delivery.key) != delivery.attempt:
                self.say(f"delivery {delivery.key}: attempt {delivery.attempt} was not the one queued")
            if queued and leaving.pop(delivery.key, 0) != delivery.attempt:
                self.say(f"delivery {delivery.key}: sent, and nothing says that it left the queue")
            if isinstance(effect, PostInvoice) and self.invoices.get(effect.invoice) != effect.amount_minor:
                self.say(f"{effect.invoice}: posted with {effect.amount_minor}")
            if isinstance(effect, PostCredit) and effect.quantity <= 0:
                self.say(f"{effect.credit}: a credit of {effect.quantity} units")
        for key in leaving:
            self.say(f"delivery {key}: it left the queue, and was not sent")
        for key in plans:
            self.say(f"{key}: decided, and the warehouse was not told")

    def _told(self, plans: dict[str, Any], effect: ReleaseToWarehouse, attempt: int) -> None:
        if attempt > 1:
            return
        plan = plans.pop(effect.fulfillment_order, None)
        if plan is None or plan.lines != effect.lines or plan.node != effect.node:
            self.say(f"{effect.fulfillment_order}: the warehouse is told what was not decided")

    def _DeliveryQueued(self, event: Any) -> None:
        if event.delivery in self.in_queue:
            self.say(f"{event.delivery}: queued twice")
        self.in_queue[event.delivery] = event.queued.attempt

    def _unsent(self, event: Any, attempt: int) -> None:
        """An attempt that ended in the queue counts as one."""
        if self.in_queue.pop(event.delivery, None) is not None:
            self.sent[event.delivery] = attempt
            self.first_sent.setdefault(event.delivery, self.now)

    def _DeliveryFailed(self, event: Any) -> None:
        self._unsent(event, event.attempt)

    def _move(self, order: str, line: int, source: str, target: str, units: int) -> None:
        held = self.units[(order, line)]
        if units <= 0 or held[source] < units:
            self.say(f"{order} line {line}: {units} units from {source}, which holds {held[source]}")
        held[source] -= units
        held[target] += units

    def _stock_moved(self, node: str, sku: str, units: int, sequence: int) -> None:
        place = (node, sku)
        if self.counted.get(node) and sequence:
            if sequence <= self.count_at[place]:
                return
            self.moved.setdefault(place, []).append((sequence, units))
        self.on_hand[place] += units

    # --- the business

    def _NetworkDefined(self, event: Any) -> None:
        for warehouse in event.warehouses:
            self.counted[warehouse.id] = warehouse.counted
            self.drop_ship[warehouse.id] = warehouse.drop_ship

    def _PoliciesDefined(self, event: Any) -> None:
        self.retention = event.policies.retention_ms

    # --- orders

    def _OrderCaptured(self, event: Any) -> None:
        for line in event.lines:
            self.lines[(event.order, line.line)] = (line.sku, line.quantity, line.price_minor)
            self.units[(event.order, line.line)] = Counter(open=line.quantity)

    def _SourcingRequested(self, event: Any) -> None:
        for order, line in list(self.units):
            if order == event.order and (not event.lines or line in event.lines):
                units = self.units[(order, line)]["open"]
                if units:
                    self._move(order, line, "open", "sourcing", units)

    def _SourcingDecided(self, event: Any) -> None:
        legs: Counter[int] = Counter()
        for leg in event.legs:
            legs[leg.line] += leg.quantity
            if leg.route != "stock":
                target = {"backorder": "backordered", "replenish": "on_order", "reject": "rejected"}[leg.route]
                if target != "rejected":
                    self.queued[(leg.node, self.lines[(event.order, leg.line)][0])] += leg.quantity
                legs[leg.line] -= leg.quantity
                self._move(event.order, leg.line, "sourcing", target, leg.quantity)
        for line, units in legs.items():
            if self.units[(event.order, line)]["sourcing"] != units:
                self.say(f"{event.order} line {line}: the legs are not what was asked")

    def _ReservationDecided(self, event: Any) -> None:
        for held in event.reservations:
            if held.sku != self.lines[(event.order, held.line)][0]:
                self.say(f"{event.order} line {held.line}: another item reserved")
            self._move(event.order, held.line, event.source, "reserved", held.quantity)
            self.soft[(held.node, held.sku)] += held.quantity
            if event.source != "sourcing":
                self.queued[(held.node, held.sku)] -= held.quantity

    def _ReservationExpired(self, event: Any) -> None:
        for held in event.reservations:
            if not held.expires_at or held.expires_at > self.now:
                self.say(f"{event.order}: a reservation expired before its time")
            self._move(event.order, held.line, "reserved", "open", held.quantity)
            self.soft[(held.node, held.sku)] -= held.quantity

    def _ReservationRefused(self, event: Any) -> None:
        for line in event.lines:
            self._move(event.order, line.line, "reserved", "open", line.quantity)
            self.soft[(line.node, line.sku)] -= line.quantity

    def _OrderCancelled(self, event: Any) -> None:
        for taken in event.units:
            self._move(event.order, taken.line, taken.bucket, "cancelled", taken.quantity)
            place = (taken.node, self.lines[(event.order, taken.line)][0])
            if taken.bucket == "reserved":
                self.soft[place] -= taken.quantity
            elif taken.bucket in ("backordered", "on_order"):
                self.queued[place] -= taken.quantity

    def _ReleaseDecided(self, event: Any) -> None:
        for plan in event.fulfillment_orders:
            if plan.id in self.parcels:
                self.say(f"{plan.id}: decided twice")
            self.parcels[plan.id] = (event.order, plan.node, Counter())
            self.staged_parcels[plan.id] = False
            for pick in plan.lines:
                self._move(event.order, pick.line, "reserved", "released", pick.quantity)
                self.soft[(plan.node, pick.sku)] -= pick.quantity
                self.hard[(plan.node, pick.sku)] += pick.quantity
                self.parcels[plan.id][2][pick.line] += pick.quantity

    def _ReleaseWithdrawn(self, event: Any) -> None:
        order, node, picks = self.parcels.pop(event.fulfillment_order)
        for line, units in picks.items():
            self._move(order, line, "released", "open", units)
            self.hard[(node, self.lines[(order, line)][0])] -= units
        self.dead[event.fulfillment_order] = False

    def _GoodsPicked(self, event: Any) -> None:
        if self.staged_parcels[event.fulfillment_order]:
            return
        self.staged_parcels[event.fulfillment_order] = True
        order, node, picks = self.parcels[event.fulfillment_order]
        for line, units in picks.items():
            self._move(order, line, "released", "picked", units)
            self.hard[(node, self.lines[(order, line)][0])] -= units
            self.staged[(node, self.lines[(order, line)][0])] += units

    def _take(self, fulfillment: str, line: int, units: int, target: str) -> tuple[str, str]:
        order, node, picks = self.parcels[fulfillment]
        if picks[line] < units:
            self.say(f"{fulfillment}: {units} units of line {line} gone, {picks[line]} were left")
        picks[line] -= units
        place = (node, self.lines[(order, line)][0])
        staged = self.staged_parcels[fulfillment]
        self._move(order, line, "picked" if staged else "released", target, units)
        (self.staged if staged else self.hard)[place] -= units
        return place

    def _UnitsShorted(self, event: Any) -> None:
        for line, units in event.lines:
            place = self._take(event.fulfillment_order, line, units, "open")
            self.on_hand[place] -= units

    def _GoodsShipped(self, event: Any) -> None:
        if event.shipment in self.shipped:
            self.say(f"{event.shipment}: shipped twice")
        for line, units in event.lines:
            node, sku = self._take(event.fulfillment_order, line, units, "shipped")
            self._stock_moved(node, sku, -units, event.sequence)
            self.billed_minor += units * self.lines[(event.order, line)][2]
        self.shipped[event.shipment] = event.lines
        self.on_the_way[event.shipment] = (event.order, event.lines)
        if any(self.parcels[event.fulfillment_order][2].values()):
            self.say(f"{event.fulfillment_order}: shipped, and units are left")

    def _ShipmentLoaded(self, event: Any) -> None:
        for line, units in event.lines:
            self._move(event.order, line, "open", "shipped", units)
            self.billed[(event.order, line)] += units
        self.on_the_way[event.shipment] = (event.order, event.lines)

    def _ShipmentDelivered(self, event: Any) -> None:
        order, lines = self.on_the_way.pop(event.shipment)
        for line, units in lines:
            self._move(order, line, "shipped", "delivered", units)

    def _OrderClosed(self, event: Any) -> None:
        self.closed[event.order] = self.position
        for (order, line), held in self.units.items():
            if order == event.order and sum(held.values()) != sum(
                held[name] for name in ("delivered", "returned", "lost", "rejected", "cancelled")
            ):
                self.say(f"{order} line {line}: closed with {dict(held)}")

    # --- money

    def _InvoiceCreated(self, event: Any) -> None:
        if event.invoice in self.invoices or self.bills[event.shipment]:
            self.say(f"{event.invoice}: {event.shipment} is billed twice")
        self.bills[event.shipment] += 1
        amount = 0
        for line, units, price in event.lines:
            self.billed[(event.order, line)] += units
            amount += units * price
            if price != self.lines[(event.order, line)][2]:
                self.say(f"{event.invoice}: another price than ordered")
        if tuple((line, units) for line, units, _ in event.lines) != self.shipped.get(event.shipment):
            self.say(f"{event.invoice}: bills what {event.shipment} did not ship")
        if amount != event.amount_minor:
            self.say(f"{event.invoice}: {event.amount_minor}, its lines come to {amount}")
        self.invoices[event.invoice] = event.amount_minor
        self.invoiced_minor += event.amount_minor

    def _CreditIssued(self, event: Any) -> None:
        if (event.order, event.line) not in self.lines or event.order in self.closed:
            return
        key = (event.order, event.line)
        self.credited[key] += event.quantity
        if self.credited[key] > self.billed[key]:
            self.say(f"{event.credit}: more credited than billed")
        if event.amount_minor != event.quantity * self.lines[key][2]:
            self.say(f"{event.credit}: another amount than its units")

    # --- stock and purchasing

    def _StockLoaded(self, event: Any) -> None:
        for line in (*event.lines, *event.quarantined):
            self.on_hand[(event.node, line.sku)] += line.quantity

    def _StockAdjusted(self, event: Any) -> None:
        self._stock_moved(event.node, event.sku, event.quantity, event.sequence)

    def _StockCounted(self, event: Any) -> None:
        for sku, counted, _ in event.lines:
            place = (event.node, sku)
            later = [(at, units) for at, units in self.moved.get(place, []) if at > event.sequence]
            self.moved[place] = later
            self.on_hand[place] = counted + sum(units for _, units in later)
            self.count_at[place] = event.sequence

    def _PurchaseOrderCreated(self, event: Any) -> None:
        if event.purchase_order in self.purchases:
            self.say(f"{event.purchase_order}: created twice")
        due: Counter[str] = Counter()
        for line in event.lines:
            due[line.sku] += line.quantity
            self.inbound[(event.node, line.sku)] += line.quantity
        self.purchases[event.purchase_order] = (event.node, due)

    def _PurchaseOrderRejected(self, event: Any) -> None:
        node, due = self.purchases[event.purchase_order]
        for sku, units in due.items():
            self.inbound[(node, sku)] -= units
        due.clear()

    def _PurchaseOrderWithdrawn(self, event: Any) -> None:
        self._PurchaseOrderRejected(event)
        self.dead[event.purchase_order] = False

    def _GoodsReceived(self, event: Any) -> None:
        node, due = self.purchases[event.purchase_order]
        for line in event.lines:
            if due[line.sku] < line.quantity:
                self.say(f"{event.purchase_order}: more received than ordered")
            due[line.sku] -= line.quantity
            self.inbound[(node, line.sku)] -= line.quantity
            self._stock_moved(node, line.sku, line.quantity, event.sequence)

    # --- deliveries

    def _DeliveryDeadLettered(self, event: Any) -> None:
        self.dead[event.delivery] = True
        self._unsent(event, event.attempts)

    def _DeliveryLapsed(self, event: Any) -> None:
        # A call to reserve or to give back is none, and no use later: a reconciliation finds what it left behind.
        if not any(word in event.delivery for word in ("/status/", "/reserve/", "RECONCILE/")):
            self.say(f"{event.delivery}: dropped, and it is no question")
        self._unsent(event, event.attempts)

    def _DeliveryRedriven(self, event: Any) -> None:
        if not self.dead.get(event.delivery):
            self.say(f"{event.delivery}: redriven, and was no dead letter")
        self.dead[event.delivery] = False

    def _DeliverySucceeded(self, event: Any) -> None:
        # What waits to be sent may have been settled by hand meanwhile.
        waited = self.in_queue.pop(event.delivery, None) is not None
        if event.delivery not in self.sent and not waited:
            self.say(f"{event.delivery}: answered, and was never asked for")
        self.dead[event.delivery] = False

    # --- the comparison

    def compare(self, state: State) -> None:
        """Hold the books against the engine's state."""
        for (order_id, number), held in self.units.items():
            if sum(held.values()) != self.lines[(order_id, number)][1]:
                self.say(f"{order_id} line {number}: units made or lost")
            if order_id in self.closed:
                if order_id in state.orders:
                    self.say(f"{order_id}: closed, and still in memory")
                continue
            if order_id not in state.orders:
                self.say(f"{order_id}: lost")
                continue
            line = state.orders[order_id].lines[number]
            believed = dict(zip(BUCKETS, line.buckets, strict=True))
            if believed != {name: held[name] for name in BUCKETS}:
                self.say(f"{order_id} line {number}: {believed}, by the log {dict(held)}")
            key = (order_id, number)
            if (line.billed, line.credited) != (self.billed[key], self.credited[key]):
                self.say(f"{order_id} line {number}: another count billed or credited")
            gone = held["shipped"] + held["delivered"] + held["returned"] + held["lost"]
            if not self.credited[key] <= self.billed[key] <= gone:
                self.say(f"{order_id} line {number}: credited, billed and shipped do not follow each other")
        for order_id in state.orders:
            if not any(order_id == known for known, _ in self.units):
                self.say(f"{order_id}: an order from nowhere")
        self._compare_stock(state)
        if self.invoiced_minor != self.billed_minor:
            self.say(f"invoiced {self.invoiced_minor}, shipped goods are worth {self.billed_minor}")
        dead = sorted(key for key, is_dead in self.dead.items() if is_dead)
        if dead != sorted(state.dead_letters):
            self.say(f"dead letters by the log: {dead}")
        on_the_way = {key: (shipment.order, shipment.lines) for key, shipment in state.shipments.items()}
        if on_the_way != self.on_the_way:
            self.say(f"shipments on their way by the log: {sorted(self.on_the_way)}")

    def _compare_stock(self, state: State) -> None:
        cells = {(node, sku): cell for node, row in state.stock.items() for sku, cell in row.items()}
        names = ("on_hand", "soft", "hard", "staged", "inbound", "queued")
        for name in names:
            for place, units in getattr(self, name).items():
                if place not in cells and units:
                    self.say(f"{place}: {name} {units}, and the engine has no such stock")
        for place, cell in cells.items():
            believed = (cell.on_hand, cell.soft, cell.hard, cell.staged, cell.inbound, cell.backordered)
            booked = tuple(getattr(self, name)[place] for name in names)
            if believed != booked:
                self.say(f"{place}: {dict(zip(names, believed, strict=True))}, by the log {booked}")
            if cell.free != cell.on_hand - cell.soft - cell.hard - cell.staged - cell.quarantined - cell.elsewhere:
                self.say(f"{place}: free stock is not what the others leave")
            if cell.backordered != sum(waiting.quantity for waiting in cell.waiting):
                self.say(f"{place}: the queue is not what is backordered")
