"""Planted bugs that the textbook cases must catch: in sample where the effect is large, in full where it is small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from twin.core import purchasing
from twin.core.events import PurchaseOrderCreated
from twin.core.master import Replenishment
from twin.experiment import Verdict, check
from twin.measures import fold_stock
from twin.measures.facts import Facts
from twin.measures.folds import FOLDS
from twin.streams import Distribution, Streams
from twin.world.warehouse import Warehouse

FOLDER = Path(__file__).resolve().parents[2] / "scenarios" / "validation"


def _verdict(name: str, measure: str, *, full: bool = False) -> Verdict:
    return next(one for one in check([FOLDER / name], full=full) if one.expectation == measure)


def test_holding_charged_at_the_start_of_the_period_is_caught_in_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    roll = Facts._roll

    def early(facts: Facts, now: int) -> None:
        # The planted bug: what stands at six in the morning, before the day's demand.
        plain = facts.start
        facts.start = plain + 6 * 3_600_000
        roll(facts, now)
        facts.start = plain

    assert _verdict("s_s_poisson6.yaml", "total_cost_per_period").holds
    monkeypatch.setattr(Facts, "_roll", early)
    assert not _verdict("s_s_poisson6.yaml", "total_cost_per_period").holds


def test_goods_that_ignore_their_lead_time_are_caught_in_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Streams.draw

    def draw(streams: Streams, distribution: Distribution, *key: Any) -> int:
        return 0 if key[0] == "lead_time" else drawn(streams, distribution, *key)

    monkeypatch.setattr(Streams, "draw", draw)
    assert not _verdict("newsvendor_lead4.yaml", "holding_and_penalty_cost_per_period").holds


def test_a_picker_too_many_is_caught_in_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    start = Warehouse.start

    def staffed(site: Warehouse) -> None:
        start(site)
        site.free_pickers += 1

    monkeypatch.setattr(Warehouse, "start", staffed)
    assert not _verdict("queue_mm1.yaml", "order_to_ship").holds


def test_a_purchase_charged_twice_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    once = fold_stock.purchase_order_created

    def twice(facts: Facts, event: PurchaseOrderCreated, now: int) -> None:
        once(facts, event, now)
        facts.ordering += event.cost_minor

    monkeypatch.setitem(FOLDS, PurchaseOrderCreated, twice)
    assert not _verdict("eoq.yaml", "total_cost_per_period").holds
    assert not _verdict("eoq_backorders.yaml", "total_cost_per_period").holds


def test_a_purchase_of_two_percent_too_many_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = purchasing.order_quantity
    monkeypatch.setattr(purchasing, "order_quantity", lambda rule, position: right(rule, position) * 102 // 100)
    # Cost is flat around the best quantity, so it is the stock that tells.
    assert not _verdict("eoq.yaml", "mean_on_hand").holds


@pytest.mark.deep
def test_ordering_below_the_level_instead_of_at_or_below_it_is_caught_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    right = purchasing.order_quantity

    def below(rule: Replenishment, position: int) -> int:
        return 0 if position == rule.minimum else right(rule, position)

    monkeypatch.setattr(purchasing, "order_quantity", below)
    verdict = _verdict("s_s_poisson6.yaml", "total_cost_per_period", full=True)
    assert not verdict.holds
    # What the same chain costs with the planted bug, exactly: the bug is what was found, and nothing else.
    assert verdict.mean is not None and verdict.half_width is not None
    assert abs(float(verdict.mean) - 816.192) <= verdict.half_width
