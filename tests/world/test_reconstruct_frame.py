"""The frame of a reconstruction: its time against the base's and the log's, what is refused first, where it is
written, and what its statement says of what was left out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time
from math import inf
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from msgspec.structs import replace

from tests.world.test_reconstruct import BASE, DAY, HOUR, SECOND, SHORT, STRIKE, TRUTH, again, delivered
from twin.cli import main
from twin.cli.reconstructing import show_statement
from twin.event_log import EventLog, EventLogError
from twin.experiment.reconstruction import Reconstruction
from twin.experiment.reconstruction_statement import AS_IT_WAS, Telling
from twin.experiment.reconstruction_statement import tested_part as part_to_test
from twin.log.foreign import write_foreign
from twin.measures.of_event_log import profile_log
from twin.replay.calibrate import calibrate_facts
from twin.replay.facts import CalibrationRefused, Facts
from twin.replay.interruption_rows import interruption_lines
from twin.replay.interruptions import Closure, Outage, find_closures
from twin.replay.log_facts import facts_of_log, parcels_of, purchases_of
from twin.replay.log_time import end_of, only_dates
from twin.replay.neutral import event_log_of_run
from twin.replay.residuals_of import Residuals, residuals_of
from twin.replay.statement import Near
from twin.residuals import ONE
from twin.run import LUCK, Run, load
from twin.scenario import Scenario, calendar_named, compile_calendar
from twin.scenario.units import format_instant
from twin.streams import Fixed, Streams
from twin.world.recorded_luck import RecordedLuck

START = 1_767_571_200_000
TRIAL = "interventions:\n  - {id: trial, at: 2d, for: 5d}\n"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load(TRUTH, SHORT | STRIKE).run(1, tmp_path_factory.mktemp("recorded") / "run")


@pytest.fixture(scope="module")
def log(recorded: Run) -> EventLog:
    return event_log_of_run(recorded.folder)


def base_of(folder: Path, text: str) -> Path:
    file = folder / "base.yaml"
    file.write_text(f"schema: 1\nextends: {BASE}\n{text}", encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def elsewhere(log: EventLog, recorded: Run, tmp_path_factory: pytest.TempPathFactory) -> Reconstruction:
    """With a base whose run begins three days before the log, and is over before the strike."""
    folder = tmp_path_factory.mktemp("elsewhere")
    file = base_of(folder, f"run: {{start: 2026-01-02T00:00Z, horizon: 10d, drain: 0d}}\n{TRIAL}")
    return again(log, recorded, file, folder / "out", distances=True, seeds=(1, 2))


# --- the time of the base


def test_closures_stand_where_the_log_has_them_whenever_the_base_runs(  # RP-05
    elsewhere: Reconstruction, recorded: Run
) -> None:
    strike = next(one for one in load(elsewhere.folder / "scenario.yaml").scenario.disruptions)
    assert strike.kind == "carrier_closed"
    assert abs(strike.from_ - 12 * DAY) <= HOUR and abs(strike.for_ - 2 * DAY) <= HOUR
    was, now = delivered(recorded.folder), delivered(elsewhere.runs[AS_IT_WAS][0])
    both = was.keys() & now.keys()
    assert len(both) > 0.97 * len(was) > 500
    assert sum(abs(was[parcel] - now[parcel]) <= 20 * 60 * SECOND for parcel in both) > 0.97 * len(both)
    # The wait is the strike's, and not the parcels' luck: without it, what it held comes sooner.
    assert [one.tag for one in elsewhere.statement.inputs if one.name == "carriers swift closed"] == ["measured"]
    # The file that was calibrated can be run by itself, over the same time.
    assert (
        load(elsewhere.folder / "calibrated.yaml").scenario.run == load(elsewhere.folder / "scenario.yaml").scenario.run
    )


def test_what_the_base_has_planned_is_told_to_come_at_other_times(  # RP-04
    elsewhere: Reconstruction, log: EventLog, recorded: Run, tmp_path: Path
) -> None:
    (told,) = [text for text in elsewhere.statement.never if "has planned" in text]
    assert "its times (interventions) are counted from the start of the log, 2026-01-05T00:00:00Z" in told
    assert "Z, 3d later than the base's own" in told
    same = again(log, recorded, base_of(tmp_path, f"run: {{horizon: 18d}}\n{TRIAL}"), tmp_path / "out")
    assert not [text for text in same.statement.never if "has planned" in text]


def test_a_base_with_something_after_the_logs_end_is_refused_before_anything_is_made(
    log: EventLog, recorded: Run, tmp_path: Path
) -> None:
    late = "interventions:\n  - {id: trial, at: 40d, for: 5d}\n"
    told = r"base.yaml: it cannot run for the time of the log, .*2026-01-31T00:00:00Z: interventions\[0\].at: .* 40d"
    with pytest.raises(CalibrationRefused, match=told):
        again(log, recorded, base_of(tmp_path, late), tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- the time of the log


def cut(log: EventLog, end: int, *, as_of: int = 0, zone: str = "UTC") -> EventLog:
    """What was written down before `end` (ms), taken at its last event unless said."""
    table = log.table.filter(pc.less(log.table["event_ms"], end))
    return replace(
        log, table=table, as_of_ms=as_of or pc.max(table["event_ms"]).as_py(), as_of_stated=bool(as_of), zone=zone
    )


def dated(log: EventLog, zone: str) -> EventLog:
    """The log with the local date of each event for its time."""

    def midnight(at: int) -> int:
        day = datetime.fromtimestamp(at // 1_000, ZoneInfo(zone)).date()
        return int(datetime.combine(day, time(), ZoneInfo(zone)).timestamp()) * 1_000

    place = log.table.schema.get_field_index("event_ms")
    days = pa.array([midnight(at) for at in log.table["event_ms"].to_pylist()], pa.int64())
    table = log.table.set_column(place, "event_ms", days)
    return replace(log, table=table, as_of_ms=pc.max(days).as_py(), as_of_stated=False, zone=zone)


def test_a_log_ends_after_its_last_event(log: EventLog) -> None:
    part = cut(log, START + 15 * DAY)
    assert end_of(part) == part.as_of_ms + 1
    # Whoever says when it was taken is believed, unless it goes on after that.
    assert end_of(replace(part, as_of_ms=START + 16 * DAY)) == START + 16 * DAY
    assert end_of(replace(part, as_of_ms=START + 3 * DAY)) == part.as_of_ms + 1
    assert end_of(log) == log.as_of_ms


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Sao_Paulo"])
def test_the_last_day_of_a_log_of_dates_belongs_to_it(log: EventLog, zone: str) -> None:
    days = dated(cut(log, START + 15 * DAY), zone)
    assert only_dates(days.table["event_ms"].to_pylist(), zone)
    assert end_of(days) == days.as_of_ms + DAY
    assert not only_dates(days.table["event_ms"].to_pylist(), "Asia/Kolkata")
    assert not only_dates([], zone)
    assert not only_dates([*days.table["event_ms"].to_pylist(), days.as_of_ms + HOUR], zone)


def test_a_day_that_begins_at_one_is_a_date_too() -> None:
    """In Brazil clocks were put forward at midnight: 2018-11-04 has none."""
    assert only_dates([int(datetime(2018, 11, 4, 3, tzinfo=UTC).timestamp()) * 1_000], "America/Sao_Paulo")
    assert not only_dates([int(datetime(2018, 11, 5, 3, tzinfo=UTC).timestamp()) * 1_000], "America/Sao_Paulo")


def test_the_last_day_that_can_be_written_is_no_error(log: EventLog) -> None:
    last = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * 1_000
    days = dated(cut(log, START + 2 * DAY), "UTC")
    place = days.table.schema.get_field_index("event_ms")
    times = pa.array([last] * days.table.num_rows, pa.int64())
    forever = replace(days, table=days.table.set_column(place, "event_ms", times), as_of_ms=last)
    assert format_instant(end_of(forever)) == "9999-12-31T23:59:59.999Z"


@pytest.fixture(scope="module")
def of_dates(log: EventLog, recorded: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[EventLog, Reconstruction]:
    """A log of nothing but dates, up to the day after the strike."""
    folder = tmp_path_factory.mktemp("of_dates")
    days = dated(cut(log, START + 15 * DAY), "UTC")
    classes = {channel.id: channel.criticality for channel in load(BASE).scenario.channels}
    file = base_of(folder, TRIAL)
    facts = lambda since, until: facts_of_log(days, since, until, classes)  # noqa: E731
    return days, again(days, recorded, file, folder / "out", facts=facts)


def test_what_is_dated_on_the_last_day_is_in_the_reconstruction(  # RP-04, RP-05
    of_dates: tuple[EventLog, Reconstruction],
) -> None:
    days, found = of_dates
    rows = days.table.to_pylist()
    last = [row for row in rows if row["event_ms"] == days.as_of_ms]
    assert {"order_placed", "delivered"} <= {row["activity"] for row in last}
    assert found.statement.tested == (START + 10 * DAY, days.as_of_ms + DAY)
    placed = {row["order"] for row in rows if row["activity"] == "order_placed"}
    replay = event_log_of_run(found.runs[AS_IT_WAS][0])
    assert {row["order"] for row in replay.table.to_pylist() if row["activity"] == "order_placed"} == placed
    assert found.statement.inputs[0].share == 1
    # And nobody says that no carrier was closed, which dates cannot tell.
    assert [one.tag for one in found.statement.inputs if one.name.endswith("closed")] == ["assumed"]
    # What came on that day is not still on its way.
    came = {row["shipment"] for row in last if row["activity"] == "delivered"}
    rows_of = [row for row in found.residuals.rows if row.kind == "transit" and row.key in came]
    assert len(rows_of) >= len(came) > 5
    known = residuals_of(days, load(found.folder / "scenario.yaml").scenario, days.as_of_ms + 2 * DAY).rows
    assert rows_of == [row for row in known if row.kind == "transit" and row.key in came]
    # Dates that customers asked for are due up to that end, on either side.
    tested, said = part_to_test(days, START + 10 * DAY), found.statement.figures
    (share,) = [one.value for one in said if (one.measure, one.of) == ("otif_to_request", "recorded")]
    whole, short = (
        profile_log(replace(tested, as_of_ms=at)).measures["otif_to_request"] for at in (end_of(days), days.as_of_ms)
    )
    assert share == pytest.approx(float(whole.value or 0)) and whole.value != short.value


def test_deliveries_of_which_only_the_date_is_known_are_no_closures(log: EventLog, tmp_path: Path) -> None:  # RP-05
    """Neither in the carrier's hours, before which a date lies, nor where it delivers at any time."""
    days = dated(cut(log, START + 12 * DAY), "UTC")
    base = load(BASE).scenario
    classes = {channel.id: channel.criticality for channel in base.channels}
    end = end_of(days)
    facts = facts_of_log(days, START, end, classes)
    hours = compile_calendar(calendar_named(base.calendars, "rounds"), START, 2 * end - START)
    assert find_closures(facts.transit, {"swift": hours, "steady": hours}, end) == []
    assert find_closures(facts.transit, {"swift": hours, "steady": hours}, days.as_of_ms) == []
    # Of a business without hours each night looks like one, unless it is known that there are only dates.
    always = base.with_changes({"carriers": [{"id": id, "calendar": "always"} for id in ("swift", "steady")]})
    told = []
    for dates in (True, False):
        facts.deliveries_are_dates = dates
        made = calibrate_facts(facts, days.title, "the log", always, BASE, tmp_path)
        told.append({(row.name, row.tag) for row in made.parameters if "closed" in row.name})
    assert told[0] == {("carriers closed", "assumed")}
    assert told[1] == {("carriers steady closed", "measured")}
    assert facts_of_log(days, START, end, classes).deliveries_are_dates
    assert not facts_of_log(cut(log, START + 12 * DAY), START, end, classes).deliveries_are_dates


