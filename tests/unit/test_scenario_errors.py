"""Every mistake in a scenario file gets one line with its place and its remedy, all at once, and no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.scenario import Problem, Scenario, ScenarioError, load

GOOD = """\
schema: 1
title: A test
run: {start: 2025-11-17T00:00Z, horizon: 2d}
currency: GBP
calendars:
  - {id: early, timezone: Europe/London, days: [mon, tue], hours: [06:00-14:00]}
regions: [north, south]
warehouses:
  - id: main
    calendar: early
    pick_time: {order: 60s}
    pickups: [{carrier: dhl, at: [17:30]}]
suppliers:
  - {id: maker, lead_time: 2d, order_cost: 10.00 GBP}
carriers:
  - {id: dhl}
  - {id: ups}
lanes:
  - {from: main, to: north, carrier: dhl, transit: 1d}
channels:
  - id: web
    style: ecommerce
    requested: 3d
    demand: {kind: poisson, rate: 40/h, regions: {north: 1}}
items:
  - {id: mug, price: 4.50 GBP, cost: 2.00 GBP, supplier: maker}
stock:
  - {warehouse: main, item: mug, on_hand: 40}
policies:
  sourcing: {preferred: {north: main}}
  replenishment:
    - {warehouse: main, item: mug, kind: min_max, s: 4, S: 10}
  delivery:
    default: {timeout: 30s}
expect:
  - {kind: measure, name: unit_fill_rate, at_least: 93%}
