"""What is watched, as data: alert rules, when the monitor sees nothing, and which interface stands before whom.

The manifest keeps it, so that the same fold gives the same alerts on any log.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

__all__ = ["SIGNALS", "AlertRule", "Monitoring", "Objective"]

SIGNALS: Final = ("dead_letters", "open_deliveries", "queue_age", "error_rate")
"""What a rule may look at, of one gateway: dead letters not redriven, messages not settled, the age of the oldest of
these, and the share of attempts that ended without success."""


class AlertRule(Struct, frozen=True, forbid_unknown_fields=True):
    """Raise an alert on each gateway that matches `gateway` while its `signal` is above `above`.

    `above` is a count, ms for `queue_age`, or parts per million for `error_rate`, which is taken over the last
    `window_ms` if at least `calls` attempts ended in it. The signal must have been above for `lasting_ms`; what is seen
    is known `delay_ms` later.
    """

    id: str
    signal: str
    above: int
    gateway: str = "*"
    window_ms: int = 0
    calls: int = 1
    lasting_ms: int = 0
    delay_ms: int = 0

    def __post_init__(self) -> None:
        if self.signal not in SIGNALS:
            raise ValueError(f"signal '{self.signal}'; it is one of {', '.join(SIGNALS)}")
        if self.signal == "error_rate" and self.window_ms < 1:
            raise ValueError("an error_rate needs a window")


class Objective(Struct, frozen=True, forbid_unknown_fields=True):
    """What the owner of a gateway's interface promises: `share_ppm` of the calls are done within `latency_ms`."""

    gateway: str
    latency_ms: int
    share_ppm: int
    owner: str = ""


class Monitoring(Struct, frozen=True, forbid_unknown_fields=True):
    """The rules, looked at every `every_ms` from the start of the run on, but not in a `blind` time (from, to; ms).

    `interfaces` leads from the id of an interface, as the truth names it, to the gateway before which it stands.
    """

    rules: tuple[AlertRule, ...] = ()
    every_ms: int = 60_000
    blind: tuple[tuple[int, int], ...] = ()
    interfaces: dict[str, str] = {}

    def __post_init__(self) -> None:
        if self.every_ms < 1:
            raise ValueError("a monitor looks at intervals of at least 1 ms")
