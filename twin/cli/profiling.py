"""What a foreign log holds, the measures that it supports, and those that it cannot."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from fractions import Fraction
from importlib.metadata import entry_points
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

from twin.cli.failures import InputError
from twin.cli.measures import WIDE, show_measures
from twin.cli.terminal import line, show, table, width
from twin.cli.texts import clock, count, rounded
from twin.event_log import EventLog

if TYPE_CHECKING:
    from twin.measures.coverage import Coverage
    from twin.measures.measured import Measured
    from twin.measures.of_event_log import LogProfile, Refused

__all__ = [
    "chosen_of_log",
    "first_day",
    "load_log",
    "plain_remarks",
    "print_profile",
    "read_log",
    "show_profile",
    "show_remarks",
]

GROUP: Final = "ordertwin.event_logs"
DAY_MS: Final = 86_400_000
SLICES: Final = 3
"""So many slices of a measure are shown, the largest; JSON has all."""


def read_log(source: str, paths: Sequence[Path], mapping: Path | None) -> EventLog:
    """The neutral log of files by a mapping, of a run's folder, or of a folder that `twin profile --out` wrote.

    Raises `InputError` where a mapping is missing or there is nothing to map, `RunError` for a folder that is neither,
    and what the adapter raises.
    """
    from twin.log.foreign import is_foreign, read_foreign
    from twin.log.manifest import MANIFEST
    from twin.replay.neutral import event_log_of_run

    folders = [path for path in paths if path.is_dir()]
    if not folders:
        if mapping is None and not paths[0].exists():
            raise InputError(f"{paths[0]}: there is no such file or folder")
        if mapping is None:
            raise InputError(
                f"{paths[0]}: give --mapping MAP, which says what its columns mean (docs/event_log.md), "
                "or the folder of a run or of a neutral log"
            )
        return load_log(source, paths, mapping)
    if len(paths) > 1:
        raise InputError(f"{folders[0]}: is a folder, and a folder is a log of its own; give it alone")
    if mapping is not None and not (is_foreign(folders[0]) or (folders[0] / MANIFEST).exists()):
        raise InputError(f"{folders[0]}: is a folder, but none of a log; name the files in it that --mapping is of")
    if mapping is not None:
        raise InputError(f"--mapping {mapping}: {folders[0]} is a folder, whose events need no mapping; leave it out")
    if is_foreign(folders[0]):
        return read_foreign(folders[0])
    return event_log_of_run(folders[0])


def first_day(log: EventLog) -> int:
    """When a foreign log begins, which has no beginning of its own: the day of its first event, in UTC (ms).

    Raises `InputError` for a log without a time.
    """
    import pyarrow.compute as pc

    first: int | None = pc.min(log.table["event_ms"]).as_py()
    if first is None:
        raise InputError(f"{log.title}: no event of it has a time, so it has no period; map a time")
    return first // DAY_MS * DAY_MS


def load_log(source: str, files: Sequence[Path], mapping: Path) -> EventLog:
    """The log, read by the adapter of that name. Raises `InputError` where there is none."""
    found = {point.name: point for point in entry_points(group=GROUP)}
    if source not in found:
        there = ", ".join(sorted(found)) or "none: install the project again"
        raise InputError(f"--source {source}: no adapter for logs is named so; there are {there}")
    log: EventLog = found[source].load()(files, mapping)
    return log


def chosen_of_log(profile: LogProfile, globs: Sequence[str]) -> tuple[Mapping[str, Measured], Mapping[str, Refused]]:
    """The measures and the refused ones whose names match one of some patterns; all of them without any.

    Raises `InputError` for a pattern that leaves none that can be had.
    """
    if not globs:
        return profile.measures, profile.refused
    found = [_chosen(profile, glob) for glob in globs]
    return (
        {name: one for name, one in profile.measures.items() if any(name in measures for measures, _ in found)},
        {name: one for name, one in profile.refused.items() if any(name in refused for _, refused in found)},
    )


def _chosen(profile: LogProfile, glob: str) -> tuple[dict[str, Measured], dict[str, Refused]]:
    from twin.scenario.errors import suggestion

    measures = {name: one for name, one in profile.measures.items() if _matches(name, glob)}
    refused = {name: one for name, one in profile.refused.items() if fnmatchcase(name, glob)}
    if not measures and not refused:
        near = suggestion(glob, [*profile.measures, *profile.refused])
        raise InputError(f"--name {glob}: no measure is named so{near}; without --name all are listed")
    if not measures:
        raise InputError(
            "\n".join(f"--name {name}: this log cannot support it: {why(one)}" for name, one in refused.items())
        )
    return measures, refused


def _matches(name: str, glob: str) -> bool:
    return fnmatchcase(name, glob) or fnmatchcase(name, f"{glob}/*")


def why(refused: Refused) -> str:
    """What the log lacks, in words."""
    from twin.measures.needs import UNSEEN

    if not refused.missing:
        return f"the mapping rules it out: {refused.reason}"
    told = [f"{need} ({UNSEEN[need]})" if need in UNSEEN else need for need in refused.missing]
    return f"it lacks {' and '.join(told)}"


def show_profile(log: EventLog, profile: LogProfile, globs: Sequence[str]) -> None:
    """Print the profile, then the measures, then what each refused one lacks."""
    measures, refused = chosen_of_log(profile, globs)
    if not globs:
        _show_coverage(log, profile.coverage)
    show_measures(f"{log.title}: measures of the log alone (L)", _cut(measures), log.currency)
    if width() < WIDE:
        # The table has no room for them, and what a mean leaves out must not go unsaid.
        for name, one in _cut(measures).items():
            if one.note:
                line(fill(f"{name}: {one.note}", width(), subsequent_indent="  "))
        line()
    hidden = len(measures) - len(_cut(measures))
    if hidden:
        line(f"{count(hidden)} smaller slices are not shown; --json has them all.\n")
    if refused:
        _show_refused(refused)


def _show_coverage(log: EventLog, coverage: Coverage) -> None:
    for file in log.files:
        line(fill(f"{file.name}: {count(file.rows)} rows{f': {file.holds}' if file.holds else ''}", width()))
    if log.left_out_rows:
        line(f"{count(log.left_out_rows)} rows are left out by the mapping's `where`")
    kinds = [f"{count(coverage.orders)} orders"] if coverage.orders else []
    kinds += [f"{count(coverage.purchase_orders)} purchase orders"] if coverage.purchase_orders else []
    cases = f"{count(coverage.events)} events of {count(coverage.cases)} cases ({', '.join(kinds)})"
    line(fill(f"{log.title}: {cases}", width()))
    line(f"from {clock(coverage.first_ms)} to {clock(coverage.last_ms)} UTC")
    said = "as it is stated" if log.as_of_stated else "the last event, since the mapping states none"
    line(f"as of {clock(log.as_of_ms)} UTC ({said})")
    cancelled = f"{count(coverage.cancelled)} cancelled"
    if coverage.cancelled_purchases:
        cancelled += f", {count(coverage.cancelled_purchases)} of them purchase orders"
    ended = f"{count(coverage.headless)} without a beginning; {cancelled}"
    if coverage.complete is None or coverage.open is None:
        ended += "; how many are complete is not told, since deliveries have no units"
    else:
        ended = f"{count(coverage.complete)} complete, {count(coverage.open)} open, {ended}"
    line(fill(f"cases: {ended}", width()))
    if coverage.value_minor is not None:
        value = rounded(Fraction(coverage.value_minor, 10**log.currency_exponent), log.currency_exponent)
        line(f"value: {value} {log.currency}".rstrip())
    line()
    shown = table(
        "Activities: share of cases and value, and what is known of the events",
        "Activity",
        *("Events", "Cases", "Value", "Time", "Record"),
        right=("Events", "Cases", "Value", "Time", "Record"),
    )
    for one in coverage.activities:
        if one.events:
            shown.add_row(
                one.name,
                count(one.events),
                _share(one.of_cases),
                _share(one.of_value),
                _share(Fraction(one.timed, one.events)),
                _share(Fraction(one.recorded, one.events)),
            )
    show(shown)
    _absent("activities", [one.name for one in coverage.activities if not one.events])
    shown = table("Fields: share of cases and value", "Field", "Cases", "Value", right=("Cases", "Value"))
    for field in coverage.fields:
        if field.cases:
            shown.add_row(field.name, _share(field.of_cases), _share(field.of_value))
    show(shown)
    _absent("fields", [field.name for field in coverage.fields if not field.cases])
    show_remarks(log)
    for caveat in log.caveats:
        line(fill(f"Caveat: {caveat}", width(), subsequent_indent="  "))
    if log.caveats:
        line()


def show_remarks(log: EventLog) -> None:
    """What was met in the files of a log and is not repaired, where there is such."""
    if not log.remarks:
        return
    shown = table("Not repaired", "What", "Count", "First rows", right=("Count",))
    for remark in log.remarks:
        shown.add_row(remark.remark, count(remark.count), ", ".join(str(row) for row, _ in remark.rows))
    show(shown)


def _absent(kind: str, names: Sequence[str]) -> None:
    if names:
        shown = table("", f"No such {kind} in this log")
        shown.add_row(", ".join(names))
        show(shown)


def _share(share: Fraction | None) -> str:
    if share is None:
        return "–"
    # What is nearly all or nearly none is neither.
    if 0 < share < Fraction(5, 10_000):
        return "< 0.1 %"
    if Fraction(9_995, 10_000) <= share < 1:
        return "> 99.9 %"
    return f"{rounded(share * 100, 1)} %"


def _cut(measures: Mapping[str, Measured]) -> dict[str, Measured]:
    kept: dict[str, Measured] = {}
    slices: dict[str, int] = {}
    for name, one in measures.items():
        base, slash, part = name.partition("/")
        kind, equals, _ = part.partition("=")
        if slash and equals and kind != "segment":
            key = f"{base}/{kind}"
            slices[key] = slices.get(key, 0) + 1
            if slices[key] > SLICES:
                continue
        kept[name] = one
    return kept


def _show_refused(refused: Mapping[str, Refused]) -> None:
    groups: dict[str, list[str]] = {}
    for one in refused.values():
        lacks = " and ".join(one.missing) or f"ruled out: {one.reason}"
        groups.setdefault(lacks, []).append(one.name)
    shown = table("Measures that this log cannot support, by what it lacks", "Lacks", "Measures")
    for lacks in sorted(groups):
        shown.add_row(lacks, ", ".join(sorted(groups[lacks])))
    show(shown)


def print_profile(log: EventLog, profile: LogProfile, globs: Sequence[str]) -> None:
    """One JSON map: the log, its coverage, measures and refusals; shares and values are exact, in quotes."""
    measures, refused = chosen_of_log(profile, globs)
    coverage = profile.coverage
    plain: dict[str, Any] = {
        "log": {
            "title": log.title,
            "files": [{"name": file.name, "rows": file.rows, "holds": file.holds} for file in log.files],
            "left_out_rows": log.left_out_rows,
            "zone": log.zone,
            "currency": log.currency,
            "as_of_ms": log.as_of_ms,
            "as_of_stated": log.as_of_stated,
            "remarks": plain_remarks(log),
            "caveats": list(log.caveats),
        },
        "coverage": {
            "events": coverage.events,
            "cases": coverage.cases,
            "orders": coverage.orders,
            "purchase_orders": coverage.purchase_orders,
            "complete": coverage.complete,
            "open": coverage.open,
            "headless": coverage.headless,
            "cancelled": coverage.cancelled,
            "cancelled_purchases": coverage.cancelled_purchases,
            "value_minor": coverage.value_minor,
            "first_ms": coverage.first_ms,
            "last_ms": coverage.last_ms,
            "activities": _plain_structs(coverage.activities),
            "fields": _plain_structs(coverage.fields),
        },
        "measures": {
            name: {
                "value": None if one.value is None else one.text(),
                "unit": one.unit,
                "numerator": None if one.numerator is None else str(one.numerator),
                "denominator": None if one.denominator is None else str(one.denominator),
                "window": one.window,
                "note": one.note,
            }
            for name, one in measures.items()
        },
        "refused": {name: {"missing": list(one.missing), "reason": one.reason} for name, one in refused.items()},
    }
    line(json.dumps(plain, indent=2, ensure_ascii=False))


def plain_remarks(log: EventLog) -> list[dict[str, Any]]:
    """What is not repaired, for JSON."""
    return [
        {"remark": remark.remark, "count": remark.count, "rows": [list(row) for row in remark.rows]}
        for remark in log.remarks
    ]


def _plain_structs(structs: Iterable[Any]) -> list[dict[str, Any]]:
    return [
        {
            name: str(value) if isinstance(value, Fraction) else value
            for name in one.__struct_fields__
            for value in (getattr(one, name),)
        }
        for one in structs
    ]
