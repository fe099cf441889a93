"""What whoever holds the inventory says: answers to claims, and all that is reserved there, beside what is here."""

from __future__ import annotations

from collections.abc import Sequence

from twin.core.attempts import succeed_attempt
from twin.core.commands import AnswerReservation, ReportReservations, ReservedUnits
from twin.core.draft import Draft
from twin.core.effects import HeldLine, ReleaseUnits, ReserveUnits
from twin.core.events import ReservationConfirmed, ReservationsReconciled
from twin.core.holding import order_of, refused_claim, slack, still_reserved, tell_what_is_left, try_again_at
from twin.core.refusals import Refusal
from twin.core.state import Claim, ClaimedLine, OpenDelivery, Order, State

__all__ = ["answer_reservation", "report_reservations"]


def answer_reservation(state: State, command: AnswerReservation, now: int, draft: Draft) -> Refusal | None:
    """Take the holder's answer to a claim; one about a claim that was given up is too late."""
    claim = state.claims.get(command.claim)
    if claim is None or claim.stage != "asked" or claim.order != command.order:
        return Refusal("not_asked", f"'{command.claim}' is no open claim of order '{command.order}'")
    if command.outcome not in ("reserved", "refused"):
        return Refusal("outcome", f"'{command.outcome}'; a claim is reserved or refused")
    twice = _repeated(command.available)
    if twice is not None:
        return twice
    opened = state.deliveries.get(command.claim)
    if opened is not None:
        succeed_attempt(state, opened, now, draft)
    if command.outcome == "reserved":
        draft.events.append(ReservationConfirmed(claim.order, command.claim))
        return None
    back: dict[tuple[str, str], int] = {}
    for line in claim.lines:
        back[line.node, line.sku] = 0
    for held in still_reserved(state, command.claim):
        back[held.node, held.sku] += held.quantity
    own = _may_be_own(opened)
    # Once for an order: a holder whose every answer comes late would else never be believed.
    doubted = {} if state.orders[claim.order].in_doubt else own
    withheld, short = [], False
    for node, sku, available in command.available:
        if (node, sku) in back:
            there = max(0, available) + doubted.get((node, sku), 0)
            more = state.stock[node][sku].free + back[node, sku] - there
            if more > 0:
                withheld.append((node, sku, more))
            short = short or there < back[node, sku]
    # What the holder has not is not asked for again. Where that is no reason, asking at once would not end.
    retry_at = now if short else try_again_at(state, command.claim, now)
    release = f"{command.claim}/keep/0" if own else ""
    draft.events.append(refused_claim(state, command.claim, claim, "short", retry_at, tuple(withheld), release))
    if release:
        tell_what_is_left(state, command.claim, claim.order, (), release, now, draft)
    return None


def _repeated(told: tuple[tuple[str, str, int], ...]) -> Refusal | None:
    """Of two numbers for one item at one node nobody knows which holds."""
    seen: dict[tuple[str, str], None] = {}
    for node, sku, _ in told:
        if (node, sku) in seen:
            return Refusal("repeated", f"'{sku}' at '{node}' is told twice; give each item at a node once")
        seen[node, sku] = None
    return None


def _may_be_own(opened: OpenDelivery | None) -> dict[tuple[str, str], int]:
    """Units by node and item that an earlier attempt of a call may have reserved, though it was not answered: then the
    call is refused for its own reservation."""
    units: dict[tuple[str, str], int] = {}
    if opened is not None and opened.doubtful and isinstance(opened.delivery.effect, ReserveUnits):
        for line in opened.delivery.effect.lines:
            units[line.node, line.sku] = units.get((line.node, line.sku), 0) + line.quantity
    return units


