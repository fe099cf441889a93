"""Interventions of people: the log has who did what, why, since when and at which cost; what they do is commands."""

from __future__ import annotations

from twin.core.commands import BeginIntervention, EndIntervention
from twin.core.draft import Draft
from twin.core.events import InterventionBegan, InterventionEnded
from twin.core.refusals import Refusal
from twin.core.state import State

__all__ = ["begin_intervention", "end_intervention"]


def begin_intervention(state: State, command: BeginIntervention, now: int, draft: Draft) -> Refusal | None:
    """Note that somebody intervenes."""
    if command.intervention in state.interventions:
        return Refusal("under_way", f"intervention '{command.intervention}' is under way already")
    if command.cost_minor < 0 or not command.actor:
        return Refusal("intervention", "an intervention has an actor, and costs nothing or more")
    draft.events.append(
        InterventionBegan(command.intervention, command.kind, command.actor, command.cause, command.cost_minor)
    )
    return None


def end_intervention(state: State, command: EndIntervention, now: int, draft: Draft) -> Refusal | None:
    """Note that an intervention is over."""
    if command.intervention not in state.interventions:
        return Refusal("not_under_way", f"intervention '{command.intervention}' is not under way")
    draft.events.append(InterventionEnded(command.intervention))
    return None


def intervention_began(state: State, event: InterventionBegan, now: int) -> None:
    """It is under way."""
    state.interventions[event.intervention] = event.actor


def intervention_ended(state: State, event: InterventionEnded, now: int) -> None:
    """It is over."""
    del state.interventions[event.intervention]
