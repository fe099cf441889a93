"""Scenarios from foreign logs: against a business whose parameters are known, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from adapters.event_log import load as load_log
from benchmarks.known_truth import export_mapping, thinned
from tests.commands import Told
from tests.unit.foreign_logs import DAY, HOUR, START, UNTIL, known_log, log_of, truths
from twin.event_log import EventLog
from twin.replay.distances import measure
from twin.replay.estimators import estimate_durations
from twin.replay.event_table import events_of_run, read_event_table
from twin.replay.facts import CalibrationRefused
from twin.replay.fidelity import fidelity
from twin.replay.foreign import ForeignCalibration, calibrate_log
from twin.replay.foreign_cases import OTHER, cases_of, group_places, known_before
from twin.replay.foreign_table import as_seen, read_seen, seen_by, table_of_log
from twin.replay.growth import find_growth
from twin.replay.neutral import event_log_of_run
from twin.replay.never import estimate_ending
from twin.replay.open_hours import find_open_hours
from twin.replay.parameters import Parameter
from twin.run import Twin
from twin.scenario import load

WEEK = 7 * DAY
TREND, OTHER_TREND = "trend, orders a week more each week", "trend, logarithm of the weekly factor"


@pytest.fixture(scope="module")
def log() -> EventLog:
    """A year of a business that grows, and a quarter after it."""
    return known_log(1)


@pytest.fixture(scope="module")
def made(log: EventLog) -> ForeignCalibration:
    """The scenario from that year."""
    return calibrate_log(log, UNTIL, horizon=13 * WEEK)


def missed(found: ForeignCalibration) -> list[str]:
    """Known truths that lie outside of their interval, or have none; a trend of the other kind has none to hold."""
    named = {one.name: one for one in found.parameters}
    expected = dict(truths())
    if OTHER_TREND in named:
        del expected[TREND]

    def inside(one: Parameter | None, true: float) -> bool:
        return one is not None and one.low is not None and one.low <= true and (one.high is None or true <= one.high)

    return [name for name, true in expected.items() if not inside(named.get(name), true)]


# --- a business whose truth is known


def test_intervals_hold_the_truth_of_five_logs_as_often_as_they_say() -> None:
    """RP-03: ten parameters each; of 95 % that hold, no more than five of fifty fail but in one of twenty samples."""
    failed = [name for seed in range(1, 6) for name in missed(calibrate_log(known_log(seed, 52), UNTIL))]
    assert len(truths()) == 10
    assert len(failed) <= 5, failed
    assert max((failed.count(name) for name in failed), default=0) <= 2, failed


@pytest.mark.deep
def test_intervals_hold_the_truth_of_forty_logs_as_often_as_they_say() -> None:
    """RP-03: the same in full."""
    made = [calibrate_log(known_log(seed, 52), UNTIL) for seed in range(1, 41)]
    failed = [name for one in made for name in missed(one)]
    assert len(failed) <= 390 * 0.075, failed
    kinds = [one.growth.kind for one in made if one.growth is not None]
    assert kinds.count("linear") > 20 and "level" not in kinds, "the trend is a straight line"
    assert max((failed.count(name) for name in failed), default=0) <= 6, failed


def test_a_wrong_truth_is_missed(made: ForeignCalibration, monkeypatch: pytest.MonkeyPatch) -> None:
    """RP-03: the check above can fail: a handling half as long again lies in no interval."""
    wrong = {name: true * 1.5 for name, true in truths().items()}
    monkeypatch.setattr("tests.unit.test_calibrate_foreign.truths", lambda: wrong)
    assert set(missed(made)) == set(wrong)


def test_hours_are_found_and_taken_out_of_what_things_take(made: ForeignCalibration) -> None:
    """RP-03: goods leave on weekdays and come on Saturdays too, from 8 to 18."""
    assert '{id: hand_over, timezone: UTC, days: [mon, tue, wed, thu, fri], hours: ["08:00-18:00"]}' in made.text
    assert 'days: [mon, tue, wed, thu, fri, sat], hours: ["08:00-18:00"]}' in made.text
    assert "transit_counts: working_time" in made.text


def test_nothing_from_until_on_is_looked_at(made: ForeignCalibration) -> None:
    """RP-03: the log cut off at that instant gives the same scenario, but for what it says of the log itself."""
    cut = calibrate_log(known_log(1, cut_at=UNTIL), UNTIL, horizon=13 * WEEK)
    assert cut.parameters == made.parameters
    assert cut.text.split("schema: 1")[1] == made.text.split("schema: 1")[1]


def test_every_number_has_a_tag_and_what_goes_beyond_the_log_is_modeled(made: ForeignCalibration) -> None:
    """RP-04: measured, modeled or assumed; the trend that goes on is modeled, stock is assumed."""
    tags = {one.name: one.tag for one in made.parameters}
    assert tags["orders a week at the start"] == "modeled"
    assert tags["stock"] == "assumed"
    assert tags["warehouses north handling, mean"] == "measured"
    assert set(tags.values()) == {"measured", "modeled", "assumed"}
    assert "- stock: plenty of everything" in made.text


def test_small_origins_are_taken_together_and_the_file_says_which(made: ForeignCalibration) -> None:
    """RP-03: ten origins of one percent are one site, by the stated threshold."""
    assert {id for name, id in made.places.sites.items() if name.startswith("Tiny")} == {OTHER}
    assert made.places.regions == {"Near": "near", "Far Away": "far_away"}
    assert "other: origins with fewer than 40 cases or less than 2% of all: Tiny" in made.text


def test_a_lane_that_is_too_thin_takes_the_time_of_those_like_it(made: ForeignCalibration) -> None:
    """RP-03: transits depend on the region here, so it is as all lanes to its region, and a comment says so."""
    rows = [
        row
        for case in cases_of(known_log(1)).cases[:600]
        if case.origin != "South" or case.region == "Near"
        for row in _rows(case)
    ]
    south_far = [case for case in cases_of(known_log(1)).cases if case.origin == "South" and case.region != "Near"]
    rows += [row for case in south_far[:10] for row in _rows(case)]
    thin = calibrate_log(log_of(rows, UNTIL), UNTIL)
    lines = thin.text.split("from: south\n    to: far_away")[1].split("promise")[0].replace("\n    #", "")
    assert "that of all to far_away, since 10 cases of its own are too few (30 are needed)" in lines
    assert next(one for one in thin.parameters if one.name == "lanes south-far_away transit").tag == "assumed"


def _rows(case: Any) -> list[dict[str, Any]]:
    fields = {"case_id": case.order, "order": case.order, "origin": case.origin, "region": case.region, "row": 1}
    steps = {"order_placed": case.began_at, "handed_to_carrier": case.handed_at, "delivered": case.delivered_at}
    return [{**fields, "activity": name, "event_ms": at} for name, at in steps.items()]


# --- the scenario runs, and is as near as chance allows


def test_a_run_of_the_scenario_is_as_near_to_what_came_next_as_chance_allows(
    made: ForeignCalibration, log: EventLog, tmp_path: Path
) -> None:
    """RP-03: the business goes on as it was, so no distance of the quarter after is far above the noise floor; with
    transits of twice the length that of transits is."""
    file = tmp_path / "made.yaml"
    file.write_text(made.text.replace("horizon: 91d", "horizon: 28d"), encoding="utf-8")
    scenario = load(file)
    seen = seen_by(made.cases, "UTC", log.as_of_ms)
    real = table_of_log(made.cases.cases, made.places, UNTIL, UNTIL + 4 * WEEK, seen)
    assert real.unplaced == 0
    run = as_seen(Twin(scenario).run(1, tmp_path / "run").folder, seen)
    assert run.num_rows == pytest.approx(real.table.num_rows, rel=0.1)
    near = {row.distance.name: row.multiple for row in fidelity(real.table, run).rows}
    assert max(value for value in near.values() if value is not None) < 2.5, near
    assert near["transit"] is not None and near["transit"] < 1.5
    slow = scenario.plain()
    for lane in slow["lanes"]:
        lane["transit"] = {"kind": "uniform", "low": "40h", "high": "80h"}
    late = as_seen(Twin(type(scenario).model_validate(slow)).run(1, tmp_path / "slow").folder, seen)
    far = {row.distance.name: row.multiple for row in fidelity(real.table, late).rows}
    assert far["transit"] is not None and far["transit"] > 4


def test_a_run_is_seen_as_the_log_saw(made: ForeignCalibration, tmp_path: Path) -> None:
    """RP-03: days where the log has days, nothing after its as-of, only the delivered where it has nothing else."""
    file = tmp_path / "made.yaml"
    file.write_text(made.text.replace("horizon: 91d", "horizon: 21d"), encoding="utf-8")
    run = Twin(load(file)).run(1, tmp_path / "run").folder
    rows = [
        {**row, "event_ms": row["event_ms"] // DAY * DAY}
        for case in cases_of(known_log(1)).cases
        for row in _rows(case)
        if row["activity"] != "handed_to_carrier"
    ]
    daily = cases_of(log_of(rows))
    as_of = UNTIL + 14 * DAY
    seen = seen_by(daily, "UTC", as_of)
    assert (seen.daily, seen.delivered_only, seen.activities) == (
        ("captured", "delivered"),
        True,
        ("captured", "delivered"),
    )
    table = as_seen(run, seen).to_pylist()
    assert {row["activity"] for row in table} == {"captured", "delivered"}
    assert all(row["at"] % DAY == 0 and row["at"] <= as_of for row in table)
    delivered = {row["case"] for row in table if row["activity"] == "delivered"}
    assert {row["case"] for row in table} == delivered
    whole = {row["case"] for row in events_of_run(run).to_pylist()}
    assert 0 < len(delivered) < len(whole), "some were not delivered by then"


# --- the parts


def test_a_trend_is_found_where_there_is_one_and_none_where_there_is_none() -> None:
    """RP-03: a straight line, a constant rate, and no trend in at least nine of ten level logs."""
    luck = np.random.default_rng(3)

    def weeks(means: list[float]) -> list[int]:
        return [
            START + number * WEEK + int(luck.integers(WEEK))
            for number, mean in enumerate(means)
            for _ in range(int(luck.poisson(mean)))
        ]

    until = START + 52 * WEEK
    straight = find_growth(weeks([20 + 2 * number for number in range(52)]), START, until)
    assert straight is not None and straight.kind == "linear"
    assert straight.interval[0] <= 2 <= straight.interval[1]
    assert straight.rate(10) == pytest.approx(20 + 2 * 62, rel=0.1)
    constant = find_growth(weeks([10 * 1.08**number for number in range(52)]), START, until)
    assert constant is not None and constant.kind == "exponential"
    assert constant.interval[0] <= np.log(1.08) <= constant.interval[1]
    level = [find_growth(weeks([50.0] * 52), START, until) for _ in range(40)]
    assert sum(one is not None and one.kind == "level" for one in level) >= 34
    assert find_growth(weeks([50.0] * 11), START, START + 11 * WEEK) is None


def test_hours_past_midnight_and_dates_without_hours() -> None:
    """RP-03: a range may end after midnight, and dates say nothing of hours; too few events say nothing at all."""
    base = datetime(2018, 1, 1, tzinfo=UTC)

    def instants(hours: list[int], days: list[int]) -> list[int]:
        stamps = [
            base + timedelta(days=day + 7 * week, hours=hour) for week in range(20) for day in days for hour in hours
        ]
        return [round(stamp.timestamp()) * 1000 for stamp in stamps]

    late = find_open_hours(instants([14, 16, 15, 17, 18, 19, 20, 21, 22, 23, 24, 25], [0, 1, 2, 3, 4]), "UTC")
    assert late is not None and (late.begin, late.end, late.inside) == (14, 2, late.n)
    dates = find_open_hours(instants([0], [0, 1, 2, 3, 4, 5]), "UTC")
    assert dates is not None and dates.whole_days and dates.days == ("mon", "tue", "wed", "thu", "fri", "sat")
    always = find_open_hours(instants(list(range(24)), list(range(7))), "UTC")
    assert always is not None and always.always
    assert find_open_hours(instants([9], [0]), "UTC") is None


def test_lines_of_one_order_from_one_origin_are_one_case() -> None:
    """RP-03: it is delivered when the last line is, and open while one is; another origin is another case."""
    at = START + DAY

    def line(number: int, origin: str, delivered: int | None) -> list[dict[str, Any]]:
        fields = {
            "case_id": f"a-{number}",
            "order": "a",
            "line": str(number),
            "origin": origin,
            "region": "x",
            "row": 1,
        }
        steps = [("purchase_order_created", at)] + ([("delivered", delivered)] if delivered else [])
        return [{**fields, "activity": activity, "event_ms": when} for activity, when in steps]

    rows = line(1, "p", at + DAY) + line(2, "p", at + 3 * DAY) + line(3, "q", at + DAY) + line(4, "q", None)
    found = cases_of(log_of(rows))
    assert found.begins == "purchase_order_created"
    assert [(case.origin, case.units, case.delivered_at) for case in found.cases] == [
        ("p", 2, at + 3 * DAY),
        ("q", 2, None),
    ]
    assert not found.delivered_only
    known = known_before(found.cases, START, at + 2 * DAY)
    assert [case.delivered_at for case in known] == [None, None]
    backwards = cases_of(
        log_of(
            [
                *rows,
                *[
                    {
                        **row,
                        "case_id": "b",
                        "order": "b",
                        "line": "1",
                        "event_ms": row["event_ms"] + (9 * DAY if row["activity"] == "purchase_order_created" else 0),
                    }
                    for row in line(1, "p", at + DAY)
                ],
            ]
        )
    )
    assert backwards.backwards == 1


def test_names_become_ids_that_differ() -> None:
    """RP-03: two names that read alike keep their own id, and no id is `other` by its name."""
    rows = []
    for number in range(200):
        name = ("Côte d'Ivoire", "cote divoire", "Other", "São Paulo")[number % 4]
        fields = {"case_id": str(number), "order": str(number), "origin": name, "region": "", "row": 1}
        rows += [{**fields, "activity": "order_placed", "event_ms": START + number}]
        rows += [{**fields, "activity": "delivered", "event_ms": START + number + DAY}]
    places = group_places(cases_of(log_of(rows)).cases)
    assert places.sites == {
        "Côte d'Ivoire": "cote_divoire",
        "cote divoire": "cote_divoire_2",
        "Other": "other_2",
        "São Paulo": "sao_paulo",
    }
    assert places.regions == {"": "all"}


def test_what_never_ends_is_told_from_what_is_late() -> None:
    """RP-03: an exponential of 10 h of which 3 % never end; its mean is that of the others, and runs do not end it."""
    luck = np.random.default_rng(11)
    durations, still = [], []
    for _ in range(4_000):
        seen = luck.uniform(0, 2_000) * HOUR
        took = np.inf if luck.random() < 0.03 else luck.exponential(10) * HOUR
        durations.append(round(min(seen, took)))
        still.append(bool(took > seen))
    found = estimate_ending(durations, still)
    assert found is not None and found.found.mean_interval is not None
    assert found.never == pytest.approx(0.03, abs=0.009)
    assert found.found.mean_interval[0] <= 10 * HOUR <= found.found.mean_interval[1]
    table = found.table(9_999 * HOUR)
    assert table[-1] == (1_000_000, 9_999 * HOUR)
    assert table[-2] == (round(1e6 * (1 - found.never)), 9_999 * HOUR)
    assert [share for share, _ in table] == sorted(share for share, _ in table)
    whole = estimate_durations(durations, still)
    assert whole is not None and whole.mean is not None and whole.mean > 2 * 10 * HOUR, "taken for late, they are far"


def test_what_is_open_as_long_as_others_took_is_late_and_not_never() -> None:
    """RP-03: without a case that is open far longer than all that ended, there is no share that never does."""
    found = estimate_ending([HOUR] * 9 + [10 * HOUR, 14 * HOUR], [False] * 10 + [True])
    assert found is not None and (found.never, found.far) == (0.0, 0)
    assert found.table(9_999 * HOUR) == found.found.table
    far = estimate_ending([HOUR] * 9 + [10 * HOUR, 16 * HOUR], [False] * 10 + [True])
    assert far is not None and far.far == 1
    assert estimate_ending([HOUR] * 7, [False] * 7) is None


# --- on the command line


ROOT = Path(__file__).resolve().parents[2]


MAPPING = """\
title: A shop
times: {zone: UTC}
currency: EUR
fields: {order: order, origin: origin, region: region, quantity: units}
events: {order_placed: placed, handed_to_carrier: handed, delivered: delivered}
deliveries: whole
"""


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The known business as a CSV file, with its mapping beside it."""
    folder = tmp_path_factory.mktemp("export")
    rows = ["order,origin,region,units,placed,handed,delivered"]

    def text(at: int | None) -> str:
        return "" if at is None else (datetime(1970, 1, 1) + timedelta(milliseconds=at)).isoformat(sep=" ")

    for case in cases_of(known_log(2, 40)).cases:
        times = ",".join(text(at) for at in (case.began_at, case.handed_at, case.delivered_at))
        rows.append(f"{case.order},{case.origin},{case.region},{case.units},{times}")
    (folder / "log.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "map.yaml").write_text(MAPPING, encoding="utf-8")
    return folder / "log.csv"


def test_the_last_day_of_an_export_of_dates_belongs_to_it(told: Told, export: Path, tmp_path: Path) -> None:
    lines = export.read_text(encoding="utf-8").splitlines()
    dates = [lines[0], *(",".join(cell.partition(" ")[0] for cell in line.split(",")) for line in lines[1:])]
    (tmp_path / "dates.csv").write_text("\n".join(dates) + "\n", encoding="utf-8")
    last = max(cell for line in dates[1:] for cell in line.split(",")[4:] if cell)
    log = ("calibrate", tmp_path / "dates.csv", "--mapping", export.with_name("map.yaml"))
    code, _, error = told(
        *log, "--until", "2018-09-03T00:00Z", "--out", tmp_path / "made.yaml", "--rest", tmp_path / "rest.parquet"
    )
    assert (code, error) == (0, "")
    seen = read_seen(tmp_path / "rest.parquet")
    end = round(datetime.fromisoformat(f"{last}T00:00+00:00").timestamp() * 1000) + DAY
    assert seen is not None and seen.as_of == end - 1
    # All of that day may be fitted on, and nothing beyond it.
    for until, expected in ((end, 0), (end + 1, 2)):
        at = datetime.fromtimestamp(until / 1000, UTC).isoformat(timespec="milliseconds")
        code, _, error = told(*log, "--until", at, "--out", tmp_path / "all.yaml")
        assert code == expected, error


def test_what_is_not_repaired_in_an_export_is_shown_where_it_is_calibrated(
    told: Told, export: Path, tmp_path: Path
) -> None:
    """RP-02, RP-03: a delivery sixteen years after all others is told, with its row, and so for a base."""
    first, *rows = export.read_text(encoding="utf-8").splitlines()
    order, origin, region, units, placed, handed, _ = rows[-1].split(",")
    late = f"{order}b,{origin},{region},{units},{placed},{handed},2034-05-01 12:00:00"
    (tmp_path / "log.csv").write_text("\n".join([first, *rows, late]) + "\n", encoding="utf-8")
    mapping = ("--mapping", export.with_name("map.yaml"))
    asked = ("calibrate", tmp_path / "log.csv", *mapping, "--until", "2018-09-03T00:00Z")
    made = ("--base", tmp_path / "made.yaml")
    for base, out in (((), tmp_path / "made.yaml"), (made, tmp_path / "second.yaml")):
        code, printed, error = told(*asked, *base, "--out", out)
        assert (code, error) == (0, "")
        table = printed.partition("Not repaired")[2].partition("scenario:")[0]
        assert "after all others" in " ".join(table.split())
        assert str(len(rows) + 1) in table
        found = json.loads(told(*asked, *base, "--out", out, "--json")[1])["remarks"]
        assert [(one["count"], one["rows"][0][0]) for one in found] == [(1, len(rows) + 1)]
    assert "Not repaired" not in told("calibrate", export, *asked[2:], "--out", tmp_path / "made.yaml")[1]


def test_an_export_becomes_a_scenario_that_runs_and_what_came_after_is_kept(
    told: Told, export: Path, tmp_path: Path
) -> None:
    """RP-03: from the files of an export to a scenario, a run, and its distances to the time after."""
    out, rest = tmp_path / "made.yaml", tmp_path / "rest.parquet"
    log = ("calibrate", export, "--mapping", export.with_name("map.yaml"), "--until", "2018-09-03T00:00Z")
    code, printed, error = told(*log, "--horizon", "14d", "--out", out, "--rest", rest)
    assert (code, error) == (0, "")
    assert max(len(row) for row in printed.splitlines() if str(tmp_path) not in row) <= 80
    assert "modeled" in printed and "are assumed; the file says why" in printed
    assert "handling and transit are counted in the hours of the calendars\n" in printed
    assert load(out).run.horizon == 14 * DAY
    assert pq.read_table(rest)["at"].to_pylist()[0] >= 1_535_932_800_000
    assert told("run", out, "--out", tmp_path / "run", "--no-report")[0] == 0
    # The run is seen as the log was, so that the command tells what the functions behind it do.
    code, printed, error = told("distance", rest, tmp_path / "run", "--json")
    assert code == 0
    seen = read_seen(rest)
    assert seen is not None and seen.activities == ("captured", "shipped", "delivered")
    assert as_seen(tmp_path / "run", seen)["at"].to_pylist()[-1] <= seen.as_of
    wanted = {row.name: row.value for row in measure(read_event_table(rest), as_seen(tmp_path / "run", seen))}
    assert {row["distance"]: row["value"] for row in json.loads(printed)["distances"]} == wanted
    assert wanted["handling"] is not None and {"transit", "cycle_times"} <= wanted.keys()
    code, printed, error = told("distance", rest, tmp_path / "run")
    assert code == 0 and "Left out" not in printed
    assert ": captured, shipped, delivered, up to" in printed.replace("\n", " ")
    # A file that does not say how its log saw things is compared with all of the run.
    pq.write_table(pq.read_table(rest).replace_schema_metadata(None), tmp_path / "plain.parquet")
    assert read_seen(tmp_path / "plain.parquet") is None
    assert "Left out: promised" in told("distance", tmp_path / "plain.parquet", tmp_path / "run")[1]
    again = told(*log, "--json", "--out", out)
    assert again[0] == 0
    assert {one["tag"] for one in json.loads(again[1])["parameters"]} == {"measured", "modeled", "assumed"}


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (("--until", "2017-01-01T00:00Z"), "is no period in it"),
        (("--until", "2030-01-01T00:00Z"), "is no period in it"),
        (("--until", "2018-06-01T00:00Z", "--since", "2018-07-01T00:00Z"), "is no period in it"),
        (("--until", "3h"), "nothing was delivered before"),
        (("--until", "30x"), "--until 30x"),
        (("--until", "30d", "--horizon", "0d"), "--horizon: 0s is no time at all; write more, such as 28d"),
        (("--until", "30d", "--horizon", "soon"), "--horizon"),
        (("--until", "30d", "--horizon", "99999d"), "--horizon: 99999d is longer than 18250d; write less, such as 28d"),
        (("--until", "30d", "--origin", "warehouse"), "'warehouse' is no field of a log; fields are"),
        (("--until", "30d", "--origin", "origin,carrier"), "this log says nothing of 'carrier'; it has"),
        (("--until", "30d", "--base", "x.yaml"), "leave one out"),
        (("--until", "5d"), "too few deliveries to tell how long one takes"),
    ],
)
def test_what_cannot_be_calibrated_is_refused_with_one_message_and_nothing_is_written(
    told: Told, export: Path, tmp_path: Path, asked: tuple[str, ...], problem: str
) -> None:
    """RP-03: exit code 2, one line, no file."""
    few = export.with_name("few.csv")
    few.write_text("\n".join(export.read_text(encoding="utf-8").splitlines()[:6]) + "\n", encoding="utf-8")
    source = few if asked[1] == "5d" else export
    mapping = ("--mapping", export.with_name("map.yaml"))
    found = told(
        "calibrate", source, *mapping, *asked, "--out", tmp_path / "out.yaml", "--rest", tmp_path / "r.parquet"
    )
    assert found[:2] == (2, "")
    assert problem in found[2] and len(found[2].splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_log_of_a_run_and_an_export_are_told_apart(told: Told, export: Path, tmp_path: Path) -> None:
    """RP-03: one of a base and a mapping is needed, a run has one folder, and options of exports are of exports."""
    out = ("--until", "30d", "--out", tmp_path / "out.yaml")
    code, _, error = told("calibrate", export, *out)
    assert (code, "give --base SCENARIO for the log of a run, or --mapping MAP" in error) == (2, True)
    code, _, error = told("calibrate", export, export, "--base", "b.yaml", *out)
    assert (code, "a run has one folder, 2 are given" in error) == (2, True)
    code, _, error = told("calibrate", export, "--base", "b.yaml", "--horizon", "1d", *out)
    assert (code, "--horizon is of an export; give --mapping" in error) == (2, True)


def test_a_log_without_deliveries_says_what_to_map() -> None:
    """RP-03: a mapping without a delivery is refused by the name of what it lacks."""
    fields = {"case_id": "a", "order": "a", "row": 1}
    with pytest.raises(CalibrationRefused, match=r"no case of it has a beginning .* and a delivery; map these"):
        cases_of(log_of([{**fields, "activity": "order_placed", "event_ms": START}]))


def test_what_was_given_up_is_an_order_without_a_duration() -> None:
    """RP-03: cancelled cases count as orders, and no open duration of theirs makes a tail."""
    found = calibrate_log(known_log(5, 52, cancelled=0.1), UNTIL)
    assert "cases were given up" in found.text
    handling = next(one for one in found.parameters if one.name == "warehouses north handling, mean")
    assert handling.high is not None and handling.high < 14 * HOUR


def test_an_export_is_calibrated_with_the_base_of_its_business(told: Told, tmp_path: Path) -> None:
    """RP-03: what a thinned log of a known business tells goes into its base; true means lie in the intervals."""
    truth = ROOT / "scenarios" / "replay" / "two_carriers.yaml"
    short: dict[str, Any] = {
        "run": {"horizon": "12d", "drain": "4d"},
        "disruptions": None,
        "interventions": [{"id": "trial", "at": "2d", "for": "4d"}],
    }
    scenario = load(truth, short)
    run = Twin(scenario).run(1, tmp_path / "run")
    thinned(event_log_of_run(run.folder), tmp_path)
    (tmp_path / "map.yaml").write_text(json.dumps(export_mapping(event_log_of_run(run.folder))), encoding="utf-8")
    base = truth.with_name("two_carriers_assumed.yaml")
    asked = (tmp_path / "export.csv", "--mapping", tmp_path / "map.yaml", "--base", base, "--until", "10d")
    out = tmp_path / "out.yaml"
    code, printed, error = told("calibrate", *asked, "--out", out, "--json")
    assert (code, error) == (0, "")
    found = {one["name"]: one for one in json.loads(printed)["parameters"]}
    means = [
        (found[f"lanes {lane.from_}-{lane.to} {lane.carrier} transit, mean"], lane.transit.expected())
        for lane in scenario.lanes
        if f"lanes {lane.from_}-{lane.to} {lane.carrier} transit, mean" in found
    ]
    assert len(means) >= 4
    assert sum(one["low"] <= true <= one["high"] for one, true in means) >= len(means) - 1
    assert load(out).channels[0].demand != load(base).channels[0].demand
    # The log's last event belongs to it, where nobody says when it was taken.
    mapping = {key: held for key, held in export_mapping(event_log_of_run(run.folder)).items() if key != "as_of"}
    (tmp_path / "map.yaml").write_text(json.dumps(mapping), encoding="utf-8")
    last = load_log([tmp_path / "export.csv"], tmp_path / "map.yaml").as_of_ms
    for until, expected in ((last + 1, 0), (last + 2, 2)):
        told_as = datetime.fromtimestamp(until / 1000, UTC).isoformat(timespec="milliseconds")
        code, _, error = told("calibrate", *asked[:-1], told_as, "--out", tmp_path / "all.yaml", "--json")
        assert code == expected, error
    code, _, error = told("calibrate", *asked, "--out", tmp_path / "no.yaml", "--horizon", "3d")
    assert code == 2 and "leave one out" in error
    code, _, error = told("calibrate", *asked[:-1], "90d", "--out", tmp_path / "no.yaml")
    assert code == 2 and "is no period in it" in error
    assert not (tmp_path / "no.yaml").exists()


def test_a_run_of_such_a_scenario_calibrates_to_what_it_draws_from(
    made: ForeignCalibration, tmp_path: Path, told: Told
) -> None:
    """RP-03: handling by a table and transit in working time come back from a run's own log, and nothing twice."""
    base, out = tmp_path / "made.yaml", tmp_path / "again.yaml"
    base.write_text(made.text, encoding="utf-8")
    assert told("run", base, "--out", tmp_path / "run", "--no-report")[0] == 0
    assert told("calibrate", tmp_path / "run", "--base", base, "--until", "91d", "--out", out)[::2] == (0, "")
    before, after = load(base), load(out)
    for one, two in zip(before.warehouses, after.warehouses, strict=True):
        assert (two.pick_time.order, two.pick_time.line, two.pick_time.kind) == (0, 0, "fixed")
        assert one.pick_time.drawn is not None and two.pick_time.drawn is not None
        assert two.pick_time.drawn.expected() == pytest.approx(one.pick_time.drawn.expected(), rel=0.2)
    for first, second in zip(before.lanes, after.lanes, strict=True):
        if first.from_ != OTHER:
            assert second.transit.expected() == pytest.approx(first.transit.expected(), rel=0.2)
    assert after.channels[0].demand.items == before.channels[0].demand.items  # type: ignore[union-attr]
    assert after.channels[0].demand.levels == ()  # type: ignore[union-attr]
