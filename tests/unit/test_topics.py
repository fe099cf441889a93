"""Events on topics: what a subscriber gets is what happened, and nothing that it did not ask for."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.world.small import small
from twin.core import events
from twin.core.topics import TOPICS, published, topic_of
from twin.run import Run, Twin

REQUIRED = ("order.created", "order.released", "stock.allocated", "purchase_order.acknowledged", "delivery.completed")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Twin(small()).run(seed=5, out=tmp_path_factory.mktemp("runs") / "run")


def test_every_published_event_of_a_run_is_on_its_topic_once(run: Run) -> None:  # IM-03
    happened: Counter[str] = Counter()
    on_topics: Counter[str] = Counter()
    ids = []
    for entry in run.entries():
        for event in entry.events:
            topic = topic_of(event)
            if topic is not None:
                happened[topic] += 1
        for message in published(entry):
            on_topics[message.type] += 1
            ids.append(message.id)
    assert on_topics == happened
    assert len(dict.fromkeys(ids)) == len(ids)
    for topic in REQUIRED:
        assert on_topics[topic] > 0, topic


def test_a_subscriber_gets_only_what_it_subscribed_to(run: Run) -> None:  # IM-04
    seen = {message.type for entry in run.entries() for message in published(entry, ["order.created"])}
    assert seen == {"order.created"}


def test_a_message_names_the_order_and_its_cause(run: Run) -> None:  # OB-01
    for entry in run.entries():
        for message in published(entry, ["delivery.completed"]):
            assert isinstance(message.data, events.ShipmentDelivered)
            assert message.correlationid == message.data.order
            assert message.causationid.startswith(message.data.shipment)
            return
    pytest.fail("nothing was delivered")


def test_a_delayed_shipment_has_a_topic() -> None:
    delayed = events.ShipmentMilestoneReached("o", "s", "delayed", 1)
    assert topic_of(delayed) == "shipment.delayed"
    assert topic_of(events.SourcingRequested("o")) is None
    shared = {events.DeliveryDeadLettered, events.DeliveryExpired}
    alone = [topic for kind, topic in TOPICS.items() if kind not in shared]
    assert len(dict.fromkeys(alone)) == len(alone) == len(TOPICS) - 2
    assert "exception.raised" not in alone
