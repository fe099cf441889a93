"""One page about one run: what happened, in words, numbers and drawings, and how to get the same again."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from twin.log import Manifest, read_entries, read_manifest, read_truth
from twin.measures import Measured, compute
from twin.measures.accounts import Accounts, account, compare_book, read_book_counts
from twin.measures.outside import asked_outside
from twin.observability import InterfaceFigures, Monitor, detect, faults_of
from twin.report import charts
from twin.report.grid import HOUR_MS, date_text, grid_over, instant_text
from twin.report.interface_tables import alert_table, asked_table, interface_tables
from twin.report.logic import decided_by, who_decided
from twin.report.picture import Picture, watch
from twin.report.tables import (
    Table,
    book_tables,
    by_bucket,
    by_channel,
    by_site,
    exception_tables,
    measure_tables,
    sourcing_tables,
)
from twin.report.words import bare, count, money, percent, plural
from twin.scenario import Scenario
from twin.scenario import load as load_scenario
from twin.scenario.units import format_duration

__all__ = ["REPORT", "Key", "environment", "write_report"]

REPORT: Final = "report.html"
SCENARIO: Final = "scenario.yaml"
MODEL: Final = "MODEL: run from a scenario"
ORIGIN: Final = (
    "This is a model: the orders, the sites and the faults come from a scenario, and the decisions were taken by "
    "{logic}. Every number on this page is computed "
    "from the log of the run, except those of kind T, which also need what physically happened."
)

_STEPS: Final = (
    ("revenue", "revenue", 1),
    ("cost_of_goods", "cost of goods", -1),
    ("freight", "freight", -1),
    ("holding", "holding stock", -1),
    ("ordering", "ordering", -1),
    ("penalty", "penalties", -1),
    ("late_penalty", "late orders", -1),
    ("support_cost", "people's work", -1),
    ("intervention_cost", "interventions", -1),
    ("margin", "margin", 1),
)


_SELDOM: Final = ("late_penalty", "support_cost", "intervention_cost")
"""Costs that are drawn only where there are some."""


class Key(NamedTuple):
    """One of the figures at the top of the page."""

    label: str
    value: str
    detail: str


class Section(NamedTuple):
    """Tables that stand one below the other, or as a pair side by side."""

    tables: list[Table]
    pair: bool = False


def write_report(run: Path | str, measures: Mapping[str, Measured] | None = None) -> Path:
    """Write `report.html` into a finished run's folder and return its path.

    The page needs nothing but itself: drawings and styles are inline, it has no script and asks no network.
    `measures` are computed unless given. Raises `RunError` for a folder that is no run or is cut off.
    """
    run = Path(run)
    manifest = read_manifest(run)
    if measures is None:
        measures = compute(run)
    window = (manifest.start_ms + manifest.warmup_ms, manifest.end_ms)
    grid = grid_over(manifest.start_ms, manifest.end_ms)
    figures = InterfaceFigures()
    log = figures.over(read_entries(run))
    monitor = None
    if manifest.monitoring is not None:
        monitor = Monitor(manifest.monitoring, manifest.start_ms)
        log = monitor.over(log)
    picture, entries = watch(log, grid, window, manifest.end_ms)
    accounts = account(entries, read_truth(run))
    figures.finish(manifest.end_ms)
    sections = [Section(interface_tables(figures, manifest.currency, manifest.objectives))] if figures.outbound else []
    if monitor is not None:
        sections.append(Section([_alerts(run, manifest, monitor)]))
    counts = read_book_counts(run)
    if counts is not None:
        compare_book(accounts, counts)
    scenario = _scenario(run)
    page = (
        environment()
        .get_template("report.html.j2")
        .render(_context(run, manifest, measures, picture, accounts, scenario, sections))
    )
    path = run / REPORT
    unfinished = run / f".{REPORT}.unfinished"
    unfinished.write_text(page, encoding="utf-8")
    unfinished.replace(path)
    return path


def environment() -> Environment:
    return Environment(
        loader=PackageLoader("twin.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def _scenario(run: Path) -> Scenario | None:
    """The scenario that the run kept, or None: a log from elsewhere has none."""
    path = run / SCENARIO
    return load_scenario(path) if path.exists() else None


def _context(
    run: Path,
    manifest: Manifest,
    measures: Mapping[str, Measured],
    picture: Picture,
    accounts: Accounts,
    scenario: Scenario | None,
    sections: list[Section],
) -> dict[str, Any]:
    currency = manifest.currency
    steps = _cost_steps(measures)
    drawings = [
        charts.orders(picture),
        charts.backlog(picture),
        charts.stock(picture, currency) if picture.sites else None,
        charts.sites(picture, _capacity(picture, scenario)) if picture.sites else None,
        charts.cycle_time(picture, _percentiles(measures)),
        charts.costs(steps, currency) if steps else None,
    ]
    asked = asked_outside(measures)
    books, differences = book_tables(accounts, read_book_counts(run))
    key_measures, others = measure_tables(measures, currency)
    return {
        "title": manifest.title,
        "summary": _summary(manifest, measures, picture, accounts),
        "stamp": f"{MODEL}, {who_decided(scenario, asked)}",
        "manifest": manifest,
        "keys": _keys(manifest, measures, picture, accounts),
        "charts": [drawing for drawing in drawings if drawing is not None],
        "measures": key_measures,
        "others": others,
        "sections": [
            Section([by_channel(picture, currency), by_site(picture, currency)]),
            Section(sourcing_tables(picture, measures), pair=True),
            *([Section([asked_table(asked)])] if asked else []),
            *sections,
        ],
        "books": [books[:1], books[1:]],
        "differences": differences,
        "agreement": _agreement(accounts),
        "exceptions": exception_tables(picture, currency),
        "daily": by_bucket(picture),
        "origin": ORIGIN.format(logic=decided_by(scenario, asked)),
        "facts": _facts(manifest, scenario),
        "command": _command(manifest, scenario),
    }


def _alerts(run: Path, manifest: Manifest, monitor: Monitor) -> Table:
    """What was raised, held against the faults where the truth is known."""
    alerts, detection = monitor.finish(manifest.end_ms), None
    if manifest.truth_rows:
        watched = monitor.monitoring
        detection = detect(alerts, faults_of(read_truth(run), watched.interfaces), watched)
    return alert_table(alerts, detection)


def _command(manifest: Manifest, scenario: Scenario | None) -> str:
    """What makes the run again in its own folder, which holds the scenario as it was run."""
    command = f"twin run {SCENARIO} --seed {manifest.seed} --out again"
    if scenario is not None and manifest.end_ms < scenario.run.end:
        command += f" --until {format_duration(manifest.end_ms - scenario.run.start)}"
    # It is to be given in this folder, which has what the services answered.
    for service in () if scenario is None else scenario.services:
        command += f" --service {service.id}=recorded:."
    return command


def _cost_steps(measures: Mapping[str, Measured]) -> list[charts.Cost]:
    steps: list[charts.Cost] = []
    for name, label, sign in _STEPS:
        value = measures[name].value
        if value is None:
            return []
        if name in _SELDOM and not value:
            continue
        steps.append(charts.Cost(label, sign * round(value)))
    return steps


def _percentiles(measures: Mapping[str, Measured]) -> dict[int, int]:
    """The order cycle time that 50 and 90 % of the orders do not exceed, in ms."""
    found = {share: measures[f"order_cycle_time/p{share}"].value for share in (50, 90)}
    return {share: round(value) for share, value in found.items() if value is not None}


def _capacity(picture: Picture, scenario: Scenario | None) -> dict[str, list[tuple[float, float]]]:
    """Hours of picking needed and hours of pickers on shift, by warehouse and bucket, where pickers are limited."""
    if scenario is None:
        return {}
    hours: dict[str, list[tuple[float, float]]] = {}
    for warehouse in scenario.warehouses:
        site, pick = picture.sites.get(warehouse.id), warehouse.pick_time
        order = pick.order + (0 if pick.drawn is None else pick.drawn.expected())
        if warehouse.pickers is None or site is None or not (order or pick.line or pick.unit):
            continue
        rows: list[tuple[float, float]] = []
        for bucket, shift in enumerate(_on_shift(picture, site.bounds)):
            work = (
                site.picked[bucket] * order
                + site.picked_lines[bucket] * pick.line
                + site.picked_units[bucket] * pick.unit
            )
            rows.append((work / HOUR_MS, shift * warehouse.pickers / HOUR_MS))
        hours[warehouse.id] = rows
    return hours


def _on_shift(picture: Picture, bounds: tuple[int, ...]) -> list[int]:
    """Milliseconds that a calendar is open in each bucket."""
    grid = picture.grid
    if not bounds:
        return [grid.width_ms] * grid.count
    open_ms = [0] * grid.count
    for opens, closes in zip(bounds[::2], bounds[1::2], strict=True):
        if closes <= grid.start_ms or opens >= grid.start_of(grid.count):
            continue
        for bucket in range(grid.bucket(opens), grid.bucket(closes - 1) + 1):
            inside = min(closes, grid.start_of(bucket + 1)) - max(opens, grid.start_of(bucket))
            open_ms[bucket] += max(inside, 0)
    return open_ms


def _otif(measures: Mapping[str, Measured]) -> tuple[int, int]:
    """Orders due that were delivered in full and on time, and orders due."""
    measured = measures["otif_to_request"]
    return int(measured.numerator or 0), int(measured.denominator or 0)


def _summary(manifest: Manifest, measures: Mapping[str, Measured], picture: Picture, accounts: Accounts) -> str:
    first, last = date_text(manifest.start_ms, year=True), date_text(manifest.end_ms - 1, year=True)
    if not picture.orders:
        return f"No order came in between {first} and {last}."
    kept, due = _otif(measures)
    lines = plural(accounts.captured.lines, "line")
    said = [f"{plural(picture.orders, 'order')} with {lines} came in between {first} and {last}."]
    measured_from = date_text(manifest.start_ms + manifest.warmup_ms)
    since = f"from {measured_from} on, after the warm-up" if manifest.warmup_ms else "in that time"
    if due:
        said.append(
            f"Of the {count(due)} that were due {since}, {percent(kept, due)} were delivered in full and on time "
            "to the date the customer asked for."
        )
    if accounts.open.lines:
        waiting = picture.waiting[-1]
        wait = f" of which {count(waiting)} wait for stock" if waiting else " none of which waits for stock"
        said.append(
            f"{plural(accounts.open.lines, 'line')} with {plural(accounts.open.units, 'unit')} "
            f"{'is' if accounts.open.lines == 1 else 'are'} still open,{wait}."
        )
    else:
        said.append("Nothing is left open.")
    if accounts.rejected.units:
        said.append(f"{plural(accounts.rejected.units, 'unit')} had to be turned away.")
    revenue, margin = measures["revenue"].value, measures["margin"].value
    if revenue and margin is not None:
        share = percent(abs(round(margin)), abs(round(revenue)))
        outcome = "left a margin" if margin >= 0 else "ended in a loss"
        said.append(
            f"Revenue of {money(revenue, manifest.currency, whole=True)} {outcome} of "
            f"{money(abs(Fraction(margin)), manifest.currency, whole=True)} ({share})."
        )
    return " ".join(said)


def _keys(manifest: Manifest, measures: Mapping[str, Measured], picture: Picture, accounts: Accounts) -> list[Key]:
    kept, due = _otif(measures)
    keys = [
        Key("orders captured", count(picture.orders), f"{plural(accounts.captured.units, 'unit')}"),
        Key("in full and on time", percent(kept, due), f"{count(kept)} of {count(due)} due, to the requested date"),
    ]
    filled = measures["unit_fill_rate"]
    if filled.numerator is not None and filled.denominator:
        at_once, wanted = int(filled.numerator), int(filled.denominator)
        keys.append(Key("units filled at once", percent(at_once, wanted), f"{count(at_once)} of {count(wanted)}"))
    keys.append(
        Key(
            "open at the end",
            count(accounts.open.units),
            f"units on {plural(accounts.open.lines, 'line')}, {count(picture.waiting[-1])} wait for stock",
        )
    )
    stock = sum(site.value for site in picture.sites.values())
    units = sum(site.units for site in picture.sites.values())
    keys.append(
        Key(
            f"stock, {manifest.currency}",
            bare(stock, manifest.currency),
            f"{plural(units, 'unit')} on hand at the end",
        )
    )
    margin, revenue = measures["margin"].value, measures["revenue"].value
    if margin is not None and revenue:
        detail = f"{percent(round(margin), round(revenue))} of revenue"
        keys.append(Key(f"margin, {manifest.currency}", bare(margin, manifest.currency), detail))
    return keys


def _agreement(accounts: Accounts) -> str:
    return (
        f"{plural(accounts.captured.lines, 'line')} and {plural(accounts.captured.units, 'unit')} captured are the "
        "delivered, canceled, rejected and open ones"
        + (
            f", and the movements of {plural(accounts.items, 'item')} add up to what stands on the shelves."
            if accounts.stock
            else "."
        )
    )


def _facts(manifest: Manifest, scenario: Scenario | None) -> list[tuple[str, str]]:
    facts = [
        ("simulated time", f"{instant_text(manifest.start_ms)} to {instant_text(manifest.end_ms)} UTC"),
    ]
    if manifest.warmup_ms:
        facts.append(
            ("measured from", f"{instant_text(manifest.start_ms + manifest.warmup_ms)} UTC, after the warm-up")
        )
    if scenario is not None and scenario.description:
        facts.append(("scenario", scenario.description))
    facts += [
        ("seed", str(manifest.seed)),
        ("scenario digest", manifest.scenario_digest),
        ("run digest", manifest.digest),
        ("truth digest", manifest.truth_digest or "none"),
        ("log", f"{count(manifest.entries)} entries, {count(manifest.truth_rows)} rows of truth"),
        ("versions", ", ".join(f"{name} {version}" for name, version in manifest.versions.items())),
    ]
    if manifest.parent:
        facts.append(("goes on from", f"{manifest.parent} at entry {count(manifest.position)}"))
    return facts
