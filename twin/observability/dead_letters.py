"""The dead letters of a log: what was given up and waits for somebody, with its reason, owner, age and value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from twin.core.entry import Entry
from twin.observability.calls import Calls, note_dead
from twin.observability.values import Values

__all__ = ["DeadLetter", "dead_letters_of"]


class DeadLetter(Struct, frozen=True):
    """A message that was given up at `since` (ms) after `attempts`, and that `owner` has to look at.

    `about` is the order or purchase order, `value_minor` what the message asks for. It expires at `expires_at` (ms; -1:
    never), and has where `expired` says so.
    """

    key: str
    gateway: str
    effect: str
    about: str
    criticality: str
    reason: str
    attempts: int
    since: int
    owner: str
    value_minor: int
    expires_at: int
    expired: bool


def dead_letters_of(entries: Iterable[Entry], owners: Mapping[str, str] | None = None) -> list[DeadLetter]:
    """The dead letters at the end of a log, the oldest first; at one instant in the order of their keys.

    `owners` maps a gateway to who answers for it, where the policy of its kind names nobody.
    """
    calls, values, reasons = Calls(), Values(), dict[str, str]()
    for entry in entries:
        values.fold(entry)
        for step in calls.fold(entry):
            note_dead(reasons, step)
    found = []
    for key, reason in reasons.items():
        message = calls.open[key]
        delivery = message.delivery
        policy = calls.policy(delivery.gateway)
        found.append(
            DeadLetter(
                key,
                delivery.gateway,
                message.effect,
                delivery.correlation,
                delivery.criticality,
                reason,
                message.attempt,
                message.since,
                policy.owner or (owners or {}).get(delivery.gateway, ""),
                values.of(delivery),
                message.since + policy.dead_ms if policy.dead_ms else -1,
                message.stage == "expired",
            )
        )
    return sorted(found, key=lambda letter: (letter.since, letter.key))
