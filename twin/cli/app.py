"""The commands. Each imports what it needs when it runs, so that `twin --help` is there at once."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from twin.cli.failures import FAILED, INTERRUPTED, WRONG_INPUT, InputError, is_input_error, tell
from twin.cli.progress import Reporter, reporting
from twin.cli.terminal import line

if TYPE_CHECKING:
    from twin.run import Run

__all__ = ["app", "main"]

# As twin.scenario.limits has it; not imported, since that package takes its time to load.
SEED_MAX: Final = 2**63 - 1

# Plain help: rich's would take longer to load than the rest of the program.
app: Final = typer.Typer(
    name="twin",
    help="A digital twin of a distribution business, run by its production order engine.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")]
ScenarioFile = Annotated[Path, typer.Argument(metavar="SCENARIO", help="YAML file of a scenario.")]
ScenarioFiles = Annotated[list[Path], typer.Argument(metavar="SCENARIO...", help="YAML files of scenarios.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the run; it is made.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an earlier run in that folder.")]
NoReport = Annotated[bool, typer.Option("--no-report", help="Write no report.html.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Only the digest and the report's path.")]
Services = Annotated[
    list[str] | None,
    typer.Option(
        "--service", metavar="ID=ADDRESS", help="Who decides: http://HOST:PORT, stdio:COMMAND or recorded:RUN."
    ),
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. No mistake in the input ends in a traceback."""
    try:
        outcome = app(args=None if arguments is None else list(arguments), standalone_mode=False, prog_name="twin")
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        outcome = INTERRUPTED
    except BrokenPipeError:
        return _had_enough()
    except SystemExit as error:
        # Typer ends the program with 1 where the reader of a pipe goes while much is written.
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        return _had_enough()
    except Exception as error:  # noqa: BLE001  (the outermost edge: nothing goes on after it but the exit)
        show = getattr(error, "show", None)
        if show is not None and hasattr(error, "exit_code"):
            # The arguments do not fit the command: typer says how they would.
            show()
            return WRONG_INPUT
        return tell(error)
    if outcome == INTERRUPTED:
        sys.stderr.write("twin: interrupted\n")
    return outcome if isinstance(outcome, int) else 0


