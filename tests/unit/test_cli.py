"""What the command line prints, and how it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.commands import Told
from tests.world.deciders import between_two, nearest, outside
from twin.cli import main
from twin.cli.failures import tell
from twin.cli.terminal import WORD_MAX, show, table
from twin.core.refusals import CorruptLog
from twin.log import explain, read_manifest
from twin.run import Twin

ROOT = Path(__file__).resolve().parents[2]
MINIMAL = str(ROOT / "scenarios/minimal.yaml")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the least scenario, with its report."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert main(["run", MINIMAL, "--out", str(folder), "--quiet"]) == 0
    return folder


def test_a_run_shows_key_measures_books_digest_and_report(told: Told, tmp_path: Path) -> None:
    # A slow machine tells its progress on stderr.
    code, out, _ = told("run", MINIMAL, "--out", tmp_path / "run")
    assert code == 0
    assert "otif_to_request" in out
    assert "captured (" in out
    assert "Nothing is lost: no differences." in out
    digest = read_manifest(tmp_path / "run").digest
    assert out.endswith(f"digest: {digest}\nreport: {tmp_path}/run/report.html\n")
    assert (tmp_path / "run/report.html").exists()
    assert (tmp_path / "run/measures.json").exists()


def test_a_quiet_run_without_report_prints_its_digest_alone(told: Told, tmp_path: Path) -> None:
    code, out, _ = told("run", MINIMAL, "--out", tmp_path / "run", "--quiet", "--no-report")
    assert code == 0
    assert out == f"digest: {read_manifest(tmp_path / 'run').digest}\n"
    assert not (tmp_path / "run/report.html").exists()


def test_force_replaces_an_earlier_run(told: Told, tmp_path: Path) -> None:
    for seed in (1, 2):
        code, _, _ = told("run", MINIMAL, "--out", tmp_path / "run", "--seed", seed, "--force", "--quiet")
        assert code == 0
    assert read_manifest(tmp_path / "run").seed == 2


def test_settings_change_the_scenario(told: Told, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    settings = ("--set", "run.horizon=1d", "--set", "warehouses[main].pickers=3", "--set", "title=Half as long")
    assert told("run", MINIMAL, "--out", folder, "--quiet", "--no-report", *settings)[0] == 0
    manifest = read_manifest(folder)
    assert manifest.end_ms - manifest.start_ms == 86_400_000
    assert manifest.title == "Half as long"
    assert "pickers: 3" in (folder / "scenario.yaml").read_text()


def test_a_run_that_goes_on_from_a_snapshot_ends_like_one_that_never_stopped(
    told: Told, tmp_path: Path, finished: Path
) -> None:  # RC-16
    half, snapshot, rest = tmp_path / "half", tmp_path / "day1.snapshot", tmp_path / "rest"
    quiet = ("--quiet", "--no-report")
    assert told("run", MINIMAL, "--out", half, "--until", "1d", "--snapshot", snapshot, *quiet)[0] == 0
    assert told("resume", snapshot, "--out", rest, *quiet)[0] == 0
    assert read_manifest(rest).digest == read_manifest(finished).digest
    assert read_manifest(rest).truth_digest == read_manifest(finished).truth_digest
    assert told("verify", rest)[0] == 0
    assert told("books", rest)[1] == told("books", finished)[1]


def test_a_moved_parent_is_named_to_a_run_that_goes_on(told: Told, tmp_path: Path) -> None:
    half, snapshot, moved = tmp_path / "half", tmp_path / "s.snapshot", tmp_path / "moved"
    told("run", MINIMAL, "--out", half, "--until", "1d", "--snapshot", snapshot, "--quiet", "--no-report")
    half.rename(moved)
    assert told("resume", snapshot, "--out", tmp_path / "a", "--quiet")[0] == 2
    assert not (tmp_path / "a").exists()
    assert told("resume", snapshot, "--out", tmp_path / "a", "--parent", moved, "--quiet", "--no-report")[0] == 0


def test_measures_are_chosen_by_name_and_kind(told: Told, finished: Path) -> None:  # OB-06
    _, out, _ = told("measures", finished, "--name", "otif*")
    assert "otif_to_request" in out
    assert "revenue" not in out
    asked = [word for name in ("otif*", "unit_fill_rate", "otif_to_request") for word in ("--name", name)]
    two = json.loads(told("measures", finished, "--json", *asked)[1])
    assert {name.partition("/")[0] for name in two} == {"otif_to_request", "otif_to_promise", "unit_fill_rate"}
    _, out, _ = told("measures", finished, "--kind", "T")
    assert "inventory_record_accuracy" in out
    assert "otif" not in out


def test_measures_as_json_hold_no_float(told: Told, finished: Path) -> None:
    _, out, _ = told("measures", finished, "--json", "--name", "unit_fill_rate")
    found = json.loads(out)["unit_fill_rate"]
    assert found["kind"] == "L"
    assert isinstance(found["value"], str)


def test_a_base_adds_its_values_and_the_measures_of_the_pair(told: Told, finished: Path) -> None:
    code, out, _ = told("measures", finished, "--base", finished)
    assert code == 0
    assert "Change" in out
    assert "lost_margin" in out


def test_a_narrow_terminal_cuts_no_number(told: Told, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = told("measures", finished, "--base", finished)
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "…" not in out
    assert "Change" in out


def test_runs_of_two_seeds_are_no_pair(told: Told, finished: Path, tmp_path: Path) -> None:
    told("run", MINIMAL, "--out", tmp_path / "other", "--seed", 2, "--quiet", "--no-report")
    code, out, err = told("measures", finished, "--base", tmp_path / "other")
    assert (code, out) == (2, "")
    assert err.endswith("it has seed 2, " + f"{finished} has 1; only runs of one seed are a pair\n")


def test_a_name_that_no_measure_has_is_an_input_error(told: Told, finished: Path) -> None:
    code, out, err = told("measures", finished, "--name", "otif_to_reqest")
    assert (code, out) == (2, "")
    assert err == (
        "twin: --name otif_to_reqest: no measure is named so (did you mean 'otif_to_request'?); "
        "`twin measures RUN` lists all\n"
    )


def test_an_order_is_explained_with_the_reason_for_its_sourcing(told: Told, finished: Path) -> None:  # IM-01
    code, out, _ = told("explain", finished, "web-1")
    assert code == 0
    for told_of in ("order.captured", "decided by only_candidate", "GBP", "shipment.delivered", "invoice.posted"):
        assert told_of in out
    assert "1763" not in out, "an instant is shown in milliseconds"
    assert f"{len(explain(finished, 'web-1'))} steps" in out


def test_an_order_that_is_not_there_brings_up_those_that_are_like_it(told: Told, finished: Path) -> None:
    code, out, err = told("explain", finished, "wbe-12")
    assert (code, out) == (2, "")
    assert "no order 'wbe-12' in it; did you mean web-12" in err


def test_books_add_up_and_say_so(told: Told, finished: Path) -> None:  # FI-01
    code, out, _ = told("books", finished)
    assert code == 0
    for name in ("captured (", "delivered", "open at the end", "opening", "shipped", "there at the end"):
        assert name in out
    assert out.endswith("Nothing is lost: no differences.\n")


def test_books_that_do_not_add_up_fail(told: Told, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from twin.measures import accounts

    right = accounts.account_run

    def wrong(run: Path) -> accounts.Accounts:
        books = right(run)
        books.differences.append("mug at main: movements add up to 3, 2 units are there")
        return books

    monkeypatch.setattr(accounts, "account_run", wrong)
    code, out, _ = told("books", finished)
    assert code == 1
    assert out.endswith("1 differences:\n  mug at main: movements add up to 3, 2 units are there\n")


def test_verify_names_the_digest(told: Told, finished: Path) -> None:
    code, out, _ = told("verify", finished)
    assert code == 0
    assert f"digest: {read_manifest(finished).digest}\n" in out


def test_entries_are_exported_as_the_lines_the_digest_links(told: Told, finished: Path, tmp_path: Path) -> None:
    from twin.codec import GENESIS, link

    assert told("export", finished, "--entries", tmp_path / "e.jsonl")[0] == 0
    digest = GENESIS
    for encoded in (tmp_path / "e.jsonl").read_bytes().splitlines():
        digest = link(digest, encoded)
    assert digest.hex() == read_manifest(finished).digest
    assert told("export", finished, "--entries", tmp_path / "e.jsonl")[0] == 2


def test_validate_tells_the_problems_of_all_files(told: Told, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("schema: 1\ncolour: red\n")
    code, out, err = told("validate", MINIMAL, wrong, tmp_path / "none.yaml")
    assert code == 2
    assert out == f"{MINIMAL}: The least that runs: valid\n"
    assert f"{wrong}:2: unknown key 'colour'" in err
    assert f"{tmp_path}/none.yaml: no such file\n" in err
    assert err.endswith("twin: 2 of 3 scenarios cannot be used\n")


def test_validate_looks_at_scenarios_as_settings_change_them(told: Told) -> None:
    demo = ROOT / "scenarios/demo.yaml"
    code, out, _ = told("validate", MINIMAL, "--set", "title=Another", "--set", "warehouses[main].pickers=8")
    assert (code, out) == (0, f"{MINIMAL}: Another: valid\n")
    code, out, err = told("validate", MINIMAL, "--set", "warehouses[main].pickers=none")
    assert (code, out) == (2, "")
    assert err.startswith(f"{MINIMAL}: --set: warehouses[0].pickers: ")
    assert err.endswith("twin: 1 of 1 scenarios cannot be used\n")
    # What one of them has not is told of that one, and the others are looked at.
    code, out, err = told("validate", demo, MINIMAL, "--set", "warehouses[main].pickers=8")
    assert (code, out) == (2, f"{MINIMAL}: The least that runs: valid\n")
    assert f"{demo}: --set warehouses[main].pickers=8: no warehouse 'main'" in err
    assert err.endswith("twin: 1 of 2 scenarios cannot be used\n")


def test_a_check_that_holds_leaves_with_0_and_one_that_fails_with_1(told: Told, tmp_path: Path) -> None:  # EX-05
    assert told("check", MINIMAL)[0] == 0
    strict = tmp_path / "strict.yaml"
    strict.write_text(
        f"schema: 1\nextends: {os.path.relpath(MINIMAL, tmp_path)}\n"
        "expect: [{kind: measure, name: open_orders, at_least: 100000}]\n"
    )
    code, out, _ = told("check", strict)
    assert code == 1
    assert "FAILS" in out
    assert "to see it again: twin " in out


def test_diagrams_show_every_aggregate(told: Told) -> None:
    from twin.core.stages import AGGREGATES

    _, out, _ = told("diagrams")
    assert out.count("stateDiagram-v2") == len(AGGREGATES)


def test_a_defect_names_seed_and_position_and_leaves_with_70(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twin.world.kernel import World

    def broken(self: World, until: int) -> None:
        raise CorruptLog("main/mug: 3 units free, 2 on hand")

    monkeypatch.delenv("TWIN_TRACEBACK", raising=False)
    monkeypatch.setattr(World, "run", broken)
    code, out, err = told("run", MINIMAL, "--out", tmp_path / "run", "--seed", "5")
    assert (code, out) == (70, "")
    assert "CorruptLog: main/mug: 3 units free, 2 on hand" in err
    assert "seed 5, after entry " in err
    assert f"to see it again: twin run {MINIMAL} --seed 5 --out NEW_FOLDER" in err
    assert "is cut off" in err
    assert "Traceback" not in err
    monkeypatch.setenv("TWIN_TRACEBACK", "1")
    assert "Traceback" in told("run", MINIMAL, "--out", tmp_path / "other", "--seed", "5")[2]


def test_a_run_refused_in_its_middle_says_so_and_is_replaced_by_force(told: Told, tmp_path: Path) -> None:  # PL-02
    scenario = outside(between_two(busy=True))
    recorded, again = tmp_path / "recorded", tmp_path / "again"
    Twin(scenario).run(out=recorded, services={"nearest": nearest()})
    path = tmp_path / "outside.yaml"
    path.write_text(scenario.to_yaml(), encoding="utf-8")
    command = ("run", path, "--out", again, "--service", f"nearest=recorded:{recorded}", "--quiet", "--no-report")
    code, _, err = told(*command, "--seed", "9")
    assert code == 2
    assert "was another question in that run" in err
    assert f"{again} is cut off: it has no manifest.json; run it again with --force, or remove it" in err
    assert "to see it again" not in err
    assert told(*command, "--force")[0] == 0


def test_a_refusal_does_not_call_what_others_wrote_cut_off(told: Told, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    code, _, err = told("run", MINIMAL, "--out", tmp_path)
    assert (code, "is cut off" in err) == (2, False)


def test_an_error_of_the_system_names_the_file_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(OSError(28, "No space left on device", "run/entries")) == 2
    assert capsys.readouterr().err == "twin: run/entries: No space left on device\n"
    assert tell(OSError(28, "No space left on device")) == 2
    assert capsys.readouterr().err == "twin: No space left on device\n"


def test_help_loads_no_part_of_the_world(fresh_python: Callable[..., str]) -> None:
    program = """
