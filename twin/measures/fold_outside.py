"""Folding what services outside were asked to decide, and who decided in the end, into the facts."""

from __future__ import annotations

from typing import Any, Final

from twin.core import commands as cm
from twin.core import events as ev
from twin.core.entry import Entry
from twin.core.master import Policies

__all__ = ["ELSEWHERE", "OutsideFacts"]

ELSEWHERE: Final = ("rules", "calendars", "released")
"""What a decision became that the engine took, since the service gave none that could be carried out."""

_ANSWERS: Final = (cm.DecideSourcing, cm.DecidePromise, cm.DecideRelease)

Asked = tuple[str, str]
"""A service, and what it was asked for: sourcing, promise or release."""


class OutsideFacts:
    """Decisions of the whole run that a service was asked for, by how they ended.

    One decision may take several questions: of sourcing it is what is asked about an order until somebody has decided.
    """

    def __init__(self) -> None:
        self.policies: Policies | None = None
        self.begin = 0
        self.asked: dict[Asked, int] = {}
        self.decided: dict[Asked, int] = {}
        # (service, decision, what it became, why) -> how often, and the reason of the first.
        self.undecided: dict[tuple[str, str, str, str], tuple[int, str]] = {}
        # Decisions that the engine took in the window.
        self.fallbacks = 0
        # Question -> what it is about, of promises and releases; order -> its last question, of sourcing.
        self._open: dict[str, Asked] = {}
        self._sourcing: dict[str, tuple[str, str]] = {}
        # That question -> its order.
        self._order: dict[str, str] = {}
        # Order -> why its last question about sourcing had no decision, by kind and in words.
        self._why: dict[str, tuple[str, str]] = {}

    def define(self, policies: Policies, begin: int) -> None:
        """Take the policies that hold from now on, which say who is asked; `begin` is that of the window, in ms."""
        self.policies, self.begin = policies, begin

    def take(self, entry: Entry) -> None:
        """Look at an accepted entry."""
        policies = self.policies
        if policies is None or not (policies.decider or policies.promiser or policies.releaser or self._waits):
            return
        for event in entry.events:
            fold = _FOLDS.get(type(event))
            if fold is not None:
                fold(self, event, entry)
        command = entry.command
        if isinstance(command, cm.DecidePromise) and command.request in self._open:
            self._decided(self._open.pop(command.request))
        for event in entry.events:
            if isinstance(event, ev.DeliverySucceeded | ev.DeliveryLapsed):
                self._settled(event.delivery, entry.now)

    @property
    def open(self) -> int:
        """Decisions that nobody has taken yet."""
        return len(self._open) + len(self._sourcing)

    @property
    def _waits(self) -> bool:
        return bool(self._open or self._sourcing)

    def _ask(self, service: str, decision: str) -> Asked:
        asked = (service, decision)
        self.asked[asked] = self.asked.get(asked, 0) + 1
        return asked

    def _decided(self, asked: Asked) -> None:
        self.decided[asked] = self.decided.get(asked, 0) + 1

    def _undecided(self, asked: Asked, became: str, why: tuple[str, str], now: int) -> None:
        key = (*asked, became, why[0])
        times, first = self.undecided.get(key, (0, why[1]))
        self.undecided[key] = (times + 1, first)
        self.fallbacks += became in ELSEWHERE and now >= self.begin

    def _settled(self, question: str, now: int) -> None:
        """A question is over; one that nobody has decided about by then was about what is cancelled or gone."""
        asked = self._open.pop(question, None)
        if asked is None:
            order = self._order.get(question)
            if order is None or order in self._why:
                return
            asked = self._over(order)
            if asked is None:
                return
        self._undecided(asked, "moot", ("moot", ""), now)

    def _over(self, order: str) -> Asked | None:
        """Nobody is asked about an order's sourcing any more; returns who was."""
        question, service = self._sourcing.pop(order, ("", ""))
        self._order.pop(question, None)
        return (service, "sourcing") if question else None

    # --- one fold an event

    def _sourcing_requested(self, event: ev.SourcingRequested, entry: Entry) -> None:
        if event.request and self.policies is not None:
            # One that is asked anew about the same is no second decision.
            before = self._over(event.order)
            service = before[0] if before is not None else self._ask(self.policies.decider, "sourcing")[0]
            self._why.pop(event.order, None)
            self._sourcing[event.order] = (event.request, service)
            self._order[event.request] = event.order

    def _sourcing_unanswered(self, event: ev.SourcingUnanswered, entry: Entry) -> None:
        self._why[event.order] = _why(event.reason, entry)

    def _sourcing_decided(self, event: ev.SourcingDecided, entry: Entry) -> None:
        asked = self._over(event.order)
        why = self._why.pop(event.order, None)
        if asked is None:
            return
        if event.decided_by:
            self._decided(asked)
            return
        became = "rejected" if all(leg.rule == "no_decision" for leg in event.legs) else "rules"
        self._undecided(asked, became, why or ("moot", ""), entry.now)

    def _order_held(self, event: ev.OrderHeld, entry: Entry) -> None:
        why = self._why.get(event.order)
        if why is not None and not isinstance(entry.command, cm.HoldOrder | cm.DecideRelease):
            del self._why[event.order]
            asked = self._over(event.order)
            if asked is not None:
                self._undecided(asked, "held", why, entry.now)
        if isinstance(entry.command, cm.DecideRelease):
            asked = self._open.pop(entry.command.request, None)
            if asked is not None:
                self._decided(asked)

    def _promise_requested(self, event: ev.PromiseRequested, entry: Entry) -> None:
        if event.request and self.policies is not None:
            self._open[event.request] = self._ask(self.policies.promiser, "promise")

    def _promise_unanswered(self, event: ev.PromiseUnanswered, entry: Entry) -> None:
        asked = self._open.pop(event.request, None)
        if asked is not None:
            self._undecided(asked, "calendars", _why(event.reason, entry), entry.now)

    def _release_requested(self, event: ev.ReleaseRequested, entry: Entry) -> None:
        if event.request and self.policies is not None:
            self._open[event.request] = self._ask(self.policies.releaser, "release")

    def _release_unanswered(self, event: ev.ReleaseUnanswered, entry: Entry) -> None:
        asked = self._open.pop(event.request, None)
        if asked is not None:
            held = any(isinstance(one, ev.OrderHeld) and one.order == event.order for one in entry.events)
            why = _why(event.reason, entry) if held else ("moot", event.reason)
            self._undecided(asked, "held" if held else "moot", why, entry.now)

    def _release_decided(self, event: ev.ReleaseDecided, entry: Entry) -> None:
        asked = self._open.pop(event.request, None) if event.request else None
        if asked is None:
            return
        if isinstance(entry.command, cm.DecideRelease):
            self._decided(asked)
        else:
            lapsed = [one.reason for one in entry.events if isinstance(one, ev.DeliveryLapsed)]
            self._undecided(asked, "released", _why(lapsed[0] if lapsed else "", entry), entry.now)


def _why(reason: str, entry: Entry) -> tuple[str, str]:
    """Why a question has no decision: by what came in, and in the log's words."""
    command = entry.command
    if isinstance(command, _ANSWERS):
        return "unusable", reason
    outcome = command.outcome if isinstance(command, cm.AcknowledgeDelivery) else ""
    return {"refused": "refused", "failed": "failed"}.get(outcome, "no_answer"), reason


_FOLDS: Final[dict[type, Any]] = {
    ev.SourcingRequested: OutsideFacts._sourcing_requested,
    ev.SourcingUnanswered: OutsideFacts._sourcing_unanswered,
    ev.SourcingDecided: OutsideFacts._sourcing_decided,
    ev.OrderHeld: OutsideFacts._order_held,
    ev.PromiseRequested: OutsideFacts._promise_requested,
    ev.PromiseUnanswered: OutsideFacts._promise_unanswered,
    ev.ReleaseRequested: OutsideFacts._release_requested,
    ev.ReleaseUnanswered: OutsideFacts._release_unanswered,
    ev.ReleaseDecided: OutsideFacts._release_decided,
}
