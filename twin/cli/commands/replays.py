"""Commands that replay a log, and those that bring logs in and out."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from twin.cli.arguments import Force, NoReport, Out, Quiet, RunFolder
from twin.cli.failures import FAILED, InputError
from twin.cli.leaving import leaving, sum_up
from twin.cli.progress import reporting
from twin.cli.terminal import line

__all__ = ["commands"]

commands: Final = typer.Typer()


@commands.command()
def fold(
    run: RunFolder,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="36h after the start, an instant, or an entry's number; the end."),
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


@commands.command()
def fork(
    run: RunFolder,
    at: Annotated[str, typer.Option(metavar="TIME", help="36h after the start, an instant, or an entry's number.")],
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
        with leaving(out, shlex.join(again)):
            if settings:
                changes = parse_overrides(settings, load_plain(run / "scenario.yaml"))
                done = what_if(run, instant, changes, out, force=force, progress=progress)
            else:
                done = go_on(run, position, out, force=force, progress=progress)
        summary = sum_up(done, progress, no_report=no_report, quiet=quiet)
    summary()
    if not settings:
        line(f"the rest equals the recorded run byte for byte: digest {manifest.digest}")
    if not quiet:
        forked = instant if instant >= 0 else next(one.now for one in read_entries(run, position - 1))
        show_tags(of_fork(manifest, forked, done.manifest.end_ms, changed=bool(settings)))


@commands.command()
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
    if found.usable == 0 and found.agreement:
        sys.stderr.write("twin: the service gave no decision that can be carried out, so nothing could be compared\n")
        raise typer.Exit(FAILED)


@commands.command()
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


@commands.command()
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


@commands.command()
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


@commands.command(name="import")
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


@commands.command()
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
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="GLOB", help="Only these measures, e.g. 'otif*'; as often as you like."),
    ] = None,
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
    chosen_of_log(found, names or ())
    digest = None if out is None else write_foreign(log, out)
    if as_json:
        print_profile(log, found, names or ())
        return
    show_profile(log, found, names or ())
    if digest is not None:
        line(f"neutral log: {out}")
        line(f"digest: {digest}")


@commands.command()
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
    from twin.replay.foreign_table import read_seen

    if plot is not None:
        check_plot(plot)
    paths = [real, simulated, *(floor or ())]
    check_mapping(paths, mapping)
    seen = read_seen(real)
    with reporting(quiet=quiet) as progress:
        tables = []
        for number, path in enumerate(paths):
            progress("reading logs", number, len(paths), 0)
            table = read_events(path, mapping, source, seen)
            tables.append(table if cases is None else sample(table, cases))
        found = fidelity(*tables, progress=lambda done, of: progress("comparing", done, of, 0))
    if plot is not None:
        draw_plot(plot, paths, tables, found)
    if as_json:
        print_fidelity(paths, found, seen)
    else:
        show_fidelity(paths, found, seen)


@commands.command()
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
