"""Replications a minute of a 30-day business: in this process, in pools, and what warm starts save."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

SCENARIO = Path(__file__).parents[1] / "scenarios" / "demo.yaml"
TIMEOUTS = ("1s", "5s", "20s")


def _timed(name: str, horizon: str, warmup: str, seeds: int, workers: int, **more: Any) -> float:
    """Run an experiment of four variants, and print a line; the seconds for one run."""
    from twin.experiment.experiment import Experiment
    from twin.experiment.plan import Plan

    run = {"horizon": horizon, "warmup": warmup, "drain": "0s"}
    variants: list[dict[str, Any]] = [{"id": "base", "change": {"run": run}}]
    for timeout in TIMEOUTS:
        change = {"run": run, "policies": {"delivery": {"default": {"timeout": timeout}}}}
        variants.append({"id": f"timeout-{timeout}", "change": change})
    plan = Plan.of(
        {
            "experiment": 1,
            "title": name,
            "scenarios": [str(SCENARIO)],
            "variants": variants,
            "seeds": seeds,
            "measures": ["margin"],
            **more,
        }
    )
    with TemporaryDirectory() as folder:
        experiment = Experiment(plan)
        began = perf_counter()
        results = experiment.run(folder, workers=workers)
        seconds = perf_counter() - began
    runs = len(results.outcomes)
    row = {
        "benchmark": "experiments",
        "way": name,
        "horizon": horizon,
        "runs": runs,
        "entries_a_run": results.outcomes[0].entries,
        "workers": workers,
        "runs_per_min": round(60 * runs / seconds, 1),
    }
    print(json.dumps(row), flush=True)
    return seconds / runs


def main() -> None:
    """Cold in one process and on two workers, then a month of warm-up before the month that counts, both ways."""
    alone = _timed("cold", "30d", "7d", seeds=2, workers=1)
    pooled = _timed("cold", "30d", "7d", seeds=4, workers=2)
    cold = _timed("warm-up in every run", "60d", "30d", seeds=2, workers=1)
    warm = _timed("one warm-up a seed", "60d", "0d", seeds=2, workers=1, warm={"for": "29d", "settle": "1d"})
    row = {
        "benchmark": "experiments",
        "speed_up_on_two_workers": round(alone / pooled, 2),
        "share_saved_by_warm_starts": round(1 - warm / cold, 2),
    }
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
