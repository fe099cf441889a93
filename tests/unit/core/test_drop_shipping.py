"""Drop shipping: the supplier sends to the customer, from sourcing to the bill, and what it may not do."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.unit.core.given import DAY, HOUR, Business, delivery_policies, rule
from twin.core import commands as c
from twin.core.effects import CreatePurchaseOrder, PostInvoice, ReleaseToWarehouse
from twin.core.events import GoodsShipped, InvoiceCreated, PromiseDecided, SourcingDecided
from twin.core.master import Departures


def ordered(**changes: object) -> Business:
    business = Business({"north": {"a": 5}}, dock=True, **changes)  # type: ignore[arg-type]
    business.accept(business.capture([("e", 2)]))
    return business


def test_a_drop_ship_order_carries_the_customer_s_address_and_no_price() -> None:  # PU-12
    business = ordered()
    (bought,) = business.asked(CreatePurchaseOrder)
    assert (bought.supplier, bought.node, bought.order, bought.line) == ("mill", "mill", "o1", 1)
    assert (bought.customer, bought.region, bought.carrier) == ("ann", "near", "van")
    assert not [name for name in bought.__struct_fields__ if "price" in name or "minor" in name]
    (leg,) = business.events(SourcingDecided)[0].legs
    assert (leg.route, leg.node, leg.rule) == ("replenish", "mill", "short:only_candidate")
    assert business.units() == {"on_order": 2}
    assert business.sent(bought.purchase_order)[0].correlation == "o1"


def test_a_channel_that_takes_no_backorders_sells_what_a_supplier_ships() -> None:  # PU-12
    business = Business({"north": {"a": 1}}, dock=True)
    business.accept(business.capture([("a", 3), ("e", 2)], channel="market"))
    assert business.units(line=1) == {"released": 1, "rejected": 2}
    assert business.units(line=2) == {"on_order": 2}
    business.accept(business.drop_ship())
    assert business.units(line=2) == {"shipped": 2}


def test_the_ship_notice_ships_and_bills_and_the_dock_stays_empty() -> None:  # PU-12
    business = ordered()
    business.accept(business.drop_ship())
    assert business.units() == {"shipped": 2}
    (shipped,) = business.events(GoodsShipped)
    assert (shipped.node, shipped.lines, shipped.freight_minor) == ("mill", ((1, 2),), 900)
    (bill,) = business.events(InvoiceCreated)
    assert bill.amount_minor == 2 * 20_000
    assert len(business.asked(PostInvoice)) == 1 and not business.asked(ReleaseToWarehouse)
    cell = business.cell("mill", "e")
    assert (cell.on_hand, cell.inbound, cell.backordered, cell.waiting) == (0, 0, 0, [])
    assert not business.state.purchase_orders
    business.accept(business.milestone("picked_up"))
    business.accept(business.milestone())
    assert business.units() == {"delivered": 2}


def test_an_order_of_both_kinds_splits_and_each_part_goes_by_itself() -> None:
    business = Business({"north": {"a": 5}}, dock=True)
    business.accept(business.capture([("a", 1), ("e", 1)]))
    assert business.units(line=1) == {"released": 1}
    assert business.units(line=2) == {"on_order": 1}
    business.accept(business.drop_ship())
    business.accept(business.ship())
    assert business.units(line=1) == business.units(line=2) == {"shipped": 1}


def test_a_ship_complete_order_lets_its_stock_go_when_the_supplier_has_shipped() -> None:
    business = Business({"north": {"a": 5}}, dock=True)
    business.accept(business.capture([("a", 1), ("e", 1)], channel="whole"))
    assert business.units(line=1) == {"reserved": 1}
    business.accept(business.drop_ship())
    assert business.units(line=1) == {"released": 1}


def test_each_line_is_a_purchase_order_of_its_own() -> None:
    business = Business(dock=True, batch=1)
    business.accept(business.capture([("e", 1), ("e", 3)]))
    business.accept(business.capture([("e", 2)], order="o2"))
    bought = business.asked(CreatePurchaseOrder)
    told = [(each.order, each.line, each.lines[0].quantity) for each in bought]
    assert told == [("o1", 1, 1), ("o1", 2, 3), ("o2", 1, 2)]
    assert len({each.purchase_order for each in bought}) == 3


def test_the_promise_keeps_the_supplier_s_cut_off() -> None:
    trucks = Departures("van", (16 * HOUR, 40 * HOUR), (18 * HOUR, 42 * HOUR))
    for at, leaves in ((15 * HOUR, 18 * HOUR), (17 * HOUR, 42 * HOUR)):
        business = Business(dock=True, departures={"mill": (trucks,)})
        business.wait(at)
        business.accept(business.capture([("e", 1)]))
        assert business.events(PromiseDecided)[0].promised_at == leaves + DAY


def test_what_the_supplier_was_told_to_send_can_no_longer_be_cancelled() -> None:
    business = ordered()
    assert business.refused(business.cancel()) == "too_late"
    assert business.units() == {"on_order": 2}


def test_a_supplier_that_refuses_is_asked_again_after_a_while_and_the_order_waits_meanwhile() -> None:
    business = ordered()
    business.accept(business.answer("rejected"))
    assert business.units() == {"on_order": 2}
    # Nobody has been told to send it now: it can be cancelled.
    assert not business.state.purchase_orders
    business.wait(DAY)
    first, second = business.asked(CreatePurchaseOrder)
    assert first.purchase_order != second.purchase_order
    business.accept(business.drop_ship())
    assert business.units() == {"shipped": 2}


def test_a_held_order_is_ordered_of_the_supplier_when_its_hold_ends() -> None:
    business = Business(dock=True)
    business.accept(business.capture([("e", 2)], hold=True))
    assert business.units() == {"on_order": 2} and not business.state.purchase_orders
    business.accept(business.capture([("e", 1)], order="o2"))
    assert [effect.order for effect in business.asked(CreatePurchaseOrder)] == ["o2"]
    business.accept(business.release_hold())
    assert [effect.order for effect in business.asked(CreatePurchaseOrder)] == ["o2", "o1"]


def test_waves_do_not_hold_up_what_the_supplier_ships() -> None:
    business = Business({"north": {"a": 5}}, dock=True, waves=True, wave_times={"north": (9 * HOUR,)})
    business.accept(business.capture([("a", 1), ("e", 1)]))
    business.accept(business.drop_ship())
    assert business.units(line=2) == {"shipped": 1}
    assert business.units(line=1) == {"reserved": 1}
    business.wait(9 * HOUR)
    assert business.units(line=1) == {"released": 1}


def test_what_nobody_was_told_to_send_can_be_cancelled() -> None:
    business = ordered()
    business.accept(business.answer("rejected"))
    business.accept(business.cancel())
    assert business.units() == {"cancelled": 2}
    business.wait(3 * DAY)
    assert len(business.asked(CreatePurchaseOrder)) == 1


def test_a_ship_notice_told_twice_ships_once() -> None:  # RC-06
    business = ordered()
    notice = business.drop_ship()
    business.accept(notice)
    assert business.refused(notice) == "duplicate"
    assert business.refused(replace(notice, id="again")) == "unknown_purchase_order"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"purchase_order": "PO/none"}, "unknown_purchase_order"),
        ({"order": "o9"}, "no_drop_ship"),
        ({"quantity": 1}, "quantity"),
        ({"quantity": 3}, "quantity"),
        ({"quantity": 0}, "quantity"),
        ({"line": 2}, "quantity"),
    ],
)
def test_a_ship_notice_that_does_not_fit_is_refused(change: dict[str, object], code: str) -> None:
    business = ordered()
    assert business.refused(replace(business.drop_ship(), **change)) == code


def test_a_ship_notice_for_goods_that_come_to_a_warehouse_is_refused() -> None:
    business = Business(rules=[rule("north", "b", "to_order")], dock=True)
    business.accept(business.capture([("b", 1)]))
    (key,) = business.state.purchase_orders
    assert business.refused(business.drop_ship(key)) == "no_drop_ship"


def test_nothing_is_stocked_at_a_dock() -> None:
    business = ordered()
    assert business.refused(business.receive(("e", 2), node="mill")) == "drop_ship"
    assert business.refused(business.adjust(2, "mill", "e")) == "drop_ship"
    stock = c.LoadStock("opening", "test", 0, "mill", (c.StockLine("e", 2),))
    assert business.refused(stock) == "drop_ship"


def test_a_dock_drop_ships_and_no_warehouse_does() -> None:
    business = Business(dock=True)
    for node, kind in (("mill", "to_order"), ("north", "drop_ship")):
        command = c.DefineReplenishment(f"rule/{node}", "test", 0, (rule(node, "a", kind),))
        assert business.refused(command) == "kind"


def test_without_an_answer_it_is_sent_again_with_its_key_and_ships_once() -> None:  # PU-07
    business = ordered(delivery=delivery_policies(acknowledge=True, timeout_ms=100, backoff_ms=0, retries=3))
    business.wait(150)
    keys = [sent.key for sent in business.outbox.sent]
    assert len(keys) == 2 and len(set(keys)) == 1
    business.accept(business.acknowledge(keys[0]))
    business.accept(business.drop_ship())
    assert business.units() == {"shipped": 2}
