"""The dead letters of a run, as a table or as JSON."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from msgspec.structs import asdict

from twin.cli.failures import InputError
from twin.cli.terminal import line, show, table
from twin.cli.texts import clock, count, in_unit, money

if TYPE_CHECKING:
    from twin.log import Manifest
    from twin.observability import DeadLetter

__all__ = ["print_dead_letters", "show_dead_letters"]


def _chosen(letters: list[DeadLetter], gateway: str) -> list[DeadLetter]:
    chosen = [letter for letter in letters if fnmatchcase(letter.gateway, gateway)]
    if letters and not chosen:
        there = ", ".join(dict.fromkeys(letter.gateway for letter in letters))
        raise InputError(f"--gateway {gateway}: no dead letter is for it; there are some for {there}")
    return chosen


def show_dead_letters(manifest: Manifest, letters: list[DeadLetter], gateway: str) -> None:
    """One row a letter, the oldest first; times in UTC."""
    chosen = _chosen(letters, gateway)
    if not chosen:
        line("no dead letters")
        return
    right = ("Owner", "Expires", "Age", "Value")
    made = table(
        f"{manifest.title}, seed {manifest.seed}: dead letters",
        *("Message", "To", "Why", *right),
        right=right,
    )
    for letter in chosen:
        expires = "" if letter.expires_at < 0 else "expired" if letter.expired else clock(letter.expires_at)
        made.add_row(
            letter.key,
            letter.gateway,
            letter.reason,
            letter.owner or "nobody",
            expires,
            in_unit(manifest.end_ms - letter.since, "ms", ""),
            money(letter.value_minor, manifest.currency),
        )
    show(made)
    total = money(sum(letter.value_minor for letter in chosen), manifest.currency)
    line(f"{count(len(chosen))} dead letters, worth {total}")


def print_dead_letters(letters: list[DeadLetter], gateway: str) -> None:
    """A JSON list of maps; instants are ms since 1970, values minor units, `expires_at` is null for never."""
    rows = [asdict(letter) for letter in _chosen(letters, gateway)]
    for row in rows:
        row["expires_at"] = None if row["expires_at"] < 0 else row["expires_at"]
    line(json.dumps(rows, indent=2, ensure_ascii=False))