import contextlib, io, sys
from twin.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    main(["--help"])
heavy = ("simpy", "pyarrow", "pydantic", "duckdb", "matplotlib", "rich", "msgspec", "twin.run", "twin.log")
print(*(name for name in sys.modules if name.startswith(heavy)))
"""
    assert fresh_python(program).split() == []


def test_dead_letters_are_listed_with_reason_owner_age_and_value(told: Told, tmp_path: Path) -> None:  # RC-03
    drill = ROOT / "scenarios/drills/errors.yaml"
    lone = "policies.delivery.erp.retries.max=0"
    settings = ["--set", lone, "--set", "policies.delivery.erp.dead_letters={owner: ann, expire: 3d}"]
    assert told("run", drill, "--out", tmp_path / "run", "--quiet", "--no-report", *settings)[0] == 0
    code, out, err = told("dead-letters", tmp_path / "run")
    assert (code, err) == (0, "")
    assert "ann" in out
    assert "expired" in out
    code, out, _ = told("dead-letters", tmp_path / "run", "--json", "--gateway", "erp")
    rows = json.loads(out)
    assert rows
    assert all(row["owner"] == "ann" and row["expired"] and row["value_minor"] > 0 and row["reason"] for row in rows)
    assert all(row["expires_at"] == row["since"] + 3 * 86_400_000 for row in rows)
    code, _, err = told("dead-letters", tmp_path / "run", "--gateway", "bank")
    assert code == 2
    assert "--gateway bank: no dead letter is for it; there are some for erp" in err


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A watched run in which the ERP refuses some messages, and nobody sends them again."""
    folder = tmp_path_factory.mktemp("troubled") / "run"
    monitor = "{every: 1m, alerts: [{id: given-up, kind: dead_letters, gateway: '*', above: 0, delay: 1m}]}"
    settings = ["--set", "policies.delivery.erp.retries.max=0", "--set", f"monitor={monitor}"]
    drill = str(ROOT / "scenarios/drills/errors.yaml")
    assert main(["run", drill, "--out", str(folder), "--quiet", "--no-report", *settings]) == 0
    return folder


