"""How the work went: channels, paths and reasons, touches, purchasing, shipments, staleness."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from twin.measures.facts import Facts
from twin.measures.measured import Answer, answer, mean, measure, ratio
from twin.measures.service import CAPTURED

__all__: list[str] = []


@measure("L", "count", CAPTURED)
def orders_captured(facts: Facts) -> Iterator[Answer]:
    """Orders, in all and by channel."""
    yield answer(facts.captured_orders)
    for name in sorted(facts.channels):
        yield answer(facts.channels[name].orders, part=f"channel={name}")


@measure("L", "count", CAPTURED)
def lines_captured(facts: Facts) -> Iterator[Answer]:
    """Order lines, in all and by channel."""
    yield answer(facts.captured_lines)
    for name in sorted(facts.channels):
        yield answer(facts.channels[name].lines, part=f"channel={name}")


@measure("L", "units", CAPTURED)
def units_captured(facts: Facts) -> Iterator[Answer]:
    """Units, in all and by channel."""
    yield answer(facts.captured_units)
    for name in sorted(facts.channels):
        yield answer(facts.channels[name].units, part=f"channel={name}")


@measure("L", "count", "orders that were refused at capture and never came again")
def orders_refused(facts: Facts) -> Answer:
    """Orders that were never accepted."""
    return answer(len(facts.refused_captures))


@measure("L", "count", "commands in the window")
def commands_refused(facts: Facts) -> Iterator[Answer]:
    """Refused commands, in all and by code."""
    yield answer(sum(facts.messages.refused.values()))
    for code in sorted(facts.messages.refused):
        yield answer(facts.messages.refused[code], part=f"code={code}")


@measure("L", "ratio", "lines captured in the window, by the first sourcing")
def path_mix(facts: Facts) -> Iterator[Answer]:
    """Share of lines by the path they took: stock, split (over nodes), backorder, replenish, reject or joined ones."""
    lines = sum(facts.paths.values())
    for path in sorted(facts.paths):
        yield ratio(facts.paths[path], lines, part=f"path={path or 'none'}")


@measure("L", "count", "sourcing legs decided in the window")
def sourcing_decisions(facts: Facts) -> Iterator[Answer]:
    """Legs by route and by the rule that decided."""
    yield answer(sum(facts.decisions.values()))
    for name in sorted(facts.decisions):
        route, _, rule = name.partition(":")
        yield answer(facts.decisions[name], part=f"route={route},rule={rule}")


@measure("L", "units", "reservations that ran out in the window")
def reservation_expired_units(facts: Facts) -> Answer:
    """Units whose reservation ran out."""
    return answer(facts.expired_units)


@measure("L", "ratio", CAPTURED)
def touchless_rate(facts: Facts) -> Answer:
    """Orders that no person gave a command about (hold, release of a hold, cancellation by the company, redrive). An
    actor whose name begins with `a tool` is no person.
    """
    return ratio(facts.captured_orders - facts.touched_orders, facts.captured_orders)


@measure("L", "per order", CAPTURED)
def manual_touches_per_order(facts: Facts) -> Answer:
    """Commands by people about an order or its messages, per order."""
    return ratio(facts.touches, facts.captured_orders)


@measure("L", "ratio", CAPTURED)
def order_fallout(facts: Facts) -> Answer:
    """Orders that left straight-through processing: a dead letter, or a person's command."""
    return ratio(facts.fallout_orders, facts.captured_orders)


@measure("L", "ratio", "answers and first attempts in the window, of partners that acknowledge")
def goodput(facts: Facts) -> Answer:
    """Messages that were answered within the timeout of the attempt that the answer is to, per message wanted.

    What is answered late was done, but not in time: it counts as nothing here. An ERP's confirmation does not say
    which attempt it is to; it is taken for that of the present one.
    """
    return ratio(facts.messages.in_time, facts.messages.awaited)


@measure("L", "ratio", "messages that first went wrong in the window, of those wanted in it; partners that acknowledge")
def integration_failure_rate(facts: Facts) -> Answer:
    """Messages of which an attempt failed, was refused or had no answer in time, of all messages."""
    return ratio(facts.messages.failed, facts.messages.awaited)


@measure("L", "ratio", "days of the window; where the ERP confirms invoices")
def reporting_consistency(facts: Facts) -> Answer:
    """1 - sum over days of |sales shipped by operations - invoices posted by finance| / sum of sales shipped.

    What is posted on another day than it was shipped is apart on both: with nothing posted the measure is 0, with all
    of it posted on other days it is -1.
    """
    shipped, posted = facts.shipped_by_day, facts.posted_by_day
    total = sum(shipped.values())
    apart = sum(abs(shipped.get(day, 0) - posted.get(day, 0)) for day in {**shipped, **posted})
    confirms = facts.messages.acknowledged.get("erp", True)
    return ratio(total - apart, total if confirms else 0)


@measure("L", "ratio", "whole periods of the cost rates in the window")
def bullwhip_ratio(facts: Facts) -> Answer:
    """Variance of the units ordered upstream over that of the units demanded, per period, over all items (Chen 2000).

    Both variances are of the population of whole periods, so their factors cancel.
    """
    period = facts.rates.period_ms
    first = -((facts.start - facts.begin) // period)
    last = (facts.end - facts.start) // period
    count = last - first
    if count < 2:
        return Answer(None, note="fewer than two whole periods")

    def variance(units: dict[int, int]) -> int:
        values = [units.get(index, 0) for index in range(first, last)]
        return count * sum([value * value for value in values]) - sum(values) ** 2

    placed, demanded = variance(facts.ordered), variance(facts.demand)
    square = count * count
    return ratio(Fraction(placed, square), Fraction(demanded, square), f"{count} periods")


@measure("L", "ms", "stock legs decided in the window at nodes that are counted")
def feed_staleness(facts: Facts) -> Answer:
    """Mean age of the last count at the moment a sourcing decision relied on the item's stock at the node."""
    return mean(facts.feed_ages)


@measure("L", "ms", "purchase orders made in the window")
def time_shortage_to_purchase_order(facts: Facts) -> Answer:
    """Mean time from a line's shortage to the purchase order pegged to it."""
    return mean(facts.shortage_to_purchase)


@measure("L", "count", "purchase orders made in the window")
def unpegged_purchase_orders(facts: Facts) -> Answer:
    """Purchase orders that no waiting demand is pegged to: bought for stock."""
    return answer(facts.unpegged_purchase_orders, f"of {facts.purchase_orders}")


@measure("L", "count", "made in the window")
def purchase_orders(facts: Facts) -> Answer:
    """Purchase orders."""
    return answer(facts.purchase_orders)


@measure("L", "ms", "purchase orders answered in the window")
def supplier_response_time(facts: Facts) -> Answer:
    """Mean time from a purchase order to its first acknowledgement or rejection."""
    return mean(facts.supplier_response)


@measure("L", "ratio", "shipments delivered in the window")
def milestone_completeness(facts: Facts) -> Answer:
    """Delivered shipments that the carrier also reported as picked up (or in transit) before."""
    return ratio(facts.shipments_picked_up, facts.shipments_delivered)


@measure("L", "ms", "milestones that came in the window")
def milestone_lag(facts: Facts) -> Answer:
    """Mean time from a milestone, delivery included, to its arrival here."""
    return mean(facts.milestone_lag)


@measure("L", "ratio", "deliveries sent in the window")
def retry_amplification(facts: Facts) -> Answer:
    """Attempts sent to outside parties per logical operation."""
    return ratio(facts.messages.calls, facts.messages.operations)
