"""What trouble does to a business: one seed run with and without its faults and disruptions, in figures.

Both runs are real ones with a full log, so each figure is a measure of them or a query of their logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct

from twin.core import events as ev
from twin.core.refusals import EngineError
from twin.experiment.leakage import ACCOUNTS, losses_by_cause
from twin.log import TruthRow, read_entries, read_truth
from twin.measures import HarmedOrder, Measured, compare, compute_facts, facts_of, harmed
from twin.measures.facts import Facts
from twin.measures.measured import Exact
from twin.observability import FaultTime, TotalQueue, blast_radius, faults_of, total_queue
from twin.run import Progress, Run, Simulation
from twin.scenario import Scenario

__all__ = ["CALM", "Group", "Harm", "HarmedCustomer", "Pair", "Trial", "harm_of", "run_pair", "troubles"]

CALM: Final[Mapping[str, object]] = {"faults": None, "disruptions": None}
"""What makes the undisturbed business of a scenario."""


class Harm(Struct, frozen=True):
    """The figures of one pair of runs on one seed.

    `calm` and `hurt` are `ACCOUNTS` of the ledger; `pair` the P measures by name. `touched` counts the orders behind
    messages that were hit, and `touched_minor` is their value: None where no interface failed. `lost` and `doubled`
    count messages. `detected_ms` is the mean time to the first alert; None where nobody watches or noticed.
    """

    seed: int
    calm_digest: str
    hurt_digest: str
    calm: dict[str, Exact]
    hurt: dict[str, Exact]
    pair: dict[str, Exact | None]
    touched: int | None
    touched_minor: int
    lost: int
    doubled: int
    detected_ms: Exact | None
    watched: bool
    missed: int

    @property
    def lost_minor(self) -> Fraction:
        """What the trouble took from the result: margin less invoices that were never posted, less write-offs."""
        return sum(losses_by_cause(self.calm, self.hurt).values(), Fraction(0))


class Group(Struct):
    """Orders of one channel or class: captured without the trouble, and of these harmed, in which way, worth what."""

    orders: int = 0
    harmed: int = 0
    later: int = 0
    fewer: int = 0
    dearer: int = 0
    late_ms: int = 0
    late_ms_max: int = 0
    value_minor: int = 0

    def add(self, harm: HarmedOrder) -> None:
        """Count one harmed order."""
        self.harmed += 1
        self.later += harm.late_ms > 0
        self.fewer += harm.fewer_units > 0
        self.dearer += harm.dearer_minor > 0
        self.late_ms += harm.late_ms
        self.late_ms_max = max(self.late_ms_max, harm.late_ms)
        self.value_minor += harm.value_minor


class HarmedCustomer(Struct, frozen=True):
    """A customer with what was ordered and harmed, by channel; `group` sums it up."""

    customer: str
    channel: str
    criticality: str
    group: Group


class Pair(Struct):
    """One seed without and with the trouble: both runs, as long as `kept` is, their figures, and who was harmed."""

    calm: Run
    hurt: Run
    harm: Harm
    troubles: list[FaultTime]
    channels: dict[str, Group]
    classes: dict[str, Group]
    customers: list[HarmedCustomer]
    last_harmed_at: int | None
    kept: TemporaryDirectory[str]


class Trial(Struct, frozen=True):
    """One pair to be run: the scenario with its trouble, and the seed; `name` is what errors call it.

    A `lean` one leaves out what is not compared: who was touched or harmed, and what became of the messages.
    """

    name: str
    scenario: Scenario
    seed: int
    lean: bool = False


def troubles(scenario: Scenario, truth: Iterable[TruthRow]) -> list[FaultTime]:
    """When which gateway or part of the world failed in a run, by beginning."""
    return faults_of(truth, {f"interface/{one.id}": one.to for one in scenario.interfaces})


def harm_of(trial: Trial) -> Harm:
    """Run both, keep the figures, remove the rest."""
    pair = run_pair(trial)
    pair.kept.cleanup()
    return pair.harm


def run_pair(trial: Trial, progress: Progress | None = None) -> Pair:
    """Run the seed without and with the trouble, into a folder that goes with the pair."""
    kept = TemporaryDirectory(prefix="twin-brief-")
    try:
        folder = Path(kept.name)
        calm = _run(trial.scenario.with_changes(CALM), trial.seed, folder / "calm", progress)
        hurt = _run(trial.scenario, trial.seed, folder / "hurt", progress)
        return _paired(trial, calm, hurt, kept)
    except BaseException as error:
        kept.cleanup()
        if isinstance(error, Exception):
            error.add_note(f"while running {trial.name} with seed {trial.seed}")
        raise


def _run(scenario: Scenario, seed: int, folder: Path, progress: Progress | None) -> Run:
    simulation = Simulation.begin(scenario, seed, folder)
    try:
        simulation.advance(scenario.run.end, progress)
    except EngineError as error:
        error.add_note(
            f"in {scenario.title}, {'with' if scenario.faults or scenario.disruptions else 'without'} trouble"
        )
        raise
    simulation.close()
    return Run(folder)


def _paired(trial: Trial, calm: Run, hurt: Run, kept: TemporaryDirectory[str]) -> Pair:
    before, after = facts_of(calm.folder, trace=True), facts_of(hurt.folder, trace=True)
    without = compute_facts(before, read_truth(calm.folder))
    measured = compute_facts(after, read_truth(hurt.folder))
    found = troubles(trial.scenario, read_truth(hurt.folder))
    touched, messages = None, TotalQueue()
    if not trial.lean:
        touched = _touched(trial.scenario, hurt)
        messages = total_queue(read_entries(hurt.folder), read_truth(hurt.folder), hurt.manifest.end_ms)
    calm.measures, hurt.measures = without, measured
    detected, missed = measured.get("time_to_detect"), measured.get("missed_faults")
    harm = Harm(
        trial.seed,
        calm.digest,
        hurt.digest,
        _accounts(without),
        _accounts(measured),
        {name: one.value for name, one in compare(before, after).items()},
        None if touched is None else len(touched),
        sum((touched or {}).values()),
        len(messages.lost),
        len(messages.duplicated),
        None if detected is None else detected.value,
        detected is not None,
        0 if missed is None else int(missed.value or 0),
    )
    hit = {} if trial.lean else harmed(before, after)
    channels, classes, customers = _who(calm, before, hit) if not trial.lean else ({}, {}, [])
    whole = [after.records[order].delivered_at for order in hit if order in after.records]
    last = max(whole, default=0) or None
    return Pair(calm, hurt, harm, found, channels, classes, customers, last, kept)


def _accounts(measures: Mapping[str, Measured]) -> dict[str, Exact]:
    return {name: _exact(measures[name].value or 0) for name in ACCOUNTS}


def _exact(value: Exact) -> Exact:
    # With the Fraction's own type, a value crosses to another process exactly.
    return value if isinstance(value, int) else Fraction(value)


def _touched(scenario: Scenario, hurt: Run) -> dict[str, int] | None:
    """Orders behind the messages hit at each gateway from its first fault to the end of its last, with values.

    None where no interface failed: a partner that is closed, say, goes on taking messages.
    """
    rows = (row for row in read_truth(hurt.folder) if _at_interface(row))
    spans: dict[str, tuple[int, int]] = {}
    for one in troubles(scenario, rows):
        begin, end = spans.get(one.gateway, (one.began_at, one.began_at))
        over = hurt.manifest.end_ms if one.ended_at < 0 else one.ended_at
        spans[one.gateway] = (min(begin, one.began_at), max(end, over))
    if not spans:
        return None
    orders: dict[str, int] = {}
    for gateway, (begin, end) in spans.items():
        orders |= blast_radius(read_entries(hurt.folder), gateway, begin, end).orders
    return orders


def _at_interface(row: TruthRow) -> bool:
    return (row.node if row.type == "fault.hit" else row.subject).startswith("interface/")


def _who(
    calm: Run, before: Facts, found: Mapping[str, HarmedOrder]
) -> tuple[dict[str, Group], dict[str, Group], list[HarmedCustomer]]:
    """Orders captured in the window, and those harmed: by channel, by class, and by customer, worst first."""
    channels: dict[str, Group] = {}
    classes: dict[str, Group] = {}
    customers: dict[tuple[str, str, str], Group] = {}
    for entry in read_entries(calm.folder):
        for event in entry.events:
            if not isinstance(event, ev.OrderCaptured) or entry.now < before.begin:
                continue
            who = customers.setdefault((event.customer, event.channel, event.criticality), Group())
            groups = (
                channels.setdefault(event.channel, Group()),
                classes.setdefault(event.criticality, Group()),
                who,
            )
            harm = found.get(event.order)
            for group in groups:
                group.orders += 1
                if harm is not None:
                    group.add(harm)
    hit = [HarmedCustomer(*key, group) for key, group in customers.items() if group.harmed]
    hit.sort(key=lambda one: (-one.group.value_minor, -one.group.late_ms, one.customer, one.channel))
    return dict(sorted(channels.items())), dict(sorted(classes.items())), hit
