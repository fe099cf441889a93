"""How fast a written log is read back: decoding alone, folding the engine, and all measures in one pass."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

HERE = Path(__file__).parent


def main() -> None:
    """Write a log of 20 thousand one-line orders, then read it in three ways."""
    from twin.core.engine import Engine
    from twin.log import read_entries
    from twin.measures import compute
    from twin.run import Simulation, load

    scenario = load(HERE / "three_echelon.yaml", {"run": {"horizon": "400d"}}).scenario
    with TemporaryDirectory() as parent:
        folder = Path(parent) / "run"
        simulation = Simulation.begin(scenario, 1, folder)
        simulation.advance(scenario.run.end)
        entries = simulation.close().entries

        def decode() -> None:
            for _ in read_entries(folder):
                pass

        def fold() -> None:
            engine = Engine()
            for entry in read_entries(folder):
                engine.apply(entry)

        for name, work in (("decode", decode), ("fold", fold), ("measures", lambda: compute(folder))):
            began = perf_counter()
            work()
            seconds = perf_counter() - began
            row = {"benchmark": "reading", "way": name, "entries": entries, "entries_per_s": round(entries / seconds)}
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