def report_reservations(state: State, command: ReportReservations, now: int, draft: Draft) -> Refusal | None:
    """Hold the holder's reservations against those here: orphans are given back, and what is missing is opened.

    An order of which units have shipped or were given up since the question was asked may differ for no reason but
    that: it is left to the next time. What ships of a line under several claims may be taken from one of them here and
    from another there, so only what differs in all is an orphan, or missing.
    """
    if not state.asking or command.request != state.asking:
        return Refusal("not_asked", f"'{command.request}' is not the last question for reservations")
    for name, units in [*[(row.claim, row.quantity) for row in command.lines], *[row[1:] for row in command.others]]:
        if units < 0:
            return Refusal("quantity", f"'{name}': {units} units are reserved")
    for row in command.lines:
        if row.since > max(now, command.time):
            return Refusal("since", f"'{row.claim}': reserved since {row.since}, which is after the report")
    twice = _repeated(command.others)
    if twice is not None:
        return twice
    opened = state.deliveries.get(command.request)
    if opened is not None:
        succeed_attempt(state, opened, now, draft)
    changed = {order_of(name): None for name, at in state.settled.items() if at >= state.asked_at}
    excused = {**changed, **_leaving(state)}
    in_all: dict[tuple[str, int, str], int] = {}
    for row in command.lines:
        line = (row.order, row.line, row.node)
        in_all[line] = in_all.get(line, 0) + row.quantity
    over = {line: units - _covered(state, line) for line, units in in_all.items()}
    there: dict[tuple[str, int, str], int] = {}
    orphans: dict[str, list[ReservedUnits]] = {}
    found: list[ReservedUnits] = []
    # What is there under claims that nobody here knows goes first.
    for row in sorted(command.lines, key=lambda row: row.claim in state.claims):
        place = (row.claim, row.line, row.node)
        before = there.get(place, 0)
        there[place] = before + row.quantity
        line = (row.order, row.line, row.node)
        excess = min(row.quantity, there[place] - _claimed(state, place), over[line])
        if excess > 0 and row.order not in excused:
            over[line] -= excess
            orphan = ReservedUnits(row.claim, row.order, row.line, row.sku, row.node, excess, row.since)
            orphans.setdefault(row.claim, []).append(orphan)
            found.append(orphan)
    missing = [name for name, claim in state.claims.items() if _missing(state, name, claim, there, in_all)]
    elsewhere = {(node, sku): units for node, sku, units in command.others}
    for node, cells in state.stock.items():
        for sku, cell in cells.items():
            if cell.elsewhere and (node, sku) not in elsewhere:
                elsewhere[node, sku] = 0
    news = tuple(
        [
            (node, sku, units)
            for (node, sku), units in elsewhere.items()
            if sku in state.stock.get(node, {}) and state.stock[node][sku].elsewhere != units
        ]
    )
    keeps = {name: _kept(state, name, rows, command.lines) for name, rows in orphans.items()}
    releases = {
        name: f"{name}/keep/{sum([line.quantity for line in keep])}/{state.reconciliations}"
        for name, keep in keeps.items()
    }
    reconciled = ReservationsReconciled(command.request, tuple(found), tuple(missing), news, tuple(releases.values()))
    draft.events.append(reconciled)
    for name in missing:
        claim = state.claims[name]
        # What is left of it there is no use by itself.
        release = f"{name}/keep/0/{state.reconciliations}" if any(name == place[0] for place in there) else ""
        draft.events.append(refused_claim(state, name, claim, "missing", now, call=release))
        if release:
            tell_what_is_left(state, name, claim.order, (), release, now, draft)
    for name, rows in orphans.items():
        tell_what_is_left(state, name, rows[0].order, keeps[name], releases[name], now, draft)
    return None


def _kept(
    state: State, name: str, orphans: list[ReservedUnits], reported: Sequence[ReservedUnits]
) -> tuple[HeldLine, ...]:
    """What is wanted of a claim: what it covers, and all that is there under it but for what nobody wants.

    Where more is there than it covers, that may stand for another claim of the line.
    """
    there: dict[tuple[int, str, str], int] = {}
    for rows, sign in ((reported, 1), (orphans, -1)):
        for row in rows:
            if row.claim == name:
                place = (row.line, row.sku, row.node)
                there[place] = there.get(place, 0) + sign * row.quantity
    lines = state.claims[name].lines if name in state.claims else ()
    keep = {(line.line, line.sku, line.node): line.quantity for line in lines}
    for place, units in there.items():
        keep[place] = max(keep.get(place, 0), units)
    return tuple([HeldLine(line, sku, node, units) for (line, sku, node), units in keep.items() if units])


def _covered(state: State, place: tuple[str, int, str]) -> int:
    """Units of an order's line at a node that all its claims cover."""
    name, number, node = place
    order = state.orders.get(name)
    return 0 if order is None else sum([_claimed(state, (claim, number, node)) for claim in order.claims])


def _claimed(state: State, place: tuple[str, int, str]) -> int:
    name, number, node = place
    claim = state.claims.get(name)
    if claim is None:
        return 0
    return sum([line.quantity for line in claim.lines if line.line == number and line.node == node])


def _leaving(state: State) -> dict[str, None]:
    """Orders of whose claims the holder is being told already what is left."""
    effects = [opened.delivery.effect for opened in state.deliveries.values()]
    return {effect.order: None for effect in effects if isinstance(effect, ReleaseUnits)}


def _missing(
    state: State,
    name: str,
    claim: Claim,
    there: dict[tuple[str, int, str], int],
    in_all: dict[tuple[str, int, str], int],
) -> bool:
    """Whether a claim that is wholly reserved here, and was confirmed before the question, is not there any more."""
    if claim.stage != "held" or claim.since >= state.asked_at or state.settled.get(name, -1) >= state.asked_at:
        return False
    order = state.orders[claim.order]
    if any(slack(order, name, line.line, line.node, line.quantity) for line in claim.lines):
        # Its goods are being picked or have left: the holder may have heard of it first.
        return False
    lacking = [line for line in claim.lines if there.get((name, line.line, line.node), 0) < line.quantity]
    return any(
        in_all.get((order.id, line.line, line.node), 0) < _sure_units(state, order, name, line) for line in lacking
    )


def _sure_units(state: State, order: Order, name: str, line: ClaimedLine) -> int:
    """Units of an order line that are reserved at a node, under a claim and others confirmed before the question."""
    units = 0
    for held in order.soft:
        if held.claim and (held.line, held.node) == (line.line, line.node):
            claim = state.claims[held.claim]
            if held.claim == name or (claim.stage == "held" and claim.since < state.asked_at):
                units += held.quantity
    return units
