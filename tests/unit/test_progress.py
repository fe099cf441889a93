"""What is told on the way of a long command, and what is not told too early."""

from __future__ import annotations

import io
import sys

import pytest

from twin.cli.progress import SIMULATED, reporting


class Clock:
    """Seconds as the test sets them."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("time.monotonic", made)
    return made


def told(clock: Clock, capsys: pytest.CaptureFixture[str], what: str, reports: list[tuple[float, int]]) -> list[str]:
    with reporting() as progress:
        for at, done in reports:
            clock.now = at
            progress(what, done, 12, 0)
    return capsys.readouterr().err.splitlines()


def test_the_time_left_is_told_after_a_few_runs_from_the_first_that_is_reported(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """EX-05: the first report of a run comes when it is done, so that time since then said nothing of it."""
    rows = told(clock, capsys, "running the pairs", [(13.0, 1), (26.0, 2), (39.0, 3), (52.0, 4), (65.0, 5)])
    assert rows == [
        "running the pairs: 8 %",
        "running the pairs: 16 %",
        "running the pairs: 25 %",
        "running the pairs: 33 %, about 104 s left",
        "running the pairs: 41 %, about 91 s left",
    ]


def test_a_first_report_of_nothing_done_counts_from_there(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    rows = told(clock, capsys, "running the trials", [(0.0, 0), (10.0, 2), (30.0, 6), (60.0, 12)])
    assert [row.partition(", ")[2] for row in rows] == ["", "about 30 s left", ""]


def test_simulated_time_goes_on_evenly_and_needs_no_few_runs(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    rows = told(clock, capsys, SIMULATED, [(1.0, 0), (11.0, 3)])
    assert rows == [f"{SIMULATED}: 25 %, day 1 of 1, about 30 s left"]


def test_a_bar_tells_no_time_before_a_few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    with reporting() as progress:
        columns = progress._bars.columns  # type: ignore[attr-defined]
        remaining = next(column for column in columns if type(column).__name__ == "Remaining")
        progress("running the pairs", 1, 12, 0)
        (task,) = progress._bars.tasks  # type: ignore[attr-defined]
        assert (str(remaining.render(task)), task.fields["enough"]) == ("-:--:--", False)
        progress("running the pairs", 4, 12, 0)
        assert task.fields["enough"] is True