@pytest.mark.parametrize("distances", [True, False])
@pytest.mark.parametrize("bare", [False, True])
def test_a_part_to_test_on_without_an_order_is_refused_before_anything_is_made(
    log: EventLog, recorded: Run, tmp_path: Path, distances: bool, bare: bool
) -> None:
    """Orders end on day 9, or have no quantity from then on; what they led to goes on."""
    kept, counts = [], []
    for row in log.table.to_pylist():
        early = row["event_ms"] < START + 9 * DAY
        kept.append(early or bare or row["activity"] != "order_placed")
        counts.append(row["quantity"] if early else None)
    place = log.table.schema.get_field_index("quantity")
    table = log.table.set_column(place, "quantity", pa.array(counts, pa.int64())).filter(pa.array(kept))
    first = table.group_by("order").aggregate([("event_ms", "min")]).filter(pc.field("event_ms_min") < START + 9 * DAY)
    if not bare:
        table = table.filter(pc.is_in(table["order"], value_set=first["order"].combine_chunks()))
    told = "no order with an item and a quantity was placed" if bare else "no order was placed"
    file = base_of(tmp_path, TRIAL)
    with pytest.raises(EventLogError, match=f"{told} in the part to test on, 2026-01-15.*fit on a shorter first part"):
        again(replace(log, table=table), recorded, file, tmp_path / "out", distances=distances)
    assert not (tmp_path / "out").exists()


