"""Luck as a log has it: recorded parcels, purchases and picks get theirs again, everything else is drawn as ever."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any, Final

from twin.residuals import ONE, Residual
from twin.streams import Distribution, Streams

__all__ = ["RecordedLuck"]

SAME_PURCHASE_MS: Final = 86_400_000
"""A purchase that lies no further from a recorded one of the same item is that one; else the luck is carried over."""

_MILLION: Final = 1_000_000


class RecordedLuck(Streams):
    """Draws by key as `Streams` does, except where the log says what luck there was.

    A parcel is known by its delivery note, else as the n-th of its order that comes from the same warehouse. From
    another warehouse that of the n-th release has the luck of the order's n-th parcel, wherever that came from. A
    purchase gets the luck of the recorded one of the same item and warehouse that lies next to it in time.
    `used` counts by kind what was `measured`, `carried over` from another parcel or purchase, and `modeled`.

    Which parcel is the n-th is known as they are drawn for: a note draws the same again, but the first to be drawn for
    has the first parcel's luck.
    """

    __slots__ = ("_notes", "_orders", "_places", "_purchases", "_turns", "residuals", "used")

    def __init__(
        self,
        seed: int,
        residuals: Iterable[Residual],
        used: dict[str, dict[str, int]] | None = None,
        turns: dict[tuple[str, str, str], dict[str, int]] | None = None,
    ) -> None:
        super().__init__(seed)
        self.residuals = tuple(residuals)
        self.used: dict[str, dict[str, int]] = used if used is not None else {}
        # Of each order and warehouse, the notes in the order in which they were first drawn for: the number in a note
        # counts the rounds of the order's releases, wherever from.
        self._turns = turns if turns is not None else {}
        self._notes: dict[tuple[str, str], Residual] = {}
        self._places: dict[tuple[str, str, str], list[Residual]] = {}
        self._orders: dict[tuple[str, str], list[Residual]] = {}
        purchases: dict[tuple[str, str], list[Residual]] = {}
        for one in sorted(self.residuals, key=lambda one: one.at):
            if one.kind == "lead_time":
                purchases.setdefault((one.node, one.key), []).append(one)
                continue
            self._notes[one.kind, one.key] = one
            self._places.setdefault((one.kind, one.subject, one.node), []).append(one)
            self._orders.setdefault((one.kind, one.subject), []).append(one)
        self._purchases = {place: ([one.at for one in rows], rows) for place, rows in purchases.items()}

    def draw(self, distribution: Distribution, *key: str | int) -> int:
        """A whole number from `distribution`: at the recorded quantile where there is one, else as `Streams` draws."""
        kind = key[0]
        if kind == "transit" and len(key) == 2:
            found, how = self._parcel("transit", str(key[1]).removesuffix("/s"))
        elif kind in ("pick", "handling"):
            found, how = self._parcel(str(kind), str(key[1]))
        elif kind in ("lead_time", "dock_to_stock"):
            found, how = self._purchase(str(key[1]))
        else:
            return super().draw(distribution, *key)
        counts = self.used.setdefault(str(kind), {})
        counts[how] = counts.get(how, 0) + 1
        if found is None:
            return super().draw(distribution, *key)
        if kind == "dock_to_stock":
            return found.dock_ms
        return self._at(found, distribution, key)

    def _at(self, found: Residual, distribution: Distribution, key: tuple[str | int, ...]) -> int:
        quantile = found.low
        if found.high > found.low:
            quantile += self.bits("residual", *key) * (found.high - found.low) >> 64
        value = distribution.inverse(max(1, min(quantile, ONE - 1)) / ONE)
        return (round(value) * found.beyond_ppm + _MILLION // 2) // _MILLION

    def _parcel(self, kind: str, note: str) -> tuple[Residual | None, str]:
        order, _, number = note.rpartition("/")
        order, _, node = order.rpartition("/")
        exact, rows = self._notes.get((kind, note)), self._places.get((kind, order, node))
        if rows is not None:
            turns = self._turns.setdefault((kind, order, node), {})
            turn = turns.setdefault(note, len(turns) + 1)
            if exact is None:
                return rows[min(turn, len(rows)) - 1], "measured" if turn <= len(rows) else "carried over"
        if exact is not None:
            return exact, "measured"
        rows = self._orders.get((kind, order))
        if rows is None or not number.isdecimal():
            return None, "modeled"
        return rows[min(int(number), len(rows)) - 1], "carried over"

    def _purchase(self, name: str) -> tuple[Residual | None, str]:
        parts = name.split("/")
        if len(parts) < 4 or parts[0] != "PO" or not parts[3].isdecimal():
            return None, "modeled"
        found = self._purchases.get((parts[1], parts[2]))
        if found is None:
            return None, "modeled"
        at = int(parts[3])
        times, rows = found
        after = bisect_left(times, at)
        near = min(
            [index for index in (after - 1, after) if 0 <= index < len(times)], key=lambda i: (abs(times[i] - at), i)
        )
        return rows[near], "measured" if abs(times[near] - at) <= SAME_PURCHASE_MS else "carried over"

    def __reduce__(self) -> tuple[Any, ...]:
        return RecordedLuck, (self.seed, self.residuals, self.used, self._turns)
