"""Commands that look into a finished run."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from twin.cli.arguments import RunFolder, duration
from twin.cli.failures import FAILED, InputError

__all__ = ["commands"]

commands: Final = typer.Typer()


@commands.command()
def explain(run: RunFolder, order: Annotated[str, typer.Argument(metavar="ORDER", help="Its id.")]) -> None:
    """One order's whole story, with the reasons."""
    from twin.cli.story import show_story, tell_story

    show_story(order, *tell_story(run, order))


@commands.command()
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


@commands.command(name="dead-letters")
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


@commands.command()
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


@commands.command()
def alerts(
    run: RunFolder,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, in ms.")] = False,
) -> None:
    """What the monitor raised, and how soon after each fault."""
    from twin.cli.alerts import show_alerts

    show_alerts(run, as_json=as_json)


@commands.command()
def trace(
    run: RunFolder,
    id: Annotated[str, typer.Argument(metavar="ID", help="Of an order, a document or a message.")],
) -> None:
    """The lineage of one id: its order, all documents, and what caused each message."""
    from twin.cli.trace import show_lineage

    show_lineage(run, id)


@commands.command()
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


@commands.command()
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
    found = judge_messages(run, manifest, None if settle is None else duration("--settle", settle))
    if as_json:
        print_messages(found)
    else:
        show_messages(manifest, found)
    if not found.valid:
        raise typer.Exit(FAILED)
