"""What a change did to scenarios: a table, a Markdown summary, a JUnit file, and the exit code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree

from twin.cli.failures import FAILED, InputError
from twin.cli.terminal import line, show, table
from twin.scenario.errors import join_some

if TYPE_CHECKING:
    from twin.experiment.check import Verdict
    from twin.experiment.regression import Comparison, Foresight

__all__ = [
    "INCONCLUSIVE",
    "exit_code",
    "expanded",
    "parse_margin",
    "show_comparisons",
    "show_foresight",
    "write_junit",
    "write_markdown",
]

INCONCLUSIVE: Final = 3
"""Exit code where neither passing nor failing is certain."""

WORDS: Final = {"pass": "passes", "fail": "FAILS", "inconclusive": "inconclusive"}


def parse_margin(text: str) -> Fraction:
    """`-0.5%` of a ratio, or a number in the measure's unit; at most 0. Raises `InputError`."""
    try:
        share = text.removesuffix("%")
        value = Fraction(share) / (100 if text.endswith("%") else 1)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"--margin {text}: give a loss that is borne with, such as -0.5%") from None
    if value > 0:
        raise InputError(f"--margin {text}: a margin is a loss that is borne with; write -{text}, or 0")
    return value


def expanded(paths: Sequence[Path]) -> list[Path]:
    """The scenario files among paths, folders with all that are in them, once each. Raises `InputError`."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [one for one in sorted(path.rglob("*.yaml")) if _is_scenario(one)]
        if not inside:
            raise InputError(f"{path}: no scenario in this folder; one is a .yaml file with schema or extends")
        found += inside
    return list(dict.fromkeys(found))


def _is_scenario(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return True  # that it cannot be read is told in its place
    return any(row.startswith(("schema:", "extends:")) for row in text.splitlines())


def show_comparisons(made: Sequence[Comparison], measure: str, margin: Fraction) -> None:
    """A row a scenario, in points of the measure."""
    right = ("Base", "Difference", "95 % interval", "Seeds", "Same log")
    shown = table(f"{measure}: after less before, margin {_points(margin)}", "Scenario", *right, "Verdict", right=right)
    for one in made:
        interval = one.interval
        shown.add_row(
            one.scenario,
            "–" if one.base is None else _points(one.base, signed=False),
            "–" if interval is None else _points(interval.mean),
            "–" if interval is None else f"{_points(interval.low)} to {_points(interval.high)}",
            str(one.count),
            str(one.same),
            WORDS[one.verdict],
        )
    show(shown)
    for one in made:
        if one.verdict != "pass" or one.note:
            told = f"{one.scenario}: {WORDS[one.verdict]}" + (f"; {one.note}" if one.note else "")
            line(f"{told}\n  the seed that lost most: {one.reproduce}" if one.reproduce else told)


def _points(value: Fraction | float, *, signed: bool = True) -> str:
    return f"{100 * float(value):{'+' if signed else ''}.2f} %"


def show_foresight(planned: Sequence[Foresight], measure: str) -> None:
    """What can be found within the budget."""
    right = ("A run", "Seeds", "Smallest loss found")
    shown = table(f"{measure}: what the budget is good for", "Scenario", *right, right=right)
    for one in planned:
        least = "none" if one.at_worst is None else _points(one.at_worst, signed=False)
        shown.add_row(one.scenario, f"{one.seconds:.2f} s", str(one.seeds), least)
    show(shown)
    for note in dict.fromkeys(one.note for one in planned if one.note):
        line(f"{join_some([one.scenario for one in planned if one.note == note])}: {note}")
    line("Smallest loss: fails with 80 % probability though no other scenario does, as if both sides were independent.")
    line("They run on the same seeds, so a change that leaves most orders alone is found when it is little past the")
    line("margin; so is any where all seeds gave the same before.")


def exit_code(verdicts: Sequence[Verdict], verdict: str, *, inconclusive: int = INCONCLUSIVE) -> int:
    """0 passes, 1 fails, 3 (or what it is mapped to) is inconclusive."""
    if verdict == "fail" or any(not one.holds for one in verdicts):
        return FAILED
    return inconclusive if verdict == "inconclusive" else 0


def write_markdown(
    path: Path, verdicts: Sequence[Verdict], made: Sequence[Comparison], measure: str, margin: Fraction
) -> None:
    """A summary for a pull request."""
    failed = [one for one in verdicts if not one.holds]
    rows = [
        f"## Scenarios: {len(verdicts) - len(failed)} of {len(verdicts)} expectations hold",
        *[f"- **{one.scenario}**: {one.expectation} fails: {one.found}. Again: `{one.reproduce}`" for one in failed],
    ]
    if made:
        rows += [
            "",
            f"## {measure}, after less before, margin {_points(margin)}",
            "",
            "| Scenario | Base | Difference | 95 % interval | Seeds | Verdict | The seed that lost most |",
            "|---|---:|---:|---:|---:|---|---|",
            *_markdown_rows(made),
        ]
    _write(path, "\n".join(rows) + "\n")


def _markdown_rows(made: Sequence[Comparison]) -> Iterator[str]:
    for one in made:
        interval = one.interval
        cells = (
            one.scenario,
            "–" if one.base is None else _points(one.base, signed=False),
            "–" if interval is None else _points(interval.mean),
            "–" if interval is None else f"{_points(interval.low)} to {_points(interval.high)}",
            str(one.count),
            WORDS[one.verdict] + (f": {one.note}" if one.note else ""),
            f"`{one.reproduce}`" if one.reproduce else "–",
        )
        yield f"| {' | '.join(cells)} |"


def write_junit(path: Path, verdicts: Sequence[Verdict], made: Sequence[Comparison], measure: str) -> None:
    """JUnit XML as CI services read it: a suite a scenario, a case an expectation; inconclusive is skipped."""
    suites = ElementTree.Element("testsuites", name="twin check")
    for scenario in dict.fromkeys([*[one.scenario for one in verdicts], *[one.scenario for one in made]]):
        suite = ElementTree.SubElement(suites, "testsuite", name=scenario)
        for one in verdicts:
            if one.scenario == scenario:
                case = ElementTree.SubElement(suite, "testcase", classname=scenario, name=one.expectation)
                if not one.holds:
                    told = f"expected {one.expected}, found {one.found}"
                    ElementTree.SubElement(case, "failure", message=told).text = f"again: {one.reproduce}"
        for compared in made:
            if compared.scenario == scenario:
                case = ElementTree.SubElement(suite, "testcase", classname=scenario, name=f"{measure} against baseline")
                kind = {"fail": "failure", "inconclusive": "skipped"}.get(compared.verdict)
                if kind is not None:
                    told = compared.note or _interval(compared)
                    found = ElementTree.SubElement(case, kind, message=told)
                    found.text = f"again: {compared.reproduce}" if compared.reproduce else None
        cases = suite.findall("testcase")
        suite.set("tests", str(len(cases)))
        suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
        suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    ElementTree.indent(suites)
    _write(path, ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n")


def _interval(one: Comparison) -> str:
    if one.interval is None:
        return "no interval"
    return f"difference {_points(one.interval.mean)}, {_points(one.interval.low)} to {_points(one.interval.high)}"


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
