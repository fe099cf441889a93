"""Attempts sent beside slow ones, and dead letters that expire, at real interfaces of a drill's business."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world.stage import DAY, Stage
from twin.core.effects import PostInvoice
from twin.core.events import DeliveryExpired
from twin.observability import Outbound, dead_letters_of, interface_figures
from twin.scenario import load

DRILLS = Path(__file__).resolve().parents[2] / "scenarios" / "drills"
SECOND, MINUTE = 1_000, 60_000


def invoices(stage: Stage) -> Outbound:
    return interface_figures(stage.log.entries).outbound["erp", "erp.invoice"]


def test_a_hedge_cuts_the_tail_for_a_few_more_calls_and_doubles_nothing() -> None:  # RC-09
    scenario = load(DRILLS / "heavy_tail.yaml")
    hedged, plain = [
        Stage(one) for one in (scenario, scenario.with_changes({"policies": {"delivery": {"erp": {"hedge": "none"}}}}))
    ]
    for stage in (hedged, plain):
        stage.run(14 * DAY)
        stage.check_books()
    with_it, without = invoices(hedged), invoices(plain)
    assert without.duration.percentile(99) > 10 * MINUTE
    assert with_it.duration.percentile(99) < 10 * SECOND
    assert with_it.duration.percentile(50) == without.duration.percentile(50)
    assert with_it.operations == without.operations == without.calls
    assert without.calls < with_it.calls < without.calls * 1.2
    assert with_it.succeeded == with_it.operations
    assert not hedged.rows("delivery.doubled")
    assert len(hedged.rows("delivery.repeated")) == with_it.calls - with_it.operations


def test_what_nobody_sends_again_in_time_expires_and_stays_visible() -> None:  # RC-03
    change = {
        "policies": {"delivery": {"erp": {"retries": {"max": 0}, "dead_letters": {"owner": "ann", "expire": "1d"}}}},
        "interfaces": [{"id": "erp", "owner": "finance"}],
    }
    stage = Stage(load(DRILLS / "errors.yaml").with_changes(change))
    stage.run(14 * DAY)
    letters = [letter for letter in dead_letters_of(stage.log.entries, {"erp": "finance"}) if letter.gateway == "erp"]
    expired = stage.events(DeliveryExpired)
    assert {event.delivery for _, event in expired} == {letter.key for letter in letters}
    assert len(letters) > 3
    for letter in letters:
        assert letter.expired
        assert letter.owner == "ann"
        assert letter.expires_at == letter.since + DAY
        assert letter.value_minor > 0
        assert letter.reason
        kept = stage.state.dead_letters[letter.key]
        assert isinstance(kept.delivery.effect, PostInvoice)
        # The order behind it cannot close, and is seen.
        assert letter.about in stage.state.orders


@pytest.mark.parametrize(
    ("erp", "text"),
    [
        ({"hedge": {"after": "3s"}, "bulkhead": 5}, "hedge sends beside the send queue, past bulkhead"),
        ({"hedge": {"after": "30s"}}, "hedge.after is not before the timeout"),
        ({"hedge": {"after": "3s"}, "retries": {"max": 0}}, "a hedge spends a retry"),
        ({"hedge": {"after": "0s"}}, "0s is no time at all"),
        ({"dead_letters": {}}, "dead_letters says nothing"),
        ({"hedge": {"after": "3s"}, "acknowledge": False}, "no answer is waited for, so hedge can have no effect"),
    ],
)
def test_a_hedge_or_an_owner_that_could_have_no_effect_is_refused(erp: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        load(DRILLS.parent / "minimal.yaml").with_changes({"policies": {"delivery": {"erp": erp}}})
