"""From a foreign log to a scenario that stands alone: what the log tells is estimated, what it cannot tell is assumed.

Origins become sites that send at once what they have plenty of, customers' regions stay regions, and each way between
them is a lane. What takes time is drawn from the log's own quantiles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, Final

import numpy as np
from msgspec import Struct

from twin.core.calendar import Calendar
from twin.event_log import EventLog
from twin.replay.calibrate import HEAD
from twin.replay.calibrated_file import comment, flow, in_block, quantiles
from twin.replay.demand_fit import Rhythm
from twin.replay.estimators import DurationEstimate, estimate_durations
from twin.replay.facts import CalibrationRefused
from twin.replay.foreign_cases import (
    CASES_MIN,
    OTHER,
    SHARE_MIN,
    Case,
    Cases,
    Places,
    cases_of,
    group_places,
    known_before,
)
from twin.replay.foreign_demand import channel_lines
from twin.replay.growth import Growth
from twin.replay.open_hours import CLOSED_BELOW, OpenHours, find_open_hours
from twin.replay.parameters import Parameter, amount, spoken
from twin.replay.working_time import worked
from twin.scenario.calendars import compile_calendar
from twin.scenario.times import CalendarSpec
from twin.scenario.units import CURRENCY_EXPONENTS, Money, format_duration, format_instant, format_money

__all__ = ["LANE_MIN", "ForeignCalibration", "calibrate_log"]

LANE_MIN: Final = 30
"""Finished cases below which a lane (a site) takes its time from those like it."""

PLENTY: Final = 1_000_000_000
"""Units of each item in stock: a log that tells nothing of stock is one in which there always was some."""

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000


class ForeignCalibration(Struct, frozen=True):
    """The parameters in the order of the file, its text, the log's cases, and where each of them is in the scenario.

    `since` and `until` (ms) bound what was looked at; `rhythm` and `growth` are those of all orders."""

    parameters: tuple[Parameter, ...]
    text: str
    cases: Cases
    places: Places
    since: int
    until: int
    rhythm: Rhythm
    growth: Growth | None


def calibrate_log(
    log: EventLog, until: int, since: int | None = None, *, origin: Sequence[str] = (), horizon: int = 28 * DAY_MS
) -> ForeignCalibration:
    """A scenario of what the log shows in [`since`, `until`) ms, its run `horizon` ms long from `until` on.

    Nothing that happened at or after `until` is looked at. `since` is the first case unless given; `origin` names the
    fields that say together where goods come from. Raises `CalibrationRefused` for a period that the log does not
    have, and for one in which nothing was delivered.
    """
    cases = cases_of(log, origin)
    first, last = cases.cases[0].began_at, cases.cases[-1].began_at
    since = first if since is None else since
    if not since < until or until <= first or since > last or until > max(log.as_of_ms, last) + 1:
        raise CalibrationRefused(
            f"{log.title}: its cases begin from {format_instant(first)} to {format_instant(last)}, and it was taken at "
            f"{format_instant(log.as_of_ms)}; {format_instant(since)} to {format_instant(until)} is no period in it"
        )
    known = known_before(cases.cases, since, until)
    if not any(case.delivered_at is not None for case in known):
        raise CalibrationRefused(
            f"{log.title}: of what began from {format_instant(since)} on nothing was delivered before "
            f"{format_instant(until)}; give a longer period"
        )
    return _Maker(log, cases, known, since, until, horizon).made()


class _Maker:
    """Collects parameters and the lines that say them."""

    def __init__(
        self, log: EventLog, cases: Cases, known: Sequence[Case], since: int, until: int, horizon: int
    ) -> None:
        self.log = log
        self.cases = cases
        self.known = known
        self.since, self.until, self.horizon = since, until, horizon
        self.places = group_places(known)
        self.currency = log.currency if log.currency in CURRENCY_EXPONENTS else "USD"
        # What was given up never takes its time; when it was, many a log does not say.
        self.kept = [case for case in known if not case.cancelled]
        self.site = {case: self.places.sites[case.origin] for case in known}
        self.region = {case: self.places.regions[case.region] for case in known}
        self.parameters: list[Parameter] = []
        self.handing = self._hours([case.handed_at for case in self.kept])
        self.delivering = self._hours([case.delivered_at for case in self.kept])
        self.hands = self._compiled("hand_over", self.handing)
        self.brings = self._compiled("delivery", self.delivering)
        self.told: dict[str, int] = {}
        self.carriers = self._carriers()

    def made(self) -> ForeignCalibration:
        """Everything."""
        calendars = self._calendars()
        warehouses = self._warehouses()
        lanes = self._lanes()
        whole = self._cycle_time()
        parameters, channel, rhythm, growth = channel_lines(
            self.known, self.places, self.since, self.until, self.horizon, whole
        )
        self.parameters += parameters
        drain = max(60 * DAY_MS, 2 * self._longest())
        text = [
            *self._head(),
            "schema: 1",
            f"title: {flow(f'{self.log.title}, calibrated')}",
            f"run: {{start: {format_instant(self.until)}, horizon: {format_duration(self.horizon)}, "
            f"drain: {format_duration(drain // DAY_MS * DAY_MS)}, seed: 1}}",
            *self._currency(),
            f"regions: {flow(_ids(self.places.regions))}",
            *self._grouped("regions", self.places.regions),
            *calendars,
            "warehouses:",
            *warehouses,
            "carriers:",
            *self._carrier_lines(),
            "lanes:",
            *lanes,
            "channels:",
            *channel,
            *self._items(),
            *self._foot(),
        ]
        return ForeignCalibration(
            tuple(self.parameters),
            "\n".join(text) + "\n",
            self.cases,
            self.places,
            self.since,
            self.until,
            rhythm,
            growth,
        )

    # --- the frame

    def _head(self) -> list[str]:
        cases = self.cases
        begins = cases.begins.replace("_", " ")
        lines = comment(
            f"{HEAD.removeprefix('# ')} from {', '.join(file.name for file in self.log.files)} ({self.log.title}): what "
            f"began from {format_instant(self.since)} to before {format_instant(self.until)}, and what was known of it "
            f"then. A case is what one order wants from one origin, from {begins} on. Each value was estimated from "
            "what its comment says; intervals are of 95 %, and what was still open is taken in by the Kaplan-Meier "
            "estimator.",
            "",
        )
        left = []
        if cases.headless:
            left.append(f"{cases.headless:,} parts of orders have no beginning")
        if cases.backwards:
            left.append(f"{cases.backwards:,} end before they begin")
        if left:
            lines += comment(f"Left out of the whole log: {'; '.join(left)}.", "")
        gone = len(self.known) - len(self.kept)
        if gone:
            lines += comment(
                f"{gone:,} of {len(self.known):,} cases were given up; they are orders like others here, since nothing "
                "says when or why, and no duration is taken from them.",
                "",
            )
        if cases.delivered_only:
            lines += comment(
                "The log holds only what was delivered in the end: what never was is not in it, nor in here.", ""
            )
        return lines

    def _currency(self) -> list[str]:
        if self.currency == self.log.currency:
            return [f"currency: {self.currency}"]
        return [
            *comment(f"amounts of the log ({self.log.currency or 'no currency'}), digit by digit", ""),
            f"currency: {self.currency}",
        ]

    def _grouped(self, noun: str, ids: dict[str, str]) -> list[str]:
        small = [name for name, id in ids.items() if id == OTHER]
        own = [f"{id} is {name}" for name, id in ids.items() if id != OTHER and name and name.lower() != id]
        lines = comment("; ".join(own), "  ") if own else []
        if not small:
            return lines
        shown = ", ".join(name or "not said" for name in small[:12])
        more = f" and {len(small) - 12} more" if len(small) > 12 else ""
        return lines + comment(
            f"{OTHER}: {noun} with fewer than {CASES_MIN} cases or less than {SHARE_MIN:.0%} of all: {shown}{more}",
            "  ",
        )

    def _foot(self) -> list[str]:
        lines = ["# Assumed, since this log cannot tell:"]
        for name, note in (
            ("stock", "plenty of everything, so nothing is ever short, bought or replenished"),
            ("pickers, truck times, capacities", "none: durations are drawn one by one, whatever else goes on"),
            ("handling and transit", "independent of each other and of the season"),
            ("costs", "none but the items' values"),
            ("cancellations and returns", "none"),
            ("latencies and interfaces", "as every scenario has them unless it says otherwise"),
        ):
            self.parameters.append(Parameter(name, "number", None, None, None, 0, 0, "assumed", note))
            lines += comment(f"- {name}: {note}", "")
        return lines

    # --- hours

    def _hours(self, instants: Sequence[int | None]) -> OpenHours | None:
        found = find_open_hours([at for at in instants if at is not None], self.log.zone)
        return None if found is None or found.always else found

    def _spec(self, id: str, hours: OpenHours) -> dict[str, Any]:
        text = f"{hours.begin:02d}:00-{hours.end:02d}:00"
        return {"id": id, "timezone": hours.zone, "days": list(hours.days), "hours": [text]}

    def _compiled(self, id: str, hours: OpenHours | None) -> Calendar | None:
        if hours is None:
            return None
        spec = CalendarSpec.model_validate(self._spec(id, hours))
        return compile_calendar(spec, self.since - 7 * DAY_MS, self.until + 7 * DAY_MS)

    def _calendars(self) -> list[str]:
        lines = []
        for id, what, hours in (
            ("hand_over", "goods leave a site", self.handing),
            ("delivery", "customers get goods", self.delivering),
        ):
            if hours is None:
                continue
            share = hours.inside / hours.n
            lines += comment(
                f"when {what}: {hours.inside:,} of {hours.n:,} ({share:.1%}); weekdays and hours with less than "
                f"{CLOSED_BELOW:.0%} of the busiest one's are closed",
                "  ",
            )
            lines += [f"  - {flow(self._spec(id, hours))}"]
            self.parameters.append(
                Parameter(f"calendars {id}, share inside", "number", share, None, None, hours.n, 0, "measured")
            )
        return ["calendars:", *lines] if lines else []

    # --- durations

    def _handling_of(self, cases: Sequence[Case]) -> DurationEstimate | None:
        return _estimated(cases, self.hands, self.until, lambda case: (case.began_at, case.handed_at))

    def _transit_of(self, cases: Sequence[Case]) -> DurationEstimate | None:
        return _estimated(cases, self.brings, self.until, self._way)

    def _way(self, case: Case) -> tuple[int | None, int | None]:
        return (case.handed_at if self.cases.hands_over else case.began_at), case.delivered_at

    def _warehouses(self) -> list[str]:
        lines = []
        pooled = self._handling_of(self.kept) if self.cases.hands_over else None
        time = "working time" if self.hands is not None else "all hours"
        for site in _ids(self.places.sites):
            own = [case for case in self.kept if self.site[case] == site]
            lines.append(f"  - id: {site}")
            if self.hands is not None:
                lines.append("    calendar: hand_over")
            if not self.cases.hands_over:
                continue
            finished = sum(case.handed_at is not None for case in own)
            found, words = self._handling_of(own), f"{self.cases.begins} to handed_to_carrier, {time}"
            if finished < LANE_MIN or found is None or not found.told:
                found = pooled
                words = f"that of all sites, since {finished} cases of its own are too few ({LANE_MIN} are needed)"
            if found is None or not found.told:
                lines += comment("too few cases were handed over: at once", "    ")
                self._tell(f"warehouses {site} handling", None, "too few cases")
                continue
            self._tell(f"warehouses {site} handling", found)
            self.told[site] = _quantile(found, 900_000)
            lines += comment(f"{words}: {spoken(found)}", "    ")
            lines.append("    pick_time:")
            lines += in_block("drawn", quantiles(found.table, format_duration), "      ")
        head = self._grouped("origins", self.places.sites)
        if not self.cases.hands_over:
            head += comment("the log does not say when goods left: handling is part of the transit", "  ")
        return head + lines

    def _carriers(self) -> dict[str, str]:
        """The carrier of each site: the log's, where it is part of the origin."""
        if "carrier" not in self.cases.fields:
            return dict.fromkeys(_ids(self.places.sites), "carrier")
        found: dict[str, str] = {}
        for site in _ids(self.places.sites):
            names = Counter(case.carrier for case in self.known if self.site[case] == site)
            plain = "".join(c if c.isalnum() else "_" for c in names.most_common(1)[0][0].lower()) or "carrier"
            found[site] = "mixed" if site == OTHER else plain
        return found

    def _carrier_lines(self) -> list[str]:
        rests = "" if self.brings is None else ", calendar: delivery, transit_counts: working_time"
        return [f"  - {{id: {name}{rests}}}" for name in dict.fromkeys(self.carriers.values())]

    def _lanes(self) -> list[str]:
        lines: list[str] = []
        ways: dict[tuple[str, str], list[Case]] = {}
        for case in self.kept:
            ways.setdefault((self.site[case], self.region[case]), []).append(case)
        by_region = self._explained(self.region) >= self._explained(self.site)
        keys = self.region if by_region else self.site
        alike = {name: [case for case in self.kept if keys[case] == name] for name in dict.fromkeys(keys.values())}
        pools = {name: self._transit_of(cases) for name, cases in alike.items()}
        everything = self._transit_of(self.kept)
        time = "working time" if self.brings is not None else "all hours"
        begins = "handed_to_carrier" if self.cases.hands_over else self.cases.begins
        ordered = {(self.site[case], self.region[case]) for case in self.known}
        for site in _ids(self.places.sites):
            for region in _ids(self.places.regions):
                own = ways.get((site, region), [])
                if (site, region) not in ordered:
                    continue
                finished = sum(None not in self._way(case) for case in own)
                name = f"lanes {site}-{region} transit"
                found, words = self._transit_of(own) if own else None, f"{begins} to delivered, {time}"
                if finished < LANE_MIN or found is None or not found.told:
                    pool = region if by_region else site
                    found = pools.get(pool)
                    words = f"that of all {'to' if by_region else 'from'} {pool}"
                    if found is None or not found.told:
                        found, words = everything, "that of all lanes"
                    words += f", since {finished} cases of its own are too few ({LANE_MIN} are needed)"
                    if found is None:
                        raise CalibrationRefused(
                            f"{self.log.title}: too few deliveries to tell how long one takes; give a longer period"
                        )
                    self._tell(name, None, words)
                else:
                    self._tell(name, found)
                promise, told = self._promise(site, own or self.kept, found)
                lines.append(f"  - from: {site}")
                lines += [f"    to: {region}", f"    carrier: {self.carriers[site]}"]
                lines += comment(f"{words}: {spoken(found)}", "    ")
                lines += in_block("transit", quantiles(found.table, format_duration), "    ")
                lines += comment(told, "    ")
                lines.append(f"    promise: {format_duration(promise)}")
        return lines

    def _explained(self, keys: dict[Case, str]) -> float:
        """Share of the variance of the logarithm of transits that lies between places."""
        logs: dict[str, list[float]] = {}
        for case in self.kept:
            begin, end = self._way(case)
            if begin is not None and end is not None:
                logs.setdefault(keys[case], []).append(float(np.log(end - begin + HOUR_MS)))
        values = np.concatenate([np.array(of) for of in logs.values()])
        within = sum(float(((np.array(of) - np.mean(of)) ** 2).sum()) for of in logs.values())
        total = float(((values - values.mean()) ** 2).sum())
        return 1 - within / total if total else 0.0

    def _promise(self, site: str, own: Sequence[Case], found: DurationEstimate) -> tuple[int, str]:
        """What customers are told of a transit (ms), and from what."""
        handling = self.told.get(site, 0)
        promised = [case.promised_at - case.began_at for case in own if case.promised_at is not None]
        if len(promised) >= LANE_MIN and median(promised) > handling:
            rest = round((median(promised) - handling) / HOUR_MS) * HOUR_MS
            text = f"promised {amount(float(median(promised)))} after the order (median, n {len(promised):,})"
            return max(HOUR_MS, rest), f"{text}, less what is told of handling" if handling else text
        return _quantile(found, 900_000), "assumed: no promise is known; the 90% quantile of the transit"

    def _tell(self, name: str, found: DurationEstimate | None, note: str = "") -> None:
        if found is None:
            self.parameters.append(Parameter(name, "ms", None, None, None, 0, 0, "assumed", note))
            return
        for statistic, value, limits in (
            ("median", found.median, found.median_interval),
            ("mean", found.mean, found.mean_interval or (None, None)),
        ):
            self.parameters.append(
                Parameter(f"{name}, {statistic}", "ms", value, *limits, found.n, found.censored, "measured")
            )

    def _cycle_time(self) -> int:
        """The 90% quantile from the beginning to delivery, in ms."""
        found = _estimated(self.kept, None, self.until, lambda case: (case.began_at, case.delivered_at))
        if found is None:
            raise CalibrationRefused(
                f"{self.log.title}: too few deliveries to tell how long one takes; give a longer period"
            )
        return max(HOUR_MS, round(_quantile(found, 900_000) / HOUR_MS) * HOUR_MS)

    def _longest(self) -> int:
        ends = [case.delivered_at - case.began_at for case in self.kept if case.delivered_at is not None]
        return max(ends)

    # --- what is sold

    def _items(self) -> list[str]:
        lines = ["items:", *comment("one for each site: what customers order there; no cost is known, so none", "  ")]
        stock = ["stock:", *comment("assumed: plenty", "  ")]
        for site in _ids(self.places.sites):
            own = [case for case in self.known if self.site[case] == site]
            values = [case.value_minor / case.units for case in own if case.value_minor is not None]
            price = Money(round(median(values)), self.currency) if values else Money(0, self.currency)
            told = f"median value of a unit, n {len(values):,}" if values else "assumed: no value is known"
            cost = format_money(Money(0, self.currency))
            lines.append(f"  - {{id: of_{site}, price: {format_money(price)}, cost: {cost}}}    # {told}")
            stock.append(f"  - {{warehouse: {site}, item: of_{site}, on_hand: {PLENTY}}}")
        return lines + stock


def _ids(names: dict[str, str]) -> list[str]:
    """Each id once, `other` last."""
    ids = dict.fromkeys(names.values())
    return [id for id in ids if id != OTHER] + [OTHER] * (OTHER in ids)


def _estimated(
    cases: Sequence[Case],
    calendar: Calendar | None,
    until: int,
    ends: Callable[[Case], tuple[int | None, int | None]],
) -> DurationEstimate | None:
    """A duration between two instants of each case, open ones until `until`, in the calendar's working time."""
    durations, still = [], []
    for case in cases:
        begin, end = ends(case)
        if begin is None:
            continue
        stop = until if end is None else end
        durations.append(stop - begin if calendar is None else worked(calendar, begin, stop))
        still.append(end is None)
    return estimate_durations(durations, still)


def _quantile(found: DurationEstimate, ppm: int) -> int:
    shares, values = zip(*found.table, strict=True)
    return round(float(np.interp(ppm, shares, values)) / HOUR_MS) * HOUR_MS or HOUR_MS
