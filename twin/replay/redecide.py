"""Re-decide: each recorded command is decided anew against the state folded from the recorded events.

What comes out is compared with what was recorded and never carried out: carried out, the recorded replies would soon
answer messages that were never sent. So each difference is one of that moment, and none follows from another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from twin.core.calendar import CalendarExhausted
from twin.core.commands import Wake
from twin.core.deciding import what_is_wrong
from twin.core.engine import Engine
from twin.core.entry import Entry, Outcome
from twin.core.events import (
    Event,
    Leg,
    OrderCaptured,
    PromiseDecided,
    PurchaseOrderCreated,
    ReleaseDecided,
    SourcingDecided,
)
from twin.core.master import Policies
from twin.core.ordering import context_of, new_order, sourcing_asked
from twin.core.promising import promise_lines
from twin.core.state import Order, State
from twin.decisions import Decider, DecisionFailed, SourcingAnswer, legs_of, sourcing_question
from twin.log import read_entries, read_manifest
from twin.replay.agreement import Agreement, agreement_of
from twin.scenario.units import format_instant

__all__ = ["Agreement", "Changed", "Redecided", "over", "redecide"]

Z: Final = 1.959963984540054
"""Quantile of the normal distribution for intervals of 95 %."""

_NO_ANSWER: Final = "no answer"
_UNUSABLE: Final = "unusable"
_NONE: Final = (_NO_ANSWER, _UNUSABLE)
"""What stands in the place of a route where a service gave no decision, or none that could be carried out."""

Told = Callable[[int], None]
"""Takes the position of each entry looked at."""


class Changed(Struct, frozen=True):
    """A decision that comes out otherwise at `now` (ms), in words; `why` is what decided for the new one."""

    position: int
    now: int
    subject: str
    decision: str
    was: str
    would_be: str
    why: str


class Redecided(Struct, frozen=True):
    """What deciding anew has shown. `decisions` counts those looked at by kind, `reasons` why sourcing differs.

    `usable` are the sourcing decisions of a service that can be carried out, -1 where the engine decided.
    """

    entries: int
    decisions: dict[str, int]
    changed: tuple[Changed, ...]
    agreement: tuple[Agreement, ...]
    reasons: dict[str, int]
    usable: int = -1


def redecide(
    run: Path,
    policies: Callable[[Policies], Policies] | None = None,
    *,
    service: Decider | None = None,
    told: Told | None = None,
) -> Redecided:
    """Decide a recorded run's commands anew: with other policies (a function of those that held), or with none changed.

    With `service` only where orders come from is decided anew, by that service, which is reset with the run's seed
    before. Raises `RunError` for a folder without entries, or with `service` without a manifest.
    """
    if service is not None:
        service.reset(read_manifest(run).seed)
    engine = Engine()
    tally = _Tally()
    entries = 0
    for entry in read_entries(run):
        state = engine.state
        if service is not None:
            tally.take(entry, state, *_by_service(entry, state, service))
        else:
            outcome = _anew(engine, entry, policies)
            tally.take(entry, state, outcome.events, "" if outcome.refusal is None else outcome.refusal.code)
        engine.apply(entry)
        entries += 1
        if told is not None:
            told(entry.position)
    return tally.result(entries, by_service=service is not None)


def _anew(engine: Engine, entry: Entry, policies: Callable[[Policies], Policies] | None) -> Outcome:
    """What the engine decides now. The state is as recorded again afterwards."""
    state = engine.state
    kept = state.policies, state.preferred, state.gateways
    if policies is not None:
        state.policies = policies(state.policies)
        state.preferred = dict(state.policies.preferred)
        state.gateways = {one.gateway: one for one in state.policies.delivery}
    try:
        return engine.decide(entry.command, max(entry.now, state.now))
    finally:
        state.policies, state.preferred, state.gateways = kept


def _by_service(entry: Entry, state: State, service: Decider) -> tuple[tuple[Event, ...], str]:
    """The recorded events, with the service's decision where one on sourcing was recorded."""
    events: list[Event] = []
    again: list[str] = []
    for event in entry.events:
        if not isinstance(event, SourcingDecided):
            # A new date follows from the new source; one before it was told before.
            if not (isinstance(event, PromiseDecided) and event.order in again):
                events.append(event)
            continue
        order, wanted = _wanted(entry, state, event)
        effect = sourcing_asked(state, order, wanted, entry.now)
        question = sourcing_question(f"{order.id}/redecide/{entry.position}", effect, order.criticality, entry.now)
        try:
            answer = service.decide(question)
        except DecisionFailed as failed:
            events.append(_none(event.order, _NO_ANSWER, f"failed: {failed.reason}"))
            continue
        if not isinstance(answer, SourcingAnswer):
            raise TypeError(f"a question about sourcing was answered by {type(answer).__name__}")
        wrong = what_is_wrong(wanted, context_of(state, order, wanted, entry.now).lines, legs_of(answer))
        if wrong:
            events.append(_none(event.order, _UNUSABLE, wrong))
            continue
        again.append(event.order)
        legs = tuple(
            [Leg(leg.line, leg.route, leg.node, leg.quantity, leg.reason, leg.runner_up) for leg in answer.legs]
        )
        events.append(SourcingDecided(event.order, legs, (), service.about.name))
        if not state.policies.promiser:
            # Whoever else promises was asked about it later, and is not asked here.
            events += _promised(state, order, legs, entry)
    return tuple(events), "" if entry.refusal is None else entry.refusal.code


