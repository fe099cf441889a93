"""The manifest of a run: written last, so that a folder without it is visibly cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from twin.log.errors import RunError
from twin.log.parts import ENTRIES, TRUTH, PartInfo, find_parts
from twin.log.run_log import RunLog
from twin.log.telemetry import Monitoring, Objective
from twin.log.truth import TruthLog

__all__ = ["MANIFEST", "CostRates", "Manifest", "manifest_of", "read_manifest", "write_manifest"]

MANIFEST: Final = "manifest.json"
SCHEMA: Final = 1
DAY_MS: Final = 86_400_000


class CostRates(Struct, frozen=True, forbid_unknown_fields=True):
    """What stock and waiting cost, exactly; nothing unless set.

    `holding_ppm_per_year` is a share of an item's standard cost, in millionths a year of 365 days. `holding` and
    `penalty` are minor units (numerator, denominator) for one unit over one period of `period_ms`, on hand and
    backordered. `charge` is `continuous` (the time integral) or `period_end`: what is there at the end of each period,
    counted from the start of the run, before anything that happens at that very instant, is charged for the whole
    period. `late_ppm` is the share of an order's value, in millionths, that is forfeited when it is late, and
    `touch_minor` what each command of a person about an order costs.
    """

    period_ms: int = DAY_MS
    holding_ppm_per_year: int = 0
    holding: tuple[int, int] = (0, 1)
    penalty: tuple[int, int] = (0, 1)
    charge: str = "continuous"
    late_ppm: int = 0
    touch_minor: int = 0

    def __post_init__(self) -> None:
        if self.charge not in ("continuous", "period_end"):
            raise ValueError(f"charge '{self.charge}'; it is continuous or period_end")
        if self.period_ms < 1 or min(self.holding[1], self.penalty[1]) < 1:
            raise ValueError("a period and the denominators of rates are at least 1")


class Manifest(Struct, frozen=True, kw_only=True):
    """What a run was and what its log adds up to.

    The simulated time runs from `start_ms` to `end_ms`; measures leave out the first `warmup_ms` of it. `digest` and
    `truth_digest` are hexadecimal. A fork names its `parent` (the parent's digest at the fork) and `position`.
    `monitoring` says what is watched, if anything is, and `objectives` what the owners of interfaces promise.
    """

    schema: int = SCHEMA
    title: str
    scenario_digest: str
    seed: int
    versions: dict[str, str]
    start_ms: int
    end_ms: int
    warmup_ms: int = 0
    currency: str = ""
    rates: CostRates = CostRates()
    entries: int
    digest: str
    truth_rows: int = 0
    truth_digest: str = ""
    parts: tuple[PartInfo, ...] = ()
    parent: str = ""
    position: int = 0
    complete: bool = True
    monitoring: Monitoring | None = None
    objectives: tuple[Objective, ...] = ()


def manifest_of(
    log: RunLog,
    truth: TruthLog | None = None,
    *,
    title: str,
    scenario_digest: str,
    seed: int,
    versions: dict[str, str],
    start_ms: int,
    end_ms: int,
    warmup_ms: int = 0,
    currency: str = "",
    rates: CostRates | None = None,
    monitoring: Monitoring | None = None,
    objectives: tuple[Objective, ...] = (),
    parent: str = "",
    position: int = 0,
) -> Manifest:
    """Close the last parts of both logs and sum them up."""
    log.close()
    parts = [part.info for part in log.parts]
    if truth is not None:
        truth.close()
        parts += [part.info for part in truth.parts]
    return Manifest(
        title=title,
        scenario_digest=scenario_digest,
        seed=seed,
        versions=versions,
        start_ms=start_ms,
        end_ms=end_ms,
        warmup_ms=warmup_ms,
        currency=currency,
        rates=CostRates() if rates is None else rates,
        entries=sum(part.info.rows for part in log.parts),
        digest=log.digest.hex(),
        truth_rows=0 if truth is None else sum(part.info.rows for part in truth.parts),
        truth_digest="" if truth is None else truth.digest.hex(),
        parts=tuple(parts),
        parent=parent,
        position=position,
        monitoring=monitoring,
        objectives=objectives,
    )


def write_manifest(run: Path, manifest: Manifest) -> Path:
    """Write `manifest.json`, whole or not at all, as the last file of a run; returns its path."""
    path = run / MANIFEST
    unfinished = run / f".{MANIFEST}.unfinished"
    unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    unfinished.replace(path)
    return path


def read_manifest(run: Path) -> Manifest:
    """The manifest of a finished run, with its parts checked to be there, whole and of the stated length.

    Raises `RunError` with place and remedy otherwise. `verify_run` checks the contents too.
    """
    if not run.is_dir():
        raise RunError(f"{run}: no such run folder; give the folder that `twin run --out` wrote")
    path = run / MANIFEST
    if not path.exists():
        raise _cut_off(run)
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.MsgspecError as error:
        raise RunError(f"{path} cannot be read: {error}; run it again") from error
    if manifest.schema != SCHEMA:
        raise RunError(f"{path} has schema {manifest.schema}; this version reads {SCHEMA}")
    if not manifest.complete:
        raise RunError(f"{run} says of itself that it is not complete; run it again")
    there = {part.info.name: part for folder in (ENTRIES, TRUTH) for part in find_parts(run / folder)}
    for wanted in manifest.parts:
        part = there.pop(wanted.name, None)
        if part is None:
            raise RunError(f"{run}: {wanted.name} is missing; restore it or run it again")
        if part.info.rows != wanted.rows:
            raise RunError(
                f"{run}: {wanted.name} has {part.info.rows} rows, the manifest says {wanted.rows}; "
                "restore it or run it again"
            )
    if there:
        raise RunError(f"{run}: {next(iter(there))} is not in the manifest; parts of two runs are mixed: run it again")
    return manifest


def _cut_off(run: Path) -> RunError:
    parts = find_parts(run / ENTRIES)
    if not parts and (run / "scenario.yaml").exists():
        return RunError(f"{run} is cut off: it ended before its first part of the log was written; run it again")
    if not parts:
        return RunError(f"{run} is no run folder: it has no {MANIFEST} and no parts; give one that `twin run` wrote")
    entries = parts[-1].last - parts[0].first + 1
    return RunError(
        f"{run} is cut off: it has {len(parts)} finished part{'s' if len(parts) > 1 else ''} with {entries} entries "
        f"and no {MANIFEST}; run it again or read the parts with twin.log.read_entries"
    )
