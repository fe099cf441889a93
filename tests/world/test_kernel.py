"""The kernel: order at equal times, what a post refuses, forks, and SimPy beside it."""

import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import simpy

from twin.streams import Exponential, Series, Streams
from twin.world.kernel import Actor, CannotFork, Phase, PostRefused, World

START = 1_763_337_600_000


class Recorder(Actor):
    def __init__(self, id: str = "recorder") -> None:
        super().__init__(id)
        self.seen: list[tuple[int, Any]] = []

    def receive(self, message: Any) -> None:
        self.seen.append((self.world.now, message))


class Site(Actor):
    """Passes a token on to a neighbor, known by id, after a drawn delay."""

    def __init__(self, id: str, neighbor: str, streams: Streams) -> None:
        super().__init__(id)
        self.neighbor = neighbor
        self.streams = streams
        self.own = streams.series(id)
        self.stock = {f"sku-{k}": k for k in range(20)}
        self.seen: list[tuple[int, int]] = []

    def receive(self, message: int) -> None:
        self.seen.append((self.world.now, message))
        delay = self.streams.draw(Exponential(700), "hop", self.id, message) + self.own.draw(Exponential(300))
        self.world.send(self.neighbor, message + 1, delay, Phase.GOODS)


class Linked(Actor):
    """Knows its neighbor itself and not by id only: what makes naive pickling nest as deep as the ring is long."""

    neighbor: "Linked"

    def receive(self, message: int) -> None:
        self.world.post(self.neighbor.receive, message + 1, 5, Phase.GOODS)
        self.last = message


def recording_world(**kwargs: Any) -> tuple[World, Recorder]:
    world = World(START, **kwargs)
    return world, world.add(Recorder())


def ring(size: int, tokens: int = 10) -> World:
    world, streams = World(START), Streams(5)
    for k in range(size):
        world.add(Site(f"site-{k}", f"site-{(k + 1) % size}", streams))
    for k in range(tokens):
        world.send(f"site-{k * 7 % size}", 1000 * k, k, Phase.FEED)
    return world


def history(world: World) -> list[Any]:
    return [actor.seen for actor in world.actors.values() if isinstance(actor, Site)]


def test_phases_run_in_their_declared_order_whatever_the_order_of_posting() -> None:
    declared = ["FAULT", "GOODS", "FEED", "COMMAND", "TIMER", "RELEASE", "SHIP", "TELEMETRY"]
    assert [phase.name for phase in sorted(Phase)] == declared
    world, recorder = recording_world()
    for phase in reversed(Phase):
        world.post(recorder.receive, phase.name, 10, phase)
    world.run()
    assert recorder.seen == [(START + 10, name) for name in declared]


def test_what_is_posted_to_a_handler_is_told_in_the_order_in_which_it_comes() -> None:
    world, recorder = recording_world()
    other = world.add(Recorder("other"))
    world.post(recorder.receive, "late", 20, Phase.GOODS)
    world.post(other.receive, "elsewhere", 5, Phase.GOODS)
    world.post(recorder.receive, "early", 10, Phase.GOODS)
    assert world.posted(recorder.receive) == ["early", "late"]
    world.run(world.now + 11)
    assert world.posted(recorder.receive) == ["late"]


def test_time_goes_before_phase() -> None:
    world, recorder = recording_world()
    world.post(recorder.receive, "late fault", 11, Phase.FAULT)
    world.post(recorder.receive, "early telemetry", 10, Phase.TELEMETRY)
    world.run()
    assert [message for _, message in recorder.seen] == ["early telemetry", "late fault"]


def test_what_is_equal_in_time_and_phase_runs_first_in_first_out() -> None:
    world, recorder = recording_world()
    for number in range(200):
        world.post(recorder.receive, number, 10, Phase.GOODS)
    world.run()
    assert [message for _, message in recorder.seen] == list(range(200))