def _none(order: str, which: str, why: str) -> SourcingDecided:
    """Stands for a decision that there is none of."""
    return SourcingDecided(order, (Leg(0, which, "", 0, why),))


def _promised(state: State, order: Order, legs: tuple[Leg, ...], entry: Entry) -> Iterator[Event]:
    """The date that follows from where the units come from, in place of the recorded one."""
    try:
        dates = promise_lines(state, order, legs, entry.now)
    except (CalendarExhausted, LookupError):
        return
    later = tuple([(number, at) for number, at in dates if at > order.lines[number].promised_at])
    if later:
        yield PromiseDecided(order.id, max(at for _, at in later), later)


def _wanted(entry: Entry, state: State, decided: SourcingDecided) -> tuple[Order, list[tuple[int, str, int]]]:
    """The order that a recorded decision was about, and its units."""
    units: dict[int, int] = {}
    for leg in decided.legs:
        units[leg.line] = units.get(leg.line, 0) + leg.quantity
    order = state.orders.get(decided.order)
    if order is None:
        captured = next(event for event in entry.events if isinstance(event, OrderCaptured))
        order = new_order(captured, entry.now)
        for event in entry.events:
            if event is decided:
                break
            if isinstance(event, PromiseDecided):
                # An opening brings an order in with the dates that its customer was told.
                for number, at in event.lines:
                    order.lines[number].promised_at = at
    return order, [(number, order.lines[number].sku, quantity) for number, quantity in sorted(units.items())]


# --- what is compared, by the parts of a decision


def _legs(event: SourcingDecided) -> dict[str, str]:
    by_line: dict[int, list[Leg]] = {}
    for leg in sorted(event.legs, key=lambda leg: (leg.line, leg.route, leg.node, leg.quantity)):
        by_line.setdefault(leg.line, []).append(leg)
    # No line has the number 0: it stands for the whole decision, of which there is none.
    return {
        f"line {line}" if line else "order": " and ".join(_leg(leg, len(legs)) for leg in legs)
        for line, legs in by_line.items()
    }


def _leg(leg: Leg, of: int) -> str:
    """What a leg takes and where; one that is alone takes the whole line."""
    if leg.route in _NONE:
        return leg.route
    units = f"{leg.quantity} " if of > 1 else ""
    return f"{units}{leg.route}{f' at {leg.node}' if leg.node else ''}"


def _why(event: SourcingDecided, lines: Sequence[str]) -> str:
    rules = dict.fromkeys(
        f"{leg.rule}{f' before {leg.runner_up}' if leg.runner_up else ''}"
        for leg in event.legs
        if leg.rule and (f"line {leg.line}" in lines or leg.route in _NONE)
    )
    return "; ".join(rules)


def _dates(event: PromiseDecided) -> dict[str, str]:
    return {f"line {line}": format_instant(at) for line, at in sorted(event.lines)}


def _told_dates(events: Iterable[Event], order: str) -> dict[str, str]:
    """The dates that an order's lines have after these events, however often they were told."""
    told: dict[str, str] = {}
    for event in events:
        if isinstance(event, PromiseDecided) and event.order == order:
            told |= _dates(event)
    return told


def _plans(event: ReleaseDecided) -> dict[str, str]:
    return {
        f"{plan.node} by {plan.carrier}": ", ".join(f"{pick.quantity} of line {pick.line}" for pick in plan.lines)
        for plan in event.fulfillment_orders
    }


def _bought(event: PurchaseOrderCreated) -> dict[str, str]:
    return {f"{line.sku} of {event.supplier} for {event.node}": str(line.quantity) for line in event.lines}


_DECISIONS: Final[Mapping[type, tuple[str, Callable[..., dict[str, str]]]]] = {
    SourcingDecided: ("sourcing", _legs),
    PromiseDecided: ("promise", _dates),
    ReleaseDecided: ("release", _plans),
    PurchaseOrderCreated: ("purchase", _bought),
}


def _told(parts: Mapping[str, str]) -> str:
    """Parts in words, those together of which the same is to be told."""
    by_text: dict[str, list[str]] = {}
    for part, text in parts.items():
        by_text.setdefault(text, []).append(part)
    return "; ".join(f"{_joined(names)}: {text}" for text, names in by_text.items())


