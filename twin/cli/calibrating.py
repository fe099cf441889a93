"""A log made into a scenario: the file, and a table of what was estimated."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twin.cli.blast import parse_moment
from twin.cli.failures import InputError
from twin.cli.terminal import line, show, table, width
from twin.cli.texts import clock, count

if TYPE_CHECKING:
    from twin.replay.calibrate import Calibration

__all__ = ["calibrate_run"]

WIDTH: Final = 80
NAME_MIN: Final = 12
"""Characters of a name that stay on one line at least."""


def calibrate_run(run: Path, base: Path, until: str, since: str | None, out: Path, *, as_json: bool) -> None:
    """Write the calibrated scenario, whole or not at all, and show its parameters."""
    from twin.log import read_manifest
    from twin.replay.calibrate import HEAD, calibrate
    from twin.scenario import load

    manifest = read_manifest(run)
    ends = parse_moment("--until", until, manifest.start_ms)
    begins = manifest.start_ms if since is None else parse_moment("--since", since, manifest.start_ms)
    scenario = load(base)
    _check_out(out, HEAD, [base, *scenario.sources])
    made = calibrate(run, scenario, base, begins, ends, out.parent)
    unfinished = out.with_name(f".{out.name}.unfinished")
    try:
        unfinished.write_text(made.text, encoding="utf-8")
        load(unfinished)
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
    if as_json:
        _print(run, base, begins, ends, out, made)
    else:
        _show(f"{manifest.title}, seed {manifest.seed}: {clock(begins)} to {clock(ends)} UTC", made)
        line(f"scenario: {out}")


def _check_out(out: Path, head: str, bases: list[Path]) -> None:
    if out.is_dir():
        raise InputError(f"--out {out}: it is a folder; give a file")
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}")
    if not os.access(out.parent, os.W_OK):
        raise InputError(f"--out {out}: no permission to write in {out.parent}")
    if not out.exists():
        return
    if out.resolve() in [base.resolve() for base in bases]:
        raise InputError(f"--out {out}: the base is made of this file; give another name")
    if not out.read_bytes().startswith(head.encode()):
        raise InputError(
            f"--out {out}: there is a file that is no calibrated scenario; remove it, or give another name"
        )


def _show(title: str, made: Calibration) -> None:
    from twin.replay.parameters import amount, interval

    columns = ("Estimate", "95 % interval", "n", "Open")
    shown = table(title, "Parameter", *columns, "Tag", right=columns)
    before = ""
    for one in made.parameters:
        name = "  mean" if width() >= WIDTH and one.name == before.replace(", median", ", mean") != before else one.name
        before = one.name
        if one.estimate is None:
            told = ("–" if one.tag == "measured" else "", "")
        else:
            told = (amount(one.estimate, one.unit), interval(one.estimate, one.low, one.high, one.unit))
        shown.add_row(name, *told, count(one.n) if one.n else "", count(one.censored) if one.censored else "", one.tag)
    if width() >= WIDTH:
        # No wider than that, however wide the terminal is: 17 characters are space, and names take what is left.
        rest = sum(max(len(str(column.header)), *map(len, map(str, column.cells))) for column in shown.columns[1:])
        shown.columns[0].width = max(NAME_MIN, WIDTH - 17 - rest)
    show(shown)
    assumed = sum(one.tag == "assumed" for one in made.parameters)
    line(
        f"{count(assumed)} {'stays' if assumed == 1 else 'stay'} as in the base; "
        "the file says why, and what each value is from"
    )


def _print(run: Path, base: Path, since: int, until: int, out: Path, made: Calibration) -> None:
    """One JSON map: `parameters`, durations in ms, and `hours`: arrivals by hour of the week from Monday 00:00 UTC."""
    told: dict[str, Any] = {"run": str(run), "base": str(base), "since": since, "until": until, "file": str(out)}
    told["parameters"] = [
        {
            "name": one.name,
            "unit": one.unit,
            "estimate": one.estimate,
            "low": one.low,
            "high": one.high,
            "n": one.n,
            "censored": one.censored,
            "tag": one.tag,
            "note": one.note,
        }
        for one in made.parameters
    ]
    told["hours"] = {
        channel: [
            {"hour": hour, "orders": rhythm.counts[hour], "seen": rhythm.hours[hour], "rate": rhythm.rates[hour]}
            | {"low": rhythm.intervals[hour][0], "high": rhythm.intervals[hour][1]}
            for hour in range(len(rhythm.rates))
        ]
        for channel, rhythm in made.rhythms.items()
    }
    line(json.dumps(told, indent=2, ensure_ascii=False))