"""


@pytest.fixture
def fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes the good scenario with replacements as peak.yaml, loads it, and returns what is said of it."""
    monkeypatch.chdir(tmp_path)

    def say(*replacements: tuple[str, str]) -> str:
        text = GOOD
        for old, new in replacements:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        Path("peak.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(ScenarioError) as error:
            load("peak.yaml")
        return str(error.value)

    return say


MISTAKES = [
    # unknown references, each with what there is
    (
        "carrier: dhl, transit",
        "carrier: dhl-express, transit",
        "peak.yaml:19: unknown carrier 'dhl-express'; carriers here: dhl, ups (did you mean 'dhl'?)",
    ),
    ("calendar: early", "calendar: earl", "peak.yaml:10: unknown calendar 'earl'; calendars here: early, always"
     " (did you mean 'early'?)"),
    ("{warehouse: main, item: mug, on", "{warehouse: man, item: mug, on",
     "peak.yaml:28: unknown warehouse 'man'; warehouses here: main (did you mean 'main'?)"),
    ("supplier: maker", "supplier: acme", "peak.yaml:26: unknown supplier 'acme'; suppliers here: maker"),
    ("item: mug, on_hand", "item: mgu, on_hand",
     "peak.yaml:28: unknown item 'mgu'; items here: mug (did you mean 'mug'?)"),
    ("regions: {north: 1}", "regions: {nort: 1}",
     "peak.yaml:24: unknown region 'nort'; regions here: north, south (did you mean 'north'?)"),
    ("preferred: {north: main}", "ranking: [main, min]",
     "peak.yaml:30: unknown warehouse 'min'; warehouses here: main (did you mean 'main'?)"),
    ("preferred: {north: main}", "ranking: [main, main]",
     "peak.yaml:30: ranking: 'main' stands twice in it; keep its better place"),
    ("preferred: {north: main}", "rules: [nearest, ranked_nodes]",
     "peak.yaml:30: sourcing: ranked_nodes goes by the ranking, and there is none; give ranking: [best, next, ...]"),
    ("preferred: {north: main}", "preferred: {north: min}",
     "peak.yaml:30: unknown warehouse 'min'; warehouses here: main (did you mean 'main'?)"),
    ("preferred: {north: main}", "preferred: {nrth: main}",
     "peak.yaml:30: unknown region 'nrth'; regions here: north, south (did you mean 'north'?)"),
    # a lane to nowhere
    ("to: north, carrier", "to: nroth, carrier",
     "peak.yaml:19: lane to nowhere: unknown region 'nroth'; regions here: north, south (did you mean 'north'?)"),
    ("from: main", "from: attic", "peak.yaml:19: lane from nowhere: unknown warehouse 'attic'; warehouses here: main"),
    # keys
    ("title: A test", "title: A test\ntitel: Again",
     "peak.yaml:3: unknown key 'titel'; keys here: assortment, calendars, carriers, channels, costs, currency,"
     " description, disruptions, erp, expect, faults, interfaces and 19 more (did you mean 'title'?)"),
    ("{id: ups}", "{id: ups, calender: early}",
     "peak.yaml:17: unknown key 'calender'; keys here: calendar, id, latency, milestones, transit_counts"
     " (did you mean 'calendar'?)"),
    ("title: A test\n", "", "peak.yaml:1: missing key 'title'"),
    ("schema: 1\n", "", "peak.yaml: missing key 'schema'; write schema: 1"),
    (", transit: 1d", "", "peak.yaml:19: missing key 'transit' in lanes[0]"),
    ("{id: ups}", "{id: dpd, id: ups}", "peak.yaml:17: the key 'id' stands twice; first in line 17"),
    ("currency: GBP", "currency: GBP\ncurrency: GBP", "peak.yaml:5: the key 'currency' stands twice; first in line 4"),
    # limits of the send queue that could have no effect
    ("default: {timeout: 30s}", "default: {timeout: 30s, pool: workers}",
     "peak.yaml:34: default: there is no pool 'workers'; pools here: none"),
    ("default: {timeout: 30s}", "erp: {retries: {reserve: 5}}",
     "peak.yaml:34: erp: a reserve belongs to a retry budget; give retries.budget or leave the reserve out"),
    ("default: {timeout: 30s}", "erp: {burst: 5}",
     "peak.yaml:34: erp: a burst belongs to a rate; give rate or leave the burst out"),
    ("default: {timeout: 30s}", "erp: {drain: 5/s}",
     "peak.yaml:34: erp: a drain limit holds after a breaker was open; give a breaker or leave drain out"),
    ("default: {timeout: 30s}", "erp: {queue: {discipline: fifo}}",
     "peak.yaml:34: erp: nothing ever waits to be sent, so queue.discipline has no effect;"
     " give a limit such as bulkhead"),
    ("default: {timeout: 30s}", "erp: {acknowledge: false, bulkhead: 5}",
     "peak.yaml:34: erp: no answer is waited for, so bulkhead can have no effect; set acknowledge: true"),
    ("default: {timeout: 30s}", "erp: {rate: 0/s}",
     "peak.yaml:34: rate: a rate of 0 lets nothing through at all; write more, or an outage"),
    ("default: {timeout: 30s}", "warehouse: {breaker: off}",
     "peak.yaml:34: breaker: 'off' is not known; write none to do without it"),
    ("default: {timeout: 30s}", "erp: {bulkhead: false}",
     "peak.yaml:34: bulkhead: false is not known; write none to do without it"),
    ("default: {timeout: 30s}", "erp: {breaker: {calls: 5, minimum: 6}}",
     "peak.yaml:34: breaker: of 5 calls it never sees 6; lower minimum or raise calls"),
    ("default: {timeout: 30s}", "erp: {breaker: {calls: 5, window: 6s}}",
     "peak.yaml:34: breaker: calls and window are two ways to say what is looked at; give one of them"),
    ("default: {timeout: 30s}", "erp: {breaker: {open: 0s}}",
     "peak.yaml:34: breaker: a breaker that is open for 0s never holds anything up; write a duration such as 30s"),
    ("default: {timeout: 30s}", "erp: {fallback: {to: elsewhere}}",
     "peak.yaml:34: erp: only releases and purchases have a fallback; give it to warehouse or supplier"),
    ("default: {timeout: 30s}", "warehouse: {fallback: {to: elsewhere}}",
     "peak.yaml:34: fallback: there is one warehouse, and nowhere else to go; leave fallback out"),
    ("default: {timeout: 30s}", "erp: {supervise: {after: 2h}}",
     "peak.yaml:34: erp: it answers every message itself and is not supervised; leave supervise out"),
    ("default: {timeout: 30s}", "warehouse: {supervise: {after: 0s}}",
     "peak.yaml:34: after: every 0s is too often for a run to get on; write 1s or more"),
    # types and kinds
    ("kind: poisson", "kind: poison",
     "peak.yaml:24: unknown kind 'poison'; kinds here: none, poisson, periodic, generated, book"
     " (did you mean 'poisson'?)"),
    ("kind: poisson, ", "",
     "peak.yaml:24: demand: missing key 'kind'; kinds here: none, poisson, periodic, generated, book"),
    ("style: ecommerce", "style: ecomerce",
     "peak.yaml:22: style: unknown value 'ecomerce'; write one of inside_sales, ecommerce, marketplace"
     " (did you mean 'ecommerce'?)"),
    ("days: [mon, tue]", "days: [mon, tues]",
     "peak.yaml:6: days[1]: unknown value 'tues'; write one of mon, tue, wed, thu, fri, sat, sun"
     " (did you mean 'tue'?)"),
    ("on_hand: 40", "on_hand: many", "peak.yaml:28: on_hand: expected a whole number, got 'many'"),
    ("on_hand: 40", "on_hand: 4.5", "peak.yaml:28: on_hand: expected a whole number, got 4.5"),
    ("on_hand: 40", "on_hand: true", "peak.yaml:28: on_hand: expected a whole number, got true"),
    ("title: A test", "title: 5", "peak.yaml:2: title: expected text, got 5"),
    ("title: A test", "title: [A, test]", "peak.yaml:2: title: expected text, got a list"),
    ("{id: ups}", "ups",
     "peak.yaml:17: carriers[1]: expected a map with keys such as calendar, id, latency, milestones, transit_counts,"
     " got 'ups'"),
    ("regions: [north, south]", "regions: north", "peak.yaml:7: regions: expected a list, got 'north'"),
    ("[north, south]", "[]", "peak.yaml:7: regions: the list is empty; give at least one entry"),
    ("{id: ups}", "{id: U P S}",
     "peak.yaml:17: id: 'U P S' is no id; write small letters, digits, '_', '.' and '-' only"),
    ("{id: mug, price", "{id: mug, price: 1 GBP, cost: 1 GBP}\n  - {id: a/b, price",
     "peak.yaml:27: id: 'a/b' is no item; write any text without '/'"),
    # units
    ("timeout: 30s", "timeout: 30", "peak.yaml:34: timeout: 30 has no unit; write 30s, 5m, 2h or 1d"),
    ("transit: 1d", "transit: 1", "peak.yaml:19: transit: 1 has no unit; write 1s, 5m, 2h or 1d"),
    ("transit: 1d", "transit: {kind: uniform, low: 1d, high: 2}",
     "peak.yaml:19: high: 2 has no unit; write 2s, 5m, 2h or 1d"),
    ("transit: 1d", "transit: {kind: uniform, low: 2d, high: 1d}",
     "peak.yaml:19: transit: uniform: low must not be above high"),
    ("transit: 1d", "transit: [[0%, 1h], [90%, 2h]]",
     "peak.yaml:19: transit: empirical: the last probability must be 1000000"),
    ("rate: 40/h", "rate: 40", "peak.yaml:24: rate: 40 has no unit; write 40/h, 40/d or 40/week"),
    ("price: 4.50 GBP", "price: 4.50", "peak.yaml:26: price: 4.50 has no currency; write 4.50 GBP"),
    ("price: 4.50 GBP", "price: 4.50 EUR",
     "peak.yaml:26: price: the amount is in EUR, this scenario counts in GBP"),
    ("currency: GBP", "currency: GBB",
     "peak.yaml:4: unknown currency 'GBB'; currencies here: EUR, GBP, JPY, USD (did you mean 'GBP'?)"),
    ("start: 2025-11-17T00:00Z", "start: 2025-11-17T00:00",
     "peak.yaml:3: start: 2025-11-17T00:00 has no zone; write 2025-11-17T00:00Z for UTC, or an offset like"
     " 2025-11-17T00:00+01:00"),
    ("start: 2025-11-17T00:00Z", "start: 2025-11-17",
     "peak.yaml:3: start: '2025-11-17' is no instant; write date, time and zone like 2025-11-17T00:00Z"),
    ("at_least: 93%", "at_least: plenty",
     "peak.yaml:36: at_least: 'plenty' is no number; write 68.41, 93%, 2h or 12.50 GBP"),
    ("hours: [06:00-14:00]", "hours: [6-14]",
     "peak.yaml:6: hours[0]: '6' is no time of day; write hours and minutes like 16:00"),
    ("Europe/London", "Europe/Londn",
     "peak.yaml:6: timezone: unknown time zone 'Europe/Londn'; write an IANA name such as Europe/London"
     " (did you mean 'Europe/London'?)"),
    # values that make no sense
    ("on_hand: 40", "on_hand: -4", "peak.yaml:28: on_hand: -4 is negative; write 0 or more"),
    ("regions: {north: 1}", "regions: {north: 0}",
     "peak.yaml:24: regions: the weights are all zero; give at least one that is not"),
    ("s: 4, S: 10", "s: 10, S: 10", "peak.yaml:32: replenishment[0]: S is 10 and s is 10; S must be above s"),
    ("kind: min_max, s: 4, S: 10", "kind: reorder_point, r: -1, Q: 0",
     "peak.yaml:32: Q: 0 is too small; write 1 or more"),
    ("at_least: 93%", "at_least: 93%, at_most: 90%",
     "peak.yaml:36: expect[0]: at_least 0.93 is above at_most 0.9; nothing could pass"),
    (", at_least: 93%", "", "peak.yaml:36: expect[0]: give at_least, at_most or both, or equals with within"),
    ("at_least: 93%", "equals: 5",
     "peak.yaml:36: expect[0]: equals and within go together; give both or neither"),
    ("horizon: 2d", "horizon: 0s", "peak.yaml:3: run: the horizon is 0s; give the run some time, such as 21d"),
    ("horizon: 2d", "horizon: 2d, warmup: 2d",
     "peak.yaml:3: run: the warm-up of 2d leaves nothing of the horizon of 2d to measure"),
    # values that no run could store or count
    ("on_hand: 40", "on_hand: 1000000000001",
     "peak.yaml:28: on_hand: 1000000000001 is too large; write 1000000000000 or less"),
    ("regions: {north: 1}", "quantity: 1000000000001, regions: {north: 1}",
     "peak.yaml:24: quantity: 1000000000001 is too large; write 1000000000000 or less"),
    ("regions: {north: 1}", "quantity: {kind: poisson, mean: 1000000000000.5}, regions: {north: 1}",
     "peak.yaml:24: mean: 1000000000000.5 is too large; write 1000000000000 or less"),
    ("regions: {north: 1}", "regions: {north: 1000000000001}",
     "peak.yaml:24: north: 1000000000001 is too large; write 1000000000000 or less"),
    ("S: 10", "S: 1000000000001", "peak.yaml:32: S: 1000000000001 is too large; write 1000000000000 or less"),
    ("s: 4", "s: -1000000000001", "peak.yaml:32: s: -1000000000001 is too small; write -1000000000000 or more"),
    ("horizon: 2d", "horizon: 2d, seed: 9223372036854775808",
     "peak.yaml:3: seed: 9223372036854775808 is too large; write 9223372036854775807 or less"),
    ("2025-11-17T00:00Z", "1969-12-31T23:59Z",
     "peak.yaml:3: start: the instant is out of range; write one from 1970-01-01 to 2199-12-31 (UTC)"),
    ("2025-11-17T00:00Z", "2200-01-01T00:00Z",
     "peak.yaml:3: start: the instant is out of range; write one from 1970-01-01 to 2199-12-31 (UTC)"),
    ("horizon: 2d", "horizon: 36525d, drain: 1d",
     "peak.yaml:3: run: horizon and drain take 36526d; a run takes at most 100 years (36525d)"),
    ("rate: 40/h", "rate: 1001/s", "peak.yaml:24: rate: 1001/s is too many; write at most 1000/s"),
    ("price: 4.50 GBP", "price: 10000000000000.01 GBP",
     "peak.yaml:26: price: 10000000000000.01 GBP is too large; write at most 10000000000000.00 GBP"),
    ("policies:", "costs: {holding: 10000000000000.01 GBP/unit/d}\npolicies:",
     "peak.yaml:29: holding: 10000000000000.01 GBP/unit/d is too large; "
     "write at most 10000000000000.00 GBP per unit and period"),
    ("policies:", "costs: {penalty: {per_unit_period: 10000000000000.01 GBP/unit/d}}\npolicies:",
     "peak.yaml:29: per_unit_period: 10000000000000.01 GBP/unit/d is too large; "
     "write at most 10000000000000.00 GBP per unit and period"),
    ("calendar: early", "calendar: early\n    counting: {every: 0s}",
     "peak.yaml:11: every: every 0s is too often for a run to get on; write 1s or more"),
    # what stands twice
    ("{id: ups}", "{id: dhl}", "peak.yaml:17: duplicate id 'dhl' in carriers; ids must differ"),
    ("[north, south]", "[north, south, north]", "peak.yaml:7: duplicate id 'north' in regions; ids must differ"),
    ("id: early,", "id: always,", "peak.yaml:6: the calendar 'always' is predefined; take another id\n"
     "peak.yaml:10: unknown calendar 'early'; calendars here: always"),
    ("on_hand: 40}", "on_hand: 40}\n  - {warehouse: main, item: mug, on_hand: 1}",
     "peak.yaml:29: stock has a second entry for warehouse main, item mug; keep one"),
    # what needs something that is not there
    ("kind: poisson, rate: 40/h, regions: {north: 1}", "kind: book",
     "peak.yaml:24: demand is to come from the order book; give the scenario an order_book"),
    # transits of working time
    ("{id: dhl}", "{id: dhl, calendar: early, transit_counts: working_time}",
     "peak.yaml:19: promise: the transit of 'dhl' is working time, and customers are told all of it; give promise"),
    # what the customers of a region order, and how many of them there are when
    ("kind: poisson, rate: 40/h", "kind: generated, orders: 40/h, lines_per_order: [[0%, 1], [100%, 1]], "
     "quantity_per_line: [[0%, 1], [100%, 1]]",
     "peak.yaml:24: demand: give item_skew or items, one of them: which items customers order"),
    ("kind: poisson, rate: 40/h", "kind: generated, orders: 40/h, lines_per_order: [[0%, 1], [100%, 1]], "
     "quantity_per_line: [[0%, 1], [100%, 1]], items: {south: {mug: 1}}",
     "peak.yaml:24: demand: items says nothing of region north; give the weights of its items"),
    ("kind: poisson, rate: 40/h", "kind: generated, orders: 40/h, lines_per_order: [[0%, 1], [100%, 1]], "
     "quantity_per_line: [[0%, 1], [100%, 1]], items: {north: {mgu: 1}}",
     "peak.yaml:24: unknown item 'mgu'; items here: mug (did you mean 'mug'?)"),
    ("kind: poisson, rate: 40/h", "kind: generated, orders: 40/h, lines_per_order: [[0%, 1], [100%, 1]], "
     "quantity_per_line: [[0%, 1], [100%, 1]], items: {north: {mug: 1}}, levels: [[1d, 90%], [1d, 110%]]",
     "peak.yaml:24: levels: levels must be in the order of their times, each later than the one before"),
    ("kind: poisson, rate: 40/h", "kind: generated, orders: 40/h, lines_per_order: [[0%, 1], [100%, 1]], "
     "quantity_per_line: [[0%, 1], [100%, 1]], items: {north: {mug: 1}}, levels: [[0d, 10001%]]",
     "peak.yaml:24: levels: a level is at most 10000%; raise `orders` instead"),
    # percentages
    ("kind: measure, name: unit_fill_rate, at_least: 93%",
     "kind: reference, name: unit_fill_rate, value: 93%, half_width: 0.5",
     "peak.yaml:36: half_width: 0.5 has no unit; write 50% for a share of 0.5, or 0.5%"),
    # measures
    ("kind: measure, name: unit_fill_rate, at_least: 93%", "kind: reference, name: lost_margin, value: 1",
     "peak.yaml:36: 'lost_margin' compares two runs; expect a measure of one, which docs/measures.md lists"),
    # YAML itself
    ("{id: ups}", "{id: ups, <<: {id: x}}", "peak.yaml:17: '<<' is not known here; use extends, or write the keys out"),
    ("title: A test", "title: !!python/object x",
     "peak.yaml:2: the tag 'tag:yaml.org,2002:python/object' is not known here; write a plain value"),
    ("title: A test", "title: {[a]: b}", "peak.yaml:2: a key must be text, not a map or a list\n"
     "peak.yaml:2: title: expected text, got a map"),
    ("regions: [north, south]", "regions: &r [north, *r]",
     "peak.yaml:7: an alias leads back into itself; write the value out"),
    ("schema: 1", "schema: 2", "peak.yaml:1: schema: 2 is not known; this version reads schema 1"),
    ("schema: 1", "schema: true", "peak.yaml:1: schema: True is not known; this version reads schema 1"),
    ("schema: 1", "schema: '1'", "peak.yaml:1: schema: '1' is not known; this version reads schema 1"),
]  # fmt: skip


def test_the_largest_values_are_taken(tmp_path: Path) -> None:
    text = GOOD
    for old, new in [
        ("on_hand: 40", "on_hand: 1000000000000"),
        ("s: 4, S: 10", "s: -1000000000000, S: 1000000000000"),
        (
            "2025-11-17T00:00Z, horizon: 2d",
            "2199-12-31T23:59:59.999Z, horizon: 36524d, drain: 1d, seed: 9223372036854775807",
        ),
        ("rate: 40/h", "rate: 1000/s"),
        ("price: 4.50 GBP", "price: 10000000000000.00 GBP"),
    ]:
        text = text.replace(old, new)
    (tmp_path / "large.yaml").write_text(text)
    large = load(tmp_path / "large.yaml")
    assert large.run.seed == 2**63 - 1
    assert load(tmp_path / "large.yaml").with_changes({}).digest == large.digest


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES)
def test_a_mistake_is_told_with_its_line_and_its_remedy(
    fails: Callable[..., str], old: str, new: str, message: str
) -> None:
    assert fails((old, new)) == message


