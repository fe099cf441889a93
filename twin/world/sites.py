"""The physical network, compiled before the clock starts: calendars, departures, lead times and promised transits."""

from __future__ import annotations

from bisect import bisect_right

from msgspec import Struct

from twin.core.calendar import Calendar, add_working, next_open
from twin.core.master import Departures, Lane
from twin.core.master import Warehouse as Node
from twin.scenario import Scenario, calendar_named, compile_calendar, compile_instants
from twin.scenario.business import Lane as LaneSpec
from twin.scenario.business import PickTime, Warehouse
from twin.scenario.policies import Waves
from twin.scenario.times import DAYS
from twin.scenario.units import DAY_MS, Money
from twin.streams import Distribution
from twin.world.warehouse import Pickups

__all__ = ["KNOWN_AHEAD_MS", "Sites", "docks", "minor"]

KNOWN_AHEAD_MS = 400 * DAY_MS
"""How far past the run calendars and departures are known, so that late promises have a date."""


class Sites(Struct, frozen=True):
    """Calendars by id, pickups by warehouse, promised transit in ms by (node, region)."""

    scenario: Scenario
    calendars: dict[str, Calendar]
    pickups: dict[str, tuple[Pickups, ...]]
    promises: dict[tuple[str, str], int]

    @classmethod
    def of(cls, scenario: Scenario) -> Sites:
        """Compile what the scenario says of places and times."""
        start, end = scenario.run.start, scenario.run.end + KNOWN_AHEAD_MS
        names = ["always"] + [calendar.id for calendar in scenario.calendars]
        calendars = {name: compile_calendar(calendar_named(scenario.calendars, name), start, end) for name in names}
        pickups = {}
        for warehouse in [*scenario.warehouses, *docks(scenario)]:
            spec = calendar_named(scenario.calendars, warehouse.calendar)
            pickups[warehouse.id] = tuple(
                Pickups(
                    pickup.carrier,
                    compile_instants(spec, pickup.at, pickup.days, start, end),
                    pickup.capacity or 0,
                )
                for pickup in warehouse.pickups
            )
        promises = {(lane.from_, lane.to): lane.promise_ms for lane in scenario.lanes}
        return cls(scenario, calendars, pickups, promises)

    def lanes(self) -> tuple[Lane, ...]:
        """The lanes as the engine knows them; where several carriers serve the same way, the cheapest, then by id."""
        best: dict[tuple[str, str], Lane] = {}
        for spec in self.scenario.lanes:
            lane = _lane(spec)
            known = best.get((lane.node, lane.region))
            if known is None or (lane.shipment_cost_minor, lane.carrier) < (known.shipment_cost_minor, known.carrier):
                best[lane.node, lane.region] = lane
        return tuple(best.values())

    def lanes_of(self, carrier: str) -> tuple[Lane, ...]:
        """All lanes of a carrier as the engine would know them, whether or not it is the cheapest there."""
        return tuple([_lane(spec) for spec in self.scenario.lanes if spec.carrier == carrier])

    def node(self, warehouse: Warehouse) -> Node:
        """A warehouse as the engine knows it."""
        scenario = self.scenario
        spec = calendar_named(scenario.calendars, warehouse.calendar)
        start, end = scenario.run.start, scenario.run.end + KNOWN_AHEAD_MS
        handling = warehouse.pick_time.told_ms
        departures = []
        for pickups in self.pickups[warehouse.id]:
            closing: tuple[int, ...] = ()
            if warehouse.cut_off is not None:
                closing = compile_instants(spec, (warehouse.cut_off,), DAYS, start - DAY_MS, end)
            cut_offs = []
            for leaves in pickups.instants:
                index = bisect_right(closing, leaves) - 1
                ready = leaves - handling
                # An early truck of the day takes what was ready in time; the day's cut-off holds for the later ones.
                same_day = index >= 0 and leaves - closing[index] < DAY_MS // 2
                cut_offs.append(min(ready, closing[index]) if same_day else ready)
            departures.append(Departures(pickups.carrier, tuple(cut_offs), pickups.instants))
        release = scenario.policies.release
        waves = compile_instants(spec, release.at, DAYS, start, end) if isinstance(release, Waves) else ()
        return Node(
            warehouse.id,
            self.calendars[warehouse.calendar],
            tuple(departures),
            waves,
            handling,
            warehouse.counting is not None,
            all(known.id != warehouse.id for known in scenario.warehouses),
        )

    def lead_ms(self, supplier: str, lead_time: Distribution | None) -> int:
        """The lead time that planning expects: the mean of working time, as ms of the calendar from the run's start."""
        for spec in self.scenario.suppliers:
            if spec.id == supplier:
                distribution = lead_time or spec.lead_time
                calendar = self.calendars[spec.calendar]
                begin = next_open(calendar, self.scenario.run.start)
                return add_working(calendar, begin, round(distribution.expected())) - self.scenario.run.start
        raise KeyError(supplier)


def _lane(spec: LaneSpec) -> Lane:
    shipment, unit = minor(spec.cost.shipment), minor(spec.cost.unit)
    return Lane(spec.from_, spec.to, spec.carrier, spec.promise_ms, shipment, unit)


def docks(scenario: Scenario) -> list[Warehouse]:
    """The docks of suppliers that ship to customers, as the warehouses that they are to everybody else."""
    return [
        # Read already: what is checked is the text of a file.
        Warehouse.model_construct(
            id=source.id,
            calendar=source.calendar,
            cut_off=source.drop_ship.cut_off,
            pick_time=PickTime.model_construct(order=source.drop_ship.handling),
            pickups=source.drop_ship.pickups,
        )
        for source in scenario.suppliers
        if source.drop_ship is not None
    ]


def minor(money: Money | None) -> int:
    """Minor units of an amount; 0 where none is given."""
    return 0 if money is None else money.minor
