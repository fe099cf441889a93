"""Sourcing that a service outside decides: carried out, checked against the state as it is then, and recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.world.deciders import Function, between_two, nearest, outside
from tests.world.stage import DAY, HOUR, MINUTE, SECOND, Stage
from twin.codec import decode_state, encode_state
from twin.core.commands import CancelOrder, DecidePromise
from twin.core.effects import AskSourcing
from twin.core.events import (
    DeliveryLapsed,
    OrderCancelled,
    OrderCaptured,
    OrderHeld,
    PromiseDecided,
    PromiseUnanswered,
    ReleaseDecided,
    ReleaseUnanswered,
    ReservationDecided,
    SourcingDecided,
    SourcingRequested,
    SourcingUnanswered,
)
from twin.core.invariants import violations
from twin.core.refusals import Refusal
from twin.decisions import (
    AnswerLeg,
    DecisionFailed,
    PromiseAnswer,
    Promised,
    PromiseQuestion,
    Question,
    ReleaseAnswer,
    ReleaseQuestion,
    ServiceRefused,
    SourcingAnswer,
    SourcingQuestion,
)
from twin.log.decisions import DECISIONS
from twin.measures import Facts, compute_facts
from twin.run import Simulation, Twin, resume
from twin.scenario import Scenario, ScenarioError


def legs(stage: Stage) -> list[tuple[str, int, str, str, int]]:
    """Order, line, route, node and quantity of every leg, in order."""
    return [
        (event.order, leg.line, leg.route, leg.node, leg.quantity)
        for _, event in stage.events(SourcingDecided)
        for leg in event.legs
    ]


def stock(question: SourcingQuestion, node: str) -> Any:
    """Everything from one node's stock."""
    return SourcingAnswer(
        tuple(AnswerLeg(line.line, "stock", node, line.quantity, "chosen") for line in question.lines)
    )


def test_legs_of_one_node_are_added_up_before_they_are_believed() -> None:  # PL-01
    """Main has 40 mugs; two legs of 25 are each less than that, and together more."""
    half = AnswerLeg(1, "stock", "main", 25, "half")
    stage = Function(lambda question: SourcingAnswer((half, half))).on(outside(between_two(), attempts=1))
    stage.order("O1", {"mug": 50})
    stage.run_checked(3 * DAY, every=1)
    (unanswered,) = [event for _, event in stage.events(SourcingUnanswered)]
    assert unanswered.reason == "line 1: 50 units from 'main', which has 40"


# --- the plain way


def test_the_service_decides_and_its_decision_is_carried_out() -> None:  # PL-01
    service = Function(lambda question: stock(question, "far"))
    stage = service.on(outside(between_two()))
    stage.order("O1", {"mug": 3})
    stage.run(3 * DAY)
    assert legs(stage) == [("O1", 1, "stock", "far", 3)]
    (at, requested), (decided_at, decided) = stage.events(SourcingRequested)[0], stage.events(SourcingDecided)[0]
    assert requested.request == "O1/source/1"
    assert decided.decided_by == "decision/nearest"
    assert decided.legs[0].rule == "chosen"
    # A question and an answer of 1 ms each.
    assert decided_at - at == 2
    assert stage.state.stock["far"]["mug"].on_hand == 97
    assert not stage.state.deliveries
    stage.check_books()


def test_the_question_has_what_a_decision_needs() -> None:  # PL-01
    service = nearest()
    stage = service.on(outside(between_two()))
    stage.order("O1", {"mug": 3}, at=HOUR)
    stage.run(DAY)
    (question,) = service.asked
    start = stage.scenario.run.start
    assert question.request == "O1/source/1"
    assert question.now == start + HOUR + 1
    assert (question.order, question.region, question.criticality) == ("O1", "home", "B")
    (line,) = question.lines
    assert (line.sku, line.quantity, line.price_minor) == ("mug", 3, 450)
    assert [(one.node, one.available, one.transit_ms, one.seen_at) for one in line.candidates] == [
        ("far", 100, 9 * HOUR, start),
        ("main", 40, 4 * HOUR, start),
    ]
    assert [one.promise_at for one in line.candidates] == [start + 10 * HOUR, start + 5 * HOUR]
    assert {one.health for one in line.candidates} == {"closed"}


