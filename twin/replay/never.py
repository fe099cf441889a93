"""Durations of what may never end: goods that are lost, orders that nobody ships.

Kaplan and Meier's curve takes what is open for late. Where some cases are open far longer than any that ended, it comes
to rest above nothing, and what is left there never ends (a cured fraction: Maller and Zhou 1996, chapter 2). Taken for
late, it would come in the end in every simulation that runs long enough, and lengthen the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from twin.replay.estimators import EVENTS_MIN, DurationEstimate, Table, estimate_durations
from twin.replay.parameters import spoken

__all__ = ["FAR", "Ending", "estimate_ending"]

FAR: Final = 1.5
"""A case is far beyond all others that is open so many times as long as the longest that ended."""

_PPM: Final = 1_000_000


class Ending(Struct, frozen=True):
    """`found` is of what ends; a share `never` does not, of which `far` cases were seen open far beyond all others."""

    found: DurationEstimate
    never: float
    far: int

    @property
    def told(self) -> bool:
        """Whether the log tells enough for a distribution."""
        return self.found.told

    def table(self, beyond_ms: int) -> Table:
        """Quantiles of all cases; what never ends takes `beyond_ms`, or as long as the longest where that is more."""
        rows = self.found.table
        if not self.never:
            return rows
        ends = round(_PPM * (1 - self.never))
        last = max(beyond_ms, rows[-1][1])
        kept = [(round(share * ends / _PPM), at) for share, at in rows]
        return (*dict.fromkeys(kept), (ends, last), (_PPM, last))

    @property
    def spoken(self) -> str:
        """In words."""
        text = spoken(self.found)
        if self.never:
            text += (
                f"; {self.never:.2%} never ({self.far:,} open more than {FAR:g} times as long as the longest that "
                "ended): longer than the run"
            )
        return text


def estimate_ending(durations: Sequence[float], censored: Sequence[bool]) -> Ending | None:
    """The durations in ms of what ends, by Kaplan and Meier, and the share that never does.

    None where fewer than `EVENTS_MIN` cases ended. The share is the height at which the curve of all cases comes to
    rest; there is none unless a case is open `FAR` times as long as the longest that ended.
    """
    whole = estimate_durations(durations, censored)
    if whole is None:
        return None
    longest = max(time for time, still in zip(durations, censored, strict=True) if not still)
    far = [still and time > FAR * longest for time, still in zip(durations, censored, strict=True)]
    if not any(far):
        return Ending(whole, 0.0, 0)
    kept = [(time, still) for time, still, gone in zip(durations, censored, far, strict=True) if not gone]
    found = estimate_durations([time for time, _ in kept], [still for _, still in kept])
    assert found is not None, f"{EVENTS_MIN} cases ended, and none of them is left out"
    return Ending(found, whole.beyond, sum(far))
