"""XES, plain or gzipped (IEEE 1849-2023): a row an event, its own attributes beside those of its trace.

An attribute of the trace has the column `case:KEY`, one of the event `KEY`; lists, containers and what is nested in
another attribute are left out. Values are texts as they are written.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from adapters.event_log.columns import RecordFile, TextColumns, wanted_columns
from adapters.event_log.mapping import EventLogMapping
from adapters.xml_stream import new_parser, pieces
from twin.event_log import EventLogError

__all__ = ["TracesFile"]

_KINDS: Final = frozenset(("string", "date", "int", "float", "boolean", "id"))
_CASE: Final = "case:"
_SHOWN: Final = 5


class TracesFile(RecordFile):
    """One XES file. Raises `EventLogError` where it is cut off, is no XES or holds no event."""

    def __init__(self, path: Path, mapping: EventLogMapping) -> None:
        super().__init__(path)
        rows = _Rows(self, wanted_columns(mapping))
        for _ in pieces(path, rows.parser, self.error):
            pass
        rows.check()
        self.columns = [*(f"{_CASE}{key}" for key in rows.of_traces), *rows.of_events]
        self.rows = rows.events
        self.holds = f"{rows.traces:,} traces"
        self._table, self.records = rows.made.close()


class _Rows:
    """Goes through the elements by their depth: log, trace, event or attribute of a trace, attribute of an event."""

    def __init__(self, file: TracesFile, wanted: Iterable[str]) -> None:
        self._file = file
        self.parser = new_parser(file.error)
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.made = TextColumns(wanted)
        self.traces = 0
        self.events = 0
        self.of_traces: dict[str, None] = {}
        self.of_events: dict[str, None] = {}
        self._depth = 0
        self._inside = False
        self._in_event = False
        self._blank: list[str | None] = [None] * len(self.made.names)
        self._trace = self._blank
        self._event = self._blank
        self._begun = False
        self._late: list[tuple[int, str]] = []
        self._late_count = 0

    def check(self) -> None:
        """See that there are events, and that what a trace says stands before them."""
        if not self.events:
            raise self._file.error(
                None, f"holds {self.traces:,} traces and no event", "export the log again, with its events"
            )
        if self._late_count:
            raise EventLogError(
                str(self._file.path),
                f"{self._late_count:,} attributes of traces stand after the first event of their trace",
                "XES has them before it: export the log again",
                self._late,
                self._late_count,
            )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        depth = self._depth = self._depth + 1
        if depth == 4:
            if self._in_event and name in _KINDS:
                key = attributes.get("key", "")
                self.of_events[key] = None
                at = self.made.place.get(key)
                if at is not None:
                    self._event[at] = attributes.get("value")
        elif depth == 3:
            if self._inside:
                self._in_event = name == "event"
                if self._in_event:
                    self.events += 1
                    self._begun = True
                    self._event = self._trace.copy()
                elif name in _KINDS:
                    self._of_trace(attributes)
        elif depth == 2:
            self._inside = name == "trace"
            if self._inside:
                self.traces += 1
                self._trace = self._blank.copy()
                self._begun = False
            elif name == "event":
                raise self._file.error(
                    self.parser.CurrentLineNumber, "an event stands outside a trace", "put it into one"
                )
        elif depth == 1 and name != "log":
            raise self._file.error(
                self.parser.CurrentLineNumber,
                f"is neither XES nor OCEL 2.0: it begins with {name!r}, not 'log'",
                "give CSV, Parquet, OCEL 2.0, XES or CloudEvents",
            )

    def _of_trace(self, attributes: dict[str, str]) -> None:
        key = attributes.get("key", "")
        self.of_traces[key] = None
        at = self.made.place.get(f"{_CASE}{key}")
        if at is not None:
            self._trace[at] = attributes.get("value")
        if self._begun:
            self._late_count += 1
            if len(self._late) < _SHOWN:
                self._late.append((self.events, key))

    def _end(self, name: str) -> None:
        if self._depth == 3 and self._in_event:
            self.made.add(self.events, self._event)
            self._in_event = False
        self._depth -= 1
