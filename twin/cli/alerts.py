"""What the monitor raised, and how soon after each fault."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.cli.failures import InputError
from twin.cli.terminal import line, show, table
from twin.cli.texts import clock, count, in_unit

if TYPE_CHECKING:
    from twin.log import Manifest
    from twin.observability import Alert, Detection

__all__ = ["show_alerts"]


def show_alerts(run: Path, *, as_json: bool = False) -> None:
    """The alerts; where the truth is known, the fault that each tells of, and what was not noticed.

    Raises `InputError` where the run had no monitor.
    """
    from twin.log import read_entries, read_manifest, read_truth
    from twin.observability import alerts_of, detect, faults_of

    manifest = read_manifest(run)
    watched = manifest.monitoring
    if watched is None:
        raise InputError(f"{run}: nobody watched this run; give its scenario a monitor")
    alerts = alerts_of(read_entries(run), watched, manifest.start_ms, manifest.end_ms)
    found = detect(alerts, faults_of(read_truth(run), watched.interfaces), watched)
    if as_json:
        _print(alerts, found, known=bool(manifest.truth_rows))
    else:
        _show(manifest, alerts, found)


def _key(alert: Alert) -> tuple[str, str, int]:
    return alert.rule, alert.gateway, alert.raised_at


def _show(manifest: Manifest, alerts: Sequence[Alert], found: Detection) -> None:
    faults = {_key(alert): fault for fault, alert in found.detected}
    title = f"{manifest.title}, seed {manifest.seed}: alerts; times in UTC"
    shown = table(title, "Alert", "On", "Raised", "Cleared", "First of", "After", right=("After",))
    for alert in alerts:
        fault = faults.get(_key(alert))
        told = ("", "")
        if fault is not None:
            told = (fault.what, in_unit(max(0, alert.raised_at - fault.began_at), "ms", ""))
        cleared = "" if alert.cleared_at < 0 else clock(alert.cleared_at)
        shown.add_row(alert.rule, alert.gateway, clock(alert.raised_at), cleared, *told)
    show(shown)
    line(f"{count(len(alerts))} {'alert' if len(alerts) == 1 else 'alerts'}")
    if manifest.truth_rows:
        failures, missed = len(found.detected) + len(found.missed), len(found.missed)
        line(f"times at which an interface failed: {count(failures)}, {count(missed)} not noticed")
        line(f"false alarms: {count(len(found.false_alarms))}")
        for fault in found.missed:
            line(f"not noticed: {fault.gateway} at {clock(fault.began_at)} ({fault.what})")


def _print(alerts: Sequence[Alert], found: Detection, *, known: bool) -> None:
    """One JSON map: `alerts`, and where the truth is known `missed` and `false_alarms`. Instants are ms since 1970."""
    faults = {_key(alert): fault for fault, alert in found.detected}
    told: dict[str, Any] = {"alerts": []}
    for alert in alerts:
        fault = faults.get(_key(alert))
        told["alerts"].append(
            {
                "rule": alert.rule,
                "gateway": alert.gateway,
                "raised_at": alert.raised_at,
                "cleared_at": None if alert.cleared_at < 0 else alert.cleared_at,
                "first_of": None if fault is None else fault.what,
                "after_ms": None if fault is None else max(0, alert.raised_at - fault.began_at),
            }
        )
    if known:
        told["missed"] = [
            {
                "gateway": fault.gateway,
                "what": fault.what,
                "began_at": fault.began_at,
                "ended_at": None if fault.ended_at < 0 else fault.ended_at,
            }
            for fault in found.missed
        ]
        told["false_alarms"] = len(found.false_alarms)
    line(json.dumps(told, indent=2, ensure_ascii=False))
