"""How far a simulated log is from a real one, and how far chance alone would bring it."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import twin as tw
from twin.cli import main
from twin.replay.distances import (
    Distance,
    DistancesMissing,
    common_activities,
    distances,
    library,
    parcel_distances,
    parcel_times,
)
from twin.replay.event_table import EventTableError, checked_table, events_of_run, read_event_table
from twin.replay.fidelity import Compared, Floor, fidelity, halves, noise_floor, sample, weeks

MINIMAL = Path(__file__).parents[2] / "scenarios" / "minimal.yaml"

HOUR_MS = 3_600_000
WEEK_MS = 168 * HOUR_MS
MONDAY = 1_763_337_600_000
"""2025-11-17, 00:00 UTC."""

# case, activity, hours since that Monday, lane, parcel
Row = tuple[str, str, float, str | None, str | None]


@pytest.fixture
def with_library() -> None:
    pytest.importorskip(
        "log_distance_measures",
        reason="log-distance-measures is not here: pip install 'ordertwin[fidelity]', for Python before 3.13",
    )


def table_of(*rows: Row) -> pa.Table:
    columns = zip(*rows, strict=True)
    case, activity, hours, lane, parcel = (list(column) for column in columns)
    at = [MONDAY + round(hour * HOUR_MS) for hour in hours]
    return checked_table(
        pa.table(
            {
                "case": pa.array(case, pa.string()),
                "activity": pa.array(activity, pa.string()),
                "at": at,
                "lane": pa.array(lane, pa.string()),
                "parcel": pa.array(parcel, pa.string()),
            }
        ),
        "rows",
    )


def parcel(case: str, lane: str, released: float, handling: float, transit: float) -> list[Row]:
    """A whole order of one parcel; times in hours."""
    shipped = released + handling
    return [
        (case, "captured", released, None, None),
        (case, "released", released, lane, f"{case}/1"),
        (case, "shipped", shipped, lane, f"{case}/1"),
        (case, "delivered", shipped + transit, lane, f"{case}/1"),
    ]


def log_of(cases: int, step: float = 5.0) -> pa.Table:
    """An order every `step` hours, with times that vary."""
    rows = []
    for number in range(cases):
        lane = ("north-home", "south-away")[number % 2]
        rows += parcel(f"O{number}", lane, number * step, 1 + number % 3, 6 + number % 7)
    return table_of(*rows)


def shifted(table: pa.Table, by_ms: int) -> pa.Table:
    return table.set_column(2, table.schema.field(2), pa.array([at + by_ms for at in table["at"].to_pylist()]))


def by_name(rows: Sequence[Distance]) -> dict[str, Distance]:
    return {row.name: row for row in rows}


# --- our own distances


# RP-03
def test_handling_and_transit_are_weighted_by_parcels_as_counted_by_hand() -> None:
    # North took 1 and 2 h, then 2 and 4 h: (1 + 2) / 2 = 1.5 h apart. South did not change. Of six parcels four are of
    # north: 1.5 h * 4/6 = 1 h.
    before = table_of(
        *parcel("A", "north-home", 0, 1, 5), *parcel("B", "north-home", 9, 2, 5), *parcel("C", "south-home", 9, 3, 4)
    )
    after = table_of(
        *parcel("A", "north-home", 0, 4, 5), *parcel("B", "north-away", 9, 2, 7), *parcel("C", "south-home", 9, 3, 8)
    )
    handling, transit = parcel_distances(before, after)
    assert handling == Distance(
        "handling",
        "h",
        1.0,
        (3, 3),
        "parcels",
        "Wasserstein-1 by warehouse, weighted by parcels",
        {"north": 1.5, "south": 0.0},
    )
    # Two parcels of north-home took 5 h, one still does; south-home 4 h more. (0 * 3 + 4 * 2) / 5 = 1.6 h.
    assert transit.value == pytest.approx(1.6)
    assert (transit.n, transit.left_out) == ((3, 2), 1), "the parcel to 'away' has no counterpart, and is counted"


def test_a_lane_of_one_log_only_has_no_distance_rather_than_none_at_all() -> None:
    handling, transit = parcel_distances(
        table_of(*parcel("A", "north-home", 0, 1, 5)), table_of(*parcel("A", "south-home", 0, 1, 5))
    )
    assert (handling.value, handling.n, handling.left_out) == (None, (0, 0), 2)
    assert (transit.value, transit.left_out) == (None, 2)


def test_against_a_log_without_lanes_all_parcels_are_taken_together() -> None:
    ours = [*parcel("A", "north-home", 0, 1, 5), *parcel("B", "south-home", 0, 1, 7)]
    theirs = [(case, activity, hours + (activity == "delivered"), None, None) for case, activity, hours, _, _ in ours]
    handling, transit = parcel_distances(table_of(*ours), table_of(*theirs))
    assert (handling.value, transit.value) == (0, 1)
    assert (transit.n, transit.left_out) == ((2, 2), 0)
    assert transit.parameters == "Wasserstein-1 of all parcels, as a log names no lane"


def test_parcels_of_one_order_are_told_apart_and_those_under_way_are_left_out() -> None:
    rows: list[Row] = [
        ("A", "shipped", 0, "north-home", "A/1"),
        ("A", "shipped", 1, "north-home", "A/2"),
        ("A", "delivered", 4, "north-home", "A/2"),
    ]
    assert parcel_times(table_of(*rows), "shipped", "delivered", "lane") == {"north-home": [3 * HOUR_MS]}
    # Without parcels the first delivery on a lane belongs to its first shipment.
    unnamed = [(case, activity, hours, lane, None) for case, activity, hours, lane, _ in rows]
    assert parcel_times(table_of(*unnamed), "shipped", "delivered", "lane") == {"north-home": [4 * HOUR_MS]}


def test_a_capture_that_knows_no_parcel_is_that_of_all_parcels_of_its_order() -> None:
    """RP-03: a run captures orders before it knows their parcels; against a log without releases it has handling."""
    rows: list[Row] = [
        ("A", "captured", 0, None, None),
        ("A", "shipped", 2, "north-home", "A/1"),
        ("A", "shipped", 5, "south-home", "A/2"),
        ("B", "shipped", 5, "south-home", "B/1"),
    ]
    found = parcel_times(table_of(*rows), "captured", "shipped", "node")
    assert found == {"north": [2 * HOUR_MS], "south": [5 * HOUR_MS]}, "B was captured before the log begins"
    log: list[Row] = [
        ("A", "captured", 0, "north-home", None),
        ("A", "shipped", 3, "north-home", None),
        ("B", "captured", 0, "south-home", None),
        ("B", "shipped", 5, "south-home", None),
    ]
    handling, _ = parcel_distances(table_of(*log), table_of(*rows))
    assert (handling.value, handling.n, handling.left_out) == (0.5, (2, 2), 0)
    # Only a capture is of all parcels: a release without one tells of none of them.
    released = [(case, "released" if of == "captured" else of, at, lane, name) for case, of, at, lane, name in rows]
    assert parcel_times(table_of(*released), "released", "shipped", "node") == {}


# --- the six of the library, and all eight together


# RP-05
def test_a_log_is_at_no_distance_from_itself(with_library: None) -> None:
    log = log_of(40)
    assert [row.value for row in distances(log, log)] == [0.0] * 8
    assert [row.value for row in parcel_distances(log, log)] == [0.0, 0.0]


def test_our_own_distances_of_a_log_to_itself_are_nothing() -> None:
    assert [row.value for row in parcel_distances(log_of(40), log_of(40))] == [0.0, 0.0]


# RP-05
def test_a_log_set_forward_by_a_week_moves_what_is_absolute_and_nothing_else(with_library: None) -> None:
    log = log_of(40)
    found = by_name(distances(log, shifted(log, WEEK_MS)))
    moved = {name: row.value for name, row in found.items() if row.value}
    assert moved == pytest.approx({"absolute_events": 168.0, "case_arrivals": 168.0})


def test_a_log_set_forward_by_three_hours_moves_the_hours_of_the_day_too(with_library: None) -> None:
    log = log_of(40, step=3.0)
    found = by_name(distances(log, shifted(log, 3 * HOUR_MS)))
    assert found["absolute_events"].value == pytest.approx(3.0)
    assert found["circadian_events"].value
    assert [found[name].value for name in ("n_gram", "relative_events", "cycle_times", "handling", "transit")] == [
        0
    ] * 5


def test_other_activities_in_other_orders_move_the_n_grams_only(with_library: None) -> None:
    one = table_of(*((f"O{number}", name, number, None, None) for number in range(3) for name in ("a", "b", "c")))
    other = table_of(*((f"O{number}", name, number, None, None) for number in range(3) for name in ("a", "c", "b")))
    found = by_name(distances(one, other))
    # Padded by two on both sides: of 5 n-grams a case all hold b and c in their order but the first, '--a'.
    assert found["n_gram"].value == pytest.approx(4 / 5)
    assert found["relative_events"].value == found["cycle_times"].value == 0
    assert found["transit"].value is None, "there are no parcels"


def test_each_distance_states_its_unit_its_numbers_and_its_parameters(with_library: None) -> None:
    rows = distances(log_of(6), log_of(4))
    assert [(row.name, row.unit, row.n, row.of) for row in rows] == [
        ("n_gram", "share", (24, 16), "events"),
        ("absolute_events", "h", (24, 16), "events"),
        ("relative_events", "h", (24, 16), "events"),
        ("circadian_events", "h", (24, 16), "events"),
        ("case_arrivals", "h", (6, 4), "cases"),
        ("cycle_times", "h", (6, 4), "cases"),
        ("handling", "h", (6, 4), "parcels"),
        ("transit", "h", (6, 4), "parcels"),
    ]
    assert all(row.parameters for row in rows)


# --- the noise floor


def test_halves_share_no_case_and_do_not_depend_on_the_order_of_rows() -> None:
    log = log_of(200)
    one, other = (part["case"].unique().to_pylist() for part in halves(log))
    assert sorted(one + other) == sorted(log["case"].unique().to_pylist())
    assert 80 < len(one) < 120
    backwards = log.take(list(range(log.num_rows - 1, -1, -1)))
    assert sorted(halves(backwards)[0]["case"].unique().to_pylist()) == sorted(one)
    assert sorted(halves(log, 1)[0]["case"].unique().to_pylist()) != sorted(one)
    for key in range(8):
        assert [part.num_rows for part in halves(log_of(2), key)] == [4, 4], "neither half is empty"


def test_odd_weeks_are_set_back_beside_the_even_ones_and_one_without_a_partner_is_left_out() -> None:
    # Three weeks, the same every week.
    week = [parcel(f"O{number}", "north-home", number * 12, 1, 5) for number in range(14)]
    log = table_of(
        *(
            (f"{case}/{number}", activity, hours + 168 * number, lane, None)
            for number in range(3)
            for rows in week
            for case, activity, hours, lane, _ in rows
        )
    )
    pair = weeks(log)
    assert pair is not None
    even, odd = pair
    assert even["at"].to_pylist() == odd["at"].to_pylist()
    assert even.num_rows == odd.num_rows == 4 * 14
    assert weeks(log_of(10)) is None, "two days have no two weeks"


def test_a_log_of_one_case_has_no_floor() -> None:
    with pytest.raises(EventTableError, match="one case"):
        noise_floor(log_of(1))


def test_the_floor_of_a_log_is_told_by_halves_weeks_and_seeds(with_library: None) -> None:
    log = log_of(80)
    floors = noise_floor(log, log, shifted(log, 4 * HOUR_MS), splits=1)
    assert floors["absolute_events"].seeds == pytest.approx(2.0), "the mean of two seeds, one of them the log itself"
    assert floors["transit"].seeds == 0
    assert all(floor.halves is not None and floor.weeks is not None for floor in floors.values())
    assert noise_floor(log, splits=1)["absolute_events"] == Floor(
        floors["absolute_events"].halves, floors["absolute_events"].weeks
    )


def test_the_floor_is_taken_as_the_distance_is_where_only_the_simulation_names_no_lanes(with_library: None) -> None:
    log = log_of(40)
    bare = log.set_column(3, log.schema.field(3), pa.nulls(log.num_rows, pa.string()))
    row = fidelity(log, bare, splits=1).rows[-1]
    assert row.distance.parts == {"": 0.0}
    assert (
        row.floor.halves
        == noise_floor(bare, splits=1)["transit"].halves
        != noise_floor(log, splits=1)["transit"].halves
    )


def test_a_floor_is_of_halves_until_there_are_seeds() -> None:
    distance = Distance("transit", "h", 6.0, (9, 9), "parcels", "")
    assert Compared(distance, Floor(halves=2.0, weeks=1.0)).multiple == 3.0
    assert Compared(distance, Floor(halves=2.0, seeds=4.0)).multiple == 1.5
    assert Compared(distance, Floor(halves=0.0)).multiple == math.inf
    assert Compared(distance, Floor()).multiple is None


def test_a_sample_is_the_same_cases_each_time_and_whole_cases() -> None:
    log = log_of(30)
    taken = sample(log, 7)
    assert taken.num_rows == 7 * 4
    assert taken.equals(sample(log, 7))
    assert sample(log, 30).equals(log)


# --- logs of runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A week of the minimal scenario: three seeds, and one with a van that takes three times as long."""
    folder = tmp_path_factory.mktemp("runs")

    def lanes(low: str, high: str) -> list[dict[str, Any]]:
        transit = {"kind": "uniform", "low": low, "high": high}
        return [{"from": "main", "to": "home", "carrier": "van", "transit": transit}]

    base: dict[str, Any] = {
        "run": {"horizon": "7d", "drain": "2d"},
        "stock": [{"warehouse": "main", "item": "mug", "on_hand": 5000}],
        "expect": [],
    }
    usual = tw.load(MINIMAL, base | {"lanes": lanes("3h", "5h")})
    slow = tw.load(MINIMAL, base | {"lanes": lanes("10h", "14h")})
    for seed in (1, 2, 3):
        usual.run(seed, folder / f"seed{seed}")
    slow.run(4, folder / "slow")
    return {path.name: path for path in folder.iterdir()}


