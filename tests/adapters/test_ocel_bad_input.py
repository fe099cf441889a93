"""Files that are no OCEL 2.0, or not whole: one clear message, exit code 2, and nothing half-written."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.exported import busy_run
from twin.cli import main
from twin.log.ocel import write_ocel


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("bad")
    write_ocel(busy_run(folder / "run"), folder / "run.json")
    return (folder / "run.json").read_bytes()


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A function that imports these bytes, sees that this is refused and leaves nothing, and returns what was said."""

    def run(data: bytes, name: str = "x.json") -> str:
        file = tmp_path / name
        file.write_bytes(data)
        code = main(["import", str(file), "--out", str(tmp_path / "back")])
        said = capsys.readouterr()
        assert code == 2, said.err
        assert said.out == ""
        assert [path.name for path in tmp_path.iterdir()] == [name]
        return said.err.replace(str(tmp_path), "")

    return run


def _changed(text: bytes, change: Callable[[Any], object]) -> bytes:
    log = json.loads(text)
    change(log)
    return json.dumps(log).encode()


def _first(log: Any, type_: str) -> Any:
    return next(event for event in log["events"] if event["type"] == type_)


def _without_relations_to(log: Any, name: str) -> None:
    log["objects"] = [one for one in log["objects"] if one["id"] != name]


def test_relations_to_an_object_that_is_missing_are_named_and_counted(text: bytes, refused: Any) -> None:  # RP-02
    said = refused(_changed(text, lambda log: _without_relations_to(log, "item/nut")))
    assert "objects[" in said
    assert "is related to the object 'item/nut', which is not in the file; add the object, or take" in said
    assert said.endswith(": 26 problems, the first 5 are shown; nothing was imported\n")
    assert said.count("\n") == 6


def test_the_first_five_of_many_problems_are_shown_and_all_are_counted(text: bytes, refused: Any) -> None:
    def spoil(log: Any) -> None:
        for event in log["events"][:12]:
            del event["time"]

    said = refused(_changed(text, spoil)).splitlines()
    assert len(said) == 6
    assert said[0].startswith("/x.json: events[0] '1.0': has no time; give it ISO 8601 with its zone")
    assert said[-1] == "/x.json: 12 problems, the first 5 are shown; nothing was imported"


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("2023-11-15T00:00:00", "has the time '2023-11-15T00:00:00' without a zone"),
        ("15.11.2023 00:00", "has the time '15.11.2023 00:00', which is not ISO 8601"),
        ("", "has no time"),
    ],
)
def test_a_time_that_is_none_is_told(text: bytes, refused: Any, time: str, said: str) -> None:
    spoiled = _changed(text, lambda log: _first(log, "order.captured").update(time=time))
    told = refused(spoiled)
    assert said in told
    assert told.startswith("twin: /x.json: events[")


def test_two_events_with_one_id_are_told(text: bytes, refused: Any) -> None:
    said = refused(_changed(text, lambda log: log["events"].append(log["events"][3])))
    assert "the id was there before; give each event an id of its own" in said


def test_a_type_that_is_not_declared_is_told(text: bytes, refused: Any) -> None:
    def spoil(log: Any) -> None:
        log["eventTypes"] = [one for one in log["eventTypes"] if one["name"] != "order.closed"]
        _first(log, "order.captured")["type"] = "order.catured"

    assert "is of type 'order.catured', which eventTypes does not declare" in refused(_changed(text, spoil))


