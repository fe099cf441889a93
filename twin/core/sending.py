"""The send queue in front of a gateway: what may be sent now, in which order, and what must wait.

Every delivery to a gateway whose policy queues passes it. One step of the timer `send/<desk>` hands over what may go;
a desk is a gateway, or the pool that several gateways share.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from msgspec.structs import replace

from twin.core.attempts import fail_attempt, outcome_kind, policy_of
from twin.core.breaker import blocks, record
from twin.core.compensation import give_up
from twin.core.draft import Draft
from twin.core.effects import CancelPurchaseOrder, CancelRelease
from twin.core.events import BreakerHalfOpened, DeliveryDispatched
from twin.core.master import CRITICALITIES, BreakerPolicy, DeliveryPolicy, expires_at
from twin.core.stages import DELIVERY, advance
from twin.core.state import Breaker, OpenDelivery, Sender, State
from twin.core.timers import cancel_timer, set_timer

__all__ = [
    "LATE",
    "NEVER",
    "dispatch",
    "drop",
    "due_at",
    "joined",
    "move",
    "pool_size",
    "rearm_desk",
    "rebuild",
    "reschedule",
    "sender_of",
    "settled",
    "took_slot",
]

LATE = "deadline passed: it waited to be sent"
NEVER = -1
"""No instant: something else has to happen first."""


# --- reading


def _desk(policy: DeliveryPolicy, gateway: str) -> str:
    return f"pool/{policy.pool}" if policy.pool else gateway


def _gateways(state: State, desk: str) -> list[str]:
    kind, _, name = desk.partition("/")
    return state.pools.get(name, []) if kind == "pool" else [desk]


def pool_size(state: State, name: str) -> int:
    """How many attempts of a pool may be under way."""
    return next((pool.size for pool in state.policies.pools if pool.name == name), 0)


def _room(state: State, desk: str) -> int:
    """How many more attempts the desk's pool allows; a large number where there is none."""
    kind, _, name = desk.partition("/")
    if kind != "pool":
        return 1 << 60
    return pool_size(state, name) - sum([state.senders[gateway].in_flight for gateway in state.pools.get(name, [])])


def _class(criticality: str) -> int:
    return CRITICALITIES.index(criticality) if criticality in CRITICALITIES else len(CRITICALITIES)


def _rank(opened: OpenDelivery, policy: DeliveryPolicy) -> tuple[int, int, str]:
    delivery = opened.delivery
    return 0 if policy.fifo else _class(delivery.criticality), opened.queued_at, delivery.key


