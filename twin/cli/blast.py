"""Who was hit while an interface failed: a summary, the ids with their values, and how right that is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from twin.cli.failures import InputError
from twin.cli.terminal import line, show, table
from twin.cli.texts import clock, count, money, rounded

if TYPE_CHECKING:
    from twin.log import Manifest
    from twin.observability import ScoredBlast

__all__ = ["parse_moment", "print_blast", "show_blast"]

FIRST: Final = 20
"""Messages that are listed, unless all are asked for."""

WORDS: Final = {
    "orders": "Orders",
    "purchase_orders": "Purchase orders",
    "tasks": "Warehouse tasks",
    "shipments": "Shipments",
    "documents": "Invoices and credits",
}


def parse_moment(option: str, text: str, start_ms: int) -> int:
    """An instant (ms): `2025-11-17T09:00Z`, or `3d9h` after the start of the run. Raises `InputError`."""
    from twin.scenario.units import format_instant, parse_duration, parse_instant

    try:
        at = parse_instant(text) if "T" in text else start_ms + parse_duration(text)
        format_instant(at)
    except ValueError as error:
        raise InputError(f"{option} {text}: {error}; or give an instant such as 2025-11-17T09:00Z") from None
    except OverflowError:
        raise InputError(f"{option} {text}: that is after the year 9999; give an earlier time") from None
    return at


def show_blast(manifest: Manifest, scored: ScoredBlast, interface: str, window: tuple[int, int], every: bool) -> None:
    """What was hit, by kind with its value; the messages; and precision and recall where the truth is known."""
    blast, known = scored.found, bool(scored.true.messages)
    columns = ["Hit", "Number", "Value", *(["Held back", "True", "Precision", "Recall"] if known else ["Held back"])]
    title = f"{manifest.title}, seed {manifest.seed}: {interface} from {clock(window[0])} to {clock(window[1])} UTC"
    summary = table(title, *columns, right=tuple(columns[1:]))
    for kind in ("messages", *WORDS):
        found = getattr(blast, kind)
        value = "" if kind == "messages" else money(blast.value(kind), manifest.currency)
        held = count(len(found) - len(getattr(scored.reached, kind)))
        scores = _scored(scored, kind) if known else []
        summary.add_row(WORDS.get(kind, "Messages"), count(len(found)), value, held, *scores)
    show(summary)
    line("Held back: only behind messages that their sender never sent in that time; these are not scored.")
    if known:
        line("True: behind the messages that the truth says the fault hit in the window.")
    else:
        line("The truth of this run names no message that was hit in the window, so nothing is scored.")
    line()
    touched = list(blast.messages.values())
    listed = table("Messages", "Message", "To", "Order", "How")
    for one in touched if every else touched[:FIRST]:
        listed.add_row(one.key, one.gateway, one.correlation, one.how)
    if touched:
        show(listed)
        if not every and len(touched) > FIRST:
            line(f"and {count(len(touched) - FIRST)} more; --all lists them, --json all kinds")


def _scored(scored: ScoredBlast, kind: str) -> list[str]:
    one = scored.score(kind)
    shares = (one.precision, one.recall)
    return [count(one.true), *("–" if share is None else rounded(share, 4) for share in shares)]


def print_blast(scored: ScoredBlast, interface: str, window: tuple[int, int]) -> None:
    """One JSON map: the window (ms), each kind with ids and values in minor units, the messages, and the score."""
    blast = scored.found
    told: dict[str, Any] = {"interface": interface, "from": window[0], "to": window[1]}
    told["messages"] = {
        key: {"gateway": one.gateway, "correlation": one.correlation, "how": one.how}
        for key, one in blast.messages.items()
    }
    for kind in WORDS:
        told[kind] = {"value_minor": blast.value(kind), "ids": getattr(blast, kind)}
    if scored.true.messages:
        told["score"] = {}
        for kind in ("messages", *WORDS):
            one = scored.score(kind)
            told["score"][kind] = {
                "found": one.found,
                "true": one.true,
                "shared": one.shared,
                "precision": None if one.precision is None else str(one.precision),
                "recall": None if one.recall is None else str(one.recall),
            }
    line(json.dumps(told, indent=2, ensure_ascii=False))
