"""Scenarios made from real logs, held against what those businesses did next; skipped where the samples are absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.real_logs import DATA, LOGS, instant, lines, month_rows
from twin.replay.foreign import calibrate_log
from twin.replay.foreign_table import as_seen, seen_by, table_of_log
from twin.run import Twin
from twin.scenario import load

BY_NAME = {one.name: one for one in LOGS}
needs_samples = pytest.mark.skipif(
    not all((DATA / one.file).exists() for one in LOGS), reason="the samples are not beside the project (shared/data)"
)


@needs_samples
def test_the_slow_down_of_olist_shows_as_a_distance_and_only_where_it_was(tmp_path: Path) -> None:
    """RP-03: fitted before 2018, transits are longer than the model's in February and March 2018, and shorter in
    April; orders come as many as the trend of 2017 said, within a tenth."""
    one = BY_NAME["olist"]
    log = one.load(DATA / one.file)
    since, until = instant(one.until), instant(one.ends)
    made = calibrate_log(log, since, instant(one.since), horizon=until - since)
    (tmp_path / "olist.yaml").write_text(made.text, encoding="utf-8")
    seen = seen_by(made.cases, log.zone, log.as_of_ms)
    assert (seen.daily, seen.delivered_only) == ((), False)
    run = as_seen(Twin(load(tmp_path / "olist.yaml")).run(1, tmp_path / "run").folder, seen)
    real = table_of_log(made.cases.cases, made.places, since, until, seen)
    assert real.unplaced == 0
    months = {row["month"]: row for row in month_rows(real.table, [run])}
    ratios = {
        month: row["transit_mean_d"] / row["simulated_transit_mean_d"][0]
        for month, row in months.items()
        if row["simulated_transit_mean_d"]
    }
    assert ratios["2018-02"] > 1.2 and ratios["2018-03"] > 1.2
    assert ratios["2018-04"] < 1.0
    assert sum(row["placed"] for row in months.values()) == pytest.approx(len(run["case"].unique()), rel=0.1)


@needs_samples
@pytest.mark.parametrize("name", ["scms", "order_management"])
def test_a_real_log_becomes_a_scenario_from_its_fit_period_alone(name: str, tmp_path: Path) -> None:
    """RP-03: the scenario loads and runs, knows nothing of the test period, and says what it assumes."""
    one = BY_NAME[name]
    log = one.load(DATA / one.file)
    since, until = instant(one.until), instant(one.ends)
    made = calibrate_log(log, since, instant(one.since), origin=one.origin, horizon=until - since)
    (tmp_path / "made.yaml").write_text(made.text, encoding="utf-8")
    scenario = load(tmp_path / "made.yaml")
    assert scenario.run.start == since
    earlier = log.table.filter(_before(log, since))
    assert 0 < earlier.num_rows < log.table.num_rows
    cut = calibrate_log(_with(log, earlier, since), since, instant(one.since), origin=one.origin, horizon=until - since)
    assert cut.parameters == made.parameters
    seen = seen_by(made.cases, log.zone, log.as_of_ms)
    assert seen.delivered_only and ("captured" in seen.daily) == (name == "scms")
    run = as_seen(Twin(scenario).run(1, tmp_path / "run").folder, seen)
    real = table_of_log(made.cases.cases, made.places, since, until, seen)
    assert real.cases > 500
    assert len(run["case"].unique()) == pytest.approx(real.cases, rel=0.4)
    assert "# Assumed, since this log cannot tell:" in made.text


def _before(log: object, at: int) -> object:
    import pyarrow.compute as pc

    return pc.less(log.table["event_ms"], at)  # type: ignore[attr-defined]


def _with(log: object, table: object, as_of: int) -> object:
    import msgspec

    return msgspec.structs.replace(log, table=table, as_of_ms=as_of)  # type: ignore[type-var]


def test_a_sample_that_is_absent_is_named(tmp_path: Path) -> None:
    """RP-03: the benchmark says what it leaves out, and why, and goes on."""
    rows = list(lines(BY_NAME["olist"], tmp_path, 1, tmp_path / "out"))
    assert [row["skipped"] for row in rows] == [
        "olist/orders_before_2018-05.csv.gz is not beside the project; name the folder with --data"
    ]
    assert list(tmp_path.iterdir()) == []