def test_a_last_order_that_reaches_the_engine_after_the_end_is_no_error(
    log: EventLog, recorded: Run, tmp_path: Path
) -> None:
    """The only order to test on was placed in the log's last instant: it is recorded, and there is no replay of it."""
    rows = [row for row in log.table.to_pylist() if row["event_ms"] < START + 11 * DAY]
    placed = [row for row in rows if row["activity"] == "order_placed"]
    late = {row["order"] for row in placed if row["event_ms"] >= START + 10 * DAY}
    last = placed[-1] | {"event_ms": START + 11 * DAY}
    kept = [row for row in rows if row["order"] not in late]
    part = replace(log, table=pa.Table.from_pylist([*kept, last], log.table.schema), as_of_ms=START + 11 * DAY)
    said = again(part, recorded, base_of(tmp_path, TRIAL), tmp_path / "out", distances=True).statement
    assert said.tested == (START + 10 * DAY, START + 11 * DAY + 1)
    assert said.distances == () and not [one for one in said.figures if one.of != "recorded"]


# --- closures and outages that are left out

CLOSURE = Closure("swift", START + 12 * DAY, START + 14 * DAY, 68.0, 12.0, False)
OUTAGE = Outage(
    "erp", START + 3 * DAY, START + 3 * DAY + HOUR, (START, START), (START + 4 * DAY, START + 4 * DAY), 9, 3, True
)


