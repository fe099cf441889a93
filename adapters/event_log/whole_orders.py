"""Events of a whole order in a log whose cases are lines: each of the order's lines is told."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from twin.event_log import COLUMNS, Remark

__all__ = ["tell_lines"]


def tell_lines(con: duckdb.DuckDBPyConnection, table: Any, remarks: list[Remark]) -> Any:
    """The neutral table, with what is told of an order and of none of its lines told of each of them.

    Lines of an order are those that the log names anywhere, in the order in which it first does; an order without any
    stays as it is. A quantity or value of such an event is the whole order's and no line's: it is left out and counted.
    """
    con.register("told", table.append_column("seq", pa.array(np.arange(table.num_rows))))
    con.execute(
        'create temp table lines as select "order", line, min(seq) as place from told '
        'where "order" is not null and line is not null group by all'
    )
    whole = 'told.line is null and "order" in (select "order" from lines)'
    of = f"from told where {whole}"
    _remark(con, remarks, "events of an order without a line, taken for all its lines", of)
    _remark(
        con,
        remarks,
        "quantities and values of such events, left out",
        f"{of} and (quantity is not null or value_minor is not null)",
    )
    listed = ", ".join(f'"{name}"' for name in COLUMNS)
    own = {name: f'told."{name}"' for name in COLUMNS} | {
        "line": "lines.line",
        "case_id": "told.case_id || '/' || lines.line",
        "quantity": "null::bigint",
        "value_minor": "null::bigint",
    }
    spread = ", ".join(f'{said} as "{name}"' for name, said in own.items())
    made = table
    if con.execute(f"select count(*) {of}").fetchall()[0][0]:
        query = (
            f"select {listed} from ("
            f"select {listed}, seq, 0 as place from told where ({whole}) is not true union all "
            f'select {spread}, told.seq, lines.place from told join lines on told."order" = lines."order" '
            "where told.line is null) order by seq, place"
        )
        made = con.sql(query).to_arrow_table().cast(table.schema)
    con.execute("drop table lines")
    con.unregister("told")
    return made


def _remark(con: duckdb.DuckDBPyConnection, remarks: list[Remark], text: str, of: str) -> None:
    rows = con.execute(f"select row, activity, count(*) over () {of} order by seq limit 5").fetchall()
    if rows:
        remarks.append(Remark(text, int(rows[0][2]), tuple((row, said) for row, said, _ in rows)))
