"""What a log says of the luck of single parcels, purchases and picks, so that a run can be given it again.

A residual is the place of a recorded duration among those that a scenario's distribution gives: the quantile at which
it stands. Drawn from the same distribution it gives the recorded duration again; from another one, of another carrier
or site, it gives what equally good or bad luck would have made there.

Quantiles are integers in units of 2**-52, from 1 to 2**52 - 1: `low` and `high` differ where the log tells no more than
that the duration lies between two, as for a parcel that waited for an opening or is still under way. Instants and
durations are ms.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

__all__ = ["KINDS", "ONE", "Residual", "ResidualsError", "read_residuals", "write_residuals"]

ONE: Final = 1 << 52
"""A quantile of 1."""

KINDS: Final = ("transit", "lead_time", "pick", "handling")


class ResidualsError(ValueError):
    """A file of residuals that cannot be used; the text says where, what and what to do."""


class Residual(msgspec.Struct, frozen=True, gc=False):
    """One recorded duration.

    `key` is the delivery note of a transit, a pick or a handling, and the item of a lead time. `subject` is the order
    of the first three; `node` the warehouse; `at` when it began. What lies beyond the distribution's end is
    `beyond_ppm` of that end, in parts per million, else 1,000,000. `dock_ms` is the time from the dock to the shelf
    that goes with a lead time.
    """

    kind: str
    key: str
    subject: str
    node: str
    at: int
    low: int
    high: int
    beyond_ppm: int = 1_000_000
    dock_ms: int = 0


def write_residuals(path: Path, residuals: Iterable[Residual]) -> None:
    """Write them as Parquet, one column a field."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = list(residuals)
    columns = {name: [getattr(row, name) for row in rows] for name in Residual.__struct_fields__}
    pq.write_table(pa.table(columns, schema=_schema(pa)), path, compression="zstd")


def read_residuals(path: Path) -> tuple[Residual, ...]:
    """The residuals in a file. Raises `ResidualsError`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise ResidualsError(f"{path}: there is no such file; `twin reconstruct` writes it beside its scenario")
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ResidualsError(f"{path} cannot be read as Parquet: {reason}; run `twin reconstruct` again") from None
    schema = _schema(pa)
    if not table.schema.equals(schema):
        wanted = ", ".join(f"{field.name} {field.type}" for field in schema)
        raise ResidualsError(
            f"{path} is no file of residuals, whose columns are {wanted}; run `twin reconstruct` again"
        )
    rows = tuple([Residual(**row) for row in table.to_pylist()])
    for number, row in enumerate(rows, start=1):
        if row.kind not in KINDS or not 0 < row.low <= row.high < ONE or row.beyond_ppm < 1 or row.dock_ms < 0:
            raise ResidualsError(f"{path}: row {number} is no residual: {row}; run `twin reconstruct` again")
    return rows


def _schema(pa: Any) -> Any:
    texts = ("kind", "key", "subject", "node")
    return pa.schema(
        [
            pa.field(name, pa.string() if name in texts else pa.int64(), nullable=False)
            for name in Residual.__struct_fields__
        ]
    )
