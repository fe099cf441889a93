"""The five workflows of a roadmap, and the messages that serve each.

What a workflow is worth is told by an outage of all messages that serve it: the result of the business where they flow,
less the result where they stand still for a while. That is the most that making the workflow perfect can avoid.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, model_validator

from twin.scenario import Scenario
from twin.scenario.base import DurationMs, Id, Model, Tuple, at_least_one, refuse
from twin.scenario.faults import Direction
from twin.scenario.units import format_duration

__all__ = ["WORKFLOWS", "Messages", "Workflow", "Workflows", "interfaces_of", "outage_of", "stands_still"]


class Messages(Model):
    """Messages of one direction at the interfaces of some partners."""

    to: str
    """The partners, a pattern such as `warehouse/*`"""
    endpoint: str = "*"
    """Which messages, a pattern over types such as `warehouse.release`"""
    direction: Direction = "call"
    """`call` to the partner, `reply` for all that it sends"""


class Workflow(Model):
    """What serves one workflow."""

    id: Id
    """What the ranking calls it"""
    messages: Annotated[Tuple[Messages], AfterValidator(at_least_one)]
    """All of them stand still together"""


WORKFLOWS: Final = (
    Workflow(
        id="order_promising",
        messages=(
            Messages(to="warehouse/*", endpoint="stock.*", direction="reply"),
            Messages(to="marketplace/*"),
        ),
    ),
    Workflow(
        id="replenishment",
        messages=(
            Messages(to="supplier/*"),
            Messages(to="supplier/*", direction="reply"),
            Messages(to="warehouse/*", endpoint="warehouse.receive", direction="reply"),
        ),
    ),
    Workflow(
        id="warehouse_release",
        messages=(
            Messages(to="warehouse/*"),
            Messages(to="warehouse/*", endpoint="warehouse.confirm_*", direction="reply"),
        ),
    ),
    Workflow(id="shipment_visibility", messages=(Messages(to="carrier/*", direction="reply"),)),
    Workflow(id="invoice_status", messages=(Messages(to="erp"), Messages(to="erp", direction="reply"))),
)
"""Unless an experiment says otherwise."""


class Workflows(Model):
    """Every workflow stands still in turn, and is ranked by what that costs."""

    for_: Annotated[DurationMs, Field(alias="for")]
    """How long"""
    starts: Annotated[Tuple[DurationMs], AfterValidator(at_least_one)]
    """From when on, counted from the start of the run; the loss is the mean over them"""
    serve: Annotated[Tuple[Workflow], AfterValidator(at_least_one)] = WORKFLOWS
    """The workflows, and the messages that serve each"""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.for_:
            raise refuse("for: nothing stands still for 0s; write a duration such as 8h")
        for what, given in (("starts", list(self.starts)), ("workflows", [one.id for one in self.serve])):
            twice = [one for index, one in enumerate(given) if one in given[:index]]
            if twice:
                raise refuse(f"{what}: {twice[0]} stands twice")
        return self


def stands_still(workflow: str, start: int) -> str:
    """The id of the variant in which a workflow stands still from `start` (ms) on."""
    return f"{workflow}-{format_duration(start)}"


def interfaces_of(scenario: Scenario, messages: Messages) -> list[str]:
    """The ids of the interfaces that these messages pass."""
    # No calls go to a carrier, it only reports.
    called = messages.direction == "reply" or not messages.to.startswith("carrier/")
    return [one.id for one in scenario.interfaces if called and fnmatchcase(one.to, messages.to)]


def outage_of(scenario: Scenario, workflow: Workflow, begin: int, length: int) -> list[dict[str, Any]]:
    """The faults, as in a scenario's file, by which all messages of a workflow stand still; none where none is modeled.

    The partners' news waits until it is over, and so do calls.
    """
    found: list[dict[str, Any]] = []
    for messages in workflow.messages:
        for interface in interfaces_of(scenario, messages):
            found.append(
                {
                    "kind": "outage",
                    "id": f"{workflow.id}-{len(found) + 1}",
                    "interface": interface,
                    "endpoint": messages.endpoint,
                    "direction": messages.direction,
                    "from": format_duration(begin),
                    "for": format_duration(length),
                }
            )
    return found