def test_shuffling_permutes_ties_and_nothing_else() -> None:
    def order(seed: int) -> list[Any]:
        world, recorder = recording_world(shuffle=Series(seed, "ties"))
        for number in range(60):
            world.post(recorder.receive, (number % 3, number), number % 3, Phase.COMMAND)
            world.post(recorder.receive, (number % 3, -1), number % 3, Phase.FAULT)
        world.run()
        return [message for _, message in recorder.seen]

    first = order(1)
    plain = sorted(first, key=lambda message: message[0])
    assert [message[0] for message in first] == [message[0] for message in plain]
    for tick in range(3):
        numbers = [number for at, number in first if at == tick]
        assert numbers[:20] == [-1] * 20
        assert sorted(numbers[20:]) != numbers[20:]
        assert sorted(numbers[20:]) == list(range(tick, 60, 3))
    assert order(1) == first
    assert order(2) != first


@pytest.mark.parametrize("delay", [1.0, 0.0, 2.5, True, False, "5", None, -1])
def test_a_delay_that_is_no_whole_number_of_ms_from_0_on_is_refused(delay: Any) -> None:
    world, recorder = recording_world()
    with pytest.raises(PostRefused, match=r"recorder\.receive: a delay"):
        world.post(recorder.receive, "x", delay, Phase.GOODS)
    world.run()
    assert recorder.seen == []


def test_a_phase_that_is_a_bare_number_is_refused() -> None:
    world, recorder = recording_world()
    with pytest.raises(PostRefused, match="20 is no Phase"):
        world.post(recorder.receive, "x", 5, 20)  # type: ignore[arg-type]


class Reposter(Recorder):
    def receive(self, message: tuple[str, int, Phase]) -> None:
        super().receive(message[0])
        _, delay, phase = message
        self.world.post(super().receive, "again", delay, phase)


def test_no_delay_into_an_earlier_phase_is_refused() -> None:
    for phase in Phase:
        world = World(START)
        actor = world.add(Reposter())
        world.post(actor.receive, ("first", 0, phase), 3, Phase.COMMAND)
        if phase < Phase.COMMAND:
            with pytest.raises(PostRefused, match=f"into phase {phase.name} while COMMAND is being executed"):
                world.run(until=START + 10)
        else:
            world.run(until=START + 10)
            assert actor.seen == [(START + 3, "first"), (START + 3, "again")]


def test_an_earlier_phase_one_millisecond_later_is_accepted() -> None:
    world = World(START)
    actor = world.add(Reposter())
    world.post(actor.receive, ("first", 1, Phase.FAULT), 3, Phase.TELEMETRY)
    world.run()
    assert actor.seen == [(START + 3, "first"), (START + 4, "again")]


def test_after_a_run_every_phase_of_the_instant_is_to_come() -> None:
    world, recorder = recording_world()
    world.post(recorder.receive, "ship", 3, Phase.SHIP)
    world.run(until=START + 5)
    world.post(recorder.receive, "fault", 0, Phase.FAULT)
    world.run(until=START + 6)
    assert recorder.seen == [(START + 3, "ship"), (START + 5, "fault")]


def test_a_run_ends_before_what_is_due_at_its_end() -> None:
    world, recorder = recording_world()
    world.post(recorder.receive, "before", 9, Phase.TELEMETRY)
    world.post(recorder.receive, "at", 10, Phase.FAULT)
    world.run(until=START + 10)
    assert (world.now, recorder.seen) == (START + 10, [(START + 9, "before")])
    world.run(until=START + 11)
    assert recorder.seen[-1] == (START + 10, "at")


def test_step_and_run_do_the_same() -> None:
    ran, stepped = ring(7), ring(7)
    ran.run(until=START + 20_000)
    while stepped.peek() < START + 20_000:
        stepped.step()
    assert history(ran) == history(stepped)
    with pytest.raises(simpy.core.EmptySchedule):
        World().step()


@pytest.mark.parametrize("until", [START + 1.5, float(START + 5), True])
def test_a_run_until_no_whole_ms_is_refused(until: Any) -> None:
    with pytest.raises(PostRefused, match="whole number"):
        World(START).run(until)


def test_a_clock_that_would_start_or_run_wrong_is_refused() -> None:
    with pytest.raises(PostRefused):
        World(1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="after now"):
        World(START).run(START)