def test_an_unknown_measure_is_told_with_its_line_and_the_nearest_name(fails: Callable[..., str]) -> None:  # EX-05
    told = fails(("name: unit_fill_rate", "name: unit_fill_rte/channel:web"))
    assert told.startswith("peak.yaml:36: unknown measure 'unit_fill_rte'; measures here: ")
    assert told.endswith(" more (did you mean 'unit_fill_rate'?)")


def test_the_unchanged_scenario_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "peak.yaml"
    path.write_text(GOOD)
    assert load(path).title == "A test"


def test_all_mistakes_of_a_file_are_told_at_once_in_the_order_of_its_lines(fails: Callable[..., str]) -> None:
    said = fails(
        ("on_hand: 40", "on_hand: -4"),
        ("timeout: 30s", "timeout: 30"),
        ("to: north, carrier", "to: mars, carrier"),
        ("title: A test\n", "title: A test\ntitle: B test\n"),
        ("{id: ups}", "{id: dhl, colour: red}"),
    )
    assert said.splitlines() == [
        "peak.yaml:3: the key 'title' stands twice; first in line 2",
        "peak.yaml:18: unknown key 'colour'; keys here: calendar, id, latency, milestones, transit_counts",
        "peak.yaml:18: duplicate id 'dhl' in carriers; ids must differ",
        "peak.yaml:20: lane to nowhere: unknown region 'mars'; regions here: north, south",
        "peak.yaml:29: on_hand: -4 is negative; write 0 or more",
        "peak.yaml:35: timeout: 30 has no unit; write 30s, 5m, 2h or 1d",
    ]


