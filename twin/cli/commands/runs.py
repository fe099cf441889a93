"""Commands that run a scenario, look at it before, and sum it up afterwards."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from twin.cli.arguments import (
    SEED_MAX,
    Force,
    NoReport,
    Out,
    Quiet,
    RunFolder,
    ScenarioFile,
    ScenarioFiles,
    Services,
    addresses,
    duration,
)
from twin.cli.failures import WRONG_INPUT, InputError
from twin.cli.leaving import leaving, sum_up
from twin.cli.progress import reporting
from twin.cli.terminal import line

__all__ = ["commands"]

commands: Final = typer.Typer()


@commands.command()
def run(
    scenario: ScenarioFile,
    out: Out,
    seed: Annotated[int | None, typer.Option(min=0, max=SEED_MAX, help="Instead of the scenario's own.")] = None,
    force: Force = False,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Stop early, e.g. after 10d.")] = None,
    snapshot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a file to go on from, at --until.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the scenario, e.g. warehouses[north].pickers=8."),
    ] = None,
    services: Services = None,
    no_report: NoReport = False,
    quiet: Quiet = False,
) -> None:
    """Run a scenario and show what happened."""
    from twin.cli.overrides import parse_overrides

    if snapshot is not None and until is None:
        raise InputError("--snapshot needs --until: at the end of a run there is nothing left to go on with")
    until_ms = None if until is None else duration("--until", until)

    from twin.run import load
    from twin.scenario import load_plain

    overrides = parse_overrides(settings, load_plain(scenario)) if settings else {}
    asked = addresses(services)

    with reporting(quiet=quiet) as progress:
        twin = load(scenario, overrides)
        used = twin.scenario.run.seed if seed is None else seed
        again = ["twin", "run", str(scenario), "--seed", str(used)]
        again += [word for setting in settings or () for word in ("--set", setting)]
        again += [word for service in services or () for word in ("--service", service)]
        with leaving(out, shlex.join(again)):
            done = twin.run(
                used, out, force=force, until_ms=until_ms, snapshot=snapshot, progress=progress, services=asked
            )
        summary = sum_up(done, progress, no_report=no_report, quiet=quiet)
    summary()
    if snapshot is not None:
        line(f"snapshot: {snapshot}")


@commands.command()
def resume(
    snapshot: Annotated[Path, typer.Argument(metavar="SNAPSHOT", help="File that `twin run --snapshot` wrote.")],
    out: Out,
    parent: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the run it was taken in, if that was moved.")
    ] = None,
    intervene: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=WHY", help="Begin an intervention now, by hand, e.g. 'rescue=a call'."),
    ] = None,
    services: Services = None,
    force: Force = False,
    no_report: NoReport = False,
    quiet: Quiet = False,
) -> None:
    """Go on from a snapshot, in a new folder."""
    from twin.run import resume as go_on

    asked = []
    for text in intervene or ():
        name, _, why = text.partition("=")
        if not name or not why:
            raise InputError(f"--intervene {text}: give ID=WHY, as in 'rescue=the carrier called'")
        asked.append((name, why))
    again = ["twin", "resume", str(snapshot)] + [word for text in intervene or () for word in ("--intervene", text)]
    again += [word for service in services or () for word in ("--service", service)]
    given = addresses(services)
    with reporting(quiet=quiet) as progress:
        with leaving(out, shlex.join(again)):
            done = go_on(
                snapshot,
                out,
                parent=parent,
                force=force,
                progress=progress,
                interventions=asked,
                services=given,
            )
        summary = sum_up(done, progress, no_report=no_report, quiet=quiet)
    summary()


@commands.command()
def validate(
    scenarios: ScenarioFiles,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change each, e.g. warehouses[north].pickers=8."),
    ] = None,
) -> None:
    """Say all that is wrong with scenarios, by file and line."""
    from twin.cli.overrides import parse_overrides
    from twin.scenario import ScenarioError, load, load_plain
    from twin.scenario.loader import OVERRIDES

    wrong = 0
    for path in scenarios:
        try:
            scenario = load(path, parse_overrides(settings, load_plain(path)) if settings else None)
        except ScenarioError as error:
            wrong += 1
            for problem in error.problems:
                # What a setting says stands in no file, and may fit the others.
                told = f"{path}: --set: {problem.message}" if problem.file == OVERRIDES else str(problem)
                sys.stderr.write(f"{told}\n")
        except InputError as error:
            wrong += 1
            sys.stderr.write(f"{path}: {error}\n")
        else:
            line(f"{path}: {scenario.title}: valid")
    if wrong:
        sys.stderr.write(f"twin: {wrong} of {len(scenarios)} scenarios cannot be used\n")
        raise typer.Exit(WRONG_INPUT)


@commands.command()
def opening(
    scenario: ScenarioFile,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the scenario, e.g. opening.path=now.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, amounts in minor units.")] = False,
) -> None:
    """What a scenario starts from: taken over, left out, and inconsistent."""
    from twin.cli.openings import print_opening, show_opening
    from twin.cli.overrides import parse_overrides
    from twin.run import load
    from twin.scenario import load_plain

    report = load(scenario, parse_overrides(settings, load_plain(scenario)) if settings else {}).opening()
    if report is None:
        raise InputError(f"{scenario}: it has no `opening`, so it starts with what `stock` says; see docs/opening.md")
    if as_json:
        print_opening(report)
    else:
        show_opening(report)


@commands.command()
def measures(
    run: RunFolder,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="GLOB", help="Only these, e.g. 'otif*'; as often as you like."),
    ] = None,
    kind: Annotated[str | None, typer.Option(metavar="L|T|P", help="From the log, the truth, or a pair.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, values as exact decimals.")] = False,
    base: Annotated[Path | None, typer.Option(metavar="RUN", help="A run of the same seed to compare with.")] = None,
) -> None:
    """The measures of a run, or of two side by side."""
    from twin.cli.measures import chosen, need_truth, print_json, show_measures
    from twin.log import read_manifest
    from twin.measures import compare, compute, facts_of

    manifest = read_manifest(run)
    other = manifest if base is None else read_manifest(base)
    if other.seed != manifest.seed:
        raise InputError(
            f"--base {base}: it has seed {other.seed}, {run} has {manifest.seed}; only runs of one seed are a pair"
        )
    if base is not None and (other.start_ms, other.end_ms) != (manifest.start_ms, manifest.end_ms):
        raise InputError(f"--base {base}: its run is of another time than {run}'s; only runs of one time are a pair")
    found, before = compute(run), None
    if base is not None:
        before = compute(base)
        found |= compare(facts_of(base, trace=True), facts_of(run, trace=True))
    found = chosen(found, names or (), kind, with_truth=manifest.truth_rows > 0)
    if as_json:
        print_json(found)
    else:
        show_measures(f"{manifest.title}, seed {manifest.seed}", found, manifest.currency, before)
        if not manifest.truth_rows and kind is None and (missing := need_truth(names or ())):
            line(f"not here, since no truth is kept of this run: {', '.join(missing)}")


@commands.command()
def verify(run: RunFolder) -> None:
    """Recompute the digests of a run and compare them."""
    from twin.log import verify_run

    manifest = verify_run(run)
    line(
        f"the log and the truth of {run} are what was written: {manifest.entries:,} entries, "
        f"{manifest.truth_rows:,} rows of truth; other files and the manifest's own words are not held by a digest"
    )
    line(f"digest: {manifest.digest}")
    line(f"digest of the truth: {manifest.truth_digest}")


@commands.command()
def report(run: RunFolder) -> None:
    """Write report.html of a run again."""
    from twin.log import read_manifest
    from twin.report import write_report

    read_manifest(run)
    line(f"report: {write_report(run)}")


@commands.command()
def diagrams() -> None:
    """Print the engine's state diagrams (Mermaid)."""
    from twin.core.stages import AGGREGATES, diagram

    for name in AGGREGATES:
        line(f"%% {name}\n{diagram(name)}\n")


@commands.command()
def version() -> None:
    """The version of this program."""
    from twin import __version__

    line(f"ordertwin {__version__}")
