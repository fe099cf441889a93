"""At which quantile of a scenario's distributions the parcels, purchases and picks of a log stand."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from twin.core.calendar import Calendar, add_working, next_open
from twin.event_log import EventLog
from twin.replay.log_facts import Purchase, Transit, parcels_of, purchases_of
from twin.replay.working_time import worked
from twin.residuals import ONE, Residual
from twin.scenario import Scenario, calendar_named, compile_calendar
from twin.scenario.business import Warehouse
from twin.scenario.disruptions import CarrierClosed, Disruption, LaneClosed, SupplierClosed, WarehouseClosed
from twin.streams import Distribution, Exponential

__all__ = ["Residuals", "residuals_of"]

_MILLION: Final = 1_000_000


class Residuals(Struct, frozen=True):
    """The residuals of a log, and how many of its parcels and purchases have none, by why."""

    rows: tuple[Residual, ...]
    without: dict[str, int]


def residuals_of(log: EventLog, scenario: Scenario, until: int) -> Residuals:
    """The residuals of everything that began before `until` (ms) under the scenario's distributions.

    A transit is taken without the time for which the scenario's closures hold its carrier or its way still, a lead time
    without that in which its supplier's plant is closed; what a closed site may have held up has no residual. A transit
    that ended at an opening, and one that is still under way, is known to lie in an interval only. A pick has a
    residual where it takes an exponential time, or one that is drawn, and waits for nobody: elsewhere the wait in the
    queue cannot be told from it.
    """
    parcels, purchases = parcels_of(log, until), purchases_of(log, until)
    # Calendars know nothing before their first instant: they begin with what began first, also before the run.
    begun = [at for one in parcels for at in (one.released_at, one.shipped_at) if at >= 0]
    begun += [one.created_at for one in purchases]
    return _Placing(scenario, min(begun, default=until), until).place(parcels, purchases)


class _Placing:
    def __init__(self, scenario: Scenario, first: int, until: int) -> None:
        self.scenario = scenario
        self.until = until
        run = scenario.run
        names = ["always", *(calendar.id for calendar in scenario.calendars)]
        span = (min(run.start, first), 2 * max(run.end, until) - run.start)
        self.calendars = {name: compile_calendar(calendar_named(scenario.calendars, name), *span) for name in names}
        self.lanes = {(lane.from_, lane.to, lane.carrier): lane.transit for lane in scenario.lanes}
        self.working = {carrier.id: carrier.transit_counts == "working_time" for carrier in scenario.carriers}
        self.hours = {carrier.id: self.calendars[carrier.calendar] for carrier in scenario.carriers}
        self.sites = {warehouse.id: warehouse for warehouse in scenario.warehouses}
        self.suppliers = {supplier.id: supplier for supplier in scenario.suppliers}
        self.own_leads = {item.id: item.lead_time for item in scenario.items if item.lead_time is not None}
        # What stands still when: a carrier, the way from a place to a region, a supplier or a site.
        self.closed: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        for one in scenario.disruptions:
            place = _closed_place(one)
            if place and one.for_:
                begins = run.start + one.from_
                self.closed.setdefault(place, []).append((begins, begins + one.for_))
        self.without: Counter[str] = Counter()

    def place(self, parcels: Iterable[Transit], purchases: Iterable[Purchase]) -> Residuals:
        rows: list[Residual] = []
        for parcel in parcels:
            found = [row for row in (self._transit(parcel), self._pick(parcel)) if row is not None]
            # Orders that went in one parcel share its luck, also where the replay sends them one by one.
            rows += [replace(row, subject=order) for order in parcel.orders for row in found]
        for bought in purchases:
            row = self._lead_time(bought)
            rows += [row] if row is not None else []
        return Residuals(tuple(rows), dict(sorted(self.without.items())))

    def _transit(self, one: Transit) -> Residual | None:
        if one.shipped_at < 0:
            return None
        for name in ("site", "region", "carrier"):
            if not getattr(one, name):
                self.without[f"parcels without a {name} in the log"] += 1
                return None
        distribution = self.lanes.get((one.site, one.region, one.carrier))
        if distribution is None:
            self.without["parcels on a lane that the scenario has not"] += 1
            return None
        began, calendar = one.shipped_at, self.hours[one.carrier]
        ended = self.until if one.delivered_at < 0 else one.delivered_at
        way = (("carrier", one.carrier), ("lane", one.site, one.region))
        lasted = max(0, ended - began - self._lost(began, ended, *way))
        if self.working[one.carrier]:
            lasted = worked(calendar, began, began + lasted)
            placed = beyond(distribution, lasted - 1) if one.delivered_at < 0 else between(distribution, lasted, lasted)
        elif one.delivered_at < 0:
            placed = beyond(distribution, _passed(calendar, began, began + lasted))
        else:
            placed = between(distribution, *_before_opening(calendar, began, began + lasted))
        return Residual("transit", one.note, one.order, one.site, began, *placed)

    def _lost(self, began: int, ended: int, *places: tuple[str, ...]) -> int:
        """For how long (ms) from `began` to `ended` any of these stood still."""
        spans = _union([span for place in places for span in self.closed.get(place, ())])
        return sum(max(0, min(ended, last) - max(began, first)) for first, last in spans)

    def _pick(self, one: Transit) -> Residual | None:
        site = self.sites.get(one.site)
        if one.released_at < 0 or site is None or not _alone(site):
            return None
        ended = one.picked_at if one.picked_at >= 0 else -1 if site.pickups else one.shipped_at
        if ended < 0:
            return None
        if self._lost(one.released_at, ended, ("site", one.site)):
            self.without["picks at a site that was closed meanwhile"] += 1
            return None
        calendar = self.calendars[site.calendar]
        began = one.released_at + round(site.latency.expected())
        mean = site.pick_time.order + site.pick_time.line * one.lines + site.pick_time.unit * one.units
        if ended < began:
            return None
        lasted = worked(calendar, began, ended)
        drawn = site.pick_time.drawn
        if drawn is not None:
            lasted = max(0, lasted - mean)
        elif not mean:
            return None
        kind, distribution = ("pick", Exponential(mean)) if drawn is None else ("handling", drawn)
        placed = between(distribution, lasted, lasted)
        return Residual(kind, one.note, one.order, one.site, one.released_at, *placed)

    def _lead_time(self, one: Purchase) -> Residual | None:
        supplier, site = self.suppliers.get(one.supplier), self.sites.get(one.site)
        if supplier is None or site is None:
            self.without["purchases from or for a place that the scenario has not"] += 1
            return None
        if not one.item:
            self.without["purchases whose item the log does not name"] += 1
            return None
        if supplier.capacity is not None:
            self.without["purchases that may have waited for a plant of limited capacity"] += 1
            return None
        calendar = self.calendars[supplier.calendar]
        distribution = self.own_leads.get(one.item, supplier.lead_time)
        ordered = one.created_at + round(supplier.latency.expected())
        begins = next_open(calendar, ordered)
        dock = max(0, round(site.dock_to_stock.expected()))
        ended = self.until if one.received_at < 0 else one.received_at
        longest = max(0, round(site.dock_to_stock.inverse((ONE - 1) / ONE)))
        if self._lost(ended - longest - 1, ended, ("site", one.site)):
            self.without["purchases that may have waited at a site that was closed"] += 1
            return None
        # The plant's own closures come again in the replay.
        lost = self._lost(ordered, ended - dock, ("supplier", one.supplier))
        if one.received_at < 0:
            passed = worked(calendar, begins, max(begins, ended - dock - lost))
            placed, dock_ms = beyond(distribution, passed), dock
        else:
            lead = worked(calendar, begins, max(begins, ended - dock - lost))
            # Goods come while the supplier works: what is left up to the shelf was spent at the dock.
            dock_ms = max(0, ended - lost - add_working(calendar, begins, lead))
            placed = between(distribution, lead, lead)
        return Residual("lead_time", one.item, one.purchase_order, one.site, one.created_at, *placed, dock_ms)


def _closed_place(one: Disruption) -> tuple[str, ...]:
    """What a disruption closes; nothing where it closes nothing."""
    match one:
        case CarrierClosed():
            return "carrier", one.carrier
        case LaneClosed():
            return "lane", one.lane_from, one.lane_to
        case SupplierClosed():
            return "supplier", one.supplier
        case WarehouseClosed():
            return "site", one.warehouse
        case _:
            return ()


def _alone(site: Warehouse) -> bool:
    """Whether what a pick took is one draw and no wait."""
    return site.pickers is None and (site.pick_time.kind == "exponential") == (site.pick_time.drawn is None)


def _union(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def _before_opening(calendar: Calendar, began: int, ended: int) -> tuple[int, int]:
    """The least and the greatest duration that end at `ended` where deliveries wait for the calendar to open."""
    bounds, lasted = calendar.bounds, max(0, ended - began)
    index = bisect_right(bounds, ended)
    at_opening = index % 2 == 1 and bounds[index - 1] == ended
    index -= at_opening
    if index % 2 == 1 or index == len(bounds):
        return lasted, lasted
    # Before the first opening that is known all was closed since what began first.
    closing = bounds[index - 1] if index else began
    at_least = max(0, closing - began)
    if at_opening:
        # It was there at some time since the closing before.
        return min(at_least, lasted), lasted
    # In a closed time, as a closure makes it whose end is only estimated: then at the nearer end of that time.
    if bounds[index] - ended < ended - closing:
        return at_least, max(0, bounds[index] - began)
    return (max(0, closing - began - 1),) * 2


def _passed(calendar: Calendar, began: int, now: int) -> int:
    """The longest time that a parcel cannot have taken which was not delivered before `now`.

    Where nobody delivers it may have been there since the last closing.
    """
    bounds = calendar.bounds
    index = bisect_left(bounds, now)
    if index % 2 == 0 and index < len(bounds):
        now = max(began, bounds[index - 1] if index else began)
    return now - began - 1


def between(distribution: Distribution, low_ms: int, high_ms: int) -> tuple[int, int, int]:
    """The lowest and the highest quantile that give a duration (ms) between two, and how far it lies beyond the end.

    What lies past either end of the distribution is that end, times so many parts per million.
    """
    bottom, top = distribution.inverse(1 / ONE), distribution.inverse((ONE - 1) / ONE)
    if low_ms > top:
        middle = (low_ms + high_ms) // 2
        return ONE - 1, ONE - 1, max(1, round(middle * _MILLION / top)) if top > 0 else _MILLION
    if high_ms < bottom:
        return 1, 1, max(1, round(high_ms * _MILLION / bottom))
    first, last = _first(distribution, low_ms), _last(distribution, high_ms)
    if first > last:
        # Between two values of a table that has no other there is nothing: the nearer end of the gap is taken.
        above, below = distribution.inverse(first / ONE) - high_ms, low_ms - distribution.inverse(last / ONE)
        first = last = first if above < below else last
    return first, last, _MILLION


def beyond(distribution: Distribution, passed_ms: int) -> tuple[int, int, int]:
    """The quantiles above what has passed (ms) already; past the distribution's end as much of it as that takes."""
    top = distribution.inverse((ONE - 1) / ONE)
    if passed_ms + 1 > top:
        # Parts of the end as it is drawn, in whole ms, and rounded up: less would have come already.
        end = round(top)
        return ONE - 1, ONE - 1, -(-(passed_ms + 1) * _MILLION // end) if end > 0 else _MILLION
    return _first(distribution, passed_ms + 1), ONE - 1, _MILLION


def _first(distribution: Distribution, value: int) -> int:
    """The least quantile that gives at least `value`."""
    low, high = 0, ONE - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if distribution.inverse(middle / ONE) >= value else (middle, high)
    return high


def _last(distribution: Distribution, value: int) -> int:
    """The greatest quantile that gives at most `value`."""
    low, high = 1, ONE
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if distribution.inverse(middle / ONE) <= value else (low, middle)
    return low
