"""What a user sees when a command cannot do its work: one message, no traceback, and an exit code.

0 done, 1 a check does not hold, 2 the input is wrong, 70 a defect of this program, 130 interrupted.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from typing import Final

__all__ = ["FAILED", "INTERRUPTED", "WRONG_INPUT", "InputError", "is_input_error", "tell"]

FAILED: Final = 1
WRONG_INPUT: Final = 2
DEFECT: Final = 70
INTERRUPTED: Final = 130

TRACEBACK: Final = "TWIN_TRACEBACK"
"""Environment variable: set to 1, a defect is shown with its traceback."""

_INPUT_ERRORS: Final = (
    "adapters.ocel.problems.OcelError",
    "adapters.sqlite_journal.JournalError",
    "twin.cli.failures.InputError",
    "twin.codec.CodecError",
    "twin.decisions.ServiceRefused",
    "twin.event_log.EventLogError",
    "twin.experiment.baselines.BaselineError",
    "twin.experiment.executors.ExecutorRefused",
    "twin.experiment.regression.NothingCompared",
    "twin.experiment.sensitivity.AnalysisMissing",
    "twin.log.errors.RunError",
    "twin.log.folder.RunRefused",
    "twin.opening.OpeningError",
    "twin.order_book.OrderBookError",
    "twin.residuals.ResidualsError",
    "twin.replay.facts.CalibrationRefused",
    "twin.replay.fold.Diverged",
    "twin.replay.distances.DistancesMissing",
    "twin.replay.event_table.EventTableError",
    "twin.run.SnapshotError",
    "twin.scenario.errors.ScenarioError",
)
"""Errors of the input, by name: to import them all would cost every command a second."""


_OVERRIDES: Final = re.compile(r"^overrides: ", re.MULTILINE)


class InputError(ValueError):
    """An option or argument that cannot be used; the text says what would be right."""


def tell(error: BaseException) -> int:
    """Say on stderr what went wrong; returns the exit code."""
    if is_input_error(error):
        # What Python calls overrides came by an option here.
        _say(_OVERRIDES.sub("--set: ", str(error)), *_notes(error))
        return WRONG_INPUT
    if isinstance(error, OSError):
        # A full disk or a missing permission; a stream has no file name.
        place = "" if error.filename is None else f"{error.filename}: "
        _say(f"{place}{error.strerror or error}", *_notes(error))
        return WRONG_INPUT
    lines = [f"this is a defect of the program, not of your input: {type(error).__name__}: {error}", *_notes(error)]
    if os.environ.get(TRACEBACK) == "1":
        lines.append("".join(traceback.format_exception(error)).rstrip())
    else:
        lines.append(f"{TRACEBACK}=1 in the environment shows where")
    _say(*lines)
    return DEFECT


def is_input_error(error: BaseException) -> bool:
    """Whether it is a mistake in the input, which the text explains; not a defect, and not the machine's."""
    return any(f"{kind.__module__}.{kind.__qualname__}" in _INPUT_ERRORS for kind in type(error).__mro__)


def _notes(error: BaseException) -> list[str]:
    return list(getattr(error, "__notes__", ()))


def _say(*lines: str) -> None:
    text = "\n".join(lines)
    # A list of places begins each of its lines with the place.
    prefix = "" if "\n" in lines[0] else "twin: "
    sys.stderr.write(f"{prefix}{text}\n")