def test_messages_count_the_dead_letters_and_are_given_as_json(told: Told, troubled: Path) -> None:  # RC-03
    letters = [row["key"] for row in json.loads(told("dead-letters", troubled, "--json")[1])]
    assert letters
    out = told("messages", troubled)[1]
    # What a narrow column breaks over lines is not asked for.
    assert f"dead letters {len(letters)} " in " ".join(out.split())
    code, out, _ = told("messages", troubled, "--json")
    found = json.loads(out)
    assert sorted(found["dead_letters"]) == sorted(letters)
    assert found["attempted"] >= found["ok"] > 0
    assert (found["valid"], code) in ((True, 0), (False, 1))


def test_what_was_taken_back_is_neither_lost_nor_a_dead_letter(told: Told, tmp_path: Path) -> None:  # RC-03, IM-02
    # Releases that were given up fall back to another warehouse once they are cancelled here.
    drill = ROOT / "scenarios/drills/warehouse_gone.yaml"
    assert told("run", drill, "--out", tmp_path / "run", "--quiet", "--no-report")[0] == 0
    code, out, _ = told("dead-letters", tmp_path / "run", "--json")
    assert code == 0
    letters = [row["key"] for row in json.loads(out)]
    code, out, _ = told("messages", tmp_path / "run", "--json")
    found = json.loads(out)
    assert (code, found["lost"]) == (0, [])
    assert sorted(found["dead_letters"]) == sorted(letters)
    assert len(found["withdrawn"]) > 10 and set(found["withdrawn"]).isdisjoint(letters)


