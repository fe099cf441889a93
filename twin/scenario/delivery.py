"""How messages go to outside partners: attempts, retries, and the send queue with its limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, ValidatorFunctionWrapHandler, model_validator
from pydantic.functional_serializers import WrapSerializer
from pydantic.functional_validators import WrapValidator

from twin.scenario.base import (
    Count,
    DurationMs,
    Id,
    Model,
    Percent,
    Period,
    Positive,
    PositiveMs,
    SomeRate,
    SortedKeys,
    Tuple,
    refuse,
)

__all__ = ["GATEWAYS", "Breaker", "DeliveryChange", "DeliveryPolicies", "DeliveryPolicy", "GatewayKind", "Retries"]

GatewayKind = Literal["warehouse", "supplier", "carrier", "erp", "marketplace", "decision", "inventory"]
GATEWAYS: tuple[GatewayKind, ...] = get_args(GatewayKind)
Jitter = Literal["full", "equal", "decorrelated", "none"]
Discipline = Literal["criticality", "fifo"]

NONE = "none"
"""Written for a limit that the default has and one kind of partner has not."""
OTHER_NONES = ("off", "no", "never", "unlimited", "disabled")
"""What people write for it at the first attempt."""


def _lifted(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    if value is False or value in OTHER_NONES:
        told = "false" if value is False else f"'{value}'"
        raise refuse(f"{told} is not known; write {NONE} to do without it")
    return NONE if value == NONE else validate(value)


def _written(value: Any, write: SerializerFunctionWrapHandler) -> Any:
    return NONE if value == NONE else write(value)


LIFTED = (WrapValidator(_lifted), WrapSerializer(_written))
"""Lets `none` stand for no limit at all."""
LIFTABLE = ("fallback", "supervise", "hedge", "dead_letters", "bulkhead", "pool", "rate", "drain", "breaker", "budget")
LIMITS = ("bulkhead", "pool", "rate", "drain", "breaker")
"""What a message may have to wait for before it is sent."""


def _some(value: int) -> int:
    if not value:
        raise refuse("a retry budget of 0% allows none after the reserve; write max: 0 for no retries")
    return value


RetryBudget = Annotated[Percent, AfterValidator(_some)]


class Retries(Model):
    """Further attempts after one that failed or timed out."""

    max: Count = 5
    """Attempts after the first"""
    backoff: DurationMs = 5_000
    """Wait before the second attempt; doubled for each further one"""
    cap: DurationMs = 600_000
    """Longest wait"""
    jitter: Jitter = "full"
    """How the wait is spread (Brooker 2015)"""
    budget: RetryBudget | None = None
    """Retries to one partner as a share of its first attempts; no bound unless given"""
    reserve: Positive | None = None
    """Retries that the budget holds at most, and at the start; 10 unless given"""
    permanent: Tuple[str] = ()
    """Beginnings of reasons (such as `404`) after which a failed attempt is not repeated"""
    retry_after: bool = True
    """Whether a partner's wish for a later retry (HTTP Retry-After) is granted"""


class Slow(Model):
    """Which answers are slow, and how many of them open the breaker."""

    over: DurationMs
    """An answer that takes longer is slow"""
    share: Percent = 1_000_000
    """Share of slow answers that opens the breaker"""


class Breaker(Model):
    """A circuit breaker for each partner: it opens when too many attempts fail, and closes after trials that go well.

    Terms and rules are those of Resilience4j.
    """

    calls: Positive | None = None
    """Looked at are this many last attempts; 100 unless given"""
    window: DurationMs | None = None
    """Looked at are the attempts of this long instead"""
    minimum: Positive | None = None
    """Attempts that must have been seen before it opens; `calls` unless given, 10 with a window of time"""
    failures: Percent = 500_000
    """Share of failed and unanswered attempts that opens it"""
    slow: Slow | None = None
    """Opens it for slow answers, too"""
    open: DurationMs = 60_000
    """How long it stays open"""
    trials: Positive = 10
    """Attempts that are let through then; their outcomes close it or open it again"""
    calls_meanwhile: Literal["failed", "held"] = "failed"
    """Whether attempts fail at once while it is open, or wait in the send queue"""

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if self.calls is not None and self.window is not None:
            raise refuse("calls and window are two ways to say what is looked at; give one of them")
        if self.window is None and self.looked_at < self.attempts_needed:
            raise refuse(
                f"of {self.looked_at} calls it never sees {self.attempts_needed}; lower minimum or raise calls"
            )
        if not self.open:
            raise refuse("a breaker that is open for 0s never holds anything up; write a duration such as 30s")
        return self

    @property
    def looked_at(self) -> int:
        """Attempts in a window by count."""
        return self.calls or 100

    @property
    def attempts_needed(self) -> int:
        """Attempts that must have been seen."""
        return self.minimum or (self.looked_at if self.window is None else 10)


