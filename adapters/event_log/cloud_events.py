"""CloudEvents 1.0 in JSON lines as a table: a row an event.

An attribute has the column of its name, what stands in the data `data.NAME` (and `data.NAME.NAME` in a map of it); a
list in it has no column. An event that comes again, by its source and id, is dropped and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec

from adapters.cloud_events import Lines
from adapters.event_log.columns import RecordFile, TextColumns, text_of, wanted_columns
from adapters.event_log.mapping import EventLogMapping
from twin.event_log import EventLogError, Remark

__all__ = ["CloudEventsFile"]

_SHOWN: Final = 5
_DEPTH_MAX: Final = 5
_sorted: Final = msgspec.json.Encoder(order="sorted").encode


class CloudEventsFile(RecordFile):
    """One file of events, plain or gzipped. Raises `EventLogError` where lines are no events or the file is cut off."""

    def __init__(self, path: Path, mapping: EventLogMapping) -> None:
        super().__init__(path)
        wanted = wanted_columns(mapping)
        made = TextColumns(wanted)
        paths = [_path(name) for name in wanted]
        names: dict[str, None] = {}
        seen: dict[bytes, bytes] = {}
        again: list[tuple[int, str]] = []
        other: list[tuple[int, str]] = []
        again_count = other_count = 0
        for number, event in Lines(path):
            self.rows += 1
            key = _digest(f"{event['source']}\0{event['id']}".encode())
            content = _digest(_sorted(event))
            before = seen.setdefault(key, content)
            if before is not content:
                shown = again if before == content else other
                if len(shown) < _SHOWN:
                    shown.append((number, event["id"]))
                again_count += before == content
                other_count += before != content
                continue
            _collect(event, "", names)
            made.add(number, [_cell(event, steps) for steps in paths])
        if other_count:
            some = "events have" if other_count > 1 else "event has"
            raise EventLogError(
                str(path),
                f"{other_count:,} {some} source and id of another one and say something else",
                "give each event of a source an id of its own",
                other,
                other_count,
            )
        if again_count:
            self.remarks.append(Remark("events that came again, by source and id, dropped", again_count, tuple(again)))
        self.columns = list(names)
        self.holds = f"{self.rows - again_count:,} different events"
        self._table, self.records = made.close()


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=12).digest()


def _path(name: str) -> tuple[str, ...]:
    return tuple(name.split(".")) if name.startswith("data.") else (name,)


def _cell(event: Mapping[str, Any], steps: tuple[str, ...]) -> str | None:
    held: Any = event
    for step in steps:
        if not isinstance(held, dict):
            return None
        held = held.get(step)
    return text_of(held)


def _collect(held: Mapping[str, Any], prefix: str, names: dict[str, None], depth: int = 0) -> None:
    for name, value in held.items():
        if isinstance(value, dict):
            if depth < _DEPTH_MAX and (prefix or name == "data"):
                _collect(value, f"{prefix}{name}.", names, depth + 1)
        elif not isinstance(value, list):
            names.setdefault(f"{prefix}{name}")