def test_the_events_of_a_run_are_a_table(runs: dict[str, Path]) -> None:
    table = events_of_run(runs["seed1"])
    counts = {row["values"]: row["counts"] for row in table["activity"].value_counts().to_pylist()}
    orders = len(table["case"].unique())
    assert counts == dict.fromkeys(("captured", "promised", "released", "shipped", "delivered"), orders)
    shipped = table.filter(pa.compute.equal(table["activity"], "shipped")).to_pylist()
    assert {(row["lane"], row["node"], row["carrier"]) for row in shipped} == {("main-home", "main", "van")}
    assert table["at"].to_pylist() == sorted(table["at"].to_pylist())
    times = parcel_times(table, "shipped", "delivered", "lane")["main-home"]
    assert len(times) == orders
    assert min(times) >= 3 * HOUR_MS and max(times) <= 5 * HOUR_MS, "as the carrier took, without latencies"


# RP-03, RP-05
def test_another_seed_is_near_the_floor_and_a_slower_carrier_far_above_it_in_what_it_touches(
    with_library: None, runs: dict[str, Path]
) -> None:
    first, second, third, slow = (events_of_run(runs[name]) for name in ("seed1", "seed2", "seed3", "slow"))
    near = {row.distance.name: row for row in fidelity(first, second, third, splits=1).rows}
    assert all(row.multiple is not None and row.multiple < 4 for row in near.values())
    far = {row.distance.name: row for row in fidelity(first, slow, splits=2).rows}
    multiples = {name: row.multiple or 0.0 for name, row in far.items()}
    assert min(multiples["transit"], multiples["cycle_times"]) > 10
    assert max(multiples["case_arrivals"], multiples["n_gram"], multiples["handling"]) < 4
    # 8 h longer on the mean, as drawn.
    assert far["transit"].distance.value == pytest.approx(8, rel=0.02)
    assert far["transit"].floor.weeks is None, "one week has no odd week"


