"""Logs of every form that cannot be used: one message with the place and the remedy, exit 2, nothing written."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.event_log import load
from tests.adapters.exported import busy_run
from tests.adapters.log_forms import (
    CLOUD,
    OBJECTS,
    TABLE,
    TRACES,
    as_cloud_events,
    as_csv,
    as_json,
    as_xes,
    as_xml,
    document,
    write_sqlite,
)
from twin.cli import main
from twin.log.ocel import write_ocel

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """What is said of a log that is refused, with the folder cut off; sees that nothing is left behind."""

    def run(data: bytes | None, name: str, mapping: dict[str, Any]) -> str:
        if data is not None:
            (tmp_path / name).write_bytes(data)
        (tmp_path / "map.yaml").write_text(json.dumps(mapping), encoding="utf-8")
        before = sorted(path.name for path in tmp_path.iterdir())
        arguments = ["profile", tmp_path / name, "--mapping", tmp_path / "map.yaml", "--out", tmp_path / "neutral"]
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert (code, out) == (2, ""), err
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        return err.replace(f"{tmp_path}/", "")

    return run


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    held = document()
    change(held)
    return held


FORMS = {
    "log.xes": (as_xes, TRACES),
    "log.json": (as_json, OBJECTS),
    "log.xml": (as_xml, OBJECTS),
    "log.jsonl": (as_cloud_events, CLOUD),
}


@pytest.mark.parametrize("name", list(FORMS))
def test_a_file_that_is_cut_off_is_told(refused: Refused, name: str) -> None:  # RP-02
    make, mapping = FORMS[name]
    data = make()
    for part in (0.4, 0.6, 0.9, 1 - 9 / len(data)):
        half = data[: int(len(data) * part)]
        if name == "log.jsonl":
            # A cut between two lines leaves a whole log; none of these is one.
            assert not half.endswith(b"\n")
        assert "is cut off here" in refused(half, name, mapping)
    packed = gzip.compress(data)
    said = refused(packed[: len(packed) // 2], f"{name}.gz", mapping)
    assert "gzip stream" in said
    assert "cut off or damaged" in said
    assert refused(gzip.compress(data)[:12], f"{name}.gz", mapping).count("\n") == 1


def test_xml_that_is_cut_between_two_elements_is_no_whole_log(refused: Refused) -> None:
    """Some readers take what is there for all: every line of the file is tried as its last."""
    for name, data, mapping in (("log.xml", as_xml(), OBJECTS), ("log.xes", as_xes(), TRACES)):
        lines = data.splitlines(keepends=True)
        for number in range(2, len(lines)):
            said = refused(b"".join(lines[:number]), name, mapping)
            assert "is cut off here: the XML does not end; fetch" in said
            assert said.count("\n") == 1


def test_a_database_that_is_cut_off_or_damaged_is_told(refused: Refused, tmp_path: Path) -> None:
    write_sqlite(tmp_path / "whole.sqlite")
    data = (tmp_path / "whole.sqlite").read_bytes()
    said = refused(data[: len(data) // 2], "log.sqlite", OBJECTS)
    assert f"log.sqlite: is cut off: {len(data) // 2:,} of {len(data):,} bytes are there; fetch or export" in said
    spoiled = bytearray(data)
    spoiled[4096:20_000] = b"\xff" * (20_000 - 4096)
    assert "log.sqlite: cannot be read as SQLite (" in refused(bytes(spoiled), "log.sqlite", OBJECTS)
    assert "is a gzipped SQLite database; unpack it first" in refused(gzip.compress(data), "log.sqlite.gz", OBJECTS)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("drop table event_object", "is no OCEL 2.0 in SQLite: has no table 'event_object'; tables here: clerk"),
        ("drop table event_t1", "has no table 'event_t1' for the type 'viewed'; export it again"),
        ("alter table event_t0 rename column ocel_time to at", "table 'event_t0' has no column 'ocel_time'; it has"),
        ("update event set ocel_type = 'lost' where ocel_id = 'e3'", "event 'e3': is of type 'lost', which eventTypes"),
        ("delete from event_t0 where ocel_id = 'e0'", "event 'e0': has no time; give it ISO 8601 with its zone"),
        (
            "update event_t0 set ocel_time = '01.03.2024'",
            "event 'e0': has the time '01.03.2024', which is not ISO 8601",
        ),
        (
            "update event_t0 set ocel_time = '2024-03-01 10:00:00'",
            "event 'e0': has the time '2024-03-01 10:00:00' with",
        ),
        ("delete from object where ocel_id = 'kim'", "object 'a': is related to the object 'kim', which is not in the"),
        ("delete from event where ocel_id = 'e1'", "table event_object: relates the event 'e1', which is not in the"),
    ],
)
def test_a_database_that_is_no_ocel_is_told_as_what_it_is(
    refused: Refused, tmp_path: Path, statement: str, said: str
) -> None:
    write_sqlite(tmp_path / "log.sqlite")
    with closing(sqlite3.connect(tmp_path / "log.sqlite")) as con, con:
        con.execute(statement)
    if said.endswith("clerk"):
        said = said.removesuffix("clerk") + "event, event_map_type, event_t0"
    assert f"log.sqlite: {said}" in refused(None, "log.sqlite", OBJECTS)


@pytest.mark.parametrize("name", ["log.json", "log.xml"])
def test_dangling_relations_are_counted_and_five_are_shown(refused: Refused, name: str) -> None:  # RP-02
    def spoil(held: dict[str, Any]) -> None:
        for event in held["events"]:
            event["relationships"] = [{"objectId": "ghost", "qualifier": ""}, *event["relationships"]]
        held["objects"][1]["relationships"] = [{"objectId": "nobody", "qualifier": ""}]

    held = changed(spoil)
    said = refused(as_xml(held) if name == "log.xml" else json.dumps(held).encode(), name, OBJECTS)
    assert said.count("which is not in the file; add the object, or take the relation out\n") == 5
    assert "object 'b': is related to the object 'nobody'" in said if name == "log.xml" else "objects[1] 'b'" in said
    assert f"{name}: 6 problems, the first 5 are shown; nothing was imported\n" in said


@pytest.mark.parametrize("name", ["log.json", "log.xml"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda held: held["events"][1].update(time="2024-03-01T12:00:00"),
            "'e1': has the time '2024-03-01T12:00:00' wi",
        ),
        (lambda held: held["events"][1].update(time="01.03.2024 12:00"), "which is not ISO 8601; give it"),
        (lambda held: held["events"][1].update(id="e0"), "'e0': the id was there before; give each event an id"),
        (lambda held: held["objects"][1].update(id="a"), "'a': the id was there before; give each object an id"),
        (lambda held: held["events"][1].update(type="lost"), "'e1': is of type 'lost', which eventTypes does not"),
        (lambda held: held["objects"][0].update(type="lost"), "'a': is of type 'lost', which objectTypes does not"),
        (lambda held: held["objects"][0]["attributes"][0].update(time="x"), "attribute 'region' has the time 'x'"),
    ],
)
def test_an_object_centric_log_that_is_wrong_is_told_by_place(
    refused: Refused, name: str, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    held = changed(change)
    assert said in refused(as_xml(held) if name == "log.xml" else json.dumps(held).encode(), name, OBJECTS)


def test_xml_names_the_line_and_a_number_that_is_none(refused: Refused) -> None:
    data = as_xml().replace(b'"value" type="string"', b'"value" type="float"').replace(b">19.90<", b">19,90<")
    said = refused(data, "log.xml", OBJECTS)
    line = data.partition(b'id="a"')[0].count(b"\n") + 1
    assert f"log.xml: line {line}: object 'a': attribute 'value' is '19,90', which is no float; correct it" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("</trace>", "</log>", 1), ": is no XML here (mismatched tag); export the file again"),
        (("<log ", "<bog ", 1), "is neither XES nor OCEL 2.0: it begins with 'bog', not 'log'; give CSV"),
        (("</trace>", '<string key="late" value="x"/></trace>', 2), "2 attributes of traces stand after the first eve"),
        (("<trace>", '<event><string key="a" value="b"/></event><trace>', 1), "an event stands outside a trace; put"),
        (
            ('2024-03-01T10:00:00Z"', '2024-03-01T10:00:00"', 1),
            "1 of the times in column 'time:timestamp' have no zone",
        ),
        (('2024-03-01T10:00:00Z"', '01.03.2024 10:00"', 1), "1 of the times in column 'time:timestamp' are not ISO"),
        (('key="time:timestamp"', 'key="when"', 9), "no column 'time:timestamp', which the mapping names as 'activity"),
        (('value="placed"', 'value=""', 1), "holds no complete case: of 2 cases 1 begin"),
        (('"19.90"', '"19,90"', 1), "cells of column 'case:value' are no amounts; write major units"),
    ],
)
def test_traces_that_cannot_be_used_are_told(refused: Refused, change: tuple[str, str, int], said: str) -> None:
    text = as_xes().decode()
    spoiled = text.replace(*change)
    assert spoiled != text
    assert said in refused(spoiled.encode(), "log.xes", TRACES)


def test_an_xml_file_without_an_event_or_with_entities_of_its_own_is_refused(refused: Refused) -> None:
    empty = b'<log xes.version="2.0"><trace><string key="concept:name" value="a"/></trace></log>'
    assert "holds 1 traces and no event; export the log again, with its events" in refused(empty, "log.xes", TRACES)
    swelling = b'<!DOCTYPE log [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>\n<log><trace/></log>'
    assert "log.xes:1: declares an entity; write its text" in refused(swelling, "log.xes", TRACES)


def test_cloud_events_without_what_is_required_are_counted_and_five_are_shown(refused: Refused) -> None:  # RP-02
    event = {"specversion": "1.0", "id": "9", "source": "shop", "type": "placed"}
    wrong = [{name: value for name, value in event.items() if name != lost} for lost in event]
    said = refused(as_cloud_events(*wrong, event | {"id": ""}, event | {"type": 7}), "log.jsonl", CLOUD)
    assert said == (
        "twin: log.jsonl: 6 lines are no CloudEvents 1.0; give every event specversion, id, source and type, as texts"
        "; first rows 6 (no specversion), 7 (no id), 8 (no source), 9 (no type), 10 (no id)\n"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"specversion":"1.0",}\n', "1 line is no JSON object; write one event a line; row 6 ("),
        ("[1]\n", "1 line is no JSON object; write one event a line; row 6 ('[1]')"),
        (
            '{"specversion":"1.0","id":"0","source":"shop","type":"other"}\n',
            "1 event has source and id of another one and say something else; give each event",
        ),
        (
            '{"specversion":"1.0","id":"9","source":"shop","type":"placed","subject":"c"}\n',
            "1 of the events have no time in 'time'; every event needs one; row 6 ('placed')",
        ),
        (
            '{"specversion":"1.0","id":"9","source":"shop","type":"placed","time":"2024-03-09T00:00:00Z"}\n',
            "1 of the rows names neither an order nor a purchase order in 'subject'",
        ),
        (
            '{"specversion":"1.0","id":"9","source":"s","type":"placed","subject":"c","time":"2024-03-09T00:00:00"}\n',
            "1 of the times in column 'time' have no zone, and the mapping states none; set `times.zone`",
        ),
        (
            '{"specversion":"1.0","id":"9","source":"s","type":"placed","subject":"c","time":"9.3.2024"}\n',
            "1 of the times in column 'time' are not ISO 8601",
        ),
    ],
)
def test_cloud_events_that_cannot_be_used_are_told(refused: Refused, line: str, said: str) -> None:
    assert said in refused(as_cloud_events() + line.encode(), "log.jsonl", CLOUD)


@pytest.mark.parametrize("name", list(FORMS))
def test_events_after_the_as_of_and_a_log_without_a_whole_case_are_refused(refused: Refused, name: str) -> None:
    make, mapping = FORMS[name]
    said = refused(make(), name, mapping | {"as_of": "2024-03-03T00:00Z"})
    assert f"{name}: 1 event lies after the mapping's as_of 2024-03-03T00:00Z; correct `as_of`, or the rows" in said
    activity = mapping["activity"]
    names = {"sent": "handed_to_carrier", "placed": "order_placed"}
    said = refused(make(), name, mapping | {"activity": activity | {"names": names}})
    assert f"{name}: holds no complete case: of 2 cases 2 begin" in said


@pytest.mark.parametrize("name", ["log.xes", "log.json", "log.xml"])
def test_events_that_repeat_others_are_refused_until_the_mapping_says_what_to_do(refused: Refused, name: str) -> None:
    make, mapping = FORMS[name]
    text = make().decode()
    if name == "log.xes":
        first = text[text.index("<event>") : text.index("</event>") + len("</event>")]
        data = text.replace(first, first * 2)
    else:
        held = document()
        held["events"].append(held["events"][0] | {"id": "again"})
        data = json.dumps(held) if name == "log.json" else as_xml(held).decode()
    said = refused(data.encode(), name, mapping)
    assert f"{name}: 1 event repeats another in every respect" in said


def test_events_out_of_order_are_told_in_every_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, (make, mapping) in FORMS.items():
        data = make().replace(b"2024-03-04T09:30:00Z", b"2024-03-02T09:30:00Z")
        (tmp_path / name).write_bytes(data)
        (tmp_path / "map.yaml").write_text(json.dumps(mapping), encoding="utf-8")
        assert main(["profile", str(tmp_path / name), "--mapping", str(tmp_path / "map.yaml"), "--json"]) == 0
        remarks = json.loads(capsys.readouterr().out)["log"]["remarks"]
        assert [(one["remark"], one["count"]) for one in remarks] == [("cases delivered before handed_to_carrier", 1)]


def test_a_mapping_that_does_not_fit_the_form_is_told(refused: Refused) -> None:
    without = {name: value for name, value in OBJECTS.items() if name != "case"}
    said = refused(as_json(), "log.json", without)
    assert "mapping.case: is missing, and log.json is an object-centric log; name the type of object to follow" in said
    said = refused(as_json(), "log.json", OBJECTS | {"case": "ordr"})
    assert "mapping.case: 'ordr' is no type of object in log.json; types there: order, clerk (did you mean 'o" in said
    said = refused(as_json(), "log.json", OBJECTS | {"case": "clerk"})
    assert "none of its 5 events is about an object of type 'clerk'; follow another type by `case`" in said
    said = refused(as_csv(), "log.csv", OBJECTS)
    assert "mapping.case: follows objects, and log.csv is no object-centric log; leave it out" in said
    said = refused(as_xml(), "log.xml", OBJECTS | {"fields": {"order": "order", "region": "order.regon"}})
    assert "no column 'order.regon', which the mapping names as 'fields.region'" in said
    assert "(did you mean 'order.region'?)" in said


def test_a_folder_and_a_missing_mapping_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log.xes").write_bytes(as_xes())
    (tmp_path / "empty").mkdir()
    for arguments, said in (
        ([tmp_path / "log.xes"], "log.xes: give --mapping MAP, which says what its columns mean"),
        ([tmp_path / "empty"], "empty"),
        ([tmp_path / "empty", "--mapping", "olist"], "empty: is a folder, but none of a log; name the files in it"),
        ([tmp_path / "empty", tmp_path / "log.xes"], "is a folder, and a folder is a log of its own; give it alone"),
        ([tmp_path / "gone.xes", "--mapping", "olist"], "gone.xes: there is no such file; check the path of the log"),
    ):
        assert main(["profile", *(str(one) for one in arguments)]) == 2
        out, err = capsys.readouterr()
        assert (out, said in err) == ("", True), err


def test_a_table_whose_header_looks_like_an_element_is_a_table(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("<ID>,<PLACED>,<THERE>\n1,2024-01-01T00:00Z,2024-01-02T00:00Z\n")
    events = {"order_placed": "<PLACED>", "delivered": "<THERE>"}
    log = load([tmp_path / "log.csv"], {"title": "t", "fields": {"order": "<ID>"}, "events": events})
    assert log.table.num_rows == 2


def test_an_exported_run_that_was_converted_and_cut_becomes_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """RP-02: nothing is left of an import that breaks, whatever the form."""
    r4pm = pytest.importorskip("r4pm", reason="r4pm is not installed here; requirements-dev.lock has it")
    write_ocel(busy_run(tmp_path / "run"), tmp_path / "run.json")
    item = r4pm.import_item("OCEL", str(tmp_path / "run.json"))
    for name, said in (("run.xml", "is cut off here: the XML does not end"), ("run.sqlite", "is cut off: ")):
        r4pm.export_item(item, str(tmp_path / name))
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) * 3 // 4])
        before = sorted(path.name for path in tmp_path.iterdir())
        assert main(["import", str(tmp_path / name), "--out", str(tmp_path / "back")]) == 2
        out, err = capsys.readouterr()
        assert (out, said in err, err.count("\n")) == ("", True, 1), err
        assert sorted(path.name for path in tmp_path.iterdir()) == before
    r4pm.remove_item(item)


def test_distances_of_a_log_that_cannot_be_read_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "map.yaml").write_text(json.dumps(TRACES), encoding="utf-8")
    (tmp_path / "log.xes").write_bytes(as_xes()[:-30])
    (tmp_path / "whole.xes").write_bytes(as_xes())
    arguments = [str(tmp_path / "whole.xes"), str(tmp_path / "log.xes"), "--mapping", str(tmp_path / "map.yaml")]
    assert main(["distance", *arguments, "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert (out, "log.xes:" in err, "is cut off here" in err) == ("", True, True), err


def test_a_neutral_log_that_was_changed_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log.csv").write_bytes(as_csv())
    (tmp_path / "map.yaml").write_text(json.dumps(TABLE), encoding="utf-8")
    neutral = tmp_path / "neutral"
    shown = ["profile", str(tmp_path / "log.csv"), "--mapping", str(tmp_path / "map.yaml"), "--out", str(neutral)]
    assert main(shown) == 0
    whole = (neutral / "events.parquet").read_bytes()
    manifest = json.loads((neutral / "manifest.json").read_text())
    for spoil, said in (
        (
            lambda: (neutral / "events.parquet").write_bytes(whole[:-5]),
            "events.parquet: it is not what its manifest says; write the log again",
        ),
        (
            lambda: (neutral / "events.parquet").unlink(),
            "events.parquet: it is not what its manifest says; write the log again",
        ),
        (
            lambda: (neutral / "manifest.json").write_text(json.dumps(manifest | {"format": 9})),
            "it is of format 9, this version reads 1",
        ),
        (lambda: (neutral / "manifest.json").write_text('{"kind": "event_log"}'), "manifest.json: it cannot be read"),
    ):
        spoil()
        capsys.readouterr()
        assert main(["profile", str(neutral)]) == 2
        assert said in capsys.readouterr().err


def test_a_database_whose_last_part_stands_beside_it_is_told(refused: Refused, tmp_path: Path) -> None:
    """What is read without its -wal lacks what was written last, and nothing would say so."""
    write_sqlite(tmp_path / "log.sqlite")
    with closing(sqlite3.connect(tmp_path / "log.sqlite")) as con:
        con.execute("pragma journal_mode = wal")
        with con:
            con.execute("insert into event_map_type values ('again', 'again')")
        said = refused(None, "log.sqlite", OBJECTS)
    assert "log.sqlite: a part of it still stands in log.sqlite-wal; close what writes it, or run `PRAGMA" in said


@pytest.mark.parametrize("written", ["1709287200.9", "1.7e9", "1_709_287_200", "9223372036854775807"])
def test_seconds_since_1970_are_whole(refused: Refused, written: str) -> None:
    """Whole as a table of floats has them too, and told with their row where they are not."""
    time = {"column": "at", "format": "epoch_s"}
    mapping = TABLE | {"fields": {"order": "id"}, "activity": TABLE["activity"] | {"time": time}}
    rows = f"id,what,at\n1,placed,1709287200\n1,there,1709290800.0\n2,placed,{written}\n"
    said = refused(rows.encode(), "log.csv", mapping)
    assert "1 of the times in column 'at' are not whole seconds since 1970" in said
    assert f"row 3 ('{written}')" in said


@pytest.mark.parametrize(
    ("kind", "written"), [("integer", "1_000"), ("integer", "\u0661\u0662"), ("float", "nan"), ("float", "1_0.5")]
)
def test_numbers_that_only_one_language_reads_are_told(refused: Refused, kind: str, written: str) -> None:
    held = document()
    held["objectTypes"][0]["attributes"][1]["type"] = kind
    held["objects"][0]["attributes"][1]["value"] = written
    assert f"is '{written}', which is no {kind}; correct it" in refused(as_xml(held), "log.xml", OBJECTS)


def test_types_that_fill_more_than_one_piece_are_all_read(tmp_path: Path) -> None:
    held = document()
    held["eventTypes"] = [{"name": f"{number:04d}{'x' * 200}", "attributes": []} for number in range(12_000)] + held[
        "eventTypes"
    ]
    (tmp_path / "log.xml").write_bytes(as_xml(held))
    assert load([tmp_path / "log.xml"], OBJECTS).table.num_rows == 4


def test_events_of_another_version_of_the_standard_are_told(refused: Refused) -> None:
    data = as_cloud_events().replace(b'"specversion": "1.0"', b'"specversion": "0.3"', 1)
    said = refused(data, "log.jsonl", CLOUD)
    assert "log.jsonl: 1 line is no CloudEvents 1.0; give every event" in said
    assert "row 1 (specversion '0.3')" in said
