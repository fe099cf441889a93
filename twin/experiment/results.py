"""The results of an experiment in its folder: a Parquet file a run as it is done, and one table of all at the end.

`runs/KEY.parquet` is written whole or not at all, so that a kill loses only what was under way, and a run that is
there is not run again. `results.parquet` is made of them, in a fixed order and without wall-clock times: the same bytes
whoever executed the runs.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from twin.experiment.trial import Outcome, Row, code_digest
from twin.log.folder import RunRefused
from twin.measures.measured import Exact
from twin.run import versions

__all__ = ["RESULTS", "Store"]

RESULTS: Final = "results.parquet"

_COLUMNS: Final = (
    ("scenario", pa.string()),
    ("variant", pa.string()),
    ("seed", pa.int64()),
    ("start", pa.string()),
    ("measure", pa.string()),
    ("kind", pa.string()),
    ("unit", pa.string()),
    ("numerator", pa.float64()),
    ("denominator", pa.float64()),
    ("value", pa.float64()),
    ("exact", pa.string()),
    ("digest", pa.string()),
    ("scenario_digest", pa.string()),
    ("entries", pa.int64()),
    ("failure", pa.string()),
)
SCHEMA: Final = pa.schema(_COLUMNS)
"""A row a run and measure: `exact` is the value as a quotient, `digest` that of the run's log. A run whose engine
stopped has one row, without a measure, which says why."""

_RUN_SCHEMA: Final = pa.schema([*_COLUMNS, ("seconds", pa.float64())])


class Store:
    """The folder of an experiment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others out while this process works here; the lock ends with the process. Raises `RunRefused`."""
        if not self.runs.is_dir() and self.folder.exists() and any(self.folder.iterdir()):
            raise RunRefused(f"{self.folder} holds something else than an experiment; give a new folder")
        self.runs.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunRefused(f"another process is at work in {self.folder}; wait for it, or take another") from None
            yield

    def has(self, key: str) -> bool:
        """Whether the run of this key is done."""
        return self._path(key).exists()

    def add(self, outcome: Outcome) -> None:
        """Write a run's result, whole or not at all, and see it on the disk."""
        table = pa.Table.from_pylist(list(_rows(outcome)), schema=_RUN_SCHEMA)
        unfinished = self.runs / f".{outcome.key}.unfinished"
        with unfinished.open("wb") as file:
            pq.write_table(table, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path(outcome.key))

    def read(self, keys: Iterable[str]) -> list[Outcome]:
        """The results of these runs, in this order."""
        return [self._outcome(key) for key in keys]

    def write_table(self, outcomes: Iterable[Outcome]) -> Path:
        """Write `results.parquet` of these runs, in the order given; each once."""
        rows = [row for outcome in outcomes for row in _rows(outcome)]
        for row in rows:
            del row["seconds"]
        path = self.folder / RESULTS
        unfinished = self.folder / f".{RESULTS}.unfinished"
        made_by = {**versions(), "code": code_digest()}
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA.with_metadata(made_by)), unfinished)
        unfinished.replace(path)
        return path

    def _path(self, key: str) -> Path:
        return self.runs / f"{key}.parquet"

    def _outcome(self, key: str) -> Outcome:
        found = pq.read_table(self._path(key), schema=_RUN_SCHEMA).to_pylist()
        first = found[0]
        rows = tuple(
            Row(
                row["measure"],
                row["kind"],
                row["unit"],
                _back(row["numerator"]),
                _back(row["denominator"]),
                _exact(row["exact"]),
            )
            for row in found
            if row["measure"]
        )
        return Outcome(
            key,
            first["scenario"],
            first["variant"],
            first["seed"],
            first["scenario_digest"],
            first["digest"],
            first["entries"],
            rows,
            first["seconds"],
            first["start"],
            first["failure"],
        )


def _rows(outcome: Outcome) -> Iterator[dict[str, Any]]:
    of_run = {
        "scenario": outcome.scenario_id,
        "variant": outcome.variant,
        "seed": outcome.seed,
        "start": outcome.start,
        "digest": outcome.digest,
        "scenario_digest": outcome.scenario_digest,
        "entries": outcome.entries,
        "failure": outcome.failure,
        "seconds": outcome.seconds,
    }
    for row in outcome.rows:
        yield {
            **of_run,
            "measure": row.measure,
            "kind": row.kind,
            "unit": row.unit,
            "numerator": _float(row.numerator),
            "denominator": _float(row.denominator),
            "value": _float(row.value),
            "exact": None if row.value is None else str(Fraction(row.value)),
        }
    if not outcome.rows:
        yield {**of_run, "measure": ""}


def _float(value: Exact | None) -> float | None:
    return None if value is None else float(value)


def _back(value: float | None) -> Exact | None:
    return None if value is None else Fraction(value)


def _exact(text: str | None) -> Exact | None:
    if text is None:
        return None
    value = Fraction(text)
    return value.numerator if value.denominator == 1 else value
