"""A run's events as CloudEvents 1.0 (CNCF 2019), one JSON line each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from twin.core.commands import Wake
from twin.core.entry import Entry
from twin.core.events import DeliveryQueued
from twin.core.topics import CloudEvent, published
from twin.log.correlation import COMMANDS, from_outcome
from twin.log.instants import iso
from twin.log.manifest import read_manifest
from twin.log.outputs import new_file
from twin.log.reading import read_entries

__all__ = ["write_cloud_events"]

SOURCE: Final = "orchestration"
"""As in `twin.core.topics`: whoever takes events from there and from a file sees the same ids."""

_SUBJECTS: Final = ("order", "purchase_order", "delivery", "node", "gateway", "channel", "intervention", "subject")

_encode: Final = msgspec.json.Encoder().encode


def write_cloud_events(run: Path, file: Path, *, topics: bool = False) -> int:
    """Write the events of a finished run to a new file, whole or not at all; returns how many there are.

    With `topics` only those that are published, under their topics; otherwise all, under their stored types. Raises
    `RunError` for a run that is cut off or damaged, and where the file is there already or cannot be made.
    """
    read_manifest(run)
    written = 0
    every = _Every()
    with new_file(file) as folder, (folder / file.name).open("wb") as out:
        for entry in read_entries(run):
            for event in published(entry) if topics else every.of(entry):
                out.write(_encode(_attributes(event)) + b"\n")
                written += 1
    return written


class _Every:
    """All events of a log. It remembers what each message was about: an answer names the message only."""

    def __init__(self) -> None:
        self._about: dict[str, str] = {}

    def of(self, entry: Entry) -> Iterator[CloudEvent]:
        """An entry's events in their order; entries come in theirs."""
        command = entry.command
        cause = command.key if isinstance(command, Wake) else command.id
        correlation = COMMANDS[type(command)][2]
        about = from_outcome(entry) if correlation is None else correlation(command)
        for sent in entry.deliveries:
            self._about[sent.key] = sent.correlation
        for ordinal, event in enumerate(entry.events):
            if isinstance(event, DeliveryQueued):
                self._about[event.delivery] = event.queued.correlation
            named = (getattr(event, field, "") for field in _SUBJECTS)
            subject = next((name for name in named if name), "")
            yield CloudEvent(
                f"{entry.position}.{ordinal}",
                SOURCE,
                str(event.__struct_config__.tag),
                subject,
                entry.now,
                self._about.get(getattr(event, "delivery", ""), about),
                cause,
                event,
            )


def _attributes(event: CloudEvent) -> dict[str, Any]:
    """The attributes in JSON. `time` is when it happened, where the event says so, and else when it was recorded."""
    happened = getattr(event.data, "at", event.time)
    told = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": iso(happened),
        "recordedtime": iso(event.time),
        "datacontenttype": "application/json",
        "correlationid": event.correlationid,
        "causationid": event.causationid,
    }
    # An attribute that is there is not empty.
    return {name: value for name, value in told.items() if value} | {"data": event.data}
