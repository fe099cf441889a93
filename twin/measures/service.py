"""What customers got: on time and in full, fill rates, cycle times, promises, backorders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from twin.measures.facts import DAY_MS, Facts
from twin.measures.measured import Answer, Exact, answer, mean, measure, percentile, ratio

__all__: list[str] = []

DUE = "orders whose requested date lies in the window; refused, rejected and never shipped ones fail"
CAPTURED = "orders captured in the window"
DELIVERED = "orders wholly delivered in the window"


def _due(facts: Facts, hits: str) -> Iterator[Answer]:
    groups = facts.classes
    withdrawn = sum(group.withdrawn for group in groups.values())
    note = f"{withdrawn} orders that the customer cancelled before they were due are left out" if withdrawn else ""
    yield ratio(
        sum(getattr(group, hits) for group in groups.values()), sum(group.due for group in groups.values()), note
    )
    for name in sorted(groups):
        if name:
            group = groups[name]
            yield ratio(getattr(group, hits), group.due, f"{group.withdrawn} cancelled before due", f"class={name}")


@measure("L", "ratio", DUE)
def otif_to_request(facts: Facts) -> Iterator[Answer]:
    """Orders delivered whole by the date the customer asked for, of those due; early is on time.

    Units the customer cancelled before the date are not wanted any more. Also by criticality class.
    """
    return _due(facts, "on_time")


@measure("L", "ratio", "orders whose first promised date lies in the window; never promised ones fail when requested")
def otif_to_promise(facts: Facts) -> Answer:
    """Orders delivered whole by the date first promised, of those then due."""
    return ratio(facts.promised_kept, facts.promised_due)


@measure("L", "ratio", DELIVERED)
def delivery_performance_to_commit(facts: Facts) -> Answer:
    """Orders delivered by the original commit date, of those delivered (SCOR RL.2.2)."""
    return ratio(facts.committed_kept, facts.committed, "by definition blind to what was never delivered")


@measure("L", "ratio", DUE)
def delivered_in_full(facts: Facts) -> Iterator[Answer]:
    """Orders delivered whole by the end of the run, of those due (SCOR RL.2.1, over all that were due).

    Also by criticality class.
    """
    return _due(facts, "full")


@measure("L", "count", DUE)
def orders_withdrawn(facts: Facts) -> Answer:
    """Orders that the customer cancelled whole before they were due; they are in no service ratio."""
    return answer(sum(group.withdrawn for group in facts.classes.values()))


@measure("L", "ratio", CAPTURED)
def unit_fill_rate(facts: Facts) -> Answer:
    """Units served from stock at the first sourcing, of units ordered (type 2, beta)."""
    return ratio(facts.first_units, facts.captured_units)


@measure("L", "ratio", CAPTURED)
def unfilled_share(facts: Facts) -> Answer:
    """Units not served from stock at the first sourcing, of units ordered: 1 - unit fill rate."""
    return ratio(facts.captured_units - facts.first_units, facts.captured_units)


@measure("L", "ratio", CAPTURED)
def line_fill_rate(facts: Facts) -> Answer:
    """Lines served whole from stock at the first sourcing, of lines ordered."""
    return ratio(facts.first_lines, facts.captured_lines)


@measure("L", "ratio", CAPTURED)
def order_fill_rate(facts: Facts) -> Answer:
    """Orders served whole from stock at the first sourcing, of orders captured."""
    return ratio(facts.first_orders, facts.captured_orders)


@measure("L", "ratio", "replenishment cycles that end with a receipt in the window")
def cycle_service_level(facts: Facts) -> Answer:
    """Replenishment cycles of an item at a node without a shortage, of all (type 1, alpha)."""
    return ratio(facts.cycles_served, facts.cycles)


@measure("L", "ratio", "stocked items at nodes, over the window")
def ready_rate(facts: Facts) -> Answer:
    """Share of the time in which net stock (free less backordered) was positive, over all stocked items at nodes."""
    cells = [cell for _, cell in facts.all_cells() if cell.stocked]
    return ratio(sum(cell.ready_ms for cell in cells), sum(max(0, facts.end - cell.since) for cell in cells))


@measure("L", "ms", DELIVERED)
def order_cycle_time(facts: Facts) -> Iterator[Answer]:
    """Capture to the delivery of the last unit (SCOR RS.1.1): mean, P50, P90 and the segments' means."""
    missing = sum(group.due - group.full for group in facts.classes.values())
    note = f"{missing} orders due in the window were not delivered whole and are not in it" if missing else ""
    yield mean(facts.cycle, note)
    yield from _percentiles(facts.cycle, (50, 90))
    yield mean(facts.capture_to_release, part="segment=capture_to_release")
    yield mean(facts.release_to_ship, part="segment=release_to_ship")
    yield mean(facts.ship_to_deliver, part="segment=ship_to_deliver")


