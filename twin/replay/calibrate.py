"""From the facts of a log to a scenario: each parameter estimated, with its origin and interval, the rest assumed.

The scenario extends a base and overrides what the log tells. It is a text that a person can read: above each value
stands what it was estimated from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from os.path import relpath
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from twin.core.calendar import Calendar
from twin.log import read_manifest
from twin.replay.calibrated_file import comment, flow, in_block, quantiles
from twin.replay.delivery_hours import before_opening
from twin.replay.demand_fit import Rhythm
from twin.replay.demand_rows import channel_demand
from twin.replay.estimators import EVENTS_MIN, DurationEstimate, estimate_durations, rounded_duration
from twin.replay.facts import CalibrationRefused, Duration, Facts, facts_of
from twin.replay.interruption_rows import interruption_lines
from twin.replay.interruptions import find_closures, find_outages, without_closures
from twin.replay.parameters import Parameter, amount, interval, spoken
from twin.replay.pick_fit import PARTS, fit_pick
from twin.replay.working_time import after_the_queue, worked
from twin.scenario import Scenario, calendar_named, compile_calendar
from twin.scenario.business import Lane, Supplier, Warehouse
from twin.scenario.units import format_duration, format_instant
from twin.world.assortment import compile_catalog
from twin.world.build import load_book
from twin.world.sites import Sites

__all__ = ["HEAD", "Calibration", "calibrate", "calibrate_facts"]

HEAD: Final = "# Calibrated"
"""How a calibrated file begins: only such a one is ever replaced."""

OPEN_MAX: Final = 0.02
"""Share of picks under way above which they matter to the parts of a pick time."""

ALWAYS_ASSUMED: Final = (
    "calendars, pickers, truck times, plant capacities, dock_to_stock, shrink, counts, acknowledgements, posting times"
    ", services and workers of interfaces, prices, costs, stock, policies, closures of sites, plants and single lanes"
)
"""What no estimator here looks at."""


class Calibration(Struct, frozen=True):
    """The parameters in the order of the file, its text, and the arrivals of each channel by hour of the week."""

    parameters: tuple[Parameter, ...]
    text: str
    rhythms: dict[str, Rhythm]


def calibrate(run: Path, base: Scenario, base_file: Path, since: int, until: int, folder: Path) -> Calibration:
    """The base with what the log of `run` tells of [`since`, `until`) ms, as a file in `folder` would say it.

    Raises `RunError` for a folder that is no run, and `CalibrationRefused` for a period outside of it, a log in which
    nothing is finished, and a base that does not know the log's places, partners, channels or items.
    """
    manifest = read_manifest(run)
    if not manifest.start_ms <= since < until <= manifest.end_ms:
        raise CalibrationRefused(
            f"{run}: its log goes from {format_instant(manifest.start_ms)} to {format_instant(manifest.end_ms)}; "
            f"{format_instant(since)} to {format_instant(until)} is no period in it"
        )
    origin = f"{run.name} ({manifest.title}, digest {manifest.digest[:12]})"
    return calibrate_facts(facts_of(run, since, until), str(run), origin, base, base_file, folder)


def calibrate_facts(
    facts: Facts,
    log: str,
    origin: str,
    base: Scenario,
    base_file: Path,
    folder: Path,
    *,
    interruptions: Facts | None = None,
    frame: Mapping[str, str] | None = None,
) -> Calibration:
    """The base with what `facts` tell, as a file in `folder` would say it; `log` and `origin` name them in messages and
    in the file.

    Closures and outages are those in `interruptions`, where these are given: facts of a longer time. `frame` is the
    section `run` of the file, where it is not to run when the base does; the times of closures and outages are counted
    from its start. Raises `CalibrationRefused` for facts in which nothing is finished, and a base that does not know
    what they are about, and `ScenarioError` for a base that does not fit the frame.
    """
    since, until = facts.since, facts.until
    if not facts.arrivals or not facts.finished:
        what = "no goods were shipped, delivered or received" if facts.arrivals else "no order came in"
        raise CalibrationRefused(
            f"{log}: from {format_instant(since)} to before {format_instant(until)} {what}; "
            "give a longer period, or a log with a finished case"
        )
    if frame is not None:
        base = base.with_changes({"run": frame})
    maker = _Maker(facts, base, interruptions or facts)
    unknown = maker.unknown()
    if unknown:
        more = f", and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise CalibrationRefused(
            f"{base_file}: it does not fit the log of {log}, which has {', '.join(unknown[:5])}{more}; "
            "give the scenario of the business that wrote the log, or translate its names by `values` in its mapping"
        )
    sections = maker.sections()
    head = [
        *comment(
            f"Calibrated from {origin}, entries from {format_instant(since)} to before {format_instant(until)}. "
            "Each value was estimated from what its comment says, everything else is as in the base. Intervals are of "
            "95 %; what was still open at the end is taken in by the Kaplan-Meier estimator.",
            "",
        ),
        "schema: 1",
        f"extends: {flow(Path(relpath(base_file, folder)).as_posix())}",
        f"title: {flow(f'{base.title}, calibrated')}",
        *([] if frame is None else [f"run: {flow(frame)}"]),
    ]
    assumed = [one for one in maker.parameters if one.tag == "assumed"]
    foot = ["# Assumed, as in the base; why, stands beside it:"]
    foot += [line for one in assumed for line in comment(f"- {one.name}: {one.note}", "")]
    foot += comment(f"- never looked at: {ALWAYS_ASSUMED}", "")
    return Calibration(tuple(maker.parameters), "\n".join([*head, *sections, *foot]) + "\n", maker.rhythms)


class _Maker:
    """Collects parameters and the lines that say them."""

    def __init__(self, facts: Facts, base: Scenario, interrupted: Facts) -> None:
        self.facts = facts
        self.base = base
        self.plain = base.plain()
        self.parameters: list[Parameter] = []
        self.rhythms: dict[str, Rhythm] = {}
        # Openings are asked for as far after the end as the longest case that the log can hold.
        span = (facts.since, 2 * interrupted.until - facts.since)
        names = ["always", *(calendar.id for calendar in base.calendars)]
        self.calendars = {name: compile_calendar(calendar_named(base.calendars, name), *span) for name in names}
        self.lags = {
            source: estimate_durations(
                list(chain(*([lag] * times for lag, times in lags.items()))), [False] * sum(lags.values())
            )
            for source, lags in facts.lags.items()
        }
        self.calls = _by_key(facts.calls)
        self.answered = {gateway: _estimated(cases) for gateway, cases in self.calls.items()}
        self.interfaces = {interface.to: interface for interface in base.interfaces}
        hours = {carrier.id: self.calendars[carrier.calendar] for carrier in base.carriers}
        known = [case for case in interrupted.transit if case.key.split("/")[1] in hours]
        self.closures = find_closures(known, hours, interrupted.until) if not interrupted.deliveries_are_dates else []
        self.dates_only = interrupted.deliveries_are_dates
        self.outages = find_outages(interrupted.attempts, interrupted.until)
        self.ranked = self._ranked()

    def _ranked(self) -> tuple[str, ...]:
        book = load_book(self.base.order_book) if self.base.order_book is not None else None
        return compile_catalog(self.base, Sites.of(self.base), book).ranked

    def unknown(self) -> list[str]:
        """What the log has and the base has not."""
        facts, base = self.facts, self.base
        lanes = {f"{lane.from_}/{lane.carrier}/{lane.to}" for lane in base.lanes}
        items = {*self.ranked, *(item.id for item in base.items)}
        asked: list[tuple[str, Sequence[str], set[str]]] = [
            ("warehouse", [case.key.partition("/")[0] for case in facts.handling], {one.id for one in base.warehouses}),
            ("supplier", [case.key.split("/")[0] for case in facts.lead_times], {one.id for one in base.suppliers}),
            ("lane", [case.key for case in facts.transit], lanes),
            ("channel", [one.channel for one in facts.arrivals], {one.id for one in base.channels}),
            ("region", [one.region for one in facts.arrivals], set(base.regions)),
            ("item", [sku for one in facts.arrivals for sku, _ in one.lines], items),
        ]
        return [
            f"{noun} '{name}'"
            for noun, names, known in asked
            for name in sorted(dict.fromkeys(names))
            if name not in known
        ]

    def sections(self) -> list[str]:
        """The lines of every section that says something."""
        made = [
            ("warehouses", [self._warehouse(one) for one in self.base.warehouses]),
            ("suppliers", [self._supplier(one) for one in self.base.suppliers]),
            ("items", [self._item(one.id, one.supplier or "") for one in self.base.items if one.lead_time is not None]),
            ("carriers", [self._party(f"carrier/{one.id}", one.id, "carriers") for one in self.base.carriers]),
            ("lanes", self._lanes()),
            ("channels", [self._channel(one.id) for one in self.base.channels]),
        ]
        lines = []
        for name, parts in made:
            said = [line for part in parts for line in part]
            lines += [f"{name}:", *said] if said else []
        erp = self._latency("erp", "erp", "  ")
        lines += ["erp:", *erp] if erp else []
        rows, said = interruption_lines(self.base, self.closures, self.outages)
        self.parameters += rows
        if self.dates_only:
            self._assume("carriers closed", "the log has only the dates of deliveries, between which all looks closed")
        return lines + said

    # --- durations

    def _add(
        self, name: str, found: DurationEstimate | None, cases: Sequence[Duration], *, only_told: str = ""
    ) -> DurationEstimate | None:
        """Take a duration down; returns it where it can stand in the file."""
        if found is None or not found.told:
            finished = sum(not case.censored for case in cases)
            why = f"{finished} of {len(cases)} cases finished, {EVENTS_MIN} are needed" if cases else "it has no case"
            if found is not None:
                why = f"half of {len(cases)} cases would take longer than the log shows"
            self._assume(name, only_told or why)
            return None
        self._tell(name, found, only_told)
        if only_told:
            self._assume(name, only_told)
            return None
        return found

    def _tell(self, name: str, found: DurationEstimate, note: str = "") -> None:
        if found.fixed:
            value = found.median
            self.parameters.append(
                Parameter(name, "ms", value, value, value, found.n, found.censored, "measured", note)
            )
            return
        for statistic, value, limits in (
            ("median", found.median, found.median_interval),
            ("mean", found.mean, found.mean_interval or (None, None)),
        ):
            told = f"{name}, {statistic}"
            self.parameters.append(
                Parameter(told, "ms", value, limits[0], limits[1], found.n, found.censored, "measured", note)
            )

    def _assume(self, name: str, why: str) -> None:
        self.parameters.append(Parameter(name, "ms", None, None, None, 0, 0, "assumed", why))

    def _way_out(self, gateway: str) -> int:
        """How long a message takes to a partner that does not say when it has it: as long as the way back."""
        lag = self.lags.get(gateway)
        return 0 if lag is None or lag.median is None or gateway in self.answered else round(lag.median)

    def _working(self, cases: Sequence[Duration], calendar: Calendar, sooner_ms: int) -> list[Duration]:
        """The cases in working time, without what passes after the work has ended."""
        found = []
        for case in cases:
            ends = case.began_at + max(0, case.duration_ms - (0 if case.censored else sooner_ms))
            found.append(case._replace(duration_ms=worked(calendar, case.began_at, ends)))
        return found

    def _warehouse(self, spec: Warehouse) -> list[str]:
        name = f"warehouses {spec.id} pick_time"
        shipped = [case for case in self.facts.handling if case.key.partition("/")[0] == spec.id]
        picked = [case for case in self.facts.picking if case.key.partition("/")[0] == spec.id]
        reported = sum(not case.censored for case in picked) >= EVENTS_MIN
        cases = picked if reported else shipped
        words = "release to picked" if reported else "release to shipped"
        gateway = f"warehouse/{spec.id}"
        cases = [_later(case, self._way_out(gateway)) for case in cases]
        why = ""
        interface = self.interfaces.get(gateway)
        calendar = self.calendars[spec.calendar]
        begun = after_the_queue(cases, spec.pickers, calendar, self.facts.until) if spec.pickers is not None else cases
        cases = self._working(cases if begun is None else begun, calendar, 0)
        if spec.pickers is not None and begun is not None:
            words += f", less the wait for one of {spec.pickers} pickers"
        if begun is None:
            why = f"{words} holds a wait that {spec.pickers} pickers in the base's hours do not explain"
        elif spec.pickups and not reported:
            why = f"{words} holds the wait for trucks; let the warehouse report picked"
        elif interface is not None and interface.style not in ("api", "event"):
            why = f"{words} holds the wait at interface {interface.id}"
        found = self._add(name, _estimated(cases), cases, only_told=why)
        lines: list[str] = []
        if found is not None:
            lines = comment(f"{words}, working time: {spoken(found)}", "    ") + self._pick_time(
                name, spec, cases, found
            )
        return self._entry(spec.id, lines + self._latency(gateway, f"warehouses {spec.id}", "    "))

    def _pick_time(self, name: str, spec: Warehouse, cases: Sequence[Duration], found: DurationEstimate) -> list[str]:
        """The base's table or its parts; all of it for the order where the sizes do not tell the parts apart."""
        if spec.pick_time.drawn is not None:
            drawn = {"drawn": quantiles(found.table, format_duration)}
            return in_block("pick_time", {**dict.fromkeys(PARTS, "0s"), "kind": "fixed", **drawn}, "    ")
        wanted = [part for part in PARTS if getattr(spec.pick_time, part)] or ["order"]
        fit = fit_pick(cases, wanted) or fit_pick(cases, ["order"])
        value: dict[str, Any] = {}
        text = "at once"
        if fit is not None:
            done = [case.duration_ms for case in cases if not case.censored]
            if found.mean is not None and found.censored > len(cases) * OPEN_MAX:
                # What is still under way was left out of the fit, and is longer.
                fit = fit.longer(found.mean * len(done) / sum(done))
            for part, (estimate, low, high) in fit.parts.items():
                self.parameters.append(Parameter(f"{name} {part}", "ms", estimate, low, high, fit.n, 0, "measured"))
            told = [f"{part} {amount(at)} [{interval(at, low, high)}]" for part, (at, low, high) in fit.parts.items()]
            text = f"by least squares: {', '.join(told)}; median over mean of the rest {fit.shape:.2f} "
            text += "(0.69 is exponential, 1 is fixed)"
            value = {part: format_duration(rounded_duration(fit.parts[part][0])) for part in PARTS if part in fit.parts}
        keys = {part: value.get(part, "0s") for part in PARTS}
        keys["kind"] = "exponential" if fit is not None and fit.exponential else "fixed"
        return [*comment(text, "    "), *in_block("pick_time", keys, "    ")]

    def _supplier(self, spec: Supplier) -> list[str]:
        own = {item.id for item in self.base.items if item.lead_time is not None}
        cases = [case for case in self.facts.lead_times if case.key.partition("/")[0] == spec.id]
        lines = self._lead_time(
            spec, f"suppliers {spec.id} lead_time", [case for case in cases if case.key.partition("/")[2] not in own]
        )
        return self._entry(spec.id, lines + self._latency(f"supplier/{spec.id}", f"suppliers {spec.id}", "    "))

    def _item(self, sku: str, supplier: str) -> list[str]:
        spec = next((one for one in self.base.suppliers if one.id == supplier), None)
        cases = [case for case in self.facts.lead_times if case.key == f"{supplier}/{sku}"]
        return self._entry(sku, self._lead_time(spec, f"items {sku} lead_time", cases)) if spec is not None else []

    def _lead_time(self, spec: Supplier, name: str, cases: Sequence[Duration]) -> list[str]:
        docks = [warehouse.dock_to_stock for warehouse in self.base.warehouses]
        dock_ms = round(sum(dock.expected() for dock in docks) / len(docks))
        calendar = self.calendars[spec.calendar]
        cases = [_later(case, self._way_out(f"supplier/{spec.id}")) for case in cases]
        cases = self._working(cases, calendar, dock_ms)
        why = "" if spec.capacity is None else f"it holds the wait for a plant of {spec.capacity} units a day"
        found = self._add(name, _estimated(cases), cases, only_told=why)
        if found is None:
            return []
        dock = "" if not dock_ms else f", less {format_duration(dock_ms)} from dock to stock (assumed)"
        text = f"purchase order to receipt, working time{dock}: {spoken(found)}"
        return [*comment(text, "    "), *in_block("lead_time", quantiles(found.table, format_duration), "    ")]

    def _lanes(self) -> list[list[str]]:
        """All lanes or none: a list whose entries have no ids is replaced as a whole."""
        cases = _by_key(self.facts.transit)
        hours = {carrier.id: self.calendars[carrier.calendar] for carrier in self.base.carriers}
        working = [carrier.id for carrier in self.base.carriers if carrier.transit_counts == "working_time"]
        made: list[list[str]] = []
        written = False
        for lane, plain in zip(self.base.lanes, self.plain.get("lanes", []), strict=True):
            seen = cases.get(f"{lane.from_}/{lane.carrier}/{lane.to}", [])
            if lane.carrier in working:
                own, waited = self._working(without_closures(seen, self.closures), hours[lane.carrier], 0), 0
            else:
                own, waited = before_opening(seen, hours[lane.carrier])
                own = without_closures(own, self.closures)
            found = self._add(f"lanes {lane.from_}-{lane.to} {lane.carrier} transit", _estimated(own), own)
            made.append(_lane(lane, plain, found, waited))
            written = written or found is not None
        return made if written else []

    # --- messages

    def _party(self, gateway: str, id: str, section: str) -> list[str]:
        return self._entry(id, self._latency(gateway, f"{section} {id}", "    "))

    def _latency(self, source: str, name: str, indent: str) -> list[str]:
        answered = self.answered.get(source)
        text = ""
        if answered is not None and answered.told:
            self._tell(f"calls to {source}", answered, "sent to answered, for comparison: no key of a scenario says it")
            text = f"; calls, sent to answered: {spoken(answered)}"
        interface = self.interfaces.get(source)
        found = self.lags.get(source)
        count = 0 if found is None else found.n
        if interface is not None and interface.style not in ("api", "event"):
            self._assume(f"{name} latency", f"interface {interface.id} of style {interface.style} holds messages back")
        elif found is None:
            self._assume(f"{name} latency", f"it sent fewer than {EVENTS_MIN} messages")
        elif self._add(f"{name} latency", found, []) is not None:
            told = comment(f"from event to record, {count:,} messages: {spoken(found)}{text}", indent)
            return [*told, *in_block("latency", quantiles(found.table, format_duration), indent)]
        return []

    def _channel(self, id: str) -> list[str]:
        spec = next(channel for channel in self.base.channels if channel.id == id)
        own = [arrival for arrival in self.facts.arrivals if arrival.channel == id]
        since, until = self.facts.since, self.facts.until
        rows, lines, rhythm = channel_demand(spec, own, since, until, self.base.regions, self.ranked)
        self.parameters += rows
        if rhythm is not None:
            self.rhythms[id] = rhythm
        return self._entry(id, self._latency(f"channel/{id}", f"channels {id}", "    ") + lines)

    def _entry(self, id: str, lines: list[str]) -> list[str]:
        return [f"  - id: {flow(id)}", *lines] if lines else []


