"""Decisions that are asked of a service outside: the question and the answer as they go over the wire.

Clients of such services are found through the entry points `ordertwin.decisions`, by the scheme of the service's
address. Instants are integer milliseconds since the Unix epoch, prices and freight integer minor units, quantities the
item's base units. JSON Schemas of both are in `docs/decisions/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol

import msgspec
from msgspec import Meta, Struct

from twin.core.commands import DecidedLeg
from twin.core.deciding import PROMISE_MAX
from twin.core.effects import AskPromise, AskRelease, AskSourcing

__all__ = [
    "ANSWER_MAX",
    "INSTANT_MAX",
    "SCHEMA",
    "About",
    "Answer",
    "AnswerLeg",
    "Candidate",
    "Connect",
    "Decider",
    "DecisionFailed",
    "Held",
    "Line",
    "PromiseAnswer",
    "PromiseLine",
    "PromiseQuestion",
    "Promised",
    "Question",
    "ReleaseAnswer",
    "ReleaseQuestion",
    "ServiceRefused",
    "Source",
    "SourcingAnswer",
    "SourcingQuestion",
    "answer_of",
    "connect",
    "digest_of",
    "legs_of",
    "promise_question",
    "question_of",
    "release_question",
    "schema_text",
    "schemas",
    "sourcing_question",
    "too_long",
]

SCHEMA: Final = 1
"""Version of question and answer; it grows where an old service could no longer read the question."""

ANSWER_MAX: Final = 4 * 1024 * 1024
"""Longest answer, in bytes. Whole answers are kept in the run's folder and in its log, so a client reads no more."""

WHOLE_MAX: Final = 2**53 - 1
"""Largest whole number that every JSON reader keeps as it is (RFC 8259, section 6); a larger one is no answer."""

INSTANT_MAX: Final = PROMISE_MAX
"""The end of the year 9999 in ms, past which no instant can be written."""

Mode = Literal["stateless", "resettable", "live_only"]

Reason = Annotated[str, Meta(max_length=64, pattern="^[a-z0-9_:.-]*$", description="The rule that decided, in a word.")]
Whole = Annotated[int, Meta(ge=-WHOLE_MAX, le=WHOLE_MAX)]
Instant = Annotated[int, Meta(ge=0, le=INSTANT_MAX)]


_PRINTED: Final = "^[^\\u0000-\\u001f\\u007f]*$(?!\\n)"
"""Text without control characters, since it is shown on terminals; `$` alone lets one line end pass in Python."""

Name = Annotated[str, Meta(max_length=200, pattern=_PRINTED)]


class Candidate(Struct, frozen=True):
    """A node that could serve a line, as the orchestration sees it.

    `available` are units that this order may have there, known since a count or a load at `seen_at` (0: never) and kept
    up by what was reported since. `transit_ms` and `cost_minor` (freight of the line shipped alone) are those of its
    lane, `promise_at` the date that could be promised if the line is in stock there (0: past what the calendars know).
    `to_order` nodes buy the item for the order. `health` is the stage of the breaker before it: `closed` is well.
    """

    node: str
    available: int
    seen_at: int
    transit_ms: int
    cost_minor: int
    promise_at: int
    to_order: bool
    health: Literal["closed", "open", "half_open"]


class Line(Struct, frozen=True):
    """Units of an order line that need a source, and all nodes that could be one."""

    line: int
    sku: str
    quantity: int
    price_minor: int
    candidates: tuple[Candidate, ...]


class SourcingQuestion(Struct, frozen=True):
    """Where do an order's lines come from? `request` names the question: the same one again wants the same answer.

    `preferred` is the region's preferred node or empty. Whether a line may come from several nodes (`split_lines`), and
    whether a shortage is rejected rather than waited for (`reject_shortage`), are rules of the business; an answer that
    does otherwise is carried out all the same.
    """

    schema: int
    decision: Literal["sourcing"]
    request: str
    now: int
    order: str
    channel: str
    customer: str
    region: str
    criticality: str
    requested_at: int
    preferred: str
    split_lines: bool
    reject_shortage: bool
    lines: tuple[Line, ...]


class Source(Struct, frozen=True):
    """Units of a line on their route: `stock` at a node, or `backorder` or `replenish` there."""

    route: str
    node: str
    quantity: int


class PromiseLine(Struct, frozen=True):
    """A line that needs a date: where its units come from, the date that the calendars allow (`earliest_at`), and the
    one that the customer was told before (`promised_at`, 0: none)."""

    line: int
    sku: str
    sources: tuple[Source, ...]
    earliest_at: int
    promised_at: int


