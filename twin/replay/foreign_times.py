"""How long things take by a foreign log, and in which hours: sites with their handling, lanes with their transit.

A lane or site with too few cases of its own takes the time of those like it, and says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, Final

import numpy as np

from twin.core.calendar import Calendar
from twin.event_log import EventLog
from twin.replay.calibrated_file import comment, flow, in_block, quantiles
from twin.replay.demand_fit import poisson_interval
from twin.replay.facts import CalibrationRefused
from twin.replay.foreign_cases import CASES_MIN, OTHER, SHARE_MIN, Case, Cases, Places
from twin.replay.never import Ending, estimate_ending
from twin.replay.open_hours import CLOSED_BELOW, CLOSED_MAX, OpenHours, find_open_hours
from twin.replay.parameters import Parameter, amount
from twin.replay.working_time import worked
from twin.scenario.calendars import compile_calendar
from twin.scenario.times import CalendarSpec
from twin.scenario.units import format_duration

__all__ = ["LANE_MIN", "Times", "grouped_lines", "place_ids"]

LANE_MIN: Final = 30
"""Finished cases below which a lane (a site) takes its time from those like it."""

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000


class Times:
    """Makes the sections of a scenario that say how long things take; `parameters` grow as they are made.

    `known` are the cases of the period with what was known of them before `until` (ms)."""

    def __init__(
        self, log: EventLog, cases: Cases, known: Sequence[Case], places: Places, since: int, until: int, horizon: int
    ) -> None:
        self.title, self.zone = log.title, log.zone
        self.cases = cases
        self.known = known
        self.places = places
        self.since, self.until = since, until
        # What was given up never takes its time.
        self.kept = [case for case in known if not case.given_up]
        self.site = {case: places.sites[case.origin] for case in known}
        self.region = {case: places.regions[case.region] for case in known}
        self.parameters: list[Parameter] = []
        self.handing = self._hours([case.handed_at for case in self.kept])
        self.delivering = self._hours([case.delivered_at for case in self.kept])
        self.hands = self._compiled("hand_over", self.handing)
        self.brings = self._compiled("delivery", self.delivering)
        self.told: dict[str, int] = {}
        self.drain = max(60 * DAY_MS, 2 * self._longest()) // DAY_MS * DAY_MS
        # What never comes is still on its way when the run ends, even where the clock never rests.
        self.beyond = -(-(horizon + self.drain) // DAY_MS) * DAY_MS
        self.carriers = self._carriers()

    # --- hours

    def _hours(self, instants: Sequence[int | None]) -> OpenHours | None:
        found = find_open_hours([at for at in instants if at is not None], self.zone)
        return None if found is None or found.always else found

    def _spec(self, id: str, hours: OpenHours) -> dict[str, Any]:
        text = f"{hours.begin:02d}:00-{hours.end:02d}:00"
        return {"id": id, "timezone": hours.zone, "days": list(hours.days), "hours": [text]}

    def _compiled(self, id: str, hours: OpenHours | None) -> Calendar | None:
        if hours is None:
            return None
        spec = CalendarSpec.model_validate(self._spec(id, hours))
        return compile_calendar(spec, self.since - 7 * DAY_MS, self.until + 7 * DAY_MS)

    def calendars(self) -> list[str]:
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
                f"{CLOSED_BELOW:.0%} of the busiest one's are closed, or of the next one's where they would hold more "
                f"than {CLOSED_MAX:.0%}",
                "  ",
            )
            lines += [f"  - {flow(self._spec(id, hours))}"]
            self.parameters.append(
                Parameter(f"calendars {id}, share inside", "number", share, None, None, hours.n, 0, "measured")
            )
        return ["calendars:", *lines] if lines else []

    # --- durations

    def _handling_of(self, cases: Sequence[Case]) -> Ending | None:
        return _estimated(cases, self.hands, self.until, lambda case: (case.began_at, case.handed_at))

    def _transit_of(self, cases: Sequence[Case]) -> Ending | None:
        return _estimated(cases, self.brings, self.until, self._way)

    def _way(self, case: Case) -> tuple[int | None, int | None]:
        return (case.handed_at if self.cases.hands_over else case.began_at), case.delivered_at

    def warehouses(self) -> list[str]:
        lines = []
        pooled = self._handling_of(self.kept) if self.cases.hands_over else None
        time = "working time" if self.hands is not None else "all hours"
        for site in place_ids(self.places.sites):
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
            lines += comment(f"{words}: {found.spoken}", "    ")
            lines.append("    pick_time:")
            lines += in_block("drawn", quantiles(found.table(self.beyond), format_duration), "      ")
        head = grouped_lines("origins", self.places.sites)
        if not self.cases.hands_over:
            head += comment("the log does not say when goods left: handling is part of the transit", "  ")
        return head + lines

    def _carriers(self) -> dict[str, str]:
        """The carrier of each site: the log's, where it is part of the origin."""
        if "carrier" not in self.cases.fields:
            return dict.fromkeys(place_ids(self.places.sites), "carrier")
        found: dict[str, str] = {}
        for site in place_ids(self.places.sites):
            names = Counter(case.carrier for case in self.known if self.site[case] == site)
            plain = (
                "".join(c if c.isascii() and c.isalnum() else "_" for c in names.most_common(1)[0][0].lower())
                or "carrier"
            )
            found[site] = "mixed" if site == OTHER else plain
        return found

    def carrier_lines(self) -> list[str]:
        rests = "" if self.brings is None else ", calendar: delivery, transit_counts: working_time"
        return [f"  - {{id: {name}{rests}}}" for name in dict.fromkeys(self.carriers.values())]

    def lanes(self) -> list[str]:
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
        for site in place_ids(self.places.sites):
            for region in place_ids(self.places.regions):
                own = ways.get((site, region), [])
                if (site, region) not in ordered:
                    continue
                finished = sum(None not in self._way(case) for case in own)
                name = f"lanes {site}-{region} transit"
                found, words = self._transit_of(own) if own else None, f"{begins} to delivered, {time}"
                told_by = own
                if finished < LANE_MIN or found is None or not found.told:
                    pool = region if by_region else site
                    found, told_by = pools.get(pool), alike.get(pool, [])
                    words = f"that of all {'to' if by_region else 'from'} {pool}"
                    if found is None or not found.told:
                        found, told_by, words = everything, self.kept, "that of all lanes"
                    words += f", since {finished} cases of its own are too few ({LANE_MIN} are needed)"
                    if found is None:
                        raise CalibrationRefused(
                            f"{self.title}: too few deliveries to tell how long one takes; give a longer period"
                        )
                    self._tell(name, None, words)
                else:
                    self._tell(name, found)
                promise, told = self._promise(site, own or self.kept, told_by)
                lines.append(f"  - from: {site}")
                lines += [f"    to: {region}", f"    carrier: {self.carriers[site]}"]
                lines += comment(f"{words}: {found.spoken}", "    ")
                lines += in_block("transit", quantiles(found.table(self.beyond), format_duration), "    ")
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

    def _promise(self, site: str, own: Sequence[Case], alike: Sequence[Case]) -> tuple[int, str]:
        """What customers are told of a transit (ms of all hours, as a run counts it), and from what; without promises
        from how long the cases took that are taken for its like."""
        handling = self.told.get(site, 0)
        promised = [case.promised_at - case.began_at for case in own if case.promised_at is not None]
        if len(promised) >= LANE_MIN and median(promised) > handling:
            rest = round((median(promised) - handling) / HOUR_MS) * HOUR_MS
            text = f"promised {amount(float(median(promised)))} after the order (median, n {len(promised):,})"
            return max(HOUR_MS, rest), f"{text}, less what is told of handling" if handling else text
        whole = self._whole(alike)
        why = "no promise is known"
        if len(promised) >= LANE_MIN:
            why = "promises leave no time after what is told of handling"
        elif promised:
            why = f"{len(promised)} promises are too few ({LANE_MIN} are needed)"
        text = f"assumed: {why}; nine in ten came within {amount(float(whole))} of their order"
        return max(HOUR_MS, whole - handling), f"{text}, less what is told of handling" if handling else text

    def _tell(self, name: str, found: Ending | None, note: str = "") -> None:
        if found is None:
            self.parameters.append(Parameter(name, "ms", None, None, None, 0, 0, "assumed", note))
            return
        for statistic, value, limits in (
            ("median", found.found.median, found.found.median_interval),
            ("mean", found.found.mean, found.found.mean_interval or (None, None)),
        ):
            self.parameters.append(
                Parameter(
                    f"{name}, {statistic}",
                    "ms",
                    value,
                    limits[0],
                    limits[1],
                    found.found.n,
                    found.found.censored,
                    "measured",
                )
            )
        if found.never:
            low, high = (at * found.never / found.far for at in poisson_interval(found.far))
            n = found.found.n + found.far
            self.parameters.append(Parameter(f"{name}, never", "number", found.never, low, high, n, 0, "measured"))

    def cycle_time(self) -> int:
        """The 90% quantile from the beginning to delivery, in ms of all hours."""
        return self._whole(self.kept)

    def _whole(self, cases: Sequence[Case]) -> int:
        found = _estimated(cases, None, self.until, lambda case: (case.began_at, case.delivered_at))
        if found is None:
            raise CalibrationRefused(
                f"{self.title}: too few deliveries to tell how long one takes; give a longer period"
            )
        return _quantile(found, 900_000)

    def _longest(self) -> int:
        ends = [case.delivered_at - case.began_at for case in self.kept if case.delivered_at is not None]
        return max(ends)


def place_ids(names: dict[str, str]) -> list[str]:
    """Each id once, `other` last."""
    ids = dict.fromkeys(names.values())
    return [id for id in ids if id != OTHER] + [OTHER] * (OTHER in ids)


def grouped_lines(noun: str, ids: dict[str, str]) -> list[str]:
    """Comments on what the ids of a scenario are in the log."""
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


def _estimated(
    cases: Sequence[Case],
    calendar: Calendar | None,
    until: int,
    ends: Callable[[Case], tuple[int | None, int | None]],
) -> Ending | None:
    """A duration between two instants of each case, open ones until `until`, in the calendar's working time."""
    durations, still = [], []
    for case in cases:
        begin, end = ends(case)
        if begin is None:
            continue
        stop = until if end is None else end
        durations.append(stop - begin if calendar is None else worked(calendar, begin, stop))
        still.append(end is None)
    return estimate_ending(durations, still)


def _quantile(found: Ending, ppm: int) -> int:
    shares, values = zip(*found.table(0), strict=True)
    return round(float(np.interp(ppm, shares, values)) / HOUR_MS) * HOUR_MS or HOUR_MS
