"""Interrupts (Ctrl-C) on the command line: what is told of them, wherever they come."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.commands import Told
from twin.cli.interrupting import Interrupts
from twin.cli.progress import Reporter

ROOT = Path(__file__).resolve().parents[2]
MINIMAL = str(ROOT / "scenarios/minimal.yaml")

INTERRUPTED = """
import os, signal, sys, threading
import duckdb
from twin.cli import main, profiling
from twin.event_log import EventLogError

# A shell that starts a job in the background has it ignore interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

def long(*asked):
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        # One thread and small steps, between which it looks for signals.
        duckdb.sql("set threads = 1")
        duckdb.sql("select sum(hash(range)) from range(1000000000000)").fetchall()
    except Exception as error:
        assert not isinstance(error, KeyboardInterrupt)
        if sys.argv[1] == "as it is":
            raise
        raise EventLogError("a.csv", f"cannot be used ({error})", "correct it") from None

profiling.read_log = long
sys.exit(main(["profile", "a.csv"]))
"""


@pytest.mark.parametrize("how", ["as it is", "as an error of the input"])
def test_an_interrupt_inside_a_query_is_an_interrupt_whatever_the_library_makes_of_it(how: str) -> None:
    """EX-05: neither a defect nor a mistake in the input is told; DuckDB raises `RuntimeError: Query interrupted`."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, how], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "twin: interrupted\n")


def test_an_interrupt_among_an_errors_causes_is_one_and_another_error_is_none() -> None:
    with Interrupts() as interrupts:
        try:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as error:
                raise ValueError("as a library says it") from error
        except ValueError as error:
            assert interrupts.behind(error)
        assert not interrupts.behind(ValueError("a mistake"))
    assert signal.getsignal(signal.SIGINT) != interrupts._note


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Interrupts raise `KeyboardInterrupt`; a shell that starts a job in the background has it ignore them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Finalized:
    """Does something while it is finalized, where no error gets out."""

    def __init__(self, does: Callable[[], object]) -> None:
        self.does = does

    def __del__(self) -> None:
        self.does()


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_that_was_swallowed_is_raised_at_the_next_sign_of_progress(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A finalizer lets no error out; the run would go on to its end, and nobody could stop it."""
    with Interrupts() as interrupts:
        Reporter()("running", 0, 2, 0)
        Finalized(lambda: signal.raise_signal(signal.SIGINT))
        assert interrupts.came
        assert capsys.readouterr() == ("", "")
        with pytest.raises(KeyboardInterrupt):
            Reporter()("running", 1, 2, 0)
        Reporter()("cleaning up", 1, 2, 0)


SWALLOWED = """
import signal, sys
import twin.scenario
from twin.cli import main

# A shell that starts a job in the background has it ignore interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

class Finalized:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def load(*asked, as_it_is=twin.scenario.load):
    Finalized()
    return as_it_is(*asked)

twin.scenario.load = load
sys.exit(main(sys.argv[1:]))
"""


def test_a_command_that_shows_no_progress_was_interrupted_too_although_it_went_on() -> None:
    """Its loop in a shell ends, and no exception is told that was ignored."""
    asked = [sys.executable, "-c", SWALLOWED, "validate", str(MINIMAL)]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (130, "twin: interrupted\n")
    assert done.stdout == f"{MINIMAL}: The least that runs: valid\n"


@pytest.mark.usefixtures("interruptible")
def test_what_else_a_finalizer_fails_with_is_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_type))
    before = sys.unraisablehook
    with Interrupts():
        Finalized(lambda: 1 // 0)
    assert told == [ZeroDivisionError]
    assert sys.unraisablehook is before


def test_an_interrupted_run_says_that_its_folder_is_cut_off(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "twin", "run", str(ROOT / "scenarios/demo.yaml"), "--out", str(out)]
    # A job that a script started in the background ignores the signal, and so would every process below it.
    running = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not out.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert f"{out} is cut off" in err
    assert err.endswith("twin: interrupted\n")
    assert "Traceback" not in err


def test_a_run_that_is_interrupted_at_its_report_is_whole_and_says_so(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("twin.cli.summary.Summary.__init__", interrupted)
    out = tmp_path / "my run"
    code, _, err = told("run", MINIMAL, "--out", out, "--quiet")
    assert code == 130
    assert err == f"{out} is whole, but for its report; write that with: twin report '{out}'\ntwin: interrupted\n"
    monkeypatch.undo()
    assert told("report", out)[0] == 0
    assert (out / "report.html").is_file()


def test_an_interrupt_before_an_earlier_run_is_replaced_says_nothing_of_that(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    assert told("run", MINIMAL, "--out", out, "--quiet", "--no-report")[0] == 0

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("twin.run.build", interrupted)
    asked = ("run", MINIMAL, "--out", out, "--force", "--quiet")
    assert told(*asked) == (130, "", "twin: interrupted\n")
    monkeypatch.undo()
    monkeypatch.setattr("twin.cli.summary.Summary.__init__", interrupted)
    assert told(*asked, "--no-report") == (130, "", f"{out} is whole\ntwin: interrupted\n")
