"""What a log gives up of its orders: cancelled, refused, or taken off unit by unit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.foreign_logs import HOUR, START, log_of
from twin.replay.foreign_cases import cases_of
from twin.replay.given_up import GivenUp, given_up_rows
from twin.replay.log_facts import purchases_of

LATER = START + 9 * HOUR


def gone(*events: dict[str, Any], until: int = LATER, line: str | None = "1") -> list[tuple[Any, ...]]:
    """What is given up of an order that these events tell of: a line of five units of x was placed, or, without lines,
    five of x and ten of y."""
    one = {"case_id": f"a/{line}", "order": "a", "line": line, "event_ms": START, "row": 1}
    items = [("x", 5)] if line else [("x", 5), ("y", 10)]
    placed = [{**one, "activity": "order_placed", "item": item, "quantity": units} for item, units in items]
    other = {"case_id": "b/1", "order": "b", "line": "1", "event_ms": START, "activity": "order_placed", "row": 1}
    rows = given_up_rows(log_of([*placed, other, *({**one, **event} for event in events)]), until)
    return sorted((row["order"], row["line"], row["item"]) for row in rows)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], False),
        ([{"activity": "cancelled"}], True),
        ([{"activity": "cancelled", "event_ms": None}], True),
        ([{"activity": "cancelled", "event_ms": LATER}], False),
        ([{"activity": "rejected"}], True),
        ([{"activity": "rejected", "event_ms": LATER}], False),
        ([{"activity": "rejected", "quantity": 0}], False),
        ([{"activity": "rejected", "quantity": 4}], False),
        ([{"activity": "rejected", "quantity": 4}, {"activity": "reduced", "quantity": 1}], True),
        ([{"activity": "rejected", "quantity": 4}, {"activity": "reduced", "quantity": 1, "event_ms": LATER}], False),
        ([{"activity": "delivered", "quantity": 5}], False),
    ],
)
def test_a_line_is_given_up_when_no_unit_of_it_is_left(events: list[dict[str, Any]], expected: bool) -> None:
    """RP-03: at a time before the end, or one that nobody wrote down; units count, where there are some."""
    found = gone(*events)
    assert found == [("a", "1", "x")] * expected
    rows = [{"order": order, "line": line, "item": item} for order, line, item in found]
    assert GivenUp(rows).holds({"order": "a", "line": "1", "item": "x"}) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([{"activity": "rejected", "item": "x"}], ["x"]),
        ([{"activity": "rejected"}], [None]),
        ([{"activity": "cancelled"}], [None]),
        ([{"activity": "cancelled", "item": "y"}], ["y"]),
        ([{"activity": "rejected", "item": item} for item in ("x", "y")], ["x", "y"]),
        # Five units in all, but of neither item all of them.
        ([{"activity": "reduced", "item": item, "quantity": units} for item, units in (("x", 2), ("y", 3))], []),
        ([{"activity": "reduced", "item": item, "quantity": units} for item, units in (("x", 5), ("y", 9))], ["x"]),
    ],
)
def test_of_an_order_without_lines_items_are_given_up(events: list[dict[str, Any]], expected: list[str | None]) -> None:
    """RP-03: and all of it where the log names no item."""
    assert gone(*events, line=None) == [("a", None, item) for item in expected]


def test_an_order_without_lines_is_given_up_with_the_last_of_its_items() -> None:
    """RP-03: one item of two leaves the other, and so do units of which nobody knows how many there were."""
    one = {"case_id": "a", "order": "a", "origin": "p", "event_ms": START, "row": 1}
    placed = [
        {**one, "activity": "order_placed", "item": item, "quantity": units} for item, units in (("x", 5), ("y", 1))
    ]
    refused = [
        {**one, "activity": "rejected", "item": item, "event_ms": START + hours * HOUR}
        for item, hours in (("x", 2), ("y", 5))
    ]
    other = [{**one, "case_id": "b", "order": "b", "activity": name} for name in ("order_placed", "delivered")]

    def case(*rows: dict[str, Any]) -> tuple[bool, int | None]:
        found = next(case for case in cases_of(log_of([*rows, *other])).cases if case.order == "a")
        return found.given_up, found.given_up_at

    assert case(*placed, *refused) == (True, START + 5 * HOUR)
    assert case(*placed, refused[0]) == (False, None)
    unknown = [{**row, "quantity": None} for row in placed]
    assert case(*unknown, {**one, "activity": "reduced", "quantity": 1}) == (False, None)
    assert case(*unknown, {**one, "activity": "cancelled"}) == (True, START)


@pytest.mark.parametrize("lines", [False, True])
def test_a_purchase_is_open_as_long_as_an_item_of_it_is(lines: bool) -> None:
    """RP-03: each item by its own units, with or without numbers of lines."""
    items = {"x": 100, "y": 10}

    def row(activity: str, item: str) -> dict[str, Any]:
        named = {"case_id": f"p/{item}", "line": item} if lines else {"case_id": "p"}
        known = {"purchase_order": "p", "supplier": "s", "event_ms": START, "row": 1}
        return {**known, **named, "activity": activity, "item": item, "quantity": items[item]}

    rows = [*(row("purchase_order_created", item) for item in items), row("rejected", "y")]
    assert [bought.item for bought in purchases_of(log_of(rows), LATER)] == ["x"]
