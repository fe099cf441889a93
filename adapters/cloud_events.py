"""CloudEvents 1.0 (CNCF 2019) in JSON lines, read: those of any origin, and events of this project back as they were.

for event in read_cloud_events(Path("demo.jsonl")): ...
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from twin.core.events import Event
from twin.core.topics import CloudEvent
from twin.event_log import EventLogError

__all__ = ["REQUIRED", "Lines", "read_cloud_events"]

REQUIRED: Final = ("specversion", "id", "source", "type")
"""Attributes that the standard asks of every event; their values are texts that are not empty."""

_VERSION: Final = "1.0"
_GZIP: Final = b"\x1f\x8b"
_SHOWN: Final = 5
_LONGEST: Final = 1 << 26
"""Bytes of a line; a file without line ends is no such log and is not read into memory."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class Lines:
    """The events of one file with their lines; what is wrong with lines is counted and raised at the end.

    Raises `EventLogError` where lines are no events, lack what is required of one, or where the file is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._wrong: list[tuple[int, str]] = []
        self._wrong_count = 0
        self._lacking: list[tuple[int, str]] = []
        self._lacking_count = 0

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        number, last = 0, b"\n"
        for number, last in self._read():
            if not last.strip():
                continue
            try:
                event = _decode(last)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                if not last.endswith(b"\n"):
                    raise self._error(number, "is cut off here: the event does not end", "fetch it again") from None
                self._wrong_count += 1
                if len(self._wrong) < _SHOWN:
                    self._wrong.append((number, repr(last[:30].decode(errors="replace").strip())))
                continue
            lacks = [name for name in REQUIRED if not isinstance(event.get(name), str) or not event[name]]
            if lacks or event["specversion"] != _VERSION:
                self._lacking_count += 1
                if len(self._lacking) < _SHOWN:
                    told = f"no {' and no '.join(lacks)}" if lacks else f"specversion {event['specversion']!r}"
                    self._lacking.append((number, told))
                continue
            yield number, event
        if not number:
            raise self._error(None, "is empty", "export the log again")
        self._check()

    def _check(self) -> None:
        for rows, count, problem, remedy in (
            (self._wrong, self._wrong_count, "no JSON object", "write one event a line"),
            (
                self._lacking,
                self._lacking_count,
                "no CloudEvents 1.0",
                f"give every event {', '.join(REQUIRED[:-1])} and {REQUIRED[-1]}, as texts",
            ),
        ):
            if count:
                some = "lines are" if count > 1 else "line is"
                raise EventLogError(str(self.path), f"{count:,} {some} {problem}", remedy, rows, count)

    def _read(self) -> Iterator[tuple[int, bytes]]:
        with self.path.open("rb") as raw:
            zipped = raw.read(2) == _GZIP
        number = 0
        try:
            with gzip.open(self.path) if zipped else self.path.open("rb") as file:
                while line := file.readline(_LONGEST):
                    number += 1
                    if len(line) == _LONGEST:
                        raise self._error(number, "the line does not end", "write one event a line")
                    yield number, line if number > 1 else line.removeprefix(b"\xef\xbb\xbf")
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise self._error(
                number + 1, "the gzip stream ends here, cut off or damaged", "fetch or compress the file again"
            ) from None

    def _error(self, line: int | None, problem: str, remedy: str) -> EventLogError:
        return EventLogError(str(self.path) if line is None else f"{self.path}:{line}", problem, remedy)


def read_cloud_events(path: Path) -> Iterator[CloudEvent]:
    """The events that `twin export --cloudevents` wrote, as `twin.core.topics` gives them to subscribers.

    `time` is when each was recorded, UTC ms. Raises `EventLogError` for events of another origin or version.
    """
    for number, told in Lines(path):
        try:
            data = msgspec.convert(told.get("data"), Event)
            recorded = (datetime.fromisoformat(str(told.get("recordedtime", told.get("time")))) - _EPOCH) // _MS
        except (msgspec.ValidationError, ValueError, TypeError) as error:
            raise EventLogError(
                f"{path}:{number}",
                f"the event {told['id']!r} of type {told['type']!r} is none of this engine ({error})",
                "read those of another origin by `twin profile` and a mapping",
            ) from None
        correlation, causation = str(told.get("correlationid", "")), str(told.get("causationid", ""))
        subject = str(told.get("subject", ""))
        yield CloudEvent(told["id"], told["source"], told["type"], subject, recorded, correlation, causation, data)
