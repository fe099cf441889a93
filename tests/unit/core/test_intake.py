"""What comes in: duplicates, what is too old, what is unknown, clocks that run back, and the bytes of the log."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.properties.harness import MemoryJournal, Outbox, fold
from tests.unit.core.given import DAY, HOUR, Business, delivery_policies, rule
from twin.codec import CodecError, decode_entry, decode_state, encode_entry, encode_state
from twin.core import commands as c
from twin.core.calendar import ALWAYS_OPEN
from twin.core.dedupe import Seen, remember, was_seen
from twin.core.engine import Engine
from twin.core.master import Channel, Item, Lane, Policies, Replenishment, Supplier, Warehouse
from twin.core.timers import Timers, cancel_timer, next_due, set_timer
from twin.driver import Driver, NoGateway
from twin.ports import JournalConflict


def test_a_duplicate_is_refused_and_changes_nothing() -> None:  # RC-06
    business = Business({"north": {"a": 9}})
    command = business.capture([("a", 2)])
    business.accept(command)
    before = encode_state(replace(business.state, position=0))
    assert business.refused(command) == "duplicate"
    assert business.refused(replace(command, order="another")) == "duplicate"
    assert encode_state(replace(business.state, position=0)) == before


def test_the_same_id_from_another_source_is_another_message() -> None:
    business = Business({"north": {"a": 9}})
    command = business.capture([("a", 2)])
    business.accept(command)
    business.accept(replace(command, source="another shop", order="o2"))


def test_a_refused_command_may_be_sent_again() -> None:
    business = Business({"north": {"a": 9}})
    command = business.hold()
    assert business.refused(command) == "unknown_order"
    business.accept(business.capture())
    business.accept(command)


@pytest.mark.parametrize(
    ("later", "code"), [(0, "duplicate"), (2 * HOUR - 1, "duplicate"), (2 * HOUR, "expired"), (DAY, "expired")]
)
def test_a_duplicate_is_known_for_the_retention_and_too_old_after_it(later: int, code: str) -> None:
    business = Business({"north": {"a": 9}}, retention_ms=2 * HOUR)
    command = business.capture()
    business.accept(command)
    for _ in range(later // HOUR):
        business.wait(HOUR)
        business.load("south", {"d": 1})
    business.wait(later % HOUR)
    assert business.refused(command) == code


def test_a_command_older_than_the_retention_is_refused() -> None:
    business = Business({"north": {"a": 9}}, retention_ms=HOUR)
    command = business.capture()
    business.wait(HOUR - 1)
    business.accept(command)
    late = business.capture(order="o2")
    business.wait(HOUR)
    assert business.refused(late) == "expired"


@given(
    steps=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5)), max_size=60),
    retention=st.integers(1, 50),
)
def test_keys_are_remembered_exactly_for_the_retention(steps: list[tuple[int, int]], retention: int) -> None:
    seen = Seen()
    accepted: dict[str, int] = {}
    now = 0
    for ahead, number in steps:
        now += ahead
        key = f"k{number}"
        known = key in accepted and now - accepted[key] < retention
        assert was_seen(seen, key, now, retention) == known
        if not known:
            remember(seen, key, now, retention)
            accepted[key] = now
    held = {**seen.old, **seen.young}
    assert all(now - at < 3 * retention + 60 for at in held.values())


def test_old_keys_leave_memory() -> None:
    seen = Seen()
    for number in range(1_000):
        remember(seen, f"k{number}", number, 10)
    assert len(seen.young) + len(seen.old) <= 20


def test_time_that_runs_back_is_refused() -> None:
    business = Business({"north": {"a": 9}})
    business.wait(100)
    business.accept(business.capture())
    outcome = business.driver.engine.decide(business.capture(order="o2"), 99)
    assert outcome.refusal is not None and outcome.refusal.code == "time_runs_back"
    assert business.driver.handle(business.capture(order="o2"), 50).now == 100


def test_a_timer_that_is_not_due_is_refused() -> None:
    business = Business({"north": {"a": 9}}, reservation_expiry_ms=HOUR)
    business.accept(business.capture(hold=True))
    for key, now in (("reservation/o1", HOUR - 1), ("nothing/1", DAY)):
        outcome = business.driver.engine.decide(c.Wake(key), now)
        assert outcome.refusal is not None and outcome.refusal.code == "not_due"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"channel": "nothing"}, "unknown_channel"),
        ({"region": "nowhere"}, "unknown_region"),
        ({"lines": ()}, "no_lines"),
        ({"lines": (c.OrderLine(1, "a", 1, 1), c.OrderLine(1, "a", 1, 1))}, "line_repeated"),
        ({"lines": (c.OrderLine(1, "a", 0, 1),)}, "quantity"),
        ({"lines": (c.OrderLine(1, "a", -2, 1),)}, "quantity"),
        ({"lines": (c.OrderLine(1, "a", 1, -1),)}, "price"),
        ({"lines": (c.OrderLine(1, "zzz", 1, 1),)}, "unknown_item"),
        ({"criticality": "Z"}, "criticality"),
    ],
)
def test_an_order_that_cannot_be_is_refused_whole(change: dict[str, Any], code: str) -> None:
    business = Business({"north": {"a": 9}})
    assert business.refused(replace(business.capture(), **change)) == code
    assert business.state.orders == {}


def test_an_open_order_s_id_is_taken() -> None:
    business = Business({"north": {"a": 9}})
    business.accept(business.capture())
    assert business.refused(business.capture()) == "order_exists"


def test_an_order_of_its_own_class_goes_before_its_channel_s() -> None:
    business = Business({"north": {"a": 0}})
    business.accept(business.capture())
    business.accept(business.capture(order="o2", criticality="A"))
    assert [waiting.order for waiting in business.cell().waiting] == ["o2", "o1"]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (c.DefineNetwork("x", "t", 0, "USD"), "currency"),
        (c.DefineNetwork("x", "t", 0, "EUR", lanes=(Lane("nowhere", "near", "van", 1),)), "unknown_node"),
        (c.DefineNetwork("x", "t", 0, "EUR", warehouses=(Warehouse("a/b", ALWAYS_OPEN),)), "id"),
        (c.DefineNetwork("x", "t", 0, "EUR", suppliers=(Supplier("", ALWAYS_OPEN),)), "id"),
        (c.DefineNetwork("x", "t", 0, "EUR", channels=(Channel("web", "ecommerce", "Z"),)), "criticality"),
        (c.DefineItems("x", "t", 0, (Item("a/b", 1, 1),)), "sku"),
        (c.DefineItems("x", "t", 0, (Item("", 1, 1),)), "sku"),
        (c.DefinePolicies("x", "t", 0, Policies(sourcing=("luck",))), "unknown_rule"),
        (c.DefinePolicies("x", "t", 0, Policies(ranking=("north", "north"))), "ranking"),
        (c.DefinePolicies("x", "t", 0, Policies(batch=0)), "batch"),
        (c.DefinePolicies("x", "t", 0, Policies(retention_ms=0)), "retention"),
        (c.DefineReplenishment("x", "t", 0, (rule("nowhere", "a", "to_order"),)), "unknown_node"),
        (c.DefineReplenishment("x", "t", 0, (rule("north", "z", "to_order"),)), "unknown_item"),
        (c.DefineReplenishment("x", "t", 0, (Replenishment("north", "a", "nobody", "to_order"),)), "unknown_supplier"),
        (c.DefineReplenishment("x", "t", 0, (rule("north", "a", "luck"),)), "kind"),
        (c.DefineReplenishment("x", "t", 0, (rule("north", "a", "min_max", minimum=3, maximum=3),)), "maximum"),
        (c.DefineReplenishment("x", "t", 0, (rule("north", "a", "reorder_point", quantity=0),)), "quantity"),
        (c.DefineReplenishment("x", "t", 0, (rule("north", "a", "to_order", review_ms=-1),)), "time"),
        (c.LoadStock("x", "t", 0, "nowhere", ()), "unknown_node"),
        (c.LoadStock("x", "t", 0, "north", (c.StockLine("z", 1),)), "unknown_item"),
        (c.LoadStock("x", "t", 0, "north", (c.StockLine("a", -1),)), "quantity"),
        (c.AdjustStock("x", "t", 0, "nowhere", "a", 1, "found"), "unknown_stock"),
        (c.AdjustStock("x", "t", 0, "north", "z", 1, "found"), "unknown_stock"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_definition_that_cannot_be_is_refused(command: Any, code: str) -> None:
    assert Business().refused(command) == code


def test_what_is_unknown_is_refused_by_name() -> None:
    business = Business()
    for command, code in (
        (business.ship("nothing", []), "unknown_fulfillment_order"),
        (business.pick(fulfillment="nothing"), "unknown_fulfillment_order"),
        (business.milestone(shipment="nothing"), "unknown_shipment"),
        (business.cancel(order="nothing"), "unknown_order"),
        (business.acknowledge("nothing"), "unknown_delivery"),
        (business.confirm("nothing"), "unknown_delivery"),
    ):
        entry = business.tell(command)
        assert entry.refusal is not None and entry.refusal.code == code
        assert "nothing" in entry.refusal.text


def test_an_adjustment_of_an_item_never_held_makes_its_stock() -> None:
    business = Business()
    business.accept(business.adjust(3, "south", "d"))
    business.accept(business.capture([("d", 2)]))
    assert business.units() == {"released": 2}


def test_every_state_change_names_its_source_its_cause_and_its_time() -> None:  # GV-07 IM-03
    business = Business({"north": {"a": 3}})
    business.accept(replace(business.capture(), causation="click"))
    for entry in business.journal.read(0):
        command = entry.command
        assert isinstance(command, c.Wake) or (command.id and command.source)
    assert any(getattr(entry.command, "causation", "") == "click" for entry in business.journal.read(0))


def test_a_log_folds_to_the_same_state_and_asks_nothing_twice() -> None:  # RC-07
    business = Business({"north": {"a": 3}}, [rule("north", "a", "min_max", minimum=1, maximum=5)])
    business.accept(business.capture([("a", 4)]))
    business.accept(business.ship())
    business.journal.mark_submitted(len(business.journal.lines))
    outbox = Outbox()
    driver = Driver(business.journal, {"warehouse": outbox, "supplier": outbox, "erp": outbox})
    assert driver.recover() == 0
    assert outbox.sent == []
    assert encode_state(driver.engine.state) == encode_state(business.state)


def test_a_crash_before_submitting_hands_the_same_keys_over_again() -> None:  # RC-07
    business = Business({"north": {"a": 3}}, delivery=delivery_policies(acknowledge=True))
    mark = business.journal.submitted()
    business.accept(business.capture([("a", 3)]))
    business.journal.mark_submitted(mark)
    outbox = Outbox()
    driver = Driver(business.journal, {"warehouse": outbox})
    assert driver.recover() == 1
    assert [delivery.key for delivery in outbox.sent] == [delivery.key for delivery in business.outbox.sent]
    assert business.journal.submitted() == len(business.journal.lines)


def test_a_command_never_shares_its_instant_with_a_timer_fed_at_it() -> None:
    business = Business({"north": {"a": 3}}, reservation_expiry_ms=HOUR)
    business.accept(business.capture(hold=True))
    business.wait(HOUR)
    assert business.driver.handle(business.release_hold(), HOUR).now == HOUR + 1


def test_a_party_that_nobody_plays_stops_the_driver() -> None:
    business = Business({"north": {"a": 3}})
    driver = Driver(MemoryJournal(), {}, fold(business.journal))
    driver.journal.append(tuple(business.journal.read(0)), 0)
    with pytest.raises(NoGateway, match="warehouse/north"):
        driver.handle(business.capture(), 5)


@pytest.mark.parametrize("together", [False, True])
def test_after_a_failed_hand_over_only_a_recovery_goes_on_and_it_loses_no_delivery(together: bool) -> None:  # RC-07
    business = Business({"north": {"a": 3}, "south": {"b": 3}}, delivery=delivery_policies(acknowledge=True))
    outbox = Outbox()
    driver = Driver(business.journal, {"warehouse/south": outbox})
    driver.recover()
    first, second = business.capture([("a", 1)]), business.capture([("b", 1)], order="o2")

    def handle(command: c.External) -> None:
        if together:
            driver.handle_many([(command, 5)])
        else:
            driver.handle(command, 5)

    with pytest.raises(NoGateway):
        handle(first)
    stored = len(business.journal.lines)
    with pytest.raises(JournalConflict):
        handle(second)
    with pytest.raises(NoGateway):
        driver.recover()
    with pytest.raises(JournalConflict):
        handle(second)
    assert len(business.journal.lines) == stored
    assert business.journal.submitted() < stored

    driver.gateways = {"warehouse": outbox}
    assert driver.recover() == 1
    handle(second)
    assert [delivery.gateway for delivery in outbox.sent] == ["warehouse/north", "warehouse/south"]
    assert business.journal.submitted() == len(business.journal.lines)


def test_a_gateway_is_found_by_its_full_name_before_its_kind() -> None:
    business = Business({"north": {"a": 3}, "south": {"b": 1}})
    special = Outbox()
    business.driver.gateways = {**business.driver.gateways, "warehouse/north": special}
    business.accept(business.capture([("a", 1), ("b", 1)]))
    assert [delivery.gateway for delivery in special.sent] == ["warehouse/north"]
    assert [delivery.gateway for delivery in business.outbox.sent] == ["warehouse/south"]


def test_a_snapshot_goes_on_as_the_engine_it_was_taken_from() -> None:
    business = Business({"north": {"a": 3}}, [rule("north", "a", "to_order")], reservation_expiry_ms=HOUR)
    business.accept(business.capture([("a", 5)], hold=True))
    copy = Engine(decode_state(encode_state(business.state)))
    command = business.release_hold()
    entry = business.accept(command)
    outcome = copy.decide(command, entry.now)
    assert (outcome.events, outcome.deliveries) == (entry.events, entry.deliveries)


def test_entries_and_snapshots_that_cannot_be_read_say_so() -> None:
    business = Business()
    entry = next(business.journal.read(0))
    assert decode_entry(encode_entry(entry)) == entry
    with pytest.raises(CodecError):
        decode_entry(b'{"position": 1}')
    with pytest.raises(CodecError):
        decode_state(b"not a snapshot")
    with pytest.raises(CodecError, match="format"):
        decode_state(encode_state(business.state).replace(b"\xa6format\x01", b"\xa6format\x7f"))


def test_no_number_in_the_log_is_a_float() -> None:
    business = Business({"north": {"a": 3}}, [rule("north", "a", "min_max", minimum=1, maximum=5)])
    business.accept(business.capture([("a", 5)]))
    business.accept(business.ship())
    assert len(business.journal.lines) >= 8

    def refuse(text: str) -> float:
        raise AssertionError(f"a float in the log: {text}")

    for line in business.journal.lines:
        json.loads(line, parse_float=refuse)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-3, 20)), max_size=200))
def test_the_next_timer_is_the_earliest_and_then_the_first_by_name(steps: list[tuple[int, int]]) -> None:
    timers = Timers()
    plain: dict[str, int] = {}
    for number, due in steps:
        key = f"t{number}"
        if due < 0:
            cancel_timer(timers, key)
            plain.pop(key, None)
        else:
            set_timer(timers, key, due)
            plain[key] = due
        assert timers.due == plain
        assert next_due(timers) == min(((at, name) for name, at in plain.items()), default=None)
        assert len(timers.heap) <= 2 * len(plain) + 64