class PromiseQuestion(Struct, frozen=True):
    """When is an order promised? Asked once its lines have a source, and again where one comes later than was told."""

    schema: int
    decision: Literal["promise"]
    request: str
    now: int
    order: str
    channel: str
    customer: str
    region: str
    criticality: str
    requested_at: int
    lines: tuple[PromiseLine, ...]


class Promised(Struct, frozen=True, forbid_unknown_fields=True):
    """The instant (ms) told for a line."""

    line: Whole
    at: Instant


class PromiseAnswer(Struct, frozen=True, forbid_unknown_fields=True):
    """A date for every line that was asked for, and for no other."""

    lines: tuple[Promised, ...]


class Held(Struct, frozen=True):
    """Units of an order line that are reserved at a node."""

    line: int
    sku: str
    node: str
    quantity: int


class ReleaseQuestion(Struct, frozen=True):
    """May an order's reserved units go to their warehouses? `promised_at` is the date told (0: none)."""

    schema: int
    decision: Literal["release"]
    request: str
    now: int
    order: str
    channel: str
    customer: str
    region: str
    criticality: str
    requested_at: int
    promised_at: int
    lines: tuple[Held, ...]


class ReleaseAnswer(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether they may. Where not, the order is held for `reason` until somebody releases it, and asked about anew."""

    release: bool
    reason: Annotated[str, Meta(max_length=200, pattern=_PRINTED)] = ""


class AnswerLeg(Struct, frozen=True, forbid_unknown_fields=True):
    """Units of a line on one route at one node.

    Routes are `stock` (reserved there), `backorder` (waits there), `replenish` (bought there for the order; only where
    the candidate is `to_order`) and `reject` (not served; `node` is empty then).
    """

    line: Whole
    route: Literal["stock", "backorder", "replenish", "reject"]
    node: Name
    quantity: Whole
    reason: Reason = ""
    runner_up: Name = ""


class SourcingAnswer(Struct, frozen=True, forbid_unknown_fields=True):
    """The decision: legs whose quantities add up to what was asked, line by line."""

    legs: tuple[AnswerLeg, ...]


Question = SourcingQuestion | PromiseQuestion | ReleaseQuestion
Answer = SourcingAnswer | PromiseAnswer | ReleaseAnswer


class About(Struct, frozen=True):
    """What a service says of itself.

    `stateless`: equal questions get equal answers. `resettable`: it remembers, and forgets when it is reset with a
    seed. `live_only`: it remembers and cannot be reset, so it is not asked in runs that are to be repeated.
    """

    name: str
    mode: Mode
    decisions: tuple[str, ...]
    version: str = ""


class DecisionFailed(Exception):
    """A service gave no answer that can be read: `failed` may be tried again, `refused` may not."""

    def __init__(self, outcome: Literal["failed", "refused"], reason: str) -> None:
        super().__init__(outcome, reason)
        self.outcome = outcome
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.outcome}: {self.reason}"


class ServiceRefused(ValueError):
    """A service cannot be asked at all: not there, or not fit for what it is to do. The text says what to do."""


class Decider(Protocol):
    """Who answers questions: a service, a recording of one, or a function of yours."""

    @property
    def about(self) -> About:
        """What it says of itself."""
        ...

    def decide(self, question: Question) -> Answer:
        """The answer. Raises `DecisionFailed`."""
        ...

    def reset(self, seed: int) -> None:
        """Forget what was asked so far; called once before a run, with the run's seed."""
        ...

    def close(self) -> None:
        """Let go of connections and processes."""
        ...


Connect = Callable[[str], Decider]
"""What an entry point of `ordertwin.decisions` gives: a client for an address. Raises `ServiceRefused`."""


def connect(address: str, decisions: Sequence[str], *, live_only: bool) -> Decider:
    """A client for the service at an address such as `http://127.0.0.1:8080`, by the entry point of its scheme.

    Raises `ServiceRefused` where nothing installed knows the scheme, nobody answers, it does not decide `decisions`
    (sourcing, promise, release), or it is live-only and not to be asked unless `live_only`.
    """
    scheme = address.partition(":")[0].partition("?")[0]
    found = {point.name: point for point in entry_points(group="ordertwin.decisions")}
    if scheme not in found:
        known = ", ".join(sorted(found)) or "none"
        raise ServiceRefused(f"'{address}': nothing here speaks '{scheme}'; installed are {known}")
    opened: Connect = found[scheme].load()
    decider = opened(address)
    about = decider.about
    missing = [decision for decision in decisions if decision not in about.decisions]
    if missing:
        decider.close()
        decides = ", ".join(about.decisions) or "nothing"
        raise ServiceRefused(f"'{address}' says that it decides {decides}; it is asked about {', '.join(missing)}")
    if about.mode == "live_only" and not live_only:
        decider.close()
        raise ServiceRefused(
            f"'{address}' says that it is live_only: its answers hang on what it was asked before, so no run with it "
            "can be compared; ask a stateless or resettable one, or hold it against a log by `twin redecide`"
        )
    return decider


_DECODERS: Final[Mapping[str, msgspec.json.Decoder[Answer]]] = {
    "sourcing": msgspec.json.Decoder(SourcingAnswer),
    "promise": msgspec.json.Decoder(PromiseAnswer),
    "release": msgspec.json.Decoder(ReleaseAnswer),
}


def sourcing_question(request: str, effect: AskSourcing, criticality: str, now: int) -> SourcingQuestion:
    """The question that an effect asks at `now` (ms)."""
    return SourcingQuestion(
        SCHEMA,
        "sourcing",
        request,
        now,
        effect.order,
        effect.channel,
        effect.customer,
        effect.region,
        criticality,
        effect.requested_at,
        effect.preferred,
        effect.split_lines,
        effect.reject_shortage,
        tuple(
            Line(
                line.line,
                line.sku,
                line.quantity,
                line.price_minor,
                tuple(msgspec.convert(candidate, Candidate, from_attributes=True) for candidate in line.candidates),
            )
            for line in effect.lines
        ),
    )


def promise_question(request: str, effect: AskPromise, criticality: str, now: int) -> PromiseQuestion:
    """The question that an effect asks at `now` (ms)."""
    return PromiseQuestion(
        SCHEMA,
        "promise",
        request,
        now,
        effect.order,
        effect.channel,
        effect.customer,
        effect.region,
        criticality,
        effect.requested_at,
        tuple(
            PromiseLine(
                line.line,
                line.sku,
                tuple(Source(route, node, units) for route, node, units in line.sources),
                line.earliest_at,
                line.promised_at,
            )
            for line in effect.lines
        ),
    )


def release_question(request: str, effect: AskRelease, criticality: str, now: int) -> ReleaseQuestion:
    """The question that an effect asks at `now` (ms)."""
    return ReleaseQuestion(
        SCHEMA,
        "release",
        request,
        now,
        effect.order,
        effect.channel,
        effect.customer,
        effect.region,
        criticality,
        effect.requested_at,
        effect.promised_at,
        tuple(msgspec.convert(line, Held, from_attributes=True) for line in effect.lines),
    )


def question_of(question: Question) -> bytes:
    """A question as one line of JSON, every field in it."""
    return msgspec.json.encode(question)


def digest_of(question: Question) -> str:
    """16 hexadecimal digits of BLAKE2b over a question as it goes over the wire."""
    return blake2b(question_of(question), digest_size=8).hexdigest()


def answer_of(decision: str, data: bytes) -> Answer:
    """The answer to a question about `decision` from its JSON.

    Raises `DecisionFailed` (refused) where it is none: what is wrong stays wrong.
    """
    try:
        return _DECODERS[decision].decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DecisionFailed("refused", f"no answer: {error}") from error


def too_long() -> DecisionFailed:
    """What a client raises for an answer of more than `ANSWER_MAX` bytes: it is none, and stays none."""
    return DecisionFailed("refused", f"no answer: more than {ANSWER_MAX // 1024**2} MiB")


def legs_of(answer: SourcingAnswer) -> tuple[DecidedLeg, ...]:
    """The legs as the engine's command has them."""
    return tuple(
        DecidedLeg(leg.line, leg.route, leg.node, leg.quantity, leg.reason, leg.runner_up) for leg in answer.legs
    )


def schemas() -> dict[str, dict[str, object]]:
    """JSON Schema of the question, the answer, and what a service says of itself, by name."""
    return {
        "sourcing_question": msgspec.json.schema(SourcingQuestion),
        "sourcing_answer": msgspec.json.schema(SourcingAnswer),
        "promise_question": msgspec.json.schema(PromiseQuestion),
        "promise_answer": msgspec.json.schema(PromiseAnswer),
        "release_question": msgspec.json.schema(ReleaseQuestion),
        "release_answer": msgspec.json.schema(ReleaseAnswer),
        "about": msgspec.json.schema(About),
    }


def _main() -> None:
    """Write the schemas to `docs/decisions/`: `python -m twin.decisions`."""
    folder = Path("docs/decisions")
    for name, schema in schemas().items():
        (folder / f"{name}.schema.json").write_text(schema_text(schema), encoding="utf-8")


def schema_text(schema: dict[str, object]) -> str:
    """A schema as its file has it."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


if __name__ == "__main__":
    _main()
