"""The warehouse: physical stock, pickers in shifts, the dock and the carriers' pickups; its WMS tells the engine.

The shelf is the truth. What the WMS tells may be late, and shrink is told by nobody until the next count.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from msgspec import Struct

from twin.core.calendar import Calendar, CalendarExhausted, add_working, is_open, next_open
from twin.core.commands import (
    AdjustStock,
    ConfirmCancellation,
    ConfirmPick,
    ConfirmShipment,
    CountStock,
    ReceiveGoods,
    StockLine,
)
from twin.core.effects import CancelRelease, Delivery, PurchaseLine, ReleaseToWarehouse
from twin.core.master import CRITICALITIES
from twin.streams import Distribution, Exponential, Fixed
from twin.world.disruptions import Closure, Disruption, Standstill
from twin.world.kernel import Phase
from twin.world.party import Link, Party
from twin.world.recent import Recent

__all__ = ["Arrival", "Job", "Pickups", "Warehouse", "WarehouseConfig"]

DAY_MS = 86_400_000


class Pickups(Struct, frozen=True):
    """When one carrier's truck leaves, in rising UTC ms, and how many parcels it takes (0: no limit)."""

    carrier: str
    instants: tuple[int, ...]
    capacity: int = 0


class WarehouseConfig(Struct, frozen=True):
    """The physical set-up. Pick times are of one picker, and what is `drawn` for an order is added to them; `pickers` 0
    has no limit; `shrink_ppm_per_day` of the units on hand vanish unseen; `count_ms` 0 never counts."""

    calendar: Calendar
    pickers: int = 0
    order_ms: int = 0
    line_ms: int = 0
    unit_ms: int = 0
    exponential: bool = False
    reports: tuple[str, ...] = ("shipped",)
    dock_to_stock: Distribution = Fixed(0)
    pickups: tuple[Pickups, ...] = ()
    shrink_ppm_per_day: int = 0
    count_ms: int = 0
    drawn: Distribution | None = None


class Job(Struct):
    """A fulfillment order in the building, `arrived` as the n-th. `picked` are (line, sku, units)."""

    priority: int
    arrived: int
    criticality: str
    effect: ReleaseToWarehouse
    picked: tuple[tuple[int, str, int], ...] = ()


class Arrival(Struct, frozen=True):
    """A truck with purchased goods at the dock."""

    purchase_order: str
    receipt: str
    lines: tuple[PurchaseLine, ...]


class Unloading(Struct, frozen=True):
    """Goods that will be put away at `due_at` (ms); the site had been closed for `lost_ms` when they came."""

    arrival: Arrival
    due_at: int
    lost_ms: int


