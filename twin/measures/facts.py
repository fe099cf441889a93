"""What a run's measures are functions of, folded in one pass from the events of its log.

Nothing here looks into the engine: the same fold reads a production log. Instants are ms, money is minor units.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from fractions import Fraction
from hashlib import blake2b

from twin.core.entry import Entry
from twin.log import CostRates, Monitoring
from twin.measures.fold_holding import HoldingFacts
from twin.measures.fold_outside import OutsideFacts
from twin.measures.messages import Messages
from twin.measures.records import (
    CellFacts,
    ChannelFacts,
    ClassFacts,
    OrderFacts,
    OrderRecord,
    Purchase,
    PurchaseFacts,
    ReleaseFacts,
)
from twin.observability.alerts import Alert

__all__ = ["DAY_MS", "Facts", "Series"]

DAY_MS = 86_400_000


class Series:
    """Days of the run, counted from its start. Flows are sums of a day, levels stand at its end.

    Flows: orders captured, wholly shipped, wholly delivered. Levels: open units (ordered, neither delivered nor given
    up), units on hand, their value at standard cost, and backordered units. By day of the requested date: `due` orders
    and those of them delivered `on_time` in full.
    """

    def __init__(self, days: int) -> None:
        self.captured = [0] * days
        self.shipped = [0] * days
        self.delivered = [0] * days
        self.backlog = [0] * days
        self.on_hand = [0] * days
        self.value = [0] * days
        self.backordered = [0] * days
        self.due = [0] * days
        self.on_time = [0] * days


class Facts:
    """Sums over the window [`begin`, `end`] and what is open at its end; `collect` makes it."""

    def __init__(self, start_ms: int, end_ms: int, warmup_ms: int, rates: CostRates, trace: bool) -> None:
        self.start = start_ms
        self.begin = min(start_ms + warmup_ms, end_ms)
        self.end = end_ms
        self.rates = rates
        self.trace = trace
        self.entries = 0
        self.series = Series(max(1, -((start_ms - end_ms) // DAY_MS)))
        self.messages = Messages()
        # What was watched, and the alerts that it led to.
        self.monitoring: Monitoring | None = None
        self.alerts: list[Alert] = []

        # Open things.
        self.orders: dict[str, OrderFacts] = {}
        self.releases: dict[str, ReleaseFacts] = {}
        self.purchases: dict[str, PurchaseFacts] = {}
        self.cells: dict[str, dict[str, CellFacts]] = {}
        self.refused_captures: dict[str, tuple[int, str]] = {}
        self.left_at_end: list[OrderFacts] = []
        self.records: dict[str, OrderRecord] = {}
        # Ids that are closed, as 64-bit digests: only ever asked whether one is there.
        self._closed: dict[int, None] = {}

        # Master data that money and stock depend on.
        self.costs: dict[str, int] = {}
        self.interventions = 0
        self.intervention_cost = 0
        # Docks of suppliers that ship to the customer themselves.
        self.drop_ship_nodes: dict[str, None] = {}
        self.counted_nodes: dict[str, bool] = {}

        # Levels over all cells, and open units.
        self.on_hand_units = 0
        self.on_hand_value = 0
        self.backordered_units = 0
        self.open_units = 0
        self._days = 0
        # The day of the series that is being folded.
        self.today = 0
        self._periods = 0
        self._next_roll = start_ms
        self.ends_on_hand = 0
        self.ends_value = 0
        self.ends_backordered = 0

        # Units refused for want of stock in the window: at, item, units, units of the line that were taken from stock,
        # and of each candidate the node, units on hand and units free of other demand, as believed. With a trace only.
        self.turned_away: list[tuple[int, str, int, int, tuple[tuple[str, int, int], ...]]] = []

        # With a trace only: records of master data that came after the start (at, field, node, item, value), purchase
        # orders by id, decisions to wait for supply (at, node, item, order), and orders refused over a blocked item
        # (at, order, items).
        self.recorded: list[tuple[int, str, str, str, int]] = []
        self.bought: dict[str, Purchase] = {}
        self.waited: list[tuple[int, str, str, str]] = []
        self.blocked: list[tuple[int, str, tuple[str, ...]]] = []

        # Orders due in the window, by class; and by the date of their first promise.
        self.classes: dict[str, ClassFacts] = {}
        self.promised_due = 0
        self.promised_kept = 0
        self.committed = 0
        self.committed_kept = 0

        # Orders captured in the window.
        self.channels: dict[str, ChannelFacts] = {}
        self.first_units = 0
        self.first_lines = 0
        self.first_orders = 0
        self.captured_units = 0
        self.captured_lines = 0
        self.captured_orders = 0
        self.touched_orders = 0
        self.touches = 0
        self.fallout_orders = 0
        self.paths: dict[str, int] = {}
        self.decisions: dict[str, int] = {}

        # Durations in ms, by the instant at which they end.
        self.cycle = array("q")
        self.capture_to_release = array("q")
        self.release_to_ship = array("q")
        self.ship_to_deliver = array("q")
        self.order_to_ship = array("q")
        self.promise_lead = array("q")
        self.promise_error = array("q")
        self.shortage_to_purchase = array("q")
        self.supplier_response = array("q")
        self.milestone_lag = array("q")
        self.feed_ages = array("q")
        self.invoice_lag_sum = 0
        self.invoice_count = 0

        self.promised_lines = 0
        self.promise_changes = 0
        self.promise_moved_ms = 0
        self.cycles = 0
        self.cycles_served = 0
        self.expired_units = 0
        self.purchase_orders = 0
        self.unpegged_purchase_orders = 0
        self.demand: dict[int, int] = {}
        self.ordered: dict[int, int] = {}

        # Money in the window.
        self.revenue = 0
        self.late_credits = 0
        self.credited = 0
        # At the orders' own prices.
        self.shipped_value = 0
        self.billed_value = 0
        self.written_off = 0
        # Orders that missed the date asked for.
        self.late_value = 0
        # Invoices that the ERP has not confirmed, and by day what was shipped and what it confirmed.
        self.unposted: dict[str, int] = {}
        self.shipped_by_day: dict[int, int] = {}
        self.posted_by_day: dict[int, int] = {}
        self.cost_of_goods = 0
        self.freight = 0
        self.ordering = 0

        # Where the inventory is held outside: what became of claims, and units kept for others by (node, item).
        self.holding = HoldingFacts()
        self.outside = OutsideFacts()
        self.elsewhere: dict[tuple[str, str], int] = {}

        # Decisions in the window that broke a rule, by rule.
        self.breaches: dict[str, int] = {}

        # What must be zero, and what must be whole.
        self.duplicates: dict[str, int] = {}
        self.invoices_before_ship = 0
        self.unbilled_value = 0
        self.double_billed_value = 0
        self.illegal_transitions = 0
        self.stale_overwrites = 0
        self.chained_units = 0
        self.moved_units = 0
        self.shipments_delivered = 0
        self.shipments_picked_up = 0

    @classmethod
    def collect(
        cls,
        entries: Iterable[Entry],
        start_ms: int,
        end_ms: int,
        warmup_ms: int = 0,
        rates: CostRates | None = None,
        *,
        trace: bool = False,
    ) -> Facts:
        """Fold entries up to `end_ms`; those before `start_ms + warmup_ms` shape the state but are not counted.

        `trace` keeps what the comparison with the truth or with another run needs: memory grows with the stock
        movements and the orders then, otherwise with what is open.
        """
        facts = cls(start_ms, end_ms, warmup_ms, CostRates() if rates is None else rates, trace)
        facts._fold(entries)
        facts._finish()
        return facts

    @property
    def window_ms(self) -> int:
        """Length of the window."""
        return self.end - self.begin

    @property
    def periods(self) -> Fraction:
        """Periods of the cost rates in the window, not always a whole number."""
        return Fraction(self.window_ms, self.rates.period_ms)

    def cell(self, node: str, sku: str, now: int) -> CellFacts:
        """The stock of an item at a node; it begins to exist when it is first asked for."""
        cells = self.cells.get(node)
        if cells is None:
            cells = self.cells[node] = {}
        cell = cells.get(sku)
        if cell is None:
            cell = cells[sku] = CellFacts(sku, max(now, self.begin))
        return cell

    def shift(self, cell: CellFacts, now: int, free: int, on_hand: int) -> None:
        """Move units into or out of a cell's free stock and its building."""
        cell.settle(now)
        cell.free += free
        if on_hand:
            before = cell.on_hand
            after = cell.on_hand = before + on_hand
            held = (after if after > 0 else 0) - (before if before > 0 else 0)
            self.on_hand_units += held
            self.on_hand_value += held * self.costs.get(cell.sku, 0)
            if self.trace:
                cell.levels.extend((now, after))

    def wait(self, cell: CellFacts, now: int, units: int) -> None:
        """Change how many units wait for a cell's supply."""
        cell.settle(now)
        cell.backordered += units
        self.backordered_units += units

    def duplicate(self, effect: str) -> None:
        """Count a business effect beyond the first for its key."""
        self.duplicates[effect] = self.duplicates.get(effect, 0) + 1

    def breach(self, rule: str, now: int) -> None:
        """Count a decision that broke a rule."""
        if now >= self.begin:
            self.breaches[rule] = self.breaches.get(rule, 0) + 1

    def day(self, now: int) -> int:
        """The day's index in the series."""
        return min(max(0, (now - self.start) // DAY_MS), len(self.series.captured) - 1)

    def was_closed(self, key: str) -> bool:
        """Whether this id was closed before."""
        return _digest(key) in self._closed

    def close(self, key: str) -> None:
        """Remember an id that is closed, in 64 bits: a million of them must not fill the memory."""
        self._closed[_digest(key)] = None

    def close_order(self, order: OrderFacts) -> None:
        """Count an order that is over, or that is open at the end of the run."""
        withdrawn = promised = full = 0
        first = lines = chained = moved = 0
        for line in order.lines.values():
            withdrawn += line.withdrawn
            if line.delivered >= line.ordered - line.withdrawn:
                full += 1
            if line.first_pass >= line.ordered:
                lines += 1
            first += line.first_pass
            promised += line.first_promised > 0
            self.unbilled_value += max(0, line.shipped - line.billed) * line.price_minor
            self.double_billed_value += max(0, line.billed - line.shipped) * line.price_minor
            moved += line.shipped
            chained += min(line.reserved, line.released, line.shipped)
            if order.counted:
                self.paths[line.path] = self.paths.get(line.path, 0) + 1
        count = len(order.lines)
        ordered = sum([line.ordered for line in order.lines.values()])
        self.moved_units += moved
        self.chained_units += chained
        in_full = full == count
        if order.counted:
            self.first_units += first
            self.first_lines += lines
            self.first_orders += lines == count
            self.touches += order.touches
            self.touched_orders += order.touches > 0
            self.fallout_orders += order.fallout or order.touches > 0
        self._count_due(order, ordered - withdrawn, in_full)
        if in_full and withdrawn < ordered and order.delivered_at >= self.begin:
            self._count_durations(order)
        if self.trace:
            whole = order.delivered_at if in_full and withdrawn < ordered else 0
            sold = order.lines.values()
            self.records[order.id] = OrderRecord(
                order.captured_at,
                order.requested_at,
                whole,
                tuple(dict.fromkeys(order.nodes)),
                sum([line.ordered * line.price_minor for line in sold]),
                sum([line.delivered * line.price_minor for line in sold]),
                sum([line.delivered for line in sold]),
                order.freight_minor,
            )

    def _count_due(self, order: OrderFacts, wanted: int, in_full: bool) -> None:
        due = order.requested_at
        if self.begin <= due < self.end:
            group = self.classes.get(order.criticality)
            if group is None:
                group = self.classes[order.criticality] = ClassFacts()
            if not wanted:
                group.withdrawn += 1
            else:
                group.due += 1
                group.full += in_full
                on_time = in_full and order.delivered_at <= due
                if not on_time:
                    lines = order.lines.values()
                    self.late_value += sum([(line.ordered - line.withdrawn) * line.price_minor for line in lines])
                group.on_time += on_time
                day = self.day(due)
                self.series.due[day] += 1
                self.series.on_time[day] += on_time
        # An order that was never promised fails at the date that was asked for.
        promised = order.promised_at or due
        if wanted and self.begin <= promised < self.end:
            self.promised_due += 1
            self.promised_kept += in_full and 0 < order.delivered_at <= order.promised_at

    def _count_durations(self, order: OrderFacts) -> None:
        delivered = order.delivered_at
        self.cycle.append(delivered - order.captured_at)
        if order.released_at >= 0:
            self.capture_to_release.append(order.released_at - order.captured_at)
            self.release_to_ship.append(order.shipped_at - order.released_at)
        self.ship_to_deliver.append(delivered - order.shipped_at)
        if order.promised_at:
            self.committed += 1
            self.committed_kept += delivered <= order.promised_at
            self.promise_error.append(delivered - order.promised_at)

    def _fold(self, entries: Iterable[Entry]) -> None:
        from twin.measures.folds import FOLDS

        end = self.end
        messages = self.messages
        folds = FOLDS
        for entry in entries:
            now = entry.now
            if now > end:
                break
            if now >= self._next_roll:
                self._roll(now)
            self.entries += 1
            if messages.take(self, entry):
                for event in entry.events:
                    fold = folds[type(event)]
                    if fold is not None:
                        fold(self, event, now)
                self.outside.take(entry)
                messages.send(self, entry)

    def _roll(self, now: int) -> None:
        """Write down the levels at the ends of the days and periods that are over before anything at `now`."""
        series, period, start = self.series, self.rates.period_ms, self.start
        while start + (self._days + 1) * DAY_MS <= now and self._days < len(series.backlog):
            self._write_day()
        while (at := start + (self._periods + 1) * period) <= now:
            self._periods += 1
            if self.begin < at <= self.end:
                self.ends_on_hand += self.on_hand_units
                self.ends_value += self.on_hand_value
                self.ends_backordered += self.backordered_units
        self._next_roll = min(start + (self._days + 1) * DAY_MS, start + (self._periods + 1) * period)

    def _write_day(self) -> None:
        series, day = self.series, self._days
        series.backlog[day] = self.open_units
        series.on_hand[day] = self.on_hand_units
        series.value[day] = self.on_hand_value
        series.backordered[day] = self.backordered_units
        self._days += 1
        self.today = min(self._days, len(series.backlog) - 1)

    def _finish(self) -> None:
        self._roll(self.end)
        while self._days < len(self.series.backlog):
            self._write_day()
        for cells in self.cells.values():
            for cell in cells.values():
                cell.settle(self.end)
                cell.revalue(self.costs.get(cell.sku, 0))
        for order in self.orders.values():
            self.close_order(order)
            self.left_at_end.append(order)
        # An order that was refused and never came again fell due all the same.
        for due, criticality in self.refused_captures.values():
            if self.begin <= due < self.end:
                self.classes.setdefault(criticality, ClassFacts()).due += 1
                self.series.due[self.day(due)] += 1
                self.promised_due += 1

    def all_cells(self) -> Iterable[tuple[str, CellFacts]]:
        """Every cell with its node."""
        return [(node, cell) for node, cells in self.cells.items() for cell in cells.values()]


def _digest(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")
