"""Reservations soft and hard, their expiry, holds and waves."""

from __future__ import annotations

import pytest

from tests.unit.core.given import DAY, HOUR, Business
from twin.core.commands import DefinePolicies
from twin.core.events import ReleaseDecided, ReservationDecided, ReservationExpired
from twin.core.master import Policies


def test_on_hand_stays_the_same_while_units_are_reserved_and_released() -> None:  # OL-06
    business = Business({"north": {"a": 5}})
    business.accept(business.capture([("a", 3)], hold=True))
    cell = business.cell()
    assert (cell.free, cell.soft, cell.hard, cell.on_hand) == (2, 3, 0, 5)
    business.accept(business.release_hold())
    cell = business.cell()
    assert (cell.free, cell.soft, cell.hard, cell.on_hand) == (2, 0, 3, 5)
    business.accept(business.pick())
    cell = business.cell()
    assert (cell.free, cell.hard, cell.staged, cell.on_hand) == (2, 0, 3, 5)
    business.accept(business.ship())
    assert (business.cell().free, business.cell().on_hand) == (2, 2)


def test_stock_on_hand_may_be_negative_and_is_kept_as_it_is() -> None:  # OL-06
    business = Business({"north": {"a": 1}})
    business.accept(business.adjust(-4))
    assert business.cell().on_hand == -3


def test_a_reservation_names_its_owner_its_units_and_its_expiry() -> None:  # OL-06
    business = Business({"north": {"a": 5}}, reservation_expiry_ms=6 * HOUR)
    business.wait(10)
    business.accept(business.capture([("a", 3)], hold=True))
    decided = business.events(ReservationDecided)[0]
    held = decided.reservations[0]
    assert decided.order == "o1"
    assert (held.line, held.node, held.sku, held.quantity, held.kind) == (1, "north", "a", 3, "soft")
    assert held.expires_at == 10 + 6 * HOUR


def test_an_order_released_at_once_has_no_expiry() -> None:
    business = Business({"north": {"a": 5}}, reservation_expiry_ms=6 * HOUR)
    business.accept(business.capture([("a", 3)]))
    assert business.events(ReservationDecided)[0].reservations[0].expires_at == 0


def test_an_expired_reservation_gives_its_units_back_exactly_once() -> None:  # OL-06
    business = Business({"north": {"a": 5}}, reservation_expiry_ms=6 * HOUR)
    business.accept(business.capture([("a", 3)], hold=True))
    business.wait(6 * HOUR - 1)
    assert business.cell().soft == 3
    business.wait(1)
    assert (business.cell().free, business.cell().soft) == (5, 0)
    assert business.units() == {"open": 3}
    business.wait(3 * DAY)
    assert business.cell().free == 5
    assert len(business.events(ReservationExpired)) == 1


def test_units_of_an_expired_reservation_go_to_who_waits() -> None:
    business = Business({"north": {"a": 3}}, reservation_expiry_ms=6 * HOUR)
    business.accept(business.capture([("a", 3)], hold=True))
    business.accept(business.capture([("a", 2)], order="o2"))
    business.wait(6 * HOUR)
    assert business.units("o2") == {"released": 2}


def test_an_order_whose_reservation_expired_on_hold_is_sourced_again_when_released() -> None:
    business = Business({"north": {"a": 3}}, reservation_expiry_ms=6 * HOUR)
    business.accept(business.capture([("a", 3)], hold=True))
    business.wait(DAY)
    business.accept(business.release_hold())
    assert business.units() == {"released": 3}


def test_a_released_hold_ends_the_expiry() -> None:
    business = Business({"north": {"a": 3}}, reservation_expiry_ms=6 * HOUR)
    business.accept(business.capture([("a", 3)], hold=True))
    business.accept(business.release_hold())
    business.wait(DAY)
    assert business.events(ReservationExpired) == []


def test_a_held_order_is_served_but_not_released() -> None:
    business = Business({"north": {"a": 1}})
    business.accept(business.capture([("a", 3)], hold=True))
    assert business.status() == "held"
    business.load("north", {"a": 5})
    assert business.units() == {"reserved": 3}
    assert business.state.fulfillment_orders == {}
    business.accept(business.release_hold())
    assert business.units() == {"released": 3}


def test_a_hold_stops_what_is_not_yet_released_only() -> None:
    business = Business({"north": {"a": 1}})
    business.accept(business.capture([("a", 3)]))
    business.accept(business.hold())
    business.load("north", {"a": 5})
    assert business.units() == {"released": 1, "reserved": 2}


def test_units_short_on_a_held_order_wait_for_the_hold() -> None:
    business = Business({"north": {"a": 3}})
    business.accept(business.capture([("a", 3)]))
    business.accept(business.hold())
    business.accept(business.ship(lines=[(1, 2)]))
    assert business.units() == {"open": 1, "shipped": 2}
    business.load("north", {"a": 1})
    business.accept(business.release_hold())
    assert business.units() == {"released": 1, "shipped": 2}


def test_holding_twice_and_releasing_what_is_not_held_are_refused() -> None:
    business = Business({"north": {"a": 1}})
    business.accept(business.capture())
    assert business.refused(business.release_hold()) == "not_held"
    business.accept(business.hold())
    assert business.refused(business.hold()) == "held_already"
    assert business.refused(business.hold("nothing")) == "unknown_order"
    assert business.refused(business.release_hold("nothing")) == "unknown_order"


# --- waves


def in_waves(*instants: int, batch: int = 50, units: int = 20) -> Business:
    return Business({"north": {"a": units}}, wave_times={"north": instants}, waves=True, batch=batch)


