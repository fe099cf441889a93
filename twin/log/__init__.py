"""The log of a run and its truth: Parquet parts, a digest chain, a manifest written last."""

from __future__ import annotations

from twin.log.errors import RunError
from twin.log.manifest import CostRates, Manifest, manifest_of, read_manifest, write_manifest
from twin.log.parts import Part, PartInfo
from twin.log.reading import Row, read_entries, read_rows, read_truth, verify_run
from twin.log.run_log import MemoryLog, RunLog
from twin.log.sql import connect
from twin.log.story import StoryRow, explain, explain_entries
from twin.log.telemetry import AlertRule, Monitoring, Objective
from twin.log.truth import MemoryTruth, TruthLog, TruthRow

__all__ = [
    "AlertRule",
    "CostRates",
    "Manifest",
    "MemoryLog",
    "MemoryTruth",
    "Monitoring",
    "Objective",
    "Part",
    "PartInfo",
    "Row",
    "RunError",
    "RunLog",
    "StoryRow",
    "TruthLog",
    "TruthRow",
    "connect",
    "explain",
    "explain_entries",
    "manifest_of",
    "read_entries",
    "read_manifest",
    "read_rows",
    "read_truth",
    "verify_run",
    "write_manifest",
]
