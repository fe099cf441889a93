"""What it costs to let a service outside decide: one business, sourced by the rule inside and by the samples.

`python -m benchmarks decisions`. The Java sample is measured where there is a JDK. `legs_as_inside` are the
legs that came out as those of the rule inside: an answer comes later than the rule, so another order may be first.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from twin.core.events import SourcingDecided
from twin.run import Run, Twin, load

ROOT = Path(__file__).parents[1]
JAVA = ROOT / "adapters" / "services" / "java" / "Nearest.java"
INSIDE: dict[str, object] = {
    "run": {"horizon": "21d", "drain": "7d"},
    "policies": {"sourcing": {"rules": ["nearest"]}},
}
OUTSIDE: dict[str, object] = {
    "services": [{"id": "nearest", "latency": "1ms"}],
    "policies": {"sourcing": {"outside": {"service": "nearest"}}},
}


@contextmanager
def java(folder: Path) -> Iterator[str]:
    """The Java sample, compiled and running; its address."""
    subprocess.run(["javac", "-d", str(folder), str(JAVA)], check=True)
    with subprocess.Popen(["java", "-cp", str(folder), "Nearest", "0"], stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None:
            raise RuntimeError("the Java sample has no output")
        yield f"http://127.0.0.1:{process.stdout.readline().split()[-1]}"
        process.kill()


def decided(run: Run) -> tuple[int, Counter[tuple[str, int, str, str, int]]]:
    """How many decisions there are, and their legs: order, line, route, node and units."""
    found = [event for entry in run.entries() for event in entry.events if isinstance(event, SourcingDecided)]
    legs = Counter((event.order, leg.line, leg.route, leg.node, leg.quantity) for event in found for leg in event.legs)
    return len(found), legs


def main() -> None:
    """A line a side: seconds of the run, decisions, and decisions a second by what it takes longer than the rule."""
    plain = load(ROOT / "scenarios" / "base" / "regional_b2b.yaml", INSIDE).scenario
    asked = plain.with_changes(OUTSIDE)
    with TemporaryDirectory() as parent:
        folder = Path(parent)
        sides: dict[str, str] = {"rule inside": "", "process, Python": f"stdio:{sys.executable} -m adapters.services"}

        def measure(side: str, address: str) -> tuple[Run, float]:
            began = perf_counter()
            twin = Twin(asked if address else plain)
            run = twin.run(1, folder / side.replace(", ", "-"), services={"nearest": address} if address else None)
            return run, perf_counter() - began

        def all_sides() -> None:
            inside = 0.0
            legs: Counter[tuple[str, int, str, str, int]] = Counter()
            for side, address in sides.items():
                run, seconds = measure(side, address)
                decisions, found = decided(run)
                inside, legs = (seconds, found) if not address else (inside, legs)
                row: dict[str, object] = {
                    "benchmark": "decisions",
                    "side": side,
                    "seconds": round(seconds, 2),
                    "decisions": decisions,
                    "legs": found.total(),
                    "legs_as_inside": (found & legs).total(),
                }
                if address:
                    row["decisions_per_s"] = round(decisions / max(seconds - inside, 1e-9))
                print(json.dumps(row), flush=True)

        if shutil.which("javac") is None:
            all_sides()
            return
        with java(folder / "classes") as address:
            sides["HTTP, Java"] = address
            all_sides()


if __name__ == "__main__":
    main()
