"""Recorded runs fed back: folded to a state, forked from there, or decided anew."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from twin.cli.blast import parse_moment
from twin.cli.failures import InputError
from twin.cli.outputs import write_output
from twin.cli.reconstructing import show_tags
from twin.cli.terminal import line, prose, show, table
from twin.cli.texts import clock, count

if TYPE_CHECKING:
    from rich.table import Table

    from twin.core.master import Policies
    from twin.core.state import State
    from twin.log import Manifest
    from twin.replay.agreement import Agreement
    from twin.replay.redecide import Redecided

__all__ = [
    "position_of",
    "print_redecided",
    "redecided_by",
    "show_redecided",
    "show_state",
    "write_changed",
]

SHOWN: Final = 20
"""Changed decisions that a table shows."""
TEXT_MAX: Final = 72
"""Characters of a decision that a table shows."""
MORE: Final = "..."
DECIDED_ANEW: Final = (
    "Re-decided: each decision anew against the recorded state; nothing was carried out, so no difference follows from "
    "another."
)


def position_of(run: Path, manifest: Manifest, text: str) -> tuple[int, int]:
    """The entry that `--at` means and its instant (ms): an entry's number, a time after the start, or an instant."""
    from twin.replay.fold import position_at

    if text.isdecimal():
        if not 1 <= int(text) <= manifest.entries:
            raise InputError(f"--at {text}: the run has entries 1 to {manifest.entries}; give one of them")
        return int(text), -1
    try:
        at = parse_moment("--at", text, manifest.start_ms)
    except InputError as error:
        raise InputError(f"{error}, or the number of an entry") from None
    if at < manifest.start_ms:
        raise InputError(f"--at {text}: the run begins at {clock(manifest.start_ms)}; give a later time")
    if at > manifest.end_ms:
        raise InputError(f"--at {text}: the run is over at {clock(manifest.end_ms)}; give an earlier time")
    return position_at(run, at), at


# --- fold


def show_state(run: Path, manifest: Manifest, state: State, *, as_json: bool) -> None:
    """What stands in the engine after an entry."""
    from hashlib import blake2b

    from twin.codec import encode_state
    from twin.core import buckets
    from twin.core.invariants import violations
    from twin.replay.statement import of_fold

    orders = state.orders.values()
    units = [0] * len(buckets.BUCKETS)
    for order in orders:
        for one in order.lines.values():
            units = [before + held for before, held in zip(units, one.buckets, strict=True)]
    broken = violations(state)
    figures: dict[str, int] = {
        "open orders": sum(not order.closing for order in orders),
        "orders held": sum(order.held for order in orders),
        "units backordered": units[buckets.BACKORDERED],
        "units on order for customers": units[buckets.ON_ORDER],
        "units reserved": units[buckets.RESERVED],
        "units released or picked": units[buckets.RELEASED] + units[buckets.PICKED],
        "units on their way": units[buckets.SHIPPED],
        "purchase orders open": len(state.purchase_orders),
        "messages under way": len(state.deliveries),
        "dead letters": len(state.dead_letters),
        "units on hand, as believed": sum(cell.on_hand for cells in state.stock.values() for cell in cells.values()),
        "units inbound": sum(cell.inbound for cells in state.stock.values() for cell in cells.values()),
    }
    digest = blake2b(encode_state(state), digest_size=16).hexdigest()
    said = of_fold(manifest, state.now, figures)
    if as_json:
        told = {"replay": "fold", "position": state.position, "now_ms": state.now, "digest": digest}
        told |= {"figures": figures, "violations": broken, "statement": msgspec.to_builtins(said)}
        line(json.dumps(told, indent=2, ensure_ascii=False))
        return
    title = f"{manifest.title}, seed {manifest.seed}: folded to entry {count(state.position)}, {clock(state.now)} UTC"
    made = table(title, "What", "Number", right=("Number",))
    for name, number in figures.items():
        made.add_row(name, count(number))
    show(made)
    line(f"state:   {digest}")
    prose(
        "all invariants hold" if not broken else f"{count(len(broken))} invariants are broken; the first: {broken[0]}"
    )
    show_tags(said)


# --- re-decide


def _changed_policies(run: Path, settings: Sequence[str]) -> Callable[[Policies], Policies] | None:
    """What `--set policies.…` changes in the policies that held; None where nothing is set."""
    from twin.cli.overrides import parse_overrides
    from twin.replay.fold import recorded_scenario
    from twin.replay.redecide import over
    from twin.scenario import load_plain
    from twin.world.build import policies_of

    if not settings:
        return None
    scenario, _ = recorded_scenario(run)
    changes = parse_overrides(settings, load_plain(run / "scenario.yaml"))
    strange = [key for key in changes if key != "policies"]
    if strange:
        raise InputError(
            f"--set {strange[0]}: only policies are decided anew; everything else is as recorded. "
            "To change more, use `twin fork RUN --at TIME --set ...`"
        )
    return over(policies_of(scenario), policies_of(scenario.with_changes(changes)))


