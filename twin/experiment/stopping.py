"""When there are seeds enough: the half-width that is wanted is reached, and stays so for a while.

An interval is now and then narrow by luck after a few runs. Looking ahead a few seeds more guards against stopping
there (Hoad, Robinson and Davies 2010, "Automated selection of the number of replications").
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from twin.experiment.plan import Plan
from twin.experiment.statistics import t_interval
from twin.experiment.tables import Results
from twin.measures.measured import Exact
from twin.scenario.limits import SEED_MAX

__all__ = ["enough_at", "seeds_needed"]


def enough_at(values: Sequence[Exact], half_width: Exact, look_ahead: int, confidence_ppm: int) -> int | None:
    """After how many values the half-width was reached, and kept over `look_ahead` more; None where it was not yet."""
    since: int | None = None
    for count in range(3, len(values) + 1):
        if Fraction(t_interval(values[:count], confidence_ppm).half_width) > half_width:
            since = None
        elif since is None:
            since = count
        if since is not None and count >= since + look_ahead:
            return since
    return None


def seeds_needed(plan: Plan, results: Results, seeds: Sequence[int]) -> list[int]:
    """The seeds to add, none when there are enough. Values are looked at in the order of the seeds."""
    stop = plan.stop
    if stop is None or len(seeds) >= stop.seeds_max or stop.measure in results.unknown:
        return []
    wanted = Fraction(stop.half_width)
    for scenario, variant in results.cells:
        if variant == plan.base_id:
            continue
        pairs = results.pairs(scenario, variant, stop.measure)
        values = [after - before for _, before, after in pairs]
        if enough_at(values, wanted, stop.look_ahead, plan.confidence) is None:
            break
    else:
        return []
    more = min(stop.look_ahead, stop.seeds_max - len(seeds))
    taken = dict.fromkeys(seeds)
    free = (seed for seed in range(1, SEED_MAX) if seed not in taken)
    return [next(free) for _ in range(more)]
