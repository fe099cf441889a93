"""How good the gate is: planted regressions over the whole library, and losses just below and above its margin.

`python -m benchmarks.gate gross [LIBRARY]` plants changes that a gate has to catch, and some that it has to let
through, and runs the real `twin check` against a baseline from before. `python -m benchmarks.gate small` plants two
losses in one scenario, tuned by long runs to lie below and above the margin, and counts the verdicts of many gates on
seeds of their own. Both take minutes on two cores, so `make bench` leaves them out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from xml.etree import ElementTree

from msgspec import Struct

from twin.experiment.baselines import Baseline, Kept, measure_baseline
from twin.experiment.regression import MAIN, cases_of, compare_with, observed
from twin.experiment.statistics import t_interval

LIBRARY = Path(__file__).parents[1] / "scenarios" / "library"
WORKERS = 2
BUDGET = "4m"
INTERFACES = (
    *("wms.central", "wms.harbour", "portal.boltworks", "edi.toolmaker", "portal.tradehouse", "erp"),
    *("wms.midlands", "wms.south", "portal.potteries", "edi.rheinhaus"),
    *("wms.fulfilment", "portal.seller_sp", "portal.seller_pr", "portal.brand", "listing"),
)


class Planted(Struct, frozen=True):
    """A change, as `--set` writes it, and the exit codes that are right for it."""

    name: str
    settings: tuple[str, ...]
    right: tuple[int, ...]


# Half the safety factor of a cycle service of 98, 95 and 90 %: z of 2.05, 1.64 and 1.28.
HALVED = ("assortment.service.A=84.8%", "assortment.service.B=79.5%", "assortment.service.C=73.9%")
GROSS = (
    Planted("nothing", (), (0,)),
    Planted("another title", ("title=Renamed",), (0,)),
    Planted("safety stock halved", HALVED, (1,)),
    Planted("breaker off", ("policies.delivery.default.breaker=none", "policies.delivery.default.drain=null"), (1,)),
    Planted("dedupe off", tuple(f"interfaces[{id}].dedupe=off" for id in INTERFACES), (1,)),
)

SMALL_SCENARIO = LIBRARY / "regional_week.yaml"
SMALL: dict[str, dict[str, object]] = {
    "0.44": {"assortment": {"service": {"A": "96.5%", "B": "92.6%", "C": "87%"}}},
    "0.72": {"assortment": {"service": {"A": "95.2%", "B": "91.1%", "C": "85.3%"}}},
}
"""Changes of the scenario, by the loss in points that 200 seeds have found for them (± 0.07 and ± 0.09)."""
GATES = 40
SEEDS = 16
TUNING_SEEDS = 200


def _told(**row: object) -> None:
    print(json.dumps({"benchmark": "gate", **row}), flush=True)


def _twin(*words: str) -> int:
    return subprocess.run([sys.executable, "-m", "twin", *words, "--quiet"], stdout=subprocess.DEVNULL).returncode


def gross(library: Path = LIBRARY, seeds: int = 12) -> None:
    """A line for each planted change: how the gate ended, after how long, and what shows each failure again."""
    with TemporaryDirectory() as folder:
        kept, junit = Path(folder) / "baseline.jsonl", Path(folder) / "junit.xml"
        began = perf_counter()
        code = _twin("check", str(library), "--store", str(kept), "--seeds", str(seeds), "--workers", str(WORKERS))
        _told(what="baseline", seeds=seeds, exit_code=code, seconds=round(perf_counter() - began))
        for planted in GROSS:
            settings = [word for setting in planted.settings for word in ("--set", setting)]
            began = perf_counter()
            code = _twin(
                *("check", str(library), "--against", str(kept), "--budget", BUDGET, "--workers", str(WORKERS)),
                *("--junit", str(junit), *settings),
            )
            seconds = perf_counter() - began
            failures = [
                {"case": case.get("name"), "text": (failure.text or failure.get("message") or "").strip()}
                for case in ElementTree.parse(junit).iter("testcase")
                for failure in case.iter("failure")
            ]
            _told(
                what="gross",
                planted=planted.name,
                exit_code=code,
                right=code in planted.right,
                seconds=round(seconds),
                failures=failures,
            )


def tune(settings: dict[str, object], seeds: int = TUNING_SEEDS) -> None:
    """What a change of the small scenario costs, by a long run."""
    name = str(SMALL_SCENARIO)
    values: list[dict[int, Fraction]] = []
    for change in ({}, settings):
        (case,) = cases_of([name], {name: change})
        jobs = [case.job(seed, MAIN) for seed in range(1, seeds + 1)]
        values.append({job.seed: Fraction(one.values[MAIN] or 0) for job, one in observed(jobs, WORKERS, "", None)})
    interval = t_interval([values[1][seed] - values[0][seed] for seed in sorted(values[0])], 950_000)
    spread = interval.half_width / 1.96 * sqrt(seeds)
    _told(
        what="tuned",
        settings=settings,
        seeds=seeds,
        points=round(100 * float(interval.mean), 3),
        half_width=round(100 * interval.half_width, 3),
        deviation=round(100 * spread, 3),
    )


def small() -> None:
    """How often each verdict comes over gates of a few seeds each, none shared, for each planted loss."""
    name = str(SMALL_SCENARIO)
    began = perf_counter()
    before = measure_baseline([name], GATES * SEEDS, workers=WORKERS).runs[name]
    for loss, change in SMALL.items():
        cases = cases_of([name], {name: change})
        verdicts: Counter[str] = Counter()
        for gate in range(GATES):
            first = gate * SEEDS + 1
            own: dict[int, Kept] = {seed: before[seed] for seed in range(first, first + SEEDS)}
            (verdict,) = compare_with(cases, Baseline(MAIN, {name: own}), workers=WORKERS)
            verdicts[verdict.verdict] += 1
        _told(
            what="small",
            loss_in_points=loss,
            gates=GATES,
            seeds_a_gate=SEEDS,
            verdicts=dict(sorted(verdicts.items())),
            minutes_so_far=round((perf_counter() - began) / 60, 1),
        )


def main() -> int:
    """`gross [LIBRARY]`, `small`, or `tune JSON`."""
    what, *more = sys.argv[1:] or ["gross"]
    if what == "gross":
        gross(*(Path(word) for word in more[:1]))
    elif what == "small":
        small()
    elif what == "tune" and more:
        tune(json.loads(more[0]))
    else:
        print(main.__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
