"""What became of every message: the verdict of the total-queue checker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from twin.cli.terminal import line, show, table
from twin.cli.texts import count

if TYPE_CHECKING:
    from twin.log import Manifest
    from twin.observability import TotalQueue

__all__ = ["judge_messages", "print_messages", "show_messages"]

FIRST: Final = 5
"""Keys of each kind that are named."""

WORDS: Final = {
    "lost": "acknowledged and never done",
    "unexpected": "done and never asked for",
    "duplicated": "done more than once",
    "recovered": "done though no acknowledgement was taken",
    "pending": "acknowledged lately, may still be at work",
    "untraced": "nobody answers, and no act is recorded",
    "withdrawn": "taken back before anything was done",
    "dead": "given up, and waiting for somebody",
}

TITLES: Final = {"dead": "dead letters"}
"""What is not called by its name."""


def judge_messages(run: Path, manifest: Manifest, settle_ms: int | None) -> TotalQueue:
    """The verdict on a finished run."""
    from twin.log import read_entries, read_truth
    from twin.observability import total_queue

    sources = read_entries(run), read_truth(run), manifest.end_ms
    return total_queue(*sources) if settle_ms is None else total_queue(*sources, settle_ms)


def show_messages(manifest: Manifest, found: TotalQueue) -> None:
    """A table of what became of the messages, with the first keys of each kind, and the verdict."""
    title = f"{manifest.title}, seed {manifest.seed}: messages"
    shown = table(title, "What", "Number", "Means", "Such as", right=("Number",))
    shown.add_row("attempted", count(found.attempted), "asked for by the engine")
    shown.add_row("acknowledged", count(found.acknowledged), "taken by the counterpart, as it said")
    shown.add_row("ok", count(found.ok), "asked for and done")
    for name, words in WORDS.items():
        keys = getattr(found, name)
        more = f" and {count(len(keys) - FIRST)} more" if len(keys) > FIRST else ""
        shown.add_row(TITLES.get(name, name), count(len(keys)), words, ", ".join(keys[:FIRST]) + more)
    show(shown)
    if not manifest.truth_rows:
        line("Without truth, counterparts' own replies tell of their acts: what was done twice is not seen.")
    if found.valid:
        line("Nothing lost, nothing unexpected, nothing done twice.")
    else:
        line("Messages were lost, made up or done twice.")


def print_messages(found: TotalQueue) -> None:
    """One JSON map: how many, the keys of each kind, and whether the queue is valid."""
    told = msgspec.to_builtins(found)
    told["dead_letters"] = told.pop("dead")
    line(json.dumps(told | {"valid": found.valid}, indent=2, ensure_ascii=False))
