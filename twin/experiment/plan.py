"""What an experiment is: scenarios, variants of them, seeds and the measures asked for, from YAML or built in Python.

Every pair of variants runs on the same seeds, and a draw hangs on its seed and on what it is for alone: common random
numbers throughout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from twin.experiment.cases import UNDISTURBED, Case, Control, Happening, cases_of, tree_of
from twin.experiment.designs import Factorial, LatinHypercube
from twin.experiment.workflows import Workflows
from twin.scenario import Problem, ScenarioError
from twin.scenario.base import (
    DurationMs,
    Id,
    Model,
    Percent,
    Positive,
    Tuple,
    Value,
    WrittenAs,
    at_least_one,
    refuse,
    shorthand,
)
from twin.scenario.errors import Path, join_some, suggestion
from twin.scenario.explain import explain
from twin.scenario.limits import SEED_MAX
from twin.scenario.loader import OVERRIDES, placed
from twin.scenario.merging import Node, node_of, plain_of
from twin.scenario.reading import read
from twin.scenario.reference_page import reference_tables
from twin.scenario.units import format_duration

__all__ = ["Asked", "Plan", "ScenarioEntry", "Stop", "Variant", "Warm", "load_plan", "reference_page"]


Seed = Annotated[int, Field(ge=0, le=SEED_MAX)]


class ScenarioEntry(Model):
    """One scenario of the experiment; a bare path has the file's name as its id."""

    id: Id
    """What the results call it"""
    path: str
    """Its YAML file, from this file's folder"""


class Variant(Model):
    """One way to run every scenario."""

    id: Id
    """What the results call it"""
    change: dict[str, Any] = Field(default_factory=dict)
    """Merged over the scenario by the rules of `extends`"""


class Asked(Model):
    """A measure that is compared; a bare name has no direction."""

    name: str
    """Its name, or a pattern such as `margin*`"""
    better: Literal["high", "low"] | None = None
    """Which way is good: what is bad is the tail of the CVaR, and the regret is counted in it"""


class Warm(Model):
    """Every variant goes on from one warmed-up business per scenario and seed."""

    for_: Annotated[DurationMs, Field(alias="for")]
    """How long the base runs before its variants part"""
    settle: DurationMs
    """How long after that measures begin"""
    from_seed: Seed | None = None
    """One warm state for all seeds, that of this one: what is found is conditional on it"""

    @property
    def label(self) -> str:
        """How results call this start."""
        told = f"warm {format_duration(self.for_)}, settled {format_duration(self.settle)}"
        return told if self.from_seed is None else f"conditional on seed {self.from_seed}, {told}"


class Stop(Model):
    """Seeds are added until the interval of every difference of a measure is narrow enough."""

    measure: str
    """The measure, by its full name"""
    half_width: Value
    """The half-width that is wanted"""
    seeds_max: Positive
    """Where it ends in any case"""
    look_ahead: Positive = 5
    """It must stay so for so many further seeds (Hoad, Robinson and Davies 2010)"""


def _seeds(value: Any) -> Any:
    if type(value) is not int:
        return value
    if value < 1:
        raise refuse(f"{value} runs nothing; give 1 or more (2 for an interval), or list the seeds")
    return tuple(range(1, value + 1))


def _differ(value: tuple[int, ...]) -> tuple[int, ...]:
    if len(dict.fromkeys(value)) < len(value):
        raise refuse("a seed stands twice; the same run twice says nothing more")
    return value


def _entry(value: Any) -> Any:
    return {"id": FilePath(value).stem.lower(), "path": value} if isinstance(value, str) else value


