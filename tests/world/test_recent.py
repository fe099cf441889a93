"""What parties and interfaces remember is bounded, however long a run goes on."""

from __future__ import annotations

import pickle

import pytest

from tests.world.faulty import fault, faulty
from tests.world.stage import DAY, Stage, tiny
from twin.core.effects import CancelRelease, Delivery
from twin.world.recent import Recent


def test_of_too_many_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recent, "most", 3)
    recent: Recent[int] = Recent()
    for number in range(5):
        recent[str(number)] = number
    assert dict(recent) == {"2": 2, "3": 3, "4": 4}
    assert pickle.loads(pickle.dumps(recent)) == recent
    assert type(pickle.loads(pickle.dumps(recent))) is Recent


def test_where_one_tenants_messages_are_hit_orders_are_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recent, "most", 20)
    demand = {"kind": "poisson", "rate": "10/h", "regions": {"home": 1}}
    stage = Stage(faulty(fault("error", tenant="web", lasts="1s"), channels=[{"id": "web", "demand": demand}]))
    stage.run(DAY)
    assert stage.world.tenants is not None
    assert len(stage.world.tenants) == 20
    assert len(stage.world.interfaces["warehouse/main"].orders) == 20


def test_a_warehouse_forgets_what_it_was_told_not_to_ship_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recent, "most", 20)
    stage = Stage(tiny())
    for number in range(50):
        cancel = CancelRelease(f"f{number}", f"o{number}", "main")
        stage.warehouse().receive(Delivery(f"c{number}", "warehouse/main", cancel, f"o{number}"))
    assert list(stage.warehouse().cancelled) == [f"f{number}" for number in range(30, 50)]
