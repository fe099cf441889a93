"""The waterfall from one result to another: every account in one cause, and no cause forgotten."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tests.unit.measure_tales import DAY, HOUR, Tale
from twin.core import commands as cm
from twin.core import events as ev
from twin.core.master import DeliveryPolicy, Policies
from twin.experiment.leakage import ACCOUNTS, CAUSES, Cause, Unbalanced, losses_by_cause, result, waterfall
from twin.log import CostRates

Accounts = dict[str, int | Fraction]


def of(**moved: int | Fraction) -> Accounts:
    """A run's accounts: 1,000 of goods that cost 600, shipped, billed and paid; and what is moved."""
    books: Accounts = dict.fromkeys(ACCOUNTS, 0)
    books.update(shipped_value=1_000, billed_value=1_000, revenue=1_000, cost_of_goods=600)
    books.update(moved)
    names = ("cost_of_goods", "freight", "ordering", "intervention_cost", "holding", "penalty", "late_penalty")
    books["margin"] = books["revenue"] - sum(books[name] for name in (*names, "support_cost"))
    return books


@pytest.mark.parametrize(
    ("hurt", "cause", "lost"),
    [
        (of(shipped_value=900, billed_value=900, revenue=900, cost_of_goods=540), "lost", 40),
        (of(billed_value=880, revenue=880), "unbilled", 120),
        (of(unposted_value=70), "unbilled", 70),
        (of(revenue=993), "mispriced", 7),
        (of(credited_value=55, revenue=945), "credited", 55),
        (of(penalty=Fraction(7, 3)), "late", Fraction(7, 3)),
        (of(freight=31), "expedited", 31),
        (of(late_penalty=9), "late", 9),
        (of(intervention_cost=44), "handled", 44),
        (of(support_cost=18), "handled", 18),
        (of(ordering=12), "bought", 12),
        (of(holding=Fraction(1, 7)), "held", Fraction(1, 7)),
        (of(written_off=300), "written_off", 300),
    ],
)
def test_each_loss_is_put_down_to_its_own_cause(hurt: Accounts, cause: str, lost: int | Fraction) -> None:  # KP-03
    found = losses_by_cause(of(), hurt)
    assert {name: amount for name, amount in found.items() if amount} == {cause: lost}


amounts = st.one_of(st.integers(-(10**9), 10**9), st.fractions(-(10**6), 10**6))
books = st.builds(of, **{name: amounts for name in ACCOUNTS if name != "margin"})


@given(st.lists(st.tuples(books, books), min_size=1, max_size=5))
def test_the_steps_lead_from_start_to_end_to_the_last_minor_unit(pairs: list[tuple[Accounts, Accounts]]) -> None:
    found = waterfall(pairs)
    assert found.start_minor + sum(step.amount_minor for step in found.steps) == found.end_minor
    assert found.end_minor == round(sum((result(hurt) for _, hurt in pairs), Fraction(0)) / len(pairs))
    for step in found.steps:
        if step.interval is not None:
            assert abs(step.amount_minor - step.interval.mean) <= 1


def planted(bug: str) -> list[Cause]:
    causes = list(CAUSES)
    if bug == "a cause is forgotten":
        del causes[4]
    elif bug == "a cause is counted twice":
        causes.append(causes[4])
    elif bug == "a cause has the wrong sign":
        causes[4] = structs.replace(causes[4], accounts={"penalty": 1})
    elif bug == "an account is in two causes":
        causes[1] = structs.replace(causes[1], accounts={**causes[1].accounts, "penalty": -1})
    return causes


@pytest.mark.parametrize(
    "bug",
    [
        "a cause is forgotten",
        "a cause is counted twice",
        "a cause has the wrong sign",
        "an account is in two causes",
    ],
)
def test_a_waterfall_with_a_planted_bug_does_not_balance(bug: str) -> None:
    pairs = [(of(), of(penalty=100 + seed)) for seed in range(3)]
    waterfall(pairs, causes=planted("none"))
    with pytest.raises(Unbalanced):
        waterfall(pairs, causes=planted(bug))


def test_a_step_that_was_changed_afterwards_is_found() -> None:
    found = waterfall([(of(), of(penalty=100))])
    steps = (structs.replace(found.steps[0], amount_minor=1), *found.steps[1:])
    with pytest.raises(Unbalanced, match="the steps lead to 301, not 300"):
        structs.replace(found, steps=steps).check()


def test_a_run_whose_margin_is_not_what_its_accounts_say_is_found() -> None:
    hurt = of(penalty=100)
    hurt["margin"] += 1
    with pytest.raises(Unbalanced):
        losses_by_cause(of(), hurt)


def test_an_account_that_is_missing_is_an_error_and_not_a_nought() -> None:
    hurt = of()
    del hurt["freight"]
    with pytest.raises(KeyError):
        losses_by_cause(of(), hurt)


def test_the_same_run_twice_loses_nothing_by_any_cause() -> None:
    found = waterfall([(of(), of()), (of(freight=3), of(freight=3))])
    assert found.lost_minor == 0
    assert [step.amount_minor for step in found.steps] == [0] * len(CAUSES)