class _Hand:
    """What one step does with the queue of one gateway; the state stays as it is."""

    def __init__(self, state: State, gateway: str, now: int) -> None:
        self.gateway = gateway
        self.state = state
        self.now = now
        self.policy = policy_of(state, gateway)
        self.sender: Sender = state.senders[gateway]
        # The part of the queue that is still to be looked at: taken from its head, shed from its tail.
        self.begin = 0
        self.end = len(self.sender.queue)
        self.sent = 0
        self.next_us = self.sender.next_us

    def shed(self, draft: Draft, most: int) -> int:
        """Give up what is beyond the bound, the last first; returns how many."""
        count = min(most, self.end - self.begin - self.policy.bound) if self.policy.bound else 0
        for _ in range(count):
            self.end -= 1
            opened = self.state.deliveries[self.sender.queue[self.end][2]]
            reason = f"shed: {self.policy.bound} wait already"
            give_up(self.state, opened, reason, self.now, draft, outcome="unsent")
        return max(0, count)

    def blocked(self) -> bool:
        """Whether the breaker lets nothing through."""
        rules = self.policy.breaker
        return rules is not None and blocks(self.sender.breaker, rules, self.now, self.sent)

    def head(self) -> tuple[int, int, str] | None:
        """What could be sent next, if anything."""
        policy = self.policy
        if self.begin >= self.end or self.blocked():
            return None
        if policy.bulkhead and self.sender.in_flight + self.sent >= policy.bulkhead:
            return None
        if _slot(policy, self.sender, self.next_us) > self.now * 1000:
            return None
        return self.sender.queue[self.begin]

    def across(self, head: tuple[int, int, str]) -> tuple[int, int, str]:
        """The rank of its head among those of gateways that share its pool: there the most critical goes first."""
        opened = self.state.deliveries[head[2]]
        return _class(opened.delivery.criticality), opened.queued_at, head[2]

    def half_open(self, draft: Draft) -> None:
        """Begin the trials where the breaker has been open long enough and something is to be sent."""
        breaker = self.sender.breaker
        if breaker.stage == "open" and not self.blocked() and self.begin < self.end:
            draft.events.append(BreakerHalfOpened(self.gateway))

    def send(self, draft: Draft) -> int:
        """Hand over the head; how many attempts that makes: none of what has no time left."""
        opened = self._take()
        if 0 < opened.delivery.deadline <= self.now:
            give_up(self.state, opened, LATE, self.now, draft, outcome="unsent")
            return 0
        draft.events.append(DeliveryDispatched(opened.delivery.key, opened.attempt))
        ends = expires_at(self.policy, self.now, opened.delivery.deadline)
        draft.deliveries.append(replace(opened.delivery, attempt=opened.attempt, expires_at=ends))
        self.sent += 1
        self.next_us = _after(self.policy, self.sender, self.next_us, self.now)
        return 1

    def fail(self, draft: Draft) -> None:
        """Fail the head at once: the breaker is open."""
        fail_attempt(self.state, self._take(), "unsent", "breaker open", self.now, draft)

    def _take(self) -> OpenDelivery:
        key = self.sender.queue[self.begin][2]
        self.begin += 1
        return self.state.deliveries[key]


def _interval(policy: DeliveryPolicy, sender: Sender) -> int:
    return max(policy.interval_us, policy.drain_us) if sender.draining else policy.interval_us


def _slot(policy: DeliveryPolicy, sender: Sender, next_us: int) -> int:
    """The instant (microseconds) from which the next attempt may be sent (GCRA, ITU-T I.371)."""
    interval = _interval(policy, sender)
    burst = 1 if sender.draining and policy.drain_us else policy.burst
    return next_us - (burst - 1) * interval if interval else 0


def _after(policy: DeliveryPolicy, sender: Sender, next_us: int, now: int) -> int:
    interval = _interval(policy, sender)
    return max(next_us, now * 1000) + interval if interval else next_us


# --- deciding


def dispatch(state: State, desk: str, now: int, draft: Draft) -> None:
    """Send what may be sent now, the first in rank and age first, in steps of the batch; what is left beyond a bound
    is shed. Reads only."""
    hands = [_Hand(state, gateway, now) for gateway in _gateways(state, desk) if gateway in state.senders]
    left = state.policies.batch
    for hand in hands:
        hand.half_open(draft)
    room = _room(state, desk)
    while left > 0:
        failing = next((hand for hand in hands if hand.begin < hand.end and _fails(hand)), None)
        if failing is not None:
            failing.fail(draft)
        else:
            ready = [(hand.across(head), hand) for hand in hands if (head := hand.head()) is not None]
            if not ready or room <= 0:
                break
            room -= min(ready, key=lambda pair: pair[0])[1].send(draft)
        left -= 1
    for hand in hands:
        left -= hand.shed(draft, left)


def _fails(hand: _Hand) -> bool:
    rules = hand.policy.breaker
    return rules is not None and not rules.holds and hand.blocked()


# --- folding


