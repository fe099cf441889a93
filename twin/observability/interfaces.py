"""How each interface did, from the log alone: calls, errors, retries, dead letters, latency, lag, and SLO burn.

One row a gateway (`kind/party`) and capability (the stored name of the effect asked for, or of the command that came).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Final

from msgspec import Struct

from twin.core.commands import AcknowledgeDelivery, RedriveDelivery, Wake
from twin.core.entry import Entry
from twin.log.correlation import COMMANDS
from twin.observability.calls import Calls, Step
from twin.observability.values import Values

__all__ = ["Histogram", "Inbound", "InterfaceFigures", "Outbound", "Slo", "interface_figures"]


class Slo(Struct, frozen=True):
    """A service level: `share_ppm` of the calls succeed within `latency_ms` of their sending."""

    latency_ms: int
    share_ppm: int = 990_000


class Histogram:
    """How often each duration (ms) was seen, exactly; as large as there are different ones."""

    __slots__ = ("count", "counts")

    def __init__(self) -> None:
        self.count = 0
        self.counts: dict[int, int] = {}

    def add(self, value: int) -> None:
        """Count one."""
        self.count += 1
        self.counts[value] = self.counts.get(value, 0) + 1

    def percentile(self, percent: int) -> int | None:
        """The nearest-rank percentile, as `twin.measures` defines it; None where nothing was seen."""
        rank = max(1, -(-self.count * percent // 100))
        for value in sorted(self.counts):
            rank -= self.counts[value]
            if rank <= 0:
                return value
        return None

    def at_most(self, limit: int) -> int:
        """How many did not exceed `limit`."""
        return sum(times for value, times in self.counts.items() if value <= limit)


class Outbound:
    """What the engine asked through a gateway for one capability. Counts; durations in ms.

    An attempt ends as `succeeded`, `unusable` (a service outside answered with what cannot be carried out), `refused`,
    `failed` or `unknown`, or is still open. `late` are successes that came
    when the attempt was given up already, `stale` other answers to attempts or messages that were settled or given
    up. `past_deadline` are messages that succeeded after the instant from which their answer was of no use: wasted
    work. `latency` is from the sending of an attempt to its success, `duration` from the first asking to the end.
    """

    def __init__(self) -> None:
        self.operations = 0
        self.calls = 0
        self.retries = 0
        self.succeeded = 0
        self.unusable = 0
        self.refused = 0
        self.failed = 0
        self.unknown = 0
        self.late = 0
        self.settled = 0
        self.dead_lettered = 0
        self.redriven = 0
        self.expired = 0
        self.lapsed = 0
        self.past_deadline = 0
        self.latency = Histogram()
        self.duration = Histogram()
        self.acknowledged = True
        self.default_slo = Slo(0)
        # At the end of the log.
        self.open = 0
        self.oldest_open_at = -1
        self.dead = 0
        self.oldest_dead_at = -1
        self.dead_value_minor = 0

    @property
    def ended(self) -> int:
        """Attempts with an outcome."""
        return self.succeeded + self.unusable + self.refused + self.failed + self.unknown

    def slo_misses(self, slo: Slo | None = None) -> int:
        """Ended attempts that did not succeed, or not within the SLO's latency (by default the attempt's timeout)."""
        return self.ended - self.latency.at_most((slo or self.default_slo).latency_ms)

    def slo_burn(self, slo: Slo | None = None) -> Fraction | None:
        """Share of missed attempts over the share that the SLO allows: 1 spends the error budget exactly.

        "Site Reliability Workbook" (Beyer et al. 2018), chapter 5, burn rate over the whole log. None where no attempt
        has ended, or where the SLO allows no miss at all.
        """
        allowed = 1_000_000 - (slo or self.default_slo).share_ppm
        if not self.ended or not allowed:
            return None
        return Fraction(self.slo_misses(slo) * 1_000_000, self.ended * allowed)


class Inbound:
    """What came from a party: messages, those refused by code, and their lag from the source to the engine (ms)."""

    def __init__(self) -> None:
        self.messages = 0
        self.refused: dict[str, int] = {}
        self.lag = Histogram()


class InterfaceFigures:
    """Both sides of every interface, by (gateway, capability); `end` is the instant up to which ages are counted."""

    def __init__(self) -> None:
        self.end = 0
        self.outbound: dict[tuple[str, str], Outbound] = {}
        self.inbound: dict[tuple[str, str], Inbound] = {}
        self.stale: dict[str, int] = {}
        """Answers, by source, that were refused because what they answer was settled, given up or sent anew."""
        self._calls = Calls()
        self._values = Values()

    def fold(self, entry: Entry) -> None:
        """Take one more entry."""
        self.end = entry.now
        self._receive(entry)
        self._values.fold(entry)
        for step in self._calls.fold(entry):
            _COUNT[step.kind](self._outbound(step), step)

    def over(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Pass entries on, folding them."""
        for entry in entries:
            self.fold(entry)
            yield entry

    def finish(self, end: int) -> None:
        """Look at what is open at `end` (ms)."""
        self.end = end
        for message in self._calls.open.values():
            row = self.outbound[message.delivery.gateway, message.effect]
            if message.stage in ("dead", "expired"):
                row.dead += 1
                row.dead_value_minor += self._values.of(message.delivery)
                if row.oldest_dead_at < 0 or message.since < row.oldest_dead_at:
                    row.oldest_dead_at = message.since
            else:
                row.open += 1
                if row.oldest_open_at < 0 or message.since < row.oldest_open_at:
                    row.oldest_open_at = message.since

    def _outbound(self, step: Step) -> Outbound:
        message = step.message
        key = (message.delivery.gateway, message.effect)
        row = self.outbound.get(key)
        if row is None:
            policy = self._calls.policy(key[0])
            row = self.outbound[key] = Outbound()
            row.acknowledged = policy.acknowledge
            row.default_slo = Slo(policy.timeout_ms)
        return row

    def _receive(self, entry: Entry) -> None:
        command = entry.command
        if isinstance(command, Wake | RedriveDelivery) or not command.time:
            return
        key = (command.source, COMMANDS[type(command)][0])
        row = self.inbound.get(key)
        if row is None:
            row = self.inbound[key] = Inbound()
        row.messages += 1
        row.lag.add(max(0, entry.now - command.time))
        if entry.refusal is not None:
            code = entry.refusal.code
            row.refused[code] = row.refused.get(code, 0) + 1
            if isinstance(command, AcknowledgeDelivery) and code in ("unknown_delivery", "attempt", "stage"):
                self.stale[command.source] = self.stale.get(command.source, 0) + 1