@measure("L", "ms", "orders wholly shipped in the window")
def order_to_ship(facts: Facts) -> Iterator[Answer]:
    """Capture to the shipment of the last unit: mean, P50, P90. For units that were given up nobody waits."""
    yield mean(facts.order_to_ship)
    yield from _percentiles(facts.order_to_ship, (50, 90))


def _percentiles(values: Sequence[int], percents: tuple[int, ...], note: str = "") -> Iterator[Answer]:
    ordered = sorted(values)
    for percent in percents:
        yield answer(percentile(ordered, percent), note, f"p{percent}")


@measure("L", "ms", CAPTURED)
def promise_lead_time(facts: Facts) -> Answer:
    """Mean time from capture to the date first promised."""
    return mean(facts.promise_lead)


@measure("L", "ms", DELIVERED)
def promise_accuracy(facts: Facts) -> Iterator[Answer]:
    """Mean distance of the delivery from the date first promised, and the mean deviation (later is positive)."""
    yield mean([abs(error) for error in facts.promise_error])
    yield mean(facts.promise_error, part="bias")


@measure("L", "per line", "promises made in the window")
def promise_volatility(facts: Facts) -> Answer:
    """Changes of a promised date per promised line."""
    return ratio(facts.promise_changes, facts.promised_lines)


@measure("L", "ms", "promises made in the window")
def promise_drift(facts: Facts) -> Answer:
    """Distance that promised dates were moved, per promised line."""
    return ratio(facts.promise_moved_ms, facts.promised_lines)


@measure("L", "ms", "units that are backordered at the end")
def backorder_age(facts: Facts) -> Iterator[Answer]:
    """Age of open backordered units since their first promised date (negative: not yet due): P50, P90, largest."""
    ages: list[tuple[int, int]] = []
    for order in facts.left_at_end:
        for line in order.lines.values():
            if line.waiting:
                ages.append((facts.end - (line.first_promised or line.short_since), line.waiting))
    ages.sort()
    units = sum(waiting for _, waiting in ages)
    for percent in (50, 90, 100):
        yield answer(_weighted(ages, units, percent), f"{units} units", "max" if percent == 100 else f"p{percent}")


def _weighted(ages: list[tuple[int, int]], units: int, percent: int) -> int | None:
    reached = 0
    for age, waiting in ages:
        reached += waiting
        if reached * 100 >= units * percent:
            return age
    return None


@measure("L", "unit_days", "over the window")
def backorder_unit_days(facts: Facts) -> Answer:
    """Integral of the backordered units over time."""
    return answer(Fraction(sum(cell.backordered_area for _, cell in facts.all_cells()), DAY_MS))


@measure("L", "units", "at the end")
def backordered_units(facts: Facts) -> Answer:
    """Units that wait for supply."""
    return answer(facts.backordered_units)


@measure("L", "count", "at the end")
def open_orders(facts: Facts) -> Answer:
    """Orders with units that are neither delivered nor given up."""
    return answer(sum(1 for order in facts.left_at_end if order.left))


@measure("L", "units", "over the window")
def mean_on_hand(facts: Facts) -> Answer:
    """Mean units on hand (free, reserved, staged and quarantined), over all items and nodes."""
    return ratio(sum(cell.on_hand_area for _, cell in facts.all_cells()), facts.window_ms)


@measure("L", "units", "over the window")
def mean_available(facts: Facts) -> Answer:
    """Mean free units, over all items and nodes."""
    return ratio(sum(cell.free_area for _, cell in facts.all_cells()), facts.window_ms)


@measure("L", "units", "over the window")
def mean_backordered(facts: Facts) -> Answer:
    """Mean backordered units, over all items and nodes."""
    total: Exact = sum(cell.backordered_area for _, cell in facts.all_cells())
    return ratio(total, facts.window_ms)
