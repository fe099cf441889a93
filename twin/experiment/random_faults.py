"""Random drills: schedules of faults and disruptions that nobody thought of, at a scenario that must come to rest.

Schedule number n of a seed is the same on any machine: it is drawn from the seed and n, and checked like a file. A
drill runs under a seed of its own, too. Where one fails, its number is all that it takes to see it again.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

from msgspec import Struct

from twin.experiment.executing import observe_all
from twin.experiment.observing import Job
from twin.run import Progress
from twin.scenario import Scenario, ScenarioError
from twin.scenario.business import Lane
from twin.scenario.units import format_duration

__all__ = ["DrillRun", "FaultPlan", "plan", "random_drills", "with_faults"]

FAULTS_MAX: Final = 4
"""Faults and disruptions in one schedule."""

MINUTE: Final = 60_000
SEEDS: Final = 1 << 53
"""Seeds of runs are drawn from so many, so that no two schedules of any seeds share one."""


class FaultPlan(Struct, frozen=True):
    """One random schedule: its number under the seed, the seed of its run, and what happens as a file would have it."""

    number: int
    seed: int
    faults: list[dict[str, Any]]
    disruptions: list[dict[str, Any]] = []


class DrillRun(Struct, frozen=True):
    """What one random drill gave: a sentence for everything that is broken or left over, and for each dead letter.

    Empty where all is well: the faults drawn are such that no message need be given up.
    """

    plan: FaultPlan
    found: tuple[str, ...]
    entries: int


def random_drills(
    scenario: Scenario,
    count: int,
    seed: int,
    *,
    first: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> list[DrillRun]:
    """Run the schedules `first` to `first + count - 1` of a seed against a scenario, invariants and rest checked."""
    plans = [plan(scenario, seed, number) for number in range(first, first + count)]
    jobs = [
        Job(index, f"schedule {one.number}", with_faults(scenario, one), one.seed, (), True)
        for index, one in enumerate(plans)
    ]
    observed = observe_all(jobs, workers, "running drills", progress)
    return [
        DrillRun(one, (seen.failure,) if seen.failure else (*seen.broken, *seen.left, *seen.dead), seen.entries)
        for one, seen in zip(plans, observed, strict=True)
    ]


def plan(scenario: Scenario, seed: int, number: int) -> FaultPlan:
    """Schedule `number` of a seed: one to four troubles while demand comes in, over well before the run ends."""
    luck = Random(f"{seed}/{number}")
    wanted = luck.randint(1, FAULTS_MAX)
    found = FaultPlan(number, Random(f"{seed}/{number}/run").randrange(SEEDS), [])
    while len(found.faults) + len(found.disruptions) < wanted:
        # What could have no effect here is refused like in a file; then something else is drawn.
        if luck.random() < 0.25:
            further = FaultPlan(number, found.seed, found.faults, [*found.disruptions, _disruption(scenario, luck)])
        else:
            further = FaultPlan(number, found.seed, [*found.faults, _fault(scenario, luck)], found.disruptions)
        try:
            with_faults(scenario, further)
        except ScenarioError:
            continue
        found = further
    return found


def with_faults(scenario: Scenario, one: FaultPlan) -> Scenario:
    """The scenario with a schedule's faults beside its own. Raises `ScenarioError` where one could have no effect."""
    own = scenario.plain()
    return scenario.with_changes(
        {
            "faults": [*own.get("faults", []), *one.faults],
            "disruptions": [*own.get("disruptions", []), *one.disruptions],
        }
    )


