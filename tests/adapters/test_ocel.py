"""A run as OCEL 2.0: whether it is valid, what it says, and that it comes back whole."""

from __future__ import annotations

import copy
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adapters.ocel import OcelError, Problems, open_object_log, read_recorded
from tests.adapters.exported import busy_run
from tests.adapters.ocel_rules import violations
from tests.unit.log_samples import DAY
from tests.world.small import ROOT, small
from twin.cli.app import app
from twin.log import read_entries, read_manifest, read_rows, verify_run
from twin.log.ocel import write_ocel
from twin.measures import compare, compute, facts_of
from twin.run import Twin
from twin.scenario import load

SHARED = ROOT.parent / "shared" / "data" / "ocel"


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return busy_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def exported(busy: Path) -> Path:
    file = busy.parent / "busy.json"
    write_ocel(busy, file)
    return file


@pytest.fixture(scope="module")
def log(exported: Path) -> Any:
    return json.loads(exported.read_bytes())


def _run(name: str, folder: Path) -> Path:
    if name == "busy":
        return busy_run(folder)
    if name == "demo":
        scenario = small()
    elif name == "marketplace":
        scenario = load(ROOT / "scenarios/stories/stale_feed.yaml")
    else:
        scenario = load(ROOT / f"scenarios/drills/{name}.yaml")
    return Twin(scenario).run(out=folder, until_ms=2 * DAY).folder


@pytest.mark.parametrize("name", ["busy", "demo", "marketplace", "redrive_storm"])
def test_an_exported_run_comes_back_with_the_same_entries_and_measures(name: str, tmp_path: Path) -> None:
    # RP-02, OB-06: what the log says survives, to the byte; what only the twin knows is not made up.
    run, file, back = _run(name, tmp_path / "run"), tmp_path / "run.json", tmp_path / "back"
    assert CliRunner().invoke(app, ["export", str(run), "--ocel", str(file)], catch_exceptions=False).exit_code == 0
    assert violations(json.loads(file.read_bytes())) == []
    done = CliRunner().invoke(app, ["import", str(file), "--out", str(back)], catch_exceptions=False)
    assert done.exit_code == 0
    assert f"digest: {read_manifest(run).digest}" in done.output
    assert verify_run(back).digest == read_manifest(run).digest
    assert list(read_rows(back)) == list(read_rows(run))
    before = {name: one for name, one in compute(run).items() if one.kind == "L"}
    assert len(before) > 50
    assert compute(back) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "run", "run.json"]


def test_a_measure_of_the_truth_is_refused_by_name_on_an_imported_run(tmp_path: Path) -> None:  # RP-02
    run, file, back = _run("demo", tmp_path / "run"), tmp_path / "run.json", tmp_path / "back"
    write_ocel(run, file)
    done = CliRunner().invoke(app, ["import", str(file), "--out", str(back)], catch_exceptions=False)
    assert f"not carried: the truth, {read_manifest(run).truth_rows:,} rows" in done.output
    assert "  inventory_record_accuracy\n" in done.output
    for asked in (["--name", "inventory_record_accuracy"], ["--kind", "T"]):
        refused = CliRunner().invoke(app, ["measures", str(back), *asked])
        assert refused.exit_code != 0
        assert "no truth is kept of this run, which these measures need: inventory_rec" in str(refused.exception)
    shown = CliRunner().invoke(app, ["measures", str(back), "--name", "inv*"], catch_exceptions=False)
    assert "not here, since no truth is kept of this run: inventory_record_accuracy\n" in shown.output
    books = CliRunner().invoke(app, ["books", str(back)], catch_exceptions=False)
    assert books.exit_code == 0
    assert "No truth is kept of this run" in books.output


def test_measures_of_a_pair_are_the_same_for_two_imported_runs(tmp_path: Path) -> None:
    facts = {}
    for name, changes in (("base", None), ("hurt", {"warehouses": [{"id": "north", "pickers": 1}]})):
        run = Twin(small(changes)).run(out=tmp_path / name, until_ms=2 * DAY).folder
        write_ocel(run, tmp_path / f"{name}.json")
        asked = ["import", str(tmp_path / f"{name}.json"), "--out", str(tmp_path / f"{name}-back")]
        assert CliRunner().invoke(app, asked, catch_exceptions=False).exit_code == 0
        for folder in (name, f"{name}-back"):
            facts[folder] = facts_of(tmp_path / folder, trace=True)
    found = compare(facts["base-back"], facts["hurt-back"])
    assert found == compare(facts["base"], facts["hurt"])
    assert found["lost_margin"].value != 0


def test_the_rules_catch_what_breaks_them(log: Any) -> None:
    for spoil, said in (
        (lambda one: one["objects"].pop(), "which is not there"),
        (lambda one: one["events"].append(one["events"][0]), "no id of its own"),
        (lambda one: one["events"][0].update(time="2023-11-15T00:00:00"), "no instant"),
        (lambda one: one["events"][0].update(type="order.lost"), "is not declared"),
        (lambda one: one["events"][0]["attributes"].append({"name": "color", "value": 1}), "'color' is not declared"),
        (lambda one: one["events"][0]["attributes"][0].update(value="1"), "is no integer"),
        (lambda one: one.pop("objectTypes"), "no list objectTypes"),
    ):
        spoiled = copy.deepcopy(log)
        spoil(spoiled)
        assert any(said in violation for violation in violations(spoiled)), said
    assert violations(log) == []


