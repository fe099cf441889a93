"""One order's story as a timeline, and the nearest ids for one that is not there."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final

from twin.cli.failures import InputError
from twin.cli.terminal import line, show, table
from twin.cli.texts import clock, count, money

if TYPE_CHECKING:
    from twin.log import Manifest, StoryRow

__all__ = ["show_story", "tell_story"]

_INSTANT: Final = re.compile(r"\b((?:at|by|until|eta|\w+_at) )(\d{12,13})\b")
"""The story holds instants as milliseconds; a number without such a word before it may be an item's EAN."""

_AMOUNT: Final = {
    "order.captured": re.compile(r"( at )(\d+)(?=,|$)"),
    "shipment.shipped": re.compile(r"(freight )(\d+)$"),
    "invoice.created": re.compile(r"( at |sum )(\d+)(?=,|;|$)"),
}
"""Where the story of these events holds amounts in minor units."""

NEAR_MAX: Final = 3
LOOKED_AT_MAX: Final = 50_000


def show_story(order: str, manifest: Manifest, rows: list[StoryRow]) -> None:
    """A table of time (UTC), what happened, and details; what is said once is not said again below it."""
    story = table(f"Order {order}: {manifest.title}, seed {manifest.seed}; times in UTC", "Time", "What", "Details")
    story.columns[0].no_wrap = story.columns[1].no_wrap = True
    before = ("", "")
    for row in rows:
        at, what = clock(row.at), row.what
        told = ("", "" if what == before[1] else what) if at == before[0] else (at, what)
        story.add_row(*told, _readable(row, manifest.currency))
        before = (at, what)
    show(story)
    line(f"{count(len(rows))} steps")


def _readable(row: StoryRow, currency: str) -> str:
    text = _INSTANT.sub(lambda found: f"{found[1]}{clock(int(found[2]))}", row.detail)
    amounts = _AMOUNT.get(row.what)
    return amounts.sub(lambda found: f"{found[1]}{money(int(found[2]), currency)}", text) if amounts else text


def tell_story(run: Path, order: str) -> tuple[Manifest, list[StoryRow]]:
    """The run's manifest and the order's story. Raises `RunError`, and `InputError` for an order that is not there."""
    from twin.log import RunError, explain, read_manifest

    manifest = read_manifest(run)
    try:
        return manifest, explain(run, order)
    except RunError:
        ids = _orders(run)
        if order in ids:
            raise
    near = _near(ids, order)
    meant = f"did you mean {' or '.join(near)}?" if near else f"ids look like {' or '.join(ids[:NEAR_MAX]) or 'none'}"
    raise InputError(f"{run}: no order '{order}' in it; {meant}")


def _orders(run: Path) -> list[str]:
    """The ids of all orders that were captured or refused."""
    from twin.log import connect

    with connect(run) as connection:
        found = connection.execute(
            "select distinct correlation from entries where type = 'order.capture' order by 1"
        ).fetchall()
    return [str(row[0]) for row in found]


def _near(ids: list[str], order: str) -> list[str]:
    # Comparing every id of a large book would take minutes: those that share an end come first.
    likely = sorted(ids, key=lambda id: (id[:3] != order[:3], id[-3:] != order[-3:]))
    return get_close_matches(order, likely[:LOOKED_AT_MAX], n=NEAR_MAX, cutoff=0.5)
