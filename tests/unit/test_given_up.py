"""What a log gives up of its orders: cancelled, refused, or taken off unit by unit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.foreign_logs import HOUR, START, log_of
from twin.replay.foreign_cases import cases_of, known_before
from twin.replay.given_up import GivenUp, given_up_rows
from twin.replay.log_facts import parcels_of, purchases_of

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
        # Units of the whole order.
        ([{"activity": "rejected", "quantity": 14}], []),
        ([{"activity": "rejected", "quantity": 15}], [None]),
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


@pytest.mark.parametrize(("placed", "told"), [("x", None), (None, "x"), ("x", "x"), ("x", "y"), (None, None)])
def test_what_is_taken_off_an_order_of_one_item_is_of_that_whoever_names_it(
    placed: str | None, told: str | None
) -> None:
    """RP-03: many a system names the item where the order is placed, and nowhere else."""
    one = {"case_id": "a", "order": "a", "event_ms": START, "row": 1}
    for units, expected in ((2, [("a", None, None)]), (1, [])):
        rows = [
            {**one, "activity": "order_placed", "item": placed, "quantity": 2},
            {**one, "activity": "rejected", "item": told, "quantity": units},
        ]
        found = given_up_rows(log_of(rows), LATER)
        assert [(row["order"], row["line"], row["item"]) for row in found] == expected


def test_what_was_given_up_at_no_known_time_is_known_from_the_start() -> None:
    """RP-03: also where its units were taken off at one that is known; the cases and the parcels agree on it."""
    one = {"case_id": "a", "order": "a", "origin": "p", "event_ms": START, "row": 1}
    rows = [
        {**one, "activity": "order_placed", "quantity": 2},
        {**one, "activity": "cancelled", "event_ms": None},
        {**one, "activity": "reduced", "quantity": 2, "event_ms": LATER},
        *({**one, "case_id": "b", "order": "b", "activity": name} for name in ("order_placed", "delivered")),
    ]
    case = next(case for case in cases_of(log_of(rows)).cases if case.order == "a")
    assert (case.given_up, case.given_up_at) == (True, None)
    assert known_before([case], START, START + HOUR)[0].given_up
    assert [row["order"] for row in given_up_rows(log_of(rows), START + HOUR)] == ["a"]


def transits(until: int, *more: dict[str, Any]) -> list[tuple[int, int, int]]:
    """Hours at which parcels without a name were released, shipped and delivered, of an order of two lines from one
    site: the second left and came later; -1 for what had not happened before."""
    rows = [
        {"case_id": f"a/{line}", "order": "a", "line": line, "site": "s", "activity": activity, "row": 1}
        | {"event_ms": START + hours * HOUR}
        for line, steps in (("1", (0, 1, 3)), ("2", (0, 10, 12)))
        for activity, hours in zip(("order_placed", "handed_to_carrier", "delivered"), steps, strict=True)
    ]
    found = parcels_of(log_of([*rows, *more]), START + until * HOUR)
    instants = [(one.released_at, one.shipped_at, one.delivered_at) for one in found]
    return [tuple(-1 if at < 0 else (at - START) // HOUR for at in one) for one in instants]  # type: ignore[misc]


def test_a_parcel_without_a_name_has_left_and_come_with_its_last_line() -> None:
    """RP-05: until then it is open, wherever the log is cut; a line that is given up is not waited for."""
    assert transits(2) == [(0, -1, -1)]
    assert transits(11) == [(0, 10, -1)]
    assert transits(13) == [(0, 10, 12)]
    gone = {
        "case_id": "a/2",
        "order": "a",
        "line": "2",
        "activity": "cancelled",
        "event_ms": START + 5 * HOUR,
        "row": 1,
    }
    assert transits(4, gone) == [(0, -1, -1)]
    assert transits(9, gone) == [(0, 1, 3)]


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