def test_a_block_value_is_told_with_the_line_of_its_own_key(fails: Callable[..., str]) -> None:
    said = fails(("\n    demand: {kind: poisson, rate: 40/h, regions: {north: 1}}", BLOCK))
    assert said == "peak.yaml:27: quantity: uniform: low must not be above high"


BLOCK = """
    demand:
      kind: poisson
      rate: 40/h
      quantity:
        kind: uniform
        low: 5
        high: 2
      regions: {north: 1}"""


def test_after_twenty_problems_the_rest_is_counted() -> None:
    problems = [Problem("a.yaml", line, "wrong") for line in range(1, 24)]
    lines = str(ScenarioError(problems)).splitlines()
    assert len(lines) == 21
    assert lines[19:] == ["a.yaml:20: wrong", "and 3 more"]


# --- files that are no scenario


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "bad.yaml: the file is empty; a scenario begins with schema: 1"),
        (b"# only a comment\n", "bad.yaml: the file is empty; a scenario begins with schema: 1"),
        (b"- a\n- b\n", "bad.yaml:1: expected keys such as schema, title and run, got a list"),
        (b"hello\n", "bad.yaml:1: expected keys such as schema, title and run, got one value"),
        (b"schema: 1\ntitle: caf\xe9\n", "bad.yaml:2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (
            b"schema: 1\nregions: [a,\n  b\n",
            "bad.yaml:4: not valid YAML: while parsing a flow sequence expected ',' or ']', but got '<stream end>'",
        ),
        (
            b"schema: 1\n\ttitle: x\n",
            "bad.yaml:2: not valid YAML: while scanning for the next token found character '\\t' that cannot start any"
            " token",
        ),
        (
            b"schema: 1\n---\nschema: 1\n",
            "bad.yaml:2: not valid YAML: expected a single document in the stream but found another document",
        ),
        (b"schema: 1\ntitle: a\x01b\n", "bad.yaml:2: not valid YAML: the character U+0001 is not allowed"),
        (b"[" * 5_000, "bad.yaml: not usable: maps and lists are nested too deeply"),
    ],
)
def test_a_file_that_is_no_scenario_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_bytes(content)
    with pytest.raises(ScenarioError) as error:
        load("bad.yaml")
    assert str(error.value) == message


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    with pytest.raises(ScenarioError, match=r"^none\.yaml: no such file$"):
        load("none.yaml")
    with pytest.raises(ScenarioError, match=r"^folder: this is a folder; name a scenario file in it$"):
        load("folder")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_is_refused_with_a_message_and_never_with_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "any.yaml"
    path.write_bytes(content)
    with pytest.raises(ScenarioError) as error:
        load(path)
    assert error.value.problems


