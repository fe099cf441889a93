"""What a run tells of services outside: how many decisions they took, and what became of the others, and why.

A service that never gives a usable decision must not look like one that decides.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_report import text_of
from tests.world.deciders import Function, between_two, nearest, outside
from tests.world.stage import DAY, MINUTE, Stage
from twin.cli.app import main
from twin.core.commands import CancelOrder
from twin.decisions import (
    AnswerLeg,
    DecisionFailed,
    PromiseAnswer,
    Promised,
    PromiseQuestion,
    ReleaseAnswer,
    ReleaseQuestion,
    SourcingAnswer,
)
from twin.measures.compute import compute_facts
from twin.measures.facts import Facts
from twin.measures.measured import Measured
from twin.measures.outside import asked_outside
from twin.observability import interface_figures
from twin.run import Run, Twin
from twin.scenario import Scenario

MARS = Function(lambda question: SourcingAnswer((AnswerLeg(1, "stock", "mars", 3),)))
"""Names a place that there is not."""


def measured(stage: Stage, warmup_ms: int = 0) -> dict[str, Measured]:
    return compute_facts(Facts.collect(iter(stage.log.entries), stage.scenario.run.start, stage.world.now, warmup_ms))


def ordered(service: Any, scenario: Scenario, orders: int = 4) -> Stage:
    """A stage on which so many orders came, and what became of them is over."""
    stage: Stage = service.on(scenario)
    for number in range(orders):
        stage.order(f"O{number + 1}", {"mug": 3})
    stage.run(3 * DAY)
    return stage


def told(found: dict[str, Measured]) -> list[tuple[str, str, int, int, list[str]]]:
    return [
        (row.service, row.decision, row.asked, row.decided, [one.words for one in row.others])
        for row in asked_outside(found)
    ]


def raising(outcome: Any, reason: str) -> Function:
    def fails(question: Any) -> Any:
        raise DecisionFailed(outcome, reason)

    return Function(fails)


def test_decisions_that_a_service_took_are_counted() -> None:
    """PL-01: each order is one decision; none of them fell back."""
    found = measured(ordered(nearest(), outside(between_two())))
    assert told(found) == [("nearest", "sourcing", 4, 4, [])]
    assert (found["decided_outside"].value, found["undecided_outside"].value) == (1, 0)
    assert (found["fallbacks"].value, found["fallbacks/service"].value) == (0, 0)


@pytest.mark.parametrize(
    ("service", "words"),
    [
        (MARS, "answered with what cannot be carried out (the first: line 1: 'mars' is no candidate)"),
        (
            raising("refused", "no answer: JSON is malformed"),
            "refused, or answered with what is no answer (the first: refused: no answer: JSON is malformed)",
        ),
        (raising("failed", "connection refused"), "failed (the first: retries used up: connection refused)"),
    ],
    ids=["unusable", "no answer at all", "not reached"],
)
def test_what_the_rules_decided_in_its_place_is_a_fallback_with_its_reason(service: Function, words: str) -> None:
    """PL-01: two questions about an order are one decision, which the rules took."""
    stage = ordered(service, outside(between_two(), attempts=2))
    found = measured(stage)
    assert told(found) == [("nearest", "sourcing", 4, 0, [f"4 by the rules: {words}"])]
    assert found["decided_outside"].value == 0
    assert (found["fallbacks"].value, found["fallbacks/service"].value) == (4, 4)
    # What fell back in the warm-up is none of the window, and still nobody's decision of the whole run.
    late = measured(stage, warmup_ms=2 * DAY)
    assert (late["fallbacks/service"].value, late["undecided_outside"].value) == (0, 4)


@pytest.mark.parametrize(("otherwise", "became"), [("hold", "held"), ("reject", "rejected")])
def test_what_is_held_or_rejected_for_want_of_a_decision_is_no_fallback(otherwise: str, became: str) -> None:
    """PL-01: nobody else decided."""
    found = measured(ordered(MARS, outside(between_two(), otherwise=otherwise)))
    ((_, _, asked, decided, (words,)),) = told(found)
    assert (asked, decided) == (4, 0)
    assert words.startswith(f"4 {became}: answered with what cannot be carried out")
    assert found["fallbacks"].value == 0


def test_a_decision_after_a_bad_first_answer_is_the_services() -> None:
    """PL-01: it was asked twice, and decided."""
    sample = nearest()
    service = Function(
        lambda question: MARS.answer(question) if question.request.endswith("/1") else sample.decide(question)
    )
    assert told(measured(ordered(service, outside(between_two())))) == [("nearest", "sourcing", 4, 4, [])]


def test_an_order_that_was_cancelled_meanwhile_leaves_nothing_to_decide() -> None:
    """PL-01: its question ends without a decision, and is not left open."""
    late = {
        "services": [{"id": "nearest", "thinking": "10m"}],
        "policies": {"delivery": {"decision": {"timeout": "1h"}}},
    }
    stage: Stage = nearest().on(outside(between_two()).with_changes(late))
    stage.order("O1", {"mug": 3})
    stage.send(CancelOrder("c1", "web", stage.scenario.run.start + MINUTE, "O1", "customer"), MINUTE)
    stage.run(3 * DAY)
    found = measured(stage)
    assert told(found) == [("nearest", "sourcing", 1, 0, ["1 with nothing left to decide"])]
    assert found["decided_outside"].note == "0 open at the end"
    assert found["fallbacks"].value == 0


def test_a_run_without_services_has_none_of_these() -> None:
    """OB-06: a measure that means nothing is not there."""
    stage = Stage(between_two())
    stage.order("O1", {"mug": 3})
    stage.run(DAY)
    assert not [name for name in measured(stage) if "outside" in name or name == "fallbacks/service"]


# --- promises and releases


def both(release: str = "release") -> Scenario:
    """The service promises and lets go, and the rules source."""
    return between_two().with_changes(
        {
            "services": [{"id": "nearest", "latency": "1ms"}],
            "policies": {
                "promise": {"outside": {"service": "nearest"}},
                "release": {"kind": "immediate", "outside": {"service": "nearest", "otherwise": release}},
            },
        }
    )


def of_kind(promise: Callable[[PromiseQuestion], Any], release: Callable[[ReleaseQuestion], Any]) -> Function:
    return Function(lambda asked: promise(asked) if isinstance(asked, PromiseQuestion) else release(asked))


def no(question: Any) -> Any:
    raise DecisionFailed("refused", "not today")


def test_dates_and_releases_are_told_apart() -> None:
    """PL-01: a word against the release is a decision of the service; a date in the past is none."""
    service = of_kind(
        lambda asked: PromiseAnswer(tuple(Promised(line.line, 1) for line in asked.lines)),
        lambda asked: ReleaseAnswer(asked.order != "O2", "no credit"),
    )
    found = measured(ordered(service, both()))
    assert told(found) == [
        (
            "nearest",
            "promise",
            4,
            0,
            [
                "4 by the calendars: answered with what cannot be carried out "
                "(the first: a date before the order was captured)"
            ],
        ),
        ("nearest", "release", 4, 4, []),
    ]
    assert found["fallbacks/service"].value == 4


@pytest.mark.parametrize(
    ("otherwise", "became", "fallbacks"), [("release", "released all the same", 8), ("hold", "held", 4)]
)
def test_where_no_word_comes_the_release_is_the_policys(otherwise: str, became: str, fallbacks: int) -> None:
    """PL-01: four dates of the calendars, and four releases or holds."""
    found = measured(ordered(of_kind(no, no), both(otherwise)))
    (dates, releases) = told(found)
    assert dates[4][0].startswith("4 by the calendars: refused")
    assert releases[2:4] == (4, 0)
    assert releases[4][0].startswith(f"4 {became}: refused, or answered with what is no answer (the first: ")
    assert "not today" in releases[4][0]
    assert found["fallbacks/service"].value == fallbacks


# --- where a reader sees it


def test_an_answer_that_cannot_be_carried_out_is_no_success_at_the_interface() -> None:
    """OB-03: it is counted by itself, and spends the error budget."""
    stage = ordered(MARS, outside(between_two()))
    row = interface_figures(stage.log.entries).outbound["decision/nearest", "decision.source"]
    assert (row.calls, row.succeeded, row.unusable) == (8, 0, 8)
    assert row.ended == row.slo_misses() == 8
    good = interface_figures(ordered(nearest(), outside(between_two())).log.entries)
    assert good.outbound["decision/nearest", "decision.source"].unusable == 0


@pytest.fixture
def mars(tmp_path: Path) -> Run:
    """A finished run whose service never gave a usable decision."""
    return Twin(outside(between_two(busy=True))).run(out=tmp_path / "run", services={"nearest": MARS})


def test_the_page_does_not_say_that_a_service_decided_which_did_not(mars: Run) -> None:
    """EX-05: neither in its stamp nor below, and a table says what became of the decisions."""
    from twin.report import write_report

    text = text_of(write_report(mars.folder).read_text(encoding="utf-8"))
    orders = asked_outside(mars.measures)[0].asked
    assert orders > 600
    assert "0.0 % of the decisions asked of a service outside were its own" in text
    assert f"taken by the service 'nearest' (sourcing: 0 of {orders:,}), and all others by the reference" in text
    assert f"{orders:,} by the rules: answered with what cannot be carried out" in text
    assert "unusable" in text


def test_the_commands_say_so(mars: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """OB-03: `twin run` at its end, and `twin interfaces`, in lines of 80 characters."""
    from twin.cli.progress import reporting
    from twin.cli.summary import Summary

    monkeypatch.setenv("COLUMNS", "80")
    with reporting(quiet=True) as progress:
        summary = Summary(mars, progress, with_report=False, short=False)
    summary.show()
    out = capsys.readouterr().out
    orders = asked_outside(mars.measures)[0].asked
    row = next(line for line in out.splitlines() if line.startswith(" nearest "))
    assert row.split()[:4] == ["nearest", "sourcing", str(orders), "0"]
    assert f"{orders} by the rules" in out
    assert main(["interfaces", str(mars.folder)]) == 0
    out = capsys.readouterr().out
    assert "answers could not be carried out" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80