def two_carriers(**changes: Any) -> Scenario:
    return load(BASE).scenario.with_changes({"interventions": None} | changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"disruptions": [{"kind": "carrier_closed", "carrier": "swift", "from": "1d", "for": "1h"}]}
            | {"interfaces": [{"id": "erp", "to": "erp"}]}
            | {"faults": [{"kind": "outage", "id": "mine", "interface": "erp", "from": "1d", "for": "1h"}]},
            ["the base has closures of it already", "the base has faults already"],
        ),
        ({"run": {"start": "2026-03-01T00:00Z"}}, ["outside the base's run", "outside the base's run"]),
    ],
)
def test_what_was_found_and_is_not_taken_is_no_measured_input(changes: dict[str, Any], why: list[str]) -> None:  # RP-04
    rows, lines = interruption_lines(two_carriers(**changes), [CLOSURE], [OUTAGE])
    assert [(row.tag, row.estimate, row.n) for row in rows] == [("assumed", None, 0)] * 2
    assert [row.note.rpartition("; ")[2] for row in rows] == why
    assert "68 deliveries were expected" in rows[0].note and "9 calls in a row failed" in rows[1].note
    assert lines == []


def test_what_is_taken_is_measured_and_in_the_file() -> None:
    rows, lines = interruption_lines(two_carriers(), [CLOSURE], [OUTAGE])
    assert [row.tag for row in rows] == ["measured", "measured"]
    assert [line for line in lines if "from: 12d, for: 2d" in line] and [line for line in lines if "for: 1h" in line]


# --- closures that the base knows

CLOSED: dict[str, Any] = {
    "disruptions": [
        {"kind": "lane_closed", "lane_from": "east", "lane_to": "coast", "from": "11d", "for": "2d"},
        {"kind": "carrier_closed", "carrier": "swift", "from": "12d", "for": "1d"},
        {"kind": "supplier_closed", "supplier": "near", "from": "7d", "for": "4d"},
        {"kind": "warehouse_closed", "warehouse": "west", "from": "14d8h", "for": "6h"},
    ]
}


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load(TRUTH, SHORT | CLOSED).run(1, tmp_path_factory.mktemp("closed") / "run")


