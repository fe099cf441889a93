"""A recorded run fed back: folded and forked at any position, and decided anew."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest
from msgspec.structs import replace

from tests.world.deciders import Function, between_two, nearest, outside
from tests.world.openings import NOW, opened, tables
from twin.cli import main
from twin.codec import decode_entry, encode_entry
from twin.core import buckets
from twin.core.events import OrderCaptured, PromiseDecided
from twin.core.invariants import violations
from twin.decisions import AnswerLeg, DecisionFailed, SourcingAnswer, SourcingQuestion
from twin.experiment.forking import what_if
from twin.log import RunError, read_manifest
from twin.replay import redecide as module
from twin.replay.agreement import wilson
from twin.replay.event_table import events_of_run
from twin.replay.facts import facts_of
from twin.replay.fold import Diverged, fold, go_on, position_at
from twin.replay.redecide import redecide
from twin.run import Run, RunRefused, Twin, load
from twin.scenario.units import format_instant

ROOT = Path(__file__).resolve().parents[2]
HOUR, DAY = 3_600_000, 86_400_000
SMALL = {"run": {"horizon": "5d", "drain": "3d"}, "assortment": {"count": 150}}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load(ROOT / "scenarios" / "demo.yaml", SMALL).run(out=tmp_path_factory.mktemp("demo") / "run")


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two warehouses, ten orders an hour, a message in twenty lost, so that there are retries."""
    lossy = {
        "interfaces": [{"id": "wms", "to": "warehouse/main"}],
        "faults": [{"kind": "loss", "interface": "wms", "probability": "5%"}],
    }
    scenario = between_two(busy=True).with_changes(lossy)
    return Twin(scenario).run(out=tmp_path_factory.mktemp("busy") / "run")


@pytest.fixture
def copy(busy: Run, tmp_path: Path) -> Path:
    """A copy of the busy run that may be spoiled."""
    return Path(shutil.copytree(busy.folder, tmp_path / "copy"))


def spoil(run: Path, position: int, change: Callable[[Any], Any]) -> None:
    """Change one recorded entry, and nothing else of the folder."""
    (path,) = (run / "entries").glob("part-*.parquet")
    rows = duckdb.sql(f"SELECT * FROM '{path}' ORDER BY position")
    table = rows.to_arrow_table() if hasattr(rows, "to_arrow_table") else rows.arrow()
    data = table.to_pylist()
    entry = change(decode_entry(data[position - 1]["payload"]))
    data[position - 1]["payload"] = encode_entry(entry).decode()
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(data, schema=pq.read_schema(path)), path)


