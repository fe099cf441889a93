"""Rows of a file as raw cells: CSV, plain or gzipped, and Parquet.

A reader hands over `(row, cells)` with the cells in the order of `OrderBookMapping.columns` and knows
nothing of what they mean. What can be wrong with a file as a file is found here.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from adapters.order_book.mapping import OrderBookMapping
from twin.order_book import OrderBookError, Progress

__all__ = ["PARQUET", "is_parquet", "read_rows"]

PARQUET = b"PAR1"
_GZIP = b"\x1f\x8b"
_PROGRESS_LINES = 10_000
_BATCH_ROWS = 65_536

Row = tuple[int, Sequence[Any]]


def is_parquet(path: Path) -> bool:
    """Whether the file is to be read as Parquet: by its name, or else by its first bytes.

    Raises `OrderBookError` for a file that is absent, a folder, unreadable or empty.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except FileNotFoundError:
        raise OrderBookError(str(path), "there is no such file", "check the path of the book") from None
    except IsADirectoryError:
        raise OrderBookError(str(path), "is a folder, not a file", "name one CSV or Parquet file inside it") from None
    except OSError as error:
        raise OrderBookError(str(path), f"cannot be read ({error.strerror})", "check its rights") from None
    if not start:
        raise OrderBookError(str(path), "is empty", "export the book again, with a header and its lines")
    return path.suffix.lower() in (".parquet", ".pq") or start == PARQUET


def read_rows(path: Path, mapping: OrderBookMapping, progress: Progress | None) -> Iterator[Row]:
    """Rows of the book, one at a time; nothing but the current stretch is held in memory.

    Raises `OrderBookError` where the file cannot be read on.
    """
    if is_parquet(path):
        yield from _parquet_rows(path, mapping, progress)
    else:
        yield from _csv_rows(path, mapping, progress)


def _positions(path: Path, columns: Sequence[str], mapping: OrderBookMapping, place: str) -> list[int]:
    positions = []
    for field, column in mapping.columns.items():
        found = columns.count(column)
        if found == 1:
            positions.append(columns.index(column))
            continue
        key = "at.column" if field == "at" else field
        if found:
            raise OrderBookError(
                place, f"column {column!r} appears {found} times", "rename the column that is not meant"
            )
        close = difflib.get_close_matches(column, columns, n=1, cutoff=0.5)
        guess = f" (did you mean {close[0]!r}?)" if close else ""
        hint = ""
        if len(columns) == 1 and path.suffix.lower() not in (".parquet", ".pq"):
            other = next((mark for mark in (";", "\t", "|", ",") if mark in columns[0]), None)
            hint = f"; the lines seem to be split by {other!r}: set `delimiter`" if other else ""
        raise OrderBookError(
            place,
            f"no column {column!r}, which the mapping names as {key!r}",
            f"columns found: {', '.join(columns)}{guess}{hint}",
        )
    return positions


def _csv_rows(path: Path, mapping: OrderBookMapping, progress: Progress | None) -> Iterator[Row]:
    with path.open("rb") as file:
        total = file.seek(0, 2)
        file.seek(0)
        gzipped = file.read(2) == _GZIP
        file.seek(0)
        if path.suffix.lower() == ".gz" and not gzipped:
            raise OrderBookError(str(path), "is named .gz but is not gzipped", "name it .csv or compress it")
        source: Any = gzip.GzipFile(fileobj=file) if gzipped else file
        # strict: a stray quote must stop the reading, since without it lines melt together silently.
        reader = csv.reader(_decoded(path, source, mapping.encoding), strict=True, delimiter=mapping.delimiter)
        start = 1
        try:
            header = [name.strip() for name in next(reader, [])]
            if not header:
                raise OrderBookError(f"{path}:1", "there is no header", "the first line must name the columns")
            positions = _positions(path, header, mapping, f"{path}:1")
            width = len(header)
            start = reader.line_num + 1
            for cells in reader:
                if len(cells) == width:
                    yield start, [cells[position] for position in positions]
                elif cells:
                    raise OrderBookError(
                        f"{path}:{start}",
                        f"has {len(cells)} fields, the header has {width}",
                        "quote fields that hold the delimiter, and check that the file is whole",
                    )
                start = reader.line_num + 1
                if progress is not None and start % _PROGRESS_LINES == 0:
                    progress(file.tell(), total)
        except csv.Error as error:
            raise OrderBookError(
                f"{path}:{start}", f"is no CSV record ({error})", "close the quotes of this line"
            ) from None
        if progress is not None:
            progress(total, total)


def _decoded(path: Path, source: BinaryIO, encoding: str) -> Iterator[str]:
    number = 0
    # The mark is dropped from the first line only: elsewhere it would be data.
    first = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    try:
        for raw in source:
            number += 1
            yield raw.decode(encoding if number > 1 else first)
    except UnicodeDecodeError as error:
        raise _not_decodable(path, number, error) from None
    except EOFError:
        raise OrderBookError(
            f"{path}:{number + 1}", "the gzip stream ends here, cut off", "fetch or compress the file again"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise OrderBookError(
            f"{path}:{number + 1}",
            f"the gzip stream is damaged ({error})",
            "fetch or compress the file again",
        ) from None


def _not_decodable(path: Path, number: int, error: UnicodeDecodeError) -> OrderBookError:
    line = error.object
    if number == 1 and line[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return OrderBookError(f"{path}:1", "is UTF-16", "save the file as UTF-8")
    byte = line[error.start]
    meant = line[error.start : error.start + 1].decode("cp1252", "replace")
    return OrderBookError(
        f"{path}:{number}",
        f"byte {error.start + 1} of the line, 0x{byte:02x}, is not {error.encoding.upper()}",
        f"in cp1252 it would be {meant!r}: save the whole file as UTF-8, "
        "or set `encoding: cp1252` if every line is in it",
    )


def _parquet_rows(path: Path, mapping: OrderBookMapping, progress: Progress | None) -> Iterator[Row]:
    import pyarrow as pa  # imported here: half a second that a CSV reader does not owe
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        start = file.read(4)
        file.seek(max(0, path.stat().st_size - 4))
        end = file.read(4)
    if start != PARQUET:
        raise OrderBookError(str(path), "is named as Parquet but is none", "name it .csv, or write it as Parquet again")
    if end != PARQUET:
        raise OrderBookError(str(path), "is cut off: the Parquet footer is missing", "fetch it again")
    try:
        with pq.ParquetFile(path) as table:
            schema = table.schema_arrow
            positions = _positions(path, schema.names, mapping, str(path))
            names = [schema.names[position] for position in positions]
            for name in names:
                kind = schema.field(name).type
                if pa.types.is_dictionary(kind):
                    kind = kind.value_type
                if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_boolean(kind):
                    raise OrderBookError(
                        str(path), f"column {name!r} holds {kind}", "it must hold text, numbers or times"
                    )
            row, total = 1, table.metadata.num_rows
            # a column named twice in the mapping is asked for once and handed over twice
            asked = list(dict.fromkeys(names))
            for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=asked):
                cells = {name: _plain(pa, batch.column(name)) for name in asked}
                for values in zip(*(cells[name] for name in names), strict=True):
                    yield row, values
                    row += 1
                if progress is not None:
                    progress(row - 1, total)
    except (pa.ArrowException, OSError) as error:
        text = str(error).splitlines()[0]
        raise OrderBookError(str(path), f"is no readable Parquet file ({text})", "write it again") from None


def _plain(pa: Any, column: Any) -> list[Any]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python times have no nanoseconds, and the book's clock has only milliseconds.
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    return values
