"""Bugs planted in the send queue, one at a time: a checker that lets one of them through is no checker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.negative.test_planted_engine_bugs import CHECKERS, Patch, by
from tests.properties.harness import Caught
from tests.unit.core.given import HOUR, MINUTE, Business, delivery_policies
from twin.core import delivery, fold_deliveries, sending
from twin.core.draft import Draft
from twin.core.events import BreakerOpened
from twin.core.master import BreakerPolicy, Pool
from twin.core.state import OpenDelivery, State

Plant = Callable[[Patch], None]
RULES = BreakerPolicy(window=4, minimum=4, open_ms=MINUTE, trials=1, holds=True)


def story() -> Business:
    """Orders through a queue with every limit, an outage that opens the breaker, and the drain after it."""
    policies = delivery_policies(
        acknowledge=True,
        timeout_ms=MINUTE,
        backoff_ms=0,
        retries=9,
        deadline_ms=90 * HOUR,
        bulkhead=2,
        pool="senders",
        breaker=RULES,
        drain_us=1_000_000,
        in_order=True,
        bound=20,
    )
    business = Business({"north": {"a": 60}}, delivery=policies, pools=(Pool("senders", 3),))
    for number in range(1, 9):
        business.accept(business.capture([("a", 1)], order=f"o{number}"))
    # Four attempts time out: the breaker opens and holds the rest, tries after a minute, and all of it drains.
    business.wait(2 * MINUTE)
    for _ in range(40):
        for key, opened in list(business.state.deliveries.items()):
            if opened.stage == "in_flight":
                business.accept(business.acknowledge(key))
        business.wait(10_000)
    assert not business.state.deliveries
    return business


def test_without_a_planted_bug_no_checker_complains() -> None:
    business = story()
    assert business.events(BreakerOpened)
    assert [sender.in_flight for sender in business.state.senders.values()] == [0]


def forget_to_free_the_place(patch: Patch) -> None:
    original = fold_deliveries.delivery_succeeded

    def fold(state: State, event: Any, now: int) -> None:
        gateway = state.deliveries[event.delivery].delivery.gateway
        original(state, event, now)
        state.senders[gateway].in_flight += 1

    patch.setitem(_folds(), _event("DeliverySucceeded"), fold)


def lose_what_waits(patch: Patch) -> None:
    patch.setattr(fold_deliveries, "joined", lambda state, opened: sending.sender_of(state, opened.delivery.gateway))


def keep_in_the_queue_what_was_sent(patch: Patch) -> None:
    patch.setattr(sending, "left_queue", lambda state, opened: None)


def send_without_saying_so(patch: Patch) -> None:
    original = sending.dispatch

    def dispatch(state: State, desk: str, now: int, draft: Draft) -> None:
        original(state, desk, now, draft)
        draft.events[:] = [event for event in draft.events if type(event).__name__ != "DeliveryDispatched"]

    patch.setattr(sending, "dispatch", dispatch)


def say_so_without_sending(patch: Patch) -> None:
    original = sending.dispatch

    def dispatch(state: State, desk: str, now: int, draft: Draft) -> None:
        original(state, desk, now, draft)
        draft.deliveries.clear()

    patch.setattr(sending, "dispatch", dispatch)


def queue_a_retry_twice(patch: Patch) -> None:
    original = delivery.hand_over

    def twice(policy: Any, again: Any, now: int, draft: Draft) -> None:
        original(policy, again, now, draft)
        original(policy, again, now, draft)

    patch.setattr(delivery, "hand_over", twice)


def serve_the_youngest_first(patch: Patch) -> None:
    original = sending._rank

    def rank(opened: OpenDelivery, policy: Any) -> tuple[int, int, str]:
        first, since, key = original(opened, policy)
        return first, -since, key

    # Only where it joins, so that the queue no longer is in the order that it should be in.
    patch.setattr(sending, "insort", lambda queue, row: queue.insert(0, row))
    patch.setattr(sending, "_rank", rank)


def _folds() -> dict[type, Any]:
    from twin.core import engine

    return engine._FOLDS


def _event(name: str) -> type:
    from twin.core import events

    found: type = getattr(events, name)
    return found


CAUGHT: list[tuple[Plant, tuple[str, ...]]] = [
    (forget_to_free_the_place, ("invariants",)),
    (lose_what_waits, ("invariants",)),
    (keep_in_the_queue_what_was_sent, ("invariants",)),
    (send_without_saying_so, ("auditor",)),
    (say_so_without_sending, ("auditor",)),
    (serve_the_youngest_first, ("invariants",)),
]


@pytest.mark.parametrize(("plant", "checker"), [(plant, checker) for plant, checkers in CAUGHT for checker in checkers])
def test_each_checker_alone_catches_the_bugs_it_is_there_for(plant: Plant, checker: str, monkeypatch: Patch) -> None:
    plant(monkeypatch)
    assert checker in CHECKERS
    assert by(checker, story, monkeypatch)


def test_a_retry_that_is_queued_twice_is_caught(monkeypatch: Patch) -> None:
    queue_a_retry_twice(monkeypatch)
    with pytest.raises(Exception, match="queued") as caught:
        story()
    assert isinstance(caught.value, Caught) or type(caught.value).__name__ == "CorruptLog"
