"""What every message of a run carries, and what an instruction to a warehouse must not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.world.small import small
from tests.world.stage import DAY, Stage
from twin.core.commands import CaptureOrder, Wake
from twin.core.effects import PickLine, ReleaseToWarehouse
from twin.core.master import CRITICALITIES
from twin.world.channel import Channel


@pytest.fixture(scope="module")
def stage() -> Stage:
    stage = Stage(small(), seed=5)
    stage.run(6 * DAY)
    return stage


def test_every_message_about_an_order_carries_its_class(stage: Stage) -> None:  # OL-14
    classes = {event.order: event.criticality for event in _captured(stage)}
    commands = [entry.command for entry in stage.log.entries if getattr(entry.command, "order", "")]
    deliveries = [delivery for _, delivery in stage.deliveries() if delivery.correlation in classes]
    assert len(commands) > 1000
    assert len(deliveries) > 500
    for command in commands:
        assert command.criticality == classes[command.order], command  # type: ignore[union-attr]
    for delivery in deliveries:
        assert delivery.criticality == classes[delivery.correlation], delivery
    assert sorted(dict.fromkeys(classes.values())) == list(CRITICALITIES)[: len(dict.fromkeys(classes.values()))]


def _captured(stage: Stage) -> list[CaptureOrder]:
    return stage.commands(CaptureOrder)


def test_every_message_can_be_traced_to_its_order_or_purchase(stage: Stage) -> None:
    for _, delivery in stage.deliveries():
        assert delivery.correlation, delivery
        assert delivery.deadline > 0
    for entry in stage.log.entries:
        command = entry.command
        if isinstance(command, Wake):
            continue
        assert command.id
        assert command.source
        assert command.time <= entry.now
        if hasattr(command, "causation") and not isinstance(command, CaptureOrder):
            assert command.causation, command


def test_ids_of_messages_are_unique_by_source(stage: Stage) -> None:
    ids = [
        (entry.command.source, entry.command.id) for entry in stage.log.entries if not isinstance(entry.command, Wake)
    ]
    assert len(dict.fromkeys(ids)) == len(ids)


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _keys(inner)


def test_an_instruction_to_a_warehouse_has_no_price_cost_margin_or_credit(stage: Stage) -> None:  # WH-01
    instructions = [sent.effect for _, sent in stage.deliveries() if isinstance(sent.effect, ReleaseToWarehouse)]
    assert len(instructions) > 100
    for effect in instructions:
        for key in _keys(msgspec.to_builtins(effect)):
            assert not any(word in key for word in ("price", "cost", "minor", "margin", "credit", "customer")), key
    # Not in this run's values alone: there is no field for it.
    fields = [*ReleaseToWarehouse.__struct_fields__, *PickLine.__struct_fields__]
    assert fields == ["fulfillment_order", "order", "node", "carrier", "region", "lines", "line", "sku", "quantity"]


def test_every_warehouse_hears_of_its_own_orders_only(stage: Stage) -> None:
    for _, delivery in stage.deliveries():
        if isinstance(delivery.effect, ReleaseToWarehouse):
            assert delivery.gateway == f"warehouse/{delivery.effect.node}"


def test_no_channel_is_sent_anything(stage: Stage) -> None:
    channels = [actor.id for actor in stage.world.actors.values() if isinstance(actor, Channel)]
    assert len(channels) == 3
    assert not [delivery for _, delivery in stage.deliveries() if delivery.gateway in channels]
