"""Two runs on one seed, one of them hurt: what the harm was. Facts must be collected with `trace`.

The first facts are those of the run without the fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from msgspec import Struct

from twin.measures.costs import margin_minor
from twin.measures.facts import Facts
from twin.measures.measured import Answer, answer, measure, ratio

__all__ = ["HarmedOrder", "collateral_delay", "harmed", "quality"]


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


def collateral_delay(base: Facts, hurt: Facts, failed_node: str, window: tuple[int, int] | None = None) -> Answer:
    """Mean cycle time of the orders that did not use `failed_node` without the fault, over the same without it.

    `failed_node` is a warehouse or the dock of a supplier; `window` looks at the orders captured from its first to
    before its second instant (ms) only.

    Raises `ValueError` for facts without a trace.
    """
    if not (base.trace and hurt.trace):
        raise ValueError("facts without a trace: collect them with trace=True to compare orders")
    before = after = 0
    for order, record in base.records.items():
        other = hurt.records.get(order)
        if other is None or not record.delivered_at or failed_node in record.nodes or record.captured_at < base.begin:
            continue
        if window is not None and not window[0] <= record.captured_at < window[1]:
            continue
        before += record.delivered_at - record.captured_at
        after += (other.delivered_at or hurt.end) - other.captured_at
    return ratio(after, before)


class HarmedOrder(Struct, frozen=True):
    """An order that is worse off with the fault: later, fewer units, or dearer to ship; 0 for what it is not.

    `value_minor` is the whole order as ordered. `late_ms` of one that is not whole by the end counts up to the end.
    """

    value_minor: int
    late_ms: int = 0
    fewer_units: int = 0
    fewer_minor: int = 0
    dearer_minor: int = 0


def harmed(base: Facts, hurt: Facts) -> dict[str, HarmedOrder]:
    """The orders captured in the window without the fault that are later, fewer or dearer with it, by id.

    Later and dearer are held against the whole order without the fault; an order that never came gets nothing. Raises
    `ValueError` for facts without a trace.
    """
    if not (base.trace and hurt.trace):
        raise ValueError("facts without a trace: collect them with trace=True to compare orders")
    found: dict[str, HarmedOrder] = {}
    for order, record in base.records.items():
        if record.captured_at < base.begin:
            continue
        other = hurt.records.get(order)
        if other is None:
            if record.delivered_units:
                found[order] = HarmedOrder(record.value_minor, 0, record.delivered_units, record.delivered_minor)
            continue
        late = max(0, (other.delivered_at or hurt.end) - record.delivered_at) if record.delivered_at else 0
        units = max(0, record.delivered_units - other.delivered_units)
        fewer = max(0, record.delivered_minor - other.delivered_minor) if units else 0
        # Freight of fewer units says nothing: only what was delivered as well can have become dearer.
        dearer = 0 if units else max(0, other.freight_minor - record.freight_minor)
        if late or units or dearer:
            found[order] = HarmedOrder(record.value_minor, late, units, fewer, dearer)
    return found


@measure("P", "count", "orders captured in the window without the fault")
def harmed_orders(base: Facts, hurt: Facts) -> Iterator[Answer]:
    """Orders that are later, fewer (units delivered) or dearer (freight) with the fault; an order may be several."""
    found = harmed(base, hurt).values()
    yield answer(len(found), f"of {sum(record.captured_at >= base.begin for record in base.records.values())}")
    yield answer(sum(order.late_ms > 0 for order in found), part="later")
    yield answer(sum(order.fewer_units > 0 for order in found), part="fewer")
    yield answer(sum(order.dearer_minor > 0 for order in found), part="dearer")


@measure("P", "minor", "orders captured in the window without the fault")
def harmed_value(base: Facts, hurt: Facts) -> Iterator[Answer]:
    """Value, as ordered, of the orders that are harmed; goods not delivered, and freight on top, of them."""
    found = harmed(base, hurt).values()
    yield answer(sum(order.value_minor for order in found))
    yield answer(sum(order.fewer_minor for order in found), part="fewer")
    yield answer(sum(order.dearer_minor for order in found), part="dearer")


@measure("P", "ms", "orders that are later with the fault")
def harmed_delay(base: Facts, hurt: Facts) -> Iterator[Answer]:
    """Mean and longest time by which orders are later with the fault."""
    delays = [order.late_ms for order in harmed(base, hurt).values() if order.late_ms]
    yield ratio(sum(delays), len(delays))
    yield answer(max(delays, default=None), part="max")
