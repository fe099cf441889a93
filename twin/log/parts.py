"""Parquet parts `part-NNNNN.parquet`: written whole or not at all, read as a stream.

The only module of the log that knows Parquet; pyarrow is loaded when the first part is written or read, so that
in-memory logs stay light.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec import Struct

from twin.log.errors import RunError

__all__ = ["ENTRIES", "TRUTH", "Part", "PartInfo", "Texts", "columns_of", "find_parts", "last_number", "write_part"]

ENTRIES: Final = "entries"
TRUTH: Final = "truth"
"""Subfolders of a run."""

ROW_GROUP: Final = 8192
"""Rows that a reader holds at once."""

_NAME: Final = re.compile(r"part-(\d{5,})\.parquet")


class PartInfo(Struct, frozen=True):
    """A part as the manifest lists it: path within the run folder, and its number of rows."""

    name: str
    rows: int


class Part(Struct, frozen=True):
    """A finished part on disk: positions `first` to `last`, and the digest chain's value after `last`."""

    path: Path
    number: int
    first: int
    last: int
    digest: bytes

    @property
    def info(self) -> PartInfo:
        """The part as the manifest lists it."""
        return PartInfo(f"{self.path.parent.name}/{self.path.name}", self.last - self.first + 1)


class Texts(NamedTuple):
    """A column of UTF-8 texts as one buffer; text n lies between `ends[n]` and `ends[n + 1]`."""

    data: bytearray
    ends: array[int]


def write_part(
    folder: Path,
    number: int,
    columns: Sequence[tuple[str, Sequence[Any] | Texts]],
    *,
    first: int,
    last: int,
    digest: bytes,
) -> Part:
    """Write one part under a temporary name and rename it, so that it appears complete or not at all.

    Columns of ints become int64, the others text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names, arrays, dictionaries = [], [], []
    for name, values in columns:
        names.append(name)
        if isinstance(values, Texts):
            buffers = pa.py_buffer(values.ends), pa.py_buffer(values.data)
            arrays.append(pa.StringArray.from_buffers(len(values.ends) - 1, *buffers))
        elif isinstance(values[0], str):
            arrays.append(pa.array(values, pa.string()))
            dictionaries.append(name)
        else:
            arrays.append(pa.array(values, pa.int64()))
    table = pa.Table.from_arrays(arrays, names).replace_schema_metadata(
        {"first": str(first), "last": str(last), "digest": digest.hex()}
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"part-{number:05d}.parquet"
    unfinished = folder / f".{path.name}.unfinished"
    pq.write_table(
        table,
        unfinished,
        compression="zstd",
        compression_level=1,
        use_dictionary=dictionaries,
        write_statistics=["position", "at"],
        row_group_size=ROW_GROUP,
        write_page_checksum=True,
    )
    unfinished.replace(path)
    return Part(path, number, first, last, digest)


def last_number(folder: Path) -> int:
    """The highest part number in a folder, -1 where there is none."""
    numbers = [int(match[1]) for path in folder.glob("part-*.parquet") if (match := _NAME.fullmatch(path.name))]
    return max(numbers, default=-1)


def find_parts(folder: Path) -> list[Part]:
    """The finished parts of a folder in order, none where it is absent.

    Raises `RunError` where a part is damaged, or is missing between two others.
    """
    parts: list[Part] = []
    for number in range(last_number(folder) + 1):
        path = folder / f"part-{number:05d}.parquet"
        if not path.exists():
            raise RunError(f"{_place(path)} is missing, though later parts are there; run it again")
        part = _open(path, number)
        if parts and part.first != parts[-1].last + 1:
            raise RunError(
                f"{_place(path)} begins at row {part.first}, but the part before it ends at {parts[-1].last}; "
                "parts of two runs are mixed: run it again into an empty folder"
            )
        parts.append(part)
    return parts


def columns_of(part: Part, columns: Sequence[str], after: int = 0) -> Iterator[dict[str, list[Any]]]:
    """The named columns of a part's rows after position `after`, in batches; raises `RunError` where it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    skip = max(0, after - part.first + 1)
    try:
        with pq.ParquetFile(part.path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(batch_size=ROW_GROUP, columns=list(columns)):
                if skip >= batch.num_rows:
                    skip -= batch.num_rows
                    continue
                wanted = batch.slice(skip) if skip else batch
                skip = 0
                yield {name: wanted.column(name).to_pylist() for name in columns}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _damaged(part.path, error) from error


def _open(path: Path, number: int) -> Part:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            stored = file.schema_arrow.metadata or {}
            rows = file.metadata.num_rows
        first, last = int(stored[b"first"]), int(stored[b"last"])
        digest = bytes.fromhex(stored[b"digest"].decode())
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error
    except KeyError as error:
        raise RunError(f"{_place(path)} was not written by this program: it does not say {error}") from error
    if rows != last - first + 1:
        raise RunError(f"{_place(path)} holds {rows} rows, not those from {first} to {last}; run it again")
    return Part(path, number, first, last, digest)


def _place(path: Path) -> str:
    return f"{path.parent.parent}: {path.parent.name}/{path.name}"


def _damaged(path: Path, error: Exception) -> RunError:
    first_line = str(error).partition("\n")[0]
    return RunError(f"{_place(path)} is truncated or damaged ({first_line}); restore it or run it again")
