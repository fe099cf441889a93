"""The tables of a brief, as text that is ready to be put on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import isinf
from typing import Final

from twin.experiment.break_even import BreakEven
from twin.experiment.brief import Answer, Brief
from twin.experiment.harm import Group, HarmedCustomer
from twin.experiment.statistics import Interval
from twin.experiment.steady_state import ALL, Settings
from twin.report.brief_words import interval_text, mean_text, moment, span, what_of
from twin.report.tables import Head, Row, Table
from twin.report.words import bare, count, money, percent, plural, rounded

__all__ = ["by_customer", "by_group", "by_seed", "influence_table", "option_table", "trouble_table"]

CUSTOMERS: Final = 10
"""Customers that are listed."""
TROUBLES: Final = 10
"""Troubles that are listed."""


def _head(text: str, *numbers: str) -> tuple[Head, ...]:
    return (Head(text), *(Head(number, "n") for number in numbers))


def by_group(title: str, of: str, groups: Mapping[str, Group], currency: str) -> Table:
    """Orders and how they were harmed, by channel or class, with a total."""
    rows = [Row((name, *_harmed(group, currency))) for name, group in groups.items()]
    whole = Group()
    for group in groups.values():
        whole.orders += group.orders
        whole.harmed += group.harmed
        whole.later += group.later
        whole.fewer += group.fewer
        whole.dearer += group.dearer
        whole.late_ms += group.late_ms
        whole.late_ms_max = max(whole.late_ms_max, group.late_ms_max)
        whole.value_minor += group.value_minor
    if len(groups) > 1:
        rows.append(Row(("all", *_harmed(whole, currency)), "total"))
    return Table(title, _head(of, "Orders", "Harmed", "Share", "Later by", f"Value, {currency}"), rows)


def _harmed(group: Group, currency: str) -> tuple[str, ...]:
    later = span(Fraction(group.late_ms, group.later)) if group.later else "–"
    cells = (count(group.orders), count(group.harmed), percent(group.harmed, group.orders), later)
    return (*cells, bare(group.value_minor, currency))


def by_customer(customers: Sequence[HarmedCustomer], currency: str) -> Table:
    """The customers with the most value harmed."""
    rows = [
        Row(
            (
                one.customer,
                f"{one.channel}, {one.criticality}",
                f"{count(one.group.harmed)} of {count(one.group.orders)}",
                span(one.group.late_ms_max) if one.group.later else "–",
                bare(one.group.value_minor, currency),
            )
        )
        for one in customers[:CUSTOMERS]
    ]
    numbers = (Head(text, "n") for text in ("Harmed", "Later by", f"Value, {currency}"))
    head = (Head("Customer"), Head("Channel, class"), *numbers)
    note = "By the value of their harmed orders; later by: at most."
    others = len(customers) - len(rows)
    if others:
        note += f" {plural(others, 'other')} harmed too."
    if customers and all(one.group.orders == 1 for one in customers):
        note += " Each of them ordered once: customers that a scenario generates have one order each."
    return Table("The customers hit most", head, rows, note)


def option_table(answers: Sequence[Answer], currency: str, seeds: int) -> Table:
    """What each option changes when the trouble comes, what it costs, and from when on it pays."""
    rows = [
        Row(
            (
                one.option.id,
                _with(rounded(one.spared_orders, 1), one.spared),
                _with(bare(one.saved_minor, currency), one.saved, currency),
                bare(one.option.cost_minor, currency),
                bare(one.running_minor, currency),
                _pays(one.break_even, one.option.cost_minor + one.running_minor),
            )
        )
        for one in answers
    ]
    numbers = ("Orders spared", f"Cost avoided, {currency}", "Own cost a year", "Running cost a year")
    note = (
        f"Means over {plural(seeds, 'seed')}, each with its own run without the option; in brackets 95 % intervals. "
        "Cost avoided and orders spared: by one such trouble; below zero it makes things worse. Running cost: what the "
        "option takes from the business when nothing goes wrong, scaled to a year. Pays: how many such troubles a year "
        "it takes to bring both costs in again, with the interval of that number."
    )
    return Table("Options", (*_head("Option", *numbers), Head("Pays")), rows, note if rows else "")


def _with(told: str, interval: Interval | None, currency: str = "") -> str:
    return f"{told} ({interval_text(interval, currency)})" if interval is not None and interval.half_width else told


def _pays(found: BreakEven | None, cost: Fraction) -> str:
    if found is None:
        return "one seed cannot tell"
    if found.verdict == "pays above" and found.outages is not None:
        high = "no end" if isinf(found.high) else rounded(Fraction(found.high), 1)
        if not found.outages:
            return f"in the mean always; surely above {high} a year"
        return f"above {rounded(found.outages, 1)} a year ({rounded(Fraction(found.low), 1)} to {high})"
    if not found.avoided.mean and not found.avoided.half_width:
        return "avoids no loss" if cost > 0 else "neither costs nor saves" if not cost else "saves in any case"
    return found.verdict


def influence_table(brief: Brief, currency: str, vary: str) -> Table:
    """Inputs by how far the loss moves with each of them alone."""
    rows = [
        Row(
            (
                one.assumption.name,
                bare(one.costs[0], currency),
                bare(one.costs[2], currency),
                bare(one.swing_minor, currency),
                rounded(one.harmed[0], 1),
                rounded(one.harmed[2], 1),
                rounded(one.swing_harmed, 1),
            )
        )
        for one in brief.influences
    ]
    numbers = (f"Cost, −{vary}", f"Cost, +{vary}", "Swing of cost")
    orders = (f"Harmed, −{vary}", f"Harmed, +{vary}", "Swing of harmed")
    left = f"Could not be varied: {', '.join(brief.unvaried)}." if brief.unvaried else ""
    if not rows:
        return Table("Assumed inputs, by influence", (), [], left)
    mid = brief.influences[0]
    note = (
        f"As assumed: {money(mid.costs[1], currency, whole=True)}, {rounded(mid.harmed[1], 1)} harmed. One input at a "
        f"time, all of its values together, {vary} lower and {vary} higher, with and without the trouble each time, "
        f"mean of {plural(brief.influence_seeds, 'seed')}. Swing: from the least to the most of the three. Ranked by "
        "that of the cost, then of the orders harmed. None of these inputs was measured at your business."
    )
    if left:
        note += f" {left}"
    return Table("Assumed inputs, by influence", _head("Input", *numbers, *orders), rows, note)


def trouble_table(brief: Brief) -> Table:
    """What went wrong, and when each partner was back."""
    # A partner's time in trouble ends with the last of its troubles; what struck no partner is told for all together.
    back = {(one.partner, one.ended_at): one for one in brief.recoveries}
    rows = []
    for one in brief.pair.troubles[:TROUBLES]:
        ended = "the end of the run" if one.ended_at < 0 else moment(one.ended_at)
        found = back.get((one.gateway, one.ended_at)) or back.get((ALL, one.ended_at))
        after = ("–", "–")
        if found is not None:
            cleared = _after(found.cleared_after) if found.quiet_ms else found.unseen
            after = (found.unseen or _after(found.returned_after), cleared)
        rows.append(Row((what_of(one), one.gateway, moment(one.began_at), ended, *after)))
    head = (
        *(Head(text) for text in ("Trouble", "Where", "From", "To")),
        Head("Answers normal after", "n"),
        Head("Backlog cleared after", "n"),
    )
    step = span(brief.scenario.run.horizon // Settings().bins)
    note = (
        "Counted from the end of the trouble: messages are answered as without it; no more are open than ever there. "
        f"Looked at in steps of {step}."
    )
    others = len(brief.pair.troubles) - len(rows)
    if others:
        note = f"The first {len(rows)}; {plural(others, 'other')} followed. {note}"
    return Table("What went wrong", head, rows, note)


def _after(ms: int | None) -> str:
    return "not in time" if ms is None else span(ms)


def by_seed(brief: Brief) -> Table:
    """The figures of each seed, and their means."""
    currency = brief.scenario.currency
    rows = [
        Row(
            (
                str(harm.seed),
                "–" if harm.touched is None else count(harm.touched),
                count(int(harm.pair["harmed_orders"] or 0)),
                bare(Fraction(harm.pair["harmed_value"] or 0), currency),
                bare(harm.lost_minor, currency),
                "–" if harm.detected_ms is None else span(Fraction(harm.detected_ms)),
                count(harm.lost),
                count(harm.doubled),
            )
        )
        for harm in brief.harms
    ]
    head = _head(
        "Seed",
        "Touched",
        "Harmed",
        f"Value harmed, {currency}",
        f"Cost, {currency}",
        "Detected after",
        "Lost",
        "Doubled",
    )
    over = [Fraction(harm.pair["harmed_orders"] or 0) for harm in brief.harms]
    return Table("Seed by seed", head, rows, f"Mean of the orders harmed: {mean_text(over)}.")