def _by_key(cases: Sequence[Duration]) -> dict[str, list[Duration]]:
    found: dict[str, list[Duration]] = {}
    for case in cases:
        found.setdefault(case.key, []).append(case)
    return found


def _later(case: Duration, by_ms: int) -> Duration:
    """The case from when its message came."""
    return case._replace(began_at=case.began_at + by_ms, duration_ms=max(0, case.duration_ms - by_ms))


def _estimated(cases: Sequence[Duration]) -> DurationEstimate | None:
    return estimate_durations([case.duration_ms for case in cases], [case.censored for case in cases])


def _lane(lane: Lane, plain: Mapping[str, Any], found: DurationEstimate | None, waited: int) -> list[str]:
    """A lane as in the base, with the transit that was found, and the promise that it has made so far."""
    lines: list[str] = []
    for key, value in plain.items():
        if key == "transit" and found is not None:
            wait = f", less the wait of {waited:,} for an opening" if waited else ""
            lines += comment(f"shipped to delivered{wait}: {spoken(found)}", "    ")
            lines += in_block("transit", quantiles(found.table, format_duration), "    ")
        elif key == "transit":
            lines += ["    # as in the base", *in_block(key, value, "    ")]
        else:
            lines += in_block(key, value, "    ")
    if "promise" not in plain and found is not None:
        lines += ["    # what customers are told stays what the base makes of its own transit"]
        lines += in_block("promise", format_duration(lane.promise_ms), "    ")
    lines[0] = f"  - {lines[0].strip()}"
    return lines
