"""What happened outside the engine, read off a log: arrivals, durations with what is still open, calls.

The records are neutral: a log from elsewhere can be turned into the same. Nothing here reads the truth of a run, or an
entry at or after the instant up to which the log is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from twin.core import events as ev
from twin.core.commands import AcknowledgeDelivery, Wake
from twin.core.entry import Entry
from twin.log import read_entries
from twin.log.instants import happened_at
from twin.observability.calls import Calls, Step

__all__ = ["Arrival", "Attempt", "CalibrationRefused", "Duration", "Facts", "facts_of"]


class CalibrationRefused(ValueError):
    """A log, a period or a base scenario that nothing can be estimated from; the text says what would be right."""


class Arrival(NamedTuple):
    """An order as it came: when it reached the engine (ms), and its lines as (item, units) in the order given."""

    at: int
    channel: str
    region: str
    lines: tuple[tuple[str, int], ...]


class Duration(NamedTuple):
    """Something that took `duration_ms` since `began_at` (ms), or was still going on after that time (`censored`).

    Of an order that is handled, `lines` and `units` are its size, where that is known.
    """

    key: str
    began_at: int
    duration_ms: int
    censored: bool
    lines: int = 0
    units: int = 0


class Attempt(NamedTuple):
    """A call to a gateway: `outcome` is succeeded, failed (answered so) or unknown (no answer in time)."""

    gateway: str
    sent_at: int
    ended_at: int
    outcome: str


class Facts:
    """What a log tells of the time from `since` on and before `until` (ms).

    Of what lasts, only what began in that time is there: what began earlier would be seen only where it was long.
    Keys: `handling` (release to shipped) and `picking` (release to picked) by `warehouse/criticality`; `transit`
    (shipped to delivered) by `place/carrier/region`; `lead_times` (purchase order created to received) by
    `supplier/item`; `calls` (sent to answered) by gateway; `lags` (from what happened to the engine's hearing of it)
    by source, as how often each was seen. Of what a partner was asked to do and answered, the time begins when it took
    it in: what passes before, in queues and retries, is no handling, and what it never took in is none either.
    """

    def __init__(self, since: int, until: int) -> None:
        self.since = since
        self.until = until
        self.arrivals: list[Arrival] = []
        self.handling: list[Duration] = []
        self.picking: list[Duration] = []
        self.transit: list[Duration] = []
        self.lead_times: list[Duration] = []
        self.calls: list[Duration] = []
        self.lags: dict[str, dict[int, int]] = {}
        self.attempts: list[Attempt] = []
        # Whether only the days of deliveries are known, and not their hours.
        self.deliveries_are_dates = False

    @property
    def finished(self) -> int:
        """Goods that were shipped, delivered or received: cases with a beginning and an end."""
        return sum(not case.censored for cases in (self.handling, self.transit, self.lead_times) for case in cases)


def facts_of(source: Path | Iterable[Entry], since: int, until: int) -> Facts:
    """The facts of a run folder, or of entries in their order, in [`since`, `until`) ms. Raises `RunError`."""
    fold = _Fold(Facts(since, until))
    for entry in read_entries(source) if isinstance(source, Path) else source:
        if entry.now >= until:
            break
        fold.take(entry)
    fold.finish()
    return fold.facts


class _Fold:
    """What is open while the log is read: (key, began_at) by id."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.docks: dict[str, None] = {}
        # Region and criticality of each order.
        self.orders: dict[str, tuple[str, str]] = {}
        self.carriers: dict[str, str] = {}
        # Lines and units of what was released and is not shipped.
        self.sizes: dict[str, tuple[int, int]] = {}
        self.released: dict[str, tuple[str, int]] = {}
        self.unpicked: dict[str, tuple[str, int]] = {}
        self.shipped: dict[str, tuple[str, int]] = {}
        self.bought: dict[str, tuple[str, int]] = {}
        self.due: dict[str, dict[str, int]] = {}
        self.calls = Calls()
        self.sent: dict[tuple[str, int], tuple[str, int]] = {}

    def take(self, entry: Entry) -> None:
        """Fold one more entry."""
        command, facts = entry.command, self.facts
        if not isinstance(command, Wake) and command.time and entry.now >= facts.since:
            lags, lag = facts.lags.setdefault(command.source, {}), max(0, entry.now - command.time)
            lags[lag] = lags.get(lag, 0) + 1
        for event in entry.events:
            fold = _FOLDS.get(type(event))
            if fold is not None:
                fold(self, event, entry)
        for step in self.calls.fold(entry):
            self._step(step, entry)

    def finish(self) -> None:
        """What is open now is only known to last longer."""
        facts, until = self.facts, self.facts.until
        for cases, still in (
            (facts.handling, self.released),
            (facts.picking, self.unpicked),
            (facts.transit, self.shipped),
            (facts.lead_times, self.bought),
        ):
            cases += [
                Duration(key, began, until - began, True, *self.sizes.get(id, ()))
                for id, (key, began) in still.items()
                # What a partner has not taken in, it is not at work on.
                if id not in self.calls.open
            ]
        facts.calls += [Duration(gateway, at, until - at, True) for gateway, at in self.sent.values()]

    def _end(self, cases: list[Duration], still: dict[str, tuple[str, int]], id: str, at: int) -> None:
        found = still.pop(id, None)
        if found is not None:
            cases.append(Duration(found[0], found[1], max(0, at - found[1]), False, *self.sizes.get(id, ())))

    def _begin(self, still: dict[str, tuple[str, int]], id: str, key: str, at: int) -> None:
        if at >= self.facts.since:
            still[id] = (key, at)

    # --- one fold an event

    def _network(self, event: ev.NetworkDefined, entry: Entry) -> None:
        self.docks |= {node.id: None for node in event.warehouses if node.drop_ship}

    def _captured(self, event: ev.OrderCaptured, entry: Entry) -> None:
        self.orders[event.order] = (event.region, event.criticality)
        at = happened_at(entry)
        # What an opening brings in came before the log begins, each at its own time.
        if at >= self.facts.since and not event.captured_at:
            lines = tuple((line.sku, line.quantity) for line in event.lines)
            self.facts.arrivals.append(Arrival(at, event.channel, event.region, lines))

    def _closed(self, event: ev.OrderClosed, entry: Entry) -> None:
        self.orders.pop(event.order, None)

    def _released(self, event: ev.ReleaseDecided, entry: Entry) -> None:
        for plan in event.fulfillment_orders:
            self.carriers[plan.id] = plan.carrier
            if plan.node not in self.docks:
                key = f"{plan.node}/{self.orders.get(event.order, ('', ''))[1]}"
                self.sizes[plan.id] = (len(plan.lines), sum(line.quantity for line in plan.lines))
                self._begin(self.released, plan.id, key, entry.now)
                self._begin(self.unpicked, plan.id, key, entry.now)

    def _picked(self, event: ev.GoodsPicked, entry: Entry) -> None:
        if event.stage == "picked":
            self._end(self.facts.picking, self.unpicked, event.fulfillment_order, happened_at(entry))

    def _unreleased(self, event: ev.ReleaseWithdrawn | ev.UnitsShorted, entry: Entry) -> None:
        id = event.fulfillment_order
        # What is partly short still ships: its parcel stands in the same entry.
        if not any(isinstance(other, ev.GoodsShipped) and other.fulfillment_order == id for other in entry.events):
            self.released.pop(id, None)
            self.unpicked.pop(id, None)

    def _shipped(self, event: ev.GoodsShipped, entry: Entry) -> None:
        at = happened_at(entry)
        self._end(self.facts.handling, self.released, event.fulfillment_order, at)
        self.unpicked.pop(event.fulfillment_order, None)
        self.sizes.pop(event.fulfillment_order, None)
        carrier, region = self.carriers.pop(event.fulfillment_order, ""), self.orders.get(event.order, ("", ""))[0]
        if carrier and region:
            self._begin(self.shipped, event.shipment, f"{event.node}/{carrier}/{region}", at)

    def _delivered(self, event: ev.ShipmentDelivered, entry: Entry) -> None:
        self._end(self.facts.transit, self.shipped, event.shipment, event.at)

    def _bought(self, event: ev.PurchaseOrderCreated, entry: Entry) -> None:
        if event.node not in self.docks and entry.now >= self.facts.since and not event.created_at:
            sku = event.lines[0].sku if len(event.lines) == 1 else ""
            self.bought[event.purchase_order] = (f"{event.supplier}/{sku}", entry.now)
            self.due[event.purchase_order] = {line.sku: line.quantity for line in event.lines}

    def _received(self, event: ev.GoodsReceived, entry: Entry) -> None:
        due = self.due.get(event.purchase_order)
        if due is not None:
            for line in event.lines:
                due[line.sku] = due.get(line.sku, 0) - line.quantity
            if not any(left > 0 for left in due.values()):
                del self.due[event.purchase_order]
                self._end(self.facts.lead_times, self.bought, event.purchase_order, happened_at(entry))

    def _unbought(self, event: ev.PurchaseOrderRejected | ev.PurchaseOrderWithdrawn, entry: Entry) -> None:
        self.bought.pop(event.purchase_order, None)
        self.due.pop(event.purchase_order, None)

    def _step(self, step: Step, entry: Entry) -> None:
        if step.kind in ("succeeded", "late") and isinstance(entry.command, AcknowledgeDelivery):
            for still in (self.released, self.unpicked, self.bought):
                if step.message.delivery.key in still:
                    still[step.message.delivery.key] = (still[step.message.delivery.key][0], happened_at(entry))
        key, gateway = (step.message.delivery.key, step.attempt), step.message.delivery.gateway
        if step.kind == "sent":
            if step.at >= self.facts.since and self.calls.policy(gateway).acknowledge:
                self.sent[key] = (gateway, step.at)
            return
        outcome = _OUTCOMES.get(step.kind)
        sent = self.sent.pop(key, None) if outcome else None
        if sent is not None and outcome is not None:
            silent = outcome == "unknown"
            self.facts.calls.append(Duration(gateway, sent[1], step.at - sent[1], silent))
            self.facts.attempts.append(Attempt(gateway, sent[1], step.at, outcome))


_OUTCOMES: Final = {
    "succeeded": "succeeded",
    # Refused for good is an answer of a counterpart that is there, and so is what cannot be carried out.
    "refused": "succeeded",
    "unusable": "succeeded",
    "failed": "failed",
    "unknown": "unknown",
    "lapsed": "unknown",
}

_FOLDS: Final[dict[type, Callable[[_Fold, Any, Entry], None]]] = {
    ev.NetworkDefined: _Fold._network,
    ev.OrderCaptured: _Fold._captured,
    ev.OrderClosed: _Fold._closed,
    ev.ReleaseDecided: _Fold._released,
    ev.GoodsPicked: _Fold._picked,
    ev.ReleaseWithdrawn: _Fold._unreleased,
    ev.UnitsShorted: _Fold._unreleased,
    ev.GoodsShipped: _Fold._shipped,
    ev.ShipmentDelivered: _Fold._delivered,
    ev.PurchaseOrderCreated: _Fold._bought,
    ev.PurchaseOrderRejected: _Fold._unbought,
    ev.PurchaseOrderWithdrawn: _Fold._unbought,
    ev.GoodsReceived: _Fold._received,
}
