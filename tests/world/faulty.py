"""A tiny business whose three partners each have an interface, for tests of what goes wrong there."""

from __future__ import annotations

from typing import Any

from tests.world.stage import SECOND, Stage, tiny
from twin.scenario import Scenario
from twin.scenario.merging import merge_plain
from twin.streams import Series

__all__ = ["DELAYED", "KINDS", "fault", "faulty", "hits", "story"]

FACED: dict[str, Any] = {
    "warehouses": [{"id": "main", "counting": {"every": "13h"}, "reports": ["picked", "shipped"]}],
    "suppliers": [{"id": "mill", "lead_time": "2d", "latency": "1ms", "acknowledgement": "1h"}],
    "erp": {"latency": "1ms"},
    "interfaces": [
        {"id": "wms", "to": "warehouse/main"},
        {"id": "supplier.mill", "to": "supplier/mill"},
        {"id": "ledger", "to": "erp"},
    ],
    "policies": {
        "delivery": {
            "default": {"timeout": "30s", "deadline": "6h", "retries": {"max": 5, "backoff": "5s", "jitter": "none"}}
        },
    },
}

KINDS: dict[str, dict[str, Any]] = {
    "outage": {"from": "0s", "for": "60d"},
    "latency": {"delay": "40s"},
    "freeze": {"from": "0s", "for": "60d"},
    "error": {},
    "reply_lost": {},
    "reply_late": {"delay": "40s"},
    "duplicate": {},
    "loss": {},
    "reorder": {"delay": "40s", "probability": "100%"},
    "poison": {"probability": "100%"},
    "schema_drift": {},
    "rate_limit": {"rate": "1/d"},
    "auth": {},
    "clock_skew": {"offset": "1h"},
    "wrong_answer": {"says": "early", "shift": "1h", "interface": "supplier.mill"},
    "consumer_crash": {},
    "stale_snapshot": {"interface": "wms"},
    "bad_address": {"interface": "wms"},
}
"""Every kind but those of batch files, with what it must be told, big enough to be seen."""

DELAYED = {
    "latency": "delay",
    "reorder": "delay",
    "reply_late": "delay",
    "clock_skew": "offset",
    "wrong_answer": "shift",
}
"""The key that says how much, where there is one."""


def fault(kind: str, **changes: Any) -> dict[str, Any]:
    """A fault of this kind at every interface, big enough to be seen; `begins` and `lasts` stand for from and for."""
    spec = {"kind": kind, "interface": "*", **KINDS.get(kind, {}), **changes}
    return {{"begins": "from", "lasts": "for"}.get(key, key): value for key, value in spec.items()}


def faulty(*faults: dict[str, Any], **changes: Any) -> Scenario:
    """The business with these faults."""
    return tiny(merge_plain(FACED, {"faults": list(faults), **changes}))


def story(scenario: Scenario, shuffle: int | None = None) -> Stage:
    """Forty orders in as many minutes, six of them at one instant, that make the supplier deliver too."""
    stage = Stage(scenario, shuffle=None if shuffle is None else Series(shuffle, "shuffle"))
    for number in range(40):
        at = 60 * SECOND * max(5, number)
        stage.order(f"o{number}", {"mug": 1 + number % 3}, at=at, criticality="ABC"[number % 3])
    return stage


def hits(stage: Stage) -> list[tuple[str, int, str]]:
    """Which attempts were hit: delivery, attempt, fault and kind."""
    return [(row.subject, row.quantity, row.detail) for row in stage.rows("fault.hit")]
