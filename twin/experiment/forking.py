"""What if, from here: a recorded run goes on from an instant with a change, as a warm start's fork does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from twin.experiment.warm_start import cannot_take_over, change_of, remember, take_over
from twin.replay.fold import begin_again, recorded_scenario
from twin.run import Progress, Run, RunRefused
from twin.scenario import Scenario, ScenarioError
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
        asked = _culprits(scenario, changes, at - manifest.start_ms)
        what = refused[0] if len(refused) == 1 else f"{refused[0]} and {len(refused) - 1:,} more"
        raise RunRefused(
            f"{', '.join(asked)}: a run under way cannot take over what this comes to: {what}; "
            "begin a run with the change instead: `twin run SCENARIO --set ...`"
        )
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


def _culprits(scenario: Scenario, changes: Mapping[str, object], into: int) -> list[str]:
    """Those changes that alone cannot be taken over `into` the run (ms), by their keys; all where none is so alone."""
    found: dict[str, bool] = {}
    for name, alone in _singly(changes):
        try:
            found[name] = bool(cannot_take_over(scenario, scenario.with_changes(alone), into))
        except ScenarioError:
            # It makes sense only beside another.
            found[name] = False
    return [name for name, refused in found.items() if refused] or list(found)


def _singly(changes: Mapping[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    """Each change of nested maps by itself, with its name as `--set` has it: `channels[web].demand.orders`."""
    for key, value in changes.items():
        if isinstance(value, Mapping) and value:
            for name, inner in _singly(value):
                yield f"{key}.{name}", {key: inner}
        elif isinstance(value, list) and value and all(isinstance(each, Mapping) and "id" in each for each in value):
            for each in value:
                rest = {name: one for name, one in each.items() if name != "id"}
                for name, inner in _singly(rest):
                    yield f"{key}[{each['id']}].{name}", {key: [{"id": each["id"], **inner}]}
        else:
            yield key, {key: value}