def test_a_handler_that_runs_the_world_is_refused() -> None:
    world = World()
    world.post(world.run, 10, 1, Phase.GOODS)
    with pytest.raises(RuntimeError, match="running already"):
        world.run(until=5)


def test_actor_ids_are_unique_and_an_actor_has_one_world() -> None:
    world, recorder = recording_world()
    with pytest.raises(ValueError, match="'recorder' already"):
        world.add(Recorder())
    with pytest.raises(ValueError, match="lives in a world"):
        World().add(recorder)


def test_a_message_to_nobody_is_refused_with_the_nearest_id() -> None:
    world, _ = recording_world()
    with pytest.raises(PostRefused, match="did you mean 'recorder'"):
        world.send("recoder", "x", 1, Phase.GOODS)


@pytest.mark.parametrize("size", [300, 1_000])
def test_a_fork_runs_on_as_its_origin(size: int) -> None:
    world = ring(size, tokens=50)
    world.run(until=START + 5_000)
    snapshot = world.snapshot()
    fork, restored = world.fork(), World.restore(snapshot)
    for each in (world, fork, restored):
        each.run(until=START + 60_000)
    assert history(fork) == history(restored) == history(world)
    assert sum(len(seen) for seen in history(world)) > 2_000
    assert fork.snapshot() == restored.snapshot()


def test_a_fork_shares_nothing_with_its_origin() -> None:
    world = ring(10)
    world.run(until=START + 5_000)
    before = history(world.fork())
    fork = world.fork()
    fork.actors["site-3"].stock["sku-1"] = 99  # type: ignore[attr-defined]
    fork.run(until=START + 50_000)
    assert history(world) == before != history(fork)
    assert world.actors["site-3"].stock["sku-1"] == 1  # type: ignore[attr-defined]
    assert all(actor.world is fork for actor in fork.actors.values())


def test_a_shuffled_world_forks_with_its_place_in_the_shuffle() -> None:
    world, _ = recording_world(shuffle=Series(1, "ties"))
    fork = world.fork()
    for each in (world, fork):
        for number in range(50):
            each.send("recorder", number, 1, Phase.GOODS)
        each.run()
    seen = [each.actors["recorder"].seen for each in (world, fork)]  # type: ignore[attr-defined]
    assert seen[0] == seen[1] != []


def test_a_ring_of_actors_that_hold_each_other_forks_at_any_length() -> None:
    world = World()
    actors = [world.add(Linked(f"a{k}")) for k in range(5_000)]
    for k, actor in enumerate(actors):
        actor.neighbor = actors[k - 1]
    world.post(actors[0].receive, 0, 1, Phase.GOODS)
    world.run(until=50)
    fork = world.fork()
    fork.run(until=100)
    neighbor = fork.actors["a0"].neighbor  # type: ignore[attr-defined]
    assert neighbor is fork.actors["a4999"]
    assert neighbor.world is fork


def test_a_subclass_and_what_hangs_on_it_fork_along() -> None:
    world = Business(START)
    world.streams = Streams(8)
    world.ledger = world.add(Recorder("ledger"))
    fork = world.fork()
    assert type(fork) is Business
    assert fork.ledger is fork.actors["ledger"] is not world.ledger
    assert fork.streams.bits("x") == world.streams.bits("x")
    with pytest.raises(ValueError, match="no snapshot of a Business"):
        Business.restore(World().snapshot())


class Business(World):
    streams: Streams
    ledger: Recorder


def test_bytes_that_are_no_snapshot_are_refused() -> None:
    with pytest.raises(ValueError, match="no snapshot"):
        World.restore(pickle.dumps(World()))


def clock(world: World, ticks: list[int]) -> Iterator[simpy.Event]:
    while True:
        yield world.timeout(10)
        ticks.append(world.now)


