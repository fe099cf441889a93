"""Folding events that ask an outside service for a decision: each obliges the engine to send it one question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twin.core import events as ev
from twin.measures.messages import ASK_PROMISE, ASK_RELEASE, ASK_SOURCING

if TYPE_CHECKING:
    from twin.measures.facts import Facts

__all__ = ["decision_requested"]

_QUESTIONS: Final[dict[type, str]] = {
    ev.SourcingRequested: ASK_SOURCING,
    ev.PromiseRequested: ASK_PROMISE,
    ev.ReleaseRequested: ASK_RELEASE,
}
"""Event -> the effect that it obliges to, where it names a request; without one the built-in rules decide."""


def decision_requested(facts: Facts, event: Any, now: int) -> None:
    if event.request:
        facts.messages.due.append((_QUESTIONS[type(event)], event.request))
