"""Commands that ask what if: gates, experiments, answers, drills."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from twin.cli.arguments import SEED_MAX, Executor, Results, ScenarioFile, Workers, duration
from twin.cli.failures import FAILED, InputError
from twin.cli.progress import reporting
from twin.cli.terminal import line

__all__ = ["commands"]

commands: Final = typer.Typer()


@commands.command()
def check(
    scenarios: Annotated[list[Path], typer.Argument(metavar="SCENARIO...", help="YAML files, or folders of them.")],
    full: Annotated[bool, typer.Option("--full", help="All seeds, not a sample of them.")] = False,
    seeds: Annotated[int | None, typer.Option(min=2, metavar="N", help="So many seeds.")] = None,
    workers: Workers = 1,
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
        None if budget is None else duration("--budget", budget) / 1000,
        plan,
        junit,
        markdown,
        inconclusive,
    )
    with reporting(quiet=quiet) as progress:
        finish = run_check(asked, progress)
    raise typer.Exit(finish())


@commands.command()
def fuzz(
    scenario: ScenarioFile,
    count: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="So many schedules.")] = 20,
    seed: Annotated[int, typer.Option(min=0, max=SEED_MAX // 1_000_000, help="They are drawn from it.")] = 1,
    only: Annotated[int | None, typer.Option(min=0, metavar="NUMBER", help="One schedule, with its faults.")] = None,
    workers: Workers = 1,
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


@commands.command()
def experiment(
    plan: Annotated[Path, typer.Argument(metavar="EXPERIMENT", help="YAML file of an experiment.")],
    out: Results,
    executor: Executor = None,
    workers: Workers = 1,
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


@commands.command()
def answers(
    plan: Annotated[Path, typer.Argument(metavar="EXPERIMENT", help="YAML file of an experiment with outages.")],
    out: Results,
    executor: Executor = None,
    workers: Workers = 1,
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


@commands.command()
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
    workers: Workers = 1,
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


@commands.command()
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


@commands.command()
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


@commands.command()
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
    workers: Workers = 1,
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


@commands.command()
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
