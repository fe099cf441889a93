"""Computing measures from a run's folder, and writing them down."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from twin.log import Manifest, TruthRow, read_entries, read_manifest, read_truth
from twin.measures import (
    against_truth,
    costs,
    detection,
    flow,
    holding,
    integrity,
    marketplace,
    master_data,
    outside,
    pairs,
    service,
)
from twin.measures.facts import Facts
from twin.measures.measured import DIGITS, MEASURES, Exact, Kind, Measured, decimal
from twin.observability.alerts import Monitor

__all__ = ["MEASURES_FILE", "compare", "compute", "compute_facts", "facts_of", "write_measures"]

MEASURES_FILE: Final = "measures.json"

# Defining the measures registers them.
_SOURCES: Final = (
    service,
    flow,
    integrity,
    costs,
    detection,
    against_truth,
    marketplace,
    holding,
    outside,
    master_data,
    pairs,
)


def facts_of(run: Path, *, trace: bool = False, manifest: Manifest | None = None) -> Facts:
    """The facts of a finished run, over the window and with the rates that its manifest states.

    `manifest` is that of a run which is about to finish: it is written last, after the measures. Raises `RunError`
    where the folder is no run, is cut off or is damaged.
    """
    manifest = read_manifest(run) if manifest is None else manifest
    entries, monitor = read_entries(run), None
    if manifest.monitoring is not None:
        monitor = Monitor(manifest.monitoring, manifest.start_ms)
        entries = monitor.over(entries)
    facts = Facts.collect(entries, manifest.start_ms, manifest.end_ms, manifest.warmup_ms, manifest.rates, trace=trace)
    if monitor is not None:
        facts.monitoring, facts.alerts = manifest.monitoring, monitor.finish(manifest.end_ms)
    return facts


def compute_facts(facts: Facts, truth: Iterable[TruthRow] | None = None) -> dict[str, Measured]:
    """Every L measure of the facts, and every T measure where the truth is given; by name, slices after a slash."""
    measured = _all("L", facts)
    if truth is not None:
        measured |= _all("T", facts, against_truth.Truth(truth))
    return measured


def compute(run: Path, manifest: Manifest | None = None) -> dict[str, Measured]:
    """Every measure of a run: L from its log, T where its truth was recorded; `manifest` and errors as above."""
    manifest = read_manifest(run) if manifest is None else manifest
    with_truth = manifest.truth_rows > 0
    facts = facts_of(run, trace=with_truth, manifest=manifest)
    return compute_facts(facts, read_truth(run) if with_truth else None)


def compare(base: Facts, hurt: Facts) -> dict[str, Measured]:
    """Every P measure of two runs on one seed, the one without the fault first; both collected with `trace`."""
    return _all("P", base, hurt)


def write_measures(run: Path, manifest: Manifest | None = None) -> dict[str, Measured]:
    """Compute the measures of a run and write `measures.json` into it, whole or not at all; `manifest` as above."""
    measured = compute(run, manifest)
    path = run / MEASURES_FILE
    unfinished = run / f".{MEASURES_FILE}.unfinished"
    rows = [
        {
            "name": found.name,
            "kind": found.kind,
            "value": None if found.value is None else found.text(),
            "unit": found.unit,
            "numerator": _plain(found.numerator),
            "denominator": _plain(found.denominator),
            "window": found.window,
            "note": found.note,
        }
        for found in measured.values()
    ]
    unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
    unfinished.replace(path)
    return measured


def _plain(value: Exact | None) -> str | None:
    return None if value is None else decimal(value, 0 if value.denominator == 1 else DIGITS["ratio"])


def _all(kind: Kind, *sources: object) -> dict[str, Measured]:
    rank = {module.__name__: index for index, module in enumerate(_SOURCES)}
    specs = sorted(
        (spec for spec in MEASURES.values() if spec.kind == kind), key=lambda spec: rank[spec.function.__module__]
    )
    return {found.name: found for spec in specs for found in spec.of(*sources)}