class SendQueue(Model):
    """How messages to one partner wait to be sent."""

    discipline: Discipline | None = None
    """Most critical first and then in the order of coming, or in that order alone; `criticality` unless given"""
    bound: Positive | None = None
    """Most messages that may wait; the least critical and youngest beyond become dead letters. No bound unless given"""
    in_order: bool | None = None
    """Whether messages about one order are sent one after the other, and none past a dead letter but what cancels it;
    not unless given"""


class Fallback(Model):
    """An order is sourced elsewhere when its warehouse could not be told to ship; a purchase goes to another supplier
    when one could not be asked."""

    to: Literal["elsewhere", "alternate"]
    """Another warehouse (`elsewhere`), or the next supplier of the rule (`alternate`)"""
    compensate: bool = True
    """Whether what may have been done all the same is cancelled first"""


class Hedge(Model):
    """An attempt without an answer is sent a second time beside the first; the first answer counts, and the partner
    does it once (Dean and Barroso 2013). It spends a retry, and a share of the retry budget."""

    after: PositiveMs
    """Without an answer for so long; a high percentile of the usual times, such as the 95th"""
    max: Positive = 1
    """Attempts beside the first"""


class DeadLetters(Model):
    """Who looks at messages that were given up, and for how long they can be sent again."""

    owner: str = ""
    """Who answers for them; the owner of the interface unless given"""
    expire: PositiveMs | None = None
    """After so long one can no longer be sent again, and holds up nothing behind it; never unless given"""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.owner and self.expire is None:
            raise refuse("dead_letters says nothing; give owner or expire, or leave it out")
        return self


class Supervise(Model):
    """Who has taken an order and says nothing of it is asked, and after a while reported.

    Watched are purchase orders (up to their date once it is known), fulfillment orders, and parcels from their promise
    on. A partner that is asked says again what it has said; what it knows nothing of is sent again.
    """

    after: Period
    """Silence until it is asked, and between two questions"""
    chases: Positive = 2
    """Questions in vain until a ticket is opened; asking goes on"""


class _Sending(Model):
    fallback: Annotated[Fallback | None, *LIFTED] = None
    """What is done for an order whose warehouse could not be told to ship, or a purchase whose supplier could not be
    asked; a dead letter waits unless given"""
    hedge: Annotated[Hedge | None, *LIFTED] = None
    """A second attempt beside one that is slow; none unless given"""
    dead_letters: Annotated[DeadLetters | None, *LIFTED] = None
    """What holds for messages that were given up"""
    supervise: Annotated[Supervise | None, *LIFTED] = None
    """What is done about a silent partner; nothing unless given"""
    bulkhead: Annotated[Positive | None, *LIFTED] = None
    """Most attempts under way to one partner; no bound unless given"""
    pool: Annotated[Id | None, *LIFTED] = None
    """Senders (of `pools`) that these attempts take while they are under way"""
    rate: Annotated[SomeRate | None, *LIFTED] = None
    """Attempts sent to one partner at most (client-side rate limit); no bound unless given"""
    burst: Positive | None = None
    """Attempts that the rate lets through at once; 1 unless given"""
    drain: Annotated[SomeRate | None, *LIFTED] = None
    """Attempts sent at most after the breaker was open, until nothing waits"""
    queue: SendQueue = SendQueue()
    """How messages wait to be sent"""
    breaker: Annotated[Breaker | None, *LIFTED] = None
    """A circuit breaker; none unless given"""