def test_the_same_rule_outside_decides_as_the_one_inside() -> None:  # PL-01, PL-04
    inside, service = Stage(between_two(busy=True)), nearest()
    asked = service.on(outside(between_two(busy=True)))
    for stage in (inside, asked):
        stage.run(12 * DAY)
        stage.check_books()
    assert len(service.asked) > 600
    assert legs(asked) == legs(inside)
    assert {leg[2] for leg in legs(asked)} == {"stock", "backorder"}


# --- answers that cannot be carried out


def wrong(answer: SourcingAnswer, **changes: Any) -> tuple[Stage, Function]:
    """A stage whose service gives this answer first, and the nearest node's after that."""
    sample = nearest()
    service = Function(lambda question: answer if question.request == "O1/source/1" else sample.decide(question))
    stage = service.on(outside(between_two(), **changes))
    stage.order("O1", {"mug": 3})
    stage.run(3 * DAY)
    stage.check_books()
    return stage, service


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((), "line 1: 3 units too few"),
        ((AnswerLeg(1, "stock", "main", 4),), "line 1: 1 units too many"),
        ((AnswerLeg(1, "stock", "main", 3), AnswerLeg(7, "stock", "main", 1)), "line 7 was not asked for"),
        ((AnswerLeg(1, "stock", "main", 4), AnswerLeg(1, "stock", "far", -1)), "line 1: -1 units from 'far'"),
        ((AnswerLeg(1, "stock", "moon", 3),), "line 1: 'moon' is no candidate"),
        ((AnswerLeg(1, "reject", "main", 3),), "line 1: route 'reject' at 'main'; it is at no node"),
        ((AnswerLeg(1, "replenish", "main", 3),), "line 1: route 'replenish' from 'main', which stocks it"),
    ],
)
def test_what_makes_no_sense_is_not_carried_out_and_asked_again(  # PL-01
    answer: tuple[AnswerLeg, ...], reason: str
) -> None:
    stage, service = wrong(SourcingAnswer(answer))
    assert [event.reason for _, event in stage.events(SourcingUnanswered)] == [reason]
    assert [question.request for question in service.asked] == ["O1/source/1", "O1/source/2"]
    assert legs(stage) == [("O1", 1, "stock", "main", 3)]


def test_more_than_there_is_is_not_carried_out() -> None:  # PL-01
    service = Function(lambda question: stock(question, "main"))
    stage = service.on(outside(between_two()))
    stage.order("O1", {"mug": 50})
    stage.run(3 * DAY)
    reasons = [event.reason for _, event in stage.events(SourcingUnanswered)]
    assert reasons == ["line 1: 50 units from 'main', which has 40"] * 2
    # Then the rules decide.
    assert legs(stage) == [("O1", 1, "stock", "main", 40), ("O1", 1, "stock", "far", 10)]
    assert stage.events(SourcingDecided)[0][1].decided_by == ""
    stage.check_books()


def test_an_answer_is_checked_against_the_stock_as_it_is_then() -> None:  # PL-01
    # Both are asked about while 40 are free; the second answer comes when the first has taken them.
    service = Function(lambda question: stock(question, "main" if question.lines[0].candidates[1].available else "far"))
    stage = service.on(outside(between_two()))
    stage.order("O1", {"mug": 40})
    stage.order("O2", {"mug": 40})
    stage.run(3 * DAY)
    assert [event.reason for _, event in stage.events(SourcingUnanswered)] == [
        "line 1: 40 units from 'main', which has 0"
    ]
    assert legs(stage) == [("O1", 1, "stock", "main", 40), ("O2", 1, "stock", "far", 40)]


