"""Where an order's lines come from: filter, rank, allocate, split.

A rule ranks the candidates of a line or abstains; the first rule that separates the best from the second decides,
and the last tie-break is the node's id. There are no weighted scores: every leg names the rule that chose it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from twin.core.events import Considered, Leg

__all__ = ["RULES", "Candidate", "Plan", "SourcingContext", "SourcingLine", "source"]


class Candidate(Struct, frozen=True, gc=False):
    """A node that could serve a line: units available to this order there, promised transit in ms, freight in minor
    units, and whether the node buys the item to order instead of stocking it."""

    node: str
    available: int
    transit_ms: int
    cost_minor: int
    to_order: bool = False


class SourcingLine(Struct, frozen=True, gc=False):
    """A line that needs a source. `candidates` are all nodes that hold the item and have a lane to the region."""

    line: int
    sku: str
    quantity: int
    candidates: tuple[Candidate, ...]


class SourcingContext(Struct, frozen=True, gc=False):
    """Everything a sourcing decision may look at: observed stock only, never the shelf."""

    now: int
    order: str
    region: str
    lines: tuple[SourcingLine, ...]
    preferred: str = ""
    split_lines: bool = True
    reject_shortage: bool = False
    coverage: dict[str, int] = {}
    ranking: tuple[str, ...] = ()


class Plan(Struct, frozen=True, gc=False):
    """The decision: legs whose quantities sum to what was asked, and the candidates that were looked at."""

    legs: tuple[Leg, ...]
    considered: tuple[Considered, ...]


Rule = Callable[[SourcingContext, SourcingLine, Sequence[Candidate]], list[int] | None]
"""Ranks candidates, lower is better, or returns None to abstain."""


def preferred_node(context: SourcingContext, line: SourcingLine, candidates: Sequence[Candidate]) -> list[int] | None:
    """The region's preferred warehouse first; abstains where the region has none."""
    if not context.preferred:
        return None
    return [0 if candidate.node == context.preferred else 1 for candidate in candidates]


def ranked_nodes(context: SourcingContext, line: SourcingLine, candidates: Sequence[Candidate]) -> list[int] | None:
    """The warehouses in the order of the business's ranking; what does not stand in it comes after, all alike."""
    ranking = context.ranking
    if not ranking:
        return None
    places = {node: place for place, node in enumerate(ranking)}
    return [places.get(candidate.node, len(ranking)) for candidate in candidates]


def minimize_splits(context: SourcingContext, line: SourcingLine, candidates: Sequence[Candidate]) -> list[int] | None:
    """First the nodes that can fill the line whole, among them those that can fill most lines of the order."""
    coverage = context.coverage
    worst = len(context.lines) + 1
    return [
        -coverage.get(candidate.node, 0) if candidate.available >= line.quantity else worst for candidate in candidates
    ]


def nearest(context: SourcingContext, line: SourcingLine, candidates: Sequence[Candidate]) -> list[int] | None:
    """The shortest promised transit to the region."""
    return [candidate.transit_ms for candidate in candidates]


def cheapest(context: SourcingContext, line: SourcingLine, candidates: Sequence[Candidate]) -> list[int] | None:
    """The lowest freight for the line shipped alone."""
    return [candidate.cost_minor for candidate in candidates]


def most_stock(context: SourcingContext, line: SourcingLine, candidates: Sequence[Candidate]) -> list[int] | None:
    """The node with most units available."""
    return [-candidate.available for candidate in candidates]


RULES: Final[dict[str, Rule]] = {
    "preferred_node": preferred_node,
    "ranked_nodes": ranked_nodes,
    "minimize_splits": minimize_splits,
    "nearest": nearest,
    "cheapest": cheapest,
    "most_stock": most_stock,
}


