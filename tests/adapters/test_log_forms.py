"""Logs in OCEL 2.0, XES and CloudEvents, and our own runs: the same events in whatever form they come."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.cloud_events import read_cloud_events
from adapters.event_log import load
from adapters.event_log.mapping import SHIPPED
from adapters.ocel import Problems, open_object_log, read_recorded
from tests.adapters.exported import busy_run
from tests.adapters.log_forms import (
    CLOUD,
    OBJECTS,
    TRACES,
    as_cloud_events,
    as_json,
    as_xes,
    document,
    write_forms,
)
from tests.world.small import ROOT, small
from twin.cli import main
from twin.core import events as ev
from twin.core.topics import published
from twin.event_log import EventLog
from twin.log import read_entries
from twin.log.cloud_events import write_cloud_events
from twin.log.foreign import read_foreign, write_foreign
from twin.log.ocel import write_ocel
from twin.measures import compute
from twin.measures.of_event_log import LOG_MEASURES, profile_log
from twin.replay.neutral import event_log_of_run
from twin.run import Twin
from twin.run import load as load_twin

DAY = 86_400_000
SAMPLE = ROOT.parent / "shared/data/ocel/order-management.json.gz"
EXAMPLE = ROOT.parent / "shared/data/ocel/ocel20_example.json.gz"
needs_sample = pytest.mark.skipif(
    not SAMPLE.exists(), reason="the order-management sample is not beside the project (shared/data/ocel)"
)

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Told:
    """A function that runs a command on 80 columns and returns its exit code, stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Twin(small()).run(out=tmp_path_factory.mktemp("runs") / "run", until_ms=3 * DAY).folder


@pytest.fixture(scope="module")
def exported(run_folder: Path) -> Path:
    file = run_folder.parent / "run.json"
    write_ocel(run_folder, file)
    return file


@pytest.fixture
def r4pm() -> Any:
    return pytest.importorskip("r4pm", reason="r4pm is not installed here; requirements-dev.lock has it")


def rows_of(log: EventLog) -> list[dict[str, Any]]:
    """What the log says, whatever the order of its records."""
    rows = [{name: value for name, value in row.items() if name != "row"} for row in log.table.to_pylist()]
    return sorted(rows, key=lambda row: (row["event_ms"], row["case_id"]))


def put(folder: Path, data: bytes, name: str) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_one_log_in_every_form_is_one_neutral_log(tmp_path: Path) -> None:
    """RP-02, OB-06: event time and record time are kept apart in each of them."""
    forms = write_forms(tmp_path)
    found = {name: load([path], mapping) for name, (path, mapping) in forms.items()}
    assert len(found) == 11
    expected = rows_of(found["log.csv"])
    assert [(row["case_id"], row["activity"], row["event_ms"], row["record_ms"]) for row in expected] == [
        ("a", "order_placed", 1_709_287_200_000, 1_709_287_500_000),
        ("b", "order_placed", 1_709_370_000_000, 1_709_373_600_000),
        ("a", "handed_to_carrier", 1_709_391_600_000, 1_709_391_600_000),
        ("a", "delivered", 1_709_544_600_000, 1_709_575_200_000),
    ]
    assert [(row["region"], row["value_minor"]) for row in expected[:2]] == [("north", 1990), ("süd", 500)]
    for name, log in found.items():
        assert rows_of(log) == expected, name
        assert profile_log(log).coverage == profile_log(found["log.csv"]).coverage
        assert log.files[0].rows == 5
        assert log.remarks == ()


