"""Measures of runs of the real engine: from memory and from Parquet alike, in agreement with the engine's state."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from tests.unit.log_samples import START, Business, busy_week
from twin.core.events import Event
from twin.log import CostRates, MemoryLog, RunError, RunLog, TruthLog, manifest_of, write_manifest
from twin.measures import MEASURES, Facts, compute, compute_facts, decimal, write_measures
from twin.measures.folds import FOLDS
from twin.measures.measured import percentile
from twin.measures.reference_page import page

RATES = CostRates(holding=(1, 7), holding_ppm_per_year=200_000, penalty=(3, 2))


@pytest.fixture(scope="module")
def week() -> Business:
    return busy_week()


def end_of(business: Business) -> int:
    return business.driver.engine.state.now + 1


def facts_of_memory(business: Business) -> Facts:
    assert isinstance(business.log, MemoryLog)
    return Facts.collect(business.log.entries, START, end_of(business), 0, RATES)


def finished(run: Path, part_rows: int = 65536) -> Business:
    business = busy_week(RunLog(run, part_rows=part_rows))
    log = business.log
    assert isinstance(log, RunLog)
    write_manifest(
        run,
        manifest_of(
            log,
            title="A week",
            scenario_digest="",
            seed=1,
            versions={},
            start_ms=START,
            end_ms=end_of(business),
            rates=RATES,
        ),
    )
    return business


# OB-06
@pytest.mark.parametrize("part_rows", [7, 65536])
def test_measures_are_the_same_from_parquet_as_from_memory(tmp_path: Path, week: Business, part_rows: int) -> None:
    finished(tmp_path, part_rows)
    from_parquet = compute(tmp_path)
    assert from_parquet == compute_facts(facts_of_memory(week))
    assert len(from_parquet) > 60


# OB-06
def test_the_facts_agree_with_the_engines_own_state(week: Business) -> None:
    state = week.driver.engine.state
    facts = facts_of_memory(week)
    believed = {(node, sku): cell for node, cells in state.stock.items() for sku, cell in cells.items()}
    assert believed
    for (node, sku), cell in believed.items():
        known = facts.cells[node][sku]
        assert (known.on_hand, known.free, known.backordered) == (cell.on_hand, cell.free, cell.backordered)
    assert sum(len(cells) for cells in facts.cells.values()) == len(believed)
    assert list(facts.orders) == list(state.orders)
    assert sorted(facts.purchases) == sorted(state.purchase_orders)
    assert sorted(facts.messages.open) == sorted(state.deliveries)
    assert sorted(facts.messages.dead) == sorted(state.dead_letters)
    assert facts.on_hand_units == sum(max(0, cell.on_hand) for cell in believed.values())
    assert facts.backordered_units == sum(cell.backordered for cell in believed.values())


def test_a_sound_run_breaks_nothing(week: Business) -> None:
    measured = compute_facts(facts_of_memory(week))
    for name in (
        "duplicate_effect_count",
        "lost_effect_count",
        "illegal_transition_count",
        "invoices_before_ship",
        "unbilled_shipped_value",
        "double_billed_value",
    ):
        assert measured[name].value == 0, name
    assert measured["event_completeness"].value == 1
    assert measured["lost_effect_count"].note == "of 20 required"


def test_the_truth_is_measured_where_it_was_recorded(tmp_path: Path) -> None:
    business = busy_week(RunLog(tmp_path))
    assert isinstance(business.log, RunLog)
    truth = TruthLog(tmp_path)
    state = business.driver.engine.state
    for node, cells in state.stock.items():
        for sku, cell in cells.items():
            truth.record(START, "stock.opening", "", node, sku, cell.on_hand)
    manifest = manifest_of(
        business.log,
        truth,
        title="",
        scenario_digest="",
        seed=1,
        versions={},
        start_ms=START,
        end_ms=end_of(business),
    )
    write_manifest(tmp_path, manifest)
    measured = compute(tmp_path)
    assert measured["inventory_record_accuracy"].value == 1
    assert measured["inventory_record_accuracy"].kind == "T"


def test_written_measures_are_exact_decimals_and_never_binary(tmp_path: Path) -> None:
    finished(tmp_path)
    measured = write_measures(tmp_path)
    text = (tmp_path / "measures.json").read_text(encoding="utf-8")
    rows = json.loads(text, parse_float=lambda found: pytest.fail(f"a binary number: {found}"))
    assert [row["name"] for row in rows] == list(measured)
    for row in rows:
        found = measured[row["name"]]
        assert row["kind"] in ("L", "T", "P")
        assert row["window"]
        if found.value is None:
            assert row["value"] is None
        else:
            assert isinstance(row["value"], str)
            shown = Fraction(Decimal(row["value"]))
            assert abs(shown - found.value) <= Fraction(1, 2)
            if found.unit == "ratio":
                assert abs(shown - found.value) <= Fraction(1, 2_000_000)


def test_measures_of_a_cut_off_run_are_refused(tmp_path: Path) -> None:
    busy_week(RunLog(tmp_path, part_rows=10))
    with pytest.raises(RunError, match="is cut off"):
        compute(tmp_path)


@pytest.mark.parametrize("seed", ["0", "12345"])
def test_measures_do_not_depend_on_the_hash_seed(week: Business, seed: str) -> None:
    script = (
        "from tests.unit.test_measures_of_runs import *\n"
        "week = busy_week()\n"
        "for found in compute_facts(facts_of_memory(week)).values(): print(found)\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
    )
    assert shown.stdout == "".join(f"{found}\n" for found in compute_facts(facts_of_memory(week)).values())


def test_every_event_has_a_fold_or_is_known_to_need_none() -> None:
    assert set(FOLDS) == set(Event.__args__)


def test_every_measure_says_what_it_is_and_how_it_counts() -> None:
    for spec in MEASURES.values():
        assert spec.doc.endswith("."), spec.name
        assert spec.window, spec.name
        assert spec.kind in ("L", "T", "P")


def test_the_reference_page_is_the_present_one(root: Path) -> None:
    # Made by `python -m twin.measures > docs/measures.md`.
    assert (root / "docs" / "measures.md").read_text(encoding="utf-8") == page(MEASURES.values())


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (Fraction(1, 3), 6, "0.333333"),
        (Fraction(-1, 3), 2, "-0.33"),
        (Fraction(5, 2), 0, "2"),
        (Fraction(7, 2), 0, "4"),
        (0, 2, "0.00"),
        (Fraction(-1, 1000), 2, "0.00"),
        (12345678901234567890, 2, "12345678901234567890.00"),
        (Fraction(199999, 100000), 2, "2.00"),
    ],
)
def test_numbers_are_printed_exactly(value: int | Fraction, digits: int, text: str) -> None:
    assert decimal(value, digits) == text


@pytest.mark.parametrize(
    ("percent", "rank"), [(1, 1), (10, 1), (11, 2), (50, 5), (51, 6), (90, 9), (91, 10), (100, 10)]
)
def test_a_percentile_is_the_nearest_rank(percent: int, rank: int) -> None:
    assert percentile(list(range(1, 11)), percent) == rank
    assert percentile([], percent) is None
