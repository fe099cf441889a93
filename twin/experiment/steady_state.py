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
from twin.observability.calls import Calls
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
    """One partner's messages by bin: asked for, attempts sent, answered in time, and open at the bin's end."""

    wanted: list[int] = []
    sent: list[int] = []
    good: list[int] = []
    backlog: list[int] = []


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


class _Watch:
    """Counts what happens to messages, by bin and partner."""

    def __init__(self, begin: int, bin_ms: int, bins: int) -> None:
        self.begin = begin
        self.bin_ms = bin_ms
        self.bins = bins
        self.calls = Calls()
        self.series: dict[str, Series] = {}

    def of(self, partner: str) -> Series:
        """A partner's series, as long as the run."""
        found = self.series.get(partner)
        if found is None:
            zeros = [0] * self.bins
            found = self.series[partner] = Series(zeros[:], zeros[:], zeros[:], zeros[:])
        return found

    def __call__(self, entry: Entry) -> None:
        index = (entry.now - self.begin) // self.bin_ms
        for step in self.calls.fold(entry):
            kind = step.kind
            if kind not in ("asked", "sent", "succeeded") or not 0 <= index < self.bins:
                continue
            gateway = step.message.delivery.gateway
            if not self.calls.policy(gateway).acknowledge:
                continue
            for partner in (gateway, ALL):
                series = self.of(partner)
                row = series.wanted if kind == "asked" else series.sent if kind == "sent" else series.good
                row[index] += 1

    def look(self, index: int, branch: Branch) -> None:
        """Note how many messages are open at the end of a bin."""
        open_now = branch.driver.engine.state.deliveries
        self.of(ALL).backlog[index] = len(open_now)
        for opened in open_now.values():
            self.of(opened.delivery.gateway).backlog[index] += 1


class _Run:
    """One business run bin by bin; `kept` are forks of it, a window after the end of a fault, by the place of that."""

    def __init__(self, scenario: Scenario, seed: int, settings: Settings, what: str, progress: Progress | None) -> None:
        run = scenario.run
        self.bin_ms = max(1, run.horizon // settings.bins)
        self.watch = _Watch(run.start, self.bin_ms, settings.bins)
        self.branch = Branch.begin(scenario, seed, self.watch)
        self.kept: dict[int, tuple[Branch, _Watch]] = {}
        told = 0
        due: dict[int, list[int]] = {}
        for index in range(settings.bins):
            self.branch.run(run.start + (index + 1) * self.bin_ms)
            self.watch.look(index, self.branch)
            faults = self.branch.faults
            for place in range(told, len(faults)):
                if faults[place][1] == "fault.ended":
                    due.setdefault(index + settings.window, []).append(place)
            told = len(faults)
            if index in due:
                watch = _Watch(run.start, self.bin_ms, settings.bins)
                watch.calls.policies = dict(self.watch.calls.policies)
                self.kept |= dict.fromkeys(due[index], (self.branch.fork(watch), watch))
            if progress is not None:
                progress(what, index + 1, settings.bins, self.branch.driver.engine.state.position)


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
        judged = _judge(
            hurt, base, settings, scenario, place, partner, detail, began.get((subject, detail), at), at, quiet_end
        )
        found.append(judged)
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


def _judge(
    hurt: _Run,
    base: _Run,
    settings: Settings,
    scenario: Scenario,
    place: int,
    partner: str,
    fault: str,
    began: int,
    ended: int,
    quiet_end: int,
) -> Recovery:
    start, width = scenario.run.start, settings.window
    bin_ms = hurt.bin_ms
    with_fault, without = hurt.watch.of(partner), base.watch.of(partner)
    first = -(-(ended - start) // bin_ms)
    last = min((quiet_end - start) // bin_ms, settings.bins)
    returned = first_return(with_fault, without, first, last, settings)
    band = max(without.backlog, default=0)
    cleared = next((index for index in range(first, last) if with_fault.backlog[index] <= band), None)
    middle = with_fault.backlog[(first + last) // 2] if last > first else 0
    end_backlog = with_fault.backlog[last - 1] if last > first else 0
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
        usual = _sum(without.good, tail, width)
        freed = _way_out(hurt.kept.get(place), settings, scenario, partner, last, cut_ms, usual)
    return Recovery(
        fault,
        partner,
        began,
        ended,
        max(0, quiet_end - ended),
        None if returned is None else max(0, start + returned * bin_ms - ended),
        None if cleared is None else max(0, start + (cleared + 1) * bin_ms - ended),
        max([0, *(with_fault.sent[index] - without.sent[index] for index in range(first, last))]),
        max([0, *(with_fault.backlog[index] - without.backlog[index] for index in range(first, last))]),
        load,
        goodput,
        stays and sound,
        freed,
        cut_ms,
        _sum(without.good, first, quiet),
    )


def _way_out(
    fork: tuple[Branch, _Watch] | None,
    settings: Settings,
    scenario: Scenario,
    partner: str,
    last: int,
    cut_ms: int,
    usual: int,
) -> int | None:
    """The smallest cut of the load, of those tried, after which the partner is healthy at the full load again: its
    goodput in the last window is within the tolerance of the `usual` one."""
    if fork is None or not _frees(fork, settings, scenario, partner, last, cut_ms, usual, CUTS[-1]):
        return None
    low, high = 0, len(CUTS) - 1
    # The larger the cut, the shorter the way: bisection over those tried.
    while low < high:
        tried = (low + high) // 2
        if _frees(fork, settings, scenario, partner, last, cut_ms, usual, CUTS[tried]):
            high = tried
        else:
            low = tried + 1
    return CUTS[low]


def _frees(
    fork: tuple[Branch, _Watch],
    settings: Settings,
    scenario: Scenario,
    partner: str,
    last: int,
    cut_ms: int,
    usual: int,
    cut: int,
) -> bool:
    begin, bin_ms, bins = scenario.run.start, fork[1].bin_ms, settings.bins
    watch = _Watch(begin, bin_ms, bins)
    watch.calls.policies = dict(fork[1].calls.policies)
    branch = fork[0].fork(watch)
    _thin(branch, (100 - cut) * 10_000)
    branch.run(branch.world.now + cut_ms)
    _thin(branch, 1_000_000)
    branch.run(begin + last * bin_ms)
    series = watch.of(partner)
    tail = last - settings.window
    return _healthy(_sum(series.good, tail, settings.window), usual, settings)


def _thin(branch: Branch, left_ppm: int) -> None:
    """Let so many of the customers come, in parts per million."""
    for actor in branch.world.actors.values():
        if isinstance(actor, Channel):
            actor.left_ppm = left_ppm
