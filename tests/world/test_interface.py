"""The interface in front of a party: workers, queue disciplines, bounds, what expires in it, and outages."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from tests.world.stage import HOUR, SECOND, Stage, tiny
from twin.codec import encode_entry
from twin.core.commands import AcknowledgeDelivery
from twin.core.events import DeliveryDeadLettered, DeliveryFailed, DeliverySucceeded, GoodsShipped
from twin.scenario import Scenario, ScenarioError
from twin.world.interface import Interface

CALL = 10 * SECOND


def served(interface: Mapping[str, Any] | None = None, **changes: Any) -> Scenario:
    """The tiny business behind one worker that takes 10 s a call; a call is given up after 35 s, for good."""
    wms = {"id": "wms", "to": "warehouse/main", "workers": 1, "service": "10s", **(interface or {})}
    policy = {"timeout": "35s", "retries": {"max": 0}}
    return tiny({"interfaces": [wms], "policies": {"delivery": {"warehouse": policy}}, **changes})


def outage(begins: str, lasts: str, **more: str) -> dict[str, Any]:
    return {"faults": [{"kind": "outage", "interface": "wms", "from": begins, "for": lasts, **more}]}


def interface_of(stage: Stage) -> Interface:
    return stage.world.interfaces["warehouse/main"]


def burst(stage: Stage, *classes: str) -> None:
    """Orders o1, o2, ... of these classes, 1 ms apart."""
    for number, criticality in enumerate(classes, 1):
        stage.order(f"o{number}", at=number, criticality=criticality)


def reached(stage: Stage) -> list[str]:
    """Orders in the order in which their parcels left."""
    return [event.order for _, event in stage.events(GoodsShipped)]


def test_one_worker_takes_calls_one_after_the_other() -> None:
    stage = Stage(served())
    burst(stage, "B", "B", "B")
    stage.run(HOUR)
    shipped = [at for at, _ in stage.events(GoodsShipped)]
    assert [later - earlier for earlier, later in pairwise(shipped)] == [CALL, CALL]
    stage.check_books()


def test_two_workers_take_two_calls_at_once() -> None:
    stage = Stage(served({"workers": 2}))
    burst(stage, "B", "B", "B")
    stage.run(HOUR)
    shipped = [at for at, _ in stage.events(GoodsShipped)]
    assert [shipped[1] - shipped[0], shipped[2] - shipped[0]] == [1, CALL]


@pytest.mark.parametrize(
    ("discipline", "order"),
    [
        ("fifo", ["o1", "o2", "o3", "o4"]),
        ("lifo", ["o1", "o4", "o3", "o2"]),
        ("criticality", ["o1", "o4", "o3", "o2"]),
    ],
)
def test_the_discipline_says_who_is_next(discipline: str, order: list[str]) -> None:  # RC-11
    stage = Stage(served({"queue": {"discipline": discipline}}))
    burst(stage, "C", "C", "B", "A")
    stage.run(HOUR)
    assert reached(stage) == order


def test_a_full_queue_turns_calls_away_at_once() -> None:  # RC-09
    stage = Stage(served({"queue": {"bound": 1}}))
    burst(stage, "B", "B", "B")
    stage.run(SECOND)
    assert [command.reason for command in stage.commands(AcknowledgeDelivery)] == ["queue full"]
    assert [(row.subject, row.detail) for row in stage.rows("call.turned_away")] == [("o3/main/1", "queue full")]
    stage.run(HOUR)
    assert reached(stage) == ["o1", "o2"]
    assert [event.delivery for _, event in stage.events(DeliveryDeadLettered)] == ["o3/main/1"]


def test_what_was_given_up_is_served_all_the_same_and_settles_late() -> None:  # RC-02
    stage = Stage(served())
    burst(stage, *"BBBBB")
    stage.run(HOUR)
    # The fourth and the fifth wait longer than 35 s for their answers, which come and are taken.
    assert [event.delivery for _, event in stage.events(DeliveryDeadLettered)] == ["o4/main/1", "o5/main/1"]
    assert len(stage.events(DeliverySucceeded)) >= 5
    assert reached(stage) == ["o1", "o2", "o3", "o4", "o5"]
    assert not stage.state.dead_letters


def test_what_was_given_up_is_dropped_where_the_interface_looks_at_it() -> None:  # RC-02
    stage = Stage(served({"queue": {"expired": "dropped"}}))
    burst(stage, *"BBBBBB")
    stage.run(HOUR)
    # The fourth is begun before it expires.
    assert reached(stage) == ["o1", "o2", "o3", "o4"]
    assert [row.subject for row in stage.rows("call.expired")] == ["o5/main/1", "o6/main/1"]
    assert sorted(stage.state.dead_letters) == ["o5/main/1", "o6/main/1"]


def test_an_outage_holds_calls_and_finishes_the_one_it_was_at() -> None:
    stage = Stage(served(**outage("5s", "20s")))
    burst(stage, "B", "B")
    stage.run(24 * SECOND)
    assert reached(stage) == ["o1"]
    stage.run(HOUR)
    shipped = [at for at, _ in stage.events(GoodsShipped)]
    assert shipped[1] == 25 * SECOND + CALL + 1
    faults = [(stage.since_start(row.at), row.type) for row in stage.truth.rows if row.type.startswith("fault.")]
    assert faults == [(5 * SECOND, "fault.began"), (25 * SECOND, "fault.ended")]


def test_an_outage_may_turn_calls_away() -> None:
    stage = Stage(served(**outage("0s", "20s", calls="turned_away")))
    stage.order("o1", at=SECOND)
    stage.order("o2", at=21 * SECOND)
    stage.run(HOUR)
    assert reached(stage) == ["o2"]
    assert [row.detail for row in stage.rows("call.turned_away")] == ["unavailable"]
    assert [event.reason for _, event in stage.events(DeliveryDeadLettered)] == ["retries used up: unavailable"]


def test_overlapping_outages_end_with_the_last() -> None:
    faults = [*outage("5s", "20s")["faults"], *outage("10s", "30s")["faults"]]
    stage = Stage(served(faults=faults))
    burst(stage, "B", "B")
    stage.run(HOUR)
    assert [at for at, _ in stage.events(GoodsShipped)][1] == 40 * SECOND + CALL + 1


def test_calls_that_fail_are_tried_again_until_the_interface_is_back() -> None:  # RC-16
    retries = {"max": 9, "backoff": "5s", "jitter": "none"}
    policy = {"warehouse": {"timeout": "35s", "retries": retries}}
    stage = Stage(served(**outage("0s", "20s", calls="turned_away"), policies={"delivery": policy}))
    stage.order("o1", at=SECOND)
    stage.run(HOUR)
    assert reached(stage) == ["o1"]
    assert len(stage.events(DeliveryFailed)) == 3
    stage.check_books()


def test_a_fault_of_no_length_leaves_the_entries_as_they_were() -> None:
    plain, faulty = Stage(served()), Stage(served(**outage("5s", "0s")))
    for stage in (plain, faulty):
        burst(stage, "B", "B", "B")
        stage.run(HOUR)
    assert [encode_entry(entry) for entry in plain.log.entries] == [encode_entry(entry) for entry in faulty.log.entries]


def test_an_interface_with_calls_in_it_forks_and_runs_on_alike() -> None:
    stage = Stage(served(**outage("5s", "20s")))
    burst(stage, *"ABCAB")
    stage.run(15 * SECOND)
    assert interface_of(stage).queue
    fork = stage.fork()
    stage.run(HOUR)
    fork.run(HOUR)
    assert fork.log.digest == stage.log.digest
    assert fork.truth.digest == stage.truth.digest


@pytest.mark.parametrize("discipline", ["fifo", "lifo", "criticality"])
def test_the_calls_waiting_obey_littles_law_to_the_millisecond(discipline: str) -> None:
    service = {"kind": "exponential", "mean": "10s"}
    stage = Stage(served({"service": service, "queue": {"discipline": discipline, "expired": "dropped"}}))
    for number in range(300):
        stage.order(f"o{number}", at=number * number * 7919 % 3_000_000, criticality="ABC"[number % 3])
    end = stage.scenario.run.start + 2 * HOUR
    area = sojourns = passed = 0
    since, there = stage.world.now, list[str]()
    entered: dict[str, int] = {}
    while stage.world.peek() < end:
        stage.world.step()
        now = stage.world.now
        area += len(there) * (now - since)
        since = now
        there = [call.key for _, _, call in interface_of(stage).queue]
        for key in there:
            entered.setdefault(key, now)
        for key in [key for key in entered if key not in there]:
            sojourns += now - entered.pop(key)
            passed += 1
    assert not entered
    assert area == sojourns > 0
    assert passed > 100


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"interfaces": [{"id": "wms", "to": "warehouse/mian"}]}, "unknown partner 'warehouse/mian'"),
        (outage("1s", "1s") | {"faults": [{**outage("1s", "1s")["faults"][0], "interface": "wsm"}]},
         "unknown interface 'wsm'; interfaces here: wms (did you mean 'wms'?)"),
        ({"interfaces": [{"id": "two", "to": "warehouse/main", "workers": 1, "service": "1s"}]},
         "second entry for to warehouse/main"),
        ({"policies": {"delivery": {"warehouse": {"acknowledge": False}}},
          "interfaces": [{"id": "wms", "queue": {"bound": 5}}]}, "set acknowledge: true there"),
        ({"policies": {"delivery": {"warehouse": {"retries": {"budget": "0%"}}}}}, "a retry budget of 0%"),
    ],
)  # fmt: skip
def test_a_mistake_about_interfaces_gets_a_clear_error(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError) as error:
        served().with_changes(changes)
    assert said in str(error.value)
