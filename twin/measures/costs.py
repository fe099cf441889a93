"""The cost ledger: what came in, what it cost, what is left; minor units throughout."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from twin.measures.facts import Facts
from twin.measures.measured import Answer, Exact, answer, measure, ratio
from twin.measures.records import ChannelFacts

__all__ = ["holding_minor", "late_penalty_minor", "margin_minor", "penalty_minor", "support_minor"]

YEAR_MS: Final = 365 * 86_400_000
MOVED: Final = "by the instant at which it happened, in the window"


def holding_minor(facts: Facts) -> Fraction:
    """What the stock of the window cost to hold, exactly."""
    rates = facts.rates
    per_unit = Fraction(*rates.holding)
    share = Fraction(rates.holding_ppm_per_year, 1_000_000 * YEAR_MS)
    if rates.charge == "period_end":
        return facts.ends_on_hand * per_unit + facts.ends_value * share * rates.period_ms
    units = sum(cell.on_hand_area for _, cell in facts.all_cells())
    value = sum(cell.value_area for _, cell in facts.all_cells())
    return units * per_unit / rates.period_ms + value * share


def penalty_minor(facts: Facts) -> Fraction:
    """What the backordered units of the window cost, exactly."""
    rates = facts.rates
    per_unit = Fraction(*rates.penalty)
    if rates.charge == "period_end":
        return facts.ends_backordered * per_unit
    return sum(cell.backordered_area for _, cell in facts.all_cells()) * per_unit / rates.period_ms


def late_penalty_minor(facts: Facts) -> Fraction:
    """What was forfeited for orders that missed the date asked for, exactly."""
    return Fraction(facts.late_value * facts.rates.late_ppm, 1_000_000)


def support_minor(facts: Facts) -> int:
    """What the work of people on orders cost."""
    return (facts.touches + facts.messages.tickets) * facts.rates.touch_minor


def margin_minor(facts: Facts) -> Fraction:
    """Revenue less all costs of the ledger, exactly."""
    costs = facts.cost_of_goods + facts.freight + facts.ordering + facts.intervention_cost
    charged = holding_minor(facts) + penalty_minor(facts) + late_penalty_minor(facts) + support_minor(facts)
    return facts.revenue - costs - charged


def _with_channels(facts: Facts, total: Exact, field: str, note: str = "") -> Iterator[Answer]:
    """The sum, per order and per line captured; then each channel's."""
    yield answer(total, note)
    yield ratio(total, facts.captured_orders, part="per_order")
    yield ratio(total, facts.captured_lines, part="per_line")
    for name in sorted(facts.channels):
        channel: ChannelFacts = facts.channels[name]
        amount = getattr(channel, field)
        yield answer(amount, part=f"channel={name}")
        yield ratio(amount, channel.orders, part=f"channel={name},per_order")
        yield ratio(amount, channel.lines, part=f"channel={name},per_line")


@measure("L", "minor", MOVED)
def intervention_cost(facts: Facts) -> Answer:
    """What people's interventions cost."""
    return answer(facts.intervention_cost)


@measure("L", "count", MOVED)
def interventions(facts: Facts) -> Answer:
    """How often people intervened."""
    return answer(facts.interventions)


@measure("L", "minor", MOVED)
def revenue(facts: Facts) -> Iterator[Answer]:
    """Invoices less credits; in all, per order and line captured, and by channel."""
    late = facts.late_credits
    return _with_channels(
        facts,
        facts.revenue,
        "revenue",
        f"credits of {late} came after their order was closed: in no channel" * (late > 0),
    )


@measure("L", "minor", MOVED)
def credited_value(facts: Facts) -> Answer:
    """Credits to customers."""
    return answer(facts.credited)


@measure("L", "minor", MOVED)
def shipped_value(facts: Facts) -> Answer:
    """Units shipped, at the prices of their orders."""
    return answer(facts.shipped_value)


@measure("L", "minor", MOVED)
def billed_value(facts: Facts) -> Answer:
    """Units billed, at the prices of their orders: what the invoices should come to."""
    return answer(facts.billed_value)


@measure("L", "minor", "invoices made in the window; where the ERP confirms them")
def unposted_value(facts: Facts) -> Answer:
    """Invoices that the ERP has not posted by the end: nobody will pay them; not in the margin."""
    confirms = facts.messages.acknowledged.get("erp", True)
    return answer(sum(facts.unposted.values()) if confirms else 0)


@measure("L", "minor", MOVED)
def written_off(facts: Facts) -> Answer:
    """Stock that adjustments and counts took away, less what they found, at standard cost; not in the margin.

    Below 0 where more was found than went: also where what went before the window is found again in it.
    """
    return answer(facts.written_off)


@measure("L", "minor", MOVED)
def cost_of_goods(facts: Facts) -> Iterator[Answer]:
    """Standard cost of the units shipped."""
    return _with_channels(facts, facts.cost_of_goods, "cost_of_goods")


@measure("L", "minor", MOVED)
def freight(facts: Facts) -> Iterator[Answer]:
    """What carriers charge for the shipments."""
    return _with_channels(facts, facts.freight, "freight")


@measure("L", "minor", "over the window")
def holding(facts: Facts) -> Answer:
    """Units on hand at the holding rate, over time or at the end of each period, as the rates say."""
    return answer(holding_minor(facts))


@measure("L", "minor", MOVED)
def ordering(facts: Facts) -> Answer:
    """Fixed costs of the purchase orders."""
    return answer(facts.ordering)


@measure("L", "minor", "over the window")
def penalty(facts: Facts) -> Answer:
    """Backordered units at the penalty rate, over time or at the end of each period, as the rates say."""
    return answer(penalty_minor(facts))


@measure("L", "minor", "orders whose requested date lies in the window")
def late_penalty(facts: Facts) -> Answer:
    """What is forfeited, by the rate for it, of orders that were not delivered whole by the date asked for."""
    return answer(late_penalty_minor(facts))


@measure("L", "minor", "orders captured in the window; tickets opened in it")
def support_cost(facts: Facts) -> Answer:
    """Commands by people about an order and tickets, at the rate for it."""
    return answer(support_minor(facts))


@measure("L", "minor", MOVED)
def margin(facts: Facts) -> Iterator[Answer]:
    """Revenue less goods, freight, holding, ordering, interventions, penalties and support; per order and line too."""
    total = margin_minor(facts)
    yield answer(total)
    yield ratio(total, facts.captured_orders, part="per_order")
    yield ratio(total, facts.captured_lines, part="per_line")


@measure("L", "minor", "periods in the window")
def holding_and_penalty_cost_per_period(facts: Facts) -> Answer:
    """Holding and penalty per period."""
    return ratio(holding_minor(facts) + penalty_minor(facts), facts.periods)


@measure("L", "minor", "periods in the window")
def total_cost_per_period(facts: Facts) -> Answer:
    """Holding, penalty and ordering per period: the objective of textbook inventory models."""
    return ratio(holding_minor(facts) + penalty_minor(facts) + facts.ordering, facts.periods)
