"""From a foreign log to a scenario that stands alone: what the log tells is estimated, what it cannot tell is assumed.

Origins become sites that send at once what they have plenty of, customers' regions stay regions, and each way between
them is a lane. What takes time is drawn from the log's own quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

from msgspec import Struct

from twin.event_log import EventLog
from twin.replay.calibrate import HEAD
from twin.replay.calibrated_file import comment, flow
from twin.replay.demand_fit import Rhythm
from twin.replay.facts import CalibrationRefused
from twin.replay.foreign_cases import (
    OTHER,
    Case,
    Cases,
    Places,
    cases_of,
    group_places,
    known_before,
)
from twin.replay.foreign_demand import channel_lines
from twin.replay.foreign_times import Times, grouped_lines, place_ids
from twin.replay.growth import Growth
from twin.replay.log_time import end_of
from twin.replay.parameters import Parameter
from twin.scenario.limits import UNITS_MAX
from twin.scenario.units import CURRENCY_EXPONENTS, Money, format_duration, format_instant, format_money

__all__ = ["ForeignCalibration", "calibrate_log"]

PLENTY: Final = 1_000_000_000
"""Units of each item in stock at least: a log that tells nothing of stock is one in which there always was some."""
PLENTY_TIMES: Final = 1_000
"""Times all that was ordered in the fitted period, where that is more: demand may grow, and the run be long."""

DAY_MS: Final = 86_400_000


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

    Nothing that happened at or after `until` is looked at, but for what was given up at a time that the log does not
    say. What an order consists of, its places, value and promise are what the whole log says of it. `since` is the
    first case unless given; `origin` names the fields that say together where goods come from. Raises
    `CalibrationRefused` for a period that the log does not have, and for one in which nothing was delivered.
    """
    cases = cases_of(log, origin)
    first, last = cases.cases[0].began_at, cases.cases[-1].began_at
    since = first if since is None else since
    if not since < until or until <= first or since > last or until > max(end_of(log), last + 1):
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
        self.times = Times(log, cases, known, self.places, since, until, horizon)
        self.parameters: list[Parameter] = []

    def made(self) -> ForeignCalibration:
        """Everything."""
        calendars = self.times.calendars()
        warehouses = self.times.warehouses()
        lanes = self.times.lanes()
        whole = self.times.cycle_time()
        parameters, channel, rhythm, growth = channel_lines(
            self.known, self.places, self.since, self.until, self.horizon, whole
        )
        self.parameters += [*self.times.parameters, *parameters]
        text = [
            *self._head(),
            "schema: 1",
            f"title: {flow(f'{self.log.title}, calibrated')}",
            f"run: {{start: {format_instant(self.until)}, horizon: {format_duration(self.horizon)}, "
            f"drain: {format_duration(self.times.drain)}, seed: 1}}",
            *self._currency(),
            f"regions: {flow(place_ids(self.places.regions))}",
            *grouped_lines("regions", self.places.regions),
            *calendars,
            "warehouses:",
            *warehouses,
            "carriers:",
            *self.times.carrier_lines(),
            "lanes:",
            *lanes,
            "channels:",
            *channel,
            *self._items(),
            *self._log_names(),
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
            f"{HEAD.removeprefix('# ')} from {', '.join(file.name for file in self.log.files)} ({self.log.title}): "
            f"what began from {format_instant(self.since)} to before {format_instant(self.until)}, and what was known "
            f"of it then. A case is what one order wants from one origin, from {begins} on. Each "
            f"value was estimated from "
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
        gone = [case for case in self.known if case.given_up]
        if gone:
            undated = sum(case.given_up_at is None for case in gone)
            after = f" ({undated:,} at a time that the log does not say, maybe later)" if undated else ""
            lines += comment(
                f"{len(gone):,} of {len(self.known):,} cases were given up{after}; they are orders like others here, "
                "and no duration is taken from them.",
                "",
            )
        partly = sum(case.partly_given_up for case in self.known)
        if partly:
            lines += comment(
                f"Of {partly:,} of {len(self.known):,} cases some lines were given up; they last until the rest came.",
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

    # --- what is sold

    def _items(self) -> list[str]:
        lines = ["items:", *comment("one for each site: what customers order there; no cost is known, so none", "  ")]
        stock = ["stock:", *comment("assumed: plenty", "  ")]
        plenty = min(UNITS_MAX, max(PLENTY, PLENTY_TIMES * sum(case.units for case in self.known)))
        for site in place_ids(self.places.sites):
            own = [case for case in self.known if self.times.site[case] == site]
            values = [case.value_minor / case.units for case in own if case.value_minor is not None]
            price = Money(round(median(values)), self.currency) if values else Money(0, self.currency)
            told = f"median value of a unit, n {len(values):,}" if values else "assumed: no value is known"
            cost = format_money(Money(0, self.currency))
            lines.append(f"  - {{id: of_{site}, price: {format_money(price)}, cost: {cost}}}    # {told}")
            stock.append(f"  - {{warehouse: {site}, item: of_{site}, on_hand: {plenty}}}")
        return lines + stock

    def _log_names(self) -> list[str]:
        """How this log is read where the scenario is a base: what is not listed here is `other`."""
        sites = place_ids(self.places.sites)
        lines = [
            "log_names:",
            *comment(
                "by this twin reconstruct, and twin calibrate with --base, read the log that these are from", "  "
            ),
            f"  origin: {flow(self.cases.fields)}",
        ]
        for key, ids in (
            ("sites", self.places.sites),
            ("regions", self.places.regions),
            ("carriers", {site: self.times.carriers[site] for site in sites}),
            ("items", {site: f"of_{site}" for site in sites}),
        ):
            own = [
                f"    {flow(name)}: {flow(id)}"
                for name, id in ids.items()
                if not (id == OTHER and key in ("sites", "regions"))
            ]
            lines += [f"  {key}:", *own] if own else []
        if self.log.currency and self.currency != self.log.currency:
            lines.append(f"  currency: {flow(self.log.currency)}")
        return [*lines, "  channel: orders"]
