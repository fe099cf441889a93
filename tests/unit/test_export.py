"""A run's events as CloudEvents, and what an export refuses."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from types import UnionType
from typing import Any

import pytest

from tests.unit.log_samples import DAY, START, busy_week
from twin.cli import main
from twin.core.commands import Command
from twin.core.effects import Effect
from twin.core.events import Event
from twin.core.topics import published
from twin.log import RunLog, manifest_of, read_entries, write_manifest
from twin.log.business_objects import fields_in_the_payload
from twin.log.cloud_events import write_cloud_events
from twin.log.instants import iso

NAME = re.compile(r"[a-z0-9]{1,20}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    log = RunLog(folder, part_rows=50)
    busy_week(log)
    window = {"start_ms": START, "end_ms": START + 7 * DAY}
    write_manifest(folder, manifest_of(log, title="A week", scenario_digest="", seed=1, versions={}, **window))
    return folder


def _lines(run: Path, file: Path, *, topics: bool = False) -> list[dict[str, Any]]:
    written = write_cloud_events(run, file, topics=topics)
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    assert len(lines) == written
    return lines


def test_every_event_is_a_cloud_event_of_its_stored_type(run: Path, tmp_path: Path) -> None:  # IM-03, OB-06
    lines = _lines(run, tmp_path / "all.jsonl")
    told = Counter(line["type"] for line in lines)
    assert told == Counter(line["data"]["type"] for line in lines)
    assert sum(told.values()) == sum(len(entry.events) for entry in read_entries(run))
    for line in lines:
        assert line["specversion"] == "1.0"
        assert line["datacontenttype"] == "application/json"
        assert all(NAME.fullmatch(name) for name in line)
        assert all(value for name, value in line.items() if name != "data")
        assert INSTANT.fullmatch(line["time"])
        assert INSTANT.fullmatch(line["recordedtime"])
    assert len({(line["source"], line["id"]) for line in lines}) == len(lines)


def test_a_cloud_event_names_its_subject_its_order_and_its_cause(run: Path, tmp_path: Path) -> None:  # OB-01
    lines = _lines(run, tmp_path / "all.jsonl")
    entries = {entry.position: entry for entry in read_entries(run)}
    succeeded = next(line for line in lines if line["type"] == "delivery.succeeded")
    assert (succeeded["subject"], succeeded["correlationid"]) == ("o1/north/1", "o1")
    command = entries[int(succeeded["id"].partition(".")[0])].command
    assert succeeded["causationid"] == getattr(command, "id", "")


def test_what_happened_before_it_was_recorded_has_both_times(run: Path, tmp_path: Path) -> None:
    lines = _lines(run, tmp_path / "all.jsonl")
    for line in lines:
        happened = line["data"].get("at")
        assert line["time"] == (line["recordedtime"] if happened is None else iso(happened))


def test_with_topics_only_what_is_published_is_written_under_its_topic(run: Path, tmp_path: Path) -> None:  # IM-04
    lines = _lines(run, tmp_path / "topics.jsonl", topics=True)
    wanted = [(one.id, one.type) for entry in read_entries(run) for one in published(entry)]
    assert [(line["id"], line["type"]) for line in lines] == wanted
    types = {line["type"] for line in lines}
    assert {"order.created", "shipment.shipped", "exception.raised"} <= types
    assert "sourcing.requested" not in types


@pytest.mark.parametrize("union", [Event, Effect, Command])
def test_every_field_of_what_can_be_in_a_log_names_a_thing_or_is_an_attribute(union: UnionType) -> None:
    # A new field is thought of here: what is none of these stands in the payload alone.
    in_the_payload = {"facts", "id", "lanes", "parcels", "policies", "promised", "queued"}
    in_the_payload |= {"available", "elsewhere", "calls", "missing", "others", "withheld"}
    for type_ in union.__args__:
        assert [name for name in fields_in_the_payload(type_) if name not in in_the_payload] == [], type_


def test_an_instant_is_written_to_the_millisecond() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(1_763_341_200_007) == "2025-11-17T01:00:00.007Z"
    assert iso(-1) == "1969-12-31T23:59:59.999Z"


@pytest.mark.parametrize("option", ["--entries", "--ocel", "--cloudevents"])
def test_a_file_that_is_there_already_is_left_alone(
    run: Path, tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x").write_text("mine")
    assert main(["export", str(run), option, str(tmp_path / "x")]) == 2
    assert main(["export", str(run), option, str(tmp_path / "none" / "x")]) == 2
    said = capsys.readouterr().err
    assert "x is there already; give a file that does not exist yet" in said
    assert "none is no folder; make it first" in said
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_text() == "mine"


@pytest.mark.parametrize("option", ["--ocel", "--cloudevents"])
def test_a_damaged_run_leaves_no_half_written_file(tmp_path: Path, option: str) -> None:
    folder = tmp_path / "run"
    log = RunLog(folder, part_rows=50)
    busy_week(log)
    window = {"start_ms": START, "end_ms": START + 7 * DAY}
    write_manifest(folder, manifest_of(log, title="A week", scenario_digest="", seed=1, versions={}, **window))
    part = sorted((folder / "entries").iterdir())[1]
    damaged = bytearray(part.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 40] = bytes(40)
    part.write_bytes(damaged)
    assert main(["export", str(folder), option, str(tmp_path / "x.json")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_an_export_of_nothing_says_what_can_be_asked_for(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run)]) == 2
    assert "--entries FILE, --ocel FILE, --cloudevents FILE or --opening DIR" in capsys.readouterr().err
    assert main(["export", str(run), "--topics"]) == 2
    assert main(["export", str(run), "--entries", "x", "--topics"]) == 2
    assert not Path("x").exists()
    assert "give --cloudevents FILE" in capsys.readouterr().err
