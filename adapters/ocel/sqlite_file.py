"""OCEL 2.0 in SQLite: tables of events, objects and relations, and a table of attributes for each type."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from adapters.ocel.object_log import EventAttribute, ObjectAttribute, ObjectLog, OcelEvent, OcelObject, Relation
from adapters.ocel.problems import OcelError, Problems

__all__ = ["SqliteFile", "open_sqlite"]

_TABLES: Final = ("event", "object", "event_object", "object_object", "event_map_type", "object_map_type")
_OWN: Final = ("ocel_id", "ocel_time", "ocel_changed_field")
_HEADER: Final = 100


def open_sqlite(path: Path) -> SqliteFile:
    """The file, with its types read. Raises `OcelError` where it is no OCEL 2.0 in SQLite, or cut off."""
    _check_length(path)
    with _connected(path) as con:
        there = {name for (name,) in con.execute("select name from sqlite_master where type in ('table', 'view')")}
        for name in _TABLES:
            if name not in there:
                raise OcelError(
                    f"{path}: is no OCEL 2.0 in SQLite: has no table '{name}'; tables here: "
                    f"{', '.join(sorted(there)) or 'none'}"
                )
        types = {}
        for kind in ("object", "event"):
            types[kind] = dict(con.execute(f"select ocel_type, ocel_type_map from {kind}_map_type order by rowid"))
            for name, mapped in types[kind].items():
                if f"{kind}_{mapped}" not in there:
                    raise OcelError(f"{path}: has no table '{kind}_{mapped}' for the type '{name}'; export it again")
        columns = {
            f"{kind}_{mapped}": tuple(row[1] for row in con.execute(f"pragma table_info({_q(f'{kind}_{mapped}')})"))
            for kind, maps in types.items()
            for mapped in maps.values()
        }
        for table, names in columns.items():
            for needed in _OWN if table.startswith("object_") else _OWN[:2]:
                if needed not in names:
                    raise OcelError(
                        f"{path}: table '{table}' has no column '{needed}'; it has {', '.join(names) or 'none'}"
                    )
    return SqliteFile(path, types, columns)


class SqliteFile(ObjectLog):
    """A database with the tables of OCEL 2.0; it is only read, never written to."""

    def __init__(self, path: Path, types: dict[str, dict[str, str]], columns: dict[str, tuple[str, ...]]) -> None:
        self._types = types
        self._columns = columns

        def named(kind: str) -> dict[str, tuple[str, ...]]:
            return {name: self._attributes(f"{kind}_{mapped}") for name, mapped in types[kind].items()}

        super().__init__(path, named("object"), named("event"))

    def placed_objects(self, problems: Problems | None) -> Iterator[tuple[str, OcelObject]]:
        """Each object with its id, in the order of the table `object`."""
        with _connected(self.path) as con:
            related = self._relations(con, "object", "source", "target", problems)
            for (at, id_, type_), rows in groupby(self._rows(con, "object"), lambda row: row[:3]):
                told: list[ObjectAttribute] = []
                for row in rows:
                    names, values = row[3:]
                    own = dict(zip(names, values, strict=True))
                    time, changed = own.get("ocel_time"), own.get("ocel_changed_field")
                    for name in names[len(_OWN) :]:
                        if changed == name or (changed is None and own[name] is not None):
                            told.append(ObjectAttribute(name, own[name], str(time or "")))
                yield f"object '{id_}'", OcelObject(id_, type_, tuple(told), related.of(at))

    def placed_events(self, problems: Problems | None) -> Iterator[tuple[str, OcelEvent]]:
        """Each event with its id, in the order of the table `event`."""
        with _connected(self.path) as con:
            related = self._relations(con, "event", "event", "object", problems)
            for at, id_, type_, names, values in self._rows(con, "event"):
                told = tuple(
                    EventAttribute(name, value)
                    for name, value in zip(names[2:], values[2:], strict=True)
                    if value is not None
                )
                time = values[1] if values else None
                yield f"event '{id_}'", OcelEvent(id_, type_, None if time is None else str(time), told, related.of(at))

    def _attributes(self, table: str) -> tuple[str, ...]:
        return tuple(name for name in self._columns[table] if name not in _OWN)

    def _rows(self, con: sqlite3.Connection, kind: str) -> Iterator[tuple[int, str, str, tuple[str, ...], Any]]:
        """(row, id, type, columns, their values) of every type's table, in the order of the ids' table."""
        streams = []
        own = _OWN if kind == "object" else _OWN[:2]
        for name, mapped in self._types[kind].items():
            table = f"{kind}_{mapped}"
            names = (*own, *self._attributes(table))
            listed = ", ".join(f"t.{_q(column)}" for column in names)
            query = (
                f"select o.rowid, o.ocel_id, o.ocel_type, {listed} from {kind} o left join {_q(table)} t "
                "on t.ocel_id = o.ocel_id where o.ocel_type = ? order by o.rowid, t.rowid"
            )
            streams.append(self._named(con.execute(query, [name]), names))
        strange = (
            f"select o.rowid, o.ocel_id, o.ocel_type from {kind} o where o.ocel_type is null or "
            f"o.ocel_type not in (select ocel_type from {kind}_map_type) order by o.rowid"
        )
        streams.append(self._named(con.execute(strange), ()))
        yield from merge(*streams, key=itemgetter(0))

    @staticmethod
    def _named(rows: sqlite3.Cursor, names: tuple[str, ...]) -> Iterator[tuple[int, str, str, tuple[str, ...], Any]]:
        for row in rows:
            yield row[0], str(row[1]), str(row[2]), names, row[3:]

    def _relations(
        self, con: sqlite3.Connection, kind: str, own: str, other: str, problems: Problems | None
    ) -> _Relations:
        table = f"{kind}_object"
        if problems is not None:
            lost = con.execute(
                f"select r.ocel_{own}_id from {table} r left join {kind} o on o.ocel_id = r.ocel_{own}_id "
                "where o.ocel_id is null order by r.rowid"
            )
            for (name,) in lost:
                problem = f"relates the {kind} '{name}', which is not in the file"
                problems.add(f"table {table}", problem, f"add the {kind}, or take the relation out")
        rows = con.execute(
            f"select o.rowid, r.ocel_{other}_id, r.ocel_qualifier from {table} r "
            f"join {kind} o on o.ocel_id = r.ocel_{own}_id order by o.rowid, r.rowid"
        )
        return _Relations(rows)


class _Relations:
    """Relations in the order of whose they are, handed out as that order is gone through."""

    def __init__(self, rows: sqlite3.Cursor) -> None:
        self._rows = rows
        self._ahead = next(rows, None)

    def of(self, at: int) -> tuple[Relation, ...]:
        found: list[Relation] = []
        while self._ahead is not None and self._ahead[0] <= at:
            if self._ahead[0] == at:
                found.append(Relation(str(self._ahead[1]), str(self._ahead[2] or "")))
            self._ahead = next(self._rows, None)
        return tuple(found)


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    # Immutable: nothing is made beside a file that is only read.
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as con:
            yield con
    except sqlite3.DatabaseError as error:
        raise OcelError(
            f"{path}: cannot be read as SQLite ({error}); it is damaged: fetch or export it again"
        ) from None


def _check_length(path: Path) -> None:
    """By its header a database knows its length, so that a cut is told and not stumbled over."""
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        raise OcelError(
            f"{path}: a part of it still stands in {log.name}; close what writes it, or run "
            "`PRAGMA wal_checkpoint(TRUNCATE)` there, and read it again"
        )
    with path.open("rb") as file:
        head = file.read(_HEADER)
    size = path.stat().st_size
    pages = int.from_bytes(head[28:32], "big")
    page = int.from_bytes(head[16:18], "big")
    page = 65_536 if page == 1 else page
    # The count holds where the last writer knew of it.
    if len(head) < _HEADER or (head[24:28] == head[92:96] and size < pages * page):
        told = f"{size:,} of {pages * page:,} bytes" if len(head) == _HEADER else f"{size:,} bytes"
        raise OcelError(f"{path}: is cut off: {told} are there; fetch or export it again")


def _q(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