def test_every_part_of_every_entry_is_an_event_under_its_stored_name(busy: Path, log: Any) -> None:  # OB-06
    told = Counter(event["type"] for event in log["events"])
    parts: Counter[str] = Counter()
    for entry in read_entries(busy):
        parts.update(str(event.__struct_config__.tag) for event in entry.events)
        parts.update(str(sent.effect.__struct_config__.tag) for sent in entry.deliveries)
        if not entry.events:
            parts[str(entry.command.__struct_config__.tag)] += 1
    assert told == parts
    assert told["order.captured"] == 7
    assert told["delivery.dead_lettered"] == 1
    assert len({event["id"] for event in log["events"]}) == len(log["events"])


def test_an_event_names_what_it_is_about_and_why_it_came(log: Any) -> None:  # OB-01
    captured = next(event for event in log["events"] if event["type"] == "order.captured")
    related = {one["objectId"]: one["qualifier"] for one in captured["relationships"]}
    assert related == {
        "order/o1": "order",
        "channel/web": "channel",
        "customer/someone": "customer",
        "order_line/o1/1": "line",
        "item/bolt": "line",
        "order_line/o1/2": "line",
        "item/nut": "line",
    }
    values = {one["name"]: one["value"] for one in captured["attributes"]}
    assert captured["time"] == "2023-11-15T00:00:00.000Z"
    assert values["cause_type"] == "order.capture"
    assert json.loads(values["entry_command"])["id"] == values["cause_id"]
    assert json.loads(values["entry_payload"])["order"] == "o1"
    shipped = next(event for event in log["events"] if event["type"] == "shipment.shipped")
    names = [one["objectId"] for one in shipped["relationships"]]
    assert names[:4] == ["order/o1", "shipment/S/o1/north/1", "fulfillment_order/o1/north/1", "warehouse/north"]


def test_an_object_has_its_attributes_over_time_and_its_relations(log: Any) -> None:
    objects = {one["id"]: one for one in log["objects"]}
    types = Counter(one["type"] for one in log["objects"])
    assert types["order"] == 7
    assert types["order_line"] == 10
    assert {"item": 2, "warehouse": 2, "supplier": 1, "carrier": 1, "credit": 1, "customer": 1}.items() <= types.items()
    stages = [one["value"] for one in objects["fulfillment_order/o1/north/1"]["attributes"] if one["name"] == "stage"]
    assert stages == ["released", "picked", "shipped"]
    bought = next(one for one in log["objects"] if one["type"] == "purchase_order")
    related = {one["objectId"]: one["qualifier"] for one in bought["relationships"]}
    assert related["supplier/mill"] == "bought from"
    assert related["warehouse/north"] == "goes to"
    assert [one["qualifier"] for one in objects["order_line/o1/1"]["relationships"]] == ["asks for"]


def test_the_file_is_the_same_whenever_it_is_written(busy: Path, exported: Path, tmp_path: Path) -> None:
    write_ocel(busy, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == exported.read_bytes()


def test_a_gzipped_file_and_another_order_of_its_lists_are_read_too(busy: Path, log: Any, tmp_path: Path) -> None:
    file = tmp_path / "other.json.gz"
    with gzip.open(file, "wt", encoding="utf-8") as out:
        json.dump({name: log[name] for name in ("events", "eventTypes", "objects", "objectTypes")}, out, indent=1)
    assert list(read_recorded(file).entries()) == list(read_entries(busy))


def test_a_log_of_another_origin_is_counted_and_becomes_no_run() -> None:  # RP-02
    file = SHARED / "order-management.json.gz"
    if not file.exists():
        pytest.skip("the order-management sample is not beside the project (shared/data/ocel)")
    problems = Problems(file)
    survey = open_object_log(file).survey(problems)
    assert problems.count == 0
    assert (sum(survey.events.values()), sum(survey.objects.values()), len(survey.events)) == (21_008, 10_840, 11)
    assert (survey.event_relations + survey.object_relations, survey.dangling) == (175_854, 0)
    with pytest.raises(OcelError, match=r"has no object of type 'run' .* 21,008 events of 11 types"):
        read_recorded(file)


def test_r4pm_reads_what_was_exported_and_what_it_saves_comes_back(
    busy: Path, exported: Path, log: Any, tmp_path: Path
) -> None:
    r4pm = pytest.importorskip("r4pm", reason="r4pm is not installed here; requirements-dev.lock has it")
    item = r4pm.import_item("OCEL", str(exported))
    stats = r4pm.bindings.ocel_type_stats(item)
    assert stats["event_type_counts"] == Counter(event["type"] for event in log["events"])
    assert stats["object_type_counts"] == Counter(one["type"] for one in log["objects"])
    r4pm.export_item(item, str(tmp_path / "again.json"))
    assert list(read_recorded(tmp_path / "again.json").entries()) == list(read_entries(busy))