@given(st.data())
def test_a_scenario_with_any_value_in_any_place_is_accepted_or_refused_with_a_message(data: st.DataObject) -> None:
    junk = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["2h", "1 GBP", "main"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    )
    changed = Scenario.model_validate(PLAIN).plain()
    place: object = changed
    while True:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))  # type: ignore[arg-type]
        key = data.draw(st.sampled_from(keys))
        inner = place[key]  # type: ignore[index]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            place[key] = data.draw(junk)  # type: ignore[index]
            break
        place = inner
    try:
        Scenario.model_validate(changed)
    except ScenarioError as error:
        assert all(problem.message for problem in error.problems)


# --- extends


def test_a_mistake_in_an_extended_file_is_told_with_that_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("base").mkdir()
    Path("base/all.yaml").write_text(GOOD.replace("on_hand: 40", "on_hand: -4").replace("rate: 40/h", "rate: 40"))
    Path("peak.yaml").write_text("extends: base/all.yaml\nschema: 1\nchannels:\n  - id: web\n    requested: 5\n")
    with pytest.raises(ScenarioError) as error:
        load("peak.yaml")
    assert str(error.value).splitlines() == [
        "base/all.yaml:24: rate: 40 has no unit; write 40/h, 40/d or 40/week",
        "base/all.yaml:28: on_hand: -4 is negative; write 0 or more",
        "peak.yaml:5: requested: 5 has no unit; write 5s, 5m, 2h or 1d",
    ]