def test_orders_wait_for_the_next_wave_of_their_warehouse() -> None:
    business = in_waves(8 * HOUR, 12 * HOUR)
    business.accept(business.capture([("a", 2)]))
    business.wait(8 * HOUR - 1)
    assert business.units() == {"reserved": 2}
    business.wait(1)
    assert business.units() == {"released": 2}
    business.accept(business.capture([("a", 2)], order="o2"))
    business.wait(4 * HOUR)
    assert business.units("o2") == {"released": 2}


def test_a_wave_is_released_in_bounded_steps_at_one_instant() -> None:
    business = in_waves(8 * HOUR, batch=2)
    for number in range(5):
        business.accept(business.capture(order=f"o{number}"))
    business.wait(8 * HOUR)
    assert len(business.state.fulfillment_orders) == 5
    sizes = [
        len([event for event in entry.events if isinstance(event, ReleaseDecided)])
        for entry in business.journal.read(0)
        if entry.now == 8 * HOUR
    ]
    assert max(sizes) == 2


def test_a_held_order_misses_the_wave_and_goes_with_the_next() -> None:
    business = in_waves(8 * HOUR, 12 * HOUR)
    business.accept(business.capture([("a", 2)]))
    business.accept(business.hold())
    business.wait(8 * HOUR)
    assert business.units() == {"reserved": 2}
    business.accept(business.release_hold())
    business.wait(4 * HOUR)
    assert business.units() == {"released": 2}


def test_past_the_last_known_wave_goods_go_at_once() -> None:
    business = in_waves(8 * HOUR)
    business.wait(9 * HOUR)
    business.accept(business.capture([("a", 2)]))
    assert business.units() == {"released": 2}


def test_a_held_order_past_the_last_known_wave_goes_when_its_hold_ends() -> None:
    business = in_waves(8 * HOUR)
    business.accept(business.capture([("a", 2)], hold=True))
    business.wait(DAY)
    assert business.units() == {"reserved": 2}
    business.accept(business.release_hold())
    assert business.units() == {"released": 2}


def test_a_ship_complete_order_past_the_last_known_wave_goes_when_it_is_complete() -> None:
    business = in_waves(8 * HOUR, units=1)
    business.load("south", {"b": 1})
    business.accept(business.capture([("a", 2), ("b", 1)], channel="whole"))
    business.wait(DAY)
    assert business.state.fulfillment_orders == {}
    business.load("north", {"a": 1})
    assert business.units(line=1) == {"released": 2}
    assert business.units(line=2) == {"released": 1}


def test_an_order_cancelled_and_closed_while_it_waits_does_not_stop_the_wave() -> None:
    business = in_waves(2 * DAY + HOUR)
    business.accept(business.capture([("a", 2)]))
    business.accept(business.capture([("a", 2)], order="o2"))
    business.accept(business.cancel())
    business.wait(DAY)
    assert "o1" not in business.state.orders
    business.wait(2 * DAY)
    assert business.units("o2") == {"released": 2}


def test_an_order_that_closes_leaves_its_wave() -> None:
    business = in_waves(5 * DAY)
    business.accept(business.capture([("a", 2)]))
    business.accept(business.capture([("a", 2)], order="o2"))
    business.accept(business.cancel())
    business.wait(DAY)
    assert business.state.waves["north"].orders == ["o2"]
    business.accept(business.cancel(order="o2"))
    business.wait(DAY)
    assert business.state.waves["north"].orders == []
    assert business.driver.engine.next_due() is None


@pytest.mark.parametrize("closing", [("o1",), ("o3",), ("o1", "o2"), ("o1", "o2", "o3")])
def test_orders_that_close_between_the_steps_of_a_wave_take_no_other_s_place(closing: tuple[str, ...]) -> None:
    business = in_waves(DAY - HOUR, batch=1)
    for number in range(4):
        business.accept(business.capture([("a", 2)], order=f"o{number}", hold=True))
    for order in closing:
        business.accept(business.cancel(order=order))
    # No timer is fed from before the wave until after midnight: the closing falls between two of its steps.
    now = DAY + HOUR
    business.at = now
    business.driver.handle(business.adjust(0), now)
    business.driver.wake(now)
    assert business.state.waves["north"].orders == [f"o{n}" for n in range(4) if f"o{n}" not in closing]
    assert business.state.waves["north"].left == 0
    for number in range(4):
        if f"o{number}" not in closing:
            business.accept(business.release_hold(f"o{number}"))
            assert business.units(f"o{number}") == {"released": 2}


@pytest.mark.parametrize("batch", [1, 2, 50])
def test_backorders_are_served_in_bounded_steps_at_one_instant_by_class_then_age(batch: int) -> None:
    business = Business({"north": {"a": 0}}, batch=batch)
    for number, channel in enumerate(("web", "desk", "web", "desk")):
        business.accept(business.capture([("a", 2)], order=f"o{number}", channel=channel))
        business.wait(1)
    business.load("north", {"a": 5})
    waiting = [(entry.order, entry.quantity) for entry in business.cell().waiting]
    assert waiting == [("o0", 1), ("o2", 2)]
    assert business.units("o1") == business.units("o3") == {"released": 2}


def test_an_order_about_to_go_when_waves_are_introduced_joins_the_next_wave() -> None:
    business = Business({"north": {"a": 2}}, wave_times={"north": (8 * HOUR,)})
    business.accept(business.capture([("a", 2)], hold=True))
    # The policy changes between the end of the hold and its follow-up.
    business.driver.handle(business.release_hold(), business.at)
    business.driver.handle(DefinePolicies("waves", "test", 0, Policies(waves=True)), business.at)
    business.wait(8 * HOUR - 1)
    assert business.units() == {"reserved": 2}
    business.wait(1)
    assert business.units() == {"released": 2}
