"""Files as Arrow tables of text: CSV, plain or gzipped, and Parquet, with only the columns that are asked for.

What can be wrong with a file as a file is found here. The fast reader says little about where it stopped, so a
file that it refuses is read again, slowly, to count the lines that are to blame.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from twin.event_log import EventLogError, Remark

__all__ = ["ForeignFile", "first_rows"]

_PARQUET = b"PAR1"
_GZIP = b"\x1f\x8b"
_ARCHIVE = b"PK\x03\x04"
_CONTROLS = tuple(bytes([code]) for code in range(8))
"""What no text holds."""
_HEAD = 1 << 16
_SHOWN = 5
_BLOCK = 1 << 23


class ForeignFile:
    """One file of an export; `columns` are known at once, rows when they are read.

    Raises `EventLogError` for a file that is absent, a folder, unreadable, empty, cut off or of another kind.
    """

    def __init__(self, path: Path, delimiter: str, encoding: str) -> None:
        self.path = path
        self.rows = 0
        self.holds = ""
        self.records: Any = None
        self.remarks: list[Remark] = []
        self._delimiter = delimiter
        self._encoding = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
        head = self._head()
        self.bytes = path.stat().st_size
        self.is_parquet = head[:4] == _PARQUET or path.suffix.lower() in (".parquet", ".pq")
        self._gzipped = head[:2] == _GZIP
        self.columns: list[str] = self._parquet_columns(head) if self.is_parquet else self._header(head)

    def error(self, problem: str, remedy: str, line: int | None = None) -> EventLogError:
        """An error about this file."""
        return EventLogError(str(self.path) if line is None else f"{self.path}:{line}", problem, remedy)

    def hint(self, column: str) -> str:
        """Why a column may not be found: the lines seem to be split by something else."""
        if len(self.columns) > 1 or self.is_parquet:
            return ""
        other = next((mark for mark in (";", "\t", "|", ",") if mark in self.columns[0]), None)
        return f"; the lines seem to be split by {other!r}: set `delimiter`" if other else ""

    def read(self, columns: Sequence[str]) -> Any:
        """These columns, each once, as a `pyarrow.Table`: text of CSV, typed of Parquet; blanks are null."""
        table = self._read_parquet(columns) if self.is_parquet else self._read_csv(columns)
        if table.num_rows == 0:
            raise self.error("holds a header and no row", "export the log again, with its events")
        self.rows = table.num_rows
        return table

    def _head(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                head = file.read(_HEAD)
        except FileNotFoundError:
            raise self.error("there is no such file", "check the path of the log") from None
        except IsADirectoryError:
            raise self.error("is a folder, not a file", "name the CSV or Parquet files inside it") from None
        except OSError as error:
            raise self.error(f"cannot be read ({error.strerror})", "check its rights") from None
        if not head:
            raise self.error("is empty", "export the log again, with a header and its rows")
        return head

    def _parquet_columns(self, head: bytes) -> list[str]:
        if head[:4] != _PARQUET:
            raise self.error("is named as Parquet but is none", "name it .csv, or write it as Parquet again")
        with self.path.open("rb") as file:
            file.seek(max(0, self.bytes - 4))
            if file.read(4) != _PARQUET:
                raise self.error("is cut off: the Parquet footer is missing", "fetch it again")
        try:
            schema = pq.read_schema(self.path)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from None
        return list(schema.names)

    def _read_parquet(self, columns: Sequence[str]) -> Any:
        try:
            table = pq.read_table(self.path, columns=list(columns))
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from None
        for field in table.schema:
            kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
            if pa.types.is_nested(kind) or pa.types.is_binary(kind):
                raise self.error(f"column {field.name!r} holds {kind}", "it must hold text, numbers or times")
            if pa.types.is_timestamp(kind) and kind.unit == "ns":
                # DuckDB cannot cast nanoseconds with a zone; nothing here is told more finely than milliseconds.
                held = table[field.name].cast(pa.timestamp("us", kind.tz), safe=False)
                table = table.set_column(table.schema.get_field_index(field.name), field.name, held)
        return table

    def _unreadable(self, error: Exception) -> EventLogError:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        return self.error(f"is no readable Parquet file ({text})", "fetch it or write it again")

    def _header(self, head: bytes) -> list[str]:
        if self.path.suffix.lower() == ".gz" and not self._gzipped:
            raise self.error("is named .gz but is not gzipped", "name it .csv or compress it")
        if head[:4] == _ARCHIVE:
            raise self.error("is a zip archive or a workbook, not a table", "unpack it, or save it as CSV")
        try:
            with self._opened() as file:
                start = file.read(_HEAD)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise self._cut_off(1) from None
        if not start:
            raise self.error("is empty", "export the log again, with a header and its rows")
        if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise self.error("is UTF-16", "save the file as UTF-8", 1)
        if any(mark in start for mark in _CONTROLS):
            raise self.error("is binary, not a table", "give CSV, Parquet, OCEL 2.0, XES or CloudEvents")
        first = start.splitlines()[0]
        try:
            cells = next(csv.reader([first.decode(self._encoding)], delimiter=self._delimiter), [])
        except UnicodeDecodeError as error:
            raise self._undecodable(error, 1) from None
        names = [name.strip() for name in cells]
        if not any(names):
            raise self.error("there is no header", "the first line must name the columns", 1)
        return names

    def _opened(self) -> Any:
        return gzip.open(self.path) if self._gzipped else self.path.open("rb")

    def _read_csv(self, columns: Sequence[str]) -> Any:
        # Columns of one name would be ambiguous to the reader; those that are wanted are unique.
        names = [name if self.columns.count(name) == 1 else f"{name}\0{at}" for at, name in enumerate(self.columns)]
        plain = codecs.lookup(self._encoding).name in ("utf-8", "utf-8-sig")
        try:
            with (
                pa.CompressedInputStream(str(self.path), "gzip") if self._gzipped else pa.OSFile(str(self.path)) as file
            ):
                return pc.read_csv(
                    file,
                    pc.ReadOptions(
                        column_names=names,
                        skip_rows=1,
                        block_size=_BLOCK,
                        encoding="utf8" if plain else self._encoding,
                    ),
                    pc.ParseOptions(delimiter=self._delimiter, newlines_in_values=self._may_quote()),
                    pc.ConvertOptions(
                        column_types=dict.fromkeys(columns, pa.string()),
                        include_columns=list(columns),
                        null_values=[""],
                        strings_can_be_null=True,
                    ),
                )
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            if "Empty CSV" in str(error):
                raise self.error("holds a header and no row", "export the log again, with its events") from None
            self._blame()
            text = str(error).splitlines()[0]
            raise self.error(f"is no readable CSV file ({text})", "export it again") from None

    def _may_quote(self) -> bool:
        # Without a quote no cell holds a line's end, and blocks can be read side by side.
        if self._gzipped:
            return True
        with self.path.open("rb") as file:
            while chunk := file.read(_BLOCK):
                if b'"' in chunk:
                    return True
        return False

    def _blame(self) -> None:
        """Read slowly, and raise what the fast reader stumbled over, counted."""
        number = 0
        wrong: list[tuple[int, str]] = []
        width, count, start, record = len(self.columns), 0, 1, 0
        try:
            with self._opened() as raw, io.TextIOWrapper(raw, encoding=self._encoding, newline="") as text:
                reader = csv.reader(text, delimiter=self._delimiter)
                for cells in reader:
                    if cells and len(cells) != width:
                        count += 1
                        if len(wrong) < _SHOWN:
                            wrong.append((record, f"{len(cells)} fields"))
                    record += bool(cells)
                    start = reader.line_num + 1
                    number = reader.line_num
        except UnicodeDecodeError as error:
            raise self._undecodable(error, None) from None
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise self._cut_off(number + 1) from None
        except csv.Error as error:
            raise self.error(f"is no CSV record ({error})", "close the quotes of this line", start) from None
        if count:
            raise EventLogError(
                str(self.path),
                f"{count:,} {'lines have' if count > 1 else 'line has'} not the {width} fields of the header",
                "quote fields that hold the delimiter, and check that the file is whole",
                wrong,
                count,
            )

    def _cut_off(self, line: int) -> EventLogError:
        return self.error("the gzip stream ends here, cut off or damaged", "fetch or compress the file again", line)

    def _undecodable(self, error: UnicodeDecodeError, line: int | None) -> EventLogError:
        byte = error.object[error.start]
        return self.error(
            f"byte 0x{byte:02x} is not {error.encoding.upper()}",
            "save the whole file as UTF-8, or set `encoding: cp1252` if all of it is in that",
            line,
        )


def first_rows(rows: Iterable[tuple[int, Any]]) -> list[tuple[int, str]]:
    """Offending rows as they are shown."""
    return [(row, _shown(cell)) for row, cell in rows]


def _shown(cell: Any) -> str:
    text = "" if cell is None else repr(str(cell))
    return text if len(text) <= 40 else f"{text[:37]}..."
