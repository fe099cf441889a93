"""Object-centric logs (OCEL 2.0 in JSON, XML or SQLite) as a table: a row an event and object that is followed.

    event.id, event.type, event.time, event.NAME     the event and its attributes
    TYPE                                             the object of that type that the row is about
    TYPE.NAME                                        what its attribute was when the event happened

Of several objects of a type, the one is meant that the followed object is related to; where it is related to none or
more of them, the cell is left blank and counted. Where the event has none of the type, the followed object's own is
taken if it has one. Where all ids of a type begin with its name and a slash, as `order/7`, that is left out.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from adapters.event_log.columns import RecordFile, TextColumns, text_of, wanted_columns
from adapters.event_log.mapping import EventLogMapping
from adapters.ocel import ObjectLog, OcelEvent, OcelObject, Problems, open_object_log
from twin.event_log import EventLogError, Remark

__all__ = ["ObjectLogFile"]

_EVENT: Final = "event."
_OWN: Final = ("id", "type", "time")
_SHOWN: Final = 5
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


class ObjectLogFile(RecordFile):
    """One OCEL 2.0 file, looked at whole. Raises `EventLogError`, and `OcelError` with what is wrong in it."""

    def __init__(self, path: Path, mapping: EventLogMapping) -> None:
        super().__init__(path)
        log = open_object_log(path)
        case = _followed(log, mapping.case)
        self.columns = [f"{_EVENT}{name}" for name in _OWN]
        self.columns += [
            f"{_EVENT}{name}" for name in dict.fromkeys(name for names in log.event_types.values() for name in names)
        ]
        for type_, names in log.object_types.items():
            self.columns += [type_, *(f"{type_}.{name}" for name in names)]
        self.columns = list(dict.fromkeys(self.columns))
        rows = _Rows(log, case, [name for name in wanted_columns(mapping) if name in self.columns], mapping)
        problems = Problems(path)
        survey = log.survey(problems, zoned=mapping.times.zone is None, each_object=rows.meet, each_event=rows.take)
        problems.check()
        self.rows = sum(survey.events.values())
        if not rows.made_any:
            raise self.error(
                None,
                f"none of its {self.rows:,} events is about an object of type {case!r}",
                f"follow another type by `case`: {', '.join(log.object_types)}",
            )
        self.holds = survey.text
        self.remarks = rows.remarks()
        self._table, self.records = rows.made.close()


def _followed(log: ObjectLog, case: str | None) -> str:
    types = ", ".join(log.object_types)
    if case is None:
        raise EventLogError(
            "mapping.case",
            f"is missing, and {log.path} is an object-centric log",
            f"name the type of object to follow, one of {types}",
        )
    if case not in log.object_types:
        close = difflib.get_close_matches(case, log.object_types, n=1)
        guess = f" (did you mean {close[0]!r}?)" if close else ""
        raise EventLogError(
            "mapping.case", f"{case!r} is no type of object in {log.path}", f"types there: {types}{guess}"
        )
    return case


class _State(NamedTuple):
    """What the attributes of an object are from `since` on, and the changes that led there where there are more."""

    since: int
    cells: tuple[str | None, ...]
    changes: tuple[tuple[int, int, str | None], ...]

    @classmethod
    def of(cls, changes: list[tuple[int, int, str | None]], size: int) -> _State:
        """The state that these (time, place, value) make."""
        # Stable: of two values at one time the later one in the file holds.
        changes.sort(key=lambda change: change[0])
        cells: list[str | None] = [None] * size
        for _, place, value in changes:
            cells[place] = value
        since = changes[-1][0] if changes else 0
        return cls(since, tuple(cells), tuple(changes) if changes and changes[0][0] != since else ())

    def at(self, now: int) -> Sequence[str | None]:
        """What they are at `now` (ms)."""
        if now >= self.since:
            return self.cells
        cells: list[str | None] = [None] * len(self.cells)
        for at, place, value in self.changes:
            if at > now:
                break
            cells[place] = value
        return cells


class _Rows:
    """The rows as they grow, and what must be known of objects for them."""

    def __init__(self, log: ObjectLog, case: str, wanted: Sequence[str], mapping: EventLogMapping) -> None:
        self.made = TextColumns(wanted)
        self.made_any = False
        self._case = case
        self._zone = None if mapping.times.zone is None else ZoneInfo(mapping.times.zone)
        # What is not meant makes no row, where that can be told from the event's type.
        by_type = mapping.activity is not None and mapping.activity.column == f"{_EVENT}type"
        self._meant = mapping.activity if by_type else None
        self._own: list[tuple[int, str]] = []
        self._told: list[tuple[int, str]] = []
        self._ids: list[tuple[int, str]] = []
        # Of each type, its attributes that are wanted and the columns that they go to.
        self._names: dict[str, dict[str, int]] = {}
        self._columns: dict[str, list[int]] = {}
        for at, name in enumerate(wanted):
            if name.startswith(_EVENT):
                name = name.removeprefix(_EVENT)
                (self._own if name in _OWN else self._told).append((at, name))
                continue
            type_, name = _typed(name, log)
            names, columns = self._names.setdefault(type_, {}), self._columns.setdefault(type_, [])
            if name:
                names[name] = len(names)
                columns.append(at)
            else:
                self._ids.append((at, type_))
        self._others = [type_ for type_ in self._names if type_ != case]
        self._stateful = [type_ for type_, columns in self._columns.items() if columns]
        self._states: dict[str, _State] = {}
        self._types: dict[str, str] = {}
        self._bare: dict[str, None] = {}
        """Types of which some id does not begin with their name."""
        self._linked: dict[str, dict[str, None]] = {}
        self._number = 0
        self._last = ("", 0)
        self._left_out: list[tuple[int, str]] = []
        self._left_out_count = 0
        self._unsure: dict[str, list[tuple[int, str]]] = {}
        self._unsure_count: dict[str, int] = {}

    def meet(self, one: OcelObject) -> None:
        """Remember what rows may need of an object."""
        names = self._names.get(one.type)
        if names is None and one.type != self._case:
            return
        self._types[one.id] = one.type
        if not one.id.startswith(f"{one.type}/"):
            self._bare[one.type] = None
        if names:
            changes = [
                (self._instant(attribute.time), names[attribute.name], text_of(attribute.value))
                for attribute in one.attributes
                if attribute.name in names
            ]
            self._states[one.id] = _State.of(changes, len(names))
        if self._others:
            for relation in one.relationships:
                self._linked.setdefault(one.id, {})[relation.object] = None
                self._linked.setdefault(relation.object, {})[one.id] = None

    def take(self, event: OcelEvent) -> None:
        """The rows of an event."""
        self._number += 1
        if self._meant is not None and self._meant.leaves_out(event.type):
            return
        about: dict[str, dict[str, None]] = {}
        for relation in event.relationships:
            type_ = self._types.get(relation.object)
            if type_ is not None:
                about.setdefault(type_, {})[relation.object] = None
        cases = about.get(self._case)
        if cases is None:
            self._left_out_count += 1
            if len(self._left_out) < _SHOWN:
                self._left_out.append((self._number, event.type))
            return
        self.made_any = True
        base: list[str | None] = [None] * len(self.made.names)
        for at, name in self._own:
            base[at] = getattr(event, name)
        if self._told:
            values = {one.name: one.value for one in event.attributes}
            for at, name in self._told:
                base[at] = text_of(values.get(name))
        now = self._instant(event.time or "") if self._stateful else 0
        for case in cases:
            cells = base.copy()
            chosen: dict[str, str | None] = {self._case: case}
            for type_ in self._others:
                chosen[type_] = self._chosen(type_, case, about)
            for at, type_ in self._ids:
                held = chosen[type_]
                cells[at] = held if held is None or type_ in self._bare else held.removeprefix(f"{type_}/")
            for type_ in self._stateful:
                state = self._states.get(chosen[type_] or "")
                if state is not None:
                    for at, text in zip(self._columns[type_], state.at(now), strict=True):
                        cells[at] = text
            self.made.add(self._number, cells)

    def remarks(self) -> list[Remark]:
        """What was left out, and what is not known for sure."""
        told = []
        if self._left_out_count:
            text = f"events about no object of type {self._case}, left out"
            told.append(Remark(text, self._left_out_count, tuple(self._left_out)))
        for type_, count in self._unsure_count.items():
            text = f"rows with several objects of type {type_}, left blank"
            told.append(Remark(text, count, tuple(self._unsure[type_])))
        return told

    def _chosen(self, type_: str, case: str, about: dict[str, dict[str, None]]) -> str | None:
        found = about.get(type_)
        if found is not None and len(found) == 1:
            return next(iter(found))
        linked = self._linked.get(case, {})
        near = [one for one in found or linked if one in linked and self._types.get(one) == type_]
        if len(near) == 1:
            return near[0]
        if found:
            self._unsure_count[type_] = self._unsure_count.get(type_, 0) + 1
            first = self._unsure.setdefault(type_, [])
            if len(first) < _SHOWN:
                first.append((self._number, case))
        return None

    def _instant(self, text: str) -> int:
        """Milliseconds; what is no time is told by the survey."""
        # Attributes of one object, and those of many, mostly have one time.
        if text != self._last[0]:
            try:
                found = datetime.fromisoformat(text)
            except ValueError:
                return 0
            if found.tzinfo is None:
                found = found.replace(tzinfo=self._zone or UTC)
            self._last = text, (found - _EPOCH) // _MS
        return self._last[1]


def _typed(name: str, log: ObjectLog) -> tuple[str, str]:
    """Type and attribute of a column; types may hold dots."""
    if name in log.object_types:
        return name, ""
    type_ = max((one for one in log.object_types if name.startswith(f"{one}.")), key=len)
    return type_, name.removeprefix(f"{type_}.")