@pytest.mark.parametrize("name", ["log.xes", "log.xml", "log.sqlite", "log.json.gz", "log.jsonl"])
def test_the_profile_says_what_is_in_the_file(told: Told, tmp_path: Path, name: str) -> None:  # RP-02
    path, mapping = write_forms(tmp_path)[name]
    (tmp_path / "map.yaml").write_text(json.dumps(mapping), encoding="utf-8")
    code, out, err = told("profile", path, "--mapping", tmp_path / "map.yaml")
    assert (code, err) == (0, "")
    holds = {
        "log.xes": "2 traces",
        "log.jsonl": "5 different events",
    }.get(name, "5 events of 4 types, 3 objects of 2 types, 7 relations, 0 of them dangling")
    assert f"{name}: 5 rows: {holds}" in " ".join(out.split())
    assert "4 events of 2 cases (2 orders)" in out
    assert "cases: 1 complete, 1 open, 0 without a beginning; 0 cancelled" in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_log_in_another_zone_is_read_where_the_mapping_states_it(tmp_path: Path) -> None:
    bare = as_json().replace(b"Z", b"").replace(b"+01:00", b"")
    log = load([put(tmp_path, bare, "log.json")], OBJECTS | {"times": {"zone": "Asia/Tokyo"}})
    assert rows_of(log)[0]["event_ms"] == 1_709_287_200_000 - 9 * 3_600_000
    traces = as_xes().replace(b'Z"', b'"').replace(b"+01:00", b"")
    other = load([put(tmp_path, traces, "log.xes")], TRACES | {"times": {"zone": "Asia/Tokyo"}})
    assert rows_of(other) == rows_of(log)


def test_an_attribute_of_an_object_is_as_it_was_when_the_event_happened(tmp_path: Path) -> None:
    held = document()
    order = held["objects"][0]["attributes"]
    order.append({"name": "region", "value": "moved", "time": "2024-03-03T00:00:00Z"})
    order.append({"name": "region", "value": "too late", "time": "2024-03-05T00:00:00Z"})
    log = load([put(tmp_path, json.dumps(held).encode(), "log.json")], OBJECTS)
    regions = [row["region"] for row in log.table.to_pylist() if row["order"] == "a"]
    assert regions == ["north", "north", "moved"]


def test_an_event_makes_a_row_for_each_object_that_is_followed(tmp_path: Path) -> None:
    """A parcel of two lines of two orders: the order of each is the one that the line belongs to."""
    stamp = "2024-03-01T10:00:00Z"

    def event(id: str, type: str, *about: str) -> dict[str, Any]:
        related = [{"objectId": one, "qualifier": ""} for one in about]
        return {"id": id, "type": type, "time": stamp, "attributes": [], "relationships": related}

    def thing(id: str, type: str, *to: str) -> dict[str, Any]:
        related = [{"objectId": one, "qualifier": ""} for one in to]
        return {"id": id, "type": type, "attributes": [], "relationships": related}

    held = {
        "objectTypes": [{"name": name, "attributes": []} for name in ("order", "line", "parcel")],
        "eventTypes": [{"name": name, "attributes": []} for name in ("placed", "there", "swept")],
        "objects": [thing("order/1", "order", "l1"), thing("order/2", "order", "l2", "l3"), thing("p", "parcel")]
        + [thing(one, "line") for one in ("l1", "l2", "l3")],
        "events": [
            event("e1", "placed", "order/1", "l1"),
            event("e2", "placed", "order/2", "l2", "l3"),
            event("e3", "there", "p", "l1", "l2"),
            event("e4", "there", "order/1", "order/2", "p", "l3"),
            event("e5", "there", "p"),
            event("e6", "swept"),
        ],
    }
    mapping = {
        "title": "Lines",
        "case": "line",
        "fields": {"order": "order", "line": "line", "shipment": "parcel"},
        "activity": {
            "column": "event.type",
            "time": "event.time",
            "names": {"placed": "order_placed", "there": "delivered"},
            "ignore": ["swept"],
        },
    }
    log = load([put(tmp_path, json.dumps(held).encode(), "log.json")], mapping)
    # An id that begins with its type is told without it.
    assert [(row["case_id"], row["shipment"], row["row"]) for row in log.table.to_pylist()] == [
        ("1/l1", None, 1),
        ("2/l2", None, 2),
        ("2/l3", None, 2),
        ("1/l1", "p", 3),
        ("2/l2", "p", 3),
        ("2/l3", "p", 4),
    ]
    assert [(one.remark, one.count, one.rows) for one in log.remarks] == [
        ("events about no object of type line, left out", 1, ((5, "there"),))
    ]
    held["objects"][1]["relationships"].pop()
    held["events"][3]["relationships"][0]["objectId"] = "order/2"
    unsure = load([put(tmp_path, json.dumps(held).encode(), "log.json")], mapping)
    assert unsure.table["order"].to_pylist()[-1] == "2"


