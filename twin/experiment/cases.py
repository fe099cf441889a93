"""What may happen to a business and what may be done about it: outages and controls, and the variants they make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Self

from msgspec import Struct
from pydantic import AfterValidator, model_validator

from twin.experiment.designs import filled
from twin.scenario.base import Cost, DurationMs, Id, Model, Tuple, at_least_one, refuse
from twin.scenario.merging import Node, merge, merge_plain
from twin.scenario.units import format_duration

__all__ = ["UNDISTURBED", "Case", "Control", "Happening", "cases_of", "tree_of"]

UNDISTURBED: Final = "undisturbed"
"""The base of an experiment that lists no variants."""


class Happening(Model):
    """Something that may go wrong, at some times."""

    id: Id
    """What the results call it"""
    starts: Annotated[Tuple[DurationMs], AfterValidator(at_least_one)]
    """From when on, each in a run of its own, counted from the start of the run"""
    change: dict[str, Any]
    """The change of the scenario; `$start` in it is the start"""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        twice = [start for index, start in enumerate(self.starts) if start in self.starts[:index]]
        if twice:
            raise refuse(f"starts: {format_duration(twice[0])} stands twice")
        if filled(self.change, "start", "") == self.change:
            raise refuse("the change has no $start, so every start is the same; write from: $start in it")
        return self


class Control(Model):
    """Something that may be done about it, and what that costs whether or not anything happens."""

    id: Id
    """What the results call it"""
    cost_per_year: Cost
    """Its own cost in a year, beside what it does to the business"""
    change: dict[str, Any]
    """The change of the scenario"""


class Case(Struct, frozen=True):
    """One variant: an outage from a start (ms), under a control; either may be none."""

    variant: str
    change: dict[str, Any]
    outage: str = ""
    start: int = 0
    control: str = ""


def cases_of(base: Mapping[str, Any], outages: Sequence[Happening], controls: Sequence[Control]) -> Iterator[Case]:
    """Each control alone, each outage from each start, and each of these under each control, laid on the base."""
    for control in controls:
        yield Case(control.id, merge_plain(base, control.change, nulls=True), control=control.id)
    for outage in outages:
        for start in outage.starts:
            told = format_duration(start)
            happens = filled(outage.change, "start", told)
            named = f"{outage.id}-{told}"
            yield Case(named, merge_plain(base, happens, nulls=True), outage.id, start)
            for control in controls:
                change = merge_plain(merge_plain(base, control.change, nulls=True), happens, nulls=True)
                yield Case(f"{named}-{control.id}", change, outage.id, start, control.id)


def tree_of(case: Case, base: Node, outages: Node, controls: Node) -> Node:
    """The change of a case as a tree, each value by its own file and line."""
    tree = base
    for name, among in ((case.control, controls), (case.outage, outages)):
        if name and isinstance(among.value, list):
            entry = next(one for one in among.value if one.at(("id",)).value == name)
            tree = merge(tree, _begun(entry.at(("change",)), format_duration(case.start)))
    return tree


def _begun(node: Node, start: str) -> Node:
    if isinstance(node.value, dict):
        return Node({key: _begun(item, start) for key, item in node.value.items()}, node.file, node.line)
    if isinstance(node.value, list):
        return Node([_begun(item, start) for item in node.value], node.file, node.line)
    return Node(filled(node.value, "start", start), node.file, node.line)
