"""The ERP: what it posts, what it remembers, and that a document posted twice is posted once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world.stage import DAY, HOUR, MINUTE, SECOND, Stage, tiny
from twin.core.commands import ConfirmInvoice, External, IssueCredit, OrderFacts
from twin.core.effects import AskOrderFacts, Delivery, Effect, PostCredit, PostInvoice
from twin.core.events import DeliveryFailed, DeliverySucceeded, InvoicePosted
from twin.world.erp import KEPT_MS
from twin.world.kernel import Phase

LONG = {"run": {"horizon": "1000d"}}


def invoice(number: int, order: str = "o1", units: int = 5, price: int = 450) -> PostInvoice:
    return PostInvoice(f"inv{number}", order, f"s{number}", "ann", ((1, units, price),), units * price)


def submit(stage: Stage, key: str, effect: Effect, at: int) -> None:
    """A delivery is sent to the ERP at `at`, counted from the start."""
    if at > stage.since_start(stage.world.now):
        stage.run(at)
    stage.driver.gateways["erp"].submit(Delivery(key, "erp", effect, "o1", "B"))


def facts(stage: Stage, number: int, at: int, order: str = "o1") -> OrderFacts | None:
    """What the ERP answers when it is asked for line 1 of an order."""
    submit(stage, f"ask{number}", AskOrderFacts(f"ask{number}", order, 1, 1), at)
    stage.run(at + HOUR)
    return stage.commands(IssueCredit)[-1].facts


def erp(**changes: Any) -> dict[str, Any]:
    return {**LONG, "erp": {"latency": "1ms", **changes}}


def test_the_ledger_adds_up_units_and_amounts_by_line() -> None:
    stage = Stage(tiny(erp()))
    submit(stage, "inv1", invoice(1), 0)
    submit(stage, "inv2", invoice(2, units=3), HOUR)
    submit(stage, "c1", PostCredit("c1", "o1", 1, 2, 900), 2 * HOUR)
    assert facts(stage, 1, DAY) == OrderFacts(8, 2, 450)
    ledger = stage.world.erp
    assert (ledger.invoiced_minor, ledger.credited_minor, ledger.invoices) == (8 * 450, 900, 2)


def test_a_document_that_comes_again_is_posted_once_and_confirmed_each_time() -> None:  # RC-06
    stage = Stage(tiny(erp()))
    for at in (0, MINUTE, 20 * DAY):
        submit(stage, "inv1", invoice(1), at)
    stage.run(21 * DAY)
    assert stage.world.erp.invoiced_minor == 5 * 450
    assert [confirmed.document for confirmed in stage.commands(ConfirmInvoice)] == ["inv1"] * 3
    assert len(stage.rows("delivery.repeated")) == 2


def drop_first(stage: Stage, kind: type[External], monkeypatch: pytest.MonkeyPatch) -> list[External]:
    """The first message of a type that the ERP sends is lost on its way; returns what was lost."""
    ledger = stage.world.erp
    told, lost = ledger.tell, []

    def tell(command: External, phase: Phase = Phase.GOODS) -> None:
        if isinstance(command, kind) and not lost:
            lost.append(command)
        else:
            told(command, phase)

    monkeypatch.setattr(ledger, "tell", tell)
    return lost


@pytest.mark.parametrize("posting", ["0s", "45s"])
def test_a_lost_confirmation_is_made_good_by_the_retry(posting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tiny(erp(posting=posting)))
    lost = drop_first(stage, ConfirmInvoice, monkeypatch)
    stage.order("o1", {"mug": 4})
    stage.run(DAY)
    (confirmed,) = stage.commands(ConfirmInvoice)
    assert [message.delivery for message in lost] == [confirmed.delivery]
    assert {failed.delivery for _, failed in stage.events(DeliveryFailed)} == {confirmed.delivery}
    assert [settled.delivery for _, settled in stage.events(DeliverySucceeded)].count(confirmed.delivery) == 1
    assert len(stage.events(InvoicePosted)) == 1
    assert not stage.state.deliveries and not stage.state.dead_letters
    assert (stage.world.erp.invoices, stage.world.erp.invoiced_minor) == (1, 4 * 450)
    stage.check_books()


def test_a_lost_answer_to_a_question_is_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tiny(erp()))
    submit(stage, "inv1", invoice(1), 0)
    lost = drop_first(stage, IssueCredit, monkeypatch)
    for at in (HOUR, 2 * HOUR):
        submit(stage, "ask1", AskOrderFacts("ask1", "o1", 1, 1), at)
    stage.run(DAY)
    assert len(lost) == 1
    assert [answer.facts for answer in stage.commands(IssueCredit)] == [OrderFacts(5, 0, 450)]


def test_posting_takes_its_time_and_is_confirmed_after_it() -> None:
    stage = Stage(tiny(erp(posting="45s")))
    submit(stage, "inv1", invoice(1), HOUR)
    stage.run(2 * HOUR)
    (confirmed,) = stage.commands(ConfirmInvoice)
    assert stage.since_start(confirmed.time) == HOUR + 1 + 45 * SECOND
    assert (confirmed.document, confirmed.order, confirmed.criticality) == ("inv1", "o1", "B")


def test_a_posting_slower_than_the_timeout_is_asked_again_and_still_billed_once() -> None:
    stage = Stage(tiny({**erp(posting="2m"), "policies": {"delivery": {"erp": {"timeout": "30s"}}}}))
    stage.order("o1", {"mug": 4})
    stage.run(DAY)
    assert len(stage.events(DeliveryFailed)) >= 1
    assert stage.world.erp.invoiced_minor == 4 * 450
    assert len(stage.events(InvoicePosted)) == 1
    stage.check_books()


def test_where_no_answer_is_awaited_none_is_sent() -> None:
    stage = Stage(tiny({**erp(), "policies": {"delivery": {"erp": {"acknowledge": False}}}}))
    stage.order("o1", {"mug": 4})
    stage.run(DAY)
    assert stage.commands(ConfirmInvoice) == []
    assert stage.world.erp.invoiced_minor == 4 * 450
    stage.check_books()


@pytest.mark.parametrize(("age", "known"), [(KEPT_MS - DAY, True), (2 * KEPT_MS + 2 * DAY, False)])
def test_old_lines_stay_at_hand_for_their_time_and_are_archived_after_it(age: int, known: bool) -> None:
    stage = Stage(tiny(erp()))
    submit(stage, "inv1", invoice(1), HOUR)
    # A document now and then: the ledger turns its pages only when it is written to.
    for number, at in enumerate(range(50 * DAY, age, 50 * DAY), start=2):
        submit(stage, f"inv{number}", invoice(number, order="other"), at)
    assert facts(stage, 1, age) == (OrderFacts(5, 0, 450) if known else OrderFacts(0, 0, 0))


def test_a_line_that_is_still_used_survives_the_turn_of_the_pages() -> None:
    stage = Stage(tiny(erp()))
    submit(stage, "inv1", invoice(1), HOUR)
    submit(stage, "inv2", invoice(2, order="other"), KEPT_MS + DAY)
    assert facts(stage, 1, KEPT_MS + 2 * DAY) == OrderFacts(5, 0, 450)
    submit(stage, "c1", PostCredit("c1", "o1", 1, 2, 900), KEPT_MS + 3 * DAY)
    assert facts(stage, 2, KEPT_MS + 4 * DAY) == OrderFacts(5, 2, 450)


def test_the_books_close_with_the_totals_in_minor_units() -> None:
    stage = Stage(tiny())
    for number in range(7):
        stage.order(f"o{number}", {"mug": number + 1}, at=number * HOUR)
    stage.run(2 * DAY)
    books = stage.account()
    assert books.ledger_minor == books.invoiced_minor == 28 * 450