def _joined(names: Sequence[str]) -> str:
    """`line 1`, `lines 1 to 3, 7`."""
    numbers = [int(name.removeprefix("line ")) for name in names if name.startswith("line ")]
    if len(numbers) < 2 or len(numbers) < len(names):
        return ", ".join(names)
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][-1] == number - 1:
            spans[-1] = [spans[-1][0], number]
        else:
            spans.append([number])
    return "lines " + ", ".join(" to ".join(map(str, span)) for span in spans)


Key = tuple[str, str]


def _decisions(events: Sequence[Event]) -> dict[Key, Event]:
    """The decisions among events, by kind and what they are about; a second about the same goes by its number."""
    found: dict[Key, Event] = {}
    times: dict[Key, int] = {}
    for event in events:
        kind = _DECISIONS.get(type(event))
        if kind is None:
            continue
        subject = str(getattr(event, "order", None) or getattr(event, "purchase_order", ""))
        number = times[kind[0], subject] = times.get((kind[0], subject), -1) + 1
        found[kind[0], f"{subject}#{number}" if number else subject] = event
    return found


class _Tally:
    """Counts and keeps what differs."""

    def __init__(self) -> None:
        self.decisions: dict[str, int] = {}
        self.changed: list[Changed] = []
        self.reasons: dict[str, int] = {}
        self.classes: dict[str, list[int]] = {}
        self.usable = 0

    def take(self, entry: Entry, state: State, events: Sequence[Event], refusal: str) -> None:
        """Compare what was recorded with what comes out now."""
        recorded = "" if entry.refusal is None else entry.refusal.code
        if recorded != refusal:
            what = "wake" if isinstance(entry.command, Wake) else "acceptance"
            about = str(getattr(entry.command, "order", getattr(entry.command, "key", "")))
            self._differs(entry, what, about, recorded or "accepted", refusal or "accepted", "")
        before, after = _decisions(entry.events), _decisions(events)
        for key in dict.fromkeys([*before, *after]):
            kind, subject = key
            was, now = before.get(key), after.get(key)
            self.decisions[kind] = self.decisions.get(kind, 0) + 1
            parts = [{} if one is None else _DECISIONS[type(one)][1](one) for one in (was, now)]
            differ = [part for part in dict.fromkeys(chain(*parts)) if parts[0].get(part) != parts[1].get(part)]
            if differ:
                texts = [_told({part: side[part] for part in differ if part in side}) for side in parts]
                why = _why(now, differ) if isinstance(now, SourcingDecided) else ""
                self._differs(entry, kind, subject, texts[0] or "none", texts[1] or "none", why)
            if isinstance(was, SourcingDecided):
                self.usable += isinstance(now, SourcingDecided) and all(leg.route not in _NONE for leg in now.legs)
                dates = [_told_dates(side.values(), was.order) for side in (before, after)]
                self._agreed(entry, state, was, not differ, dates[0] == dates[1], now)

    def _differs(self, entry: Entry, kind: str, subject: str, was: str, would_be: str, why: str) -> None:
        self.changed.append(Changed(entry.position, entry.now, subject, kind, was, would_be, why))

    def _agreed(
        self, entry: Entry, state: State, was: SourcingDecided, legs: bool, dates: bool, now: Event | None
    ) -> None:
        order, _ = _wanted(entry, state, was)
        value = sum(leg.quantity * order.lines[leg.line].price_minor for leg in was.legs)
        same = legs and dates
        for name in ("", order.criticality):
            counts = self.classes.setdefault(name, [0, 0, 0, 0])
            for index, amount in enumerate((1, int(same), value, value if same else 0)):
                counts[index] += amount
        if not same:
            reason = _reason(was, now) if not legs else "date"
            self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def result(self, entries: int, *, by_service: bool = False) -> Redecided:
        """All of it."""
        agreement = [
            agreement_of(name, counts[0], counts[1], counts[2], counts[3])
            for name, counts in sorted(self.classes.items())
        ]
        usable = self.usable if by_service else -1
        return Redecided(entries, self.decisions, tuple(self.changed), tuple(agreement), self.reasons, usable)


def _reason(was: SourcingDecided, now: Event | None) -> str:
    """In what two sourcing decisions differ first: route, site or quantity."""
    if not isinstance(now, SourcingDecided):
        return "no decision"
    for leg in now.legs:
        if leg.route in _NONE:
            return leg.route
    for name in ("route", "node"):
        if sorted((leg.line, getattr(leg, name)) for leg in was.legs) != sorted(
            (leg.line, getattr(leg, name)) for leg in now.legs
        ):
            return "site" if name == "node" else name
    return "quantity"


def over(old: Policies, new: Policies) -> Callable[[Policies], Policies]:
    """What differs between two policies, laid over those that hold; people may have changed others meanwhile."""
    differ = {
        name: getattr(new, name) for name in Policies.__struct_fields__ if getattr(old, name) != getattr(new, name)
    }
    return lambda held: replace(held, **differ)