@pytest.mark.parametrize("otherwise", ["rules", "reject", "hold"])
def test_where_no_decision_comes_the_policy_says_what_happens(otherwise: str) -> None:  # PL-01
    service = Function(lambda question: SourcingAnswer(()))
    stage = service.on(outside(between_two(), otherwise=otherwise, attempts=3))
    stage.order("O1", {"mug": 3})
    stage.run(3 * DAY)
    assert len(service.asked) == 3
    held = [event.reason for _, event in stage.events(OrderHeld)]
    routes = [(leg[2], leg[4]) for leg in legs(stage)]
    assert (held, routes) == {
        "rules": ([], [("stock", 3)]),
        "reject": ([], [("reject", 3)]),
        "hold": (["nearest gave no decision that can be carried out"], []),
    }[otherwise]
    stage.check_books()


def test_a_held_order_is_asked_about_anew_when_it_is_released() -> None:
    right = nearest()
    service = Function(
        lambda question: (
            SourcingAnswer(()) if question.now < stage.scenario.run.start + HOUR else right.decide(question)
        )
    )
    stage = service.on(outside(between_two(), otherwise="hold"))
    stage.order("O1", {"mug": 3})
    stage.release_hold("O1", at=2 * HOUR)
    stage.run(3 * DAY)
    assert [question.request for question in service.asked] == [f"O1/source/{number}" for number in (1, 2, 3)]
    assert legs(stage) == [("O1", 1, "stock", "main", 3)]


# --- a service that does not answer


def failing(outcome: Any, times: int) -> tuple[Stage, Function]:
    sample, calls = nearest(), []

    def answer(question: Question) -> Any:
        calls.append(question)
        if len(calls) <= times:
            raise DecisionFailed(outcome, "out of memory")
        return sample.decide(question)

    service = Function(answer)
    stage = service.on(outside(between_two()))
    stage.order("O1", {"mug": 3})
    stage.run(3 * DAY)
    stage.check_books()
    return stage, service


def test_a_call_that_failed_is_tried_again_under_the_same_name() -> None:  # PL-01
    stage, service = failing("failed", 2)
    assert [question.request for question in service.asked] == ["O1/source/1"] * 3
    assert legs(stage) == [("O1", 1, "stock", "main", 3)]


def test_a_refused_question_is_not_repeated_and_the_next_one_is_another() -> None:  # PL-01
    stage, service = failing("refused", 1)
    assert [question.request for question in service.asked] == ["O1/source/1", "O1/source/2"]
    assert [event.reason for _, event in stage.events(SourcingUnanswered)] == ["refused: out of memory"]
    assert len(stage.events(DeliveryLapsed)) == 1
    assert not stage.state.dead_letters


def test_a_service_that_stays_down_leaves_no_order_behind() -> None:  # PL-01
    stage, service = failing("failed", 10_000)
    # Twice its first call and five retries, then the rules.
    assert len(service.asked) == 12
    assert legs(stage) == [("O1", 1, "stock", "main", 3)]
    assert not stage.state.deliveries


def test_faults_of_its_interface_lose_and_double_no_order() -> None:  # PL-01
    faults = [
        {"kind": "loss", "interface": "decider", "direction": "reply", "probability": "20%"},
        {"kind": "duplicate", "interface": "decider", "probability": "20%"},
        {"kind": "outage", "interface": "decider", "from": "20h", "for": "10h"},
    ]
    interface = {"id": "decider", "to": "decision/nearest", "workers": 2, "service": "100ms"}
    changes = {
        "interfaces": [interface],
        "faults": faults,
        "policies": {"delivery": {"decision": {"timeout": "2s", "deadline": "10m"}}},
    }
    service = nearest()
    stage = service.on(outside(between_two(busy=True)).with_changes(changes))
    for day in range(1, 13):
        stage.run(day * DAY)
        stage.check_books()
    assert len(stage.events(SourcingUnanswered)) > 50
    decided = {bool(event.decided_by) for _, event in stage.events(SourcingDecided)}
    assert decided == {True, False}
    assert not stage.state.deliveries
    assert all(not order.asked for order in stage.state.orders.values())
    assert effects(stage) == (0, 0)