def test_a_simpy_process_runs_beside_actors_and_goes_first_at_equal_times() -> None:
    world, recorder = recording_world()
    ticks: list[int] = []
    world.process(clock(world, ticks))  # type: ignore[arg-type]
    for _ in range(2):
        world.post(lambda message: recorder.receive((message, len(ticks))), "post", 20, Phase.FAULT)
    store = simpy.Store(world)

    def consumer() -> Iterator[simpy.Event]:
        item = yield store.get()
        recorder.receive(item)

    world.process(consumer())  # type: ignore[arg-type]
    world.post(store.put, "through a store", 25, Phase.SHIP)
    assert world.run(until=world.timeout(35, "done")) == "done"
    assert ticks == [START + 10, START + 20, START + 30]
    assert recorder.seen == [(START + 20, ("post", 2))] * 2 + [(START + 25, "through a store")]
    assert type(world.now) is int


def test_a_process_cannot_reach_back_into_a_phase_that_is_over() -> None:
    world, recorder = recording_world()
    gate = world.event()

    def late() -> Iterator[simpy.Event]:
        yield gate
        world.post(recorder.receive, "late", 0, Phase.COMMAND)

    world.process(late())  # type: ignore[arg-type]
    world.post(gate.succeed, None, 5, Phase.SHIP)
    with pytest.raises(PostRefused, match="COMMAND while SHIP"):
        world.run(until=START + 10)


def test_a_float_timeout_of_a_simpy_process_is_refused() -> None:
    with pytest.raises(PostRefused, match=r"1\.5"):
        World().timeout(1.5)


def test_a_failed_simpy_event_is_raised_and_not_lost() -> None:
    world = World()
    world.event().fail(KeyError("lost parcel"))
    with pytest.raises(KeyError, match="lost parcel"):
        world.run(until=5)


def test_a_world_with_a_process_says_that_it_cannot_be_forked() -> None:
    world, ticks = World(), []  # type: ignore[var-annotated]
    world.process(clock(world, ticks))  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(CannotFork, match="process 'clock' is alive"):
            world.fork()
        with pytest.raises(CannotFork, match="process 'clock' is alive"):
            pickle.dumps(world)
        world.run(until=world.now + 15)


def test_a_process_that_waits_outside_the_queue_is_found_too() -> None:
    world = World()

    def waits_forever() -> Iterator[simpy.Event]:
        yield world.event()

    world.process(waits_forever())  # type: ignore[arg-type]
    for _ in range(500):
        world.process(iter_once(world))  # type: ignore[arg-type]
    world.run(until=5)
    with pytest.raises(CannotFork, match="waits_forever"):
        world.fork()


def iter_once(world: World) -> Iterator[simpy.Event]:
    yield world.timeout(1)


def test_a_world_whose_processes_have_ended_forks_again() -> None:
    world, _ = recording_world()
    world.process(iter_once(world))  # type: ignore[arg-type]
    world.run(until=START + 5)
    assert world.fork().now == START + 5


def test_a_foreign_event_in_the_queue_is_named() -> None:
    world = World()
    world.timeout(7)
    with pytest.raises(CannotFork, match=r"Timeout\(7\).*queued for 7 ms"):
        world.fork()


def test_a_fork_from_inside_a_handler_is_refused() -> None:
    world = World()
    world.post(lambda _: world.fork(), None, 1, Phase.GOODS)
    with pytest.raises(CannotFork, match="between two runs"):
        world.run(until=5)


def test_what_cannot_be_pickled_is_named() -> None:
    world, recorder = recording_world()
    world.add(Recorder("fine"))
    recorder.tally = (number for number in range(3))  # type: ignore[attr-defined]
    with pytest.raises(CannotFork, match="attribute 'tally' of actor 'recorder'"):
        world.fork()
    world, _ = recording_world()
    world.post(lambda message: None, "x", 10, Phase.GOODS)
    with pytest.raises(CannotFork, match=r"the post to .*<lambda> at"):
        world.fork()


def test_a_handler_that_fails_stops_the_run_and_leaves_the_rest_queued() -> None:
    world, recorder = recording_world()
    world.post(recorder.seen.remove, (0, "absent"), 1, Phase.GOODS)
    world.post(recorder.receive, "next", 2, Phase.GOODS)
    with pytest.raises(ValueError, match="not in list"):
        world.run(until=START + 5)
    world.run(until=START + 5)
    assert recorder.seen == [(START + 2, "next")]
