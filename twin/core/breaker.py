"""The circuit breaker of a gateway: what it remembers of the attempts, and when it opens and closes.

Terms and rules are those of Resilience4j. Counted is how an attempt ended: well, slowly, or failed (with no answer in
time among the failed). A counterpart that refuses for good has answered well.
"""

from __future__ import annotations

from typing import Final

from twin.core.events import BreakerClosed, BreakerHalfOpened, BreakerOpened, Event
from twin.core.master import BreakerPolicy
from twin.core.stages import BREAKER, advance
from twin.core.state import Breaker

__all__ = ["FAILED", "SLOW", "WELL", "blocks", "closed", "half_opened", "opened", "record", "verdict"]

WELL: Final = 0
SLOW: Final = 1
FAILED: Final = 2


def blocks(breaker: Breaker, rules: BreakerPolicy, now: int, sent: int = 0) -> bool:
    """Whether no attempt may be sent now, `sent` of them having been sent in this step."""
    if breaker.stage == "open":
        # Past `until` this very step begins the trials.
        return now < breaker.until or sent >= rules.trials
    return breaker.stage == "half_open" and len(breaker.trials) + sent >= rules.trials


def record(breaker: Breaker, rules: BreakerPolicy, key: str, kind: int, now: int) -> None:
    """Remember how an attempt ended, where the breaker looks at it."""
    after = _with(breaker, rules, key, kind, now)
    if after is not None:
        breaker.outcomes = after


def verdict(breaker: Breaker, rules: BreakerPolicy, gateway: str, key: str, kind: int, now: int) -> Event | None:
    """The change of the breaker that one more outcome brings about, if any. Reads only."""
    after = _with(breaker, rules, key, kind, now)
    trying = breaker.stage == "half_open"
    if after is None or len(after) < (rules.trials if trying else rules.minimum):
        return None
    failed = [kind for _, kind in after].count(FAILED)
    slow = [kind for _, kind in after].count(SLOW)
    ill = failed * 1_000_000 >= rules.failures_ppm * len(after)
    if rules.slow_ms:
        ill = ill or slow * 1_000_000 >= rules.slow_ppm * len(after)
    if ill:
        return BreakerOpened(gateway, now + rules.open_ms, len(after), failed, slow)
    return BreakerClosed(gateway) if trying else None


def _with(breaker: Breaker, rules: BreakerPolicy, key: str, kind: int, now: int) -> list[tuple[int, int]] | None:
    """The outcomes with one more; None where it does not count."""
    if breaker.stage == "half_open":
        # An attempt from before the outage says nothing of how the counterpart is now.
        return [*breaker.outcomes, (now, kind)] if key in breaker.trials else None
    if breaker.stage == "open":
        return None
    if rules.window_ms:
        kept = [outcome for outcome in breaker.outcomes if outcome[0] > now - rules.window_ms]
        return [*kept, (now, kind)]
    return [*breaker.outcomes[1 - rules.window :], (now, kind)] if rules.window > 1 else [(now, kind)]


def opened(breaker: Breaker, event: BreakerOpened) -> None:
    """Fold the opening."""
    breaker.stage = advance(BREAKER, breaker.stage, "opened", event.gateway)
    breaker.until = event.until
    breaker.outcomes = []
    breaker.trials = []


def half_opened(breaker: Breaker, event: BreakerHalfOpened) -> None:
    """Fold the beginning of the trials."""
    breaker.stage = advance(BREAKER, breaker.stage, "half_opened", event.gateway)


def closed(breaker: Breaker, event: BreakerClosed) -> None:
    """Fold the closing."""
    breaker.stage = advance(BREAKER, breaker.stage, "closed", event.gateway)
    breaker.outcomes = []
    breaker.trials = []
