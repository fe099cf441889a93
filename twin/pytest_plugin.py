"""Scenarios in pytest: a scenario file is a test, and a fixture runs scenarios for tests of your own.

```ini
[tool.pytest.ini_options]
twin_scenarios = ["scenarios/library/*.yaml"]
```

Each file that a pattern meets is one item, marked `scenario`. It fails where an expectation does; with
`--twin-against BASELINE` also where it lost more than the margin, and is skipped where nothing is certain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

__all__ = ["ScenarioFailed", "ScenarioFile", "ScenarioItem", "twin"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the scenarios are, and what they are compared with."""
    parser.addini("twin_scenarios", "Patterns of scenario files, from the root folder.", type="linelist", default=[])
    group = parser.getgroup("twin", "scenarios of the digital twin")
    group.addoption("--twin-against", metavar="BASELINE", help="Compare scenarios with this baseline.")
    group.addoption("--twin-margin", metavar="SHARE", default="-0.5%", help="Loss of the measure that is borne with.")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "scenario: a scenario file of the digital twin, held to what it expects")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """A scenario that one of the patterns meets."""
    patterns = parent.config.getini("twin_scenarios")
    if file_path.suffix != ".yaml" or not file_path.is_relative_to(parent.config.rootpath):
        return None
    name = file_path.relative_to(parent.config.rootpath).as_posix()
    if not any(fnmatchcase(name, pattern) for pattern in patterns):
        return None
    made: ScenarioFile = ScenarioFile.from_parent(parent, path=file_path)
    return made


class ScenarioFailed(Exception):
    """A scenario does not hold; the text says what, and how it is seen again."""


class ScenarioFile(pytest.File):
    """One scenario file."""

    def collect(self) -> Iterator[pytest.Item]:
        """The one item that it is."""
        item: ScenarioItem = ScenarioItem.from_parent(self, name="scenario")
        item.add_marker("scenario")
        yield item


class ScenarioItem(pytest.Item):
    """A scenario held to what it expects, and to a baseline where one is given."""

    def runtest(self) -> None:
        """Raises `ScenarioFailed`."""
        from twin.experiment.check import check
        from twin.scenario import ScenarioError

        try:
            failed = [one for one in check([self.path]) if not one.holds]
        except ScenarioError as error:
            raise ScenarioFailed(str(error)) from None
        if failed:
            rows = [
                f"{one.expectation}: expected {one.expected}, found {one.found}\n  {one.reproduce}" for one in failed
            ]
            raise ScenarioFailed("\n".join(rows))
        if self.config.getoption("--twin-against"):
            self._compare()

    def _compare(self) -> None:
        from twin.cli.gating import parse_margin
        from twin.experiment.baselines import BaselineError, read_baseline
        from twin.experiment.regression import FAIL, INCONCLUSIVE, NothingCompared, cases_of, compare_with

        name = self.path.relative_to(self.config.rootpath).as_posix()
        margin = parse_margin(self.config.getoption("--twin-margin"))
        (case,) = cases_of([self.path], {})
        try:
            baseline = read_baseline(Path(self.config.getoption("--twin-against")))
            (made,) = compare_with([type(case)(0, name, case.scenario)], baseline, margin=margin)
        except (BaselineError, NothingCompared) as error:
            raise ScenarioFailed(str(error)) from None
        interval = made.interval
        told = (
            f"{made.note}" if interval is None else f"{interval.low:+.4f} to {interval.high:+.4f} in {made.count} seeds"
        )
        if made.verdict == FAIL:
            again = f"\n  {made.reproduce}" if made.reproduce else ""
            raise ScenarioFailed(f"{baseline.measure} lost more than is borne with: {told}{again}")
        if made.verdict == INCONCLUSIVE:
            pytest.skip(f"inconclusive against the baseline: {told}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What does not hold, without a traceback."""
        if isinstance(excinfo.value, ScenarioFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where it stands in reports."""
        return self.path, None, self.path.relative_to(self.config.rootpath).as_posix()


@pytest.fixture
def twin(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """A function that runs a scenario: `twin("scenarios/demo.yaml", seed=3, **{"run": {"horizon": "2d"}})`.

    It takes the path, `seed` (the scenario's own unless given) and changes as keywords, and returns the finished
    `twin.run.Run` with its measures.
    """
    from twin.run import load

    def run(path: str | Path, *, seed: int | None = None, **changes: Mapping[str, object]) -> Any:
        return load(path, changes).run(seed, tmp_path_factory.mktemp("twin") / "run")

    return run