def test_cloud_events_that_come_again_are_dropped_and_counted(tmp_path: Path) -> None:
    lines = as_cloud_events().splitlines(keepends=True)
    again = b"".join([*lines, lines[0], b"\n", lines[3]])
    log = load([put(tmp_path, again, "log.jsonl")], CLOUD)
    assert log.table.num_rows == 4
    assert [(one.remark, one.count, one.rows) for one in log.remarks] == [
        ("events that came again, by source and id, dropped", 2, ((6, "0"), (8, "3")))
    ]
    # Of another source the same id is another event.
    other = again.replace(b'"source": "shop"', b'"source": "till"', 1)
    assert load([put(tmp_path, other, "log.jsonl")], CLOUD | {"duplicates": "keep"}).remarks[0].count == 1


def test_a_time_may_count_from_1970_and_stand_in_another_column(tmp_path: Path) -> None:
    event = {"specversion": "1.0", "source": "s", "subject": "1"}
    lines = [
        event | {"id": "1", "type": "placed", "recordedtime": 1_709_287_200},
        event | {"id": "2", "type": "there", "happened": 1_709_300_000, "recordedtime": 1_709_400_000},
    ]
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    time = {"column": "happened", "otherwise": "recordedtime", "recorded": "recordedtime", "format": "epoch_s"}
    mapping = CLOUD | {"fields": {"order": "subject"}, "activity": CLOUD["activity"] | {"time": time}}
    log = load([put(tmp_path, data, "log.jsonl")], mapping)
    assert log.table["event_ms"].to_pylist() == [1_709_287_200_000, 1_709_300_000_000]
    assert log.table["record_ms"].to_pylist() == [1_709_287_200_000, 1_709_400_000_000]


def test_our_cloud_events_come_back_as_they_were(tmp_path: Path) -> None:  # OB-06
    run = busy_run(tmp_path / "run")
    write_cloud_events(run, tmp_path / "all.jsonl")
    back = list(read_cloud_events(tmp_path / "all.jsonl"))
    entries = list(read_entries(run))
    assert [one.data for one in back] == [event for entry in entries for event in entry.events]
    assert [(one.id, one.time) for one in back] == [
        (f"{entry.position}.{place}", entry.now) for entry in entries for place in range(len(entry.events))
    ]
    assert len(back) > 50
    write_cloud_events(run, tmp_path / "topics.jsonl", topics=True)
    packed = put(tmp_path, gzip.compress((tmp_path / "topics.jsonl").read_bytes()), "topics.jsonl.gz")
    assert list(read_cloud_events(packed)) == [event for entry in entries for event in published(entry)]


def test_a_run_gives_the_measures_that_its_neutral_log_gives(tmp_path: Path) -> None:  # OB-06
    """KPI(log) = KPI(internal), now of the folder as it is."""
    web = {"id": "web", "requested": "10h", "demand": {"kind": "poisson", "rate": "9/h", "regions": {"home": 1}}}
    twin = load_twin(ROOT / "scenarios/minimal.yaml", {"run": {"horizon": "3d"}, "channels": [web]})
    run = twin.run(1, out=tmp_path / "run").folder
    own, neutral = compute(run), profile_log(event_log_of_run(run)).measures
    names = [name for name in own if name in neutral and name.partition("/")[0] in LOG_MEASURES]
    asked = {"otif_to_request", "otif_to_promise", "delivered_in_full", "order_cycle_time", "units_captured"}
    assert asked <= set(names)
    # The engine's own durations begin when a message came in, those of a log when what it tells of happened.
    for name in names:
        apart = abs((own[name].value or 0) - (neutral[name].value or 0))
        assert apart < 1_000 if own[name].unit == "ms" else apart == 0, name
    assert own["order_cycle_time"].value != neutral["order_cycle_time"].value
    assert 0 < (own["otif_to_request"].value or 0) < 1


