"""A scenario's one page: what it says agrees with the measures of its runs, and it needs nothing but itself."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from fractions import Fraction
from html import unescape
from itertools import accumulate
from pathlib import Path

import pytest
from msgspec import structs

from tests.unit.pages import reaches_out
from tests.unit.test_report import text_of
from twin.cli import main
from twin.cli.briefing import options_of
from twin.experiment.assumptions import assumptions
from twin.experiment.brief import Brief, Option, brief
from twin.experiment.harm import CALM
from twin.experiment.leakage import result
from twin.log import read_entries, read_truth
from twin.measures import compare, facts_of
from twin.measures.outside import asked_outside
from twin.observability import blast_radius, total_queue
from twin.report.brief_charts import timeline_of
from twin.report.brief_page import write_brief
from twin.report.brief_words import back_at, moment, no_loss_text, span
from twin.report.words import bare, count
from twin.run import Run, load
from twin.scenario import Scenario
from twin.scenario import load as load_scenario

ROOT = Path(__file__).resolve().parents[2]
DRILL = ROOT / "scenarios/drills/outage_warehouse.yaml"
HOUR = 3_600_000
BEGAN, ENDED = 8 * HOUR, 18 * HOUR
COSTLY: dict[str, object] = {
    "title": "A warehouse <is> away & orders are late",
    "run": {"drain": "4d"},
    "costs": {"late": "10%"},
    "channels": [{"id": "desk", "requested": "20h"}, {"id": "web", "requested": "24h"}],
    "monitor": {"every": "1m", "alerts": [{"id": "age", "kind": "queue_age", "gateway": "*", "above": "20m"}]},
}
SHORT = {"faults": [{"kind": "outage", "interface": "wms.hamburg", "from": "8h", "for": "1h"}]}
OPTIONS = (Option("short <outage>", SHORT, 100_00), Option("nothing", {}))
SEEDS = (1, 2)
COMMAND = "twin brief somewhere.yaml"


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario(DRILL, COSTLY)


@pytest.fixture(scope="module")
def found(scenario: Scenario) -> Iterator[Brief]:
    made = brief(scenario, SEEDS, OPTIONS)
    with made.pair.kept:
        yield made


@pytest.fixture(scope="module")
def page(found: Brief, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = write_brief(found, tmp_path_factory.mktemp("brief") / "page.html", COMMAND)
    assert [one.name for one in path.parent.iterdir()] == ["page.html"]
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def runs(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Run]:
    """The same runs by another way: each by itself, measured as any run is."""
    folder = tmp_path_factory.mktemp("runs")
    made = {}
    for seed in SEEDS:
        for name, changes in (("calm", dict(CALM)), ("hurt", {})):
            twin = load(DRILL, {**COSTLY, **changes})
            made[name, seed] = twin.run(seed, folder / f"{name}-{seed}")
    return made


# --- the page is self-contained


def test_the_page_asks_no_network_and_runs_no_script(page: str) -> None:
    assert reaches_out(page) == []
    assert len(page.encode()) < 300_000


def test_what_comes_from_the_scenario_cannot_become_markup(page: str) -> None:
    assert "<is>" not in page and "<outage>" not in page
    assert "A warehouse <is> away & orders are late" in text_of(page)
    assert "short <outage>" in text_of(page)


def test_each_chart_is_drawn_for_both_windows_and_takes_its_colors_from_the_page(page: str) -> None:
    charts = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(charts) == 4
    for chart in charts:
        assert len(ET.fromstring(chart).get("aria-label", "")) > 20
        assert re.findall(r"#[0-9a-f]{6}\b", chart) == []
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(dict.fromkeys(ids))


# --- its numbers are those of the measures


def test_the_sentence_has_the_figures_of_the_measures_of_its_runs(
    found: Brief, page: str, runs: dict[tuple[str, int], Run]
) -> None:
    """KP-01, OB-02, OB-05"""
    calm, hurt = runs["calm", 1], runs["hurt", 1]
    harm = compare(facts_of(calm.folder, trace=True), facts_of(hurt.folder, trace=True))
    start = hurt.manifest.start_ms
    touched = blast_radius(read_entries(hurt.folder), "warehouse/hamburg", start + BEGAN, start + ENDED).orders
    messages = total_queue(read_entries(hurt.folder), read_truth(hurt.folder), hurt.manifest.end_ms)
    detected = hurt.measures["time_to_detect"].value
    assert harm["harmed_orders"].value and touched and detected
    margins = [[runs[name, seed].measures["margin"].value or 0 for seed in SEEDS] for name in ("calm", "hurt")]
    lost = [Fraction(before) - Fraction(after) for before, after in zip(*margins, strict=True)]
    assert all(one > 0 for one in lost)
    text = text_of(page)
    head = text[text.index("Outage at warehouse/hamburg") : text.index("doubled.")]
    assert head.startswith("Outage at warehouse/hamburg for 10 h, from Monday 17 Nov 08:00:")
    assert f"{count(len(touched))} orders touched" in head
    worth = bare(Fraction(harm["harmed_value"].value or 0), "EUR")
    assert f"{count(int(harm['harmed_orders'].value))} harmed (worth {worth} EUR)" in head
    assert f"{bare(round(sum(lost) / len(lost)), 'EUR')} EUR (" in head
    assert f"detected after {span(Fraction(detected))}" in head
    back = back_at(found)
    assert back is not None and f"back to normal {moment(back, start)}" in head
    assert f"{len(messages.lost)} messages lost, {len(messages.duplicated)}" in head


def test_harmed_by_channel_and_class_and_customer_add_up_to_the_measures(found: Brief) -> None:
    """KP-01"""
    pair = found.pair
    for groups in (pair.channels.values(), pair.classes.values(), [one.group for one in pair.customers]):
        for field, name in (("harmed", ""), ("later", "/later"), ("fewer", "/fewer"), ("dearer", "/dearer")):
            assert sum(getattr(group, field) for group in groups) == pair.harm.pair[f"harmed_orders{name}"]
        assert sum(group.value_minor for group in groups) == pair.harm.pair["harmed_value"]
    assert sum(group.orders for group in pair.channels.values()) == pair.calm.measures["orders_captured"].value
    values = [one.group.value_minor for one in pair.customers]
    assert values == sorted(values, reverse=True)


def test_the_loss_by_cause_leads_from_one_margin_to_the_other(
    found: Brief, page: str, runs: dict[tuple[str, int], Run]
) -> None:
    """KP-03"""
    for harm in found.harms:
        for name, of in (("calm", harm.calm), ("hurt", harm.hurt)):
            measures = runs[name, harm.seed].measures
            assert result(of) == Fraction(measures["margin"].value or 0) - Fraction(measures["written_off"].value or 0)
    found.waterfall.check()
    late = next(step for step in found.waterfall.steps if step.cause == "late")
    assert late.amount_minor < 0
    chart = page[page.index("What it cost, by cause") :]
    assert f">{bare(-late.amount_minor, 'EUR')}<" in chart and ">in all<" in chart


def test_the_chart_is_about_the_orders_that_the_measures_count(found: Brief, runs: dict[tuple[str, int], Run]) -> None:
    shown = timeline_of(found.pair, back_at(found))
    start = shown.grid.start_ms
    end = shown.grid.start_of(shown.grid.count)
    for name, series in (("calm", shown.calm), ("hurt", shown.hurt)):
        shipped: dict[str, int] = {}
        for entry in read_entries(runs[name, 1].folder):
            for event in entry.events:
                if type(event).__name__ == "GoodsShipped":
                    shipped[event.order] = entry.now  # type: ignore[union-attr]
        assert sum(series) == sum(start <= at < end for at in shipped.values())
    assert max(shown.behind) > 0
    assert shown.behind[-1] == 0
    assert list(accumulate(shown.due))[-1] > 0
    # All of the trouble is in view.
    (trouble,) = shown.troubles
    assert start <= trouble.began_at < trouble.ended_at <= end


def test_the_digests_on_the_page_are_those_of_the_runs(page: str, runs: dict[tuple[str, int], Run]) -> None:
    """EX-05"""
    text = text_of(page)
    assert runs["calm", 1].digest in text and runs["hurt", 1].digest in text
    assert runs["hurt", 1].manifest.scenario_digest in text
    assert "MODEL reference order logic of ordertwin, not yours agreement with a live system: not measured" in text


# --- options and inputs


def test_an_option_is_paired_with_its_own_undisturbed_business(found: Brief) -> None:
    """KP-02, KP-04, KP-05"""
    short, nothing = found.answers
    assert short.saved_minor > 0 and short.spared_orders > 0
    assert short.saved is not None and short.saved.mean == short.saved_minor
    assert short.running_minor == 0
    assert short.break_even is not None and short.break_even.outages == 100_00 / short.saved_minor
    assert (nothing.saved_minor, nothing.spared_orders, nothing.running_minor) == (0, 0, 0)


def test_a_single_seed_has_no_interval_and_says_so(scenario: Scenario, tmp_path: Path) -> None:
    made = brief(scenario, (1,), OPTIONS[:1])
    with made.pair.kept:
        text = text_of(write_brief(made, tmp_path / "page.html", COMMAND).read_text(encoding="utf-8"))
    assert "one seed, no interval" in text and "one seed cannot tell" in text


def test_the_page_says_how_many_decisions_were_the_services_own(scenario: Scenario, tmp_path: Path) -> None:
    """PL-04: one that is out of reach for half of the day leaves the rules to decide, and that is counted."""
    command = f"stdio:{shlex.quote(sys.executable)} -m adapters.services"
    changes = {
        "run": {"horizon": "1d"},
        "services": [{"id": "nearest", "address": command}],
        "policies": {"sourcing": {"outside": {"service": "nearest"}}},
    }
    once = {"timeout": "1m", "retries": {"max": 0}}
    away = {
        "policies": {"sourcing": {"outside": {"service": "nearest"}}, "delivery": {"decision": once}},
        "interfaces": [{"id": "decider", "to": "decision/nearest"}],
        "faults": [{"kind": "outage", "interface": "decider", "from": "8h", "for": "10h"}],
    }
    for one, own in ((changes, False), (changes | away, True)):
        made = brief(scenario.with_changes(one), (1,))
        with made.pair.kept:
            text = text_of(write_brief(made, tmp_path / "page.html", COMMAND).read_text(encoding="utf-8"))
        told = re.search(r"the service 'nearest' \(sourcing(?:: ([\d,]+) of ([\d,]+))?\), and all others by", text)
        assert told is not None and (told[1] is not None) is own
        assert ("decisions by a service outside" in text) is not own
        assert (" % of the decisions asked of a service outside were its own" in text) is own
        if own:
            (row,) = asked_outside(made.pair.hurt.measures)
            assert (told[1], told[2]) == (f"{row.decided:,}", f"{row.asked:,}")
            assert 0 < row.decided < row.asked


def test_each_input_is_varied_alone_and_both_ways(scenario: Scenario) -> None:
    varied = {one.name: one for one in assumptions(scenario, 250_000)[0]}
    length = varied["length of the trouble"]
    assert [one.faults[0].for_ for one in (length.lower, length.higher)] == [7.5 * HOUR, 12.5 * HOUR]
    before = scenario.plain()
    for one in varied.values():
        for changed in (one.lower.plain(), one.higher.plain()):
            differ = [key for key in changed if changed[key] != before.get(key)]
            assert differ, one.name
            assert len(differ) <= 2, one.name
    assert varied["penalties and handling costs"].higher.costs.late == 125_000
    assert varied["demand"].lower.plain()["channels"][0]["demand"]["rate"] != before["channels"][0]["demand"]["rate"]


@pytest.mark.deep
def test_amounts_are_varied_in_whole_minor_units_and_what_cannot_be_is_named() -> None:
    varied, left = assumptions(load_scenario(ROOT / "scenarios/library/black_friday.yaml"), 250_000)
    assert "freight" in [one.name for one in varied]
    assert "freight" not in left


def test_no_order_is_touched_at_a_closed_site_whose_system_goes_on_and_the_page_says_what_has_a_price() -> None:
    closed = load_scenario(ROOT / "scenarios/drills/warehouse_closed.yaml", {"costs": {"late": "10%"}})
    told = brief(closed, (1,))
    with told.pair.kept:
        assert told.harms[0].touched is None and told.harms[0].pair["harmed_orders"]
        assert "what is late costs nothing" not in no_loss_text(told)
        assert "costs.late" in no_loss_text(told)


def test_inputs_are_ranked_by_how_far_the_loss_moves(scenario: Scenario, tmp_path: Path) -> None:
    made = brief(scenario, (1,), vary_ppm=250_000)
    with made.pair.kept:
        page = write_brief(made, tmp_path / "page.html", COMMAND, "25%").read_text(encoding="utf-8")
    swings = [one.swing_minor for one in made.influences]
    assert swings == sorted(swings, reverse=True) and swings[0] > 0
    by_name = {one.assumption.name: one for one in made.influences}
    # The penalty is a share of a sum that does not depend on it: it moves the loss in proportion.
    rate = by_name["penalties and handling costs"]
    assert rate.costs[0] * 5 == rate.costs[2] * 3
    assert "Cost, +25%" in text_of(page)


def test_the_shipped_options_fit_their_scenario() -> None:
    story = load_scenario(ROOT / "scenarios/stories/portal_down.yaml")
    made = options_of(ROOT / "scenarios/options/portal.yaml", story)
    assert [one.cost_minor for one in made] == [0, 12_000_00, 6_000_00]
    # A null takes the bulkhead away.
    assert story.policies.delivery.supplier is not None and story.policies.delivery.supplier.bulkhead == 2
    changed = story.with_changes(made[0].change).policies.delivery.supplier
    assert changed is not None and changed.bulkhead is None


@pytest.mark.parametrize(
    ("seen", "told", "key"),
    [
        ({"usual": 0, "quiet_ms": 1}, "messages back to normal not known (no traffic after its end)", "no traffic"),
        ({"usual": 9, "quiet_ms": 0}, "messages back to normal not known (no quiet time after its end)", "no quiet"),
        ({"usual": 9, "quiet_ms": 1}, "messages not back to normal before demand ended", "not in time"),
    ],
)
def test_where_nothing_can_show_a_return_the_page_says_so(
    found: Brief, tmp_path: Path, seen: dict[str, int], told: str, key: str
) -> None:
    recoveries = [structs.replace(one, returned_after=None, **seen) for one in found.recoveries]
    made = structs.replace(found, recoveries=recoveries)
    text = text_of(write_brief(made, tmp_path / "page.html", COMMAND).read_text(encoding="utf-8"))
    assert back_at(made) is None
    assert f"{told}, " in text
    assert key in text
    assert ("not before demand ended" in text) == (key == "not in time")


def test_many_troubles_are_told_in_short_and_each_partner_counts_from_its_last(tmp_path: Path) -> None:
    faults = [
        {
            "kind": "outage",
            "interface": "wms.hamburg",
            "from": "2h",
            "markov": {"up": "20m", "down": "10m"},
            "for": "20h",
        }
    ]
    made = brief(load_scenario(DRILL, {**COSTLY, "faults": faults}), (1,))
    with made.pair.kept:
        text = text_of(write_brief(made, tmp_path / "page.html", COMMAND).read_text(encoding="utf-8"))
    others = len(made.pair.troubles) - 1
    assert others > 10
    assert f"and {others} more troubles: " in text
    assert f"The first 10; {others - 9} others followed." in text
    last = made.recoveries[-1]
    assert last.returned_after is not None and last.cleared_after is not None
    assert back_at(made) == last.ended_at + max(last.returned_after, last.cleared_after)


# --- the command


def test_the_command_on_the_page_makes_the_same_page(tmp_path: Path, fresh_python: Callable[..., str]) -> None:
    """EX-05"""
    first = tmp_path / "first.html"
    arguments = [str(DRILL), "--seeds", "1", "--vary", "0%", "--set", "run.drain=4d", "--quiet", "--out", str(first)]
    assert main(["brief", *arguments]) == 0
    page = first.read_text(encoding="utf-8")
    told = re.search(r"<code class=\"code\">(.*?)</code>", page)
    assert told is not None
    program, *again = shlex.split(unescape(told[1]))
    assert program == "twin"
    folder = tmp_path / "again"
    folder.mkdir()
    fresh_python("import sys; from twin.cli import main; sys.exit(main(sys.argv[1:]))", *again, cwd=folder, hash_seed=7)
    assert (folder / "first.html").read_text(encoding="utf-8") == page


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([ROOT / "scenarios/minimal.yaml"], "nothing goes wrong in it; give it faults or disruptions"),
        ([DRILL, "--vary", "120%"], "--vary 120%: nothing would be left"),
        ([DRILL, "--vary", "much"], "--vary much:"),
        ([DRILL, "--options", "options.yaml"], "more_stock: an option has a change"),
        ([DRILL, "--options", "wrong.yaml"], "no_such: "),
        ([DRILL, "--options", "length.yaml"], "an option cannot change the run"),
        ([DRILL, "--options", "missing.yaml"], "missing.yaml"),
        ([DRILL, "--set", "warehouses[bremen].pickers=2"], "bremen"),
        ([DRILL, "--seed", str(2**63 - 1), "--seeds", "2"], "there are not 2 seeds from it on"),
        ([ROOT / "scenarios/no_such.yaml"], "no_such.yaml"),
    ],
)
def test_bad_input_gets_one_message_and_leaves_nothing(
    arguments: list[object],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("options.yaml").write_text("more_stock: {cost_per_year: 5 EUR}\n")
    Path("wrong.yaml").write_text("no_such: {change: {warehouses: [{id: hamburg, pickers: -1}]}}\n")
    Path("length.yaml").write_text("longer: {change: {run: {horizon: 9d}}}\n")
    before = sorted(tmp_path.iterdir())
    assert main(["brief", *map(str, arguments), "--out", "page.html", "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert told in err and "Traceback" not in err and not out
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("out", "told"), [(".", "it is a folder"), ("no/page.html", "there is no folder no")])
def test_a_page_that_cannot_be_written_is_refused_before_anything_runs(
    out: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["brief", str(DRILL), "--out", out, "--quiet"]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_page_does_not_take_the_place_of_a_scenario(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_bytes(DRILL.read_bytes())
    assert main(["brief", str(own), "--out", str(own), "--quiet"]) == 2
    assert own.read_bytes() == DRILL.read_bytes()


# --- in a browser


PROBE = """<script>
const wide = [...document.querySelectorAll('main *')].filter(one => !one.closest('.scroll, .code') &&
  one.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(one => one.tagName);
const shown = [...document.querySelectorAll('svg.chart')].filter(one => one.getBoundingClientRect().width).length;
parent.postMessage([document.documentElement.clientWidth, document.documentElement.scrollWidth, shown,
  wide.join(' ')].join('|'), '*');
</script>"""
"""Tells a page's width, what it takes, how many drawings are seen, and what runs out of it (but for what scrolls)."""


def looked_at(page: str, width: int, folder: Path) -> tuple[tuple[int, int, int, str], list[str]]:
    """What the probe tells of a page in a browser, and the lines of its console.

    The page is in a frame of that width, since the window of a browser may not be so narrow.
    """
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("chromium is not installed; `apt-get install chromium` brings it")
    (folder / "page.html").write_text(page.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    (folder / "frame.html").write_text(
        "<script>onmessage = told => document.body.append('told=' + told.data + ';')</script>"
        f'<iframe src="page.html" style="border: 0; width: {width}px; height: 3000px"></iframe>',
        encoding="utf-8",
    )
    options = (
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
        *("--hide-scrollbars", "--enable-logging=stderr", "--log-level=0", f"--user-data-dir={folder / 'profile'}"),
        *("--virtual-time-budget=5000", "--window-size=1400,3000", "--dump-dom", f"file://{folder / 'frame.html'}"),
    )
    done = subprocess.run([browser, *options], check=True, capture_output=True, text=True, timeout=120)
    told = re.search(r"told=(\d+)\|(\d+)\|(\d+)\|([^;]*);", done.stdout)
    assert told is not None, done.stdout[-500:]
    lines = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return (int(told[1]), int(told[2]), int(told[3]), told[4]), lines


@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_the_page_without_complaint_and_without_overflow(page: str, width: int, tmp_path: Path) -> None:
    seen, console = looked_at(page, width, tmp_path)
    # One of the two drawings of each chart.
    assert seen == (width, width, 2, "")
    assert console == []


def test_a_page_that_runs_out_of_its_window_or_complains_would_be_noticed(page: str, tmp_path: Path) -> None:
    wrong = '<p style="width: 900px">wide</p><script>nothing.at.all</script></main>'
    seen, console = looked_at(page.replace("</main>", wrong), 390, tmp_path)
    assert seen[1] > 390 and seen[3] == "P"
    assert any("nothing is not defined" in line for line in console)
