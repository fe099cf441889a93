"""The carrier: takes parcels at the dock, reports milestones, delivers in its hours."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from twin.core.calendar import Calendar, CalendarExhausted, add_working, next_open
from twin.core.commands import LoadedParcel, PublishMilestone
from twin.core.effects import Delivery
from twin.streams import Distribution
from twin.world.disruptions import Closure, Disruption, Standstill
from twin.world.kernel import Phase
from twin.world.party import Link, Party

__all__ = ["Carrier", "CarrierConfig", "Parcel"]


ANYWHERE: Final = ("", "")
"""All ways of a carrier."""


class CarrierConfig(Struct, frozen=True):
    """Delivery hours, which milestones are reported, and the transit of each lane by (node, region): of all time, or
    of `working` time, in which it stands still while the carrier is closed."""

    calendar: Calendar
    milestones: tuple[str, ...]
    transits: dict[tuple[str, str], Distribution]
    working: bool = False

    def there(self, begin: int, transit: int) -> int:
        """When a parcel is there that goes off at `begin` (ms) and takes `transit` ms.

        Of one that takes longer than the hours are known for it is the last instant known, after the end of the run.
        """
        try:
            if self.working:
                # Work that fills the day to its end is done then; nobody delivers at that very instant.
                return next_open(self.calendar, add_working(self.calendar, begin, transit))
            return next_open(self.calendar, begin + transit)
        except CalendarExhausted:
            return max(begin, self.calendar.bounds[-1])


class Parcel(Struct, frozen=True):
    """A shipment in the carrier's hands, with the milestone that comes next, at `due_at` (ms); `lost_ms` is for how
    long its way had stood still when it was collected."""

    shipment: str
    order: str
    criticality: str
    milestone: str
    lane: tuple[str, str] = ("", "")
    lost_ms: int = 0
    due_at: int = 0


class Carrier(Party, Closure):
    """One carrier."""

    def __init__(self, id: str, link: Link, config: CarrierConfig) -> None:
        super().__init__(id, link)
        self.config = config
        reported = config.milestones
        # Where on the way each milestone is reported, in thousandths of the transit: assumed.
        self.on_the_way = [
            (name, share) for name, share in (("in_transit", 250), ("out_for_delivery", 900)) if name in reported
        ]
        self.reports_pickup = "picked_up" in reported
        # Only where a way may be closed: for how long each stood still, by (node, region); all ways are ("", "").
        self.standstills: dict[tuple[str, str], Standstill] = {}
        self.held: list[Parcel] = []

    def receive(self, message: Delivery) -> None:
        """Tell what has become of a parcel; nothing else is asked of a carrier by message: parcels come by truck."""
        if self.answered_status(message):
            return
        raise TypeError(f"{self.id} was sent {type(message.effect).__name__}, which no carrier understands")

    def collect(self, shipment: str, order: str, node: str, region: str, criticality: str) -> None:
        """Take a parcel. Its transit is keyed by the shipment: a change elsewhere leaves its luck as it was."""
        world = self.world
        now = world.now
        drawn = world.streams.draw(self.config.transits[node, region], "transit", shipment)
        delay = self.config.there(now, max(0, drawn)) - now
        world.truth.record(now, "shipment.collected", shipment, node, "", delay)
        for marketplace in world.marketplaces.values():
            marketplace.scanned(order)
        if self.reports_pickup:
            self._publish(Parcel(shipment, order, criticality, "picked_up"))
        if self.standstills:
            lane = (node, region)
            lost = self._lost(lane)
        else:
            lane, lost = ANYWHERE, 0
        for name, share in self.on_the_way:
            part = delay * share // 1000
            world.post(
                self.report, Parcel(shipment, order, criticality, name, lane, lost, now + part), part, Phase.SHIP
            )
        if world.misaddressed and shipment in world.misaddressed:
            world.post(
                self.report,
                Parcel(shipment, order, criticality, "exception", lane, lost, now + delay),
                delay,
                Phase.SHIP,
            )
            delay = self._corrected(shipment, self.config.transits[node, region], delay)
        last = Parcel(shipment, order, criticality, "delivered", lane, lost, now + delay)
        world.post(self.deliver, last, delay, Phase.SHIP)

    def expect(self, parcel: LoadedParcel, order: str, region: str, criticality: str, eta: int) -> bool:
        """Have a parcel that was collected before the run: it is there at its eta (ms).

        Where that is past or not known (0), it is there after a transit drawn under the condition that it is longer
        than what has passed. Returns whether there is such a transit: else one is drawn anew from now.
        """
        world, now = self.world, self.world.now
        shipment, node = parcel.shipment, parcel.node
        at, explained = eta, True
        if eta <= now:
            transit = self.config.transits[node, region]
            elapsed = now - parcel.shipped_at
            drawn = world.streams.draw_beyond(transit, elapsed, "transit", shipment)
            if drawn is None:
                explained = False
                drawn = elapsed + max(0, world.streams.draw(transit, "transit", shipment))
            at = max(next_open(self.config.calendar, now + drawn - elapsed), now + 1)
        world.truth.record(now, "shipment.taken_over", shipment, node, "", at - now)
        lane, lost = ((node, region), self._lost((node, region))) if self.standstills else (ANYWHERE, 0)
        last = Parcel(shipment, order, criticality, "delivered", lane, lost, at)
        world.post(self.deliver, last, at - now, Phase.SHIP)
        return explained

    def _corrected(self, shipment: str, transit: Distribution, delay: int) -> int:
        """After which time a parcel is there that went astray: it is sent anew once its address was put right."""
        world = self.world
        again = max(0, world.streams.draw(transit, "transit", shipment, "again"))
        at = world.now + delay + world.misaddressed.pop(shipment)
        return self.config.there(at, again) - world.now

    def _way(self, lane: tuple[str, str]) -> Standstill | None:
        """When a lane stood still, closures of the lane and of the whole carrier counted once."""
        return self.standstills.get(lane, self.standstills.get(ANYWHERE))

    def _lost(self, lane: tuple[str, str]) -> int:
        way = self._way(lane)
        return way.at(self.world.now) if way is not None else 0

    def _late(self, parcel: Parcel) -> bool:
        """Whether a parcel is not there yet, since its way stood still meanwhile; it then comes later."""
        way = self._way(parcel.lane)
        if way is not None and way.closures:
            self.held.append(parcel)
            return True
        later = parcel.due_at + self._lost(parcel.lane) - parcel.lost_ms - self.world.now
        if later > 0:
            self._send(parcel, later)
        return later > 0

    def _send(self, parcel: Parcel, delay: int) -> None:
        handler = self.deliver if parcel.milestone == "delivered" else self.report
        self.world.post(handler, parcel, delay, Phase.SHIP)

    def disrupted(self, disruption: Disruption, begins: bool) -> None:
        """All ways or one of them stand still, or are open again."""
        hit = [way for lane, way in self.standstills.items() if disruption.lane in (ANYWHERE, lane)]
        moves = [way.change(begins, self.world.now) for way in hit]
        if any(moves):
            held, self.held = self.held, []
            for parcel in held:
                self._send(parcel, 0)

    def report(self, parcel: Parcel) -> None:
        """A milestone on the way is reached."""
        if self.standstills and self._late(parcel):
            return
        self._publish(parcel)

    def deliver(self, parcel: Parcel) -> None:
        """The customer has the parcel."""
        if self.standstills and self._late(parcel):
            return
        self.world.truth.record(self.world.now, "shipment.delivered", parcel.shipment)
        self._publish(parcel)

    def _publish(self, parcel: Parcel) -> None:
        self.tell(
            PublishMilestone(
                f"{parcel.shipment}/{parcel.milestone}",
                self.id,
                self.world.now,
                parcel.shipment,
                parcel.order,
                parcel.milestone,
                parcel.criticality,
                parcel.shipment,
            )
        )
