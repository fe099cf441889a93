"""The lineage of one id as a timeline: documents, and messages with what caused them."""

from __future__ import annotations

from pathlib import Path

from twin.cli.failures import InputError
from twin.cli.terminal import line, show, table
from twin.cli.texts import clock, count

__all__ = ["show_lineage"]


def show_lineage(run: Path, id: str) -> None:
    """A table of time (UTC), kind, id and cause. Raises `InputError` for an id that is not there."""
    from twin.log import RunError, read_manifest
    from twin.observability import lineage

    manifest = read_manifest(run)
    try:
        owner, links = lineage(run, id)
    except RunError as error:
        raise InputError(str(error)) from None
    title = f"{id} leads to {owner.kind.replace('_', ' ')} {owner.id}: {manifest.title}, seed {manifest.seed}"
    shown = table(title, "Time", "", "What", "Id", "Caused by")
    shown.columns[0].no_wrap = True
    for link in links:
        shown.add_row(clock(link.at), link.way, link.kind, link.id, link.cause)
    show(shown)
    documents = sum(not link.way for link in links)
    line(f"{count(documents)} documents, {count(len(links) - documents)} messages (in: to the engine, out: from it)")