def test_the_steps_of_thirds_still_add_up() -> None:
    found = waterfall([(of(), of(penalty=Fraction(1, 3), holding=Fraction(1, 3)))])
    levels = [Fraction(400), Fraction(1199, 3), Fraction(1198, 3)]
    late, held = (next(step for step in found.steps if step.cause == cause) for cause in ("late", "held"))
    assert [late.amount_minor, held.amount_minor] == [
        round(after) - round(before) for before, after in pairwise(levels)
    ]


# --- the accounts that only the waterfall needs


def test_what_was_shipped_is_valued_at_the_orders_prices_and_so_is_what_was_billed() -> None:
    tale = Tale()
    tale.load(0, 100)
    tale.whole("o", 0, DAY, HOUR)
    tale.at(2 * DAY, ev.CreditIssued("o", "C", 1, 1, 500))
    measured = tale.measures(3 * DAY)
    assert (measured["shipped_value"].value, measured["billed_value"].value) == (2_500, 2_500)
    assert (measured["credited_value"].value, measured["revenue"].value) == (500, 2_000)


def test_an_invoice_that_the_erp_never_posts_is_told_and_one_that_it_posts_is_not() -> None:
    tale = Tale()
    tale.load(0, 100)
    tale.whole("o1", 0, DAY, HOUR)
    tale.whole("o2", 0, DAY, HOUR)
    tale.at(2 * HOUR, ev.InvoicePosted("o1", "I/o1/1"))
    assert tale.measures(DAY)["unposted_value"].value == 2_500
    tale.at(2 * HOUR, ev.PoliciesDefined(Policies(delivery=(DeliveryPolicy("erp", acknowledge=False),))))
    assert tale.measures(DAY)["unposted_value"].value == 0


def test_stock_that_an_adjustment_takes_away_is_written_off_at_cost_and_what_it_finds_is_set_against_it() -> None:
    tale = Tale()
    tale.load(0, 100)
    tale.at(HOUR, ev.StockAdjusted("north", "bolt", -4, "shrink"))
    tale.at(2 * HOUR, ev.StockAdjusted("north", "nut", 1, "found"))
    assert tale.measures(DAY)["written_off"].value == 4 * 300 - 400
    assert tale.measures(DAY, warmup=2 * HOUR)["written_off"].value == -400


def test_what_a_count_missed_since_it_had_left_already_is_not_written_off() -> None:
    tale = Tale(counted=True)
    tale.load(0, 100)
    tale.order("o", HOUR, DAY)
    tale.at(3 * HOUR, ev.StockCounted("north", 7, (("bolt", 95, -5),)))
    assert tale.measures(DAY)["written_off"].value == 5 * 300
    tale.at(4 * HOUR, ev.GoodsShipped("o", "S", "o/1", "north", ((1, 5),), 40, sequence=7))
    assert tale.measures(DAY)["written_off"].value == 0


def test_an_order_that_is_late_forfeits_a_share_of_its_value_and_one_in_time_nothing() -> None:
    tale = Tale()
    tale.load(0, 100)
    tale.whole("late", 0, HOUR, 2 * HOUR)
    tale.whole("early", 0, 3 * HOUR, 2 * HOUR)
    tale.order("never", 0, 4 * HOUR)
    measured = tale.measures(DAY, rates=CostRates(late_ppm=30_000))
    assert measured["late_penalty"].value == 2 * 2_500 * 3 // 100
    assert tale.measures(DAY)["late_penalty"].value == 0
    assert tale.measures(DAY)["margin"].value == measured["margin"].value + 150


def test_a_command_of_a_person_costs_what_the_rate_says() -> None:
    tale = Tale()
    tale.order("o", 0, DAY)
    tale.at(1, ev.OrderHeld("o", "fraud"), command=cm.HoldOrder("m", "ann", 1, "o", "fraud"))
    assert tale.measures(DAY, rates=CostRates(touch_minor=800))["support_cost"].value == 800


def test_reports_agree_on_the_days_on_which_finance_posts_what_was_shipped() -> None:  # KP-01
    tale = Tale()
    tale.load(0, 100)
    tale.whole("o1", 0, DAY, HOUR)
    tale.whole("o2", 0, DAY, HOUR)
    assert tale.measures(3 * DAY)["reporting_consistency"].value == 0, "an ERP that posts nothing is the worst case"
    tale.at(2 * HOUR, ev.InvoicePosted("o1", "I/o1/1"))
    assert tale.measures(3 * DAY)["reporting_consistency"].value == Fraction(1, 2)
    # The second is posted a day late: it is missing on one day, and too much on the next.
    tale.at(DAY + HOUR, ev.InvoicePosted("o2", "I/o2/1"))
    assert tale.measures(3 * DAY)["reporting_consistency"].value == 0


def test_a_message_that_went_wrong_twice_has_failed_once() -> None:  # KP-01
    tale = Tale()
    tale.order("o1", 0, DAY)
    tale.order("o2", 0, DAY)
    for at in (1, 2):
        tale.at(at, ev.DeliveryFailed("o1/1", 1, "failed", "503", at + 1))
    found = tale.measures(DAY)["integration_failure_rate"]
    assert (found.value, found.numerator, found.denominator) == (Fraction(1, 2), 1, 2)
