"""Businesses whose inventory is held outside the engine, for tests of what goes wrong with calls that reserve."""

from __future__ import annotations

from typing import Any

from tests.world.deciders import between_two
from tests.world.stage import DAY, HOUR, Stage
from twin.core.commands import CancelOrder
from twin.core.state import State
from twin.scenario import Scenario
from twin.scenario.merging import merge_plain
from twin.streams import Series
from twin.world.holder import Hold

__all__ = ["OTHERS", "at_rest", "held", "held_by", "mixed", "orphans", "oversold"]

OTHERS: list[dict[str, Any]] = [
    {"warehouse": "main", "rate": "12/h", "quantity": {"kind": "uniform", "low": 1, "high": 4}},
    {"warehouse": "far", "rate": "6/h", "quantity": {"kind": "uniform", "low": 1, "high": 3}, "collected": "3h"},
]
"""Who buys past the engine: at once at the near site, collected later at the far one."""


def held_by(who: str, *faults: dict[str, Any], busy: bool = True, **changes: Any) -> Scenario:
    """Two warehouses whose inventory is held by `who`, behind the interface `desk`; reconciled every six hours."""
    desk = {"id": "desk", "to": "erp" if who == "erp" else "inventory", **changes.pop("desk", {})}
    sending = {
        "timeout": "30s",
        "deadline": "10m",
        "retries": {"max": 2, "backoff": "5s", "jitter": "none"},
    }
    inventory = {"held_by": who, "pause": "20m", "reconcile": "6h", **changes.pop("inventory", {})}
    given = {
        "inventory": inventory,
        "interfaces": [desk],
        "faults": [{"interface": "desk", **fault} for fault in faults],
        "policies": {"delivery": {desk["to"]: sending}},
    }
    return between_two(busy=busy).with_changes(merge_plain(given, changes))


def held(stage: Stage) -> dict[tuple[str, int, str], int]:
    """Units reserved where the inventory is held, by claim, order line and node."""
    units: dict[tuple[str, int, str], int] = {}
    holder = stage.world.holder
    assert holder is not None
    for holds in holder.holds.values():
        for hold in holds:
            place = _place(hold)
            units[place] = units.get(place, 0) + hold.quantity
    return units


def _place(hold: Hold) -> tuple[str, int, str]:
    return hold.claim, hold.line, hold.node


def claimed(state: State) -> dict[tuple[str, int, str], int]:
    """Units that the engine's open claims cover, by claim, order line and node."""
    return {(name, line.line, line.node): line.quantity for name, claim in state.claims.items() for line in claim.lines}


def orphans(stage: Stage) -> dict[tuple[str, int, str], int]:
    """Units reserved where the inventory is held, and wanted by no open claim, by claim, order line and node."""
    known = claimed(stage.state)
    return {place: units - known.get(place, 0) for place, units in held(stage).items() if units > known.get(place, 0)}


def oversold(stage: Stage) -> int:
    """Units that were reserved beyond what was there just then, from the truth."""
    return sum(max(0, row.quantity - int(row.detail)) for row in stage.rows("reservation.taken"))


def at_rest(stage: Stage, until: int) -> None:
    """Run to `until`, then past two reconciliations, and hold the end to what must be so."""
    stage.run_checked(until, every=20)
    stage.run_checked(until + 13 * HOUR, every=20)
    stage.check_books()
    assert oversold(stage) == 0
    assert orphans(stage) == {}
    assert claimed(stage.state) == held(stage)


# --- faults at random


def mixed(number: int) -> Stage:
    """A business with two to four random faults in its first two days, at an interface of any memory; the number says
    which."""
    dice = Series(number, "holders")

    def of(*choices: Any) -> Any:
        return choices[dice.bits() % len(choices)]

    who = of("erp", "service")
    faults = []
    for _ in range(of(2, 3, 4)):
        kind = of("reply_lost", "loss", "latency", "duplicate", "consumer_crash", "outage", "reply_late", "error")
        fault: dict[str, Any] = {"kind": kind, "from": of("0s", "5h", "20h"), "for": of("2h", "5h", "12h")}
        if kind != "outage":
            fault["probability"] = of("20%", "50%", "100%")
        if kind in ("latency", "reply_late"):
            fault["delay"] = of("20s", "70s", "20m")
        if kind == "error":
            fault["class"] = of("retryable", "permanent", "unknown")
        if kind == "consumer_crash":
            fault["at"] = of("before_commit", "after_commit")
        if kind == "outage":
            fault["calls"] = of("held", "turned_away")
        if kind in ("latency", "loss", "duplicate"):
            fault["direction"] = of("call", "reply")
        faults.append(fault)
    desk = {
        "dedupe": of("30d", "1m", "off") if who == "service" else "30d",
        "workers": of(1, 3),
        "service": of("0s", "2s"),
    }
    complete = of("complete", "partial")
    changes: dict[str, Any] = {
        "desk": desk,
        "inventory": {"others": OTHERS},
        "channels": [
            {
                "id": "web",
                "style": "ecommerce",
                "requested": "2d",
                "fulfillment": complete,
                "demand": {
                    "kind": "poisson",
                    "rate": "5/h",
                    "lines": {"kind": "fixed", "value": 2},
                    "quantity": {"kind": "uniform", "low": 1, "high": 3},
                    "regions": {"home": 1},
                },
            }
        ],
        "policies": {"release": of({"kind": "immediate"}, {"kind": "waves", "at": ["09:00", "15:00"]})},
        "run": {"horizon": "3d", "drain": "9d"},
    }
    if of(True, False):
        party = "erp" if who == "erp" else "inventory"
        changes["policies"]["delivery"] = {party: {"breaker": {"calls": 10, "minimum": 5, "open": "2m"}}}
    stage = Stage(held_by(who, *faults, **changes), seed=number + 1)
    for cancelled in range(1, 60, 7):
        at = (cancelled * HOUR) % (2 * DAY) + of(1, 40_000, 3_000_000)
        stage.order(f"C{cancelled}", {"mug": 3}, at=at - 1)
        at += of(0, 3, 20_000, 60_000, 400_000)
        time = stage.scenario.run.start + at
        stage.send(CancelOrder(f"cancel/{cancelled}", "web", time, f"C{cancelled}", "customer"), at)
    return stage