def test_a_runs_folder_is_profiled_and_what_was_written_of_it_is_read_back(
    told: Told, run_folder: Path, tmp_path: Path
) -> None:  # RP-02
    code, out, err = told("profile", run_folder)
    assert (code, err) == (0, "")
    entries = list(read_entries(run_folder))
    captured = sum(isinstance(event, ev.OrderCaptured) for entry in entries for event in entry.events)
    assert f"run: {len(entries):,} rows: entries of a run of this engine" in out
    bought = sum(isinstance(event, ev.PurchaseOrderCreated) for entry in entries for event in entry.events)
    assert f"({captured:,} orders, {bought:,} purchase orders)" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80
    folder = tmp_path / "neutral"
    assert told("profile", run_folder, "--out", folder)[0] == 0
    assert read_foreign(folder) == event_log_of_run(run_folder)
    assert told("profile", folder, "--json") == told("profile", run_folder, "--json")


def test_a_run_is_profiled_alike_from_json_xml_and_sqlite(
    run_folder: Path, exported: Path, tmp_path: Path, r4pm: Any
) -> None:
    """RP-02: what a tool of process mining converts keeps its counts, and becomes the run again."""
    item = r4pm.import_item("OCEL", str(exported))
    kinds = Counter(event["type"] for event in json.loads(exported.read_bytes())["events"])
    found = {}
    for name in ("run.json", "run.xml", "run.sqlite", "run.xml.gz"):
        path = tmp_path / name
        r4pm.export_item(item, str(path))
        problems = Problems(path)
        survey = open_object_log(path).survey(problems)
        assert problems.count == 0
        assert survey.events == dict(kinds)
        assert sum(survey.objects.values()) == r4pm.bindings.num_objects(item)
        assert list(read_recorded(path).entries()) == list(read_entries(run_folder))
        found[name] = load([path], Path("ordertwin"))
    r4pm.remove_item(item)
    assert {name: rows_of(log) for name, log in found.items()} == dict.fromkeys(found, rows_of(found["run.json"]))
    coverage = profile_log(found["run.sqlite"]).coverage
    counts = {one.name: one.events for one in coverage.activities}
    assert counts["order_placed"] == coverage.orders == kinds["order.captured"] > 0
    assert counts["delivered"] == kinds["shipment.delivered"] > 0
    write_cloud_events(run_folder, tmp_path / "run.jsonl")
    cloud = profile_log(load([tmp_path / "run.jsonl"], Path("ordertwin_events"))).coverage
    told_there = {one.name: one.events for one in cloud.activities if counts.get(one.name)}
    assert told_there == {name: count for name, count in counts.items() if count}


def test_an_export_of_a_run_that_bought_nothing_is_read_again(tmp_path: Path) -> None:
    """RP-02: CloudEvents have the columns of what happened, and no others."""
    folder = load_twin(ROOT / "scenarios/minimal.yaml").run(out=tmp_path / "run").folder
    write_ocel(folder, tmp_path / "run.json")
    write_cloud_events(folder, tmp_path / "run.jsonl")
    assert "purchase_order" not in (tmp_path / "run.jsonl").read_text(encoding="utf-8")
    found = {}
    for name, mapping in (("run.json", "ordertwin"), ("run.jsonl", "ordertwin_events")):
        coverage = profile_log(load([tmp_path / name], Path(mapping))).coverage
        found[name] = {one.name: one.events for one in coverage.activities if one.events}
    assert found["run.json"] == found["run.jsonl"]
    assert found["run.jsonl"]["order_placed"] > found["run.jsonl"]["delivered"] > 0


