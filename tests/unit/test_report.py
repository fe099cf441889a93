"""The report of a run: what it says agrees with the measures and the books, and it needs nothing but itself."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from fractions import Fraction
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.unit.log_samples import DAY, HOUR, START, Business, busy_week
from tests.unit.pages import reaches_out
from tests.world.deciders import between_two, nearest, outside
from twin.core.commands import CancelOrder, CaptureOrder, CountStock, HoldOrder, OrderLine, StockLine
from twin.core.entry import Entry
from twin.log import MemoryLog, RunError
from twin.measures import compute_facts
from twin.measures.facts import Facts
from twin.report import write_report
from twin.report.grid import Grid, grid_over
from twin.report.picture import Picture, collect
from twin.report.words import count, duration, money, percent, plural, rounded
from twin.run import Run, Twin, load

ROOT = Path(__file__).resolve().parents[2]
KILOBYTES = 300_000
SMALL = {"run": {"horizon": "4d", "drain": "2d"}, "assortment": {"count": 150}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load(ROOT / "scenarios/demo.yaml", SMALL).run(out=tmp_path_factory.mktemp("report") / "demo")


@pytest.fixture(scope="module")
def page(run: Run) -> str:
    return page_of(run)


def page_of(run: Run) -> str:
    """The text of a run's report, written anew."""
    return write_report(run.folder, run.measures).read_text(encoding="utf-8")


def text_of(page: str) -> str:
    """What a reader sees: tags and styles out, white space folded."""
    body = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))


# --- the page


def test_the_page_asks_no_network_and_runs_no_script(page: str) -> None:
    assert reaches_out(page) == []


@pytest.mark.parametrize(
    "planted",
    [
        "<script>",
        '<img alt="">',
        '<a href="https://example.org/">',
        '<a href="other.html">',
        "<style>@import 'x'</style>",
        "url(picture.png)",
        '<p onclick="">',
    ],
)
def test_a_page_that_reaches_out_would_be_noticed(page: str, planted: str) -> None:
    assert reaches_out(page + planted) != []


def test_the_page_stays_small_enough_to_be_mailed(page: str) -> None:
    assert len(page.encode()) < KILOBYTES


def test_every_tag_is_closed_and_no_id_occurs_twice(page: str) -> None:
    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []
            self.ids: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.ids += [value for name, value in attrs if name == "id" and value is not None]
            if tag not in ("meta", "br", "hr"):
                self.open.append(tag)

        def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.ids += [value for name, value in attrs if name == "id" and value is not None]

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert len(reader.ids) == len(dict.fromkeys(reader.ids))
    targets = re.findall(r"(?:url\(|href=\")#([^)\"]+)", page)
    assert [target for target in targets if target not in reader.ids] == []


def test_each_chart_is_well_formed_says_what_it_shows_and_takes_its_colors_from_the_page(page: str) -> None:
    charts = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(charts) == 6
    for chart in charts:
        assert len(ET.fromstring(chart).get("aria-label", "")) > 20
        assert re.findall(r"#[0-9a-f]{6}\b", chart) == []
        assert "<text" in chart


def test_what_comes_from_the_scenario_cannot_become_markup(tmp_path: Path) -> None:
    title = '<b>Peak</b> & "after"'
    run = load(ROOT / "scenarios/minimal.yaml", {"title": title}).run(out=tmp_path / "run")
    page = page_of(run)
    assert "<b>" not in page
    assert title in text_of(page)


def test_the_page_is_the_same_bytes_under_any_hash_seed(run: Run, page: str, fresh_python: Callable[..., str]) -> None:
    program = (
        "import sys; from pathlib import Path; from twin.report import write_report; write_report(Path(sys.argv[1]))"
    )
    for hash_seed in (1, 2):
        fresh_python(program, str(run.folder), hash_seed=hash_seed)
        assert (run.folder / "report.html").read_text(encoding="utf-8") == page


# EX-05
def test_the_page_names_seed_digests_and_version_and_says_that_it_is_a_model(run: Run, page: str) -> None:
    text = text_of(page)
    manifest = run.manifest
    assert "MODEL: run from a scenario, reference logic, not yours" in text
    for told in (manifest.digest, manifest.scenario_digest, manifest.truth_digest, manifest.versions["ordertwin"]):
        assert told in text
    assert f"seed {manifest.seed}" in text


