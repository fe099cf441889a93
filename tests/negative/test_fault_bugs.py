"""Bugs planted in faults and interfaces one at a time: the test of the rule that each breaks must fail."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from tests.world import test_fault_times as times
from tests.world import test_faults as kinds
from tests.world import test_interface as queues
from tests.world import test_interface_styles as styles
from tests.world.faulty import fault
from twin.core.commands import External
from twin.core.effects import AskOrderFacts, Delivery
from twin.world.business import Business
from twin.world.exposed import Exposed
from twin.world.faults import Fault, TokenBucket, Touched
from twin.world.interface import Interface
from twin.world.kernel import Phase
from twin.world.party import Party

Patch = pytest.MonkeyPatch


def luck_in_the_order_of_passing(patch: Patch) -> None:
    passed = count()

    def hits(fault: Fault, world: object, since: int, message: Touched) -> bool:
        return next(passed) * 7919 % 1_000_000 < fault.ppm

    patch.setattr(Fault, "hits", hits)


def luck_shared_by_all_faults(patch: Patch) -> None:
    def hits(fault: Fault, world: Business, since: int, message: Touched) -> bool:
        return world.streams.bits("fault", message.key, message.attempt) * 1_000_000 < fault.ppm << 64

    patch.setattr(Fault, "hits", hits)


def a_hit_where_the_probability_is_zero(patch: Patch) -> None:
    hits = Fault.hits

    def always(fault: Fault, world: Business, since: int, message: Touched) -> bool:
        return not fault.ppm or hits(fault, world, since, message)

    patch.setattr(Fault, "hits", always)


def calls_begun_before_all_changes_are_known(patch: Patch) -> None:
    heal = Interface.heal

    def at_once(interface: Interface, over: Fault) -> None:
        heal(interface, over)
        interface.resume(None)

    patch.setattr(Interface, "heal", at_once)


def workers_that_hang_for_ever(patch: Patch) -> None:
    patch.setattr(Interface, "thaw", lambda interface, message: None)


def calls_set_aside_and_never_taken_up(patch: Patch) -> None:
    patch.setattr(Interface, "resume", lambda interface, message: interface._dispatch())


def every_message_taken_for_an_answer(patch: Patch) -> None:
    send_back = Exposed.send_back

    stray = Delivery("stray", "warehouse/main", AskOrderFacts("c", "o", 1, 1), "stray")

    def mixed_up(interface: Exposed, command: External, phase: Phase, call: Delivery | None, delay: int = 0) -> None:
        send_back(interface, command, phase, call or stray, delay)

    patch.setattr(Exposed, "send_back", mixed_up)


def a_memory_that_ignores_its_setting(patch: Patch) -> None:
    accept = Party.accept

    def long_memory(party: Party, delivery: Delivery) -> bool:
        party.dedupe_ms = 30 * 86_400_000
        return accept(party, delivery)

    patch.setattr(Party, "accept", long_memory)


def a_bucket_that_fills_at_once(patch: Patch) -> None:
    take = TokenBucket.take

    def generous(bucket: TokenBucket, now: int) -> int:
        bucket.level = -1
        return take(bucket, now)

    patch.setattr(TokenBucket, "take", generous)


def an_event_answered_when_done(patch: Patch) -> None:
    build = Exposed.__init__

    def synchronous(interface: Exposed, id: str, party: str, *, asynchronous: bool) -> None:
        build(interface, id, party, asynchronous=False)

    patch.setattr(Exposed, "__init__", synchronous)


def a_touching_outage() -> None:
    queues.test_no_call_slips_between_two_outages_that_touch(swap=False, seed=None)


def zero_size() -> None:
    untouched = kinds.entries(kinds.story(kinds.buying(interfaces=[])))
    kinds.test_a_fault_of_size_zero_leaves_the_entries_byte_identical(fault("loss", probability="0%"), untouched)


def too_short_a_memory() -> None:
    kinds.test_a_memory_shorter_than_the_retry_doubles_a_purchase("off", 1)


def an_event() -> None:
    styles.test_a_synchronous_call_is_answered_when_done_and_an_event_when_taken("event", 1_002)


CASES: list[tuple[Callable[[Patch], None], Callable[[], None]]] = [
    (luck_in_the_order_of_passing, times.test_another_fault_leaves_the_draws_of_a_fault_as_they_were),
    (luck_shared_by_all_faults, times.test_two_faults_of_the_same_size_hit_independently),
    (a_hit_where_the_probability_is_zero, zero_size),
    (calls_begun_before_all_changes_are_known, a_touching_outage),
    (workers_that_hang_for_ever, kinds.test_workers_that_hang_keep_their_calls_until_the_end_of_the_fault),
    (calls_set_aside_and_never_taken_up, kinds.test_an_endpoint_is_down_and_the_others_at_the_interface_go_on),
    (every_message_taken_for_an_answer, kinds.test_a_ship_notice_tells_what_a_lost_answer_would_have),
    (a_memory_that_ignores_its_setting, too_short_a_memory),
    (a_bucket_that_fills_at_once, kinds.test_beyond_the_rate_calls_are_told_when_to_come_back),
    (an_event_answered_when_done, an_event),
]


@pytest.mark.parametrize(("plant", "check"), CASES, ids=[plant.__name__ for plant, _ in CASES])
def test_a_planted_bug_is_caught_and_its_absence_is_not(
    plant: Callable[[Patch], None], check: Callable[[], None], monkeypatch: Patch
) -> None:
    check()
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        check()