def source(context: SourcingContext, rules: Sequence[str]) -> Plan:
    """Decide every line of the context; the legs of a line sum to its quantity.

    Raises `KeyError` for an unknown rule name; `DefinePolicies` refuses one before it gets here.
    """
    legs: list[Leg] = []
    considered: list[Considered] = []
    taken: dict[tuple[str, str], int] = {}
    several = len(context.lines) > 1
    if several:
        _cover(context)
    for line in context.lines:
        candidates: Sequence[Candidate] = line.candidates
        if several and taken:
            candidates = _remaining(line, taken)
        if len(candidates) == 1 and candidates[0].available >= line.quantity:
            leg = Leg(line.line, "stock", candidates[0].node, line.quantity, "only_candidate")
            legs.append(leg)
            if several:
                key = (leg.node, line.sku)
                taken[key] = taken.get(key, 0) + leg.quantity
            continue
        considered.extend(Considered(line.line, candidate.node, candidate.available) for candidate in candidates)
        for leg in _allocate(context, line, candidates, rules):
            legs.append(leg)
            if leg.route == "stock":
                key = (leg.node, line.sku)
                taken[key] = taken.get(key, 0) + leg.quantity
    return Plan(tuple(legs), tuple(considered))


def _cover(context: SourcingContext) -> None:
    """Count for each node the lines that it could fill whole, once an order."""
    coverage = context.coverage
    for line in context.lines:
        for candidate in line.candidates:
            if candidate.available >= line.quantity:
                coverage[candidate.node] = coverage.get(candidate.node, 0) + 1


def _remaining(line: SourcingLine, taken: dict[tuple[str, str], int]) -> Sequence[Candidate]:
    """The line's candidates less what earlier lines of this order took of the same item."""
    return [
        candidate
        if (used := taken.get((candidate.node, line.sku), 0)) == 0
        else Candidate(
            candidate.node,
            candidate.available - used,
            candidate.transit_ms,
            candidate.cost_minor,
            candidate.to_order,
        )
        for candidate in line.candidates
    ]


def _rank(
    context: SourcingContext, line: SourcingLine, candidates: Sequence[Candidate], rules: Sequence[str]
) -> tuple[list[Candidate], str, str]:
    """The candidates best first, the rule that put the first before the second, and the second's node."""
    if len(candidates) == 1:
        return list(candidates), "only_candidate", ""
    columns: list[tuple[str, list[int]]] = []
    for name in rules:
        ranks = RULES[name](context, line, candidates)
        if ranks is not None:
            columns.append((name, ranks))
    order = sorted(
        range(len(candidates)),
        key=lambda index: ([ranks[index] for _, ranks in columns], candidates[index].node),
    )
    first, second = order[0], order[1]
    decided = "node_id"
    for name, ranks in columns:
        if ranks[first] != ranks[second]:
            decided = name
            break
    return [candidates[index] for index in order], decided, candidates[second].node


def _allocate(
    context: SourcingContext, line: SourcingLine, candidates: Sequence[Candidate], rules: Sequence[str]
) -> list[Leg]:
    if not candidates:
        return [Leg(line.line, "reject", "", line.quantity, "no_source")]
    legs: list[Leg] = []
    left = line.quantity
    with_stock = [candidate for candidate in candidates if candidate.available > 0]
    if with_stock:
        ranked, rule, runner_up = _rank(context, line, with_stock, rules)
        if ranked[0].available >= left or context.split_lines:
            for index, candidate in enumerate(ranked):
                take = min(left, candidate.available)
                legs.append(
                    Leg(
                        line.line,
                        "stock",
                        candidate.node,
                        take,
                        rule if index == 0 else "split_line",
                        runner_up,
                    )
                )
                left -= take
                if left == 0:
                    return legs
                runner_up = ranked[index + 2].node if index + 2 < len(ranked) else ""
        else:
            whole = [candidate for candidate in ranked if candidate.available >= left]
            if whole:
                return [Leg(line.line, "stock", whole[0].node, left, "whole_line", ranked[0].node)]
    if context.reject_shortage:
        # What somebody buys to order is not short: nobody stocks it.
        candidates = [candidate for candidate in candidates if candidate.to_order]
        if not candidates:
            legs.append(Leg(line.line, "reject", "", left, "short"))
            return legs
    ranked, rule, runner_up = _rank(context, line, candidates, rules)
    home = ranked[0]
    route = "replenish" if home.to_order else "backorder"
    legs.append(Leg(line.line, route, home.node, left, f"short:{rule}", runner_up))
    return legs
