"""How long a business takes from its empty start to its usual state, by MSER-5.

The truncation point is where the standard error of what is left is least, over means of five (White, Cobb and Spratt
2000, "A comparison of five steady-state truncation heuristics for simulation").
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from msgspec import Struct

from twin.core.entry import Entry
from twin.core.state import State
from twin.experiment.branching import Branch
from twin.run import Progress
from twin.scenario import Scenario

__all__ = ["WarmUp", "mser", "warm_ups"]

HOUR_MS: Final = 3_600_000

LEVELS: Final = ("units on hand", "open fulfillment orders", "parcels on the way", "open purchase orders")


class WarmUp(Struct, frozen=True):
    """A level of the business, and after how many ms it is as usual; None where the run is too short to tell."""

    level: str
    after_ms: int | None


def mser(values: Sequence[int | Fraction], batch: int = 5) -> int | None:
    """How many values to leave out at the start; None where that would be half or more, so that none settles.

    Minimizes the sum of squares about the mean of what is left over its squared number.
    """
    count = len(values) // batch
    means = [Fraction(sum(values[first * batch : (first + 1) * batch])) / batch for first in range(count)]
    if count < 2:
        return None
    best: tuple[Fraction, int] | None = None
    total = squares = Fraction(0)
    # From the end, so that each truncation adds one value to the sums.
    for first in range(count - 1, -1, -1):
        total += means[first]
        squares += means[first] ** 2
        left = count - first
        error = (squares - total**2 / left) / left**2
        # The last few always look calm.
        if left >= 5 and (best is None or error <= best[0]):
            best = (error, first)
    # At the end of what may be left out, the least is where the search stopped, and no least.
    if best is None or 2 * best[1] >= count - 1:
        return None
    return best[1] * batch


def warm_ups(scenario: Scenario, seeds: Sequence[int], progress: Progress | None = None) -> list[WarmUp]:
    """The warm-up of each level that is ever in use, from its hourly mean over the seeds while demand comes in."""
    hours = scenario.run.horizon // HOUR_MS
    sums = [[0] * hours for _ in LEVELS]
    for number, seed in enumerate(seeds):
        branch = Branch.begin(scenario, seed, _nothing)
        for hour in range(hours):
            branch.run(scenario.run.start + (hour + 1) * HOUR_MS)
            for row, there in zip(sums, _levels(branch.driver.engine.state), strict=True):
                row[hour] += there
        if progress is not None:
            progress("looking for the warm-up", number + 1, len(seeds), 0)
    found = []
    for level, row in zip(LEVELS, sums, strict=True):
        if any(row):
            hours_out = mser(row)
            found.append(WarmUp(level, None if hours_out is None else hours_out * HOUR_MS))
    return found


def _levels(state: State) -> tuple[int, int, int, int]:
    on_hand = sum([cell.on_hand for cells in state.stock.values() for cell in cells.values()])
    return on_hand, len(state.fulfillment_orders), len(state.shipments), len(state.purchase_orders)


def _nothing(entry: Entry) -> None:
    """Entries are not looked at: the levels are in the state."""