def test_the_page_says_which_service_decided(tmp_path: Path) -> None:  # PL-04
    scenario = outside(between_two())
    run = Twin(scenario).run(out=tmp_path / "run", services={"nearest": nearest()})
    text = text_of(page_of(run))
    assert "MODEL: run from a scenario, decisions by a service outside" in text
    assert "taken by the service 'nearest' (sourcing), and all others by the reference order logic" in text
    assert "not yours" not in text
    assert "--service nearest=recorded:. " in text


# EX-05
@pytest.mark.parametrize("until_ms", [None, 2 * DAY])
def test_the_command_on_the_page_gives_the_same_digest_again(
    tmp_path: Path, until_ms: int | None, fresh_python: Callable[..., str]
) -> None:
    first = load(ROOT / "scenarios/demo.yaml", SMALL).run(out=tmp_path / "run", seed=7, until_ms=until_ms)
    found = re.search(r"<code class=\"code\">(.*?)</code>", page_of(first))
    assert found is not None
    program, *arguments = shlex.split(unescape(found[1]))
    assert program == "twin"
    fresh_python("import sys; from twin.cli import main; sys.exit(main(sys.argv[1:]))", *arguments, cwd=first.folder)
    assert Run(first.folder / "again").digest == first.digest


def test_the_summary_agrees_with_the_measures_and_the_books(run: Run, page: str) -> None:
    text = text_of(page)
    measures = run.measures
    kept, due = measures["otif_to_request"].numerator, measures["otif_to_request"].denominator
    assert isinstance(kept, int) and isinstance(due, int) and due
    assert f"{count(int(measures['orders_captured'].value or 0))} orders with" in text
    assert f"Of the {count(due)} that were due in that time, {percent(kept, due)} were delivered in full" in text
    assert "Every sum agrees:" in text


def test_a_run_without_orders_still_gives_a_page(tmp_path: Path) -> None:
    run = load(ROOT / "scenarios/minimal.yaml", {"channels": [{"id": "web", "demand": {"rate": "1/year"}}]}).run(
        out=tmp_path / "run"
    )
    assert "No order came in between 17 Nov 2025 and 18 Nov 2025." in text_of(page_of(run))


def test_a_warm_up_is_told_where_it_changes_what_is_counted(tmp_path: Path) -> None:
    run = load(ROOT / "scenarios/minimal.yaml", {"run": {"horizon": "6d", "warmup": "3d"}}).run(out=tmp_path / "run")
    page = page_of(run)
    assert "that were due from 20 Nov on, after the warm-up," in text_of(page)
    assert "measured from here" in page