def effects(stage: Stage) -> tuple[Any, Any]:
    """What was sent though nothing asked for it, and what was asked for and not sent."""
    facts = Facts.collect(iter(stage.log.entries), stage.scenario.run.start, stage.world.now, 0, None)
    told = compute_facts(facts)
    return told["duplicate_effect_count"].value, told["lost_effect_count"].value


def test_a_question_that_an_event_asks_for_is_no_effect_too_many() -> None:
    """FI-01, FI-02: every source, date and release is asked for once, and each call counts as what it is."""
    sample = nearest()

    def answer(question: Question) -> Any:
        if isinstance(question, PromiseQuestion):
            return PromiseAnswer(tuple(Promised(line.line, line.earliest_at) for line in question.lines))
        return ReleaseAnswer(True) if isinstance(question, ReleaseQuestion) else sample.decide(question)

    service = Function(answer)
    asked = {"outside": {"service": "nearest"}}
    stage = service.on(outside(between_two(busy=True)).with_changes({"policies": {"promise": asked, "release": asked}}))
    stage.run(3 * DAY)
    kinds = {type(question) for question in service.asked}
    assert kinds == {SourcingQuestion, PromiseQuestion, ReleaseQuestion}
    assert len(service.asked) > 600
    assert effects(stage) == (0, 0)


# --- while a question is open


def slow(answer: Any = None) -> tuple[Stage, Function]:
    sample = nearest()
    service = Function(answer or sample.decide)
    late = {
        "services": [{"id": "nearest", "thinking": "10m"}],
        "policies": {"delivery": {"decision": {"timeout": "1h"}}},
    }
    return service.on(outside(between_two()).with_changes(late)), service


def test_what_is_cancelled_meanwhile_is_not_carried_out() -> None:
    stage, _ = slow()
    stage.order("O1", {"mug": 3})
    stage.send(CancelOrder("c1", "web", stage.scenario.run.start + MINUTE, "O1", "customer"), MINUTE)
    stage.run(3 * DAY)
    cancelled = stage.events(OrderCancelled)[0][1]
    assert [(taken.bucket, taken.quantity) for taken in cancelled.units] == [("sourcing", 3)]
    assert not legs(stage)
    assert [refusal.code for refusal in refusals(stage)] == ["not_asked"]
    assert not stage.state.deliveries
    stage.check_books()


def refusals(stage: Stage) -> list[Refusal]:
    return [entry.refusal for entry in stage.log.entries if entry.refusal is not None]


def test_a_held_order_is_decided_and_reserved_but_not_released() -> None:
    stage, _ = slow()
    stage.order("O1", {"mug": 3})
    stage.hold("O1", at=MINUTE)
    stage.run(HOUR)
    assert len(stage.events(ReservationDecided)) == 1
    assert not stage.state.fulfillment_orders
    stage.check_books()


def test_two_answers_to_one_question_count_once() -> None:
    stage, _ = slow()
    stage.order("O1", {"mug": 3})
    stage.run(HOUR)
    (answer,) = [entry.command for entry in stage.log.entries if getattr(entry.command, "request", "")]
    stage.send(replace(answer, id="again"), 2 * HOUR)  # type: ignore[type-var]
    stage.run(3 * DAY)
    assert [refusal.code for refusal in refusals(stage)][:1] == ["not_asked"]
    assert len(stage.events(SourcingDecided)) == 1


def test_a_state_with_open_questions_survives_its_snapshot() -> None:
    stage, _ = slow()
    stage.order("O1", {"mug": 3})
    stage.run(MINUTE)
    state = stage.state
    assert state.orders["O1"].asked == "O1/source/1"
    assert isinstance(state.deliveries["O1/source/1"].delivery.effect, AskSourcing)
    assert encode_state(decode_state(encode_state(state))) == encode_state(state)
    stage.check_books()


# --- dates


def promised(scenario: Scenario) -> Scenario:
    """The same business, whose dates the service tells; the rules source."""
    outside = {"promise": {"outside": {"service": "nearest"}}}
    return scenario.with_changes({"services": [{"id": "nearest", "latency": "1ms"}], "policies": outside})


