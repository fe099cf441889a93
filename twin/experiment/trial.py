"""One run of an experiment, wherever it is executed: what goes there and what comes back."""

from __future__ import annotations

import time
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct, structs

import twin
from twin.core.refusals import EngineError
from twin.measures.measured import Exact, Measured
from twin.run import Run, Simulation, versions
from twin.scenario import Scenario

__all__ = ["COLD", "Outcome", "Row", "Trial", "code_digest", "failed", "outcome_of", "trial_of", "try_out"]

COLD: Final = "cold"
"""How a trial starts that runs from the beginning."""

_CODE: Final = (
    "codec.py",
    "core",
    "driver.py",
    "experiment/trial.py",
    "experiment/warm_start.py",
    "log",
    "measures",
    "observability",
    "opening.py",
    "order_book.py",
    "ports.py",
    "residuals.py",
    "run.py",
    "scenario",
    "streams",
    "world",
)
"""What a result depends on."""


class Trial(Struct, frozen=True):
    """One scenario with a variant's changes under a seed, and how it starts. `key` stands for all of that."""

    key: str
    scenario_id: str
    variant: str
    seed: int
    scenario: Scenario
    start: str

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.scenario_id}, variant {self.variant}, seed {self.seed}"


class Row(Struct, frozen=True):
    """One measure of one run; None where nothing fell into its window."""

    measure: str
    kind: str
    unit: str
    numerator: Exact | None
    denominator: Exact | None
    value: Exact | None


class Outcome(Struct, frozen=True):
    """What a run gave; `failure` says why the engine stopped, and then there are no rows. `seconds` is wall time."""

    key: str
    scenario_id: str
    variant: str
    seed: int
    scenario_digest: str
    digest: str
    entries: int
    rows: tuple[Row, ...]
    seconds: float
    start: str
    failure: str = ""


def trial_of(
    scenario_id: str, variant: str, scenario: Scenario, seed: int, start: str = COLD, base: Scenario | None = None
) -> Trial:
    """The trial with its key; `base` is what it parts from, warm. Two variants that say the same are two trials."""
    parts = [scenario_id, variant, str(seed), scenario.digest, book_digest(scenario), code_digest(), start]
    parts += [base.digest] if base is not None else []
    parts += [f"{name} {version}" for name, version in sorted(versions().items())]
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return Trial(blake2b(text.encode(), digest_size=16).hexdigest(), scenario_id, variant, seed, scenario, start)


@lru_cache
def code_digest() -> str:
    """A digest of the code that a result depends on: results of another code are never mixed with those of this."""
    root = Path(twin.__file__).parent
    found = blake2b(digest_size=16)
    for name in _CODE:
        for path in sorted((root / name).rglob("*.py")) if (root / name).is_dir() else [root / name]:
            found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def book_digest(scenario: Scenario) -> str:
    """A digest of the order book's file, of residuals and of the opening's tables, of which the scenario's own digest
    has the names only; nothing without them."""
    found = ""
    if scenario.opening is not None:
        for table in sorted(scenario.opening.folder.glob("*.csv")):
            found += _file_digest(table, table.stat().st_mtime_ns)
    if scenario.residuals is not None and scenario.residuals.file.is_file():
        found += _file_digest(scenario.residuals.file, scenario.residuals.file.stat().st_mtime_ns)
    if scenario.order_book is None:
        return found
    path = scenario.order_book.file
    return found + (_file_digest(path, path.stat().st_mtime_ns) if path.is_file() else str(path))


@lru_cache
def _file_digest(path: Path, changed_ns: int) -> str:
    found = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def try_out(trial: Trial) -> Outcome:
    """Run and measure in a folder that is removed. An engine that stops is an outcome; other errors name the run."""
    began = time.perf_counter()
    try:
        with TemporaryDirectory(prefix="twin-trial-") as kept:
            simulation = Simulation.begin(trial.scenario, trial.seed, Path(kept) / "run")
            simulation.advance(trial.scenario.run.end)
            done = outcome_of(trial, simulation.finish())
    except EngineError as error:
        done = failed(trial, error)
    except Exception as error:
        error.add_note(f"while running {trial.name}")
        raise
    return structs.replace(done, seconds=round(time.perf_counter() - began, 3))


def outcome_of(trial: Trial, run: Run) -> Outcome:
    """What a finished run gave."""
    return Outcome(
        trial.key,
        trial.scenario_id,
        trial.variant,
        trial.seed,
        run.manifest.scenario_digest,
        run.digest,
        run.manifest.entries,
        tuple(_row(found) for found in run.measures.values()),
        0.0,
        trial.start,
    )


def failed(trial: Trial, error: EngineError) -> Outcome:
    """The outcome of a run whose engine stopped."""
    told = "; ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
    named = (trial.key, trial.scenario_id, trial.variant, trial.seed, trial.scenario.digest)
    return Outcome(*named, "", 0, (), 0.0, trial.start, told)


def _row(found: Measured) -> Row:
    # With the Fraction's own type, a value crosses to another process exactly.
    numerator, denominator, value = (
        one if one is None or isinstance(one, int) else Fraction(one)
        for one in (found.numerator, found.denominator, found.value)
    )
    return Row(found.name, found.kind, found.unit, numerator, denominator, value)
