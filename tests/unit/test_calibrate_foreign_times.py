"""What a scenario from a foreign log says of promises, cancellations and trends, each against a log that tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from tests.unit.foreign_logs import DAY, HOUR, UNTIL, known_log
from twin.event_log import EventLog
from twin.replay.foreign import ForeignCalibration, calibrate_log
from twin.replay.foreign_cases import Case
from twin.replay.foreign_times import LANE_MIN
from twin.run import Twin
from twin.scenario import Scenario, load

SEVENTEEN = UNTIL - 17 * 7 * DAY
"""So many weeks before the end, for what needs no year."""


def changed(log: EventLog, name: str, values: list[Any]) -> EventLog:
    """The log with another column."""
    place = log.table.column_names.index(name)
    field = log.table.schema.field(place)
    return msgspec.structs.replace(log, table=log.table.set_column(place, field, pa.array(values, field.type)))


def promised(log: EventLog, keep: Any) -> EventLog:
    """The log with the promises of only those rows that `keep` takes."""
    rows = log.table.to_pylist()
    return changed(log, "promised_ms", [row["promised_ms"] if keep(row) else None for row in rows])


def scenario_of(made: ForeignCalibration, folder: Path) -> Scenario:
    """The scenario that the file says."""
    file = folder / "made.yaml"
    file.write_text(made.text, encoding="utf-8")
    return load(file)


def cases_at(made: ForeignCalibration, site: str, region: str) -> list[Case]:
    """All cases of a way that were delivered before the end of the period."""
    return [
        case
        for case in made.cases.cases
        if (made.places.site(case), made.places.region(case)) == (site, region)
        and case.delivered_at is not None
        and made.since <= case.began_at
        and case.delivered_at < made.until
    ]


# --- promises


def test_without_promises_nine_in_ten_of_a_run_come_within_what_customers_are_told(tmp_path: Path) -> None:
    """RP-03: the promise is of all hours, as a run counts it, from order to delivery, though times are working time."""
    made = calibrate_log(promised(known_log(1, 52), lambda row: False), UNTIL, horizon=28 * DAY)
    scenario = scenario_of(made, tmp_path)
    assert made.text.count("assumed: no promise is known; nine in ten came within ") == len(scenario.lanes) == 6
    handling = {one.id: one.pick_time.told_ms for one in scenario.warehouses}
    for lane in scenario.lanes:
        cases = cases_at(made, lane.from_, lane.to)
        waits = [case.delivered_at - case.began_at for case in cases if case.delivered_at is not None]
        assert handling[lane.from_] + lane.promise_ms == pytest.approx(float(np.quantile(waits, 0.9)), rel=0.1)
    run = Twin(scenario).run(1, tmp_path / "run")
    assert 0.84 < run.measures["otif_to_promise"].value < 0.96


def test_a_promise_is_what_was_promised_less_what_is_told_of_handling(tmp_path: Path) -> None:
    """RP-03: all were promised ten days, so a run tells them ten days, as far as tables are rounded."""
    made = calibrate_log(known_log(1, 52), UNTIL, SEVENTEEN)
    scenario = scenario_of(made, tmp_path)
    handling = {one.id: one.pick_time.told_ms for one in scenario.warehouses}
    assert len(scenario.lanes) == 6 and min(handling.values()) > 20 * HOUR
    for lane in scenario.lanes:
        assert handling[lane.from_] + lane.promise_ms == pytest.approx(10 * DAY, abs=2 * HOUR)
    assert made.text.count("promised 10 d after the order (median, n ") == 6


@pytest.mark.parametrize(("known", "told"), [(LANE_MIN, "promised 10 d"), (LANE_MIN - 1, "no promise is known")])
def test_a_few_promises_are_no_rule(known: int, told: str) -> None:
    """RP-03: of one way thirty promises are taken for its rule, and twenty-nine are not."""
    log = known_log(1, 52)
    rows = log.table.to_pylist()
    of_way = [
        row["case_id"]
        for row in rows
        if (row["origin"], row["region"], row["activity"]) == ("North", "Near", "order_placed")
        and SEVENTEEN <= row["event_ms"]
    ]
    few = frozenset(of_way[:known])
    made = calibrate_log(promised(log, lambda row: row["case_id"] in few), UNTIL, SEVENTEEN)
    lane = made.text.split("from: north\n    to: near")[1].split("promise: ")[0].replace("\n    # ", " ")
    assert told in lane
    others = made.text.split("from: south\n    to: near")[1].split("promise: ")[0]
    assert "no promise is known" in others
