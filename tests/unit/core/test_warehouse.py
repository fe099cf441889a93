"""What warehouses report, what they are told, and what is billed for it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.unit.core.given import DAY, Business, delivery_policies, rule
from twin.core.effects import PostInvoice, ReleaseToWarehouse
from twin.core.events import GoodsShipped, InvoiceCreated, SourcingDecided, UnitsShorted


def released(units: int = 4, **more: Any) -> Business:
    business = Business({"north": {"a": units}}, **more)
    business.accept(business.capture([("a", units)]))
    return business


def field_names(kind: Any) -> list[str]:
    """Every field that a message of this type may hold, at any depth."""
    found: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, msgspec.inspect.StructType):
            for field in node.fields:
                found.append(field.name)
                walk(field.type)
        for part in ("item_type", "value_type", "key_type"):
            if hasattr(node, part):
                walk(getattr(node, part))
        for part in getattr(node, "item_types", ()) or getattr(node, "types", ()):
            walk(part)

    walk(msgspec.inspect.type_info(kind))
    return found


def test_the_warehouse_is_told_nothing_of_price_cost_margin_or_credit() -> None:  # WH-01
    names = field_names(ReleaseToWarehouse)
    assert {"fulfillment_order", "node", "lines", "sku", "quantity"} <= set(names)
    forbidden = ("price", "cost", "margin", "credit", "minor", "amount", "customer", "value")
    assert [name for name in names if any(word in name for word in forbidden)] == []


def test_the_search_for_forbidden_fields_finds_them_where_they_are() -> None:
    names = field_names(PostInvoice)
    assert "amount_minor" in names and "customer" in names


def test_the_warehouse_is_told_what_was_decided() -> None:
    business = released()
    assert business.asked(ReleaseToWarehouse) == [
        ReleaseToWarehouse("o1/north/1", "o1", "north", "van", "near", business.asked(ReleaseToWarehouse)[0].lines)
    ]
    assert [(line.line, line.sku, line.quantity) for line in business.asked(ReleaseToWarehouse)[0].lines] == [
        (1, "a", 4)
    ]


def test_every_message_about_an_order_carries_its_id_and_its_class() -> None:  # OL-14 OB-01
    business = Business({"north": {"a": 1}}, [rule("south", "b", "to_order")])
    business.accept(business.capture([("a", 1), ("b", 1)], channel="desk"))
    business.accept(business.ship())
    assert len(business.outbox.sent) == 3
    assert [(sent.correlation, sent.criticality) for sent in business.outbox.sent] == [("o1", "A")] * 3


def test_picking_stages_the_goods_and_packing_leaves_them_staged() -> None:
    business = released()
    business.accept(business.pick("picked"))
    assert business.units() == {"picked": 4}
    assert (business.cell().hard, business.cell().staged) == (0, 4)
    business.accept(business.pick("packed"))
    assert business.units() == {"picked": 4}
    assert (business.cell().hard, business.cell().staged) == (0, 4)


def test_a_shipment_bills_exactly_what_left() -> None:  # FI-01 FI-02
    business = released()
    assert business.events(InvoiceCreated) == []
    business.accept(business.ship())
    assert [(bill.shipment, bill.lines, bill.amount_minor) for bill in business.events(InvoiceCreated)] == [
        ("o1/north/1/parcel", ((1, 4, 500),), 2000)
    ]
    assert [bill.amount_minor for bill in business.asked(PostInvoice)] == [2000]
    assert business.order().lines[1].billed == 4


def test_freight_is_a_price_per_parcel_and_one_per_unit() -> None:
    business = released()
    business.accept(business.ship())
    assert business.events(GoodsShipped)[0].freight_minor == 300 + 4 * 10


@pytest.mark.parametrize("stage", ["released", "picked", "packed"])
def test_a_short_pick_corrects_the_belief_and_sources_the_rest_again(stage: str) -> None:
    business = released()
    business.load("south", {"a": 9})
    if stage != "released":
        business.accept(business.pick(stage))
    business.accept(business.ship(lines=[(1, 3)]))
    assert business.events(UnitsShorted)[0].lines == ((1, 1),)
    assert business.cell().on_hand == 0
    assert business.units() == {"shipped": 3, "released": 1}
    assert business.events(SourcingDecided)[-1].legs[0].node == "south"
    assert business.order().lines[1].billed == 3


def test_nothing_found_at_all_ships_nothing_and_bills_nothing() -> None:
    business = released()
    business.accept(business.ship(lines=[]))
    assert business.units() == {"backordered": 4}
    assert business.events(InvoiceCreated) == []
    assert business.state.fulfillment_orders == {}


def test_more_than_was_asked_for_cannot_be_shipped() -> None:
    business = released()
    assert business.refused(business.ship(lines=[(1, 5)])) == "over_shipment"
    assert business.refused(business.ship(lines=[(2, 1)])) == "over_shipment"
    assert business.refused(business.ship(lines=[(1, 0)])) == "over_shipment"
    assert business.refused(business.ship(lines=[(1, 3), (1, 3)])) == "line_repeated"


def test_the_same_goods_do_not_leave_twice() -> None:
    business = released()
    again = business.ship(shipment="s1")
    business.accept(business.ship(shipment="s1"))
    assert business.refused(again) == "unknown_fulfillment_order"
    assert business.refused(business.pick(fulfillment="o1/north/1")) == "unknown_fulfillment_order"


def test_two_parcels_cannot_have_one_name() -> None:
    business = Business({"north": {"a": 1}, "south": {"b": 1}})
    business.accept(business.capture([("a", 1), ("b", 1)]))
    business.accept(business.ship(shipment="s1"))
    assert business.refused(business.ship(shipment="s1")) == "shipment_exists"


def test_two_parcels_cannot_have_one_name_even_when_the_first_has_arrived() -> None:
    business = Business({"north": {"a": 1}, "south": {"b": 1}}, delivery=delivery_policies(acknowledge=True))
    business.accept(business.capture([("a", 1), ("b", 1)]))
    business.accept(business.ship(shipment="s1"))
    business.accept(business.milestone())
    assert business.refused(business.ship(shipment="s1")) == "shipment_exists"


def test_one_line_from_one_node_in_two_reservations_is_shipped_as_one() -> None:
    business = Business({"north": {"a": 1}})
    business.accept(business.capture([("a", 3)], hold=True))
    business.load("north", {"a": 2})
    business.accept(business.release_hold())
    assert [pick.quantity for pick in next(iter(business.state.fulfillment_orders.values())).lines] == [1, 2]
    business.accept(business.ship(lines=[(1, 3)]))
    assert business.units() == {"shipped": 3}


# --- counts


def counted(units: int = 10, **more: Any) -> Business:
    return Business({"north": {"a": units}}, counted=True, **more)


def test_a_count_with_nothing_under_way_is_taken_as_it_is() -> None:  # WH-04
    business = counted()
    business.accept(business.count(("a", 7), sequence=0))
    assert (business.cell().on_hand, business.cell().free) == (7, 7)


def test_a_count_does_not_take_back_what_left_after_it() -> None:
    business = counted()
    business.accept(business.capture([("a", 4)]))
    business.accept(business.ship(sequence=5))
    business.accept(business.count(("a", 10), sequence=4))
    assert business.cell().on_hand == 6


def test_a_count_that_saw_goods_leave_does_not_take_them_off_twice() -> None:
    business = counted()
    business.accept(business.capture([("a", 4)]))
    business.accept(business.count(("a", 6), sequence=5))
    business.accept(business.ship(sequence=5))
    assert business.cell().on_hand == 6


def test_a_count_that_saw_a_receipt_does_not_add_it_twice_nor_promise_it_twice() -> None:
    business = counted(0, rules=[rule("north", "a", "to_order")])
    business.accept(business.capture([("a", 4)]))
    business.accept(business.count(("a", 4), sequence=1))
    assert business.units() == {"released": 4}
    business.accept(business.capture([("a", 3)], order="o2"))
    first = next(iter(business.state.purchase_orders))
    business.accept(business.receive(purchase_order=first, sequence=1))
    assert business.cell().on_hand == 4
    assert business.units("o2") == {"on_order": 3}


def test_an_adjustment_that_a_count_saw_changes_nothing_more() -> None:
    business = counted()
    business.accept(business.count(("a", 8), sequence=2))
    business.accept(business.adjust(-2, sequence=2))
    assert business.cell().on_hand == 8
    business.accept(business.adjust(-2, sequence=3))
    assert business.cell().on_hand == 6


def test_a_later_count_forgets_the_movements_before_it() -> None:
    business = counted()
    business.accept(business.adjust(-1, sequence=1))
    business.accept(business.adjust(-1, sequence=2))
    business.accept(business.count(("a", 9), sequence=1))
    assert (business.cell().on_hand, business.cell().movements) == (8, [(2, -1)])
    business.accept(business.count(("a", 5), sequence=2))
    assert (business.cell().on_hand, business.cell().movements) == (5, [])


def test_goods_that_a_count_found_serve_who_waits() -> None:
    business = counted(1)
    business.accept(business.capture([("a", 4)]))
    business.accept(business.count(("a", 4), sequence=1))
    assert business.units() == {"released": 4}


def test_a_count_that_cannot_be_right_is_refused() -> None:
    business = counted()
    business.accept(business.count(("a", 8), sequence=5))
    assert business.refused(business.count(("a", 8), sequence=4)) == "stale_count"
    assert business.refused(business.count(("a", 8), ("a", 8), sequence=6)) == "line_repeated"
    assert business.refused(business.count(("a", -1), sequence=6)) == "quantity"
    assert business.refused(business.count(("d", 1), sequence=6)) == "unknown_stock"
    assert business.refused(business.count(("a", 1), sequence=6, node="nowhere")) == "unknown_stock"


def test_a_warehouse_that_is_not_set_up_to_be_counted_is_not() -> None:
    business = Business({"north": {"a": 3}})
    assert business.refused(business.count(("a", 8), sequence=1)) == "not_counted"


# --- on the way


def test_milestones_are_tied_to_the_parcel_and_its_order() -> None:  # TR-04
    business = released()
    business.accept(business.ship(shipment="s1"))
    for milestone in ("picked_up", "in_transit", "delayed", "out_for_delivery", "exception", "out_for_delivery"):
        business.accept(business.milestone(milestone, "s1"))
    assert business.state.shipments["s1"].stage == "out_for_delivery"
    business.accept(business.milestone("delivered", "s1"))
    assert business.units() == {"delivered": 4}
    assert business.refused(business.milestone("delivered", "s1")) == "unknown_shipment"


def test_a_milestone_that_comes_too_late_changes_nothing() -> None:
    business = released()
    business.accept(business.ship(shipment="s1"))
    business.accept(business.milestone("out_for_delivery", "s1"))
    assert business.refused(business.milestone("picked_up", "s1")) == "stage"
    assert business.refused(business.milestone("teleported", "s1")) == "stage"


def test_an_order_is_closed_after_its_return_window_and_not_before_its_bill_is_posted() -> None:
    business = released(delivery=delivery_policies(acknowledge=True, timeout_ms=9 * DAY, deadline_ms=90 * DAY))
    business.set_policies(
        delivery=delivery_policies(acknowledge=True, timeout_ms=9 * DAY, deadline_ms=90 * DAY), return_window_ms=2 * DAY
    )
    business.accept(business.acknowledge("o1/north/1"))
    business.accept(business.ship(shipment="s1"))
    business.accept(business.milestone())
    business.wait(5 * DAY)
    assert business.status() == "delivered"
    business.accept(business.confirm("INV/s1"))
    business.wait(2 * DAY)
    assert business.status() == "delivered"
    business.wait(DAY)
    assert business.state.orders == {}


@pytest.mark.parametrize("change", [{"order": "o2"}, {"node": "south"}])
def test_a_report_that_mixes_up_orders_or_warehouses_is_refused(change: dict[str, str]) -> None:
    business = released()
    code = next(iter(change))
    assert business.refused(msgspec.structs.replace(business.pick(), **change)) == code
    assert business.refused(msgspec.structs.replace(business.ship(), **change)) == code
    assert business.units() == {"released": 4}


def closing_while_held() -> Business:
    """One line is delivered, the other was held and cancelled: finished, on hold, and about to close at midnight."""
    business = Business({"north": {"a": 4, "b": 0}})
    business.accept(business.capture([("a", 4), ("b", 1)]))
    business.accept(business.hold())
    business.accept(business.cancel(2))
    business.accept(business.ship())
    business.accept(business.milestone())
    assert business.state.closing == {str(DAY): ["o1"]}
    return business


def test_a_hold_that_ends_at_the_closing_midnight_finds_nothing_left_to_do() -> None:
    business = closing_while_held()
    # The message is handled at midnight, before the timers of that instant.
    business.at = DAY
    business.accept(business.release_hold())
    assert business.state.orders == {}
    assert business.driver.engine.next_due() is None


def test_an_order_with_nothing_left_to_release_cannot_be_held() -> None:
    business = released()
    business.accept(business.ship())
    assert business.refused(business.hold()) == "too_late"
    business.accept(business.milestone())
    assert business.refused(business.hold()) == "too_late"
