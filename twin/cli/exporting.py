"""A run written for others: its entries as JSON lines, as OCEL 2.0, its events as CloudEvents, its end as tables."""

from __future__ import annotations

import shutil
from pathlib import Path

from twin.cli.failures import InputError
from twin.cli.terminal import line
from twin.log import read_manifest, read_rows
from twin.log.outputs import new_file

__all__ = ["export_run", "write_entries", "write_opening"]


def export_run(
    run: Path,
    entries: Path | None,
    ocel: Path | None,
    cloud_events: Path | None,
    opening: Path | None = None,
    *,
    topics: bool = False,
) -> None:
    """Write the files that are asked for and say what is in them.

    Raises `InputError` where none is asked for, and `RunError` as the writers do.
    """
    if entries is None and ocel is None and cloud_events is None and opening is None:
        raise InputError("nothing to write; give --entries FILE, --ocel FILE, --cloudevents FILE or --opening DIR")
    if topics and cloud_events is None:
        raise InputError("--topics: it chooses among CloudEvents; give --cloudevents FILE")
    if opening is not None:
        write_opening(run, opening)
        line(f"what was under way: {opening}")
    if entries is not None:
        line(f"{write_entries(run, entries):,} entries: {entries}")
    if ocel is not None:
        from twin.log.ocel import write_ocel

        written = write_ocel(run, ocel)
        line(f"{written.events:,} events, {written.objects:,} objects of {written.entries:,} entries: {ocel}")
    if cloud_events is not None:
        from twin.log.cloud_events import write_cloud_events

        what = "published events" if topics else "events"
        line(f"{write_cloud_events(run, cloud_events, topics=topics):,} {what}: {cloud_events}")


def write_opening(run: Path, folder: Path) -> None:
    """Write what was under way at the end of a run to a new folder, whole or not at all.

    Raises `RunError` for a run that is cut off, and `InputError` where the folder is there already or cannot be made.
    """
    from twin.run import Run

    done = Run(run)
    if folder.exists():
        raise InputError(f"{folder} is there already; give a folder that does not exist yet")
    if not folder.absolute().parent.is_dir():
        raise InputError(f"{folder} cannot be made: {folder.parent} is no folder; make it first")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    try:
        done.write_opening(unfinished)
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_entries(run: Path, file: Path) -> int:
    """Write the entries of a finished run to a new file, whole or not at all; returns how many there are.

    Each line is the JSON that the digest chain links. Raises `RunError` for a run that is cut off, and where the file
    is there already or cannot be made.
    """
    read_manifest(run)
    written = 0
    with new_file(file) as folder, (folder / file.name).open("w", encoding="utf-8", newline="\n") as lines:
        for row in read_rows(run):
            lines.write(f"{row.payload}\n")
            written += 1
    return written