def interface_figures(entries: Iterable[Entry], end: int | None = None) -> InterfaceFigures:
    """The figures of a log; ages are counted up to `end` (ms), the last entry's instant unless given."""
    figures = InterfaceFigures()
    for entry in entries:
        figures.fold(entry)
    figures.finish(figures.end if end is None else end)
    return figures


def _asked(row: Outbound, step: Step) -> None:
    row.operations += 1


def _sent(row: Outbound, step: Step) -> None:
    row.calls += 1
    row.retries += step.attempt > 1


def _succeeded(row: Outbound, step: Step) -> None:
    row.succeeded += 1
    row.latency.add(step.at - step.message.sent[step.attempt])
    _done(row, step)


def _unusable(row: Outbound, step: Step) -> None:
    row.unusable += 1
    _done(row, step)


def _late(row: Outbound, step: Step) -> None:
    row.late += 1
    _done(row, step)


def _done(row: Outbound, step: Step) -> None:
    message = step.message
    row.duration.add(step.at - message.asked_at)
    deadline = message.delivery.deadline
    row.past_deadline += 0 < deadline < step.at


def _refused(row: Outbound, step: Step) -> None:
    row.refused += 1


def _failed(row: Outbound, step: Step) -> None:
    row.failed += 1


def _unknown(row: Outbound, step: Step) -> None:
    row.unknown += 1


def _dead(row: Outbound, step: Step) -> None:
    row.dead_lettered += 1


def _redriven(row: Outbound, step: Step) -> None:
    row.redriven += 1


def _expired(row: Outbound, step: Step) -> None:
    row.expired += 1


def _lapsed(row: Outbound, step: Step) -> None:
    row.lapsed += 1


def _settled(row: Outbound, step: Step) -> None:
    row.settled += 1


_COUNT: Final = {
    "asked": _asked,
    "sent": _sent,
    "succeeded": _succeeded,
    "unusable": _unusable,
    "late": _late,
    "failed": _failed,
    "unknown": _unknown,
    "refused": _refused,
    "dead": _dead,
    "redriven": _redriven,
    "expired": _expired,
    "lapsed": _lapsed,
    "settled": _settled,
}
