"""Until when a log tells of its business, and whether what it tells are hours or only days."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from twin.decisions import INSTANT_MAX
from twin.event_log import EventLog

__all__ = ["end_of", "only_dates"]

_DAY_MS: Final = 86_400_000


def only_dates(times: Iterable[int], zone: str) -> bool:
    """Whether instants (ms) are all beginnings of days in an IANA zone (UTC where it is empty), as dates are read.

    False where there is none.
    """
    there = ZoneInfo(zone or "UTC")
    found = set(times)
    return bool(found) and all(_begins_day(at, there) for at in found)


def end_of(log: EventLog) -> int:
    """The first instant (ms) that a log tells nothing of: when it was taken, and after its last event in any case.

    A log of which nobody says when it was taken was taken at its last event, which still belongs to it. One that has
    only dates tells of all of its last day.
    """
    import pyarrow.compute as pc  # half a second, which `twin --help` does not owe

    times = [at for at in pc.unique(log.table["event_ms"]).to_pylist() if at is not None]
    last = max(times, default=log.as_of_ms)
    if log.as_of_ms > last:
        return log.as_of_ms
    # No instant after the year 9999 can be written.
    return min(last + (_DAY_MS if only_dates(times, log.zone) else 1), INSTANT_MAX)


def _begins_day(at: int, zone: ZoneInfo) -> bool:
    day = datetime.fromtimestamp(at // 1_000, UTC).astimezone(zone).date()
    # By the day's own midnight: where clocks are put forward at midnight, a day begins at one.
    return at == round(datetime.combine(day, time(), zone).timestamp()) * 1_000