class Warehouse(Party, Closure):
    """One site."""

    def __init__(self, id: str, node: str, link: Link, config: WarehouseConfig, opening: dict[str, int]) -> None:
        super().__init__(id, link)
        self.node = node
        self.config = config
        self.shelf = dict(opening)
        # In the building, not for sale: nobody picks it.
        self.quarantined: dict[str, int] = {}
        # Units of instructions not picked yet, kept only where someone asks for them.
        self.claimed: dict[str, int] | None = None
        self.staged: dict[str, int] = {}
        self.queue: list[tuple[int, int, str, Job]] = []
        self.free_pickers = config.pickers
        self.opening_at = -1
        self.arrived = 0
        self.standstill = Standstill()
        # What waits for the site to open again: goods to put away, and parcels whose carrier has no truck times.
        self.at_the_gate: list[Unloading] = []
        self.packed: list[Job] = []
        # Pickers who are missing: cuts may overlap, and the one that leaves the fewest counts.
        self.cuts: dict[str, int] = {}
        self.missing = 0
        # Fulfillment orders that were begun, and those that will not be; kept only where one may be cancelled.
        self.taken: dict[str, None] = Recent()
        self.cancelled: dict[str, None] = Recent()
        self.sequence = 0
        self.dock: dict[str, list[tuple[int, int, str, Job]]] = {pickups.carrier: [] for pickups in config.pickups}
        self.trucks = {pickups.carrier: pickups for pickups in config.pickups}
        self.next_truck = dict.fromkeys(self.trucks, 0)
        self.at_once = (
            not config.pickers
            and not config.calendar.bounds
            and not (config.order_ms or config.line_ms or config.unit_ms or config.drawn is not None)
        )

    def unclaimed(self, sku: str) -> int:
        """Units on the shelf beyond those of instructions that wait for a picker or are with one."""
        claimed = self.claimed.get(sku, 0) if self.claimed is not None else 0
        return max(0, self.shelf.get(sku, 0) - claimed)

    def _claim(self, claimed: dict[str, int], job: Job, sign: int) -> None:
        for line in job.effect.lines:
            claimed[line.sku] = claimed.get(line.sku, 0) + sign * line.quantity

    def start(self) -> None:
        """Book the opening stock into the truth and set the site's own clocks."""
        world, config = self.world, self.config
        for sku, units in self.shelf.items():
            world.truth.record(world.now, "stock.opening", "", self.node, sku, units)
        for sku, units in self.quarantined.items():
            world.truth.record(world.now, "stock.opening", "quarantined", self.node, sku, units)
        for carrier in self.trucks:
            self._await_truck(carrier)
        if config.shrink_ppm_per_day:
            world.post(self.shrink, None, DAY_MS, Phase.FAULT)
        if config.count_ms:
            world.post(self.count, None, config.count_ms, Phase.FEED)

    # --- outbound

    def receive(self, message: Delivery) -> None:
        """Take an instruction of the engine."""
        if self.link.supervised and self.answered_status(message):
            return
        new, effect = self.accept(message), message.effect
        if type(effect) is not ReleaseToWarehouse:
            if isinstance(effect, CancelRelease):
                # Answered however often it comes: the first answer may have been lost.
                self._cancel(message, effect)
            return
        if not new:
            return
        if self.cancelled and message.key in self.cancelled:
            return
        if self.link.cancellable:
            self.taken[message.key] = None
        self.arrived += 1
        priority = CRITICALITIES.index(message.criticality) if message.criticality else len(CRITICALITIES)
        job = Job(priority, self.arrived, message.criticality, effect)
        if self.at_once and not self.standstill.closures:
            self._pick(job)
        else:
            if self.claimed is not None:
                self._claim(self.claimed, job, 1)
            heappush(self.queue, (priority, self.arrived, message.key, job))
            self._dispatch()

    def _cancel(self, message: Delivery, effect: CancelRelease) -> None:
        """Do not ship, if nobody has begun to pick; what was never told will not be begun when it comes."""
        key = effect.fulfillment_order
        waiting = next((row for row in self.queue if row[2] == key), None)
        outcome = "cancelled"
        if waiting is not None:
            self.queue.remove(waiting)
            heapify(self.queue)
            if self.claimed is not None:
                self._claim(self.claimed, waiting[3], -1)
        elif key in self.taken and key not in self.cancelled:
            outcome = "too_late"
        if outcome == "cancelled":
            self.cancelled[key] = None
        self.respond(
            message,
            ConfirmCancellation(
                f"{message.key}/answer",
                self.id,
                self.world.now,
                key,
                effect.order,
                self.node,
                outcome,
                message.criticality,
                message.key,
            ),
        )

    def _dispatch(self) -> None:
        """Give waiting jobs to free pickers while the shift is on; otherwise wait for the next shift."""
        calendar, now = self.config.calendar, self.world.now
        unlimited = not self.config.pickers
        while self.queue and (unlimited or self.free_pickers > 0) and not self.standstill.closures:
            try:
                if not is_open(calendar, now):
                    self._await_opening(next_open(calendar, now))
                    return
            except CalendarExhausted:
                return  # past the known shifts the jobs stay in the building, open and visible
            job = heappop(self.queue)[3]
            self.free_pickers -= 0 if unlimited else 1
            try:
                end = add_working(calendar, now, self._duration(job))
            except CalendarExhausted:
                continue  # so does one that takes longer than they last, and others go on
            self.world.post(self.finish, job, end - now, Phase.SHIP)

    def _await_opening(self, at: int) -> None:
        if self.opening_at < at:
            self.opening_at = at
            self.world.post(self.open, None, at - self.world.now, Phase.RELEASE)

    def open(self, message: None) -> None:
        """A shift begins."""
        self._dispatch()

    def _duration(self, job: Job) -> int:
        config = self.config
        effect = job.effect
        units = sum([line.quantity for line in effect.lines]) if config.unit_ms else 0
        mean = config.order_ms + config.line_ms * len(effect.lines) + config.unit_ms * units
        if config.exponential and mean:
            mean = self.world.streams.draw(Exponential(mean), "pick", effect.fulfillment_order)
        if config.drawn is not None:
            mean += max(0, self.world.streams.draw(config.drawn, "handling", effect.fulfillment_order))
        return mean

    def finish(self, job: Job) -> None:
        """A picker is done with a job."""
        if self.config.pickers:
            self.free_pickers += 1
        if self.claimed is not None:
            self._claim(self.claimed, job, -1)
        self._pick(job)
        self._dispatch()

    def _pick(self, job: Job) -> None:
        """Take from the shelf what is there, and bring it to the dock."""
        effect = job.effect
        shelf, staged = self.shelf, self.staged
        picked = []
        for line in effect.lines:
            units = min(line.quantity, shelf.get(line.sku, 0))
            if units > 0:
                shelf[line.sku] -= units
                staged[line.sku] = staged.get(line.sku, 0) + units
                picked.append((line.line, line.sku, units))
        job.picked = tuple(picked)
        for stage in self.config.reports:
            if stage != "shipped" and picked:
                self._report(job, stage)
        if effect.carrier in self.dock:
            heappush(self.dock[effect.carrier], (job.priority, job.arrived, effect.fulfillment_order, job))
        elif self.standstill.closures:
            self.packed.append(job)
        else:
            self._hand_over(job)

    def _report(self, job: Job, stage: str) -> None:
        effect = job.effect
        fulfillment = effect.fulfillment_order
        self.tell(
            ConfirmPick(
                f"{fulfillment}/{stage}",
                self.id,
                self.world.now,
                fulfillment,
                effect.order,
                self.node,
                stage,
                job.criticality,
                fulfillment,
            )
        )

    def _await_truck(self, carrier: str) -> None:
        pickups = self.trucks[carrier]
        index, now = self.next_truck[carrier], self.world.now
        instants = pickups.instants
        while index < len(instants) and instants[index] < now:
            index += 1
        if index < len(instants):
            self.next_truck[carrier] = index + 1
            self.world.post(self.load, carrier, instants[index] - now, Phase.SHIP)

    def load(self, carrier: str) -> None:
        """A carrier's truck takes parcels, most critical first, up to its capacity; the rest waits for the next."""
        waiting = self.dock[carrier]
        room = 0 if self.standstill.closures else self.trucks[carrier].capacity or len(waiting)
        while waiting and room:
            room -= 1
            self._hand_over(heappop(waiting)[3])
        self._await_truck(carrier)

    def _hand_over(self, job: Job) -> None:
        """The parcel leaves: the truth moves, the engine is told, the carrier has it."""
        world, node = self.world, self.node
        effect = job.effect
        shipment = f"{effect.fulfillment_order}/s"
        if job.picked:
            self.sequence += 1
            record, now = world.truth.record, world.now
            shipped: dict[int, int] = {}
            for line, sku, units in job.picked:
                self.staged[sku] -= units
                shipped[line] = shipped.get(line, 0) + units
                record(now, "stock.shipped", shipment, node, sku, -units)
            lines = tuple(shipped.items())
            if world.holder is not None:
                world.holder.shipped(effect.order, node, job.picked)
        else:
            lines = ()
        self.tell(
            ConfirmShipment(
                shipment,
                self.id,
                world.now,
                shipment,
                effect.fulfillment_order,
                effect.order,
                node,
                lines,
                self.sequence,
                job.criticality,
                effect.fulfillment_order,
            )
        )
        if lines:
            world.carrier(effect.carrier).collect(shipment, effect.order, node, effect.region, job.criticality)

    # --- inbound

    def arrive(self, arrival: Arrival) -> None:
        """Purchased goods are at the dock; they are invisible until they are put away."""
        world = self.world
        delay = max(0, world.streams.draw(self.config.dock_to_stock, "dock_to_stock", arrival.receipt))
        unloading = Unloading(arrival, world.now + delay, self.standstill.at(world.now))
        world.post(self.unload, unloading, delay, Phase.GOODS)

    def unload(self, unloading: Unloading) -> None:
        """Goods would be put away by now, were it not for the time in which the site was closed."""
        if self.standstill.closures:
            self.at_the_gate.append(unloading)
            return
        later = unloading.due_at + self.standstill.lost_ms - unloading.lost_ms - self.world.now
        if later > 0:
            again = Unloading(unloading.arrival, self.world.now + later, self.standstill.lost_ms)
            self.world.post(self.unload, again, later, Phase.GOODS)
        else:
            self.put_away(unloading.arrival)

    def put_away(self, arrival: Arrival) -> None:
        """Goods reach the shelf and the engine is told."""
        world = self.world
        self.sequence += 1
        for line in arrival.lines:
            self.shelf[line.sku] = self.shelf.get(line.sku, 0) + line.quantity
            world.truth.record(world.now, "stock.received", arrival.receipt, self.node, line.sku, line.quantity)
        self.tell(
            ReceiveGoods(
                arrival.receipt,
                self.id,
                world.now,
                arrival.receipt,
                arrival.purchase_order,
                self.node,
                tuple([StockLine(line.sku, line.quantity) for line in arrival.lines]),
                self.sequence,
                arrival.purchase_order,
            )
        )

    def disrupted(self, disruption: Disruption, begins: bool) -> None:
        """The site closes or opens again, or pickers go or come back; work goes on once every change of this instant is
        known, so that none slips through a gap between two closures that touch."""
        if disruption.kind == "capacity_cut":
            if begins:
                self.cuts[disruption.id] = disruption.left_ppm
            else:
                del self.cuts[disruption.id]
            self.recount()
        else:
            self.standstill.change(begins, self.world.now)
        if not begins:
            self.world.post(self.resume, None, 0, Phase.GOODS)

    def recount(self) -> None:
        """See how many pickers are missing of those that there are."""
        pickers, before = self.config.pickers, self.missing
        self.missing = pickers - pickers * min(self.cuts.values(), default=1_000_000) // 1_000_000
        self.free_pickers -= self.missing - before

    def resume(self, message: None) -> None:
        """Go on with what waited, unless the site is still closed."""
        if self.standstill.closures:
            return
        unloadings, self.at_the_gate = self.at_the_gate, []
        for unloading in unloadings:
            self.unload(unloading)
        packed, self.packed = self.packed, []
        for job in packed:
            self._hand_over(job)
        self._dispatch()

    # --- corrections

    def adjust(self, adjustment: tuple[str, str, int, str]) -> None:
        """Correct the shelf by (id, sku, signed units, reason); it cannot lose more than is there."""
        key, sku, wanted, reason = adjustment
        world = self.world
        units = max(wanted, -self.shelf.get(sku, 0))
        if units != wanted:
            world.truth.record(world.now, "stock.adjustment_capped", key, self.node, sku, wanted - units, reason)
        if not units:
            return
        self.shelf[sku] = self.shelf.get(sku, 0) + units
        self.sequence += 1
        world.truth.record(world.now, "stock.adjusted", key, self.node, sku, units, reason)
        self.tell(AdjustStock(key, self.id, world.now, self.node, sku, units, reason, self.sequence, key))

    def shrink(self, message: None) -> None:
        """A day's shrink, which nobody sees."""
        world, share = self.world, self.config.shrink_ppm_per_day
        day = world.now // DAY_MS
        for sku, units in self.shelf.items():
            if units > 0:
                # floor(units * share + v), v uniform: the mean is kept at any rate.
                lost = (units * share * 1024 + (world.streams.bits("shrink", self.node, sku, day) % 1_024_000_000)) // (
                    1_024_000_000
                )
                lost = min(lost, units)
                if lost:
                    self.shelf[sku] = units - lost
                    world.truth.record(world.now, "stock.shrunk", "", self.node, sku, -lost)
        world.post(self.shrink, None, DAY_MS, Phase.FAULT)

    def count(self, message: None) -> None:
        """Count what is in the building, shelf and staging, and tell the engine."""
        world = self.world
        apart = self.quarantined
        lines = tuple(
            [
                StockLine(sku, self.shelf.get(sku, 0) + self.staged.get(sku, 0) + apart.get(sku, 0))
                for sku in ({**self.shelf, **apart} if apart else self.shelf)
            ]
        )
        if lines:
            self.tell(CountStock(f"count/{world.now}", self.id, world.now, self.node, lines, self.sequence), Phase.FEED)
        world.post(self.count, None, self.config.count_ms, Phase.FEED)

    def take_stock(self) -> None:
        """Write down what stands in the building at the end of the run, for the books."""
        world = self.world
        for sku in sorted({**self.shelf, **self.staged, **self.quarantined}):
            units = self.shelf.get(sku, 0) + self.staged.get(sku, 0) + self.quarantined.get(sku, 0)
            world.truth.record(world.now, "stock.closing", "", self.node, sku, units)