def test_a_closure_of_any_kind_is_no_bad_luck_where_the_scenario_has_it(closed: Run) -> None:  # RP-05
    """Under the scenario that wrote the log each luck is the run's own: else a closure would count twice."""
    end = closed.manifest.end_ms
    scenario, log = load(TRUTH, SHORT | CLOSED).scenario, event_log_of_run(closed.folder)
    found = residuals_of(log, scenario, end)
    rows = {(row.kind, row.key, row.subject): row for row in found.rows}
    plain, luck = Streams(1), RecordedLuck(1, found.rows)
    lanes = {(lane.from_, lane.to, lane.carrier): lane.transit for lane in scenario.lanes}
    stood = picks = 0
    closing = range(START + 14 * DAY + 8 * HOUR, START + 14 * DAY + 14 * HOUR)
    for one in parcels_of(log, end):
        row, shape = rows["transit", one.note, one.order], lanes[one.site, one.region, one.carrier]
        least, most = (shape.inverse(quantile / ONE) for quantile in (row.low, row.high))
        assert least - 1 <= plain.draw(shape, "transit", one.note + "/s") <= most + 1, one
        stood += (one.site, one.region) == ("east", "coast") and one.shipped_at < START + 13 * DAY < one.delivered_at
        meanwhile = one.released_at < closing.stop and one.picked_at > closing.start
        held = one.site == "west" and meanwhile
        picks += held
        assert (("pick", one.note, one.order) in rows) == (not held), one
    assert stood > 10 and picks > 2
    assert found.without == {"picks at a site that was closed meanwhile": picks}
    late = 0
    suppliers = {supplier.id: supplier for supplier in scenario.suppliers}
    for bought in [bought for bought in purchases_of(log, end) if bought.received_at >= 0]:
        shape = suppliers[bought.supplier].lead_time
        drawn, true = (one.draw(shape, "lead_time", bought.purchase_order, bought.item) for one in (luck, plain))
        # The dock takes one to five hours, and three are taken off.
        assert abs(drawn - true) <= 2 * HOUR + SECOND, bought
        assert luck.draw(Fixed(0), "dock_to_stock", bought.purchase_order, bought.item) <= 5 * HOUR + SECOND, bought
        late += bought.supplier == "near" and bought.created_at < START + 11 * DAY < bought.received_at
    assert late >= 1


def test_goods_that_may_have_waited_at_a_closed_site_have_no_residual(closed: Run) -> None:  # RP-05
    end = closed.manifest.end_ms
    log = event_log_of_run(closed.folder)
    one = next(bought for bought in purchases_of(log, end) if bought.received_at > 0)
    hour = (one.received_at - START) // HOUR

    def shut(first: int) -> Scenario:
        gate = {"kind": "warehouse_closed", "warehouse": one.site, "from": f"{first}h", "for": "1h"}
        return load(TRUTH, SHORT | {"disruptions": [*CLOSED["disruptions"], gate]}).scenario

    for first, there in ((hour - 2, False), (hour - 7, True), (hour + 1, True)):
        found = residuals_of(log, shut(first), end)
        subjects = [row.subject for row in found.rows if row.kind == "lead_time"]
        assert (one.purchase_order in subjects) == there, first
        assert there or found.without["purchases that may have waited at a site that was closed"]


# --- where it is written


