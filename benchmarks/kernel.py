"""Posts per second of the world's kernel beside plain SimPy, and the time of a fork, as JSON lines.

All do the same in one run: 1,000 actors, each of which answers a message by the next one after 1 to 997 ms (a
hold model with 1,000 events queued). CPU time, since other work on the machine is no concern here. Run as
`python -m benchmarks.kernel`.
"""

import gc
import json
import platform
from collections.abc import Callable, Iterator
from time import process_time
from typing import Any

import simpy

from twin.world.kernel import Actor, Phase, World

ACTORS = 1_000
EVENTS = 150_000


class Holder(Actor):
    def __init__(self, id: str, number: int) -> None:
        super().__init__(id)
        self.number = number
        self.seen = 0

    def receive(self, message: int) -> None:
        self.seen += 1
        self.world.post(self.receive, message + 1, 1 + message * 7919 % 997, Phase.GOODS)


class TimeoutHolder:
    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.seen = 0

    def receive(self, event: simpy.Event) -> None:
        self.seen += 1
        message: Any = event.value
        timeout = self.env.timeout(1 + message * 7919 % 997, message + 1)
        timeout.callbacks.append(self.receive)


def holding_world(actors: int) -> World:
    world = World()
    for number in range(actors):
        actor = world.add(Holder(f"actor-{number}", number))
        world.post(actor.receive, number, number % 997, Phase.GOODS)
    return world


def posts(horizon: int) -> tuple[int, float]:
    world = holding_world(ACTORS)
    gc.collect()
    start = process_time()
    world.run(until=horizon)
    seconds = process_time() - start
    return sum(actor.seen for actor in world.actors.values() if isinstance(actor, Holder)), seconds


def timeout_callbacks(horizon: int) -> tuple[int, float]:
    env = simpy.Environment()
    holders = [TimeoutHolder(env) for _ in range(ACTORS)]
    for number, holder in enumerate(holders):
        env.timeout(number % 997, number).callbacks.append(holder.receive)
    gc.collect()
    start = process_time()
    env.run(until=horizon)
    return sum(holder.seen for holder in holders), process_time() - start


def generator_processes(horizon: int) -> tuple[int, float]:
    env = simpy.Environment()
    seen = [0]

    def hold(message: int) -> Iterator[Any]:
        yield env.timeout(message % 997)
        while True:
            seen[0] += 1
            yield env.timeout(1 + message * 7919 % 997)
            message += 1

    for number in range(ACTORS):
        env.process(hold(number))  # type: ignore[arg-type]
    gc.collect()
    start = process_time()
    env.run(until=horizon)
    return seen[0], process_time() - start


def measure(events: int = EVENTS, rounds: int = 5) -> list[dict[str, Any]]:
    """One record per way, the best of `rounds` taken in turns, and one per fork. Takes under 10 s."""
    ways: dict[str, Callable[[int], tuple[int, float]]] = {
        "world posts": posts,
        "simpy timeouts with callbacks": timeout_callbacks,
        "simpy generator processes": generator_processes,
    }
    horizon = events * 499 // ACTORS
    best: dict[str, tuple[int, float]] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            result = way(horizon)
            if name not in best or result[1] < best[name][1]:
                best[name] = result
    records: list[dict[str, Any]] = [
        {"benchmark": "kernel", "way": name, "events": count, "events_per_s": round(count / seconds)}
        for name, (count, seconds) in best.items()
    ]
    for actors in (300, 1_000):
        world = holding_world(actors)
        world.run(until=2_000)
        start = process_time()
        size = len(world.snapshot())
        half = process_time()
        world.fork()
        records.append(
            {
                "benchmark": "kernel",
                "way": "fork",
                "actors": actors,
                "snapshot_bytes": size,
                "snapshot_ms": round((half - start) * 1000, 2),
                "fork_ms": round((process_time() - half) * 1000, 2),
            }
        )
    machine = {
        "python": platform.python_version(),
        "simpy": simpy.__version__,
        "machine": platform.machine(),
    }
    return [{**record, **machine} for record in records]


def main() -> None:
    for record in measure():
        print(json.dumps(record))


if __name__ == "__main__":
    main()