def dates(stage: Stage) -> list[tuple[int, int]]:
    """When an order was promised, and for when, in ms since the start."""
    return [(at, stage.since_start(event.promised_at)) for at, event in stage.events(PromiseDecided)]


def test_the_service_promises_and_the_order_does_not_wait_for_it() -> None:  # PL-01
    service = nearest()
    stage = service.on(promised(between_two()).with_changes({"services": [{"id": "nearest", "thinking": "10s"}]}))
    stage.order("O1", {"mug": 3}, at=MINUTE)
    stage.run(3 * DAY)
    (question,) = service.asked
    assert isinstance(question, PromiseQuestion)
    (line,) = question.lines
    assert [(one.route, one.node, one.quantity) for one in line.sources] == [("stock", "main", 3)]
    captured, released = stage.events(OrderCaptured)[0][0], stage.events(ReleaseDecided)[0][0]
    # Four hours by van from then, told as the next full hour, ten seconds and two messages later.
    assert stage.since_start(line.earliest_at) == captured + 4 * HOUR
    assert dates(stage) == [(captured + 10 * SECOND + 2, 5 * HOUR)]
    assert released == captured
    stage.check_books()


def test_a_line_that_comes_later_is_promised_anew() -> None:  # PL-01
    service = nearest()
    stage = service.on(promised(between_two()))
    stage.order("O1", {"mug": 150})
    stage.run(12 * DAY)
    told = [line.promised_at for question in service.asked for line in question.lines]
    assert [question.request for question in service.asked] == ["O1/promise/1", "O1/promise/2"][: len(told)]
    assert told[0] == 0
    assert dates(stage) == sorted(dates(stage))
    assert stage.state.orders["O1"].lines[1].promised_at % HOUR == 0
    stage.check_books()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (PromiseAnswer(()), "dates for lines none; asked for were 1"),
        (PromiseAnswer((Promised(2, 10**13),)), "dates for lines 2; asked for were 1"),
        (PromiseAnswer((Promised(1, 10**13), Promised(1, 10**13))), "dates for lines 1, 1; asked for were 1"),
        (PromiseAnswer((Promised(1, 5),)), "a date before the order was captured"),
        (PromiseAnswer((Promised(1, 253_402_300_800_000),)), "a date after the year 9999"),
        (DecisionFailed("refused", "closed on Mondays"), "refused: closed on Mondays"),
        (DecisionFailed("failed", "busy"), "retries used up: busy"),
    ],
)
def test_without_a_date_that_makes_sense_the_calendars_decide(answer: Any, reason: str) -> None:  # PL-01
    def told(question: Any) -> Any:
        if isinstance(answer, DecisionFailed):
            raise answer
        return answer

    stage = Function(told).on(promised(between_two()))
    stage.order("O1", {"mug": 3})
    stage.run(3 * DAY)
    assert [event.reason for _, event in stage.events(PromiseUnanswered)] == [reason]
    captured = stage.events(OrderCaptured)[0][0]
    assert [promise for _, promise in dates(stage)] == [captured + 4 * HOUR]
    assert not stage.state.deliveries
    stage.check_books()


def test_a_date_is_for_the_order_that_was_asked_about_and_for_no_other() -> None:  # PL-01
    slow = {
        "services": [{"id": "nearest", "thinking": "10m"}],
        "policies": {"delivery": {"decision": {"timeout": "1h"}}},
    }
    stage = nearest().on(promised(between_two()).with_changes(slow))
    stage.order("O1", {"mug": 3})
    stage.order("O2", {"mug": 2})
    at = stage.scenario.run.start + MINUTE
    stage.send(DecidePromise("mixed", "decision/nearest", at, "O1/promise/1", "O2", ((1, at + DAY),)), MINUTE)
    stage.run(HOUR)
    assert [(refusal.code, refusal.text) for refusal in refusals(stage)] == [
        ("not_asked", "'O1/promise/1' is no open question about order 'O2'")
    ]
    assert [event.order for _, event in stage.events(PromiseDecided)] == ["O1", "O2"]


