"""Records that say when they were written down: an older one that comes late does not replace a newer one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.unit.core.given import ITEMS, Business, rule
from twin.core import commands as c
from twin.core.events import ItemsDefined

A, B, *_ = ITEMS


def told(business: Business, kind: str, at: int, value: int) -> object:
    """A message in which a record of a kind says a value, as it was written down at an instant."""
    name = business.name()
    if kind == "item":
        return c.DefineItems(name, "erp", business.at, (replace(A, price_minor=value, recorded_at=at),))
    if kind == "supplier":
        mill = replace(business.state.suppliers["mill"], minimum_order=value, recorded_at=at)
        return c.DefineNetwork(name, "erp", business.at, "EUR", suppliers=(mill,))
    return c.DefineReplenishment(
        name, "erp", business.at, (rule("north", "a", "to_order", pack=value, recorded_at=at),)
    )


def known(business: Business, kind: str) -> int:
    if kind == "item":
        return business.state.items["a"].price_minor
    if kind == "supplier":
        return business.state.suppliers["mill"].minimum_order
    return business.state.replenishment["north"]["a"].pack


@pytest.mark.parametrize("kind", ["item", "supplier", "rule"])
def test_an_older_record_is_refused_and_one_of_the_same_instant_or_of_none_is_taken(kind: str) -> None:
    # MD-01
    business = Business({"north": {"a": 5}}, rules=[rule("north", "a", "to_order")])
    business.accept(told(business, kind, 100, 7))
    assert business.refused(told(business, kind, 99, 8)) == "outdated"
    assert known(business, kind) == 7
    for at, value in ((100, 9), (101, 10), (0, 11), (1, 12)):
        business.accept(told(business, kind, at, value))
        assert known(business, kind) == value


def test_of_a_message_only_the_older_records_are_left_out() -> None:
    # MD-01
    business = Business({"north": {"a": 5}})
    business.accept(told(business, "item", 100, 7))
    dear = replace(B, price_minor=8, recorded_at=50)
    late = c.DefineItems("late", "erp", business.at, (replace(A, price_minor=6, recorded_at=50), dear))
    business.accept(late)
    assert business.events(ItemsDefined)[-1].items == (dear,)
    assert (business.state.items["a"].price_minor, business.state.items["b"].price_minor) == (7, 8)
    known = business.state.warehouses["north"]
    both = replace(told(business, "supplier", 5, 3), warehouses=(known,))  # type: ignore[type-var]
    business.accept(told(business, "supplier", 6, 2))
    business.accept(both)
    assert business.state.suppliers["mill"].minimum_order == 2
