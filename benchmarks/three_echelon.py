"""The 3-echelon network: this engine with its full log written, beside SupplyNetPy with its logging off.

`python -m benchmarks.three_echelon` runs both in turn, each in its own process, and prints JSON lines. Peak memory is
the process's own maximum resident set.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

HERE = Path(__file__).parent
ORDERS_PER_DAY = 50


def ours(orders: int) -> dict[str, object]:
    """The product's own path: scenario file, world, engine, log, truth and manifest in a run folder."""
    # Imports are no part of the comparison, on either side; Parquet's would come with the first part written.
    import pyarrow.parquet

    from twin.log import read_manifest
    from twin.run import Simulation, load

    scenario = load(HERE / "three_echelon.yaml", {"run": {"horizon": f"{orders // ORDERS_PER_DAY}d"}}).scenario
    with TemporaryDirectory() as folder:
        began = perf_counter()
        simulation = Simulation.begin(scenario, 1, Path(folder) / "run")
        simulation.advance(scenario.run.end)
        simulation.close()
        seconds = perf_counter() - began
        manifest = read_manifest(Path(folder) / "run")
        written = sum(file.stat().st_size for file in Path(folder).rglob("*.parquet"))
    placed = sum(getattr(actor, "orders", 0) for actor in simulation.world.actors.values())
    return {
        "who": "ordertwin",
        "orders": placed,
        "seconds": round(seconds, 3),
        "orders_per_s": round(placed / seconds),
        "entries": manifest.entries,
        "pyarrow": pyarrow.__version__,
        "log_mb": round(written / 1e6, 1),
        "digest": manifest.digest,
    }


def peer(orders: int) -> dict[str, object]:
    """The same network in SupplyNetPy, its logging off."""
    import SupplyNetPy.Components as scm

    random.seed(1)

    def node(name: str, low: int, high: int) -> dict[str, object]:
        return {
            "ID": name,
            "name": name,
            "node_type": "warehouse",
            "capacity": high,
            "initial_level": high,
            "inventory_holding_cost": 0.01,
            "replenishment_policy": scm.SSReplenishment,
            "policy_param": {"s": low, "S": high},
            "product_sell_price": 5,
            "product_buy_price": 2,
            "supplier_selection_policy": scm.SelectCheapest,
        }

    warehouses = [("w1", 300, 600, ("p1", "p2")), ("w2", 300, 600, ("p3", "p4")), ("w3", 150, 300, ("p5",))]
    nodes = [{"ID": name, "name": name, "node_type": "infinite_supplier"} for name in ("s1", "s2")]
    nodes += [node(name, low, high) for name, low, high, _ in warehouses]
    links = [
        {
            "ID": f"{supplier}-{name}",
            "source": supplier,
            "sink": name,
            "cost": cost,
            "lead_time": lambda: random.uniform(2, 5),
        }
        for supplier, cost in (("s1", 2), ("s2", 3))
        for name, _, _, _ in warehouses
    ]
    demands = [
        {
            "ID": point,
            "name": point,
            "order_arrival_model": lambda: random.expovariate(10),
            "order_quantity_model": lambda: random.randint(1, 5),
            "demand_node": name,
            "tolerance": float("inf"),
            "lead_time": lambda: random.uniform(0.5, 1.5),
            "delivery_cost": lambda: 0,
        }
        for name, _, _, points in warehouses
        for point in points
    ]
    began = perf_counter()
    network = scm.create_sc_net(nodes, links, demands)
    network = scm.simulate_sc_net(network, sim_time=orders / ORDERS_PER_DAY, logging=False)
    seconds = perf_counter() - began
    placed = network["demand_by_customers"][0]
    return {
        "who": "SupplyNetPy",
        "orders": placed,
        "seconds": round(seconds, 3),
        "orders_per_s": round(placed / seconds),
    }


def child(who: str, orders: int) -> dict[str, object]:
    """Run one side in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.three_echelon", who, str(orders)],
        check=True,
        capture_output=True,
        text=True,
        cwd=HERE.parent,
    )
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(rounds: int = 3, large: bool = True) -> list[dict[str, object]]:
    """Both sides in turn, `rounds` times at 100 thousand orders and once at a million; one row each."""
    rows = []
    for size, times in ((100_000, rounds), (1_000_000, 1 if large else 0)):
        for _ in range(times):
            for who in ("ours", "peer"):
                rows.append({"benchmark": "three_echelon", **child(who, size)})
                print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    """Without arguments the comparison; with a side and a number of orders that one alone."""
    if len(sys.argv) == 3:
        result = {"ours": ours, "peer": peer}[sys.argv[1]](int(sys.argv[2]))
        result["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
        print(json.dumps(result))
    else:
        compare()


if __name__ == "__main__":
    main()