def redecided_by(
    run: Path, settings: Sequence[str], service: str | None, told: Callable[[int], None] | None
) -> Redecided:
    """A run decided anew by the engine under changed policies, or by the service at an address."""
    from twin.decisions import connect
    from twin.replay.redecide import redecide

    if service is not None and settings:
        raise InputError("--service and --set: a service decides by its own rules; give one of them")
    policies = _changed_policies(run, settings)
    with ExitStack() as opened:
        decider = None
        if service is not None:
            # A live-only one may be held against a log: nothing is carried out, and nothing is to be repeated.
            decider = connect(service, ("sourcing",), live_only=True)
            opened.callback(decider.close)
        return redecide(run, policies, service=decider, told=told)


def show_redecided(manifest: Manifest, found: Redecided, logic: str) -> None:
    """How far the decisions agree, and those that differ."""
    from twin.replay.statement import of_redecide

    prose(f"{manifest.title}, seed {manifest.seed}; {logic}.")
    prose(DECIDED_ANEW)
    line()
    right = ("Decisions", "Same", "Share", "95 % interval", "By value")
    made = table("Sourcing that comes out identical in site, quantity and date", "Class", *right, right=right)
    for one in found.agreement:
        made.add_row(one.criticality or "all", count(one.decisions), count(one.same), *_shares(one))
    show(made)
    if found.reasons:
        prose("where it differs: " + ", ".join(f"{reason} {count(number)}" for reason, number in found.reasons.items()))
    if found.usable >= 0:
        asked = found.agreement[0].decisions if found.agreement else 0
        prose(f"{count(found.usable)} of {count(asked)} answers of the service can be carried out")
    looked = ", ".join(f"{count(number)} of {kind}" for kind, number in found.decisions.items())
    prose(f"{count(found.entries)} entries, with decisions: {looked}")
    if not found.changed:
        line("none changed")
        show_tags(of_redecide(manifest, logic, found.agreement))
        return
    made = table("Changed", "Entry", "About", "Was", "Would be", "Decided by", right=("Entry",))
    for change in found.changed[:SHOWN]:
        texts = [_shortened(text) for text in (change.was, change.would_be, change.why)]
        made.add_row(count(change.position), f"{change.subject} {change.decision}", *texts)
    show(made)
    more = len(found.changed) - SHOWN
    prose(
        f"{count(len(found.changed))} changed"
        + (f"; --out FILE.csv has the other {count(more)}" if more > 0 else "")
        + (f"; whole texts are there ({MORE})" if any(MORE in cell for cell in _cells(made)) else "")
    )
    show_tags(of_redecide(manifest, logic, found.agreement))


def _cells(made: Table) -> list[str]:
    return [str(cell) for column in made.columns for cell in column.cells]


def _shortened(text: str) -> str:
    """At most `TEXT_MAX` characters, cut between words: a release of forty lines would fill a page."""
    if len(text) <= TEXT_MAX:
        return text
    return f"{text[: TEXT_MAX - len(MORE)].rpartition(' ')[0].rstrip(',;:')} {MORE}"


def _shares(one: Agreement) -> tuple[str, str, str]:
    value = one.same_value_minor / one.value_minor if one.value_minor else 1.0
    return f"{one.same / one.decisions:.1%}", f"{one.low:.1%} to {one.high:.1%}", f"{value:.1%}"


def print_redecided(manifest: Manifest, found: Redecided, logic: str) -> None:
    """One JSON map; instants are ms since 1970, values minor units."""
    from twin.replay.statement import of_redecide

    told: dict[str, Any] = {"replay": "re-decide", "logic": logic, **msgspec.to_builtins(found)}
    told["statement"] = msgspec.to_builtins(of_redecide(manifest, logic, found.agreement))
    line(json.dumps(told, indent=2, ensure_ascii=False))


def write_changed(path: Path, found: Redecided) -> None:
    """All changed decisions as CSV, whole or not at all."""
    rows = StringIO(newline="")
    writer = csv.writer(rows)
    writer.writerow(["position", "now_ms", "about", "decision", "was", "would_be", "decided_by"])
    for one in found.changed:
        writer.writerow([one.position, one.now, one.subject, one.decision, one.was, one.would_be, one.why])
    write_output("--out", path, "a table of changed decisions", rows.getvalue())
