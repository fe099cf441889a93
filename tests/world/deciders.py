"""Deciders for tests: functions that stand in for a service, and a business of two warehouses to decide for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from adapters.services.nearest import ABOUT, decide
from tests.world.stage import Stage, tiny
from twin.decisions import About, Answer, Question, answer_of, question_of
from twin.scenario import Scenario

__all__ = ["Function", "between_two", "nearest", "outside"]

TWO: dict[str, Any] = {
    "run": {"horizon": "3d", "drain": "9d"},
    "warehouses": [{"id": "main", "latency": "1ms"}, {"id": "far", "latency": "1ms"}],
    "lanes": [
        {"from": "main", "to": "home", "carrier": "van", "transit": "4h"},
        {"from": "far", "to": "home", "carrier": "van", "transit": "9h"},
    ],
    "stock": [
        {"warehouse": "main", "item": "mug", "on_hand": 40},
        {"warehouse": "far", "item": "mug", "on_hand": 100},
    ],
    "suppliers": [{"id": "mill", "lead_time": "1d"}],
    "policies": {
        "sourcing": {"rules": ["nearest"]},
        "replenishment": [
            {"kind": "min_max", "warehouse": where, "item": "mug", "supplier": "mill", "s": 60, "S": 150}
            for where in ("main", "far")
        ],
    },
}
BUSY: dict[str, Any] = {
    "id": "web",
    "requested": "2d",
    "demand": {
        "kind": "poisson",
        "rate": "10/h",
        "lines": {"kind": "fixed", "value": 1},
        "quantity": {"kind": "uniform", "low": 1, "high": 3},
        "regions": {"home": 1},
    },
}
OUTSIDE: dict[str, Any] = {
    "services": [{"id": "nearest", "latency": "1ms"}],
    "policies": {"sourcing": {"outside": {"service": "nearest"}}},
}


def between_two(*, busy: bool = False) -> Scenario:
    """Two warehouses that hold 40 and 100 mugs; the first is nearer. Ten orders an hour where it is `busy`."""
    return tiny({**TWO, "channels": [BUSY]} if busy else TWO)


def outside(scenario: Scenario, **changes: Any) -> Scenario:
    """The same business, sourced by the service `nearest`; `changes` are those of `policies.sourcing.outside`."""
    return scenario.with_changes(OUTSIDE).with_changes({"policies": {"sourcing": {"outside": changes}}})


class Function:
    """A decider that is a function of the question; it counts what it is asked."""

    def __init__(self, answer: Callable[[Question], Answer]) -> None:
        self.about = msgspec.convert(ABOUT, About)
        self.answer = answer
        self.asked: list[Question] = []
        self.seeds: list[int] = []

    def decide(self, question: Question) -> Answer:
        """The function's answer."""
        self.asked.append(question)
        return self.answer(question)

    def reset(self, seed: int) -> None:
        """Note the seed."""
        self.seeds.append(seed)

    def close(self) -> None:
        """Nothing to let go of."""

    def on(self, scenario: Scenario, seed: int = 1) -> Stage:
        """The scenario in motion, decided by this."""
        return Stage(scenario, seed, prepare=lambda world: world.deciders.update({"nearest": self}))


def nearest() -> Function:
    """The sample service, by way of its JSON."""

    def answer(question: Question) -> Answer:
        return answer_of(question.decision, msgspec.json.encode(decide(msgspec.json.decode(question_of(question)))))

    return Function(answer)