def test_a_circle_of_files_is_told_with_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, other in (("a", "b"), ("b", "c"), ("c", "b")):
        Path(f"{name}.yaml").write_text(f"schema: 1\nextends: {other}.yaml\n")
    with pytest.raises(ScenarioError) as error:
        load("a.yaml")
    assert str(error.value) == "c.yaml:2: extends goes in a circle: b.yaml -> c.yaml -> b.yaml"
    Path("self.yaml").write_text("extends: self.yaml\n")
    with pytest.raises(ScenarioError) as error:
        load("self.yaml")
    assert str(error.value) == "self.yaml:1: extends goes in a circle: self.yaml -> self.yaml"


def test_a_base_that_is_missing_is_told_where_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("peak.yaml").write_text("schema: 1\nextends: base/none.yaml\n")
    with pytest.raises(ScenarioError) as error:
        load("peak.yaml")
    assert (
        str(error.value)
        == "peak.yaml:2: extends: no such file: base/none.yaml; the path is read from this file's folder"
    )
    Path("peak.yaml").write_text("schema: 1\nextends: [a]\n")
    with pytest.raises(ScenarioError) as error:
        load("peak.yaml")
    assert str(error.value) == "peak.yaml:2: extends: expected the path of another scenario file"


def test_an_override_is_told_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("peak.yaml").write_text(GOOD)
    with pytest.raises(ScenarioError) as error:
        load("peak.yaml", {"run": {"horizon": 3}})
    assert str(error.value) == "overrides: run.horizon: horizon: 3 has no unit; write 3s, 5m, 2h or 1d"


