"""The order pipeline: seven outside calls an order, each with a timeout, then packing and shipping.

`python -m benchmarks.pipeline` runs this engine with its full log written beside the hand-written SimPy program, one
process an order, each side in a process of its own and in turn, and prints JSON lines. The SimPy side keeps no log. It
comes in two forms: each call races a timeout, as here, and for information without timeouts. For information, too, the
same orders as callbacks on a bare heap, which is the floor for any such program in Python.
"""

from __future__ import annotations

import heapq
import json
import random
import resource
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

HERE = Path(__file__).parent
ORDERS_PER_DAY = 2_000
CALLS = 7
PARCELS = 3


def ours(orders: int) -> dict[str, object]:
    """The product's own path: scenario file, world, engine, log, truth and manifest in a run folder.

    Raises `AssertionError` where an order did not make its calls, or did not come to its end.
    """
    # Imports are no part of the comparison, on either side; Parquet's would come with the first part written.
    import pyarrow.parquet  # noqa: F401

    from twin.log import connect, read_manifest
    from twin.measures import compute
    from twin.run import Simulation, load

    scenario = load(HERE / "pipeline.yaml", {"run": {"horizon": f"{orders // ORDERS_PER_DAY}d"}}).scenario
    with TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        began = perf_counter()
        simulation = Simulation.begin(scenario, 1, run)
        simulation.advance(scenario.run.end)
        simulation.close()
        seconds = perf_counter() - began
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        manifest = read_manifest(run)
        measured = compute(run)
        counts = dict(connect(run).sql("select type, count(*) from events group by type").fetchall())
    placed = sum(getattr(actor, "orders", 0) for actor in simulation.world.actors.values())
    state = simulation.driver.engine.state
    calls = measured["retry_amplification"].numerator
    # Two orders of one millisecond share the purchase order that replaces what they took.
    made = (CALLS - 1) * placed + counts["purchase_order.created"]
    parcels = [counts["shipment.shipped"], counts["shipment.delivered"], PARCELS * counts["order.closed"]]
    operations = measured["retry_amplification"].denominator
    left = state.orders or state.deliveries or state.dead_letters
    if left or parcels != [PARCELS * placed] * 3 or not calls == operations == made:
        raise AssertionError(f"{placed} orders made {calls} calls for {operations} operations; events: {counts}")
    return {
        "who": "ordertwin",
        "orders": placed,
        "calls": int(calls),
        "seconds": round(seconds, 3),
        "orders_per_s": round(placed / seconds),
        "calls_per_s": round(int(calls) / seconds),
        "entries": manifest.entries,
        "digest": manifest.digest,
        "peak_mb": round(peak_mb, 1),
    }


def peer(orders: int, timeouts: bool = True) -> dict[str, object]:
    """Hand-written SimPy: one process an order; a call is done, or its timeout is reached first."""
    import simpy

    luck = random.Random(1)
    env = simpy.Environment()
    packers = simpy.Resource(env, 180)
    done = [0, 0]

    def order() -> Generator[Any, Any, None]:
        for _ in range(CALLS):
            call = env.timeout(0.1 + luck.random() * 0.2)
            if timeouts:
                fired = yield call | env.timeout(30)
                done[1] += call in fired
            else:
                yield call
                done[1] += 1
        with packers.request() as packer:
            yield packer
            yield env.timeout(60)
        yield env.timeout(luck.uniform(12 * 3600, 36 * 3600))
        done[0] += 1

    def customers() -> Generator[Any, Any, None]:
        for _ in range(orders):
            yield env.timeout(luck.expovariate(ORDERS_PER_DAY / 86_400))
            env.process(order())

    began = perf_counter()
    env.process(customers())
    env.run()
    seconds = perf_counter() - began
    if done != [orders, CALLS * orders]:
        raise AssertionError(f"{done[0]} orders done, {done[1]} calls; {orders} were placed")
    return {
        "who": "SimPy, timeouts raced" if timeouts else "SimPy, no timeouts",
        "orders": orders,
        "calls": done[1],
        "seconds": round(seconds, 3),
        "orders_per_s": round(orders / seconds),
        "calls_per_s": round(done[1] / seconds),
    }


def floor(orders: int) -> dict[str, object]:
    """The peer's orders as callbacks on a bare heap; every call also pushes its timeout, which is ignored later."""
    luck = random.Random(1)
    heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
    waiting: deque[list[int]] = deque()
    free, left, posted = 180, orders, 0
    done = [0, 0]

    def post(at: float, handler: Callable[..., None], *given: Any) -> None:
        nonlocal posted
        posted += 1
        heapq.heappush(heap, (at, posted, handler, given))

    def call(now: float, order: list[int]) -> None:
        order[0] += 1
        post(now + 0.1 + luck.random() * 0.2, answer, order)
        post(now + 30, timeout, order, order[0])

    def timeout(now: float, order: list[int], attempt: int) -> None:
        if order[1] < attempt:
            raise AssertionError(f"a call was not answered by {now}")

    def answer(now: float, order: list[int]) -> None:
        nonlocal free
        order[1] += 1
        done[1] += 1
        if order[0] < CALLS:
            call(now, order)
        elif free:
            free -= 1
            post(now + 60, packed)
        else:
            waiting.append(order)

    def packed(now: float) -> None:
        nonlocal free
        post(now + luck.uniform(12 * 3600, 36 * 3600), delivered)
        if waiting:
            waiting.popleft()
            post(now + 60, packed)
        else:
            free += 1

    def delivered(now: float) -> None:
        done[0] += 1

    def arrive(now: float) -> None:
        nonlocal left
        left -= 1
        call(now, [0, 0])
        if left:
            post(now + luck.expovariate(ORDERS_PER_DAY / 86_400), arrive)

    began = perf_counter()
    post(0.0, arrive)
    while heap:
        at, _, handler, given = heapq.heappop(heap)
        handler(at, *given)
    seconds = perf_counter() - began
    if done != [orders, CALLS * orders]:
        raise AssertionError(f"{done[0]} orders done, {done[1]} calls; {orders} were placed")
    return {
        "who": "callbacks on a bare heap",
        "orders": orders,
        "calls": done[1],
        "seconds": round(seconds, 3),
        "orders_per_s": round(orders / seconds),
        "calls_per_s": round(done[1] / seconds),
    }


SIDES = {"ours": ours, "peer": peer, "peer-plain": lambda orders: peer(orders, timeouts=False), "floor": floor}


def child(who: str, orders: int) -> dict[str, object]:
    """Run one side in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.pipeline", who, str(orders)],
        check=True,
        capture_output=True,
        text=True,
        cwd=HERE.parent,
    )
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(rounds: int = 3, orders: int = 20_000) -> list[dict[str, object]]:
    """The sides in turn, `rounds` times; one row each."""
    rows = []
    for _ in range(rounds):
        for who in SIDES:
            rows.append({"benchmark": "pipeline", **child(who, orders)})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    """Without arguments the comparison; with a side and a number of orders that one alone."""
    if len(sys.argv) == 3:
        result = SIDES[sys.argv[1]](int(sys.argv[2]))
        result.setdefault("peak_mb", round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1))
        print(json.dumps(result))
    else:
        compare()


if __name__ == "__main__":
    main()