# --- what cannot be compared


def test_an_activity_of_one_log_only_is_left_out_and_told() -> None:
    one = table_of(("A", "captured", 0, None, None), ("A", "held", 1, None, None), ("A", "held", 2, None, None))
    other = table_of(("A", "captured", 0, None, None))
    first, second, left = common_activities(one, other)
    assert (first.num_rows, second.num_rows) == (1, 1)
    assert [(each.log, each.activity, each.events) for each in left] == [(0, "held", 2)]


def good() -> dict[str, pa.Array]:
    return {
        "case": pa.array(["A", "A"]),
        "activity": pa.array(["captured", "shipped"]),
        "at": pa.array([MONDAY, MONDAY + HOUR_MS]),
    }


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"case": None}, "has no column 'case'"),
        ({"at": pa.array([MONDAY, None])}, "1 rows have no 'at', first in rows 2"),
        ({"at": pa.array([MONDAY, MONDAY], pa.timestamp("ms"))}, "without a zone"),
        ({"at": pa.array(["2025-11-17", "2025-11-18"])}, "'at' is string"),
        ({"at": pa.array([MONDAY * 1000, MONDAY * 1000])}, "is it in other units?"),
        ({"at": pa.array([MONDAY * 10, MONDAY * 10], pa.timestamp("ms", "UTC"))}, "which is no time"),
        ({"activity": pa.array([["a"], ["b"]])}, "'activity' is list"),
        ({"activity": pa.array(["PURCHASED", "SENT"])}, "no activity in common"),
    ],
)
def test_a_table_that_cannot_be_compared_is_one_message(
    columns: dict[str, Any], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(pa.table(good()), tmp_path / "good.parquet")
    wrong = {name: column for name, column in (good() | columns).items() if column is not None}
    pq.write_table(pa.table(wrong), tmp_path / "wrong.parquet")
    assert main(["distance", str(tmp_path / "good.parquet"), str(tmp_path / "wrong.parquet"), "--quiet"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1 and says in said.err


def test_a_column_that_is_there_twice_is_told() -> None:
    twice = pa.Table.from_arrays([*good().values(), good()["case"]], names=[*good(), "case"])
    with pytest.raises(EventTableError, match="has more than one column 'case'"):
        checked_table(twice, "log")


def test_what_is_no_table_at_all_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(pa.table(good()), tmp_path / "good.parquet")
    pq.write_table(pa.table(good()).slice(0, 0), tmp_path / "empty.parquet")
    (tmp_path / "text.parquet").write_text("case,activity,at\n", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    for name, says in (
        ("empty.parquet", "holds no event"),
        ("text.parquet", "or say by --mapping what another log's columns mean"),
        ("nothing.parquet", "no such folder or file"),
        ("folder", "folder"),
    ):
        assert main(["distance", str(tmp_path / name), str(tmp_path / "good.parquet"), "--quiet"]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and name in said and says in said
    command = ["distance", str(tmp_path / "good.parquet"), str(tmp_path / "good.parquet"), "--plot", "plot.jpg"]
    assert main(command) == 2
    assert "--plot plot.jpg" in capsys.readouterr().err


def test_a_timestamp_with_a_zone_is_an_instant(tmp_path: Path) -> None:
    at = pa.array([MONDAY, MONDAY + HOUR_MS], pa.timestamp("ms", "Europe/Berlin"))
    pq.write_table(pa.table(good() | {"at": at}), tmp_path / "zoned.parquet")
    assert read_event_table(tmp_path / "zoned.parquet")["at"].to_pylist() == [MONDAY, MONDAY + HOUR_MS]


def test_without_the_library_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "log_distance_measures", None)
    library.cache_clear()
    with pytest.raises(DistancesMissing, match=r"ordertwin\[fidelity\]"):
        distances(log_of(3), log_of(3))
    pq.write_table(pa.table(good()), tmp_path / "good.parquet")
    assert main(["distance", str(tmp_path / "good.parquet"), str(tmp_path / "good.parquet"), "--quiet"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "ordertwin[fidelity]" in said.err


# --- the command


def test_the_table_fits_eighty_columns_and_the_plot_is_drawn(
    with_library: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    pq.write_table(log_of(60, step=7), "real.parquet")
    pq.write_table(log_of(50, step=7), "simulated.parquet")
    command = ["distance", "real.parquet", "simulated.parquet", "--quiet"]
    assert main([*command, "--plot", "plot.png"]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    for name in ("n_gram", "absolute_events", "case_arrivals", "handling", "transit", "Noise floor", "Multiple"):
        assert name in said
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert main([*command, "--json", "--floor", "simulated.parquet", "--cases", "20"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["distance"] for row in told["distances"]][-2:] == ["handling", "transit"]
    row = told["distances"][4]
    assert row["n"] == [20, 20] and row["noise_floor_by"] == "seeds" and row["floors"]["seeds"] == 0
    assert row["floors"]["halves"] and row["floors"]["weeks"] is not None
    assert row["multiple"] is None, "no multiple of nothing"