def _had_enough() -> int:
    """The reader of a pipe has had enough; nothing more can be said there."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


@app.command()
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
    until_ms = None if until is None else _duration("--until", until)

    from twin.run import load
    from twin.scenario import load_plain

    overrides = parse_overrides(settings, load_plain(scenario)) if settings else {}
    asked = _addresses(services)

    with reporting(quiet=quiet) as progress:
        twin = load(scenario, overrides)
        used = twin.scenario.run.seed if seed is None else seed
        again = ["twin", "run", str(scenario), "--seed", str(used)]
        again += [word for setting in settings or () for word in ("--set", setting)]
        again += [word for service in services or () for word in ("--service", service)]
        with _leaving(out, shlex.join(again)):
            done = twin.run(
                used, out, force=force, until_ms=until_ms, snapshot=snapshot, progress=progress, services=asked
            )
        summary = _sum_up(done, progress, no_report=no_report, quiet=quiet)
    summary()
    if snapshot is not None:
        line(f"snapshot: {snapshot}")


@app.command()
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
    addresses = _addresses(services)
    with reporting(quiet=quiet) as progress:
        with _leaving(out, shlex.join(again)):
            done = go_on(
                snapshot,
                out,
                parent=parent,
                force=force,
                progress=progress,
                interventions=asked,
                services=addresses,
            )
        summary = _sum_up(done, progress, no_report=no_report, quiet=quiet)
    summary()


@app.command()
def fold(
    run: RunFolder,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="A time after the start, e.g. 36h, or an entry's number; the end."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """The engine's state after any entry, folded from a run's recorded events."""
    from twin.cli.replaying import position_of, show_state
    from twin.log import read_manifest
    from twin.replay.fold import fold as folded

    manifest = read_manifest(run)
    position = None if at is None else position_of(run, manifest, at)[0]
    show_state(run, manifest, folded(run, position).state, as_json=as_json)


@app.command()
def fork(
    run: RunFolder,
    at: Annotated[str, typer.Option(metavar="TIME", help="A time after the start, e.g. 36h, or an entry's number.")],
    out: Out,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="What is otherwise from there on.")
    ] = None,
    force: Force = False,
    no_report: NoReport = False,
    quiet: Quiet = False,
) -> None:
    """What if, from here: fold a run to any entry and go on from there, as it was or with changes."""
    from twin.cli.overrides import parse_overrides
    from twin.cli.reconstructing import show_tags
    from twin.cli.replaying import position_of
    from twin.experiment.forking import what_if
    from twin.log import read_entries, read_manifest
    from twin.replay.fold import go_on
    from twin.replay.statement import of_fork
    from twin.scenario import load_plain

    manifest = read_manifest(run)
    position, instant = position_of(run, manifest, at)
    if settings and instant < 0:
        raise InputError(f"--at {at}: a change comes at a time, not in the middle of a step; give a time such as 36h")
    again = ["twin", "fork", str(run), "--at", at] + [word for setting in settings or () for word in ("--set", setting)]
    with reporting(quiet=quiet) as progress:
        with _leaving(out, shlex.join(again)):
            if settings:
                changes = parse_overrides(settings, load_plain(run / "scenario.yaml"))
                done = what_if(run, instant, changes, out, force=force, progress=progress)
            else:
                done = go_on(run, position, out, force=force, progress=progress)
        summary = _sum_up(done, progress, no_report=no_report, quiet=quiet)
    summary()
    if not settings:
        line(f"the rest equals the recorded run byte for byte: digest {manifest.digest}")
    if not quiet:
        forked = instant if instant >= 0 else next(one.now for one in read_entries(run, position - 1))
        show_tags(of_fork(manifest, forked, done.manifest.end_ms, changed=bool(settings)))


@app.command()
def redecide(
    run: RunFolder,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Other policies, e.g. policies.sourcing....")
    ] = None,
    service: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Who sources instead: http://HOST:PORT or stdio:COMMAND.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="All changed decisions as CSV.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Decide a run's commands anew, under other policies or by a service: what differs, and how far both agree."""
    from twin.cli.outputs import check_output
    from twin.cli.replaying import print_redecided, redecided_by, show_redecided, write_changed
    from twin.log import read_manifest

    manifest = read_manifest(run)
    if out is not None:
        check_output("--out", out, "a table of changed decisions")
    with reporting(quiet=quiet) as progress:

        def told(position: int) -> None:
            if position % 1_000 == 0:
                progress("deciding anew", position, manifest.entries, position)

        found = redecided_by(run, settings or (), service, told)
    logic = f"sourced by {service}" if service is not None else "decided by the reference logic, not yours"
    if out is not None:
        write_changed(out, found)
    if as_json:
        print_redecided(manifest, found, logic)
    else:
        show_redecided(manifest, found, logic)


