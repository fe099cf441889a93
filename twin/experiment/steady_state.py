"""Back to the steady state after a fault, or not: how long it took, what overshot, and what would free a business that
stays down.

Looked at is a partner's goodput, messages answered within the timeout of their attempt, in windows that slide by one
bin, against the same business under the same seed in which nothing goes wrong. It has returned with the first window
after the fault in which its goodput is within the tolerance of that, if so it is in all the quiet time from there on. A
window in which nothing is answered without the fault either shows no return. Its backlog is cleared when no more
messages are open than ever were without the fault. A business that has not returned though a quiet time has passed,
that has a backlog which does not shrink, and that is healthy without the fault, is metastable (Bronson et al. 2021):
then its world is forked a window after the fault, load is cut for half of what is left of the quiet time, and the
smallest cut after which it is healthy at the full load again is its way out.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from msgspec import Struct

from twin.core.entry import Entry
from twin.experiment.branching import Branch
from twin.observability.calls import Calls, StepKind
from twin.run import Progress
from twin.scenario import Scenario
from twin.world.channel import Channel
from twin.world.exposed import Exposed

__all__ = ["ALL", "Recovery", "Series", "Settings", "first_return", "recoveries"]

ALL: Final = "*"
"""All partners together."""

CUTS: Final = tuple(range(5, 100, 5))
"""Load cuts that are tried, in percent."""


class Settings(Struct, frozen=True):
    """`bins` of equal length in which demand comes in, how many of them a window has, and the tolerance in ppm."""

    bins: int = 200
    window: int = 10
    tolerance_ppm: int = 50_000


class Series(Struct):
    """One partner's messages by bin: asked for, attempts sent, answered in time, the most open at once, and those open
    at its end."""

    wanted: list[int] = []
    sent: list[int] = []
    good: list[int] = []
    backlog: list[int] = []
    left: list[int] = []


class Recovery(Struct, frozen=True):
    """What became of one partner after one fault; times in ms, None where it did not happen in the quiet time.

    `quiet_ms` lasts up to the next fault or the end of demand; there is none where another fault still holds.
    `overshoot_sent` and `overshoot_backlog` are the most by which attempts in a bin, and open messages, were above
    those without the fault. `load` and `goodput` are messages in the last window of the quiet time. `freed_by` is
    the smallest cut of the load (percent, for `cut_ms`) that frees a metastable one; None where none of those tried
    does. `usual` is the goodput of the quiet time without the fault: with none there is nothing to return to.
    """

    fault: str
    partner: str
    began_at: int
    ended_at: int
    quiet_ms: int
    returned_after: int | None
    cleared_after: int | None
    overshoot_sent: int
    overshoot_backlog: int
    load: int
    goodput: int
    metastable: bool
    freed_by: int | None = None
    cut_ms: int = 0
    usual: int = 0

    @property
    def unseen(self) -> str:
        """Why nothing can show whether the partner returned; empty where something does."""
        if not self.quiet_ms:
            return "no quiet time"
        return "" if self.usual or self.returned_after is not None else "no traffic"


class _Watch:
    """Counts what happens to messages, by bin and partner."""

    def __init__(self, begin: int, bin_ms: int, bins: int) -> None:
        self.begin = begin
        self.bin_ms = bin_ms
        self.bins = bins
        self.calls = Calls()
        self.series: dict[str, Series] = {}
        self.open: dict[str, set[str]] = {ALL: set()}
        self.carried = 0

    def of(self, partner: str) -> Series:
        """A partner's series, as long as the run."""
        found = self.series.get(partner)
        if found is None:
            found = self.series[partner] = Series(*([0] * self.bins for _ in range(5)))
        return found

    def __call__(self, entry: Entry) -> None:
        index = (entry.now - self.begin) // self.bin_ms
        self.carry(index)
        for step in self.calls.fold(entry):
            delivery = step.message.delivery
            if self.calls.policy(delivery.gateway).acknowledge and 0 <= index < self.bins:
                for partner in (delivery.gateway, ALL):
                    self._count(step.kind, delivery.key, partner, index)

    def _count(self, kind: StepKind, key: str, partner: str, index: int) -> None:
        series, open_now = self.of(partner), self.open.setdefault(partner, set())
        if kind in ("asked", "redriven"):
            open_now.add(key)
            series.backlog[index] = max(series.backlog[index], len(open_now))
        elif kind in ("settled", "lapsed", "dead"):
            open_now.discard(key)
        if kind in ("asked", "sent", "succeeded", "unusable"):
            row = series.wanted if kind == "asked" else series.sent if kind == "sent" else series.good
            row[index] += 1

    def carry(self, index: int) -> None:
        """What is open when a bin begins was left by the one before: up to and with the bin of this index."""
        for begun in range(self.carried, min(index, self.bins) + 1):
            for partner, open_now in self.open.items():
                series = self.of(partner)
                if begun:
                    series.left[begun - 1] = len(open_now)
                if begun < self.bins:
                    series.backlog[begun] = len(open_now)
        self.carried = max(self.carried, index + 1)