def _asked(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


DEFAULT_MEASURES = (
    Asked(name="otif_to_request", better="high"),
    Asked(name="unit_fill_rate", better="high"),
    Asked(name="order_to_ship", better="low"),
    Asked(name="margin", better="high"),
)


class Plan(Model):
    """Scenarios × variants × seeds."""

    experiment: Literal[1]
    """Version of this schema: 1"""
    title: str
    """One line for reports"""
    scenarios: Annotated[Tuple[Annotated[ScenarioEntry, shorthand(_entry)]], AfterValidator(at_least_one)]
    """What is run: files, or maps of `id` and `path`"""
    variants: Tuple[Variant] = ()
    """The ways to run it, the base first"""
    design: Annotated[Factorial | LatinHypercube, Field(discriminator="kind")] | None = None
    """Factors that are varied together; it makes variants, which come after those listed"""
    outages: Tuple[Happening] = ()
    """What may go wrong; it makes variants, and so do controls"""
    controls: Tuple[Control] = ()
    """What may be done about it; every outage happens with each of them and without"""
    workflows: Workflows | None = None
    """Outages of whole workflows, to be ranked"""
    base: str | None = None
    """The variant that all others are compared with, the first unless set"""
    seeds: Annotated[
        Tuple[Seed],
        AfterValidator(at_least_one),
        AfterValidator(_differ),
        shorthand(_seeds),
        WrittenAs("whole number, or list of them"),
    ] = tuple(range(1, 11))
    """How many (from 1 on), or which; where seeds are added, those it begins with"""
    measures: Annotated[Tuple[Annotated[Asked, shorthand(_asked)]], AfterValidator(at_least_one)] = DEFAULT_MEASURES
    """What is compared; every measure is kept whatever is asked for"""
    confidence: Percent = 950_000
    """Of all intervals, and the level that Holm's rule keeps"""
    warm: Warm | None = None
    """Start from a warmed-up business instead of an empty one"""
    stop: Stop | None = None
    """Add seeds until the answer is narrow enough"""

    _folder: FilePath = FilePath()
    _root: Node | None = None

    def mistakes(self) -> Iterator[tuple[Path, str]]:
        """What does not fit together, each by where it is said."""
        yield from self._called_twice()
        changed = [("outages", index, one.id, one.change) for index, one in enumerate(self.outages)]
        changed += [("controls", index, one.id, one.change) for index, one in enumerate(self.controls)]
        for key, index, id, change in changed:
            if "run" in change:
                text = f"'{id}' cannot change the run; the pairs would have nothing in common"
                yield (key, index, "change", "run"), text
        names = [one.id for one in self.all_variants]
        if not names:
            yield (), "there are no variants; list some, the base first, or give a design, outages or workflows"
        elif self.base is not None and self.base not in names:
            there = f"variants here: {join_some(list(dict.fromkeys(names)))}{suggestion(self.base, names)}"
            yield ("base",), f"base: there is no variant '{self.base}'; {there}"
        if self.controls and not self.outages:
            yield ("controls",), "controls: there is nothing to do anything about; give outages"
        if not 0 < self.confidence < 1_000_000:
            yield ("confidence",), "confidence: it must be above 0% and below 100%; write one such as 95%"
        if self.stop is not None and self.stop.seeds_max < len(self.seeds):
            text = f"stop: seeds_max is below the {len(self.seeds)} seeds that it begins with; give a larger one"
            yield ("stop", "seeds_max"), text

    def _called_twice(self) -> Iterator[tuple[Path, str]]:
        """Each name that stands twice, by its second entry."""
        listed = {
            key: [((key, index, "id"), one.id) for index, one in enumerate(getattr(self, key))]
            for key in ("scenarios", "variants", "outages", "controls")
        }
        made = [(("design",), one.id) for one in self._first_variants[len(self.variants) :]]
        cases = [((("outages",) if one.outage else ("controls",)), one.variant) for one in self.cases]
        told: dict[tuple[str | int, str], None] = {}
        for what, entries in (
            ("scenarios", listed["scenarios"]),
            ("variants", [*listed["variants"], *made, *cases]),
            ("outages, controls or variants", [*listed["outages"], *listed["controls"], *listed["variants"]]),
        ):
            seen: dict[str, None] = {}
            for path, id in entries:
                if id in seen and (path[0], id) not in told:
                    yield path, f"two {what} are called '{id}'; give each an id of its own"
                    told[path[0], id] = None
                seen[id] = None

    @property
    def all_variants(self) -> tuple[Variant, ...]:
        """Those listed, those that the design makes, and those of outages and controls."""
        made = (Variant(id=one.variant, change=one.change) for one in self.cases)
        return (*self._first_variants, *made)

    @property
    def cases(self) -> tuple[Case, ...]:
        """The variants that outages and controls make, as changes of the base."""
        first = self._first_variants
        base = next((one.change for one in first if one.id == self.base), first[0].change) if first else {}
        return tuple(cases_of(base, self.outages, self.controls))

    @property
    def _first_variants(self) -> tuple[Variant, ...]:
        points = () if self.design is None else self.design.points_of()
        listed = (*self.variants, *(Variant(id=point.id, change=point.change) for point in points))
        if not listed and (self.outages or self.workflows is not None):
            return (Variant(id=UNDISTURBED),)
        return listed

    @property
    def base_id(self) -> str:
        """The variant that the others are compared with."""
        return self.base or self.all_variants[0].id

    def path_of(self, entry: ScenarioEntry) -> FilePath:
        """Where a scenario's file is."""
        return self._folder / entry.path

    def problem(self, path: Path, text: str) -> Problem:
        """The problem with what the plan says at `path`, by the line that says it where it is from a file."""
        return Problem("", 0, text) if self._root is None else placed(self._root, path, text)

    def says(self, problem: Problem) -> bool:
        """Whether the problem is with the plan's own file."""
        return self._root is not None and problem.file == self._root.file

    def changes(self) -> dict[str, Mapping[str, Any] | Node]:
        """The change of every variant by its id; as a tree, where a file says it."""
        found: dict[str, Mapping[str, Any] | Node] = {one.id: one.change for one in self.all_variants}
        if self._root is None:
            return found
        for index, one in enumerate(self.variants):
            if one.change:
                found[one.id] = self._root.at(("variants", index, "change"))
        base = found[self.base_id]
        tree = base if isinstance(base, Node) else node_of(base, OVERRIDES)
        outages, controls = self._root.at(("outages",)), self._root.at(("controls",))
        return found | {case.variant: tree_of(case, tree, outages, controls) for case in self.cases}

    @classmethod
    def of(cls, plain: Mapping[str, Any], folder: FilePath | str = "") -> Plan:
        """The plan of a map of plain values, with paths from `folder`. Raises `ScenarioError`."""
        return _checked(Node(dict(plain), "", 0), dict(plain), FilePath(folder))


NAMING: Final = {"scenarios", "variants", "design", "outages", "controls", "workflows"}
"""Keys that name things: without one of them, others may be told of names that are there."""

_HEAD = """\
# Experiment files

<!-- Made by `python -m twin.experiment > docs/experiment_file.md`; change the models, not this page. -->

What may stand in the file of `twin experiment` ([experiments.md](experiments.md) says what it is for). Values are
written as in a scenario ([scenario.md](scenario.md)); a key that is not listed is refused.

"""


def reference_page() -> str:
    """The page in Markdown: a table for each part of an experiment."""
    return _HEAD + reference_tables(Plan)


def load_plan(path: FilePath | str) -> Plan:
    """The plan in the file at `path`. Raises `ScenarioError` with every problem by file and line."""
    keys = "keys such as experiment, title and scenarios"
    root, problems = read(FilePath(path), str(path), "an experiment begins with experiment: 1", keys)
    said = root.value if isinstance(root.value, dict) else {}
    scenario = next((said[key] for key in ("schema", "extends") if key in said), None)
    if scenario is not None and "experiment" not in said:
        text = (
            "this is a scenario, not an experiment; an experiment begins with experiment: 1 and lists it in scenarios"
        )
        raise ScenarioError([Problem(str(path), scenario.line, text)])
    if problems:
        raise ScenarioError(problems)
    return _checked(root, plain_of(root, nulls=True), FilePath(path).parent)


def _checked(root: Node, plain: Any, folder: FilePath) -> Plan:
    try:
        plan = TypeAdapter(Plan).validate_python(plain)
    except ValidationError as error:
        found = explain(error, Plan, plain)
        found += _further(found, plain)
    else:
        found = list(plan.mistakes())
        if not found:
            plan._folder = folder
            plan._root = root if root.file else None
            return plan
    if not root.file:
        raise ScenarioError([Problem("", 0, _named(path, text)) for path, text in found])
    problems = [placed(root, path, text) for path, text in found]
    raise ScenarioError(sorted(problems, key=lambda one: one.line))


def _named(path: Path, text: str) -> str:
    return f"{'.'.join(map(str, path))}: {text}" if path else text


def _further(found: Sequence[tuple[Path, str]], plain: Any) -> list[tuple[Path, str]]:
    """What else does not fit together, as far as that can be told without the values that are wrong by themselves."""
    wrong = {path[0] for path, _ in found if path}
    if not isinstance(plain, Mapping) or wrong & NAMING or () in [path for path, _ in found]:
        return []
    try:
        rest = TypeAdapter(Plan).validate_python({key: value for key, value in plain.items() if key not in wrong})
    except ValidationError:
        return []
    return list(rest.mistakes())
