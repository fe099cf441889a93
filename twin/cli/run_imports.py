"""A run that was exported, read back into a folder of its own, by an adapter found by its entry point."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import msgspec

from twin.cli.failures import InputError
from twin.cli.terminal import line
from twin.codec import GENESIS
from twin.core.entry import Entry
from twin.log import Manifest, RunError, RunLog, write_manifest
from twin.log.folder import check_way, make_way
from twin.log.manifest import SCHEMA

__all__ = ["GROUP", "import_run"]

GROUP = "ordertwin.run_imports"
BATCH = 256


class RecordedRun(Protocol):
    """What an entry point of the group gives for a file."""

    @property
    def manifest(self) -> str:
        """The run's manifest, as JSON."""

    @property
    def scenario(self) -> str:
        """The run's scenario, as YAML; empty where the file has none."""

    def entries(self) -> Iterator[Entry]:
        """The run's entries in their order."""


def import_run(kind: str, file: Path, out: Path, *, force: bool) -> None:
    """Read a run back into `out`, whole or not at all, and say what came and what did not.

    Raises `InputError` for a kind that is not installed, `RunRefused` where the folder cannot be had, `RunError` where
    the entries are not those that were exported, and what the adapter raises for a file that cannot be used.
    """
    found = {point.name: point for point in entry_points(group=GROUP)}
    if kind not in found:
        raise InputError(f"--kind {kind}: nothing reads it; installed here: {', '.join(sorted(found)) or 'none'}")
    check_way(out, force)
    recorded: RecordedRun = found[kind].load()(file)
    above = next(parent for parent in out.absolute().parents if parent.exists())
    with TemporaryDirectory(prefix=f".{out.name}.", suffix=".unfinished", dir=above) as scratch:
        folder = Path(scratch) / out.name
        folder.mkdir()
        exported, manifest = _write(recorded, file, folder)
        make_way(out, force)
        folder.replace(out)
    _tell(exported, manifest, out)


def _write(recorded: RecordedRun, file: Path, folder: Path) -> tuple[Manifest, Manifest]:
    from twin.measures import write_measures

    try:
        exported = msgspec.json.decode(recorded.manifest, type=Manifest)
        parent = bytes.fromhex(exported.parent)
    except ValueError as error:
        raise RunError(f"{file}: the run's manifest cannot be read: {error}; export the run again") from error
    if exported.schema != SCHEMA:
        raise RunError(f"{file}: the run's manifest has schema {exported.schema}; this version reads {SCHEMA}")
    log = _log_of(recorded.entries(), exported.position, parent, file, folder)
    if (log.digest.hex(), sum(part.info.rows for part in log.parts)) != (exported.digest, exported.entries):
        raise RunError(
            f"{file}: its entries up to {log.position} have the digest {log.digest.hex()}, and the run's manifest says "
            f"{exported.entries} entries with {exported.digest}: it was changed after it was written; export the run "
            "again"
        )
    # The truth stays where the run was made.
    parts = tuple(part.info for part in log.parts)
    manifest = msgspec.structs.replace(exported, parts=parts, truth_rows=0, truth_digest="")
    if recorded.scenario:
        (folder / "scenario.yaml").write_text(recorded.scenario, encoding="utf-8")
    write_measures(folder, manifest)
    write_manifest(folder, manifest)
    return exported, manifest


def _log_of(entries: Iterator[Entry], position: int, parent: bytes, file: Path, folder: Path) -> RunLog:
    batch: list[Entry] = []
    log: RunLog | None = None
    for entry in entries:
        if log is None:
            # A run that went on from a snapshot without taking its log over begins where its parent was.
            before = entry.position - 1
            if before and (before != position or not parent):
                raise RunError(f"{file}: begins at entry {entry.position}, not at the first; export the run again")
            log = RunLog(folder, position=before, digest=parent if before else GENESIS)
        batch.append(entry)
        if len(batch) == BATCH:
            log.append(batch, log.position)
            batch = []
    if log is None:
        raise RunError(f"{file}: holds no entry; export a run that has some")
    log.append(batch, log.position)
    log.close()
    return log


def _tell(exported: Manifest, manifest: Manifest, out: Path) -> None:
    from twin.measures import MEASURES

    line(f"{manifest.entries:,} entries: {out}")
    line(f"digest: {manifest.digest}, as it was exported")
    if exported.truth_rows:
        refused = [name for name, spec in MEASURES.items() if spec.kind == "T"]
        line(f"not carried: the truth, {exported.truth_rows:,} rows; these measures of kind T are refused by name:")
        for name in refused:
            line(f"  {name}")