class _Run:
    """One business run bin by bin."""

    def __init__(self, scenario: Scenario, seed: int, settings: Settings, what: str, progress: Progress | None) -> None:
        run = scenario.run
        self.scenario = scenario
        self.seed = seed
        self.settings = settings
        self.bin_ms = max(1, run.horizon // settings.bins)
        self.watch = _Watch(run.start, self.bin_ms, settings.bins)
        self.branch = Branch.begin(scenario, seed, self.watch)
        for index in range(settings.bins):
            self.branch.run(run.start + (index + 1) * self.bin_ms)
            if progress is not None:
                progress(what, index + 1, settings.bins, self.branch.driver.engine.state.position)
        self.watch.carry(settings.bins)

    def again(self, until: int) -> tuple[Branch, _Watch]:
        """The same business as it stood at an instant (ms), and who has watched it."""
        watch = _Watch(self.scenario.run.start, self.bin_ms, self.settings.bins)
        branch = Branch.begin(self.scenario, self.seed, watch)
        branch.run(until)
        return branch, watch


class _Over(Struct, frozen=True):
    """A fault that is over: of whom (`partner`), what, from when to when, and the end of the quiet time; in ms."""

    partner: str
    fault: str
    began: int
    ended: int
    quiet_end: int


def recoveries(
    scenario: Scenario, seed: int, settings: Settings | None = None, progress: Progress | None = None
) -> list[Recovery]:
    """What became of every partner that a fault or disruption struck, after each of them, in their order."""
    settings = settings or Settings()
    hurt = _Run(scenario, seed, settings, "running with faults", progress)
    calm = scenario.with_changes({"faults": None, "disruptions": None})
    base = _Run(calm, seed, settings, "running without", progress)
    found = []
    began: dict[tuple[str, str], int] = {}
    under_way: dict[tuple[str, str], None] = {}
    rows = hurt.branch.faults
    for place, (at, kind, subject, detail) in enumerate(rows):
        if kind == "fault.began":
            began[subject, detail] = at
            under_way[subject, detail] = None
            continue
        under_way.pop((subject, detail), None)
        actor = hurt.branch.world.actors.get(subject)
        partner = actor.party if isinstance(actor, Exposed) else ALL
        later = [row[0] for row in rows[place + 1 :] if row[1] == "fault.began"]
        quiet_end = at if under_way else min([*later, scenario.run.demand_end])
        found.append(_judge(hurt, base, _Over(partner, detail, began.get((subject, detail), at), at, quiet_end)))
    return found


def _sum(row: Sequence[int], index: int, width: int) -> int:
    return sum(row[index : index + width])


def _healthy(good: int, wanted: int, settings: Settings) -> bool:
    """Whether so much of it is within the tolerance; where nothing is wanted, nothing shows that it is."""
    return wanted > 0 and Fraction(good) >= wanted * Fraction(1_000_000 - settings.tolerance_ppm, 1_000_000)


def first_return(with_fault: Series, without: Series, first: int, last: int, settings: Settings) -> int | None:
    """The first window that is healthy, as is all the time from its beginning to the end of the quiet time."""
    for index in range(first, last - settings.window + 1):
        lengths = (settings.window, last - index)
        goods = [(_sum(with_fault.good, index, length), _sum(without.good, index, length)) for length in lengths]
        if all(_healthy(good, usual, settings) for good, usual in goods):
            return index
    return None


def _judge(hurt: _Run, base: _Run, over: _Over) -> Recovery:
    settings, start, bin_ms = hurt.settings, hurt.scenario.run.start, hurt.bin_ms
    width = settings.window
    with_fault, without = hurt.watch.of(over.partner), base.watch.of(over.partner)
    first = -(-(over.ended - start) // bin_ms)
    last = min((over.quiet_end - start) // bin_ms, settings.bins)
    returned = first_return(with_fault, without, first, last, settings)
    band = max(without.backlog, default=0)
    cleared = next((index for index in range(first, last) if with_fault.backlog[index] <= band), None)
    # Every bin with traffic has something open at some moment; what stays is open between them.
    middle = with_fault.left[(first + last) // 2] if last > first else 0
    end_backlog = with_fault.left[last - 1] if last > first else 0
    tail = max(first, last - width)
    load, goodput = _sum(with_fault.wanted, tail, width), _sum(with_fault.good, tail, width)
    stays = returned is None and last - first >= 3 * width and end_backlog > 0 and 10 * end_backlog >= 9 * middle
    # Over all the quiet time: of what is asked for in a single window too much is answered after it.
    quiet = max(0, last - first)
    sound = _healthy(_sum(without.good, first, quiet), _sum(without.wanted, first, quiet), settings)
    freed, cut_ms = None, 0
    if stays and sound:
        # Half of what is left after the fork: from three windows of quiet on, the last one is all at the full load.
        cut_ms = (last - first - width) // 2 * bin_ms
        fork = hurt.again(start + (first + width) * bin_ms)
        freed = _Cuts(hurt, *fork, over.partner, last, cut_ms, _sum(without.good, tail, width)).smallest()
    # The wave may come in the very bin in which the fault ends.
    wave = range((over.ended - start) // bin_ms, last)
    return Recovery(
        over.fault,
        over.partner,
        over.began,
        over.ended,
        max(0, over.quiet_end - over.ended),
        None if returned is None else max(0, start + returned * bin_ms - over.ended),
        None if cleared is None else max(0, start + (cleared + 1) * bin_ms - over.ended),
        max([0, *(with_fault.sent[index] - without.sent[index] for index in wave)]),
        max([0, *(with_fault.backlog[index] - without.backlog[index] for index in wave)]),
        load,
        goodput,
        stays and sound,
        freed,
        cut_ms,
        _sum(without.good, first, quiet),
    )


class _Cuts(Struct, frozen=True):
    """Cuts of the load of a business that stays down, from a fork of it on.

    A cut frees the partner if that is healthy at the full load again: if its goodput in the last window before the bin
    `last` is within the tolerance of the `usual` one.
    """

    run: _Run
    branch: Branch
    watch: _Watch
    partner: str
    last: int
    cut_ms: int
    usual: int

    def smallest(self) -> int | None:
        """The smallest cut of those tried that frees it, in percent."""
        if not self.frees(CUTS[-1]):
            return None
        low, high = 0, len(CUTS) - 1
        # The larger the cut, the shorter the way: bisection over those tried.
        while low < high:
            tried = (low + high) // 2
            if self.frees(CUTS[tried]):
                high = tried
            else:
                low = tried + 1
        return CUTS[low]

    def frees(self, cut: int) -> bool:
        """Whether a cut of so many percent does."""
        begin, bin_ms, settings = self.watch.begin, self.watch.bin_ms, self.run.settings
        watch = _Watch(begin, bin_ms, settings.bins)
        watch.calls.policies = dict(self.watch.calls.policies)
        branch = self.branch.fork(watch)
        _thin(branch, (100 - cut) * 10_000)
        branch.run(branch.world.now + self.cut_ms)
        _thin(branch, 1_000_000)
        branch.run(begin + self.last * bin_ms)
        good = watch.of(self.partner).good
        return _healthy(_sum(good, self.last - settings.window, settings.window), self.usual, settings)


def _thin(branch: Branch, left_ppm: int) -> None:
    """Let so many of the customers come, in parts per million."""
    for actor in branch.world.actors.values():
        if isinstance(actor, Channel):
            actor.left_ppm = left_ppm
