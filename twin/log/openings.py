"""What a run's opening held and what became of it, kept beside the log."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from twin.log.errors import RunError
from twin.opening import OpeningReport

__all__ = ["OPENING", "read_opening_report", "write_opening_report"]

OPENING: Final = "opening.json"


def write_opening_report(run: Path, report: OpeningReport) -> None:
    """Keep the report beside the run's log."""
    (run / OPENING).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def read_opening_report(run: Path) -> OpeningReport | None:
    """The report, or None for a run that began with no opening. Raises `RunError` where it is damaged."""
    path = run / OPENING
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=OpeningReport)
    except msgspec.MsgspecError as error:
        raise RunError(f"{path} cannot be read: {error}; restore it or run it again") from error
