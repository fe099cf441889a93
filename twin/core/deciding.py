"""What outside services decide (sourcing, promises, releases): their answers, held against the state as it is then.

Order, question and answer are three entries. Between them the units are in `sourcing`; a question without a decision
that can be carried out opens them again, and the follow-up asks anew, or does what the policy says instead. An order
waits for no date: it goes on while the question for one is open. Units that may or may not be released stay reserved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twin.core import buckets
from twin.core.attempts import succeed_attempt
from twin.core.commands import DecidedLeg, DecidePromise, DecideRelease, DecideSourcing
from twin.core.draft import Draft
from twin.core.effects import AskPromise, AskRelease
from twin.core.events import Considered, Leg, OrderHeld, SourcingUnanswered
from twin.core.ordering import carry_out, context_of, not_promised, promise, release_asked_for
from twin.core.refusals import Refusal
from twin.core.sourcing import Candidate, Plan, SourcingLine
from twin.core.state import State

__all__ = ["PROMISE_MAX", "decide_promise", "decide_release", "decide_sourcing", "what_is_wrong"]

PROMISE_MAX: Final = 253_402_300_799_999
"""Last instant that may be promised, in ms: the end of the year 9999, past which no calendar has a date."""

_ROUTES: Final = ("stock", "backorder", "replenish", "reject")


def decide_sourcing(state: State, command: DecideSourcing, now: int, draft: Draft) -> Refusal | None:
    """Take an outside service's decision, and carry it out where the state still allows it."""
    order = state.orders.get(command.order)
    if order is None:
        return Refusal("unknown_order", f"order '{command.order}' is not open")
    if not order.asked or order.asked != command.request:
        return Refusal("not_asked", f"'{command.request}' is no open question about order '{order.id}'")
    opened = state.deliveries.get(command.request)
    if opened is not None:
        succeed_attempt(state, opened, now, draft)
    wanted = [
        (number, line.sku, line.buckets[buckets.SOURCING])
        for number, line in order.lines.items()
        if line.buckets[buckets.SOURCING]
    ]
    lines = context_of(state, order, wanted, now).lines
    reason = what_is_wrong(wanted, lines, command.legs)
    if reason:
        draft.events.append(SourcingUnanswered(order.id, command.request, reason))
        return None
    legs = [
        Leg(leg.line, leg.route, leg.node, leg.quantity, leg.reason or "outside", leg.runner_up) for leg in command.legs
    ]
    considered = [
        Considered(line.line, candidate.node, candidate.available)
        for line in lines
        if len(line.candidates) != 1 or line.candidates[0].available < line.quantity
        for candidate in line.candidates
    ]
    carry_out(state, order, wanted, Plan(tuple(legs), tuple(considered)), now, draft, decided_by=command.source)
    return None


def decide_promise(state: State, command: DecidePromise, now: int, draft: Draft) -> Refusal | None:
    """Take an outside service's dates; where they make no sense those that the calendars allow hold."""
    opened = state.deliveries.get(command.request)
    order = state.orders.get(command.order)
    effect = None if opened is None else opened.delivery.effect
    if opened is None or order is None or not isinstance(effect, AskPromise) or effect.order != command.order:
        return Refusal("not_asked", f"'{command.request}' is no open question about order '{command.order}'")
    succeed_attempt(state, opened, now, draft)
    asked = [line.line for line in effect.lines]
    told = [number for number, _ in command.lines]
    reason = ""
    if sorted(told) != sorted(asked):
        reason = f"dates for lines {_numbers(told)}; asked for were {_numbers(asked)}"
    elif any(at < order.captured_at for _, at in command.lines):
        reason = "a date before the order was captured"
    elif any(at > PROMISE_MAX for _, at in command.lines):
        reason = "a date after the year 9999"
    if reason:
        not_promised(order, effect, command.request, reason, draft)
    else:
        promise(order, command.lines, draft)
    return None


def decide_release(state: State, command: DecideRelease, now: int, draft: Draft) -> Refusal | None:
    """Take an outside service's word on whether an order may go; one that may not is held."""
    order = state.orders.get(command.order)
    opened = state.deliveries.get(command.request)
    effect = None if opened is None else opened.delivery.effect
    if opened is None or order is None or order.release_asked != command.request or not isinstance(effect, AskRelease):
        return Refusal("not_asked", f"'{command.request}' is no open question about order '{command.order}'")
    succeed_attempt(state, opened, now, draft)
    if command.release or not order.soft:
        release_asked_for(state, order, effect, command.request, now, draft)
    else:
        draft.events.append(OrderHeld(order.id, command.reason or f"{command.source} does not release it"))
    return None


def what_is_wrong(
    wanted: Sequence[tuple[int, str, int]], lines: Sequence[SourcingLine], legs: Sequence[DecidedLeg]
) -> str:
    """Why legs cannot be carried out for the units `wanted`, as (line, sku, quantity), among the candidates of `lines`.

    Empty where they can.
    """
    return _miscounted(wanted, legs) or _unreal(lines, legs)


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"


def _miscounted(wanted: Sequence[tuple[int, str, int]], legs: Sequence[DecidedLeg]) -> str:
    """What is wrong with the lines, routes and numbers of legs; empty where nothing is."""
    left = {number: quantity for number, _, quantity in wanted}
    for leg in legs:
        if leg.line not in left:
            return f"line {leg.line} was not asked for"
        if leg.quantity <= 0:
            return f"line {leg.line}: {leg.quantity} units from '{leg.node}'"
        if leg.route not in _ROUTES:
            return f"line {leg.line}: route '{leg.route}'; routes are {', '.join(_ROUTES)}"
        left[leg.line] -= leg.quantity
    for number, units in left.items():
        if units:
            return f"line {number}: {abs(units)} units too {'few' if units > 0 else 'many'}"
    return ""


def _unreal(lines: Sequence[SourcingLine], legs: Sequence[DecidedLeg]) -> str:
    """Which leg is from a place that is no candidate, or has not the units any more."""
    nodes: dict[int, dict[str, Candidate]] = {
        line.line: {candidate.node: candidate for candidate in line.candidates} for line in lines
    }
    skus = {line.line: line.sku for line in lines}
    taken: dict[tuple[str, str], int] = {}
    for leg in legs:
        if leg.route == "reject":
            if leg.node:
                return f"line {leg.line}: route 'reject' at '{leg.node}'; it is at no node"
            continue
        candidate = nodes[leg.line].get(leg.node)
        if candidate is None:
            return f"line {leg.line}: '{leg.node}' is no candidate"
        if leg.route == "stock":
            key = (leg.node, skus[leg.line])
            taken[key] = taken.get(key, 0) + leg.quantity
            if taken[key] > candidate.available:
                return f"line {leg.line}: {taken[key]} units from '{leg.node}', which has {max(0, candidate.available)}"
        elif (leg.route == "replenish") != candidate.to_order:
            kind = "buys to order" if candidate.to_order else "stocks it"
            return f"line {leg.line}: route '{leg.route}' from '{leg.node}', which {kind}"
    return ""