def test_a_folder_that_is_cut_off_is_refused_and_left_as_it_is(run: Run, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(run.folder, broken, ignore=shutil.ignore_patterns("manifest.json", "report.html"))
    with pytest.raises(RunError, match="is cut off"):
        write_report(broken)
    assert [path.name for path in broken.iterdir() if "report" in path.name] == []


def test_a_browser_shows_every_chart_within_the_page(run: Run, page: str, tmp_path: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not installed; `apt-get install chromium` brings it")
    image = pytest.importorskip("PIL.Image")
    shot = tmp_path / "page.png"
    subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--hide-scrollbars",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--screenshot={shot}",
            "--window-size=1200,2400",
            f"file://{run.folder / 'report.html'}",
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    with image.open(shot) as picture:
        pixels = picture.convert("RGB")
        assert pixels.size == (1200, 2400)
        # Nothing runs out of the column, and there is something to see in every part of the page.
        assert pixels.crop((1185, 0, 1200, 2400)).getcolors() == [(15 * 2400, (255, 255, 255))]
        for top in range(0, 2400, 300):
            colors = pixels.crop((0, top, 1200, top + 300)).getcolors(1 << 20)
            assert len(colors) > 20, f"nothing to see from {top} to {top + 300} px"


# --- the picture agrees with the measures


def picture_and_measures(entries: list[Entry], end_ms: int) -> tuple[Picture, Facts]:
    grid = grid_over(START, end_ms)
    return collect(entries, grid, (START, end_ms), end_ms), Facts.collect(entries, START, end_ms, 0)


def entries_of(business: Business) -> list[Entry]:
    assert isinstance(business.log, MemoryLog)
    return list(business.log.read(0))


def assert_agree(entries: list[Entry], end_ms: int) -> Picture:
    picture, facts = picture_and_measures(entries, end_ms)
    measures = compute_facts(facts)
    rows = picture.channels.values()
    otif = measures["otif_to_request"]
    assert (sum(row.on_time for row in rows), sum(row.due for row in rows)) == (otif.numerator, otif.denominator)
    assert sum(row.withdrawn for row in rows) == measures["orders_withdrawn"].value
    assert sum(row.refused for row in rows) == measures["orders_refused"].value
    assert picture.orders == measures["orders_captured"].value
    assert picture.open_orders[-1] == measures["open_orders"].value
    assert picture.waiting[-1] == measures["backordered_units"].value
    assert picture.waiting[-1] == sum(wait.units for wait in picture.backorders)
    assert sum(picture.cycle_hours.values()) == (measures["order_cycle_time"].denominator or 0)
    for (route, rule), (legs, _) in picture.routes.items():
        assert measures[f"sourcing_decisions/route={route},rule={rule}"].value == legs
    for name, row in picture.channels.items():
        captured = measures.get(f"orders_captured/channel={name}")
        assert row.orders == (0 if captured is None else captured.value)
    return picture


def test_series_and_channels_agree_with_the_measures_of_a_busy_week() -> None:
    business = busy_week()
    business.wait(2 * DAY)
    assert_agree(entries_of(business), business.now + DAY)


def test_series_and_channels_agree_with_the_measures_of_the_demo(run: Run) -> None:
    manifest = run.manifest
    entries = list(run.entries())
    picture = collect(
        entries, grid_over(manifest.start_ms, manifest.end_ms), (manifest.start_ms, manifest.end_ms), manifest.end_ms
    )
    rows = picture.channels.values()
    otif = run.measures["otif_to_request"]
    assert (sum(row.on_time for row in rows), sum(row.due for row in rows)) == (otif.numerator, otif.denominator)
    assert picture.waiting[-1] == run.measures["backordered_units"].value
    assert sum(site.freight_minor for site in picture.sites.values()) == run.measures["freight"].value


def test_orders_withdrawn_in_time_are_not_due_and_those_refused_or_withdrawn_late_fail() -> None:
    business = Business()
    # It takes all there is, so that the others wait and can still be canceled.
    business.order("first", ("nut", 10))
    business.order("in_time", ("nut", 50), due=DAY)
    business.do(CancelOrder(*business.head(), "in_time", "customer", "changed my mind"))
    business.order("too_late", ("nut", 50), due=HOUR)
    business.order("by_us", ("nut", 50), due=DAY)
    business.wait(2 * HOUR)
    business.do(CancelOrder(*business.head(), "too_late", "customer", "changed my mind"))
    business.do(CancelOrder(*business.head(), "by_us", "company", "no more of it"))
    lines = (OrderLine(1, "unheard_of", 1, 500),)
    refused = CaptureOrder(*business.head(), "refused", "web", "someone", "uk", business.now + DAY, lines)
    assert business.driver.handle(refused, business.now).refusal is not None
    again = CaptureOrder(*business.head(), "again", "web", "someone", "uk", business.now + 9 * DAY, lines)
    assert business.driver.handle(again, business.now).refusal is not None
    business.order("again", ("bolt", 1), due=9 * DAY)
    business.wait(2 * DAY)
    picture = assert_agree(entries_of(business), business.now + HOUR)
    web = picture.channels["web"]
    assert (web.withdrawn, web.refused, web.due, web.on_time) == (1, 1, 3, 0)


def test_stock_on_the_page_is_what_the_engine_believes_after_counts_and_late_confirmations() -> None:
    business = busy_week()
    business.ship()
    # A count that knows of a movement which is confirmed only afterwards: it must not be taken off twice.
    business.order("counted", ("bolt", 2))
    on_hand = business.driver.engine.state.stock["north"]["bolt"].on_hand
    ahead = business.counted("north") + 1
    business.do(CountStock(*business.head(), "north", (StockLine("bolt", on_hand - 2),), ahead))
    business.ship()
    business.wait(HOUR)
    picture, _ = picture_and_measures(entries_of(business), business.now)
    costs = {"bolt": 300, "nut": 400}
    for node, cells in business.driver.engine.state.stock.items():
        site = picture.sites[node]
        assert site.units == site.on_hand[-1] == sum(cell.on_hand for cell in cells.values())
        assert site.value == sum(cell.on_hand * costs[sku] for sku, cell in cells.items())


def test_units_on_the_page_are_where_the_engine_has_them_at_every_hour() -> None:
    business = busy_week()
    business.wait(HOUR)
    picture, _ = picture_and_measures(entries_of(business), business.now)
    captures = [entry.command for entry in entries_of(business) if isinstance(entry.command, CaptureOrder)]
    units = sum(line.quantity for command in captures for line in command.lines)
    lines = [line for order in business.driver.engine.state.orders.values() for line in order.lines.values()]
    still_open = sum(sum(line.buckets[:9]) for line in lines)
    assert 0 < still_open < units
    assert picture.waiting[-1] + picture.working[-1] + picture.in_transit[-1] == still_open
    assert picture.in_transit[-1] == sum(line.buckets[8] for line in lines)


def test_held_orders_dead_letters_and_the_oldest_backorder_are_shown() -> None:
    business = Business(acknowledge=True)
    business.order("short", ("nut", 40))
    business.wait(DAY)
    business.order("shorter", ("nut", 40))
    business.order("kept", ("bolt", 1))
    business.do(HoldOrder(*business.head(), "kept", "credit check"))
    business.wait(DAY)
    picture, _ = picture_and_measures(entries_of(business), business.now)
    assert (picture.backorders[0].order, picture.backorders[0].since) == ("short", START)
    assert picture.held["kept"].reason == "credit check"
    dead = business.driver.engine.state.dead_letters
    assert dead
    assert list(picture.dead) == list(dead)


# --- axis and words


@pytest.mark.parametrize(
    ("span", "name"),
    [
        (HOUR, "hour"),
        (3 * DAY, "hour"),
        (4 * DAY, "day"),
        (119 * DAY, "day"),
        (120 * DAY, "week"),
        (3000 * DAY, "28 days"),
    ],
)
def test_the_time_axis_takes_the_finest_width_that_can_be_read(span: int, name: str) -> None:
    start = START + 5 * HOUR
    grid = grid_over(start, start + span)
    assert grid.name == name.replace("28 days", "4 weeks")
    assert grid.start_of(0) <= start < grid.start_of(1)
    assert grid.start_of(grid.count - 1) < start + span <= grid.start_of(grid.count)


def test_an_instant_outside_the_axis_is_counted_to_its_nearest_end() -> None:
    grid = Grid(START, DAY, 3, "day")
    assert [grid.bucket(START + at) for at in (-DAY, 0, DAY - 1, DAY, 9 * DAY)] == [0, 0, 0, 1, 2]


def test_a_little_is_never_shown_as_nothing_nor_nearly_all_as_all() -> None:
    assert percent(0, 5) == "0.0 %"
    assert percent(1, 10_000) == "< 0.1 %"
    assert percent(9_999, 10_000) == "> 99.9 %"
    assert percent(5, 5) == "100.0 %"
    assert percent(1, 0) == "–"


def test_numbers_read_as_people_write_them() -> None:
    assert rounded(Fraction(-12345678, 1000), 1) == "-12,345.7"
    assert money(123450, "GBP") == "1,234.50 GBP"
    assert money(123450, "JPY", whole=True) == "123,450 JPY"
    assert [duration(at) for at in (90_000, 5 * HOUR, 3 * DAY)] == ["2 min", "5.0 h", "3.0 d"]
    assert [plural(1, "line"), plural(2, "shelf", "shelves")] == ["1 line", "2 shelves"]