class DeliveryPolicy(_Sending):
    """How messages to one kind of partner are sent, timed out and repeated."""

    timeout: PositiveMs = 30_000
    """Of one attempt"""
    deadline: DurationMs = 6 * 3_600_000
    """Of all attempts together"""
    acknowledge: bool = True
    """Whether an answer is waited for at all"""
    retries: Retries = Retries()
    """Further attempts"""

    @model_validator(mode="before")
    @classmethod
    def _lifted(cls, given: Any) -> Any:
        """Below the default is nothing that `none` could lift: there it says what saying nothing says."""
        if not isinstance(given, dict):
            return given
        return {key: value for key, value in given.items() if key not in LIFTABLE or value != NONE}


class RetriesChange(Model):
    """What differs from the default's retries."""

    max: Count | None = None
    """Attempts after the first"""
    backoff: DurationMs | None = None
    """Wait before the second attempt; doubled for each further one"""
    cap: DurationMs | None = None
    """Longest wait"""
    jitter: Jitter | None = None
    """How the wait is spread (Brooker 2015)"""
    budget: Annotated[RetryBudget | None, *LIFTED] = None
    """Retries to one partner as a share of its first attempts; `none` for no bound"""
    reserve: Positive | None = None
    """Retries that the budget holds at most, and at the start"""
    permanent: Tuple[str] | None = None
    """Beginnings of reasons after which a failed attempt is not repeated"""
    retry_after: bool | None = None
    """Whether a partner's wish for a later retry is granted"""


class DeliveryChange(_Sending):
    """What differs from the default for one kind of partner; `none` lifts a limit that the default has."""

    timeout: PositiveMs | None = None
    """Of one attempt"""
    deadline: DurationMs | None = None
    """Of all attempts together"""
    acknowledge: bool | None = None
    """Whether an answer is waited for at all"""
    retries: RetriesChange = RetriesChange()
    """Further attempts"""


class DeliveryPolicies(Model):
    """A default, and what differs from it by kind of partner."""

    pools: Annotated[dict[Id, Positive], SortedKeys] = Field(default_factory=dict)
    """Senders that several kinds of partners share, by name: at most so many attempts are under way"""
    default: DeliveryPolicy = DeliveryPolicy()
    """For all partners"""
    warehouse: DeliveryChange = DeliveryChange()
    """To warehouses"""
    supplier: DeliveryChange = DeliveryChange()
    """To suppliers"""
    carrier: DeliveryChange = DeliveryChange()
    """To carriers"""
    erp: DeliveryChange = DeliveryChange()
    """To the ERP"""
    marketplace: DeliveryChange = DeliveryChange()
    """To marketplaces that get a stock feed"""
    decision: DeliveryChange = DeliveryChange()
    """To services that decide"""
    inventory: DeliveryChange = DeliveryChange()
    """To a service that holds the inventory"""

    def of(self, gateway: GatewayKind) -> DeliveryPolicy:
        """The default with the differences of this kind of partner laid over it."""
        change: DeliveryChange = getattr(self, gateway)
        parts = {name: _over(getattr(self.default, name), getattr(change, name)) for name in ("retries", "queue")}
        return _unburdened(self.default.model_copy(update=_given(change, *parts) | parts), change)

    def calls(self, gateway: GatewayKind) -> bool:
        """Whether messages go to this kind of partner at all: a carrier is only asked where it is supervised."""
        return gateway != "carrier" or self.of(gateway).supervise is not None

    def without_effect(self) -> list[tuple[str, str]]:
        """Settings that can have no effect: under which key, and what to do."""
        effective: dict[str, DeliveryPolicy] = {"default": self.default}
        effective.update((kind, self.of(kind)) for kind in GATEWAYS)
        found = [(name, _idle(self, policy, name)) for name, policy in effective.items()]
        told: dict[str, str] = {}
        for name in ("carrier", "erp", "marketplace", "decision", "inventory"):
            if _set(getattr(self, name).fallback):
                found.append((name, "only releases and purchases have a fallback; give it to warehouse or supplier"))
        for name, to in (("warehouse", "elsewhere"), ("supplier", "alternate")):
            fallback = getattr(self, name).fallback
            if isinstance(fallback, Fallback) and fallback.to != to:
                found.append((name, f"fallback.to is {to} for a {name}; {fallback.to} is no place for it"))
        if self.default.fallback is not None:
            found.append(("default", "a fallback is of one kind of partner; give it to warehouse or supplier"))
        for name in ("erp", "marketplace", "decision", "inventory"):
            if _set(getattr(self, name).supervise):
                found.append((name, "it answers every message itself and is not supervised; leave supervise out"))
        # What is wrong with the default is wrong with all that take it: one mistake, one message.
        for name, text in found:
            if text and text not in told:
                told[text] = name
        return [(name, text) for text, name in told.items()]


