"""Columns of text that grow a row at a time, in little memory, and a file that is made of such."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from adapters.event_log.mapping import EventLogMapping
from twin.event_log import EventLogError, Remark

__all__ = ["RecordFile", "TextColumns", "text_of", "wanted_columns"]

_BATCH: Final = 1 << 14


class TextColumns:
    """Rows of texts; None is a blank. Each row says which record of the file it is of, counted from 1."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)
        self.place = {name: at for at, name in enumerate(self.names)}
        self._rows: list[Sequence[str | None]] = []
        self._records: list[int] = []
        self._batches: list[Any] = []
        self._numbers: list[Any] = []
        self._schema = pa.schema([(name, pa.string()) for name in self.names])

    def add(self, record: int, cells: Sequence[str | None]) -> None:
        """One more row, with a cell for every name."""
        self._rows.append(cells)
        self._records.append(record)
        if len(self._rows) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        columns = zip(*self._rows, strict=True)
        self._batches.append(pa.record_batch([pa.array(one, pa.string()) for one in columns], schema=self._schema))
        self._numbers.append(pa.array(self._records, pa.int64()))
        self._rows, self._records = [], []

    def close(self) -> tuple[Any, Any]:
        """The rows as a `pyarrow.Table`, and their records' numbers."""
        if self._rows:
            self._flush()
        made = pa.Table.from_batches(self._batches, schema=self._schema), pa.chunked_array(self._numbers, pa.int64())
        self._batches, self._numbers = [], []
        return made


class RecordFile:
    """A file whose records are read once, front to end, into those columns that the mapping may mean.

    `columns` are all that it has, `rows` its records, `holds` what is in it in words, `records` the record of each row
    of the table, and `remarks` what was met and not repaired.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = path.stat().st_size
        self.columns: list[str] = []
        self.rows = 0
        self.holds = ""
        self.remarks: list[Remark] = []
        self.records: Any = None
        self._table: Any = None

    def error(self, line: int | None, problem: str, remedy: str) -> EventLogError:
        """An error about this file."""
        return EventLogError(str(self.path) if line is None else f"{self.path}:{line}", problem, remedy)

    def hint(self, column: str) -> str:
        """Why a column may not be found; nothing here."""
        return ""

    def read(self, columns: Sequence[str]) -> Any:
        """These columns as text, each once."""
        return self._table.select([name for name in columns if name in self._table.column_names])


def wanted_columns(mapping: EventLogMapping) -> list[str]:
    """Every column that a mapping may mean of one of its files, each once."""
    said = dict.fromkeys(column for _, column in mapping.columns())
    for part in mapping.files.values():
        said |= dict.fromkeys([*(part.join or {}), *(part.join or {}).values()])
    # In a mapping of several files, `name.column` is a column of that file.
    prefixes = tuple(f"{name}." for name in mapping.files)
    bare = [column.partition(".")[2] for column in said if column.startswith(prefixes)] if prefixes else []
    return list(said | dict.fromkeys(bare))


def text_of(value: Any) -> str | None:
    """A JSON value as the text of a cell; a list or a map is none."""
    if value is None or isinstance(value, (dict, list)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    # A whole number kept as a float loses its `.0`, as in a table.
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)
