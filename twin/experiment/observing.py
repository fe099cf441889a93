"""One run for a check: a real run with its full log in a folder that is removed, of which the figures are kept."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct

from twin.codec import encode_state
from twin.core.engine import Engine
from twin.core.invariants import violations
from twin.core.refusals import EngineError
from twin.core.state import State
from twin.log import RunError, read_entries, read_truth, verify_run
from twin.measures.accounts import account_run
from twin.measures.left_over import left_over
from twin.measures.measured import Exact
from twin.observability import QueueFold
from twin.run import Progress, Simulation
from twin.scenario import Scenario

__all__ = ["MUST_BE_ZERO", "Job", "Observation", "observe"]

MUST_BE_ZERO: Final = (
    "audit_gaps",
    "double_billed_value",
    "duplicate_effect_count",
    "illegal_transition_count",
    "invoices_before_ship",
    "lost_effect_count",
)
"""Measures of which anything but zero is a broken invariant."""


class Job(Struct, frozen=True):
    """One run of the scenario number `case` that `name` names, for these measures, and for the invariants if asked."""

    case: int
    name: str
    scenario: Scenario
    seed: int
    measures: tuple[str, ...]
    invariants: bool

    def __str__(self) -> str:
        return f"{self.name} with seed {self.seed}"


class Observation(Struct, frozen=True):
    """What a run gave: measures by name (None: nothing fell into the window, absent: there is no such measure).

    `broken` holds a sentence for each broken invariant, `left` one for each thing left over at the end, `dead` one
    for each dead letter then; `failure` says why the engine stopped, if it did, `digest` is that of the log.
    """

    case: int
    seed: int
    values: dict[str, Exact | None]
    broken: tuple[str, ...] = ()
    failure: str = ""
    entries: int = 0
    left: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()
    digest: str = ""


def observe(job: Job, progress: Progress | None = None) -> Observation:
    """Run and measure. An engine that stops is an observation; any other error leaves with scenario and seed."""
    try:
        with TemporaryDirectory(prefix="twin-check-") as kept:
            return _observed(job, Path(kept) / "run", progress)
    except EngineError as error:
        told = "; ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
        return Observation(job.case, job.seed, {}, failure=told)
    except Exception as error:
        error.add_note(f"while checking {job.name} with seed {job.seed}")
        raise


def _observed(job: Job, folder: Path, progress: Progress | None) -> Observation:
    simulation = Simulation.begin(job.scenario, job.seed, folder)
    simulation.advance(job.scenario.run.end, progress)
    run = simulation.finish()
    measured = run.measures
    # With the Fraction's own type, a value crosses to another process exactly.
    values = {name: _exact(measured[name].value) for name in job.measures if name in measured}
    broken = tuple(_broken(folder, simulation.driver.engine.state, job.scenario.run.end)) if job.invariants else ()
    if job.invariants:
        zeros = [measured[name] for name in MUST_BE_ZERO]
        broken += tuple(f"{found.name} is {found.text()}, not 0: {found.note}" for found in zeros if found.value)
    state = simulation.driver.engine.state
    return Observation(
        job.case,
        job.seed,
        values,
        broken,
        entries=run.manifest.entries,
        left=tuple(left_over(state)),
        dead=tuple(f"{key}: a dead letter: {dead.reason}" for key, dead in state.dead_letters.items()),
        digest=run.digest,
    )


def _exact(value: Exact | None) -> Exact | None:
    return value if value is None or isinstance(value, int) else Fraction(value)


def _broken(folder: Path, state: State, end: int) -> Iterator[str]:
    """Every invariant that does not hold in a run finished at `end` (ms) whose engine ended in `state`."""
    try:
        verify_run(folder)
    except RunError as error:
        yield f"the digest chain is broken: {error}"
    yield from account_run(folder).differences
    yield from violations(state)
    folded, messages = Engine(), QueueFold()
    for entry in messages.over(read_entries(folder)):
        folded.apply(entry)
    if encode_state(folded.state) != encode_state(state):
        yield "the log does not fold to the state that the run ended in"
    # At the run's end: by the last entry's instant all of the days before it might still be at work.
    judged = messages.judge(read_truth(folder), end)
    for what in ("lost", "unexpected", "duplicated"):
        if keys := getattr(judged, what):
            yield f"messages {what}: {len(keys)}, {', '.join(keys[:3])}"
