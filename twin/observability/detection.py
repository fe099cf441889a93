"""Alerts held against the faults of the truth: how soon each was detected, what was missed, which alarms were false."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from twin.log import TruthRow
from twin.log.telemetry import AlertRule, Monitoring
from twin.observability.alerts import Alert

__all__ = ["Detection", "FaultTime", "detect", "faults_of"]


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


def faults_of(truth: Iterable[TruthRow], interfaces: dict[str, str]) -> list[FaultTime]:
    """The times at which gateways failed, those that overlap made one; by their beginning."""
    faults: list[FaultTime] = []
    # Gateway -> the fault under way there, and how many faults it is made of.
    under_way: dict[str, tuple[FaultTime, int]] = {}
    for row in truth:
        if row.type not in ("fault.began", "fault.ended"):
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
