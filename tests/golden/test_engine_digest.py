"""The same story gives the same log, to the byte: twice in a process, and under any hash seed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.golden.engine_story import tell
from tests.properties.auditor import audit
from tests.properties.harness import digest
from tests.unit.core.given import Business
from twin.core import events as e
from twin.core.invariants import violations

TOLD = "from tests.golden.engine_story import tell\nprint(*(line.hex() for line in tell().journal.lines), sep='\\n')"


@pytest.fixture(scope="module")
def story() -> Business:
    return tell()


def first_difference(one: list[bytes], other: list[bytes]) -> str:
    """Where two logs part, in words."""
    for position, (left, right) in enumerate(zip(one, other, strict=False), start=1):
        if left != right:
            return f"entry {position}:\n{left.decode()}\n{right.decode()}"
    return f"one log has {len(one)} entries, the other {len(other)}" if len(one) != len(other) else ""


def test_the_story_meets_what_it_is_meant_to_meet_and_its_books_are_right(story: Business) -> None:
    met = {type(event) for entry in story.journal.read(0) for event in entry.events}
    for kind in (
        e.UnitsShorted,
        e.ReservationExpired,
        e.OrderCancelled,
        e.CreditIssued,
        e.CreditReferred,
        e.DeliveryRetried,
        e.DeliveryRedriven,
        e.PurchaseOrderRejected,
        e.GoodsReceived,
        e.StockCounted,
        e.OrderClosed,
    ):
        assert kind in met, f"{kind.__name__} never happened"
    assert violations(story.state) == []
    assert audit(story.journal.read(0), story.state) == []


def test_the_same_story_twice_in_a_process_is_the_same_log(story: Business) -> None:
    again = tell()
    assert first_difference(story.journal.lines, again.journal.lines) == ""
    assert digest(story.journal) == digest(again.journal)


@pytest.mark.parametrize("hash_seed", [0, 1, 12_345])
def test_the_same_story_under_another_hash_seed_is_the_same_log(
    story: Business, fresh_python: Callable[..., str], hash_seed: int
) -> None:
    lines = [bytes.fromhex(line) for line in fresh_python(TOLD, hash_seed=hash_seed).split()]
    assert first_difference(story.journal.lines, lines) == ""
