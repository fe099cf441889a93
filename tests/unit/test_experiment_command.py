"""What `twin experiment` and `twin warmup` show and write."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import twin as tw
from twin.cli.app import main
from twin.cli.tight import show_tight

ROOT = Path(__file__).resolve().parents[2]
MINIMAL = ROOT / "scenarios" / "minimal.yaml"


def plan_in(folder: Path, more: str, scenarios: str = f"[{MINIMAL}]") -> str:
    path = folder / "plan.yaml"
    path.write_text(f"experiment: 1\ntitle: A case\nscenarios: {scenarios}\n{more}", encoding="utf-8")
    return str(path)


def rows_of(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


TWO = "variants: [{id: base}, {id: slow, change: {warehouses: [{id: main, pick_time: {order: 25m}}]}}]\n"


LONG = (
    "variants: [{id: base}, {id: b}, {id: c}, {id: d}, {id: e}]\nseeds: 2\n"
    "measures: [otif_to_promise, order_to_ship, margin, orders_captured, unit_fill_rate, revenue]\n"
)


def test_one_seed_gives_differences_and_says_that_it_cannot_tell_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    more = TWO + "seeds: 1\nmeasures: [{name: order_to_ship, better: low}]\n"
    assert main(["experiment", plan_in(tmp_path, more), "--out", str(out), "--quiet", "--spread", "--regret"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "n too small" in said and "2 runs, cold" in said and "tell who is best" in said
    (row,) = rows_of(out / "differences.csv")
    assert float(row["difference"]) > 0
    assert (row["n"], row["low"], row["p"], row["differs"], row["note"]) == ("1", "", "", "False", "n too small")


def test_the_usual_tables_fit_80_columns_and_say_once_what_all_rows_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """EX-05: rows stay rows; too few seeds, and one scenario, are told once, and columns of dashes are left out."""
    monkeypatch.setenv("COLUMNS", "80")
    more = TWO.replace("]\n", ", {id: again}]\n", 1) + "seeds: 2\nmeasures: [*]\n"
    names = ("otif_to_promise", "order_to_ship", "margin")
    more = more.replace("*", ", ".join(f"{{name: {name}, better: high}}" for name in names))
    plan = plan_in(tmp_path, more)
    assert main(["experiment", plan, "--out", str(tmp_path / "out"), "--quiet", "--spread"]) == 0
    differences, spread = capsys.readouterr().out.split("Single runs: ")
    assert differences.startswith("Each variant less base, on the same seeds, cold, Scenario minimal, n 2\n")
    rows = [row.split() for row in differences.splitlines()]
    # A table a measure, since all of them together are wider.
    assert [row[0] for row in rows if len(row) == 1 and row[0].isidentifier()] == list(names)
    assert ["a:", "the", "same", "under", "every", "seed"] in rows
    assert differences.count("the same under every seed") == 1
    # The title is folded too.
    body = spread.splitlines()
    assert "Scenario minimal, n 2, n too small: 20 runs are needed" in " ".join(spread.split())
    assert spread.count("n too small") == 1 and "CVaR  " not in spread and "–" not in spread
    assert len([row for row in body if "otif_to_promise" in row]) == 5
    for row in [*differences.splitlines(), *body[:-1]]:
        assert len(row) <= 80
    # What was left out there stands on the page and in the files.
    page = (tmp_path / "out" / "answers.md").read_text(encoding="utf-8")
    assert page.count("n too small: 20 runs are needed") == 15


def test_a_note_of_one_row_stands_in_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("x", "1", "odd"), ("y", "2", "often"), ("z", "–", "often")]
    show_tight("T", ("Variant", "Value", "Note"), rows)
    said = capsys.readouterr().out
    assert "odd" in said and "a: often" in said and said.count("often") == 1
    assert "–" in said


def test_every_table_is_written_as_csv_and_on_one_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    busy = tmp_path / "busy.yaml"
    busy.write_text(f"extends: {MINIMAL}\nchannels: [{{id: web, demand: {{rate: 3/h}}}}]\n", encoding="utf-8")
    more = TWO + "seeds: 20\nmeasures: [{name: order_to_ship, better: low}, orders_captured, otif/none]\n"
    plan = plan_in(tmp_path, more.replace("otif/none", "revenue/none"), f"[{MINIMAL}, {busy}]")
    command = ["experiment", plan, "--out", str(out), "--quiet", "--spread", "--regret"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "no run has a measure 'revenue/none'" in said
    regrets = {row["variant"]: row for row in rows_of(out / "regret-order_to_ship.csv")}
    assert float(regrets["base"]["worst"]) == 0 and regrets["base"]["may_be_best_in"] == "minimal busy"
    assert 0 < float(regrets["slow"]["minimal"]) < float(regrets["slow"]["busy"]) == float(regrets["slow"]["worst"])
    spreads = rows_of(out / "spread.csv")
    assert len(spreads) == 2 * 2 * 3
    tail = next(row for row in spreads if (row["variant"], row["of"]) == ("slow", "differences"))
    assert float(tail["p50"]) < float(tail["p95"]) <= float(tail["cvar"])
    page = (out / "answers.md").read_text(encoding="utf-8")
    assert page.count("\n## ") == 3
    # A second look runs nothing again and shows the same.
    assert main(command) == 0
    assert capsys.readouterr().out == said


def test_what_cannot_be_given_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """EX-05: no empty table of influences, and no folder where a file is."""
    plan, out = plan_in(tmp_path, TWO), tmp_path / "out"
    assert main(["experiment", plan, "--out", str(out), "--influence"]) == 2
    said = capsys.readouterr().err
    assert "--influence: there is no Latin hypercube in the plan" in said and "leave --influence out" in said
    assert not out.exists()
    out.write_text("mine")
    for command, where in (("experiment", out), ("answers", out), ("experiment", out / "inner")):
        assert main([command, plan, "--out", str(where)]) == 2
        assert f"--out {where}: {out} is a file; give a folder" in capsys.readouterr().err
    assert out.read_text() == "mine"


def test_a_reader_that_has_had_enough_of_a_long_answer_is_no_failure(tmp_path: Path) -> None:
    """EX-05: at 30 columns the answer is longer than what is held back before it is written."""
    asked = f"{sys.executable} -m twin experiment {plan_in(tmp_path, LONG)} --out {tmp_path / 'out'} --quiet --spread"
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {asked} | head -1"],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "30"},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Each variant less base")


def test_the_influence_of_factors_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("SALib")
    more = (
        "measures: [order_to_ship]\nseeds: 1\n"
        "design:\n  kind: latin_hypercube\n  points: 60\n  factors:\n"
        "    - {id: pick, low: 1, high: 20, whole: true, change: "
        "{warehouses: [{id: main, pick_time: {order: '${value}m'}}]}}\n"
        "    - {id: price, low: 1, high: 9, whole: true, change: {items: [{id: mug, price: '${value}.00 GBP'}]}}\n"
    )
    out = tmp_path / "out"
    assert main(["experiment", plan_in(tmp_path, more), "--out", str(out), "--quiet", "--influence"]) == 0
    first, second = rows_of(out / "influence.csv")
    assert (first["factor"], second["factor"]) == ("pick", "price")
    assert float(first["first_order"]) > 0.7 > 0.4 > float(second["first_order"])


def test_the_public_name_reads_well_in_a_notebook(tmp_path: Path) -> None:
    plan = {"experiment": 1, "title": "t", "scenarios": ["minimal.yaml"], "variants": [{"id": "base"}], "seeds": 2}
    results = tw.Experiment.of(plan, MINIMAL.parent).run(tmp_path / "out")
    assert sorted(results.values("minimal", "base", "orders_captured")) == [1, 2]


def test_the_warm_up_of_a_business_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warmup", str(ROOT / "scenarios/drills/base.yaml"), "--seeds", "2", "--quiet"]) == 0
    said = capsys.readouterr().out
    assert "units on hand" in said and "run: {warmup: " in said
    # Stock that only falls never settles.
    assert main(["warmup", str(MINIMAL), "--seeds", "2", "--quiet"]) == 0
    said = capsys.readouterr().out
    assert "the run is too short to tell" in said and "run: {warmup" not in said
