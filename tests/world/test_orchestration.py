"""The orchestration's clock: one armed post, wakes at the right ms, and forks that run on alike."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from tests.world.small import small
from tests.world.stage import DAY, HOUR, MINUTE, SECOND, Stage, tiny
from twin.codec import encode_state
from twin.core.commands import Wake
from twin.core.events import DeliveryFailed, DeliveryRetried
from twin.core.timers import next_due
from twin.driver import Driver
from twin.ports import Gateway
from twin.world.kernel import Actor
from twin.world.orchestration import Orchestration


def armed(stage: Stage) -> list[int]:
    """Instants of the posts that would wake the engine, those overtaken left out."""
    orchestration = stage.world.orchestration
    return [at for at in _wakes(stage) if at == orchestration.armed_at]


def test_while_a_timer_is_set_exactly_one_post_is_armed_for_the_earliest() -> None:
    stage = Stage(small(), seed=3)
    end = stage.scenario.run.start + 2 * DAY
    seen = 0
    while stage.world.peek() < end:
        stage.world.step()
        due = next_due(stage.state.timers)
        if due is not None:
            seen += 1
            # A timer that was settled may leave a post that is too early, never one that is too late.
            assert len(armed(stage)) == 1
            assert armed(stage)[0] <= max(due[0], stage.world.now)
    assert seen > 500


def test_what_was_overtaken_is_armed_again_and_not_posted_again() -> None:
    # A closing four weeks off is the next timer again and again: a post each time would fill the memory.
    stage = Stage(small(), seed=3)
    for day in range(1, 7):
        stage.run(day * DAY)
        wakes = _wakes(stage)
        assert len(dict.fromkeys(wakes)) == len(wakes) <= 3


def _wakes(stage: Stage) -> list[int]:
    return [at for at, _, _, handler, _ in stage.world.posts() if handler == stage.world.orchestration.wake]


def test_overtaken_posts_do_nothing() -> None:
    stage = Stage(tiny())
    orchestration = stage.world.orchestration
    stage.order("o1", hold=True)
    stage.run(HOUR)
    before = stage.log.position
    for at in (1, 2, 3):
        orchestration.wake(stage.world.now + at)
    assert stage.log.position == before
    stage.run(5 * DAY)
    assert [entry for entry in stage.log.entries if entry.refusal is not None] == []


def test_every_timer_is_fed_at_its_own_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[tuple[str, int]] = []
    fed = 0
    original = Driver._step

    def step(driver: Driver, command: Any, now: int) -> Any:
        nonlocal fed
        if isinstance(command, Wake):
            fed += 1
            due = driver.engine.state.timers.due[command.key]
            if due != now:
                late.append((command.key, now - due))
        return original(driver, command, now)

    monkeypatch.setattr(Driver, "_step", step)
    stage = Stage(small(), seed=3)
    stage.run(4 * DAY)
    assert fed > 100
    assert late == []


class Dead:
    """A gateway whose counterpart never answers."""

    def submit(self, delivery: object) -> None:
        """Swallow it."""


def test_a_timeout_and_its_retry_come_when_the_policy_says() -> None:
    policy = {"timeout": "30s", "retries": {"max": 2, "backoff": "5s", "jitter": "none"}}
    stage = Stage(tiny({"policies": {"delivery": {"erp": policy}}}))
    silent: dict[str, Gateway] = {**stage.driver.gateways, "erp": Dead()}
    stage.driver.gateways = silent
    stage.order("o1")
    stage.run(HOUR)
    asked = stage.since_start(next(entry.now for entry, sent in stage.deliveries() if sent.gateway == "erp"))
    assert [at - asked for at, _ in stage.events(DeliveryFailed)] == [30 * SECOND, 65 * SECOND]
    assert [at - asked for at, _ in stage.events(DeliveryRetried)] == [35 * SECOND, 75 * SECOND]
    # Given up for good, it waits in sight.
    assert list(stage.state.dead_letters) == ["INV/o1/main/1/s"]
    assert stage.state.deliveries == {}


def test_an_orchestration_without_a_driver_says_so() -> None:
    with pytest.raises(RuntimeError, match="no driver is attached"):
        _ = Orchestration("engine").driver


# --- forks


@pytest.mark.parametrize("at", [7 * HOUR, DAY + 11 * HOUR + 17 * MINUTE, 3 * DAY])
def test_a_fork_of_a_running_business_runs_on_as_the_original_would(at: int) -> None:  # RC-07
    stage = Stage(small(), seed=11)
    stage.run(at)
    position = stage.log.position
    fork = stage.fork()
    for one in (stage, fork):
        one.run(6 * DAY)
    assert fork.log.position > position + 100
    assert fork.log.entries == stage.log.entries[position:]
    assert (fork.log.digest, fork.truth.digest) == (stage.log.digest, stage.truth.digest)
    assert encode_state(fork.state) == encode_state(stage.state)


def test_a_fork_shares_nothing_with_its_original() -> None:
    stage = Stage(small(), seed=11)
    stage.run(DAY)
    fork, untouched = stage.fork(), stage.fork()
    fork.run(4 * DAY)
    fork.warehouse("north").shelf.clear()
    stage.run(4 * DAY)
    untouched.run(4 * DAY)
    assert untouched.log.digest == stage.log.digest
    assert untouched.truth.digest == stage.truth.digest


def test_a_fork_may_go_another_way_from_its_instant_on() -> None:
    stage = Stage(tiny())
    stage.order("o1", {"mug": 10}, at=HOUR)
    stage.run(DAY)
    fork = stage.fork()
    fork.order("o2", {"mug": 5}, at=DAY + HOUR)
    for one in (stage, fork):
        one.run(3 * DAY)
    assert (stage.physical(), fork.physical()) == (190, 185)


# --- what parties have to do with each other


def _content(actor: Actor) -> bytes:
    left_out = ("world", "config", "_driver")
    state = {name: value for name, value in actor.__dict__.items() if name not in left_out}
    return pickle.dumps(state, protocol=5)


def test_no_party_writes_into_another_but_by_messages_and_goods() -> None:
    scenario = small({"run": {"horizon": "1d", "drain": "1d"}, "assortment": {"count": 40}})
    stage = Stage(scenario, seed=3)
    actors = list(stage.world.actors.values())
    contents = {actor.id: _content(actor) for actor in actors}
    end, changed = scenario.run.start + 2 * DAY, 0
    while stage.world.peek() < end:
        owner = stage.world.posts()[0][3].__self__.id  # type: ignore[attr-defined]
        stage.world.step()
        for actor in actors:
            content = _content(actor)
            if content != contents[actor.id]:
                assert actor.id == owner, f"a step of {owner} changed {actor.id}"
                contents[actor.id] = content
                changed += 1
    assert changed > 100
