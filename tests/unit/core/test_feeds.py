"""The stock feed of a marketplace: when it is sent, what it says, and what is told of cancelled units (OL-15)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from tests.properties.harness import fold
from tests.unit.core.given import HOUR, MINUTE, Business
from twin.codec import decode_entry, encode_entry, encode_state
from twin.core import commands as c
from twin.core import feeds
from twin.core.effects import AvailableUnits, PublishAvailability, RefuseOrderUnits
from twin.core.events import AvailabilityPublished
from twin.core.invariants import violations
from twin.core.master import Channel

MARKET = Channel("market", "marketplace", "C", reject_shortage=True, feed_ms=15 * MINUTE)


def define(business: Business, channel: Channel, id: str = "feed") -> c.DefineNetwork:
    return c.DefineNetwork(id, "test", business.at, "EUR", channels=(channel,))


def fed(stock: dict[str, dict[str, int]], **changes: Any) -> Business:
    business = Business(stock)
    business.driver.gateways["marketplace"] = business.outbox
    business.accept(define(business, replace(MARKET, **changes)))
    return business


def told(business: Business) -> Sequence[AvailableUnits]:
    return business.asked(PublishAvailability)[-1].lines


def test_a_feed_is_sent_every_period_and_says_what_sourcing_would_give() -> None:
    business = fed({"north": {"a": 9, "b": 2}, "south": {"a": 4}}, feed_offset_ms=MINUTE, feed_buffer=2)
    business.wait(HOUR)
    assert [event.channel for event in business.events(AvailabilityPublished)] == ["market"] * 4
    assert {line.sku: line.units for line in told(business)} == {"a": 11, "b": 0, "c": 0, "d": 0}
    business.accept(business.capture([("a", 5)]))
    business.wait(5 * MINUTE)
    assert {line.sku: line.units for line in told(business)}["a"] == 6


def test_a_snapshot_names_the_position_it_was_taken_at_and_comes_in_bounded_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feeds, "PART", 3)
    business = fed({"north": {"a": 9}})
    business.wait(20 * MINUTE)
    for entry in business.log.read(0):
        for event in entry.events:
            if isinstance(event, AvailabilityPublished):
                assert event.snapshot == entry.position - 1
                parts = [sent.effect for sent in entry.deliveries]
                assert [len(part.lines) for part in parts if isinstance(part, PublishAvailability)] == [3, 1]
                assert len({sent.key for sent in entry.deliveries}) == 2
                assert decode_entry(encode_entry(entry)) == entry
    assert encode_state(fold(business.log).state) == encode_state(business.state)


def test_a_closed_feed_lists_nothing_and_a_channel_without_one_is_told_nothing() -> None:
    business = fed({"north": {"a": 9}}, feed_closed=True)
    business.wait(20 * MINUTE)
    assert [line.units for line in told(business)] == [0, 0, 0, 0]
    business.accept(define(business, Channel("market", "marketplace", "C"), "off"))
    count = len(business.events(AvailabilityPublished))
    business.wait(2 * HOUR)
    assert len(business.events(AvailabilityPublished)) == count


def test_units_that_are_rejected_are_told_to_the_marketplace() -> None:
    business = fed({"north": {"a": 3}})
    business.accept(business.capture([("a", 5)], channel="market"))
    assert [(refusal.order, refusal.lines) for refusal in business.asked(RefuseOrderUnits)] == [("o1", ((1, 2),))]


@pytest.mark.parametrize(
    "channel",
    [
        Channel("web", "ecommerce", "B", feed_ms=MINUTE),
        Channel("market", "marketplace", "B", feed_buffer=1),
        Channel("market", "marketplace", "B", feed_ms=-1),
        Channel("market", "marketplace", "B", feed_ms=MINUTE, feed_buffer=-1),
    ],
)
def test_a_feed_that_cannot_be_is_refused(channel: Channel) -> None:
    business = Business()
    assert business.refused(define(business, channel)) == "feed"


def test_a_feed_without_its_timer_is_a_broken_invariant() -> None:
    business = fed({"north": {"a": 3}})
    assert not list(violations(business.state))
    business.state.timers.due.pop("feed/market")
    assert any("no feed is due" in broken for broken in violations(business.state))
