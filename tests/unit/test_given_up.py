"""What a log gives up of its orders: cancelled, refused, or taken off unit by unit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.foreign_logs import HOUR, START, log_of
from twin.replay.given_up import GivenUp, given_up_rows

LATER = START + 9 * HOUR


def gone(*events: dict[str, Any], until: int = LATER, line: str | None = "1") -> list[tuple[Any, ...]]:
    """What is given up of an order of which a line of five units was placed and these events tell."""
    one = {"case_id": f"a/{line}", "order": "a", "line": line, "event_ms": START, "row": 1}
    placed = [{**one, "activity": "order_placed", "item": item, "quantity": 5} for item in ("x", "y")[: 1 + (not line)]]
    other = {"case_id": "b/1", "order": "b", "line": "1", "event_ms": START, "activity": "order_placed", "row": 1}
    rows = given_up_rows(log_of([*placed, other, *({**one, **event} for event in events)]), until)
    return [(row["order"], row["line"], row["item"]) for row in rows]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], False),
        ([{"activity": "cancelled"}], True),
        ([{"activity": "cancelled", "event_ms": None}], True),
        ([{"activity": "cancelled", "event_ms": LATER}], False),
        ([{"activity": "rejected"}], True),
        ([{"activity": "rejected", "event_ms": LATER}], False),
        ([{"activity": "rejected", "quantity": 4}], False),
        ([{"activity": "rejected", "quantity": 4}, {"activity": "reduced", "quantity": 1}], True),
        ([{"activity": "rejected", "quantity": 4}, {"activity": "reduced", "quantity": 1, "event_ms": LATER}], False),
    ],
)
def test_a_line_is_given_up_when_no_unit_of_it_is_left(events: list[dict[str, Any]], expected: bool) -> None:
    """RP-03: at a time before the end, or one that nobody wrote down; units count, where there are some."""
    found = gone(*events)
    assert [(order, line) for order, line, _ in found] == [("a", "1")] * expected
    assert GivenUp([{"order": order, "line": line, "item": item} for order, line, item in found]).holds(
        {"order": "a", "line": "1", "item": "x"}
    ) == bool(expected)


def test_of_an_order_without_lines_the_item_that_was_refused_is_given_up() -> None:
    """RP-03: and all of it where the log names no item, or both."""
    assert gone({"activity": "rejected", "item": "x"}, line=None) == [("a", None, "x")]
    assert gone({"activity": "rejected"}, line=None) == [("a", None, None)]
    both = ({"activity": "rejected", "item": item} for item in ("x", "y"))
    assert gone(*both, line=None) == [("a", None, None)]
