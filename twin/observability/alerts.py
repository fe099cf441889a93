"""Alerts from the log: a fold that changes nothing, so that a production log gives the same ones.

The monitor looks at fixed intervals at what the log held by then. It learns of it with the rule's delay, and in a blind
time it sees nothing: it goes on from the state at its next look, and what came and went in between is never seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

from msgspec import Struct

from twin.core.entry import Entry
from twin.log.telemetry import AlertRule, Monitoring
from twin.observability.calls import Calls, Step

__all__ = ["Alert", "Monitor", "alerts_of"]


class Alert(Struct):
    """Raised by a rule on a gateway when its signal stood at `value`; `cleared_at` -1: still up. Instants in ms."""

    rule: str
    gateway: str
    raised_at: int
    value: int
    cleared_at: int = -1


class _Gauge:
    """The signals of one gateway; `over` holds since when each rule's signal is above, and the alert it led to."""

    __slots__ = ("dead", "ended", "open", "over", "rules")

    def __init__(self, rules: tuple[AlertRule, ...]) -> None:
        self.rules = rules
        self.open: dict[str, int] = {}
        self.dead = 0
        # (Look that sees it first, attempts ended, of them without success).
        self.ended: deque[tuple[int, int, int]] = deque()
        self.over: dict[str, tuple[int, Alert | None]] = {}

    def count(self, look: int, error: bool) -> None:
        """Note an attempt that ended."""
        if self.ended and self.ended[-1][0] == look:
            _, ended, errors = self.ended.pop()
            self.ended.append((look, ended + 1, errors + error))
        else:
            self.ended.append((look, 1, int(error)))

    def value(self, rule: AlertRule, at: int, look: int, every_ms: int) -> int:
        """A rule's signal at a look; -1 where there is none."""
        if rule.signal == "dead_letters":
            return self.dead
        if rule.signal == "open_deliveries":
            return len(self.open)
        if rule.signal == "queue_age":
            oldest = next(iter(self.open.values()), None)
            return -1 if oldest is None else at - oldest
        first = look - -(-rule.window_ms // every_ms)
        ended = errors = 0
        for seen, times, without in reversed(self.ended):
            if seen <= first:
                break
            ended += times
            errors += without
        return errors * 1_000_000 // ended if ended >= max(1, rule.calls) else -1


class Monitor:
    """Folds entries into `alerts`, in the order in which they were raised. Looks are counted from `start` (ms)."""

    def __init__(self, monitoring: Monitoring, start: int) -> None:
        self.monitoring = monitoring
        self.alerts: list[Alert] = []
        self._start = start
        self._look = 0
        self._calls = Calls()
        self._gauges: dict[str, _Gauge] = {}
        windows = [rule.window_ms for rule in monitoring.rules]
        self._looks_kept = -(-max(windows, default=0) // monitoring.every_ms)

    def fold(self, entry: Entry) -> None:
        """Take one more entry; looks that are due before it come first."""
        self._look_until(entry.now - 1)
        for step in self._calls.fold(entry):
            gauge = self._gauge(step.message.delivery.gateway)
            if gauge.rules:
                _STEPS[step.kind](self, gauge, step)

    def finish(self, end: int) -> list[Alert]:
        """Look up to `end` (ms); returns the alerts."""
        self._look_until(end)
        return self.alerts

    def over(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Pass entries on, folding them."""
        for entry in entries:
            self.fold(entry)
            yield entry

    def _gauge(self, gateway: str) -> _Gauge:
        gauge = self._gauges.get(gateway)
        if gauge is None:
            rules = tuple(rule for rule in self.monitoring.rules if fnmatchcase(gateway, rule.gateway))
            gauge = self._gauges[gateway] = _Gauge(rules)
        return gauge

    # --- looking

    def _look_until(self, until: int) -> None:
        every = self.monitoring.every_ms
        while (at := self._start + self._look * every) <= until:
            if not any(begin <= at < end for begin, end in self.monitoring.blind):
                for gateway, gauge in self._gauges.items():
                    if gauge.open or gauge.dead or gauge.ended or gauge.over:
                        self._evaluate(gateway, gauge, at)
            self._look += 1

    def _evaluate(self, gateway: str, gauge: _Gauge, at: int) -> None:
        look = self._look
        while gauge.ended and gauge.ended[0][0] <= look - self._looks_kept:
            gauge.ended.popleft()
        for rule in gauge.rules:
            value = gauge.value(rule, at, look, self.monitoring.every_ms)
            since, alert = gauge.over.get(rule.id, (at, None))
            if value <= rule.above:
                if rule.id in gauge.over:
                    del gauge.over[rule.id]
                if alert is not None:
                    alert.cleared_at = at + rule.delay_ms
            elif alert is None and at - since >= rule.lasting_ms:
                alert = Alert(rule.id, gateway, at + rule.delay_ms, value)
                self.alerts.append(alert)
                gauge.over[rule.id] = (since, alert)
            else:
                gauge.over[rule.id] = (since, alert)

    # --- what moves the gauges

    def _opened(self, gauge: _Gauge, step: Step) -> None:
        if step.kind == "redriven":
            gauge.dead -= 1
        gauge.open[step.message.delivery.key] = step.at

    def _succeeded(self, gauge: _Gauge, step: Step) -> None:
        gauge.count(self._look, False)

    def _ended(self, gauge: _Gauge, step: Step) -> None:
        gauge.count(self._look, True)

    def _dead(self, gauge: _Gauge, step: Step) -> None:
        gauge.open.pop(step.message.delivery.key, None)
        gauge.dead += 1

    def _settled(self, gauge: _Gauge, step: Step) -> None:
        if gauge.open.pop(step.message.delivery.key, None) is None:
            # A dead letter that was answered late.
            gauge.dead -= 1

    def _nothing(self, gauge: _Gauge, step: Step) -> None:
        """This step moves no gauge."""


_STEPS: Final[dict[str, Any]] = {
    "asked": Monitor._opened,
    "sent": Monitor._nothing,
    "succeeded": Monitor._succeeded,
    # The interface did its work; what its owner is called about is not what a service decides.
    "unusable": Monitor._succeeded,
    "late": Monitor._nothing,
    "failed": Monitor._ended,
    "unknown": Monitor._ended,
    "refused": Monitor._ended,
    "dead": Monitor._dead,
    "redriven": Monitor._opened,
    "expired": Monitor._nothing,
    "lapsed": Monitor._settled,
    "settled": Monitor._settled,
}


def alerts_of(entries: Iterable[Entry], monitoring: Monitoring, start: int, end: int) -> list[Alert]:
    """The alerts of a log from `start` to `end` (ms)."""
    monitor = Monitor(monitoring, start)
    for entry in entries:
        monitor.fold(entry)
    return monitor.finish(end)
