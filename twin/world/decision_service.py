"""A service that decides in the engine's place: what happens between its interface and the real one behind it.

The real service is asked while the simulated clock stands still. How long an answer takes in simulated time is drawn
from the scenario, so that nothing hangs on how fast the service happens to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twin.core.commands import DecidePromise, DecideRelease, DecideSourcing
from twin.core.effects import AskPromise, AskRelease, AskSourcing, Delivery
from twin.decisions import (
    Answer,
    Decider,
    DecisionFailed,
    Question,
    ReleaseAnswer,
    ServiceRefused,
    SourcingAnswer,
    connect,
    legs_of,
    promise_question,
    release_question,
    sourcing_question,
)
from twin.streams import Distribution
from twin.world.kernel import Phase
from twin.world.party import Link, Party
from twin.world.recent import Recent

__all__ = ["DecisionService", "open_service"]

REASON_MAX: Final = 200
"""Longest reason of a failure that goes into the log, in characters."""


def open_service(service: str, address: str, decisions: Sequence[str], *, live_only: bool) -> Decider:
    """A client for a scenario's service, which is to decide `decisions`.

    Raises `ServiceRefused`, also where nobody has said where it is.
    """
    if not address:
        raise ServiceRefused(
            f"service '{service}' decides here, and nobody has said where it is; "
            f"give --service {service}=ADDRESS, or the scenario its address"
        )
    return connect(address, decisions, live_only=live_only)


class DecisionService(Party):
    """Stands for the service `service`. `business.deciders` has the real one; it is no part of a snapshot, and one that
    is not there yet is asked at `address`. It is asked for `decisions`: sourcing, promise, release."""

    def __init__(
        self, id: str, link: Link, service: str, address: str, decisions: tuple[str, ...], thinking: Distribution
    ) -> None:
        super().__init__(id, link)
        self.service = service
        self.address = address
        self.decisions = decisions
        self.thinking = thinking
        self.answers: Recent[Answer] = Recent()
        # Keys of questions that it is thinking about.
        self.at_work: dict[str, None] = {}

    def receive(self, message: Delivery) -> None:
        """Take a question; it is thought about for a while, one that was answered before gets the same answer."""
        if not self.accept(message):
            if message.key not in self.at_work:
                self._answer(message)
            return
        self.at_work[message.key] = None
        world = self.world
        delay = max(0, world.streams.draw(self.thinking, "thinking", message.key))
        if delay:
            world.post(self.work, message, delay, Phase.RELEASE)
        else:
            self.work(message)

    def acknowledge(self, delivery: Delivery) -> None:
        """Nothing on the transport level: the decision settles a question."""

    def work(self, message: Delivery) -> None:
        """Ask the real service, and answer."""
        self.at_work.pop(message.key, None)
        self._answer(message)

    def _decider(self) -> Decider:
        deciders = self.world.deciders
        decider = deciders.get(self.service)
        if decider is None:
            decider = deciders[self.service] = open_service(self.service, self.address, self.decisions, live_only=False)
            decider.reset(self.world.streams.seed)
        return decider

    def _answer(self, message: Delivery) -> None:
        answer = self.answers.get(message.key)
        if answer is None:
            try:
                answer = self._decider().decide(self._question(message))
            except DecisionFailed as failed:
                self.answer_transport(message, failed.outcome, failed.reason[:REASON_MAX])
                return
            self.answers[message.key] = answer
        id = f"{message.key}/decided/{message.attempt}"
        head = (id, self.id, self.world.now, message.key, message.correlation)
        if isinstance(answer, SourcingAnswer):
            self.respond(message, DecideSourcing(*head, legs_of(answer), message.criticality, message.key))
        elif isinstance(answer, ReleaseAnswer):
            said = (answer.release, answer.reason)
            self.respond(message, DecideRelease(*head, *said, message.criticality, message.key))
        else:
            dates = tuple([(promised.line, promised.at) for promised in answer.lines])
            self.respond(message, DecidePromise(*head, dates, message.criticality, message.key))

    def _question(self, message: Delivery) -> Question:
        effect = message.effect
        if isinstance(effect, AskPromise):
            return promise_question(message.key, effect, message.criticality, self.world.now)
        if isinstance(effect, AskRelease):
            return release_question(message.key, effect, message.criticality, self.world.now)
        if isinstance(effect, AskSourcing):
            return sourcing_question(message.key, effect, message.criticality, self.world.now)
        raise TypeError(f"{self.id} decides nothing about {type(effect).__name__}")
