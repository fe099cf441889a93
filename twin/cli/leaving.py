"""How a run ends on the command line: what is left of one that was cut off, and what is shown of one that was not."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from twin.cli.failures import is_input_error
from twin.cli.progress import Reporter

if TYPE_CHECKING:
    from twin.run import Run

__all__ = ["leaving", "sum_up"]


@contextmanager
def leaving(out: Path, again: str) -> Iterator[None]:
    """Say what is left of a run that does not come to its end, and how to see a defect again."""
    before = _finished(out)
    try:
        yield
    except KeyboardInterrupt:
        now = _finished(out)
        if now is None and out.exists():
            sys.stderr.write(f"{_cut_off(out)}\n")
        elif now != before:
            sys.stderr.write(f"{_whole(out)}\n")
        raise
    except Exception as error:
        if not is_input_error(error):
            error.add_note(f"to see it again: {again} --out NEW_FOLDER")
        if (out / "entries").is_dir() and not (out / "manifest.json").exists():
            error.add_note(_cut_off(out))
        raise


def _cut_off(out: Path) -> str:
    return f"{out} is cut off: it has no manifest.json; run it again with --force, or remove it"


def _finished(out: Path) -> int | None:
    """When the run in a folder was finished, in ns; None where there is none. An earlier one is no run of ours."""
    manifest = out / "manifest.json"
    return manifest.stat().st_mtime_ns if manifest.exists() else None


def _whole(out: Path, *, no_report: bool = False) -> str:
    report = "" if no_report else f", but for its report; write that with: twin report {shlex.quote(str(out))}"
    return f"{out} is whole{report}"


def sum_up(done: Run, progress: Reporter, *, no_report: bool, quiet: bool) -> Callable[[], None]:
    """Compute what is shown at the end while the progress is still there; returns what shows it."""
    from twin.cli.summary import Summary

    try:
        summary = Summary(done, progress, with_report=not no_report, short=quiet)
    except KeyboardInterrupt:
        sys.stderr.write(f"{_whole(done.folder, no_report=no_report)}\n")
        raise
    return summary.show
