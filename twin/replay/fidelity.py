"""How faithful a simulation is: each distance to the real log, beside the distance that chance alone makes.

The floor is what two logs of one business are apart: two halves of the real log, its even and odd weeks, or two seeds
of the simulation. A distance says little without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from hashlib import blake2b
from statistics import fmean
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from twin.replay.distances import Distance, LeftOut, common_activities, measure
from twin.replay.event_table import EventTableError

__all__ = ["SPLITS", "Compared", "Fidelity", "Floor", "fidelity", "halves", "noise_floor", "sample", "weeks"]

SPLITS: Final = 3
"""Ways in which a log is halved; the floor is their mean. Each takes as long as a comparison."""

WEEK_MS: Final = 7 * 86_400_000


class Floor(Struct, frozen=True):
    """What chance alone makes of one distance, in its unit; None where the log is too short or no seed was given."""

    halves: float | None = None
    weeks: float | None = None
    seeds: float | None = None

    @property
    def by(self) -> str:
        """Which of them counts: `seeds` where there are some, since they have a whole log's cases; else `halves`."""
        return "halves" if self.seeds is None else "seeds"

    @property
    def value(self) -> float | None:
        return self.halves if self.seeds is None else self.seeds


class Compared(Struct, frozen=True):
    """A distance with its floor."""

    distance: Distance
    floor: Floor

    @property
    def multiple(self) -> float | None:
        """The distance over its floor: 1 is as good as chance lets it be. Infinite over a floor of nothing."""
        value, floor = self.distance.value, self.floor.value
        if value is None or floor is None:
            return None
        if floor == 0:
            return math.inf if value else 1.0
        return value / floor


class Fidelity(Struct, frozen=True):
    """The distances of a simulation to the real log, and the activities that only one of them knows."""

    rows: tuple[Compared, ...]
    left_out: tuple[LeftOut, ...]