def _set(value: object) -> bool:
    return value is not None and value != NONE


def _is_lifted(value: object) -> bool:
    return value == NONE


def _over(base: Model, change: Model) -> Model:
    return base.model_copy(update=_given(change))


def _unburdened(policy: DeliveryPolicy, change: DeliveryChange) -> DeliveryPolicy:
    """The policy without what it took from the default and what belongs to a limit that the change lifts."""
    gone: dict[str, Any] = {}
    if _is_lifted(change.rate) and change.burst is None:
        gone["burst"] = None
    if _is_lifted(change.breaker) and change.drain is None:
        gone["drain"] = None
    if _is_lifted(change.retries.budget) and change.retries.reserve is None:
        gone["retries"] = policy.retries.model_copy(update={"reserve": None})
    policy = policy.model_copy(update=gone)
    lifts = change.queue.in_order is False or any(_is_lifted(getattr(change, name)) for name in LIMITS)
    if lifts and change.queue.discipline is None and not _held(policy):
        return policy.model_copy(update={"queue": policy.queue.model_copy(update={"discipline": None})})
    return policy


def _held(policy: DeliveryPolicy) -> list[str]:
    """The settings for which messages wait to be sent."""
    given = [name for name in LIMITS if getattr(policy, name) is not None]
    return given + [f"queue.{name}" for name in ("bound", "in_order") if getattr(policy.queue, name)]


def _given(change: Model, *but: str) -> dict[str, Any]:
    values = {name: getattr(change, name) for name in type(change).model_fields if name not in but}
    return {
        name: None if name in LIFTABLE and value == NONE else value
        for name, value in values.items()
        if value is not None
    }


def _idle(policies: DeliveryPolicies, policy: DeliveryPolicy, kind: str) -> str:
    """What is set and can have no effect, with the remedy; empty where all has one."""
    queue = policy.queue
    if policy.pool is not None and policy.pool not in policies.pools:
        known = ", ".join(policies.pools) or "none"
        return f"there is no pool '{policy.pool}'; pools here: {known}"
    if policy.retries.reserve is not None and policy.retries.budget is None:
        return "a reserve belongs to a retry budget; give retries.budget or leave the reserve out"
    if policy.burst is not None and policy.rate is None:
        return "a burst belongs to a rate; give rate or leave the burst out"
    if policy.drain is not None and policy.breaker is None:
        return "a drain limit holds after a breaker was open; give a breaker or leave drain out"
    given = _held(policy)
    if queue.discipline is not None and not given:
        return "nothing ever waits to be sent, so queue.discipline has no effect; give a limit such as bulkhead"
    hedge = policy.hedge
    if hedge is not None and given:
        return f"hedge sends beside the send queue, past {', '.join(given)}; give one or the other"
    if hedge is not None and hedge.after >= policy.timeout:
        return "hedge.after is not before the timeout, so nothing is ever hedged; give a shorter time"
    if hedge is not None and not policy.retries.max:
        return "a hedge spends a retry, and there is none; give retries.max"
    if not policy.acknowledge and kind != "default":
        given += ["retries.budget"] if policy.retries.budget is not None else []
        given += [name for name in ("hedge", "dead_letters") if getattr(policy, name) is not None]
        given += ["fallback"] if policy.fallback is not None and kind in ("warehouse", "supplier") else []
        if given:
            return f"no answer is waited for, so {', '.join(given)} can have no effect; set acknowledge: true"
    return ""
