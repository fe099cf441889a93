"""What a scenario from a foreign log says of promises, cancellations and trends, each against a log that tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import chi2

from tests.unit.foreign_logs import DAY, HOUR, START, UNTIL, known_log, log_of
from twin.event_log import EventLog
from twin.replay.foreign import ForeignCalibration, calibrate_log
from twin.replay.foreign_cases import Case, cases_of, known_before
from twin.replay.foreign_times import LANE_MIN
from twin.replay.growth import Growth
from twin.run import Twin
from twin.scenario import Scenario, load
from twin.scenario.demand import GeneratedDemand
from twin.world.channel import level_ppm

WEEK = 7 * DAY
SEVENTEEN = UNTIL - 17 * WEEK
"""So many weeks before the end, for what needs no year."""


def changed(log: EventLog, name: str, values: list[Any]) -> EventLog:
    """The log with another column."""
    place = log.table.column_names.index(name)
    field = log.table.schema.field(place)
    return msgspec.structs.replace(log, table=log.table.set_column(place, field, pa.array(values, field.type)))


def promised(log: EventLog, keep: Any) -> EventLog:
    """The log with the promises of only those rows that `keep` takes."""
    rows = log.table.to_pylist()
    return changed(log, "promised_ms", [row["promised_ms"] if keep(row) else None for row in rows])


def scenario_of(made: ForeignCalibration, folder: Path) -> Scenario:
    """The scenario that the file says."""
    file = folder / "made.yaml"
    file.write_text(made.text, encoding="utf-8")
    return load(file)


def cases_at(made: ForeignCalibration, site: str, region: str) -> list[Case]:
    """All cases of a way that were delivered before the end of the period."""
    return [
        case
        for case in made.cases.cases
        if (made.places.site(case), made.places.region(case)) == (site, region)
        and case.delivered_at is not None
        and made.since <= case.began_at
        and case.delivered_at < made.until
    ]


# --- promises


def test_without_promises_nine_in_ten_of_a_run_come_within_what_customers_are_told(tmp_path: Path) -> None:
    """RP-03: the promise is of all hours, as a run counts it, from order to delivery, though times are working time."""
    made = calibrate_log(promised(known_log(1, 52), lambda row: False), UNTIL, horizon=28 * DAY)
    scenario = scenario_of(made, tmp_path)
    assert made.text.count("assumed: no promise is known; nine in ten came within ") == len(scenario.lanes) == 6
    handling = {one.id: one.pick_time.told_ms for one in scenario.warehouses}
    for lane in scenario.lanes:
        cases = cases_at(made, lane.from_, lane.to)
        waits = [case.delivered_at - case.began_at for case in cases if case.delivered_at is not None]
        assert handling[lane.from_] + lane.promise_ms == pytest.approx(float(np.quantile(waits, 0.9)), rel=0.1)
    run = Twin(scenario).run(1, tmp_path / "run")
    assert 0.84 < run.measures["otif_to_promise"].value < 0.96


def test_a_way_that_is_too_thin_is_promised_what_those_like_it_took(tmp_path: Path) -> None:
    """RP-03: without promises and with ten cases of its own it is told as all ways to its region are."""
    log = promised(known_log(1, 52), lambda row: False)
    rows = log.table.to_pylist()
    thin = {row["case_id"] for row in rows if (row["origin"], row["region"]) == ("South", "Far Away")}
    recent = [row["case_id"] for row in rows if row["case_id"] in thin and row["activity"] == "order_placed"]
    thin.difference_update(recent[-60:-50])
    made = calibrate_log(log_of([row for row in rows if row["case_id"] not in thin], UNTIL), UNTIL, SEVENTEEN)
    assert "that of all to far_away, since 10 cases of its own are too few" in made.text.replace("\n    #", "")
    scenario = scenario_of(made, tmp_path)
    handling = {one.id: one.pick_time.told_ms for one in scenario.warehouses}
    told = {(one.from_, one.to): handling[one.from_] + one.promise_ms for one in scenario.lanes}
    cases = [case for site in ("north", "south", "other") for case in cases_at(made, site, "far_away")]
    waits = [case.delivered_at - case.began_at for case in cases if case.delivered_at is not None]
    assert told["south", "far_away"] == pytest.approx(float(np.quantile(waits, 0.9)), rel=0.05)


def test_a_promise_is_what_was_promised_less_what_is_told_of_handling(tmp_path: Path) -> None:
    """RP-03: all were promised ten days, so a run tells them ten days, as far as tables are rounded."""
    made = calibrate_log(known_log(1, 52), UNTIL, SEVENTEEN)
    scenario = scenario_of(made, tmp_path)
    handling = {one.id: one.pick_time.told_ms for one in scenario.warehouses}
    assert len(scenario.lanes) == 6 and min(handling.values()) > 20 * HOUR
    for lane in scenario.lanes:
        assert handling[lane.from_] + lane.promise_ms == pytest.approx(10 * DAY, abs=2 * HOUR)
    assert made.text.count("promised 10 d after the order (median, n ") == 6


@pytest.mark.parametrize(
    ("known", "told"), [(LANE_MIN, "promised 10 d"), (LANE_MIN - 1, "assumed: 29 promises are too few (30 are needed)")]
)
def test_a_few_promises_are_no_rule(known: int, told: str) -> None:
    """RP-03: of one way thirty promises are taken for its rule, and twenty-nine are not."""
    log = known_log(1, 52)
    rows = log.table.to_pylist()
    of_way = [
        row["case_id"]
        for row in rows
        if (row["origin"], row["region"], row["activity"]) == ("North", "Near", "order_placed")
        and row["event_ms"] >= SEVENTEEN
    ]
    few = frozenset(of_way[:known])
    made = calibrate_log(promised(log, lambda row: row["case_id"] in few), UNTIL, SEVENTEEN)
    lane = made.text.split("from: north\n    to: near")[1].split("promise: ")[0].replace("\n    # ", " ")
    assert told in lane
    others = made.text.split("from: south\n    to: near")[1].split("promise: ")[0]
    assert "no promise is known" in others


def test_a_promise_too_short_for_handling_alone_is_no_rule_for_the_transit() -> None:
    """RP-03: where all were promised an hour, the file says why it assumes more."""
    log = known_log(1, 52)
    placed = {row["case_id"]: row["event_ms"] for row in log.table.to_pylist() if row["activity"] == "order_placed"}
    soon = changed(log, "promised_ms", [placed[case] + HOUR for case in log.table["case_id"].to_pylist()])
    made = calibrate_log(soon, UNTIL, SEVENTEEN)
    assert made.text.count("assumed: promises leave no time after what is told of handling; nine in ten came") == 6


# --- what was given up


def given_up(log: EventLog, at: int | None) -> EventLog:
    """The log in which some orders that were not handed over at the cut are given up, at that time (ms) or at a time
    that it does not say."""
    rows = log.table.to_pylist()
    handed = {row["case_id"]: row["event_ms"] for row in rows if row["activity"] == "handed_to_carrier"}
    placed = {row["case_id"]: row["event_ms"] for row in rows if row["activity"] == "order_placed"}
    open_ = [case for case, began in placed.items() if began < UNTIL <= handed[case]]
    gone = frozenset(open_[::2])
    assert len(gone) > 10
    kept = [row for row in rows if row["case_id"] not in gone or row["activity"] == "order_placed"]
    template = {row["case_id"]: row for row in kept if row["case_id"] in gone}
    kept += [{**row, "activity": "cancelled", "event_ms": at} for row in template.values()]
    return log_of(kept, log.as_of_ms)


def before(log: EventLog, at: int) -> EventLog:
    """The log cut off at an instant (ms)."""
    return log_of([row for row in log.table.to_pylist() if row["event_ms"] < at], at)


def test_what_is_given_up_after_the_end_of_the_period_is_open_in_it() -> None:
    """RP-03: with the times of cancellations in the log, it gives what it gives cut off there, to the last digit."""
    log = given_up(known_log(1, 54), UNTIL + 3 * DAY)
    made = calibrate_log(log, UNTIL)
    cut = calibrate_log(before(log, UNTIL), UNTIL)
    assert cut.parameters == made.parameters
    assert cut.text.split("schema: 1")[1] == made.text.split("schema: 1")[1]
    assert "given up" not in made.text
    assert not any(case.lines for case in known_before(made.cases.cases, made.since, UNTIL))
    assert {case.given_up_at for case in made.cases.cases if case.given_up} == {UNTIL + 3 * DAY}


@pytest.mark.parametrize(
    ("at", "told"),
    [(UNTIL - 1, "cases were given up; they"), (None, "at a time that the log does not say, maybe later); they")],
)
def test_what_was_given_up_before_or_at_an_unknown_time_gives_no_duration(at: int | None, told: str) -> None:
    """RP-03: it is left out of the durations, and the file says whether the log knows when."""
    log = given_up(known_log(1, 54), at)
    made = calibrate_log(log, UNTIL)
    assert told in " ".join(made.text.replace("\n# ", " ").split())
    later = calibrate_log(given_up(known_log(1, 54), UNTIL), UNTIL)
    assert made.parameters != later.parameters
    found = {one.name: (one.n, one.censored) for one in made.parameters}
    open_ = {one.name: (one.n, one.censored) for one in later.parameters}
    name = "warehouses north handling, mean"
    gone = open_[name][0] - found[name][0]
    assert gone > 0
    assert open_[name][1] - found[name][1] == gone, "each of them is open where it is given up later"


def one_order(*events: tuple[str, str, float | None, int | None]) -> Case:
    """The case of an order of two lines, each of five units, placed at the start: line, activity, day and units."""
    fields = {"order": "a", "origin": "p", "region": "x", "row": 1}
    placed = [("1", "order_placed", 0, 5), ("2", "order_placed", 0, 5)]
    rows = [
        {**fields, "case_id": f"a/{line}", "line": line, "activity": activity, "event_ms": at(day), "quantity": units}
        for line, activity, day, units in (*placed, *events)
    ]
    steps = (("order_placed", START), ("delivered", START + DAY))
    rows += [{**fields, "case_id": "b", "order": "b", "activity": name, "event_ms": when} for name, when in steps]
    found = {case.order: case for case in cases_of(log_of(rows)).cases}
    assert (found["b"].given_up, found["b"].lines) == (False, ())
    return found["a"]


def at(day: float | None) -> int | None:
    """The instant so many days after the start."""
    return None if day is None else START + round(day * DAY)


def seen(case: Case, day: float) -> tuple[int | None, int | None, int]:
    """What was known of a case before that day: when it was handed over and delivered, and how many lines were
    given up."""
    (known,) = known_before([case], START, START + round(day * DAY))
    return known.handed_at, known.delivered_at, sum(line.given_up for line in known.lines)


def test_a_case_is_given_up_when_the_last_of_its_lines_is_unless_one_has_no_time() -> None:
    """RP-03: in a log of status columns nobody knows when."""
    case = one_order(("1", "cancelled", 3, None), ("2", "cancelled", 2, None))
    assert (case.given_up, case.given_up_at) == (True, at(3))
    (before,) = known_before([case], START, START + 3 * DAY)
    assert (before.given_up, before.partly_given_up) == (False, True)
    undated = one_order(("1", "cancelled", None, None), ("2", "cancelled", 2, None))
    assert (undated.given_up, undated.given_up_at) == (True, None)
    (before,) = known_before([undated], START, START + DAY)
    assert (before.given_up, before.partly_given_up) == (False, True)
    whole = one_order(("1", "cancelled", None, None), ("2", "cancelled", None, None))
    assert known_before([whole], START, START + DAY)[0].given_up


@pytest.mark.parametrize(
    "gone",
    [
        [("1", "cancelled", 3, None)],
        [("1", "rejected", 3, None)],
        [("1", "rejected", 3, 5)],
        [("1", "reduced", 2, 2), ("1", "rejected", 3, 3)],
        # It ended when it was first told, and what it had before that is no end.
        [("1", "rejected", 3, None), ("1", "cancelled", 8, None)],
        [("1", "reduced", None, 1), ("1", "cancelled", 3, None)],
    ],
)
def test_a_case_lasts_until_the_rest_came_where_a_line_was_given_up(
    gone: list[tuple[str, str, float | None, int | None]],
) -> None:
    """RP-03: refused, taken off unit by unit, or given up; before that was told, the line is still waited for."""
    case = one_order(*gone, ("2", "handed_to_carrier", 1, 5), ("2", "delivered", 2, 5))
    assert (case.partly_given_up, case.given_up, case.given_up_at) == (True, False, at(3))
    assert (case.handed_at, case.delivered_at) == (at(1), at(2))
    assert seen(case, 3) == (None, None, 0)
    assert seen(case, 3.1) == (at(1), at(2), 1)


def test_what_a_line_had_before_it_was_given_up_counts_until_then() -> None:
    """RP-03: a return that is booked as a cancellation changes nothing of what was known before."""
    steps = [(line, name, day, 5) for line in "12" for name, day in (("handed_to_carrier", 1), ("delivered", 2))]
    case = one_order(*steps, ("1", "cancelled", 10, None))
    assert seen(case, 10) == (at(1), at(2), 0)
    assert seen(case, 1.5) == (at(1), None, 0)
    # What was given up is not the last that came, nor one that goes backwards.
    lost = one_order(*steps[2:], ("1", "handed_to_carrier", 5, 5), ("1", "cancelled", 6, None))
    assert (lost.handed_at, lost.delivered_at) == (at(1), at(2))
    assert seen(lost, 6) == (at(5), None, 0)


def test_units_taken_off_a_line_leave_it_to_be_delivered() -> None:
    """RP-03: the line goes on with the rest, and the case waits for it."""
    rest = (("1", "reduced", 1, 4), ("2", "delivered", 2, 5))
    assert (one_order(*rest).lines, one_order(*rest).delivered_at) == ((), None)
    assert one_order(*rest, ("1", "delivered", 4, 1)).delivered_at == at(4)


def test_a_log_with_lines_that_were_given_up_holds_more_than_what_was_delivered() -> None:
    """RP-03: it would be seen as one that shows nothing else, and so would a run beside it."""
    rows = known_log(1, 8).table.to_pylist()
    done = {row["case_id"] for row in rows if row["activity"] == "delivered"}
    rows = [row for row in rows if row["case_id"] in done]
    assert cases_of(log_of(rows)).delivered_only
    more = [{**rows[0], "case_id": "more", "activity": name} for name in ("order_placed", "cancelled")]
    assert not cases_of(log_of([*rows, *more])).delivered_only


def test_what_was_given_up_in_part_is_told_in_the_file() -> None:
    """RP-03: it takes its time, as far as it came."""
    log = known_log(1, 54)
    rows = log.table.to_pylist()
    more = [
        {**row, "case_id": f"{row['case_id']}/more", "activity": activity}
        for row in rows
        if row["activity"] == "order_placed"
        for activity in ("order_placed", "cancelled")
    ]
    made = calibrate_log(log_of([*rows, *more], log.as_of_ms), UNTIL)
    assert "some lines were given up; they last until the rest came" in " ".join(made.text.replace("\n# ", " ").split())
    plain = {one.name: one for one in calibrate_log(log, UNTIL).parameters}
    found = {one.name: one for one in made.parameters}
    name = "warehouses north handling, mean"
    assert (found[name].n, found[name].estimate) == (plain[name].n, plain[name].estimate)


# --- a trend that goes on


def trending(weekly: list[int]) -> EventLog:
    """A log of so many orders in each week before the end of the period, evenly over it, each delivered in five to
    nine hours."""
    start = UNTIL - len(weekly) * WEEK
    rows: list[dict[str, Any]] = []
    for week, count in enumerate(weekly):
        for number in range(count):
            at = start + week * WEEK + (2 * number + 1) * WEEK // (2 * count)
            fields = {"case_id": f"{week}-{number}", "order": f"{week}-{number}", "origin": "p", "region": "x"}
            steps = (("order_placed", at), ("delivered", at + (5 + number % 5) * HOUR))
            rows += [{**fields, "row": 1, "activity": name, "event_ms": when} for name, when in steps]
    return log_of(rows, UNTIL)


def laid_out(scenario: Scenario, weeks: int) -> float:
    """Orders that the levels of the first channel give on average in so many weeks."""
    demand = scenario.channels[0].demand
    assert isinstance(demand, GeneratedDemand)
    hours = range(weeks * 7 * 24)
    shares = [level_ppm(demand.levels, hour * HOUR) / 1e6 for hour in hours] if demand.levels else [1.0] * len(hours)
    return demand.orders.count * weeks * WEEK / demand.orders.per_ms * sum(shares) / len(hours)


@pytest.mark.parametrize(
    ("weekly", "kind"),
    [
        ([round(60 - 2.1 * week) for week in range(26)], "linear"),
        ([round(400 * 0.84**week) for week in range(26)], "exponential"),
        ([round(300 * 0.7**week) for week in range(12)], "exponential"),
        ([round(5 * 1.15**week) for week in range(26)], "exponential"),
        ([round(5 + 2.1 * week) for week in range(26)], "linear"),
    ],
)
def test_a_trend_is_laid_out_as_it_was_fitted(weekly: list[int], kind: str, tmp_path: Path) -> None:
    """RP-03: over half a year its levels have the orders that the fitted trend says, though it falls to its least."""
    made = calibrate_log(trending(weekly), UNTIL, UNTIL - len(weekly) * WEEK, horizon=26 * WEEK)
    growth = made.growth
    assert growth is not None and growth.kind == kind
    expected = sum(growth.rate((hour + 0.5) / 168) / 168 for hour in range(26 * 168))
    assert laid_out(scenario_of(made, tmp_path), 26) == pytest.approx(expected, rel=0.03)
    flat = " ".join(made.text.replace("\n      # ", " ").split())
    assert ("down to a hundredth of the weekly mean" in flat) is (weekly[0] > weekly[-1])


def test_a_steep_rise_ends_at_a_hundred_times_the_mean(tmp_path: Path) -> None:
    """RP-03: a rise of a third each week would be 13,000 times as much a year later; the file says where it ends."""
    weekly = [round(3 * 1.33**week) for week in range(14)]
    made = calibrate_log(trending(weekly), UNTIL, UNTIL - len(weekly) * WEEK, horizon=52 * WEEK)
    scenario = scenario_of(made, tmp_path)
    assert laid_out(scenario, 52) < 100 * sum(weekly) / len(weekly) * 52
    flat = " ".join(made.text.replace("\n      # ", " ").split())
    assert "goes on is modeled, up to a hundred times the weekly mean, " in flat
    demand = scenario.channels[0].demand
    assert isinstance(demand, GeneratedDemand)
    ended = [at for at, _ in demand.levels][-2]
    assert made.growth is not None
    assert demand.levels[-1][1] == demand.levels[-2][1]
    assert made.growth.rate(ended / WEEK - 1) < made.growth.rate(52) == 100 * made.growth.mean


@pytest.mark.parametrize("weekly", [[0] * 40 + [2, 20, 200], [0] * 11 + [60], [0] * 100 + [1, 3, 9, 27, 81, 243]])
def test_a_launch_after_weeks_without_orders_gives_a_file_that_loads(weekly: list[int], tmp_path: Path) -> None:
    """RP-03: what is fitted at the end may lie beyond a hundred times the mean of it all."""
    made = calibrate_log(trending(weekly), UNTIL, UNTIL - len(weekly) * WEEK, horizon=26 * WEEK)
    demand = scenario_of(made, tmp_path).channels[0].demand
    assert isinstance(demand, GeneratedDemand)
    assert all(at >= 0 for at, _ in demand.levels)
    assert laid_out(scenario_of(made, tmp_path), 26) <= 26 * 100 * sum(weekly) / len(weekly) * 1.01


def test_a_trend_ends_at_a_hundredth_or_a_hundred_times_the_mean() -> None:
    """RP-03: when that is follows from the trend; a level never gets there."""

    def growth(kind: Any, at_end: float, slope: float) -> Growth:
        return Growth(kind, 26, 30.0, at_end, slope, (slope, slope), 1.0, 0.0)

    for one in (growth("linear", 5.5, -2.1), growth("exponential", 5.5, -0.2)):
        after = one.bound_after()
        assert after is not None
        assert one.rate(after) == pytest.approx(0.3)
        assert one.rate(after - 0.1) > 0.3 * 1.01
        assert one.rate(after + 1) == 0.3
    for one in (growth("linear", 55.0, 210), growth("exponential", 55.0, 0.2)):
        after = one.bound_after()
        assert after is not None
        assert one.rate(after) == pytest.approx(3000)
        assert one.rate(after - 0.1) < 3000 * 0.999
        assert one.rate(after + 10_000) == 3000
    assert growth("linear", 0.1, -2.1).bound_after() == growth("exponential", 0.1, -0.2).bound_after() == 0
    assert growth("linear", 3000.1, 2.1).bound_after() == growth("exponential", 4000, 2.1).bound_after() == 0
    assert growth("exponential", 4000, 2.1).rate(0) == 3000
    assert growth("level", 30.0, 0.0).bound_after() is None
    assert growth("level", 30.0, 0.0).rate(4) == 30


# --- what else the file says


def test_customers_want_it_as_soon_as_nine_in_ten_had_it(tmp_path: Path) -> None:
    """RP-03: `requested` is the 90 % quantile from order to delivery, by the clock and over all ways."""
    made = calibrate_log(known_log(1, 52), UNTIL, SEVENTEEN)
    waits = [
        case.delivered_at - case.began_at
        for site in ("north", "south", "other")
        for region in ("near", "far_away")
        for case in cases_at(made, site, region)
        if case.delivered_at is not None
    ]
    assert scenario_of(made, tmp_path).channels[0].requested == pytest.approx(float(np.quantile(waits, 0.9)), rel=0.05)


@pytest.mark.parametrize("units", [1, 1_000_000])
def test_however_much_is_ordered_there_is_plenty(units: int, tmp_path: Path) -> None:
    """RP-03: a thousand times all that was ordered, and a billion at least."""
    log = known_log(1, 52)
    quantities = [(row["quantity"] or 0) * units for row in log.table.to_pylist()]
    made = calibrate_log(changed(log, "quantity", quantities), UNTIL, SEVENTEEN)
    ordered = sum(case.units for case in known_before(made.cases.cases, SEVENTEEN, UNTIL))
    stock = {row.on_hand for row in scenario_of(made, tmp_path).stock}
    assert stock == {max(10**9, min(10**12, 1_000 * ordered))}
    assert (stock == {10**9}) is (units == 1)


def test_an_item_has_the_median_price_of_a_unit_at_its_site(tmp_path: Path) -> None:
    """RP-03: prices of 1 to 9 EUR, and some of 400, have the middle of those of their site; without any it is 0."""
    log = known_log(1, 52)
    rows = log.table.to_pylist()
    prices = {"North": (300, 300, 500, 900, 40_000), "South": (100, 700, 700)}

    def value(row: dict[str, Any]) -> int | None:
        known = prices.get(row["origin"])
        return None if known is None else row["quantity"] * known[int(row["case_id"].split("-")[1]) % len(known)]

    made = calibrate_log(changed(log, "value_minor", [value(row) for row in rows]), UNTIL, SEVENTEEN)
    found = {item.id: item.price for item in scenario_of(made, tmp_path).items}
    assert {id: price.minor for id, price in found.items()} == {"of_north": 500, "of_south": 700, "of_other": 0}
    assert "assumed: no value is known" in made.text


def test_a_site_has_the_carrier_of_its_origin_and_the_others_have_several(tmp_path: Path) -> None:
    """RP-03: where the carrier is part of the origin lanes name it; what is taken together has no one carrier."""
    log = known_log(1, 52)
    names = {"North": "Swift & Co", "South": "Haul"}
    carriers = [names.get(row["origin"], f"Small {row['origin'][-1]}") for row in log.table.to_pylist()]
    made = calibrate_log(changed(log, "carrier", carriers), UNTIL, SEVENTEEN, origin=("origin", "carrier"))
    scenario = scenario_of(made, tmp_path)
    assert {lane.from_: lane.carrier for lane in scenario.lanes} == {
        "north_swift_co": "swift___co",
        "south_haul": "haul",
        "other": "mixed",
    }
    assert [carrier.id for carrier in scenario.carriers] == ["swift___co", "haul", "mixed"]


def test_the_share_that_never_comes_has_the_interval_of_a_poisson_count() -> None:
    """RP-03: of 400 orders 20 are open for months while others took hours; the interval is Garwood's for 20, and
    holds the truth of one in twenty."""
    start = UNTIL - 20 * WEEK
    rows: list[dict[str, Any]] = []
    for number in range(400):
        at = start + number * 8 * HOUR
        fields = {"case_id": str(number), "order": str(number), "origin": "p", "region": "x", "row": 1}
        steps = [("order_placed", at)] + ([("delivered", at + (5 + number % 7) * HOUR)] if number % 20 else [])
        rows += [{**fields, "activity": name, "event_ms": when} for name, when in steps]
    made = calibrate_log(log_of(rows, UNTIL), UNTIL, start)
    never = next(one for one in made.parameters if one.name.endswith(", never"))
    assert never.estimate == pytest.approx(0.05, abs=0.002) and never.n == 400
    low, high = chi2.ppf(0.025, 2 * 20) / 2 / 400, chi2.ppf(0.975, 2 * 20 + 2) / 2 / 400
    assert (never.low, never.high) == (pytest.approx(low, rel=0.05), pytest.approx(high, rel=0.05))
    assert never.low is not None and never.high is not None
    assert never.low < 0.05 < never.high
