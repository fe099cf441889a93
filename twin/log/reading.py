"""Reading a run folder back: entries, rows, truth, and the proof that they are what was written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from twin.codec import GENESIS, CodecError, decode_entry, link
from twin.core.entry import Entry
from twin.log.correlation import COMMANDS, from_outcome
from twin.log.errors import RunError
from twin.log.manifest import Manifest, read_manifest
from twin.log.parts import ENTRIES, TRUTH, Part, columns_of, find_parts
from twin.log.truth import TruthRow, link_row

__all__ = ["Row", "read_entries", "read_rows", "read_truth", "verify_run"]


class Row(NamedTuple):
    """An entry as it is stored: `payload` is its JSON, the other columns are read off it."""

    position: int
    at: int
    type: str
    subject: str
    correlation: str
    payload: str


def row_of(entry: Entry, payload: str) -> Row:
    """The row that stores an entry whose JSON is `payload`."""
    tag, about, correlation = COMMANDS[type(entry.command)]
    return Row(
        entry.position,
        entry.now,
        tag,
        about(entry.command),
        from_outcome(entry) if correlation is None else correlation(entry.command),
        payload,
    )


def read_entries(run: Path, after: int = 0) -> Iterator[Entry]:
    """The entries of a run in order, also of one that is cut off. Raises `RunError` for a damaged part or none."""
    for part in _entry_parts(run):
        if part.last > after:
            for batch in columns_of(part, ("payload",), after):
                for text in batch["payload"]:
                    yield _decoded(run, part, text)


def read_rows(run: Path, after: int = 0) -> Iterator[Row]:
    """The stored rows of a run in order, also of one that is cut off. Raises `RunError` for a damaged part or none."""
    for part in _entry_parts(run):
        if part.last > after:
            for batch in columns_of(part, Row._fields, after):
                yield from map(Row, *batch.values())


def read_truth(run: Path) -> Iterator[TruthRow]:
    """The truth of a run in order; nothing where none was recorded. Raises `RunError` for a damaged part."""
    for part in find_parts(run / TRUTH):
        for batch in columns_of(part, TruthRow._fields):
            yield from map(TruthRow, *batch.values())


def verify_run(run: Path) -> Manifest:
    """Recompute both digest chains and compare them with the manifest, which is returned.

    The other columns must say what the payload says. Raises `RunError` naming the first part that does not fit.
    """
    manifest = read_manifest(run)
    parts = find_parts(run / ENTRIES)
    # A run that went on from a snapshot took over the parts before it, so its chain begins where the parent's did.
    forked = bool(manifest.parent) and not (parts and parts[0].first == 1)
    digest = bytes.fromhex(manifest.parent) if forked else GENESIS
    entries = 0
    for part in parts:
        for batch in columns_of(part, Row._fields):
            for stored in map(Row, *batch.values()):
                digest = link(digest, stored.payload.encode())
                entries += 1
                if row_of(_decoded(run, part, stored.payload), stored.payload) != stored:
                    raise RunError(f"{run}: {part.info.name}: row {stored.position} does not fit its payload")
        _same(run, part, digest)
    if (entries, digest.hex()) != (manifest.entries, manifest.digest):
        raise RunError(
            f"{run}: {entries} entries with digest {digest.hex()}, the manifest says {manifest.entries} with "
            f"{manifest.digest}; restore it or run it again"
        )
    if manifest.truth_digest and not forked:
        digest = GENESIS
        for part in find_parts(run / TRUTH):
            for batch in columns_of(part, TruthRow._fields[1:]):
                for values in zip(*batch.values(), strict=True):
                    digest = link_row(digest, *values)
            _same(run, part, digest)
        if digest.hex() != manifest.truth_digest:
            raise RunError(f"{run}: the truth's digest is {digest.hex()}, the manifest says {manifest.truth_digest}")
    return manifest


def _decoded(run: Path, part: Part, payload: str) -> Entry:
    try:
        return decode_entry(payload)
    except CodecError as error:
        raise RunError(f"{run}: {part.info.name} holds {error}; restore it or run it again") from error


def _same(run: Path, part: Part, digest: bytes) -> None:
    if digest != part.digest:
        raise RunError(
            f"{run}: {part.info.name} was changed after it was written: its digest is {digest.hex()}, "
            f"not {part.digest.hex()}; restore it or run it again"
        )


def _entry_parts(run: Path) -> list[Part]:
    if not run.is_dir():
        raise RunError(f"{run}: no such run folder; give the folder that `twin run --out` wrote")
    parts = find_parts(run / ENTRIES)
    if not parts:
        raise RunError(f"{run} has no finished part of entries; run it again")
    return parts