def test_one_service_may_source_and_promise_in_a_run_that_repeats(tmp_path: Path) -> None:  # PL-01
    scenario = promised(outside(between_two(busy=True)))
    first = Twin(scenario).run(out=tmp_path / "first", services={"nearest": nearest()})
    again = Twin(scenario).run(out=tmp_path / "again", services={"nearest": f"recorded:{tmp_path / 'first'}"})
    assert again.digest == first.digest
    kinds = [line.count(b'"promise":') for line in (tmp_path / "first" / DECISIONS).read_bytes().splitlines()[1:]]
    assert 0 < sum(kinds) < len(kinds)


# --- releases


def released(scenario: Scenario, **changes: Any) -> Scenario:
    """The same business, whose orders go when the service lets them; `changes` are those of the question."""
    release = {"kind": "immediate", "outside": {"service": "nearest", **changes}}
    return scenario.with_changes({"services": [{"id": "nearest", "latency": "1ms"}], "policies": {"release": release}})


def test_an_order_goes_when_the_service_lets_it(tmp_path: Path) -> None:  # PL-01
    service = nearest()
    stage = service.on(released(between_two()).with_changes({"services": [{"id": "nearest", "thinking": "10s"}]}))
    stage.order("O1", {"mug": 3}, at=MINUTE)
    stage.run(MINUTE + 5 * SECOND)
    assert len(stage.events(ReservationDecided)) == 1
    assert not stage.state.fulfillment_orders
    assert violations(stage.state) == []
    stage.run(3 * DAY)
    (question,) = service.asked
    assert isinstance(question, ReleaseQuestion)
    assert [(held.line, held.sku, held.node, held.quantity) for held in question.lines] == [(1, "mug", "main", 3)]
    captured, (at, decided) = stage.events(OrderCaptured)[0][0], stage.events(ReleaseDecided)[0]
    assert stage.since_start(question.promised_at) == captured + 4 * HOUR
    assert (at - captured, decided.request) == (10 * SECOND + 2, "O1/release/1")
    stage.check_books()


def test_an_order_that_may_not_go_is_held_and_asked_about_anew() -> None:  # PL-01
    answers = [ReleaseAnswer(False, "credit limit"), ReleaseAnswer(True)]
    service = Function(lambda question: answers.pop(0))
    stage = service.on(released(between_two()))
    stage.order("O1", {"mug": 3})
    stage.release_hold("O1", at=2 * HOUR)
    stage.run(3 * DAY)
    assert [event.reason for _, event in stage.events(OrderHeld)] == ["credit limit"]
    assert [question.request for question in service.asked] == ["O1/release/1", "O1/release/2"]
    ((at, _),) = stage.events(ReleaseDecided)
    assert 2 * HOUR <= at < 2 * HOUR + MINUTE
    stage.check_books()


@pytest.mark.parametrize(("otherwise", "goes"), [("release", True), ("hold", False)])
def test_without_an_answer_the_policy_says_whether_it_goes(otherwise: str, goes: bool) -> None:  # PL-01
    def busy(question: Any) -> Any:
        raise DecisionFailed("refused", "closed")

    stage = Function(busy).on(released(between_two(), otherwise=otherwise))
    stage.order("O1", {"mug": 3})
    stage.run(3 * DAY)
    assert len(stage.events(ReleaseDecided)) == goes
    held = [event.reason for _, event in stage.events(OrderHeld)]
    assert held == ([] if goes else ["nearest did not release it: refused: closed"])
    assert violations(stage.state) == []
    stage.check_books()


