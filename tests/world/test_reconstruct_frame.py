"""The frame of a reconstruction: its time against the base's and the log's, what is refused first, where it is
written, and what its statement says of what was left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.world.test_reconstruct import BASE, DAY, HOUR, SECOND, SHORT, STRIKE, TRUTH, again, delivered
from twin.event_log import EventLog
from twin.experiment.reconstruction import Reconstruction
from twin.experiment.reconstruction_statement import AS_IT_WAS
from twin.replay.facts import CalibrationRefused
from twin.replay.interruption_rows import interruption_lines
from twin.replay.interruptions import Closure, Outage
from twin.replay.neutral import event_log_of_run
from twin.run import Run, load
from twin.scenario import Scenario

TRIAL = "interventions:\n  - {id: trial, at: 2d, for: 5d}\n"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load(TRUTH, SHORT | STRIKE).run(1, tmp_path_factory.mktemp("recorded") / "run")


@pytest.fixture(scope="module")
def log(recorded: Run) -> EventLog:
    return event_log_of_run(recorded.folder)


def base_of(folder: Path, text: str) -> Path:
    file = folder / "base.yaml"
    file.write_text(f"schema: 1\nextends: {BASE}\n{text}", encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def elsewhere(log: EventLog, recorded: Run, tmp_path_factory: pytest.TempPathFactory) -> Reconstruction:
    """With a base whose run begins three days before the log, and is over before the strike."""
    folder = tmp_path_factory.mktemp("elsewhere")
    file = base_of(folder, f"run: {{start: 2026-01-02T00:00Z, horizon: 10d, drain: 0d}}\n{TRIAL}")
    return again(log, recorded, file, folder / "out", distances=True, seeds=(1, 2))


# --- the time of the base


def test_closures_stand_where_the_log_has_them_whenever_the_base_runs(  # RP-05
    elsewhere: Reconstruction, recorded: Run
) -> None:
    strike = next(one for one in load(elsewhere.folder / "scenario.yaml").scenario.disruptions)
    assert strike.kind == "carrier_closed"
    assert abs(strike.from_ - 12 * DAY) <= HOUR and abs(strike.for_ - 2 * DAY) <= HOUR
    was, now = delivered(recorded.folder), delivered(elsewhere.runs[AS_IT_WAS][0])
    both = was.keys() & now.keys()
    assert len(both) > 0.97 * len(was) > 500
    assert sum(abs(was[parcel] - now[parcel]) <= 20 * 60 * SECOND for parcel in both) > 0.97 * len(both)
    # The wait is the strike's, and not the parcels' luck: without it, what it held comes sooner.
    assert [one.tag for one in elsewhere.statement.inputs if one.name == "carriers swift closed"] == ["measured"]
    # The file that was calibrated can be run by itself, over the same time.
    assert (
        load(elsewhere.folder / "calibrated.yaml").scenario.run == load(elsewhere.folder / "scenario.yaml").scenario.run
    )


def test_what_the_base_has_planned_is_told_to_come_at_other_times(  # RP-04
    elsewhere: Reconstruction, log: EventLog, recorded: Run, tmp_path: Path
) -> None:
    (told,) = [text for text in elsewhere.statement.never if "has planned" in text]
    assert "its times (interventions) are counted from the start of the log, 2026-01-05T00:00:00Z" in told
    assert "which is 3d later than the base's own" in told
    same = again(log, recorded, base_of(tmp_path, f"run: {{horizon: 18d}}\n{TRIAL}"), tmp_path / "out")
    assert not [text for text in same.statement.never if "has planned" in text]


def test_a_base_with_something_after_the_logs_end_is_refused_before_anything_is_made(
    log: EventLog, recorded: Run, tmp_path: Path
) -> None:
    late = "interventions:\n  - {id: trial, at: 40d, for: 5d}\n"
    told = r"base.yaml: it cannot run for the time of the log, .*2026-01-31T00:00:00Z: interventions\[0\].at: .* 40d"
    with pytest.raises(CalibrationRefused, match=told):
        again(log, recorded, base_of(tmp_path, late), tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- closures and outages that are left out

START = 1_767_571_200_000
CLOSURE = Closure("swift", START + 12 * DAY, START + 14 * DAY, 68.0, 12.0, False)
OUTAGE = Outage(
    "erp", START + 3 * DAY, START + 3 * DAY + HOUR, (START, START), (START + 4 * DAY, START + 4 * DAY), 9, 3, True
)


def two_carriers(**changes: Any) -> Scenario:
    return load(BASE).scenario.with_changes({"interventions": None} | changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"disruptions": [{"kind": "carrier_closed", "carrier": "swift", "from": "1d", "for": "1h"}]}
            | {"interfaces": [{"id": "erp", "to": "erp"}]}
            | {"faults": [{"kind": "outage", "id": "mine", "interface": "erp", "from": "1d", "for": "1h"}]},
            ["the base has closures of it already", "the base has faults already"],
        ),
        ({"run": {"start": "2026-03-01T00:00Z"}}, ["outside the base's run", "outside the base's run"]),
    ],
)
def test_what_was_found_and_is_not_taken_is_no_measured_input(changes: dict[str, Any], why: list[str]) -> None:  # RP-04
    rows, lines = interruption_lines(two_carriers(**changes), [CLOSURE], [OUTAGE])
    assert [(row.tag, row.estimate, row.n) for row in rows] == [("assumed", None, 0)] * 2
    assert [row.note.rpartition("; ")[2] for row in rows] == why
    assert "68 deliveries were expected" in rows[0].note and "9 calls in a row failed" in rows[1].note
    assert lines == []


def test_what_is_taken_is_measured_and_in_the_file() -> None:
    rows, lines = interruption_lines(two_carriers(), [CLOSURE], [OUTAGE])
    assert [row.tag for row in rows] == ["measured", "measured"]
    assert [line for line in lines if "from: 12d, for: 2d" in line] and [line for line in lines if "for: 1h" in line]
