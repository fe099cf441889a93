"""What cells mean: values by the names that the mapping gives them, constants, and numbers as they are written."""

from __future__ import annotations

from typing import Any

import duckdb

from adapters.event_log.joining import Wide
from adapters.event_log.mapping import EventLogMapping
from adapters.event_log.reading import first_rows
from twin.event_log import EventLogError, Remark

__all__ = ["constants", "number", "quoted", "refuse_cells", "translated"]

_AMOUNT = "decimal(28, 6)"
_LARGEST = 90_000_000_000_000
"""Above it no order is: in minor units of any currency it still fits 64 bits."""
_COMMA = "[+-]?([0-9]+(,[0-9]+)?|[0-9]{1,3}([.][0-9]{3})+,[0-9]+)"
"""A number with a decimal comma; a point may part its thousands where the comma shows that it is none itself."""


def constants(mapping: EventLogMapping) -> dict[str, str]:
    """The neutral columns that are the same in every row, as expressions."""
    held = {name: said for name, said in mapping.constants if said is not None}
    return {name: f"{said}::bigint" if name == "quantity" else quoted(said) for name, said in held.items()}


def translated(
    con: duckdb.DuckDBPyConnection, wide: Wide, name: str, mapping: EventLogMapping, remarks: list[Remark]
) -> str:
    """The expression of a field of ids, by the names that the mapping gives its values; others stay as they are.

    What is translated and stands in no row is remarked: it may be misspelled.
    """
    said = getattr(mapping.fields, name)
    cell = f"{wide.column(said)}::varchar"
    names = mapping.values.get(name)
    if not names:
        return cell
    there = {row[0] for row in con.execute(f"select distinct {cell} from wide").fetchall()}
    absent = [value for value in names if value not in there]
    if absent:
        shown = ", ".join(repr(value) for value in absent[:3])
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        remarks.append(Remark(f"values of {name} that are translated and stand in no row: {shown}{more}", len(absent)))
    cases = " ".join(f"when {quoted(value)} then {quoted(meant)}" for value, meant in names.items())
    return f"case {cell} {cases} else {cell} end"


def number(con: duckdb.DuckDBPyConnection, wide: Wide, said: str, mapping: EventLogMapping, *, whole: bool) -> str:
    """The expression of a column of numbers. Raises `EventLogError` for cells that are none, or not whole."""
    column = wide.column(said)
    comma = mapping.decimal == ","
    text = f"replace(replace({column}, '.', ''), ',', '.')"
    read = f"case when regexp_full_match({column}, '{_COMMA}') then {text} end" if comma else column
    amount = f"try_cast({read} as {_AMOUNT})"
    bad = f"{amount} is null or abs({amount}) > {_LARGEST}" + (f" or {amount} != floor({amount})" if whole else "")
    remedy = "write base units, such as 12" if whole else f"write major units, such as 2{mapping.decimal}95"
    if comma:
        remedy += "; the mapping says that decimals stand behind a comma"
    elif not whole and _count(con, f"{column} is not null and ({bad}) and regexp_full_match({column}, '{_COMMA}')"):
        remedy += ', or set `decimal: ","` in the mapping if a comma stands before the decimals'
    refuse_cells(
        con, wide, said, f"{column} is not null and ({bad})", "no whole numbers" if whole else "no amounts", remedy
    )
    return amount


def refuse_cells(con: duckdb.DuckDBPyConnection, wide: Wide, said: str, bad: str, what: str, remedy: str) -> None:
    """Raise `EventLogError` with the first rows for which `bad` holds, if there are any."""
    column = wide.column(said)
    rows = con.execute(f"select row, {column}, count(*) over () from wide where {bad} order by row limit 5").fetchall()
    if rows:
        place, name = wide.place(said)
        count = int(rows[0][2])
        problem = f"{count:,} of the cells of column {name!r} are {what}"
        raise EventLogError(
            place,
            problem,
            f"{remedy}; or list what stands for nothing in `blanks`",
            first_rows([row[:2] for row in rows]),
            count,
        )


def quoted(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"


def _count(con: duckdb.DuckDBPyConnection, where: str) -> int:
    row: Any = con.execute(f"select count(*) from wide where {where}").fetchall()[0]
    return int(row[0])