def test_what_is_cancelled_or_held_while_it_is_asked_does_not_go() -> None:
    service = nearest()
    late = {
        "services": [{"id": "nearest", "thinking": "10m"}],
        "policies": {"delivery": {"decision": {"timeout": "1h"}}},
    }
    stage = service.on(released(between_two()).with_changes(late))
    stage.order("O1", {"mug": 3})
    stage.order("O2", {"mug": 2})
    stage.send(CancelOrder("c1", "web", stage.scenario.run.start + MINUTE, "O1", "customer"), MINUTE)
    stage.hold("O2", at=MINUTE)
    stage.run(DAY)
    assert [event.reason for _, event in stage.events(ReleaseUnanswered)] == ["nothing of it is reserved any more"]
    assert [refusal.code for refusal in refusals(stage)] == ["not_asked"]
    assert not stage.events(ReleaseDecided)
    stage.release_hold("O2", at=DAY)
    stage.run(3 * DAY)
    assert [event.order for _, event in stage.events(ReleaseDecided)] == ["O2"]
    stage.check_books()


def test_one_service_may_decide_everything_through_every_fault(tmp_path: Path) -> None:  # PL-01
    everything = released(promised(outside(between_two(busy=True))))
    interface = {"id": "decider", "to": "decision/nearest", "workers": 2, "service": "100ms"}
    faults = [
        {"kind": "loss", "interface": "decider", "direction": "reply", "probability": "20%"},
        {"kind": "duplicate", "interface": "decider", "probability": "20%"},
        {"kind": "outage", "interface": "decider", "from": "20h", "for": "10h"},
    ]
    policies = {"delivery": {"decision": {"timeout": "2s", "deadline": "10m"}}}
    troubled = everything.with_changes({"interfaces": [interface], "faults": faults, "policies": policies})
    stage = nearest().on(troubled)
    stage.run_checked(12 * DAY)
    stage.check_books()
    assert not stage.state.deliveries
    assert all(not order.asked and not order.release_asked for order in stage.state.orders.values())
    for kind in (SourcingUnanswered, PromiseUnanswered, ReleaseDecided):
        assert len(stage.events(kind)) > 20
    first = Twin(troubled).run(out=tmp_path / "first", services={"nearest": nearest()})
    again = Twin(troubled).run(out=tmp_path / "again", services={"nearest": f"recorded:{tmp_path / 'first'}"})
    assert again.digest == first.digest


# --- runs, and runs that repeat


def test_a_run_repeats_with_the_service_off(tmp_path: Path) -> None:  # PL-01
    scenario = outside(between_two(busy=True))
    service, calls = nearest(), []

    def unsteady(question: Question) -> Any:
        calls.append(question)
        if len(calls) % 7 == 0:
            raise DecisionFailed("failed", "busy")
        return service.decide(question)

    first = Twin(scenario).run(out=tmp_path / "first", services={"nearest": Function(unsteady)})
    again = Twin(scenario).run(out=tmp_path / "again", services={"nearest": f"recorded:{tmp_path / 'first'}"})
    assert again.digest == first.digest
    assert (tmp_path / "again" / DECISIONS).read_bytes().count(b"\n") == len(calls) + 1
    third = Twin(scenario).run(out=tmp_path / "third", services={"nearest": f"recorded:{tmp_path / 'again'}"})
    assert third.digest == first.digest


def test_a_recording_of_another_run_says_where_it_ends(tmp_path: Path) -> None:
    scenario = outside(between_two(busy=True))
    Twin(scenario).run(1, tmp_path / "first", services={"nearest": nearest()})
    with pytest.raises(ServiceRefused, match=r"'web-\d+/source/1' was another question in that run; repeat it with"):
        Twin(scenario).run(2, tmp_path / "other", services={"nearest": f"recorded:{tmp_path / 'first'}"})
    with pytest.raises(ServiceRefused, match="give the folder of a run that asked service 'nearest'"):
        Twin(scenario).run(1, tmp_path / "none", services={"nearest": f"recorded:{tmp_path}"})
    (tmp_path / "first" / DECISIONS).write_text("{}\n")
    with pytest.raises(ServiceRefused, match=r"decisions\.jsonl:1: no decision"):
        Twin(scenario).run(1, tmp_path / "none", services={"nearest": f"recorded:{tmp_path / 'first'}"})
    assert not (tmp_path / "none").exists()


