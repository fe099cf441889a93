"""How far a simulated log is from a real one: a table, JSON, or a picture."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from twin.cli.failures import InputError
from twin.cli.outputs import check_output
from twin.cli.terminal import line, prose, show, table

if TYPE_CHECKING:
    from pyarrow import Table

    from twin.replay.fidelity import Compared, Fidelity
    from twin.replay.foreign_table import Seen

__all__ = ["check_mapping", "check_plot", "draw_plot", "is_seen", "print_fidelity", "read_events", "show_fidelity"]


def check_mapping(paths: Sequence[Path], mapping: Path | None) -> None:
    """See that a mapping has a file to say something about. Raises `InputError`."""
    if mapping is not None and all(path.is_dir() for path in paths):
        raise InputError(f"--mapping {mapping}: all logs are folders, whose events need no mapping; leave it out")


def read_events(path: Path, mapping: Path | None, source: str, seen: Seen | None = None) -> Table:
    """The event table of a run's folder, of a neutral log's, of a file with a mapping, or of one in Parquet as it is.

    A run is `seen` as a log would have seen it, where it is held against one that says how. Says on stderr how many
    events have no time. Raises as the readers do.
    """
    from twin.cli.profiling import read_log
    from twin.log.foreign import is_foreign
    from twin.replay.event_table import read_event_table
    from twin.replay.foreign_table import as_seen
    from twin.replay.neutral_table import events_of_log

    if seen is not None and is_seen(path):
        return as_seen(path, seen)
    mapped = mapping is not None and not path.is_dir()
    if not mapped and not is_foreign(path):
        return read_event_table(path)
    log = read_log(source, [path], mapping if mapped else None)
    found, timeless = events_of_log(log)
    if timeless:
        sys.stderr.write(f"{path}: {timeless:,} events of orders have no time and are not compared\n")
    return found


def is_seen(path: Path) -> bool:
    """Whether it is a run, of which a log may have seen less than there is."""
    from twin.log.foreign import is_foreign

    return path.is_dir() and not is_foreign(path)


def show_fidelity(paths: Sequence[Path], found: Fidelity, seen: Seen | None = None) -> None:
    """A row a distance: unit, value, floor and multiple; and how runs were `seen`."""
    numbers = ("Value", "Noise floor", "Multiple")
    rows = table(f"{paths[0]} against {paths[1]}", "Distance", "Unit", *numbers, right=numbers)
    for one in found.rows:
        distance = one.distance
        rows.add_row(
            distance.name, distance.unit, _told(distance.value), _told(one.floor.value), _multiple(one.multiple)
        )
    show(rows)
    line(f"Noise floor: {_floor(found.rows)}.")
    sizes = {one.distance.of: one.distance.n for one in found.rows if one.distance.of != "parcels"}
    sizes |= {f"parcels for {one.distance.name}": one.distance.n for one in found.rows if one.distance.of == "parcels"}
    if seen is not None and any(map(is_seen, paths[1:])):
        prose(f"Runs are seen as {paths[0]} was: {_seen(seen)}.")
    prose("Compared: " + "; ".join(f"{of} {a:,} and {b:,}" for of, (a, b) in sizes.items()) + ".")
    for one in found.rows:
        if list(one.distance.parts) == [""]:
            prose(f"{one.distance.name}: {one.distance.parameters}.")
    for left in found.left_out:
        prose(f"Left out: {left.activity} ({left.events:,} events in {paths[left.log]}), which another log lacks.")
    for one in found.rows:
        if one.distance.left_out:
            prose(
                f"Left out of {one.distance.name}: {one.distance.left_out:,} parcels of places for which only one log "
                "has this time."
            )


def _seen(seen: Seen) -> str:
    from twin.scenario.units import format_instant

    told = f"{', '.join(seen.activities)}, up to {format_instant(seen.as_of)}"
    if seen.daily:
        told += f"; only the dates of {', '.join(seen.daily)}"
    return told + ("; only what was delivered" if seen.delivered_only else "")


def _floor(rows: Sequence[Compared]) -> str:
    if any(one.floor.by == "seeds" for one in rows):
        return "the same simulation under other seeds"
    return "two halves of the first log, by its cases"


def _told(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"


def _multiple(value: float | None) -> str:
    if value is None:
        return "–"
    return "∞" if math.isinf(value) else f"{value:,.1f}"


def print_fidelity(paths: Sequence[Path], found: Fidelity, seen: Seen | None = None) -> None:
    """One JSON object. A multiple over a floor of nothing is null, as is a floor that the logs are too short for;
    `seen` is how the first log saw things, if it says so."""
    rows = []
    for one in found.rows:
        distance, multiple = one.distance, one.multiple
        rows.append(
            {
                "distance": distance.name,
                "unit": distance.unit,
                "value": distance.value,
                "noise_floor": one.floor.value,
                "noise_floor_by": one.floor.by,
                "multiple": multiple if multiple is not None and math.isfinite(multiple) else None,
                "floors": {"halves": one.floor.halves, "weeks": one.floor.weeks, "seeds": one.floor.seeds},
                "of": distance.of,
                "n": list(distance.n),
                "parameters": distance.parameters,
                "parts": distance.parts,
                "left_out": distance.left_out,
            }
        )
    left = [{"log": str(paths[one.log]), "activity": one.activity, "events": one.events} for one in found.left_out]
    told = {"real": str(paths[0]), "simulated": str(paths[1]), "seeds": [str(path) for path in paths[2:]]}
    as_it_was = {} if seen is None else {"seen": msgspec.to_builtins(seen)}
    line(json.dumps(told | as_it_was | {"distances": rows, "left_out": left}, indent=2, ensure_ascii=False))


def check_plot(path: Path) -> None:
    """Whether a picture can be drawn there, before minutes of comparing. Raises `InputError`."""
    if path.suffix not in (".svg", ".png"):
        raise InputError(f"--plot {path}: a plot is a .png or an .svg file")
    check_output("--plot", path, "a plot")


def draw_plot(path: Path, paths: Sequence[Path], tables: Sequence[Table], found: Fidelity) -> None:
    """Draw cycle times, arrivals and multiples."""
    from twin.replay.distances import common_activities
    from twin.report.fidelity_plot import draw_fidelity

    first, second, *_ = common_activities(*tables)
    draw_fidelity(path, (str(paths[0]), str(paths[1])), (first, second), found)