def move(state: State, opened: OpenDelivery, step: str, now: int, outcome: str = "") -> None:
    """Bring a delivery to its next stage, and its gateway's send queue with it.

    `outcome` is how the attempt under way ended, if one was.
    """
    delivery = opened.delivery
    before = opened.stage
    opened.stage = advance(DELIVERY, before, step, delivery.key)
    sender = state.senders.get(delivery.gateway)
    if sender is None:
        return
    policy = policy_of(state, delivery.gateway)
    if before == "queued":
        left_queue(state, opened)
    # A gateway that has lost its queue lets what is left in it go, uncounted.
    if policy.queues and before == "in_flight":
        sender.in_flight -= 1
    if policy.queues and opened.stage == "in_flight":
        sender.in_flight += 1
    if policy.breaker is not None and before == "in_flight":
        kind = outcome_kind(policy, opened, outcome, now)
        record(sender.breaker, policy.breaker, delivery.key, kind, now)
    if opened.stage in ("succeeded", "lapsed", "withdrawn"):
        settled(state, opened)
    reschedule(state, delivery.gateway, now)


def drop(state: State, key: str, now: int) -> None:
    """What a message asks for is no longer wanted: it is sent no more, whether it is open or a dead letter."""
    opened = state.deliveries.pop(key, None) or state.dead_letters.pop(key, None)
    if opened is None:
        return
    for timer in ("delivery", "dead"):
        cancel_timer(state.timers, f"{timer}/{key}")
    move(state, opened, "withdrawn", now, "succeeded")


def sender_of(state: State, gateway: str) -> Sender:
    """What sends to a gateway; made where there is none yet."""
    sender = state.senders.get(gateway)
    if sender is None:
        sender = state.senders[gateway] = Sender()
        _into_pool(state, gateway)
    return sender


def _into_pool(state: State, gateway: str) -> None:
    pool = policy_of(state, gateway).pool
    if pool:
        insort(state.pools.setdefault(pool, []), gateway)


def joined(state: State, opened: OpenDelivery) -> None:
    """A delivery entered the queue; where deliveries keep their order it waits for those before it."""
    policy = policy_of(state, opened.delivery.gateway)
    sender = sender_of(state, opened.delivery.gateway)
    if policy.in_order and not _undoes(opened):
        keys = sender.order.setdefault(opened.delivery.correlation, [])
        if opened.delivery.key not in keys:
            keys.append(opened.delivery.key)
        if keys[0] != opened.delivery.key:
            return
    insort(sender.queue, _rank(opened, policy))


def _undoes(opened: OpenDelivery) -> bool:
    """Whether it undoes a dead letter: then it cannot wait for that one."""
    return isinstance(opened.delivery.effect, CancelRelease | CancelPurchaseOrder)


def left_queue(state: State, opened: OpenDelivery) -> None:
    """A delivery leaves the queue, or its place behind another."""
    sender = state.senders[opened.delivery.gateway]
    rank = _rank(opened, policy_of(state, opened.delivery.gateway))
    place = bisect_left(sender.queue, rank)
    if place < len(sender.queue) and sender.queue[place] == rank:
        del sender.queue[place]


def settled(state: State, opened: OpenDelivery) -> None:
    """A delivery is settled: the next one about the same may go."""
    sender = state.senders.get(opened.delivery.gateway)
    if sender is None or not sender.order:
        return
    about = opened.delivery.correlation
    keys = sender.order.get(about, [])
    if opened.delivery.key not in keys:
        return
    first = keys[0] == opened.delivery.key
    keys.remove(opened.delivery.key)
    if not keys:
        del sender.order[about]
    elif first:
        following = state.deliveries.get(keys[0])
        if following is not None and following.stage == "queued":
            insort(sender.queue, _rank(following, policy_of(state, opened.delivery.gateway)))
            reschedule(state, opened.delivery.gateway, state.now)


def took_slot(state: State, gateway: str, key: str, now: int) -> None:
    """An attempt was handed over from the queue."""
    sender = state.senders[gateway]
    policy = policy_of(state, gateway)
    sender.next_us = _after(policy, sender, sender.next_us, now)
    if sender.breaker.stage == "half_open":
        sender.breaker.trials.append(key)
    if not sender.queue and sender.draining:
        # Attempts that failed while the breaker was open come back to the queue.
        waits = any(
            opened.stage == "waiting" and opened.delivery.gateway == gateway for opened in state.deliveries.values()
        )
        sender.draining = waits


