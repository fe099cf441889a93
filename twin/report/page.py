"""One page about one run: what happened, in words, numbers and drawings, and how to get the same again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from twin.log import Manifest, read_entries, read_manifest, read_truth
from twin.measures.accounts import Accounts, account, read_book_counts
from twin.measures.measured import Measured
from twin.report import charts
from twin.report.grid import HOUR_MS, date_text, grid_over, instant_text
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
from twin.report.words import count, money, percent, plural
from twin.scenario import Scenario
from twin.scenario import load as load_scenario

__all__ = ["REPORT", "write_report"]

REPORT: Final = "report.html"
SCENARIO: Final = "scenario.yaml"
STAMP: Final = "MODEL: run from a scenario, reference logic, not yours"
ORIGIN: Final = (
    "This is a model: the orders, the sites and the faults come from a scenario, and the decisions were taken by the "
    "reference order logic that ships with ordertwin, not by your own system. Every number on this page is computed "
    "from the log of the run, except those of kind T, which also need what physically happened."
)

_STEPS: Final = (
    ("revenue", "revenue", 1),
    ("cost_of_goods", "cost of goods", -1),
    ("freight", "freight", -1),
    ("holding", "holding stock", -1),
    ("ordering", "ordering", -1),
    ("penalty", "penalties", -1),
    ("margin", "margin", 1),
)


class Key(NamedTuple):
    """One of the figures at the top of the page."""

    label: str
    value: str
    detail: str


class Section(NamedTuple):
    """Tables that stand one below the other, or as a pair side by side."""

    tables: list[Table]
    pair: bool = False


def write_report(run: Path, measures: Mapping[str, Measured] | None = None) -> Path:
    """Write `report.html` into a finished run's folder and return its path.

    The page needs nothing but itself: drawings and styles are inline, it has no script and asks no network.
    `measures` are computed unless given. Raises `RunError` for a folder that is no run or is cut off.
    """
    manifest = read_manifest(run)
    if measures is None:
        from twin.measures import compute

        measures = compute(run)
    window = (manifest.start_ms + manifest.warmup_ms, manifest.end_ms)
    grid = grid_over(manifest.start_ms, manifest.end_ms)
    picture, entries = watch(read_entries(run), grid, window, manifest.end_ms)
    accounts = account(entries, read_truth(run))
    scenario = _scenario(run)
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(_context(run, manifest, measures, picture, accounts, scenario))
    )
    path = run / REPORT
    unfinished = run / f".{REPORT}.unfinished"
    unfinished.write_text(page, encoding="utf-8")
    unfinished.replace(path)
    return path


def _environment() -> Environment:
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
) -> dict[str, Any]:
    currency = manifest.currency
    steps = _cost_steps(measures)
    drawings = [
        charts.orders(picture),
        charts.backlog(picture),
        charts.stock(picture, currency) if picture.sites else None,
        charts.sites(picture, _capacity(picture, scenario)) if picture.sites else None,
        charts.cycle_time(picture),
        charts.costs(steps, currency) if steps else None,
    ]
    books, differences = book_tables(accounts, read_book_counts(run))
    key_measures, others = measure_tables(measures, currency)
    return {
        "title": manifest.title,
        "summary": _summary(manifest, measures, picture, accounts),
        "stamp": STAMP,
        "manifest": manifest,
        "keys": _keys(manifest, measures, picture, accounts),
        "charts": [drawing for drawing in drawings if drawing is not None],
        "measures": key_measures,
        "others": others,
        "sections": [
            Section([by_channel(picture, currency), by_site(picture, currency)]),
            Section(sourcing_tables(picture), pair=True),
        ],
        "books": books,
        "differences": differences,
        "agreement": _agreement(accounts),
        "exceptions": exception_tables(picture, currency),
        "daily": by_bucket(picture),
        "origin": ORIGIN,
        "facts": _facts(manifest, scenario),
        "command": f"twin run {SCENARIO} --seed {manifest.seed} --out again",
    }


def _cost_steps(measures: Mapping[str, Measured]) -> list[charts.Cost]:
    steps: list[charts.Cost] = []
    for name, label, sign in _STEPS:
        measured = measures.get(name)
        if measured is None or measured.value is None:
            return []
        steps.append(charts.Cost(label, sign * round(measured.value)))
    return steps


def _capacity(picture: Picture, scenario: Scenario | None) -> dict[str, list[tuple[float, float]]]:
    """Hours of picking needed and hours of pickers on shift, by warehouse and bucket, where pickers are limited."""
    if scenario is None:
        return {}
    hours: dict[str, list[tuple[float, float]]] = {}
    for warehouse in scenario.warehouses:
        site, pick = picture.sites.get(warehouse.id), warehouse.pick_time
        if warehouse.pickers is None or site is None or not (pick.order or pick.line or pick.unit):
            continue
        rows: list[tuple[float, float]] = []
        for bucket, shift in enumerate(_on_shift(picture, site.bounds)):
            work = (
                site.picked[bucket] * pick.order
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


def _otif(measures: Mapping[str, Measured], picture: Picture) -> tuple[int, int]:
    measured = measures.get("otif_to_request")
    if measured is not None and measured.numerator is not None and measured.denominator is not None:
        return int(measured.numerator), int(measured.denominator)
    rows = picture.channels.values()
    return sum(row.on_time for row in rows), sum(row.due for row in rows)


def _summary(manifest: Manifest, measures: Mapping[str, Measured], picture: Picture, accounts: Accounts) -> str:
    first, last = date_text(manifest.start_ms, year=True), date_text(manifest.end_ms - 1, year=True)
    if not picture.orders:
        return f"No order came in between {first} and {last}."
    kept, due = _otif(measures, picture)
    lines = plural(accounts.captured.lines, "line")
    said = [f"{plural(picture.orders, 'order')} with {lines} came in between {first} and {last}."]
    if due:
        said.append(
            f"Of the {count(due)} that were due in that time, {percent(kept, due)} were delivered in full and on time "
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
    revenue, margin = measures.get("revenue"), measures.get("margin")
    if revenue is not None and margin is not None and revenue.value and margin.value is not None:
        share = percent(round(margin.value), round(revenue.value))
        said.append(
            f"Revenue of {money(revenue.value, manifest.currency, whole=True)} left a margin of "
            f"{money(margin.value, manifest.currency, whole=True)} ({share})."
        )
    return " ".join(said)


def _keys(manifest: Manifest, measures: Mapping[str, Measured], picture: Picture, accounts: Accounts) -> list[Key]:
    kept, due = _otif(measures, picture)
    keys = [
        Key("orders captured", count(picture.orders), f"{plural(accounts.captured.units, 'unit')}"),
        Key("in full and on time", percent(kept, due), f"{count(kept)} of {count(due)} due, to the requested date"),
    ]
    for name, label in (("unit_fill_rate", "units filled at once"),):
        measured = measures.get(name)
        if measured is not None and measured.numerator is not None and measured.denominator is not None:
            detail = f"{count(int(measured.numerator))} of {count(int(measured.denominator))} units"
            keys.append(Key(label, percent(int(measured.numerator), int(measured.denominator)), detail))
    keys.append(
        Key(
            "open at the end",
            count(accounts.open.units),
            f"units on {plural(accounts.open.lines, 'line')}, {count(picture.waiting[-1])} wait for stock",
        )
    )
    stock = sum(site.value for site in picture.sites.values())
    units = sum(site.units for site in picture.sites.values())
    keys.append(Key("stock at the end", money(stock, manifest.currency, whole=True), f"{plural(units, 'unit')}"))
    margin, revenue = measures.get("margin"), measures.get("revenue")
    if margin is not None and margin.value is not None and revenue is not None and revenue.value:
        share = percent(round(margin.value), round(revenue.value))
        keys.append(Key("margin", money(margin.value, manifest.currency, whole=True), f"{share} of revenue"))
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
