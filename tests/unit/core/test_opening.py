"""What was under way before the log begins: loaded orders, purchase orders, parcels and quarantined stock (RP-01)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.unit.core.given import DAY, HOUR, Business, rule
from twin.codec import encode_entry
from twin.core.commands import (
    CountStock,
    DefineReplenishment,
    LoadedParcel,
    LoadOrder,
    LoadPurchaseOrder,
    LoadStock,
    OrderLine,
    StockLine,
)
from twin.core.effects import CreatePurchaseOrder, ReleaseToWarehouse
from twin.core.events import (
    InvoiceCreated,
    OrderClosed,
    PromiseDecided,
    PurchaseOrderAcknowledged,
    PurchaseOrderCreated,
    ShipmentLoaded,
    StockCounted,
)
from twin.core.fold_orders import shipment_loaded
from twin.core.master import Departures
from twin.core.refusals import CorruptLog

NOW = 10 * DAY


def business(stock: dict[str, dict[str, int]] | None = None, *rules: Any, **more: Any) -> Business:
    """A business of which the clock stands at `NOW`."""
    made = Business(stock or {"north": {"a": 10, "b": 10}}, rules, **more)
    made.wait(NOW)
    return made


def order(name: str = "o1", *lines: tuple[str, int], captured_at: int = NOW - 5 * DAY, **more: Any) -> LoadOrder:
    wanted = tuple(OrderLine(number, sku, units, 500) for number, (sku, units) in enumerate(lines or [("a", 2)], 1))
    return LoadOrder(
        f"load/{name}", "erp", NOW, name, "web", "ann", "near", captured_at, captured_at + 3 * DAY, wanted, **more
    )


def purchase(name: str = "p1", units: int = 20, **more: Any) -> LoadPurchaseOrder:
    told = {"created_at": NOW - 2 * DAY, "lines": (StockLine("a", units),), **more}
    return LoadPurchaseOrder(f"load/{name}", "erp", NOW, name, "mill", "north", **told)


def test_a_loaded_order_is_as_old_as_it_really_is_and_goes_its_way() -> None:  # RP-01
    told = business()
    told.accept(order())
    assert told.order().captured_at == NOW - 5 * DAY
    assert [effect.order for effect in told.asked(ReleaseToWarehouse)] == ["o1"]
    told.accept(told.ship())
    told.accept(told.milestone())
    assert told.units() == {"delivered": 2}
    told.wait(60 * DAY)
    assert [event.order for event in told.events(OrderClosed)] == ["o1"]


def test_the_older_of_two_loaded_orders_is_served_first_whichever_is_loaded_first() -> None:
    told = business({"north": {"a": 0}})
    told.accept(order("young", ("a", 3), captured_at=NOW - DAY))
    told.accept(order("old", ("a", 3), captured_at=NOW - 9 * DAY))
    told.accept(told.capture([("a", 3)], order="new"))
    told.load("north", {"a": 6})
    assert {name: told.units(name) for name in ("old", "young", "new")} == {
        "old": {"released": 3},
        "young": {"released": 3},
        "new": {"backordered": 3},
    }


def test_the_date_told_before_is_kept_and_told_anew_only_where_it_is_missed() -> None:
    kept = business()
    kept.accept(order(promised=((1, NOW + 5 * DAY),)))
    assert kept.order().promised_at == kept.order().lines[1].promised_at == NOW + 5 * DAY
    assert len(kept.events(PromiseDecided)) == 1
    missed = business()
    missed.accept(order(promised=((1, NOW - DAY),)))
    assert [event.promised_at for event in missed.events(PromiseDecided)] == [NOW - DAY, NOW + DAY]
    assert missed.order().promised_at == NOW + DAY


def test_an_order_stays_promised_for_its_latest_line_where_another_one_moves() -> None:  # RP-01
    told = business()
    soon, late = NOW - DAY, NOW + 30 * DAY
    told.accept(order("o1", ("a", 2), ("b", 2), promised=((1, soon), (2, late))))
    dates = told.order()
    assert soon < dates.lines[1].promised_at < late
    assert (dates.lines[2].promised_at, dates.promised_at) == (late, late)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"captured_at": 0}, "captured_at"),
        ({"captured_at": NOW + 1}, "captured_at"),
        ({"channel": "fax"}, "unknown_channel"),
        ({"region": "moon"}, "unknown_region"),
        ({"criticality": "D"}, "criticality"),
        ({"lines": ()}, "no_lines"),
        ({"lines": (OrderLine(1, "x", 1, 1),)}, "unknown_item"),
        ({"lines": (OrderLine(1, "a", 0, 1),)}, "quantity"),
        ({"promised": ((1, NOW), (1, NOW))}, "line_repeated"),
        ({"promised": ((2, NOW),)}, "unknown_line"),
        ({"promised": ((1, NOW - 6 * DAY),)}, "promise"),
        ({"parcels": (LoadedParcel("v1", "moon", "van", NOW, ((1, 1),)),)}, "unknown_node"),
        ({"parcels": (LoadedParcel("v1", "north", "van", NOW, ((1, 3),)),)}, "quantity"),
        ({"parcels": (LoadedParcel("v1", "north", "van", NOW, ((1, 1),)),) * 2}, "shipment_exists"),
        ({"parcels": tuple(LoadedParcel(id, "north", "van", NOW, ((1, 2),)) for id in ("v1", "v2"))}, "quantity"),
        ({"parcels": (LoadedParcel("v1", "north", "van", NOW, ()),)}, "no_lines"),
        ({"parcels": (LoadedParcel("v1", "north", "van", NOW + 1, ((1, 1),)),)}, "shipped_at"),
        ({"parcels": (LoadedParcel("v1", "north", "van", 0, ((1, 1),)),)}, "shipped_at"),
        ({"releases": -1}, "releases"),
    ],
)
def test_an_order_that_cannot_be_is_refused(changes: dict[str, Any], code: str) -> None:
    told = business()
    assert told.refused(replace(order(), **changes)) == code


def test_an_order_past_the_last_known_departure_is_refused_and_leaves_nothing() -> None:  # RP-01
    told = business(departures={"north": (Departures("van", (HOUR,), (2 * HOUR,)),)})
    assert told.refused(order(promised=((1, NOW),))) == "calendar_exhausted"
    assert (told.state.orders, told.events(PromiseDecided), told.cell().free) == ({}, [], 10)


def test_a_loaded_order_has_its_own_class_or_that_of_its_channel() -> None:  # RP-01
    told = business()
    told.accept(order("o1", criticality="A"))
    told.accept(order("o2"))
    assert (told.order("o1").criticality, told.order("o2").criticality) == ("A", told.state.channels["web"].criticality)
    assert told.state.channels["web"].criticality != "A"


def test_an_order_is_loaded_once() -> None:
    told = business()
    told.accept(order())
    assert told.refused(replace(order(), id="again")) == "order_exists"


def test_a_parcel_on_its_way_is_billed_already_and_arrives_as_any() -> None:
    told = business()
    parcel = LoadedParcel("v1", "north", "van", NOW - HOUR, ((1, 3), (2, 1)))
    told.accept(order("o1", ("a", 5), ("b", 1), parcels=(parcel,)))
    assert told.units() == {"released": 2, "shipped": 3}
    assert told.units(line=2) == {"shipped": 1}
    assert told.cell().on_hand == 10, "what is on its way is not in the building"
    told.accept(told.milestone(shipment="v1"))
    told.accept(told.ship())
    assert [event.amount_minor for event in told.events(InvoiceCreated)] == [1000]
    told.accept(told.milestone())
    assert told.units() == {"delivered": 5}
    assert told.order().closing


def test_a_log_in_which_a_parcel_is_loaded_twice_is_corrupt() -> None:
    told = business()
    told.accept(order(parcels=(LoadedParcel("v1", "north", "van", NOW, ((1, 1),)),)))
    (loaded,) = told.events(ShipmentLoaded)
    with pytest.raises(CorruptLog, match="shipment v1 was loaded twice"):
        shipment_loaded(told.state, loaded, NOW)


def test_an_order_of_which_everything_is_on_its_way_is_not_sourced() -> None:
    told = business()
    told.accept(order("o1", ("a", 3), parcels=(LoadedParcel("v1", "north", "van", NOW - HOUR, ((1, 3),)),)))
    assert told.units() == {"shipped": 3}
    assert told.asked(ReleaseToWarehouse) == []
    assert told.refused(order("o2", ("a", 1), parcels=(LoadedParcel("v1", "north", "van", NOW, ((1, 1),)),))) == (
        "shipment_exists"
    )


def test_a_loaded_purchase_order_is_expected_and_told_to_nobody() -> None:  # RP-01
    told = business({"north": {"a": 3}}, rule("north", "a", "min_max", minimum=3, maximum=10))
    assert len(told.asked(CreatePurchaseOrder)) == 1
    told.accept(purchase(eta=NOW + DAY))
    known = told.state.purchase_orders["p1"]
    assert (known.stage, known.eta, known.created_at, known.due) == (
        "acknowledged",
        NOW + DAY,
        NOW - 2 * DAY,
        {"a": 20},
    )
    assert len(told.asked(CreatePurchaseOrder)) == 1
    (seen,) = [event for event in told.events(PurchaseOrderCreated) if event.purchase_order == "p1"]
    # What is in stock, and what was bought already.
    assert seen.position == 10
    told.accept(told.receive(purchase_order="p1"))
    assert told.cell().free == 23


def test_releases_of_a_loaded_order_are_numbered_past_those_that_warehouses_know() -> None:
    told = business()
    told.accept(order(releases=3))
    assert list(told.state.fulfillment_orders) == ["o1/north/4"]
    assert told.refused(order("o2", releases=-1)) == "releases"


def test_nothing_is_bought_that_a_loaded_purchase_order_brings() -> None:
    told = Business(None, ())
    told.wait(NOW)
    told.accept(purchase(units=8))
    rules = (rule("north", "a", "min_max", minimum=3, maximum=10),)
    told.accept(DefineReplenishment("rules", "test", NOW, rules))
    told.accept(order("o1", ("a", 4)))
    assert told.asked(CreatePurchaseOrder) == []
    told.accept(told.receive())
    assert told.units() == {"released": 4}


def test_a_purchase_order_without_a_date_is_not_acknowledged_and_is_expected_after_its_lead_time() -> None:
    told = business(None, rule("north", "a", "min_max", minimum=0, maximum=10, lead_time_ms=3 * DAY))
    told.accept(purchase())
    known = told.state.purchase_orders["p1"]
    assert (known.stage, known.eta) == ("created", NOW + DAY)
    assert told.events(PurchaseOrderAcknowledged) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"supplier": "nobody"}, "unknown_supplier"),
        ({"node": "moon"}, "unknown_node"),
        ({"lines": ()}, "no_lines"),
        ({"lines": (StockLine("a", 1), StockLine("a", 2))}, "line_repeated"),
        ({"lines": (StockLine("x", 1),)}, "unknown_item"),
        ({"lines": (StockLine("a", 0),)}, "quantity"),
        ({"created_at": 0}, "created_at"),
        ({"created_at": NOW + 1}, "created_at"),
        ({"eta": 1}, "eta"),
    ],
)
def test_a_purchase_order_that_cannot_be_is_refused(changes: dict[str, Any], code: str) -> None:
    told = business()
    assert told.refused(replace(purchase(), **changes)) == code


def test_a_purchase_order_is_loaded_once_and_for_no_dock() -> None:
    told = business(dock=True)
    told.accept(purchase())
    assert told.refused(replace(purchase(), id="again")) == "purchase_order_exists"
    assert told.refused(replace(purchase("p2"), node="mill")) == "drop_ship"


def test_a_loaded_purchase_order_may_be_refused_though_no_rule_buys_the_item() -> None:
    told = business()
    told.accept(purchase())
    told.accept(told.answer("rejected"))
    assert told.state.purchase_orders == {}
    assert told.cell().inbound == 0


def test_quarantined_stock_is_in_the_building_and_sold_to_nobody() -> None:
    told = business({"north": {"a": 0}}, counted=True)
    told.accept(LoadStock("load", "erp", NOW, "north", (StockLine("a", 1),), (StockLine("a", 9),)))
    told.accept(told.capture([("a", 5)]))
    assert told.units() == {"released": 1, "backordered": 4}
    assert (told.cell().quarantined, told.cell().on_hand) == (9, 10)
    told.accept(CountStock("count", "wms", NOW, "north", (StockLine("a", 10),), 0))
    assert [event.lines for event in told.events(StockCounted)] == [(("a", 10, 0),)]


def test_stock_is_known_since_it_was_loaded_also_where_all_of_it_is_quarantined() -> None:
    told = business()
    told.accept(LoadStock("load", "erp", NOW, "north", (), (StockLine("a", 9),)))
    assert (told.cell().seen_at, told.cell().quarantined) == (NOW, 9)


def test_fields_that_only_loading_sets_are_left_out_of_the_log_where_it_does_not() -> None:
    told = business({"north": {"a": 3}}, rule("north", "a", "min_max", minimum=3, maximum=10))
    told.accept(told.capture([("a", 1)]))
    text = b"".join(encode_entry(entry) for entry in told.log.read(0)).decode()
    assert '"order.captured"' in text and '"purchase_order.created"' in text and '"stock.loaded"' in text
    assert "captured_at" not in text and "created_at" not in text and "quarantined" not in text