def reschedule(state: State, gateway: str, now: int) -> None:
    """Set the timer of a gateway's desk anew."""
    rearm_desk(state, _desk(policy_of(state, gateway), gateway), now)


def rearm_desk(state: State, desk: str, now: int) -> None:
    """Set a desk's timer for the next instant at which something can be done there, if any."""
    full = _room(state, desk) <= 0
    due = [
        at
        for each in _gateways(state, desk)
        if each in state.senders and (at := due_at(state, each, now, full=full)) != NEVER
    ]
    if due:
        set_timer(state.timers, f"send/{desk}", min(due))
    else:
        cancel_timer(state.timers, f"send/{desk}")


def due_at(state: State, gateway: str, now: int, *, full: bool | None = None) -> int:
    """The instant (ms) at which something can be done with the gateway's queue; `NEVER` before something else happens.

    `full` is whether its pool is, where that is known already.
    """
    full = _room(state, _desk(policy_of(state, gateway), gateway)) <= 0 if full is None else full
    sender = state.senders[gateway]
    if not sender.queue:
        return NEVER
    policy = policy_of(state, gateway)
    if policy.bound and len(sender.queue) > policy.bound:
        return now
    at = now
    rules: BreakerPolicy | None = policy.breaker
    if rules is not None and blocks(sender.breaker, rules, now):
        if not rules.holds:
            return now
        if sender.breaker.stage == "half_open":
            return NEVER
        at = sender.breaker.until
    if full or (policy.bulkhead and sender.in_flight >= policy.bulkhead):
        return NEVER
    return max(at, -(-_slot(policy, sender, sender.next_us) // 1000))


def rebuild(state: State, now: int) -> None:
    """Make the queues anew after a change of the policies; breakers that are still wanted keep what they know."""
    before = state.senders
    state.senders = {}
    state.pools = {}
    for key in [key for key in state.timers.due if key.startswith("send/")]:
        cancel_timer(state.timers, key)
    for gateway, sender in before.items():
        policy = policy_of(state, gateway)
        if policy.queues:
            kept = sender_of(state, gateway)
            # A slot that a slower limit gave is no debt under a faster one.
            kept.next_us = min(sender.next_us, now * 1000 + policy.burst * policy.interval_us)
            kept.draining = sender.draining and policy.drain_us > 0
            if policy.breaker is not None:
                kept.breaker = sender.breaker
                if kept.breaker.stage == "half_open":
                    # Its trials were counted by other rules: it begins them anew.
                    kept.breaker = Breaker("open", [], now)
            if policy.in_order:
                kept.order = sender.order
    for key, opened in state.dead_letters.items():
        expires_after = policy_of(state, opened.delivery.gateway).dead_ms
        if expires_after and opened.stage == "dead":
            set_timer(state.timers, f"dead/{key}", max(now, opened.since + expires_after))
        else:
            cancel_timer(state.timers, f"dead/{key}")
    unsettled = [*state.dead_letters.values(), *state.deliveries.values()]
    # Whatever waits behind a dead letter was asked for after it; of one instant, the first that was asked for first.
    for opened in sorted(unsettled, key=lambda each: (each.stage != "dead", each.since)):
        _rebuild_one(state, opened)
    for gateway in list(state.senders):
        reschedule(state, gateway, now)


def _rebuild_one(state: State, opened: OpenDelivery) -> None:
    gateway = opened.delivery.gateway
    policy = policy_of(state, gateway)
    if not policy.queues and opened.stage != "queued":
        return
    sender = sender_of(state, gateway)
    if policy.in_order and opened.stage != "expired" and not _undoes(opened):
        keys = sender.order.setdefault(opened.delivery.correlation, [])
        if opened.delivery.key not in keys:
            keys.append(opened.delivery.key)
    if opened.stage == "in_flight" and policy.queues:
        sender.in_flight += 1
    elif opened.stage == "queued":
        joined(state, opened)