@pytest.fixture(scope="module")
def taken_over(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that began with an order promised for too early a date, and with a purchase order."""
    folder = tables(
        tmp_path_factory.mktemp("tables"),
        stock=[f"main,mug,free,3,,{NOW}"],
        orders=[f"S1,1,web,home,,2025-11-14T10:00Z,2025-11-17T10:00Z,2025-11-15T00:00Z,mug,5,5,,4.50,{NOW}"],
        purchase_orders=[f"P1,mill,main,mug,30,2025-11-15T00:00Z,2025-11-19T12:00Z,{NOW}"],
    )
    return Twin(opened(folder)).run(out=tmp_path_factory.mktemp("opened") / "run")


# --- what was under way before


def test_what_was_under_way_before_the_log_is_no_arrival_and_no_lead_time_of_it(
    taken_over: Run,
) -> None:  # RP-01, RP-03
    manifest = taken_over.manifest
    facts = facts_of(taken_over.folder, manifest.start_ms, manifest.end_ms)
    assert (facts.arrivals, facts.lead_times) == ([], [])
    # What began in the log is in it.
    assert len([case for case in facts.transit if not case.censored]) == 2


def test_an_order_from_before_the_log_was_captured_when_it_was(taken_over: Run) -> None:  # RP-01
    (first, *_) = events_of_run(taken_over.folder).to_pylist()
    assert (first["activity"], first["at"]) == ("captured", taken_over.manifest.start_ms - 2 * DAY - 14 * HOUR)


def test_a_date_told_before_the_log_is_no_decision_of_a_service(taken_over: Run) -> None:  # PL-04
    class Twice:
        """Three mugs from stock and two that wait, as the rules decide it."""

        about = nearest().about

        def decide(self, question: Any) -> Any:
            return SourcingAnswer((AnswerLeg(1, "stock", "main", 3), AnswerLeg(1, "backorder", "main", 2)))

        def reset(self, seed: int) -> None:
            pass

        def close(self) -> None:
            pass

    found = redecide(taken_over.folder, service=Twice())
    assert found.changed == ()
    assert [(one.decisions, one.same) for one in found.agreement] == [(1, 1), (1, 1)]


def test_decisions_about_one_order_in_one_entry_are_told_apart_whatever_its_name(taken_over: Run) -> None:
    (entry,) = [one for one in taken_over.entries() if any(isinstance(event, OrderCaptured) for event in one.events)]
    dates = [event for event in entry.events if isinstance(event, PromiseDecided)]
    assert len(dates) == 2
    renamed = [replace(event, order="S#1") for event in dates]
    assert module._decisions(renamed) == {("promise", "S#1"): renamed[0], ("promise", "S#1#1"): renamed[1]}
    # The one that comes of the sourcing is the second.
    later = [
        replace(event, lines=((1, event.lines[0][1] + HOUR),)) if event is dates[1] else event for event in entry.events
    ]
    tally = module._Tally()
    tally.take(entry, fold(taken_over.folder, entry.position - 1).state, later, "")
    assert tally.result(1).agreement[0].same == 0


# --- fold


def test_the_state_folded_at_the_end_is_what_the_run_ended_in(busy: Run) -> None:  # RC-07, RP-05
    state = fold(busy.folder).state
    assert state.position == busy.manifest.entries
    assert violations(state) == []
    assert fold(busy.folder, state.position).state == state


def test_the_state_at_an_instant_has_what_was_captured_by_then(busy: Run) -> None:
    at = busy.manifest.start_ms + DAY
    state = fold(busy.folder, position_at(busy.folder, at)).state
    pairs = [(entry.now, event) for entry in busy.entries() for event in entry.events]
    captured = [instant for instant, event in pairs if isinstance(event, OrderCaptured)]
    assert len(state.orders) == sum(instant <= at for instant in captured) > 100


def test_a_position_that_is_not_there_is_told(busy: Run) -> None:
    last = busy.manifest.entries
    with pytest.raises(RunError, match=f"has entries 1 to {last}; there is no entry {last + 1}"):
        fold(busy.folder, last + 1)
    with pytest.raises(RunRefused, match=f"has entries 1 to {last}"):
        go_on(busy.folder, last + 1, busy.folder.parent / "never")


def test_an_entry_that_does_not_follow_is_named(copy: Path) -> None:
    spoil(copy, 700, lambda entry: replace(entry, position=900))
    with pytest.raises(RunError, match="entry 900 does not follow the ones before it"):
        fold(copy)


# --- fork


def positions(run: Run, many: int, seed: int) -> list[int]:
    return sorted(Random(seed).sample(range(run.manifest.entries + 1), many))


@pytest.mark.parametrize("many", [3, pytest.param(20, marks=pytest.mark.deep)])
def test_folded_and_forked_anywhere_the_rest_is_the_original(  # RC-07, RP-05
    busy: Run, demo: Run, tmp_path: Path, many: int
) -> None:
    for run, name in ((busy, "busy"), (demo, "demo")):
        for position in positions(run, many, seed=many):
            again = go_on(run.folder, position, tmp_path / f"{name}-{position}")
            assert again.digest == run.digest, position
            assert again.manifest.truth_digest == run.manifest.truth_digest
            shutil.rmtree(again.folder)


def test_a_run_that_a_service_decided_is_forked_with_its_answers(tmp_path: Path) -> None:
    scenario = outside(between_two(busy=True))
    run = Twin(scenario).run(out=tmp_path / "run", services={"nearest": nearest()})
    assert go_on(run.folder, run.manifest.entries // 2, tmp_path / "fork").digest == run.digest


@pytest.mark.parametrize("position", [2, 400, 900])
def test_a_recording_that_was_changed_is_caught_where_it_differs(copy: Path, tmp_path: Path, position: int) -> None:
    spoil(copy, position, lambda entry: replace(entry, now=entry.now + 1))
    with pytest.raises(Diverged, match=f"entry {position}: now was recorded as"):
        go_on(copy, 0, tmp_path / "fork")


def test_a_recording_that_has_more_than_the_run_leads_to_is_caught(copy: Path, tmp_path: Path) -> None:  # RP-05
    path = copy / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["end_ms"] = manifest["start_ms"] + DAY
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(Diverged, match=r"entry \d+ was recorded at .*, and nothing comes there"):
        go_on(copy, 0, tmp_path / "fork")


def test_a_folded_state_that_is_wrong_is_caught(busy: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def miscounted(run: Path, position: int | None = None) -> Any:
        engine = fold(run, position)
        engine.state.stock["main"]["mug"].free -= 1
        return engine

    monkeypatch.setattr("twin.replay.fold.fold", miscounted)
    with pytest.raises(Diverged):
        go_on(busy.folder, 500, tmp_path / "fork")


def test_another_scenario_or_a_run_that_went_on_is_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "scenario.yaml").write_text(between_two().to_yaml(), encoding="utf-8")
    with pytest.raises(RunRefused, match=r"scenario\.yaml is not what was run"):
        go_on(copy, 1, tmp_path / "fork")
    (copy / "scenario.yaml").unlink()
    with pytest.raises(RunRefused, match=r"has no scenario\.yaml"):
        go_on(copy, 1, tmp_path / "fork")


def test_a_change_comes_from_here_on_and_not_before(busy: Run, tmp_path: Path) -> None:  # RP-05
    at = busy.manifest.start_ms + DAY
    closed = {"disruptions": [{"kind": "warehouse_closed", "warehouse": "main", "from": "30h", "for": "20h"}]}
    forked = what_if(busy.folder, at, closed, tmp_path / "fork")
    before = [encode_entry(entry) for entry in busy.entries() if entry.now < at]
    after = [encode_entry(entry) for entry in forked.entries()]
    assert after[: len(before)] == before
    assert forked.digest != busy.digest
    assert (forked.manifest.position, forked.manifest.parent) == (len(before), forked.manifest.parent)
    late = [Run(run).measures["otif_to_request"].value for run in (busy.folder, forked.folder)]
    assert late[1] <= late[0]  # type: ignore[operator]
    with pytest.raises(RunRefused, match="went on from a snapshot"):
        go_on(forked.folder, 1, tmp_path / "again")


def test_a_run_that_was_stopped_is_gone_on_with_up_to_there_or_as_long_as_the_change_says(tmp_path: Path) -> None:
    scenario = between_two(busy=True)
    start = scenario.run.start
    run = Twin(scenario).run(out=tmp_path / "run", until_ms=DAY)
    assert run.manifest.end_ms == start + DAY
    same = what_if(run.folder, start + 12 * HOUR, {"policies": {"sourcing": {"rules": ["nearest"]}}}, tmp_path / "same")
    assert same.manifest.end_ms == start + DAY
    longer = {"run": {"drain": "12h"}}
    assert what_if(run.folder, start + 12 * HOUR, longer, tmp_path / "longer").manifest.end_ms == start + 84 * HOUR


def test_what_a_run_under_way_cannot_take_over_is_refused(busy: Run, tmp_path: Path) -> None:
    at = busy.manifest.start_ms + DAY
    with pytest.raises(RunRefused, match="a run under way cannot take over"):
        what_if(busy.folder, at, {"warehouses": [{"id": "main", "reports": ["picked", "shipped"]}]}, tmp_path / "fork")
    # What was changed is named, also beside a change that can be taken over, and not only what it comes to.
    stock = {"stock": [{"warehouse": "main", "item": "mug", "on_hand": 50}]}
    other = {"policies": {"sourcing": {"rules": ["most_stock"]}}}
    with pytest.raises(RunRefused) as refused:
        what_if(busy.folder, at, {**other, **stock}, tmp_path / "fork")
    assert str(refused.value).startswith("stock: a run under way cannot take over what this comes to: another opening")
    closed = {"warehouses": [{"id": "main", "latency": "5ms", "reports": ["picked", "shipped"]}]}
    with pytest.raises(
        RunRefused, match=r"^warehouses\[main\]\.reports: a run under way cannot take over what this comes to: "
    ):
        what_if(busy.folder, at, {**other, **closed}, tmp_path / "fork")
    with pytest.raises(RunRefused, match="a change comes after its start and before its end"):
        what_if(busy.folder, busy.manifest.end_ms, {}, tmp_path / "fork")
    assert not (tmp_path / "fork").exists()


# --- re-decide


def test_nothing_changes_where_nothing_was_changed(demo: Run, busy: Run) -> None:  # RP-05, PL-04
    for run in (demo, busy):
        found = redecide(run.folder)
        assert found.entries == run.manifest.entries
        assert found.changed == ()
        assert found.decisions["sourcing"] > 50
        assert all(one.same == one.decisions for one in found.agreement)


def test_changed_decisions_are_listed_with_their_reasons(busy: Run) -> None:  # RP-05, PL-04
    found = redecide(busy.folder, lambda held: replace(held, sourcing=("most_stock",)))
    sourced = [one for one in found.changed if one.decision == "sourcing"]
    everything = found.agreement[0]
    assert len(sourced) == everything.decisions - everything.same > 20
    assert "most_stock before main" in {one.why for one in sourced}
    assert sourced[0].was == "line 1: stock at main"
    assert sourced[0].would_be == "line 1: stock at far"
    assert 0 < everything.low < everything.same / everything.decisions < everything.high < 1
    assert sum(found.reasons.values()) == len(sourced)
    assert 0 < everything.same_value_minor < everything.value_minor


def test_an_orders_own_date_is_no_difference_where_its_lines_have_theirs(busy: Run) -> None:  # PL-04
    # It is the latest of all its lines, so it hangs on what was promised before.
    entry = next(entry for entry in busy.entries() if any(isinstance(event, OrderCaptured) for event in entry.events))
    later = [
        replace(event, promised_at=event.promised_at + HOUR) if isinstance(event, PromiseDecided) else event
        for event in entry.events
    ]
    moved = [
        replace(event, lines=((1, event.lines[0][1] + HOUR),)) if isinstance(event, PromiseDecided) else event
        for event in entry.events
    ]
    assert later != list(entry.events) != moved
    for events, same in ((later, 1), (moved, 0)):
        tally = module._Tally()
        tally.take(entry, fold(busy.folder, entry.position - 1).state, events, "")
        assert tally.result(1).agreement[0].same == same


def test_deciding_anew_leaves_the_recording_as_it_is(busy: Run) -> None:
    digest = read_manifest(busy.folder).digest
    redecide(busy.folder, lambda held: replace(held, sourcing=("most_stock",), split_lines=False))
    assert redecide(busy.folder).changed == ()
    assert read_manifest(busy.folder).digest == digest


def test_a_service_is_held_against_the_log(busy: Run) -> None:  # PL-04
    service = nearest()
    agreeing = redecide(busy.folder, service=service)
    assert service.seeds == [busy.manifest.seed]
    assert agreeing.changed == ()
    assert agreeing.agreement[0].same == agreeing.agreement[0].decisions > 600

    class Far:
        about = nearest().about

        def decide(self, question: Any) -> Any:
            assert isinstance(question, SourcingQuestion)
            if question.lines[0].quantity == 3:
                raise DecisionFailed("failed", "busy")
            return SourcingAnswer(
                tuple(AnswerLeg(line.line, "stock", "far", line.quantity, "far") for line in question.lines)
            )

        def reset(self, seed: int) -> None:
            pass

        def close(self) -> None:
            pass

    found = redecide(busy.folder, service=Far())
    assert set(found.reasons) >= {"site", "no answer"}
    assert any(one.decision == "promise" for one in found.changed)
    first = next(one for one in found.changed if one.decision == "sourcing")
    assert (first.would_be, first.why) in {("line 1: stock at far", "far"), ("order: no answer", "failed: busy")}


def test_an_answer_that_cannot_be_carried_out_is_no_other_decision(  # PL-04
    busy: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    orders = redecide(busy.folder).agreement[0].decisions
    mars = Function(lambda question: SourcingAnswer((AnswerLeg(1, "stock", "mars", 1),)))
    found = redecide(busy.folder, service=mars)
    assert (found.reasons, found.usable) == ({"unusable": orders}, 0)
    assert {one.decision for one in found.changed} == {"sourcing"}
    sample = nearest()
    seldom = Function(lambda asked: mars.answer(asked) if asked.order.endswith("7") else sample.decide(asked))
    found = redecide(busy.folder, service=seldom)
    assert 0 < found.reasons["unusable"] == orders - found.usable < orders
    # The command ends with 1 where nothing could be compared, and says so.
    monkeypatch.setattr("twin.decisions.connect", lambda *asked, **how: mars)
    assert main(["redecide", str(busy.folder), "--service", "stdio:mars", "--quiet"]) == 1
    told = capsys.readouterr()
    assert f"0 of {orders} answers of the service can be carried out" in told.out
    assert told.err == "twin: the service gave no decision that can be carried out, so nothing could be compared\n"
    monkeypatch.setattr("twin.decisions.connect", lambda *asked, **how: seldom)
    assert main(["redecide", str(busy.folder), "--service", "stdio:seldom", "--quiet"]) == 0


def test_dates_that_a_service_promised_are_not_promised_here(tmp_path: Path) -> None:  # PL-04
    promised = {"policies": {"promise": {"outside": {"service": "nearest"}}}}
    run = Twin(outside(between_two(busy=True)).with_changes(promised)).run(
        out=tmp_path / "run", services={"nearest": nearest()}
    )
    found = redecide(run.folder, service=nearest())
    assert found.agreement[0].decisions > 600
    assert found.changed == ()


def test_long_decisions_are_cut_in_the_table_and_nothing_is_wider_than_the_terminal(  # RP-05
    demo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = tmp_path / "changed.csv"
    words = ["redecide", str(demo.folder), "--set", "policies.sourcing.rules=[nearest]", "--out", str(rows), "--quiet"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "whole texts are there (...)" in " ".join(out.split())
    # Twenty decisions, none over more than seven lines; the file has them whole.
    table = out.partition("Changed\n")[2].partition(" changed")[0].splitlines()
    assert len(table) <= 20 * 7
    texts = [row["was"] for row in csv.DictReader(rows.read_text(encoding="utf-8").splitlines())]
    assert max(map(len, texts)) > 500
    assert main(["fold", str(demo.folder), "--at", "1d"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_wilsons_interval_is_the_textbooks() -> None:
    # 10 of 20 by hand: (0.5 + z²/40 ± z·sqrt(0.0125 + z²/1600)) / (1 + z²/20).
    low, high = wilson(10, 20)
    assert (round(low, 4), round(high, 4)) == (0.2993, 0.7007)
    assert wilson(0, 0) == (0.0, 1.0)


# --- the commands


def test_the_commands_say_which_replay_it_was(  # RP-04, RP-05, PL-04
    busy: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(busy.folder)
    assert main(["fold", run, "--at", "1d", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["replay"], told["violations"]) == ("fold", [])
    assert {one["measure"]: one["value"] for one in told["statement"]["figures"]} == told["figures"]
    assert {one["tag"] for one in told["statement"]["figures"]} == {"measured"}
    assert main(["fold", run, "--at", format_instant(busy.manifest.start_ms + DAY), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told
    assert main(["fork", run, "--at", "500", "--out", str(tmp_path / "fork"), "--no-report"]) == 0
    text = capsys.readouterr().out
    assert f"byte for byte: digest {busy.digest}" in text
    assert "measured: entries up to the fork" in text and "modeled:" not in text
    changed = tmp_path / "changed.csv"
    setting = "policies.sourcing.rules=[most_stock]"
    assert main(["redecide", run, "--set", setting, "--out", str(changed), "--quiet"]) == 0
    text = capsys.readouterr().out
    words = " ".join(text.split())
    assert "Re-decided: each decision anew against the recorded state; nothing was carried out" in words
    assert "decided by the reference logic, not yours" in text
    rows = list(csv.DictReader(changed.read_text(encoding="utf-8").splitlines()))
    assert {row["decision"] for row in rows} >= {"sourcing", "release"}
    assert "modeled: decisions taken anew" in text
    assert "What must not be concluded:\n- What would have followed" in text
    assert main(["redecide", run, "--quiet", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["changed"] == [] and told["statement"]["replay"] == "redecide"
    assert told["statement"]["agreement"] == told["agreement"]
    assert main(["redecide", run, "--quiet"]) == 0
    assert "none changed" in capsys.readouterr().out


def test_the_figures_of_a_folded_state_are_those_of_its_lines(  # RP-05
    busy: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fold", str(busy.folder), "--at", "700", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    lines = [line for order in fold(busy.folder, 700).state.orders.values() for line in order.lines.values()]
    units = {name: sum(line.buckets[index] for line in lines) for name, index in buckets.INDEX.items()}
    assert figures["units backordered"] == units["backordered"] > 0
    assert figures["units on their way"] == units["shipped"] > 0
    assert figures["units released or picked"] == units["released"] + units["picked"] > 0
    assert figures["units reserved"] == units["reserved"]
    assert figures["units on order for customers"] == units["on_order"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["fold", "RUN", "--at", "999999"], "--at 999999: the run has entries 1 to"),
        (["fold", "RUN", "--at", "soon"], "--at soon: "),
        (["fold", "RUN", "--at", "900d"], "the run is over at"),
        (["fold", "RUN", "--at", "1999-01-01T00:00Z"], "the run begins at"),
        (["fork", "RUN", "--at", "2999-01-01T00:00Z", "--out", "OUT"], "the run is over at"),
        (["fold", "NOWHERE"], "no such run folder"),
        (["fork", "RUN", "--at", "12", "--set", "run.seed=3", "--out", "OUT"], "give a time such as 36h"),
        (["fork", "RUN", "--at", "1d", "--set", "run.horizn=3d", "--out", "OUT"], "unknown key 'horizn'"),
        (["redecide", "RUN", "--set", "warehouses[main].pickers=3"], "only policies are decided anew"),
        (["redecide", "RUN", "--set", "policies.sourcing.rules=[luck]"], "unknown value 'luck'"),
        (["redecide", "RUN", "--service", "http://127.0.0.1:1"], "no decision service"),
        (["redecide", "RUN", "--out", "RUN"], "it is a folder"),
    ],
)
def test_what_cannot_be_replayed_is_told(  # RP-05
    busy: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], text: str
) -> None:
    places = {"RUN": str(busy.folder), "OUT": str(tmp_path / "out"), "NOWHERE": str(tmp_path / "nowhere")}
    assert main([places.get(word, word) for word in words]) == 2
    told = capsys.readouterr().err
    assert text in told
    assert "Traceback" not in told
    assert not (tmp_path / "out").exists()