@needs_sample
def test_the_order_management_sample_is_profiled_alike_in_every_form(tmp_path: Path, r4pm: Any) -> None:
    """RP-02: counted as r4pm counts, 21,008 events and 10,840 objects."""
    item = r4pm.import_item("OCEL", str(SAMPLE))
    assert (r4pm.bindings.num_events(item), r4pm.bindings.num_objects(item)) == (21_008, 10_840)
    paths = [SAMPLE]
    for name in ("om.json", "om.xml", "om.sqlite"):
        r4pm.export_item(item, str(tmp_path / name))
        paths.append(tmp_path / name)
    r4pm.remove_item(item)
    logs = [load([path], Path("order_management")) for path in paths]
    for log in logs:
        assert log.files[0].rows == 21_008
        assert "10,840 objects of 6 types, 175,854 relations, 0 of them dangling" in log.files[0].holds
        assert log.remarks == logs[0].remarks or log.files[0].name == "om.sqlite"
        assert rows_of(log) == rows_of(logs[0])
    coverage = profile_log(logs[0]).coverage
    assert (coverage.events, coverage.cases, coverage.orders, coverage.complete) == (53_613, 7_659, 2_000, 7_659)
    flat = r4pm.import_item("OCEL", str(SAMPLE))
    made = json.loads(
        r4pm.call_binding(
            "process_mining::core::event_data::object_centric::utils::flatten::flatten_ocel_on",
            json.dumps({"ocel": flat, "object_type": "orders"}),
        )
    )
    r4pm.export_item(made, str(tmp_path / "om.xes.gz"))
    mapping = TRACES | {
        "fields": {"order": "case:concept:name", "value": "case:price"},
        "activity": {
            "column": "concept:name",
            "time": "time:timestamp",
            "names": {"place order": "order_placed", "confirm order": "order_approved", "pay order": "delivered"},
            "ignore": ["payment reminder"],
        },
    }
    traces = load([tmp_path / "om.xes.gz"], mapping)
    assert (traces.files[0].rows, traces.files[0].holds) == (6_566, "2,000 traces")
    assert profile_log(traces).coverage.complete == 2_000


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the specification's example is not beside the project")
def test_the_example_of_the_specification_is_read() -> None:
    problems = Problems(EXAMPLE)
    survey = open_object_log(EXAMPLE).survey(problems)
    assert (problems.count, sum(survey.events.values()), survey.dangling) == (0, 13, 0)


def test_a_shipped_mapping_names_what_we_export(exported: Path) -> None:
    """Every stored type in it is one that there is."""
    from adapters.event_log import read_mapping

    stored = {str(one.__struct_config__.tag) for one in ev.Event.__args__}
    assert {path.stem for path in SHIPPED.glob("ordertwin*.yaml")} == {"ordertwin", "ordertwin_events"}
    for name in ("ordertwin", "ordertwin_events"):
        activity = read_mapping(Path(name)).activity
        assert activity is not None
        assert set(activity.names) <= stored


def test_distances_are_taken_of_any_form_of_a_log(told: Told, run_folder: Path, exported: Path, tmp_path: Path) -> None:
    pytest.importorskip("log_distance_measures", reason="the extra fidelity is not installed")
    write_foreign(event_log_of_run(run_folder), tmp_path / "neutral")
    code, out, err = told("distance", run_folder, tmp_path / "neutral", "--json", "--quiet")
    assert (code, err) == (0, "")
    found = {one["distance"]: one["value"] for one in json.loads(out)["distances"]}
    assert (found["case_arrivals"], found["transit"]) == (0, 0)
    code, out, err = told("distance", exported, run_folder, "--mapping", "ordertwin", "--json", "--quiet")
    assert (code, err) == (0, "")
    assert {one["distance"]: one["value"] for one in json.loads(out)["distances"]}["case_arrivals"] == 0
    code, _, err = told("distance", run_folder, run_folder, "--mapping", "ordertwin")
    assert (code, "all logs are folders, whose events need no mapping" in err) == (2, True)


def test_events_without_a_time_are_told_and_not_compared(tmp_path: Path) -> None:
    from twin.replay.neutral_table import events_of_log

    data = b"id,placed,there,state\n1,2024-01-01T00:00Z,2024-01-02T00:00Z,ok\n2,2024-01-01T00:00Z,,off\n"
    events = {"order_placed": "placed", "delivered": "there", "cancelled": {"when": {"state": ["off"]}}}
    log = load([put(tmp_path, data, "log.csv")], {"title": "t", "fields": {"order": "id"}, "events": events})
    table, timeless = events_of_log(log)
    assert (table["activity"].to_pylist(), timeless) == (["captured", "captured", "delivered"], 1)
