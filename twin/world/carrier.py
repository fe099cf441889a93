"""The carrier: takes parcels at the dock, reports milestones, delivers in its hours."""

from __future__ import annotations

from msgspec import Struct

from twin.core.calendar import Calendar, next_open
from twin.core.commands import PublishMilestone
from twin.core.effects import Delivery
from twin.streams import Distribution
from twin.world.kernel import Phase
from twin.world.party import Link, Party

__all__ = ["Carrier", "CarrierConfig", "Parcel"]


class CarrierConfig(Struct, frozen=True):
    """Delivery hours, which milestones are reported, and the transit of each lane by (node, region)."""

    calendar: Calendar
    milestones: tuple[str, ...]
    transits: dict[tuple[str, str], Distribution]


class Parcel(Struct, frozen=True):
    """A shipment in the carrier's hands, with the milestone that comes next."""

    shipment: str
    order: str
    criticality: str
    milestone: str


class Carrier(Party):
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
        delay = next_open(self.config.calendar, now + max(0, drawn)) - now
        world.truth.record(now, "shipment.collected", shipment, node, "", delay)
        if self.reports_pickup:
            self._publish(Parcel(shipment, order, criticality, "picked_up"))
        for name, share in self.on_the_way:
            world.post(self.report, Parcel(shipment, order, criticality, name), delay * share // 1000, Phase.SHIP)
        world.post(self.deliver, Parcel(shipment, order, criticality, "delivered"), delay, Phase.SHIP)

    def report(self, parcel: Parcel) -> None:
        """A milestone on the way is reached."""
        self._publish(parcel)

    def deliver(self, parcel: Parcel) -> None:
        """The customer has the parcel."""
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
