"""Which reader a file needs, told by its content, and what every reader gives."""

from __future__ import annotations

import difflib
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from adapters.event_log.cloud_events import CloudEventsFile
from adapters.event_log.mapping import EventLogMapping
from adapters.event_log.objects import ObjectLogFile
from adapters.event_log.reading import ForeignFile
from adapters.event_log.traces import TracesFile
from twin.event_log import EventLogError, Remark

__all__ = ["LogFile", "missing_column", "open_file"]

_HEAD: Final = 1 << 16
_GZIP_WINDOW: Final = 31
_SQLITE: Final = b"SQLite format 3\0"
_XML: Final = (b"<?xml", b"<!", b"<log")
_OCEL: Final = (b'"objectTypes"', b'"eventTypes"', b'"ocel:')


class LogFile(Protocol):
    """A file as a table: `columns` are known at once, the rest when it has been read.

    `bytes` is its size and `rows` its records, `holds` what is in it beyond these, `records` which of them each row of
    the table is of (None where it is the row's own number), and `remarks` what was met and not repaired.
    """

    path: Path
    columns: list[str]
    bytes: int
    rows: int
    holds: str
    records: Any
    remarks: list[Remark]

    def hint(self, column: str) -> str:
        """Why a column may not be found, as the end of a sentence; empty where nothing is known."""

    def read(self, columns: Sequence[str]) -> Any:
        """These columns, each once, as a `pyarrow.Table`."""


def open_file(path: Path, mapping: EventLogMapping) -> LogFile:
    """The file, opened by the reader that it needs. Raises `EventLogError` where it cannot be used."""
    file = _opened(path, mapping)
    # Told after the file has been looked at: what is cut off may only seem to be of another form.
    if mapping.case is not None and not isinstance(file, ObjectLogFile):
        raise EventLogError(
            "mapping.case", f"follows objects, and {path} is no object-centric log", "leave it out, or give OCEL 2.0"
        )
    if mapping.each is not None and not isinstance(file, CloudEventsFile):
        raise EventLogError(
            "mapping.each", f"follows a list of CloudEvents, and {path} holds none", "leave it out, or give CloudEvents"
        )
    return file


def _opened(path: Path, mapping: EventLogMapping) -> LogFile:
    start = _start(path)
    if start.startswith(_SQLITE):
        return ObjectLogFile(path, mapping)
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(_XML):
        return (
            ObjectLogFile(path, mapping)
            if b"<object-types" in text or b"<event-types" in text
            else TracesFile(path, mapping)
        )
    if text.startswith((b"{", b"[")):
        return CloudEventsFile(path, mapping) if _is_lines(text) else ObjectLogFile(path, mapping)
    return ForeignFile(path, mapping.delimiter, mapping.encoding)


def _start(path: Path) -> bytes:
    """The first bytes, unpacked; what is wrong with a file that has none is told by its reader."""
    try:
        with path.open("rb") as file:
            start = file.read(_HEAD)
        if start[:2] == b"\x1f\x8b":
            # As much as there is: a stream that is cut off is told by the reader, with its line.
            start = zlib.decompressobj(_GZIP_WINDOW).decompress(start, _HEAD)
    except (OSError, zlib.error):
        return b""
    return start


def _is_lines(text: bytes) -> bool:
    """Whether this is one JSON object a line, and not one document of OCEL."""
    if any(mark in text for mark in _OCEL):
        return b'"specversion"' in text.partition(b"\n")[0]
    if b'"specversion"' in text:
        return True
    try:
        return isinstance(json.loads(text.partition(b"\n")[0]), dict)
    except ValueError:
        return False


def missing_column(file: LogFile, column: str, key: str) -> EventLogError:
    """The error of a column that the mapping names and the file has not, or has twice."""
    place = str(file.path)
    found = file.columns.count(column)
    if found > 1:
        return EventLogError(place, f"column {column!r} appears {found} times", "rename the column that is not meant")
    close = difflib.get_close_matches(column, file.columns, n=1, cutoff=0.5)
    guess = f" (did you mean {close[0]!r}?)" if close else ""
    return EventLogError(
        place,
        f"no column {column!r}, which the mapping names as {key!r}",
        f"columns found: {', '.join(file.columns)}{guess}{file.hint(column)}",
    )
