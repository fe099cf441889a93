"""The largest values that a scenario may give; beyond them a run could not store or count what they stand for."""

from __future__ import annotations

from typing import Final

from twin.scenario.units import DAY_MS, parse_instant

__all__ = [
    "EVENTS_PER_SECOND_MAX",
    "MINOR_MAX",
    "RUN_MS_MAX",
    "SEED_MAX",
    "START_MS_MAX",
    "START_MS_MIN",
    "UNITS_MAX",
]

UNITS_MAX: Final = 1_000_000_000_000
"""Units of a quantity, a stock or a level (there as an absolute value), and any other whole number."""
SEED_MAX: Final = 2**63 - 1
"""Seed; the command's `--seed` has the same bound."""
START_MS_MIN: Final = 0
"""First instant at which a run may start: 1970-01-01."""
START_MS_MAX: Final = parse_instant("2200-01-01T00:00Z") - 1
"""Last instant at which a run may start: the end of 2199-12-31."""
RUN_MS_MAX: Final = 36_525 * DAY_MS
"""Horizon and drain together: 100 years."""
EVENTS_PER_SECOND_MAX: Final = 1_000
"""Mean rate of events."""
MINOR_MAX: Final = 10**15
"""Minor units of an amount of money."""
