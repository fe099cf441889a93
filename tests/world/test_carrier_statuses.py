"""A carrier's statuses that come twice, late and out of order corrupt nothing, and nobody is told a false delivery."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world.stage import DAY, Stage, tiny
from twin.core.commands import PublishMilestone
from twin.core.events import ShipmentDelivered, ShipmentMilestoneReached
from twin.measures.left_over import left_over

BUSY: dict[str, Any] = {
    "run": {"horizon": "3d", "drain": "27d"},
    "carriers": [{"id": "van", "milestones": ["picked_up", "in_transit", "out_for_delivery", "delivered"]}],
    "channels": [{"id": "web", "demand": {"kind": "poisson", "rate": "30/d", "regions": {"home": 1}}}],
    "interfaces": [{"id": "track", "to": "carrier/van"}],
    "policies": {"returns": {"window": "1d"}},
}
TWICE = {"kind": "duplicate", "interface": "track", "direction": "reply", "probability": "60%", "after": "3h"}
LATE = {
    "kind": "reorder",
    "interface": "track",
    "direction": "reply",
    "probability": "40%",
    "delay": {"kind": "uniform", "low": "5m", "high": "9h"},
}


@pytest.mark.parametrize("faults", [[TWICE], [LATE], [TWICE, LATE]], ids=["twice", "late", "both"])
def test_statuses_that_come_twice_or_out_of_order_corrupt_nothing(faults: list[dict[str, Any]]) -> None:
    # TR-03, TR-05
    stage = Stage(tiny(BUSY | {"faults": faults}))
    stage.run_checked(30 * DAY)
    delivered = [event.shipment for _, event in stage.events(ShipmentDelivered)]
    assert len(delivered) == len(set(delivered)) > 60
    # Every delivery that was believed happened, and not before it did.
    happened = {row.subject: row.at for row in stage.rows("shipment.delivered")}
    for entry in stage.log.entries:
        for event in entry.events:
            if isinstance(event, ShipmentDelivered):
                assert happened[event.shipment] <= entry.now
    assert sorted(delivered) == sorted(happened)
    told = [
        entry.refusal
        for entry in stage.log.entries
        if isinstance(entry.command, PublishMilestone) and entry.refusal is not None
    ]
    # What is stale or repeated is refused with its reason, and counted as such.
    codes = {refusal.code for refusal in told}
    assert codes and codes <= {"duplicate", "stage", "unknown_shipment"}
    assert left_over(stage.state) == []
    stage.check_books()


def test_statuses_in_order_are_all_taken() -> None:
    stage = Stage(tiny(BUSY))
    stage.run(30 * DAY)
    assert len(stage.events(ShipmentMilestoneReached)) == 3 * len(stage.events(ShipmentDelivered))
