"""What the monitor raised, and how soon after each fault."""

from __future__ import annotations

from pathlib import Path

from twin.cli.failures import InputError
from twin.cli.terminal import line, show, table
from twin.cli.texts import clock, count, in_unit

__all__ = ["show_alerts"]


def show_alerts(run: Path) -> None:
    """A table of the alerts; where the truth is known, the fault that each tells of, and what was not noticed.

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
    faults = {(alert.rule, alert.gateway, alert.raised_at): fault for fault, alert in found.detected}
    title = f"{manifest.title}, seed {manifest.seed}: alerts; times in UTC"
    shown = table(title, "Alert", "On", "Raised", "Cleared", "First of", "After", right=("After",))
    for alert in alerts:
        fault = faults.get((alert.rule, alert.gateway, alert.raised_at))
        told = ("", "")
        if fault is not None:
            told = (fault.what, in_unit(max(0, alert.raised_at - fault.began_at), "ms", ""))
        cleared = "" if alert.cleared_at < 0 else clock(alert.cleared_at)
        shown.add_row(alert.rule, alert.gateway, clock(alert.raised_at), cleared, *told)
    show(shown)
    line(f"{count(len(alerts))} alerts")
    if manifest.truth_rows:
        failures, missed = len(found.detected) + len(found.missed), len(found.missed)
        line(f"times at which an interface failed: {count(failures)}, {count(missed)} not noticed")
        line(f"false alarms: {count(len(found.false_alarms))}")
        for fault in found.missed:
            line(f"not noticed: {fault.gateway} at {clock(fault.began_at)} ({fault.what})")