def test_a_file_that_is_cut_off_is_told_with_the_line(text: bytes, refused: Any) -> None:
    half = text[: len(text) // 2]
    said = refused(half)
    lines = half.count(b"\n") + 1
    assert (
        said == f"twin: /x.json:{lines}: is cut off here: the JSON does not end; fetch it again, or export it again\n"
    )
    packed = gzip.compress(text)
    assert "the gzip stream is cut off" in refused(packed[: len(packed) // 2])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"[1, 2]", "is no OCEL 2.0: Expected `object`, got `array`"),
        (b'{"events": []}', "missing required field `objectTypes`; such a file is a JSON object with the lists"),
        (b'{"ocel:global-log": {}, "ocel:events": {}}', "is OCEL 1.0"),
        (b"<log/>", "is no OCEL 2.0 in XML: has no element object-types"),
        (b"SQLite format 3\0...", "is cut off: 19 bytes are there"),
        (b"PAR1...", "is Parquet"),
        (b'{"objectTypes": [],\n "eventTypes" [}', "/x.json:2: is no JSON"),
        (b'{"objectTypes": [], "eventTypes": [], "objects": [], "events": []}', "has no object of type 'run'"),
        (b'{"objectTypes": [], "eventTypes": [], "objects": [], "events": [{"id": 7}]}', "events[0]: is not as OCEL"),
    ],
)
def test_a_file_that_is_no_ocel_of_ours_is_told_as_what_it_is(refused: Any, data: bytes, said: str) -> None:
    assert said in refused(data)


def _without(log: Any, number: int) -> None:
    del log["events"][number]


def _other_payload(log: Any) -> None:
    event = _first(log, "order.captured")
    for attribute in event["attributes"]:
        if attribute["name"] == "entry_payload":
            attribute["value"] = attribute["value"].replace('"quantity":4', '"quantity":5')


def _other_type(log: Any) -> None:
    _first(log, "order.captured")["type"] = "order.closed"


def _two_in_one(log: Any) -> None:
    for attribute in _first(log, "order.captured")["attributes"]:
        if attribute["name"] == "entry_payload":
            attribute["value"] = ",".join([attribute["value"]] * 9)


def _no_payload(log: Any) -> None:
    for attribute in _first(log, "order.captured")["attributes"]:
        if attribute["name"] == "entry_payload":
            attribute["value"] = "{}"


def _manifest(log: Any, was: str, becomes: str) -> None:
    run = next(one for one in log["objects"] if one["type"] == "run")
    for attribute in run["attributes"]:
        if attribute["name"] == "manifest":
            assert was in attribute["value"]
            attribute["value"] = attribute["value"].replace(was, becomes)


def _swapped(log: Any) -> None:
    events = log["events"]
    events[2], events[3] = events[3], events[2]


def _moved(log: Any) -> None:
    number = next(index for index, event in enumerate(log["events"]) if event["id"].endswith(".1"))
    log["events"][number]["time"] = "2023-11-15T00:00:01.000Z"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda log: _without(log, 0), "begins at entry 2, not at the first"),
        (lambda log: _without(log, 2), "belongs to entry 4, and the one before it is 2"),
        (lambda log: _without(log, -1), "it was changed after it was written"),
        (_swapped, "belongs to entry 4, and the one before it is 2"),
        (_other_payload, "it was changed after it was written"),
        (_other_type, "is of type 'order.closed', its payload of type 'order.captured'"),
        (_two_in_one, "events and messages in "),
        (_no_payload, "gives an entry that cannot be read"),
        (lambda log: _manifest(log, '"seed":1', '"seed":"one"'), "the run's manifest cannot be read: Expected `int`"),
        (lambda log: _manifest(log, '"schema":1', '"schema":9'), "manifest has schema 9; this version reads 1"),
        (lambda log: _manifest(log, '"parent":""', '"parent":"x"'), "the run's manifest cannot be read: non-hex"),
        (_moved, "is not at the time of the entry's first part"),
    ],
)
def test_a_log_that_was_changed_does_not_become_a_run(text: bytes, refused: Any, change: Any, said: str) -> None:
    assert said in refused(_changed(text, change))


def test_a_folder_that_is_no_run_is_left_alone(text: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.json").write_bytes(text)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for force in ([], ["--force"]):
        assert main(["import", str(tmp_path / "x.json"), "--out", str(tmp_path / "mine"), *force]) == 2
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"
    assert main(["import", str(tmp_path / "x.json"), "--out", str(tmp_path / "new")]) == 0
    assert main(["import", str(tmp_path / "x.json"), "--out", str(tmp_path / "new")]) == 2
    assert main(["import", str(tmp_path / "x.json"), "--out", str(tmp_path / "new"), "--force"]) == 0
    assert main(["import", str(tmp_path / "none.json"), "--out", str(tmp_path / "other"), "--kind", "ocel"]) == 2
    assert "there is no such file" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "x.json"), "--out", str(tmp_path / "other"), "--kind", "clay"]) == 2
    assert "installed here: ocel" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "new", "x.json"]
