"""What must be nothing, and what must be whole: effects, bills, messages, transitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from twin.measures.facts import Facts
from twin.measures.measured import Answer, answer, measure, ratio

__all__: list[str] = []

RUN = "the whole run, warm-up included"
RULES: Final = (
    "promise_after_request",
    "release_after_promise",
    "release_while_held",
    "retry_after_deadline",
    "retry_beyond_limit",
)
"""Rules whose breaches are counted."""


@measure("L", "count", RUN)
def duplicate_effect_count(facts: Facts) -> Iterator[Answer]:
    """Business effects beyond the first for the same key, and units beyond what was ordered; must be 0."""
    yield answer(sum(facts.duplicates.values()))
    for effect in sorted(facts.duplicates):
        yield answer(facts.duplicates[effect], part=f"effect={effect}")


@measure("L", "count", RUN)
def lost_effect_count(facts: Facts) -> Iterator[Answer]:
    """Effects that an event obliges the engine to and that were not sent with it; must be 0.

    A dead letter is not lost: it waits visibly.
    """
    lost = facts.messages.lost
    yield answer(sum(lost.values()), f"of {facts.messages.required} required")
    for effect in sorted(lost):
        yield answer(lost[effect], part=f"effect={effect}")


@measure("L", "count", "decisions in the window")
def policy_breaches(facts: Facts) -> Iterator[Answer]:
    """Decisions that broke a rule: `promise_after_request` (the first promise is later than the customer asked for),
    `release_after_promise` (released when the promised date had passed), and those that the engine must never take:
    `release_while_held`, `retry_after_deadline`, `retry_beyond_limit`.
    """
    yield answer(sum(facts.breaches.values()))
    for rule in RULES:
        yield answer(facts.breaches.get(rule, 0), part=f"rule={rule}")


@measure("L", "count", RUN)
def illegal_transition_count(facts: Facts) -> Answer:
    """Events that no stage table allows, or that are about something that is not open; must be 0."""
    return answer(facts.illegal_transitions)


@measure("L", "count", "in the window")
def fallbacks(facts: Facts) -> Iterator[Answer]:
    """What was taken to somebody else since its counterpart could not be told: `warehouse` are releases that were
    sourced elsewhere, `supplier` purchase orders that went to another supplier. Where a service outside decides,
    `service` are decisions that the engine took, since the service gave none that could be carried out.
    """
    messages, outside = facts.messages, facts.outside
    yield answer(messages.fallbacks + messages.other_suppliers + outside.fallbacks)
    yield answer(messages.fallbacks, part="warehouse")
    yield answer(messages.other_suppliers, part="supplier")
    if outside.asked:
        yield answer(outside.fallbacks, part="service")


@measure("L", "count", "in the window")
def status_requests(facts: Facts) -> Iterator[Answer]:
    """Questions to counterparts that were silent about an order; tickets opened after questions in vain."""
    yield answer(facts.messages.chases)
    yield answer(facts.messages.tickets, part="tickets")


@measure("L", "count", RUN)
def leapfrogs(facts: Facts) -> Answer:
    """Attempts sent while an older message about the same order (or purchase order) to the same partner was unsettled.

    A partner that reads them in the order of their coming may then act on the later one first. It is 0 where the
    partner's send queue keeps the order.
    """
    return answer(facts.messages.leapfrogs)


@measure("L", "count", RUN)
def stale_overwrites(facts: Facts) -> Answer:
    """Older news that overwrote newer: a count taken before the last one, a supplier's date that it had changed since,
    or the failure of an attempt that had been given up before taken for that of the present one; must be 0.
    """
    return answer(facts.stale_overwrites)


@measure("L", "count", "at the end")
def dead_letters(facts: Facts) -> Iterator[Answer]:
    """Deliveries that were given up and wait for somebody; how many came in the window."""
    yield answer(len(facts.messages.dead))
    yield answer(facts.messages.dead_lettered, part="inflow")


@measure("L", "count", "dead letters that came in the window")
def incompatible_messages(facts: Facts) -> Iterator[Answer]:
    """Messages given up since their counterpart did not understand their version, and by counterpart where there are
    any: those refused as an unsupported version.
    """
    refused = facts.messages.unsupported
    yield answer(sum(refused.values()))
    for gateway in sorted(refused):
        yield answer(refused[gateway], part=f"gateway={gateway}")


@measure("L", "ms", "at the end")
def dead_letters_oldest_age(facts: Facts) -> Answer:
    """Age of the oldest dead letter."""
    return answer(max([facts.end - found.since for found in facts.messages.dead.values()], default=None))


@measure("L", "minor", "at the end")
def dead_letters_value(facts: Facts) -> Answer:
    """Value, as ordered, of the open orders behind the dead letters."""
    behind = dict.fromkeys(found.correlation for found in facts.messages.dead.values())
    orders = [facts.orders[order] for order in behind if order in facts.orders]
    value = sum(line.ordered * line.price_minor for order in orders for line in order.lines.values())
    return answer(value, f"{len(orders)} orders")


@measure("L", "count", RUN)
def invoices_before_ship(facts: Facts) -> Answer:
    """Invoices over units that were not shipped; must be 0."""
    return answer(facts.invoices_before_ship)


@measure("L", "ms", "invoices made in the window")
def ship_to_invoice_lag(facts: Facts) -> Answer:
    """Mean time from a shipment to its invoice."""
    return ratio(facts.invoice_lag_sum, facts.invoice_count)


@measure("L", "minor", RUN)
def unbilled_shipped_value(facts: Facts) -> Answer:
    """Value of units shipped and not billed by the end; must be 0."""
    return answer(facts.unbilled_value)


@measure("L", "minor", RUN)
def double_billed_value(facts: Facts) -> Answer:
    """Value of units billed beyond what was shipped; must be 0."""
    return answer(facts.double_billed_value)


@measure("L", "ratio", "deliveries and answers about open orders, in the window")
def message_criticality_coverage(facts: Facts) -> Answer:
    """Messages about an order that carry its business class; must be 1."""
    return ratio(facts.messages.with_criticality, facts.messages.about_orders)


@measure("L", "ratio", "deliveries and answers in the window")
def trace_completeness(facts: Facts) -> Answer:
    """Deliveries with a correlation id and answers with both correlation and causation, of all."""
    return ratio(facts.messages.traced, facts.messages.messages)


@measure("L", "ratio", "deliveries and answers in the window")
def correlation_completeness(facts: Facts) -> Answer:
    """Deliveries and answers whose correlation id is that of an order or purchase order in the log, of all."""
    return ratio(facts.messages.resolved, facts.messages.messages)


@measure("L", "ratio", RUN)
def event_completeness(facts: Facts) -> Answer:
    """Shipped units whose reservation and release were events as well, of all shipped."""
    return ratio(facts.chained_units, facts.moved_units)


@measure("L", "count", "events in the window")
def audit_gaps(facts: Facts) -> Answer:
    """Events whose entry lacks an actor (source and message id), a cause (for answers) or a time; must be 0."""
    return answer(facts.messages.gaps, f"of {facts.messages.audited} events")
