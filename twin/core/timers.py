"""Timers in the state: `(due, key)`, ordered by due time and then by key. Follow-ups are timers due now.

A settled timer is dropped by `apply` and never becomes a command. The heap keeps superseded entries until they
surface or outnumber the live ones; that clean-up happens in `apply` only, so it is a function of the log.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from msgspec import Struct

__all__ = ["Timers", "cancel_timer", "next_due", "set_timer"]


class Timers(Struct):
    """`due` is the truth: key -> instant in ms. `heap` holds (due, key), some of them superseded."""

    due: dict[str, int] = {}
    heap: list[tuple[int, str]] = []


def set_timer(timers: Timers, key: str, due: int) -> None:
    """Set or move a timer."""
    if timers.due.get(key) == due:
        return
    timers.due[key] = due
    heappush(timers.heap, (due, key))
    _tidy(timers)


def cancel_timer(timers: Timers, key: str) -> None:
    """Drop a timer if it is set."""
    if timers.due.pop(key, None) is not None:
        _tidy(timers)


def next_due(timers: Timers) -> tuple[int, str] | None:
    """The earliest (due, key), or None. A pure read."""
    return timers.heap[0] if timers.heap else None


def _tidy(timers: Timers) -> None:
    heap, due = timers.heap, timers.due
    if len(heap) > 2 * len(due) + 64:
        heap[:] = [(at, key) for key, at in due.items()]
        heapify(heap)
        return
    while heap and due.get(heap[0][1]) != heap[0][0]:
        heappop(heap)
