"""The honest statement of a replay: which it was, whose logic decided, what was fitted and tested, how near it came,
where each number is from, and what must not be concluded from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

from twin.log import Manifest
from twin.replay.agreement import Agreement
from twin.scenario.units import format_instant

__all__ = [
    "KINDS",
    "NOT_YOURS",
    "Figure",
    "Input",
    "Near",
    "Statement",
    "Tag",
    "markdown",
    "number",
    "of_fold",
    "of_fork",
    "of_redecide",
    "period",
    "shown_unit",
    "spread",
]

Tag = Literal["measured", "modeled", "assumed"]

NOT_YOURS: Final = "reference logic, not yours"
"""What stands in place of an agreement where none can be told."""

KINDS: Final[dict[str, str]] = {
    "fold": "the recorded events were trusted, and nothing was decided anew",
    "fork": "the recorded run was repeated up to an instant, and went on from there",
    "redecide": "each recorded decision was taken anew against the recorded state, and nothing was carried out",
    "reconstruct": "the recorded facts outside drove the actors, and the engine decided everything afresh",
}
"""What each replay is, in words; they are never mixed."""


class Input(Struct, frozen=True):
    """What went into a replay: `share` of it (0 to 1, None where that means nothing) has this tag."""

    name: str
    tag: Tag
    share: float | None
    told: str


class Figure(Struct, frozen=True):
    """A number of the result: of the recorded log, the replay as it was, the changed one, or their difference.

    `low` and `high` are its interval of 95 % over seeds, None where there is none.
    """

    measure: str
    of: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    tag: Tag


class Near(Struct, frozen=True):
    """A distance between the real log and the replay as a multiple of the noise floor."""

    distance: str
    value: float | None
    unit: str
    floor: float | None
    multiple: float | None


class Statement(Struct, frozen=True):
    """Periods are [from, to) in ms; `fitted` is None where nothing was estimated. `sources` are what every number of it
    hangs on, by name: digests, seeds, the version."""

    replay: Literal["fold", "fork", "redecide", "reconstruct"]
    log: str
    logic: str
    fitted: tuple[int, int] | None
    tested: tuple[int, int] | None
    agreement: tuple[Agreement, ...]
    agreement_of: str
    distances: tuple[Near, ...]
    floor: str
    inputs: tuple[Input, ...]
    figures: tuple[Figure, ...]
    never: tuple[str, ...]
    sources: tuple[tuple[str, str], ...] = ()


def of_fold(manifest: Manifest, now: int, figures: Mapping[str, int]) -> Statement:
    """The statement of a log folded up to `now` (ms) to these figures."""
    return Statement(
        "fold",
        f"{manifest.title}, seed {manifest.seed}",
        "the engine that wrote the log; nothing was decided",
        None,
        (manifest.start_ms, now),
        (),
        "",
        (),
        "",
        (Input("events", "measured", 1.0, f"the log, digest {manifest.digest}"),),
        tuple(
            [
                Figure(name, "recorded", float(value), None, None, "number", "measured")
                for name, value in figures.items()
            ]
        ),
        (
            "That the shelves held this: it is what the engine believed, from what it had been told by then.",
            "What another policy would have made of it: fork from here, or re-decide.",
        ),
    )


def of_fork(manifest: Manifest, at: int, end: int, *, changed: bool) -> Statement:
    """The statement of a recorded run that goes on from `at` (ms) to `end`, as it was or changed."""
    inputs = [Input("entries up to the fork", "measured", 1.0, f"held against the log, digest {manifest.digest}")]
    never = []
    if changed:
        inputs.append(Input("what came after", "modeled", None, "the recorded scenario and seed, with the changes"))
        never = [
            "That it would have gone so outside of this simulation: the log and what follows are of one model.",
            "How much of the difference is luck: it is one seed; an experiment has more.",
        ]
    else:
        never = ["That a policy is good or bad: nothing was changed; the rest equals the log byte for byte."]
    logic = f"the engine that wrote the log{', with other settings from there on' if changed else ''}"
    log = f"{manifest.title}, seed {manifest.seed}"
    return Statement("fork", log, logic, None, (at, end), (), "", (), "", tuple(inputs), (), tuple(never))


def of_redecide(manifest: Manifest, logic: str, agreement: Sequence[Agreement]) -> Statement:
    """The statement of decisions taken anew by some logic."""
    return Statement(
        "redecide",
        f"{manifest.title}, seed {manifest.seed}",
        logic,
        None,
        (manifest.start_ms, manifest.end_ms),
        tuple(agreement),
        "sourcing that comes out identical in site, quantity and date",
        (),
        "",
        (
            Input("states and recorded decisions", "measured", 1.0, f"the log, digest {manifest.digest}"),
            Input("decisions taken anew", "modeled", 1.0, logic),
        ),
        (),
        (
            "What would have followed: each decision is taken against the recorded state, not against what other "
            "decisions before it would have left.",
            "That it is better or worse: no outcome was simulated; a fork or an experiment does.",
        ),
    )


def period(span: tuple[int, int] | None) -> str:
    """A period in words."""
    return "none" if span is None else f"{format_instant(span[0])} to before {format_instant(span[1])}"


def number(value: float | None, unit: str) -> str:
    """A value in a unit that people read: shares in percent, their differences in points, durations in hours."""
    if value is None:
        return "–"
    if math.isinf(value):
        return "without end"
    if unit == "ratio":
        return f"{value:.1%}"
    if unit == "points":
        return f"{_points(value)} points"
    if unit in ("ms", "h"):
        return f"{value / (3_600_000 if unit == 'ms' else 1):,.2f} h"
    return f"{value:,.2f}" if unit in ("share", "number") else f"{value:,.0f} {unit}"


def shown_unit(one: Figure) -> str:
    """In what a number of the result is told: what two shares are apart is no share."""
    return "points" if one.of == "difference" and one.unit == "ratio" else one.unit


def _points(value: float) -> str:
    text = f"{100 * value:+.1f}"
    return "0.0" if float(text) == 0 else text


def spread(low: float | None, high: float | None, unit: str) -> str:
    """An interval, or nothing."""
    if unit == "points" and low is not None and high is not None:
        return f"{_points(low)} to {_points(high)} points"
    return "" if low is None or high is None else f"{number(low, unit)} to {number(high, unit)}"


def markdown(said: Statement) -> str:
    """The statement as a page."""
    lines = [
        f"# Statement: {said.replay}",
        "",
        f"{said.replay}: {KINDS[said.replay]}.",
        "",
        f"- Log: {said.log}",
        f"- Logic: {said.logic}",
        f"- Fitted on: {period(said.fitted)}",
        f"- Tested on: {period(said.tested)}",
        "",
    ]
    if said.agreement:
        lines += [
            f"## Agreement: {said.agreement_of}",
            "",
            "| Class | Decisions | Same | Share | 95 % interval |",
            "|---|---|---|---|---|",
        ]
        for one in said.agreement:
            share = one.same / one.decisions if one.decisions else None
            lines.append(
                f"| {one.criticality or 'all'} | {one.decisions:,} | {one.same:,} | {number(share, 'ratio')} "
                f"| {spread(one.low, one.high, 'ratio')} |"
            )
        lines.append("")
    if said.distances:
        lines += [
            f"## Distance to the real log ({said.floor})",
            "",
            "| Distance | Value | Noise floor | Multiple |",
            "|---|---|---|---|",
        ]
        for near in said.distances:
            multiple = "–" if near.multiple is None else number(near.multiple, "number")
            lines.append(
                f"| {near.distance} | {number(near.value, near.unit)} | {number(near.floor, near.unit)} | {multiple} |"
            )
        lines.append("")
    if said.inputs:
        lines += ["## What went in", "", "| Input | Tag | Share | From |", "|---|---|---|---|"]
        lines += [
            f"| {one.name} | {one.tag} | {'' if one.share is None else number(one.share, 'ratio')} | {one.told} |"
            for one in said.inputs
        ]
        lines.append("")
    if said.figures:
        lines += [
            "## What came out",
            "",
            "| Measure | Of | Value | 95 % interval | Tag |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {one.measure} | {one.of} | {number(one.value, shown_unit(one))} "
            f"| {spread(one.low, one.high, shown_unit(one))} "
            f"| {one.tag} |"
            for one in said.figures
        ]
        lines.append("")
    lines += ["## What must not be concluded", "", *[f"- {one}" for one in said.never], ""]
    if said.sources:
        lines += ["## Where it is from", "", *[f"- {name}: {value}" for name, value in said.sources], ""]
    return "\n".join(lines)
