"""Alerts held against the faults of the truth: how soon each was detected, what was missed, which alarms were false."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from twin.log import TruthRow
from twin.log.telemetry import AlertRule, Monitoring
from twin.observability.alerts import Alert

__all__ = ["FAULT_ROWS", "Detection", "FaultTime", "Faults", "detect", "faults_of"]

FAULT_ROWS: Final = ("fault.began", "fault.ended", "fault.hit")
"""Rows of the truth that say when what failed."""

_JUDGED_BY_HITS: Final = ("interface/", "channel/")
"""Where a fault counts if it hits a message; what else is struck, such as a warehouse that closes, fails at once."""


class FaultTime(Struct):
    """A gateway failed from `began_at` to `ended_at` (ms; -1: to the end of the run); `what` names the faults."""

    gateway: str
    began_at: int
    what: str
    ended_at: int = -1


class Detection(Struct):
    """`detected` pairs each fault that was noticed with its first alert; alerts on nothing are `false_alarms`."""

    detected: list[tuple[FaultTime, Alert]] = []
    missed: list[FaultTime] = []
    false_alarms: list[Alert] = []

    @property
    def delays(self) -> list[int]:
        """Time to detect (ms) of each fault that was noticed; 0 where an alert was up when it began."""
        return [max(0, alert.raised_at - fault.began_at) for fault, alert in self.detected]


class Faults:
    """When faults began and ended, by rows of the truth in their order.

    A fault of messages that hit none, whether it was of no size or nothing came its way, made no gateway fail; nor does
    what happens to a channel, such as a spike of its demand.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[int, TruthRow]] = []
        self.number = 0
        # Faults under way by their interface and detail, and those that count, by number.
        self.under_way: dict[tuple[str, str], int] = {}
        self.real: dict[int, None] = {}

    def take(self, row: TruthRow) -> None:
        """Look at one row."""
        if row.type == "fault.hit":
            hit = self.under_way.get((row.node, row.detail))
            if hit is not None:
                self.real[hit] = None
        elif row.type == "fault.began":
            self.number += 1
            self.under_way[row.subject, row.detail] = self.number
            if not row.subject.startswith(_JUDGED_BY_HITS):
                self.real[self.number] = None
            self.rows.append((self.number, row))
        elif row.type == "fault.ended":
            self.rows.append((self.under_way.pop((row.subject, row.detail), 0), row))

    def times(self, interfaces: dict[str, str]) -> list[FaultTime]:
        """The times at which gateways failed, those that overlap made one; by their beginning."""
        faults: list[FaultTime] = []
        # Gateway -> the fault under way there, and how many faults it is made of.
        under_way: dict[str, tuple[FaultTime, int]] = {}
        for number, row in self.rows:
            if number not in self.real:
                continue
            gateway = interfaces.get(row.subject, row.subject)
            fault, depth = under_way.get(gateway, (None, 0))
            if row.type == "fault.began":
                if fault is None:
                    fault = FaultTime(gateway, row.at, row.detail)
                    faults.append(fault)
                elif row.detail not in fault.what.split(", "):
                    fault.what += f", {row.detail}"
                under_way[gateway] = (fault, depth + 1)
            elif fault is not None:
                if depth == 1:
                    fault.ended_at = row.at
                    del under_way[gateway]
                else:
                    under_way[gateway] = (fault, depth - 1)
        return faults


def faults_of(truth: Iterable[TruthRow], interfaces: dict[str, str]) -> list[FaultTime]:
    """The times at which gateways failed by the rows of a truth; see `Faults`."""
    faults = Faults()
    for row in truth:
        faults.take(row)
    return faults.times(interfaces)


def detect(alerts: Iterable[Alert], faults: Iterable[FaultTime], monitoring: Monitoring) -> Detection:
    """Pair faults with alerts on their gateway.

    An alert belongs to a fault when it is up while the fault lasts, or is raised so soon after it as its rule takes to
    look, wait, sum up and tell: what a fault did can show after it.
    """
    rules = {rule.id: rule for rule in monitoring.rules}
    known = list(faults)
    first: dict[int, Alert] = {}
    found = Detection()
    for alert in alerts:
        belongs = False
        for number, fault in enumerate(known):
            if _belongs(alert, fault, _grace_ms(rules[alert.rule], monitoring)):
                belongs = True
                first.setdefault(number, alert)
        if not belongs:
            found.false_alarms.append(alert)
    for number, fault in enumerate(known):
        if number in first:
            found.detected.append((fault, first[number]))
        else:
            found.missed.append(fault)
    return found


def _belongs(alert: Alert, fault: FaultTime, grace_ms: int) -> bool:
    if alert.gateway != fault.gateway:
        return False
    after = fault.ended_at >= 0 and alert.raised_at > fault.ended_at + grace_ms
    before = alert.cleared_at >= 0 and alert.cleared_at <= fault.began_at
    return not (after or before)


def _grace_ms(rule: AlertRule, monitoring: Monitoring) -> int:
    age = rule.above if rule.signal == "queue_age" else 0
    return age + rule.window_ms + rule.lasting_ms + rule.delay_ms + monitoring.every_ms
