"""What common random numbers are worth: the variance of a difference between variants, on the same seeds and on others.

`python -m benchmarks.common_numbers`, a line a measure. On other seeds the variance of a difference is the sum of both
variants' variances; the ratio says how many times more runs that would need. It is null where all pairs differ alike.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from statistics import variance

from msgspec.structs import replace

from twin.experiment.regression import MAIN, cases_of, observed

LIBRARY = Path(__file__).parents[1] / "scenarios" / "library"
MEASURES = (
    *(MAIN, "otif_to_promise", "unit_fill_rate", "order_cycle_time", "backorder_unit_days"),
    *("margin", "revenue", "freight", "holding", "penalty", "manual_touches_per_order"),
)
SEEDS = 40
WORKERS = 2
COMPARED = (
    ("regional_week.yaml", {"warehouses": [{"id": "central", "pickers": 2}]}, "two pickers instead of five"),
    ("regional_week.yaml", {"assortment": {"service": {"A": "97%", "B": "93%", "C": "88%"}}}, "less safety stock"),
    ("stale_feed.yaml", {"channels": [{"id": "outlet", "feed": {"buffer": 8}}]}, "a larger buffer in the feed"),
)


def main() -> None:
    """Run both sides of each comparison on the same seeds."""
    for name, change, title in COMPARED:
        path = str(LIBRARY / name)
        sides: list[dict[str, list[float]]] = []
        for overrides in ({}, change):
            (case,) = cases_of([path], {path: overrides})
            jobs = [case.job(seed, MAIN) for seed in range(1, SEEDS + 1)]
            asked = [replace(job, measures=MEASURES) for job in jobs]
            found = sorted(observed(asked, WORKERS, "", None), key=lambda pair: pair[0].seed)
            sides.append({m: [float(Fraction(one.values[m] or 0)) for _, one in found] for m in MEASURES})
        for measure in MEASURES:
            before, after = sides[0][measure], sides[1][measure]
            paired = variance([b - a for a, b in zip(before, after, strict=True)])
            independent = variance(before) + variance(after)
            row = {
                "benchmark": "common_numbers",
                "scenario": name,
                "change": title,
                "measure": measure,
                "seeds": SEEDS,
                "deviation_of_pairs": paired**0.5,
                "deviation_of_others": independent**0.5,
                "variance_ratio": round(independent / paired, 1) if paired else None,
            }
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
