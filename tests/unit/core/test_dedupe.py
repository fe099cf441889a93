"""What duplicates are recognized by, and for how long, where stamps and names are awkward."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.unit.core.given import DAY, Business
from twin.core.commands import AdjustStock, DefinePolicies
from twin.core.dedupe import Seen, command_key, credit_key, remember, was_seen
from twin.core.events import CreditPended, StockAdjusted

SECOND = 1_000


@pytest.mark.parametrize("later", [1, SECOND, 3 * SECOND, 6 * SECOND - 1, 6 * SECOND, DAY])
def test_a_message_stamped_ahead_of_the_clock_is_booked_once(later: int) -> None:  # RC-06
    business = Business({"north": {"a": 9}}, retention_ms=SECOND)
    command = AdjustStock("m", "wms", 5 * SECOND, "north", "a", 2, "found")
    driver = business.driver
    assert driver.handle(command, 0).refusal is None
    for at in range(SECOND, later, SECOND):
        # Other messages, so that old keys are forgotten.
        driver.handle(AdjustStock(f"other/{at}", "wms", at, "north", "b", 1, "found"), at)
    refusal = driver.handle(command, later).refusal
    assert refusal is not None
    assert refusal.code == ("duplicate" if later < 6 * SECOND else "expired")
    assert len([event for event in business.events(StockAdjusted) if event.sku == "a"]) == 1


@given(
    steps=st.lists(st.tuples(st.integers(0, 60), st.integers(-20, 90), st.integers(0, 5)), max_size=60),
    retention=st.integers(1, 50),
)
def test_a_key_is_known_for_the_retention_after_its_stamp(steps: list[tuple[int, int, int]], retention: int) -> None:
    seen = Seen()
    accepted: dict[str, int] = {}
    now = 0
    for passed, ahead, number in steps:
        now += passed
        key = f"k{number}"
        known = key in accepted and now - accepted[key] < retention
        assert was_seen(seen, key, now, retention) == known
        if not known:
            remember(seen, key, now, retention, now + ahead)
            accepted[key] = max(now, now + ahead)


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 60), st.integers(0, 5), st.sampled_from((2, 9, 40))), max_size=80
    )
)
def test_no_message_is_taken_twice_though_the_retention_changes(steps: list[tuple[int, int, int, int]]) -> None:
    seen = Seen()
    taken: dict[str, int] = {}
    now = 1_000
    for passed, age, number, retention in steps:
        now += passed
        # The same message has the same stamp however often it comes.
        stamped = taken.get(f"k{number}", now - age)
        key = f"k{number}"
        new = not was_seen(seen, key, now, retention) and now - stamped < retention and stamped > seen.forgotten
        assert not (new and key in taken)
        if new:
            remember(seen, key, now, retention, stamped)
            taken[key] = stamped


def test_a_retention_made_longer_and_one_made_shorter_double_nothing() -> None:  # RC-06
    business = Business({"north": {"a": 9}}, retention_ms=10 * SECOND)
    driver = business.driver
    early = AdjustStock("early", "wms", 0, "north", "a", 2, "found")
    late = AdjustStock("late", "wms", 18 * SECOND, "north", "a", 3, "found")

    def keep(id: str, at: int, retention_ms: int) -> None:
        policies = replace(driver.engine.state.policies, retention_ms=retention_ms)
        assert driver.handle(DefinePolicies(id, "test", at, policies), at).refusal is None

    assert driver.handle(early, 0).refusal is None
    for at in range(SECOND, 18 * SECOND, SECOND):
        driver.handle(AdjustStock(f"other/{at}", "wms", at, "north", "b", 1, "found"), at)
    assert driver.handle(late, 18 * SECOND).refusal is None
    keep("shorter", 19 * SECOND, 4 * SECOND)
    again = driver.handle(late, 20 * SECOND).refusal
    assert again is not None and again.code == "duplicate"
    keep("longer", 21 * SECOND, DAY)
    again = driver.handle(early, 22 * SECOND).refusal
    assert again is not None and again.code == "expired"
    assert len([event for event in business.events(StockAdjusted) if event.sku == "a"]) == 2


def test_keys_stamped_ahead_leave_memory_once_they_are_past() -> None:
    seen = Seen()
    for number in range(1_000):
        remember(seen, f"k{number}", number, 10, number + 5)
    assert len(seen.young) + len(seen.old) + len(seen.ahead) <= 30


def test_a_separator_in_a_name_makes_no_two_messages_one() -> None:
    business = Business({"north": {"a": 9}})
    command = business.adjust(1)
    business.accept(replace(command, source="wms|1", id="2"))
    business.accept(replace(command, source="wms", id="1|2"))
    assert business.cell().free == 11


def test_a_message_and_a_credit_note_never_share_a_key() -> None:
    business = Business({"north": {"a": 2}})
    business.accept(business.capture([("a", 2)]))
    business.accept(replace(business.adjust(1), source="", id="credit|c1"))
    business.accept(business.credit(1))
    assert [pended.credit for pended in business.events(CreditPended)] == ["c1"]


@given(st.lists(st.tuples(st.text("1|a", max_size=4), st.text("1|a", max_size=4)), max_size=20))
def test_every_message_has_a_key_of_its_own(names: list[tuple[str, str]]) -> None:
    keys = dict.fromkeys([command_key(*name) for name in names])
    assert len(keys) == len(dict.fromkeys(names))
    assert not [name for name in names if credit_key(name[0]) in keys]