@app.command()
def reconstruct(
    files: Annotated[
        list[Path], typer.Argument(metavar="LOG...", help="Folder of a run or a neutral log, or files with --mapping.")
    ],
    base: Annotated[Path, typer.Option(metavar="SCENARIO", help="What the log cannot tell stays as in it.")],
    fit_until: Annotated[
        str, typer.Option(metavar="TIME", help="Fit on what is before, test on the rest: 30d, or an instant.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for all of it; it is made.")],
    mapping: Annotated[
        Path | None, typer.Option(metavar="MAP", help="YAML file, or the name of a shipped one, for files.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="What is otherwise in a second run.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Runs of each, for the luck that is modeled.")] = 3,
    distances: Annotated[bool, typer.Option(help="Measure how near it comes to the log.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="The statement as JSON.")] = False,
    source: Annotated[
        str, typer.Option(help="Kind of files: an entry point of the group ordertwin.event_logs.")
    ] = "tables",
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Let a log's orders and its luck drive the business, and the engine decide afresh: as it was, and changed."""
    from twin.cli.reconstructing import reconstruct_log, show_statement

    with reporting(quiet=quiet) as progress:
        done = reconstruct_log(
            files,
            base,
            out,
            fit_until,
            mapping=mapping,
            source=source,
            settings=settings or (),
            seeds=seeds,
            distances=distances,
            progress=progress,
        )
    if as_json:
        sys.stdout.write((done.folder / "statement.json").read_text(encoding="utf-8"))
    else:
        show_statement(done.statement, done.folder)


@app.command()
def refeed(
    run: RunFolder,
    journal: Annotated[Path, typer.Option(metavar="FILE", help="Journal to make, or to go on with where it stopped.")],
    kind: Annotated[
        str, typer.Option(help="Kind of journal: an entry point of the group ordertwin.refeeds.")
    ] = "sqlite",
) -> None:
    """Feed a run's commands to the production driver; the digest must come out the same."""
    from twin.cli.refeeding import refeed_run
    from twin.log import read_entries, read_manifest

    manifest = read_manifest(run)
    digest = refeed_run(kind, read_entries(run), journal)
    line(f"run:     {manifest.digest}")
    line(f"journal: {digest}")
    if digest != manifest.digest:
        line("the digests differ: the production driver did not repeat the run")
        raise typer.Exit(FAILED)
    line(f"the production driver repeated all {manifest.entries:,} entries")


@app.command()
def measures(
    run: RunFolder,
    name: Annotated[str | None, typer.Option(metavar="GLOB", help="Only these, e.g. 'otif*'.")] = None,
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
    found = chosen(found, name, kind, with_truth=manifest.truth_rows > 0)
    if as_json:
        print_json(found)
    else:
        show_measures(f"{manifest.title}, seed {manifest.seed}", found, manifest.currency, before)
        if not manifest.truth_rows and kind is None and (missing := need_truth(name)):
            line(f"not here, since no truth is kept of this run: {', '.join(missing)}")


@app.command()
def validate(scenarios: ScenarioFiles) -> None:
    """Say all that is wrong with scenarios, by file and line."""
    from twin.scenario import ScenarioError, load

    wrong = 0
    for path in scenarios:
        try:
            scenario = load(path)
        except ScenarioError as error:
            wrong += 1
            for problem in error.problems:
                sys.stderr.write(f"{problem}\n")
        else:
            line(f"{path}: {scenario.title}: valid")
    if wrong:
        sys.stderr.write(f"twin: {wrong} of {len(scenarios)} scenarios cannot be used\n")
        raise typer.Exit(WRONG_INPUT)


@app.command()
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


@app.command()
def check(
    scenarios: Annotated[list[Path], typer.Argument(metavar="SCENARIO...", help="YAML files, or folders of them.")],
    full: Annotated[bool, typer.Option("--full", help="All seeds, not a sample of them.")] = False,
    seeds: Annotated[int | None, typer.Option(min=2, metavar="N", help="So many seeds.")] = None,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Runs at the same time.")] = 1,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change every scenario that it fits.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="BASELINE", help="Compare with what they gave before, on the same seeds.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(metavar="BASELINE", help="Keep what they give, for a later --against; 30 seeds.")
    ] = None,
    margin: Annotated[str, typer.Option(metavar="SHARE", help="Loss of the measure that is borne with.")] = "-0.5%",
    budget: Annotated[str | None, typer.Option(metavar="TIME", help="For all of it, e.g. 4m.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what the budget can find.")] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML.")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a Markdown summary.")] = None,
    inconclusive: Annotated[int, typer.Option(min=0, max=3, help="Exit code where nothing is certain.")] = 3,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Hold scenarios against what they expect, and against a baseline (1 if one fails, 3 if nothing is certain)."""
    from twin.cli.checking import Request, run_check

    asked = Request(
        tuple(scenarios),
        full,
        seeds,
        workers,
        tuple(settings or ()),
        against,
        store,
        margin,
        None if budget is None else _duration("--budget", budget) / 1000,
        plan,
        junit,
        markdown,
        inconclusive,
    )
    with reporting(quiet=quiet) as progress:
        finish = run_check(asked, progress)
    raise typer.Exit(finish())


@app.command()
def fuzz(
    scenario: ScenarioFile,
    count: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="So many schedules.")] = 20,
    seed: Annotated[int, typer.Option(min=0, max=SEED_MAX // 1_000_000, help="They are drawn from it.")] = 1,
    only: Annotated[int | None, typer.Option(min=0, metavar="NUMBER", help="One schedule, with its faults.")] = None,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Runs at the same time.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Throw random schedules of faults at a scenario (1 if one breaks it)."""
    from twin.cli.drills import show_drills
    from twin.experiment.random_faults import random_drills
    from twin.scenario import load

    with reporting(quiet=quiet) as progress:
        runs = random_drills(
            load(scenario),
            count if only is None else 1,
            seed,
            first=only or 0,
            workers=workers,
            progress=progress,
        )
    if not show_drills(str(scenario), seed, runs, in_full=only is not None):
        raise typer.Exit(FAILED)


@app.command()
def experiment(
    plan: Annotated[Path, typer.Argument(metavar="EXPERIMENT", help="YAML file of an experiment.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results; what is there goes on.")],
    executor: Annotated[
        str | None, typer.Option(metavar="WHERE", help="here, pool, or dask://HOST:PORT of a Dask scheduler.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Runs at the same time.")] = 1,
    spread: Annotated[bool, typer.Option("--spread", help="Quantiles and the worst 5 % too.")] = False,
    regret: Annotated[bool, typer.Option("--regret", help="Who is how much worse than the best, too.")] = False,
    influence: Annotated[bool, typer.Option("--influence", help="Which factor moves what, too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Compare variants of scenarios in pairs, or go on with that (1 if a run fails)."""
    from twin.cli.experiments import check_experiment, show_experiment
    from twin.experiment.experiment import Experiment

    loaded = Experiment.load(plan)
    check_experiment(loaded.plan, out, influence=influence)
    with reporting(quiet=quiet) as progress:
        results = loaded.run(out, executor=executor, workers=workers, progress=progress)
    if not show_experiment(results, spread=spread, regret=regret, influence=influence):
        raise typer.Exit(FAILED)


@app.command()
def answers(
    plan: Annotated[Path, typer.Argument(metavar="EXPERIMENT", help="YAML file of an experiment with outages.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the results; what is there goes on.")],
    executor: Annotated[
        str | None, typer.Option(metavar="WHERE", help="here, pool, or dask://HOST:PORT of a Dask scheduler.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Runs at the same time.")] = 1,
    everything: Annotated[
        bool, typer.Option("--all", help="Measures and leakage of each outage under each control, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, in ms and minor units.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """What outages cost and why, which controls pay, and which workflow is worth most (1 if a run fails)."""
    from twin.cli.answering import answers_as_json, show_answers
    from twin.cli.experiments import check_experiment
    from twin.experiment.answers import Answers, TooFew
    from twin.experiment.experiment import Experiment

    loaded = Experiment.load(plan)
    check_experiment(loaded.plan, out, influence=False)
    try:
        Answers.check(loaded.plan)
        with reporting(quiet=quiet) as progress:
            results = loaded.run(out, executor=executor, workers=workers, progress=progress)
        base = loaded.plan.base_id
        found = [Answers(results, one.id, loaded.scenarios[one.id, base]) for one in loaded.plan.scenarios]
    except TooFew as error:
        raise InputError(str(loaded.plan.problem(error.path, str(error)))) from None
    if as_json:
        line(answers_as_json(loaded.plan.title, found))
    else:
        for index, one in enumerate(found):
            if index:
                line()
            show_answers(loaded.plan.title, one, everything=everything)
    for failed in results.failed:
        sys.stderr.write(
            f"{failed.scenario_id}, variant {failed.variant}, seed {failed.seed} FAILS: {failed.failure}\n"
        )
    if results.failed:
        raise typer.Exit(FAILED)


@app.command()
def exposure(
    scenario: ScenarioFile,
    recover: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB=TIME", help="Time to recover, e.g. 'interface/*=8h'; the first that fits."),
    ] = None,
    start: Annotated[
        list[str] | None, typer.Option(metavar="TIME", help="When outages begin, e.g. 3d9h; as often as you like.")
    ] = None,
    longest: Annotated[str, typer.Option(metavar="TIME", help="The longest outage looked at.")] = "7d",
    tolerance: Annotated[str, typer.Option(metavar="SHARE", help="What may be lost of the main measure.")] = "0.5%",
    fixes: Annotated[Path | None, typer.Option(metavar="FILE", help="YAML map of fixes with change and cost.")] = None,
    seeds: Annotated[int, typer.Option(min=2, metavar="N", help="Every outage under so many seeds.")] = 3,
    runs: Annotated[int, typer.Option(min=1, metavar="N", help="Budget of runs.")] = 1_000,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Runs at the same time.")] = 1,
    risk_map: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="Draw losses by dependency and length, .svg or .png.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, in ms and minor units.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Which dependency hurts first: time to survive against time to recover, in one ranking."""
    from twin.cli.exposing import check_map, draw_map, print_exposures, question_of, show_exposures
    from twin.experiment.exposure import BudgetTooSmall, NothingToLose, exposures
    from twin.scenario import load

    loaded = load(scenario)
    if risk_map is not None:
        check_map(risk_map)
    question = question_of(loaded, start or [], longest, seeds, tolerance, recover or [], fixes, runs)
    with reporting(quiet=quiet) as progress:
        try:
            found = exposures(loaded, question, workers=workers, progress=progress)
        except BudgetTooSmall as error:
            raise InputError(f"--runs {error}") from None
        except NothingToLose as error:
            raise InputError(str(error)) from None
    if risk_map is not None:
        draw_map(risk_map, loaded.title, found, loaded.currency)
    if as_json:
        print_exposures(found)
    else:
        show_exposures(loaded.title, found, loaded.currency, question.measure)


@app.command()
def distance(
    real: Annotated[Path, typer.Argument(metavar="REAL", help="Folder of a run, Parquet file of events, or a log.")],
    simulated: Annotated[Path, typer.Argument(metavar="SIMULATED", help="The same; what is held against it.")],
    floor: Annotated[
        list[Path] | None,
        typer.Option(metavar="RUN", help="The simulated one under another seed; as often as you like."),
    ] = None,
    cases: Annotated[
        int | None, typer.Option(min=2, metavar="N", help="Compare so many cases of each, chosen by a hash.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(metavar="MAP", help="What columns of a file mean; file or name, as for profile.")
    ] = None,
    source: Annotated[
        str, typer.Option(help="Kind of log: an entry point of the group ordertwin.event_logs.")
    ] = "tables",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with every floor and parameter.")] = False,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw what is compared, .png or .svg.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """How far a simulated log is from a real one, beside the distance that chance alone makes."""
    from twin.cli.distancing import check_mapping, check_plot, draw_plot, print_fidelity, read_events, show_fidelity
    from twin.replay.fidelity import fidelity, sample

    if plot is not None:
        check_plot(plot)
    paths = [real, simulated, *(floor or ())]
    check_mapping(paths, mapping)
    with reporting(quiet=quiet) as progress:
        tables = []
        for number, path in enumerate(paths):
            progress("reading logs", number, len(paths), 0)
            table = read_events(path, mapping, source)
            tables.append(table if cases is None else sample(table, cases))
        found = fidelity(*tables, progress=lambda done, of: progress("comparing", done, of, 0))
    if plot is not None:
        draw_plot(plot, paths, tables, found)
    if as_json:
        print_fidelity(paths, found)
    else:
        show_fidelity(paths, found)


@app.command()
def warmup(
    scenario: ScenarioFile,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="The mean over so many seeds.")] = 5,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """How long a business takes from its empty start to its usual state (MSER-5)."""
    from twin.cli.experiments import show_warm_ups
    from twin.experiment.warm_up import warm_ups
    from twin.scenario import load

    loaded = load(scenario)
    with reporting(quiet=quiet) as progress:
        found = warm_ups(loaded, range(1, seeds + 1), progress)
    show_warm_ups(f"{loaded.title}, mean of {seeds} seeds, by the hour", found)


@app.command()
def recover(
    scenario: ScenarioFile,
    seed: Annotated[int | None, typer.Option(min=0, max=SEED_MAX, help="Instead of the scenario's own.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, times in ms.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """How a business comes back after each fault, and what frees one that does not (1 if one does not)."""
    from twin.cli.recovering import print_recoveries, show_recoveries
    from twin.experiment.steady_state import Settings, recoveries
    from twin.scenario import load

    loaded = load(scenario)
    if not loaded.faults and not loaded.disruptions:
        raise InputError(f"{scenario}: nothing goes wrong in it; give it faults or disruptions")
    used = loaded.run.seed if seed is None else seed
    with reporting(quiet=quiet) as progress:
        found = recoveries(loaded, used, Settings(), progress)
    if as_json:
        print_recoveries(found)
    else:
        step = max(1, loaded.run.horizon // Settings().bins)
        show_recoveries(f"{loaded.title}, seed {used}", found, step)
    if any(one.metastable for one in found):
        raise typer.Exit(FAILED)


@app.command()
def brief(
    scenario: ScenarioFile,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page, e.g. page.html.")],
    seed: Annotated[int | None, typer.Option(min=0, max=SEED_MAX, help="The first, instead of the scenario's.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1_000, metavar="N", help="So many seeds, for the intervals.")] = 5,
    options: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML map of options with change and cost_per_year.")
    ] = None,
    vary: Annotated[str, typer.Option(metavar="SHARE", help="Vary assumed inputs by it; 0% does not.")] = "25%",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the scenario, e.g. costs.late=5%.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Runs at the same time.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """One page about what goes wrong in a scenario, to be forwarded: who is harmed, what it costs, what helps."""
    from twin.cli.briefing import command_of, options_of, seeds_from, share_of
    from twin.cli.outputs import check_output
    from twin.cli.overrides import parse_overrides
    from twin.scenario import load, load_plain

    check_output("--out", out, "a page")
    share = share_of(vary)
    loaded = load(scenario, parse_overrides(settings, load_plain(scenario)) if settings else {})
    if not loaded.faults and not loaded.disruptions:
        raise InputError(f"{scenario}: nothing goes wrong in it; give it faults or disruptions")
    used = seeds_from(loaded.run.seed if seed is None else seed, seeds, SEED_MAX)
    chosen = () if options is None else options_of(options, loaded)

    from twin.experiment.brief import brief as make_brief
    from twin.report.brief_page import write_brief

    with reporting(quiet=quiet) as progress:
        found = make_brief(loaded, used, chosen, vary_ppm=share, workers=workers, progress=progress)
        with found.pair.kept:
            write_brief(found, out, command_of(scenario, used, options, vary, settings or (), out), vary)
    line(f"page: {out}")


@app.command()
def policies(
    settings: Annotated[Path, typer.Argument(metavar="FILE", help="Settings of Resilience4j, or sourcing rules.")],
    bind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=WHAT",
            help="Partners of an instance (portal=supplier), or warehouse of a source (east=main); none leaves it out.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the fragment of a scenario.")] = None,
    extends: Annotated[str, typer.Option(metavar="FILE", help="Scenario that the fragment extends.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Policies of a production system as a fragment of a scenario: its Resilience4j settings, or sourcing rules."""
    from twin.cli.importing import import_file

    if out is not None and extends and not (out.parent / extends).is_file():
        raise InputError(
            f"--extends {extends}: there is no {out.parent / extends}; give its path from the fragment's folder"
        )
    import_file(settings, bind or [], out, extends, as_json=as_json)


@app.command()
def explain(run: RunFolder, order: Annotated[str, typer.Argument(metavar="ORDER", help="Its id.")]) -> None:
    """One order's whole story, with the reasons."""
    from twin.cli.story import show_story, tell_story

    show_story(order, *tell_story(run, order))


@app.command()
def interfaces(
    run: RunFolder,
    gateway: Annotated[str, typer.Option(metavar="GLOB", help="Only these, e.g. 'warehouse/*'.")] = "*",
    slo: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB=LATENCY@SHARE", help="A service level, e.g. 'erp=2s@99%'; the first that fits."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, in ms and minor units.")] = False,
) -> None:
    """Calls, errors, latency and dead letters of each interface, from the log alone."""
    from twin.cli.interfaces import check_slos, parse_slos, print_interfaces, show_interfaces
    from twin.log import read_entries, read_manifest
    from twin.observability import Slo, interface_figures

    slos = parse_slos(slo or [])
    manifest = read_manifest(run)
    # What the interfaces' owners promise holds where nothing else is asked for.
    slos += [(one.gateway, Slo(one.latency_ms, one.share_ppm)) for one in manifest.objectives]
    figures = interface_figures(read_entries(run), manifest.end_ms)
    check_slos(slo or [], slos, figures)
    if as_json:
        print_interfaces(figures, gateway, slos)
    else:
        show_interfaces(f"{manifest.title}, seed {manifest.seed}", figures, gateway, slos, manifest.currency)


@app.command(name="dead-letters")
def dead_letters(
    run: RunFolder,
    gateway: Annotated[str, typer.Option(metavar="GLOB", help="Only these, e.g. 'supplier/*'.")] = "*",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, in ms and minor units.")] = False,
) -> None:
    """What was given up and waits for somebody: why, whose, how old, worth how much."""
    from twin.cli.dead_letters import print_dead_letters, show_dead_letters
    from twin.log import read_entries, read_manifest
    from twin.observability import dead_letters_of
    from twin.scenario import load_plain

    manifest = read_manifest(run)
    interfaces = load_plain(run / "scenario.yaml").get("interfaces") or []
    owners = {one["to"]: one.get("owner", "") for one in interfaces}
    letters = dead_letters_of(read_entries(run), owners)
    if as_json:
        print_dead_letters(letters, gateway)
    else:
        show_dead_letters(manifest, letters, gateway)


@app.command()
def blast(
    run: RunFolder,
    interface: Annotated[str, typer.Option(metavar="GLOB", help="Gateways that failed, e.g. 'supplier/*'.")],
    begin: Annotated[str, typer.Option("--from", metavar="TIME", help="Since: 3d9h after the start, or an instant.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="Until before.")],
    every: Annotated[bool, typer.Option("--all", help="List all messages.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, in ms and minor units.")] = False,
) -> None:
    """Who was hit while an interface failed, and what that is worth."""
    from twin.cli.blast import parse_moment, print_blast, show_blast
    from twin.log import read_entries, read_manifest, read_truth
    from twin.observability import hits_of, scored_blast_radius

    manifest = read_manifest(run)
    window = (parse_moment("--from", begin, manifest.start_ms), parse_moment("--to", end, manifest.start_ms))
    if window[0] >= window[1]:
        raise InputError(f"--from {begin} --to {end}: the window ends before it has begun")
    hits = hits_of(read_truth(run), *window)
    blast = scored_blast_radius(read_entries(run), interface, *window, hits)
    asked = blast.found.gateways
    if asked and not any(asked.values()):
        raise InputError(f"--interface {interface}: no gateway is named so; there are {', '.join(asked)}")
    if window[1] <= manifest.start_ms or window[0] >= manifest.end_ms:
        raise InputError(f"--from {begin} --to {end}: the window lies outside the time of the run")
    if as_json:
        print_blast(blast, interface, window)
    else:
        show_blast(manifest, blast, interface, window, every)


@app.command()
def alerts(
    run: RunFolder,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, in ms.")] = False,
) -> None:
    """What the monitor raised, and how soon after each fault."""
    from twin.cli.alerts import show_alerts

    show_alerts(run, as_json=as_json)


@app.command()
def calibrate(
    log: Annotated[list[Path], typer.Argument(metavar="LOG...", help="A run's folder, or the files of one export.")],
    until: Annotated[str, typer.Option(metavar="TIME", help="Nothing from then on is looked at: 30d, or an instant.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The scenario to write.")],
    base: Annotated[
        Path | None, typer.Option(metavar="SCENARIO", help="What the log cannot tell stays as in it; a run needs one.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(metavar="MAP", help="Of an export: YAML file, or the name of a shipped one.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only what began from then on; the start unless given.")
    ] = None,
    origin: Annotated[
        str | None, typer.Option(metavar="FIELDS", help="Of an export: what makes an origin, e.g. supplier,carrier.")
    ] = None,
    horizon: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of an export: how long the scenario runs from --until on (28d).")
    ] = None,
    rest: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of an export: Parquet of what came from --until on.")
    ] = None,
    source: Annotated[
        str, typer.Option(help="Kind of export: an entry point of the group ordertwin.event_logs.")
    ] = "tables",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, durations in ms.")] = False,
) -> None:
    """Estimate a scenario's parameters from a log, each with its origin and interval."""
    from twin.cli.calibrating import calibrate_exported, calibrate_foreign, calibrate_run, check_kind
    from twin.cli.profiling import load_log

    check_kind(log, base, mapping, {"--origin": origin, "--horizon": horizon, "--rest": rest})
    if mapping is not None and base is not None:
        calibrate_exported(load_log(source, log, mapping), base, until, since, out, as_json=as_json)
    elif mapping is not None:
        calibrate_foreign(
            load_log(source, log, mapping),
            until,
            since,
            out,
            origin=origin,
            horizon=horizon or "28d",
            rest=rest,
            as_json=as_json,
        )
    elif base is not None:
        calibrate_run(log[0], base, until, since, out, as_json=as_json)


@app.command()
def trace(
    run: RunFolder,
    id: Annotated[str, typer.Argument(metavar="ID", help="Of an order, a document or a message.")],
) -> None:
    """The lineage of one id: its order, all documents, and what caused each message."""
    from twin.cli.trace import show_lineage

    show_lineage(run, id)


@app.command()
def books(
    run: RunFolder,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, amounts in minor units.")] = False,
) -> None:
    """Every line and unit, in and out (1 if one is missing)."""
    from twin.cli.books import print_books, show_books
    from twin.log import read_manifest
    from twin.measures.accounts import account_run

    read_manifest(run)
    found = account_run(run)
    if as_json:
        print_books(run, found)
    else:
        show_books(run, found)
    if found.differences:
        raise typer.Exit(FAILED)


@app.command()
def messages(
    run: RunFolder,
    settle: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long a counterpart may be at work before the end: 7d.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with all keys.")] = False,
) -> None:
    """What became of every message: lost, doubled, made up (1 if so)."""
    from twin.cli.messages import judge_messages, print_messages, show_messages
    from twin.log import read_manifest

    manifest = read_manifest(run)
    found = judge_messages(run, manifest, None if settle is None else _duration("--settle", settle))
    if as_json:
        print_messages(found)
    else:
        show_messages(manifest, found)
    if not found.valid:
        raise typer.Exit(FAILED)


@app.command()
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


@app.command()
def report(run: RunFolder) -> None:
    """Write report.html of a run again."""
    from twin.log import read_manifest
    from twin.report import write_report

    read_manifest(run)
    line(f"report: {write_report(run)}")


@app.command()
def export(
    run: RunFolder,
    entries: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The entries, a JSON line each, as the digest links them.")
    ] = None,
    ocel: Annotated[Path | None, typer.Option(metavar="FILE", help="All of the log as OCEL 2.0 in JSON.")] = None,
    cloud_events: Annotated[
        Path | None, typer.Option("--cloudevents", metavar="FILE", help="The events as CloudEvents, a JSON line each.")
    ] = None,
    topics: Annotated[bool, typer.Option("--topics", help="Of the events only the published ones.")] = False,
    opening: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Tables of what was under way at the end; it is made.")
    ] = None,
) -> None:
    """Write a run's log for others: as entries, OCEL 2.0 or CloudEvents; or its end as tables to start from."""
    from twin.cli.exporting import export_run

    export_run(run, entries, ocel, cloud_events, opening, topics=topics)


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `twin export --ocel` wrote: JSON, XML or SQLite.")],
    out: Out,
    kind: Annotated[
        str, typer.Option(help="Kind of file: an entry point of the group ordertwin.run_imports.")
    ] = "ocel",
    force: Force = False,
) -> None:
    """Read an exported run back into a folder, with its log and all that follows from it."""
    from twin.cli.run_imports import import_run

    import_run(kind, file, out, force=force)


@app.command()
def profile(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="LOG...", help="Files of one export (CSV, Parquet, OCEL 2.0, XES, CloudEvents), or a run's folder."
        ),
    ],
    mapping: Annotated[
        Path | None, typer.Option(metavar="MAP", help="YAML file, or the name of a shipped one; a folder needs none.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="GLOB", help="Only these measures, e.g. 'otif*'.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for the neutral log; it is made.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, shares and values exact.")] = False,
    source: Annotated[
        str, typer.Option(help="Kind of log: an entry point of the group ordertwin.event_logs.")
    ] = "tables",
) -> None:
    """What the log of another system, or of a run, holds, and which measures it can and cannot support."""
    from twin.cli.profiling import chosen_of_log, print_profile, read_log, show_profile
    from twin.log.foreign import check_foreign, write_foreign
    from twin.measures.of_event_log import profile_log

    if out is not None:
        check_foreign(out)
    log = read_log(source, files, mapping)
    found = profile_log(log)
    chosen_of_log(found, name)
    digest = None if out is None else write_foreign(log, out)
    if as_json:
        print_profile(log, found, name)
        return
    show_profile(log, found, name)
    if digest is not None:
        line(f"neutral log: {out}")
        line(f"digest: {digest}")


@app.command()
def diagrams() -> None:
    """Print the engine's state diagrams (Mermaid)."""
    from twin.core.stages import AGGREGATES, diagram

    for name in AGGREGATES:
        line(f"%% {name}\n{diagram(name)}\n")


@app.command()
def version() -> None:
    """The version of this program."""
    from twin import __version__

    line(f"ordertwin {__version__}")


def _addresses(services: Sequence[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in services or ():
        name, _, address = text.partition("=")
        if not name or not address:
            raise InputError(f"--service {text}: give ID=ADDRESS, as in nearest=http://127.0.0.1:8080")
        if name in found:
            raise InputError(f"--service {text}: '{name}' has an address already; give one")
        found[name] = address
    return found


def _duration(option: str, text: str) -> int:
    from twin.scenario.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise InputError(f"{option} {text}: {error}") from None


@contextmanager
def _leaving(out: Path, again: str) -> Iterator[None]:
    """Say what is left of a run that does not come to its end, and how to see a defect again."""
    try:
        yield
    except KeyboardInterrupt:
        if out.exists():
            sys.stderr.write(f"{_cut_off(out)}\n")
        raise
    except Exception as error:
        if not is_input_error(error):
            error.add_note(f"to see it again: {again} --out NEW_FOLDER")
        if (out / "entries").is_dir() and not (out / "manifest.json").exists():
            error.add_note(_cut_off(out))
        raise


def _cut_off(out: Path) -> str:
    return f"{out} is cut off: it has no manifest.json; run it again with --force, or remove it"


def _sum_up(done: Run, progress: Reporter, *, no_report: bool, quiet: bool) -> Callable[[], None]:
    """Compute what is shown at the end while the progress is still there; returns what shows it."""
    from twin.cli.summary import Summary

    summary = Summary(done, progress, with_report=not no_report, short=quiet)
    return summary.show