def fidelity(
    real: pa.Table,
    simulated: pa.Table,
    *seeds: pa.Table,
    splits: int = SPLITS,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Fidelity:
    """Each distance between two event tables, with its floor from `real` and, of other `seeds`, from `simulated`.

    Only activities that all of the tables know are compared. `progress` is called with the comparisons done and those
    there are. Raises `DistancesMissing`, and `EventTableError` for tables without a common activity.
    """
    first, second, *others, left = common_activities(*_placed_alike(real, simulated, *seeds))
    total = 2 + splits + len(others)
    progress(0, total)
    found = measure(first, second)
    progress(1, total)
    floors = noise_floor(first, splits=splits, progress=lambda done, _: progress(1 + done, total))
    apart = []
    for number, other in enumerate(others, start=1):
        apart.append(measure(second, other))
        progress(total - len(others) + number, total)
    seeded = _means(apart)
    rows = []
    for distance in found:
        floor = floors[distance.name]
        rows.append(Compared(distance, Floor(floor.halves, floor.weeks, seeded.get(distance.name))))
    return Fidelity(tuple(rows), tuple(left))


def _placed_alike(*tables: pa.Table) -> tuple[pa.Table, ...]:
    """Without places, where one of the logs has none: a floor by lane would not fit a distance of all parcels."""
    found = tables
    for name in ("lane", "node"):
        if any(table[name].null_count == table.num_rows for table in tables):
            place = tables[0].column_names.index(name)
            found = tuple(
                table.set_column(place, table.schema.field(name), pa.nulls(table.num_rows, pa.string()))
                for table in found
            )
    return found


def noise_floor(
    table: pa.Table,
    *seeds: pa.Table,
    splits: int = SPLITS,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Floor]:
    """The floor of each distance by name: from two halves of the log (the mean of `splits` ways to halve it), from its
    even and odd weeks, and from logs of other `seeds` of the same scenario.

    Half a log is noisier than a whole one, by about the square root of two. Raises `EventTableError` for a log of one
    case.
    """
    pair = weeks(table)
    total = splits + 1 + len(seeds)
    by_halves, by_weeks, by_seeds = [], [], []
    for key in range(splits):
        by_halves.append(measure(*halves(table, key)))
        progress(key + 1, total)
    if pair is not None:
        by_weeks.append(measure(*pair))
    progress(splits + 1, total)
    for number, other in enumerate(seeds, start=1):
        by_seeds.append(measure(table, other))
        progress(splits + 1 + number, total)
    means = [_means(rows) for rows in (by_halves, by_weeks, by_seeds)]
    names = [name for one in means for name in one]
    return {name: Floor(*(one.get(name) for one in means)) for name in dict.fromkeys(names)}


def _means(measured: Sequence[Sequence[Distance]]) -> dict[str, float | None]:
    values: dict[str, list[float]] = {}
    for rows in measured:
        for row in rows:
            values.setdefault(row.name, []).extend([] if row.value is None else [row.value])
    return {name: fmean(of) if of else None for name, of in values.items()}


def halves(table: pa.Table, key: int = 0) -> tuple[pa.Table, pa.Table]:
    """Two halves of a log: each case falls into one by a hash of `key` and its name, the same wherever it is done.

    They are not of one size, as two weeks are not: halves of one size would make a floor of nothing for the n-grams,
    which count cases too. Neither is empty. Raises `EventTableError` for a log of one case.
    """
    cases = _shuffled(table, f"halves {key}")
    if len(cases) < 2:
        raise EventTableError(f"a log of one case ('{cases[0][1]}') has no halves; two cases are the least")
    below = sum(hashed[0] < 128 for hashed, _ in cases)
    inside = _of(table, cases[: min(max(below, 1), len(cases) - 1)])
    return table.filter(inside), table.filter(pc.invert(inside))


def sample(table: pa.Table, cases: int) -> pa.Table:
    """So many cases of a log, chosen by a hash; the log itself where it has no more."""
    chosen = _shuffled(table, "sample")
    return table if len(chosen) <= cases else table.filter(_of(table, chosen[:cases]))


def _shuffled(table: pa.Table, key: str) -> list[tuple[bytes, str]]:
    """The hash and name of every case, in the order of hashes."""
    return sorted(
        (blake2b(case.encode(), digest_size=8, key=key.encode()).digest(), case)
        for case in pc.unique(table["case"]).to_pylist()
    )


def _of(table: pa.Table, cases: list[tuple[bytes, str]]) -> pa.ChunkedArray:
    return pc.is_in(table["case"], pa.array([case for _, case in cases], pa.string()))


def weeks(table: pa.Table) -> tuple[pa.Table, pa.Table] | None:
    """The cases that came in even and in odd weeks since the first one, the odd ones set back by a week.

    Set back, because otherwise no two would ever be at one time. The last week is left out where it has no partner;
    None where the log has no two weeks.
    """
    firsts = table.select(["case", "at"]).group_by("case", use_threads=False).aggregate([("at", "min")])
    cases, at = firsts["case"], firsts["at_min"]
    begin, end = pc.min(at).as_py(), pc.max(at).as_py()
    # Arrivals of three weeks end a little before their end.
    pairs = round((end - begin) / WEEK_MS) // 2
    if not pairs:
        return None
    number = pc.divide(pc.subtract(at, begin), WEEK_MS)
    within = pc.less(number, 2 * pairs)
    odd = pc.equal(pc.bit_wise_and(number, 1), 1)
    even_cases = cases.filter(pc.and_(within, pc.invert(odd))).combine_chunks()
    odd_cases = cases.filter(pc.and_(within, odd)).combine_chunks()
    if not len(even_cases) or not len(odd_cases):
        return None
    even, late = (table.filter(pc.is_in(table["case"], value_set=chosen)) for chosen in (even_cases, odd_cases))
    place = late.column_names.index("at")
    return even, late.set_column(place, late.schema.field(place), pc.subtract(late["at"], WEEK_MS))
