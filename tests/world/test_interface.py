"""The interface in front of a party: workers, queue disciplines, bounds, what expires in it, and outages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from tests.world.stage import HOUR, SECOND, Stage, tiny
from twin.codec import encode_entry
from twin.core.commands import AcknowledgeDelivery
from twin.core.effects import Delivery
from twin.core.events import DeliveryDeadLettered, DeliveryFailed, DeliverySucceeded, GoodsShipped
from twin.scenario import Scenario, ScenarioError
from twin.streams import Series
from twin.world.interface import Interface
from twin.world.kernel import Phase

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
        ("fifo", ["o1", "o2", "o3", "o4", "o5"]),
        ("lifo", ["o1", "o5", "o4", "o3", "o2"]),
        ("criticality", ["o1", "o3", "o5", "o2", "o4"]),
    ],
)
def test_the_discipline_says_who_is_next(discipline: str, order: list[str]) -> None:  # RC-11
    stage = Stage(served({"queue": {"discipline": discipline}}))
    burst(stage, *"CBABA")
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
    # The second call waits already.
    assert faults == [(5 * SECOND, "fault.began"), (5 * SECOND, "fault.hit"), (25 * SECOND, "fault.ended")]
    assert [(row.subject, row.quantity, row.detail) for row in stage.rows("fault.hit")] == [
        ("o2/main/1", 1, "outage:wms outage")
    ]


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


@pytest.mark.parametrize("seed", [None, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("swap", [False, True])
def test_no_call_slips_between_two_outages_that_touch(seed: int | None, swap: bool) -> None:
    faults = [*outage("5s", "20s")["faults"], *outage("25s", "30s")["faults"]]
    shuffle = None if seed is None else Series(seed, "shuffle")
    stage = Stage(served(faults=faults[::-1] if swap else faults), shuffle=shuffle)
    burst(stage, "B", "B")
    stage.run(HOUR)
    assert [at for at, _ in stage.events(GoodsShipped)][1] == 55 * SECOND + CALL + 1


def test_calls_that_fail_are_tried_again_until_the_interface_is_back() -> None:  # RC-16
    retries = {"max": 9, "backoff": "5s", "jitter": "none"}
    policy = {"warehouse": {"timeout": "35s", "retries": retries}}
    stage = Stage(served(**outage("0s", "20s", calls="turned_away"), policies={"delivery": policy}))
    stage.order("o1", at=SECOND)
    stage.run(HOUR)
    assert reached(stage) == ["o1"]
    assert len(stage.events(DeliveryFailed)) == 3
    stage.check_books()


@pytest.mark.parametrize("seed", [None, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("calls", ["held", "turned_away"])
def test_an_outage_of_no_length_changes_nothing(calls: str, seed: int | None) -> None:
    plain, faulty = [
        Stage(served(**changes), shuffle=None if seed is None else Series(seed, "shuffle"))
        for changes in ({}, outage("1ms", "0s", calls=calls))
    ]
    for stage in (plain, faulty):
        burst(stage, "B", "B", "B")
        stage.run(HOUR)
    assert [encode_entry(entry) for entry in plain.log.entries] == [encode_entry(entry) for entry in faulty.log.entries]
    assert faulty.truth.digest == plain.truth.digest


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


class Record:
    """What came to an interface and what was begun there, taken down at its doors; its queue is not looked at."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.came: dict[tuple[str, int], int] = {}
        self.begun: dict[tuple[str, int], int] = {}
        receive, begin = Interface.receive, Interface.begin

        def watched_receive(interface: Interface, message: Delivery) -> None:
            self.came[message.key, message.attempt] = interface.world.now
            receive(interface, message)

        def watched_begin(interface: Interface, call: Delivery) -> None:
            self.begun[call.key, call.attempt] = interface.world.now
            begin(interface, call)

        patch.setattr(Interface, "receive", watched_receive)
        patch.setattr(Interface, "begin", watched_begin)


def queue_and_record(discipline: str, patch: pytest.MonkeyPatch) -> tuple[tuple[int, int], tuple[int, int]]:
    """The integral of the queue's length and the sum of the recorded sojourns in ms, the calls that came and those
    that were begun, had expired, or wait still. It ends while calls wait."""
    record = Record(patch)
    service = {"kind": "exponential", "mean": "10s"}
    stage = Stage(served({"service": service, "queue": {"discipline": discipline, "expired": "dropped"}}))
    for number in range(300):
        stage.order(f"o{number}", at=number * number * 7919 % 3_000_000, criticality="ABC"[number % 3])
    interface, area, length, since = interface_of(stage), 0, 0, stage.world.now
    while stage.world.peek() < stage.scenario.run.start + 1_500_000 or not length:
        stage.world.step()
        area += length * (stage.world.now - since)
        since, length = stage.world.now, len(interface.queue)
    gone = record.begun | {(row.subject, row.quantity): row.at for row in stage.rows("call.expired")}
    assert len(record.begun) > 100
    assert len(gone) > len(record.begun)
    assert length > 0
    sojourns = sum(gone.get(call, since) - came for call, came in record.came.items())
    return (area, sojourns), (len(record.came), len(gone) + length)


@pytest.mark.parametrize("discipline", ["fifo", "lifo", "criticality"])
def test_the_calls_waiting_obey_littles_law_to_the_millisecond(
    discipline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (area, sojourns), (came, accounted) = queue_and_record(discipline, monkeypatch)
    assert area == sojourns > 0
    assert came == accounted


def test_a_call_that_a_queue_loses_breaks_littles_law(monkeypatch: pytest.MonkeyPatch) -> None:
    dispatch = Interface._dispatch

    def forgetful(interface: Interface) -> None:
        if len(interface.queue) > 3:
            interface.queue.pop()
        dispatch(interface)

    monkeypatch.setattr(Interface, "_dispatch", forgetful)
    (area, sojourns), (came, accounted) = queue_and_record("fifo", monkeypatch)
    assert area != sojourns
    assert came > accounted


def test_a_call_that_waits_outside_the_queue_breaks_littles_law(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = Interface.receive

    def tardy(interface: Interface, message: Delivery) -> None:
        interface.world.post(partial(receive, interface), message, SECOND, Phase.RELEASE)

    monkeypatch.setattr(Interface, "receive", tardy)
    (area, sojourns), (came, accounted) = queue_and_record("fifo", monkeypatch)
    assert came == accounted
    assert area < sojourns


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
        ({"policies": {"delivery": {"warehouse": {"acknowledge": False}}},
          "interfaces": [{"id": "wms", "queue": {"expired": "dropped"}}]},
         "interfaces[0]: interface 'wms' drops what has expired, and nothing does"),
        (outage("60d", "1h"), "faults[0].from: the outage begins at 60d, and the run is over at 60d"),
        ({"policies": {"delivery": {"warehouse": {"retries": {"budget": "0%"}}}}}, "a retry budget of 0%"),
    ],
)  # fmt: skip
def test_a_mistake_about_interfaces_gets_a_clear_error(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError) as error:
        served().with_changes(changes)
    assert said in str(error.value)
