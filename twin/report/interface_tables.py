"""The tables about interfaces: how each did, what waits at it, who decided behind it, and what the monitor raised."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from twin.log.telemetry import Objective
from twin.measures.outside import AskedOutside
from twin.observability import Alert, Detection, FaultTime, InterfaceFigures, Slo
from twin.report.grid import instant_text
from twin.report.tables import Head, Row, Table
from twin.report.words import count, duration, money, percent, plural, rounded

__all__ = ["alert_table", "asked_table", "interface_tables"]

ROWS: Final = 40
"""Gateways and capabilities that are listed, those with the most calls first."""

ALERTS: Final = 20
"""Alerts that are listed."""


def interface_tables(figures: InterfaceFigures, currency: str, objectives: Sequence[Objective] = ()) -> list[Table]:
    """Calls and errors by gateway and capability; and where something is open or was given up, what that is.

    The error budget is that of an interface's objective, where its owner has one.
    """
    promised = {one.gateway: Slo(one.latency_ms, one.share_ppm) for one in objectives}
    found = sorted(figures.outbound.items(), key=lambda item: (-item[1].calls, item[0]))[:ROWS]
    # Only services that decide give answers that cannot be used; elsewhere the column would be noise.
    told = any(row.unusable for _, row in found)
    calls: list[Row] = []
    waiting: list[Row] = []
    for (gateway, capability), row in found:
        burn = row.slo_burn(promised.get(gateway)) if row.acknowledged else None
        unusable = (row.unusable,) if told else ()
        counts = (row.calls, row.retries, *unusable, row.refused, row.failed, row.unknown, row.late)
        times = (row.latency.percentile(percent) for percent in (50, 95, 99))
        cells = [count(number) for number in counts] + ["–" if ms is None else _short(ms) for ms in times]
        calls.append(Row((gateway, capability, *cells, "–" if burn is None else rounded(burn, 2))))
        if row.open or row.dead_lettered:
            cells = [
                count(row.open),
                _age(row.oldest_open_at, figures.end),
                count(row.dead_lettered),
                count(row.dead),
                _age(row.oldest_dead_at, figures.end),
                money(row.dead_value_minor, currency),
            ]
            waiting.append(Row((gateway, capability, *cells)))
    note = (
        "Unknown: no answer in time. Late: done after its attempt was given up. p50 to p99: from sending an attempt to "
        "its success. SLO burn: 1 spends the error budget that the interface's owner promises, or of 1 % of calls "
        "that fail or outlast their timeout; a dash where nobody waits for an answer. The command twin interfaces RUN "
        "takes other levels."
    )
    if told:
        note = "Unusable: an answer of a service that could not be carried out, no success. " + note
    more = ("unusable",) if told else ()
    numbers = ("calls", "retries", *more, "refused", "failed", "unknown", "late", "p50", "p95", "p99", "SLO burn")
    tables = [Table("Interfaces", _head("Interface", "asks for", *numbers), calls, note)]
    if waiting:
        head = _head("Interface", "asks for", "open at end", "oldest", "given up", "not sent again", "oldest", "worth")
        tables.append(Table("Open messages and dead letters", head, waiting))
    return tables


def _head(first: str, second: str, *numbers: str) -> tuple[Head, ...]:
    return (Head(first, "id"), Head(second), *(Head(number, "n") for number in numbers))


def _short(ms: int) -> str:
    """Calls take less time than a page about days has words for."""
    if ms < 1_000:
        return f"{count(ms)} ms"
    return f"{rounded(Fraction(ms, 1_000), 1)} s" if ms < 120_000 else duration(ms)


def _age(since: int, end: int) -> str:
    return "" if since < 0 else duration(end - since)


def asked_table(found: Sequence[AskedOutside]) -> Table:
    """How many decisions each service outside took, and what became of the others it was asked for."""
    rows = [
        Row(
            (
                row.service,
                row.decision,
                count(row.asked),
                count(row.decided),
                percent(row.decided, row.asked),
                "; ".join(other.words for other in row.others),
            )
        )
        for row in found
    ]
    numbers = (Head("of", "n"), Head("decided", "n"), Head("share", "n"))
    head = (Head("Service"), Head("asked for"), *numbers, Head("otherwise", "wrap"))
    note = (
        "What is asked anew about the same order is one decision; the whole run, warm-up included. "
        "The command twin explain RUN ORDER has every answer."
    )
    return Table("Asked of services outside", head, rows, note)


def alert_table(alerts: Sequence[Alert], detection: Detection | None) -> Table:
    """The first alerts, and, where the truth is known, how soon each was raised after the fault that it tells of."""
    faults: dict[tuple[str, str, int], FaultTime] = {}
    for fault, first in detection.detected if detection is not None else ():
        faults[_key(first)] = fault
    rows = [
        Row(
            (
                alert.rule,
                alert.gateway,
                instant_text(alert.raised_at),
                "still up" if alert.cleared_at < 0 else duration(alert.cleared_at - alert.raised_at),
                _after(alert, faults.get(_key(alert))),
            )
        )
        for alert in alerts[:ALERTS]
    ]
    told = Head("first of its fault, after", "n")
    head = (Head("Alert", "id"), Head("on"), Head("raised, UTC"), Head("up for", "n"), told)
    note = f"{plural(len(alerts), 'alert')} in all." if len(alerts) > ALERTS else ""
    if detection is not None:
        note += (
            f" {plural(len(detection.detected) + len(detection.missed), 'time')} at which an interface failed, "
            f"{count(len(detection.missed))} of them not noticed; {plural(len(detection.false_alarms), 'false alarm')}."
        )
    return Table("What the monitor raised", head, rows, note.strip())


def _key(alert: Alert) -> tuple[str, str, int]:
    return alert.rule, alert.gateway, alert.raised_at


def _after(alert: Alert, fault: FaultTime | None) -> str:
    return "" if fault is None else duration(max(0, alert.raised_at - fault.began_at))