def _fault(scenario: Scenario, luck: Random) -> dict[str, Any]:
    kind = luck.choice(list(KINDS))
    horizon = scenario.run.horizon
    where = luck.choice([*(interface.id for interface in scenario.interfaces), "*"])
    begins = luck.randrange(0, horizon // MINUTE) * MINUTE
    lasts = luck.randint(1, 12 * 60) * MINUTE
    fault: dict[str, Any] = {"kind": kind, "interface": where, "from": _time(begins), "for": _time(lasts)}
    if luck.random() < 0.2:
        up, down = luck.randint(10, 120), luck.randint(1, 30)
        fault["markov"] = {
            "up": {"kind": "exponential", "mean": f"{up}m"},
            "down": {"kind": "exponential", "mean": f"{down}m"},
        }
    elif luck.random() < 0.2:
        fault["ramp"] = _time(lasts // 2)
    fault.update(KINDS[kind](luck))
    return fault


def _disruption(scenario: Scenario, luck: Random) -> dict[str, Any]:
    begins = luck.randrange(0, scenario.run.horizon // MINUTE) * MINUTE
    kind = luck.choice(list(DISRUPTIONS))
    timed = {"kind": kind, "from": _time(begins), "for": _time(luck.randint(1, 24 * 60) * MINUTE)}
    return timed | DISRUPTIONS[kind](scenario, luck)


def _time(ms: int) -> str:
    return format_duration(ms)


def _some(luck: Random) -> dict[str, Any]:
    return {"probability": f"{luck.randint(5, 60)}%"}


def _delay(luck: Random) -> dict[str, Any]:
    return {"delay": {"kind": "exponential", "mean": f"{luck.randint(1, 90)}m"}} | _some(luck)


def _either_way(luck: Random) -> dict[str, Any]:
    return {"direction": luck.choice(["call", "reply"])}


def _records(luck: Random) -> dict[str, Any]:
    """What is wrong with a record, and of which kind it is."""
    wrong = {
        "lead_time": f"{luck.randint(1, 72)}h",
        "pack": luck.randint(1, 50),
        "status": "blocked",
        "minimum_order": luck.randint(1, 100),
    }
    field = luck.choice(list(wrong))
    defect = luck.choice(["wrong", "missing", "duplicate"])
    return {"defect": defect} | ({field: wrong[field]} if defect == "wrong" else {"field": field})


KINDS: Final[dict[str, Callable[[Random], dict[str, Any]]]] = {
    "outage": lambda luck: {"calls": luck.choice(["held", "turned_away"])},
    "latency": lambda luck: _delay(luck) | _either_way(luck),
    "freeze": lambda luck: {},
    "error": lambda luck: _some(luck) | {"class": luck.choice(["retryable", "unknown"])},
    "reply_lost": _some,
    "reply_late": _delay,
    "duplicate": lambda luck: _some(luck) | _either_way(luck) | {"after": f"{luck.randint(0, 90)}m"},
    "loss": lambda luck: _some(luck) | _either_way(luck),
    "reorder": lambda luck: _delay(luck) | _either_way(luck),
    "schema_drift": lambda luck: _some(luck) | {"misread_by": f"{luck.randint(1, 48)}h"},
    "rate_limit": lambda luck: {"rate": f"{luck.randint(1, 20)}/m"},
    "auth": _some,
    "clock_skew": lambda luck: {"offset": f"{luck.randint(1, 120)}m", "clock": luck.choice(["ahead", "behind"])},
    "wrong_answer": lambda luck: _some(luck) | {"shift": f"{luck.randint(1, 72)}h"},
    "redrive_storm": lambda luck: {"every": f"{luck.randint(1, 60)}m"},
    "consumer_crash": lambda luck: _some(luck) | {"at": luck.choice(["before_commit", "after_commit"])},
    "bad_master_data": lambda luck: _some(luck) | _records(luck),
    "bad_address": lambda luck: _some(luck) | {"corrected": f"{luck.randint(1, 48)}h"},
}
"""The keys of each kind besides place and time. Left out are those that nobody can be proof against without people:
permanent errors, poison and missing addresses end as dead letters, and a counterpart that forgets what it did does it
again."""

DISRUPTIONS: Final[dict[str, Callable[[Scenario, Random], dict[str, Any]]]] = {
    "warehouse_closed": lambda scenario, luck: {"warehouse": luck.choice(scenario.warehouses).id},
    "supplier_closed": lambda scenario, luck: {"supplier": luck.choice(scenario.suppliers).id},
    "carrier_closed": lambda scenario, luck: {"carrier": luck.choice(scenario.carriers).id},
    "lane_closed": lambda scenario, luck: _way(luck.choice(scenario.lanes)),
    "capacity_cut": lambda scenario, luck: {
        "warehouse": luck.choice(scenario.warehouses).id,
        "to": f"{luck.randint(0, 60)}%",
    },
    "demand_spike": lambda scenario, luck: {
        "channel": luck.choice(scenario.channels).id,
        "by": f"{luck.randint(50, 400)}%",
    },
}
"""The keys of each kind of disruption besides its time."""


def _way(lane: Lane) -> dict[str, Any]:
    return {"lane_from": lane.from_, "lane_to": lane.to}
