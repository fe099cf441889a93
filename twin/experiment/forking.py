"""What if, from here: a recorded run goes on from an instant with a change, as a warm start's fork does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from twin.experiment.warm_start import cannot_take_over, change_of, remember, take_over
from twin.replay.fold import begin_again, recorded_scenario
from twin.run import Progress, Run, RunRefused
from twin.scenario.units import format_duration

__all__ = ["what_if"]


def what_if(
    run: Path,
    at: int,
    changes: Mapping[str, object],
    out: Path,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Run a recorded run again up to the instant `at` (ms), held against the recording, and on from there with changes.

    Raises `RunRefused` for what a business under way cannot take over, and `Diverged`.
    """
    scenario, manifest = recorded_scenario(run)
    variant = scenario.with_changes(changes)
    if not manifest.start_ms < at < manifest.end_ms:
        lasts = format_duration(manifest.end_ms - manifest.start_ms)
        raise RunRefused(f"{run} lasts {lasts}; a change comes after its start and before its end")
    refused = cannot_take_over(scenario, variant, at - manifest.start_ms)
    if refused:
        raise RunRefused(f"a run under way cannot take over {refused[0]}")
    simulation, recorded = begin_again(run, out, force=force)
    change = change_of(scenario, variant)
    remember(simulation.world, change)
    simulation.advance(at, progress)
    recorded.stop()
    position, digest = simulation.log.position, simulation.log.digest.hex()
    simulation.scenario = variant
    simulation.keep_scenario()
    take_over(simulation, change)
    # A run that was stopped early is gone on with up to there, unless the change says how long it is to be.
    simulation.advance(manifest.end_ms if variant.run.end == scenario.run.end else variant.run.end, progress)
    return simulation.finish(parent=digest, position=position, progress=progress)