def test_a_run_that_goes_on_from_a_snapshot_asks_and_records_on(tmp_path: Path) -> None:  # PL-01
    scenario = outside(between_two(busy=True))
    whole = Twin(scenario).run(out=tmp_path / "whole", services={"nearest": nearest()})
    Twin(scenario).run(out=tmp_path / "half", until_ms=DAY, snapshot=tmp_path / "snap", services={"nearest": nearest()})
    rest = resume(tmp_path / "snap", tmp_path / "rest", services={"nearest": nearest()})
    assert rest.digest == whole.digest
    assert (tmp_path / "rest" / DECISIONS).read_bytes() == (tmp_path / "whole" / DECISIONS).read_bytes()


def test_a_fork_goes_on_with_the_same_service(tmp_path: Path) -> None:
    scenario = outside(between_two(busy=True))
    service = nearest()
    simulation = Simulation.begin(scenario, 1, tmp_path / "one", services={"nearest": service})
    simulation.advance(scenario.run.start + DAY)
    fork = simulation.fork(tmp_path / "two")
    for one in (simulation, fork):
        one.advance(scenario.run.end)
    assert fork.finish().digest == simulation.finish().digest
    assert service.seeds == [1]


def test_how_long_a_service_really_takes_changes_nothing(tmp_path: Path) -> None:  # PL-01
    from time import sleep

    scenario = outside(between_two())
    digests = []
    for name, delay in (("fast", 0.0), ("slow", 0.05)):
        sample = nearest()

        def late(question: Question, delay: float = delay, sample: Function = sample) -> Any:
            sleep(delay)
            return sample.decide(question)

        digests.append(Twin(scenario).run(out=tmp_path / name, services={"nearest": Function(late)}).digest)
    assert digests[0] == digests[1]


# --- who may be asked


def test_nobody_to_ask_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ServiceRefused, match="nobody has said where it is; give --service nearest=ADDRESS"):
        Twin(outside(between_two())).run(out=tmp_path / "run")
    with pytest.raises(ServiceRefused, match="unknown service 'nearst'; services here: nearest"):
        Twin(outside(between_two())).run(out=tmp_path / "run", services={"nearst": nearest()})
    with pytest.raises(ServiceRefused, match="'carrier-pigeon:coop': nothing here speaks 'carrier-pigeon'; installed"):
        Twin(outside(between_two())).run(out=tmp_path / "run", services={"nearest": "carrier-pigeon:coop"})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"services": [{"id": "nearest"}]}, "nobody asks 'nearest'"),
        ({"policies": {"sourcing": {"outside": {"service": "nearest"}}}}, "unknown service 'nearest'"),
        (
            {
                "services": [{"id": "nearest"}],
                "policies": {
                    "sourcing": {"outside": {"service": "nearest"}},
                    "delivery": {"decision": {"acknowledge": False}},
                },
            },
            "a decision is an answer, which has to be waited for",
        ),
    ],
)
def test_a_scenario_whose_service_could_not_decide_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ScenarioError, match=text):
        between_two().with_changes(changes)


def test_an_outage_of_its_interface_is_borne_by_the_rules_in_the_end() -> None:
    down = {
        "interfaces": [{"id": "decider", "to": "decision/nearest"}],
        "faults": [{"kind": "outage", "interface": "decider", "for": "2d"}],
        "policies": {"delivery": {"decision": {"timeout": "1s", "deadline": "5s", "retries": {"max": 0}}}},
    }
    service = nearest()
    stage = service.on(outside(between_two()).with_changes(down))
    stage.order("O1", {"mug": 3})
    stage.run(HOUR)
    assert not service.asked
    assert legs(stage) == [("O1", 1, "stock", "main", 3)]
    (decided_at, _) = stage.events(SourcingDecided)[0]
    assert decided_at <= 3 * SECOND
    # What lay in front of it is answered when it is back, and wanted by nobody.
    stage.run(3 * DAY)
    assert [question.request for question in service.asked] == ["O1/source/1", "O1/source/2"]
    assert [refusal.code for refusal in refusals(stage)] == ["not_asked"] * 2
    assert len(legs(stage)) == 1
    stage.check_books()
