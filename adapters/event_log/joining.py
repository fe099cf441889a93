"""The files of one export as one wide table of the columns that the mapping names."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from adapters.event_log.formats import LogFile, missing_column, open_file
from adapters.event_log.mapping import EventLogMapping, SourcePart
from adapters.event_log.reading import first_rows
from twin.event_log import EventLogError, Remark, SourceFile

__all__ = ["Wide", "widen"]

_ONLY = "log"


class Wide:
    """The DuckDB view `wide`: `seq`, `row` and one column each for what the mapping names, as text or typed.

    `seq` counts the rows from 0: a query that is planned with a join may hand them over in another order. The view
    lies over an Arrow table, so that nothing is copied but what a join makes. `column` gives a mapped column's name
    in it, `kind` its type, `place` the file and the name for an error.
    """

    def __init__(
        self, con: duckdb.DuckDBPyConnection, table: Any, selects: dict[str, tuple[str, str]], places: dict[str, str]
    ) -> None:
        self._con = con
        self._table = table.append_column("seq", pa.array(np.arange(table.num_rows)))
        self._names = {said: name for said, (name, _) in selects.items()}
        self._selects = [f"{select} as {name}" for name, select in selects.values()]
        self._places = places
        self._show()
        self._kinds = {row[0]: row[1] for row in con.execute("describe wide").fetchall()}

    def _show(self) -> None:
        self._con.register("base", self._table)
        self._con.execute(f"create or replace temp view wide as select seq, row, {', '.join(self._selects)} from base")

    def column(self, said: str) -> str:
        return self._names[said]

    def kind(self, said: str) -> str:
        kind: str = self._kinds[self._names[said]]
        return kind

    def place(self, said: str) -> tuple[str, str]:
        return self._places[said], said

    def add(self, columns: dict[str, Any]) -> None:
        """Lay Arrow arrays beside the table, in its order."""
        for name, array in columns.items():
            self._table = self._table.append_column(name, array)
            self._selects.append(name)
        self._show()

    def close(self) -> None:
        """Let the table go."""
        self._con.execute("drop view wide")
        self._con.unregister("base")
        self._table = None


def widen(
    con: duckdb.DuckDBPyConnection, paths: Sequence[Path], mapping: EventLogMapping, remarks: list[Remark]
) -> tuple[Wide, tuple[SourceFile, ...], int]:
    """Read and join the files into the table `wide`; returns it, the files and the rows that `where` left out."""
    parts = mapping.files or {_ONLY: SourcePart(file="*")}
    files = {name: open_file(path, mapping) for name, path in _assigned(paths, parts, mapping)}
    wanted: dict[str, dict[str, None]] = {name: {} for name in parts}
    found: dict[str, tuple[str, str]] = {}
    first = next(iter(parts))
    absent: dict[str, str] = {}

    def want(key: str, said: str) -> tuple[str, str]:
        if said not in found:
            found[said] = _resolve(said, key, files)
        name, column = found[said]
        wanted[name].setdefault(column)
        return name, column

    for key, said in mapping.columns():
        if said in mapping.optional and not _has(said, files):
            # By a name that is no column's, in whatever case.
            absent.setdefault(said, f"__absent_{len(absent)}")
            found[said] = (first, absent[said])
        else:
            want(key, said)
    joins: list[tuple[str, str, tuple[str, str]]] = []
    for name, part in parts.items():
        for own, to in (part.join or {}).items():
            if files[name].columns.count(own) != 1:
                raise missing_column(files[name], own, f"files.{name}.join")
            wanted[name].setdefault(own)
            joins.append((name, own, want(f"files.{name}.join", to)))
    sources, tables = [], {}
    for name, file in files.items():
        # A joined file is read for its key at least; the first for anything that counts its rows.
        table = file.read(list(wanted[name]) or file.columns[:1])
        sources.append(SourceFile(file.path.name, file.rows, file.bytes, file.holds))
        remarks += file.remarks
        numbers = pa.array(np.arange(1, table.num_rows + 1)) if file.records is None else file.records
        tables[name] = table.append_column("row", numbers)
        for blank in absent.values() if name == first else ():
            tables[name] = tables[name].append_column(blank, pa.nulls(table.num_rows, pa.string()))
        con.register(f"file_{name}", tables[name])
    _check_keys(con, parts, joins, files, remarks)
    blanks = ["", *mapping.blanks]
    selects = {
        said: (f"c{at}", _cleaned(con, name, column, blanks)) for at, (said, (name, column)) in enumerate(found.items())
    }
    places = {said: str(files[name].path) for said, (name, _) in found.items()}
    if len(parts) == 1 and not mapping.where:
        con.unregister(f"file_{first}")
        return Wide(con, tables[first], selects, places), tuple(sources), 0
    query = f"from file_{first}"
    for name, part in parts.items():
        if part.join is not None:
            on = [f"file_{name}.{_q(own)} = file_{to}.{_q(key)}" for other, own, (to, key) in joins if other == name]
            query += f" left join file_{name} on {' and '.join(on)}"
    every = ", ".join(f"file_{name}.{_q(column)} as {selects[said][0]}" for said, (name, column) in found.items())
    kept = " and ".join(_kept(selects[said][0], values) for said, values in mapping.where.items()) or "true"
    rows = ", ".join(f"file_{name}.row as row_{name}" for name in parts)
    con.execute(f"create temp table joined as select file_{first}.row as row, {rows}, {every} {query}")
    order = ", ".join(f"row_{name}" for name in parts)
    before = _one(con, "select count(*) from joined")
    table = con.sql(f"select * from joined where {kept} order by {order}").to_arrow_table()
    con.execute("drop table joined")
    for name in files:
        con.unregister(f"file_{name}")
    if table.num_rows == 0:
        raise EventLogError(
            str(paths[0]), "`where` leaves no row of it", f"rows are kept whose columns hold {_said(mapping)}"
        )
    renamed = {said: (name, _over(select, *found[said], name)) for said, (name, select) in selects.items()}
    return Wide(con, table, renamed, places), tuple(sources), before - table.num_rows


def _kept(column: str, values: tuple[str, ...]) -> str:
    listed = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"coalesce(trim({column}::varchar), '') in ({listed})"


def _over(select: str, file: str, column: str, name: str) -> str:
    """The same cleaning of a cell that a join has given another name."""
    return select.replace(_q(column), f"base.{name}")


def _assigned(paths: Sequence[Path], parts: dict[str, SourcePart], mapping: EventLogMapping) -> list[tuple[str, Path]]:
    if not mapping.files and len(paths) > 1:
        raise EventLogError(
            str(paths[1]), "is a second file, and the mapping tells of one", "say in `files` how they are joined"
        )
    assigned = []
    for name, part in parts.items():
        fitting = [path for path in paths if fnmatchcase(path.name, part.file)]
        if len(fitting) != 1:
            said = f"{len(fitting)} of the files given are" if fitting else "none of the files given is"
            raise EventLogError(
                f"files.{name}", f"{said} named {part.file!r}", f"given: {', '.join(path.name for path in paths)}"
            )
        assigned.append((name, fitting[0]))
    used = [path for _, path in assigned]
    for path in paths:
        if path not in used or used.count(path) > 1:
            raise EventLogError(
                str(path), "does not fit one of the mapping's `files`", "leave it out, or correct `file`"
            )
    return assigned


def _has(said: str, files: dict[str, LogFile]) -> bool:
    """Whether there is such a column, be it twice, which is refused."""
    name, _, column = said.partition(".")
    return said in files[next(iter(files))].columns or (name in files and column in files[name].columns)


def _resolve(said: str, key: str, files: dict[str, LogFile]) -> tuple[str, str]:
    first = next(iter(files))
    if files[first].columns.count(said) == 1:
        return first, said
    name, dot, column = said.partition(".")
    if dot and name in files:
        if files[name].columns.count(column) == 1:
            return name, column
        raise missing_column(files[name], column, key)
    raise missing_column(files[first], said, key)


def _cleaned(con: duckdb.DuckDBPyConnection, name: str, column: str, blanks: list[str]) -> str:
    kind = str(con.execute(f"select typeof({_q(column)}) from file_{name} limit 1").fetchall()[0][0])
    cell = _q(column)
    if kind.startswith(("TIMESTAMP", "DATE")):
        return cell
    if kind in ("DOUBLE", "FLOAT"):
        # A whole number kept as a float by a table (14798.0) loses its `.0`.
        whole = f"{cell} = floor({cell}) and abs({cell}) < 1e15"
        return f"case when isnan({cell}) then null when {whole} then {cell}::bigint::varchar else {cell}::varchar end"
    text = f"trim({cell})" if kind == "VARCHAR" else f"trim({cell}::varchar)"
    if blanks == [""]:
        return f"nullif({text}, '')"
    listed = ", ".join("'" + blank.replace("'", "''") + "'" for blank in blanks)
    return f"case when {text} not in ({listed}) then {text} end"


def _check_keys(
    con: duckdb.DuckDBPyConnection,
    parts: dict[str, SourcePart],
    joins: list[tuple[str, str, tuple[str, str]]],
    files: dict[str, LogFile],
    remarks: list[Remark],
) -> None:
    for name, part in parts.items():
        own = [(column, to) for other, column, to in joins if other == name]
        if not own:
            continue
        keys = ", ".join(_q(column) for column, _ in own)
        if not part.many:
            doubled = con.execute(
                f"select min(row), any_value({_q(own[0][0])}), sum(count(*)) over () - count(*) over () as more "
                f"from file_{name} group by {keys} having count(*) > 1 order by 1 limit 5"
            ).fetchall()
            if doubled:
                count = int(doubled[0][2])
                raise EventLogError(
                    str(files[name].path),
                    f"{count:,} of the rows repeat{'s' * (count == 1)} a key of {keys}, and would double what is "
                    "joined to them",
                    f"set `many: true` in files.{name} if that is meant",
                    first_rows([row[:2] for row in doubled]),
                    count,
                )
        to = own[0][1][0]
        on = " and ".join(f"own.{_q(column)} = other.{_q(key)}" for column, (_, key) in own)
        lost = con.execute(
            f"select row, {_q(own[0][1][1])}, count(*) over () from file_{to} other "
            f"anti join file_{name} own on {on} order by row limit 5"
        ).fetchall()
        if lost:
            remarks.append(
                Remark(
                    f"rows of {files[to].path.name} without a partner in {files[name].path.name}",
                    int(lost[0][2]),
                    tuple(first_rows([row[:2] for row in lost])),
                )
            )


def _said(mapping: EventLogMapping) -> str:
    return " and ".join(f"{column} one of {', '.join(values)}" for column, values in mapping.where.items())


def _q(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _one(con: duckdb.DuckDBPyConnection, query: str) -> int:
    row: Any = con.execute(query).fetchall()[0]
    return int(row[0])