def test_what_was_made_for_a_refused_one_is_taken_away_again(log: EventLog, recorded: Run, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    file = base_of(tmp_path, TRIAL)

    def fails(since: int, until: int) -> Facts:
        assert (tmp_path / "kept/p/q/out").is_dir()
        raise CalibrationRefused("no facts")

    with pytest.raises(CalibrationRefused, match="no facts"):
        again(log, recorded, file, tmp_path / "kept/p/q/out", facts=fails)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == []

    def crowded(since: int, until: int) -> Facts:
        (tmp_path / "kept/p/mine.txt").write_text("mine", encoding="utf-8")
        raise CalibrationRefused("no facts")

    with pytest.raises(CalibrationRefused, match="no facts"):
        again(log, recorded, file, tmp_path / "kept/p/q/out", facts=crowded)
    assert [path.name for path in (tmp_path / "kept/p").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("place", ["out", "entries/out", "."])
@pytest.mark.parametrize("form", ["run", "neutral"])
def test_a_reconstruction_is_never_written_into_the_log(
    log: EventLog, recorded: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str, form: str
) -> None:
    folder = recorded.folder
    if form == "neutral":
        folder = tmp_path / "neutral"
        write_foreign(log, folder)
    before = sorted(str(path) for path in folder.rglob("*"))
    words = ["reconstruct", str(folder), "--base", str(base_of(tmp_path, TRIAL)), "--fit-until", "10d"]
    assert main([*words, "--out", str(folder / place), "--quiet"]) == 2
    assert "is the folder of the log, or lies in it; give a folder apart from it" in capsys.readouterr().err
    assert sorted(str(path) for path in folder.rglob("*")) == before


# --- what the statement says


def test_it_says_of_which_seed_the_agreement_and_the_distances_are(  # RP-04, PL-04
    elsewhere: Reconstruction, log: EventLog, recorded: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = elsewhere.statement
    assert said.agreement_of == "order lines that ship first from the site that the log names, seed 1"
    assert said.floor.endswith("replay: seed 1")
    show_statement(said)
    shown = capsys.readouterr().out
    assert "log names, seed 1\n" in shown and "by its cases; replay: seed 1.\n" in shown
    assert max(map(len, shown.splitlines())) <= 80
    other = again(log, recorded, base_of(tmp_path, TRIAL), tmp_path / "out", seeds=(7, 8)).statement
    assert other.agreement_of.endswith(", seed 7") and other.floor.endswith("replay: seed 7")


@pytest.fixture(scope="module")
def telling(elsewhere: Reconstruction, log: EventLog) -> Telling:
    return Telling(log, load(BASE).scenario, BASE, (START, START + 10 * DAY, log.as_of_ms))


def test_a_distance_is_far_above_three_times_the_noise_floor_and_not_below(telling: Telling) -> None:  # RP-04
    near = [Near(f"of_{multiple}", 1.0, "h", 1.0, multiple) for multiple in (1.5, 2.9, 3.1, inf, None)]
    (told,) = [text for text in telling._never(near, (), None, 0) if "the noise floor" in text]
    assert told.startswith("Anything that hangs on of_3.1 (3.1 times), of_inf (without end) the noise floor")
    assert not [text for text in telling._never(near[:2], (), None, 0) if "the noise floor" in text]


def test_luck_that_is_carried_over_and_records_without_it_are_modeled(  # RP-04
    telling: Telling, elsewhere: Reconstruction, tmp_path: Path
) -> None:
    counts = {"transit": {"measured": 6, "carried over": 3, "modeled": 1}, "lead_time": {"carried over": 2}}
    (tmp_path / LUCK).write_text(json.dumps(counts), encoding="utf-8")
    without = Residuals((), {"purchases that may have waited": 1_234, "parcels somewhere": 5})
    rows = telling._inputs(elsewhere.calibration, without, [tmp_path], 0)
    found = {(row.name, row.tag): row.share for row in rows}
    assert found["transits", "measured"] == pytest.approx(0.6)
    assert found["transits, carried over", "modeled"] == pytest.approx(0.3)
    assert found["transits, drawn", "modeled"] == pytest.approx(0.1)
    assert found["supplier lead times, carried over", "modeled"] == 1
    assert [row for row in rows if row.name.startswith("supplier lead times") and row.tag == "measured"] == []
    bare = [(row.tag, row.told) for row in rows if row.name == "records without a residual"]
    assert bare == [("modeled", "1,234 purchases that may have waited"), ("modeled", "5 parcels somewhere")]


def test_a_line_agrees_by_the_site_that_it_ships_from_first(telling: Telling, elsewhere: Reconstruction) -> None:
    """A second parcel of a line from the other site changes nothing, a first one does; on either side."""
    replay = event_log_of_run(elsewhere.runs[AS_IT_WAS][0])
    before = telling._agreement(replay)[0]
    rows = [row for row in telling.log.table.to_pylist() if row["activity"] == "handed_to_carrier"]
    row = next(row for row in rows if row["event_ms"] > START + 12 * DAY and row["order"] in _agreeing(telling, replay))
    other = row | {"site": "west" if row["site"] == "east" else "east"}

    def again_at(log: EventLog, at: int) -> EventLog:
        more = pa.Table.from_pylist([other | {"event_ms": at}], log.table.schema)
        return replace(log, table=pa.concat_tables([log.table, more]))

    for moved, same in ((row["event_ms"] + DAY, before.same), (row["event_ms"] - 2 * HOUR, before.same - 1)):
        assert telling._agreement(again_at(replay, moved))[0].same == same
        told = Telling(again_at(telling.log, moved), telling.base, BASE, (START, START + 10 * DAY, telling.end))
        assert told._agreement(replay)[0].same == same


def _agreeing(telling: Telling, replay: EventLog) -> set[str]:
    """Orders of the tested period that ship from one site and by one parcel in both logs."""
    places = []
    for log in (telling.log, replay):
        found: dict[str, set[tuple[str, str]]] = {}
        for row in log.table.to_pylist():
            if row["activity"] == "handed_to_carrier":
                found.setdefault(row["order"], set()).add((row["site"], row["shipment"]))
        places.append({order: next(iter(sites)) for order, sites in found.items() if len(sites) == 1})
    placed = {
        row["order"]
        for row in telling.log.table.to_pylist()
        if row["activity"] == "order_placed" and row["event_ms"] >= telling.fit_until
    }
    return {order for order in placed if order in places[0] and places[0][order] == places[1].get(order)}
