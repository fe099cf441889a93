"""A log reconstructed: its facts drive a scenario, as it was and with changes, and what may be concluded from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from twin.cli.blast import parse_moment
from twin.cli.terminal import line, prose, show, table
from twin.cli.texts import count

if TYPE_CHECKING:
    from twin.cli.progress import Reporter
    from twin.event_log import EventLog
    from twin.experiment.reconstruction import Reconstruction
    from twin.replay.facts import Facts
    from twin.replay.statement import Statement

__all__ = ["reconstruct_log", "show_statement", "show_tags"]

PLOT: Final = "distance.png"


def _log_of(files: Sequence[Path], mapping: Path | None, source: str) -> tuple[EventLog, int, Path | None]:
    """The log, when it begins (ms), and the run folder that it is the log of, if any."""
    from twin.cli.profiling import first_day, read_log
    from twin.log import read_manifest
    from twin.log.foreign import is_foreign

    log, first = read_log(source, files, mapping), files[0]
    if first.is_dir() and not is_foreign(first):
        return log, read_manifest(first).start_ms, first
    return log, first_day(log), None


def reconstruct_log(
    files: Sequence[Path],
    base: Path,
    out: Path,
    fit_until: str,
    *,
    mapping: Path | None,
    source: str,
    settings: Sequence[str],
    seeds: int,
    distances: bool,
    progress: Reporter,
) -> Reconstruction:
    """Read the log, and reconstruct it in `out`."""
    from twin.cli.overrides import parse_overrides
    from twin.experiment.reconstruction import check_folder, reconstruct
    from twin.replay.distances import library
    from twin.replay.facts import facts_of
    from twin.replay.log_facts import facts_of_log
    from twin.replay.log_words import in_words_of
    from twin.scenario import load, load_plain

    scenario = load(base)
    # A log may take minutes to read.
    check_folder(out, files)
    progress("reading the log", 0, 1, 0)
    if distances:
        library()
    log, start, run = _log_of(files, mapping, source)
    if run is None:
        log = in_words_of(log, scenario, base)
    classes = {channel.id: channel.criticality for channel in scenario.channels}
    facts: Callable[[int, int], Facts] = lambda since, until: (  # noqa: E731
        facts_of_log(log, since, until, classes) if run is None else facts_of(run, since, until)
    )
    done = reconstruct(
        log,
        scenario,
        base,
        out,
        start=start,
        fit_until=parse_moment("--fit-until", fit_until, start),
        facts=facts,
        changes=parse_overrides(settings, load_plain(base)) if settings else None,
        seeds=range(1, seeds + 1),
        distances=distances,
        progress=progress,
    )
    if done.distances is not None and done.tables is not None:
        from twin.report.fidelity_plot import draw_fidelity

        draw_fidelity(out / PLOT, (log.title, "as it was"), done.tables, done.distances)
    return done


def show_statement(said: Statement, folder: Path | None = None) -> None:
    """The statement in tables of a terminal."""
    from twin.replay import statement
    from twin.replay.statement import number, period, spread

    prose(f"{said.replay}: {statement.KINDS[said.replay]}.")
    line(f"log:    {said.log}")
    prose(f"logic:  {said.logic}")
    line(f"fitted: {period(said.fitted)}")
    line(f"tested: {period(said.tested)}")
    if said.agreement:
        columns = ("Decisions", "Same", "Share", "95 % interval")
        made = table(said.agreement_of.capitalize(), "Class", *columns, right=columns)
        for one in said.agreement:
            share = number(one.same / one.decisions if one.decisions else None, "ratio")
            interval = spread(one.low, one.high, "ratio")
            made.add_row(one.criticality or "all", count(one.decisions), count(one.same), share, interval)
        show(made)
    if said.distances:
        numbers = ("Value", "Noise floor", "Multiple")
        made = table("Distance to the tested log", "Distance", *numbers, right=numbers)
        for near in said.distances:
            multiple = "–" if near.multiple is None else number(near.multiple, "number")
            made.add_row(near.distance, number(near.value, near.unit), number(near.floor, near.unit), multiple)
        show(made)
        prose(f"{said.floor[:1].upper()}{said.floor[1:]}.")
    _inputs(said)
    _figures(said)
    line("What must not be concluded:")
    for text in said.never:
        prose(f"- {text}")
    if folder is not None:
        line()
        line(f"statement: {folder / 'statement.md'}")
        line(f"scenario:  {folder / 'scenario.yaml'}")
        if (folder / PLOT).exists():
            line(f"picture:   {folder / PLOT}")


def _figures(said: Statement) -> None:
    """A row a measure; with the interval of the difference, or of what was reconstructed where nothing was changed."""
    from twin.replay.statement import number, shown_unit, spread

    if not said.figures:
        return
    sides = list(dict.fromkeys(figure.of for figure in said.figures))
    # Both in one would be wider than a terminal.
    parts = [("What came out", [side for side in sides if side != "difference"])]
    if "difference" in sides:
        parts.append(("What the change made of it", ["difference"]))
    for title, shown in parts:
        interval_of = "" if len(parts) > 1 and shown != ["difference"] else shown[-1]
        intervals = ["95 % interval"] if interval_of else []
        made = table(title, "Measure", *[side.capitalize() for side in shown], *intervals)
        for column in made.columns[1:]:
            column.justify = "right"
            column.no_wrap = True
        for measure in dict.fromkeys(figure.measure for figure in said.figures):
            row = {figure.of: figure for figure in said.figures if figure.measure == measure}
            cells = [number(row[side].value, shown_unit(row[side])) if side in row else "–" for side in shown]
            if interval_of:
                last = row.get(interval_of)
                cells.append("" if last is None else spread(last.low, last.high, shown_unit(last)))
            made.add_row(measure, *cells)
        show(made)
    tags = {side: next(figure.tag for figure in said.figures if figure.of == side) for side in sides}
    of = "difference" if "difference" in sides else "last column"
    prose(f"Tags: {', '.join(f'{side} {tag}' for side, tag in tags.items())}. The interval is of the {of}.")


def _inputs(said: Statement) -> None:
    """What went in: what has a share by name; of the rest, parameters of one section are one row."""
    from twin.replay.statement import number

    if not said.inputs:
        return
    made = table("What went in", "Input", "Tag", "Share", right=("Share",))
    rest: dict[tuple[str, str], list[str]] = {}
    for one in said.inputs:
        if one.share is None:
            rest.setdefault((one.tag, one.name.partition(" ")[0]), []).append(one.name)
        else:
            made.add_row(one.name, one.tag, number(one.share, "ratio"))
    for (tag, section), names in rest.items():
        made.add_row(names[0] if len(set(names)) == 1 else f"{section}: {count(len(names))} parameters", tag, "")
    show(made)


def show_tags(said: Statement) -> None:
    """What a replay without a page of its own has to say: the tags of its numbers, and what not to conclude."""
    from twin.replay import statement

    line()
    prose(f"{said.replay}: {statement.KINDS[said.replay]}.")
    prose(f"logic: {said.logic}")
    for one in said.inputs:
        prose(f"{one.tag}: {one.name} ({one.told})")
    line("What must not be concluded:")
    for text in said.never:
        prose(f"- {text}")
