"""A sample decision service in Python: each line comes from the nearest node that has it, and is promised by the hour.

The rule itself, without any server around it; `app` serves it over HTTP, `python -m adapters.services` over standard
input and output. It takes and gives plain JSON values, as a service written elsewhere would.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["ABOUT", "decide"]

ABOUT: Final[dict[str, Any]] = {
    "name": "nearest",
    "mode": "stateless",
    "decisions": ["sourcing", "promise", "release"],
    "version": "1",
}
HOUR_MS: Final = 3_600_000


def decide(question: dict[str, Any]) -> dict[str, Any]:
    """The answer to a question of either kind."""
    rules = {"sourcing": _source, "promise": _promise, "release": _release}
    return rules[question["decision"]](question)


def _release(question: dict[str, Any]) -> dict[str, Any]:
    """Every order may go."""
    return {"release": True}


def _promise(question: dict[str, Any]) -> dict[str, Any]:
    """The next full hour after the date that the calendars allow."""
    lines = [(line["line"], -(-line["earliest_at"] // HOUR_MS) * HOUR_MS) for line in question["lines"]]
    return {"lines": [{"line": line, "at": at} for line, at in lines]}


def _source(question: dict[str, Any]) -> dict[str, Any]:
    """Stock by the shortest transit, then by the node's name; what is short waits there."""
    taken: dict[tuple[str, str], int] = {}
    legs: list[dict[str, Any]] = []
    for line in question["lines"]:
        ranked = sorted(line["candidates"], key=lambda candidate: (candidate["transit_ms"], candidate["node"]))
        free = {one["node"]: one["available"] - taken.get((one["node"], line["sku"]), 0) for one in ranked}
        stocked = [one["node"] for one in ranked if free[one["node"]] > 0]
        left = line["quantity"]
        if not question["split_lines"]:
            stocked = [node for node in stocked if free[node] >= left][:1]
        for node in stocked:
            units = min(left, free[node])
            if units:
                legs.append(_leg(line, "stock", node, units, "nearest"))
                taken[node, line["sku"]] = taken.get((node, line["sku"]), 0) + units
                left -= units
        if left:
            legs.append(_short(line, ranked, left, reject=question["reject_shortage"]))
    return {"legs": legs}


def _short(line: dict[str, Any], ranked: list[dict[str, Any]], left: int, *, reject: bool) -> dict[str, Any]:
    """What nobody has: it waits at the nearest node, or is bought for the order there."""
    waiting = [one for one in ranked if one["to_order"]] if reject else ranked
    if not waiting:
        return _leg(line, "reject", "", left, "short" if ranked else "no_source")
    route = "replenish" if waiting[0]["to_order"] else "backorder"
    return _leg(line, route, waiting[0]["node"], left, "short:nearest")


def _leg(line: dict[str, Any], route: str, node: str, units: int, reason: str) -> dict[str, Any]:
    return {"line": line["line"], "route": route, "node": node, "quantity": units, "reason": reason}
