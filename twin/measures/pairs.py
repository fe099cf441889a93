"""Two runs on one seed, one of them hurt: what the harm was. Facts must be collected with `trace`.

The first facts are those of the run without the fault.
"""

from __future__ import annotations

from fractions import Fraction

from twin.measures.costs import margin_minor
from twin.measures.facts import Facts
from twin.measures.measured import Answer, answer, measure, ratio

__all__ = ["collateral_delay", "quality"]


@measure("P", "minor", "both windows")
def lost_margin(base: Facts, hurt: Facts) -> Answer:
    """Margin without the fault less margin with it, on the same seed."""
    return answer(margin_minor(base) - margin_minor(hurt))


def quality(facts: Facts) -> list[Fraction | None]:
    """Q of each day: orders due that day that were delivered whole in time, of those due; None where none was."""
    series = facts.series
    return [Fraction(on_time, due) if due else None for on_time, due in zip(series.on_time, series.due, strict=True)]


@measure("P", "ratio", "days on which orders fell due in both runs and some were on time without the fault")
def normalized_resilience(base: Facts, hurt: Facts) -> Answer:
    """Mean over days of Q with the fault over Q without it, Q the orders due that day and on time (Cimellaro 2010)."""
    shares = [
        with_fault / without
        for without, with_fault in zip(quality(base), quality(hurt), strict=False)
        if without and with_fault is not None
    ]
    return ratio(sum(shares, Fraction(0)), len(shares), "Q is on time in full to the requested date, of orders due")


@measure("P", "ratio", "orders captured in both runs and whole by the end without the fault")
def collateral_delay_ratio(base: Facts, hurt: Facts) -> Answer:
    """Cycle time of orders with the fault over that without it; `collateral_delay` leaves out what depends on it.

    An order that is not whole by the end counts with its age.
    """
    return collateral_delay(base, hurt, "")


def collateral_delay(base: Facts, hurt: Facts, failed_node: str) -> Answer:
    """Mean cycle time of the orders that did not use `failed_node` without the fault, over the same without it.

    Raises `ValueError` for facts without a trace.
    """
    if not (base.trace and hurt.trace):
        raise ValueError("facts without a trace: collect them with trace=True to compare orders")
    before = after = 0
    for order, record in base.records.items():
        other = hurt.records.get(order)
        if other is None or not record.delivered_at or failed_node in record.nodes or record.captured_at < base.begin:
            continue
        before += record.delivered_at - record.captured_at
        after += (other.delivered_at or hurt.end) - other.captured_at
    return ratio(after, before)
