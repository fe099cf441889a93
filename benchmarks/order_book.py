"""How fast a real order book is read and replayed, log and truth written; needs the Online Retail II sample."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

ROOT = Path(__file__).parents[1]
BOOK = ROOT.parent / "shared/data/online_retail/orders_2010-03_2010-04.csv.gz"


def main() -> None:
    """Read the book, then run the whole scenario on it."""
    from twin.run import Simulation, load
    from twin.world.build import load_book

    if not BOOK.exists():
        print(json.dumps({"benchmark": "order_book", "skipped": "the sample is not beside the project"}))
        return
    scenario = load(ROOT / "scenarios/online_retail.yaml").scenario
    if scenario.order_book is None:
        raise ValueError("the scenario names no order book")
    began = perf_counter()
    book = load_book(scenario.order_book)
    read = perf_counter() - began
    with TemporaryDirectory() as folder:
        began = perf_counter()
        simulation = Simulation.begin(scenario, 1, Path(folder) / "run")
        simulation.advance(scenario.run.end)
        entries = simulation.close().entries
        ran = perf_counter() - began
    lines = book.lines_of("accepted")
    row = {
        "benchmark": "order_book",
        "lines_read": book.read_lines,
        "read_s": round(read, 2),
        "lines_run": lines,
        "orders": len(book.orders),
        "entries": entries,
        "run_s": round(ran, 2),
        "lines_per_s": round(lines / ran),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