# --- built in Python

PLAIN = {
    "schema": 1,
    "title": "In Python",
    "run": {"start": "2025-11-17T00:00Z", "horizon": "2d"},
    "currency": "GBP",
    "regions": ["home"],
    "warehouses": [{"id": "main"}],
    "carriers": [{"id": "van"}],
    "lanes": [{"from": "main", "to": "home", "carrier": "van", "transit": "4h"}],
    "channels": [
        {
            "id": "web",
            "style": "ecommerce",
            "requested": "2d",
            "demand": {"kind": "poisson", "rate": "2/h", "regions": {"home": 1}},
        }
    ],
    "items": [{"id": "mug", "price": "4.50 GBP", "cost": "2.00 GBP"}],
}


def test_a_mistake_in_python_is_told_by_its_path() -> None:
    wrong = PLAIN | {"warehouses": [{"id": "main", "calendar": "alway"}], "run": {"horizon": 5}}
    with pytest.raises(ScenarioError) as error:
        Scenario.model_validate(wrong)
    assert str(error.value).splitlines() == [
        "run.start: missing key 'start' in run",
        "run.horizon: 5 has no unit; write 5s, 5m, 2h or 1d",
        "warehouses[0].calendar: unknown calendar 'alway'; calendars here: always (did you mean 'always'?)",
    ]


def test_what_is_no_map_at_all_is_refused_in_python_too() -> None:
    with pytest.raises(ScenarioError, match="expected a map"):
        Scenario.model_validate([1, 2])
