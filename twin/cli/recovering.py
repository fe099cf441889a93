"""How a business came back after each fault: a table, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from twin.cli.terminal import line, show, table
from twin.cli.texts import clock, count, in_unit

if TYPE_CHECKING:
    from twin.experiment.steady_state import Recovery

__all__ = ["print_recoveries", "show_recoveries"]


def show_recoveries(title: str, found: Sequence[Recovery], bin_ms: int) -> None:
    """One row a fault and partner; below, the evidence for what stays down."""
    shown = table(
        f"{title}: after each fault; times in UTC",
        "Fault",
        "Partner",
        "Over at",
        "Returned after",
        "Backlog cleared after",
        "Attempts above",
        "Backlog above",
        "Metastable",
        right=("Attempts above", "Backlog above"),
    )
    for one in found:
        shown.add_row(
            one.fault,
            "all" if one.partner == "*" else one.partner,
            clock(one.ended_at),
            one.unseen or _after(one.returned_after),
            _after(one.cleared_after) if one.quiet_ms else "–",
            count(one.overshoot_sent),
            count(one.overshoot_backlog),
            "YES" if one.metastable else "no",
        )
    show(shown)
    line(f"Times are in steps of {in_unit(bin_ms, 'ms', '')}; of what is open the most in a step counts.")
    line("Above: the most in one step beyond the same seed without the fault. Never: not in the quiet time after it.")
    if any(not one.quiet_ms for one in found):
        line("No quiet time: another fault held, or began just then.")
    if any(one.quiet_ms and not one.usual for one in found):
        line("No traffic: without the fault nothing is answered either in the quiet time, so nothing shows a return.")
    for one in found:
        if one.metastable:
            line(
                f"{one.fault}: {one.goodput:,} of {one.load:,} messages answered in time at the end of "
                f"{in_unit(one.quiet_ms, 'ms', '')} of quiet; {_way_out(one)}"
            )


def _after(ms: int | None) -> str:
    return "never" if ms is None else in_unit(ms, "ms", "")


def _way_out(one: Recovery) -> str:
    if one.freed_by is None:
        return f"no cut of the load for {in_unit(one.cut_ms, 'ms', '')} frees it"
    return f"it is freed by {one.freed_by} % less load for {in_unit(one.cut_ms, 'ms', '')}"


def print_recoveries(found: Sequence[Recovery]) -> None:
    """All of it as JSON, times in ms."""
    line(msgspec.json.format(msgspec.json.encode(list(found)), indent=2).decode())
