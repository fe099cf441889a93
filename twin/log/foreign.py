"""A foreign log on disk: its neutral events as Parquet, and a manifest, written last; and read back."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Final

import msgspec

from twin import __version__
from twin.event_log import EventLog, EventLogError, Remark, SourceFile, arrow_schema
from twin.log.folder import RunRefused
from twin.log.manifest import MANIFEST

__all__ = ["EVENTS_FILE", "check_foreign", "is_foreign", "read_foreign", "write_foreign"]

EVENTS_FILE: Final = "events.parquet"

_FORMAT: Final = 1
_CHUNK: Final = 1 << 20

_LAST_MS: Final = 253_402_300_799_999
"""The last ms of the year 9999, after which no instant can be written."""

_KIND: Final = "event_log"
_AGAIN: Final = "write the log again"


class _Manifest(msgspec.Struct, frozen=True):
    """What `write_foreign` says of a log."""

    kind: str
    format: int
    title: str
    files: tuple[SourceFile, ...]
    events: int
    zone: str
    currency: str
    currency_exponent: int
    as_of_ms: int
    as_of_stated: bool
    whole: bool
    left_out_rows: int
    remarks: tuple[Remark, ...]
    caveats: tuple[str, ...]
    refused: dict[str, str]
    digest: str


def is_foreign(folder: Path) -> bool:
    """Whether the folder holds a log that `write_foreign` wrote, whole or damaged."""
    try:
        held = msgspec.json.decode((folder / MANIFEST).read_bytes())
    except (OSError, msgspec.MsgspecError):
        return False
    return isinstance(held, dict) and held.get("kind") == _KIND


def read_foreign(folder: Path) -> EventLog:
    """The log that `write_foreign` wrote. Raises `EventLogError` where it is damaged or of another version."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    events = folder / EVENTS_FILE
    try:
        held = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=_Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise EventLogError(str(folder / MANIFEST), f"it cannot be read: {error}", _AGAIN) from None
    if held.kind != _KIND:
        raise EventLogError(str(folder), f"its manifest is of '{held.kind}'", "give a log of `twin profile --out`")
    if held.format != _FORMAT:
        raise EventLogError(str(folder), f"it is of format {held.format}, this version reads {_FORMAT}", _AGAIN)
    if not 0 <= held.as_of_ms <= _LAST_MS:
        raise EventLogError(str(folder / MANIFEST), f"as_of_ms {held.as_of_ms} is no time up to the year 9999", _AGAIN)
    if not events.is_file() or _digest(events) != held.digest:
        raise EventLogError(str(events), "it is not what its manifest says", _AGAIN)
    try:
        table = pq.ParquetFile(events).read()
    except pa.ArrowException as error:
        raise EventLogError(str(events), f"it cannot be read: {error}", _AGAIN) from None
    if table.schema != arrow_schema():
        raise EventLogError(str(events), "it has other columns than a neutral log", _AGAIN)
    told = {name: getattr(held, name) for name in EventLog.__struct_fields__ if name != "table"}
    return EventLog(table=table, **told)


def check_foreign(folder: Path) -> None:
    """See that a log can be written to `folder`: it is absent or empty. Raises `RunRefused`."""
    if folder.is_dir():
        if any(folder.iterdir()):
            raise RunRefused(f"{folder} is not empty; give another folder")
        return
    if folder.exists():
        raise RunRefused(f"{folder} is a file; give a folder that does not exist yet")
    if not folder.absolute().parent.is_dir():
        raise RunRefused(f"{folder} cannot be made: {folder.parent} is no folder; make it first")


def write_foreign(log: EventLog, folder: Path) -> str:
    """Write `events.parquet` and then `manifest.json` to `folder`, whole or not at all; returns the digest.

    The digest is that of the file of events. Raises `RunRefused` where the folder holds anything.
    """
    import pyarrow.parquet as pq

    check_foreign(folder)
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    try:
        unfinished.mkdir()
        events = unfinished / EVENTS_FILE
        pq.write_table(log.table, events, compression="zstd")
        digest = _digest(events)
        manifest = {
            "format": _FORMAT,
            "kind": _KIND,
            "title": log.title,
            "version": __version__,
            "files": log.files,
            "events": log.table.num_rows,
            "zone": log.zone,
            "currency": log.currency,
            "currency_exponent": log.currency_exponent,
            "as_of_ms": log.as_of_ms,
            "as_of_stated": log.as_of_stated,
            "whole": log.whole,
            "left_out_rows": log.left_out_rows,
            "remarks": log.remarks,
            "caveats": log.caveats,
            "refused": log.refused,
            "digest": digest,
        }
        (unfinished / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return digest


def _digest(path: Path) -> str:
    hasher = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()
