"""Every benchmark in turn, one JSON line a figure; the first line says on what machine and with which versions.

`python -m benchmarks [NAME...]` runs those named: kernel, three_echelon, pipeline, measures, order_book, event_log,
journal, experiments, decisions, known_truth, real_logs.
Figures of one run belong together: compare sides within a run, not numbers between runs on a shared machine.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import version

from benchmarks import (
    decisions,
    event_log,
    experiments,
    journal,
    kernel,
    known_truth,
    order_book,
    pipeline,
    reading,
    real_logs,
    three_echelon,
)

BENCHMARKS = {
    "kernel": kernel.main,
    "three_echelon": three_echelon.compare,
    "pipeline": pipeline.compare,
    "measures": reading.main,
    "order_book": order_book.main,
    "event_log": event_log.main,
    "journal": journal.main,
    "experiments": experiments.main,
    "decisions": decisions.main,
    "known_truth": known_truth.main,
    "real_logs": real_logs.main,
}
PACKAGES = ("ordertwin", "msgspec", "simpy", "pyarrow", "supplynetpy")


def machine() -> dict[str, object]:
    """Where and with what the figures were measured."""
    return {
        "benchmark": "machine",
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load_1m": round(os.getloadavg()[0], 2),
        "versions": {name: version(name) for name in PACKAGES},
    }


def main() -> int:
    """Run the named benchmarks, or all."""
    names = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"unknown benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    print(json.dumps(machine()), flush=True)
    for name in names:
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