def test_alerts_are_given_as_json(told: Told, troubled: Path) -> None:  # OB-05
    code, out, _ = told("alerts", troubled, "--json")
    assert code == 0
    found = json.loads(out)
    assert {"alerts", "missed", "false_alarms"} == set(found)
    assert found["alerts"]
    start = read_manifest(troubled).start_ms
    assert all(one["rule"] == "given-up" and one["raised_at"] > start for one in found["alerts"])


def test_books_are_given_as_json(told: Told, finished: Path) -> None:  # FI-01
    code, out, _ = told("books", finished, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["order_book"] is None
    books = found["books"]
    ends = ("delivered", "cancelled", "rejected", "open")
    assert books["captured"]["lines"] == sum(books[end]["lines"] for end in ends) > 0
    assert books["differences"] == []


TABLES = [
    "measures RUN",
    "measures RUN --base RUN",
    "alerts RUN",
    "messages RUN",
    "books RUN",
    "dead-letters RUN",
    "interfaces RUN",
    "check SCENARIO --quiet",
    "recover SCENARIO --quiet",
    "experiment PLAN --out OUT --quiet --spread --regret",
    "answers PLAN --out OUT --quiet",
    "exposure SMALL --longest 12h --seeds 2 --start 9h --runs 40 --quiet",
]


@pytest.mark.parametrize("command", TABLES)
def test_tables_stay_legible_in_60_columns(
    told: Told, troubled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:  # OB-06
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        f"experiment: 1\ntitle: A case\nscenarios: [{MINIMAL}]\nseeds: 2\n"
        "variants: [{id: base, change: {interfaces: [{id: wms, to: warehouse/main}]}}]\n"
        "outages:\n"
        "  - id: a-warehouse-that-answers-nothing\n"
        "    starts: [9h]\n"
        "    change: {faults: [{kind: outage, id: wms, interface: wms, from: $start, for: 1h}]}\n"
    )
    small = tmp_path / "small.yaml"
    small.write_text(f"extends: {MINIMAL}\nrun: {{horizon: 4d}}\ninterfaces: [{{id: wms, to: warehouse/main}}]\n")
    places = {
        "RUN": troubled,
        "SCENARIO": ROOT / "scenarios/drills/outage_erp.yaml",
        "SMALL": small,
        "PLAN": plan,
        "OUT": tmp_path / "out",
    }
    words = [places.get(word, word) for word in command.split()]
    # Measures have notes only where there is room for them.
    monkeypatch.setattr("twin.cli.measures.WIDE", 1_000)
    monkeypatch.setenv("COLUMNS", "300")
    wide = told(*words)
    assert wide[0] in (0, 1), wide[2]
    monkeypatch.setenv("COLUMNS", "60")
    narrow = told(*words)
    assert narrow[0] == wide[0]
    # Titles and remarks are lines of their own, and left to the terminal.
    remarks = wide[1].splitlines()
    assert [row for row in narrow[1].splitlines() if len(row) > 60 and row not in remarks] == []
    assert "…" not in narrow[1]
    there = narrow[1].split()
    rows = [row for row, below in pairwise([*remarks, ""]) if not below.startswith(" ──") and not row.startswith(" ──")]
    assert [word for word in " ".join(rows).split() if len(word) <= WORD_MAX and word not in there] == []


def test_a_run_without_dead_letters_says_so(told: Told, finished: Path) -> None:
    assert told("dead-letters", finished) == (0, "no dead letters\n", "")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["interfaces", "--slo", "epr=2s@99%"], "no gateway is named so; there are"),
        (
            ["blast", "--interface", "erp", "--from", "100d", "--to", "101d"],
            "the window lies outside the time of the run",
        ),
    ],
)
def test_what_can_have_found_nothing_is_refused(
    words: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drill = ROOT / "scenarios/drills/outage_erp.yaml"
    assert main(["run", str(drill), "--out", str(tmp_path / "run"), "--no-report", "--quiet"]) == 0
    capsys.readouterr()
    assert main([words[0], str(tmp_path / "run"), *words[1:]]) == 2
    out, err = capsys.readouterr()
    assert why in err and not out


def test_runs_of_different_times_are_no_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = str(ROOT / "scenarios/minimal.yaml")
    for name, horizon in (("long", "2d"), ("short", "1d")):
        asked = ["--set", f"run.horizon={horizon}", "--no-report", "--quiet"]
        assert main(["run", small, "--out", str(tmp_path / name), *asked]) == 0
    assert main(["measures", str(tmp_path / "short"), "--base", str(tmp_path / "long")]) == 2
    assert "only runs of one time are a pair" in capsys.readouterr().err


def test_the_reader_of_a_pipe_may_have_enough(tmp_path: Path) -> None:
    assert main(["run", str(ROOT / "scenarios/minimal.yaml"), "--out", str(tmp_path / "run"), "--quiet"]) == 0
    asked = f"set -o pipefail; {sys.executable} -m twin measures {tmp_path / 'run'} | head -1"
    assert subprocess.run(["bash", "-c", asked], cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_a_number_stays_on_one_line_however_narrow_the_terminal_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    made = table("", "What", "Units")
    made.add_row("all that was sent to the north", "123,456,789,012,345")
    show(made)
    assert "123,456,789,012,345" in capsys.readouterr().out
